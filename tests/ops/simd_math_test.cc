/* tests/ops/simd_math_test.cc - host/cpu/simd_math.h over the whole float32 range beside double precision, on every instruction
 * set that the processor has.
 *
 * The activations are reached through the dense layer's epilogue, which each kernel copy exports. tanh and erf themselves are
 * compiled here, once per instruction set in a namespace of its own; Clang has no pragma for that and tests the generic copy.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>
#if defined(__x86_64__)
#if !defined(__clang__)
/* GCC 12 takes the undefined operand of its own AVX-512 intrinsics for an uninitialised variable (GCC bug 105593). */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "host/cpu/isa.h"
#include "host/cpu/linear_kernels.h"
#include "host/rules/float16.h"
#include "modelout/linear.h"

namespace generic {
#include "host/cpu/simd_math.h"
void run(const float *in, float *out, int64_t count, bool erf) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    mo_vf_store(out + i, erf ? mo_vf_erf(mo_vf_load(in + i)) : mo_vf_tanh(mo_vf_load(in + i)));
  }
}
}  // namespace generic

#if defined(__x86_64__) && !defined(__clang__)
#define MO_TEST_EVERY_ISA 1
#undef MO_CPU_SIMD_H
#undef MO_CPU_SIMD_MATH_H
#undef MO_SIMD
#undef MO_VL
#undef MO_PHI_TAIL_END
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define MO_SIMD_AVX2
namespace avx2 {
#include "host/cpu/simd_math.h"
void run(const float *in, float *out, int64_t count, bool erf) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    mo_vf_store(out + i, erf ? mo_vf_erf(mo_vf_load(in + i)) : mo_vf_tanh(mo_vf_load(in + i)));
  }
}
}  // namespace avx2
#pragma GCC pop_options
#undef MO_SIMD_AVX2
#undef MO_CPU_SIMD_H
#undef MO_CPU_SIMD_MATH_H
#undef MO_SIMD
#undef MO_VL
#undef MO_PHI_TAIL_END
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#define MO_SIMD_AVX512
namespace avx512 {
#include "host/cpu/simd_math.h"
void run(const float *in, float *out, int64_t count, bool erf) {
  for (int64_t i = 0; i < count; i += MO_VL) {
    mo_vf_store(out + i, erf ? mo_vf_erf(mo_vf_load(in + i)) : mo_vf_tanh(mo_vf_load(in + i)));
  }
}
}  // namespace avx512
#pragma GCC pop_options
#endif

namespace {

/* Every 1009th float32 of both signs from 0 to the largest, and every one near the joints of the approximations. */
const std::vector<float> &inputs() {
  static const std::vector<float> values = [] {
    std::vector<float> v;
    const auto add = [&v](uint32_t bits) {
      v.push_back(mo_float_from_bits(bits));
      v.push_back(mo_float_from_bits(bits | 0x80000000u));
    };
    for (uint32_t bits = 0; bits < 0x7F800000u; bits += 1009) add(bits);
    for (float joint : {0.0f, 0.625f, 0.9f, 3.9f, 9.0f, 14.5f, 44.0f, 88.7f, 104.0f}) {
      const uint32_t middle = mo_float_bits(joint);
      for (uint32_t bits = middle > 500 ? middle - 500 : 0; bits < middle + 500; ++bits) add(bits);
    }
    while (v.size() % 16 != 0) v.push_back(0.5f);
    return v;
  }();
  return values;
}

double ulp(double value) {
  const float magnitude = std::fabs(float(value));
  if (magnitude < 0x1p-126f) return 0x1p-149;
  return double(std::nextafterf(magnitude, INFINITY)) - magnitude;
}

void expect_ulps(const std::vector<float> &results, double (*exact)(double), double bound) {
  double worst = 0;
  float at = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    const double expected = exact(inputs()[i]);
    const double error = std::fabs(results[i] - expected) / ulp(expected);
    if (!(error <= worst)) worst = error, at = inputs()[i];
  }
  EXPECT_LE(worst, bound) << "at " << at;
  EXPECT_GT(worst, 0.4) << "no approximation is exact: the comparison is broken";
}

using Function = void (*)(const float *in, float *out, int64_t count, bool erf);

std::vector<Function> functions() {
  std::vector<Function> all = {generic::run};
#if defined(MO_TEST_EVERY_ISA)
  if (mo_cpu_isa() >= MO_CPU_ISA_AVX2) all.push_back(avx2::run);
  if (mo_cpu_isa() >= MO_CPU_ISA_AVX512) all.push_back(avx512::run);
#endif
  return all;
}

TEST(SimdMath, TanhAndErfWithinFourUnits) {
  for (Function function : functions()) {
    std::vector<float> results(inputs().size());
    function(inputs().data(), results.data(), int64_t(results.size()), false);
    expect_ulps(results, std::tanh, 4);
    function(inputs().data(), results.data(), int64_t(results.size()), true);
    expect_ulps(results, std::erf, 4);
  }
}

