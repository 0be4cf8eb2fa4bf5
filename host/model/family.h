/* host/model/family.h - what a family of encoder models says of itself: names of its parameters, keys of its configuration, its
 * architectures.
 *
 * A family is data: host/model/encoder.c and heads.c run it. See docs/architecture.md for how to add one.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_MODEL_FAMILY_H
#define MO_MODEL_FAMILY_H

#include "host/model/config.h"
#include "modelout/class.h"
#include "modelout/linear.h"

/* Sizes and rules of an encoder, from config.json. */
typedef struct mo_encoder_config {
  int64_t vocab_size;
  int64_t embedding_size;
  int64_t hidden_size;
  int64_t layer_count;
  int64_t layer_group_count; /* layers that have parameters of their own; layer_count unless they are shared (ALBERT) */
  int64_t head_count;
  int64_t intermediate_size;
  int64_t position_count;
  int64_t type_count; /* 0: the family has no token types */
  int64_t padding_id;
  bool positions_skip_padding; /* RoBERTa: positions count from padding_id + 1 and padding stays at padding_id */
  bool project_embeddings;     /* a dense layer between embedding_size and hidden_size */
  mo_activation_t activation;
  float epsilon;
} mo_encoder_config;

/* Parameter names without ".weight" and ".bias", and without the base prefix. NULL: the family has none. */
typedef struct mo_encoder_names {
  const char *base_prefix; /* "bert" */
  const char *word, *position, *type, *embedding_norm, *projection;
  const char *layer_prefix, *layer_infix; /* "encoder.layer." NUMBER "." */
  const char *query, *key, *value, *attention_output, *attention_norm;
  const char *intermediate, *output, *output_norm;
} mo_encoder_names;

typedef enum mo_head_kind_t {
  MO_HEAD_NONE = 0, /* the base model */
  MO_HEAD_MASKED_LM,
  MO_HEAD_NEXT_SENTENCE,
  MO_HEAD_SEQUENCE_CLASSIFICATION,
  MO_HEAD_MULTIPLE_CHOICE,
  MO_HEAD_TOKEN_CLASSIFICATION,
  MO_HEAD_QUESTION_ANSWERING,
  MO_HEAD_REPLACED_TOKEN, /* ElectraForPreTraining: one logit per token */
  MO_HEAD_PRETRAINING,    /* masked language model and sentence pair */
} mo_head_kind_t;

/* One vector per sequence: activation(dense(first token)). */
typedef struct mo_summary_rule {
  const char *dense; /* NULL: none */
  mo_activation_t activation;
  bool may_be_absent; /* a checkpoint without it is a model without pooler */
} mo_summary_rule;

/* Vocabulary logits: decoder(norm(activation(transform(hidden)))). */
typedef struct mo_decoder_rule {
  const char *transform, *norm; /* NULL: no such head */
  const char *decoder;          /* its weight is tied to the word embeddings unless the configuration says otherwise */
  const char *bias;             /* whole name */
  bool always_gelu;             /* whatever the encoder's activation is */
} mo_decoder_rule;

typedef struct mo_architecture {
  const char *name;
  mo_head_kind_t head;
  const char *output_class[3]; /* pt, tf, flax */
  mo_summary_rule summary;
  mo_decoder_rule decoder;
  const char *classifier;  /* last dense layer; NULL: none */
  const char *token_dense; /* replaced tokens: dense + activation before the classifier */
} mo_architecture;

typedef struct mo_family {
  const char *name;
  const mo_encoder_names *names;
  mo_status_t (*configure)(const mo_config_t *config, mo_encoder_config *encoder);
  /* Further checks or changes of an architecture's rules by the configuration; may be NULL. */
  mo_status_t (*adapt)(const mo_config_t *config, mo_architecture *architecture);
  const mo_architecture *architectures;
  int32_t architecture_count;
} mo_family;

/* What BERT began and its descendants kept, for their initialisers. */
#define MO_BERT_PARAMETER_NAMES                                                                                                \
  .word = "embeddings.word_embeddings", .position = "embeddings.position_embeddings",                                          \
  .type = "embeddings.token_type_embeddings", .embedding_norm = "embeddings.LayerNorm", .layer_prefix = "encoder.layer.",      \
  .layer_infix = ".", .query = "attention.self.query", .key = "attention.self.key", .value = "attention.self.value",           \
  .attention_output = "attention.output.dense", .attention_norm = "attention.output.LayerNorm",                                \
  .intermediate = "intermediate.dense", .output = "output.dense", .output_norm = "output.LayerNorm"
#define MO_BERT_CONFIGURATION_KEYS                                                                                             \
  .hidden_size = "hidden_size", .layer_count = "num_hidden_layers", .head_count = "num_attention_heads",                       \
  .intermediate_size = "intermediate_size", .activation = "hidden_act"
#define MO_CLASS_IN_EACH_FRAMEWORK(name)                                                                                       \
  { name, "TF" name, "Flax" name }

extern const mo_family mo_bert_family;
extern const mo_family mo_distilbert_family;
extern const mo_family mo_roberta_family;
extern const mo_family mo_electra_family;
extern const mo_family mo_albert_family;

/* The values of a family's config.json that differ between families. */
typedef struct mo_encoder_keys {
  const char *hidden_size, *layer_count, *head_count, *intermediate_size, *activation;
  mo_encoder_config defaults; /* activation and epsilon included */
  const char *default_activation;
  bool has_epsilon; /* else the default's */
} mo_encoder_keys;

/* Reads the keys and checks what all families share: heads divide the hidden size, absolute positions, no decoder. The
 * embedding size is `embedding_size` if the default's is not 0, else the hidden size. */
mo_status_t mo_encoder_config_read(const mo_config_t *config, const mo_encoder_keys *keys, mo_encoder_config *encoder);

/* Classes of outputs that are models' own in Transformers (BertForPreTrainingOutput, ...), not part of the table of 63. NULL if
 * there is none of that name. */
const mo_class *mo_model_class_find(const char *name);

/* The class of an architecture's outputs in a framework. INTERNAL if the registry names one that does not exist. */
mo_status_t mo_architecture_class(const mo_architecture *architecture, mo_framework_t framework, const mo_class **output_class);

#endif
