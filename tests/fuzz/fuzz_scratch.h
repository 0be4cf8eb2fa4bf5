/* tests/fuzz/fuzz_scratch.h - a folder of the process for the files of an input; it goes when the process ends.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_FUZZ_SCRATCH_H
#define MO_TESTS_FUZZ_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

enum { FUZZ_PATH_BYTES = 1024 };

/* Path of a file of that name in the folder. */
void fuzz_scratch_path(const char *name, char path[FUZZ_PATH_BYTES]);

/* A folder within the folder, if it is not there yet. */
void fuzz_scratch_folder(const char *name);

/* Writes, links (to a file that must be there, under the same or another name) and removes files of the folder. */
void fuzz_scratch_write(const char *name, const void *bytes, size_t count);
void fuzz_scratch_link(const char *target, const char *name);
void fuzz_scratch_remove(const char *name);

#endif
