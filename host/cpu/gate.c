/* host/cpu/gate.c - the gate on the CPU: rows shared out among the threads, or the columns of the only row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/gate_kernels.h"

#define PARALLEL_ELEMENTS 16384 /* below it a second thread costs more than it gives */
#define COLUMN_GRAIN 64         /* threads share no cache line */

static void gate_rows(const void *job, int64_t first, int64_t last, int32_t slot) {
  (void)slot;
  MO_CPU_SELECT(mo_gate_rows)(job, first, last, 0, ((const mo_gate_job *)job)->columns);
}

static void gate_columns(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const mo_gate_job *job = argument;
  const int64_t end = last * COLUMN_GRAIN;
  (void)slot;
  MO_CPU_SELECT(mo_gate_rows)
  (job, 0, job->output_rows.count, first * COLUMN_GRAIN, end < job->columns ? end : job->columns);
}

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
  const int32_t threads = rows > PARALLEL_ELEMENTS / job.columns ? mo_context_thread_count(context) : 1;
  if (rows >= threads) mo_parallel_for(threads, rows, 0, gate_rows, &job);
  else mo_parallel_for(threads, (job.columns + COLUMN_GRAIN - 1) / COLUMN_GRAIN, 0, gate_columns, &job);
  return MO_STATUS_OK;
}
