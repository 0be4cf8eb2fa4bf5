/* tests/simulated_device/runtime_streams.cc - streams, events and graphs of the simulated device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/runtime_state.h"

using namespace simulated::runtime;

extern "C" {

/* ---- Streams ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  SIMULATED_ENTER();
  *stream = new CUstream_st;
  (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
  (*stream)->device = current_device;
  device().streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  SIMULATED_ENTER();
  if (device().streams.count(stream) == 0 || !usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  run_all(stream); /* on a device the work goes on after the call; nobody could tell */
  device().streams.erase(stream);
  for (CUevent_st *event : device().events) {
    if (event->stream == stream) event->stream = nullptr;
  }
  delete stream;
  return cudaSuccess;
}

static cudaError_t refuse_while_capturing(CUstream_st *stream) {
  if (!stream->capturing) return cudaSuccess;
  stream->capture_invalid = true;
  return fail(cudaErrorStreamCaptureUnsupported);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = refuse_while_capturing(stream)) return refused;
  run_all(stream);
  return fail(device().sticky);
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = refuse_while_capturing(stream)) return refused;
  if (stream->queue.empty()) return cudaSuccess;
  run_until(stream, stream->queue.front().ticket);
  return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream) || !usable(event)) return fail(cudaErrorInvalidResourceHandle);
  CUstream_st *source = event->stream;
  if (source == nullptr || source == stream) return cudaSuccess;
  const uint64_t ticket = event->ticket;
  enqueue(stream, [=] { wait_event(source, ticket); });
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream) || is_default(stream) || stream->capturing) return fail(cudaErrorStreamCaptureUnsupported);
  stream->capturing = true;
  stream->capture_invalid = false;
  stream->captured.clear();
  stream->captured_memory.clear();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  *graph = nullptr;
  if (!usable(stream) || !stream->capturing) return fail(cudaErrorInvalidValue);
  stream->capturing = false;
  for (const auto &[memory, bytes] : stream->captured_memory) {
    (void)memory;
    note_fault("a graph allocates " + std::to_string(bytes) + " bytes that it does not free: they are its own, not the program's");
  }
  if (stream->capture_invalid) return fail(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(stream->captured)};
  ++device().graph_objects;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  *status = !stream->capturing        ? cudaStreamCaptureStatusNone
            : stream->capture_invalid ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

/* ---- Events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  SIMULATED_ENTER();
  *event = new CUevent_st;
  (*event)->device = current_device;
  (*event)->times = (flags & cudaEventDisableTiming) == 0;
  device().events.insert(*event);
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  SIMULATED_ENTER();
  if (!usable(event)) return fail(cudaErrorInvalidResourceHandle);
  device().events.erase(event);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (!usable(stream) || !usable(event)) return fail(cudaErrorInvalidResourceHandle);
  if (const cudaError_t refused = refuse_while_capturing(stream)) return refused;
  event->recorded = true;
  event->stream = stream;
  const auto moment = std::make_shared<std::chrono::steady_clock::time_point>();
  event->moment = moment;
  event->ticket = enqueue(stream, [moment] { *moment = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  SIMULATED_ENTER();
  if (!usable(event)) return fail(cudaErrorInvalidResourceHandle);
  wait_event(event->stream, event->ticket);
  return fail(device().sticky);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  SIMULATED_ENTER();
  if (!usable(event)) return fail(cudaErrorInvalidResourceHandle);
  CUstream_st *stream = event->stream;
  if (stream == nullptr || stream->done_ticket >= event->ticket) return cudaSuccess;
  if (!stream->queue.empty()) run_until(stream, stream->queue.front().ticket);
  return cudaErrorNotReady;
}

/* The host's clock when each event's turn came: so much for its meaning. */
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t stop) {
  SIMULATED_ENTER();
  for (const cudaEvent_t event : {start, stop}) {
    if (device().events.count(event) == 0 || !event->recorded || !event->times) return fail(cudaErrorInvalidResourceHandle);
    if (event->stream != nullptr && event->stream->done_ticket < event->ticket) return fail(cudaErrorNotReady);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(*stop->moment - *start->moment).count();
  return cudaSuccess;
}

/* ---- Graphs ---- */

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
  SIMULATED_ENTER();
  if (graph == nullptr) return fail(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{std::make_shared<std::vector<std::function<void()>>>(graph->operations)};
  ++device().graph_objects;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  SIMULATED_ENTER();
  CUstream_st *stream = resolve(handle);
  if (executable == nullptr || !usable(stream)) return fail(cudaErrorInvalidResourceHandle);
  const auto operations = executable->operations;
  ++device().graph_launches;
  enqueue(stream, [operations] {
    for (const auto &operation : *operations) {
      if (device().sticky == cudaSuccess) operation();
    }
  });
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return destroy_graph_object(__func__, executable); }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return destroy_graph_object(__func__, graph); }

}  // extern "C"
