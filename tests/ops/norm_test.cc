/* tests/ops/norm_test.cc - layer norm and RMS norm beside a plain computation in double.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/op_test.h"

#include <memory>

#include "tests/ops/norm_shim.h"

namespace {

using op_test::Buffer;
using op_test::rounded;
using op_test::rounding;

const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

enum class Alias { kNone, kOutputInput, kOutputResidual, kSumInput, kSumResidual, kSumInputOutputResidual };

struct Case {
  std::vector<int64_t> shape;
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  mo_dtype_t output_dtype = MO_DTYPE_NONE; /* none: dtype */
  mo_dtype_t weight_dtype = MO_DTYPE_NONE;
  bool rms = false, sum = true, residual = true, input_bias = true, weight = true, bias = true;
  float weight_offset = 0.0f;
  double shift = 0.0; /* mean of the input */
  int64_t gap = 0;
  Alias alias = Alias::kNone;
};

/* The row's result in the arithmetic of T, plainly. */
template <typename T>
std::vector<T> plain(const std::vector<T> &row, const Case &c, const std::vector<T> &weight, const std::vector<T> &bias,
                     T epsilon) {
  const T count = T(row.size());
  T mean = 0, squares = 0;
  if (!c.rms) {
    for (T x : row) mean += x;
    mean /= count;
  }
  for (T x : row) squares += (x - mean) * (x - mean);
  const T scale = 1 / std::sqrt(squares / count + epsilon);
  std::vector<T> result(row.size());
  for (size_t i = 0; i < row.size(); ++i) {
    result[i] = (row[i] - mean) * scale;
    if (c.weight) result[i] *= weight[i] + T(c.weight_offset);
    if (c.bias && !c.rms) result[i] += bias[i];
  }
  return result;
}

