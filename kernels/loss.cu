/* kernels/loss.cu - cross entropy, binary cross entropy, squared error and span loss: one read of the logits.
 *
 * Every loss of a position, or sum of a block, goes to scratch, and one block adds them up in an order that depends on nothing
 * but the shape. Arithmetic is float32; only these last sums are double, because they add up thousands of numbers of one sign.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/loss.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/scan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kMaxThreads = 512; /* of a row: four vectors each are 32 KiB of a row under way */
/* Blocks of that many on a multiprocessor, 64 registers each; ptxas spills with so few for sm_100 and sm_120. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int kRowBlocks = 1;
#else
constexpr int kRowBlocks = 2;
#endif
constexpr int kThreadsPerBlock = 128;      /* short rows share a block up to this */
constexpr int kInFlight = 4;               /* vectors a thread has under way */
constexpr int64_t kSplitVocabulary = 8192; /* the least a part of a row has: enough to outweigh the joining */
constexpr int64_t kMaxSplits = 64;
constexpr int kReduceThreads = 1024;
constexpr int64_t kSumPositions = 8192; /* losses that one block adds up in about a microsecond */
constexpr int64_t kMaxSumBlocks = 256;
constexpr int kMapThreads = 256;            /* of the elementwise kernel and of small maps over positions */
constexpr int64_t kMaxElementBlocks = 1024; /* sums of blocks that the last block adds up; fixed, so that the result is, too */

/* ---- Sums of exponentials ---- */

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;

/* The sum over what was seen of 2^(x log2(e) - scaled), scaled = maximum * log2(e): one fused multiply-add and one ex2 per
 * value, because at two bytes a value the instructions are what limits the speed. What scaled is off by, rounded as it is, is
 * known and put right at the end (log_of). Where the maximum is infinite 0 takes its place: infinity minus itself is NaN. */
struct exp_sum {
  float maximum, sum;
};

__device__ __forceinline__ float base_of(float maximum) { return fabsf(maximum) == INFINITY ? 0.0f : maximum; }
__device__ __forceinline__ float scaled_of(float maximum) { return base_of(maximum) * kLog2E; }

/* Far from 0 the product is off by whole powers of two, and at last overflows; there the sum is that of 2^((x - maximum)
 * log2(e)), an instruction more, and nothing is off. */
constexpr float kFar = 0x1p20f;
__device__ __forceinline__ bool is_far(float maximum) { return fabsf(base_of(maximum)) > kFar; }

/* By how much, in powers of two, the sum's base is above maximum * log2(e). */
__device__ __forceinline__ float excess_of(float maximum) {
  return is_far(maximum) ? 0.0f : fmaf(-base_of(maximum), kLog2E, scaled_of(maximum));
}

/* log sum exp(x - base) */
__device__ __forceinline__ float log_of(exp_sum row) { return logf(row.sum) + excess_of(row.maximum) * kLn2; }

/* Takes a sum from one maximum to a larger one. While the maximum is -infinity the sum is 0 (or NaN) and has no base. */
__device__ __forceinline__ float rebase(float sum, float from, float to) {
  if (from == -INFINITY || from == to) return sum;
  if (is_far(from) || is_far(to)) {
    return sum * mo_exp2(fmaf(base_of(from) - base_of(to), kLog2E, excess_of(from) - excess_of(to)));
  }
  return sum * mo_exp2(scaled_of(from) - scaled_of(to));
}

__device__ __forceinline__ exp_sum join(exp_sum a, exp_sum b) {
  const float maximum = fmaxf(a.maximum, b.maximum);
  return {maximum, rebase(a.sum, a.maximum, maximum) + rebase(b.sum, b.maximum, maximum)};
}

/* One rescaling for Groups x N values; the groups' sums do not wait for one another. NaN never is a maximum; it comes through
 * in the sum. */
