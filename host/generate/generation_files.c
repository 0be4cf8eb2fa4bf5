/* host/generate/generation_files.c - reading what the files of a checkpoint say of generation.
 *
 * The rules are GenerationConfig's of Transformers 4.57: from_pretrained where there is a generation_config.json, else
 * from_model_config; the checks are those of its logits processors.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/generate/generation_files.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "host/core/text_file.h"

#define MAX_BEAMS 1024
#define LARGEST_LENGTH INT64_MAX
#define NO_TOP_P 0.0f
#define SMALLEST_TOP_P 1.0e-9f /* keeps the likeliest token alone, as 0 does in the files */

/* Token ids that a family's configuration class gives where config.json has no such key. */
static const struct family_ids {
  const char *model_type;
  int64_t bos, eos, pad, start, forced_last;
} family_ids[] = {
    {"bart", 0, 2, 1, 2, 2},
    {"bert", MO_NO_TOKEN, MO_NO_TOKEN, 0, MO_NO_TOKEN, MO_NO_TOKEN},
    {"gemma2", 2, 1, 0, MO_NO_TOKEN, MO_NO_TOKEN},
    {"gemma3_text", 2, 1, 0, MO_NO_TOKEN, MO_NO_TOKEN},
    {"gpt2", 50256, 50256, MO_NO_TOKEN, MO_NO_TOKEN, MO_NO_TOKEN},
    {"gpt_neox", 0, 2, MO_NO_TOKEN, MO_NO_TOKEN, MO_NO_TOKEN},
    {"llama", 1, 2, MO_NO_TOKEN, MO_NO_TOKEN, MO_NO_TOKEN},
    {"mistral", 1, 2, MO_NO_TOKEN, MO_NO_TOKEN, MO_NO_TOKEN},
    {"opt", 2, 2, 1, MO_NO_TOKEN, MO_NO_TOKEN},
    {"phi3", 1, 32000, 32000, MO_NO_TOKEN, MO_NO_TOKEN},
    {"roberta", 0, 2, 1, MO_NO_TOKEN, MO_NO_TOKEN},
    {"t5", MO_NO_TOKEN, 1, 0, MO_NO_TOKEN, MO_NO_TOKEN},
    {"xlm-roberta", 0, 2, 1, MO_NO_TOKEN, MO_NO_TOKEN},
};

static const mo_config_t *source_of(const mo_model_t *model) {
  return model->generation_config != NULL ? model->generation_config : model->config;
}

static const char *file_of(const mo_model_t *model) {
  return model->generation_config != NULL ? "generation_config.json" : "config.json";
}

/* What the family says of an id that the source has no key for; no family speaks where there is a generation_config.json. */
static int64_t family_id(const mo_model_t *model, const char *key) {
  const mo_config_t *source = source_of(model);
  if (source == model->generation_config || mo_config_is_null(source, key)) return MO_NO_TOKEN;
  for (size_t i = 0; i < sizeof family_ids / sizeof family_ids[0]; i++) {
    const struct family_ids *family = &family_ids[i];
    if (strcmp(family->model_type, model->family->name) != 0) continue;
    if (strcmp(key, "bos_token_id") == 0) return family->bos;
    if (strcmp(key, "eos_token_id") == 0) return family->eos;
    if (strcmp(key, "pad_token_id") == 0) return family->pad;
    if (strcmp(key, "decoder_start_token_id") == 0) return family->start;
    return family->forced_last;
  }
  return MO_NO_TOKEN;
}

/* ---- Token ids ----------------------------------------------------------------------------------------------------------- */

static mo_status_t read_id(const mo_model_t *model, const char *key, int64_t *id) {
  return mo_config_integer(source_of(model), key, INT32_MIN, INT32_MAX, family_id(model, key), id);
}

mo_status_t mo_generation_files_end_tokens(const mo_model_t *model, mo_generation_ids *ids) {
  const mo_config_t *source = source_of(model);
  const int64_t fallback = family_id(model, "eos_token_id");
  MO_TRY(mo_config_integers(source, "eos_token_id", ids->end_tokens, MO_MAX_END_TOKENS, &ids->end_token_count));
  if (mo_config_has(source, "eos_token_id") || fallback == MO_NO_TOKEN) return MO_STATUS_OK;
  ids->end_tokens[ids->end_token_count++] = fallback;
  return MO_STATUS_OK;
}

mo_status_t mo_generation_files_pad_token(const mo_model_t *model, mo_generation_ids *ids) {
  return read_id(model, "pad_token_id", &ids->pad_token);
}

