/* tests/simulated_device/arithmetic.h - what a card computes less exactly than this machine: sums of matrix instructions, and
 * ex2.
 *
 * As a rule they are exact to a rounding here. "Rough" (MODELOUT_SIMULATED_ROUGH=1) they are as a card has them, so that the
 * tests' tolerances are honest:
 *   - A matrix instruction adds 8 products and the sum so far at once: all are cut off, toward zero, at one bit below the last
 *     place of the largest, and so is what they add up to (sm_80; later cards keep more).
 *   - ex2.approx.ftz is up to two units in the last place off, and takes and gives zeros for subnormal numbers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_ARITHMETIC_H
#define SIMULATED_DEVICE_ARITHMETIC_H

namespace simulated {

constexpr int kMatrixDepth = 16;

/* sum + x[0] * y[0] + ... */
float matrix_sum(float sum, const float (&x)[kMatrixDepth], const float (&y)[kMatrixDepth]);
float exp2_of(float x);

}  // namespace simulated

#endif
