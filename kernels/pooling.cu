/* kernels/pooling.cu - one vector per sequence: first, last, mean, max, mean + standard deviation, first + dense + tanh, L2
 * norm.
 *
 * Three kernels:
 *   reduce_tokens  mean, max, mean + std over the valid tokens of (part of) a sequence
 *   dense_tanh     tanh(first * weight^T + bias)
 *   finish_rows    joins the parts of a sequence, picks the first or last token, divides by the L2 norm
 * Mean, max and std without L2 norm of sequences that need not be divided are one launch, so is the dense layer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/pooling.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/scan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kWarps = 8; /* of a block of reduce_tokens */
constexpr int kThreads = 32 * kWarps;
constexpr int kInFlight = 8;            /* tokens a warp has loads under way for */
constexpr int64_t kTokensPerSplit = 64; /* at least: eight tokens a warp, so that the sums outweigh the joining */
constexpr int64_t kMaxSplits = 64;      /* finish_rows walks over them one by one */
constexpr int64_t kBlocksPerMultiprocessor = 4;
constexpr int kDenseWarps = 4; /* small blocks: 768 features make 192 of them */
constexpr int kDenseBatch = 8; /* sequences that share one read of a weight row */
constexpr int kFinishThreads = 256;

__device__ __forceinline__ bool is_valid(const mo_pooling_kernel_args &args, int64_t b, int64_t s) {
  return args.mask == nullptr || mo_load_mask(args.mask, args.mask_dtype, b * args.mask_strides[0] + s * args.mask_strides[1]);
}

/* torch.max: NaN wins. */
__device__ __forceinline__ float larger_or_nan(float a, float b) { return a != a || a > b ? a : b; }

/* What the tokens of a column come to: their sum (MEAN) or maximum (MAX) in `value`; for MEAN_STD their mean in `value` and the
 * squared distances from it in `squares`, because the difference of sums of x^2 and x would cancel. */
struct pooled {
  float count, value, squares;
};

template <int Mode>
__device__ __forceinline__ pooled nothing_pooled() {
  return {0.0f, Mode == MO_POOLING_MAX ? -INFINITY : 0.0f, 0.0f};
}

/* Always called in the same order, so that the result does not depend on who was faster. */
template <int Mode>
__device__ __forceinline__ pooled join(pooled a, pooled b) {
  const float count = a.count + b.count;
  if (b.count == 0.0f) return a;
  if (a.count == 0.0f) return b;
  if (Mode == MO_POOLING_MAX) return {count, larger_or_nan(b.value, a.value), 0.0f};
  if (Mode == MO_POOLING_MEAN) return {count, a.value + b.value, 0.0f};
  const float distance = b.value - a.value, share = b.count / count;
  return {count, a.value + distance * share, a.squares + b.squares + distance * distance * (a.count * share)};
}

/* What is stored: the mean, the maximum; with `deviation` the standard deviation, NaN (0 / 0) for one token as torch.std. */
template <int Mode>
__device__ __forceinline__ float result_of(pooled all, bool deviation) {
  if (all.count == 0.0f) return 0.0f;
  if (deviation) return sqrtf(all.squares / (all.count - 1.0f));
  return Mode == MO_POOLING_MEAN ? all.value / all.count : all.value;
}

/* Results of the parts in scratch: counts (batch, splits), values (batch, splits, channels), for MEAN_STD squares like values.
 */
struct part_view {
  float *counts, *values, *squares;
};
__device__ __forceinline__ part_view parts_of(const mo_pooling_kernel_args &args) {
  const int64_t parts = args.batch * args.splits;
  return {args.scratch, args.scratch + parts, args.scratch + parts + parts * args.channels};
}

template <typename T>
__device__ __forceinline__ void store(const mo_pooling_kernel_args &args, int64_t b, int64_t column, float value) {
  static_cast<T *>(args.output)[b * args.output_strides[0] + column * args.output_strides[1]] = mo_from_float<T>(value);
}

