/* host/families/bart.c - BART: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/bart/{modeling,configuration}_bart.py. Encoder and decoder share the word table and
 * have position tables of their own, whose first two rows nobody takes. Norms stand behind, as in BERT.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */

#include "host/families/conventions.h"
#include "host/families/registry.h"

#define POSITION_OFFSET 2

static const char *const word_aliases[] = {"decoder.embed_tokens", "encoder.embed_tokens", NULL};

#define LAYER_NAMES                                                                                                            \
  .embedding.word = "shared", .embedding.word_aliases = word_aliases, .layer_infix = ".",                                      \
  .attention.query = "self_attn.q_proj", .attention.key = "self_attn.k_proj", .attention.value = "self_attn.v_proj",           \
  .attention.output = "self_attn.out_proj", .attention_norm = "self_attn_layer_norm", .feed_forward.intermediate = "fc1",      \
  .feed_forward.output = "fc2", .feed_forward_norm = "final_layer_norm"

static const mo_transformer_names encoder_names = {
    LAYER_NAMES, .embedding.own_word = "encoder.embed_tokens", .embedding.position = "encoder.embed_positions",
    .embedding.norm = "encoder.layernorm_embedding", .layer_prefix = "encoder.layers."};

static const mo_transformer_names decoder_names = {LAYER_NAMES,
                                                   .embedding.own_word = "decoder.embed_tokens",
                                                   .embedding.position = "decoder.embed_positions",
                                                   .embedding.norm = "decoder.layernorm_embedding",
                                                   .layer_prefix = "decoder.layers.",
                                                   .cross.query = "encoder_attn.q_proj",
                                                   .cross.key = "encoder_attn.k_proj",
                                                   .cross.value = "encoder_attn.v_proj",
                                                   .cross.output = "encoder_attn.out_proj",
                                                   .cross_norm = "encoder_attn_layer_norm"};

static const mo_config_alias aliases[] = {
    {"hidden_size", "d_model"}, {"num_attention_heads", "encoder_attention_heads"}, {NULL, NULL}};

/* Either stack; the keys name what differs. */
static mo_status_t configure(const mo_config_t *config, bool decoder, mo_transformer_config *stack) {
  /* In version 5 num_hidden_layers is the same; many files have both, and where they differ the weights are those of the first.
   */
  const char *encoder_layers = mo_config_has(config, "encoder_layers") ? "encoder_layers" : "num_hidden_layers";
  const mo_transformer_keys keys = {.hidden_size = "d_model",
                                    .layer_count = decoder ? "decoder_layers" : encoder_layers,
                                    .head_count = decoder ? "decoder_attention_heads" : "encoder_attention_heads",
                                    .intermediate_size = decoder ? "decoder_ffn_dim" : "encoder_ffn_dim",
                                    .activation = "activation_function",
                                    .default_activation = "gelu",
                                    .may_decode = true,
                                    .defaults = {.embedding.vocab_size = 50265,
                                                 .hidden_size = 1024,
                                                 .layer_count = 12,
                                                 .attention.head_count = 16,
                                                 .feed_forward.size = 4096,
                                                 .embedding.position_count = 1024,
                                                 .embedding.position_offset = POSITION_OFFSET,
                                                 .embedding.padding_id = 1,
                                                 .norm.epsilon = 1e-5f,
                                                 .decoder = decoder,
                                                 .caches_cross_attention = decoder}};
  bool scaled;
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  stack->start_id = mo_transformer_read_token(config, "decoder_start_token_id", 2);
  stack->end_id = mo_transformer_read_token(config, "eos_token_id", 2);
  MO_TRY(mo_config_flag(config, "scale_embedding", false, &scaled));
  if (scaled) stack->embedding.words_scale = MO_WORDS_BY_SQRT_SIZE;
  stack->decoder = stack->cross_attention = decoder; /* whatever is_decoder says: it is about BartForCausalLM */
  return MO_STATUS_OK;
}

static mo_status_t configure_decoder(const mo_config_t *config, mo_transformer_config *stack) {
  return configure(config, true, stack);
}

static mo_status_t configure_encoder(const mo_config_t *config, mo_transformer_config *stack) {
  return configure(config, false, stack);
}

static const mo_architecture architectures[] = {
    {.name = "BartModel", .head = &mo_base_head, .output_class = MO_CLASS_IN_EACH_FRAMEWORK("Seq2SeqModelOutput")},
    {.name = "BartForConditionalGeneration",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("Seq2SeqLMOutput"),
     .decoder = {.decoder = "lm_head", .bias = "final_logits_bias", .bias_is_row = true}},
    {.name = "BartForSequenceClassification",
     .head = &mo_sequence_classification_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("Seq2SeqSequenceClassifierOutput"),
     .summary = {.dense = "classification_head.dense", .activation = MO_ACTIVATION_TANH},
     .summarises_end = true,
     .classifier = "classification_head.out_proj"},
    {.name = "BartForQuestionAnswering",
     .head = &mo_question_answering_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("Seq2SeqQuestionAnsweringModelOutput"),
     .classifier = "qa_outputs"},
    {.name = "BartForCausalLM",
     .part = MO_PART_DECODER,
     .head = &mo_masked_lm_head, /* its labels are not shifted */
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("CausalLMOutputWithCrossAttentions"),
     .decoder = {.decoder = "lm_head"}},
};

static const mo_token_rules rules = {.names = &decoder_names,
                                     .configure = configure_decoder,
                                     .encoder_names = &encoder_names,
                                     .configure_encoder = configure_encoder,
                                     .decodes_inputs = true};

const mo_family mo_bart_family = {.name = "bart",
                                  .base_prefix = "model",
                                  .base = &mo_token_base,
                                  .rules = &rules,
                                  .aliases = aliases,
                                  .encoder_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutput"),
                                  .decoder_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPastAndCrossAttentions"),
                                  .answers_with_two = true,
                                  .default_label_count = 3,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
