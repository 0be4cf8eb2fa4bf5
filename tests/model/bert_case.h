/* tests/model/bert_case.h - inputs, runs and readings of the tests of BERT models.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_MODEL_BERT_CASE_H
#define MO_TESTS_MODEL_BERT_CASE_H

#include <gtest/gtest.h>
#include <jansson.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace bert_case {

using test_support::Architecture;
using test_support::Context;
using test_support::GoldenCase;
using test_support::Heap;
using test_support::LoadedModel;

inline mo_tensor Ids(std::vector<int64_t> &values, int64_t rows, int64_t columns) {
  const int64_t shape[2] = {rows, columns};
  return mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 2, shape);
}

inline mo_tensor Vector(std::vector<int64_t> &values) {
  const int64_t shape[1] = {static_cast<int64_t>(values.size())};
  return mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 1, shape);
}

inline std::vector<int64_t> RandomIds(int64_t count, int64_t low = 2, int64_t high = 99, unsigned seed = 7) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int64_t> draw(low, high - 1);
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (int64_t &value : values) value = draw(engine);
  return values;
}

inline std::vector<float> Read(mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  EXPECT_NE(tensor, nullptr);
  if (tensor == nullptr) return {};
  std::vector<float> values(static_cast<size_t>(mo_tensor_count(tensor)), NAN);
  EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, values.data(), static_cast<int64_t>(values.size())), MO_STATUS_OK)
      << mo_last_error();
  return values;
}

inline void ExpectNear(const std::vector<float> &a, const std::vector<float> &b, double tolerance, const char *what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], tolerance) << what << " at " << i;
}

inline mo_request Everything() {
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = true;
  return request;
}

struct Output {
  mo_output *output = nullptr;
  ~Output() { mo_output_destroy(output); }
  mo_field *operator[](const char *key) const { return mo_output_get(output, key); }
  mo_field *at(const char *key, int64_t index) const { return mo_field_item(mo_output_get(output, key), index); }
};

inline mo_status_t Forward(mo_model_t *model, const mo_model_inputs &inputs, const mo_request *request, Output *result) {
  return mo_model_forward(model, &inputs, request, &result->output);
}

}  // namespace bert_case

#endif
