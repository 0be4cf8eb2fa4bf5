/* kernels/decode_attention/vector.cuh - decode attention without tensor cores: float32, single query heads, and heads whose
 * rows are not aligned.
 *
 * A block has a part of the keys of one key/value head and up to `Rows` of its query rows. Bytes: keys and values of the part
 * once, as they are stored, 16 at a time through a ring of tiles in shared memory that cp.async fills two tiles ahead; sums of
 * value rows and states of the part to scratch memory. Nothing is converted before it is in registers.
 *
 *   QK       four threads per key take every fourth 16 bytes of it; two shuffles make a score
 *   softmax  a warp per row, a lane per key
 *   PV       a thread has 16 stored bytes of the head's columns and every n-th key; the threads with the same columns are
 *            added up once, at the end of the part
 *
 * Rows of a tile lie 4 (mod 8) times 16 bytes apart: the two keys that eight lanes read meet different banks.
 *
 * Traps: the tail of a tile is zeros, and so is what lies in no page; a row without visible keys keeps a maximum of -infinity
 * and is the combination's business.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_DECODE_ATTENTION_VECTOR_CUH
#define MO_KERNELS_DECODE_ATTENTION_VECTOR_CUH

#include "kernels/decode_attention/rows.cuh"
#include "kernels/decode_attention/use.cuh"

namespace mo_decode_vector {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
static_assert(kThreads == mo_decode_threads, "launches and plans are for these");
constexpr int kMostKeys = 32; /* of a tile: a lane each in the softmax */
constexpr int kFewestKeys = 8;
constexpr int kStages = 3;
constexpr size_t kTileBytes = 32 << 10; /* of K and V together, more only where 8 keys are larger */

/* Sixteen stored bytes as floats. */
template <typename S>
constexpr int per_chunk = 16 / static_cast<int>(sizeof(S));

template <typename S>
__device__ __forceinline__ void unpack(const char *address, float (&values)[per_chunk<S>]) {
  if constexpr (sizeof(S) == 1) {
    const uint4 raw = mo_load16(address);
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 16; ++i) values[i] = mo_kv_value(S{static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)) & 0xFFu)});
  } else {
    mo_load_vector(reinterpret_cast<const S *>(address), values);
  }
}

/* Bytes of a tile's row of keys or values: whole chunks, then what keeps rows in different banks. */
__host__ __device__ __forceinline__ int chunks_of(int size, int element) { return (size * element + 15) / 16; }
__host__ __device__ __forceinline__ int row_bytes(int chunks) { return (chunks + 3) / 8 * 128 + 64; }
static_assert(4 * 16 == 64, "a row has 4 modulo 8 chunks");

/* Where things lie in shared memory. */
struct Layout {
  int key_chunks, value_chunks, key_row, value_row, scale_floats, query_stride;
  int stage_bytes, values_at, scales_at; /* within a stage: keys, values, scales of keys, scales of values */
  int head_floats;                       /* of a new head on its way into the cache */
  int query_at, scores_at, sights_at, state_at, total;

  __host__ __device__ __forceinline__ Layout(const mo_decode_kernel_args &args, int rows, int element) {
    key_chunks = chunks_of(args.key.size, element);
    value_chunks = chunks_of(args.value.size, element);
    key_row = row_bytes(key_chunks);
    value_row = row_bytes(value_chunks);
    scale_floats = args.key.groups + args.value.groups;
    values_at = args.tile_keys * key_row;
    scales_at = values_at + args.tile_keys * value_row;
    stage_bytes = (scales_at + args.tile_keys * scale_floats * 4 + 15) / 16 * 16;
    query_stride = key_chunks * (16 / element);
    head_floats = args.key.size > args.value.size ? args.key.size : args.value.size;
    const int ring = kStages * stage_bytes;
    const int sums = kThreads * (16 / element) * rows * 4; /* at the end the ring takes the sums, before it the new heads */
    const int heads = kWarps * head_floats * 4;
    query_at = ring > sums ? ring : sums;
    query_at = ((query_at > heads ? query_at : heads) + 15) / 16 * 16;
    scores_at = query_at + rows * query_stride * 4;
    sights_at = scores_at + rows * kMostKeys * 4;
    state_at = sights_at + rows * static_cast<int>(sizeof(mo_decode_sight));
    total = state_at + rows * 3 * 4;
  }
};

