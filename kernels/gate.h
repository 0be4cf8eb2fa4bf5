/* kernels/gate.h - the gate kernel's launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_GATE_H
#define MO_KERNELS_GATE_H

#include <cuda_runtime_api.h>

#include "kernels/common/rows.h"
#include "modelout/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_gate_kernel_args {
  mo_row_shape shape;
  int64_t columns;
  void *output; /* may be gate or input */
  const void *gate, *input;
  mo_dtype_t dtype;
  mo_row_strides output_rows, gate_rows, input_rows;
  mo_activation_t activation;
} mo_gate_kernel_args;

cudaError_t mo_launch_gate(const mo_gate_kernel_args *args, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
