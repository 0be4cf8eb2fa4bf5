/* host/cpu/softmax.c - softmax on the CPU: rows shared out to the threads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/arena.h"
#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/softmax_kernels.h"
#include "host/rules/broadcast.h"

/* Elements that make a thread worth waking (about 5 microseconds of one core). */
#define MO_SOFTMAX_ELEMENTS_PER_THREAD 8192

static mo_softmax_view view_of(const mo_tensor *tensor) {
  mo_softmax_view view = {.data = NULL};
  if (tensor == NULL) return view;
  view.data = tensor->data;
  view.dtype = tensor->dtype;
  for (int32_t i = 0; i < tensor->rank; ++i) {
    view.strides[4 - tensor->rank + i] = mo_broadcast_stride(tensor, i);
  }
  return view;
}

typedef struct softmax_job {
  const mo_softmax_plan *plan;
  float *buffers; /* one per thread */
  int64_t buffer_floats;
} softmax_job;

static void softmax_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const softmax_job *job = argument;
  MO_CPU_SELECT(mo_softmax_rows)(job->plan, job->buffers + slot * job->buffer_floats, first, last);
}

mo_status_t mo_cpu_softmax(mo_context_t *context, const mo_softmax_params *params) {
  const mo_tensor *input = params->input;
  if (mo_tensor_count(input) == 0) return MO_STATUS_OK;
  mo_softmax_plan plan = {
      .shape = {1, 1, 1, 1},
      .input = view_of(input),
      .output = view_of(params->output),
      .mask = view_of(params->mask),
      .bias = view_of(params->bias),
      .scale = params->scale != 0.0f ? params->scale : 1.0f,
      .causal = params->causal,
  };
  for (int32_t i = 0; i < input->rank; ++i) plan.shape[4 - input->rank + i] = input->shape[i];
  const int64_t columns = plan.shape[3], row_count = plan.shape[0] * plan.shape[1] * plan.shape[2];

  int64_t threads = 1 + row_count * columns / MO_SOFTMAX_ELEMENTS_PER_THREAD;
  if (threads > mo_context_thread_count(context)) threads = mo_context_thread_count(context);
  if (threads > row_count) threads = row_count;
  int64_t padded = 0, bytes = 0;
  const bool fits = mo_checked_add(columns, 15, &padded) &&
                    mo_checked_mul(padded / 16 * 16, 2 * (int64_t)sizeof(float), &bytes) &&
                    mo_checked_mul(bytes, threads, &bytes);
  MO_CHECK(fits, MO_STATUS_OUT_OF_MEMORY, "softmax: %lld columns need more scratch memory than can be addressed",
           (long long)columns);
  void *memory = NULL;
  MO_TRY(mo_context_scratch(context, (size_t)bytes, &memory));
  const softmax_job job = {.plan = &plan, .buffers = memory, .buffer_floats = padded / 16 * 32};
  mo_parallel_for((int32_t)threads, row_count, 0, softmax_rows, &job);
  return MO_STATUS_OK;
}
