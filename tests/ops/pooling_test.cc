// tests/ops/pooling_test.cc - pooling against a plain double-precision reference and values of PyTorch.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/pooling.h"

#include <string>

#include "tests/ops/op_expectations.h"

extern "C" mo_status_t mo_test_masked_mean(mo_context_t *context, float *hidden, uint8_t *mask, int64_t batch, int64_t length,
                                           int64_t channels, float *output);

namespace {

using PoolingTest = OpTest;
const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};
const mo_pooling_mode_t kModes[] = {MO_POOLING_FIRST, MO_POOLING_MEAN, MO_POOLING_MAX, MO_POOLING_LAST, MO_POOLING_MEAN_STD};

mo_pooling_params Pooling(mo_pooling_mode_t mode, const TestTensor &output, const TestTensor &input, const TestTensor *mask) {
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = mode;
  params.output = output.get();
  params.input = input.get();
  params.mask = mask != nullptr ? mask->get() : nullptr;
  return params;
}

// Half a unit in the last place of the storage type, relative.
double Rounding(mo_dtype_t dtype) { return dtype == MO_DTYPE_FLOAT32 ? 0x1p-24 : dtype == MO_DTYPE_FLOAT16 ? 0x1p-11 : 0x1p-8; }

// One output row in T: double is the reference, float the plain computation.
template <typename T>
std::vector<T> PlainRow(mo_pooling_mode_t mode, const TestTensor &input, const TestTensor *mask, int64_t b) {
  const int64_t length = input.get()->shape[1], channels = input.get()->shape[2];
  std::vector<int64_t> valid;
  for (int64_t s = 0; s < length; ++s) {
    if (mask == nullptr || mask->at(b * length + s) != 0) valid.push_back(s);
  }
  if (mode == MO_POOLING_FIRST) valid = {0};
  if (mode == MO_POOLING_LAST && !valid.empty()) valid = {valid.back()};
  std::vector<T> row(static_cast<size_t>(channels), 0), deviation(static_cast<size_t>(channels), 0);
  for (int64_t c = 0; c < channels && !valid.empty(); ++c) {
    T sum = 0, best = -std::numeric_limits<T>::infinity(), squares = 0;
    for (const int64_t s : valid) {
      const T x = static_cast<T>(input.at((b * length + s) * channels + c));
      sum += x;
      best = best != best || x <= best ? best : x;
    }
    const T mean = sum / static_cast<T>(valid.size());
    for (const int64_t s : valid) {
      const T difference = static_cast<T>(input.at((b * length + s) * channels + c)) - mean;
      squares += difference * difference;
    }
    row[static_cast<size_t>(c)] = mode == MO_POOLING_MAX ? best : mean;
    deviation[static_cast<size_t>(c)] = std::sqrt(squares / (static_cast<T>(valid.size()) - 1));
  }
  if (mode == MO_POOLING_MEAN_STD) row.insert(row.end(), deviation.begin(), deviation.end());
  return row;
}

template <typename T>
void Normalize(std::vector<T> *row) {
  T squares = 0;
  for (const T x : *row) squares += x * x;
  const T norm = std::sqrt(squares) < static_cast<T>(1e-12) ? static_cast<T>(1e-12) : std::sqrt(squares);
  for (T &x : *row) x /= norm;
}

