/* host/call/call.c - the inputs of a call: found by name, and put where the ops can read them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/call/call.h"

#include <string.h>

#include "host/call/input_check.h"
#include "host/call/tensor_rows.h"
#include "host/core/tensor_view.h"
#include "host/ops/check.h"

/* ---- Inputs by name ----------------------------------------------------------------------------------------------------- */

/* Why a model does not take an input; NULL: it does. */
static const char *refusal(const mo_model_t *model, const mo_input_spec *spec) {
  return spec->refusal != NULL ? spec->refusal(model) : NULL;
}

const mo_input_spec *mo_model_input_spec(const mo_model_t *model, int32_t index) {
  const mo_input_spec *const lists[] = {model->family->base->inputs, model->architecture.head->labels};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    for (const mo_input_spec *spec = lists[i]; spec != NULL && spec->info.name != NULL; spec++)
      if (refusal(model, spec) == NULL && index-- == 0) return spec;
  return NULL;
}

static mo_status_t find_spec(const mo_model_t *model, const char *name, const mo_input_spec **found) {
  const mo_input_spec *const lists[] = {model->family->base->inputs, model->architecture.head->labels};
  const char *why = NULL;
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    for (const mo_input_spec *spec = lists[i]; spec != NULL && spec->info.name != NULL; spec++) {
      if (strcmp(spec->info.name, name) != 0) continue;
      *found = spec;
      why = refusal(model, spec);
      if (why == NULL) return MO_STATUS_OK;
    }
  }
  return mo_fail(MO_STATUS_INVALID_ARGUMENT, "%s: %.64s was given, but %s", model->architecture.name, name,
                 why != NULL ? why : "this architecture takes none");
}