template <int Groups, int N>
__device__ __forceinline__ void add_values(exp_sum &total, const float (&values)[Groups][N]) {
  float maximum = total.maximum;
#pragma unroll
  for (int g = 0; g < Groups; ++g) {
#pragma unroll
    for (int i = 0; i < N; ++i) maximum = fmaxf(maximum, values[g][i]);
  }
  total.sum = rebase(total.sum, total.maximum, maximum);
  total.maximum = maximum;
  const float scaled = scaled_of(maximum), base = base_of(maximum);
  if (is_far(maximum)) {
#pragma unroll
    for (int g = 0; g < Groups; ++g) {
#pragma unroll
      for (int i = 0; i < N; ++i) total.sum += mo_exp2((values[g][i] - base) * kLog2E);
    }
    return;
  }
#pragma unroll
  for (int g = 0; g < Groups; ++g) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < N; ++i) sum += mo_exp2(fmaf(values[g][i], kLog2E, -scaled));
    total.sum += sum;
  }
}

/* The thread's share of `count` values: unaligned ends one by one, between them kInFlight vectors at a time. */
template <typename T>
__device__ __forceinline__ exp_sum sum_contiguous(const T *row, int64_t count, int lane, int threads) {
  constexpr int N = mo_vector_width<T>;
  exp_sum total = {-INFINITY, 0.0f};
  int64_t head = static_cast<int64_t>((16 - reinterpret_cast<uintptr_t>(row) % 16) % 16 / sizeof(T));
  if (head > count) head = count;
  const int64_t vectors = (count - head) / N, tail = head + vectors * N;
  const T *body = row + head;
  for (int64_t v = lane; v < vectors; v += static_cast<int64_t>(kInFlight) * threads) {
    float values[kInFlight][N];
#pragma unroll
    for (int u = 0; u < kInFlight; ++u) {
      if (v + u * threads < vectors) {
        mo_load_vector(body + (v + u * threads) * N, values[u]);
      } else {
#pragma unroll
        for (int i = 0; i < N; ++i) values[u][i] = -INFINITY;
      }
    }
    add_values(total, values);
  }
  if (lane < head) add_values<1, 1>(total, {{mo_to_float(row[lane])}});
  if (tail + lane < count) add_values<1, 1>(total, {{mo_to_float(row[tail + lane])}}); /* fewer than N, which is below 32 */
  return total;
}

template <typename T>
__device__ __forceinline__ exp_sum sum_strided(const T *row, int64_t count, int64_t stride, int lane, int threads) {
  exp_sum total = {-INFINITY, 0.0f};
  for (int64_t i = lane; i < count; i += static_cast<int64_t>(kInFlight) * threads) {
    float values[kInFlight][1];
#pragma unroll
    for (int u = 0; u < kInFlight; ++u) {
      values[u][0] = i + u * threads < count ? mo_to_float(row[(i + u * threads) * stride]) : -INFINITY;
    }
    add_values(total, values);
  }
  return total;
}

/* Over the threads of a row; all of them get it. `slots`: as for mo_reduce_row. */
__device__ __forceinline__ exp_sum join_threads(exp_sum own, int lane, int threads, float *slots) {
  const float maximum = mo_reduce_row<mo_max>(own.maximum, lane, threads, slots);
  return {maximum, mo_reduce_row<mo_sum>(rebase(own.sum, own.maximum, maximum), lane, threads, slots)};
}

/* A row with +infinity gives NaN, as PyTorch's does. */
__device__ __forceinline__ float negative_log_softmax(exp_sum row, float logit) {
  return row.maximum == INFINITY ? NAN : (base_of(row.maximum) - logit) + log_of(row);
}
__device__ __forceinline__ float log_sum_exp(exp_sum row) { return base_of(row.maximum) + log_of(row); }

/* ---- Cross entropy ---- */

/* What position (b, s) is compared with; ignore_index where there is nothing. */
__device__ __forceinline__ int64_t label_of(const mo_cross_entropy_kernel_args &args, int64_t b, int64_t s) {
  if (args.shift && ++s == args.length) return args.ignore_index;
  return mo_load_index(args.labels, args.labels_dtype, b * args.labels_strides[0] + s * args.labels_strides[1]);
}

/* Scratch: total and count of each block of sum_losses (doubles), the losses of all positions, the sums of the parts of rows.
 */
__host__ __device__ __forceinline__ int64_t kept_losses(const mo_cross_entropy_kernel_args &args) {
  return args.reduction == MO_LOSS_REDUCTION_NONE ? 0 : args.batch * args.length;
}
__host__ __device__ __forceinline__ float *losses_of(const mo_cross_entropy_kernel_args &args) {
  return reinterpret_cast<float *>(args.scratch + 2 * kMaxSumBlocks);
}

