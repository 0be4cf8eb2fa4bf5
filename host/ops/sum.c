/* host/ops/sum.c - the front door of weighted sums.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/sum.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const char op[] = "sum";

static mo_status_t check_term(const mo_context_t *context, const mo_sum_params *p, const char *name, const mo_tensor *term) {
  if (term == NULL) return MO_STATUS_OK;
  const int32_t rank = p->output->rank;
  MO_TRY(mo_check_tensor(op, name, context, term, MO_DTYPES_FLOAT, 0, 4));
  MO_TRY(mo_check_shape(op, name, term, rank, p->output->shape));
  MO_CHECK(rank == 0 || term->shape[rank - 1] <= 1 || term->strides[rank - 1] == 0 || term->strides[rank - 1] == 1,
           MO_STATUS_INVALID_ARGUMENT, "%s: the last stride of %s is %lld, it must be 1 or 0", op, name,
           (long long)term->strides[rank - 1]);
  return mo_check_no_overlap(op, "output", p->output, name, term, true);
}

/* A term that counts nothing is none; a scalar is a row of one. */
static void take_term(const mo_tensor **term, float scale, mo_tensor *row) {
  if (*term == NULL) return;
  if (scale == 0.0f) {
    *term = NULL;
    return;
  }
  *row = **term;
  if (row->rank == 0) row->rank = 1, row->shape[0] = row->strides[0] = 1;
  *term = row;
}

static mo_status_t check_sum(const mo_context_t *context, const mo_sum_params *p) {
  MO_TRY(mo_check_tensor(op, "output", context, p->output, MO_DTYPES_FLOAT, 0, 4));
  if (p->output->rank > 0) MO_TRY(mo_check_last_stride(op, "output", p->output));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(check_term(context, p, "a", p->a));
  return check_term(context, p, "b", p->b);
}

mo_status_t mo_sum(mo_context_t *context, const mo_sum_params *given) {
  MO_RANGE(context, "mo_sum", given, given->output, given->a, given->b);
  mo_sum_params taken = MO_SUM_PARAMS_INIT;
  mo_tensor output, a, b;
  mo_status_t status = MO_TAKE_PARAMS(op, context, MO_SUM_PARAMS_INIT, given, MO_SIZE_TO(mo_sum_params, constant), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_sum(context, &taken);
  if (status != MO_STATUS_OK || mo_is_empty(taken.output)) return mo_context_note(context, status);
  take_term(&taken.a, taken.a_scale, &a);
  take_term(&taken.b, taken.b_scale, &b);
  take_term(&taken.output, 1.0f, &output);
  const mo_backend *backend = mo_context_backend(context);
  return mo_context_note(context, backend->sum != NULL ? backend->sum(context, &taken) : mo_unsupported_op(op, context));
}
