/* host/nn/weights.c - loading and applying dense layers, norms and tables.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/weights.h"

#include <stdio.h>
#include <string.h>

#include "modelout/norm.h"

mo_status_t mo_parameter_name(char name[MO_PARAMETER_NAME_BYTES], const char *prefix, const char *stem, const char *suffix) {
  const int length = snprintf(name, MO_PARAMETER_NAME_BYTES, "%s%s%s", prefix, stem, suffix);
  MO_CHECK(length > 0 && length < MO_PARAMETER_NAME_BYTES, MO_STATUS_INTERNAL, "model: the parameter name %s%s%s is too long",
           prefix, stem, suffix);
  return MO_STATUS_OK;
}

static mo_status_t load(mo_loader *loader, const char *name, mo_dtype_t dtype, int32_t rank, const int64_t *shape,
                        mo_weight *weight) {
  MO_TRY(mo_checkpoint_load(loader->checkpoint, loader->context, name, dtype, rank, shape, loader->mode, loader->allow_missing,
                            weight));
  if (loader->context == NULL) return MO_STATUS_OK;
  loader->parameter_count += mo_tensor_count(&weight->tensor);
  loader->any_mapped |= weight->mapped;
  return MO_STATUS_OK;
}

mo_status_t mo_load_table(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight) {
  return load(loader, name, loader->dtype, 2, (int64_t[]){rows, columns}, weight);
}

mo_status_t mo_load_vector(mo_loader *loader, const char *name, int64_t count, mo_weight *weight) {
  return load(loader, name, loader->dtype, 1, &count, weight);
}

/* rows x columns of `source`, which is (columns, rows), into `target`; elements of `size` bytes. In tiles, as one side of a
 * transposition always strides. */
static inline void transpose_elements(const char *source, size_t size, int64_t rows, int64_t columns, char *target) {
  enum { TILE = 64 };
  for (int64_t first = 0; first < rows; first += TILE) {
    const int64_t end = rows - first < TILE ? rows : first + TILE;
    for (int64_t column = 0; column < columns; column++)
      for (int64_t row = first; row < end; row++)
        memcpy(target + (size_t)(row * columns + column) * size, source + (size_t)(column * rows + row) * size, size);
  }
}

/* A constant size makes each copy one move. */
static void transpose(const char *source, size_t size, int64_t rows, int64_t columns, char *target) {
  if (size == sizeof(float)) {
    transpose_elements(source, sizeof(float), rows, columns, target);
  } else {
    transpose_elements(source, sizeof(uint16_t), rows, columns, target);
  }
}

/* Through host memory: as it lies in the file, and, where the device's is another, transposed. */
static mo_status_t fill_transposed(mo_loader *loader, const char *name, const mo_tensor *found, mo_weight *weight) {
  mo_context_t *context = loader->context;
  const mo_tensor *tensor = &weight->tensor;
  const size_t bytes = (size_t)mo_tensor_bytes(tensor);
  const bool direct = mo_context_backend(context)->memory_is_host;
  char *source = mo_host_allocate(context, bytes);
  char *stage = direct ? tensor->data : mo_host_allocate(context, bytes);
  mo_status_t status = source == NULL || stage == NULL ? MO_STATUS_OUT_OF_MEMORY : MO_STATUS_OK;
  if (status == MO_STATUS_OK) status = mo_checkpoint_read(loader->checkpoint, name, found, loader->dtype, source);
  if (status == MO_STATUS_OK) {
    transpose(source, mo_dtype_bytes(loader->dtype), tensor->shape[0], tensor->shape[1], stage);
    if (!direct) status = mo_context_copy_to_device(context, tensor->data, stage, bytes);
  }
  const mo_status_t waited = mo_context_synchronize(context);
  if (source != NULL) mo_host_free(context, source, bytes);
  if (!direct && stage != NULL) mo_host_free(context, stage, bytes);
  return status != MO_STATUS_OK ? status : waited;
}

/* A weight that is (columns, rows) in the file, as (rows, columns). */
static mo_status_t load_transposed(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight) {
  mo_tensor found;
  mo_context_t *context = loader->context;
  if (context == NULL) return load(loader, name, loader->dtype, 2, (int64_t[]){columns, rows}, weight);
  if (!mo_checkpoint_contains(loader->checkpoint, name)) return mo_load_table(loader, name, rows, columns, weight);
  MO_TRY(mo_checkpoint_find(loader->checkpoint, name, &found));
  void *memory;
  MO_TRY(mo_context_allocate(context, (size_t)(rows * columns) * mo_dtype_bytes(loader->dtype), &memory));
  *weight = (mo_weight){.context = context,
                        .memory = memory,
                        .tensor = mo_device_tensor(context, memory, loader->dtype, 2, (int64_t[]){rows, columns})};
  loader->parameter_count += rows * columns;
  const mo_status_t status = fill_transposed(loader, name, &found, weight);
  if (status != MO_STATUS_OK) mo_weight_release(weight);
  return status;
}

static int32_t layer_count(const mo_dense_rule *rule) { return rule->rows[1] == 0 ? 1 : rule->rows[2] == 0 ? 2 : 3; }

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
    const mo_backend *backend = mo_context_backend(loader->context);
    const mo_status_t status = backend->copy(mo_context_backend_state(loader->context), place, part.tensor.data, bytes,
                                             MO_COPY_ON_DEVICE, mo_context_stream(loader->context));
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
    MO_TRY_GOTO(rule->transposed ? load_transposed(loader, name, rule->rows[i], rule->columns, &parts[i])
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

mo_status_t mo_load_norm(mo_loader *loader, const char *prefix, const char *stem, mo_norm_kind_t kind, mo_dtype_t dtype,
                         int64_t count, mo_norm_weights *norm) {
  char name[MO_PARAMETER_NAME_BYTES];
  norm->kind = kind;
  MO_TRY(mo_parameter_name(name, prefix, stem, ".weight"));
  MO_TRY(load(loader, name, dtype, 1, &count, &norm->weight));
  if (kind == MO_NORM_RMS) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, prefix, stem, ".bias"));
  return load(loader, name, dtype, 1, &count, &norm->bias);
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

mo_status_t mo_norm_apply(mo_context_t *context, const mo_norm_weights *norm, float epsilon, const mo_tensor *output,
                          const mo_tensor *input, const mo_tensor *residual) {
  mo_norm_params params = MO_NORM_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.residual = residual;
  params.weight = &norm->weight.tensor;
  params.bias = mo_weight_tensor(&norm->bias);
  params.epsilon = epsilon;
  return norm->kind == MO_NORM_RMS ? mo_rms_norm(context, &params) : mo_layer_norm(context, &params);
}
