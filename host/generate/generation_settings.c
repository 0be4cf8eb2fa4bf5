/* host/generate/generation_settings.c - the options of a generation, completed by generation_config.json and config.json.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "host/generate/generation.h"

#define DEFAULT_NEW_TOKENS 20 /* max_length of Transformers' GenerationConfig */
#define DEFAULT_TOP_K 50      /* its top_k */
#define LEAST_HORIZON 1024    /* see longest_of_files */

/* ---- Token ids ----------------------------------------------------------------------------------------------------------- */

static mo_status_t choose_end_tokens(const mo_model_t *model, const mo_generation_options *options, mo_generation_ids *ids) {
  const char *op = model->architecture.name;
  MO_CHECK(options->eos_token_count >= 0 && options->eos_token_count <= MO_MAX_END_TOKENS &&
               (options->eos_token_count == 0 || options->eos_token_ids != NULL),
           MO_STATUS_INVALID_ARGUMENT, "%s: generation with %d end tokens, 0 to %d and a list of them", op,
           (int)options->eos_token_count, MO_MAX_END_TOKENS);
  if (options->no_eos_token) return MO_STATUS_OK;
  for (int32_t i = 0; i < options->eos_token_count; i++) ids->end_tokens[i] = options->eos_token_ids[i];
  ids->end_token_count = options->eos_token_count;
  return ids->end_token_count == 0 ? mo_generation_files_end_tokens(model, ids) : MO_STATUS_OK;
}

/* An id of the files outside the vocabulary is refused only once it is needed: padding where rows end at different lengths. */
static mo_status_t choose_ids(const mo_model_t *model, const mo_generation_options *options, mo_generation_ids *ids) {
  const int64_t vocabulary = mo_token_config(model)->embedding.vocab_size;
  MO_TRY(choose_end_tokens(model, options, ids));
  ids->pad_token = options->pad_token_id;
  MO_CHECK(!options->has_pad_token || (ids->pad_token >= 0 && ids->pad_token < vocabulary), MO_STATUS_INVALID_ARGUMENT,
           "%s: pad_token_id %" PRId64 " is outside the vocabulary of %" PRId64, model->architecture.name, ids->pad_token,
           vocabulary);
  if (!options->has_pad_token) MO_TRY(mo_generation_files_pad_token(model, ids));
  if (ids->pad_token == MO_NO_TOKEN) ids->pad_token = ids->end_token_count > 0 ? ids->end_tokens[0] : 0;
  return model->facts.has_encoder ? mo_generation_files_start_token(model, ids) : MO_STATUS_OK;
}

/* ---- Lengths ------------------------------------------------------------------------------------------------------------- */

/* A file may ask for any length; it gets what the model can hold. A position table has its end, behind which the last new token
 * may stand, which is no input. Rotary and relative positions have none: there it is what the configuration declares, but at
 * least LEAST_HORIZON. */
