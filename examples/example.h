/* examples/example.h - how the examples stop when something is not as they say.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_EXAMPLES_EXAMPLE_H
#define MO_EXAMPLES_EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>

#include "modelout/modelout.h"

/* A call that must succeed: prints the library's sentence and ends the program otherwise. */
#define TRY(call)                                                                                                              \
  do {                                                                                                                         \
    if ((call) != MO_STATUS_OK) {                                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, mo_last_error());                                                     \
      exit(1);                                                                                                                 \
    }                                                                                                                          \
  } while (0)

/* Something the example's text claims. */
#define CLAIM(condition)                                                                                                       \
  do {                                                                                                                         \
    if (!(condition)) {                                                                                                        \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                                \
      exit(1);                                                                                                                 \
    }                                                                                                                          \
  } while (0)

#endif