/* Whether columns 2k and 2k + 1 of a 16-bit output are four bytes at a multiple of four; the channels are even. */
__device__ __forceinline__ bool writes_pairs(const mo_pooling_kernel_args &args) {
  return args.output_strides[1] == 1 && args.output_strides[0] % 2 == 0 && reinterpret_cast<uintptr_t>(args.output) % 4 == 0;
}

template <typename T>
__device__ __forceinline__ void store_pair(const mo_pooling_kernel_args &args, int64_t b, int64_t column, float left,
                                           float right) {
  T *address = static_cast<T *>(args.output) + b * args.output_strides[0] + column;
  *reinterpret_cast<uint32_t *>(address) = mo_pack2<T>(left, right);
}

/* What one block of reduce_tokens works on: a strip of columns of one part of a sequence. */
template <int N>
struct strip_place {
  static constexpr int kColumns = 32 * N;
  int64_t strip, part;   /* part = b * splits + split */
  int64_t b, begin, end; /* tokens of the part */
};

template <int N>
__device__ __forceinline__ strip_place<N> strip_place_of(const mo_pooling_kernel_args &args) {
  constexpr int kColumns = strip_place<N>::kColumns;
  const int64_t strips = (args.channels + kColumns - 1) / kColumns;
  const int64_t strip = blockIdx.x % strips, part = blockIdx.x / strips;
  const int64_t b = part / args.splits, split = part % args.splits;
  const int64_t per_split = (args.length + args.splits - 1) / args.splits;
  const int64_t begin = split * per_split;
  return {strip, part, b, begin, begin + per_split < args.length ? begin + per_split : args.length};
}

/* Its shared memory: the valid tokens of kThreads positions, and what each warp's tokens come to. */
template <int N>
struct strip_memory {
  mo_count *slots;
  int *list;
  float *counts, *values, *squares; /* of warps; values and squares (kWarps, kColumns) */
};

template <int N>
__device__ __forceinline__ strip_memory<N> strip_memory_of_block() {
  mo_count *slots = mo_shared_memory<mo_count>();
  int *list = reinterpret_cast<int *>(slots + kWarps);
  float *counts = reinterpret_cast<float *>(list + kThreads);
  float *values = counts + kWarps;
  return {slots, list, counts, values, values + kWarps * strip_place<N>::kColumns};
}

/* One more token; `share` is one part in the tokens so far. */
template <int Mode>
__device__ __forceinline__ void take_value(pooled &own, float x, float share) {
  if (Mode == MO_POOLING_MAX) {
    own.value = larger_or_nan(x, own.value);
  } else if (Mode == MO_POOLING_MEAN) {
    own.value += x;
  } else {
    const float distance = x - own.value;
    own.value += distance * share;
    own.squares += distance * (x - own.value);
  }
}

/* The tokens first + list[i], first + list[i + kWarps], ...: up to kInFlight of them as far as `count`. All loads are under way
 * before the first is converted. `seen` counts them. */
template <typename T, int N, int Mode>
__device__ __forceinline__ void take_tokens(const T *input, int64_t stride, int64_t first, const int *list, int i, int count,
                                            pooled (&own)[N], float &seen) {
  uint32_t words[kInFlight][mo_word_count<T, N>] = {};
#pragma unroll
  for (int u = 0; u < kInFlight; ++u) {
    const int at = i + u * kWarps;
    if (at < count) mo_load_words<T, N>(input + (first + list[at]) * stride, words[u]);
  }
#pragma unroll
  for (int u = 0; u < kInFlight; ++u) mo_hold(words[u]);
#pragma unroll
  for (int u = 0; u < kInFlight; ++u) {
    if (i + u * kWarps >= count) continue;
    float x[N];
    mo_unpack_words<T, N>(words[u], x);
    seen += 1.0f;
    const float share = 1.0f / seen;
#pragma unroll
    for (int k = 0; k < N; ++k) take_value<Mode>(own[k], x[k], share);
  }
}

