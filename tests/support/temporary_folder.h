/* tests/support/temporary_folder.h - an empty folder that is gone, with all that is in it, when the object ends.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_TEMPORARY_FOLDER_H
#define MO_TESTS_SUPPORT_TEMPORARY_FOLDER_H

#include <string>

namespace test_support {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  const std::string &path() const { return path_; }
  std::string File(const std::string &name) const { return path_ + "/" + name; }

  /* Makes the file, and the folders that `name` holds. */
  void Write(const std::string &name, const std::string &text) const;

  /* A symbolic link of the name to a file elsewhere. */
  void Link(const std::string &name, const std::string &target) const;

  /* Everything in another folder, as files that may be written. */
  void CopyFrom(const std::string &folder) const;

 private:
  std::string path_;
};

}  // namespace test_support

#endif
