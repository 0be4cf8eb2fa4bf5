/* kernels/attention/reduced_mma.cuh - reduced attention weights of 16-bit types on the tensor cores (mma.sync, ldmatrix,
 * cp.async). What is computed, and what the attention kernel has left for it: kernels/attention_reduced.cu.
 *
 * 64 rows x 64 keys a block, 32 x 32 a warp: a fragment of Q serves four products, one of K two, and sums and scores of a head
 * mean leave room in 128 registers (32 x 64 a warp spilled). The head is gone through in pieces of 32 columns, in a ring of
 * three cp.async stages: one instance serves every head_dim (the last piece is padded with zeros), 30 KiB of shared memory do
 * for any (column sum: up to 55), and a product is summed in the order of the attention kernel, so that scores equal those the
 * row's maximum was taken from. For the column sum the keys stay in shared memory.
 *
 * Bytes: the destination once, in lines of 128 bytes a warp where the field's rows begin at such a line; 8 per row and head of
 * statistics; Q and K again for every tile, mostly from L2. Tiles behind a causal mask or outside a window are not loaded.
 *
 * Traps: a row without visible keys has weight 1 / Sk everywhere, also in tiles that are spared: such rows are counted apart.
 * Rows past the end are zeros times K, which is NaN where K is infinite: they are left out, not added.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ATTENTION_REDUCED_MMA_CUH
#define MO_KERNELS_ATTENTION_REDUCED_MMA_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/attention/score.cuh"
#include "kernels/attention/tile.cuh"
#include "kernels/attention/weights.cuh"

namespace mo_attention_reduced_mma {

constexpr int kWarpsAlongRows = 2, kWarpsAlongKeys = 2;
constexpr int kWarps = kWarpsAlongRows * kWarpsAlongKeys;
constexpr int kThreads = 32 * kWarps;
constexpr int kWarpRows = 32, kWarpKeys = 32;
constexpr int kRows = kWarpsAlongRows * kWarpRows;
constexpr int kKeys = kWarpsAlongKeys * kWarpKeys; /* 128 bytes of 16-bit weights */
constexpr int kColumns = 32;                       /* of the head, a piece */
constexpr int kStride = 40;                        /* elements from row to row of a piece */
constexpr int kStages = 3;                         /* one in use, two on their way */
constexpr int kStagingStride = kKeys + 4;          /* floats */
constexpr int kRowPiece = kRows * kStride;
constexpr int kKeyPiece = kKeys * kStride;
constexpr int kMinBlocks = 3; /* a multiprocessor: 168 registers */
/* The head mean keeps sums beside scores, and looks pages up: with 168 registers it spilled 200 bytes. */
constexpr int kHeadMeanMinBlocks = 2;

constexpr size_t kRowRingBytes = static_cast<size_t>(kStages) * kRowPiece * 2;
constexpr size_t kRingBytes = kRowRingBytes + static_cast<size_t>(kStages) * kKeyPiece * 2;
static_assert(kRingBytes >= sizeof(float) * kRows * kStagingStride, "the head mean leaves through the ring");
static_assert(kRowRingBytes >= sizeof(float) * (kWarpsAlongRows * kKeys + kWarps), "the column sum through that of Q");

/* Rows and pairs of neighbouring keys in a thread's fragments: row r is r / 2 * 16 + r % 2 * 8 + lane / 4 of the warp's. */
constexpr int kThreadRows = 4, kThreadPairs = kWarpKeys / 8;

/* What a thread holds of its warp's 32 x 32 tile: [r / 2][pair][r % 2 * 2 + which of the pair]. */
typedef float Fragments[2][kThreadPairs][4];

struct Pass {
  int64_t head, first_row; /* of the block */
};

/* Whether all passes take the same keys. */
enum class Keys { change, stay };

