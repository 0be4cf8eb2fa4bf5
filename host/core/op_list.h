/* host/core/op_list.h - the ops of a backend, once: the declarations and tables of the library's own backends, and the tests'
 * backends, are made from this list.
 *
 * modelout/backend.h says the same again, because it is the manual for authors of backends. host/core/backend.h holds the two
 * equal, in order, at compile time: an op that stands in one of them only does not compile.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_OP_LIST_H
#define MO_CORE_OP_LIST_H

/* OP(prefix, name, parameter struct) for each: mo_status_t prefix_name(mo_context_t *context, const struct *params). */
#define MO_OP_LIST(OP, prefix)                                                                                                 \
  OP(prefix, attention, mo_attention_params)                                                                                   \
  OP(prefix, softmax, mo_softmax_params)                                                                                       \
  OP(prefix, layer_norm, mo_norm_params)                                                                                       \
  OP(prefix, rms_norm, mo_norm_params)                                                                                         \
  OP(prefix, embedding, mo_embedding_params)                                                                                   \
  OP(prefix, gate, mo_gate_params)                                                                                             \
  OP(prefix, linear, mo_linear_params)                                                                                         \
  OP(prefix, pooling, mo_pooling_params)                                                                                       \
  OP(prefix, cross_entropy, mo_cross_entropy_params)                                                                           \
  OP(prefix, bce_with_logits_loss, mo_elementwise_loss_params)                                                                 \
  OP(prefix, mse_loss, mo_elementwise_loss_params)                                                                             \
  OP(prefix, span_loss, mo_span_loss_params)                                                                                   \
  OP(prefix, topk, mo_topk_params)                                                                                             \
  OP(prefix, rotary_embedding, mo_rotary_params)                                                                               \
  OP(prefix, position_bias, mo_position_bias_params)                                                                           \
  OP(prefix, attention_merge, mo_attention_merge_params)                                                                       \
  OP(prefix, kv_update, mo_kv_update_params)                                                                                   \
  OP(prefix, kv_gather, mo_kv_gather_params)                                                                                   \
  OP(prefix, sample, mo_sampling_params)                                                                                       \
  OP(prefix, decode_attention, mo_decode_attention_params)                                                                     \
  OP(prefix, cast, mo_cast_params)                                                                                             \
  OP(prefix, edit_scores, mo_score_edit_params)                                                                                \
  OP(prefix, convolution, mo_convolution_params)                                                                               \
  OP(prefix, pooling2d, mo_pooling2d_params)                                                                                   \
  OP(prefix, sum, mo_sum_params)

/* Declares them. */
#define MO_DECLARE_OP(prefix, name, params_type) mo_status_t prefix##_##name(mo_context_t *context, const params_type *params);

/* Declares all that a backend's table has. The weights of linear are packed and released by two functions more, whose
 * parameters are no struct. */
#define MO_DECLARE_BACKEND_OPS(prefix)                                                                                         \
  MO_OP_LIST(MO_DECLARE_OP, prefix)                                                                                            \
  mo_status_t prefix##_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,                      \
                                   mo_packed_weight_t *packed);                                                                \
  void prefix##_packed_weight_release(mo_packed_weight_t *packed);

/* The same as initialisers of the table. */
#define MO_OP_ENTRY(prefix, name, params_type) .name = prefix##_##name,
#define MO_BACKEND_OPS(prefix)                                                                                                 \
  MO_OP_LIST(MO_OP_ENTRY, prefix).linear_pack = prefix##_linear_pack, .packed_weight_release = prefix##_packed_weight_release

#endif
