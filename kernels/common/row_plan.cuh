/* kernels/common/row_plan.cuh - kernels that work row by row (norms, embedding, softmax): which threads have which row, and the
 * mean and variance of a row.
 *
 * One row belongs to a team of 32 to 512 threads, and short rows share a block. Column by column a thread has vectors of N
 * elements, the first at lane * N and each further one threads * N behind. Rows of at most 32 vectors can do with a part of a
 * warp ("short rows"): then there is no barrier, no lane idles, and as much is under way as with long rows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_ROW_PLAN_CUH
#define MO_KERNELS_COMMON_ROW_PLAN_CUH

#include "kernels/arch/launch.cuh"
#include "kernels/common/reduce.cuh"
#include "kernels/common/rows.h"

/* Threads of a row at most: up to 128 registers each, and launch bounds that say one block is enough, or ptxas saves some and
 * spills. */
constexpr int mo_row_max_threads = 512;
constexpr int mo_row_block_threads =
    128; /* short rows share a block up to this: enough blocks per multiprocessor, few idle lanes */
constexpr int mo_row_max_vectors = 8;                 /* of a row that a thread keeps in registers */
constexpr int mo_row_in_flight = 4;                   /* vectors of each operand that a thread has under way */
constexpr int mo_row_slots = mo_row_max_threads / 32; /* floats of shared memory that the reductions of a row need */
constexpr int mo_short_row_vectors = 32;              /* short rows have at most these */
constexpr int mo_short_rows = 4;                      /* rows that a thread has a vector of */

/* ---- Launchers ---- */

struct mo_row_plan {
  dim3 grid, block; /* block.x threads for each of block.y rows */
  int threads;      /* of a row */
  size_t slot_bytes;
};

/* `vectors`: of a row. About two for a thread, so that loads are in flight. */
inline mo_row_plan mo_plan_rows(int64_t rows, int64_t vectors) {
  int threads = 32;
  while (threads < mo_row_max_threads && vectors > 2 * threads) threads *= 2;
  const int in_block = threads < mo_row_block_threads ? mo_row_block_threads / threads : 1;
  return {dim3(static_cast<unsigned>((rows + in_block - 1) / in_block)),
          dim3(static_cast<unsigned>(threads), static_cast<unsigned>(in_block)), threads,
          static_cast<size_t>(in_block) * mo_row_slots * sizeof(float)};
}

struct mo_short_row_plan {
  dim3 grid, block;
  int lanes; /* of a row, a power of two */
};

inline mo_short_row_plan mo_plan_short_rows(int64_t rows, int64_t vectors) {
  int lanes = 1;
  while (lanes < vectors) lanes *= 2;
  const int64_t in_block = mo_row_block_threads / lanes * mo_short_rows;
  return {dim3(static_cast<unsigned>((rows + in_block - 1) / in_block)), dim3(mo_row_block_threads), lanes};
}

/* ---- Which thread has what ---- */

/* The threads of one row, as one of them sees them. */
struct mo_row_team {
  int threads, lane;
  int64_t row;  /* may lie past the last: surplus threads take part in the barriers, and neither load nor store */
  float *slots; /* shared memory of this row */

  template <typename Operation>
  __device__ __forceinline__ float reduce(float value) const {
    return mo_reduce_row<Operation>(value, lane, threads, slots);
  }
};

__device__ __forceinline__ mo_row_team mo_row_team_of_thread() {
  return {static_cast<int>(blockDim.x), static_cast<int>(threadIdx.x),
          static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y, mo_shared_memory<float>() + threadIdx.y * mo_row_slots};
}

/* Of short rows a thread has the vector at `column` of first_row, first_row + apart, ..., mo_short_rows in all. */
struct mo_short_row_place {
  int column, apart;
  int64_t first_row;
};

template <int N>
__device__ __forceinline__ mo_short_row_place mo_short_row_place_of(int lanes) {
  const int lane = static_cast<int>(threadIdx.x) % 32, apart = 32 / lanes; /* rows side by side in a warp */
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * (mo_row_block_threads / 32) + static_cast<int>(threadIdx.x) / 32;
  return {lane % lanes * N, apart, warp * apart * mo_short_rows + lane / lanes};
}

/* ---- Mean and variance: two passes, the second over distances from the mean ---- */

struct mo_row_moments {
  float mean, variance;
};

template <int N>
__device__ __forceinline__ float mo_add_values(float total, const float (&values)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) total += values[i];
  return total;
}

template <int N>
__device__ __forceinline__ float mo_add_squares(float squares, const float (&values)[N], float mean) {
#pragma unroll
  for (int i = 0; i < N; ++i) squares += (values[i] - mean) * (values[i] - mean);
  return squares;
}

/* The same for vectors that lie at `column` and every `step` behind it; those at and past `end` are 0 and do not count. */
template <int N, int Vectors>
__device__ __forceinline__ float mo_add_values(float total, const float (&values)[Vectors][N]) {
#pragma unroll
  for (int v = 0; v < Vectors; ++v) total = mo_add_values<N>(total, values[v]);
  return total;
}

template <int N, int Vectors, typename Index>
__device__ __forceinline__ float mo_add_squares(float squares, const float (&values)[Vectors][N], float mean, Index column,
                                                Index step, Index end) {
#pragma unroll
  for (int v = 0; v < Vectors; ++v) {
    if (column + v * step < end) squares = mo_add_squares<N>(squares, values[v], mean);
  }
  return squares;
}

/* Of a row in registers. Without subtract_mean the mean is 0, and the variance the mean square. */
template <int N, int Vectors>
__device__ __forceinline__ mo_row_moments mo_moments_of_values(const mo_row_team &team, const float (&values)[Vectors][N],
                                                               int end, float inverse_columns, bool subtract_mean) {
  const float total = mo_add_values<N, Vectors>(0.0f, values);
  const float mean = subtract_mean ? team.reduce<mo_sum>(total) * inverse_columns : 0.0f;
  const float squares = mo_add_squares<N, Vectors>(0.0f, values, mean, team.lane * N, team.threads * N, end);
  return {mean, team.reduce<mo_sum>(squares) * inverse_columns};
}

/* Of a row that is read again for each pass: load(column, values) gives the vectors at `column` and every threads * N behind.
 */
template <int N, typename Load>
__device__ __forceinline__ mo_row_moments mo_moments_of_reads(const mo_row_team &team, int64_t end, float inverse_columns,
                                                              bool subtract_mean, const Load &load) {
  const int64_t step = static_cast<int64_t>(team.threads) * N, first = team.lane * N;
  float values[mo_row_in_flight][N];
  float total = 0.0f, squares = 0.0f;
  for (int64_t column = first; subtract_mean && column < end; column += mo_row_in_flight * step) {
    load(column, values);
    total = mo_add_values<N, mo_row_in_flight>(total, values);
  }
  const float mean = subtract_mean ? team.reduce<mo_sum>(total) * inverse_columns : 0.0f;
  for (int64_t column = first; column < end; column += mo_row_in_flight * step) {
    load(column, values);
    squares = mo_add_squares<N, mo_row_in_flight>(squares, values, mean, column, step, end);
  }
  return {mean, team.reduce<mo_sum>(squares) * inverse_columns};
}

#endif
