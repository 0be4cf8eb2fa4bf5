/* host/core/json.c - JSON text into jansson's values.
 *
 * Rules of Python's json module (Lib/json/decoder.py, scanner.py): RFC 8259, and what host/core/json.h says.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/json.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/utf8.h"

#define REPLACEMENT 0xFFFDu

typedef struct json_reader {
  const char *source;
  const char *text, *next, *end;
  mo_json_rules_t rules;
  char *scratch; /* for what cannot be taken from the text as it is */
  size_t scratch_bytes;
  locale_t locale; /* numbers have a dot, whatever the program's locale says; 0: not needed so far */
} json_reader;

/* ---- Failing ------------------------------------------------------------------------------------------------------------- */

static mo_status_t fail_at(const json_reader *reader, const char *place, const char *reason) {
  long long line = 1, column = 1;
  for (const char *c = reader->text; c < place; c++) {
    if (*c == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*c & 0xC0) != 0x80) {
      column++;
    }
  }
  return mo_fail(MO_STATUS_BAD_FILE, "%s: not valid JSON: %s (line %lld, column %lld)", reader->source, reason, line, column);
}

static mo_status_t fail(const json_reader *reader, const char *reason) { return fail_at(reader, reader->next, reason); }

static mo_status_t no_memory(const json_reader *reader) {
  return mo_fail(MO_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu bytes of JSON", reader->source,
                 (size_t)(reader->end - reader->text));
}

/* Passes a new value on; jansson says with NULL that it had no memory for it. */
static mo_status_t made(const json_reader *reader, json_t *value, json_t **result) {
  if (value == NULL) return no_memory(reader);
  *result = value;
  return MO_STATUS_OK;
}

static mo_status_t reserve(json_reader *reader, size_t bytes) {
  if (bytes <= reader->scratch_bytes) return MO_STATUS_OK;
  char *larger = realloc(reader->scratch, bytes);
  if (larger == NULL) return no_memory(reader);
  reader->scratch = larger;
  reader->scratch_bytes = bytes;
  return MO_STATUS_OK;
}

/* ---- Small pieces -------------------------------------------------------------------------------------------------------- */

static void skip_blanks(json_reader *reader) {
  while (reader->next < reader->end &&
         (*reader->next == ' ' || *reader->next == '\t' || *reader->next == '\n' || *reader->next == '\r'))
    reader->next++;
}

static bool take(json_reader *reader, char character) {
  if (reader->next == reader->end || *reader->next != character) return false;
  reader->next++;
  return true;
}

static bool take_word(json_reader *reader, const char *word) {
  const size_t length = strlen(word);
  if ((size_t)(reader->end - reader->next) < length || memcmp(reader->next, word, length) != 0) return false;
  reader->next += length;
  return true;
}

static bool is_digit(const json_reader *reader) {
  return reader->next < reader->end && *reader->next >= '0' && *reader->next <= '9';
}

/* ---- Numbers ------------------------------------------------------------------------------------------------------------- */

#define NON_FINITE_TYPE ((json_type)(JSON_NULL + 1)) /* none of jansson's: every json_is_...() is false */
#define NEVER_FREED ((size_t)-1)                     /* jansson's own mark for values that are not counted */

static json_t non_finite[] = {{NON_FINITE_TYPE, NEVER_FREED}, {NON_FINITE_TYPE, NEVER_FREED}, {NON_FINITE_TYPE, NEVER_FREED}};
static const char *const non_finite_names[] = {"NaN", "Infinity", "-Infinity"};
enum { NON_FINITE_COUNT = sizeof non_finite / sizeof non_finite[0] };

const char *mo_json_non_finite(const json_t *value) {
  for (int i = 0; i < NON_FINITE_COUNT; i++)
    if (value == &non_finite[i]) return non_finite_names[i];
  return NULL;
}

static bool take_non_finite(json_reader *reader, json_t **value) {
  for (int i = 0; reader->rules == MO_JSON_PYTHON && i < NON_FINITE_COUNT; i++) {
    if (!take_word(reader, non_finite_names[i])) continue;
    *value = &non_finite[i];
    return true;
  }
  return false;
}

