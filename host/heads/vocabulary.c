/* host/heads/vocabulary.c - logits of the vocabulary.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/vocabulary.h"

#include <inttypes.h>
#include <math.h>

#include "host/heads/heads.h"
#include "host/heads/rows.h"
#include "host/nn/elementwise.h"

/* ---- Loading ----------------------------------------------------------------------------------------------------------- */

/* The weight: shared with the word table, or its own. */
static mo_status_t load_decoder_weight(mo_model_t *model, mo_loader *loader, mo_vocabulary *vocabulary, const char *name,
                                       bool tied) {
  mo_dense *decoder = &vocabulary->decoder;
  mo_weight weight = {.memory = NULL};
  const mo_tensor *tensor = &weight.tensor;
  if (tied) {
    mo_checkpoint_mark_used(loader->checkpoint, name);
    decoder->weight.tensor = *model->facts.words;
    return MO_STATUS_OK;
  }
  mo_status_t status = mo_load_table(loader, name, decoder->rows, decoder->columns, &weight);
  if (status == MO_STATUS_OK && loader->context != NULL) status = mo_linear_pack(loader->context, &tensor, 1, &decoder->packed);
  mo_weight_drop_pages(&weight);
  mo_weight_release(&weight);
  return status;
}

/* BART's final_logits_bias: (1, rows), and zero if it is not there. */
static mo_status_t load_row_bias(const mo_model_t *model, mo_loader *loader, mo_dense *decoder) {
  const char *name = model->architecture.decoder.bias;
  if (!mo_checkpoint_contains(loader->checkpoint, name)) return MO_STATUS_OK;
  MO_TRY(mo_load_table(loader, name, 1, decoder->rows, &decoder->bias));
  if (loader->context != NULL) decoder->bias.tensor = mo_tensor_reshaped(&decoder->bias.tensor, 1, &decoder->rows);
  return MO_STATUS_OK;
}

/* The bias has two names in old files. */
static mo_status_t load_decoder_bias(const mo_model_t *model, mo_loader *loader, mo_dense *decoder, const char *own_name,
                                     bool tied) {
  const char *bias = model->architecture.decoder.bias;
  if (bias == NULL) return MO_STATUS_OK;
  const bool has_own = mo_checkpoint_contains(loader->checkpoint, own_name);
  if (model->architecture.decoder.bias_is_row) return load_row_bias(model, loader, decoder);
  const char *chosen = has_own && (!tied || !mo_checkpoint_contains(loader->checkpoint, bias)) ? own_name : bias;
  mo_checkpoint_mark_used(loader->checkpoint, own_name);
  mo_checkpoint_mark_used(loader->checkpoint, bias);
  return mo_load_vector(loader, chosen, decoder->rows, &decoder->bias);
}

mo_status_t mo_head_ties(const mo_config_t *config, const mo_decoder_rule *rule, bool *ties) {
  return mo_config_flag(config, "tie_word_embeddings", !rule->untied_by_default, ties);
}

/* Whether the head's weight is the word table, and whether (T5) its input is scaled for that. T5 files of version 5 say the
 * latter themselves; there a head of its own counts if it is there, whatever tie_word_embeddings says. */
static mo_status_t read_ties(const mo_model_t *model, const mo_loader *loader, const char *weight_name, bool *tied,
                             bool *scaled) {
  const mo_decoder_rule *rule = &model->architecture.decoder;
  MO_TRY(mo_head_ties(model->config, rule, tied));
  if (!rule->scaled_if_tied) {
    *scaled = false;
    return MO_STATUS_OK;
  }
  const bool newer = mo_config_has(model->config, "scale_decoder_outputs");
  const bool has_own = mo_checkpoint_contains(loader->checkpoint, weight_name);
  MO_TRY(mo_config_flag(model->config, "scale_decoder_outputs", *tied, scaled));
  *tied = !has_own || (*tied && !newer);
  return MO_STATUS_OK;
}

