/* host/run/model_internal.h - a loaded model, and how its files share a run.
 *
 * A run: check the inputs (inputs.c), carve the workspace, put the inputs on the device, run the layers (stack.h), the head
 * (heads.c) and the loss (losses.c), each writing into the output, and count the new tokens of the cache.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_RUN_MODEL_INTERNAL_H
#define MO_RUN_MODEL_INTERNAL_H

#include "host/families/family.h"
#include "host/nn/transformer.h"
#include "modelout/model.h"
#include "modelout/output.h"

#define MO_IGNORED_LABEL (-100)

typedef struct mo_head {
  mo_dense summary;
  bool has_summary;
  mo_dense transform, decoder;
  mo_norm_weights transform_norm;
  mo_dense token_dense, classifier;
  mo_weight scale; /* what the decoder's input is multiplied with, one row; dtype NONE: nothing */
} mo_head;

struct mo_model {
  mo_context_t *context;
  mo_config_t *config, *generation_config; /* the latter NULL without generation_config.json */
  mo_checkpoint_t *checkpoint;             /* for its lists of names; its files are open while weights are mapped */
  const mo_family *family;
  mo_architecture architecture;
  const mo_class *output_class;
  mo_framework_t framework;
  mo_dtype_t dtype;
  mo_transformer stack;   /* of an encoder-decoder model: the decoder */
  mo_transformer encoder; /* its word table is the decoder's */
  bool has_encoder;
  mo_head head;
  int64_t label_count;
  const char *problem_type; /* NULL: by the number of labels and their dtype */
  int64_t parameter_count;
  /* Grown when a run needs more, so a repeated shape never allocates. `staging` is pinned memory for inputs on their way to a
   * device with memory of its own. */
  void *workspace;
  size_t workspace_bytes;
  void *staging;
  size_t staging_bytes;
  mo_event staged; /* behind the last copies out of `staging`; NULL before the first */
};

typedef enum mo_loss_kind_t {
  MO_LOSS_NONE = 0,
  MO_LOSS_TOKENS,      /* cross entropy of (B, S) labels */
  MO_LOSS_NEXT_TOKENS, /* the same, each position against the label behind it */
  MO_LOSS_EXAMPLES,    /* cross entropy of (B) labels */
  MO_LOSS_REGRESSION,
  MO_LOSS_MULTI_LABEL,
  MO_LOSS_SPAN,
  MO_LOSS_REPLACED_TOKEN,
  MO_LOSS_PRETRAINING,
} mo_loss_kind_t;

/* The caches of a run, and what they hold before it. */
typedef struct mo_run_cache {
  bool wanted;       /* there is one, or the run makes one */
  mo_cache_t *given; /* the caller's, or what the run has made; NULL before that */
  mo_cache_t *self, *cross;
  bool self_is_new, cross_is_new, cross_is_cached;
  bool slides;         /* some layer drops old tokens, so that a token's slot is not its position */
  bool on_device;      /* cache_lengths says what it holds */
  bool rows_differ;    /* paged: rows hold different numbers of tokens, the longest past_length */
  int64_t past_length; /* tokens; 0 if on_device */
  int64_t key_length;  /* past and new ones; if on_device the most there can be */
} mo_run_cache;

/* What the inputs of a run say of it. */
typedef struct mo_run_shape {
  int64_t example_count, choice_count; /* B, and 1 outside multiple choice */
  int64_t batch_size;                  /* sequences: example_count * choice_count */
  int64_t sequence_length;
  mo_run_cache cache;
  int64_t encoder_length; /* of cross attention; 0: none */
  /* Encoder-decoder models. */
  const mo_model_inputs *source; /* the caller's inputs */
  const mo_tensor *shifted;      /* decoder ids are these, shifted right; NULL: they are given */
  bool encoder_runs;
  bool encoder_masked;
  int64_t rotary_positions; /* how many positions the tables must have */
  bool masked;              /* there is a mask that hides something, or one that cannot be looked at here */
  bool mask_per_query;      /* (B, S, keys) */
  mo_loss_kind_t loss;
  int64_t loss_count; /* TensorFlow: labels that are not ignored */
} mo_run_shape;

