// tests/ops/attention_cache_test.cc - attention over sequences of different lengths, packed or in a cache, against a plain
// double-precision computation of every sequence for itself.
//
// Bound: at most twice the error of the same computation done plainly in float32, with weights rounded to the stored type
// before they meet the values and results after, plus 2e-6 of the largest value. Every slot of a cache that no sequence owns,
// and every packed token between sequences, is NaN.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>

#include "attention_buffer.h"
#include "modelout/attention_merge.h"
#include "modelout/context.h"
#include "tests/support/device_mirror.h"
#include "tests/support/scoped_context.h"

namespace {

using test_support::Context;

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

int64_t longest(const std::vector<int64_t> &lengths) {
  int64_t result = 0;
  for (int64_t length : lengths) result = std::max(result, length);
  return result;
}

// What a code of quantised storage means, by the definition of the format.
double meaning(mo_dtype_t dtype, int code) {
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
      buffer = Buffer(c.dtype, {1, heads_, tokens, width}, packed_strides(c, heads_, tokens, width));
    } else if (c.source == Keys::kPlain) {
      buffer = Buffer(c.dtype, {count, heads_, longest_, width});
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
            value = round_to(static_cast<float>(meaning(stored, code) * own), c.dtype);
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

  Buffer buffer, scale;
  std::vector<int64_t> first_;

 private:
  static Buffer make(mo_dtype_t dtype, const Shape &shape, bool nhd) {
    if (!nhd) return Buffer(dtype, shape);
    return Buffer(dtype, shape, {shape[1] * shape[2] * shape[3], shape[3], shape[1] * shape[3], 1});
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
  Buffer query, output, weights, log_sum_exp, mask, bias, cumulative_queries, cumulative_keys, lengths, offsets, table;
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
      table = Buffer(MO_DTYPE_INT32, {count, pages});
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
      cumulative_queries = Buffer(MO_DTYPE_INT32, {count + 1});
      for (int64_t n = 0; n < count; ++n) {
        cumulative_queries.set({n}, static_cast<double>(tokens));
        query_first.push_back(tokens);
        tokens += c.queries[static_cast<size_t>(n)];
      }
      cumulative_queries.set({count}, static_cast<double>(tokens));
      tokens += 2;
    }
    if (c.source == Keys::kPacked) {
      cumulative_keys = Buffer(MO_DTYPE_INT32, {count + 1});
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
                              : Buffer::contiguous({batch, c.heads, tokens, width});
    };
    query = Buffer(c.dtype, {batch, c.heads, tokens, c.head_dim}, strides(c.head_dim));
    output = Buffer(c.dtype, {batch, c.heads, tokens, c.value_dim}, strides(c.value_dim));
    log_sum_exp = Buffer(MO_DTYPE_FLOAT32, {batch, c.heads, tokens});
    for (int64_t n = 0; n < count; ++n)
      for (int64_t i = 0; i < c.queries[static_cast<size_t>(n)]; ++i)
        for (int64_t h = 0; h < c.heads; ++h)
          for (int64_t d = 0; d < c.head_dim; ++d)
            query.set({c.packed_queries ? 0 : n, h, token(n, i), d}, std::uniform_real_distribution<double>(-2, 2)(random));
    const int64_t selected_heads = c.weight_heads.empty() ? c.heads : static_cast<int64_t>(c.weight_heads.size());
    const int64_t selected_rows = c.last_rows > 0 ? c.last_rows : rows;
    const Shape shape = {count, c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : selected_heads,
                         c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected_rows, columns};
    weights = Buffer(c.weights_dtype, shape, {shape[1] * shape[2] * (columns + 3), shape[2] * (columns + 3), columns + 3, 1});
    if (c.mask) {
      mask = Buffer(MO_DTYPE_BOOL, {count, 1, rows, columns});
      std::bernoulli_distribution visible(0.7);
      mask.for_each([&](const Shape &i) { mask.set(i, visible(random) ? 1 : 0); });
    }
    if (c.bias) {
      bias = Buffer(MO_DTYPE_FLOAT32, {1, c.heads, rows, columns});
      bias.fill_random(random, -2, 2);
    }
    const std::vector<int64_t> &given_lengths = c.source == Keys::kCache ? c.keys : c.limits;
    if (!given_lengths.empty() && (c.source != Keys::kCache || c.lengths_given)) {
      lengths = Buffer(c.length_dtype, {count});
      for (int64_t n = 0; n < count; ++n) lengths.set({n}, static_cast<double>(given_lengths[static_cast<size_t>(n)]));
    }
    if (!c.offsets.empty()) {
      offsets = Buffer(MO_DTYPE_INT32, {count});
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
      const Real factor = sizeof(Real) == sizeof(double) ? w : static_cast<Real>(round_to(static_cast<float>(w), c.dtype));
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
    bound = std::max(bound, std::fabs(round_to(in_float, dtype) - exact));
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

void check(const Case &c, unsigned seed = 7) {
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

std::vector<int64_t> random_lengths(std::mt19937 &random, int64_t count, int64_t largest) {
  std::vector<int64_t> lengths;
  for (int64_t n = 0; n < count; ++n) lengths.push_back(std::uniform_int_distribution<int64_t>(0, largest)(random));
  return lengths;
}

// Which of the many combinations `n` stands for; the simulated device takes a part of them.
bool skipped(int n, int every) { return test_device_is_simulated() && n % every != 0; }

TEST(AttentionLengths, PackedQueriesAndKeys) {
  std::mt19937 random(3);
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (int variant = 0; variant < 8; ++variant, ++n) {
      Case c;
      c.dtype = dtype, c.tokens_first = variant % 2 == 0;
      c.queries = random_lengths(random, 5, 90), c.keys = random_lengths(random, 5, 150);
      c.queries[1] = 0, c.keys[3] = 0, c.queries[0] = 70, c.keys[0] = 131;
      c.causal = variant == 1 || variant == 2 || variant == 4;
      if (variant == 2) c.window = 20;
      if (variant == 3) c.soft_cap = 2, c.kv_heads = 4;
      if (variant == 4) c.offsets = {0, 5, -3, 60, 200};
      if (variant == 5) c.mask = c.bias = true, c.query_bound = 93, c.key_bound = 150;
      if (variant == 6) c.limits = {100, 0, 0, 0, 0}, c.limits[1] = c.keys[1] / 2, c.length_dtype = MO_DTYPE_INT64;
      if (variant == 7) c.head_dim = 20, c.value_dim = 33, c.query_bound = 90, c.causal_offset = 4, c.causal = true;
      if (skipped(n, 3)) continue;  // 8 variants: each comes with one dtype
      check(c, static_cast<unsigned>(n));
    }
  }
}

TEST(AttentionLengths, OneSideOnlyPacked) {
  for (const mo_dtype_t dtype : kDtypes) {
    Case c;
    c.dtype = dtype, c.source = Keys::kPlain, c.queries = {3, 0, 41}, c.keys = {50, 50, 50}, c.causal = true;
    c.limits = {50, 12, 30};
    check(c);
    c.source = Keys::kPacked, c.packed_queries = false, c.limits = {};
    c.queries = {20, 20, 20}, c.keys = {70, 0, 9};
    check(c);
    c.weights = true, c.key_bound = 71;
    check(c);
  }
}

TEST(AttentionLengths, NoSequencesAndNoTokens) {
  Case c;
  check(c);  // no sequence at all
  c.queries = c.keys = {0, 0};
  c.weights = true;
  for (const mo_weights_reduction_t reduction : kReductions) {
    c.reduction = reduction;
    check(c);
  }
}

TEST(AttentionLengths, WeightsAreZeroWhereThereIsNothing) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_weights_reduction_t reduction : kReductions) {
      for (int variant = 0; variant < 4; ++variant, ++n) {
        if (skipped(n, 3)) continue;
        Case c;
        c.dtype = dtype, c.weights = true, c.reduction = reduction;
        c.queries = {40, 0, 3, 70}, c.keys = {90, 20, 0, 33}, c.query_bound = 75, c.key_bound = 93;
        c.causal = variant % 2 == 1;
        if (variant == 1) c.weight_heads = {3, -4};
        if (variant >= 2) c.last_rows = 5, c.weights_dtype = MO_DTYPE_BFLOAT16;
        if (variant == 3) c.offsets = {50, 0, 0, -60}, c.keys = {600, 20, 0, 33}, c.key_bound = 601;  // rows that see nothing
        check(c, static_cast<unsigned>(n));
      }
    }
  }
}

