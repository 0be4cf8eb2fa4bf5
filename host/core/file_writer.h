/* host/core/file_writer.h - writes a file that appears whole or not at all.
 *
 * What stands at the path decides: nothing or a regular file is replaced in one step, and the permissions of the replaced one
 * are kept; symbolic links are followed, and stay; a character device (/dev/null, a terminal) is written to; anything else
 * (folders, pipes, sockets, block devices) is refused.
 *
 * The new content has no name while it is written, so nothing stays behind when the process is ended in the middle. Where the
 * file system cannot do that it is a temporary beside the target.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_FILE_WRITER_H
#define MO_CORE_FILE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "modelout/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_file_writer {
  const char *op;      /* for sentences */
  const char *path;    /* as given */
  char *target;        /* owned: links followed */
  const char *name;    /* last part of it */
  int directory;       /* that it lies in; -1 */
  int descriptor;      /* of the new content; -1 */
  bool is_device;      /* written in place */
  bool replaces;       /* there was a regular file */
  mode_t mode;         /* of that one */
  uid_t owner;
  gid_t group;
  char temporary[48];  /* name of the new content in the directory; "": it has none */
} mo_file_writer;

/* IO_ERROR names the path and the reason. `op` and `path` must outlive the writer. `named`: with a temporary from the start. */
mo_status_t mo_file_writer_open(mo_file_writer *writer, const char *op, const char *path, bool named);

mo_status_t mo_file_writer_write(mo_file_writer *writer, const void *data, size_t bytes);

/* Puts the content in place, after it has reached the disk; the writer is at its end either way. *cannot_link: the file system
 * gives no names to content without one, what a second attempt with `named` helps against. */
mo_status_t mo_file_writer_finish(mo_file_writer *writer, bool *cannot_link);

/* Drops what was written. */
void mo_file_writer_abandon(mo_file_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
