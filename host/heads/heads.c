/* host/heads/heads.c - task heads: from the last hidden state to the logits of an output.
 *
 *   summary      activation(dense(first token)): poolers, and the first layer of classification heads
 *   per sequence classifier(summary)
 *   per token    classifier(hidden), decoder(norm(activation(transform(hidden)))), or classifier(activation(dense(hidden)))
 *
 * Heads with logits per token run on the rows the output has room for: the last n of every sequence.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "host/run/model_internal.h"
#include "modelout/gate.h"
#include "modelout/pooling.h"

/* ---- Loading ----------------------------------------------------------------------------------------------------------- */

/* Rows of the classifier. */
static int64_t class_count(const mo_model_t *model) {
  switch (model->architecture.head) {
    case MO_HEAD_MULTIPLE_CHOICE:
    case MO_HEAD_REPLACED_TOKEN:
      return 1;
    case MO_HEAD_NEXT_SENTENCE:
    case MO_HEAD_PRETRAINING:
      return 2;
    default:
      return model->label_count;
  }
}

/* The weight: shared with the word embeddings, or its own. */
static mo_status_t load_decoder_weight(mo_model_t *model, mo_loader *loader, const char *name, bool tied) {
  mo_dense *decoder = &model->head.decoder;
  mo_weight weight = {.memory = NULL};
  const mo_tensor *tensor = &weight.tensor;
  if (tied) {
    mo_checkpoint_mark_used(loader->checkpoint, name);
    decoder->weight.tensor = model->stack.embedding.word.tensor;
    return MO_STATUS_OK;
  }
  mo_status_t status = mo_load_table(loader, name, decoder->rows, decoder->columns, &weight);
  if (status == MO_STATUS_OK && loader->context != NULL) status = mo_linear_pack(loader->context, &tensor, 1, &decoder->packed);
  mo_weight_drop_pages(&weight);
  mo_weight_release(&weight);
  return status;
}

/* BART's final_logits_bias: (1, rows), and zero if it is not there. */
static mo_status_t load_row_bias(mo_model_t *model, mo_loader *loader) {
  const char *name = model->architecture.decoder.bias;
  mo_dense *decoder = &model->head.decoder;
  if (!mo_checkpoint_contains(loader->checkpoint, name)) return MO_STATUS_OK;
  MO_TRY(mo_load_table(loader, name, 1, decoder->rows, &decoder->bias));
  if (loader->context != NULL) decoder->bias.tensor = mo_tensor_reshaped(&decoder->bias.tensor, 1, &decoder->rows);
  return MO_STATUS_OK;
}

/* One row of 1 / sqrt(width), which T5's hidden states are multiplied with before a tied head. */
static mo_status_t make_scale(mo_model_t *model, mo_loader *loader) {
  mo_context_t *context = loader->context;
  const int64_t width = model->head.decoder.columns;
  mo_weight *scale = &model->head.scale;
  const size_t bytes = (size_t)width * mo_dtype_bytes(model->dtype);
  if (context == NULL) return MO_STATUS_OK;
  MO_TRY(mo_context_allocate(context, bytes, &scale->memory));
  scale->context = context;
  scale->tensor = mo_device_tensor(context, scale->memory, model->dtype, 1, &width);
  float *values = mo_host_allocate(context, (size_t)width * sizeof *values);
  if (values == NULL) return MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < width; i++) values[i] = 1.0f / sqrtf((float)width);
  mo_status_t status = mo_dtype_convert(values, model->dtype, values, MO_DTYPE_FLOAT32, width);
  if (status == MO_STATUS_OK) status = mo_context_copy_to_device(context, scale->memory, values, bytes);
  const mo_status_t waited = mo_context_synchronize(context);
  mo_host_free(context, values, (size_t)width * sizeof *values);
  return status != MO_STATUS_OK ? status : waited;
}

