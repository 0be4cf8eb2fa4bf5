// tests/output/plan_stated_test.cc - fields whose extents the model states: pyramids, tuples of tuples, absent fields,
// refusals.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "modelout/modelout.h"

namespace {

using Shape = std::vector<int64_t>;

mo_entry_extents Entry(const Shape &shape, mo_dtype_t dtype = MO_DTYPE_NONE) {
  mo_entry_extents entry = {};
  entry.dtype = dtype;
  entry.rank = static_cast<int32_t>(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) entry.shape[i] = shape[i];
  return entry;
}

mo_entry_extents None() {
  mo_entry_extents entry = {};
  entry.rank = -1;
  return entry;
}

mo_field_extents Stated(const char *field, const std::vector<mo_entry_extents> &entries) {
  return {field, entries.data(), static_cast<int32_t>(entries.size())};
}

Shape ShapeOf(const mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  return tensor == nullptr ? Shape{-1} : Shape(tensor->shape, tensor->shape + tensor->rank);
}

class StatedPlan : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK);
    dimensions_.batch_size = 2;
    dimensions_.sequence_length = 7;
    dimensions_.hidden_size = 12;
    dimensions_.num_layers = 3;
    dimensions_.num_heads = 4;
    request_.output_hidden_states = request_.output_attentions = request_.output_router_logits = true;
  }
  void TearDown() override {
    mo_output_destroy(output_);
    mo_context_destroy(context_);
  }

  mo_status_t Create(const char *name, const std::vector<mo_field_extents> &stated) {
    mo_output_destroy(output_);
    output_ = nullptr;
    dimensions_.stated = stated.data();
    dimensions_.stated_count = static_cast<int32_t>(stated.size());
    return mo_output_create(context_, mo_class_find(name), &dimensions_, &request_, nullptr, 0, &output_);
  }
  const mo_field *Item(const char *field, int64_t index) { return mo_field_item(mo_output_get(output_, field), index); }

  mo_context_t *context_ = nullptr;
  mo_output *output_ = nullptr;
  mo_dimensions dimensions_ = MO_DIMENSIONS_INIT;
  mo_request request_ = MO_REQUEST_INIT;
};

TEST_F(StatedPlan, StagesHaveExtentsOfTheirOwn) {
  const std::vector<mo_entry_extents> states = {Entry({2, 8, 6, 8}), Entry({2, 8, 6, 8}), Entry({2, 16, 3, 4})};
  const std::vector<mo_entry_extents> last = {Entry({2, 16, 3, 4})}, pooled = {Entry({2, 16, 1, 1})};
  const std::vector<mo_field_extents> stated = {Stated("hidden_states", states), Stated("last_hidden_state", last),
                                                Stated("pooler_output", pooled)};
  ASSERT_EQ(Create("BaseModelOutputWithPoolingAndNoAttention", stated), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_field_length(mo_output_get(output_, "hidden_states")), 3);
  EXPECT_EQ(ShapeOf(Item("hidden_states", 0)), (Shape{2, 8, 6, 8}));
  EXPECT_EQ(ShapeOf(mo_output_get(output_, "pooler_output")), (Shape{2, 16, 1, 1}));
  EXPECT_EQ(Item("hidden_states", 2), mo_output_get(output_, "last_hidden_state")) << "the same tensor";
  EXPECT_EQ(mo_output_check_plan(output_, mo_class_find("BaseModelOutputWithPoolingAndNoAttention"), &dimensions_, &request_),
            MO_STATUS_OK)
      << mo_last_error();
  EXPECT_EQ(mo_output_check_shapes(output_, &dimensions_), MO_STATUS_OK) << mo_last_error();
  size_t held = 0;
  mo_output_memory(output_, &held);
  EXPECT_GE(held, 4u * (2 * 2 * 8 * 6 * 8 + 2 * 16 * 3 * 4 + 2 * 16));

  std::vector<mo_entry_extents> other = states;
  other[1].shape[1] = 9;
  const std::vector<mo_field_extents> changed = {Stated("hidden_states", other), stated[1], stated[2]};
  dimensions_.stated = changed.data();
  EXPECT_EQ(mo_output_check_plan(output_, mo_class_find("BaseModelOutputWithPoolingAndNoAttention"), &dimensions_, &request_),
            MO_STATUS_INVALID_ARGUMENT);
}