__device__ __forceinline__ void keep_loss(const mo_cross_entropy_kernel_args &args, int64_t b, int64_t s, float value) {
  if (args.reduction != MO_LOSS_REDUCTION_NONE) losses_of(args)[b * args.length + s] = value;
  else if (s < args.loss_columns) args.loss[b * args.loss_strides[0] + s * args.loss_strides[1]] = value;
}

template <typename T>
__device__ __forceinline__ const T *logits_of(const mo_cross_entropy_kernel_args &args, int64_t b, int64_t s) {
  return static_cast<const T *>(args.logits) + b * args.logits_strides[0] + s * args.logits_strides[1];
}

/* One thread finishes a position of which it has the whole row's sum. A label outside the vocabulary makes the loss NaN. */
template <typename T>
__device__ __forceinline__ void finish_position(const mo_cross_entropy_kernel_args &args, int64_t b, int64_t s, int64_t label,
                                                exp_sum row) {
  if (args.log_sum_exp != nullptr) {
    args.log_sum_exp[b * args.log_sum_exp_strides[0] + s * args.log_sum_exp_strides[1]] = log_sum_exp(row);
  }
  float loss = 0.0f;
  if (label != args.ignore_index) {
    const bool inside = label >= 0 && label < args.vocabulary;
    loss = inside ? negative_log_softmax(row, mo_to_float(logits_of<T>(args, b, s)[label])) : NAN;
  }
  keep_loss(args, b, s, loss);
}

/* loss = log sum_v exp(x_v) - x_label, per position.
 *
 * Shapes: (B, S, V) logits, (B, S) labels. Bytes: the logits of every position that counts once (of all positions where
 * log_sum_exp is asked for), 8 or 4 a label, 4 a loss.
 *
 * Shape of parallelism: a row belongs to 32..512 threads, short rows share a block. Maximum and sum are taken together (the sum
 * is rescaled once per 16 or 32 values), so that the row is read once whatever its length. Rows need not begin at 16 bytes (a
 * vocabulary of 30522 or 50257): the ends are taken one by one. Where there are too few rows for the card, a row is divided and
 * its parts' sums go to scratch, to be joined by join_parts. */
template <typename T>
__global__ void __launch_bounds__(kMaxThreads, kRowBlocks) cross_entropy_kernel(mo_cross_entropy_kernel_args args) {
  const int threads = static_cast<int>(blockDim.x), lane = static_cast<int>(threadIdx.x);
  const int64_t positions = args.batch * args.length;
  const int64_t split = blockIdx.x % args.splits;
  const int64_t position = blockIdx.x / args.splits * blockDim.y + threadIdx.y;
  const bool active = position < positions;
  const int64_t b = active ? position / args.length : 0, s = active ? position % args.length : 0;
  float *slots = mo_shared_memory<float>() + threadIdx.y * (kMaxThreads / 32);

  const int64_t label = label_of(args, b, s);
  const bool reads = active && (label != args.ignore_index || args.log_sum_exp != nullptr);
  exp_sum row = {-INFINITY, 0.0f};
  if (reads) { /* the same for all threads of the row; surplus rows take part in the barriers */
    const int64_t share = (args.vocabulary + args.splits - 1) / args.splits, begin = split * share;
    const int64_t end = begin + share < args.vocabulary ? begin + share : args.vocabulary;
    if (begin < end) row = sum_contiguous(logits_of<T>(args, b, s) + begin, end - begin, lane, threads);
  }
  row = join_threads(row, lane, threads, slots);
  if (!active || lane != 0) return;
  if (args.splits == 1) {
    if (reads) finish_position<T>(args, b, s, label, row);
    else keep_loss(args, b, s, 0.0f);
  } else {
    float *part = losses_of(args) + kept_losses(args) + 2 * (position * args.splits + split);
    part[0] = row.maximum;
    part[1] = row.sum;
  }
}

/* The parts of a row joined in order, a thread per position. */
template <typename T>
__global__ void __launch_bounds__(kMapThreads) join_parts_kernel(mo_cross_entropy_kernel_args args) {
  const int64_t position = static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x;
  if (position >= args.batch * args.length) return;
  const float *parts = losses_of(args) + kept_losses(args) + 2 * position * args.splits;
  exp_sum row = {-INFINITY, 0.0f};
  for (int64_t i = 0; i < args.splits; ++i) row = join(row, {parts[2 * i], parts[2 * i + 1]});
  const int64_t b = position / args.length, s = position % args.length;
  finish_position<T>(args, b, s, label_of(args, b, s), row);
}

