/* tests/fuzz/tokenizer_folder_fuzz.c - any files as those of a tokenizer's folder and of sentence-transformers; a text encoded.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_json.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { CAPACITY = 64 };

const char *const fuzz_json_dictionary = MO_FUZZ_CORPUS "/../tokenizer_folder.dict";

/* In the order of the parts; the text comes behind them. */
static const char *const files[] = {"tokenizer.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.txt",
                                    "config.json",
                                    "modules.json",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    "1_Pooling/config.json"};

static void encode(const mo_tokenizer_t *tokenizer, const char *text, const char *pair, int32_t max_length, bool plain) {
  int32_t ids[CAPACITY], types[CAPACITY];
  int64_t count = -1;
  mo_encode_options options = MO_ENCODE_OPTIONS_INIT;
  options.pair = pair;
  options.max_length = max_length;
  options.no_special_tokens = plain;
  if (!fuzz_status(mo_tokenizer_encode(tokenizer, text, &options, ids, types, CAPACITY, &count))) return;
  FUZZ_REQUIRE(count >= 0 && (max_length <= 0 || count <= max_length));
  for (int64_t i = 0; i < count && i < CAPACITY; ++i) {
    FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < mo_tokenizer_vocab_size(tokenizer));
    FUZZ_REQUIRE(types[i] >= 0);
  }
}

static void ask(const mo_tokenizer_t *tokenizer, const char *text) {
  static const char *const specials[] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token", "x"};
  const int32_t size = mo_tokenizer_vocab_size(tokenizer);
  for (size_t i = 0; i < sizeof specials / sizeof specials[0]; ++i) {
    const int32_t id = mo_tokenizer_special_id(tokenizer, specials[i]);
    FUZZ_REQUIRE(id >= -1 && id < size);
  }
  FUZZ_REQUIRE(mo_tokenizer_max_length(tokenizer) >= 0);
  (void)mo_tokenizer_pads_left(tokenizer);
  FUZZ_REQUIRE(mo_tokenizer_token(tokenizer, size) == NULL && mo_tokenizer_token(tokenizer, -1) == NULL);
  (void)mo_tokenizer_id(tokenizer, text);
  encode(tokenizer, text, NULL, 0, false);
  encode(tokenizer, text, text, 7, false);
  encode(tokenizer, "[CLS] ab \xC3\x89 \xE4\xB8\xAD\xE6\x96\x87 hello [MASK] .", NULL, 0, true);
  const int64_t kept = mo_tokenizer_max_length(tokenizer);
  if (kept > 0 && kept < CAPACITY) encode(tokenizer, text, NULL, (int32_t)kept, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  char folder[FUZZ_PATH_BYTES];
  fuzz_input input = {data, bytes};
  fuzz_part part;
  mo_tokenizer_t *tokenizer = NULL;
  mo_sentence_settings settings = MO_SENTENCE_SETTINGS_INIT;
  (void)fuzz_byte(&input);
  (void)fuzz_byte(&input);
  fuzz_scratch_folder("1_Pooling");
  for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
    (void)fuzz_json_part(&input, &part);
    fuzz_json_file(&part, files[i]);
  }
  (void)fuzz_json_part(&input, &part);
  char *text = calloc(part.bytes + 1, 1);
  FUZZ_REQUIRE(text != NULL);
  if (part.bytes > 0) memcpy(text, part.text, part.bytes);

  fuzz_scratch_path("", folder);
  if (fuzz_status(mo_sentence_load(folder, &settings))) {
    FUZZ_REQUIRE(memchr(settings.transformer_path, '\0', sizeof settings.transformer_path) != NULL);
    FUZZ_REQUIRE(memchr(settings.unsupported, '\0', sizeof settings.unsupported) != NULL);
  }
  FUZZ_REQUIRE(fuzz_status(mo_tokenizer_load(folder, &tokenizer)) == (tokenizer != NULL));
  if (tokenizer != NULL) ask(tokenizer, text);
  mo_tokenizer_destroy(tokenizer);
  free(text);
  return 0;
}
