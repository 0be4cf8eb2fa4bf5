/* tests/core/tensor_test.cc - descriptors, slices, names.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <climits>
#include <string>

#include "tests/core/tensor_shim.h"

namespace {

const mo_device kCpu = {MO_DEVICE_KIND_CPU, 0};

TEST(Tensor, ContiguousDescriptor) {
  float data[12];
  const mo_tensor tensor = shim_tensor_3x4(data);
  EXPECT_EQ(tensor.rank, 2);
  EXPECT_EQ(tensor.strides[0], 4);
  EXPECT_EQ(tensor.strides[1], 1);
  EXPECT_EQ(mo_tensor_count(&tensor), 12);
  EXPECT_EQ(mo_tensor_bytes(&tensor), 48);
  EXPECT_TRUE(mo_tensor_is_contiguous(&tensor));
}

TEST(Tensor, ScalarHasOneElement) {
  float x = 0;
  const mo_tensor tensor = mo_tensor_cpu(&x, MO_DTYPE_FLOAT32, 0, nullptr);
  EXPECT_EQ(tensor.dtype, MO_DTYPE_FLOAT32);
  EXPECT_EQ(mo_tensor_count(&tensor), 1);
  EXPECT_TRUE(mo_tensor_is_contiguous(&tensor));
}

TEST(Tensor, EmptyNeedsNoData) {
  const int64_t shape[] = {3, 0, INT64_MAX};
  mo_tensor tensor;
  ASSERT_EQ(mo_tensor_init(&tensor, nullptr, MO_DTYPE_FLOAT16, kCpu, 3, shape), MO_STATUS_OK);
  EXPECT_EQ(mo_tensor_count(&tensor), 0);
  EXPECT_TRUE(mo_tensor_is_contiguous(&tensor));
}

struct BadTensor {
  const char *name;
  mo_dtype_t dtype;
  int32_t rank;
  int64_t shape[MO_MAX_DIMS + 1];
  int64_t strides[MO_MAX_DIMS + 1];
  bool null_data;
};

TEST(Tensor, RefusesWhatItCannotDescribe) {
  char byte;
  const BadTensor cases[] = {
      {"no dtype", MO_DTYPE_NONE, 1, {1}, {1}, false},
      {"unknown dtype", static_cast<mo_dtype_t>(15), 1, {1}, {1}, false},
      {"rank", MO_DTYPE_FLOAT32, MO_MAX_DIMS + 1, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, false},
      {"negative rank", MO_DTYPE_FLOAT32, -1, {}, {}, false},
      {"negative extent", MO_DTYPE_FLOAT32, 1, {-1}, {1}, false},
      {"negative stride", MO_DTYPE_FLOAT32, 1, {2}, {-1}, false},
      {"byte overflow", MO_DTYPE_FLOAT32, 2, {INT64_C(1) << 40, INT64_C(1) << 30}, {0, 0}, false},
      {"stride overflow", MO_DTYPE_UINT8, 2, {3, 3}, {INT64_MAX / 2, INT64_MAX / 2}, false},
      {"stride byte overflow", MO_DTYPE_INT64, 1, {2}, {INT64_MAX / 4}, false},
      {"no data", MO_DTYPE_FLOAT32, 1, {1}, {1}, true},
  };
  for (const BadTensor &bad : cases) {
    mo_tensor tensor;
    tensor.rank = 42;
    EXPECT_EQ(
        mo_tensor_init_strided(&tensor, bad.null_data ? nullptr : &byte, bad.dtype, kCpu, bad.rank, bad.shape, bad.strides),
        MO_STATUS_INVALID_ARGUMENT)
        << bad.name;
    EXPECT_EQ(tensor.rank, 42) << bad.name << ": a failed call changes nothing";
    EXPECT_NE(std::string(mo_last_error()).find("tensor"), std::string::npos) << bad.name;
  }
  EXPECT_EQ(mo_tensor_cpu(&byte, MO_DTYPE_NONE, 0, nullptr).dtype, MO_DTYPE_NONE);
}

TEST(Tensor, StridesDecideContiguity) {
  float data[100];
  const int64_t shape[] = {2, 1, 4};
  const int64_t gap[] = {5, 77, 1}, dense[] = {4, 77, 1}, broadcast[] = {0, 0, 1};
  mo_tensor tensor;
  ASSERT_EQ(mo_tensor_init_strided(&tensor, data, MO_DTYPE_FLOAT32, kCpu, 3, shape, gap), MO_STATUS_OK);
  EXPECT_FALSE(mo_tensor_is_contiguous(&tensor));
  ASSERT_EQ(mo_tensor_init_strided(&tensor, data, MO_DTYPE_FLOAT32, kCpu, 3, shape, dense), MO_STATUS_OK);
  EXPECT_TRUE(mo_tensor_is_contiguous(&tensor)) << "the stride of an extent of 1 does not count";
  ASSERT_EQ(mo_tensor_init_strided(&tensor, data, MO_DTYPE_FLOAT32, kCpu, 3, shape, broadcast), MO_STATUS_OK);
  EXPECT_FALSE(mo_tensor_is_contiguous(&tensor));
}

/* Python's own answers: every start, stop and step over small lengths, against a plain walk. */
TEST(Slice, ResolvesAsPythonDoes) {
  for (int64_t length = 0; length <= 5; ++length) {
    for (int64_t start = -8; start <= 8; ++start) {
      for (int64_t stop = -8; stop <= 8; ++stop) {
        for (int64_t step = -3; step <= 3; ++step) {
          if (step == 0) continue;
          const bool start_unset = start == 8, stop_unset = stop == 8;
          /* Walk: Python clamps after adding the length once. */
          auto clamp = [&](int64_t x) {
            if (x < 0) x += length;
            if (step > 0) return x < 0 ? INT64_C(0) : x > length ? length : x;
            return x < 0 ? INT64_C(-1) : x >= length ? length - 1 : x;
          };
          const int64_t from = start_unset ? (step > 0 ? 0 : length - 1) : clamp(start);
          const int64_t to = stop_unset ? (step > 0 ? length : -1) : clamp(stop);
          int64_t expected = 0;
          for (int64_t i = from; step > 0 ? i < to : i > to; i += step) ++expected;
          const mo_slice slice = {start_unset ? MO_SLICE_UNSET : start, stop_unset ? MO_SLICE_UNSET : stop, step};
          int64_t first, resolved_step, count;
          ASSERT_EQ(mo_slice_resolve(slice, length, &first, &resolved_step, &count), MO_STATUS_OK);
          ASSERT_EQ(count, expected) << length << " [" << start << ":" << stop << ":" << step << "]";
          ASSERT_EQ(resolved_step, step);
          if (count > 0) {
            ASSERT_EQ(first, from);
          }
        }
      }
    }
  }
}

