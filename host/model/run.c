/* host/model/run.c - the public face of models: make an output, run, both.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "host/call/call.h"
#include "host/core/range.h"
#include "host/core/struct_size.h"
#include "host/model/named_inputs.h"

/* ---- Checking ---------------------------------------------------------------------------------------------------------- */

static int64_t extent(int64_t value) { return value == 0 ? MO_EXTENT_ZERO : value; }

/* The loss is that of all labels, so its logits must all be there. */
static mo_status_t check_last_positions(const mo_call *call) {
  const mo_model_t *model = call->model;
  const int32_t wanted = call->request.last_logit_positions;
  const bool fewer = model->architecture.head->logits != NULL && wanted > 0 && wanted < call->sequence_length;
  MO_CHECK(!fewer || !call->has_loss || model->framework == MO_FRAMEWORK_FLAX, MO_STATUS_INVALID_ARGUMENT,
           "%s: labels with the logits of the last %" PRId32 " positions only, the loss needs them all",
           model->architecture.name, wanted);
  return MO_STATUS_OK;
}

/* Everything that can be wrong with a call, but its output. */
static mo_status_t check(mo_call *call, mo_model_t *model, const mo_named_input *inputs, int32_t count,
                         const mo_request *request) {
  const mo_head_kind *head = model->architecture.head;
  *call = (mo_call){.model = model, .request = MO_REQUEST_INIT};
  if (request != NULL)
    MO_TRY(
        MO_TAKE(model->architecture.name, MO_REQUEST_INIT, request, MO_SIZE_TO(mo_request, attention_dtype), &call->request));
  MO_TRY(mo_call_bind(call, inputs, count));
  MO_TRY(model->family->base->check(call));
  if (head->check != NULL) MO_TRY(head->check(call));
  return check_last_positions(call);
}

