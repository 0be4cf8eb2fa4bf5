/* host/cpu/isa.c - the run-time choice of instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/isa.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static mo_cpu_isa_t chosen_isa = MO_CPU_ISA_GENERIC;
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
/* Clang 14 does not know this feature by name. */
static int has_f16c(void) {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

static mo_cpu_isa_t best_isa(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return MO_CPU_ISA_AVX512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) return MO_CPU_ISA_AVX2;
#endif
  return MO_CPU_ISA_GENERIC;
}

static void choose_isa(void) {
  mo_cpu_isa_t isa = best_isa();
  const char *wanted = getenv("MODELOUT_CPU_ISA");
  for (mo_cpu_isa_t lower = MO_CPU_ISA_GENERIC; wanted != NULL && lower < isa; ++lower) {
    if (strcmp(wanted, mo_cpu_isa_name(lower)) == 0) isa = lower;
  }
  chosen_isa = isa;
}

mo_cpu_isa_t mo_cpu_isa(void) {
  pthread_once(&chosen_once, choose_isa);
  return chosen_isa;
}

const char *mo_cpu_isa_name(mo_cpu_isa_t isa) {
  switch (isa) {
    case MO_CPU_ISA_GENERIC:
      return "generic";
    case MO_CPU_ISA_AVX2:
      return "avx2";
    case MO_CPU_ISA_AVX512:
      return "avx512";
  }
  return "unknown";
}
