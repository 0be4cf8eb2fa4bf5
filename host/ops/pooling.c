/* host/ops/pooling.c - front door of pooling.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/pooling.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static mo_status_t check_dense(const mo_context_t *context, const mo_pooling_params *params, int64_t channels) {
  const char *op = "pooling";
  const mo_tensor *weight = params->weight, *bias = params->bias;
  MO_CHECK(weight != NULL || bias == NULL, MO_STATUS_INVALID_ARGUMENT, "%s: bias without weight", op);
  if (weight == NULL) return MO_STATUS_OK;
  MO_CHECK(params->mode == MO_POOLING_FIRST, MO_STATUS_INVALID_ARGUMENT, "%s: weight goes with mode FIRST (%d) only, not %d",
           op, (int)MO_POOLING_FIRST, (int)params->mode);
  const uint32_t dtype = MO_DTYPE_BIT(params->input->dtype);
  MO_TRY(mo_check_tensor(op, "weight", context, weight, dtype, 2, 2));
  MO_TRY(mo_check_shape(op, "weight", weight, 2, (int64_t[]){weight->shape[0], channels}));
  if (bias == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(op, "bias", context, bias, dtype, 1, 1));
  return mo_check_shape(op, "bias", bias, 1, weight->shape);
}

static mo_status_t check_pooling(const mo_context_t *context, const mo_pooling_params *params) {
  const char *op = "pooling";
  MO_CHECK(params->mode >= MO_POOLING_FIRST && params->mode <= MO_POOLING_MEAN_STD, MO_STATUS_INVALID_ARGUMENT,
           "%s: mode %d is not one of %d..%d", op, (int)params->mode, (int)MO_POOLING_FIRST, (int)MO_POOLING_MEAN_STD);
  MO_TRY(mo_check_tensor(op, "input", context, params->input, MO_DTYPES_FLOAT, 3, 3));
  MO_TRY(mo_check_last_stride(op, "input", params->input));
  const int64_t batch = params->input->shape[0], length = params->input->shape[1], channels = params->input->shape[2];
  MO_CHECK(params->mode != MO_POOLING_FIRST || length > 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: mode FIRST needs a position, input has length 0", op);
  MO_TRY(check_dense(context, params, channels));
  if (params->mask != NULL) {
    const uint32_t dtypes = MO_DTYPES_INDEX | MO_DTYPE_BIT(MO_DTYPE_BOOL) | MO_DTYPE_BIT(MO_DTYPE_UINT8);
    MO_TRY(mo_check_tensor(op, "mask", context, params->mask, dtypes, 2, 2));
    MO_TRY(mo_check_shape(op, "mask", params->mask, 2, params->input->shape));
  }
  int64_t width = params->weight != NULL ? params->weight->shape[0] : channels;
  if (params->mode == MO_POOLING_MEAN_STD) {
    MO_CHECK(channels <= INT64_MAX / 2, MO_STATUS_INVALID_ARGUMENT, "%s: twice %lld channels overflow", op,
             (long long)channels);
    width *= 2;
  }
  MO_TRY(mo_check_tensor(op, "output", context, params->output, MO_DTYPE_BIT(params->input->dtype), 2, 2));
  MO_TRY(mo_check_shape(op, "output", params->output, 2, (int64_t[]){batch, width}));
  MO_TRY(mo_check_destination(op, "output", params->output));
  const mo_tensor *sources[] = {params->input, params->mask, params->weight, params->bias};
  const char *const names[] = {"input", "mask", "weight", "bias"};
  for (int i = 0; i < 4; ++i) MO_TRY(mo_check_no_overlap(op, "output", params->output, names[i], sources[i], false));
  return MO_STATUS_OK;
}

mo_status_t mo_pooling(mo_context_t *context, const mo_pooling_params *given) {
  MO_RANGE(context, "mo_pooling", given, given->output, given->input, given->mask, given->weight);
  mo_pooling_params taken = MO_POOLING_PARAMS_INIT;
  const mo_pooling_params *params = &taken;
  mo_status_t status =
      MO_TAKE_PARAMS("pooling", context, MO_POOLING_PARAMS_INIT, given, MO_SIZE_TO(mo_pooling_params, l2_normalize), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_pooling(context, params);
  if (status == MO_STATUS_OK && !mo_is_empty(params->output)) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->pooling != NULL ? backend->pooling(context, params) : mo_unsupported_op("pooling", context);
  }
  return mo_context_note(context, status);
}
