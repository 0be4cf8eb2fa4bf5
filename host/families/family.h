/* host/families/family.h - what a family of models says of itself: names of its parameters, keys of its configuration, its
 * architectures.
 *
 * A family is data: host/nn/transformer.h and heads.c run it. See docs/architecture.md for how to add one.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_FAMILY_H
#define MO_FAMILIES_FAMILY_H

#include "host/checkpoint/config.h"
#include "host/nn/transformer_config.h"
#include "modelout/class.h"

typedef enum mo_head_kind_t {
  MO_HEAD_NONE = 0,  /* the base model */
  MO_HEAD_MASKED_LM, /* logits of each position's token: labels stand where they belong (Seq2SeqLM too) */
  MO_HEAD_NEXT_SENTENCE,
  MO_HEAD_SEQUENCE_CLASSIFICATION,
  MO_HEAD_MULTIPLE_CHOICE,
  MO_HEAD_TOKEN_CLASSIFICATION,
  MO_HEAD_QUESTION_ANSWERING,
  MO_HEAD_REPLACED_TOKEN, /* ElectraForPreTraining: one logit per token */
  MO_HEAD_PRETRAINING,    /* masked language model and sentence pair */
  MO_HEAD_CAUSAL_LM,      /* logits of the next token: labels are shifted by one */
} mo_head_kind_t;

/* One vector per sequence: activation(dense(first token)). */
typedef struct mo_summary_rule {
  const char *dense; /* NULL: none */
  mo_activation_t activation;
  bool may_be_absent; /* a checkpoint without it is a model without pooler */
} mo_summary_rule;

/* Vocabulary logits: decoder(norm(activation(transform(hidden)))), or decoder(hidden). */
typedef struct mo_decoder_rule {
  const char *transform, *norm; /* NULL: none */
  const char *decoder;          /* its weight is tied to the word embeddings as the configuration says; NULL: no such head */
  const char *bias;             /* whole name; NULL: none */
  bool always_gelu;             /* whatever the stack's activation is */
  bool untied_by_default;       /* where the configuration is silent */
  bool bias_is_row;             /* (1, rows) in the file, and zero if it is not there */
  bool scaled_if_tied;          /* T5: hidden states are divided by sqrt(hidden size) */
} mo_decoder_rule;

/* Which of an encoder-decoder family's two stacks an architecture has. */
typedef enum mo_part_t { MO_PART_ALL = 0, MO_PART_ENCODER, MO_PART_DECODER } mo_part_t;

typedef struct mo_architecture {
  const char *name;
  mo_part_t part;
  mo_head_kind_t head;
  const char *output_class[3]; /* pt, tf, flax */
  const char *base_prefix;     /* NULL: the family's */
  mo_summary_rule summary;
  mo_decoder_rule decoder;
  const char *classifier; /* last dense layer; NULL: none */
  bool classifier_lacks_bias;
  bool classifies_last_token; /* logits per sequence are those of its last token that is not padding */
  bool summarises_end;        /* the summary is that of the last end_id among input_ids, not of the first token */
  const char *token_dense;    /* replaced tokens: dense + activation before the classifier */
} mo_architecture;

typedef struct mo_family {
  const char *name; /* config.json's model_type */
  const mo_transformer_names *names;
  mo_status_t (*configure)(const mo_config_t *config, mo_transformer_config *stack);
  /* Encoder-decoder families: `names` and `configure` are the decoder's, these the encoder's; NULL: one stack. */
  const mo_transformer_names *encoder_names;
  mo_status_t (*configure_encoder)(const mo_config_t *config, mo_transformer_config *stack);
  const char *encoder_class[3], *decoder_class[3]; /* outputs of a part alone: pt, tf, flax */
  bool decodes_inputs;                             /* decoder ids, where nothing gives them, are made of input_ids (BART) */
  const mo_config_alias *aliases;                  /* its attribute_map; NULL: none */
  int64_t default_label_count;                     /* where the file is silent; 0: 2 */
  bool answers_with_two;                           /* question answering has two labels, whatever the file says */
  /* Further checks or changes of an architecture's rules by the configuration; may be NULL. */
  mo_status_t (*adapt)(const mo_config_t *config, mo_architecture *architecture);
  const mo_architecture *architectures;
  int32_t architecture_count;
} mo_family;

