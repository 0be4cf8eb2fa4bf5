/* host/families/conventions.h - names of parameters, keys and classes that one family began and others kept, for the
 * initialisers of families.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_CONVENTIONS_H
#define MO_FAMILIES_CONVENTIONS_H

#include "host/families/transformer_keys.h"
#include "host/heads/heads.h"
#include "host/tokens/token_model.h"

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

/* Classes of decoders. Flax has no CausalLMOutputWithPast, and none for decoders that classify sequences. */
#define MO_DECODER_MODEL_CLASSES                                                                                               \
  { "BaseModelOutputWithPast", "TFBaseModelOutputWithPast", "FlaxBaseModelOutputWithPast" }
#define MO_DECODER_LM_CLASSES                                                                                                  \
  { "CausalLMOutputWithPast", "TFCausalLMOutputWithPast", "FlaxCausalLMOutputWithCrossAttentions" }
#define MO_DECODER_CLASSIFIER_CLASSES                                                                                          \
  { "SequenceClassifierOutputWithPast", "TFSequenceClassifierOutputWithPast", "FlaxSequenceClassifierOutput" }

/* What LLaMA began and its descendants kept. */
#define MO_LLAMA_PARAMETER_NAMES                                                                                               \
  .base_prefix = "model", .word = "embed_tokens", .layer_prefix = "layers.", .layer_infix = ".", .query = "self_attn.q_proj",  \
  .key = "self_attn.k_proj", .value = "self_attn.v_proj", .attention_output = "self_attn.o_proj",                              \
  .attention_norm = "input_layernorm", .gate = "mlp.gate_proj", .intermediate = "mlp.up_proj", .output = "mlp.down_proj",      \
  .output_norm = "post_attention_layernorm", .final_norm = "norm"
#define MO_LLAMA_CONFIGURATION_KEYS                                                                                            \
  .hidden_size = "hidden_size", .layer_count = "num_hidden_layers", .head_count = "num_attention_heads",                       \
  .intermediate_size = "intermediate_size", .activation = "hidden_act", .key_value_head_count = "num_key_value_heads",         \
  .head_size = "head_dim", .epsilon = "rms_norm_eps", .default_activation = "silu"
#define MO_LLAMA_RULES                                                                                                         \
  .embedding.padding_id = MO_NO_TOKEN, .epsilon = 1e-6f, .embedding.positions = MO_POSITIONS_NONE, .norm = MO_NORM_RMS,        \
  .norm_placement = MO_NORM_BEFORE, .final_norm = true, .feed_forward.gated = true, .decoder = true
/* Question answering models name their base otherwise. */
#define MO_LLAMA_ARCHITECTURES(prefix, answering_base)                                                                         \
  {.name = prefix "Model", .head = &mo_base_head, .output_class = MO_DECODER_MODEL_CLASSES},                                   \
      {.name = prefix "ForCausalLM",                                                                                           \
       .head = &mo_causal_lm_head,                                                                                             \
       .output_class = MO_DECODER_LM_CLASSES,                                                                                  \
       .decoder = {.decoder = "lm_head", .untied_by_default = true}},                                                          \
      {.name = prefix "ForSequenceClassification",                                                                             \
       .head = &mo_sequence_classification_head,                                                                               \
       .output_class = MO_DECODER_CLASSIFIER_CLASSES,                                                                          \
       .classifier = "score",                                                                                                  \
       .classifier_lacks_bias = true,                                                                                          \
       .classifies_last_token = true},                                                                                         \
      {.name = prefix "ForTokenClassification",                                                                                \
       .head = &mo_token_classification_head,                                                                                  \
       .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),                                                    \
       .classifier = "score"},                                                                                                 \
  {                                                                                                                            \
    .name = prefix "ForQuestionAnswering", .head = &mo_question_answering_head,                                                \
    .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"), .base_prefix = answering_base,                 \
    .classifier = "qa_outputs"                                                                                                 \
  }

#endif
