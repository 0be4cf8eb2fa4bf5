/* tests/ops/check_test.cc - the checks that every front door relies on: each rule broken once, each sentence names its
 * argument.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/ops/check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace {

const mo_device kCpu = {MO_DEVICE_KIND_CPU, 0};

class Check : public ::testing::Test {
 protected:
  void SetUp() override {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK);
  }
  void TearDown() override { mo_context_destroy(context_); }

  mo_tensor strided(void *data, std::vector<int64_t> shape, std::vector<int64_t> strides, mo_dtype_t dtype = MO_DTYPE_FLOAT32) {
    mo_tensor tensor;
    EXPECT_EQ(
        mo_tensor_init_strided(&tensor, data, dtype, kCpu, static_cast<int32_t>(shape.size()), shape.data(), strides.data()),
        MO_STATUS_OK);
    return tensor;
  }

  void expect_error(mo_status_t status, const char *part) {
    EXPECT_EQ(status, MO_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(std::string(mo_last_error()).find(part), std::string::npos) << mo_last_error();
    EXPECT_EQ(std::string(mo_last_error()).find("op: "), 0u) << mo_last_error();
  }

  mo_context_t *context_ = nullptr;
  alignas(64) float memory_[4096] = {};
};

TEST_F(Check, Params) {
  mo_softmax_params given = MO_SOFTMAX_PARAMS_INIT, taken = MO_SOFTMAX_PARAMS_INIT;
  const size_t first = MO_SIZE_TO(mo_softmax_params, causal);
  given.causal = true;
  EXPECT_EQ(MO_TAKE_PARAMS("op", context_, MO_SOFTMAX_PARAMS_INIT, &given, first, &taken), MO_STATUS_OK);
  EXPECT_TRUE(taken.causal);
  expect_error(MO_TAKE_PARAMS("op", nullptr, MO_SOFTMAX_PARAMS_INIT, &given, first, &taken), "context");
  expect_error(MO_TAKE_PARAMS("op", context_, MO_SOFTMAX_PARAMS_INIT, nullptr, first, &taken), "parameters");
  given.struct_size = first - 1;
  expect_error(MO_TAKE_PARAMS("op", context_, MO_SOFTMAX_PARAMS_INIT, &given, first, &taken), "MO_SOFTMAX_PARAMS_INIT");
}

TEST_F(Check, Tensor) {
  const mo_tensor good = strided(memory_, {2, 3}, {3, 1});
  EXPECT_EQ(mo_check_tensor("op", "x", context_, &good, MO_DTYPES_FLOAT, 2, 2), MO_STATUS_OK);
  expect_error(mo_check_tensor("op", "x", context_, nullptr, MO_DTYPES_FLOAT, 2, 2), "x is NULL");
  expect_error(mo_check_tensor("op", "x", context_, &good, MO_DTYPES_INDEX, 2, 2), "float32");
  expect_error(mo_check_tensor("op", "x", context_, &good, MO_DTYPES_FLOAT, 3, 4), "rank 2");
  mo_tensor bad = good;
  bad.dtype = MO_DTYPE_NONE;
  expect_error(mo_check_tensor("op", "x", context_, &bad, ~0u, 2, 2), "dtype");
  bad = good;
  bad.shape[0] = -4;
  expect_error(mo_check_tensor("op", "x", context_, &bad, MO_DTYPES_FLOAT, 2, 2), "negative");
  bad = good;
  bad.data = nullptr;
  expect_error(mo_check_tensor("op", "x", context_, &bad, MO_DTYPES_FLOAT, 2, 2), "NULL");
  bad = good;
  bad.data = reinterpret_cast<char *>(memory_) + 1;
  expect_error(mo_check_tensor("op", "x", context_, &bad, MO_DTYPES_FLOAT, 2, 2), "aligned");
  bad = good;
  bad.device.kind = MO_DEVICE_KIND_CUDA;
  expect_error(mo_check_tensor("op", "x", context_, &bad, MO_DTYPES_FLOAT, 2, 2), "cuda:0");
  bad = good;
  bad.rank = 99;
  expect_error(mo_check_tensor("op", "x", context_, &bad, MO_DTYPES_FLOAT, 0, 100), "rank");
}

TEST_F(Check, ShapesAndStrides) {
  const mo_tensor tensor = strided(memory_, {2, 1, 4}, {8, 8, 2});
  const int64_t same[] = {2, 1, 4}, wider[] = {2, 7, 4}, other[] = {3, 1, 4};
  EXPECT_EQ(mo_check_shape("op", "x", &tensor, 3, same), MO_STATUS_OK);
  expect_error(mo_check_shape("op", "x", &tensor, 3, other), "extent 2 in dimension 0, not 3");
  expect_error(mo_check_shape("op", "x", &tensor, 2, same), "rank 3");
  EXPECT_EQ(mo_check_broadcast("op", "x", &tensor, 3, wider), MO_STATUS_OK);
  expect_error(mo_check_broadcast("op", "x", &tensor, 3, other), "neither 3 nor 1");
  expect_error(mo_check_last_stride("op", "x", &tensor), "stride 2");
  const mo_tensor one_column = strided(memory_, {4, 1}, {5, 7});
  EXPECT_EQ(mo_check_last_stride("op", "x", &one_column), MO_STATUS_OK);
}

TEST_F(Check, DestinationsWriteEachAddressOnce) {
  const mo_tensor dense = strided(memory_, {2, 3, 4}, {12, 4, 1}), transposed = strided(memory_, {4, 3}, {1, 4});
  const mo_tensor broadcast = strided(memory_, {2, 3}, {0, 1}), window = strided(memory_, {4, 4}, {2, 1});
  const mo_tensor broadcast_of_one = strided(memory_, {1, 3}, {0, 1}), empty = strided(nullptr, {0, 3}, {0, 0});
  EXPECT_EQ(mo_check_destination("op", "y", &dense), MO_STATUS_OK);
  EXPECT_EQ(mo_check_destination("op", "y", &transposed), MO_STATUS_OK);
  EXPECT_EQ(mo_check_destination("op", "y", &broadcast_of_one), MO_STATUS_OK);
  EXPECT_EQ(mo_check_destination("op", "y", &empty), MO_STATUS_OK);
  expect_error(mo_check_destination("op", "y", &broadcast), "one address");
  expect_error(mo_check_destination("op", "y", &window), "one address");
}

/* Every answer "apart" is compared with the sets of addresses the two views really touch. */
TEST_F(Check, OverlapAgreesWithTheAddresses) {
  std::srand(11);
  int apart = 0, together = 0, interleaved = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    mo_tensor views[2];
    std::set<float *> touched[2];
    const int64_t row = 16 + 8 * (std::rand() % 2);
    for (int v = 0; v < 2; ++v) {
      const int64_t rows = std::rand() % 4 + 1, heads = std::rand() % 2 + 1, width = std::rand() % 5 + 1;
      const bool dense = std::rand() % 4 == 0;
      float *start = memory_ + std::rand() % 64;
      views[v] = dense ? strided(start, {rows, width}, {width, 1}) : strided(start, {rows, heads, width}, {row, width, 1});
      const int32_t rank = views[v].rank;
      const int64_t middle = rank == 3 ? heads : 1;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t h = 0; h < middle; ++h)
          for (int64_t c = 0; c < width; ++c)
            touched[v].insert(start + r * views[v].strides[0] + (rank == 3 ? h * views[v].strides[1] : 0) + c);
    }
    bool really = false;
    for (float *address : touched[0]) really = really || touched[1].count(address) != 0;
    const mo_status_t status = mo_check_no_overlap("op", "y", &views[0], "x", &views[1], false);
    if (really) {
      ASSERT_EQ(status, MO_STATUS_INVALID_ARGUMENT) << "trial " << trial;
      ++together;
    } else if (status == MO_STATUS_OK) {
      ++apart;
      const bool ranges_meet = *touched[0].begin() <= *touched[1].rbegin() && *touched[1].begin() <= *touched[0].rbegin();
      interleaved += ranges_meet;
    }
  }
  EXPECT_GT(together, 1000);
  EXPECT_GT(apart, 1000);
  EXPECT_GT(interleaved, 100) << "column blocks of one matrix must pass";
}

