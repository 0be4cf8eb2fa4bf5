/* tests/model/declarations_test.cc - what config.json and the files beside it declare: obeyed, or refused by name.
 *
 * Recorded models of tests/golden with keys of their config.json replaced: where another spelling says the same, the answer is
 * the same; where a declaration is not supported, the sentence names it. Labels in other shapes; T5 in float16.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>
#include <jansson.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/loaded_model.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

using test_support::Architecture;
using test_support::Context;
using test_support::GoldenCase;
using test_support::LoadedModel;

/* A folder with a recorded model's weights and a config.json of its own. */
class Folder : public test_support::TemporaryFolder {
 public:
  /* `changes`: an object whose members replace the file's; `removed`: keys that go. */
  explicit Folder(const std::string &source, const std::string &changes = "{}", const std::vector<std::string> &removed = {}) {
    const std::string from = source[0] == '/' ? source : GoldenCase(source);
    Link("model.safetensors", from + "/model.safetensors");
    json_error_t error;
    json_t *config = json_load_file((from + "/config.json").c_str(), 0, &error),
           *change = json_loads(changes.c_str(), 0, &error);
    EXPECT_TRUE(config != nullptr && change != nullptr) << error.text;
    for (const std::string &key : removed) EXPECT_EQ(json_object_del(config, key.c_str()), 0) << key;
    json_object_update(config, change);
    EXPECT_EQ(json_dump_file(config, File("config.json").c_str(), 0), 0);
    json_decref(config);
    json_decref(change);
  }
};

std::vector<float> Values(mo_field *field) {
  const mo_tensor *tensor = mo_field_tensor(field);
  if (tensor == nullptr) return {};
  std::vector<float> values(static_cast<size_t>(mo_tensor_count(tensor)), NAN);
  EXPECT_EQ(mo_field_read_float32(field, nullptr, 0, values.data(), static_cast<int64_t>(values.size())), MO_STATUS_OK)
      << mo_last_error();
  return values;
}

/* The first field of a run on six tokens: the same tokens for the decoder, if there is one. */
std::vector<float> Answer(const std::string &path, const char *architecture = nullptr) {
  Context context(1);
  LoadedModel model(context, path, Architecture{architecture});
  EXPECT_EQ(model.status(), MO_STATUS_OK) << model.error();
  if (model.status() != MO_STATUS_OK) return {};
  const int64_t ids[] = {7, 3, 9, 4, 11, 2}, shape[] = {1, 6};
  const mo_tensor tokens = mo_tensor_cpu(const_cast<int64_t *>(ids), MO_DTYPE_INT64, 2, shape);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tokens;
  if (mo_class_field_index(mo_model_output_class(model), "encoder_last_hidden_state") >= 0) inputs.decoder_input_ids = &tokens;
  mo_output *output = nullptr;
  EXPECT_EQ(mo_model_forward(model, &inputs, nullptr, &output), MO_STATUS_OK) << mo_last_error();
  std::vector<float> values = output != nullptr ? Values(mo_output_at(output, 0)) : std::vector<float>();
  mo_output_destroy(output);
  EXPECT_FALSE(values.empty());
  return values;
}

void ExpectSame(const std::vector<float> &a, const std::vector<float> &b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); i++) ASSERT_EQ(a[i], b[i]) << i;
}

void ExpectRefused(const std::string &path, mo_status_t status, const std::string &named) {
  Context context(1);
  LoadedModel model(context, path);
  EXPECT_EQ(model.status(), status) << model.error();
  EXPECT_NE(model.error().find(named), std::string::npos) << model.error();
}

/* ---- Refused ------------------------------------------------------------------------------------------------------------- */

