/* kernels/sampling.cu - the next token of each row of logits: greedy, temperature, top-k, top-p, min-p.
 *
 * Scores become unsigned keys of the same order. Probabilities are 40-bit fractions of the largest, whole numbers, so that
 * sums of them are exact in any order: histograms by atomics are deterministic, and a prefix sum over ids agrees with the total
 * to the last bit. Everything is found by one primitive, the first element in an order up to and including which the weights
 * add up to more than a target: the k-th largest score (weights 1), the border of top-p (weights are probabilities, order is
 * score, then id), the drawn token (order is id). No sort.
 *
 * Reads of the row: one for greedy; two without a filter or with min-p (largest; sums, then the drawn warp's part again); two
 * with top-k or top-p as long as the candidates fit into shared memory. Which scores are candidates follows from the first
 * read: at least k scores reach the k-th largest of the threads' maxima. Where that is too many (more than kCandidates; a
 * nucleus beyond them), the radix selection reads the row itself, three times per filter. All but the first read hit L2.
 *
 * Shape of parallelism: one block per row, a run of ids per warp. At batch 1 one multiprocessor reads 128k float32 logits
 * at what one multiprocessor can draw from L2; more blocks per row would need a second launch.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/sampling.h"

#include "host/rules/philox.h"
#include "kernels/arch/launch.cuh"
#include "kernels/common/dtype.cuh"
#include "kernels/common/scan.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 512; /* 1024 would leave 64 registers each, and spill */
constexpr int kWarps = kThreads / 32;
constexpr int kDigitBits = 11;
constexpr int kBins = 1 << kDigitBits;
constexpr int kBinsPerThread = kBins / kThreads;
constexpr unsigned kCandidates = 4096;
/* Rank among the threads' maxima whose value bounds the candidates of top-p; of 128k random logits about 1900 reach it. A
 * larger k than this would leave too many. */
constexpr int64_t kGuess = 500;
constexpr int kBatch = 4;                /* 16-byte loads in flight per thread */
constexpr float kOne = 1099511627776.0f; /* 2^40: the largest probability */

constexpr uint32_t kLowestKey = 0x007FFFFFu; /* of -inf */

