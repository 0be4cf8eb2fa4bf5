/* host/tokens/token_cache.c - the key/value caches of a run: checked before it, made where wanted, shown in the output.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/call/input_check.h"
#include "host/core/struct_size.h"
#include "host/ops/check.h"
#include "host/tokens/token_call.h"
#include "modelout/decode_attention.h"

/* ---- Checks ------------------------------------------------------------------------------------------------------------- */

/* Every layer holds the same tokens, and has room for the new ones. */
static mo_status_t check_layers(const mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const char *op = call->model->architecture.name;
  const int64_t layer_count = mo_token_config(call->model)->layer_count;
  mo_cache_t *cache = tokens->cache.self;
  const int64_t count = mo_cache_layer_count(cache), past = mo_cache_length(cache, 0);
  MO_CHECK(count <= layer_count, MO_STATUS_INVALID_ARGUMENT,
           "%s: past_key_values has %" PRId64 " layers, the model has %" PRId64, op, count, layer_count);
  for (int64_t i = 0; i < layer_count; i++) {
    const int64_t length = mo_cache_length(cache, i), capacity = mo_cache_max_length(cache, i);
    MO_CHECK(length == past, MO_STATUS_INVALID_ARGUMENT,
             "%s: layer %" PRId64 " of past_key_values holds %" PRId64 " tokens, layer 0 holds %" PRId64, op, i, length, past);
    MO_CHECK(tokens->cache.on_device || i >= count || capacity < 0 || mo_cache_is_sliding(cache, i) ||
                 past + call->sequence_length <= capacity,
             MO_STATUS_INDEX_ERROR,
             "%s: past_key_values holds %" PRId64 " tokens and takes %" PRId64 " at most, there is no room for %" PRId64
             " more",
             op, past, capacity, call->sequence_length);
  }
  return MO_STATUS_OK;
}

/* The slots of a layer, whatever the host knows of their use. */
static mo_status_t capacity_of(mo_cache_t *cache, int64_t *capacity) {
  mo_cache_entry entry;
  MO_TRY(mo_cache_read(cache, 0, &entry));
  const mo_kv_view *view = &entry.view;
  *capacity = view->key->shape[2] * (view->block_table != NULL ? view->block_table->shape[1] : 1);
  return MO_STATUS_OK;
}

static mo_status_t check_lengths(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const char *op = call->model->architecture.name;
  const mo_tensor *lengths = mo_call_tensor(call, "cache_lengths");
  mo_token_cache *cache = &tokens->cache;
  if (lengths == NULL) return MO_STATUS_OK;
  MO_CHECK(!cache->self_is_new, MO_STATUS_INVALID_ARGUMENT,
           "%s: cache_lengths with past_key_values that have no memory yet (mo_cache_initialize, or a run before)", op);
  MO_CHECK(!cache->slides, MO_STATUS_UNSUPPORTED,
           "%s: cache_lengths with a sliding cache, whose tokens move; a static cache keeps them where they are", op);
  MO_CHECK(call->sequence_length <= MO_DECODE_ATTENTION_MAX_TOKENS, MO_STATUS_UNSUPPORTED,
           "%s: cache_lengths with %" PRId64 " new tokens, %d at most", op, call->sequence_length,
           MO_DECODE_ATTENTION_MAX_TOKENS);
  MO_CHECK(mo_token_config(call->model)->attention.rotary.scaling != MO_ROTARY_SCALING_DYNAMIC, MO_STATUS_UNSUPPORTED,
           "%s: cache_lengths with a dynamic rotary scaling, which depends on lengths that only the device knows", op);
  MO_TRY(mo_check_input(call->model, "cache_lengths", lengths, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, &call->batch_size));
  cache->on_device = true;
  tokens->placed_lengths = mo_call_place(call, lengths, MO_DTYPE_INT32, MO_DTYPE_BIT(MO_DTYPE_INT32), 1, &call->batch_size);
  return MO_STATUS_OK;
}

