/* kernels/decode_attention/rows.cuh - what all decode attention kernels do alike: find their work, append the new tokens, take
 * the queries, and make scores of products.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_DECODE_ATTENTION_ROWS_CUH
#define MO_KERNELS_DECODE_ATTENTION_ROWS_CUH

#include <cfloat>

#include "kernels/decode_attention.h"
#include "kernels/kv/code.cuh"
#include "kernels/kv/head.cuh"

constexpr float mo_decode_log2_e = 1.44269504088896341f;
constexpr float mo_decode_ln_2 = 0.693147180559945309f;

__device__ __forceinline__ int64_t mo_decode_length(const mo_decode_kernel_args &args, int64_t batch) {
  return args.lengths != nullptr ? args.lengths[batch * args.lengths_stride] : args.length;
}
__device__ __forceinline__ int64_t mo_decode_start(const mo_decode_kernel_args &args, int64_t batch) {
  return args.key_starts != nullptr ? args.key_starts[batch * args.key_starts_stride] : 0;
}

/* Keys are parted at multiples of this. */
constexpr int mo_decode_granule = 32;

/* The work of one block: a part of the keys of one key/value head of one batch entry, for a tile of its rows. */
struct mo_decode_block {
  int64_t batch, kv_head, part, length, start;
  int first_row;
  mo_key_range keys;
  int64_t state_index; /* of row 0 of this part, in rows */

  __device__ __forceinline__ mo_decode_block(const mo_decode_kernel_args &args, int rows) {
    int64_t index = blockIdx.x;
    part = index % args.part_count;
    index /= args.part_count;
    first_row = static_cast<int>(index % args.row_tiles) * rows;
    index /= args.row_tiles;
    kv_head = index % args.key_value_heads;
    batch = index / args.key_value_heads;
    length = mo_decode_length(args, batch);
    start = mo_decode_start(args, batch);
    const mo_key_range work = mo_decode_work(args.rules, length, start, args.tokens);
    keys = mo_decode_part(work, part, args.part_count, mo_decode_granule);
    state_index = ((batch * args.key_value_heads + kv_head) * args.part_count + part) * args.row_count;
  }
};

/* Writes the new tokens whose slots are this block's, by all warps; `values`: `stride` floats of shared memory per warp.
 * Afterwards the whole block may read them. */
__device__ __forceinline__ void mo_decode_append(const mo_decode_kernel_args &args, const mo_decode_block &block, float *values,
                                                 int stride, int warps) {
  const mo_key_range written = mo_decode_written(args.rules, block.length);
  const int64_t first = mo_decode_max(written.first, block.keys.first), end = mo_decode_min(written.end, block.keys.end);
  if (args.new_key.data == nullptr || first >= end) return;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (int64_t i = warp; i < 2 * (end - first); i += warps) {
    const bool is_value = i % 2 != 0;
    const int64_t slot = first + i / 2, token = slot - block.length;
    const mo_kv_place to = mo_kv_find_place(args.table, block.batch, slot);
    if (!to.is_there) continue;
    const mo_kv_heads &source = is_value ? args.new_value : args.new_key;
    const bool turns = !is_value && args.turn.cosine != nullptr;
    mo_kv_write_head(source.data, args.dtype, mo_kv_offset(source, block.batch, block.kv_head, token),
                     is_value ? args.value : args.key, args.stored_dtype, to, block.kv_head, turns ? &args.turn : nullptr,
                     turns ? mo_kv_position(args.turn, block.batch, token, slot) : 0, values + warp * stride, lane);
  }
  __syncthreads();
}

