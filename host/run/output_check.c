/* host/run/output_check.c - whether an output is one that these inputs and this request fill.
 *
 * A run that fails half way would leave a half-written output, so everything is looked at before the first kernel.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/ops/check.h"
#include "host/run/model_internal.h"

/* A tensor the run writes: there, contiguous, and of the size these inputs give. */
static mo_status_t check_field(const mo_model_t *model, const char *name, const mo_field *field, mo_dtype_t dtype,
                               const int64_t *shape, int32_t rank) {
  const char *op = model->architecture.name;
  const mo_tensor *tensor = mo_field_tensor(field);
  MO_CHECK(tensor != NULL && tensor->dtype == dtype && mo_tensor_is_contiguous(tensor), MO_STATUS_INVALID_ARGUMENT,
           "%s: the output's %s is no contiguous %s tensor, make it with mo_model_create_output", op, name,
           mo_dtype_name(dtype));
  MO_CHECK(tensor->rank == rank, MO_STATUS_INVALID_ARGUMENT, "%s: the output's %s has %d dimensions, not %d", op, name,
           (int)tensor->rank, (int)rank);
  for (int32_t i = 0; i < rank; i++)
    MO_CHECK(tensor->shape[i] == shape[i], MO_STATUS_INVALID_ARGUMENT,
             "%s: dimension %d of the output's %s is %" PRId64 ", these inputs and this request give %" PRId64, op, (int)i,
             name, tensor->shape[i], shape[i]);
  return MO_STATUS_OK;
}

/* A tuple with the entries the request selects, and no others. */
static mo_status_t check_tuple(const mo_model_t *model, const char *name, const mo_field *tuple, bool wanted,
                               mo_index_list selection, int64_t length) {
  const char *op = model->architecture.name;
  int64_t present = 0;
  MO_CHECK((tuple != NULL) == wanted, MO_STATUS_INVALID_ARGUMENT, "%s: the output was made %s %s, this request asks for %s", op,
           tuple != NULL ? "with" : "without", name, wanted ? "them" : "none");
  if (tuple == NULL) return MO_STATUS_OK;
  MO_CHECK(mo_field_length(tuple) == length, MO_STATUS_INVALID_ARGUMENT,
           "%s: the output's %s have %" PRId64 " entries, the model gives %" PRId64, op, name, mo_field_length(tuple), length);
  MO_TRY(mo_check_index_list(op, name, selection, length, NULL));
  for (int64_t i = 0; i < length; i++) present += mo_field_item(tuple, i) != NULL;
  for (int32_t i = 0; i < selection.count; i++)
    MO_CHECK(mo_field_item(tuple, selection.indices[i]) != NULL, MO_STATUS_INVALID_ARGUMENT,
             "%s: the output has no %s of layer %d, which this request selects", op, name, (int)selection.indices[i]);
  const int64_t expected = selection.count > 0 ? selection.count : length;
  MO_CHECK(present == expected, MO_STATUS_INVALID_ARGUMENT, "%s: the output has %" PRId64 " %s, this request selects %" PRId64,
           op, present, name, expected);
  return MO_STATUS_OK;
}

static mo_status_t check_attentions(const mo_model_t *model, const mo_transformer_config *config, const char *name,
                                    const mo_output *output, const mo_request *request, const mo_run_shape *shape, bool wanted,
                                    int64_t query_length, int64_t key_length) {
  const mo_weights_reduction_t reduction = request->attention_reduction;
  const mo_field *attentions = mo_output_get(output, name);
  MO_TRY(check_tuple(model, name, attentions, wanted, request->attention_layers, config->layer_count));
  if (attentions == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_index_list(model->architecture.name, "attention_heads", request->attention_heads,
                             config->attention.head_count, NULL));
  const int64_t heads = request->attention_heads.count > 0 ? request->attention_heads.count : config->attention.head_count;
  const int64_t rows = request->last_query_rows > 0 ? request->last_query_rows : query_length;
  const mo_dtype_t dtype = request->attention_dtype != MO_DTYPE_NONE ? request->attention_dtype : model->dtype;
  const int64_t weights[4] = {shape->batch_size, reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : heads,
                              reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : rows, key_length};
  for (int64_t i = 0; i < config->layer_count; i++) {
    const mo_field *item = mo_field_item(attentions, i);
    if (item != NULL) MO_TRY(check_field(model, name, item, dtype, weights, 4));
  }
  return MO_STATUS_OK;
}