TEST_F(PoolingTest, CalledFromC) {
  float hidden[8] = {1, 2, 3, 4, 5, 6, 7, 8}, output[4] = {NAN, NAN, NAN, NAN};
  uint8_t mask[4] = {1, 1, 0, 1};
  ASSERT_EQ(mo_test_masked_mean(context_, hidden, mask, 2, 2, 2, output), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(std::vector<float>(output, output + 4), (std::vector<float>{2, 3, 7, 8}));
}

TEST_F(PoolingTest, ValuesOfPyTorch) {
  TestTensor input(MO_DTYPE_FLOAT32, {2, 4, 3}), mask(MO_DTYPE_INT64, {2, 4}), output(MO_DTYPE_FLOAT32, {2, 3}),
      both(MO_DTYPE_FLOAT32, {2, 6}), weight(MO_DTYPE_FLOAT32, {2, 3}), bias(MO_DTYPE_FLOAT32, {2}),
      dense(MO_DTYPE_FLOAT32, {2, 2});
  input.fill_pattern(31, 19, 9, 0.5);
  mask.fill_list({1, 1, 0, 1, 0, 1, 0, 0});
  weight.fill_pattern(5, 11, 5, 0.125);
  bias.fill_list({0.25, -0.5});
  mo_pooling_params params = Pooling(MO_POOLING_MEAN, output.poison(), input, &mask);
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(output, {0.5, 0.166666672, -0.166666672, 0.0, -3.5, 2.5}, 1e-7);
  params.l2_normalize = true;
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(output, {0.904534042, 0.301511347, -0.301511347, 0.0, -0.813733459, 0.58123821}, 1e-7);
  params = Pooling(MO_POOLING_MAX, output.poison(), input, &mask);
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(output, {4.0, 1.5, 4.5, 0.0, -3.5, 2.5}, 0);
  params = Pooling(MO_POOLING_MEAN_STD, both.poison(), input, &mask);
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(both, {0.5, 0.166666672, -0.166666672, 4.44409704, 1.52752519, 4.07226372, 0.0, -3.5, 2.5, kNan, kNan, kNan},
               1e-6);
  params = Pooling(MO_POOLING_FIRST, dense.poison(), input, nullptr);
  params.weight = weight.get();
  params.bias = bias.get();
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(dense, {0.948085308, 0.864906609, 0.948085308, -0.991859734}, 2e-7);
}

TEST_F(PoolingTest, EveryModeSizeDtypeAndLayout) {
  const struct {
    int64_t batch, length, channels;
  } sizes[] = {{1, 1, 1},    {2, 3, 5},     {3, 7, 16},   {2, 33, 17},  {1, 65, 127},
               {5, 31, 128}, {2, 129, 129}, {3, 40, 384}, {2, 300, 771}};
  for (const mo_dtype_t dtype : kFloats) {
    for (const auto &size : sizes) {
      for (const mo_pooling_mode_t mode : kModes) {
        for (const int variant : {0, 1, 2}) {  // no mask; mask and gaps; mask and normalised
          SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " mode " + std::to_string(mode) + " channels " +
                       std::to_string(size.channels) + " variant " + std::to_string(variant));
          const int64_t width = size.channels * (mode == MO_POOLING_MEAN_STD ? 2 : 1);
          TestTensor input(dtype, {size.batch, size.length, size.channels}, Layout{.gap = variant});
          TestTensor output(dtype, {size.batch, width}, Layout{.gap = variant, .spread = variant == 1 ? 3 : 1});
          const mo_dtype_t mask_dtypes[] = {MO_DTYPE_BOOL, MO_DTYPE_INT32, MO_DTYPE_INT64, MO_DTYPE_UINT8};
          TestTensor mask(mask_dtypes[(size.channels + variant) % 4], {size.batch, size.length}, Layout{.spread = variant + 1});
          input.fill_normal(random_, 2.0, 1.0);
          for (int64_t i = 0; i < mask.count(); ++i) mask.set(i, random_() % 3 == 0 ? 0 : random_() % 200);
          if (variant != 0) {  // what the mask hides must not be read into the result
            for (int64_t i = 0; i < mask.count(); ++i) {
              if (mask.at(i) != 0 || (mode == MO_POOLING_FIRST && i % size.length == 0)) continue;
              for (int64_t c = 0; c < size.channels; ++c) input.set(i * size.channels + c, kNan);
            }
          }
          mo_pooling_params params = Pooling(mode, output.poison(), input, variant != 0 ? &mask : nullptr);
          params.l2_normalize = variant == 2;
          ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
          for (int64_t b = 0; b < size.batch; ++b) {
            std::vector<double> reference = PlainRow<double>(mode, input, variant != 0 ? &mask : nullptr, b);
            std::vector<float> plain = PlainRow<float>(mode, input, variant != 0 ? &mask : nullptr, b);
            if (variant == 2) {
              Normalize(&reference);
              Normalize(&plain);
            }
            for (int64_t c = 0; c < width; ++c) {
              const double expected = reference[static_cast<size_t>(c)];
              const double bound =
                  2 * std::abs(plain[static_cast<size_t>(c)] - expected) + 2 * Rounding(dtype) * std::abs(expected) + 1e-6;
              ExpectNearOrSame(output.at(b * width + c), expected, bound);
            }
          }
        }
      }
    }
  }
}

