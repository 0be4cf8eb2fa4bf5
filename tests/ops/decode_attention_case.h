/* tests/ops/decode_attention_case.h - one call of decode attention, and a plain computation of what it must give.
 *
 * The computation starts from the cache as it is after the call, which must be, bit for bit, what the cache update makes of the
 * same tokens. Slots that a row does not hold are NaN.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_DECODE_ATTENTION_CASE_H
#define MO_TESTS_OPS_DECODE_ATTENTION_CASE_H

#include <cfloat>
#include <memory>

#include "kv_store.h"

namespace decode_attention_case {

using kv_store::OneLayer;
using kv_store::Shape;
using kv_store::Store;
using kv_store::Stored;
using op_test::Buffer;

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
inline Buffer Heads(mo_dtype_t dtype, int64_t batch, int64_t heads, int64_t tokens, int64_t size, int64_t gap,
                    bool tokens_outside) {
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
    OneLayer call(target->view(), key, value);
    call.params.offsets = &lengths;
    if (c.pairs > 0) call.params.rotary = &rotary;
    if (c.pairs > 0 && c.own_positions) call.params.position_ids = &ids;
    return test_kv_update(context, &call.params);
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
    OneLayer call(store->view(), old_key, old_value);
    call.params.counts = &counts;
    ASSERT_EQ(mo_kv_update(cpu, &call.params), MO_STATUS_OK) << mo_last_error();
  }
};

}  // namespace decode_attention_case

#endif
