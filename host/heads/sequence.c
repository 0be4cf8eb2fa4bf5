/* host/heads/sequence.c - one vector per sequence, and logits of it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/sequence.h"

#include "host/heads/rows.h"
#include "modelout/cast.h"
#include "modelout/pooling.h"

mo_status_t mo_load_classifier(mo_model_t *model, mo_loader *loader, int64_t class_count, mo_dense *classifier) {
  const mo_architecture *architecture = &model->architecture;
  return mo_load_plain_dense(loader, architecture->classifier, class_count, model->facts.output_size,
                             architecture->classifier_lacks_bias, classifier);
}

mo_status_t mo_sequence_load(mo_model_t *model, mo_loader *loader, int64_t class_count, mo_sequence_layers *layers) {
  const int64_t width = model->facts.output_size;
  const char *summary = model->architecture.summary.dense;
  if (summary != NULL) MO_TRY(mo_load_simple_dense(loader, summary, width, width, &layers->summary));
  return mo_load_classifier(model, loader, class_count, &layers->classifier);
}

void mo_sequence_release(mo_sequence_layers *layers) {
  mo_dense_release(&layers->summary);
  mo_dense_release(&layers->classifier);
}

mo_status_t mo_summarise(const mo_call *call, const mo_dense *dense, const mo_tensor *tokens, const mo_tensor *summary) {
  return mo_dense_apply(call->model->context, dense, call->model->architecture.summary.activation, summary, tokens, NULL);
}

mo_status_t mo_copy_tokens(const mo_call *call, const mo_tensor *summary, const mo_tensor *tokens) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = summary;
  params.input = tokens;
  return mo_cast(call->model->context, &params);
}

mo_status_t mo_mean_tokens(const mo_call *call, const mo_tensor *summary, const mo_tensor *hidden) {
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_MEAN;
  params.output = summary;
  params.input = hidden;
  return mo_pooling(call->model->context, &params);
}

void *mo_sequence_carve(mo_call *call, mo_arena *arena) {
  const int64_t elements = call->batch_size * call->model->facts.output_size;
  return mo_call_carve_after_base(call, arena, (size_t)elements * mo_dtype_bytes(call->model->dtype));
}

mo_status_t mo_sequence_classify(const mo_call *call, const mo_sequence_layers *layers, const mo_tensor *summary,
                                 const mo_tensor *logits) {
  const mo_tensor destination = mo_tensor_reshaped(logits, 2, (int64_t[]){summary->shape[0], layers->classifier.rows});
  return mo_dense_apply(call->model->context, &layers->classifier, MO_ACTIVATION_NONE, &destination, summary, NULL);
}

mo_status_t mo_sequence_forward(const mo_call *call, const mo_sequence_layers *layers, const mo_tensor *hidden, void *memory,
                                const mo_tensor *logits) {
  const mo_model_t *model = call->model;
  const int64_t extents[2] = {hidden->shape[0], hidden->shape[2]};
  const mo_tensor summary = mo_device_tensor(model->context, memory, model->dtype, 2, extents), first = mo_first_tokens(hidden);
  const mo_summary_rule *rule = &model->architecture.summary;
  if (rule->of_mean) {
    MO_TRY(mo_mean_tokens(call, &summary, hidden));
    return mo_sequence_classify(call, layers, &summary, logits);
  }
  if (rule->dense == NULL) return mo_sequence_classify(call, layers, &first, logits);
  MO_TRY(mo_summarise(call, &layers->summary, &first, &summary));
  return mo_sequence_classify(call, layers, &summary, logits);
}
