/* tests/simulated_device/traffic_results_test.cc - memory traffic of what stands at the end of a model: pooling, losses, top-k,
 * sampling.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <algorithm>

#include "tests/simulated_device/traffic_case.h"

namespace simulated {
namespace {

constexpr mo_dtype_t kFloat = MO_DTYPE_FLOAT32, kHalf = MO_DTYPE_FLOAT16, kBrain = MO_DTYPE_BFLOAT16;

/* ---- Pooling ---- */

class TrafficPooling : public TrafficCase {
 protected:
  static constexpr int64_t kBatch = 3, kChannels = 256;

  /* Padding on the right, on the left, and holes. */
  void Prepare(mo_dtype_t dtype, int64_t length, mo_pooling_mode_t mode) {
    length_ = length;
    row_ = static_cast<uint64_t>(kChannels) * mo_dtype_bytes(dtype);
    valid_.assign(static_cast<size_t>(kBatch * length), 0);
    for (int64_t s = 0; s < length; ++s) {
      valid_[static_cast<size_t>(s)] = s < length / 2;
      valid_[static_cast<size_t>(length + s)] = s >= length / 3;
      valid_[static_cast<size_t>(2 * length + s)] = s % 3 != 1;
    }
    input_ = &Random("input", dtype, {kBatch, length, kChannels});
    output_ = &Empty("output", dtype, {kBatch, mode == MO_POOLING_MEAN_STD ? 2 * kChannels : kChannels});
    mask_ = &Values("mask", MO_DTYPE_UINT8, {kBatch, length}, valid_);
    p_ = MO_POOLING_PARAMS_INIT;
    p_.mode = mode, p_.output = *output_, p_.input = *input_, p_.mask = *mask_;
  }
  void Run() {
    Count([&] { return mo_pooling(context_, &p_); });
    ExpectWrittenInPieces(*output_); /* a line or two per sequence */
  }
  void ExpectValidTokensReadOnce() {
    for (size_t token = 0; token < valid_.size(); ++token) {
      ASSERT_EQ(Of(*input_, token * row_, row_).read, valid_[token] != 0 ? row_ : 0u)
          << "token " << token % static_cast<size_t>(length_) << " of sequence " << token / static_cast<size_t>(length_);
    }
  }

  int64_t length_ = 0;
  uint64_t row_ = 0;
  std::vector<uint8_t> valid_;
  DeviceTensor *input_ = nullptr, *output_ = nullptr, *mask_ = nullptr;
  mo_pooling_params p_ = MO_POOLING_PARAMS_INIT;
};

TEST_F(TrafficPooling, MaskedTokensAreNotReadAndValidOnesOnce) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    for (const mo_pooling_mode_t mode : {MO_POOLING_MEAN, MO_POOLING_MAX, MO_POOLING_MEAN_STD}) {
      SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " mode " << static_cast<int>(mode));
      Prepare(dtype, 96, mode);
      Run();
      ExpectOneLaunch();
      ExpectNoScratch();
      ExpectWritten(*output_);
      ExpectValidTokensReadOnce();
      ExpectRead(*mask_, row_ / 512); /* once per strip of 512 bytes of channels */
    }
  }
}

TEST_F(TrafficPooling, SequencesInPartsAreReadOnceToo) {
  for (const mo_pooling_mode_t mode : {MO_POOLING_MEAN, MO_POOLING_MEAN_STD}) {
    Prepare(kFloat, 160, mode); /* two parts of 80 tokens, joined by a second launch */
    Run();
    EXPECT_EQ(Launches(), 2u) << Kernels();
    ExpectValidTokensReadOnce();
    const uint64_t values = mode == MO_POOLING_MEAN_STD ? 2 * kChannels : kChannels, parts = 2 * kBatch;
    EXPECT_EQ(Rest().written, parts * (1 + values) * 4);
    /* Mean and deviation each join mean and squares; the counts are read by every warp. */
    ExpectScratch(parts * (1 + values) * 4, (mode == MO_POOLING_MEAN_STD ? 2 : 1) * parts * (1 + values) * 4 + parts * 16 * 4);
  }
}

