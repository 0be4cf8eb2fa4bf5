/* host/tokens/encoder_decoder.c - models of an encoder and a decoder: which of the given inputs is whose, and the encoder's
 * part of a run. And what a decoder alone attends over.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/call/input_check.h"
#include "host/call/tensor_rows.h"
#include "host/ops/check.h"
#include "host/tokens/token_call.h"

/* ---- The decoder's inputs ------------------------------------------------------------------------------------------------ */

static bool is_token(const mo_model_t *model, int64_t id) {
  return id >= 0 && id < mo_token_config(model)->embedding.vocab_size;
}

/* Labels that are ignored become padding. */
static bool holds_ignored(const mo_tensor *labels) {
  if (labels->rank != 2 || (labels->dtype != MO_DTYPE_INT32 && labels->dtype != MO_DTYPE_INT64))
    return false; /* refused later */
  for (int64_t row = 0; row < mo_row_count(labels); row++)
    for (int64_t i = 0; i < mo_row_length(labels); i++)
      if (mo_read_integer(labels, mo_row_offset(labels, row) + i * mo_row_stride(labels)) == MO_IGNORED_LABEL) return true;
  return false;
}

/* What decoder ids are made of where none are given: labels, or the encoder's ids. */
static mo_status_t find_shifted(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const mo_transformer_config *config = mo_token_config(model);
  const char *op = model->architecture.name;
  const mo_tensor *labels = model->architecture.head->labels_are_tokens ? mo_call_tensor(call, "labels") : NULL;
  const bool of_inputs = mo_token_rules_of(model)->decodes_inputs;
  const char *name = labels != NULL ? "labels" : "input_ids";
  if (tokens->ids != NULL || tokens->embeds != NULL) return MO_STATUS_OK;
  tokens->shifted = labels != NULL ? labels : of_inputs ? mo_call_tensor(call, "input_ids") : NULL;
  MO_CHECK(tokens->shifted != NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: neither of decoder_input_ids and decoder_inputs_embeds, and no %s to make them of", op,
           of_inputs ? "labels or input_ids" : "labels");
  MO_CHECK(mo_model_can_read(model, tokens->shifted), MO_STATUS_UNSUPPORTED,
           "%s: %s lie on the device, but decoder ids are made of them on the host: give decoder_input_ids", op, name);
  MO_CHECK(is_token(model, config->start_id), MO_STATUS_INVALID_ARGUMENT,
           "%s: decoder ids are to be made of %s, but config.json's decoder_start_token_id (%" PRId64
           ") is not in the vocabulary",
           op, name, config->start_id);
  MO_CHECK(labels == NULL || is_token(model, config->embedding.padding_id) || !holds_ignored(labels),
           MO_STATUS_INVALID_ARGUMENT,
           "%s: decoder ids are to be made of labels with ignored ones, but config.json's pad_token_id (%s) is not in the "
           "vocabulary",
           op, mo_config_show(model->config, "pad_token_id").text);
  tokens->ids = tokens->shifted;
  return MO_STATUS_OK;
}

mo_status_t mo_token_find_decoder_inputs(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const bool encoder = call->model->facts.has_encoder;
  tokens->ids = mo_call_tensor(call, encoder ? "decoder_input_ids" : "input_ids");
  tokens->embeds = mo_call_tensor(call, encoder ? "decoder_inputs_embeds" : "inputs_embeds");
  tokens->mask = mo_call_tensor(call, encoder ? "decoder_attention_mask" : "attention_mask");
  return encoder ? find_shifted(call) : MO_STATUS_OK;
}

/* ---- The encoder's inputs ------------------------------------------------------------------------------------------------ */

/* Ids or embeds as the encoder takes them. */
static mo_status_t check_source(mo_call *call, const mo_tensor *tensor, bool ids) {
  MO_TOKEN_CALL(tokens, call);
  const mo_embedding_config *config = &mo_token_model_of(call->model)->encoder.config.embedding;
  const char *op = call->model->architecture.name, *name = ids ? "input_ids" : "inputs_embeds";
  const int32_t rank = ids ? 2 : 3;
  MO_CHECK(tensor->rank == rank && tensor->shape[1] >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has %d dimensions or no token, it is (batch, sequence%s)", op, name, (int)tensor->rank,
           ids ? "" : ", width");
  const int64_t extents[3] = {call->batch_size, tensor->shape[1], config->size};
  MO_TRY(mo_check_input(call->model, name, tensor, ids ? MO_DTYPES_INDEX : MO_DTYPES_FLOAT, rank, extents));
  tokens->encoder_length = tensor->shape[1];
  MO_CHECK(config->positions == MO_POSITIONS_NONE || tokens->encoder_length <= config->position_count,
           MO_STATUS_INVALID_ARGUMENT, "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries",
           op, tokens->encoder_length, config->position_count);
  return ids ? mo_check_values(call->model, name, tensor, 0, config->vocab_size, false, NULL, "the vocabulary's")
             : MO_STATUS_OK;
}

