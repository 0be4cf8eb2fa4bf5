/* host/ops/attention_merge.c - front door of the merge of two partial attentions.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/attention_merge.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define OP "attention merge"

/* An output of the first one's dtype and shape, or its log-sum-exps. */
static mo_status_t check_one(const mo_context_t *context, const char *name, const mo_tensor *tensor, const mo_tensor *output,
                             bool row_sums) {
  const int32_t rank = row_sums ? 3 : 4;
  MO_TRY(mo_check_tensor(OP, name, context, tensor, MO_DTYPE_BIT(row_sums ? MO_DTYPE_FLOAT32 : output->dtype), rank, rank));
  MO_TRY(mo_check_shape(OP, name, tensor, rank, output->shape));
  return row_sums ? MO_STATUS_OK : mo_check_last_stride(OP, name, tensor);
}

static mo_status_t check_destination(const mo_attention_merge_params *params, const char *name, const mo_tensor *destination,
                                     bool row_sums) {
  MO_TRY(mo_check_destination(OP, name, destination));
  MO_TRY(mo_check_no_overlap(OP, name, destination, "output_a", params->output_a, !row_sums));
  MO_TRY(mo_check_no_overlap(OP, name, destination, "output_b", params->output_b, !row_sums));
  MO_TRY(mo_check_no_overlap(OP, name, destination, "log_sum_exp_a", params->log_sum_exp_a, row_sums));
  return mo_check_no_overlap(OP, name, destination, "log_sum_exp_b", params->log_sum_exp_b, row_sums);
}

static mo_status_t attention_merge(mo_context_t *context, const mo_attention_merge_params *given) {
  mo_attention_merge_params taken = MO_ATTENTION_MERGE_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(OP, context, MO_ATTENTION_MERGE_PARAMS_INIT, given,
                        MO_SIZE_TO(mo_attention_merge_params, log_sum_exp_b), &taken));
  const mo_attention_merge_params *params = &taken;
  const mo_tensor *output = params->output;
  MO_TRY(mo_check_tensor(OP, "output", context, output, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_last_stride(OP, "output", output));
  MO_TRY(check_one(context, "output_a", params->output_a, output, false));
  MO_TRY(check_one(context, "output_b", params->output_b, output, false));
  MO_TRY(check_one(context, "log_sum_exp_a", params->log_sum_exp_a, output, true));
  MO_TRY(check_one(context, "log_sum_exp_b", params->log_sum_exp_b, output, true));
  MO_TRY(check_destination(params, "output", output, false));
  if (params->log_sum_exp != NULL) {
    MO_TRY(check_one(context, "log_sum_exp", params->log_sum_exp, output, true));
    MO_TRY(check_destination(params, "log_sum_exp", params->log_sum_exp, true));
    MO_TRY(mo_check_no_overlap(OP, "log_sum_exp", params->log_sum_exp, "output", output, false));
  }
  if (mo_is_empty(output) && mo_is_empty(params->log_sum_exp)) return MO_STATUS_OK;
  const mo_backend *backend = mo_context_backend(context);
  if (backend->attention_merge == NULL) return mo_unsupported_op(OP, context);
  return backend->attention_merge(context, params);
}

mo_status_t mo_attention_merge(mo_context_t *context, const mo_attention_merge_params *params) {
  MO_RANGE(context, "mo_attention_merge", params, params->output_a, params->output_b);
  const mo_status_t status = attention_merge(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}
