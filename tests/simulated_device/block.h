/* tests/simulated_device/block.h - running the blocks of one kernel launch.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_BLOCK_H
#define SIMULATED_DEVICE_BLOCK_H

#include <cstdint>
#include <functional>
#include <string>

#include "tests/simulated_device/device.h"
#include "tests/simulated_device/fiber.h"

namespace simulated {

/* Runs every block to its end, in an order of the scheduler's seed: one to four of them at once, as the seed says, which take
 * turns wherever their threads wait. Returns "" or the fault. */
std::string run_grid(Scheduler &scheduler, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body);

/* Whether a thread of a kernel is running; its number (1024 from one to the next of the blocks that run at once), and how many
 * barriers and collectives it has passed. Lanes of a warp that have met agree on that. */
bool running_thread(int *thread, uint32_t *phase);

}  // namespace simulated

#endif
