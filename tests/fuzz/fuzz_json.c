/* tests/fuzz/fuzz_json.c - the mutator of inputs made of JSON files.
 *
 * It works on the text and not on values that a reader has made of it: what it writes may hold duplicate keys, NaN and numbers
 * that fit no type, and the text around a change stays byte for byte.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz_scratch.h"

enum { SPANS = 1024, DEPTH = 64, WORDS = 512, WORD_BYTES = 80 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t capacity) __attribute__((weak)); /* libFuzzer's; NULL without it */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t capacity, unsigned seed);

bool fuzz_json_part(fuzz_input *input, fuzz_part *part) {
  *part = (fuzz_part){(const char *)input->data, 0};
  if (input->left == 0) return false;
  const uint8_t *end = memchr(input->data, 0, input->left);
  part->bytes = end != NULL ? (size_t)(end - input->data) : input->left;
  const size_t taken = part->bytes + (end != NULL ? 1 : 0);
  input->data += taken;
  input->left -= taken;
  return true;
}

void fuzz_json_file(const fuzz_part *part, const char *name) {
  fuzz_scratch_remove(name);
  if (part->bytes > 0) fuzz_scratch_write(name, part->text, part->bytes);
}

/* ---- Where the values of a text are ---------------------------------------------------------------------------------------
 */

/* A value, and the key before it; key_start == start where it has none. */
typedef struct span {
  size_t key_start, key_end;
  size_t start, end;
} span;

typedef struct scanner {
  const char *text;
  size_t bytes, at;
  int depth, count;
  span spans[SPANS];
} scanner;

static void skip_space(scanner *self) {
  while (self->at < self->bytes && strchr(" \t\r\n", self->text[self->at]) != NULL) self->at++;
}

static bool take(scanner *self, char wanted) {
  skip_space(self);
  if (self->at == self->bytes || self->text[self->at] != wanted) return false;
  self->at++;
  return true;
}

static bool scan_string(scanner *self) {
  if (!take(self, '"')) return false;
  for (; self->at < self->bytes && self->text[self->at] != '"'; self->at++)
    if (self->text[self->at] == '\\') self->at++;
  if (self->at >= self->bytes) return false;
  self->at++;
  return true;
}

static bool scan_value(scanner *self, size_t key_start, size_t key_end);

static bool scan_entries(scanner *self, bool object) {
  const char close = object ? '}' : ']';
  if (take(self, close)) return true;
  do {
    skip_space(self);
    const size_t key_start = self->at;
    if (object && !scan_string(self)) return false;
    const size_t key_end = self->at;
    if (object && !take(self, ':')) return false;
    skip_space(self);
    if (!scan_value(self, object ? key_start : self->at, object ? key_end : self->at)) return false;
  } while (take(self, ','));
  return take(self, close);
}

static bool scan_value(scanner *self, size_t key_start, size_t key_end) {
  skip_space(self);
  if (self->at == self->bytes || self->depth == DEPTH) return false;
  const int index = self->count < SPANS ? self->count++ : SPANS - 1;
  const size_t start = self->at;
  const char first = self->text[start];
  if (first == '{' || first == '[') {
    self->at++;
    self->depth++;
    if (!scan_entries(self, first == '{')) return false;
    self->depth--;
  } else if (first == '"') {
    if (!scan_string(self)) return false;
  } else {
    while (self->at < self->bytes && strchr(" \t\r\n,:]}\"[{", self->text[self->at]) == NULL) self->at++;
    if (self->at == start) return false;
  }
  self->spans[index] = (span){key_start, key_end, start, self->at};
  return true;
}

static bool scan(scanner *self, const char *text, size_t bytes) {
  *self = (scanner){.text = text, .bytes = bytes};
  if (!scan_value(self, 0, 0)) return false;
  skip_space(self);
  return self->at == bytes;
}

/* ---- What is put there ----------------------------------------------------------------------------------------------------
 */

static char words[WORDS][WORD_BYTES];
static int word_count = -1;

/* The lines "word" of the dictionary. */
static void read_words(void) {
  char line[256];
  word_count = 0;
  FILE *file = fopen(fuzz_json_dictionary, "r");
  FUZZ_REQUIRE(file != NULL);
  while (fgets(line, sizeof line, file) != NULL && word_count < WORDS) {
    char *end = strrchr(line, '"');
    if (line[0] != '"' || end == line || end - line >= WORD_BYTES) continue;
    *end = '\0';
    strcpy(words[word_count++], line + 1);
  }
  fclose(file);
}

