/* tests/ops/linear_test.cc - the dense layer beside a plain sum in double: every path (packed, few rows, packing on the
 * fly), dtype, activation and layout.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/op_test.h"

#include <memory>

#include "tests/ops/linear_shim.h"

namespace {

using op_test::Buffer;
using op_test::kCpu;
using op_test::rounded;
using op_test::rounding;

const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

double activate(double x, mo_activation_t activation) {
  switch (activation) {
    case MO_ACTIVATION_GELU:
      return x * 0.5 * std::erfc(-x * std::sqrt(0.5));
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

struct Packed {
  Packed() = default;
  Packed(const Packed &) = delete;
  ~Packed() { mo_packed_weight_destroy(weight); }
  mo_packed_weight_t *weight = nullptr;
};

struct Case {
  int64_t m, n, k;
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  mo_dtype_t output_dtype = MO_DTYPE_NONE; /* none: dtype */
  mo_dtype_t bias_dtype = MO_DTYPE_NONE;
  mo_activation_t activation = MO_ACTIVATION_NONE;
  bool bias = true, residual = true, in_place = false, packed = true;
  int64_t gap = 0;
};

class Linear : public op_test::OpTest {
 protected:
  /* Largest errors, ours and those of float32 sums in the order of k, over the whole result. */
  void check(const Case &c) {
    SCOPED_TRACE(testing::Message() << c.m << " x " << c.n << " x " << c.k << " " << mo_dtype_name(c.dtype) << " -> "
                                    << mo_dtype_name(c.output_dtype) << " " << mo_activation_name(c.activation)
                                    << (c.packed ? " packed" : " unpacked") << " gap " << c.gap << " in place " << c.in_place);
    const mo_dtype_t output_dtype = c.output_dtype == MO_DTYPE_NONE ? c.dtype : c.output_dtype;
    Buffer input(c.dtype, {c.m, c.k}, c.gap), weight(c.dtype, {c.n, c.k}, c.gap), output(output_dtype, {c.m, c.n}, c.gap);
    Buffer bias(c.bias_dtype == MO_DTYPE_NONE ? c.dtype : c.bias_dtype, {c.n}), residual(output_dtype, {c.m, c.n}, 2 * c.gap);
    input.fill(random_);
    weight.fill(random_, 1.5 / std::sqrt(double(c.k) + 1));
    bias.fill(random_);
    residual.fill(random_);
    if (c.in_place) {
      for (int64_t i = 0; i < output.count(); ++i) output.set(i, residual.get(i));
    }
    Packed packed;
    if (c.packed) {
      const mo_tensor *weights[] = {&weight};
      ASSERT_EQ(test_linear_pack(context_, weights, 1, &packed.weight), MO_STATUS_OK) << mo_last_error();
    }
    const mo_tensor *added = !c.residual ? nullptr : c.in_place ? &output : &residual;
    ASSERT_EQ(shim_linear(context_, &output, &input, c.packed ? nullptr : &weight, packed.weight, c.bias ? &bias : nullptr,
                          added, c.activation),
              MO_STATUS_OK)
        << mo_last_error();
    compare(c, input, weight, bias, residual, output);
    EXPECT_TRUE(output.gaps_untouched());
  }

  void compare(const Case &c, const Buffer &input, const Buffer &weight, const Buffer &bias, const Buffer &residual,
               const Buffer &output) {
    const mo_dtype_t output_dtype = c.output_dtype == MO_DTYPE_NONE ? c.dtype : c.output_dtype;
    double ours = 0, plain = 0, largest = 0;
    std::vector<double> x(c.m * c.k), w(c.n * c.k);
    for (size_t i = 0; i < x.size(); ++i) x[i] = input.get(i);
    for (size_t i = 0; i < w.size(); ++i) w[i] = weight.get(i);
    for (int64_t i = 0; i < c.m; ++i) {
      for (int64_t j = 0; j < c.n; ++j) {
        double sum = 0;
        float single = 0;
        for (int64_t k = 0; k < c.k; ++k) {
          const double product = x[i * c.k + k] * w[j * c.k + k];
          sum += product;
          single += float(product);
        }
        if (c.bias) {
          sum += bias.get(j);
          single += float(bias.get(j));
        }
        sum = activate(sum, c.activation);
        single = float(activate(single, c.activation));
        if (c.residual) {
          sum += residual.get(i * c.n + j);
          single += float(residual.get(i * c.n + j));
        }
        const double result = output.get(i * c.n + j);
        ASSERT_FALSE(std::isnan(result)) << i << ", " << j;
        ours = std::max(ours, std::fabs(result - sum));
        plain = std::max(plain, std::fabs(rounded(output_dtype, single) - sum));
        largest = std::max(largest, std::fabs(sum));
      }
    }
    EXPECT_LE(ours, 2 * plain + 2e-7 * (1 + largest));
  }
};

