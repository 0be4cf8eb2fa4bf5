/* host/families/opt.c - OPT: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/opt/{modeling,configuration}_opt.py. Positions count the visible tokens and begin at
 * row 2 of their table; the smallest but one has narrower embeddings and post-norm layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/conventions.h"
#include "host/families/registry.h"

static const mo_transformer_names names = {.embedding.word = "decoder.embed_tokens",
                                           .embedding.position = "decoder.embed_positions",
                                           .embedding.projection = "decoder.project_in",
                                           .layer_prefix = "decoder.layers.",
                                           .layer_infix = ".",
                                           .attention.query = "self_attn.q_proj",
                                           .attention.key = "self_attn.k_proj",
                                           .attention.value = "self_attn.v_proj",
                                           .attention.output = "self_attn.out_proj",
                                           .attention_norm = "self_attn_layer_norm",
                                           .feed_forward.intermediate = "fc1",
                                           .feed_forward.output = "fc2",
                                           .feed_forward_norm = "final_layer_norm",
                                           .final_norm = "decoder.final_layer_norm",
                                           .output_projection = "decoder.project_out"};

static mo_status_t configure(const mo_config_t *config, mo_transformer_config *stack) {
  const mo_transformer_keys keys = {.hidden_size = "hidden_size",
                                    .layer_count = "num_hidden_layers",
                                    .head_count = "num_attention_heads",
                                    .intermediate_size = "ffn_dim",
                                    .activation = "activation_function",
                                    .default_activation = "relu",
                                    .defaults = {.embedding.vocab_size = 50272,
                                                 .hidden_size = 768,
                                                 .layer_count = 12,
                                                 .attention.head_count = 12,
                                                 .feed_forward.size = 3072,
                                                 .embedding.position_count = 2048,
                                                 .embedding.padding_id = 1,
                                                 .norm.epsilon = 1e-5f,
                                                 .embedding.positions = MO_POSITIONS_FROM_MASK,
                                                 .embedding.position_offset = 2,
                                                 .decoder = true}};
  bool before, without_final, biased, affine;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(mo_config_integer(config, "word_embed_proj_dim", 1, INT32_MAX, stack->hidden_size, &stack->embedding.size));
  stack->output_size = stack->embedding.size;
  if (stack->embedding.size != stack->hidden_size) stack->embedding.projection = MO_EMBEDDING_WORDS_PROJECTED;
  MO_TRY(mo_config_flag(config, "do_layer_norm_before", true, &before));
  MO_TRY(mo_config_flag(config, "_remove_final_layer_norm", false, &without_final));
  MO_TRY(mo_config_flag(config, "enable_bias", true, &biased));
  MO_TRY(mo_config_flag(config, "layer_norm_elementwise_affine", true, &affine));
  MO_CHECK(affine, MO_STATUS_UNSUPPORTED, "opt: layer_norm_elementwise_affine is false, only norms with weights are supported");
  stack->norm_placement = before ? MO_NORM_PRE : MO_NORM_POST;
  stack->final_norm = before && !without_final ? MO_FINAL_NORM_IN_STATES : MO_FINAL_NORM_NONE;
  stack->attention.lacks_bias = stack->attention.output_lacks_bias = stack->feed_forward.lacks_bias = !biased;
  return MO_STATUS_OK;
}

static const mo_architecture architectures[] = {
    {.name = "OPTModel", .head = &mo_base_head, .output_class = MO_DECODER_MODEL_CLASSES},
    {.name = "OPTForCausalLM",
     .head = &mo_causal_lm_head,
     .output_class = MO_DECODER_LM_CLASSES,
     .decoder = {.decoder = "lm_head"}},
    {.name = "OPTForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_DECODER_CLASSIFIER_CLASSES,
     .classifier = "score",
     .classifier_lacks_bias = true,
     .classifies_last_token = true},
    {.name = "OPTForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("QuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
};

static const mo_token_rules rules = {.names = &names, .configure = configure};

const mo_family mo_opt_family = {.name = "opt",
                                 .base_prefix = "model",
                                 .base = &mo_token_base,
                                 .rules = &rules,
                                 .answers_with_two = true,
                                 .architectures = architectures,
                                 .architecture_count = sizeof architectures / sizeof architectures[0]};