mo_status_t mo_generation_files_start_token(const mo_model_t *model, mo_generation_ids *ids) {
  MO_TRY(read_id(model, "decoder_start_token_id", &ids->start_token));
  return ids->start_token == MO_NO_TOKEN ? read_id(model, "bos_token_id", &ids->start_token) : MO_STATUS_OK;
}

/* ---- Settings ------------------------------------------------------------------------------------------------------------ */

mo_file_settings mo_generation_no_files(void) {
  return (mo_file_settings){.file = "no file",
                            .max_new_tokens = -1,
                            .max_length = -1,
                            .min_new_tokens = -1,
                            .min_length = -1,
                            .beams = 1,
                            .returned = 1,
                            .temperature = 1.0f,
                            .top_k = -1,
                            .length_penalty = 1.0f,
                            .rules = {.repetition_penalty = 1.0f, .forced_first = MO_NO_TOKEN, .forced_last_id = MO_NO_TOKEN}};
}

static mo_status_t read_real(const mo_config_t *source, const char *key, double least, double most, float *value) {
  double read;
  MO_TRY(mo_config_float(source, key, least, most, (double)*value, &read));
  *value = (float)read;
  return MO_STATUS_OK;
}

static mo_status_t bad(const mo_model_t *model, const char *key, const json_t *value, const char *expected) {
  return mo_fail(MO_STATUS_BAD_FILE, "%s: %s is %s, must be %s", file_of(model), key, mo_json_show(value).text, expected);
}

static mo_status_t read_lengths(const mo_config_t *source, mo_file_settings *s) {
  MO_TRY(mo_config_integer(source, "max_new_tokens", 1, LARGEST_LENGTH, -1, &s->max_new_tokens));
  MO_TRY(mo_config_integer(source, "max_length", 1, LARGEST_LENGTH, -1, &s->max_length));
  MO_TRY(mo_config_integer(source, "min_new_tokens", INT64_MIN, LARGEST_LENGTH, -1, &s->min_new_tokens));
  return mo_config_integer(source, "min_length", INT64_MIN, LARGEST_LENGTH, -1, &s->min_length);
}

static mo_status_t read_sampling(const mo_config_t *source, mo_file_settings *s) {
  float top_p = 1.0f;
  MO_TRY(mo_config_bool(source, "do_sample", false, &s->samples));
  MO_TRY(read_real(source, "temperature", s->samples ? (double)FLT_MIN : -DBL_MAX, s->samples ? FLT_MAX : DBL_MAX,
                   &s->temperature));
  MO_TRY(mo_config_integer(source, "top_k", s->samples ? 0 : INT64_MIN, INT64_MAX, mo_config_is_null(source, "top_k") ? 0 : -1,
                           &s->top_k));
  MO_TRY(read_real(source, "top_p", 0.0, s->samples ? 1.0e30 : DBL_MAX, &top_p));
  s->top_p = top_p >= 1.0f ? NO_TOP_P : fmaxf(top_p, SMALLEST_TOP_P);
  return read_real(source, "min_p", 0.0, 1.0, &s->min_p);
}

static mo_status_t read_beams(const mo_model_t *model, const mo_config_t *source, mo_file_settings *s) {
  const json_t *stopping = mo_config_value(source, "early_stopping");
  MO_TRY(mo_config_integer(source, "num_beams", 1, MAX_BEAMS, 1, &s->beams));
  MO_TRY(mo_config_integer(source, "num_return_sequences", 1, MAX_BEAMS, 1, &s->returned));
  MO_TRY(read_real(source, "length_penalty", -FLT_MAX, FLT_MAX, &s->length_penalty));
  const char *text = json_string_value(stopping);
  if (text != NULL && strcmp(text, "never") == 0) s->early_stopping = MO_EARLY_STOPPING_NEVER;
  else if (json_is_true(stopping)) s->early_stopping = MO_EARLY_STOPPING_TRUE;
  else if (stopping != NULL && !json_is_false(stopping))
    return bad(model, "early_stopping", stopping, "true, false or \"never\"");
  return MO_STATUS_OK;
}

static mo_status_t read_outputs(const mo_config_t *source, mo_file_settings *s) {
  bool use_cache;
  MO_TRY(mo_config_bool(source, "use_cache", true, &use_cache));
  s->no_cache = !use_cache;
  MO_TRY(mo_config_bool(source, "output_scores", false, &s->output_scores));
  MO_TRY(mo_config_bool(source, "output_logits", false, &s->output_logits));
  MO_TRY(mo_config_bool(source, "output_attentions", false, &s->output_attentions));
  return mo_config_bool(source, "output_hidden_states", false, &s->output_hidden_states);
}