/* The sum over the block in an order that never changes; thread 0 gets it. `slots`: shared memory, one double per warp. */
__device__ __forceinline__ double sum_block(double value, double *slots) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(mo_full_warp, value, offset);
  __syncthreads(); /* the slots may still be read from the sum before */
  if (lane == 0) slots[warp] = value;
  __syncthreads();
  double sum = 0.0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / 32; ++w) sum += slots[w];
  return sum;
}

__device__ __forceinline__ void store_reduction(const mo_cross_entropy_kernel_args &args, double total, double valid) {
  *args.loss = static_cast<float>(args.reduction == MO_LOSS_REDUCTION_MEAN ? total / valid : total); /* 0 / 0: NaN */
}

/* MEAN and SUM: a run of positions per block; a single block finishes, several leave their sums to finish_sums. Bytes: 4 a
 * position and, for the count, its label. */
__global__ void __launch_bounds__(kReduceThreads) sum_losses_kernel(mo_cross_entropy_kernel_args args) {
  double *slots = mo_shared_memory<double>();
  const int64_t positions = args.batch * args.length, run = (positions + gridDim.x - 1) / gridDim.x;
  const int64_t begin = blockIdx.x * run, end = begin + run < positions ? begin + run : positions;
  double total = 0.0, valid = 0.0;
#pragma unroll 4
  for (int64_t i = begin + threadIdx.x; i < end; i += kReduceThreads) {
    total += static_cast<double>(losses_of(args)[i]);
    if (args.reduction == MO_LOSS_REDUCTION_MEAN) {
      valid += label_of(args, i / args.length, i % args.length) != args.ignore_index ? 1.0 : 0.0;
    }
  }
  total = sum_block(total, slots);
  valid = sum_block(valid, slots);
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1) {
    store_reduction(args, total, valid);
  } else {
    args.scratch[2 * blockIdx.x] = total;
    args.scratch[2 * blockIdx.x + 1] = valid;
  }
}

__global__ void __launch_bounds__(kMaxSumBlocks) finish_sums_kernel(mo_cross_entropy_kernel_args args, int64_t blocks) {
  double *slots = mo_shared_memory<double>();
  const bool takes = threadIdx.x < blocks;
  const double total = sum_block(takes ? args.scratch[2 * threadIdx.x] : 0.0, slots);
  const double valid = sum_block(takes ? args.scratch[2 * threadIdx.x + 1] : 0.0, slots);
  if (threadIdx.x == 0) store_reduction(args, total, valid);
}

/* COMPACT: one block walks over the positions in order, kReduceThreads at a time; those that count move up. What finds no place
 * is dropped. */
__global__ void __launch_bounds__(kReduceThreads) compact_losses_kernel(mo_cross_entropy_kernel_args args) {
  mo_count *slots = mo_shared_memory<mo_count>();
  const int64_t positions = args.batch * args.length;
  int64_t before = 0;
  for (int64_t first = 0; first < positions; first += kReduceThreads) {
    const int64_t i = first + threadIdx.x;
    const bool counts = i < positions && label_of(args, i / args.length, i % args.length) != args.ignore_index;
    mo_count found;
    const int64_t place = before + static_cast<int64_t>(mo_scan_block(counts ? 1 : 0, slots, &found));
    if (counts && place < args.loss_capacity) args.loss[place * args.loss_strides[1]] = losses_of(args)[i];
    before += static_cast<int64_t>(found);
  }
}

