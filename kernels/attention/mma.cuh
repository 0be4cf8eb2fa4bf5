/* kernels/attention/mma.cuh - attention for 16-bit types on the tensor cores of sm_80 and newer (mma.sync, ldmatrix, cp.async).
 *
 * One block computes 64 query rows of one (batch, head): four warps of 16 rows. Key and value tiles come in through two
 * buffers: while one is used the next is under way. Products are float32; P is rounded to the storage type for P V, as every
 * fused kernel does.
 *
 * Without weights: online softmax, bytes 2 D (Sq + Sk) per head and nothing of size Sq x Sk.
 * With weights, each weight is written once, normalised, all lanes of a warp on one row:
 *   slab:     all scores of the 64 rows fit into shared memory (float32): one pass over QK, then the weights, a row at a time;
 *   two-pass: first maximum and sum of every row (QK only), then QK again, weights through a staging tile, and PV; 64 keys of
 *             a row leave together: 256 bytes of float32, 128 of a 16-bit type.
 *
 * So lines of 128 bytes are written whole where the field's rows begin at one. Elsewhere a line that holds the end of what
 * leaves together is completed by another store. Vectors have 16 bytes wherever a row begins; up to 15 bytes in front of the
 * first, and behind the last, go element by element.
 *
 * Tiles of keys that no row of the block sees (causal masks, windows, key_lengths) are neither loaded nor computed, their
 * weights are written as zeros. Keys hidden within a visited tile, and those a mask tensor hides, are computed and come out as
 * exactly 0.
 *
 * Keys and values may lie in a cache: then every 16-byte copy finds its page in the block table, and codes of quantised storage
 * arrive as they are, in the second half of their row of the tile, and are widened there before the tile is used (the copies of
 * the next one are under way meanwhile). One branch a tile, none in the loops over it.
 *
 * Selected heads and last n rows: in the same launch, a block with no selected row of a selected head runs without weights.
 * Head mean and column sum are made from the rows' statistics by attention_reduced.cu.
 *
 * Traps: a row without visible keys has maximum -infinity; its result is the plain mean of V, which a separate pass computes so
 * that values behind key_lengths, read for it, cannot reach other rows (0 * NaN). Shared rows are padded by 16 bytes, which
 * makes the eight addresses of an ldmatrix fall into different banks.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_MMA_CUH
#define MO_KERNELS_ATTENTION_MMA_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/attention/score.cuh"
#include "kernels/attention/tile.cuh"
#include "kernels/attention/weights.cuh"

namespace mo_attention_mma {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = 16 * kWarps;

constexpr int kStoreKeys = 64; /* of a row that leave together in two passes: 128 bytes of 16-bit weights, 256 of float32 */

enum class Weights { none, slab, two_pass };

/* Tuning in one place. Keys per tile: 64 keeps QK and PV at eight independent mma chains a warp; with wide heads 32, so that
 * two buffers of K and V and the query fit the 99 KiB of the smaller cards up to D = 192. */
template <int Dim>
struct Tile {
  static constexpr int keys = Dim <= 128 ? 64 : 32;
  static constexpr int stride = Dim + 8; /* elements; 16 bytes of padding */
  static constexpr int query_elements = kRows * stride;
  static constexpr int buffer_elements = keys * stride; /* of K or of V */
  static constexpr int tiles_per_store = kStoreKeys / keys;
  static constexpr int staging_stride = kStoreKeys + 4; /* floats */
  static constexpr size_t fixed_bytes = (query_elements + 4 * buffer_elements) * 2;
  static constexpr size_t staging_bytes = kRows * staging_stride * 4;
  static constexpr int step = stride / 4; /* int64 from padding to padding of the query's rows */
};

/* Floats per slab row: padded by 4 so that the eight rows of a fragment meet different banks. */
__host__ __device__ __forceinline__ int64_t slab_stride(int64_t key_length) { return (key_length + 63) / 64 * 64 + 4; }

