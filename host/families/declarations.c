/* host/families/declarations.c - what a checkpoint declares and this library does not carry out.
 *
 * Which keys the original obeys: transformers/configuration_utils.py, modeling_utils.py and masking_utils.py of versions 4.57
 * and 5.24, and the families' own files.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/declarations.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/core/text_file.h"

typedef enum refused_t {
  REFUSED_IF_THERE, /* anything but null */
  REFUSED_IF_TRUE,  /* what Python takes for true */
  REFUSED_IF_FALSE, /* and neither null nor absent */
  REFUSED_UNLESS_ABSOLUTE,
} refused_t;

#define BERT_LIKE "bert roberta electra albert xlm-roberta altclip_text_model"
#define WITHOUT_CROSS_ATTENTION "gpt_neox llama mistral opt qwen2 qwen3 phi3 gemma2 gemma3_text"

static const struct {
  const char *key;
  refused_t rule;
  const char *families; /* NULL: all */
  const char *reason;
} refused_keys[] = {
    {"quantization_config", REFUSED_IF_THERE, NULL, "quantised weights are not supported"},
    {"compression_config", REFUSED_IF_TRUE, NULL, "quantised weights are not supported"},
    {"quantization", REFUSED_IF_TRUE, NULL, "quantised weights are not supported"},
    {"pruned_heads", REFUSED_IF_TRUE, NULL, "layers with fewer heads than others are not supported"},
    {"per_layer_config", REFUSED_IF_TRUE, NULL, "layers with a configuration of their own are not supported"},
    {"tie_last_hidden_states", REFUSED_IF_FALSE, NULL, "the last of hidden_states stands behind the final norm"},
    {"position_embedding_type", REFUSED_UNLESS_ABSOLUTE, BERT_LIKE, "only \"absolute\" is supported"},
    {"add_cross_attention", REFUSED_IF_TRUE, WITHOUT_CROSS_ATTENTION, "this family has no cross attention"},
    {"tie_encoder_decoder", REFUSED_IF_TRUE, "bart t5", "an encoder that shares the decoder's weights is not supported"},
    {"normalize_before", REFUSED_IF_TRUE, "bart", "only norms behind the layers are supported"},
    {"add_final_layer_norm", REFUSED_IF_TRUE, "bart", "a norm behind the last layer is not supported"},
    {"normalize_embedding", REFUSED_IF_FALSE, "bart", "embeddings without their norm are not supported"},
    {"static_position_embeddings", REFUSED_IF_TRUE, "bart", "only learned positions are supported"},
};

/* Read by Transformers, or by the tools whose names they bear, before they read the weights. */
static const struct {
  const char *name, *reason;
} refused_files[] = {{"adapter_config.json", "an adapter on top of the weights is not supported: merge it"},
                     {"quantize_config.json", "quantised weights are not supported"},
                     {"quant_config.json", "quantised weights are not supported"},
                     {"hf_quant_config.json", "quantised weights are not supported"}};

/* Last parts of the names of scales, zero points and packed values: compressed-tensors, FP8, GPTQ and AWQ, bitsandbytes, MLX.
 */
static const char *const quantised_parts[] = {
    "weight_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "weight_zero_point",
    "weight_packed",
    "weight_shape",
    "weight_g_idx",
    "input_scale",
    "activation_scale",
    "scales",
    "qzeros",
    "qweight",
    "g_idx",
    "SCB",
    "weight_format",
    "absmax",
    "nested_absmax",
    "quant_map",
};

