/* host/nn/transformer_forward.c - one forward pass through a transformer.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/elementwise.h"
#include "host/nn/transformer.h"
#include "modelout/cast.h"

/* What stays the same over the layers of one run. */
typedef struct run_state {
  const mo_transformer *transformer;
  const mo_transformer_workspace *workspace;
  mo_pass pass;
  mo_rotary_view rotary, local_rotary;
  mo_tensor bias; /* dtype NONE: none */
} run_state;

/* ---- Layers ------------------------------------------------------------------------------------------------------------- */

/* The hidden state between the layers. */
static mo_tensor residual_matrix(const run_state *run, void *data) {
  const int64_t shape[2] = {run->pass.tokens, run->transformer->config.hidden_size};
  return mo_device_tensor(run->pass.context, data, mo_transformer_residual_dtype(run->transformer), 2, shape);
}

static bool has_wide_residual(const mo_transformer *transformer) {
  return mo_transformer_residual_dtype(transformer) != transformer->dtype;
}

static mo_status_t cast(const run_state *run, const mo_tensor *output, const mo_tensor *input) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = output;
  params.input = input;
  params.saturate = true;
  return mo_cast(run->pass.context, &params);
}

static mo_status_t norm(const run_state *run, const mo_norm_weights *weights, const mo_tensor *output, const mo_tensor *input,
                        const mo_tensor *residual) {
  return mo_norm_apply(run->pass.context, weights, run->transformer->config.norm.epsilon, output, input, residual);
}

/* One layer of a run: its parameters, and what its attention wants to know. */
typedef struct layer_run {
  const run_state *run;
  const mo_transformer_layer *parameters;
  mo_attention_layer attention;
} layer_run;

static layer_run begin_layer(const run_state *run, int64_t index) {
  const mo_transformer *transformer = run->transformer;
  const mo_layer_spec *spec = &transformer->config.layers[index];
  return (layer_run){.run = run,
                     .parameters = &transformer->layers[spec->parameters],
                     .attention = {.index = index,
                                   .window = spec->window,
                                   .scale = spec->attention_scale,
                                   .soft_cap = transformer->config.attention.soft_cap,
                                   .rotary = !spec->rotary           ? NULL
                                             : spec->rotary_is_local ? &run->local_rotary.rotary
                                                                     : &run->rotary.rotary,
                                   .bias = run->bias.dtype != MO_DTYPE_NONE ? &run->bias : NULL,
                                   .causal = transformer->config.decoder || transformer->config.causal}};
}

static mo_status_t self_attention(const layer_run *layer, const mo_tensor *output, const mo_tensor *input,
                                  const mo_tensor *residual) {
  return mo_self_attention_forward(&layer->parameters->attention, &layer->run->pass, &layer->run->transformer->config.attention,
                                   &layer->attention, output, input, residual);
}

static mo_status_t cross_attention(const layer_run *layer, const mo_tensor *output, const mo_tensor *input,
                                   const mo_tensor *residual) {
  return mo_cross_attention_forward(&layer->parameters->cross, &layer->run->pass, &layer->run->transformer->config.attention,
                                    &layer->attention, layer->run->workspace->cross, output, input, residual);
}

static mo_status_t feed_forward(const layer_run *layer, const mo_tensor *output, const mo_tensor *input,
                                const mo_tensor *residual) {
  return mo_feed_forward_forward(&layer->parameters->feed_forward, &layer->run->pass,
                                 &layer->run->transformer->config.feed_forward, output, input, residual);
}