template <typename T, int Dim>
struct Block {
  using Shape = Tile<Dim>;
  const mo_attention_kernel_args &args;
  const mo_sequence<Shape::step> sequence; /* in the padding of the query's rows 1 to 4 */
  const mo_score_rules<Shape::step> rules;
  int batch, head, first_row;
  T *shared_query, *shared_keys, *shared_values;
  int *shared_flag;
  float *shared_scores; /* slab or staging */
  int thread, warp, lane, g, t;
  float output[Dim / 8][4];
  float maximum[2], sum[2]; /* of rows g and g + 8 of this warp */

  static __device__ __forceinline__ mo_sequence<Shape::step> place_of_sequence() {
    return {reinterpret_cast<int64_t *>(mo_shared_memory<T>() + Shape::stride + Dim)};
  }

  __device__ __forceinline__ Block(const mo_attention_kernel_args &a, int b, int h, int row)
      : args(a), sequence(place_of_sequence()), rules(a, sequence, b, h), batch(b), head(h), first_row(row) {
    shared_query = mo_shared_memory<T>();
    shared_keys = shared_query + Shape::query_elements;
    shared_values = shared_keys + 2 * Shape::buffer_elements;
    shared_flag = reinterpret_cast<int *>(shared_query + Dim); /* padding: another 16 bytes, and D = 256 would not fit 99 KiB */
    shared_scores = reinterpret_cast<float *>(shared_values + 2 * Shape::buffer_elements);
    thread = static_cast<int>(threadIdx.x);
    warp = thread / 32;
    lane = thread % 32;
    g = lane / 4;
    t = lane % 4;
  }

  __device__ __forceinline__ int kv_head() const { return head / static_cast<int>(args.heads / args.key_value_heads); }

  /* Row of the query (not of the block) that fragment element i of this thread belongs to. */
  __device__ __forceinline__ int64_t row_of(int i) const { return first_row + warp * 16 + g + (i >= 2 ? 8 : 0); }

  __device__ __forceinline__ void start_query() const {
    const T *query = static_cast<const T *>(args.query) + batch * args.query_strides[0] + head * args.query_strides[1] +
                     sequence.query_first() * args.query_strides[2];
    mo_start_tile<kRows, Dim, Shape::stride, kThreads>(shared_query, query, args.query_strides[2], first_row,
                                                       sequence.query_count(), args.head_dim);
  }
  /* Scales of a tile: those of keys, and behind them those of values. */
  __device__ __forceinline__ float *scales_of(int tile, bool values) const {
    const int keys = Shape::keys * (args.head_dim / args.key_group),
              both = keys + Shape::keys * (args.value_dim / args.value_group);
    return reinterpret_cast<float *>(mo_shared_memory<char>() + args.scales_at) + (tile & 1) * both + (values ? keys : 0);
  }
  __device__ __forceinline__ void start_side(int tile, int limit, bool values) const {
    T *shared = (values ? shared_values : shared_keys) + (tile & 1) * Shape::buffer_elements;
    const void *data = values ? args.value : args.key;
    const int64_t(&strides)[3] = values ? args.value_strides : args.key_strides;
    const int columns = values ? args.value_dim : args.head_dim;
    if (!args.cached) {
      const T *first =
          static_cast<const T *>(data) + batch * strides[0] + kv_head() * strides[1] + sequence.key_first() * strides[2];
      mo_start_tile<Shape::keys, Dim, Shape::stride, kThreads>(shared, first, strides[2], tile * Shape::keys, limit, columns);
      return;
    }
    const bool quantised = args.key_scale.data != nullptr;
    mo_start_cached_tile<Shape::keys, Dim, Shape::stride, kThreads>(shared, args, data, strides, quantised, batch, kv_head(),
                                                                    tile * Shape::keys, limit, 0, columns);
    if (quantised) {
      mo_start_scales<Shape::keys, kThreads>(scales_of(tile, values), args, values ? args.value_scale : args.key_scale,
                                             columns / (values ? args.value_group : args.key_group), batch, kv_head(),
                                             tile * Shape::keys, limit);
    }
  }
  __device__ __forceinline__ void start_keys(int tile, int limit) const { start_side(tile, limit, false); }
  __device__ __forceinline__ void start_values(int tile, int limit) const { start_side(tile, limit, true); }
  __device__ __forceinline__ void widen_side(int tile, bool values) const {
    const int columns = values ? args.value_dim : args.head_dim, group = values ? args.value_group : args.key_group;
    mo_widen_tile<Shape::keys, Dim, Shape::stride, kThreads>(
        (values ? shared_values : shared_keys) + (tile & 1) * Shape::buffer_elements, scales_of(tile, values), columns / group,
        group, args.stored_dtype == MO_DTYPE_INT8);
  }