/* The encoder's work of an earlier run; it becomes a field of the output as it is. */
static mo_status_t check_encoder_outputs(mo_call *call, const mo_field *field) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const char *op = model->architecture.name;
  const mo_tensor *tensor = mo_field_tensor(field);
  const mo_device device = mo_context_device(model->context);
  MO_CHECK(tensor != NULL && tensor->dtype == model->dtype && mo_tensor_is_contiguous(tensor) &&
               tensor->device.kind == device.kind && tensor->device.index == device.index,
           MO_STATUS_INVALID_ARGUMENT, "%s: encoder_outputs is no contiguous %s tensor on the context's device", op,
           mo_dtype_name(model->dtype));
  MO_CHECK(tensor->rank == 3 && tensor->shape[1] >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_outputs has %d dimensions or no token, it is (batch, sequence, width)", op, (int)tensor->rank);
  MO_CHECK(tokens->encoder_length == 0 || tokens->encoder_length == tensor->shape[1], MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_outputs has %" PRId64 " tokens, the encoder's inputs have %" PRId64, op, tensor->shape[1],
           tokens->encoder_length);
  const int64_t extents[3] = {call->batch_size, tensor->shape[1], mo_token_model_of(model)->encoder.config.output_size};
  MO_TRY(mo_check_input(model, "encoder_outputs", tensor, MO_DTYPES_FLOAT, 3, extents));
  tokens->encoder_length = tensor->shape[1];
  return MO_STATUS_OK;
}

/* Of what the decoder attends over: `length` tokens. */
static mo_status_t check_cross_mask(mo_call *call, const char *name) {
  MO_TOKEN_CALL(tokens, call);
  const mo_tensor *mask = mo_call_tensor(call, name);
  const int64_t extents[2] = {call->batch_size, tokens->encoder_length};
  if (mask == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_input(call->model, name, mask, MO_DTYPES_MASK | MO_DTYPES_FLOAT, 2, extents));
  MO_TRY(mo_check_mask(call->model, name, mask, &tokens->encoder_masked));
  if (!tokens->encoder_masked) return MO_STATUS_OK;
  const int64_t shape[4] = {call->batch_size, 1, 1, tokens->encoder_length};
  tokens->placed_encoder_mask = mo_call_place(call, mask, MO_DTYPE_BOOL, MO_DTYPES_MASK, 4, shape);
  return MO_STATUS_OK;
}