TEST_F(TrafficPooling, LastReadsOneTokenOfEachSequence) {
  Prepare(kBrain, 96, MO_POOLING_LAST);
  Run();
  ExpectOneLaunch();
  ExpectNoScratch();
  EXPECT_EQ(Of(*input_).read, kBatch * row_);
  const uint64_t last[] = {47, 95, 95};
  for (uint64_t b = 0; b < kBatch; ++b) EXPECT_EQ(Of(*input_, (b * 96 + last[b]) * row_, row_).read, row_) << b;
  ExpectRead(*mask_);
}

TEST_F(TrafficPooling, FirstTokenDenseAndTanhAreOneLaunch) {
  for (const int64_t batch : {1, 2, 16}) {
    constexpr int64_t length = 12, channels = 256, features = 128;
    DeviceTensor &input = Random("input", kBrain, {batch, length, channels});
    DeviceTensor &weight = Random("weight", kBrain, {features, channels}), &bias = Random("bias", kBrain, {features});
    DeviceTensor &output = Empty("output", kBrain, {batch, features});
    mo_pooling_params p = MO_POOLING_PARAMS_INIT;
    p.mode = MO_POOLING_FIRST, p.output = output, p.input = input, p.weight = weight, p.bias = bias;
    Count([&] { return mo_pooling(context_, &p); });
    ExpectOneLaunch();
    ExpectNoScratch();
    ExpectRead(weight, batch > 8 ? 2 : 1); /* once per eight sequences */
    ExpectWrittenInPieces(output);
    constexpr uint64_t row = channels * 2;
    EXPECT_EQ(Of(input).read_distinct, static_cast<uint64_t>(batch) * row) << "first tokens only";
    for (uint64_t b = 0; b < static_cast<uint64_t>(batch); ++b) EXPECT_EQ(Of(input, (b * length + 1) * row, row).read, 0u);
  }
}

/* ---- Losses ---- */

class TrafficCrossEntropy : public TrafficCase {
 protected:
  /* Every position once, and the label's logit once more. Rows of `ignored` labels: not at all, unless their sum is wanted. */
  void Run(mo_dtype_t dtype, int64_t positions, int64_t vocabulary, bool sums, uint64_t scratch, size_t launches) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " " << positions << " x " << vocabulary);
    std::vector<int64_t> labels(static_cast<size_t>(positions));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 3 == 1 ? -100 : static_cast<int64_t>(i * 37) % vocabulary;
    DeviceTensor &logits = Random("logits", dtype, {positions, vocabulary}), &loss = Empty("loss", kFloat, {1});
    DeviceTensor &label = Values("labels", MO_DTYPE_INT64, {positions}, labels);
    DeviceTensor &log_sum_exp = Empty("log_sum_exp", kFloat, {positions});
    mo_cross_entropy_params p = MO_CROSS_ENTROPY_PARAMS_INIT;
    p.loss = loss, p.logits = logits, p.labels = label;
    if (sums) p.log_sum_exp = log_sum_exp;
    Count([&] { return mo_cross_entropy(context_, &p); });
    EXPECT_EQ(Launches(), launches) << Kernels();
    const uint64_t element = mo_dtype_bytes(dtype), row = static_cast<uint64_t>(vocabulary) * element;
    for (size_t i = 0; i < labels.size(); ++i) {
      const bool counts = labels[i] != -100;
      EXPECT_EQ(Of(logits, i * row, row).read, counts ? row + element : sums ? row : 0) << "position " << i;
      EXPECT_EQ(Of(logits, i * row, row).read_distinct, counts || sums ? row : 0) << "position " << i;
    }
    ExpectWrittenInPieces(loss);
    if (sums) ExpectWrittenInPieces(log_sum_exp);
    EXPECT_EQ(Rest().written, scratch);
    ExpectScratch(scratch, scratch);
  }
};

TEST_F(TrafficCrossEntropy, LogitsAreReadOnce) {
  Run(kFloat, 7, 1000, false, 7 * 4, 2); /* a loss of four bytes per position waits for the mean */
  Run(kBrain, 7, 1003, true, 7 * 4, 2);  /* rows that do not begin at 16 bytes */
  Run(kFloat, 4, 30522, false, 4 * 4, 2);
}

