/* host/core/log.c - formats a note and hands it to the context's sink.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "host/core/context_internal.h"

#define LOG_LINE_BYTES 1024

/* Names come from files: what they hold must not steer a terminal or begin a line of its own. */
static void make_printable(char *text) {
  for (unsigned char *byte = (unsigned char *)text; *byte != '\0'; byte++) {
    const bool second_set = byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0; /* U+0080 to U+009F steer too */
    if (*byte < 0x20 || *byte == 0x7f || second_set) *byte = '?';
    if (second_set) *++byte = '?';
  }
}

void mo_log(const mo_context_t *context, mo_log_level_t level, const char *format, ...) {
  const mo_log_sink sink = mo_context_log_sink(context);
  if (sink.write == NULL) return;
  char text[LOG_LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  make_printable(text);
  sink.write(sink.user_data, level, text);
}
