/* host/checkpoint/loader.h - parameters of a model by their names, one way for every block: tables and vectors.
 *
 * Everything is loaded twice by the same code: a walk with context NULL that only looks (see host/checkpoint/checkpoint.h),
 * then the walk that loads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CHECKPOINT_LOADER_H
#define MO_CHECKPOINT_LOADER_H

#include "host/checkpoint/checkpoint.h"
#include "host/core/tensor_view.h"

#define MO_PARAMETER_NAME_BYTES 256

typedef struct mo_loader {
  mo_checkpoint_t *checkpoint;
  mo_context_t *context; /* NULL: look only */
  mo_dtype_t dtype;
  mo_load_mode_t mode;
  bool allow_missing;
  /* NULL-terminated stems: heads that the configuration ties to the word table, which may be stored under their name alone. */
  const char *const *tied_heads;
  int64_t parameter_count; /* elements loaded, shared ones once */
  bool any_mapped;         /* some weight lay in the mapped file when it was loaded */
} mo_loader;

/* "prefix" "name" "suffix" into one name. INTERNAL if it does not fit. */
mo_status_t mo_parameter_name(char name[MO_PARAMETER_NAME_BYTES], const char *prefix, const char *stem, const char *suffix);

/* By whole names, in the loader's dtype. */
mo_status_t mo_load_table(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight);
mo_status_t mo_load_vector(mo_loader *loader, const char *name, int64_t count, mo_weight *weight);

/* The same in another dtype. */
mo_status_t mo_load_vector_as(mo_loader *loader, const char *name, mo_dtype_t dtype, int64_t count, mo_weight *weight);

/* A table that is (columns, rows) in the file, as (rows, columns). */
mo_status_t mo_load_transposed(mo_loader *loader, const char *name, int64_t rows, int64_t columns, mo_weight *weight);

/* A tensor of this shape as float32 in host memory (mo_host_allocate; *values is given back with mo_release_values), for
 * parameters that become others when a model is loaded: *values is NULL in the looking walk, zeros where it is missing. */
mo_status_t mo_read_values(mo_loader *loader, const char *name, int32_t rank, const int64_t *shape, float **values);
void mo_release_values(const mo_loader *loader, float *values, int64_t count);

/* Such numbers as a parameter in the loader's dtype. */
mo_status_t mo_load_values(mo_loader *loader, const float *values, int32_t rank, const int64_t *shape, mo_weight *weight);

/* A tensor of any rank, as it lies. */
mo_status_t mo_load_tensor(mo_loader *loader, const char *name, int32_t rank, const int64_t *shape, mo_weight *weight);

/* The descriptor of a loaded weight, NULL if it is not there. */
static inline const mo_tensor *mo_weight_tensor(const mo_weight *weight) {
  return weight->tensor.dtype == MO_DTYPE_NONE ? NULL : &weight->tensor;
}

#endif