/* Weights of 64 rows for the 64 keys from first_key on, pass after pass. */
template <typename T, Keys KeysDo>
struct Weights {
  const mo_attention_kernel_args &args;
  const mo_sequence<2> sequence;
  const int64_t batch, first_key;
  const int pieces;
  const int thread, lane;
  const int warp_row, warp_key; /* where this warp's part of the tile begins */
  T *shared_rows, *shared_keys;

  __device__ __forceinline__ Weights(const mo_attention_kernel_args &a, mo_sequence<2> s, int64_t b, int64_t key)
      : args(a),
        sequence(s),
        batch(b),
        first_key(key),
        pieces((a.head_dim + kColumns - 1) / kColumns),
        thread(static_cast<int>(threadIdx.x)),
        lane(thread % 32),
        warp_row(thread / 32 / kWarpsAlongKeys * kWarpRows),
        warp_key(thread / 32 % kWarpsAlongKeys * kWarpKeys),
        shared_rows(mo_shared_memory<T>()),
        shared_keys(shared_rows + kStages * kRowPiece) {}

  __device__ __forceinline__ int block_row(int r) const { return warp_row + r / 2 * 16 + r % 2 * 8 + lane / 4; }

  /* First and one past the last of the selected rows that can see any of the keys; there may be none. */
  __device__ __forceinline__ int64_t first_row_that_sees() const {
    const int64_t row = first_key - sequence.last_distance(), first = sequence.first_selected_row();
    return row > first ? row : first;
  }
  __device__ __forceinline__ int64_t end_of_rows_that_see() const {
    if (first_key >= sequence.key_limit()) return 0;
    const int64_t end = first_key + kKeys - sequence.first_distance(), count = sequence.query_count();
    return end < count ? end : count;
  }

  __device__ __forceinline__ T *key_piece(int slot, int piece) const {
    return shared_keys + (KeysDo == Keys::stay ? piece : slot) * kKeyPiece;
  }
  __device__ __forceinline__ void start(int slot, int piece, bool with_keys, const Pass &pass) const {
    const int column = piece * kColumns;
    const T *query = static_cast<const T *>(args.query) + batch * args.query_strides[0] + pass.head * args.query_strides[1] +
                     sequence.query_first() * args.query_strides[2];
    mo_start_tile<kRows, kColumns, kStride, kThreads>(shared_rows + slot * kRowPiece, query + column, args.query_strides[2],
                                                      pass.first_row, sequence.query_count(), args.head_dim - column);
    if (!with_keys) return;
    const int64_t kv_head = pass.head / (args.heads / args.key_value_heads);
    if (args.cached) { /* paged; quantised ones do not come here */
      mo_start_cached_tile<kKeys, kColumns, kStride, kThreads>(key_piece(slot, piece), args, args.key, args.key_strides, false,
                                                               batch, kv_head, first_key, sequence.key_limit(), column,
                                                               args.head_dim - column);
      return;
    }
    const T *key = static_cast<const T *>(args.key) + batch * args.key_strides[0] + kv_head * args.key_strides[1] +
                   sequence.key_first() * args.key_strides[2];
    mo_start_tile<kKeys, kColumns, kStride, kThreads>(key_piece(slot, piece), key + column, args.key_strides[2], first_key,
                                                      sequence.key_limit(), args.head_dim - column);
  }

