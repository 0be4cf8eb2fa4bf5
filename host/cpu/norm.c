/* host/cpu/norm.c - layer norm and RMS norm on the CPU: rows shared out among the threads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/norm_kernels.h"

/* Elements below which a second thread costs more than it gives. */
#define PARALLEL_ELEMENTS 32768

typedef struct norm_rows_job {
  const mo_norm_job *norm;
  char *scratch; /* a row per thread */
  size_t row_bytes;
} norm_rows_job;

static void norm_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const norm_rows_job *job = argument;
  MO_CPU_SELECT(mo_norm_rows)(job->norm, first, last, (float *)(job->scratch + job->row_bytes * (size_t)slot));
}

static mo_status_t run(mo_context_t *context, const mo_norm_params *p, bool rms) {
  const int64_t count = p->input->shape[p->input->rank - 1];
  mo_norm_job job = {
      .affine = {.count = count, .epsilon = p->epsilon, .weight_offset = rms ? p->weight_offset : 0.0f, .rms = rms},
      .input = p->input->data,
      .output = p->output->data,
      .dtype = p->input->dtype,
      .output_dtype = p->output->dtype,
      .input_rows = mo_rows_of(p->input),
      .output_rows = mo_rows_of(p->output),
  };
  if (p->weight != NULL) {
    job.affine.weight = p->weight->data;
    job.affine.weight_dtype = p->weight->dtype;
  }
  if (p->bias != NULL) {
    job.affine.bias = p->bias->data;
    job.affine.weight_dtype = p->bias->dtype;
  }
  if (p->residual != NULL) {
    job.residual = p->residual->data;
    job.residual_rows = mo_rows_of(p->residual);
  }
  if (p->sum != NULL) {
    job.sum = p->sum->data;
    job.sum_rows = mo_rows_of(p->sum);
  }
  if (p->input_bias != NULL) job.input_bias = p->input_bias->data;

  const int64_t rows = job.input_rows.count;
  int32_t threads = rows > 1 && rows > PARALLEL_ELEMENTS / count ? mo_context_thread_count(context) : 1;
  if (threads > rows) threads = (int32_t)rows;
  const size_t row_bytes = mo_align_up((size_t)count * sizeof(float), 64);
  void *scratch;
  MO_TRY(mo_context_scratch(context, mo_size_mul(row_bytes, (size_t)threads), &scratch));
  mo_parallel_for(threads, rows, 0, norm_rows, &(norm_rows_job){.norm = &job, .scratch = scratch, .row_bytes = row_bytes});
  return MO_STATUS_OK;
}

mo_status_t mo_cpu_layer_norm(mo_context_t *context, const mo_norm_params *params) { return run(context, params, false); }
mo_status_t mo_cpu_rms_norm(mo_context_t *context, const mo_norm_params *params) { return run(context, params, true); }