template <typename S, int Rows>
struct Block {
  const mo_decode_kernel_args &args;
  const mo_decode_block work;
  const Layout layout;
  char *shared;
  int thread, warp, lane;

  __device__ __forceinline__ explicit Block(const mo_decode_kernel_args &a)
      : args(a),
        work(a, Rows),
        layout(a, Rows, static_cast<int>(sizeof(S))),
        shared(mo_shared_memory<char>()),
        thread(static_cast<int>(threadIdx.x)),
        warp(thread / 32),
        lane(thread % 32) {}

  __device__ __forceinline__ float *queries() const { return reinterpret_cast<float *>(shared + layout.query_at); }
  __device__ __forceinline__ float *scores() const { return reinterpret_cast<float *>(shared + layout.scores_at); }
  __device__ __forceinline__ mo_decode_sight *sights() const {
    return reinterpret_cast<mo_decode_sight *>(shared + layout.sights_at);
  }
  __device__ __forceinline__ float *maxima() const { return reinterpret_cast<float *>(shared + layout.state_at); }
  __device__ __forceinline__ float *sums() const { return maxima() + Rows; }
  __device__ __forceinline__ float *corrections() const { return maxima() + 2 * Rows; }
  __device__ __forceinline__ char *stage(int64_t tile) const {
    return shared + static_cast<int>(tile % kStages) * layout.stage_bytes;
  }

  /* Starts the copies of a tile; each warp has its own rows. */
  __device__ __forceinline__ void start(int64_t tile) const {
    const int count = args.tile_keys / kWarps, first = warp * count;
    char *to = stage(tile);
    mo_decode_start_rows<S>(args, work, work.keys.first + tile * args.tile_keys + first, count, args.aligned,
                            {to + first * layout.key_row, layout.key_row, layout.key_chunks},
                            {to + layout.values_at + first * layout.value_row, layout.value_row, layout.value_chunks},
                            reinterpret_cast<float *>(to + layout.scales_at), args.tile_keys, first, lane);
  }