TEST(AttentionCache, ContiguousAndPaged) {
  std::mt19937 random(5);
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const int64_t page : {0, 16, 32, 64, 128, 256}) {
      for (const bool nhd : {false, true}) {
        Case c;
        c.dtype = dtype, c.source = Keys::kCache, c.page_size = page, c.pages_nhd = nhd, c.causal = n % 3 != 0;
        c.keys = random_lengths(random, 4, 150), c.keys[1] = 0, c.keys[2] = 131, c.capacity = 160;
        c.queries = random_lengths(random, 4, 40), c.queries[2] = 67;
        c.missing_pages = n % 4 == 1;
        if (n % 5 == 2) c.window = 30;
        if (n % 5 == 3) c.head_dim = 64, c.value_dim = 40, c.key_bound = 150;
        if (n % 7 == 4) c.packed_queries = false, c.queries = {17, 17, 17, 17}, c.offsets = {0, 3, 120, 7};
        if (!skipped(n++, 2)) check(c, static_cast<unsigned>(n));
      }
    }
  }
}

TEST(AttentionCache, Quantised) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      for (const int64_t page : {0, 16, 64}) {
        Case c;
        c.dtype = dtype, c.source = Keys::kCache, c.stored = stored, c.page_size = page, c.capacity = 140;
        c.keys = {130, 0, 17, 64}, c.queries = {33, 4, 0, 64}, c.causal = n % 2 == 0;
        c.head_dim = 32, c.value_dim = 32;
        c.groups = n % 3 == 0 ? 1 : n % 3 == 1 ? 4 : 32;
        if (n % 4 == 1) c.head_dim = 48, c.value_dim = 96, c.groups = 3;
        if (n % 4 == 2) c.head_dim = 20, c.value_dim = 6, c.groups = 2;
        c.pages_nhd = n % 2 == 1, c.missing_pages = n % 3 == 2;
        if (test_device_is_simulated()) c.heads = 2, c.kv_heads = 1;
        check(c, static_cast<unsigned>(n++));
      }
    }
  }
}

