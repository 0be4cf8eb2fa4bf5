/* host/call/family.h - what a family of models says of itself, and what runs it: the contract between a loaded model
 * (host/call/model.h), its base model, its head and a call of it (host/call/call.h).
 *
 *   a family     model_type, its base model, the base model's rules for this family, its architectures
 *   a base model named inputs; configure, load, check, carve, forward: from the inputs to the last hidden state
 *   a head       its labels; load, check, forward, loss: from the last hidden state to the output's logits and loss
 *
 * A call goes: check (base model, then head) -> dimensions -> the output is made or compared -> carve -> the inputs are put in
 * place -> begin -> forward (base model, then head) -> end. Everything that can be wrong is found by the end of check.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CALL_FAMILY_H
#define MO_CALL_FAMILY_H

#include "host/checkpoint/config.h"
#include "host/core/arena.h"
#include "modelout/class.h"
#include "modelout/linear.h"
#include "modelout/model.h"
#include "modelout/request.h"

typedef struct mo_call mo_call;
typedef struct mo_loader mo_loader;
typedef struct mo_architecture mo_architecture;
typedef struct mo_family mo_family;

/* An input that a family declares. `info.dtypes` are bits of MO_DTYPE_BIT (host/ops/check.h). */
typedef struct mo_input_spec {
  mo_input_info info; /* name NULL: the end of a list */
  /* Why a model does not take it ("this model is no decoder"); NULL: it does. No function: every model takes it. */
  const char *(*refusal)(const mo_model_t *model);
} mo_input_spec;

/* What runs a model below its head. Functions may be NULL where nothing is to be done. */
typedef struct mo_base_model {
  size_t bytes;                /* of its own struct, mo_model.base; zeroed */
  const mo_input_spec *inputs; /* ends with a name of NULL */

  /* Sizes and rules from config.json; sets mo_model.facts. */
  mo_status_t (*configure)(mo_model_t *model);
  /* Every parameter: a walk that only looks, and one that loads (host/checkpoint/checkpoint.h). */
  mo_status_t (*load)(mo_model_t *model, mo_loader *loader);
  void (*release)(mo_model_t *model);
  /* An integer of the configuration by its name in Transformers; false: unknown, config.json is asked. */
  bool (*find_integer)(const mo_model_t *model, const char *name, int64_t *value);

  /* Extents of the call, everything that can be wrong with its inputs, and where the ops will read them (mo_call_place). */
  mo_status_t (*check)(mo_call *call);
  /* What the plan of the output needs to know. */
  void (*dimensions)(const mo_call *call, mo_dimensions *dimensions);
  /* Memory of the run; the part that is free after `forward` becomes call->spare. */
  void (*carve)(mo_call *call, mo_arena *arena);
  /* What the run makes for itself before its first kernel (a cache). If it succeeds `end` follows, whatever happens between. */
  mo_status_t (*begin)(mo_call *call);
  /* Into the output. `last_hidden` describes the last hidden state (batch, sequence, width) wherever it lies. */
  mo_status_t (*forward)(mo_call *call, mo_tensor *last_hidden);
  /* After the head: counts what was written, or undoes it; shows what the output holds beyond tensors. */
  mo_status_t (*end)(mo_call *call, mo_status_t status);
} mo_base_model;

/* What stands on a base model. Functions may be NULL where nothing is to be done. */
typedef struct mo_head_kind {
  size_t bytes;                /* of its own struct, mo_model.head; zeroed */
  const mo_input_spec *labels; /* ends with a name of NULL; NULL: none */
  const char *logits;          /* the field that request.last_logit_positions shortens; NULL: none */
  bool needs_label_count;      /* config.json's labels must be countable */
  bool takes_choices;          /* inputs are (batch, choices, ...): every choice is a sequence */
  bool labels_are_tokens;      /* an encoder-decoder model can make its decoder's ids of them */

  mo_status_t (*load)(mo_model_t *model, mo_loader *loader);
  void (*release)(mo_model_t *model);

  /* The labels: which loss they ask for, whether they can be used (mo_call.loss, .loss_count), and where the ops will read
   * them. */
  mo_status_t (*check)(mo_call *call);
  void (*dimensions)(const mo_call *call, mo_dimensions *dimensions);
  void (*carve)(mo_call *call, mo_arena *arena);
  mo_status_t (*forward)(mo_call *call, const mo_tensor *last_hidden);
  mo_status_t (*loss)(mo_call *call, const mo_tensor *loss);
} mo_head_kind;

/* One vector per sequence: activation(dense(first token)), or (of base models) norm(first token), the first token as it is, or
 * the first end token. */
typedef struct mo_summary_rule {
  const char *dense; /* NULL: none */
  const char *norm;  /* NULL: none */
  bool of_first;     /* the last hidden state of the first token as it is */
  bool of_mean;      /* the mean of all tokens */
  bool of_end;       /* the last hidden state of the first end token among input_ids (CLIP); no dense layer */
  mo_activation_t activation;
  bool may_be_absent; /* a checkpoint without it is a model without pooler */
} mo_summary_rule;

/* Vocabulary logits: decoder(norm(activation(transform(hidden)))), or decoder(hidden). */
typedef struct mo_decoder_rule {
  const char *transform, *norm; /* NULL: none */
  const char *decoder;          /* its weight is tied to the word embeddings as the configuration says; NULL: no such head */
  const char *bias;             /* whole name; NULL: none */
  bool always_gelu;             /* whatever the base model's activation is */
  bool untied_by_default;       /* where the configuration is silent */
  bool bias_is_row;             /* (1, rows) in the file, and zero if it is not there */
  bool scaled_if_tied;          /* T5: hidden states are divided by sqrt(hidden size) */
} mo_decoder_rule;

/* Which of an encoder-decoder family's two transformers an architecture has. */
typedef enum mo_part_t { MO_PART_ALL = 0, MO_PART_ENCODER, MO_PART_DECODER } mo_part_t;

struct mo_architecture {
  const char *name;
  mo_part_t part;
  const mo_head_kind *head;
  const char *output_class[3]; /* pt, tf, flax */
  const char *base_prefix;     /* NULL: the family's */
  mo_summary_rule summary;
  mo_decoder_rule decoder;
  const char *classifier; /* last dense layer; NULL: none */
  bool classifier_lacks_bias;
  bool classifies_last_token; /* logits per sequence are those of its last token that is not padding */
  bool summarises_end;        /* the summary is that of the last end token among input_ids, not of the first token */
  const char *token_dense;    /* replaced tokens: dense + activation before the classifier */
  bool masks_patches;         /* pictures: bool_masked_pos is taken, and the mask token is a parameter */
};

struct mo_family {
  const char *name;                                /* config.json's model_type */
  const char *base_prefix;                         /* of the base model's parameters, which a file may have or not: "bert" */
  const mo_config_alias *aliases;                  /* its attribute_map; NULL: none */
  const mo_base_model *base;                       /* what runs it */
  const void *rules;                               /* what `base` wants to know of the family */
  int64_t default_label_count;                     /* where the file is silent; 0: 2 */
  bool stacks_tensorflow_cache;                    /* a tensor per layer (GPT-2), not a tuple of key and value */
  bool answers_with_two;                           /* question answering has two labels, whatever the file says */
  const char *encoder_class[3], *decoder_class[3]; /* outputs of a part alone: pt, tf, flax; NULL: one part only */
  /* Further checks or changes of an architecture's rules by the configuration; may be NULL. */
  mo_status_t (*adapt)(const mo_config_t *config, mo_architecture *architecture);
  const mo_architecture *architectures;
  int32_t architecture_count;
};

#endif