class Norm : public op_test::OpTest {
 protected:
  void check(const Case &c) {
    SCOPED_TRACE(testing::Message() << testing::PrintToString(c.shape) << " " << mo_dtype_name(c.dtype) << " -> "
                                    << mo_dtype_name(c.output_dtype) << " rms " << c.rms << " sum " << c.sum << " residual "
                                    << c.residual << " input_bias " << c.input_bias << " weight " << c.weight << " bias "
                                    << c.bias << " gap " << c.gap << " alias " << int(c.alias));
    const mo_dtype_t output_dtype = c.output_dtype == MO_DTYPE_NONE ? c.dtype : c.output_dtype;
    const mo_dtype_t weight_dtype = c.weight_dtype == MO_DTYPE_NONE ? c.dtype : c.weight_dtype;
    const int64_t count = c.shape.back();
    Buffer input(c.dtype, c.shape, c.gap, 3 * c.gap), residual(c.dtype, c.shape, 2 * c.gap), sum(c.dtype, c.shape, c.gap);
    Buffer output(output_dtype, c.shape, 3 * c.gap, c.gap);
    Buffer input_bias(c.dtype, {count}), weight(weight_dtype, {count}), bias(weight_dtype, {count});
    input.fill(random_, 1, c.shift);
    residual.fill(random_);
    input_bias.fill(random_);
    weight.fill(random_, 0.2, 1);
    bias.fill(random_);
    const Buffer input_before = input, residual_before = residual;

    mo_norm_params p = MO_NORM_PARAMS_INIT;
    Buffer *output_at = std::addressof(output), *sum_at = std::addressof(sum);
    if (c.alias == Alias::kOutputInput) output_at = std::addressof(input);
    if (c.alias == Alias::kOutputResidual || c.alias == Alias::kSumInputOutputResidual) output_at = std::addressof(residual);
    if (c.alias == Alias::kSumInput || c.alias == Alias::kSumInputOutputResidual) sum_at = std::addressof(input);
    if (c.alias == Alias::kSumResidual) sum_at = std::addressof(residual);
    p.output = &*output_at;
    p.sum = c.sum ? &*sum_at : nullptr;
    p.input = &input;
    p.residual = c.residual ? &residual : nullptr;
    p.input_bias = c.input_bias ? &input_bias : nullptr;
    p.weight = c.weight ? &weight : nullptr;
    p.bias = c.bias && !c.rms ? &bias : nullptr;
    p.epsilon = 1e-5f;
    p.weight_offset = c.weight_offset;
    ASSERT_EQ(c.rms ? test_rms_norm(context_, &p) : test_layer_norm(context_, &p), MO_STATUS_OK) << mo_last_error();

    std::vector<double> w(count), b(count), row(count);
    std::vector<float> w_single(count), b_single(count), row_single(count);
    for (int64_t i = 0; i < count; ++i) {
      w_single[i] = float(w[i] = weight.get(i));
      b_single[i] = float(b[i] = bias.get(i));
    }
    double ours = 0, theirs = 0, largest = 0, sum_error = 0, sum_largest = 0;
    for (int64_t r = 0; r < output.rows(); ++r) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = r * count + i;
        row[i] = input_before.get(at);
        if (c.input_bias) row[i] += input_bias.get(i);
        if (c.residual) row[i] += residual_before.get(at);
        row_single[i] = float(row[i]);
        sum_largest = std::max(sum_largest, std::fabs(row[i]));
        if (c.sum) {
          const double error = std::fabs(sum_at->get(at) - row[i]);
          ASSERT_FALSE(std::isnan(error));
          sum_error = std::max(sum_error, error);
        }
      }
      const std::vector<double> exact = plain<double>(row, c, w, b, double(p.epsilon));
      const std::vector<float> single = plain<float>(row_single, c, w_single, b_single, p.epsilon);
      for (int64_t i = 0; i < count; ++i) {
        const double result = output_at->get(r * count + i);
        ASSERT_FALSE(std::isnan(result)) << r << ", " << i;
        ours = std::max(ours, std::fabs(result - exact[i]));
        theirs = std::max(theirs, std::fabs(rounded(output_dtype, single[i]) - exact[i]));
        largest = std::max(largest, std::fabs(exact[i]));
      }
    }
    /* Adding up to three float32 numbers in double is exact enough; the op rounds twice before the statistics. */
    EXPECT_LE(ours, 2 * theirs + 4e-7 * (1 + largest) + 2.4e-7 * sum_largest);
    EXPECT_LE(sum_error, 1.01 * rounding(c.dtype, sum_largest) + 1.2e-7 * sum_largest);
    EXPECT_TRUE(output_at->gaps_untouched());
    EXPECT_TRUE(!c.sum || sum_at->gaps_untouched());
  }
};

TEST_F(Norm, EveryWidth) {
  for (int64_t count : {1, 2, 3, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 257, 384, 768, 1031}) {
    for (bool rms : {false, true}) {
      check({.shape = {5, count}, .rms = rms});
      check({.shape = {1, count}, .rms = rms, .sum = false, .residual = false, .input_bias = false});
      check({.shape = {count}, .rms = rms, .sum = false});
    }
  }
}

/* As those of single heads: several rows a warp and several a thread, of a batch that is one sequence of rows or is not. */
TEST_F(Norm, ManyShortRows) {
  for (mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    for (int64_t count : {8, 24, 64, 104, 128, 256}) {
      for (bool rms : {false, true}) {
        check({.shape = {3, 5, 11, count}, .dtype = dtype, .rms = rms});
        check({.shape = {2, 37, count}, .dtype = dtype, .weight_dtype = MO_DTYPE_FLOAT32, .rms = rms, .gap = 16});
      }
      check({.shape = {67, count}, .dtype = dtype, .sum = false, .residual = false, .input_bias = false});
      check({.shape = {67, count}, .dtype = dtype, .alias = Alias::kSumInputOutputResidual});
    }
    check({.shape = {67, 64}, .dtype = MO_DTYPE_FLOAT32, .output_dtype = dtype});
    check({.shape = {5, 9, 1664}, .dtype = MO_DTYPE_FLOAT32, .output_dtype = dtype, .gap = 8});
  }
}

