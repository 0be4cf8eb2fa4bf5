/* host/cpu/attention_kernels.h - what host/cpu/attention.c prepares once per call, and what a thread keeps while it works.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_ATTENTION_KERNELS_H
#define MO_CPU_ATTENTION_KERNELS_H

#include "host/cpu/isa.h"
#include "host/cpu/score_view.h"
#include "modelout/attention.h"

/* Buffers are padded for the widest vector, so that the plan does not depend on the instruction set. */
#define MO_ATTENTION_LANES 16

/* Rows of a block without weights: enough that packing keys and values (about the work of two rows) does not show. */
#define MO_ATTENTION_ROWS 64
/* Keys whose scores are held at once without weights; up to here the softmax needs no second look (no rescaling). */
#define MO_ATTENTION_KEYS 512
/* Scores of a row block with weights: a quarter of a 1 MiB second-level cache, beside the packed keys and values. */
#define MO_ATTENTION_SCORE_BYTES (256 * 1024)

/* Where the tokens of one sequence lie, and what its rows see. */
typedef struct mo_attention_sequence {
  int64_t query_first, query_count;
  int64_t key_first, key_count; /* the weights of a row that sees no key are uniform over these */
  int64_t key_limit;            /* keys at and past it are masked and never read */
  int64_t position;             /* of query row 0 */
} mo_attention_sequence;

typedef struct mo_attention_plan {
  int64_t batch_count, head_count, kv_head_count, query_count, key_count, head_dim, value_dim; /* counts: of the longest */
  int64_t heads_per_kv;
  const mo_attention_sequence *sequences;                       /* batch_count of them */
  const mo_kv_view *cache;                                      /* paged or quantised keys and values; NULL: plain */
  mo_score_view query, key, value, output, weights, mask, bias; /* data NULL: not given */
  float *log_sum_exp;
  int64_t lse_batch, lse_head, lse_row;
  bool causal;
  int64_t sliding_window; /* 0: none */
  float scale, soft_cap;
  mo_weights_reduction_t reduction;
  const int32_t *weight_slots; /* head -> place among the selected heads, or -1; NULL without weights */
  int32_t weight_slot_count;
  int64_t weight_rows; /* the last ones of each sequence are selected; 0: all */

  int64_t block_rows;
  int64_t block_keys;   /* scores held per row; a multiple of the lanes; all keys when there are weights */
  int64_t score_stride; /* block_keys plus padding that keeps rows off one cache set */
  int64_t value_stride; /* value_dim rounded up to the lanes */
  bool pack_values;     /* else they are read where they lie */
  bool direct_output;   /* the last product goes straight to the destination */
} mo_attention_plan;

/* Scratch of one thread. */
typedef struct mo_attention_thread {
  float *key_panels;                /* per vector of keys: (head_dim, lanes) */
  float *values;                    /* (keys, value_stride) */
  float *query;                     /* (block_rows, head_dim), 16-bit sources only */
  float *scores;                    /* (block_rows, score_stride) */
  float *accumulator;               /* (block_rows, value_stride) */
  float *additive;                  /* block_keys: mask and bias of one row */
  float *cached;                    /* (lanes, head_dim or value_dim): dequantised, or zeros of a page that is not there */
  float *uniform;                   /* value_stride: mean of all values, for rows that see no key */
  float *row_state;                 /* (4, block_rows): maximum, sum, rescaling, 1 / sum */
  int64_t *row_range;               /* (2, block_rows): first visible key and one past the last */
  float *reduced;                   /* head mean: (block_rows, keys); column sum: (keys) twice */
  int64_t packed_group;             /* batch * kv heads + kv head, -1: none */
  int64_t packed_first, packed_end; /* its packed keys */
  int64_t uniform_group;
} mo_attention_thread;

/* The row that the first row of the weights belongs to; below 0 where more rows are selected than there are. */
static inline int64_t mo_attention_first_weight_row(const mo_attention_plan *plan, int64_t batch) {
  return plan->weight_rows > 0 ? plan->sequences[batch].query_count - plan->weight_rows : 0;
}

/* Rows [first, first + count) of one head. `weights`: these rows are selected (as far as they reach the first one that is). */
MO_CPU_DECLARE(void, mo_attention_block,
               (const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch, int64_t head, int64_t first,
                int64_t count, bool weights));
/* Writes what head mean (rows first...) or column sum gathered in thread->reduced; `head` is the slot of a column sum. */
MO_CPU_DECLARE(void, mo_attention_store_reduced,
               (const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch, int64_t slot, int64_t first,
                int64_t count));

#endif
