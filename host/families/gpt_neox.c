/* host/families/gpt_neox.c - GPT-NeoX (and Pythia): parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/gpt_neox/{modeling,configuration}_gpt_neox.py. Attention and feed-forward stand side
 * by side, the rotary embedding rotates a part of each head, and query, key and value of a head lie together.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "embed_in",
                                           .layer_prefix = "layers.",
                                           .layer_infix = ".",
                                           .attention.fused = "attention.query_key_value",
                                           .attention.output = "attention.dense",
                                           .attention_norm = "input_layernorm",
                                           .feed_forward.intermediate = "mlp.dense_h_to_4h",
                                           .feed_forward.output = "mlp.dense_4h_to_h",
                                           .feed_forward_norm = "post_attention_layernorm",
                                           .final_norm = "final_layer_norm"};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {.hidden_size = "hidden_size",
                                    .layer_count = "num_hidden_layers",
                                    .head_count = "num_attention_heads",
                                    .intermediate_size = "intermediate_size",
                                    .activation = "hidden_act",
                                    .epsilon = "layer_norm_eps",
                                    .default_activation = "gelu",
                                    .defaults = {.embedding.vocab_size = 50432,
                                                 .hidden_size = 6144,
                                                 .layer_count = 44,
                                                 .attention.head_count = 64,
                                                 .feed_forward.size = 24576,
                                                 .embedding.position_count = 2048,
                                                 .embedding.padding_id = MO_NO_TOKEN,
                                                 .norm.epsilon = 1e-5f,
                                                 .embedding.positions = MO_POSITIONS_NONE,
                                                 .final_norm = MO_FINAL_NORM_IN_STATES,
                                                 .attention.fused_order = MO_FUSED_BY_HEAD,
                                                 .decoder = true}};
  /* Its own names for the rotary embedding; rope_theta and partial_rotary_factor beside them are never looked at. */
  const mo_rotary_keys rotary = {.theta = "rotary_emb_base", .fraction = "rotary_pct", .default_fraction = 0.25};
  bool parallel, biased;
  int64_t head_size;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_flag(config, "use_parallel_residual", true, &parallel));
  stack->norm_placement = parallel ? MO_NORM_PARALLEL : MO_NORM_PRE;
  MO_TRY(mo_config_flag(config, "attention_bias", true, &biased));
  MO_TRY(mo_config_integer(config, "head_dim", 1, INT32_MAX, stack->attention.head_size, &head_size));
  MO_CHECK(head_size == stack->attention.head_size, MO_STATUS_UNSUPPORTED,
           "gpt_neox: head_dim is %" PRId64 ", only hidden_size / num_attention_heads (%" PRId64 ") is supported", head_size,
           stack->attention.head_size);
  stack->attention.lacks_bias = stack->attention.output_lacks_bias = !biased;
  MO_TRY(mo_transformer_read_check_layer_types(config, stack));
  return mo_transformer_read_rotary(config, &rotary, stack);
}

static const mo_architecture architectures[] = {
    {.name = "GPTNeoXModel", .head = &mo_base_head, .output_class = MO_DECODER_MODEL_CLASSES},
    {.name = "GPTNeoXForCausalLM",
     .head = &mo_causal_lm_head,
     .output_class = MO_DECODER_LM_CLASSES,
     .decoder = {.decoder = "embed_out", .untied_by_default = true}},
    {.name = "GPTNeoXForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
    {.name = "GPTNeoXForTokenClassification",
     .head = &mo_token_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("TokenClassifierOutput"),
     .classifier = "classifier"},
    {.name = "GPTNeoXForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_gpt_neox_family = {.name = "gpt_neox",
                                      .base_prefix = "gpt_neox",
                                      .base = &mo_token_base,
                                      .rules = &rules,
                                      .answers_with_two = true,
                                      .architectures = architectures,
                                      .architecture_count = sizeof architectures / sizeof architectures[0]};
