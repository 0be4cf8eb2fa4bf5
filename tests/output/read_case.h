/* tests/output/read_case.h - values and the elements of a view, for the tests of reads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OUTPUT_READ_CASE_H
#define MO_TESTS_OUTPUT_READ_CASE_H

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/delayed_backend.h"
#include "tests/support/test_context.h"

namespace read_case {

inline std::vector<float> Random(int64_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values) value = normal(generator);
  return values;
}

// The elements a view shows, in row-major order.
template <typename T>
inline std::vector<T> Elements(const mo_host_view &view) {
  int64_t count = 1;
  for (int32_t i = 0; i < view.rank; ++i) count *= view.shape[i];
  std::vector<T> elements;
  std::vector<int64_t> position(MO_MAX_DIMS, 0);
  for (; count > 0; --count) {
    int64_t offset = 0;
    for (int32_t i = 0; i < view.rank; ++i) offset += position[i] * view.strides[i];
    elements.push_back(static_cast<const T *>(view.data)[offset]);
    for (int32_t i = view.rank - 1; i >= 0 && ++position[i] == view.shape[i]; --i) position[i] = 0;
  }
  return elements;
}

inline void ExpectTopK(const std::vector<float> &rows, int64_t width, int64_t k, const mo_host_view &values,
                       const mo_host_view &indices) {
  const std::vector<float> got = Elements<float>(values);
  const std::vector<int64_t> places = Elements<int64_t>(indices);
  for (size_t row = 0; row < rows.size() / static_cast<size_t>(width); ++row) {
    std::vector<int64_t> order(static_cast<size_t>(width));
    std::iota(order.begin(), order.end(), 0);
    const float *at = rows.data() + row * static_cast<size_t>(width);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return at[a] > at[b]; });
    for (int64_t i = 0; i < k; ++i) {
      EXPECT_EQ(places[row * static_cast<size_t>(k) + static_cast<size_t>(i)], order[static_cast<size_t>(i)]);
      EXPECT_EQ(got[row * static_cast<size_t>(k) + static_cast<size_t>(i)], at[order[static_cast<size_t>(i)]]);
    }
  }
}

}  // namespace read_case

#endif
