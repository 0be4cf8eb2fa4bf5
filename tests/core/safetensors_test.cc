// tests/core/safetensors_test.cc - the safetensors reader against good, foreign and hostile files, and the writer's round
// trips.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/safetensors.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.h"

extern "C" mo_status_t mo_test_safetensors_write(const char *path);
extern "C" int mo_test_safetensors_read(const char *path);

namespace {

const mo_device kCpu = {MO_DEVICE_KIND_CPU, 0};

struct Closer {
  void operator()(mo_safetensors_t *file) const { mo_safetensors_close(file); }
};
using File = std::unique_ptr<mo_safetensors_t, Closer>;

std::string WithLength(uint64_t length, const std::string &rest) {
  std::string file;
  for (int i = 0; i < 8; ++i) file.push_back(static_cast<char>(length >> (8 * i)));
  return file + rest;
}

std::string MakeFile(const std::string &header, size_t data_bytes) {
  return WithLength(header.size(), header + std::string(data_bytes, '\x5A'));
}

// Reads from a block of exactly the right size, so that a sanitizer sees any byte read past it.
mo_status_t OpenBlob(const std::string &blob, File *file) {
  static std::vector<std::unique_ptr<char[]>> blocks;  // the reader keeps pointing into them
  blocks.emplace_back(new char[blob.size()]);
  memcpy(blocks.back().get(), blob.data(), blob.size());
  mo_safetensors_t *raw = nullptr;
  const mo_status_t status = mo_safetensors_open_memory(blocks.back().get(), blob.size(), &raw);
  EXPECT_EQ(status == MO_STATUS_OK, raw != nullptr);
  file->reset(raw);
  return status;
}

void ExpectBad(const std::string &what, const std::string &blob, const std::string &sentence_part) {
  SCOPED_TRACE(what);
  File file;
  EXPECT_EQ(OpenBlob(blob, &file), MO_STATUS_BAD_FILE);
  EXPECT_NE(std::string(mo_last_error()).find(sentence_part), std::string::npos) << mo_last_error();
}

class SafetensorsTest : public testing::Test {
 protected:
  std::string Path(const std::string &name) const { return folder_.File(name); }
  size_t FilesInFolder() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(folder_.path()), std::filesystem::directory_iterator()));
  }
  test_support::TemporaryFolder folder_;
};

const char kTwo[] =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";

std::string One(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return "{\"name.of.it\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
}

TEST_F(SafetensorsTest, CProgramWritesAndReads) {
  ASSERT_EQ(mo_test_safetensors_write(Path("c.safetensors").c_str()), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_test_safetensors_read(Path("c.safetensors").c_str()), 0) << mo_last_error();
}

TEST_F(SafetensorsTest, OpensAGoodFileInDataOrder) {
  File file;
  ASSERT_EQ(OpenBlob(MakeFile(kTwo, 11), &file), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_safetensors_count(file.get()), 2);
  EXPECT_STREQ(mo_safetensors_name(file.get(), 0), "a");
  EXPECT_STREQ(mo_safetensors_name(file.get(), 1), "b");
  EXPECT_EQ(mo_safetensors_name(file.get(), 2), nullptr);
  EXPECT_EQ(mo_safetensors_name(file.get(), -1), nullptr);
  mo_tensor tensor;
  ASSERT_EQ(mo_safetensors_tensor(file.get(), "b", &tensor), MO_STATUS_OK);
  EXPECT_EQ(tensor.dtype, MO_DTYPE_UINT8);
  EXPECT_EQ(tensor.rank, 1);
  EXPECT_EQ(tensor.shape[0], 3);
  EXPECT_EQ(static_cast<char *>(tensor.data)[2], '\x5A');
  EXPECT_EQ(mo_safetensors_tensor(file.get(), "c", &tensor), MO_STATUS_KEY_ERROR);
  EXPECT_NE(std::string(mo_last_error()).find("\"c\""), std::string::npos);
  EXPECT_EQ(mo_safetensors_metadata(file.get(), "format"), nullptr);
}

TEST_F(SafetensorsTest, HeaderOrderNeedNotBeDataOrder) {
  File file;
  const std::string header =
      R"({"z":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},"__metadata__":{"k":"v","é":"ü"},"y":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},
          "e":{"dtype":"F32","shape":[0,7],"data_offsets":[3,3]}})";
  ASSERT_EQ(OpenBlob(MakeFile(header + "   ", 4), &file), MO_STATUS_OK) << mo_last_error();
  EXPECT_STREQ(mo_safetensors_name(file.get(), 0), "y");
  EXPECT_STREQ(mo_safetensors_name(file.get(), 1), "e");
  EXPECT_STREQ(mo_safetensors_name(file.get(), 2), "z");
  EXPECT_STREQ(mo_safetensors_metadata(file.get(), "é"), "ü");
  EXPECT_EQ(mo_safetensors_metadata(file.get(), "absent"), nullptr);
  mo_tensor tensor;
  EXPECT_EQ(mo_safetensors_tensor(file.get(), "__metadata__", &tensor), MO_STATUS_KEY_ERROR);
  ASSERT_EQ(mo_safetensors_tensor(file.get(), "e", &tensor), MO_STATUS_OK);
  EXPECT_EQ(mo_tensor_count(&tensor), 0);
  EXPECT_EQ(tensor.shape[1], 7);
}

