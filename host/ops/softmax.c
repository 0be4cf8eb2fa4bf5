/* host/ops/softmax.c - front door of softmax: every rule of the header is checked here, then the backend runs.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/softmax.h"

#include <math.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define OP "softmax"

static mo_status_t check_masks(const mo_context_t *context, const mo_softmax_params *params) {
  const mo_tensor *input = params->input;
  if (params->mask != NULL) {
    MO_TRY(mo_check_tensor(OP, "mask", context, params->mask, MO_DTYPES_MASK, 1, 4));
    MO_TRY(mo_check_broadcast(OP, "mask", params->mask, input->rank, input->shape));
  }
  if (params->bias != NULL) {
    const uint32_t dtypes = MO_DTYPE_BIT(MO_DTYPE_FLOAT32) | MO_DTYPE_BIT(input->dtype);
    MO_TRY(mo_check_tensor(OP, "bias", context, params->bias, dtypes, 1, 4));
    MO_TRY(mo_check_broadcast(OP, "bias", params->bias, input->rank, input->shape));
  }
  MO_CHECK(isfinite(params->scale), MO_STATUS_INVALID_ARGUMENT, OP ": scale %g is not finite", (double)params->scale);
  MO_CHECK(!params->causal || input->rank >= 2, MO_STATUS_INVALID_ARGUMENT,
           OP ": causal needs rows and columns, the input has rank %d", (int)input->rank);
  return MO_STATUS_OK;
}

static mo_status_t softmax(mo_context_t *context, const mo_softmax_params *given) {
  mo_softmax_params taken = MO_SOFTMAX_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(OP, context, MO_SOFTMAX_PARAMS_INIT, given, MO_SIZE_TO(mo_softmax_params, causal), &taken));
  const mo_softmax_params *params = &taken;
  MO_TRY(mo_check_tensor(OP, "input", context, params->input, MO_DTYPES_FLOAT, 1, 4));
  MO_TRY(mo_check_last_stride(OP, "input", params->input));
  MO_TRY(mo_check_tensor(OP, "output", context, params->output, MO_DTYPES_FLOAT, 1, 4));
  MO_TRY(mo_check_shape(OP, "output", params->output, params->input->rank, params->input->shape));
  MO_TRY(mo_check_last_stride(OP, "output", params->output));
  MO_TRY(mo_check_destination(OP, "output", params->output));
  MO_TRY(check_masks(context, params));
  MO_TRY(mo_check_no_overlap(OP, "output", params->output, "input", params->input, true));
  MO_TRY(mo_check_no_overlap(OP, "output", params->output, "mask", params->mask, false));
  MO_TRY(mo_check_no_overlap(OP, "output", params->output, "bias", params->bias, false));
  if (mo_is_empty(params->output)) return MO_STATUS_OK;
  const mo_backend *backend = mo_context_backend(context);
  if (backend->softmax == NULL) return mo_unsupported_op(OP, context);
  return backend->softmax(context, params);
}

mo_status_t mo_softmax(mo_context_t *context, const mo_softmax_params *params) {
  MO_RANGE(context, "mo_softmax", params, params->output, params->input, params->mask, params->bias);
  const mo_status_t status = softmax(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}
