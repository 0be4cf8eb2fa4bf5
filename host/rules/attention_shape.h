/* host/rules/attention_shape.h - the extents of one attention call, which front door and backends derive alike.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RULES_ATTENTION_SHAPE_H
#define MO_RULES_ATTENTION_SHAPE_H

#include "modelout/attention.h"

typedef struct mo_attention_shape {
  int64_t sequences, heads, key_value_heads, head_dim, value_dim;
  int64_t rows, keys;           /* bounds on the length of a sequence's queries and keys: Sq and Sk where all are alike */
  const mo_tensor *key, *value; /* the given ones, or the cache's storage */
  bool varies;                  /* sequences may be shorter than the bounds */
} mo_attention_shape;

/* The tensors must be there and have their ranks; extents need not agree yet. */
static inline mo_attention_shape mo_attention_shape_of(const mo_attention_params *params) {
  const mo_tensor *query = params->query, *table = params->cache == NULL ? NULL : params->cache->block_table;
  const mo_tensor *key = params->cache == NULL ? params->key : params->cache->key;
  const mo_tensor *value = params->cache == NULL ? params->value : params->cache->value;
  const bool packed_queries = params->cumulative_query_lengths != NULL, packed_keys = params->cumulative_key_lengths != NULL;
  mo_attention_shape shape = {
      .sequences = query->shape[0],
      .heads = query->shape[1],
      .key_value_heads = key->shape[1],
      .head_dim = query->shape[3],
      .value_dim = value->shape[3],
      .rows = query->shape[2],
      .keys = table == NULL ? key->shape[2] : table->shape[1] * key->shape[2],
      .key = key,
      .value = value,
      .varies = packed_queries || packed_keys || params->cache != NULL,
  };
  if (packed_queries) {
    shape.sequences = params->cumulative_query_lengths->shape[0] - 1;
    if (params->max_query_length > 0) shape.rows = params->max_query_length;
  }
  if (params->max_key_length > 0 && (packed_keys || params->cache != NULL)) shape.keys = params->max_key_length;
  return shape;
}

#endif