mo_status_t mo_token_check_encoder(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const mo_transformer_config *config = &mo_token_model_of(model)->encoder.config;
  const char *op = model->architecture.name;
  const mo_tensor *ids = mo_call_tensor(call, "input_ids"), *embeds = mo_call_tensor(call, "inputs_embeds");
  const mo_field *earlier = mo_call_field(call, "encoder_outputs");
  const int64_t cached = tokens->cache.cross_is_cached ? mo_cache_length(tokens->cache.cross, 0) : 0;
  MO_CHECK(ids == NULL || embeds == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: both of input_ids and inputs_embeds, give one", op);
  MO_CHECK(ids != NULL || embeds != NULL || earlier != NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: none of input_ids, inputs_embeds and encoder_outputs, give one", op);
  tokens->encoder_runs = earlier == NULL;
  if (ids != NULL || embeds != NULL) MO_TRY(check_source(call, ids != NULL ? ids : embeds, ids != NULL));
  if (!tokens->encoder_runs) MO_TRY(check_encoder_outputs(call, earlier));
  MO_CHECK(cached == 0 || cached == tokens->encoder_length, MO_STATUS_INVALID_ARGUMENT,
           "%s: the encoder has %" PRId64 " tokens, the cache was filled from %" PRId64, op, tokens->encoder_length, cached);
  int64_t count;
  const int64_t limit = INT64_MAX / 64 / mo_transformer_wide_size(config);
  MO_CHECK(mo_checked_mul(call->batch_size, tokens->encoder_length, &count) && count <= limit, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " tokens are too many to address", op, call->batch_size,
           tokens->encoder_length);
  const int64_t shape[3] = {call->batch_size, tokens->encoder_length, config->embedding.size};
  if (tokens->encoder_runs && ids != NULL)
    tokens->placed_source_ids = mo_call_place(call, ids, MO_DTYPE_INT64, MO_DTYPES_INDEX, 2, shape);
  if (tokens->encoder_runs && embeds != NULL)
    tokens->placed_source_embeds = mo_call_place(call, embeds, model->dtype, MO_DTYPE_BIT(model->dtype), 3, shape);
  return check_cross_mask(call, "attention_mask");
}

/* ---- What a decoder alone attends over ----------------------------------------------------------------------------------- */

static mo_status_t check_encoder_hidden(mo_call *call, const mo_tensor *hidden, int64_t cached) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const mo_attention_config *config = &mo_token_config(model)->attention;
  const char *op = model->architecture.name;
  MO_CHECK(hidden->rank == 3 && hidden->shape[1] >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_hidden_states has %d dimensions or no token, it is (batch, tokens, width)", op, (int)hidden->rank);
  const int64_t extents[3] = {call->batch_size, hidden->shape[1], config->encoder_size};
  MO_TRY(mo_check_input(model, "encoder_hidden_states", hidden, MO_DTYPES_FLOAT, 3, extents));
  MO_CHECK(cached == 0 || cached == hidden->shape[1], MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_hidden_states has %" PRId64 " tokens, the cache was filled from %" PRId64, op, hidden->shape[1],
           cached);
  int64_t rows;
  MO_CHECK(mo_checked_mul(call->batch_size, hidden->shape[1], &rows) &&
               rows <= INT64_MAX / 64 / (2 * config->key_value_head_count * config->head_size),
           MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " encoder tokens are too many to address", op, hidden->shape[1]);
  tokens->encoder_length = hidden->shape[1];
  const int64_t shape[2] = {rows, config->encoder_size};
  if (!tokens->cache.cross_is_cached)
    tokens->placed_encoder_hidden = mo_call_place(call, hidden, model->dtype, MO_DTYPE_BIT(model->dtype), 2, shape);
  return MO_STATUS_OK;
}

mo_status_t mo_token_check_cross(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_tensor *hidden = mo_call_tensor(call, "encoder_hidden_states");
  const int64_t cached = tokens->cache.cross_is_cached ? mo_cache_length(tokens->cache.cross, 0) : 0;
  tokens->encoder_length = cached;
  if (hidden != NULL) MO_TRY(check_encoder_hidden(call, hidden, cached));
  MO_CHECK(mo_call_tensor(call, "encoder_attention_mask") == NULL || tokens->encoder_length > 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_attention_mask without encoder_hidden_states", call->model->architecture.name);
  return check_cross_mask(call, "encoder_attention_mask");
}

/* ---- Running ------------------------------------------------------------------------------------------------------------- */

mo_transformer_inputs mo_token_encoder_inputs(const mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  return (mo_transformer_inputs){.batch_size = call->batch_size,
                                 .sequence_length = tokens->encoder_length,
                                 .ids = mo_call_placed(call, tokens->placed_source_ids),
                                 .embeds = mo_call_placed(call, tokens->placed_source_embeds),
                                 .mask = mo_call_placed(call, tokens->placed_encoder_mask),
                                 .key_length = tokens->encoder_length};
}

mo_status_t mo_token_encode(mo_call *call, mo_tensor *states) {
  static const char name[] = "encoder_last_hidden_state";
  MO_TOKEN_CALL(tokens, call);
  const mo_transformer *encoder = &mo_token_model_of(call->model)->encoder;
  mo_tensor hidden;
  if (tokens->encoder_runs) {
    const mo_transformer_inputs inputs = mo_token_encoder_inputs(call);
    const mo_weights_sink weights = mo_weights_sink_of(mo_output_get(call->output, "encoder_attentions"), &call->request);
    const mo_sinks sinks = {.states = mo_output_get(call->output, "encoder_hidden_states"),
                            .last_state = mo_output_get(call->output, name),
                            .self_weights = weights};
    MO_TRY(mo_transformer_forward(encoder, &inputs, &tokens->encoder, &sinks, &hidden));
  } else {
    mo_field *field = mo_call_field(call, "encoder_outputs");
    hidden = *mo_field_tensor(field);
    MO_TRY(mo_output_set_item(call->output, name, field));
  }
  const int64_t matrix[2] = {call->batch_size * tokens->encoder_length, encoder->config.output_size};
  *states = mo_tensor_reshaped(&hidden, 2, matrix);
  return MO_STATUS_OK;
}
