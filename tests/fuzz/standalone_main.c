/* tests/fuzz/standalone_main.c - runs a fuzz target over files (or the files of folders), for compilers without libFuzzer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argument_count, char ***arguments); /* targets may have one */

static int inputs_run;

/* The block has exactly the size of the file, so that a sanitizer sees a read past it. */
static int run_file(const char *path) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) {
    perror(path);
    return 1;
  }
  uint8_t *bytes = NULL;
  long size = -1;
  if (fseek(stream, 0, SEEK_END) == 0) size = ftell(stream);
  rewind(stream);
  if (size >= 0) bytes = malloc(size > 0 ? (size_t)size : 1);
  const int failed = bytes == NULL || fread(bytes, 1, (size_t)size, stream) != (size_t)size;
  if (failed) fprintf(stderr, "%s: cannot be read\n", path);
  else LLVMFuzzerTestOneInput(bytes, (size_t)size);
  inputs_run += !failed;
  free(bytes);
  fclose(stream);
  return failed;
}

static int run_path(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) {
    perror(path);
    return 1;
  }
  if (!S_ISDIR(info.st_mode)) return run_file(path);
  DIR *folder = opendir(path);
  if (folder == NULL) {
    perror(path);
    return 1;
  }
  int failed = 0;
  for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    const size_t bytes = strlen(path) + strlen(entry->d_name) + 2;
    char *inner = malloc(bytes);
    if (inner == NULL) {
      failed = 1;
      break;
    }
    snprintf(inner, bytes, "%s/%s", path, entry->d_name);
    failed |= run_path(inner);
    free(inner);
  }
  closedir(folder);
  return failed;
}

int main(int argc, char **argv) {
  int failed = LLVMFuzzerInitialize != NULL ? LLVMFuzzerInitialize(&argc, &argv) : 0;
  for (int i = 1; i < argc; ++i) failed |= run_path(argv[i]);
  printf("%d inputs run\n", inputs_run);
  return failed || inputs_run == 0;
}
