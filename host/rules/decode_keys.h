/* host/rules/decode_keys.h - which keys a row of decode attention holds, which of them a new token sees, and how they are
 * shared out: the same on CPU and GPU.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_DECODE_KEYS_H
#define MO_RULES_DECODE_KEYS_H

#include <stdint.h>

#if defined(__CUDACC__)
#define MO_DECODE_FUNCTION static __host__ __device__ __forceinline__
#else
#define MO_DECODE_FUNCTION static inline
#endif

/* The same for all rows of a call. */
typedef struct mo_decode_rules {
  int64_t key_limit;      /* keys at and past it do not exist */
  int64_t sliding_window; /* 0: none */
  int64_t appended;       /* new tokens that get a slot: T, or 0 without new keys */
} mo_decode_rules;

/* Slots first .. end - 1; first == end: none. */
typedef struct mo_key_range {
  int64_t first, end;
} mo_key_range;

MO_DECODE_FUNCTION int64_t mo_decode_min(int64_t a, int64_t b) { return a < b ? a : b; }
MO_DECODE_FUNCTION int64_t mo_decode_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* Keys that a row holds after the call. `length`: before it. */
MO_DECODE_FUNCTION int64_t mo_decode_total(mo_decode_rules rules, int64_t length) {
  return length < 0 ? 0 : mo_decode_min(length + rules.appended, rules.key_limit);
}

/* What new token `token` sees, but for mask tensors. `start`: keys before it are padding. */
MO_DECODE_FUNCTION mo_key_range mo_decode_visible(mo_decode_rules rules, int64_t length, int64_t start, int64_t token) {
  const int64_t end = length + (rules.appended > 0 ? token + 1 : 0);
  mo_key_range range = {0, 0};
  int64_t first = start > 0 ? start : 0;
  if (length < 0) return range;
  if (rules.sliding_window > 0) first = mo_decode_max(first, end - rules.sliding_window);
  if (first >= mo_decode_min(end, rules.key_limit)) return range;
  range.first = first;
  range.end = mo_decode_min(end, rules.key_limit);
  return range;
}

/* The slots that get a new token. */
MO_DECODE_FUNCTION mo_key_range mo_decode_written(mo_decode_rules rules, int64_t length) {
  mo_key_range range = {0, 0};
  if (rules.appended == 0 || length < 0 || length >= rules.key_limit) return range;
  range.first = length;
  range.end = mo_decode_total(rules, length);
  return range;
}

MO_DECODE_FUNCTION mo_key_range mo_decode_union(mo_key_range a, mo_key_range b) {
  if (a.first >= a.end) return b;
  if (b.first >= b.end) return a;
  a.first = mo_decode_min(a.first, b.first);
  a.end = mo_decode_max(a.end, b.end);
  return a;
}

/* What a row is read for: all that any of its tokens sees, and the slots that are written. */
MO_DECODE_FUNCTION mo_key_range mo_decode_work(mo_decode_rules rules, int64_t length, int64_t start, int64_t tokens) {
  mo_key_range work = mo_decode_written(rules, length);
  for (int64_t token = 0; token < tokens; ++token) {
    work = mo_decode_union(work, mo_decode_visible(rules, length, start, token));
  }
  return work;
}

/* Part `index` of `count`; all but the last have a multiple of `granule` keys. */
MO_DECODE_FUNCTION mo_key_range mo_decode_part(mo_key_range work, int64_t index, int64_t count, int64_t granule) {
  const int64_t share = (work.end - work.first + count - 1) / count;
  const int64_t part = (share + granule - 1) / granule * granule;
  mo_key_range range;
  range.first = mo_decode_min(work.first + index * part, work.end);
  range.end = mo_decode_min(range.first + part, work.end);
  return range;
}

#endif