TEST_F(SafetensorsTest, AnEmptyCollectionIsAFile) {
  File file;
  EXPECT_EQ(OpenBlob(MakeFile("{}", 0), &file), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_safetensors_count(file.get()), 0);
  mo_tensor tensor;
  EXPECT_EQ(mo_safetensors_tensor(file.get(), "a", &tensor), MO_STATUS_KEY_ERROR);
  EXPECT_EQ(OpenBlob(MakeFile(R"({"__metadata__":{}})", 0), &file), MO_STATUS_OK);
}

TEST_F(SafetensorsTest, LegalDtypesAreListedAndRefusedOnlyWhenAskedFor) {
  const struct {
    const char *name;
    int bits;
    mo_dtype_t dtype;
  } types[] = {{"BOOL", 8, MO_DTYPE_BOOL},
               {"U8", 8, MO_DTYPE_UINT8},
               {"I8", 8, MO_DTYPE_INT8},
               {"F8_E5M2", 8, MO_DTYPE_NONE},
               {"F8_E4M3", 8, MO_DTYPE_FLOAT8_E4M3},
               {"I16", 16, MO_DTYPE_NONE},
               {"U16", 16, MO_DTYPE_NONE},
               {"F16", 16, MO_DTYPE_FLOAT16},
               {"BF16", 16, MO_DTYPE_BFLOAT16},
               {"I32", 32, MO_DTYPE_INT32},
               {"U32", 32, MO_DTYPE_NONE},
               {"F32", 32, MO_DTYPE_FLOAT32},
               {"F64", 64, MO_DTYPE_NONE},
               {"I64", 64, MO_DTYPE_INT64},
               {"U64", 64, MO_DTYPE_NONE},
               {"C64", 64, MO_DTYPE_NONE},
               {"F4", 4, MO_DTYPE_NONE},
               {"F6_E2M3", 6, MO_DTYPE_NONE},
               {"F6_E3M2", 6, MO_DTYPE_NONE},
               {"F8_E8M0", 8, MO_DTYPE_NONE}};
  for (const auto &type : types) {
    SCOPED_TRACE(type.name);
    const int bytes = 4 * 3 * type.bits / 8;
    const std::string quoted = std::string("\"") + type.name + "\"";
    File file;
    ASSERT_EQ(OpenBlob(MakeFile(One(quoted, "[4,3]", "[0," + std::to_string(bytes) + "]"), static_cast<size_t>(bytes)), &file),
              MO_STATUS_OK)
        << mo_last_error();
    EXPECT_EQ(mo_safetensors_count(file.get()), 1);
    mo_tensor tensor;
    const mo_status_t status = mo_safetensors_tensor(file.get(), "name.of.it", &tensor);
    EXPECT_EQ(status, type.dtype == MO_DTYPE_NONE ? MO_STATUS_UNSUPPORTED : MO_STATUS_OK);
    if (status == MO_STATUS_OK) {
      EXPECT_EQ(tensor.dtype, type.dtype);
    } else {
      EXPECT_NE(std::string(mo_last_error()).find(type.name), std::string::npos) << mo_last_error();
    }
    // What is read may be cast where it cannot be looked at in place.
    const std::string name = type.name;
    const mo_dtype_t read = name == "F64" ? MO_DTYPE_FLOAT32 : name == "F8_E5M2" ? MO_DTYPE_FLOAT16 : type.dtype;
    tensor = {};
    EXPECT_EQ(mo_safetensors_describe(file.get(), "name.of.it", &tensor),
              read == MO_DTYPE_NONE ? MO_STATUS_UNSUPPORTED : MO_STATUS_OK);
    EXPECT_EQ(tensor.dtype, read);
    EXPECT_EQ(tensor.data, nullptr);
    char memory[12 * 8];
    EXPECT_EQ(mo_safetensors_read(file.get(), "name.of.it", 0, 12, memory),
              read == MO_DTYPE_NONE ? MO_STATUS_UNSUPPORTED : MO_STATUS_OK);
  }
  File file;  // more dimensions than a descriptor holds
  ASSERT_EQ(OpenBlob(MakeFile(One("\"U8\"", "[1,1,1,1,1,1,1,1,2]", "[0,2]"), 2), &file), MO_STATUS_OK) << mo_last_error();
  mo_tensor tensor;
  EXPECT_EQ(mo_safetensors_tensor(file.get(), "name.of.it", &tensor), MO_STATUS_UNSUPPORTED);
}

TEST_F(SafetensorsTest, TruncationAtEveryByteIsFound) {
  const std::string whole = MakeFile(kTwo, 11);
  for (size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    File file;
    EXPECT_EQ(OpenBlob(whole.substr(0, length), &file), MO_STATUS_BAD_FILE);
  }
  File file;
  EXPECT_EQ(OpenBlob(whole, &file), MO_STATUS_OK);
}

