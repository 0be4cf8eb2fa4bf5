// tests/ops/attention_test.cc - attention against a plain double-precision computation.
//
// Bound: at most twice the error of the same computation done plainly in float32 (and rounded to the stored type), plus 2e-6 of
// the largest value.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>

#include "attention_buffer.h"
#include "attention_shim.h"
#include "modelout/context.h"
#include "tests/support/scoped_context.h"

namespace {

using test_support::Context;

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
  Buffer query, key, value, output, weights, log_sum_exp, mask, bias, lengths;

  explicit Problem(const Case &given, unsigned seed = 7) : c(given) {
    std::mt19937 random(seed);
    const int64_t heads = c.heads, kv = c.kv_heads, d = c.head_dim, dv = c.value_dim;
    query = source(c.heads, c.queries, d, 0);
    key = source(kv, c.keys, d, heads * d);
    value = source(kv, c.keys, dv, heads * d + kv * d);
    query.fill_random(random, -c.spread, c.spread);
    key.fill_random(random, -1, 1);
    value.fill_random(random, -1, 1);
    if (c.layout == Layout::kContiguous) {
      output = Buffer(c.dtype, {c.batch, heads, c.queries, dv});
    } else {  // a view of (batch, queries, heads * value_dim), the rows a little apart
      const int64_t row = heads * dv + (c.layout == Layout::kRowPadded ? 3 : 0);
      output = Buffer(c.dtype, {c.batch, heads, c.queries, dv}, {c.queries * row, dv, row, 1});
    }
    const int64_t selected_heads = c.weight_heads.empty() ? heads : static_cast<int64_t>(c.weight_heads.size());
    const int64_t selected_rows = c.last_rows > 0 ? c.last_rows : c.queries;
    const Shape shape = {c.batch, c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : selected_heads,
                         c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected_rows, c.keys};
    Shape strides = Buffer::contiguous(shape);
    if (c.layout == Layout::kRowPadded) strides = {shape[1] * shape[2] * (c.keys + 5), shape[2] * (c.keys + 5), c.keys + 5, 1};
    weights = Buffer(c.weights_dtype, shape, strides);
    log_sum_exp = Buffer(MO_DTYPE_FLOAT32, {c.batch, heads, c.queries});
    if (!c.mask_shape.empty()) {
      mask = masks(c.mask_dtype, c.mask_shape);
      std::bernoulli_distribution visible(0.7);
      mask.for_each([&](const Shape &index) { mask.set(index, visible(random) ? 1 : 0); });
    }
    if (!c.bias_shape.empty()) {
      bias = masks(c.bias_dtype, c.bias_shape);
      bias.fill_random(random, -3, 3);
    }
    if (!c.lengths.empty()) {
      lengths = Buffer(c.length_dtype, {c.batch});
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
  Buffer source(int64_t heads, int64_t length, int64_t dim, int64_t offset) const {
    const Shape shape = {c.batch, heads, length, dim};
    if (c.layout == Layout::kContiguous) return Buffer(c.dtype, shape);
    const int64_t row =
        c.heads * c.head_dim + c.kv_heads * (c.head_dim + c.value_dim) + (c.layout == Layout::kRowPadded ? 1 : 0);
    return Buffer(c.dtype, shape, {length * row, dim, row, 1}, offset);
  }
  Buffer masks(mo_dtype_t dtype, Shape shape) const {
    Shape strides = Buffer::contiguous(shape);
    if (c.transposed_masks) strides = {shape[1] * shape[2] * shape[3], shape[2] * shape[3], 1, shape[2]};
    if (c.stride_zero_masks) {
      const Shape full = {c.batch, c.heads, c.queries, c.keys};
      for (size_t i = 0; i < 4; ++i)
        if (shape[i] == 1) strides[i] = 0, shape[i] = full[i];
    }
    return Buffer(dtype, shape, strides);
  }
};

template <typename Real>
struct Plain {
  std::vector<Real> output, weights, log_sum_exp;  // weights: all heads and rows
};

template <typename Real>
std::vector<Real> rows_of(const Buffer &buffer, int64_t b, int64_t h, int64_t rows, int64_t width) {
  std::vector<Real> result;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < width; ++d) result.push_back(static_cast<Real>(buffer.at({b, h, i, d})));
  return result;
}

template <typename Real>
Plain<Real> plain(const Problem &p) {
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
std::vector<Real> selected(const Case &c, const std::vector<Real> &all) {
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

void expect_close(const char *what, const Buffer &got, const std::vector<double> &exact, const std::vector<float> &in_float) {
  double bound = 0, largest = 0, worst = 0;
  for (size_t n = 0; n < exact.size(); ++n) {
    bound = std::max(bound, std::fabs(round_to(in_float[n], got.dtype()) - exact[n]));
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

void check(const Case &c, unsigned seed = 7) {
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

TEST(Attention, SimpleCallFromC) {
  Context context(1);
  const float query[4] = {1, 0, 0, 1}, key[4] = {1, 0, 0, 1}, value[4] = {1, 2, 3, 4};
  float output[4], weights[4];
  ASSERT_EQ(shim_attention_simple(context, output, weights, query, key, value, 1, 1, 2, 2), MO_STATUS_OK) << mo_last_error();
  const double large = 1 / (1 + std::exp(-std::sqrt(0.5)));
  EXPECT_NEAR(weights[0], large, 1e-6);
  EXPECT_NEAR(weights[1], 1 - large, 1e-6);
  EXPECT_NEAR(output[0], large + 3 * (1 - large), 1e-6);
  EXPECT_NEAR(output[3], 2 * (1 - large) + 4 * large, 1e-6);
}

TEST(Attention, Lengths) {
  for (int64_t n : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 63, 64, 65, 127, 129}) {
    for (bool weights : {false, true}) {
      Case c;
      c.heads = c.kv_heads = 2;
      c.queries = c.keys = n;
      c.head_dim = c.value_dim = 16;
      c.weights = weights;
      check(c);
      c.queries = n + 5;
      check(c);
      c.queries = 1;
      check(c);
    }
  }
}

TEST(Attention, MoreKeysThanOneBlockHolds) {
  for (int64_t n : {511, 512, 513, 1031}) {
    if (n == 1031 && test_device_is_simulated()) continue;
    for (bool weights : {false, true}) {
      Case c;
      c.batch = 1, c.heads = c.kv_heads = 2, c.queries = 67, c.keys = n, c.head_dim = 32, c.value_dim = 48;
      c.weights = weights;
      c.spread = 6;  // maxima that change from block to block
      check(c);
      c.causal = true;
      check(c);
      c.window = 40;
      check(c);
      c.bias_shape = {1, 2, 67, n};
      c.causal = false, c.window = 0;
      check(c);
      c.mask_shape = {1, 1, 1, n};
      check(c);
    }
  }
}

TEST(Attention, WideHeadsOfManyKeys) {
  for (int64_t keys : {545, 583}) {  // too many to keep a row's scores on chip
    Case c;
    c.batch = 1, c.heads = c.kv_heads = 1, c.queries = 67, c.keys = keys, c.head_dim = 256, c.value_dim = 256;
    c.dtype = c.weights_dtype = MO_DTYPE_BFLOAT16, c.weights = true;
    c.causal = true, c.causal_offset = 300, c.window = 90;
    check(c);
    c.causal_offset = -40;  // zeros, and rows without visible keys
    check(c);
  }
}

// float32 with weights: rows of scores that just fit the chip and that do not, for each width heads are padded to there; rows
// of the field that begin anywhere, keys that no row of a block sees on both sides of those it sees.
TEST(Attention, Float32WeightsOnAndOffTheChip) {
  const struct { int64_t dim, value_dim, fits; } widths[] = {{64, 24, 704}, {40, 128, 640}, {256, 136, 768}};
  int n = 0;
  for (const auto &width : widths) {
    for (const int64_t keys : {width.fits, width.fits + 5}) {
      for (const bool causal : {true, false}) {
        SCOPED_TRACE(n);
        Case c;
        c.batch = 1, c.heads = c.kv_heads = 2, c.queries = 67, c.keys = keys, c.head_dim = width.dim,
        c.value_dim = width.value_dim;
        c.weights = true, c.spread = 4, c.weights_dtype = kDtypes[n % 3];
        c.causal = causal, c.window = causal ? 90 : 0, c.causal_offset = causal ? 300 - 340 * (n % 4 / 2) : 0;
        if (n % 3 == 1) c.weight_heads = {-1};
        if (n % 3 != 0) c.last_rows = 30;
        if (!causal) c.lengths = {keys - 70}, c.layout = n % 4 == 1 ? Layout::kFused : Layout::kRowPadded;
        check(c, static_cast<unsigned>(n++));
      }
    }
  }
}

// Rows that begin at multiples of 16 bytes and do not end there.
TEST(Attention, AlignedRowsOfOddWidth) {
  for (const int64_t dim : {17, 33, 97}) {
    Case c;
    c.batch = 2, c.heads = c.kv_heads = 1, c.queries = 20, c.keys = 70, c.head_dim = c.value_dim = dim;
    c.layout = Layout::kRowPadded, c.weights = true;  // 3 * dim + 1
    check(c);
  }
}

TEST(Attention, HeadDims) {
  for (int64_t d : {1, 8, 17, 32, 64, 80, 128, 256}) {
    for (mo_dtype_t dtype : kDtypes) {
      for (Layout layout : {Layout::kContiguous, Layout::kFused, Layout::kRowPadded}) {
        Case c;
        c.heads = c.kv_heads = 3, c.queries = 13, c.keys = 37, c.head_dim = c.value_dim = d;
        c.dtype = c.weights_dtype = dtype, c.layout = layout, c.weights = layout != Layout::kFused;
        check(c);
        c.value_dim = d == 17 ? 64 : 17;
        check(c);
      }
    }
  }
}

TEST(Attention, GroupedQueries) {
  for (int64_t kv : {1, 2, 3, 6}) {
    Case c;
    c.heads = 6, c.kv_heads = kv, c.queries = 70, c.keys = 75, c.layout = Layout::kRowPadded, c.weights = true;
    check(c);
    c.lengths = {75, 20};
    check(c);
  }
}

TEST(Attention, MasksAloneAndTogether) {
  const int64_t rows = test_device_is_simulated() ? 17 : 35, keys = test_device_is_simulated() ? 33 : 41;
  const Shape shapes[] = {{},           {2, 4, rows, keys}, {2, 1, 1, keys}, {1, 4, rows, keys}, {1, 1, rows, keys},
                          {1, 1, 1, 1}, {2, 4, rows, 1}};
  int n = 0;
  for (const Shape &mask : shapes) {
    for (const Shape &bias : shapes) {
      for (int which = 0; which < 8; ++which, ++n) {
        if (test_device_is_simulated() && n % 5 != 0) continue;  // slow
        Case c;
        c.queries = rows, c.keys = keys, c.kv_heads = 2, c.layout = Layout::kFused;
        c.mask_shape = mask, c.bias_shape = bias;
        c.causal = (which & 1) != 0;
        c.window = (which & 2) != 0 ? 11 : 0;
        if ((which & 4) != 0) c.lengths = {29, keys};
        c.weights = which % 3 == 0;
        check(c, 11 + static_cast<unsigned>(which));
      }
    }
  }
}

TEST(Attention, MaskTypesAndStrides) {
  for (mo_dtype_t dtype : {MO_DTYPE_BOOL, MO_DTYPE_UINT8, MO_DTYPE_INT8, MO_DTYPE_INT32, MO_DTYPE_INT64}) {
    for (mo_dtype_t bias : kDtypes) {
      for (int layout = 0; layout < 3; ++layout) {
        Case c;
        c.queries = 19, c.keys = 23, c.weights = true, c.mask_dtype = dtype, c.bias_dtype = bias;
        c.dtype = bias, c.weights_dtype = MO_DTYPE_FLOAT32;
        c.mask_shape = c.bias_shape = {2, 4, 19, 23};
        c.transposed_masks = layout == 1;
        if (layout == 2) c.mask_shape = {2, 1, 1, 23}, c.bias_shape = {1, 4, 1, 23}, c.stride_zero_masks = true;
        check(c);
      }
    }
  }
}

TEST(Attention, ScaleCapAndOffset) {
  Case c;
  c.queries = 21, c.keys = 50, c.weights = true, c.spread = 4;
  c.scale = 0.7f;
  check(c);
  c.scale = -0.3f;
  check(c);
  c.scale = 0, c.soft_cap = 0.5f;
  check(c);
  c.window = 9;
  check(c);
  c.soft_cap = 30, c.causal = true;
  check(c);
  for (int64_t offset : {int64_t{0}, int64_t{-10}, int64_t{-100}, int64_t{1000}, INT64_MAX, INT64_MIN + 1}) {
    c.causal_offset = offset;
    check(c);
    c.window = 0;
    check(c);
  }
  c.causal_offset = MO_CAUSAL_OFFSET_DEFAULT, c.window = INT64_MAX;
  check(c);
}

TEST(Attention, WeightSelections) {
  const int64_t queries = test_device_is_simulated() ? 66 : 130, keys = test_device_is_simulated() ? 35 : 83;
  int n = 0;
  for (mo_weights_reduction_t reduction :
       {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
    for (const std::vector<int32_t> &heads : {std::vector<int32_t>{}, {2}, {3, 0}, {-1, 1}}) {
      for (int64_t rows : {int64_t{0}, int64_t{1}, queries - 60, queries}) {
        for (mo_dtype_t dtype : kDtypes) {
          if (test_device_is_simulated() && n++ % 5 != 0) continue;  // slow; 5 reaches every dtype
          Case c;
          c.queries = queries, c.keys = keys, c.kv_heads = 2, c.weights = true, c.reduction = reduction, c.weight_heads = heads;
          c.last_rows = rows, c.weights_dtype = dtype, c.layout = Layout::kRowPadded;
          c.causal = heads.size() == 2, c.log_sum_exp = rows != 1;
          check(c);
        }
      }
    }
  }
}

// 16-bit types take tensor cores for reductions as well: several tiles of rows and keys, every way of masking, head dims that
// are and are not whole pieces of the head.
TEST(Attention, ReducedWeightsOf16BitTypes) {
  int n = 0;
  for (int64_t d : {16, 40, 64, 80, 128, 256}) {
    for (mo_weights_reduction_t reduction : {MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      for (int i = 0; i < 3; ++i, ++n) {
        if (test_device_is_simulated() && (n + n / 6) % 3 == 2) continue;  // slow
        SCOPED_TRACE(n);
        Case c;
        c.batch = 1, c.kv_heads = 2, c.queries = 85, c.keys = 131, c.head_dim = d, c.value_dim = 16, c.spread = 3;
        c.dtype = n % 2 == 0 ? MO_DTYPE_FLOAT16 : MO_DTYPE_BFLOAT16;
        c.weights = true, c.reduction = reduction;
        c.causal = i == 0;
        switch ((n / 6 + i) % 6) {
          case 0:
            c.layout = Layout::kFused;
            break;
          case 1:
            c.window = 50, c.causal_offset = 20, c.weights_dtype = c.dtype;
            break;
          case 2:
            c.mask_shape = {1, 4, 85, 131}, c.bias_shape = {1, 1, 85, 131}, c.bias_dtype = c.dtype;
            break;
          case 3:
            c.lengths = {70}, c.causal_offset = -30, c.window = 60;  // many rows see nothing
            break;
          case 4:
            c.weight_heads = {3, -4, 1}, c.last_rows = 37, c.soft_cap = 5;
            break;
          default:
            c.bias_shape = {1, 4, 1, 131}, c.lengths = {128}, c.kv_heads = 4, c.weights_dtype = c.dtype;
        }
        check(c, 20 + static_cast<unsigned>(n));
      }
    }
  }
}

// The same in float32 arithmetic, which 16-bit types fall back to where their rows are not aligned.
TEST(Attention, ReducedWeightsInFloat32) {
  int n = 0;
  for (int64_t d : {40, 128, 200}) {
    for (mo_weights_reduction_t reduction : {MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      for (int i = 0; i < 2; ++i, ++n) {
        SCOPED_TRACE(n);
        Case c;
        c.batch = 1, c.kv_heads = 2, c.queries = 85, c.keys = 131, c.head_dim = d, c.value_dim = 16, c.spread = 3;
        c.dtype = n % 5 == 4 ? MO_DTYPE_BFLOAT16 : MO_DTYPE_FLOAT32;
        c.layout = n % 5 >= 3 ? Layout::kRowPadded : Layout::kFused;
        c.weights = true, c.reduction = reduction, c.weights_dtype = kDtypes[n % 3];
        if (n % 4 == 0) c.causal = true, c.causal_offset = -30, c.window = 60;  // many rows see nothing
        if (n % 4 == 1) c.mask_shape = {1, 4, 85, 131}, c.bias_shape = {1, 1, 85, 131}, c.bias_dtype = c.dtype;
        if (n % 4 == 2) c.lengths = {70}, c.weight_heads = {3, -4, 1}, c.last_rows = 37;
        if (n % 4 == 3) c.causal = true, c.soft_cap = 5;
        check(c, 40 + static_cast<unsigned>(n));
      }
    }
  }
}

TEST(Attention, KeysOfMinusInfinityLeaveReducedWeightsAlone) {
  for (mo_weights_reduction_t reduction : {MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
    Case c;
    c.batch = 1, c.heads = c.kv_heads = 2, c.queries = 5, c.keys = 9, c.head_dim = c.value_dim = 16;
    c.dtype = MO_DTYPE_BFLOAT16, c.weights = true, c.reduction = reduction;
    Problem p(c);
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t i = 0; i < c.queries; ++i) p.query.set({0, h, i, 0}, 1);
      p.key.set({0, h, 4, 0}, -std::numeric_limits<double>::infinity());
    }
    Context context(2);
    ASSERT_EQ(p.run(context), MO_STATUS_OK);
    p.weights.for_each([&](const Shape &index) {
      if (index[3] == 4) EXPECT_EQ(p.weights.at(index), 0.0);
      else EXPECT_GT(p.weights.at(index), 0.0);
    });
  }
}

TEST(Attention, RowsThatSeeNothingAreUniform) {
  for (bool weights : {false, true}) {
    for (mo_weights_reduction_t reduction :
         {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      Case c;
      c.queries = 20, c.keys = 12, c.weights = weights, c.reduction = reduction, c.value_dim = 16;
      c.causal = true;  // the first eight rows come before the first key
      check(c);
      c.causal = false;
      c.lengths = {0, 5};
      check(c);
      c.keys = 600;
      check(c);
      c.dtype = MO_DTYPE_BFLOAT16;
      check(c);
    }
  }
  Case c;  // an additive mask of -infinity, and one of the smallest number
  c.queries = 3, c.keys = 40, c.bias_shape = {1, 1, 1, 40}, c.weights = true;
  for (double hidden : {-std::numeric_limits<double>::infinity(), -static_cast<double>(FLT_MAX)}) {
    Context context(1);
    Problem p(c);
    for (int64_t j = 0; j < 40; ++j) p.bias.set({0, 0, 0, j}, hidden);
    ASSERT_EQ(p.run(context), MO_STATUS_OK);
    p.weights.for_each([&](const Shape &index) { EXPECT_FLOAT_EQ(static_cast<float>(p.weights.at(index)), 1.0f / 40); });
  }
}

TEST(Attention, KeysPastTheLengthAreNeverRead) {
  for (int64_t keys : {40, 700}) {
    for (bool weights : {false, true}) {
      Case c;
      c.keys = keys, c.queries = 18, c.lengths = {keys - 3, 17}, c.weights = weights;
      Context context(2);
      Problem clean(c), dirty(c);
      const double nan = std::numeric_limits<double>::quiet_NaN();
      for (int64_t b = 0; b < c.batch; ++b)
        for (int64_t h = 0; h < c.kv_heads; ++h)
          for (int64_t j = c.lengths[static_cast<size_t>(b)]; j < keys; ++j)
            for (int64_t d = 0; d < c.head_dim; ++d) dirty.key.set({b, h, j, d}, nan), dirty.value.set({b, h, j, d}, nan);
      ASSERT_EQ(clean.run(context), MO_STATUS_OK);
      ASSERT_EQ(dirty.run(context), MO_STATUS_OK);
      EXPECT_EQ(clean.output.bytes(), dirty.output.bytes());
      EXPECT_EQ(clean.weights.bytes(), dirty.weights.bytes());
    }
  }
}

TEST(Attention, NotANumberPassesThroughWhereItIsVisible) {
  Case c;
  c.queries = 4, c.keys = 30, c.weights = true, c.batch = 1;
  Context context(1);
  Problem p(c);
  p.query.set({0, 1, 2, 0}, std::numeric_limits<double>::quiet_NaN());
  ASSERT_EQ(p.run(context), MO_STATUS_OK);
  p.weights.for_each([&](const Shape &index) { EXPECT_EQ(std::isnan(p.weights.at(index)), index[1] == 1 && index[2] == 2); });
}

TEST(Attention, EmptyExtents) {
  Context context(2);
  Case c;
  c.keys = 0, c.weights = true;
  Problem no_keys(c);
  ASSERT_EQ(no_keys.run(context), MO_STATUS_OK) << mo_last_error();
  no_keys.output.for_each([&](const Shape &index) { EXPECT_EQ(no_keys.output.at(index), 0.0); });
  for (int which = 0; which < 4; ++which) {
    Case empty;
    empty.weights = true;
    if (which == 0) empty.batch = 0;
    if (which == 1) empty.queries = 0;
    if (which == 2) empty.heads = empty.kv_heads = 0;
    if (which == 3) empty.value_dim = 0;
    Problem p(empty);
    EXPECT_EQ(p.run(context), MO_STATUS_OK) << which << ": " << mo_last_error();
    EXPECT_TRUE(p.output.outside_is_untouched());
    if (which == 3) p.weights.for_each([&](const Shape &index) { EXPECT_FALSE(std::isnan(p.weights.at(index))); });
  }
}

TEST(Attention, LargeAndIdenticalFromRunToRun) {
  Case c;
  c.batch = 1, c.heads = c.kv_heads = 12, c.queries = c.keys = 300, c.head_dim = c.value_dim = 64, c.layout = Layout::kFused;
  if (test_device_is_simulated()) c.heads = c.kv_heads = 2, c.queries = c.keys = 130;
  for (mo_weights_reduction_t reduction :
       {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
    c.weights = true, c.reduction = reduction;
    if (reduction == MO_WEIGHTS_REDUCTION_NONE) check(c);
    else c.dtype = MO_DTYPE_BFLOAT16;
    Problem first(c);
    Context context(2);
    ASSERT_EQ(first.run(context), MO_STATUS_OK);
    for (int32_t threads : {2, 2, 1, 5}) {
      Problem again(c);
      Context other(threads);
      ASSERT_EQ(again.run(other), MO_STATUS_OK);
      EXPECT_EQ(first.output.bytes(), again.output.bytes());
      EXPECT_EQ(first.weights.bytes(), again.weights.bytes());
      EXPECT_EQ(first.log_sum_exp.bytes(), again.log_sum_exp.bytes());
    }
  }
}

TEST(Attention, RepeatedCallsDoNotAllocate) {
  TEST_ON_CPU_ONLY("the copies of the tensors are allocated elsewhere; a captured forward pass shows it there");
  Context context(2);
  Case c;
  c.weights = true;
  Problem p(c);
  ASSERT_EQ(p.run(context), MO_STATUS_OK);
  const uint64_t before = mo_context_get_counters(context).device_allocations;
  ASSERT_EQ(p.run(context), MO_STATUS_OK);
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, before);
}

// ---- The front door ----

class AttentionErrors : public testing::Test {
 protected:
  void refuses(const char *rule, const std::function<void(mo_attention_params &)> &change) {
    EXPECT_EQ(p_.run(context_, change), MO_STATUS_INVALID_ARGUMENT) << rule;
    EXPECT_EQ(std::string(mo_last_error()).rfind("attention: ", 0), 0u) << rule << ": " << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(rule), std::string::npos) << rule << ": " << mo_last_error();
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(p_.output.is_untouched() && p_.weights.is_untouched() && p_.log_sum_exp.is_untouched()) << rule;
  }
  // The same with one tensor changed.
  void refuses(const char *rule, const mo_tensor *mo_attention_params::*member,
               const std::function<void(mo_tensor &)> &change) {
    refuses(rule, [&](mo_attention_params &params) {
      changed_ = *(params.*member);
      change(changed_);
      params.*member = &changed_;
    });
  }
  static Case everything() {
    Case c;
    c.weights = true, c.mask_shape = c.bias_shape = {2, 1, 1, 9}, c.lengths = {9, 4};
    return c;
  }
  Context context_{2};
  Problem p_{everything()};
  mo_tensor changed_ = {};
};

TEST_F(AttentionErrors, ContextAndParams) {
  EXPECT_EQ(p_.run(nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("attention: "), std::string::npos);
  EXPECT_EQ(test_attention(context_, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("attention: "), std::string::npos);
  refuses("struct_size", [](mo_attention_params &params) { params.struct_size = 8; });
}

TEST_F(AttentionErrors, Tensors) {
  using P = mo_attention_params;
  const mo_tensor *P::*const all[] = {&P::output, &P::weights, &P::log_sum_exp, &P::query,      &P::key,
                                      &P::value,  &P::mask,    &P::bias,        &P::key_lengths};
  const char *const names[] = {"output", "weights", "log_sum_exp", "query", "key", "value", "mask", "bias", "key_lengths"};
  for (size_t i = 0; i < 9; ++i) {
    refuses(names[i], all[i], [](mo_tensor &t) { t.dtype = MO_DTYPE_NONE; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT8_E4M3; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.rank = 2; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.device = {MO_DEVICE_KIND_CUDA, 0}; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.data = nullptr; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.shape[0] = -1; });
    refuses("extent", all[i], [](mo_tensor &t) { t.shape[0] = 5; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.shape[0] = INT64_MAX; });
    if (i < 3 || (i > 2 && i < 6)) refuses(names[i], all[i], [](mo_tensor &t) { t.data = static_cast<char *>(t.data) + 1; });
  }
  for (size_t i : {0u, 1u, 3u, 4u, 5u}) refuses(names[i], all[i], [](mo_tensor &t) { t.strides[3] = 2; });
  for (size_t i : {0u, 1u, 2u}) refuses(names[i], all[i], [](mo_tensor &t) { t.strides[1] = 0; });
  for (const mo_tensor *P::*member : {&P::output, &P::query, &P::key, &P::value}) {
    refuses(" is NULL", [&](mo_attention_params &params) { params.*member = nullptr; });
  }
}

TEST_F(AttentionErrors, Agreement) {
  using P = mo_attention_params;
  refuses("not one", &P::key, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  refuses("not one", &P::value, [](mo_tensor &t) { t.dtype = MO_DTYPE_BFLOAT16; });
  refuses("output has dtype float16", &P::output, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  refuses("bias", &P::bias, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  refuses("4 query heads are not a multiple of 3 key/value heads", &P::key, [](mo_tensor &t) { t.shape[1] = 3; });
  refuses("0 key/value heads", &P::key, [](mo_tensor &t) { t.shape[1] = 0; });
  refuses("value", &P::value, [](mo_tensor &t) { t.shape[1] = 2; });
  refuses("value", &P::value, [](mo_tensor &t) { t.shape[2] = 8; });
  refuses("key", &P::key, [](mo_tensor &t) { t.shape[3] = 7; });
  refuses("head dim 0", &P::query, [](mo_tensor &t) { t.shape[3] = 0; });
  refuses("output", &P::output, [](mo_tensor &t) { t.shape[2] = 8; });
  refuses("mask", &P::mask, [](mo_tensor &t) { t.shape[3] = 8; });
  refuses("bias", &P::bias, [](mo_tensor &t) { t.shape[1] = 2; });
  refuses("key_lengths", &P::key_lengths, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT32; });
}

TEST_F(AttentionErrors, Options) {
  refuses("scale", [](mo_attention_params &params) { params.scale = NAN; });
  refuses("scale", [](mo_attention_params &params) { params.scale = INFINITY; });
  refuses("soft cap", [](mo_attention_params &params) { params.soft_cap = -1; });
  refuses("soft cap", [](mo_attention_params &params) { params.soft_cap = NAN; });
  refuses("sliding window", [](mo_attention_params &params) { params.sliding_window = -1; });
  refuses("reduction", [](mo_attention_params &params) { params.weights_reduction = static_cast<mo_weights_reduction_t>(3); });
  refuses("last 10 rows of 9", [](mo_attention_params &params) { params.weight_last_rows = 10; });
  refuses("last -1 rows", [](mo_attention_params &params) { params.weight_last_rows = -1; });
  refuses("weights", [](mo_attention_params &params) { params.weight_last_rows = 2; });
  refuses("weights", [](mo_attention_params &params) { params.weights_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN; });
  static const int32_t outside[] = {4}, twice[] = {1, -3}, below[] = {-5}, one[] = {1};
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {outside, 1}; });
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {below, 1}; });
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {twice, 2}; });
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {nullptr, 2}; });
  refuses("weights", [](mo_attention_params &params) { params.weight_heads = {one, 1}; });
}

TEST_F(AttentionErrors, LengthsOutsideTheKeys) {
  TEST_ON_CPU_ONLY("only the CPU looks at lengths before it runs");
  p_.lengths.set({1}, 10);
  refuses("key_lengths[1] is 10, outside 0..9", [](mo_attention_params &) {});
  p_.lengths.set({1}, -1);
  refuses("key_lengths[1] is -1", [](mo_attention_params &) {});
}

TEST_F(AttentionErrors, Overlaps) {
  using P = mo_attention_params;
  const mo_tensor query = p_.query.tensor(), key = p_.key.tensor(), value = p_.value.tensor(), output = p_.output.tensor(),
                  weights = p_.weights.tensor();
  refuses("output overlaps query", &P::output, [&](mo_tensor &t) { t.data = query.data; });
  refuses("output overlaps key", &P::output, [&](mo_tensor &t) { t.data = key.data; });
  refuses("output overlaps value", &P::output, [&](mo_tensor &t) { t.data = value.data; });
  refuses("output overlaps weights", &P::weights, [&](mo_tensor &t) { t.data = output.data; });
  refuses("weights overlaps log_sum_exp", &P::log_sum_exp, [&](mo_tensor &t) { t.data = weights.data; });
  refuses("weights overlaps bias", &P::bias, [&](mo_tensor &t) { t.data = weights.data; });
}

TEST_F(AttentionErrors, ScratchThatCannotBeAddressed) {
  TEST_ON_CPU_ONLY("only the CPU's scratch grows with the keys");
  int16_t zero = 0;
  mo_tensor keys = {};  // one element, broadcast over more keys than any machine could hold scores for
  keys.data = &zero, keys.dtype = MO_DTYPE_FLOAT16, keys.device = {MO_DEVICE_KIND_CPU, 0}, keys.rank = 4;
  for (int i = 0; i < 4; ++i) keys.shape[i] = 1;
  keys.shape[2] = INT64_C(1) << 61;
  keys.strides[3] = 1;
  mo_tensor query = keys;
  query.shape[2] = 1;
  int16_t result = 77;
  mo_tensor output = query;
  output.data = &result;
  const auto huge = [&](mo_attention_params &params) {
    params = shim_attention_params();
    params.query = &query, params.key = params.value = &keys, params.output = &output;
  };
  EXPECT_EQ(p_.run(context_, huge), MO_STATUS_OUT_OF_MEMORY);
  EXPECT_EQ(std::string(mo_last_error()).rfind("attention: ", 0), 0u) << mo_last_error();
  EXPECT_EQ(result, 77);
  EXPECT_EQ(p_.run(context_), MO_STATUS_OK);
}

TEST(AttentionProcess, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
