// tests/ops/softmax_test.cc - softmax against a plain double-precision computation.
//
// Bound: at most twice the error of the same computation done plainly in float32 (and rounded to the stored type), plus 1e-7.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>

#include "modelout/context.h"
#include "softmax_shim.h"
#include "tests/support/device_mirror.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/scoped_context.h"
#include "tests/support/test_tensor.h"

namespace {

using test_support::Context;
using test_support::rounded;
using test_support::Shape;
using test_support::TestTensor;

const double kInfinity = std::numeric_limits<double>::infinity();
const mo_dtype_t kDtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

struct Case {
  Shape shape = {3, 5};
  Shape input_strides, output_strides;  // empty: contiguous
  mo_dtype_t input_dtype = MO_DTYPE_FLOAT32, output_dtype = MO_DTYPE_FLOAT32;
  Shape mask_shape, mask_strides, bias_shape;
  mo_dtype_t mask_dtype = MO_DTYPE_BOOL, bias_dtype = MO_DTYPE_FLOAT32;
  float scale = 0;
  bool causal = false;
  bool in_place = false;
  double spread = 4;
  int32_t threads = 2;
};

struct Problem {
  Case c;
  TestTensor input, output, mask, bias;

  explicit Problem(const Case &given) : c(given) {
    std::mt19937 random(3);
    input = TestTensor(c.input_dtype, c.shape, c.input_strides.empty() ? TestTensor::contiguous(c.shape) : c.input_strides);
    output = TestTensor(c.output_dtype, c.shape, c.output_strides.empty() ? TestTensor::contiguous(c.shape) : c.output_strides);
    input.fill_uniform(random, -c.spread, c.spread);
    if (!c.mask_shape.empty()) {
      mask = TestTensor(c.mask_dtype, c.mask_shape,
                        c.mask_strides.empty() ? TestTensor::contiguous(c.mask_shape) : c.mask_strides);
      std::bernoulli_distribution visible(0.6);
      mask.for_each([&](const Shape &index) { mask.set(index, visible(random) ? 1 : 0); });
    }
    if (!c.bias_shape.empty()) {
      bias = TestTensor(c.bias_dtype, c.bias_shape);
      bias.fill_uniform(random, -2, 2);
    }
  }

  mo_status_t run(mo_context_t *context, const std::function<void(mo_softmax_params &)> &change = {}) {
    const mo_tensor from = input.tensor(), to = c.in_place ? from : output.tensor(), m = mask.tensor(), b = bias.tensor();
    mo_softmax_params params = shim_softmax_params();
    params.input = &from, params.output = &to;
    if (!c.mask_shape.empty()) params.mask = &m;
    if (!c.bias_shape.empty()) params.bias = &b;
    params.scale = c.scale, params.causal = c.causal;
    if (change) change(params);
    return test_softmax(context, &params);
  }

  bool sees(const Shape &index) const {
    const size_t rank = c.shape.size();
    if (c.causal && index[rank - 1] > index[rank - 2] + c.shape[rank - 1] - c.shape[rank - 2]) return false;
    return c.mask_shape.empty() || mask.at(index) != 0;
  }

  template <typename Real>
  std::vector<Real> plain() const {
    std::vector<Real> scores, result;
    input.for_each([&](const Shape &index) {
      Real s = static_cast<Real>(input.at(index)) * static_cast<Real>(c.scale == 0 ? 1.0f : c.scale);
      if (!c.bias_shape.empty()) s += static_cast<Real>(bias.at(index));
      scores.push_back(sees(index) ? s : -std::numeric_limits<Real>::infinity());
    });
    const size_t columns = static_cast<size_t>(c.shape.back());
    for (size_t first = 0; first < scores.size(); first += columns) {
      Real maximum = -std::numeric_limits<Real>::infinity(), sum = 0;
      for (size_t j = 0; j < columns; ++j) maximum = std::max(maximum, scores[first + j]);
      const bool nothing = std::isinf(maximum);
      for (size_t j = 0; j < columns; ++j) {
        Real &s = scores[first + j];
        s = nothing ? Real(1) : std::exp(s - maximum);
        sum += s;
      }
      for (size_t j = 0; j < columns; ++j) result.push_back(scores[first + j] / sum);
    }
    return result;
  }
};

void check(const Case &c) {
  Context context(c.threads);
  Problem p(c);
  const std::vector<double> exact = p.plain<double>();
  const std::vector<float> in_float = p.plain<float>();
  ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
  const TestTensor &got = c.in_place ? p.input : p.output;
  double bound = 0, worst = 0;
  for (size_t n = 0; n < exact.size(); ++n) {
    bound = std::max(bound, std::fabs(rounded(c.output_dtype, in_float[n]) - exact[n]));
  }
  size_t n = 0, wrong = 0;
  got.for_each([&](const Shape &index) {
    const double value = got.at(index), wanted = exact[n++];
    wrong += std::isnan(value) || (wanted == 0 && value != 0);
    worst = std::max(worst, std::fabs(value - wanted));
  });
  EXPECT_EQ(wrong, 0u);
  EXPECT_LE(worst, 2 * bound + 1e-7);
  EXPECT_TRUE(got.outside_is_untouched());
}

TEST(Softmax, SimpleCallFromC) {
  Context context(1);
  const float input[4] = {0, 0, 1, 1 + std::log(3.0f)};
  float output[4];
  ASSERT_EQ(shim_softmax_simple(context, output, input, 2, 2), MO_STATUS_OK) << mo_last_error();
  EXPECT_NEAR(output[0], 0.5, 1e-7);
  EXPECT_NEAR(output[3], 0.75, 1e-6);
}

TEST(Softmax, WidthsAndTypes) {
  for (int64_t columns : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1009, 30522}) {
    for (mo_dtype_t input : kDtypes) {
      for (mo_dtype_t output : kDtypes) {
        Case c;
        c.shape = {5, columns};
        c.input_dtype = input, c.output_dtype = output;
        check(c);
      }
    }
  }
}

