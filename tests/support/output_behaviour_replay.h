/* tests/support/output_behaviour_replay.h - replays recorded scripts of output operations (tests/golden/container.json)
 * through the public API and compares every answer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef OUTPUT_BEHAVIOUR_REPLAY_H
#define OUTPUT_BEHAVIOUR_REPLAY_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct replay_counts {
  int scripts;
  int agree;
  int differ;
  int without_meaning; /* cannot be written in C; the rule is printed */
} replay_counts;

typedef enum replay_result_t {
  REPLAY_OK = 0,
  REPLAY_UNREADABLE = 1, /* no such file, or no JSON */
  REPLAY_MALFORMED = 2,  /* JSON of another form */
} replay_result_t;

/* Adds the scripts of one file to `counts`; details of differences, scripts without meaning and faults of the file go to `log`.
 */
replay_result_t replay_file(const char *path, FILE *log, replay_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
