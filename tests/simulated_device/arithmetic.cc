/* tests/simulated_device/arithmetic.cc - see arithmetic.h.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/arithmetic.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "tests/simulated_device/control.h"

namespace simulated {

namespace {

std::atomic<bool> is_rough{std::getenv("MODELOUT_SIMULATED_ROUGH") != nullptr};

constexpr int kAtOnce = 8;        /* products that are added in one step */
constexpr int kFractionBits = 24; /* kept below the leading bit of the largest: those of float32 and one more */
constexpr int kNone = -10000;     /* exponent of zero */

int exponent_of(double x) { return x == 0 ? kNone : std::ilogb(x); }

/* Toward zero. */
float cut_off(double x) {
  const auto result = static_cast<float>(x);
  return std::fabs(static_cast<double>(result)) > std::fabs(x) ? std::nextafter(result, 0.0f) : result;
}

float rough_step(float sum, const float *x, const float *y) {
  double terms[kAtOnce + 1] = {sum};
  int largest = exponent_of(sum);
  for (int k = 0; k < kAtOnce; ++k) {
    terms[k + 1] = static_cast<double>(x[k]) * y[k]; /* exact: of 16-bit numbers */
    if (!std::isfinite(terms[k + 1]) || !std::isfinite(sum)) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, exponent_of(terms[k + 1]));
  }
  if (largest == kNone) return sum;
  const int unit = largest - kFractionBits;
  int64_t units = 0;
  for (const double term : terms) units += static_cast<int64_t>(std::ldexp(term, -unit)); /* cuts off toward zero */
  return cut_off(std::ldexp(static_cast<double>(units), unit));
}

float exact_sum(float sum, const float *x, const float *y) {
  float products = 0.0f;
  for (int k = 0; k < kMatrixDepth; ++k) products += x[k] * y[k];
  return sum + products;
}

float without_subnormals(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x; }

}  // namespace

float matrix_sum(float sum, const float (&x)[kMatrixDepth], const float (&y)[kMatrixDepth]) {
  const float exact = exact_sum(sum, x, y);
  if (!is_rough.load(std::memory_order_relaxed) || !std::isfinite(exact)) return exact;
  for (int k = 0; k < kMatrixDepth; k += kAtOnce) sum = rough_step(sum, x + k, y + k);
  return sum;
}

float exp2_of(float x) {
  if (!is_rough.load(std::memory_order_relaxed)) return std::exp2(x);
  x = without_subnormals(x);
  const float exact = without_subnormals(std::exp2(x));
  if (!std::isfinite(x) || !std::isfinite(exact) || exact == 0.0f || x == std::floor(x)) return exact;
  /* An error that looks accidental and is the same at every call: -2 to 2 units, by the bits of x. */
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  const int error = static_cast<int>((bits * 0x9E3779B1u >> 16) % 5) - 2;
  uint32_t result = 0;
  std::memcpy(&result, &exact, sizeof result);
  result += static_cast<uint32_t>(error);
  float rough = 0;
  std::memcpy(&rough, &result, sizeof rough);
  return without_subnormals(x < 0.0f ? std::min(rough, 1.0f) : rough);
}

}  // namespace simulated

void simulated_set_rough(bool rough) { simulated::is_rough = rough; }