/* ---- inputs.c, inputs_place.c ---- */

typedef enum mo_input_t {
  MO_INPUT_IDS,
  MO_INPUT_TYPES,
  MO_INPUT_POSITIONS,
  MO_INPUT_EMBEDS,
  MO_INPUT_MASK,
  MO_INPUT_LENGTHS,
  MO_INPUT_ENCODER_HIDDEN,
  MO_INPUT_ENCODER_MASK,
  MO_INPUT_SOURCE_IDS, /* the encoder's */
  MO_INPUT_SOURCE_EMBEDS,
  MO_INPUT_TOKEN_MASK, /* 1 where a token may be the last of its sequence; made, not given */
  MO_INPUT_LABELS,
  MO_INPUT_PAIR_LABELS,
  MO_INPUT_STARTS,
  MO_INPUT_ENDS,
  MO_INPUT_COUNT,
} mo_input_t;

/* How an input comes to be where it is. */
typedef enum mo_input_origin_t {
  MO_ORIGIN_VIEW = 0,      /* a view of the caller's, or not there */
  MO_ORIGIN_COPY,          /* of the source, converted */
  MO_ORIGIN_COUNT_VISIBLE, /* positions: visible tokens so far, of the mask */
  MO_ORIGIN_COUNT_ALL,     /* positions: tokens so far */
  MO_ORIGIN_COUNT_ROWS,    /* positions: tokens so far of each row */
  MO_ORIGIN_NOT_PADDING,   /* a mask, of the ids */
  MO_ORIGIN_IS_END,        /* a mask, of the ids */
  MO_ORIGIN_SHIFTED,       /* ids, of the source behind the start token */
} mo_input_origin_t;

/* Inputs as the ops take them; dtype NONE: not given. */
typedef struct mo_prepared_inputs {
  mo_tensor tensors[MO_INPUT_COUNT];
  mo_input_origin_t origins[MO_INPUT_COUNT];
  const mo_tensor *sources[MO_INPUT_COUNT];
  int64_t past_length;
  const mo_cache_t *uneven; /* the cache, if its rows differ: past_length is then that of the longest */
  bool positions_are_rows;  /* of the whole position table */
} mo_prepared_inputs;

/* Which inputs belong to the architecture, their shapes and dtypes, and every value that can be looked at on the host. */
mo_status_t mo_inputs_check(const mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                            mo_run_shape *shape);

/* Carves memory for what must be copied or converted; the first thing in the arena. */
void mo_inputs_carve(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape, mo_arena *arena,
                     mo_prepared_inputs *prepared);

/* Copies and converts; `staging` is host memory that mirrors the arena (NULL where the device's memory is the host's). */
mo_status_t mo_inputs_fill(const mo_model_t *model, const mo_prepared_inputs *prepared, void *arena_base, void *staging);

/* ---- seq2seq.c ---- */

/* How the inputs of the stack are called, and the outputs. */
typedef struct mo_input_names {
  const char *ids, *embeds, *mask;
} mo_input_names;
typedef struct mo_state_names {
  const char *hidden_states, *attentions;
} mo_state_names;
const mo_input_names *mo_input_names_of(const mo_model_t *model);
const mo_state_names *mo_state_names_of(const mo_model_t *model);

/* The inputs as a single stack would get them. Of an encoder-decoder model: the decoder's; shape->source and shape->shifted say
 * the rest. */
mo_status_t mo_seq2seq_decoder_inputs(const mo_model_t *model, const mo_model_inputs *inputs, mo_model_inputs *decoder,
                                      mo_run_shape *shape);

/* The encoder's inputs. `shape` has the decoder's extents and cache already. */
mo_status_t mo_seq2seq_check(const mo_model_t *model, mo_run_shape *shape);

void mo_seq2seq_carve(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *prepared, mo_arena *arena,
                      mo_transformer_workspace *workspace);

/* Runs the encoder, or puts its earlier work into the output; `states` (B * S, width) is what the decoder attends over. */
mo_status_t mo_seq2seq_encode(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *prepared,
                              const mo_transformer_workspace *workspace, const mo_request *request, mo_output *output,
                              mo_tensor *states);