template <typename T>
cudaError_t launch_cross_entropy(const mo_cross_entropy_kernel_args &args, cudaStream_t stream) {
  const int64_t positions = args.batch * args.length;
  cudaError_t error = cudaSuccess;
  if (positions > 0) {
    const int64_t vectors = (args.vocabulary / args.splits + mo_vector_width<T> - 1) / mo_vector_width<T>;
    int threads = 32;
    while (threads < kMaxThreads && vectors > kInFlight * threads) threads *= 2;
    const int rows = threads < kThreadsPerBlock && args.splits == 1 ? kThreadsPerBlock / threads : 1;
    const dim3 grid(static_cast<unsigned>((positions + rows - 1) / rows * args.splits));
    const dim3 block(static_cast<unsigned>(threads), static_cast<unsigned>(rows));
    const size_t shared = static_cast<size_t>(rows) * (kMaxThreads / 32) * sizeof(float);
    error = MO_LAUNCH(cross_entropy_kernel<T>, grid, block, shared, stream, args);
    if (error == cudaSuccess && args.splits > 1) {
      const dim3 map(static_cast<unsigned>((positions + kMapThreads - 1) / kMapThreads));
      error = MO_LAUNCH(join_parts_kernel<T>, map, dim3(kMapThreads), 0, stream, args);
    }
  }
  if (error != cudaSuccess || args.reduction == MO_LOSS_REDUCTION_NONE) return error;
  constexpr size_t shared = (kReduceThreads / 32) * sizeof(double);
  if (args.reduction == MO_LOSS_REDUCTION_COMPACT) {
    return MO_LAUNCH(compact_losses_kernel, dim3(1), dim3(kReduceThreads), shared, stream, args);
  }
  int64_t blocks = (positions + kSumPositions - 1) / kSumPositions;
  blocks = blocks < 1 ? 1 : blocks < kMaxSumBlocks ? blocks : kMaxSumBlocks;
  error = MO_LAUNCH(sum_losses_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kReduceThreads), shared, stream, args);
  if (error != cudaSuccess || blocks == 1) return error;
  return MO_LAUNCH(finish_sums_kernel, dim3(1), dim3(static_cast<unsigned>(kMaxSumBlocks)), shared, stream, args, blocks);
}

/* ---- Elementwise ---- */

/* BCE: max(x, 0) - x z + log(1 + e^-|x|): nothing overflows, nothing cancels for large |x|. NaN comes through in x z. */
template <int Kind>
__device__ __forceinline__ float element_loss(float x, float z) {
  if (Kind == MO_ELEMENTWISE_KERNEL_MSE) return (x - z) * (x - z);
  return fmaxf(x, 0.0f) - x * z + log1pf(expf(-fabsf(x)));
}

__device__ __forceinline__ int64_t offset_of(const int64_t (&extents)[4], const int64_t (&strides)[4], int64_t index) {
  const int64_t i3 = index % extents[3], r2 = index / extents[3], i2 = r2 % extents[2], r1 = r2 / extents[2];
  return r1 / extents[1] * strides[0] + r1 % extents[1] * strides[1] + i2 * strides[2] + i3 * strides[3];
}

/* Loss of every element, stored (NONE) or summed per block.
 *
 * Bytes: logits and labels once, losses once where they are stored. Shape of parallelism: one vector of N elements per thread
 * and step in contiguous operands (N > 1), else one element at its strides. */
template <typename T, int Kind, int N>
__global__ void __launch_bounds__(kMapThreads) elementwise_loss_kernel(mo_elementwise_loss_kernel_args args) {
  const int64_t count = args.extents[0] * args.extents[1] * args.extents[2] * args.extents[3];
  const int64_t step = static_cast<int64_t>(gridDim.x) * kMapThreads * N;
  float sum = 0.0f;
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * N; i < count; i += step) {
    float x[N], z[N], loss[N];
    if constexpr (N > 1) {
      uint32_t x_words[mo_word_count<T, N>], z_words[N];
      mo_load_words<T, N>(static_cast<const T *>(args.logits) + i, x_words);
      mo_load_words_as<N>(args.labels, args.labels_dtype, i, z_words);
      mo_hold(x_words);
      mo_unpack_words<T, N>(x_words, x);
      mo_unpack_words_as<N>(z_words, args.labels_dtype, z);
    } else {
      x[0] = mo_to_float(static_cast<const T *>(args.logits)[offset_of(args.extents, args.logits_strides, i)]);
      z[0] = mo_load_one(args.labels, args.labels_dtype, offset_of(args.extents, args.labels_strides, i));
    }
#pragma unroll
    for (int k = 0; k < N; ++k) {
      loss[k] = element_loss<Kind>(x[k], z[k]);
      sum += loss[k];
    }
    if (args.reduction == MO_LOSS_REDUCTION_NONE) {
      if constexpr (N > 1) mo_store_vector_global(args.loss + i, loss);
      else args.loss[offset_of(args.extents, args.loss_strides, i)] = loss[0];
    }
  }
  if (args.reduction == MO_LOSS_REDUCTION_NONE) return;
  sum = mo_reduce_row<mo_sum>(sum, static_cast<int>(threadIdx.x), kMapThreads, mo_shared_memory<float>());
  if (threadIdx.x == 0) args.scratch[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kReduceThreads) sum_blocks_kernel(mo_elementwise_loss_kernel_args args, int64_t blocks) {
  double total = 0.0;
  for (int64_t i = threadIdx.x; i < blocks; i += kReduceThreads) total += static_cast<double>(args.scratch[i]);
  total = sum_block(total, mo_shared_memory<double>());
  const int64_t count = args.extents[0] * args.extents[1] * args.extents[2] * args.extents[3];
  if (threadIdx.x == 0) {
    *args.loss = static_cast<float>(args.reduction == MO_LOSS_REDUCTION_MEAN ? total / static_cast<double>(count) : total);
  }
}

