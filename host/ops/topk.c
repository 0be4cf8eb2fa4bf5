/* host/ops/topk.c - front door of top-k.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/topk.h"

#include <string.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static mo_status_t check_result(const mo_context_t *context, const char *name, const mo_tensor *tensor, mo_dtype_t dtype,
                                const mo_tensor *input) {
  const char *op = "topk";
  const int32_t last = input->rank - 1;
  MO_TRY(mo_check_tensor(op, name, context, tensor, MO_DTYPE_BIT(dtype), input->rank, input->rank));
  const int64_t k = tensor->shape[last];
  MO_CHECK(k >= 1 && k <= input->shape[last], MO_STATUS_INVALID_ARGUMENT, "%s: %s asks for %lld of %lld elements, not 1..%lld",
           op, name, (long long)k, (long long)input->shape[last], (long long)input->shape[last]);
  int64_t shape[MO_MAX_DIMS];
  memcpy(shape, input->shape, sizeof shape);
  shape[last] = k;
  MO_TRY(mo_check_shape(op, name, tensor, input->rank, shape));
  MO_CHECK(mo_tensor_is_contiguous(tensor), MO_STATUS_INVALID_ARGUMENT, "%s: %s is not contiguous", op, name);
  return mo_check_no_overlap(op, name, tensor, "input", input, false);
}

static mo_status_t check_topk(const mo_context_t *context, const mo_topk_params *params) {
  const char *op = "topk";
  MO_TRY(mo_check_tensor(op, "input", context, params->input, MO_DTYPES_FLOAT, 1, MO_MAX_DIMS));
  MO_TRY(check_result(context, "values", params->values, params->input->dtype, params->input));
  MO_TRY(check_result(context, "indices", params->indices, MO_DTYPE_INT64, params->input));
  MO_TRY(mo_check_shape(op, "indices", params->indices, params->values->rank, params->values->shape));
  return mo_check_no_overlap(op, "values", params->values, "indices", params->indices, false);
}

mo_status_t mo_topk(mo_context_t *context, const mo_topk_params *given) {
  MO_RANGE(context, "mo_topk", given, given->values, given->indices, given->input);
  mo_topk_params taken = MO_TOPK_PARAMS_INIT;
  const mo_topk_params *params = &taken;
  mo_status_t status = MO_TAKE_PARAMS("topk", context, MO_TOPK_PARAMS_INIT, given, MO_SIZE_TO(mo_topk_params, input), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_topk(context, params);
  if (status == MO_STATUS_OK && !mo_is_empty(params->values)) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->topk != NULL ? backend->topk(context, params) : mo_unsupported_op("topk", context);
  }
  return mo_context_note(context, status);
}
