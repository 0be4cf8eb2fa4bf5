// tests/model/checkpoint_test.cc - tensors of a checkpoint folder: names, shards, shapes, conversion, what missed and what was
// left over, hostile index files.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
extern "C" {
#include "host/checkpoint/checkpoint.h"
}

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "modelout/safetensors.h"
#include "tests/support/delayed_backend.h"
#include "tests/support/temporary_folder.h"

namespace {

struct Destroyer {
  void operator()(mo_checkpoint_t *checkpoint) const { mo_checkpoint_destroy(checkpoint); }
  void operator()(mo_context_t *context) const { mo_context_destroy(context); }
};
using Checkpoint = std::unique_ptr<mo_checkpoint_t, Destroyer>;
using Context = std::unique_ptr<mo_context_t, Destroyer>;

Context CpuContext() {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  mo_context_t *made = nullptr;
  EXPECT_EQ(mo_context_create(&options, &made), MO_STATUS_OK) << mo_last_error();
  return Context(made);
}

using Shape = std::vector<int64_t>;
using Shapes = std::map<std::string, Shape>;

float ValueAt(const std::string &name, int64_t i) {
  return static_cast<float>(std::hash<std::string>{}(name) % 97) - 40.0f + static_cast<float>(i % 113) * 0.37f;
}

class CheckpointTest : public ::testing::Test {
 protected:
  void WriteText(const std::string &name, const std::string &text) { folder_.Write(name, text); }

  void WriteTensors(const std::string &file, const Shapes &shapes, mo_dtype_t dtype = MO_DTYPE_FLOAT32) {
    std::vector<const char *> names;
    std::vector<mo_tensor> tensors;
    std::vector<std::vector<char>> data;
    for (const auto &[name, shape] : shapes) {
      const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
      std::vector<float> values(count);
      for (int64_t i = 0; i < count; ++i) values[i] = ValueAt(name, i);
      data.emplace_back(count * mo_dtype_bytes(dtype) + 1);
      if (mo_dtype_is_float(dtype)) {
        ASSERT_EQ(mo_dtype_convert(data.back().data(), dtype, values.data(), MO_DTYPE_FLOAT32, count), MO_STATUS_OK);
      }
      names.push_back(name.c_str());
      tensors.push_back(mo_tensor_cpu(data.back().data(), dtype, static_cast<int32_t>(shape.size()), shape.data()));
    }
    ASSERT_EQ(mo_safetensors_write(folder_.File(file).c_str(), names.data(), tensors.data(), static_cast<int64_t>(names.size()),
                                   nullptr, nullptr, 0),
              MO_STATUS_OK)
        << mo_last_error();
  }

  mo_status_t TryOpen(const char *prefix, Checkpoint *checkpoint, const char *const *ignored = nullptr) {
    const mo_checkpoint_options options = {prefix, ignored};
    mo_checkpoint_t *made = nullptr;
    const mo_status_t status = mo_checkpoint_open(folder_.path().c_str(), &options, &made);
    EXPECT_EQ(status == MO_STATUS_OK, made != nullptr);
    checkpoint->reset(made);
    return status;
  }

  Checkpoint Open(const char *prefix = nullptr, const char *const *ignored = nullptr) {
    Checkpoint checkpoint;
    EXPECT_EQ(TryOpen(prefix, &checkpoint, ignored), MO_STATUS_OK) << mo_last_error();
    return checkpoint;
  }

  void ExpectBad(const std::string &sentence_part, mo_status_t expected = MO_STATUS_BAD_FILE) {
    SCOPED_TRACE(sentence_part);
    Checkpoint checkpoint;
    EXPECT_EQ(TryOpen("bert", &checkpoint), expected);
    EXPECT_NE(std::string(mo_last_error()).find(sentence_part), std::string::npos) << mo_last_error();
  }

