/* host/cuda/gate.c - the gate on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gate.h"

#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_gate(mo_context_t *context, const mo_gate_params *params) {
  const mo_tensor *output = params->output;
  const mo_gate_kernel_args args = {
      .shape = mo_row_shape_of(output),
      .columns = output->shape[output->rank - 1],
      .output = output->data,
      .gate = params->gate->data,
      .input = params->input->data,
      .dtype = output->dtype,
      .output_rows = mo_row_strides_of(output),
      .gate_rows = mo_row_strides_of(params->gate),
      .input_rows = mo_row_strides_of(params->input),
      .activation = params->activation,
  };
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_gate(&args, mo_cuda_stream_of(context)), "gate");
}