__device__ __forceinline__ uint32_t key_of(float score) {
  const uint32_t bits = __float_as_uint(score + 0.0f); /* -0 becomes 0 */
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float score_of(uint32_t key) {
  return __uint_as_float((key & 0x80000000u) != 0 ? key & 0x7FFFFFFFu : ~key);
}

struct workspace {
  mo_count slots[kWarps];
  mo_count found[2];
  mo_count bins[kBins];
  unsigned candidate_count;
  uint32_t keys[kCandidates], positions[kCandidates];
};

/* Fractions of the largest probability, 2^40. */
struct mass_of {
  float maximum;
  __device__ __forceinline__ mo_count operator()(uint32_t key) const {
    const float score = score_of(key);
    if (score == maximum) return static_cast<mo_count>(kOne); /* infinity minus infinity */
    return static_cast<mo_count>(mo_exp2((score - maximum) * 1.44269504f) * kOne);
  }
};

/* ---- Where scores come from ---- */

/* A row in memory. Ids are counted from the last 16-byte border before it, so that every load but the first and the last is
 * one of 16 aligned bytes. */
template <typename T>
struct row_source {
  const T *row;
  int head;      /* elements between that border and the row */
  int64_t end;   /* head + count */
  int64_t span;  /* elements per warp */
  float divisor; /* the temperature */
  mo_sampling_column suppressed;
  mo_dtype_t suppressed_dtype;
  int64_t suppressed_count;

  static constexpr int N = mo_vector_width<T>;
  static constexpr int kStep = 32 * N;

  __device__ __forceinline__ row_source(const mo_sampling_kernel_args &args, int64_t index, float temperature)
      : row(static_cast<const T *>(args.logits) + index * args.logits_stride),
        head(static_cast<int>(reinterpret_cast<uintptr_t>(row) % 16 / sizeof(T))),
        end(head + args.count),
        span((end + kWarps * kStep - 1) / (kWarps * kStep) * kStep),
        divisor(temperature),
        suppressed(args.suppressed_tokens),
        suppressed_dtype(args.suppressed_dtype),
        suppressed_count(args.suppressed_count) {}

  __device__ __forceinline__ float score(uint32_t id, float logit) const {
    float value = divisor == 1.0f ? logit : logit / divisor;
#pragma unroll 1
    for (int64_t i = 0; i < suppressed_count; ++i) {
      if (mo_load_index(suppressed.data, suppressed_dtype, i * suppressed.stride) == id) value = -INFINITY;
    }
    return value == value ? value : -INFINITY;
  }
  __device__ __forceinline__ float score_at(int64_t id) const { return score(static_cast<uint32_t>(id), mo_to_float(row[id])); }

  __device__ __forceinline__ uint4 load(int64_t place) const {
    if (place >= head && place + N <= end) return mo_load16(row + (place - head));
    uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (place + i < head || place + i >= end) continue;
      if constexpr (sizeof(T) == 4) words[i] = __float_as_uint(row[place + i - head]);
      else words[i / 2] |= static_cast<uint32_t>(row[place + i - head].bits) << 16 * (i % 2);
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
  }

  /* f(id, score) for the elements of a load. */
  template <typename F>
  __device__ __forceinline__ void unpack(const uint4 &raw, int64_t place, F f) const {
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < N; ++i) {
      float logit;
      if constexpr (sizeof(T) == 4) logit = __uint_as_float(words[i]);
      else logit = mo_to_float(T{static_cast<uint16_t>(words[i / 2] >> 16 * (i % 2))});
      const uint32_t id = static_cast<uint32_t>(place + i - head);
      if (place + i >= head && place + i < end) f(id, score(id, logit));
    }
  }

  /* f(raw, place) for the loads of this thread's part of the warp's run, ids rising. */
  template <typename F>
  __device__ __forceinline__ void for_each_load(F f) const {
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    const int64_t first = warp * span, limit = first + span < end ? first + span : end;
    for (int64_t place = first + lane * N; place < limit; place += kBatch * kStep) {
      uint4 raw[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (place + b * kStep < limit) raw[b] = load(place + b * kStep);
      }
      /* Only one copy of what is done with a load: its bytes are here by now, and with four of them ptxas takes minutes. */
#pragma unroll 1
      for (int b = 0; b < kBatch && place + b * kStep < limit; ++b) {
        f(raw[0], place + b * kStep);
#pragma unroll
        for (int i = 1; i < kBatch; ++i) raw[i - 1] = raw[i];
      }
    }
  }
  /* f(id, score) */
  template <typename F>
  __device__ __forceinline__ void for_each_score(F f) const {
    for_each_load([&](const uint4 &raw, int64_t place) { unpack(raw, place, f); });
  }
  /* f(id, key) */
  template <typename F>
  __device__ __forceinline__ void for_each(F f) const {
    for_each_score([&](uint32_t position, float value) { f(position, key_of(value)); });
  }
  /* The same with one copy of f, for what waits for atomics in its turn anyway. */
  template <typename F>
  __device__ __forceinline__ void for_each_in_turn(F f) const {
    for_each_load([&](uint4 raw, int64_t place) {
#pragma unroll 1
      for (int i = 0; i < N; ++i) {
        float logit;
        if constexpr (sizeof(T) == 4) {
          logit = __uint_as_float(raw.x);
          raw.x = raw.y, raw.y = raw.z, raw.z = raw.w;
        } else {
          logit = mo_to_float(T{static_cast<uint16_t>(raw.x)});
          raw.x = raw.x >> 16 | raw.y << 16, raw.y = raw.y >> 16 | raw.z << 16, raw.z = raw.z >> 16 | raw.w << 16, raw.w >>= 16;
        }
        const uint32_t id = static_cast<uint32_t>(place + i - head);
        if (place + i >= head && place + i < end) f(id, key_of(score(id, logit)));
      }
    });
  }
};

/* Candidates in shared memory, in any order. */
struct candidate_source {
  const workspace *work;
  int64_t count;     /* of candidates */
  int position_bits; /* of ids */
  template <typename F>
  __device__ __forceinline__ void for_each(F f) const {
    for (int64_t i = threadIdx.x; i < count; i += kThreads) f(work->positions[i], work->keys[i]);
  }
  template <typename F>
  __device__ __forceinline__ void for_each_in_turn(F f) const {
    for_each(f);
  }
};

/* ---- Selection ---- */

