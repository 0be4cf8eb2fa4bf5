/* kernels/decode_attention/mma.cuh - decode attention on the tensor cores of sm_80 and newer (mma.sync, ldmatrix, cp.async),
 * for 16-bit queries of which several share a key/value head: query heads of a group times new tokens fill the rows of the
 * tiles.
 *
 * A block has a part of the keys of one key/value head and 16 * Tiles of its query rows. Bytes: keys and values of the part
 * once, as they are stored, 16 at a time through a ring of tiles of 64 keys in shared memory; sums of value rows and states of
 * the part to scratch memory.
 *
 * Each of the four warps has 16 rows and 16 * Tiles keys of every tile, with a maximum, a sum and an output of its own, so that
 * nothing but the ring joins the warps before the end. With one row tile a warp reads only the keys that it has loaded itself:
 * no barrier of the block at all in the loop.
 *
 * Quantised storage: the codes become 16-bit elements on their way from shared memory into the fragments of B. A lane reads 16
 * neighbouring bytes; which element of a head stands for which k (of QK) or n (of PV) is free as long as both sides agree, so
 * the queries are permuted when they are stored, and the output when it leaves. QK  step s of 64 elements: k = 2t, 2t + 1 are
 * elements 16t + 4s, + 1; k = 2t + 8, 2t + 9 are 16t + 4s + 2, + 3 PV  tile i: n is element n * Dim / 8 + i Scales of keys with
 * one group multiply the score; others, and those of values, the elements.
 *
 * Traps: rows of 16-bit tiles lie an odd number of 16 bytes apart (ldmatrix), those of keys of one byte 64 modulo 128 and those
 * of values 16 modulo 64, which is what the lanes' reads need to meet different banks. Slots past the part are zeros.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_DECODE_ATTENTION_MMA_CUH
#define MO_KERNELS_DECODE_ATTENTION_MMA_CUH

#include "kernels/attention/tile.cuh"
#include "kernels/decode_attention/rows.cuh"
#include "kernels/decode_attention/use.cuh"

namespace mo_decode_mma {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
static_assert(kThreads == mo_decode_threads, "launches and plans are for these");
constexpr int kKeys = 64; /* of a tile */
constexpr int kMostStages = 4;

template <typename S, int Dim>
struct Tile {
  static constexpr bool quantised = sizeof(S) == 1;
  static constexpr int chunks = Dim * static_cast<int>(sizeof(S)) / 16;
  static constexpr int key_stride = quantised ? (Dim % 128 == 64 ? Dim : Dim + 64) : Dim * 2 + 16; /* bytes */
  static constexpr int value_stride = quantised ? Dim + 16 : Dim * 2 + 16;
  static constexpr int values_at = kKeys * key_stride;
  static constexpr int scales_at = values_at + kKeys * value_stride;
  static constexpr int query_stride = Dim + 8;             /* elements */
  static constexpr int sums_bytes = kWarps * 16 * Dim * 4; /* at the end, in the ring's memory */
  static_assert(2 * scales_at >= sums_bytes, "the ring takes the sums");

  __host__ __device__ static constexpr int stage_bytes(int groups) { return (scales_at + kKeys * groups * 4 + 15) / 16 * 16; }
};

template <typename S, int Dim, int Tiles>
__host__ __device__ __forceinline__ int shared_bytes(const mo_decode_kernel_args &args, int stages) {
  using Shape = Tile<S, Dim>;
  constexpr int rows = 16 * Tiles;
  return stages * Shape::stage_bytes(args.key.groups + args.value.groups) + rows * Shape::query_stride * 2 +
         rows * static_cast<int>(sizeof(mo_decode_sight)) + kWarps * 16 * 2 * 4;
}

template <typename T, typename S, int Dim, int Tiles>
struct Block {
  using Shape = Tile<S, Dim>;
  static constexpr int rows = 16 * Tiles;
  static constexpr int key_parts = kWarps / Tiles;
  static constexpr int warp_keys = kKeys / key_parts;

  const mo_decode_kernel_args &args;
  const mo_decode_block work;
  char *ring;
  T *queries;
  mo_decode_sight *sights;
  float *states; /* (warps, 16, 2), at the end */
  int stage_bytes, thread, warp, lane, g, t;
  int row_tile, first_key; /* of this warp, in the block and in each tile */
  float output[Dim / 8][4];
  float maximum[2], sum[2]; /* of rows g and g + 8 of this warp */

