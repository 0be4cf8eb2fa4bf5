/* host/cuda/gather.c - reads of strided device views: one copy where the copy engine can, else a gather on the card and one
 * copy.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gather.h"

#include "host/cuda/cuda_ops.h"

/* The copy engine handles rows one by one: short ones are gathered first, so that they cross the bus as one block. */
#define MIN_ROW_BYTES 256
/* What every CUDA device allows (cudaDevAttrMaxPitch). */
#define MAX_PITCH INT32_MAX

static mo_status_t gather_and_copy(mo_context_t *context, void *destination, const mo_tensor *view,
                                   const mo_strided_shape *shape, cudaStream_t stream) {
  const size_t bytes = (size_t)mo_tensor_bytes(view);
  void *temporary = NULL;
  MO_TRY(mo_context_allocate_on(context, bytes, (mo_stream)stream, &temporary));
  mo_status_t status = mo_cuda_status(mo_launch_gather(temporary, view->data, shape, stream), "gather of a strided read");
  if (status == MO_STATUS_OK) {
    status = mo_cuda_status(cudaMemcpyAsync(destination, temporary, bytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  }
  /* Stream-ordered: the block goes back when the copy is over. */
  mo_context_release_on(context, temporary, bytes, (mo_stream)stream);
  return status;
}

mo_status_t mo_cuda_copy_view_to_host(mo_context_t *context, void *destination, const mo_tensor *view,
                                      mo_stream stream_handle) {
  const cudaStream_t stream = (cudaStream_t)stream_handle;
  if (mo_tensor_count(view) == 0) return MO_STATUS_OK;
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  const mo_strided_shape shape = mo_strided_shape_packed(view);
  const int64_t row_bytes = shape.extents[0];
  if (shape.rank == 1) {
    return mo_cuda_status(cudaMemcpyAsync(destination, view->data, (size_t)row_bytes, cudaMemcpyDeviceToHost, stream),
                          "cudaMemcpyAsync");
  }
  if (shape.rank == 2 && shape.source[1] >= row_bytes && shape.source[1] <= MAX_PITCH && row_bytes >= MIN_ROW_BYTES) {
    return mo_cuda_status(cudaMemcpy2DAsync(destination, (size_t)row_bytes, view->data, (size_t)shape.source[1],
                                            (size_t)row_bytes, (size_t)shape.extents[1], cudaMemcpyDeviceToHost, stream),
                          "cudaMemcpy2DAsync");
  }
  return gather_and_copy(context, destination, view, &shape, stream);
}
