// tests/cli/command_test.cc - the `modelout` command: exit codes, messages, and what it prints.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "tests/cli/command_case.h"

namespace {

using namespace command_case;

TEST(Command, HelpTeachesAndSucceeds) {
  for (const char *arguments :
       {"--help", "run --help", "generate --help", "replay --help", "check --help", "classes --help", "info --help"}) {
    const Result result = Command(arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments;
    EXPECT_EQ(result.err, "") << arguments;
    EXPECT_GT(Lines(result.out), 3) << arguments;
  }
  const std::string help = Command("--help").out;
  for (const char *word : {"run", "replay", "check", "classes", "info", "exit codes"}) {
    EXPECT_NE(help.find(word), std::string::npos) << word;
  }
}

TEST(Command, VersionIsTheLibrarys) {
  EXPECT_EQ(Command("--version").out, std::string("modelout ") + mo_version_string() + "\n");
}

// What the library notes goes where errors go, so that results can be piped.
TEST(Command, NotesOfTheLibraryAreShownUnlessQuiet) {
  Folder folder;
  const std::string copy = folder.File("checkpoint");
  const std::string prepare = "cp -r " + Case("bert_masked_lm") + " " + copy + " && chmod -R u+w " + copy +
                              " && sed -i 's/BertForMaskedLM/BertModel/' " + copy + "/config.json";
  ASSERT_EQ(std::system(prepare.c_str()), 0);
  const Result result = Command("run " + copy + " --ids 1,2,3");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("modelout run: note: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("not used by the model"), std::string::npos) << result.err;
  EXPECT_EQ(result.out.find("note:"), std::string::npos) << result.out;
  EXPECT_EQ(Command("run " + copy + " --ids 1,2,3 --quiet").err, "");
}

TEST(Command, WithoutArgumentsShowsHelpAndFails) {
  const Result result = Command("");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.out.find("usage:"), std::string::npos);
}

// Every usage error: exit code 2, one line on stderr that names what was wrong, nothing on stdout.
TEST(Command, UsageErrorsAreOneLine) {
  const struct {
    const char *arguments;
    const char *named;
  } cases[] = {
      {"fly", "fly"},
      {"--fly", "--fly"},
      {"run", "folder"},
      {"run a b --ids 1", "'b'"},
      {"run a", "--text, --ids or --inputs"},
      {"run a --ids 1 --text x", "exclude"},
      {"run a --ids 1 --fly", "--fly"},
      {"run a --ids", "--ids"},
      {"run a --ids 1 --framework jax", "jax"},
      {"run a --ids 1 --device gpu", "gpu"},
      {"run a --ids 1 --device cuda:", "cuda:"},
      {"run a --ids 1 --device cuda:-1", "cuda:-1"},
      {"run a --ids 1 --device cuda:99999999999", "cuda:99999999999"},
      {"run a --ids 1 --dtype int8", "int8"},
      {"run a --ids 1 --dtype f64", "f64"},
      {"run a --ids 1 --pool sum", "sum"},
      {"run a --ids 1 --output-attentions --layers x", "x"},
      {"run a --ids 1 --output-attentions --layers ''", "--layers"},
      {"run a --ids 1 --output-attentions --layers 1,", "1,"},
      {"run a --ids 1 --output-attentions --heads 99999999999", "99999999999"},
      {"run a --ids 1 --heads 1", "--output-attentions"},
      {"run a --ids 1 --layers 1", "--output-hidden-states"},
      {"run a --ids 1 --quiet=yes", "--quiet"},
      {"classes --framework jax", "jax"},
      {"classes NoSuchClass", "NoSuchClass"},
      {"classes A B", "B"},
      {"classes ImageSuperResolutionOutput --framework flax", "flax"},
      {"info x", "x"},
      {"replay", "folder"},
      {"replay a", "--save"},
      {"check", "folder"},
      {"check a --tolerance -1", "-1"},
      {"check a --tolerance x", "x"},
      {"check a --tolerance nan", "nan"},
  };
  for (const auto &test : cases) {
    const Result result = Command(test.arguments);
    EXPECT_EQ(result.exit_code, 2) << test.arguments << "\n" << result.err;
    EXPECT_EQ(result.out, "") << test.arguments;
    EXPECT_EQ(Lines(result.err), 1) << test.arguments << "\n" << result.err;
    EXPECT_NE(result.err.find(test.named), std::string::npos) << test.arguments << "\n" << result.err;
  }
}

TEST(Command, RowsOfIdsAreCheckedOnceTheModelIsThere) {
  for (const char *ids : {"1,2;;3", "", "1,x", "1;", "1 2", "99999999999999999999"}) {
    const Result result = Command("run " + Case("bert_seqcls_single") + " --ids '" + ids + "'");
    EXPECT_EQ(result.exit_code, 2) << ids;
    EXPECT_EQ(Lines(result.err), 1) << result.err;
  }
}

TEST(Command, MissingAndBrokenFilesAreThree) {
  Folder folder;
  std::ofstream(folder.File("broken.safetensors")) << "not a safetensors file at all";
  const std::string run = "run " + Case("bert_seqcls_single");
  const std::vector<std::string> cases = {
      "run /no/such/folder --ids 1",
      run + " --inputs /no/such/file",
      run + " --inputs " + folder.File("broken.safetensors"),
      run + " --inputs " + Case("bert_seqcls_single") + "/model.safetensors",
      run + " --ids 1,2 --save /no/such/folder/out.safetensors",
      "check /no/such/folder",
      "replay /no/such/folder --save " + folder.File("x"),
  };
  for (const std::string &arguments : cases) {
    const Result result = Command(arguments);
    EXPECT_EQ(result.exit_code, 3) << arguments << "\n" << result.err;
    EXPECT_EQ(Lines(result.err), 1) << arguments << "\n" << result.err;
  }
}

// A copy of a recorded case whose files can be changed.
std::string Copied(const Folder &folder, const char *golden) {
  const std::string path = folder.File("case");
  EXPECT_EQ(std::system(("cp -r " + Case(golden) + " " + path + " && chmod -R u+w " + path).c_str()), 0);
  return path;
}

void Replace(const std::string &path, const std::string &from, const std::string &to) {
  std::string text = ReadFile(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  std::ofstream(path) << text.replace(at, from.size(), to);
}

bool HoldsWhatATerminalObeys(const std::string &text) {
  if (text.find("\xC2\x9B") != std::string::npos || text.find("\xE2\x80\xAE") != std::string::npos) return true;
  for (const char c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F) return true;
  return false;
}

// Labels, names of tensors, architectures and activations of a checkpoint: whatever they hold.
TEST(Command, NothingOfAFileReachesTheTerminalAsItIs) {
  const std::string evil = "a\\u001b[31mb\\u0007\\u009b2J\\u202e\\nz";
  {
    Folder folder;
    const std::string path = Copied(folder, "bert_seqcls_single");
    Replace(path + "/config.json", "LABEL_0", evil);
    for (const char *form : {"", " --json"}) {
      const Result result = Command("run " + path + " --ids 5,6,7" + form);
      EXPECT_EQ(result.exit_code, 0) << result.err;
      EXPECT_FALSE(HoldsWhatATerminalObeys(result.out)) << result.out;
    }
    EXPECT_NE(Command("run " + path + " --ids 5,6,7").out.find("a?[31mb??2J??z"), std::string::npos);
    Json report = Parse(Command("run " + path + " --ids 5,6,7 --json").out);
    EXPECT_TRUE(report != nullptr);
    std::string index = ReadFile(path + "/model.safetensors");
    const size_t at = index.find("pooler.dense.bias");
    ASSERT_NE(at, std::string::npos);
    std::ofstream(path + "/model.safetensors", std::ios::binary) << index.replace(at, 17, "\\u001b\\u009b12345");
    const Result missing = Command("run " + path + " --ids 5,6,7");
    EXPECT_EQ(missing.exit_code, 3);
    EXPECT_FALSE(HoldsWhatATerminalObeys(missing.err)) << missing.err;
  }
  for (const char *key : {"BertForSequenceClassification", "gelu"}) {
    Folder folder;
    const std::string path = Copied(folder, "bert_seqcls_single");
    Replace(path + "/config.json", std::string("\"") + key + "\"", "\"" + evil + "\"");
    const Result result = Command("run " + path + " --ids 5,6,7");
    /* An unknown architecture is no error where model_type names the family; an unknown activation is. */
    EXPECT_EQ(result.exit_code == 0, std::string(key) != "gelu") << key;
    EXPECT_FALSE(HoldsWhatATerminalObeys(result.out + result.err)) << result.out << result.err;
  }
  const Result echo = Command("\"$(printf 'fly\\033[2J')\"");
  EXPECT_EQ(echo.exit_code, 2);
  EXPECT_FALSE(HoldsWhatATerminalObeys(echo.err)) << echo.err;
}

// Files the command reads beside the checkpoint.
TEST(Command, RecordedFilesThatAreNoFilesAreThree) {
  for (const char *name : {"case.json", "inputs.safetensors", "outputs.safetensors", "config.json", "model.safetensors"}) {
    Folder folder;
    const std::string path = Copied(folder, "bert_seqcls_single");
    const std::string file = path + "/" + name;
    ASSERT_EQ(std::system(("rm " + file + " && mkfifo " + file).c_str()), 0);
    const Result pipe = Command("check " + path);
    EXPECT_EQ(pipe.exit_code, 3) << name;
    EXPECT_NE(pipe.err.find("a pipe, not a regular file"), std::string::npos) << pipe.err;
    ASSERT_EQ(std::system(("rm " + file).c_str()), 0);
    std::ofstream(file) << "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 1\n";
    const Result pointer = Command("check " + path);
    EXPECT_EQ(pointer.exit_code, 3) << name;
    EXPECT_NE(pointer.err.find("Git LFS pointer"), std::string::npos) << pointer.err;
  }
  Folder folder;
  ASSERT_EQ(std::system(("mkfifo " + folder.File("pipe")).c_str()), 0);
  const Result inputs = Command("run " + Case("bert_seqcls_single") + " --inputs " + folder.File("pipe"));
  EXPECT_EQ(inputs.exit_code, 3);
  EXPECT_NE(inputs.err.find("a pipe, not a regular file"), std::string::npos) << inputs.err;
}

// float64 and tensors at odd places, as other programs write them.
TEST(Command, InputsAreCastAsTheyAreRead) {
  Folder folder;
  std::string header = R"({"inputs_embeds":{"dtype":"F64","shape":[1,2,32],"data_offsets":[0,512]}})";
  header.resize(header.size() + 3, ' ');
  std::string file(8, '\0');
  for (int i = 0; i < 8; i++) file[static_cast<size_t>(i)] = static_cast<char>(header.size() >> (8 * i));
  std::vector<double> values(64);
  for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<double>(i) / 37.0;
  std::ofstream(folder.File("in.safetensors"), std::ios::binary)
      << file << header << std::string(reinterpret_cast<const char *>(values.data()), 512);
  const Result result = Command("run " + Case("bert_seqcls_single") + " --inputs " + folder.File("in.safetensors"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST(Command, UnknownArchitectureIsFourAndListsTheKnownOnes) {
  Folder folder;
  std::ofstream(folder.File("config.json")) << R"({"architectures": ["NoSuchModel"], "model_type": "none"})";
  const Result result = Command("run " + folder.File("") + " --ids 1");
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_NE(result.err.find("NoSuchModel"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("architectures of bert, distilbert"), std::string::npos) << result.err;
}

TEST(Command, TheArchitectureCanBeNamed) {
  const std::string reports = std::string(MO_SOURCE_DIR) + "/tests/cases/user_reports/";
  const std::string ids = " --ids 5,6,7";
  EXPECT_EQ(Command("run " + reports + "no_architectures" + ids).out.substr(0, 12), "BertModel ->");
  EXPECT_EQ(Command("run " + reports + "architecture_spelling" + ids).out.substr(0, 19), "LlamaForCausalLM ->");
  EXPECT_EQ(Command("run " + reports + "architecture_spelling --architecture LlamaModel" + ids).out.substr(0, 13),
            "LlamaModel ->");
  const Result generated = Command("generate " + reports + "architecture_spelling --architecture LlamaForCausalLM" + ids);
  EXPECT_EQ(generated.exit_code, 0) << generated.err;
  EXPECT_EQ(Command("generate " + reports + "architecture_spelling" + ids + " --max-new-tokens 2").exit_code, 0);
  for (const char *command : {"run ", "generate "}) {
    const Result unknown = Command(command + reports + "architecture_spelling --architecture NobodyModel" + ids);
    EXPECT_EQ(unknown.exit_code, 4);
    EXPECT_NE(unknown.err.find("NobodyModel"), std::string::npos) << unknown.err;
  }
}

TEST(Command, IdOutsideTheVocabularyIsOne) {
  const Result result = Command("run " + Case("bert_seqcls_single") + " --ids 1,99");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("99"), std::string::npos) << result.err;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which take terabytes of address space */
TEST(Command, RunsInASmallAddressSpace) {
  const std::string command =
      std::string(MO_BINARY_DIR) + "/bin/modelout run " + Case("bert_model") + " --ids 2,7,9,3 --device cpu";
  const int status = std::system(("ulimit -v 100000; timeout 60 " + command + " >/dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST(Command, AFullDiskIsNoticed) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  const int status = std::system((std::string(MO_BINARY_DIR) + "/bin/modelout classes >/dev/full 2>/dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST(Command, RunPrintsEveryFieldAndWhatWasCopied) {
  const Result result =
      Command("run " + Case("bert_seqcls_single") + " --ids '2,7,9,3;2,3' --output-hidden-states --device cpu");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char *text :
       {"BertForSequenceClassification -> SequenceClassifierOutput (pt)", "input_ids", "attention_mask", "loss",
        "absent: ", "hidden_states", "tuple of 3", "(2, 4, 32)", "float32", "cpu", "LABEL_", "time:", "\ncopied 0 of "}) {
    EXPECT_NE(result.out.find(text), std::string::npos) << text << "\n" << result.out;
  }
  const size_t last_line = result.out.rfind('\n', result.out.size() - 2);
  EXPECT_EQ(result.out.substr(last_line + 1, 7), "copied ");
  EXPECT_EQ(result.err, "");
}

TEST(Command, JsonSaysTheSame) {
  const Result result =
      Command("run " + Case("bert_seqcls_single") + " --ids '2,7,9,3;2,3' --output-attentions --layers -1 --heads 0,2 --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  EXPECT_EQ(Text(report.get(), "class"), "SequenceClassifierOutput");
  EXPECT_EQ(Text(report.get(), "architecture"), "BertForSequenceClassification");
  EXPECT_EQ(Text(report.get(), "framework"), "pt");
  EXPECT_EQ(Text(report.get(), "dtype"), "float32");
  const json_t *logits = Field(report.get(), "logits");
  ASSERT_NE(logits, nullptr);
  EXPECT_EQ(Shape(logits), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(json_integer_value(json_object_get(logits, "bytes")), 24);
  const json_t *loss = Field(report.get(), "loss");
  ASSERT_NE(loss, nullptr);
  EXPECT_TRUE(json_is_false(json_object_get(loss, "present")));
  EXPECT_NE(Text(loss, "reason"), "");
  const json_t *attentions = json_object_get(Field(report.get(), "attentions"), "entries");
  ASSERT_EQ(json_array_size(attentions), 2u);
  EXPECT_TRUE(json_is_null(json_array_get(attentions, 0))); /* not selected: None at its place */
  EXPECT_EQ(Shape(json_array_get(attentions, 1)), (std::vector<int64_t>{2, 2, 4, 4}));
  const json_t *predictions = json_object_get(report.get(), "predictions");
  ASSERT_EQ(json_array_size(predictions), 2u);
  double previous = INFINITY;
  size_t index = 0;
  json_t *entry = nullptr;
  json_array_foreach(json_object_get(json_array_get(predictions, 0), "top"), index, entry) {
    EXPECT_EQ(Text(entry, "label"), "LABEL_" + std::to_string(json_integer_value(json_object_get(entry, "index"))));
    EXPECT_LE(json_number_value(json_object_get(entry, "value")), previous);
    previous = json_number_value(json_object_get(entry, "value"));
  }
  EXPECT_EQ(index, 3u);
  EXPECT_GT(json_integer_value(json_object_get(report.get(), "output_bytes")), 0);
}

TEST(Command, PoolingNormalisesAndIgnoresPadding) {
  const Result both = Command("run " + Case("bert_model") + " --ids '2,7,9,3;2,3' --pool mean --json");
  const Result alone = Command("run " + Case("bert_model") + " --ids '2,3' --pool mean --json");
  ASSERT_EQ(both.exit_code, 0) << both.err;
  ASSERT_EQ(alone.exit_code, 0) << alone.err;
  const Json first = Parse(both.out);
  const Json second = Parse(alone.out);
  const json_t *padded = json_array_get(json_object_get(json_object_get(first.get(), "pooled"), "embeddings"), 1);
  const json_t *plain = json_array_get(json_object_get(json_object_get(second.get(), "pooled"), "embeddings"), 0);
  ASSERT_EQ(json_array_size(padded), 32u);
  ASSERT_EQ(json_array_size(plain), 32u);
  double norm = 0;
  for (size_t i = 0; i < 32; i++) {
    const double a = json_number_value(json_array_get(padded, i));
    EXPECT_NEAR(a, json_number_value(json_array_get(plain, i)), 1e-5);
    norm += a * a;
  }
  EXPECT_NEAR(norm, 1.0, 1e-5);
  const json_t *similarities = json_object_get(json_object_get(first.get(), "pooled"), "similarities");
  EXPECT_NEAR(json_number_value(json_array_get(json_array_get(similarities, 0), 0)), 1.0, 1e-5);
  EXPECT_EQ(json_number_value(json_array_get(json_array_get(similarities, 0), 1)),
            json_number_value(json_array_get(json_array_get(similarities, 1), 0)));
}

TEST(Command, PoolingWorksForClassesWithoutLastHiddenState) {
  const Result result = Command("run " + Case("bert_seqcls_single") + " --ids 2,7,3 --pool cls --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  const json_t *states = json_object_get(Field(report.get(), "hidden_states"), "entries");
  ASSERT_EQ(json_array_size(states), 3u);
  EXPECT_TRUE(json_is_null(json_array_get(states, 0))); /* only the last one is needed, so only it is there */
  EXPECT_TRUE(json_is_object(json_array_get(states, 2)));
  EXPECT_EQ(json_array_size(json_object_get(json_object_get(report.get(), "pooled"), "embeddings")), 1u);
}

TEST(Command, InputsOfAFileAndSavedOutputsAgreeWithTheRecordedOnes) {
  Folder folder;
  const std::string golden = Case("bert_seqcls_single");
  const Result result = Command("run " + golden + " --inputs " + golden + "/inputs.safetensors --output-hidden-states " +
                                "--output-attentions --quiet --save " + folder.File("out.safetensors"));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  mo_safetensors_t *saved = nullptr;
  mo_safetensors_t *recorded = nullptr;
  ASSERT_EQ(mo_safetensors_open(folder.File("out.safetensors").c_str(), &saved), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_safetensors_open((golden + "/outputs.safetensors").c_str(), &recorded), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_safetensors_count(saved), mo_safetensors_count(recorded));
  for (int64_t i = 0; i < mo_safetensors_count(recorded); i++) {
    const char *name = mo_safetensors_name(recorded, i);
    mo_tensor a;
    mo_tensor b;
    ASSERT_EQ(mo_safetensors_tensor(recorded, name, &a), MO_STATUS_OK);
    ASSERT_EQ(mo_safetensors_tensor(saved, name, &b), MO_STATUS_OK) << name;
    ASSERT_EQ(mo_tensor_count(&a), mo_tensor_count(&b)) << name;
    for (int64_t k = 0; k < mo_tensor_count(&a); k++) {
      ASSERT_NEAR(static_cast<const float *>(a.data)[k], static_cast<const float *>(b.data)[k], 2e-5) << name << " " << k;
    }
  }
  mo_safetensors_close(saved);
  mo_safetensors_close(recorded);
}

// A small masked language model with a vocabulary of its own beside it.
class TextModel {
 public:
  explicit TextModel(const char *golden) : path_(folder_.File("model")) {
    EXPECT_EQ(std::system(("cp -r " + Case(golden) + " " + path_ + " && chmod -R u+w " + path_).c_str()), 0);
    std::ofstream vocabulary(path_ + "/vocab.txt");
    for (const char *token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "small", "##er"}) {
      vocabulary << token << "\n";
    }
    for (int i = 9; i < 99; i++) vocabulary << "word" << i << "\n";
  }
  const std::string &path() const { return path_; }

 private:
  Folder folder_;
  std::string path_;
};

TEST(Command, TextsAreTokenisedAndPadded) {
  const TextModel model("bert_masked_lm");
  const Result result = Command("run " + model.path() + " --text 'Hello, smaller WORLD' --text hello --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  EXPECT_EQ(Shape(json_array_get(json_object_get(report.get(), "inputs"), 0)), (std::vector<int64_t>{2, 7}));
  EXPECT_EQ(Text(json_array_get(json_object_get(report.get(), "inputs"), 1), "name"), "attention_mask");
  std::vector<std::string> tokens;
  size_t index = 0;
  json_t *entry = nullptr;
  json_array_foreach(json_object_get(report.get(), "predictions"), index, entry) tokens.push_back(Text(entry, "token"));
  EXPECT_EQ(tokens, (std::vector<std::string>{"[CLS]", "hello", "[UNK]", "small", "##er", "world", "[SEP]", "[CLS]", "hello",
                                              "[SEP]"})); /* padding is left out */
}

TEST(Command, OnlyMaskedPositionsArePredicted) {
  const TextModel model("bert_masked_lm");
  const Result result = Command("run " + model.path() + " --text 'hello [MASK] world' --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  const json_t *predictions = json_object_get(report.get(), "predictions");
  ASSERT_EQ(json_array_size(predictions), 1u) << result.out;
  const json_t *entry = json_array_get(predictions, 0);
  EXPECT_EQ(json_integer_value(json_object_get(entry, "position")), 2);
  EXPECT_EQ(json_array_size(json_object_get(entry, "top")), 5u);
  EXPECT_NE(Text(json_array_get(json_object_get(entry, "top"), 0), "label"), "");
}

TEST(Command, AnswersNeverLieInThePadding) {
  const TextModel model("bert_qa");
  const Result result = Command("run " + model.path() + " --text 'hello small world' --text hello --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  const json_t *predictions = json_object_get(report.get(), "predictions");
  ASSERT_EQ(json_array_size(predictions), 4u); /* start and end of two texts */
  const json_t *second = json_object_get(json_array_get(predictions, 1), "top");
  ASSERT_GT(json_array_size(second), 0u);
  size_t index = 0;
  json_t *entry = nullptr;
  json_array_foreach(second, index, entry) EXPECT_LT(json_integer_value(json_object_get(entry, "index")), 3);
}

TEST(Command, LongTextsAreShortenedWithANote) {
  const TextModel model("bert_masked_lm");
  std::string text;
  for (int i = 0; i < 100; i++) text += "hello ";
  const Result result = Command("run " + model.path() + " --text '" + text + "'");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Lines(result.err), 1) << result.err;
  EXPECT_NE(result.err.find("from 102 to 32 tokens"), std::string::npos) << result.err;
  EXPECT_NE(result.out.find("(1, 32, 99)"), std::string::npos) << result.out;
}

TEST(Command, TextWithoutATokenizerIsThree) {
  const Result result = Command("run " + Case("bert_masked_lm") + " --text hello");
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_EQ(Lines(result.err), 1) << result.err;
}

// Similarities of sentence-transformers for the same three sentences.
TEST(Command, TrainedSentencesAreAsSimilarAsTheOriginalSays) {
  const char *folder = std::getenv("MODELOUT_MINILM_DIR");
  if (folder == nullptr) GTEST_SKIP() << "MODELOUT_MINILM_DIR is not set: no trained model here";
  const Result result = Command(std::string("run ") + folder + " --pool mean --json --text 'Hello, my dog is cute'" +
                                " --text 'My puppy is adorable' --text 'The quarterly tax report is due on Friday'");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  const json_t *similarities = json_object_get(json_object_get(report.get(), "pooled"), "similarities");
  const double expected[3][3] = {{1, 0.77235, 0.07994}, {0.77235, 1, 0.05864}, {0.07994, 0.05864, 1}};
  for (size_t i = 0; i < 3; i++) {
    for (size_t j = 0; j < 3; j++) {
      EXPECT_NEAR(json_number_value(json_array_get(json_array_get(similarities, i), j)), expected[i][j], 1e-4) << i << " " << j;
    }
  }
}

TEST(Command, FrameworksGiveTheirOwnClass) {
  for (const auto &[framework, name] :
       {std::pair<const char *, const char *>{"tf", "TFSequenceClassifierOutput"}, {"flax", "FlaxSequenceClassifierOutput"}}) {
    const Result result = Command("run " + Case("bert_seqcls_single") + " --ids 2,3 --json --framework " + framework);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(Text(Parse(result.out).get(), "class"), name);
  }
}

TEST(Command, HalfPrecisionRuns) {
  for (const char *dtype : {"f16", "bf16"}) {
    const Result result = Command("run " + Case("bert_seqcls_single") + " --ids 2,7,3 --json --pool max --dtype " + dtype);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const Json report = Parse(result.out);
    EXPECT_EQ(Text(Field(report.get(), "logits"), "dtype"), std::string(dtype) == "f16" ? "float16" : "bfloat16");
  }
}

TEST(Command, ChoicesOfOneQuestion) {
  const Result result = Command("run " + Case("bert_multiple_choice") + " --ids '2,7,3;2,9,8,3;2,3' --json");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json report = Parse(result.out);
  EXPECT_EQ(Shape(Field(report.get(), "logits")), (std::vector<int64_t>{1, 3}));
}

TEST(Command, ReplaySavesAndCheckAgrees) {
  Folder folder;
  const Result replay = Command("replay " + Case("bert_qa") + " --save " + folder.File("out.safetensors"));
  ASSERT_EQ(replay.exit_code, 0) << replay.err;
  mo_safetensors_t *saved = nullptr;
  ASSERT_EQ(mo_safetensors_open(folder.File("out.safetensors").c_str(), &saved), MO_STATUS_OK) << mo_last_error();
  mo_tensor tensor;
  EXPECT_EQ(mo_safetensors_tensor(saved, "start_logits", &tensor), MO_STATUS_OK);
  mo_safetensors_close(saved);
  const Result check = Command("check " + Case("bert_qa") + " " + Case("bert_nsp"));
  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
  EXPECT_NE(check.out.find("bert_nsp"), std::string::npos) << check.out;
}

TEST(Command, CheckFindsADifference) {
  Folder folder;
  const std::string copy = folder.File("case");
  ASSERT_EQ(std::system(("cp -r " + Case("bert_qa") + " " + copy + " && chmod -R u+w " + copy).c_str()), 0);
  std::string bytes = ReadFile(copy + "/outputs.safetensors");
  ASSERT_GT(bytes.size(), 8u);
  bytes[bytes.size() - 1] ^= 0x40; /* the exponent of the last float of the file */
  std::ofstream(copy + "/outputs.safetensors", std::ios::binary) << bytes;
  const Result result = Command("check " + copy);
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_EQ(Command("check " + Case("bert_qa") + " --tolerance 0").exit_code, 1); /* nothing agrees to the last bit */
}

TEST(Command, ClassesAreThoseOfTheTable) {
  const Result all = Command("classes --json");
  ASSERT_EQ(all.exit_code, 0) << all.err;
  EXPECT_EQ(json_array_size(json_object_get(Parse(all.out).get(), "classes")), static_cast<size_t>(mo_class_count()));
  const Json tf = Parse(Command("classes --json --framework tf").out);
  EXPECT_EQ(json_array_size(json_object_get(tf.get(), "classes")), 18u);
  const std::string text = Command("classes SequenceClassifierOutput").out;
  size_t place = 0;
  for (const char *field : {"loss", "logits", "hidden_states", "attentions"}) { /* in declared order */
    const size_t found = text.find(std::string("  ") + field, place);
    ASSERT_NE(found, std::string::npos) << field << "\n" << text;
    place = found;
  }
  EXPECT_NE(Command("classes MaskedLMOutput --framework flax").out.find("FlaxMaskedLMOutput"), std::string::npos);
}

TEST(Command, InfoSaysWhatWasChosenAndWhy) {
  const Result result = Command("info");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char *word : {mo_version_string(), "chosen", "device", "BertModel"}) {
    EXPECT_NE(result.out.find(word), std::string::npos) << word << "\n" << result.out;
  }
}

// Less than the whole report is not success. (A failure that leaves one of jansson's own values broken is not tried: the
// objects are made before any allocation fails.)
TEST(Command, AReportThatLacksMemoryIsAnError) {
  ASSERT_EQ(mo_test_json_report(-1), 0);
  const long allocations = mo_test_json_allocations();
  ASSERT_GT(allocations, 8);
  for (long allowed = 6; allowed < allocations; ++allowed) EXPECT_EQ(mo_test_json_report(allowed), 1) << allowed;
  EXPECT_EQ(mo_test_json_report(allocations), 0);
}

}  // namespace
