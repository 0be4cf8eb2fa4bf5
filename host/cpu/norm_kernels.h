/* host/cpu/norm_kernels.h - rows of layer norm, RMS norm and embedding: what host/cpu/{norm,embedding}.c hand to their kernels.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_NORM_KERNELS_H
#define MO_CPU_NORM_KERNELS_H

#include "host/cpu/isa.h"
#include "host/cpu/norm_affine.h"
#include "host/cpu/rows.h"

typedef struct mo_norm_job {
  mo_norm_affine affine;
  const void *input, *residual, *input_bias; /* residual and input_bias may be NULL */
  void *sum, *output;                        /* sum may be NULL */
  mo_dtype_t dtype, output_dtype;            /* dtype: of input, residual, input_bias, sum */
  mo_rows input_rows, residual_rows, sum_rows, output_rows;
} mo_norm_job;

/* Index tensors of (B, S), as rows of `data`. */
typedef struct mo_embedding_ids {
  const void *data; /* NULL: see `start` and `step` */
  bool is_int64;
  int64_t batch_stride, stride; /* in elements; batch_stride 0 broadcasts */
  int64_t start, step;          /* without data: start + step * s */
} mo_embedding_ids;

typedef struct mo_embedding_table {
  const void *data; /* NULL: absent */
  int64_t stride;   /* of rows, in elements */
  mo_embedding_ids ids;
} mo_embedding_table;

typedef struct mo_embedding_job {
  mo_norm_affine affine; /* count is set also where there is no norm */
  bool normalises;
  mo_dtype_t dtype; /* of the tables, embeds and output */
  int64_t batch, length;
  const void *embeds; /* (B, S, C) or NULL */
  int64_t embeds_batch_stride, embeds_stride;
  mo_embedding_table tables[3]; /* word, position, type */
  float first_scale;            /* of the embeds or the word row */
  void *output;
  int64_t output_batch_stride, output_stride;
} mo_embedding_job;

static inline int64_t mo_embedding_id(const mo_embedding_ids *ids, int64_t batch, int64_t position) {
  if (ids->data == NULL) return ids->start + ids->step * position;
  const int64_t offset = batch * ids->batch_stride + position * ids->stride;
  return ids->is_int64 ? ((const int64_t *)ids->data)[offset] : ((const int32_t *)ids->data)[offset];
}

/* Rows [first, last). row: C floats of scratch, rounded up to 16; not used by other threads. */
MO_CPU_DECLARE(void, mo_norm_rows, (const mo_norm_job *job, int64_t first, int64_t last, float *row));
/* Rows of the flattened (B, S); every index has been checked. */
MO_CPU_DECLARE(void, mo_embedding_rows, (const mo_embedding_job *job, int64_t first, int64_t last, float *row));

#endif
