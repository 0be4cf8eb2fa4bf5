/* tests/ops/attention_problem.h - one call of attention, and the plain double-precision computation of it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_ATTENTION_PROBLEM_H
#define MO_TESTS_OPS_ATTENTION_PROBLEM_H

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>

#include "attention_shim.h"
#include "modelout/context.h"
#include "tests/support/device_mirror.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/scoped_context.h"
#include "tests/support/test_tensor.h"

namespace attention_problem {

using test_support::Context;
using test_support::rounded;
using test_support::Shape;
using test_support::TestTensor;

enum class Layout { kContiguous, kFused, kRowPadded };

struct Case {
  int64_t batch = 2, heads = 4, kv_heads = 4, queries = 9, keys = 9, head_dim = 8, value_dim = 8;
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  Layout layout = Layout::kContiguous;
  Shape mask_shape;  // empty: none
  mo_dtype_t mask_dtype = MO_DTYPE_BOOL;
  Shape bias_shape;
  mo_dtype_t bias_dtype = MO_DTYPE_FLOAT32;
  bool transposed_masks = false;   // last stride not 1
  bool stride_zero_masks = false;  // full extents with strides of 0 instead of extents of 1
  std::vector<int64_t> lengths;
  mo_dtype_t length_dtype = MO_DTYPE_INT64;
  bool causal = false;
  int64_t causal_offset = MO_CAUSAL_OFFSET_DEFAULT;
  int64_t window = 0;
  float scale = 0, soft_cap = 0;
  bool weights = false;
  mo_weights_reduction_t reduction = MO_WEIGHTS_REDUCTION_NONE;
  std::vector<int32_t> weight_heads;
  int64_t last_rows = 0;
  mo_dtype_t weights_dtype = MO_DTYPE_FLOAT32;
  bool log_sum_exp = true;
  double spread = 1.0;  // queries are drawn from -spread..spread
  int32_t threads = 2;
};

// Everything one call needs, with sources drawn from a fixed seed and poisoned destinations.
struct Problem {
  Case c;
  TestTensor query, key, value, output, weights, log_sum_exp, mask, bias, lengths;

  explicit Problem(const Case &given, unsigned seed = 7) : c(given) {
    std::mt19937 random(seed);
    const int64_t heads = c.heads, kv = c.kv_heads, d = c.head_dim, dv = c.value_dim;
    query = source(c.heads, c.queries, d, 0);
    key = source(kv, c.keys, d, heads * d);
    value = source(kv, c.keys, dv, heads * d + kv * d);
    query.fill_uniform(random, -c.spread, c.spread);
    key.fill_uniform(random, -1, 1);
    value.fill_uniform(random, -1, 1);
    if (c.layout == Layout::kContiguous) {
      output = TestTensor(c.dtype, {c.batch, heads, c.queries, dv});
    } else {  // a view of (batch, queries, heads * value_dim), the rows a little apart
      const int64_t row = heads * dv + (c.layout == Layout::kRowPadded ? 3 : 0);
      output = TestTensor(c.dtype, {c.batch, heads, c.queries, dv}, {c.queries * row, dv, row, 1});
    }
    const int64_t selected_heads = c.weight_heads.empty() ? heads : static_cast<int64_t>(c.weight_heads.size());
    const int64_t selected_rows = c.last_rows > 0 ? c.last_rows : c.queries;
    const Shape shape = {c.batch, c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : selected_heads,
                         c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected_rows, c.keys};
    Shape strides = TestTensor::contiguous(shape);
    if (c.layout == Layout::kRowPadded) strides = {shape[1] * shape[2] * (c.keys + 5), shape[2] * (c.keys + 5), c.keys + 5, 1};
    weights = TestTensor(c.weights_dtype, shape, strides);
    log_sum_exp = TestTensor(MO_DTYPE_FLOAT32, {c.batch, heads, c.queries});
    if (!c.mask_shape.empty()) {
      mask = masks(c.mask_dtype, c.mask_shape);
      std::bernoulli_distribution visible(0.7);
      mask.for_each([&](const Shape &index) { mask.set(index, visible(random) ? 1 : 0); });
    }
    if (!c.bias_shape.empty()) {
      bias = masks(c.bias_dtype, c.bias_shape);
      bias.fill_uniform(random, -3, 3);
    }
    if (!c.lengths.empty()) {
      lengths = TestTensor(c.length_dtype, {c.batch});
      for (int64_t b = 0; b < c.batch; ++b) lengths.set({b}, static_cast<double>(c.lengths[static_cast<size_t>(b)]));
    }
  }

  mo_status_t run(mo_context_t *context, const std::function<void(mo_attention_params &)> &change = {}) {
    const mo_tensor q = query.tensor(), k = key.tensor(), v = value.tensor(), o = output.tensor(), w = weights.tensor(),
                    l = log_sum_exp.tensor(), m = mask.tensor(), a = bias.tensor(), n = lengths.tensor();
    mo_attention_params params = shim_attention_params();
    params.query = &q, params.key = &k, params.value = &v, params.output = &o;
    if (c.weights) params.weights = &w;
    if (c.log_sum_exp) params.log_sum_exp = &l;
    if (!c.mask_shape.empty()) params.mask = &m;
    if (!c.bias_shape.empty()) params.bias = &a;
    if (!c.lengths.empty()) params.key_lengths = &n;
    params.causal = c.causal, params.causal_offset = c.causal_offset, params.sliding_window = c.window;
    params.scale = c.scale, params.soft_cap = c.soft_cap;
    params.weights_reduction = c.reduction;
    params.weight_heads = {c.weight_heads.data(), static_cast<int32_t>(c.weight_heads.size())};
    params.weight_last_rows = c.last_rows;
    if (change) change(params);
    return test_attention(context, &params);
  }

  bool sees(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const int64_t offset = c.causal_offset == MO_CAUSAL_OFFSET_DEFAULT ? c.keys - c.queries : c.causal_offset;
    const double position = static_cast<double>(offset) + static_cast<double>(i);  // cannot overflow
    if (c.causal && static_cast<double>(j) > position) return false;
    if (c.window > 0 && std::fabs(position - static_cast<double>(j)) >= static_cast<double>(c.window)) return false;
    if (!c.lengths.empty() && j >= c.lengths[static_cast<size_t>(b)]) return false;
    return c.mask_shape.empty() || mask.at({b, h, i, j}) != 0;
  }

 private:
  TestTensor source(int64_t heads, int64_t length, int64_t dim, int64_t offset) const {
    const Shape shape = {c.batch, heads, length, dim};
    if (c.layout == Layout::kContiguous) return TestTensor(c.dtype, shape);
    const int64_t row =
        c.heads * c.head_dim + c.kv_heads * (c.head_dim + c.value_dim) + (c.layout == Layout::kRowPadded ? 1 : 0);
    return TestTensor(c.dtype, shape, {length * row, dim, row, 1}, offset);
  }
  TestTensor masks(mo_dtype_t dtype, Shape shape) const {
    Shape strides = TestTensor::contiguous(shape);
    if (c.transposed_masks) strides = {shape[1] * shape[2] * shape[3], shape[2] * shape[3], 1, shape[2]};
    if (c.stride_zero_masks) {
      const Shape full = {c.batch, c.heads, c.queries, c.keys};
      for (size_t i = 0; i < 4; ++i)
        if (shape[i] == 1) strides[i] = 0, shape[i] = full[i];
    }
    return TestTensor(dtype, shape, strides);
  }
};

template <typename Real>
struct Plain {
  std::vector<Real> output, weights, log_sum_exp;  // weights: all heads and rows
};

template <typename Real>
inline std::vector<Real> rows_of(const TestTensor &buffer, int64_t b, int64_t h, int64_t rows, int64_t width) {
  std::vector<Real> result;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < width; ++d) result.push_back(static_cast<Real>(buffer.at({b, h, i, d})));
  return result;
}

template <typename Real>
inline Plain<Real> plain(const Problem &p) {
  const Case &c = p.c;
  const Real infinity = std::numeric_limits<Real>::infinity();
  const Real scale = c.scale != 0 ? static_cast<Real>(c.scale) : 1 / std::sqrt(static_cast<Real>(c.head_dim));
  Plain<Real> result;
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t g = h / (c.heads / c.kv_heads);
      const std::vector<Real> query = rows_of<Real>(p.query, b, h, c.queries, c.head_dim);
      const std::vector<Real> key = rows_of<Real>(p.key, b, g, c.keys, c.head_dim);
      const std::vector<Real> value = rows_of<Real>(p.value, b, g, c.keys, c.value_dim);
      for (int64_t i = 0; i < c.queries; ++i) {
        std::vector<Real> row(static_cast<size_t>(c.keys), -infinity), output(static_cast<size_t>(c.value_dim), 0);
        Real maximum = -infinity, sum = 0;
        for (int64_t j = 0; j < c.keys; ++j) {
          if (!p.sees(b, h, i, j)) continue;
          Real dot = 0;
          for (int64_t d = 0; d < c.head_dim; ++d) {
            dot += query[static_cast<size_t>(i * c.head_dim + d)] * key[static_cast<size_t>(j * c.head_dim + d)];
          }
          Real s = dot * scale;
          if (c.soft_cap > 0) s = static_cast<Real>(c.soft_cap) * std::tanh(s / static_cast<Real>(c.soft_cap));
          if (!c.bias_shape.empty()) s += static_cast<Real>(p.bias.at({b, h, i, j}));
          row[static_cast<size_t>(j)] = s;
          maximum = std::max(maximum, s);
        }
        const bool nothing = maximum == -infinity;
        for (Real &s : row) {
          s = nothing ? Real(1) : std::exp(s - maximum);
          sum += s;
        }
        for (int64_t j = 0; j < c.keys; ++j) {
          Real &w = row[static_cast<size_t>(j)];
          w /= sum;
          if (w == 0) continue;
          for (int64_t d = 0; d < c.value_dim; ++d) {
            output[static_cast<size_t>(d)] += w * value[static_cast<size_t>(j * c.value_dim + d)];
          }
        }
        result.log_sum_exp.push_back(nothing ? std::log(static_cast<Real>(c.keys)) - static_cast<Real>(FLT_MAX)
                                             : maximum + std::log(sum));
        result.output.insert(result.output.end(), output.begin(), output.end());
        result.weights.insert(result.weights.end(), row.begin(), row.end());
      }
    }
  }
  return result;
}

// Selection and reduction of plain weights, in the order of the weights tensor.
template <typename Real>
inline std::vector<Real> selected(const Case &c, const std::vector<Real> &all) {
  std::vector<int64_t> heads;
  for (int32_t h : c.weight_heads) heads.push_back(h < 0 ? h + c.heads : h);
  for (int64_t h = 0; c.weight_heads.empty() && h < c.heads; ++h) heads.push_back(h);
  const int64_t first = c.last_rows > 0 ? c.queries - c.last_rows : 0;
  const auto at = [&](int64_t b, int64_t h, int64_t i, int64_t j) {
    return all[static_cast<size_t>(((b * c.heads + h) * c.queries + i) * c.keys + j)];
  };
  std::vector<Real> result;
  for (int64_t b = 0; b < c.batch; ++b) {
    if (c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN) {
      for (int64_t i = first; i < c.queries; ++i) {
        for (int64_t j = 0; j < c.keys; ++j) {
          Real sum = 0;
          for (int64_t h : heads) sum += at(b, h, i, j);
          result.push_back(sum / static_cast<Real>(heads.size()));
        }
      }
      continue;
    }
    for (int64_t h : heads) {
      if (c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM) {
        for (int64_t j = 0; j < c.keys; ++j) {
          Real sum = 0;
          for (int64_t i = first; i < c.queries; ++i) sum += at(b, h, i, j);
          result.push_back(sum);
        }
        continue;
      }
      for (int64_t i = first; i < c.queries; ++i)
        for (int64_t j = 0; j < c.keys; ++j) result.push_back(at(b, h, i, j));
    }
  }
  return result;
}

inline void expect_close(const char *what, const TestTensor &got, const std::vector<double> &exact,
                         const std::vector<float> &in_float) {
  double bound = 0, largest = 0, worst = 0;
  for (size_t n = 0; n < exact.size(); ++n) {
    bound = std::max(bound, std::fabs(rounded(got.dtype(), in_float[n]) - exact[n]));
    largest = std::max(largest, std::fabs(exact[n]));
  }
  bound = 2 * bound + 2e-6 * largest;
  size_t n = 0, not_numbers = 0;
  got.for_each([&](const Shape &index) {
    const double difference = std::fabs(got.at(index) - exact[n++]);
    if (std::isnan(difference)) ++not_numbers;
    else worst = std::max(worst, difference);
  });
  EXPECT_EQ(n, exact.size()) << what;
  EXPECT_EQ(not_numbers, 0u) << what;
  EXPECT_LE(worst, bound) << what;
}

inline void check(const Case &c, unsigned seed = 7) {
  SCOPED_TRACE(testing::Message() << "B" << c.batch << " H" << c.heads << "/" << c.kv_heads << " S" << c.queries << "x"
                                  << c.keys << " D" << c.head_dim << "/" << c.value_dim << " " << mo_dtype_name(c.dtype));
  Context context(c.threads);
  Problem p(c, seed);
  ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
  const Plain<double> exact = plain<double>(p);
  const Plain<float> in_float = plain<float>(p);
  expect_close("output", p.output, exact.output, in_float.output);
  EXPECT_TRUE(p.output.outside_is_untouched());
  if (c.weights) {
    expect_close("weights", p.weights, selected(c, exact.weights), selected(c, in_float.weights));
    EXPECT_TRUE(p.weights.outside_is_untouched());
    const std::vector<double> wanted = selected(c, exact.weights);
    size_t n = 0, wrong = 0;  // masked is exactly 0
    p.weights.for_each([&](const Shape &index) { wrong += wanted[n++] == 0 && p.weights.at(index) != 0; });
    EXPECT_EQ(wrong, 0u);
  } else {
    EXPECT_TRUE(p.weights.is_untouched());
  }
  if (c.log_sum_exp) {
    size_t n = 0;
    p.log_sum_exp.for_each([&](const Shape &index) {
      const double wanted = exact.log_sum_exp[n++], got = p.log_sum_exp.at(index);
      if (wanted < -1e30) EXPECT_EQ(got, -static_cast<double>(FLT_MAX));
      else EXPECT_NEAR(got, wanted, 1e-5 * std::max(1.0, std::fabs(wanted)));
    });
    EXPECT_TRUE(p.log_sum_exp.outside_is_untouched());
  } else {
    EXPECT_TRUE(p.log_sum_exp.is_untouched());
  }
}

const mo_dtype_t kDtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

}  // namespace attention_problem

#endif
