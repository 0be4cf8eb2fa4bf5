/* host/heads/heads.h - the heads there are, one file each.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_HEADS_HEADS_H
#define MO_HEADS_HEADS_H

#include "host/call/family.h"

extern const mo_head_kind mo_base_head;                    /* the base model: a pooled vector where it has a pooler */
extern const mo_head_kind mo_masked_lm_head;               /* logits of each position's token (Seq2SeqLM too) */
extern const mo_head_kind mo_causal_lm_head;               /* logits of the next token: labels are shifted by one */
extern const mo_head_kind mo_next_sentence_head;           /* two logits per sequence */
extern const mo_head_kind mo_sequence_classification_head; /* classes, numbers or several labels of a sequence */
extern const mo_head_kind mo_multiple_choice_head;         /* one logit per choice */
extern const mo_head_kind mo_token_classification_head;    /* classes of each token */
extern const mo_head_kind mo_question_answering_head;      /* two logits per token: start and end */
extern const mo_head_kind mo_replaced_token_head;          /* ElectraForPreTraining: one logit per token */
extern const mo_head_kind mo_pretraining_head;             /* masked language model and sentence pair */

/* Whether a configuration ties a head of language models to the word table. BAD_FILE. */
mo_status_t mo_head_ties(const mo_config_t *config, const mo_decoder_rule *rule, bool *ties);

#endif