/* hidden -> destination, which may be the same memory: each value is read for the last time before it is written. */
static mo_status_t run_post_norm(const layer_run *layer, const mo_tensor *hidden, const mo_tensor *destination) {
  const run_state *run = layer->run;
  const mo_transformer_layer *parameters = layer->parameters;
  const mo_tensor attended = mo_pass_tokens(&run->pass, run->workspace->attended, run->transformer->config.hidden_size);
  MO_TRY(self_attention(layer, &attended, hidden, NULL));
  MO_TRY(norm(run, &parameters->attention_norm, &attended, &attended, hidden));
  if (run->pass.inputs->encoder_length > 0) {
    MO_TRY(cross_attention(layer, destination, &attended, NULL));
    MO_TRY(norm(run, &parameters->cross_norm, &attended, destination, &attended));
  }
  MO_TRY(feed_forward(layer, destination, &attended, NULL));
  return norm(run, &parameters->feed_forward_norm, destination, destination, &attended);
}

static mo_status_t run_pre_norm(const layer_run *layer, const mo_tensor *hidden, const mo_tensor *destination) {
  const run_state *run = layer->run;
  const mo_transformer_layer *parameters = layer->parameters;
  const mo_tensor normed = mo_pass_tokens(&run->pass, run->workspace->attended, run->transformer->config.hidden_size);
  MO_TRY(norm(run, &parameters->attention_norm, &normed, hidden, NULL));
  MO_TRY(self_attention(layer, destination, &normed, hidden));
  if (run->pass.inputs->encoder_length > 0) {
    MO_TRY(norm(run, &parameters->cross_norm, &normed, destination, NULL));
    MO_TRY(cross_attention(layer, destination, &normed, destination));
  }
  MO_TRY(norm(run, &parameters->feed_forward_norm, &normed, destination, NULL));
  return feed_forward(layer, destination, &normed, destination);
}

/* destination = x + norm(result) */
static mo_status_t add_normed(const run_state *run, const mo_norm_weights *weights, const mo_tensor *result, const mo_tensor *x,
                              const mo_tensor *destination) {
  MO_TRY(norm(run, weights, result, result, NULL));
  return mo_add(run->pass.context, destination, x, result);
}

static mo_status_t run_around(const layer_run *layer, const mo_tensor *hidden, const mo_tensor *destination) {
  const run_state *run = layer->run;
  const mo_transformer_layer *parameters = layer->parameters;
  const int64_t width = run->transformer->config.hidden_size;
  const mo_tensor normed = mo_pass_tokens(&run->pass, run->workspace->attended, width);
  const mo_tensor result = mo_pass_tokens(&run->pass, run->workspace->second, width);
  MO_TRY(norm(run, &parameters->attention_norm, &normed, hidden, NULL));
  MO_TRY(self_attention(layer, &result, &normed, NULL));
  MO_TRY(add_normed(run, &parameters->attention_end_norm, &result, hidden, destination));
  MO_TRY(norm(run, &parameters->feed_forward_norm, &normed, destination, NULL));
  MO_TRY(feed_forward(layer, &result, &normed, NULL));
  return add_normed(run, &parameters->feed_forward_end_norm, &result, destination, destination);
}

static mo_status_t run_parallel(const layer_run *layer, const mo_tensor *hidden, const mo_tensor *destination) {
  const run_state *run = layer->run;
  const mo_transformer_layer *parameters = layer->parameters;
  const int64_t width = run->transformer->config.hidden_size;
  const mo_tensor first = mo_pass_tokens(&run->pass, run->workspace->attended, width);
  const mo_tensor second = mo_pass_tokens(&run->pass, run->workspace->second, width);
  MO_TRY(norm(run, &parameters->attention_norm, &first, hidden, NULL));
  MO_TRY(norm(run, &parameters->feed_forward_norm, &second, hidden, NULL));
  MO_TRY(self_attention(layer, destination, &first, hidden));
  return feed_forward(layer, destination, &second, destination);
}

