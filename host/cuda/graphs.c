/* host/cuda/graphs.c - CUDA graphs: a stretch of work recorded once and launched often.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_graph_begin(void *state, mo_stream stream) {
  MO_CUDA_ENTER(state);
  /* Thread local: what other threads do on this card meanwhile is their own. */
  return mo_cuda_status(cudaStreamBeginCapture((cudaStream_t)stream, cudaStreamCaptureModeThreadLocal),
                        "cudaStreamBeginCapture");
}

mo_status_t mo_cuda_graph_end(void *state, mo_stream stream, mo_graph *graph) {
  cudaGraph_t recorded = NULL;
  cudaGraphExec_t executable = NULL;
  MO_CUDA_ENTER(state);
  mo_status_t status = mo_cuda_status(cudaStreamEndCapture((cudaStream_t)stream, &recorded), "cudaStreamEndCapture");
  if (status == MO_STATUS_OK && graph != NULL)
    status = mo_cuda_status(cudaGraphInstantiate(&executable, recorded, 0), "cudaGraphInstantiate");
  enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (recorded == NULL && cudaStreamIsCapturing((cudaStream_t)stream, &capture) == cudaSuccess &&
      capture != cudaStreamCaptureStatusNone) /* a stream that stays in it could do nothing else any more */
    (void)mo_cuda_status(cudaStreamEndCapture((cudaStream_t)stream, &recorded), "cudaStreamEndCapture");
  if (recorded != NULL) (void)mo_cuda_status(cudaGraphDestroy(recorded), "cudaGraphDestroy");
  if (status == MO_STATUS_OK && graph != NULL) *graph = (mo_graph)executable;
  return status;
}

mo_status_t mo_cuda_graph_launch(void *state, mo_graph graph, mo_stream stream) {
  MO_CUDA_ENTER(state);
  return mo_cuda_status(cudaGraphLaunch((cudaGraphExec_t)graph, (cudaStream_t)stream), "cudaGraphLaunch");
}

void mo_cuda_graph_destroy(void *state, mo_graph graph) {
  MO_CUDA_ENTER_QUIETLY(state);
  (void)mo_cuda_status(cudaGraphExecDestroy((cudaGraphExec_t)graph), "cudaGraphExecDestroy");
}