TEST(Declarations, AreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> everywhere = {
      {"quantization_config", R"({"quant_method": "gptq", "bits": 4})"},
      {"quantization_config", R"({"load_in_8bit": true})"},
      {"quantization_config", "{}"},
      {"quantization", R"({"group_size": 64, "bits": 4})"},
      {"compression_config", R"({"format": "dense"})"},
      {"pruned_heads", R"({"1": [0]})"},
      {"per_layer_config", R"({"0": {"hidden_size": 8}})"}};
  for (const char *source :
       {"bert_model",     "distilbert_model",  "roberta_model",   "electra_model", "albert_model", "gpt2_lm",   "gpt_neox_lm",
        "llama_lm",       "mistral_lm_window", "opt_lm",          "qwen2_lm",      "bart_lm",      "t5_lm",     "qwen3_lm",
        "phi3_lm",        "xlm_roberta_model", "clip_text_model", "altclip_text",  "gemma2_lm",    "gemma3_lm", "vit_model",
        "deit_image_cls", "clip_vision_model", "resnet_model"})
    for (const auto &[key, value] : everywhere) {
      SCOPED_TRACE(std::string(source) + " " + key + " " + value);
      ExpectRefused(Folder(source, "{\"" + key + "\": " + value + "}").path(), MO_STATUS_UNSUPPORTED, key);
    }
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> some = {
      {"bert_model", {"position_embedding_type", "\"relative_key\""}},
      {"roberta_model", {"position_embedding_type", "\"relative_key_query\""}},
      {"albert_model", {"position_embedding_type", "null"}},
      {"roberta_model", {"is_decoder", "true"}},
      {"xlm_roberta_model", {"position_embedding_type", "\"relative_key\""}},
      {"xlm_roberta_model", {"is_decoder", "true"}},
      {"qwen3_lm", {"add_cross_attention", "true"}},
      {"phi3_lm", {"add_cross_attention", "true"}},
      {"llama_lm", {"add_cross_attention", "true"}},
      {"llama_lm", {"sliding_window", "2"}},
      {"gpt2_lm", {"attention_chunk_size", "2"}},
      {"llama_lm", {"is_causal", "false"}},
      {"bart_lm", {"is_causal", "null"}},
      {"llama_lm", {"partial_rotary_factor", "0.5"}},
      {"gpt_neox_lm", {"head_dim", "16"}},
      {"llama_lm", {"layer_types", R"(["full_attention", "sliding_attention"])"}},
      {"llama_lm", {"rope_scaling", R"({"rope_type": "longrope", "short_factor": [1], "long_factor": [1]})"}},
      {"llama_lm", {"rope_parameters", R"({"full_attention": {"rope_type": "default"}})"}},
      {"bart_lm", {"tie_encoder_decoder", "true"}},
      {"bart_lm", {"normalize_before", "true"}},
      {"bart_lm", {"normalize_embedding", "false"}},
      {"opt_lm", {"layer_norm_elementwise_affine", "null"}},
      {"electra_multiple_choice", {"summary_use_proj", "null"}},
      {"bert_model", {"hidden_act", "\"laplace\""}}};
  for (const auto &[source, declared] : some) {
    SCOPED_TRACE(source + " " + declared.first);
    const std::string named = declared.first == "hidden_act" ? "laplace" : declared.first.substr(0, 11);
    ExpectRefused(Folder(source, "{\"" + declared.first + "\": " + declared.second + "}").path(), MO_STATUS_UNSUPPORTED,
                  declared.first == "summary_use_proj" ? "without projection" : named);
  }
}

TEST(Declarations, OfFilesAndTensorsAreRefusedByName) {
  for (const char *name : {"adapter_config.json", "quantize_config.json", "hf_quant_config.json"}) {
    const Folder folder("llama_lm");
    folder.Write(name, "{}");
    ExpectRefused(folder.path(), MO_STATUS_UNSUPPORTED, name);
  }
  /* FP8 weights whose scales nothing in config.json speaks of. */
  const Folder folder(MO_SOURCE_DIR "/tests/cases/user_reports/fp8_weight_scale", "{}", {"quantization_config"});
  ExpectRefused(folder.path(), MO_STATUS_UNSUPPORTED, "weight_scale");
}