  /* Products of a tile's keys with all rows. */
  __device__ __forceinline__ void multiply(int64_t tile) const {
    const char *keys = stage(tile);
    const float *scales = reinterpret_cast<const float *>(keys + layout.scales_at);
    const int part = lane % 4, key = thread / 4;
    if (8 * warp >= args.tile_keys) return; /* whole warps */
    float products[Rows] = {};
    const int width = sizeof(S) == 1 ? args.key.size / args.key.groups : 1;
    for (int chunk = part; chunk < layout.key_chunks; chunk += 4) {
      float k[per_chunk<S>];
      unpack<S>(keys + key * layout.key_row + 16 * chunk, k);
      const int column = chunk * per_chunk<S>;
      if constexpr (sizeof(S) == 1) {
        if (args.key.groups > 1) {
#pragma unroll
          for (int i = 0; i < per_chunk<S>; ++i) {
            if (column + i < args.key.size) k[i] *= scales[key * args.key.groups + (column + i) / width];
          }
        }
      }
#pragma unroll
      for (int r = 0; r < Rows; ++r) {
        const float *query = queries() + r * layout.query_stride + column;
#pragma unroll
        for (int i = 0; i < per_chunk<S>; ++i) products[r] += query[i] * k[i];
      }
    }
    const int index = static_cast<int>(tile) * args.tile_keys + key; /* among the block's keys */
    const float factor = args.scale * mo_decode_log2_e;
    const bool plain = mo_decode_is_plain(args);
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      products[r] += __shfl_xor_sync(mo_full_warp, products[r], 1);
      products[r] += __shfl_xor_sync(mo_full_warp, products[r], 2);
      if (part != 0) continue;
      if (sizeof(S) == 1 && args.key.groups == 1) products[r] *= scales[key];
      const mo_decode_sight sight = sights()[r];
      float score = -INFINITY;
      if (index >= sight.first && index < sight.end) {
        score = plain ? products[r] * factor
                      : mo_decode_finish_score(args, work, work.first_row + r, products[r], work.keys.first + index);
      }
      scores()[r * kMostKeys + key] = score;
    }
  }

  /* Scores become 2^(score - maximum), times the value's scale; maxima, sums and what earlier sums are to be multiplied by. */
  __device__ __forceinline__ void advance_softmax(int64_t tile) const {
    const float *scales = reinterpret_cast<const float *>(stage(tile) + layout.scales_at) + args.tile_keys * args.key.groups;
    const int64_t slot = work.keys.first + tile * args.tile_keys + lane;
    for (int r = warp; r < Rows; r += kWarps) {
      const bool exists = lane < args.tile_keys;
      const float score = exists ? scores()[r * kMostKeys + lane] : -INFINITY;
      float *wanted = mo_decode_scores_of(args, work, work.first_row + r);
      if (wanted != nullptr && exists && slot < work.keys.end) wanted[slot] = score;
      const float before = maxima()[r], maximum = fmaxf(before, mo_reduce_warp<mo_max>(score));
      const float shift = maximum == -INFINITY ? 0.0f : maximum;
      const float p = mo_exp2(score - shift), sum = mo_reduce_warp<mo_sum>(p), correction = mo_exp2(before - shift);
      if (exists) {
        const bool scaled = sizeof(S) == 1 && args.value.groups == 1;
        scores()[r * kMostKeys + lane] = scaled ? p * scales[lane] : p;
      }
      __syncwarp();
      if (lane == 0) {
        maxima()[r] = maximum;
        sums()[r] = sums()[r] * correction + sum;
        corrections()[r] = correction;
      }
    }
  }

  __device__ __forceinline__ void add_values(int64_t tile, int column, int first_key, int step,
                                             float (&total)[Rows][per_chunk<S>]) const {
    const char *values = stage(tile) + layout.values_at;
    const float *scales = reinterpret_cast<const float *>(stage(tile) + layout.scales_at) + args.tile_keys * args.key.groups;
    const int width = sizeof(S) == 1 ? args.value.size / args.value.groups : 1;
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const float correction = corrections()[r];
#pragma unroll
      for (int i = 0; i < per_chunk<S>; ++i) total[r][i] *= correction;
    }
    for (int key = first_key; key < args.tile_keys; key += step) {
      float v[per_chunk<S>];
      unpack<S>(values + key * layout.value_row + 16 * column, v);
      if constexpr (sizeof(S) == 1) {
        if (args.value.groups > 1) {
#pragma unroll
          for (int i = 0; i < per_chunk<S>; ++i) {
            const int d = column * per_chunk<S> + i;
            if (d < args.value.size) v[i] *= scales[key * args.value.groups + d / width];
          }
        }
      }
#pragma unroll
      for (int r = 0; r < Rows; ++r) {
        const float p = scores()[r * kMostKeys + key];
#pragma unroll
        for (int i = 0; i < per_chunk<S>; ++i) total[r][i] += p * v[i];
      }
    }
  }
};

