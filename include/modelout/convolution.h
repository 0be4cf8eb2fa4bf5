/* modelout/convolution.h - convolution in one and two dimensions, with bias, activation and residual in its epilogue.
 *
 *   output = activation(convolution(input, weight) + bias) + residual
 *   output = activation(convolution(input, weight) + bias + residual)        with residual_first
 *
 * Shapes and rules are those of PyTorch's Conv1d, Conv2d, ConvTranspose1d and ConvTranspose2d:
 *
 *   input (batch, C, L) or (batch, C, H, W), weight (O, C / groups, kernel...), output (batch, O, ...)
 *   transposed: weight (C, O / groups, kernel...)
 *
 * Tensors may have any strides: channels may lie first or last in memory. Channels last is the fast way, and every channel
 * count of 16-bit numbers that is a multiple of 8 goes through tensor cores on a GPU with copies of 16 bytes. No matrix of
 * patches is ever made in device memory. Products are summed in float32.
 *
 * Extents of the output: floor((in + before + after - dilation (kernel - 1) - 1) / stride) + 1, and transposed
 * (in - 1) stride - before - after + dilation (kernel - 1) + 1 + output_padding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_CONVOLUTION_H
#define MODELOUT_CONVOLUTION_H

#include "modelout/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a layer does beside its weights. Height first; with one dimension [0] counts and [1] is not looked at. */
typedef struct mo_convolution_geometry {
  size_t struct_size;
  int32_t groups;                              /* 0: 1; depthwise: as many as input channels */
  int32_t stride[2], dilation[2];              /* 0: 1 */
  int32_t padding_before[2], padding_after[2]; /* zeros around the input */
  bool transposed;
  int32_t output_padding[2]; /* transposed: more rows at the end; below the stride */
} mo_convolution_geometry;

#define MO_CONVOLUTION_GEOMETRY_INIT MO_STRUCT_INIT(mo_convolution_geometry)

/* A layer's weight in the order of the kernels, with its geometry. Made once when a model is loaded. */
typedef struct mo_packed_convolution mo_packed_convolution_t;

/* weight: rank 3 or 4, float dtype, on the context's device, any strides; no longer read afterwards. geometry NULL: all
 * defaults. Allocates, and waits for the device. */
MO_API mo_status_t mo_convolution_pack(mo_context_t *context, const mo_tensor *weight, const mo_convolution_geometry *geometry,
                                       mo_packed_convolution_t **packed);
MO_API void mo_packed_convolution_destroy(mo_packed_convolution_t *packed);

/* The shape of the output for an input of this shape (batch, C, ...): as many extents as the input has. INVALID_ARGUMENT: other
 * channels or rank than the weight's, or an input that is shorter than the kernel. */
MO_API mo_status_t mo_convolution_output_shape(const mo_packed_convolution_t *packed, int32_t rank, const int64_t *input_shape,
                                               int64_t *output_shape);

typedef struct mo_convolution_params {
  size_t struct_size;
  const mo_tensor *output;               /* rank 3 or 4, the dtype of weight or float32 */
  const mo_tensor *input;                /* the dtype of weight */
  const mo_packed_convolution_t *weight; /* of this device */
  const mo_tensor *bias;                 /* (O), the dtype of weight or float32, last stride 1, or NULL */
  const mo_tensor *residual;             /* shape and dtype of output, or NULL; may be exactly output */
  bool residual_first;                   /* added before the activation */
  mo_activation_t activation;
} mo_convolution_params;

#define MO_CONVOLUTION_PARAMS_INIT MO_STRUCT_INIT(mo_convolution_params)

/* INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, DEVICE_ERROR. Asynchronous on a GPU; does not allocate beyond scratch memory.
 */
MO_API mo_status_t mo_convolution(mo_context_t *context, const mo_convolution_params *params);

#ifdef __cplusplus
}
#endif
#endif
