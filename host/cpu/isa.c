/* host/cpu/isa.c - the run-time choice of instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/isa.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static mo_cpu_isa_t chosen_isa = MO_CPU_ISA_GENERIC;
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;

static mo_cpu_isa_t best_isa(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return MO_CPU_ISA_AVX512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return MO_CPU_ISA_AVX2;
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