TEST(AttentionCache, WideHeads) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const int64_t dim : {96, 128, 192, 256}) {
      for (const mo_dtype_t stored : {MO_DTYPE_NONE, MO_DTYPE_FLOAT8_E4M3}) {
        if (skipped(n++, 3)) continue;
        Case c;
        c.heads = 2, c.kv_heads = 1, c.dtype = dtype, c.stored = stored, c.source = Keys::kCache, c.page_size = 16;
        c.head_dim = c.value_dim = dim, c.keys = {70, 9}, c.queries = {20, 9}, c.causal = true;
        check(c, static_cast<unsigned>(n));
      }
    }
  }
}

TEST(AttentionCache, Weights) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {MO_DTYPE_NONE, MO_DTYPE_INT8}) {
      for (const mo_weights_reduction_t reduction : kReductions) {
        Case c;
        c.dtype = dtype, c.stored = stored, c.source = Keys::kCache, c.page_size = 32, c.weights = true;
        c.reduction = reduction, c.keys = {100, 1, 0, 40}, c.queries = {50, 1, 3, 0}, c.query_bound = 66, c.key_bound = 101;
        c.causal = true, c.groups = 2, c.missing_pages = n % 2 == 1;
        if (n % 3 == 1) c.offsets = {-10, 0, 0, 0};  // rows that see nothing: uniform over what is there
        if (n % 4 == 2) c.keys = {620, 1, 0, 40}, c.key_bound = 640;
        if (test_device_is_simulated()) c.heads = 2, c.kv_heads = 1;
        check(c, static_cast<unsigned>(n++));
      }
    }
  }
}

// More keys than float32 scores of a block's rows fit on chip for: both passes read the cache, one sequence is short.
TEST(AttentionCache, Float32WeightsOfManyKeys) {
  int n = 0;
  for (const mo_dtype_t stored : {MO_DTYPE_NONE, MO_DTYPE_INT8}) {
    for (const int64_t dim : {32, 144}) {
      Case c;
      c.heads = 2, c.kv_heads = 1, c.head_dim = c.value_dim = dim, c.stored = stored, c.source = Keys::kCache;
      c.page_size = dim == 32 ? 64 : 0, c.capacity = 800, c.groups = 2, c.weights = true, c.causal = true;
      c.keys = {790, 70, 0}, c.queries = {35, 70, 1}, c.query_bound = 70, c.key_bound = 795;
      if (n % 2 == 1) c.window = 200, c.last_rows = 40, c.weight_heads = {1}, c.weights_dtype = MO_DTYPE_FLOAT16;
      check(c, static_cast<unsigned>(n++));
    }
  }
}