TEST_F(Check, InPlaceOnlyWhenExactlyTheSame) {
  const mo_tensor x = strided(memory_, {4, 8}, {8, 1}), shifted = strided(memory_ + 1, {4, 8}, {8, 1});
  const mo_tensor half = strided(memory_, {4, 8}, {8, 1}, MO_DTYPE_FLOAT16);
  EXPECT_EQ(mo_check_no_overlap("op", "y", &x, "x", &x, true), MO_STATUS_OK);
  expect_error(mo_check_no_overlap("op", "y", &x, "x", &x, false), "y overlaps x");
  expect_error(mo_check_no_overlap("op", "y", &x, "x", &shifted, true), "overlaps");
  expect_error(mo_check_no_overlap("op", "y", &x, "x", &half, true), "overlaps");
  EXPECT_EQ(mo_check_no_overlap("op", "y", &x, "x", nullptr, false), MO_STATUS_OK);
}

TEST_F(Check, IndexLists) {
  const int32_t good[] = {0, -1, 2}, outside[] = {0, 4}, twice[] = {3, -1};
  int32_t resolved[3];
  EXPECT_EQ(mo_check_index_list("op", "heads", {good, 3}, 4, resolved), MO_STATUS_OK);
  EXPECT_EQ(resolved[1], 3);
  EXPECT_EQ(mo_check_index_list("op", "heads", {nullptr, 0}, 4, nullptr), MO_STATUS_OK);
  expect_error(mo_check_index_list("op", "heads", {outside, 2}, 4, resolved), "heads names 4 of 4");
  expect_error(mo_check_index_list("op", "heads", {twice, 2}, 4, resolved), "twice");
  expect_error(mo_check_index_list("op", "heads", {nullptr, 1}, 4, resolved), "no indices");
  expect_error(mo_check_index_list("op", "heads", {good, -1}, 4, resolved), "below 0");
}

}  // namespace
