/* kernels/attention/tile.cuh - pieces of the tensor-core attention kernels: a tile of 16-bit rows in shared memory, and the
 * fragments read from it.
 *
 * Rows of a tile lie an odd number of 16-byte pieces apart, so that the eight addresses of an ldmatrix fall into different
 * banks.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_TILE_CUH
#define MO_KERNELS_ATTENTION_TILE_CUH

#include "kernels/arch/mma.cuh"
#include "kernels/attention/sequence.cuh"
#include "kernels/common/reduce.cuh"
#include "kernels/common/vector.cuh"

/* Starts the copies of `Rows` rows of `Width` columns, by all `Threads` threads of the block. Rows at and past `limit` and
 * columns at and past `columns` (a multiple of 8) become zeros. */
template <int Rows, int Width, int Stride, int Threads, typename T>
__device__ __forceinline__ void mo_start_tile(T *shared, const T *global, int64_t global_stride, int64_t first, int64_t limit,
                                              int columns) {
  constexpr int chunks = Width / 8;
  for (int i = static_cast<int>(threadIdx.x); i < Rows * chunks; i += Threads) {
    const int row = i / chunks, chunk = i % chunks;
    const bool valid = first + row < limit && chunk * 8 < columns;
    mo_async_copy16(shared + row * Stride + chunk * 8, valid ? global + (first + row) * global_stride + chunk * 8 : global,
                    valid ? 16 : 0);
  }
}

/* The same from a cache, rows being tokens of a sequence. Codes of quantised storage arrive in the second half of their row:
 * mo_widen_tile makes elements of them. */
template <int Rows, int Width, int Stride, int Threads, typename T>
__device__ __forceinline__ void mo_start_cached_tile(T *shared, const mo_attention_kernel_args &args, const void *data,
                                                     const int64_t (&strides)[3], bool quantised, int64_t sequence,
                                                     int64_t kv_head, int64_t first, int64_t limit, int column, int columns) {
  const char *bytes = static_cast<const char *>(data);
  const int element = quantised ? 1 : static_cast<int>(sizeof(T));
  const int chunks = quantised ? Width / 16 : Width / 8, piece = 16 / element;
  for (int i = static_cast<int>(threadIdx.x); i < Rows * chunks; i += Threads) {
    const int row = i / chunks, chunk = i % chunks;
    int64_t offset = -1;
    int left = (columns - chunk * piece) * element;
    if (first + row < limit && left > 0) offset = mo_cached_offset(args, strides, sequence, kv_head, first + row);
    left = offset < 0 ? 0 : left < 16 ? left : 16;
    T *to = shared + row * Stride + (quantised ? Width / 2 + chunk * 8 : chunk * 8);
    mo_async_copy16(to, left > 0 ? bytes + (offset + column + chunk * piece) * element : bytes, left);
  }
}

/* Starts the copies of the scales of `Rows` tokens, `groups` of each, next to each other. */
template <int Rows, int Threads>
__device__ __forceinline__ void mo_start_scales(float *shared, const mo_attention_kernel_args &args, const mo_kv_heads &scale,
                                                int groups, int64_t sequence, int64_t kv_head, int64_t first, int64_t limit) {
  const float *global = static_cast<const float *>(scale.data);
  for (int i = static_cast<int>(threadIdx.x); i < Rows * groups; i += Threads) {
    const int row = i / groups, group = i % groups;
    int64_t offset = -1;
    if (first + row < limit) offset = mo_cached_offset(args, scale.strides, sequence, kv_head, first + row);
    mo_async_copy4(shared + i, offset >= 0 ? global + offset + group : global, offset >= 0 ? 4 : 0);
  }
}

/* The codes of a tile become elements, rounded to T: a warp's lanes take eight columns each of a row, or of several, read them,
 * and then write over them. group: columns per scale, a multiple of 8. A barrier must follow. */
template <int Rows, int Width, int Stride, int Threads, typename T>
__device__ __forceinline__ void mo_widen_tile(T *shared, const float *scales, int groups, int group, bool is_int8) {
  constexpr int chunks = Width / 8, rows_at_once = 32 / chunks;
  static_assert(Rows % (Threads / 32 * rows_at_once) == 0, "all lanes of a warp go through the same loop");
  const int lane = static_cast<int>(threadIdx.x) % 32, chunk = lane % chunks;
  const bool works = lane / chunks < rows_at_once;
  const int group_of_chunk = chunk * 8 / group < groups ? chunk * 8 / group : groups - 1; /* columns of padding: any */
  for (int row = static_cast<int>(threadIdx.x) / 32 * rows_at_once + lane / chunks; row - lane / chunks < Rows;
       row += Threads / 32 * rows_at_once) {
    uint2 codes = make_uint2(0, 0);
    float scale = 0.0f;
    if (works) {
      codes = *reinterpret_cast<const uint2 *>(shared + row * Stride + Width / 2 + chunk * 4);
      scale = scales[row * groups + group_of_chunk];
    }
    __syncwarp();
    if (works) {
      float values[8];
      mo_dequantise8(codes, is_int8, scale, values);
      mo_store_vector(shared + row * Stride + chunk * 8, values);
    }
  }
}

/* The A fragment of 16 rows and 16 columns, whose first element is `tile`. */
template <typename T>
__device__ __forceinline__ void mo_load_rows(uint32_t (&a)[4], const T *tile, int stride, int lane) {
  mo_load_matrix4<false>(a, tile + lane % 16 * stride + lane / 16 * 8);
}

/* s0 and s1 += rows times the first and the second eight of 16 keys. */
template <typename T>
__device__ __forceinline__ void mo_multiply_keys(float (&s0)[4], float (&s1)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[4]) {
  const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
  mo_mma_m16n8k16<T>(s0, a, low);
  mo_mma_m16n8k16<T>(s1, a, high);
}

/* The two B fragments of 16 keys (rows of the tile) and 16 columns. */
template <typename T>
__device__ __forceinline__ void mo_load_keys(uint32_t (&b)[4], const T *tile, int stride, int lane) {
  mo_load_matrix4<false>(b, tile + (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8);
}

#endif
