/* host/output/plan.c - outputs of mo_output_create: one carving of host fields and device memory, first measured, then placed.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "host/core/arena.h"
#include "host/core/range.h"
#include "host/output/plan_internal.h"

#define DICT_KEY_BYTES 24 /* "65535.cached_value" and its end */

/* What has been handed out so far. While measuring, `arena.base` and `fields` are NULL and so is every field handed out. */
typedef struct field_carver {
  mo_arena arena; /* device memory */
  mo_field *fields;
  mo_field **items;
  const char **keys;
  char *key_text;
  int64_t field_count;
  int64_t item_count;
  int64_t key_count;
  mo_output_block *block;
  mo_device device;
} field_carver;

/* ---- Carving ---- */

static mo_field *take_field(field_carver *carver, mo_field_kind_t kind) {
  const int64_t index = carver->field_count++;
  if (carver->fields == NULL) return NULL;
  mo_field *field = &carver->fields[index];
  field->kind = kind;
  field->block = carver->block;
  field->context = carver->block->context;
  return field;
}

static mo_field *place_tensor(field_carver *carver, const mo_tensor *tensor, void *data) {
  mo_field *field = take_field(carver, MO_FIELD_TENSOR);
  if (field == NULL) return NULL;
  field->as.tensor.tensor = *tensor;
  field->as.tensor.tensor.data = data;
  field->as.tensor.tensor.device = carver->device;
  field->as.tensor.source = &carver->block->source;
  return field;
}

static mo_field *carve_tensor(field_carver *carver, const mo_tensor *tensor) {
  return place_tensor(carver, tensor, mo_arena_carve(&carver->arena, (size_t)mo_tensor_bytes(tensor)));
}

/* A tuple of `count` entries, all None; `keyed` makes it a dict. */
static mo_field *take_items(field_carver *carver, mo_field_kind_t kind, int64_t count) {
  mo_field *field = take_field(carver, kind);
  if (field != NULL) {
    field->as.items.count = count;
    field->as.items.items = carver->items + carver->item_count;
    if (kind == MO_FIELD_DICT) field->as.items.keys = carver->keys + carver->key_count;
  }
  carver->item_count += count;
  if (kind == MO_FIELD_DICT) carver->key_count += count;
  return field;
}

static inline void put_item(mo_field *field, int64_t index, mo_field *item) {
  if (field != NULL) field->as.items.items[index] = item;
}

/* An entry whose tensors the model states one by one. */
static mo_field *carve_items(field_carver *carver, const mo_plan *plan, const mo_field_plan *field,
                             const mo_entry_extents *entry) {
  mo_field *tuple = take_items(carver, MO_FIELD_TUPLE, entry->item_count);
  for (int32_t i = 0; i < entry->item_count; i++) {
    mo_tensor tensor;
    if (entry->items[i].rank < 0) continue;
    mo_plan_stated_tensor(plan, field, &entry->items[i], &tensor);
    put_item(tuple, i, carve_tensor(carver, &tensor));
  }
  return tuple;
}

static mo_field *carve_entry(field_carver *carver, const mo_plan *plan, const mo_field_plan *field, int64_t index) {
  const mo_entry_extents *stated = field->stated != NULL ? &field->stated->entries[index] : NULL;
  mo_tensor tensor;
  if (stated != NULL && stated->item_count > 0) return carve_items(carver, plan, field, stated);
  return mo_plan_entry(plan, field, index, &tensor) ? carve_tensor(carver, &tensor) : NULL;
}

static mo_field *carve_tuple(field_carver *carver, const mo_plan *plan, const mo_field_plan *field, mo_field *shared) {
  mo_field *tuple = take_items(carver, MO_FIELD_TUPLE, field->length);
  const int64_t count = field->selection != NULL ? field->selection->count : field->length;
  for (int64_t i = 0; i < count; i++) {
    int64_t index = field->selection != NULL ? field->selection->indices[i] : i;
    if (index < 0) index += field->length;
    const bool is_shared = field->shared_first >= 0 && index == field->length - 1;
    put_item(tuple, index, is_shared ? shared : carve_entry(carver, plan, field, index));
  }
  return tuple;
}

