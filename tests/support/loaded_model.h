/* tests/support/loaded_model.h - a model for as long as an object lives, or why it could not be loaded.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_LOADED_MODEL_H
#define MO_TESTS_SUPPORT_LOADED_MODEL_H

#include <string>

#include "modelout/model.h"

namespace test_support {

class LoadedModel {
 public:
  LoadedModel(mo_context_t *context, const std::string &path, const mo_model_options &options) {
    status_ = mo_model_load(context, path.c_str(), &options, &model_);
    if (status_ != MO_STATUS_OK) error_ = mo_last_error();
  }
  ~LoadedModel() { mo_model_destroy(model_); }
  LoadedModel(const LoadedModel &) = delete;
  LoadedModel &operator=(const LoadedModel &) = delete;
  operator mo_model_t *() const { return model_; }
  mo_status_t status() const { return status_; }
  const std::string &error() const { return error_; }

 private:
  mo_model_t *model_ = nullptr;
  mo_status_t status_;
  std::string error_;
};

}  // namespace test_support

#endif
