/* host/images/patch_model.h - the base model of families that see pictures as patches: one transformer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_IMAGES_PATCH_MODEL_H
#define MO_IMAGES_PATCH_MODEL_H

#include "host/call/model.h"
#include "host/nn/patches.h"
#include "host/nn/transformer.h"

/* What a family says of itself: mo_family.rules where mo_family.base is mo_patch_base. */
typedef struct mo_patch_rules {
  const mo_transformer_names *names;
  const mo_patch_names *patch_names;
  mo_status_t (*configure)(const mo_config_t *config, mo_transformer_config *transformer, mo_patch_config *patches);
} mo_patch_rules;

typedef struct mo_patch_model {
  mo_transformer transformer;
  mo_patches patches;
  mo_patch_config config;
  int64_t prefix; /* tokens in front of the patches */
} mo_patch_model;

/* For the initialisers of families: .base = &mo_patch_base, .rules = &rules. */
extern const mo_base_model mo_patch_base;

static inline mo_patch_model *mo_patch_model_of(const mo_model_t *model) { return model->base; }

/* The placements of a call's pixels, and of bool_masked_pos as the patches' numbers; -1: not given. For heads. */
int32_t mo_patch_placed_pixels(const mo_call *call);

#endif