TEST_F(Linear, EverySizeAroundTheTiles) {
  /* Tiles: 12 x 32, 6 x 16; an unpacked weight is packed from 21 rows on; k block: 768. */
  const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 16, 20, 21, 25, 37, 97};
  const int64_t columns[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 127};
  const int64_t depths[] = {0, 1, 3, 7, 16, 17, 67};
  for (bool packed : {true, false}) {
    for (int64_t m : rows) {
      for (int64_t n : columns) {
        for (int64_t k : depths)
          check({.m = m, .n = n, .k = k, .activation = mo_activation_t((m + n + k) % 6), .packed = packed});
      }
    }
  }
}

TEST_F(Linear, BlocksOfDepth) {
  for (bool packed : {true, false}) {
    for (int64_t k : {767, 768, 769, 1024, 1536, 1537, 3072}) {
      check({.m = 3, .n = 37, .k = k, .packed = packed});
      check({.m = 29, .n = 133, .k = k, .packed = packed});
    }
  }
}

TEST_F(Linear, Large) {
  check({.m = 1031, .n = 131, .k = 97});
  check({.m = 257, .n = 1000, .k = 257, .activation = MO_ACTIVATION_GELU});
  check({.m = 1030, .n = 67, .k = 33, .dtype = MO_DTYPE_BFLOAT16}); /* more rows than are widened at a time */
  check(
      {.m = 40, .n = 3001, .k = 2111, .bias = false, .residual = false, .packed = false}); /* more than one scratch of panels */
}

TEST_F(Linear, EveryDtypeAndActivation) {
  for (bool packed : {true, false}) {
    for (mo_dtype_t dtype : kFloats) {
      for (mo_dtype_t output : kFloats) {
        for (int a = 0; a < 6; ++a) {
          for (int64_t m : {5, 31}) {
            check({.m = m,
                   .n = 45,
                   .k = 83,
                   .dtype = dtype,
                   .output_dtype = output,
                   .activation = mo_activation_t(a),
                   .packed = packed});
          }
        }
      }
      check({.m = 17, .n = 33, .k = 40, .dtype = dtype, .bias_dtype = MO_DTYPE_FLOAT32, .packed = packed});
    }
  }
}

TEST_F(Linear, OptionalPartsAndInPlace) {
  for (bool packed : {true, false}) {
    for (bool bias : {true, false}) {
      for (bool residual : {true, false}) {
        check({.m = 19,
               .n = 35,
               .k = 50,
               .activation = MO_ACTIVATION_GELU,
               .bias = bias,
               .residual = residual,
               .packed = packed});
      }
    }
    for (mo_dtype_t dtype : kFloats) {
      check({.m = 31, .n = 45, .k = 900, .dtype = dtype, .in_place = true, .packed = packed, .gap = 3});
      check({.m = 2, .n = 45, .k = 90, .dtype = dtype, .in_place = true, .packed = packed});
    }
  }
}

TEST_F(Linear, Strides) {
  for (bool packed : {true, false}) {
    for (int64_t gap : {1, 5, 64}) {
      for (mo_dtype_t dtype : kFloats) {
        check({.m = 3, .n = 33, .k = 65, .dtype = dtype, .packed = packed, .gap = gap});
        check({.m = 27, .n = 33, .k = 65, .dtype = dtype, .packed = packed, .gap = gap});
      }
    }
  }
}

TEST_F(Linear, RanksAndIrregularRows) {
  for (bool packed : {true, false}) {
    for (mo_dtype_t dtype : kFloats) {
      const int64_t k = 21, n = 35;
      Buffer weight(dtype, {n, k});
      weight.fill(random_, 0.3);
      Packed made;
      const mo_tensor *weights[] = {&weight};
      ASSERT_EQ(packed ? test_linear_pack(context_, weights, 1, &made.weight) : MO_STATUS_OK, MO_STATUS_OK);
      for (auto leading : std::vector<std::vector<int64_t>>{{}, {7}, {3, 13}, {2, 3, 5}}) {
        auto shape_in = leading, shape_out = leading;
        shape_in.push_back(k);
        shape_out.push_back(n);
        Buffer input(dtype, shape_in, 2, 7), output(dtype, shape_out, 1, 9), residual(dtype, shape_out, 3, 4), bias(dtype, {n});
        input.fill(random_);
        residual.fill(random_);
        bias.fill(random_);
        ASSERT_EQ(shim_linear(context_, &output, &input, packed ? nullptr : &weight, made.weight, &bias, &residual,
                              MO_ACTIVATION_SILU),
                  MO_STATUS_OK)
            << mo_last_error();
        compare({.m = output.rows(), .n = n, .k = k, .dtype = dtype, .activation = MO_ACTIVATION_SILU}, input, weight, bias,
                residual, output);
        EXPECT_TRUE(output.gaps_untouched());
      }
    }
  }
}

