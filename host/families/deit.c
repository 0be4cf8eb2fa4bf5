/* host/families/deit.c - DeiT: ViT with a distillation token behind the class token.
 *
 * Names and defaults: transformers/models/deit/{modeling,configuration}_deit.py.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/vit_names.h"

static const mo_patch_names patch_names = {.projection = "embeddings.patch_embeddings.projection",
                                           .class_token = "embeddings.cls_token",
                                           .distillation_token = "embeddings.distillation_token",
                                           .mask_token = "embeddings.mask_token",
                                           .positions = "embeddings.position_embeddings"};

static const mo_architecture architectures[] = {
    {.name = "DeiTModel",
     .head = &mo_base_head,
     .output_class = MO_CLASS_IN_EACH_FRAMEWORK("BaseModelOutputWithPooling"),
     .summary = {.dense = "pooler.dense", .activation = MO_ACTIVATION_TANH, .may_be_absent = true}},
    {.name = "DeiTForImageClassification",
     .head = &mo_sequence_classification_head,
     .output_class = {"ImageClassifierOutput", "TFImageClassifierOutput", "FlaxSequenceClassifierOutput"},
     .classifier = "classifier"},
};

static const mo_patch_rules rules = {.names = &mo_vit_names, .patch_names = &patch_names, .configure = mo_vit_configure};

const mo_family mo_deit_family = {.name = "deit",
                                  .base_prefix = "deit",
                                  .base = &mo_patch_base,
                                  .rules = &rules,
                                  .architectures = architectures,
                                  .architecture_count = sizeof architectures / sizeof architectures[0]};