TEST_F(PoolingTest, DenseOfEverySizeDtypeAndLayout) {
  const struct {
    int64_t batch, channels, width;
  } sizes[] = {{1, 1, 1}, {2, 3, 5}, {4, 16, 7}, {5, 31, 33}, {9, 128, 64}, {3, 129, 1}, {7, 384, 96}, {2, 0, 4}};
  for (const mo_dtype_t dtype : kFloats) {
    for (const auto &size : sizes) {
      for (const int64_t spread : {1, 2}) {
        for (const bool with_bias : {true, false}) {
          SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " channels " + std::to_string(size.channels));
          TestTensor input(dtype, {size.batch, 2, size.channels}),
              weight(dtype, {size.width, size.channels}, Layout{.gap = spread - 1, .spread = spread}),
              bias(dtype, {size.width}, Layout{.spread = spread}),
              output(dtype, {size.batch, size.width}, Layout{.spread = spread});
          input.fill_normal(random_);
          weight.fill_normal(random_, 1.0 / std::sqrt(static_cast<double>(size.channels) + 1));
          bias.fill_normal(random_);
          mo_pooling_params params = Pooling(MO_POOLING_FIRST, output.poison(), input, nullptr);
          params.weight = weight.get();
          params.bias = with_bias ? bias.get() : nullptr;
          ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
          for (int64_t b = 0; b < size.batch; ++b) {
            for (int64_t n = 0; n < size.width; ++n) {
              double sum = 0;
              float plain = 0;
              for (int64_t c = 0; c < size.channels; ++c) {
                const double x = input.at(b * 2 * size.channels + c), w = weight.at(n * size.channels + c);
                sum += x * w;
                plain += static_cast<float>(x) * static_cast<float>(w);
              }
              if (with_bias) sum += bias.at(n), plain += static_cast<float>(bias.at(n));
              const double expected = std::tanh(sum);
              const double bound = 2 * std::abs(static_cast<double>(std::tanh(plain)) - expected) +
                                   2 * Rounding(dtype) * std::abs(expected) + 1e-6;
              EXPECT_NEAR(output.at(b * size.width + n), expected, bound);
            }
          }
        }
      }
    }
  }
}

TEST_F(PoolingTest, SequencesWithoutAValidPositionGiveZeros) {
  TestTensor input(MO_DTYPE_FLOAT32, {2, 3, 20}), empty(MO_DTYPE_FLOAT32, {2, 0, 20}), mask(MO_DTYPE_INT32, {2, 3}),
      output(MO_DTYPE_FLOAT32, {2, 20}), both(MO_DTYPE_FLOAT32, {2, 40});
  input.poison();
  mask.fill_all(0);
  for (const mo_pooling_mode_t mode : {MO_POOLING_MEAN, MO_POOLING_MAX, MO_POOLING_LAST, MO_POOLING_MEAN_STD}) {
    for (const bool normalize : {false, true}) {
      for (const bool no_positions : {false, true}) {
        TestTensor &destination = mode == MO_POOLING_MEAN_STD ? both : output;
        mo_pooling_params params =
            Pooling(mode, destination.poison(), no_positions ? empty : input, no_positions ? nullptr : &mask);
        params.l2_normalize = normalize;
        ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
        for (int64_t i = 0; i < destination.count(); ++i) ASSERT_EQ(destination.at(i), 0.0);
      }
    }
  }
  TestTensor none(MO_DTYPE_FLOAT32, {0, 3, 20}), nothing(MO_DTYPE_FLOAT32, {0, 20}), thin(MO_DTYPE_FLOAT32, {2, 3, 0}),
      thin_output(MO_DTYPE_FLOAT32, {2, 0});
  mo_pooling_params params = Pooling(MO_POOLING_MEAN, nothing, none, nullptr);
  EXPECT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  params = Pooling(MO_POOLING_MEAN, thin_output, thin, &mask);
  EXPECT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
}

TEST_F(PoolingTest, MaxKeepsNanAndInfinity) {
  const int64_t channels = 37;
  TestTensor input(MO_DTYPE_FLOAT32, {1, 4, channels}), output(MO_DTYPE_FLOAT32, {1, channels});
  input.fill_all(-kInf);
  for (int64_t c = 0; c < channels; ++c) {
    input.set(c % 4 * channels + c, c % 3 == 0 ? kNan : c % 3 == 1 ? kInf : -5);
    if (c % 3 == 0) input.set((c + 1) % 4 * channels + c, kInf);
  }
  mo_pooling_params params = Pooling(MO_POOLING_MAX, output, input, nullptr);
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t c = 0; c < channels; ++c) ExpectNearOrSame(output.at(c), c % 3 == 0 ? kNan : c % 3 == 1 ? kInf : -5, 0);
}