  test_support::TemporaryFolder folder_;
};

std::vector<std::string> Unexpected(mo_checkpoint_t *checkpoint) {
  std::vector<std::string> names;
  for (int64_t i = 0; mo_checkpoint_unexpected(checkpoint, i) != nullptr; ++i)
    names.push_back(mo_checkpoint_unexpected(checkpoint, i));
  EXPECT_EQ(mo_checkpoint_unexpected(checkpoint, -1), nullptr);
  return names;
}

std::vector<std::string> Missing(const mo_checkpoint_t *checkpoint) {
  std::vector<std::string> names;
  for (int64_t i = 0; mo_checkpoint_missing(checkpoint, i) != nullptr; ++i)
    names.push_back(mo_checkpoint_missing(checkpoint, i));
  return names;
}

mo_status_t Load(mo_checkpoint_t *checkpoint, mo_context_t *context, const char *name, const Shape &shape, mo_weight *weight,
                 mo_dtype_t dtype = MO_DTYPE_FLOAT32, mo_load_mode_t mode = MO_LOAD_MAP, bool allow_missing = false) {
  return mo_checkpoint_load(checkpoint, context, name, dtype, static_cast<int32_t>(shape.size()), shape.data(), mode,
                            allow_missing, weight);
}

void ExpectValues(const mo_weight &weight, const std::string &file_name, const Shape &shape) {
  ASSERT_EQ(weight.tensor.dtype, MO_DTYPE_FLOAT32);
  ASSERT_EQ(weight.tensor.rank, static_cast<int32_t>(shape.size()));
  for (size_t d = 0; d < shape.size(); ++d) EXPECT_EQ(weight.tensor.shape[d], shape[d]);
  EXPECT_TRUE(mo_tensor_is_contiguous(&weight.tensor));
  for (int64_t i = 0; i < mo_tensor_count(&weight.tensor); ++i)
    ASSERT_EQ(static_cast<const float *>(weight.tensor.data)[i], ValueAt(file_name, i)) << i;
}

TEST_F(CheckpointTest, FindsNamesWithAndWithoutThePrefixAndByTheirOldSpelling) {
  const Context context = CpuContext();
  const struct {
    const char *in_file, *asked, *prefix;
    bool found;
  } cases[] = {
      {"bert.a.weight", "bert.a.weight", "bert", true},
      {"a.weight", "bert.a.weight", "bert", true},
      {"bert.a.weight", "a.weight", "bert", true},
      {"bert.LayerNorm.gamma", "LayerNorm.weight", "bert", true},
      {"LayerNorm.beta", "bert.LayerNorm.bias", "bert", true},
      {"LayerNorm.beta", "LayerNorm.weight", "bert", false},
      {"bert.a.weight", "a.weight", nullptr, false},
      {"bert.a.weight", "a.weight", "", false},
      {"bert.a.weight", "a.weight", "roberta", false},
      {"berta.weight", "a.weight", "bert", false},
      {"a.weight", "berta.weight", "bert", false},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(std::string(c.in_file) + " as " + c.asked);
    WriteTensors("model.safetensors", {{c.in_file, {3, 5}}});
    const Checkpoint checkpoint = Open(c.prefix);
    EXPECT_EQ(mo_checkpoint_contains(checkpoint.get(), c.asked), c.found);
    EXPECT_EQ(Unexpected(checkpoint.get()), std::vector<std::string>{c.in_file});
    mo_tensor tensor;
    EXPECT_EQ(mo_checkpoint_find(checkpoint.get(), c.asked, &tensor), c.found ? MO_STATUS_OK : MO_STATUS_KEY_ERROR);
    EXPECT_EQ(Unexpected(checkpoint.get()).size(), c.found ? 0u : 1u);
    mo_weight weight;
    EXPECT_EQ(Load(checkpoint.get(), context.get(), c.asked, {3, 5}, &weight), c.found ? MO_STATUS_OK : MO_STATUS_BAD_FILE);
    if (c.found) ExpectValues(weight, c.in_file, {3, 5});
    mo_weight_release(&weight);
  }
}

TEST_F(CheckpointTest, TheNameAsAskedComesFirst) {
  WriteTensors("model.safetensors", {{"bert.a.weight", {2}}, {"a.weight", {3}}});
  const Checkpoint checkpoint = Open("bert");
  mo_tensor tensor;
  ASSERT_EQ(mo_checkpoint_find(checkpoint.get(), "a.weight", &tensor), MO_STATUS_OK);
  EXPECT_EQ(tensor.shape[0], 3);
  ASSERT_EQ(mo_checkpoint_find(checkpoint.get(), "bert.a.weight", &tensor), MO_STATUS_OK);
  EXPECT_EQ(tensor.shape[0], 2);
}

TEST_F(CheckpointTest, ListsUnexpectedTensorsButNotTheIgnored) {
  WriteTensors("model.safetensors", {{"a.weight", {2}},
                                     {"b.weight", {2}},
                                     {"tied.decoder.weight", {2}},
                                     {"bert.embeddings.position_ids", {1, 4}},
                                     {"embeddings.token_type_ids", {1, 4}},
                                     {"cls.seq", {1}},
                                     {"xcls.seq", {1}}});
  const char *const ignored[] = {"cls.seq", nullptr};
  const Checkpoint checkpoint = Open("bert", ignored);
  mo_weight weight;
  EXPECT_EQ(Load(checkpoint.get(), nullptr, "a.weight", {2}, &weight), MO_STATUS_OK);
  mo_checkpoint_mark_used(checkpoint.get(), "bert.tied.decoder.weight");
  mo_checkpoint_mark_used(checkpoint.get(), "nowhere");
  EXPECT_EQ(Unexpected(checkpoint.get()), (std::vector<std::string>{"b.weight", "xcls.seq"}));
  mo_checkpoint_close_files(checkpoint.get());  // the lists stay, the tensors do not
  EXPECT_EQ(Unexpected(checkpoint.get()), (std::vector<std::string>{"b.weight", "xcls.seq"}));
  mo_tensor tensor;
  EXPECT_EQ(mo_checkpoint_find(checkpoint.get(), "a.weight", &tensor), MO_STATUS_WRONG_STATE);
  EXPECT_EQ(Load(checkpoint.get(), nullptr, "a.weight", {2}, &weight), MO_STATUS_WRONG_STATE);
}

TEST_F(CheckpointTest, MissingTensorsAreNotedOnceAndToldTogether) {
  WriteTensors("model.safetensors", {{"a.weight", {2}}});
  const Context context = CpuContext();
  const Checkpoint checkpoint = Open("bert");
  mo_weight weight;
  EXPECT_EQ(mo_checkpoint_check_missing(checkpoint.get()), MO_STATUS_OK);
  for (int twice = 0; twice < 2; ++twice)
    for (const char *name : {"x.weight", "a.weight", "y.bias"}) {
      EXPECT_EQ(Load(checkpoint.get(), nullptr, name, {2}, &weight), MO_STATUS_OK);
      EXPECT_EQ(weight.tensor.dtype, MO_DTYPE_NONE);
    }
  EXPECT_EQ(Missing(checkpoint.get()), (std::vector<std::string>{"x.weight", "y.bias"}));
  EXPECT_EQ(mo_checkpoint_check_missing(checkpoint.get()), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "checkpoint: missing tensors (2): x.weight, y.bias");
  EXPECT_EQ(Load(checkpoint.get(), context.get(), "x.weight", {2}, &weight), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "checkpoint: tensor \"x.weight\" is missing");
  EXPECT_EQ(weight.memory, nullptr);

  ASSERT_EQ(Load(checkpoint.get(), context.get(), "z", {3, 7}, &weight, MO_DTYPE_FLOAT32, MO_LOAD_MAP, true), MO_STATUS_OK);
  EXPECT_TRUE(weight.missing);
  for (int i = 0; i < 21; ++i) EXPECT_EQ(static_cast<float *>(weight.tensor.data)[i], 0.0f);
  mo_weight_release(&weight);

  // Very many: the sentence stays within its bounds, and a config.json that asks for endless layers is stopped.
  mo_status_t status = MO_STATUS_OK;
  int64_t asked = 0;
  while (status == MO_STATUS_OK && asked < 1000000)
    status = Load(checkpoint.get(), nullptr, ("layer." + std::to_string(asked++) + ".weight").c_str(), {2}, &weight);
  EXPECT_EQ(status, MO_STATUS_BAD_FILE);
  EXPECT_LT(asked, 100000);
  EXPECT_EQ(mo_checkpoint_check_missing(checkpoint.get()), MO_STATUS_BAD_FILE);
  EXPECT_NE(std::string(mo_last_error()).find(", ..."), std::string::npos);
}

TEST_F(CheckpointTest, WrongShapesAndTypesNameTheTensor) {
  WriteTensors("model.safetensors", {{"a.weight", {2, 3}}, {"s", {}}});
  const Context context = CpuContext();
  Checkpoint checkpoint = Open();
  for (mo_context_t *where : {context.get(), static_cast<mo_context_t *>(nullptr)}) {
    mo_weight weight;
    EXPECT_EQ(Load(checkpoint.get(), where, "a.weight", {3, 2}, &weight), MO_STATUS_BAD_FILE);
    EXPECT_STREQ(mo_last_error(),
                 "checkpoint: tensor \"a.weight\" has shape (2, 3) in the file, the model's config makes it (3, 2)");
    EXPECT_EQ(Load(checkpoint.get(), where, "a.weight", {6}, &weight), MO_STATUS_BAD_FILE);
    EXPECT_EQ(Load(checkpoint.get(), where, "a.weight", {}, &weight), MO_STATUS_BAD_FILE);
    EXPECT_EQ(Load(checkpoint.get(), where, "s", {1}, &weight), MO_STATUS_BAD_FILE);
    EXPECT_EQ(Load(checkpoint.get(), where, "s", {}, &weight), MO_STATUS_OK);
    mo_weight_release(&weight);
    EXPECT_EQ(Load(checkpoint.get(), where, "s", {}, &weight, MO_DTYPE_INT32), MO_STATUS_INVALID_ARGUMENT);
  }
  mo_weight weight;
  EXPECT_EQ(Load(checkpoint.get(), context.get(), "vast", {INT64_MAX / 2, 3}, &weight, MO_DTYPE_FLOAT32, MO_LOAD_MAP, true),
            MO_STATUS_OUT_OF_MEMORY);
  WriteTensors("model.safetensors", {{"ids", {4}}}, MO_DTYPE_INT64);
  checkpoint = Open();
  EXPECT_EQ(Load(checkpoint.get(), context.get(), "ids", {4}, &weight), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "checkpoint: tensor \"ids\" is int64 in the file, must be floating point");
}

TEST_F(CheckpointTest, MapsWhatFitsAndCopiesTheRest) {
  const Context context = CpuContext();
  const Shape shape = {37, 1021};
  WriteTensors("model.safetensors", {{"w", shape}, {"none", {0, 4}}});
  const Checkpoint checkpoint = Open();
  mo_weight weight;
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", shape, &weight), MO_STATUS_OK);
  EXPECT_TRUE(weight.mapped);
  EXPECT_EQ(weight.memory, nullptr);
  ExpectValues(weight, "w", shape);
  mo_weight_drop_pages(&weight);
  ExpectValues(weight, "w", shape);  // read from the file again
  mo_weight_release(&weight);
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", shape, &weight, MO_DTYPE_FLOAT32, MO_LOAD_COPY), MO_STATUS_OK);
  EXPECT_FALSE(weight.mapped);
  mo_weight_drop_pages(&weight);
  mo_weight none;
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "none", {0, 4}, &none, MO_DTYPE_FLOAT16), MO_STATUS_OK);
  mo_weight_release(&none);
  mo_checkpoint_close_files(checkpoint.get());
  ExpectValues(weight, "w", shape);  // a copy outlives the files
  mo_weight_release(&weight);
  mo_weight_release(nullptr);
}

