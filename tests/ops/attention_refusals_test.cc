/* tests/ops/attention_refusals_test.cc - what the front door of attention refuses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/attention_problem.h"

namespace {

using namespace attention_problem;

// ---- The front door ----

class AttentionErrors : public testing::Test {
 protected:
  void refuses(const char *rule, const std::function<void(mo_attention_params &)> &change) {
    EXPECT_EQ(p_.run(context_, change), MO_STATUS_INVALID_ARGUMENT) << rule;
    EXPECT_EQ(std::string(mo_last_error()).rfind("attention: ", 0), 0u) << rule << ": " << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(rule), std::string::npos) << rule << ": " << mo_last_error();
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(p_.output.is_untouched() && p_.weights.is_untouched() && p_.log_sum_exp.is_untouched()) << rule;
  }
  // The same with one tensor changed.
  void refuses(const char *rule, const mo_tensor *mo_attention_params::*member,
               const std::function<void(mo_tensor &)> &change) {
    refuses(rule, [&](mo_attention_params &params) {
      changed_ = *(params.*member);
      change(changed_);
      params.*member = &changed_;
    });
  }
  static Case everything() {
    Case c;
    c.weights = true, c.mask_shape = c.bias_shape = {2, 1, 1, 9}, c.lengths = {9, 4};
    return c;
  }
  Context context_{2};
  Problem p_{everything()};
  mo_tensor changed_ = {};
};

TEST_F(AttentionErrors, ContextAndParams) {
  EXPECT_EQ(p_.run(nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("attention: "), std::string::npos);
  EXPECT_EQ(test_attention(context_, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("attention: "), std::string::npos);
  refuses("struct_size", [](mo_attention_params &params) { params.struct_size = 8; });
}

TEST_F(AttentionErrors, Tensors) {
  using P = mo_attention_params;
  const mo_tensor *P::*const all[] = {&P::output, &P::weights, &P::log_sum_exp, &P::query,      &P::key,
                                      &P::value,  &P::mask,    &P::bias,        &P::key_lengths};
  const char *const names[] = {"output", "weights", "log_sum_exp", "query", "key", "value", "mask", "bias", "key_lengths"};
  for (size_t i = 0; i < 9; ++i) {
    refuses(names[i], all[i], [](mo_tensor &t) { t.dtype = MO_DTYPE_NONE; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT8_E4M3; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.rank = 2; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.device = {MO_DEVICE_KIND_CUDA, 0}; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.data = nullptr; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.shape[0] = -1; });
    refuses("extent", all[i], [](mo_tensor &t) { t.shape[0] = 5; });
    refuses(names[i], all[i], [](mo_tensor &t) { t.shape[0] = INT64_MAX; });
    if (i < 3 || (i > 2 && i < 6)) refuses(names[i], all[i], [](mo_tensor &t) { t.data = static_cast<char *>(t.data) + 1; });
  }
  for (size_t i : {0u, 1u, 3u, 4u, 5u}) refuses(names[i], all[i], [](mo_tensor &t) { t.strides[3] = 2; });
  for (size_t i : {0u, 1u, 2u}) refuses(names[i], all[i], [](mo_tensor &t) { t.strides[1] = 0; });
  for (const mo_tensor *P::*member : {&P::output, &P::query, &P::key, &P::value}) {
    refuses(" is NULL", [&](mo_attention_params &params) { params.*member = nullptr; });
  }
}

TEST_F(AttentionErrors, Agreement) {
  using P = mo_attention_params;
  refuses("not one", &P::key, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  refuses("not one", &P::value, [](mo_tensor &t) { t.dtype = MO_DTYPE_BFLOAT16; });
  refuses("output has dtype float16", &P::output, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  refuses("bias", &P::bias, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT16; });
  refuses("4 query heads are not a multiple of 3 key/value heads", &P::key, [](mo_tensor &t) { t.shape[1] = 3; });
  refuses("0 key/value heads", &P::key, [](mo_tensor &t) { t.shape[1] = 0; });
  refuses("value", &P::value, [](mo_tensor &t) { t.shape[1] = 2; });
  refuses("value", &P::value, [](mo_tensor &t) { t.shape[2] = 8; });
  refuses("key", &P::key, [](mo_tensor &t) { t.shape[3] = 7; });
  refuses("head dim 0", &P::query, [](mo_tensor &t) { t.shape[3] = 0; });
  refuses("output", &P::output, [](mo_tensor &t) { t.shape[2] = 8; });
  refuses("mask", &P::mask, [](mo_tensor &t) { t.shape[3] = 8; });
  refuses("bias", &P::bias, [](mo_tensor &t) { t.shape[1] = 2; });
  refuses("key_lengths", &P::key_lengths, [](mo_tensor &t) { t.dtype = MO_DTYPE_FLOAT32; });
}

TEST_F(AttentionErrors, Options) {
  refuses("scale", [](mo_attention_params &params) { params.scale = NAN; });
  refuses("scale", [](mo_attention_params &params) { params.scale = INFINITY; });
  refuses("soft cap", [](mo_attention_params &params) { params.soft_cap = -1; });
  refuses("soft cap", [](mo_attention_params &params) { params.soft_cap = NAN; });
  refuses("sliding window", [](mo_attention_params &params) { params.sliding_window = -1; });
  refuses("reduction", [](mo_attention_params &params) { params.weights_reduction = static_cast<mo_weights_reduction_t>(3); });
  refuses("last 10 rows of 9", [](mo_attention_params &params) { params.weight_last_rows = 10; });
  refuses("last -1 rows", [](mo_attention_params &params) { params.weight_last_rows = -1; });
  refuses("weights", [](mo_attention_params &params) { params.weight_last_rows = 2; });
  refuses("weights", [](mo_attention_params &params) { params.weights_reduction = MO_WEIGHTS_REDUCTION_HEAD_MEAN; });
  static const int32_t outside[] = {4}, twice[] = {1, -3}, below[] = {-5}, one[] = {1};
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {outside, 1}; });
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {below, 1}; });
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {twice, 2}; });
  refuses("weight_heads", [](mo_attention_params &params) { params.weight_heads = {nullptr, 2}; });
  refuses("weights", [](mo_attention_params &params) { params.weight_heads = {one, 1}; });
}

TEST_F(AttentionErrors, LengthsOutsideTheKeys) {
  TEST_ON_CPU_ONLY("only the CPU looks at lengths before it runs");
  p_.lengths.set({1}, 10);
  refuses("key_lengths[1] is 10, outside 0..9", [](mo_attention_params &) {});
  p_.lengths.set({1}, -1);
  refuses("key_lengths[1] is -1", [](mo_attention_params &) {});
}

TEST_F(AttentionErrors, Overlaps) {
  using P = mo_attention_params;
  const mo_tensor query = p_.query.tensor(), key = p_.key.tensor(), value = p_.value.tensor(), output = p_.output.tensor(),
                  weights = p_.weights.tensor();
  refuses("output overlaps query", &P::output, [&](mo_tensor &t) { t.data = query.data; });
  refuses("output overlaps key", &P::output, [&](mo_tensor &t) { t.data = key.data; });
  refuses("output overlaps value", &P::output, [&](mo_tensor &t) { t.data = value.data; });
  refuses("output overlaps weights", &P::weights, [&](mo_tensor &t) { t.data = output.data; });
  refuses("weights overlaps log_sum_exp", &P::log_sum_exp, [&](mo_tensor &t) { t.data = weights.data; });
  refuses("weights overlaps bias", &P::bias, [&](mo_tensor &t) { t.data = weights.data; });
}

TEST_F(AttentionErrors, ScratchThatCannotBeAddressed) {
  TEST_ON_CPU_ONLY("only the CPU's scratch grows with the keys");
  int16_t zero = 0;
  mo_tensor keys = {};  // one element, broadcast over more keys than any machine could hold scores for
  keys.data = &zero, keys.dtype = MO_DTYPE_FLOAT16, keys.device = {MO_DEVICE_KIND_CPU, 0}, keys.rank = 4;
  for (int i = 0; i < 4; ++i) keys.shape[i] = 1;
  keys.shape[2] = INT64_C(1) << 61;
  keys.strides[3] = 1;
  mo_tensor query = keys;
  query.shape[2] = 1;
  int16_t result = 77;
  mo_tensor output = query;
  output.data = &result;
  const auto huge = [&](mo_attention_params &params) {
    params = shim_attention_params();
    params.query = &query, params.key = params.value = &keys, params.output = &output;
  };
  EXPECT_EQ(p_.run(context_, huge), MO_STATUS_OUT_OF_MEMORY);
  EXPECT_EQ(std::string(mo_last_error()).rfind("attention: ", 0), 0u) << mo_last_error();
  EXPECT_EQ(result, 77);
  EXPECT_EQ(p_.run(context_), MO_STATUS_OK);
}

}  // namespace
