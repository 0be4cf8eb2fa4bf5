/* kernels/attention/plain.cuh - pieces of attention without tensor cores: float32, and every layout that the tensor-core
 * kernels do not take. All arithmetic is float32, P included.
 *
 * A block has 16 query rows a warp. A lane owns four of them, and of a tile of keys an eighth: 4 x 8 products (heads of up to
 * 64 columns), each piece of 16 bytes read from shared memory used for 16 (of a key) or 32 (of a row) of them. While P V is
 * summed it owns the same four rows and every eighth piece of 4 columns. So rows never leave their warp, and of the softmax
 * only a maximum over eight lanes needs other lanes. P passes through shared memory, the warp's own part of it.
 *
 * Two tiles of keys or values fit: while one is used, the next is on its way (plain_load.cuh).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_PLAIN_CUH
#define MO_KERNELS_ATTENTION_PLAIN_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/attention/plain_load.cuh"
#include "kernels/attention/score.cuh"

namespace mo_attention_plain {

constexpr int kLaneRows = 4;         /* of a lane */
constexpr int kRows = 4 * kLaneRows; /* of a warp */

/* In front of the tiles: the sequence, and a flag. */
constexpr int kFrontBytes = 128;
constexpr int kFlagAt = 64;

/* Tuning in one place. Dim: heads are padded to it in shared memory, and only there. Keys per tile: as many as let a block and
 * its weights' staging fit the 99 KiB of the smaller cards; 256 columns leave room for three warps. */
template <int Dim>
struct Tile {
  static constexpr int warps = Dim <= 128 ? 4 : 3;
  static constexpr int threads = 32 * warps, rows = kRows * warps;
  static constexpr int keys = Dim <= 64 ? 64 : Dim <= 128 ? 32 : 16;
  static constexpr int lane_keys = keys / 8;
  static constexpr int group = lane_keys < 4 ? lane_keys : 4; /* of them next to each other */
  static constexpr int pieces = Dim / 32;                     /* of 4 columns of P V, of a lane */
  static constexpr int query_floats = rows * Dim, buffer_floats = keys * Dim;
};

/* Lanes read one piece of four neighbouring rows at once, and of eight neighbouring groups of keys. Those that read values read
 * neighbouring pieces of one key. */
using QueryPlace = Place<1, 4>;
template <int Dim>
using KeyPlace = Place<Tile<Dim>::group, 8>;
using ValuePlace = Place<1, 1>;

__device__ __forceinline__ mo_sequence<2> place_of_sequence() { return {mo_shared_memory<int64_t>()}; }

/* `N` neighbouring floats, 4 or 2. */
template <int N>
__device__ __forceinline__ void load_floats(const float *from, float *values) {
  if constexpr (N == 4) {
    const float4 all = *reinterpret_cast<const float4 *>(from);
    values[0] = all.x, values[1] = all.y, values[2] = all.z, values[3] = all.w;
  } else {
    const float2 all = *reinterpret_cast<const float2 *>(from);
    values[0] = all.x, values[1] = all.y;
  }
}
template <int N>
__device__ __forceinline__ void store_floats(float *to, const float *values) {
  if constexpr (N == 4) *reinterpret_cast<float4 *>(to) = make_float4(values[0], values[1], values[2], values[3]);
  else *reinterpret_cast<float2 *>(to) = make_float2(values[0], values[1]);
}

template <int Dim>
struct Block {
  using Shape = Tile<Dim>;
  using Scores = float[kLaneRows][Shape::lane_keys];

  const mo_attention_kernel_args &args;
  const Access access;
  const mo_sequence<2> sequence;
  const mo_score_rules<2> rules;
  int batch, head, first_row;
  int warp, lane, row_lane, key_lane; /* lane = 8 * row_lane + key_lane */

  __device__ __forceinline__ Block(const mo_attention_kernel_args &a, Access how, int b, int h, int row)
      : args(a),
        access(how),
        sequence(place_of_sequence()),
        rules(a, sequence, b, h),
        batch(b),
        head(h),
        first_row(row),
        warp(static_cast<int>(threadIdx.x) / 32),
        lane(static_cast<int>(threadIdx.x) % 32),
        row_lane(lane / 8),
        key_lane(lane % 8) {}

