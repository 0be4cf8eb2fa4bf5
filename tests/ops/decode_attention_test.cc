/* tests/ops/decode_attention_test.cc - decode attention against a plain double-precision computation, and its cache against
 * what mo_kv_update writes.
 *
 * The computation starts from the cache as it is after the call, which must be, bit for bit, what the cache update makes of the
 * same tokens. Bound: at most twice the error of the same computation done plainly (turned queries, dequantised elements and
 * probabilities rounded to the type of the query, sums in float32), plus 2e-6 of the largest value. Slots that a row does not
 * hold are NaN.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <cfloat>
#include <functional>
#include <memory>

#include "decode_attention_shim.h"
#include "kv_store.h"

namespace {

using kv_store::Shape;
using kv_store::Store;
using kv_store::Stored;
using op_test::Buffer;

constexpr mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

struct Case {
  int64_t heads = 4, tokens = 1;
  Shape cache = {2, 2, 16, 16, 40};  // batch, key/value heads, key and value size, capacity; pages, groups
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  mo_dtype_t stored = MO_DTYPE_NONE;  // none: dtype
  std::vector<int64_t> lengths = {7, 7};
  bool lengths_on_device = false, appends = true;
  int64_t max_key_length = 0;
  int64_t pairs = 0;  // that turn; 0: no rotary embedding
  mo_rotary_pairing_t pairing = MO_ROTARY_HALVES;
  bool own_positions = false;
  std::vector<int64_t> starts;
  std::vector<int64_t> mask_shape, bias_shape;  // without the keys; empty: none
  mo_dtype_t mask_dtype = MO_DTYPE_BOOL, bias_dtype = MO_DTYPE_FLOAT32;
  bool transposed_masks = false;  // last stride not 1
  int64_t window = 0;
  float scale = 0, soft_cap = 0;
  bool weights = true;
  mo_weights_reduction_t reduction = MO_WEIGHTS_REDUCTION_NONE;
  std::vector<int32_t> weight_heads;
  int64_t last_rows = 0;
  mo_dtype_t weights_dtype = MO_DTYPE_FLOAT32;
  bool log_sum_exp = true;
  int64_t gap = 0;              // elements between rows of queries, new keys and outputs
  bool tokens_outside = false;  // queries and outputs lie as (B, T, H, D)
};

/* (B, H, T, D), or the same seen through (B, T, H, D). */
Buffer Heads(mo_dtype_t dtype, int64_t batch, int64_t heads, int64_t tokens, int64_t size, int64_t gap, bool tokens_outside) {
  if (!tokens_outside) return Buffer(dtype, {batch, heads, tokens, size}, gap);
  Buffer buffer(dtype, {batch, tokens, heads, size}, gap);
  std::swap(buffer.tensor().shape[1], buffer.tensor().shape[2]);
  std::swap(buffer.tensor().strides[1], buffer.tensor().strides[2]);
  return buffer;
}

struct Expected {
  std::vector<double> output, weights, log_sum_exp;  // weights: all heads and rows, key_limit wide
};

/* Everything one call needs, with poisoned destinations. */
struct Problem {
  Case c;
  int64_t key_limit;
  std::unique_ptr<Store> store;
  Buffer query, key, value, output, weights, log_sum_exp, lengths, starts, mask, bias, ids, cosine, sine;
  mo_rotary rotary = {};

  Problem(const Case &given, mo_context_t *cpu, std::mt19937 &random) : c(given) {
    if (c.stored == MO_DTYPE_NONE) c.stored = c.dtype;
    const int64_t batch = c.cache.batch, heads = c.cache.heads;
    const int64_t longest = *std::max_element(c.lengths.begin(), c.lengths.end());
    key_limit = c.max_key_length > 0  ? c.max_key_length
                : c.lengths_on_device ? capacity()
                                      : longest + (c.appends ? c.tokens : 0);
    store = std::make_unique<Store>(c.cache, c.stored, random);
    Prefill(cpu, longest, random);
    query = Heads(c.dtype, batch, c.heads, c.tokens, c.cache.key_size, c.gap, c.tokens_outside);
    key = Heads(c.dtype, batch, heads, c.tokens, c.cache.key_size, c.gap, c.tokens_outside);
    value = Heads(c.dtype, batch, heads, c.tokens, c.cache.value_size, c.gap, c.tokens_outside);
    query.fill(random, 1.5), key.fill(random), value.fill(random);
    output = Heads(c.dtype, batch, c.heads, c.tokens, c.cache.value_size, c.gap, c.tokens_outside);
    log_sum_exp = Buffer(MO_DTYPE_FLOAT32, {batch, c.heads, c.tokens});
    const int64_t rows = c.last_rows > 0 ? c.last_rows : c.tokens;
    weights = Buffer(c.weights_dtype,
                     {batch, c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : static_cast<int64_t>(Selected().size()),
                      c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : rows, key_limit},
                     c.gap);
    lengths = PerRow(c.lengths);
    if (!c.starts.empty()) starts = PerRow(c.starts);
    if (!c.mask_shape.empty()) {
      mask = Broadcast(c.mask_dtype, c.mask_shape);
      std::bernoulli_distribution visible(0.7);
      const auto element = mo_dtype_bytes(c.mask_dtype);
      for (int64_t i = 0; i < mask.count(); ++i) {
        const int64_t one = visible(random) ? 1 : 0;
        std::memcpy(static_cast<uint8_t *>((&mask)->data) + static_cast<size_t>(mask.offset(i)) * element, &one, element);
      }
    }
    if (!c.bias_shape.empty()) bias = Broadcast(c.bias_dtype, c.bias_shape).fill(random, 2.0);
    if (c.pairs == 0) return;
    const int64_t positions = capacity() + 3;
    cosine = Buffer(MO_DTYPE_FLOAT32, {positions, c.pairs}), sine = Buffer(MO_DTYPE_FLOAT32, {positions, c.pairs});
    mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
    config.rotary_dim = 2 * c.pairs;
    EXPECT_EQ(mo_rotary_fill_tables(&config, positions, 0, static_cast<float *>((&cosine)->data),
                                    static_cast<float *>((&sine)->data)),
              MO_STATUS_OK);
    rotary.cosine = &cosine, rotary.sine = &sine, rotary.pairing = c.pairing;
    ids = Buffer(MO_DTYPE_INT64, {batch, c.tokens});
    for (int64_t i = 0; i < ids.count(); ++i) ids.set(i, static_cast<double>((5 * i + 3) % positions));
  }

