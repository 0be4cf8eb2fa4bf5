/* host/nn/transformer_forward.c - one forward pass through a layer stack.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/transformer.h"
#include "modelout/cast.h"
#include "modelout/embedding.h"
#include "modelout/gate.h"

/* ---- Workspace ---------------------------------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Columns of the product of query, key and value. */
static int64_t product_width(const mo_transformer_config *config) {
  return (config->attention.head_count + 2 * config->attention.key_value_head_count) * config->attention.head_size;
}

int64_t mo_transformer_wide_size(const mo_transformer_config *config) {
  /* Queries, keys and values, and what attention gives; the inner layer of the feed-forward; embeddings on their way. */
  const int64_t attention = product_width(config) + config->attention.head_count * config->attention.head_size;
  const int64_t inner = config->feed_forward.size * (config->feed_forward.gated ? 2 : 1);
  return larger(larger(attention, inner), config->embedding.size);
}

void mo_transformer_carve(const mo_transformer *stack, const mo_transformer_inputs *inputs, mo_arena *arena,
                          mo_transformer_workspace *workspace) {
  const mo_transformer_config *config = &stack->config;
  const size_t element = mo_dtype_bytes(stack->dtype);
  const size_t tokens = (size_t)(inputs->batch_size * inputs->sequence_length);
  const size_t key_value = (size_t)(2 * config->attention.key_value_head_count * config->attention.head_size) * element;
  const size_t encoder_tokens = (size_t)(inputs->batch_size * inputs->encoder_length);
  const size_t width = (size_t)larger(config->hidden_size, config->output_size);
  const bool wide_residual = mo_transformer_residual_dtype(stack) != stack->dtype;
  *workspace = (mo_transformer_workspace){.hidden = NULL};
  workspace->hidden = mo_arena_carve(arena, tokens * width * mo_dtype_bytes(mo_transformer_residual_dtype(stack)));
  if (config->parallel_residual || config->project_output || wide_residual)
    workspace->second = mo_arena_carve(arena, tokens * width * element);
  const size_t start = arena->used;
  workspace->attended = mo_arena_carve(arena, tokens * (size_t)config->hidden_size * element);
  workspace->wide = mo_arena_carve(arena, tokens * (size_t)mo_transformer_wide_size(config) * element);
  workspace->spare = workspace->attended;
  workspace->spare_bytes = arena->used - start;
  if (encoder_tokens > 0 && !inputs->cross_is_cached) workspace->cross = mo_arena_carve(arena, encoder_tokens * key_value);
  const int64_t bias_rows = inputs->rows_differ ? inputs->batch_size : 1;
  if (config->attention.relative_buckets > 0)
    workspace->bias = mo_arena_carve(
        arena, (size_t)(bias_rows * config->attention.head_count * inputs->sequence_length * inputs->key_length) * element);
}

/* ---- Embeddings --------------------------------------------------------------------------------------------------------- */

static mo_tensor token_matrix(const mo_transformer_run *run, void *data, int64_t width) {
  return mo_transformer_matrix(run, data, run->tokens, width);
}

/* The hidden state between the layers. */
static mo_tensor residual_matrix(const mo_transformer_run *run, void *data) {
  const int64_t shape[2] = {run->tokens, run->stack->config.hidden_size};
  return mo_device_tensor(run->stack->context, data, mo_transformer_residual_dtype(run->stack), 2, shape);
}

static bool has_wide_residual(const mo_transformer_run *run) {
  return mo_transformer_residual_dtype(run->stack) != run->stack->dtype;
}

static mo_status_t cast(const mo_transformer_run *run, const mo_tensor *output, const mo_tensor *input) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.saturate = true;
  return mo_cast(run->stack->context, &params);
}

static mo_tensor token_states(const mo_transformer_run *run, void *data, int64_t width) {
  const int64_t shape[3] = {run->inputs->batch_size, run->inputs->sequence_length, width};
  return mo_device_tensor(run->stack->context, data, run->stack->dtype, 3, shape);
}

/* Which row of the table each token takes. `view` is the part of the table that begins with position 0. */
static void set_positions(const mo_transformer_run *run, mo_tensor *view, mo_embedding_params *params) {
  const mo_transformer_config *config = &run->stack->config;
  const mo_transformer_inputs *inputs = run->inputs;
  const mo_tensor *table = mo_weight_tensor(&run->stack->position);
  params->position = table;
  if (table == NULL) return;
  if (inputs->positions.dtype != MO_DTYPE_NONE) {
    params->position_ids = &inputs->positions;
    if (inputs->positions_are_rows) return;
  } else if (config->embedding.positions == MO_POSITIONS_SKIP_PADDING) {
    params->position_skips_padding = params->ids != NULL;
    params->padding_id = config->embedding.padding_id;
    if (params->ids == NULL) params->position_offset = config->embedding.padding_id + 1;
    return;
  } else {
    params->position_offset = inputs->past_length;
  }
  *view = *table;
  view->data =
      (char *)table->data + (size_t)(config->embedding.position_offset * table->strides[0]) * mo_dtype_bytes(table->dtype);
  view->shape[0] = config->embedding.position_count;
  params->position = view;
}

