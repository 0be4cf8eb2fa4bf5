/* host/model/inputs.c - checking the inputs of a run and putting them where the ops can read them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/model/model_internal.h"
#include "host/ops/check.h"

/* ---- Reading tensors on the host ----------------------------------------------------------------------------------------- */

bool mo_input_is_readable(const mo_model_t *model, const mo_tensor *tensor) {
  return tensor->device.kind == MO_DEVICE_KIND_CPU || mo_context_backend(model->context)->memory_is_host;
}

int64_t mo_read_integer(const mo_tensor *tensor, int64_t offset) {
  const char *address = (const char *)tensor->data + offset * (int64_t)mo_dtype_bytes(tensor->dtype);
  int64_t wide;
  int32_t narrow;
  switch (tensor->dtype) {
    case MO_DTYPE_INT64:
      return memcpy(&wide, address, sizeof wide), wide;
    case MO_DTYPE_INT32:
      return memcpy(&narrow, address, sizeof narrow), narrow;
    case MO_DTYPE_INT8:
      return *(const int8_t *)address;
    default:
      return *(const uint8_t *)address;
  }
}

/* Rows are everything but the last dimension. */
static int64_t row_count(const mo_tensor *tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i + 1 < tensor->rank; i++) count *= tensor->shape[i];
  return count;
}

static int64_t row_length(const mo_tensor *tensor) { return tensor->rank == 0 ? 1 : tensor->shape[tensor->rank - 1]; }

static int64_t row_offset(const mo_tensor *tensor, int64_t row) {
  int64_t offset = 0;
  for (int32_t i = tensor->rank - 2; i >= 0; i--) {
    offset += row % tensor->shape[i] * tensor->strides[i];
    row /= tensor->shape[i];
  }
  return offset;
}

static int64_t row_stride(const mo_tensor *tensor) { return tensor->rank == 0 ? 1 : tensor->strides[tensor->rank - 1]; }

mo_status_t mo_check_values(const mo_model_t *model, const char *name, const mo_tensor *tensor, int64_t low, int64_t high,
                            bool allow_ignored, int64_t *ignored_count, const char *rule) {
  if (!mo_input_is_readable(model, tensor)) return MO_STATUS_OK;
  const int64_t rows = row_count(tensor), length = row_length(tensor), stride = row_stride(tensor);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = row_offset(tensor, row);
    for (int64_t i = 0; i < length; i++) {
      const int64_t value = mo_read_integer(tensor, start + i * stride);
      if (allow_ignored && value == MO_IGNORED_LABEL) {
        (*ignored_count)++;
        continue;
      }
      MO_CHECK(value >= low && value < high, MO_STATUS_INVALID_ARGUMENT,
               "%s: %s holds %" PRId64 " (row %" PRId64 ", position %" PRId64 "), outside %s range %" PRId64 "..%" PRId64,
               model->architecture.name, name, value, row, i, rule, low, high - 1);
    }
  }
  return MO_STATUS_OK;
}

/* ---- Checks -------------------------------------------------------------------------------------------------------------- */

mo_status_t mo_check_input(const mo_model_t *model, const char *name, const mo_tensor *tensor, uint32_t dtypes, int32_t rank,
                           const int64_t *shape) {
  const char *op = model->architecture.name;
  const mo_device device = mo_context_device(model->context);
  const bool there = tensor->device.kind == device.kind && tensor->device.index == device.index;
  char text[32];
  MO_CHECK(there || tensor->device.kind == MO_DEVICE_KIND_CPU, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s lies on %s, neither on the CPU nor on the context's device", op, name,
           mo_device_name(tensor->device, text, sizeof text));
  MO_CHECK(tensor->dtype > MO_DTYPE_NONE && tensor->dtype <= MO_DTYPE_BOOL && (dtypes & MO_DTYPE_BIT(tensor->dtype)) != 0,
           MO_STATUS_INVALID_ARGUMENT, "%s: %s has dtype %s, which it cannot have", op, name, mo_dtype_name(tensor->dtype));
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: %s has %d dimensions, not %d", op, name, (int)tensor->rank,
           (int)rank);
  for (int32_t i = 0; i < rank; i++) {
    MO_CHECK(tensor->shape[i] == shape[i], MO_STATUS_INVALID_ARGUMENT,
             "%s: dimension %d of %s is %" PRId64 ", not %" PRId64 " as the other inputs say", op, (int)i, name,
             tensor->shape[i], shape[i]);
    MO_CHECK(tensor->strides[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: stride %d of %s is %" PRId64 ", below 0", op, (int)i,
             name, tensor->strides[i]);
  }
  MO_CHECK(tensor->data != NULL || mo_tensor_count(tensor) == 0, MO_STATUS_INVALID_ARGUMENT, "%s: %s has no data", op, name);
  return MO_STATUS_OK;
}

