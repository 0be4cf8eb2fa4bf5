/* host/ops/norm.c - the front doors of layer norm and RMS norm.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

/* (..., C) beside the input, last stride 1. */
static mo_status_t check_rows(const char *op, const char *name, const mo_context_t *context, const mo_tensor *tensor,
                              uint32_t dtypes, const mo_tensor *input) {
  MO_TRY(mo_check_tensor(op, name, context, tensor, dtypes, 1, 4));
  MO_TRY(mo_check_shape(op, name, tensor, input->rank, input->shape));
  return mo_check_last_stride(op, name, tensor);
}

static mo_status_t check_vector(const char *op, const char *name, const mo_context_t *context, const mo_tensor *tensor,
                                uint32_t dtypes, const mo_norm_params *p) {
  const int64_t count = p->input->shape[p->input->rank - 1];
  MO_TRY(mo_check_tensor(op, name, context, tensor, dtypes, 1, 1));
  MO_TRY(mo_check_shape(op, name, tensor, 1, &count));
  MO_TRY(mo_check_last_stride(op, name, tensor));
  MO_TRY(mo_check_no_overlap(op, "output", p->output, name, tensor, false));
  return p->sum != NULL ? mo_check_no_overlap(op, "sum", p->sum, name, tensor, false) : MO_STATUS_OK;
}

static mo_status_t check_norm(const char *op, const mo_context_t *context, const mo_norm_params *p, bool rms) {
  MO_TRY(mo_check_tensor(op, "input", context, p->input, MO_DTYPES_FLOAT, 1, 4));
  MO_TRY(mo_check_last_stride(op, "input", p->input));
  const uint32_t own = MO_DTYPE_BIT(p->input->dtype);
  MO_TRY(check_rows(op, "output", context, p->output, MO_DTYPES_FLOAT, p->input));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(mo_check_no_overlap(op, "output", p->output, "input", p->input, true));
  if (p->residual != NULL) {
    MO_TRY(check_rows(op, "residual", context, p->residual, own, p->input));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "residual", p->residual, true));
  }
  if (p->sum != NULL) {
    MO_TRY(check_rows(op, "sum", context, p->sum, own, p->input));
    MO_TRY(mo_check_destination(op, "sum", p->sum));
    MO_TRY(mo_check_no_overlap(op, "sum", p->sum, "input", p->input, true));
    MO_TRY(mo_check_no_overlap(op, "sum", p->sum, "residual", p->residual, true));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "sum", p->sum, false));
  }
  if (p->input_bias != NULL) MO_TRY(check_vector(op, "input_bias", context, p->input_bias, own, p));
  const uint32_t weight_dtypes = own | MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  if (p->weight != NULL) MO_TRY(check_vector(op, "weight", context, p->weight, weight_dtypes, p));
  if (p->bias != NULL) {
    MO_CHECK(!rms, MO_STATUS_INVALID_ARGUMENT, "%s: bias is set, this norm has none", op);
    const uint32_t dtypes = p->weight != NULL ? MO_DTYPE_BIT(p->weight->dtype) : weight_dtypes;
    MO_TRY(check_vector(op, "bias", context, p->bias, dtypes, p));
  }
  MO_CHECK(p->epsilon >= 0.0f, MO_STATUS_INVALID_ARGUMENT, "%s: epsilon %g is not 0 or more", op, (double)p->epsilon);
  MO_CHECK(rms || p->weight_offset == 0.0f, MO_STATUS_INVALID_ARGUMENT, "%s: weight_offset %g, only RMS norm has one", op,
           (double)p->weight_offset);
  return MO_STATUS_OK;
}

static mo_status_t norm(const char *op, mo_context_t *context, const mo_norm_params *given, bool rms) {
  mo_norm_params taken = MO_NORM_PARAMS_INIT;
  const mo_norm_params *params = &taken;
  mo_status_t status =
      MO_TAKE_PARAMS(op, context, MO_NORM_PARAMS_INIT, given, MO_SIZE_TO(mo_norm_params, weight_offset), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_norm(op, context, params, rms);
  if (status != MO_STATUS_OK || mo_is_empty(params->output)) return mo_context_note(context, status);
  const mo_backend *backend = mo_context_backend(context);
  mo_status_t (*run)(mo_context_t *, const mo_norm_params *) = rms ? backend->rms_norm : backend->layer_norm;
  return mo_context_note(context, run != NULL ? run(context, params) : mo_unsupported_op(op, context));
}

mo_status_t mo_layer_norm(mo_context_t *context, const mo_norm_params *params) {
  MO_RANGE(context, "mo_layer_norm", params, params->output, params->sum, params->input, params->residual);
  return norm("layer norm", context, params, false);
}

mo_status_t mo_rms_norm(mo_context_t *context, const mo_norm_params *params) {
  MO_RANGE(context, "mo_rms_norm", params, params->output, params->sum, params->input, params->residual);
  return norm("rms norm", context, params, true);
}