static const char *pick_word(uint64_t *random) {
  if (word_count < 0) read_words();
  return word_count > 0 ? words[fuzz_random(random) % (uint64_t)word_count] : "a";
}

static const char *pick_value(uint64_t *random, char buffer[WORD_BYTES + 8]) {
  static const char *const edges[] = {"0",
                                      "1",
                                      "-1",
                                      "2",
                                      "3",
                                      "7",
                                      "16",
                                      "100",
                                      "65536",
                                      "2147483647",
                                      "2147483648",
                                      "-2147483649",
                                      "4294967297",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808",
                                      "0.0",
                                      "-0.0",
                                      "0.5",
                                      "1.0",
                                      "1e-45",
                                      "3.5e38",
                                      "1e308",
                                      "1e999",
                                      "-1e308",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "true",
                                      "false",
                                      "null",
                                      "\"\"",
                                      "[]",
                                      "{}",
                                      "[0]",
                                      "[1, 2, 3]",
                                      "[-1, 2147483648, 1e308]",
                                      "[[1], [2, 3]]",
                                      "{\"0\": 1}",
                                      "[null]",
                                      "\"\\u0000\"",
                                      "\"\\ud800\"",
                                      "\"\\\"\\\\\\u00e9\"",
                                      "\"%s%n\"",
                                      "\"../../x\"",
                                      "\"1\""};
  const uint64_t choice = fuzz_random(random) % 8;
  if (choice == 0) snprintf(buffer, WORD_BYTES + 8, "\"%s\"", pick_word(random));
  else if (choice == 1) snprintf(buffer, WORD_BYTES + 8, "%d", (int)(fuzz_random(random) % 300) - 20);
  else return edges[fuzz_random(random) % (sizeof edges / sizeof edges[0])];
  return buffer;
}

/* ---- Changes --------------------------------------------------------------------------------------------------------------
 */

/* A text that is built anew; too much of it is cut off. */
typedef struct builder {
  char *text;
  size_t bytes, capacity;
} builder;

static void append(builder *self, const char *text, size_t bytes) {
  if (bytes > self->capacity - self->bytes) bytes = self->capacity - self->bytes;
  memcpy(self->text + self->bytes, text, bytes);
  self->bytes += bytes;
}

static void append_word(builder *self, const char *word) { append(self, word, strlen(word)); }

/* The text with start .. end replaced. */
static void replace(builder *self, const scanner *from, size_t start, size_t end, const char *by, size_t by_bytes) {
  append(self, from->text, start);
  append(self, by, by_bytes);
  append(self, from->text + end, from->bytes - end);
}

/* Without an entry and the comma at its side. */
static void drop(builder *self, const scanner *from, const span *what) {
  size_t start = what->key_start, end = what->end;
  while (end < from->bytes && strchr(" \t\r\n", from->text[end]) != NULL) end++;
  if (end < from->bytes && from->text[end] == ',') {
    end++;
  } else {
    end = what->end;
    while (start > 0 && strchr(" \t\r\n", from->text[start - 1]) != NULL) start--;
    if (start > 0 && from->text[start - 1] == ',') start--;
  }
  replace(self, from, start, end, "", 0);
}

/* A new entry before one that is there: a member in an object, a value in a list. */
static void insert(builder *self, const scanner *from, const span *before, uint64_t *random) {
  char buffer[WORD_BYTES + 8];
  append(self, from->text, before->key_start);
  if (before->key_start != before->start) {
    append_word(self, "\"");
    append_word(self, pick_word(random));
    append_word(self, "\": ");
  }
  append_word(self, pick_value(random, buffer));
  append_word(self, ", ");
  append(self, from->text + before->key_start, from->bytes - before->key_start);
}

/* Two values change places; one within the other: the outer one becomes the inner one. */
static void swap(builder *self, const scanner *from, const span *a, const span *b) {
  const span *first = a->start <= b->start ? a : b, *second = first == a ? b : a;
  if (second->start < first->end) {
    replace(self, from, first->start, first->end, from->text + second->start, second->end - second->start);
    return;
  }
  append(self, from->text, first->start);
  append(self, from->text + second->start, second->end - second->start);
  append(self, from->text + first->end, second->start - first->end);
  append(self, from->text + first->start, first->end - first->start);
  append(self, from->text + second->end, from->bytes - second->end);
}

