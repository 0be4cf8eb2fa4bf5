/* host/generate/generation_files.h - what the files of a checkpoint say of generation.
 *
 * They are those of Transformers 4.57: generation_config.json if there is one, and then config.json is not looked at; else what
 * config.json says of generation, and of the token ids what the family takes where it is silent. null means: not set.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_GENERATE_GENERATION_FILES_H
#define MO_GENERATE_GENERATION_FILES_H

#include "host/tokens/token_model.h"
#include "modelout/generate.h"

#define MO_MAX_END_TOKENS 64
typedef struct mo_generation_ids {
  int64_t end_tokens[MO_MAX_END_TOKENS];
  int64_t end_token_count;
  int64_t pad_token, start_token; /* start_token: decoder_start_token_id, else bos_token_id */
} mo_generation_ids;

/* What changes scores before a token is chosen. Lists are JSON of the model's configurations, checked, and live as long. */
typedef struct mo_score_rules {
  float repetition_penalty; /* 1: none */
  int64_t no_repeat_ngram_size, encoder_no_repeat_ngram_size;
  int64_t forced_first;                                                /* forced_bos_token_id, or MO_NO_TOKEN */
  const json_t *forced_last;                                           /* forced_eos_token_id: a number or a list; NULL */
  int64_t forced_last_id;                                              /* the same where the family says it; or MO_NO_TOKEN */
  const json_t *suppressed, *suppressed_first, *banned_words, *biases; /* lists; NULL */
} mo_score_rules;

/* -1: the files do not say. */
typedef struct mo_file_settings {
  const char *file; /* its name, for sentences */
  int64_t max_new_tokens, max_length, min_new_tokens, min_length;
  int64_t beams, returned;
  bool samples;
  float temperature, top_p, min_p; /* as mo_sampling_params takes them */
  int64_t top_k;                   /* -1: absent; 0: none */
  float length_penalty;
  mo_early_stopping_t early_stopping;
  bool no_cache, output_scores, output_logits, output_attentions, output_hidden_states;
  mo_score_rules rules;
} mo_file_settings;

/* The token ids. BAD_FILE. */
mo_status_t mo_generation_files_end_tokens(const mo_model_t *model, mo_generation_ids *ids);
mo_status_t mo_generation_files_pad_token(const mo_model_t *model, mo_generation_ids *ids);
mo_status_t mo_generation_files_start_token(const mo_model_t *model, mo_generation_ids *ids);

/* Settings that no file makes. */
mo_file_settings mo_generation_no_files(void);

/* The settings, each checked. BAD_FILE. */
mo_status_t mo_generation_files_read(const mo_model_t *model, mo_file_settings *settings);

/* UNSUPPORTED if the files ask for what generation does not do. `samples`, `beams`, `top_k`: as the search will run. */
mo_status_t mo_generation_files_refuse(const mo_model_t *model, bool samples, int64_t beams, int64_t top_k);

#endif
