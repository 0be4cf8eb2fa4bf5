/* modelout/embedding.h - word + position + token type embeddings, summed and normalised in one pass.
 *
 *   sum[b,s,:]    = (embeds[b,s,:] or word_scale * word[ids[b,s],:]) + position[p(b,s),:] + type[t(b,s),:]
 *   output[b,s,:] = layer_norm(sum[b,s,:])           (plain sum without `norm_weight`)
 *
 * Sums and statistics in float32. Rules of BertEmbeddings, DistilBERT's Embeddings and RobertaEmbeddings.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_EMBEDDING_H
#define MODELOUT_EMBEDDING_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_embedding_params {
  size_t struct_size;
  const mo_tensor *output;         /* (B, S, C), float dtype of the tables, last stride 1 */
  const mo_tensor *ids;            /* (B, S) int32 or int64; NULL with embeds */
  const mo_tensor *embeds;         /* (B, S, C) instead of ids (inputs_embeds); NULL with ids */
  const mo_tensor *word;           /* (V, C); NULL with embeds */
  const mo_tensor *position;       /* (P, C) or NULL: no positions */
  const mo_tensor *type;           /* (T, C) or NULL: no types */
  const mo_tensor *position_ids;   /* (B|1, S) int32 or int64; NULL: as position_rule says */
  const mo_tensor *token_type_ids; /* (B|1, S) int32 or int64; NULL: all 0 */
  bool position_skips_padding;     /* position_ids NULL: false: position_offset + s; true (RoBERTa): padding_id + the running
                                      count of ids that are not padding_id, padding itself at padding_id. Needs ids; with embeds
                                      RoBERTa counts from padding_id + 1: use position_offset */
  int64_t position_offset;
  int64_t padding_id;
  const mo_tensor *norm_weight; /* (C) or NULL: no norm */
  const mo_tensor *norm_bias;   /* (C) or NULL */
  float epsilon;
  float word_scale; /* 0: 1. Of the word table's rows, not of embeds (BART's scale_embedding: sqrt(C)) */
} mo_embedding_params;

#define MO_EMBEDDING_PARAMS_INIT MO_STRUCT_INIT(mo_embedding_params)

/* INVALID_ARGUMENT: also an id, position or type outside its table (the CPU names the first one; nothing is written then),
 * UNSUPPORTED, DEVICE_ERROR. Asynchronous on a GPU, which is why a GPU cannot refuse what only the data show: there the row of a
 * token with such an index becomes NaN, and no memory outside the tables is read. */
MO_API mo_status_t mo_embedding(mo_context_t *context, const mo_embedding_params *params);

#ifdef __cplusplus
}
#endif
#endif
