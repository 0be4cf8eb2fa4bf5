/* kernels/attention/score.cuh - from a product q.k to the score, and which keys a row sees: the same for every attention
 * kernel.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_SCORE_CUH
#define MO_KERNELS_ATTENTION_SCORE_CUH

#include <cfloat>

#include "kernels/attention/sequence.cuh"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector.cuh"

constexpr float mo_log2_e = 1.44269504088896341f;
constexpr float mo_ln_2 = 0.693147180559945309f;

/* What one (batch, head) pair needs to turn products into scores. Scores are kept in units of log2, so that a weight is one
 * subtraction and one ex2. Rows and keys count from the sequence's first. */
template <int Step = 2>
struct mo_score_rules {
  const mo_attention_kernel_args *args;
  mo_sequence<Step> sequence;
  int batch, head;
  float scale_log2; /* scale * log2(e), used when there is no soft cap */

  __device__ __forceinline__ mo_score_rules(const mo_attention_kernel_args &a, mo_sequence<Step> s, int64_t b, int64_t h)
      : args(&a), sequence(s), batch(static_cast<int>(b)), head(static_cast<int>(h)), scale_log2(a.scale * mo_log2_e) {}

  /* The first key any of the rows first_row.. can see, and one past the last. */
  __device__ __forceinline__ int64_t first_key(int64_t first_row) const {
    const int64_t first = first_row + sequence.first_distance();
    return first > 0 ? first : 0;
  }
  __device__ __forceinline__ int64_t end_key(int64_t last_row) const {
    const int64_t end = last_row + sequence.last_distance() + 1, limit = sequence.key_limit();
    return end < 0 ? 0 : end < limit ? end : limit;
  }

  /* Does every row of the tile see every key of the tile, with no mask, bias or cap to apply? */
  __device__ __forceinline__ bool tile_is_plain(int64_t first_row, int64_t last_row, int64_t first, int64_t last) const {
    return args->mask == nullptr && args->bias == nullptr && args->soft_cap <= 0.0f && last < sequence.key_limit() &&
           first - last_row >= sequence.first_distance() && last - first_row <= sequence.last_distance();
  }

  __device__ __forceinline__ int64_t offset(const int64_t (&strides)[4], int64_t row, int64_t key) const {
    return batch * strides[0] + head * strides[1] + row * strides[2] + key * strides[3];
  }

  /* The score of (row, key) in log2 units, -infinity if masked or if the row is not there; any key. */
  __device__ __forceinline__ float score(float product, int64_t row, int64_t key) const {
    const mo_attention_kernel_args &a = *args;
    if (row >= sequence.query_count() || key >= sequence.key_limit() || key - row < sequence.first_distance() ||
        key - row > sequence.last_distance()) {
      return -INFINITY;
    }
    if (a.mask != nullptr && !mo_load_mask(a.mask, a.mask_dtype, offset(a.mask_strides, row, key))) {
      return -INFINITY;
    }
    if (a.bias == nullptr && a.soft_cap <= 0.0f) return product * scale_log2; /* as in tiles that are plain, to the last bit */
    float s = product * a.scale;
    if (a.soft_cap > 0.0f) s = a.soft_cap * tanhf(s / a.soft_cap);
    if (a.bias != nullptr) {
      s += mo_load_one(a.bias, a.bias_dtype, offset(a.bias_strides, row, key));
      /* The smallest finite float times log2(e) is -infinity; such a key is not masked but merely hopeless. */
      return s == -INFINITY ? s : fmaxf(s * mo_log2_e, -FLT_MAX);
    }
    return s * mo_log2_e;
  }
};

/* The maximum of a finished row. fmaxf passes over NaN, the sum does not: a row that saw nothing else must not pass for one
 * without visible keys. */
__device__ __forceinline__ float mo_finished_maximum(float maximum, float sum) { return sum != sum ? sum : maximum; }

/* The log-sum-exp that the header promises, from the running maximum (log2 units) and sum of a row. */
__device__ __forceinline__ float mo_log_sum_exp(float maximum, float sum, int64_t key_length) {
  if (key_length == 0) return -INFINITY;
  if (maximum == -INFINITY) return logf(static_cast<float>(key_length)) - FLT_MAX;
  if (maximum == -FLT_MAX) return -FLT_MAX; /* what score() makes of a bias of the smallest finite number */
  return (maximum + log2f(sum)) * mo_ln_2;
}

/* What the reductions of weights need of a row: 2^(score - maximum) * inverse_sum is a weight. */
struct alignas(8) mo_row_statistics {
  float maximum, inverse_sum; /* log2 units */
};

__device__ __forceinline__ mo_row_statistics *mo_statistics_of(const mo_attention_kernel_args &args, int64_t batch,
                                                               int64_t head, int64_t row) {
  return reinterpret_cast<mo_row_statistics *>(args.statistics) + (batch * args.heads + head) * args.query_length + row;
}

/* What is wanted of a row besides its output and weights. */
template <int Step>
__device__ __forceinline__ void mo_store_row_results(const mo_attention_kernel_args &args, mo_sequence<Step> sequence,
                                                     int64_t batch, int64_t head, int64_t row, float maximum, float sum) {
  if (args.log_sum_exp != nullptr) {
    args.log_sum_exp[batch * args.log_sum_exp_strides[0] + head * args.log_sum_exp_strides[1] +
                     (sequence.query_first() + row) * args.log_sum_exp_strides[2]] =
        mo_log_sum_exp(maximum, sum, sequence.key_count());
  }
  if (args.statistics != nullptr) *mo_statistics_of(args, batch, head, row) = mo_row_statistics{maximum, 1.0f / sum};
}

/* How many heads there are in the weights, and the head of a slot. */
__host__ __device__ __forceinline__ int64_t mo_slot_count(const mo_attention_kernel_args &args) {
  return args.selected_head_count > 0 ? args.selected_head_count : args.heads;
}
__device__ __forceinline__ int64_t mo_slot_head(const mo_attention_kernel_args &args, int64_t slot) {
  return args.selected_head_count > 0 ? args.selected_heads[slot] : slot;
}

/* Slot of a head in the weights, -1 if it is not selected. */
__device__ __forceinline__ int64_t mo_head_slot(const mo_attention_kernel_args &args, int64_t head) {
  if (args.selected_head_count == 0) return head;
  for (int i = 0; i < args.selected_head_count; ++i) {
    if (args.selected_heads[i] == head) return i;
  }
  return -1;
}

#endif
