/* host/cuda/pooling2d.c - pooling over windows on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/pooling2d.h"

#include <string.h>

#include "host/cuda/cuda_ops.h"

mo_status_t mo_cuda_pooling2d(mo_context_t *context, const mo_pooling2d_params *params) {
  const mo_tensor *output = params->output, *input = params->input;
  mo_pooling2d_args args = {.input = input->data,
                            .output = output->data,
                            .dtype = input->dtype,
                            .kind = params->kind,
                            .count_includes_padding = params->count_includes_padding,
                            .rows = mo_pooling_axis_of(params, 0),
                            .columns = mo_pooling_axis_of(params, 1),
                            .batch = output->shape[0],
                            .channels = output->shape[1]};
  memcpy(args.input_strides, input->strides, sizeof args.input_strides);
  memcpy(args.output_strides, output->strides, sizeof args.output_strides);
  if (args.channels == 1) args.input_strides[1] = args.output_strides[1] = 1;
  MO_CHECK(mo_tensor_count(output) <= INT32_MAX, MO_STATUS_UNSUPPORTED,
           "pooling2d: %lld windows are more than one launch can have", (long long)mo_tensor_count(output));
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_pooling2d(&args, mo_cuda_stream_of(context)), "pooling2d");
}
