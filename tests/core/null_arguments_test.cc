// tests/core/null_arguments_test.cc - NULL as the object of any public function: the documented answer, never a crash.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>

#include "modelout/modelout.h"
#include "tests/support/delayed_backend.h"
#include "tests/support/scoped_context.h"

namespace {

constexpr mo_status_t kInvalid = MO_STATUS_INVALID_ARGUMENT;

TEST(NullArguments, Contexts) {
  char text[8] = "before";
  EXPECT_EQ(mo_context_create(nullptr, nullptr), kInvalid);
  EXPECT_EQ(static_cast<int>(mo_context_device(nullptr).kind), 0);
  EXPECT_STREQ(mo_context_backend_name(nullptr), "");
  EXPECT_STREQ(mo_context_choice_reason(nullptr), "");
  EXPECT_STREQ(mo_context_cpu_features(nullptr), "");
  EXPECT_EQ(mo_context_stream(nullptr), nullptr);
  EXPECT_EQ(mo_context_thread_count(nullptr), 0);
  EXPECT_EQ(mo_context_get_counters(nullptr).device_bytes, 0u);
  EXPECT_EQ(mo_context_error(nullptr, text, sizeof text), MO_STATUS_OK);
  EXPECT_STREQ(text, "");
  EXPECT_EQ(mo_context_synchronize(nullptr), kInvalid);
  EXPECT_EQ(mo_context_reserve(nullptr, 1), kInvalid);
  void *memory = nullptr;
  EXPECT_EQ(mo_context_allocate(nullptr, 1, &memory), kInvalid);
  EXPECT_EQ(mo_context_copy_to_device(nullptr, text, text, 1), kInvalid);
  EXPECT_EQ(mo_context_copy_to_host(nullptr, text, text, 1), kInvalid);
  mo_context_release(nullptr, nullptr);
  mo_context_trim(nullptr);
  mo_context_destroy(nullptr);
  test_support::Context context(1);
  EXPECT_EQ(mo_context_allocate(context, 1, nullptr), kInvalid);
  EXPECT_EQ(mo_context_copy_to_device(context, nullptr, nullptr, 0), MO_STATUS_OK);
  EXPECT_EQ(mo_context_copy_to_host(context, nullptr, nullptr, 0), MO_STATUS_OK);
}

TEST(NullArguments, Tensors) {
  mo_tensor view;
  int64_t number = 0;
  EXPECT_EQ(mo_tensor_count(nullptr), 0);
  EXPECT_EQ(mo_tensor_bytes(nullptr), 0);
  EXPECT_FALSE(mo_tensor_is_contiguous(nullptr));
  EXPECT_EQ(mo_tensor_slice(nullptr, nullptr, 0, &view), kInvalid);
  EXPECT_EQ(mo_tensor_init(nullptr, nullptr, MO_DTYPE_FLOAT32, {MO_DEVICE_KIND_CPU, 0}, 0, nullptr), kInvalid);
  EXPECT_EQ(mo_tensor_init(&view, nullptr, MO_DTYPE_FLOAT32, {MO_DEVICE_KIND_CPU, 0}, 1, nullptr), kInvalid);
  EXPECT_EQ(mo_tensor_cpu(nullptr, MO_DTYPE_FLOAT32, 1, nullptr).dtype, MO_DTYPE_NONE);
  EXPECT_EQ(mo_slice_resolve({0, 1, 1}, 3, nullptr, &number, &number), kInvalid);
  EXPECT_STREQ(mo_device_name({MO_DEVICE_KIND_CPU, 0}, nullptr, 0), "");
  EXPECT_EQ(mo_dtype_from_name(nullptr), MO_DTYPE_NONE);
  EXPECT_EQ(mo_dtype_convert(nullptr, MO_DTYPE_FLOAT32, nullptr, MO_DTYPE_FLOAT16, 0), MO_STATUS_OK);
  EXPECT_EQ(mo_dtype_convert(nullptr, MO_DTYPE_FLOAT32, nullptr, MO_DTYPE_FLOAT16, 1), kInvalid);
}

TEST(NullArguments, Classes) {
  EXPECT_EQ(mo_class_find(nullptr), nullptr);
  EXPECT_EQ(mo_class_find_in_framework(nullptr, MO_FRAMEWORK_TF), nullptr);
  EXPECT_EQ(mo_class_field_index(nullptr, "loss"), -1);
  EXPECT_EQ(mo_class_field_index(mo_class_at(1), nullptr), -1);
  EXPECT_EQ(mo_class_to_json(nullptr, -1, nullptr), kInvalid);
  mo_free_text(nullptr);
}

TEST(NullArguments, Fields) {
  mo_host_view view;
  mo_field *field = nullptr;
  float value = 0;
  EXPECT_EQ(static_cast<int>(mo_field_kind(nullptr)), 0);
  EXPECT_EQ(mo_field_tensor(nullptr), nullptr);
  EXPECT_EQ(mo_field_length(nullptr), 0);
  EXPECT_EQ(mo_field_item(nullptr, 0), nullptr);
  EXPECT_EQ(mo_field_item_by_key(nullptr, "a"), nullptr);
  EXPECT_EQ(mo_field_key(nullptr, 0), nullptr);
  EXPECT_EQ(mo_field_integer(nullptr), 0);
  EXPECT_EQ(mo_field_real(nullptr), 0);
  EXPECT_EQ(mo_field_string(nullptr), nullptr);
  EXPECT_TRUE(mo_field_equal(nullptr, nullptr));
  EXPECT_EQ(mo_field_read(nullptr, &view), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_read(nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_field_read_slice(nullptr, nullptr, 0, &view), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_read_into(nullptr, nullptr, 0, &value, sizeof value), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_read_float32(nullptr, nullptr, 0, &value, 1), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_read_top_k(nullptr, 1, &view, &view), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_read_top_k(nullptr, 1, nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_field_prefetch(nullptr), MO_STATUS_TYPE_ERROR);
  EXPECT_TRUE(mo_field_is_ready(nullptr));
  EXPECT_EQ(mo_field_check_view(nullptr, &view), MO_STATUS_TYPE_ERROR);
  EXPECT_EQ(mo_field_check_view(nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_field_get_counters(nullptr).host_copies, 0u);
  EXPECT_EQ(mo_field_retain(nullptr), nullptr);
  mo_field_release(nullptr);
  EXPECT_EQ(mo_field_cache(nullptr), nullptr);
  test_support::Context context(1);
  for (mo_context_t *one : {static_cast<mo_context_t *>(nullptr), context.get()}) {
    EXPECT_EQ(mo_field_create_tensor(one, nullptr, nullptr, nullptr, &field), kInvalid);
    EXPECT_EQ(mo_field_create_tuple(one, nullptr, 1, &field), kInvalid);
    EXPECT_EQ(mo_field_create_cache(one, nullptr, 1, 2, &field), kInvalid);
    EXPECT_EQ(mo_field_create_dict(one, nullptr, nullptr, 1, &field), kInvalid);
    EXPECT_EQ(mo_field_create_string(one, nullptr, &field), kInvalid);
    EXPECT_EQ(mo_field_create_integer(one, 1, nullptr), kInvalid);
    EXPECT_EQ(mo_field_create_real(one, 1, nullptr), kInvalid);
    EXPECT_EQ(mo_field_create_tuple(one, nullptr, 0, nullptr), kInvalid);
  }
  EXPECT_EQ(field, nullptr);
}

TEST(NullArguments, Outputs) {
  const mo_class *output_class = mo_class_find("MaskedLMOutput");
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  mo_output *output = nullptr;
  mo_field *field = nullptr;
  const char *key = nullptr;
  size_t bytes = 1;
  int64_t count = 0;
  test_support::Context context(1);
  EXPECT_EQ(mo_output_query_bytes(nullptr, &dimensions, nullptr, &bytes), kInvalid);
  EXPECT_EQ(mo_output_query_bytes(output_class, nullptr, nullptr, &bytes), kInvalid);
  EXPECT_EQ(mo_output_query_bytes(output_class, &dimensions, nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_output_create(nullptr, output_class, &dimensions, nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create(context, nullptr, &dimensions, nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create(context, output_class, nullptr, nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create(context, output_class, &dimensions, nullptr, nullptr, 0, nullptr), kInvalid);
  EXPECT_EQ(mo_output_create_from_fields(nullptr, output_class, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_fields(context, nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_fields(context, output_class, nullptr, 1, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_fields(context, output_class, nullptr, 0, nullptr), kInvalid);
  EXPECT_EQ(mo_output_create_from_values(nullptr, output_class, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_values(context, nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_items(nullptr, output_class, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_items(context, nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(mo_output_create_from_output(context, output_class, nullptr, &output), kInvalid);
  EXPECT_EQ(mo_output_copy(nullptr, &output), kInvalid);
  EXPECT_EQ(mo_output_replace(nullptr, nullptr, 0, &output), kInvalid);
  EXPECT_EQ(output, nullptr);
  EXPECT_EQ(mo_output_mark_written(nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_output_synchronize(nullptr), kInvalid);
  EXPECT_EQ(mo_output_generation(nullptr), 0u);
  EXPECT_EQ(mo_output_absence(nullptr, "loss"), MO_ABSENCE_NOT_IN_CLASS);
  EXPECT_EQ(mo_output_memory(nullptr, &bytes), nullptr);
  EXPECT_EQ(bytes, 0u);
  EXPECT_EQ(mo_output_memory(nullptr, nullptr), nullptr);
  EXPECT_EQ(mo_output_length(nullptr), 0);
  EXPECT_EQ(mo_output_item(nullptr, "a", &field), kInvalid);
  EXPECT_EQ(mo_output_get(nullptr, "a"), nullptr);
  EXPECT_FALSE(mo_output_contains(nullptr, "a"));
  EXPECT_EQ(mo_output_item_at(nullptr, 0, &field), kInvalid);
  EXPECT_EQ(mo_output_at(nullptr, 0), nullptr);
  EXPECT_EQ(mo_output_slice(nullptr, {0, 1, 1}, nullptr, 0, &count), kInvalid);
  EXPECT_EQ(mo_output_to_tuple(nullptr, &field), kInvalid);
  EXPECT_EQ(mo_output_key_at(nullptr, 0), nullptr);
  EXPECT_EQ(mo_output_attribute(nullptr, "a", &field), kInvalid);
  EXPECT_TRUE(mo_output_equal(nullptr, nullptr));
  EXPECT_EQ(mo_output_set_attribute(nullptr, "a", nullptr), kInvalid);
  EXPECT_EQ(mo_output_set_item(nullptr, "a", nullptr), kInvalid);
  EXPECT_EQ(mo_output_delete_item(nullptr, nullptr), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_pop(nullptr, nullptr, nullptr), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_set_default(nullptr, nullptr, nullptr), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_update(nullptr, nullptr, 0), MO_STATUS_BLOCKED);
  EXPECT_EQ(mo_output_pop_last(nullptr, &key, &field), kInvalid);
  EXPECT_EQ(mo_output_clear(nullptr), kInvalid);
  EXPECT_EQ(mo_output_move_to_end(nullptr, "a", true), kInvalid);
  EXPECT_EQ(mo_output_merge(nullptr, nullptr, 0), kInvalid);
  EXPECT_EQ(mo_output_delete_attribute(nullptr, "a"), kInvalid);
  EXPECT_EQ(mo_output_check_shapes(nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_output_get_counters(nullptr).host_copies, 0u);
  EXPECT_EQ(mo_output_device_bytes(nullptr), 0u);
  EXPECT_EQ(mo_output_save(nullptr, "x", nullptr), kInvalid);
  EXPECT_EQ(mo_output_load(nullptr, "x", &output), kInvalid);
  EXPECT_EQ(mo_output_load(context, nullptr, &output), kInvalid);
  mo_output_destroy(nullptr);
}

TEST(NullArguments, Caches) {
  const mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  const int64_t row = 0;
  mo_cache_t *cache = nullptr;
  mo_cache_entry entry;
  mo_tensor tensor = {};
  mo_field *field = nullptr;
  int64_t length = -1, offset = -1;
  test_support::Context context(1);
  EXPECT_EQ(mo_cache_create(nullptr, &options, &cache), kInvalid);
  EXPECT_EQ(mo_cache_create(context, nullptr, &cache), kInvalid);
  EXPECT_EQ(mo_cache_create(context, &options, nullptr), kInvalid);
  EXPECT_EQ(mo_cache_create_encoder_decoder(nullptr, nullptr, &cache), kInvalid);
  EXPECT_EQ(mo_cache_retain(nullptr), nullptr);
  mo_cache_release(nullptr);
  EXPECT_EQ(mo_cache_context(nullptr), nullptr);
  EXPECT_EQ(mo_cache_self(nullptr), nullptr);
  EXPECT_EQ(mo_cache_cross(nullptr), nullptr);
  EXPECT_FALSE(mo_cache_is_updated(nullptr, 0));
  EXPECT_EQ(mo_cache_set_updated(nullptr, 0, true), kInvalid);
  EXPECT_EQ(mo_cache_update(nullptr, 0, &tensor, &tensor, nullptr, nullptr, &entry), kInvalid);
  EXPECT_EQ(mo_cache_prepare(nullptr, 0, 1, &entry, nullptr), kInvalid);
  EXPECT_EQ(mo_cache_written(nullptr, 0, 1, &entry), kInvalid);
  EXPECT_EQ(mo_cache_commit(nullptr, 0, 1), kInvalid);
  EXPECT_EQ(mo_cache_read(nullptr, 0, &entry), kInvalid);
  EXPECT_EQ(mo_cache_reserve(nullptr, 1), kInvalid);
  EXPECT_EQ(mo_cache_initialize(nullptr, 1, 1, 1, MO_DTYPE_FLOAT32), kInvalid);
  EXPECT_EQ(mo_cache_lengths(nullptr, &tensor), kInvalid);
  EXPECT_EQ(static_cast<int>(mo_cache_kind(nullptr)), 0);
  EXPECT_EQ(mo_cache_layer_count(nullptr), 0);
  EXPECT_EQ(mo_cache_length(nullptr, 0), 0);
  EXPECT_EQ(mo_cache_stored_length(nullptr, 0), 0);
  mo_cache_mask_sizes(nullptr, 5, 0, &length, &offset);
  EXPECT_EQ(length, 5);
  EXPECT_EQ(offset, 0);
  mo_cache_mask_sizes(nullptr, 5, 0, nullptr, nullptr);
  EXPECT_EQ(mo_cache_max_length(nullptr, 0), -1);
  EXPECT_EQ(mo_cache_batch_size(nullptr), -1);
  EXPECT_FALSE(mo_cache_is_initialized(nullptr));
  EXPECT_FALSE(mo_cache_is_compileable(nullptr));
  EXPECT_FALSE(mo_cache_is_sliding(nullptr, 0));
  EXPECT_EQ(mo_cache_bytes(nullptr, -1), 0u);
  EXPECT_EQ(mo_cache_crop(nullptr, 1), kInvalid);
  EXPECT_EQ(mo_cache_reorder(nullptr, &row, 1), kInvalid);
  EXPECT_EQ(mo_cache_batch_select(nullptr, &row, 1), kInvalid);
  EXPECT_EQ(mo_cache_batch_repeat(nullptr, 1), kInvalid);
  EXPECT_EQ(mo_cache_reset(nullptr), kInvalid);
  EXPECT_EQ(mo_cache_copy(nullptr, &cache), kInvalid);
  EXPECT_EQ(mo_cache_field(nullptr, MO_FRAMEWORK_PT, &field), kInvalid);
  EXPECT_EQ(mo_cache_row_length(nullptr, 0), -1);
  EXPECT_EQ(mo_cache_share_prefix(nullptr, 0, nullptr, 0, 1), kInvalid);
  EXPECT_EQ(mo_cache_reset_row(nullptr, 0), kInvalid);
  EXPECT_EQ(mo_cache_block_table(nullptr, &tensor, &tensor), kInvalid);
}

TEST(NullArguments, Pages) {
  const mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
  mo_page_pool_t *pool = nullptr;
  mo_kv_view view;
  int32_t page = 0;
  test_support::Context context(1);
  EXPECT_EQ(mo_page_pool_create(nullptr, &options, &pool), kInvalid);
  EXPECT_EQ(mo_page_pool_create(context, nullptr, &pool), kInvalid);
  EXPECT_EQ(mo_page_pool_create(context, &options, nullptr), kInvalid);
  EXPECT_EQ(mo_page_pool_retain(nullptr), nullptr);
  mo_page_pool_release(nullptr);
  EXPECT_EQ(mo_page_pool_allocate(nullptr, 1, &page), kInvalid);
  EXPECT_EQ(mo_page_pool_share(nullptr, &page, 1), kInvalid);
  EXPECT_EQ(mo_page_pool_give_back(nullptr, &page, 1), kInvalid);
  EXPECT_EQ(mo_page_pool_free_pages(nullptr), 0);
  EXPECT_EQ(mo_page_pool_references(nullptr, 0), -1);
  EXPECT_EQ(mo_page_pool_view(nullptr, 0, &view), kInvalid);
}

TEST(NullArguments, Models) {
  const mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_model_t *model = nullptr;
  mo_output *output = nullptr;
  mo_cache_t *cache = nullptr;
  test_support::Context context(1);
  EXPECT_EQ(mo_model_load(nullptr, ".", nullptr, &model), kInvalid);
  EXPECT_EQ(mo_model_load(context, nullptr, nullptr, &model), kInvalid);
  EXPECT_EQ(mo_model_load(context, ".", nullptr, nullptr), kInvalid);
  mo_model_destroy(nullptr);
  EXPECT_EQ(mo_model_architecture(nullptr), nullptr);
  EXPECT_EQ(mo_model_output_class(nullptr), nullptr);
  EXPECT_EQ(mo_model_parameter_count(nullptr), 0);
  (void)mo_model_config_integer(nullptr, "x");
  EXPECT_EQ(mo_model_unexpected_tensor(nullptr, 0), nullptr);
  EXPECT_EQ(mo_model_missing_tensor(nullptr, 0), nullptr);
  EXPECT_EQ(mo_model_create_output(nullptr, &inputs, nullptr, &output), kInvalid);
  EXPECT_EQ(mo_model_create_cache(nullptr, nullptr, 1, 1, &cache), kInvalid);
  EXPECT_EQ(mo_model_run(nullptr, &inputs, nullptr, nullptr), kInvalid);
  EXPECT_EQ(mo_model_forward(nullptr, &inputs, nullptr, &output), kInvalid);
  EXPECT_EQ(mo_generate(nullptr, &inputs, nullptr, &output), kInvalid);
}

TEST(NullArguments, Files) {
  mo_safetensors_t *file = nullptr;
  mo_tokenizer_t *tokenizer = nullptr;
  mo_tensor tensor;
  int64_t count = 0;
  EXPECT_EQ(mo_safetensors_open(nullptr, &file), kInvalid);
  EXPECT_EQ(mo_safetensors_open("x", nullptr), kInvalid);
  EXPECT_NE(mo_safetensors_open_memory(nullptr, 8, &file), MO_STATUS_OK);
  mo_safetensors_close(nullptr);
  EXPECT_EQ(mo_safetensors_count(nullptr), 0);
  EXPECT_EQ(mo_safetensors_name(nullptr, 0), nullptr);
  EXPECT_EQ(mo_safetensors_tensor(nullptr, "x", &tensor), kInvalid);
  EXPECT_EQ(mo_safetensors_metadata(nullptr, "x"), nullptr);
  EXPECT_EQ(mo_tokenizer_load(nullptr, &tokenizer), kInvalid);
  EXPECT_EQ(mo_tokenizer_from_json(nullptr, 1, &tokenizer), kInvalid);
  EXPECT_EQ(mo_tokenizer_from_vocab(nullptr, 1, true, &tokenizer), kInvalid);
  mo_tokenizer_destroy(nullptr);
  EXPECT_EQ(mo_tokenizer_vocab_size(nullptr), 0);
  EXPECT_EQ(mo_tokenizer_id(nullptr, "x"), -1);
  EXPECT_EQ(mo_tokenizer_token(nullptr, 0), nullptr);
  EXPECT_EQ(mo_tokenizer_encode(nullptr, "x", nullptr, nullptr, nullptr, 0, &count), kInvalid);
}

// Without a context, without parameters, and with parameters that say nothing.
#define EXPECT_REFUSES(op, type)                                                                                               \
  do {                                                                                                                         \
    type params = {};                                                                                                          \
    params.struct_size = sizeof params;                                                                                        \
    EXPECT_EQ(op(nullptr, nullptr), kInvalid);                                                                                 \
    EXPECT_EQ(op(nullptr, &params), kInvalid);                                                                                 \
    EXPECT_EQ(op(context, nullptr), kInvalid);                                                                                 \
    EXPECT_NE(mo_status_name(op(context, &params)), nullptr) << #op;                                                           \
    params.struct_size = 0;                                                                                                    \
    EXPECT_EQ(op(context, &params), kInvalid);                                                                                 \
  } while (0)

TEST(NullArguments, Ops) {
  test_support::Context context(1);
  EXPECT_REFUSES(mo_attention, mo_attention_params);
  EXPECT_REFUSES(mo_attention_merge, mo_attention_merge_params);
  EXPECT_REFUSES(mo_cast, mo_cast_params);
  EXPECT_REFUSES(mo_decode_attention, mo_decode_attention_params);
  EXPECT_REFUSES(mo_embedding, mo_embedding_params);
  EXPECT_REFUSES(mo_gate, mo_gate_params);
  EXPECT_REFUSES(mo_kv_update, mo_kv_update_params);
  EXPECT_REFUSES(mo_kv_gather, mo_kv_gather_params);
  EXPECT_REFUSES(mo_linear, mo_linear_params);
  EXPECT_REFUSES(mo_cross_entropy, mo_cross_entropy_params);
  EXPECT_REFUSES(mo_bce_with_logits_loss, mo_elementwise_loss_params);
  EXPECT_REFUSES(mo_mse_loss, mo_elementwise_loss_params);
  EXPECT_REFUSES(mo_span_loss, mo_span_loss_params);
  EXPECT_REFUSES(mo_layer_norm, mo_norm_params);
  EXPECT_REFUSES(mo_rms_norm, mo_norm_params);
  EXPECT_REFUSES(mo_pooling, mo_pooling_params);
  EXPECT_REFUSES(mo_position_bias, mo_position_bias_params);
  EXPECT_REFUSES(mo_rotary_embedding, mo_rotary_params);
  EXPECT_REFUSES(mo_sample, mo_sampling_params);
  EXPECT_REFUSES(mo_softmax, mo_softmax_params);
  EXPECT_REFUSES(mo_topk, mo_topk_params);
  mo_packed_weight_t *packed = nullptr;
  const mo_tensor *none = nullptr;
  mo_activation_t activation;
  EXPECT_EQ(mo_linear_pack(nullptr, &none, 1, &packed), kInvalid);
  EXPECT_EQ(mo_linear_pack(context, nullptr, 1, &packed), kInvalid);
  EXPECT_EQ(mo_linear_pack(context, &none, 1, &packed), kInvalid);
  EXPECT_EQ(mo_linear_pack(context, &none, 1, nullptr), kInvalid);
  mo_packed_weight_destroy(nullptr);
  EXPECT_NE(mo_activation_from_name(nullptr, &activation), MO_STATUS_OK);
  EXPECT_NE(mo_activation_from_name("gelu", nullptr), MO_STATUS_OK);
  EXPECT_EQ(mo_alibi_slopes(4, nullptr), kInvalid);
  EXPECT_EQ(mo_rotary_fill_tables(nullptr, 1, 1, nullptr, nullptr), kInvalid);
}

// A backend may leave out ops, which are then unsupported, but nothing that is called without asking.
TEST(NullArguments, BackendsWithoutAnEntry) {
  const auto create = [](const mo_backend *backend, mo_context_t **context) {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.backend = backend;
    options.own_stream = true;
    return mo_context_create(&options, context);
  };
  mo_context_t *context = nullptr;
#define EXPECT_NEEDED(entry)                                                                                                   \
  do {                                                                                                                         \
    mo_backend lacking = mo_delayed_backend;                                                                                   \
    ASSERT_NE(lacking.entry, nullptr);                                                                                         \
    lacking.entry = nullptr;                                                                                                   \
    EXPECT_EQ(create(&lacking, &context), kInvalid);                                                                           \
    EXPECT_EQ(context, nullptr);                                                                                               \
  } while (0)
  EXPECT_NEEDED(name);
  EXPECT_NEEDED(open);
  EXPECT_NEEDED(close);
  EXPECT_NEEDED(allocate);
  EXPECT_NEEDED(release);
  EXPECT_NEEDED(allocate_pinned);
  EXPECT_NEEDED(release_pinned);
  EXPECT_NEEDED(copy);
  EXPECT_NEEDED(event_create);
  EXPECT_NEEDED(event_destroy);
  EXPECT_NEEDED(event_record);
  EXPECT_NEEDED(event_synchronize);
  EXPECT_NEEDED(stream_destroy);
  mo_backend without = mo_delayed_backend;
  without.topk = nullptr, without.copy_view_to_host = nullptr, without.stream_wait_event = nullptr;
  without.event_is_complete = nullptr;
  ASSERT_EQ(create(&without, &context), MO_STATUS_OK) << mo_last_error();
  void *memory = nullptr;
  ASSERT_EQ(mo_context_allocate(context, 64, &memory), MO_STATUS_OK);
  const int64_t shape[] = {2, 8};
  mo_tensor tensor;
  ASSERT_EQ(mo_tensor_init(&tensor, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 2, shape), MO_STATUS_OK);
  mo_field *field = nullptr;
  ASSERT_EQ(mo_field_create_tensor(context, &tensor, nullptr, nullptr, &field), MO_STATUS_OK);
  mo_host_view values, indices;
  const mo_slice columns[] = {{0, MO_SLICE_UNSET, 1}, {2, 4, 1}};
  EXPECT_EQ(mo_field_read_top_k(field, 2, &values, &indices), MO_STATUS_UNSUPPORTED);
  EXPECT_EQ(mo_field_read_slice(field, columns, 2, &values), MO_STATUS_UNSUPPORTED);
  EXPECT_EQ(mo_field_read(field, &values), MO_STATUS_OK) << mo_last_error();
  (void)mo_field_is_ready(field);
  mo_field_release(field);
  mo_context_release(context, memory);
  mo_context_destroy(context);
}

}  // namespace