/* Of the elements with weight, in rising order of value(id, key), which has `bits` bits: the value of the first up to and
 * including which the weights add up to more than `target`; what is left of the target there. target < the sum of all. */
template <typename Source, typename Value, typename Weight>
__device__ __forceinline__ uint32_t select_value(const Source &source, int bits, Value value, Weight weight, mo_count *target,
                                                 workspace *work) {
  const int thread = static_cast<int>(threadIdx.x);
  uint32_t prefix = 0, known = 0;
  for (int left = bits; left > 0;) {
    const int width = left < kDigitBits ? left : kDigitBits;
    const int shift = left - width;
    const uint32_t mask = (1u << width) - 1u;
#pragma unroll
    for (int i = 0; i < kBinsPerThread; ++i) work->bins[thread + i * kThreads] = 0;
    __syncthreads();
    source.for_each_in_turn([&](uint32_t position, uint32_t key) {
      const uint32_t v = value(position, key);
      if ((v & known) != prefix) return;
      const mo_count w = weight(position, key);
      if (w != 0) atomicAdd(&work->bins[v >> shift & mask], w);
    });
    __syncthreads();
    mo_count own = 0, total;
#pragma unroll
    for (int i = 0; i < kBinsPerThread; ++i) own += work->bins[thread * kBinsPerThread + i];
    mo_count before = mo_scan_block(own, work->slots, &total);
    if (before <= *target && *target < before + own) { /* one thread */
      int digit = thread * kBinsPerThread;
      while (before + work->bins[digit] <= *target) before += work->bins[digit++];
      work->found[0] = static_cast<mo_count>(digit);
      work->found[1] = before;
    }
    __syncthreads();
    prefix |= static_cast<uint32_t>(work->found[0]) << shift;
    known |= mask << shift;
    *target -= work->found[1];
    left = shift;
    __syncthreads(); /* found is written again */
  }
  return prefix;
}

template <typename Source, typename Weight>
__device__ __forceinline__ mo_count sum_of(const Source &source, Weight weight, workspace *work) {
  mo_count own = 0, total;
  source.for_each([&](uint32_t position, uint32_t key) { own += weight(position, key); });
  mo_scan_block(own, work->slots, &total);
  return total;
}

/* The first id up to and including which the weights add up to more than target_of(their sum), which goes to `total`. */
template <typename Weight, typename Target>
__device__ __forceinline__ uint32_t select_position(const candidate_source &source, Weight weight, Target target_of,
                                                    mo_count *total, workspace *work) {
  *total = sum_of(source, weight, work);
  mo_count target = target_of(*total);
  return select_value(
      source, source.position_bits, [](uint32_t position, uint32_t) { return position; }, weight, &target, work);
}

template <typename T, typename Weight, typename Target>
__device__ __forceinline__ uint32_t select_position(const row_source<T> &source, Weight weight, Target target_of,
                                                    mo_count *total, workspace *work) {
  constexpr int N = row_source<T>::N, kStep = row_source<T>::kStep;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  mo_count own = 0;
  source.for_each([&](uint32_t position, uint32_t key) { own += weight(position, key); });
  const mo_count before = mo_scan_block(own, work->slots, total);
  const mo_count target = target_of(*total);
  mo_count base = __shfl_sync(mo_full_warp, before, 0);
  if (base <= target && target < __shfl_sync(mo_full_warp, before + own, 31)) { /* one warp: its run once more, in order */
    for (int64_t place = warp * source.span;; place += kStep) {
      const uint4 raw = source.load(place + lane * N);
      mo_count mine = 0;
      source.unpack(raw, place + lane * N, [&](uint32_t position, float score) { mine += weight(position, key_of(score)); });
      mo_count inclusive = mine;
#pragma unroll
      for (int offset = 1; offset < 32; offset *= 2) {
        const mo_count below = __shfl_up_sync(mo_full_warp, inclusive, static_cast<unsigned>(offset));
        if (lane >= offset) inclusive += below;
      }
      const mo_count after = base + __shfl_sync(mo_full_warp, inclusive, 31);
      if (target >= after) {
        base = after;
        continue;
      }
      mo_count reached = base + inclusive - mine;
      if (reached <= target && target < base + inclusive) { /* one lane */
        source.unpack(raw, place + lane * N, [&](uint32_t position, float score) {
          const mo_count w = weight(position, key_of(score));
          if (reached <= target && target < reached + w) work->found[0] = position;
          reached += w;
        });
      }
      break;
    }
  }
  __syncthreads();
  const uint32_t position = static_cast<uint32_t>(work->found[0]);
  __syncthreads(); /* found is written again */
  return position;
}