TEST_F(CheckpointTest, ConvertsBetweenFloatTypes) {
  const Context context = CpuContext();
  const Shape shape = {3, 1711};
  std::vector<float> values(3 * 1711);
  for (size_t i = 0; i < values.size(); ++i) values[i] = ValueAt("w", static_cast<int64_t>(i));
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
    for (const mo_dtype_t wanted : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}) {
      WriteTensors("model.safetensors", {{"w", shape}}, stored);
      const Checkpoint checkpoint = Open();
      mo_weight weight;
      ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", shape, &weight, wanted), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(weight.mapped, stored == wanted);
      EXPECT_EQ(weight.tensor.dtype, wanted);
      std::vector<char> as_stored(values.size() * 4);
      std::vector<char> expected(values.size() * 4);
      ASSERT_EQ(mo_dtype_convert(as_stored.data(), stored, values.data(), MO_DTYPE_FLOAT32, values.size()), MO_STATUS_OK);
      ASSERT_EQ(mo_dtype_convert(expected.data(), wanted, as_stored.data(), stored, values.size()), MO_STATUS_OK);
      EXPECT_EQ(memcmp(weight.tensor.data, expected.data(), values.size() * mo_dtype_bytes(wanted)), 0);
      mo_weight_release(&weight);
    }
}