mo_status_t mo_vocabulary_load(mo_model_t *model, mo_loader *loader, mo_vocabulary *vocabulary) {
  const mo_decoder_rule *rule = &model->architecture.decoder;
  const mo_base_facts *facts = &model->facts;
  mo_dense *decoder = &vocabulary->decoder;
  char weight_name[MO_PARAMETER_NAME_BYTES], bias_name[MO_PARAMETER_NAME_BYTES];
  bool tied, scaled;
  MO_TRY(mo_parameter_name(weight_name, rule->decoder, ".weight", ""));
  MO_TRY(read_ties(model, loader, weight_name, &tied, &scaled));
  MO_TRY(mo_parameter_name(bias_name, rule->decoder, ".bias", ""));
  if (rule->transform != NULL) {
    const int64_t width = facts->embedding_size;
    MO_TRY(mo_load_simple_dense(loader, rule->transform, width, facts->output_size, &vocabulary->transform));
    MO_TRY(mo_load_norm(loader, "", rule->norm, MO_NORM_LAYER, loader->dtype, width, &vocabulary->transform_norm));
  }
  decoder->rows = facts->vocab_size;
  decoder->columns = rule->transform != NULL ? facts->embedding_size : facts->output_size;
  MO_CHECK(!tied || decoder->columns == facts->embedding_size, MO_STATUS_BAD_FILE,
           "%s: config.json ties the word embeddings of width %" PRId64 " to a head of width %" PRId64,
           model->architecture.name, facts->embedding_size, decoder->columns);
  MO_TRY(load_decoder_weight(model, loader, vocabulary, weight_name, tied));
  vocabulary->scale = scaled ? 1.0f / sqrtf((float)decoder->columns) : 1.0f;
  return load_decoder_bias(model, loader, decoder, bias_name, tied);
}

void mo_vocabulary_release(mo_vocabulary *vocabulary) {
  mo_dense_release(&vocabulary->transform);
  mo_norm_weights_release(&vocabulary->transform_norm);
  mo_dense_release(&vocabulary->decoder);
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

void *mo_vocabulary_carve(mo_call *call, mo_arena *arena) {
  const mo_base_facts *facts = &call->model->facts;
  const int64_t width = facts->embedding_size > facts->output_size ? facts->embedding_size : facts->output_size;
  const int64_t elements = call->batch_size * call->sequence_length * width;
  return mo_call_carve_after_base(call, arena, (size_t)elements * mo_dtype_bytes(call->model->dtype));
}

/* cap tanh(input / cap) of the logits: the tanh is the product's own activation, its input is divided before. */
static mo_status_t cap(const mo_call *call, const mo_tensor *logits) {
  return mo_scale(call->model->context, logits, logits, call->model->facts.logit_cap);
}

mo_status_t mo_vocabulary_forward(const mo_call *call, const mo_vocabulary *vocabulary, const mo_tensor *hidden, void *memory,
                                  const mo_tensor *logits) {
  const mo_model_t *model = call->model;
  const mo_base_facts *facts = &model->facts;
  const mo_decoder_rule *rule = &model->architecture.decoder;
  const mo_activation_t activation = rule->always_gelu ? MO_ACTIVATION_GELU : facts->activation;
  mo_tensor rows = mo_last_tokens(hidden, logits->shape[1]);
  const mo_tensor space = {.data = memory, .dtype = model->dtype, .device = hidden->device};
  const mo_tensor destination = mo_like_rows(logits, &rows, facts->vocab_size);
  const float scale = facts->logit_cap > 0.0f ? 1.0f / facts->logit_cap : vocabulary->scale;
  if (scale != 1.0f) {
    const mo_tensor scaled = mo_like_rows(&space, &rows, facts->output_size);
    MO_TRY(mo_scale(model->context, &scaled, &rows, scale));
    rows = scaled;
  }
  if (rule->transform != NULL) {
    const mo_tensor narrow = mo_like_rows(&space, &rows, facts->embedding_size);
    MO_TRY(mo_dense_apply(model->context, &vocabulary->transform, activation, &narrow, &rows, NULL));
    MO_TRY(mo_norm_apply(model->context, &vocabulary->transform_norm, facts->epsilon, &narrow, &narrow, NULL));
    rows = narrow;
  }
  const mo_activation_t squash = facts->logit_cap > 0.0f ? MO_ACTIVATION_TANH : MO_ACTIVATION_NONE;
  MO_TRY(mo_dense_apply(model->context, &vocabulary->decoder, squash, &destination, &rows, NULL));
  return facts->logit_cap > 0.0f ? cap(call, &destination) : MO_STATUS_OK;
}
