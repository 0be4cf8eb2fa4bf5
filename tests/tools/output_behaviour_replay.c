/* tests/tools/output_behaviour_replay.c - output_behaviour_replay FILE...: replays recorded scripts of output operations.
 *
 * Exit status: 0 if every script agrees or has no meaning in C, 1 on a difference or an unreadable file, 2 on a file of another
 * form or wrong usage.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/output_behaviour_replay.h"

int main(int argc, char **argv) {
  replay_counts counts = {0};
  int unreadable = 0, malformed = 0;
  if (argc < 2) {
    fprintf(stderr, "usage: output_behaviour_replay FILE...\n");
    return 2;
  }
  for (int i = 1; i < argc; ++i) {
    const replay_result_t result = replay_file(argv[i], stderr, &counts);
    unreadable += result == REPLAY_UNREADABLE;
    malformed += result == REPLAY_MALFORMED;
  }
  printf("%d scripts: %d agree, %d differ, %d have no meaning in C\n", counts.scripts, counts.agree, counts.differ,
         counts.without_meaning);
  if (malformed > 0) return 2;
  return counts.differ > 0 || unreadable > 0 ? 1 : 0;
}
