/* host/model/registry.c - every architecture this build knows, and what all families' configurations share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "modelout/model.h"

static const mo_family *const families[] = {&mo_bert_family, &mo_distilbert_family, &mo_roberta_family, &mo_electra_family,
                                            &mo_albert_family};
enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

const char *mo_model_known_architecture(int32_t index) {
  if (index < 0) return NULL;
  for (int i = 0; i < FAMILY_COUNT; i++) {
    if (index < families[i]->architecture_count) return families[i]->architectures[index].name;
    index -= families[i]->architecture_count;
  }
  return NULL;
}

mo_status_t mo_architecture_find(const char *name, const mo_family **family, const mo_architecture **architecture) {
  for (int i = 0; i < FAMILY_COUNT; i++) {
    for (int32_t k = 0; k < families[i]->architecture_count; k++) {
      if (strcmp(families[i]->architectures[k].name, name) != 0) continue;
      *family = families[i];
      *architecture = &families[i]->architectures[k];
      return MO_STATUS_OK;
    }
  }
  /* One sentence holds 511 bytes, so the list names each family once: "Bert: Model, ForMaskedLM, ...". */
  char known[400] = "";
  size_t used = 0;
  for (int i = 0; i < FAMILY_COUNT; i++) {
    const mo_architecture *all = families[i]->architectures;
    const size_t stem = strlen(all[0].name) - strlen("Model");
    for (int32_t k = 0; k < families[i]->architecture_count && used < sizeof known; k++) {
      const char *suffix = all[k].name + stem;
      const int length =
          k == 0 ? snprintf(known + used, sizeof known - used, "%s%.*s{Model", i == 0 ? "" : " ", (int)stem, all[0].name)
                 : snprintf(known + used, sizeof known - used, "|%s", strncmp(suffix, "For", 3) == 0 ? suffix + 3 : suffix);
      used += length > 0 ? (size_t)length : 0;
    }
    if (used < sizeof known) used += (size_t)snprintf(known + used, sizeof known - used, "}");
  }
  return mo_fail(MO_STATUS_UNSUPPORTED, "model load: unknown architecture %.64s; known (For left out): %s", name, known);
}

mo_status_t mo_architecture_class(const mo_architecture *architecture, mo_framework_t framework,
                                  const mo_class **output_class) {
  const char *name = architecture->output_class[framework - MO_FRAMEWORK_PT];
  *output_class = mo_class_find(name);
  if (*output_class == NULL) *output_class = mo_model_class_find(name);
  MO_CHECK(*output_class != NULL, MO_STATUS_INTERNAL, "model load: %s names the output class %s, which does not exist",
           architecture->name, name);
  return MO_STATUS_OK;
}

mo_status_t mo_encoder_config_read(const mo_config_t *config, const mo_encoder_keys *keys, mo_encoder_config *encoder) {
  const mo_encoder_config *defaults = &keys->defaults;
  const char *activation, *position_type;
  bool is_decoder, cross_attention;
  double epsilon;
  *encoder = *defaults;
  MO_TRY(mo_config_integer(config, "vocab_size", 1, INT32_MAX, defaults->vocab_size, &encoder->vocab_size));
  MO_TRY(mo_config_integer(config, keys->hidden_size, 1, INT32_MAX, defaults->hidden_size, &encoder->hidden_size));
  MO_TRY(mo_config_integer(config, keys->layer_count, 0, 1 << 16, defaults->layer_count, &encoder->layer_count));
  MO_TRY(mo_config_integer(config, keys->head_count, 1, INT32_MAX, defaults->head_count, &encoder->head_count));
  MO_TRY(mo_config_integer(config, keys->intermediate_size, 1, INT32_MAX, defaults->intermediate_size,
                           &encoder->intermediate_size));
  MO_TRY(
      mo_config_integer(config, "max_position_embeddings", 1, INT32_MAX, defaults->position_count, &encoder->position_count));
  if (defaults->type_count > 0)
    MO_TRY(mo_config_integer(config, "type_vocab_size", 1, INT32_MAX, defaults->type_count, &encoder->type_count));
  if (defaults->positions_skip_padding)
    MO_TRY(mo_config_integer(config, "pad_token_id", 0, INT32_MAX, defaults->padding_id, &encoder->padding_id));
  encoder->embedding_size = encoder->hidden_size;
  if (defaults->embedding_size > 0)
    MO_TRY(mo_config_integer(config, "embedding_size", 1, INT32_MAX, defaults->embedding_size, &encoder->embedding_size));
  if (keys->has_epsilon) {
    MO_TRY(mo_config_float(config, "layer_norm_eps", 0.0, 1.0, (double)defaults->epsilon, &epsilon));
    encoder->epsilon = (float)epsilon;
  }
  encoder->layer_group_count = encoder->layer_count;

  MO_TRY(mo_config_string(config, keys->activation, keys->default_activation, &activation));
  MO_TRY(mo_activation_from_name(activation, &encoder->activation));
  MO_TRY(mo_config_string(config, "position_embedding_type", "absolute", &position_type));
  MO_CHECK(strcmp(position_type, "absolute") == 0, MO_STATUS_UNSUPPORTED,
           "model load: position_embedding_type %s, only absolute is supported", position_type);
  MO_TRY(mo_config_bool(config, "is_decoder", false, &is_decoder));
  MO_TRY(mo_config_bool(config, "add_cross_attention", false, &cross_attention));
  MO_CHECK(!is_decoder && !cross_attention, MO_STATUS_UNSUPPORTED,
           "model load: %s is true, decoders need key/value caches, which models of this family do not run with",
           is_decoder ? "is_decoder" : "add_cross_attention");
  MO_CHECK(encoder->hidden_size % encoder->head_count == 0, MO_STATUS_BAD_FILE,
           "model load: hidden size %" PRId64 " is not a multiple of %" PRId64 " attention heads", encoder->hidden_size,
           encoder->head_count);
  return MO_STATUS_OK;
}