/* The field itself is put in by the run. */
static mo_status_t check_cache(const mo_model_t *model, const mo_output *output, const mo_request *request) {
  const bool wanted =
      request->use_cache && model->stack.config.decoder && mo_class_field_index(model->output_class, "past_key_values") >= 0;
  MO_CHECK(mo_output_contains(output, "past_key_values") == wanted, MO_STATUS_INVALID_ARGUMENT,
           "%s: the output was made %s past_key_values, this request asks for %s", model->architecture.name,
           wanted ? "without" : "with", wanted ? "them" : "none");
  return MO_STATUS_OK;
}

/* What the encoder writes; its last hidden state is put in by the run if it comes from an earlier one. */
static mo_status_t check_encoder(const mo_model_t *model, const mo_output *output, const mo_request *request,
                                 const mo_run_shape *shape) {
  static const char last[] = "encoder_last_hidden_state", tuple[] = "encoder_hidden_states";
  const mo_transformer_config *config = &model->encoder.config;
  const int64_t state[3] = {shape->batch_size, shape->encoder_length, config->hidden_size};
  const mo_field *states = mo_output_get(output, tuple);
  const bool runs = shape->encoder_runs;
  MO_TRY(check_tuple(model, tuple, states, runs && request->output_hidden_states, request->hidden_state_layers,
                     config->layer_count + 1));
  for (int64_t i = 0; i < mo_field_length(states); i++) {
    const mo_field *item = mo_field_item(states, i);
    if (item != NULL) MO_TRY(check_field(model, tuple, item, model->dtype, state, 3));
  }
  MO_TRY(check_attentions(model, config, "encoder_attentions", output, request, shape, runs && request->output_attentions,
                          shape->encoder_length, shape->encoder_length));
  return runs ? check_field(model, last, mo_output_get(output, last), model->dtype, state, 3) : MO_STATUS_OK;
}

static mo_status_t check_layers(const mo_model_t *model, const mo_output *output, const mo_request *request,
                                const mo_run_shape *shape) {
  const mo_transformer_config *config = &model->stack.config;
  const int64_t layer_count = config->layer_count;
  const int64_t state[3] = {shape->batch_size, shape->sequence_length, config->hidden_size};
  const int64_t last[3] = {shape->batch_size, shape->sequence_length, config->output_size};
  const mo_state_names *names = mo_state_names_of(model);
  const mo_field *states = mo_output_get(output, names->hidden_states);
  MO_TRY(check_tuple(model, names->hidden_states, states, request->output_hidden_states, request->hidden_state_layers,
                     layer_count + 1));
  for (int64_t i = 0; i < mo_field_length(states); i++) {
    const mo_field *item = mo_field_item(states, i);
    const int64_t *extents = i == layer_count ? last : state;
    if (item != NULL) MO_TRY(check_field(model, names->hidden_states, item, model->dtype, extents, 3));
  }
  const bool crosses = request->output_attentions && shape->encoder_length > 0 &&
                       mo_class_field_index(model->output_class, "cross_attentions") >= 0;
  MO_TRY(check_attentions(model, config, names->attentions, output, request, shape, request->output_attentions,
                          shape->sequence_length, shape->cache.key_length));
  MO_TRY(check_attentions(model, config, "cross_attentions", output, request, shape, crosses, shape->sequence_length,
                          shape->encoder_length));
  if (model->has_encoder) MO_TRY(check_encoder(model, output, request, shape));
  MO_TRY(check_cache(model, output, request));
  if (model->architecture.head != MO_HEAD_NONE) return MO_STATUS_OK;
  return check_field(model, "last_hidden_state", mo_output_get(output, "last_hidden_state"), model->dtype, last, 3);
}

