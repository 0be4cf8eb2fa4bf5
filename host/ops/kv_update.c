/* host/ops/kv_update.c - front doors of the cache update and the cache gather.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/kv_update.h"

#include <inttypes.h>
#include <stddef.h>

#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/kv_view.h"

#define UPDATE "cache update"
#define GATHER "cache gather"

/* ---- Update ---- */

/* What callers compiled before cumulative lengths were added pass. */
#define FIRST_STRUCT_SIZE offsetof(mo_kv_update_params, cumulative_lengths)

static mo_status_t check_layer(const mo_context_t *context, const mo_kv_update_layer *layer, bool packed, mo_kv_shape *shape) {
  const mo_tensor *key = layer->key, *value = layer->value;
  MO_TRY(mo_check_kv_view(UPDATE, context, &layer->cache, shape));
  const uint32_t dtypes = shape->quantised ? MO_DTYPES_FLOAT : MO_DTYPE_BIT(shape->dtype);
  MO_TRY(mo_check_tensor(UPDATE, "key", context, key, dtypes, 4, 4));
  MO_TRY(mo_check_last_stride(UPDATE, "key", key));
  MO_TRY(mo_check_tensor(UPDATE, "value", context, value, MO_DTYPE_BIT(key->dtype), 4, 4));
  MO_TRY(mo_check_last_stride(UPDATE, "value", value));
  const int64_t batch = packed ? 1 : shape->batch;
  MO_TRY(mo_check_shape(UPDATE, "key", key, 4, (const int64_t[]){batch, shape->heads, key->shape[2], shape->key_size}));
  MO_TRY(mo_check_shape(UPDATE, "value", value, 4, (const int64_t[]){batch, shape->heads, key->shape[2], shape->value_size}));
  MO_TRY(mo_check_kv_written(UPDATE, &layer->cache, "key", key));
  return mo_check_kv_written(UPDATE, &layer->cache, "value", value);
}

/* All layers are of the first one's kind. */
static mo_status_t check_alike(const mo_kv_update_params *params, int32_t index) {
  const mo_kv_update_layer *first = &params->layers[0], *layer = &params->layers[index];
  const mo_tensor *const pairs[][2] = {{first->key, layer->key},
                                       {first->value, layer->value},
                                       {first->cache.key, layer->cache.key},
                                       {first->cache.value, layer->cache.value},
                                       {first->cache.key_scale, layer->cache.key_scale},
                                       {first->cache.value_scale, layer->cache.value_scale},
                                       {first->cache.block_table, layer->cache.block_table}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    const mo_tensor *a = pairs[i][0], *b = pairs[i][1];
    MO_CHECK((a == NULL) == (b == NULL), MO_STATUS_INVALID_ARGUMENT, UPDATE ": layer %d is stored in another way than layer 0",
             (int)index);
    if (a == NULL) continue;
    MO_CHECK(a->dtype == b->dtype, MO_STATUS_INVALID_ARGUMENT, UPDATE ": layer %d has %s where layer 0 has %s", (int)index,
             mo_dtype_name(b->dtype), mo_dtype_name(a->dtype));
    MO_TRY(mo_check_shape(UPDATE, "a tensor of a later layer", b, a->rank, a->shape));
  }
  return MO_STATUS_OK;
}

/* ---- No layer's cache reaches into what another one writes or reads ---- */

#define LAYERS_AT_ONCE 64
#define TENSORS_OF_A_LAYER 7

typedef struct layer_range {
  uintptr_t begin, end;
  int32_t layer, which; /* as layer_tensor counts; the first four are written */
} layer_range;

static const mo_tensor *layer_tensor(const mo_kv_update_layer *layer, int32_t which) {
  return which < 5 ? mo_kv_view_tensor(&layer->cache, which) : which == 5 ? layer->key : layer->value;
}

static const char *layer_tensor_name(int32_t which) {
  return which < 5 ? mo_kv_view_names[which] : which == 5 ? "key" : "value";
}

/* Makes ranges[first] the last to begin of those below it in the heap ranges[0..count). */
static void sift_down(layer_range *ranges, int32_t first, int32_t count) {
  const layer_range moving = ranges[first];
  for (int32_t child; (child = 2 * first + 1) < count; first = child) {
    if (child + 1 < count && ranges[child + 1].begin > ranges[child].begin) ++child;
    if (ranges[child].begin <= moving.begin) break;
    ranges[first] = ranges[child];
  }
  ranges[first] = moving;
}

/* In place and without memory of its own, which qsort does not promise. */
static void sort_by_begin(layer_range *ranges, int32_t count) {
  for (int32_t i = count / 2 - 1; i >= 0; --i) sift_down(ranges, i, count);
  for (int32_t last = count - 1; last > 0; --last) {
    const layer_range top = ranges[0];
    ranges[0] = ranges[last];
    ranges[last] = top;
    sift_down(ranges, 0, last);
  }
}