TEST(AttentionCache, WithoutLengthsEveryRowIsFull) {
  Case c;
  c.source = Keys::kCache, c.capacity = 40, c.keys = {40, 40}, c.queries = {7, 40}, c.lengths_given = false, c.causal = true;
  check(c);
  c.keys = {33, 33}, c.key_bound = 33;
  check(c);
}

// A prompt in chunks over a paged cache, rows with different pasts in one call, equals the prompt at once.
TEST(AttentionCache, ChunkedPrefillEqualsOnePrefill) {
  const int64_t heads = 4, kv = 2, dim = 32, page = 16, pages = 6;
  const std::vector<int64_t> lengths = {75, 1, 40};
  const int64_t count = 3, total = 116;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {dtype, MO_DTYPE_INT8}) {
      std::mt19937 random(11);
      Context context;
      Buffer query(dtype, {1, heads, total, dim}), key(dtype, {1, kv, total, dim}), value(dtype, {1, kv, total, dim});
      query.fill_random(random, -1, 1), key.fill_random(random, -1, 1), value.fill_random(random, -1, 1);
      std::vector<std::vector<uint8_t>> results;
      for (const int64_t chunk : {int64_t{1000}, int64_t{23}}) {
        Buffer cache_key(stored, {count * pages, kv, page, dim}), cache_value(stored, {count * pages, kv, page, dim});
        Buffer key_scale(MO_DTYPE_FLOAT32, {count * pages, kv, page, 1}), value_scale = key_scale;
        Buffer table(MO_DTYPE_INT32, {count, pages}), output(dtype, {1, heads, total, dim});
        for (int64_t i = 0; i < count * pages; ++i) table.set({i / pages, i % pages}, static_cast<double>((7 * i + 3) % 18));
        const mo_tensor ck = cache_key.tensor(), cv = cache_value.tensor(), ks = key_scale.tensor(), vs = value_scale.tensor(),
                        bt = table.tensor();
        mo_kv_view view = {&ck, &cv, nullptr, nullptr, &bt};
        if (stored == MO_DTYPE_INT8) view.key_scale = &ks, view.value_scale = &vs;
        std::vector<int64_t> past(3, 0);
        while (past != lengths) {
          std::vector<int64_t> now;
          int64_t tokens = 0;
          Buffer cumulative(MO_DTYPE_INT32, {count + 1}), offsets(MO_DTYPE_INT32, {count}), after(MO_DTYPE_INT32, {count});
          cumulative.set({0}, 0);
          for (int64_t n = 0; n < count; ++n) {
            const auto at = static_cast<size_t>(n);
            now.push_back(std::min(chunk + 5 * n, lengths[at] - past[at]));
            offsets.set({n}, static_cast<double>(past[at]));
            after.set({n}, static_cast<double>(past[at] + now[at]));
            cumulative.set({n + 1}, static_cast<double>(tokens += now[at]));
          }
          Buffer q(dtype, {1, heads, tokens, dim}), k(dtype, {1, kv, tokens, dim}), v = k, o(dtype, {1, heads, tokens, dim});
          const auto move = [&](const Buffer &from, Buffer &to, int64_t h_count, bool back) {
            int64_t first = 0, place = 0;
            for (int64_t n = 0; n < count; first += lengths[static_cast<size_t>(n++)]) {
              for (int64_t t = 0; t < now[static_cast<size_t>(n)]; ++t, ++place) {
                for (int64_t h = 0; h < h_count; ++h) {
                  for (int64_t d = 0; d < dim; ++d) {
                    const Shape whole = {0, h, first + past[static_cast<size_t>(n)] + t, d}, part = {0, h, place, d};
                    to.set(back ? whole : part, from.at(back ? part : whole));
                  }
                }
              }
            }
          };
          move(query, q, heads, false), move(key, k, kv, false), move(value, v, kv, false);
          const mo_tensor qt = q.tensor(), kt = k.tensor(), vt = v.tensor(), ot = o.tensor(), cu = cumulative.tensor(),
                          of = offsets.tensor(), le = after.tensor();
          mo_kv_update_layer layer = {view, &kt, &vt};
          mo_kv_update_params update = MO_KV_UPDATE_PARAMS_INIT;
          update.layers = &layer, update.layer_count = 1, update.offsets = &of, update.cumulative_lengths = &cu;
          ASSERT_EQ(test_kv_update(context, &update), MO_STATUS_OK) << mo_last_error();
          mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
          params.query = &qt, params.output = &ot, params.cache = &view, params.key_lengths = &le;
          params.cumulative_query_lengths = &cu, params.causal = true;
          ASSERT_EQ(test_attention(context, &params), MO_STATUS_OK) << mo_last_error();
          move(o, output, heads, true);
          for (int64_t n = 0; n < count; ++n) past[static_cast<size_t>(n)] += now[static_cast<size_t>(n)];
        }
        if (results.empty()) {
          results.push_back(output.bytes());
          continue;
        }
        Buffer whole(dtype, {1, heads, total, dim});
        double worst = 0;
        size_t at = Buffer::kZone * mo_dtype_bytes(dtype);
        output.for_each([&](const Shape &i) {
          float expected = 0;
          EXPECT_EQ(mo_dtype_convert(&expected, MO_DTYPE_FLOAT32, results[0].data() + at, dtype, 1), MO_STATUS_OK);
          worst = std::max(worst, std::fabs(output.at(i) - static_cast<double>(expected)));
          at += mo_dtype_bytes(dtype);
        });
        EXPECT_LE(worst, dtype == MO_DTYPE_FLOAT32 ? 1e-6 : dtype == MO_DTYPE_FLOAT16 ? 0x1p-10 : 0x1p-7);
      }
    }
  }
}

