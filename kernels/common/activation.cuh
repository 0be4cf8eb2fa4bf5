/* kernels/common/activation.cuh - the activations in float32.
 *
 * The activations keep NaN, and the tails of GELU are those of erfc: 1 + erf would lose them below -5.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_ACTIVATION_CUH
#define MO_KERNELS_COMMON_ACTIVATION_CUH

#include "kernels/arch/launch.cuh"
#include "modelout/linear.h"

__device__ __forceinline__ float mo_activate(float x, mo_activation_t activation) {
  switch (activation) {
    case MO_ACTIVATION_GELU: {
      const float a = fabsf(x) > 15.0f ? 15.0f : fabsf(x); /* Phi(-15) is 0 in float32 */
      const float tail = 0.5f * a * erfcf(a * 0.70710678118654752f);
      return x > 0.0f ? x - tail : -tail;
    }
    case MO_ACTIVATION_GELU_TANH: /* x/2 (1 + tanh u) = x sigmoid(2 u) */
      return x / (1.0f + expf(-x * (1.59576912160573071f + 0.0713548162726009f * x * x)));
    case MO_ACTIVATION_RELU:
      return x < 0.0f ? 0.0f : x;
    case MO_ACTIVATION_SILU:
      return x / (1.0f + expf(-x));
    case MO_ACTIVATION_QUICK_GELU:
      return x / (1.0f + expf(-1.702f * x));
    case MO_ACTIVATION_TANH:
      return tanhf(x);
    default:
      return x;
  }
}

#endif
