/* tests/simulated_device/fault.h - what stops a block.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_FAULT_H
#define SIMULATED_DEVICE_FAULT_H

#include <string>

namespace simulated {

/* Thrown inside a fiber, carried over to the scheduler. Never leaves the simulation. */
struct Fault {
  std::string text;
};

}  // namespace simulated

#endif