  /* Calls use(tile) for every tile, with its keys and / or values in shared memory and the next ones on their way. */
  template <bool Keys, bool Values, typename Use>
  __device__ __forceinline__ void for_tiles(int first, int end, int limit, Use use) {
    __syncthreads(); /* nobody still reads the buffers */
    if (first < end) {
      if (Keys) start_keys(first, limit);
      if (Values) start_values(first, limit);
    }
    mo_async_commit(); /* with the query, on the first call */
    for (int tile = first; tile < end; ++tile) {
      mo_async_wait<0>();
      __syncthreads(); /* this tile is there for all, and all have left the other buffer */
      if (tile + 1 < end) {
        if (Keys) start_keys(tile + 1, limit);
        if (Values) start_values(tile + 1, limit);
      }
      mo_async_commit();
      if (args.key_scale.data != nullptr) {
        if (Keys) widen_side(tile, false);
        if (Values) widen_side(tile, true);
        __syncthreads();
      }
      use(tile);
    }
    mo_async_wait<0>();
    __syncthreads();
  }

  /* Scores of this warp's 16 rows with the tile's keys, in log2 units, -infinity where masked. */
  __device__ __forceinline__ void compute_scores(int tile, float (&s)[Shape::keys / 8][4]) const {
    const T *keys = shared_keys + (tile & 1) * Shape::buffer_elements;
#pragma unroll
    for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) s[n][i] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < Dim / 16; ++k) {
      uint32_t a[4];
      mo_load_rows(a, shared_query + warp * 16 * Shape::stride + k * 16, Shape::stride, lane);
#pragma unroll
      for (int n = 0; n < Shape::keys / 16; ++n) {
        uint32_t b[4];
        mo_load_keys(b, keys + n * 16 * Shape::stride + k * 16, Shape::stride, lane);
        mo_multiply_keys<T>(s[2 * n], s[2 * n + 1], a, b);
      }
    }
    const int64_t first_key = tile * Shape::keys;
    if (rules.tile_is_plain(first_row, first_row + kRows - 1, first_key, first_key + Shape::keys - 1)) {
#pragma unroll
      for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) s[n][i] *= rules.scale_log2;
      }
      return;
    }