TEST(Declarations, ThatMeanNothingRefuseNothing) {
  for (const char *change :
       {R"({"quantization_config": null, "pruned_heads": {}, "quantization": false, "sliding_window": null})",
        R"({"sliding_window": 4096, "layer_types": ["full_attention", "full_attention"], "is_causal": true})",
        R"({"pad_token_id": 777, "eos_token_id": [3, 4], "bos_token_id": "none", "id2label": {}, "num_labels": "many"})",
        R"({"pad_token_id": null, "eos_token_id": null, "rope_scaling": null, "rope_parameters": {}, "torch_dtype": 5})"}) {
    SCOPED_TRACE(change);
    ExpectSame(Answer(Folder("llama_lm", change).path()), Answer(GoldenCase("llama_lm")));
  }
  ExpectSame(Answer(Folder("bart_lm", R"({"pad_token_id": -5, "eos_token_id": "x", "decoder_start_token_id": null})").path()),
             Answer(GoldenCase("bart_lm")));
}

/* ---- Rotary scaling ------------------------------------------------------------------------------------------------------ */

TEST(RotaryKeys, RulesWithoutTheirNumbersAreRefused) {
  for (const auto &[object, named] : std::vector<std::pair<std::string, std::string>>{
           {R"({"rope_type": "linear"})", "factor"},
           {R"({"type": "dynamic"})", "factor"},
           {R"({"rope_type": "yarn"})", "factor"},
           {R"({"rope_type": "linear", "factor": null})", "factor"},
           {R"({"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0})", "high_freq_factor"},
           {R"({"rope_type": "llama3", "factor": 2.0, "high_freq_factor": 4.0})", "low_freq_factor"},
           {R"({"factor": 2.0})", "rope_type"},
           {R"({"rope_type": "linear", "type": "dynamic", "factor": 2.0})", "rope_type"}})
    for (const char *key : {"rope_scaling", "rope_parameters"})
      for (const char *source : {"llama_lm", "mistral_lm_window", "qwen2_lm", "gpt_neox_lm"}) {
        SCOPED_TRACE(std::string(source) + " " + key + " " + object);
        ExpectRefused(Folder(source, "{\"" + std::string(key) + "\": " + object + "}").path(), MO_STATUS_BAD_FILE, named);
      }
}

TEST(RotaryKeys, SpellingsThatSayTheSame) {
  const std::string linear = R"("rope_scaling": {"rope_type": "linear", "factor": 2.0})";
  const auto reference = Answer(Folder("llama_lm", "{" + linear + R"(, "rope_theta": 500.0})").path());
  EXPECT_NE(reference, Answer(Folder("llama_lm", R"({"rope_theta": 500.0})").path()));
  for (const std::string &same :
       {R"({"rope_theta": 500, "rope_scaling": {"type": "linear", "factor": 2}})" + std::string(),
        R"({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}})" + std::string(),
        R"({"rope_theta": 500.0, "rope_parameters": {"rope_type": "linear", "factor": 2.0}, "rope_scaling": {}})" +
            std::string(),
        "{" + linear + R"(, "rope_theta": 500.0, "rope_parameters": {"rope_type": "default", "rope_theta": 3.0}})",
        "{" + linear + R"(, "rope_theta": 500.0, "rotary_emb_base": 3})"}) {
    SCOPED_TRACE(same);
    ExpectSame(Answer(Folder("llama_lm", same).path()), reference);
  }
  /* GPT-NeoX has its own names and looks at no others. */
  const auto neox = Answer(Folder("gpt_neox_lm", R"({"rotary_emb_base": 500, "rotary_pct": 0.5})").path());
  ExpectSame(Answer(Folder("gpt_neox_lm", R"({"rotary_emb_base": 500, "rope_theta": 3.0, "rotary_pct": 0.5,
                                              "partial_rotary_factor": 1.0})")
                        .path()),
             neox);
  EXPECT_NE(neox, Answer(Folder("gpt_neox_lm", R"({"rotary_emb_base": 500, "rotary_pct": 1.0})").path()));
}

/* ---- Names and nulls ----------------------------------------------------------------------------------------------------- */

