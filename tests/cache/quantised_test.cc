// tests/cache/quantised_test.cc - what quantised storage changes: the bounds of include/modelout/cache.h, for stored elements
// and for attention over them.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "cache_tensors.h"

namespace {

using cache_test::CacheTest;
using cache_test::DeviceTensor;
using cache_test::Read;
using Floats = std::vector<float>;

constexpr int64_t kHeads = 2, kQueryHeads = 4, kSize = 32;

// Storage, and how many elements share a scale (0: the whole head).
struct Storage {
  mo_dtype_t dtype;
  int64_t group_size;
};

// Normal numbers; the first quarter of each head is ten times as large, as a few channels of real keys are.
Floats Draw(int64_t count, unsigned seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = normal(random) * scale * (i % kSize < kSize / 4 ? 10.0f : 1.0f);
  return values;
}

// The bound of an element, by the largest of those that share its scale; the scale itself is rounded.
double ElementBound(const Storage &storage, const Floats &values, size_t i) {
  const size_t group = static_cast<size_t>(storage.group_size > 0 ? storage.group_size : kSize), first = i / group * group;
  double largest = 0;
  for (size_t k = first; k < first + group; ++k) largest = std::max(largest, std::fabs(static_cast<double>(values[k])));
  const double bound = storage.dtype == MO_DTYPE_INT8
                           ? largest / 254
                           : std::max(std::fabs(static_cast<double>(values[i])) / 16, largest / 458752);
  return bound + 1e-6 * largest;
}

class Quantised : public CacheTest, public testing::WithParamInterface<Storage> {
 protected:
  mo_cache_t *MakeQuantised() {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = MO_CACHE_QUANTIZED;
    options.storage_dtype = GetParam().dtype;
    options.group_size = GetParam().group_size;
    return Make(options);
  }
  void Append(mo_cache_t *cache, const Floats &key, const Floats &value, int64_t tokens, mo_cache_entry *entry) {
    DeviceTensor keys(context_, MO_DTYPE_FLOAT32, {1, kHeads, tokens, kSize}, [&](int64_t i) { return key[size_t(i)]; });
    DeviceTensor values(context_, MO_DTYPE_FLOAT32, {1, kHeads, tokens, kSize}, [&](int64_t i) { return value[size_t(i)]; });
    ASSERT_EQ(mo_cache_update(cache, 0, keys.get(), values.get(), nullptr, nullptr, entry), MO_STATUS_OK) << mo_last_error();
  }
};

TEST_P(Quantised, ElementsAreWithinHalfAStep) {
  const int64_t tokens = 23;
  const Floats key = Draw(kHeads * tokens * kSize, 1, 1), value = Draw(kHeads * tokens * kSize, 2, 0.01f);
  mo_cache_t *cache = MakeQuantised();
  mo_cache_entry entry;
  Append(cache, key, value, tokens, &entry);
  for (const bool values : {false, true}) {
    const Floats &wanted = values ? value : key;
    const Floats found = cache_test::Gather(context_, entry.view, 1, tokens, values, MO_DTYPE_FLOAT32);
    double nearest = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const double bound = ElementBound(GetParam(), wanted, i), error = std::fabs(double(found[i]) - double(wanted[i]));
      ASSERT_LE(error, bound) << "element " << i << ", " << wanted[i];
      nearest = std::max(nearest, error / bound);
    }
    EXPECT_GT(nearest, 0.9) << "the bound is reached";
  }
  mo_cache_release(cache);
}

