/* host/families/gemma_keys.c - configuration keys that Gemma 2 and Gemma 3 share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "host/families/transformer_keys.h"

/* A cap that is null is none. */
static mo_status_t read_cap(const mo_config_t *config, const char *key, double fallback, float *cap) {
  double value;
  MO_TRY(mo_config_float(config, key, 0.0, 1e9, mo_config_is_null(config, key) ? 0.0 : fallback, &value));
  *cap = (float)value;
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_read_gemma(const mo_config_t *config, double attention_cap, double logit_cap, int64_t pattern,
                                      mo_transformer_config *stack) {
  bool bias;
  double scalar;
  int64_t window, every;
  MO_TRY(mo_config_flag(config, "attention_bias", false, &bias));
  stack->attention.lacks_bias = stack->attention.output_lacks_bias = !bias;
  stack->feed_forward.lacks_bias = true;
  MO_TRY(mo_config_float(config, "query_pre_attn_scalar", 1e-9, 1e9, 256.0, &scalar));
  for (int64_t i = 0; i < stack->layer_count; i++) stack->layers[i].attention_scale = (float)(1.0 / sqrt(scalar));
  MO_TRY(read_cap(config, "attn_logit_softcapping", attention_cap, &stack->attention.soft_cap));
  MO_TRY(read_cap(config, "final_logit_softcapping", logit_cap, &stack->logit_cap));
  MO_TRY(mo_config_integer(config, "sliding_window", 1, INT32_MAX, 4096, &window));
  MO_TRY(mo_config_integer(config, "sliding_window_pattern", 1, INT32_MAX, pattern, &every));
  mo_transformer_slide(stack, window, 0);
  for (int64_t i = every - 1; i < stack->layer_count; i += every) stack->layers[i].window = 0;
  stack->cache_slides = mo_config_has(config, "layer_types");
  return mo_transformer_read_layer_types(config, stack);
}

mo_status_t mo_transformer_read_local_rotary(const mo_config_t *config, const char *key, double fallback,
                                             mo_transformer_config *stack) {
  mo_rotary_config rotary = MO_ROTARY_CONFIG_INIT;
  MO_TRY(mo_config_float(config, key, 1.0, 1e18, fallback, &rotary.theta));
  rotary.rotary_dim = stack->attention.rotary.rotary_dim;
  stack->local_rotary = rotary;
  for (int64_t i = 0; i < stack->layer_count; i++) stack->layers[i].rotary_is_local = stack->layers[i].window > 0;
  return mo_rotary_fill_tables(&stack->local_rotary, 0, 0, NULL, NULL);
}
