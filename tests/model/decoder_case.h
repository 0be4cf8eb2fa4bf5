/* tests/model/decoder_case.h - a decoder, the runs of it, and what is given to them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_MODEL_DECODER_CASE_H
#define MO_TESTS_MODEL_DECODER_CASE_H

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"

namespace decoder_case {

using test_support::Context;
using test_support::Heap;

constexpr int64_t kVocabulary = 99, kEncoder = 5, kHidden = 32;

/* ---- Sequences and runs ------------------------------------------------------------------------------------------------- */

using Rows = std::vector<std::vector<int64_t>>; /* a sequence each */

inline Rows RandomRows(int64_t rows, int64_t length, unsigned seed = 5) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int64_t> draw(3, kVocabulary - 1);
  Rows result(static_cast<size_t>(rows), std::vector<int64_t>(static_cast<size_t>(length)));
  for (auto &row : result) std::generate(row.begin(), row.end(), [&] { return draw(random); });
  return result;
}

inline Rows Columns(const Rows &rows, int64_t first, int64_t end) {
  Rows part;
  for (const auto &row : rows) part.emplace_back(row.begin() + first, row.begin() + end);
  return part;
}

inline std::vector<int64_t> Flat(const Rows &rows) {
  std::vector<int64_t> flat;
  for (const auto &row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return flat;
}

/* What a run is given besides its tokens. Empty: nothing. */
struct Given {
  mo_cache_t *cache = nullptr;
  Rows mask = {}, positions = {};
  const std::vector<int32_t> *lengths = nullptr;
  int64_t last_logits = 0;
};

using Logits = std::vector<float>; /* (rows, tokens, vocabulary) */

class Decoder {
 public:
  explicit Decoder(const std::string &name, Heap *heap = nullptr, mo_framework_t framework = MO_FRAMEWORK_PT)
      : context(heap),
        model(context, test_support::GoldenCase(name), framework),
        crosses(name.find("cross") != std::string::npos) {
    EXPECT_EQ(model.status(), MO_STATUS_OK) << model.error();
  }

  int64_t Integer(const char *name) const { return mo_model_config_integer(model, name); }

  mo_status_t TryRun(const Rows &tokens, const Given &given, Logits *logits, const mo_request *wanted = nullptr,
                     mo_output **kept = nullptr) const {
    const auto rows = static_cast<int64_t>(tokens.size()), length = static_cast<int64_t>(tokens[0].size());
    std::vector<int64_t> ids = Flat(tokens), mask = Flat(given.mask), positions = Flat(given.positions);
    std::vector<float> encoder = EncoderStates(rows);
    const int64_t shape[2] = {rows, length}, encoder_shape[3] = {rows, kEncoder, kHidden};
    const mo_tensor id_tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
    const mo_tensor encoder_tensor = mo_tensor_cpu(encoder.data(), MO_DTYPE_FLOAT32, 3, encoder_shape);
    mo_tensor mask_tensor, position_tensor, length_tensor;
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &id_tensor;
    inputs.past_key_values = given.cache;
    if (crosses) inputs.encoder_hidden_states = &encoder_tensor;
    if (!mask.empty()) {
      const int64_t extents[2] = {rows, static_cast<int64_t>(given.mask[0].size())};
      inputs.attention_mask = &(mask_tensor = mo_tensor_cpu(mask.data(), MO_DTYPE_INT64, 2, extents));
    }
    if (!positions.empty())
      inputs.position_ids = &(position_tensor = mo_tensor_cpu(positions.data(), MO_DTYPE_INT64, 2, shape));
    std::vector<int32_t> lengths;
    if (given.lengths != nullptr) {
      lengths = *given.lengths;
      inputs.cache_lengths = &(length_tensor = mo_tensor_cpu(lengths.data(), MO_DTYPE_INT32, 1, &rows));
    }
    mo_request request = MO_REQUEST_INIT;
    if (wanted != nullptr) request = *wanted;
    if (given.last_logits > 0) request.last_logit_positions = given.last_logits;
    mo_output *output = nullptr;
    const mo_status_t status = mo_model_forward(model, &inputs, &request, &output);
    if (status != MO_STATUS_OK) return status;
    mo_field *field = mo_output_get(output, "logits");
    logits->assign(static_cast<size_t>(mo_tensor_count(mo_field_tensor(field))), NAN);
    EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, logits->data(), static_cast<int64_t>(logits->size())), MO_STATUS_OK);
    if (kept != nullptr) *kept = output;
    else mo_output_destroy(output);
    return MO_STATUS_OK;
  }

  Logits Run(const Rows &tokens, const Given &given = {}) const {
    Logits logits;
    EXPECT_EQ(TryRun(tokens, given, &logits), MO_STATUS_OK) << mo_last_error();
    return logits;
  }

  mo_cache_t *Cache(mo_cache_kind_t kind, int64_t rows, int64_t max_length) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = kind;
    if (kind == MO_CACHE_PAGED) {
      mo_page_pool_options pool_options = MO_PAGE_POOL_OPTIONS_INIT;
      pool_options.page_count = 32;
      pool_options.page_size = 16;
      pool_options.layer_count = Integer("num_hidden_layers");
      pool_options.num_key_value_heads = Integer("num_key_value_heads");
      pool_options.head_dim = Integer("head_dim");
      pool_options.dtype = MO_DTYPE_FLOAT32;
      EXPECT_EQ(mo_page_pool_create(context, &pool_options, &options.page_pool), MO_STATUS_OK) << mo_last_error();
    }
    mo_cache_t *cache = nullptr;
    EXPECT_EQ(mo_model_create_cache(model, kind == 0 ? nullptr : &options, rows, max_length, &cache), MO_STATUS_OK)
        << mo_last_error();
    mo_page_pool_release(options.page_pool);
    return cache;
  }

  /* The same for a row wherever it stands: of its first token. */
  std::vector<float> EncoderStates(int64_t rows) const {
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> one(static_cast<size_t>(kEncoder * kHidden)), all;
    for (float &value : one) value = normal(random);
    for (int64_t i = 0; i < rows; i++) all.insert(all.end(), one.begin(), one.end());
    return all;
  }

  Context context;
  test_support::LoadedModel model;
  bool crosses;
};

struct CacheRelease {
  void operator()(mo_cache_t *cache) const { mo_cache_release(cache); }
};
using CachePointer = std::unique_ptr<mo_cache_t, CacheRelease>;

/* The logits of tokens first .. end - 1 of every row. */
inline Logits Tokens(const Logits &logits, int64_t rows, int64_t length, int64_t first, int64_t end) {
  Logits part;
  for (int64_t row = 0; row < rows; row++)
    part.insert(part.end(), logits.begin() + (row * length + first) * kVocabulary,
                logits.begin() + (row * length + end) * kVocabulary);
  return part;
}

inline void ExpectNear(const Logits &a, const Logits &b, double tolerance, const std::string &what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); i++) ASSERT_NEAR(a[i], b[i], tolerance) << what << " at " << i;
}

constexpr double kTolerance = 2e-5; /* of logits of about 10 */

inline std::vector<const char *> Families() {
  if (test_device_is_simulated()) return {"gpt2_lm", "mistral_lm_window", "bert_lm_head_cross"};
  return {"gpt2_lm",  "gpt_neox_lm", "llama_lm",          "opt_lm", "mistral_lm_window", "qwen2_lm",
          "qwen3_lm", "phi3_lm",     "bert_lm_head_cross"};
}

}  // namespace decoder_case

#endif
