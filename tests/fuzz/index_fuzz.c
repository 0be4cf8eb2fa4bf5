/* tests/fuzz/index_fuzz.c - any model.safetensors.index.json beside the shards of a small model.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_json.h"
#include "tests/fuzz/fuzz_model.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

const char *const fuzz_json_dictionary = MO_FUZZ_CORPUS "/../index.dict";

static const char *const folders[] = {"../cases/user_reports/shard_duplicate_tensor",
                                      "../cases/user_reports/index_lists_absent_tensor"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char *const files[] = {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  fuzz_input input = {data, bytes};
  fuzz_part part;
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  mo_model_t *model = NULL;
  const char *folder = folders[fuzz_pick(&input, sizeof folders / sizeof folders[0])];
  const uint8_t choices = fuzz_byte(&input);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) fuzz_model_link(folder, files[i]);
  if (choices & 32) fuzz_scratch_remove(files[2]);
  (void)fuzz_json_part(&input, &part);
  fuzz_json_file(&part, "model.safetensors.index.json");

  options.allow_missing = choices & 4;
  options.map_weights = choices & 8;
  if (fuzz_model_load(&options, &model)) {
    for (int64_t i = 0; mo_model_missing_tensor(model, i) != NULL; ++i) FUZZ_REQUIRE(options.allow_missing);
    if (choices & 16) fuzz_model_run(model, false, false);
  }
  mo_model_destroy(model);
  fuzz_close_context();
  return 0;
}