#pragma unroll
    for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int64_t row = row_of(i);
        s[n][i] = rules.score(s[n][i], row, first_key + n * 8 + 2 * t + i % 2);
      }
    }
  }

  /* Takes the tile into the running maximum and sum (the latter of this lane's keys only); s becomes 2^(s - maximum), and what
   * was summed before must be multiplied by correction. */
  __device__ __forceinline__ void advance_softmax(float (&s)[Shape::keys / 8][4], float (&correction)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float tile_maximum = maximum[half];
#pragma unroll
      for (int n = 0; n < Shape::keys / 8; ++n) tile_maximum = fmaxf(tile_maximum, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      tile_maximum = fmaxf(tile_maximum, __shfl_xor_sync(mo_full_warp, tile_maximum, 1));
      tile_maximum = fmaxf(tile_maximum, __shfl_xor_sync(mo_full_warp, tile_maximum, 2));
      const float shift = tile_maximum == -INFINITY ? 0.0f : tile_maximum;
      correction[half] = mo_exp2(maximum[half] - shift);
      maximum[half] = tile_maximum;
      float tile_sum = 0.0f;
#pragma unroll
      for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          s[n][i] = mo_exp2(s[n][i] - shift);
          tile_sum += s[n][i];
        }
      }
      sum[half] = sum[half] * correction[half] + tile_sum;
    }
  }

  __device__ __forceinline__ void reset_softmax() {
    maximum[0] = maximum[1] = -INFINITY;
    sum[0] = sum[1] = 0.0f;
  }
  /* The sums of the four lanes that share a row. */
  __device__ __forceinline__ void finish_sums() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      sum[half] += __shfl_xor_sync(mo_full_warp, sum[half], 1);
      sum[half] += __shfl_xor_sync(mo_full_warp, sum[half], 2);
      maximum[half] = mo_finished_maximum(maximum[half], sum[half]);
    }
  }

  __device__ __forceinline__ void clear_output() {
#pragma unroll
    for (int n = 0; n < Dim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) output[n][i] = 0.0f;
    }
  }

  /* output += P V for the tile's values. */
  __device__ __forceinline__ void accumulate_output(int tile, const float (&p)[Shape::keys / 8][4]) {
    const T *values = shared_values + (tile & 1) * Shape::buffer_elements;
#pragma unroll
    for (int k = 0; k < Shape::keys / 16; ++k) {
      const uint32_t a[4] = {mo_pack2<T>(p[2 * k][0], p[2 * k][1]), mo_pack2<T>(p[2 * k][2], p[2 * k][3]),
                             mo_pack2<T>(p[2 * k + 1][0], p[2 * k + 1][1]), mo_pack2<T>(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < Dim / 16; ++n) {
        uint32_t b[4];
        mo_load_matrix4<true>(b, values + (k * 16 + lane / 8 % 2 * 8 + lane % 8) * Shape::stride + n * 16 + lane / 16 * 8);
        mo_multiply_keys<T>(output[2 * n], output[2 * n + 1], a, b);
      }
    }
  }

  /* Writes the rows for which want[half] holds, times scale[half], through this warp's own rows of the query's shared memory.
   */
  __device__ __forceinline__ void store_output(const float (&scale)[2], const bool (&want)[2]) {
    T *mine = shared_query + warp * 16 * Shape::stride;
    __syncwarp();
#pragma unroll
    for (int n = 0; n < Dim / 8; ++n) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        *reinterpret_cast<uint32_t *>(mine + (g + 8 * half) * Shape::stride + n * 8 + 2 * t) =
            mo_pack2<T>(output[n][2 * half] * scale[half], output[n][2 * half + 1] * scale[half]);
      }
    }
    /* which of the 16 rows: every quad knows its own two */
    const unsigned low = __ballot_sync(mo_full_warp, want[0] && t == 0), high = __ballot_sync(mo_full_warp, want[1] && t == 0);
    T *out = static_cast<T *>(args.output) + batch * args.output_strides[0] + head * args.output_strides[1] +
             (sequence.query_first() + first_row + warp * 16) * args.output_strides[2];
    const int chunks = (args.value_dim + 7) / 8;
    for (int i = lane; i < 16 * chunks; i += 32) {
      const int row = i / chunks, chunk = i % chunks;
      if (((row < 8 ? low : high) >> (row % 8 * 4) & 1u) == 0) continue;
      mo_store16(out + row * args.output_strides[2] + chunk * 8,
                 *reinterpret_cast<const uint4 *>(mine + row * Shape::stride + chunk * 8));
    }
    __syncwarp();
  }

  /* Rows without visible keys: the mean of all values. `dead` as in store_output's want. */
  __device__ __forceinline__ void store_dead_rows(const bool (&dead)[2]) {
    __syncthreads();
    if (thread == 0) *shared_flag = 0;
    __syncthreads();
    if (dead[0] || dead[1]) *shared_flag = 1;
    __syncthreads();
    if (*shared_flag == 0) return;
    clear_output();
    const int count = static_cast<int>(sequence.key_count());
    for_tiles<false, true>(0, (count + Shape::keys - 1) / Shape::keys, count, [&](int tile) {
      float ones[Shape::keys / 8][4];
#pragma unroll
      for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) ones[n][i] = tile * Shape::keys + n * 8 + 2 * t + i % 2 < count ? 1.0f : 0.0f;
      }
      accumulate_output(tile, ones);
    });
    const float mean = count > 0 ? 1.0f / static_cast<float>(count) : 0.0f;
    const float scale[2] = {mean, mean};
    store_output(scale, dead);
  }

  /* Log-sum-exp and statistics of the rows, whichever are wanted. */
  __device__ __forceinline__ void store_row_results() const {
    if (t != 0) return;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (row_of(2 * half) < sequence.query_count())
        mo_store_row_results(args, sequence, batch, head, row_of(2 * half), maximum[half], sum[half]);
    }
  }

  /* `count` weights of one row from shared memory to the field, by all lanes of this warp. */
  __device__ __forceinline__ void store_weight_row(int64_t slot, int64_t row, int64_t first_key, int64_t count,
                                                   const float *weights) const {
    mo_store_weight_row(args,
                        batch * args.weights_strides[0] + slot * args.weights_strides[1] +
                            (row - sequence.first_weight_row()) * args.weights_strides[2] + first_key,
                        count, weights, lane);
  }

  /* Value of a quad's row, given to the whole warp: row 0..15. */
  __device__ __forceinline__ float of_row(const float (&pair)[2], int row) const {
    return __shfl_sync(mo_full_warp, row < 8 ? pair[0] : pair[1], row % 8 * 4);
  }
};