// A prefix that all sequences share is attended to once for all of them, their own keys apart; the two states merge.
TEST(AttentionCache, SharedPrefixMergesToTheWhole) {
  const int64_t heads = 4, kv = 2, dim = 16, prefix = 45, count = 3;
  const std::vector<int64_t> own = {9, 1, 30}, fresh = {9, 1, 12};
  std::mt19937 random(13);
  Context context;
  const int64_t queries = 22, keys = 40;
  Buffer query(MO_DTYPE_FLOAT32, {1, heads, queries, dim}), prefix_key(MO_DTYPE_FLOAT32, {1, kv, prefix, dim}),
      prefix_value = prefix_key, own_key(MO_DTYPE_FLOAT32, {1, kv, keys, dim}), own_value = own_key;
  for (Buffer *b : {&query, &prefix_key, &prefix_value, &own_key, &own_value}) b->fill_random(random, -1, 1);
  const int64_t whole_keys = keys + count * prefix;
  Buffer all_key(MO_DTYPE_FLOAT32, {1, kv, whole_keys, dim}), all_value = all_key;
  Buffer cumulative_queries(MO_DTYPE_INT32, {count + 1}), cumulative_own = cumulative_queries, cumulative_all = cumulative_own;
  for (Buffer *b : {&cumulative_queries, &cumulative_own, &cumulative_all}) b->set({0}, 0);
  int64_t q = 0, k = 0, all = 0;
  for (int64_t n = 0; n < count; ++n) {
    const auto at = static_cast<size_t>(n);
    for (int64_t j = 0; j < prefix + own[at]; ++j)
      for (int64_t h = 0; h < kv; ++h)
        for (int64_t d = 0; d < dim; ++d) {
          const bool shared = j < prefix;
          const Shape from = {0, h, shared ? j : k + j - prefix, d}, to = {0, h, all + j, d};
          all_key.set(to, (shared ? prefix_key : own_key).at(from));
          all_value.set(to, (shared ? prefix_value : own_value).at(from));
        }
    cumulative_queries.set({n + 1}, static_cast<double>(q += fresh[at]));
    cumulative_own.set({n + 1}, static_cast<double>(k += own[at]));
    cumulative_all.set({n + 1}, static_cast<double>(all += prefix + own[at]));
  }
  Buffer output_a(MO_DTYPE_FLOAT32, {1, heads, queries, dim}), output_b = output_a, merged = output_a, whole = output_a;
  Buffer lse_a(MO_DTYPE_FLOAT32, {1, heads, queries}), lse_b = lse_a, lse_merged = lse_a, lse_whole = lse_a;
  const auto attend = [&](Buffer &to, Buffer &lse, Buffer &key, Buffer &value, Buffer *lengths, bool causal) {
    const mo_tensor qt = query.tensor(), kt = key.tensor(), vt = value.tensor(), ot = to.tensor(), lt = lse.tensor(),
                    cq = cumulative_queries.tensor(), ck = lengths == nullptr ? mo_tensor{} : lengths->tensor();
    mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
    params.query = &qt, params.key = &kt, params.value = &vt, params.output = &ot, params.log_sum_exp = &lt;
    params.causal = causal;
    if (lengths != nullptr) params.cumulative_query_lengths = &cq, params.cumulative_key_lengths = &ck;
    ASSERT_EQ(test_attention(context, &params), MO_STATUS_OK) << mo_last_error();
  };
  attend(output_a, lse_a, prefix_key, prefix_value, nullptr, false);
  attend(output_b, lse_b, own_key, own_value, &cumulative_own, true);
  attend(whole, lse_whole, all_key, all_value, &cumulative_all, true);
  const mo_tensor oa = output_a.tensor(), ob = output_b.tensor(), la = lse_a.tensor(), lb = lse_b.tensor(),
                  om = merged.tensor(), lm = lse_merged.tensor();
  mo_attention_merge_params merge = MO_ATTENTION_MERGE_PARAMS_INIT;
  merge.output = &om, merge.log_sum_exp = &lm, merge.output_a = &oa, merge.log_sum_exp_a = &la, merge.output_b = &ob,
  merge.log_sum_exp_b = &lb;
  ASSERT_EQ(test_attention_merge(context, &merge), MO_STATUS_OK) << mo_last_error();
  merged.for_each([&](const Shape &i) { EXPECT_NEAR(merged.at(i), whole.at(i), 2e-6); });
  lse_merged.for_each([&](const Shape &i) { EXPECT_NEAR(lse_merged.at(i), lse_whole.at(i), 1e-5); });
}

