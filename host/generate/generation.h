/* host/generate/generation.h - what the files of generation share.
 *
 * generation_files.c      what the checkpoint's files say (generation_files.h)
 * generation_settings.c   that and the options become settings
 * generation_edits.c      what changes the scores of single tokens
 * generation_step.c       one step: the model's run and its inputs
 * generation_record.c     steps that all do the same, recorded once and launched from then on
 * generation_keep.c       what is kept of the steps, and the output made of it
 * generate.c              greedy and sampling, and the public function
 * beam_search.c           beam search
 * generation_classes.c    the output classes
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_GENERATE_GENERATION_H
#define MO_GENERATE_GENERATION_H

#include "host/generate/generation_files.h"
#include "modelout/score_edit.h"

#define MO_EDIT_STAGES 5

typedef struct mo_generation_settings {
  int64_t max_new_tokens, min_new_tokens;
  mo_generation_ids ids;
  int64_t beams, returned;
  int64_t copies;     /* rows of each input: its beams, or the sequences drawn for it */
  int64_t candidates; /* beam search: continuations looked at per row */
  float temperature;  /* 0: greedy */
  int64_t top_k;
  float top_p, min_p;
  float length_penalty;
  mo_early_stopping_t early_stopping;
  mo_score_rules rules;
  bool edits_scores; /* some rule is there; then min_new_tokens is one of them */
  bool keeps_cache;
  const mo_class *output_class;
  bool keeps_sequences_scores; /* beam search */
  const char *sequences_scores_name;
  bool fills_length; /* sequences go on with padding to the greatest length */
  bool keeps_scores, keeps_logits, keeps_attentions, keeps_hidden_states;
  mo_request request; /* of every step */
} mo_generation_settings;

/* Fields of one kind, one per step. */
typedef struct mo_step_fields {
  mo_field **items;
  int64_t count;
} mo_step_fields;

/* The edits of a step: what is to be changed of each row's scores, stage by stage. */
typedef struct mo_generation_edits {
  mo_score_stage stages[MO_EDIT_STAGES];
  int64_t columns, filled_for; /* places per row; the history they are enough for */
  void *host_block, *device_block;
  size_t host_bytes;
  int32_t *tokens; /* (rows, columns) */
  float *values;   /* (rows, columns), right behind them as on the device */
  int32_t *seen;   /* (vocabulary): the last `stamp` that met the id */
  int32_t stamp;
  mo_tensor device_tokens, device_values;
} mo_generation_edits;

typedef struct mo_generation {
  mo_model_t *model;
  mo_context_t *context;
  const mo_generation_options *options;
  mo_generation_settings settings;
  int64_t batch_size;    /* prompts */
  int64_t rows;          /* batch_size * copies */
  int64_t prompt_length; /* of the decoder */
  int64_t total_length;  /* prompt_length + max_new_tokens */
  int64_t columns;       /* of `tokens` and `mask`: what there is room for by now, at most total_length */
  bool masked;           /* some row is padded */
  bool takes_positions;  /* position_ids mean something to the model */
  bool by_lengths;       /* decode steps take their places from the device, and write to the same memory each time */
  mo_cache_t *cache;

  /* Host memory that grows with the tokens, one block. */
  void *history_block;
  size_t history_bytes;
  int64_t *tokens; /* (rows, columns): prompts, then what was chosen */
  bool *mask;      /* (rows, columns) */

  /* Host memory, one block. */
  void *host_block;
  size_t host_bytes;
  int64_t *prompts;   /* (rows, prompt_length) */
  int64_t *positions; /* (rows, prompt_length) */
  int64_t *chosen;    /* (rows) */
  bool *ended;        /* (rows): has drawn an end token */
  int64_t *encoder_ids;
  bool *encoder_mask; /* NULL: nothing is padded */
  int64_t encoder_length;
  mo_step_fields scores, logits, attentions, cross_attentions, hidden_states;

  /* Device memory, one block. */
  void *device_block;
  mo_tensor next;                                     /* (rows) int64: the chosen ids */
  mo_tensor next_column;                              /* the same as (rows, 1) */
  mo_tensor next_positions, position_column, lengths; /* int32 */
  mo_tensor step_counts, finished, end_tokens, device_mask, device_encoder_mask;
  mo_tensor score_buffer;          /* (rows, vocabulary) float32: scores that need no memory of their own */
  mo_tensor best_values, best_ids; /* (rows, candidates) */
  mo_tensor best;                  /* the same two as bytes, ids first: what a step of beam search sends to the host */

  mo_generation_edits edits;
  mo_output *step; /* of the last step */
  bool step_is_decode;
  mo_graph graph; /* NULL: none yet, or never */
  bool record_tried;
  int64_t uncounted; /* decode steps by lengths that the cache has not been told of */
  mo_field *encoder_outputs, *encoder_attentions, *encoder_hidden_states;
} mo_generation;

