// tests/output/growth_test.cc - work grows with what is held: many names, many tensors, fields that stand in many places. The
// sizes are such that work of a higher order would take minutes to ages.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/scoped_context.h"

namespace {

constexpr int kMany = 200000;
constexpr int kLevels = 60;        // 2^60 places
constexpr int kDepthLimit = 256;   // as field.h says

class Growth : public ::testing::Test {
 protected:
  void TearDown() override {
    mo_output_destroy(output_);
    for (mo_field *field : fields_) mo_field_release(field);
  }
  mo_field *Keep(mo_status_t status, mo_field *field) {
    EXPECT_EQ(status, MO_STATUS_OK) << mo_last_error();
    fields_.push_back(field);
    return field;
  }
  mo_field *Integer(int64_t value) {
    mo_field *field = nullptr;
    const mo_status_t status = mo_field_create_integer(context_, value, &field);
    return Keep(status, field);
  }
  mo_field *Tensor(std::vector<int64_t> shape = {1}) {
    mo_field *field = nullptr;
    const mo_tensor tensor = mo_tensor_cpu(values_, MO_DTYPE_FLOAT32, static_cast<int32_t>(shape.size()), shape.data());
    const mo_status_t status = mo_field_create_tensor(context_, &tensor, nullptr, nullptr, &field);
    return Keep(status, field);
  }
  mo_field *Tuple(std::vector<mo_field *> items) {
    mo_field *field = nullptr;
    const mo_status_t status = mo_field_create_tuple(context_, items.data(), static_cast<int64_t>(items.size()), &field);
    return Keep(status, field);
  }
  // Each tuple holds the one below it twice.
  mo_field *Doubled(mo_field *lowest, int levels = kLevels) {
    for (int i = 0; i < levels; ++i) lowest = Tuple({lowest, lowest});
    return lowest;
  }
  mo_output *Output(std::vector<mo_item> items, const char *name = "ModelOutput") {
    mo_output_destroy(output_);
    output_ = nullptr;
    EXPECT_EQ(mo_output_create_from_fields(context_, mo_class_find(name), items.data(), static_cast<int64_t>(items.size()),
                                           &output_),
              MO_STATUS_OK)
        << mo_last_error();
    return output_;
  }

  test_support::Context context_{1};
  float values_[64] = {};

