/* tests/simulated_device/traffic_rows_test.cc - memory traffic of the kernels that work row by row: softmax, norms, embedding,
 * gate, linear epilogue, position bias, rotary embedding. Each states the bytes of its floor, from the shape.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/simulated_device/traffic_case.h"

namespace simulated {
namespace {

constexpr mo_dtype_t kFloat = MO_DTYPE_FLOAT32, kHalf = MO_DTYPE_FLOAT16, kBrain = MO_DTYPE_BFLOAT16;

/* ---- Softmax ---- */

class TrafficSoftmax : public TrafficCase {
 protected:
  void Run(const DeviceTensor &output, const DeviceTensor &input, const mo_tensor *mask = nullptr,
           const mo_tensor *bias = nullptr, bool causal = false) {
    mo_softmax_params p = MO_SOFTMAX_PARAMS_INIT;
    p.output = output, p.input = input, p.mask = mask, p.bias = bias, p.causal = causal;
    Count([&] { return mo_softmax(context_, &p); });
    ExpectOneLaunch();
    ExpectNoScratch();
  }
};

TEST_F(TrafficSoftmax, RowsInRegistersAreReadOnceAndWrittenOnce) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    for (const int64_t columns : {64, 1024, 8192}) {
      SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " " << columns);
      DeviceTensor &input = Random("input", dtype, {5, columns}), &output = Empty("output", dtype, {5, columns});
      Run(output, input);
      ExpectRead(input);
      ExpectWritten(output);
    }
  }
}

TEST_F(TrafficSoftmax, RowsInSharedMemoryAreReadOnce) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) { /* over the 16384 columns of 512 threads' registers */
    DeviceTensor &input = Random("input", dtype, {2, 24576}), &output = Empty("output", dtype, {2, 24576});
    Run(output, input);
    ExpectRead(input);
    ExpectWritten(output);
  }
}

TEST_F(TrafficSoftmax, RowsLongerThanSharedMemoryAreReadTwice) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) { /* over 227 KiB of float32 */
    DeviceTensor &input = Random("input", dtype, {1, 61440}), &output = Empty("output", dtype, {1, 61440});
    Run(output, input);
    ExpectRead(input, 2);
    ExpectWritten(output);
  }
}

TEST_F(TrafficSoftmax, RowsOfOddLengthAreReadOnceToo) {
  DeviceTensor &input = Random("input", kHalf, {6, 333}), &output = Empty("output", kHalf, {6, 333});
  Run(output, input);
  ExpectRead(input);
  ExpectWrittenInPieces(output);
}

TEST_F(TrafficSoftmax, WhatCausalityHidesIsNotRead) {
  constexpr int64_t rows = 64;
  DeviceTensor &input = Random("input", kFloat, {2, rows, rows}), &output = Empty("output", kFloat, {2, rows, rows});
  Run(output, input, nullptr, nullptr, true);
  for (int64_t row = 0; row < rows; ++row) { /* whole vectors of 16 bytes up to the diagonal */
    const uint64_t visible = static_cast<uint64_t>(row / 4 + 1) * 16, start = static_cast<uint64_t>(row * rows) * 4;
    EXPECT_EQ(Of(input, start, rows * 4).read, visible);
    EXPECT_EQ(Of(input, start + visible, rows * 4 - visible).read, 0u);
  }
  ExpectWritten(output);
}

TEST_F(TrafficSoftmax, MaskAndBiasAreReadOnceWhereTheyAreNotBroadcast) {
  DeviceTensor &input = Random("input", kBrain, {2, 3, 256}), &output = Empty("output", kBrain, {2, 3, 256});
  DeviceTensor &bias = Random("bias", kBrain, {2, 3, 256});
  DeviceTensor &mask = Values("mask", MO_DTYPE_BOOL, {2, 1, 256}, std::vector<uint8_t>(2 * 256, 1));
  Run(output, input, mask, bias);
  ExpectRead(input);
  ExpectRead(bias);
  ExpectRead(mask, 3);
  ExpectWritten(output);
}

TEST_F(TrafficSoftmax, InPlace) {
  DeviceTensor &input = Random("input", kFloat, {4, 512});
  Run(input, input);
  EXPECT_EQ(Of(input).read, input.bytes());
  EXPECT_EQ(Of(input).written, input.bytes());
  EXPECT_EQ(Of(input).whole_line_writes, input.bytes() / 128);
}

/* ---- Norms ---- */