  __device__ __forceinline__ void multiply(int slot, int piece, Fragments &s) const {
    const T *rows = shared_rows + slot * kRowPiece + warp_row * kStride;
    const T *keys = key_piece(slot, piece) + warp_key * kStride;
#pragma unroll
    for (int k = 0; k < kColumns / 16; ++k) {
      uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) mo_load_rows(a[m], rows + m * 16 * kStride + k * 16, kStride, lane);
#pragma unroll
      for (int n = 0; n < kWarpKeys / 16; ++n) {
        uint32_t b[4];
        mo_load_keys(b, keys + n * 16 * kStride + k * 16, kStride, lane);
#pragma unroll
        for (int m = 0; m < 2; ++m) mo_multiply_keys<T>(s[m][2 * n], s[m][2 * n + 1], a[m], b);
      }
    }
  }

  /* Statistics of this thread's rows. Rows without visible keys are counted in `dead`; they, and rows past the end, get 0 and
   * 0, which makes their weights 0. */
  __device__ __forceinline__ void load_statistics(const Pass &pass, mo_row_statistics (&rows)[kThreadRows],
                                                  int (&dead)[kThreadRows]) const {
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
      const int64_t row = pass.first_row + block_row(r);
      rows[r] = mo_row_statistics{0.0f, 0.0f};
      if (row < sequence.query_count()) rows[r] = *mo_statistics_of(args, batch, pass.head, row);
      if (rows[r].maximum == -INFINITY) {
        ++dead[r];
        rows[r] = mo_row_statistics{0.0f, 0.0f};
      }
    }
  }

  /* Products become weights. */
  __device__ __forceinline__ void finish(const Pass &pass, const mo_row_statistics (&rows)[kThreadRows], Fragments &s) const {
    const mo_score_rules<2> rules(args, sequence, batch, pass.head);
    const int64_t top = pass.first_row + warp_row, left = first_key + warp_key, count = sequence.query_count();
    const bool plain = rules.tile_is_plain(top, top + kWarpRows - 1, left, left + kWarpKeys - 1);
    /* Key after key, so that few addresses of masks live at a time. */
#pragma unroll
    for (int n = 0; n < kThreadPairs; ++n) {
#pragma unroll
      for (int which = 0; which < 2; ++which) {
#pragma unroll
        for (int r = 0; r < kThreadRows; ++r) {
          const int64_t row = pass.first_row + block_row(r);
          float &x = s[r / 2][n][r % 2 * 2 + which];
          float weight = 0.0f;
          if (row < count) {
            const float score = plain ? x * rules.scale_log2 : rules.score(x, row, left + n * 8 + lane % 4 * 2 + which);
            weight = mo_exp2(score - rows[r].maximum) * rows[r].inverse_sum;
          }
          x = weight;
        }
      }
    }
  }

  /* where(i) is the i-th pass. add(weights) gets its weights, with those of rows without visible keys left out and such rows
   * counted in `dead`. */
  template <typename Where, typename Add>
  __device__ __forceinline__ void for_passes(int64_t count, int (&dead)[kThreadRows], Where where, Add add) const {
    int64_t next = 0; /* the pass and the piece of it that are started next */
    int next_piece = 0, next_slot = 0;
    auto start_next = [&] {
      if (next < count) {
        start(next_slot, next_piece, KeysDo == Keys::change || next == 0, where(next));
        next_slot = next_slot + 1 == kStages ? 0 : next_slot + 1;
        if (++next_piece == pieces) {
          next_piece = 0;
          ++next;
        }
      }
      mo_async_commit(); /* empty groups at the end keep the count */
    };
#pragma unroll
    for (int stage = 0; stage < kStages - 1; ++stage) start_next();
    int slot = 0;
    for (int64_t i = 0; i < count; ++i) {
      const Pass pass = where(i);
      mo_row_statistics rows[kThreadRows];
      load_statistics(pass, rows, dead);
      Fragments s = {};
      for (int piece = 0; piece < pieces; ++piece) {
        mo_async_wait<kStages - 2>();
        __syncthreads(); /* this piece is there for all, and all have left the slot that is filled next */
        start_next();
        /* Where only the last few rows are wanted, most warps have none. */
        if (pass.first_row + warp_row < sequence.query_count()) multiply(slot, piece, s);
        slot = slot + 1 == kStages ? 0 : slot + 1;
      }
      finish(pass, rows, s);
      add(s);
    }
    mo_async_wait<0>();
    __syncthreads();
  }
};

/* Behind the rings. */
constexpr size_t kSequenceBytes = mo_sequence<2>::pairs * 16;

__device__ __forceinline__ mo_sequence<2> place_of_sequence(const mo_attention_kernel_args &args) {
  return {reinterpret_cast<int64_t *>(mo_shared_memory<char>() + args.sequence_at)};
}

