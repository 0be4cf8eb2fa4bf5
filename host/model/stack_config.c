/* host/model/stack_config.c - the configuration of a layer stack, as far as families share how it is read.
 *
 * Rotary scaling: transformers/modeling_rope_utils.py, and configuration files since version 5, which have one object,
 * rope_parameters, instead of rope_theta, rope_scaling and partial_rotary_factor.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/model/family.h"

/* ---- Sizes --------------------------------------------------------------------------------------------------------------- */

static mo_status_t read_size(const mo_config_t *config, const char *key, int64_t minimum, int64_t fallback, int64_t *value) {
  return mo_config_integer(config, key, minimum, INT32_MAX, fallback, value);
}

static mo_status_t read_embeddings(const mo_config_t *config, const mo_stack_keys *keys, mo_stack_config *stack) {
  const mo_stack_config *defaults = &keys->defaults;
  const char *position_count = keys->position_count != NULL ? keys->position_count : "max_position_embeddings";
  const char *position_type;
  MO_TRY(read_size(config, "vocab_size", 1, defaults->vocab_size, &stack->vocab_size));
  MO_TRY(read_size(config, position_count, 1, defaults->position_count, &stack->position_count));
  if (defaults->type_count > 0) MO_TRY(read_size(config, "type_vocab_size", 1, defaults->type_count, &stack->type_count));
  MO_TRY(read_size(config, "pad_token_id", -1, defaults->padding_id, &stack->padding_id));
  MO_CHECK(stack->positions != MO_POSITIONS_SKIP_PADDING || stack->padding_id >= 0, MO_STATUS_BAD_FILE,
           "model load: pad_token_id is %" PRId64 ", but positions are counted from it on", stack->padding_id);
  stack->embedding_size = stack->output_size = stack->hidden_size;
  if (defaults->embedding_size > 0)
    MO_TRY(read_size(config, "embedding_size", 1, defaults->embedding_size, &stack->embedding_size));
  MO_TRY(mo_config_string(config, "position_embedding_type", "absolute", &position_type));
  MO_CHECK(strcmp(position_type, "absolute") == 0, MO_STATUS_UNSUPPORTED,
           "model load: position_embedding_type %s, only absolute is supported", position_type);
  return MO_STATUS_OK;
}

static mo_status_t read_heads(const mo_config_t *config, const mo_stack_keys *keys, mo_stack_config *stack) {
  const mo_stack_config *defaults = &keys->defaults;
  MO_TRY(read_size(config, keys->head_count, 1, defaults->head_count, &stack->head_count));
  stack->key_value_head_count = stack->head_count;
  if (keys->key_value_head_count != NULL) {
    const int64_t fallback = defaults->key_value_head_count > 0 ? defaults->key_value_head_count : stack->head_count;
    MO_TRY(read_size(config, keys->key_value_head_count, 1, fallback, &stack->key_value_head_count));
  }
  MO_CHECK(stack->head_count % stack->key_value_head_count == 0, MO_STATUS_BAD_FILE,
           "model load: %" PRId64 " attention heads are not a multiple of %" PRId64 " key/value heads", stack->head_count,
           stack->key_value_head_count);
  if (keys->head_size != NULL && mo_config_has(config, keys->head_size))
    return mo_config_integer(config, keys->head_size, 1, 1 << 16, 0, &stack->head_size);
  MO_CHECK(stack->hidden_size % stack->head_count == 0, MO_STATUS_BAD_FILE,
           "model load: hidden size %" PRId64 " is not a multiple of %" PRId64 " attention heads", stack->hidden_size,
           stack->head_count);
  stack->head_size = stack->hidden_size / stack->head_count;
  return MO_STATUS_OK;
}

/* Whether a model of a family that can be either is a decoder. */
static mo_status_t read_role(const mo_config_t *config, const mo_stack_keys *keys, mo_stack_config *stack) {
  bool is_decoder, cross_attention;
  if (keys->defaults.decoder) return MO_STATUS_OK;
  MO_TRY(mo_config_bool(config, "is_decoder", false, &is_decoder));
  MO_TRY(mo_config_bool(config, "add_cross_attention", false, &cross_attention));
  MO_CHECK(keys->may_decode || (!is_decoder && !cross_attention), MO_STATUS_UNSUPPORTED,
           "model load: %s is true, models of this family run as encoders only",
           is_decoder ? "is_decoder" : "add_cross_attention");
  MO_CHECK(is_decoder || !cross_attention, MO_STATUS_BAD_FILE,
           "model load: add_cross_attention is true, but is_decoder is not");
  stack->decoder = is_decoder;
  stack->cross_attention = cross_attention;
  return MO_STATUS_OK;
}

