/* host/generate/generation_keep.c - what is kept of the steps of a generation, and the output made of it.
 *
 * A step that writes to new memory leaves its fields themselves. A step that writes where the step before it wrote (a recorded
 * one) leaves copies, made on the device behind it: nothing crosses to the host.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/generate/generation.h"

/* ---- Fields -------------------------------------------------------------------------------------------------------------- */

static void release_field(void *user_data) { mo_field_release(user_data); }

mo_status_t mo_generation_view(mo_generation *g, mo_field *field, const mo_tensor *view, mo_field **made) {
  const mo_status_t status = mo_field_create_tensor(g->context, view, release_field, mo_field_retain(field), made);
  if (status != MO_STATUS_OK) mo_field_release(field);
  return status;
}

/* Memory that goes with its field. */
typedef struct owned_memory {
  mo_context_t *context;
  void *memory;
} owned_memory;

static void release_memory(void *user_data) {
  owned_memory *owned = user_data;
  mo_context_t *context = owned->context;
  mo_context_release(context, owned->memory);
  mo_host_free(context, owned, sizeof *owned);
}

/* A new tensor on the device. */
static mo_status_t allocate_owned(mo_generation *g, mo_dtype_t dtype, int32_t rank, const int64_t *shape, owned_memory **owned,
                                  mo_tensor *tensor) {
  owned_memory *made = mo_host_allocate(g->context, sizeof *made);
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  *made = (owned_memory){.context = g->context};
  *tensor = mo_device_tensor(g->context, NULL, dtype, rank, shape);
  const mo_status_t status = mo_context_allocate(g->context, (size_t)mo_tensor_bytes(tensor), &made->memory);
  if (status != MO_STATUS_OK) {
    release_memory(made);
    return status;
  }
  tensor->data = made->memory;
  *owned = made;
  return MO_STATUS_OK;
}

/* A new tensor, with values of the host or without, and the field that owns it. */
static mo_status_t make_owned(mo_generation *g, mo_dtype_t dtype, int32_t rank, const int64_t *shape, const void *values,
                              mo_field **field) {
  owned_memory *owned = NULL;
  mo_tensor tensor;
  MO_TRY(allocate_owned(g, dtype, rank, shape, &owned, &tensor));
  mo_status_t status = MO_STATUS_OK;
  if (values != NULL) {
    status = mo_context_copy_to_device(g->context, owned->memory, values, (size_t)mo_tensor_bytes(&tensor));
    const mo_status_t waited = mo_context_synchronize(g->context); /* `values` may go */
    if (status == MO_STATUS_OK) status = waited;
  }
  if (status == MO_STATUS_OK) status = mo_field_create_tensor(g->context, &tensor, release_memory, owned, field);
  if (status != MO_STATUS_OK) release_memory(owned);
  return status;
}

mo_status_t mo_generation_field(mo_generation *g, const void *values, mo_dtype_t dtype, int32_t rank, const int64_t *shape,
                                mo_field **field) {
  return make_owned(g, dtype, rank, shape, values, field);
}

/* A contiguous tensor's values as they are now on the stream, in a field of their own. */
static mo_status_t make_copy(mo_generation *g, const mo_tensor *source, mo_field **field) {
  owned_memory *owned = NULL;
  mo_tensor tensor;
  MO_TRY(allocate_owned(g, source->dtype, source->rank, source->shape, &owned, &tensor));
  mo_status_t status = mo_context_backend(g->context)
                           ->copy(mo_context_backend_state(g->context), tensor.data, source->data,
                                  (size_t)mo_tensor_bytes(source), MO_COPY_ON_DEVICE, mo_context_stream(g->context));
  if (status == MO_STATUS_OK) status = mo_field_create_tensor(g->context, &tensor, release_memory, owned, field);
  if (status != MO_STATUS_OK) release_memory(owned);
  return status;
}

/* ---- What is kept -------------------------------------------------------------------------------------------------------- */

static void append(mo_step_fields *fields, mo_field *field) { fields->items[fields->count++] = field; }

mo_status_t mo_generation_scores(mo_generation *g, int64_t step, mo_tensor *scores) {
  const int64_t shape[2] = {g->rows, mo_token_config(g->model)->embedding.vocab_size};
  mo_field *field = NULL;
  *scores = g->score_buffer;
  if (!g->settings.keeps_scores || mo_generation_reuses_memory(g, step)) return MO_STATUS_OK;
  MO_TRY(make_owned(g, MO_DTYPE_FLOAT32, 2, shape, NULL, &field));
  *scores = *mo_field_tensor(field);
  append(&g->scores, field);
  return MO_STATUS_OK;
}

/* The logits without their dimension of positions. */
static mo_status_t keep_logits(mo_generation *g, bool copies) {
  mo_field *whole = mo_output_get(g->step, "logits"), *kept = NULL;
  const mo_tensor *tensor = mo_field_tensor(whole);
  const mo_tensor flat = mo_tensor_reshaped(tensor, 2, (int64_t[]){tensor->shape[0], tensor->shape[2]});
  MO_TRY(copies ? make_copy(g, &flat, &kept) : mo_generation_view(g, whole, &flat, &kept));
  append(&g->logits, kept);
  return MO_STATUS_OK;
}

