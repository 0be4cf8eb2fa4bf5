/* tests/ops/sampling_shim.c - sampling as a C program calls it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/rules/philox.h"
#include "modelout/sampling.h"
#include "tests/support/device_mirror.h"

mo_status_t mo_test_sample(mo_context_t *context, float *row, int64_t count, float temperature, uint64_t seed, int64_t *token);
void mo_test_philox(const uint32_t *counter_and_key, uint32_t *words);
uint64_t mo_test_sampling_bits(uint64_t seed, uint64_t step, uint64_t row);

mo_status_t mo_test_sample(mo_context_t *context, float *row, int64_t count, float temperature, uint64_t seed, int64_t *token) {
  const mo_tensor logits = mo_tensor_cpu(row, MO_DTYPE_FLOAT32, 2, (int64_t[]){1, count});
  const mo_tensor tokens = mo_tensor_cpu(token, MO_DTYPE_INT64, 1, (int64_t[]){1});
  mo_sampling_params params = MO_SAMPLING_PARAMS_INIT;
  params.tokens = &tokens;
  params.logits = &logits;
  params.temperature = temperature;
  params.seed = seed;
  return test_sample(context, &params);
}

void mo_test_philox(const uint32_t *counter_and_key, uint32_t *words) {
  const uint32_t *c = counter_and_key;
  const mo_philox_block block = mo_philox4x32_10((mo_philox_block){{c[0], c[1], c[2], c[3]}}, c[4], c[5]);
  for (int i = 0; i < 4; ++i) words[i] = block.words[i];
}

uint64_t mo_test_sampling_bits(uint64_t seed, uint64_t step, uint64_t row) { return mo_sampling_bits(seed, step, row); }