TEST_F(Norm, EveryOptionalPart) {
  for (int bits = 0; bits < 64; ++bits) {
    check({.shape = {3, 37},
           .rms = (bits & 1) != 0,
           .sum = (bits & 2) != 0,
           .residual = (bits & 4) != 0,
           .input_bias = (bits & 8) != 0,
           .weight = (bits & 16) != 0,
           .bias = (bits & 32) != 0});
  }
}

TEST_F(Norm, EveryDtype) {
  for (mo_dtype_t dtype : kFloats) {
    for (mo_dtype_t output : kFloats) {
      for (mo_dtype_t weight : {dtype, MO_DTYPE_FLOAT32}) {
        for (bool rms : {false, true}) {
          check({.shape = {7, 83}, .dtype = dtype, .output_dtype = output, .weight_dtype = weight, .rms = rms});
          check({.shape = {7, 83}, .dtype = dtype, .output_dtype = output, .weight_dtype = weight, .rms = rms, .sum = false});
        }
      }
    }
    check({.shape = {7, 83}, .dtype = dtype, .weight_dtype = MO_DTYPE_FLOAT32, .weight = false}); /* a bias alone */
  }
}

TEST_F(Norm, StridesAndRanks) {
  for (mo_dtype_t dtype : kFloats) {
    for (int64_t gap : {0, 1, 13}) {
      check({.shape = {50}, .dtype = dtype, .gap = gap});
      check({.shape = {7, 50}, .dtype = dtype, .gap = gap});
      check({.shape = {2, 7, 50}, .dtype = dtype, .gap = gap});
      check({.shape = {2, 3, 5, 19}, .dtype = dtype, .gap = gap});
    }
  }
}

TEST_F(Norm, InPlace) {
  for (mo_dtype_t dtype : kFloats) {
    for (bool rms : {false, true}) {
      for (Alias alias : {Alias::kOutputInput, Alias::kOutputResidual, Alias::kSumInput, Alias::kSumResidual,
                          Alias::kSumInputOutputResidual}) {
        check({.shape = {9, 77}, .dtype = dtype, .rms = rms, .alias = alias});
      }
      check({.shape = {9, 77},
             .dtype = dtype,
             .rms = rms,
             .sum = false,
             .residual = false,
             .input_bias = false,
             .alias = Alias::kOutputInput});
    }
  }
}

TEST_F(Norm, LargeAndManyThreads) {
  check({.shape = {1031, 384}});
  check({.shape = {2, 100003}, .rms = true});
  check({.shape = {513, 768}, .dtype = MO_DTYPE_BFLOAT16});
}

/* The CUDA kernel holds a row in registers of two or more sizes, and reads longer ones again: vectors and single elements. */
TEST_F(Norm, RowsAroundWhatRegistersHold) {
  for (int64_t count : {1500, 3001, 5003, 8192, 12288, 16392}) {
    check({.shape = {2, count}});
    check({.shape = {1, count}, .rms = true, .residual = false, .alias = Alias::kSumInput});
  }
  for (int64_t count : {4099, 16384, 24576, 32776}) {
    check({.shape = {2, count}, .dtype = MO_DTYPE_BFLOAT16, .output_dtype = MO_DTYPE_FLOAT32});
    check({.shape = {1, count}, .dtype = MO_DTYPE_FLOAT16, .alias = Alias::kSumInputOutputResidual});
  }
}

TEST_F(Norm, LargeMeanCostsNoDigits) { check({.shape = {8, 768}, .residual = false, .input_bias = false, .shift = 1000}); }

