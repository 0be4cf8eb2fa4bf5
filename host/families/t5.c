/* host/families/t5.c - T5: parameter names, configuration keys, architectures.
 *
 * Names and defaults: transformers/models/t5/{modeling,configuration}_t5.py. Pre-norm with RMS norms, no biases, scores that
 * are not scaled, and a bias by the distance of query and key in buckets, which each stack has in its first layer for all of
 * them. In float16 the hidden states of trained models overflow, so they are float32 between the layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/families/conventions.h"
#include "host/families/registry.h"

static const char *const word_aliases[] = {"decoder.embed_tokens", "encoder.embed_tokens", NULL};

#define SELF_NAMES                                                                                                             \
  .embedding.word = "shared", .embedding.word_aliases = word_aliases, .layer_infix = ".",                                      \
  .attention.query = "layer.0.SelfAttention.q", .attention.key = "layer.0.SelfAttention.k",                                    \
  .attention.value = "layer.0.SelfAttention.v", .attention.output = "layer.0.SelfAttention.o",                                 \
  .attention_norm = "layer.0.layer_norm"

/* The feed-forward's number differs, as the decoder has cross attention before it. */
#define MLP_NAMES(number)                                                                                                      \
  .feed_forward.gate = "layer." number ".DenseReluDense.wi_0", .feed_forward.up = "layer." number ".DenseReluDense.wi_1",      \
  .feed_forward.intermediate = "layer." number ".DenseReluDense.wi",                                                           \
  .feed_forward.output = "layer." number ".DenseReluDense.wo", .feed_forward_norm = "layer." number ".layer_norm"

