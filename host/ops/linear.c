/* host/ops/linear.c - the front door of the dense layer, packed weights, and the names of the activations.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const struct {
  const char *name;
  mo_activation_t activation;
} activation_names[] = {
    /* The first name of each is the one mo_activation_name gives. */
    {"linear", MO_ACTIVATION_NONE},
    {"gelu", MO_ACTIVATION_GELU},
    {"gelu_new", MO_ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", MO_ACTIVATION_GELU_TANH},
    {"gelu_fast", MO_ACTIVATION_GELU_TANH},
    {"gelu_accurate", MO_ACTIVATION_GELU_TANH},
    {"gelu_python_tanh", MO_ACTIVATION_GELU_TANH},
    {"gelu_python", MO_ACTIVATION_GELU},
    {"relu", MO_ACTIVATION_RELU},
    {"silu", MO_ACTIVATION_SILU},
    {"swish", MO_ACTIVATION_SILU},
    {"tanh", MO_ACTIVATION_TANH},
    {"quick_gelu", MO_ACTIVATION_QUICK_GELU},
};
#define ACTIVATION_NAME_COUNT (sizeof activation_names / sizeof activation_names[0])

mo_status_t mo_activation_from_name(const char *name, mo_activation_t *activation) {
  MO_CHECK(name != NULL && activation != NULL, MO_STATUS_INVALID_ARGUMENT, "activation: the name or the result is NULL");
  for (size_t i = 0; i < ACTIVATION_NAME_COUNT; ++i) {
    if (strcmp(name, activation_names[i].name) == 0) {
      *activation = activation_names[i].activation;
      return MO_STATUS_OK;
    }
  }
  return mo_fail(
      MO_STATUS_UNSUPPORTED,
      "activation: \"%.64s\" is none of linear, gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_python_tanh, gelu_fast, "
      "gelu_accurate, relu, silu, swish, tanh, quick_gelu",
      name);
}

const char *mo_activation_name(mo_activation_t activation) {
  for (size_t i = 0; i < ACTIVATION_NAME_COUNT; ++i) {
    if (activation_names[i].activation == activation) return activation_names[i].name;
  }
  return "unknown";
}

/* ---- Packed weights ---- */

static mo_status_t check_weights(const mo_context_t *context, const mo_tensor *const *weights, int32_t count, int64_t *rows) {
  static const char op[] = "linear pack";
  MO_CHECK(weights != NULL && count >= 1, MO_STATUS_INVALID_ARGUMENT, "%s: %d weights, at least one is needed", op, (int)count);
  *rows = 0;
  for (int32_t i = 0; i < count; ++i) {
    MO_TRY(mo_check_tensor(op, "weight", context, weights[i], MO_DTYPES_FLOAT, 2, 2));
    MO_TRY(mo_check_last_stride(op, "weight", weights[i]));
    MO_CHECK(weights[i]->dtype == weights[0]->dtype, MO_STATUS_INVALID_ARGUMENT, "%s: weight %d is %s, the first %s", op,
             (int)i, mo_dtype_name(weights[i]->dtype), mo_dtype_name(weights[0]->dtype));
    MO_CHECK(weights[i]->shape[1] == weights[0]->shape[1], MO_STATUS_INVALID_ARGUMENT,
             "%s: weight %d has %lld columns, the first %lld", op, (int)i, (long long)weights[i]->shape[1],
             (long long)weights[0]->shape[1]);
    MO_CHECK(mo_checked_add(*rows, weights[i]->shape[0], rows), MO_STATUS_INVALID_ARGUMENT, "%s: the rows overflow", op);
  }
  return MO_STATUS_OK;
}

static mo_status_t pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count, mo_packed_weight_t **packed) {
  int64_t rows = 0;
  MO_TRY(check_weights(context, weights, count, &rows));
  const mo_backend *backend = mo_context_backend(context);
  if (backend->linear_pack == NULL) return mo_unsupported_op("linear pack", context);
  mo_packed_weight_t *made = mo_host_allocate(context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  *made = (mo_packed_weight_t){
      .context = mo_context_retain(context), .dtype = weights[0]->dtype, .rows = rows, .columns = weights[0]->shape[1]};
  const mo_status_t status = backend->linear_pack(context, weights, count, made);
  if (status != MO_STATUS_OK) {
    mo_host_free(context, made, sizeof *made);
    mo_context_release_reference(context);
    return status;
  }
  *packed = made;
  return MO_STATUS_OK;
}

mo_status_t mo_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count, mo_packed_weight_t **packed) {
  MO_RANGE_OF(context, "mo_linear_pack", "weight", weights != NULL && count > 0 ? weights[0] : NULL);
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "linear pack: the context is NULL");
  if (packed == NULL) {
    return mo_context_note(context, mo_fail(MO_STATUS_INVALID_ARGUMENT, "linear pack: the result is NULL"));
  }
  return mo_context_note(context, pack(context, weights, count, packed));
}

void mo_packed_weight_destroy(mo_packed_weight_t *packed) {
  if (packed == NULL) return;
  mo_context_t *context = packed->context;
  const mo_backend *backend = mo_context_backend(context);
  if (backend->packed_weight_release != NULL) backend->packed_weight_release(packed);
  mo_host_free(context, packed, sizeof *packed);
  mo_context_release_reference(context);
}

