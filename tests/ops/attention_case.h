// tests/ops/attention_case.h - one call of attention over sequences of different lengths, packed or in a cache, and a plain
// double-precision computation of every sequence for itself.
//
// Bound: at most twice the error of the same computation done plainly in float32, with weights rounded to the stored type
// before they meet the values and results after, plus 2e-6 of the largest value. Every slot of a cache that no sequence owns,
// and every packed token between sequences, is NaN.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_OPS_ATTENTION_CASE_H
#define MO_TESTS_OPS_ATTENTION_CASE_H

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>

#include "modelout/context.h"
#include "tests/support/device_mirror.h"
#include "tests/support/instruction_sets.h"
#include "tests/support/scoped_context.h"
#include "tests/support/test_tensor.h"

namespace attention_case {

using test_support::Context;
using test_support::rounded;
using test_support::Shape;
using test_support::TestTensor;

enum class Keys { kPlain, kPacked, kCache };

struct Case {
  int64_t heads = 4, kv_heads = 2, head_dim = 16, value_dim = 16;
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  std::vector<int64_t> queries, keys;  // lengths; queries that are not packed, and plain keys, are alike
  bool packed_queries = true;
  bool tokens_first = true;  // packed tensors are (T, H, D)
  int64_t query_bound = 0, key_bound = 0;
  Keys source = Keys::kPacked;
  // Cache: pages of page_size, or contiguous with `capacity` slots.
  int64_t page_size = 0, capacity = 0, groups = 1;
  bool pages_nhd = false;
  mo_dtype_t stored = MO_DTYPE_NONE;  // NONE: dtype
  bool missing_pages = false;         // some table entries are no pages
  bool lengths_given = true;          // key_lengths of a cache
  mo_dtype_t length_dtype = MO_DTYPE_INT32;
  std::vector<int64_t> limits;  // key_lengths over packed or plain keys: a mask
  bool causal = false;
  int64_t causal_offset = MO_CAUSAL_OFFSET_DEFAULT;
  std::vector<int64_t> offsets;
  int64_t window = 0;
  float soft_cap = 0;
  bool mask = false, bias = false, log_sum_exp = true, weights = false;
  mo_weights_reduction_t reduction = MO_WEIGHTS_REDUCTION_NONE;
  std::vector<int32_t> weight_heads;
  int64_t last_rows = 0;
  mo_dtype_t weights_dtype = MO_DTYPE_FLOAT32;
};

inline int64_t longest(const std::vector<int64_t> &lengths) {
  int64_t result = 0;
  for (int64_t length : lengths) result = std::max(result, length);
  return result;
}

// What a code of quantised storage means, by the definition of the format.
inline double meaning(mo_dtype_t dtype, int code) {
  if (dtype == MO_DTYPE_INT8) return static_cast<int8_t>(code);
  const int exponent = code >> 3 & 15, fraction = code & 7;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 10);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

// Keys or values of all sequences in one of the three layouts. value(n, h, j, d) is what attention must see there.
class Side {
 public:
  Side() = default;
  Side(const Case &c, int64_t width, std::mt19937 &random, const std::vector<int32_t> &table)
      : width_(width), heads_(c.kv_heads), longest_(longest(c.keys)) {
    const int64_t count = static_cast<int64_t>(c.keys.size());
    const mo_dtype_t stored = c.stored == MO_DTYPE_NONE ? c.dtype : c.stored;
    const bool quantised = stored == MO_DTYPE_INT8 || stored == MO_DTYPE_FLOAT8_E4M3;
    seen_.assign(static_cast<size_t>(count * heads_ * longest_ * width), 0);
    if (c.source == Keys::kPacked) {
      int64_t tokens = 3;
      for (int64_t length : c.keys) first_.push_back(tokens), tokens += length;
      tokens += 2;
      buffer = TestTensor(c.dtype, {1, heads_, tokens, width}, packed_strides(c, heads_, tokens, width));
    } else if (c.source == Keys::kPlain) {
      buffer = TestTensor(c.dtype, {count, heads_, longest_, width});
    } else {
      const int64_t slots = c.page_size > 0 ? c.page_size : c.capacity;
      const int64_t blocks = c.page_size > 0 ? static_cast<int64_t>(table.size()) + 2 : count;
      buffer = make(stored, {blocks, heads_, slots, width}, c.pages_nhd);
      if (quantised) scale = make(MO_DTYPE_FLOAT32, {blocks, heads_, slots, c.groups}, c.pages_nhd);
    }
    std::uniform_real_distribution<double> draw(-1, 1), scales(0.002, 0.02);
    std::uniform_int_distribution<int> codes(0, 255);
    const int64_t pages = c.page_size > 0 ? static_cast<int64_t>(table.size()) / std::max<int64_t>(count, 1) : 0;
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t j = 0; j < c.keys[static_cast<size_t>(n)]; ++j) {
        int64_t block = n, slot = j;
        if (c.source == Keys::kPacked) block = 0, slot = first_[static_cast<size_t>(n)] + j;
        if (c.source == Keys::kCache && c.page_size > 0) {
          block = table[static_cast<size_t>(n * pages + j / c.page_size)], slot = j % c.page_size;
          if (block < 0 || block >= static_cast<int64_t>(table.size()) + 2) continue;  // reads as zeros
        }
        for (int64_t h = 0; h < heads_; ++h) {
          for (int64_t d = 0; d < width; ++d) {
            double &value = seen_[index(n, h, j, d)];
            if (!quantised) {
              buffer.set({block, h, slot, d}, draw(random));
              value = buffer.at({block, h, slot, d});
              continue;
            }
            const int64_t group = d / (width / c.groups);
            if (d % (width / c.groups) == 0) scale.set({block, h, slot, group}, scales(random));
            int code = codes(random);
            if (stored == MO_DTYPE_FLOAT8_E4M3 && (code & 0x7F) == 0x7F) code ^= 1;
            const double factor = scale.at({block, h, slot, group}) * (stored == MO_DTYPE_FLOAT8_E4M3 ? 0.25 : 1);
            if (d % (width / c.groups) == 0) scale.set({block, h, slot, group}, factor);
            buffer.set({block, h, slot, d}, stored == MO_DTYPE_INT8 ? static_cast<int8_t>(code) : code);
            const double own = scale.at({block, h, slot, group});
            value = rounded(c.dtype, static_cast<float>(meaning(stored, code) * own));
          }
        }
      }
    }
  }
  double value(int64_t n, int64_t h, int64_t j, int64_t d) const { return seen_[index(n, h, j, d)]; }

  static Shape packed_strides(const Case &c, int64_t heads, int64_t tokens, int64_t width) {
    return c.tokens_first ? Shape{tokens * heads * width, width, heads * width, 1}
                          : Shape{heads * tokens * width, tokens * width, width, 1};
  }

  TestTensor buffer, scale;
  std::vector<int64_t> first_;

 private:
  static TestTensor make(mo_dtype_t dtype, const Shape &shape, bool nhd) {
    if (!nhd) return TestTensor(dtype, shape);
    return TestTensor(dtype, shape, {shape[1] * shape[2] * shape[3], shape[3], shape[1] * shape[3], 1});
  }
  size_t index(int64_t n, int64_t h, int64_t j, int64_t d) const {
    return static_cast<size_t>(((n * heads_ + h) * longest_ + j) * width_ + d);
  }

  int64_t width_ = 0, heads_ = 0, longest_ = 0;
  std::vector<double> seen_;
};

