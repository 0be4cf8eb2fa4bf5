// tests/ops/loss_test.cc - the losses against plain double-precision references and values of PyTorch.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/loss.h"

#include <algorithm>
#include <string>

#include "tests/ops/op_expectations.h"

extern "C" mo_status_t mo_test_mean_cross_entropy(mo_context_t *context, float *logits, int64_t *labels, int64_t rows,
                                                  int64_t classes, float *loss);

namespace {

using LossTest = OpTest;
const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

mo_cross_entropy_params CrossEntropy(const TestTensor &loss, const TestTensor &logits, const TestTensor &labels,
                                     mo_loss_reduction_t reduction) {
  mo_cross_entropy_params params = MO_CROSS_ENTROPY_PARAMS_INIT;
  params.loss = loss.get();
  params.logits = logits.get();
  params.labels = labels.get();
  params.reduction = reduction;
  return params;
}

// -log softmax of one row in T: double is the reference, float the plain computation whose error bounds ours.
template <typename T>
T PlainRow(const TestTensor &logits, int64_t row, int64_t classes, int64_t label, T *lse) {
  T maximum = -std::numeric_limits<T>::infinity(), sum = 0;
  for (int64_t c = 0; c < classes; ++c) maximum = std::max(maximum, static_cast<T>(logits.at(row * classes + c)));
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<T>(logits.at(row * classes + c)) - maximum);
  *lse = maximum + std::log(sum);
  return label < 0 ? 0 : std::log(sum) - (static_cast<T>(logits.at(row * classes + label)) - maximum);
}

const double kEpsilon = 1e-6;  // of max(1, |reference|): the rounding of the result itself and of the exponential

void ExpectAccurate(double actual, double reference, double plain) {
  EXPECT_LE(std::abs(actual - reference), 2 * std::abs(plain - reference) + kEpsilon * std::max(1.0, std::abs(reference)))
      << actual << " for " << reference << ", plain float gives " << plain;
}

TEST_F(LossTest, CalledFromC) {
  float logits[6] = {1, 2, 3, 0, 0, 0}, loss = NAN;
  int64_t labels[2] = {2, 1};
  ASSERT_EQ(mo_test_mean_cross_entropy(context_, logits, labels, 2, 3, &loss), MO_STATUS_OK) << mo_last_error();
  EXPECT_NEAR(loss, (0.40760596444 + std::log(3.0)) / 2, 1e-6);
}