/* Head mean. grid: (key tiles, row tiles, batch); a pass is a head. */
template <typename T>
__global__ void __launch_bounds__(kThreads, kHeadMeanMinBlocks) attention_head_mean_mma_kernel(mo_attention_kernel_args args) {
  const int64_t batch = blockIdx.z, first_key = static_cast<int64_t>(blockIdx.x) * kKeys;
  const int64_t count = mo_slot_count(args);
  const mo_sequence<2> sequence = place_of_sequence(args);
  if (threadIdx.x == 0) mo_write_sequence(args, batch, sequence);
  __syncthreads();
  const int64_t first_row = sequence.first_selected_row() + static_cast<int64_t>(blockIdx.y) * kRows;
  if (first_row >= sequence.query_count() || first_key >= sequence.key_count()) return;
  const Weights<T, Keys::change> weights(args, sequence, batch, first_key);
  Fragments sums = {};
  int dead_heads[kThreadRows] = {};
  auto where = [&](int64_t slot) { return Pass{mo_slot_head(args, slot), first_row}; };
  if (first_row < weights.end_of_rows_that_see() && first_row + kRows > weights.first_row_that_sees()) {
    weights.for_passes(count, dead_heads, where, [&](const Fragments &s) {
#pragma unroll
      for (int n = 0; n < kThreadPairs; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[0][n][i] += s[0][n][i];
          sums[1][n][i] += s[1][n][i];
        }
      }
    });
  } else { /* zeros, but for rows without visible keys */
    for (int64_t slot = 0; slot < count; ++slot) {
      mo_row_statistics rows[kThreadRows];
      weights.load_statistics(where(slot), rows, dead_heads);
    }
  }

  /* Through shared memory, so that a warp writes rows of the tile whole. */
  float *staging = mo_shared_memory<float>();
  const float uniform = 1.0f / static_cast<float>(sequence.key_count()), heads = static_cast<float>(count);
#pragma unroll
  for (int r = 0; r < kThreadRows; ++r) {
    float *row = staging + weights.block_row(r) * kStagingStride + weights.warp_key + weights.lane % 4 * 2;
    const float share = static_cast<float>(dead_heads[r]) * uniform;
#pragma unroll
    for (int n = 0; n < kThreadPairs; ++n) {
#pragma unroll
      for (int which = 0; which < 2; ++which) row[n * 8 + which] = (sums[r / 2][n][r % 2 * 2 + which] + share) / heads;
    }
  }
  __syncthreads();
  const int64_t left = sequence.key_count() - first_key, keys = left < kKeys ? left : kKeys;
  for (int r = weights.thread / 32; r < kRows && first_row + r < sequence.query_count(); r += kWarps) {
    const int64_t slot_row = first_row + r - sequence.first_weight_row();
    mo_store_weight_row(args, batch * args.weights_strides[0] + slot_row * args.weights_strides[2] + first_key, keys,
                        staging + r * kStagingStride, weights.lane);
  }
}

