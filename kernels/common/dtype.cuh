/* kernels/common/dtype.cuh - from a dtype that is known at run time to the storage type that a kernel is compiled for.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_COMMON_DTYPE_CUH
#define MO_KERNELS_COMMON_DTYPE_CUH

#include <cuda_runtime.h>

#include "kernels/arch/numeric.cuh"
#include "modelout/dtype.h"

/* visit(T{}) for the storage type T of a floating dtype; its result. As a rule:
 *
 *   return mo_with_float_type(args->dtype, [&](auto zero) { return launch_type<decltype(zero)>(*args, stream); });
 */
template <typename Visit>
cudaError_t mo_with_float_type(mo_dtype_t dtype, const Visit &visit) {
  switch (dtype) {
    case MO_DTYPE_FLOAT32:
      return visit(float{});
    case MO_DTYPE_FLOAT16:
      return visit(mo_half{});
    case MO_DTYPE_BFLOAT16:
      return visit(mo_bfloat16{});
    default:
      return cudaErrorInvalidValue; /* the front doors let these three through */
  }
}

#endif