int64_t element_count(const mo_elementwise_loss_kernel_args &args) {
  return args.extents[0] * args.extents[1] * args.extents[2] * args.extents[3];
}

template <typename T, int Kind>
cudaError_t launch_elementwise(const mo_elementwise_loss_kernel_args &args, cudaStream_t stream) {
  constexpr int N = mo_vector_width<T>;
  const int64_t count = element_count(args);
  const bool vectors = args.contiguous && count % N == 0 && mo_is_aligned16(args.logits) && mo_is_aligned16(args.labels) &&
                       (args.reduction != MO_LOSS_REDUCTION_NONE || mo_is_aligned16(args.loss));
  const int64_t wanted = (count + kMapThreads * (vectors ? N : 1) - 1) / (kMapThreads * (vectors ? N : 1));
  const int64_t blocks = wanted < kMaxElementBlocks ? wanted : kMaxElementBlocks;
  if (blocks > 0) {
    const dim3 grid(static_cast<unsigned>(blocks)), block(kMapThreads);
    const size_t shared = (kMapThreads / 32) * sizeof(float);
    const cudaError_t error = vectors ? MO_LAUNCH((elementwise_loss_kernel<T, Kind, N>), grid, block, shared, stream, args)
                                      : MO_LAUNCH((elementwise_loss_kernel<T, Kind, 1>), grid, block, shared, stream, args);
    if (error != cudaSuccess) return error;
  }
  if (args.reduction == MO_LOSS_REDUCTION_NONE) return cudaSuccess;
  return MO_LAUNCH(sum_blocks_kernel, dim3(1), dim3(kReduceThreads), (kReduceThreads / 32) * sizeof(double), stream, args,
                   blocks);
}

template <typename T>
cudaError_t launch_elementwise_kind(const mo_elementwise_loss_kernel_args &args, cudaStream_t stream) {
  if (args.kind == MO_ELEMENTWISE_KERNEL_MSE) return launch_elementwise<T, MO_ELEMENTWISE_KERNEL_MSE>(args, stream);
  return launch_elementwise<T, MO_ELEMENTWISE_KERNEL_BCE>(args, stream);
}

/* ---- Span ---- */

/* The clamped position of example b; `length` stands for "ignored". */
__device__ __forceinline__ int64_t span_position(const mo_span_loss_kernel_args &args, int side, int64_t b) {
  const int64_t position = mo_load_index(args.positions[side], args.positions_dtype[side], b * args.positions_strides[side]);
  return position < 0 ? 0 : position > args.length ? args.length : position;
}

/* Cross entropy of one side of one example, a block each. Bytes: the logits of the rows that count, once. */
template <typename T>
__global__ void __launch_bounds__(kThreadsPerBlock) span_loss_kernel(mo_span_loss_kernel_args args) {
  const int lane = static_cast<int>(threadIdx.x), side = static_cast<int>(blockIdx.x % 2);
  const int64_t b = blockIdx.x / 2, position = span_position(args, side, b), stride = args.logits_strides[side][1];
  if (position == args.length) {
    if (lane == 0) args.scratch[blockIdx.x] = 0.0f;
    return;
  }
  const T *logits = static_cast<const T *>(args.logits[side]) + b * args.logits_strides[side][0];
  exp_sum row = stride == 1 ? sum_contiguous(logits, args.length, lane, kThreadsPerBlock)
                            : sum_strided(logits, args.length, stride, lane, kThreadsPerBlock);
  row = join_threads(row, lane, kThreadsPerBlock, mo_shared_memory<float>());
  if (lane == 0) args.scratch[blockIdx.x] = negative_log_softmax(row, mo_to_float(logits[position * stride]));
}