// A device with memory of its own: every copy has happened when the call returns, whatever the size of the staging buffer.
TEST_F(CheckpointTest, FillsTheMemoryOfADevice) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.backend = &mo_delayed_backend;
  options.own_stream = true;
  mo_context_t *made = nullptr;
  ASSERT_EQ(mo_context_create(&options, &made), MO_STATUS_OK) << mo_last_error();
  const Context context(made);
  const Shape shape = {1201, 1103};  // over 4 MiB
  const int64_t count = 1201 * 1103;
  WriteTensors("model.safetensors", {{"w", shape}});
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = ValueAt("w", i);
  for (const mo_dtype_t wanted : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16})
    for (const char *name : {"w", "absent"}) {
      const Checkpoint checkpoint = Open();
      mo_weight weight;
      ASSERT_EQ(Load(checkpoint.get(), context.get(), name, shape, &weight, wanted, MO_LOAD_MAP, true), MO_STATUS_OK)
          << mo_last_error();
      EXPECT_FALSE(weight.mapped);
      mo_checkpoint_close_files(checkpoint.get());
      std::vector<char> expected(count * mo_dtype_bytes(wanted), 0);
      if (!weight.missing) {
        ASSERT_EQ(mo_dtype_convert(expected.data(), wanted, values.data(), MO_DTYPE_FLOAT32, count), MO_STATUS_OK);
      }
      std::vector<char> read(expected.size(), '\x5A');
      ASSERT_EQ(mo_context_copy_to_host(context.get(), read.data(), weight.tensor.data, read.size()), MO_STATUS_OK);
      ASSERT_EQ(mo_context_synchronize(context.get()), MO_STATUS_OK);
      EXPECT_TRUE(read == expected) << name;
      mo_weight_release(&weight);
    }
}

