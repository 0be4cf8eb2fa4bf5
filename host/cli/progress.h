/* host/cli/progress.h - a line on the terminal for anything that takes longer than a second.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CLI_PROGRESS_H
#define MO_CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>

typedef struct cli_progress {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t condition;
  const char *what;
  bool running;  /* a thread was started */
  bool finished; /* guarded by mutex */
} cli_progress;

/* Starts a thread that, from the first second on, keeps "what ... 3 s" on stderr. Does nothing when `enabled` is false, when
 * stderr is no terminal, or when the thread cannot be had. `what` must stay valid until cli_progress_stop(). */
void cli_progress_start(cli_progress *progress, const char *what, bool enabled);

/* Stops it and wipes the line. */
void cli_progress_stop(cli_progress *progress);

#endif
