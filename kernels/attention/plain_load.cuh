/* kernels/attention/plain_load.cuh - rows of any storage on their way into a float32 tile of shared memory.
 *
 * float32 goes by cp.async, 16 bytes a lane; 4 bytes a lane where rows do not begin at multiples of 16. The other types are
 * converted on the way, codes of quantised storage 16 a lane. Columns that are not there, up to the width asked for, and rows
 * that are not there become zeros.
 *
 * A row of a tile is `Width` floats, without padding. Pieces of 16 bytes are exchanged within it instead, by what Place says of
 * the row, so that lanes that read one column of neighbouring rows meet different banks.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_PLAIN_LOAD_CUH
#define MO_KERNELS_ATTENTION_PLAIN_LOAD_CUH

#include "kernels/attention/sequence.cuh"
#include "kernels/common/vector.cuh"

namespace mo_attention_plain {

/* Piece `piece` of 4 columns of row `row` lies at piece ^ (row / Each % Count). */
template <int Each, int Count>
struct Place {
  static __device__ __forceinline__ int of(int row, int piece) { return piece ^ (row / Each % Count); }
};

/* Which rows may be moved 16 bytes at a time: all of them begin at multiples of 16. */
struct Access {
  bool query, key, value, output;
};

inline Access access_of(const mo_attention_kernel_args &args) {
  const bool floats = args.dtype == MO_DTYPE_FLOAT32, codes = args.key_scale.data != nullptr;
  const int width = codes ? 16 : 4;
  return {floats && mo_rows_are_aligned(args.query, args.query_strides, 4),
          (floats || codes) && mo_rows_are_aligned(args.key, args.key_strides, width),
          (floats || codes) && mo_rows_are_aligned(args.value, args.value_strides, width),
          floats && mo_rows_are_aligned(args.output, args.output_strides, 4)};
}

/* Starts the copy of 4 columns, of which the first `count` are there (none where it is below 1). */
__device__ __forceinline__ void start_four(float *to, const void *data, mo_dtype_t dtype, int64_t index, int count,
                                           bool vectors) {
  if (dtype == MO_DTYPE_FLOAT32) {
    const float *from = static_cast<const float *>(data) + (count > 0 ? index : 0);
    if (vectors) {
      mo_async_copy16(to, from, count <= 0 ? 0 : count < 4 ? 4 * count : 16);
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) mo_async_copy4(to + i, i < count ? from + i : from, i < count ? 4 : 0);
    return;
  }
  float values[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) values[i] = i < count ? mo_load_one(data, dtype, index + i) : 0.0f;
  *reinterpret_cast<float4 *>(to) = make_float4(values[0], values[1], values[2], values[3]);
}

/* `Rows` rows by all threads of the block; offset(row): the element a row begins at, below 0 where there is none. width:
 * columns there are; wanted: columns of the tile that are read, a multiple of 4. */
template <int Rows, int Width, typename Placement, int Threads, typename Offset>
__device__ __forceinline__ void start_rows(float *tile, const void *data, mo_dtype_t dtype, bool vectors, int width, int wanted,
                                           Offset offset) {
  constexpr int pieces = Width / 4;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Rows * pieces; i += Threads) {
    const int row = i / pieces, piece = i % pieces;
    if (4 * piece >= wanted) continue;
    const int64_t first = offset(row);
    start_four(tile + row * Width + 4 * Placement::of(row, piece), data, dtype, first + 4 * piece,
               first >= 0 ? width - 4 * piece : 0, vectors);
  }
}

/* What T makes of it, for the T of the queries: quantised keys mean the same to every kernel. */
__device__ __forceinline__ float round_as(mo_dtype_t dtype, float x) {
  if (dtype == MO_DTYPE_FLOAT16) return mo_to_float(mo_from_float<mo_half>(x));
  return dtype == MO_DTYPE_BFLOAT16 ? mo_to_float(mo_from_float<mo_bfloat16>(x)) : x;
}

/* The same of codes. scale_offset(row): where the row's scales begin; group: columns per scale. */
template <int Rows, int Width, typename Placement, int Threads, typename Offset, typename ScaleOffset>
__device__ __forceinline__ void load_codes(float *tile, const mo_attention_kernel_args &args, const void *data,
                                           const float *scales, int group, bool vectors, int width, int wanted, Offset offset,
                                           ScaleOffset scale_offset) {
  constexpr int pieces = Width / 16;
  const bool is_int8 = args.stored_dtype == MO_DTYPE_INT8;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Rows * pieces; i += Threads) {
    const int row = i / pieces, column = i % pieces * 16;
    if (column >= wanted) continue;
    const int64_t first = offset(row), scale = first >= 0 ? scale_offset(row) : -1;
    const int count = scale >= 0 ? width - column : 0;
    const uint8_t *from = static_cast<const uint8_t *>(data) + first + column;
    uint32_t words[4] = {0, 0, 0, 0};
    if (vectors && count >= 16) {
      const uint4 all = mo_load16(from);
      words[0] = all.x, words[1] = all.y, words[2] = all.z, words[3] = all.w;
    } else {
#pragma unroll
      for (int b = 0; b < 16; ++b) {
        if (b < count) words[b / 4] |= static_cast<uint32_t>(from[b]) << (b % 4 * 8);
      }
    }
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      float values[4], factor = 0.0f;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int at = 4 * q + e;
        if (at < count && (e == 0 || group % 4 != 0)) factor = scales[scale + (column + at) / group];
        const float value = mo_kv_value(static_cast<uint8_t>(words[q] >> (8 * e) & 0xFFu), is_int8) * factor;
        values[e] = at < count ? round_as(args.dtype, value) : 0.0f;
      }
      *reinterpret_cast<float4 *>(tile + row * Width + 4 * Placement::of(row, column / 4 + q)) =
          make_float4(values[0], values[1], values[2], values[3]);
    }
  }
}

}  // namespace mo_attention_plain

#endif
