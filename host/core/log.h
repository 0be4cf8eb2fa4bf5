/* host/core/log.h - notes to the caller: of calls that succeed, but not quite as one may expect (modelout/context.h,
 * mo_log_sink).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_LOG_H
#define MO_CORE_LOG_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One sentence, no final full stop: what and how many, then the first name ("model: 14 tensors are not used, \"a.b\" is the
 * first"). Nothing is formatted where nobody listens. The thread's error sentence stays. */
void mo_log(const mo_context_t *context, mo_log_level_t level, const char *format, ...) MO_PRINTF_FORMAT(3, 4);

#ifdef __cplusplus
}
#endif

#endif
