/* tests/fuzz/fuzz_json.h - inputs made of JSON files, and the mutator that knows their form.
 *
 * Such an input is FUZZ_JSON_CHOICES bytes of choices, then parts (texts of files, most of them JSON) with a NUL byte between
 * them. A target that uses fuzz_json_part gets the mutator (LLVMFuzzerCustomMutator) with it: it changes values, members and
 * keys of a part that is JSON and leaves the rest as it is, so that most inputs get past the reader of the text.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_FUZZ_JSON_H
#define MO_TESTS_FUZZ_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/fuzz_input.h"

enum { FUZZ_JSON_CHOICES = 2 };

typedef struct fuzz_part {
  const char *text; /* not terminated */
  size_t bytes;
} fuzz_part;

/* Takes the next part from the input; false (and an empty part) once there is none. */
bool fuzz_json_part(fuzz_input *input, fuzz_part *part);

/* Writes a part as a file of the scratch folder; an empty part is a file that is not there. */
void fuzz_json_file(const fuzz_part *part, const char *name);

/* Defined by the target: the path of its dictionary, whose words become keys and strings. */
extern const char *const fuzz_json_dictionary;

#endif