  int64_t capacity() const {
    const Shape &s = c.cache;
    return s.page_size == 0 ? s.capacity : (s.capacity + s.page_size - 1) / s.page_size * s.page_size;
  }
  std::vector<int64_t> Selected() const {
    std::vector<int64_t> heads;
    for (const int32_t h : c.weight_heads) heads.push_back(h < 0 ? h + c.heads : h);
    for (int64_t h = 0; c.weight_heads.empty() && h < c.heads; ++h) heads.push_back(h);
    return heads;
  }

  mo_decode_attention_params params() {
    mo_decode_attention_params p = MO_DECODE_ATTENTION_PARAMS_INIT;
    p.output = &output, p.query = &query, p.cache = store->view();
    if (c.weights) p.weights = &weights;
    if (c.log_sum_exp) p.log_sum_exp = &log_sum_exp;
    if (c.appends) p.key = &key, p.value = &value;
    if (c.pairs > 0) p.rotary = &rotary;
    if (c.pairs > 0 && c.own_positions) p.position_ids = &ids;
    if (c.lengths_on_device) p.lengths = &lengths;
    else p.length = c.lengths[0];
    p.max_key_length = c.max_key_length;
    if (!c.starts.empty()) p.key_starts = &starts;
    if (!c.mask_shape.empty()) p.mask = &mask;
    if (!c.bias_shape.empty()) p.bias = &bias;
    p.sliding_window = c.window, p.scale = c.scale, p.soft_cap = c.soft_cap;
    p.weights_reduction = c.reduction;
    p.weight_heads = {c.weight_heads.data(), static_cast<int32_t>(c.weight_heads.size())};
    p.weight_last_rows = c.last_rows;
    return p;
  }

  /* The same tokens through mo_kv_update. */
  mo_status_t Update(mo_context_t *context, Store *target) {
    if (!c.appends) return MO_STATUS_OK;
    mo_kv_update_layer layer = {};
    layer.cache = target->view();
    layer.key = &key, layer.value = &value;
    mo_kv_update_params p = MO_KV_UPDATE_PARAMS_INIT;
    p.layers = &layer;
    p.layer_count = 1;
    p.offsets = &lengths;
    if (c.pairs > 0) p.rotary = &rotary;
    if (c.pairs > 0 && c.own_positions) p.position_ids = &ids;
    return test_kv_update(context, &p);
  }

  int64_t total(int64_t b) const { return c.lengths[static_cast<size_t>(b)] + (c.appends ? c.tokens : 0); }
  bool sees(int64_t b, int64_t h, int64_t t, int64_t j) const {
    const int64_t last = c.lengths[static_cast<size_t>(b)] + (c.appends ? t : -1);
    if (j > last || (c.window > 0 && j <= last - c.window)) return false;
    if (!c.starts.empty() && j < c.starts[static_cast<size_t>(b)]) return false;
    return c.mask_shape.empty() || at(mask, b, h, t, j) != 0;
  }
  double at(const Buffer &buffer, int64_t b, int64_t h, int64_t t, int64_t j) const {
    const mo_tensor &s = const_cast<Buffer &>(buffer).tensor();
    const int64_t index =
        (((s.shape[0] == 1 ? 0 : b) * s.shape[1] + (s.shape[1] == 1 ? 0 : h)) * s.shape[2] + (s.shape[2] == 1 ? 0 : t)) *
            s.shape[3] +
        (s.shape[3] == 1 ? 0 : j);
    if (mo_dtype_bytes(s.dtype) != 1) return buffer.get(index);
    return buffer.memory()[static_cast<size_t>(buffer.offset(index))];
  }

  /* A head of the cache, as float64; `plainly`: rounded to the type of the query. */
  std::vector<double> CacheHead(const Buffer &stored, const Buffer &scales, int64_t size, int64_t b, int64_t h, int64_t j,
                                bool plainly) const {
    std::vector<double> result;
    for (int64_t d = 0; d < size; ++d) {
      double x = Stored(c.stored, store->at(stored, b, h, j), d);
      if (store->quantised) x *= store->scale(scales, b, h, j, d / (size / c.cache.groups));
      result.push_back(plainly ? op_test::rounded(c.dtype, static_cast<float>(x)) : x);
    }
    return result;
  }

