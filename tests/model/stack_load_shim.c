/* tests/model/stack_load_shim.c - the command's replay code, which the library does not hold.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/replay.c" /* first: it says which POSIX it needs */

#include "host/cli/input_names.c"
#include "host/cli/replay_case.c"
#include "host/cli/replay_compare.c"