static void set_words(const mo_transformer_run *run, mo_embedding_params *params) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_inputs *inputs = run->inputs;
  if (inputs->ids.dtype != MO_DTYPE_NONE) {
    params->ids = &inputs->ids;
    params->word = &stack->word.tensor;
    params->word_scale = stack->config.embedding.word_scale;
  } else {
    params->embeds = &inputs->embeds;
  }
  params->type = mo_weight_tensor(&stack->type);
  if (inputs->types.dtype != MO_DTYPE_NONE) {
    params->token_type_ids = &inputs->types;
    if (stack->config.embedding.types_are_words) params->type = &stack->word.tensor;
  }
  params->norm_weight = mo_weight_tensor(&stack->embedding_norm.weight);
  params->norm_bias = mo_weight_tensor(&stack->embedding_norm.bias);
  params->epsilon = stack->config.epsilon;
}

static mo_status_t embed(const mo_transformer_run *run, const mo_tensor *destination) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_config *config = &stack->config;
  void *const data = config->embedding.projected ? run->workspace->wide : destination->data;
  const mo_tensor summed = token_states(run, data, config->embedding.size);
  const bool late = config->embedding.positions_after_projection && config->embedding.projected;
  mo_tensor table;
  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.output = &summed;
  set_words(run, &params);
  if (!late) set_positions(run, &table, &params);
  MO_TRY(mo_embedding(stack->context, &params));
  if (!config->embedding.projected) return MO_STATUS_OK;

  const mo_tensor narrow = token_matrix(run, data, config->embedding.size);
  const mo_tensor projected = late ? token_matrix(run, run->workspace->attended, config->hidden_size) : *destination;
  MO_TRY(mo_dense_apply(stack->context, &stack->projection, MO_ACTIVATION_NONE, &projected, &narrow, NULL));
  if (!late) return MO_STATUS_OK;

  const mo_tensor states = token_states(run, destination->data, config->hidden_size);
  const mo_tensor embeds = token_states(run, projected.data, config->hidden_size);
  mo_embedding_params positions = MO_EMBEDDING_PARAMS_INIT;
  positions.output = &states;
  positions.embeds = &embeds;
  set_positions(run, &table, &positions);
  return mo_embedding(stack->context, &positions);
}

/* ---- Layers ------------------------------------------------------------------------------------------------------------- */

static mo_status_t norm(const mo_transformer_run *run, const mo_norm_weights *weights, const mo_tensor *output,
                        const mo_tensor *input, const mo_tensor *residual) {
  return mo_norm_apply(run->stack->context, weights, run->stack->config.epsilon, output, input, residual);
}

static mo_status_t dense(const mo_transformer_run *run, const mo_dense *weights, mo_activation_t activation,
                         const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual) {
  return mo_dense_apply(run->stack->context, weights, activation, output, input, residual);
}

/* output = attention_output(attention(input)) + residual */
static mo_status_t self_attention(const mo_transformer_run *run, int64_t index, const mo_transformer_layer *layer,
                                  const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual) {
  const mo_transformer_config *config = &run->stack->config;
  const int64_t columns = product_width(config);
  char *const wide = run->workspace->wide;
  const mo_tensor product = token_matrix(run, wide, columns);
  const mo_tensor mixed =
      token_matrix(run, wide + mo_tensor_bytes(&product), config->attention.head_count * config->attention.head_size);
  MO_TRY(dense(run, &layer->query_key_value, MO_ACTIVATION_NONE, &product, input, NULL));
  MO_TRY(mo_transformer_self_attention(run, index, &product, &mixed));
  return dense(run, &layer->attention_output, MO_ACTIVATION_NONE, output, &mixed, residual);
}

/* output = cross_output(attention(input, encoder)) + residual */
static mo_status_t cross_attention(const mo_transformer_run *run, int64_t index, const mo_transformer_layer *layer,
                                   const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual) {
  const int64_t columns = run->stack->config.attention.head_count * run->stack->config.attention.head_size;
  char *const wide = run->workspace->wide;
  const mo_tensor query = token_matrix(run, wide, columns);
  const mo_tensor mixed = token_matrix(run, wide + mo_tensor_bytes(&query), columns);
  MO_TRY(dense(run, &layer->cross_query, MO_ACTIVATION_NONE, &query, input, NULL));
  MO_TRY(mo_transformer_cross_attention(run, index, layer, &query, &mixed));
  return dense(run, &layer->cross_output, MO_ACTIVATION_NONE, output, &mixed, residual);
}