TEST_F(LossTest, CrossEntropyValuesOfPyTorch) {
  for (const mo_dtype_t dtype : kFloats) {
    SCOPED_TRACE(mo_dtype_name(dtype));
    TestTensor logits(dtype, {2, 4, 7}), labels(MO_DTYPE_INT64, {2, 4}), one(MO_DTYPE_FLOAT32, std::vector<int64_t>{}),
        all(MO_DTYPE_FLOAT32, {8}), grid(MO_DTYPE_FLOAT32, {2, 4}), lse(MO_DTYPE_FLOAT32, {2, 4});
    logits.fill_pattern(37, 23, 11, 0.25);
    labels.fill_list({3, -100, 0, 6, 5, 1, -100, 2});
    mo_cross_entropy_params params = CrossEntropy(one.poison(), logits, labels, MO_LOSS_REDUCTION_MEAN);
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(one, {3.05151486}, 2e-6);
    params.reduction = MO_LOSS_REDUCTION_SUM;
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(one, {18.3090897}, 1e-5);
    const auto each = {0.593183994, 0.0, 2.92130375, 3.07926726, 5.09318399, 1.04288268, 0.0, 5.57926702};
    params = CrossEntropy(all.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
    params.log_sum_exp = lse.poison().get();
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(all, each, 2e-6);
    ExpectValues(lse, {2.59318399, 3.29288268, 3.17130375, 2.82926726, 2.84318399, 3.54288268, 2.35969162, 3.07926726}, 2e-6);
    params = CrossEntropy(grid.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(grid, each, 2e-6);
    params = CrossEntropy(one.poison(), logits, labels, MO_LOSS_REDUCTION_MEAN);
    params.shift = true;
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(one, {2.97926569}, 2e-6);
  }
}

TEST_F(LossTest, CrossEntropyOfInfiniteLogitsIsThatOfPyTorch) {
  TestTensor logits(MO_DTYPE_FLOAT32, {5, 3}), labels(MO_DTYPE_INT32, {5}), loss(MO_DTYPE_FLOAT32, {5}),
      lse(MO_DTYPE_FLOAT32, {5});
  logits.fill_list({-kInf, -kInf, -kInf, -kInf, 0.5, -kInf, 1, -kInf, 2, kInf, 0, 1, kNan, 0, 1});
  mo_cross_entropy_params params = CrossEntropy(loss, logits, labels, MO_LOSS_REDUCTION_NONE);
  params.log_sum_exp = lse.get();
  labels.fill_list({0, 1, 1, 1, 1});
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
  ExpectValues(loss, {kNan, 0, kInf, kNan, kNan}, 0);
  ExpectValues(lse, {-kInf, 0.5, 2.31326175, kInf, kNan}, 1e-6);
  labels.fill_list({0, 0, 2, 0, 1});
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
  ExpectValues(loss, {kNan, kInf, 0.313261658, kNan, kNan}, 1e-6);
}

TEST_F(LossTest, CrossEntropyFindsNanAndInfinityInEveryBlockOfALongRow) {
  const int64_t classes = 5003;
  TestTensor logits(MO_DTYPE_FLOAT32, {1, classes}), labels(MO_DTYPE_INT64, {1}), loss(MO_DTYPE_FLOAT32, {1}),
      lse(MO_DTYPE_FLOAT32, {1});
  labels.fill_list({7});
  mo_cross_entropy_params params = CrossEntropy(loss, logits, labels, MO_LOSS_REDUCTION_NONE);
  params.log_sum_exp = lse.get();
  for (const int64_t at : {int64_t{0}, int64_t{1}, int64_t{2047}, int64_t{2048}, int64_t{4999}, classes - 1}) {
    SCOPED_TRACE(at);
    logits.fill_all(-kInf).set(at, kNan);
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
    ExpectValues(lse, {kNan}, 0);
    logits.fill_all(1).set(at, kNan);
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
    ExpectValues(lse, {kNan}, 0);
    logits.fill_all(1).set(at, kInf);
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
    ExpectValues(lse, {kInf}, 0);
    ExpectValues(loss, {kNan}, 0);
    logits.fill_all(-kInf).set(at, -3e38);  // one finite, as small as can be
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
    EXPECT_EQ(lse.at(0), -static_cast<double>(3e38f));
    logits.fill_all(-3e38).set(at, 3e38);
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
    EXPECT_EQ(lse.at(0), static_cast<double>(3e38f));
  }
}

TEST_F(LossTest, CrossEntropyOfEverySizeDtypeAndLayout) {
  const int64_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 127, 1000, 2047, 2048, 2049, 4099, 30522};
  for (const mo_dtype_t dtype : kFloats) {
    for (const int64_t classes : sizes) {
      SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " " + std::to_string(classes));
      const int64_t rows = classes > 5000 ? 3 : 11;
      TestTensor logits(dtype, {rows, classes}, Layout{.gap = classes % 5}),
          labels(MO_DTYPE_INT32, {rows}, Layout{.spread = 3}), loss(MO_DTYPE_FLOAT32, {rows}, Layout{.spread = 2}),
          lse(MO_DTYPE_FLOAT32, {rows}, Layout{.spread = 2});
      logits.fill_normal(random_, 6.0, 20.0);
      for (int64_t r = 0; r < rows; ++r)
        labels.set(r, r == 1 ? -100 : static_cast<double>(random_() % static_cast<uint64_t>(classes)));
      mo_cross_entropy_params params = CrossEntropy(loss.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
      params.log_sum_exp = lse.poison().get();
      ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
      double sum = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t label = static_cast<int64_t>(labels.at(r));
        double lse_reference;
        float lse_plain;
        const double reference = PlainRow<double>(logits, r, classes, label, &lse_reference);
        const float plain = PlainRow<float>(logits, r, classes, label, &lse_plain);
        ExpectAccurate(loss.at(r), reference, plain);
        ExpectAccurate(lse.at(r), lse_reference, lse_plain);
        sum += reference;
      }
      TestTensor mean(MO_DTYPE_FLOAT32, {1, 1});
      params = CrossEntropy(mean.poison(), logits, labels, MO_LOSS_REDUCTION_MEAN);
      ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
      EXPECT_NEAR(mean.at(0), sum / static_cast<double>(rows - 1), 3e-6 * std::max(1.0, sum));
    }
  }
}