/* Every key of a family's attribute map under its other name; then with both there, of which the other name wins. */
TEST(Aliases, OfEveryFamily) {
  const std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> maps = {
      {"distilbert_model", {{"dim", "hidden_size"}, {"n_layers", "num_hidden_layers"}, {"n_heads", "num_attention_heads"}}},
      {"gpt2_lm",
       {{"n_embd", "hidden_size"},
        {"n_layer", "num_hidden_layers"},
        {"n_head", "num_attention_heads"},
        {"n_positions", "max_position_embeddings"}}},
      {"bart_lm",
       {{"d_model", "hidden_size"},
        {"encoder_attention_heads", "num_attention_heads"},
        {"encoder_layers", "num_hidden_layers"}}},
      {"t5_lm", {{"d_model", "hidden_size"}, {"num_heads", "num_attention_heads"}, {"d_kv", "head_dim"}}}};
  for (const auto &[source, pairs] : maps) {
    const std::string path = GoldenCase(source);
    const std::vector<float> reference = Answer(path);
    json_t *config = json_load_file((path + "/config.json").c_str(), 0, nullptr);
    for (const auto &[own, other] : pairs) {
      SCOPED_TRACE(source + " " + other);
      const json_int_t value = json_integer_value(json_object_get(config, own.c_str()));
      ASSERT_GT(value, 0);
      const std::string as_other = "\"" + other + "\": " + std::to_string(value);
      ExpectSame(Answer(Folder(source, "{" + as_other + "}", {own}).path()), reference);
      if (other == "num_hidden_layers" && own == "encoder_layers") continue; /* many files have both, and mean the first */
      ExpectSame(Answer(Folder(source, "{" + as_other + ", \"" + own + "\": " + std::to_string(2 * value) + "}").path()),
                 reference);
      ExpectSame(Answer(Folder(source, "{\"" + other + "\": null}").path()), reference);
    }
    json_decref(config);
  }
}

TEST(Nulls, AreTheFamilysRuleAndFalse) {
  const std::string mistral = MO_SOURCE_DIR "/tests/cases/user_reports/kv_heads_null_mistral";
  ExpectSame(Answer(mistral), Answer(Folder(mistral, R"({"num_key_value_heads": 4, "head_dim": null})").path()));
  ExpectSame(Answer(Folder("gpt2_lm", R"({"scale_attn_weights": null})").path()),
             Answer(Folder("gpt2_lm", R"({"scale_attn_weights": false})").path()));
  ExpectSame(Answer(Folder("gpt_neox_lm", R"({"use_parallel_residual": null})").path()),
             Answer(Folder("gpt_neox_lm", R"({"use_parallel_residual": false})").path()));
  ExpectSame(Answer(Folder("t5_lm", R"({"num_decoder_layers": null})").path()), Answer(GoldenCase("t5_lm")));
}

TEST(FeedForward, OfT5IsWhatTheTwoKeysSay) {
  const auto gated = Answer(Folder("t5_lm_gated", R"({"feed_forward_proj": "gated-gelu"})").path());
  ExpectSame(Answer(Folder("t5_lm_gated", R"({"feed_forward_proj": "relu", "is_gated_act": true,
                                             "dense_act_fn": "gelu_new"})")
                        .path()),
             gated);
  EXPECT_NE(Answer(Folder("t5_lm_gated", R"({"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu"})").path()), gated);
  ExpectRefused(Folder("t5_lm_gated", R"({"feed_forward_proj": "gated-gelu-x"})").path(), MO_STATUS_BAD_FILE,
                "feed_forward_proj");
}

/* Files of version 5 say themselves whether the head's input is scaled. */
TEST(Head, OfT5IsScaledAsTheFileSays) {
  const auto scaled = Answer(Folder("t5_lm", R"({"tie_word_embeddings": true})").path());
  const auto plain = Answer(Folder("t5_lm", R"({"tie_word_embeddings": true, "scale_decoder_outputs": false})").path());
  ASSERT_EQ(scaled.size(), plain.size());
  Context context(1);
  LoadedModel model(context, GoldenCase("t5_lm"));
  const auto width = static_cast<float>(mo_model_config_integer(model, "hidden_size"));
  for (size_t i = 0; i < plain.size(); i++) ASSERT_NEAR(plain[i], scaled[i] * std::sqrt(width), 1e-4);
}

