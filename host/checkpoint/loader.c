/* host/checkpoint/loader.c - tables and vectors of a checkpoint by their names.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/checkpoint/loader.h"

#include <stdio.h>
#include <string.h>

#include "host/core/context_internal.h"

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

mo_status_t mo_load_vector_as(mo_loader *loader, const char *name, mo_dtype_t dtype, int64_t count, mo_weight *weight) {
  return load(loader, name, dtype, 1, &count, weight);
}

mo_status_t mo_load_tensor(mo_loader *loader, const char *name, int32_t rank, const int64_t *shape, mo_weight *weight) {
  return load(loader, name, loader->dtype, rank, shape, weight);
}

/* ---- Through host memory ------------------------------------------------------------------------------------------------- */

static int64_t element_count(int32_t rank, const int64_t *shape) {
  int64_t count = 1;
  for (int32_t i = 0; i < rank; i++) count *= shape[i];
  return count;
}

mo_status_t mo_read_values(mo_loader *loader, const char *name, int32_t rank, const int64_t *shape, float **values) {
  const int64_t count = element_count(rank, shape);
  mo_weight unused;
  mo_tensor found;
  *values = NULL;
  MO_TRY(mo_checkpoint_load(loader->checkpoint, NULL, name, loader->dtype, rank, shape, loader->mode, loader->allow_missing,
                            &unused));
  if (loader->context == NULL) return MO_STATUS_OK;
  const bool there = mo_checkpoint_contains(loader->checkpoint, name);
  MO_CHECK(there || loader->allow_missing, MO_STATUS_BAD_FILE, "checkpoint: tensor \"%s\" is missing", name);
  float *made = mo_host_allocate(loader->context, (size_t)count * sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = MO_STATUS_OK;
  if (there) status = mo_checkpoint_find(loader->checkpoint, name, &found);
  if (there && status == MO_STATUS_OK) status = mo_checkpoint_read(loader->checkpoint, name, &found, MO_DTYPE_FLOAT32, made);
  if (status != MO_STATUS_OK) {
    mo_release_values(loader, made, count);
    return status;
  }
  loader->parameter_count += count;
  *values = made;
  return MO_STATUS_OK;
}

void mo_release_values(const mo_loader *loader, float *values, int64_t count) {
  if (values != NULL) mo_host_free(loader->context, values, (size_t)count * sizeof *values);
}

mo_status_t mo_load_values(mo_loader *loader, const float *values, int32_t rank, const int64_t *shape, mo_weight *weight) {
  mo_context_t *context = loader->context;
  const int64_t count = element_count(rank, shape);
  const size_t bytes = (size_t)count * mo_dtype_bytes(loader->dtype);
  *weight = (mo_weight){.memory = NULL};
  if (context == NULL) return MO_STATUS_OK;
  void *memory, *stage = mo_host_allocate(context, bytes + 1);
  if (stage == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_context_allocate(context, bytes, &memory);
  if (status == MO_STATUS_OK) {
    *weight = (mo_weight){
        .context = context, .memory = memory, .tensor = mo_device_tensor(context, memory, loader->dtype, rank, shape)};
    status = mo_dtype_convert(stage, loader->dtype, values, MO_DTYPE_FLOAT32, count);
    if (status == MO_STATUS_OK) status = mo_context_copy_to_device(context, memory, stage, bytes);
    const mo_status_t waited = mo_context_synchronize(context);
    if (status == MO_STATUS_OK) status = waited;
    if (status != MO_STATUS_OK) mo_weight_release(weight);
  }
  mo_host_free(context, stage, bytes + 1);
  return status;
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

/* Through host memory: as it lies in the file, and, where the device has memory of its own, transposed. */
static mo_status_t fill_transposed(mo_loader *loader, const char *name, const mo_tensor *found, mo_weight *weight) {
  mo_context_t *context = loader->context;
  const mo_tensor *tensor = &weight->tensor;
  const size_t bytes = (size_t)mo_tensor_bytes(tensor);
  const bool direct = mo_context_device(context).kind == MO_DEVICE_KIND_CPU;
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

mo_status_t mo_load_transposed(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight) {
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
