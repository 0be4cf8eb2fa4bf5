/* host/run/seq2seq.c - encoder-decoder models: which of the caller's inputs is whose, and the encoder's part of a run.
 *
 * The decoder is the stack every other file speaks of. It sees inputs in which the decoder's own stand where those of a single
 * stack do (mo_seq2seq_decoder_inputs); the caller's stay reachable as mo_run_shape.source.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/generate/tensor_rows.h"
#include "host/ops/check.h"
#include "host/run/model_internal.h"

/* ---- Names --------------------------------------------------------------------------------------------------------------- */

const mo_input_names *mo_input_names_of(const mo_model_t *model) {
  static const mo_input_names single = {"input_ids", "inputs_embeds", "attention_mask"};
  static const mo_input_names decoder = {"decoder_input_ids", "decoder_inputs_embeds", "decoder_attention_mask"};
  return model->has_encoder ? &decoder : &single;
}

const mo_state_names *mo_state_names_of(const mo_model_t *model) {
  static const mo_state_names single = {"hidden_states", "attentions"};
  static const mo_state_names decoder = {"decoder_hidden_states", "decoder_attentions"};
  return model->has_encoder ? &decoder : &single;
}

/* ---- The decoder's inputs ------------------------------------------------------------------------------------------------ */

static mo_status_t refuse_decoder_inputs(const mo_model_t *model, const mo_model_inputs *inputs) {
  const char *name = inputs->decoder_input_ids != NULL        ? "decoder_input_ids"
                     : inputs->decoder_inputs_embeds != NULL  ? "decoder_inputs_embeds"
                     : inputs->decoder_attention_mask != NULL ? "decoder_attention_mask"
                     : inputs->encoder_outputs != NULL        ? "encoder_outputs"
                                                              : NULL;
  MO_CHECK(name == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: %s was given, but this is no encoder-decoder model",
           model->architecture.name, name);
  return MO_STATUS_OK;
}

static bool is_token(const mo_model_t *model, int64_t id) { return id >= 0 && id < model->stack.config.embedding.vocab_size; }

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
static mo_status_t find_shifted(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const bool labels = model->architecture.head == MO_HEAD_MASKED_LM && inputs->labels != NULL;
  if (inputs->decoder_input_ids != NULL || inputs->decoder_inputs_embeds != NULL) return MO_STATUS_OK;
  shape->shifted = labels ? inputs->labels : model->family->decodes_inputs ? inputs->input_ids : NULL;
  MO_CHECK(shape->shifted != NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: neither of decoder_input_ids and decoder_inputs_embeds, and no %s to make them of", op,
           model->family->decodes_inputs ? "labels or input_ids" : "labels");
  MO_CHECK(mo_input_is_readable(model, shape->shifted), MO_STATUS_UNSUPPORTED,
           "%s: %s lie on the device, but decoder ids are made of them on the host: give decoder_input_ids", op,
           labels ? "labels" : "input_ids");
  MO_CHECK(is_token(model, model->stack.config.start_id), MO_STATUS_INVALID_ARGUMENT,
           "%s: decoder ids are to be made of %s, but config.json's decoder_start_token_id (%" PRId64
           ") is not in the vocabulary",
           op, labels ? "labels" : "input_ids", model->stack.config.start_id);
  MO_CHECK(!labels || is_token(model, model->stack.config.embedding.padding_id) || !holds_ignored(inputs->labels),
           MO_STATUS_INVALID_ARGUMENT,
           "%s: decoder ids are to be made of labels with ignored ones, but config.json's pad_token_id (%s) is not in the "
           "vocabulary",
           op, mo_config_show(model->config, "pad_token_id").text);
  return MO_STATUS_OK;
}

mo_status_t mo_seq2seq_decoder_inputs(const mo_model_t *model, const mo_model_inputs *inputs, mo_model_inputs *decoder,
                                      mo_run_shape *shape) {
  *decoder = *inputs;
  if (!model->has_encoder) return refuse_decoder_inputs(model, inputs);
  MO_CHECK(inputs->encoder_hidden_states == NULL && inputs->encoder_attention_mask == NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_hidden_states or their mask were given, but this model has an encoder: encoder_outputs and "
           "attention_mask are theirs",
           model->architecture.name);
  MO_TRY(find_shifted(model, inputs, shape));
  shape->source = inputs;
  decoder->input_ids = shape->shifted != NULL ? shape->shifted : inputs->decoder_input_ids;
  decoder->inputs_embeds = inputs->decoder_inputs_embeds;
  decoder->attention_mask = inputs->decoder_attention_mask;
  return MO_STATUS_OK;
}