/* One block: the mean of each side over the examples that count, and their mean; or each example's mean of the two. */
__global__ void __launch_bounds__(kReduceThreads) finish_span_kernel(mo_span_loss_kernel_args args) {
  double *slots = mo_shared_memory<double>();
  double total[2] = {0.0, 0.0}, valid[2] = {0.0, 0.0};
  for (int64_t b = threadIdx.x; b < args.batch; b += kReduceThreads) {
    const float losses[2] = {args.scratch[2 * b], args.scratch[2 * b + 1]};
    if (args.reduction == MO_LOSS_REDUCTION_NONE) args.loss[b * args.loss_stride] = (losses[0] + losses[1]) / 2.0f;
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      total[side] += static_cast<double>(losses[side]);
      valid[side] += span_position(args, side, b) != args.length ? 1.0 : 0.0;
    }
  }
  if (args.reduction == MO_LOSS_REDUCTION_NONE) return;
#pragma unroll
  for (int side = 0; side < 2; ++side) {
    total[side] = sum_block(total[side], slots);
    valid[side] = sum_block(valid[side], slots);
  }
  if (threadIdx.x == 0) *args.loss = static_cast<float>((total[0] / valid[0] + total[1] / valid[1]) / 2.0); /* 0 / 0: NaN */
}

template <typename T>
cudaError_t launch_span(const mo_span_loss_kernel_args &args, cudaStream_t stream) {
  if (args.batch > 0) {
    const size_t shared = (kThreadsPerBlock / 32) * sizeof(float);
    const dim3 grid(static_cast<unsigned>(2 * args.batch));
    const cudaError_t error = MO_LAUNCH(span_loss_kernel<T>, grid, dim3(kThreadsPerBlock), shared, stream, args);
    if (error != cudaSuccess) return error;
  }
  return MO_LAUNCH(finish_span_kernel, dim3(1), dim3(kReduceThreads), (kReduceThreads / 32) * sizeof(double), stream, args);
}

}  // namespace

size_t mo_plan_cross_entropy(mo_cross_entropy_kernel_args *args, int32_t multiprocessors) {
  const int64_t positions = args->batch * args->length;
  args->splits = 1;
  if (positions > 0 && positions < multiprocessors) {
    const int64_t most = args->vocabulary / kSplitVocabulary < kMaxSplits ? args->vocabulary / kSplitVocabulary : kMaxSplits;
    const int64_t wanted = 2 * multiprocessors / positions;
    args->splits = wanted < most ? wanted : most;
    if (args->splits < 1) args->splits = 1;
  }
  const int64_t parts = args->splits > 1 ? 2 * positions * args->splits : 0;
  if (args->reduction == MO_LOSS_REDUCTION_NONE && parts == 0) return 0;
  return 2 * kMaxSumBlocks * sizeof(double) + static_cast<size_t>(kept_losses(*args) + parts) * sizeof(float);
}

cudaError_t mo_launch_cross_entropy(const mo_cross_entropy_kernel_args *args, cudaStream_t stream) {
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_cross_entropy<decltype(zero)>(*args, stream); });
}

size_t mo_elementwise_loss_scratch_bytes(const mo_elementwise_loss_kernel_args *args) {
  return args->reduction == MO_LOSS_REDUCTION_NONE ? 0 : static_cast<size_t>(kMaxElementBlocks) * sizeof(float);
}

cudaError_t mo_launch_elementwise_loss(const mo_elementwise_loss_kernel_args *args, cudaStream_t stream) {
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_elementwise_kind<decltype(zero)>(*args, stream); });
}

cudaError_t mo_launch_span_loss(const mo_span_loss_kernel_args *args, cudaStream_t stream) {
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_span<decltype(zero)>(*args, stream); });
}