static const mo_transformer_names encoder_names = {
    SELF_NAMES, MLP_NAMES("1"), .layer_prefix = "encoder.block.", .final_norm = "encoder.final_layer_norm",
    .relative_bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"};

static const mo_transformer_names decoder_names = {
    SELF_NAMES,
    MLP_NAMES("2"),
    .layer_prefix = "decoder.block.",
    .cross.query = "layer.1.EncDecAttention.q",
    .cross.key = "layer.1.EncDecAttention.k",
    .cross.value = "layer.1.EncDecAttention.v",
    .cross.output = "layer.1.EncDecAttention.o",
    .cross_norm = "layer.1.layer_norm",
    .final_norm = "decoder.final_layer_norm",
    .relative_bias = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias"};

static const mo_config_alias aliases[] = {
    {"hidden_size", "d_model"}, {"num_attention_heads", "num_heads"}, {"head_dim", "d_kv"}, {NULL, NULL}};

/* "relu", "gated-silu", ...; and "gated-gelu" has always meant the tanh form. dense_act_fn and is_gated_act, which the first
 * files of gated models have too, win over what the name says. */
static mo_status_t read_feed_forward(const mo_config_t *config, mo_transformer_config *stack) {
  static const char prefix[] = "gated-";
  const char *name;
  MO_TRY(mo_config_string(config, "feed_forward_proj", "relu", &name));
  bool gated = strncmp(name, prefix, strlen(prefix)) == 0;
  if (gated) name += strlen(prefix);
  MO_CHECK(strchr(name, '-') == NULL, MO_STATUS_BAD_FILE,
           "t5: feed_forward_proj is %.64s, must be an activation or gated-ACTIVATION", name);
  if (gated && strcmp(name, "gelu") == 0) name = "gelu_new";
  MO_TRY(mo_config_string(config, "dense_act_fn", name, &name));
  MO_TRY(mo_config_flag(config, "is_gated_act", gated, &gated));
  for (int64_t i = 0; gated && i < stack->layer_count; i++) stack->layers[i].feed_forward = MO_FEED_FORWARD_GATED;
  return mo_activation_from_name(name, &stack->feed_forward.activation);
}

static mo_status_t configure(const mo_config_t *config, bool decoder, mo_transformer_config *stack) {
  /* The decoder's default is what num_layers says, even where num_hidden_layers says otherwise for the encoder. */
  const char *encoder_layers = mo_config_has(config, "num_hidden_layers") ? "num_hidden_layers" : "num_layers";
  int64_t layer_count;
  MO_TRY(mo_config_integer(config, "num_layers", 0, 1 << 16, 6, &layer_count));
  const mo_transformer_keys keys = {.hidden_size = "d_model",
                                    .layer_count = decoder ? "num_decoder_layers" : encoder_layers,
                                    .head_count = "num_heads",
                                    .head_size = "d_kv",
                                    .intermediate_size = "d_ff",
                                    .epsilon = "layer_norm_epsilon",
                                    .position_count = "n_positions",
                                    .may_decode = true,
                                    .layer = {.attention_scale = 1.0f},
                                    .defaults = {.embedding.vocab_size = 32128,
                                                 .hidden_size = 512,
                                                 .layer_count = layer_count,
                                                 .attention.head_count = 8,
                                                 .feed_forward.size = 2048,
                                                 .embedding.position_count = 512,
                                                 .norm.epsilon = 1e-6f,
                                                 .embedding.positions = MO_POSITIONS_NONE,
                                                 .norm.kind = MO_NORM_RMS,
                                                 .residual = MO_RESIDUAL_FLOAT32_FOR_FLOAT16,
                                                 .norm_placement = MO_NORM_PRE,
                                                 .final_norm = MO_FINAL_NORM_IN_STATES,
                                                 .attention.lacks_bias = true,
                                                 .attention.output_lacks_bias = true,
                                                 .feed_forward.lacks_bias = true,
                                                 .decoder = decoder,
                                                 .caches_cross_attention = decoder}};
  MO_TRY(mo_transformer_read_config(config, &keys, stack));
  MO_TRY(read_feed_forward(config, stack));
  MO_TRY(mo_config_integer(config, "relative_attention_num_buckets", 1, 1 << 16, 32, &stack->relative_bias.bucket_count));
  MO_TRY(mo_config_integer(config, "relative_attention_max_distance", 1, INT32_MAX, 128, &stack->relative_bias.max_distance));
  stack->start_id = mo_transformer_read_token(config, "decoder_start_token_id", -1);
  stack->end_id = -1;
  stack->decoder = stack->cross_attention = decoder;
  return MO_STATUS_OK;
}

static mo_status_t configure_decoder(const mo_config_t *config, mo_transformer_config *stack) {
  return configure(config, true, stack);
}

static mo_status_t configure_encoder(const mo_config_t *config, mo_transformer_config *stack) {
  return configure(config, false, stack);
}

/* The encoder alone is the decoder's class without its caches; TensorFlow has the plain one. */
#define ENCODER_CLASSES                                                                                                        \
  { "BaseModelOutputWithPastAndCrossAttentions", "TFBaseModelOutput", "FlaxBaseModelOutputWithPastAndCrossAttentions" }

static const mo_architecture architectures[] = {
    {.name = "T5Model", .head = &mo_base_head, .output_class = MO_CLASS_IN_EACH_FRAMEWORK("Seq2SeqModelOutput")},
    {.name = "T5ForConditionalGeneration",
     .head = &mo_masked_lm_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("Seq2SeqLMOutput"),
     .decoder = {.decoder = "lm_head", .scaled_if_tied = true}},
    {.name = "T5EncoderModel", .part = MO_PART_ENCODER, .head = &mo_base_head, .output_class = ENCODER_CLASSES},
};

static const mo_token_rules rules = {.names = &decoder_names,
                                     .configure = configure_decoder,
                                     .encoder_names = &encoder_names,
                                     .configure_encoder = configure_encoder};

const mo_family mo_t5_family = {.name = "t5",
                                .base_prefix = "transformer",
                                .base = &mo_token_base,
                                .rules = &rules,
                                .aliases = aliases,
                                .encoder_class = ENCODER_CLASSES,
                                .decoder_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPastAndCrossAttentions"),
                                .architectures = architectures,
                                .architecture_count = sizeof architectures / sizeof architectures[0]};
