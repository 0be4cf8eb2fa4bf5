/* host/run/inputs_place.c - putting the inputs of a run where the ops can read them: views of the caller's, copies, or made
 * from others.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/generate/tensor_rows.h"
#include "host/ops/check.h"
#include "host/run/model_internal.h"

/* A view of `source` with the target's shape, or memory to copy and convert it into. The view needs the device, the dtype, and
 * leading dimensions that fold into one. */
static void place(const mo_model_t *model, mo_prepared_inputs *prepared, mo_input_t which, const mo_tensor *source,
                  mo_dtype_t copy_dtype, uint32_t view_dtypes, int32_t rank, const int64_t *shape, mo_arena *arena) {
  const mo_device device = mo_context_device(model->context);
  const bool there = source->device.kind == device.kind && source->device.index == device.index;
  const bool aligned = (uintptr_t)source->data % mo_dtype_bytes(source->dtype) == 0;
  bool same = source->rank == rank;
  for (int32_t i = 0; i < rank && same; i++) same = source->shape[i] == shape[i];
  const bool foldable = same || mo_tensor_is_contiguous(source);
  if (there && aligned && foldable && (view_dtypes & MO_DTYPE_BIT(source->dtype)) != 0 && mo_row_stride(source) == 1) {
    prepared->tensors[which] = same ? *source : mo_tensor_reshaped(source, rank, shape);
    prepared->tensors[which].device = device;
    return;
  }
  int64_t count = 1;
  for (int32_t i = 0; i < rank; i++) count *= shape[i];
  void *memory = mo_arena_carve(arena, (size_t)count * mo_dtype_bytes(copy_dtype));
  prepared->tensors[which] = mo_device_tensor(model->context, memory, copy_dtype, rank, shape);
  prepared->sources[which] = source;
  prepared->origins[which] = MO_ORIGIN_COPY;
}

/* Memory for what is made on the host. */
static void make(const mo_model_t *model, mo_prepared_inputs *prepared, mo_input_t which, mo_input_origin_t origin,
                 const mo_tensor *source, mo_dtype_t dtype, int64_t rows, int64_t length, mo_arena *arena) {
  void *memory = mo_arena_carve(arena, (size_t)(rows * length) * mo_dtype_bytes(dtype));
  prepared->tensors[which] = mo_device_tensor(model->context, memory, dtype, 2, (int64_t[]){rows, length});
  prepared->sources[which] = source;
  prepared->origins[which] = origin;
}

static void place_positions(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape, mo_arena *arena,
                            mo_prepared_inputs *prepared) {
  const mo_transformer_config *config = &model->stack.config;
  const int64_t length = shape->sequence_length;
  prepared->past_length = shape->cache.past_length;
  prepared->uneven = shape->cache.rows_differ ? shape->cache.self : NULL;
  if (inputs->position_ids != NULL) {
    const int64_t rows = inputs->position_ids->rank == 2 ? inputs->position_ids->shape[0] : shape->batch_size;
    place(model, prepared, MO_INPUT_POSITIONS, inputs->position_ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2,
          (int64_t[]){rows, length}, arena);
  } else if (config->embedding.positions == MO_POSITIONS_FROM_MASK && shape->masked) {
    prepared->positions_are_rows = true; /* padding takes a row before that of position 0 */
    make(model, prepared, MO_INPUT_POSITIONS, MO_ORIGIN_COUNT_VISIBLE, inputs->attention_mask, MO_DTYPE_INT64,
         shape->batch_size, length, arena);
  } else if (shape->cache.rows_differ &&
             (config->embedding.positions != MO_POSITIONS_NONE || config->attention.rotary.rotary_dim > 0)) {
    make(model, prepared, MO_INPUT_POSITIONS, MO_ORIGIN_COUNT_ROWS, NULL, MO_DTYPE_INT64, shape->batch_size, length, arena);
  } else if (config->attention.rotary.rotary_dim > 0 && shape->cache.slides && !shape->cache.on_device) {
    make(model, prepared, MO_INPUT_POSITIONS, MO_ORIGIN_COUNT_ALL, NULL, MO_DTYPE_INT64, 1, length, arena);
  }
}

