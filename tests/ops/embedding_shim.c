/* tests/ops/embedding_shim.c - calls of modelout/embedding.h the way a C program writes them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/embedding_shim.h"

#include "tests/support/device_mirror.h"

mo_status_t shim_bert_embedding(mo_context_t *context, const mo_tensor *output, const mo_tensor *ids,
                                const mo_tensor *token_type_ids, const mo_tensor *word, const mo_tensor *position,
                                const mo_tensor *type, const mo_tensor *norm_weight, const mo_tensor *norm_bias) {
  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.output = output;
  params.ids = ids;
  params.token_type_ids = token_type_ids;
  params.word = word;
  params.position = position;
  params.type = type;
  params.norm_weight = norm_weight;
  params.norm_bias = norm_bias;
  params.epsilon = 1e-12f;
  return test_embedding(context, &params);
}
