/* host/core/file_writer.c - new content beside a file, then one step that puts it in place.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"

#define TEMPORARY_ATTEMPTS 1000
#define LINKS_LIMIT 40                      /* as in the kernel */
#define WRITE_BYTES_LIMIT ((size_t)1 << 30) /* one write() may take at most 2 GiB */
#define NEW_FILE_MODE 0666                  /* less what the process' umask takes */

static mo_status_t io_error(const mo_file_writer *writer, const char *action, int number) {
  char text[128];
  return mo_fail(MO_STATUS_IO_ERROR, "%s: %.200s: cannot be %s: %s", writer->op, writer->path, action,
                 strerror_r(number, text, sizeof text));
}

/* ---- What stands at the path ---- */

/* The path that a link points to, seen from where the link lies; NULL with errno. */
static char *read_link(const char *path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path, target, sizeof target - 1);
  if (length < 0) return NULL;
  target[length] = '\0';
  const char *slash = target[0] == '/' ? NULL : strrchr(path, '/');
  const size_t prefix = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  char *joined = malloc(prefix + (size_t)length + 1);
  if (joined == NULL) return NULL;
  memcpy(joined, path, prefix);
  memcpy(joined + prefix, target, (size_t)length + 1);
  return joined;
}

/* Follows links to a name that is none, whether or not there is a file of that name. */
static mo_status_t follow_links(mo_file_writer *writer) {
  struct stat found;
  writer->target = strdup(writer->path);
  for (int i = 0; i < LINKS_LIMIT && writer->target != NULL; i++) {
    if (lstat(writer->target, &found) != 0 || !S_ISLNK(found.st_mode)) return MO_STATUS_OK;
    char *next = read_link(writer->target);
    if (next == NULL && errno != ENOMEM) return io_error(writer, "followed to where it points", errno);
    free(writer->target);
    writer->target = next;
  }
  if (writer->target == NULL) return mo_fail(MO_STATUS_OUT_OF_MEMORY, "%s: no memory for a path", writer->op);
  return io_error(writer, "followed to where it points", ELOOP);
}

static mo_status_t refuse_kind(const mo_file_writer *writer, mode_t mode) {
  const char *kind = S_ISDIR(mode) ? "folder" : S_ISFIFO(mode) ? "pipe" : S_ISSOCK(mode) ? "socket" : "device";
  return mo_fail(MO_STATUS_IO_ERROR, "%s: %.200s: is a %s, only regular files are written or replaced", writer->op,
                 writer->path, kind);
}

static mo_status_t open_device(mo_file_writer *writer) {
  struct stat found;
  writer->is_device = true;
  writer->descriptor = open(writer->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (writer->descriptor < 0 || fstat(writer->descriptor, &found) != 0) return io_error(writer, "opened", errno);
  if (!S_ISCHR(found.st_mode)) return refuse_kind(writer, found.st_mode);
  return fcntl(writer->descriptor, F_SETFL, 0) == 0 ? MO_STATUS_OK : io_error(writer, "opened", errno);
}

/* Looks at the path; of what will be replaced notes the rights. */
static mo_status_t look(mo_file_writer *writer) {
  struct stat found, named;
  if (stat(writer->path, &found) != 0) {
    if (errno != ENOENT) return io_error(writer, "looked at", errno);
    return follow_links(writer);
  }
  if (S_ISCHR(found.st_mode)) return open_device(writer);
  if (!S_ISREG(found.st_mode)) return refuse_kind(writer, found.st_mode);
  MO_TRY(follow_links(writer));
  /* The links of /proc lead to files that may have no name any more. */
  const bool same = lstat(writer->target, &named) == 0 && named.st_dev == found.st_dev && named.st_ino == found.st_ino;
  MO_CHECK(same, MO_STATUS_IO_ERROR, "%s: %.200s: the file it leads to has no name that could be replaced", writer->op,
           writer->path);
  writer->replaces = true;
  writer->mode = found.st_mode & 0777;
  writer->owner = found.st_uid;
  writer->group = found.st_gid;
  return MO_STATUS_OK;
}

/* ---- The new content ---- */

static mo_status_t open_directory(mo_file_writer *writer) {
  char *slash = strrchr(writer->target, '/');
  writer->name = slash == NULL ? writer->target : slash + 1;
  if (writer->name[0] == '\0') return io_error(writer, "created", EISDIR);
  const char *folder = slash == NULL ? "." : slash == writer->target ? "/" : writer->target;
  if (slash != NULL && slash != writer->target) *slash = '\0'; /* the two parts stand one behind the other from here on */
  writer->directory = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return writer->directory >= 0 ? MO_STATUS_OK : io_error(writer, "created", errno);
}

/* Short, so that it fits beside the longest name. */
static void name_temporary(mo_file_writer *writer) {
  static atomic_uint serial;
  snprintf(writer->temporary, sizeof writer->temporary, ".modelout-%ld-%u.tmp", (long)getpid(), atomic_fetch_add(&serial, 1));
}

static mo_status_t open_named(mo_file_writer *writer) {
  for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
    name_temporary(writer);
    writer->descriptor = openat(writer->directory, writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, NEW_FILE_MODE);
    if (writer->descriptor >= 0) return MO_STATUS_OK;
    if (errno != EEXIST) break;
  }
  writer->temporary[0] = '\0';
  return io_error(writer, "created", errno);
}

