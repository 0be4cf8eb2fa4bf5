/* tests/model/decoder_test.cc - decoders beyond the recorded values: caches of every kind against full recomputation, padding,
 * what is done to a cache between runs, lengths on the device, memory.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/decoder_case.h"

namespace {

using namespace decoder_case;

/* ---- Caches against recomputation --------------------------------------------------------------------------------------- */

/* (Quantised ones: cached_decoding_test.cc.) A first part longer than decode attention takes, another such, a few tokens at
 * once, and one by one. */
void Steps(Decoder &decoder, mo_cache_t *cache, const std::string &what) {
  const std::vector<int64_t> ends = {9, 19, 22, 23, 24, 25};
  const int64_t length = ends.back();
  const Rows rows = RandomRows(2, length);
  const Logits whole = decoder.Run(rows);
  int64_t first = 0;
  for (const int64_t end : ends) {
    const Logits step = decoder.Run(Columns(rows, first, end), {.cache = cache});
    ExpectNear(step, Tokens(whole, 2, length, first, end), kTolerance, what + " from " + std::to_string(first));
    EXPECT_EQ(mo_cache_length(cache, 0), end);
    EXPECT_EQ(mo_cache_length(cache, decoder.Integer("num_hidden_layers") - 1), end);
    first = end;
  }
}

TEST(Decoding, EqualsRecomputationWithEveryKindOfCache) {
  for (const char *name : Families()) {
    Decoder decoder(name);
    const bool slides = std::string(name) == "mistral_lm_window";
    const struct {
      mo_cache_kind_t kind;
      const char *text;
    } kinds[] = {{MO_CACHE_DYNAMIC, "dynamic"},
                 {MO_CACHE_STATIC, "static"},
                 {MO_CACHE_PAGED, "paged"},
                 {MO_CACHE_SLIDING, "sliding"},
                 {MO_CACHE_STATIC_SLIDING, "static sliding"},
                 {static_cast<mo_cache_kind_t>(0), "the model's own"}};
    for (const auto &kind : kinds) {
      const bool needs_window = kind.kind == MO_CACHE_SLIDING || kind.kind == MO_CACHE_STATIC_SLIDING;
      if (needs_window && !slides) continue; /* full attention needs what a sliding cache drops */
      for (const int64_t max_length : {int64_t{32}, int64_t{0}}) {
        const bool bounded = kind.kind == MO_CACHE_STATIC || kind.kind == MO_CACHE_STATIC_SLIDING;
        if (max_length == 0 && (bounded || test_device_is_simulated())) continue;
        const CachePointer cache(decoder.Cache(kind.kind, max_length > 0 ? 2 : 0, max_length));
        Steps(decoder, cache.get(), std::string(name) + ", " + kind.text);
      }
    }
  }
}

/* The cache a run makes itself, handed on by its output. */
TEST(Decoding, TheOutputHandsTheCacheOn) {
  for (const char *name : Families()) {
    Decoder decoder(name);
    const Rows rows = RandomRows(2, 14);
    const Logits whole = decoder.Run(rows);
    mo_request request = MO_REQUEST_INIT;
    request.use_cache = true;
    mo_output *output = nullptr;
    Logits logits;
    ASSERT_EQ(decoder.TryRun(Columns(rows, 0, 12), {}, &logits, &request, &output), MO_STATUS_OK) << mo_last_error();
    ExpectNear(logits, Tokens(whole, 2, 14, 0, 12), kTolerance, name);
    mo_field *field = mo_output_get(output, "past_key_values");
    ASSERT_EQ(mo_field_length(field), decoder.Integer("num_hidden_layers"));
    const mo_tensor *key = mo_field_tensor(mo_field_item(mo_field_item(field, 0), 0));
    ASSERT_NE(key, nullptr);
    EXPECT_EQ(key->shape[1], decoder.Integer("num_key_value_heads"));
    EXPECT_EQ(key->shape[2], 12);
    EXPECT_EQ(key->shape[3], decoder.Integer("head_dim"));
    EXPECT_EQ(mo_field_length(mo_field_item(field, 0)), decoder.crosses ? 4 : 2);
    /* The cache lives in the field; its tokens are no part of the output's memory. */
    size_t own_bytes = 0;
    mo_output_memory(output, &own_bytes);
    EXPECT_EQ(own_bytes, (4u * 2 * 12 * kVocabulary + 255) / 256 * 256);
    const CachePointer cache(mo_cache_retain(mo_field_cache(field)));
    mo_output_destroy(output);
    ExpectNear(decoder.Run(Columns(rows, 12, 14), {.cache = cache.get()}), Tokens(whole, 2, 14, 12, 14), kTolerance, name);
  }
}

