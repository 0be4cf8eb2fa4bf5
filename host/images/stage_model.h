/* host/images/stage_model.h - the base model of families that see pictures in stages: a stem, and stages each of which makes
 * the feature map smaller and deeper (ResNet).
 *
 * Feature maps lie with their channels innermost, whatever the output shows: tensors (batch, channels, height, width) whose
 * strides say so.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_IMAGES_STAGE_MODEL_H
#define MO_IMAGES_STAGE_MODEL_H

#include "host/call/model.h"
#include "host/core/arena.h"
#include "host/core/tensor_view.h"

#define MO_MOST_STAGES 15

/* A feature map's extents. */
typedef struct mo_map_extents {
  int64_t channels, height, width;
} mo_map_extents;

typedef struct mo_stage_config {
  int64_t picture_channels;
  int64_t stage_count;                  /* without the stem */
  int64_t channels[MO_MOST_STAGES + 1]; /* of the stem's map, of each stage's */
  int64_t selected[MO_MOST_STAGES + 1]; /* backbones: which maps are shown, in order */
  int32_t selected_count;
} mo_stage_config;

typedef struct mo_stage_model {
  mo_stage_config config;
  void *state; /* the family's own: mo_stage_rules.state_bytes of them, zeroed */
} mo_stage_model;

/* One run, as a family's functions see it. */
typedef struct mo_stage_run {
  mo_context_t *context;
  const mo_stage_model *model;
  void *scratch; /* of the largest mo_stage_rules.scratch */
} mo_stage_run;

/* What a family says of itself: mo_family.rules where mo_family.base is mo_stage_base. Stage 0 is the stem: of a picture. */
typedef struct mo_stage_rules {
  size_t state_bytes;
  mo_status_t (*configure)(const mo_config_t *config, mo_stage_model *model);
  mo_status_t (*load)(mo_stage_model *model, mo_loader *loader);
  void (*release)(mo_stage_model *model);
  /* What a stage makes of a map; INVALID_ARGUMENT: nothing, the picture is too small. */
  mo_status_t (*extents)(const mo_stage_model *model, int64_t stage, const mo_map_extents *input, mo_map_extents *output);
  /* Elements of scratch memory for a batch. */
  int64_t (*scratch)(const mo_stage_model *model, int64_t stage, int64_t batch, const mo_map_extents *input);
  mo_status_t (*run)(const mo_stage_run *run, int64_t stage, const mo_tensor *output, const mo_tensor *input);
} mo_stage_rules;

/* For the initialisers of families: .base = &mo_stage_base, .rules = &rules. */
extern const mo_base_model mo_stage_base;

static inline mo_stage_model *mo_stage_model_of(const mo_model_t *model) { return model->base; }

/* out_features, or out_indices, of a backbone: "stem" and "stage1" to "stageN"; without both the last one. */
mo_status_t mo_stage_read_selection(const mo_config_t *config, mo_stage_config *stages);

/* A feature map in memory. */
static inline mo_tensor mo_feature_map(const mo_context_t *context, void *data, mo_dtype_t dtype, int64_t batch,
                                       const mo_map_extents *extents) {
  const int64_t shape[4] = {batch, extents->height, extents->width, extents->channels};
  const mo_tensor last = mo_device_tensor(context, data, dtype, 4, shape);
  mo_tensor map = last;
  map.shape[1] = last.shape[3], map.strides[1] = last.strides[3];
  for (int i = 2; i < 4; i++) map.shape[i] = last.shape[i - 1], map.strides[i] = last.strides[i - 1];
  return map;
}

#endif
