/* tests/support/test_context.h - the device the tests run on: MODELOUT_TEST_DEVICE, cpu (default) or cuda.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_TEST_CONTEXT_H
#define MO_TESTS_SUPPORT_TEST_CONTEXT_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* True if the tests run on the CPU. */
bool test_device_is_cpu(void);

/* True if they run on the simulated device: its threads cost microseconds each, so the largest sizes are left to real devices.
 * Also with MODELOUT_TEST_SIZES=small, for tools that slow another device down as much. */
bool test_device_is_simulated(void);

/* The defaults with the device that the environment asks for. Off the CPU no freed block is kept for reuse, so that every
 * allocation is fresh and has its own red zones. */
mo_context_options test_context_options(void);

/* mo_context_create that also fails when the context runs on another device than the environment asks for. options NULL:
 * test_context_options(). */
mo_status_t test_context_create(const mo_context_options *options, mo_context_t **context);

#ifdef __cplusplus
}

/* For tests of something that only the CPU does. */
#define TEST_ON_CPU_ONLY(reason)                                                                                               \
  do {                                                                                                                         \
    if (!test_device_is_cpu()) GTEST_SKIP() << (reason);                                                                       \
  } while (0)
#endif

#endif
