/* host/model/encoder.c - the encoder stack the BERT family shares.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/encoder.h"

#include <inttypes.h>
#include <stdio.h>

#include "modelout/attention.h"
#include "modelout/embedding.h"

/* ---- Loading ----------------------------------------------------------------------------------------------------------- */

static mo_status_t load_embeddings(mo_encoder *encoder, mo_loader *loader, const mo_encoder_names *names) {
  const mo_encoder_config *config = &encoder->config;
  const int64_t width = config->embedding_size;
  char name[MO_PARAMETER_NAME_BYTES];
  MO_TRY(mo_parameter_name(name, names->word, ".weight", ""));
  MO_TRY(mo_load_table(loader, name, config->vocab_size, width, &encoder->word));
  MO_TRY(mo_parameter_name(name, names->position, ".weight", ""));
  MO_TRY(mo_load_table(loader, name, config->position_count, width, &encoder->position));
  if (config->type_count > 0) {
    MO_TRY(mo_parameter_name(name, names->type, ".weight", ""));
    MO_TRY(mo_load_table(loader, name, config->type_count, width, &encoder->type));
  }
  MO_TRY(mo_load_norm(loader, "", names->embedding_norm, width, &encoder->embedding_norm));
  if (!config->project_embeddings) return MO_STATUS_OK;
  return mo_load_dense(loader, "", &names->projection, 1, config->hidden_size, width, &encoder->projection);
}

static mo_status_t load_layer(mo_encoder_layer *layer, mo_loader *loader, const mo_encoder_config *config,
                              const mo_encoder_names *names, int64_t index) {
  const int64_t width = config->hidden_size;
  char prefix[MO_PARAMETER_NAME_BYTES];
  const int length = snprintf(prefix, sizeof prefix, "%s%" PRId64 "%s", names->layer_prefix, index, names->layer_infix);
  MO_CHECK(length > 0 && (size_t)length < sizeof prefix, MO_STATUS_INTERNAL, "model: the name of layer %" PRId64 " is too long",
           index);
  const char *const projections[3] = {names->query, names->key, names->value};
  MO_TRY(mo_load_dense(loader, prefix, projections, 3, width, width, &layer->query_key_value));
  MO_TRY(mo_load_dense(loader, prefix, &names->attention_output, 1, width, width, &layer->attention_output));
  MO_TRY(mo_load_norm(loader, prefix, names->attention_norm, width, &layer->attention_norm));
  MO_TRY(mo_load_dense(loader, prefix, &names->intermediate, 1, config->intermediate_size, width, &layer->intermediate));
  MO_TRY(mo_load_dense(loader, prefix, &names->output, 1, width, config->intermediate_size, &layer->output));
  return mo_load_norm(loader, prefix, names->output_norm, width, &layer->output_norm);
}

mo_status_t mo_encoder_load(mo_encoder *encoder, mo_loader *loader, const mo_encoder_names *names) {
  const int64_t count = encoder->config.layer_group_count;
  if (encoder->layers == NULL && count > 0) {
    encoder->layers = mo_host_allocate(encoder->context, (size_t)count * sizeof *encoder->layers);
    if (encoder->layers == NULL) return MO_STATUS_OUT_OF_MEMORY;
  }
  MO_TRY(load_embeddings(encoder, loader, names));
  for (int64_t i = 0; i < count; i++) MO_TRY(load_layer(&encoder->layers[i], loader, &encoder->config, names, i));
  return MO_STATUS_OK;
}

void mo_encoder_release(mo_encoder *encoder) {
  const int64_t count = encoder->config.layer_group_count;
  for (int64_t i = 0; encoder->layers != NULL && i < count; i++) {
    mo_encoder_layer *layer = &encoder->layers[i];
    mo_dense_release(&layer->query_key_value);
    mo_dense_release(&layer->attention_output);
    mo_norm_weights_release(&layer->attention_norm);
    mo_dense_release(&layer->intermediate);
    mo_dense_release(&layer->output);
    mo_norm_weights_release(&layer->output_norm);
  }
  if (encoder->layers != NULL) mo_host_free(encoder->context, encoder->layers, (size_t)count * sizeof *encoder->layers);
  encoder->layers = NULL;
  mo_weight_release(&encoder->word);
  mo_weight_release(&encoder->position);
  mo_weight_release(&encoder->type);
  mo_norm_weights_release(&encoder->embedding_norm);
  mo_dense_release(&encoder->projection);
}

