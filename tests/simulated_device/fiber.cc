/* tests/simulated_device/fiber.cc - fibers over Boost.Context's fcontext, with the notes AddressSanitizer needs at each switch.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/fiber.h"

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <cstdlib>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace simulated {

namespace context = boost::context::detail;

namespace {
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 256 << 10; /* red zones make frames large */
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
/* Thrown into waiting fibers when their block is given up, so that their destructors run. */
struct Unwind {};
}  // namespace

struct Scheduler::Fiber {
  Scheduler *owner = nullptr;
  int index = 0;
  bool ended = true;
  const uint64_t *counter = nullptr; /* waits while *counter == value; NULL: can run */
  uint64_t value = 0;
  context::fcontext_t where = nullptr;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  void *fake_stack = nullptr;
};

struct FiberEntry {
  /* Every fiber begins here; it never returns, its last switch goes to the scheduler. */
  static void run(context::transfer_t transfer) {
    auto *fiber = static_cast<Scheduler::Fiber *>(transfer.data);
    Scheduler *self = fiber->owner;
    self->scheduler_context_ = transfer.fctx;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &self->scheduler_stack_bottom_, &self->scheduler_stack_bytes_);
#endif
    try {
      if (!self->unwinding_) (*self->body_)(fiber->index);
    } catch (const Unwind &) {
    } catch (const Fault &fault) {
      if (self->fault_.empty()) self->fault_ = fault.text;
      self->unwinding_ = true;
    }
    fiber->ended = true;
    self->switch_to_scheduler(true);
    std::abort(); /* an ended fiber is never resumed */
  }
};

Scheduler::Scheduler(uint64_t seed) : engine_(seed) {}

Scheduler::~Scheduler() {
  for (Fiber *fiber : fibers_) delete fiber;
}

void Scheduler::switch_to_fiber(Fiber &fiber) {
  current_ = fiber.index;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack_, fiber.stack.get(), kStackBytes);
#endif
  const context::transfer_t back = context::jump_fcontext(fiber.where, &fiber);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack_, nullptr, nullptr);
#endif
  fiber.where = back.fctx;
  current_ = -1;
}

void Scheduler::switch_to_scheduler(bool ending) {
#if defined(__SANITIZE_ADDRESS__)
  Fiber &fiber = *fibers_[static_cast<size_t>(current_)];
  __sanitizer_start_switch_fiber(ending ? nullptr : &fiber.fake_stack, scheduler_stack_bottom_, scheduler_stack_bytes_);
#else
  (void)ending;
#endif
  const context::transfer_t back = context::jump_fcontext(static_cast<context::fcontext_t>(scheduler_context_), nullptr);
  scheduler_context_ = back.fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler_stack_bottom_, &scheduler_stack_bytes_);
#endif
}

void Scheduler::wait_while(const uint64_t *counter, uint64_t value) {
  Fiber &fiber = *fibers_[static_cast<size_t>(current_)];
  fiber.counter = counter;
  fiber.value = value;
  switch_to_scheduler(false);
  fiber.counter = nullptr;
  if (unwinding_) throw Unwind{};
}

std::string Scheduler::run(int count, const std::function<void(int)> &body,
                           const std::function<std::string()> &describe_waits) {
  while (static_cast<int>(fibers_.size()) < count) fibers_.push_back(new Fiber);
  body_ = &body;
  unwinding_ = false;
  fault_.clear();
  std::vector<Fiber *> order;
  for (int i = 0; i < count; ++i) {
    Fiber *fiber = fibers_[static_cast<size_t>(i)];
    fiber->owner = this;
    fiber->index = i;
    fiber->ended = false;
    fiber->counter = nullptr;
    fiber->where = context::make_fcontext(fiber->stack.get() + kStackBytes, kStackBytes, FiberEntry::run);
    order.push_back(fiber);
  }
  while (!order.empty()) {
    /* A new order at every pass; half of the time whole warps stay together, as on a device. */
    if (engine_() % 2 == 0) {
      std::shuffle(order.begin(), order.end(), engine_);
    } else {
      const uint64_t salt = engine_();
      auto warp_key = [salt](const Fiber *fiber) {
        return (static_cast<uint64_t>(fiber->index / 32) * UINT64_C(0x9E3779B97F4A7C15)) ^ salt;
      };
      std::stable_sort(order.begin(), order.end(), [&](const Fiber *a, const Fiber *b) { return warp_key(a) < warp_key(b); });
    }
    bool progress = false;
    for (Fiber *fiber : order) {
      if (!unwinding_ && fiber->counter != nullptr && *fiber->counter == fiber->value) continue;
      switch_to_fiber(*fiber);
      progress = true;
    }
    order.erase(std::remove_if(order.begin(), order.end(), [](const Fiber *fiber) { return fiber->ended; }), order.end());
    if (!progress && !order.empty()) {
      fault_ = "no thread can go on: " + describe_waits();
      unwinding_ = true;
    }
  }
  body_ = nullptr;
  return fault_;
}

}  // namespace simulated
