/* host/cuda/cast.c - the cast on the card. What keeps its dtype is a copy.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cast.h"

#include "host/cuda/cuda_ops.h"
#include "host/rules/cast_limit.h"
#include "kernels/gather.h"

mo_status_t mo_cuda_cast(mo_context_t *context, const mo_cast_params *params) {
  const mo_tensor *output = params->output, *input = params->input;
  const cudaStream_t stream = mo_cuda_stream_of(context);
  const mo_cast_kernel_args args = {
      .shape = mo_strided_shape_of(output, input),
      .destination = output->data,
      .source = input->data,
      .destination_dtype = output->dtype,
      .source_dtype = input->dtype,
      .limit = mo_cast_limit(params),
  };
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  if (output->dtype != input->dtype) return mo_cuda_status(mo_launch_cast(&args, stream), "cast");
  const mo_strided_shape shape = mo_strided_shape_in_bytes(&args.shape, (int64_t)mo_dtype_bytes(input->dtype));
  return mo_cuda_status(mo_launch_gather(output->data, input->data, &shape, stream), "cast");
}
