/* host/nn/embedding.h - from token ids to the first hidden state: words, positions and types, a norm, a projection.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_EMBEDDING_H
#define MO_NN_EMBEDDING_H

#include "host/nn/dense.h"
#include "host/nn/norm.h"
#include "host/nn/pass.h"

typedef enum mo_positions_rule_t {
  MO_POSITIONS_LEARNED = 0,  /* a table, counted from the first token (behind the past) */
  MO_POSITIONS_SKIP_PADDING, /* RoBERTa: counted from padding_id + 1 on; padding stays at padding_id */
  MO_POSITIONS_FROM_MASK,    /* OPT: a running count of the visible tokens */
  MO_POSITIONS_NONE,         /* no table: rotary embedding, a relative bias, or nothing */
} mo_positions_rule_t;

typedef enum mo_types_rule_t {
  MO_TYPES_OWN_TABLE = 0, /* of type_count rows; 0 rows: the family has no token types */
  MO_TYPES_AS_WORDS,      /* GPT-2: rows of the word table, and only where types are given */
} mo_types_rule_t;

typedef enum mo_words_scale_t {
  MO_WORDS_AS_STORED = 0,
  MO_WORDS_BY_SQRT_SIZE, /* rows of the word table are multiplied by sqrt(size) */
} mo_words_scale_t;

/* A dense layer between the width of the tables and that of the layers. */
typedef enum mo_embedding_projection_t {
  MO_EMBEDDING_AS_WIDE_AS_LAYERS = 0, /* none */
  MO_EMBEDDING_PROJECTED,             /* of the normed sum of words, positions and types (ALBERT, ELECTRA) */
  MO_EMBEDDING_WORDS_PROJECTED,       /* OPT: of the words, without a bias; positions, as wide as the layers, are added to it */
} mo_embedding_projection_t;

typedef struct mo_embedding_config {
  int64_t vocab_size;
  int64_t size; /* of a row of the word table */
  mo_words_scale_t words_scale;
  mo_positions_rule_t positions;
  int64_t position_count;
  int64_t position_offset; /* rows of the table before the one of position 0 (OPT, BART: 2) */
  mo_types_rule_t types;
  int64_t type_count;
  int64_t padding_id; /* MO_NO_TOKEN: none; perhaps no token of the vocabulary */
  mo_embedding_projection_t projection;
} mo_embedding_config;

/* Without ".weight" and ".bias". NULL: the family has none. */
typedef struct mo_embedding_names {
  const char *word, *position, *type, *norm, *projection;
  const char *const *word_aliases; /* NULL-terminated: other names of the word table, looked for in this order; NULL: none */
  const char *own_word; /* the transformer's own word table, taken if it is stored and the configuration ties none; NULL: as
                           `word` */
} mo_embedding_names;

typedef struct mo_token_embedding {
  mo_weight word, position, type; /* `word` without an owner: another transformer's */
  mo_norm_weights norm;
  mo_dense projection;
} mo_token_embedding;

/* `width` is that of the layers. */
mo_status_t mo_token_embedding_load(mo_token_embedding *embedding, mo_loader *loader, const mo_embedding_names *names,
                                    const mo_embedding_config *config, const mo_norm_config *norm, int64_t width);
void mo_token_embedding_release(mo_token_embedding *embedding);

/* Elements per token of its temporaries, in pass->wide. */
static inline int64_t mo_token_embedding_wide_size(const mo_embedding_config *config) { return config->size; }

/* Into `destination` (B * S, width). `spare`: memory of its size; the same memory only if nothing is projected. */
mo_status_t mo_token_embedding_forward(const mo_token_embedding *embedding, const mo_pass *pass,
                                       const mo_embedding_config *config, const mo_norm_config *norm, void *spare,
                                       const mo_tensor *destination);

#endif