  template <typename Real>
  Expected Compute() const {
    constexpr bool plainly = sizeof(Real) == 4;
    const Shape &s = c.cache;
    Expected result;
    const int64_t positions = c.pairs > 0 ? const_cast<Buffer &>(cosine).tensor().shape[0] : 1;
    const auto round = [&](Real x) {
      return plainly ? static_cast<Real>(op_test::rounded(c.dtype, static_cast<float>(x))) : x;
    };
    for (int64_t b = 0; b < s.batch; ++b) {
      std::vector<std::vector<std::vector<double>>> keys(static_cast<size_t>(s.heads)), values = keys;
      for (int64_t g = 0; g < s.heads; ++g) {
        for (int64_t j = 0; j < total(b); ++j) {
          keys[g].push_back(CacheHead(store->key, store->key_scale, s.key_size, b, g, j, plainly));
          values[g].push_back(CacheHead(store->value, store->value_scale, s.value_size, b, g, j, plainly));
        }
      }
      for (int64_t h = 0; h < c.heads; ++h) {
        const auto g = static_cast<size_t>(h / (c.heads / s.heads));
        for (int64_t t = 0; t < c.tokens; ++t) {
          std::vector<Real> q;
          for (int64_t d = 0; d < s.key_size; ++d)
            q.push_back(static_cast<Real>(query.get(((b * c.heads + h) * c.tokens + t) * s.key_size + d)));
          for (int64_t i = 0; i < c.pairs; ++i) {
            const int64_t position =
                c.own_positions ? (5 * (b * c.tokens + t) + 3) % positions : c.lengths[static_cast<size_t>(b)] + t;
            const auto cos = static_cast<Real>(cosine.get(position * c.pairs + i)),
                       sin = static_cast<Real>(sine.get(position * c.pairs + i));
            const bool halves = c.pairing == MO_ROTARY_HALVES;
            Real &x = q[static_cast<size_t>(halves ? i : 2 * i)], &y = q[static_cast<size_t>(halves ? c.pairs + i : 2 * i + 1)];
            const Real turned = x * cos - y * sin;
            y = round(y * cos + x * sin);
            x = round(turned);
          }
          const Real infinity = std::numeric_limits<Real>::infinity();
          std::vector<Real> row(static_cast<size_t>(key_limit), -infinity), sum_of(static_cast<size_t>(s.value_size), 0);
          Real maximum = -infinity, sum = 0;
          for (int64_t j = 0; j < total(b); ++j) {
            if (!sees(b, h, t, j)) continue;
            Real dot = 0;
            for (int64_t d = 0; d < s.key_size; ++d)
              dot += q[static_cast<size_t>(d)] * static_cast<Real>(keys[g][static_cast<size_t>(j)][static_cast<size_t>(d)]);
            Real score = dot * (c.scale != 0 ? static_cast<Real>(c.scale) : 1 / std::sqrt(static_cast<Real>(s.key_size)));
            if (c.soft_cap > 0) score = static_cast<Real>(c.soft_cap) * std::tanh(score / static_cast<Real>(c.soft_cap));
            if (!c.bias_shape.empty()) score += static_cast<Real>(at(bias, b, h, t, j));
            row[static_cast<size_t>(j)] = score;
            maximum = std::max(maximum, score);
          }
          const bool nothing = maximum == -infinity;
          for (int64_t j = 0; j < key_limit; ++j) {
            Real &w = row[static_cast<size_t>(j)];
            w = nothing ? Real(j < total(b) ? 1 : 0) : std::exp(w - maximum);
            sum += w;
          }
          for (int64_t j = 0; j < key_limit; ++j) {
            Real &w = row[static_cast<size_t>(j)];
            if (sum > 0) w /= sum;
            if (w == 0) continue;
            for (int64_t d = 0; d < s.value_size; ++d)
              sum_of[static_cast<size_t>(d)] +=
                  round(w) * static_cast<Real>(values[g][static_cast<size_t>(j)][static_cast<size_t>(d)]);
          }
          for (const Real x : sum_of) result.output.push_back(static_cast<double>(x));
          for (const Real x : row) result.weights.push_back(static_cast<double>(x));
          result.log_sum_exp.push_back(total(b) == 0 ? -HUGE_VAL
                                       : nothing     ? -static_cast<double>(FLT_MAX)
                                                     : static_cast<double>(maximum + std::log(sum)));
        }
      }
    }
    return result;
  }

  /* Selection and reduction, in the order of the weights tensor. */
  std::vector<double> Weights(const std::vector<double> &all) const {
    const int64_t first = c.last_rows > 0 ? c.tokens - c.last_rows : 0;
    const std::vector<int64_t> heads = Selected();
    const auto get = [&](int64_t b, int64_t h, int64_t t, int64_t j) {
      return all[static_cast<size_t>(((b * c.heads + h) * c.tokens + t) * key_limit + j)];
    };
    std::vector<double> result;
    for (int64_t b = 0; b < c.cache.batch; ++b) {
      if (c.reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN) {
        for (int64_t t = first; t < c.tokens; ++t) {
          for (int64_t j = 0; j < key_limit; ++j) {
            double sum = 0;
            for (const int64_t h : heads) sum += get(b, h, t, j);
            result.push_back(sum / static_cast<double>(heads.size()));
          }
        }
        continue;
      }
      for (const int64_t h : heads) {
        if (c.reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM) {
          for (int64_t j = 0; j < key_limit; ++j) {
            double sum = 0;
            for (int64_t t = first; t < c.tokens; ++t) sum += get(b, h, t, j);
            result.push_back(sum);
          }
          continue;
        }
        for (int64_t t = first; t < c.tokens; ++t)
          for (int64_t j = 0; j < key_limit; ++j) result.push_back(get(b, h, t, j));
      }
    }
    return result;
  }

