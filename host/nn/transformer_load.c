/* host/nn/transformer_load.c - the parameters of a layer stack, and the tables of its rotary embedding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "host/nn/transformer.h"

#define ROTARY_POSITIONS ((int64_t)8192) /* tables made when the model is loaded; longer sequences grow them */

int64_t mo_transformer_window(const mo_transformer_config *config, int64_t layer) {
  const bool listed = layer < MO_LISTED_LAYERS && (config->attention.full_layers[layer / 64] >> (layer % 64) & 1) != 0;
  return layer >= config->attention.first_window_layer && !listed ? config->attention.window : 0;
}

/* ---- Embeddings --------------------------------------------------------------------------------------------------------- */

static mo_status_t load_table(mo_loader *loader, const char *stem, int64_t rows, int64_t columns, mo_weight *weight) {
  char name[MO_PARAMETER_NAME_BYTES];
  MO_TRY(mo_parameter_name(name, stem, ".weight", ""));
  return mo_load_table(loader, name, rows, columns, weight);
}

/* The first of the names that the files have, if none was `found` so far. */
static mo_status_t choose_name(const mo_loader *loader, const char *const *stems, bool *found, const char **chosen) {
  char name[MO_PARAMETER_NAME_BYTES];
  for (; stems != NULL && *stems != NULL && !*found; stems++) {
    MO_TRY(mo_parameter_name(name, *stems, ".weight", ""));
    *found = mo_checkpoint_contains(loader->checkpoint, name);
    if (*found) *chosen = *stems;
  }
  return MO_STATUS_OK;
}

/* The word table, which may have several names in a file that shares it: other tables', and that of a head tied to it. */
static mo_status_t load_words(mo_transformer *stack, mo_loader *loader, const mo_transformer_names *names) {
  const mo_transformer_config *config = &stack->config;
  const char *chosen = names->word;
  bool found = false;
  if (chosen == NULL) return MO_STATUS_OK; /* another stack's */
  MO_TRY(choose_name(loader, (const char *const[]){names->word, NULL}, &found, &chosen));
  MO_TRY(choose_name(loader, names->word_aliases, &found, &chosen));
  MO_TRY(choose_name(loader, loader->tied_heads, &found, &chosen));
  for (const char *const *alias = names->word_aliases; alias != NULL && *alias != NULL; alias++) {
    char name[MO_PARAMETER_NAME_BYTES];
    MO_TRY(mo_parameter_name(name, *alias, ".weight", ""));
    mo_checkpoint_mark_used(loader->checkpoint, name);
  }
  return load_table(loader, chosen, config->embedding.vocab_size, config->embedding.size, &stack->word);
}

static mo_status_t load_embeddings(mo_transformer *stack, mo_loader *loader, const mo_transformer_names *names) {
  const mo_transformer_config *config = &stack->config;
  const int64_t width = config->embedding.size;
  const mo_dense_rule projection = {
      .rows = {config->hidden_size}, .columns = width, .lacks_bias = config->embedding.projection_lacks_bias};
  MO_TRY(load_words(stack, loader, names));
  /* Positions are added before the embeddings are projected, but behind the projection they are as wide as the layers. */
  if (names->position != NULL) {
    const int64_t rows = config->embedding.position_count + config->embedding.position_offset;
    const int64_t columns = config->embedding.positions_after_projection ? config->hidden_size : width;
    MO_TRY(load_table(loader, names->position, rows, columns, &stack->position));
  }
  if (config->embedding.type_count > 0)
    MO_TRY(load_table(loader, names->type, config->embedding.type_count, width, &stack->type));
  if (names->embedding_norm != NULL)
    MO_TRY(mo_load_norm(loader, "", names->embedding_norm, config->norm, loader->dtype, width, &stack->embedding_norm));
  if (!config->embedding.projected) return MO_STATUS_OK;
  return mo_load_dense(loader, "", &names->projection, &projection, &stack->projection);
}

/* ---- Layers ------------------------------------------------------------------------------------------------------------- */

static mo_status_t load_self_attention(mo_transformer_layer *layer, mo_loader *loader, const mo_transformer *stack,
                                       const mo_transformer_names *names, const char *prefix) {
  const mo_transformer_config *config = &stack->config;
  const mo_dtype_t residual_dtype = mo_transformer_residual_dtype(stack);
  const int64_t mixed = config->attention.head_count * config->attention.head_size;
  const int64_t shared = config->attention.key_value_head_count * config->attention.head_size;
  const char *const separate[3] = {names->query, names->key, names->value};
  mo_dense_rule input = {.rows = {mixed, shared, shared},
                         .columns = config->hidden_size,
                         .lacks_bias = config->attention.lacks_bias,
                         .transposed = config->transposed_weights};
  const mo_dense_rule output = {.rows = {config->hidden_size},
                                .columns = mixed,
                                .lacks_bias = config->attention.output_lacks_bias,
                                .transposed = config->transposed_weights};
  if (config->attention.projections != MO_PROJECTIONS_SEPARATE) input.rows[0] += input.rows[1] + input.rows[2];
  if (config->attention.projections != MO_PROJECTIONS_SEPARATE) input.rows[1] = input.rows[2] = 0;
  const char *const *stems = config->attention.projections == MO_PROJECTIONS_SEPARATE ? separate : &names->query_key_value;
  MO_TRY(mo_load_norm(loader, prefix, names->attention_norm, config->norm, residual_dtype, config->hidden_size,
                      &layer->attention_norm));
  MO_TRY(mo_load_dense(loader, prefix, stems, &input, &layer->query_key_value));
  return mo_load_dense(loader, prefix, &names->attention_output, &output, &layer->attention_output);
}

