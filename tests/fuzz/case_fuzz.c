/* tests/fuzz/case_fuzz.c - any case.json beside the files of a recorded case: replayed and compared as `modelout check` does.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/replay/replay.h"
#include "tests/fuzz/fuzz_json.h"
#include "tests/fuzz/fuzz_model.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

const char *const fuzz_json_dictionary = MO_FUZZ_CORPUS "/../case.dict";

static const char *const cases[] = {"llama_lm",         "t5_lm",          "bert_seqcls_single", "bart_lm",
                                    "gpt2_model_cross", "llama_lm_static"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char *const files[] = {"config.json", "model.safetensors", "inputs.safetensors", "outputs.safetensors"};
  char folder[FUZZ_PATH_BYTES], path[FUZZ_PATH_BYTES];
  fuzz_input input = {data, bytes};
  fuzz_part part;
  mo_replay *replay = NULL;
  mo_replay_comparison comparison = {0};
  const char *name = cases[fuzz_pick(&input, sizeof cases / sizeof cases[0])];
  const uint8_t choices = fuzz_byte(&input);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) fuzz_model_link(name, files[i]);
  (void)fuzz_json_part(&input, &part);
  fuzz_json_file(&part, "case.json");

  fuzz_scratch_path("", folder);
  fuzz_scratch_path("replay.safetensors", path);
  const mo_status_t status = mo_replay_case(fuzz_context(), folder, choices & 1 ? MO_DTYPE_BFLOAT16 : MO_DTYPE_NONE, &replay);
  FUZZ_REQUIRE(replay != NULL && (status == MO_STATUS_OK) == (replay->message[0] == '\0'));
  if (status == MO_STATUS_OK) {
    const mo_status_t compared = mo_replay_compare(replay, folder, 1e-4, &comparison);
    FUZZ_REQUIRE(compared == MO_STATUS_OK || comparison.message[0] != '\0');
    (void)mo_replay_save(replay, path);
  }
  mo_replay_destroy(replay);
  fuzz_close_context();
  return 0;
}