 private:
  Buffer PerRow(const std::vector<int64_t> &values) const {
    Buffer buffer(MO_DTYPE_INT32, {c.cache.batch});
    for (int64_t i = 0; i < c.cache.batch; ++i) buffer.set(i, static_cast<double>(values[static_cast<size_t>(i)]));
    return buffer;
  }
  Buffer Broadcast(mo_dtype_t dtype, std::vector<int64_t> shape) const {
    shape.push_back(key_limit);
    if (!c.transposed_masks) return Buffer(dtype, shape, c.gap);
    Buffer buffer(dtype, {shape[0], shape[1], shape[3], shape[2]});
    std::swap(buffer.tensor().shape[2], buffer.tensor().shape[3]);
    std::swap(buffer.tensor().strides[2], buffer.tensor().strides[3]);
    return buffer;
  }
  void Prefill(mo_context_t *cpu, int64_t longest, std::mt19937 &random) {
    Buffer old_key(c.dtype, {c.cache.batch, c.cache.heads, longest, c.cache.key_size});
    Buffer old_value(c.dtype, {c.cache.batch, c.cache.heads, longest, c.cache.value_size});
    old_key.fill(random), old_value.fill(random);
    Buffer counts = PerRow(c.lengths);
    mo_kv_update_layer layer = {};
    layer.cache = store->view();
    layer.key = &old_key, layer.value = &old_value;
    mo_kv_update_params p = MO_KV_UPDATE_PARAMS_INIT;
    p.layers = &layer;
    p.layer_count = 1;
    p.counts = &counts;
    ASSERT_EQ(mo_kv_update(cpu, &p), MO_STATUS_OK) << mo_last_error();
  }
};

class DecodeAttention : public op_test::OpTest {
 protected:
  void SetUp() override {
    OpTest::SetUp();
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    options.thread_count = 1;
    ASSERT_EQ(mo_context_create(&options, &cpu_), MO_STATUS_OK);
  }
  void TearDown() override {
    mo_context_destroy(cpu_);
    OpTest::TearDown();
  }

  static void ExpectClose(const char *what, const Buffer &got, const std::vector<double> &exact,
                          const std::vector<double> &plain) {
    const mo_dtype_t dtype = const_cast<Buffer &>(got).tensor().dtype;
    double bound = 0, largest = 0, worst = 0;
    ASSERT_EQ(static_cast<size_t>(got.count()), exact.size()) << what;
    for (size_t i = 0; i < exact.size(); ++i) {
      bound = std::max(bound, std::fabs(op_test::rounded(dtype, static_cast<float>(plain[i])) - exact[i]));
      largest = std::max(largest, std::fabs(exact[i]));
    }
    bound = 2 * bound + 2e-6 * largest;
    for (size_t i = 0; i < exact.size(); ++i) {
      const double found = got.get(static_cast<int64_t>(i));
      ASSERT_FALSE(std::isnan(found)) << what << " " << i;
      worst = std::max(worst, std::fabs(found - exact[i]));
    }
    EXPECT_LE(worst, bound) << what;
  }

  void Check(const Case &c) {
    SCOPED_TRACE(testing::Message() << "B" << c.cache.batch << " H" << c.heads << "/" << c.cache.heads << " T" << c.tokens
                                    << " D" << c.cache.key_size << "/" << c.cache.value_size << " length " << c.lengths[0]
                                    << " pages of " << c.cache.page_size << " " << mo_dtype_name(c.dtype) << " in "
                                    << mo_dtype_name(c.stored == MO_DTYPE_NONE ? c.dtype : c.stored) << " groups "
                                    << c.cache.groups);
    Problem p(c, cpu_, random_);
    Store expected = *p.store;
    ASSERT_EQ(p.Update(context_, &expected), MO_STATUS_OK) << mo_last_error();
    const mo_decode_attention_params params = p.params();
    ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(p.store->key.memory(), expected.key.memory()) << "keys are not as the update writes them";
    EXPECT_EQ(p.store->value.memory(), expected.value.memory());
    EXPECT_EQ(p.store->key_scale.memory(), expected.key_scale.memory());
    EXPECT_EQ(p.store->value_scale.memory(), expected.value_scale.memory());
    const Expected exact = p.Compute<double>(), plain = p.Compute<float>();
    ExpectClose("output", p.output, exact.output, plain.output);
    EXPECT_TRUE(p.output.gaps_untouched());
    const std::vector<uint8_t> untouched(p.weights.memory().size(), 0xFF);
    if (c.weights) {
      const std::vector<double> wanted = p.Weights(exact.weights);
      ExpectClose("weights", p.weights, wanted, p.Weights(plain.weights));
      EXPECT_TRUE(p.weights.gaps_untouched());
      for (size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == 0) {
          ASSERT_EQ(p.weights.get(static_cast<int64_t>(i)), 0) << "weight " << i;
        }
      }
    } else {
      EXPECT_EQ(p.weights.memory(), untouched);
    }
    for (int64_t i = 0; c.log_sum_exp && i < p.log_sum_exp.count(); ++i) {
      const double wanted = exact.log_sum_exp[static_cast<size_t>(i)], got = p.log_sum_exp.get(i);
      if (wanted < -1e30) EXPECT_EQ(got, wanted);
      else EXPECT_NEAR(got, wanted, (c.dtype == MO_DTYPE_FLOAT32 ? 1e-5 : 2e-2) * std::max(1.0, std::fabs(wanted)));
    }
  }

  mo_context_t *cpu_ = nullptr;
};