static mo_status_t load_cross_attention(mo_transformer_layer *layer, mo_loader *loader, const mo_transformer *stack,
                                        const mo_transformer_names *names, const char *prefix) {
  const mo_transformer_config *config = &stack->config;
  const mo_dtype_t residual_dtype = mo_transformer_residual_dtype(stack);
  const int64_t mixed = config->attention.head_count * config->attention.head_size;
  const int64_t shared = config->attention.key_value_head_count * config->attention.head_size;
  const bool fused = names->cross_key_value != NULL;
  const char *const separate[2] = {names->cross_key, names->cross_value};
  mo_dense_rule rule = {.rows = {mixed},
                        .columns = config->hidden_size,
                        .lacks_bias = config->attention.lacks_bias,
                        .transposed = config->transposed_weights};
  MO_TRY(
      mo_load_norm(loader, prefix, names->cross_norm, config->norm, residual_dtype, config->hidden_size, &layer->cross_norm));
  MO_TRY(mo_load_dense(loader, prefix, &names->cross_query, &rule, &layer->cross_query));
  rule.columns = config->attention.encoder_size;
  rule.rows[0] = fused ? 2 * shared : shared;
  rule.rows[1] = fused ? 0 : shared;
  MO_TRY(mo_load_dense(loader, prefix, fused ? &names->cross_key_value : separate, &rule, &layer->cross_key_value));
  rule.columns = mixed;
  rule.rows[0] = config->hidden_size;
  rule.rows[1] = 0;
  rule.lacks_bias = config->attention.output_lacks_bias;
  return mo_load_dense(loader, prefix, &names->cross_output, &rule, &layer->cross_output);
}

static mo_status_t load_mlp(mo_transformer_layer *layer, mo_loader *loader, const mo_transformer *stack,
                            const mo_transformer_names *names, const char *prefix) {
  const mo_transformer_config *config = &stack->config;
  const mo_dtype_t residual_dtype = mo_transformer_residual_dtype(stack);
  const char *single = names->ungated_intermediate != NULL ? names->ungated_intermediate : names->intermediate;
  const char *const stems[2] = {config->feed_forward.gated ? names->gate : single, names->intermediate};
  mo_dense_rule rule = {.rows = {config->feed_forward.size, config->feed_forward.gated ? config->feed_forward.size : 0},
                        .columns = config->hidden_size,
                        .lacks_bias = config->feed_forward.lacks_bias,
                        .transposed = config->transposed_weights};
  MO_TRY(
      mo_load_norm(loader, prefix, names->output_norm, config->norm, residual_dtype, config->hidden_size, &layer->output_norm));
  MO_TRY(mo_load_dense(loader, prefix, stems, &rule, &layer->intermediate));
  rule.rows[0] = config->hidden_size;
  rule.rows[1] = 0;
  rule.columns = config->feed_forward.size;
  return mo_load_dense(loader, prefix, &names->output, &rule, &layer->output);
}