/* (0 dimensions, or 1) and as many elements as the class and the labels give. */
static mo_status_t check_loss(const mo_model_t *model, const mo_output *output, const mo_run_shape *shape) {
  const char *op = model->architecture.name;
  const int32_t index = mo_class_field_index(model->output_class, "loss");
  const mo_tensor *loss = mo_field_tensor(mo_output_get(output, "loss"));
  if (index < 0) return MO_STATUS_OK;
  MO_CHECK((loss != NULL) == (shape->loss != MO_LOSS_NONE), MO_STATUS_INVALID_ARGUMENT,
           "%s: the output was made %s labels, this call has %s", op, loss != NULL ? "with" : "without",
           shape->loss != MO_LOSS_NONE ? "some" : "none");
  if (loss == NULL) return MO_STATUS_OK;
  const char *symbol = model->output_class->fields[index].shape[0];
  const bool scalar = model->framework != MO_FRAMEWORK_TF || strcmp(symbol, "1") == 0;
  const int64_t count = scalar ? 1 : strcmp(symbol, "n") == 0 ? shape->loss_count : shape->example_count;
  MO_CHECK(loss->dtype == MO_DTYPE_FLOAT32 && mo_tensor_count(loss) == count, MO_STATUS_INVALID_ARGUMENT,
           "%s: the output's loss has %" PRId64 " elements, these labels give %" PRId64, op, mo_tensor_count(loss), count);
  return MO_STATUS_OK;
}

static mo_status_t check_heads(const mo_model_t *model, const mo_output *output, const mo_request *request,
                               const mo_run_shape *shape) {
  const mo_head_kind_t head = model->architecture.head;
  const int64_t count = shape->example_count;
  const mo_field *pooled = mo_output_get(output, "pooler_output");
  if (head == MO_HEAD_NONE) {
    if (pooled == NULL) return MO_STATUS_OK;
    return check_field(model, "pooler_output", pooled, model->dtype, (int64_t[]){count, model->stack.config.hidden_size}, 2);
  }
  const int64_t classes = model->head.classifier.rows;
  const bool decoder = model->architecture.decoder.decoder != NULL;
  const bool fewer = mo_head_takes_last_positions(model) && request->last_logit_positions > 0;
  const int64_t per_token[3] = {count, fewer ? request->last_logit_positions : shape->sequence_length,
                                decoder ? model->stack.config.embedding.vocab_size : classes};
  const int64_t per_example[2] = {count, head == MO_HEAD_MULTIPLE_CHOICE ? shape->choice_count : classes};
  const bool flat = head == MO_HEAD_QUESTION_ANSWERING || head == MO_HEAD_REPLACED_TOKEN;
  const bool tokens = flat || head == MO_HEAD_MASKED_LM || head == MO_HEAD_CAUSAL_LM || head == MO_HEAD_TOKEN_CLASSIFICATION ||
                      head == MO_HEAD_PRETRAINING;
  const char *name = mo_head_logits_name(model);
  MO_TRY(check_field(model, name, mo_output_get(output, name), model->dtype, tokens ? per_token : per_example,
                     tokens && !flat ? 3 : 2));
  if (head == MO_HEAD_QUESTION_ANSWERING)
    MO_TRY(check_field(model, "end_logits", mo_output_get(output, "end_logits"), model->dtype, per_token, 2));
  const char *pair = mo_head_pair_logits_name(model);
  if (head == MO_HEAD_PRETRAINING) MO_TRY(check_field(model, pair, mo_output_get(output, pair), model->dtype, per_example, 2));
  return check_loss(model, output, shape);
}

mo_status_t mo_run_check_output(const mo_model_t *model, const mo_run_shape *shape, const mo_request *request,
                                const mo_output *output) {
  const mo_request nothing = MO_REQUEST_INIT;
  if (request == NULL) request = &nothing;
  MO_CHECK(output->output_class == model->output_class, MO_STATUS_INVALID_ARGUMENT, "%s: the output is a %s, not a %s",
           model->architecture.name, output->output_class->name, model->output_class->name);
  MO_TRY(check_layers(model, output, request, shape));
  return check_heads(model, output, request, shape);
}
