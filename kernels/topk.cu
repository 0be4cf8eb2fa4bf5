/* kernels/topk.cu - the k largest of each row, largest first, ties by position, NaN above everything.
 *
 * Values become unsigned keys of the same order (16 bits for the 16-bit types). A radix selection finds the k-th largest key:
 * one histogram of kDigitBits at a time, of the keys that share the digits found so far. All larger keys are chosen and of the
 * equal ones the first, counted in order of position. The chosen are sorted as 64-bit candidates (key above, complement of the
 * position below) that are all different, so that the result is unique however the threads run.
 *
 *   k <= kSortLimit: select_segments reads each row once into shared memory, as keys, a segment per block; what the segments
 * chose goes to scratch and merge_segments selects again (not needed where a row is one segment). larger k: select_large, one
 * block per row, reads the row once per digit and twice more, and sorts in scratch. Meant to be right for any k, not to be
 * fast.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/topk.h"

#include <type_traits>

#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/scan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 512;
constexpr int kDigitBits =
    11; /* sign, exponent and two bits of a float32 at first: spreads the keys of one exponent over bins */
constexpr int kBins = 1 << kDigitBits;
constexpr int kBinsPerThread = kBins / kThreads;
constexpr int64_t kSortLimit = 2048;    /* candidates sorted in shared memory: 16 KiB */
constexpr int64_t kSegment = 16384;     /* keys in shared memory: 64 KiB, so that all fits into the 99 KiB of sm_86 */
constexpr int64_t kShortSegment = 4096; /* down to here a row is divided to fill the card */
constexpr int kSortBits = 4;            /* of the sort for large k: 16 counters per thread are 32 KiB */
constexpr int kSortDigits = 1 << kSortBits;
constexpr int64_t kBlocksPerMultiprocessor = 2; /* of the kernel for large k, each with its own scratch */

using candidate = uint64_t;
__device__ __forceinline__ candidate make_candidate(uint32_t key, uint32_t position) {
  return static_cast<uint64_t>(key) << 32 | (0xFFFFFFFFu - position);
}
__device__ __forceinline__ uint32_t key_of(candidate c) { return static_cast<uint32_t>(c >> 32); }
__device__ __forceinline__ uint32_t position_of(candidate c) { return 0xFFFFFFFFu - static_cast<uint32_t>(c); }

template <typename T>
using bits_of = std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>;
template <typename T>
constexpr int key_bits = 8 * sizeof(T);

/* Unsigned order is the order of the values; -0 equals 0, every NaN is the largest key. */
template <typename T>
__device__ __forceinline__ bits_of<T> ordered_key(bits_of<T> bits) {
  using Bits = bits_of<T>;
  constexpr Bits sign = static_cast<Bits>(Bits{1} << (key_bits<T> - 1));
  Bits infinity = 0x7C00;
  if constexpr (sizeof(T) == 4) infinity = 0x7F800000;
  else if constexpr (T::is_bfloat16) infinity = 0x7F80;
  const Bits magnitude = static_cast<Bits>(bits & static_cast<Bits>(~sign));
  if (magnitude > infinity) return static_cast<Bits>(~Bits{0});
  if (magnitude == 0) return sign;
  return static_cast<Bits>((bits & sign) != 0 ? ~bits : bits | sign);
}

/* What every kernel has at the beginning of its shared memory. */
struct workspace {
  mo_count slots[kThreads / 32];
  mo_count found[2]; /* digit, and how many keys have a larger one */
  unsigned bins[kBins];
};

__device__ __forceinline__ int64_t row_offset(const mo_topk_kernel_args &args, int64_t row) {
  int64_t offset = 0;
#pragma unroll
  for (int i = MO_MAX_DIMS - 2; i >= 0; --i) {
    if (args.extents[i] == 1) continue;
    offset += row % args.extents[i] * args.strides[i];
    row /= args.extents[i];
  }
  return offset;
}

/* ---- Where keys come from ---- */

/* Keys of a segment in shared memory. */
template <typename T>
struct staged_keys {
  const bits_of<T> *keys;
  int64_t first; /* position of the first */
  __device__ __forceinline__ uint32_t key(int64_t i) const { return keys[i]; }
  __device__ __forceinline__ uint32_t position(int64_t i) const { return static_cast<uint32_t>(first + i); }
};

/* A row in memory. */
template <typename T>
struct row_keys {
  const bits_of<T> *row;
  int64_t stride;
  __device__ __forceinline__ uint32_t key(int64_t i) const { return ordered_key<T>(row[i * stride]); }
  __device__ __forceinline__ uint32_t position(int64_t i) const { return static_cast<uint32_t>(i); }
};

