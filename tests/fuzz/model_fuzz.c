/* tests/fuzz/model_fuzz.c - any config.json over the weights of a small model of one of the families: loaded, run, generated
 * with.
 *
 * Whatever the file says there is a status, and memory of the model's size.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_json.h"
#include "tests/fuzz/fuzz_model.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

const char *const fuzz_json_dictionary = MO_FUZZ_CORPUS "/../model.dict";

static const char *const models[] = {"bert_seqcls_single",
                                     "roberta_masked_lm",
                                     "distilbert_qa",
                                     "electra_pretraining",
                                     "albert_masked_lm",
                                     "gpt2_lm",
                                     "llama_lm",
                                     "mistral_lm_window",
                                     "qwen2_lm_layers",
                                     "gpt_neox_lm",
                                     "opt_lm",
                                     "bart_lm",
                                     "t5_lm",
                                     "llama_lm_yarn",
                                     "gpt2_lm_left",
                                     "bert_lm_head_cross",
                                     "opt_lm_projected",
                                     "t5_lm_gated",
                                     "llama_lm_llama3",
                                     "bart_seqcls",
                                     "llama_lm_dynamic",
                                     "llama_seqcls",
                                     "t5_encoder",
                                     "bert_multiple_choice"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  fuzz_input input = {data, bytes};
  fuzz_part part;
  mo_model_options options = MO_MODEL_OPTIONS_INIT;
  mo_model_t *model = NULL;
  const char *name = models[fuzz_pick(&input, sizeof models / sizeof models[0])];
  const uint8_t choices = fuzz_byte(&input);
  (void)fuzz_json_part(&input, &part);
  fuzz_model_link(name, "model.safetensors");
  fuzz_json_file(&part, "config.json");

  const mo_dtype_t dtypes[] = {MO_DTYPE_NONE, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT16, MO_DTYPE_NONE};
  options.dtype = dtypes[choices & 3];
  options.allow_missing = choices & 4;
  options.map_weights = choices & 8;
  if (choices & 16) options.framework = MO_FRAMEWORK_TF;
  if (fuzz_model_load(&options, &model)) {
    fuzz_model_run(model, choices & 32, choices & 64);
    fuzz_model_generate(model, NULL);
  }
  mo_model_destroy(model);
  fuzz_close_context();
  return 0;
}