/* K and V of one layer: one device block of (2, batch, heads, length, head_dim). */
static void *carve_pair(field_carver *carver, const mo_tensor *tensor) {
  const size_t bytes = (size_t)mo_tensor_bytes(tensor);
  return mo_arena_carve(&carver->arena, bytes > SIZE_MAX / 2 ? SIZE_MAX : 2 * bytes);
}

static void *second_half(const mo_tensor *tensor, void *pair) {
  return pair == NULL ? NULL : (char *)pair + mo_tensor_bytes(tensor);
}

static mo_field *carve_layer_tuple(field_carver *carver, const mo_field_plan *plan) {
  mo_field *layer = take_items(carver, MO_FIELD_TUPLE, plan->tensors_per_layer);
  for (int32_t i = 0; i < plan->tensors_per_layer; i += 2) {
    const mo_tensor *tensor = i == 0 ? &plan->tensor : &plan->cross;
    void *pair = carve_pair(carver, tensor);
    put_item(layer, i, place_tensor(carver, tensor, pair));
    put_item(layer, i + 1, place_tensor(carver, tensor, second_half(tensor, pair)));
  }
  return layer;
}

/* TensorFlow: (2, batch, heads, length, head_dim). */
static mo_field *carve_layer_stack(field_carver *carver, const mo_field_plan *plan) {
  mo_tensor stacked = plan->tensor;
  stacked.rank = 5;
  memmove(stacked.shape + 1, plan->tensor.shape, 4 * sizeof stacked.shape[0]);
  memmove(stacked.strides + 1, plan->tensor.strides, 4 * sizeof stacked.strides[0]);
  stacked.shape[0] = 2;
  stacked.strides[0] = mo_tensor_count(&plan->tensor);
  return place_tensor(carver, &stacked, carve_pair(carver, &plan->tensor));
}

static void put_key(field_carver *carver, mo_field *dict, int64_t index, int64_t layer, const char *name) {
  if (dict == NULL) return;
  char *text = carver->key_text + (dict->as.items.keys - carver->keys + index) * DICT_KEY_BYTES;
  snprintf(text, DICT_KEY_BYTES, "%d.%s", (int)layer, name);
  dict->as.items.keys[index] = text;
}

/* Flax: views with the length before the heads, over the same kind of block. */
static mo_field *carve_dict(field_carver *carver, const mo_field_plan *plan) {
  mo_field *dict = take_items(carver, MO_FIELD_DICT, 2 * plan->length);
  mo_tensor view = plan->tensor;
  view.shape[1] = plan->tensor.shape[2], view.strides[1] = plan->tensor.strides[2];
  view.shape[2] = plan->tensor.shape[1], view.strides[2] = plan->tensor.strides[1];
  for (int64_t layer = 0; layer < plan->length; layer++) {
    void *pair = carve_pair(carver, &plan->tensor);
    put_key(carver, dict, 2 * layer, layer, "cached_key");
    put_item(dict, 2 * layer, place_tensor(carver, &view, pair));
    put_key(carver, dict, 2 * layer + 1, layer, "cached_value");
    put_item(dict, 2 * layer + 1, place_tensor(carver, &view, second_half(&plan->tensor, pair)));
  }
  return dict;
}

static mo_field *carve_cache(field_carver *carver, const mo_field_plan *plan, mo_class_field_kind_t kind) {
  if (kind == MO_CLASS_FIELD_TENSOR_DICT) return carve_dict(carver, plan);
  const bool is_cache = kind == MO_CLASS_FIELD_CACHE || kind == MO_CLASS_FIELD_ENCODER_DECODER_CACHE;
  mo_field *cache = take_items(carver, is_cache ? MO_FIELD_CACHE : MO_FIELD_TUPLE, plan->length);
  if (cache != NULL && is_cache) cache->tensors_per_layer = plan->tensors_per_layer;
  for (int64_t layer = 0; layer < plan->length; layer++) {
    put_item(cache, layer,
             kind == MO_CLASS_FIELD_TENSOR_LIST ? carve_layer_stack(carver, plan) : carve_layer_tuple(carver, plan));
  }
  return cache;
}

