/* tests/fuzz/tokenizer_fuzz.c - any bytes as a tokenizer file and a text.
 *
 * The first byte chooses: a tokenizer.json or a vocab.txt (before the first NUL byte) with texts to encode behind it, or two
 * texts for a small tokenizer that is always good.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "modelout/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void encode(const mo_tokenizer_t *tokenizer, const char *text, const char *pair, int32_t max_length, bool plain) {
  int32_t ids[64];
  int32_t types[64];
  int64_t count = -1;
  mo_encode_options options = MO_ENCODE_OPTIONS_INIT;
  options.pair = pair;
  options.max_length = max_length;
  options.no_special_tokens = plain;
  if (mo_tokenizer_encode(tokenizer, text, &options, ids, types, 64, &count) != MO_STATUS_OK) return;
  if (count < 0 || (max_length > 0 && count > max_length)) abort();
  for (int64_t i = 0; i < count && i < 64; ++i)
    if (ids[i] < 0 || types[i] < 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const char small[] = "[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\ni\n\xC3\xA9\n\xE4\xB8\xAD\n##\xE6\x96\x87\n.\n";
  if (bytes == 0) return 0;
  const uint8_t choice = data[0];
  /* Three terminated parts: file, text, pair; those that are not there are empty. */
  char *parts = calloc(bytes + 3, 1);
  if (parts == NULL) return 0;
  memcpy(parts, data + 1, bytes - 1);
  const char *file = parts;
  const size_t file_bytes = strlen(file);
  const char *text = file + file_bytes + (file_bytes < bytes - 1 ? 1 : 0);
  const size_t rest = (size_t)(parts + bytes - 1 > text ? parts + bytes - 1 - text : 0);
  const size_t text_bytes = strnlen(text, rest);
  const char *pair = text + text_bytes + (text_bytes < rest ? 1 : 0);

  mo_tokenizer_t *tokenizer = NULL;
  mo_status_t status;
  if (choice % 3 == 0) {
    status = mo_tokenizer_from_json(file, file_bytes, &tokenizer);
  } else if (choice % 3 == 1) {
    status = mo_tokenizer_from_vocab(file, file_bytes, choice & 0x80, &tokenizer);
  } else {
    status = mo_tokenizer_from_vocab(small, sizeof small - 1, choice & 0x80, &tokenizer);
    pair = text;
    text = file;
  }
  if ((status == MO_STATUS_OK) != (tokenizer != NULL)) abort();
  if (tokenizer != NULL) {
    encode(tokenizer, text, NULL, 0, false);
    encode(tokenizer, text, pair, 5, choice & 0x40);
    encode(tokenizer, "[CLS] ab \xC3\x89 \xE4\xB8\xAD\xE6\x96\x87", pair, 0, true);
    (void)mo_tokenizer_token(tokenizer, mo_tokenizer_vocab_size(tokenizer) - 1);
    (void)mo_tokenizer_id(tokenizer, text);
  }
  mo_tokenizer_destroy(tokenizer);
  free(parts);
  return 0;
}