/* The bytes of a value through libFuzzer's own mutator: digits of numbers, letters of strings. */
static void scramble(builder *self, const scanner *from, const span *what) {
  uint8_t bytes[256];
  const bool string = from->text[what->start] == '"';
  const size_t start = what->start + string, end = what->end - string, count = end - start;
  if (count == 0 || count > sizeof bytes / 2 || LLVMFuzzerMutate == NULL) {
    replace(self, from, what->start, what->end, "[]", 2);
    return;
  }
  memcpy(bytes, from->text + start, count);
  const size_t changed = LLVMFuzzerMutate(bytes, count, sizeof bytes);
  replace(self, from, start, end, (const char *)bytes, changed);
}

static void change(builder *self, const scanner *from, uint64_t *random) {
  char buffer[WORD_BYTES + 8];
  /* Not the whole text, where there is a part of it. */
  const int first = from->count > 1;
  const span *what = &from->spans[first + (int)(fuzz_random(random) % (uint64_t)(from->count - first))];
  const span *other = &from->spans[first + (int)(fuzz_random(random) % (uint64_t)(from->count - first))];
  const bool member = what->key_start != what->start;
  switch (fuzz_random(random) % 10) {
    case 0:
      drop(self, from, what);
      break;
    case 1:
    case 2:
      if (first) insert(self, from, what, random);
      else replace(self, from, what->start, what->end, "{\"a\": 1}", 8);
      break;
    case 3:
      swap(self, from, what, other);
      break;
    case 4:
      replace(self, from, what->start, what->end, from->text + other->start, other->end - other->start);
      break;
    case 5:
      if (member) {
        snprintf(buffer, sizeof buffer, "\"%s\"", pick_word(random));
        replace(self, from, what->key_start, what->key_end, buffer, strlen(buffer));
      } else {
        drop(self, from, what);
      }
      break;
    case 6:
      scramble(self, from, what);
      break;
    default: {
      const char *value = pick_value(random, buffer);
      replace(self, from, what->start, what->end, value, strlen(value));
    }
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t capacity, unsigned seed) {
  static scanner parts;
  uint64_t random = ((uint64_t)seed << 20) + 0x9E3779B97F4A7C15u;
  for (int i = 0; i < 3; ++i) (void)fuzz_random(&random);
  if (bytes <= FUZZ_JSON_CHOICES || fuzz_random(&random) % 32 == 0) return LLVMFuzzerMutate(data, bytes, capacity);
  if (fuzz_random(&random) % 16 == 0) data[fuzz_random(&random) % FUZZ_JSON_CHOICES] = (uint8_t)fuzz_random(&random);

  /* One of the parts that are not empty. */
  fuzz_input left = {data + FUZZ_JSON_CHOICES, bytes - FUZZ_JSON_CHOICES};
  fuzz_part part, chosen = {NULL, 0};
  for (uint64_t among = 1; fuzz_json_part(&left, &part); ++among)
    if (part.bytes > 0 && fuzz_random(&random) % among == 0) chosen = part;
  char *copy = malloc(capacity);
  FUZZ_REQUIRE(copy != NULL);
  size_t changed = 0;
  for (uint64_t rounds = 1 + fuzz_random(&random) % 3; chosen.bytes > 0 && rounds > 0; --rounds) {
    const size_t start = (size_t)((const uint8_t *)chosen.text - data);
    if (!scan(&parts, chosen.text, chosen.bytes)) break;
    builder made = {copy, 0, capacity};
    append(&made, (const char *)data, start);
    const size_t end = start + chosen.bytes;
    builder inner = {copy + start, 0, capacity - start};
    change(&inner, &parts, &random);
    made.bytes += inner.bytes;
    append(&made, (const char *)data + end, bytes - end);
    memcpy(data, copy, made.bytes);
    chosen.bytes = inner.bytes;
    changed = bytes = made.bytes;
  }
  free(copy);
  return changed > 0 ? changed : LLVMFuzzerMutate(data, bytes, capacity);
}