class TrafficNorm : public TrafficCase {
 protected:
  /* `reads`: of input and residual. */
  void Run(mo_dtype_t dtype, int64_t rows, int64_t columns, bool rms, uint64_t reads) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(dtype) << " " << rows << " x " << columns << (rms ? " rms" : " layer"));
    DeviceTensor &input = Random("input", dtype, {rows, columns}), &residual = Random("residual", dtype, {rows, columns});
    DeviceTensor &input_bias = Random("input_bias", dtype, {columns}), &weight = Random("weight", dtype, {columns});
    DeviceTensor &sum = Empty("sum", dtype, {rows, columns}), &output = Empty("output", dtype, {rows, columns});
    mo_norm_params p = MO_NORM_PARAMS_INIT;
    p.output = output, p.sum = sum, p.input = input, p.residual = residual, p.input_bias = input_bias, p.weight = weight;
    p.epsilon = 1e-5f;
    Count([&] { return rms ? mo_rms_norm(context_, &p) : mo_layer_norm(context_, &p); });
    ExpectOneLaunch();
    ExpectRead(input, reads);
    ExpectRead(residual, reads);
    ExpectRead(input_bias, reads * static_cast<uint64_t>(rows));
    ExpectRead(weight, static_cast<uint64_t>(rows));
    ExpectWritten(sum);
    ExpectWritten(output);
    ExpectNoScratch();
  }
};

TEST_F(TrafficNorm, ResidualAndSumInTheSamePass) {
  for (const bool rms : {false, true}) {
    Run(kFloat, 5, 256, rms, 1); /* several rows a block, and not all of them filled */
    Run(kBrain, 3, 768, rms, 1);
    Run(kBrain, 2, 8192, rms, 1); /* one row a block */
  }
}

TEST_F(TrafficNorm, RowsThatRegistersCannotHoldAreReadOncePerStatisticAndOnceMore) {
  Run(kFloat, 1, 20480, false, 3);
  Run(kFloat, 1, 20480, true, 2);
}

/* ---- Embedding ---- */

TEST_F(TrafficCase, EmbeddingReadsTheRowsOfItsIds) {
  constexpr int64_t batch = 2, length = 24, columns = 256, vocabulary = 500, positions = 40;
  DeviceTensor &word = Random("word", kBrain, {vocabulary, columns}),
               &output = Empty("output", kBrain, {batch, length, columns});
  DeviceTensor &position = Random("position", kBrain, {positions, columns}), &type = Random("type", kBrain, {2, columns});
  DeviceTensor &weight = Random("weight", kBrain, {columns}), &bias = Random("bias", kBrain, {columns});
  std::vector<int64_t> ids(batch * length);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i) * 7 % vocabulary; /* all different */
  DeviceTensor &id = Values("ids", MO_DTYPE_INT64, {batch, length}, ids);
  mo_embedding_params p = MO_EMBEDDING_PARAMS_INIT;
  p.output = output, p.ids = id, p.word = word, p.position = position, p.type = type;
  p.norm_weight = weight, p.norm_bias = bias, p.epsilon = 1e-12f;
  Count([&] { return mo_embedding(context_, &p); });
  ExpectOneLaunch();
  ExpectNoScratch();
  ExpectWritten(output);
  ExpectRead(id);
  constexpr uint64_t row = columns * 2;
  EXPECT_EQ(Of(word).read, batch * length * row);
  EXPECT_EQ(Of(word).read_distinct, batch * length * row);
  for (const int64_t used : ids) EXPECT_EQ(Of(word, static_cast<uint64_t>(used) * row, row).read, row);
  EXPECT_EQ(Of(position).read, batch * length * row);
  EXPECT_EQ(Of(position).read_distinct, length * row);
  EXPECT_EQ(Of(type, 0, row).read, batch * length * row) << "type 0 of every token";
  EXPECT_EQ(Of(type, row, row).read, 0u);
}

TEST_F(TrafficCase, EmbeddingCountsPositionsOfLongSequencesOnce) {
  constexpr int64_t length = 1100, columns = 64; /* over the 1024 tokens that count for themselves */
  DeviceTensor &word = Random("word", kFloat, {length, columns}), &output = Empty("output", kFloat, {1, length, columns});
  DeviceTensor &position = Random("position", kFloat, {length + 2, columns});
  std::vector<int32_t> ids(length);
  std::iota(ids.begin(), ids.end(), 0);
  DeviceTensor &id = Values("ids", MO_DTYPE_INT32, {1, length}, ids);
  mo_embedding_params p = MO_EMBEDDING_PARAMS_INIT;
  p.output = output, p.ids = id, p.word = word, p.position = position;
  p.position_skips_padding = true, p.padding_id = 1;
  Count([&] { return mo_embedding(context_, &p); });
  EXPECT_EQ(Launches(), 2u) << Kernels();
  ExpectRead(id, 2);
  ExpectRead(word);
  ExpectWritten(output);
  ExpectScratch(length * 8, length * 8);
}

/* ---- Gate, linear, position bias, rotary ---- */

