/* tests/model/decoder_refusals_test.cc - bad input of decoders: refused, and the cache is as it was.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/decoder_case.h"

namespace {

using namespace decoder_case;

class BadInput : public ::testing::Test {
 protected:
  void Refused(const Decoder &decoder, const Rows &tokens, const Given &given, mo_status_t status, const char *sentence,
               const mo_request *request = nullptr) {
    const int64_t before = given.cache != nullptr ? mo_cache_length(given.cache, 0) : 0;
    Logits logits;
    EXPECT_EQ(decoder.TryRun(tokens, given, &logits, request), status) << sentence;
    EXPECT_NE(std::string(mo_last_error()).find(sentence), std::string::npos) << mo_last_error();
    if (given.cache != nullptr) {
      EXPECT_EQ(mo_cache_length(given.cache, 0), before) << sentence;
    }
  }
};

TEST_F(BadInput, LeavesTheCacheUnchanged) {
  Decoder decoder("gpt2_lm"), other("gpt2_lm");
  const Rows rows = RandomRows(2, 8), three = RandomRows(3, 1), one_more = Columns(RandomRows(2, 9), 8, 9);
  const CachePointer cache(decoder.Cache(MO_CACHE_STATIC, 2, 12)), foreign(other.Cache(MO_CACHE_DYNAMIC, 2, 0));
  decoder.Run(rows, {.cache = cache.get()});
  const Rows ones7(2, std::vector<int64_t>(7, 1)), ones9(2, std::vector<int64_t>(9, 1));
  Refused(decoder, three, {.cache = cache.get()}, MO_STATUS_INVALID_ARGUMENT, "holds 2 sequences, the inputs are 3");
  Refused(decoder, one_more, {.cache = cache.get(), .mask = ones7}, MO_STATUS_INVALID_ARGUMENT,
          "attention_mask has 7 keys, the cache and the new tokens have 9");
  Refused(decoder, Columns(RandomRows(2, 5), 0, 5), {.cache = cache.get()}, MO_STATUS_INDEX_ERROR,
          "takes 12 at most, there is no room for 5 more");
  Refused(decoder, one_more, {.cache = cache.get(), .positions = {{32}, {1}}}, MO_STATUS_INVALID_ARGUMENT, "position table's");
  Refused(decoder, one_more, {.cache = cache.get(), .positions = {{-1}, {1}}}, MO_STATUS_INVALID_ARGUMENT, "position_ids");
  Refused(decoder, {{99}, {1}}, {.cache = cache.get()}, MO_STATUS_INVALID_ARGUMENT, "vocabulary");
  Refused(decoder, one_more, {.cache = foreign.get()}, MO_STATUS_INVALID_ARGUMENT, "another context");
  std::vector<int32_t> lengths = {8, 8}, past_the_end = {12, 8};
  Refused(decoder, one_more, {.lengths = &lengths}, MO_STATUS_INVALID_ARGUMENT, "cache_lengths without past_key_values");
  Refused(decoder, one_more, {.cache = cache.get(), .lengths = &lengths}, MO_STATUS_INVALID_ARGUMENT, "without position_ids");
  Refused(decoder, RandomRows(2, 9), {.cache = cache.get(), .lengths = &lengths}, MO_STATUS_UNSUPPORTED, "9 new tokens, 8");
  if (test_device_is_cpu())
    Refused(decoder, one_more, {.cache = cache.get(), .positions = {{8}, {8}}, .lengths = &past_the_end},
            MO_STATUS_INVALID_ARGUMENT, "12");
  /* After all that the step is what it would have been. */
  Rows whole = rows;
  for (int row = 0; row < 2; row++) whole[row].push_back(one_more[row][0]);
  ExpectNear(decoder.Run(one_more, {.cache = cache.get(), .mask = ones9}), Tokens(decoder.Run(whole), 2, 9, 8, 9), kTolerance,
             "after bad input");
}

