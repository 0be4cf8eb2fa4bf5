/* host/cpu/cpu_ops.h - the CPU backend's ops, one file per stem (host/cpu/<stem>.c). Signatures and checks:
 * host/core/backend.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_CPU_OPS_H
#define MO_CPU_CPU_OPS_H

#include "host/core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t mo_cpu_attention(mo_context_t *context, const mo_attention_params *params);
mo_status_t mo_cpu_softmax(mo_context_t *context, const mo_softmax_params *params);
mo_status_t mo_cpu_layer_norm(mo_context_t *context, const mo_norm_params *params);
mo_status_t mo_cpu_rms_norm(mo_context_t *context, const mo_norm_params *params);
mo_status_t mo_cpu_gate(mo_context_t *context, const mo_gate_params *params);
mo_status_t mo_cpu_embedding(mo_context_t *context, const mo_embedding_params *params);
mo_status_t mo_cpu_linear(mo_context_t *context, const mo_linear_params *params);
mo_status_t mo_cpu_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                               mo_packed_weight_t *packed);
void mo_cpu_packed_weight_release(mo_packed_weight_t *packed);
mo_status_t mo_cpu_pooling(mo_context_t *context, const mo_pooling_params *params);
mo_status_t mo_cpu_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *params);
mo_status_t mo_cpu_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
mo_status_t mo_cpu_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
mo_status_t mo_cpu_span_loss(mo_context_t *context, const mo_span_loss_params *params);
mo_status_t mo_cpu_rotary_embedding(mo_context_t *context, const mo_rotary_params *params);
mo_status_t mo_cpu_position_bias(mo_context_t *context, const mo_position_bias_params *params);
mo_status_t mo_cpu_attention_merge(mo_context_t *context, const mo_attention_merge_params *params);
mo_status_t mo_cpu_kv_update(mo_context_t *context, const mo_kv_update_params *params);
mo_status_t mo_cpu_kv_gather(mo_context_t *context, const mo_kv_gather_params *params);
mo_status_t mo_cpu_sample(mo_context_t *context, const mo_sampling_params *params);
mo_status_t mo_cpu_decode_attention(mo_context_t *context, const mo_decode_attention_params *params);
mo_status_t mo_cpu_cast(mo_context_t *context, const mo_cast_params *params);
mo_status_t mo_cpu_edit_scores(mo_context_t *context, const mo_score_edit_params *params);
mo_status_t mo_cpu_topk(mo_context_t *context, const mo_topk_params *params);

#ifdef __cplusplus
}
#endif

#endif