static mo_status_t run_layer(const run_state *run, int64_t index, const mo_tensor *hidden, const mo_tensor *destination) {
  const layer_run layer = begin_layer(run, index);
  switch (run->transformer->config.norm_placement) {
    case MO_NORM_POST:
      return run_post_norm(&layer, hidden, destination);
    case MO_NORM_PRE:
      return run_pre_norm(&layer, hidden, destination);
    case MO_NORM_AROUND:
      return run_around(&layer, hidden, destination);
    case MO_NORM_PARALLEL:
      return run_parallel(&layer, hidden, destination);
  }
  return mo_fail(MO_STATUS_INTERNAL, "model: norm placement %d", (int)run->transformer->config.norm_placement);
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

static mo_status_t embed(const run_state *run, const mo_tensor *destination) {
  const mo_transformer_config *config = &run->transformer->config;
  const mo_embedder *embedder = &run->pass.inputs->embedder;
  if (embedder->embed != NULL) return embedder->embed(embedder->state, &run->pass, destination);
  return mo_token_embedding_forward(&run->transformer->embedding, &run->pass, &config->embedding, &config->norm,
                                    run->workspace->attended, destination);
}

/* Where hidden state `index` is to be written: its sink, or the workspace. */
static mo_tensor hidden_destination(const run_state *run, int64_t index) {
  const mo_transformer_config *config = &run->transformer->config;
  const bool last = index == config->layer_count;
  const mo_tensor *tensor = mo_sinks_state(run->pass.sinks, index, last);
  const int64_t width = last ? config->output_size : config->hidden_size;
  if (tensor == NULL) return mo_pass_tokens(&run->pass, run->workspace->hidden, width);
  return mo_tensor_reshaped(tensor, 2, (int64_t[]){run->pass.tokens, width});
}

/* Where the last hidden state is to be written. */
static mo_tensor last_destination(const run_state *run) {
  const mo_transformer_config *config = &run->transformer->config;
  if (config->final_norm != MO_FINAL_NORM_AFTER_STATES) return hidden_destination(run, config->layer_count);
  const mo_tensor *tensor = mo_field_tensor(run->pass.sinks->last_state);
  if (tensor == NULL) return mo_pass_tokens(&run->pass, run->workspace->hidden, config->output_size);
  return mo_tensor_reshaped(tensor, 2, (int64_t[]){run->pass.tokens, config->output_size});
}

/* From the last layer's result to the last hidden state. */
static mo_status_t finish(const run_state *run, mo_tensor *hidden) {
  const mo_transformer *transformer = run->transformer;
  const mo_transformer_config *config = &transformer->config;
  mo_tensor destination = last_destination(run);
  /* Neither two dtypes in one place, nor the bytes of one over those of the other. */
  if (has_wide_residual(transformer) && destination.data == hidden->data) destination.data = run->workspace->second;
  if (config->final_norm != MO_FINAL_NORM_NONE) {
    /* What the last layer gave stays if hidden_states shows it. */
    const bool keeps = config->final_norm == MO_FINAL_NORM_AFTER_STATES;
    const mo_tensor elsewhere = mo_pass_tokens(&run->pass, run->workspace->attended, config->hidden_size);
    const mo_tensor normed = !mo_transformer_projects_output(config) ? destination : keeps ? elsewhere : *hidden;
    MO_TRY(norm(run, &transformer->final_norm, &normed, hidden, NULL));
    if (mo_transformer_projects_output(config)) *hidden = normed;
  }
  if (mo_transformer_projects_output(config)) {
    /* A projection cannot write where it reads. */
    if (destination.data == hidden->data) destination.data = run->workspace->second;
    MO_TRY(mo_dense_apply(run->pass.context, &transformer->output_projection, MO_ACTIVATION_NONE, &destination, hidden, NULL));
  }
  *hidden = destination;
  return MO_STATUS_OK;
}

/* Where layer `index` writes, from 0 (the embeddings) on. What is not the last hidden state yet has no place in the output,
 * unless the last of hidden_states is what the layer gives. */
static mo_tensor layer_destination(const run_state *run, bool finishes, int64_t index) {
  const mo_transformer_config *config = &run->transformer->config;
  const bool last = index == config->layer_count;
  if (!last || !finishes) return hidden_destination(run, index);
  const mo_tensor *state = mo_sinks_state(run->pass.sinks, index, false);
  if (config->final_norm != MO_FINAL_NORM_AFTER_STATES || state == NULL)
    return mo_pass_tokens(&run->pass, run->workspace->hidden, config->hidden_size);
  return mo_tensor_reshaped(state, 2, (int64_t[]){run->pass.tokens, config->hidden_size});
}

static mo_status_t run_layers(const run_state *run, bool finishes, mo_tensor *hidden) {
  *hidden = layer_destination(run, finishes, 0);
  MO_TRY(embed(run, hidden));
  for (int64_t i = 0; i < run->transformer->config.layer_count; i++) {
    const mo_tensor destination = layer_destination(run, finishes, i + 1);
    MO_TRY(run_layer(run, i, hidden, &destination));
    *hidden = destination;
  }
  return MO_STATUS_OK;
}

/* The same where the hidden state has a dtype of its own: it stays in the workspace, and the output gets casts of it. The last
 * layer's is not among them, as a final norm follows. */
static mo_status_t run_layers_widely(const run_state *run, mo_tensor *hidden) {
  const mo_transformer_config *config = &run->transformer->config;
  const mo_tensor embedded = mo_pass_tokens(&run->pass, run->workspace->attended, config->hidden_size);
  *hidden = residual_matrix(run, run->workspace->hidden);
  MO_TRY(embed(run, &embedded));
  MO_TRY(cast(run, hidden, &embedded));
  for (int64_t i = 0; i < config->layer_count; i++) {
    const mo_tensor *state = mo_sinks_state(run->pass.sinks, i, false);
    if (state != NULL) {
      const mo_tensor shown = mo_tensor_reshaped(state, 2, (int64_t[]){run->pass.tokens, config->hidden_size});
      MO_TRY(cast(run, &shown, hidden));
    }
    MO_TRY(run_layer(run, i, hidden, hidden));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_forward(const mo_transformer *transformer, const mo_transformer_inputs *inputs,
                                   const mo_transformer_workspace *workspace, const mo_sinks *sinks, mo_tensor *last_hidden) {
  const mo_transformer_config *config = &transformer->config;
  run_state run = {.transformer = transformer,
                   .workspace = workspace,
                   .pass = {.context = transformer->context,
                            .dtype = transformer->dtype,
                            .inputs = inputs,
                            .sinks = sinks,
                            .tokens = inputs->batch_size * inputs->sequence_length,
                            .wide = workspace->wide}};
  const bool finishes = config->final_norm != MO_FINAL_NORM_NONE || mo_transformer_projects_output(config);
  mo_tensor hidden;
  mo_rotary_tables_view(&transformer->rotary, transformer->context, &run.rotary);
  mo_rotary_tables_view(&transformer->local_rotary, transformer->context, &run.local_rotary);
  MO_TRY(mo_relative_bias_forward(&transformer->relative_bias, &run.pass, &config->relative_bias, config->attention.head_count,
                                  !config->decoder, workspace->bias, &run.bias));
  MO_TRY(has_wide_residual(transformer) ? run_layers_widely(&run, &hidden) : run_layers(&run, finishes, &hidden));
  if (finishes) MO_TRY(finish(&run, &hidden));
  *last_hidden = mo_pass_states(&run.pass, hidden.data, config->output_size);
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_commit(const mo_transformer *transformer, const mo_transformer_inputs *inputs) {
  const bool crossed = inputs->cross_cache != NULL && inputs->encoder_length > 0 && !inputs->cross_is_cached;
  for (int64_t i = 0; i < transformer->config.layer_count; i++) {
    if (inputs->cache != NULL && !inputs->cache_is_new) MO_TRY(mo_cache_commit(inputs->cache, i, inputs->sequence_length));
    if (crossed && !inputs->cross_is_new) MO_TRY(mo_cache_commit(inputs->cross_cache, i, inputs->encoder_length));
    if (crossed) MO_TRY(mo_cache_set_updated(inputs->cache_pair, i, true));
  }
  return MO_STATUS_OK;
}
