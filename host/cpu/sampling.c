/* host/cpu/sampling.c - sampling on the CPU: rows shared out to the threads.
 *
 * One vectorised pass makes float32 scores and the maximum of each block of them. Only scores that may stay are then looked at
 * one by one, the candidates, gathered in order of id from blocks whose maximum allows any:
 *   top-k: at least k scores reach the k-th largest of the block maxima;
 *   top-p: what is removed may add up to R, so n scores of at most R / n can be removed unseen: they come first in order;
 *   min-p: the bound itself.
 * The exact border is found among the candidates by radix selection. Without any of the three the sum of each block's
 * probabilities leads to the block of the drawn token.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/sampling_kernels.h"
#include "host/cpu/strided.h"
#include "host/cpu/topk_kernels.h"
#include "host/cpu/topk_key.h"
#include "host/rules/philox.h"

/* Below this many elements starting the threads costs more than it gains. */
#define PARALLEL_ELEMENTS ((int64_t)32768)
#define RADIX_BITS 8
#define RADIX_SIZE (1 << RADIX_BITS)

typedef struct candidate {
  uint64_t order; /* key of the score above, id below: rising score, among equals rising id */
  float score;
  float mass; /* e^(score - maximum) */
} candidate;

/* One thread's scratch. */
typedef struct buffers {
  float *scores;
  float *block_maxima, *block_sums, *sorted; /* per block */
  candidate *candidates, *rest;
} buffers;

static void carve(int64_t count, mo_arena *arena, buffers *b) {
  const size_t blocks = (size_t)(count / MO_SAMPLING_BLOCK + 1);
  b->scores = mo_arena_carve(arena, (size_t)count * sizeof(float));
  b->block_maxima = mo_arena_carve(arena, blocks * sizeof(float));
  b->block_sums = mo_arena_carve(arena, blocks * sizeof(float));
  b->sorted = mo_arena_carve(arena, blocks * sizeof(float));
  b->candidates = mo_arena_carve(arena, (size_t)count * sizeof(candidate));
  b->rest = mo_arena_carve(arena, (size_t)count * sizeof(candidate));
}

/* A row's result. */
typedef struct choice {
  int64_t token;
  double log_probability;
  bool none; /* no score was above -inf */
} choice;

/* ---- Greedy ---- */

static int64_t largest_position(const void *logits, mo_dtype_t dtype, int64_t count) {
  int64_t position = 0;
  float bound = -INFINITY;
  for (int64_t i = 0; i < count;) {
    const int64_t block = MO_CPU_SELECT(mo_topk_find_block)(logits, dtype, i, count, bound);
    const int64_t end = block + MO_TOPK_BLOCK < count ? block + MO_TOPK_BLOCK : count;
    for (i = block; i < end; i++) {
      const float value = mo_read_float(logits, dtype, i);
      if (!(value > bound)) continue; /* NaN neither */
      bound = value;
      position = i;
    }
  }
  return position;
}

/* ---- Candidates ---- */

/* The k-th largest of `count` values, which are reordered: quickselect with the middle as pivot. */
static float kth_largest(float *values, int64_t count, int64_t k) {
  int64_t low = 0, high = count - 1;
  const int64_t wanted = k - 1;
  while (low < high) {
    const float pivot = values[low + (high - low) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (values[i] > pivot) i++;
      while (values[j] < pivot) j--;
      if (i > j) break;
      const float swap = values[i];
      values[i++] = values[j];
      values[j--] = swap;
    }
    if (wanted <= j) high = j;
    else if (wanted >= i) low = i;
    else break;
  }
  return values[wanted];
}