/* What BERT began and its descendants kept, for their initialisers. */
#define MO_BERT_PARAMETER_NAMES                                                                                                \
  .embedding.word = "embeddings.word_embeddings", .embedding.position = "embeddings.position_embeddings",                      \
  .embedding.type = "embeddings.token_type_embeddings", .embedding.norm = "embeddings.LayerNorm",                              \
  .layer_prefix = "encoder.layer.", .layer_infix = ".", .attention.query = "attention.self.query",                             \
  .attention.key = "attention.self.key", .attention.value = "attention.self.value",                                            \
  .attention.output = "attention.output.dense", .attention_norm = "attention.output.LayerNorm",                                \
  .feed_forward.intermediate = "intermediate.dense", .feed_forward.output = "output.dense",                                    \
  .feed_forward_norm = "output.LayerNorm"
#define MO_BERT_CONFIGURATION_KEYS                                                                                             \
  .hidden_size = "hidden_size", .layer_count = "num_hidden_layers", .head_count = "num_attention_heads",                       \
  .intermediate_size = "intermediate_size", .activation = "hidden_act"
#define MO_CLASS_IN_EACH_FRAMEWORK(name)                                                                                       \
  { name, "TF" name, "Flax" name }

/* Classes of decoders. Flax has no CausalLMOutputWithPast, and none for decoders that classify sequences. */
#define MO_DECODER_MODEL_CLASSES                                                                                               \
  { "BaseModelOutputWithPast", "TFBaseModelOutputWithPast", "FlaxBaseModelOutputWithPast" }
#define MO_DECODER_LM_CLASSES                                                                                                  \
  { "CausalLMOutputWithPast", "TFCausalLMOutputWithPast", "FlaxCausalLMOutputWithCrossAttentions" }
#define MO_DECODER_CLASSIFIER_CLASSES                                                                                          \
  { "SequenceClassifierOutputWithPast", "TFSequenceClassifierOutputWithPast", "FlaxSequenceClassifierOutput" }

/* What LLaMA began and its descendants kept. */
#define MO_LLAMA_PARAMETER_NAMES                                                                                               \
  .base_prefix = "model", .embedding.word = "embed_tokens", .layer_prefix = "layers.", .layer_infix = ".",                     \
  .attention.query = "self_attn.q_proj", .attention.key = "self_attn.k_proj", .attention.value = "self_attn.v_proj",           \
  .attention.output = "self_attn.o_proj", .attention_norm = "input_layernorm", .feed_forward.gate = "mlp.gate_proj",           \
  .feed_forward.up = "mlp.up_proj", .feed_forward.output = "mlp.down_proj", .feed_forward_norm = "post_attention_layernorm",   \
  .final_norm = "norm"
#define MO_LLAMA_CONFIGURATION_KEYS                                                                                            \
  .hidden_size = "hidden_size", .layer_count = "num_hidden_layers", .head_count = "num_attention_heads",                       \
  .intermediate_size = "intermediate_size", .activation = "hidden_act", .key_value_head_count = "num_key_value_heads",         \
  .head_size = "head_dim", .epsilon = "rms_norm_eps", .default_activation = "silu",                                            \
  .layer.feed_forward = MO_FEED_FORWARD_GATED
#define MO_LLAMA_RULES                                                                                                         \
  .embedding.padding_id = MO_NO_TOKEN, .norm.epsilon = 1e-6f, .embedding.positions = MO_POSITIONS_NONE,                        \
  .norm.kind = MO_NORM_RMS, .norm_placement = MO_NORM_PRE, .final_norm = true, .decoder = true