// A file of another program may put its tensors at any byte.
TEST_F(CheckpointTest, ReadsTensorsThatLieAskew) {
  const Context context = CpuContext();
  std::string header = R"({"w":{"dtype":"F32","shape":[5000],"data_offsets":[0,20000]}})";
  header.resize(header.size() + (8 - header.size() % 8) + 1, ' ');  // 8 + length is odd
  std::vector<float> values(5000);
  for (int64_t i = 0; i < 5000; ++i) values[i] = ValueAt("w", i);
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i) file[i] = static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i));
  file += header + std::string(reinterpret_cast<const char *>(values.data()), 20000);
  WriteText("model.safetensors", file);
  const Checkpoint checkpoint = Open();
  mo_weight weight;
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", {5000}, &weight), MO_STATUS_OK) << mo_last_error();
  EXPECT_FALSE(weight.mapped);
  ExpectValues(weight, "w", {5000});
  mo_weight_release(&weight);
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", {5000}, &weight, MO_DTYPE_BFLOAT16), MO_STATUS_OK);
  std::vector<uint16_t> expected(5000);
  ASSERT_EQ(mo_dtype_convert(expected.data(), MO_DTYPE_BFLOAT16, values.data(), MO_DTYPE_FLOAT32, 5000), MO_STATUS_OK);
  EXPECT_EQ(memcmp(weight.tensor.data, expected.data(), 10000), 0);
  mo_weight_release(&weight);
}