/* All scores of at least `bound`, in order of id. */
static int64_t gather(const buffers *b, int64_t count, float bound, float maximum) {
  int64_t found = 0;
  for (int64_t block = 0; block < count; block += MO_SAMPLING_BLOCK) {
    if (b->block_maxima[block / MO_SAMPLING_BLOCK] < bound) continue;
    const int64_t end = count - block < MO_SAMPLING_BLOCK ? count : block + MO_SAMPLING_BLOCK;
    for (int64_t i = block; i < end; i++) {
      const float score = b->scores[i];
      if (score < bound) continue;
      b->candidates[found++] =
          (candidate){.order = (uint64_t)mo_topk_key(score) << 32 | (uint64_t)i, .score = score, .mass = expf(score - maximum)};
    }
  }
  return found;
}

/* The first candidate in rising order up to and including which the weights (masses, or 1 each) add up to more than `target`.
 */
static uint64_t find_border(const candidate *candidates, candidate *rest, int64_t count, double target, bool by_mass) {
  memcpy(rest, candidates, (size_t)count * sizeof *rest);
  for (int shift = 64 - RADIX_BITS; shift >= 0 && count > 1; shift -= RADIX_BITS) {
    double weights[RADIX_SIZE] = {0};
    uint32_t last = 0; /* rounding may leave the target behind the last */
    for (int64_t i = 0; i < count; i++) {
      const uint32_t digit = (uint32_t)(rest[i].order >> shift) & (RADIX_SIZE - 1);
      weights[digit] += by_mass ? (double)rest[i].mass : 1.0;
      if (digit > last) last = digit;
    }
    uint32_t digit = 0;
    while (digit < last && weights[digit] <= target) target -= weights[digit++];
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
      if (((uint32_t)(rest[i].order >> shift) & (RADIX_SIZE - 1)) == digit) rest[kept++] = rest[i];
    }
    count = kept;
  }
  return rest[0].order;
}

/* Drops candidates below `border`; the order of ids stays. */
static int64_t keep_from(candidate *candidates, int64_t count, uint64_t border) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count; i++) {
    if (candidates[i].order >= border) candidates[kept++] = candidates[i];
  }
  return kept;
}

static double sum_of(const candidate *candidates, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; i++) sum += (double)candidates[i].mass;
  return sum;
}

/* The candidates that stay, in order of id. At least one of the three filters is on. */
static int64_t select_candidates(const mo_sampling_params *params, const buffers *b, int64_t count, float maximum) {
  const bool top_k = params->top_k > 0 && params->top_k<count, top_p = params->top_p> 0.0f && params->top_p < 1.0f;
  const int64_t blocks = (count + MO_SAMPLING_BLOCK - 1) / MO_SAMPLING_BLOCK;
  const float min_p_bound = params->min_p > 0.0f ? maximum + logf(params->min_p) : -INFINITY;
  int64_t found;
  double unseen = 0.0; /* mass below the candidates */
  if (top_k) {
    float bound = -INFINITY;
    if (params->top_k <= blocks) {
      memcpy(b->sorted, b->block_maxima, (size_t)blocks * sizeof(float));
      bound = kth_largest(b->sorted, blocks, params->top_k);
    }
    found = gather(b, count, bound, maximum);
    const uint64_t kth = find_border(b->candidates, b->rest, found, (double)(found - params->top_k), false);
    found = keep_from(b->candidates, found, kth & ~(uint64_t)UINT32_MAX); /* its equals too */
  } else if (top_p) {
    const double total = MO_CPU_SELECT(mo_sampling_sums)(b->scores, count, maximum, b->block_sums);
    const double least = (1.0 - (double)params->top_p) * total / (double)count;
    found = gather(b, count, maximum + (float)log(least) - 1e-3f, maximum); /* a little lower: float32 rounds the bound */
    unseen = total - sum_of(b->candidates, found);
  } else {
    found = gather(b, count, min_p_bound, maximum);
  }
  if (top_p) {
    const double total = sum_of(b->candidates, found) + unseen;
    const double target = (1.0 - (double)params->top_p) * total - unseen;
    found = keep_from(b->candidates, found, find_border(b->candidates, b->rest, found, target, true));
  }
  if (params->min_p > 0.0f) found = keep_from(b->candidates, found, (uint64_t)mo_topk_key(min_p_bound) << 32);
  return found;
}

