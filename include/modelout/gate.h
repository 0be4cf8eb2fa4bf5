/* modelout/gate.h - the gate of a feed-forward layer: activation(gate) * input, element by element.
 *
 *   output = activation(gate) * input                                  SwiGLU (LLaMA: silu), GEGLU (T5: gelu)
 *
 * Both come from one product where their weights are packed as one (mo_linear_pack): then gate and input are the two halves of
 * its columns, and the output may lie in the first.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_GATE_H
#define MODELOUT_GATE_H

#include "modelout/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_gate_params {
  size_t struct_size;
  const mo_tensor *output; /* (..., C), rank 1..4, last stride 1; may be exactly gate or input */
  const mo_tensor *gate;   /* (..., C), dtype of output */
  const mo_tensor *input;  /* (..., C), dtype of output */
  mo_activation_t activation;
} mo_gate_params;

#define MO_GATE_PARAMS_INIT MO_STRUCT_INIT(mo_gate_params)

/* Computed in float32, rounded once. INVALID_ARGUMENT, UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_gate(mo_context_t *context, const mo_gate_params *params);

#ifdef __cplusplus
}
#endif
#endif
