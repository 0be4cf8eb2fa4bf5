/* host/cuda/sum.c - weighted sums on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/sum.h"

#include "host/cuda/cuda_ops.h"

/* A term that is not there walks like the output, so that it joins no dimension less. */
static mo_sum_term_args term_of(const mo_tensor *tensor, const mo_tensor *output, float scale) {
  if (tensor == NULL) return (mo_sum_term_args){.rows = mo_row_strides_of(output)};
  return (mo_sum_term_args){.data = tensor->data,
                            .dtype = tensor->dtype,
                            .rows = mo_row_strides_of(tensor),
                            .stride = tensor->shape[tensor->rank - 1] == 1 ? 1 : tensor->strides[tensor->rank - 1],
                            .scale = scale};
}

mo_status_t mo_cuda_sum(mo_context_t *context, const mo_sum_params *params) {
  const mo_tensor *output = params->output;
  const mo_sum_kernel_args args = {
      .shape = mo_row_shape_of(output),
      .columns = output->shape[output->rank - 1],
      .output = output->data,
      .dtype = output->dtype,
      .output_rows = mo_row_strides_of(output),
      .terms = {term_of(params->a, output, params->a_scale), term_of(params->b, output, params->b_scale)},
      .constant = params->constant,
  };
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_sum(&args, mo_cuda_stream_of(context)), "sum");
}