/* What all warps' tokens come to in column k of the strip. */
template <int N, int Mode>
__device__ __forceinline__ pooled join_warps(const strip_memory<N> &memory, int k) {
  constexpr int kColumns = strip_place<N>::kColumns;
  pooled all = nothing_pooled<Mode>();
  for (int w = 0; w < kWarps; ++w) {
    const float spread = Mode == MO_POOLING_MEAN_STD ? memory.squares[w * kColumns + k] : 0.0f;
    all = join<Mode>(all, {memory.counts[w], memory.values[w * kColumns + k], spread});
  }
  return all;
}

/* Columns of the strip to the output, two by a thread: a warp fills a whole line. */
template <typename T, int N, int Mode>
__device__ __forceinline__ void store_pairs(const mo_pooling_kernel_args &args, const strip_place<N> &place,
                                            const strip_memory<N> &memory) {
  const int k = 2 * static_cast<int>(threadIdx.x);
  const int64_t c = place.strip * place.kColumns + k;
  if (k >= place.kColumns || c >= args.channels) return;
  const pooled left = join_warps<N, Mode>(memory, k), right = join_warps<N, Mode>(memory, k + 1);
  store_pair<T>(args, place.b, c, result_of<Mode>(left, false), result_of<Mode>(right, false));
  if (Mode == MO_POOLING_MEAN_STD) {
    store_pair<T>(args, place.b, args.channels + c, result_of<Mode>(left, true), result_of<Mode>(right, true));
  }
}

/* Columns of the strip to the output, or to scratch where parts are to be joined, one by a thread. */
template <typename T, int N, int Mode>
__device__ __forceinline__ void store_single(const mo_pooling_kernel_args &args, const strip_place<N> &place,
                                             const strip_memory<N> &memory) {
  const int k = static_cast<int>(threadIdx.x);
  const int64_t c = place.strip * place.kColumns + k;
  if (k >= place.kColumns || c >= args.channels) return;
  const pooled all = join_warps<N, Mode>(memory, k);
  if (args.scratch == nullptr) {
    store<T>(args, place.b, c, result_of<Mode>(all, false));
    if (Mode == MO_POOLING_MEAN_STD) store<T>(args, place.b, args.channels + c, result_of<Mode>(all, true));
    return;
  }
  const part_view parts = parts_of(args);
  if (c == 0) parts.counts[place.part] = all.count;
  parts.values[place.part * args.channels + c] = all.value;
  if (Mode == MO_POOLING_MEAN_STD) parts.squares[place.part * args.channels + c] = all.squares;
}

/* Mean, maximum, or mean and deviation over the valid tokens of a sequence or of one part of it.
 *
 * Shapes: (B, S, C) to (B, C), (B, 2C) or to parts. Bytes: valid tokens * C * e, each read once; masked tokens are not read.
 *
 * Shape of parallelism: a block takes 32 N columns (512 bytes of a token per warp) and its warps share the tokens. The valid
 * ones are first listed in shared memory, kThreads positions at a time, so that padding leaves no warp idle and no load waits
 * for a mask. Where sequences times columns do not fill the card, a sequence is divided into parts that finish_rows joins in
 * order. */
