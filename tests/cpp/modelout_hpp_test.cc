/* tests/cpp/modelout_hpp_test.cc - the C++ layer: ownership, exceptions, and every object once through its methods.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/modelout.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {
int64_t news = 0; /* calls of operator new: the layer makes none */
}

void *operator new(std::size_t bytes) {
  ++news;
  void *memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

namespace {

const std::string kGolden = MO_TEST_DATA;

modelout::context cpu() {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  return modelout::context(options);
}

/* Two rows of token ids as a tensor. */
struct Ids {
  int64_t ids[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  int64_t shape[2] = {2, 4};
  mo_tensor tensor = mo_tensor_cpu(ids, MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  Ids() { inputs.input_ids = &tensor; }
};

template <typename Object>
constexpr bool kMoveOnly = std::is_nothrow_move_constructible_v<Object> &&std::is_nothrow_move_assignable_v<Object> &&
                           !std::is_copy_constructible_v<Object> && !std::is_copy_assignable_v<Object>;
static_assert(kMoveOnly<modelout::context> && kMoveOnly<modelout::field> && kMoveOnly<modelout::output> &&
              kMoveOnly<modelout::cache> && kMoveOnly<modelout::page_pool> && kMoveOnly<modelout::model> &&
              kMoveOnly<modelout::tokenizer>);
static_assert(std::is_nothrow_copy_constructible_v<modelout::error> && std::is_trivially_copyable_v<modelout::field_view>);

/* The status that a call throws. */
template <typename Function>
mo_status_t thrown(Function function, const char *part) {
  try {
    function();
  } catch (const modelout::error &e) {
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    return e.status();
  }
  return MO_STATUS_OK;
}

TEST(Cpp, FailuresAreExceptionsWithStatusAndSentence) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device_index = -1;
  EXPECT_EQ(thrown([&] { modelout::context context(options); }, "device index -1"), MO_STATUS_INVALID_ARGUMENT);
  const modelout::context context = cpu();
  EXPECT_EQ(thrown([&] { modelout::model model(context, "/no/such/folder"); }, "/no/such/folder"), MO_STATUS_IO_ERROR);
  EXPECT_EQ(thrown([&] { modelout::tokenizer tokenizer("/no/such/folder"); }, "/no/such/folder"), MO_STATUS_IO_ERROR);
  EXPECT_EQ(thrown([&] { modelout::output output(context, "NoSuchOutput", {}); }, "no class"), MO_STATUS_KEY_ERROR);
  EXPECT_STREQ(modelout::error(MO_STATUS_INTERNAL, std::string(5000, 'x').c_str()).what(), std::string(511, 'x').c_str());
}

TEST(Cpp, ObjectsMoveAndReleaseOnce) {
  modelout::context first = cpu();
  mo_context_t *raw = first.get();
  modelout::context second = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(second.get(), raw);
  first = std::move(second);
  EXPECT_EQ(first.get(), raw);
  modelout::context &same = first;
  first = std::move(same);
  EXPECT_EQ(first.get(), raw);
  modelout::context owner(first.release());
  EXPECT_FALSE(first);
  first = cpu();
  first = std::move(owner); /* the one it held goes */
  EXPECT_EQ(first.get(), raw);
  EXPECT_STREQ(first.backend_name(), "cpu");
  EXPECT_EQ(first.device().kind, MO_DEVICE_KIND_CPU);
  first.synchronize();
}

TEST(Cpp, AModelGivesAnOutputThatOutlivesIt) {
  Ids ids;
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = true;
  modelout::output output;
  const int64_t before = news;
  {
    const modelout::context context = cpu();
    const std::pair<const char *, const char *> names = {"BertModel", "BaseModelOutputWithPoolingAndCrossAttentions"};
    const modelout::model model(context, MO_TEST_DATA "/bert_model");
    EXPECT_STREQ(model.architecture(), names.first);
    EXPECT_STREQ(model.output_class().name, names.second);
    output = model.create_output(ids.inputs, request);
    model.run(ids.inputs, request, output);
    const modelout::output again = model.forward(ids.inputs, request);
    const auto a = output["last_hidden_state"].values<float>(), b = again[0].values<float>();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], b[i]);
  }
  const auto values = output["last_hidden_state"].values<float>();
  EXPECT_EQ(news, before) << "the layer allocated";
  EXPECT_EQ(values.rank(), 3);
  EXPECT_EQ(values.extent(1), 4);
  EXPECT_EQ(values.size(), static_cast<size_t>(2 * 4 * values.extent(2)));
  for (const float value : values) EXPECT_TRUE(std::isfinite(value));
  const auto part = output["last_hidden_state"].values<float>({MO_SLICE_AT(1), MO_SLICE_FROM(2)});
  EXPECT_EQ(part.extent(0), 1);
  EXPECT_EQ(part[0], values[static_cast<size_t>((1 * 4 + 2) * values.extent(2))]);
  std::vector<float> copied(values.size());
  output["last_hidden_state"].read_float32(copied.data(), static_cast<int64_t>(copied.size()));
  EXPECT_EQ(copied.back(), values[values.size() - 1]);

  const auto &typed = output.as<mo_base_model_output_with_pooling_and_cross_attentions>();
  EXPECT_EQ(typed.last_hidden_state, output[0].get());
  EXPECT_EQ(thrown([&] { output.as<mo_masked_lm_output>(); }, "another class"), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(thrown([&] { (void)output["attentions"]; }, "attentions"), MO_STATUS_KEY_ERROR);
  EXPECT_EQ(thrown([&] { (void)output[99]; }, "99"), MO_STATUS_INDEX_ERROR);
  EXPECT_EQ(thrown([&] { output[0].values<int64_t>(); }, "dtype"), MO_STATUS_TYPE_ERROR);
  EXPECT_FALSE(output.get_field("attentions"));
  EXPECT_TRUE(output.contains("hidden_states"));

  std::vector<std::string> keys;
  for (const modelout::item entry : output) {
    EXPECT_EQ(entry.value.get(), output[entry.key].get());
    keys.push_back(entry.key);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"last_hidden_state", "pooler_output", "hidden_states"}));
  EXPECT_EQ(output["hidden_states"].kind(), MO_FIELD_TUPLE);
  EXPECT_EQ(output["hidden_states"][-1].get(), output["hidden_states"][output["hidden_states"].length() - 1].get());

  /* A field keeps its output's memory. */
  modelout::field kept(output["pooler_output"]);
  const float first = kept.view().values<float>()[0];
  output.reset();
  EXPECT_EQ(kept.view().values<float>()[0], first);
}

