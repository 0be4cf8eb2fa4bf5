/* tests/support/instruction_sets.h - a second run of a test program for each instruction set of the CPU backend.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_INSTRUCTION_SETS_H
#define MO_TESTS_SUPPORT_INSTRUCTION_SETS_H

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "host/cpu/isa.h"
#include "tests/support/test_context.h"

/* The library reads MODELOUT_CPU_ISA once per process, so the lower instruction sets are tested by running this program again
 * with each. Under the address sanitizer only with the sizes that slow devices get: what an access does wrong is seen there
 * too. */
inline void run_again_per_isa() {
  TEST_ON_CPU_ONLY("instruction sets are the CPU's");
  if (std::getenv("MODELOUT_CPU_ISA") != nullptr) GTEST_SKIP() << "this is such a run";
#ifdef __SANITIZE_ADDRESS__
  const std::string sizes = "MODELOUT_TEST_SIZES=small ";
#else
  const std::string sizes;
#endif
  for (int isa = MO_CPU_ISA_GENERIC; isa < static_cast<int>(mo_cpu_isa()); ++isa) {
    const std::string name = mo_cpu_isa_name(static_cast<mo_cpu_isa_t>(isa));
    char program[4096];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    ASSERT_GT(length, 0);
    program[length] = '\0';
    const std::string command =
        sizes + "MODELOUT_CPU_ISA=" + name + " '" + program + "' --gtest_brief=1 --gtest_color=no --gtest_output= >&2";
    EXPECT_EQ(std::system(command.c_str()), 0) << "tests fail with MODELOUT_CPU_ISA=" << name;
  }
}

#endif