/* ---- Suppressed tokens ---- */

/* Sets their scores to -inf and returns the row's maximum without them. */
static float suppress(const mo_tensor *tokens, const buffers *b, int64_t count, float maximum) {
  if (tokens == NULL) return maximum;
  for (int64_t i = 0; i < tokens->shape[0]; i++) {
    const int64_t token = mo_read_index(tokens->data, tokens->dtype, i * tokens->strides[0]);
    if (token < 0 || token >= count) continue;
    b->scores[token] = -INFINITY;
    const int64_t block = token / MO_SAMPLING_BLOCK, first = block * MO_SAMPLING_BLOCK;
    float largest = -INFINITY;
    for (int64_t j = first; j < count && j < first + MO_SAMPLING_BLOCK; j++) largest = fmaxf(largest, b->scores[j]);
    b->block_maxima[block] = largest;
  }
  float largest = -INFINITY;
  for (int64_t i = 0; i * MO_SAMPLING_BLOCK < count; i++) largest = fmaxf(largest, b->block_maxima[i]);
  return largest;
}

/* ---- The draw ---- */

static choice draw_from_candidates(const candidate *candidates, int64_t count, double fraction, float maximum) {
  const double total = sum_of(candidates, count);
  double left = fraction * total;
  int64_t drawn = 0;
  for (int64_t i = 0; i < count; i++) {
    if (candidates[i].mass <= 0.0f) continue;
    drawn = i; /* rounding may leave something after the last */
    left -= (double)candidates[i].mass;
    if (left < 0.0) break;
  }
  return (choice){.token = (int64_t)(candidates[drawn].order & UINT32_MAX),
                  .log_probability = (double)(candidates[drawn].score - maximum) - log(total)};
}

static choice draw_from_row(const buffers *b, int64_t count, double fraction, float maximum) {
  const double total = MO_CPU_SELECT(mo_sampling_sums)(b->scores, count, maximum, b->block_sums);
  const int64_t blocks = (count + MO_SAMPLING_BLOCK - 1) / MO_SAMPLING_BLOCK;
  double left = fraction * total;
  int64_t block = 0;
  for (int64_t i = 0; i < blocks; i++) {
    if (b->block_sums[i] <= 0.0f) continue;
    block = i;
    if (left < (double)b->block_sums[i]) break;
    left -= (double)b->block_sums[i];
  }
  const int64_t first = block * MO_SAMPLING_BLOCK;
  const int64_t end = count - first < MO_SAMPLING_BLOCK ? count : first + MO_SAMPLING_BLOCK;
  int64_t drawn = first;
  for (int64_t i = first; i < end; i++) {
    const float mass = expf(b->scores[i] - maximum);
    if (mass <= 0.0f) continue;
    drawn = i;
    left -= (double)mass;
    if (left < 0.0) break;
  }
  return (choice){.token = drawn, .log_probability = (double)(b->scores[drawn] - maximum) - log(total)};
}

/* ---- A row ---- */

static void fill(float *values, int64_t count, float value) {
  for (int64_t i = 0; i < count; i++) values[i] = value;
}

/* The logarithm of the sum of e^(score - maximum); equal infinities count one each. */
static double log_sum(const buffers *b, int64_t count, float maximum) {
  if (maximum != INFINITY) return log(MO_CPU_SELECT(mo_sampling_sums)(b->scores, count, maximum, b->block_sums));
  int64_t equal = 0;
  for (int64_t i = 0; i < count; i++) equal += b->scores[i] == INFINITY;
  return log((double)equal);
}

