/* host/tokens/token_positions.c - the position of each token: given, counted on the host, or left to the embedding op.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/call/input_check.h"
#include "host/call/tensor_rows.h"
#include "host/ops/check.h"
#include "host/tokens/token_call.h"

#define MOST_POSITIONS ((int64_t)1 << 24) /* of a rotary embedding, which has no end of its own */

/* ---- Checks ------------------------------------------------------------------------------------------------------------- */

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

/* Only tokens that are not padding take a position, from padding_id + 1 on. */
static mo_status_t check_skipping_positions(const mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_embedding_config *config = &mo_token_config(call->model)->embedding;
  const mo_tensor *ids = tokens->ids;
  const int64_t room = config->position_count - config->padding_id - 1;
  const bool readable = ids != NULL && mo_model_can_read(call->model, ids);
  for (int64_t row = 0; row < (readable ? mo_row_count(ids) : 1); row++) {
    int64_t used = readable ? 0 : call->sequence_length;
    for (int64_t i = 0; readable && i < call->sequence_length; i++)
      used += mo_read_integer(ids, mo_row_offset(ids, row) + i * mo_row_stride(ids)) != config->padding_id;
    MO_CHECK(used <= room, MO_STATUS_INVALID_ARGUMENT,
             "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries, %" PRId64
             " of them behind the padding's",
             call->model->architecture.name, used, config->position_count, room);
  }
  return MO_STATUS_OK;
}

/* Of a table, where no position_ids are given: every token of a row takes one, or every visible one. */
static mo_status_t check_table_positions(const mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_embedding_config *config = &mo_token_config(call->model)->embedding;
  const char *op = call->model->architecture.name;
  const mo_tensor *mask = tokens->mask;
  MO_CHECK(!tokens->cache.on_device, MO_STATUS_INVALID_ARGUMENT,
           "%s: cache_lengths without position_ids, this model looks positions up in a table", op);
  const bool counted = config->positions == MO_POSITIONS_FROM_MASK && mask != NULL;
  MO_CHECK(!counted || (mask->rank == 2 && mo_model_can_read(call->model, mask)), MO_STATUS_UNSUPPORTED,
           "%s: positions are counted in the attention_mask, which %s: give position_ids", op,
           mask->rank == 2 ? "lies on the device" : "is no (batch, keys) one");
  const int64_t length = counted ? largest_count(mask) : tokens->cache.past_length + call->sequence_length;
  MO_CHECK(length <= config->position_count, MO_STATUS_INVALID_ARGUMENT,
           "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries", op, length,
           config->position_count);
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

/* JAX counts negative rows from the end of a table; OPT's begins before position 0. */
static void wrap(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_embedding_config *config = &mo_token_config(call->model)->embedding;
  const mo_tensor *given = placement->source;
  const int64_t offset = config->positions != MO_POSITIONS_NONE ? config->position_offset : 0;
  const int64_t rows = mo_row_count(given), length = mo_row_length(given), stride = mo_row_stride(given);
  int64_t *positions = destination;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < length; i++) {
      const int64_t value = mo_read_integer(given, mo_row_offset(given, row) + i * stride) + offset;
      positions[row * length + i] = value >= 0 ? value : config->position_count + offset + value;
    }
}

/* Flax models count positions in the mask less 1: padding in front has -1. */
static bool has_minus_one(const mo_call *call, const mo_tensor *positions) {
  if (call->model->framework != MO_FRAMEWORK_FLAX || !mo_model_can_read(call->model, positions)) return false;
  for (int64_t row = 0; row < mo_row_count(positions); row++)
    for (int64_t i = 0; i < mo_row_length(positions); i++)
      if (mo_read_integer(positions, mo_row_offset(positions, row) + i * mo_row_stride(positions)) == -1) return true;
  return false;
}