TEST(Decoding, OtherFrameworksShowTheirForms) {
  for (const mo_framework_t framework : {MO_FRAMEWORK_TF, MO_FRAMEWORK_FLAX}) {
    Decoder decoder("gpt2_lm", nullptr, framework);
    const CachePointer cache(decoder.Cache(MO_CACHE_DYNAMIC, 2, 0));
    mo_request request = MO_REQUEST_INIT;
    request.use_cache = true;
    mo_output *output = nullptr;
    Logits logits;
    ASSERT_EQ(decoder.TryRun(RandomRows(2, 10), {.cache = cache.get()}, &logits, &request, &output), MO_STATUS_OK)
        << mo_last_error();
    mo_field *field = mo_output_get(output, "past_key_values");
    ASSERT_NE(field, nullptr);
    if (framework == MO_FRAMEWORK_TF) {
      const mo_tensor *layer = mo_field_tensor(mo_field_item(field, 1));
      ASSERT_NE(layer, nullptr);
      EXPECT_EQ(layer->rank, 5);
      EXPECT_EQ(layer->shape[0], 2);
      EXPECT_EQ(layer->shape[3], 10);
    } else {
      EXPECT_EQ(mo_field_integer(mo_field_item_by_key(field, "transformer.h.1.attn.cache_index")), 10);
    }
    mo_output_destroy(output);
  }
}

/* ---- Padding ------------------------------------------------------------------------------------------------------------ */

/* Rows of 6 and 11 tokens side by side: each as if it were alone. */
TEST(Padding, LeftAndRight) {
  for (const char *name : Families()) {
    Decoder decoder(name);
    const bool counts_itself = std::string(name) == "opt_lm"; /* positions come from the mask */
    const Rows rows = RandomRows(2, 14);
    const int64_t lengths[2] = {6, 11}, steps = 3, longest = 11;
    for (const bool left : {true, false}) {
      /* A window counts keys, padding between them included; the original's does too. */
      if (!left && std::string(name) == "mistral_lm_window") continue;
      const CachePointer cache(decoder.Cache(MO_CACHE_DYNAMIC, 2, 0));
      Given given = {.cache = cache.get()};
      Rows prompt;
      for (int row = 0; row < 2; row++) {
        const auto padding = static_cast<size_t>(longest - lengths[row]);
        std::vector<int64_t> tokens(rows[row].begin(), rows[row].begin() + lengths[row]), mask(tokens.size(), 1), positions;
        for (int64_t i = 0; i < lengths[row]; i++) positions.push_back(i);
        tokens.insert(left ? tokens.begin() : tokens.end(), padding, 0);
        mask.insert(left ? mask.begin() : mask.end(), padding, 0);
        positions.insert(left ? positions.begin() : positions.end(), padding, 1);
        prompt.push_back(tokens), given.mask.push_back(mask), given.positions.push_back(positions);
      }
      if (counts_itself) given.positions.clear();
      Logits logits = decoder.Run(prompt, given);
      for (int64_t step = 0; step <= steps; step++) {
        for (int row = 0; row < 2; row++) {
          const int64_t known = lengths[row] + step, width = step == 0 ? longest : 1;
          const Rows alone = {{rows[row].begin(), rows[row].begin() + known}};
          const Logits expected = Tokens(decoder.Run(alone), 1, known, known - 1, known);
          const int64_t at = step > 0 ? 0 : left ? longest - 1 : lengths[row] - 1;
          const auto begin = logits.begin() + (row * width + at) * kVocabulary;
          ExpectNear({begin, begin + kVocabulary}, expected, kTolerance,
                     std::string(name) + (left ? " left" : " right") + " step " + std::to_string(step));
        }
        if (step == steps) break;
        Rows next;
        given.positions.clear();
        for (int row = 0; row < 2; row++) {
          next.push_back({rows[row][static_cast<size_t>(lengths[row] + step)]});
          given.mask[row].push_back(1);
          if (!counts_itself) given.positions.push_back({lengths[row] + step});
        }
        logits = decoder.Run(next, given);
      }
    }
  }
}