TEST_F(DecodeAttention, FromC) {
  const float query[4] = {1, 0, 0, 1}, key[4] = {1, 0, 0, 1}, value[4] = {1, 2, 3, 4};
  float output[4], weights[4], cache_key[4 * 2], cache_value[4 * 2];
  std::fill_n(cache_key, 8, 0.0f), std::fill_n(cache_value, 8, 0.0f);
  ASSERT_EQ(shim_decode_step(context_, output, weights, query, key, value, cache_key, cache_value, 2, 2, 2, 1), MO_STATUS_OK)
      << mo_last_error();
  const double large = 1 / (1 + std::exp(-std::sqrt(0.5)));
  EXPECT_NEAR(weights[0], 1 - large, 1e-6);
  EXPECT_NEAR(weights[1], large, 1e-6);
  EXPECT_NEAR(output[1], 2 * large, 1e-6);
  EXPECT_EQ(cache_key[2], 1.0f);
  EXPECT_EQ(cache_value[6], 3.0f);
  EXPECT_EQ(cache_value[4], 0.0f);
}

TEST_F(DecodeAttention, Lengths) {
  for (const int64_t n : {0, 1, 2, 3, 7, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 257, 700}) {
    if (test_device_is_simulated() && n > 300) continue;
    Case c;
    c.cache = {1, 2, 16, 16, n + 1};
    c.lengths = {n};
    Check(c);
  }
}

TEST_F(DecodeAttention, TypesSizesAndStorage) {
  const std::pair<int64_t, int64_t> sizes[] = {{16, 16}, {24, 40}, {64, 64}, {80, 80}, {128, 128}, {256, 256}, {7, 5}};
  for (const mo_dtype_t dtype : kFloats) {
    for (const mo_dtype_t stored : {dtype, MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      for (const auto &[key_size, value_size] : sizes) {
        Case c;
        c.dtype = dtype, c.stored = stored;
        c.cache = {2, 2, key_size, value_size, 90};
        c.lengths = {77, 77};
        c.pairs = key_size / 4;
        c.heads = dtype == MO_DTYPE_FLOAT16 ? 2 : 8;
        Check(c);
      }
    }
  }
}

TEST_F(DecodeAttention, GroupsAndTokens) {
  const std::pair<int64_t, int64_t> groups[] = {{3, 3}, {4, 2}, {8, 2}, {12, 1}, {35, 5}};
  for (const auto &[heads, kv_heads] : groups) {
    for (const int64_t tokens : {1, 2, 5, 8}) {
      for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
        if (test_device_is_simulated() && heads * tokens > 100) continue;
        Case c;
        c.dtype = dtype;
        c.heads = heads, c.tokens = tokens;
        c.cache = {1, kv_heads, 32, 32, 150};
        c.lengths = {99};
        c.pairs = 16, c.pairing = MO_ROTARY_INTERLEAVED;
        Check(c);
      }
    }
  }
}

TEST_F(DecodeAttention, PagesScalesAndRaggedRows) {
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT16, MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
    for (const int64_t page_size : {0, 16, 64}) {
      for (const int64_t scale_groups : {1, 2, 8}) {
        if (stored == MO_DTYPE_FLOAT16 && scale_groups > 1) continue;
        Case c;
        c.dtype = MO_DTYPE_FLOAT16, c.stored = stored;
        c.heads = 6, c.tokens = 3;
        c.cache = {
            4, 2, page_size == 16 ? 128 : 64, 64, 140, page_size, scale_groups, page_size == 64, page_size == 16 ? 8 : 0};
        c.lengths = {0, 130, 15, 64};
        c.lengths_on_device = true;
        c.starts = {0, 40, 17, 3};
        c.pairs = 8, c.own_positions = true;
        c.gap = page_size == 0 ? 3 : 8, c.tokens_outside = page_size != 16;
        Check(c);
      }
    }
  }
}

TEST_F(DecodeAttention, MasksWindowsAndCaps) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    Case c;
    c.dtype = dtype;
    c.heads = 8, c.tokens = 4;
    c.cache = {2, 2, 32, 32, 160};
    c.lengths = {97, 41};
    c.lengths_on_device = true;
    c.max_key_length = 120;
    const std::pair<std::vector<int64_t>, std::vector<int64_t>> shapes[] = {
        {{2, 8, 4}, {}}, {{}, {1, 8, 1}}, {{2, 1, 1}, {2, 1, 4}}, {{1, 1, 4}, {1, 1, 1}}};
    const mo_dtype_t masks[] = {MO_DTYPE_BOOL, MO_DTYPE_INT32, MO_DTYPE_INT64, MO_DTYPE_UINT8};
    for (size_t i = 0; i < 4; ++i) {
      c.mask_shape = shapes[i].first, c.bias_shape = shapes[i].second;
      c.mask_dtype = masks[i];
      c.bias_dtype = i == 2 ? dtype : MO_DTYPE_FLOAT32;
      c.transposed_masks = i == 3;
      c.soft_cap = i % 2 == 0 ? 0.0f : 5.0f;
      c.scale = i == 1 ? 0.3f : 0.0f;
      c.window = i == 3 ? 33 : 0;
      Check(c);
    }
    c.mask_shape.clear(), c.bias_shape.clear();
    c.soft_cap = 0;
    for (const int64_t window : {1, 2, 16, 1000}) {
      c.window = window;
      Check(c);
    }
  }
}