TEST_F(CheckpointTest, ReadsShards) {
  const Context context = CpuContext();
  WriteTensors("model-1.safetensors", {{"bert.a.weight", {4, 4}}, {"bert.unlisted", {1}}});
  WriteTensors("model-2.safetensors", {{"bert.b.weight", {2, 9}}});
  WriteText("model.safetensors.index.json",
            R"({"metadata": {"total_size": 136}, "weight_map": {"bert.a.weight": "model-1.safetensors",
                "bert.b.weight": "model-2.safetensors"}})");
  {
    const Checkpoint checkpoint = Open("bert");
    mo_weight weight;
    ASSERT_EQ(Load(checkpoint.get(), context.get(), "a.weight", {4, 4}, &weight), MO_STATUS_OK) << mo_last_error();
    ExpectValues(weight, "bert.a.weight", {4, 4});
    ASSERT_EQ(Load(checkpoint.get(), context.get(), "b.weight", {2, 9}, &weight), MO_STATUS_OK) << mo_last_error();
    ExpectValues(weight, "bert.b.weight", {2, 9});
    EXPECT_EQ(Unexpected(checkpoint.get()), std::vector<std::string>{"bert.unlisted"});
  }
  WriteTensors("model.safetensors", {{"single", {1}}});  // goes before the index
  EXPECT_TRUE(mo_checkpoint_contains(Open("bert").get(), "single"));
}

// The index is a hint: the shards' own headers say what is where, and of a name in two of them the last file's counts.
TEST_F(CheckpointTest, ShardsSayThemselvesWhatTheyHold) {
  const Context context = CpuContext();
  WriteTensors("b.safetensors", {{"x", {2}}, {"y", {3}}});
  WriteTensors("a.safetensors", {{"x", {5}}, {"z", {4}}});
  WriteTensors("not-listed.safetensors", {{"w", {1}}});
  WriteText("cut.safetensors", "cut");  // nor is it opened
  WriteText("model.safetensors.index.json",
            R"({"weight_map": {"x": "b.safetensors", "absent": "a.safetensors", "z": "b.safetensors"}})");
  const Checkpoint checkpoint = Open();
  mo_weight weight;
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "x", {2}, &weight), MO_STATUS_OK) << mo_last_error();
  ExpectValues(weight, "x", {2});
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "z", {4}, &weight), MO_STATUS_OK) << mo_last_error();
  ExpectValues(weight, "z", {4});
  EXPECT_FALSE(mo_checkpoint_contains(checkpoint.get(), "w"));
  EXPECT_EQ(Unexpected(checkpoint.get()), std::vector<std::string>{"y"});
  EXPECT_EQ(Load(checkpoint.get(), nullptr, "absent", {1}, &weight), MO_STATUS_OK);
  EXPECT_EQ(mo_checkpoint_check_missing(checkpoint.get()), MO_STATUS_BAD_FILE);
  EXPECT_STREQ(mo_last_error(), "checkpoint: missing tensors (1): absent");
}

// safetensors.torch.save_model stores one name of a shared tensor, and notes the others in the metadata.
TEST_F(CheckpointTest, FindsTheStoredNameOfASharedTensor) {
  const Context context = CpuContext();
  std::vector<float> values(6);
  for (int64_t i = 0; i < 6; ++i) values[i] = ValueAt("head.weight", i);
  const int64_t shape[] = {2, 3};
  const char *const name = "head.weight";
  const mo_tensor tensor = mo_tensor_cpu(values.data(), MO_DTYPE_FLOAT32, 2, shape);
  const char *const keys[] = {"bert.words.weight", "loop", "format"};
  const char *const stored[] = {"head.weight", "loop", "pt"};
  ASSERT_EQ(mo_safetensors_write(folder_.File("model.safetensors").c_str(), &name, &tensor, 1, keys, stored, 3), MO_STATUS_OK);
  const Checkpoint checkpoint = Open("bert");
  mo_weight weight;
  for (const char *asked : {"bert.words.weight", "words.weight"}) {
    ASSERT_EQ(Load(checkpoint.get(), context.get(), asked, {2, 3}, &weight), MO_STATUS_OK) << mo_last_error();
    ExpectValues(weight, "head.weight", {2, 3});
  }
  EXPECT_EQ(Unexpected(checkpoint.get()), std::vector<std::string>());
  for (const char *asked : {"loop", "format", "head"}) EXPECT_FALSE(mo_checkpoint_contains(checkpoint.get(), asked));
}

