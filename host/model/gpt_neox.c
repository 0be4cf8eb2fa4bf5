/* host/model/gpt_neox.c - GPT-NeoX (and Pythia): parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/gpt_neox/{modeling,configuration}_gpt_neox.py. Attention and feed-forward stand side
 * by side, the rotary embedding turns a part of each head, and query, key and value of a head lie together.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/family.h"

static const mo_stack_names names = {.base_prefix = "gpt_neox",
                                     .word = "embed_in",
                                     .layer_prefix = "layers.",
                                     .layer_infix = ".",
                                     .query_key_value = "attention.query_key_value",
                                     .attention_output = "attention.dense",
                                     .attention_norm = "input_layernorm",
                                     .intermediate = "mlp.dense_h_to_4h",
                                     .output = "mlp.dense_4h_to_h",
                                     .output_norm = "post_attention_layernorm",
                                     .final_norm = "final_layer_norm"};

static mo_status_t configure(const mo_config_t *config, mo_stack_config *stack) {
  const mo_stack_keys keys = {.hidden_size = "hidden_size",
                              .layer_count = "num_hidden_layers",
                              .head_count = "num_attention_heads",
                              .intermediate_size = "intermediate_size",
                              .activation = "hidden_act",
                              .epsilon = "layer_norm_eps",
                              .default_activation = "gelu",
                              .defaults = {.vocab_size = 50432,
                                           .hidden_size = 6144,
                                           .layer_count = 44,
                                           .head_count = 64,
                                           .intermediate_size = 24576,
                                           .position_count = 2048,
                                           .padding_id = -1,
                                           .epsilon = 1e-5f,
                                           .positions = MO_POSITIONS_NONE,
                                           .norm_placement = MO_NORM_BEFORE,
                                           .final_norm = true,
                                           .projections = MO_PROJECTIONS_PER_HEAD,
                                           .decoder = true}};
  bool biased;
  MO_TRY(mo_stack_config_read(config, &keys, stack));
  MO_TRY(mo_config_bool(config, "use_parallel_residual", true, &stack->parallel_residual));
  MO_TRY(mo_config_bool(config, "attention_bias", true, &biased));
  stack->attention_lacks_bias = stack->attention_output_lacks_bias = !biased;
  return mo_stack_config_rotary(config, 0.25, stack);
}

static const mo_architecture architectures[] = {
    {.name = "GPTNeoXModel", .head = MO_HEAD_NONE, .output_class = MO_DECODER_MODEL_CLASSES},
    {.name = "GPTNeoXForCausalLM",
     .head = MO_HEAD_CAUSAL_LM,
     .output_class = MO_DECODER_LM_CLASSES,
     .decoder = {.decoder = "embed_out", .untied_by_default = true}},
    {.name = "GPTNeoXForSequenceClassification",
     .head = MO_HEAD_SEQUENCE_CLASSIFICATION,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
    {.name = "GPTNeoXForTokenClassification",
     .head = MO_HEAD_TOKEN_CLASSIFICATION,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "GPTNeoXForQuestionAnswering",
     .head = MO_HEAD_QUESTION_ANSWERING,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

const mo_family mo_gpt_neox_family = {.name = "gpt_neox",
                                      .names = &names,
                                      .configure = configure,
                                      .architectures = architectures,
                                      .architecture_count = sizeof architectures / sizeof architectures[0]};