/* ---- What changes scores ------------------------------------------------------------------------------------------------- */

static bool is_id_list(const json_t *list) {
  int64_t id;
  if (!json_is_array(list)) return false;
  for (size_t i = 0; i < json_array_size(list); i++)
    if (!mo_json_as_integer(json_array_get(list, i), &id)) return false;
  return true;
}

static mo_status_t read_ids(const mo_model_t *model, const char *key, const json_t **ids) {
  const json_t *list = mo_config_value(source_of(model), key);
  *ids = list;
  if (list == NULL || is_id_list(list)) return MO_STATUS_OK;
  return bad(model, key, list, "a list of token ids");
}

/* A word is a list of at least one id, all of them in the vocabulary. */
static bool is_word(const mo_model_t *model, const json_t *word) {
  int64_t id;
  if (!is_id_list(word) || json_array_size(word) == 0) return false;
  for (size_t i = 0; i < json_array_size(word); i++)
    if (!mo_json_as_integer(json_array_get(word, i), &id) || id < 0 || id >= mo_token_config(model)->embedding.vocab_size)
      return false;
  return true;
}

static mo_status_t read_words(const mo_model_t *model, mo_score_rules *rules) {
  const mo_config_t *source = source_of(model);
  const json_t *words = mo_config_value(source, "bad_words_ids"), *biases = mo_config_value(source, "sequence_bias");
  bool fine = words == NULL || json_is_array(words);
  for (size_t i = 0; fine && i < json_array_size(words); i++) fine = is_word(model, json_array_get(words, i));
  if (!fine) return bad(model, "bad_words_ids", words, "a list of lists of ids in the vocabulary");
  fine = biases == NULL || json_is_array(biases);
  for (size_t i = 0; fine && i < json_array_size(biases); i++) {
    const json_t *pair = json_array_get(biases, i);
    fine = json_array_size(pair) == 2 && is_word(model, json_array_get(pair, 0)) && json_is_number(json_array_get(pair, 1));
  }
  if (!fine) return bad(model, "sequence_bias", biases, "a list of pairs: a list of ids in the vocabulary, and a number");
  rules->banned_words = words;
  rules->biases = biases;
  return MO_STATUS_OK;
}

/* BART's old way of saying that the first token is bos_token_id. */
static mo_status_t read_forced_first(const mo_model_t *model, mo_score_rules *rules) {
  const mo_config_t *source = source_of(model);
  bool as_bart = false;
  MO_TRY(mo_config_integer(source, "forced_bos_token_id", INT32_MIN, INT32_MAX, MO_NO_TOKEN, &rules->forced_first));
  if (source != model->config || strcmp(model->family->name, "bart") != 0) return MO_STATUS_OK;
  MO_TRY(mo_config_bool(source, "force_bos_token_to_be_generated", false, &as_bart));
  return as_bart && rules->forced_first == MO_NO_TOKEN ? read_id(model, "bos_token_id", &rules->forced_first) : MO_STATUS_OK;
}

static mo_status_t read_forced_last(const mo_model_t *model, mo_score_rules *rules) {
  const mo_config_t *source = source_of(model);
  const json_t *last = mo_config_value(source, "forced_eos_token_id");
  int64_t id;
  rules->forced_last = last;
  if (last == NULL) rules->forced_last_id = family_id(model, "forced_eos_token_id");
  else if (!is_id_list(last) && !mo_json_as_integer(last, &id))
    return bad(model, "forced_eos_token_id", last, "a token id or a list of them");
  return MO_STATUS_OK;
}

static mo_status_t read_rules(const mo_model_t *model, mo_score_rules *rules) {
  const mo_config_t *source = source_of(model);
  MO_TRY(read_real(source, "repetition_penalty", (double)FLT_MIN, FLT_MAX, &rules->repetition_penalty));
  MO_TRY(mo_config_integer(source, "no_repeat_ngram_size", INT64_MIN, INT64_MAX, 0, &rules->no_repeat_ngram_size));
  MO_TRY(
      mo_config_integer(source, "encoder_no_repeat_ngram_size", INT64_MIN, INT64_MAX, 0, &rules->encoder_no_repeat_ngram_size));
  MO_TRY(read_forced_first(model, rules));
  MO_TRY(read_forced_last(model, rules));
  MO_TRY(read_ids(model, "suppress_tokens", &rules->suppressed));
  MO_TRY(read_ids(model, "begin_suppress_tokens", &rules->suppressed_first));
  return read_words(model, rules);
}