TEST_F(TrafficCrossEntropy, RowsInPartsAreReadOnceToo) {
  /* Two positions do not fill the card: two parts each, a maximum and a sum per part. */
  Run(kBrain, 2, 16384, true, 2 * 4 + 2 * 2 * 8, 3);
}

TEST_F(TrafficCase, ElementwiseLossesReadLogitsAndLabelsOnce) {
  for (const bool square : {false, true}) {
    for (const bool each : {false, true}) {
      DeviceTensor &logits = Random("logits", kHalf, {9, 512}), &labels = Random("labels", kFloat, {9, 512});
      DeviceTensor &loss = each ? Empty("losses", kFloat, {9, 512}) : Empty("loss", kFloat, {1});
      mo_elementwise_loss_params p = MO_ELEMENTWISE_LOSS_PARAMS_INIT;
      p.loss = loss, p.logits = logits, p.labels = labels;
      p.reduction = each ? MO_LOSS_REDUCTION_NONE : MO_LOSS_REDUCTION_MEAN;
      Count([&] { return square ? mo_mse_loss(context_, &p) : mo_bce_with_logits_loss(context_, &p); });
      EXPECT_EQ(Launches(), each ? 1u : 2u) << Kernels();
      ExpectRead(logits);
      ExpectRead(labels);
      if (each) ExpectWritten(loss);
      else ExpectWrittenInPieces(loss);
      ExpectScratch(9 * 512 / 2048 * 4 + 4, 9 * 512 / 2048 * 4 + 4); /* a sum per block of 256 threads with eight values each */
    }
  }
}

TEST_F(TrafficCase, SpanLossReadsBothColumnsOnce) {
  constexpr int64_t batch = 3, length = 70;
  DeviceTensor &logits = Random("logits", kBrain, {batch, length, 2}), &loss = Empty("loss", kFloat, {1});
  mo_tensor sides[2];
  for (int64_t side = 0; side < 2; ++side) {
    const int64_t shape[] = {batch, length}, strides[] = {length * 2, 2};
    ASSERT_EQ(mo_tensor_init_strided(&sides[side], static_cast<char *>(logits.tensor.data) + 2 * side, kBrain,
                                     logits.tensor.device, 2, shape, strides),
              MO_STATUS_OK);
  }
  DeviceTensor &starts = Values("starts", MO_DTYPE_INT64, {batch}, std::vector<int64_t>{3, 500, 69});
  DeviceTensor &ends = Values("ends", MO_DTYPE_INT64, {batch}, std::vector<int64_t>{5, 500, 0});
  mo_span_loss_params p = MO_SPAN_LOSS_PARAMS_INIT;
  p.loss = loss, p.start_logits = &sides[0], p.end_logits = &sides[1], p.start_positions = starts, p.end_positions = ends;
  Count([&] { return mo_span_loss(context_, &p); });
  EXPECT_EQ(Launches(), 2u) << Kernels();
  constexpr uint64_t example = length * 2 * 2;
  for (const uint64_t b : {0, 2})
    EXPECT_EQ(Of(logits, b * example, example).read, example + 2 * 2) << "and the two labels' logits";
  EXPECT_EQ(Of(logits, example, example).read, 0u) << "the example without a span";
  ExpectScratch(2 * batch * 4, 2 * batch * 4);
}

/* ---- Top-k ---- */

class TrafficTopk : public TrafficCase {
 protected:
  /* `reads` of each row, and the k values once more. */
  void Run(mo_dtype_t dtype, int64_t rows, int64_t columns, int64_t k, uint64_t reads, size_t launches) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " " << rows << " x " << columns << ", " << k);
    DeviceTensor &input = Random("input", dtype, {rows, columns}), &values = Empty("values", dtype, {rows, k});
    DeviceTensor &indices = Empty("indices", MO_DTYPE_INT64, {rows, k});
    mo_topk_params p = MO_TOPK_PARAMS_INIT;
    p.values = values, p.indices = indices, p.input = input;
    Count([&] { return mo_topk(context_, &p); });
    EXPECT_EQ(Launches(), launches) << Kernels();
    EXPECT_EQ(Of(input).read, reads * input.bytes() + values.bytes());
    EXPECT_EQ(Of(input).read_distinct, input.bytes());
    ExpectWrittenInPieces(values);
    ExpectWrittenInPieces(indices);
  }
};

