/* host/cpu/convolution_kernels.h - what host/cpu/convolution.c needs of an instruction set beyond the tiles of linear.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_CONVOLUTION_KERNELS_H
#define MO_CPU_CONVOLUTION_KERNELS_H

#include "host/cpu/isa.h"
#include "host/cpu/linear_kernels.h"

/* A panel of depthwise channels over a line of pixels. The input has its channels innermost, those of the panel first. */
typedef struct mo_depthwise_line {
  const float *input;     /* of the first pixel and the first tap */
  int64_t pixel_stride;   /* floats from output pixel to output pixel */
  int64_t tap_strides[2]; /* floats from tap to tap, down and across */
  int32_t kernel[2];
  const void *panel; /* (taps, panel_columns) */
  mo_dtype_t dtype;  /* of the panel */
  int32_t channels;  /* of the panel that there are */
} mo_depthwise_line;

/* product (pixels, panel_columns) */
MO_CPU_DECLARE(void, mo_depthwise_line_run, (const mo_depthwise_line *line, int64_t pixels, float *product));

/* `pixels` of one line, all channels, of a strided image into floats with the channels innermost: to[pixel * to_stride + c]. */
MO_CPU_DECLARE(void, mo_channels_last_line,
               (float *to, int64_t to_stride, const void *from, mo_dtype_t dtype, int64_t pixel_stride, int64_t channel_stride,
                int64_t pixels, int64_t channels));

/* What becomes of the products of a line where the output's channels are not innermost. */
typedef struct mo_line_epilogue {
  void *output;
  mo_dtype_t output_dtype;
  int64_t output_strides[2]; /* from pixel to pixel, from channel to channel */
  const void *residual;      /* dtype of output, or NULL */
  int64_t residual_strides[2];
  const void *bias;
  mo_dtype_t bias_dtype;
  mo_activation_t activation;
  bool residual_first;
} mo_line_epilogue;

/* product (pixels, product_stride); `offset` and `residual_offset`: of the line's first pixel and channel 0. */
MO_CPU_DECLARE(void, mo_line_epilogue_run,
               (const mo_line_epilogue *e, const float *product, int64_t product_stride, int64_t offset,
                int64_t residual_offset, int64_t pixels, int64_t first_channel, int64_t channels));

#endif
