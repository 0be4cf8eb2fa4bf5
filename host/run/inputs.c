/* host/run/inputs.c - checking the inputs of a run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/generate/tensor_rows.h"
#include "host/ops/check.h"
#include "host/run/model_internal.h"

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

bool mo_mask_shows(const mo_tensor *mask, int64_t offset) {
  float value = 0.0f;
  if (!mo_dtype_is_float(mask->dtype)) return mo_read_integer(mask, offset) != 0;
  const char *address = (const char *)mask->data + offset * (int64_t)mo_dtype_bytes(mask->dtype);
  uint64_t aligned = 0;
  memcpy(&aligned, address, mo_dtype_bytes(mask->dtype));
  return mo_dtype_convert(&value, MO_DTYPE_FLOAT32, &aligned, mask->dtype, 1) == MO_STATUS_OK && value != 0.0f;
}

mo_status_t mo_check_values(const mo_model_t *model, const char *name, const mo_tensor *tensor, int64_t low, int64_t high,
                            bool allow_ignored, int64_t *ignored_count, const char *rule) {
  if (!mo_input_is_readable(model, tensor)) return MO_STATUS_OK;
  const int64_t rows = mo_row_count(tensor), length = mo_row_length(tensor), stride = mo_row_stride(tensor);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(tensor, row);
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
  if (!ids) extents[rank - 1] = model->stack.config.embedding.size;
  MO_TRY(mo_check_input(model, name, tensor, ids ? MO_DTYPES_INDEX : MO_DTYPES_FLOAT, rank, extents));

  shape->example_count = extents[0];
  shape->choice_count = choices ? extents[1] : 1;
  shape->sequence_length = extents[choices ? 2 : 1];
  MO_CHECK(shape->sequence_length >= 1 && shape->choice_count >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s of length 0, a sequence has at least one token", op, name);
  /* Everything a run carves must be countable in bytes with room to spare. */
  const int64_t limit =
      INT64_MAX / 64 / (mo_transformer_wide_size(&model->stack.config) + model->stack.config.embedding.vocab_size);
  MO_CHECK(mo_checked_mul(shape->example_count, shape->choice_count, &shape->batch_size), MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " choices are too many", op, shape->example_count, shape->choice_count);
  int64_t tokens;
  MO_CHECK(mo_checked_mul(shape->batch_size, shape->sequence_length, &tokens) && tokens <= limit, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " tokens are too many to address", op, shape->batch_size,
           shape->sequence_length);
  if (!ids) return MO_STATUS_OK;
  return mo_check_values(model, name, tensor, 0, model->stack.config.embedding.vocab_size, shape->shifted != NULL, &ignored,
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

/* Visible tokens of the row that has most of them. */
static int64_t largest_count(const mo_tensor *mask) {
  int64_t largest = 0;
  for (int64_t row = 0; row < mo_row_count(mask); row++) {
    int64_t count = 0;
    for (int64_t i = 0; i < mo_row_length(mask); i++)
      count += mo_mask_shows(mask, mo_row_offset(mask, row) + i * mo_row_stride(mask));
    if (count > largest) largest = count;
  }
  return largest;
}

/* Tokens of a row take a position each, or (padded positions) only those that are not padding. */
static mo_status_t check_default_positions(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape) {
  const mo_transformer_config *config = &model->stack.config;
  const char *op = model->architecture.name;
  const mo_run_cache *cache = &shape->cache;
  if (config->embedding.positions != MO_POSITIONS_SKIP_PADDING) {
    MO_CHECK(!cache->on_device, MO_STATUS_INVALID_ARGUMENT,
             "%s: cache_lengths without position_ids, this model looks positions up in a table", op);
    const bool counted = config->embedding.positions == MO_POSITIONS_FROM_MASK && inputs->attention_mask != NULL;
    MO_CHECK(!counted || (inputs->attention_mask->rank == 2 && mo_input_is_readable(model, inputs->attention_mask)),
             MO_STATUS_UNSUPPORTED, "%s: positions are counted in the attention_mask, which %s: give position_ids", op,
             inputs->attention_mask->rank == 2 ? "lies on the device" : "is no (batch, keys) one");
    const int64_t length = counted ? largest_count(inputs->attention_mask) : cache->past_length + shape->sequence_length;
    MO_CHECK(length <= config->embedding.position_count, MO_STATUS_INVALID_ARGUMENT,
             "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries", op, length,
             config->embedding.position_count);
    return MO_STATUS_OK;
  }
  const mo_tensor *ids = inputs->input_ids;
  const int64_t room = config->embedding.position_count - config->embedding.padding_id - 1;
  const bool readable = ids != NULL && mo_input_is_readable(model, ids);
  for (int64_t row = 0; row < (readable ? mo_row_count(ids) : 1); row++) {
    int64_t used = readable ? 0 : shape->sequence_length;
    for (int64_t i = 0; readable && i < shape->sequence_length; i++)
      used += mo_read_integer(ids, mo_row_offset(ids, row) + i * mo_row_stride(ids)) != config->embedding.padding_id;
    MO_CHECK(used <= room, MO_STATUS_INVALID_ARGUMENT,
             "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries, %" PRId64
             " of them behind the padding's",
             op, used, config->embedding.position_count, room);
  }
  return MO_STATUS_OK;
}

static int64_t largest_value(const mo_tensor *tensor) {
  int64_t largest = -1;
  for (int64_t row = 0; row < mo_row_count(tensor); row++)
    for (int64_t i = 0; i < mo_row_length(tensor); i++) {
      const int64_t value = mo_read_integer(tensor, mo_row_offset(tensor, row) + i * mo_row_stride(tensor));
      if (value > largest) largest = value;
    }
  return largest;
}

static mo_status_t check_positions(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const mo_transformer_config *config = &model->stack.config;
  const bool has_table = config->embedding.positions != MO_POSITIONS_NONE, rotary = config->attention.rotary.rotary_dim > 0;
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
    return mo_check_values(model, "position_ids", positions, 0, config->embedding.position_count, false, NULL,
                           "the position table's");
  /* A rotary embedding has no end; its tables grow with what is asked of them. */
  MO_TRY(mo_check_values(model, "position_ids", positions, 0, (int64_t)1 << 24, false, NULL, "the rotary embedding's"));
  const int64_t largest =
      mo_input_is_readable(model, positions) ? largest_value(positions) + 1 : config->embedding.position_count;
  if (largest > shape->rotary_positions) shape->rotary_positions = largest;
  return MO_STATUS_OK;
}

/* 0 hides, anything else shows; floating masks hold 0 and 1 only, as other values mean different things to different models. */
static mo_status_t look_at_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides) {
  const bool floating = mo_dtype_is_float(mask->dtype);
  const int64_t rows = mo_row_count(mask), length = mo_row_length(mask), stride = mo_row_stride(mask);
  *hides = false;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(mask, row);
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
  const mo_transformer_config *config = &model->stack.config;
  const int64_t count = config->embedding.types == MO_TYPES_AS_WORDS ? config->embedding.vocab_size : config->embedding.type_count;
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
  const int64_t padding = model->stack.config.embedding.padding_id;
  if (!model->architecture.classifies_last_token) return MO_STATUS_OK;
  MO_CHECK(padding != MO_NO_TOKEN || shape->example_count <= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences, but config.json has no pad_token_id to tell where each ends", op, shape->example_count);
  MO_CHECK(padding == MO_NO_TOKEN || inputs->input_ids == NULL || mo_input_is_readable(model, inputs->input_ids),
           MO_STATUS_UNSUPPORTED,
           "%s: input_ids lie on the device, but the last token that is not padding is looked for on the host", op);
  return MO_STATUS_OK;
}

mo_status_t mo_inputs_check(const mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                            mo_run_shape *shape) {
  MO_TRY(check_main_input(model, inputs, shape));
  MO_TRY(mo_run_cache_check(model, inputs, request, shape));
  MO_TRY(model->has_encoder ? mo_seq2seq_check(model, shape) : mo_run_encoder_check(model, inputs, shape));
  MO_TRY(check_mask(model, inputs->attention_mask, shape));
  MO_TRY(check_positions(model, inputs, shape)); /* which may look into the mask */
  MO_TRY(check_types(model, inputs->token_type_ids, shape));
  MO_TRY(check_last_tokens(model, inputs, shape));
  return mo_labels_check(model, inputs, shape);
}