/* ---- Changes between runs ----------------------------------------------------------------------------------------------- */

TEST(Changes, CropReorderRepeatSelect) {
  for (const char *name : Families()) {
    Decoder decoder(name);
    for (const mo_cache_kind_t kind : {MO_CACHE_DYNAMIC, MO_CACHE_STATIC, MO_CACHE_PAGED}) {
      if (decoder.crosses && kind == MO_CACHE_PAGED) continue;
      if (test_device_is_simulated() && kind == MO_CACHE_STATIC) continue;
      const CachePointer cache(decoder.Cache(kind, 3, 24));
      Rows rows = RandomRows(3, 12);
      decoder.Run(rows, {.cache = cache.get()});
      const std::string what = std::string(name) + " kind " + std::to_string(kind);
      auto go_on = [&](int64_t count, unsigned seed, const char *after) {
        const Rows more = RandomRows(static_cast<int64_t>(rows.size()), count, seed);
        for (size_t i = 0; i < rows.size(); i++) rows[i].insert(rows[i].end(), more[i].begin(), more[i].end());
        const auto length = static_cast<int64_t>(rows[0].size()), batch = static_cast<int64_t>(rows.size());
        ExpectNear(decoder.Run(more, {.cache = cache.get()}), Tokens(decoder.Run(rows), batch, length, length - count, length),
                   kTolerance, what + " after " + after);
      };
      ASSERT_EQ(mo_cache_crop(cache.get(), 4), MO_STATUS_OK) << mo_last_error();
      for (auto &row : rows) row.resize(8);
      go_on(2, 21, "crop");
      const int64_t order[] = {2, 0, 2};
      ASSERT_EQ(mo_cache_reorder(cache.get(), order, 3), MO_STATUS_OK) << mo_last_error();
      rows = {rows[2], rows[0], rows[2]};
      go_on(1, 22, "reorder");
      const int64_t chosen[] = {1};
      ASSERT_EQ(mo_cache_batch_select(cache.get(), chosen, 1), MO_STATUS_OK) << mo_last_error();
      rows = {rows[1]};
      go_on(1, 23, "select");
      ASSERT_EQ(mo_cache_batch_repeat(cache.get(), 2), MO_STATUS_OK) << mo_last_error();
      rows = {rows[0], rows[0]};
      go_on(1, 24, "repeat");
      ASSERT_EQ(mo_cache_reset(cache.get()), MO_STATUS_OK) << mo_last_error();
      rows = {{}, {}};
      go_on(9, 25, "reset");
    }
  }
}

/* ---- Selection ---------------------------------------------------------------------------------------------------------- */

