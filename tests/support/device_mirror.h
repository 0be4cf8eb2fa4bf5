/* tests/support/device_mirror.h - ops with tensors in host memory, on a context of any device.
 *
 * On a CPU context each function is the op of the same name. On another device the host memory that the tensors reach is copied
 * to the device, the op runs there on the same views of it, and everything is copied back: gaps between rows too, so that a
 * test sees a write that went astray. Ranges that overlap stay one range (in place, views of one buffer), and an address keeps
 * its remainder by 16, so that the op meets the alignment the test chose. Completed on return.
 *
 * A call that the front door refuses is refused here with the same sentence; a tensor of a foreign device stays foreign.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_DEVICE_MIRROR_H
#define MO_TESTS_SUPPORT_DEVICE_MIRROR_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t test_attention(mo_context_t *context, const mo_attention_params *params);
mo_status_t test_softmax(mo_context_t *context, const mo_softmax_params *params);
mo_status_t test_gate(mo_context_t *context, const mo_gate_params *params);
mo_status_t test_layer_norm(mo_context_t *context, const mo_norm_params *params);
mo_status_t test_rms_norm(mo_context_t *context, const mo_norm_params *params);
mo_status_t test_embedding(mo_context_t *context, const mo_embedding_params *params);
mo_status_t test_linear(mo_context_t *context, const mo_linear_params *params);
mo_status_t test_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                             mo_packed_weight_t **packed);
mo_status_t test_pooling(mo_context_t *context, const mo_pooling_params *params);
mo_status_t test_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *params);
mo_status_t test_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
mo_status_t test_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *params);
mo_status_t test_span_loss(mo_context_t *context, const mo_span_loss_params *params);
mo_status_t test_rotary_embedding(mo_context_t *context, const mo_rotary_params *params);
mo_status_t test_position_bias(mo_context_t *context, const mo_position_bias_params *params);
mo_status_t test_attention_merge(mo_context_t *context, const mo_attention_merge_params *params);
mo_status_t test_kv_update(mo_context_t *context, const mo_kv_update_params *params);
mo_status_t test_kv_gather(mo_context_t *context, const mo_kv_gather_params *params);
mo_status_t test_sample(mo_context_t *context, const mo_sampling_params *params);
mo_status_t test_edit_scores(mo_context_t *context, const mo_score_edit_params *params);
mo_status_t test_decode_attention(mo_context_t *context, const mo_decode_attention_params *params);
mo_status_t test_cast(mo_context_t *context, const mo_cast_params *params);
mo_status_t test_topk(mo_context_t *context, const mo_topk_params *params);

#ifdef __cplusplus
}
#endif

#endif