// One call with everything it needs, destinations poisoned.
struct Problem {
  Case c;
  int64_t count, rows, columns;  // sequences, bounds
  std::vector<int64_t> query_first;
  TestTensor query, output, weights, log_sum_exp, mask, bias, cumulative_queries, cumulative_keys, lengths, offsets, table;
  Side key, value;

  explicit Problem(const Case &given, unsigned seed = 7) : c(given), count(static_cast<int64_t>(given.queries.size())) {
    std::mt19937 random(seed);
    const int64_t q = longest(c.queries), k = longest(c.keys);
    int64_t pages = 0;
    std::vector<int32_t> entries;
    if (c.source == Keys::kCache && c.page_size > 0) {
      pages = (std::max(k, c.key_bound) + c.page_size - 1) / c.page_size + 1;  // one more than any row needs
      entries.resize(static_cast<size_t>(count * pages));
      std::iota(entries.begin(), entries.end(), 1);
      std::shuffle(entries.begin(), entries.end(), random);
      table = TestTensor(MO_DTYPE_INT32, {count, pages});
      for (int64_t i = 0; i < count * pages; ++i) {
        if (c.missing_pages && i % 3 == 1)  // a GPU takes any outsider for -1, the CPU refuses all others
          entries[static_cast<size_t>(i)] = test_device_is_cpu() ? -1 : i % 2 == 0 ? -5 : 1 << 30;
        table.set({i / pages, i % pages}, entries[static_cast<size_t>(i)]);
      }
    }
    key = Side(c, c.head_dim, random, entries);
    value = Side(c, c.value_dim, random, entries);
    int64_t tokens = q, batch = count;
    if (c.packed_queries) {
      tokens = 1, batch = 1;
      cumulative_queries = TestTensor(MO_DTYPE_INT32, {count + 1});
      for (int64_t n = 0; n < count; ++n) {
        cumulative_queries.set({n}, static_cast<double>(tokens));
        query_first.push_back(tokens);
        tokens += c.queries[static_cast<size_t>(n)];
      }
      cumulative_queries.set({count}, static_cast<double>(tokens));
      tokens += 2;
    }
    if (c.source == Keys::kPacked) {
      cumulative_keys = TestTensor(MO_DTYPE_INT32, {count + 1});
      for (int64_t n = 0; n < count; ++n) cumulative_keys.set({n}, static_cast<double>(key.first_[static_cast<size_t>(n)]));
      cumulative_keys.set({count}, static_cast<double>(count > 0 ? key.first_.back() + c.keys.back() : 0));
    }
    rows = c.packed_queries ? (c.query_bound > 0 ? c.query_bound : tokens) : q;
    const mo_tensor k_tensor = key.buffer.tensor();
    columns = c.source != Keys::kPlain && c.key_bound > 0   ? c.key_bound
              : c.source == Keys::kCache && c.page_size > 0 ? pages * c.page_size
                                                            : k_tensor.shape[2];
    const auto strides = [&](int64_t width) {
      return c.packed_queries ? Side::packed_strides(c, c.heads, tokens, width)
                              : TestTensor::contiguous({batch, c.heads, tokens, width});
    };
    query = TestTensor(c.dtype, {batch, c.heads, tokens, c.head_dim}, strides(c.head_dim));
    output = TestTensor(c.dtype, {batch, c.heads, tokens, c.value_dim}, strides(c.value_dim));
    log_sum_exp = TestTensor(MO_DTYPE_FLOAT32, {batch, c.heads, tokens});
    for (int64_t n = 0; n < count; ++n)
      for (int64_t i = 0; i < c.queries[static_cast<size_t>(n)]; ++i)
        for (int64_t h = 0; h < c.heads; ++h)
          for (int64_t d = 0; d < c.head_dim; ++d)
            query.set({c.packed_queries ? 0 : n, h, token(n, i), d}, std::uniform_real_distribution<double>(-2, 2)(random));
    const int64_t selected_heads = c.weight_heads.empty() ? c.heads : static_cast<int64_t>(c.weight_heads.size());
    const int64_t selected_rows = c.last_rows > 0 ? c.last_rows : rows;
    const Shape shape = {count, c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : selected_heads,
                         c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected_rows, columns};
    weights =
        TestTensor(c.weights_dtype, shape, {shape[1] * shape[2] * (columns + 3), shape[2] * (columns + 3), columns + 3, 1});
    if (c.mask) {
      mask = TestTensor(MO_DTYPE_BOOL, {count, 1, rows, columns});
      std::bernoulli_distribution visible(0.7);
      mask.for_each([&](const Shape &i) { mask.set(i, visible(random) ? 1 : 0); });
    }
    if (c.bias) {
      bias = TestTensor(MO_DTYPE_FLOAT32, {1, c.heads, rows, columns});
      bias.fill_uniform(random, -2, 2);
    }
    const std::vector<int64_t> &given_lengths = c.source == Keys::kCache ? c.keys : c.limits;
    if (!given_lengths.empty() && (c.source != Keys::kCache || c.lengths_given)) {
      lengths = TestTensor(c.length_dtype, {count});
      for (int64_t n = 0; n < count; ++n) lengths.set({n}, static_cast<double>(given_lengths[static_cast<size_t>(n)]));
    }
    if (!c.offsets.empty()) {
      offsets = TestTensor(MO_DTYPE_INT32, {count});
      for (int64_t n = 0; n < count; ++n) offsets.set({n}, static_cast<double>(c.offsets[static_cast<size_t>(n)]));
    }
  }