// Types without a dtype of the library are cast as they are read, as torch casts them, or refused by name.
TEST_F(CheckpointTest, CastsStoredTypesOrRefusesThemByName) {
  const Context context = CpuContext();
  const auto write = [&](const std::string &type, const std::string &data, size_t count) {
    const std::string header = R"({"w":{"dtype":")" + type + R"(","shape":[)" + std::to_string(count) +
                               R"(],"data_offsets":[0,)" + std::to_string(data.size()) + "]}}";
    std::string file(8, '\0');
    for (int i = 0; i < 8; ++i) file[i] = static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i));
    WriteText("model.safetensors", file + header + data);
  };
  constexpr int64_t kCount = 10001;  // several pieces, and the last one short
  std::vector<double> doubles(kCount);
  for (int64_t i = 0; i < kCount; ++i) doubles[i] = 1.0 / (static_cast<double>(i) - 4000.3);
  doubles[7] = 1e300;
  doubles[8] = -1e-300;
  for (const mo_dtype_t wanted : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16})
    for (const mo_load_mode_t mode : {MO_LOAD_MAP, MO_LOAD_COPY}) {
      write("F64", std::string(reinterpret_cast<const char *>(doubles.data()), kCount * 8), kCount);
      const Checkpoint checkpoint = Open();
      mo_weight weight;
      ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", {kCount}, &weight, wanted, mode), MO_STATUS_OK) << mo_last_error();
      EXPECT_FALSE(weight.mapped);
      std::vector<float> floats(doubles.begin(), doubles.end());
      std::vector<char> expected(kCount * mo_dtype_bytes(wanted));
      ASSERT_EQ(mo_dtype_convert(expected.data(), wanted, floats.data(), MO_DTYPE_FLOAT32, kCount), MO_STATUS_OK);
      EXPECT_EQ(memcmp(weight.tensor.data, expected.data(), expected.size()), 0);
      mo_weight_release(&weight);
    }
  // 1, -2, the smallest subnormal 2^-16, infinity.
  write("F8_E5M2", std::string("\x3C\xC0\x01\x7C", 4), 4);
  {
    const Checkpoint checkpoint = Open();
    mo_weight weight;
    ASSERT_EQ(Load(checkpoint.get(), context.get(), "w", {4}, &weight), MO_STATUS_OK) << mo_last_error();
    const float *values = static_cast<const float *>(weight.tensor.data);
    EXPECT_EQ(values[0], 1.0f);
    EXPECT_EQ(values[1], -2.0f);
    EXPECT_EQ(values[2], 0x1p-16f);
    EXPECT_EQ(values[3], INFINITY);
    mo_weight_release(&weight);
  }
  const struct {
    const char *type;
    size_t bytes;
  } refused[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"I32", 4}, {"I64", 8},    {"I16", 2},
                 {"U16", 2},  {"U32", 4}, {"U64", 8}, {"C64", 8}, {"F8_E8M0", 1}};
  for (const auto &c : refused) {
    SCOPED_TRACE(c.type);
    write(c.type, std::string(4 * c.bytes, '\1'), 4);
    const Checkpoint checkpoint = Open();
    mo_weight weight;
    const mo_status_t status = Load(checkpoint.get(), context.get(), "w", {4}, &weight);
    EXPECT_TRUE(status == MO_STATUS_BAD_FILE || status == MO_STATUS_UNSUPPORTED);
    EXPECT_NE(std::string(mo_last_error()).find("\"w\""), std::string::npos) << mo_last_error();
  }
}