/* Column sum. grid: (key tiles, head slots, batch); a pass is a tile of rows. */
template <typename T>
__global__ void __launch_bounds__(kThreads, kMinBlocks) attention_column_sum_mma_kernel(mo_attention_kernel_args args) {
  const int64_t batch = blockIdx.z, first_key = static_cast<int64_t>(blockIdx.x) * kKeys;
  const int64_t head = mo_slot_head(args, blockIdx.y);
  const mo_sequence<2> sequence = place_of_sequence(args);
  if (threadIdx.x == 0) mo_write_sequence(args, batch, sequence);
  __syncthreads();
  if (sequence.query_count() == 0 || first_key >= sequence.key_count()) return;
  const Weights<T, Keys::stay> weights(args, sequence, batch, first_key);
  const int64_t first_row = weights.first_row_that_sees(), end = weights.end_of_rows_that_see();
  const int64_t tiles = first_row < end ? (end - first_row + kRows - 1) / kRows : 0;
  float sums[kThreadPairs][2] = {};
  int unused[kThreadRows] = {}; /* rows without visible keys are counted over all rows, below */
  weights.for_passes(
      tiles, unused,
      [&](int64_t tile) {
        return Pass{head, first_row + tile * kRows};
      },
      [&](const Fragments &s) {
#pragma unroll
        for (int n = 0; n < kThreadPairs; ++n) {
#pragma unroll
          for (int which = 0; which < 2; ++which) {
            sums[n][which] += (s[0][n][which] + s[0][n][which + 2]) + (s[1][n][which] + s[1][n][which + 2]);
          }
        }
      });

  int64_t dead_rows = 0;
  for (int64_t row = sequence.first_selected_row() + weights.thread; row < sequence.query_count(); row += kThreads) {
    dead_rows += mo_statistics_of(args, batch, head, row)->maximum == -INFINITY ? 1 : 0;
  }

  /* The eight rows of a fragment, then the warps that share a key, in order. */
  float *shares = mo_shared_memory<float>(), *dead_shares = shares + kWarpsAlongRows * kKeys;
#pragma unroll
  for (int n = 0; n < kThreadPairs; ++n) {
#pragma unroll
    for (int which = 0; which < 2; ++which) {
      float sum = sums[n][which];
#pragma unroll
      for (int offset = 4; offset < 32; offset *= 2) sum += __shfl_xor_sync(mo_full_warp, sum, offset);
      if (weights.lane < 4) {
        shares[weights.warp_row / kWarpRows * kKeys + weights.warp_key + n * 8 + weights.lane * 2 + which] = sum;
      }
    }
  }
  const float dead_of_warp = mo_reduce_warp<mo_sum>(static_cast<float>(dead_rows)); /* exact up to 2^24 rows */
  if (weights.lane == 0) dead_shares[weights.thread / 32] = dead_of_warp;
  __syncthreads();
  const int64_t key = first_key + weights.thread;
  if (weights.thread < kKeys && key < sequence.key_count()) {
    float sum = 0.0f, dead = 0.0f;
#pragma unroll
    for (int w = 0; w < kWarpsAlongRows; ++w) sum += shares[w * kKeys + weights.thread];
#pragma unroll
    for (int w = 0; w < kWarps; ++w) dead += dead_shares[w];
    mo_store_one(args.weights, args.weights_dtype,
                 batch * args.weights_strides[0] + static_cast<int64_t>(blockIdx.y) * args.weights_strides[1] + key,
                 sum + dead / static_cast<float>(sequence.key_count()));
  }
}

template <typename T>
cudaError_t launch(const mo_attention_kernel_args &given, cudaStream_t stream) {
  mo_attention_kernel_args args = given;
  const unsigned key_tiles = static_cast<unsigned>((args.key_length + kKeys - 1) / kKeys);
  const unsigned batch = static_cast<unsigned>(args.batch);
  if (args.weights_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN) {
    const int64_t rows = args.weight_rows > 0 ? args.weight_rows : args.query_length;
    const dim3 grid(key_tiles, static_cast<unsigned>((rows + kRows - 1) / kRows), batch);
    args.sequence_at = kRingBytes;
    return MO_LAUNCH(attention_head_mean_mma_kernel<T>, grid, dim3(kThreads), kRingBytes + kSequenceBytes, stream, args);
  }
  const size_t pieces = static_cast<size_t>((args.head_dim + kColumns - 1) / kColumns);
  const dim3 grid(key_tiles, static_cast<unsigned>(mo_slot_count(args)), batch);
  args.sequence_at = kRowRingBytes + pieces * kKeyPiece * 2;
  return MO_LAUNCH(attention_column_sum_mma_kernel<T>, grid, dim3(kThreads), args.sequence_at + kSequenceBytes, stream, args);
}

}  // namespace mo_attention_reduced_mma

#endif
