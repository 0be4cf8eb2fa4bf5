/* host/families/vision_keys.h - what families of pictures share in reading config.json.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_VISION_KEYS_H
#define MO_FAMILIES_VISION_KEYS_H

#include "host/families/transformer_keys.h"
#include "host/nn/patches.h"

/* A number, or a list of two: height and width. */
mo_status_t mo_vision_read_pair(const mo_config_t *config, const char *key, int64_t fallback, int64_t *height, int64_t *width);

/* num_channels, image_size and patch_size, with the family's defaults. */
mo_status_t mo_vision_read_patches(const mo_config_t *config, int64_t image_size, int64_t patch_size, mo_patch_config *patches);

/* What no picture has. */
#define MO_VISION_RULES                                                                                                        \
  .embedding.vocab_size = 1, .embedding.position_count = 1, .embedding.positions = MO_POSITIONS_NONE,                          \
  .embedding.padding_id = MO_NO_TOKEN, .norm_placement = MO_NORM_PRE

#endif
