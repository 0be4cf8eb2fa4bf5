/* host/cli/run.h - what the files of `modelout run` share: its options, its inputs, and the report that is printed or dumped.
 *
 * The report is one JSON value; the text on the terminal is printed from it, so both forms say the same.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CLI_RUN_H
#define MO_CLI_RUN_H

#include <jansson.h>

#include "host/cli/cli.h"
#include "host/replay/inputs.h"

#define RUN_COMMAND "run"

typedef struct run_options {
  const char *directory; /* where the model and its tokenizer lie */
  char *sub_directory;   /* memory of it, where that is a folder below the one given */
  const char **texts;    /* in order; released by run_options_release */
  int64_t text_count;
  const char *ids;
  const char *inputs_path;
  const char *save_path;
  mo_context_options context;
  const char *architecture; /* NULL: config.json's */
  mo_framework_t framework;
  mo_dtype_t dtype;
  bool output_hidden_states;
  bool output_attentions;
  bool use_cache;
  int32_t *layers; /* NULL: all */
  int32_t layer_count;
  int32_t *heads;
  int32_t head_count;
  mo_pooling_mode_t pool; /* 0: none */
  bool pool_auto;         /* the one the folder declares; run_sentence_resolve puts it into `pool` */
  bool json;
  bool quiet;
} run_options;

/* Fills `options`; false when the command is done (help, usage error) with its exit code in *exit_code. Either way
 * run_options_release() is to be called. */
bool run_options_parse(int argc, char **argv, run_options *options, int *exit_code);
void run_options_release(run_options *options);

/* Takes what a sentence-transformers folder declares into the options: where the model lies, how texts are pooled. Where
 * pooling is asked for, a declaration that would give other vectors is refused. Returns an exit code. */
int run_sentence_resolve(run_options *options);

/* "mean" and so on. */
const char *run_pool_name(mo_pooling_mode_t pool);

typedef struct run_inputs {
  mo_replay_inputs given;
  mo_tokenizer_t *tokenizer; /* NULL if the folder has none that was needed */
} run_inputs;

/* Texts, ids or a file made into tensors on the CPU. Returns an exit code; run_inputs_release() in any case. */
int run_inputs_build(const run_options *options, const mo_model_t *model, run_inputs *inputs);
void run_inputs_release(run_inputs *inputs);

/* The input of that name, NULL if it is not given. */
const mo_tensor *run_inputs_find(const run_inputs *inputs, const char *name);

/* Adds what the output holds: "fields", each with where it lies or why it is absent. */
void run_report_fields(json_t *report, const mo_output *output);

/* Adds "predictions": the largest logits with their names. Returns an exit code. */
int run_report_predictions(json_t *report, const run_options *options, const run_inputs *inputs, const mo_output *output);

/* Adds "pooled": one L2-normalised vector per sequence, and the cosine similarities between them.
 * Returns an exit code. */
int run_report_pooled(json_t *report, const run_options *options, mo_context_t *context, const run_inputs *inputs,
                      const mo_output *output);

/* A shape as a JSON list. */
json_t *run_json_shape(int32_t rank, const int64_t *shape);

/* A JSON number; null for what JSON cannot say (NaN, infinity). */
json_t *run_json_real(double value);

/* The report as text on stdout. */
void run_print_report(const json_t *report);

#endif
