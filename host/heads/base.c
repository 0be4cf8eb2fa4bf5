/* host/heads/base.c - the base model: no logits, and a pooled vector where the model has a pooler.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/heads/heads.h"
#include "host/heads/rows.h"
#include "host/heads/sequence.h"

typedef struct base_head {
  mo_dense pooler;
  bool has_pooler;
} base_head;

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  base_head *head = model->head;
  const mo_summary_rule *rule = &model->architecture.summary;
  const int64_t width = model->facts.output_size;
  char name[MO_PARAMETER_NAME_BYTES];
  if (rule->dense == NULL) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, rule->dense, ".weight", ""));
  head->has_pooler = !rule->may_be_absent || mo_checkpoint_contains(loader->checkpoint, name);
  return head->has_pooler ? mo_load_simple_dense(loader, rule->dense, width, width, &head->pooler) : MO_STATUS_OK;
}

static void release(mo_model_t *model) { mo_dense_release(&((base_head *)model->head)->pooler); }

static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) {
  dimensions->no_pooler = !((const base_head *)call->model->head)->has_pooler;
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  const base_head *head = call->model->head;
  const mo_tensor *pooled = mo_call_output(call, "pooler_output");
  const mo_tensor first = mo_first_tokens(last_hidden);
  return pooled != NULL ? mo_summarise(call, &head->pooler, &first, pooled) : MO_STATUS_OK;
}

const mo_head_kind mo_base_head = {
    .bytes = sizeof(base_head), .load = load, .release = release, .dimensions = set_dimensions, .forward = forward};