/* ---- run_cache.c ---- */

/* Whether the run has a cache, and what it holds. `shape` has batch and sequence length already. */
mo_status_t mo_run_cache_check(const mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                               mo_run_shape *shape);

/* Encoder hidden states and their mask. */
mo_status_t mo_run_encoder_check(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape);

/* Makes the cache that was wanted and not given: of layers that grow. */
mo_status_t mo_run_cache_make(const mo_model_t *model, const mo_run_shape *shape, mo_run_cache *cache);

/* A failed run: what a new cache may have counted is forgotten. */
void mo_run_cache_undo(const mo_run_cache *cache);

/* The output's past_key_values, if it has them, show what the cache holds now. */
mo_status_t mo_run_cache_show(const mo_model_t *model, const mo_run_cache *cache, mo_output *output);

/* ---- labels.c: what the architecture's head wants of the labels ---- */

/* The loss the labels ask for, after checking them; `shape` has its sizes already. */
mo_status_t mo_labels_check(const mo_model_t *model, const mo_model_inputs *inputs, mo_run_shape *shape);

/* Names, for sentences, an integer tensor's value outside low..high-1 (and not `ignored`). Tensors that the host cannot read
 * pass. */
mo_status_t mo_check_values(const mo_model_t *model, const char *name, const mo_tensor *tensor, int64_t low, int64_t high,
                            bool allow_ignored, int64_t *ignored_count, const char *rule);

/* Dtypes (a bit set of host/ops/check.h), device and exact shape of an input. */
mo_status_t mo_check_input(const mo_model_t *model, const char *name, const mo_tensor *tensor, uint32_t dtypes, int32_t rank,
                           const int64_t *shape);

/* Whether the host can look at the values. */
bool mo_input_is_readable(const mo_model_t *model, const mo_tensor *tensor);

/* Looks whether a mask hides anything; floating masks are refused unless they hold only 0 and 1. Masks that the host cannot
 * read count as hiding. */
mo_status_t mo_check_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides);

/* Whether a mask's element at an offset shows its key, whatever its dtype. */
bool mo_mask_shows(const mo_tensor *mask, int64_t offset);

/* Integer (or bool) value at an element offset; alignment does not matter. */
int64_t mo_read_integer(const mo_tensor *tensor, int64_t offset);

/* ---- heads.c, losses.c ---- */

mo_status_t mo_head_load(mo_model_t *model, mo_loader *loader);

/* Whether the configuration ties a head of language models to the word table. BAD_FILE. */
mo_status_t mo_head_ties(const mo_config_t *config, const mo_decoder_rule *rule, bool *ties);
void mo_head_release(mo_head *head);

typedef struct mo_head_workspace {
  void *losses; /* float32: two terms, then one per element of the logits where a loss is a mean of a part of them */
} mo_head_workspace;

void mo_head_carve(const mo_model_t *model, const mo_run_shape *shape, mo_arena *arena, mo_head_workspace *workspace);

/* Everything of the output that is not the stack's. The stack's workspace is used again. */
mo_status_t mo_head_forward(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *inputs,
                            const mo_tensor *hidden, const mo_transformer_workspace *workspace,
                            const mo_head_workspace *head_workspace, mo_output *output);

mo_status_t mo_head_loss(const mo_model_t *model, const mo_run_shape *shape, const mo_prepared_inputs *inputs,
                         const mo_head_workspace *workspace, mo_output *output);

/* Names of the logits in the output: those per token (or per example), and those of the sentence pair. */
const char *mo_head_logits_name(const mo_model_t *model);
const char *mo_head_pair_logits_name(const mo_model_t *model);

/* Whether request.last_logit_positions means something: classes whose `logits` are per token and class. */
bool mo_head_takes_last_positions(const mo_model_t *model);

/* ---- output_check.c ---- */

/* The output is of the model's class and has exactly the fields, of exactly the shapes, that the call fills. */
mo_status_t mo_run_check_output(const mo_model_t *model, const mo_run_shape *shape, const mo_request *request,
                                const mo_output *output);

#endif