TEST_F(Linear, BroadcastInputAndWeightRows) {
  for (int64_t m : {4, 40}) {
    Buffer row(MO_DTYPE_FLOAT32, {1, 19}), one(MO_DTYPE_FLOAT32, {1, 19}), output(MO_DTYPE_FLOAT32, {m, 20});
    row.fill(random_);
    one.fill(random_);
    mo_tensor input = row.tensor(), weight = one.tensor();
    input.shape[0] = m;
    input.strides[0] = 0;
    weight.shape[0] = 20;
    weight.strides[0] = 0;
    double expected = 0;
    for (int64_t k = 0; k < 19; ++k) expected += row.get(k) * one.get(k);
    ASSERT_EQ(shim_linear(context_, &output, &input, &weight, nullptr, nullptr, nullptr, MO_ACTIVATION_NONE), MO_STATUS_OK);
    for (int64_t i = 0; i < output.count(); ++i) ASSERT_NEAR(output.get(i), expected, 1e-5);
  }
}

TEST_F(Linear, ThreeWeightsAsOne) {
  for (mo_dtype_t dtype : kFloats) {
    const int64_t k = 50, m = 14, rows[] = {33, 1, 47};
    Buffer input(dtype, {m, k});
    input.fill(random_);
    std::vector<Buffer> parts;
    for (int64_t n : rows) parts.push_back(Buffer(dtype, {n, k}, n % 5).fill(random_, 0.2));
    const mo_tensor *weights[] = {&parts[0], &parts[1], &parts[2]};
    Packed packed;
    ASSERT_EQ(test_linear_pack(context_, weights, 3, &packed.weight), MO_STATUS_OK) << mo_last_error();
    Buffer output(dtype, {m, 81});
    ASSERT_EQ(shim_linear(context_, &output, &input, nullptr, packed.weight, nullptr, nullptr, MO_ACTIVATION_NONE),
              MO_STATUS_OK)
        << mo_last_error();
    int64_t first = 0;
    for (int p = 0; p < 3; ++p) {
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < rows[p]; ++j) {
          double sum = 0;
          for (int64_t d = 0; d < k; ++d) sum += input.get(i * k + d) * parts[p].get(j * k + d);
          ASSERT_NEAR(output.get(i * 81 + first + j), sum, 4e-6 + 2 * rounding(dtype, std::fabs(sum)))
              << p << " " << i << " " << j;
        }
      }
      first += rows[p];
    }
  }
}