TEST_F(Norm, WeightOffset) {
  check({.shape = {4, 100}, .rms = true, .weight_offset = 1.0f});
  check({.shape = {4, 100}, .dtype = MO_DTYPE_BFLOAT16, .rms = true, .weight_offset = 1.0f});
}

TEST_F(Norm, ResidualBroadcastOverRows) {
  Buffer input(MO_DTYPE_FLOAT32, {4, 20}), one(MO_DTYPE_FLOAT32, {1, 20}), output(MO_DTYPE_FLOAT32, {4, 20});
  Buffer copy(MO_DTYPE_FLOAT32, {4, 20}), expected(MO_DTYPE_FLOAT32, {4, 20});
  input.fill(random_);
  one.fill(random_);
  for (int64_t i = 0; i < 80; ++i) copy.set(i, one.get(i % 20));
  mo_tensor residual = one.tensor();
  residual.shape[0] = 4;
  residual.strides[0] = 0;
  ASSERT_EQ(shim_layer_norm(context_, &output, &input, &residual, nullptr, nullptr, 1e-12f), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(shim_layer_norm(context_, &expected, &input, &copy, nullptr, nullptr, 1e-12f), MO_STATUS_OK);
  EXPECT_TRUE(output.memory() == expected.memory());
}

TEST_F(Norm, ConstantRowAndNonFinite) {
  Buffer input(MO_DTYPE_FLOAT32, {3, 40}), output(MO_DTYPE_FLOAT32, {3, 40});
  input.fill(random_);
  for (int64_t i = 0; i < 40; ++i) input.set(i, 2.5);
  input.set(40, NAN);
  ASSERT_EQ(shim_layer_norm(context_, &output, &input, nullptr, nullptr, nullptr, 1e-5f), MO_STATUS_OK);
  for (int64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(output.get(i), 0.0);
    EXPECT_TRUE(std::isnan(output.get(40 + i)));
    EXPECT_TRUE(std::isfinite(output.get(80 + i)));
  }
}

TEST_F(Norm, Empty) {
  for (auto shape : std::vector<std::vector<int64_t>>{{0, 8}, {3, 0}, {0}}) {
    Buffer input(MO_DTYPE_FLOAT32, shape), output(MO_DTYPE_FLOAT32, shape);
    EXPECT_EQ(shim_layer_norm(context_, &output, &input, nullptr, nullptr, nullptr, 1e-5f), MO_STATUS_OK) << mo_last_error();
  }
}

TEST_F(Norm, BitIdenticalForAnyThreadCount) {
  Buffer input(MO_DTYPE_FLOAT32, {300, 385});
  input.fill(random_);
  std::vector<uint8_t> first;
  for (int32_t threads : {2, 2, 1, 7}) {
    make_context(threads);
    Buffer output(MO_DTYPE_FLOAT32, {300, 385});
    ASSERT_EQ(shim_layer_norm(context_, &output, &input, nullptr, nullptr, nullptr, 1e-5f), MO_STATUS_OK);
    if (first.empty()) first = output.memory();
    EXPECT_TRUE(first == output.memory()) << threads;
  }
}

TEST_F(Norm, FrontDoor) {
  Buffer input(MO_DTYPE_FLOAT32, {3, 8}), output(MO_DTYPE_FLOAT32, {3, 8}), sum(MO_DTYPE_FLOAT32, {3, 8});
  Buffer residual(MO_DTYPE_FLOAT32, {3, 8}), vector(MO_DTYPE_FLOAT32, {8}), bias(MO_DTYPE_FLOAT32, {8});
  const std::vector<uint8_t> before = output.memory();
  static mo_tensor changed;
  struct Change {
    const char *part;
    void (*apply)(mo_norm_params &);
  };
  const Change changes[] = {
      {"struct_size", [](mo_norm_params &p) { p.struct_size = 1; }},
      {"output is NULL", [](mo_norm_params &p) { p.output = nullptr; }},
      {"input is NULL", [](mo_norm_params &p) { p.input = nullptr; }},
      {"input has dtype", [](mo_norm_params &p) { (changed = *p.input).dtype = MO_DTYPE_INT64, p.input = &changed; }},
      {"input has rank", [](mo_norm_params &p) { (changed = *p.input).rank = 0, p.input = &changed; }},
      {"input has stride", [](mo_norm_params &p) { (changed = *p.input).strides[1] = 0, p.input = &changed; }},
      {"output has extent", [](mo_norm_params &p) { (changed = *p.output).shape[0] = 2, p.output = &changed; }},
      {"output has two", [](mo_norm_params &p) { (changed = *p.output).strides[0] = 4, p.output = &changed; }},
      {"sum has dtype", [](mo_norm_params &p) { (changed = *p.sum).dtype = MO_DTYPE_FLOAT16, p.sum = &changed; }},
      {"sum has two", [](mo_norm_params &p) { (changed = *p.sum).strides[0] = 0, p.sum = &changed; }},
      {"sum", [](mo_norm_params &p) { p.sum = p.output; }},
      {"residual has dtype",
       [](mo_norm_params &p) { (changed = *p.residual).dtype = MO_DTYPE_FLOAT16, p.residual = &changed; }},
      {"residual has extent", [](mo_norm_params &p) { (changed = *p.residual).shape[1] = 7, p.residual = &changed; }},
      {"residual",
       [](mo_norm_params &p) {
         (changed = *p.residual).data = static_cast<float *>(p.output->data) + 1, p.residual = &changed;
       }},
      {"input",
       [](mo_norm_params &p) { (changed = *p.input).data = static_cast<float *>(p.sum->data) + 1, p.input = &changed; }},
      {"input_bias has extent", [](mo_norm_params &p) { (changed = *p.input_bias).shape[0] = 7, p.input_bias = &changed; }},
      {"weight has dtype", [](mo_norm_params &p) { (changed = *p.weight).dtype = MO_DTYPE_BFLOAT16, p.weight = &changed; }},
      {"weight has stride", [](mo_norm_params &p) { (changed = *p.weight).strides[0] = 2, p.weight = &changed; }},
      {"weight", [](mo_norm_params &p) { (changed = *p.weight).data = p.output->data, p.weight = &changed; }},
      {"bias has dtype", [](mo_norm_params &p) { (changed = *p.bias).dtype = MO_DTYPE_BFLOAT16, p.bias = &changed; }},
      {"epsilon", [](mo_norm_params &p) { p.epsilon = -1e-5f; }},
      {"epsilon", [](mo_norm_params &p) { p.epsilon = NAN; }},
      {"weight_offset", [](mo_norm_params &p) { p.weight_offset = 1; }},
      {"on cuda:7",
       [](mo_norm_params &p) {
         (changed = *p.input).device = {MO_DEVICE_KIND_CUDA, 7}, p.input = &changed;
       }},
  };
  mo_norm_params good = MO_NORM_PARAMS_INIT;
  good.output = &output;
  good.sum = &sum;
  good.input = &input;
  good.residual = &residual;
  good.input_bias = &vector;
  good.weight = &vector;
  good.bias = &bias;
  good.epsilon = 1e-5f;
  for (const Change &change : changes) {
    mo_norm_params params = good;
    change.apply(params);
    expect_error(test_layer_norm(context_, &params), MO_STATUS_INVALID_ARGUMENT, "layer norm: ", change.part);
    EXPECT_TRUE(output.memory() == before) << change.part;
  }
  expect_error(test_rms_norm(context_, &good), MO_STATUS_INVALID_ARGUMENT, "rms norm: ", "bias");
  expect_error(test_rms_norm(context_, nullptr), MO_STATUS_INVALID_ARGUMENT, "rms norm: ", "NULL");
  EXPECT_EQ(test_layer_norm(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
}

TEST(NormIsa, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
