/* tests/fuzz/saved_fuzz.c - any bytes as a file of mo_output_save; what is loaded is looked at, changed, saved and loaded
 * again.
 *
 * The parts of an input are the header of the file, which gets its length in front, and the data behind it. With an odd first
 * choice the whole input is the file.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_json.h"
#include "tests/fuzz/fuzz_model.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

const char *const fuzz_json_dictionary = MO_FUZZ_CORPUS "/../saved.dict";

static void write_file(fuzz_input input) {
  fuzz_part header;
  (void)fuzz_json_part(&input, &header);
  const size_t padded = (header.bytes + 7) / 8 * 8, count = 8 + padded + input.left;
  uint8_t *file = malloc(count);
  FUZZ_REQUIRE(file != NULL);
  for (int i = 0; i < 8; ++i) file[i] = (uint8_t)((uint64_t)padded >> 8 * i);
  memset(file + 8, ' ', padded);
  memcpy(file + 8, header.text, header.bytes);
  if (input.left > 0) memcpy(file + 8 + padded, input.data, input.left);
  fuzz_scratch_write("loaded.safetensors", file, count);
  free(file);
}

static mo_output *load(const char *name) {
  char path[FUZZ_PATH_BYTES];
  mo_output *output = NULL;
  fuzz_scratch_path(name, path);
  FUZZ_REQUIRE(fuzz_status(mo_output_load(fuzz_context(), path, &output)) == (output != NULL));
  return output;
}

static void ask(mo_output *output) {
  mo_field *tuple = NULL;
  mo_output *copy = NULL;
  fuzz_model_read_output(output);
  (void)fuzz_status(mo_output_check_shapes(output, NULL));
  (void)mo_output_get_counters(output);
  (void)mo_output_device_bytes(output);
  FUZZ_REQUIRE(mo_output_equal(output, output));
  for (int32_t i = 0; i < output->output_class->field_count; ++i) {
    mo_field *field = NULL;
    (void)mo_absence_text(mo_output_absence(output, output->output_class->fields[i].name));
    (void)fuzz_status(mo_output_attribute(output, output->output_class->fields[i].name, &field));
    (void)mo_field_string(field);
    FUZZ_REQUIRE(mo_field_equal(field, field));
  }
  if (fuzz_status(mo_output_to_tuple(output, &tuple))) mo_field_release(tuple);
  if (fuzz_status(mo_output_copy(output, &copy))) (void)fuzz_status(mo_output_mark_written(copy, NULL));
  mo_output_destroy(copy);
}

/* What could be loaded can be saved and loads as the same. */
static void save_again(mo_output *output) {
  char path[FUZZ_PATH_BYTES];
  fuzz_scratch_path("saved.safetensors", path);
  if (!fuzz_status(mo_output_save(output, path, NULL))) return;
  mo_output *again = load("saved.safetensors");
  FUZZ_REQUIRE(again != NULL && again->output_class == output->output_class);
  FUZZ_REQUIRE(mo_output_length(again) == mo_output_length(output));
  for (int64_t i = 0; i < mo_output_length(output); ++i)
    FUZZ_REQUIRE(strcmp(mo_output_key_at(again, i), mo_output_key_at(output, i)) == 0);
  mo_output_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  fuzz_input input = {data, bytes};
  const uint8_t choice = fuzz_byte(&input);
  (void)fuzz_byte(&input);
  if (choice & 1) fuzz_scratch_write("loaded.safetensors", data, bytes);
  else write_file(input);
  mo_output *output = load("loaded.safetensors");
  if (output != NULL) {
    ask(output);
    save_again(output);
  }
  mo_output_destroy(output);
  fuzz_close_context();
  return 0;
}