TEST(Cpp, AnOutputByHandIsSavedAndLoaded) {
  const modelout::context context = cpu();
  float logits[] = {1.0f, 2.0f, 3.0f};
  const int64_t shape[] = {1, 3};
  const modelout::field field(context, mo_tensor_cpu(logits, MO_DTYPE_FLOAT32, 2, shape));
  const modelout::output output(context, "SequenceClassifierOutput", {{"logits", field.get()}});
  output.set("extra", field);
  EXPECT_EQ(output.length(), 2);
  EXPECT_STREQ(output.output_class().name, "SequenceClassifierOutput");
  const std::string path = ::testing::TempDir() + "modelout_hpp_test.safetensors";
  output.save(path.c_str());
  const modelout::output loaded = modelout::output::load(context, path.c_str());
  EXPECT_EQ(loaded["extra"].values<float>()[2], 3.0f);
  std::remove(path.c_str());
  /* Columns of a matrix are no contiguous tensor. */
  const int64_t square[] = {2, 1}, strides[] = {2, 1};
  mo_tensor column;
  modelout::check(
      mo_tensor_init_strided(&column, logits, MO_DTYPE_FLOAT32, mo_context_device(context.get()), 2, square, strides));
  const modelout::field columns(context, column);
  EXPECT_EQ(thrown([&] { columns.view().values<float>(); }, "contiguous"), MO_STATUS_UNSUPPORTED);
}

TEST(Cpp, CachesAndGeneration) {
  const modelout::context context = cpu();
  const modelout::model model(context, MO_TEST_DATA "/gpt2_lm");
  Ids ids;
  modelout::cache cache = model.create_cache(2, 16);
  ids.inputs.past_key_values = cache.get();
  mo_request request = MO_REQUEST_INIT;
  request.use_cache = true;
  const modelout::output output = model.forward(ids.inputs, request);
  EXPECT_EQ(cache.length(), 4);
  EXPECT_EQ(cache.batch_size(), 2);
  EXPECT_EQ(mo_field_cache(output["past_key_values"].get()), cache.get());
  const modelout::cache copy = cache.copy(), same = cache.share();
  EXPECT_EQ(same.get(), cache.get());
  cache.crop(1);
  const int64_t rows[] = {1, 0};
  cache.reorder(rows, 2);
  EXPECT_EQ(same.length(), 3);
  EXPECT_EQ(copy.length(), 4);
  const modelout::field field = copy.as_field();
  EXPECT_EQ(field.view()[0][0].tensor()->shape[2], 4);
  EXPECT_EQ(thrown([&] { cache.crop(-1); }, "crop"), MO_STATUS_INVALID_ARGUMENT);
  cache.reset_tokens();
  EXPECT_EQ(cache.length(), 0);
  mo_cache_options paged = MO_CACHE_OPTIONS_INIT;
  paged.kind = MO_CACHE_PAGED;
  EXPECT_EQ(thrown([&] { model.create_cache(paged); }, "page_pool"), MO_STATUS_INVALID_ARGUMENT);

  ids.inputs.past_key_values = nullptr;
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  options.max_new_tokens = 3;
  options.no_eos_token = true;
  const modelout::output generated = model.generate(ids.inputs, options);
  const auto sequences = generated["sequences"].values<int64_t>();
  EXPECT_EQ(sequences.extent(1), 7);
  EXPECT_EQ(sequences[1], 2);
}

TEST(Cpp, PagePools) {
  const modelout::context context = cpu();
  mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
  options.page_count = 4;
  options.page_size = 16;
  options.layer_count = options.num_key_value_heads = 1;
  options.head_dim = 8;
  options.dtype = MO_DTYPE_FLOAT32;
  const modelout::page_pool pool(context, options);
  EXPECT_EQ(pool.free_pages(), 4);
  mo_cache_options cache_options = MO_CACHE_OPTIONS_INIT;
  cache_options.kind = MO_CACHE_PAGED;
  cache_options.page_pool = pool.get();
  const modelout::cache cache(context, cache_options);
  EXPECT_EQ(cache.kind(), MO_CACHE_PAGED);
  EXPECT_EQ(cache.layer_count(), 1);
}

TEST(Cpp, Tokenizers) {
  const std::string folder = kGolden + "/tokenizer";
  const modelout::tokenizer tokenizer(folder.c_str());
  std::vector<int32_t> ids;
  mo_encode_options options = MO_ENCODE_OPTIONS_INIT;
  options.no_special_tokens = true;
  tokenizer.encode("the the", ids, options);
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0], tokenizer.id("the"));
  EXPECT_STREQ(tokenizer.token(ids[1]), "the");
  EXPECT_GT(tokenizer.vocab_size(), ids[0]);
}

}  // namespace
