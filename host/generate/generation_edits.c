/* host/generate/generation_edits.c - the rules that change scores of single tokens, as edits of a step.
 *
 * The host knows all tokens and finds for each row which of them a rule concerns; those cross to the device, 8 bytes a place,
 * and one op changes their scores there (modelout/score_edit.h). Order and rules are those of Transformers' processors:
 *
 *   ADD       sequence_bias
 *   PENALISE  repetition_penalty
 *   SET -inf  no_repeat_ngram_size, encoder_no_repeat_ngram_size, bad_words_ids, end tokens before the minimum length
 *   ONLY 0    forced_bos_token_id, forced_eos_token_id
 *   SET -inf  suppress_tokens, begin_suppress_tokens
 *
 * Each stage has a place for whatever it may ever hold, so that a recorded step edits anew at each launch.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "host/generate/generation.h"

enum { STAGE_BIAS, STAGE_PENALTY, STAGE_BAN, STAGE_FORCE, STAGE_SUPPRESS };

static const mo_score_edit_kind_t stage_kinds[MO_EDIT_STAGES] = {MO_SCORE_EDIT_ADD, MO_SCORE_EDIT_PENALISE, MO_SCORE_EDIT_SET,
                                                                 MO_SCORE_EDIT_ONLY, MO_SCORE_EDIT_SET};

/* A row's list while it is filled. */
typedef struct row_edits {
  mo_generation *g;
  int32_t *tokens;
  float *values;
  int64_t counts[MO_EDIT_STAGES];
  const int64_t *sequence; /* all tokens of the row so far */
  int64_t length;
} row_edits;

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */

static void plan_stages(const mo_generation *g, mo_generation_edits *edits) {
  const mo_score_rules *rules = &g->settings.rules;
  const int64_t vocabulary = mo_token_config(g->model)->embedding.vocab_size;
  const int64_t encoder = g->model->facts.has_encoder ? g->encoder_length : g->prompt_length;
  const int64_t last = json_is_array(rules->forced_last) ? (int64_t)json_array_size(rules->forced_last) : 1;
  int64_t counts[MO_EDIT_STAGES] = {0};
  counts[STAGE_BIAS] = (int64_t)json_array_size(rules->biases);
  if (rules->repetition_penalty != 1.0f) counts[STAGE_PENALTY] = g->columns < vocabulary ? g->columns : vocabulary;
  counts[STAGE_BAN] = (int64_t)json_array_size(rules->banned_words) + g->settings.ids.end_token_count +
                      (rules->no_repeat_ngram_size > 0 ? g->columns : 0) +
                      (rules->encoder_no_repeat_ngram_size > 0 ? encoder : 0);
  counts[STAGE_FORCE] = last > 1 ? last : 1;
  counts[STAGE_SUPPRESS] = (int64_t)(json_array_size(rules->suppressed) + json_array_size(rules->suppressed_first));
  edits->columns = 0;
  for (int i = 0; i < MO_EDIT_STAGES; i++) {
    edits->stages[i] = (mo_score_stage){.kind = stage_kinds[i], .first = edits->columns, .count = counts[i]};
    edits->columns += counts[i];
  }
}

static void carve(mo_generation *g, mo_arena *arena) {
  mo_generation_edits *edits = &g->edits;
  const size_t places = (size_t)(g->rows * edits->columns);
  edits->tokens = mo_arena_carve(arena, places * (sizeof *edits->tokens + sizeof *edits->values));
  edits->values = edits->tokens != NULL ? (float *)(edits->tokens + places) : NULL;
  edits->seen = mo_arena_carve(arena, (size_t)mo_token_config(g->model)->embedding.vocab_size * sizeof *edits->seen);
}

void mo_generation_edits_end(mo_generation *g) {
  mo_generation_edits *edits = &g->edits;
  mo_context_release(g->context, edits->device_block);
  if (edits->host_block != NULL) mo_host_free(g->context, edits->host_block, edits->host_bytes);
  *edits = (mo_generation_edits){.columns = 0};
}