TEST_F(SafetensorsTest, EveryFlippedBitIsReadOrRefusedWithoutHarm) {
  const std::string whole = MakeFile(kTwo, 11);
  size_t refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    File file;
    const mo_status_t status = OpenBlob(damaged, &file);
    ASSERT_TRUE(status == MO_STATUS_OK || status == MO_STATUS_BAD_FILE) << bit << mo_last_error();
    refused += status == MO_STATUS_BAD_FILE;
    for (int64_t i = 0; i < mo_safetensors_count(file.get()); ++i) {
      mo_tensor tensor;
      if (mo_safetensors_tensor(file.get(), mo_safetensors_name(file.get(), i), &tensor) != MO_STATUS_OK) continue;
      const unsigned char *bytes = static_cast<unsigned char *>(tensor.data);
      volatile int sum = std::accumulate(bytes, bytes + mo_tensor_bytes(&tensor), 0);
      (void)sum;
    }
  }
  EXPECT_GT(refused, whole.size() * 4);
}

TEST_F(SafetensorsTest, BrokenHeadersAreNamed) {
  ExpectBad("empty", "", "0 bytes");
  ExpectBad("no header", WithLength(0, ""), "does not begin with '{'");
  ExpectBad("length past the end", WithLength(100, "{}"), "only 2 follow");
  ExpectBad("length of 2^64 - 1", WithLength(UINT64_MAX, "{}"), "at most 100000000");
  ExpectBad("length of 2^63", WithLength(uint64_t{1} << 63, "{}"), "at most 100000000");
  ExpectBad("length that wraps around", WithLength(UINT64_MAX - 7, "{}"), "at most 100000000");
  ExpectBad("length just over the limit", WithLength(100000001, "{}"), "at most 100000000");
  ExpectBad("not JSON", MakeFile("{not json}", 0), "not valid JSON");
  ExpectBad("begins with a blank", MakeFile(" {}", 0), "does not begin with '{'");
  ExpectBad("an array", MakeFile("[]", 0), "does not begin with '{'");
  ExpectBad("unterminated", MakeFile("{", 0), "not valid JSON");
  ExpectBad("two objects", MakeFile("{}{}", 0), "not valid JSON");
  ExpectBad("NUL inside", MakeFile(std::string("{\0}", 3), 0), "not valid JSON");
  ExpectBad("not UTF-8", MakeFile("{\"\xC3\x28\":1}", 0), "not valid JSON");
  ExpectBad("overlong UTF-8", MakeFile("{\"\xC0\xAF\":1}", 0), "not valid JSON");
  ExpectBad("lone surrogate", MakeFile(R"({"\ud800":1})", 0), "not valid JSON");
  ExpectBad("deep arrays", MakeFile("{\"a\":" + std::string(100000, '['), 0), "not valid JSON");
  std::string nested = "{\"a\":";
  for (int i = 0; i < 100000; ++i) nested += "{\"a\":";
  ExpectBad("deep objects", MakeFile(nested, 0), "not valid JSON");
  ExpectBad(
      "duplicate tensor",
      MakeFile(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
               1),
      "duplicate");
  ExpectBad("duplicate member", MakeFile(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
            "duplicate");
  ExpectBad("integer over 64 bits", MakeFile(One("\"U8\"", "[99999999999999999999]", "[0,1]"), 1), "not valid JSON");
  ExpectBad("metadata is a list", MakeFile(R"({"__metadata__":[]})", 0), "must be an object of strings");
  ExpectBad("metadata holds a number", MakeFile(R"({"__metadata__":{"a":1}})", 0), "\"a\" must be a string");
  ExpectBad("metadata holds an object", MakeFile(R"({"__metadata__":{"a":{}}})", 0), "\"a\" must be a string");
  ExpectBad("metadata is null", MakeFile(R"({"__metadata__":null})", 0), "must be an object of strings");
}

TEST_F(SafetensorsTest, BrokenTensorsAreNamed) {
  const auto bad = [](const std::string &what, const std::string &dtype, const std::string &shape, const std::string &offsets,
                      size_t bytes, const std::string &part) {
    ExpectBad(what, MakeFile(One(dtype, shape, offsets), bytes), "\"name.of.it\": " + part);
  };
  bad("unknown dtype", "\"F31\"", "[1]", "[0,4]", 4, "dtype \"F31\"");
  bad("lower case dtype", "\"f32\"", "[1]", "[0,4]", 4, "dtype \"f32\"");
  bad("library's own dtype name", "\"float32\"", "[1]", "[0,4]", 4, "dtype \"float32\"");
  bad("dtype is a number", "32", "[1]", "[0,4]", 4, "dtype is no string");
  bad("shape is a number", "\"F32\"", "1", "[0,4]", 4, "shape is no array");
  bad("shape with a float", "\"F32\"", "[1.0]", "[0,4]", 4, "shape[0] is no integer");
  bad("shape with a string", "\"F32\"", "[1,\"1\"]", "[0,4]", 4, "shape[1] is no integer");
  bad("negative extent", "\"F32\"", "[-1]", "[0,4]", 4, "shape[0] is -1");
  bad("two negative extents", "\"F32\"", "[-1,-1]", "[0,4]", 4, "shape[0] is -1");
  bad("product overflows", "\"U8\"", "[4294967296,4294967296]", "[0,0]", 0, "the product of the shape overflows");
  bad("product overflows to the right size", "\"U8\"", "[4611686018427387905,4]", "[0,4]", 4,
      "the product of the shape overflows");
  bad("product overflows beside a 0", "\"U8\"", "[4294967296,4294967296,0]", "[0,0]", 0, "the product of the shape overflows");
  bad("bytes overflow", "\"F64\"", "[2305843009213693952]", "[0,0]", 0, "2305843009213693952 elements of F64 overflow 64 bits");
  bad("half a byte", "\"F4\"", "[3]", "[0,1]", 1, "3 elements of F4 do not fill whole bytes");
  bad("offsets are a number", "\"F32\"", "[1]", "4", 4, "data_offsets is something else");
  bad("one offset", "\"F32\"", "[1]", "[4]", 4, "data_offsets is something else");
  bad("three offsets", "\"F32\"", "[1]", "[0,4,4]", 4, "data_offsets is something else");
  bad("float offset", "\"F32\"", "[1]", "[0,4.0]", 4, "data_offsets[1] is no integer");
  bad("exponent offset", "\"F32\"", "[1]", "[0e0,4]", 4, "data_offsets[0] is no integer");
  bad("string offset", "\"F32\"", "[1]", "[\"0\",4]", 4, "data_offsets[0] is no integer");
  bad("negative offset", "\"F32\"", "[1]", "[-4,0]", 4, "data_offsets [-4, 0] are no range");
  bad("reversed offsets", "\"F32\"", "[1]", "[4,0]", 4, "data_offsets [4, 0] are no range");
  bad("past the end", "\"F32\"", "[2]", "[0,8]", 4, "data_offsets end at 8, but the file holds 4");
  bad("far past the end", "\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]", 4, "");
  bad("too few bytes", "\"F32\"", "[2]", "[0,4]", 4, "shape and dtype need 8 bytes, data_offsets give 4");
  bad("too many bytes", "\"F32\"", "[1]", "[0,8]", 8, "shape and dtype need 4 bytes, data_offsets give 8");
  bad("scalar of the wrong size", "\"F32\"", "[]", "[0,0]", 0, "shape and dtype need 4 bytes");
  bad("begins late", "\"F32\"", "[1]", "[4,8]", 8, "begins at 4, leaving a hole after 0");
  ExpectBad("trailing bytes", MakeFile(One("\"F32\"", "[1]", "[0,4]"), 5), "1 bytes follow the last tensor");
  ExpectBad("data without tensors", MakeFile("{}", 3), "3 bytes follow the last tensor");
  ExpectBad("tensor is null", MakeFile(R"({"a":null})", 0), "\"a\": its entry");
  ExpectBad("tensor is an array", MakeFile(R"({"a":[]})", 0), "\"a\": its entry");
  ExpectBad("no dtype", MakeFile(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1), "\"a\": dtype is missing");
  ExpectBad("no shape", MakeFile(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "\"a\": shape is missing");
  ExpectBad("no offsets", MakeFile(R"({"a":{"dtype":"U8","shape":[1]}})", 1), "\"a\": data_offsets is missing");
  const auto pair = [](const char *a, const char *b) {
    return std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  ExpectBad("the same bytes twice", MakeFile(pair("[0,4]", "[0,4]"), 4), "\"b\": begins at 0 inside tensor \"a\"");
  ExpectBad("overlap", MakeFile(pair("[0,4]", "[3,7]"), 7), "\"b\": begins at 3 inside tensor \"a\"");
  ExpectBad("overlap, other order", MakeFile(pair("[2,6]", "[0,4]"), 6), "\"a\": begins at 2 inside tensor \"b\"");
  ExpectBad("hole", MakeFile(pair("[0,4]", "[5,9]"), 9), "\"b\": begins at 5, leaving a hole after 4");
  ExpectBad(
      "empty tensor inside another",
      MakeFile(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
               4),
      "\"b\": begins at 2 inside");
  const std::string long_name(3000, 'n');
  ExpectBad("long name", MakeFile("{\"" + long_name + "\":1}", 0), "nnn...\": its entry");
  ExpectBad("control character in the name", MakeFile(R"({"a\u001b[2J":1})", 0), "\"a?[2J\"");
}

// The same bytes by reading, in parts too, and by the mapping, of a file and of memory.
TEST_F(SafetensorsTest, ReadsWhatTheMappingShows) {
  std::string data;
  for (int i = 0; i < 5000 * 4; ++i) data.push_back(static_cast<char>(i * 7));
  const std::string blob = MakeFile(One("\"F32\"", "[50,100]", "[0,20000]"), 0) + data;
  std::ofstream(Path("file"), std::ios::binary) << blob;
  mo_safetensors_t *files[2] = {nullptr, nullptr};
  ASSERT_EQ(mo_safetensors_open(Path("file").c_str(), &files[0]), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_safetensors_open_memory(blob.data(), blob.size(), &files[1]), MO_STATUS_OK) << mo_last_error();
  for (mo_safetensors_t *file : files) {
    std::vector<char> read(20000);
    ASSERT_EQ(mo_safetensors_read(file, "name.of.it", 0, 5000, read.data()), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(std::string(read.data(), 20000), data);
    ASSERT_EQ(mo_safetensors_read(file, "name.of.it", 4990, 10, read.data()), MO_STATUS_OK);
    EXPECT_EQ(std::string(read.data(), 40), data.substr(4990 * 4));
    ASSERT_EQ(mo_safetensors_read(file, "name.of.it", 5000, 0, nullptr), MO_STATUS_OK);
    const int64_t wrong[][2] = {{-1, 1}, {0, 5001}, {5001, 0}, {1, INT64_MAX}, {0, -1}};
    for (const auto &range : wrong)
      EXPECT_EQ(mo_safetensors_read(file, "name.of.it", range[0], range[1], read.data()), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(mo_safetensors_read(file, "name.of.it", 0, 1, nullptr), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(mo_safetensors_read(nullptr, "name.of.it", 0, 1, read.data()), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(mo_safetensors_read(file, "other", 0, 1, read.data()), MO_STATUS_KEY_ERROR);
    mo_tensor tensor;
    EXPECT_EQ(mo_safetensors_describe(file, "other", &tensor), MO_STATUS_KEY_ERROR);
    EXPECT_EQ(mo_safetensors_describe(file, nullptr, &tensor), MO_STATUS_INVALID_ARGUMENT);
    // Several threads ask for the first tensor at once: all see one mapping.
    std::vector<const void *> seen(4);
    std::vector<std::thread> threads;
    for (auto &pointer : seen)
      threads.emplace_back([&pointer, file] {
        mo_tensor shown;
        if (mo_safetensors_tensor(file, "name.of.it", &shown) == MO_STATUS_OK) pointer = shown.data;
      });
    for (auto &thread : threads) thread.join();
    for (const void *pointer : seen) EXPECT_EQ(pointer, seen[0]);
    ASSERT_NE(seen[0], nullptr);
    EXPECT_EQ(std::string(static_cast<const char *>(seen[0]), 20000), data);
    mo_safetensors_close(file);
  }
  // Cut: what was not read is an error, and no mapping is made of it.
  mo_safetensors_t *cut = nullptr;
  ASSERT_EQ(mo_safetensors_open(Path("file").c_str(), &cut), MO_STATUS_OK);
  ASSERT_EQ(truncate(Path("file").c_str(), 1000), 0);
  char memory[40];
  mo_tensor tensor;
  EXPECT_EQ(mo_safetensors_read(cut, "name.of.it", 4990, 10, memory), MO_STATUS_IO_ERROR);
  EXPECT_EQ(mo_safetensors_tensor(cut, "name.of.it", &tensor), MO_STATUS_IO_ERROR);
  mo_safetensors_close(cut);
}

TEST_F(SafetensorsTest, FilesThatAreNoFiles) {
  mo_safetensors_t *file = nullptr;
  EXPECT_EQ(mo_safetensors_open(Path("absent").c_str(), &file), MO_STATUS_IO_ERROR);
  EXPECT_NE(std::string(mo_last_error()).find("No such file"), std::string::npos) << mo_last_error();
  EXPECT_NE(std::string(mo_last_error()).find("absent"), std::string::npos) << mo_last_error();
  EXPECT_EQ(mo_safetensors_open(folder_.path().c_str(), &file), MO_STATUS_IO_ERROR);
  EXPECT_NE(std::string(mo_last_error()).find("directory"), std::string::npos) << mo_last_error();
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(mo_safetensors_open(Path("pipe").c_str(), &file), MO_STATUS_IO_ERROR);
  std::ofstream(Path("empty")).close();
  EXPECT_EQ(mo_safetensors_open(Path("empty").c_str(), &file), MO_STATUS_BAD_FILE);
  std::ofstream(Path("short")) << "1234567";
  EXPECT_EQ(mo_safetensors_open(Path("short").c_str(), &file), MO_STATUS_BAD_FILE);
  EXPECT_EQ(mo_safetensors_open(Path(std::string(5000, 'x')).c_str(), &file), MO_STATUS_IO_ERROR);
  EXPECT_EQ(mo_safetensors_open(nullptr, &file), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_open(Path("empty").c_str(), nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_open_memory(nullptr, 8, &file), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_open_memory("12345678", 8, nullptr), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(file, nullptr);
  mo_safetensors_close(nullptr);
  EXPECT_EQ(mo_safetensors_count(nullptr), 0);
  EXPECT_EQ(mo_safetensors_name(nullptr, 0), nullptr);
  EXPECT_EQ(mo_safetensors_metadata(nullptr, "a"), nullptr);
  mo_tensor tensor;
  EXPECT_EQ(mo_safetensors_tensor(nullptr, "a", &tensor), MO_STATUS_INVALID_ARGUMENT);
}

TEST_F(SafetensorsTest, ReadsTheFilesOfTheOriginal) {
  const struct {
    const char *name;
    int64_t count;
    const char *tensor;
    std::vector<int64_t> shape;
    mo_dtype_t dtype;
  } cases[] = {
      {"inputs.safetensors", -1, "input_ids", {}, MO_DTYPE_INT64},
      {"model.safetensors", -1, "embeddings.word_embeddings.weight", {}, MO_DTYPE_FLOAT32},
      {"outputs.safetensors", -1, "hidden_states.0", {}, MO_DTYPE_FLOAT32},
  };
  for (const auto &c : cases) {
    SCOPED_TRACE(c.name);
    mo_safetensors_t *raw = nullptr;
    ASSERT_EQ(mo_safetensors_open((std::string(MO_TEST_DATA "/bert_model/") + c.name).c_str(), &raw), MO_STATUS_OK)
        << mo_last_error();
    File file(raw);
    EXPECT_GT(mo_safetensors_count(raw), 0);
    mo_tensor tensor;
    ASSERT_EQ(mo_safetensors_tensor(raw, c.tensor, &tensor), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(tensor.dtype, c.dtype);
    int64_t bytes = 0;
    for (int64_t i = 0; i < mo_safetensors_count(raw); ++i) {
      ASSERT_EQ(mo_safetensors_tensor(raw, mo_safetensors_name(raw, i), &tensor), MO_STATUS_OK) << mo_last_error();
      bytes += mo_tensor_bytes(&tensor);
      if (tensor.dtype == MO_DTYPE_FLOAT32) {
        for (int64_t e = 0; e < mo_tensor_count(&tensor); ++e) {
          float value;
          memcpy(&value, static_cast<char *>(tensor.data) + e * 4, 4);
          ASSERT_LT(std::abs(value), 1e3f);
        }
      }
    }
    EXPECT_LT(bytes, static_cast<int64_t>(std::filesystem::file_size(std::string(MO_TEST_DATA "/bert_model/") + c.name)));
  }
}

TEST_F(SafetensorsTest, ManyTensorsOfEveryDtypeComeBack) {
  std::mt19937_64 random(20261122);
  const mo_dtype_t dtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_INT8,
                               MO_DTYPE_INT32,   MO_DTYPE_INT64,   MO_DTYPE_UINT8,    MO_DTYPE_BOOL};
  const int count = 2003;
  std::vector<std::string> names;
  std::vector<std::vector<uint64_t>> data;
  std::vector<mo_tensor> tensors;
  for (int i = 0; i < count; ++i) {
    names.push_back("layer." + std::to_string(random() % 1000000) + "." + std::to_string(i) + (i % 7 == 0 ? ".ä\"\\\n" : ""));
    int64_t shape[MO_MAX_DIMS];
    const int rank = static_cast<int>(random() % (MO_MAX_DIMS + 1));
    int64_t elements = 1;
    for (int d = 0; d < rank; ++d) elements *= shape[d] = static_cast<int64_t>(random() % (rank > 4 ? 3 : 6));
    data.emplace_back(static_cast<size_t>(elements) + 1);
    for (uint64_t &word : data.back()) word = random();
    tensors.emplace_back();
    ASSERT_EQ(mo_tensor_init(&tensors.back(), data.back().data(), dtypes[random() % 9], kCpu, rank, shape), MO_STATUS_OK);
  }
  std::vector<const char *> name_pointers;
  for (const std::string &name : names) name_pointers.push_back(name.c_str());
  const char *keys[] = {"format", "order", "ünï"};
  const char *values[] = {"pt", "a,b\n\"c\"", ""};
  const std::string path = Path("many.safetensors");
  ASSERT_EQ(mo_safetensors_write(path.c_str(), name_pointers.data(), tensors.data(), count, keys, values, 3), MO_STATUS_OK)
      << mo_last_error();
  EXPECT_EQ(FilesInFolder(), 1u);
  mo_safetensors_t *raw = nullptr;
  ASSERT_EQ(mo_safetensors_open(path.c_str(), &raw), MO_STATUS_OK) << mo_last_error();
  File file(raw);
  ASSERT_EQ(mo_safetensors_count(raw), count);
  for (int i = 0; i < 3; ++i) EXPECT_STREQ(mo_safetensors_metadata(raw, keys[i]), values[i]);
  for (int i = 0; i < count; ++i) {
    const mo_tensor &wanted = tensors[static_cast<size_t>(i)];
    mo_tensor tensor;
    ASSERT_EQ(mo_safetensors_tensor(raw, name_pointers[static_cast<size_t>(i)], &tensor), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(tensor.dtype, wanted.dtype);
    ASSERT_EQ(tensor.rank, wanted.rank);
    for (int d = 0; d < wanted.rank; ++d) ASSERT_EQ(tensor.shape[d], wanted.shape[d]);
    ASSERT_EQ(memcmp(tensor.data, wanted.data, static_cast<size_t>(mo_tensor_bytes(&wanted))), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data) % mo_dtype_bytes(tensor.dtype), 0u);
  }
  // Falling width, then the name; the data at a multiple of 8.
  size_t width = 8;
  std::string previous;
  for (int64_t i = 0; i < count; ++i) {
    mo_tensor tensor;
    const std::string name = mo_safetensors_name(raw, i);
    ASSERT_EQ(mo_safetensors_tensor(raw, name.c_str(), &tensor), MO_STATUS_OK);
    ASSERT_LE(mo_dtype_bytes(tensor.dtype), width);
    width = mo_dtype_bytes(tensor.dtype);
  }
  std::ifstream stream(path, std::ios::binary);
  unsigned char length[8];
  stream.read(reinterpret_cast<char *>(length), 8);
  EXPECT_EQ(length[0] % 8, 0);
}

TEST_F(SafetensorsTest, WriterRefusesWhatItCannotWriteAndLeavesTheOldFile) {
  const std::string path = Path("kept.safetensors");
  ASSERT_EQ(mo_test_safetensors_write(path.c_str()), MO_STATUS_OK);
  float data[6] = {};
  const int64_t shape[] = {2, 3};
  mo_tensor good;
  ASSERT_EQ(mo_tensor_init(&good, data, MO_DTYPE_FLOAT32, kCpu, 2, shape), MO_STATUS_OK);
  const auto write = [&](std::vector<const char *> names, std::vector<mo_tensor> tensors, std::vector<const char *> keys = {},
                         std::vector<const char *> values = {}) {
    return mo_safetensors_write(path.c_str(), names.data(), tensors.data(), static_cast<int64_t>(names.size()), keys.data(),
                                values.data(), static_cast<int64_t>(keys.size()));
  };
  mo_tensor strided = good, away = good, unknown = good, dangling = good;
  strided.shape[1] = 2;
  away.device = {MO_DEVICE_KIND_CUDA, 0};
  unknown.dtype = MO_DTYPE_NONE;
  dangling.data = nullptr;
  mo_tensor wide = good;
  wide.dtype = MO_DTYPE_UINT8;
  EXPECT_EQ(write({"t"}, {strided}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("\"t\" is not contiguous"), std::string::npos) << mo_last_error();
  EXPECT_EQ(write({"t"}, {away}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {unknown}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("\"t\""), std::string::npos) << mo_last_error();
  EXPECT_EQ(write({"t"}, {dangling}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t", "u", "t"}, {good, good, wide}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("occurs twice"), std::string::npos) << mo_last_error();
  EXPECT_EQ(write({"__metadata__"}, {good}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({nullptr}, {good}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"\xFF"}, {good}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"k", "k"}, {"1", "2"}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"k"}, {nullptr}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"k"}, {"\xFF"}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(write({"t"}, {good}, {"\xFF"}, {"v"}), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, &good, 1, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, nullptr, -1, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 1), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(nullptr, nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write("", nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_safetensors_write(Path("no/such/folder").c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_IO_ERROR);
  std::filesystem::create_directory(Path("folder"));
  EXPECT_EQ(mo_safetensors_write(Path("folder").c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_IO_ERROR);
  EXPECT_EQ(FilesInFolder(), 2u);  // the old file and the folder, no temporary
  EXPECT_EQ(mo_test_safetensors_read(path.c_str()), 0);
  EXPECT_EQ(mo_safetensors_write(path.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_test_safetensors_read(path.c_str()), 2);
}

TEST_F(SafetensorsTest, WriterRemovesItsTemporaryWhenAWriteFails) {
  // A file size limit gives the same failing write() as a full disk.
  float data[4096] = {};
  const int64_t shape[] = {4096};
  mo_tensor tensor;
  ASSERT_EQ(mo_tensor_init(&tensor, data, MO_DTYPE_FLOAT32, kCpu, 1, shape), MO_STATUS_OK);
  const char *name = "t";
  const auto write_limited = [&] {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    limit.rlim_cur = limit.rlim_max = 4096;
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(mo_safetensors_write(Path("full").c_str(), &name, &tensor, 1, nullptr, nullptr, 0));
  };
  EXPECT_EXIT(write_limited(), testing::ExitedWithCode(MO_STATUS_IO_ERROR), "");
  EXPECT_EQ(FilesInFolder(), 0u);
}

// What stands at the path of a file that is written: its kind afterwards, and whether there is content.
class WriterTarget : public SafetensorsTest {
 protected:
  static mo_status_t Write(const std::string &path) {
    static float value = 3;
    const int64_t shape[] = {1};
    const mo_tensor tensor = mo_tensor_cpu(&value, MO_DTYPE_FLOAT32, 1, shape);
    const char *name = "t";
    return mo_safetensors_write(path.c_str(), &name, &tensor, 1, nullptr, nullptr, 0);
  }
  static mode_t Mode(const std::string &path) {
    struct stat found;
    return lstat(path.c_str(), &found) == 0 ? found.st_mode : 0;
  }
  static void ExpectWritten(const std::string &path) {
    File file;
    mo_safetensors_t *raw = nullptr;
    EXPECT_EQ(mo_safetensors_open(path.c_str(), &raw), MO_STATUS_OK) << mo_last_error();
    file.reset(raw);
    EXPECT_EQ(mo_safetensors_count(raw), 1);
    EXPECT_TRUE(S_ISREG(Mode(path)));
  }
};

TEST_F(WriterTarget, LinksAreFollowedAndStay) {
  ASSERT_EQ(mkdir(Path("sub").c_str(), 0777), 0);
  std::ofstream(Path("sub/old")) << "old";
  ASSERT_EQ(symlink("sub/old", Path("link").c_str()), 0);
  ASSERT_EQ(symlink("link", Path("second").c_str()), 0);
  ASSERT_EQ(Write(Path("second")), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(S_ISLNK(Mode(Path("second"))));
  EXPECT_TRUE(S_ISLNK(Mode(Path("link"))));
  ExpectWritten(Path("sub/old"));
  ASSERT_EQ(symlink(Path("sub/new").c_str(), Path("dangling").c_str()), 0);
  ASSERT_EQ(Write(Path("dangling")), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(S_ISLNK(Mode(Path("dangling"))));
  ExpectWritten(Path("sub/new"));
  ASSERT_EQ(symlink("loop", Path("loop").c_str()), 0);
  EXPECT_EQ(Write(Path("loop")), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISLNK(Mode(Path("loop"))));
  EXPECT_EQ(FilesInFolder(), 5u) << "nothing else was made";
}

TEST_F(WriterTarget, WhatIsNoFileStays) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0666), 0);
  EXPECT_EQ(Write(Path("pipe")), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISFIFO(Mode(Path("pipe"))));
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(Path("socket").size(), sizeof address.sun_path);
  strcpy(address.sun_path, Path("socket").c_str());
  ASSERT_EQ(bind(listener, reinterpret_cast<struct sockaddr *>(&address), sizeof address), 0);
  EXPECT_EQ(Write(Path("socket")), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISSOCK(Mode(Path("socket"))));
  close(listener);
  ASSERT_EQ(symlink("/dev/null", Path("null").c_str()), 0);
  EXPECT_EQ(Write(Path("null")), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(Write("/dev/null"), MO_STATUS_OK) << mo_last_error();
  EXPECT_TRUE(S_ISCHR(Mode("/dev/null")));
  EXPECT_EQ(Write("/dev/full"), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(S_ISCHR(Mode("/dev/full")));
  if (mknod(Path("disk").c_str(), S_IFBLK | 0666, makedev(7, 200)) == 0) { /* for a privileged process only */
    EXPECT_EQ(Write(Path("disk")), MO_STATUS_IO_ERROR);
    EXPECT_TRUE(S_ISBLK(Mode(Path("disk"))));
  }
  EXPECT_EQ(Write(Path("")), MO_STATUS_IO_ERROR);
}

TEST_F(WriterTarget, LongNames) {
  for (const size_t length : {1, 200, 250, 255}) {
    const std::string path = Path(std::string(length, 'n'));
    ASSERT_EQ(Write(path), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(Write(path), MO_STATUS_OK) << "a second time: " << mo_last_error();
    ExpectWritten(path);
  }
  EXPECT_EQ(Write(Path(std::string(256, 'n'))), MO_STATUS_IO_ERROR);
  EXPECT_EQ(FilesInFolder(), 4u);
}

TEST_F(WriterTarget, PermissionsOfTheReplacedFileAreKept) {
  const mode_t before = umask(027);
  ASSERT_EQ(Write(Path("new")), MO_STATUS_OK);
  EXPECT_EQ(Mode(Path("new")) & 07777, 0640u) << "a new file has what the process gives";
  ASSERT_EQ(chmod(Path("new").c_str(), 0604), 0);
  ASSERT_EQ(Write(Path("new")), MO_STATUS_OK);
  umask(before);
  EXPECT_EQ(Mode(Path("new")) & 07777, 0604u);
  ExpectWritten(Path("new"));
}

// A process that is ended while it writes leaves the old file, and nothing beside it.
TEST_F(WriterTarget, NothingStaysBehindWhenTheProcessEnds) {
  ASSERT_EQ(Write(Path("file")), MO_STATUS_OK);
  std::vector<float> data(1 << 22);
  const int64_t shape[] = {static_cast<int64_t>(data.size())};
  const mo_tensor tensor = mo_tensor_cpu(data.data(), MO_DTYPE_FLOAT32, 1, shape);
  const char *name = "t";
  for (int delay = 0; delay < 12; ++delay) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) (void)mo_safetensors_write(Path("file").c_str(), &name, &tensor, 1, nullptr, nullptr, 0);
    }
    usleep(static_cast<useconds_t>(2000 + 1500 * delay));
    kill(child, SIGINT);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    File file;
    mo_safetensors_t *raw = nullptr;
    EXPECT_EQ(mo_safetensors_open(Path("file").c_str(), &raw), MO_STATUS_OK) << mo_last_error();
    file.reset(raw);
  }
  EXPECT_EQ(FilesInFolder(), 1u);
}

}  // namespace
