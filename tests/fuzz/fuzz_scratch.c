/* tests/fuzz/fuzz_scratch.c - a folder of the process for the files of an input; it goes when the process ends.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz_scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_input.h"

static char folder[128];
static pid_t owner; /* a child of the process leaves the folder alone */

static void remove_all(const char *path) {
  char inner[FUZZ_PATH_BYTES];
  if (unlink(path) == 0) return;
  DIR *entries = opendir(path);
  if (entries == NULL) return;
  for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner) remove_all(inner);
  }
  closedir(entries);
  (void)rmdir(path);
}

static void remove_folder(void) {
  if (getpid() == owner) remove_all(folder);
}

/* In memory where the system has a file system there. */
static const char *scratch(void) {
  if (folder[0] != '\0') return folder;
  snprintf(folder, sizeof folder, "%s/modelout_fuzz_XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  FUZZ_REQUIRE(mkdtemp(folder) != NULL);
  owner = getpid();
  FUZZ_REQUIRE(atexit(remove_folder) == 0);
  return folder;
}

void fuzz_scratch_path(const char *name, char path[FUZZ_PATH_BYTES]) {
  FUZZ_REQUIRE(snprintf(path, FUZZ_PATH_BYTES, "%s/%s", scratch(), name) < FUZZ_PATH_BYTES);
}

void fuzz_scratch_folder(const char *name) {
  char path[FUZZ_PATH_BYTES];
  fuzz_scratch_path(name, path);
  FUZZ_REQUIRE(mkdir(path, 0700) == 0 || errno == EEXIST);
}

void fuzz_scratch_write(const char *name, const void *bytes, size_t count) {
  char path[FUZZ_PATH_BYTES];
  fuzz_scratch_path(name, path);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  FUZZ_REQUIRE(file >= 0);
  for (size_t done = 0; done < count;) {
    const ssize_t written = write(file, (const char *)bytes + done, count - done);
    FUZZ_REQUIRE(written > 0);
    done += (size_t)written;
  }
  FUZZ_REQUIRE(close(file) == 0);
}

void fuzz_scratch_link(const char *target, const char *name) {
  char path[FUZZ_PATH_BYTES];
  fuzz_scratch_path(name, path);
  (void)unlink(path);
  FUZZ_REQUIRE(access(target, R_OK) == 0 && symlink(target, path) == 0);
}

void fuzz_scratch_remove(const char *name) {
  char path[FUZZ_PATH_BYTES];
  fuzz_scratch_path(name, path);
  (void)unlink(path);
}
