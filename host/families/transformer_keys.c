/* host/families/transformer_keys.c - the configuration of a layer stack, as far as families share how it is read.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/families/transformer_keys.h"

/* ---- Sizes --------------------------------------------------------------------------------------------------------------- */

static mo_status_t read_size(const mo_config_t *config, const char *key, int64_t minimum, int64_t fallback, int64_t *value) {
  return mo_config_integer(config, key, minimum, INT32_MAX, fallback, value);
}

static mo_status_t read_embeddings(const mo_config_t *config, const mo_transformer_keys *keys, mo_transformer_config *stack) {
  const mo_transformer_config *defaults = &keys->defaults;
  const char *position_count = keys->position_count != NULL ? keys->position_count : "max_position_embeddings";
  MO_TRY(read_size(config, "vocab_size", 1, defaults->embedding.vocab_size, &stack->embedding.vocab_size));
  MO_TRY(read_size(config, position_count, 1, defaults->embedding.position_count, &stack->embedding.position_count));
  if (defaults->embedding.type_count > 0)
    MO_TRY(read_size(config, "type_vocab_size", 1, defaults->embedding.type_count, &stack->embedding.type_count));
  /* Any number will do where nothing needs it; null is none, whatever the family's default. */
  const int64_t padding_id = mo_config_is_null(config, "pad_token_id") ? MO_NO_TOKEN : defaults->embedding.padding_id;
  MO_TRY(mo_config_integer(config, "pad_token_id", INT32_MIN, INT32_MAX, padding_id, &stack->embedding.padding_id));
  MO_CHECK(stack->embedding.positions != MO_POSITIONS_SKIP_PADDING || stack->embedding.padding_id >= 0, MO_STATUS_BAD_FILE,
           "model load: pad_token_id is %s, but positions are counted from it on", mo_config_show(config, "pad_token_id").text);
  stack->embedding.size = stack->output_size = stack->hidden_size;
  if (defaults->embedding.size > 0)
    MO_TRY(read_size(config, "embedding_size", 1, defaults->embedding.size, &stack->embedding.size));
  return MO_STATUS_OK;
}

static mo_status_t read_heads(const mo_config_t *config, const mo_transformer_keys *keys, mo_transformer_config *stack) {
  const mo_transformer_config *defaults = &keys->defaults;
  MO_TRY(read_size(config, keys->head_count, 1, defaults->attention.head_count, &stack->attention.head_count));
  stack->attention.key_value_head_count = stack->attention.head_count;
  if (keys->key_value_head_count != NULL) {
    const bool by_default =
        defaults->attention.key_value_head_count > 0 && !mo_config_is_null(config, keys->key_value_head_count);
    const int64_t fallback = by_default ? defaults->attention.key_value_head_count : stack->attention.head_count;
    MO_TRY(read_size(config, keys->key_value_head_count, 1, fallback, &stack->attention.key_value_head_count));
  }
  MO_CHECK(stack->attention.head_count % stack->attention.key_value_head_count == 0, MO_STATUS_BAD_FILE,
           "model load: %" PRId64 " attention heads are not a multiple of %" PRId64 " key/value heads",
           stack->attention.head_count, stack->attention.key_value_head_count);
  const int64_t head_size = defaults->attention.head_size;
  if (keys->head_size != NULL && (head_size > 0 || mo_config_has(config, keys->head_size)))
    return mo_config_integer(config, keys->head_size, 1, 1 << 16, head_size, &stack->attention.head_size);
  MO_CHECK(stack->hidden_size % stack->attention.head_count == 0, MO_STATUS_BAD_FILE,
           "model load: hidden size %" PRId64 " is not a multiple of %" PRId64 " attention heads", stack->hidden_size,
           stack->attention.head_count);
  stack->attention.head_size = stack->hidden_size / stack->attention.head_count;
  return MO_STATUS_OK;
}