// A file that is cut or written to behind the reader's back: what was read stays, what is still to be read is an error.
TEST_F(CheckpointTest, ReadingSurvivesWhatHappensToTheFile) {
  const Context context = CpuContext();
  const Shape shape = {512, 512};
  WriteTensors("model.safetensors", {{"a", shape}, {"b", shape}});
  const Checkpoint checkpoint = Open();
  mo_weight a, b;
  ASSERT_EQ(Load(checkpoint.get(), context.get(), "a", shape, &a, MO_DTYPE_FLOAT32, MO_LOAD_COPY), MO_STATUS_OK);
  std::filesystem::resize_file(folder_.File("model.safetensors"), 4096);
  ExpectValues(a, "a", shape);
  for (const mo_load_mode_t mode : {MO_LOAD_COPY, MO_LOAD_MAP}) {
    EXPECT_EQ(Load(checkpoint.get(), context.get(), "b", shape, &b, MO_DTYPE_FLOAT32, mode), MO_STATUS_IO_ERROR);
    EXPECT_NE(std::string(mo_last_error()).find("model.safetensors"), std::string::npos) << mo_last_error();
  }
  mo_weight_release(&a);
}

// Every length of names: a list of missing ones that exactly fills the sentence once wrote a byte too far.
TEST_F(CheckpointTest, ListsMissingNamesOfEveryLength) {
  WriteTensors("model.safetensors", {{"a", {2}}});
  for (size_t length = 1; length < 100; ++length) {
    const Checkpoint checkpoint = Open();
    mo_weight weight;
    for (int i = 0; i < 20; ++i)
      ASSERT_EQ(Load(checkpoint.get(), nullptr, (std::string(length, 'x') + std::to_string(i)).c_str(), {2}, &weight),
                MO_STATUS_OK);
    EXPECT_EQ(mo_checkpoint_check_missing(checkpoint.get()), MO_STATUS_BAD_FILE);
    EXPECT_LT(strlen(mo_last_error()), 440u);
    EXPECT_NE(std::string(mo_last_error()).find("(20): x"), std::string::npos);
  }
}

TEST_F(CheckpointTest, RefusesHostileIndexes) {
  ExpectBad("holds neither", MO_STATUS_IO_ERROR);
  WriteText("pytorch_model.bin", "PK");
  ExpectBad("a pickle", MO_STATUS_UNSUPPORTED);
  WriteTensors("one.safetensors", {{"a", {1}}, {"b", {1}}});
  WriteTensors("two.safetensors", {{"b", {1}}, {"c", {1}}});
  WriteText("lfs.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n");
  const std::string outside = folder_.path() + "-outside.safetensors";
  std::filesystem::copy_file(folder_.File("one.safetensors"), outside);
  const struct {
    std::string index;
    const char *sentence;
    mo_status_t status;
  } cases[] = {
      {"", "model.safetensors.index.json: not valid JSON", MO_STATUS_BAD_FILE},
      {"[]", "no JSON object", MO_STATUS_BAD_FILE},
      {"{}", "weight_map is missing", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {}})", "weight_map is an object of 0 keys", MO_STATUS_BAD_FILE},
      {R"({"weight_map": []})", "weight_map is a list of 0", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": 1}})", "must be a plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": "../)" + std::filesystem::path(outside).filename().string() + "\"}}", "plain file name",
       MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": ")" + outside + "\"}}", "plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": ".."}})", "plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": "."}})", "plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": ""}})", "plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": "x\\y"}})", "plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": "nowhere.safetensors"}})", "nowhere.safetensors", MO_STATUS_IO_ERROR},
      {R"({"weight_map": {"a": "pytorch_model.bin"}})", "pytorch_model.bin", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": NaN}})", "in NaN, must be a plain file name", MO_STATUS_BAD_FILE},
      {R"({"weight_map": {"a": "one.safetensors", "b": "lfs.safetensors"}})", "Git LFS pointer", MO_STATUS_BAD_FILE},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n", "Git LFS pointer", MO_STATUS_BAD_FILE},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(c.index);
    WriteText("model.safetensors.index.json", c.index);
    ExpectBad(c.sentence, c.status);
  }
  std::filesystem::remove(outside);
  mo_checkpoint_t *made = nullptr;
  EXPECT_EQ(mo_checkpoint_open(nullptr, nullptr, &made), MO_STATUS_INVALID_ARGUMENT);
  mo_checkpoint_destroy(nullptr);
}

}  // namespace