static mo_dimensions dimensions_of(const mo_call *call) {
  const mo_model_t *model = call->model;
  const mo_head_kind *head = model->architecture.head;
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.dtype = model->dtype;
  dimensions.num_labels = model->label_count;
  dimensions.loss_count = extent(call->loss_count);
  dimensions.has_loss = call->has_loss;
  model->family->base->dimensions(call, &dimensions);
  if (head->dimensions != NULL) head->dimensions(call, &dimensions);
  return dimensions;
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* All memory of a run: measured first, then handed out. The inputs' bytes come first, as they are staged as a whole. */
static void carve(mo_call *call, mo_arena *arena, size_t *input_bytes) {
  const mo_head_kind *head = call->model->architecture.head;
  mo_call_carve_inputs(call, arena);
  *input_bytes = arena->used;
  call->model->family->base->carve(call, arena);
  if (head->carve != NULL) head->carve(call, arena);
}

/* Grows only: shapes seen before find their memory. The old block goes first, so that the two are never held together. */
static mo_status_t reserve(mo_model_t *model, size_t bytes, size_t input_bytes) {
  if (bytes > model->workspace_bytes) {
    MO_TRY(mo_context_check_not_captured(model->context, "the model's workspace", bytes));
    mo_context_release(model->context, model->workspace);
    model->workspace = NULL;
    model->workspace_bytes = 0;
    MO_TRY(mo_context_allocate(model->context, bytes, &model->workspace));
    model->workspace_bytes = bytes;
  }
  if (mo_context_memory_is_host(model->context) || input_bytes == 0) return MO_STATUS_OK;
  /* Until the copies of the run before have read it. On a GPU they are the first thing in its stream, so this seldom waits. */
  MO_TRY(mo_context_wait_event(model->context, model->staged));
  if (input_bytes <= model->staging_bytes) return MO_STATUS_OK;
  /* Pinned: of ordinary memory a copy of more than 64 KiB waits for the stream. */
  void *staging = NULL;
  MO_TRY(mo_context_allocate_pinned(model->context, input_bytes, &staging));
  mo_context_release_pinned(model->context, model->staging);
  model->staging = staging;
  model->staging_bytes = input_bytes;
  return MO_STATUS_OK;
}

/* Inputs onto the device. A graph would read the staging memory anew at each launch, whatever lies there by then. */
static mo_status_t stage(mo_call *call) {
  mo_model_t *model = call->model;
  MO_CHECK(!mo_context_is_capturing(model->context), MO_STATUS_WRONG_STATE,
           "%s: an input lies on the host while the stream is being captured", model->architecture.name);
  const mo_status_t status = mo_call_fill_inputs(call, model->workspace, model->staging);
  if (model->staging == NULL) return status;
  const mo_status_t recorded = mo_context_record_event(model->context, &model->staged);
  return status != MO_STATUS_OK ? status : recorded;
}

/* Everything on the device. */
static mo_status_t forward(mo_call *call) {
  const mo_head_kind *head = call->model->architecture.head;
  mo_tensor last_hidden;
  MO_TRY(call->model->family->base->forward(call, &last_hidden));
  if (head->forward != NULL) MO_TRY(head->forward(call, &last_hidden));
  const mo_tensor *loss = call->has_loss && head->loss != NULL ? mo_call_output(call, "loss") : NULL;
  return loss != NULL ? head->loss(call, loss) : MO_STATUS_OK;
}

static mo_status_t run_with_memory(mo_call *call) {
  mo_model_t *model = call->model;
  mo_arena measure = {.base = NULL};
  size_t input_bytes;
  carve(call, &measure, &input_bytes);
  MO_TRY(reserve(model, measure.used, input_bytes));
  mo_arena arena = {.base = model->workspace, .capacity = model->workspace_bytes};
  carve(call, &arena, &input_bytes);
  MO_CHECK(mo_arena_fits(&arena), MO_STATUS_INTERNAL, "%s: the workspace is smaller than what was measured",
           model->architecture.name);
  if (input_bytes > 0) MO_TRY(stage(call));
  return forward(call);
}

/* A checked call into an output that fits it. */
static mo_status_t run(mo_call *call, mo_output *output) {
  const mo_base_model *base = call->model->family->base;
  call->output = output;
  if (base->begin != NULL) MO_TRY(base->begin(call));
  mo_status_t status = run_with_memory(call);
  if (base->end != NULL) status = base->end(call, status);
  MO_TRY(status);
  return mo_context_is_capturing(call->model->context)
             ? MO_STATUS_OK
             : mo_output_mark_written(output, mo_context_stream(call->model->context));
}

static mo_status_t run_into(mo_model_t *model, const mo_named_input *inputs, int32_t count, const mo_request *request,
                            mo_output *output) {
  mo_call call;
  MO_TRY(check(&call, model, inputs, count, request));
  const mo_dimensions dimensions = dimensions_of(&call);
  MO_TRY(mo_output_check_plan(output, model->output_class, &dimensions, &call.request));
  return run(&call, output);
}

static mo_status_t create(mo_model_t *model, const mo_named_input *inputs, int32_t count, const mo_request *request,
                          mo_call *call, mo_output **output) {
  MO_TRY(check(call, model, inputs, count, request));
  const mo_dimensions dimensions = dimensions_of(call);
  return mo_output_create(model->context, model->output_class, &dimensions, &call->request, NULL, 0, output);
}

static mo_status_t create_and_run(mo_model_t *model, const mo_named_input *inputs, int32_t count, const mo_request *request,
                                  mo_output **output) {
  mo_call call;
  mo_output *made = NULL;
  MO_TRY(create(model, inputs, count, request, &call, &made));
  const mo_status_t status = run(&call, made);
  if (status == MO_STATUS_OK) *output = made;
  else mo_output_destroy(made);
  return status;
}

/* ---- Public ------------------------------------------------------------------------------------------------------------ */

static mo_status_t check_arguments(const char *op, const mo_model_t *model, const mo_named_input *inputs, int32_t count,
                                   const void *output) {
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: NULL model or output", op);
  MO_CHECK(count >= 0 && (inputs != NULL || count == 0), MO_STATUS_INVALID_ARGUMENT, "%s: no inputs, or %" PRId32 " of them",
           op, count);
  return MO_STATUS_OK;
}

mo_status_t mo_model_create_output_named(mo_model_t *model, const mo_named_input *inputs, int32_t count,
                                         const mo_request *request, mo_output **output) {
  MO_RANGE_NAMED(model != NULL ? model->context : NULL, "mo_model_create_output_named");
  mo_call call;
  MO_TRY(check_arguments("model create output", model, inputs, count, output));
  return mo_context_note(model->context, create(model, inputs, count, request, &call, output));
}

mo_status_t mo_model_run_named(mo_model_t *model, const mo_named_input *inputs, int32_t count, const mo_request *request,
                               mo_output *output) {
  MO_RANGE_NAMED(model != NULL ? model->context : NULL, "mo_model_run_named");
  MO_TRY(check_arguments("model run", model, inputs, count, output));
  return mo_context_note(model->context, run_into(model, inputs, count, request, output));
}

mo_status_t mo_model_forward_named(mo_model_t *model, const mo_named_input *inputs, int32_t count, const mo_request *request,
                                   mo_output **output) {
  MO_RANGE_NAMED(model != NULL ? model->context : NULL, "mo_model_forward_named");
  MO_TRY(check_arguments("model forward", model, inputs, count, output));
  return mo_context_note(model->context, create_and_run(model, inputs, count, request, output));
}

/* With the struct of inputs. */

mo_status_t mo_model_create_output(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                                   mo_output **output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_model_create_output", inputs, inputs->input_ids, inputs->inputs_embeds,
           inputs->attention_mask);
  mo_named_input named[MO_NAMED_INPUTS];
  int32_t count;
  mo_call call;
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "model create output: NULL model or result");
  mo_status_t status = mo_name_inputs(model, inputs, named, &count);
  if (status == MO_STATUS_OK) status = create(model, named, count, request, &call, output);
  return mo_context_note(model->context, status);
}

mo_status_t mo_model_run(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output *output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_model_run", inputs, inputs->input_ids, inputs->inputs_embeds,
           inputs->attention_mask);
  mo_named_input named[MO_NAMED_INPUTS];
  int32_t count;
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "model run: NULL model or output");
  mo_status_t status = mo_name_inputs(model, inputs, named, &count);
  if (status == MO_STATUS_OK) status = run_into(model, named, count, request, output);
  return mo_context_note(model->context, status);
}

mo_status_t mo_model_forward(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output **output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_model_forward", inputs, inputs->input_ids, inputs->inputs_embeds,
           inputs->attention_mask);
  mo_named_input named[MO_NAMED_INPUTS];
  int32_t count;
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "model forward: NULL model or result");
  mo_status_t status = mo_name_inputs(model, inputs, named, &count);
  if (status == MO_STATUS_OK) status = create_and_run(model, named, count, request, output);
  return mo_context_note(model->context, status);
}
