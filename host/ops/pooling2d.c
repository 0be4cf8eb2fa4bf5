/* host/ops/pooling2d.c - the front door of pooling over windows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const char op[] = "pooling2d";

/* The extent that PyTorch gives the output. */
static int64_t windows(const mo_pooling2d_params *p, int32_t axis) {
  const int64_t in = p->input->shape[2 + axis], padding = p->padding[axis], stride = p->stride[axis];
  const int64_t room = in + 2 * padding - p->kernel[axis];
  int64_t count = (room + (p->ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (p->ceil_mode && (count - 1) * stride >= in + padding) count--;
  return count;
}

static mo_status_t check_axis(const mo_pooling2d_params *p, int32_t axis) {
  const int64_t in = p->input->shape[2 + axis], out = p->output->shape[2 + axis];
  MO_CHECK(in >= 1 && in <= INT32_MAX / 4 && out <= INT32_MAX / 4, MO_STATUS_INVALID_ARGUMENT,
           "%s: input and output have extents of %" PRId64 " and %" PRId64, op, in, out);
  if (p->kind == MO_POOLING2D_ADAPTIVE_AVERAGE) return MO_STATUS_OK;
  MO_CHECK(p->kernel[axis] >= 1 && p->stride[axis] >= 1 && p->padding[axis] >= 0 && p->padding[axis] <= p->kernel[axis] / 2 &&
               p->kernel[axis] <= INT16_MAX && p->stride[axis] <= INT16_MAX,
           MO_STATUS_INVALID_ARGUMENT, "%s: kernel %d, stride %d, padding %d", op, (int)p->kernel[axis], (int)p->stride[axis],
           (int)p->padding[axis]);
  MO_CHECK(in + 2 * p->padding[axis] >= p->kernel[axis], MO_STATUS_INVALID_ARGUMENT,
           "%s: an extent of %" PRId64 " is shorter than the kernel", op, in);
  MO_CHECK(out == windows(p, axis), MO_STATUS_INVALID_ARGUMENT,
           "%s: output has an extent of %" PRId64 ", there are %" PRId64 " windows", op, out, windows(p, axis));
  return MO_STATUS_OK;
}

static mo_status_t check_pooling(const mo_context_t *context, mo_pooling2d_params *p) {
  MO_CHECK(p->kind >= MO_POOLING2D_MAX && p->kind <= MO_POOLING2D_ADAPTIVE_AVERAGE, MO_STATUS_INVALID_ARGUMENT,
           "%s: kind %d is not one of mo_pooling2d_kind_t", op, (int)p->kind);
  MO_TRY(mo_check_tensor(op, "output", context, p->output, MO_DTYPES_FLOAT, 4, 4));
  MO_TRY(mo_check_tensor(op, "input", context, p->input, MO_DTYPE_BIT(p->output->dtype), 4, 4));
  MO_CHECK(p->input->shape[0] == p->output->shape[0] && p->input->shape[1] == p->output->shape[1], MO_STATUS_INVALID_ARGUMENT,
           "%s: output is of another batch or other channels than input", op);
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(mo_check_no_overlap(op, "output", p->output, "input", p->input, false));
  if (mo_is_empty(p->output)) return MO_STATUS_OK;
  for (int32_t axis = 0; axis < 2; ++axis) {
    if (p->stride[axis] == 0) p->stride[axis] = p->kernel[axis];
    MO_TRY(check_axis(p, axis));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_pooling2d(mo_context_t *context, const mo_pooling2d_params *given) {
  MO_RANGE(context, "mo_pooling2d", given, given->output, given->input);
  mo_pooling2d_params taken = MO_POOLING2D_PARAMS_INIT;
  mo_status_t status =
      MO_TAKE_PARAMS(op, context, MO_POOLING2D_PARAMS_INIT, given, MO_SIZE_TO(mo_pooling2d_params, ceil_mode), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_pooling(context, &taken);
  if (status != MO_STATUS_OK || mo_is_empty(taken.output)) return mo_context_note(context, status);
  const mo_backend *backend = mo_context_backend(context);
  return mo_context_note(context,
                         backend->pooling2d != NULL ? backend->pooling2d(context, &taken) : mo_unsupported_op(op, context));
}