  __device__ __forceinline__ explicit Block(const mo_decode_kernel_args &a) : args(a), work(a, rows) {
    stage_bytes = Shape::stage_bytes(a.key.groups + a.value.groups);
    ring = mo_shared_memory<char>();
    queries = reinterpret_cast<T *>(ring + a.stages * stage_bytes);
    sights = reinterpret_cast<mo_decode_sight *>(queries + rows * Shape::query_stride);
    states = reinterpret_cast<float *>(sights + rows);
    thread = static_cast<int>(threadIdx.x);
    warp = thread / 32;
    lane = thread % 32;
    g = lane / 4;
    t = lane % 4;
    row_tile = warp % Tiles;
    first_key = warp / Tiles * warp_keys;
  }

  /* Row of the key/value head that half of this thread's fragments belongs to. */
  __device__ __forceinline__ int row_of(int half) const { return work.first_row + row_tile * 16 + g + 8 * half; }

  /* Queries as 16-bit rows in shared memory, in the order in which QK takes their elements; floats of the ring on the way. */
  __device__ __forceinline__ void take_queries() const {
    float *wide = reinterpret_cast<float *>(ring) + warp * Dim;
    for (int row = warp; row < rows; row += kWarps) {
      __syncwarp();
      mo_decode_take_query(args, work, work.first_row + row, wide, Dim, lane);
      __syncwarp();
      for (int d = lane; d < Dim; d += 32) {
        int from = d;
        if constexpr (Shape::quantised) {
          const int step = d % 64 / 16, c = d % 16;
          from = d / 64 * 64 + c % 8 / 2 * 16 + 4 * step + c / 8 * 2 + c % 2;
        }
        queries[row * Shape::query_stride + d] = mo_from_float<T>(wide[from]);
      }
    }
    if (thread < rows) sights[thread] = mo_decode_look(args, work, work.first_row + thread);
  }

  __device__ __forceinline__ char *stage(int tile) const { return ring + tile % args.stages * stage_bytes; }

  __device__ __forceinline__ void start(int tile) const {
    constexpr int count = kKeys / kWarps;
    const int first = warp * count;
    char *to = stage(tile);
    mo_decode_start_rows<S>(args, work, work.keys.first + static_cast<int64_t>(tile) * kKeys + first, count, true,
                            {to + first * Shape::key_stride, Shape::key_stride, Shape::chunks},
                            {to + Shape::values_at + first * Shape::value_stride, Shape::value_stride, Shape::chunks},
                            reinterpret_cast<float *>(to + Shape::scales_at), kKeys, first, lane);
  }

  /* The tile is there for all who read it, and all have left the one before. */
  __device__ __forceinline__ void arrive() const {
    if (args.stages == 2) mo_async_wait<0>();
    else if (args.stages == 3) mo_async_wait<1>();
    else mo_async_wait<kMostStages - 2>();
    if constexpr (Tiles == 1) __syncwarp();
    else __syncthreads();
  }

