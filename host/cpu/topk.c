/* host/cpu/topk.c - top-k on the CPU, one row at a time, rows in parallel.
 *
 * Small k: a heap of the k best, and a vectorised scan that skips blocks without a value above the heap's worst; almost all of
 * a row is read once and never compared one by one. Large k: radix selection of the k-th key, then a radix sort of the chosen.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/strided.h"
#include "host/cpu/topk_kernels.h"
#include "host/cpu/topk_key.h"

/* Up to here the heap wins; it also fits on the stack. */
#define HEAP_LIMIT 128
/* Below this many elements starting the threads costs more than it gains. */
#define PARALLEL_ELEMENTS ((int64_t)32768)
#define RADIX_BITS 8
#define RADIX_SIZE (1 << RADIX_BITS)

/* A candidate: the key above, the complement of the position below, so that of equal values the earlier one is larger. All
 * candidates of a row differ, which makes every selection and every order unique. */
typedef uint64_t candidate;

static candidate make_candidate(uint32_t key, int64_t position) {
  return (uint64_t)key << 32 | (UINT32_MAX - (uint32_t)position);
}
static uint32_t candidate_key(candidate c) { return (uint32_t)(c >> 32); }
static int64_t candidate_position(candidate c) { return (int64_t)(UINT32_MAX - (uint32_t)c); }

/* The value of a key, the inverse of mo_topk_key. */
static float key_value(uint32_t key) {
  if (key == MO_TOPK_KEY_NAN) return NAN;
  return mo_float_from_bits(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key);
}

/* ---- Small k ---- */

/* Restores the heap (smallest at the root) below `node`. */
static void sift_down(candidate *heap, int64_t size, int64_t node) {
  const candidate moving = heap[node];
  for (int64_t child = 2 * node + 1; child < size; child = 2 * node + 1) {
    if (child + 1 < size && heap[child + 1] < heap[child]) ++child;
    if (moving <= heap[child]) break;
    heap[node] = heap[child];
    node = child;
  }
  heap[node] = moving;
}

/* The k best of a contiguous row, largest first. */
static void select_by_heap(const void *row, mo_dtype_t dtype, int64_t count, int64_t k, candidate *heap) {
  heap[0] = make_candidate(mo_topk_key(mo_read_float(row, dtype, 0)), 0);
  for (int64_t i = 1; i < k; ++i) heap[i] = make_candidate(mo_topk_key(mo_read_float(row, dtype, i)), i);
  for (int64_t node = k / 2 - 1; node >= 0; --node) sift_down(heap, k, node);
  float bound = key_value(candidate_key(heap[0]));    /* what a value must exceed */
  for (int64_t i = k; i < count && bound == bound;) { /* nothing exceeds NaN */
    const int64_t block = MO_CPU_SELECT(mo_topk_find_block)(row, dtype, i, count, bound);
    const int64_t end = block + MO_TOPK_BLOCK < count ? block + MO_TOPK_BLOCK : count;
    for (i = block; i < end; ++i) {
      const float value = mo_read_float(row, dtype, i);
      if (value <= bound) continue; /* an equal one loses to the earlier */
      heap[0] = make_candidate(mo_topk_key(value), i);
      sift_down(heap, k, 0);
      bound = key_value(candidate_key(heap[0]));
      if (bound != bound) break;
    }
  }
  for (int64_t size = k; size > 1; --size) { /* the smallest goes to the end */
    const candidate smallest = heap[0];
    heap[0] = heap[size - 1];
    sift_down(heap, size - 1, 0);
    heap[size - 1] = smallest;
  }
}

/* ---- Large k ---- */

/* The k-th largest key, and how many of those equal to it belong to the k. One digit at a time; the keys that share the digits
 * found so far are gathered in `rest` (of `count`), so that only the first pass looks at all of them. */
static uint32_t find_kth_key(const uint32_t *keys, int64_t count, int64_t k, uint32_t *rest, int64_t *equal_wanted) {
  uint32_t prefix = 0;
  const uint32_t *from = keys;
  for (int shift = 32 - RADIX_BITS; shift >= 0; shift -= RADIX_BITS) {
    int64_t histogram[2][RADIX_SIZE] = {{0}}; /* two, because equal digits in a row would wait for one another's count */
    for (int64_t i = 0; i < count; ++i) ++histogram[i & 1][from[i] >> shift & (RADIX_SIZE - 1)];
    uint32_t digit = RADIX_SIZE - 1;
    while (histogram[0][digit] + histogram[1][digit] < k) {
      k -= histogram[0][digit] + histogram[1][digit];
      --digit;
    }
    prefix |= digit << shift;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t key = from[i];
      rest[kept] = key; /* without a branch: kept <= i */
      kept += (key >> shift & (RADIX_SIZE - 1)) == digit;
    }
    from = rest;
    count = kept;
  }
  *equal_wanted = k;
  return prefix;
}

/* By falling key. The sort is stable and the candidates come in order of position, so ties need no look at it. Both buffers
 * hold `count`; after an even number of passes the result is in `candidates`. */
static void sort_candidates(candidate *candidates, candidate *buffer, int64_t count) {
  for (int shift = 32; shift < 64; shift += RADIX_BITS) {
    int64_t start[RADIX_SIZE] = {0};
    for (int64_t i = 0; i < count; ++i) ++start[candidates[i] >> shift & (RADIX_SIZE - 1)];
    int64_t next = 0;
    for (int digit = RADIX_SIZE - 1; digit >= 0; --digit) {
      const int64_t size = start[digit];
      start[digit] = next;
      next += size;
    }
    for (int64_t i = 0; i < count; ++i) buffer[start[candidates[i] >> shift & (RADIX_SIZE - 1)]++] = candidates[i];
    candidate *swap = candidates;
    candidates = buffer;
    buffer = swap;
  }
}