template <typename T, int Dim>
__device__ __forceinline__ void run_without_weights(Block<T, Dim> &block, int first_tile, int end_tile) {
  using Shape = Tile<Dim>;
  block.reset_softmax();
  block.clear_output();
  block.template for_tiles<true, true>(first_tile, end_tile, static_cast<int>(block.sequence.key_limit()), [&](int tile) {
    float s[Shape::keys / 8][4], correction[2];
    block.compute_scores(tile, s);
    block.advance_softmax(s, correction);
#pragma unroll
    for (int n = 0; n < Dim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) block.output[n][i] *= correction[i / 2];
    }
    block.accumulate_output(tile, s);
  });
  block.finish_sums();
}

/* Weights of rows whose statistics are known, tile after tile through the staging memory; and PV. */
template <typename T, int Dim>
__device__ __forceinline__ void run_second_pass(Block<T, Dim> &block, int64_t slot, int first_tile, int end_tile,
                                                const float (&inverse)[2], const float (&fill)[2]) {
  using Shape = Tile<Dim>;
  float *mine = block.shared_scores + block.warp * 16 * Shape::staging_stride;
  const int tiles = (block.sequence.key_count() + Shape::keys - 1) / Shape::keys;
  auto stage = [&](int tile, const float(&p)[Shape::keys / 8][4]) {
    float *part = mine + tile % Shape::tiles_per_store * Shape::keys;
#pragma unroll
    for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        part[(block.g + (i >= 2 ? 8 : 0)) * Shape::staging_stride + n * 8 + 2 * block.t + i % 2] = p[n][i];
      }
    }
  };
  /* After the last tile of those that leave together. */
  auto store_after = [&](int tile) {
    if ((tile + 1) % Shape::tiles_per_store != 0 && tile + 1 != tiles) return;
    __syncwarp();
    const int64_t first_key = tile / Shape::tiles_per_store * kStoreKeys;
    const int64_t left = block.sequence.key_count() - first_key, count = left < kStoreKeys ? left : kStoreKeys;
    for (int row = 0; row < 16; ++row) {
      const int64_t query_row = block.first_row + block.warp * 16 + row;
      if (query_row >= block.sequence.first_weight_row() && query_row < block.sequence.query_count()) {
        block.store_weight_row(slot, query_row, first_key, count, mine + row * Shape::staging_stride);
      }
    }
    __syncwarp();
  };
  auto fill_tiles = [&](int first, int end) {
    for (int tile = first; tile < end; ++tile) {
      if (tile - first < Shape::tiles_per_store) { /* later ones find it there */
        float p[Shape::keys / 8][4];
#pragma unroll
        for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) p[n][i] = fill[i / 2];
        }
        stage(tile, p);
      }
      store_after(tile);
    }
  };
  block.clear_output();
  fill_tiles(0, first_tile < tiles ? first_tile : tiles);
  block.template for_tiles<true, true>(first_tile, end_tile, static_cast<int>(block.sequence.key_limit()), [&](int tile) {
    float p[Shape::keys / 8][4];
    block.compute_scores(tile, p);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool dead = block.maximum[half] == -INFINITY;
#pragma unroll
      for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          p[n][i] = dead ? fill[half] : mo_exp2(p[n][i] - block.maximum[half]) * inverse[half];
        }
      }
    }
    stage(tile, p);
    store_after(tile);
    block.accumulate_output(tile, p);
  });
  fill_tiles(first_tile < end_tile ? end_tile : (first_tile < tiles ? first_tile : tiles), tiles);
}