mo_status_t mo_stack_config_read(const mo_config_t *config, const mo_stack_keys *keys, mo_stack_config *stack) {
  const mo_stack_config *defaults = &keys->defaults;
  const char *activation;
  *stack = *defaults;
  MO_TRY(read_size(config, keys->hidden_size, 1, defaults->hidden_size, &stack->hidden_size));
  MO_TRY(mo_config_integer(config, keys->layer_count, 0, 1 << 16, defaults->layer_count, &stack->layer_count));
  stack->layer_group_count = stack->layer_count;
  const int64_t intermediate_size = defaults->intermediate_size > 0 ? defaults->intermediate_size : 4 * stack->hidden_size;
  MO_TRY(read_size(config, keys->intermediate_size, 1, intermediate_size, &stack->intermediate_size));
  MO_TRY(read_embeddings(config, keys, stack));
  MO_TRY(read_heads(config, keys, stack));
  MO_TRY(read_role(config, keys, stack));
  stack->encoder_hidden_size = stack->hidden_size;
  if (keys->epsilon != NULL) {
    double epsilon;
    MO_TRY(mo_config_float(config, keys->epsilon, 0.0, 1.0, (double)defaults->epsilon, &epsilon));
    stack->epsilon = (float)epsilon;
  }
  MO_TRY(mo_config_string(config, keys->activation, keys->default_activation, &activation));
  return mo_activation_from_name(activation, &stack->activation);
}

/* ---- Windows ------------------------------------------------------------------------------------------------------------- */

mo_status_t mo_stack_config_layer_types(const mo_config_t *config, mo_stack_config *stack) {
  if (!mo_config_has(config, "layer_types")) return MO_STATUS_OK;
  MO_CHECK(stack->layer_count <= MO_LISTED_LAYERS, MO_STATUS_UNSUPPORTED,
           "model load: layer_types of %" PRId64 " layers, %d at most", stack->layer_count, MO_LISTED_LAYERS);
  stack->first_window_layer = 0;
  for (int64_t i = 0; i < stack->layer_count; i++) {
    const char *type;
    MO_TRY(mo_config_string_at(config, "layer_types", i, &type));
    const bool full = type != NULL && strcmp(type, "full_attention") == 0;
    MO_CHECK(full || (type != NULL && strcmp(type, "sliding_attention") == 0), MO_STATUS_UNSUPPORTED,
             "model load: layer %" PRId64 " is %.40s in layer_types, known are full_attention and sliding_attention", i,
             type != NULL ? type : "missing");
    if (full) stack->full_layers[i / 64] |= (uint64_t)1 << (i % 64);
  }
  return MO_STATUS_OK;
}

int64_t mo_stack_config_window(const mo_stack_config *stack, int64_t layer) {
  const bool listed = layer < MO_LISTED_LAYERS && (stack->full_layers[layer / 64] >> (layer % 64) & 1) != 0;
  return layer >= stack->first_window_layer && !listed ? stack->window : 0;
}

