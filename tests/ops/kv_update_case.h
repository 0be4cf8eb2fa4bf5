/* tests/ops/kv_update_case.h - the fixture of the tests of cache update and gather.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_KV_UPDATE_CASE_H
#define MO_TESTS_OPS_KV_UPDATE_CASE_H

#include <algorithm>
#include <limits>
#include <memory>

#include "host/rules/kv_quantise.h"
#include "kv_store.h"
#include "kv_update_shim.h"
#include "op_test.h"

/* tests/simulated_device/control.h; there only in programs that hold the simulated device. */
extern "C" uint64_t simulated_launch_count(void) __attribute__((weak));

namespace kv_update_case {

using op_test::Buffer;

using kv_store::OneLayer;
using kv_store::Shape;
using kv_store::Store;
using kv_store::Stored;

class KvUpdate : public op_test::OpTest {
 protected:
  /* One head as it must be stored. */
  void CompareHead(const Store &store, const Buffer &stored, const Buffer &scales, const std::vector<double> &values,
                   const std::vector<double> &bounds, int64_t row, int64_t head, int64_t token) {
    const uint8_t *at = store.at(stored, row, head, token);
    const auto size = static_cast<int64_t>(values.size());
    if (!store.quantised) {
      for (int64_t i = 0; i < size; ++i)
        ASSERT_NEAR(
            Stored(store.dtype, at, i), values[static_cast<size_t>(i)],
            bounds[static_cast<size_t>(i)] == 0
                ? 0
                : bounds[static_cast<size_t>(i)] + op_test::rounding(store.dtype, std::fabs(values[static_cast<size_t>(i)]) +
                                                                                      bounds[static_cast<size_t>(i)]))
            << "row " << row << " head " << head << " token " << token << " element " << i;
      return;
    }
    const int64_t width = size / store.shape.groups;
    const double largest_code = store.dtype == MO_DTYPE_INT8 ? 127 : 448;
    for (int64_t g = 0; g < store.shape.groups; ++g) {
      double largest = 0;
      for (int64_t i = g * width; i < (g + 1) * width; ++i)
        largest = std::max(largest, std::fabs(values[static_cast<size_t>(i)]));
      const double scale = store.scale(scales, row, head, token, g);
      ASSERT_NEAR(scale, largest / largest_code, 1e-6 * largest) << "group " << g;
      for (int64_t i = g * width; i < (g + 1) * width; ++i) {
        const double found = Stored(store.dtype, at, i) * scale, wanted = values[static_cast<size_t>(i)];
        const double step = store.dtype == MO_DTYPE_INT8 ? 0.5 * scale : std::max(std::fabs(wanted) * 0x1p-4, scale * 0x1p-10);
        ASSERT_NEAR(found, wanted, 1.00001 * step + bounds[static_cast<size_t>(i)] + 1e-6 * largest) << "element " << i;
      }
    }
  }

  static std::vector<double> Head(const Buffer &source, int64_t row, int64_t head, int64_t token) {
    const mo_tensor &t = const_cast<Buffer &>(source).tensor();
    std::vector<double> values;
    for (int64_t i = 0; i < t.shape[3]; ++i)
      values.push_back(source.get(((row * t.shape[1] + head) * t.shape[2] + token) * t.shape[3] + i));
    return values;
  }
};

constexpr mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

const Shape kShapes[] = {
    {1, 1, 1, 1, 1},
    {2, 3, 8, 8, 11},
    {2, 2, 64, 64, 40, 16, 2},
    {3, 2, 24, 40, 33, 16, 4, true},
    {1, 4, 128, 128, 70, 64, 1, true, 8},
    {2, 1, 17, 5, 9, 0, 1, true, 3},
    {2, 2, 80, 80, 19, 0, 5, false, 1},
    /* whole vectors on a GPU: groups that are no power of two vectors wide, sizes that differ, several heads per warp, a gap */
    {2, 3, 72, 24, 20, 16, 3},
    {1, 5, 40, 80, 12, 0, 1, true},
    {2, 1, 96, 192, 21, 16, 2, true, 16},
    {1, 2, 256, 8, 9},
    {1, 1, 576, 512, 7, 0, 4},
};

}  // namespace kv_update_case

#endif