/* Candidates in scratch; equal keys stand in order of position. */
struct candidate_keys {
  const candidate *candidates;
  __device__ __forceinline__ uint32_t key(int64_t i) const { return key_of(candidates[i]); }
  __device__ __forceinline__ uint32_t position(int64_t i) const { return position_of(candidates[i]); }
};

/* ---- Selection ---- */

/* The k-th largest of `count` keys, and how many of those equal to it belong to the k. Every thread gets both. */
template <int Bits, typename Source>
__device__ __forceinline__ uint32_t find_kth_key(const Source &source, int64_t count, int64_t k, workspace *work,
                                                 mo_count *equal_wanted) {
  const int thread = static_cast<int>(threadIdx.x);
  mo_count wanted = static_cast<mo_count>(k);
  uint32_t prefix = 0, known = 0; /* the digits found, and a mask of where they are */
  for (int left = Bits; left > 0;) {
    const int width = left < kDigitBits ? left : kDigitBits;
    const int shift = left - width;
    const uint32_t mask = (1u << width) - 1u;
#pragma unroll
    for (int i = 0; i < kBinsPerThread; ++i) work->bins[thread + i * kThreads] = 0;
    __syncthreads();
    for (int64_t i = thread; i < count; i += kThreads) {
      const uint32_t key = source.key(i);
      if ((key & known) == prefix) atomicAdd(&work->bins[key >> shift & mask], 1u);
    }
    __syncthreads();
    /* Each thread has some bins in a row, thread 0 the largest digits. */
    mo_count own = 0, total;
    const int highest = kBins - 1 - thread * kBinsPerThread;
#pragma unroll
    for (int i = 0; i < kBinsPerThread; ++i) own += work->bins[highest - i];
    mo_count before = mo_scan_block(own, work->slots, &total);
    if (before < wanted && wanted <= before + own) { /* one thread */
      int digit = highest;
      while (before + work->bins[digit] < wanted) before += work->bins[digit--];
      work->found[0] = static_cast<mo_count>(digit);
      work->found[1] = before;
    }
    __syncthreads();
    prefix |= static_cast<uint32_t>(work->found[0]) << shift;
    known |= mask << shift;
    wanted -= work->found[1];
    left = shift;
  }
  *equal_wanted = wanted;
  return prefix;
}

/* The k largest of `count` to chosen[0..k): first those above the k-th key in order of position, then those equal to it. */
template <int Bits, typename Source>
__device__ __forceinline__ void choose(const Source &source, int64_t count, int64_t k, candidate *chosen, workspace *work) {
  mo_count equal_wanted;
  const uint32_t kth = find_kth_key<Bits>(source, count, k, work, &equal_wanted);
  /* A run of positions per thread; its odd length keeps the threads off one another's banks. */
  const int64_t run = (count + kThreads - 1) / kThreads | 1;
  const int64_t begin = run * threadIdx.x, end = begin + run < count ? begin + run : count;
  mo_count above = 0, equal = 0, total;
  for (int64_t i = begin; i < end; ++i) {
    const uint32_t key = source.key(i);
    above += key > kth;
    equal += key == kth;
  }
  const mo_count before = mo_scan_block(above << 32 | equal, work->slots, &total); /* both below 2^32 */
  const mo_count first_equal = static_cast<mo_count>(k) - equal_wanted;
  above = before >> 32;
  equal = before & 0xFFFFFFFFu;
  for (int64_t i = begin; i < end; ++i) {
    const uint32_t key = source.key(i);
    if (key > kth) chosen[above++] = make_candidate(key, source.position(i));
    else if (key == kth && equal++ < equal_wanted) chosen[first_equal + equal - 1] = make_candidate(key, source.position(i));
  }
  __syncthreads();
}

/* Bitonic, largest first; `size` is a power of two. The last barrier is the caller's to use. */
__device__ __forceinline__ void sort_shared(candidate *candidates, int size) {
  for (int block = 2; block <= size; block *= 2) {
    for (int stride = block / 2; stride > 0; stride /= 2) {
      for (int t = static_cast<int>(threadIdx.x); t < size / 2; t += kThreads) {
        const int low = 2 * t - (t & (stride - 1));
        const candidate a = candidates[low], b = candidates[low + stride];
        if ((a < b) == ((low & block) == 0)) {
          candidates[low] = b;
          candidates[low + stride] = a;
        }
      }
      __syncthreads();
    }
  }
}

__host__ __device__ __forceinline__ int padded_size(int64_t k) {
  int size = 1;
  while (size < k) size *= 2;
  return size;
}

/* choose() and sort in shared memory; the places behind the k hold candidates below all others. */
template <int Bits, typename Source>
__device__ __forceinline__ void choose_sorted(const Source &source, int64_t count, int64_t k, candidate *chosen,
                                              workspace *work) {
  const int size = padded_size(k);
  for (int i = static_cast<int>(k) + static_cast<int>(threadIdx.x); i < size; i += kThreads) chosen[i] = 0;
  choose<Bits>(source, count, k, chosen, work);
  sort_shared(chosen, size);
}