 private:
  mo_output *output_ = nullptr;
  std::vector<mo_field *> fields_;
};

TEST_F(Growth, NamesOfAnOutput) {
  mo_output *output = Output({});
  mo_field *value = Integer(1), *other = Integer(2);
  std::vector<std::string> names;
  for (int i = 0; i < kMany; ++i) names.push_back("name " + std::to_string(i * 7919));
  for (const std::string &name : names) ASSERT_EQ(mo_output_set_item(output, name.c_str(), value), MO_STATUS_OK);
  ASSERT_EQ(mo_output_length(output), kMany);
  for (const std::string &name : names) ASSERT_EQ(mo_output_set_item(output, name.c_str(), other), MO_STATUS_OK);
  ASSERT_EQ(mo_output_length(output), kMany);
  for (const std::string &name : names) ASSERT_EQ(mo_output_get(output, name.c_str()), other);
  mo_output *copy = nullptr;
  ASSERT_EQ(mo_output_copy(output, &copy), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(mo_output_equal(output, copy));
  mo_output_destroy(copy);
  for (int i = kMany - 1; i >= kMany / 2; --i) {
    const char *key = nullptr;
    mo_field *field = nullptr;
    ASSERT_EQ(mo_output_pop_last(output, &key, &field), MO_STATUS_OK);
    ASSERT_EQ(key, names[static_cast<size_t>(i)]);
    mo_field_release(field);
  }
  EXPECT_FALSE(mo_output_contains(output, names.back().c_str()));
  EXPECT_TRUE(mo_output_contains(output, names.front().c_str()));
  EXPECT_EQ(mo_output_clear(output), MO_STATUS_OK);
  EXPECT_FALSE(mo_output_contains(output, names.front().c_str()));
}

// All changes of the order against a plain list, long enough for the index and short enough to go without it.
TEST_F(Growth, OrderOfNamesAfterAnyChange) {
  std::mt19937 random(5);
  mo_output *output = Output({});
  mo_field *value = Integer(1);
  std::vector<std::string> expected;
  for (int step = 0; step < 20000; ++step) {
    const std::string name = "n" + std::to_string(random() % 60);
    const auto place = std::find(expected.begin(), expected.end(), name);
    const uint32_t what = random() % 8;
    if (what < 4) {
      ASSERT_EQ(mo_output_set_item(output, name.c_str(), value), MO_STATUS_OK);
      if (place == expected.end()) expected.push_back(name);
    } else if (what < 7) {
      const bool last = what == 6;
      ASSERT_EQ(mo_output_move_to_end(output, name.c_str(), last), place == expected.end() ? MO_STATUS_KEY_ERROR : MO_STATUS_OK);
      if (place == expected.end()) continue;
      expected.erase(place);
      expected.insert(last ? expected.end() : expected.begin(), name);
    } else if (!expected.empty()) {
      const char *key = nullptr;
      mo_field *field = nullptr;
      ASSERT_EQ(mo_output_pop_last(output, &key, &field), MO_STATUS_OK);
      ASSERT_EQ(key, expected.back());
      expected.pop_back();
      mo_field_release(field);
    }
    ASSERT_EQ(mo_output_length(output), static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(mo_output_key_at(output, static_cast<int64_t>(i)), expected[i]);
    ASSERT_EQ(mo_output_contains(output, name.c_str()),
              std::find(expected.begin(), expected.end(), name) != expected.end());
  }
}

TEST_F(Growth, KeysOfADict) {
  std::vector<std::string> names;
  std::vector<const char *> keys;
  for (int i = 0; i < kMany; ++i) names.push_back("key " + std::to_string(i % (kMany - 10)));
  for (const std::string &name : names) keys.push_back(name.c_str());
  mo_field *early = Integer(1), *late = Integer(2), *dict = nullptr;
  std::vector<mo_field *> values(kMany, early);
  std::fill(values.end() - 10, values.end(), late);
  ASSERT_EQ(mo_field_create_dict(context_, keys.data(), values.data(), kMany, &dict), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_field_length(dict), kMany - 10);
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(mo_field_item_by_key(dict, keys[static_cast<size_t>(i)]), i % (kMany - 10) < 10 ? late : early);
  EXPECT_EQ(mo_field_item_by_key(dict, "key"), nullptr);
  EXPECT_STREQ(mo_field_key(dict, 3), "key 3");
  mo_field_release(dict);
}

TEST_F(Growth, BlocksOfAContext) {
  std::vector<void *> blocks(kMany);
  for (void *&block : blocks) ASSERT_EQ(mo_context_allocate(context_, 64, &block), MO_STATUS_OK);
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937(3));
  for (void *block : blocks) mo_context_release(context_, block);
  mo_context_trim(context_);
}

TEST_F(Growth, TensorsOfALoadedOutput) {
  const std::string path = ::testing::TempDir() + "growth_test." + std::to_string(getpid()) + ".safetensors";
  std::vector<mo_field *> tensors(kMany / 4, Tensor());
  mo_output *loaded = nullptr;
  ASSERT_EQ(mo_output_save(Output({{"all", Tuple(tensors)}}), path.c_str(), nullptr), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_output_load(context_, path.c_str(), &loaded), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_field_length(mo_output_get(loaded, "all")), kMany / 4);
  mo_output_destroy(loaded);
  unlink(path.c_str());
}

TEST_F(Growth, SharedFieldsAreLookedAtOnce) {
  mo_field *tensor = Tensor();
  mo_field *shared = Doubled(tensor), *again = Doubled(tensor), *other = Doubled(Tensor({2}));
  EXPECT_TRUE(mo_field_equal(shared, again));
  EXPECT_FALSE(mo_field_equal(shared, other));
  EXPECT_FALSE(mo_field_equal(shared, Tuple({shared, shared})));
  EXPECT_EQ(mo_field_prefetch(shared), MO_STATUS_OK);
  EXPECT_TRUE(mo_field_is_ready(shared));
  (void)mo_field_get_counters(shared);

  mo_output *output = Output({{"a", shared}, {"b", again}, {"c", other}});
  const uint64_t generation = mo_output_generation(output);
  EXPECT_EQ(mo_output_mark_written(output, mo_context_stream(context_)), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_output_generation(output), generation + 1);
  EXPECT_EQ(mo_output_synchronize(output), MO_STATUS_OK);
  EXPECT_EQ(mo_output_get_counters(output).host_copies, 0u);
  if (test_device_is_cpu()) {
    EXPECT_EQ(mo_output_device_bytes(output), 2 * sizeof(float));
  }
  mo_output *copy = nullptr;
  ASSERT_EQ(mo_output_copy(output, &copy), MO_STATUS_OK);
  EXPECT_TRUE(mo_output_equal(output, copy));
  mo_output_destroy(copy);
  mo_field *tuple = nullptr;
  EXPECT_EQ(mo_output_to_tuple(output, &tuple), MO_STATUS_OK);
  mo_field_release(tuple);
  EXPECT_EQ(mo_output_check_shapes(Output({{"hidden_states", shared}}, "CausalLMOutput"), nullptr), MO_STATUS_VALUE_ERROR);
}

// The source of a tensor that stands in many places moves on by one generation.
TEST_F(Growth, SharedTensorsAreMarkedOnce) {
  mo_field *tensor = Tensor(), *second = Tensor();
  mo_host_view before, after;
  ASSERT_EQ(mo_field_read(tensor, &before), MO_STATUS_OK);
  mo_output *output = Output({{"a", tensor}, {"b", Tuple({second, tensor, second})}, {"c", tensor}});
  ASSERT_EQ(mo_output_mark_written(output, mo_context_stream(context_)), MO_STATUS_OK);
  ASSERT_EQ(mo_field_read(tensor, &after), MO_STATUS_OK);
  EXPECT_EQ(after.generation, before.generation + 1);
}

// Layers that are one and the same: a square of checks if each were looked at in each place.
TEST_F(Growth, SharedLayersAreCheckedOnce) {
  mo_field *layer = Tuple(std::vector<mo_field *>(30000, Tensor({1, 1, 1, 1})));
  mo_field *layers = Tuple(std::vector<mo_field *>(30000, layer));
  EXPECT_EQ(mo_output_check_shapes(Output({{"past_key_values", layers}}, "FlaxBaseModelOutputWithPast"), nullptr), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(mo_output_check_shapes(Output({{"past_key_values", layers}}, "FlaxCausalLMOutputWithCrossAttentions"), nullptr),
            MO_STATUS_OK)
      << mo_last_error();
}

TEST_F(Growth, FilesAreBounded) {
  const std::string path = ::testing::TempDir() + "growth_test." + std::to_string(getpid()) + ".many";
  mo_field *wide = Integer(3);
  for (int i = 0; i < 4; ++i) wide = Tuple(std::vector<mo_field *>(1000, wide));
  EXPECT_EQ(mo_output_save(Output({{"a", wide}}), path.c_str(), nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_output_save(Output({{"a", Doubled(Integer(3))}}), path.c_str(), nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_output_save(Output({{"a", Doubled(Integer(3), 17)}}), path.c_str(), nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_output_save(Output({{"a", Doubled(Integer(3), 8)}}), path.c_str(), nullptr), MO_STATUS_OK) << mo_last_error();
  unlink(path.c_str());
}

TEST_F(Growth, NestingIsBounded) {
  mo_field *field = Integer(1), *refused = nullptr;
  for (int i = 0; i < kDepthLimit; ++i) field = Tuple({field});
  const char *key = "k";
  EXPECT_EQ(mo_field_create_tuple(context_, &field, 1, &refused), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_field_create_dict(context_, &key, &field, 1, &refused), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(refused, nullptr);
  EXPECT_TRUE(mo_field_is_ready(field));
}

}  // namespace