  int64_t token(int64_t n, int64_t i) const { return c.packed_queries ? query_first[static_cast<size_t>(n)] + i : i; }

  mo_status_t run(mo_context_t *context, const std::function<void(mo_attention_params &)> &change = {}) {
    const mo_tensor q = query.tensor(), k = key.buffer.tensor(), v = value.buffer.tensor(), o = output.tensor(),
                    w = weights.tensor(), l = log_sum_exp.tensor(), m = mask.tensor(), a = bias.tensor(), n = lengths.tensor(),
                    ks = key.scale.tensor(), vs = value.scale.tensor(), t = table.tensor(), f = offsets.tensor(),
                    cq = cumulative_queries.tensor(), ck = cumulative_keys.tensor();
    mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
    params.query = &q, params.output = &o;
    mo_kv_view cache = {};
    if (c.source == Keys::kCache) {
      cache.key = &k, cache.value = &v;
      if (ks.rank > 0) cache.key_scale = &ks, cache.value_scale = &vs;
      if (t.rank > 0) cache.block_table = &t;
      params.cache = &cache;
    } else {
      params.key = &k, params.value = &v;
    }
    if (c.packed_queries) params.cumulative_query_lengths = &cq;
    if (c.source == Keys::kPacked) params.cumulative_key_lengths = &ck;
    params.max_query_length = c.query_bound, params.max_key_length = c.key_bound;
    if (c.weights) params.weights = &w;
    if (c.log_sum_exp) params.log_sum_exp = &l;
    if (c.mask) params.mask = &m;
    if (c.bias) params.bias = &a;
    if (n.rank > 0) params.key_lengths = &n;
    if (f.rank > 0) params.causal_offsets = &f;
    params.causal = c.causal, params.causal_offset = c.causal_offset, params.sliding_window = c.window;
    params.soft_cap = c.soft_cap, params.weights_reduction = c.reduction;
    params.weight_heads = {c.weight_heads.data(), static_cast<int32_t>(c.weight_heads.size())};
    params.weight_last_rows = c.last_rows;
    if (change) change(params);
    return test_attention(context, &params);
  }