static mo_status_t load_layer(mo_transformer *stack, mo_loader *loader, const mo_transformer_names *names, int64_t index) {
  mo_transformer_layer *layer = &stack->layers[index];
  char prefix[MO_PARAMETER_NAME_BYTES];
  const int length = snprintf(prefix, sizeof prefix, "%s%" PRId64 "%s", names->layer_prefix, index, names->layer_infix);
  MO_CHECK(length > 0 && (size_t)length < sizeof prefix, MO_STATUS_INTERNAL, "model: the name of layer %" PRId64 " is too long",
           index);
  MO_TRY(load_self_attention(layer, loader, stack, names, prefix));
  if (stack->config.cross_attention) MO_TRY(load_cross_attention(layer, loader, stack, names, prefix));
  return load_mlp(layer, loader, stack, names, prefix);
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

static mo_status_t load_rest(mo_transformer *stack, mo_loader *loader, const mo_transformer_names *names) {
  const mo_transformer_config *config = &stack->config;
  const mo_dense_rule projection = {
      .rows = {config->output_size}, .columns = config->hidden_size, .lacks_bias = config->embedding.projection_lacks_bias};
  if (config->attention.relative_buckets > 0)
    MO_TRY(load_table(loader, names->relative_bias, config->attention.relative_buckets, config->attention.head_count,
                      &stack->relative_bias));
  if (config->final_norm)
    MO_TRY(mo_load_norm(loader, "", names->final_norm, config->norm, mo_transformer_residual_dtype(stack), config->hidden_size,
                        &stack->final_norm));
  if (config->project_output)
    MO_TRY(mo_load_dense(loader, "", &names->output_projection, &projection, &stack->output_projection));
  if (config->attention.rotary.rotary_dim == 0 || loader->context == NULL) return MO_STATUS_OK;
  const int64_t count =
      config->embedding.position_count < ROTARY_POSITIONS ? config->embedding.position_count : ROTARY_POSITIONS;
  return mo_transformer_prepare_rotary(stack, count, count);
}

mo_status_t mo_transformer_load(mo_transformer *stack, mo_loader *loader, const mo_transformer_names *names) {
  const int64_t count = stack->config.layer_group_count;
  if (stack->layers == NULL && count > 0) {
    stack->layers = mo_host_allocate(stack->context, (size_t)count * sizeof *stack->layers);
    if (stack->layers == NULL) return MO_STATUS_OUT_OF_MEMORY;
  }
  MO_TRY(load_embeddings(stack, loader, names));
  for (int64_t i = 0; i < count; i++) MO_TRY(load_layer(stack, loader, names, i));
  return load_rest(stack, loader, names);
}

void mo_transformer_release(mo_transformer *stack) {
  const int64_t count = stack->config.layer_group_count;
  for (int64_t i = 0; stack->layers != NULL && i < count; i++) {
    mo_transformer_layer *layer = &stack->layers[i];
    mo_dense_release(&layer->query_key_value);
    mo_dense_release(&layer->attention_output);
    mo_norm_weights_release(&layer->attention_norm);
    mo_dense_release(&layer->cross_query);
    mo_dense_release(&layer->cross_key_value);
    mo_dense_release(&layer->cross_output);
    mo_norm_weights_release(&layer->cross_norm);
    mo_dense_release(&layer->intermediate);
    mo_dense_release(&layer->output);
    mo_norm_weights_release(&layer->output_norm);
  }
  if (stack->layers != NULL) mo_host_free(stack->context, stack->layers, (size_t)count * sizeof *stack->layers);
  stack->layers = NULL;
  mo_weight_release(&stack->word);
  mo_weight_release(&stack->position);
  mo_weight_release(&stack->type);
  mo_weight_release(&stack->relative_bias);
  mo_norm_weights_release(&stack->embedding_norm);
  mo_norm_weights_release(&stack->final_norm);
  mo_dense_release(&stack->projection);
  mo_dense_release(&stack->output_projection);
  if (stack->rotary_tables != NULL) mo_context_release(stack->context, stack->rotary_tables);
  stack->rotary_tables = NULL;
}

/* ---- Rotary tables ------------------------------------------------------------------------------------------------------ */

static mo_status_t make_tables(mo_transformer *stack, int64_t count, int64_t length, void *tables) {
  const int64_t elements = count * (stack->config.attention.rotary.rotary_dim / 2);
  const size_t bytes = (size_t)(2 * elements) * sizeof(float);
  const bool direct = mo_context_backend(stack->context)->memory_is_host;
  float *host = direct ? tables : mo_host_allocate(stack->context, bytes);
  if (host == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_rotary_fill_tables(&stack->config.attention.rotary, count, length, host, host + elements);
  if (direct) return status;
  if (status == MO_STATUS_OK) status = mo_context_copy_to_device(stack->context, tables, host, bytes);
  const mo_status_t waited = mo_context_synchronize(stack->context);
  mo_host_free(stack->context, host, bytes);
  return status != MO_STATUS_OK ? status : waited;
}

mo_status_t mo_transformer_prepare_rotary(mo_transformer *stack, int64_t position_count, int64_t length) {
  const mo_rotary_config *rotary = &stack->config.attention.rotary;
  if (rotary->rotary_dim == 0) return MO_STATUS_OK;
  /* Up to the pretrained length dynamic scaling is none; past it every length has its own frequencies. */
  const bool dynamic = rotary->scaling == MO_ROTARY_SCALING_DYNAMIC;
  if (!dynamic || length < rotary->original_max_positions) length = dynamic ? rotary->original_max_positions : 1;
  const bool fits = position_count <= stack->rotary_count;
  if (fits && stack->rotary_tables != NULL && length == stack->rotary_length) return MO_STATUS_OK;
  MO_CHECK(!mo_context_stream_is_capturing(stack->context, mo_context_stream(stack->context)), MO_STATUS_WRONG_STATE,
           "model: rotary tables for %" PRId64
           " positions are not there yet, and the stream is being captured: run once before",
           position_count);
  int64_t count = stack->rotary_count;
  if (!fits) count = position_count > count + count / 2 ? position_count : count + count / 2;
  void *tables = NULL;
  MO_TRY(mo_context_allocate(stack->context, (size_t)(count * rotary->rotary_dim) * sizeof(float), &tables));
  const mo_status_t status = make_tables(stack, count, length, tables);
  if (status != MO_STATUS_OK) {
    mo_context_release(stack->context, tables);
    return status;
  }
  if (stack->rotary_tables != NULL) mo_context_release(stack->context, stack->rotary_tables);
  stack->rotary_tables = tables;
  stack->rotary_count = count;
  stack->rotary_length = length;
  return MO_STATUS_OK;
}
