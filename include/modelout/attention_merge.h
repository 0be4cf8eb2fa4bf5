/* modelout/attention_merge.h - two partial attentions of the same queries over disjoint keys become one.
 *
 *   L = log(exp(La) + exp(Lb))        O = exp(La - L) Oa + exp(Lb - L) Ob        per row, La and Lb the parts' log-sum-exps
 *
 * A prefix that several sequences share is attended to once this way, and keys split over devices are put together. Associative
 * up to rounding. The parts come from modelout/attention.h with `log_sum_exp`.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_ATTENTION_MERGE_H
#define MODELOUT_ATTENTION_MERGE_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* O, Oa and Ob are (B, H, S, Dv), one of float32, float16 and bfloat16 for all three, last stride 1; L, La and Lb are (B, H, S)
 * float32. A destination may be exactly its counterpart among the sources (in place), and may overlap no other.
 *
 * A part with La = -inf has no weight; if both have none, O is 0 and L is -inf. A part whose row saw no key (attention.h: La is
 * the smallest finite float) has no weight beside one that saw some; two such parts count half each. */
typedef struct mo_attention_merge_params {
  size_t struct_size;
  const mo_tensor *output;
  const mo_tensor *log_sum_exp; /* NULL: not wanted */
  const mo_tensor *output_a, *log_sum_exp_a;
  const mo_tensor *output_b, *log_sum_exp_b;
} mo_attention_merge_params;

#define MO_ATTENTION_MERGE_PARAMS_INIT MO_STRUCT_INIT(mo_attention_merge_params)

/* INVALID_ARGUMENT, UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_attention_merge(mo_context_t *context, const mo_attention_merge_params *params);

#ifdef __cplusplus
}
#endif
#endif
