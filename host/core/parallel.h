/* host/core/parallel.h - loops over several threads: the pool of the process.
 *
 * The pool's threads ("workers") are made when a loop first wants them, serve all contexts of the process, and sleep when there
 * is nothing to do. Whoever calls a loop takes part in it. Pieces of a loop are handed out as threads ask for them: a thread
 * that the system takes off its core holds up the piece it is in, and nothing else, and nobody waits for a thread that comes
 * too late to get one. If the system gives no thread at all, the caller does everything.
 *
 * A body that calls a loop itself runs that one alone. After a fork the child begins with an empty pool.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_PARALLEL_H
#define MO_CORE_PARALLEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The part [first, last) of a loop. `slot` is below the loop's `threads`, and no two threads of a loop have the same one: it
 * picks a thread's own scratch memory. */
typedef void (*mo_parallel_body)(const void *job, int64_t first, int64_t last, int32_t slot);

/* Calls the body for pieces of `grain` elements (the last one may be smaller) until [0, count) is done, by at most `threads`
 * threads. grain 0: a few pieces per thread. What the body wrote can be read when this returns. Which thread does which piece
 * is not defined, so results must not depend on it. */
void mo_parallel_for(int32_t threads, int64_t count, int64_t grain, mo_parallel_body body, const void *job);

/* Threads of a context that asks for `wanted`; 0: what context.h says under thread_count. At least 1. */
int32_t mo_parallel_thread_count(int32_t wanted);

#ifdef __cplusplus
}
#endif

#endif