TEST(Softmax, RanksStridesAndThreads) {
  for (int32_t threads : {1, 2, 7}) {
    for (const Shape &shape : {Shape{37}, {11, 37}, {3, 11, 37}, {2, 3, 11, 37}, {4, 8, 97, 101}}) {
      Case c;
      c.shape = shape, c.threads = threads;
      check(c);
      c.input_strides = c.output_strides = TestTensor::contiguous(shape);
      for (size_t i = 0; i + 1 < shape.size(); ++i) {
        c.output_strides[i] = c.output_strides[i] / 37 * 41;
        c.input_strides[i] = i == 0 ? 0 : c.input_strides[i];  // a broadcast input
      }
      if (shape.back() == 37) check(c);
    }
  }
}

TEST(Softmax, InPlace) {
  for (mo_dtype_t dtype : kDtypes) {
    for (bool causal : {false, true}) {
      Case c;
      c.shape = {2, 3, 19, 45}, c.in_place = true, c.input_dtype = c.output_dtype = dtype, c.causal = causal;
      c.mask_shape = {2, 1, 1, 45};
      check(c);
    }
  }
}

TEST(Softmax, MasksBiasScaleAndCausal) {
  const Shape shapes[] = {{}, {2, 3, 21, 40}, {2, 1, 1, 40}, {1, 3, 21, 1}, {1, 1, 1, 1}};
  for (const Shape &mask : shapes) {
    for (const Shape &bias : shapes) {
      for (mo_dtype_t dtype : kDtypes) {
        Case c;
        c.shape = {2, 3, 21, 40}, c.mask_shape = mask, c.bias_shape = bias, c.input_dtype = c.bias_dtype = dtype;
        c.scale = 0.25f;
        c.causal = dtype != MO_DTYPE_FLOAT16;
        check(c);
      }
    }
  }
  for (mo_dtype_t dtype : {MO_DTYPE_BOOL, MO_DTYPE_UINT8, MO_DTYPE_INT8, MO_DTYPE_INT32, MO_DTYPE_INT64}) {
    Case c;
    c.shape = {9, 50}, c.mask_shape = {9, 50}, c.mask_dtype = dtype;
    check(c);
    /* rows of vectors: beside a mask whose rows are multiples of a vector, beside one whose rows are not, and one with gaps */
    for (const Shape &strides : {Shape{56, 1}, Shape{57, 1}, Shape{112, 2}}) {
      for (mo_dtype_t input : kDtypes) {
        c.shape = c.mask_shape = {9, 56}, c.mask_strides = strides, c.input_dtype = input;
        check(c);
      }
    }
  }
}

TEST(Softmax, MoreRowsThanColumnsLeavesUniformRows) {
  Case c;
  c.shape = {2, 12, 5}, c.causal = true;  // the first seven rows see nothing
  check(c);
}

TEST(Softmax, ManyShortRows) {
  for (mo_dtype_t dtype : kDtypes) {
    for (int64_t columns : {8, 24, 64, 128, 256}) {
      Case c;
      c.shape = {2, 3, 11, columns}, c.input_dtype = dtype, c.output_dtype = dtype;
      check(c);
      c.causal = true, c.mask_shape = {2, 1, 1, columns}, c.in_place = true;
      check(c);
    }
  }
}

