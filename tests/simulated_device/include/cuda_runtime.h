/* tests/simulated_device/include/cuda_runtime.h - what a kernel file sees of CUDA C++ when it is built for the simulated device.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_CUDA_RUNTIME_H
#define SIMULATED_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus
#include "tests/simulated_device/device.h"
#endif

#endif