TEST_F(Linear, EmptyAndRepacked) {
  Buffer input(MO_DTYPE_FLOAT32, {0, 8}), weight(MO_DTYPE_FLOAT32, {4, 8}), output(MO_DTYPE_FLOAT32, {0, 4});
  EXPECT_EQ(shim_linear(context_, &output, &input, &weight, nullptr, nullptr, nullptr, MO_ACTIVATION_NONE), MO_STATUS_OK);
  Buffer none(MO_DTYPE_FLOAT32, {0, 8}), narrow(MO_DTYPE_FLOAT32, {3, 0}), wide(MO_DTYPE_FLOAT32, {3, 8});
  const mo_tensor *weights[] = {&none};
  Packed packed;
  ASSERT_EQ(test_linear_pack(context_, weights, 1, &packed.weight), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(shim_linear(context_, &narrow, &wide, nullptr, packed.weight, nullptr, nullptr, MO_ACTIVATION_NONE), MO_STATUS_OK);
  mo_packed_weight_destroy(nullptr);

  /* The weight's memory may go after packing, the context may be destroyed before the packed weight. */
  auto gone = std::make_unique<Buffer>(MO_DTYPE_FLOAT32, std::vector<int64_t>{5, 3});
  gone->fill(random_);
  const mo_tensor *gone_weights[] = {&*gone};
  mo_packed_weight_t *late = nullptr;
  mo_context_t *other = nullptr;
  ASSERT_EQ(test_context_create(nullptr, &other), MO_STATUS_OK);
  ASSERT_EQ(test_linear_pack(other, gone_weights, 1, &late), MO_STATUS_OK);
  gone.reset();
  mo_context_destroy(other);
  mo_packed_weight_destroy(late);
}

TEST_F(Linear, NonFiniteValuesArePassedOn) {
  for (bool packed : {true, false}) {
    for (int64_t m : {2, 30}) {
      Buffer input(MO_DTYPE_FLOAT32, {m, 40}), weight(MO_DTYPE_FLOAT32, {36, 40}), output(MO_DTYPE_FLOAT32, {m, 36});
      input.fill(random_);
      weight.fill(random_);
      input.set(39, NAN);
      Packed made;
      const mo_tensor *weights[] = {&weight};
      ASSERT_EQ(packed ? test_linear_pack(context_, weights, 1, &made.weight) : MO_STATUS_OK, MO_STATUS_OK);
      for (int a = 0; a < 6; ++a) {
        ASSERT_EQ(shim_linear(context_, &output, &input, packed ? nullptr : &weight, made.weight, nullptr, nullptr,
                              mo_activation_t(a)),
                  MO_STATUS_OK);
        for (int64_t j = 0; j < 36; ++j) {
          EXPECT_TRUE(std::isnan(output.get(j))) << a;
          EXPECT_TRUE(std::isfinite(output.get(36 + j))) << a;
        }
      }
    }
  }
}

TEST_F(Linear, BitIdenticalFromRunToRunAndForAnyThreadCount) {
  for (bool packed : {true, false}) {
    for (int64_t m : {1, 16, 200}) {
      Buffer input(MO_DTYPE_FLOAT32, {m, 1000}), weight(MO_DTYPE_FLOAT32, {300, 1000});
      input.fill(random_);
      weight.fill(random_);
      std::vector<uint8_t> first;
      for (int32_t threads : {3, 3, 3, 1, 2, 8}) {
        make_context(threads);
        Packed made;
        const mo_tensor *weights[] = {&weight};
        ASSERT_EQ(packed ? test_linear_pack(context_, weights, 1, &made.weight) : MO_STATUS_OK, MO_STATUS_OK);
        Buffer output(MO_DTYPE_FLOAT32, {m, 300});
        ASSERT_EQ(shim_linear(context_, &output, &input, packed ? nullptr : &weight, made.weight, nullptr, nullptr,
                              MO_ACTIVATION_GELU),
                  MO_STATUS_OK);
        if (first.empty()) first = output.memory();
        EXPECT_TRUE(first == output.memory()) << m << " rows, " << threads << " threads";
      }
    }
  }
}

TEST_F(Linear, RepeatedCallsDoNotAllocate) {
  TEST_ON_CPU_ONLY("the copies of the tensors are allocated elsewhere; a captured forward pass shows it there");
  Buffer input(MO_DTYPE_BFLOAT16, {64, 1600}), weight(MO_DTYPE_BFLOAT16, {100, 1600}), output(MO_DTYPE_BFLOAT16, {64, 100});
  input.fill(random_);
  weight.fill(random_);
  uint64_t allocations = 0;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(shim_linear(context_, &output, &input, &weight, nullptr, nullptr, nullptr, MO_ACTIVATION_NONE), MO_STATUS_OK);
    const uint64_t now = mo_context_get_counters(context_).device_allocations;
    EXPECT_TRUE(i == 0 || now == allocations) << now - allocations << " more";
    allocations = now;
  }
}

