/* host/model/generation_settings.c - the options of a generation, completed by generation_config.json and config.json.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "host/model/generation.h"

#define DEFAULT_NEW_TOKENS 20 /* max_length of Transformers' GenerationConfig */

/* An integer that generation_config.json or config.json has; -1 if neither. */
static int64_t find_integer(const mo_model_t *model, const char *name) {
  int64_t value;
  if (model->generation_config != NULL && mo_config_find_integer(model->generation_config, name, &value)) return value;
  return mo_config_find_integer(model->config, name, &value) ? value : -1;
}

/* eos_token_id: a number or a list of them. */
static mo_status_t read_end_tokens(const mo_model_t *model, mo_generation_settings *settings) {
  const mo_config_t *sources[2] = {model->generation_config, model->config};
  for (int i = 0; i < 2 && settings->end_token_count == 0; i++) {
    if (sources[i] != NULL)
      MO_TRY(
          mo_config_integers(sources[i], "eos_token_id", settings->end_tokens, MO_MAX_END_TOKENS, &settings->end_token_count));
  }
  return MO_STATUS_OK;
}

static mo_status_t choose_end_tokens(const mo_model_t *model, const mo_generation_options *options,
                                     mo_generation_settings *settings) {
  const char *op = model->architecture.name;
  MO_CHECK(options->eos_token_count >= 0 && options->eos_token_count <= MO_MAX_END_TOKENS &&
               (options->eos_token_count == 0 || options->eos_token_ids != NULL),
           MO_STATUS_INVALID_ARGUMENT, "%s: generation with %d end tokens, 0 to %d and a list of them", op,
           (int)options->eos_token_count, MO_MAX_END_TOKENS);
  if (options->no_eos_token) return MO_STATUS_OK;
  for (int32_t i = 0; i < options->eos_token_count; i++) settings->end_tokens[i] = options->eos_token_ids[i];
  settings->end_token_count = options->eos_token_count;
  return settings->end_token_count == 0 ? read_end_tokens(model, settings) : MO_STATUS_OK;
}

static void choose_lengths(const mo_model_t *model, const mo_generation_options *options, int64_t prompt_length,
                           mo_generation_settings *settings) {
  int64_t most = options->max_new_tokens, least = options->min_new_tokens;
  if (most == 0) most = find_integer(model, "max_new_tokens");
  if (most <= 0 && find_integer(model, "max_length") > 0) {
    most = find_integer(model, "max_length") - prompt_length;
    if (most < 1) most = 1;
  }
  settings->max_new_tokens = most > 0 ? most : DEFAULT_NEW_TOKENS;
  if (least == 0) least = find_integer(model, "min_new_tokens");
  settings->min_new_tokens = least > 0 ? least : 0;
}

static mo_status_t check_options(const mo_model_t *model, const mo_generation_options *options) {
  const char *op = model->architecture.name;
  MO_CHECK(options->max_new_tokens >= 0 && options->min_new_tokens >= 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " to %" PRId64 " new tokens, neither may be below 0", op, options->min_new_tokens,
           options->max_new_tokens);
  MO_CHECK(options->num_beams >= 0 && options->num_beams <= 1024, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " beams, 1 to 1024", op, options->num_beams);
  const int64_t beams = options->num_beams > 1 ? options->num_beams : 1;
  MO_CHECK(options->num_return_sequences >= 0 && options->num_return_sequences <= beams, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " sequences to return of %" PRId64 " beams", op, options->num_return_sequences, beams);
  MO_CHECK(beams == 1 || options->temperature == 0.0f, MO_STATUS_INVALID_ARGUMENT,
           "%s: beam search draws nothing, temperature %g must be 0", op, (double)options->temperature);
  MO_CHECK(beams == 1 || options->callback == NULL, MO_STATUS_INVALID_ARGUMENT,
           "%s: beam search knows its tokens only at the end, it takes no callback", op);
  MO_CHECK(!options->has_length_penalty || isfinite(options->length_penalty), MO_STATUS_INVALID_ARGUMENT,
           "%s: length_penalty %g is no number", op, (double)options->length_penalty);
  MO_CHECK(options->early_stopping >= MO_EARLY_STOPPING_FALSE && options->early_stopping <= MO_EARLY_STOPPING_NEVER,
           MO_STATUS_INVALID_ARGUMENT, "%s: early_stopping %d is unknown", op, (int)options->early_stopping);
  return MO_STATUS_OK;
}