static mo_status_t check_given(mo_call *call, const mo_tensor *positions) {
  MO_TOKEN_CALL(tokens, call);
  const mo_embedding_config *config = &mo_token_config(call->model)->embedding;
  const int64_t least = call->model->framework == MO_FRAMEWORK_FLAX ? -1 : 0;
  int64_t extents[3];
  const int32_t rank = mo_token_extents(call, extents);
  if (rank == 2 && positions->rank == 2 && positions->shape[0] == 1) extents[0] = 1;
  MO_TRY(mo_check_input(call->model, "position_ids", positions, MO_DTYPES_INDEX, rank, extents));
  if (config->positions != MO_POSITIONS_NONE)
    return mo_check_values(call->model, "position_ids", positions, least, config->position_count, false, NULL,
                           "the position table's");
  /* A rotary embedding has no end; its tables grow with what is asked of them. */
  MO_TRY(mo_check_values(call->model, "position_ids", positions, least, MOST_POSITIONS, false, NULL, "the rotary embedding's"));
  const bool whole = !mo_model_can_read(call->model, positions) || has_minus_one(call, positions);
  const int64_t count = whole ? config->position_count : largest_value(positions) + 1;
  if (count > tokens->rotary_positions) tokens->rotary_positions = count;
  return MO_STATUS_OK;
}

/* ---- Positions that are made --------------------------------------------------------------------------------------------- */

/* Tokens of a row before the new ones. */
static int64_t past_of(const mo_call *call, int64_t row) {
  MO_TOKEN_CALL(tokens, call);
  return tokens->cache.rows_differ ? mo_cache_row_length(tokens->cache.self, row) : tokens->cache.past_length;
}

static void count_all(const mo_call *call, const mo_placement *placement, void *destination) {
  const int64_t rows = placement->tensor.shape[0], length = placement->tensor.shape[1];
  int64_t *positions = destination;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < length; i++) positions[row * length + i] = past_of(call, row) + i;
}

/* OPT's positions: the running count of visible tokens, as rows of the table; padding takes the row before the first. */
static void count_visible(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_tensor *mask = placement->source;
  const int64_t offset = mo_token_config(call->model)->embedding.position_offset;
  const int64_t length = placement->tensor.shape[1], stride = mo_row_stride(mask);
  int64_t *rows = destination;
  for (int64_t row = 0; row < mo_row_count(mask); row++) {
    const int64_t past = past_of(call, row);
    int64_t seen = 0;
    for (int64_t i = 0; i < past + length; i++) {
      const bool visible = mo_mask_shows(mask, mo_row_offset(mask, row) + i * stride);
      seen += visible;
      if (i >= past) rows[row * length + i - past] = offset + (visible ? seen : 0) - 1;
    }
  }
}

static void place(mo_call *call, const mo_tensor *positions) {
  MO_TOKEN_CALL(tokens, call);
  const mo_transformer_config *config = mo_token_config(call->model);
  const mo_token_cache *cache = &tokens->cache;
  const int64_t length = call->sequence_length;
  const bool rotary = config->attention.rotary.rotary_dim > 0;
  if (positions != NULL) {
    const int64_t rows = positions->rank == 2 ? positions->shape[0] : call->batch_size;
    if (has_minus_one(call, positions)) {
      tokens->positions_are_rows = config->embedding.positions != MO_POSITIONS_NONE;
      tokens->placed_positions = mo_call_make(call, positions, wrap, MO_DTYPE_INT64, rows, length);
      return;
    }
    tokens->placed_positions = mo_call_place(call, positions, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, (int64_t[]){rows, length});
  } else if (config->embedding.positions == MO_POSITIONS_FROM_MASK && tokens->masked) {
    tokens->positions_are_rows = true; /* padding takes a row before that of position 0 */
    tokens->placed_positions = mo_call_make(call, tokens->mask, count_visible, MO_DTYPE_INT64, call->batch_size, length);
  } else if (cache->rows_differ && (config->embedding.positions != MO_POSITIONS_NONE || rotary)) {
    tokens->placed_positions = mo_call_make(call, NULL, count_all, MO_DTYPE_INT64, call->batch_size, length);
  } else if (rotary && cache->slides && !cache->on_device) {
    tokens->placed_positions = mo_call_make(call, NULL, count_all, MO_DTYPE_INT64, 1, length);
  }
}

mo_status_t mo_token_check_positions(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_positions_rule_t rule = mo_token_config(call->model)->embedding.positions;
  const mo_tensor *positions = mo_call_tensor(call, "position_ids");
  tokens->rotary_positions = tokens->cache.key_length;
  if (positions != NULL) MO_TRY(check_given(call, positions));
  else if (rule == MO_POSITIONS_SKIP_PADDING) MO_TRY(check_skipping_positions(call));
  else if (rule != MO_POSITIONS_NONE) MO_TRY(check_table_positions(call));
  place(call, positions);
  return MO_STATUS_OK;
}