/* ---- The filters and the draw ---- */

/* What stays: keys above `key`, and of those equal to it the ids from `position` on. */
struct border {
  uint32_t key, position;
  __device__ __forceinline__ bool keeps(uint32_t p, uint32_t k) const { return k > key || (k == key && p >= position); }
};

/* Moves the border up to what the filters leave; false if what `source` does not hold would have to be known. `row_total` is
 * the sum over the row (top-p without top-k). */
template <typename Source>
__device__ __forceinline__ bool filter(const mo_sampling_kernel_args &args, const Source &source, int64_t source_count,
                                       const mass_of &mass, bool whole_row, mo_count row_total, border *kept, workspace *work) {
  if (args.top_k > 0) {
    mo_count target = static_cast<mo_count>(source_count - args.top_k);
    const uint32_t kth = select_value(
        source, 32, [](uint32_t, uint32_t key) { return key; }, [](uint32_t, uint32_t) { return mo_count{1}; }, &target, work);
    if (kth > kept->key) kept->key = kth;
  }
  if (args.removed_fraction > 0) {
    const uint32_t floor = kept->key;
    const auto weight = [&](uint32_t, uint32_t key) { return key >= floor ? mass(key) : mo_count{0}; };
    const mo_count here = sum_of(source, weight, work);
    const mo_count total = whole_row || args.top_k > 0 ? here : row_total;
    mo_count target = mo_fraction_of(args.removed_fraction, total);
    if (target < total - here) return false;
    target -= total - here;
    if (target >= here) target = here - 1;
    kept->key = select_value(
        source, 32, [](uint32_t, uint32_t key) { return key; }, weight, &target, work);
    const mo_count removed = target / mass(kept->key); /* so many of those equal to the border */
    if (removed > 0) {
      const uint32_t key = kept->key;
      mo_count equal;
      kept->position = select_position(
          source, [=](uint32_t, uint32_t k) { return static_cast<mo_count>(k == key); }, [=](mo_count) { return removed; },
          &equal, work);
    }
  }
  return true;
}

/* The drawn id, and the sum of the probabilities it was drawn from. */
template <typename Source>
__device__ __forceinline__ uint32_t draw(const Source &source, const border &kept, const mass_of &mass, uint64_t bits,
                                         mo_count *total, workspace *work) {
  return select_position(
      source, [&](uint32_t position, uint32_t key) { return kept.keeps(position, key) ? mass(key) : mo_count{0}; },
      [=](mo_count sum) { return static_cast<mo_count>(mo_fraction_of(bits, sum)); }, total, work);
}

/* Gathers the scores that may stay, and sums the probabilities of the row for top-p. Returns how many there are; more than
 * kCandidates: they were not kept. `best` is the largest score this thread has seen. */
template <typename T>
__device__ __forceinline__ int64_t gather(const mo_sampling_kernel_args &args, const row_source<T> &row, float best,
                                          const mass_of &mass, mo_count *row_total, workspace *work) {
  const int thread = static_cast<int>(threadIdx.x);
  uint32_t bound = 0;
  if (args.count > kCandidates) {
    const int64_t wanted = args.top_k > 0 ? args.top_k : kGuess;
    if (wanted > kGuess) return args.count;
    work->keys[thread] = key_of(best);
    work->positions[thread] = 0;
    __syncthreads();
    mo_count target = static_cast<mo_count>(kThreads - wanted);
    bound = select_value(
        candidate_source{work, kThreads, 0}, 32, [](uint32_t, uint32_t key) { return key; },
        [](uint32_t, uint32_t) { return mo_count{1}; }, &target, work);
  }
  if (thread == 0) work->candidate_count = 0;
  __syncthreads();
  const bool summed = args.removed_fraction > 0 && args.top_k == 0;
  mo_count own = 0;
  row.for_each([&](uint32_t position, uint32_t key) {
    if (summed) own += mass(key);
    if (key < bound) return;
    const unsigned slot = atomicAdd(&work->candidate_count, 1u);
    if (slot >= kCandidates) return;
    work->keys[slot] = key;
    work->positions[slot] = position;
  });
  mo_scan_block(own, work->slots, row_total); /* its barriers are those of the candidates too */
  return work->candidate_count;
}