/* log softmax; returns the new maximum. Of infinities only they have a probability. */
static float normalise(const buffers *b, int64_t count, float maximum) {
  const float log_total = (float)log_sum(b, count, maximum);
  for (int64_t i = 0; i < count; i++) {
    if (maximum == INFINITY) b->scores[i] = b->scores[i] == INFINITY ? -log_total : -INFINITY;
    else b->scores[i] = b->scores[i] - maximum - log_total;
  }
  for (int64_t block = 0; block * MO_SAMPLING_BLOCK < count; block++) {
    float largest = -INFINITY;
    for (int64_t i = block * MO_SAMPLING_BLOCK; i < count && i < (block + 1) * MO_SAMPLING_BLOCK; i++)
      largest = fmaxf(largest, b->scores[i]);
    b->block_maxima[block] = largest;
  }
  return -log_total;
}

static choice sample_greedy(const mo_sampling_params *params, const buffers *b, const void *logits, int64_t count,
                            float *scores) {
  choice result = {.token = 0, .log_probability = -INFINITY};
  const mo_dtype_t dtype = params->logits->dtype;
  if (params->log_probabilities == NULL && scores == NULL && params->suppressed_tokens == NULL) {
    result.token = largest_position(logits, dtype, count);
    result.none = result.token == 0 && !(mo_read_float(logits, dtype, 0) > -INFINITY);
    return result;
  }
  float maximum = MO_CPU_SELECT(mo_sampling_scores)(logits, dtype, count, 1.0f, b->scores, b->block_maxima);
  if (params->log_softmax && maximum != -INFINITY) maximum = normalise(b, count, maximum);
  maximum = suppress(params->suppressed_tokens, b, count, maximum);
  if (scores != NULL) memcpy(scores, b->scores, (size_t)count * sizeof *scores);
  result.none = maximum == -INFINITY;
  if (result.none) return result;
  while (b->scores[result.token] != maximum) result.token++;
  if (params->log_softmax) result.log_probability = (double)maximum;
  else if (params->log_probabilities != NULL) result.log_probability = -log_sum(b, count, maximum);
  return result;
}

static choice sample_row(const mo_sampling_params *params, const buffers *b, const void *logits, int64_t count, uint64_t bits,
                         float *scores) {
  float maximum =
      MO_CPU_SELECT(mo_sampling_scores)(logits, params->logits->dtype, count, params->temperature, b->scores, b->block_maxima);
  maximum = suppress(params->suppressed_tokens, b, count, maximum);
  if (maximum == -INFINITY) {
    if (scores != NULL) fill(scores, count, -INFINITY);
    return (choice){.token = 0, .log_probability = -INFINITY, .none = true};
  }
  const float top = maximum;
  if (top == INFINITY) { /* only these have a probability, all the same */
    for (int64_t i = 0; i < count; i++) b->scores[i] = b->scores[i] == INFINITY ? 0.0f : -INFINITY;
    for (int64_t i = 0; i * MO_SAMPLING_BLOCK < count; i++)
      b->block_maxima[i] = b->block_maxima[i] == INFINITY ? 0.0f : -INFINITY;
    maximum = 0.0f;
  }
  const double fraction = (double)bits * 0x1p-64;
  const bool filtered = (params->top_k > 0 && params->top_k < count) || (params->top_p > 0.0f && params->top_p < 1.0f) ||
                        params->min_p > 0.0f || top == INFINITY;
  if (!filtered) {
    const choice result = draw_from_row(b, count, fraction, maximum);
    if (scores != NULL) memcpy(scores, b->scores, (size_t)count * sizeof *scores);
    return result;
  }
  const int64_t kept = select_candidates(params, b, count, maximum);
  if (scores != NULL) {
    fill(scores, count, -INFINITY);
    for (int64_t i = 0; i < kept; i++) {
      const float score = b->candidates[i].score;
      scores[b->candidates[i].order & UINT32_MAX] = top == INFINITY && score == 0.0f ? INFINITY : score;
    }
  }
  return draw_from_candidates(b->candidates, kept, fraction, maximum);
}