TEST_F(TrafficTopk, RowsOfOneSegmentAreReadOnceWithoutScratch) {
  Run(kFloat, 3, 1000, 5, 1, 1);
  ExpectNoScratch();
  Run(kBrain, 1, 9001, 50, 1, 1);
  ExpectNoScratch();
}

TEST_F(TrafficTopk, LongRowsAreReadOnceAndTheirSegmentsCandidatesAFewTimes) {
  constexpr uint64_t segments = (40000 + 8191) / 8192, candidates = segments * 8 * 8; /* short enough to fill the card */
  Run(kFloat, 1, 40000, 8, 1, 2);
  EXPECT_EQ(Rest().written, candidates);
  ExpectScratch(candidates, 5 * candidates); /* a histogram per digit (three), and twice to choose */
}

TEST_F(TrafficTopk, LargeKReadsTheRowOncePerDigitAndTwiceMore) {
  Run(kFloat, 1, 5000, 2100, 5, 1);
  Run(kBrain, 1, 5000, 2100, 4, 1);
}

/* ---- Sampling ---- */

class TrafficSampling : public TrafficCase {
 protected:
  /* Reads of the logits, in rows. */
  void Run(mo_dtype_t dtype, int64_t vocabulary, const std::function<void(mo_sampling_params *)> &choose, uint64_t least,
           uint64_t most, bool keeps_scores = false) {
    DeviceTensor &logits = Random("logits", dtype, {2, vocabulary}), &tokens = Empty("tokens", MO_DTYPE_INT64, {2});
    DeviceTensor &scores = Empty("scores", kFloat, {2, vocabulary});
    mo_sampling_params p = MO_SAMPLING_PARAMS_INIT;
    p.tokens = tokens, p.logits = logits, p.seed = 7;
    if (keeps_scores) p.scores = scores;
    choose(&p);
    Count([&] { return mo_sample(context_, &p); });
    ExpectOneLaunch();
    ExpectNoScratch();
    ExpectWrittenInPieces(tokens);
    EXPECT_EQ(Of(logits).read_distinct, logits.bytes());
    EXPECT_GE(Of(logits).read, least * logits.bytes());
    EXPECT_LE(Of(logits).read, most * logits.bytes() + 2 * mo_dtype_bytes(dtype)) << "and the chosen token's logit";
    if (keeps_scores) ExpectWrittenInPieces(scores);
    else ExpectUntouched(scores);
  }
};

TEST_F(TrafficSampling, GreedyReadsTheLogitsOnce) {
  for (const mo_dtype_t dtype : {kFloat, kBrain})
    Run(
        dtype, 8192, [](mo_sampling_params *) {}, 1, 1);
}

TEST_F(TrafficSampling, ADrawReadsThemTwiceAndTheDrawnPartAgain) {
  /* A warp of sixteen has a sixteenth of the row: below three reads in any case. */
  Run(
      kFloat, 8192, [](mo_sampling_params *p) { p->temperature = 0.8f; }, 2, 3);
  Run(
      kBrain, 8192, [](mo_sampling_params *p) { p->temperature = 1.0f, p->min_p = 0.01f; }, 2, 3);
}

TEST_F(TrafficSampling, KeptScoresAreWrittenOnce) {
  Run(
      kFloat, 8192, [](mo_sampling_params *) {}, 1, 2, true);
  Run(
      kBrain, 16384, [](mo_sampling_params *p) { p->temperature = 1.0f, p->top_k = 50; }, 2, 3, true);
}

TEST_F(TrafficSampling, FiltersWhoseCandidatesFitReadThemTwice) {
  Run(
      kFloat, 16384, [](mo_sampling_params *p) { p->temperature = 1.0f, p->top_k = 50; }, 2, 2);
  Run(
      kBrain, 16384, [](mo_sampling_params *p) { p->temperature = 1.0f, p->top_p = 0.1f; }, 2, 2);
}

}  // namespace
}  // namespace simulated
