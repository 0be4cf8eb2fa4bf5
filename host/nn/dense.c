/* host/nn/dense.c - loading and applying dense layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/dense.h"

#include "modelout/cast.h"

static int32_t layer_count(const mo_dense_rule *rule) { return rule->rows[1] == 0 ? 1 : rule->rows[2] == 0 ? 2 : 3; }

static mo_status_t copy(mo_context_t *context, const mo_tensor *output, const mo_tensor *input) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = output;
  params.input = input;
  return mo_cast(context, &params);
}

/* Biases of layers packed as one stand in one block, in the order of the layers. */
static mo_status_t load_biases(mo_loader *loader, const char *prefix, const char *const *stems, const mo_dense_rule *rule,
                               mo_dense *dense) {
  char name[MO_PARAMETER_NAME_BYTES];
  const int32_t count = layer_count(rule);
  mo_weight *bias = &dense->bias;
  char *place = NULL;
  if (count == 1) {
    MO_TRY(mo_parameter_name(name, prefix, stems[0], ".bias"));
    return mo_load_vector(loader, name, rule->rows[0], bias);
  }
  if (loader->context != NULL) {
    MO_TRY(mo_context_allocate(loader->context, (size_t)dense->rows * mo_dtype_bytes(loader->dtype), &bias->memory));
    bias->context = loader->context;
    bias->tensor = mo_device_tensor(loader->context, bias->memory, loader->dtype, 1, &dense->rows);
    place = bias->memory;
  }
  for (int32_t i = 0; i < count; i++) {
    mo_weight part = {0};
    MO_TRY(mo_parameter_name(name, prefix, stems[i], ".bias"));
    MO_TRY(mo_load_vector(loader, name, rule->rows[i], &part));
    if (loader->context == NULL) continue;
    const size_t bytes = (size_t)mo_tensor_bytes(&part.tensor);
    const mo_tensor slot = mo_device_tensor(loader->context, place, loader->dtype, 1, &rule->rows[i]);
    const mo_status_t status = copy(loader->context, &slot, &part.tensor);
    mo_weight_release(&part);
    if (status != MO_STATUS_OK) return status;
    place += bytes;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_load_dense(mo_loader *loader, const char *prefix, const char *const *stems, const mo_dense_rule *rule,
                          mo_dense *dense) {
  char name[MO_PARAMETER_NAME_BYTES];
  const int32_t count = layer_count(rule);
  mo_weight parts[3] = {{.memory = NULL}};
  const mo_tensor *tensors[3] = {NULL, NULL, NULL};
  mo_status_t status = MO_STATUS_OK;

  dense->rows = rule->rows[0] + rule->rows[1] + rule->rows[2];
  dense->columns = rule->columns;
  for (int32_t i = 0; i < count; i++) {
    MO_TRY_GOTO(mo_parameter_name(name, prefix, stems[i], ".weight"), status, done);
    MO_TRY_GOTO(rule->layout == MO_DENSE_INPUT_BY_OUTPUT
                    ? mo_load_transposed(loader, name, rule->rows[i], rule->columns, &parts[i])
                    : mo_load_table(loader, name, rule->rows[i], rule->columns, &parts[i]),
                status, done);
    tensors[i] = &parts[i].tensor;
  }
  if (loader->context != NULL) MO_TRY_GOTO(mo_linear_pack(loader->context, tensors, count, &dense->packed), status, done);
  if (!rule->lacks_bias) status = load_biases(loader, prefix, stems, rule, dense);

done:
  for (int32_t i = 0; i < count; i++) {
    mo_weight_drop_pages(&parts[i]);
    mo_weight_release(&parts[i]);
  }
  return status;
}

mo_status_t mo_load_simple_dense(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, mo_dense *dense) {
  const mo_dense_rule rule = {.rows = {rows}, .columns = columns};
  return mo_load_dense(loader, "", &stem, &rule, dense);
}

mo_status_t mo_load_plain_dense(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, bool lacks_bias,
                                mo_dense *dense) {
  char name[MO_PARAMETER_NAME_BYTES];
  dense->rows = rows;
  dense->columns = columns;
  MO_TRY(mo_parameter_name(name, stem, ".weight", ""));
  MO_TRY(mo_load_table(loader, name, rows, columns, &dense->weight));
  if (lacks_bias) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, stem, ".bias", ""));
  return mo_load_vector(loader, name, rows, &dense->bias);
}

void mo_dense_release(mo_dense *dense) {
  mo_packed_weight_destroy(dense->packed);
  mo_weight_release(&dense->weight);
  mo_weight_release(&dense->bias);
  *dense = (mo_dense){0};
}

mo_status_t mo_dense_apply(mo_context_t *context, const mo_dense *dense, mo_activation_t activation, const mo_tensor *output,
                           const mo_tensor *input, const mo_tensor *residual) {
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.packed_weight = dense->packed;
  if (dense->packed == NULL) params.weight = &dense->weight.tensor;
  params.bias = mo_weight_tensor(&dense->bias);
  params.residual = residual;
  params.activation = activation;
  return mo_linear(context, &params);
}
