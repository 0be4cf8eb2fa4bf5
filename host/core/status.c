/* host/core/status.c - status names and the thread's error sentence.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/show.h"
#include "modelout/version.h"

#define MO_ERROR_SENTENCE_BYTES 1024

static _Thread_local char error_sentence[MO_ERROR_SENTENCE_BYTES];

void mo_set_error(const char *format, ...) {
  /* Through a second buffer: the arguments may point into the old sentence (a caller that adds its own name to it). Whatever
   * names of files and callers are in it, the sentence has nothing that a terminal obeys, and is never cut within a character.
   */
  char sentence[MO_ERROR_SENTENCE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  const char *next = sentence;
  size_t used = 0;
  while (*next != '\0') {
    size_t bytes;
    next += mo_show_character(next, error_sentence + used, &bytes); /* never longer than what it takes */
    used += bytes;
  }
  error_sentence[used] = '\0';
}

const char *mo_last_error(void) { return error_sentence; }

const char *mo_status_name(mo_status_t status) {
  switch (status) {
#define MO_STATUS_CASE(name, value, text)                                                                                      \
  case MO_STATUS_##name:                                                                                                       \
    return #name;
    MO_STATUS_MAP(MO_STATUS_CASE)
#undef MO_STATUS_CASE
  }
  return "UNKNOWN";
}

const char *mo_status_text(mo_status_t status) {
  switch (status) {
#define MO_STATUS_CASE(name, value, text)                                                                                      \
  case MO_STATUS_##name:                                                                                                       \
    return text;
    MO_STATUS_MAP(MO_STATUS_CASE)
#undef MO_STATUS_CASE
  }
  return "a number that is no status";
}

int mo_version_number(void) { return MO_VERSION_NUMBER; }

#define MO_TEXT_OF_(x) #x
#define MO_TEXT_OF(x) MO_TEXT_OF_(x)
const char *mo_version_string(void) {
  return MO_TEXT_OF(MO_VERSION_MAJOR) "." MO_TEXT_OF(MO_VERSION_MINOR) "." MO_TEXT_OF(MO_VERSION_PATCH);
}
