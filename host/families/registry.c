/* host/families/registry.c - every architecture this build knows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/core/text_file.h"
#include "host/heads/heads.h"
#include "modelout/model.h"

static const mo_family *const families[] = {
    &mo_bert_family,        &mo_distilbert_family,   &mo_roberta_family,     &mo_electra_family,    &mo_albert_family,
    &mo_gpt2_family,        &mo_gpt_neox_family,     &mo_llama_family,       &mo_mistral_family,    &mo_opt_family,
    &mo_qwen2_family,       &mo_bart_family,         &mo_t5_family,          &mo_qwen3_family,      &mo_phi3_family,
    &mo_xlm_roberta_family, &mo_clip_text_family,    &mo_clip_vision_family, &mo_vit_family,        &mo_deit_family,
    &mo_resnet_family,      &mo_altclip_text_family, &mo_gemma2_family,      &mo_gemma3_text_family};
enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

const char *mo_model_known_architecture(int32_t index) {
  if (index < 0) return NULL;
  for (int i = 0; i < FAMILY_COUNT; i++) {
    if (index < families[i]->architecture_count) return families[i]->architectures[index].name;
    index -= families[i]->architecture_count;
  }
  return NULL;
}

const mo_architecture *mo_architecture_look_up(const char *name, const mo_family **family) {
  static const char *const frameworks[] = {"", "TF", "Flax"};
  for (size_t f = 0; f < sizeof frameworks / sizeof frameworks[0]; f++) {
    const size_t prefix = strlen(frameworks[f]);
    if (strncmp(name, frameworks[f], prefix) != 0) continue;
    for (int i = 0; i < FAMILY_COUNT; i++) {
      for (int32_t k = 0; k < families[i]->architecture_count; k++) {
        if (strcmp(families[i]->architectures[k].name, name + prefix) != 0) continue;
        *family = families[i];
        return &families[i]->architectures[k];
      }
    }
  }
  return NULL;
}

/* Adds to a text of bounded size; what does not fit is cut. */
static void add(char *text, size_t text_bytes, const char *separator, const char *word) {
  const size_t used = strlen(text);
  (void)snprintf(text + used, text_bytes - used, "%s%s", separator, word);
}

/* The family whose base model, "...Model", begins like `name`; the longest such beginning. */
static const mo_family *family_alike(const char *name) {
  const mo_family *found = NULL;
  size_t longest = 0;
  for (int i = 0; i < FAMILY_COUNT; i++) {
    const char *base = families[i]->architectures[0].name;
    const size_t length = strlen(base) - strlen("Model");
    if (length <= longest || strncmp(name, base, length) != 0) continue;
    found = families[i];
    longest = length;
  }
  return found;
}

mo_status_t mo_architecture_unknown(const char *name) {
  const mo_family *family = family_alike(name);
  char known[900] = "";
  if (family != NULL) {
    for (int32_t k = 0; k < family->architecture_count; k++)
      add(known, sizeof known, k == 0 ? "" : ", ", family->architectures[k].name);
    return mo_fail(MO_STATUS_UNSUPPORTED, "model load: unknown architecture %.64s; known of %s are %s", mo_name_show(name).text,
                   family->name, known);
  }
  for (int i = 0; i < FAMILY_COUNT; i++) add(known, sizeof known, i == 0 ? "" : ", ", families[i]->name);
  return mo_fail(MO_STATUS_UNSUPPORTED, "model load: unknown architecture %.64s; known are architectures of %s",
                 mo_name_show(name).text, known);
}

const mo_family *mo_family_find(const char *model_type) {
  for (int i = 0; i < FAMILY_COUNT; i++)
    if (strcmp(families[i]->name, model_type) == 0) return families[i];
  return NULL;
}

/* "ForMaskedLM" of "BertForMaskedLM": what stands behind the beginning that it shares with the family's base model, which is
 * the first architecture and ends with "Model". */
static const char *suffix_of(const mo_family *family, int32_t index) {
  const char *name = family->architectures[index].name, *base = family->architectures[0].name;
  size_t shared = 0;
  while (shared + strlen("Model") < strlen(base) && name[shared] == base[shared]) shared++;
  return name + shared;
}

static bool ends_with(const char *name, const char *ending) {
  const size_t length = strlen(name), ending_length = strlen(ending);
  return length >= ending_length && strcmp(name + length - ending_length, ending) == 0;
}

const mo_architecture *mo_architecture_by_ending(const mo_family *family, const char *name, bool causal) {
  /* Names that language models have had. */
  static const char *const language_models[] = {"LMHeadModel", "ForCausalLM", "ForConditionalGeneration", "ForMaskedLM",
                                                "WithLMHead"};
  for (int32_t k = 1; k < family->architecture_count; k++)
    if (ends_with(name, suffix_of(family, k))) return &family->architectures[k];
  for (size_t i = 0; i < sizeof language_models / sizeof language_models[0]; i++)
    if (ends_with(name, language_models[i])) return mo_architecture_language_model(family, causal);
  return NULL;
}

const mo_architecture *mo_architecture_language_model(const mo_family *family, bool causal) {
  const mo_architecture *found = NULL;
  for (int32_t k = 0; k < family->architecture_count; k++) {
    const mo_head_kind *head = family->architectures[k].head;
    if (head != &mo_masked_lm_head && head != &mo_causal_lm_head) continue;
    if (found == NULL || (causal && head == &mo_causal_lm_head)) found = &family->architectures[k];
  }
  return found;
}

mo_status_t mo_architecture_part(const mo_family *family, const char *sub_module, mo_architecture *architecture) {
  const bool encoder = strcmp(sub_module, "encoder") == 0;
  MO_CHECK(encoder || strcmp(sub_module, "decoder") == 0, MO_STATUS_INVALID_ARGUMENT,
           "model load: sub_module %.64s, the parts of a model are encoder and decoder", sub_module);
  MO_CHECK((encoder ? family->encoder_class : family->decoder_class)[0] != NULL && architecture->part == MO_PART_ALL,
           MO_STATUS_INVALID_ARGUMENT, "model load: sub_module %s, but %s has no such part", sub_module, architecture->name);
  const char *const *classes = encoder ? family->encoder_class : family->decoder_class;
  *architecture = (mo_architecture){.name = architecture->name,
                                    .part = encoder ? MO_PART_ENCODER : MO_PART_DECODER,
                                    .head = &mo_base_head,
                                    .output_class = {classes[0], classes[1], classes[2]},
                                    .base_prefix = architecture->base_prefix};
  return MO_STATUS_OK;
}
