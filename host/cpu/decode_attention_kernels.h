/* host/cpu/decode_attention_kernels.h - what host/cpu/decode_attention.c prepares once per call, and what a thread keeps while
 * it works.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_DECODE_ATTENTION_KERNELS_H
#define MO_CPU_DECODE_ATTENTION_KERNELS_H

#include "host/cpu/isa.h"
#include "host/cpu/score_view.h"
#include "host/rules/decode_keys.h"
#include "modelout/decode_attention.h"

/* Buffers are padded for the widest vector, so that the plan does not depend on the instruction set. */
#define MO_DECODE_LANES 16

/* Keys that are scored, weighed and summed together: their scores stay in the first-level cache, and their values, 32 KiB of
 * float32 heads of 64, in the second until they are read. */
#define MO_DECODE_KEYS 128

/* The rows of a task are the queries that share a key/value head: row r is query head kv_head * group + r / tokens, new token
 * r % tokens. */
typedef struct mo_decode_plan {
  int64_t batch_count, head_count, kv_head_count, token_count, key_size, value_size;
  int64_t group, row_count;
  int64_t key_stride, value_stride; /* floats of a padded query row and of a padded output row */
  mo_decode_rules rules;
  const int64_t *lengths, *starts; /* per batch entry */
  mo_kv_view cache;
  mo_score_view output, weights, mask, bias;
  float *log_sum_exp; /* NULL */
  int64_t lse_batch, lse_head, lse_row;
  float scale, soft_cap;
  int64_t part_count; /* parts that the keys of a row are shared out in */
  /* (B, Hkv, parts, rows, value_stride): sums of value rows, and (B, Hkv, parts, rows, 2): maximum and sum of the part */
  float *sums, *states;
  /* Weights: scores (B, selected heads, selected rows, score_stride), and (B, H, T, 2): maximum and inverse sum of a row. */
  float *scores, *statistics;
  int64_t score_stride, weight_row_count, first_weight_row;
  const int32_t *slots; /* per query head its place in the weights, or -1 */
  const int32_t *slot_heads;
  int64_t slot_count;
  mo_weights_reduction_t reduction;
  int64_t weight_rows, weight_chunks; /* rows of the weights tensor of a batch entry, and tasks per row */
} mo_decode_plan;

/* The keys of part `part` of a batch entry. */
static inline mo_key_range mo_decode_part_of(const mo_decode_plan *plan, int64_t batch, int64_t part) {
  const mo_key_range work = mo_decode_work(plan->rules, plan->lengths[batch], plan->starts[batch], plan->token_count);
  return mo_decode_part(work, part, plan->part_count, MO_DECODE_LANES);
}

/* Keys of one piece of the weights. */
#define MO_DECODE_WEIGHT_KEYS 2048

typedef struct mo_decode_thread {
  float *queries;  /* (rows, key_stride): of the head at work, as float32, turned */
  float *scores;   /* (rows, MO_DECODE_KEYS + lanes) */
  float *wide;     /* quantised storage with several groups: (MO_DECODE_KEYS, larger stride) floats */
  float *additive; /* mask and bias of a row */
  float *reduced;  /* (MO_DECODE_WEIGHT_KEYS) */
  void *nothing;   /* zeros, for keys that lie in no page */
  size_t nothing_bytes;
} mo_decode_thread;

/* One part of one key/value head: sums, maximum and sum of exponentials of each row, and its scores if they are wanted. */
MO_CPU_DECLARE(void, mo_decode_part_run,
               (const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t kv_head, int64_t part));
/* The parts of one row together: output, log-sum-exp, statistics. */
MO_CPU_DECLARE(void, mo_decode_combine,
               (const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t head, int64_t token));
/* Piece `chunk` of row `row` of a batch entry's weights. */
MO_CPU_DECLARE(void, mo_decode_emit_weights,
               (const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t row, int64_t chunk));

#endif
