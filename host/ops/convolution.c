/* host/ops/convolution.c - the front door of convolutions: checks, the cut of a transposed one into plain ones.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/ops/convolution.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"

static const char op[] = "convolution";

mo_status_t mo_convolution_extent(const mo_packed_convolution_t *packed, int32_t axis, int64_t in, int64_t *out) {
  const mo_convolution_geometry *g = &packed->geometry;
  const int64_t reach = (int64_t)g->dilation[axis] * (packed->kernel[axis] - 1) + 1;
  const int64_t around = (int64_t)g->padding_before[axis] + g->padding_after[axis];
  /* Kernels count places of taps, inside and outside of the input, in 32 bits. */
  MO_CHECK(in <= INT32_MAX && in + around <= INT32_MAX && reach <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT,
           "%s: an extent of %" PRId64 " with %" PRId64 " of padding under a kernel that reaches over %" PRId64
           " is more than %" PRId32,
           op, in, around, reach, INT32_MAX);
  if (g->transposed) {
    MO_CHECK(in >= 1, MO_STATUS_INVALID_ARGUMENT, "%s: the input has an extent of %" PRId64, op, in);
    *out = (in - 1) * g->stride[axis] - around + reach + g->output_padding[axis];
    MO_CHECK(*out >= 1 && *out <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT,
             "%s: an input of %" PRId64 " leaves an output of %" PRId64, op, in, *out);
    return MO_STATUS_OK;
  }
  MO_CHECK(in >= 0 && in + around >= reach, MO_STATUS_INVALID_ARGUMENT,
           "%s: an extent of %" PRId64 " with %" PRId64 " of padding is shorter than the kernel, which reaches over %" PRId64,
           op, in, around, reach);
  *out = (in + around - reach) / g->stride[axis] + 1;
  return MO_STATUS_OK;
}

mo_status_t mo_convolution_output_shape(const mo_packed_convolution_t *packed, int32_t rank, const int64_t *input_shape,
                                        int64_t *output_shape) {
  MO_CHECK(packed != NULL && input_shape != NULL && output_shape != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: an argument is NULL",
           op);
  MO_CHECK(rank == packed->rank, MO_STATUS_INVALID_ARGUMENT, "%s: input has rank %d, weight %d", op, (int)rank,
           (int)packed->rank);
  MO_CHECK(input_shape[1] == packed->channels, MO_STATUS_INVALID_ARGUMENT,
           "%s: input has %" PRId64 " channels, weight is for %" PRId64, op, input_shape[1], packed->channels);
  output_shape[0] = input_shape[0];
  output_shape[1] = packed->out_channels;
  for (int32_t i = 2; i < rank; ++i)
    MO_TRY(mo_convolution_extent(packed, i - 2 + (4 - rank), input_shape[i], &output_shape[i]));
  return MO_STATUS_OK;
}

static mo_status_t check_weight(const mo_context_t *context, const mo_convolution_params *p) {
  const mo_packed_convolution_t *weight = p->weight;
  MO_CHECK(weight != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: weight is NULL, mo_convolution_pack makes one", op);
  const mo_device device = mo_context_device(context), home = mo_context_device(weight->context);
  MO_CHECK(mo_context_backend(weight->context) == mo_context_backend(context) && home.kind == device.kind &&
               home.index == device.index,
           MO_STATUS_INVALID_ARGUMENT, "%s: weight was packed for another device", op);
  return MO_STATUS_OK;
}

static mo_status_t check_convolution(const mo_context_t *context, const mo_convolution_params *p) {
  int64_t shape[4];
  MO_TRY(check_weight(context, p));
  const mo_packed_convolution_t *weight = p->weight;
  const uint32_t dtypes = MO_DTYPE_BIT(weight->dtype) | MO_DTYPE_BIT(MO_DTYPE_FLOAT32);
  MO_TRY(mo_check_tensor(op, "input", context, p->input, MO_DTYPE_BIT(weight->dtype), weight->rank, weight->rank));
  MO_TRY(mo_check_tensor(op, "output", context, p->output, dtypes, weight->rank, weight->rank));
  MO_TRY(mo_convolution_output_shape(weight, weight->rank, p->input->shape, shape));
  MO_TRY(mo_check_shape(op, "output", p->output, weight->rank, shape));
  MO_TRY(mo_check_destination(op, "output", p->output));
  MO_TRY(mo_check_no_overlap(op, "output", p->output, "input", p->input, false));
  if (p->bias != NULL) {
    MO_TRY(mo_check_tensor(op, "bias", context, p->bias, dtypes, 1, 1));
    MO_TRY(mo_check_shape(op, "bias", p->bias, 1, &weight->out_channels));
    MO_TRY(mo_check_last_stride(op, "bias", p->bias));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "bias", p->bias, false));
  }
  if (p->residual != NULL) {
    MO_TRY(mo_check_tensor(op, "residual", context, p->residual, MO_DTYPE_BIT(p->output->dtype), weight->rank, weight->rank));
    MO_TRY(mo_check_shape(op, "residual", p->residual, weight->rank, shape));
    MO_TRY(mo_check_no_overlap(op, "output", p->output, "residual", p->residual, true));
  }
  const int activation = (int)p->activation;
  MO_CHECK(activation >= MO_ACTIVATION_NONE && activation <= MO_ACTIVATION_QUICK_GELU, MO_STATUS_INVALID_ARGUMENT,
           "%s: activation %d is not one of mo_activation_t", op, activation);
  return MO_STATUS_OK;
}

