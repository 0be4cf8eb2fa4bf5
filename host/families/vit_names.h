/* host/families/vit_names.h - what ViT began and DeiT kept.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_VIT_NAMES_H
#define MO_FAMILIES_VIT_NAMES_H

#include "host/families/conventions.h"
#include "host/families/registry.h"
#include "host/families/vision_keys.h"
#include "host/images/patch_model.h"

extern const mo_transformer_names mo_vit_names;
mo_status_t mo_vit_configure(const mo_config_t *config, mo_transformer_config *stack, mo_patch_config *patches);

#endif
