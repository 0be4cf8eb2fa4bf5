/* tests/fuzz/config_fuzz.c - any bytes as config.json, asked for everything a model family asks for.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "host/checkpoint/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char *const keys[] = {"hidden_size", "layer_norm_eps", "hidden_act", "use_cache", "a", ""};
  mo_config_t *config = NULL;
  if (mo_config_from_text((const char *)data, bytes, "config.json", &config) != MO_STATUS_OK) {
    if (config != NULL || mo_last_error()[0] == '\0') abort();
    return 0;
  }
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; ++i) {
    int64_t integer = 1;
    double real = 0.5;
    bool flag;
    const char *text = "";
    if (mo_config_integer(config, keys[i], 1, 4096, 7, &integer) == MO_STATUS_OK && (integer < 1 || integer > 4096)) abort();
    if (mo_config_float(config, keys[i], 0.0, 1.0, 0.5, &real) == MO_STATUS_OK && !(real >= 0.0 && real <= 1.0)) abort();
    (void)mo_config_bool(config, keys[i], true, &flag);
    if (mo_config_string(config, keys[i], "", &text) == MO_STATUS_OK && text == NULL) abort();
    (void)mo_config_find_integer(config, keys[i], &integer);
  }
  int64_t count = 1;
  const char *const *names;
  const char *problem_type;
  if (mo_config_num_labels(config, &count) == MO_STATUS_OK && count < 1) abort();
  (void)mo_config_problem_type(config, &problem_type);
  if (mo_config_architectures(config, &names, &count) != MO_STATUS_OK) abort();
  for (int64_t i = 0; i < count; ++i)
    if (names[i] == NULL) abort();
  mo_config_destroy(config);
  return 0;
}
