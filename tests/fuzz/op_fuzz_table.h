/* tests/fuzz/op_fuzz_table.h - the ops that op_fuzz.c calls. A new op is a new entry: its function, its struct, its members.
 *
 * Letters of dtypes and shapes: see pick_dtype and extent in op_fuzz.c. DST is written, SRC is read, _OPT may be NULL.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#define MEMBER(kind_, name, ...)                                                                                               \
  { .kind = MEMBER_##kind_, .offset = offsetof(params_type, name), __VA_ARGS__ }
#define DST(name, dtype_, shape_) MEMBER(TENSOR, name, .dtype = dtype_, .shape = shape_, .destination = true)
#define DST_OPT(name, dtype_, shape_)                                                                                          \
  MEMBER(TENSOR, name, .dtype = dtype_, .shape = shape_, .destination = true, .optional = true)
#define SRC(name, dtype_, shape_) MEMBER(TENSOR, name, .dtype = dtype_, .shape = shape_)
#define SRC_OPT(name, dtype_, shape_) MEMBER(TENSOR, name, .dtype = dtype_, .shape = shape_, .optional = true)
#define REAL(name) MEMBER(REAL, name, .plain = 0)
#define DOUBLE(name) MEMBER(DOUBLE, name, .plain = 0)
#define INTEGER(name, plain_, bound_) MEMBER(INTEGER, name, .plain = plain_, .bound = bound_)
#define EXTENT(name, letter) MEMBER(INTEGER, name, .shape = letter, .bound = 40)
#define FLAG(name) MEMBER(FLAG, name, .plain = 0)
#define CHOICE(name, first, count) MEMBER(CHOICE, name, .plain = first, .bound = count)
#define INDICES(name) MEMBER(INDICES, name, .plain = 0)
#define PAIR(name, plain_, bound_) MEMBER(PAIR, name, .plain = plain_, .bound = bound_)
#define CONVOLUTION(name) MEMBER(CONVOLUTION, name, .plain = 0)
#define ROTARY(name) MEMBER(ROTARY, name, .plain = 0)
#define ROTARY_OPT(name) MEMBER(ROTARY, name, .pointer = true, .optional = true)
#define VIEW_DST(name, shape_) MEMBER(VIEW, name, .shape = shape_, .destination = true)
#define VIEW_SRC(name, shape_) MEMBER(VIEW, name, .shape = shape_)
#define VIEW_PLAIN_DST(name, shape_) MEMBER(VIEW, name, .shape = shape_, .destination = true, .plain = 1)
#define VIEW_POINTER(name, shape_) MEMBER(VIEW, name, .shape = shape_, .pointer = true)
#define UPDATE_LAYERS(name, count, shape_) MEMBER(LAYERS, name, .shape = shape_, .plain = (int64_t)offsetof(params_type, count))
#define PACKED(name, weight, dtype_, shape_)                                                                                   \
  MEMBER(PACKED, name, .dtype = dtype_, .shape = shape_, .plain = (int64_t)offsetof(params_type, weight))

/* The tables of rotary embeddings go to host memory: not an op, but a struct of parameters all the same. */
static mo_status_t fill_rotary_tables(mo_context_t *context, const mo_rotary_config *config) {
  enum { POSITIONS = 3, PAIRS_LIMIT = 64 };
  float cosine[POSITIONS * PAIRS_LIMIT], sine[POSITIONS * PAIRS_LIMIT];
  (void)context;
  const size_t seen = offsetof(mo_rotary_config, rotary_dim) + sizeof config->rotary_dim;
  if (config != NULL && config->struct_size >= seen && config->rotary_dim > 2 * PAIRS_LIMIT) return MO_STATUS_OK;
  return mo_rotary_fill_tables(config, POSITIONS, 0, cosine, sine);
}