/* Batch, choices and sequence length, from the ids or the embeddings. */
static mo_status_t check_main_input(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const mo_input_names *names = mo_input_names_of(model);
  const bool choices = model->architecture.head == MO_HEAD_MULTIPLE_CHOICE;
  const bool ids = inputs->input_ids != NULL;
  MO_CHECK(ids != (inputs->inputs_embeds != NULL), MO_STATUS_INVALID_ARGUMENT, "%s: %s of %s and %s, give one", op,
           ids ? "both" : "neither", names->ids, names->embeds);
  const mo_tensor *tensor = ids ? inputs->input_ids : inputs->inputs_embeds;
  const char *name = ids ? names->ids : names->embeds;
  int64_t ignored = 0;
  if (shape->shifted != NULL) name = shape->shifted == inputs->labels ? "labels" : "input_ids";
  const int32_t rank = 2 + (choices ? 1 : 0) + (ids ? 0 : 1);
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: %s has %d dimensions, not %d%s", op, name, (int)tensor->rank,
           (int)rank, choices ? " (batch, choices, sequence)" : "");
  for (int32_t i = 0; i < rank; i++)
    MO_CHECK(tensor->shape[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: dimension %d of %s is %" PRId64 ", below 0", op, (int)i,
             name, tensor->shape[i]);
  int64_t extents[4];
  memcpy(extents, tensor->shape, (size_t)rank * sizeof *extents);
  if (!ids) extents[rank - 1] = model->stack.config.embedding_size;
  MO_TRY(mo_check_input(model, name, tensor, ids ? MO_DTYPES_INDEX : MO_DTYPES_FLOAT, rank, extents));

  shape->example_count = extents[0];
  shape->choice_count = choices ? extents[1] : 1;
  shape->sequence_length = extents[choices ? 2 : 1];
  MO_CHECK(shape->sequence_length >= 1 && shape->choice_count >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s of length 0, a sequence has at least one token", op, name);
  /* Everything a run carves must be countable in bytes with room to spare. */
  const int64_t limit = INT64_MAX / 64 / (mo_stack_wide_size(&model->stack.config) + model->stack.config.vocab_size);
  MO_CHECK(mo_checked_mul(shape->example_count, shape->choice_count, &shape->batch_size), MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " choices are too many", op, shape->example_count, shape->choice_count);
  int64_t tokens;
  MO_CHECK(mo_checked_mul(shape->batch_size, shape->sequence_length, &tokens) && tokens <= limit, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " tokens are too many to address", op, shape->batch_size,
           shape->sequence_length);
  if (!ids) return MO_STATUS_OK;
  return mo_check_values(model, name, tensor, 0, model->stack.config.vocab_size, shape->shifted != NULL, &ignored,
                         "the vocabulary's");
}

/* Leading extents of an input that goes with the tokens: (B, S), or (B, choices, S). */
static int32_t token_extents(const mo_model_t *model, const mo_run_shape *shape, int64_t *extents) {
  int32_t rank = 0;
  extents[rank++] = shape->example_count;
  if (model->architecture.head == MO_HEAD_MULTIPLE_CHOICE) extents[rank++] = shape->choice_count;
  extents[rank++] = shape->sequence_length;
  return rank;
}

/* Tokens of a row take a position each, or (padded positions) only those that are not padding. */
static mo_status_t check_default_positions(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape) {
  const mo_stack_config *config = &model->stack.config;
  const char *op = model->architecture.name;
  const mo_run_cache *cache = &shape->cache;
  if (config->positions != MO_POSITIONS_SKIP_PADDING) {
    MO_CHECK(!cache->on_device, MO_STATUS_INVALID_ARGUMENT,
             "%s: cache_lengths without position_ids, this model looks positions up in a table", op);
    const bool counted = config->positions == MO_POSITIONS_FROM_MASK && inputs->attention_mask != NULL;
    MO_CHECK(!counted || mo_input_is_readable(model, inputs->attention_mask), MO_STATUS_UNSUPPORTED,
             "%s: positions are counted in the attention_mask, which lies on the device: give position_ids", op);
    const int64_t length = counted ? shape->sequence_length : cache->past_length + shape->sequence_length;
    MO_CHECK(length <= config->position_count, MO_STATUS_INVALID_ARGUMENT,
             "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries", op, length,
             config->position_count);
    return MO_STATUS_OK;
  }
  const mo_tensor *ids = inputs->input_ids;
  const int64_t room = config->position_count - config->padding_id - 1;
  const bool readable = ids != NULL && mo_input_is_readable(model, ids);
  for (int64_t row = 0; row < (readable ? row_count(ids) : 1); row++) {
    int64_t used = readable ? 0 : shape->sequence_length;
    for (int64_t i = 0; readable && i < shape->sequence_length; i++)
      used += mo_read_integer(ids, row_offset(ids, row) + i * row_stride(ids)) != config->padding_id;
    MO_CHECK(used <= room, MO_STATUS_INVALID_ARGUMENT,
             "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries, %" PRId64
             " of them behind the padding's",
             op, used, config->position_count, room);
  }
  return MO_STATUS_OK;
}

static int64_t largest_value(const mo_tensor *tensor) {
  int64_t largest = -1;
  for (int64_t row = 0; row < row_count(tensor); row++)
    for (int64_t i = 0; i < row_length(tensor); i++) {
      const int64_t value = mo_read_integer(tensor, row_offset(tensor, row) + i * row_stride(tensor));
      if (value > largest) largest = value;
    }
  return largest;
}

static mo_status_t check_positions(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const mo_stack_config *config = &model->stack.config;
  const bool has_table = config->positions != MO_POSITIONS_NONE, rotary = config->rotary.rotary_dim > 0;
  const mo_tensor *positions = inputs->position_ids;
  int64_t extents[3];
  shape->rotary_positions = shape->cache.key_length;
  if (positions == NULL) return has_table ? check_default_positions(model, inputs, shape) : MO_STATUS_OK;
  MO_CHECK(has_table || rotary, MO_STATUS_INVALID_ARGUMENT, "%s: position_ids was given, but this architecture takes none",
           model->architecture.name);
  const int32_t rank = token_extents(model, shape, extents);
  if (rank == 2 && positions->rank == 2 && positions->shape[0] == 1) extents[0] = 1;
  MO_TRY(mo_check_input(model, "position_ids", positions, MO_DTYPES_INDEX, rank, extents));
  if (has_table)
    return mo_check_values(model, "position_ids", positions, 0, config->position_count, false, NULL, "the position table's");
  /* A rotary embedding has no end; its tables grow with what is asked of them. */
  MO_TRY(mo_check_values(model, "position_ids", positions, 0, (int64_t)1 << 24, false, NULL, "the rotary embedding's"));
  const int64_t largest = mo_input_is_readable(model, positions) ? largest_value(positions) + 1 : config->position_count;
  if (largest > shape->rotary_positions) shape->rotary_positions = largest;
  return MO_STATUS_OK;
}

/* 0 hides, anything else shows; floating masks hold 0 and 1 only, as other values mean different things to different models. */
static mo_status_t look_at_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides) {
  const bool floating = mo_dtype_is_float(mask->dtype);
  const int64_t rows = row_count(mask), length = row_length(mask), stride = row_stride(mask);
  *hides = false;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = row_offset(mask, row);
    for (int64_t i = 0; i < length; i++) {
      const int64_t offset = start + i * stride;
      if (!floating) {
        *hides |= mo_read_integer(mask, offset) == 0;
        continue;
      }
      float value;
      const char *address = (const char *)mask->data + offset * (int64_t)mo_dtype_bytes(mask->dtype);
      MO_TRY(mo_dtype_convert(&value, MO_DTYPE_FLOAT32, address, mask->dtype, 1));
      MO_CHECK(value == 0.0f || value == 1.0f, MO_STATUS_INVALID_ARGUMENT,
               "%s: %s holds %g (row %" PRId64 ", position %" PRId64 "), a floating mask has only 0 and 1",
               model->architecture.name, name, (double)value, row, i);
      *hides |= value == 0.0f;
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_check_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides) {
  *hides = true;
  if (mo_input_is_readable(model, mask)) return look_at_mask(model, name, mask, hides);
  MO_CHECK(!mo_dtype_is_float(mask->dtype), MO_STATUS_UNSUPPORTED,
           "%s: a floating %s on the device, where only integer and bool masks are taken", model->architecture.name, name);
  return MO_STATUS_OK;
}

static mo_status_t check_mask(const mo_model_t *model, const mo_tensor *mask, mo_run_shape *shape) {
  const char *op = model->architecture.name, *name = mo_input_names_of(model)->mask;
  int64_t extents[4];
  int32_t rank = token_extents(model, shape, extents);
  if (mask == NULL) return MO_STATUS_OK;
  if (mask->rank == rank + 1) {
    rank++;
    shape->mask_per_query = true;
  }
  extents[rank - 1] = shape->cache.key_length;
  const int64_t found = mask->rank == rank ? mask->shape[rank - 1] : 0;
  MO_CHECK(mask->rank != rank || found == shape->cache.key_length || !shape->cache.wanted, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has %" PRId64 " keys, the cache and the new tokens have %" PRId64, op, name, found, shape->cache.key_length);
  MO_TRY(mo_check_input(model, name, mask, MO_DTYPES_MASK | MO_DTYPES_FLOAT, rank, extents));
  return mo_check_mask(model, name, mask, &shape->masked);
}

static mo_status_t check_types(const mo_model_t *model, const mo_tensor *types, const mo_run_shape *shape) {
  const mo_stack_config *config = &model->stack.config;
  const int64_t count = config->types_are_words ? config->vocab_size : config->type_count;
  int64_t extents[3];
  if (types == NULL) return MO_STATUS_OK;
  const int32_t rank = token_extents(model, shape, extents);
  MO_CHECK(count > 0, MO_STATUS_INVALID_ARGUMENT, "%s: token_type_ids was given, but this architecture takes none",
           model->architecture.name);
  MO_TRY(mo_check_input(model, "token_type_ids", types, MO_DTYPES_INDEX, rank, extents));
  return mo_check_values(model, "token_type_ids", types, 0, count, false, NULL, "the token types'");
}

/* A classifier of the last token looks for it among the ids. */
static mo_status_t check_last_tokens(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const int64_t padding = model->stack.config.padding_id;
  if (!model->architecture.classifies_last_token) return MO_STATUS_OK;
  MO_CHECK(padding >= 0 || shape->example_count <= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences, but config.json has no pad_token_id to tell where each ends", op, shape->example_count);
  MO_CHECK(padding < 0 || inputs->input_ids == NULL || mo_input_is_readable(model, inputs->input_ids), MO_STATUS_UNSUPPORTED,
           "%s: input_ids lie on the device, but the last token that is not padding is looked for on the host", op);
  return MO_STATUS_OK;
}

mo_status_t mo_inputs_check(const mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                            mo_run_shape *shape) {
  MO_TRY(check_main_input(model, inputs, shape));
  MO_TRY(mo_run_cache_check(model, inputs, request, shape));
  MO_TRY(model->has_encoder ? mo_seq2seq_check(model, shape) : mo_run_encoder_check(model, inputs, shape));
  MO_TRY(check_positions(model, inputs, shape));
  MO_TRY(check_mask(model, inputs->attention_mask, shape));
  MO_TRY(check_types(model, inputs->token_type_ids, shape));
  MO_TRY(check_last_tokens(model, inputs, shape));
  return mo_labels_check(model, inputs, shape);
}

/* ---- Placing ------------------------------------------------------------------------------------------------------------- */

/* A view of `source` with the target's shape, or memory to copy and convert it into. The view needs the device, the dtype, and
 * leading dimensions that fold into one. */
static void place(const mo_model_t *model, mo_prepared_inputs *prepared, mo_input_t which, const mo_tensor *source,
                  mo_dtype_t copy_dtype, uint32_t view_dtypes, int32_t rank, const int64_t *shape, mo_arena *arena) {
  const mo_device device = mo_context_device(model->context);
  const bool there = source->device.kind == device.kind && source->device.index == device.index;
  const bool aligned = (uintptr_t)source->data % mo_dtype_bytes(source->dtype) == 0;
  const bool foldable = source->rank == rank || mo_tensor_is_contiguous(source);
  if (there && aligned && foldable && (view_dtypes & MO_DTYPE_BIT(source->dtype)) != 0 && row_stride(source) == 1) {
    prepared->tensors[which] = source->rank == rank ? *source : mo_tensor_reshaped(source, rank, shape);
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
  const mo_stack_config *config = &model->stack.config;
  const int64_t length = shape->sequence_length;
  prepared->past_length = shape->cache.past_length;
  if (inputs->position_ids != NULL) {
    const int64_t rows = inputs->position_ids->rank == 2 ? inputs->position_ids->shape[0] : shape->batch_size;
    place(model, prepared, MO_INPUT_POSITIONS, inputs->position_ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2,
          (int64_t[]){rows, length}, arena);
  } else if (config->positions == MO_POSITIONS_FROM_MASK && shape->masked) {
    prepared->positions_are_rows = true; /* padding takes a row before that of position 0 */
    make(model, prepared, MO_INPUT_POSITIONS, MO_ORIGIN_COUNT_VISIBLE, inputs->attention_mask, MO_DTYPE_INT64,
         shape->batch_size, length, arena);
  } else if (config->rotary.rotary_dim > 0 && shape->cache.slides && !shape->cache.on_device) {
    make(model, prepared, MO_INPUT_POSITIONS, MO_ORIGIN_COUNT_ALL, NULL, MO_DTYPE_INT64, 1, length, arena);
  }
}

/* Of an encoder that runs. */
static void place_source(const mo_model_t *model, const mo_run_shape *shape, mo_arena *arena, mo_prepared_inputs *prepared) {
  const mo_model_inputs *source = shape->source;
  const int64_t tokens[3] = {shape->batch_size, shape->encoder_length, model->encoder.config.embedding_size};
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
          (int64_t[]){rows, model->stack.config.encoder_hidden_size}, arena);
  if (shape->encoder_masked)
    place(model, prepared, MO_INPUT_ENCODER_MASK, mask, MO_DTYPE_BOOL, MO_DTYPES_MASK, 4,
          (int64_t[]){shape->batch_size, 1, 1, length}, arena);
}

void mo_inputs_carve(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape, mo_arena *arena,
                     mo_prepared_inputs *prepared) {
  const int64_t tokens[3] = {shape->batch_size, shape->sequence_length, model->stack.config.embedding_size};
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
  if (model->architecture.classifies_last_token && inputs->input_ids != NULL && model->stack.config.padding_id >= 0)
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
  const int64_t rows = row_count(source), length = row_length(source), stride = row_stride(source);
  const int64_t element = (int64_t)mo_dtype_bytes(source->dtype), size = (int64_t)mo_dtype_bytes(dtype);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = row_offset(source, row);
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

/* OPT's positions: the running count of visible tokens, as rows of the table; padding takes the row before the first. */
static void count_visible(const mo_model_t *model, const mo_prepared_inputs *prepared, const mo_tensor *mask, int64_t *rows) {
  const int64_t length = prepared->tensors[MO_INPUT_POSITIONS].shape[1], stride = row_stride(mask);
  for (int64_t row = 0; row < row_count(mask); row++) {
    int64_t seen = 0;
    for (int64_t i = 0; i < row_length(mask); i++) {
      const int64_t offset = row_offset(mask, row) + i * stride;
      float value = 0.0f;
      if (mo_dtype_is_float(mask->dtype))
        (void)mo_dtype_convert(&value, MO_DTYPE_FLOAT32,
                               (const char *)mask->data + offset * (int64_t)mo_dtype_bytes(mask->dtype), mask->dtype, 1);
      else value = mo_read_integer(mask, offset) != 0 ? 1.0f : 0.0f;
      const bool visible = value != 0.0f;
      seen += visible;
      if (i >= prepared->past_length)
        rows[row * length + i - prepared->past_length] = model->stack.config.position_offset + (visible ? seen : 0) - 1;
    }
  }
}

static void find_padding(const mo_model_t *model, const mo_tensor *ids, bool *real) {
  const int64_t length = row_length(ids), stride = row_stride(ids);
  for (int64_t row = 0; row < row_count(ids); row++) {
    bool any = false;
    for (int64_t i = 0; i < length; i++) {
      real[row * length + i] = mo_read_integer(ids, row_offset(ids, row) + i * stride) != model->stack.config.padding_id;
      any |= real[row * length + i];
    }
    real[row * length] |= !any; /* nothing but padding: its first token, as an argmax gives it */
  }
}

static void find_ends(const mo_model_t *model, const mo_tensor *ids, bool *ends) {
  const int64_t length = row_length(ids), stride = row_stride(ids);
  for (int64_t row = 0; row < row_count(ids); row++)
    for (int64_t i = 0; i < length; i++)
      ends[row * length + i] = mo_read_integer(ids, row_offset(ids, row) + i * stride) == model->stack.config.end_id;
}

/* shift_tokens_right: the start token, then the source but its last; ignored labels become padding. */
static void shift(const mo_model_t *model, const mo_tensor *source, int64_t *ids) {
  const int64_t length = row_length(source), stride = row_stride(source);
  for (int64_t row = 0; row < row_count(source); row++, ids += length) {
    ids[0] = model->stack.config.start_id;
    for (int64_t i = 1; i < length; i++) {
      const int64_t id = mo_read_integer(source, row_offset(source, row) + (i - 1) * stride);
      ids[i] = id == MO_IGNORED_LABEL ? model->stack.config.padding_id : id;
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
      for (int64_t i = 0; i < tensor->shape[1]; i++) ((int64_t *)destination)[i] = prepared->past_length + i;
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