/* The one function that measures and carves: `made` receives the field of every class field, NULL for absent ones. */
static void carve_output(field_carver *carver, const mo_plan *plan, mo_field **made) {
  const mo_class *output_class = plan->output_class;
  for (int32_t i = 0; i < output_class->field_count; i++) {
    const mo_field_plan *field = &plan->fields[i];
    const mo_class_field_kind_t kind = output_class->fields[i].kind;
    made[i] = NULL;
    if (field->absence != MO_ABSENCE_PRESENT || field->is_given) continue;
    if (kind == MO_CLASS_FIELD_TENSOR) made[i] = carve_tensor(carver, &field->tensor);
    else if (kind != MO_CLASS_FIELD_TENSOR_TUPLE) made[i] = carve_cache(carver, field, kind);
    else made[i] = carve_tuple(carver, plan, field, field->shared_first >= 0 ? made[field->shared_first] : NULL);
  }
}

static mo_status_t measure(const mo_plan *plan, field_carver *carver) {
  mo_field *made[MO_PLAN_MAX_FIELDS];
  *carver = (field_carver){0};
  carve_output(carver, plan, made);
  MO_CHECK(carver->arena.used <= (size_t)INT64_MAX, MO_STATUS_INVALID_ARGUMENT, "output: %s would have more than 2^63 bytes",
           plan->output_class->name);
  return MO_STATUS_OK;
}

mo_status_t mo_output_query_bytes(const mo_class *output_class, const mo_dimensions *dimensions, const mo_request *request,
                                  size_t *bytes) {
  mo_plan plan;
  field_carver carver;
  MO_CHECK(bytes != NULL, MO_STATUS_INVALID_ARGUMENT, "output_query_bytes: the destination is NULL");
  MO_TRY(mo_plan_resolve(output_class, dimensions, request, &plan));
  MO_TRY(measure(&plan, &carver));
  *bytes = carver.arena.used;
  return MO_STATUS_OK;
}

/* ---- The block ---- */

/* One host allocation: the block, fields, items, dict keys and their text, in order of falling alignment. */
static mo_status_t allocate_block(mo_context_t *context, field_carver *carver) {
  const size_t fields_at = mo_align_up(sizeof(mo_output_block), _Alignof(mo_field));
  const size_t items_at = fields_at + (size_t)carver->field_count * sizeof(mo_field);
  const size_t keys_at = items_at + (size_t)carver->item_count * sizeof(mo_field *);
  const size_t text_at = keys_at + (size_t)carver->key_count * sizeof(char *);
  const size_t bytes = text_at + (size_t)carver->key_count * DICT_KEY_BYTES;
  char *base = mo_host_allocate(context, bytes);
  if (base == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_output_block *block = (mo_output_block *)base;
  const mo_status_t status = mo_source_init(&block->source);
  if (status != MO_STATUS_OK) {
    mo_host_free(context, base, bytes);
    return status;
  }
  atomic_init(&block->references, 1);
  block->context = mo_context_retain(context);
  block->host_bytes = bytes;
  block->fields = (mo_field *)(base + fields_at);
  block->field_count = carver->field_count;
  *carver = (field_carver){.block = block,
                           .fields = block->fields,
                           .items = (mo_field **)(base + items_at),
                           .keys = (const char **)(base + keys_at),
                           .key_text = base + text_at,
                           .device = mo_context_device(context)};
  return MO_STATUS_OK;
}

void mo_output_block_retain(mo_output_block *block) { atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed); }

void mo_output_block_release(mo_output_block *block) {
  if (block == NULL) return;
  if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) != 1) return;
  mo_context_t *context = block->context;
  const mo_backend *backend = mo_context_backend(context);
  for (int64_t i = 0; i < block->field_count; i++) {
    if (block->fields[i].kind == MO_FIELD_TENSOR) mo_field_free_mirrors(&block->fields[i]);
  }
  if (block->owns_memory) {
    /* The memory goes back in the order of the context's stream, but may have been written on another one. */
    if (block->source.ready != NULL && backend->stream_wait_event != NULL) {
      void *state = mo_context_backend_state(context);
      if (backend->stream_wait_event(state, mo_context_stream(context), block->source.ready) != MO_STATUS_OK)
        (void)backend->event_synchronize(state, block->source.ready);
    }
    mo_context_release(context, block->memory);
  }
  mo_source_destroy(&block->source, context);
  mo_host_free(context, block, block->host_bytes);
  mo_context_release_reference(context);
}