/* OPT counts positions in the mask: what it shows must fit the table, and a mask per query says nothing of positions. */
TEST_F(BadInput, PositionsCountedInAMask) {
  Decoder decoder("opt_lm");
  const CachePointer cache(decoder.Cache(MO_CACHE_DYNAMIC, 2, 0));
  Rows ones(2, std::vector<int64_t>(32, 1));
  const Rows rows = RandomRows(2, 33);
  decoder.Run(Columns(rows, 0, 32), {.cache = cache.get(), .mask = ones});
  for (auto &row : ones) row.push_back(1);
  Refused(decoder, Columns(rows, 32, 33), {.cache = cache.get(), .mask = ones}, MO_STATUS_INVALID_ARGUMENT,
          "a sequence of 33 tokens, but the position table has 32 entries");
  for (auto &row : ones) row[4] = 0; /* as many positions as there are */
  decoder.Run(Columns(rows, 32, 33), {.cache = cache.get(), .mask = ones});

  std::vector<int64_t> ids = RandomRows(1, 3)[0], mask(9, 1);
  mask[1] = 0;
  const int64_t shape[3] = {1, 3, 3};
  const mo_tensor id_tensor = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
  const mo_tensor mask_tensor = mo_tensor_cpu(mask.data(), MO_DTYPE_INT64, 3, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &id_tensor;
  inputs.attention_mask = &mask_tensor;
  mo_output *output = nullptr;
  EXPECT_EQ(mo_model_forward(decoder.model, &inputs, nullptr, &output), MO_STATUS_UNSUPPORTED);
  EXPECT_NE(std::string(mo_last_error()).find("no (batch, keys) one"), std::string::npos) << mo_last_error();
}

TEST_F(BadInput, WhatDoesNotFitTheModel) {
  Decoder decoder("llama_lm");
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  options.kind = MO_CACHE_DYNAMIC;
  options.num_key_value_heads = 3;
  mo_cache_t *made = nullptr;
  ASSERT_EQ(mo_model_create_cache(decoder.model, &options, 0, 0, &made), MO_STATUS_OK) << mo_last_error();
  const CachePointer heads(made);
  Refused(decoder, RandomRows(2, 4), {.cache = heads.get()}, MO_STATUS_INVALID_ARGUMENT, "heads");
  options.num_key_value_heads = 0;
  options.layer_count = 5;
  ASSERT_EQ(mo_model_create_cache(decoder.model, &options, 0, 0, &made), MO_STATUS_OK) << mo_last_error();
  const CachePointer layers(made);
  Refused(decoder, RandomRows(2, 4), {.cache = layers.get()}, MO_STATUS_INVALID_ARGUMENT, "has 5 layers, the model has 2");
  mo_request request = MO_REQUEST_INIT;
  request.use_cache = true;
  const CachePointer quantised(decoder.Cache(MO_CACHE_QUANTIZED, 2, 0));
  Refused(decoder, RandomRows(2, 4), {.cache = quantised.get()}, MO_STATUS_UNSUPPORTED, "cannot be shown", &request);
  const CachePointer unused(decoder.Cache(MO_CACHE_DYNAMIC, 0, 0));
  std::vector<int32_t> lengths = {0, 0};
  Refused(decoder, RandomRows(2, 1), {.cache = unused.get(), .lengths = &lengths}, MO_STATUS_INVALID_ARGUMENT, "no memory yet");

  Decoder encoder("bert_masked_lm");
  Refused(encoder, RandomRows(2, 4), {.cache = unused.get()}, MO_STATUS_INVALID_ARGUMENT, "no decoder");
  EXPECT_EQ(mo_model_create_cache(encoder.model, nullptr, 1, 1, &made), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_model_create_cache(nullptr, nullptr, 1, 1, &made), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_model_create_cache(decoder.model, nullptr, -1, 1, &made), MO_STATUS_INVALID_ARGUMENT);
  decoder.crosses = true; /* states of an encoder, for a model without cross attention */
  Refused(decoder, RandomRows(2, 4), {}, MO_STATUS_INVALID_ARGUMENT, "no cross attention");
}

}  // namespace
