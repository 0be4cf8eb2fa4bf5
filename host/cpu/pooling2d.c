/* host/cpu/pooling2d.c - pooling over windows on the CPU.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/pooling2d_kernels.h"

#define PARALLEL_WORK 65536

typedef struct pooling_job {
  const mo_pooling2d_params *params;
  mo_pooling_axis axes[2];
} pooling_job;

static void run_lines(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const pooling_job *job = argument;
  const mo_tensor *input = job->params->input, *output = job->params->output;
  const size_t element = mo_dtype_bytes(input->dtype);
  (void)slot;
  for (int64_t i = first; i < last; ++i) {
    const int64_t batch = i / job->axes[0].out, row = i % job->axes[0].out;
    const mo_pooling_line line = {
        .input = (const char *)input->data + (size_t)(batch * input->strides[0]) * element,
        .output = (char *)output->data + (size_t)(batch * output->strides[0] + row * output->strides[2]) * element,
        .dtype = input->dtype,
        .kind = job->params->kind,
        .count_includes_padding = job->params->count_includes_padding,
        .rows = mo_pooling_window_at(&job->axes[0], (int32_t)row),
        .columns = job->axes[1],
        .channels = input->shape[1],
        .input_row = input->strides[2],
        .input_pixel = input->strides[3],
        .input_channel = input->strides[1],
        .output_pixel = output->strides[3],
        .output_channel = output->strides[1]};
    MO_CPU_SELECT(mo_pooling_line_run)(&line);
  }
}

mo_status_t mo_cpu_pooling2d(mo_context_t *context, const mo_pooling2d_params *params) {
  const pooling_job job = {.params = params, .axes = {mo_pooling_axis_of(params, 0), mo_pooling_axis_of(params, 1)}};
  const bool small = mo_tensor_count(params->input) < PARALLEL_WORK;
  mo_parallel_for(small ? 1 : mo_context_thread_count(context), params->output->shape[0] * job.axes[0].out, 0, run_lines, &job);
  return MO_STATUS_OK;
}