/* ---- The encoder's inputs ------------------------------------------------------------------------------------------------ */

/* Ids or embeds as the encoder takes them. */
static mo_status_t check_tokens(const mo_model_t *model, const mo_tensor *tensor, bool ids, mo_run_shape *shape) {
  const mo_transformer_config *config = &model->encoder.config;
  const char *op = model->architecture.name, *name = ids ? "input_ids" : "inputs_embeds";
  const int32_t rank = ids ? 2 : 3;
  MO_CHECK(tensor->rank == rank && tensor->shape[1] >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s has %d dimensions or no token, it is (batch, sequence%s)", op, name, (int)tensor->rank,
           ids ? "" : ", width");
  const int64_t extents[3] = {shape->batch_size, tensor->shape[1], config->embedding.size};
  MO_TRY(mo_check_input(model, name, tensor, ids ? MO_DTYPES_INDEX : MO_DTYPES_FLOAT, rank, extents));
  shape->encoder_length = tensor->shape[1];
  MO_CHECK(config->embedding.positions == MO_POSITIONS_NONE || shape->encoder_length <= config->embedding.position_count,
           MO_STATUS_INVALID_ARGUMENT, "%s: a sequence of %" PRId64 " tokens, but the position table has %" PRId64 " entries",
           op, shape->encoder_length, config->embedding.position_count);
  return ids ? mo_check_values(model, name, tensor, 0, config->embedding.vocab_size, false, NULL, "the vocabulary's")
             : MO_STATUS_OK;
}

