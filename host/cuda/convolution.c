/* host/cuda/convolution.c - convolutions on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/convolution.h"

#include "host/cuda/cuda_ops.h"

#define MOST_BLOCKS INT32_MAX
#define MOST_CHANNEL_BLOCKS 65535
#define BLOCK_SIDE 64

static mo_image_strides strides_of(const mo_tensor *tensor) {
  return (mo_image_strides){.batch = tensor->strides[0],
                            .channel = tensor->shape[1] == 1 ? 1 : tensor->strides[1],
                            .row = tensor->strides[2],
                            .pixel = tensor->strides[3]};
}

mo_status_t mo_cuda_convolution(mo_context_t *context, const mo_convolution_params *params) {
  const mo_convolution_part *part = params->weight->parts;
  const mo_tensor *output = params->output, *input = params->input;
  mo_convolution_args args = {
      .input = input->data,
      .matrix = part->matrix != NULL ? part->matrix->data : NULL,
      .bias = params->bias != NULL ? params->bias->data : NULL,
      .residual = params->residual != NULL ? params->residual->data : NULL,
      .output = output->data,
      .dtype = input->dtype,
      .output_dtype = output->dtype,
      .bias_dtype = params->bias != NULL ? params->bias->dtype : MO_DTYPE_NONE,
      .input_strides = strides_of(input),
      .output_strides = strides_of(output),
      .residual_strides = strides_of(params->residual != NULL ? params->residual : output),
      .batch = output->shape[0],
      .height = (int32_t)input->shape[2],
      .width = (int32_t)input->shape[3],
      .out_height = (int32_t)output->shape[2],
      .out_width = (int32_t)output->shape[3],
      .inner = (int32_t)(part->channels / part->groups),
      .columns = (int32_t)(part->out_channels / part->groups),
      .groups = part->groups,
      .group_rows = part->group_rows,
      .activation = params->activation,
      .residual_first = params->residual_first,
  };
  for (int32_t axis = 0; axis < 2; ++axis) {
    args.kernel[axis] = part->kernel[axis];
    args.stride[axis] = part->stride[axis];
    args.dilation[axis] = part->dilation[axis];
    args.padding[axis] = part->padding[axis];
  }
  const int64_t image = (int64_t)args.out_height * args.out_width;
  const int64_t channel_blocks = ((int64_t)args.columns + BLOCK_SIDE - 1) / BLOCK_SIDE * args.groups;
  const bool depthwise = args.groups > 1 && args.inner == 1;
  MO_CHECK(image <= INT32_MAX && args.batch <= MOST_BLOCKS / BLOCK_SIDE && args.batch * image / BLOCK_SIDE < MOST_BLOCKS &&
               (depthwise ? part->out_channels / BLOCK_SIDE < MOST_CHANNEL_BLOCKS : channel_blocks <= MOST_CHANNEL_BLOCKS),
           MO_STATUS_UNSUPPORTED, "convolution: %lld pixels of %lld channels are more than one launch can have",
           (long long)(args.batch * image), (long long)part->out_channels);
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_convolution(&args, mo_cuda_stream_of(context)), "convolution");
}
