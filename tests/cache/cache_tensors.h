// tests/cache/cache_tensors.h - tensors on the tested device and what is in them, for the tests of caches.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_CACHE_CACHE_TENSORS_H
#define MO_TESTS_CACHE_CACHE_TENSORS_H

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/test_context.h"

namespace cache_test {

/* Contiguous device memory of its own. */
class DeviceTensor {
 public:
  DeviceTensor(mo_context_t *context, mo_dtype_t dtype, std::vector<int64_t> shape,
               const std::function<float(int64_t)> &element = nullptr)
      : context_(context) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    const size_t bytes = static_cast<size_t>(count) * mo_dtype_bytes(dtype);
    void *memory = nullptr;
    EXPECT_EQ(mo_context_allocate(context, bytes, &memory), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(
        mo_tensor_init(&tensor_, memory, dtype, mo_context_device(context), static_cast<int32_t>(shape.size()), shape.data()),
        MO_STATUS_OK);
    if (element == nullptr) return;
    std::vector<unsigned char> host(bytes);
    for (int64_t i = 0; i < count; ++i) {
      unsigned char *at = host.data() + static_cast<size_t>(i) * mo_dtype_bytes(dtype);
      const float value = element(i);
      const auto whole32 = static_cast<int32_t>(value);
      const auto whole64 = static_cast<int64_t>(value);
      if (dtype == MO_DTYPE_INT32) memcpy(at, &whole32, sizeof whole32);
      else if (dtype == MO_DTYPE_INT64) memcpy(at, &whole64, sizeof whole64);
      else EXPECT_EQ(mo_dtype_convert(at, dtype, &value, MO_DTYPE_FLOAT32, 1), MO_STATUS_OK);
    }
    EXPECT_EQ(mo_context_copy_to_device(context, memory, host.data(), bytes), MO_STATUS_OK);
    EXPECT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
  }
  ~DeviceTensor() { mo_context_release(context_, tensor_.data); }
  DeviceTensor(const DeviceTensor &) = delete;
  DeviceTensor &operator=(const DeviceTensor &) = delete;

  mo_tensor *get() { return &tensor_; }

 private:
  mo_context_t *context_;
  mo_tensor tensor_{};
};

/* All elements in row-major order. */
inline std::vector<float> Read(mo_context_t *context, const mo_tensor &tensor) {
  const int64_t count = mo_tensor_count(&tensor);
  std::vector<float> values(static_cast<size_t>(count));
  if (count == 0) return values;
  int64_t reach = 1;
  for (int32_t d = 0; d < tensor.rank; ++d) reach += (tensor.shape[d] - 1) * tensor.strides[d];
  std::vector<unsigned char> host(static_cast<size_t>(reach) * mo_dtype_bytes(tensor.dtype));
  EXPECT_EQ(mo_context_copy_to_host(context, host.data(), tensor.data, host.size()), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_context_synchronize(context), MO_STATUS_OK) << mo_last_error();
  const size_t element = mo_dtype_bytes(tensor.dtype);
  std::vector<unsigned char> packed(values.size() * element);
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, offset = 0;
    for (int32_t d = tensor.rank - 1; d >= 0; --d)
      offset += rest % tensor.shape[d] * tensor.strides[d], rest /= tensor.shape[d];
    memcpy(packed.data() + static_cast<size_t>(i) * element, host.data() + static_cast<size_t>(offset) * element, element);
  }
  if (tensor.dtype == MO_DTYPE_INT32) {
    std::vector<int32_t> whole(values.size());
    memcpy(whole.data(), packed.data(), packed.size());
    std::copy(whole.begin(), whole.end(), values.begin());
  } else {
    EXPECT_EQ(mo_dtype_convert(values.data(), MO_DTYPE_FLOAT32, packed.data(), tensor.dtype, count), MO_STATUS_OK);
  }
  return values;
}

/* Tokens start .. start + count - 1 of a layer in any storage, dequantised, as (B, Hkv, count, D) row-major. */
inline std::vector<float> Gather(mo_context_t *context, const mo_kv_view &view, int64_t batch, int64_t count, bool values,
                                 mo_dtype_t dtype) {
  const mo_tensor &key = *view.key, &value = *view.value;
  DeviceTensor to_key(context, dtype, {batch, key.shape[1], count, key.shape[3]});
  DeviceTensor to_value(context, dtype, {batch, key.shape[1], count, value.shape[3]});
  mo_kv_gather_params params = MO_KV_GATHER_PARAMS_INIT;
  params.source = view;
  params.destination.key = to_key.get();
  params.destination.value = to_value.get();
  EXPECT_EQ(mo_kv_gather(context, &params), MO_STATUS_OK) << mo_last_error();
  return Read(context, values ? *to_value.get() : *to_key.get());
}

class CacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = test_context_options();
    options.thread_count = 1; /* the tensors are tiny */
    ASSERT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }
  void TearDown() override { mo_context_destroy(context_); }

  /* One row, one head, one element: appends the tokens and gives what update returns, as the original's peer tests do. */
  std::vector<float> Append(mo_cache_t *cache, const std::vector<float> &tokens, int64_t layer = 0) {
    const auto count = static_cast<int64_t>(tokens.size());
    DeviceTensor key(context_, MO_DTYPE_FLOAT32, {1, 1, count, 1}, [&](int64_t i) { return tokens[static_cast<size_t>(i)]; });
    mo_cache_entry entry;
    EXPECT_EQ(mo_cache_update(cache, layer, key.get(), key.get(), nullptr, nullptr, &entry), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(Read(context_, entry.key), Read(context_, entry.value));
    return Read(context_, entry.key);
  }
  std::vector<float> Stored(mo_cache_t *cache, int64_t layer = 0) {
    mo_cache_entry entry;
    EXPECT_EQ(mo_cache_read(cache, layer, &entry), MO_STATUS_OK) << mo_last_error();
    return Read(context_, entry.key);
  }
  mo_cache_t *Make(const mo_cache_options &options) {
    mo_cache_t *cache = nullptr;
    EXPECT_EQ(mo_cache_create(context_, &options, &cache), MO_STATUS_OK) << mo_last_error();
    return cache;
  }
  mo_cache_t *Make(mo_cache_kind_t kind, int64_t layers = 0, int64_t max_length = 0, int64_t window = 0) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = kind;
    options.layer_count = layers;
    options.max_length = max_length;
    options.window = window;
    return Make(options);
  }
  void ExpectError(mo_status_t status, mo_status_t expected, const char *part) {
    EXPECT_EQ(status, expected) << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error() << " lacks " << part;
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), expected);
  }

  mo_context_t *context_ = nullptr;
};

}  // namespace cache_test

#endif
