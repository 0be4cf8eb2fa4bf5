/* host/heads/base.c - the base model: no logits, and a pooled vector where the model has a pooler.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/call/input_check.h"
#include "host/call/tensor_rows.h"
#include "host/heads/heads.h"
#include "host/heads/rows.h"
#include "host/heads/sequence.h"
#include "host/nn/norm.h"
#include "modelout/pooling.h"

#define LEGACY_END 2

typedef struct base_head {
  mo_dense pooler;
  mo_norm_weights norm;
  bool has_pooler;
} base_head;

typedef struct base_call {
  int32_t ends; /* placement of a mask with the token to be pooled, where that is the first end token */
} base_call;

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  base_head *head = model->head;
  const mo_summary_rule *rule = &model->architecture.summary;
  const int64_t width = model->facts.output_size;
  char name[MO_PARAMETER_NAME_BYTES];
  head->has_pooler = rule->of_end || rule->of_first || rule->of_mean || rule->norm != NULL;
  if (rule->norm != NULL) return mo_load_norm(loader, "", rule->norm, MO_NORM_LAYER, loader->dtype, width, &head->norm);
  if (rule->dense == NULL) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, rule->dense, ".weight", ""));
  head->has_pooler = !rule->may_be_absent || mo_checkpoint_contains(loader->checkpoint, name);
  return head->has_pooler ? mo_load_simple_dense(loader, rule->dense, width, width, &head->pooler) : MO_STATUS_OK;
}

static void release(mo_model_t *model) {
  base_head *head = model->head;
  mo_dense_release(&head->pooler);
  mo_norm_weights_release(&head->norm);
}

/* The first end token of each row, or its first token if there is none. Files with the end token 2 are older than the use of
 * further tokens: there it is the largest id, as transformers/models/clip/modeling_clip.py has it. */
static void find_first_ends(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_tensor *ids = placement->source;
  const int64_t length = mo_row_length(ids), stride = mo_row_stride(ids), end = call->model->facts.end_id;
  bool *mask = destination;
  for (int64_t row = 0; row < mo_row_count(ids); row++, mask += length) {
    int64_t found = 0, largest = INT64_MIN;
    for (int64_t i = 0; i < length; i++) {
      const int64_t id = mo_read_integer(ids, mo_row_offset(ids, row) + i * stride);
      const int64_t rank = end == LEGACY_END ? id : id == end;
      mask[i] = false;
      if (rank <= largest) continue;
      largest = rank;
      found = i;
    }
    mask[found] = true;
  }
}

static mo_status_t check(mo_call *call) {
  MO_CALL_HEAD(base_call, state, call);
  const mo_model_t *model = call->model;
  const mo_tensor *ids = mo_call_tensor(call, "input_ids");
  if (!model->architecture.summary.of_end) return MO_STATUS_OK;
  MO_CHECK(ids != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: without input_ids the end of the sequences is not known",
           model->architecture.name);
  MO_CHECK(mo_model_can_read(model, ids), MO_STATUS_UNSUPPORTED,
           "%s: input_ids lie on the device, but the end of each sequence is looked for on the host", model->architecture.name);
  state->ends = mo_call_make(call, ids, find_first_ends, MO_DTYPE_BOOL, call->batch_size, call->sequence_length);
  return MO_STATUS_OK;
}

static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) {
  dimensions->no_pooler = !((const base_head *)call->model->head)->has_pooler;
}

static mo_status_t pool_ends(mo_call *call, const mo_tensor *last_hidden, const mo_tensor *pooled) {
  MO_CALL_HEAD(base_call, state, call);
  const mo_tensor mask = mo_call_placed(call, state->ends);
  mo_pooling_params params = MO_POOLING_PARAMS_INIT;
  params.mode = MO_POOLING_LAST;
  params.output = pooled;
  params.input = last_hidden;
  params.mask = &mask;
  return mo_pooling(call->model->context, &params);
}

static mo_status_t forward(mo_call *call, const mo_tensor *last_hidden) {
  const base_head *head = call->model->head;
  const mo_tensor *pooled = mo_call_output(call, "pooler_output");
  const mo_tensor first = mo_first_tokens(last_hidden);
  const mo_summary_rule *rule = &call->model->architecture.summary;
  if (pooled == NULL) return MO_STATUS_OK;
  if (rule->of_end) return pool_ends(call, last_hidden, pooled);
  if (rule->of_first) return mo_copy_tokens(call, pooled, &first);
  if (rule->of_mean) {
    const mo_tensor rows = mo_tensor_reshaped(pooled, 2, (int64_t[]){last_hidden->shape[0], last_hidden->shape[2]});
    return mo_mean_tokens(call, &rows, last_hidden);
  }
  if (rule->norm != NULL)
    return mo_norm_apply(call->model->context, &head->norm, call->model->facts.epsilon, pooled, &first, NULL);
  return mo_summarise(call, &head->pooler, &first, pooled);
}

const mo_head_kind mo_base_head = {.bytes = sizeof(base_head),
                                   .load = load,
                                   .release = release,
                                   .check = check,
                                   .dimensions = set_dimensions,
                                   .forward = forward};
