/* host/families/conventions.h - names of parameters, keys and classes that one family began and others kept, for the
 * initialisers of families.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_CONVENTIONS_H
#define MO_FAMILIES_CONVENTIONS_H

#include "host/families/transformer_keys.h"
#include "host/heads/heads.h"
#include "host/tokens/token_model.h"

/* Layers of CLIP's two models. */
#define MO_CLIP_LAYER_NAMES                                                                                                    \
  .layer_prefix = "encoder.layers.", .layer_infix = ".", .attention.query = "self_attn.q_proj",                                \
  .attention.key = "self_attn.k_proj", .attention.value = "self_attn.v_proj", .attention.output = "self_attn.out_proj",        \
  .attention_norm = "layer_norm1", .feed_forward.intermediate = "mlp.fc1", .feed_forward.output = "mlp.fc2",                   \
  .feed_forward_norm = "layer_norm2"

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

/* Classes of decoders, as the real models return them. No model of Flax classifies sequences with a decoder: its class is our
 * choice. */
#define MO_DECODER_MODEL_CLASSES                                                                                               \
  { "BaseModelOutputWithPast", "TFBaseModelOutputWithPast", "FlaxBaseModelOutput" }
#define MO_DECODER_LM_CLASSES                                                                                                  \
  { "CausalLMOutputWithPast", "TFCausalLMOutputWithPast", "FlaxMaskedLMOutput" }
#define MO_DECODER_CLASSIFIER_CLASSES                                                                                          \
  { "SequenceClassifierOutputWithPast", "TFSequenceClassifierOutputWithPast", "FlaxSequenceClassifierOutput" }

/* What LLaMA began and its descendants kept. */
#define MO_LLAMA_PARAMETER_NAMES                                                                                               \
  .embedding.word = "embed_tokens", .layer_prefix = "layers.", .layer_infix = ".", .attention.query = "self_attn.q_proj",      \
  .attention.key = "self_attn.k_proj", .attention.value = "self_attn.v_proj", .attention.output = "self_attn.o_proj",          \
  .attention_norm = "input_layernorm", .feed_forward.gate = "mlp.gate_proj", .feed_forward.up = "mlp.up_proj",                 \
  .feed_forward.output = "mlp.down_proj", .feed_forward_norm = "post_attention_layernorm", .final_norm = "norm"
#define MO_LLAMA_CONFIGURATION_KEYS                                                                                            \
  .hidden_size = "hidden_size", .layer_count = "num_hidden_layers", .head_count = "num_attention_heads",                       \
  .intermediate_size = "intermediate_size", .activation = "hidden_act", .key_value_head_count = "num_key_value_heads",         \
  .head_size = "head_dim", .epsilon = "rms_norm_eps", .default_activation = "silu",                                            \
  .layer.feed_forward = MO_FEED_FORWARD_GATED
#define MO_LLAMA_RULES                                                                                                         \
  .embedding.padding_id = MO_NO_TOKEN, .norm.epsilon = 1e-6f, .embedding.positions = MO_POSITIONS_NONE,                        \
  .norm.kind = MO_NORM_RMS, .norm_placement = MO_NORM_PRE, .final_norm = MO_FINAL_NORM_IN_STATES, .decoder = true
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

/* What Gemma 2 began: norms on both sides of a block, whose factors stand above 1; words scaled by sqrt(size). */
#define MO_GEMMA_RULES                                                                                                         \
  .embedding.padding_id = 0, .norm.epsilon = 1e-6f, .embedding.positions = MO_POSITIONS_NONE,                                  \
  .embedding.words_scale = MO_WORDS_BY_SQRT_SIZE, .norm.kind = MO_NORM_RMS_ABOVE_ONE, .norm_placement = MO_NORM_AROUND,        \
  .final_norm = MO_FINAL_NORM_IN_STATES, .decoder = true