#define ATTENTION_MASKS                                                                                                        \
  SRC_OPT(mask, 'm', "bHqk"), SRC_OPT(bias, 'y', "bHqk"), SRC_OPT(key_lengths, 'i', "b"), FLAG(causal),                        \
      INTEGER(causal_offset, MO_CAUSAL_OFFSET_DEFAULT, 9), INTEGER(sliding_window, 0, 9), REAL(scale), REAL(soft_cap),         \
      CHOICE(weights_reduction, 0, 3), INDICES(weight_heads), INTEGER(weight_last_rows, 0, 4)
#define NORM                                                                                                                   \
  DST(output, 'x', "abc"), DST_OPT(sum, 'x', "abc"), SRC(input, 'x', "abc"), SRC_OPT(residual, 'x', "abc"),                    \
      SRC_OPT(input_bias, 'x', "c"), SRC_OPT(weight, 'x', "c"), SRC_OPT(bias, 'x', "c"), REAL(epsilon), REAL(weight_offset)
#define ELEMENTWISE_LOSS DST(loss, 'f', "1"), SRC(logits, 'x', "ab"), SRC(labels, 'x', "ab"), CHOICE(reduction, 0, 4)
#define KV_UPDATE                                                                                                              \
  INTEGER(offset, 0, 9), SRC_OPT(offsets, 'n', "b"), SRC_OPT(counts, 'n', "b"), ROTARY_OPT(rotary),                            \
      SRC_OPT(position_ids, 'i', "bt")