/* Rows whose tokens all stand before the first key that is not padding, and rows that hold nothing. */
TEST_F(DecodeAttention, RowsThatSeeNoKey) {
  for (const bool appends : {true, false}) {
    for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
      for (const int64_t page_size : {0, 16}) {
        Case c;
        c.dtype = stored == MO_DTYPE_INT8 ? MO_DTYPE_BFLOAT16 : stored, c.stored = stored;
        c.heads = 4, c.tokens = 2;
        c.cache = {3, 1, 16, 24, 160, page_size, stored == MO_DTYPE_INT8 ? 2 : 1};
        c.lengths = {0, 150, 70};
        c.lengths_on_device = true;
        c.appends = appends;
        c.starts = {0, 1000, 71};
        Check(c);
      }
    }
  }
}

/* Transformers' masks: the smallest finite number is added. Where it is added everywhere, all keys are alike. */
TEST_F(DecodeAttention, BiasOfTheSmallestNumber) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    Case c;
    c.dtype = dtype;
    c.heads = 4;
    c.cache = {2, 1, 16, 16, 80};
    c.lengths = {69, 69};
    c.bias_shape = {2, 1, 1};
    Problem p(c, cpu_, random_);
    for (int64_t j = 0; j < 70; ++j) {
      p.bias.set(j, j < 40 ? -static_cast<double>(FLT_MAX) : 0);
      p.bias.set(70 + j, -static_cast<double>(FLT_MAX));
    }
    const mo_decode_attention_params params = p.params();
    ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t h = 0; h < 4; ++h) {
      double sum = 0;
      for (int64_t j = 0; j < 70; ++j) {
        const double weight = p.weights.get(h * 70 + j);
        if (j < 40) EXPECT_EQ(weight, 0) << j;
        else sum += weight;
        EXPECT_NEAR(p.weights.get((4 + h) * 70 + j), 1.0 / 70, 1e-6);
      }
      EXPECT_NEAR(sum, 1, 1e-5);
      EXPECT_EQ(p.log_sum_exp.get(4 + h), -static_cast<double>(FLT_MAX));
      EXPECT_GT(p.log_sum_exp.get(h), -100);
    }
  }
}

/* A NaN among the keys makes its own rows NaN and no others; in a value, only what gives it weight. */
TEST_F(DecodeAttention, NanStaysWhereItBelongs) {
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3}) {
    Case c;
    c.dtype = stored == MO_DTYPE_FLOAT32 ? stored : MO_DTYPE_BFLOAT16, c.stored = stored;
    c.heads = 8;
    c.cache = {2, 2, 64, 64, 100};
    c.lengths = {90, 90};
    c.weights = false;
    Problem p(c, cpu_, random_);
    auto *at = const_cast<uint8_t *>(p.store->at(p.store->key, 0, 1, 33));
    std::memset(at, 0xFF, 2 * mo_dtype_bytes(stored)); /* NaN in all of these types */
    const mo_decode_attention_params params = p.params();
    ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < p.output.count(); ++i) {
      const int64_t head = i / 64 % 8, row = i / 64 / 8;
      ASSERT_EQ(std::isnan(p.output.get(i)), row == 0 && head >= 4) << "row " << row << " head " << head;
    }
  }
}

TEST_F(DecodeAttention, CrossAttention) {
  for (const mo_dtype_t dtype : kFloats) {
    for (const int64_t tokens : {1, 3}) {
      Case c;
      c.dtype = dtype;
      c.appends = false;
      c.heads = 4, c.tokens = tokens;
      c.cache = {2, 4, 64, 64, 150};
      c.lengths = {150, 150};
      c.weights_dtype = dtype;
      Check(c);
      c.pairs = 8, c.own_positions = true;
      c.lengths = {120, 33}, c.lengths_on_device = true;
      c.window = 50;
      Check(c);
    }
  }
}

TEST_F(DecodeAttention, Weights) {
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16}) {
    for (const mo_weights_reduction_t reduction :
         {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      for (const bool selects : {false, true}) {
        Case c;
        c.dtype = dtype;
        c.heads = 8, c.tokens = 3;
        c.cache = {2, 2, 16, 16, 300};
        c.lengths = {210, 66};
        c.lengths_on_device = true;
        c.max_key_length = 219;
        c.starts = {0, 5};
        c.reduction = reduction;
        if (selects) c.weight_heads = {6, -7, 0}, c.last_rows = 2;
        c.weights_dtype = selects ? MO_DTYPE_BFLOAT16 : MO_DTYPE_FLOAT32;
        c.gap = selects ? 3 : 0;
        c.log_sum_exp = !selects;
        Check(c);
      }
    }
    Case c;
    c.dtype = dtype;
    c.weights = false;
    Check(c);
  }
}

/* Many keys, so that they are parted, and the combination of the parts is what is tested. */
TEST_F(DecodeAttention, LongRows) {
  const int64_t length = test_device_is_simulated() ? 1500 : 9001;
  for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
    for (const int64_t heads : {1, 4}) {
      Case c;
      c.dtype = dtype;
      c.heads = heads;
      c.cache = {1, 1, 32, 32, length + 3};
      c.lengths = {length};
      c.max_key_length = length + 2;
      Check(c);
    }
  }
}