/* Scores into the slab in one pass over QK, then the weights row by row, then PV from the slab. */
template <typename T, int Dim>
__device__ __forceinline__ void run_slab(Block<T, Dim> &block, int64_t slot, int first_tile, int end_tile) {
  using Shape = Tile<Dim>;
  const mo_attention_kernel_args &args = block.args;
  const int64_t stride = slab_stride(args.key_length);
  float *mine = block.shared_scores + block.warp * 16 * stride;
  block.reset_softmax();
  block.template for_tiles<true, false>(first_tile, end_tile, static_cast<int>(block.sequence.key_limit()), [&](int tile) {
    float s[Shape::keys / 8][4], correction[2];
    block.compute_scores(tile, s);
#pragma unroll
    for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        mine[(block.g + (i >= 2 ? 8 : 0)) * stride + tile * Shape::keys + n * 8 + 2 * block.t + i % 2] = s[n][i];
      }
    }
    block.advance_softmax(s, correction);
  });
  block.finish_sums();
  __syncwarp();
  const int64_t first_key = first_tile * Shape::keys;
  const int64_t end_key = first_tile < end_tile ? end_tile * Shape::keys : first_key;
  const float uniform = 1.0f / static_cast<float>(block.sequence.key_count());
  for (int row = 0; row < 16; ++row) {
    const float row_maximum = block.of_row(block.maximum, row), row_sum = block.of_row(block.sum, row);
    const bool dead = row_maximum == -INFINITY;
    const float inverse = dead ? 0.0f : 1.0f / row_sum;
    for (int64_t key = block.lane; key < stride - 4; key += 32) {
      float *place = mine + row * stride + key;
      const bool computed = key >= first_key && key < end_key && !dead;
      *place = computed ? mo_exp2(*place - row_maximum) * inverse : dead ? uniform : 0.0f;
    }
    __syncwarp();
    const int64_t query_row = block.first_row + block.warp * 16 + row;
    if (query_row >= block.sequence.first_weight_row() && query_row < block.sequence.query_count()) {
      block.store_weight_row(slot, query_row, 0, block.sequence.key_count(), mine + row * stride);
    }
  }
  __syncwarp();
  block.clear_output();
  block.template for_tiles<false, true>(first_tile, end_tile, static_cast<int>(block.sequence.key_limit()), [&](int tile) {
    float p[Shape::keys / 8][4];
#pragma unroll
    for (int n = 0; n < Shape::keys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        p[n][i] = mine[(block.g + (i >= 2 ? 8 : 0)) * stride + tile * Shape::keys + n * 8 + 2 * block.t + i % 2];
      }
    }
    block.accumulate_output(tile, p);
  });
}

/* Blocks that must fit a multiprocessor: three leave 168 registers, two 255. Left to itself, the compiler squeezes the
 * narrowest heads into 128 for a fourth block, and spills. Two passes over heads of 64 spilled 48 bytes with three. */
template <int Dim, Weights Mode>
constexpr int min_blocks = Dim <= 32 || (Dim <= 64 && Mode != Weights::two_pass) ? 3
                           : Dim <= 128                                          ? 2
                                                                                 : 1;