TEST(Softmax, InfinitiesAndNaN) {
  Context context(1);
  for (const int64_t columns : {20, 24}) {
    Case c;
    c.shape = {4, columns};
    Problem p(c);
    for (int64_t j = 0; j < columns; ++j) p.input.set({1, j}, -kInfinity);
    p.input.set({2, 3}, -kInfinity);
    p.input.set({3, 3}, std::nan(""));
    ASSERT_EQ(p.run(context), MO_STATUS_OK);
    for (int64_t j = 0; j < columns; ++j) {
      EXPECT_NEAR(p.output.at({1, j}), 1.0 / static_cast<double>(columns), 1e-8);
      EXPECT_TRUE(std::isnan(p.output.at({3, j})));
    }
    EXPECT_EQ(p.output.at({2, 3}), 0.0);
  }
}

TEST(Softmax, EmptyExtents) {
  Context context(2);
  for (const Shape &shape : {Shape{0}, {0, 4}, {4, 0}, {2, 0, 3, 4}}) {
    Case c;
    c.shape = shape;
    Problem p(c);
    EXPECT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
    EXPECT_TRUE(p.output.is_untouched());
  }
}

TEST(Softmax, IdenticalFromRunToRun) {
  Case c;
  c.shape = {4, 6, 50, 77};
  Problem first(c);
  Context context(2);
  ASSERT_EQ(first.run(context), MO_STATUS_OK);
  for (int32_t threads : {2, 1, 3}) {
    Problem again(c);
    Context other(threads);
    ASSERT_EQ(again.run(other), MO_STATUS_OK);
    EXPECT_EQ(first.output.memory(), again.output.memory());
  }
}

class SoftmaxErrors : public testing::Test {
 protected:
  void refuses(const char *rule, const std::function<void(mo_softmax_params &)> &change) {
    EXPECT_EQ(p_.run(context_, change), MO_STATUS_INVALID_ARGUMENT) << rule;
    EXPECT_EQ(std::string(mo_last_error()).rfind("softmax: ", 0), 0u) << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(rule), std::string::npos) << rule << ": " << mo_last_error();
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(p_.output.is_untouched()) << rule;
  }
  void refuses(const char *rule, const mo_tensor *mo_softmax_params::*member, const std::function<void(mo_tensor &)> &change) {
    refuses(rule, [&](mo_softmax_params &params) {
      changed_ = *(params.*member);
      change(changed_);
      params.*member = &changed_;
    });
  }
  static Case everything() {
    Case c;
    c.shape = {4, 6}, c.mask_shape = {1, 6}, c.bias_shape = {4, 1};
    return c;
  }
  Context context_{2};
  Problem p_{everything()};
  mo_tensor changed_ = {};
};

TEST_F(SoftmaxErrors, EveryRule) {
  using P = mo_softmax_params;
  EXPECT_EQ(p_.run(nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(mo_last_error()).rfind("softmax: ", 0), 0u);
  EXPECT_EQ(test_softmax(context_, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(mo_last_error()).rfind("softmax: ", 0), 0u);
  refuses("struct_size", [](P &params) { params.struct_size = 1; });
  refuses("input is NULL", [](P &params) { params.input = nullptr; });
  refuses("output is NULL", [](P &params) { params.output = nullptr; });
  refuses("scale", [](P &params) { params.scale = NAN; });
  const mo_tensor *P::*const all[] = {&P::input, &P::output, &P::mask, &P::bias};
  const char *const names[] = {"input", "output", "mask", "bias"};
  for (size_t i = 0; i < 4; ++i) {
    refuses(names[i], all[i], [](mo_tensor &t) { t.dtype = MO_DTYPE_NONE; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT8_E4M3; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.rank = 5; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.rank = 0; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.device = {MO_DEVICE_KIND_CUDA, 0}; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.data = nullptr; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.shape[1] = -1; });
    refuses("extent", all[i], [](mo_tensor &t) { t.shape[1] = 3; });
  }
  refuses("rank", &P::mask, [](mo_tensor &t) { t.rank = 1; });
  refuses("input has stride 2", &P::input, [](mo_tensor &t) { t.strides[1] = 2; });
  refuses("output has stride 2", &P::output, [](mo_tensor &t) { t.strides[1] = 2; });
  refuses("output", &P::output, [](mo_tensor &t) { t.strides[0] = 0; });
  refuses("bias", &P::bias, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  const mo_tensor output = p_.output.tensor();
  refuses("output overlaps input", &P::input, [&](mo_tensor &t) { t.data = static_cast<char *>(output.data) + 4; });
  refuses("output overlaps mask", &P::mask, [&](mo_tensor &t) { t.data = output.data; });
  refuses("output overlaps bias", &P::bias, [&](mo_tensor &t) { t.data = output.data; });
}

TEST_F(SoftmaxErrors, CausalNeedsTwoDimensions) {
  Case c;
  c.shape = {8};
  Problem p(c);
  EXPECT_EQ(p.run(context_, [](mo_softmax_params &params) { params.causal = true; }), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("softmax: causal"), std::string::npos);
}

TEST(SoftmaxProcess, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
