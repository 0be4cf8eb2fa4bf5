/* modelout/rotary.h - rotary position embedding of queries and keys, and the tables it needs.
 *
 *   pair (x, y) of a head at position p  ->  (x cos - y sin, y cos + x sin)       angle = p * inverse_frequency[pair]
 *
 * The tables are computed once, on the host, with the scaling rule of the model; the op looks them up. Inverse frequencies and
 * angles are float32, as in the original, so that positions far out turn by the same rounded angle; their cosines and sines are
 * those of that angle, rounded once. Rules of Transformers' modeling_rope_utils.py and of each model's apply_rotary_pos_emb.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_ROTARY_H
#define MODELOUT_ROTARY_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_rotary_pairing_t {
  MO_ROTARY_HALVES = 0,      /* element i with i + R/2 (GPT-NeoX, LLaMA) */
  MO_ROTARY_INTERLEAVED = 1, /* element 2i with 2i + 1 (GPT-J) */
} mo_rotary_pairing_t;

typedef enum mo_rotary_scaling_t {
  MO_ROTARY_SCALING_NONE = 0,
  MO_ROTARY_SCALING_LINEAR = 1,  /* frequencies divided by `factor` */
  MO_ROTARY_SCALING_DYNAMIC = 2, /* NTK: theta grows once the sequence is longer than original_max_positions */
  MO_ROTARY_SCALING_LLAMA3 = 3,  /* low frequencies divided by `factor`, high ones kept, a smooth step between */
  MO_ROTARY_SCALING_YARN = 4,    /* the same by a linear ramp over dimensions, and a factor on cos and sin */
} mo_rotary_scaling_t;

typedef struct mo_rotary_config {
  size_t struct_size;
  double theta;       /* 0: 10000 */
  int64_t rotary_dim; /* R: leading elements of a head that rotate; even */
  mo_rotary_scaling_t scaling;
  double factor;
  int64_t original_max_positions;              /* dynamic, llama3, yarn: positions of the pretrained model */
  double low_frequency_factor;                 /* llama3; 0: 1 */
  double high_frequency_factor;                /* llama3; 0: 4 */
  double beta_fast, beta_slow;                 /* yarn; 0: 32 and 1 */
  double attention_factor;                     /* yarn; 0: as Transformers derives it from factor, mscale and mscale_all_dim */
  double magnitude_scale, magnitude_scale_all; /* yarn: mscale and mscale_all_dim; 0: not given */
  bool yarn_keeps_fraction; /* yarn: `truncate` is false: the ramp's ends are not rounded to whole dimensions */
} mo_rotary_config;

#define MO_ROTARY_CONFIG_INIT MO_STRUCT_INIT(mo_rotary_config)

/* Fills cosine and sine, each (position_count, R / 2) float32 in host memory, for positions 0 .. position_count - 1.
 * sequence_length is what dynamic scaling looks at (0: position_count); other rules ignore it. INVALID_ARGUMENT names the rule.
 */
MO_API mo_status_t mo_rotary_fill_tables(const mo_rotary_config *config, int64_t position_count, int64_t sequence_length,
                                         float *cosine, float *sine);

/* The tables on the device as ops take them. */
typedef struct mo_rotary {
  const mo_tensor *cosine; /* (P, R/2) float32, contiguous, on the context's device */
  const mo_tensor *sine;   /* (P, R/2) */
  mo_rotary_pairing_t pairing;
} mo_rotary;

typedef struct mo_rotary_params {
  size_t struct_size;
  mo_rotary rotary;
  /* One or two (output, input) pairs of the same B, S and D, in one launch; each output may be its input. float32, float16 or
   * bfloat16, last stride 1. Elements from R on are copied. */
  const mo_tensor *query_output; /* (B, H, S, D) */
  const mo_tensor *query;
  const mo_tensor *key_output; /* (B, Hkv, S, D); NULL with key NULL */
  const mo_tensor *key;
  const mo_tensor *position_ids; /* (B|1, S) int32 or int64; NULL: position_offset + s */
  int64_t position_offset;
} mo_rotary_params;

#define MO_ROTARY_PARAMS_INIT MO_STRUCT_INIT(mo_rotary_params)

/* INVALID_ARGUMENT: also a position outside the tables, where the host can see it; a GPU writes NaN to that row instead and
 * reads nothing outside. UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU. */
MO_API mo_status_t mo_rotary_embedding(mo_context_t *context, const mo_rotary_params *params);

#ifdef __cplusplus
}
#endif
#endif