  static __device__ __forceinline__ float *shared_query() {
    return reinterpret_cast<float *>(mo_shared_memory<char>() + kFrontBytes);
  }
  static __device__ __forceinline__ float *shared_buffer(int which) {
    return shared_query() + Shape::query_floats + which * Shape::buffer_floats;
  }
  /* Lane row i counted from the sequence's first, and whether this warp has any row at all. */
  __device__ __forceinline__ int row_of(int i) const { return first_row + warp * kRows + row_lane + 4 * i; }
  __device__ __forceinline__ bool has_rows() const { return first_row + warp * kRows < sequence.query_count(); }
  /* Lane key n of a tile. */
  __device__ __forceinline__ int key_of(int n) const {
    return n / Shape::group * 8 * Shape::group + key_lane * Shape::group + n % Shape::group;
  }

  /* Columns of queries and keys that products go through. */
  __device__ __forceinline__ int product_columns() const { return (args.head_dim + 7) / 8 * 8; }

  __device__ __forceinline__ void start_query() const {
    const int64_t first =
        batch * args.query_strides[0] + head * args.query_strides[1] + sequence.query_first() * args.query_strides[2];
    start_rows<Shape::rows, Dim, QueryPlace, Shape::threads>(
        shared_query(), args.query, args.dtype, access.query, args.head_dim, product_columns(), [&](int row) {
          return first_row + row < sequence.query_count() ? first + (first_row + row) * args.query_strides[2] : -1;
        });
  }

  /* Keys or values of a tile; those at and past `limit` are zeros. */
  template <typename Placement>
  __device__ __forceinline__ void start_side(float *buffer, bool values, int tile, int limit) const {
    const void *data = values ? args.value : args.key;
    const int64_t(&strides)[3] = values ? args.value_strides : args.key_strides;
    const int width = values ? args.value_dim : args.head_dim;
    const int wanted = values ? (width + 31) / 32 * 32 : product_columns();
    const bool vectors = values ? access.value : access.key;
    const int kv_head = head / static_cast<int>(args.heads / args.key_value_heads), first_key = tile * Shape::keys;
    if (!args.cached) {
      const int64_t first = batch * strides[0] + kv_head * strides[1] + (sequence.key_first() + first_key) * strides[2];
      start_rows<Shape::keys, Dim, Placement, Shape::threads>(buffer, data, args.dtype, vectors, width, wanted, [&](int row) {
        return first_key + row < limit ? first + row * strides[2] : -1;
      });
      return;
    }
    const auto place = [&](const int64_t(&of)[3], int row) {
      return first_key + row < limit ? mo_cached_offset(args, of, batch, kv_head, first_key + row) : -1;
    };
    const mo_kv_heads &scale = values ? args.value_scale : args.key_scale;
    if (scale.data == nullptr) {
      start_rows<Shape::keys, Dim, Placement, Shape::threads>(buffer, data, args.dtype, vectors, width, wanted,
                                                              [&](int row) { return place(strides, row); });
      return;
    }
    load_codes<Shape::keys, Dim, Placement, Shape::threads>(
        buffer, args, data, static_cast<const float *>(scale.data), values ? args.value_group : args.key_group, vectors, width,
        wanted, [&](int row) { return place(strides, row); }, [&](int row) { return place(scale.strides, row); });
  }
  __device__ __forceinline__ void start_keys(float *buffer, int tile, int limit) const {
    start_side<KeyPlace<Dim>>(buffer, false, tile, limit);
  }
  __device__ __forceinline__ void start_values(float *buffer, int tile, int limit) const {
    start_side<ValuePlace>(buffer, true, tile, limit);
  }

