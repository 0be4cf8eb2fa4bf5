/* host/heads/losses.c - the loss field of an output: which op on which logits, shaped as the output's class says.
 *
 * PyTorch's losses are one number. TensorFlow's are one per label that counts (token heads, next sentence) or one per example.
 * Flax has none.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/run/model_internal.h"
#include "modelout/loss.h"
#include "modelout/pooling.h"

/* Two terms, and room for one loss per element. */
static int64_t loss_elements(const mo_model_t *model, const mo_run_shape *shape) {
  if (shape->loss == MO_LOSS_REPLACED_TOKEN) return shape->batch_size * shape->sequence_length;
  if (shape->loss == MO_LOSS_REGRESSION || shape->loss == MO_LOSS_MULTI_LABEL) return shape->example_count * model->label_count;
  return 0;
}

void mo_head_carve(const mo_model_t *model, const mo_run_shape *shape, mo_arena *arena, mo_head_workspace *workspace) {
  workspace->losses = mo_arena_carve(arena, (size_t)(2 + loss_elements(model, shape)) * sizeof(float));
}

static mo_status_t cross_entropy(const mo_model_t *model, const mo_tensor *loss, const mo_tensor *logits,
                                 const mo_tensor *labels, bool shift, mo_loss_reduction_t reduction) {
  mo_cross_entropy_params params = MO_CROSS_ENTROPY_PARAMS_INIT;
  params.loss = loss;
  params.logits = logits;
  params.labels = labels;
  params.ignore_index = MO_IGNORED_LABEL;
  params.shift = shift;
  params.reduction = reduction;
  return mo_cross_entropy(model->context, &params);
}

static mo_status_t elementwise(const mo_model_t *model, mo_loss_kind_t kind, const mo_tensor *loss, const mo_tensor *logits,
                               const mo_tensor *labels, mo_loss_reduction_t reduction) {
  mo_elementwise_loss_params params = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
  params.loss = loss;
  params.logits = logits;
  params.labels = labels;
  params.reduction = reduction;
  return kind == MO_LOSS_REGRESSION ? mo_mse_loss(model->context, &params) : mo_bce_with_logits_loss(model->context, &params);
}

/* Means of the columns a mask shows, one per row of `values`: pooling over a sequence of vectors of size 1. */
static mo_status_t row_means(const mo_model_t *model, const mo_tensor *loss, const mo_tensor *values, const mo_tensor *mask) {
  const int64_t rows = values->shape[0];
  const mo_tensor column = mo_tensor_reshaped(loss, 2, (int64_t[]){rows, 1});
  const mo_tensor sequence = mo_tensor_reshaped(values, 3, (int64_t[]){rows, values->shape[1], 1});
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_MEAN;
  params.output = &column;
  params.input = &sequence;
  params.mask = mask;
  return mo_pooling(model->context, &params);
}

/* Regression and multi label: one number, or TensorFlow's mean of each example. */
static mo_status_t example_loss(const mo_model_t *model, const mo_run_shape *shape, const mo_tensor *loss,
                                const mo_tensor *logits, const mo_tensor *labels, const mo_head_workspace *workspace) {
  if (model->framework != MO_FRAMEWORK_TF) return elementwise(model, shape->loss, loss, logits, labels, MO_LOSS_REDUCTION_MEAN);
  const mo_tensor values = mo_device_tensor(model->context, (float *)workspace->losses + 2, MO_DTYPE_FLOAT32, 2, logits->shape);
  MO_TRY(elementwise(model, shape->loss, &values, logits, labels, MO_LOSS_REDUCTION_NONE));
  return row_means(model, loss, &values, NULL);
}

/* Over the tokens the mask shows. */
static mo_status_t replaced_token_loss(const mo_model_t *model, const mo_run_shape *shape, const mo_tensor *loss,
                                       const mo_tensor *logits, const mo_prepared_inputs *inputs,
                                       const mo_head_workspace *workspace) {
  const mo_tensor *labels = &inputs->tensors[MO_INPUT_LABELS];
  if (!shape->masked) return elementwise(model, shape->loss, loss, logits, labels, MO_LOSS_REDUCTION_MEAN);
  const mo_tensor values = mo_device_tensor(model->context, (float *)workspace->losses + 2, MO_DTYPE_FLOAT32, 2, logits->shape);
  const int64_t one_row[2] = {1, shape->batch_size * shape->sequence_length};
  const mo_tensor row = mo_tensor_reshaped(&values, 2, one_row);
  const mo_tensor mask = mo_tensor_reshaped(&inputs->tensors[MO_INPUT_MASK], 2, one_row);
  MO_TRY(elementwise(model, shape->loss, &values, logits, labels, MO_LOSS_REDUCTION_NONE));
  return row_means(model, loss, &row, &mask);
}