#define MO_GEMMA_PARAMETER_NAMES                                                                                               \
  .embedding.word = "embed_tokens", .layer_prefix = "layers.", .layer_infix = ".", .attention.query = "self_attn.q_proj",      \
  .attention.key = "self_attn.k_proj", .attention.value = "self_attn.v_proj", .attention.output = "self_attn.o_proj",          \
  .attention_norm = "input_layernorm", .attention_end_norm = "post_attention_layernorm", .feed_forward.gate = "mlp.gate_proj", \
  .feed_forward.up = "mlp.up_proj", .feed_forward.output = "mlp.down_proj", .feed_forward_norm = "pre_feedforward_layernorm",  \
  .feed_forward_end_norm = "post_feedforward_layernorm", .final_norm = "norm"
#define MO_GEMMA_CONFIGURATION_KEYS                                                                                            \
  .hidden_size = "hidden_size", .layer_count = "num_hidden_layers", .head_count = "num_attention_heads",                       \
  .intermediate_size = "intermediate_size", .activation = "hidden_activation", .key_value_head_count = "num_key_value_heads",  \
  .head_size = "head_dim", .epsilon = "rms_norm_eps", .default_activation = "gelu_pytorch_tanh",                               \
  .layer.feed_forward = MO_FEED_FORWARD_GATED

/* What RoBERTa began: positions are counted after the padding id, and the language model's head uses gelu whatever the layers
 * use. */
#define MO_ROBERTA_RULES                                                                                                       \
  .hidden_size = 768, .layer_count = 12, .attention.head_count = 12, .feed_forward.size = 3072,                                \
  .embedding.position_count = 512, .embedding.type_count = 2, .embedding.padding_id = 1,                                       \
  .embedding.positions = MO_POSITIONS_SKIP_PADDING, .norm.epsilon = 1e-12f
#define MO_ROBERTA_ARCHITECTURES(prefix)                                                                                       \
  {.name = prefix "Model",                                                                                                     \
   .head = &mo_base_head,                                                                                                      \
   .output_class = {"BaseModelOutputWithPoolingAndCrossAttentions", "TFBaseModelOutputWithPoolingAndCrossAttentions",          \
                    "FlaxBaseModelOutputWithPoolingAndCrossAttentions"},                                                                         \
   .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH, .may_be_absent = true}},                             \
      {.name = prefix "ForMaskedLM",                                                                                           \
       .head = &mo_masked_lm_head,                                                                                             \
       .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MaskedLMOutput"),                                                           \
       .decoder = {.transform = "lm_head.dense",                                                                               \
                   .norm = "lm_head.layer_norm",                                                                               \
                   .decoder = "lm_head.decoder",                                                                               \
                   .bias = "lm_head.bias",                                                                                     \
                   .always_gelu = true}},                                                                                      \
      {.name = prefix "ForSequenceClassification",                                                                             \
       .head = &mo_sequence_classification_head,                                                                               \
       .output_class = MO_CLASS_IN_EACH_FRAMEWORK("SequenceClassifierOutput"),                                                 \
       .summary = {.dense = "classifier.dense", .activation = MO_ACTIVATION_TANH},                                             \
       .classifier = "classifier.out_proj"},                                                                                   \
      {.name = prefix "ForMultipleChoice",                                                                                     \
       .head = &mo_multiple_choice_head,                                                                                       \
       .output_class = MO_CLASS_IN_EACH_FRAMEWORK("MultipleChoiceModelOutput"),                                                \
       .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH},                                                 \
       .classifier = "classifier"},                                                                                            \
      {.name = prefix "ForTokenClassification",                                                                                \
       .head = &mo_token_classification_head,                                                                                  \
       .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),                                                    \
       .classifier = "classifier"},                                                                                            \
  {                                                                                                                            \
    .name = prefix "ForQuestionAnswering", .head = &mo_question_answering_head,                                                \
    .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"), .classifier = "qa_outputs"                     \
  }

#endif
