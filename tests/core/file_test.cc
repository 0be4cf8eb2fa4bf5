// tests/core/file_test.cc - what is no regular file is refused at once, what cannot be reached is not absent, and a Git LFS
// pointer is named, for every file the library reads.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
extern "C" {
#include "host/core/file.h"
#include "host/core/show.h"
}

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "modelout/model.h"
#include "modelout/safetensors.h"
#include "modelout/tokenizer.h"
#include "tests/support/scoped_context.h"
#include "tests/support/temporary_folder.h"

namespace {

namespace fs = std::filesystem;

constexpr char kPointer[] =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n";

bool Contains(const char *text, const std::string &part) { return std::string(text).find(part) != std::string::npos; }

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    alarm(60);  // a file that is waited for ends the test
  }
  void TearDown() override { alarm(0); }
  std::string Path(const std::string &name) const { return folder_.File(name); }
  void Write(const std::string &name, const std::string &text) const { folder_.Write(name, text); }

  // Things that are no regular files, each made anew under the name.
  std::vector<std::pair<const char *, std::function<void(const std::string &)>>> Odd() const {
    return {
        {"directory", [](const std::string &path) { fs::create_directory(path); }},
        {"pipe", [](const std::string &path) { ASSERT_EQ(mkfifo(path.c_str(), 0600), 0); }},
        {"link to a pipe",
         [this](const std::string &path) {
           (void)mkfifo(Path("a-pipe").c_str(), 0600);
           fs::create_symlink(Path("a-pipe"), path);
         }},
        {"socket",
         [](const std::string &path) {
           sockaddr_un address = {};
           address.sun_family = AF_UNIX;
           ASSERT_LT(path.size(), sizeof address.sun_path);
           std::strcpy(address.sun_path, path.c_str());
           const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
           ASSERT_EQ(bind(descriptor, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
           close(descriptor);
         }},
        {"device", [](const std::string &path) { fs::create_symlink("/dev/zero", path); }},
        {"terminal", [](const std::string &path) { fs::create_symlink("/dev/tty", path); }},
        {"links in a circle", [](const std::string &path) { fs::create_symlink(path, path); }},
    };
  }

  test_support::TemporaryFolder folder_;
};

TEST_F(FileTest, OpensRegularFilesAlone) {
  int descriptor = -1;
  int64_t bytes = 0;
  Write("file", "abc");
  ASSERT_EQ(mo_file_open(Path("file").c_str(), &descriptor, &bytes), MO_STATUS_OK);
  EXPECT_EQ(bytes, 3);
  char read[3];
  EXPECT_EQ(mo_file_read_at(descriptor, "file", 1, read, 2), MO_STATUS_OK);
  EXPECT_EQ(std::string(read, 2), "bc");
  EXPECT_EQ(mo_file_read_at(descriptor, "file", 1, read, 3), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(Contains(mo_last_error(), "ends after 3 bytes")) << mo_last_error();
  close(descriptor);
  for (const auto &[what, make] : Odd()) {
    SCOPED_TRACE(what);
    make(Path("odd"));
    char *text = nullptr;
    size_t size = 0;
    mo_safetensors_t *file = nullptr;
    EXPECT_EQ(mo_file_open(Path("odd").c_str(), &descriptor, nullptr), MO_STATUS_IO_ERROR);
    EXPECT_TRUE(Contains(mo_last_error(), "odd: ")) << mo_last_error();
    EXPECT_EQ(mo_file_read_all(Path("odd").c_str(), 100, &text, &size), MO_STATUS_IO_ERROR);
    EXPECT_EQ(mo_safetensors_open(Path("odd").c_str(), &file), MO_STATUS_IO_ERROR);
    fs::remove(Path("odd"));
  }
}

TEST_F(FileTest, ReadsWholeFilesUpToTheirLimit) {
  for (const size_t length : {size_t{0}, size_t{1}, size_t{4096}, size_t{65535}, size_t{65536}, size_t{300000}}) {
    const std::string whole(length, 'x');
    Write("file", whole);
    char *text = nullptr;
    size_t bytes = 0;
    ASSERT_EQ(mo_file_read_all(Path("file").c_str(), length, &text, &bytes), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(std::string(text, bytes), whole);
    EXPECT_EQ(text[bytes], '\0');
    free(text);
    if (length == 0) continue;
    EXPECT_EQ(mo_file_read_all(Path("file").c_str(), length - 1, &text, &bytes), MO_STATUS_BAD_FILE);
  }
  char *text = nullptr;
  size_t bytes = 0;  // says that it is empty, and is not
  ASSERT_EQ(mo_file_read_all("/proc/self/status", 1 << 20, &text, &bytes), MO_STATUS_OK) << mo_last_error();
  EXPECT_GT(bytes, 0u);
  free(text);
}

TEST_F(FileTest, OnlyWhatIsNotThereIsAbsent) {
  bool there = true;
  Write("file", "x");
  EXPECT_EQ(mo_file_find(Path("nothing").c_str(), &there), MO_STATUS_OK);
  EXPECT_FALSE(there);
  EXPECT_EQ(mo_file_find(Path("file/below").c_str(), &there), MO_STATUS_OK);
  EXPECT_FALSE(there);
  EXPECT_EQ(mo_file_find(Path("file").c_str(), &there), MO_STATUS_OK);
  EXPECT_TRUE(there);
  fs::create_symlink(Path("loop"), Path("loop"));
  EXPECT_EQ(mo_file_find(Path("loop").c_str(), &there), MO_STATUS_IO_ERROR);
  EXPECT_TRUE(Contains(mo_last_error(), "loop: cannot be reached: ")) << mo_last_error();
  EXPECT_EQ(mo_file_find(Path(std::string(5000, 'n')).c_str(), &there), MO_STATUS_IO_ERROR);
  if (geteuid() == 0) return;  // to whom nothing is denied
  fs::create_directory(Path("closed"));
  Write("closed/file", "x");
  fs::permissions(Path("closed"), fs::perms::none);
  EXPECT_EQ(mo_file_find(Path("closed/file").c_str(), &there), MO_STATUS_IO_ERROR);
  fs::permissions(Path("closed"), fs::perms::owner_all);
}

// Every file of a checkpoint, in turn odd, out of reach, or a Git LFS pointer.
TEST_F(FileTest, EveryFileOfACheckpoint) {
  const test_support::Context context(0);
  const auto load = [&](const std::string &file) {
    if (file.find("token") != std::string::npos || file == "vocab.txt") {
      mo_tokenizer_t *tokenizer = nullptr;
      const mo_status_t status = mo_tokenizer_load(folder_.path().c_str(), &tokenizer);
      mo_tokenizer_destroy(tokenizer);
      return status;
    }
    mo_model_t *model = nullptr;
    const mo_status_t status = mo_model_load(context.get(), folder_.path().c_str(), nullptr, &model);
    mo_model_destroy(model);
    return status;
  };
  const std::string golden = std::string(MO_TEST_DATA) + "/gpt2_lm";
  const auto restore = [&] {
    for (const auto &entry : fs::directory_iterator(folder_.path())) fs::remove_all(entry);
    for (const char *name : {"config.json", "model.safetensors"}) fs::copy_file(golden + "/" + name, Path(name));
    Write("generation_config.json", "{}");
    Write("tokenizer_config.json", "{}");
    Write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\n");
  };
  restore();
  ASSERT_EQ(load("config.json"), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(load("vocab.txt"), MO_STATUS_OK) << mo_last_error();
  for (const char *name : {"config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json",
                           "vocab.txt", "tokenizer_config.json", "tokenizer.json"}) {
    SCOPED_TRACE(name);
    const auto clear = [&] {
      restore();
      fs::remove(Path(name));
      if (std::string(name) == "model.safetensors.index.json") fs::remove(Path("model.safetensors"));
    };
    for (const auto &[what, make] : Odd()) {
      SCOPED_TRACE(what);
      clear();
      make(Path(name));
      EXPECT_EQ(load(name), MO_STATUS_IO_ERROR) << mo_last_error();
      EXPECT_TRUE(Contains(mo_last_error(), name)) << mo_last_error();
    }
    clear();
    Write(name, kPointer);
    EXPECT_EQ(load(name), MO_STATUS_BAD_FILE);
    EXPECT_TRUE(Contains(mo_last_error(), std::string(name) + ": is a Git LFS pointer")) << mo_last_error();
    EXPECT_TRUE(Contains(mo_last_error(), "git lfs pull")) << mo_last_error();
  }
}

TEST(Show, LeavesTextAndTakesWhatTerminalsObey) {
  const struct {
    const char *name, *shown;
  } cases[] = {
      {"", ""},
      {"encoder.layer.0", "encoder.layer.0"},
      {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"a\x1B[31mb\x07\n\t\x7F", "a?[31mb????"},
      {"c1 \xC2\x9B"
       "31m \xC2\x80",
       "c1 ?31m ?"},
      {"bidi \xE2\x80\xAE"
       "x\xE2\x81\xA6\xE2\x80\x8F\xD8\x9C",
       "bidi ?x???"},
      {"lines \xE2\x80\xA8\xE2\x80\xA9", "lines ??"},
      {"\xFF\xC3", "??"},
      {"\xED\xA0\x80", "???"},
  };
  for (const auto &c : cases) {
    EXPECT_STREQ(mo_name_show(c.name).text, c.shown);
    EXPECT_STREQ(mo_path_show(c.name).text, c.shown);
  }
  for (size_t length = 70; length < 200; ++length) {
    std::string text;
    while (text.size() < length) text += "\xE2\x82\xAC";
    const std::string name = mo_name_show(text.c_str()).text, path = mo_path_show(text.c_str()).text;
    EXPECT_LE(name.size(), 80u);
    EXPECT_EQ(name.find('?'), std::string::npos);
    EXPECT_EQ(name.substr(name.size() - 3) == "...", text.size() > 80);
    EXPECT_LT(path.size(), 128u);
    EXPECT_EQ(path.find('?'), std::string::npos);
    EXPECT_EQ(path.substr(0, 3) == "...", text.size() > 127);
  }
  EXPECT_STREQ(mo_name_show(nullptr).text, "(none)");
}

// Sentences of any function, whoever wrote it.
TEST(Show, SentencesHoldNothingATerminalObeys) {
  mo_set_error("op: %s, rule", "a\x1B]0;title\x07 \xC2\x9B \xE2\x80\xAE caf\xC3\xA9");
  EXPECT_STREQ(mo_last_error(), "op: a?]0;title? ? ? caf\xC3\xA9, rule");
  mo_set_error("%s", std::string(2000, 'x').c_str());
  EXPECT_EQ(strlen(mo_last_error()), 1023u);
  for (size_t blanks = 505; blanks < 512; ++blanks) {
    mo_set_error("%s\xF0\x9F\x98\x80", std::string(blanks, ' ').c_str());
    EXPECT_LE(strlen(mo_last_error()), 1023u);
  }
}

}  // namespace
