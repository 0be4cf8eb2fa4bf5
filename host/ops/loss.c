/* host/ops/loss.c - front doors of the losses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/loss.h"

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

#define FLOAT32 MO_DTYPE_BIT(MO_DTYPE_FLOAT32)
#define ELEMENTWISE_RANK_MAX 4

static mo_status_t check_reduction(const char *op, mo_loss_reduction_t reduction, mo_loss_reduction_t last) {
  MO_CHECK((int)reduction >= 0 && reduction <= last, MO_STATUS_INVALID_ARGUMENT, "%s: reduction %d is not one of 0..%d", op,
           (int)reduction, (int)last);
  return MO_STATUS_OK;
}

static mo_status_t check_one_element(const char *op, const mo_tensor *loss) {
  MO_CHECK(mo_tensor_count(loss) == 1, MO_STATUS_INVALID_ARGUMENT, "%s: loss has %lld elements, this reduction gives one", op,
           (long long)mo_tensor_count(loss));
  return MO_STATUS_OK;
}

/* Destination `loss` against everything that is read. */
static mo_status_t check_loss_memory(const char *op, const char *name, const mo_tensor *destination,
                                     const mo_tensor *const *sources, const char *const *source_names, int count) {
  MO_TRY(mo_check_destination(op, name, destination));
  for (int i = 0; i < count; ++i) MO_TRY(mo_check_no_overlap(op, name, destination, source_names[i], sources[i], false));
  return MO_STATUS_OK;
}

/* ---- Cross entropy ---- */

static mo_status_t check_cross_entropy_loss(const mo_cross_entropy_params *params) {
  const char *op = "cross_entropy";
  const mo_tensor *loss = params->loss, *labels = params->labels;
  if (params->reduction == MO_LOSS_REDUCTION_MEAN || params->reduction == MO_LOSS_REDUCTION_SUM)
    return check_one_element(op, loss);
  if (params->reduction == MO_LOSS_REDUCTION_COMPACT) {
    MO_CHECK(loss->rank == 1, MO_STATUS_INVALID_ARGUMENT, "%s: loss has rank %d, the compact form has 1", op, (int)loss->rank);
    return MO_STATUS_OK; /* only the labels know how many elements are needed */
  }
  if (loss->rank == 1 && labels->rank == 2) {
    int64_t count = mo_tensor_count(labels);
    if (params->shift && labels->shape[1] > 0) count -= labels->shape[0];
    return mo_check_shape(op, "loss", loss, 1, &count);
  }
  return mo_check_shape(op, "loss", loss, labels->rank, labels->shape);
}

static mo_status_t check_cross_entropy(const mo_context_t *context, const mo_cross_entropy_params *params) {
  const char *op = "cross_entropy";
  MO_TRY(check_reduction(op, params->reduction, MO_LOSS_REDUCTION_COMPACT));
  MO_TRY(mo_check_tensor(op, "logits", context, params->logits, MO_DTYPES_FLOAT, 2, 3));
  MO_TRY(mo_check_last_stride(op, "logits", params->logits));
  const int32_t rank = params->logits->rank - 1;
  MO_TRY(mo_check_tensor(op, "labels", context, params->labels, MO_DTYPES_INDEX, rank, rank));
  MO_TRY(mo_check_shape(op, "labels", params->labels, rank, params->logits->shape));
  MO_CHECK(!params->shift || rank == 2, MO_STATUS_INVALID_ARGUMENT,
           "%s: shift needs logits of rank 3 (batch, position, vocabulary), not %d", op, (int)rank + 1);
  MO_TRY(mo_check_tensor(op, "loss", context, params->loss, FLOAT32, 0, MO_MAX_DIMS));
  MO_TRY(check_cross_entropy_loss(params));
  const mo_tensor *sources[] = {params->logits, params->labels, params->log_sum_exp};
  const char *const names[] = {"logits", "labels", "log_sum_exp"};
  if (params->log_sum_exp != NULL) {
    MO_TRY(mo_check_tensor(op, "log_sum_exp", context, params->log_sum_exp, FLOAT32, rank, rank));
    MO_TRY(mo_check_shape(op, "log_sum_exp", params->log_sum_exp, rank, params->labels->shape));
    MO_TRY(check_loss_memory(op, "log_sum_exp", params->log_sum_exp, sources, names, 2));
  }
  return check_loss_memory(op, "loss", params->loss, sources, names, 3);
}