TEST_F(StatedPlan, TheRequestStillSelectsAndReduces) {
  const std::vector<mo_entry_extents> states = {Entry({2, 64, 8}), Entry({2, 16, 16})};
  const std::vector<mo_entry_extents> weights = {Entry({2, 1, 64, 16}), Entry({2, 2, 16, 16}), Entry({2, 4, 4, 4})};
  const std::vector<mo_field_extents> stated = {Stated("hidden_states", states), Stated("attentions", weights)};
  const int32_t layers[] = {-1, 0}, hidden[] = {1};
  request_.attention_layers = {layers, 2};
  request_.hidden_state_layers = {hidden, 1};
  request_.last_query_rows = 3;
  request_.attention_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  request_.attention_dtype = MO_DTYPE_FLOAT16;
  ASSERT_EQ(Create("BaseModelOutput", stated), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Item("hidden_states", 0), nullptr);
  EXPECT_EQ(ShapeOf(Item("hidden_states", 1)), (Shape{2, 16, 16}));
  EXPECT_EQ(ShapeOf(Item("attentions", 0)), (Shape{2, 1, 3, 16}));
  EXPECT_EQ(Item("attentions", 1), nullptr);
  EXPECT_EQ(ShapeOf(Item("attentions", 2)), (Shape{2, 1, 3, 4}));
  EXPECT_EQ(mo_field_tensor(Item("attentions", 0))->dtype, MO_DTYPE_FLOAT16);
  request_.last_query_rows = 5;  // the last layer has 4 rows
  EXPECT_EQ(Create("BaseModelOutput", stated), MO_STATUS_INVALID_ARGUMENT);
}

TEST_F(StatedPlan, EntriesMayBeTuplesOrNone) {
  const std::vector<mo_entry_extents> items = {Entry({2, 7, 4}), Entry({2, 7}, MO_DTYPE_INT64)};
  mo_entry_extents layer = {};
  layer.items = items.data();
  layer.item_count = 2;
  const std::vector<mo_entry_extents> router = {None(), layer};
  const std::vector<mo_field_extents> stated = {Stated("router_probs", router)};
  ASSERT_EQ(Create("MoEModelOutput", stated), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Item("router_probs", 0), nullptr);
  ASSERT_EQ(mo_field_length(Item("router_probs", 1)), 2);
  EXPECT_EQ(ShapeOf(mo_field_item(Item("router_probs", 1), 0)), (Shape{2, 7, 4}));
  EXPECT_EQ(mo_field_tensor(mo_field_item(Item("router_probs", 1), 1))->dtype, MO_DTYPE_INT64);
  EXPECT_EQ(mo_output_check_plan(output_, mo_class_find("MoEModelOutput"), &dimensions_, &request_), MO_STATUS_OK)
      << mo_last_error();
  request_.output_router_logits = false;
  ASSERT_EQ(Create("MoEModelOutput", stated), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_output_absence(output_, "router_probs"), MO_ABSENCE_NOT_REQUESTED);
  request_.output_router_logits = true;
  ASSERT_EQ(Create("MoEModelOutput", {Stated("router_probs", {})}), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_output_absence(output_, "router_probs"), MO_ABSENCE_NOT_IN_MODEL);
}

TEST_F(StatedPlan, WhatCannotBeMeantIsRefused) {
  const std::vector<mo_entry_extents> one = {Entry({2, 3})}, two = {Entry({2, 3}), Entry({2, 3})};
  const std::vector<mo_entry_extents> negative = {Entry({2, -3})}, vast = {Entry({INT64_MAX / 2, 3})}, none = {None()};
  std::vector<mo_entry_extents> deep = {Entry({2, 3})}, ranked = one;
  deep[0].item_count = 1;
  ranked[0].rank = MO_MAX_DIMS + 1;
  const char *name = "BaseModelOutputWithPast";
  const std::vector<std::vector<mo_field_extents>> wrong = {
      {Stated("no_such_field", one)},      {Stated(nullptr, one)},
      {Stated("past_key_values", one)},    {Stated("hidden_states", negative)},
      {Stated("hidden_states", vast)},     {Stated("last_hidden_state", two)},
      {Stated("last_hidden_state", none)}, {Stated("hidden_states", deep)},
      {Stated("hidden_states", ranked)},   {Stated("hidden_states", one), Stated("hidden_states", one)},
      {{"hidden_states", nullptr, 1}},     {{"hidden_states", one.data(), -1}}};
  for (size_t i = 0; i < wrong.size(); ++i) EXPECT_EQ(Create(name, wrong[i]), MO_STATUS_INVALID_ARGUMENT) << i;
  dimensions_.stated = nullptr;
  dimensions_.stated_count = 1;
  EXPECT_EQ(mo_output_create(context_, mo_class_find(name), &dimensions_, &request_, nullptr, 0, &output_),
            MO_STATUS_INVALID_ARGUMENT);
}

}  // namespace
