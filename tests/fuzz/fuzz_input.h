/* tests/fuzz/fuzz_input.h - decisions drawn from the bytes of an input, and contexts whose memory is watched.
 *
 * Where the bytes have run out every decision is its first choice, so that short inputs are plain ones.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_FUZZ_INPUT_H
#define MO_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modelout/context.h"

typedef struct fuzz_input {
  const uint8_t *data;
  size_t left;
} fuzz_input;

uint8_t fuzz_byte(fuzz_input *input);

/* 0 .. bound - 1, at most 256 of them. */
int fuzz_pick(fuzz_input *input, int bound);

/* True for one byte in `of`; false at the end. */
bool fuzz_once_in(fuzz_input *input, int of);

/* Mostly 0 .. bound - 1; seldom a number at an edge of its type. */
int64_t fuzz_integer(fuzz_input *input, int bound);

/* Likewise: 0, 1, fractions, huge and tiny ones, infinities, NaN. */
float fuzz_real(fuzz_input *input);

/* Random numbers that cost no input: xorshift. */
uint64_t fuzz_random(uint64_t *state);

/* Ends the program with a sentence: what must hold does not. */
#define FUZZ_REQUIRE(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_fail(const char *condition, const char *file, int line);

/* OK or not, in the form every call must have: a known status, and a sentence beside a failure. Returns whether it is OK. */
bool fuzz_status(mo_status_t status);

/* The CPU context of an input, on one thread; made when it is first asked for. Its memory is bounded, and nothing that was
 * given back is used again; allocation number `fail_at` from now on fails (0: none). */
mo_context_t *fuzz_context(void);
void fuzz_fail_allocation(int fail_at);

/* At the end of an input: everything made with the context is gone, so no memory of it may be held. */
void fuzz_close_context(void);

#endif
