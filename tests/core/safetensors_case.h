/* tests/core/safetensors_case.h - the fixture of the tests of safetensors files.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_CORE_SAFETENSORS_CASE_H
#define MO_TESTS_CORE_SAFETENSORS_CASE_H

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

namespace safetensors_case {

const mo_device kCpu = {MO_DEVICE_KIND_CPU, 0};

struct Closer {
  void operator()(mo_safetensors_t *file) const { mo_safetensors_close(file); }
};
using File = std::unique_ptr<mo_safetensors_t, Closer>;

inline std::string WithLength(uint64_t length, const std::string &rest) {
  std::string file;
  for (int i = 0; i < 8; ++i) file.push_back(static_cast<char>(length >> (8 * i)));
  return file + rest;
}

inline std::string MakeFile(const std::string &header, size_t data_bytes) {
  return WithLength(header.size(), header + std::string(data_bytes, '\x5A'));
}

// Reads from a block of exactly the right size, so that a sanitizer sees any byte read past it.
inline mo_status_t OpenBlob(const std::string &blob, File *file) {
  static std::vector<std::unique_ptr<char[]>> blocks;  // the reader keeps pointing into them
  blocks.emplace_back(new char[blob.size()]);
  memcpy(blocks.back().get(), blob.data(), blob.size());
  mo_safetensors_t *raw = nullptr;
  const mo_status_t status = mo_safetensors_open_memory(blocks.back().get(), blob.size(), &raw);
  EXPECT_EQ(status == MO_STATUS_OK, raw != nullptr);
  file->reset(raw);
  return status;
}

inline void ExpectBad(const std::string &what, const std::string &blob, const std::string &sentence_part) {
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

inline std::string One(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return "{\"name.of.it\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
}

}  // namespace safetensors_case

#endif