TEST(Slice, ExtremeStepsDoNotOverflow) {
  int64_t first, step, count;
  ASSERT_EQ(mo_slice_resolve({MO_SLICE_UNSET, MO_SLICE_UNSET, INT64_MAX}, 7, &first, &step, &count), MO_STATUS_OK);
  EXPECT_EQ(count, 1);
  ASSERT_EQ(mo_slice_resolve({MO_SLICE_UNSET, MO_SLICE_UNSET, INT64_MIN}, 7, &first, &step, &count), MO_STATUS_OK);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(first, 6);
  EXPECT_EQ(mo_slice_resolve({0, 1, 0}, 7, &first, &step, &count), MO_STATUS_VALUE_ERROR);
}

TEST(Slice, ViewsShareTheMemory) {
  float data[12];
  for (int i = 0; i < 12; ++i) data[i] = static_cast<float>(i);
  const mo_tensor tensor = shim_tensor_3x4(data);
  mo_tensor rows, column;
  ASSERT_EQ(shim_slice_rows(&tensor, 1, 3, &rows), MO_STATUS_OK);
  EXPECT_EQ(rows.shape[0], 2);
  EXPECT_EQ(static_cast<float *>(rows.data), data + 4);
  ASSERT_EQ(shim_slice_last_column(&tensor, &column), MO_STATUS_OK);
  EXPECT_EQ(column.shape[1], 1);
  EXPECT_EQ(static_cast<float *>(column.data)[column.strides[0] * 2], 11.0f);
  ASSERT_EQ(shim_slice_rows(&tensor, 3, 3, &rows), MO_STATUS_OK);
  EXPECT_EQ(mo_tensor_count(&rows), 0);
  const mo_slice backwards = {MO_SLICE_UNSET, MO_SLICE_UNSET, -1};
  EXPECT_EQ(mo_tensor_slice(&tensor, &backwards, 1, &rows), MO_STATUS_INVALID_ARGUMENT);
  const mo_slice three[3] = {MO_SLICE_ALL, MO_SLICE_ALL, MO_SLICE_ALL};
  EXPECT_EQ(mo_tensor_slice(&tensor, three, 3, &rows), MO_STATUS_INVALID_ARGUMENT);
}

TEST(Device, Names) {
  char text[16], tiny[3];
  EXPECT_STREQ(mo_device_name(kCpu, text, sizeof text), "cpu");
  EXPECT_STREQ(mo_device_name({MO_DEVICE_KIND_CUDA, 3}, text, sizeof text), "cuda:3");
  EXPECT_STREQ(mo_device_name({MO_DEVICE_KIND_CUDA, 3}, tiny, sizeof tiny), "cu");
}

}  // namespace