/* ---- Rotary embedding --------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  mo_rotary_scaling_t scaling;
} scaling_rules[] = {{"default", MO_ROTARY_SCALING_NONE},
                     {"linear", MO_ROTARY_SCALING_LINEAR},
                     {"dynamic", MO_ROTARY_SCALING_DYNAMIC},
                     {"llama3", MO_ROTARY_SCALING_LLAMA3},
                     {"yarn", MO_ROTARY_SCALING_YARN}};

static mo_status_t read_scaling_rule(const mo_config_t *section, mo_rotary_scaling_t *scaling) {
  const char *old_name, *name;
  MO_TRY(mo_config_string(section, "type", "default", &old_name));
  MO_TRY(mo_config_string(section, "rope_type", old_name, &name));
  for (size_t i = 0; i < sizeof scaling_rules / sizeof scaling_rules[0]; i++) {
    if (strcmp(scaling_rules[i].name, name) != 0) continue;
    *scaling = scaling_rules[i].scaling;
    return MO_STATUS_OK;
  }
  return mo_fail(MO_STATUS_UNSUPPORTED, "model load: rotary scaling %.64s; known are default, linear, dynamic, llama3, yarn",
                 name);
}

/* What the rule of `section` needs. Factors are above 0; the tables check what depends on others. */
static mo_status_t read_scaling(const mo_config_t *config, const mo_config_t *section, int64_t position_count,
                                mo_rotary_config *rotary) {
  const double limit = 1e9;
  bool truncate;
  MO_TRY(read_scaling_rule(section, &rotary->scaling));
  if (rotary->scaling == MO_ROTARY_SCALING_NONE) return MO_STATUS_OK;
  int64_t original = position_count;
  MO_TRY(mo_config_integer(config, "original_max_position_embeddings", 1, INT32_MAX, original, &original));
  MO_TRY(mo_config_integer(section, "original_max_position_embeddings", 1, INT32_MAX, original, &original));
  rotary->original_max_positions = rotary->scaling == MO_ROTARY_SCALING_DYNAMIC ? position_count : original;
  const double stretched = (double)position_count / (double)original;
  MO_TRY(mo_config_float(section, "factor", 0.0, limit, stretched, &rotary->factor));
  MO_TRY(mo_config_float(section, "low_freq_factor", 0.0, limit, 0.0, &rotary->low_frequency_factor));
  MO_TRY(mo_config_float(section, "high_freq_factor", 0.0, limit, 0.0, &rotary->high_frequency_factor));
  MO_TRY(mo_config_float(section, "beta_fast", 0.0, limit, 0.0, &rotary->beta_fast));
  MO_TRY(mo_config_float(section, "beta_slow", 0.0, limit, 0.0, &rotary->beta_slow));
  MO_TRY(mo_config_float(section, "attention_factor", 0.0, limit, 0.0, &rotary->attention_factor));
  MO_TRY(mo_config_float(section, "mscale", 0.0, limit, 0.0, &rotary->magnitude_scale));
  MO_TRY(mo_config_float(section, "mscale_all_dim", 0.0, limit, 0.0, &rotary->magnitude_scale_all));
  MO_TRY(mo_config_bool(section, "truncate", true, &truncate));
  rotary->yarn_keeps_fraction = !truncate;
  return MO_STATUS_OK;
}

static mo_status_t read_rotary(const mo_config_t *config, const mo_config_t *section, double default_fraction,
                               mo_stack_config *stack) {
  mo_rotary_config rotary = MO_ROTARY_CONFIG_INIT;
  double fraction = default_fraction;
  MO_TRY(mo_config_float(config, "rotary_emb_base", 1.0, 1e18, 10000.0, &rotary.theta)); /* GPT-NeoX's older names */
  MO_TRY(mo_config_float(config, "rotary_pct", 0.0, 1.0, fraction, &fraction));
  MO_TRY(mo_config_float(config, "rope_theta", 1.0, 1e18, rotary.theta, &rotary.theta));
  MO_TRY(mo_config_float(config, "partial_rotary_factor", 0.0, 1.0, fraction, &fraction));
  if (section != NULL) {
    MO_TRY(mo_config_float(section, "rope_theta", 1.0, 1e18, rotary.theta, &rotary.theta));
    MO_TRY(mo_config_float(section, "partial_rotary_factor", 0.0, 1.0, fraction, &fraction));
    MO_TRY(read_scaling(config, section, stack->position_count, &rotary));
  }
  rotary.rotary_dim = (int64_t)((double)stack->head_size * fraction);
  MO_CHECK(rotary.rotary_dim % 2 == 0, MO_STATUS_BAD_FILE,
           "model load: the rotary embedding turns %" PRId64 " elements of a head, an even number is needed",
           rotary.rotary_dim);
  stack->rotary = rotary;
  /* The rule's own checks, before any weight is read. */
  return mo_rotary_fill_tables(&stack->rotary, 0, 0, NULL, NULL);
}

mo_status_t mo_stack_config_rotary(const mo_config_t *config, double default_fraction, mo_stack_config *stack) {
  mo_config_t *section = NULL;
  const char *key = mo_config_has(config, "rope_parameters") ? "rope_parameters" : "rope_scaling";
  MO_TRY(mo_config_section(config, key, &section));
  const mo_status_t status = read_rotary(config, section, default_fraction, stack);
  mo_config_destroy(section);
  return status;
}
