/* host/rules/relative_buckets.h - T5's buckets of relative positions, as borders that are compared, not as logarithms.
 *
 * The original takes a float32 logarithm per pair of positions. Here the smallest distance of each bucket is found once, by the
 * same float32 steps, so that CPU and GPU agree with it at every border.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_RELATIVE_BUCKETS_H
#define MO_RULES_RELATIVE_BUCKETS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MO_MAX_RELATIVE_BUCKETS 512

typedef struct mo_relative_buckets {
  int32_t per_side;                        /* buckets of one direction */
  int32_t exact;                           /* distances below it have a bucket each */
  bool bidirectional;                      /* later keys have the second half of the buckets; else they have bucket 0 */
  int32_t border[MO_MAX_RELATIVE_BUCKETS]; /* border[k]: the smallest distance of bucket exact + k + 1 */
} mo_relative_buckets;

/* T5Attention._relative_position_bucket for one distance of at least `exact`. */
static inline int32_t mo_far_bucket(int32_t distance, int32_t per_side, int32_t exact, int64_t max_distance) {
  const float log_distance = (float)log((double)((float)distance / (float)exact));
  const float log_range = (float)log((double)max_distance / (double)exact);
  const float steps = log_distance / log_range * (float)(per_side - exact);
  return steps >= (float)(per_side - exact - 1) ? per_side - 1 : exact + (int32_t)steps;
}

/* bucket_count 2 to MO_MAX_RELATIVE_BUCKETS (bidirectional: at least 4), max_distance above bucket_count / 2 (/ 4). */
static inline mo_relative_buckets mo_relative_buckets_of(int32_t bucket_count, int64_t max_distance, bool bidirectional) {
  mo_relative_buckets buckets;
  memset(&buckets, 0, sizeof buckets);
  buckets.bidirectional = bidirectional;
  buckets.per_side = bidirectional ? bucket_count / 2 : bucket_count;
  buckets.exact = buckets.per_side / 2;
  for (int32_t bucket = buckets.exact + 1; bucket < buckets.per_side; bucket++) {
    int32_t low = buckets.exact, high = INT32_MAX; /* low lies below the border, high at or above it */
    while (high - low > 1) {
      const int32_t middle = low + (high - low) / 2;
      if (mo_far_bucket(middle, buckets.per_side, buckets.exact, max_distance) >= bucket) high = middle;
      else low = middle;
    }
    buckets.border[bucket - buckets.exact - 1] = high;
  }
  return buckets;
}

#endif
