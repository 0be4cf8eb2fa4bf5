// tests/output/save_test.cc - outputs to safetensors files and back.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/delayed_backend.h"

namespace {

class SaveTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    if (GetParam()) options.backend = &mo_delayed_backend;
    options.own_stream = true;
    ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK);
    path = ::testing::TempDir() + "save_test." + std::to_string(getpid()) + ".safetensors";
  }
  void TearDown() override {
    mo_context_destroy(context);
    unlink(path.c_str());
  }

  mo_output *Create(const char *name) {
    mo_dimensions d = MO_DIMENSIONS_INIT;
    d.batch_size = 2, d.sequence_length = 3, d.hidden_size = 8, d.num_layers = 2, d.num_heads = 4, d.vocab_size = 5;
    d.num_labels = 3, d.max_length = 4, d.has_loss = true;
    const int32_t last[] = {-1};
    mo_request r = MO_REQUEST_INIT;
    r.output_hidden_states = r.output_attentions = r.use_cache = true;
    r.attention_layers = {last, 1};
    mo_output *output = nullptr;
    EXPECT_EQ(mo_output_create(context, mo_class_find(name), &d, &r, nullptr, 0, &output), MO_STATUS_OK) << mo_last_error();
    size_t bytes;
    void *memory = const_cast<void *>(mo_output_memory(output, &bytes));
    std::vector<float> content(bytes / 4);
    for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<float>(i) * 0.5f;
    EXPECT_EQ(mo_context_copy_to_device(context, memory, content.data(), bytes), MO_STATUS_OK);
    EXPECT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_OK);
    EXPECT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
    return output;
  }

  void ExpectSame(mo_field *a, mo_field *b, const std::string &name) {
    ASSERT_EQ(mo_field_kind(a), mo_field_kind(b)) << name;
    ASSERT_EQ(mo_field_length(a), mo_field_length(b)) << name;
    if (mo_field_tensor(a) != nullptr) {
      mo_host_view x, y;
      ASSERT_EQ(mo_field_read(a, &x), MO_STATUS_OK);
      ASSERT_EQ(mo_field_read(b, &y), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(x.rank, y.rank) << name;
      EXPECT_EQ(memcmp(x.shape, y.shape, sizeof(int64_t) * static_cast<size_t>(x.rank)), 0) << name;
      EXPECT_EQ(x.dtype, y.dtype);
      const int64_t count = mo_tensor_count(mo_field_tensor(a));
      std::vector<float> p(static_cast<size_t>(count), NAN), q(static_cast<size_t>(count), NAN);
      ASSERT_EQ(mo_field_read_float32(a, nullptr, 0, p.data(), count), MO_STATUS_OK);
      ASSERT_EQ(mo_field_read_float32(b, nullptr, 0, q.data(), count), MO_STATUS_OK);
      EXPECT_EQ(p, q) << name;
    }
    EXPECT_EQ(mo_field_integer(a), mo_field_integer(b));
    EXPECT_EQ(mo_field_real(a), mo_field_real(b));
    EXPECT_STREQ(mo_field_string(a), mo_field_string(b));
    for (int64_t i = 0; i < mo_field_length(a); ++i) {
      EXPECT_STREQ(mo_field_key(a, i), mo_field_key(b, i));
      ExpectSame(mo_field_item(a, i), mo_field_item(b, i), name + "." + std::to_string(i));
    }
  }

  void ExpectSame(const mo_output *a, const mo_output *b) {
    EXPECT_EQ(a->output_class, b->output_class);
    ASSERT_EQ(mo_output_length(a), mo_output_length(b));
    for (int64_t i = 0; i < mo_output_length(a); ++i) {
      EXPECT_STREQ(mo_output_key_at(a, i), mo_output_key_at(b, i));
      ExpectSame(mo_output_at(a, i), mo_output_at(b, i), mo_output_key_at(a, i));
    }
  }

  std::set<std::string> Names() {
    std::set<std::string> names;
    mo_safetensors_t *file;
    EXPECT_EQ(mo_safetensors_open(path.c_str(), &file), MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < mo_safetensors_count(file); ++i) names.insert(mo_safetensors_name(file, i));
    mo_safetensors_close(file);
    return names;
  }

  mo_context_t *context = nullptr;
  std::string path;
};