static mo_status_t copy_items(mo_generation *g, mo_field *tuple, mo_field **items, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const mo_field *item = mo_field_item(tuple, i);
    if (item != NULL) MO_TRY(make_copy(g, mo_field_tensor(item), &items[i])); /* else a layer that was not selected */
  }
  return MO_STATUS_OK;
}

/* A tuple over the layers. */
static mo_status_t keep_tuple(mo_generation *g, const char *name, bool copies, mo_step_fields *fields) {
  mo_field *tuple = mo_output_get(g->step, name), *kept = NULL;
  const int64_t count = mo_field_length(tuple);
  if (!copies) {
    append(fields, mo_field_retain(tuple));
    return MO_STATUS_OK;
  }
  mo_field **items = mo_host_allocate(g->context, (size_t)(count + 1) * sizeof *items);
  if (items == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = copy_items(g, tuple, items, count);
  if (status == MO_STATUS_OK) status = mo_field_create_tuple(g->context, items, count, &kept);
  for (int64_t i = 0; i < count; i++) mo_field_release(items[i]);
  mo_host_free(g->context, items, (size_t)(count + 1) * sizeof *items);
  MO_TRY(status);
  append(fields, kept);
  return MO_STATUS_OK;
}

static mo_status_t keep_scores(mo_generation *g) {
  mo_field *kept = NULL;
  MO_TRY(make_copy(g, &g->score_buffer, &kept));
  append(&g->scores, kept);
  return MO_STATUS_OK;
}

mo_status_t mo_generation_keep(mo_generation *g, int64_t step) {
  const mo_state_names names = mo_token_state_names(g->model);
  const mo_generation_settings *settings = &g->settings;
  const bool copies = mo_generation_reuses_memory(g, step);
  if (copies && settings->keeps_scores) MO_TRY(keep_scores(g));
  if (settings->keeps_attentions) MO_TRY(keep_tuple(g, names.attentions, copies, &g->attentions));
  if (settings->keeps_attentions && g->model->facts.has_encoder)
    MO_TRY(keep_tuple(g, "cross_attentions", copies, &g->cross_attentions));
  if (settings->keeps_hidden_states) MO_TRY(keep_tuple(g, names.hidden_states, copies, &g->hidden_states));
  return settings->keeps_logits ? keep_logits(g, copies) : MO_STATUS_OK;
}

/* ---- The output ---------------------------------------------------------------------------------------------------------- */

/* Items of the output, each with a reference of its own. */
typedef struct item_list {
  mo_item items[16];
  int64_t count;
} item_list;

static void add(item_list *list, const char *name, mo_field *field) {
  if (field != NULL) list->items[list->count++] = (mo_item){name, field};
}

static mo_status_t add_steps(mo_generation *g, item_list *list, const char *name, bool wanted, const mo_step_fields *fields) {
  mo_field *tuple = NULL;
  if (!wanted) return MO_STATUS_OK;
  MO_TRY(mo_field_create_tuple(g->context, fields->items, fields->count, &tuple));
  add(list, name, tuple);
  return MO_STATUS_OK;
}

static mo_status_t fill_items(mo_generation *g, item_list *list) {
  const mo_generation_settings *settings = &g->settings;
  const mo_state_names names = mo_token_state_names(g->model);
  mo_field *cache = NULL;
  MO_TRY(add_steps(g, list, "scores", settings->keeps_scores, &g->scores));
  MO_TRY(add_steps(g, list, "logits", settings->keeps_logits, &g->logits));
  MO_TRY(add_steps(g, list, names.attentions, settings->keeps_attentions, &g->attentions));
  MO_TRY(add_steps(g, list, names.hidden_states, settings->keeps_hidden_states, &g->hidden_states));
  if (g->model->facts.has_encoder) {
    MO_TRY(add_steps(g, list, "cross_attentions", settings->keeps_attentions, &g->cross_attentions));
    add(list, "encoder_attentions", mo_field_retain(g->encoder_attentions));
    add(list, "encoder_hidden_states", mo_field_retain(g->encoder_hidden_states));
  }
  if (!g->settings.keeps_cache || mo_class_field_index(settings->output_class, "past_key_values") < 0) return MO_STATUS_OK;
  MO_TRY(mo_cache_field(g->cache, MO_FRAMEWORK_PT, &cache));
  add(list, "past_key_values", cache);
  return MO_STATUS_OK;
}

mo_status_t mo_generation_output(mo_generation *g, mo_field *sequences, mo_field *sequences_scores, mo_field *beam_indices,
                                 mo_output **output) {
  item_list list = {.count = 0};
  add(&list, "sequences", sequences);
  add(&list, g->settings.sequences_scores_name, sequences_scores);
  add(&list, "beam_indices", beam_indices);
  mo_status_t status = mo_generation_count(g);
  if (status == MO_STATUS_OK) status = fill_items(g, &list);
  if (status == MO_STATUS_OK)
    status = mo_output_create_from_fields(g->context, g->settings.output_class, list.items, list.count, output);
  for (int64_t i = 0; i < list.count; i++) mo_field_release(list.items[i].field);
  return status;
}