TEST_F(Linear, FrontDoor) {
  const mo_status_t bad = MO_STATUS_INVALID_ARGUMENT;
  Buffer input(MO_DTYPE_FLOAT32, {3, 8}), weight(MO_DTYPE_FLOAT32, {4, 8}), output(MO_DTYPE_FLOAT32, {3, 4});
  Buffer bias(MO_DTYPE_FLOAT32, {4}), residual(MO_DTYPE_FLOAT32, {3, 4});
  const std::vector<uint8_t> before = output.memory();
  Packed packed;
  const mo_tensor *weights[] = {&weight, &weight};
  ASSERT_EQ(test_linear_pack(context_, weights, 1, &packed.weight), MO_STATUS_OK);

  struct Change {
    const char *part;
    void (*apply)(mo_linear_params &);
  };
  static mo_tensor changed; /* the one argument that is wrong */
  static const mo_packed_weight_t *packed_weight;
  packed_weight = packed.weight;
  const Change changes[] = {
      {"struct_size", [](mo_linear_params &p) { p.struct_size = 8; }},
      {"output is NULL", [](mo_linear_params &p) { p.output = nullptr; }},
      {"input is NULL", [](mo_linear_params &p) { p.input = nullptr; }},
      {"neither weight", [](mo_linear_params &p) { p.weight = nullptr; }},
      {"both weight", [](mo_linear_params &p) { p.packed_weight = packed_weight; }},
      {"output has dtype", [](mo_linear_params &p) { (changed = *p.output).dtype = MO_DTYPE_INT32, p.output = &changed; }},
      {"input has rank", [](mo_linear_params &p) { (changed = *p.input).rank = 1, p.input = &changed; }},
      {"input has extent", [](mo_linear_params &p) { (changed = *p.input).shape[0] = 2, p.input = &changed; }},
      {"weight has extent", [](mo_linear_params &p) { (changed = *p.weight).shape[1] = 7, p.weight = &changed; }},
      {"weight has extent", [](mo_linear_params &p) { (changed = *p.weight).shape[0] = 3, p.weight = &changed; }},
      {"weight is float16", [](mo_linear_params &p) { (changed = *p.weight).dtype = MO_DTYPE_FLOAT16, p.weight = &changed; }},
      {"weight has stride", [](mo_linear_params &p) { (changed = *p.weight).strides[1] = 2, p.weight = &changed; }},
      {"input has stride", [](mo_linear_params &p) { (changed = *p.input).strides[1] = 0, p.input = &changed; }},
      {"output has stride", [](mo_linear_params &p) { (changed = *p.output).strides[1] = 2, p.output = &changed; }},
      {"output has two elements", [](mo_linear_params &p) { (changed = *p.output).strides[0] = 0, p.output = &changed; }},
      {"bias has extent", [](mo_linear_params &p) { (changed = *p.bias).shape[0] = 3, p.bias = &changed; }},
      {"bias has dtype", [](mo_linear_params &p) { (changed = *p.bias).dtype = MO_DTYPE_BFLOAT16, p.bias = &changed; }},
      {"bias has stride", [](mo_linear_params &p) { (changed = *p.bias).strides[0] = 0, p.bias = &changed; }},
      {"residual has dtype",
       [](mo_linear_params &p) { (changed = *p.residual).dtype = MO_DTYPE_FLOAT16, p.residual = &changed; }},
      {"residual has extent", [](mo_linear_params &p) { (changed = *p.residual).shape[0] = 1, p.residual = &changed; }},
      {"residual has stride", [](mo_linear_params &p) { (changed = *p.residual).strides[1] = 0, p.residual = &changed; }},
      {"input", [](mo_linear_params &p) { (changed = *p.input).data = p.output->data, p.input = &changed; }},
      {"weight", [](mo_linear_params &p) { (changed = *p.weight).data = p.output->data, p.weight = &changed; }},
      {"bias", [](mo_linear_params &p) { (changed = *p.bias).data = p.output->data, p.bias = &changed; }},
      {"residual",
       [](mo_linear_params &p) {
         (changed = *p.residual).data = static_cast<float *>(p.output->data) + 1, p.residual = &changed;
       }},
      {"on cuda:0",
       [](mo_linear_params &p) {
         (changed = *p.weight).device = {MO_DEVICE_KIND_CUDA, 0}, p.weight = &changed;
       }},
      {"activation 7", [](mo_linear_params &p) { p.activation = mo_activation_t(7); }},
      {"activation -1", [](mo_linear_params &p) { p.activation = mo_activation_t(-1); }},
  };
  for (const Change &change : changes) {
    mo_linear_params params = MO_LINEAR_PARAMS_INIT;
    params.output = &output;
    params.input = &input;
    params.weight = &weight;
    params.bias = &bias;
    params.residual = &residual;
    change.apply(params);
    expect_error(test_linear(context_, &params), bad, "linear: ", change.part);
    EXPECT_TRUE(output.memory() == before) << change.part;
  }
  expect_error(test_linear(context_, nullptr), bad, "linear: ", "NULL");
  EXPECT_EQ(test_linear(nullptr, nullptr), bad);

  Buffer deep(MO_DTYPE_FLOAT32, {3, 9}), half(MO_DTYPE_FLOAT16, {3, 8});
  expect_error(shim_linear(context_, &output, &deep, nullptr, packed.weight, nullptr, nullptr, MO_ACTIVATION_NONE), bad,
               "linear: ", "packed_weight is (4, 8), not (4, 9)");
  expect_error(shim_linear(context_, &output, &half, nullptr, packed.weight, nullptr, nullptr, MO_ACTIVATION_NONE), bad,
               "linear: ", "packed_weight is float32, input float16");

  mo_packed_weight_t *none = nullptr;
  expect_error(test_linear_pack(context_, weights, 1, nullptr), bad, "linear pack: ", "NULL");
  expect_error(test_linear_pack(context_, nullptr, 1, &none), bad, "linear pack: ", "at least one");
  expect_error(test_linear_pack(context_, weights, 0, &none), bad, "linear pack: ", "0 weights");
  weights[1] = nullptr;
  expect_error(test_linear_pack(context_, weights, 2, &none), bad, "linear pack: ", "weight is NULL");
  weights[1] = &deep;
  expect_error(test_linear_pack(context_, weights, 2, &none), bad, "linear pack: ", "weight 1 has 9 columns, the first 8");
  weights[1] = &half;
  expect_error(test_linear_pack(context_, weights, 2, &none), bad, "linear pack: ", "weight 1 is float16, the first float32");
  weights[1] = &bias;
  expect_error(test_linear_pack(context_, weights, 2, &none), bad, "linear pack: ", "rank");
  EXPECT_EQ(test_linear_pack(nullptr, weights, 1, &none), bad);
  EXPECT_EQ(none, nullptr);
}