mo_status_t mo_generation_files_read(const mo_model_t *model, mo_file_settings *settings) {
  const mo_config_t *source = source_of(model);
  *settings = mo_generation_no_files();
  settings->file = file_of(model);
  MO_TRY(read_lengths(source, settings));
  MO_TRY(read_sampling(source, settings));
  MO_TRY(read_beams(model, source, settings));
  MO_TRY(read_outputs(source, settings));
  return read_rules(model, &settings->rules);
}

/* ---- What is refused ----------------------------------------------------------------------------------------------------- */

typedef enum neutral_t {
  NEUTRAL_NONE,       /* only null */
  NEUTRAL_FALSE,      /* and false */
  NEUTRAL_ONE,        /* and 1 */
  NEUTRAL_FROM_ONE,   /* and numbers of at least 1; concerns sampling */
  NEUTRAL_OUTSIDE,    /* and numbers outside of 0 to 1; concerns sampling */
  NEUTRAL_IF_SAMPLED, /* only null; concerns sampling */
} neutral_t;

static const struct {
  const char *key;
  neutral_t neutral;
} refused[] = {
    {"typical_p", NEUTRAL_FROM_ONE},
    {"epsilon_cutoff", NEUTRAL_OUTSIDE},
    {"eta_cutoff", NEUTRAL_OUTSIDE},
    {"top_h", NEUTRAL_IF_SAMPLED},
    {"encoder_repetition_penalty", NEUTRAL_ONE},
    {"guidance_scale", NEUTRAL_ONE},
    {"renormalize_logits", NEUTRAL_FALSE},
    {"remove_invalid_values", NEUTRAL_FALSE},
    {"token_healing", NEUTRAL_FALSE},
    {"exponential_decay_length_penalty", NEUTRAL_NONE},
    {"watermarking_config", NEUTRAL_NONE},
    {"constraints", NEUTRAL_NONE},
    {"force_words_ids", NEUTRAL_NONE},
    {"dola_layers", NEUTRAL_NONE},
    {"max_time", NEUTRAL_NONE},
    {"stop_strings", NEUTRAL_NONE},
};

static bool is_neutral(neutral_t neutral, const json_t *value, bool samples) {
  const double number = json_number_value(value);
  if (value == NULL) return true;
  switch (neutral) {
    case NEUTRAL_FALSE:
      return json_is_false(value);
    case NEUTRAL_ONE:
      return json_is_number(value) && number == 1.0;
    case NEUTRAL_FROM_ONE:
      return !samples || (json_is_number(value) && number >= 1.0);
    case NEUTRAL_OUTSIDE:
      return !samples || (json_is_number(value) && !(number > 0.0 && number < 1.0));
    case NEUTRAL_IF_SAMPLED:
      return !samples;
    default:
      return false;
  }
}

static mo_status_t refuse(const mo_model_t *model, const char *key, const json_t *value) {
  return mo_fail(
      MO_STATUS_UNSUPPORTED,
      "%s: %s asks for %s %s, which generation does not do (ignore_file_settings goes on without the files' settings)",
      model->architecture.name, file_of(model), key, mo_json_show(value).text);
}

mo_status_t mo_generation_files_refuse(const mo_model_t *model, bool samples, int64_t beams, int64_t top_k) {
  const mo_config_t *source = source_of(model);
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    const json_t *value = mo_config_value(source, refused[i].key);
    if (!is_neutral(refused[i].neutral, value, samples)) return refuse(model, refused[i].key, value);
  }
  const json_t *groups = mo_config_value(source, "num_beam_groups"), *alpha = mo_config_value(source, "penalty_alpha");
  if (beams > 1 && json_number_value(groups) > 1.0) return refuse(model, "num_beam_groups", groups);
  if (beams == 1 && !samples && top_k > 1 && json_number_value(alpha) > 0.0) return refuse(model, "penalty_alpha", alpha);
  const json_t *cache = mo_config_value(source, "cache_implementation");
  const char *kind = json_string_value(cache);
  if (kind != NULL && strcmp(kind, "quantized") == 0) return refuse(model, "cache_implementation", cache);
  return MO_STATUS_OK;
}
