/* host/core/cpu_count.h - how many processors there are to use.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CORE_CPU_COUNT_H
#define MO_CORE_CPU_COUNT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Processors this process may use: those of its affinity mask, or fewer if the quota of its control group is smaller (rounded
 * up). At least 1. */
int32_t mo_cpu_count(void);

/* The quota of a file cpu.max ("max 100000", "150000 100000") in processors, rounded up; INT32_MAX if there is none or the text
 * is something else. */
int32_t mo_cpu_quota(const char *text);

/* The positive number that `text` begins with ("4", "4,2"); 0 for NULL and everything else. At most INT32_MAX. */
int32_t mo_cpu_number(const char *text);

#ifdef __cplusplus
}
#endif

#endif
