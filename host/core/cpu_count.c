/* host/core/cpu_count.c - processors of this process: affinity mask and control group.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/cpu_count.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

int32_t mo_cpu_number(const char *text) {
  if (text == NULL) return 0;
  while (*text == ' ') text++;
  if (*text < '0' || *text > '9') return 0;
  const long value = strtol(text, NULL, 10); /* LONG_MAX after an overflow */
  return value > INT32_MAX ? INT32_MAX : (int32_t)value;
}

int32_t mo_cpu_quota(const char *text) {
  long long quota, period;
  if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) return INT32_MAX;
  const long long count = quota / period + (quota % period != 0);
  return count > INT32_MAX ? INT32_MAX : (int32_t)count;
}

/* The first bytes of a small file of the kernel's; false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t bytes) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t length = read(file, text, bytes - 1);
  close(file);
  text[length > 0 ? length : 0] = '\0';
  return length > 0;
}

/* The smallest quota of the own group and the groups above it. Inside a container the own group is the root. */
static int32_t group_quota(void) {
  char groups[4096], path[PATH_MAX], text[64];
  int32_t smallest = INT32_MAX;
  if (!read_text("/proc/self/cgroup", groups, sizeof groups)) return smallest;
  char *group = strncmp(groups, "0::/", 4) == 0 ? groups + 3 : strstr(groups, "\n0::/");
  if (group == NULL) return smallest;
  if (*group == '\n') group += 4;
  group[strcspn(group, "\n")] = '\0';
  for (;;) {
    const int length = snprintf(path, sizeof path, CGROUP_ROOT "%s/cpu.max", strcmp(group, "/") == 0 ? "" : group);
    if (length > 0 && length < (int)sizeof path && read_text(path, text, sizeof text)) {
      const int32_t quota = mo_cpu_quota(text);
      if (quota < smallest) smallest = quota;
    }
    char *const slash = strrchr(group, '/');
    if (slash == NULL || strcmp(group, "/") == 0) return smallest;
    slash[slash == group ? 1 : 0] = '\0'; /* the group above */
  }
}

static int32_t affinity_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t has */
  return online > INT32_MAX ? INT32_MAX : (int32_t)online;
}

int32_t mo_cpu_count(void) {
  const int32_t affinity = affinity_count(), quota = group_quota();
  const int32_t count = affinity < quota ? affinity : quota;
  return count > 0 ? count : 1;
}