// Quantised storage gives what attention over the dequantised tensors of mo_kv_gather gives.
TEST(AttentionCache, QuantisedEqualsGathered) {
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      Case c;
      c.dtype = dtype, c.source = Keys::kCache, c.stored = stored, c.page_size = 16, c.groups = 2, c.causal = true;
      c.keys = {60, 60}, c.queries = {20, 33}, c.head_dim = c.value_dim = 32;
      Problem p(c);
      Context context;
      ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
      Buffer key(dtype, {2, c.kv_heads, 60, 32}), value = key, output = p.output;
      const mo_tensor kt = key.tensor(), vt = value.tensor(), ck = p.key.buffer.tensor(), cv = p.value.buffer.tensor(),
                      ks = p.key.scale.tensor(), vs = p.value.scale.tensor(), bt = p.table.tensor(), ot = output.tensor();
      mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
      gather.source = {&ck, &cv, &ks, &vs, &bt};
      gather.destination.key = &kt, gather.destination.value = &vt;
      ASSERT_EQ(test_kv_gather(context, &gather), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(p.run(context,
                      [&](mo_attention_params &params) {
                        params.cache = nullptr, params.key = &kt, params.value = &vt, params.key_lengths = nullptr;
                        params.output = &ot;
                      }),
                MO_STATUS_OK)
          << mo_last_error();
      EXPECT_EQ(output.bytes(), p.output.bytes()) << mo_dtype_name(dtype) << " " << mo_dtype_name(stored);
    }
  }
}

TEST(AttentionLengths, AStructOfTheFirstVersionIsWelcome) {
  Context context;
  Case c;
  c.packed_queries = false, c.source = Keys::kPlain, c.queries = {5, 5}, c.keys = {9, 9}, c.causal = true;
  Problem p(c), q(c);
  ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(q.run(context,
                  [](mo_attention_params &params) {  // what lies behind an old struct is anybody's
                    params.struct_size = offsetof(mo_attention_params, cumulative_query_lengths);
                    memset(reinterpret_cast<char *>(&params) + params.struct_size, 0xAB, sizeof params - params.struct_size);
                  }),
            MO_STATUS_OK)
      << mo_last_error();
  EXPECT_EQ(p.output.bytes(), q.output.bytes());
}

TEST(AttentionLengths, IdenticalFromRunToRun) {
  Case c;
  c.source = Keys::kCache, c.page_size = 16, c.keys = {100, 3, 64}, c.queries = {30, 3, 64}, c.weights = true;
  c.dtype = MO_DTYPE_BFLOAT16, c.stored = MO_DTYPE_INT8;
  Problem first(c);
  Context context(1);
  ASSERT_EQ(first.run(context), MO_STATUS_OK);
  Problem again(c);
  Context other(3);
  ASSERT_EQ(again.run(other), MO_STATUS_OK);
  EXPECT_EQ(first.output.bytes(), again.output.bytes());
  EXPECT_EQ(first.weights.bytes(), again.weights.bytes());
}

// ---- The front door ----

