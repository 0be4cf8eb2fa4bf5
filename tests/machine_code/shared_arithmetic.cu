/* tests/machine_code/shared_arithmetic.cu - the arithmetic that kernels share and whose bits are promised, a kernel for each
 * function. scripts/check-contraction compiles it with contraction and without: the machine code must be the same.
 *
 * What a function returns is added to a number from memory where a caller might do so: the function's own last product must not
 * melt into that sum.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/common/turn.cuh"
#include "kernels/kv/head.cuh"
#include "kernels/kv/vector.cuh"

extern "C" {

__global__ void turn_pair(float *pairs, const float *angles) {
  mo_turn_pair(pairs[0], pairs[1], angles[0], angles[1]);
  pairs[2] += pairs[0], pairs[3] += pairs[1];
}

__global__ void turn_vector(mo_kv_turn turn, mo_dtype_t dtype, const uint4 *raw, float *out, int64_t position) {
  float values[8];
  mo_kv_unpack(*raw, dtype, values);
  mo_kv_turn_vector(turn, dtype, *raw, true, position, static_cast<int>(threadIdx.x), values);
  for (int i = 0; i < 8; ++i) out[i] += values[i];
}

__global__ void turn_head(mo_kv_turn turn, float *values, int64_t position) {
  mo_kv_turn_head(turn, values, position, static_cast<int>(threadIdx.x));
}

__global__ void write_head(const void *source, mo_kv_store cache, mo_dtype_t dtype, mo_kv_place to, mo_kv_turn turn,
                           float *values) {
  mo_kv_write_head(source, dtype, 0, cache, MO_DTYPE_FLOAT8_E4M3, to, 0, &turn, 1, values, static_cast<int>(threadIdx.x));
}

__global__ void quantise(const float *value, mo_dtype_t dtype, uint8_t *codes, float *scales) {
  const float scale = mo_kv_scale(value[0], dtype);
  codes[0] = mo_kv_code(value[1], scale, mo_kv_reciprocal(scale), dtype);
  scales[0] += scale;
}

__global__ void quotient(const float *value, float *out) {
  out[0] += mo_kv_quotient(value[0], value[1]);
  out[1] += mo_kv_quotient_by(value[0], value[1], value[2]);
}

__global__ void value_of_code(const uint8_t *codes, float *out) {
  out[0] += mo_kv_value(mo_int8_code{codes[0]});
  out[1] += mo_kv_value(mo_e4m3_code{codes[1]});
}

__global__ void dequantise(const uint2 *codes, mo_dtype_t stored, float scale, uint4 *out) {
  out[0] = mo_kv_dequantise<4>(codes[0], stored, scale, MO_DTYPE_FLOAT32);
  out[1] = mo_kv_dequantise<8>(codes[1], stored, scale, MO_DTYPE_BFLOAT16);
}

__global__ void cast_e4m3(const float *value, uint8_t *codes, float *back) {
  codes[0] = mo_cast_to_e4m3(value[0]);
  back[0] = mo_kv_from_e4m3(codes[1]);
}

/* What must not be: the check has to see it. */
__global__ void planted_contraction(float *values, const float *factors) { values[0] = values[0] * factors[0] + factors[1]; }
}
