/* host/rules/decode_call.h - what front door and backends derive from the parameters of decode attention in the same way.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_DECODE_CALL_H
#define MO_RULES_DECODE_CALL_H

#include "host/rules/decode_keys.h"
#include "modelout/decode_attention.h"

/* max_key_length, with what 0 stands for. */
static inline int64_t mo_decode_key_limit(const mo_decode_attention_params *params) {
  const mo_tensor *table = params->cache.block_table;
  const int64_t capacity = params->cache.key->shape[2] * (table == NULL ? 1 : table->shape[1]);
  if (params->max_key_length > 0) return params->max_key_length;
  if (params->lengths != NULL) return capacity;
  return params->length + (params->key != NULL ? params->query->shape[2] : 0);
}

static inline mo_decode_rules mo_decode_rules_of(const mo_decode_attention_params *params) {
  const mo_decode_rules rules = {mo_decode_key_limit(params), params->sliding_window,
                                 params->key != NULL ? params->query->shape[2] : 0};
  return rules;
}

#endif
