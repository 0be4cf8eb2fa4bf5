/* examples/05_cuda_graph.c - a whole forward pass captured once as a CUDA graph and replayed with new inputs.
 *
 * A run neither allocates nor synchronises, so it can be captured. A replay is no call of this library: mo_output_mark_written
 * tells it that the fields have new content, and host copies made before are out of date from then on. Without a card (or built
 * without the CUDA runtime) every replay is a plain run, and all claims stay the same.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "example.h"

#ifdef MO_EXAMPLE_CUDA
#include <cuda_runtime_api.h>
#endif

enum { LENGTH = 6, REPLAYS = 3, MOST_LABELS = 64 };

static const int64_t shape[] = {1, LENGTH};
static const int64_t sentences[REPLAYS][LENGTH] = {{2, 7, 9, 11, 5, 3}, {2, 21, 14, 8, 30, 3}, {2, 4, 4, 6, 17, 3}};

/* Everything a replay needs. */
typedef struct graph_session {
  mo_context_t *context;
  mo_model_t *model;
  mo_model_inputs inputs;
  mo_tensor ids; /* on the device: a graph reads the same addresses at each launch */
  mo_output *output;
#ifdef MO_EXAMPLE_CUDA
  cudaGraphExec_t graph; /* NULL without a card */
#endif
} graph_session;

static void capture(graph_session *session) {
#ifdef MO_EXAMPLE_CUDA
  if (mo_context_device(session->context).kind != MO_DEVICE_KIND_CUDA) return;
  cudaStream_t stream = (cudaStream_t)mo_context_stream(session->context);
  cudaGraph_t graph = NULL;
  CLAIM(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  TRY(mo_model_run(session->model, &session->inputs, NULL, session->output));
  CLAIM(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CLAIM(cudaGraphInstantiate(&session->graph, graph, 0) == cudaSuccess);
  CLAIM(cudaGraphDestroy(graph) == cudaSuccess);
#else
  (void)session;
#endif
}

static void replay(graph_session *session) {
#ifdef MO_EXAMPLE_CUDA
  if (session->graph != NULL) {
    cudaStream_t stream = (cudaStream_t)mo_context_stream(session->context);
    CLAIM(cudaGraphLaunch(session->graph, stream) == cudaSuccess);
    TRY(mo_output_mark_written(session->output, stream));
    return;
  }
#endif
  TRY(mo_model_run(session->model, &session->inputs, NULL, session->output));
}

static void set_ids(graph_session *session, const int64_t *ids) {
  TRY(mo_context_copy_to_device(session->context, session->ids.data, ids, LENGTH * sizeof *ids));
}

/* The same sentence by a plain call, from host memory. */
static void check(graph_session *session, const int64_t *ids, const float *logits, int64_t count) {
  int64_t copy[LENGTH];
  for (int i = 0; i < LENGTH; i++) copy[i] = ids[i];
  const mo_tensor tensor = mo_tensor_cpu(copy, MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_output *plain = NULL;
  float expected[MOST_LABELS];
  inputs.input_ids = &tensor;
  TRY(mo_model_forward(session->model, &inputs, NULL, &plain));
  TRY(mo_field_read_float32(mo_output_get(plain, "logits"), NULL, 0, expected, count));
  for (int64_t i = 0; i < count; i++) CLAIM(expected[i] == logits[i]);
  mo_output_destroy(plain);
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "tests/golden/bert_seqcls_single";
  graph_session session = {.inputs = MO_MODEL_INPUTS_INIT};
  void *memory = NULL;
  TRY(mo_context_create(NULL, &session.context));
  TRY(mo_model_load(session.context, folder, NULL, &session.model));
  TRY(mo_context_allocate(session.context, LENGTH * sizeof(int64_t), &memory));
  TRY(mo_tensor_init(&session.ids, memory, MO_DTYPE_INT64, mo_context_device(session.context), 2, shape));
  session.inputs.input_ids = &session.ids;

  set_ids(&session, sentences[0]);
  TRY(mo_model_forward(session.model, &session.inputs, NULL, &session.output)); /* the first run of a shape may allocate */
  const uint64_t allocations = mo_context_get_counters(session.context).device_allocations;
  capture(&session);
  CLAIM(mo_context_get_counters(session.context).device_allocations == allocations);

  mo_field *logits = mo_output_get(session.output, "logits");
  const int64_t count = mo_tensor_count(mo_field_tensor(logits));
  CLAIM(count <= MOST_LABELS);
  for (int i = 0; i < REPLAYS; i++) {
    mo_host_view before;
    float values[MOST_LABELS];
    TRY(mo_field_read(logits, &before));
    const uint64_t generation = mo_output_generation(session.output);
    set_ids(&session, sentences[i]);
    replay(&session);
    CLAIM(mo_output_generation(session.output) == generation + 1);
    CLAIM(mo_field_check_view(logits, &before) == MO_STATUS_STALE_VIEW); /* what was read before is known to be old */
    TRY(mo_field_read_float32(logits, NULL, 0, values, count));
    check(&session, sentences[i], values, count);
    printf("replay %d, generation %llu: logits[0] = %f\n", i + 1, (unsigned long long)mo_output_generation(session.output),
           (double)values[0]);
  }

#ifdef MO_EXAMPLE_CUDA
  printf(session.graph != NULL ? "each replay was one graph launch\n" : "no card: each replay was a plain run\n");
  if (session.graph != NULL) CLAIM(cudaGraphExecDestroy(session.graph) == cudaSuccess);
#else
  printf("built without the CUDA runtime: each replay was a plain run\n");
#endif
  mo_output_destroy(session.output);
  mo_model_destroy(session.model);
  mo_context_release(session.context, memory);
  mo_context_destroy(session.context);
  return 0;
}
