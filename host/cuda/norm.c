/* host/cuda/norm.c - layer norm and RMS norm on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm.h"

#include "host/cuda/cuda_ops.h"

static mo_row_strides rows_or_zero(const mo_tensor *tensor) {
  return tensor != NULL ? mo_row_strides_of(tensor) : (mo_row_strides){{0, 0, 0}};
}

static mo_status_t run_norm(mo_context_t *context, const mo_norm_params *params, bool subtract_mean, const char *what) {
  const mo_tensor *input = params->input;
  const mo_norm_kernel_args args = {
      .shape = mo_row_shape_of(input),
      .columns = input->shape[input->rank - 1],
      .output = params->output->data,
      .sum = params->sum != NULL ? params->sum->data : NULL,
      .input = input->data,
      .residual = params->residual != NULL ? params->residual->data : NULL,
      .input_bias = params->input_bias != NULL ? params->input_bias->data : NULL,
      .weight = params->weight != NULL ? params->weight->data : NULL,
      .bias = params->bias != NULL ? params->bias->data : NULL,
      .dtype = input->dtype,
      .output_dtype = params->output->dtype,
      .weight_dtype = params->weight != NULL ? params->weight->dtype
                      : params->bias != NULL ? params->bias->dtype
                                             : input->dtype,
      .output_rows = mo_row_strides_of(params->output),
      .sum_rows = rows_or_zero(params->sum),
      .input_rows = mo_row_strides_of(input),
      .residual_rows = rows_or_zero(params->residual),
      .epsilon = params->epsilon,
      .weight_offset = params->weight_offset,
      .subtract_mean = subtract_mean,
  };
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_norm(&args, mo_cuda_stream_of(context)), what);
}

mo_status_t mo_cuda_layer_norm(mo_context_t *context, const mo_norm_params *params) {
  return run_norm(context, params, true, "layer_norm");
}

mo_status_t mo_cuda_rms_norm(mo_context_t *context, const mo_norm_params *params) {
  return run_norm(context, params, false, "rms_norm");
}