template <typename T, int N, int Mode>
__global__ void __launch_bounds__(kThreads, 1) reduce_tokens_kernel(mo_pooling_kernel_args args) {
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const strip_place<N> place = strip_place_of<N>(args);
  const strip_memory<N> memory = strip_memory_of_block<N>();
  const int64_t column = place.strip * place.kColumns + lane * N;
  const T *input = static_cast<const T *>(args.input) + place.b * args.input_strides[0] + column;

  pooled own[N];
#pragma unroll
  for (int k = 0; k < N; ++k) own[k] = nothing_pooled<Mode>();
  float seen = 0.0f;
  for (int64_t first = place.begin; first < place.end; first += kThreads) {
    const int64_t s = first + thread;
    const bool take = s < place.end && is_valid(args, place.b, s);
    mo_count found;
    /* Its first barrier: nobody reads the old list any more. */
    const mo_count rank = mo_scan_block(take ? 1 : 0, memory.slots, &found);
    if (take) memory.list[rank] = thread;
    __syncthreads();
    const int count = static_cast<int>(found);
    for (int i = warp; column < args.channels && i < count; i += kInFlight * kWarps) {
      take_tokens<T, N, Mode>(input, args.input_strides[1], first, memory.list, i, count, own, seen);
    }
  }
  if (lane == 0) memory.counts[warp] = seen; /* lane 0 always has a column */
#pragma unroll
  for (int k = 0; k < N; ++k) {
    memory.values[warp * place.kColumns + lane * N + k] = own[k].value;
    if (Mode == MO_POOLING_MEAN_STD) memory.squares[warp * place.kColumns + lane * N + k] = own[k].squares;
  }
  __syncthreads();

  if constexpr (N == 8) {
    if (args.scratch == nullptr && writes_pairs(args)) {
      store_pairs<T, N, Mode>(args, place, memory);
      return;
    }
  }
  store_single<T, N, Mode>(args, place, memory);
}

/* output[b,n] = tanh(sum_c input[b,0,c] * weight[n,c] + bias[n]), BertPooler; to scratch (B, width) where a norm follows.
 *
 * Bytes: the weight once per kDenseBatch sequences (from the second time on out of L2), the first tokens from the caches.
 * Shape of parallelism: a warp per feature and group of sequences, so that 768 features fill the card at batch 1. */
template <typename T, int N>
__global__ void __launch_bounds__(32 * kDenseWarps, 1) dense_tanh_kernel(mo_pooling_kernel_args args) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t groups = (args.batch + kDenseBatch - 1) / kDenseBatch;
  const int64_t first = blockIdx.x % groups * kDenseBatch;
  const int64_t feature = blockIdx.x / groups * kDenseWarps + warp;
  if (feature >= args.width) return; /* whole warps, and there is no barrier */
  const T *weight = static_cast<const T *>(args.weight) + feature * args.weight_strides[0];
  const T *input = static_cast<const T *>(args.input);

  float dot[kDenseBatch] = {};
  for (int64_t c = lane * N; c < args.channels; c += 32 * N) {
    float w[N], x[N];
    if constexpr (N > 1) mo_load_vector(weight + c, w);
    else w[0] = mo_to_float(weight[c * args.weight_strides[1]]);
#pragma unroll
    for (int j = 0; j < kDenseBatch; ++j) {
      if (first + j < args.batch) {
        mo_load_vector(input + (first + j) * args.input_strides[0] + c, x);
#pragma unroll
        for (int i = 0; i < N; ++i) dot[j] += x[i] * w[i];
      }
    }
  }
  const float bias = args.bias != nullptr ? mo_load_one(args.bias, args.dtype, feature * args.bias_stride) : 0.0f;
#pragma unroll
  for (int j = 0; j < kDenseBatch; ++j) {
    const float value = tanhf(mo_reduce_warp<mo_sum>(dot[j]) + bias);
    if (lane == j && first + j < args.batch) {
      if (args.scratch != nullptr) args.scratch[(first + j) * args.width + feature] = value;
      else store<T>(args, first + j, feature, value);
    }
  }
}