/* ---- The kernel ---- */

/* The largest score of the block and the lowest id that has it, as key above complement of id. */
__device__ __forceinline__ mo_count largest_of_block(mo_count mine, mo_count *slots) {
  const auto larger = [](mo_count a, mo_count b) { return a > b ? a : b; };
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) mine = larger(mine, __shfl_xor_sync(mo_full_warp, mine, offset));
  if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = mine;
  __syncthreads();
  mine = slots[threadIdx.x % kWarps];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) mine = larger(mine, __shfl_xor_sync(mo_full_warp, mine, offset));
  __syncthreads();
  return mine;
}
__device__ __forceinline__ void advance(const mo_sampling_column &counters, int64_t row) {
  if (counters.data == nullptr) return;
  int32_t &counter = static_cast<int32_t *>(counters.data)[row * counters.stride];
  if (counter < INT32_MAX) ++counter;
}

/* What a row leaves behind; one thread. */
__device__ __forceinline__ void finish_row(const mo_sampling_kernel_args &args, int64_t row, bool was_done, int64_t token,
                                           float log_probability) {
  if (was_done) {
    token = args.pad_token;
    log_probability = 0.0f;
  } else if (args.finished.data != nullptr) {
    bool ends = false;
    for (int64_t i = 0; i < args.end_token_count; ++i) {
      ends = ends || mo_load_index(args.end_tokens.data, args.end_token_dtype, i * args.end_tokens.stride) == token;
    }
    if (ends) static_cast<uint8_t *>(args.finished.data)[row * args.finished.stride] = 1;
  }
  const int64_t place = row * args.tokens.stride;
  if (args.token_dtype == MO_DTYPE_INT64) static_cast<int64_t *>(args.tokens.data)[place] = token;
  else static_cast<int32_t *>(args.tokens.data)[place] = static_cast<int32_t>(token);
  if (args.log_probabilities.data != nullptr) {
    static_cast<float *>(args.log_probabilities.data)[row * args.log_probabilities.stride] = log_probability;
  }
  if (args.step_counts.data != nullptr) {
    int64_t &draws = static_cast<int64_t *>(args.step_counts.data)[row * args.step_counts.stride];
    if (draws < INT64_MAX) ++draws;
  }
  advance(args.lengths, row);
  advance(args.positions, row);
}

/* log softmax, or (both 0) nothing. */
struct normaliser {
  float maximum, log_total;
  __device__ __forceinline__ float operator()(float score) const {
    if (maximum == INFINITY) return score == INFINITY ? -log_total : -INFINITY;
    return score - maximum - log_total;
  }
};

__device__ __forceinline__ float log_of(mo_count total) { return logf(static_cast<float>(total) / kOne); }

/* What stays of the row is `kept`. In place where scores and logits are one buffer: a thread reads what it writes. */
template <typename T>
__device__ __forceinline__ void store_scores(const row_source<T> &row, int64_t count, const border &kept,
                                             const normaliser &normal, float *scores) {
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const float score = row.score_at(i);
    scores[i] = kept.keeps(static_cast<uint32_t>(i), key_of(score)) ? normal(score) : -INFINITY;
  }
}

/* The largest score of the row and the lowest id that has it, as key above complement of id; this thread's own in `best`. */
template <typename T>
__device__ __forceinline__ mo_count largest_of_row(const row_source<T> &row, float *best, workspace *work) {
  float largest = -INFINITY;
  uint32_t place = 0xFFFFFFFFu;
  row.for_each_score([&](uint32_t position, float score) {
    if (score > largest) {
      largest = score;
      place = position;
    }
  });
  *best = largest;
  return largest_of_block(static_cast<mo_count>(key_of(largest)) << 32 | static_cast<uint32_t>(~place), work->slots);
}

/* log softmax looks at the row as it is, before tokens are suppressed. */
template <typename T>
__device__ __forceinline__ normaliser log_softmax_of(row_source<T> row, workspace *work) {
  float best;
  row.suppressed_count = 0;
  const mass_of mass = {score_of(static_cast<uint32_t>(largest_of_row(row, &best, work) >> 32))};
  if (mass.maximum == -INFINITY) return {0.0f, 0.0f};
  const mo_count total = sum_of(
      row, [&](uint32_t, uint32_t key) { return mass(key); }, work);
  return {mass.maximum, log_of(total)};
}

