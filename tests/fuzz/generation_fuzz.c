/* tests/fuzz/generation_fuzz.c - any generation_config.json over a small model, or what its config.json says of generation.
 *
 * The parts are generation_config.json (empty: none) and config.json (not given: the model's own).
 *
 * How many tokens come is the file's to say where it says a small number; otherwise the options do.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/json.h"
#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_json.h"
#include "tests/fuzz/fuzz_model.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { TOKEN_LIMIT = 12 };

const char *const fuzz_json_dictionary = MO_FUZZ_CORPUS "/../generation.dict";

static const char *const models[] = {"gpt2_lm_beams", "llama_lm_beams", "bart_lm_scaled", "t5_lm", "gpt_neox_lm", "opt_lm"};

/* Whether the file itself ends every generation soon. */
static bool ends_soon(const fuzz_part *part) {
  json_t *settings = NULL;
  if (mo_json_read_object("settings", part->text, part->bytes, MO_JSON_PYTHON, &settings) != MO_STATUS_OK) return false;
  const json_t *length = json_object_get(settings, "max_new_tokens");
  if (!json_is_integer(length)) length = json_object_get(settings, "max_length");
  const bool soon = json_is_integer(length) && json_integer_value(length) <= TOKEN_LIMIT;
  json_decref(settings);
  return soon;
}

static bool go_on(void *user_data, int64_t step, const int64_t *tokens, int64_t rows) {
  (void)user_data;
  FUZZ_REQUIRE(step >= 0 && step <= TOKEN_LIMIT && rows >= 1);
  for (int64_t i = 0; i < rows; ++i) FUZZ_REQUIRE(tokens[i] >= INT32_MIN && tokens[i] <= INT32_MAX);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  fuzz_input input = {data, bytes};
  fuzz_part part, config;
  mo_model_options how = MO_MODEL_OPTIONS_INIT;
  mo_generation_options options = MO_GENERATION_OPTIONS_INIT;
  mo_model_t *model = NULL;
  const char *name = models[fuzz_pick(&input, sizeof models / sizeof models[0])];
  const uint8_t choices = fuzz_byte(&input);
  (void)fuzz_json_part(&input, &part);
  fuzz_model_link(name, "model.safetensors");
  fuzz_json_file(&part, "generation_config.json");
  if (fuzz_json_part(&input, &config)) fuzz_json_file(&config, "config.json");
  else fuzz_model_link(name, "config.json");

  options.max_new_tokens = ends_soon(part.bytes > 0 ? &part : &config) ? 0 : 1 + choices % 4;
  options.no_sampling = choices & 4;
  options.ignore_file_settings = choices & 8;
  options.output_scores = choices & 16;
  options.num_beams = choices & 32 ? 2 : 0;
  options.temperature = (choices & 0x44) == 64 ? 0.7f : 0.0f;
  options.no_eos_token = choices & 128;
  if (options.num_beams == 0) options.callback = go_on;
  if (options.ignore_file_settings && options.max_new_tokens == 0) options.max_new_tokens = 3;
  if (fuzz_model_load(&how, &model)) fuzz_model_generate(model, &options);
  mo_model_destroy(model);
  fuzz_close_context();
  return 0;
}