/* loss = terms[0] + terms[1]: a dense layer without inputs adds its bias to its residual. */
static mo_status_t add_terms(const mo_model_t *model, const mo_tensor *loss, const mo_tensor *terms) {
  const mo_tensor sum = mo_tensor_reshaped(loss, 1, (int64_t[]){1});
  const mo_tensor nothing = mo_device_tensor(model->context, NULL, MO_DTYPE_FLOAT32, 1, (int64_t[]){0});
  const mo_tensor weight = mo_device_tensor(model->context, NULL, MO_DTYPE_FLOAT32, 2, (int64_t[]){1, 0});
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = &sum;
  params.input = &nothing;
  params.weight = &weight;
  params.bias = &terms[0];
  params.residual = &terms[1];
  return mo_linear(model->context, &params);
}

static mo_status_t pretraining_loss(const mo_model_t *model, const mo_tensor *loss, const mo_tensor *logits,
                                    const mo_output *output, const mo_prepared_inputs *inputs,
                                    const mo_head_workspace *workspace) {
  const mo_tensor *pair_logits = mo_field_tensor(mo_output_get(output, mo_head_pair_logits_name(model)));
  float *const memory = workspace->losses;
  const int64_t one[1] = {1};
  const mo_tensor terms[2] = {mo_device_tensor(model->context, memory, MO_DTYPE_FLOAT32, 1, one),
                              mo_device_tensor(model->context, memory + 1, MO_DTYPE_FLOAT32, 1, one)};
  MO_TRY(cross_entropy(model, &terms[0], logits, &inputs->tensors[MO_INPUT_LABELS], false, MO_LOSS_REDUCTION_MEAN));
  MO_TRY(cross_entropy(model, &terms[1], pair_logits, &inputs->tensors[MO_INPUT_PAIR_LABELS], false, MO_LOSS_REDUCTION_MEAN));
  return add_terms(model, loss, terms);
}

mo_status_t mo_head_loss(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *inputs,
                         const mo_head_workspace *workspace, mo_output *output) {
  const mo_tensor *loss = mo_field_tensor(mo_output_get(output, "loss"));
  const mo_tensor *logits = mo_field_tensor(mo_output_get(output, mo_head_logits_name(model)));
  const mo_tensor *labels = &inputs->tensors[MO_INPUT_LABELS];
  const bool tensorflow = model->framework == MO_FRAMEWORK_TF;
  if (loss == NULL) return MO_STATUS_OK;

  switch (shape->loss) {
    case MO_LOSS_NONE:
      break;
    case MO_LOSS_TOKENS:
    case MO_LOSS_NEXT_TOKENS:
      return cross_entropy(model, loss, logits, labels, shape->loss == MO_LOSS_NEXT_TOKENS,
                           tensorflow ? MO_LOSS_REDUCTION_COMPACT : MO_LOSS_REDUCTION_MEAN);
    case MO_LOSS_EXAMPLES: {
      const bool next_sentence = model->architecture.head == MO_HEAD_NEXT_SENTENCE;
      const mo_loss_reduction_t several = next_sentence ? MO_LOSS_REDUCTION_COMPACT : MO_LOSS_REDUCTION_NONE;
      return cross_entropy(model, loss, logits, labels, false, tensorflow ? several : MO_LOSS_REDUCTION_MEAN);
    }
    case MO_LOSS_REGRESSION:
    case MO_LOSS_MULTI_LABEL:
      return example_loss(model, shape, loss, logits, labels, workspace);
    case MO_LOSS_REPLACED_TOKEN:
      return replaced_token_loss(model, shape, loss, logits, inputs, workspace);
    case MO_LOSS_PRETRAINING:
      return pretraining_loss(model, loss, logits, output, inputs, workspace);
    case MO_LOSS_SPAN: {
      mo_span_loss_params params = MO_SPAN_LOSS_PARAMS_INIT;
      params.loss = loss;
      params.start_logits = logits;
      params.end_logits = mo_field_tensor(mo_output_get(output, "end_logits"));
      params.start_positions = &inputs->tensors[MO_INPUT_STARTS];
      params.end_positions = &inputs->tensors[MO_INPUT_ENDS];
      params.reduction = tensorflow ? MO_LOSS_REDUCTION_NONE : MO_LOSS_REDUCTION_MEAN;
      return mo_span_loss(model->context, &params);
    }
  }
  return mo_fail(MO_STATUS_INTERNAL, "%s: a loss field without labels", model->architecture.name);
}