template <typename T>
__global__ void __launch_bounds__(kThreads, 1) sample_kernel(mo_sampling_kernel_args args) {
  workspace *work = mo_shared_memory<workspace>();
  const int64_t index = blockIdx.x;
  const bool was_done =
      args.finished.data != nullptr && static_cast<const uint8_t *>(args.finished.data)[index * args.finished.stride] != 0;
  if (was_done && args.scores == nullptr) {
    if (threadIdx.x == 0) finish_row(args, index, true, 0, 0.0f);
    return;
  }
  const bool greedy = args.temperature == 0.0f;
  const row_source<T> row(args, index, greedy ? 1.0f : args.temperature);
  uint64_t step = args.step;
  if (args.step_counts.data != nullptr) {
    step += static_cast<uint64_t>(static_cast<const int64_t *>(args.step_counts.data)[index * args.step_counts.stride]);
  }
  float best;
  const mo_count largest = largest_of_row(row, &best, work);
  const uint32_t largest_key = static_cast<uint32_t>(largest >> 32);
  const mass_of mass = {score_of(largest_key)};
  /* Where a score is +inf only its like have a probability. */
  border kept = {!greedy && mass.maximum == INFINITY ? largest_key : 0u, 0u};
  uint32_t token = 0;
  mo_count total = 0;
  bool has_choice = true;
  if (largest_key == kLowestKey) {
    has_choice = false;
  } else if (greedy) {
    token = ~static_cast<uint32_t>(largest);
    if (args.log_probabilities.data != nullptr && !args.log_softmax) {
      total = sum_of(
          row, [&](uint32_t, uint32_t key) { return mass(key); }, work);
    }
  } else {
    const int64_t number = args.row_numbers.data != nullptr
                               ? static_cast<const int64_t *>(args.row_numbers.data)[index * args.row_numbers.stride]
                               : index;
    const uint64_t bits = mo_sampling_bits(args.seed, step, static_cast<uint64_t>(number));
    const uint32_t min_p_key = args.min_p ? key_of(mass.maximum + args.log_min_p) : 0u;
    bool drawn = false;
    if (args.top_k > 0 || args.removed_fraction > 0) {
      mo_count row_total = 0;
      const int64_t candidates = gather(args, row, best, mass, &row_total, work);
      const candidate_source source = {work, candidates, args.count > 1 ? 32 - __clz(static_cast<int>(args.count - 1)) : 1};
      border narrowed = kept;
      if (candidates <= kCandidates && filter(args, source, candidates, mass, false, row_total, &narrowed, work)) {
        kept = narrowed;
        if (min_p_key > kept.key) kept = border{min_p_key, 0u};
        token = draw(source, kept, mass, bits, &total, work);
        drawn = true;
      } else {
        filter(args, row, args.count, mass, true, 0, &kept, work);
      }
    }
    if (!drawn) {
      if (min_p_key > kept.key) kept = border{min_p_key, 0u};
      token = draw(row, kept, mass, bits, &total, work);
    }
  }
  const normaliser normal = args.log_softmax ? log_softmax_of(row, work) : normaliser{0.0f, 0.0f};
  if (threadIdx.x == 0) {
    float log_probability = -INFINITY;
    if (args.log_softmax) log_probability = normal(row.score_at(token));
    else if (total > 0) log_probability = normaliser{mass.maximum, log_of(total)}(row.score_at(token));
    finish_row(args, index, was_done, has_choice || !args.marks_no_choice ? int64_t{token} : int64_t{-1}, log_probability);
  }
  if (args.scores != nullptr) {
    __syncthreads(); /* the drawn logit is read before it may be overwritten */
    store_scores(row, args.count, kept, normal, args.scores + index * args.scores_stride);
  }
}

}  // namespace

cudaError_t mo_launch_sampling(const mo_sampling_kernel_args *args, cudaStream_t stream) {
  if (args->rows == 0) return cudaSuccess;
  const dim3 grid(static_cast<unsigned>(args->rows)), block(kThreads);
  return mo_with_float_type(args->dtype, [&](auto zero) {
    return MO_LAUNCH(sample_kernel<decltype(zero)>, grid, block, sizeof(workspace), stream, *args);
  });
}