  /* Products of this warp's rows and keys. */
  __device__ __forceinline__ void multiply(const char *tile, float (&s)[warp_keys / 8][4]) const {
#pragma unroll
    for (int n = 0; n < warp_keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = 0.0f;
    }
    const T *mine = queries + row_tile * 16 * Shape::query_stride;
    if constexpr (!Shape::quantised) {
      constexpr int stride = Shape::key_stride / 2;
      const T *keys = reinterpret_cast<const T *>(tile) + first_key * stride;
#pragma unroll
      for (int k = 0; k < Dim / 16; ++k) {
        uint32_t a[4];
        mo_load_rows(a, mine + k * 16, Shape::query_stride, lane);
#pragma unroll
        for (int n = 0; n < warp_keys / 16; ++n) {
          uint32_t b[4];
          mo_load_keys(b, keys + n * 16 * stride + k * 16, stride, lane);
          mo_multiply_keys<T>(s[2 * n], s[2 * n + 1], a, b);
        }
      }
    } else {
      const float *scales = reinterpret_cast<const float *>(tile + Shape::scales_at);
      const int groups = args.key.groups, width = args.key.size / groups;
#pragma unroll
      for (int block = 0; block < Dim / 64; ++block) {
        uint32_t a[4][4];
#pragma unroll
        for (int step = 0; step < 4; ++step) mo_load_rows(a[step], mine + block * 64 + step * 16, Shape::query_stride, lane);
        const int column = block * 64 + t * 16;
        const int group = column < args.key.size ? column / width : 0;
#pragma unroll
        for (int n = 0; n < warp_keys / 8; ++n) {
          const int key = first_key + n * 8 + g;
          float k[16];
          unpack16(tile + key * Shape::key_stride + column, k);
          const float scale = groups > 1 ? scales[key * groups + group] : 1.0f;
#pragma unroll
          for (int step = 0; step < 4; ++step) {
            const uint32_t b[2] = {mo_pack2<T>(k[4 * step] * scale, k[4 * step + 1] * scale),
                                   mo_pack2<T>(k[4 * step + 2] * scale, k[4 * step + 3] * scale)};
            mo_mma_m16n8k16<T>(s[n], a[step], b);
          }
        }
      }
      if (groups > 1) return;
#pragma unroll
      for (int n = 0; n < warp_keys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) s[n][i] *= scales[first_key + n * 8 + 2 * t + i % 2];
      }
    }
  }

  /* Products become scores; those that are wanted go to scratch memory. */
  __device__ __forceinline__ void finish_scores(int tile, const mo_decode_sight (&sight)[2], float *const (&wanted)[2],
                                                float (&s)[warp_keys / 8][4]) const {
    const float factor = args.scale * mo_decode_log2_e;
    const bool plain = mo_decode_is_plain(args);
    const int count = static_cast<int>(work.keys.end - work.keys.first);
#pragma unroll
    for (int n = 0; n < warp_keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int index = tile * kKeys + first_key + n * 8 + 2 * t + i % 2;
        float score = -INFINITY;
        if (index >= sight[i / 2].first && index < sight[i / 2].end) {
          score =
              plain ? s[n][i] * factor : mo_decode_finish_score(args, work, row_of(i / 2), s[n][i], work.keys.first + index);
        }
        s[n][i] = score;
        if (wanted[i / 2] != nullptr && index < count) wanted[i / 2][index] = score;
      }
    }
  }

  /* Takes the scores into maximum and sum (the latter of this lane's keys only) and makes them 2^(score - maximum); the output
   * so far is rescaled. */
  __device__ __forceinline__ void advance_softmax(float (&s)[warp_keys / 8][4]) {
    float correction[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float now = maximum[half];
#pragma unroll
      for (int n = 0; n < warp_keys / 8; ++n) now = fmaxf(now, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      now = fmaxf(now, __shfl_xor_sync(mo_full_warp, now, 1));
      now = fmaxf(now, __shfl_xor_sync(mo_full_warp, now, 2));
      const float shift = now == -INFINITY ? 0.0f : now;
      correction[half] = mo_exp2(maximum[half] - shift);
      maximum[half] = now;
      float tile_sum = 0.0f;
#pragma unroll
      for (int n = 0; n < warp_keys / 8; ++n) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          s[n][i] = mo_exp2(s[n][i] - shift);
          tile_sum += s[n][i];
        }
      }
      sum[half] = sum[half] * correction[half] + tile_sum;
    }
    /* Maxima seldom move once some keys have been seen. */
    if (!__any_sync(mo_full_warp, correction[0] != 1.0f || correction[1] != 1.0f)) return;
