/* host/heads/pretraining.c - a masked language model and a sentence pair at once (BertForPreTraining, AlbertForPreTraining).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/sequence.h"
#include "host/heads/vocabulary.h"

#define ANSWERS 2

typedef struct pretraining_head {
  mo_vocabulary vocabulary;
  mo_sequence_layers pair;
} pretraining_head;

typedef struct pretraining_call {
  int32_t labels, pair_labels; /* placements */
  void *vocabulary_memory, *pair_memory;
  void *term; /* the sentence pair's loss */
} pretraining_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch, sequence)"}, NULL},
                                       {{"next_sentence_label", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  pretraining_head *head = model->head;
  MO_TRY(mo_vocabulary_load(model, loader, &head->vocabulary));
  return mo_sequence_load(model, loader, ANSWERS, &head->pair);
}

static void release(mo_model_t *model) {
  pretraining_head *head = model->head;
  mo_vocabulary_release(&head->vocabulary);
  mo_sequence_release(&head->pair);
}

/* One without the other gives no loss, as in Transformers. */
static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(pretraining_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels"), *pair = mo_call_tensor(call, "next_sentence_label");
  const int64_t tokens[2] = {call->example_count, call->sequence_length};
  if (given != NULL)
    MO_TRY(mo_check_classes(call, "labels", given, MO_LABELS_FLATTENED, 2, tokens, call->model->facts.vocab_size,
                            "the vocabulary's"));
  if (pair != NULL)
    MO_TRY(mo_check_classes(call, "next_sentence_label", pair, MO_LABELS_FLATTENED, 1, tokens, ANSWERS, "the two answers'"));
  call->loss_count = 1;
  if (given == NULL || pair == NULL) return MO_STATUS_OK;
  call->has_loss = true;
  head->pair_labels = mo_place_classes(call, pair, tokens[0], 0);
  head->labels = mo_place_classes(call, given, tokens[0], tokens[1]);
  return MO_STATUS_OK;
}

static void carve(mo_call *call, mo_arena *arena) {
  MO_CALL_HEAD(pretraining_call, head, call);
  head->vocabulary_memory = mo_vocabulary_carve(call, arena);
  head->pair_memory = mo_sequence_carve(call, arena);
  head->term = mo_call_carve_after_base(call, arena, sizeof(float));
}

static const mo_tensor *pair_logits(const mo_call *call) {
  const bool albert = mo_class_field_index(call->model->output_class, "sop_logits") >= 0;
  return mo_call_output(call, albert ? "sop_logits" : "seq_relationship_logits");
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  MO_CALL_HEAD(pretraining_call, state, call);
  const pretraining_head *head = call->model->head;
  MO_TRY(mo_vocabulary_forward(call, &head->vocabulary, last_hidden, state->vocabulary_memory,
                               mo_call_output(call, "prediction_logits")));
  return mo_sequence_forward(call, &head->pair, last_hidden, state->pair_memory, pair_logits(call));
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(pretraining_call, head, call);
  const mo_tensor classes = mo_call_placed(call, head->labels), pairs = mo_call_placed(call, head->pair_labels);
  const mo_tensor term = mo_device_tensor(call->model->context, head->term, MO_DTYPE_FLOAT32, 1, (int64_t[]){1});
  MO_TRY(mo_class_loss(call, loss, mo_call_output(call, "prediction_logits"), &classes, false, MO_LOSS_REDUCTION_MEAN));
  MO_TRY(mo_class_loss(call, &term, pair_logits(call), &pairs, false, MO_LOSS_REDUCTION_MEAN));
  return mo_add_losses(call, loss, &term);
}

const mo_head_kind mo_pretraining_head = {.bytes = sizeof(pretraining_head),
                                          .labels = labels,
                                          .load = load,
                                          .release = release,
                                          .check = check,
                                          .carve = carve,
                                          .forward = forward,
                                          .loss = loss};
