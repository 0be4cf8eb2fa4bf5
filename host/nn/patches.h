/* host/nn/patches.h - pictures as tokens: a dense layer over patches that do not overlap, behind them the class token and its
 * like, and positions for all.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_PATCHES_H
#define MO_NN_PATCHES_H

#include "host/core/arena.h"
#include "host/nn/dense.h"
#include "host/nn/norm.h"
#include "host/nn/pass.h"

typedef struct mo_patch_config {
  int64_t channels, height, width; /* of a picture */
  int64_t patch_height, patch_width;
  int64_t size; /* of a token */
  bool lacks_bias;
  bool masks;         /* patches may be replaced by a mask token */
  float norm_epsilon; /* of the norm behind the embeddings, where the names have one */
} mo_patch_config;

/* Whole names; NULL: none. */
typedef struct mo_patch_names {
  const char *projection; /* without ".weight" */
  const char *class_token, *distillation_token, *mask_token;
  bool class_token_is_vector; /* (C), not (1, 1, C) */
  bool mask_token_is_row;     /* (1, C), not (1, 1, C) */
  const char *positions;      /* (1, tokens, C), or */
  const char *position_table; /* (tokens, C) */
  const char *norm;           /* without ".weight" */
} mo_patch_names;

typedef struct mo_patches {
  mo_dense projection;
  mo_weight prefix;     /* (tokens in front, C), their positions added */
  mo_weight positions;  /* (patches, C) */
  mo_weight mask_token; /* (1, C); dtype NONE: none */
  mo_norm_weights norm; /* dtype NONE: none */
} mo_patches;

static inline int64_t mo_patch_rows(const mo_patch_config *config) { return config->height / config->patch_height; }
static inline int64_t mo_patch_columns(const mo_patch_config *config) { return config->width / config->patch_width; }
static inline int64_t mo_patch_count(const mo_patch_config *config) { return mo_patch_rows(config) * mo_patch_columns(config); }
/* Pixels of a patch, all channels. */
static inline int64_t mo_patch_pixels(const mo_patch_config *config) {
  return config->channels * config->patch_height * config->patch_width;
}
static inline int64_t mo_patch_prefix(const mo_patch_names *names) {
  return (names->class_token != NULL) + (names->distillation_token != NULL);
}

mo_status_t mo_patches_load(mo_patches *patches, mo_loader *loader, const mo_patch_names *names, const mo_patch_config *config);
void mo_patches_release(mo_patches *patches);

/* One run's: what is embedded, and memory. */
typedef struct mo_patch_run {
  const mo_patches *patches;
  const mo_patch_config *config;
  mo_tensor pixels; /* (B, channels, height, width), any strides */
  mo_tensor rows;   /* (B, patches) int64: each patch's own number among all, or B * patches for the mask token; dtype NONE: no
                       patch is masked */
  void *memory;     /* of mo_patches_carve */
} mo_patch_run;

void *mo_patches_carve(const mo_patch_config *config, mo_dtype_t dtype, int64_t batch, bool masked, mo_arena *arena);

/* All patches of a batch as rows of their pixels, (B * patches, channels * height * width of a patch), channel by channel. */
mo_status_t mo_patches_gather(mo_context_t *context, const mo_patch_config *config, const mo_tensor *pixels,
                              const mo_tensor *rows);

/* An mo_embedder's function; the state is an mo_patch_run. */
mo_status_t mo_patches_embed(const void *run, const mo_pass *pass, const mo_tensor *destination);

#endif