/* Content without a name gets one through /proc. */
static void descriptor_path(int descriptor, char path[32]) { snprintf(path, 32, "/proc/self/fd/%d", descriptor); }

static bool open_unnamed(mo_file_writer *writer) {
  char path[32];
  writer->descriptor = openat(writer->directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, NEW_FILE_MODE);
  if (writer->descriptor < 0) return false;
  descriptor_path(writer->descriptor, path);
  if (access(path, F_OK) == 0) return true;
  close(writer->descriptor);
  writer->descriptor = -1;
  return false;
}

static mo_status_t open_content(mo_file_writer *writer, bool named) {
  MO_TRY(look(writer));
  if (writer->is_device) return MO_STATUS_OK;
  MO_TRY(open_directory(writer));
  return !named && open_unnamed(writer) ? MO_STATUS_OK : open_named(writer);
}

mo_status_t mo_file_writer_open(mo_file_writer *writer, const char *op, const char *path, bool named) {
  *writer = (mo_file_writer){.op = op, .path = path, .directory = -1, .descriptor = -1};
  const mo_status_t status = open_content(writer, named);
  if (status != MO_STATUS_OK) mo_file_writer_abandon(writer);
  return status;
}

mo_status_t mo_file_writer_write(mo_file_writer *writer, const void *data, size_t bytes) {
  const char *next = data;
  while (bytes > 0) {
    const ssize_t written = write(writer->descriptor, next, bytes < WRITE_BYTES_LIMIT ? bytes : WRITE_BYTES_LIMIT);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error(writer, "written", written < 0 ? errno : EIO);
    next += written;
    bytes -= (size_t)written;
  }
  return MO_STATUS_OK;
}

/* ---- In place ---- */

/* Gives content that has no name one: the target's, if that is free, else a temporary's, which the target's replaces. */
static mo_status_t link_content(mo_file_writer *writer, bool *cannot_link) {
  char path[32];
  descriptor_path(writer->descriptor, path);
  if (!writer->replaces && linkat(AT_FDCWD, path, writer->directory, writer->name, AT_SYMLINK_FOLLOW) == 0) return MO_STATUS_OK;
  for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
    name_temporary(writer);
    if (linkat(AT_FDCWD, path, writer->directory, writer->temporary, AT_SYMLINK_FOLLOW) == 0) return MO_STATUS_OK;
    if (errno != EEXIST) break;
  }
  writer->temporary[0] = '\0';
  *cannot_link = errno != ENOSPC && errno != EDQUOT;
  return io_error(writer, "put in place", errno);
}

static mo_status_t take_name(mo_file_writer *writer, bool *cannot_link) {
  if (writer->temporary[0] == '\0') MO_TRY(link_content(writer, cannot_link));
  if (writer->temporary[0] == '\0') return MO_STATUS_OK; /* it has the target's name */
  if (renameat(writer->directory, writer->temporary, writer->directory, writer->name) != 0)
    return io_error(writer, "put in place", errno);
  writer->temporary[0] = '\0';
  return MO_STATUS_OK;
}

static mo_status_t put_in_place(mo_file_writer *writer, bool *cannot_link) {
  if (writer->is_device) return MO_STATUS_OK;
  if (writer->replaces) {
    /* Only a privileged process can give a file away; another one's file becomes its own, as before. */
    if (fchown(writer->descriptor, writer->owner, writer->group) != 0 && errno != EPERM)
      return io_error(writer, "written", errno);
    if (fchmod(writer->descriptor, writer->mode) != 0 && errno != EPERM) return io_error(writer, "written", errno);
  }
  /* Without it a crash of the machine could leave the new name with half the data. */
  if (fsync(writer->descriptor) != 0 && errno != EINVAL) return io_error(writer, "written", errno);
  /* Between the two names a signal that ends the process waits. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const mo_status_t status = take_name(writer, cannot_link);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

mo_status_t mo_file_writer_finish(mo_file_writer *writer, bool *cannot_link) {
  *cannot_link = false;
  mo_status_t status = put_in_place(writer, cannot_link);
  const int descriptor = writer->descriptor;
  writer->descriptor = -1;
  if (close(descriptor) != 0 && status == MO_STATUS_OK) status = io_error(writer, "written", errno);
  mo_file_writer_abandon(writer);
  return status;
}

void mo_file_writer_abandon(mo_file_writer *writer) {
  if (writer->temporary[0] != '\0') (void)unlinkat(writer->directory, writer->temporary, 0);
  if (writer->descriptor >= 0) close(writer->descriptor);
  if (writer->directory >= 0) close(writer->directory);
  free(writer->target);
  *writer = (mo_file_writer){.directory = -1, .descriptor = -1};
}