  bool sees(int64_t n, int64_t i, int64_t j) const {
    const auto at = static_cast<size_t>(n);
    const int64_t offset = !c.offsets.empty()                            ? c.offsets[at]
                           : c.causal_offset == MO_CAUSAL_OFFSET_DEFAULT ? c.keys[at] - c.queries[at]
                                                                         : c.causal_offset;
    if (c.causal && j > offset + i) return false;
    if (c.window > 0 && std::abs(offset + i - j) >= c.window) return false;
    if (c.source != Keys::kCache && !c.limits.empty() && j >= c.limits[at]) return false;
    return !c.mask || mask.at({n, 0, i, j}) != 0;
  }
};

// Results of one head of one sequence, row after row.
template <typename Real>
struct Plain {
  std::vector<Real> output, weights, log_sum_exp;
};

template <typename Real>
Plain<Real> plain(const Problem &p, int64_t n, int64_t h) {
  const Case &c = p.c;
  const Real infinity = std::numeric_limits<Real>::infinity(), scale = 1 / std::sqrt(static_cast<Real>(c.head_dim));
  const int64_t g = h / (c.heads / c.kv_heads), keys = c.keys[static_cast<size_t>(n)];
  Plain<Real> result;
  for (int64_t i = 0; i < c.queries[static_cast<size_t>(n)]; ++i) {
    std::vector<Real> row(static_cast<size_t>(keys), -infinity), output(static_cast<size_t>(c.value_dim), 0);
    Real maximum = -infinity, sum = 0;
    for (int64_t j = 0; j < keys; ++j) {
      if (!p.sees(n, i, j)) continue;
      Real dot = 0;
      for (int64_t d = 0; d < c.head_dim; ++d) {
        dot += static_cast<Real>(p.query.at({c.packed_queries ? 0 : n, h, p.token(n, i), d})) *
               static_cast<Real>(p.key.value(n, g, j, d));
      }
      Real s = dot * scale;
      if (c.soft_cap > 0) s = static_cast<Real>(c.soft_cap) * std::tanh(s / static_cast<Real>(c.soft_cap));
      if (c.bias) s += static_cast<Real>(p.bias.at({0, h, i, j}));
      row[static_cast<size_t>(j)] = s;
      maximum = std::max(maximum, s);
    }
    const bool nothing = maximum == -infinity;
    for (Real &s : row) {
      s = nothing ? Real(1) : std::exp(s - maximum);
      sum += s;
    }
    for (int64_t j = 0; j < keys; ++j) {
      Real &w = row[static_cast<size_t>(j)];
      w /= sum;
      const Real factor = sizeof(Real) == sizeof(double) ? w : static_cast<Real>(rounded(c.dtype, static_cast<float>(w)));
      for (int64_t d = 0; d < c.value_dim; ++d)
        output[static_cast<size_t>(d)] += factor * static_cast<Real>(p.value.value(n, g, j, d));
    }
    result.log_sum_exp.push_back(keys == 0 ? -infinity
                                 : nothing ? std::log(static_cast<Real>(keys)) - static_cast<Real>(FLT_MAX)
                                           : maximum + std::log(sum));
    result.output.insert(result.output.end(), output.begin(), output.end());
    result.weights.insert(result.weights.end(), row.begin(), row.end());
  }
  return result;
}

