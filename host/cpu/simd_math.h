/* host/cpu/simd_math.h - tanh, erf, sigmoid and the activations on mo_vf, for the CPU kernels.
 *
 * Every polynomial here was fitted for this file: a minimax fit by Lawson's iteration (weighted least squares on Chebyshev
 * points, weights multiplied by the error until it is level), then rounded to float32. The error bounds in the comments are
 * measured over the whole range against double precision (tests/ops/simd_math_test.cc repeats that), on every instruction set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_SIMD_MATH_H
#define MO_CPU_SIMD_MATH_H

#include "host/cpu/simd.h"
#include "modelout/linear.h"

/* 2^r for -1/2 <= r <= 1/2, off by at most 2e-9 relative. */
static inline mo_vf mo_vf_exp2_fraction_(mo_vf r) {
  mo_vf p = mo_vf_set1(0.00015476279f);
  p = mo_vf_fma(p, r, mo_vf_set1(0.0013400236f));
  p = mo_vf_fma(p, r, mo_vf_set1(0.009618004f));
  p = mo_vf_fma(p, r, mo_vf_set1(0.05550328f));
  p = mo_vf_fma(p, r, mo_vf_set1(0.2402265f));
  p = mo_vf_fma(p, r, mo_vf_set1(0.6931472f));
  return mo_vf_fma(p, r, mo_vf_set1(1.0f));
}

/* 2^x for -252 <= x <= 252; NaN stays NaN. */
static inline mo_vf mo_vf_exp2_(mo_vf x) {
  const mo_vf n = mo_vf_round(x);
  return mo_vf_scale2(mo_vf_exp2_fraction_(mo_vf_sub(x, n)), n); /* the difference is exact */
}

/* Where Phi(-a) has left the float32 range: from here on mo_vf_phi_tail_ is 0. */
#define MO_PHI_TAIL_END 14.5f

/* Phi(-a), the upper tail of the normal distribution, for 0 <= a <= MO_PHI_TAIL_END; NaN stays NaN.
 *
 * log2 Phi(-a) is nearly a parabola, so one polynomial in the exponent serves the whole range, with relative accuracy in the
 * tail that 1 + erf cannot give. Absolute error at most 6e-8; relative error at most 2e-6 for a <= 2, 2e-4 for a <= 4, 2e-3
 * beyond. */
static inline mo_vf mo_vf_phi_tail_(mo_vf a) {
  mo_vf q = mo_vf_set1(-1.3553945e-11f);
  q = mo_vf_fma(q, a, mo_vf_set1(1.0620401e-09f));
  q = mo_vf_fma(q, a, mo_vf_set1(-3.5798248e-08f));
  q = mo_vf_fma(q, a, mo_vf_set1(6.772237e-07f));
  q = mo_vf_fma(q, a, mo_vf_set1(-7.8292e-06f));
  q = mo_vf_fma(q, a, mo_vf_set1(5.540297e-05f));
  q = mo_vf_fma(q, a, mo_vf_set1(-0.0002050802f));
  q = mo_vf_fma(q, a, mo_vf_set1(-0.00014880864f));
  q = mo_vf_fma(q, a, mo_vf_set1(0.0071133347f));
  q = mo_vf_fma(q, a, mo_vf_set1(-0.052539866f));
  q = mo_vf_fma(q, a, mo_vf_set1(-0.45919383f));
  q = mo_vf_fma(q, a, mo_vf_set1(-1.1511066f));
  q = mo_vf_fma(q, a, mo_vf_set1(-1.0f));
  return mo_vf_exp2_(q);
}

/* erf, within 4 units in the last place; exactly +-1 from |x| = 4 or so on, NaN stays NaN, the sign of zero is kept. Below 0.9
 * an odd polynomial, above it 1 - 2 Phi(-sqrt(2) |x|). */
static inline mo_vf mo_vf_erf(mo_vf x) {
  const mo_vf a = mo_vf_abs(x);
  const mo_vf s = mo_vf_mul(x, x);
  mo_vf p = mo_vf_set1(-0.0006090358f);
  p = mo_vf_fma(p, s, mo_vf_set1(0.0050119623f));
  p = mo_vf_fma(p, s, mo_vf_set1(-0.026778908f));
  p = mo_vf_fma(p, s, mo_vf_set1(0.11282141f));
  p = mo_vf_fma(p, s, mo_vf_set1(-0.37612525f));
  p = mo_vf_fma(p, s, mo_vf_set1(0.12837915f)); /* the 1 of 1.128... is added last, as x itself: one rounding less */
  const mo_vf small = mo_vf_fma(x, p, x);
  const mo_vf z = mo_vf_min(mo_vf_set1(MO_PHI_TAIL_END), mo_vf_mul(a, mo_vf_set1(1.41421356237309505f)));
  const mo_vf large = mo_vf_copysign(mo_vf_fma(mo_vf_set1(-2.0f), mo_vf_phi_tail_(z), mo_vf_set1(1.0f)), x);
  return mo_vf_select_lt(a, mo_vf_set1(0.9f), small, large);
}