TEST_F(Linear, OutOfMemoryChangesNothing) {
  TEST_ON_CPU_ONLY("elsewhere the copies of the tensors are the first to find no memory");
  mo_context_destroy(context_);
  context_ = nullptr;
  mo_context_options options = test_context_options();
  options.device_allocator.allocate = [](void *, size_t, mo_stream) -> void * { return nullptr; };
  options.device_allocator.release = [](void *, void *, size_t, mo_stream) {};
  ASSERT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  Buffer input(MO_DTYPE_FLOAT32, {40, 8}), weight(MO_DTYPE_FLOAT32, {4, 8}), output(MO_DTYPE_FLOAT32, {40, 4});
  const std::vector<uint8_t> before = output.memory();
  mo_packed_weight_t *packed = nullptr;
  const mo_tensor *weights[] = {&weight};
  EXPECT_EQ(test_linear_pack(context_, weights, 1, &packed), MO_STATUS_OUT_OF_MEMORY);
  EXPECT_EQ(packed, nullptr);
  EXPECT_EQ(shim_linear(context_, &output, &input, &weight, nullptr, nullptr, nullptr, MO_ACTIVATION_NONE),
            MO_STATUS_OUT_OF_MEMORY);
  EXPECT_TRUE(output.memory() == before);
}

TEST(Activation, Names) {
  const struct {
    const char *name;
    mo_activation_t activation;
  } names[] = {{"linear", MO_ACTIVATION_NONE},         {"gelu", MO_ACTIVATION_GELU},
               {"gelu_new", MO_ACTIVATION_GELU_TANH},  {"gelu_pytorch_tanh", MO_ACTIVATION_GELU_TANH},
               {"gelu_fast", MO_ACTIVATION_GELU_TANH}, {"relu", MO_ACTIVATION_RELU},
               {"silu", MO_ACTIVATION_SILU},           {"swish", MO_ACTIVATION_SILU},
               {"tanh", MO_ACTIVATION_TANH},           {"quick_gelu", MO_ACTIVATION_QUICK_GELU}};
  for (const auto &entry : names) {
    mo_activation_t activation;
    ASSERT_EQ(mo_activation_from_name(entry.name, &activation), MO_STATUS_OK);
    EXPECT_EQ(activation, entry.activation);
    mo_activation_t again;
    ASSERT_EQ(mo_activation_from_name(mo_activation_name(activation), &again), MO_STATUS_OK);
    EXPECT_EQ(again, activation);
  }
  mo_activation_t activation = MO_ACTIVATION_TANH;
  EXPECT_EQ(mo_activation_from_name("mish", &activation), MO_STATUS_UNSUPPORTED);
  EXPECT_NE(std::string(mo_last_error()).find("gelu_pytorch_tanh"), std::string::npos);
  EXPECT_EQ(activation, MO_ACTIVATION_TANH);
  EXPECT_EQ(mo_activation_from_name(nullptr, &activation), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_activation_from_name("gelu", nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(mo_activation_name(mo_activation_t(99)), "unknown");
}

TEST(LinearIsa, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
