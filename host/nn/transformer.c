/* host/nn/transformer.c - the parameters of a transformer, and the memory of a run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/transformer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/core/context_internal.h"

/* ---- Parameters --------------------------------------------------------------------------------------------------------- */

static mo_status_t load_norm(const mo_transformer *transformer, mo_loader *loader, const char *prefix, const char *stem,
                             mo_norm_weights *norm) {
  const mo_transformer_config *config = &transformer->config;
  return mo_load_norm(loader, prefix, stem, config->norm.kind, mo_transformer_residual_dtype(transformer), config->hidden_size,
                      norm);
}

/* The set of parameters that is numbered `index` in the checkpoint. */
static mo_status_t load_layer(mo_transformer *transformer, mo_loader *loader, const mo_transformer_names *names, int64_t index,
                              mo_feed_forward_kind_t kind) {
  const mo_transformer_config *config = &transformer->config;
  const int64_t width = config->hidden_size;
  mo_transformer_layer *layer = &transformer->layers[index];
  char prefix[MO_PARAMETER_NAME_BYTES];
  const int length = snprintf(prefix, sizeof prefix, "%s%" PRId64 "%s", names->layer_prefix, index, names->layer_infix);
  MO_CHECK(length > 0 && (size_t)length < sizeof prefix, MO_STATUS_INTERNAL, "model: the name of layer %" PRId64 " is too long",
           index);
  MO_TRY(load_norm(transformer, loader, prefix, names->attention_norm, &layer->attention_norm));
  MO_TRY(mo_self_attention_load(&layer->attention, loader, prefix, &names->attention, &config->attention, width));
  if (config->cross_attention) {
    MO_TRY(load_norm(transformer, loader, prefix, names->cross_norm, &layer->cross_norm));
    MO_TRY(mo_cross_attention_load(&layer->cross, loader, prefix, &names->cross, &config->attention, width));
  }
  MO_TRY(load_norm(transformer, loader, prefix, names->feed_forward_norm, &layer->feed_forward_norm));
  if (config->norm_placement == MO_NORM_AROUND) {
    MO_TRY(load_norm(transformer, loader, prefix, names->attention_end_norm, &layer->attention_end_norm));
    MO_TRY(load_norm(transformer, loader, prefix, names->feed_forward_end_norm, &layer->feed_forward_end_norm));
  }
  return mo_feed_forward_load(&layer->feed_forward, loader, prefix, &names->feed_forward, &config->feed_forward, kind, width);
}