static mo_status_t make_real(json_reader *reader, const char *begin, json_t **value) {
  const size_t length = (size_t)(reader->next - begin);
  if (reader->locale == (locale_t)0) reader->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (reader->locale == (locale_t)0) return no_memory(reader);
  MO_TRY(reserve(reader, length + 1));
  memcpy(reader->scratch, begin, length);
  reader->scratch[length] = '\0';
  const double real = strtod_l(reader->scratch, NULL, reader->locale);
  if (isfinite(real)) return made(reader, json_real(real), value);
  if (reader->rules == MO_JSON_STRICT) return fail_at(reader, begin, "a number beyond what a double holds");
  *value = &non_finite[real < 0 ? 2 : 1];
  return MO_STATUS_OK;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)? */
static mo_status_t read_number(json_reader *reader, json_t **value) {
  const char *begin = reader->next;
  const bool negative = take(reader, '-');
  bool fits = true, real = false;
  json_int_t integer = 0; /* negative all along: the smallest one has no positive counterpart */
  if (!is_digit(reader)) return fail(reader, "a digit is missing");
  if (!take(reader, '0')) {
    for (; is_digit(reader); reader->next++) {
      const int digit = *reader->next - '0';
      fits = fits && !__builtin_mul_overflow(integer, 10, &integer) && !__builtin_sub_overflow(integer, digit, &integer);
    }
  }
  if (take(reader, '.')) {
    real = true;
    if (!is_digit(reader)) return fail(reader, "a digit is missing behind the point");
    while (is_digit(reader)) reader->next++;
  }
  if (take(reader, 'e') || take(reader, 'E')) {
    real = true;
    if (!take(reader, '-')) (void)take(reader, '+');
    if (!is_digit(reader)) return fail(reader, "a digit is missing in the exponent");
    while (is_digit(reader)) reader->next++;
  }
  fits = fits && (negative || !__builtin_sub_overflow(0, integer, &integer));
  if (!real && fits) return made(reader, json_integer(integer), value);
  if (!real && reader->rules == MO_JSON_STRICT) return fail_at(reader, begin, "an integer beyond 64 bits");
  return make_real(reader, begin, value);
}

/* ---- Strings ------------------------------------------------------------------------------------------------------------- */

