/* modelout/position_bias.h - additive attention biases made of positions: ALiBi and T5's relative buckets.
 *
 * Both give a bias for modelout/attention.h and modelout/decode_attention.h. The distance is key position minus query position;
 * query row i sits at position query_offset + i.
 *
 *   ALiBi:  bias[h,i,j] = -slope[h] * |j - (query_offset + i)|           (Press et al. 2022)
 *   T5:     bias[h,i,j] = table[bucket(j - (query_offset + i)), h]       (T5Attention._relative_position_bucket)
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_POSITION_BIAS_H
#define MODELOUT_POSITION_BIAS_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_position_bias_kind_t {
  MO_POSITION_BIAS_ALIBI = 1,
  MO_POSITION_BIAS_T5 = 2,
} mo_position_bias_kind_t;

typedef struct mo_position_bias_params {
  size_t struct_size;
  mo_position_bias_kind_t kind;
  const mo_tensor *output; /* (1, H, Sq, Sk) float32, float16 or bfloat16, last stride 1 */
  const mo_tensor *slopes; /* ALiBi: (H) float32 on the device (mo_alibi_slopes) */
  const mo_tensor *table;  /* T5: (buckets, H), the dtype of output or float32 */
  bool bidirectional;      /* T5: encoders tell before from after; decoders give every later key bucket 0 */
  int64_t max_distance;    /* T5; 0: 128 */
  int64_t query_offset;
  const mo_tensor
      *query_offsets; /* (1) int32 or int64 on the device instead of query_offset, so that a captured graph can move on; NULL */
} mo_position_bias_params;

#define MO_POSITION_BIAS_PARAMS_INIT MO_STRUCT_INIT(mo_position_bias_params)

/* INVALID_ARGUMENT, UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_position_bias(mo_context_t *context, const mo_position_bias_params *params);

/* The slopes of ALiBi for any number of heads, into host memory: a geometric series for powers of two, else that of the next
 * lower power followed by every other one of the next higher. */
MO_API mo_status_t mo_alibi_slopes(int64_t head_count, float *slopes);

#ifdef __cplusplus
}
#endif
#endif