class AttentionLengthErrors : public testing::Test {
 protected:
  static Case packed() {
    Case c;
    c.queries = {4, 5}, c.keys = {6, 7}, c.weights = true, c.query_bound = 5, c.key_bound = 7;
    return c;
  }
  static Case paged() {
    Case c;
    c.source = Keys::kCache, c.page_size = 16, c.stored = MO_DTYPE_INT8, c.queries = {4, 5}, c.keys = {20, 7};
    return c;
  }
  void refuses(Problem &p, const char *rule, const std::function<void(mo_attention_params &)> &change) {
    EXPECT_EQ(p.run(context_, change), MO_STATUS_INVALID_ARGUMENT) << rule;
    EXPECT_EQ(std::string(mo_last_error()).rfind("attention: ", 0), 0u) << rule << ": " << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(rule), std::string::npos) << rule << ": " << mo_last_error();
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(p.output.is_untouched() && p.weights.is_untouched() && p.log_sum_exp.is_untouched()) << rule;
  }
  void refuses(Problem &p, const char *rule, const mo_tensor *mo_attention_params::*member,
               const std::function<void(mo_tensor &)> &change) {
    refuses(p, rule, [&](mo_attention_params &params) {
      changed_ = *(params.*member);
      change(changed_);
      params.*member = &changed_;
    });
  }
  // The same with one tensor of the cache.
  void refuses(Problem &p, const char *rule, const mo_tensor *mo_kv_view::*member,
               const std::function<void(mo_tensor &)> &change) {
    refuses(p, rule, [&](mo_attention_params &params) {
      view_ = *params.cache;
      changed_ = *(view_.*member);
      change(changed_);
      view_.*member = &changed_;
      params.cache = &view_;
    });
  }
  Context context_;
  mo_tensor changed_ = {};
  mo_kv_view view_ = {};
};

TEST_F(AttentionLengthErrors, Lengths) {
  using P = mo_attention_params;
  Problem p(packed());
  for (const mo_tensor *P::*member : {&P::cumulative_query_lengths, &P::cumulative_key_lengths}) {
    const char *name = member == &P::cumulative_query_lengths ? "cumulative_query_lengths" : "cumulative_key_lengths";
    refuses(p, name, member, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT64; });
    refuses(p, name, member, [](mo_tensor &t) { t.rank = 2; });
    refuses(p, name, member, [](mo_tensor &t) { t.data = nullptr; });
    refuses(p, name, member, [](mo_tensor &t) { t.strides[0] = 2; });
    refuses(p, "empty", member, [](mo_tensor &t) { t.shape[0] = 0; });
    refuses(p, "extent", member, [](mo_tensor &t) { t.shape[0] = 2; });
    refuses(p, name, member, [](mo_tensor &t) { t.device = {MO_DEVICE_KIND_CUDA, 0}; });
  }
  refuses(p, "query has batch 2, not 1", &P::query, [](mo_tensor &t) { t.shape[0] = 2; });
  refuses(p, "key has batch 2, not 1", &P::key, [](mo_tensor &t) { t.shape[0] = 2; });
  refuses(p, "max_query_length 2147483648 of 12", [](P &params) { params.max_query_length = INT64_C(1) << 31; });
  refuses(p, "max_key_length 2147483648 of 18", [](P &params) { params.max_key_length = INT64_C(1) << 31; });
  refuses(p, "below 0", [](P &params) { params.max_key_length = -1; });
  refuses(p, "weights", [](P &params) { params.max_query_length = 4; });
  refuses(p, "last 6 rows of 5", [](P &params) { params.weight_last_rows = 6; });
  /* The small one inside the large one: the other way round the output would reach whatever lies behind. */
  refuses(p, "output overlaps cumulative_query_lengths", &P::cumulative_query_lengths,
          [&](mo_tensor &t) { t.data = p.output.tensor().data; });
  Case c;
  c.packed_queries = false, c.source = Keys::kPlain, c.queries = {5, 5}, c.keys = {9, 9};
  Problem plain(c);
  refuses(plain, "max_query_length 4 of 5", [](P &params) { params.max_query_length = 4; });
  refuses(plain, "max_key_length 8 of 9", [](P &params) { params.max_key_length = 8; });
  c.offsets = {1, 2};
  Problem offsets(c);
  refuses(offsets, "causal_offsets", &P::causal_offsets, [](mo_tensor &t) { t.shape[0] = 3; });
  refuses(offsets, "causal_offsets", &P::causal_offsets, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT64; });
}

