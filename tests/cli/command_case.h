/* tests/cli/command_case.h - starts the command and reads what it printed.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_CLI_COMMAND_CASE_H
#define MO_TESTS_CLI_COMMAND_CASE_H

#include <gtest/gtest.h>
#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/support/temporary_folder.h"

extern "C" {
int mo_test_json_report(long allowed);
long mo_test_json_allocations(void);
}

namespace command_case {

const char kGolden[] = MO_TEST_DATA;

struct Result {
  int exit_code;
  std::string out;
  std::string err;
};

using Folder = test_support::TemporaryFolder;

inline std::string ReadFile(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// `arguments` as a shell would read them.
inline Result Command(const std::string &arguments) {
  Folder folder;
  const std::string line =
      std::string(MO_BINARY_DIR) + "/bin/modelout " + arguments + " >" + folder.File("out") + " 2>" + folder.File("err");
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, ReadFile(folder.File("out")), ReadFile(folder.File("err"))};
}

inline std::string Case(const char *name) { return std::string(kGolden) + "/" + name; }

struct JsonDelete {
  void operator()(json_t *value) const { json_decref(value); }
};
using Json = std::unique_ptr<json_t, JsonDelete>;

inline Json Parse(const std::string &text) {
  json_error_t error;
  Json value(json_loads(text.c_str(), 0, &error));
  EXPECT_TRUE(value != nullptr) << error.text << "\n" << text.substr(0, 2000);
  return value;
}

inline std::string Text(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text == nullptr ? "" : text;
}

inline const json_t *Field(const json_t *report, const std::string &name) {
  size_t index = 0;
  json_t *entry = nullptr;
  json_array_foreach(json_object_get(report, "fields"), index, entry) {
    if (Text(entry, "name") == name) return entry;
  }
  return nullptr;
}

inline std::vector<int64_t> Shape(const json_t *entry) {
  std::vector<int64_t> shape;
  size_t index = 0;
  json_t *extent = nullptr;
  json_array_foreach(json_object_get(entry, "shape"), index, extent) shape.push_back(json_integer_value(extent));
  return shape;
}

inline int Lines(const std::string &text) {
  int lines = 0;
  for (const char c : text) lines += c == '\n';
  return lines;
}

}  // namespace command_case

#endif