/* Positions, and the bits of the values: a NaN or -0 stays what it was. */
template <typename T>
__device__ __forceinline__ void store_row(const mo_topk_kernel_args &args, int64_t row, const bits_of<T> *input,
                                          const candidate *chosen) {
  for (int64_t i = threadIdx.x; i < args.k; i += kThreads) {
    const int64_t position = position_of(chosen[i]);
    args.indices[row * args.k + i] = position;
    static_cast<bits_of<T> *>(args.values)[row * args.k + i] = input[position * args.stride];
  }
}

/* The segment as keys in shared memory: 16 bytes at a time where the row is contiguous, its unaligned ends one by one. */
template <typename T>
__device__ __forceinline__ void stage(const bits_of<T> *segment, int64_t stride, int64_t count, bits_of<T> *keys) {
  constexpr int N = mo_vector_width<T>;
  const int thread = static_cast<int>(threadIdx.x);
  if (stride != 1) {
    for (int64_t i = thread; i < count; i += kThreads) keys[i] = ordered_key<T>(segment[i * stride]);
    return;
  }
  int64_t head = static_cast<int64_t>((16 - reinterpret_cast<uintptr_t>(segment) % 16) % 16 / sizeof(T));
  if (head > count) head = count;
  const int64_t vectors = (count - head) / N, tail = head + vectors * N;
#pragma unroll 4
  for (int64_t v = thread; v < vectors; v += kThreads) {
    const uint4 raw = mo_load16(segment + head + v * N);
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const uint32_t word = words[i * 4 / N];
      const bits_of<T> bits = static_cast<bits_of<T>>(N == 8 && i % 2 == 1 ? word >> 16 : word);
      keys[head + v * N + i] = ordered_key<T>(bits);
    }
  }
  if (thread < head) keys[thread] = ordered_key<T>(segment[thread]);
  if (tail + thread < count) keys[tail + thread] = ordered_key<T>(segment[tail + thread]); /* fewer than N */
}

/* The k largest of each segment, sorted: to the result where a row is one segment, else to scratch (rows, segments, k).
 *
 * Bytes: the row once, k results. Shape of parallelism: a block per segment. */
template <typename T>
__global__ void __launch_bounds__(kThreads, 1) select_segments_kernel(mo_topk_kernel_args args) {
  workspace *work = mo_shared_memory<workspace>();
  candidate *chosen = reinterpret_cast<candidate *>(work + 1);
  bits_of<T> *keys = reinterpret_cast<bits_of<T> *>(chosen + padded_size(args.k));
  const int64_t row = blockIdx.x / args.segments, segment = blockIdx.x % args.segments;
  const bits_of<T> *input = static_cast<const bits_of<T> *>(args.input) + row_offset(args, row);
  const int64_t first = segment * args.segment_length;
  const int64_t count = first + args.segment_length < args.count ? args.segment_length : args.count - first;
  stage<T>(input + first * args.stride, args.stride, count, keys);
  __syncthreads();
  const staged_keys<T> source = {keys, first};
  const int64_t k = args.k < count ? args.k : count; /* the last segment may be short */
  choose_sorted<key_bits<T>>(source, count, k, chosen, work);
  if (args.segments == 1) {
    store_row<T>(args, row, input, chosen);
    return;
  }
  candidate *result = args.scratch + (row * args.segments + segment) * args.k;
  for (int64_t i = threadIdx.x; i < args.k; i += kThreads) result[i] = i < k ? chosen[i] : 0;
}

/* The k largest of what a row's segments chose. Bytes: segments * k candidates of 8 bytes, a few times, from L2. */
template <typename T>
__global__ void __launch_bounds__(kThreads, 1) merge_segments_kernel(mo_topk_kernel_args args) {
  workspace *work = mo_shared_memory<workspace>();
  candidate *chosen = reinterpret_cast<candidate *>(work + 1);
  const int64_t row = blockIdx.x;
  const bits_of<T> *input = static_cast<const bits_of<T> *>(args.input) + row_offset(args, row);
  const candidate_keys source = {args.scratch + row * args.segments * args.k};
  choose_sorted<key_bits<T>>(source, args.segments * args.k, args.k, chosen, work);
  store_row<T>(args, row, input, chosen);
}

/* Stable sort by falling key, kSortBits at a time; the candidates come in order of position where keys are equal. A run of
 * candidates per thread; `counters` (kSortDigits, kThreads) in shared memory tell where each thread's next one of a digit goes.
 * After an even number of passes the result is in `candidates`. */
