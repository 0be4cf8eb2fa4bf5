/* host/cuda/cuda_ops.h - the CUDA backend's ops, one file per stem (host/cuda/<stem>.c). Which there are: host/core/op_list.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CUDA_CUDA_OPS_H
#define MO_CUDA_CUDA_OPS_H

#include <cuda_runtime_api.h>

#include "host/core/backend.h"
#include "host/cuda/cuda_error.h"
#include "host/cuda/device.h"

static inline mo_cuda_state *mo_cuda_state_of(const mo_context_t *context) {
  return (mo_cuda_state *)mo_context_backend_state(context);
}
static inline cudaStream_t mo_cuda_stream_of(const mo_context_t *context) { return (cudaStream_t)mo_context_stream(context); }

MO_DECLARE_BACKEND_OPS(mo_cuda)

/* What linear keeps of cuBLASLt for a context (host/cuda/linear_plans.c). */
void mo_cuda_linear_plans_destroy(struct mo_cuda_linear_plans *plans);

/* Whether work put on the stream is recorded instead of run (host/cuda/backend.c). */
bool mo_cuda_stream_is_capturing(void *state, mo_stream stream);

/* Recorded work (host/cuda/graphs.c). */
mo_status_t mo_cuda_graph_begin(void *state, mo_stream stream);
mo_status_t mo_cuda_graph_end(void *state, mo_stream stream, mo_graph *graph);
mo_status_t mo_cuda_graph_launch(void *state, mo_graph graph, mo_stream stream);
void mo_cuda_graph_destroy(void *state, mo_graph graph);

/* A strided device view into contiguous host memory (host/cuda/gather.c). */
mo_status_t mo_cuda_copy_view_to_host(mo_context_t *context, void *destination, const mo_tensor *view, mo_stream stream);

/* NVTX ranges around public calls (host/cuda/ranges.c). */
bool mo_cuda_range_is_heard(void *state);
void mo_cuda_range_push(void *state, const char *message);
void mo_cuda_range_pop(void *state);

#endif