/* ---- The product ---- */

static mo_status_t check_weight(const mo_context_t *context, const mo_linear_params *p, int64_t columns, int64_t depth) {
  static const char op[] = "linear";
  const mo_packed_weight_t *packed = p->packed_weight;
  MO_CHECK((p->weight != NULL) != (packed != NULL), MO_STATUS_INVALID_ARGUMENT,
           "%s: %s weight and packed_weight, exactly one is needed", op, packed != NULL ? "both" : "neither");
  if (packed == NULL) {
    MO_TRY(mo_check_tensor(op, "weight", context, p->weight, MO_DTYPES_FLOAT, 2, 2));
    MO_TRY(mo_check_shape(op, "weight", p->weight, 2, (const int64_t[]){columns, depth}));
    MO_TRY(mo_check_last_stride(op, "weight", p->weight));
    MO_CHECK(p->weight->dtype == p->input->dtype, MO_STATUS_INVALID_ARGUMENT, "%s: weight is %s, input %s", op,
             mo_dtype_name(p->weight->dtype), mo_dtype_name(p->input->dtype));
    return mo_check_no_overlap(op, "output", p->output, "weight", p->weight, false);
  }
  const mo_device device = mo_context_device(context), home = mo_context_device(packed->context);
  MO_CHECK(mo_context_backend(packed->context) == mo_context_backend(context) && home.kind == device.kind &&
               home.index == device.index,
           MO_STATUS_INVALID_ARGUMENT, "%s: packed_weight was packed for another device", op);
  MO_CHECK(packed->rows == columns && packed->columns == depth, MO_STATUS_INVALID_ARGUMENT,
           "%s: packed_weight is (%lld, %lld), not (%lld, %lld)", op, (long long)packed->rows, (long long)packed->columns,
           (long long)columns, (long long)depth);
  MO_CHECK(packed->dtype == p->input->dtype, MO_STATUS_INVALID_ARGUMENT, "%s: packed_weight is %s, input %s", op,
           mo_dtype_name(packed->dtype), mo_dtype_name(p->input->dtype));
  return MO_STATUS_OK;
}

static mo_status_t check_linear(const mo_context_t *context, const mo_linear_params *p) {
  static const char op[] = "linear";
  MO_TRY(mo_check_tensor(op, "output", context, p->output, MO_DTYPES_FLOAT, 1, 4));
  MO_TRY(mo_check_tensor(op, "input", context, p->input, MO_DTYPES_FLOAT, 1, 4));
  const int32_t rank = p->output->rank;
  int64_t shape[4];
  memcpy(shape, p->output->shape, sizeof shape);
  const int64_t columns = shape[rank - 1];
  const int64_t depth = p->input->shape[p->input->rank - 1];
  shape[rank - 1] = depth;
  MO_TRY(mo_check_shape(op, "input", p->input, rank, shape));
  MO_TRY(mo_check_last_stride(op, "output", p->output));
  MO_TRY(mo_check_last_stride(op, "input", p->input));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(mo_check_no_overlap(op, "output", p->output, "input", p->input, false));
  MO_TRY(check_weight(context, p, columns, depth));
  if (p->bias != NULL) {
    MO_TRY(mo_check_tensor(op, "bias", context, p->bias, MO_DTYPE_BIT(p->input->dtype) | MO_DTYPE_BIT(MO_DTYPE_FLOAT32), 1, 1));
    MO_TRY(mo_check_shape(op, "bias", p->bias, 1, &columns));
    MO_TRY(mo_check_last_stride(op, "bias", p->bias));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "bias", p->bias, false));
  }
  if (p->residual != NULL) {
    MO_TRY(mo_check_tensor(op, "residual", context, p->residual, MO_DTYPE_BIT(p->output->dtype), 1, 4));
    MO_TRY(mo_check_shape(op, "residual", p->residual, rank, p->output->shape));
    MO_TRY(mo_check_last_stride(op, "residual", p->residual));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "residual", p->residual, true));
  }
  const int activation = (int)p->activation;
  MO_CHECK(activation >= MO_ACTIVATION_NONE && activation <= MO_ACTIVATION_QUICK_GELU, MO_STATUS_INVALID_ARGUMENT,
           "%s: activation %d is not one of mo_activation_t", op, activation);
  return MO_STATUS_OK;
}

mo_status_t mo_linear(mo_context_t *context, const mo_linear_params *given) {
  MO_RANGE(context, "mo_linear", given, given->output, given->input, given->weight, given->residual);
  mo_linear_params taken = MO_LINEAR_PARAMS_INIT;
  const mo_linear_params *params = &taken;
  mo_status_t status =
      MO_TAKE_PARAMS("linear", context, MO_LINEAR_PARAMS_INIT, given, MO_SIZE_TO(mo_linear_params, activation), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_linear(context, params);
  if (status != MO_STATUS_OK || mo_tensor_count(params->output) == 0) return mo_context_note(context, status);
  const mo_backend *backend = mo_context_backend(context);
  status = backend->linear != NULL ? backend->linear(context, params) : mo_unsupported_op("linear", context);
  return mo_context_note(context, status);
}
