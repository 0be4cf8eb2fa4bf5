/* tests/ops/gate_test.cc - the gate beside a plain computation in double.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <cstring>
#include <memory>

#include "tests/ops/gate_shim.h"
#include "tests/ops/op_test.h"

namespace {

using op_test::Buffer;
using op_test::rounding;

const mo_activation_t kActivations[] = {MO_ACTIVATION_NONE, MO_ACTIVATION_GELU, MO_ACTIVATION_GELU_TANH, MO_ACTIVATION_RELU,
                                        MO_ACTIVATION_SILU, MO_ACTIVATION_TANH, MO_ACTIVATION_QUICK_GELU};

double activate(double x, mo_activation_t activation) {
  switch (activation) {
    case MO_ACTIVATION_GELU:
      return 0.5 * x * std::erfc(-x * M_SQRT1_2);
    case MO_ACTIVATION_GELU_TANH:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case MO_ACTIVATION_RELU:
      return x > 0 ? x : 0;
    case MO_ACTIVATION_SILU:
      return x / (1 + std::exp(-x));
    case MO_ACTIVATION_TANH:
      return std::tanh(x);
    case MO_ACTIVATION_QUICK_GELU:
      return x / (1 + std::exp(-1.702 * x));
    default:
      return x;
  }
}

class Gate : public op_test::OpTest {
 protected:
  enum class Place { kOwn, kGate, kInput };

  void expect(const Buffer &result, const Buffer &gate, const Buffer &input, mo_activation_t activation) {
    for (int64_t i = 0; i < result.count(); ++i) {
      const double exact = activate(gate.get(i), activation) * input.get(i);
      const double bound = 1.01 * rounding(result_dtype_, std::fabs(exact)) +
                           4e-7 * (1 + std::fabs(gate.get(i))) * (1 + std::fabs(input.get(i)));
      ASSERT_NEAR(result.get(i), exact, bound) << "element " << i;
    }
    EXPECT_TRUE(result.gaps_untouched());
  }

  void check(std::vector<int64_t> shape, mo_dtype_t dtype, mo_activation_t activation, int64_t gap = 0,
             Place place = Place::kOwn) {
    SCOPED_TRACE(testing::Message() << testing::PrintToString(shape) << " " << mo_dtype_name(dtype) << " "
                                    << mo_activation_name(activation) << " gap " << gap << " place " << int(place));
    result_dtype_ = dtype;
    Buffer gate(dtype, shape, gap), input(dtype, shape, 2 * gap, gap), output(dtype, shape, gap, 3 * gap);
    gate.fill(random_, 3);
    input.fill(random_);
    const Buffer gate_before = gate, input_before = input;
    Buffer *at = place == Place::kGate    ? std::addressof(gate)
                 : place == Place::kInput ? std::addressof(input)
                                          : std::addressof(output);
    mo_gate_params params = MO_GATE_PARAMS_INIT;
    params.output = &*at;
    params.gate = &gate;
    params.input = &input;
    params.activation = activation;
    ASSERT_EQ(test_gate(context_, &params), MO_STATUS_OK) << mo_last_error();
    expect(*at, gate_before, input_before, activation);
  }

  mo_dtype_t result_dtype_ = MO_DTYPE_FLOAT32;
};

TEST_F(Gate, EveryWidthActivationAndDtype) {
  for (int64_t count : {1, 3, 8, 15, 16, 17, 64, 127, 257, 1031}) check({5, count}, MO_DTYPE_FLOAT32, kActivations[count % 6]);
  for (mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
    for (mo_activation_t activation : kActivations) {
      check({7, 40}, dtype, activation);
      check({7, 83}, dtype, activation);
    }
}

TEST_F(Gate, StridesRanksAndPlaces) {
  for (int64_t gap : {0, 5, 16}) {
    for (Place place : {Place::kOwn, Place::kGate, Place::kInput}) {
      check({48}, MO_DTYPE_BFLOAT16, MO_ACTIVATION_SILU, gap, place);
      check({2, 3, 48}, MO_DTYPE_FLOAT32, MO_ACTIVATION_GELU, gap, place);
      check({2, 3, 2, 19}, MO_DTYPE_FLOAT16, MO_ACTIVATION_SILU, gap, place);
    }
  }
}

TEST_F(Gate, HalvesOfOneProduct) {
  for (mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    Buffer product(dtype, {9, 2 * 48}), gate(dtype, {9, 48}), input(dtype, {9, 48}), first(dtype, {9, 48});
    product.fill(random_);
    for (int64_t i = 0; i < 9 * 48; ++i) {
      gate.set(i, product.get(i / 48 * 96 + i % 48));
      input.set(i, product.get(i / 48 * 96 + 48 + i % 48));
    }
    ASSERT_EQ(shim_gate_halves(context_, &product, MO_ACTIVATION_SILU), MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < 9 * 48; ++i) {
      first.set(i, product.get(i / 48 * 96 + i % 48));
      EXPECT_EQ(product.get(i / 48 * 96 + 48 + i % 48), input.get(i)); /* the other half is only read */
    }
    result_dtype_ = dtype;
    expect(first, gate, input, MO_ACTIVATION_SILU);
  }
}