/* Of an encoder that runs. */
static void place_source(const mo_model_t *model, const mo_run_shape *shape, mo_arena *arena, mo_prepared_inputs *prepared) {
  const mo_model_inputs *source = shape->source;
  const int64_t tokens[3] = {shape->batch_size, shape->encoder_length, model->encoder.config.embedding.size};
  if (!shape->encoder_runs) return;
  if (source->input_ids != NULL)
    place(model, prepared, MO_INPUT_SOURCE_IDS, source->input_ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, tokens, arena);
  if (source->inputs_embeds != NULL)
    place(model, prepared, MO_INPUT_SOURCE_EMBEDS, source->inputs_embeds, model->dtype, MO_DTYPE_BIT(model->dtype), 3, tokens,
          arena);
}

static void place_encoder(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape, mo_arena *arena,
                          mo_prepared_inputs *prepared) {
  const int64_t length = shape->encoder_length, rows = shape->batch_size * length;
  const mo_tensor *mask = model->has_encoder ? shape->source->attention_mask : inputs->encoder_attention_mask;
  if (length == 0) return;
  if (model->has_encoder) place_source(model, shape, arena, prepared);
  else if (!shape->cache.cross_is_cached)
    place(model, prepared, MO_INPUT_ENCODER_HIDDEN, inputs->encoder_hidden_states, model->dtype, MO_DTYPE_BIT(model->dtype), 2,
          (int64_t[]){rows, model->stack.config.attention.encoder_size}, arena);
  if (shape->encoder_masked)
    place(model, prepared, MO_INPUT_ENCODER_MASK, mask, MO_DTYPE_BOOL, MO_DTYPES_MASK, 4,
          (int64_t[]){shape->batch_size, 1, 1, length}, arena);
}

void mo_inputs_carve(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape, mo_arena *arena,
                     mo_prepared_inputs *prepared) {
  const int64_t tokens[3] = {shape->batch_size, shape->sequence_length, model->stack.config.embedding.size};
  const int64_t length = shape->sequence_length;
  const uint32_t own_float = MO_DTYPE_BIT(model->dtype);
  *prepared = (mo_prepared_inputs){.sources = {NULL}};
  if (shape->shifted != NULL)
    make(model, prepared, MO_INPUT_IDS, MO_ORIGIN_SHIFTED, shape->shifted, MO_DTYPE_INT64, shape->batch_size, length, arena);
  else if (inputs->input_ids != NULL)
    place(model, prepared, MO_INPUT_IDS, inputs->input_ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, tokens, arena);
  if (inputs->inputs_embeds != NULL)
    place(model, prepared, MO_INPUT_EMBEDS, inputs->inputs_embeds, model->dtype, own_float, 3, tokens, arena);
  if (inputs->token_type_ids != NULL)
    place(model, prepared, MO_INPUT_TYPES, inputs->token_type_ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, tokens, arena);
  place_positions(model, inputs, shape, arena, prepared);
  place_encoder(model, inputs, shape, arena, prepared);
  if (inputs->cache_lengths != NULL)
    place(model, prepared, MO_INPUT_LENGTHS, inputs->cache_lengths, MO_DTYPE_INT32, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, tokens,
          arena);
  if (shape->masked) {
    const int64_t extents[4] = {shape->batch_size, 1, shape->mask_per_query ? length : 1, shape->cache.key_length};
    place(model, prepared, MO_INPUT_MASK, inputs->attention_mask, MO_DTYPE_BOOL, MO_DTYPES_MASK, 4, extents, arena);
  }
  if (model->architecture.classifies_last_token && inputs->input_ids != NULL &&
      model->stack.config.embedding.padding_id != MO_NO_TOKEN)
    make(model, prepared, MO_INPUT_TOKEN_MASK, MO_ORIGIN_NOT_PADDING, inputs->input_ids, MO_DTYPE_BOOL, shape->batch_size,
         length, arena);
  if (model->architecture.summarises_end)
    make(model, prepared, MO_INPUT_TOKEN_MASK, MO_ORIGIN_IS_END, shape->source->input_ids, MO_DTYPE_BOOL, shape->batch_size,
         length, arena);

  const mo_tensor *labels = inputs->labels;
  if (model->architecture.head == MO_HEAD_NEXT_SENTENCE && labels == NULL) labels = inputs->next_sentence_label;
  const int64_t examples[2] = {shape->example_count, model->label_count};
  const uint32_t loss_float = own_float | MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  switch (shape->loss) {
    case MO_LOSS_NONE:
      break;
    case MO_LOSS_PRETRAINING:
      place(model, prepared, MO_INPUT_PAIR_LABELS, inputs->next_sentence_label, MO_DTYPE_INT64, MO_DTYPES_INDEX, 1, examples,
            arena);
      place(model, prepared, MO_INPUT_LABELS, labels, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, tokens, arena);
      break;
    case MO_LOSS_TOKENS:
    case MO_LOSS_NEXT_TOKENS:
      place(model, prepared, MO_INPUT_LABELS, labels, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, tokens, arena);
      break;
    case MO_LOSS_EXAMPLES:
      place(model, prepared, MO_INPUT_LABELS, labels, MO_DTYPE_INT64, MO_DTYPES_INDEX, 1, examples, arena);
      break;
    case MO_LOSS_REGRESSION:
    case MO_LOSS_MULTI_LABEL:
      place(model, prepared, MO_INPUT_LABELS, labels, MO_DTYPE_FLOAT32, loss_float, 2, examples, arena);
      break;
    case MO_LOSS_REPLACED_TOKEN:
      place(model, prepared, MO_INPUT_LABELS, labels, MO_DTYPE_FLOAT32, loss_float, 2, tokens, arena);
      break;
    case MO_LOSS_SPAN:
      place(model, prepared, MO_INPUT_STARTS, inputs->start_positions, MO_DTYPE_INT64, MO_DTYPES_INDEX, 1, examples, arena);
      place(model, prepared, MO_INPUT_ENDS, inputs->end_positions, MO_DTYPE_INT64, MO_DTYPES_INDEX, 1, examples, arena);
      break;
  }
}