/* Question answering models name their base otherwise. */
#define MO_LLAMA_ARCHITECTURES(prefix, answering_base)                                                                         \
  {.name = prefix "Model", .head = MO_HEAD_NONE, .output_class = MO_DECODER_MODEL_CLASSES},                                    \
      {.name = prefix "ForCausalLM",                                                                                           \
       .head = MO_HEAD_CAUSAL_LM,                                                                                              \
       .output_class = MO_DECODER_LM_CLASSES,                                                                                  \
       .decoder = {.decoder = "lm_head", .untied_by_default = true}},                                                          \
      {.name = prefix "ForSequenceClassification",                                                                             \
       .head = MO_HEAD_SEQUENCE_CLASSIFICATION,                                                                                \
       .output_class = MO_DECODER_CLASSIFIER_CLASSES,                                                                          \
       .classifier = "score",                                                                                                  \
       .classifier_lacks_bias = true,                                                                                          \
       .classifies_last_token = true},                                                                                         \
      {.name = prefix "ForTokenClassification",                                                                                \
       .head = MO_HEAD_TOKEN_CLASSIFICATION,                                                                                   \
       .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),                                                    \
       .classifier = "score"},                                                                                                 \
  {                                                                                                                            \
    .name = prefix "ForQuestionAnswering", .head = MO_HEAD_QUESTION_ANSWERING,                                                 \
    .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"), .base_prefix = answering_base,                 \
    .classifier = "qa_outputs"                                                                                                 \
  }

extern const mo_family mo_bert_family;
extern const mo_family mo_distilbert_family;
extern const mo_family mo_roberta_family;
extern const mo_family mo_electra_family;
extern const mo_family mo_albert_family;
extern const mo_family mo_gpt2_family;
extern const mo_family mo_bart_family;
extern const mo_family mo_t5_family;
extern const mo_family mo_gpt_neox_family;
extern const mo_family mo_llama_family;
extern const mo_family mo_mistral_family;
extern const mo_family mo_opt_family;
extern const mo_family mo_qwen2_family;

/* What a family's config.json calls its values. NULL: the default's, or for what all families call alike, that name. */
typedef struct mo_transformer_keys {
  const char *hidden_size, *layer_count, *head_count, *intermediate_size;
  const char *activation;           /* NULL: the family reads it itself */
  const char *position_count;       /* NULL: "max_position_embeddings" */
  const char *key_value_head_count; /* NULL: head_count */
  const char *head_size;            /* NULL, or not in the file: hidden size / heads */
  const char *epsilon;
  mo_transformer_config defaults; /* epsilon included; intermediate_size 0: 4 times the hidden size */
  mo_layer_spec layer;            /* what every layer is; attention_scale 0: 1 / sqrt(head size) */
  const char *default_activation;
  bool may_decode; /* is_decoder and add_cross_attention are obeyed; otherwise they are refused (unless the default is a
                      decoder) */
} mo_transformer_keys;

/* Reads the keys and checks what all families share: heads divide the hidden size, key/value heads divide the heads, absolute
 * positions. The embedding size is `embedding_size` if the default's is not 0, else the hidden size. */
mo_status_t mo_transformer_read_config(const mo_config_t *config, const mo_transformer_keys *keys,
                                       mo_transformer_config *stack);

/* A token's id, which only some calls need: the fallback if the file is silent, and no token (-1) if it is null, negative or
 * not one number. */
int64_t mo_transformer_read_token(const mo_config_t *config, const char *key, int64_t fallback);

/* Every layer from `first` on has a sliding window; 0: none has. */
void mo_transformer_slide(mo_transformer_config *stack, int64_t window, int64_t first);

/* layer_types, where the file has it: which layers slide and which do not, in any order. UNSUPPORTED names other kinds. */
mo_status_t mo_transformer_read_layer_types(const mo_config_t *config, mo_transformer_config *stack);

/* For families that do not take layer_types from the file: UNSUPPORTED names a layer that is listed as what it is not. */
mo_status_t mo_transformer_read_check_layer_types(const mo_config_t *config, const mo_transformer_config *stack);

/* Where a family's rotary embedding stands in config.json, beside its object. */
typedef struct mo_rotary_keys {
  const char *theta, *fraction; /* of a head that is turned */
  double default_fraction;
  bool whole_heads; /* no other fraction than 1 */
} mo_rotary_keys;

/* LLaMA's. */
#define MO_ROTARY_KEYS                                                                                                         \
  (&(const mo_rotary_keys){                                                                                                    \
      .theta = "rope_theta", .fraction = "partial_rotary_factor", .default_fraction = 1.0, .whole_heads = true})

/* The rotary embedding: theta, which part of a head it turns and its scaling. BAD_FILE where a rule lacks its numbers,
 * UNSUPPORTED names the rules there are. */
mo_status_t mo_transformer_read_rotary(const mo_config_t *config, const mo_rotary_keys *keys, mo_transformer_config *stack);

/* Classes of outputs that are models' own in Transformers (BertForPreTrainingOutput, ...), not part of the table of 63. NULL if
 * there is none of that name. */
const mo_class *mo_model_class_find(const char *name);

/* Makes an architecture's rules those of a part of it ("encoder", "decoder"). INVALID_ARGUMENT names what there is. */
mo_status_t mo_architecture_part(const mo_family *family, const char *sub_module, mo_architecture *architecture);

/* The class of an architecture's outputs in a framework. INTERNAL if the registry names one that does not exist. */
mo_status_t mo_architecture_class(const mo_architecture *architecture, mo_framework_t framework, const mo_class **output_class);

#endif