/* Whether a model of a family that can be either is a decoder. */
static mo_status_t read_role(const mo_config_t *config, const mo_transformer_keys *keys, mo_transformer_config *stack) {
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

/* Every layer as the family says, with its own parameters. */
static mo_status_t make_layers(const mo_layer_spec *layer, mo_transformer_config *stack) {
  if (stack->layer_count == 0) return MO_STATUS_OK;
  stack->layers = calloc((size_t)stack->layer_count, sizeof *stack->layers);
  if (stack->layers == NULL) return MO_STATUS_OUT_OF_MEMORY;
  const float scale = layer->attention_scale != 0.0f ? layer->attention_scale : 1.0f / sqrtf((float)stack->attention.head_size);
  for (int64_t i = 0; i < stack->layer_count; i++) {
    stack->layers[i] = *layer;
    stack->layers[i].parameters = i;
    stack->layers[i].attention_scale = scale;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_read_config(const mo_config_t *config, const mo_transformer_keys *keys,
                                       mo_transformer_config *stack) {
  const mo_transformer_config *defaults = &keys->defaults;
  const char *activation;
  *stack = *defaults;
  MO_TRY(read_size(config, keys->hidden_size, 1, defaults->hidden_size, &stack->hidden_size));
  MO_TRY(mo_config_integer(config, keys->layer_count, 0, 1 << 16, defaults->layer_count, &stack->layer_count));
  const int64_t intermediate_size = defaults->feed_forward.size > 0 ? defaults->feed_forward.size : 4 * stack->hidden_size;
  MO_TRY(read_size(config, keys->intermediate_size, 1, intermediate_size, &stack->feed_forward.size));
  MO_TRY(read_embeddings(config, keys, stack));
  MO_TRY(read_heads(config, keys, stack));
  MO_TRY(read_role(config, keys, stack));
  MO_TRY(make_layers(&keys->layer, stack));
  stack->attention.encoder_size = stack->hidden_size;
  if (keys->epsilon != NULL) {
    double epsilon;
    MO_TRY(mo_config_float(config, keys->epsilon, 0.0, 1.0, (double)defaults->norm.epsilon, &epsilon));
    stack->norm.epsilon = (float)epsilon;
  }
  if (keys->activation == NULL) return MO_STATUS_OK; /* the family reads it */
  MO_TRY(mo_config_string(config, keys->activation, keys->default_activation, &activation));
  return mo_activation_from_name(activation, &stack->feed_forward.activation);
}

int64_t mo_transformer_read_token(const mo_config_t *config, const char *key, int64_t fallback) {
  int64_t id;
  if (mo_config_find_integer(config, key, &id)) return id >= 0 ? id : -1;
  return mo_config_has(config, key) || mo_config_is_null(config, key) ? -1 : fallback;
}

/* ---- Windows ------------------------------------------------------------------------------------------------------------- */

void mo_transformer_slide(mo_transformer_config *stack, int64_t window, int64_t first) {
  stack->attention.window = window;
  for (int64_t i = 0; i < stack->layer_count; i++) stack->layers[i].window = i >= first ? window : 0;
}

/* Whether layer_types has a layer as one that attends to everything; UNSUPPORTED names what is no kind of layer. */
static mo_status_t read_layer_type(const mo_config_t *config, int64_t layer, bool *full) {
  const char *type;
  MO_TRY(mo_config_string_at(config, "layer_types", layer, &type));
  *full = type != NULL && strcmp(type, "full_attention") == 0;
  MO_CHECK(*full || (type != NULL && strcmp(type, "sliding_attention") == 0), MO_STATUS_UNSUPPORTED,
           "model load: layer %" PRId64 " is %.40s in layer_types, known are full_attention and sliding_attention", layer,
           type != NULL ? type : "missing");
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_read_layer_types(const mo_config_t *config, mo_transformer_config *stack) {
  if (!mo_config_has(config, "layer_types")) return MO_STATUS_OK;
  for (int64_t i = 0; i < stack->layer_count; i++) {
    bool full;
    MO_TRY(read_layer_type(config, i, &full));
    stack->layers[i].window = full ? 0 : stack->attention.window;
  }
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_read_check_layer_types(const mo_config_t *config, const mo_transformer_config *stack) {
  if (!mo_config_has(config, "layer_types")) return MO_STATUS_OK;
  for (int64_t i = 0; i < stack->layer_count; i++) {
    bool full;
    const int64_t window = stack->layers[i].window;
    MO_TRY(read_layer_type(config, i, &full));
    /* A window that holds every position hides nothing. */
    MO_CHECK(full ? window == 0 || window >= stack->embedding.position_count : window > 0, MO_STATUS_UNSUPPORTED,
             "model load: layer %" PRId64 " is %s in layer_types, but models of this family and configuration run it as %s", i,
             full ? "full_attention" : "sliding_attention", full ? "sliding_attention" : "full_attention");
  }
  return MO_STATUS_OK;
}