static mo_status_t check_given(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const char *op = model->architecture.name;
  mo_token_cache *cache = &tokens->cache;
  const int64_t layer_count = mo_token_config(model)->layer_count;
  MO_CHECK(mo_cache_context(cache->given) == model->context, MO_STATUS_INVALID_ARGUMENT,
           "%s: past_key_values belongs to another context", op);
  cache->self = mo_cache_self(cache->given);
  cache->cross = mo_cache_cross(cache->given);
  const int64_t rows = mo_cache_batch_size(cache->self);
  MO_CHECK(rows < 0 || rows == call->batch_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: past_key_values holds %" PRId64 " sequences, the inputs are %" PRId64, op, rows, call->batch_size);
  cache->self_is_new = !mo_cache_is_initialized(cache->self);
  for (int64_t i = 0; i < layer_count; i++) cache->slides |= mo_cache_is_sliding(cache->self, i);
  if (cache->cross != NULL) {
    cache->cross_is_new = !mo_cache_is_initialized(cache->cross);
    cache->cross_is_cached = layer_count > 0;
    for (int64_t i = 0; i < layer_count; i++) cache->cross_is_cached &= mo_cache_is_updated(cache->given, i);
  }
  MO_TRY(check_lengths(call));
  MO_TRY(check_layers(call));
  if (cache->on_device) return capacity_of(cache->self, &cache->key_length);
  for (int64_t row = 1; row < rows; row++)
    cache->rows_differ |= mo_cache_row_length(cache->self, row) != mo_cache_row_length(cache->self, 0);
  cache->past_length = mo_cache_length(cache->self, 0);
  MO_CHECK(mo_checked_add(cache->past_length, call->sequence_length, &cache->key_length), MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " cached tokens are too many", op, cache->past_length);
  return MO_STATUS_OK;
}

/* The output can hold it. */
static mo_status_t check_showable(const mo_model_t *model, mo_cache_t *given) {
  const mo_cache_kind_t kind = mo_cache_kind(given);
  MO_CHECK(kind != MO_CACHE_QUANTIZED && kind != MO_CACHE_PAGED, MO_STATUS_UNSUPPORTED,
           "%s: use_cache with a %s cache, which cannot be shown as tensors: keep the cache, and ask for no past_key_values",
           model->architecture.name, kind == MO_CACHE_PAGED ? "paged" : "quantised");
  return MO_STATUS_OK;
}

/* Flax has a cache where one is given, and shows all of its slots. */
static void see_as_flax(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  mo_token_cache *cache = &tokens->cache;
  if (call->model->framework != MO_FRAMEWORK_FLAX) return;
  const int64_t slots = cache->given != NULL ? mo_cache_max_length(cache->self, 0) : -1;
  if (slots > cache->key_length) cache->shown_length = slots;
}

static mo_status_t check_cache(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  mo_token_cache *cache = &tokens->cache;
  const bool decoder = mo_token_config(call->model)->decoder;
  *cache = (mo_token_cache){.given = mo_call_cache(call, "past_key_values"), .key_length = call->sequence_length};
  const bool made = call->request.use_cache && call->model->framework != MO_FRAMEWORK_FLAX;
  cache->wanted = decoder && (cache->given != NULL || made);
  MO_CHECK(cache->given != NULL || mo_call_tensor(call, "cache_lengths") == NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: cache_lengths without past_key_values", call->model->architecture.name);
  if (cache->given == NULL) return MO_STATUS_OK;
  if (call->request.use_cache) MO_TRY(check_showable(call->model, cache->given));
  return check_given(call);
}

mo_status_t mo_token_cache_check(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  MO_TRY(check_cache(call));
  tokens->cache.shown_length = tokens->cache.key_length;
  see_as_flax(call);
  return MO_STATUS_OK;
}

bool mo_token_cache_is_uneven(const mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_token_cache *cache = &tokens->cache;
  return mo_token_config(call->model)->cache_slides && cache->slides && cache->past_length > 0 &&
         mo_cache_kind(cache->self) == MO_CACHE_DYNAMIC;
}

int64_t mo_token_cache_keys(const mo_call *call, int64_t layer) {
  MO_TOKEN_CALL(tokens, call);
  const mo_token_cache *cache = &tokens->cache;
  const int64_t window = mo_transformer_window(mo_token_config(call->model), layer);
  if (!mo_cache_is_sliding(cache->self, layer) || window == 0 || cache->past_length < window) return cache->key_length;
  return window - 1 + call->sequence_length;
}

/* ---- Making ------------------------------------------------------------------------------------------------------------- */

/* Layers slide where the model's attention does, and hold everything where it does not. */
static void set_kinds(const mo_transformer_config *config, const mo_cache_options *options, mo_cache_layer_options *kinds) {
  const bool fixed = options->kind == MO_CACHE_STATIC_SLIDING;
  for (int64_t i = 0; i < config->layer_count; i++) {
    const int64_t window = mo_transformer_window(config, i);
    kinds[i].kind = window > 0 ? fixed ? MO_CACHE_STATIC_SLIDING : MO_CACHE_SLIDING
                    : fixed    ? MO_CACHE_STATIC
                               : MO_CACHE_DYNAMIC;
    if (window > 0) kinds[i].window = options->window > 0 ? options->window : window;
  }
}

/* What the options leave open is the model's. `kinds` has room for every layer. */
static mo_status_t create_self(const mo_model_t *model, const mo_cache_options *given, mo_cache_layer_options *kinds,
                               mo_cache_t **cache) {
  const mo_transformer_config *config = mo_token_config(model);
  mo_cache_options options = *given;
  const bool models_own = options.kind == 0;
  if (models_own) options.kind = MO_CACHE_DYNAMIC;
  const bool sliding = options.kind == MO_CACHE_SLIDING || options.kind == MO_CACHE_STATIC_SLIDING;
  if (options.layers == NULL && config->attention.window > 0 && (models_own || sliding)) {
    set_kinds(config, &options, kinds);
    options.layers = kinds;
  }
  if (options.layer_count == 0) options.layer_count = config->layer_count;
  if (options.kind != MO_CACHE_PAGED) {
    if (options.num_key_value_heads == 0) options.num_key_value_heads = config->attention.key_value_head_count;
    if (options.head_dim == 0) options.head_dim = config->attention.head_size;
    if (options.dtype == MO_DTYPE_NONE) options.dtype = model->dtype;
  }
  if (sliding && options.window == 0) options.window = config->attention.window;
  return mo_cache_create(model->context, &options, cache);
}

/* The cross cache grows to what the encoder gives. */
static mo_status_t create_pair(const mo_model_t *model, mo_cache_t *self, mo_cache_t **pair) {
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  mo_cache_t *cross = NULL;
  options.kind = MO_CACHE_DYNAMIC;
  options.layer_count = mo_token_config(model)->layer_count;
  MO_TRY(mo_cache_create(model->context, &options, &cross));
  const mo_status_t status = mo_cache_create_encoder_decoder(self, cross, pair);
  mo_cache_release(cross);
  return status;
}

static mo_status_t create(const mo_model_t *model, const mo_cache_options *options, bool cross, mo_cache_t **cache) {
  const size_t bytes = (size_t)(mo_token_config(model)->layer_count + 1) * sizeof(mo_cache_layer_options);
  mo_cache_layer_options *kinds = mo_host_allocate(model->context, bytes);
  mo_cache_t *self = NULL;
  if (kinds == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = create_self(model, options, kinds, &self);
  mo_host_free(model->context, kinds, bytes);
  if (status != MO_STATUS_OK || !cross) {
    *cache = self;
    return status;
  }
  status = create_pair(model, self, cache);
  mo_cache_release(self);
  return status;
}

mo_status_t mo_token_cache_make(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  mo_token_cache *cache = &tokens->cache;
  mo_cache_options defaults = MO_CACHE_OPTIONS_INIT;
  if (!mo_token_config(call->model)->cache_slides) defaults.kind = MO_CACHE_DYNAMIC;
  const bool cross = mo_token_config(call->model)->caches_cross_attention && tokens->encoder_length > 0;
  MO_TRY(create(call->model, &defaults, cross, &cache->given));
  cache->made = true;
  cache->self = mo_cache_self(cache->given);
  cache->cross = mo_cache_cross(cache->given);
  cache->self_is_new = cache->cross_is_new = true;
  return MO_STATUS_OK;
}

static mo_status_t create_public(mo_model_t *model, const mo_cache_options *options, int64_t batch_size, int64_t max_length,
                                 mo_cache_t **cache) {
  const mo_transformer_config *config = mo_token_config(model);
  mo_cache_options filled = MO_CACHE_OPTIONS_INIT;
  MO_CHECK(config->decoder, MO_STATUS_INVALID_ARGUMENT, "%s: this model is no decoder, it needs no cache",
           model->architecture.name);
  MO_CHECK(batch_size >= 0 && max_length >= 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: a cache for %" PRId64 " sequences of %" PRId64 " tokens", model->architecture.name, batch_size, max_length);
  if (options != NULL) {
    MO_TRY(MO_TAKE(model->architecture.name, MO_CACHE_OPTIONS_INIT, options, MO_SIZE_TO(mo_cache_options, keeps_addresses),
                   &filled));
  }
  const bool fixed = filled.kind == MO_CACHE_STATIC || filled.kind == MO_CACHE_STATIC_SLIDING || filled.kind == MO_CACHE_PAGED;
  if (filled.batch_size == 0) filled.batch_size = batch_size;
  if (fixed && filled.max_length == 0) filled.max_length = max_length;
  mo_cache_t *made = NULL;
  MO_TRY(create(model, &filled, config->cross_attention, &made));
  mo_status_t status = MO_STATUS_OK;
  mo_cache_t *self = mo_cache_self(made);
  if (filled.batch_size > 0 && (fixed || max_length > 0))
    status = mo_cache_initialize(self, filled.batch_size, 0, 0, MO_DTYPE_NONE);
  if (status == MO_STATUS_OK && max_length > 0 && !fixed) status = mo_cache_reserve(self, max_length);
  if (status != MO_STATUS_OK) {
    mo_cache_release(made);
    return status;
  }
  *cache = made;
  return MO_STATUS_OK;
}

mo_status_t mo_model_create_cache(mo_model_t *model, const mo_cache_options *options, int64_t batch_size, int64_t max_length,
                                  mo_cache_t **cache) {
  MO_CHECK(model != NULL && cache != NULL, MO_STATUS_INVALID_ARGUMENT, "model create cache: NULL model or result");
  return mo_context_note(model->context, create_public(model, options, batch_size, max_length, cache));
}

/* ---- After the run ------------------------------------------------------------------------------------------------------ */

void mo_token_cache_undo(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_token_cache *cache = &tokens->cache;
  if (cache->self != NULL && cache->self_is_new) (void)mo_cache_reset(cache->self);
  if (cache->cross != NULL && cache->cross_is_new) (void)mo_cache_reset(cache->cross);
}

/* What the real model of the framework returns, which is not what every class documents. */
static mo_status_t make_field(const mo_model_t *model, mo_cache_t *cache, mo_field **field) {
  char prefix[MO_PARAMETER_NAME_BYTES], suffix[MO_PARAMETER_NAME_BYTES];
  if (model->framework == MO_FRAMEWORK_PT) return mo_cache_field_as(cache, MO_CACHE_FORM_CACHE, field);
  if (model->framework == MO_FRAMEWORK_TF)
    return mo_cache_field_as(cache, model->family->stacks_tensorflow_cache ? MO_CACHE_FORM_STACKED : MO_CACHE_FORM_TUPLES,
                             field);
  /* The path of a layer's attention module. */
  const mo_transformer_names *names = mo_token_rules_of(model)->names;
  const char *layer = names->attention.fused != NULL ? names->attention.fused : names->attention.query;
  const char *end = strrchr(layer, '.');
  const char *base = model->architecture.base_prefix != NULL ? model->architecture.base_prefix : model->family->base_prefix;
  const bool inside = model->architecture.head != model->family->architectures[0].head && base != NULL && base[0] != '\0';
  snprintf(prefix, sizeof prefix, "%.100s%s%.100s", inside ? base : "", inside ? "." : "", names->layer_prefix);
  snprintf(suffix, sizeof suffix, "%.40s%.*s", names->layer_infix, (int)(end != NULL ? end - layer : 0), layer);
  return mo_cache_field_dict(cache, prefix, suffix, field);
}

mo_status_t mo_token_cache_show(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  mo_field *field = NULL;
  /* Flax adds it as the last key, also to classes without such a field. */
  const bool added = call->model->framework == MO_FRAMEWORK_FLAX && tokens->cache.given != NULL;
  if (!added && !mo_output_contains(call->output, "past_key_values")) return MO_STATUS_OK;
  MO_TRY(make_field(call->model, tokens->cache.given, &field));
  const mo_status_t status = mo_output_set_item(call->output, "past_key_values", field);
  mo_field_release(field);
  return status;
}
