/* host/families/vision_keys.c - sizes of pictures and of their patches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/families/vision_keys.h"

#include <inttypes.h>

#define MOST_PIXELS (1 << 16)

mo_status_t mo_vision_read_pair(const mo_config_t *config, const char *key, int64_t fallback, int64_t *height, int64_t *width) {
  int64_t values[2], count;
  MO_TRY(mo_config_integers(config, key, values, 2, &count));
  *height = count > 0 ? values[0] : fallback;
  *width = count > 1 ? values[1] : *height;
  MO_CHECK(*height >= 1 && *width >= 1 && *height <= MOST_PIXELS && *width <= MOST_PIXELS, MO_STATUS_BAD_FILE,
           "model load: %s is %s, it must be one or two numbers in 1..%d", key, mo_config_show(config, key).text, MOST_PIXELS);
  return MO_STATUS_OK;
}

mo_status_t mo_vision_read_patches(const mo_config_t *config, int64_t image_size, int64_t patch_size,
                                   mo_patch_config *patches) {
  MO_TRY(mo_config_integer(config, "num_channels", 1, 4096, 3, &patches->channels));
  MO_TRY(mo_vision_read_pair(config, "image_size", image_size, &patches->height, &patches->width));
  MO_TRY(mo_vision_read_pair(config, "patch_size", patch_size, &patches->patch_height, &patches->patch_width));
  MO_CHECK(patches->patch_height <= patches->height && patches->patch_width <= patches->width, MO_STATUS_BAD_FILE,
           "model load: patches of %" PRId64 " x %" PRId64 " pixels are larger than pictures of %" PRId64 " x %" PRId64,
           patches->patch_height, patches->patch_width, patches->height, patches->width);
  return MO_STATUS_OK;
}
