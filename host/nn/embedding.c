/* host/nn/embedding.c - loading and running the embeddings of tokens.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/embedding.h"

#include <math.h>

#include "modelout/embedding.h"

/* ---- Loading ------------------------------------------------------------------------------------------------------------ */

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
static mo_status_t load_words(mo_token_embedding *embedding, mo_loader *loader, const mo_embedding_names *names,
                              const mo_embedding_config *config) {
  const char *chosen = names->word;
  bool found = false;
  if (chosen == NULL) return MO_STATUS_OK; /* another transformer's */
  MO_TRY(choose_name(loader, (const char *const[]){names->word, NULL}, &found, &chosen));
  MO_TRY(choose_name(loader, names->word_aliases, &found, &chosen));
  MO_TRY(choose_name(loader, loader->tied_heads, &found, &chosen));
  for (const char *const *alias = names->word_aliases; alias != NULL && *alias != NULL; alias++) {
    char name[MO_PARAMETER_NAME_BYTES];
    MO_TRY(mo_parameter_name(name, *alias, ".weight", ""));
    mo_checkpoint_mark_used(loader->checkpoint, name);
  }
  return load_table(loader, chosen, config->vocab_size, config->size, &embedding->word);
}

mo_status_t mo_token_embedding_load(mo_token_embedding *embedding, mo_loader *loader, const mo_embedding_names *names,
                                    const mo_embedding_config *config, const mo_norm_config *norm, int64_t width) {
  const bool words_only = config->projection == MO_EMBEDDING_WORDS_PROJECTED;
  const mo_dense_rule projection = {.rows = {width}, .columns = config->size, .lacks_bias = words_only};
  MO_TRY(load_words(embedding, loader, names, config));
  if (names->position != NULL) {
    const int64_t rows = config->position_count + config->position_offset;
    MO_TRY(load_table(loader, names->position, rows, words_only ? width : config->size, &embedding->position));
  }
  if (config->type_count > 0) MO_TRY(load_table(loader, names->type, config->type_count, config->size, &embedding->type));
  if (names->norm != NULL)
    MO_TRY(mo_load_norm(loader, "", names->norm, norm->kind, loader->dtype, config->size, &embedding->norm));
  if (config->projection == MO_EMBEDDING_AS_WIDE_AS_LAYERS) return MO_STATUS_OK;
  return mo_load_dense(loader, "", &names->projection, &projection, &embedding->projection);
}

void mo_token_embedding_release(mo_token_embedding *embedding) {
  mo_weight_release(&embedding->word);
  mo_weight_release(&embedding->position);
  mo_weight_release(&embedding->type);
  mo_norm_weights_release(&embedding->norm);
  mo_dense_release(&embedding->projection);
}

/* ---- Running ------------------------------------------------------------------------------------------------------------ */

/* Which row of the table each token takes. `view` is the part of the table that begins with position 0. */
static void set_positions(const mo_token_embedding *embedding, const mo_pass *pass, const mo_embedding_config *config,
                          mo_tensor *view, mo_embedding_params *params) {
  const mo_transformer_inputs *inputs = pass->inputs;
  const mo_tensor *table = mo_weight_tensor(&embedding->position);
  params->position = table;
  if (table == NULL) return;
  if (inputs->positions.dtype != MO_DTYPE_NONE) {
    params->position_ids = &inputs->positions;
    if (inputs->positions_are_rows) return;
  } else if (config->positions == MO_POSITIONS_SKIP_PADDING) {
    params->position_skips_padding = params->ids != NULL;
    params->padding_id = config->padding_id;
    if (params->ids == NULL) params->position_offset = config->padding_id + 1;
    return;
  } else {
    params->position_offset = inputs->past_length;
  }
  *view = *table;
  view->data = (char *)table->data + (size_t)(config->position_offset * table->strides[0]) * mo_dtype_bytes(table->dtype);
  view->shape[0] = config->position_count;
  params->position = view;
}

static void set_words(const mo_token_embedding *embedding, const mo_pass *pass, const mo_embedding_config *config,
                      mo_embedding_params *params) {
  const mo_transformer_inputs *inputs = pass->inputs;
  if (inputs->ids.dtype != MO_DTYPE_NONE) {
    params->ids = &inputs->ids;
    params->word = &embedding->word.tensor;
    if (config->words_scale == MO_WORDS_BY_SQRT_SIZE) params->word_scale = sqrtf((float)config->size);
  } else {
    params->embeds = &inputs->embeds;
  }
  params->type = mo_weight_tensor(&embedding->type);
  if (inputs->types.dtype != MO_DTYPE_NONE) {
    params->token_type_ids = &inputs->types;
    if (config->types == MO_TYPES_AS_WORDS) params->type = &embedding->word.tensor;
  }
}

/* `states` = `embeds` + positions */
static mo_status_t add_positions(const mo_token_embedding *embedding, const mo_pass *pass, const mo_embedding_config *config,
                                 const mo_tensor *states, const mo_tensor *embeds) {
  mo_tensor table;
  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.output = states;
  params.embeds = embeds;
  set_positions(embedding, pass, config, &table, &params);
  return mo_embedding(pass->context, &params);
}

mo_status_t mo_token_embedding_forward(const mo_token_embedding *embedding, const mo_pass *pass,
                                       const mo_embedding_config *config, const mo_norm_config *norm, void *spare,
                                       const mo_tensor *destination) {
  const int64_t width = destination->shape[1];
  const bool projects = config->projection != MO_EMBEDDING_AS_WIDE_AS_LAYERS;
  const bool words_only = config->projection == MO_EMBEDDING_WORDS_PROJECTED;
  void *const data = projects ? pass->wide : destination->data;
  const mo_tensor summed = mo_pass_states(pass, data, config->size);
  mo_tensor table;
  mo_embedding_params params = MO_EMBEDDING_PARAMS_INIT;
  params.output = &summed;
  params.norm_weight = mo_weight_tensor(&embedding->norm.weight);
  params.norm_bias = mo_weight_tensor(&embedding->norm.bias);
  params.epsilon = norm->epsilon;
  set_words(embedding, pass, config, &params);
  if (!words_only) set_positions(embedding, pass, config, &table, &params);
  MO_TRY(mo_embedding(pass->context, &params));
  if (!projects) return MO_STATUS_OK;

  const mo_tensor narrow = mo_pass_tokens(pass, data, config->size);
  const mo_tensor projected = words_only ? mo_pass_tokens(pass, spare, width) : *destination;
  MO_TRY(mo_dense_apply(pass->context, &embedding->projection, MO_ACTIVATION_NONE, &projected, &narrow, NULL));
  if (!words_only) return MO_STATUS_OK;
  const mo_tensor states = mo_pass_states(pass, destination->data, width);
  const mo_tensor embeds = mo_pass_states(pass, projected.data, width);
  return add_positions(embedding, pass, config, &states, &embeds);
}