static bool is_end_token(const mo_tensor *end_tokens, int64_t token) {
  if (end_tokens == NULL) return false;
  for (int64_t i = 0; i < end_tokens->shape[0]; i++) {
    if (mo_read_index(end_tokens->data, end_tokens->dtype, i * end_tokens->strides[0]) == token) return true;
  }
  return false;
}

static void advance(const mo_tensor *counters, int64_t row) {
  int32_t *counter = counters != NULL ? (int32_t *)counters->data + row * counters->strides[0] : NULL;
  if (counter != NULL && *counter < INT32_MAX) ++*counter;
}

static void finish_row(const mo_sampling_params *params, const buffers *b, int64_t row) {
  const mo_tensor *logits = params->logits, *tokens = params->tokens, *finished = params->finished;
  const int64_t count = logits->shape[1];
  const void *values = mo_element_address(logits, row * logits->strides[0]);
  float *scores = params->scores != NULL ? (float *)params->scores->data + row * params->scores->strides[0] : NULL;
  uint8_t *done = finished != NULL ? (uint8_t *)finished->data + row * finished->strides[0] : NULL; /* any byte but 0 is true */
  int64_t *draws =
      params->step_counts != NULL ? (int64_t *)params->step_counts->data + row * params->step_counts->strides[0] : NULL;
  const bool was_done = done != NULL && *done != 0;
  choice result = {.token = params->pad_token, .log_probability = 0.0};
  if (!was_done || scores != NULL) {
    const uint64_t step = params->step + (draws != NULL ? (uint64_t)*draws : 0);
    const mo_tensor *numbers = params->row_numbers;
    const int64_t number = numbers != NULL ? ((const int64_t *)numbers->data)[row * numbers->strides[0]] : row;
    const choice drawn =
        params->temperature == 0.0f
            ? sample_greedy(params, b, values, count, scores)
            : sample_row(params, b, values, count, mo_sampling_bits(params->seed, step, (uint64_t)number), scores);
    if (!was_done) result = drawn;
    if (result.none && params->marks_no_choice) result.token = -1;
  }
  if (!was_done && done != NULL && is_end_token(params->end_tokens, result.token)) *done = 1;
  const int64_t place = row * tokens->strides[0];
  if (tokens->dtype == MO_DTYPE_INT64) ((int64_t *)tokens->data)[place] = result.token;
  else ((int32_t *)tokens->data)[place] = (int32_t)result.token;
  const mo_tensor *probabilities = params->log_probabilities;
  if (probabilities != NULL) ((float *)probabilities->data)[row * probabilities->strides[0]] = (float)result.log_probability;
  if (draws != NULL && *draws < INT64_MAX) ++*draws;
  advance(params->lengths, row);
  advance(params->positions, row);
}

typedef struct sampling_job {
  const mo_sampling_params *params;
  char *scratch;
  size_t bytes; /* of one thread */
} sampling_job;

static void sample_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const sampling_job *job = argument;
  buffers own;
  mo_arena arena = {.base = job->scratch + (size_t)slot * job->bytes, .capacity = job->bytes};
  carve(job->params->logits->shape[1], &arena, &own);
  for (int64_t row = first; row < last; row++) finish_row(job->params, &own, row);
}

mo_status_t mo_cpu_sample(mo_context_t *context, const mo_sampling_params *params) {
  const int64_t rows = params->logits->shape[0], count = params->logits->shape[1];
  const int64_t wanted = mo_tensor_count(params->logits) < PARALLEL_ELEMENTS ? 1 : mo_context_thread_count(context);
  const int32_t threads = (int32_t)(wanted < rows ? wanted : rows);
  buffers shared;
  mo_arena arena = {0};
  carve(count, &arena, &shared);
  const size_t bytes = arena.used;
  void *scratch = NULL;
  MO_TRY(mo_context_scratch(context, mo_size_mul((size_t)threads, bytes), &scratch));
  mo_parallel_for(threads, rows, 1, sample_rows, &(sampling_job){.params = params, .scratch = scratch, .bytes = bytes});
  return MO_STATUS_OK;
}
