/* modelout/linear.h - dense layer with bias, activation and residual in its epilogue.
 *
 *   output = activation(input * weight^T + bias) + residual
 *
 * input (..., K), weight (N, K) as Hugging Face stores it, output (..., N). Products are summed in float32.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_LINEAR_H
#define MODELOUT_LINEAR_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Names in parentheses are those of config.json (hidden_act). */
typedef enum mo_activation_t {
  MO_ACTIVATION_NONE = 0,       /* ("linear") */
  MO_ACTIVATION_GELU = 1,       /* x * Phi(x), exact through erf ("gelu", "gelu_python") */
  MO_ACTIVATION_GELU_TANH = 2,  /* the tanh form ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast",
                                   "gelu_accurate") */
  MO_ACTIVATION_RELU = 3,       /* ("relu") */
  MO_ACTIVATION_SILU = 4,       /* x * sigmoid(x) ("silu", "swish") */
  MO_ACTIVATION_TANH = 5,       /* ("tanh") */
  MO_ACTIVATION_QUICK_GELU = 6, /* x * sigmoid(1.702 x) ("quick_gelu") */
} mo_activation_t;

/* From the names above; UNSUPPORTED lists them. */
MO_API mo_status_t mo_activation_from_name(const char *name, mo_activation_t *activation);
MO_API const char *mo_activation_name(mo_activation_t activation);

/* A weight in the backend's own order (CPU: panels of the register tile; CUDA: as it is, with its cuBLASLt plans). Made once
 * when a model is loaded. After packing, `weight` is no longer read: its memory may go. */
typedef struct mo_packed_weight mo_packed_weight_t;

/* Several weights of the same K may be packed as one, one under the other (query, key and value as one product). Allocates.
 * weights: `count` tensors (N_i, K), one dtype, last stride 1. */
MO_API mo_status_t mo_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                                  mo_packed_weight_t **packed);
MO_API void mo_packed_weight_destroy(mo_packed_weight_t *packed);

typedef struct mo_linear_params {
  size_t struct_size;
  const mo_tensor *output;                 /* (..., N), float dtype, rank 1..4, last stride 1 */
  const mo_tensor *input;                  /* (..., K), last stride 1 */
  const mo_tensor *weight;                 /* (N, K), dtype of input; NULL with packed_weight */
  const mo_packed_weight_t *packed_weight; /* instead of weight */
  const mo_tensor *bias;                   /* (N), dtype of input or float32, or NULL */
  const mo_tensor *residual;               /* shape and dtype of output, or NULL; may be exactly output */
  mo_activation_t activation;
} mo_linear_params;

#define MO_LINEAR_PARAMS_INIT MO_STRUCT_INIT(mo_linear_params)

/* INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, DEVICE_ERROR. Asynchronous on a GPU. K = 0: activation(bias) + residual. */
MO_API mo_status_t mo_linear(mo_context_t *context, const mo_linear_params *params);

#ifdef __cplusplus
}
#endif
#endif