static mo_status_t check_pair(const mo_kv_update_layer *layers, const layer_range *a, const layer_range *b) {
  const layer_range *written = a->which < 4 ? a : b, *other = a->which < 4 ? b : a;
  if (a->layer == b->layer || written->which >= 4) return MO_STATUS_OK;
  return mo_check_no_overlap(UPDATE, layer_tensor_name(written->which), layer_tensor(&layers[written->layer], written->which),
                             layer_tensor_name(other->which), layer_tensor(&layers[other->layer], other->which), false);
}

static int32_t add_ranges(const mo_kv_update_params *params, int32_t first, layer_range *ranges) {
  int32_t count = 0;
  for (int32_t i = first; i < params->layer_count && i < first + LAYERS_AT_ONCE; ++i) {
    for (int32_t which = 0; which < TENSORS_OF_A_LAYER; ++which) {
      const mo_tensor *tensor = layer_tensor(&params->layers[i], which);
      if (tensor == NULL || mo_tensor_count(tensor) == 0) continue;
      layer_range *range = &ranges[count++];
      *range = (layer_range){.layer = i, .which = which};
      mo_tensor_byte_range(tensor, &range->begin, &range->end);
    }
  }
  return count;
}

/* Only ranges that meet are looked at closer: comparing every tensor with every other of a deep model would take longer than
 * the update. */
static mo_status_t check_apart(const mo_kv_update_params *params) {
  layer_range ranges[2 * LAYERS_AT_ONCE * TENSORS_OF_A_LAYER];
  for (int32_t first = 0; first < params->layer_count; first += LAYERS_AT_ONCE) {
    for (int32_t second = first; second < params->layer_count; second += LAYERS_AT_ONCE) {
      int32_t count = add_ranges(params, first, ranges);
      if (second != first) count += add_ranges(params, second, ranges + count);
      sort_by_begin(ranges, count);
      for (int32_t i = 0; i < count; ++i) {
        for (int32_t j = i + 1; j < count && ranges[j].begin < ranges[i].end; ++j)
          MO_TRY(check_pair(params->layers, &ranges[i], &ranges[j]));
      }
    }
  }
  return MO_STATUS_OK;
}

/* ---- The rest ---- */

static mo_status_t check_rotary(const mo_context_t *context, const mo_kv_update_params *params, const mo_kv_shape *shape) {
  const mo_rotary *rotary = params->rotary;
  const mo_tensor *ids = params->position_ids;
  const int64_t length = params->layers[0].key->shape[2];
  MO_TRY(mo_check_rotary(UPDATE, context, rotary, shape->key_size));
  if (ids != NULL) {
    MO_TRY(mo_check_tensor(UPDATE, "position_ids", context, ids, MO_DTYPES_INDEX, 2, 2));
    const bool shared = ids->shape[0] == 1 || params->cumulative_lengths != NULL;
    return mo_check_shape(UPDATE, "position_ids", ids, 2, (const int64_t[]){shared ? 1 : shape->batch, length});
  }
  MO_CHECK(params->offsets != NULL || params->cumulative_lengths != NULL || length == 0 ||
               params->offset + length <= rotary->cosine->shape[0],
           MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": %" PRId64 " tokens from slot %" PRId64 " on, the tables have %" PRId64 " positions", length,
           params->offset, rotary->cosine->shape[0]);
  return MO_STATUS_OK;
}

/* One int32 per row. */
static mo_status_t check_per_row(const mo_context_t *context, const char *name, const mo_tensor *tensor, int64_t batch) {
  if (tensor == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_tensor(UPDATE, name, context, tensor, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, 1));
  return mo_check_shape(UPDATE, name, tensor, 1, &batch);
}

static mo_status_t check_packing(const mo_context_t *context, const mo_kv_update_params *params, int64_t batch) {
  const mo_tensor *lengths = params->cumulative_lengths;
  if (lengths == NULL) return MO_STATUS_OK;
  MO_TRY(check_per_row(context, "cumulative_lengths", lengths, batch + 1));
  MO_TRY(mo_check_last_stride(UPDATE, "cumulative_lengths", lengths));
  MO_CHECK(params->counts == NULL, MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": counts was given along with cumulative_lengths, which say the same");
  MO_CHECK(params->layers[0].key->shape[2] <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": %" PRId64 " packed tokens, past what cumulative_lengths can say", params->layers[0].key->shape[2]);
  return MO_STATUS_OK;
}

