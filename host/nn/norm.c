/* host/nn/norm.c - loading and applying norms.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/norm.h"

#include "modelout/norm.h"

mo_status_t mo_load_norm(mo_loader *loader, const char *prefix, const char *stem, mo_norm_kind_t kind, mo_dtype_t dtype,
                         int64_t count, mo_norm_weights *norm) {
  char name[MO_PARAMETER_NAME_BYTES];
  norm->kind = kind;
  MO_TRY(mo_parameter_name(name, prefix, stem, ".weight"));
  MO_TRY(mo_load_vector_as(loader, name, dtype, count, &norm->weight));
  if (kind != MO_NORM_LAYER) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, prefix, stem, ".bias"));
  return mo_load_vector_as(loader, name, dtype, count, &norm->bias);
}

void mo_norm_weights_release(mo_norm_weights *norm) {
  mo_weight_release(&norm->weight);
  mo_weight_release(&norm->bias);
}

mo_status_t mo_norm_apply(mo_context_t *context, const mo_norm_weights *norm, float epsilon, const mo_tensor *output,
                          const mo_tensor *input, const mo_tensor *residual) {
  mo_norm_params params = MO_NORM_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.residual = residual;
  params.weight = &norm->weight.tensor;
  params.bias = mo_weight_tensor(&norm->bias);
  params.epsilon = epsilon;
  if (norm->kind == MO_NORM_RMS_ABOVE_ONE) params.weight_offset = 1.0f;
  return norm->kind == MO_NORM_LAYER ? mo_layer_norm(context, &params) : mo_rms_norm(context, &params);
}