TEST(Labels, OfQuestionAnsweringAreTwoWhereTheFamilySaysSo) {
  const std::string three = R"({"id2label": {"0": "a", "1": "b", "2": "c"}})";
  for (const char *source : {"gpt2_qa", "gpt_neox_qa", "llama_qa", "mistral_qa", "qwen2_qa", "opt_qa", "bart_qa_plain"}) {
    SCOPED_TRACE(source);
    ExpectSame(Answer(Folder(source, three).path()), Answer(GoldenCase(source)));
  }
  for (const char *source : {"bert_qa", "distilbert_qa", "roberta_qa", "electra_qa", "albert_qa"})
    ExpectRefused(Folder(source, three).path(), MO_STATUS_BAD_FILE, "3 labels");
}

/* ---- Which architecture -------------------------------------------------------------------------------------------------- */

TEST(Architecture, IsFoundByModelType) {
  struct {
    const char *source, *architectures, *expected;
  } const cases[] = {{"bert_model", "null", "BertModel"},
                     {"bert_masked_lm", "[]", "BertForMaskedLM"},
                     {"bert_model", R"(["TFBertModel"])", "BertModel"},
                     {"bert_model", R"(["FlaxBertModel"])", "BertModel"},
                     {"bert_model", R"(["BertForEverything", "BertModel"])", "BertModel"},
                     {"bert_seqcls_single", R"(["MyBertForSequenceClassification"])", "BertForSequenceClassification"},
                     {"llama_lm", "null", "LlamaForCausalLM"},
                     {"llama_model", "null", "LlamaModel"},
                     {"llama_lm", R"(["LLaMAForCausalLM"])", "LlamaForCausalLM"},
                     {"llama_seqcls", R"(["LLaMAForSequenceClassification"])", "LlamaForSequenceClassification"},
                     {"gpt2_lm", "null", "GPT2LMHeadModel"},
                     {"gpt2_lm", R"(["GPT2ForCausalLM"])", "GPT2LMHeadModel"},
                     {"t5_lm", R"(["T5WithLMHeadModel"])", "T5ForConditionalGeneration"},
                     {"bart_lm", R"(["BartForMaskedLM"])", "BartForConditionalGeneration"},
                     {"roberta_model", R"(["SomethingElse"])", "RobertaModel"}};
  Context context(1);
  for (const auto &[source, architectures, expected] : cases) {
    SCOPED_TRACE(std::string(source) + " " + architectures);
    const Folder folder(source, "{\"architectures\": " + std::string(architectures) + "}");
    LoadedModel model(context, folder.path());
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    EXPECT_STREQ(mo_model_architecture(model), expected);
  }
}

TEST(Architecture, MustBeOfTheFamilyOfModelType) {
  const Folder folder("llama_lm", R"({"model_type": "mistral"})");
  ExpectRefused(folder.path(), MO_STATUS_UNSUPPORTED, "mistral");
  EXPECT_FALSE(Answer(folder.path(), "LlamaForCausalLM").empty());
  ExpectRefused(Folder("llama_lm", R"({"model_type": "nobody", "architectures": ["Nobody"]})").path(), MO_STATUS_UNSUPPORTED,
                "Nobody");
  ExpectRefused(Folder("llama_lm", R"({"model_type": "nobody", "architectures": null})").path(), MO_STATUS_UNSUPPORTED,
                "nobody");
  ExpectRefused(Folder("llama_lm", R"({"model_type": null, "architectures": null})").path(), MO_STATUS_BAD_FILE,
                "architectures");
}

TEST(Architecture, ThatIsUnknownIsToldWithTheKnownOnes) {
  Context context(1);
  LoadedModel model(context, GoldenCase("bert_model"), Architecture{"Gpt2"});
  EXPECT_EQ(model.status(), MO_STATUS_UNSUPPORTED);
  EXPECT_NE(model.error().find("architectures of bert, distilbert, "), std::string::npos) << model.error();
  EXPECT_NE(model.error().find("gemma3_text"), std::string::npos) << model.error();
  LoadedModel alike(context, GoldenCase("bert_model"), Architecture{"BertForEverything"});
  EXPECT_EQ(alike.status(), MO_STATUS_UNSUPPORTED);
  EXPECT_NE(alike.error().find("known of bert are BertModel, BertForPreTraining, "), std::string::npos) << alike.error();
  LoadedModel flax(context, GoldenCase("bert_model"), Architecture{"FlaxBertModel"});
  EXPECT_EQ(flax.status(), MO_STATUS_OK) << flax.error();
}

