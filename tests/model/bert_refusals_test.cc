/* tests/model/bert_refusals_test.cc - what models of the BERT family refuse: bad input, bad configurations, bad files.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/bert_case.h"

namespace {

using namespace bert_case;

/* ---- Bad input ----------------------------------------------------------------------------------------------------------- */

class BadInput : public ::testing::Test {
 protected:
  void Load(const char *name) {
    model_ = std::make_unique<LoadedModel>(context_, GoldenCase(name));
    ASSERT_EQ(model_->status(), MO_STATUS_OK) << model_->error();
  }

  /* Refused by create_output and by run, with the sentence, and nothing of a good output changes. */
  void Refused(const mo_model_inputs &inputs, const char *sentence, const mo_request *request = nullptr) {
    mo_output *made = nullptr;
    EXPECT_EQ(mo_model_create_output(*model_, &inputs, request, &made), MO_STATUS_INVALID_ARGUMENT) << sentence;
    EXPECT_EQ(made, nullptr);
    EXPECT_NE(std::string(mo_last_error()).find(sentence), std::string::npos) << mo_last_error();
    char text[512] = "";
    EXPECT_EQ(mo_context_error(context_, text, sizeof text), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_STREQ(text, mo_last_error());

    Output good;
    ASSERT_EQ(Forward(*model_, good_, nullptr, &good), MO_STATUS_OK) << mo_last_error();
    const char *key = mo_output_key_at(good.output, 0);
    const std::vector<float> before = Read(good[key]);
    EXPECT_EQ(mo_model_run(*model_, &inputs, request, good.output), MO_STATUS_INVALID_ARGUMENT) << sentence;
    EXPECT_EQ(mo_output_generation(good.output), 1u);
    EXPECT_EQ(Read(good[key]), before);
  }

  Context context_;
  std::unique_ptr<LoadedModel> model_;
  std::vector<int64_t> values_ = RandomIds(2 * 5);
  mo_tensor ids_ = Ids(values_, 2, 5);
  mo_model_inputs good_ = Inputs();

  mo_model_inputs Inputs() const {
    mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
    inputs.input_ids = &ids_;
    return inputs;
  }
};

TEST_F(BadInput, Tokens) {
  Load("bert_model");
  mo_model_inputs inputs = good_;
  std::vector<int64_t> bad = values_;
  const mo_tensor bad_ids = Ids(bad, 2, 5);
  inputs.input_ids = &bad_ids;
  bad[6] = 99;
  Refused(inputs, "input_ids holds 99 (row 1, position 1), outside the vocabulary's range 0..98");
  bad[6] = -1;
  Refused(inputs, "input_ids holds -1");

  std::vector<int64_t> many = RandomIds(33);
  const mo_tensor long_ids = Ids(many, 1, 33);
  inputs.input_ids = &long_ids;
  Refused(inputs, "33 tokens, but the position table has 32 entries");
  const mo_tensor empty = Ids(many, 3, 0);
  inputs.input_ids = &empty;
  Refused(inputs, "length 0");
  inputs.input_ids = nullptr;
  Refused(inputs, "neither of input_ids and inputs_embeds");
  inputs = good_;
  inputs.inputs_embeds = &ids_;
  Refused(inputs, "both of input_ids and inputs_embeds");
  inputs = good_;
  inputs.struct_size = 8;
  Refused(inputs, "struct_size");

  std::vector<float> reals(10);
  const int64_t shape[2] = {2, 5}, flat[1] = {10};
  const mo_tensor floats = mo_tensor_cpu(reals.data(), MO_DTYPE_FLOAT32, 2, shape);
  inputs = good_;
  inputs.input_ids = &floats;
  Refused(inputs, "float32");
  const mo_tensor line = mo_tensor_cpu(values_.data(), MO_DTYPE_INT64, 1, flat);
  inputs.input_ids = &line;
  Refused(inputs, "has 1 dimensions, not 2");
  mo_tensor elsewhere = ids_;
  elsewhere.device = {MO_DEVICE_KIND_CUDA, 7};
  inputs.input_ids = &elsewhere;
  Refused(inputs, "cuda:7");
  mo_tensor nowhere = ids_;
  nowhere.data = nullptr;
  inputs.input_ids = &nowhere;
  Refused(inputs, "no data");
  mo_tensor huge = ids_;
  huge.shape[0] = INT64_MAX / 4;
  huge.strides[0] = 0;
  inputs.input_ids = &huge;
  Refused(inputs, "too many");
}

TEST_F(BadInput, Companions) {
  Load("bert_model");
  mo_model_inputs inputs = good_;
  std::vector<int64_t> other(10, 0), wide(12, 0);
  const mo_tensor types = Ids(other, 2, 5), wrong = Ids(wide, 2, 6);
  other[3] = 2;
  inputs.token_type_ids = &types;
  Refused(inputs, "token_type_ids holds 2");
  inputs = good_;
  inputs.attention_mask = &wrong;
  Refused(inputs, "dimension 1 of attention_mask is 6, not 5");
  inputs = good_;
  inputs.position_ids = &types;
  other[3] = 32;
  Refused(inputs, "position_ids holds 32");
  std::vector<float> half(10, 0.5f);
  const int64_t shape[2] = {2, 5};
  const mo_tensor soft = mo_tensor_cpu(half.data(), MO_DTYPE_FLOAT32, 2, shape);
  inputs = good_;
  inputs.attention_mask = &soft;
  Refused(inputs, "a floating mask has only 0 and 1");
  inputs = good_;
  inputs.labels = &ids_;
  Refused(inputs, "takes none");
  inputs = good_;
  inputs.start_positions = &ids_;
  Refused(inputs, "takes none");

  mo_request request = Everything();
  const int32_t heads[] = {4}, layers[] = {7}, twice[] = {1, 1};
  request.attention_heads = {heads, 1};
  Refused(good_, "attention_heads", &request);
  request = Everything();
  request.attention_layers = {layers, 1};
  Refused(good_, "7", &request);
  request = Everything();
  request.hidden_state_layers = {twice, 2};
  Refused(good_, "1", &request);
  request = Everything();
  request.struct_size = 3;
  Refused(good_, "struct_size", &request);

  Load("distilbert_model");
  other[3] = 0;
  inputs = good_;
  inputs.token_type_ids = &types;
  Refused(inputs, "takes none");
}

TEST_F(BadInput, Labels) {
  mo_model_inputs inputs = good_;
  std::vector<int64_t> tokens(10, -100), examples = {0, 1};
  const mo_tensor token_labels = Ids(tokens, 2, 5), example_labels = Vector(examples);
  Load("bert_masked_lm");
  inputs.labels = &token_labels;
  tokens[4] = 99;
  Refused(inputs, "labels holds 99 (row 0, position 4), outside the vocabulary's range 0..98");
  tokens[4] = -1;
  Refused(inputs, "labels holds -1");
  inputs.labels = &example_labels;
  Refused(inputs, "labels has 1 dimensions, not 2");
  tokens[4] = 3;
  inputs.labels = &token_labels;
  mo_request request = MO_REQUEST_INIT;
  request.last_logit_positions = 2;
  Refused(inputs, "the loss needs them all", &request);
  request.last_logit_positions = 6;
  Refused(good_, "last_logit_positions", &request);

  Load("bert_token_cls");
  Refused(
      [&] {
        tokens[4] = 3;
        return inputs;
      }(),
      "num_labels range 0..2");
  Load("bert_seqcls_single");
  inputs.labels = &example_labels;
  examples[1] = 3;
  Refused(inputs, "num_labels range 0..2");
  Load("bert_nsp");
  examples[1] = 2;
  Refused(inputs, "range 0..1");
  Load("bert_qa");
  Refused(inputs, "takes none");
  inputs = good_;
  std::vector<int64_t> three = {1, 2, 3};
  const mo_tensor starts = Vector(three);
  inputs.start_positions = &starts;
  inputs.end_positions = &example_labels;
  Refused(inputs, "dimension 0 of start_positions is 3, not 2");
}

TEST_F(BadInput, RobertaPositionsCountRealTokensOnly) {
  Load("roberta_model"); /* 34 positions, padding id 1: room for 32 tokens */
  std::vector<int64_t> values = RandomIds(40);
  const mo_tensor ids = Ids(values, 1, 40);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  Refused(inputs, "40 tokens, but the position table has 34 entries, 32 of them behind the padding's");
  for (size_t i = 32; i < 40; i++) values[i] = 1;
  Output result;
  EXPECT_EQ(Forward(*model_, inputs, nullptr, &result), MO_STATUS_OK) << mo_last_error();
}

TEST_F(BadInput, AnOutputOfOtherInputs) {
  Load("bert_seqcls_single");
  Output output, other;
  ASSERT_EQ(Forward(*model_, good_, nullptr, &output), MO_STATUS_OK) << mo_last_error();
  std::vector<int64_t> examples = {0, 1};
  const mo_tensor labels = Vector(examples), shorter = Ids(values_, 1, 5);
  mo_model_inputs inputs = good_;
  inputs.labels = &labels;
  EXPECT_EQ(mo_model_run(*model_, &inputs, nullptr, output.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("made without labels"), std::string::npos) << mo_last_error();
  inputs = good_;
  inputs.input_ids = &shorter;
  EXPECT_EQ(mo_model_run(*model_, &inputs, nullptr, output.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("dimension 0 of the output's logits is 2, these inputs and this request give 1"),
            std::string::npos)
      << mo_last_error();
  LoadedModel base(context_, GoldenCase("bert_model"));
  ASSERT_EQ(Forward(base, good_, nullptr, &other), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_model_run(*model_, &good_, nullptr, other.output), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("not a SequenceClassifierOutput"), std::string::npos) << mo_last_error();
}

/* ---- Bad configurations and files --------------------------------------------------------------------------------------- */

/* A copy of a case's folder with keys of config.json changed. */
class Folder : public test_support::TemporaryFolder {
 public:
  Folder(const std::string &name, const std::vector<std::pair<std::string, std::string>> &changes) {
    json_t *config = json_load_file((GoldenCase(name) + "/config.json").c_str(), 0, nullptr);
    for (const auto &change : changes)
      json_object_set_new(config, change.first.c_str(), json_loads(change.second.c_str(), JSON_DECODE_ANY, nullptr));
    json_dump_file(config, File("config.json").c_str(), 0);
    json_decref(config);
    Link("model.safetensors", GoldenCase(name) + "/model.safetensors");
  }
};

struct BadConfig {
  const char *folder, *key, *value;
  mo_status_t status;
  const char *sentence;
};

class Configurations : public ::testing::TestWithParam<BadConfig> {};

TEST_P(Configurations, AreRefused) {
  Heap heap;
  {
    Context context(&heap);
    const Folder folder(GetParam().folder, {{GetParam().key, GetParam().value}});
    const int64_t live = heap.live;
    LoadedModel model(context, folder.path());
    EXPECT_EQ(model.status(), GetParam().status) << model.error();
    EXPECT_NE(model.error().find(GetParam().sentence), std::string::npos) << model.error();
    EXPECT_EQ(heap.live, live);
  }
  EXPECT_EQ(heap.live, 0);
}

INSTANTIATE_TEST_SUITE_P(
    All, Configurations,
    ::testing::Values(
        BadConfig{"qwen2_lm_layers", "layer_types", "[\"sliding_attention\", \"chunked_attention\"]", MO_STATUS_UNSUPPORTED,
                  "layer 1 is chunked_attention in layer_types"},
        BadConfig{"qwen2_lm_layers", "layer_types", "[\"full_attention\"]", MO_STATUS_UNSUPPORTED, "layer 1 is missing"},
        BadConfig{"bert_model", "num_attention_heads", "5", MO_STATUS_BAD_FILE, "32 is not a multiple of 5"},
        BadConfig{"bert_model", "position_embedding_type", "\"relative_key\"", MO_STATUS_UNSUPPORTED, "relative_key"},
        BadConfig{"roberta_model", "is_decoder", "true", MO_STATUS_UNSUPPORTED, "is_decoder"},
        BadConfig{"bert_model", "hidden_act", "\"swiglu\"", MO_STATUS_UNSUPPORTED, "swiglu"},
        BadConfig{"bert_model", "model_type", "\"bloom\"", MO_STATUS_UNSUPPORTED, "bloom"},
        BadConfig{"bert_model", "architectures", "\"BertModel\"", MO_STATUS_BAD_FILE, "architectures"},
        BadConfig{"bert_model", "hidden_size", "\"big\"", MO_STATUS_BAD_FILE, "hidden_size"},
        BadConfig{"bert_model", "hidden_size", "64", MO_STATUS_BAD_FILE, "embeddings.word_embeddings.weight"},
        BadConfig{"bert_model", "num_hidden_layers", "3", MO_STATUS_BAD_FILE, "encoder.layer.2"},
        BadConfig{"bert_model", "vocab_size", "-1", MO_STATUS_BAD_FILE, "vocab_size"},
        BadConfig{"bert_qa", "id2label", "{\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}", MO_STATUS_BAD_FILE,
                  "question answering"},
        BadConfig{"bert_seqcls_single", "id2label", "{\"0\": \"a\"}", MO_STATUS_BAD_FILE, "classifier.weight"},
        BadConfig{"albert_model", "inner_group_num", "2", MO_STATUS_UNSUPPORTED, "inner_group_num"},
        BadConfig{"albert_model", "num_hidden_groups", "9", MO_STATUS_BAD_FILE, "9 groups"},
        BadConfig{"electra_multiple_choice", "summary_type", "\"mean\"", MO_STATUS_UNSUPPORTED, "summary_type"},
        BadConfig{"bert_seqcls_single", "problem_type", "\"ranking\"", MO_STATUS_BAD_FILE, "problem_type"}));

TEST(Loading, UnusedAndMissingTensorsAreNoted) {
  std::vector<std::string> notes;
  mo_context_options options = test_context_options();
  options.log.user_data = &notes;
  options.log.write = [](void *user, mo_log_level_t level, const char *text) {
    if (level == MO_LOG_LEVEL_WARNING) static_cast<std::vector<std::string> *>(user)->push_back(text);
  };
  mo_context_t *context = nullptr;
  ASSERT_EQ(test_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  { LoadedModel whole(context, GoldenCase("bert_masked_lm")); }
  EXPECT_TRUE(notes.empty()) << notes.front();
  mo_model_options model_options = MO_MODEL_OPTIONS_INIT;
  model_options.architecture = "BertForTokenClassification";
  model_options.allow_missing = true;
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context, GoldenCase("bert_masked_lm").c_str(), &model_options, &model), MO_STATUS_OK)
      << mo_last_error();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_NE(notes[0].find("not used"), std::string::npos) << notes[0];
  EXPECT_NE(notes[0].find(mo_model_unexpected_tensor(model, 0)), std::string::npos) << notes[0];
  EXPECT_NE(notes[1].find("2 tensors are missing"), std::string::npos) << notes[1];
  EXPECT_NE(notes[1].find("classifier.weight"), std::string::npos) << notes[1];
  mo_model_destroy(model);
  mo_context_destroy(context);
}

TEST(Loading, MissingTensorsAreNamedOrZero) {
  Context context;
  LoadedModel strict(context, GoldenCase("bert_model"), Architecture{"BertForTokenClassification"});
  EXPECT_EQ(strict.status(), MO_STATUS_BAD_FILE);
  EXPECT_NE(strict.error().find("classifier.weight"), std::string::npos) << strict.error();
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  options.architecture = "BertForTokenClassification";
  options.allow_missing = true;
  mo_model_t *model = nullptr;
  ASSERT_EQ(mo_model_load(context, GoldenCase("bert_model").c_str(), &options, &model), MO_STATUS_OK) << mo_last_error();
  EXPECT_STREQ(mo_model_missing_tensor(model, 0), "classifier.weight");
  std::vector<int64_t> values = RandomIds(4);
  const mo_tensor ids = Ids(values, 1, 4);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  Output result;
  ASSERT_EQ(Forward(model, inputs, nullptr, &result), MO_STATUS_OK) << mo_last_error();
  for (const float value : Read(result["logits"])) EXPECT_EQ(value, 0.0f);
  mo_model_destroy(model);

  EXPECT_EQ(mo_model_load(nullptr, "x", nullptr, &model), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_model_load(context, "/no/such/folder", nullptr, &model), MO_STATUS_IO_ERROR);
  options.dtype = MO_DTYPE_INT8;
  EXPECT_EQ(mo_model_load(context, GoldenCase("bert_model").c_str(), &options, &model), MO_STATUS_UNSUPPORTED);
}

}  // namespace