/* tanh, within 4 units in the last place; NaN stays NaN, the sign of zero is kept. Below 0.625 an odd polynomial (off by at
 * most 5e-9 relative), above it 1 - 2 / (e^2|x| + 1), where the subtraction no longer cancels. */
static inline mo_vf mo_vf_tanh(mo_vf x) {
  const mo_vf a = mo_vf_abs(x);
  const mo_vf s = mo_vf_mul(x, x);
  mo_vf p = mo_vf_set1(-0.0057049855f);
  p = mo_vf_fma(p, s, mo_vf_set1(0.020639086f));
  p = mo_vf_fma(p, s, mo_vf_set1(-0.053739715f));
  p = mo_vf_fma(p, s, mo_vf_set1(0.13331442f));
  p = mo_vf_fma(p, s, mo_vf_set1(-0.3333328f));
  const mo_vf small = mo_vf_fma(mo_vf_mul(s, x), p, x);
  const mo_vf e = mo_vf_exp(mo_vf_add(a, a));
  const mo_vf large = mo_vf_sub(mo_vf_set1(1.0f), mo_vf_div(mo_vf_set1(2.0f), mo_vf_add(e, mo_vf_set1(1.0f))));
  return mo_vf_copysign(mo_vf_select_lt(a, mo_vf_set1(0.625f), small, large), x); /* small: for the sign of zero */
}

/* x / (1 + e^-y): x sigmoid(y). 0 where e^-y overflows (y below -88.7). */
static inline mo_vf mo_vf_times_sigmoid_(mo_vf x, mo_vf y) {
  return mo_vf_div(x, mo_vf_add(mo_vf_set1(1.0f), mo_vf_exp(mo_vf_sub(mo_vf_zero(), y))));
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|). Absolute error at most 1e-7 max(1, |x|), and for negative x the relative error of
 * mo_vf_phi_tail_ (computed as x/2 (1 + erf) in float32, nothing is right below -5). 0 from -14.5 down, minus infinity
 * included. */
static inline mo_vf mo_vf_gelu(mo_vf x) {
  const mo_vf a = mo_vf_min(mo_vf_set1(MO_PHI_TAIL_END), mo_vf_abs(x));
  const mo_vf tail = mo_vf_mul(a, mo_vf_phi_tail_(a));
  return mo_vf_sub(mo_vf_max(mo_vf_zero(), x), tail);
}

/* x/2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3). */
static inline mo_vf mo_vf_gelu_tanh(mo_vf x) {
  const mo_vf cubic = mo_vf_fma(mo_vf_mul(x, x), mo_vf_set1(0.0713548162726009f), mo_vf_set1(1.59576912160573071f));
  return mo_vf_times_sigmoid_(x, mo_vf_mul(x, cubic));
}

static inline mo_vf mo_vf_silu(mo_vf x) { return mo_vf_times_sigmoid_(x, x); }

static inline mo_vf mo_vf_quick_gelu(mo_vf x) { return mo_vf_times_sigmoid_(x, mo_vf_mul(x, mo_vf_set1(1.702f))); }

static inline mo_vf mo_vf_relu(mo_vf x) { return mo_vf_max(mo_vf_zero(), x); } /* NaN stays NaN */

static inline mo_vf mo_vf_activate(mo_vf x, mo_activation_t activation) {
  switch (activation) {
    case MO_ACTIVATION_NONE:
      return x;
    case MO_ACTIVATION_GELU:
      return mo_vf_gelu(x);
    case MO_ACTIVATION_GELU_TANH:
      return mo_vf_gelu_tanh(x);
    case MO_ACTIVATION_RELU:
      return mo_vf_relu(x);
    case MO_ACTIVATION_SILU:
      return mo_vf_silu(x);
    case MO_ACTIVATION_TANH:
      return mo_vf_tanh(x);
    case MO_ACTIVATION_QUICK_GELU:
      return mo_vf_quick_gelu(x);
  }
  return x;
}

#endif
