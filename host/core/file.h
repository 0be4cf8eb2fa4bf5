/* host/core/file.h - opening and reading files: the one way in for everything the library and the command read.
 *
 * A file that is to be read is a regular one. Pipes, sockets, devices and folders are refused instead of waited for, and a file
 * that is there but cannot be reached is an error, never "absent".
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_FILE_H
#define MO_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/core/error.h"

/* Opens for reading; the descriptor is to be closed. Waits for nobody. IO_ERROR names the file and the system's reason, or that
 * it is no regular file. `bytes` may be NULL. */
mo_status_t mo_file_open(const char *path, int *descriptor, int64_t *bytes);

/* Whether something of that name is there. Only the system's "no such file" and "not a folder on the way" mean that it is not;
 * any other failure (no permission, links in a circle, ...) is IO_ERROR. */
mo_status_t mo_file_find(const char *path, bool *there);

/* `bytes` bytes from `offset` on. IO_ERROR if the file ends before (it was cut while it was read) or the system fails. */
mo_status_t mo_file_read_at(int descriptor, const char *path, int64_t offset, void *memory, size_t bytes);

/* The whole file, terminated, to be freed. IO_ERROR, BAD_FILE (over `limit` bytes; a Git LFS pointer), OUT_OF_MEMORY. */
mo_status_t mo_file_read_all(const char *path, size_t limit, char **text, size_t *bytes);

/* BAD_FILE if the bytes a file begins with are those of a Git LFS pointer: what a clone without git-lfs has instead of it. */
mo_status_t mo_file_check_pointer(const char *path, const void *data, size_t bytes);

#endif
