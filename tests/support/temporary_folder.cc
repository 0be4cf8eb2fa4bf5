/* tests/support/temporary_folder.cc - an empty folder that is gone when the object ends.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace test_support {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() : path_((fs::temp_directory_path() / "modelout-test-XXXXXX").string()) {
  if (mkdtemp(path_.data()) != nullptr) return;
  ADD_FAILURE() << "no temporary folder " << path_;
  std::abort(); /* what the test writes must not go elsewhere */
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::permissions(path_, fs::perms::owner_all, error); /* a test may have taken them away */
  fs::remove_all(path_, error);
  EXPECT_FALSE(error) << path_ << ": " << error.message();
}

void TemporaryFolder::Write(const std::string &name, const std::string &text) const {
  fs::create_directories(fs::path(File(name)).parent_path());
  EXPECT_TRUE((std::ofstream(File(name), std::ios::binary) << text).flush()) << File(name);
}

void TemporaryFolder::Link(const std::string &name, const std::string &target) const {
  fs::create_symlink(fs::absolute(target), File(name));
}

void TemporaryFolder::CopyFrom(const std::string &folder) const {
  fs::copy(folder, path_, fs::copy_options::recursive);
  for (const auto &entry : fs::recursive_directory_iterator(path_))
    fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
}

}  // namespace test_support