/* The bias has two names in old files. */
static mo_status_t load_decoder_bias(mo_model_t *model, mo_loader *loader, const char *own_name, bool tied) {
  const char *bias = model->architecture.decoder.bias;
  if (bias == NULL) return MO_STATUS_OK;
  const bool has_own = mo_checkpoint_contains(loader->checkpoint, own_name);
  if (model->architecture.decoder.bias_is_row) return load_row_bias(model, loader);
  const char *chosen = has_own && (!tied || !mo_checkpoint_contains(loader->checkpoint, bias)) ? own_name : bias;
  mo_checkpoint_mark_used(loader->checkpoint, own_name);
  mo_checkpoint_mark_used(loader->checkpoint, bias);
  return mo_load_vector(loader, chosen, model->head.decoder.rows, &model->head.decoder.bias);
}

mo_status_t mo_head_ties(const mo_config_t *config, const mo_decoder_rule *rule, bool *ties) {
  return mo_config_flag(config, "tie_word_embeddings", !rule->untied_by_default, ties);
}

/* Whether the head's weight is the word table, and whether (T5) its input is scaled for that. T5 files of version 5 say the
 * latter themselves; there a head of its own counts if it is there, whatever tie_word_embeddings says. */
static mo_status_t read_ties(const mo_model_t *model, const mo_loader *loader, const char *weight_name, bool *tied,
                             bool *scaled) {
  const mo_decoder_rule *rule = &model->architecture.decoder;
  MO_TRY(mo_head_ties(model->config, rule, tied));
  if (!rule->scaled_if_tied) {
    *scaled = false;
    return MO_STATUS_OK;
  }
  const bool newer = mo_config_has(model->config, "scale_decoder_outputs");
  const bool has_own = mo_checkpoint_contains(loader->checkpoint, weight_name);
  MO_TRY(mo_config_flag(model->config, "scale_decoder_outputs", *tied, scaled));
  *tied = !has_own || (*tied && !newer);
  return MO_STATUS_OK;
}

static mo_status_t load_decoder(mo_model_t *model, mo_loader *loader) {
  const mo_decoder_rule *rule = &model->architecture.decoder;
  const mo_transformer_config *config = &model->stack.config;
  mo_head *head = &model->head;
  char weight_name[MO_PARAMETER_NAME_BYTES], bias_name[MO_PARAMETER_NAME_BYTES];
  bool tied, scaled;
  MO_TRY(mo_parameter_name(weight_name, rule->decoder, ".weight", ""));
  MO_TRY(read_ties(model, loader, weight_name, &tied, &scaled));
  MO_TRY(mo_parameter_name(bias_name, rule->decoder, ".bias", ""));
  if (rule->transform != NULL) {
    MO_TRY(mo_load_simple_dense(loader, rule->transform, config->embedding.size, config->output_size, &head->transform));
    MO_TRY(mo_load_norm(loader, "", rule->norm, MO_NORM_LAYER, loader->dtype, config->embedding.size, &head->transform_norm));
  }
  head->decoder.rows = config->embedding.vocab_size;
  head->decoder.columns = rule->transform != NULL ? config->embedding.size : config->output_size;
  MO_CHECK(!tied || head->decoder.columns == config->embedding.size, MO_STATUS_BAD_FILE,
           "%s: config.json ties the word embeddings of width %" PRId64 " to a head of width %" PRId64,
           model->architecture.name, config->embedding.size, head->decoder.columns);
  MO_TRY(load_decoder_weight(model, loader, weight_name, tied));
  if (scaled) MO_TRY(make_scale(model, loader));
  return load_decoder_bias(model, loader, bias_name, tied);
}

