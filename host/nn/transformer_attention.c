/* host/nn/transformer_attention.c - self and cross attention of a layer stack, with and without caches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "host/nn/transformer.h"
#include "modelout/attention.h"
#include "modelout/decode_attention.h"
#include "modelout/position_bias.h"

/* ---- Views -------------------------------------------------------------------------------------------------------------- */

mo_tensor mo_transformer_matrix(const mo_transformer_run *run, void *data, int64_t rows, int64_t width) {
  return mo_device_tensor(run->stack->context, data, run->stack->dtype, 2, (int64_t[]){rows, width});
}

/* Some columns of a (B * length, columns) matrix as (B, heads, length, head size). */
static mo_tensor head_view(const mo_transformer_run *run, const mo_tensor *matrix, int64_t length, int64_t heads,
                           int64_t first_column, int64_t head_stride) {
  const int64_t columns = matrix->shape[1], batch_size = run->inputs->batch_size;
  return (mo_tensor){.data = (char *)matrix->data + (size_t)first_column * mo_dtype_bytes(matrix->dtype),
                     .dtype = matrix->dtype,
                     .device = matrix->device,
                     .rank = 4,
                     .shape = {batch_size, heads, length, run->stack->config.attention.head_size},
                     .strides = {length * columns, head_stride, columns, 1}};
}

/* The last `count` entries of the last dimension. */
mo_tensor mo_transformer_last_columns(const mo_tensor *tensor, int64_t count) {
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

static mo_tensor rotary_table(const mo_transformer *stack, bool sine) {
  const int64_t pairs = stack->config.attention.rotary.rotary_dim / 2;
  float *data = stack->rotary_tables;
  if (sine && data != NULL) data += stack->rotary_count * pairs;
  return mo_device_tensor(stack->context, data, MO_DTYPE_FLOAT32, 2, (int64_t[]){stack->rotary_count, pairs});
}

/* ---- One attention ------------------------------------------------------------------------------------------------------ */

float mo_transformer_attention_scale(const mo_transformer_config *config, int64_t index) {
  const float scale =
      config->attention.scale != 0.0f ? config->attention.scale : 1.0f / sqrtf((float)config->attention.head_size);
  return config->attention.scale_by_layer ? scale / (float)(index + 1) : scale;
}

/* A layer that no longer holds every token attends over fewer keys than the field has; the weights of the others are 0: a
 * product of nothing. */
static mo_status_t clear_columns(const mo_transformer_run *run, const mo_tensor *weights, int64_t count) {
  mo_tensor output = *weights, input = *weights;
  if (count == 0) return MO_STATUS_OK;
  output.shape[3] = count;
  input.shape[3] = 0;
  const mo_tensor weight = mo_device_tensor(run->stack->context, NULL, weights->dtype, 2, (int64_t[]){count, 0});
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = &output;
  params.input = &input;
  params.weight = &weight;
  return mo_linear(run->stack->context, &params);
}

mo_status_t mo_transformer_weights_view(const mo_transformer_run *run, const mo_field *field, int64_t index, int64_t key_length,
                                        mo_tensor *view) {
  const mo_tensor *weights = mo_field_tensor(mo_field_item(field, index));
  *view = (mo_tensor){.dtype = MO_DTYPE_NONE};
  if (weights == NULL) return MO_STATUS_OK;
  *view = mo_transformer_last_columns(weights, key_length);
  return clear_columns(run, weights, weights->shape[3] - key_length);
}

/* `view` is where the descriptor of the weights lives. */
static mo_status_t set_weights(const mo_transformer_run *run, const mo_field *field, int64_t index, int64_t key_length,
                               mo_tensor *view, mo_attention_params *params) {
  MO_TRY(mo_transformer_weights_view(run, field, index, key_length, view));
  if (view->dtype == MO_DTYPE_NONE) return MO_STATUS_OK;
  params->weights = view;
  if (run->request == NULL) return MO_STATUS_OK;
  params->weights_reduction = run->request->attention_reduction;
  params->weight_heads = run->request->attention_heads;
  params->weight_last_rows = run->request->last_query_rows;
  return MO_STATUS_OK;
}

static mo_status_t attend(const mo_transformer_run *run, int64_t index, const mo_tensor *query, const key_source *source,
                          const mo_tensor *output) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_inputs *inputs = run->inputs;
  const int64_t key_length = source->length;
  mo_tensor weight_view, mask, bias;
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = output;
  params.query = query;
  set_source(source, &params);
  params.scale = mo_transformer_attention_scale(&stack->config, index);
  params.causal = stack->config.decoder;
  params.sliding_window = mo_transformer_window(&stack->config, index);
  if (inputs->mask.dtype != MO_DTYPE_NONE) {
    mask = mo_transformer_last_columns(&inputs->mask, key_length);
    params.mask = &mask;
  }
  if (stack->config.attention.relative_buckets > 0) {
    const mo_tensor whole = mo_transformer_bias(run);
    bias = mo_transformer_last_columns(&whole, key_length);
    params.bias = &bias;
  }
  MO_TRY(set_weights(run, run->outputs->attentions, index, key_length, &weight_view, &params));
  return mo_attention(stack->context, &params);
}