/* grid: (query blocks, heads, batch) */
template <typename T, int Dim, Weights Mode>
__global__ void __launch_bounds__(kThreads, min_blocks<Dim, Mode>) attention_kernel(mo_attention_kernel_args args) {
  using Shape = Tile<Dim>;
  /* The last rows first: with a causal mask they are the longest, and short ones then fill the end. */
  const int first_row = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows;
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, Block<T, Dim>::place_of_sequence());
  __syncthreads();
  Block<T, Dim> block(args, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y), first_row);
  const int rows = static_cast<int>(block.sequence.query_count());
  if (first_row >= rows) return;
  const int last_row = first_row + kRows < rows ? first_row + kRows - 1 : rows - 1;
  const int first_tile = static_cast<int>(block.rules.first_key(first_row) / Shape::keys);
  const int end_tile = static_cast<int>((block.rules.end_key(last_row) + Shape::keys - 1) / Shape::keys);
  block.start_query();

  int64_t slot = -1;
  if (Mode != Weights::none && last_row >= block.sequence.first_weight_row()) slot = mo_head_slot(args, block.head);
  bool normalised = false;
  float inverse[2] = {0.0f, 0.0f};
  if (Mode == Weights::slab && slot >= 0) {
    run_slab(block, slot, first_tile, end_tile);
    normalised = true;
  } else if (Mode == Weights::two_pass && slot >= 0) {
    block.reset_softmax();
    block.template for_tiles<true, false>(first_tile, end_tile, static_cast<int>(block.sequence.key_limit()), [&](int tile) {
      float s[Shape::keys / 8][4], correction[2];
      block.compute_scores(tile, s);
      block.advance_softmax(s, correction);
    });
    block.finish_sums();
    float fill[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool dead = block.maximum[half] == -INFINITY;
      inverse[half] = dead ? 0.0f : 1.0f / block.sum[half];
      fill[half] = dead ? 1.0f / static_cast<float>(block.sequence.key_count()) : 0.0f;
    }
    run_second_pass(block, slot, first_tile, end_tile, inverse, fill);
    normalised = true;
  } else {
    run_without_weights(block, first_tile, end_tile);
  }

  bool alive[2], dead[2];
  float scale[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const bool exists = block.row_of(2 * half) < block.sequence.query_count();
    dead[half] = exists && block.maximum[half] == -INFINITY;
    alive[half] = exists && !dead[half];
    scale[half] = normalised ? 1.0f : block.sum[half] > 0.0f ? 1.0f / block.sum[half] : 0.0f;
  }
  block.store_row_results();
  block.store_output(scale, alive);
  block.store_dead_rows(dead);
}

template <typename T, int Dim>
cudaError_t launch(const mo_attention_kernel_args &given, size_t shared_bytes_limit, cudaStream_t stream, bool *fits) {
  using Shape = Tile<Dim>;
  mo_attention_kernel_args args = given;
  size_t scale_bytes = 0; /* of two tiles of keys and values */
  if (args.key_scale.data != nullptr) {
    const int groups = args.head_dim / args.key_group + args.value_dim / args.value_group;
    scale_bytes = size_t{2} * Shape::keys * groups * sizeof(float);
  }
  const bool with_weights = args.weights != nullptr && args.weights_reduction == MO_WEIGHTS_REDUCTION_NONE;
  const size_t slab_bytes = Shape::fixed_bytes + static_cast<size_t>(kRows * slab_stride(args.key_length)) * sizeof(float);
  const size_t staged_bytes = Shape::fixed_bytes + Shape::staging_bytes;
  const bool slab = with_weights && slab_bytes + scale_bytes <= shared_bytes_limit;
  args.scales_at = slab ? slab_bytes : with_weights ? staged_bytes : Shape::fixed_bytes;
  const size_t shared = args.scales_at + scale_bytes;
  *fits = shared <= shared_bytes_limit;
  if (!*fits) return cudaSuccess;
  const dim3 grid(static_cast<unsigned>((args.query_length + kRows - 1) / kRows), static_cast<unsigned>(args.heads),
                  static_cast<unsigned>(args.batch));
  if (slab) return MO_LAUNCH((attention_kernel<T, Dim, Weights::slab>), grid, dim3(kThreads), shared, stream, args);
  if (with_weights) return MO_LAUNCH((attention_kernel<T, Dim, Weights::two_pass>), grid, dim3(kThreads), shared, stream, args);
  return MO_LAUNCH((attention_kernel<T, Dim, Weights::none>), grid, dim3(kThreads), shared, stream, args);
}

}  // namespace mo_attention_mma

#endif