/* ---- Creation ---- */

static mo_status_t check_memory(const mo_plan *plan, const void *memory, size_t memory_bytes, size_t needed) {
  if (memory == NULL) return MO_STATUS_OK;
  MO_CHECK((uintptr_t)memory % MO_ARENA_ALIGNMENT == 0, MO_STATUS_INVALID_ARGUMENT,
           "output_create: the memory is not aligned to %zu bytes", MO_ARENA_ALIGNMENT);
  MO_CHECK(memory_bytes >= needed, MO_STATUS_WORKSPACE_TOO_SMALL, "output_create: %s needs %zu bytes, the memory has %zu",
           plan->output_class->name, needed, memory_bytes);
  return MO_STATUS_OK;
}

static mo_status_t attach_memory(mo_context_t *context, field_carver *carver, void *memory, size_t needed) {
  mo_output_block *block = carver->block;
  block->memory = memory;
  if (memory == NULL && needed > 0) {
    MO_TRY(mo_context_allocate(context, needed, &block->memory));
    block->owns_memory = true;
  }
  block->memory_bytes = needed;
  carver->arena = (mo_arena){.base = block->memory, .capacity = needed};
  return MO_STATUS_OK;
}

static mo_status_t fill_output(mo_output *output, const mo_plan *plan, mo_field *const *made) {
  const mo_class *output_class = plan->output_class;
  for (int32_t i = 0; i < output_class->field_count; i++) {
    output->state->absences[i] = (uint8_t)plan->fields[i].absence;
    if (made[i] == NULL && !plan->fields[i].is_given) continue;
    MO_TRY(mo_output_append_entry(output, output_class->fields[i].name, made[i]));
    *mo_output_member(output, i) = made[i];
  }
  return MO_STATUS_OK;
}

static mo_status_t create_output(mo_context_t *context, const mo_plan *plan, void *memory, size_t memory_bytes,
                                 mo_output **output) {
  field_carver carver;
  mo_field *made[MO_PLAN_MAX_FIELDS];
  mo_output *created;
  MO_TRY(measure(plan, &carver));
  const size_t needed = carver.arena.used;
  MO_TRY(check_memory(plan, memory, memory_bytes, needed));
  MO_TRY(allocate_block(context, &carver));
  mo_output_block *block = carver.block;
  mo_status_t status = attach_memory(context, &carver, memory, needed);
  if (status == MO_STATUS_OK) status = mo_output_allocate(context, plan->output_class, &created);
  if (status != MO_STATUS_OK) {
    mo_output_block_release(block);
    return status;
  }
  created->state->block = block; /* the first reference is the output's */
  carve_output(&carver, plan, made);
  for (int64_t i = block->field_count - 1; i >= 0; i--) mo_field_measure(&block->fields[i]); /* items come after their tuples */
  status = fill_output(created, plan, made);
  if (status != MO_STATUS_OK) {
    mo_output_destroy(created);
    return status;
  }
  *output = created;
  return MO_STATUS_OK;
}

mo_status_t mo_output_create(mo_context_t *context, const mo_class *output_class, const mo_dimensions *dimensions,
                             const mo_request *request, void *memory, size_t memory_bytes, mo_output **output) {
  MO_RANGE_NAMED(context, "mo_output_create");
  mo_plan plan;
  MO_CHECK(context != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_create: the %s is NULL",
           context == NULL ? "context" : "destination");
  mo_status_t status = mo_plan_resolve(output_class, dimensions, request, &plan);
  if (status == MO_STATUS_OK) status = create_output(context, &plan, memory, memory_bytes, output);
  return mo_context_note(context, status);
}
