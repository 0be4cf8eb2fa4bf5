/* host/heads/masked_lm.c - logits of each position's token, as labels stand where they belong: masked language models, and the
 * decoders of encoder-decoder models.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/heads.h"
#include "host/heads/labels.h"
#include "host/heads/loss_ops.h"
#include "host/heads/vocabulary.h"

typedef struct lm_call {
  int32_t labels; /* placement */
  void *memory;
} lm_call;

static const mo_input_spec labels[] = {{{"labels", MO_INPUT_TENSOR, MO_LABELS_INTEGERS, "(batch, sequence)"}, NULL},
                                       {.info.name = NULL}};

static mo_status_t load(mo_model_t *model, mo_loader *loader) { return mo_vocabulary_load(model, loader, model->head); }

static void release(mo_model_t *model) { mo_vocabulary_release(model->head); }

static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(lm_call, head, call);
  const mo_tensor *given = mo_call_tensor(call, "labels");
  const int64_t tokens[2] = {call->example_count, call->sequence_length};
  if (given == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_classes(call, "labels", given, MO_LABELS_FLATTENED, 2, tokens, call->model->facts.vocab_size,
                          "the vocabulary's"));
  call->has_loss = true;
  mo_count_token_losses(call);
  head->labels = mo_place_classes(call, given, tokens[0], tokens[1]);
  return MO_STATUS_OK;
}

static void carve(mo_call *call, mo_arena *arena) {
  MO_CALL_HEAD(lm_call, head, call);
  head->memory = mo_vocabulary_carve(call, arena);
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  MO_CALL_HEAD(lm_call, head, call);
  return mo_vocabulary_forward(call, call->model->head, last_hidden, head->memory, mo_call_output(call, "logits"));
}

static mo_status_t loss(mo_call *call, const mo_tensor *loss) {
  MO_CALL_HEAD(lm_call, head, call);
  const mo_tensor classes = mo_call_placed(call, head->labels);
  return mo_token_loss(call, loss, mo_call_output(call, "logits"), &classes, false);
}

const mo_head_kind mo_masked_lm_head = {.bytes = sizeof(mo_vocabulary),
                                        .labels = labels,
                                        .logits = "logits",
                                        .labels_are_tokens = true,
                                        .load = load,
                                        .release = release,
                                        .check = check,
                                        .carve = carve,
                                        .forward = forward,
                                        .loss = loss};
