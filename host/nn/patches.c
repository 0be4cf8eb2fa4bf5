/* host/nn/patches.c - loading and running the embeddings of patches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/patches.h"

#include <string.h>

#include "modelout/cast.h"
#include "modelout/embedding.h"

/* ---- Loading ------------------------------------------------------------------------------------------------------------ */

/* One token's vector; *values NULL in the looking walk. */
static mo_status_t read_token(mo_loader *loader, const char *name, bool is_vector, int64_t size, float **values) {
  return mo_read_values(loader, name, is_vector ? 1 : 3, is_vector ? &size : (const int64_t[]){1, 1, size}, values);
}

/* The tokens in front: each is its vector plus its row of the positions. */
static mo_status_t add_prefix(mo_loader *loader, const mo_patch_names *names, int64_t size, const float *positions,
                              float *prefix) {
  const char *const tokens[2] = {names->class_token, names->distillation_token};
  int64_t row = 0;
  for (int i = 0; i < 2; i++) {
    float *values;
    if (tokens[i] == NULL) continue;
    MO_TRY(read_token(loader, tokens[i], i == 0 && names->class_token_is_vector, size, &values));
    for (int64_t c = 0; values != NULL && c < size; c++)
      prefix[row * size + c] = values[c] + (positions != NULL ? positions[row * size + c] : 0.0f);
    mo_release_values(loader, values, size);
    row++;
  }
  return MO_STATUS_OK;
}

static mo_status_t load_tokens(mo_patches *patches, mo_loader *loader, const mo_patch_names *names,
                               const mo_patch_config *config) {
  const int64_t in_front = mo_patch_prefix(names), size = config->size, count = mo_patch_count(config);
  const int64_t shape[3] = {1, in_front + count, size};
  const bool is_table = names->positions == NULL;
  float *positions, *prefix = NULL;
  MO_TRY(mo_read_values(loader, is_table ? names->position_table : names->positions, is_table ? 2 : 3,
                        is_table ? shape + 1 : shape, &positions));
  mo_status_t status = MO_STATUS_OK;
  if (loader->context != NULL && in_front > 0) {
    prefix = mo_host_allocate(loader->context, (size_t)(in_front * size) * sizeof *prefix);
    if (prefix == NULL) status = MO_STATUS_OUT_OF_MEMORY;
  }
  if (status == MO_STATUS_OK) status = add_prefix(loader, names, size, positions, prefix);
  if (status == MO_STATUS_OK && in_front > 0)
    status = mo_load_values(loader, prefix, 2, (int64_t[]){in_front, size}, &patches->prefix);
  if (status == MO_STATUS_OK)
    status = mo_load_values(loader, positions != NULL ? positions + in_front * size : NULL, 2, (int64_t[]){count, size},
                            &patches->positions);
  mo_release_values(loader, prefix, in_front * size);
  mo_release_values(loader, positions, shape[1] * size);
  return status;
}

mo_status_t mo_patches_load(mo_patches *patches, mo_loader *loader, const mo_patch_names *names,
                            const mo_patch_config *config) {
  char name[MO_PARAMETER_NAME_BYTES];
  const int64_t size = config->size, pixels = mo_patch_pixels(config);
  const int64_t shape[4] = {size, config->channels, config->patch_height, config->patch_width};
  mo_weight kernel;
  patches->projection.rows = size;
  patches->projection.columns = pixels;
  MO_TRY(mo_parameter_name(name, names->projection, ".weight", ""));
  MO_TRY(mo_load_tensor(loader, name, 4, shape, &kernel));
  if (loader->context != NULL) {
    const mo_tensor matrix = mo_tensor_reshaped(&kernel.tensor, 2, (int64_t[]){size, pixels});
    const mo_tensor *matrices[] = {&matrix};
    const mo_status_t status = mo_linear_pack(loader->context, matrices, 1, &patches->projection.packed);
    mo_weight_release(&kernel);
    MO_TRY(status);
  }
  MO_TRY(mo_parameter_name(name, names->projection, ".bias", ""));
  if (!config->lacks_bias) MO_TRY(mo_load_vector(loader, name, size, &patches->projection.bias));
  MO_TRY(load_tokens(patches, loader, names, config));
  if (config->masks) {
    const int64_t token[3] = {1, 1, size};
    MO_TRY(mo_load_tensor(loader, names->mask_token, names->mask_token_is_row ? 2 : 3,
                          names->mask_token_is_row ? token + 1 : token, &patches->mask_token));
  }
  if (names->norm == NULL) return MO_STATUS_OK;
  return mo_load_norm(loader, "", names->norm, MO_NORM_LAYER, loader->dtype, size, &patches->norm);
}

void mo_patches_release(mo_patches *patches) {
  mo_dense_release(&patches->projection);
  mo_weight_release(&patches->prefix);
  mo_weight_release(&patches->positions);
  mo_weight_release(&patches->mask_token);
  mo_norm_weights_release(&patches->norm);
}

/* ---- Running ------------------------------------------------------------------------------------------------------------ */

static size_t gathered_bytes(const mo_patch_config *config, mo_dtype_t dtype, int64_t batch) {
  return mo_align_up((size_t)(batch * mo_patch_count(config) * mo_patch_pixels(config)) * mo_dtype_bytes(dtype),
                     MO_ARENA_ALIGNMENT);
}