static mo_status_t bind(mo_call *call, const mo_named_input *input) {
  const char *op = call->model->architecture.name;
  const mo_input_spec *spec = NULL;
  MO_CHECK(input->name != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: an input without a name", op);
  if (input->tensor == NULL && input->cache == NULL && input->field == NULL) return MO_STATUS_OK;
  MO_TRY(find_spec(call->model, input->name, &spec));
  const bool fits = (input->tensor != NULL) == (spec->info.kind == MO_INPUT_TENSOR) &&
                    (input->cache != NULL) == (spec->info.kind == MO_INPUT_CACHE) &&
                    (input->field != NULL) == (spec->info.kind == MO_INPUT_FIELD);
  MO_CHECK(fits, MO_STATUS_INVALID_ARGUMENT, "%s: %s is given as %s, it is a %s", op, spec->info.name,
           input->tensor != NULL  ? "a tensor"
           : input->cache != NULL ? "a cache"
                                  : "a field",
           spec->info.kind == MO_INPUT_TENSOR  ? "tensor"
           : spec->info.kind == MO_INPUT_CACHE ? "cache"
                                               : "field");
  for (int32_t i = 0; i < call->given_count; i++)
    MO_CHECK(call->given[i].spec != spec, MO_STATUS_INVALID_ARGUMENT, "%s: %s is given twice", op, spec->info.name);
  MO_CHECK(call->given_count < MO_CALL_INPUTS, MO_STATUS_INTERNAL, "%s: more than %d inputs", op, MO_CALL_INPUTS);
  call->given[call->given_count++] = (mo_given_input){spec, input->tensor, input->cache, input->field};
  return MO_STATUS_OK;
}

mo_status_t mo_call_bind(mo_call *call, const mo_named_input *inputs, int32_t count) {
  for (int32_t i = 0; i < count; i++) MO_TRY(bind(call, &inputs[i]));
  return MO_STATUS_OK;
}

static const mo_given_input *find_given(const mo_call *call, const char *name) {
  for (int32_t i = 0; i < call->given_count; i++)
    if (strcmp(call->given[i].spec->info.name, name) == 0) return &call->given[i];
  return NULL;
}

const mo_tensor *mo_call_tensor(const mo_call *call, const char *name) {
  const mo_given_input *given = find_given(call, name);
  return given != NULL ? given->tensor : NULL;
}

mo_cache_t *mo_call_cache(const mo_call *call, const char *name) {
  const mo_given_input *given = find_given(call, name);
  return given != NULL ? given->cache : NULL;
}

mo_field *mo_call_field(const mo_call *call, const char *name) {
  const mo_given_input *given = find_given(call, name);
  return given != NULL ? given->field : NULL;
}

/* ---- Where the ops read them -------------------------------------------------------------------------------------------- */

/* Leading dimensions fold into one row number, and the rest is contiguous. */
static bool can_be_viewed(const mo_call *call, const mo_tensor *source, uint32_t dtypes, bool same_shape) {
  const mo_device device = mo_context_device(call->model->context);
  const bool there = source->device.kind == device.kind && source->device.index == device.index;
  const bool aligned = (uintptr_t)source->data % mo_dtype_bytes(source->dtype) == 0;
  return there && aligned && (same_shape || mo_tensor_is_contiguous(source)) && (dtypes & MO_DTYPE_BIT(source->dtype)) != 0 &&
         mo_row_stride(source) == 1;
}

/* `mo_call.placements` is as long as the longest check needs; every check is the library's own. */
static mo_placement *next_placement(mo_call *call) {
  const int32_t index = call->placement_count < MO_CALL_PLACEMENTS ? call->placement_count++ : MO_CALL_PLACEMENTS - 1;
  call->placements[index] = (mo_placement){.copy_of = -1};
  return &call->placements[index];
}

/* The placement that copies the same tensor to the same dtype already; -1: none. */
static int32_t find_copy(const mo_call *call, const mo_tensor *source, mo_dtype_t dtype) {
  for (int32_t i = 0; i < call->placement_count; i++) {
    const mo_placement *placement = &call->placements[i];
    if (placement->source == source && placement->fill == NULL && placement->tensor.dtype == dtype) return i;
  }
  return -1;
}

int32_t mo_call_place(mo_call *call, const mo_tensor *source, mo_dtype_t copy_dtype, uint32_t view_dtypes, int32_t rank,
                      const int64_t *shape) {
  const int32_t earlier = find_copy(call, source, copy_dtype);
  mo_placement *placement = next_placement(call);
  bool same = source->rank == rank;
  for (int32_t i = 0; i < rank && same; i++) same = source->shape[i] == shape[i];
  if (can_be_viewed(call, source, view_dtypes, same)) {
    placement->is_view = true;
    placement->tensor = same ? *source : mo_tensor_reshaped(source, rank, shape);
    placement->tensor.device = mo_context_device(call->model->context);
  } else {
    placement->source = source;
    placement->copy_of = earlier;
    placement->tensor = mo_device_tensor(call->model->context, NULL, copy_dtype, rank, shape);
  }
  return call->placement_count - 1;
}

int32_t mo_call_make(mo_call *call, const mo_tensor *source, mo_fill_input fill, mo_dtype_t dtype, int64_t rows,
                     int64_t length) {
  mo_placement *placement = next_placement(call);
  placement->source = source;
  placement->fill = fill;
  placement->tensor = mo_device_tensor(call->model->context, NULL, dtype, 2, (int64_t[]){rows, length});
  return call->placement_count - 1;
}

mo_tensor mo_call_placed(const mo_call *call, int32_t placement) {
  return placement < 0 ? (mo_tensor){.dtype = MO_DTYPE_NONE} : call->placements[placement].tensor;
}

void mo_call_carve_inputs(mo_call *call, mo_arena *arena) {
  for (int32_t i = 0; i < call->placement_count; i++) {
    mo_placement *placement = &call->placements[i];
    if (placement->copy_of >= 0) placement->tensor.data = call->placements[placement->copy_of].tensor.data;
    else if (!placement->is_view) placement->tensor.data = mo_arena_carve(arena, (size_t)mo_tensor_bytes(&placement->tensor));
  }
}

/* Row by row, contiguous, converted; a mask becomes bool. */
static mo_status_t convert(const mo_tensor *source, mo_dtype_t dtype, char *destination) {
  const int64_t rows = mo_row_count(source), length = mo_row_length(source), stride = mo_row_stride(source);
  const int64_t element = (int64_t)mo_dtype_bytes(source->dtype), size = (int64_t)mo_dtype_bytes(dtype);
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = mo_row_offset(source, row);
    for (int64_t i = 0; i < length; i++, destination += size) {
      const char *address = (const char *)source->data + (start + i * stride) * element;
      alignas(8) char aligned[8];
      memcpy(aligned, address, (size_t)element);
      if (dtype == MO_DTYPE_BOOL) *(bool *)destination = mo_mask_shows(source, start + i * stride);
      else MO_TRY(mo_dtype_convert(destination, dtype, aligned, source->dtype, 1));
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t fill(const mo_call *call, const mo_placement *placement, void *destination) {
  if (placement->fill != NULL) {
    placement->fill(call, placement, destination);
    return MO_STATUS_OK;
  }
  MO_CHECK(mo_model_can_read(call->model, placement->source), MO_STATUS_UNSUPPORTED,
           "%s: an input on the device must be contiguous and of the dtype its op takes, %s is not converted there",
           call->model->architecture.name, mo_dtype_name(placement->source->dtype));
  return convert(placement->source, placement->tensor.dtype, destination);
}

mo_status_t mo_call_fill_inputs(mo_call *call, const void *arena_base, void *staging) {
  for (int32_t i = 0; i < call->placement_count; i++) {
    const mo_placement *placement = &call->placements[i];
    const mo_tensor *tensor = &placement->tensor;
    if (placement->is_view || placement->copy_of >= 0) continue;
    const ptrdiff_t offset = (const char *)tensor->data - (const char *)arena_base;
    char *destination = staging != NULL ? (char *)staging + offset : (char *)tensor->data;
    MO_TRY(fill(call, placement, destination));
    if (staging != NULL)
      MO_TRY(mo_context_copy_to_device(call->model->context, tensor->data, destination, (size_t)mo_tensor_bytes(tensor)));
  }
  return MO_STATUS_OK;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------------- */

void *mo_call_carve_after_base(mo_call *call, mo_arena *arena, size_t bytes) {
  const size_t left = call->spare.capacity - call->spare.used;
  if (mo_align_up(bytes, MO_ARENA_ALIGNMENT) <= left) return mo_arena_carve(&call->spare, bytes);
  return mo_arena_carve(arena, bytes);
}