/* output = mlp(input) + residual */
static mo_status_t feed_forward(const mo_transformer_run *run, const mo_transformer_layer *layer, const mo_tensor *output,
                                const mo_tensor *input, const mo_tensor *residual) {
  const mo_transformer_config *config = &run->stack->config;
  const int64_t size = config->feed_forward.size;
  void *const wide = run->workspace->wide;
  mo_tensor inner = token_matrix(run, wide, config->feed_forward.gated ? 2 * size : size);
  MO_TRY(dense(run, &layer->intermediate, config->feed_forward.gated ? MO_ACTIVATION_NONE : config->feed_forward.activation,
               &inner, input, NULL));
  if (config->feed_forward.gated) {
    inner.shape[1] = size; /* the gate's columns; the other half lies behind them */
    mo_tensor other = inner;
    other.data = (char *)inner.data + (size_t)size * mo_dtype_bytes(inner.dtype);
    mo_gate_params params = MO_GATE_PARAMS_INIT;
    params.output = &inner;
    params.gate = &inner;
    params.input = &other;
    params.activation = config->feed_forward.activation;
    MO_TRY(mo_gate(run->stack->context, &params));
  }
  return dense(run, &layer->output, MO_ACTIVATION_NONE, output, &inner, residual);
}

/* hidden -> destination, which may be the same memory: each value is read for the last time before it is written. */
static mo_status_t run_norms_behind(const mo_transformer_run *run, int64_t index, const mo_transformer_layer *layer,
                                    const mo_tensor *hidden, const mo_tensor *destination) {
  const mo_tensor attended = token_matrix(run, run->workspace->attended, run->stack->config.hidden_size);
  MO_TRY(self_attention(run, index, layer, &attended, hidden, NULL));
  MO_TRY(norm(run, &layer->attention_norm, &attended, &attended, hidden));
  if (run->inputs->encoder_length > 0) {
    MO_TRY(cross_attention(run, index, layer, destination, &attended, NULL));
    MO_TRY(norm(run, &layer->cross_norm, &attended, destination, &attended));
  }
  MO_TRY(feed_forward(run, layer, destination, &attended, NULL));
  return norm(run, &layer->output_norm, destination, destination, &attended);
}

