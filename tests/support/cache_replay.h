/* tests/support/cache_replay.h - replays recorded sequences of cache operations (tests/golden/cache.json) through the public
 * API and compares every answer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_REPLAY_H
#define CACHE_REPLAY_H

#include <stdio.h>

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cache_replay_counts {
  int sequences;
  int agree;
  int documented; /* differ only where modelout/cache.h says so; which rule is printed */
  int differ;
} cache_replay_counts;

typedef enum cache_replay_result_t {
  CACHE_REPLAY_OK = 0,
  CACHE_REPLAY_UNREADABLE = 1, /* no such file, or no JSON */
  CACHE_REPLAY_MALFORMED = 2,  /* JSON of another form */
  CACHE_REPLAY_FAILED = 3,     /* no context */
} cache_replay_result_t;

/* Adds the sequences of one file to `counts`; differences and faults of the file go to `log`. options NULL: the CPU. */
cache_replay_result_t cache_replay_file(const char *path, const mo_context_options *options, FILE *log,
                                        cache_replay_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
