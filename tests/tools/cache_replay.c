/* tests/tools/cache_replay.c - cache_replay FILE...: replays recorded sequences of cache operations.
 *
 * Exit status: 0 if every sequence agrees, or differs only where modelout/cache.h says so; 1 on another difference, an
 * unreadable file or a device that cannot be used; 2 on a file of another form or wrong usage.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cache_replay.h"

int main(int argc, char **argv) {
  cache_replay_counts counts = {0};
  int failed = 0, malformed = 0;
  if (argc < 2) {
    fprintf(stderr, "usage: cache_replay FILE...\n");
    return 2;
  }
  for (int i = 1; i < argc; ++i) {
    const cache_replay_result_t result = cache_replay_file(argv[i], NULL, stderr, &counts);
    failed += result == CACHE_REPLAY_UNREADABLE || result == CACHE_REPLAY_FAILED;
    malformed += result == CACHE_REPLAY_MALFORMED;
  }
  printf("%d sequences: %d agree, %d differ as documented, %d differ\n", counts.sequences, counts.agree, counts.documented,
         counts.differ);
  if (malformed > 0) return 2;
  return counts.differ > 0 || failed > 0 ? 1 : 0;
}