/* The layers and heads the caller selects, of the last position's logits. */
static void make_request(const mo_generation_options *options, mo_generation_settings *settings) {
  mo_request *request = &settings->request;
  *request = (mo_request)MO_REQUEST_INIT;
  if (options->request != NULL) *request = *options->request;
  request->use_cache = false; /* the cache is ours */
  request->last_logit_positions = 1;
}

static bool class_has(const mo_generation_settings *settings, const char *name) {
  return mo_class_field_index(settings->output_class, name) >= 0;
}

/* What the class of the output has no place for is not made. */
static mo_status_t choose_fields(const mo_model_t *model, const mo_generation_options *options,
                                 mo_generation_settings *settings) {
  const mo_generation_mode_t mode = settings->beams > 1           ? MO_GENERATION_BEAM
                                    : options->temperature > 0.0f ? MO_GENERATION_SAMPLE
                                                                  : MO_GENERATION_GREEDY;
  const mo_framework_t framework = model->framework;
  const mo_state_names *names = mo_state_names_of(model);
  settings->output_class = mo_generation_class(framework, mode, model->has_encoder);
  MO_CHECK(settings->output_class != NULL, MO_STATUS_INTERNAL, "%s: no class of generation in this model's framework",
           model->architecture.name);
  const bool flax = framework == MO_FRAMEWORK_FLAX;
  settings->keeps_attentions = settings->request.output_attentions && class_has(settings, names->attentions);
  settings->keeps_hidden_states = settings->request.output_hidden_states && class_has(settings, names->hidden_states);
  settings->request.output_attentions = settings->keeps_attentions;
  settings->request.output_hidden_states = settings->keeps_hidden_states;
  settings->keeps_scores = options->output_scores && !flax;
  settings->keeps_logits = options->output_logits && class_has(settings, "logits");
  settings->keeps_sequences_scores = options->output_scores || framework != MO_FRAMEWORK_PT;
  settings->sequences_scores_name = flax ? "scores" : "sequences_scores";
  settings->fills_length = flax;
  return MO_STATUS_OK;
}

mo_status_t mo_generation_settings_make(const mo_model_t *model, const mo_generation_options *options, int64_t prompt_length,
                                        mo_generation_settings *settings) {
  *settings = (mo_generation_settings){.length_penalty = 1.0f};
  MO_TRY(check_options(model, options));
  MO_TRY(choose_end_tokens(model, options, settings));
  choose_lengths(model, options, prompt_length, settings);
  make_request(options, settings);
  settings->pad_token = options->has_pad_token ? options->pad_token_id : find_integer(model, "pad_token_id");
  const int64_t first_end = settings->end_token_count > 0 ? settings->end_tokens[0] : 0;
  if (!options->has_pad_token && settings->pad_token < 0) settings->pad_token = first_end;
  MO_CHECK(settings->pad_token >= 0 && settings->pad_token < model->stack.config.vocab_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: pad_token_id %" PRId64 " is outside the vocabulary of %" PRId64, model->architecture.name, settings->pad_token,
           model->stack.config.vocab_size);
  settings->start_token = find_integer(model, "decoder_start_token_id");
  if (settings->start_token < 0) settings->start_token = find_integer(model, "bos_token_id");
  settings->beams = options->num_beams > 1 ? options->num_beams : 1;
  settings->candidates = (settings->end_token_count > 1 ? 1 + settings->end_token_count : 2) * settings->beams;
  MO_CHECK(settings->beams == 1 || settings->candidates <= model->stack.config.vocab_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " beams look at %" PRId64 " continuations, the vocabulary has %" PRId64 " tokens",
           model->architecture.name, settings->beams, settings->candidates, model->stack.config.vocab_size);
  settings->returned = options->num_return_sequences > 0 ? options->num_return_sequences : 1;
  if (options->has_length_penalty) settings->length_penalty = options->length_penalty;
  return choose_fields(model, options, settings);
}
