/* host/tokens/token_check.c - the inputs of a token model: extents, shapes, dtypes and every value that the host can look at.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/call/input_check.h"
#include "host/call/tensor_rows.h"
#include "host/ops/check.h"
#include "host/tokens/token_call.h"

int32_t mo_token_extents(const mo_call *call, int64_t *extents) {
  int32_t rank = 0;
  extents[rank++] = call->example_count;
  if (call->model->architecture.head->takes_choices) extents[rank++] = call->choice_count;
  extents[rank++] = call->sequence_length;
  return rank;
}

/* Everything a run carves must be countable in bytes with room to spare. */
static mo_status_t check_countable(const mo_call *call) {
  const mo_transformer_config *config = mo_token_config(call->model);
  const int64_t limit = INT64_MAX / 64 / (mo_transformer_wide_size(config) + config->embedding.vocab_size);
  int64_t tokens;
  MO_CHECK(mo_checked_mul(call->batch_size, call->sequence_length, &tokens) && tokens <= limit, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " tokens are too many to address", call->model->architecture.name,
           call->batch_size, call->sequence_length);
  return MO_STATUS_OK;
}

/* How sentences call the ids or the embeddings. */
static const char *main_name(const mo_call *call, const mo_token_call *tokens) {
  const bool decoder = call->model->facts.has_encoder, ids = tokens->ids != NULL;
  if (tokens->shifted != NULL) return tokens->shifted == mo_call_tensor(call, "labels") ? "labels" : "input_ids";
  return ids ? decoder ? "decoder_input_ids" : "input_ids" : decoder ? "decoder_inputs_embeds" : "inputs_embeds";
}

/* Batch, choices and sequence length, from the ids or the embeddings. */
static mo_status_t check_main_input(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const mo_transformer_config *config = mo_token_config(model);
  const char *op = model->architecture.name, *decoder = model->facts.has_encoder ? "decoder_" : "";
  const bool choices = model->architecture.head->takes_choices, ids = tokens->ids != NULL;
  MO_CHECK(ids != (tokens->embeds != NULL), MO_STATUS_INVALID_ARGUMENT, "%s: %s of %sinput_ids and %sinputs_embeds, give one",
           op, ids ? "both" : "neither", decoder, decoder);
  const mo_tensor *tensor = ids ? tokens->ids : tokens->embeds;
  const char *name = main_name(call, tokens);
  int64_t ignored = 0;
  const int32_t rank = 2 + (choices ? 1 : 0) + (ids ? 0 : 1);
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: %s has %d dimensions, not %d%s", op, name, (int)tensor->rank,
           (int)rank, choices ? " (batch, choices, sequence)" : "");
  for (int32_t i = 0; i < rank; i++)
    MO_CHECK(tensor->shape[i] >= 0, MO_STATUS_INVALID_ARGUMENT, "%s: dimension %d of %s is %" PRId64 ", below 0", op, (int)i,
             name, tensor->shape[i]);
  int64_t extents[4];
  memcpy(extents, tensor->shape, (size_t)rank * sizeof *extents);
  if (!ids) extents[rank - 1] = config->embedding.size;
  MO_TRY(mo_check_input(model, name, tensor, ids ? MO_DTYPES_INDEX : MO_DTYPES_FLOAT, rank, extents));

  call->example_count = extents[0];
  call->choice_count = choices ? extents[1] : 1;
  call->sequence_length = extents[choices ? 2 : 1];
  MO_CHECK(call->sequence_length >= 1 && call->choice_count >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s of length 0, a sequence has at least one token", op, name);
  MO_CHECK(mo_checked_mul(call->example_count, call->choice_count, &call->batch_size), MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " choices are too many", op, call->example_count, call->choice_count);
  MO_TRY(check_countable(call));
  if (!ids) return MO_STATUS_OK;
  return mo_check_values(model, name, tensor, 0, config->embedding.vocab_size, tokens->shifted != NULL, &ignored,
                         "the vocabulary's");
}

/* shift_tokens_right: the start token, then the source but its last; ignored labels become padding. */
static void shift(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_transformer_config *config = mo_token_config(call->model);
  const mo_tensor *source = placement->source;
  const int64_t length = mo_row_length(source), stride = mo_row_stride(source);
  int64_t *ids = destination;
  for (int64_t row = 0; row < mo_row_count(source); row++, ids += length) {
    ids[0] = config->start_id;
    for (int64_t i = 1; i < length; i++) {
      const int64_t id = mo_read_integer(source, mo_row_offset(source, row) + (i - 1) * stride);
      ids[i] = id == MO_IGNORED_LABEL ? config->embedding.padding_id : id;
    }
  }
}