// The whole weights tensor as it must be, zeros outside of the sequences.
template <typename Real>
std::vector<Real> plain_weights(const Problem &p, const std::vector<Plain<Real>> &all) {
  const Case &c = p.c;
  std::vector<int64_t> heads;
  for (int32_t h : c.weight_heads) heads.push_back(h < 0 ? h + c.heads : h);
  for (int64_t h = 0; c.weight_heads.empty() && h < c.heads; ++h) heads.push_back(h);
  const int64_t slots = c.last_rows > 0 ? c.last_rows : p.rows;
  std::vector<Real> result;
  for (int64_t n = 0; n < p.count; ++n) {
    const int64_t queries = c.queries[static_cast<size_t>(n)], keys = c.keys[static_cast<size_t>(n)];
    const auto at = [&](int64_t h, int64_t slot, int64_t j) {
      const int64_t i = c.last_rows > 0 ? queries - c.last_rows + slot : slot;
      if (i < 0 || i >= queries || j >= keys) return Real(0);
      return all[static_cast<size_t>(n * c.heads + h)].weights[static_cast<size_t>(i * keys + j)];
    };
    const bool mean = c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN, sum = c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM;
    for (size_t place = 0; place < (mean ? 1 : heads.size()); ++place) {
      for (int64_t row = 0; row < (sum ? 1 : slots); ++row) {
        for (int64_t j = 0; j < p.columns; ++j) {
          Real total = 0;
          if (mean) {
            for (int64_t h : heads) total += at(h, row, j) / static_cast<Real>(heads.size());
          } else if (sum) {
            for (int64_t i = 0; i < slots; ++i) total += at(heads[place], i, j);
          } else {
            total = at(heads[place], row, j);
          }
          result.push_back(total);
        }
      }
    }
  }
  return result;
}

struct Comparison {
  double bound = 0, largest = 0, worst = 0;
  int64_t wrong = 0;
  void add(mo_dtype_t dtype, double got, double exact, float in_float) {
    bound = std::max(bound, std::fabs(rounded(dtype, in_float) - exact));
    largest = std::max(largest, std::fabs(exact));
    const double difference = std::fabs(got - exact);
    if (std::isnan(difference)) ++wrong;
    else worst = std::max(worst, difference);
  }
  void expect(const char *what) const {
    EXPECT_EQ(wrong, 0) << what << ": not a number";
    EXPECT_LE(worst, 2 * bound + 2e-6 * largest) << what;
  }
};