/* Row `row` of the key/value head as floats, turned, and zeros up to `stride`; by one warp. */
__device__ __forceinline__ void mo_decode_take_query(const mo_decode_kernel_args &args, const mo_decode_block &block, int row,
                                                     float *to, int stride, int lane) {
  const int64_t head = block.kv_head * args.group + row / args.tokens, token = row % args.tokens;
  const int64_t from = block.batch * args.query_strides[0] + head * args.query_strides[1] + token * args.query_strides[2];
  const bool exists = row < args.row_count;
  for (int i = lane; i < stride; i += 32) {
    to[i] = exists && i < args.key.size ? mo_load_one(args.query, args.dtype, from + i) : 0.0f;
  }
  __syncwarp();
  if (!exists || args.turn.cosine == nullptr) return;
  mo_kv_turn_head(args.turn, to, mo_kv_position(args.turn, block.batch, token, block.length + token), lane);
  __syncwarp();
}

/* What a row sees of a block's keys, counted from the block's first: kept in shared memory. */
struct mo_decode_sight {
  int first, end;
};

__device__ __forceinline__ mo_decode_sight mo_decode_look(const mo_decode_kernel_args &args, const mo_decode_block &block,
                                                          int row) {
  if (row >= args.row_count) return {0, 0};
  const mo_key_range sees = mo_decode_visible(args.rules, block.length, block.start, row % args.tokens);
  return {static_cast<int>(mo_decode_max(sees.first - block.keys.first, 0)),
          static_cast<int>(mo_decode_max(mo_decode_min(sees.end, block.keys.end) - block.keys.first, 0))};
}

/* From a product to the score: masks, cap and bias of a key that the row sees. Scores are kept in units of log2, so that a
 * weight is one subtraction and one ex2. */
__device__ __forceinline__ float mo_decode_finish_score(const mo_decode_kernel_args &args, const mo_decode_block &block,
                                                        int row, float product, int64_t key) {
  const int64_t head = block.kv_head * args.group + row / args.tokens, token = row % args.tokens;
  if (args.mask != nullptr && !mo_load_mask(args.mask, args.mask_dtype,
                                            block.batch * args.mask_strides[0] + head * args.mask_strides[1] +
                                                token * args.mask_strides[2] + key * args.mask_strides[3])) {
    return -INFINITY;
  }
  float s = product * args.scale;
  if (args.soft_cap > 0.0f) s = args.soft_cap * tanhf(s / args.soft_cap);
  if (args.bias == nullptr) return s * mo_decode_log2_e;
  s += mo_load_one(args.bias, args.bias_dtype,
                   block.batch * args.bias_strides[0] + head * args.bias_strides[1] + token * args.bias_strides[2] +
                       key * args.bias_strides[3]);
  /* The smallest finite float times log2(e) is -infinity; such a key is not masked but merely hopeless. */
  return s == -INFINITY ? s : fmaxf(s * mo_decode_log2_e, -FLT_MAX);
}

/* Whether scores are products times a factor. */
__device__ __forceinline__ bool mo_decode_is_plain(const mo_decode_kernel_args &args) {
  return args.mask == nullptr && args.bias == nullptr && args.soft_cap <= 0.0f;
}

/* ---- Keys and values on their way into shared memory ---- */

/* Where rows of a tile go: the first one, the bytes from row to row, the chunks of 16 bytes that a row has there. */
struct mo_decode_rows {
  char *to;
  int stride, chunks;
};

/* Rows of keys or values by one warp. `at`: element offset of each row, in the lane of its number, or -1: zeros. */
template <typename S>
__device__ __forceinline__ void mo_decode_start_side(const mo_kv_store &store, int64_t at, const mo_decode_rows &rows,
                                                     int count, bool aligned, int lane) {
  constexpr int element = static_cast<int>(sizeof(S));
  const int bytes = store.size * element;
  const char *from = static_cast<const char *>(store.stored.data);
  /* All lanes stay for the shuffles. */
  for (int i = lane; i - lane < count * rows.chunks; i += 32) {
    const int row = i / rows.chunks < count ? i / rows.chunks : count - 1, chunk = i % rows.chunks;
    const int64_t offset = __shfl_sync(mo_full_warp, at, row);
    if (i >= count * rows.chunks) continue;
    const int left = bytes - 16 * chunk;
    const int valid = offset < 0 || left < 0 ? 0 : left < 16 ? left : 16;
    const char *source = valid > 0 ? from + offset * element + 16 * chunk : from;
    char *target = rows.to + row * rows.stride + 16 * chunk;
    if (aligned) {
      mo_async_copy16(target, source, valid);
    } else {
      for (int b = 0; b < 16 / element; ++b) {
        S value = {};
        if (b * element < valid) value = reinterpret_cast<const S *>(source)[b];
        reinterpret_cast<S *>(target)[b] = value;
      }
    }
  }
}