mo_status_t mo_head_load(mo_model_t *model, mo_loader *loader) {
  const mo_architecture *architecture = &model->architecture;
  const int64_t width = model->stack.config.output_size;
  mo_head *head = &model->head;
  if (architecture->summary.dense != NULL) {
    char name[MO_PARAMETER_NAME_BYTES];
    MO_TRY(mo_parameter_name(name, architecture->summary.dense, ".weight", ""));
    head->has_summary = !architecture->summary.may_be_absent || mo_checkpoint_contains(loader->checkpoint, name);
    if (head->has_summary) MO_TRY(mo_load_simple_dense(loader, architecture->summary.dense, width, width, &head->summary));
  }
  if (architecture->decoder.decoder != NULL) MO_TRY(load_decoder(model, loader));
  if (architecture->token_dense != NULL)
    MO_TRY(mo_load_simple_dense(loader, architecture->token_dense, width, width, &head->token_dense));
  if (architecture->classifier == NULL) return MO_STATUS_OK;
  MO_CHECK(architecture->head != MO_HEAD_QUESTION_ANSWERING || model->label_count == 2, MO_STATUS_BAD_FILE,
           "%s: config.json has %" PRId64 " labels, question answering needs 2 (start and end)", architecture->name,
           model->label_count);
  return mo_load_plain_dense(loader, architecture->classifier, class_count(model), width, architecture->classifier_lacks_bias,
                             &head->classifier);
}

void mo_head_release(mo_head *head) {
  mo_dense_release(&head->summary);
  mo_dense_release(&head->transform);
  mo_norm_weights_release(&head->transform_norm);
  mo_dense_release(&head->decoder);
  mo_dense_release(&head->token_dense);
  mo_dense_release(&head->classifier);
  mo_weight_release(&head->scale);
}

/* ---- Names ------------------------------------------------------------------------------------------------------------- */

const char *mo_head_logits_name(const mo_model_t *model) {
  switch (model->architecture.head) {
    case MO_HEAD_QUESTION_ANSWERING:
      return "start_logits";
    case MO_HEAD_PRETRAINING:
      return "prediction_logits";
    default:
      return "logits";
  }
}

const char *mo_head_pair_logits_name(const mo_model_t *model) {
  return mo_class_field_index(model->output_class, "sop_logits") >= 0 ? "sop_logits" : "seq_relationship_logits";
}