mo_tensor mo_transformer_bias(const mo_transformer_run *run) {
  const int64_t rows = run->inputs->rows_differ ? run->inputs->batch_size : 1;
  const int64_t shape[4] = {rows, run->stack->config.attention.head_count, run->inputs->sequence_length,
                            run->inputs->key_length};
  return mo_device_tensor(run->stack->context, run->workspace->bias, run->stack->dtype, 4, shape);
}

mo_status_t mo_transformer_relative_bias(const mo_transformer_run *run) {
  const mo_transformer *stack = run->stack;
  if (stack->config.attention.relative_buckets == 0) return MO_STATUS_OK;
  const mo_tensor output = mo_transformer_bias(run), *lengths = &run->inputs->cache_lengths;
  mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
  params.kind = MO_POSITION_BIAS_T5;
  params.output = &output;
  params.table = &stack->relative_bias.tensor;
  params.bidirectional = !stack->config.decoder;
  params.max_distance = stack->config.attention.relative_max_distance;
  params.query_offset = run->inputs->past_length;
  mo_tensor part = *lengths; /* every row goes on from the same position */
  part.shape[0] = 1;
  if (lengths->dtype != MO_DTYPE_NONE) params.query_offsets = &part;
  if (!run->inputs->rows_differ) return mo_position_bias(stack->context, &params);
  part = output;
  part.shape[0] = 1;
  params.output = &part;
  for (int64_t row = 0; row < output.shape[0]; row++) {
    part.data = (char *)output.data + (size_t)(row * output.strides[0]) * mo_dtype_bytes(output.dtype);
    params.query_offset = mo_cache_row_length(run->inputs->cache, row);
    MO_TRY(mo_position_bias(stack->context, &params));
  }
  return MO_STATUS_OK;
}

/* ---- Keys and values through a cache ------------------------------------------------------------------------------------ */

/* Writes new tokens behind those of a layer and says what the layer then holds. A layer that was never written has no extents
 * yet: its first update gives them (and counts, which mo_transformer_commit leaves alone). */
static mo_status_t append(const mo_transformer_run *run, mo_cache_t *cache, bool is_new, int64_t index, const mo_tensor *key,
                          const mo_tensor *value, const mo_rotary *rotary, mo_cache_entry *entry) {
  const mo_tensor *positions = run->inputs->positions.dtype != MO_DTYPE_NONE ? &run->inputs->positions : NULL;
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
  MO_TRY(mo_kv_update(run->stack->context, &params));
  return mo_cache_written(cache, index, key->shape[2], entry);
}

static mo_status_t rotate(const mo_transformer_run *run, const mo_rotary *rotary, const mo_tensor *query,
                          const mo_tensor *key) {
  mo_rotary_params params = MO_ROTARY_PARAMS_INIT;
  params.rotary = *rotary;
  params.query_output = params.query = query;
  params.key_output = params.key = key;
  if (run->inputs->positions.dtype != MO_DTYPE_NONE) params.position_ids = &run->inputs->positions;
  params.position_offset = run->inputs->past_length;
  return mo_rotary_embedding(run->stack->context, &params);
}