/* The value of one column of a finished row before the L2 norm. `token`: FIRST and LAST, -1: there is none. */
template <typename T, int Mode>
__device__ __forceinline__ float row_value(const mo_pooling_kernel_args &args, int64_t b, int64_t token, int64_t column) {
  if constexpr (Mode == MO_POOLING_FIRST || Mode == MO_POOLING_LAST) {
    if (args.dense) return args.scratch[b * args.width + column];
    if (token < 0) return 0.0f;
    return mo_to_float(static_cast<const T *>(args.input)[b * args.input_strides[0] + token * args.input_strides[1] + column]);
  } else {
    const part_view parts = parts_of(args);
    const bool deviation = Mode == MO_POOLING_MEAN_STD && column >= args.channels;
    const int64_t c = deviation ? column - args.channels : column;
    pooled all = nothing_pooled<Mode>();
    for (int64_t part = b * args.splits; part < (b + 1) * args.splits; ++part) {
      const float spread = Mode == MO_POOLING_MEAN_STD ? parts.squares[part * args.channels + c] : 0.0f;
      all = join<Mode>(all, {parts.counts[part], parts.values[part * args.channels + c], spread});
    }
    return result_of<Mode>(all, deviation);
  }
}

/* One block per sequence: picks the token, joins the parts, divides by max(||v||_2, 1e-12). Bytes: the row or its parts, twice
 * (the second time from L2) with a norm, and the output. */
template <typename T, int Mode>
__global__ void __launch_bounds__(kFinishThreads, 1) finish_rows_kernel(mo_pooling_kernel_args args) {
  float *slots = mo_shared_memory<float>();
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t b = blockIdx.x;
  int64_t token = 0;
  if (Mode == MO_POOLING_LAST) {
    /* From the end: the last kFinishThreads positions nearly always hold the answer. Positions within the chunk are exact
     * floats. */
    token = -1;
    for (int64_t end = args.length; end > 0 && token < 0; end -= kFinishThreads) {
      const int64_t s = end - kFinishThreads + thread;
      const float found = s >= 0 && is_valid(args, b, s) ? static_cast<float>(thread) : -1.0f;
      const float last = mo_reduce_row<mo_max>(found, thread, kFinishThreads, slots);
      if (last >= 0.0f) token = end - kFinishThreads + static_cast<int64_t>(last);
    }
  }
  float divisor = 1.0f;
  if (args.l2_normalize) {
    float squares = 0.0f;
    for (int64_t column = thread; column < args.width; column += kFinishThreads) {
      const float value = row_value<T, Mode>(args, b, token, column);
      squares += value * value;
    }
    const float norm = sqrtf(mo_reduce_row<mo_sum>(squares, thread, kFinishThreads, slots));
    divisor = norm < 1e-12f ? 1e-12f : norm; /* NaN stays */
  }
  for (int64_t column = thread; column < args.width; column += kFinishThreads) {
    store<T>(args, b, column, row_value<T, Mode>(args, b, token, column) / divisor);
  }
}

/* ---- Launchers ---- */

bool reduces_tokens(const mo_pooling_kernel_args &args) {
  return args.mode == MO_POOLING_MEAN || args.mode == MO_POOLING_MAX || args.mode == MO_POOLING_MEAN_STD;
}

template <typename T>
bool can_use_vectors(const mo_pooling_kernel_args &args) {
  constexpr int64_t elements = 16 / sizeof(T);
  bool fits = args.channels % elements == 0 && mo_is_aligned16(args.input) && args.input_strides[0] % elements == 0 &&
              args.input_strides[1] % elements == 0;
  if (args.dense) {
    fits = fits && mo_is_aligned16(args.weight) && args.weight_strides[0] % elements == 0 && args.weight_strides[1] == 1;
  }
  return fits;
}

int64_t strips_of(const mo_pooling_kernel_args &args) {
  const bool vectors = args.dtype == MO_DTYPE_FLOAT32   ? can_use_vectors<float>(args)
                       : args.dtype == MO_DTYPE_FLOAT16 ? can_use_vectors<mo_half>(args)
                                                        : can_use_vectors<mo_bfloat16>(args);
  const int64_t columns = 32 * (!vectors ? 1 : args.dtype == MO_DTYPE_FLOAT32 ? 4 : 8);
  return (args.channels + columns - 1) / columns;
}