TEST_F(PoolingTest, LongSequencesDoNotLosePrecision) {
  const int64_t length = 20011;
  TestTensor input(MO_DTYPE_FLOAT32, {1, length, 3}), output(MO_DTYPE_FLOAT32, {1, 6});
  input.fill_normal(random_, 1.0, 1000.0);
  const std::vector<double> reference = PlainRow<double>(MO_POOLING_MEAN_STD, input, nullptr, 0);
  mo_pooling_params params = Pooling(MO_POOLING_MEAN_STD, output.poison(), input, nullptr);
  ASSERT_EQ(test_pooling(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t c = 0; c < 6; ++c) EXPECT_NEAR(output.at(c), reference[static_cast<size_t>(c)], c < 3 ? 2e-3 : 1e-5);
}

TEST_F(PoolingTest, Refuses) {
  TestTensor input(MO_DTYPE_FLOAT32, {2, 3, 4}), mask(MO_DTYPE_BOOL, {2, 3}), output(MO_DTYPE_FLOAT32, {2, 4}),
      half(MO_DTYPE_FLOAT16, {2, 4}), weight(MO_DTYPE_FLOAT32, {5, 4}), bias(MO_DTYPE_FLOAT32, {5}),
      wide(MO_DTYPE_FLOAT32, {2, 5}), small_mask(MO_DTYPE_BOOL, {2, 4}), float_mask(MO_DTYPE_FLOAT32, {2, 3}),
      int8_mask(MO_DTYPE_INT8, {2, 3}), spread(MO_DTYPE_FLOAT32, {2, 3, 4}, Layout{.spread = 2}),
      empty(MO_DTYPE_FLOAT32, {2, 0, 4}), half_weight(MO_DTYPE_FLOAT16, {5, 4}), turned(MO_DTYPE_FLOAT32, {4, 5}),
      folded(MO_DTYPE_FLOAT32, {2, 4}, std::vector<int64_t>{0, 1});
  input.fill_all(1);
  const mo_pooling_params good = Pooling(MO_POOLING_FIRST, output, input, nullptr);
  ASSERT_EQ(test_pooling(context_, &good), MO_STATUS_OK) << mo_last_error();
  output.poison();
  using P = mo_pooling_params *;
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_pooling_params params = good;
    change(&params);
    ExpectInvalid(test_pooling(context_, &params), "pooling: ");
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_TRUE(std::isnan(output.at(0)));
  };
  EXPECT_EQ(test_pooling(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
  ExpectInvalid(test_pooling(context_, nullptr), "NULL");
  refuse("struct_size", [](P p) { p->struct_size = 3; });
  refuse("mode 0", [](P p) { p->mode = static_cast<mo_pooling_mode_t>(0); });
  refuse("mode 6", [](P p) { p->mode = static_cast<mo_pooling_mode_t>(6); });
  refuse("input is NULL", [](P p) { p->input = nullptr; });
  refuse("output is NULL", [](P p) { p->output = nullptr; });
  refuse("input has rank 2", [&](P p) { p->input = output.get(); });
  refuse("input has stride 2", [&](P p) { p->input = spread.get(); });
  refuse("length 0", [&](P p) { p->input = empty.get(); });
  refuse("output has dtype float16", [&](P p) { p->output = half.get(); });
  refuse("output has extent 5", [&](P p) { p->output = wide.get(); });
  refuse("output has extent 4 in dimension 1, not 8", [](P p) { p->mode = MO_POOLING_MEAN_STD; });
  refuse("output has extent 4 in dimension 1, not 5", [&](P p) { p->weight = weight.get(); });
  refuse("two elements at one address", [&](P p) { p->output = folded.get(); });
  refuse("mask has extent 4", [&](P p) { p->mask = small_mask.get(); });
  refuse("mask has dtype float32", [&](P p) { p->mask = float_mask.get(); });
  refuse("mask has dtype int8", [&](P p) { p->mask = int8_mask.get(); });
  refuse("bias without weight", [&](P p) { p->bias = bias.get(); });
  refuse("weight goes with mode FIRST", [&](P p) { p->weight = weight.get(), p->mode = MO_POOLING_MEAN; });
  refuse("weight has dtype float16", [&](P p) { p->weight = half_weight.get(); });
  refuse("weight has extent 5", [&](P p) { p->weight = turned.get(); });
  refuse("bias has rank 2", [&](P p) { p->weight = weight.get(), p->output = wide.get(), p->bias = wide.get(); });
  mo_tensor inside = *output.get();
  inside.data = input.get()->data;
  refuse("output overlaps input", [&](P p) { p->output = &inside; });
}

}  // namespace