TEST_F(AttentionLengthErrors, Caches) {
  using P = mo_attention_params;
  using V = mo_kv_view;
  Problem p(paged());
  const mo_tensor key = p.key.buffer.tensor();
  refuses(p, "along with a cache", [&](P &params) { params.key = &key; });
  refuses(p, "cumulative_key_lengths", [&](P &params) { params.cumulative_key_lengths = params.cumulative_query_lengths; });
  refuses(p, "key_scale is missing", [&](P &params) {
    view_ = *params.cache;
    view_.key_scale = nullptr;
    params.cache = &view_;
  });
  refuses(p, "cache key is NULL", [&](P &params) {
    view_ = {};
    params.cache = &view_;
  });
  refuses(p, "pages of 8 tokens", [&](P &params) {
    static mo_tensor k, v, ks, vs;
    view_ = *params.cache;
    k = *view_.key, v = *view_.value, ks = *view_.key_scale, vs = *view_.value_scale;
    for (mo_tensor *t : {&k, &v, &ks, &vs}) t->shape[2] = 8;
    view_.key = &k, view_.value = &v, view_.key_scale = &ks, view_.value_scale = &vs;
    params.cache = &view_;
  });
  refuses(p, "block_table", &V::block_table, [](mo_tensor &t) { t.shape[0] = 1; });
  refuses(p, "block_table", &V::block_table, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT64; });
  refuses(p, "cache key", &V::key, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT32; });
  refuses(p, "cache value", &V::value, [](mo_tensor &t) { t.shape[1] = 1; });
  refuses(p, "value_scale", &V::value_scale, [](mo_tensor &t) { t.shape[3] = 3; });
  refuses(p, "output overlaps cache key", &P::output, [&](mo_tensor &t) { t.data = key.data; });
  refuses(p, "key_lengths", &P::key_lengths, [](mo_tensor &t) { t.shape[0] = 3; });
  refuses(p, "max_key_length 49 of 48", [](P &params) { params.max_key_length = 49; });
  Case c = paged();
  c.stored = MO_DTYPE_FLOAT16;
  Problem other(c);
  refuses(other, "the cache is stored as float16, query has dtype float32", [](P &) {});
}

TEST_F(AttentionLengthErrors, WhatOnlyTheDataCanTell) {
  TEST_ON_CPU_ONLY("only the CPU looks at lengths before it runs");
  Problem p(packed());
  p.cumulative_queries.set({1}, 11);
  refuses(p, "cumulative_query_lengths goes from 11 to 10",
          [](mo_attention_params &params) { params.max_query_length = 0, params.weights = nullptr; });
  p.cumulative_queries.set({0}, -1);
  refuses(p, "goes from -1", [](mo_attention_params &) {});
  Problem q(packed());
  q.cumulative_queries.set({1}, 4);
  refuses(q, "gives sequence 1 a length of 6, above the bound of 5", [](mo_attention_params &) {});
  Problem r(packed());
  r.cumulative_keys.set({2}, 19);
  refuses(r, "nor leave 0..18", [](mo_attention_params &) {});
  Problem s(paged());
  s.lengths.set({0}, 49);
  refuses(s, "key_lengths[0] is 49, outside 0..48", [](mo_attention_params &) {});
}

TEST_F(AttentionLengthErrors, TablesThatPointOutside) {
  TEST_ON_CPU_ONLY("a GPU takes such entries for no page: ContiguousAndPaged, Quantised and Weights");
  for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT32}) {
    for (const int64_t entry : {INT64_C(-2), INT64_C(8), int64_t{INT32_MAX}, int64_t{INT32_MIN}}) {
      SCOPED_TRACE(testing::Message() << entry << " " << mo_dtype_name(stored));
      Case c = paged();  // rows of 20 and 7 keys: two pages and one of three entries each, in a pool of 8
      c.stored = stored, c.weights = true;
      Problem p(c);
      p.table.set({0, 1}, static_cast<double>(entry));
      const std::string rule =
          "block_table holds " + std::to_string(entry) + " (row 0, entry 1), the pool has 8 pages and -1 stands for none";
      refuses(p, rule.c_str(), [](mo_attention_params &) {});
      p.table.set({0, 1}, -1);
      p.table.set({0, 2}, static_cast<double>(entry)), p.table.set({1, 1}, static_cast<double>(entry));
      refuses(p, "(row 0, entry 2)", [](mo_attention_params &params) {  // without lengths, rows are full
        params.key_lengths = nullptr, params.weights = nullptr;
      });
      EXPECT_EQ(p.run(context_), MO_STATUS_OK) << "behind the keys: " << mo_last_error();
    }
  }
}

TEST(AttentionCacheProcess, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