/* The encoder's work of an earlier run; it becomes a field of the output as it is. */
static mo_status_t check_encoder_outputs(const mo_model_t *model, const mo_field *field, mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const mo_tensor *tensor = mo_field_tensor(field);
  const mo_device device = mo_context_device(model->context);
  MO_CHECK(tensor != NULL && tensor->dtype == model->dtype && mo_tensor_is_contiguous(tensor) &&
               tensor->device.kind == device.kind && tensor->device.index == device.index,
           MO_STATUS_INVALID_ARGUMENT, "%s: encoder_outputs is no contiguous %s tensor on the context's device", op,
           mo_dtype_name(model->dtype));
  MO_CHECK(tensor->rank == 3 && tensor->shape[1] >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_outputs has %d dimensions or no token, it is (batch, sequence, width)", op, (int)tensor->rank);
  MO_CHECK(shape->encoder_length == 0 || shape->encoder_length == tensor->shape[1], MO_STATUS_INVALID_ARGUMENT,
           "%s: encoder_outputs has %" PRId64 " tokens, the encoder's inputs have %" PRId64, op, tensor->shape[1],
           shape->encoder_length);
  const int64_t extents[3] = {shape->batch_size, tensor->shape[1], model->encoder.config.output_size};
  MO_TRY(mo_check_input(model, "encoder_outputs", tensor, MO_DTYPES_FLOAT, 3, extents));
  shape->encoder_length = tensor->shape[1];
  return MO_STATUS_OK;
}

/* The summary of a classifier is taken where the sequence ends, which only the ids say. */
static mo_status_t check_ends(const mo_model_t *model, const mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const mo_tensor *ids = shape->source->input_ids;
  if (!model->architecture.summarises_end) return MO_STATUS_OK;
  MO_CHECK(ids != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: without input_ids the end of the sequences is not known", op);
  MO_CHECK(mo_input_is_readable(model, ids), MO_STATUS_UNSUPPORTED,
           "%s: input_ids lie on the device, but the end of each sequence is looked for on the host", op);
  MO_CHECK(shape->sequence_length == shape->encoder_length, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " decoder tokens and %" PRId64 " input_ids, the end found in one is taken from the other", op,
           shape->sequence_length, shape->encoder_length);
  int64_t expected = -1;
  for (int64_t row = 0; row < shape->batch_size; row++) {
    int64_t count = 0;
    for (int64_t i = 0; i < shape->encoder_length; i++)
      count += mo_read_integer(ids, row * ids->strides[0] + i * ids->strides[1]) == model->stack.config.end_id;
    MO_CHECK(count > 0 && (expected < 0 || count == expected), MO_STATUS_INVALID_ARGUMENT,
             "%s: row %" PRId64 " of input_ids has %" PRId64 " eos tokens (%" PRId64
             "), every row needs the same number and at least one",
             op, row, count, model->stack.config.end_id);
    expected = count;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_seq2seq_check(const mo_model_t *model, mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const mo_model_inputs *source = shape->source;
  const bool ids = source->input_ids != NULL, embeds = source->inputs_embeds != NULL;
  const int64_t cached = shape->cache.cross_is_cached ? mo_cache_length(shape->cache.cross, 0) : 0;
  MO_CHECK(!ids || !embeds, MO_STATUS_INVALID_ARGUMENT, "%s: both of input_ids and inputs_embeds, give one", op);
  MO_CHECK(ids || embeds || source->encoder_outputs != NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: none of input_ids, inputs_embeds and encoder_outputs, give one", op);
  shape->encoder_runs = source->encoder_outputs == NULL;
  if (ids || embeds) MO_TRY(check_tokens(model, ids ? source->input_ids : source->inputs_embeds, ids, shape));
  if (!shape->encoder_runs) MO_TRY(check_encoder_outputs(model, source->encoder_outputs, shape));
  MO_CHECK(cached == 0 || cached == shape->encoder_length, MO_STATUS_INVALID_ARGUMENT,
           "%s: the encoder has %" PRId64 " tokens, the cache was filled from %" PRId64, op, shape->encoder_length, cached);
  int64_t tokens;
  const int64_t limit = INT64_MAX / 64 / mo_transformer_wide_size(&model->encoder.config);
  MO_CHECK(mo_checked_mul(shape->batch_size, shape->encoder_length, &tokens) && tokens <= limit, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences of %" PRId64 " tokens are too many to address", op, shape->batch_size,
           shape->encoder_length);
  MO_TRY(check_ends(model, shape));
  if (source->attention_mask == NULL) return MO_STATUS_OK;
  const int64_t extents[2] = {shape->batch_size, shape->encoder_length};
  MO_TRY(mo_check_input(model, "attention_mask", source->attention_mask, MO_DTYPES_MASK | MO_DTYPES_FLOAT, 2, extents));
  return mo_check_mask(model, "attention_mask", source->attention_mask, &shape->encoder_masked);
}

/* ---- Running ------------------------------------------------------------------------------------------------------------- */

static mo_transformer_inputs encoder_inputs(const mo_run_shape *shape, const mo_prepared_inputs *prepared) {
  return (mo_transformer_inputs){.batch_size = shape->batch_size,
                                 .sequence_length = shape->encoder_length,
                                 .ids = prepared->tensors[MO_INPUT_SOURCE_IDS],
                                 .embeds = prepared->tensors[MO_INPUT_SOURCE_EMBEDS],
                                 .mask = prepared->tensors[MO_INPUT_ENCODER_MASK],
                                 .key_length = shape->encoder_length};
}

void mo_seq2seq_carve(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *prepared, mo_arena *arena,
                      mo_transformer_workspace *workspace) {
  if (!shape->encoder_runs) return;
  const mo_transformer_inputs inputs = encoder_inputs(shape, prepared);
  mo_transformer_carve(&model->encoder, &inputs, arena, workspace);
}

mo_status_t mo_seq2seq_encode(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *prepared,
                              const mo_transformer_workspace *workspace, const mo_request *request, mo_output *output,
                              mo_tensor *states) {
  static const char name[] = "encoder_last_hidden_state";
  mo_tensor hidden;
  if (shape->encoder_runs) {
    const mo_transformer_inputs inputs = encoder_inputs(shape, prepared);
    const mo_sinks sinks = {.states = mo_output_get(output, "encoder_hidden_states"),
                            .last_state = mo_output_get(output, name),
                            .self_weights = mo_weights_sink_of(mo_output_get(output, "encoder_attentions"), request)};
    MO_TRY(mo_transformer_forward(&model->encoder, &inputs, workspace, &sinks, &hidden));
  } else {
    mo_field *field = shape->source->encoder_outputs;
    hidden = *mo_field_tensor(field);
    MO_TRY(mo_output_set_item(output, name, field));
  }
  const int64_t matrix[2] = {shape->batch_size * shape->encoder_length, model->encoder.config.output_size};
  *states = mo_tensor_reshaped(&hidden, 2, matrix);
  return MO_STATUS_OK;
}