// Both ops that read such a cache, against attention in double over what was given.
TEST_P(Quantised, AttentionIsWithinWhatTheElementsAllow) {
  const int64_t tokens = test_device_is_simulated() ? 24 : 200;
  const Floats key = Draw(kHeads * tokens * kSize, 3, 0.3f), value = Draw(kHeads * tokens * kSize, 4, 1);
  const Floats query = Draw(kQueryHeads * kSize, 5, 0.1f);
  mo_cache_t *cache = MakeQuantised();
  mo_cache_entry entry;
  Append(cache, key, value, tokens, &entry);
  DeviceTensor queries(context_, MO_DTYPE_FLOAT32, {1, kQueryHeads, 1, kSize}, [&](int64_t i) { return query[size_t(i)]; });
  DeviceTensor output(context_, MO_DTYPE_FLOAT32, {1, kQueryHeads, 1, kSize});
  DeviceTensor weights(context_, MO_DTYPE_FLOAT32, {1, kQueryHeads, 1, tokens});
  const double scale = 1 / std::sqrt(double(kSize));
  for (const bool decode : {false, true}) {
    SCOPED_TRACE(decode ? "mo_decode_attention" : "mo_attention");
    if (decode) {
      mo_decode_attention_params params = MO_DECODE_ATTENTION_PARAMS_INIT;
      params.output = output.get();
      params.weights = weights.get();
      params.query = queries.get();
      params.cache = entry.view;
      params.length = tokens;
      ASSERT_EQ(mo_decode_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    } else {
      mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
      params.output = output.get();
      params.weights = weights.get();
      params.query = queries.get();
      params.cache = &entry.view;
      params.max_key_length = tokens;
      ASSERT_EQ(mo_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
    }
    const Floats mixed = Read(context_, *output.get()), found = Read(context_, *weights.get());
    double nearest_weight = 0, nearest_output = 0;
    for (int64_t h = 0; h < kQueryHeads; ++h) {
      const size_t first = size_t(h / (kQueryHeads / kHeads) * tokens * kSize);
      std::vector<double> exact(static_cast<size_t>(tokens));
      double largest_shift = 0, largest = -INFINITY, sum = 0; /* epsilon of the header */
      for (size_t j = 0; j < exact.size(); ++j) {
        double score = 0, shift = 0;
        for (size_t d = 0; d < kSize; ++d) {
          const double q = query[size_t(h) * kSize + d];
          score += q * double(key[first + j * kSize + d]);
          shift += std::fabs(q) * ElementBound(GetParam(), key, first + j * kSize + d);
        }
        exact[j] = scale * score;
        largest = std::max(largest, exact[j]);
        largest_shift = std::max(largest_shift, scale * shift);
      }
      for (double &weight : exact) sum += weight = std::exp(weight - largest);
      const double factor = std::exp(2 * largest_shift) - 1;
      for (size_t j = 0; j < exact.size(); ++j) {
        exact[j] /= sum;
        const double error = std::fabs(double(found[size_t(h * tokens) + j]) - exact[j]);
        ASSERT_LE(error, factor * exact[j] + 1e-6) << "head " << h << ", key " << j;
        nearest_weight = std::max(nearest_weight, error / (factor * exact[j] + 1e-6));
      }
      for (size_t d = 0; d < kSize; ++d) {
        double wanted = 0, value_error = 0, largest_value = 0;
        for (size_t j = 0; j < exact.size(); ++j) {
          const size_t at = first + j * kSize + d;
          wanted += exact[j] * double(value[at]);
          value_error = std::max(value_error, ElementBound(GetParam(), value, at));
          largest_value = std::max(largest_value, std::fabs(double(value[at])));
        }
        const double bound = value_error + factor * largest_value + 1e-5;
        const double error = std::fabs(double(mixed[size_t(h) * kSize + d]) - wanted);
        ASSERT_LE(error, bound) << "head " << h << ", element " << d;
        nearest_output = std::max(nearest_output, error / bound);
      }
    }
    EXPECT_GT(nearest_weight, 0.02) << "a bound that nothing comes near says nothing";
    EXPECT_GT(nearest_output, 0.005);
    RecordProperty("nearest_weight", std::to_string(nearest_weight));
    RecordProperty("nearest_output", std::to_string(nearest_output));
  }
  mo_cache_release(cache);
}

INSTANTIATE_TEST_SUITE_P(Storages, Quantised,
                         testing::Values(Storage{MO_DTYPE_INT8, 0}, Storage{MO_DTYPE_INT8, 8}, Storage{MO_DTYPE_FLOAT8_E4M3, 0},
                                         Storage{MO_DTYPE_FLOAT8_E4M3, 8}),
                         [](const auto &parameter) {
                           return std::string(parameter.param.dtype == MO_DTYPE_INT8 ? "int8" : "e4m3") +
                                  (parameter.param.group_size > 0 ? "_groups" : "_heads");
                         });

}  // namespace