TEST_F(LossTest, CrossEntropyShiftAndCompactAgainstTheUnshifted) {
  const int64_t batch = 3, length = 37, classes = 19;
  TestTensor logits(MO_DTYPE_FLOAT32, {batch, length, classes}, Layout{.gap = 2}),
      labels(MO_DTYPE_INT64, {batch, length}, Layout{.gap = 1, .spread = 2});
  logits.fill_normal(random_, 3.0);
  for (int64_t i = 0; i < labels.count(); ++i) labels.set(i, i % 4 == 1 ? 5 : static_cast<double>(random_() % classes));
  std::vector<double> expected;  // of the positions that have a label
  std::vector<bool> counts;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t s = 0; s + 1 < length; ++s) {
      double lse;
      const int64_t label = static_cast<int64_t>(labels.at(b * length + s + 1));
      counts.push_back(label != 5);
      expected.push_back(label == 5 ? 0 : PlainRow<double>(logits, b * length + s, classes, label, &lse));
    }
  }
  const int64_t valid = std::count(counts.begin(), counts.end(), true);
  TestTensor flat(MO_DTYPE_FLOAT32, {batch * (length - 1)}), grid(MO_DTYPE_FLOAT32, {batch, length}),
      compact(MO_DTYPE_FLOAT32, {valid + 3}, Layout{.spread = 2}), small(MO_DTYPE_FLOAT32, {valid - 1}),
      lse(MO_DTYPE_FLOAT32, {batch, length});
  mo_cross_entropy_params params = CrossEntropy(flat.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
  params.shift = true;
  params.ignore_index = 5;  // inside the vocabulary
  params.log_sum_exp = lse.poison().get();
  labels.set(0, 1e9);  // the first label of a sequence is not used, whatever it is
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t i = 0; i < flat.count(); ++i) EXPECT_NEAR(flat.at(i), expected[static_cast<size_t>(i)], 1e-5);
  for (int64_t i = 0; i < lse.count(); ++i) {
    double reference;
    PlainRow<double>(logits, i, classes, -1, &reference);
    EXPECT_NEAR(lse.at(i), reference, 1e-5);
  }
  params.loss = grid.poison().get();
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t s = 0; s < length; ++s)
      EXPECT_NEAR(grid.at(b * length + s), s + 1 == length ? 0 : expected[static_cast<size_t>(b * (length - 1) + s)], 1e-5);
  }
  params.reduction = MO_LOSS_REDUCTION_COMPACT;
  params.loss = compact.poison().get();
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
  int64_t next = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!counts[i]) continue;
    EXPECT_NEAR(compact.at(next++), expected[i], 1e-5);
  }
  EXPECT_EQ(next, valid);
  for (; next < compact.count(); ++next) EXPECT_TRUE(std::isnan(compact.at(next))) << "written past the last";
  if (!test_device_is_cpu()) return;  // only the CPU counts labels before it runs
  params.loss = small.poison().get();
  ExpectInvalid(test_cross_entropy(context_, &params),
                "room for " + std::to_string(valid - 1) + " of " + std::to_string(valid));
  for (int64_t i = 0; i < small.count(); ++i) EXPECT_TRUE(std::isnan(small.at(i)));
}