#pragma unroll
    for (int n = 0; n < Dim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) output[n][i] *= correction[i / 2];
    }
  }

  /* output += P V for this warp's keys of the tile. */
  __device__ __forceinline__ void add_values(const char *tile, const float (&p)[warp_keys / 8][4]) {
    const char *values = tile + Shape::values_at;
    const float *scales = reinterpret_cast<const float *>(tile + Shape::scales_at) + kKeys * args.key.groups;
    const int groups = args.value.groups, width = Shape::quantised ? args.value.size / groups : 1;
#pragma unroll
    for (int k = 0; k < warp_keys / 16; ++k) {
      const uint32_t a[4] = {mo_pack2<T>(p[2 * k][0], p[2 * k][1]), mo_pack2<T>(p[2 * k][2], p[2 * k][3]),
                             mo_pack2<T>(p[2 * k + 1][0], p[2 * k + 1][1]), mo_pack2<T>(p[2 * k + 1][2], p[2 * k + 1][3])};
      const int key = first_key + k * 16;
      if constexpr (!Shape::quantised) {
        constexpr int stride = Shape::value_stride / 2;
        const T *rows_of_k = reinterpret_cast<const T *>(values) + (key + lane / 8 % 2 * 8 + lane % 8) * stride + lane / 16 * 8;
#pragma unroll
        for (int n = 0; n < Dim / 16; ++n) {
          uint32_t b[4];
          mo_load_matrix4<true>(b, rows_of_k + n * 16);
          mo_multiply_keys<T>(output[2 * n], output[2 * n + 1], a, b);
        }
      } else {
        constexpr int width_of_lane = Dim / 8, piece = width_of_lane == 16 ? 16 : 8; /* of wide heads, half the registers */
#pragma unroll
        for (int part = 0; part < width_of_lane / piece; ++part) {
          const int column = g * width_of_lane + part * piece;
          const int group = groups > 1 && column < args.value.size ? column / width : 0;
          float low[2][16], high[2][16];
#pragma unroll
          for (int which = 0; which < 2; ++which) {
            const int first = key + 2 * t + which, second = first + 8;
            load_values<piece>(values + first * Shape::value_stride + column, scales[first * groups + group], low[which]);
            load_values<piece>(values + second * Shape::value_stride + column, scales[second * groups + group], high[which]);
          }
#pragma unroll
          for (int i = 0; i < piece; ++i) {
            const uint32_t b[2] = {mo_pack2<T>(low[0][i], low[1][i]), mo_pack2<T>(high[0][i], high[1][i])};
            mo_mma_m16n8k16<T>(output[part * piece + i], a, b);
          }
        }
      }
    }
  }

  __device__ __forceinline__ static void unpack_words(const uint32_t *words, int count, float *values) {
#pragma unroll
    for (int i = 0; i < 4 * count; ++i) values[i] = mo_kv_value(S{static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)) & 0xFFu)});
  }
  __device__ __forceinline__ static void unpack16(const char *address, float (&values)[16]) {
    const uint4 raw = mo_load16(address);
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
    unpack_words(words, 4, values);
  }
  template <int Piece>
  __device__ __forceinline__ static void load_values(const char *address, float scale, float (&values)[16]) {
    if constexpr (Piece == 16) {
      unpack16(address, values);
    } else {
      const uint2 raw = *reinterpret_cast<const uint2 *>(address);
      const uint32_t words[2] = {raw.x, raw.y};
      unpack_words(words, 2, values);
    }
#pragma unroll
    for (int i = 0; i < Piece; ++i) values[i] *= scale;
  }

  /* Column of the head that element i of output tile n belongs to. */
  __device__ __forceinline__ int column_of(int n, int i) const {
    return Shape::quantised ? (2 * t + i % 2) * (Dim / 8) + n : n * 8 + 2 * t + i % 2;
  }

  /* The warps that share rows together, in order, and to scratch memory. */
  __device__ __forceinline__ void store() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      sum[half] += __shfl_xor_sync(mo_full_warp, sum[half], 1);
      sum[half] += __shfl_xor_sync(mo_full_warp, sum[half], 2);
      if (t != 0) continue;
      float *state = states + 2 * (warp * 16 + g + 8 * half);
      state[0] = maximum[half];
      state[1] = sum[half];
    }
    __syncthreads(); /* and nobody reads the ring any more */
    float *sums = reinterpret_cast<float *>(ring);
    float scale[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = -INFINITY;
#pragma unroll
      for (int part = 0; part < key_parts; ++part) {
        most = fmaxf(most, states[2 * ((part * Tiles + row_tile) * 16 + g + 8 * half)]);
      }
      scale[half] = mo_exp2(maximum[half] - (most == -INFINITY ? 0.0f : most));
    }
#pragma unroll
    for (int n = 0; n < Dim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[(warp * 16 + g + i / 2 * 8) * Dim + column_of(n, i)] = output[n][i] * scale[i / 2];
      }
    }
    __syncthreads();
    for (int row = warp; row < rows && work.first_row + row < args.row_count; row += kWarps) {
      float *to = args.sums + (work.state_index + work.first_row + row) * args.value.size;
      for (int d = lane; d < args.value.size; d += 32) {
        float total = 0.0f;
#pragma unroll
        for (int part = 0; part < key_parts; ++part) total += sums[((part * Tiles + row / 16) * 16 + row % 16) * Dim + d];
        to[d] = total;
      }
      if (lane != 0) continue;
      float most = -INFINITY, total = 0.0f;
      for (int part = 0; part < key_parts; ++part) {
        most = fmaxf(most, states[2 * ((part * Tiles + row / 16) * 16 + row % 16)]);
      }
      for (int part = 0; part < key_parts; ++part) {
        const float *state = states + 2 * ((part * Tiles + row / 16) * 16 + row % 16);
        total += state[1] * mo_exp2(state[0] - (most == -INFINITY ? 0.0f : most));
      }
      float *state = args.states + 2 * (work.state_index + work.first_row + row);
      state[0] = most;
      state[1] = total;
    }
  }
};