/* Row by row, contiguous, converted; a mask becomes bool. */
static mo_status_t gather(const mo_tensor *source, mo_dtype_t dtype, char *destination) {
  const int64_t rows = mo_row_count(source), length = mo_row_length(source), stride = mo_row_stride(source);
  const int64_t element = (int64_t)mo_dtype_bytes(source->dtype), size = (int64_t)mo_dtype_bytes(dtype);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(source, row);
    for (int64_t i = 0; i < length; i++, destination += size) {
      const char *address = (const char *)source->data + (start + i * stride) * element;
      char aligned[8] __attribute__((aligned(8)));
      memcpy(aligned, address, (size_t)element);
      if (dtype == MO_DTYPE_BOOL) {
        float value = 0.0f;
        if (mo_dtype_is_float(source->dtype)) MO_TRY(mo_dtype_convert(&value, MO_DTYPE_FLOAT32, aligned, source->dtype, 1));
        *(bool *)destination =
            mo_dtype_is_float(source->dtype) ? value != 0.0f : mo_read_integer(source, start + i * stride) != 0;
      } else {
        MO_TRY(mo_dtype_convert(destination, dtype, aligned, source->dtype, 1));
      }
    }
  }
  return MO_STATUS_OK;
}

/* Tokens of a row before the new ones. */
static int64_t past_of(const mo_prepared_inputs *prepared, int64_t row) {
  return prepared->uneven != NULL ? mo_cache_row_length(prepared->uneven, row) : prepared->past_length;
}

/* OPT's positions: the running count of visible tokens, as rows of the table; padding takes the row before the first. */
static void count_visible(const mo_model_t *model, const mo_prepared_inputs *prepared, const mo_tensor *mask, int64_t *rows) {
  const int64_t length = prepared->tensors[MO_INPUT_POSITIONS].shape[1], stride = mo_row_stride(mask);
  for (int64_t row = 0; row < mo_row_count(mask); row++) {
    const int64_t past = past_of(prepared, row);
    int64_t seen = 0;
    for (int64_t i = 0; i < past + length; i++) {
      const bool visible = mo_mask_shows(mask, mo_row_offset(mask, row) + i * stride);
      seen += visible;
      if (i >= past) rows[row * length + i - past] = model->stack.config.embedding.position_offset + (visible ? seen : 0) - 1;
    }
  }
}

