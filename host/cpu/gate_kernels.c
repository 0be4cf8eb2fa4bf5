/* host/cpu/gate_kernels.c - the gate, row by row. Compiled once per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/gate_kernels.h"

#include "host/cpu/norm_row.h"
#include "host/cpu/simd_math.h"

/* dtype and activation are constants in the cases that models have. */
MO_ROW_INLINE void gate_rows(const mo_gate_job *job, mo_dtype_t dtype, mo_activation_t activation, int64_t first, int64_t last,
                             int64_t first_column, int64_t last_column) {
  for (int64_t r = first; r < last; ++r) {
    const int64_t gate = mo_rows_offset(&job->gate_rows, r), input = mo_rows_offset(&job->input_rows, r);
    const int64_t output = mo_rows_offset(&job->output_rows, r);
    for (int64_t i = first_column; i < last_column; i += MO_VL) {
      const int n = last_column - i < MO_VL ? (int)(last_column - i) : MO_VL;
      const mo_vf opened = mo_vf_activate(mo_vf_load_any(job->gate, dtype, gate + i, n), activation);
      mo_vf_store_any(job->output, dtype, output + i, mo_vf_mul(opened, mo_vf_load_any(job->input, dtype, input + i, n)), n);
    }
  }
}

void MO_SIMD(mo_gate_rows)(const mo_gate_job *job, int64_t first, int64_t last, int64_t first_column, int64_t last_column) {
  if (job->dtype == MO_DTYPE_FLOAT32 && job->activation == MO_ACTIVATION_SILU) {
    gate_rows(job, MO_DTYPE_FLOAT32, MO_ACTIVATION_SILU, first, last, first_column, last_column);
  } else if (job->dtype == MO_DTYPE_FLOAT32) {
    gate_rows(job, MO_DTYPE_FLOAT32, job->activation, first, last, first_column, last_column);
  } else if (job->dtype == MO_DTYPE_FLOAT16) {
    gate_rows(job, MO_DTYPE_FLOAT16, job->activation, first, last, first_column, last_column);
  } else {
    gate_rows(job, MO_DTYPE_BFLOAT16, job->activation, first, last, first_column, last_column);
  }
}