/* Room for the history as it is now. */
static mo_status_t allocate(mo_generation *g) {
  mo_generation_edits *edits = &g->edits;
  mo_arena measure = {.base = NULL};
  mo_generation_edits_end(g);
  plan_stages(g, edits);
  carve(g, &measure);
  edits->host_bytes = measure.used;
  edits->host_block = mo_host_allocate(g->context, edits->host_bytes);
  if (edits->host_block == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_arena arena = {.base = edits->host_block, .capacity = edits->host_bytes};
  carve(g, &arena);
  memset(edits->seen, 0, (size_t)mo_token_config(g->model)->embedding.vocab_size * sizeof *edits->seen);
  const int64_t shape[2] = {g->rows, edits->columns};
  const size_t token_bytes = (size_t)(g->rows * edits->columns) * sizeof *edits->tokens;
  MO_TRY(mo_context_allocate(g->context, 2 * token_bytes, &edits->device_block));
  edits->device_tokens = mo_device_tensor(g->context, edits->device_block, MO_DTYPE_INT32, 2, shape);
  edits->device_values = mo_device_tensor(g->context, (char *)edits->device_block + token_bytes, MO_DTYPE_FLOAT32, 2, shape);
  edits->filled_for = g->columns;
  return MO_STATUS_OK;
}

/* ---- The rules ----------------------------------------------------------------------------------------------------------- */

/* Ids outside the vocabulary have no score. */
static void put(row_edits *row, int stage, int64_t token, float value) {
  const mo_score_stage *place = &row->g->edits.stages[stage];
  if (token < 0 || token >= mo_token_config(row->g->model)->embedding.vocab_size || row->counts[stage] >= place->count) return;
  const int64_t at = place->first + row->counts[stage]++;
  row->tokens[at] = (int32_t)token;
  row->values[at] = value;
}

static int64_t id_at(const json_t *list, size_t index) {
  int64_t id = -1;
  return mo_json_as_integer(json_array_get(list, index), &id) ? id : -1;
}

/* Whether the row's last tokens are the word but for its end: then that end would complete it. */
static bool may_complete(const row_edits *row, const json_t *word) {
  const int64_t length = (int64_t)json_array_size(word);
  if (length == 1) return true;
  if (length > row->length) return false;
  for (int64_t i = 0; i < length - 1; i++)
    if (row->sequence[row->length - length + 1 + i] != id_at(word, (size_t)i)) return false;
  return true;
}

/* Biases of one token add up. */
static void add_biases(row_edits *row) {
  const mo_score_rules *rules = &row->g->settings.rules;
  const mo_score_stage *stage = &row->g->edits.stages[STAGE_BIAS];
  for (size_t i = 0; i < json_array_size(rules->biases); i++) {
    const json_t *pair = json_array_get(rules->biases, i), *word = json_array_get(pair, 0);
    const int64_t token = id_at(word, json_array_size(word) - 1);
    const float value = (float)json_number_value(json_array_get(pair, 1));
    if (!may_complete(row, word)) continue;
    int64_t at = stage->first;
    while (at < stage->first + row->counts[STAGE_BIAS] && row->tokens[at] != token) at++;
    if (at < stage->first + row->counts[STAGE_BIAS]) row->values[at] += value;
    else put(row, STAGE_BIAS, token, value);
  }
}

static void penalise_repetition(row_edits *row) {
  mo_generation_edits *edits = &row->g->edits;
  const float penalty = row->g->settings.rules.repetition_penalty;
  if (penalty == 1.0f) return;
  edits->stamp++;
  for (int64_t i = 0; i < row->length; i++) {
    const int64_t token = row->sequence[i];
    if (token < 0 || token >= mo_token_config(row->g->model)->embedding.vocab_size || edits->seen[token] == edits->stamp)
      continue;
    edits->seen[token] = edits->stamp;
    put(row, STAGE_PENALTY, token, penalty);
  }
}

/* Whatever follows, anywhere in `tokens`, on the n - 1 tokens that the row ends with. */
static void ban_ngrams(row_edits *row, const int64_t *tokens, int64_t count, int64_t n) {
  if (n < 1 || n > count || row->length < n - 1) return;
  const int64_t *end = row->sequence + row->length - (n - 1);
  for (int64_t i = 0; i + n <= count; i++)
    if (memcmp(tokens + i, end, (size_t)(n - 1) * sizeof *tokens) == 0) put(row, STAGE_BAN, tokens[i + n - 1], -INFINITY);
}

static void ban_words(row_edits *row) {
  const mo_score_rules *rules = &row->g->settings.rules;
  for (size_t i = 0; i < json_array_size(rules->banned_words); i++) {
    const json_t *word = json_array_get(rules->banned_words, i);
    const size_t length = json_array_size(word);
    const int64_t token = id_at(word, length - 1);
    const bool is_end = length == 1 && mo_generation_is_end(row->g, token); /* ends are not to be banned */
    if (!is_end && may_complete(row, word)) put(row, STAGE_BAN, token, -INFINITY);
  }
}

static mo_status_t force(row_edits *row, const char *key, int64_t token) {
  const mo_model_t *model = row->g->model;
  MO_CHECK(token >= 0 && token < mo_token_config(model)->embedding.vocab_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: %s %" PRId64 " is outside the vocabulary of %" PRId64, model->architecture.name, key, token,
           mo_token_config(model)->embedding.vocab_size);
  put(row, STAGE_FORCE, token, 0.0f);
  return MO_STATUS_OK;
}

/* The only token that is left of the first step's behind a prompt of one, and of the last step's, which goes before it. */
static mo_status_t force_tokens(row_edits *row, int64_t step) {
  const mo_score_rules *rules = &row->g->settings.rules;
  const json_t *last = rules->forced_last;
  const bool is_last = step + 1 == row->g->settings.max_new_tokens && (last != NULL || rules->forced_last_id != MO_NO_TOKEN);
  int64_t id = rules->forced_last_id;
  if (!is_last) {
    if (rules->forced_first == MO_NO_TOKEN || row->length != 1) return MO_STATUS_OK;
    return force(row, "forced_bos_token_id", rules->forced_first);
  }
  if (!json_is_array(last)) {
    if (last != NULL) (void)mo_json_as_integer(last, &id);
    return force(row, "forced_eos_token_id", id);
  }
  for (size_t i = 0; i < json_array_size(last); i++) MO_TRY(force(row, "forced_eos_token_id", id_at(last, i)));
  return MO_STATUS_OK;
}

static void suppress(row_edits *row, int64_t step) {
  const mo_score_rules *rules = &row->g->settings.rules;
  const bool second = row->g->prompt_length == 1 && rules->forced_first != MO_NO_TOKEN; /* the first is forced */
  for (size_t i = 0; i < json_array_size(rules->suppressed); i++)
    put(row, STAGE_SUPPRESS, id_at(rules->suppressed, i), -INFINITY);
  for (size_t i = 0; step == (second ? 1 : 0) && i < json_array_size(rules->suppressed_first); i++)
    put(row, STAGE_SUPPRESS, id_at(rules->suppressed_first, i), -INFINITY);
}

static mo_status_t fill_row(row_edits *row, int64_t index, int64_t step) {
  const mo_generation *g = row->g;
  const mo_score_rules *rules = &g->settings.rules;
  const bool encodes = g->model->facts.has_encoder;
  add_biases(row);
  penalise_repetition(row);
  ban_ngrams(row, row->sequence, row->length, rules->no_repeat_ngram_size);
  ban_ngrams(row, encodes ? g->encoder_ids + index * g->encoder_length : g->prompts + index * g->prompt_length,
             encodes ? g->encoder_length : g->prompt_length, rules->encoder_no_repeat_ngram_size);
  ban_words(row);
  for (int64_t i = 0; step < g->settings.min_new_tokens && i < g->settings.ids.end_token_count; i++)
    put(row, STAGE_BAN, g->settings.ids.end_tokens[i], -INFINITY);
  MO_TRY(force_tokens(row, step));
  suppress(row, step);
  return MO_STATUS_OK;
}

/* ---- A step -------------------------------------------------------------------------------------------------------------- */

mo_status_t mo_generation_edits_prepare(mo_generation *g, int64_t step) {
  mo_generation_edits *edits = &g->edits;
  if (!g->settings.edits_scores) return MO_STATUS_OK;
  if (edits->filled_for != g->columns) MO_TRY(allocate(g));
  const int64_t places = g->rows * edits->columns;
  for (int64_t i = 0; i < places; i++) {
    edits->tokens[i] = -1;
    edits->values[i] = 0.0f;
  }
  for (int64_t index = 0; index < g->rows; index++) {
    row_edits row = {.g = g,
                     .tokens = edits->tokens + index * edits->columns,
                     .values = edits->values + index * edits->columns,
                     .sequence = g->tokens + index * g->columns,
                     .length = g->prompt_length + step};
    MO_TRY(fill_row(&row, index, step));
  }
  return mo_context_copy_to_device(g->context, edits->device_block, edits->tokens,
                                   (size_t)places * (sizeof *edits->tokens + sizeof *edits->values));
}

mo_status_t mo_generation_edit(mo_generation *g, const mo_tensor *logits, const mo_tensor *scores) {
  mo_score_edit_params params = MO_SCORE_EDIT_PARAMS_INIT;
  params.scores = scores;
  params.logits = logits;
  params.tokens = &g->edits.device_tokens;
  params.values = &g->edits.device_values;
  memcpy(params.stages, g->edits.stages, sizeof g->edits.stages);
  params.stage_count = MO_EDIT_STAGES;
  return mo_edit_scores(g->context, &params);
}