static void place_main_input(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_dtype_t dtype = call->model->dtype;
  const int64_t extents[3] = {call->batch_size, call->sequence_length, mo_token_config(call->model)->embedding.size};
  if (tokens->shifted != NULL)
    tokens->placed_ids = mo_call_make(call, tokens->shifted, shift, MO_DTYPE_INT64, extents[0], extents[1]);
  else if (tokens->ids != NULL)
    tokens->placed_ids = mo_call_place(call, tokens->ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, extents);
  if (tokens->embeds != NULL)
    tokens->placed_embeds = mo_call_place(call, tokens->embeds, dtype, MO_DTYPE_BIT(dtype), 3, extents);
}

static mo_status_t check_mask(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_token_cache *cache = &tokens->cache;
  const mo_tensor *mask = tokens->mask;
  const char *op = call->model->architecture.name;
  const char *name = call->model->facts.has_encoder ? "decoder_attention_mask" : "attention_mask";
  int64_t extents[4];
  int32_t rank = mo_token_extents(call, extents);
  if (mask == NULL) return MO_STATUS_OK;
  if (mask->rank == rank + 1) {
    rank++;
    tokens->mask_per_query = true;
  }
  if (cache->shown_length > cache->key_length && mask->rank == rank && mask->shape[rank - 1] == cache->shown_length) {
    tokens->trimmed_mask = *mask;
    tokens->trimmed_mask.shape[rank - 1] = cache->key_length;
    mask = &tokens->trimmed_mask;
  }
  extents[rank - 1] = cache->key_length;
  const int64_t found = mask->rank == rank ? mask->shape[rank - 1] : 0;
  MO_CHECK(mask->rank != rank || found == cache->key_length || !cache->wanted, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has %" PRId64 " keys, the cache and the new tokens have %" PRId64, op, name, found, cache->key_length);
  MO_TRY(mo_check_input(call->model, name, mask, MO_DTYPES_MASK | MO_DTYPES_FLOAT, rank, extents));
  MO_TRY(mo_check_mask(call->model, name, mask, &tokens->masked));
  if (!tokens->masked) return MO_STATUS_OK;
  const int64_t shape[4] = {call->batch_size, 1, tokens->mask_per_query ? call->sequence_length : 1, cache->key_length};
  tokens->placed_mask = mo_call_place(call, mask, MO_DTYPE_BOOL, MO_DTYPES_MASK, 4, shape);
  return MO_STATUS_OK;
}

static mo_status_t check_types(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_embedding_config *config = &mo_token_config(call->model)->embedding;
  const int64_t count = config->types == MO_TYPES_AS_WORDS ? config->vocab_size : config->type_count;
  const mo_tensor *types = mo_call_tensor(call, "token_type_ids");
  int64_t extents[3];
  if (types == NULL) return MO_STATUS_OK;
  const int32_t rank = mo_token_extents(call, extents);
  MO_TRY(mo_check_input(call->model, "token_type_ids", types, MO_DTYPES_INDEX, rank, extents));
  MO_TRY(mo_check_values(call->model, "token_type_ids", types, 0, count, false, NULL, "the token types'"));
  const int64_t shape[2] = {call->batch_size, call->sequence_length};
  tokens->placed_types = mo_call_place(call, types, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, shape);
  return MO_STATUS_OK;
}

mo_status_t mo_token_check(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  tokens->placed_ids = tokens->placed_embeds = tokens->placed_types = tokens->placed_positions = tokens->placed_mask = -1;
  tokens->placed_lengths = tokens->placed_encoder_hidden = tokens->placed_encoder_mask = -1;
  tokens->placed_source_ids = tokens->placed_source_embeds = -1;
  MO_TRY(mo_token_find_decoder_inputs(call));
  MO_TRY(check_main_input(call));
  place_main_input(call);
  MO_TRY(mo_token_cache_check(call));
  MO_TRY(call->model->facts.has_encoder ? mo_token_check_encoder(call) : mo_token_check_cross(call));
  MO_TRY(check_mask(call));
  MO_TRY(mo_token_check_positions(call)); /* which may look into the mask */
  MO_TRY(check_types(call));
  /* Here, so that the tables are there once an output was made: a captured run makes none. */
  return mo_transformer_prepare_rotary(&mo_token_model_of(call->model)->transformer, tokens->rotary_positions,
                                       tokens->cache.key_length);
}