/* ---- Padding of classifiers ---------------------------------------------------------------------------------------------- */

/* An id that no token has leaves the last token of each row; without an id several rows cannot be told apart. */
TEST(Padding, ThatNoTokenIs) {
  for (const char *source : {"llama_seqcls", "gpt2_seqcls", "opt_seqcls", "gpt_neox_seqcls"})
    for (const char *padding : {"-1", "-100", "5000", "null"}) {
      SCOPED_TRACE(std::string(source) + " " + padding);
      Context context(1);
      const Folder folder(source, "{\"pad_token_id\": " + std::string(padding) + "}");
      LoadedModel model(context, folder.path());
      ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
      std::vector<int64_t> ids = {7, 3, 9, 4, 1, 2, 8, 0};
      const int64_t shape[] = {2, 4};
      const mo_tensor tokens = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
      mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
      inputs.input_ids = &tokens;
      mo_output *output = nullptr;
      const mo_status_t status = mo_model_forward(model, &inputs, nullptr, &output);
      EXPECT_EQ(status, std::string(padding) == "null" ? MO_STATUS_INVALID_ARGUMENT : MO_STATUS_OK) << mo_last_error();
      mo_output_destroy(output);
    }
}

/* ---- Shapes of labels ---------------------------------------------------------------------------------------------------- */

float Loss(const std::string &source, const mo_tensor &tokens, mo_tensor *labels, mo_status_t *status) {
  Context context(1);
  LoadedModel model(context, GoldenCase(source));
  EXPECT_EQ(model.status(), MO_STATUS_OK) << model.error();
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &tokens;
  inputs.labels = labels;
  mo_output *output = nullptr;
  *status = mo_model_forward(model, &inputs, nullptr, &output);
  const std::vector<float> values = *status == MO_STATUS_OK ? Values(mo_output_get(output, "loss")) : std::vector<float>{NAN};
  mo_output_destroy(output);
  return values.empty() ? NAN : values[0];
}

using Shapes = std::vector<std::vector<int64_t>>;

void ExpectLosses(const char *source, mo_dtype_t dtype, const Shapes &taken, const Shapes &refused) {
  std::vector<int64_t> ids = {7, 3, 9, 4, 5, 1, 2, 8, 6, 3, 4, 2};
  const int64_t shape[] = {3, 4};
  const mo_tensor tokens = mo_tensor_cpu(ids.data(), MO_DTYPE_INT64, 2, shape);
  std::vector<int64_t> classes = {1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1};
  std::vector<float> numbers = {0.5f, -1.0f, 2.0f};
  void *data = dtype == MO_DTYPE_INT64 ? static_cast<void *>(classes.data()) : numbers.data();
  float first = NAN;
  mo_status_t status;
  for (const auto &extents : taken) {
    SCOPED_TRACE(std::string(source) + " " + testing::PrintToString(extents));
    mo_tensor labels = mo_tensor_cpu(data, dtype, static_cast<int32_t>(extents.size()), extents.data());
    const float loss = Loss(source, tokens, &labels, &status);
    ASSERT_EQ(status, MO_STATUS_OK) << mo_last_error();
    if (std::isnan(first)) first = loss;
    EXPECT_EQ(loss, first);
  }
  EXPECT_TRUE(std::isfinite(first));
  for (const auto &extents : refused) {
    SCOPED_TRACE(std::string(source) + " " + testing::PrintToString(extents));
    mo_tensor labels = mo_tensor_cpu(data, dtype, static_cast<int32_t>(extents.size()), extents.data());
    Loss(source, tokens, &labels, &status);
    EXPECT_EQ(status, MO_STATUS_INVALID_ARGUMENT);
  }
}