/* Only the data know of them: the CPU looks before it writes, new tokens of other rows included. */
TEST_F(DecodeAttention, TablesThatPointOutside) {
  TEST_ON_CPU_ONLY("a GPU takes such entries for no page: EntriesThatAreNoPages");
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
    for (const bool appends : {true, false}) {
      Case c;
      c.stored = stored, c.appends = appends, c.tokens = 2;
      c.cache = {2, 2, 16, 16, 64, 16}; /* the pool has 11 pages */
      c.lengths = {20, 31}, c.lengths_on_device = true;
      Problem p(c, cpu_, random_);
      const auto refused = [&](int64_t index, double entry, const char *part) {
        const double own = p.store->table.get(index);
        p.store->table.set(index, entry);
        const Store before = *p.store;
        const mo_decode_attention_params params = p.params();
        expect_error(test_decode_attention(context_, &params), MO_STATUS_INVALID_ARGUMENT, "decode attention", part);
        EXPECT_EQ(p.store->key.memory(), before.key.memory());
        EXPECT_EQ(p.store->value.memory(), before.value.memory());
        EXPECT_EQ(p.store->key_scale.memory(), before.key_scale.memory());
        EXPECT_EQ(p.output.memory(), std::vector<uint8_t>(p.output.memory().size(), 0xFF));
        p.store->table.set(index, own);
      };
      refused(0, -2, "block_table holds -2 (row 0, entry 0), the pool has 11 pages and -1 stands for none");
      refused(1, 11, "block_table holds 11 (row 0, entry 1)");
      refused(5, INT32_MIN, "block_table holds -2147483648 (row 1, entry 1)");
      if (appends) refused(6, INT32_MAX, "block_table holds 2147483647 (row 1, entry 2)"); /* only for its second new token */
      else p.store->table.set(6, INT32_MAX);
      p.store->table.set(2, 11), p.store->table.set(3, -7), p.store->table.set(7, 1 << 20); /* not used */
      const mo_decode_attention_params params = p.params();
      EXPECT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    }
  }
}

/* Table entries that are no pages: tokens there are dropped, and read as zeros. */
TEST_F(DecodeAttention, EntriesThatAreNoPages) {
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
    Case c;
    c.stored = stored;
    c.cache = {1, 2, 16, 16, 64, 16};
    c.lengths = {40};
    Problem p(c, cpu_, random_);
    p.store->table.set(1, -1), p.store->table.set(2, test_device_is_cpu() ? -1 : 1 << 20);
    const Store before = *p.store;
    const mo_decode_attention_params params = p.params();
    ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(p.store->key.memory(), before.key.memory());
    for (int64_t h = 0; h < 4; ++h) {
      double sum = 0;
      std::vector<double> weights;
      for (int64_t j = 0; j < 41; ++j) weights.push_back(p.weights.get(h * 41 + j)), sum += weights.back();
      EXPECT_NEAR(sum, 1, 1e-5);
      for (int64_t j = 17; j < 41; ++j) EXPECT_EQ(weights[static_cast<size_t>(j)], weights[16]) << "a score of 0 each";
      for (int64_t d = 0; d < 16; ++d) {
        double expected = 0;
        for (int64_t j = 0; j < 16; ++j)
          expected += weights[static_cast<size_t>(j)] *
                      p.CacheHead(p.store->value, p.store->value_scale, 16, 0, h / 2, j, false)[static_cast<size_t>(d)];
        EXPECT_NEAR(p.output.get(h * 16 + d), expected, 1e-5);
      }
    }
  }
}

TEST_F(DecodeAttention, EmptyExtents) {
  for (const int which : {0, 1, 2, 3}) {
    Case c;
    c.cache = {which == 0 ? 0 : 2, which == 1 ? 0 : 2, 8, which == 2 ? 0 : 8, 20};
    c.heads = which == 1 ? 0 : 2;
    c.tokens = which == 3 ? 0 : 1;
    c.lengths = {5, 5};
    Problem p(c, cpu_, random_);
    mo_decode_attention_params params = p.params();
    EXPECT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << which << mo_last_error();
  }
}

TEST_F(DecodeAttention, SameBitsAgainAndWithOtherThreads) {
  Case c;
  c.cache = {1, 2, 32, 32, 1100};
  c.lengths = {1050};
  Problem p(c, cpu_, random_);
  const mo_decode_attention_params params = p.params();
  ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
  const std::vector<uint8_t> output = p.output.memory(), weights = p.weights.memory();
  for (const int threads : {1, 2, 5}) {
    make_context(threads);
    ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(p.output.memory(), output);
    EXPECT_EQ(p.weights.memory(), weights);
  }
}

TEST_F(DecodeAttention, NothingIsAllocatedTwice) {
  TEST_ON_CPU_ONLY("the copies of the tensors are allocated elsewhere; a captured step shows it there");
  Case c;
  Problem p(c, cpu_, random_);
  const mo_decode_attention_params params = p.params();
  ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
  const uint64_t allocations = mo_context_get_counters(context_).device_allocations;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(test_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_context_get_counters(context_).device_allocations, allocations);
}

