/* host/core/file.c - opening and reading files.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/show.h"

#define FIRST_BYTES ((size_t)1 << 16)      /* of a file whose size the system does not tell */
#define READ_BYTES_LIMIT ((size_t)1 << 30) /* of one call: more is cut by some systems */

static mo_status_t io_error(const char *path, const char *action, int number) {
  char text[128];
  return mo_fail(MO_STATUS_IO_ERROR, "%s: cannot be %s: %s", mo_path_show(path).text, action,
                 strerror_r(number, text, sizeof text));
}

mo_status_t mo_file_open(const char *path, int *descriptor, int64_t *bytes) {
  struct stat info;
  int opened;
  do opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (opened < 0 && errno == EINTR);
  if (opened < 0) {
    /* A socket cannot be opened at all, and says so with a reason that explains nothing. */
    const int reason = errno;
    if (reason == ENXIO) return mo_fail(MO_STATUS_IO_ERROR, "%s: is not a regular file", mo_path_show(path).text);
    return io_error(path, "opened", reason);
  }
  if (fstat(opened, &info) != 0) {
    const int reason = errno;
    close(opened);
    return io_error(path, "examined", reason);
  }
  if (!S_ISREG(info.st_mode)) {
    close(opened);
    return mo_fail(MO_STATUS_IO_ERROR, "%s: is %s, not a regular file", mo_path_show(path).text,
                   S_ISDIR(info.st_mode)    ? "a directory"
                   : S_ISFIFO(info.st_mode) ? "a pipe"
                                            : "a device");
  }
  *descriptor = opened;
  if (bytes != NULL) *bytes = (int64_t)info.st_size;
  return MO_STATUS_OK;
}

mo_status_t mo_file_find(const char *path, bool *there) {
  struct stat info;
  *there = stat(path, &info) == 0;
  if (*there || errno == ENOENT || errno == ENOTDIR) return MO_STATUS_OK;
  return io_error(path, "reached", errno);
}

/* Until `bytes` are there or the file ends. */
static mo_status_t read_until(int descriptor, const char *path, int64_t offset, char *memory, size_t bytes, size_t *count) {
  *count = 0;
  while (*count < bytes) {
    const size_t wanted = bytes - *count < READ_BYTES_LIMIT ? bytes - *count : READ_BYTES_LIMIT;
    const ssize_t now = pread(descriptor, memory + *count, wanted, (off_t)(offset + (int64_t)*count));
    if (now == 0) break;
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return io_error(path, "read", errno);
    *count += (size_t)now;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_file_read_at(int descriptor, const char *path, int64_t offset, void *memory, size_t bytes) {
  size_t count;
  MO_TRY(read_until(descriptor, path, offset, memory, bytes, &count));
  MO_CHECK(count == bytes, MO_STATUS_IO_ERROR, "%s: ends after %" PRId64 " bytes, it was longer when it was opened",
           mo_path_show(path).text, offset + (int64_t)count);
  return MO_STATUS_OK;
}

mo_status_t mo_file_check_pointer(const char *path, const void *data, size_t bytes) {
  static const char beginning[] = "version https://git-lfs.github.com/spec/";
  const size_t length = sizeof beginning - 1;
  MO_CHECK(bytes < length || memcmp(data, beginning, length) != 0, MO_STATUS_BAD_FILE,
           "%s: is a Git LFS pointer, not the file it stands for: run \"git lfs pull\" in its folder, or download the file",
           mo_path_show(path).text);
  return MO_STATUS_OK;
}

static mo_status_t too_long(const char *path, size_t limit) {
  return mo_fail(MO_STATUS_BAD_FILE, "%s: over %zu bytes, the limit for this file", mo_path_show(path).text, limit);
}

/* `capacity`: of the first try. A file that says it is empty may be one whose size the system does not tell. */
static mo_status_t read_all(int descriptor, const char *path, size_t capacity, size_t limit, char **text, size_t *bytes) {
  char *memory = NULL;
  size_t used = 0;
  for (;;) {
    char *larger = realloc(memory, capacity);
    size_t count = 0;
    if (larger == NULL) {
      free(memory);
      return mo_fail(MO_STATUS_OUT_OF_MEMORY, "%s: no memory for %zu bytes", mo_path_show(path).text, capacity);
    }
    memory = larger;
    mo_status_t status = read_until(descriptor, path, (int64_t)used, memory + used, capacity - 1 - used, &count);
    used += count;
    if (status == MO_STATUS_OK && used > limit) status = too_long(path, limit);
    if (status == MO_STATUS_OK && used < capacity - 1) status = mo_file_check_pointer(path, memory, used);
    if (status != MO_STATUS_OK) {
      free(memory);
      return status;
    }
    if (used < capacity - 1) break;
    capacity *= 2;
  }
  memory[used] = '\0';
  *text = memory;
  *bytes = used;
  return MO_STATUS_OK;
}

mo_status_t mo_file_read_all(const char *path, size_t limit, char **text, size_t *bytes) {
  int descriptor;
  int64_t size;
  MO_TRY(mo_file_open(path, &descriptor, &size));
  /* Two more than there are: the terminator, and one that stays free and so shows the end. */
  const mo_status_t status = size > 0 && (uint64_t)size > limit
                                 ? too_long(path, limit)
                                 : read_all(descriptor, path, size > 0 ? (size_t)size + 2 : FIRST_BYTES, limit, text, bytes);
  close(descriptor); /* read only: nothing to lose */
  return status;
}