TEST_F(LossTest, CrossEntropyOfNothing) {
  TestTensor loss(MO_DTYPE_FLOAT32, std::vector<int64_t>{});
  for (const bool shift : {false, true}) {
    for (const std::vector<int64_t> &shape : {std::vector<int64_t>{0, 4, 5}, {3, 0, 5}, {3, 1, 5}}) {
      TestTensor logits(MO_DTYPE_FLOAT32, shape), labels(MO_DTYPE_INT64, {shape[0], shape[1]});
      labels.fill_all(-100);
      logits.fill_all(1);
      mo_cross_entropy_params params = CrossEntropy(loss, logits, labels, MO_LOSS_REDUCTION_MEAN);
      params.shift = shift;
      loss.fill_all(1);
      ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
      EXPECT_TRUE(std::isnan(loss.at(0)));
      params.reduction = MO_LOSS_REDUCTION_SUM;
      ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(loss.at(0), 0);
      TestTensor none(MO_DTYPE_FLOAT32, {shape[0], shape[1]});
      params = CrossEntropy(none.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
      params.shift = shift;
      ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
      for (int64_t i = 0; i < none.count(); ++i) EXPECT_EQ(none.at(i), 0);
    }
  }
  TestTensor logits(MO_DTYPE_FLOAT32, {2, 0}), labels(MO_DTYPE_INT64, {2}), lse(MO_DTYPE_FLOAT32, {2});
  labels.fill_all(-100);
  mo_cross_entropy_params params = CrossEntropy(loss, logits, labels, MO_LOSS_REDUCTION_SUM);
  params.log_sum_exp = lse.get();
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(lse, {-kInf, -kInf}, 0);
  if (!test_device_is_cpu()) return;  // only the CPU looks at labels before it runs
  labels.set(1, 0);
  ExpectInvalid(test_cross_entropy(context_, &params), "label 0");
}

TEST_F(LossTest, CrossEntropyIsTheSameFromRunToRun) {
  TestTensor logits(MO_DTYPE_FLOAT32, {257, 1021}), labels(MO_DTYPE_INT64, {257}),
      loss(MO_DTYPE_FLOAT32, std::vector<int64_t>{});
  logits.fill_normal(random_, 4);
  for (int64_t i = 0; i < 257; ++i) labels.set(i, static_cast<double>(random_() % 1021));
  mo_cross_entropy_params params = CrossEntropy(loss, logits, labels, MO_LOSS_REDUCTION_MEAN);
  ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
  const double first = loss.at(0);
  for (int run = 0; run < 20; ++run) {
    loss.poison();
    ASSERT_EQ(test_cross_entropy(context_, &params), MO_STATUS_OK);
    ASSERT_EQ(loss.at(0), first);
  }
}

TEST_F(LossTest, CrossEntropyRefuses) {
  TestTensor logits(MO_DTYPE_FLOAT32, {2, 3, 5}), labels(MO_DTYPE_INT64, {2, 3}), loss(MO_DTYPE_FLOAT32, {1}),
      rank1(MO_DTYPE_FLOAT32, {5}), spread(MO_DTYPE_FLOAT32, {2, 3, 5}, Layout{.spread = 2}), bytes(MO_DTYPE_UINT8, {2, 3, 5}),
      wrong_labels(MO_DTYPE_INT64, {3, 2}), float_labels(MO_DTYPE_FLOAT32, {2, 3}), half_loss(MO_DTYPE_FLOAT16, {1}),
      seven(MO_DTYPE_FLOAT32, {7}), broadcast(MO_DTYPE_FLOAT32, {2, 3}, std::vector<int64_t>{0, 1}),
      flat(MO_DTYPE_FLOAT32, {6, 5}), flat_labels(MO_DTYPE_INT64, {6}), column(MO_DTYPE_FLOAT32, {2, 3, 1});
  logits.fill_all(0);
  labels.fill_all(0);
  const mo_cross_entropy_params good = CrossEntropy(loss, logits, labels, MO_LOSS_REDUCTION_MEAN);
  ASSERT_EQ(test_cross_entropy(context_, &good), MO_STATUS_OK) << mo_last_error();
  loss.poison();
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_cross_entropy_params params = good;
    change(&params);
    ExpectInvalid(test_cross_entropy(context_, &params), "cross_entropy: ");
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_TRUE(std::isnan(loss.at(0)));
  };
  using P = mo_cross_entropy_params *;
  EXPECT_EQ(test_cross_entropy(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
  ExpectInvalid(test_cross_entropy(context_, nullptr), "NULL");
  refuse("struct_size", [](P p) { p->struct_size = 8; });
  refuse("reduction", [](P p) { p->reduction = static_cast<mo_loss_reduction_t>(4); });
  refuse("reduction", [](P p) { p->reduction = static_cast<mo_loss_reduction_t>(-1); });
  refuse("logits is NULL", [](P p) { p->logits = nullptr; });
  refuse("labels is NULL", [](P p) { p->labels = nullptr; });
  refuse("loss is NULL", [](P p) { p->loss = nullptr; });
  refuse("logits has rank 1", [&](P p) { p->logits = rank1.get(); });
  refuse("logits has stride 2", [&](P p) { p->logits = spread.get(); });
  refuse("uint8", [&](P p) { p->logits = bytes.get(); });
  refuse("labels has extent 3", [&](P p) { p->labels = wrong_labels.get(); });
  refuse("labels has rank 1", [&](P p) { p->labels = flat_labels.get(); });
  refuse("labels has dtype float32", [&](P p) { p->labels = float_labels.get(); });
  refuse("loss has dtype float16", [&](P p) { p->loss = half_loss.get(); });
  refuse("loss has 7 elements", [&](P p) { p->loss = seven.get(); });
  refuse("loss has extent 7", [&](P p) { p->loss = seven.get(), p->reduction = MO_LOSS_REDUCTION_NONE; });
  refuse("loss has rank 3", [&](P p) { p->loss = column.get(), p->reduction = MO_LOSS_REDUCTION_NONE; });
  refuse("loss has rank 2", [&](P p) { p->loss = broadcast.get(), p->reduction = MO_LOSS_REDUCTION_COMPACT; });
  if (test_device_is_cpu()) refuse("room for 1 of 6", [&](P p) { p->reduction = MO_LOSS_REDUCTION_COMPACT; });
  refuse("two elements at one address", [&](P p) { p->loss = broadcast.get(), p->reduction = MO_LOSS_REDUCTION_NONE; });
  refuse("two elements at one address", [&](P p) { p->log_sum_exp = broadcast.get(); });
  refuse("log_sum_exp has extent", [&](P p) { p->log_sum_exp = float_labels.get(), p->log_sum_exp = flat.get(); });
  refuse("log_sum_exp has rank 1", [&](P p) { p->log_sum_exp = seven.get(); });
  refuse("shift needs logits of rank 3", [&](P p) { p->logits = flat.get(), p->labels = flat_labels.get(), p->shift = true; });
  mo_tensor inside = *loss.get();
  inside.data = logits.get()->data;
  refuse("loss overlaps logits", [&](P p) { p->loss = &inside; });
  mo_tensor elsewhere = *logits.get();
  elsewhere.device = {MO_DEVICE_KIND_CUDA, 0};
  refuse("cuda:0", [&](P p) { p->logits = &elsewhere; });
  mo_tensor crooked = *loss.get();
  crooked.data = static_cast<char *>(crooked.data) + 1;
  refuse("not aligned", [&](P p) { p->loss = &crooked; });
  if (!test_device_is_cpu()) return;  // only the CPU looks at labels before it runs
  for (const double label : {-1.0, 5.0, -101.0, 1e12}) {
    labels.set(4, label);
    refuse("label " + std::to_string(static_cast<int64_t>(label)) + " at position 1 of sequence 1", [](P) {});
  }
}

mo_elementwise_loss_params Elementwise(const TestTensor &loss, const TestTensor &logits, const TestTensor &labels,
                                       mo_loss_reduction_t reduction) {
  mo_elementwise_loss_params params = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
  params.loss = loss.get();
  params.logits = logits.get();
  params.labels = labels.get();
  params.reduction = reduction;
  return params;
}

TEST_F(LossTest, ElementwiseValuesOfPyTorch) {
  TestTensor logits(MO_DTYPE_FLOAT32, {3, 4}), labels(MO_DTYPE_FLOAT32, {3, 4}), one(MO_DTYPE_FLOAT32, {1}),
      all(MO_DTYPE_FLOAT32, {3, 4});
  logits.fill_pattern(37, 23, 11, 0.25);
  labels.fill_list({0, 1, .5, 1, 0, 0, 1, .25, 0, 1, 1, 0});
  mo_elementwise_loss_params params = Elementwise(one, logits, labels, MO_LOSS_REDUCTION_MEAN);
  ASSERT_EQ(test_bce_with_logits_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(one, {0.829599202}, 1e-6);
  ASSERT_EQ(test_mse_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(one, {3.28125}, 1e-6);
  params.reduction = MO_LOSS_REDUCTION_SUM;
  ASSERT_EQ(test_mse_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(one, {39.375}, 1e-5);
  params = Elementwise(all.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
  ASSERT_EQ(test_bce_with_logits_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(all,
               {0.0619676113, 0.38687101, 0.951413274, 0.126928017, 0.575939417, 0.0788898468, 0.313261688, 0.564429045,
                2.35020661, 0.693147182, 2.35020661, 1.50192904},
               5e-7);
  TestTensor far(MO_DTYPE_FLOAT32, {5}), targets(MO_DTYPE_FLOAT32, {5}), losses(MO_DTYPE_FLOAT32, {5});
  far.fill_list({100, -100, 40, -40, 0});
  targets.fill_list({0, 1, 1, 0, .5});
  params = Elementwise(losses, far, targets, MO_LOSS_REDUCTION_NONE);
  ASSERT_EQ(test_bce_with_logits_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
  ExpectValues(losses, {100, 100, 4.24835413e-18, 4.24835413e-18, 0.693147182}, 1e-7);
  EXPECT_NEAR(losses.at(2), 4.24835413e-18, 1e-23);
}

TEST_F(LossTest, ElementwiseOfEverySizeDtypeAndLayout) {
  const std::vector<std::vector<int64_t>> shapes = {{},     {1},    {7},          {16}, {17},      {1023},   {1024},
                                                    {1025}, {3, 5}, {2, 3, 5, 7}, {0},  {4, 0, 3}, {41, 997}};
  for (const mo_dtype_t dtype : kFloats) {
    int64_t turn = dtype;
    for (const std::vector<int64_t> &shape : shapes) {
      ++turn;
      for (const int64_t spread : {1, 3}) {
        for (const bool wide_labels : {false, true}) {
          if (test_device_is_simulated() && (turn + spread / 2 + wide_labels) % 2 != 0) continue;  // of two one, in turn
          SCOPED_TRACE(std::string(mo_dtype_name(dtype)) + " rank " + std::to_string(shape.size()) + " spread " +
                       std::to_string(spread));
          TestTensor logits(dtype, shape, Layout{.gap = spread - 1, .spread = spread}),
              labels(wide_labels ? MO_DTYPE_FLOAT32 : dtype, shape, Layout{.spread = 4 - spread});
          TestTensor loss(MO_DTYPE_FLOAT32, shape, Layout{.spread = spread}), sum(MO_DTYPE_FLOAT32, std::vector<int64_t>{});
          logits.fill_normal(random_, 5);
          std::uniform_real_distribution<double> uniform;
          for (int64_t i = 0; i < labels.count(); ++i) labels.set(i, uniform(random_));
          for (const bool bce : {true, false}) {
            const auto op = bce ? test_bce_with_logits_loss : test_mse_loss;
            mo_elementwise_loss_params params = Elementwise(loss.poison(), logits, labels, MO_LOSS_REDUCTION_NONE);
            ASSERT_EQ(op(context_, &params), MO_STATUS_OK) << mo_last_error();
            double total = 0;
            for (int64_t i = 0; i < loss.count(); ++i) {
              const double x = logits.at(i), z = labels.at(i);
              const double reference = bce ? std::max(x, 0.0) - x * z + std::log1p(std::exp(-std::abs(x))) : (x - z) * (x - z);
              const float xf = static_cast<float>(x), zf = static_cast<float>(z);
              const float plain =
                  bce ? std::max(xf, 0.0f) - xf * zf + std::log1p(std::exp(-std::abs(xf))) : (xf - zf) * (xf - zf);
              ExpectAccurate(loss.at(i), reference, plain);
              total += reference;
            }
            params = Elementwise(sum.poison(), logits, labels, MO_LOSS_REDUCTION_SUM);
            ASSERT_EQ(op(context_, &params), MO_STATUS_OK) << mo_last_error();
            EXPECT_NEAR(sum.at(0), total, 1e-6 * std::max(1.0, total));
            params.reduction = MO_LOSS_REDUCTION_MEAN;
            ASSERT_EQ(op(context_, &params), MO_STATUS_OK) << mo_last_error();
            ExpectNearOrSame(sum.at(0), total / static_cast<double>(loss.count()), 2e-6 * std::max(1.0, total));
          }
        }
      }
    }
  }
}

TEST_F(LossTest, ElementwiseRefuses) {
  TestTensor logits(MO_DTYPE_FLOAT16, {2, 3}), labels(MO_DTYPE_FLOAT32, {2, 3}), loss(MO_DTYPE_FLOAT32, {1}),
      two(MO_DTYPE_FLOAT32, {2}), brain(MO_DTYPE_BFLOAT16, {2, 3}), ids(MO_DTYPE_INT64, {2, 3}),
      other(MO_DTYPE_FLOAT32, {3, 2}), five(MO_DTYPE_FLOAT32, {1, 1, 1, 2, 3});
  const mo_elementwise_loss_params good = Elementwise(loss, logits, labels, MO_LOSS_REDUCTION_MEAN);
  using P = mo_elementwise_loss_params *;
  for (const auto op : {test_bce_with_logits_loss, test_mse_loss}) {
    const std::string name = op == test_mse_loss ? "mse_loss: " : "bce_with_logits_loss: ";
    ASSERT_EQ(op(context_, &good), MO_STATUS_OK) << mo_last_error();
    const auto refuse = [&](const std::string &part, auto change) {
      SCOPED_TRACE(part);
      mo_elementwise_loss_params params = good;
      change(&params);
      ExpectInvalid(op(context_, &params), name);
      EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    };
    ExpectInvalid(op(context_, nullptr), "NULL");
    refuse("struct_size", [](P p) { p->struct_size = 0; });
    refuse("reduction 3", [](P p) { p->reduction = MO_LOSS_REDUCTION_COMPACT; });
    refuse("labels has dtype bfloat16", [&](P p) { p->labels = brain.get(); });
    refuse("labels has dtype int64", [&](P p) { p->labels = ids.get(); });
    refuse("labels has extent 3", [&](P p) { p->labels = other.get(); });
    refuse("logits has rank 5", [&](P p) { p->logits = five.get(); });
    refuse("loss has 2 elements", [&](P p) { p->loss = two.get(); });
    refuse("loss has rank 1", [&](P p) { p->reduction = MO_LOSS_REDUCTION_NONE; });
    refuse("loss overlaps labels", [&](P p) { p->loss = labels.get(), p->reduction = MO_LOSS_REDUCTION_NONE; });
  }
}

mo_span_loss_params Span(const TestTensor &loss, const mo_tensor *starts, const mo_tensor *ends,
                         const TestTensor &start_positions, const TestTensor &end_positions, mo_loss_reduction_t reduction) {
  mo_span_loss_params params = MO_SPAN_LOSS_PARAMS_INIT;
  params.loss = loss.get();
  params.start_logits = starts;
  params.end_logits = ends;
  params.start_positions = start_positions.get();
  params.end_positions = end_positions.get();
  params.reduction = reduction;
  return params;
}

TEST_F(LossTest, SpanValuesOfPyTorchOnAViewOfBothLogits) {
  for (const mo_dtype_t dtype : kFloats) {
    SCOPED_TRACE(mo_dtype_name(dtype));
    TestTensor both(dtype, {3, 5, 2}), starts(MO_DTYPE_INT64, {3, 1}), ends(MO_DTYPE_INT32, {3}),
        loss(MO_DTYPE_FLOAT32, std::vector<int64_t>{}), each(MO_DTYPE_FLOAT32, {3}, Layout{.spread = 2});
    both.fill_pattern(41, 29, 14, 0.25);
    mo_tensor views[2];
    for (int side = 0; side < 2; ++side) {
      views[side] = *both.get();
      views[side].rank = 2;
      views[side].data = static_cast<char *>(both.get()->data) + static_cast<size_t>(side) * mo_dtype_bytes(dtype);
    }
    starts.fill_list({1, -3, 9});
    ends.fill_list({4, 5, 0});
    mo_span_loss_params params = Span(loss.poison(), &views[0], &views[1], starts, ends, MO_LOSS_REDUCTION_MEAN);
    ASSERT_EQ(test_span_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(loss, {2.13359761}, 2e-6);
    params = Span(each.poison(), &views[0], &views[1], starts, ends, MO_LOSS_REDUCTION_NONE);
    ASSERT_EQ(test_span_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
    // By the definition: examples 0 and 1 have a start, 0 and 2 an end.
    const auto row_loss = [&](int64_t b, int64_t side, int64_t target) {
      double sum = 0;
      for (int64_t s = 0; s < 5; ++s) sum += std::exp(both.at((b * 5 + s) * 2 + side));
      return std::log(sum) - both.at((b * 5 + target) * 2 + side);
    };
    ExpectValues(each, {(row_loss(0, 0, 1) + row_loss(0, 1, 4)) / 2, row_loss(1, 0, 0) / 2, row_loss(2, 1, 0) / 2}, 2e-6);
    starts.fill_list({7, 8, 9});
    params = Span(loss, &views[0], &views[1], starts, ends, MO_LOSS_REDUCTION_MEAN);
    ASSERT_EQ(test_span_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
    ExpectValues(loss, {kNan}, 0);
  }
}

TEST_F(LossTest, SpanOfLongRowsAndOfNothing) {
  for (const int64_t length : {int64_t{1}, int64_t{2}, int64_t{17}, int64_t{384}, int64_t{4097}}) {
    const int64_t batch = 9;
    TestTensor a(MO_DTYPE_FLOAT32, {batch, length}, Layout{.spread = 2}),
        b(MO_DTYPE_FLOAT32, {batch, length}, Layout{.gap = 3}), starts(MO_DTYPE_INT64, {batch}),
        ends(MO_DTYPE_INT64, {batch}, Layout{.spread = 2}), loss(MO_DTYPE_FLOAT32, {1});
    a.fill_normal(random_, 3);
    b.fill_normal(random_, 3);
    double total[2] = {0, 0};
    int64_t valid[2] = {0, 0};
    for (int64_t i = 0; i < batch; ++i) {
      TestTensor *targets[2] = {&starts, &ends};
      for (int side = 0; side < 2; ++side) {
        const int64_t target = i == 4 ? length : static_cast<int64_t>(random_() % static_cast<uint64_t>(length));
        targets[side]->set(i, static_cast<double>(target));
        if (target == length) continue;
        double lse;
        total[side] += PlainRow<double>(side ? b : a, i, length, target, &lse);
        ++valid[side];
      }
    }
    mo_span_loss_params params = Span(loss.poison(), a.get(), b.get(), starts, ends, MO_LOSS_REDUCTION_MEAN);
    ASSERT_EQ(test_span_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
    const double expected = (total[0] / static_cast<double>(valid[0]) + total[1] / static_cast<double>(valid[1])) / 2;
    EXPECT_NEAR(loss.at(0), expected, 2e-6 * std::max(1.0, expected));
  }
  TestTensor empty(MO_DTYPE_FLOAT32, {2, 0}), zero(MO_DTYPE_INT64, {2}), loss(MO_DTYPE_FLOAT32, {1});
  zero.fill_all(0);
  mo_span_loss_params params = Span(loss, empty.get(), empty.get(), zero, zero, MO_LOSS_REDUCTION_MEAN);
  ASSERT_EQ(test_span_loss(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(std::isnan(loss.at(0)));
}

TEST_F(LossTest, SpanRefuses) {
  TestTensor logits(MO_DTYPE_FLOAT32, {2, 5}), half(MO_DTYPE_FLOAT16, {2, 5}), wide(MO_DTYPE_FLOAT32, {2, 6}),
      positions(MO_DTYPE_INT64, {2}), three(MO_DTYPE_INT64, {3}), pairs(MO_DTYPE_INT64, {2, 2}), floats(MO_DTYPE_FLOAT32, {2}),
      loss(MO_DTYPE_FLOAT32, {1});
  const mo_span_loss_params good = Span(loss, logits.get(), logits.get(), positions, positions, MO_LOSS_REDUCTION_MEAN);
  ASSERT_EQ(test_span_loss(context_, &good), MO_STATUS_OK) << mo_last_error();
  using P = mo_span_loss_params *;
  const auto refuse = [&](const std::string &part, auto change) {
    SCOPED_TRACE(part);
    mo_span_loss_params params = good;
    change(&params);
    ExpectInvalid(test_span_loss(context_, &params), "span_loss: ");
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
  };
  ExpectInvalid(test_span_loss(context_, nullptr), "NULL");
  refuse("struct_size", [](P p) { p->struct_size = 1; });
  refuse("reduction 1", [](P p) { p->reduction = MO_LOSS_REDUCTION_SUM; });
  refuse("reduction 3", [](P p) { p->reduction = MO_LOSS_REDUCTION_COMPACT; });
  refuse("end_logits has dtype float16", [&](P p) { p->end_logits = half.get(); });
  refuse("end_logits has extent 6", [&](P p) { p->end_logits = wide.get(); });
  refuse("start_positions has extent 3", [&](P p) { p->start_positions = three.get(); });
  refuse("end_positions has extent 2", [&](P p) { p->end_positions = pairs.get(); });
  refuse("end_positions has dtype float32", [&](P p) { p->end_positions = floats.get(); });
  refuse("start_logits is NULL", [](P p) { p->start_logits = nullptr; });
  refuse("loss has extent 1", [](P p) { p->reduction = MO_LOSS_REDUCTION_NONE; });
  refuse("loss has 2 elements", [&](P p) { p->loss = floats.get(); });
  mo_tensor inside = *loss.get();
  inside.data = logits.get()->data;
  refuse("loss overlaps start_logits", [&](P p) { p->loss = &inside; });
}

}  // namespace
