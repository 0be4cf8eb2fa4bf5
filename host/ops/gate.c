/* host/ops/gate.c - front door of the gate.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/gate.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const char op[] = "gate";

static mo_status_t check_source(const mo_context_t *context, const char *name, const mo_tensor *source,
                                const mo_tensor *output) {
  MO_TRY(mo_check_tensor(op, name, context, source, MO_DTYPE_BIT(output->dtype), 1, 4));
  MO_TRY(mo_check_shape(op, name, source, output->rank, output->shape));
  MO_TRY(mo_check_last_stride(op, name, source));
  return mo_check_no_overlap(op, "output", output, name, source, true);
}

static mo_status_t check_gate(const mo_context_t *context, const mo_gate_params *p) {
  const int activation = (int)p->activation;
  MO_TRY(mo_check_tensor(op, "output", context, p->output, MO_DTYPES_FLOAT, 1, 4));
  MO_TRY(mo_check_last_stride(op, "output", p->output));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(check_source(context, "gate", p->gate, p->output));
  MO_TRY(check_source(context, "input", p->input, p->output));
  MO_CHECK(activation >= MO_ACTIVATION_NONE && activation <= MO_ACTIVATION_QUICK_GELU, MO_STATUS_INVALID_ARGUMENT,
           "%s: activation %d is not one of mo_activation_t", op, activation);
  return MO_STATUS_OK;
}

mo_status_t mo_gate(mo_context_t *context, const mo_gate_params *given) {
  MO_RANGE(context, "mo_gate", given, given->output, given->gate, given->input);
  mo_gate_params taken = MO_GATE_PARAMS_INIT;
  const mo_gate_params *params = &taken;
  mo_status_t status = MO_TAKE_PARAMS(op, context, MO_GATE_PARAMS_INIT, given, MO_SIZE_TO(mo_gate_params, activation), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_gate(context, params);
  if (status != MO_STATUS_OK || mo_tensor_count(params->output) == 0) return mo_context_note(context, status);
  const mo_backend *backend = mo_context_backend(context);
  return mo_context_note(context, backend->gate != NULL ? backend->gate(context, params) : mo_unsupported_op(op, context));
}
