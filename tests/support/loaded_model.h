/* tests/support/loaded_model.h - a model for as long as an object lives, or why it could not be loaded.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_LOADED_MODEL_H
#define MO_TESTS_SUPPORT_LOADED_MODEL_H

#include <string>

#include "modelout/model.h"

namespace test_support {

/* Settings of a load that are texts both. */
struct Architecture {
  const char *name;
};
struct SubModule {
  const char *name;
};

/* The folder of a recorded case. */
inline std::string GoldenCase(const std::string &name) { return std::string(MO_TEST_DATA) + "/" + name; }

class LoadedModel {
 public:
  /* `settings`: what differs from MO_MODEL_OPTIONS_INIT, in any order: an element type, a framework, an Architecture, a
   * SubModule; or whole mo_model_options, first. */
  template <typename... Settings>
  LoadedModel(mo_context_t *context, const std::string &path, const Settings &...settings) {
    mo_model_options options = MO_MODEL_OPTIONS_INIT;
    (Set(&options, settings), ...);
    status_ = mo_model_load(context, path.c_str(), &options, &model_);
    if (status_ != MO_STATUS_OK) error_ = path + ": " + mo_last_error();
  }
  ~LoadedModel() { mo_model_destroy(model_); }
  LoadedModel(const LoadedModel &) = delete;
  LoadedModel &operator=(const LoadedModel &) = delete;
  mo_model_t *get() const { return model_; }
  operator mo_model_t *() const { return model_; }
  mo_status_t status() const { return status_; }
  const std::string &error() const { return error_; }

 private:
  static void Set(mo_model_options *options, const mo_model_options &all) { *options = all; }
  static void Set(mo_model_options *options, mo_dtype_t dtype) { options->dtype = dtype; }
  static void Set(mo_model_options *options, mo_framework_t framework) { options->framework = framework; }
  static void Set(mo_model_options *options, Architecture architecture) { options->architecture = architecture.name; }
  static void Set(mo_model_options *options, SubModule sub_module) { options->sub_module = sub_module.name; }

  mo_model_t *model_ = nullptr;
  mo_status_t status_;
  std::string error_;
};

}  // namespace test_support

#endif