static void select_by_radix(const void *row, mo_dtype_t dtype, int64_t count, int64_t k, uint32_t *const *keys_and_rest,
                            candidate *candidates, candidate *buffer) {
  uint32_t *keys = keys_and_rest[0];
  MO_CPU_SELECT(mo_topk_keys)(row, dtype, count, keys);
  int64_t equal_wanted = 0;
  const uint32_t kth = find_kth_key(keys, count, k, keys_and_rest[1], &equal_wanted);
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (keys[i] < kth || (keys[i] == kth && equal_wanted-- <= 0)) continue;
    candidates[found++] = make_candidate(keys[i], i);
  }
  sort_candidates(candidates, buffer, k);
}

/* ---- The op ---- */

/* One thread's scratch. */
typedef struct buffers {
  void *row; /* a contiguous copy, for rows with a stride */
  uint32_t *keys[2];
  candidate *candidates[2];
} buffers;

static void carve(const mo_tensor *input, int64_t k, mo_arena *arena, buffers *b) {
  const int64_t count = input->shape[input->rank - 1];
  const bool gathered = count > 1 && input->strides[input->rank - 1] != 1;
  const bool large = k > HEAP_LIMIT;
  b->row = mo_arena_carve(arena, gathered ? (size_t)count * sizeof(float) : 0);
  for (int i = 0; i < 2; ++i) {
    b->keys[i] = mo_arena_carve(arena, large ? (size_t)count * sizeof(uint32_t) : 0);
    b->candidates[i] = mo_arena_carve(arena, large ? (size_t)k * sizeof(candidate) : 0);
  }
  if (!gathered) b->row = NULL;
}

static void copy_element(const mo_tensor *from, int64_t from_offset, const mo_tensor *to, int64_t to_offset) {
  if (from->dtype == MO_DTYPE_FLOAT32) ((uint32_t *)to->data)[to_offset] = ((const uint32_t *)from->data)[from_offset];
  else ((uint16_t *)to->data)[to_offset] = ((const uint16_t *)from->data)[from_offset];
}

static void select_row(const mo_topk_params *params, int64_t index, const buffers *b) {
  const mo_tensor *input = params->input;
  const int32_t last = input->rank - 1;
  const int64_t count = input->shape[last], stride = input->strides[last], k = params->values->shape[last];
  const int64_t base = mo_strided_offset(input, last, index);
  const void *row = mo_element_address(input, base);
  mo_dtype_t dtype = input->dtype;
  if (b->row != NULL) {
    for (int64_t i = 0; i < count; ++i) ((float *)b->row)[i] = mo_read_float(row, dtype, i * stride);
    row = b->row;
    dtype = MO_DTYPE_FLOAT32;
  }
  candidate heap[HEAP_LIMIT];
  const candidate *best = heap;
  if (k <= HEAP_LIMIT) {
    select_by_heap(row, dtype, count, k, heap);
  } else {
    select_by_radix(row, dtype, count, k, b->keys, b->candidates[0], b->candidates[1]);
    best = b->candidates[0];
  }
  for (int64_t i = 0; i < k; ++i) {
    const int64_t position = candidate_position(best[i]);
    ((int64_t *)params->indices->data)[index * k + i] = position;
    copy_element(input, base + position * stride, params->values, index * k + i); /* the bits: a NaN or -0 stays what it was */
  }
}

typedef struct topk_job {
  const mo_topk_params *params;
  char *scratch;
  size_t bytes; /* of one thread */
} topk_job;

static void select_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const topk_job *job = argument;
  const mo_tensor *values = job->params->values;
  buffers own;
  mo_arena arena = {.base = job->scratch + (size_t)slot * job->bytes, .capacity = job->bytes};
  carve(job->params->input, values->shape[values->rank - 1], &arena, &own);
  for (int64_t row = first; row < last; ++row) select_row(job->params, row, &own);
}

mo_status_t mo_cpu_topk(mo_context_t *context, const mo_topk_params *params) {
  const mo_tensor *input = params->input;
  const int64_t count = input->shape[input->rank - 1];
  const int64_t k = params->values->shape[input->rank - 1];
  MO_CHECK(count <= UINT32_MAX, MO_STATUS_UNSUPPORTED, "topk: rows of %lld elements, the cpu backend takes at most %lld",
           (long long)count, (long long)UINT32_MAX);
  const int64_t rows = mo_tensor_count(params->values) / k;
  if (rows == 0) return MO_STATUS_OK;
  const int64_t wanted = mo_tensor_count(input) < PARALLEL_ELEMENTS ? 1 : mo_context_thread_count(context);
  const int32_t threads = (int32_t)(wanted < rows ? wanted : rows);
  buffers shared;
  mo_arena arena = {0};
  carve(input, k, &arena, &shared);
  const size_t bytes = arena.used;
  void *scratch = NULL;
  MO_TRY(mo_context_scratch(context, mo_size_mul((size_t)threads, bytes), &scratch));
  mo_parallel_for(threads, rows, 0, select_rows, &(topk_job){.params = params, .scratch = scratch, .bytes = bytes});
  return MO_STATUS_OK;
}