static mo_status_t run_norms_before(const mo_transformer_run *run, int64_t index, const mo_transformer_layer *layer,
                                    const mo_tensor *hidden, const mo_tensor *destination) {
  const mo_transformer_config *config = &run->stack->config;
  const mo_tensor normed = token_matrix(run, run->workspace->attended, config->hidden_size);
  MO_TRY(norm(run, &layer->attention_norm, &normed, hidden, NULL));
  if (config->parallel_residual) {
    const mo_tensor second = token_matrix(run, run->workspace->second, config->hidden_size);
    MO_TRY(norm(run, &layer->output_norm, &second, hidden, NULL));
    MO_TRY(self_attention(run, index, layer, destination, &normed, hidden));
    return feed_forward(run, layer, destination, &second, destination);
  }
  MO_TRY(self_attention(run, index, layer, destination, &normed, hidden));
  if (run->inputs->encoder_length > 0) {
    MO_TRY(norm(run, &layer->cross_norm, &normed, destination, NULL));
    MO_TRY(cross_attention(run, index, layer, destination, &normed, destination));
  }
  MO_TRY(norm(run, &layer->output_norm, &normed, destination, NULL));
  return feed_forward(run, layer, destination, &normed, destination);
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

/* Where hidden state `index` is to be written: its field, the field of the last one, or the workspace. */
static mo_tensor hidden_destination(const mo_transformer_run *run, int64_t index) {
  const mo_transformer_config *config = &run->stack->config;
  const bool last = index == config->layer_count;
  const mo_tensor *tensor = mo_field_tensor(mo_field_item(run->outputs->hidden_states, index));
  if (tensor == NULL && last) tensor = mo_field_tensor(run->outputs->last_hidden_state);
  const int64_t width = last ? config->output_size : config->hidden_size;
  if (tensor == NULL) return token_matrix(run, run->workspace->hidden, width);
  return mo_tensor_reshaped(tensor, 2, (int64_t[]){run->tokens, width});
}

static mo_status_t run_layer(const mo_transformer_run *run, int64_t index, const mo_tensor *hidden,
                             const mo_tensor *destination) {
  const mo_transformer_config *config = &run->stack->config;
  /* Which group a layer belongs to: the division Transformers makes, in floating point. */
  const int64_t group = (int64_t)((double)index / ((double)config->layer_count / (double)config->layer_group_count));
  const mo_transformer_layer *layer = &run->stack->layers[group];
  return config->norm_placement == MO_NORM_AFTER ? run_norms_behind(run, index, layer, hidden, destination)
                                                 : run_norms_before(run, index, layer, hidden, destination);
}

/* From the last layer's result, in the workspace, to the last hidden state. */
static mo_status_t finish(const mo_transformer_run *run, mo_tensor *hidden) {
  const mo_transformer *stack = run->stack;
  const mo_transformer_config *config = &stack->config;
  mo_tensor destination = hidden_destination(run, config->layer_count);
  /* Neither two dtypes in one place, nor the bytes of one over those of the other. */
  if (has_wide_residual(run) && destination.data == hidden->data) destination.data = run->workspace->second;
  if (config->final_norm) {
    const mo_tensor *normed = config->project_output ? hidden : &destination;
    MO_TRY(norm(run, &stack->final_norm, normed, hidden, NULL));
  }
  if (config->project_output) {
    /* A projection cannot write where it reads. */
    if (destination.data == hidden->data) destination.data = run->workspace->second;
    MO_TRY(dense(run, &stack->output_projection, MO_ACTIVATION_NONE, &destination, hidden, NULL));
  }
  *hidden = destination;
  return MO_STATUS_OK;
}

static mo_status_t run_layers(const mo_transformer_run *run, bool finishes, mo_tensor *hidden) {
  const mo_transformer_config *config = &run->stack->config;
  void *const memory = run->workspace->hidden;
  *hidden = config->layer_count == 0 && finishes ? token_matrix(run, memory, config->hidden_size) : hidden_destination(run, 0);
  MO_TRY(embed(run, hidden));
  MO_TRY(mo_transformer_relative_bias(run));
  for (int64_t i = 0; i < config->layer_count; i++) {
    /* What is not the last hidden state yet has no place in the output. */
    const bool inner = finishes && i + 1 == config->layer_count;
    const mo_tensor destination = inner ? token_matrix(run, memory, config->hidden_size) : hidden_destination(run, i + 1);
    MO_TRY(run_layer(run, i, hidden, &destination));
    *hidden = destination;
  }
  return MO_STATUS_OK;
}

/* The same where the hidden state has a dtype of its own: it stays in the workspace, and the output gets casts of it. The last
 * layer's is not among them, as a final norm follows. */
static mo_status_t run_layers_widely(const mo_transformer_run *run, mo_tensor *hidden) {
  const mo_transformer_config *config = &run->stack->config;
  const mo_tensor embedded = token_matrix(run, run->workspace->attended, config->hidden_size);
  *hidden = residual_matrix(run, run->workspace->hidden);
  MO_TRY(embed(run, &embedded));
  MO_TRY(cast(run, hidden, &embedded));
  MO_TRY(mo_transformer_relative_bias(run));
  for (int64_t i = 0; i < config->layer_count; i++) {
    const mo_tensor *field = mo_field_tensor(mo_field_item(run->outputs->hidden_states, i));
    if (field != NULL) {
      const mo_tensor shown = mo_tensor_reshaped(field, 2, (int64_t[]){run->tokens, config->hidden_size});
      MO_TRY(cast(run, &shown, hidden));
    }
    MO_TRY(run_layer(run, i, hidden, hidden));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_forward(const mo_transformer *stack, const mo_transformer_inputs *inputs,
                                   const mo_transformer_workspace *workspace, const mo_request *request,
                                   const mo_transformer_outputs *outputs, mo_tensor *last_hidden) {
  const mo_transformer_config *config = &stack->config;
  const mo_transformer_run run = {.stack = stack,
                                  .inputs = inputs,
                                  .workspace = workspace,
                                  .request = request,
                                  .outputs = outputs,
                                  .tokens = inputs->batch_size * inputs->sequence_length};
  const bool finishes = config->final_norm || config->project_output;
  mo_tensor hidden;
  MO_TRY(has_wide_residual(&run) ? run_layers_widely(&run, &hidden) : run_layers(&run, finishes, &hidden));
  if (finishes) MO_TRY(finish(&run, &hidden));
  *last_hidden = token_states(&run, hidden.data, config->output_size);
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_commit(const mo_transformer *stack, const mo_transformer_inputs *inputs) {
  const bool crossed = inputs->cross_cache != NULL && inputs->encoder_length > 0 && !inputs->cross_is_cached;
  for (int64_t i = 0; i < stack->config.layer_count; i++) {
    if (inputs->cache != NULL && !inputs->cache_is_new) MO_TRY(mo_cache_commit(inputs->cache, i, inputs->sequence_length));
    if (crossed && !inputs->cross_is_new) MO_TRY(mo_cache_commit(inputs->cross_cache, i, inputs->encoder_length));
    if (crossed) MO_TRY(mo_cache_set_updated(inputs->cache_pair, i, true));
  }
  return MO_STATUS_OK;
}