static mo_status_t kv_update(mo_context_t *context, const mo_kv_update_params *given) {
  mo_kv_shape shape;
  mo_kv_update_params taken = MO_KV_UPDATE_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(UPDATE, context, MO_KV_UPDATE_PARAMS_INIT, given, FIRST_STRUCT_SIZE, &taken));
  const mo_kv_update_params *params = &taken;
  MO_CHECK(params->layer_count >= 0 && (params->layers != NULL || params->layer_count == 0), MO_STATUS_INVALID_ARGUMENT,
           UPDATE ": %d layers, or no list of them", (int)params->layer_count);
  if (params->layer_count == 0) return MO_STATUS_OK;
  for (int32_t i = 0; i < params->layer_count; i++) {
    MO_TRY(check_layer(context, &params->layers[i], params->cumulative_lengths != NULL, &shape));
    MO_TRY(check_alike(params, i));
  }
  MO_TRY(check_apart(params));
  const int64_t length = params->layers[0].key->shape[2];
  MO_TRY(check_per_row(context, "offsets", params->offsets, shape.batch));
  MO_TRY(check_per_row(context, "counts", params->counts, shape.batch));
  MO_TRY(check_packing(context, params, shape.batch));
  MO_CHECK(params->offsets != NULL ||
               (params->offset >= 0 && params->offset <= shape.capacity &&
                (length <= shape.capacity - params->offset || params->counts != NULL || params->cumulative_lengths != NULL)),
           MO_STATUS_INVALID_ARGUMENT, UPDATE ": %" PRId64 " tokens from slot %" PRId64 " on, the cache has %" PRId64 " slots",
           length, params->offset, shape.capacity);
  if (params->rotary != NULL) MO_TRY(check_rotary(context, params, &shape));
  if (mo_is_empty(params->layers[0].key) && mo_is_empty(params->layers[0].value)) return MO_STATUS_OK; /* nor any other's */
  const mo_backend *backend = mo_context_backend(context);
  if (backend->kv_update == NULL) return mo_unsupported_op(UPDATE, context);
  return backend->kv_update(context, params);
}

mo_status_t mo_kv_update(mo_context_t *context, const mo_kv_update_params *params) {
  MO_RANGE(context, "mo_kv_update", params,
           params->layers != NULL && params->layer_count > 0 ? params->layers->cache.key : NULL,
           params->layers != NULL && params->layer_count > 0 ? params->layers->key : NULL);
  const mo_status_t status = kv_update(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}

/* ---- Gather ---- */

static mo_status_t kv_gather(mo_context_t *context, const mo_kv_gather_params *given) {
  mo_kv_shape from, to;
  mo_kv_gather_params taken = MO_KV_GATHER_PARAMS_INIT;
  MO_TRY(MO_TAKE_PARAMS(GATHER, context, MO_KV_GATHER_PARAMS_INIT, given, MO_SIZE_TO(mo_kv_gather_params, start), &taken));
  const mo_kv_gather_params *params = &taken;
  MO_TRY(mo_check_kv_view(GATHER, context, &params->source, &from));
  MO_TRY(mo_check_kv_view(GATHER, context, &params->destination, &to));
  MO_CHECK(params->destination.block_table == NULL, MO_STATUS_INVALID_ARGUMENT, GATHER ": the destination is paged");
  MO_CHECK(to.heads == from.heads && to.key_size == from.key_size && to.value_size == from.value_size,
           MO_STATUS_INVALID_ARGUMENT,
           GATHER ": %" PRId64 " heads of %" PRId64 " and %" PRId64 " elements from %" PRId64 " of %" PRId64 " and %" PRId64,
           to.heads, to.key_size, to.value_size, from.heads, from.key_size, from.value_size);
  MO_CHECK(to.dtype == from.dtype || (from.quantised && !to.quantised), MO_STATUS_INVALID_ARGUMENT,
           GATHER ": from %s to %s, it copies or dequantises", mo_dtype_name(from.dtype), mo_dtype_name(to.dtype));
  if (to.quantised) {
    MO_CHECK(params->source.key_scale->shape[3] == params->destination.key_scale->shape[3] &&
                 params->source.value_scale->shape[3] == params->destination.value_scale->shape[3],
             MO_STATUS_INVALID_ARGUMENT, GATHER ": source and destination differ in the number of groups");
  }
  for (int i = 0; i < 5; i++)
    MO_TRY(mo_check_kv_written(GATHER, &params->destination, mo_kv_view_names[i], mo_kv_view_tensor(&params->source, i)));
  MO_CHECK(params->start >= 0 && params->start <= from.capacity && to.capacity <= from.capacity - params->start,
           MO_STATUS_INVALID_ARGUMENT, GATHER ": %" PRId64 " tokens from %" PRId64 " on, the source has %" PRId64, to.capacity,
           params->start, from.capacity);
  if (params->rows != NULL) {
    MO_TRY(mo_check_tensor(GATHER, "rows", context, params->rows, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, 1));
    MO_TRY(mo_check_shape(GATHER, "rows", params->rows, 1, &to.batch));
    MO_TRY(mo_check_kv_written(GATHER, &params->destination, "rows", params->rows));
  } else {
    MO_CHECK(to.batch == from.batch, MO_STATUS_INVALID_ARGUMENT,
             GATHER ": %" PRId64 " rows from %" PRId64 " without a list of them", to.batch, from.batch);
  }
  if (mo_is_empty(params->destination.key) && mo_is_empty(params->destination.value)) return MO_STATUS_OK;
  const mo_backend *backend = mo_context_backend(context);
  if (backend->kv_gather == NULL) return mo_unsupported_op(GATHER, context);
  return backend->kv_gather(context, params);
}

mo_status_t mo_kv_gather(mo_context_t *context, const mo_kv_gather_params *params) {
  MO_RANGE(context, "mo_kv_gather", params, params->source.key, params->destination.key, params->rows);
  const mo_status_t status = kv_gather(context, params);
  return context == NULL ? status : mo_context_note(context, status);
}