TEST_P(SaveTest, FlatNames) {
  mo_output *output = Create("CausalLMOutputWithPast");
  ASSERT_EQ(mo_output_save(output, path.c_str(), nullptr), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Names(), (std::set<std::string>{"loss", "logits", "past_key_values.0.key", "past_key_values.0.value",
                                            "past_key_values.1.key", "past_key_values.1.value", "hidden_states.0",
                                            "hidden_states.1", "hidden_states.2", "attentions.1"}));
  mo_safetensors_t *file;
  ASSERT_EQ(mo_safetensors_open(path.c_str(), &file), MO_STATUS_OK);
  EXPECT_STREQ(mo_safetensors_metadata(file, "class"), "CausalLMOutputWithPast");
  EXPECT_STREQ(mo_safetensors_metadata(file, "keys"),
               "[\"loss\",\"logits\",\"past_key_values\",\"hidden_states\",\"attentions\"]");
  EXPECT_STREQ(mo_safetensors_metadata(file, "none_entries"), "[\"attentions.0\"]");
  mo_safetensors_close(file);
  ASSERT_EQ(mo_output_save(output, path.c_str(), "step0."), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Names().count("step0.past_key_values.1.key"), 1u);
  mo_output *loaded = nullptr;
  ASSERT_EQ(mo_output_load(context, path.c_str(), &loaded), MO_STATUS_OK) << mo_last_error();
  ExpectSame(output, loaded);
  mo_output_destroy(loaded);
  mo_output_destroy(output);
}

TEST_P(SaveTest, EveryKindOfFieldComesBack) {
  for (const char *name : {"MaskedLMOutput", "Seq2SeqLMOutput", "BaseModelOutputWithPoolingAndCrossAttentions",
                           "TFCausalLMOutputWithPast", "FlaxBaseModelOutputWithPast", "FlaxSeq2SeqLMOutput"}) {
    SCOPED_TRACE(name);
    mo_output *output = Create(name), *loaded = nullptr;
    ASSERT_EQ(mo_output_save(output, path.c_str(), nullptr), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_output_load(context, path.c_str(), &loaded), MO_STATUS_OK) << mo_last_error();
    ExpectSame(output, loaded);
    mo_output_destroy(output);
    mo_output_destroy(loaded);
  }
}

TEST_P(SaveTest, AdHocOutputs) {
  mo_field *integer, *real, *text, *tuple;
  ASSERT_EQ(mo_field_create_integer(context, -7, &integer), MO_STATUS_OK);
  ASSERT_EQ(mo_field_create_real(context, INFINITY, &real), MO_STATUS_OK);
  ASSERT_EQ(mo_field_create_string(context, "a \"text\"", &text), MO_STATUS_OK);
  mo_field *items[] = {integer, nullptr, real};
  ASSERT_EQ(mo_field_create_tuple(context, items, 3, &tuple), MO_STATUS_OK);
  mo_output *output, *loaded;
  ASSERT_EQ(mo_output_create_from_fields(context, mo_class_find("MaskedLMOutput"), nullptr, 0, &output), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_item(output, "logits", tuple), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_item(output, "extra", text), MO_STATUS_OK);
  ASSERT_EQ(mo_output_set_item(output, "loss", nullptr), MO_STATUS_OK);
  ASSERT_EQ(mo_output_save(output, path.c_str(), nullptr), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_output_load(context, path.c_str(), &loaded), MO_STATUS_OK) << mo_last_error();
  ExpectSame(output, loaded);
  EXPECT_TRUE(mo_output_contains(loaded, "loss"));
  mo_output_destroy(output);
  mo_output_destroy(loaded);
  for (mo_field *field : {integer, real, text, tuple}) mo_field_release(field);
}

