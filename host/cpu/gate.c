/* host/cpu/gate.c - the gate on the CPU: rows shared out among the threads, or the columns of the only row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <omp.h>

#include "host/cpu/cpu_ops.h"
#include "host/cpu/gate_kernels.h"

#define PARALLEL_ELEMENTS 16384 /* below it a second thread costs more than it gives */
#define COLUMN_GRAIN 64         /* threads share no cache line */

mo_status_t mo_cpu_gate(mo_context_t *context, const mo_gate_params *p) {
  const mo_gate_job job = {.columns = p->output->shape[p->output->rank - 1],
                           .dtype = p->output->dtype,
                           .activation = p->activation,
                           .gate = p->gate->data,
                           .input = p->input->data,
                           .output = p->output->data,
                           .gate_rows = mo_rows_of(p->gate),
                           .input_rows = mo_rows_of(p->input),
                           .output_rows = mo_rows_of(p->output)};
  const int64_t rows = job.output_rows.count;
  const int threads = rows > PARALLEL_ELEMENTS / job.columns ? (int)mo_context_thread_count(context) : 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
    if (rows >= team) {
      MO_CPU_SELECT(mo_gate_rows)(&job, rows * thread / team, rows * (thread + 1) / team, 0, job.columns);
    } else {
      const int64_t grains = (job.columns + COLUMN_GRAIN - 1) / COLUMN_GRAIN;
      const int64_t end = grains * (thread + 1) / team * COLUMN_GRAIN;
      MO_CPU_SELECT(mo_gate_rows)
      (&job, 0, rows, grains * thread / team * COLUMN_GRAIN, end < job.columns ? end : job.columns);
    }
  }
  return MO_STATUS_OK;
}
