/* kernels/attention/sequence.cuh - the sequence that a block works on, and what a code of quantised storage means.
 *
 * What a block must know of its sequence lies in shared memory, written by one thread and read where it is needed: the inner
 * loops have no registers to spare for it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_SEQUENCE_CUH
#define MO_KERNELS_ATTENTION_SEQUENCE_CUH

#include "kernels/attention.h"
#include "kernels/common/vector.cuh"
#include "kernels/kv/code.cuh"
#include "kernels/kv/place.cuh"

/* Step: int64 from one pair of values to the next; 2 where they lie next to each other. */
template <int Step>
struct mo_sequence {
  static constexpr int pairs = 4;
  int64_t *values;

  __device__ __forceinline__ int64_t &at(int i) const { return values[i / 2 * Step + i % 2]; }
  /* Its first token along the token dimension of queries and of keys; how many there are. */
  __device__ __forceinline__ int64_t query_first() const { return at(0); }
  __device__ __forceinline__ int64_t query_count() const { return at(1); }
  __device__ __forceinline__ int64_t key_first() const { return at(2); }
  __device__ __forceinline__ int64_t key_count() const { return at(3); }
  /* Row i may see the keys i + first_distance .. i + last_distance below key_limit. */
  __device__ __forceinline__ int64_t first_distance() const { return at(4); }
  __device__ __forceinline__ int64_t last_distance() const { return at(5); }
  __device__ __forceinline__ int64_t key_limit() const { return at(6); }
  /* The row of the first row of the weights: below 0 where more rows are selected than there are. */
  __device__ __forceinline__ int64_t first_weight_row() const { return at(7); }
  /* The first row whose weights are wanted. */
  __device__ __forceinline__ int64_t first_selected_row() const { return at(7) > 0 ? at(7) : 0; }
};

__device__ __forceinline__ int64_t mo_clamp(int64_t value, int64_t low, int64_t high) {
  return value < low ? low : value > high ? high : value;
}

/* The tokens of sequence n among `tokens` packed ones, at most `bound` of them. Lengths that break the rules stay within what
 * is there. */
__device__ __forceinline__ void mo_find_tokens(const int32_t *cumulative, int64_t n, int64_t tokens, int64_t bound,
                                               int64_t &first, int64_t &count) {
  first = mo_clamp(cumulative[n], 0, tokens);
  count = mo_clamp(mo_clamp(cumulative[n + 1], 0, tokens) - first, 0, bound);
}

/* By one thread; a barrier makes it known. */
template <int Step>
__device__ __forceinline__ void mo_write_sequence(const mo_attention_kernel_args &args, int64_t n, mo_sequence<Step> to) {
  int64_t query_first = 0, query_count = args.query_length, key_first = 0, key_count = args.key_length;
  if (args.cumulative_queries != nullptr)
    mo_find_tokens(args.cumulative_queries, n, args.query_tokens, args.query_length, query_first, query_count);
  if (args.cumulative_keys != nullptr)
    mo_find_tokens(args.cumulative_keys, n, args.key_tokens, args.key_length, key_first, key_count);
  int64_t limit = key_count;
  if (args.key_lengths != nullptr) {
    limit = mo_clamp(mo_load_index(args.key_lengths, args.key_lengths_dtype, n * args.key_lengths_stride), 0, key_count);
    if (args.key_lengths_count) key_count = limit;
  }
  int64_t shift = 0; /* MO_ATTENTION_FAR stays far */
  if (args.causal_offsets != nullptr) shift = args.causal_offsets[n];
  else if (args.rows_are_last) shift = key_count - query_count;
  to.at(0) = query_first;
  to.at(1) = query_count;
  to.at(2) = key_first;
  to.at(3) = key_count;
  to.at(4) = args.first_distance + shift;
  to.at(5) = args.last_distance + shift;
  to.at(6) = limit;
  to.at(7) = args.weight_rows > 0 ? query_count - args.weight_rows : 0;
}

/* Eight codes of quantised storage times the scale of their group. */
__device__ __forceinline__ void mo_dequantise8(uint2 codes, bool is_int8, float scale, float (&values)[8]) {
  const uint32_t words[2] = {codes.x, codes.y};
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    values[i] = mo_kv_value(static_cast<uint8_t>(words[i / 4] >> (i % 4 * 8) & 0xFFu), is_int8) * scale;
  }
}

/* Element offset of a token in a tensor of the cache, -1 where its page is not there. */
__device__ __forceinline__ int64_t mo_cached_offset(const mo_attention_kernel_args &args, const int64_t (&strides)[3],
                                                    int64_t sequence, int64_t kv_head, int64_t token) {
  const mo_kv_place place = mo_kv_find_place(args.table, sequence, token);
  return place.is_there ? place.block * strides[0] + kv_head * strides[1] + place.slot * strides[2] : -1;
}

/* For launchers: does every row begin at a multiple of 16 bytes? width: elements of 16 bytes. */
inline bool mo_rows_are_aligned(const void *data, const int64_t (&strides)[3], int width) {
  return mo_is_aligned16(data) && strides[0] % width == 0 && strides[1] % width == 0 && strides[2] % width == 0;
}

#endif
