/* host/cpu/gate_kernels.h - rows of the gate: what host/cpu/gate.c hands to its kernel.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_GATE_KERNELS_H
#define MO_CPU_GATE_KERNELS_H

#include "host/cpu/isa.h"
#include "host/cpu/rows.h"
#include "modelout/linear.h"

typedef struct mo_gate_job {
  int64_t columns;
  mo_dtype_t dtype;
  mo_activation_t activation;
  const void *gate, *input;
  void *output;
  mo_rows gate_rows, input_rows, output_rows;
} mo_gate_job;

/* Columns [first_column, last_column) of rows [first, last). */
MO_CPU_DECLARE(void, mo_gate_rows,
               (const mo_gate_job *job, int64_t first, int64_t last, int64_t first_column, int64_t last_column));

#endif