static void find_padding(const mo_model_t *model, const mo_tensor *ids, bool *real) {
  const int64_t length = mo_row_length(ids), stride = mo_row_stride(ids);
  for (int64_t row = 0; row < mo_row_count(ids); row++) {
    bool any = false;
    for (int64_t i = 0; i < length; i++) {
      real[row * length + i] =
          mo_read_integer(ids, mo_row_offset(ids, row) + i * stride) != model->stack.config.embedding.padding_id;
      any |= real[row * length + i];
    }
    real[row * length] |= !any; /* nothing but padding: its first token, as an argmax gives it */
  }
}

static void find_ends(const mo_model_t *model, const mo_tensor *ids, bool *ends) {
  const int64_t length = mo_row_length(ids), stride = mo_row_stride(ids);
  for (int64_t row = 0; row < mo_row_count(ids); row++)
    for (int64_t i = 0; i < length; i++)
      ends[row * length + i] = mo_read_integer(ids, mo_row_offset(ids, row) + i * stride) == model->stack.config.end_id;
}

/* shift_tokens_right: the start token, then the source but its last; ignored labels become padding. */
static void shift(const mo_model_t *model, const mo_tensor *source, int64_t *ids) {
  const int64_t length = mo_row_length(source), stride = mo_row_stride(source);
  for (int64_t row = 0; row < mo_row_count(source); row++, ids += length) {
    ids[0] = model->stack.config.start_id;
    for (int64_t i = 1; i < length; i++) {
      const int64_t id = mo_read_integer(source, mo_row_offset(source, row) + (i - 1) * stride);
      ids[i] = id == MO_IGNORED_LABEL ? model->stack.config.embedding.padding_id : id;
    }
  }
}

static mo_status_t fill_one(const mo_model_t *model, const mo_prepared_inputs *prepared, mo_input_t which, void *destination) {
  const mo_tensor *source = prepared->sources[which], *tensor = &prepared->tensors[which];
  switch (prepared->origins[which]) {
    case MO_ORIGIN_COUNT_VISIBLE:
      count_visible(model, prepared, source, destination);
      return MO_STATUS_OK;
    case MO_ORIGIN_NOT_PADDING:
      find_padding(model, source, destination);
      return MO_STATUS_OK;
    case MO_ORIGIN_IS_END:
      find_ends(model, source, destination);
      return MO_STATUS_OK;
    case MO_ORIGIN_SHIFTED:
      shift(model, source, destination);
      return MO_STATUS_OK;
    case MO_ORIGIN_COUNT_ALL:
    case MO_ORIGIN_COUNT_ROWS:
      for (int64_t i = 0; i < tensor->shape[0] * tensor->shape[1]; i++)
        ((int64_t *)destination)[i] = past_of(prepared, i / tensor->shape[1]) + i % tensor->shape[1];
      return MO_STATUS_OK;
    default:
      break;
  }
  MO_CHECK(mo_input_is_readable(model, source), MO_STATUS_UNSUPPORTED,
           "%s: an input on the device must be contiguous and of the dtype its op takes, %s is not converted there",
           model->architecture.name, mo_dtype_name(source->dtype));
  return gather(source, tensor->dtype, destination);
}

mo_status_t mo_inputs_fill(const mo_model_t *model, const mo_prepared_inputs *prepared, void *arena_base, void *staging) {
  for (int which = 0; which < MO_INPUT_COUNT; which++) {
    const mo_tensor *tensor = &prepared->tensors[which];
    if (prepared->origins[which] == MO_ORIGIN_VIEW) continue;
    const ptrdiff_t offset = (char *)tensor->data - (char *)arena_base;
    char *destination = staging != NULL ? (char *)staging + offset : (char *)tensor->data;
    MO_TRY(fill_one(model, prepared, (mo_input_t)which, destination));
    if (staging != NULL)
      MO_TRY(mo_context_copy_to_device(model->context, tensor->data, destination, (size_t)mo_tensor_bytes(tensor)));
  }
  return MO_STATUS_OK;
}