/* Whether `name` is one of the words of `names`. */
static bool is_among(const char *names, const char *name) {
  const size_t length = strlen(name);
  if (names == NULL) return true;
  for (const char *at = names; (at = strstr(at, name)) != NULL; at += length)
    if ((at == names || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  return false;
}

static mo_status_t refused(const mo_config_t *config, const char *key, refused_t rule, bool *is_refused) {
  const char *text;
  const bool there = mo_config_has(config, key), truthy = mo_config_is_truthy(config, key);
  *is_refused = rule == REFUSED_IF_THERE   ? there
                : rule == REFUSED_IF_TRUE  ? truthy
                : rule == REFUSED_IF_FALSE ? there && !truthy
                                           : false;
  if (rule != REFUSED_UNLESS_ABSOLUTE) return MO_STATUS_OK;
  MO_TRY(mo_config_string(config, key, "absolute", &text));
  *is_refused = strcmp(text, "absolute") != 0 || mo_config_is_null(config, key); /* null: no positions in 4.57 */
  return MO_STATUS_OK;
}

/* " (quant_method \"fp8\")" of a quantization_config that says so. */
static mo_shown method_of(const mo_config_t *config, const char *key) {
  mo_shown shown = {""};
  mo_config_t *section = NULL;
  if (mo_config_section(config, key, &section) != MO_STATUS_OK || section == NULL) return shown;
  if (mo_config_has(section, "quant_method"))
    snprintf(shown.text, sizeof shown.text, " (quant_method %.50s)", mo_config_show(section, "quant_method").text);
  mo_config_destroy(section);
  return shown;
}

mo_status_t mo_declarations_check(const char *directory, const mo_config_t *config, const mo_family *family) {
  for (size_t i = 0; i < sizeof refused_keys / sizeof refused_keys[0]; i++) {
    const char *key = refused_keys[i].key;
    bool is_refused;
    if (!is_among(refused_keys[i].families, family->name)) continue;
    MO_TRY(refused(config, key, refused_keys[i].rule, &is_refused));
    MO_CHECK(!is_refused, MO_STATUS_UNSUPPORTED, "model load: config.json's %s is %s%s: %s", key,
             mo_config_show(config, key).text, method_of(config, key).text, refused_keys[i].reason);
  }
  for (size_t i = 0; i < sizeof refused_files / sizeof refused_files[0]; i++) {
    bool exists;
    MO_TRY(mo_file_exists(directory, refused_files[i].name, &exists));
    MO_CHECK(!exists, MO_STATUS_UNSUPPORTED, "model load: the folder has %s: %s", refused_files[i].name,
             refused_files[i].reason);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_declarations_check_decoder(const mo_config_t *config, const mo_family *family, const mo_base_facts *facts) {
  /* A cache drops what lies before these, whether the layers are made for that or not. */
  static const char *const windows[] = {"sliding_window", "attention_chunk_size"};
  bool causal;
  if (!facts->decoder) return MO_STATUS_OK;
  MO_TRY(mo_config_flag(config, "is_causal", true, &causal));
  MO_CHECK(causal, MO_STATUS_UNSUPPORTED, "model load: config.json's is_causal is false: decoders are causal here");
  for (size_t i = 0; !is_among("mistral qwen2 qwen3 phi3 gemma2 gemma3_text", family->name) && i < sizeof windows / sizeof windows[0]; i++) {
    int64_t window;
    MO_TRY(mo_config_integer(config, windows[i], 1, INT64_MAX, INT64_MAX, &window));
    MO_CHECK(window >= facts->position_count, MO_STATUS_UNSUPPORTED,
             "model load: config.json's %s is %" PRId64 ": models of this family attend to all %" PRId64 " positions",
             windows[i], window, facts->position_count);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_declarations_check_tensors(mo_checkpoint_t *checkpoint) {
  const char *name;
  for (int64_t i = 0; (name = mo_checkpoint_unexpected(checkpoint, i)) != NULL; i++) {
    const char *dot = strrchr(name, '.');
    bool quantised = strstr(name, ".quant_state.") != NULL;
    for (size_t k = 0; dot != NULL && k < sizeof quantised_parts / sizeof quantised_parts[0]; k++)
      quantised |= strcmp(dot + 1, quantised_parts[k]) == 0;
    MO_CHECK(!quantised, MO_STATUS_UNSUPPORTED,
             "model load: tensor \"%s\" belongs to quantised weights (quantization_config), which are not supported",
             mo_name_show(name).text);
  }
  return MO_STATUS_OK;
}