/* A class of a model's own, as the pretraining models have, comes back under its keys. */
TEST_P(SaveTest, ClassesOutsideTheTable) {
  mo_class own = *mo_class_find("SequenceClassifierOutput");
  own.name = "SomebodysOwnOutput";
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 2, d.num_labels = 3;
  mo_output *output = nullptr, *loaded = nullptr;
  ASSERT_EQ(mo_output_create(context, &own, &d, nullptr, nullptr, 0, &output), MO_STATUS_OK) << mo_last_error();
  size_t bytes;
  void *memory = const_cast<void *>(mo_output_memory(output, &bytes));
  const std::vector<float> content(bytes / 4, 0.25f);
  ASSERT_EQ(mo_context_copy_to_device(context, memory, content.data(), bytes), MO_STATUS_OK);
  ASSERT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_OK);
  ASSERT_EQ(mo_output_save(output, path.c_str(), nullptr), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_output_load(context, path.c_str(), &loaded), MO_STATUS_OK) << mo_last_error();
  EXPECT_STREQ(loaded->output_class->name, "ModelOutput");
  ASSERT_EQ(mo_output_length(loaded), 1);
  EXPECT_STREQ(mo_output_key_at(loaded, 0), "logits");
  ExpectSame(mo_output_get(output, "logits"), mo_output_get(loaded, "logits"), "logits");
  mo_output_destroy(loaded);
  mo_output_destroy(output);
}

TEST_P(SaveTest, BadFilesAreRefused) {
  mo_output *loaded = nullptr;
  EXPECT_EQ(mo_output_load(context, "/nonexistent/file", &loaded), MO_STATUS_IO_ERROR);
  float value = 1;
  const mo_tensor tensor = mo_tensor_cpu(&value, MO_DTYPE_FLOAT32, 0, nullptr);
  const char *names[] = {"loss"};
  const char *keys[] = {"class", "structure"};
  const auto refused = [&](const char *class_name, const char *structure) {
    const char *values[] = {class_name, structure};
    ASSERT_EQ(mo_safetensors_write(path.c_str(), names, &tensor, 1, keys, values, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_output_load(context, path.c_str(), &loaded), MO_STATUS_BAD_FILE) << structure;
    EXPECT_EQ(loaded, nullptr);
  };
  refused("MaskedLMOutput", "{");
  refused("MaskedLMOutput", "{}");
  refused("MaskedLMOutput", "[3]");
  refused("MaskedLMOutput", "[[\"logits\",\"t\"]]");
  refused("MaskedLMOutput", "[[\"loss\",\"t\"],[\"loss\",\"t\"]]");
  refused("MaskedLMOutput", "[[\"loss\",\"t\"],[\"x\",[\"cache\",3]]]");
  refused("MaskedLMOutput", "[[\"x\",[\"cache\",2,[\"tuple\"]]]]");
  refused("MaskedLMOutput", "[[\"x\",[\"what\"]]]");
  refused("MaskedLMOutput", "[[\"x\",[\"dict\",[null,null]]]]");
  refused("MaskedLMOutput", "[[\"x\",[]]]");
  /* One tensor under two of the ways to its name: a small file would be a large output. */
  refused("ModelOutput", "[[\"loss\",\"t\"],[\"x\",[\"dict\",[\"a\",\"t\"]]]]");
  refused("ModelOutput", "[[\"loss\",[\"dict\"]],[\"loss\",\"t\"]]");
  names[0] = "x.a.b";
  refused("ModelOutput", "[[\"x\",[\"dict\",[\"a.b\",\"t\"],[\"a.b\",\"t\"]]]]");
  refused("ModelOutput", "[[\"x\",[\"dict\",[\"a.b\",\"t\"]]],[\"x.a\",[\"dict\",[\"b\",\"t\"]]]]");
  std::string deep = "[[\"x\",";
  for (int i = 0; i < 40; ++i) deep += "[\"tuple\",";
  deep += "null" + std::string(40, ']') + "]]";
  refused("MaskedLMOutput", deep.c_str());
}

TEST_P(SaveTest, NothingWrittenAndNoFolder) {
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 2, d.num_labels = 3;
  mo_output *output;
  ASSERT_EQ(mo_output_create(context, mo_class_find("SequenceClassifierOutput"), &d, nullptr, nullptr, 0, &output),
            MO_STATUS_OK);
  EXPECT_EQ(mo_output_save(output, path.c_str(), nullptr), MO_STATUS_WRONG_STATE);
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "no file is left";
  ASSERT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_OK);
  EXPECT_EQ(mo_output_save(output, "/nonexistent/folder/file", nullptr), MO_STATUS_IO_ERROR);
  mo_output_destroy(output);
}

INSTANTIATE_TEST_SUITE_P(Devices, SaveTest, ::testing::Bool(),
                         [](const auto &device) { return device.param ? "delayed" : "cpu"; });

}  // namespace