TEST(SimdMath, TanhAndErfAtTheEnds) {
  const float in[16] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1e-45f, -1e-45f, 3e38f, -3e38f};
  for (Function function : functions()) {
    for (bool erf : {false, true}) {
      float out[16];
      function(in, out, 16, erf);
      EXPECT_EQ(out[0], 1.0f);
      EXPECT_EQ(out[1], -1.0f);
      EXPECT_TRUE(std::isnan(out[2]));
      EXPECT_FALSE(std::signbit(out[3]));
      EXPECT_EQ(out[4], 0.0f);
      EXPECT_TRUE(std::signbit(out[4]));
      EXPECT_EQ(out[7], 1.0f);
      EXPECT_EQ(out[8], -1.0f);
    }
  }
}

/* ---- Activations, through the epilogue of each copy ---- */

std::vector<const mo_linear_kernels *> kernels() {
  std::vector<const mo_linear_kernels *> all = {&mo_linear_kernels_generic};
#if defined(__x86_64__)
  if (mo_cpu_isa() >= MO_CPU_ISA_AVX2) all.push_back(&mo_linear_kernels_avx2);
  if (mo_cpu_isa() >= MO_CPU_ISA_AVX512) all.push_back(&mo_linear_kernels_avx512);
#endif
  return all;
}

std::vector<float> activate(const mo_linear_kernels *kernels, mo_activation_t activation, const std::vector<float> &in) {
  std::vector<float> out(in.size(), NAN);
  mo_linear_epilogue epilogue = {};
  epilogue.output = out.data();
  epilogue.output_dtype = MO_DTYPE_FLOAT32;
  epilogue.output_rows.count = 1;
  epilogue.activation = activation;
  kernels->epilogue(&epilogue, in.data(), 0, 0, 1, 0, int64_t(in.size()));
  return out;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }
double gelu_tanh(double x) { return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double silu(double x) { return x / (1 + std::exp(-x)); }
double quick_gelu(double x) { return x / (1 + std::exp(-1.702 * x)); }
double relu(double x) { return x > 0 ? x : 0; }

/* Absolute error over max(1, |x|). */
void expect_close(const std::vector<float> &results, double (*exact)(double), double bound) {
  for (size_t i = 0; i < results.size(); ++i) {
    const double x = inputs()[i], expected = exact(x);
    ASSERT_LE(std::fabs(results[i] - expected), bound * std::fmax(1, std::fabs(x))) << "at " << x;
  }
}

TEST(SimdMath, Activations) {
  for (const mo_linear_kernels *k : kernels()) {
    expect_close(
        activate(k, MO_ACTIVATION_NONE, inputs()), [](double x) { return x; }, 0);
    expect_close(activate(k, MO_ACTIVATION_RELU, inputs()), relu, 0);
    expect_close(activate(k, MO_ACTIVATION_GELU, inputs()), gelu, 1.2e-7);
    expect_close(activate(k, MO_ACTIVATION_GELU_TANH, inputs()), gelu_tanh, 1.5e-7);
    expect_close(activate(k, MO_ACTIVATION_SILU, inputs()), silu, 1.2e-7);
    expect_close(activate(k, MO_ACTIVATION_QUICK_GELU, inputs()), quick_gelu, 1.5e-7);
    expect_ulps(activate(k, MO_ACTIVATION_TANH, inputs()), std::tanh, 4);
  }
}

TEST(SimdMath, GeluKeepsRelativeAccuracyInTheTail) {
  for (const mo_linear_kernels *k : kernels()) {
    const std::vector<float> results = activate(k, MO_ACTIVATION_GELU, inputs());
    for (size_t i = 0; i < results.size(); ++i) {
      const double x = inputs()[i];
      if (!(x < 0 && x > -13)) continue;
      const double bound = x >= -2 ? 2e-6 : x >= -4 ? 2e-4 : 2e-3;
      ASSERT_NEAR(results[i], gelu(x), bound * std::fabs(gelu(x)) + 0x1p-149) << "at " << x;
    }
  }
}

TEST(SimdMath, ActivationsAtTheEnds) {
  std::vector<float> in(16, 0.0f);
  in[0] = INFINITY, in[1] = NAN, in[2] = -1e30f, in[3] = 1e30f, in[4] = -200.0f;
  for (const mo_linear_kernels *k : kernels()) {
    for (mo_activation_t activation :
         {MO_ACTIVATION_GELU, MO_ACTIVATION_GELU_TANH, MO_ACTIVATION_RELU, MO_ACTIVATION_SILU, MO_ACTIVATION_QUICK_GELU}) {
      const std::vector<float> out = activate(k, activation, in);
      EXPECT_EQ(out[0], INFINITY);
      EXPECT_TRUE(std::isnan(out[1]));
      EXPECT_EQ(out[2], 0.0f);
      EXPECT_EQ(out[3], 1e30f);
      EXPECT_EQ(out[4], 0.0f);
      EXPECT_EQ(out[5], 0.0f);
    }
  }
}

}  // namespace