  /* Calls use_keys(tile, buffer) and use_values(tile, buffer), whichever are wanted, for every tile in turn, the next one being
   * on its way. */
  template <bool Keys, bool Values, typename UseKeys, typename UseValues>
  __device__ __forceinline__ void for_tiles(int first, int end, int limit, UseKeys use_keys, UseValues use_values) const {
    constexpr int sides = (Keys ? 1 : 0) + (Values ? 1 : 0);
    const int count = (end - first) * sides;
    const auto is_keys = [](int item) { return Keys && (!Values || item % 2 == 0); };
    __syncthreads(); /* nobody still reads the buffers */
#pragma unroll 1
    for (int item = -1; item < count; ++item) {
      if (item >= 0) {
        mo_async_wait<0>();
        __syncthreads(); /* this one is there for all, and all have left the other buffer */
      }
      const int next = item + 1;
      if (next < count) {
        if (is_keys(next)) start_keys(shared_buffer(next & 1), first + next / sides, limit);
        else start_values(shared_buffer(next & 1), first + next / sides, limit);
      }
      mo_async_commit(); /* with the query, on the first call */
      if (item < 0) continue;
      if (is_keys(item)) use_keys(first + item / sides, shared_buffer(item & 1));
      else use_values(first + item / sides, shared_buffer(item & 1));
    }
    mo_async_wait<0>();
  }

  /* Products of this lane's rows and its keys of the tile. */
  __device__ __forceinline__ void multiply(const float *keys, Scores &s) const {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; ++n) s[i][n] = 0.0f;
    }
    const float *query = shared_query() + (warp * kRows + row_lane) * Dim;
    keys += key_lane * Shape::group * Dim;
    const int pieces = product_columns() / 4;
#pragma unroll 1
    for (int pair = 0; pair < pieces; pair += 2) {
#pragma unroll
      for (int piece = pair; piece < pair + 2; ++piece) {
        float4 a[kLaneRows];
#pragma unroll
        for (int i = 0; i < kLaneRows; ++i) {
          a[i] = *reinterpret_cast<const float4 *>(query + 4 * i * Dim + 4 * QueryPlace::of(row_lane, piece));
        }
#pragma unroll
        for (int n = 0; n < Shape::lane_keys; ++n) {
          /* key_of(n) / group % 8 is key_lane */
          const float *key = keys + (n / Shape::group * 8 * Shape::group + n % Shape::group) * Dim;
          const float4 b = *reinterpret_cast<const float4 *>(key + 4 * (piece ^ key_lane));
#pragma unroll
          for (int i = 0; i < kLaneRows; ++i) {
            s[i][n] = fmaf(a[i].x, b.x, s[i][n]);
            s[i][n] = fmaf(a[i].y, b.y, s[i][n]);
            s[i][n] = fmaf(a[i].z, b.z, s[i][n]);
            s[i][n] = fmaf(a[i].w, b.w, s[i][n]);
          }
        }
      }
    }
  }

  /* This lane's elements of a tile to and from shared memory, `tile` being the warp's first row of it. */
  __device__ __forceinline__ float *own_group(float *tile, int stride, int i, int n) const {
    return tile + (row_lane + 4 * i) * stride + key_of(n);
  }
  __device__ __forceinline__ void put(float *tile, int stride, const Scores &s) const {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; n += Shape::group)
        store_floats<Shape::group>(own_group(tile, stride, i, n), &s[i][n]);
    }
  }
  __device__ __forceinline__ void take(float *tile, int stride, Scores &s) const {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int n = 0; n < Shape::lane_keys; n += Shape::group)
        load_floats<Shape::group>(own_group(tile, stride, i, n), &s[i][n]);
    }
  }

  /* Products become scores in log2 units, -infinity where masked. Rules that differ from element to element are a loop over
   * them in shared memory (`tile`, of this warp): spelled out for registers they would be 32 copies of every kind of mask. */
  __device__ __forceinline__ void finish_scores(int first_key, float *tile, int stride, Scores &s) const {
    if (rules.tile_is_plain(first_row, first_row + Shape::rows - 1, first_key, first_key + Shape::keys - 1)) {
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
        for (int n = 0; n < Shape::lane_keys; ++n) s[i][n] *= rules.scale_log2;
      }
      return;
    }
    put(tile, stride, s);
#pragma unroll 1
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll 1
      for (int n = 0; n < Shape::lane_keys; n += Shape::group) {
        float *own = own_group(tile, stride, i, n);
#pragma unroll
        for (int e = 0; e < Shape::group; ++e) own[e] = rules.score(own[e], row_of(i), first_key + key_of(n) + e);
      }
    }
    take(tile, stride, s);
  }
};

}  // namespace mo_attention_plain

#endif