template <int Bits>
__device__ __forceinline__ void sort_scratch(candidate *candidates, candidate *buffer, int64_t count, unsigned *counters,
                                             workspace *work) {
  static_assert(Bits / kSortBits % 2 == 0, "an odd number of passes leaves the result in the buffer");
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t run = (count + kThreads - 1) / kThreads;
  const int64_t begin = run * thread, end = begin + run < count ? begin + run : count;
  for (int shift = 32; shift < 32 + Bits; shift += kSortBits) {
    const auto slot = [shift, thread](candidate c) {
      return (kSortDigits - 1 - static_cast<int>(c >> shift & (kSortDigits - 1))) * kThreads + thread;
    };
#pragma unroll
    for (int d = 0; d < kSortDigits; ++d) counters[d * kThreads + thread] = 0;
    for (int64_t i = begin; i < end; ++i) ++counters[slot(candidates[i])];
    __syncthreads();
    mo_count own = 0, total;
    for (int d = 0; d < kSortDigits; ++d) own += counters[thread * kSortDigits + d];
    mo_count before = mo_scan_block(own, work->slots, &total);
    for (int d = 0; d < kSortDigits; ++d) {
      const unsigned size = counters[thread * kSortDigits + d];
      counters[thread * kSortDigits + d] = static_cast<unsigned>(before);
      before += size;
    }
    __syncthreads();
    for (int64_t i = begin; i < end; ++i) buffer[counters[slot(candidates[i])]++] = candidates[i];
    __syncthreads();
    candidate *swap = candidates;
    candidates = buffer;
    buffer = swap;
  }
}

/* Any k: rows one after another in each block, which has 2 k candidates of scratch. */
template <typename T>
__global__ void __launch_bounds__(kThreads, 1) select_large_kernel(mo_topk_kernel_args args) {
  workspace *work = mo_shared_memory<workspace>();
  unsigned *counters = reinterpret_cast<unsigned *>(work + 1);
  candidate *chosen = args.scratch + blockIdx.x * 2 * args.k;
  for (int64_t row = blockIdx.x; row < args.rows; row += args.blocks) {
    const bits_of<T> *input = static_cast<const bits_of<T> *>(args.input) + row_offset(args, row);
    const row_keys<T> source = {input, args.stride};
    choose<key_bits<T>>(source, args.count, args.k, chosen, work);
    sort_scratch<key_bits<T>>(chosen, chosen + args.k, args.k, counters, work);
    store_row<T>(args, row, input, chosen);
    __syncthreads(); /* the next row's candidates take the place of these */
  }
}

template <typename T>
cudaError_t launch_type(const mo_topk_kernel_args &args, cudaStream_t stream) {
  const dim3 block(kThreads);
  if (args.k > kSortLimit) {
    const size_t shared = sizeof(workspace) + kSortDigits * kThreads * sizeof(unsigned);
    return MO_LAUNCH(select_large_kernel<T>, dim3(static_cast<unsigned>(args.blocks)), block, shared, stream, args);
  }
  const size_t sorting = sizeof(workspace) + static_cast<size_t>(padded_size(args.k)) * sizeof(candidate);
  const size_t shared = sorting + static_cast<size_t>(args.segment_length) * sizeof(T);
  const cudaError_t error =
      MO_LAUNCH(select_segments_kernel<T>, dim3(static_cast<unsigned>(args.rows * args.segments)), block, shared, stream, args);
  if (error != cudaSuccess || args.segments == 1) return error;
  return MO_LAUNCH(merge_segments_kernel<T>, dim3(static_cast<unsigned>(args.rows)), block, sorting, stream, args);
}

}  // namespace

size_t mo_plan_topk(mo_topk_kernel_args *args, int32_t multiprocessors) {
  args->segments = 1;
  args->segment_length = args->count;
  args->blocks = 1;
  if (args->rows == 0) return 0;
  if (args->k > kSortLimit) {
    const int64_t most = kBlocksPerMultiprocessor * multiprocessors;
    args->blocks = args->rows < most ? args->rows : most;
    return static_cast<size_t>(args->blocks * 2 * args->k) * sizeof(candidate);
  }
  if (args->count <= kSegment) return 0; /* a second launch would cost more than more blocks gain */
  int64_t length = kSegment;
  while (length > kShortSegment && length > 4 * args->k && args->count / length * args->rows < multiprocessors) length /= 2;
  args->segment_length = length;
  args->segments = (args->count + length - 1) / length;
  return static_cast<size_t>(args->rows * args->segments * args->k) * sizeof(candidate);
}

cudaError_t mo_launch_topk(const mo_topk_kernel_args *args, cudaStream_t stream) {
  if (args->rows == 0) return cudaSuccess;
  return mo_with_float_type(args->dtype, [&](auto zero) { return launch_type<decltype(zero)>(*args, stream); });
}
