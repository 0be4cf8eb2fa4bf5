/* host/cpu/sum_kernels.c - one row of a weighted sum. Compiled once per instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/sum_kernels.h"

#include "host/cpu/simd.h"

static mo_vf first_of(const mo_sum_term *term) {
  float lanes[MO_VL];
  mo_vf_store(lanes, mo_vf_load_any(term->data, term->dtype, 0, 1));
  return mo_vf_set1(lanes[0]);
}

void MO_SIMD(mo_sum_row)(void *output, mo_dtype_t dtype, const mo_sum_term *terms, float constant, int64_t count) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    const int n = count - i < MO_VL ? (int)(count - i) : MO_VL;
    mo_vf sum = mo_vf_set1(constant);
    for (int t = 1; t >= 0; --t) {
      const mo_sum_term *term = &terms[t];
      if (term->data == NULL) continue;
      const mo_vf value = term->stride == 0 ? first_of(term) : mo_vf_load_any(term->data, term->dtype, i, n);
      sum = mo_vf_fma(value, mo_vf_set1(term->scale), sum);
    }
    mo_vf_store_any(output, dtype, i, sum, n);
  }
}
