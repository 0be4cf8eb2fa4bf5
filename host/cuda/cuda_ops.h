/* host/cuda/cuda_ops.h - the CUDA backend's ops, one file per stem (host/cuda/<stem>.c).
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

mo_status_t mo_cuda_attention(mo_context_t *context, const mo_attention_params *params);
mo_status_t mo_cuda_softmax(mo_context_t *context, const mo_softmax_params *params);
mo_status_t mo_cuda_layer_norm(mo_context_t *context, const mo_norm_params *params);
mo_status_t mo_cuda_rms_norm(mo_context_t *context, const mo_norm_params *params);
mo_status_t mo_cuda_gate(mo_context_t *context, const mo_gate_params *params);
mo_status_t mo_cuda_embedding(mo_context_t *context, const mo_embedding_params *params);
mo_status_t mo_cuda_linear(mo_context_t *context, const mo_linear_params *params);
mo_status_t mo_cuda_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                                mo_packed_weight_t *packed);
void mo_cuda_packed_weight_release(mo_packed_weight_t *packed);
void mo_cuda_linear_plans_destroy(struct mo_cuda_linear_plans *plans);
mo_status_t mo_cuda_pooling(mo_context_t *context, const mo_pooling_params *params);
mo_status_t mo_cuda_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *params);
mo_status_t mo_cuda_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
mo_status_t mo_cuda_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
mo_status_t mo_cuda_span_loss(mo_context_t *context, const mo_span_loss_params *params);
mo_status_t mo_cuda_rotary_embedding(mo_context_t *context, const mo_rotary_params *params);
mo_status_t mo_cuda_position_bias(mo_context_t *context, const mo_position_bias_params *params);
mo_status_t mo_cuda_attention_merge(mo_context_t *context, const mo_attention_merge_params *params);
mo_status_t mo_cuda_kv_update(mo_context_t *context, const mo_kv_update_params *params);
mo_status_t mo_cuda_kv_gather(mo_context_t *context, const mo_kv_gather_params *params);
mo_status_t mo_cuda_sample(mo_context_t *context, const mo_sampling_params *params);
mo_status_t mo_cuda_decode_attention(mo_context_t *context, const mo_decode_attention_params *params);
mo_status_t mo_cuda_cast(mo_context_t *context, const mo_cast_params *params);
mo_status_t mo_cuda_edit_scores(mo_context_t *context, const mo_score_edit_params *params);
mo_status_t mo_cuda_topk(mo_context_t *context, const mo_topk_params *params);

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