/* Blocks that must fit a multiprocessor: four leave 128 registers, three 168, two 255. Left to itself, the compiler squeezes
 * few rows into 72 for a seventh block, and spills. With 168, sm_90a spills four rows of codes, sm_120 also eight rows. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
template <typename S, int Rows>
constexpr int min_blocks = Rows <= 2                     ? 4
                           : Rows == 8 || sizeof(S) == 1 ? 2
                                                         : 3;
#else
template <typename S, int Rows>
constexpr int min_blocks = Rows <= 2 ? 4 : 3;
#endif

/* grid: parts of row tiles of key/value heads of batch entries */
template <typename S, int Rows>
__global__ void __launch_bounds__(kThreads, min_blocks<S, Rows>)
    decode_attention_vector_kernel(const __grid_constant__ mo_decode_kernel_args args) {
  const Block<S, Rows> block(args);
  const mo_decode_block &work = block.work;
  if (args.row_tiles == 1) mo_decode_append(args, work, mo_shared_memory<float>(), block.layout.head_floats, kWarps);
  for (int r = block.warp; r < Rows; r += kWarps) {
    mo_decode_take_query(args, work, work.first_row + r, block.queries() + r * block.layout.query_stride,
                         block.layout.query_stride, block.lane);
  }
  if (block.thread < Rows) {
    block.sights()[block.thread] = mo_decode_look(args, work, work.first_row + block.thread);
    block.maxima()[block.thread] = -INFINITY;
    block.sums()[block.thread] = 0.0f;
  }
  const int value_chunks = block.layout.value_chunks;
  int steps = value_chunks > 0 ? kThreads / value_chunks : 0;
  if (steps > args.tile_keys) steps = args.tile_keys;
  const bool adds = block.thread < steps * value_chunks;
  const int column = adds ? block.thread % value_chunks : 0, first_key = adds ? block.thread / value_chunks : 0;
  float total[Rows][per_chunk<S>] = {};

  const int64_t tiles = (work.keys.end - work.keys.first + args.tile_keys - 1) / args.tile_keys;
  for (int64_t tile = 0; tile < kStages - 1; ++tile) {
    if (tile < tiles) block.start(tile);
    mo_async_commit();
  }
  for (int64_t tile = 0; tile < tiles; ++tile) {
    mo_async_wait<kStages - 2>();
    __syncthreads(); /* this tile is there for all, and all have left the one whose memory is filled next */
    if (tile + kStages - 1 < tiles) block.start(tile + kStages - 1);
    mo_async_commit();
    block.multiply(tile);
    __syncthreads();
    block.advance_softmax(tile);
    __syncthreads();
    if (adds) block.add_values(tile, column, first_key, steps, total);
  }
  mo_async_wait<0>();
  __syncthreads();

  /* The threads with the same columns together, in order, through the ring's memory. */
  float *shares = mo_shared_memory<float>();
  const int columns = value_chunks * per_chunk<S>;
  if (adds) {
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
#pragma unroll
      for (int i = 0; i < per_chunk<S>; ++i) shares[(first_key * Rows + r) * columns + column * per_chunk<S> + i] = total[r][i];
    }
  }
  __syncthreads();
  for (int r = 0; r < Rows && work.first_row + r < args.row_count; ++r) {
    float *to = args.sums + (work.state_index + work.first_row + r) * args.value.size;
    for (int d = block.thread; d < args.value.size; d += kThreads) {
      float sum = 0.0f;
      for (int step = 0; step < steps; ++step) sum += shares[(step * Rows + r) * columns + d];
      to[d] = sum;
    }
  }
  if (block.thread < Rows && work.first_row + block.thread < args.row_count) {
    float *state = args.states + 2 * (work.state_index + work.first_row + block.thread);
    state[0] = block.maxima()[block.thread];
    state[1] = block.sums()[block.thread];
  }
}

/* Keys of a tile: 32, or fewer where those of wide heads would leave no room for a second block. */
inline int tile_keys_of(const mo_decode_kernel_args &args, int element) {
  const int row = row_bytes(chunks_of(args.key.size, element)) + row_bytes(chunks_of(args.value.size, element));
  int keys = kMostKeys;
  while (keys > kFewestKeys && static_cast<size_t>(keys * row) > kTileBytes) keys /= 2;
  return keys;
}

template <typename S, typename Use>
cudaError_t use_kernel(const mo_decode_kernel_args &args, const Use &use) {
  switch (args.block_rows) {
    case 1:
      return MO_DECODE_USE(use, (decode_attention_vector_kernel<S, 1>));
    case 2:
      return MO_DECODE_USE(use, (decode_attention_vector_kernel<S, 2>));
    case 4:
      return MO_DECODE_USE(use, (decode_attention_vector_kernel<S, 4>));
    default:
      if constexpr (sizeof(S) > 1) return MO_DECODE_USE(use, (decode_attention_vector_kernel<S, 8>));
      return cudaErrorInvalidValue; /* the plan gives no more than 4 for it */
  }
}

}  // namespace mo_decode_vector

#endif
