/* tests/ops/embedding_shim.h - calls of modelout/embedding.h made from C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_OPS_EMBEDDING_SHIM_H
#define MO_TESTS_OPS_EMBEDDING_SHIM_H

#include "modelout/embedding.h"

#ifdef __cplusplus
extern "C" {
#endif

/* BERT's: word[ids] + position[s] + type[token_type_ids], normalised. token_type_ids may be NULL. */
mo_status_t shim_bert_embedding(mo_context_t *context, const mo_tensor *output, const mo_tensor *ids,
                                const mo_tensor *token_type_ids, const mo_tensor *word, const mo_tensor *position,
                                const mo_tensor *type, const mo_tensor *norm_weight, const mo_tensor *norm_bias);

#ifdef __cplusplus
}
#endif
#endif