TEST_F(DecodeAttention, RefusesWhatItCannotDo) {
  Case c;
  c.tokens = 2;
  c.cache = {2, 2, 16, 16, 40};
  c.mask_shape = {2, 4, 2}, c.bias_shape = {1, 1, 1};
  c.pairs = 8;
  const auto refused = [&](const char *part, auto change, mo_status_t expected = MO_STATUS_INVALID_ARGUMENT) {
    Problem p(c, cpu_, random_);
    const Store before = *p.store;
    mo_decode_attention_params params = p.params();
    change(params, p);
    expect_error(test_decode_attention(context_, &params), expected, "decode attention", part);
    EXPECT_EQ(p.store->key.memory(), before.key.memory());
    EXPECT_EQ(p.output.memory(), std::vector<uint8_t>(p.output.memory().size(), 0xFF));
  };
  using P = mo_decode_attention_params;
  Buffer three(MO_DTYPE_INT32, {3}), half(MO_DTYPE_FLOAT16, {2, 4, 2, 16}), nine(MO_DTYPE_FLOAT32, {2, 4, 9, 16}),
      five(MO_DTYPE_FLOAT32, {2, 5, 2, 16}), wide(MO_DTYPE_FLOAT32, {2, 4, 2, 24}), short_mask(MO_DTYPE_BOOL, {2, 4, 2, 8}),
      long_row(MO_DTYPE_FLOAT32, {2, 4, 2, 40}), ids(MO_DTYPE_INT32, {2, 3}), rows(MO_DTYPE_FLOAT32, {3, 4, 2, 16});
  refused("struct_size", [](P &p, Problem &) { p.struct_size = 1; });
  refused("cache key", [](P &p, Problem &) { p.cache.key = nullptr; });
  refused("key_scale was given", [](P &p, Problem &) { p.cache.key_scale = p.cache.key; });
  refused("query", [](P &p, Problem &) { p.query = nullptr; });
  refused("the cache holds float32", [&](P &p, Problem &) { p.query = &half; });
  refused(
      "9 new tokens", [&](P &p, Problem &) { p.query = &nine; }, MO_STATUS_UNSUPPORTED);
  refused("5 query heads are not a multiple of 2", [&](P &p, Problem &) { p.query = &five; });
  refused("head dim 24", [&](P &p, Problem &) { p.query = &wide; });
  refused("query has 3 rows", [&](P &p, Problem &) { p.query = &rows; });
  refused("key without value", [](P &p, Problem &) { p.value = nullptr; });
  refused("value without key", [](P &p, Problem &) { p.key = nullptr; });
  refused("key", [](P &p, Problem &) { p.key = p.query; });
  refused("output", [&](P &p, Problem &) { p.output = &half; });
  refused("output", [&](P &p, Problem &) { p.output = &wide; });
  refused("log_sum_exp", [&](P &p, Problem &) { p.log_sum_exp = &wide; });
  refused("lengths", [&](P &p, Problem &) { p.lengths = &three; });
  refused("key_starts", [&](P &p, Problem &) { p.key_starts = &three; });
  refused("2 new tokens after 39", [](P &p, Problem &) { p.length = 39; });
  refused("after -1", [](P &p, Problem &) { p.length = -1; });
  refused("max_key_length is 41", [](P &p, Problem &) { p.max_key_length = 41; });
  refused("max_key_length is -1", [](P &p, Problem &) { p.max_key_length = -1; });
  refused("max_key_length is 8", [](P &p, Problem &) { p.max_key_length = 8; });
  refused("mask", [&](P &p, Problem &) { p.mask = &short_mask; });
  refused("bias", [&](P &p, Problem &) { p.bias = &short_mask; });
  refused("sliding window", [](P &p, Problem &) { p.sliding_window = -1; });
  refused("scale", [](P &p, Problem &) { p.scale = INFINITY; });
  refused("soft cap", [](P &p, Problem &) { p.soft_cap = -1; });
  refused("weights", [&](P &p, Problem &) { p.weights = &long_row; });
  refused("weights reduction 7", [](P &p, Problem &) { p.weights_reduction = static_cast<mo_weights_reduction_t>(7); });
  refused("the last 3 rows of 2", [](P &p, Problem &) { p.weight_last_rows = 3; });
  static const int32_t twice[] = {1, 1}, outside[] = {4};
  refused("twice", [](P &p, Problem &) { p.weight_heads = {twice, 2}; });
  refused("weight_heads", [](P &p, Problem &) { p.weight_heads = {outside, 1}; });
  refused("position_ids", [&](P &p, Problem &) { p.position_ids = &ids; });
  refused("needs position_ids", [](P &p, Problem &q) {
    p.key = p.value = nullptr;
    p.length = 9;
    (void)q;
  });
  refused("turn 12 pairs", [](P &p, Problem &q) {
    q.cosine = q.sine = Buffer(MO_DTYPE_FLOAT32, {60, 12});
    (void)p;
  });
  refused("the tables have 8 positions", [](P &p, Problem &q) {
    q.cosine = q.sine = Buffer(MO_DTYPE_FLOAT32, {8, 8});
    (void)p;
  });
  refused("output overlaps query", [](P &p, Problem &q) { p.output = &q.query; });
  refused("cache key overlaps key", [](P &p, Problem &q) {
    static mo_tensor inside;
    inside = *(&q.store->key);
    inside.shape[2] = 2;
    p.key = &inside;
  });
  if (!test_device_is_cpu()) return;
  refused("after 39 (row 1)", [](P &p, Problem &q) {
    q.lengths = Buffer(MO_DTYPE_INT32, {2});
    q.lengths.set(0, 0), q.lengths.set(1, 39);
    p.lengths = &q.lengths;
    p.mask = nullptr, p.bias = nullptr, p.weights = nullptr;
  });
  refused("after -3 (row 0)", [](P &p, Problem &q) {
    q.lengths.set(0, -3);
    p.lengths = &q.lengths;
    p.mask = nullptr, p.bias = nullptr, p.weights = nullptr;
  });
  refused("position 50", [](P &p, Problem &q) {
    q.ids.set(3, 50);
    p.position_ids = &q.ids;
  });
}

TEST_F(DecodeAttention, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
