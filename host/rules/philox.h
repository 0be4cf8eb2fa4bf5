/* host/rules/philox.h - Philox4x32-10, the counter-based generator of sampling: the same numbers on every backend.
 *
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_PHILOX_H
#define MO_RULES_PHILOX_H

#include <stdint.h>

#if defined(__CUDACC__)
#define MO_PHILOX_FUNCTION static __host__ __device__ __forceinline__
#else
#define MO_PHILOX_FUNCTION static inline
#endif

typedef struct mo_philox_block {
  uint32_t words[4];
} mo_philox_block;

MO_PHILOX_FUNCTION mo_philox_block mo_philox4x32_10(mo_philox_block counter, uint32_t key0, uint32_t key1) {
  mo_philox_block c = counter;
  for (int round = 0; round < 10; round++) {
    const uint64_t a = (uint64_t)0xD2511F53u * c.words[0], b = (uint64_t)0xCD9E8D57u * c.words[2];
    const mo_philox_block next = {
        {(uint32_t)(b >> 32) ^ c.words[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ c.words[3] ^ key1, (uint32_t)a}};
    c = next;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

/* The 64 random bits of a draw: a fraction of 2^64. */
MO_PHILOX_FUNCTION uint64_t mo_sampling_bits(uint64_t seed, uint64_t step, uint64_t row) {
  const mo_philox_block counter = {{(uint32_t)step, (uint32_t)(step >> 32), (uint32_t)row, (uint32_t)(row >> 32)}};
  const mo_philox_block drawn = mo_philox4x32_10(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
  return (uint64_t)drawn.words[1] << 32 | drawn.words[0];
}

/* fraction / 2^64 * total, rounded down: below total. */
MO_PHILOX_FUNCTION uint64_t mo_fraction_of(uint64_t fraction, uint64_t total) {
  const uint64_t low_low = (fraction & 0xFFFFFFFFu) * (total & 0xFFFFFFFFu),
                 low_high = (fraction & 0xFFFFFFFFu) * (total >> 32);
  const uint64_t high_low = (fraction >> 32) * (total & 0xFFFFFFFFu), high_high = (fraction >> 32) * (total >> 32);
  const uint64_t middle = (low_low >> 32) + (low_high & 0xFFFFFFFFu) + (high_low & 0xFFFFFFFFu);
  return high_high + (low_high >> 32) + (high_low >> 32) + (middle >> 32);
}

#endif