/* Four hexadecimal digits; -1 if they are none. */
static int32_t hexadecimal(const char *digits, const char *end) {
  int32_t code = 0;
  if (end - digits < 4) return -1;
  for (int i = 0; i < 4; i++) {
    const char c = digits[i];
    if (c >= '0' && c <= '9') {
      code = code * 16 + (c - '0');
    } else if (c >= 'a' && c <= 'f') {
      code = code * 16 + (c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      code = code * 16 + (c - 'A' + 10);
    } else {
      return -1;
    }
  }
  return code;
}

/* One \u escape, or a pair of them; reader->next stands behind the first "\u". */
static mo_status_t read_code_point(json_reader *reader, uint32_t *code) {
  const int32_t first = hexadecimal(reader->next, reader->end);
  if (first < 0) return fail(reader, "\\u needs four hexadecimal digits");
  reader->next += 4;
  *code = (uint32_t)first;
  if (first >= 0xD800 && first <= 0xDBFF && reader->end - reader->next >= 6 && memcmp(reader->next, "\\u", 2) == 0) {
    const int32_t second = hexadecimal(reader->next + 2, reader->end);
    if (second >= 0xDC00 && second <= 0xDFFF) {
      reader->next += 6;
      *code = 0x10000u + (((uint32_t)first - 0xD800u) << 10) + ((uint32_t)second - 0xDC00u);
      return MO_STATUS_OK;
    }
  }
  const bool surrogate = first >= 0xD800 && first <= 0xDFFF;
  if (!surrogate && first != 0) return MO_STATUS_OK;
  if (reader->rules == MO_JSON_STRICT) return fail(reader, surrogate ? "a lone surrogate" : "\\u0000 in a string");
  *code = REPLACEMENT;
  return MO_STATUS_OK;
}

/* Behind a backslash. */
static mo_status_t read_escape(json_reader *reader, uint32_t *code) {
  static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (take(reader, 'u')) return read_code_point(reader, code);
  const char *found = reader->next < reader->end && *reader->next != '\0' ? strchr(escapes, *reader->next) : NULL;
  if (found == NULL) return fail(reader, "an unknown escape in a string");
  reader->next++;
  *code = (unsigned char)meanings[found - escapes];
  return MO_STATUS_OK;
}

/* The bytes between two quotes, which lie in the text or in the scratch memory. reader->next stands behind the first quote. No
 * escape is shorter than what it stands for. */
static mo_status_t read_string(json_reader *reader, const char **bytes, size_t *length) {
  const char *begin = reader->next;
  const char *plain = begin; /* what was not copied yet */
  size_t used = 0;
  bool copies = false;
  for (;;) {
    if (reader->next == reader->end) return fail_at(reader, begin - 1, "a string without its end");
    const unsigned char byte = (unsigned char)*reader->next;
    uint32_t code = 0; /* set by whoever succeeds; some compilers do not see it */
    if (byte == '"') break;
    if (byte < 0x20) return fail(reader, "a control character in a string");
    if (byte != '\\') {
      const size_t character = mo_utf8_decode(reader->next, (size_t)(reader->end - reader->next), &code);
      if (character == 0) return fail(reader, "bytes that are not UTF-8");
      reader->next += character;
      continue;
    }
    if (!copies) {
      const char *quote = reader->next; /* the closing one, so that all of the string has room */
      while (quote < reader->end && *quote != '"') quote += *quote == '\\' && reader->end - quote > 1 ? 2 : 1;
      MO_TRY(reserve(reader, (size_t)(quote - begin)));
      copies = true;
    }
    const size_t run = (size_t)(reader->next - plain);
    memcpy(reader->scratch + used, plain, run);
    reader->next++;
    MO_TRY(read_escape(reader, &code));
    used += run;
    used += mo_utf8_encode(code, reader->scratch + used);
    plain = reader->next;
  }
  const size_t run = (size_t)(reader->next - plain);
  reader->next++;
  if (copies && run > 0) memcpy(reader->scratch + used, plain, run);
  *bytes = copies ? reader->scratch : begin;
  *length = copies ? used + run : run;
  return MO_STATUS_OK;
}

/* ---- Values -------------------------------------------------------------------------------------------------------------- */

static mo_status_t read_value(json_reader *reader, int depth, json_t **value);

static mo_status_t read_array(json_reader *reader, int depth, json_t *array) {
  skip_blanks(reader);
  if (take(reader, ']')) return MO_STATUS_OK;
  do {
    json_t *entry = NULL;
    MO_TRY(read_value(reader, depth, &entry));
    if (json_array_append_new(array, entry) != 0) return no_memory(reader);
    skip_blanks(reader);
  } while (take(reader, ','));
  return take(reader, ']') ? MO_STATUS_OK : fail(reader, "',' or ']' is missing");
}

/* The key, as an own value: the scratch memory is used again by the value behind it. */
static mo_status_t read_member(json_reader *reader, int depth, json_t *object) {
  const char *bytes;
  size_t length;
  json_t *key = NULL, *value = NULL;
  skip_blanks(reader);
  const char *begin = reader->next;
  if (!take(reader, '"')) return fail(reader, "a key in quotes is missing");
  MO_TRY(read_string(reader, &bytes, &length));
  if (reader->rules == MO_JSON_STRICT && json_object_getn(object, bytes, length) != NULL)
    return fail_at(reader, begin, "a duplicate key");
  MO_TRY(made(reader, json_stringn_nocheck(bytes, length), &key));
  skip_blanks(reader);
  mo_status_t status = take(reader, ':') ? read_value(reader, depth, &value) : fail(reader, "':' is missing");
  if (status == MO_STATUS_OK &&
      json_object_setn_new_nocheck(object, json_string_value(key), json_string_length(key), value) != 0)
    status = no_memory(reader);
  json_decref(key);
  return status;
}

static mo_status_t read_object(json_reader *reader, int depth, json_t *object) {
  skip_blanks(reader);
  if (take(reader, '}')) return MO_STATUS_OK;
  do {
    MO_TRY(read_member(reader, depth, object));
    skip_blanks(reader);
  } while (take(reader, ','));
  return take(reader, '}') ? MO_STATUS_OK : fail(reader, "',' or '}' is missing");
}

static mo_status_t read_container(json_reader *reader, int depth, json_t **value) {
  const bool is_array = *reader->next == '[';
  json_t *container = NULL;
  if (depth == 0) return fail(reader, "nested too deeply");
  reader->next++;
  MO_TRY(made(reader, is_array ? json_array() : json_object(), &container));
  const mo_status_t status = is_array ? read_array(reader, depth - 1, container) : read_object(reader, depth - 1, container);
  if (status != MO_STATUS_OK) {
    json_decref(container);
    return status;
  }
  *value = container;
  return MO_STATUS_OK;
}

static mo_status_t read_text_value(json_reader *reader, json_t **value) {
  const char *bytes;
  size_t length;
  MO_TRY(read_string(reader, &bytes, &length));
  return made(reader, json_stringn_nocheck(bytes, length), value);
}

static mo_status_t read_value(json_reader *reader, int depth, json_t **value) {
  skip_blanks(reader);
  if (reader->next == reader->end) return fail(reader, "the text ends where a value is expected");
  if (*reader->next == '{' || *reader->next == '[') return read_container(reader, depth, value);
  if (take(reader, '"')) return read_text_value(reader, value);
  if (take_non_finite(reader, value)) return MO_STATUS_OK;
  if (*reader->next == '-' || is_digit(reader)) return read_number(reader, value);
  if (take_word(reader, "true")) return made(reader, json_true(), value);
  if (take_word(reader, "false")) return made(reader, json_false(), value);
  if (take_word(reader, "null")) return made(reader, json_null(), value);
  return fail(reader, "no value begins so");
}

mo_status_t mo_json_read(const char *source, const char *text, size_t bytes, mo_json_rules_t rules, json_t **value) {
  json_reader reader = {.source = source, .text = text, .next = text, .end = text + bytes, .rules = rules};
  json_t *read = NULL;
  if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
    return fail(&reader, "it begins with a byte order mark, save it as UTF-8 without one");
  mo_status_t status = read_value(&reader, MO_JSON_DEPTH_LIMIT, &read);
  if (status == MO_STATUS_OK) {
    skip_blanks(&reader);
    if (reader.next != reader.end) status = fail(&reader, "something follows the value");
  }
  if (reader.locale != (locale_t)0) freelocale(reader.locale);
  free(reader.scratch);
  if (status != MO_STATUS_OK) {
    json_decref(read);
    return status;
  }
  *value = read;
  return MO_STATUS_OK;
}

mo_status_t mo_json_read_object(const char *source, const char *text, size_t bytes, mo_json_rules_t rules, json_t **object) {
  json_t *value = NULL;
  MO_TRY(mo_json_read(source, text, bytes, rules, &value));
  if (!json_is_object(value)) {
    json_decref(value);
    return mo_fail(MO_STATUS_BAD_FILE, "%s: the text is no JSON object", source);
  }
  *object = value;
  return MO_STATUS_OK;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------- */

mo_status_t mo_json_write(const json_t *value, size_t flags, char **text) {
  /* Measured, then written: no memory of jansson's is between. */
  const size_t length = value == NULL ? 0 : json_dumpb(value, NULL, 0, flags);
  char *written = length == 0 ? NULL : malloc(length + 1);
  if (written == NULL || json_dumpb(value, written, length, flags) != length) {
    free(written);
    return mo_fail(MO_STATUS_OUT_OF_MEMORY, "json: no memory for a text of %zu bytes", length);
  }
  written[length] = '\0';
  *text = written;
  return MO_STATUS_OK;
}

/* ---- Showing ------------------------------------------------------------------------------------------------------------- */

mo_shown mo_json_show(const json_t *value) {
  mo_shown shown = {""};
  const size_t size = sizeof shown.text;
  if (value == NULL) {
    snprintf(shown.text, size, "missing");
  } else if (json_is_string(value)) {
    snprintf(shown.text, size, "\"%.100s\"", mo_name_show(json_string_value(value)).text);
  } else if (json_is_integer(value)) {
    snprintf(shown.text, size, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    snprintf(shown.text, size, "%.17g (a real)", json_real_value(value));
  } else if (json_is_boolean(value)) {
    snprintf(shown.text, size, "%s", json_is_true(value) ? "true" : "false");
  } else if (json_is_array(value)) {
    snprintf(shown.text, size, "a list of %zu", json_array_size(value));
  } else if (json_is_object(value)) {
    snprintf(shown.text, size, "an object of %zu keys", json_object_size(value));
  } else {
    const char *name = mo_json_non_finite(value);
    snprintf(shown.text, size, "%s", name != NULL ? name : "null");
  }
  return shown;
}