__device__ __forceinline__ void mo_decode_start_scales(const mo_kv_store &store, int64_t at, float *to, int count, int lane) {
  const float *from = static_cast<const float *>(store.scale.data);
  for (int i = lane; i - lane < count * store.groups; i += 32) {
    const int row = i / store.groups < count ? i / store.groups : count - 1;
    const int64_t offset = __shfl_sync(mo_full_warp, at, row);
    if (i >= count * store.groups) continue;
    mo_async_copy4(to + i, offset < 0 ? from : from + offset + i % store.groups, offset < 0 ? 0 : 4);
  }
}

/* Starts the copies of `count` (at most 32) keys and their values from slot `key` on, by one warp. Slots past the block's keys,
 * and those in no page, become zeros. scales: those of the whole tile's keys, then of its values; the warp's begin at row
 * `first` of `tile_keys`. */
template <typename S>
__device__ __forceinline__ void mo_decode_start_rows(const mo_decode_kernel_args &args, const mo_decode_block &block,
                                                     int64_t key, int count, bool aligned, const mo_decode_rows &keys,
                                                     const mo_decode_rows &values, float *scales, int tile_keys, int first,
                                                     int lane) {
  mo_kv_place place = {0, 0, false};
  if (lane < count && key + lane < block.keys.end) place = mo_kv_find_place(args.table, block.batch, key + lane);
  const auto at = [&](const mo_kv_heads &heads) {
    return place.is_there ? mo_kv_offset(heads, place.block, block.kv_head, place.slot) : int64_t{-1};
  };
  mo_decode_start_side<S>(args.key, at(args.key.stored), keys, count, aligned, lane);
  mo_decode_start_side<S>(args.value, at(args.value.stored), values, count, aligned, lane);
  if constexpr (sizeof(S) == 1) {
    mo_decode_start_scales(args.key, at(args.key.scale), scales + first * args.key.groups, count, lane);
    mo_decode_start_scales(args.value, at(args.value.scale), scales + tile_keys * args.key.groups + first * args.value.groups,
                           count, lane);
  }
}

/* ---- Which rows have weights ---- */

__host__ __device__ __forceinline__ int mo_decode_slot_count(const mo_decode_kernel_args &args) {
  return args.selected_head_count > 0 ? args.selected_head_count : static_cast<int>(args.heads);
}
__device__ __forceinline__ int mo_decode_slot_head(const mo_decode_kernel_args &args, int slot) {
  return args.selected_head_count > 0 ? args.selected_heads[slot] : slot;
}
/* Where the scores of a row go, NULL if it is not selected. */
__device__ __forceinline__ float *mo_decode_score_row(const mo_decode_kernel_args &args, int64_t batch, int slot, int token) {
  const int64_t rows = args.tokens - args.first_weight_row;
  return args.scores + ((batch * mo_decode_slot_count(args) + slot) * rows + token - args.first_weight_row) * args.score_stride;
}
__device__ __forceinline__ float *mo_decode_scores_of(const mo_decode_kernel_args &args, const mo_decode_block &block,
                                                      int row) {
  const int head = static_cast<int>(block.kv_head) * args.group + row / args.tokens, token = row % args.tokens;
  if (args.scores == nullptr || row >= args.row_count || token < args.first_weight_row) return nullptr;
  if (args.selected_head_count == 0) return mo_decode_score_row(args, block.batch, head, token);
  for (int slot = 0; slot < args.selected_head_count; ++slot) {
    if (args.selected_heads[slot] == head) return mo_decode_score_row(args, block.batch, slot, token);
  }
  return nullptr;
}

#endif
