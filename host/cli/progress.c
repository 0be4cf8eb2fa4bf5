/* host/cli/progress.c - a line on the terminal for anything that takes longer than a second.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/progress.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "host/core/show.h"

static void *show(void *argument) {
  cli_progress *progress = argument;
  struct timespec wake = {0};
  clock_gettime(CLOCK_MONOTONIC, &wake);
  long seconds = 0;
  pthread_mutex_lock(&progress->mutex);
  while (!progress->finished) {
    wake.tv_sec++;
    int result = 0;
    while (!progress->finished && result != ETIMEDOUT) {
      result = pthread_cond_timedwait(&progress->condition, &progress->mutex, &wake);
    }
    if (!progress->finished) fprintf(stderr, "\r%s ... %ld s", mo_name_show(progress->what).text, ++seconds);
  }
  pthread_mutex_unlock(&progress->mutex);
  if (seconds > 0) fprintf(stderr, "\r\033[K");
  return NULL;
}

void cli_progress_start(cli_progress *progress, const char *what, bool enabled) {
  *progress = (cli_progress){.what = what};
  if (!enabled || !isatty(STDERR_FILENO)) return;
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return;
  const bool ready =
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&progress->condition, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  if (!ready) return;
  pthread_mutex_init(&progress->mutex, NULL);
  progress->running = pthread_create(&progress->thread, NULL, show, progress) == 0;
  if (!progress->running) {
    pthread_cond_destroy(&progress->condition);
    pthread_mutex_destroy(&progress->mutex);
  }
}

void cli_progress_stop(cli_progress *progress) {
  if (!progress->running) return;
  pthread_mutex_lock(&progress->mutex);
  progress->finished = true;
  pthread_cond_signal(&progress->condition);
  pthread_mutex_unlock(&progress->mutex);
  pthread_join(progress->thread, NULL);
  pthread_cond_destroy(&progress->condition);
  pthread_mutex_destroy(&progress->mutex);
  progress->running = false;
}
