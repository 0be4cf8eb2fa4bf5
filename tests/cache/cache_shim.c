/* tests/cache/cache_shim.c - see the header.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "cache_shim.h"

#include "modelout/cache.h"

mo_status_t shim_use_cache(mo_context_t *context) {
  static const float host[2 * 3 * 8];
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  options.kind = MO_CACHE_DYNAMIC;
  mo_cache_t *cache = NULL;
  mo_field *field = NULL;
  mo_cache_entry entry = {.length = 0};
  mo_tensor tokens;
  void *memory = NULL;
  mo_status_t status = mo_cache_create(context, &options, &cache);
  if (status == MO_STATUS_OK) status = mo_context_allocate(context, sizeof host, &memory);
  if (status == MO_STATUS_OK) status = mo_context_copy_to_device(context, memory, host, sizeof host);
  if (status == MO_STATUS_OK)
    status = mo_tensor_init(&tokens, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 4, (int64_t[]){2, 3, 1, 8});
  for (int step = 0; step < 3 && status == MO_STATUS_OK; step++) {
    for (int64_t layer = 0; layer < 2 && status == MO_STATUS_OK; layer++)
      status = mo_cache_update(cache, layer, &tokens, &tokens, NULL, NULL, &entry);
  }
  if (status == MO_STATUS_OK && (mo_cache_length(cache, 1) != 3 || entry.length != 3 || entry.view.key->shape[0] != 2))
    status = MO_STATUS_INTERNAL;
  if (status == MO_STATUS_OK) status = mo_cache_field(cache, MO_FRAMEWORK_PT, &field);
  if (status == MO_STATUS_OK && mo_field_cache(field) != cache) status = MO_STATUS_INTERNAL;
  mo_field_release(field);
  mo_context_release(context, memory);
  mo_cache_release(cache);
  return status;
}