TEST(Selection, PartsOfACachedStepEqualTheWhole) {
  Decoder decoder("mistral_lm_window");
  const Rows rows = RandomRows(2, 13);
  for (const mo_cache_kind_t kind : {MO_CACHE_DYNAMIC, MO_CACHE_STATIC, MO_CACHE_SLIDING}) {
    for (const int64_t tokens : {int64_t{2}, int64_t{10}}) {
      const CachePointer cache(decoder.Cache(kind, 2, 16)), other(decoder.Cache(kind, 2, 16));
      decoder.Run(Columns(rows, 0, 13 - tokens), {.cache = cache.get()});
      decoder.Run(Columns(rows, 0, 13 - tokens), {.cache = other.get()});
      mo_request whole = MO_REQUEST_INIT, part = MO_REQUEST_INIT;
      whole.output_attentions = whole.output_hidden_states = true;
      part = whole;
      const int32_t layer[] = {1}, head[] = {3};
      part.attention_layers = part.hidden_state_layers = {layer, 1};
      part.attention_heads = {head, 1};
      part.last_query_rows = part.last_logit_positions = 1;
      mo_output *all = nullptr, *some = nullptr;
      Logits all_logits, some_logits;
      const Rows last = Columns(rows, 13 - tokens, 13);
      ASSERT_EQ(decoder.TryRun(last, {.cache = cache.get()}, &all_logits, &whole, &all), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(decoder.TryRun(last, {.cache = other.get()}, &some_logits, &part, &some), MO_STATUS_OK) << mo_last_error();
      ExpectNear(some_logits, Tokens(all_logits, 2, tokens, tokens - 1, tokens), kTolerance, "last logits");
      mo_field *full = mo_field_item(mo_output_get(all, "attentions"), 1);
      mo_field *one = mo_field_item(mo_output_get(some, "attentions"), 1);
      EXPECT_EQ(mo_field_item(mo_output_get(some, "attentions"), 0), nullptr);
      ASSERT_EQ(mo_field_tensor(full)->shape[3], 13);
      std::vector<float> a(static_cast<size_t>(2 * 4 * tokens * 13)), b(2 * 13);
      ASSERT_EQ(mo_field_read_float32(full, nullptr, 0, a.data(), static_cast<int64_t>(a.size())), MO_STATUS_OK);
      ASSERT_EQ(mo_field_read_float32(one, nullptr, 0, b.data(), 26), MO_STATUS_OK);
      for (int64_t row = 0; row < 2; row++) {
        double sum = 0;
        for (int64_t k = 0; k < 13; k++) {
          const float weight = b[static_cast<size_t>(row * 13 + k)];
          ASSERT_NEAR(weight, a[static_cast<size_t>(((row * 4 + 3) * tokens + tokens - 1) * 13 + k)], 1e-6);
          if (k < 13 - 5) {
            EXPECT_EQ(weight, 0.0f) << "outside the window, dropped or not";
          }
          sum += weight;
        }
        EXPECT_NEAR(sum, 1, 1e-5);
      }
      mo_output_destroy(all);
      mo_output_destroy(some);
    }
  }
}

/* ---- Lengths on the device ---------------------------------------------------------------------------------------------- */

/* Two sequences of different lengths in one static cache: each step as if they were alone. */
TEST(DeviceLengths, RowsGoOnFromTheirOwnLength) {
  for (const char *name : {"llama_lm", "gpt2_lm"}) {
    Decoder decoder(name);
    const Rows rows = RandomRows(2, 16);
    const CachePointer cache(decoder.Cache(MO_CACHE_STATIC, 2, 16));
    decoder.Run(Columns(rows, 0, 10), {.cache = cache.get()}); /* of the first row only 6 are to count */
    std::vector<int32_t> lengths = {6, 10};
    for (int64_t step = 0; step < 4; step++) {
      Given given = {.cache = cache.get(), .lengths = &lengths};
      Rows next;
      for (int row = 0; row < 2; row++) {
        next.push_back({rows[row][static_cast<size_t>(lengths[row])]});
        given.positions.push_back({lengths[row]});
      }
      const Logits logits = decoder.Run(next, given);
      EXPECT_EQ(mo_cache_length(cache.get(), 0), 10) << "the cache's own count stays";
      for (int row = 0; row < 2; row++) {
        const int64_t known = ++lengths[row];
        const Rows alone = {{rows[row].begin(), rows[row].begin() + known}};
        const auto begin = logits.begin() + row * kVocabulary;
        ExpectNear({begin, begin + kVocabulary}, Tokens(decoder.Run(alone), 1, known, known - 1, known), kTolerance, name);
      }
    }
    ASSERT_EQ(mo_cache_commit(cache.get(), -1, 4), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_cache_length(cache.get(), 0), 14);
  }
}

/* ---- Memory ------------------------------------------------------------------------------------------------------------- */

TEST(Memory, AStepWithinWhatIsReservedAllocatesNothing) {
  TEST_ON_CPU_ONLY("counts the allocations of ordinary memory");
  Heap heap;
  {
    Decoder decoder("llama_lm", &heap);
    const Rows rows = RandomRows(1, 20);
    for (const mo_cache_kind_t kind : {MO_CACHE_DYNAMIC, MO_CACHE_STATIC}) {
      const CachePointer cache(decoder.Cache(kind, 1, 20));
      std::vector<int64_t> token = {1};
      const int64_t shape[2] = {1, 1};
      const mo_tensor ids = mo_tensor_cpu(token.data(), MO_DTYPE_INT64, 2, shape);
      mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
      inputs.input_ids = &ids;
      inputs.past_key_values = cache.get();
      mo_output *output = nullptr;
      ASSERT_EQ(mo_model_forward(decoder.model, &inputs, nullptr, &output), MO_STATUS_OK) << mo_last_error();
      for (int64_t i = 1; i < 3; i++) ASSERT_EQ(mo_model_run(decoder.model, &inputs, nullptr, output), MO_STATUS_OK);
      const int64_t calls = heap.calls;
      for (int64_t i = 3; i < 20; i++)
        ASSERT_EQ(mo_model_run(decoder.model, &inputs, nullptr, output), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(heap.calls, calls);
      mo_output_destroy(output);
    }
  }
  EXPECT_EQ(heap.live, 0);
}

/* Every allocation of a step fails once: the cache is as it was, and the step can be done afterwards. */
TEST(Memory, AFailedRunLeavesTheCacheAsItWas) {
  TEST_ON_CPU_ONLY("fails the allocations of ordinary memory");
  for (const char *name : {"llama_lm", "bert_lm_head_cross"}) {
    Heap heap;
    {
      Decoder decoder(name, &heap);
      const Rows rows = RandomRows(2, 16);
      const Logits whole = decoder.Run(rows);
      for (const int64_t held : {int64_t{0}, int64_t{6}}) {
        bool failed = true;
        for (int64_t n = 0; failed; n++) {
          const CachePointer cache(decoder.Cache(MO_CACHE_DYNAMIC, 0, 0));
          if (held > 0) decoder.Run(Columns(rows, 0, held), {.cache = cache.get()});
          Logits logits;
          heap.fail_at = heap.calls + n;
          const mo_status_t status = decoder.TryRun(Columns(rows, held, 16), {.cache = cache.get()}, &logits);
          heap.fail_at = -1;
          failed = status != MO_STATUS_OK;
          if (!failed) break;
          ASSERT_EQ(status, MO_STATUS_OUT_OF_MEMORY) << mo_last_error();
          for (int64_t layer = 0; layer < 2; layer++) ASSERT_EQ(mo_cache_length(cache.get(), layer), held) << n;
          ExpectNear(decoder.Run(Columns(rows, held, 16), {.cache = cache.get()}), Tokens(whole, 2, 16, held, 16), kTolerance,
                     name);
        }
      }
    }
    EXPECT_EQ(heap.live, 0);
  }
}

/* ---- Bad input ---------------------------------------------------------------------------------------------------------- */

}  // namespace