static int64_t longest_of_files(const mo_model_t *model, int64_t prompt_length) {
  const mo_transformer_config *config = mo_token_config(model);
  const bool table = config->embedding.positions != MO_POSITIONS_NONE;
  const int64_t most =
      table || config->embedding.position_count > LEAST_HORIZON ? config->embedding.position_count : LEAST_HORIZON;
  return most + 1 - prompt_length > 1 ? most + 1 - prompt_length : 1;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static mo_status_t choose_lengths(const mo_model_t *model, const mo_generation_options *options, const mo_file_settings *files,
                                  int64_t prompt_length, mo_generation_settings *settings) {
  const mo_transformer_config *config = mo_token_config(model);
  const int64_t longest = longest_of_files(model, prompt_length);
  if (options->max_new_tokens > 0) {
    settings->max_new_tokens = options->max_new_tokens;
  } else if (files->max_new_tokens > 0) {
    settings->max_new_tokens = least(files->max_new_tokens, longest);
  } else if (files->max_length > 0) {
    MO_CHECK(files->max_length > prompt_length, MO_STATUS_INVALID_ARGUMENT,
             "%s: a prompt of %" PRId64 " tokens, but max_length of %s is %" PRId64 ": set max_new_tokens",
             model->architecture.name, prompt_length, files->file, files->max_length);
    settings->max_new_tokens = least(files->max_length - prompt_length, longest);
  } else {
    const bool has_positions = config->embedding.positions != MO_POSITIONS_NONE || config->attention.rotary.rotary_dim > 0;
    const int64_t room = config->embedding.position_count - prompt_length;
    settings->max_new_tokens = has_positions && room > 0 ? least(DEFAULT_NEW_TOKENS, room) : DEFAULT_NEW_TOKENS;
  }
  int64_t fewest = options->min_new_tokens > 0 ? options->min_new_tokens : files->min_new_tokens;
  if (fewest < 0 && files->min_length > prompt_length) fewest = files->min_length - prompt_length;
  settings->min_new_tokens = fewest > 0 ? fewest : 0;
  return MO_STATUS_OK;
}

/* ---- How to choose ------------------------------------------------------------------------------------------------------- */

/* Sampling, with what the options leave open. Where the files ask for sampling, top_k unsaid is Transformers' default. */
static void choose_sampling(const mo_generation_options *options, const mo_file_settings *files,
                            mo_generation_settings *settings) {
  const bool samples = options->temperature > 0.0f || (files->samples && !options->no_sampling);
  const int64_t unsaid = files->samples ? DEFAULT_TOP_K : 0;
  settings->temperature = options->temperature;
  settings->top_k = options->top_k;
  settings->top_p = options->top_p;
  settings->min_p = options->min_p;
  if (!samples) return;
  if (options->temperature == 0.0f) settings->temperature = files->temperature;
  if (options->top_k == 0) settings->top_k = files->top_k >= 0 ? files->top_k : unsaid;
  if (options->top_p == 0.0f) settings->top_p = files->top_p;
  if (options->min_p == 0.0f) settings->min_p = files->min_p;
}

static mo_status_t choose_rows(const mo_model_t *model, const mo_generation_options *options, const mo_file_settings *files,
                               mo_generation_settings *settings) {
  const char *op = model->architecture.name;
  settings->beams = options->num_beams > 0 ? options->num_beams : files->beams;
  settings->returned = options->num_return_sequences > 0 ? options->num_return_sequences : files->returned;
  const bool samples = settings->temperature > 0.0f, beams = settings->beams > 1;
  MO_CHECK(!beams || !samples, MO_STATUS_UNSUPPORTED,
           "%s: %s asks for %s, which together is beam sampling: set no_sampling, num_beams 1 or ignore_file_settings", op,
           files->file,
           options->num_beams > 1        ? "do_sample true beside num_beams of the options"
           : options->temperature > 0.0f ? "num_beams above 1 beside a temperature of the options"
                                         : "do_sample true and num_beams above 1");
  const int64_t most = beams ? settings->beams : samples ? INT32_MAX : 1;
  MO_CHECK(settings->returned <= most, options->num_return_sequences > 0 ? MO_STATUS_INVALID_ARGUMENT : MO_STATUS_UNSUPPORTED,
           "%s: %" PRId64 " sequences to return (num_return_sequences of %s) of %" PRId64 " beams, which search greedily", op,
           settings->returned, options->num_return_sequences > 0 ? "the options" : files->file, settings->beams);
  settings->copies = beams ? settings->beams : settings->returned;
  settings->candidates = (settings->ids.end_token_count > 1 ? 1 + settings->ids.end_token_count : 2) * settings->beams;
  MO_CHECK(!beams || settings->candidates <= mo_token_config(model)->embedding.vocab_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " beams look at %" PRId64 " continuations, the vocabulary has %" PRId64 " tokens", op,
           settings->beams, settings->candidates, mo_token_config(model)->embedding.vocab_size);
  settings->length_penalty = options->has_length_penalty ? options->length_penalty : files->length_penalty;
  const bool early = options->has_early_stopping || options->early_stopping != MO_EARLY_STOPPING_FALSE;
  settings->early_stopping = early ? options->early_stopping : files->early_stopping;
  return MO_STATUS_OK;
}

static bool has_rules(const mo_score_rules *rules) {
  return rules->repetition_penalty != 1.0f || rules->no_repeat_ngram_size > 0 || rules->encoder_no_repeat_ngram_size > 0 ||
         rules->forced_first != MO_NO_TOKEN || rules->forced_last != NULL || rules->forced_last_id != MO_NO_TOKEN ||
         json_array_size(rules->suppressed) > 0 || json_array_size(rules->suppressed_first) > 0 ||
         json_array_size(rules->banned_words) > 0 || json_array_size(rules->biases) > 0;
}

/* ---- Checks and fields --------------------------------------------------------------------------------------------------- */

static mo_status_t check_options(const mo_model_t *model, const mo_generation_options *options) {
  const char *op = model->architecture.name;
  MO_CHECK(options->max_new_tokens >= 0 && options->min_new_tokens >= 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " to %" PRId64 " new tokens, neither may be below 0", op, options->min_new_tokens,
           options->max_new_tokens);
  MO_CHECK(options->num_beams >= 0 && options->num_beams <= 1024, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " beams, 1 to 1024", op, options->num_beams);
  MO_CHECK(options->num_return_sequences >= 0 && options->num_return_sequences <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences to return", op, options->num_return_sequences);
  MO_CHECK(!options->no_sampling || options->temperature == 0.0f, MO_STATUS_INVALID_ARGUMENT,
           "%s: no_sampling with temperature %g, which must be 0", op, (double)options->temperature);
  MO_CHECK(options->num_beams <= 1 || options->temperature == 0.0f, MO_STATUS_INVALID_ARGUMENT,
           "%s: beam search draws nothing, temperature %g must be 0", op, (double)options->temperature);
  MO_CHECK(options->num_beams <= 1 || options->callback == NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: beam search knows its tokens only at the end, it takes no callback", op);
  MO_CHECK(!options->has_length_penalty || isfinite(options->length_penalty), MO_STATUS_INVALID_ARGUMENT,
           "%s: length_penalty %g is no number", op, (double)options->length_penalty);
  MO_CHECK(options->early_stopping >= MO_EARLY_STOPPING_FALSE && options->early_stopping <= MO_EARLY_STOPPING_NEVER,
           MO_STATUS_INVALID_ARGUMENT, "%s: early_stopping %d is unknown", op, (int)options->early_stopping);
  return MO_STATUS_OK;
}

/* The layers and heads the caller selects, of the last position's logits. */
static void make_request(const mo_generation_options *options, const mo_file_settings *files,
                         mo_generation_settings *settings) {
  mo_request *request = &settings->request;
  *request = (mo_request)MO_REQUEST_INIT;
  if (options->request != NULL) *request = *options->request;
  request->output_attentions |= files->output_attentions;
  request->output_hidden_states |= files->output_hidden_states;
  request->use_cache = false; /* the cache is ours */
  request->last_logit_positions = 1;
}

static bool class_has(const mo_generation_settings *settings, const char *name) {
  return mo_class_field_index(settings->output_class, name) >= 0;
}

/* What the class of the output has no place for is not made. */
static mo_status_t choose_fields(const mo_model_t *model, const mo_generation_options *options, const mo_file_settings *files,
                                 mo_generation_settings *settings) {
  const bool scores = options->output_scores || files->output_scores;
  const mo_generation_mode_t mode = settings->beams > 1            ? MO_GENERATION_BEAM
                                    : settings->temperature > 0.0f ? MO_GENERATION_SAMPLE
                                                                   : MO_GENERATION_GREEDY;
  const mo_framework_t framework = model->framework;
  const mo_state_names names = mo_token_state_names(model);
  settings->output_class = mo_generation_class(framework, mode, model->facts.has_encoder);
  MO_CHECK(settings->output_class != NULL, MO_STATUS_INTERNAL, "%s: no class of generation in this model's framework",
           model->architecture.name);
  const bool flax = framework == MO_FRAMEWORK_FLAX;
  settings->keeps_attentions = settings->request.output_attentions && class_has(settings, names.attentions);
  settings->keeps_hidden_states = settings->request.output_hidden_states && class_has(settings, names.hidden_states);
  settings->request.output_attentions = settings->keeps_attentions;
  settings->request.output_hidden_states = settings->keeps_hidden_states;
  settings->keeps_scores = scores && !flax;
  settings->keeps_logits = (options->output_logits || files->output_logits) && class_has(settings, "logits");
  settings->keeps_sequences_scores = scores || framework != MO_FRAMEWORK_PT;
  settings->sequences_scores_name = flax ? "scores" : "sequences_scores";
  settings->fills_length = flax;
  settings->keeps_cache = !options->no_past_key_values && !files->no_cache;
  return MO_STATUS_OK;
}

mo_status_t mo_generation_settings_make(const mo_model_t *model, const mo_generation_options *options, int64_t prompt_length,
                                        mo_generation_settings *settings) {
  mo_file_settings files = mo_generation_no_files();
  *settings = (mo_generation_settings){.beams = 1};
  MO_TRY(check_options(model, options));
  MO_TRY(choose_ids(model, options, &settings->ids));
  if (!options->ignore_file_settings) MO_TRY(mo_generation_files_read(model, &files));
  MO_TRY(choose_lengths(model, options, &files, prompt_length, settings));
  choose_sampling(options, &files, settings);
  MO_TRY(choose_rows(model, options, &files, settings));
  if (!options->ignore_file_settings)
    MO_TRY(mo_generation_files_refuse(model, settings->temperature > 0.0f, settings->beams,
                                      files.top_k >= 0 ? files.top_k : DEFAULT_TOP_K));
  settings->rules = files.rules;
  settings->edits_scores = has_rules(&files.rules);
  make_request(options, &files, settings);
  return choose_fields(model, options, &files, settings);
}
