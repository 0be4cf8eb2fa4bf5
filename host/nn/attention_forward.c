/* host/nn/attention_forward.c - loading and running self and cross attention.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/attention.h"

#include "host/nn/attention_internal.h"
#include "host/nn/elementwise.h"
#include "modelout/decode_attention.h"

/* ---- Loading ------------------------------------------------------------------------------------------------------------ */

static int64_t query_width(const mo_attention_config *config) { return config->head_count * config->head_size; }
static int64_t key_width(const mo_attention_config *config) { return config->key_value_head_count * config->head_size; }

/* The projection back to the width of the hidden state. */
static mo_status_t load_output(mo_loader *loader, const char *prefix, const mo_attention_names *names,
                               const mo_attention_config *config, int64_t width, mo_dense *output) {
  const mo_dense_rule rule = {
      .rows = {width}, .columns = query_width(config), .lacks_bias = config->output_lacks_bias, .layout = config->layout};
  return mo_load_dense(loader, prefix, &names->output, &rule, output);
}

mo_status_t mo_self_attention_load(mo_self_attention *block, mo_loader *loader, const char *prefix,
                                   const mo_attention_names *names, const mo_attention_config *config, int64_t width) {
  const int64_t queries = query_width(config), keys = key_width(config);
  const char *const separate[3] = {names->query, names->key, names->value};
  const bool fused = names->fused != NULL;
  const mo_dense_rule rule = {.rows = {fused ? queries + 2 * keys : queries, fused ? 0 : keys, fused ? 0 : keys},
                              .columns = width,
                              .lacks_bias = config->lacks_bias,
                              .layout = config->layout};
  const mo_norm_kind_t kind = config->head_norm.kind;
  MO_TRY(mo_load_dense(loader, prefix, fused ? &names->fused : separate, &rule, &block->query_key_value));
  if (names->query_norm != NULL)
    MO_TRY(mo_load_norm(loader, prefix, names->query_norm, kind, loader->dtype, config->head_size, &block->query_norm));
  if (names->key_norm != NULL)
    MO_TRY(mo_load_norm(loader, prefix, names->key_norm, kind, loader->dtype, config->head_size, &block->key_norm));
  return load_output(loader, prefix, names, config, width, &block->output);
}

mo_status_t mo_cross_attention_load(mo_cross_attention *block, mo_loader *loader, const char *prefix,
                                    const mo_attention_names *names, const mo_attention_config *config, int64_t width) {
  const int64_t keys = key_width(config);
  const bool fused = names->fused != NULL;
  const char *const separate[2] = {names->key, names->value};
  const mo_dense_rule query = {
      .rows = {query_width(config)}, .columns = width, .lacks_bias = config->lacks_bias, .layout = config->layout};
  const mo_dense_rule key_value = {.rows = {fused ? 2 * keys : keys, fused ? 0 : keys},
                                   .columns = config->encoder_size,
                                   .lacks_bias = config->lacks_bias,
                                   .layout = config->layout};
  MO_TRY(mo_load_dense(loader, prefix, &names->query, &query, &block->query));
  MO_TRY(mo_load_dense(loader, prefix, fused ? &names->fused : separate, &key_value, &block->key_value));
  return load_output(loader, prefix, names, config, width, &block->output);
}

void mo_self_attention_release(mo_self_attention *block) {
  mo_dense_release(&block->query_key_value);
  mo_norm_weights_release(&block->query_norm);
  mo_norm_weights_release(&block->key_norm);
  mo_dense_release(&block->output);
}