inline void check(const Case &c, unsigned seed = 7) {
  Problem p(c, seed);
  SCOPED_TRACE(testing::Message() << p.count << " sequences, H" << c.heads << "/" << c.kv_heads << " D" << c.head_dim << "/"
                                  << c.value_dim << " " << mo_dtype_name(c.dtype) << " pages of " << c.page_size
                                  << " stored as " << mo_dtype_name(c.stored) << " seed " << seed);
  Context context;
  ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
  Comparison output, weights;
  std::vector<Plain<double>> exact;
  std::vector<Plain<float>> in_float;
  std::vector<bool> owned(static_cast<size_t>(p.output.tensor().shape[2]), !c.packed_queries);
  for (int64_t n = 0; n < p.count; ++n) {
    for (int64_t h = 0; h < c.heads; ++h) {
      exact.push_back(plain<double>(p, n, h));
      in_float.push_back(plain<float>(p, n, h));
      for (int64_t i = 0; i < c.queries[static_cast<size_t>(n)]; ++i) {
        const int64_t batch = c.packed_queries ? 0 : n, token = p.token(n, i);
        owned[static_cast<size_t>(token)] = true;
        for (int64_t d = 0; d < c.value_dim; ++d) {
          const auto at = static_cast<size_t>(i * c.value_dim + d);
          output.add(c.dtype, p.output.at({batch, h, token, d}), exact.back().output[at], in_float.back().output[at]);
        }
        if (!c.log_sum_exp) continue;
        const double wanted = exact.back().log_sum_exp[static_cast<size_t>(i)], got = p.log_sum_exp.at({batch, h, token});
        if (wanted < -1e30) EXPECT_EQ(got, std::isinf(wanted) ? wanted : -static_cast<double>(FLT_MAX));
        else EXPECT_NEAR(got, wanted, 1e-5 * std::max(1.0, std::fabs(wanted)));
      }
    }
  }
  output.expect("output");
  EXPECT_TRUE(p.output.outside_is_untouched() && p.log_sum_exp.outside_is_untouched());
  p.output.for_each([&](const Shape &i) {  // tokens that belong to no sequence
    EXPECT_TRUE(owned[static_cast<size_t>(i[2])] || std::isnan(p.output.at(i)));
  });
  p.log_sum_exp.for_each(
      [&](const Shape &i) { EXPECT_TRUE(owned[static_cast<size_t>(i[2])] || std::isnan(p.log_sum_exp.at(i))); });
  if (!c.weights) {
    EXPECT_TRUE(p.weights.is_untouched());
    return;
  }
  const std::vector<double> wanted = plain_weights(p, exact);
  const std::vector<float> rounded = plain_weights(p, in_float);
  size_t i = 0, leaks = 0;
  p.weights.for_each([&](const Shape &index) {
    const double got = p.weights.at(index);
    leaks += wanted[i] == 0 && got != 0;  // masked, or not there: exactly 0
    weights.add(c.weights_dtype, got, wanted[i], rounded[i]);
    ++i;
  });
  EXPECT_EQ(i, wanted.size());
  EXPECT_EQ(leaks, 0u);
  weights.expect("weights");
  EXPECT_TRUE(p.weights.outside_is_untouched());
}

const mo_dtype_t kDtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};
const mo_weights_reduction_t kReductions[] = {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN,
                                              MO_WEIGHTS_REDUCTION_COLUMN_SUM};

inline std::vector<int64_t> random_lengths(std::mt19937 &random, int64_t count, int64_t largest) {
  std::vector<int64_t> lengths;
  for (int64_t n = 0; n < count; ++n) lengths.push_back(std::uniform_int_distribution<int64_t>(0, largest)(random));
  return lengths;
}

// Which of the many combinations `n` stands for; the simulated device takes a part of them.
inline bool skipped(int n, int every) { return test_device_is_simulated() && n % every != 0; }

}  // namespace attention_case

#endif
