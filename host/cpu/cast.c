/* host/cpu/cast.c - the cast on the CPU: elements shared out among the threads in the order of the output's memory.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/parallel.h"
#include "host/cpu/cast_kernels.h"
#include "host/cpu/cpu_ops.h"
#include "host/rules/cast_limit.h"
#include "host/rules/strided_shape.h"

#define PARALLEL_ELEMENTS 32768 /* below it a second thread costs more than it gives */
#define GRAIN 256               /* threads share no cache line of a contiguous output */

/* Elements [first, last) of the walk. */
static void cast_range(const mo_cast_params *p, const mo_strided_shape *shape, int64_t first, int64_t last) {
  const int64_t to_bytes = (int64_t)mo_dtype_bytes(p->output->dtype), from_bytes = (int64_t)mo_dtype_bytes(p->input->dtype);
  const mo_cast_job job = {.destination_dtype = p->output->dtype,
                           .source_dtype = p->input->dtype,
                           .destination_stride = shape->destination[0],
                           .source_stride = shape->source[0],
                           .limit = mo_cast_limit(p)};
  int64_t position[MO_MAX_DIMS + 1], to = 0, from = 0, rest = first;
  for (int32_t d = 0; d < shape->rank; ++d) {
    position[d] = rest % shape->extents[d];
    rest /= shape->extents[d];
    to += position[d] * shape->destination[d];
    from += position[d] * shape->source[d];
  }
  for (int64_t done = first; done < last;) {
    const int64_t row = shape->extents[0] - position[0], run = row < last - done ? row : last - done;
    MO_CPU_SELECT(mo_cast_run)
    (&job, (char *)p->output->data + to * to_bytes, (const char *)p->input->data + from * from_bytes, run);
    done += run;
    /* the begin of the next row */
    to -= position[0] * shape->destination[0];
    from -= position[0] * shape->source[0];
    position[0] = 0;
    for (int32_t d = 1; d < shape->rank; ++d) {
      to += shape->destination[d];
      from += shape->source[d];
      if (++position[d] < shape->extents[d]) break;
      to -= shape->extents[d] * shape->destination[d];
      from -= shape->extents[d] * shape->source[d];
      position[d] = 0;
    }
  }
}

typedef struct cast_job {
  const mo_cast_params *params;
  mo_strided_shape shape;
  int64_t count;
} cast_job;

static void cast_grains(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const cast_job *job = argument;
  const int64_t end = last * GRAIN;
  (void)slot;
  cast_range(job->params, &job->shape, first * GRAIN, end < job->count ? end : job->count);
}

mo_status_t mo_cpu_cast(mo_context_t *context, const mo_cast_params *p) {
  const cast_job job = {.params = p, .shape = mo_strided_shape_of(p->output, p->input), .count = mo_tensor_count(p->output)};
  const int32_t threads = job.count > PARALLEL_ELEMENTS ? mo_context_thread_count(context) : 1;
  mo_parallel_for(threads, (job.count + GRAIN - 1) / GRAIN, 0, cast_grains, &job);
  return MO_STATUS_OK;
}