/* ---- What the backend is given ---- */

/* One dimension is two with a height of 1. */
static mo_tensor with_height(const mo_tensor *tensor) {
  mo_tensor flat = *tensor;
  if (tensor->rank == 4) return flat;
  flat.rank = 4;
  flat.shape[3] = tensor->shape[2], flat.strides[3] = tensor->strides[2];
  flat.shape[2] = 1, flat.strides[2] = 0;
  return flat;
}

/* The part of a tensor whose positions leave `remainder` by `stride`. */
static mo_tensor every(const mo_tensor *tensor, const int64_t *first, const int32_t *stride) {
  mo_tensor part = *tensor;
  int64_t offset = 0;
  for (int32_t axis = 0; axis < 2; ++axis) {
    const int64_t extent = tensor->shape[2 + axis];
    part.shape[2 + axis] = first[axis] < extent ? (extent - first[axis] + stride[axis] - 1) / stride[axis] : 0;
    offset += first[axis] * tensor->strides[2 + axis];
    part.strides[2 + axis] *= stride[axis];
  }
  if (mo_tensor_count(&part) > 0) part.data = (char *)tensor->data + offset * (int64_t)mo_dtype_bytes(tensor->dtype);
  return part;
}

typedef struct flat_call {
  mo_tensor output, input, residual;
  mo_convolution_params params;
} flat_call;

static mo_status_t run_part(mo_context_t *context, const flat_call *call, const mo_convolution_part *part,
                            const mo_tensor *output, const mo_tensor *residual) {
  const mo_packed_convolution_t weight = {.context = call->params.weight->context,
                                          .dtype = call->params.weight->dtype,
                                          .rank = 4,
                                          .part_count = 1,
                                          .geometry = call->params.weight->geometry,
                                          .channels = part->channels,
                                          .out_channels = part->out_channels,
                                          .kernel = {part->kernel[0], part->kernel[1]},
                                          .parts = part};
  mo_convolution_params params = call->params;
  params.input = &call->input;
  params.output = output;
  params.residual = params.residual != NULL ? residual : NULL;
  params.weight = &weight;
  return mo_context_backend(context)->convolution(context, &params);
}

/* Output position p = stride q + first takes part in the remainder (p + padding) mod stride. */
static mo_status_t run_transposed(mo_context_t *context, const flat_call *call) {
  const mo_packed_convolution_t *weight = call->params.weight;
  const mo_convolution_geometry *g = &weight->geometry;
  for (int32_t index = 0; index < weight->part_count; ++index) {
    const int32_t remainder[2] = {index / g->stride[1], index % g->stride[1]};
    mo_convolution_part part = weight->parts[index];
    int64_t first[2];
    for (int32_t axis = 0; axis < 2; ++axis) {
      const int32_t stride = g->stride[axis], before = g->padding_before[axis];
      first[axis] = ((remainder[axis] - before) % stride + stride) % stride;
      /* The part was made for an output that begins at -before; this one begins (first + before - remainder) / stride later. */
      part.padding[axis] -= (int32_t)((first[axis] + before - remainder[axis]) / stride);
    }
    const mo_tensor output = every(&call->output, first, g->stride);
    const mo_tensor residual = every(&call->residual, first, g->stride);
    if (mo_is_empty(&output)) continue;
    MO_TRY(run_part(context, call, &part, &output, &residual));
  }
  return MO_STATUS_OK;
}

static mo_status_t run(mo_context_t *context, const mo_convolution_params *params) {
  if (mo_context_backend(context)->convolution == NULL) return mo_unsupported_op(op, context);
  flat_call call = {.params = *params, .output = with_height(params->output), .input = with_height(params->input)};
  call.residual = params->residual != NULL ? with_height(params->residual) : call.output;
  if (params->weight->geometry.transposed) return run_transposed(context, &call);
  return run_part(context, &call, params->weight->parts, &call.output, &call.residual);
}

mo_status_t mo_convolution(mo_context_t *context, const mo_convolution_params *given) {
  MO_RANGE(context, "mo_convolution", given, given->output, given->input);
  mo_convolution_params taken = MO_CONVOLUTION_PARAMS_INIT;
  mo_status_t status =
      MO_TAKE_PARAMS(op, context, MO_CONVOLUTION_PARAMS_INIT, given, MO_SIZE_TO(mo_convolution_params, activation), &taken);
  if (context == NULL) return status;
  if (status == MO_STATUS_OK) status = check_convolution(context, &taken);
  if (status != MO_STATUS_OK || mo_is_empty(taken.output)) return mo_context_note(context, status);
  return mo_context_note(context, run(context, &taken));
}