mo_status_t mo_transformer_self_attention(const mo_transformer_run *run, int64_t index, const mo_tensor *product,
                                          const mo_tensor *mixed) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_config *config = &stack->config;
  const int64_t size = config->attention.head_size, heads = config->attention.head_count,
                shared = config->attention.key_value_head_count;
  const int64_t length = run->inputs->sequence_length;
  const bool per_head = config->attention.projections == MO_PROJECTIONS_PER_HEAD;
  const int64_t stride = per_head ? 3 * size : size;
  const mo_tensor query = head_view(run, product, length, heads, 0, stride);
  const mo_tensor key = head_view(run, product, length, shared, per_head ? size : heads * size, stride);
  const mo_tensor value = head_view(run, product, length, shared, per_head ? 2 * size : (heads + shared) * size, stride);
  const mo_tensor output = head_view(run, mixed, length, heads, 0, size);
  const mo_tensor cosine = rotary_table(stack, false), sine = rotary_table(stack, true);
  const mo_rotary tables = {.cosine = &cosine, .sine = &sine, .pairing = MO_ROTARY_HALVES};
  const mo_rotary *rotary = config->attention.rotary.rotary_dim > 0 ? &tables : NULL;

  if (run->inputs->cache == NULL) {
    if (rotary != NULL) MO_TRY(rotate(run, rotary, &query, &key));
    const key_source source = plain_source(&key, &value);
    return attend(run, index, &query, &source, &output);
  }
  if (mo_transformer_decodes(run)) return mo_transformer_decode(run, index, rotary, &query, &key, &value, &output);
  mo_cache_entry entry;
  MO_TRY(append(run, run->inputs->cache, run->inputs->cache_is_new, index, &key, &value, rotary, &entry));
  if (rotary != NULL) MO_TRY(rotate(run, rotary, &query, NULL));
  const key_source source = entry_source(&entry);
  return attend(run, index, &query, &source, &output);
}

/* ---- Cross attention ---------------------------------------------------------------------------------------------------- */

/* Keys and values of the encoder's hidden states: one product, for as long as nothing else is in that memory. */
static mo_status_t make_cross(const mo_transformer_run *run, const mo_transformer_layer *layer, mo_tensor *key,
                              mo_tensor *value) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_inputs *inputs = run->inputs;
  const int64_t rows = inputs->batch_size * inputs->encoder_length;
  const int64_t width = stack->config.attention.key_value_head_count * stack->config.attention.head_size;
  const mo_tensor product = mo_transformer_matrix(run, run->workspace->cross, rows, 2 * width);
  MO_TRY(mo_dense_apply(stack->context, &layer->cross_key_value, MO_ACTIVATION_NONE, &product, &inputs->encoder_hidden, NULL));
  *key = head_view(run, &product, inputs->encoder_length, stack->config.attention.key_value_head_count, 0,
                   stack->config.attention.head_size);
  *value = head_view(run, &product, inputs->encoder_length, stack->config.attention.key_value_head_count, width,
                     stack->config.attention.head_size);
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_cross_attention(const mo_transformer_run *run, int64_t index, const mo_transformer_layer *layer,
                                           const mo_tensor *query_matrix, const mo_tensor *mixed) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_inputs *inputs = run->inputs;
  const mo_tensor query = head_view(run, query_matrix, inputs->sequence_length, stack->config.attention.head_count, 0,
                                    stack->config.attention.head_size);
  const mo_tensor output =
      head_view(run, mixed, inputs->sequence_length, stack->config.attention.head_count, 0, stack->config.attention.head_size);
  mo_tensor weight_view;
  mo_cache_entry entry;
  key_source source;
  if (inputs->cross_is_cached && inputs->sequence_length <= MO_DECODE_ATTENTION_MAX_TOKENS)
    return mo_transformer_decode_cross(run, index, &query, &output);
  if (inputs->cross_is_cached) {
    MO_TRY(mo_cache_read(inputs->cross_cache, index, &entry));
    source = entry_source(&entry);
  } else {
    mo_tensor key, value;
    MO_TRY(make_cross(run, layer, &key, &value));
    source = plain_source(&key, &value);
    if (inputs->cross_cache != NULL)
      MO_TRY(append(run, inputs->cross_cache, inputs->cross_is_new, index, &key, &value, NULL, &entry));
  }
  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = &output;
  params.query = &query;
  set_source(&source, &params);
  params.scale = mo_transformer_attention_scale(&stack->config, index);
  if (inputs->encoder_mask.dtype != MO_DTYPE_NONE) params.mask = &inputs->encoder_mask;
  MO_TRY(set_weights(run, run->outputs->cross_attentions, index, source.length, &weight_view, &params));
  return mo_attention(stack->context, &params);
}