/* ---- generation_settings.c ---- */

/* The options, completed by the files. `prompt_length` is the decoder's. */
mo_status_t mo_generation_settings_make(const mo_model_t *model, const mo_generation_options *options, int64_t prompt_length,
                                        mo_generation_settings *settings);

/* ---- generation_step.c ---- */

/* Checks the prompts, makes cache and buffers. On failure mo_generation_end is still to be called. */
mo_status_t mo_generation_begin(mo_generation *g, const mo_model_inputs *inputs);
void mo_generation_end(mo_generation *g);

/* Makes room for the token that this step chooses. */
mo_status_t mo_generation_reserve(mo_generation *g, int64_t step);

/* Whether a step writes to the memory of the step before it, so that what is kept of it must be copied. */
bool mo_generation_reuses_memory(const mo_generation *g, int64_t step);

/* Runs the model on the prompts, or (a later step) on `next`; its logits of the last position are (rows, vocabulary). */
mo_status_t mo_generation_run(mo_generation *g, int64_t step, mo_tensor *logits);

/* Tells the cache of the tokens that steps by lengths have written. */
mo_status_t mo_generation_count(mo_generation *g);

/* ---- generation_edits.c ---- */

/* Finds what is to be edited after the tokens of `tokens`, and sends it to the device. Nothing without rules. */
mo_status_t mo_generation_edits_prepare(mo_generation *g, int64_t step);

/* scores = logits, edited. Part of a step's work. */
mo_status_t mo_generation_edit(mo_generation *g, const mo_tensor *logits, const mo_tensor *scores);

void mo_generation_edits_end(mo_generation *g);

/* ---- generation_record.c ---- */

/* The whole of a step's work on the device, mo_generation_run first. It may be recorded: then it is called once for many
 * launches, and must depend on the device's memory alone. */
typedef mo_status_t (*mo_generation_work)(mo_generation *g, int64_t step, void *state);

/* Does a step's work and keeps of it what is to be kept. */
mo_status_t mo_generation_do(mo_generation *g, int64_t step, mo_generation_work work, void *state);

/* ---- generation_keep.c ---- */

/* Where the step's scores, (rows, vocabulary) float32, are to be written. */
mo_status_t mo_generation_scores(mo_generation *g, int64_t step, mo_tensor *scores);

/* What the step leaves for the output, after its work. */
mo_status_t mo_generation_keep(mo_generation *g, int64_t step);

/* Another view of a field's memory, which it keeps alive. */
mo_status_t mo_generation_view(mo_generation *g, mo_field *field, const mo_tensor *view, mo_field **made);

/* A tensor of host values as a field on the device. */
mo_status_t mo_generation_field(mo_generation *g, const void *values, mo_dtype_t dtype, int32_t rank, const int64_t *shape,
                                mo_field **field);

/* The output. `sequences`, and for beams the other two, are released here. */
mo_status_t mo_generation_output(mo_generation *g, mo_field *sequences, mo_field *sequences_scores, mo_field *beam_indices,
                                 mo_output **output);

/* Whether an id is an end token. */
bool mo_generation_is_end(const mo_generation *g, int64_t token);

/* VALUE_ERROR: a row of prompt `input` has no token to choose in this step. */
mo_status_t mo_generation_no_choice(const mo_generation *g, int64_t input, int64_t step);

/* ---- beam_search.c ---- */

mo_status_t mo_beam_search(mo_generation *g, mo_output **output);

#endif
