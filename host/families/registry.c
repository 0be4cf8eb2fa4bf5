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

/* "ForMaskedLM" of "BertForMaskedLM". Every family's first architecture is its base model, "...Model". */
static const char *suffix_of(const mo_family *family, int32_t index) {
  return family->architectures[index].name + strlen(family->architectures[0].name) - strlen("Model");
}

/* Bit i: family i has an architecture with this suffix. */
static unsigned families_with(const char *suffix) {
  unsigned mask = 0;
  for (int i = 0; i < FAMILY_COUNT; i++)
    for (int32_t k = 0; k < families[i]->architecture_count; k++)
      if (strcmp(suffix_of(families[i], k), suffix) == 0) mask |= 1u << i;
  return mask;
}

/* Adds to a text of bounded size; what does not fit is cut. */
static void add(char *text, size_t text_bytes, const char *separator, const char *word, size_t word_bytes) {
  const size_t used = strlen(text);
  (void)snprintf(text + used, text_bytes - used, "%s%.*s", separator, (int)word_bytes, word);
}

/* An error sentence cannot hold every name, so suffixes that the same families have stand together:
 * "(Bert|Albert)(Model|ForMaskedLM), (Bert)(ForNextSentencePrediction)". */
static void list_known(char *text, size_t text_bytes) {
  unsigned listed[64];
  size_t group_count = 0;
  text[0] = '\0';
  for (int i = 0; i < FAMILY_COUNT; i++) {
    for (int32_t k = 0; k < families[i]->architecture_count; k++) {
      const unsigned mask = families_with(suffix_of(families[i], k));
      bool seen = false;
      for (size_t g = 0; g < group_count; g++) seen |= listed[g] == mask;
      if (seen || group_count == sizeof listed / sizeof listed[0]) continue;
      const char *separator = group_count == 0 ? "(" : ", (";
      listed[group_count++] = mask;
      for (int f = 0; f < FAMILY_COUNT; f++) {
        if ((mask >> f & 1u) == 0) continue;
        const char *base = families[f]->architectures[0].name;
        add(text, text_bytes, separator, base, strlen(base) - strlen("Model"));
        separator = "|";
      }
      separator = ")(";
      for (int32_t s = 0; s < families[i]->architecture_count; s++) {
        const char *suffix = suffix_of(families[i], s);
        if (families_with(suffix) != mask) continue;
        add(text, text_bytes, separator, suffix, strlen(suffix));
        separator = "|";
      }
      add(text, text_bytes, "", ")", 1);
    }
  }
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

mo_status_t mo_architecture_unknown(const char *name) {
  char known[900];
  list_known(known, sizeof known);
  return mo_fail(MO_STATUS_UNSUPPORTED, "model load: unknown architecture %.64s; known are %s", mo_name_show(name).text, known);
}

const mo_family *mo_family_find(const char *model_type) {
  for (int i = 0; i < FAMILY_COUNT; i++)
    if (strcmp(families[i]->name, model_type) == 0) return families[i];
  return NULL;
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
