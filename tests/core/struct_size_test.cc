/* tests/core/struct_size_test.cc - structs of older and newer callers: every struct with a struct_size, through its front door.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/struct_size.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "host/core/error.h"
#include "modelout/modelout.h"
#include "tests/support/scoped_context.h"

namespace {

/* Objects that front doors want beside the struct. */
struct World {
  test_support::Context context;
  mo_model_t *bert = nullptr, *gpt2 = nullptr;
  mo_tokenizer_t *tokenizer = nullptr;
  mo_packed_weight_t *packed = nullptr;
  mo_output *output = nullptr;

  World() {
    const std::string golden = MO_TEST_DATA;
    EXPECT_EQ(mo_model_load(context, (golden + "/bert_model").c_str(), nullptr, &bert), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_model_load(context, (golden + "/gpt2_lm").c_str(), nullptr, &gpt2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_tokenizer_from_vocab("[UNK]\n[CLS]\n[SEP]\na\n", 20, true, &tokenizer), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_output_create_from_fields(context, mo_class_find("BaseModelOutput"), nullptr, 0, &output), MO_STATUS_OK);
  }
  ~World() {
    mo_output_destroy(output);
    mo_tokenizer_destroy(tokenizer);
    mo_model_destroy(gpt2);
    mo_model_destroy(bert);
  }
};

using Call = std::function<mo_status_t(World &, const void *)>;

struct Entry {
  const char *init; /* the macro's name */
  size_t size, first_size;
  std::vector<unsigned char> begun; /* as the macro leaves it */
  std::vector<Call> calls;          /* every function that takes the struct */
};

template <typename Struct>
Entry entry(const char *init, const Struct &begun, size_t first_size, std::vector<Call> calls) {
  const auto *bytes = reinterpret_cast<const unsigned char *>(&begun);
  return {init, sizeof(Struct), first_size, {bytes, bytes + sizeof(Struct)}, std::move(calls)};
}

#define ENTRY(type, INIT, last, ...)                                                                                           \
  entry(#INIT,                                                                                                                 \
        [] {                                                                                                                   \
          type value = INIT;                                                                                                   \
          return value;                                                                                                        \
        }(),                                                                                                                   \
        MO_SIZE_TO(type, last), {__VA_ARGS__})
#define OP(function, type) [](World &w, const void *p) { return function(w.context, static_cast<const type *>(p)); }

/* The second column is the last member that the first release of the struct had. */
std::vector<Entry> every_struct() {
  const auto model_inputs = [](auto function) {
    return [function](World &w, const void *p) {
      mo_output *made = nullptr;
      const mo_status_t status = function(w, static_cast<const mo_model_inputs *>(p), &made);
      mo_output_destroy(made);
      return status;
    };
  };
  const auto request = [](auto function) {
    return [function](World &w, const void *p) {
      int64_t ids[2] = {1, 2};
      const int64_t shape[] = {1, 2};
      const mo_tensor tensor = mo_tensor_cpu(ids, MO_DTYPE_INT64, 2, shape);
      mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
      inputs.input_ids = &tensor;
      mo_output *made = nullptr;
      const mo_status_t status = function(w, inputs, static_cast<const mo_request *>(p), &made);
      mo_output_destroy(made);
      return status;
    };
  };
  return {
      ENTRY(mo_attention_params, MO_ATTENTION_PARAMS_INIT, weight_last_rows, OP(mo_attention, mo_attention_params)),
      ENTRY(mo_attention_merge_params, MO_ATTENTION_MERGE_PARAMS_INIT, log_sum_exp_b,
            OP(mo_attention_merge, mo_attention_merge_params)),
      ENTRY(mo_cast_params, MO_CAST_PARAMS_INIT, input, OP(mo_cast, mo_cast_params)),
      ENTRY(mo_convolution_params, MO_CONVOLUTION_PARAMS_INIT, activation, OP(mo_convolution, mo_convolution_params)),
      ENTRY(mo_convolution_geometry, MO_CONVOLUTION_GEOMETRY_INIT, output_padding,
            [](World &w, const void *p) {
              float numbers[1] = {1};
              const int64_t shape[] = {1, 1, 1};
              const mo_tensor weight = mo_tensor_cpu(numbers, MO_DTYPE_FLOAT32, 3, shape);
              mo_packed_convolution_t *packed = nullptr;
              const mo_status_t status =
                  mo_convolution_pack(w.context, &weight, static_cast<const mo_convolution_geometry *>(p), &packed);
              mo_packed_convolution_destroy(packed);
              return status;
            }),
      ENTRY(mo_decode_attention_params, MO_DECODE_ATTENTION_PARAMS_INIT, weight_last_rows,
            OP(mo_decode_attention, mo_decode_attention_params)),
      ENTRY(mo_embedding_params, MO_EMBEDDING_PARAMS_INIT, word_scale, OP(mo_embedding, mo_embedding_params)),
      ENTRY(mo_gate_params, MO_GATE_PARAMS_INIT, activation, OP(mo_gate, mo_gate_params)),
      ENTRY(mo_kv_update_params, MO_KV_UPDATE_PARAMS_INIT, position_ids, OP(mo_kv_update, mo_kv_update_params)),
      ENTRY(mo_kv_gather_params, MO_KV_GATHER_PARAMS_INIT, start, OP(mo_kv_gather, mo_kv_gather_params)),
      ENTRY(mo_linear_params, MO_LINEAR_PARAMS_INIT, activation, OP(mo_linear, mo_linear_params)),
      ENTRY(mo_cross_entropy_params, MO_CROSS_ENTROPY_PARAMS_INIT, reduction, OP(mo_cross_entropy, mo_cross_entropy_params)),
      ENTRY(mo_elementwise_loss_params, MO_ELEMENTWISE_LOSS_PARAMS_INIT, reduction,
            OP(mo_bce_with_logits_loss, mo_elementwise_loss_params), OP(mo_mse_loss, mo_elementwise_loss_params)),
      ENTRY(mo_span_loss_params, MO_SPAN_LOSS_PARAMS_INIT, reduction, OP(mo_span_loss, mo_span_loss_params)),
      ENTRY(mo_norm_params, MO_NORM_PARAMS_INIT, weight_offset, OP(mo_layer_norm, mo_norm_params),
            OP(mo_rms_norm, mo_norm_params)),
      ENTRY(mo_pooling_params, MO_POOLING_PARAMS_INIT, l2_normalize, OP(mo_pooling, mo_pooling_params)),
      ENTRY(mo_pooling2d_params, MO_POOLING2D_PARAMS_INIT, ceil_mode, OP(mo_pooling2d, mo_pooling2d_params)),
      ENTRY(mo_position_bias_params, MO_POSITION_BIAS_PARAMS_INIT, query_offsets,
            OP(mo_position_bias, mo_position_bias_params)),
      ENTRY(mo_rotary_params, MO_ROTARY_PARAMS_INIT, position_offset, OP(mo_rotary_embedding, mo_rotary_params)),
      ENTRY(mo_rotary_config, MO_ROTARY_CONFIG_INIT, yarn_keeps_fraction,
            [](World &, const void *p) {
              float cosine[4], sine[4];
              return mo_rotary_fill_tables(static_cast<const mo_rotary_config *>(p), 1, 0, cosine, sine);
            }),
      ENTRY(mo_sampling_params, MO_SAMPLING_PARAMS_INIT, positions, OP(mo_sample, mo_sampling_params)),
      ENTRY(mo_score_edit_params, MO_SCORE_EDIT_PARAMS_INIT, stage_count, OP(mo_edit_scores, mo_score_edit_params)),
      ENTRY(mo_softmax_params, MO_SOFTMAX_PARAMS_INIT, causal, OP(mo_softmax, mo_softmax_params)),
      ENTRY(mo_sum_params, MO_SUM_PARAMS_INIT, constant, OP(mo_sum, mo_sum_params)),
      ENTRY(mo_topk_params, MO_TOPK_PARAMS_INIT, input, OP(mo_topk, mo_topk_params)),
      ENTRY(mo_context_options, MO_CONTEXT_OPTIONS_INIT, backend,
            [](World &, const void *p) {
              mo_context_t *made = nullptr;
              const mo_status_t status = mo_context_create(static_cast<const mo_context_options *>(p), &made);
              mo_context_destroy(made);
              return status;
            }),
      ENTRY(
          mo_cache_options, MO_CACHE_OPTIONS_INIT, keeps_addresses,
          [](World &w, const void *p) {
            mo_cache_t *made = nullptr;
            const mo_status_t status = mo_cache_create(w.context, static_cast<const mo_cache_options *>(p), &made);
            mo_cache_release(made);
            return status;
          },
          [](World &w, const void *p) {
            mo_cache_t *made = nullptr;
            const mo_status_t status = mo_model_create_cache(w.gpt2, static_cast<const mo_cache_options *>(p), 0, 0, &made);
            mo_cache_release(made);
            return status;
          }),
      ENTRY(mo_page_pool_options, MO_PAGE_POOL_OPTIONS_INIT, tokens_first,
            [](World &w, const void *p) {
              mo_page_pool_t *made = nullptr;
              return mo_page_pool_create(w.context, static_cast<const mo_page_pool_options *>(p), &made);
            }),
      ENTRY(mo_model_options, MO_MODEL_OPTIONS_INIT, allow_missing,
            [](World &w, const void *p) {
              mo_model_t *made = nullptr;
              const std::string folder = std::string(MO_TEST_DATA) + "/bert_model";
              const mo_status_t status =
                  mo_model_load(w.context, folder.c_str(), static_cast<const mo_model_options *>(p), &made);
              mo_model_destroy(made);
              return status;
            }),
      ENTRY(mo_model_inputs, MO_MODEL_INPUTS_INIT, encoder_outputs,
            model_inputs([](World &w, const mo_model_inputs *inputs, mo_output **made) {
              return mo_model_create_output(w.bert, inputs, nullptr, made);
            }),
            model_inputs([](World &w, const mo_model_inputs *inputs, mo_output **) {
              return mo_model_run(w.bert, inputs, nullptr, w.output);
            }),
            model_inputs([](World &w, const mo_model_inputs *inputs, mo_output **made) {
              return mo_model_forward(w.bert, inputs, nullptr, made);
            }),
            model_inputs([](World &w, const mo_model_inputs *inputs, mo_output **made) {
              return mo_generate(w.gpt2, inputs, nullptr, made);
            })),
      ENTRY(mo_request, MO_REQUEST_INIT, attention_dtype,
            request([](World &w, const mo_model_inputs &inputs, const mo_request *r, mo_output **made) {
              return mo_model_forward(w.bert, &inputs, r, made);
            }),
            request([](World &w, const mo_model_inputs &inputs, const mo_request *r, mo_output **made) {
              mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
              options.max_new_tokens = 1;
              options.request = r;
              return mo_generate(w.gpt2, &inputs, &options, made);
            }),
            request([](World &w, const mo_model_inputs &, const mo_request *r, mo_output **made) {
              mo_dimensions dimensions = MO_DIMENSIONS_INIT;
              dimensions.batch_size = dimensions.sequence_length = dimensions.hidden_size = dimensions.num_heads = 2;
              dimensions.num_layers = 2;
              size_t bytes;
              MO_TRY(mo_output_query_bytes(mo_class_find("BaseModelOutput"), &dimensions, r, &bytes));
              return mo_output_create(w.context, mo_class_find("BaseModelOutput"), &dimensions, r, nullptr, 0, made);
            })),
      ENTRY(mo_generation_options, MO_GENERATION_OPTIONS_INIT, user_data,
            request([](World &w, const mo_model_inputs &inputs, const mo_request *r, mo_output **made) {
              return mo_generate(w.gpt2, &inputs, reinterpret_cast<const mo_generation_options *>(r), made);
            })),
      ENTRY(
          mo_dimensions, MO_DIMENSIONS_INIT, cache_is_given,
          [](World &, const void *p) {
            size_t bytes;
            return mo_output_query_bytes(mo_class_find("BaseModelOutput"), static_cast<const mo_dimensions *>(p), nullptr,
                                         &bytes);
          },
          [](World &w, const void *p) { return mo_output_check_shapes(w.output, static_cast<const mo_dimensions *>(p)); }),
      ENTRY(mo_sentence_settings, MO_SENTENCE_SETTINGS_INIT, unsupported,
            [](World &, const void *p) {
              /* Written to: a copy, so that each call begins with what the test has set. */
              size_t size;
              std::memcpy(&size, p, sizeof size);
              std::vector<unsigned char> copy(sizeof(mo_sentence_settings) + 64);
              std::memcpy(copy.data(), p, size <= copy.size() ? size : sizeof(mo_sentence_settings));
              return mo_sentence_load(MO_TEST_DATA, reinterpret_cast<mo_sentence_settings *>(copy.data()));
            }),
      ENTRY(mo_encode_options, MO_ENCODE_OPTIONS_INIT, max_length,
            [](World &w, const void *p) {
              int64_t count;
              return mo_tokenizer_encode(w.tokenizer, "a", static_cast<const mo_encode_options *>(p), nullptr, nullptr, 0,
                                         &count);
            }),
  };
}

/* The struct as a caller has it that knows `size` bytes of it; what lies behind is not the caller's. */
std::vector<unsigned char> of_size(const Entry &e, size_t size) {
  std::vector<unsigned char> bytes(std::max(size, e.size), 0);
  std::memcpy(bytes.data(), e.begun.data(), e.size);
  if (size < e.size) std::memset(bytes.data() + size, 0xAB, e.size - size);
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes;
}

/* What a call says of a struct's size: "" if it is content with it, whatever else it may miss. */
std::string complaint(World &world, const Call &call, const std::vector<unsigned char> &bytes) {
  mo_set_error("%s", "");
  const mo_status_t status = call(world, bytes.data());
  const std::string sentence = mo_last_error();
  if (status == MO_STATUS_OK || sentence.find("struct_size") == std::string::npos) return "";
  EXPECT_EQ(status, MO_STATUS_INVALID_ARGUMENT);
  return sentence;
}

TEST(StructSize, EveryFrontDoorKeepsThePromise) {
  World world;
  for (const Entry &e : every_struct()) {
    for (size_t c = 0; c < e.calls.size(); ++c) {
      SCOPED_TRACE(std::string(e.init) + ", function " + std::to_string(c));
      const Call &call = e.calls[c];
      EXPECT_EQ(complaint(world, call, of_size(e, e.size)), "") << "this version's";
      EXPECT_EQ(complaint(world, call, of_size(e, e.first_size)), "") << "the first version's";
      EXPECT_EQ(complaint(world, call, of_size(e, e.size + 40)), "") << "a newer one that sets nothing";
      std::vector<unsigned char> newer = of_size(e, e.size + 40);
      newer.back() = 1;
      EXPECT_NE(complaint(world, call, newer).find(e.init), std::string::npos) << "a newer one that sets something";
      for (const size_t size : {size_t{0}, size_t{4}, e.first_size - 1, size_t{1} << 40}) {
        std::vector<unsigned char> bytes = of_size(e, e.size);
        std::memcpy(bytes.data(), &size, sizeof size);
        EXPECT_NE(complaint(world, call, bytes).find(e.init), std::string::npos) << size;
      }
    }
  }
}

TEST(StructSize, NoStructIsLeftOut) {
  std::set<std::string> declared, listed;
  for (const auto &file : std::filesystem::directory_iterator(std::string(MO_SOURCE_DIR) + "/include/modelout")) {
    std::ifstream stream(file.path());
    std::string define, name, replacement;
    for (std::string line; std::getline(stream, line);) {
      std::istringstream(line) >> define >> name >> replacement;
      if (define == "#define" && replacement.rfind("MO_STRUCT_INIT", 0) == 0) declared.insert(name);
    }
  }
  for (const Entry &e : every_struct()) listed.insert(e.init);
  EXPECT_EQ(declared, listed);
}

TEST(StructSize, WhatAShorterStructLacksKeepsItsDefault) {
  mo_cross_entropy_params given = MO_CROSS_ENTROPY_PARAMS_INIT, taken = MO_CROSS_ENTROPY_PARAMS_INIT;
  given.ignore_index = 7;
  given.struct_size = offsetof(mo_cross_entropy_params, ignore_index);
  ASSERT_EQ(MO_TAKE("op", MO_CROSS_ENTROPY_PARAMS_INIT, &given, given.struct_size, &taken), MO_STATUS_OK);
  EXPECT_EQ(taken.ignore_index, -100);
  EXPECT_EQ(taken.struct_size, sizeof taken);
}

TEST(StructSize, ABackendTableMayBeLongerButNotOtherwise) {
  struct {
    mo_backend table;
    void *later;
  } newer = {};
  newer.table = *mo_context_backend(test_support::Context());
  newer.table.struct_size = sizeof newer;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.backend = &newer.table;
  mo_context_t *context = nullptr;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  mo_context_destroy(context);
  newer.later = &newer;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  newer.table.struct_size = sizeof newer.table - sizeof(void *);
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("backend"), std::string::npos) << mo_last_error();
}

}  // namespace
