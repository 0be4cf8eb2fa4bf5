/* tests/simulated_device/library.h - what a library of the device vendor (cuBLASLt) needs of the simulated runtime.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_LIBRARY_H
#define SIMULATED_DEVICE_LIBRARY_H

#include <functional>
#include <string>

#include "cuda_runtime_api.h"

namespace simulated {

/* At the head of a library call that can fail: counted, and made to fail, like the runtime's own. */
cudaError_t library_call(const char *name);

/* Puts work on a stream, as late as a kernel would run; counts as a call and as a launch. `body` returns "" or what is wrong,
 * which becomes a fault. */
cudaError_t library_operation(const char *name, cudaStream_t stream, std::function<std::string()> body);

/* Whether all of the bytes lie in one allocation of device memory that is alive. */
bool is_device_range(const void *memory, size_t bytes);

/* Handles and descriptors that are alive are part of simulated_live_objects(). */
void count_library_object(int change);

}  // namespace simulated

#endif
