/* host/cpu/norm_kernels.c - layer norm and RMS norm, row by row. Compiled once per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/norm_kernels.h"

#include "host/cpu/norm_row.h"

/* The dtypes are constants in the common cases. */
MO_ROW_INLINE void norm_rows(const mo_norm_job *job, mo_dtype_t dtype, mo_dtype_t output_dtype, mo_dtype_t weight_dtype,
                             int64_t first, int64_t last, float *row) {
  const int64_t count = job->affine.count;
  for (int64_t r = first; r < last; ++r) {
    const int64_t input = mo_rows_offset(&job->input_rows, r), output = mo_rows_offset(&job->output_rows, r);
    const float *values = row;
    if (dtype == MO_DTYPE_FLOAT32 && job->residual == NULL && job->input_bias == NULL && job->sum == NULL) {
      values = (const float *)job->input + input; /* the input is the sum */
    } else {
      const int64_t residual = job->residual != NULL ? mo_rows_offset(&job->residual_rows, r) : 0;
      const int64_t sum = job->sum != NULL ? mo_rows_offset(&job->sum_rows, r) : 0;
      for (int64_t i = 0; i < count; i += MO_VL) {
        const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
        mo_vf v = mo_vf_load_any(job->input, dtype, input + i, n);
        if (job->input_bias != NULL) v = mo_vf_add(v, mo_vf_load_any(job->input_bias, dtype, i, n));
        if (job->residual != NULL) v = mo_vf_add(v, mo_vf_load_any(job->residual, dtype, residual + i, n));
        if (job->sum != NULL) mo_vf_store_any(job->sum, dtype, sum + i, v, n);
        mo_vf_store_any(row, MO_DTYPE_FLOAT32, i, v, n);
      }
    }
    mo_row_normalize(&job->affine, weight_dtype, values, job->output, output_dtype, output);
  }
}

void MO_SIMD(mo_norm_rows)(const mo_norm_job *job, int64_t first, int64_t last, float *row) {
  const mo_dtype_t dtype = job->dtype, weight_dtype = job->affine.weight_dtype;
  const bool plain = job->affine.weight == NULL && job->affine.bias == NULL;
  const bool same = dtype == job->output_dtype && (dtype == weight_dtype || plain);
  if (same && dtype == MO_DTYPE_FLOAT32) {
    norm_rows(job, MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, first, last, row);
  } else if (same && dtype == MO_DTYPE_FLOAT16) {
    norm_rows(job, MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT16, first, last, row);
  } else if (same) {
    norm_rows(job, MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, first, last, row);
  } else {
    norm_rows(job, dtype, job->output_dtype, weight_dtype, first, last, row);
  }
}