/* Sets are numbered in the order in which layers take them first. */
static mo_status_t load_layers(mo_transformer *transformer, mo_loader *loader, const mo_transformer_names *names) {
  const mo_transformer_config *config = &transformer->config;
  int64_t count = 0;
  for (int64_t i = 0; i < config->layer_count; i++)
    if (config->layers[i].parameters >= count) count = config->layers[i].parameters + 1;
  if (transformer->layers == NULL && count > 0) {
    transformer->layers = mo_host_allocate(transformer->context, (size_t)count * sizeof *transformer->layers);
    if (transformer->layers == NULL) return MO_STATUS_OUT_OF_MEMORY;
    transformer->layer_set_count = count;
  }
  int64_t loaded = 0;
  for (int64_t i = 0; i < config->layer_count; i++) {
    if (config->layers[i].parameters != loaded) continue;
    MO_TRY(load_layer(transformer, loader, names, loaded++, config->layers[i].feed_forward));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_load(mo_transformer *transformer, mo_loader *loader, const mo_transformer_names *names) {
  const mo_transformer_config *config = &transformer->config;
  const mo_dense_rule projection = {.rows = {config->output_size},
                                    .columns = config->hidden_size,
                                    .lacks_bias = config->output_projection != MO_OUTPUT_PROJECTION_ALWAYS};
  MO_TRY(mo_token_embedding_load(&transformer->embedding, loader, &names->embedding, &config->embedding, &config->norm,
                                 config->hidden_size));
  MO_TRY(load_layers(transformer, loader, names));
  MO_TRY(mo_relative_bias_load(&transformer->relative_bias, loader, names->relative_bias, &config->relative_bias,
                               config->attention.head_count));
  if (config->final_norm != MO_FINAL_NORM_NONE)
    MO_TRY(load_norm(transformer, loader, "", names->final_norm, &transformer->final_norm));
  if (mo_transformer_projects_output(config))
    MO_TRY(mo_load_dense(loader, "", &names->output_projection, &projection, &transformer->output_projection));
  if (loader->context == NULL) return MO_STATUS_OK;
  MO_TRY(mo_rotary_tables_load(&transformer->local_rotary, transformer->context, &config->local_rotary,
                               config->embedding.position_count));
  return mo_rotary_tables_load(&transformer->rotary, transformer->context, &config->attention.rotary,
                               config->embedding.position_count);
}

static void release_layer(mo_transformer_layer *layer) {
  mo_self_attention_release(&layer->attention);
  mo_cross_attention_release(&layer->cross);
  mo_feed_forward_release(&layer->feed_forward);
  mo_norm_weights_release(&layer->attention_norm);
  mo_norm_weights_release(&layer->cross_norm);
  mo_norm_weights_release(&layer->feed_forward_norm);
  mo_norm_weights_release(&layer->attention_end_norm);
  mo_norm_weights_release(&layer->feed_forward_end_norm);
}

void mo_transformer_release(mo_transformer *transformer) {
  const int64_t count = transformer->layer_set_count;
  for (int64_t i = 0; i < count; i++) release_layer(&transformer->layers[i]);
  if (count > 0) mo_host_free(transformer->context, transformer->layers, (size_t)count * sizeof *transformer->layers);
  transformer->layers = NULL;
  transformer->layer_set_count = 0;
  mo_token_embedding_release(&transformer->embedding);
  mo_relative_bias_release(&transformer->relative_bias);
  mo_norm_weights_release(&transformer->final_norm);
  mo_dense_release(&transformer->output_projection);
  mo_rotary_tables_release(&transformer->rotary, transformer->context);
  mo_rotary_tables_release(&transformer->local_rotary, transformer->context);
  free(transformer->config.layers);
  transformer->config.layers = NULL;
  transformer->config.layer_count = 0;
}

mo_status_t mo_transformer_prepare_rotary(mo_transformer *transformer, int64_t position_count, int64_t length) {
  MO_TRY(mo_rotary_tables_prepare(&transformer->local_rotary, transformer->context, &transformer->config.local_rotary,
                                  position_count, length));
  return mo_rotary_tables_prepare(&transformer->rotary, transformer->context, &transformer->config.attention.rotary,
                                  position_count, length);
}

/* ---- Memory of a run ---------------------------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t mo_transformer_wide_size(const mo_transformer_config *config) {
  int64_t size = larger(mo_attention_wide_size(&config->attention), mo_token_embedding_wide_size(&config->embedding));
  for (int64_t i = 0; i < config->layer_count; i++)
    size = larger(size, mo_feed_forward_wide_size(&config->feed_forward, config->layers[i].feed_forward));
  return size;
}

void mo_transformer_carve(const mo_transformer *transformer, const mo_transformer_inputs *inputs, mo_arena *arena,
                          mo_transformer_workspace *workspace) {
  const mo_transformer_config *config = &transformer->config;
  const mo_dtype_t dtype = transformer->dtype, residual = mo_transformer_residual_dtype(transformer);
  const size_t element = mo_dtype_bytes(dtype);
  const size_t tokens = (size_t)(inputs->batch_size * inputs->sequence_length);
  const size_t width = (size_t)larger(config->hidden_size, config->output_size);
  const bool two_norms = config->norm_placement == MO_NORM_PARALLEL || config->norm_placement == MO_NORM_AROUND,
             projects = mo_transformer_projects_output(config);
  *workspace = (mo_transformer_workspace){.hidden = NULL};
  workspace->hidden = mo_arena_carve(arena, tokens * width * mo_dtype_bytes(residual));
  if (two_norms || projects || residual != dtype) workspace->second = mo_arena_carve(arena, tokens * width * element);
  const size_t start = arena->used;
  workspace->attended = mo_arena_carve(arena, tokens * (size_t)config->hidden_size * element);
  workspace->wide = mo_arena_carve(arena, tokens * (size_t)mo_transformer_wide_size(config) * element);
  workspace->spare = workspace->attended;
  workspace->spare_bytes = arena->used - start;
  workspace->cross = mo_cross_attention_carve(&config->attention, dtype, inputs, arena);
  workspace->bias = mo_relative_bias_carve(&config->relative_bias, config->attention.head_count, dtype, inputs, arena);
}
