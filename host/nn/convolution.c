/* host/nn/convolution.c - loading and applying convolutions.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/convolution.h"

#include <math.h>

mo_convolution_rule mo_square_convolution(int64_t in, int64_t out, int32_t kernel, int32_t stride) {
  mo_convolution_rule rule = {.in = in, .out = out, .dimensions = 2, .geometry = MO_CONVOLUTION_GEOMETRY_INIT};
  for (int axis = 0; axis < 2; axis++) {
    rule.kernel[axis] = kernel;
    rule.geometry.stride[axis] = stride;
    rule.geometry.padding_before[axis] = rule.geometry.padding_after[axis] = kernel / 2;
  }
  return rule;
}

/* weight *= factor and bias = (bias - mean) factor + summand, channel by channel. */
static mo_status_t fold(mo_loader *loader, const char *prefix, const mo_convolution_rule *rule, float *weight, int64_t row,
                        float *bias) {
  static const char *const suffixes[4] = {".weight", ".bias", ".running_mean", ".running_var"};
  float *values[4] = {NULL, NULL, NULL, NULL};
  char name[MO_PARAMETER_NAME_BYTES], stem[MO_PARAMETER_NAME_BYTES];
  mo_status_t status = mo_parameter_name(stem, prefix, rule->batch_norm, "");
  for (int i = 0; i < 4 && status == MO_STATUS_OK; i++) {
    status = mo_parameter_name(name, stem, suffixes[i], "");
    if (status == MO_STATUS_OK) status = mo_read_values(loader, name, 1, &rule->out, &values[i]);
  }
  if (status == MO_STATUS_OK) status = mo_parameter_name(name, stem, ".num_batches_tracked", "");
  if (status == MO_STATUS_OK) mo_checkpoint_mark_used(loader->checkpoint, name);
  for (int64_t o = 0; status == MO_STATUS_OK && loader->context != NULL && o < rule->out; o++) {
    const float factor = values[0][o] / sqrtf(values[3][o] + rule->epsilon);
    for (int64_t i = 0; i < row; i++) weight[o * row + i] *= factor;
    bias[o] = (bias[o] - values[2][o]) * factor + values[1][o];
  }
  for (int i = 0; i < 4; i++) mo_release_values(loader, values[i], rule->out);
  return status;
}

static mo_status_t pack(mo_loader *loader, const float *weight, int32_t rank, const int64_t *shape,
                        const mo_convolution_geometry *geometry, mo_convolution_block *block) {
  mo_weight loaded;
  MO_TRY(mo_load_values(loader, weight, rank, shape, &loaded));
  if (loader->context == NULL) return MO_STATUS_OK;
  const mo_status_t status = mo_convolution_pack(loader->context, &loaded.tensor, geometry, &block->packed);
  mo_weight_release(&loaded);
  return status;
}

/* A bias of the file's own, or zeros to be folded into; NULL in the looking walk. */
static mo_status_t read_bias(mo_loader *loader, const char *name, const mo_convolution_rule *rule, float **bias) {
  *bias = NULL;
  if (!rule->lacks_bias) return mo_read_values(loader, name, 1, &rule->out, bias);
  if (loader->context == NULL) return MO_STATUS_OK;
  *bias = mo_host_allocate(loader->context, (size_t)rule->out * sizeof **bias);
  return *bias != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
}

mo_status_t mo_load_convolution(mo_loader *loader, const char *prefix, const char *stem, const mo_convolution_rule *rule,
                                mo_convolution_block *block) {
  const int32_t groups = rule->geometry.groups == 0 ? 1 : rule->geometry.groups, rank = 2 + rule->dimensions;
  const int64_t shape[4] = {rule->out, rule->in / groups, rule->kernel[0], rule->kernel[1]};
  const int64_t row = shape[1] * shape[2] * (rank == 4 ? shape[3] : 1);
  char name[MO_PARAMETER_NAME_BYTES];
  float *weight = NULL, *bias = NULL;
  block->out = rule->out;
  mo_status_t status = mo_parameter_name(name, prefix, stem, ".weight");
  if (status == MO_STATUS_OK) status = mo_read_values(loader, name, rank, shape, &weight);
  if (status == MO_STATUS_OK) status = mo_parameter_name(name, prefix, stem, ".bias");
  if (status == MO_STATUS_OK) status = read_bias(loader, name, rule, &bias);
  if (status == MO_STATUS_OK && rule->batch_norm != NULL) status = fold(loader, prefix, rule, weight, row, bias);
  if (status == MO_STATUS_OK) status = pack(loader, weight, rank, shape, &rule->geometry, block);
  if (status == MO_STATUS_OK && (!rule->lacks_bias || rule->batch_norm != NULL))
    status = mo_load_values(loader, bias, 1, &rule->out, &block->bias);
  mo_release_values(loader, weight, rule->out * row);
  mo_release_values(loader, bias, rule->out);
  return status;
}

void mo_convolution_release(mo_convolution_block *block) {
  mo_packed_convolution_destroy(block->packed);
  mo_weight_release(&block->bias);
  *block = (mo_convolution_block){.packed = NULL};
}

mo_status_t mo_convolution_apply(mo_context_t *context, const mo_convolution_block *block, mo_activation_t activation,
                                 const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual) {
  mo_convolution_params params = MO_CONVOLUTION_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.weight = block->packed;
  params.bias = mo_weight_tensor(&block->bias);
  params.residual = residual;
  params.residual_first = true;
  params.activation = activation;
  return mo_convolution(context, &params);
}
