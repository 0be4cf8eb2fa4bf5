/* host/ops/cast.c - front door of the cast.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/cast.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const char op[] = "cast";

#define ANY_DTYPE UINT32_MAX

static mo_status_t check_cast(const mo_context_t *context, const mo_cast_params *p) {
  MO_TRY(mo_check_tensor(op, "output", context, p->output, ANY_DTYPE, 0, MO_MAX_DIMS));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(mo_check_tensor(op, "input", context, p->input, ANY_DTYPE, 0, MO_MAX_DIMS));
  MO_TRY(mo_check_shape(op, "input", p->input, p->output->rank, p->output->shape));
  return mo_check_no_overlap(op, "output", p->output, "input", p->input, false);
}

mo_status_t mo_cast(mo_context_t *context, const mo_cast_params *given) {
  MO_RANGE(context, "mo_cast", given, given->output, given->input);
  mo_cast_params taken = MO_CAST_PARAMS_INIT;
  const mo_cast_params *params = &taken;
  mo_status_t status = MO_TAKE_PARAMS(op, context, MO_CAST_PARAMS_INIT, given, MO_SIZE_TO(mo_cast_params, input), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_cast(context, params);
  if (status != MO_STATUS_OK || mo_is_empty(params->output)) return mo_context_note(context, status);
  const mo_backend *backend = mo_context_backend(context);
  return mo_context_note(context, backend->cast != NULL ? backend->cast(context, params) : mo_unsupported_op(op, context));
}