template <typename T, int N, int Mode>
cudaError_t launch_reduction(const mo_pooling_kernel_args &args, cudaStream_t stream) {
  const size_t shared = kWarps * sizeof(mo_count) + kThreads * sizeof(int) +
                        kWarps * (1 + 32 * N * (Mode == MO_POOLING_MEAN_STD ? 2 : 1)) * sizeof(float);
  const dim3 grid(static_cast<unsigned>(strips_of(args) * args.batch * args.splits));
  return MO_LAUNCH((reduce_tokens_kernel<T, N, Mode>), grid, dim3(kThreads), shared, stream, args);
}

template <typename T, int Mode>
cudaError_t launch_mode(const mo_pooling_kernel_args &args, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  if constexpr (Mode == MO_POOLING_FIRST || Mode == MO_POOLING_LAST) {
    if (args.dense) {
      const int64_t groups = (args.batch + kDenseBatch - 1) / kDenseBatch;
      const dim3 grid(static_cast<unsigned>((args.width + kDenseWarps - 1) / kDenseWarps * groups));
      const dim3 block(32 * kDenseWarps);
      error = can_use_vectors<T>(args) ? MO_LAUNCH((dense_tanh_kernel<T, mo_vector_width<T>>), grid, block, 0, stream, args)
                                       : MO_LAUNCH((dense_tanh_kernel<T, 1>), grid, block, 0, stream, args);
      if (args.scratch == nullptr) return error;
    }
  } else {
    error = can_use_vectors<T>(args) ? launch_reduction<T, mo_vector_width<T>, Mode>(args, stream)
                                     : launch_reduction<T, 1, Mode>(args, stream);
    if (args.scratch == nullptr) return error;
  }
  if (error != cudaSuccess) return error;
  const dim3 grid(static_cast<unsigned>(args.batch));
  return MO_LAUNCH((finish_rows_kernel<T, Mode>), grid, dim3(kFinishThreads), (kFinishThreads / 32) * sizeof(float), stream,
                   args);
}

template <typename T>
cudaError_t launch_type(const mo_pooling_kernel_args &args, cudaStream_t stream) {
  switch (args.mode) {
    case MO_POOLING_FIRST:
      return launch_mode<T, MO_POOLING_FIRST>(args, stream);
    case MO_POOLING_LAST:
      return launch_mode<T, MO_POOLING_LAST>(args, stream);
    case MO_POOLING_MEAN:
      return launch_mode<T, MO_POOLING_MEAN>(args, stream);
    case MO_POOLING_MAX:
      return launch_mode<T, MO_POOLING_MAX>(args, stream);
    case MO_POOLING_MEAN_STD:
      return launch_mode<T, MO_POOLING_MEAN_STD>(args, stream);
    default:
      return cudaErrorInvalidValue; /* the front door lets these five through */
  }
}

}  // namespace

size_t mo_plan_pooling(mo_pooling_kernel_args *args, int32_t multiprocessors) {
  args->splits = 1;
  if (args->batch == 0 || args->width == 0) return 0;
  if (args->dense) return args->l2_normalize ? static_cast<size_t>(args->batch * args->width) * sizeof(float) : 0;
  if (!reduces_tokens(*args)) return 0;
  const int64_t blocks = strips_of(*args) * args->batch;
  const int64_t most = args->length / kTokensPerSplit < kMaxSplits ? args->length / kTokensPerSplit : kMaxSplits;
  args->splits = kBlocksPerMultiprocessor * multiprocessors / blocks;
  if (args->splits > most) args->splits = most;
  if (args->splits < 1) args->splits = 1;
  if (args->splits == 1 && !args->l2_normalize) return 0;
  const int64_t values = args->mode == MO_POOLING_MEAN_STD ? 2 * args->channels : args->channels;
  return static_cast<size_t>(args->batch * args->splits * (1 + values)) * sizeof(float);
}

cudaError_t mo_launch_pooling(const mo_pooling_kernel_args *args, cudaStream_t stream) {
  if (args->batch == 0 || args->width == 0) return cudaSuccess;
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_type<decltype(zero)>(*args, stream); });
}
