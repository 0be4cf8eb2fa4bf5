/* modelout/sampling.h - choosing the next token on the device: greedy, temperature, top-k, top-p, min-p.
 *
 *   scores = logits / temperature
 *   top-k:   all but the k largest become -inf; scores equal to the k-th largest stay
 *   top-p:   in order of rising score, scores become -inf as long as their probabilities add up to at most 1 - top_p; the
 *            largest always stays; of equal scores the one with the lower id goes first
 *   min-p:   scores whose probability is below min_p times the largest become -inf
 *   token  ~ softmax(scores)
 *
 * in this order, as Transformers' processors do (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
 * MinPLogitsWarper; equal scores under top-p in the order of torch.sort on the CPU). All of it is float32.
 *
 * Random numbers are Philox4x32-10: the key is the seed, the counter (step, row number). A draw depends on nothing else, so
 * the same seed gives the same tokens whatever the batch around a row, and on every backend up to rounding of the
 * probabilities (the token differs where the drawn number falls within that rounding of a border between two tokens).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_SAMPLING_H
#define MODELOUT_SAMPLING_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_sampling_params {
  size_t struct_size;

  const mo_tensor *tokens; /* (B) int32 or int64: the chosen ids. May be strided: a column of (B, steps) */
  const mo_tensor *scores; /* (B, V) float32, last stride 1: the processed scores (Transformers' `scores`), in place if logits
                              are float32; NULL */
  const mo_tensor *log_probabilities; /* (B) float32: log softmax(scores) of the chosen token (with log_softmax: its score), 0
                                         in a finished row; NULL */

  const mo_tensor *logits; /* (B, V) float32, float16 or bfloat16, last stride 1, V 1 to 2^22 */

  float temperature; /* 0: greedy: the largest logit, the lowest id among equals; the three below are then ignored */
  int64_t top_k;     /* 0: all */
  float top_p;       /* 0 or 1: all */
  float min_p;       /* 0: all; at most 1 */
  const mo_tensor *suppressed_tokens; /* (N) int32 or int64 on the device: ids whose scores are -inf from the start (the end
                                         tokens while a minimum length is not reached); NULL */
  bool log_softmax; /* `scores` are log softmax(logits), from which suppressed_tokens are then removed, as beam search does;
                       greedy only, and needs `scores` */
  uint64_t seed;
  uint64_t step;                /* counts draws */
  const mo_tensor *step_counts; /* (B) int64 on the device, added to `step` and incremented by one afterwards, so that a
                                   captured graph draws anew at each replay; NULL */
  const mo_tensor *row_numbers; /* (B) int64: the row numbers of the counter; NULL: 0 to B - 1 */

  /* Rows that are done; both NULL without. A finished row gets pad_token; a row that draws one of end_tokens becomes
   * finished. */
  const mo_tensor *finished;   /* (B) bool, read and written; any byte but 0 is true; NULL */
  const mo_tensor *end_tokens; /* (E) int32 or int64 on the device; needs `finished`; NULL */
  int64_t pad_token;

  /* (B) int32, incremented by one per row: lengths or positions of the next step (also of finished rows), as
   far as INT32_MAX, where they stay; NULL. */
  const mo_tensor *lengths;
  const mo_tensor *positions;

  bool marks_no_choice; /* a row of nothing but -inf or NaN gives id -1 instead of 0 */
} mo_sampling_params;

#define MO_SAMPLING_PARAMS_INIT MO_STRUCT_INIT(mo_sampling_params)

/* NaN logits count as -inf. A row of nothing but -inf gives id 0 (with marks_no_choice -1)
 * with log probability -inf; where logits are +inf, one of
 * those is drawn. One launch on a GPU, asynchronous, nothing crosses to the host; deterministic. INVALID_ARGUMENT,
 * OUT_OF_MEMORY, DEVICE_ERROR. */
MO_API mo_status_t mo_sample(mo_context_t *context, const mo_sampling_params *params);

#ifdef __cplusplus
}
#endif
#endif
