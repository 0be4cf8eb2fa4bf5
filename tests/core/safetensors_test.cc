/* tests/core/safetensors_test.cc - the safetensors reader against good, foreign and hostile files.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/core/safetensors_case.h"

namespace {

using namespace safetensors_case;

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

}  // namespace