TEST(LabelShapes, AreFlattenedWhereForwardFlattensThem) {
  const Shapes examples = {{3}, {3, 1}, {1, 3}, {1, 3, 1}}, tokens = {{3, 4}, {12}, {4, 3}, {1, 12}, {3, 4, 1}};
  for (const char *source : {"bert_seqcls_single", "distilbert_seqcls_single", "roberta_seqcls_single", "electra_seqcls_single",
                             "albert_seqcls_single", "gpt2_seqcls", "llama_seqcls", "opt_seqcls", "bert_nsp"})
    ExpectLosses(source, MO_DTYPE_INT64, examples, {{2}, {4, 1}, {3, 2}});
  for (const char *source : {"bert_seqcls_regression", "distilbert_seqcls_regression"})
    ExpectLosses(source, MO_DTYPE_FLOAT32, examples, {{2}});
  for (const char *source : {"bert_masked_lm", "bert_token_cls", "roberta_masked_lm", "electra_token_cls", "gpt2_token_cls"})
    ExpectLosses(source, MO_DTYPE_INT64, tokens, {{3, 3}, {11}});
  ExpectLosses("gpt2_lm", MO_DTYPE_INT64, {{3, 4}}, {{12}, {4, 3}, {3, 4, 1}}); /* shifted by rows before they are flattened */
}

/* ---- T5 in float16 ------------------------------------------------------------------------------------------------------- */

/* Its hidden states reach 81,405: finite, and as close to float32 as the original's float16. */
TEST(HalfPrecision, OfT5DoesNotOverflow) {
  const std::string path = MO_SOURCE_DIR "/tests/cases/user_reports/t5_float16_nan";
  mo_safetensors_t *given = nullptr, *recorded = nullptr;
  ASSERT_EQ(mo_safetensors_open((path + "/plain_inputs.safetensors").c_str(), &given), MO_STATUS_OK);
  ASSERT_EQ(mo_safetensors_open((path + "/outputs_float16.safetensors").c_str(), &recorded), MO_STATUS_OK);
  mo_tensor ids, decoder_ids, theirs;
  ASSERT_EQ(mo_safetensors_tensor(given, "input_ids", &ids), MO_STATUS_OK);
  ASSERT_EQ(mo_safetensors_tensor(given, "decoder_input_ids", &decoder_ids), MO_STATUS_OK);
  ASSERT_EQ(mo_safetensors_tensor(recorded, "logits", &theirs), MO_STATUS_OK);
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  inputs.input_ids = &ids;
  inputs.decoder_input_ids = &decoder_ids;
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = true;
  Context context(1);
  std::vector<float> logits[3];
  const mo_dtype_t dtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};
  for (int k = 0; k < 3; k++) {
    LoadedModel model(context, path, dtypes[k]);
    ASSERT_EQ(model.status(), MO_STATUS_OK) << model.error();
    mo_output *output = nullptr;
    ASSERT_EQ(mo_model_forward(model, &inputs, &request, &output), MO_STATUS_OK) << mo_last_error();
    logits[k] = Values(mo_output_get(output, "logits"));
    float largest = 0;
    mo_field *states = mo_output_get(output, "encoder_hidden_states");
    for (int64_t i = 0; i < mo_field_length(states); i++)
      for (float value : Values(mo_field_item(states, i)))
        largest = std::fmax(largest, std::isfinite(value) ? std::fabs(value) : NAN);
    EXPECT_GE(largest, 65504.0f);
    for (float value : logits[k]) EXPECT_TRUE(std::isfinite(value));
    mo_output_destroy(output);
  }
  double ours = 0, original = 0;
  for (size_t i = 0; i < logits[0].size(); i++) {
    ours = std::fmax(ours, std::fabs(logits[1][i] - logits[0][i]));
    original = std::fmax(original, std::fabs(static_cast<const float *>(theirs.data)[i] - logits[0][i]));
  }
  EXPECT_LE(ours, 2 * original);
  mo_safetensors_close(given);
  mo_safetensors_close(recorded);
}

}  // namespace