/* Blocks on a multiprocessor that the registers are for: three leave 168, two 255. Heads of 128 need a few more than 168 on
 * sm_120. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
constexpr int kThreeBlocksDim = 64;
#else
constexpr int kThreeBlocksDim = 128;
#endif
template <int Dim, int Tiles>
constexpr int min_blocks = Dim <= 64 || (Dim <= kThreeBlocksDim && Tiles == 1) ? 3 : 2;

/* grid: parts of row tiles of key/value heads of batch entries */
template <typename T, typename S, int Dim, int Tiles>
__global__ void __launch_bounds__(kThreads, min_blocks<Dim, Tiles>)
    decode_attention_mma_kernel(const __grid_constant__ mo_decode_kernel_args args) {
  using This = Block<T, S, Dim, Tiles>;
  This block(args);
  const mo_decode_block &work = block.work;
  if (args.row_tiles == 1) {
    const int head_floats = args.key.size > args.value.size ? args.key.size : args.value.size;
    mo_decode_append(args, work, mo_shared_memory<float>(), head_floats, kWarps);
  }
  block.take_queries();
  __syncthreads();
  const mo_decode_sight sight[2] = {block.sights[block.row_tile * 16 + block.g],
                                    block.sights[block.row_tile * 16 + block.g + 8]};
  float *wanted[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float *row = mo_decode_scores_of(args, work, block.row_of(half));
    wanted[half] = row == nullptr ? nullptr : row + work.keys.first;
    block.maximum[half] = -INFINITY;
    block.sum[half] = 0.0f;
  }
#pragma unroll
  for (int n = 0; n < Dim / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) block.output[n][i] = 0.0f;
  }

  const int tiles = static_cast<int>((work.keys.end - work.keys.first + kKeys - 1) / kKeys);
  for (int tile = 0; tile < args.stages - 1; ++tile) {
    if (tile < tiles) block.start(tile);
    mo_async_commit();
  }
  for (int tile = 0; tile < tiles; ++tile) {
    block.arrive();
    if (tile + args.stages - 1 < tiles) block.start(tile + args.stages - 1);
    mo_async_commit();
    const char *stage = block.stage(tile);
    float s[This::warp_keys / 8][4];
    block.multiply(stage, s);
    block.finish_scores(tile, sight, wanted, s);
    block.advance_softmax(s);
    block.add_values(stage, s);
  }
  mo_async_wait<0>();
  block.store();
}

/* Row tiles of a block if there are more than 16 rows: wide heads leave no registers for the scores of more. */
template <int Dim>
constexpr int most_tiles = Dim <= 128 ? 4 : 1;

template <typename T, typename S, int Dim, typename Use>
cudaError_t use_tiles(const mo_decode_kernel_args &args, const Use &use) {
  if (args.row_count <= 16) return MO_DECODE_USE(use, (decode_attention_mma_kernel<T, S, Dim, 1>));
  return MO_DECODE_USE(use, (decode_attention_mma_kernel<T, S, Dim, most_tiles<Dim>>));
}

template <typename T, typename S, typename Use>
cudaError_t use_dim(const mo_decode_kernel_args &args, const Use &use) {
  const int dim = args.key.size > args.value.size ? args.key.size : args.value.size;
  if (dim <= 64) return use_tiles<T, S, 64>(args, use);
  if (dim <= 128) return use_tiles<T, S, 128>(args, use);
  return use_tiles<T, S, 256>(args, use);
}

template <typename T, typename Use>
cudaError_t use_kernel(const mo_decode_kernel_args &args, const Use &use) {
  if (args.stored_dtype == MO_DTYPE_INT8) return use_dim<T, mo_int8_code>(args, use);
  if (args.stored_dtype == MO_DTYPE_FLOAT8_E4M3) return use_dim<T, mo_e4m3_code>(args, use);
  return use_dim<T, T>(args, use);
}

}  // namespace mo_decode_mma

#endif
