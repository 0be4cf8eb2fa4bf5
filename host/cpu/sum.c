/* host/cpu/sum.c - weighted sums on the CPU.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/rows.h"
#include "host/cpu/sum_kernels.h"

#define PARALLEL_ELEMENTS 32768

typedef struct sum_job {
  const mo_sum_params *params;
  mo_rows output, terms[2];
  int64_t columns;
} sum_job;

static mo_sum_term term_of(const mo_tensor *tensor, const mo_rows *rows, float scale, int64_t row) {
  if (tensor == NULL) return (mo_sum_term){.data = NULL};
  return (mo_sum_term){.data = (const char *)tensor->data + (size_t)mo_rows_offset(rows, row) * mo_dtype_bytes(tensor->dtype),
                       .dtype = tensor->dtype,
                       .scale = scale,
                       .stride = tensor->shape[tensor->rank - 1] == 1 ? 1 : tensor->strides[tensor->rank - 1]};
}

static void sum_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const sum_job *job = argument;
  const mo_sum_params *p = job->params;
  (void)slot;
  for (int64_t row = first; row < last; ++row) {
    const mo_sum_term terms[2] = {term_of(p->a, &job->terms[0], p->a_scale, row),
                                  term_of(p->b, &job->terms[1], p->b_scale, row)};
    MO_CPU_SELECT(mo_sum_row)
    ((char *)p->output->data + (size_t)mo_rows_offset(&job->output, row) * mo_dtype_bytes(p->output->dtype), p->output->dtype,
     terms, p->constant, job->columns);
  }
}

mo_status_t mo_cpu_sum(mo_context_t *context, const mo_sum_params *params) {
  sum_job job = {
      .params = params, .output = mo_rows_of(params->output), .columns = params->output->shape[params->output->rank - 1]};
  if (params->a != NULL) job.terms[0] = mo_rows_of(params->a);
  if (params->b != NULL) job.terms[1] = mo_rows_of(params->b);
  const bool small = mo_tensor_count(params->output) < PARALLEL_ELEMENTS;
  mo_parallel_for(small ? 1 : mo_context_thread_count(context), job.output.count, 0, sum_rows, &job);
  return MO_STATUS_OK;
}