#define OPS(OP)                                                                                                                \
  OP(attention, mo_attention, mo_attention_params, DST(output, 'x', "bHqv"), DST_OPT(weights, 'y', "bHqk"),                    \
     DST_OPT(log_sum_exp, 'f', "bHq"), SRC(query, 'x', "bHqd"), SRC(key, 'x', "bhkd"), SRC(value, 'x', "bhkv"),                \
     ATTENTION_MASKS, INTEGER(max_query_length, 0, 9), INTEGER(max_key_length, 0, 9), SRC_OPT(causal_offsets, 'n', "b"))       \
  OP(attention_packed, mo_attention, mo_attention_params, DST(output, 'x', "1Hqv"), DST_OPT(weights, 'y', "bHqk"),             \
     DST_OPT(log_sum_exp, 'f', "1Hq"), SRC(query, 'x', "1Hqd"), SRC(key, 'x', "1hkd"), SRC(value, 'x', "1hkv"),                \
     ATTENTION_MASKS, SRC(cumulative_query_lengths, 'n', "b+"), SRC(cumulative_key_lengths, 'n', "b+"),                        \
     EXTENT(max_query_length, "q"), EXTENT(max_key_length, "k"), SRC_OPT(causal_offsets, 'n', "b"))                            \
  OP(attention_cache, mo_attention, mo_attention_params, DST(output, 'x', "bHqv"), DST_OPT(weights, 'y', "bHqc"),              \
     DST_OPT(log_sum_exp, 'f', "bHq"), SRC(query, 'x', "bHqd"), ATTENTION_MASKS, VIEW_POINTER(cache, "bhcdv"),                 \
     SRC_OPT(cumulative_query_lengths, 'n', "b+"), INTEGER(max_query_length, 0, 9), EXTENT(max_key_length, "z"),               \
     SRC_OPT(causal_offsets, 'n', "b"))                                                                                        \
  OP(attention_merge, mo_attention_merge, mo_attention_merge_params, DST(output, 'x', "bhsv"),                                 \
     DST_OPT(log_sum_exp, 'f', "bhs"), SRC(output_a, 'x', "bhsv"), SRC(log_sum_exp_a, 'f', "bhs"), SRC(output_b, 'x', "bhsv"), \
     SRC(log_sum_exp_b, 'f', "bhs"))                                                                                           \
  OP(cast, mo_cast, mo_cast_params, DST(output, 'a', "abcd"), SRC(input, 'a', "abcd"))                                         \
  OP(convolution, mo_convolution, mo_convolution_params, CONVOLUTION(weight), DST(output, 'x', "boyx"),                        \
     SRC(input, 'x', "bchw"), SRC_OPT(bias, 'x', "o"), SRC_OPT(residual, 'x', "boyx"), FLAG(residual_first),                   \
     CHOICE(activation, 0, 6))                                                                                                 \
  OP(decode_attention, mo_decode_attention, mo_decode_attention_params, DST(output, 'x', "bHtv"),                              \
     DST_OPT(weights, 'y', "bHtz"), DST_OPT(log_sum_exp, 'f', "bHt"), SRC(query, 'x', "bHtd"), SRC(key, 'x', "bhtd"),          \
     SRC(value, 'x', "bhtv"), VIEW_DST(cache, "bhcdv"), ROTARY_OPT(rotary), SRC_OPT(position_ids, 'i', "bt"),                  \
     INTEGER(length, 0, 9), SRC_OPT(lengths, 'n', "b"), EXTENT(max_key_length, "z"), SRC_OPT(key_starts, 'n', "b"),            \
     SRC_OPT(mask, 'm', "bHtz"), SRC_OPT(bias, 'y', "bHtz"), INTEGER(sliding_window, 0, 9), REAL(scale), REAL(soft_cap),       \
     CHOICE(weights_reduction, 0, 3), INDICES(weight_heads), INTEGER(weight_last_rows, 0, 4))                                  \
  OP(decode_cross_attention, mo_decode_attention, mo_decode_attention_params, DST(output, 'x', "bHtv"),                        \
     DST_OPT(weights, 'y', "bHtz"), SRC(query, 'x', "bHtd"), VIEW_DST(cache, "bhcdv"), ROTARY_OPT(rotary),                     \
     SRC_OPT(position_ids, 'i', "bt"), INTEGER(length, 0, 9), SRC_OPT(lengths, 'n', "b"), EXTENT(max_key_length, "z"),         \
     SRC_OPT(key_starts, 'n', "b"), SRC_OPT(mask, 'm', "bHtz"), CHOICE(weights_reduction, 0, 3))                               \
  OP(embedding, mo_embedding, mo_embedding_params, DST(output, 'x', "bsc"), SRC(ids, 'i', "bs"), SRC(word, 'x', "vc"),         \
     SRC_OPT(embeds, 'x', "bsc"), SRC_OPT(position, 'x', "pc"), SRC_OPT(type, 'x', "tc"), SRC_OPT(position_ids, 'i', "bs"),    \
     SRC_OPT(token_type_ids, 'i', "bs"), FLAG(position_skips_padding), INTEGER(position_offset, 0, 4),                         \
     INTEGER(padding_id, 0, 4), SRC_OPT(norm_weight, 'x', "c"), SRC_OPT(norm_bias, 'x', "c"), REAL(epsilon), REAL(word_scale)) \
  OP(embedding_of_embeds, mo_embedding, mo_embedding_params, DST(output, 'x', "bsc"), SRC(embeds, 'x', "bsc"),                 \
     SRC_OPT(position, 'x', "pc"), SRC_OPT(type, 'x', "tc"), SRC_OPT(position_ids, 'i', "1s"),                                 \
     SRC_OPT(token_type_ids, 'i', "1s"), INTEGER(position_offset, 0, 4), SRC_OPT(norm_weight, 'x', "c"),                       \
     SRC_OPT(norm_bias, 'x', "c"), REAL(epsilon))                                                                              \
  OP(gate, mo_gate, mo_gate_params, DST(output, 'x', "abc"), SRC(gate, 'x', "abc"), SRC(input, 'x', "abc"),                    \
     CHOICE(activation, 0, 6))                                                                                                 \
  OP(kv_update, mo_kv_update, mo_kv_update_params, UPDATE_LAYERS(layers, layer_count, "bhcdvb"), KV_UPDATE)                    \
  OP(kv_update_packed, mo_kv_update, mo_kv_update_params, UPDATE_LAYERS(layers, layer_count, "bhcdv1"), KV_UPDATE,             \
     SRC(cumulative_lengths, 'n', "b+"))                                                                                       \
  OP(kv_gather, mo_kv_gather, mo_kv_gather_params, VIEW_SRC(source, "bhcdv"), VIEW_PLAIN_DST(destination, "nhldv"),            \
     SRC_OPT(rows, 'n', "n"), INTEGER(start, 0, 9))                                                                            \
  OP(linear, mo_linear, mo_linear_params, DST(output, 'x', "abn"), SRC(input, 'x', "abk"), SRC(weight, 'x', "nk"),             \
     PACKED(packed_weight, weight, 'x', "nk"), SRC_OPT(bias, 'x', "n"), SRC_OPT(residual, 'x', "abn"),                         \
     CHOICE(activation, 0, 6))                                                                                                 \
  OP(cross_entropy, mo_cross_entropy, mo_cross_entropy_params, DST(loss, 'f', "1"), DST_OPT(log_sum_exp, 'f', "ab"),           \
     SRC(logits, 'x', "abv"), SRC(labels, 'i', "ab"), INTEGER(ignore_index, -100, 4), FLAG(shift), CHOICE(reduction, 0, 4))    \
  OP(cross_entropies, mo_cross_entropy, mo_cross_entropy_params, DST(loss, 'f', "ab"), DST_OPT(log_sum_exp, 'f', "ab"),        \
     SRC(logits, 'x', "abv"), SRC(labels, 'i', "ab"), INTEGER(ignore_index, -100, 4), FLAG(shift), CHOICE(reduction, 2, 2))    \
  OP(bce_with_logits_loss, mo_bce_with_logits_loss, mo_elementwise_loss_params, ELEMENTWISE_LOSS)                              \
  OP(mse_loss, mo_mse_loss, mo_elementwise_loss_params, ELEMENTWISE_LOSS)                                                      \
  OP(span_loss, mo_span_loss, mo_span_loss_params, DST(loss, 'f', "1"), SRC(start_logits, 'x', "bs"),                          \
     SRC(end_logits, 'x', "bs"), SRC(start_positions, 'i', "b"), SRC(end_positions, 'i', "b"), CHOICE(reduction, 0, 3))        \
  OP(layer_norm, mo_layer_norm, mo_norm_params, NORM)                                                                          \
  OP(rms_norm, mo_rms_norm, mo_norm_params, NORM)                                                                              \
  OP(pooling, mo_pooling, mo_pooling_params, CHOICE(mode, 1, 5), DST(output, 'x', "bc"), SRC(input, 'x', "bsc"),               \
     SRC_OPT(mask, 'm', "bs"), SRC_OPT(weight, 'x', "cc"), SRC_OPT(bias, 'x', "c"), FLAG(l2_normalize))                        \
  OP(pooling_statistics, mo_pooling, mo_pooling_params, CHOICE(mode, 5, 1), DST(output, 'x', "bc="), SRC(input, 'x', "bsc"),   \
     SRC_OPT(mask, 'm', "bs"), FLAG(l2_normalize))                                                                             \
  OP(pooling2d, mo_pooling2d, mo_pooling2d_params, CHOICE(kind, 0, 2), DST(output, 'x', "bchw"), SRC(input, 'x', "bchw"),      \
     PAIR(kernel, 3, 5), PAIR(stride, 1, 5), PAIR(padding, 1, 5), FLAG(count_includes_padding), FLAG(ceil_mode))               \
  OP(pooling2d_adaptive, mo_pooling2d, mo_pooling2d_params, CHOICE(kind, 2, 1), DST(output, 'x', "bcyx"),                      \
     SRC(input, 'x', "bchw"))                                                                                                  \
  OP(position_bias_alibi, mo_position_bias, mo_position_bias_params, CHOICE(kind, 1, 2), DST(output, 'x', "1hqk"),             \
     SRC(slopes, 'f', "h"), INTEGER(query_offset, 0, 9), SRC_OPT(query_offsets, 'i', "1"))                                     \
  OP(position_bias_t5, mo_position_bias, mo_position_bias_params, CHOICE(kind, 2, 1), DST(output, 'x', "1hqk"),                \
     SRC(table, 'x', "uh"), FLAG(bidirectional), INTEGER(max_distance, 0, 99), INTEGER(query_offset, 0, 9),                    \
     SRC_OPT(query_offsets, 'i', "1"))                                                                                         \
  OP(rotary_embedding, mo_rotary_embedding, mo_rotary_params, ROTARY(rotary), DST(query_output, 'x', "bHsd"),                  \
     SRC(query, 'x', "bHsd"), DST_OPT(key_output, 'x', "bhsd"), SRC_OPT(key, 'x', "bhsd"), SRC_OPT(position_ids, 'i', "bs"),   \
     INTEGER(position_offset, 0, 4))                                                                                           \
  OP(rotary_tables, fill_rotary_tables, mo_rotary_config, DOUBLE(theta), INTEGER(rotary_dim, 8, 64), CHOICE(scaling, 0, 5),    \
     DOUBLE(factor), INTEGER(original_max_positions, 16, 99), DOUBLE(low_frequency_factor), DOUBLE(high_frequency_factor),     \
     DOUBLE(beta_fast), DOUBLE(beta_slow), DOUBLE(attention_factor), DOUBLE(magnitude_scale), DOUBLE(magnitude_scale_all),     \
     FLAG(yarn_keeps_fraction))                                                                                                \
  OP(sampling, mo_sample, mo_sampling_params, DST(tokens, 'i', "b"), DST_OPT(scores, 'f', "bv"),                               \
     DST_OPT(log_probabilities, 'f', "b"), SRC(logits, 'x', "bv"), REAL(temperature), INTEGER(top_k, 0, 9), REAL(top_p),       \
     REAL(min_p), SRC_OPT(suppressed_tokens, 'i', "n"), FLAG(log_softmax), INTEGER(seed, 0, 9), INTEGER(step, 0, 9),           \
     DST_OPT(step_counts, 'l', "b"), SRC_OPT(row_numbers, 'l', "b"), DST_OPT(finished, 'b', "b"),                              \
     SRC_OPT(end_tokens, 'i', "e"), INTEGER(pad_token, 0, 4), DST_OPT(lengths, 'n', "b"), DST_OPT(positions, 'n', "b"))        \
  OP(softmax, mo_softmax, mo_softmax_params, DST(output, 'y', "bhqk"), SRC(input, 'x', "bhqk"), SRC_OPT(mask, 'm', "bhqk"),    \
     SRC_OPT(bias, 'x', "bhqk"), REAL(scale), FLAG(causal))                                                                    \
  OP(sum, mo_sum, mo_sum_params, DST(output, 'x', "abcd"), SRC_OPT(a, 'y', "abcd"), SRC_OPT(b, 'y', "abcd"), REAL(a_scale),    \
     REAL(b_scale), REAL(constant))                                                                                            \
  OP(topk, mo_topk, mo_topk_params, DST(values, 'x', "abk"), DST(indices, 'l', "abk"), SRC(input, 'x', "abv"))

#define OP_FUNCTIONS(name, function, params, ...)                                                                              \
  static mo_status_t call_##name(mo_context_t *context, const void *passed) { return function(context, passed); }              \
  static const member *members_of_##name(void) {                                                                               \
    typedef params params_type;                                                                                                \
    static const member members[] = {__VA_ARGS__, {.kind = MEMBER_END}};                                                       \
    return members;                                                                                                            \
  }
OPS(OP_FUNCTIONS)

static const op ops[] = {
#define OP_ENTRY(name, function, params, ...) {#name, sizeof(params), call_##name, members_of_##name},
    OPS(OP_ENTRY)
#undef OP_ENTRY
};
enum { op_count = sizeof ops / sizeof ops[0] };
