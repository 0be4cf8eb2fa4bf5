/* host/cpu/isa.h - which instruction set the CPU kernels use, chosen once at run time.
 *
 * MODELOUT_CPU_ISA=generic|avx2|avx512 in the environment lowers the choice (for tests and comparisons); a set the processor
 * lacks is ignored.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_ISA_H
#define MO_CPU_ISA_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_cpu_isa_t {
  MO_CPU_ISA_GENERIC = 0,
  MO_CPU_ISA_AVX2 = 1,
  MO_CPU_ISA_AVX512 = 2,
} mo_cpu_isa_t;

mo_cpu_isa_t mo_cpu_isa(void);
const char *mo_cpu_isa_name(mo_cpu_isa_t isa);

/* Declares the copies of a kernel symbol: MO_CPU_DECLARE(void, mo_softmax_rows, (float *row, int64_t count)). */
#if defined(__x86_64__)
#define MO_CPU_DECLARE(result, name, arguments)                                                                                \
  result name##_generic arguments;                                                                                             \
  result name##_avx2 arguments;                                                                                                \
  result name##_avx512 arguments
/* The copy for this processor: MO_CPU_SELECT(mo_softmax_rows)(row, count). */
#define MO_CPU_SELECT(name)                                                                                                    \
  (mo_cpu_isa() == MO_CPU_ISA_AVX512 ? name##_avx512 : mo_cpu_isa() == MO_CPU_ISA_AVX2 ? name##_avx2 : name##_generic)
#else
#define MO_CPU_DECLARE(result, name, arguments) result name##_generic arguments
#define MO_CPU_SELECT(name) name##_generic
#endif

#ifdef __cplusplus
}
#endif

#endif