TEST_F(Gate, LargeManyThreadsAndOneLongRow) {
  check({301, 384}, MO_DTYPE_FLOAT32, MO_ACTIVATION_SILU);
  check({1, 100003}, MO_DTYPE_FLOAT32, MO_ACTIVATION_SILU);
  check({1, 70000}, MO_DTYPE_BFLOAT16, MO_ACTIVATION_GELU_TANH);
}

TEST_F(Gate, NonFiniteAndEmpty) {
  Buffer gate(MO_DTYPE_FLOAT32, {4}), input(MO_DTYPE_FLOAT32, {4}), output(MO_DTYPE_FLOAT32, {4});
  const double values[] = {NAN, -INFINITY, INFINITY, -200.0};
  for (int i = 0; i < 4; ++i) gate.set(i, values[i]), input.set(i, 2.0);
  mo_gate_params params = MO_GATE_PARAMS_INIT;
  params.output = &output, params.gate = &gate, params.input = &input;
  params.activation = MO_ACTIVATION_RELU;
  ASSERT_EQ(test_gate(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(std::isnan(output.get(0)));
  EXPECT_EQ(output.get(1), 0.0);
  EXPECT_EQ(output.get(2), INFINITY);
  EXPECT_EQ(output.get(3), 0.0);
  for (auto shape : std::vector<std::vector<int64_t>>{{0, 8}, {3, 0}, {0}}) check(shape, MO_DTYPE_FLOAT32, MO_ACTIVATION_SILU);
}

TEST_F(Gate, Refuses) {
  Buffer gate(MO_DTYPE_FLOAT32, {3, 8}), input(MO_DTYPE_FLOAT32, {3, 8}), output(MO_DTYPE_FLOAT32, {3, 8});
  Buffer other_shape(MO_DTYPE_FLOAT32, {3, 9}), other_dtype(MO_DTYPE_FLOAT16, {3, 8}), ids(MO_DTYPE_INT32, {3, 8});
  mo_tensor shifted = gate.tensor();
  shifted.shape[0] = 2;
  shifted.data = static_cast<float *>(shifted.data) + 4;
  mo_tensor shorter = gate.tensor(), strided = gate.tensor();
  shorter.shape[0] = 2;
  strided.strides[1] = 2;
  strided.shape[0] = 1, strided.shape[1] = 4;
  const struct {
    const mo_tensor *output, *gate, *input;
    uint32_t activation; /* of the enum's size: C++ may not load a value that the enum does not have */
    const char *says;
  } cases[] = {
      {nullptr, &gate, &input, MO_ACTIVATION_SILU, "output"},
      {&output, nullptr, &input, MO_ACTIVATION_SILU, "gate"},
      {&output, &gate, nullptr, MO_ACTIVATION_SILU, "input"},
      {&output, &other_shape, &input, MO_ACTIVATION_SILU, "gate"},
      {&output, &gate, &other_dtype, MO_ACTIVATION_SILU, "input"},
      {&ids, &ids, &ids, MO_ACTIVATION_SILU, "output"},
      {&shifted, &shorter, &shorter, MO_ACTIVATION_SILU, "overlap"},
      {&strided, &strided, &strided, MO_ACTIVATION_SILU, "stride"},
      {&output, &gate, &input, 17, "17"},
  };
  for (const auto &c : cases) {
    mo_gate_params params = MO_GATE_PARAMS_INIT;
    params.output = c.output, params.gate = c.gate, params.input = c.input;
    static_assert(sizeof params.activation == sizeof c.activation);
    memcpy(&params.activation, &c.activation, sizeof c.activation);
    EXPECT_EQ(test_gate(context_, &params), MO_STATUS_INVALID_ARGUMENT) << c.says;
    EXPECT_NE(std::string(mo_last_error()).find(c.says), std::string::npos) << mo_last_error();
  }
  mo_gate_params bare = {};
  EXPECT_EQ(mo_gate(context_, &bare), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_gate(nullptr, &bare), MO_STATUS_INVALID_ARGUMENT);
}

}  // namespace