/* ---- Workspace --------------------------------------------------------------------------------------------------------- */

int64_t mo_encoder_wide_size(const mo_encoder_config *config) {
  int64_t size = 4 * config->hidden_size; /* query, key, value, and what attention gives */
  if (config->intermediate_size > size) size = config->intermediate_size;
  if (config->embedding_size > size) size = config->embedding_size;
  return size;
}

void mo_encoder_carve(const mo_encoder *encoder, int64_t token_count, mo_arena *arena, mo_encoder_workspace *workspace) {
  const size_t element = mo_dtype_bytes(encoder->dtype);
  const size_t state = (size_t)token_count * (size_t)encoder->config.hidden_size * element;
  workspace->hidden = mo_arena_carve(arena, state);
  workspace->attended = mo_arena_carve(arena, state);
  workspace->wide = mo_arena_carve(arena, (size_t)token_count * (size_t)mo_encoder_wide_size(&encoder->config) * element);
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* What stays the same over the layers of one run. */
typedef struct encoder_run {
  const mo_encoder *encoder;
  const mo_encoder_inputs *inputs;
  const mo_encoder_workspace *workspace;
  const mo_request *request;
  mo_field *hidden_states, *attentions, *last_hidden_state;
  int64_t tokens;
} encoder_run;

/* (B * S, width), contiguous. */
static mo_tensor token_matrix(const encoder_run *run, void *data, int64_t width) {
  return mo_device_tensor(run->encoder->context, data, run->encoder->dtype, 2, (int64_t[]){run->tokens, width});
}

/* Where hidden state `index` is to be written: its field, the field of the last one, or the workspace. */
static mo_tensor hidden_destination(const encoder_run *run, int64_t index) {
  const mo_encoder_config *config = &run->encoder->config;
  const mo_tensor *tensor = mo_field_tensor(mo_field_item(run->hidden_states, index));
  if (tensor == NULL && index == config->layer_count) tensor = mo_field_tensor(run->last_hidden_state);
  if (tensor == NULL) return token_matrix(run, run->workspace->hidden, config->hidden_size);
  return mo_tensor_reshaped(tensor, 2, (int64_t[]){run->tokens, config->hidden_size});
}

static mo_status_t embed(const encoder_run *run, const mo_tensor *destination) {
  const mo_encoder *encoder = run->encoder;
  const mo_encoder_config *config = &encoder->config;
  const mo_encoder_inputs *inputs = run->inputs;
  const int64_t shape[3] = {inputs->batch_size, inputs->sequence_length, config->embedding_size};
  void *const data = config->project_embeddings ? run->workspace->wide : destination->data;
  const mo_tensor summed = mo_device_tensor(encoder->context, data, encoder->dtype, 3, shape);

  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.output = &summed;
  if (inputs->ids.dtype != MO_DTYPE_NONE) {
    params.ids = &inputs->ids;
    params.word = &encoder->word.tensor;
  } else {
    params.embeds = &inputs->embeds;
  }
  params.position = &encoder->position.tensor;
  if (inputs->positions.dtype != MO_DTYPE_NONE) {
    params.position_ids = &inputs->positions;
  } else if (config->positions_skip_padding) {
    params.position_skips_padding = params.ids != NULL;
    params.padding_id = config->padding_id;
    if (params.ids == NULL) params.position_offset = config->padding_id + 1;
  }
  params.type = mo_weight_tensor(&encoder->type);
  if (inputs->types.dtype != MO_DTYPE_NONE) params.token_type_ids = &inputs->types;
  params.norm_weight = &encoder->embedding_norm.weight.tensor;
  params.norm_bias = &encoder->embedding_norm.bias.tensor;
  params.epsilon = config->epsilon;
  MO_TRY(mo_embedding(encoder->context, &params));
  if (!config->project_embeddings) return MO_STATUS_OK;

  const mo_tensor narrow = token_matrix(run, data, config->embedding_size);
  return mo_dense_apply(encoder->context, &encoder->projection, MO_ACTIVATION_NONE, destination, &narrow);
}

/* One of query, key and value as (B, heads, S, head size) in the product's (B * S, 3 * width) result. */
static mo_tensor head_view(const encoder_run *run, const mo_tensor *product, int64_t columns, int64_t first_column) {
  const mo_encoder_config *config = &run->encoder->config;
  const int64_t head_size = config->hidden_size / config->head_count;
  const int64_t length = run->inputs->sequence_length;
  mo_tensor view = {.data = (char *)product->data + (size_t)first_column * mo_dtype_bytes(product->dtype),
                    .dtype = product->dtype,
                    .device = product->device,
                    .rank = 4,
                    .shape = {run->inputs->batch_size, config->head_count, length, head_size},
                    .strides = {length * columns, head_size, columns, 1}};
  return view;
}

static mo_status_t attend(const encoder_run *run, int64_t index, const mo_tensor *product, const mo_tensor *mixed) {
  const mo_encoder *encoder = run->encoder;
  const int64_t width = encoder->config.hidden_size;
  const mo_tensor query = head_view(run, product, 3 * width, 0);
  const mo_tensor key = head_view(run, product, 3 * width, width);
  const mo_tensor value = head_view(run, product, 3 * width, 2 * width);
  const mo_tensor output = head_view(run, mixed, width, 0);

  mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
  params.output = &output;
  params.query = &query;
  params.key = &key;
  params.value = &value;
  if (run->inputs->mask.dtype != MO_DTYPE_NONE) params.mask = &run->inputs->mask;
  params.weights = mo_field_tensor(mo_field_item(run->attentions, index));
  if (params.weights != NULL && run->request != NULL) {
    params.weights_reduction = run->request->attention_reduction;
    params.weight_heads = run->request->attention_heads;
    params.weight_last_rows = run->request->last_query_rows;
  }
  return mo_attention(encoder->context, &params);
}

/* hidden -> destination, which may be the same memory: the input is read for the last time before the destination is written.
 */
static mo_status_t run_layer(const encoder_run *run, int64_t index, const mo_tensor *hidden, const mo_tensor *destination) {
  const mo_encoder *encoder = run->encoder;
  const mo_encoder_config *config = &encoder->config;
  mo_context_t *context = encoder->context;
  const int64_t width = config->hidden_size;
  /* Which group a layer belongs to: the division Transformers makes, in floating point. */
  const int64_t group = (int64_t)((double)index / ((double)config->layer_count / (double)config->layer_group_count));
  const mo_encoder_layer *layer = &encoder->layers[group];

  char *const wide = run->workspace->wide;
  const mo_tensor product = token_matrix(run, wide, 3 * width);
  const mo_tensor mixed =
      token_matrix(run, wide + (size_t)run->tokens * (size_t)(3 * width) * mo_dtype_bytes(encoder->dtype), width);
  const mo_tensor attended = token_matrix(run, run->workspace->attended, width);
  MO_TRY(mo_dense_apply(context, &layer->query_key_value, MO_ACTIVATION_NONE, &product, hidden));
  MO_TRY(attend(run, index, &product, &mixed));
  MO_TRY(mo_dense_apply(context, &layer->attention_output, MO_ACTIVATION_NONE, &attended, &mixed));
  MO_TRY(mo_norm_apply(context, &layer->attention_norm, config->epsilon, &attended, &attended, hidden));

  const mo_tensor inner = token_matrix(run, wide, config->intermediate_size);
  MO_TRY(mo_dense_apply(context, &layer->intermediate, config->activation, &inner, &attended));
  MO_TRY(mo_dense_apply(context, &layer->output, MO_ACTIVATION_NONE, destination, &inner));
  return mo_norm_apply(context, &layer->output_norm, config->epsilon, destination, destination, &attended);
}

mo_status_t mo_encoder_forward(const mo_encoder *encoder, const mo_encoder_inputs *inputs,
                               const mo_encoder_workspace *workspace, const mo_request *request, mo_output *output,
                               mo_tensor *last_hidden) {
  const encoder_run run = {.encoder = encoder,
                           .inputs = inputs,
                           .workspace = workspace,
                           .request = request,
                           .hidden_states = mo_output_get(output, "hidden_states"),
                           .attentions = mo_output_get(output, "attentions"),
                           .last_hidden_state = mo_output_get(output, "last_hidden_state"),
                           .tokens = inputs->batch_size * inputs->sequence_length};
  mo_tensor hidden = hidden_destination(&run, 0);
  MO_TRY(embed(&run, &hidden));
  for (int64_t i = 0; i < encoder->config.layer_count; i++) {
    const mo_tensor destination = hidden_destination(&run, i + 1);
    MO_TRY(run_layer(&run, i, &hidden, &destination));
    hidden = destination;
  }
  *last_hidden =
      mo_tensor_reshaped(&hidden, 3, (int64_t[]){inputs->batch_size, inputs->sequence_length, encoder->config.hidden_size});
  return MO_STATUS_OK;
}
