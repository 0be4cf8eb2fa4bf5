/* host/families/gpt2.c - GPT-2: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/gpt2/{modeling,configuration}_gpt2.py. Dense layers lie transposed in its files, and
 * query, key and value are one of them. With add_cross_attention it attends over an encoder's hidden states too.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "wte",
                                           .embedding.position = "wpe",
                                           .layer_prefix = "h.",
                                           .layer_infix = ".",
                                           .attention.fused = "attn.c_attn",
                                           .attention.output = "attn.c_proj",
                                           .attention_norm = "ln_1",
                                           .cross.query = "crossattention.q_attn",
                                           .cross.fused = "crossattention.c_attn",
                                           .cross.output = "crossattention.c_proj",
                                           .cross_norm = "ln_cross_attn",
                                           .feed_forward.intermediate = "mlp.c_fc",
                                           .feed_forward.output = "mlp.c_proj",
                                           .feed_forward_norm = "ln_2",
                                           .final_norm = "ln_f"};

static const mo_config_alias aliases[] = {{"hidden_size", "n_embd"},
                                          {"num_hidden_layers", "n_layer"},
                                          {"num_attention_heads", "n_head"},
                                          {"max_position_embeddings", "n_positions"},
                                          {NULL, NULL}};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {.hidden_size = "n_embd",
                                    .layer_count = "n_layer",
                                    .head_count = "n_head",
                                    .intermediate_size = "n_inner",
                                    .activation = "activation_function",
                                    .position_count = "n_positions",
                                    .epsilon = "layer_norm_epsilon",
                                    .default_activation = "gelu_new",
                                    .defaults = {.embedding.vocab_size = 50257,
                                                 .hidden_size = 768,
                                                 .layer_count = 12,
                                                 .attention.head_count = 12,
                                                 .embedding.position_count = 1024,
                                                 .embedding.padding_id = MO_NO_TOKEN,
                                                 .norm.epsilon = 1e-5f,
                                                 .embedding.types = MO_TYPES_AS_WORDS,
                                                 .norm_placement = MO_NORM_PRE,
                                                 .final_norm = MO_FINAL_NORM_IN_STATES,
                                                 .attention.layout = MO_DENSE_INPUT_BY_OUTPUT,
                                                 .feed_forward.layout = MO_DENSE_INPUT_BY_OUTPUT,
                                                 .decoder = true}};
  bool scaled, by_layer;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_flag(config, "add_cross_attention", false, &stack->cross_attention));
  MO_TRY(mo_config_flag(config, "scale_attn_by_inverse_layer_idx", false, &by_layer));
  MO_TRY(mo_config_flag(config, "scale_attn_weights", true, &scaled));
  for (int64_t i = 0; i < stack->layer_count; i++) {
    mo_layer_spec *layer = &stack->layers[i];
    if (!scaled) layer->attention_scale = 1.0f;
    if (by_layer) layer->attention_scale /= (float)(i + 1);
  }
  return MO_STATUS_OK;
}

static const mo_architecture architectures[] = {
    {.name = "GPT2Model",
     .head = &mo_base_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPastAndCrossAttentions")},
    {.name = "GPT2LMHeadModel",
     .head = &mo_causal_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("CausalLMOutputWithCrossAttentions"),
     .decoder = {.decoder = "lm_head"}},
    {.name = "GPT2ForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
    {.name = "GPT2ForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "GPT2ForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_gpt2_family = {.stacks_tensorflow_cache = true,
                                  .name = "gpt2",
                                  .base_prefix = "transformer",
                                  .base = &mo_token_base,
                                  .rules = &rules,
                                  .aliases = aliases,
                                  .answers_with_two = true,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
