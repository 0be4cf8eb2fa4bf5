/* host/families/registry.h - the architectures this build knows, by name.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_REGISTRY_H
#define MO_FAMILIES_REGISTRY_H

#include "host/call/family.h"

/* Every family, one file each. */
extern const mo_family mo_bert_family;
extern const mo_family mo_distilbert_family;
extern const mo_family mo_roberta_family;
extern const mo_family mo_electra_family;
extern const mo_family mo_albert_family;
extern const mo_family mo_gpt2_family;
extern const mo_family mo_bart_family;
extern const mo_family mo_t5_family;
extern const mo_family mo_gpt_neox_family;
extern const mo_family mo_llama_family;
extern const mo_family mo_mistral_family;
extern const mo_family mo_opt_family;
extern const mo_family mo_qwen2_family;
extern const mo_family mo_qwen3_family;
extern const mo_family mo_phi3_family;
extern const mo_family mo_xlm_roberta_family;
extern const mo_family mo_clip_text_family;
extern const mo_family mo_clip_vision_family;
extern const mo_family mo_vit_family;
extern const mo_family mo_deit_family;
extern const mo_family mo_resnet_family;
extern const mo_family mo_altclip_text_family;
extern const mo_family mo_gemma2_family;
extern const mo_family mo_gemma3_text_family;

/* By the name, which may be that of a TensorFlow or Flax class ("TFBertModel"). NULL if there is none. */
const mo_architecture *mo_architecture_look_up(const char *name, const mo_family **family);

/* UNSUPPORTED, with the known ones: there is none of that name. */
mo_status_t mo_architecture_unknown(const char *name);

/* By config.json's model_type. NULL if there is none. */
const mo_family *mo_family_find(const char *model_type);

/* The family's architecture whose head an unknown name ends with ("LLaMAForCausalLM", "T5WithLMHeadModel"). NULL if no head is
 * recognised. */
const mo_architecture *mo_architecture_by_ending(const mo_family *family, const char *name, bool causal);

/* The one with logits of the vocabulary; where there are two, that of the next token if `causal`. */
const mo_architecture *mo_architecture_language_model(const mo_family *family, bool causal);

/* Makes an architecture's rules those of a part of it ("encoder", "decoder"). INVALID_ARGUMENT names what there is. */
mo_status_t mo_architecture_part(const mo_family *family, const char *sub_module, mo_architecture *architecture);

#endif