mo_status_t mo_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *given) {
  MO_RANGE(context, "mo_cross_entropy", given, given->loss, given->logits, given->labels);
  mo_cross_entropy_params taken = MO_CROSS_ENTROPY_PARAMS_INIT;
  const mo_cross_entropy_params *params = &taken;
  mo_status_t status = MO_TAKE_PARAMS("cross_entropy", context, MO_CROSS_ENTROPY_PARAMS_INIT, given,
                                      MO_SIZE_TO(mo_cross_entropy_params, reduction), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_cross_entropy(context, params);
  if (status == MO_STATUS_OK && !(mo_is_empty(params->loss) && mo_is_empty(params->log_sum_exp))) {
    const mo_backend *backend = mo_context_backend(context);
    status =
        backend->cross_entropy != NULL ? backend->cross_entropy(context, params) : mo_unsupported_op("cross_entropy", context);
  }
  return mo_context_note(context, status);
}

/* ---- Elementwise ---- */

static mo_status_t check_elementwise(const char *op, const mo_context_t *context, const mo_elementwise_loss_params *params) {
  MO_TRY(check_reduction(op, params->reduction, MO_LOSS_REDUCTION_NONE));
  MO_TRY(mo_check_tensor(op, "logits", context, params->logits, MO_DTYPES_FLOAT, 0, ELEMENTWISE_RANK_MAX));
  const mo_tensor *logits = params->logits;
  MO_TRY(mo_check_tensor(op, "labels", context, params->labels, FLOAT32 | MO_DTYPE_BIT(logits->dtype), logits->rank,
                         logits->rank));
  MO_TRY(mo_check_shape(op, "labels", params->labels, logits->rank, logits->shape));
  MO_TRY(mo_check_tensor(op, "loss", context, params->loss, FLOAT32, 0, MO_MAX_DIMS));
  if (params->reduction == MO_LOSS_REDUCTION_NONE) {
    MO_TRY(mo_check_shape(op, "loss", params->loss, logits->rank, logits->shape));
  } else {
    MO_TRY(check_one_element(op, params->loss));
  }
  const mo_tensor *sources[] = {params->logits, params->labels};
  const char *const names[] = {"logits", "labels"};
  return check_loss_memory(op, "loss", params->loss, sources, names, 2);
}

mo_status_t mo_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *given) {
  MO_RANGE(context, "mo_bce_with_logits_loss", given, given->loss, given->logits, given->labels);
  mo_elementwise_loss_params taken = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
  const mo_elementwise_loss_params *params = &taken;
  mo_status_t status = MO_TAKE_PARAMS("bce_with_logits_loss", context, MO_ELEMENTWISE_LOSS_PARAMS_INIT, given,
                                      MO_SIZE_TO(mo_elementwise_loss_params, reduction), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_elementwise("bce_with_logits_loss", context, params);
  if (status == MO_STATUS_OK && !mo_is_empty(params->loss)) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->bce_with_logits_loss != NULL ? backend->bce_with_logits_loss(context, params)
                                                   : mo_unsupported_op("bce_with_logits_loss", context);
  }
  return mo_context_note(context, status);
}

mo_status_t mo_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *given) {
  MO_RANGE(context, "mo_mse_loss", given, given->loss, given->logits, given->labels);
  mo_elementwise_loss_params taken = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
  const mo_elementwise_loss_params *params = &taken;
  mo_status_t status = MO_TAKE_PARAMS("mse_loss", context, MO_ELEMENTWISE_LOSS_PARAMS_INIT, given,
                                      MO_SIZE_TO(mo_elementwise_loss_params, reduction), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_elementwise("mse_loss", context, params);
  if (status == MO_STATUS_OK && !mo_is_empty(params->loss)) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->mse_loss != NULL ? backend->mse_loss(context, params) : mo_unsupported_op("mse_loss", context);
  }
  return mo_context_note(context, status);
}

/* ---- Span ---- */

static mo_status_t check_span_positions(const mo_context_t *context, const char *name, const mo_tensor *positions,
                                        int64_t batch) {
  MO_TRY(mo_check_tensor("span_loss", name, context, positions, MO_DTYPES_INDEX, 1, 2));
  return mo_check_shape("span_loss", name, positions, positions->rank, (int64_t[]){batch, 1});
}

static mo_status_t check_span(const mo_context_t *context, const mo_span_loss_params *params) {
  const char *op = "span_loss";
  MO_CHECK(params->reduction == MO_LOSS_REDUCTION_MEAN || params->reduction == MO_LOSS_REDUCTION_NONE,
           MO_STATUS_INVALID_ARGUMENT, "%s: reduction %d is neither mean (0) nor none (2)", op, (int)params->reduction);
  MO_TRY(mo_check_tensor(op, "start_logits", context, params->start_logits, MO_DTYPES_FLOAT, 2, 2));
  const mo_tensor *starts = params->start_logits;
  MO_TRY(mo_check_tensor(op, "end_logits", context, params->end_logits, MO_DTYPE_BIT(starts->dtype), 2, 2));
  MO_TRY(mo_check_shape(op, "end_logits", params->end_logits, 2, starts->shape));
  MO_TRY(check_span_positions(context, "start_positions", params->start_positions, starts->shape[0]));
  MO_TRY(check_span_positions(context, "end_positions", params->end_positions, starts->shape[0]));
  MO_TRY(mo_check_tensor(op, "loss", context, params->loss, FLOAT32, 0, MO_MAX_DIMS));
  if (params->reduction == MO_LOSS_REDUCTION_NONE) {
    MO_TRY(mo_check_shape(op, "loss", params->loss, 1, starts->shape));
  } else {
    MO_TRY(check_one_element(op, params->loss));
  }
  const mo_tensor *sources[] = {starts, params->end_logits, params->start_positions, params->end_positions};
  const char *const names[] = {"start_logits", "end_logits", "start_positions", "end_positions"};
  return check_loss_memory(op, "loss", params->loss, sources, names, 4);
}

mo_status_t mo_span_loss(mo_context_t *context, const mo_span_loss_params *given) {
  MO_RANGE(context, "mo_span_loss", given, given->loss, given->start_logits, given->end_logits);
  mo_span_loss_params taken = MO_SPAN_LOSS_PARAMS_INIT;
  const mo_span_loss_params *params = &taken;
  mo_status_t status =
      MO_TAKE_PARAMS("span_loss", context, MO_SPAN_LOSS_PARAMS_INIT, given, MO_SIZE_TO(mo_span_loss_params, reduction), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_span(context, params);
  if (status == MO_STATUS_OK && !mo_is_empty(params->loss)) {
    const mo_backend *backend = mo_context_backend(context);
    status = backend->span_loss != NULL ? backend->span_loss(context, params) : mo_unsupported_op("span_loss", context);
  }
  return mo_context_note(context, status);
}
