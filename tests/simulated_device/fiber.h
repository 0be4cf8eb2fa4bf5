/* tests/simulated_device/fiber.h - the threads of a few blocks as fibers, run in an order drawn from a seed.
 *
 * One scheduler runs a few blocks at a time on the calling OS thread. A fiber runs until it waits (a barrier, a warp
 * collective) or ends; then the scheduler picks another that can run. When none can run and not all have ended, a block is
 * stuck: that is reported as a fault of the kernel, not hung upon.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_FIBER_H
#define SIMULATED_DEVICE_FIBER_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/simulated_device/fault.h"

namespace simulated {

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed);
  ~Scheduler();
  Scheduler(const Scheduler &) = delete;
  Scheduler &operator=(const Scheduler &) = delete;

  /* Runs `count` fibers, each calling body(index), to their ends. Returns "" or what went wrong. `describe_waits` names what
   * the waiting fibers wait for when none can run. */
  std::string run(int count, const std::function<void(int)> &body, const std::function<std::string()> &describe_waits);

  /* From inside a fiber: lets others run until *counter is no longer `value`. */
  void wait_while(const uint64_t *counter, uint64_t value);

  /* From inside a fiber: its index. */
  int current() const { return current_; }

  uint64_t random() { return engine_(); }
  void reseed(uint64_t seed) { engine_.seed(seed); }

 private:
  struct Fiber;
  static void enter(void *transfer_context, Scheduler *self);
  void switch_to_fiber(Fiber &fiber);
  void switch_to_scheduler(bool ending);
  friend struct FiberEntry;

  std::mt19937_64 engine_;
  std::vector<Fiber *> fibers_; /* kept between blocks: their stacks are reused */
  const std::function<void(int)> *body_ = nullptr;
  int current_ = -1;
  bool unwinding_ = false;
  std::string fault_;
  void *scheduler_context_ = nullptr;
  void *scheduler_fake_stack_ = nullptr;
  const void *scheduler_stack_bottom_ = nullptr;
  size_t scheduler_stack_bytes_ = 0;
};

}  // namespace simulated

#endif