void mo_cross_attention_release(mo_cross_attention *block) {
  mo_dense_release(&block->query);
  mo_dense_release(&block->key_value);
  mo_dense_release(&block->output);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------------- */

int64_t mo_attention_wide_size(const mo_attention_config *config) { return 2 * (query_width(config) + key_width(config)); }

void *mo_cross_attention_carve(const mo_attention_config *config, mo_dtype_t dtype, const mo_transformer_inputs *inputs,
                               mo_arena *arena) {
  const int64_t rows = inputs->batch_size * inputs->encoder_length;
  if (rows == 0 || inputs->cross_is_cached) return NULL;
  return mo_arena_carve(arena, (size_t)(rows * 2 * key_width(config)) * mo_dtype_bytes(dtype));
}

/* ---- Views -------------------------------------------------------------------------------------------------------------- */

/* Some columns of a (B * length, columns) matrix as (B, heads, length, head size). */
static mo_tensor head_view(const mo_pass *pass, const mo_tensor *matrix, int64_t length, int64_t heads, int64_t head_size,
                           int64_t first_column, int64_t head_stride) {
  const int64_t columns = matrix->shape[1], batch_size = pass->inputs->batch_size;
  return (mo_tensor){.data = (char *)matrix->data + (size_t)first_column * mo_dtype_bytes(matrix->dtype),
                     .dtype = matrix->dtype,
                     .device = matrix->device,
                     .rank = 4,
                     .shape = {batch_size, heads, length, head_size},
                     .strides = {length * columns, head_stride, columns, 1}};
}

mo_tensor mo_last_columns(const mo_tensor *tensor, int64_t count) {
  mo_tensor view = *tensor;
  const int32_t last = tensor->rank - 1;
  view.data =
      (char *)tensor->data + (size_t)((tensor->shape[last] - count) * tensor->strides[last]) * mo_dtype_bytes(tensor->dtype);
  view.shape[last] = count;
  return view;
}

/* Where one attention reads its keys and values: plain tensors, or a cache as it is stored. */
typedef struct key_source {
  mo_tensor key, value; /* dtype NONE: in the cache */
  mo_kv_view cache;
  int64_t length;    /* of the longest row */
  mo_tensor lengths; /* of each row; dtype NONE: the same */
} key_source;

static key_source plain_source(const mo_tensor *key, const mo_tensor *value) {
  return (key_source){.key = *key, .value = *value, .length = key->shape[2]};
}

/* The tokens of an entry. */
static key_source entry_source(const mo_cache_entry *entry) {
  key_source source = {
      .key = entry->key, .value = entry->value, .cache = entry->view, .length = entry->token_count, .lengths = entry->lengths};
  source.key.shape[2] = source.value.shape[2] = entry->token_count;
  return source;
}

static void set_source(const key_source *source, mo_attention_params *params) {
  if (source->key.dtype != MO_DTYPE_NONE) {
    params->key = &source->key;
    params->value = &source->value;
  } else {
    params->cache = &source->cache;
    params->max_key_length = source->length;
    if (source->lengths.dtype != MO_DTYPE_NONE) params->key_lengths = &source->lengths;
  }
}

/* ---- Weights for the output --------------------------------------------------------------------------------------------- */

/* A layer that no longer holds every token attends over fewer keys than the field has; the weights of the others are 0. */
static mo_status_t clear_columns(const mo_pass *pass, const mo_tensor *weights, int64_t first, int64_t count) {
  mo_tensor columns = *weights;
  columns.shape[3] = count;
  columns.data = (char *)weights->data + (size_t)first * mo_dtype_bytes(weights->dtype);
  return count == 0 ? MO_STATUS_OK : mo_clear(pass->context, &columns);
}

mo_status_t mo_attention_weights_view(const mo_pass *pass, const mo_weights_sink *sink, int64_t index, int64_t key_length,
                                      mo_tensor *view) {
  const mo_tensor *weights = mo_weights_sink_layer(sink, index);
  *view = (mo_tensor){.dtype = MO_DTYPE_NONE};
  if (weights == NULL) return MO_STATUS_OK;
  *view = sink->keys_first ? *weights : mo_last_columns(weights, key_length);
  view->shape[3] = key_length;
  return clear_columns(pass, weights, sink->keys_first ? key_length : 0, weights->shape[3] - key_length);
}

/* `view` is where the descriptor of the weights lives. */
static mo_status_t set_weights(const mo_pass *pass, const mo_weights_sink *sink, int64_t index, int64_t key_length,
                               mo_tensor *view, mo_attention_params *params) {
  MO_TRY(mo_attention_weights_view(pass, sink, index, key_length, view));
  if (view->dtype == MO_DTYPE_NONE) return MO_STATUS_OK;
  params->weights = view;
  params->weights_reduction = sink->reduction;
  params->weight_heads = sink->heads;
  params->weight_last_rows = sink->last_rows;
  return MO_STATUS_OK;
}

/* ---- Self attention ----------------------------------------------------------------------------------------------------- */

static mo_status_t attend(const mo_pass *pass, const mo_attention_layer *layer, const mo_tensor *query,
                          const key_source *source, const mo_tensor *output) {
  const mo_transformer_inputs *inputs = pass->inputs;
  const int64_t key_length = source->length;
  mo_tensor weights, mask, bias;
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = output;
  params.query = query;
  set_source(source, &params);
  params.scale = layer->scale;
  params.soft_cap = layer->soft_cap;
  params.causal = layer->causal;
  params.sliding_window = layer->window;
  if (inputs->mask.dtype != MO_DTYPE_NONE) {
    mask = mo_last_columns(&inputs->mask, key_length);
    params.mask = &mask;
  }
  if (layer->bias != NULL) {
    bias = mo_last_columns(layer->bias, key_length);
    params.bias = &bias;
  }
  MO_TRY(set_weights(pass, &pass->sinks->self_weights, layer->index, key_length, &weights, &params));
  return mo_attention(pass->context, &params);
}

/* Writes new tokens behind those of a layer and says what the layer then holds. A layer that was never written has no extents
 * yet: its first update gives them (and counts, which mo_transformer_commit leaves alone). */
static mo_status_t append(const mo_pass *pass, mo_cache_t *cache, bool is_new, int64_t index, const mo_tensor *key,
                          const mo_tensor *value, const mo_rotary *rotary, mo_cache_entry *entry) {
  const mo_tensor *positions = pass->inputs->positions.dtype != MO_DTYPE_NONE ? &pass->inputs->positions : NULL;
  if (rotary == NULL) positions = NULL;
  if (is_new) return mo_cache_update(cache, index, key, value, rotary, positions, entry);
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  MO_TRY(mo_cache_prepare(cache, index, key->shape[2], entry, &params.offset));
  const mo_kv_update_layer layer = {.cache = entry->view, .key = key, .value = value};
  params.layers = &layer;
  params.layer_count = 1;
  if (entry->lengths.dtype != MO_DTYPE_NONE) params.offsets = &entry->lengths;
  params.rotary = rotary;
  params.position_ids = positions;
  MO_TRY(mo_kv_update(pass->context, &params));
  return mo_cache_written(cache, index, key->shape[2], entry);
}

static mo_status_t rotate(const mo_pass *pass, const mo_rotary *rotary, const mo_tensor *query, const mo_tensor *key) {
  mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
  params.rotary = *rotary;
  params.query_output = params.query = query;
  params.key_output = params.key = key;
  if (pass->inputs->positions.dtype != MO_DTYPE_NONE) params.position_ids = &pass->inputs->positions;
  params.position_offset = pass->inputs->past_length;
  return mo_rotary_embedding(pass->context, &params);
}

/* From the heads of the product to the mixed values. */
static mo_status_t mix(const mo_pass *pass, const mo_attention_config *config, const mo_attention_layer *layer,
                       const mo_head_views *heads) {
  const mo_transformer_inputs *inputs = pass->inputs;
  if (inputs->cache == NULL) {
    if (layer->rotary != NULL) MO_TRY(rotate(pass, layer->rotary, &heads->query, &heads->key));
    const key_source source = plain_source(&heads->key, &heads->value);
    return attend(pass, layer, &heads->query, &source, &heads->output);
  }
  if (mo_attention_decodes(pass, config)) return mo_attention_decode(pass, layer, heads);
  mo_cache_entry entry;
  MO_TRY(append(pass, inputs->cache, inputs->cache_is_new, layer->index, &heads->key, &heads->value, layer->rotary, &entry));
  if (layer->rotary != NULL) MO_TRY(rotate(pass, layer->rotary, &heads->query, NULL));
  const key_source source = entry_source(&entry);
  return attend(pass, layer, &heads->query, &source, &heads->output);
}

/* Query, key and value within the rows of their product, in the order the checkpoint has them. */
static mo_head_views split_heads(const mo_pass *pass, const mo_attention_config *config, const mo_tensor *product,
                                 const mo_tensor *mixed) {
  const int64_t size = config->head_size, heads = config->head_count, shared = config->key_value_head_count;
  const int64_t length = pass->inputs->sequence_length;
  const bool by_head = config->fused_order == MO_FUSED_BY_HEAD;
  const int64_t stride = by_head ? 3 * size : size;
  const int64_t first_key = by_head ? size : heads * size, first_value = by_head ? 2 * size : (heads + shared) * size;
  return (mo_head_views){.query = head_view(pass, product, length, heads, size, 0, stride),
                         .key = head_view(pass, product, length, shared, size, first_key, stride),
                         .value = head_view(pass, product, length, shared, size, first_value, stride),
                         .output = head_view(pass, mixed, length, heads, size, 0, size)};
}

/* In place, where the block has norms of queries and keys. */
static mo_status_t norm_heads(const mo_self_attention *block, const mo_pass *pass, const mo_attention_config *config,
                              const mo_head_views *heads) {
  const float epsilon = config->head_norm.epsilon;
  if (mo_weight_tensor(&block->query_norm.weight) != NULL)
    MO_TRY(mo_norm_apply(pass->context, &block->query_norm, epsilon, &heads->query, &heads->query, NULL));
  if (mo_weight_tensor(&block->key_norm.weight) != NULL)
    MO_TRY(mo_norm_apply(pass->context, &block->key_norm, epsilon, &heads->key, &heads->key, NULL));
  return MO_STATUS_OK;
}

mo_status_t mo_self_attention_forward(const mo_self_attention *block, const mo_pass *pass, const mo_attention_config *config,
                                      const mo_attention_layer *layer, const mo_tensor *output, const mo_tensor *input,
                                      const mo_tensor *residual) {
  const mo_tensor product = mo_pass_tokens(pass, pass->wide, query_width(config) + 2 * key_width(config));
  const mo_tensor mixed = mo_pass_tokens(pass, (char *)pass->wide + mo_tensor_bytes(&product), query_width(config));
  const mo_head_views heads = split_heads(pass, config, &product, &mixed);
  MO_TRY(mo_dense_apply(pass->context, &block->query_key_value, MO_ACTIVATION_NONE, &product, input, NULL));
  MO_TRY(norm_heads(block, pass, config, &heads));
  MO_TRY(mix(pass, config, layer, &heads));
  return mo_dense_apply(pass->context, &block->output, MO_ACTIVATION_NONE, output, &mixed, residual);
}

/* ---- Cross attention ---------------------------------------------------------------------------------------------------- */

/* Keys and values of the encoder's hidden states: one product, for as long as nothing else is in that memory. */
static mo_status_t make_keys(const mo_cross_attention *block, const mo_pass *pass, const mo_attention_config *config,
                             void *memory, mo_tensor *key, mo_tensor *value) {
  const mo_transformer_inputs *inputs = pass->inputs;
  const int64_t length = inputs->encoder_length, size = config->head_size, shared = config->key_value_head_count;
  const mo_tensor product = mo_pass_matrix(pass, memory, inputs->batch_size * length, 2 * key_width(config));
  *key = head_view(pass, &product, length, shared, size, 0, size);
  *value = head_view(pass, &product, length, shared, size, key_width(config), size);
  return mo_dense_apply(pass->context, &block->key_value, MO_ACTIVATION_NONE, &product, &inputs->encoder_hidden, NULL);
}

/* What is attended over: what the cross cache holds, or keys and values made now, which it may be given. */
static mo_status_t find_source(const mo_cross_attention *block, const mo_pass *pass, const mo_attention_config *config,
                               int64_t index, void *memory, key_source *source) {
  const mo_transformer_inputs *inputs = pass->inputs;
  mo_cache_entry entry;
  if (inputs->cross_is_cached) {
    MO_TRY(mo_cache_read(inputs->cross_cache, index, &entry));
    *source = entry_source(&entry);
    return MO_STATUS_OK;
  }
  mo_tensor key, value;
  MO_TRY(make_keys(block, pass, config, memory, &key, &value));
  *source = plain_source(&key, &value);
  if (inputs->cross_cache == NULL) return MO_STATUS_OK;
  return append(pass, inputs->cross_cache, inputs->cross_is_new, index, &key, &value, NULL, &entry);
}

static mo_status_t mix_cross(const mo_cross_attention *block, const mo_pass *pass, const mo_attention_config *config,
                             const mo_attention_layer *layer, void *memory, const mo_tensor *query, const mo_tensor *output) {
  const mo_transformer_inputs *inputs = pass->inputs;
  mo_tensor weights;
  key_source source;
  if (inputs->cross_is_cached && inputs->sequence_length <= MO_DECODE_ATTENTION_MAX_TOKENS)
    return mo_attention_decode_cross(pass, layer, query, output);
  MO_TRY(find_source(block, pass, config, layer->index, memory, &source));
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = output;
  params.query = query;
  set_source(&source, &params);
  params.scale = layer->scale;
  if (inputs->encoder_mask.dtype != MO_DTYPE_NONE) params.mask = &inputs->encoder_mask;
  MO_TRY(set_weights(pass, &pass->sinks->cross_weights, layer->index, source.length, &weights, &params));
  return mo_attention(pass->context, &params);
}

mo_status_t mo_cross_attention_forward(const mo_cross_attention *block, const mo_pass *pass, const mo_attention_config *config,
                                       const mo_attention_layer *layer, void *memory, const mo_tensor *output,
                                       const mo_tensor *input, const mo_tensor *residual) {
  const int64_t length = pass->inputs->sequence_length, heads = config->head_count, size = config->head_size;
  const mo_tensor query = mo_pass_tokens(pass, pass->wide, query_width(config));
  const mo_tensor mixed = mo_pass_tokens(pass, (char *)pass->wide + mo_tensor_bytes(&query), query_width(config));
  const mo_tensor query_heads = head_view(pass, &query, length, heads, size, 0, size);
  const mo_tensor mixed_heads = head_view(pass, &mixed, length, heads, size, 0, size);
  MO_TRY(mo_dense_apply(pass->context, &block->query, MO_ACTIVATION_NONE, &query, input, NULL));
  MO_TRY(mix_cross(block, pass, config, layer, memory, &query_heads, &mixed_heads));
  return mo_dense_apply(pass->context, &block->output, MO_ACTIVATION_NONE, output, &mixed, residual);
}
