// tests/output/class_test.cc - the class table against tests/golden/output_classes.json, field by field, and the generated
// header.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <jansson.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "modelout/modelout.h"

namespace {

class ClassTable : public ::testing::Test {
 protected:
  void SetUp() override {
    json_error_t error;
    root_ = json_load_file(MO_TEST_DATA "/output_classes.json", 0, &error);
    ASSERT_NE(root_, nullptr) << error.text;
    classes_ = json_object_get(root_, "classes");
    ASSERT_TRUE(json_is_array(classes_));
  }
  void TearDown() override { json_decref(root_); }

  static const char *Text(const json_t *object, const char *key) { return json_string_value(json_object_get(object, key)); }

  json_t *root_ = nullptr;
  json_t *classes_ = nullptr;
};

void ExpectSymbols(const json_t *expected, const char *const *symbols, const std::string &where) {
  if (!json_is_array(expected)) {
    EXPECT_EQ(symbols, nullptr) << where;
    return;
  }
  ASSERT_NE(symbols, nullptr) << where;
  for (size_t i = 0; i < json_array_size(expected); ++i) {
    EXPECT_STREQ(symbols[i], json_string_value(json_array_get(expected, i))) << where << " " << i;
  }
  EXPECT_EQ(symbols[json_array_size(expected)], nullptr) << where;
}

TEST_F(ClassTable, HasEveryClassInOrder) {
  ASSERT_EQ(json_array_size(classes_), 63u);
  for (int32_t i = 0; i < 63; ++i) {
    const json_t *expected = json_array_get(classes_, static_cast<size_t>(i));
    const mo_class *actual = mo_class_at(i);
    ASSERT_NE(actual, nullptr);
    EXPECT_STREQ(actual->name, Text(expected, "name"));
    EXPECT_STREQ(mo_framework_name(actual->framework), Text(expected, "framework")) << actual->name;
    EXPECT_STREQ(actual->module, Text(expected, "module")) << actual->name;
    EXPECT_STREQ(actual->purpose, Text(expected, "purpose")) << actual->name;
    EXPECT_EQ(static_cast<size_t>(actual->field_count), json_array_size(json_object_get(expected, "fields"))) << actual->name;
    EXPECT_EQ(mo_class_find(actual->name), actual);
  }
}

TEST_F(ClassTable, HasEveryFieldOfEveryClass) {
  int fields = 0;
  for (int32_t i = 0; i < 63; ++i) {
    const json_t *expected_fields = json_object_get(json_array_get(classes_, static_cast<size_t>(i)), "fields");
    const mo_class *output_class = mo_class_at(i);
    ASSERT_EQ(static_cast<size_t>(output_class->field_count), json_array_size(expected_fields));
    for (int32_t k = 0; k < output_class->field_count; ++k, ++fields) {
      const json_t *expected = json_array_get(expected_fields, static_cast<size_t>(k));
      const mo_class_field &field = output_class->fields[k];
      const std::string where = std::string(output_class->name) + "." + field.name;
      EXPECT_STREQ(field.name, Text(expected, "name"));
      EXPECT_STREQ(mo_class_field_kind_name(field.kind), Text(expected, "kind")) << where;
      EXPECT_EQ(field.optional, json_is_true(json_object_get(expected, "optional"))) << where;
      EXPECT_STREQ(field.annotation, Text(expected, "annotation")) << where;
      EXPECT_STREQ(field.element, Text(expected, "element")) << where;
      EXPECT_STREQ(field.meaning, Text(expected, "meaning")) << where;
      EXPECT_STREQ(field.tuple_length, Text(expected, "tuple_length")) << where;
      EXPECT_STREQ(field.stack, Text(expected, "stack")) << where;
      EXPECT_STREQ(field.when, Text(expected, "when")) << where;
      EXPECT_STREQ(field.when_text, Text(expected, "when_text")) << where;
      const json_t *shape = json_object_get(expected, "shape");
      EXPECT_EQ(field.rank, json_is_array(shape) ? static_cast<int32_t>(json_array_size(shape)) : -1) << where;
      ExpectSymbols(shape, field.shape, where);
      ExpectSymbols(json_object_get(expected, "observed_shape"), field.observed_shape, where);
      EXPECT_EQ(mo_class_field_index(output_class, std::string(field.name).c_str()), k) << where;
    }
  }
  EXPECT_EQ(fields, 329);
}

/* Fields, in order, of the real classes, as recorded. */
TEST_F(ClassTable, HasTheClassesThatAreNotDocumented) {
  json_t *recorded = json_load_file(MO_TEST_DATA "/classes.json", 0, nullptr);
  ASSERT_NE(recorded, nullptr);
  const char *name;
  json_t *fields;
  int further = 0;
  json_object_foreach(json_object_get(recorded, "fields_in_order"), name, fields) {
    const mo_class *output_class = mo_class_find(name);
    ASSERT_NE(output_class, nullptr) << name;
    further += !mo_class_is_documented(output_class);
    ASSERT_EQ(static_cast<size_t>(output_class->field_count), json_array_size(fields)) << name;
    for (size_t i = 0; i < json_array_size(fields); ++i)
      EXPECT_STREQ(output_class->fields[i].name, json_string_value(json_array_get(fields, i))) << name;
  }
  json_decref(recorded);
  EXPECT_EQ(further, 14);
  EXPECT_EQ(mo_class_count(), 63 + further + 1) << "and one of Flax, which is not among the recorded ones";
  EXPECT_TRUE(mo_class_is_documented(mo_class_at(62)));
  EXPECT_FALSE(mo_class_is_documented(mo_class_at(63)));
  EXPECT_FALSE(mo_class_is_documented(nullptr));
}

TEST_F(ClassTable, WritesItselfAsTheSameJson) {
  char *text = nullptr;
  ASSERT_EQ(mo_class_to_json(nullptr, -1, &text), MO_STATUS_OK);
  json_t *written = json_loads(text, 0, nullptr);
  mo_free_text(text);
  ASSERT_NE(written, nullptr);
  const json_t *list = json_object_get(written, "classes");
  ASSERT_EQ(json_array_size(list), static_cast<size_t>(mo_class_count()));
  for (size_t i = 63; i < json_array_size(list); ++i)
    EXPECT_TRUE(json_is_false(json_object_get(json_array_get(list, i), "documented"))) << i;
  for (size_t i = 0; i < json_array_size(classes_); ++i) {
    EXPECT_TRUE(json_equal(json_array_get(list, i), json_array_get(classes_, i))) << mo_class_at(static_cast<int32_t>(i))->name;
  }
  json_decref(written);
}

TEST_F(ClassTable, WritesOneClassOrOneFramework) {
  char *text = nullptr;
  ASSERT_EQ(mo_class_to_json(mo_class_find("TFMaskedLMOutput"), MO_FRAMEWORK_PT, &text), MO_STATUS_OK);
  json_t *written = json_loads(text, 0, nullptr);
  mo_free_text(text);
  ASSERT_EQ(json_array_size(json_object_get(written, "classes")), 1u);
  EXPECT_STREQ(Text(json_array_get(json_object_get(written, "classes"), 0), "name"), "TFMaskedLMOutput");
  json_decref(written);

  const size_t counts[] = {1, 29 + 14, 18, 15 + 1};
  for (int framework = 0; framework < 4; ++framework) {
    ASSERT_EQ(mo_class_to_json(nullptr, framework, &text), MO_STATUS_OK);
    written = json_loads(text, 0, nullptr);
    mo_free_text(text);
    EXPECT_EQ(json_array_size(json_object_get(written, "classes")), counts[framework]);
    json_decref(written);
  }
}

TEST_F(ClassTable, RefusesWhatIsNotInIt) {
  mo_class foreign = *mo_class_find("MaskedLMOutput");
  char *text = nullptr;
  EXPECT_EQ(mo_class_to_json(&foreign, -1, &text), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_class_to_json(nullptr, 4, &text), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_class_to_json(nullptr, -1, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(text, nullptr);
  EXPECT_EQ(mo_class_find("MaskedLmOutput"), nullptr);
  EXPECT_EQ(mo_class_find(""), nullptr);
  EXPECT_EQ(mo_class_find(nullptr), nullptr);
  EXPECT_EQ(mo_class_at(-1), nullptr);
  EXPECT_EQ(mo_class_at(mo_class_count()), nullptr);
  EXPECT_EQ(mo_class_field_index(mo_class_find("MaskedLMOutput"), "los"), -1);
  EXPECT_EQ(mo_class_field_index(mo_class_find("ModelOutput"), "loss"), -1);
  EXPECT_EQ(mo_class_field_index(nullptr, "loss"), -1);
  EXPECT_EQ(mo_framework_name(static_cast<mo_framework_t>(4)), nullptr);
  EXPECT_EQ(mo_class_field_kind_name(static_cast<mo_class_field_kind_t>(0)), nullptr);
}

TEST_F(ClassTable, FindsNamesakes) {
  EXPECT_EQ(mo_class_find_in_framework("MaskedLMOutput", MO_FRAMEWORK_PT), mo_class_find("MaskedLMOutput"));
  EXPECT_EQ(mo_class_find_in_framework("MaskedLMOutput", MO_FRAMEWORK_TF), mo_class_find("TFMaskedLMOutput"));
  EXPECT_EQ(mo_class_find_in_framework("MaskedLMOutput", MO_FRAMEWORK_FLAX), mo_class_find("FlaxMaskedLMOutput"));
  EXPECT_EQ(mo_class_find_in_framework("ModelOutput", MO_FRAMEWORK_BASE), mo_class_find("ModelOutput"));
  EXPECT_EQ(mo_class_find_in_framework("XVectorOutput", MO_FRAMEWORK_FLAX), nullptr);
  EXPECT_EQ(mo_class_find_in_framework("TFMaskedLMOutput", MO_FRAMEWORK_TF), nullptr);
  EXPECT_EQ(mo_class_find_in_framework("TFMaskedLMOutput", MO_FRAMEWORK_PT), nullptr);
  EXPECT_EQ(mo_class_find_in_framework(nullptr, MO_FRAMEWORK_PT), nullptr);
}

// The members stand behind the generic output in declared order, one pointer each, and fill the struct.
TEST_F(ClassTable, StructsFollowTheDeclaredOrder) {
  for (int32_t i = 0; i < mo_class_count(); ++i) {
    const mo_class *output_class = mo_class_at(i);
    for (int32_t k = 0; k < output_class->field_count; ++k) {
      EXPECT_EQ(output_class->fields[k].struct_offset, sizeof(mo_output) + static_cast<size_t>(k) * sizeof(mo_field *))
          << output_class->name;
    }
    EXPECT_EQ(output_class->struct_bytes,
              sizeof(mo_output) + static_cast<size_t>(output_class->field_count) * sizeof(mo_field *));
  }
  EXPECT_EQ(offsetof(mo_seq2seq_lm_output, encoder_attentions), mo_class_find("Seq2SeqLMOutput")->fields[8].struct_offset);
  EXPECT_EQ(sizeof(mo_tf_causal_lm_output_with_past), mo_class_find("TFCausalLMOutputWithPast")->struct_bytes);
  EXPECT_EQ(sizeof(mo_flax_base_model_output_with_pooling), mo_class_find("FlaxBaseModelOutputWithPooling")->struct_bytes);
  EXPECT_EQ(sizeof(mo_wav2vec2_base_model_output), mo_class_find("Wav2Vec2BaseModelOutput")->struct_bytes);
  EXPECT_EQ(sizeof(mo_xvector_output), mo_class_find("XVectorOutput")->struct_bytes);
  EXPECT_EQ(sizeof(mo_seq2seq_ts_prediction_output), mo_class_find("Seq2SeqTSPredictionOutput")->struct_bytes);
}

TEST_F(ClassTable, HeaderIsWhatTheScriptWrites) {
  FILE *pipe = popen("'" MO_SOURCE_DIR "/scripts/generate-classes' --stdout", "r");
  ASSERT_NE(pipe, nullptr);
  std::string written;
  char part[4096];
  for (size_t got; (got = fread(part, 1, sizeof part, pipe)) > 0;) written.append(part, got);
  ASSERT_EQ(pclose(pipe), 0);
  std::ifstream file(MO_SOURCE_DIR "/include/modelout/output_classes.h");
  std::stringstream content;
  content << file.rdbuf();
  EXPECT_TRUE(written == content.str()) << "run scripts/generate-classes";
}

TEST_F(ClassTable, NamesAreUnique) {
  std::set<std::string> names;
  for (int32_t i = 0; i < mo_class_count(); ++i) {
    EXPECT_TRUE(names.insert(mo_class_at(i)->name).second);
    std::set<std::string> fields;
    for (int32_t k = 0; k < mo_class_at(i)->field_count; ++k) {
      EXPECT_TRUE(fields.insert(mo_class_at(i)->fields[k].name).second) << mo_class_at(i)->name;
    }
  }
}

}  // namespace