/* Where patches are masked: behind the gathered pixels all embedded patches, and the mask token. */
void *mo_patches_carve(const mo_patch_config *config, mo_dtype_t dtype, int64_t batch, bool masked, mo_arena *arena) {
  const size_t rows = masked ? (size_t)(batch * mo_patch_count(config) + 1) : 0;
  return mo_arena_carve(arena, gathered_bytes(config, dtype, batch) + rows * (size_t)config->size * mo_dtype_bytes(dtype));
}

static mo_status_t copy(mo_context_t *context, const mo_tensor *output, const mo_tensor *input) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = output;
  params.input = input;
  return mo_cast(context, &params);
}

mo_status_t mo_patches_gather(mo_context_t *context, const mo_patch_config *config, const mo_tensor *pixels,
                              const mo_tensor *rows) {
  const int64_t down = mo_patch_rows(config), across = mo_patch_columns(config);
  const int64_t shape[6] = {pixels->shape[0], down, across, config->channels, config->patch_height, config->patch_width};
  const mo_tensor to = mo_tensor_reshaped(rows, 6, shape);
  mo_tensor from = to;
  from.data = pixels->data;
  from.dtype = pixels->dtype;
  const int64_t strides[6] = {pixels->strides[0],
                              pixels->strides[2] * config->patch_height,
                              pixels->strides[3] * config->patch_width,
                              pixels->strides[1],
                              pixels->strides[2],
                              pixels->strides[3]};
  memcpy(from.strides, strides, sizeof strides);
  return copy(context, &to, &from);
}

/* (B, count, C) of the destination's tokens from `first` on. */
static mo_tensor tokens_from(const mo_pass *pass, const mo_tensor *destination, int64_t first, int64_t count) {
  const int64_t size = destination->shape[1];
  mo_tensor view = mo_pass_states(pass, destination->data, size);
  view.data = (char *)destination->data + (size_t)(first * size) * mo_dtype_bytes(destination->dtype);
  view.shape[1] = count;
  return view;
}

/* `rows` of a parameter for every picture of the batch. */
static mo_tensor for_each_picture(const mo_pass *pass, const mo_weight *weight) {
  mo_tensor view = weight->tensor;
  view.rank = 3;
  view.shape[0] = pass->inputs->batch_size, view.strides[0] = 0;
  view.shape[1] = weight->tensor.shape[0], view.strides[1] = weight->tensor.strides[0];
  view.shape[2] = weight->tensor.shape[1], view.strides[2] = 1;
  return view;
}

/* Embedded patches into memory first, then those that are not masked, the mask token elsewhere, and the positions. */
static mo_status_t embed_masked(const mo_patch_run *run, const mo_pass *pass, const mo_tensor *gathered,
                                const mo_tensor *tokens) {
  const mo_patches *patches = run->patches;
  const int64_t size = run->config->size, count = gathered->shape[0];
  void *table = (char *)run->memory + gathered_bytes(run->config, pass->dtype, pass->inputs->batch_size);
  const mo_tensor words = mo_pass_matrix(pass, table, count + 1, size), embedded = mo_pass_matrix(pass, table, count, size);
  mo_tensor last = mo_pass_matrix(pass, table, 1, size);
  const mo_tensor mask_token = mo_tensor_reshaped(&patches->mask_token.tensor, 2, (int64_t[]){1, size});
  last.data = (char *)table + (size_t)(count * size) * mo_dtype_bytes(pass->dtype);
  MO_TRY(mo_dense_apply(pass->context, &patches->projection, MO_ACTIVATION_NONE, &embedded, gathered, NULL));
  MO_TRY(copy(pass->context, &last, &mask_token));
  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.output = tokens;
  params.ids = &run->rows;
  params.word = &words;
  params.position = &patches->positions.tensor;
  return mo_embedding(pass->context, &params);
}

mo_status_t mo_patches_embed(const void *state, const mo_pass *pass, const mo_tensor *destination) {
  const mo_patch_run *run = state;
  const mo_patches *patches = run->patches;
  const mo_patch_config *config = run->config;
  const int64_t count = mo_patch_count(config), in_front = pass->inputs->sequence_length - count;
  const mo_tensor gathered = mo_pass_matrix(pass, run->memory, pass->inputs->batch_size * count, mo_patch_pixels(config));
  const mo_tensor tokens = tokens_from(pass, destination, in_front, count);
  MO_TRY(mo_patches_gather(pass->context, config, &run->pixels, &gathered));
  if (run->rows.dtype != MO_DTYPE_NONE) {
    MO_TRY(embed_masked(run, pass, &gathered, &tokens));
  } else {
    const int64_t shape[3] = {pass->inputs->batch_size, count, mo_patch_pixels(config)};
    const mo_tensor input = mo_tensor_reshaped(&gathered, 3, shape), positions = for_each_picture(pass, &patches->positions);
    MO_TRY(mo_dense_apply(pass->context, &patches->projection, MO_ACTIVATION_NONE, &tokens, &input, &positions));
  }
  if (in_front > 0) {
    const mo_tensor first = tokens_from(pass, destination, 0, in_front), prefix = for_each_picture(pass, &patches->prefix);
    MO_TRY(copy(pass->context, &first, &prefix));
  }
  if (patches->norm.weight.tensor.dtype == MO_DTYPE_NONE) return MO_STATUS_OK;
  return mo_norm_apply(pass->context, &patches->norm, config->norm_epsilon, destination, destination, NULL);
}