TEST_F(TrafficCase, GateReadsBothHalvesOnce) {
  for (const mo_dtype_t dtype : {kFloat, kHalf}) {
    DeviceTensor &gate = Random("gate", dtype, {3, 1024}), &input = Random("input", dtype, {3, 1024});
    DeviceTensor &output = Empty("output", dtype, {3, 1024});
    mo_gate_params p = MO_GATE_PARAMS_INIT;
    p.output = output, p.gate = gate, p.input = input, p.activation = MO_ACTIVATION_SILU;
    Count([&] { return mo_gate(context_, &p); });
    ExpectOneLaunch();
    ExpectRead(gate);
    ExpectRead(input);
    ExpectWritten(output);
    ExpectNoScratch();
  }
}

TEST_F(TrafficCase, LinearIsOneProductWithBiasAndResidual) {
  for (const mo_dtype_t dtype : {kFloat, kBrain}) {
    DeviceTensor &input = Random("input", dtype, {16, 64}), &weight = Random("weight", dtype, {128, 64});
    DeviceTensor &bias = Random("bias", dtype, {128}), &residual = Random("residual", dtype, {16, 128});
    DeviceTensor &output = Empty("output", dtype, {16, 128});
    mo_linear_params p = MO_LINEAR_PARAMS_INIT;
    p.output = output, p.input = input, p.weight = weight, p.bias = bias, p.residual = residual;
    Count([&] { return mo_linear(context_, &p); });
    ExpectOneLaunch();
    ExpectRead(input);
    ExpectRead(weight);
    ExpectRead(bias);
    ExpectRead(residual);
    ExpectWritten(output);
    ExpectNoScratch();
  }
}

TEST_F(TrafficCase, LinearEpilogueOfOurOwnPassesOverTheProductOnce) {
  constexpr int64_t rows = 16, columns = 128;
  DeviceTensor &input = Random("input", kBrain, {rows, 64}), &weight = Random("weight", kBrain, {columns, 64});
  DeviceTensor &bias = Random("bias", kBrain, {columns}), &residual = Random("residual", kBrain, {rows, columns});
  DeviceTensor &output = Empty("output", kBrain, {rows, columns});
  mo_linear_params p = MO_LINEAR_PARAMS_INIT;
  p.output = output, p.input = input, p.weight = weight, p.bias = bias, p.residual = residual;
  p.activation = MO_ACTIVATION_SILU; /* no epilogue of cuBLASLt */
  Count([&] { return mo_linear(context_, &p); });
  EXPECT_EQ(Launches(), 2u) << Kernels();
  ExpectRead(input);
  ExpectRead(weight);
  ExpectRead(residual);
  ExpectWritten(output);
  ExpectScratch(rows * columns * 4, rows * columns * 4); /* the float32 product */
}

TEST_F(TrafficCase, PositionBiasIsWrittenOnce) {
  DeviceTensor &table = Random("table", kFloat, {32, 4}), &slopes = Random("slopes", kFloat, {4});
  for (const bool alibi : {false, true}) {
    DeviceTensor &output = Empty("output", kHalf, {1, 4, 6, 192});
    mo_position_bias_params p = MO_POSITION_BIAS_PARAMS_INIT;
    p.kind = alibi ? MO_POSITION_BIAS_ALIBI : MO_POSITION_BIAS_T5;
    p.output = output, p.bidirectional = true;
    if (alibi) p.slopes = slopes;
    else p.table = table;
    Count([&] { return mo_position_bias(context_, &p); });
    ExpectOneLaunch();
    ExpectWritten(output);
    ExpectNoScratch();
  }
}

TEST_F(TrafficCase, RotaryReadsAndWritesQueryAndKeyOnceInOneLaunch) {
  constexpr int64_t batch = 2, heads = 4, key_heads = 2, length = 5, size = 64;
  DeviceTensor &cosine = Random("cosine", kFloat, {16, size / 2}), &sine = Random("sine", kFloat, {16, size / 2});
  for (const mo_rotary_pairing_t pairing : {MO_ROTARY_HALVES, MO_ROTARY_INTERLEAVED}) {
    DeviceTensor &query = Random("query", kBrain, {batch, heads, length, size});
    DeviceTensor &key = Random("key", kBrain, {batch, key_heads, length, size});
    DeviceTensor &turned_query = Empty("turned query", kBrain, {batch, heads, length, size});
    DeviceTensor &turned_key = Empty("turned key", kBrain, {batch, key_heads, length, size});
    mo_rotary_params p = MO_ROTARY_PARAMS_INIT;
    p.rotary = {cosine, sine, pairing};
    p.query_output = turned_query, p.query = query, p.key_output = turned_key, p.key = key, p.position_offset = 3;
    Count([&] { return mo_rotary_embedding(context_, &p); });
    ExpectOneLaunch();
    ExpectRead(query);
    ExpectRead(key);
    ExpectWritten(turned_query);
    ExpectWritten(turned_key);
    ExpectNoScratch();
    EXPECT_EQ(Of(cosine).read_distinct, static_cast<uint64_t>(length * size / 2) * 4) << "positions 3 to 7";
  }
}

}  // namespace
}  // namespace simulated
