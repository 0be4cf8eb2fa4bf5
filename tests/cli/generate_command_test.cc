/* tests/cli/generate_command_test.cc - `modelout generate`: what it prints, which settings it obeys, what it refuses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/cli/command_case.h"

namespace {

using namespace command_case;

// ---- generate ----

std::vector<int64_t> Integers(const json_t *list) {
  std::vector<int64_t> values;
  for (size_t i = 0; i < json_array_size(list); ++i) values.push_back(json_integer_value(json_array_get(list, i)));
  return values;
}

TEST(Generate, StreamsIdsAndShowsTheSequences) {
  const std::string call = "generate " + Case("gpt2_lm") + " --device cpu --max-new-tokens 5 --eos-token-ids none --ids ";
  const Result one = Command(call + "7,30,11");
  ASSERT_EQ(one.exit_code, 0) << one.err;
  std::istringstream words(one.out);
  std::string streamed = "7,30,11", token, line;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(words >> token);
    streamed += "," + token;
  }
  std::getline(words, line);
  EXPECT_EQ(line, "");
  std::getline(words, line);
  EXPECT_EQ(line, "sequences");
  std::getline(words, line);
  EXPECT_EQ(line, "  " + streamed);
  EXPECT_NE(one.out.find("GenerateDecoderOnlyOutput of GPT2LMHeadModel on cpu: sequences past_key_values"), std::string::npos);
  const Result two = Command(call + "\"7,30,11;5,62\"");
  ASSERT_EQ(two.exit_code, 0) << two.err;
  EXPECT_NE(two.out.find("  0,5,62,"), std::string::npos) << "padded on the left: " << two.out;
  EXPECT_NE(two.out.find("  " + streamed), std::string::npos) << two.out;
  EXPECT_EQ(Command(call + "7,30,11 --quiet").out, "");
}

TEST(Generate, JsonHoldsSequencesAndFields) {
  const Result result = Command("generate " + Case("t5_lm") +
                                " --device cpu --ids \"7,30,11;5,6\" --max-new-tokens 3 --eos-token-ids none --output-scores "
                                "--output-attentions --num-beams 3 --num-return-sequences 2 --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  EXPECT_EQ(Text(report.get(), "class"), "GenerateBeamEncoderDecoderOutput");
  const json_t *sequences = json_object_get(report.get(), "sequences");
  ASSERT_EQ(json_array_size(sequences), 4u);
  EXPECT_EQ(Integers(json_array_get(sequences, 0)).size(), 4u);
  EXPECT_EQ(json_array_size(json_object_get(report.get(), "sequences_scores")), 4u);
  EXPECT_EQ(Shape(Field(report.get(), "beam_indices")), (std::vector<int64_t>{4, 3}));
  EXPECT_EQ(json_array_size(json_object_get(Field(report.get(), "cross_attentions"), "entries")), 3u);
  EXPECT_TRUE(json_is_false(json_object_get(Field(report.get(), "logits"), "present")));
}

TEST(Generate, SeedsRepeatAndEndTokensEnd) {
  const std::string call = "generate " + Case("llama_lm") + " --device cpu --ids 7,30,11 --json --max-new-tokens 8 ";
  const auto sequence = [&call](const std::string &options) {
    const Result result = Command(call + options);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Integers(json_array_get(json_object_get(Parse(result.out).get(), "sequences"), 0));
  };
  const std::vector<int64_t> first = sequence("--eos-token-ids none --temperature 2 --top-k 40 --top-p 0.95 --seed 3");
  EXPECT_EQ(first.size(), 11u);
  EXPECT_EQ(sequence("--eos-token-ids none --temperature 2 --top-k 40 --top-p 0.95 --seed 3"), first);
  EXPECT_NE(sequence("--eos-token-ids none --temperature 2 --top-k 40 --top-p 0.95 --seed 4"), first);
  const std::vector<int64_t> greedy = sequence("--eos-token-ids none");
  EXPECT_EQ(sequence("--eos-token-ids " + std::to_string(greedy[3])).size(), 4u);
  EXPECT_EQ(sequence("--min-new-tokens 8 --eos-token-ids " + std::to_string(greedy[3])).size(), 11u);
}

// A checkpoint with a generation_config.json of its own.
class Settled : public Folder {
 public:
  explicit Settled(const std::string &text) {
    for (const char *file : {"config.json", "model.safetensors"})
      EXPECT_EQ(symlink((Case("llama_lm") + "/" + file).c_str(), File(file).c_str()), 0);
    std::ofstream(File("generation_config.json")) << text;
  }
};

TEST(Generate, SettingsOfTheFilesAreObeyedUnlessTold) {
  const auto sequences = [](const Settled &folder, const std::string &options) {
    const Result result = Command("generate " + folder.File("") + " --device cpu --ids 7,30,11 --json " + options);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::vector<std::vector<int64_t>> rows;
    const Json report = Parse(result.out);
    for (size_t i = 0; i < json_array_size(json_object_get(report.get(), "sequences")); ++i)
      rows.push_back(Integers(json_array_get(json_object_get(report.get(), "sequences"), i)));
    return rows;
  };
  const Settled plain(R"({"max_new_tokens": 6})");
  const auto greedy = sequences(plain, "");
  ASSERT_EQ(greedy.size(), 1u);
  const Settled hot(R"({"max_new_tokens": 6, "do_sample": true, "temperature": 5.0, "num_return_sequences": 2})");
  EXPECT_EQ(sequences(hot, "").size(), 2u);
  EXPECT_EQ(sequences(hot, "--no-sampling --num-return-sequences 1"), greedy);
  const Settled penalised(R"({"max_new_tokens": 6, "repetition_penalty": 5.0, "suppress_tokens": [)" +
                          std::to_string(greedy[0][3]) + "]}");
  EXPECT_NE(sequences(penalised, ""), greedy);
  EXPECT_EQ(sequences(penalised, "--ignore-file-settings --max-new-tokens 6"), greedy);
  const Settled refused(R"({"max_time": 1.5})");
  const Result result = Command("generate " + refused.File("") + " --device cpu --ids 7,30,11");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_NE(result.err.find("generation_config.json asks for max_time 1.5"), std::string::npos) << result.err;
}

// A checkpoint of nothing but NaN.
TEST(Generate, NotANumberIsTold) {
  const Settled folder("{}");
  const std::string weights = folder.File("model.safetensors");
  std::filesystem::remove(weights);
  std::string bytes = ReadFile(Case("llama_lm") + "/model.safetensors");
  uint64_t header = 0;
  memcpy(&header, bytes.data(), sizeof header);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(8 + header), bytes.end(), '\xff');
  std::ofstream(weights, std::ios::binary) << bytes;
  for (const char *how : {"", " --num-beams 2", " --temperature 1"}) {
    const Result result = Command("generate " + folder.File("") + " --device cpu --ids 7,30,11" + how);
    EXPECT_EQ(result.exit_code, 1) << how;
    EXPECT_NE(result.err.find("NaN"), std::string::npos) << result.err;
  }
  const Result run = Command("run " + folder.File("") + " --device cpu --ids 7,30,11");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("warning: logits holds NaN in 3 of 3 rows"), std::string::npos) << run.err;
}

TEST(Generate, RefusesWhatMakesNoSense) {
  const std::string folder = Case("gpt2_lm");
  const struct {
    std::string arguments;
    int exit_code;
    const char *part;
  } calls[] = {{"", 2, "no checkpoint folder"},
               {folder, 2, "give --ids"},
               {folder + " --ids 1,x", 2, "row 1 must be numbers"},
               {folder + " --ids \"1;;2\"", 2, "row 2 is empty"},
               {folder + " --ids 1 --max-new-tokens 0", 2, "from 1 up"},
               {folder + " --ids 1 --top-k 3", 2, "give --temperature too"},
               {folder + " --ids 1 --num-beams 2 --temperature 1", 2, "exclude each other"},
               {folder + " --ids 1 --early-stopping true", 2, "belong to --num-beams"},
               {folder + " --ids 1 --early-stopping maybe", 2, "true, false or never"},
               {folder + " --ids 1 --eos-token-ids x", 2, "or none"},
               {folder + " --ids 1 --top-p 2", 2, "from 0 to 1"},
               {folder + " --ids 1 --dtype f8", 2, "f32, f16 or bf16"},
               {folder + " --ids 99", 1, "vocabulary"},
               {folder + " --ids 1 --max-new-tokens 40", 1, "position table"},
               {folder + " --ids 1 --max-new-tokens 9223372036854775807", 1, "too many"},
               {folder + " --ids 1 --max-new-tokens 9223372036854775808", 2, "a whole number"},
               {folder + " --ids 1 --num-beams 9223372036854775807", 1, "1 to 1024"},
               {folder + " --ids 1 --temperature 1 --num-return-sequences 9223372036854775807", 1, "sequences to return"},
               {folder + " --ids 1 --num-return-sequences 2", 2, "belong to --num-beams"},
               {folder + " --ids 1 --no-sampling --temperature 1", 2, "exclude each other"},
               {Case("bert_model") + " --ids 1", 4, "language modelling head"},
               {"/nonexistent --ids 1", 3, "/nonexistent"}};
  for (const auto &call : calls) {
    const Result result = Command("generate " + call.arguments + " --device cpu");
    EXPECT_EQ(result.exit_code, call.exit_code) << call.arguments << ": " << result.err;
    EXPECT_NE(result.err.find(call.part), std::string::npos) << call.arguments << ": " << result.err;
    EXPECT_EQ(result.out, "") << call.arguments;
  }
}

}  // namespace
