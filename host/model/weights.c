/* host/model/weights.c - loading and applying dense layers, norms and tables.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/weights.h"

#include <stdio.h>
#include <string.h>

#include "modelout/norm.h"

mo_status_t mo_parameter_name(char name[MO_PARAMETER_NAME_BYTES], const char *prefix, const char *stem, const char *suffix) {
  const int length = snprintf(name, MO_PARAMETER_NAME_BYTES, "%s%s%s", prefix, stem, suffix);
  MO_CHECK(length > 0 && length < MO_PARAMETER_NAME_BYTES, MO_STATUS_INTERNAL, "model: the parameter name %s%s%s is too long",
           prefix, stem, suffix);
  return MO_STATUS_OK;
}

static mo_status_t load(mo_loader *loader, const char *name, int32_t rank, const int64_t *shape, mo_weight *weight) {
  MO_TRY(mo_checkpoint_load(loader->checkpoint, loader->context, name, loader->dtype, rank, shape, MO_LOAD_MAP,
                            loader->allow_missing, weight));
  if (loader->context == NULL) return MO_STATUS_OK;
  loader->parameter_count += mo_tensor_count(&weight->tensor);
  loader->any_mapped |= weight->mapped;
  return MO_STATUS_OK;
}

mo_status_t mo_load_table(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight) {
  return load(loader, name, 2, (int64_t[]){rows, columns}, weight);
}

mo_status_t mo_load_vector(mo_loader *loader, const char *name, int64_t count, mo_weight *weight) {
  return load(loader, name, 1, &count, weight);
}

/* Biases of layers packed as one stand in one block, in the order of the layers. */
static mo_status_t load_biases(mo_loader *loader, const char *prefix, const char *const *stems, int32_t count,
                               int64_t rows_each, mo_weight *bias) {
  char name[MO_PARAMETER_NAME_BYTES];
  const size_t bytes_each = (size_t)rows_each * mo_dtype_bytes(loader->dtype);
  if (loader->context != NULL) {
    MO_TRY(mo_context_allocate(loader->context, bytes_each * (size_t)count, &bias->memory));
    bias->context = loader->context;
    bias->tensor = mo_device_tensor(loader->context, bias->memory, loader->dtype, 1, (int64_t[]){rows_each * count});
  }
  for (int32_t i = 0; i < count; i++) {
    mo_weight part = {0};
    MO_TRY(mo_parameter_name(name, prefix, stems[i], ".bias"));
    MO_TRY(mo_load_vector(loader, name, rows_each, &part));
    if (loader->context == NULL) continue;
    const mo_backend *backend = mo_context_backend(loader->context);
    const mo_status_t status =
        backend->copy(mo_context_backend_state(loader->context), (char *)bias->memory + bytes_each * (size_t)i,
                      part.tensor.data, bytes_each, MO_COPY_ON_DEVICE, mo_context_stream(loader->context));
    mo_weight_release(&part);
    if (status != MO_STATUS_OK) return status;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_load_dense(mo_loader *loader, const char *prefix, const char *const *stems, int32_t count, int64_t rows_each,
                          int64_t columns, mo_dense *dense) {
  char name[MO_PARAMETER_NAME_BYTES];
  mo_weight parts[3] = {{.memory = NULL}};
  const mo_tensor *tensors[3] = {NULL, NULL, NULL};
  mo_status_t status = MO_STATUS_OK;
  MO_CHECK(count >= 1 && count <= 3, MO_STATUS_INTERNAL, "model: %d layers cannot be packed as one", (int)count);

  dense->rows = rows_each * count;
  dense->columns = columns;
  for (int32_t i = 0; i < count; i++) {
    MO_TRY_GOTO(mo_parameter_name(name, prefix, stems[i], ".weight"), status, done);
    MO_TRY_GOTO(mo_load_table(loader, name, rows_each, columns, &parts[i]), status, done);
    tensors[i] = &parts[i].tensor;
  }
  if (loader->context != NULL) MO_TRY_GOTO(mo_linear_pack(loader->context, tensors, count, &dense->packed), status, done);
  if (count > 1) {
    status = load_biases(loader, prefix, stems, count, rows_each, &dense->bias);
  } else {
    MO_TRY_GOTO(mo_parameter_name(name, prefix, stems[0], ".bias"), status, done);
    status = mo_load_vector(loader, name, rows_each, &dense->bias);
  }

done:
  for (int32_t i = 0; i < count; i++) {
    mo_weight_drop_pages(&parts[i]);
    mo_weight_release(&parts[i]);
  }
  return status;
}

mo_status_t mo_load_plain_dense(mo_loader *loader, const char *prefix, const char *stem, int64_t rows, int64_t columns,
                                mo_dense *dense) {
  char name[MO_PARAMETER_NAME_BYTES];
  dense->rows = rows;
  dense->columns = columns;
  MO_TRY(mo_parameter_name(name, prefix, stem, ".weight"));
  MO_TRY(mo_load_table(loader, name, rows, columns, &dense->weight));
  MO_TRY(mo_parameter_name(name, prefix, stem, ".bias"));
  return mo_load_vector(loader, name, rows, &dense->bias);
}

mo_status_t mo_load_norm(mo_loader *loader, const char *prefix, const char *stem, int64_t count, mo_norm_weights *norm) {
  char name[MO_PARAMETER_NAME_BYTES];
  MO_TRY(mo_parameter_name(name, prefix, stem, ".weight"));
  MO_TRY(mo_load_vector(loader, name, count, &norm->weight));
  MO_TRY(mo_parameter_name(name, prefix, stem, ".bias"));
  return mo_load_vector(loader, name, count, &norm->bias);
}

void mo_dense_release(mo_dense *dense) {
  mo_packed_weight_destroy(dense->packed);
  mo_weight_release(&dense->weight);
  mo_weight_release(&dense->bias);
  *dense = (mo_dense){0};
}

void mo_norm_weights_release(mo_norm_weights *norm) {
  mo_weight_release(&norm->weight);
  mo_weight_release(&norm->bias);
}

mo_status_t mo_dense_apply(mo_context_t *context, const mo_dense *dense, mo_activation_t activation, const mo_tensor *output,
                           const mo_tensor *input) {
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.packed_weight = dense->packed;
  if (dense->packed == NULL) params.weight = &dense->weight.tensor;
  params.bias = mo_weight_tensor(&dense->bias);
  params.activation = activation;
  return mo_linear(context, &params);
}

mo_status_t mo_norm_apply(mo_context_t *context, const mo_norm_weights *norm, float epsilon, const mo_tensor *output,
                          const mo_tensor *input, const mo_tensor *residual) {
  mo_norm_params params = MO_NORM_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.residual = residual;
  params.weight = &norm->weight.tensor;
  params.bias = &norm->bias.tensor;
  params.epsilon = epsilon;
  return mo_layer_norm(context, &params);
}

mo_tensor mo_device_tensor(const mo_context_t *context, void *data, mo_dtype_t dtype, int32_t rank, const int64_t *shape) {
  mo_tensor tensor = {.data = data, .dtype = dtype, .device = mo_context_device(context), .rank = rank};
  int64_t stride = 1;
  for (int32_t i = rank - 1; i >= 0; i--) {
    tensor.shape[i] = shape[i];
    tensor.strides[i] = stride;
    stride *= shape[i];
  }
  return tensor;
}

mo_tensor mo_tensor_reshaped(const mo_tensor *tensor, int32_t rank, const int64_t *shape) {
  mo_tensor view = {.data = tensor->data, .dtype = tensor->dtype, .device = tensor->device, .rank = rank};
  int64_t stride = 1;
  for (int32_t i = rank - 1; i >= 0; i--) {
    view.shape[i] = shape[i];
    view.strides[i] = stride;
    stride *= shape[i];
  }
  return view;
}