bool mo_head_takes_last_positions(const mo_model_t *model) {
  const mo_head_kind_t head = model->architecture.head;
  return head == MO_HEAD_MASKED_LM || head == MO_HEAD_CAUSAL_LM || head == MO_HEAD_TOKEN_CLASSIFICATION;
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* The first token of every sequence, (B, C). */
static mo_tensor first_tokens(const mo_tensor *hidden) {
  mo_tensor view = *hidden;
  view.rank = 2;
  view.shape[1] = hidden->shape[2];
  view.strides[1] = 1;
  return view;
}

/* The last `count` tokens of every sequence; (B * S, C) if that is all of them, as one product is made of one matrix. */
static mo_tensor last_tokens(const mo_tensor *hidden, int64_t count) {
  const int64_t length = hidden->shape[1];
  if (count == length) return mo_tensor_reshaped(hidden, 2, (int64_t[]){hidden->shape[0] * length, hidden->shape[2]});
  mo_tensor view = *hidden;
  view.shape[1] = count;
  view.data = (char *)hidden->data + (size_t)((length - count) * hidden->strides[1]) * mo_dtype_bytes(hidden->dtype);
  return view;
}

/* `tensor` with the leading dimensions of `rows` and `width` columns: (rows..., width). */
static mo_tensor like_rows(const mo_tensor *tensor, const mo_tensor *rows, int64_t width) {
  int64_t shape[MO_MAX_DIMS];
  for (int32_t i = 0; i + 1 < rows->rank; i++) shape[i] = rows->shape[i];
  shape[rows->rank - 1] = width;
  return mo_tensor_reshaped(tensor, rows->rank, shape);
}

static mo_status_t summarise(const mo_model_t *model, const mo_tensor *tokens, const mo_tensor *summary) {
  return mo_dense_apply(model->context, &model->head.summary, model->architecture.summary.activation, summary, tokens, NULL);
}

/* The last token of every sequence that is not padding, (B, C). `mask` NULL: of each the last. */
static mo_status_t last_real_tokens(const mo_model_t *model, const mo_tensor *hidden, const mo_tensor *mask,
                                    const mo_tensor *summary) {
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_LAST;
  params.output = summary;
  params.input = hidden;
  params.mask = mask;
  return mo_pooling(model->context, &params);
}

/* Logits per sequence. `logits` may be (B, N) or, for multiple choice, (examples, choices). */
static mo_status_t classify_sequences(const mo_model_t *model, const mo_tensor *hidden, const mo_prepared_inputs *inputs,
                                      const mo_transformer_workspace *workspace, const mo_tensor *logits) {
  const int64_t batch_size = hidden->shape[0];
  const int64_t extents[2] = {batch_size, hidden->shape[2]};
  const mo_tensor summary = mo_device_tensor(model->context, workspace->attended, model->dtype, 2, extents);
  const mo_tensor destination = mo_tensor_reshaped(logits, 2, (int64_t[]){batch_size, model->head.classifier.rows});
  const mo_tensor *mask = &inputs->tensors[MO_INPUT_TOKEN_MASK];
  if (model->architecture.classifies_last_token) {
    MO_TRY(last_real_tokens(model, hidden, mask->dtype != MO_DTYPE_NONE ? mask : NULL, &summary));
  } else if (model->architecture.summarises_end) {
    const mo_tensor ends = mo_device_tensor(model->context, workspace->wide, model->dtype, 2, extents);
    MO_TRY(last_real_tokens(model, hidden, mask, &ends));
    MO_TRY(summarise(model, &ends, &summary));
  } else {
    const mo_tensor first = first_tokens(hidden);
    MO_TRY(summarise(model, &first, &summary));
  }
  return mo_dense_apply(model->context, &model->head.classifier, MO_ACTIVATION_NONE, &destination, &summary, NULL);
}

/* output = input times the head's scale, the same row for every token. */
static mo_status_t scale_rows(const mo_model_t *model, const mo_tensor *output, const mo_tensor *input) {
  mo_tensor scale = *output;
  scale.data = model->head.scale.tensor.data;
  for (int32_t i = 0; i + 1 < scale.rank; i++) scale.strides[i] = 0;
  mo_gate_params params = MO_GATE_PARAMS_INIT;
  params.output = output;
  params.gate = &scale;
  params.input = input;
  return mo_gate(model->context, &params);
}

static mo_status_t decode(const mo_model_t *model, const mo_tensor *hidden, void *memory, const mo_tensor *logits) {
  const mo_transformer_config *config = &model->stack.config;
  const mo_activation_t activation =
      model->architecture.decoder.always_gelu ? MO_ACTIVATION_GELU : config->feed_forward.activation;
  mo_tensor rows = last_tokens(hidden, logits->shape[1]);
  const mo_tensor space = {.data = memory, .dtype = model->dtype, .device = hidden->device};
  const mo_tensor narrow = like_rows(&space, &rows, config->embedding.size);
  const mo_tensor destination = like_rows(logits, &rows, config->embedding.vocab_size);
  if (model->head.scale.tensor.dtype != MO_DTYPE_NONE) {
    const mo_tensor scaled = like_rows(&space, &rows, config->output_size);
    MO_TRY(scale_rows(model, &scaled, &rows));
    rows = scaled;
  }
  if (model->architecture.decoder.transform == NULL)
    return mo_dense_apply(model->context, &model->head.decoder, MO_ACTIVATION_NONE, &destination, &rows, NULL);
  MO_TRY(mo_dense_apply(model->context, &model->head.transform, activation, &narrow, &rows, NULL));
  MO_TRY(mo_norm_apply(model->context, &model->head.transform_norm, config->norm.epsilon, &narrow, &narrow, NULL));
  return mo_dense_apply(model->context, &model->head.decoder, MO_ACTIVATION_NONE, &destination, &narrow, NULL);
}

static mo_status_t classify_tokens(const mo_model_t *model, const mo_tensor *hidden, void *memory, const mo_tensor *logits) {
  mo_tensor rows = last_tokens(hidden, logits->shape[1]);
  const mo_tensor destination = like_rows(logits, &rows, model->head.classifier.rows);
  if (model->architecture.token_dense != NULL) {
    const mo_tensor space = {.data = memory, .dtype = model->dtype, .device = hidden->device};
    const mo_tensor inner = like_rows(&space, &rows, hidden->shape[2]);
    MO_TRY(mo_dense_apply(model->context, &model->head.token_dense, model->stack.config.feed_forward.activation, &inner, &rows,
                          NULL));
    rows = inner;
  }
  return mo_dense_apply(model->context, &model->head.classifier, MO_ACTIVATION_NONE, &destination, &rows, NULL);
}

/* Starts and ends are two fields, so each row of the layer is a product of its own. */
static mo_status_t find_spans(const mo_model_t *model, const mo_tensor *hidden, const mo_tensor *starts,
                              const mo_tensor *ends) {
  for (int row = 0; row < 2; row++) {
    const mo_tensor *logits = row == 0 ? starts : ends;
    const mo_tensor rows = last_tokens(hidden, logits->shape[1]);
    const mo_tensor destination = like_rows(logits, &rows, 1);
    const mo_slice part[1] = {MO_SLICE_RANGE(row, row + 1)};
    mo_dense single = {.rows = 1, .columns = hidden->shape[2]};
    MO_TRY(mo_tensor_slice(&model->head.classifier.weight.tensor, part, 1, &single.weight.tensor));
    if (!model->architecture.classifier_lacks_bias)
      MO_TRY(mo_tensor_slice(&model->head.classifier.bias.tensor, part, 1, &single.bias.tensor));
    MO_TRY(mo_dense_apply(model->context, &single, MO_ACTIVATION_NONE, &destination, &rows, NULL));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_head_forward(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *inputs,
                            const mo_tensor *hidden, const mo_transformer_workspace *workspace,
                            const mo_head_workspace *head_workspace, mo_output *output) {
  const mo_head_kind_t head = model->architecture.head;
  if (head == MO_HEAD_NONE) {
    const mo_tensor *pooled = mo_field_tensor(mo_output_get(output, "pooler_output"));
    const mo_tensor first = first_tokens(hidden);
    return pooled != NULL ? summarise(model, &first, pooled) : MO_STATUS_OK;
  }
  const mo_tensor *logits = mo_field_tensor(mo_output_get(output, mo_head_logits_name(model)));
  switch (head) {
    case MO_HEAD_NEXT_SENTENCE:
    case MO_HEAD_SEQUENCE_CLASSIFICATION:
    case MO_HEAD_MULTIPLE_CHOICE:
      MO_TRY(classify_sequences(model, hidden, inputs, workspace, logits));
      break;
    case MO_HEAD_MASKED_LM:
    case MO_HEAD_CAUSAL_LM:
      MO_TRY(decode(model, hidden, workspace->wide, logits));
      break;
    case MO_HEAD_TOKEN_CLASSIFICATION:
    case MO_HEAD_REPLACED_TOKEN:
      MO_TRY(classify_tokens(model, hidden, workspace->wide, logits));
      break;
    case MO_HEAD_QUESTION_ANSWERING:
      MO_TRY(find_spans(model, hidden, logits, mo_field_tensor(mo_output_get(output, "end_logits"))));
      break;
    case MO_HEAD_PRETRAINING:
      MO_TRY(decode(model, hidden, workspace->wide, logits));
      MO_TRY(classify_sequences(model, hidden, inputs, workspace,
                                mo_field_tensor(mo_output_get(output, mo_head_pair_logits_name(model)))));
      break;
    case MO_HEAD_NONE:
      break;
  }
  return mo_head_loss(model, shape, inputs, head_workspace, output);
}
