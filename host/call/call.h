/* host/call/call.h - one call of a model: its inputs by name, its extents, where the ops read the inputs, what it needs of
 * memory, and the output it fills. Made and checked once, and handed on.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CALL_CALL_H
#define MO_CALL_CALL_H

#include <stdalign.h>

#include "host/call/model.h"
#include "modelout/output.h"

#define MO_CALL_INPUTS 32     /* most inputs a model can be given */
#define MO_CALL_PLACEMENTS 24 /* most tensors the ops can read of them */
#define MO_CALL_BASE_BYTES 8192
#define MO_CALL_HEAD_BYTES 256

typedef struct mo_given_input {
  const mo_input_spec *spec;
  const mo_tensor *tensor;
  mo_cache_t *cache;
  mo_field *field;
} mo_given_input;

typedef struct mo_placement mo_placement;

/* Writes the values of an input that is made from another one, into host memory like `placement->tensor`. */
typedef void (*mo_fill_input)(const mo_call *call, const mo_placement *placement, void *destination);

/* A tensor as the ops read it. */
struct mo_placement {
  mo_tensor tensor;        /* a view of the source, or memory of the workspace (data NULL until that is there) */
  const mo_tensor *source; /* what it is copied, converted or made from; NULL: a view, or made from nothing but the call */
  mo_fill_input fill;      /* NULL: copied and converted */
  int32_t copy_of;         /* an earlier placement of the same source, whose memory it shares; -1: none */
  bool is_view;
};

struct mo_call {
  mo_model_t *model;
  mo_request request; /* of a caller without one: nothing is wanted */
  mo_given_input given[MO_CALL_INPUTS];
  int32_t given_count;

  /* Set by the base model's check. */
  int64_t example_count, choice_count; /* B, and 1 outside multiple choice */
  int64_t batch_size;                  /* sequences (or pictures): example_count * choice_count */
  int64_t sequence_length;

  /* Set by the head's check. */
  bool has_loss;      /* the labels ask for one */
  int64_t loss_count; /* TensorFlow: labels that are not ignored */

  mo_placement placements[MO_CALL_PLACEMENTS];
  int32_t placement_count;
  mo_arena spare; /* memory that the base model's forward leaves free for the head */
  mo_output *output;

  /* The base model's and the head's own part of a call (MO_CALL_BASE, MO_CALL_HEAD). */
  alignas(max_align_t) unsigned char base[MO_CALL_BASE_BYTES];
  alignas(max_align_t) unsigned char head[MO_CALL_HEAD_BYTES];
};

/* `type *name`: the base model's (the head's) own part of `call`, which is zero before its check. */
#define MO_CALL_BASE(type, name, call)                                                                                         \
  _Static_assert(sizeof(type) <= MO_CALL_BASE_BYTES, "raise MO_CALL_BASE_BYTES");                                              \
  type *const name = (type *)(void *)(call)->base
#define MO_CALL_HEAD(type, name, call)                                                                                         \
  _Static_assert(sizeof(type) <= MO_CALL_HEAD_BYTES, "raise MO_CALL_HEAD_BYTES");                                              \
  type *const name = (type *)(void *)(call)->head

/* ---- Inputs by name ----------------------------------------------------------------------------------------------------- */

/* The index-th input the model takes, its base model's and then its head's; NULL past the last. */
const mo_input_spec *mo_model_input_spec(const mo_model_t *model, int32_t index);

/* Takes what was given. INVALID_ARGUMENT: a name the model does not take, one given twice, another kind than the input's. */
mo_status_t mo_call_bind(mo_call *call, const mo_named_input *inputs, int32_t count);

/* What was given under a name; NULL: nothing. */
const mo_tensor *mo_call_tensor(const mo_call *call, const char *name);
mo_cache_t *mo_call_cache(const mo_call *call, const char *name);
mo_field *mo_call_field(const mo_call *call, const char *name);

/* ---- Where the ops read them -------------------------------------------------------------------------------------------- */

/* A view of `source` in the given shape, if it lies on the device contiguously in one of `view_dtypes`; else memory of the run
 * that it is copied into as `copy_dtype`. The number of the placement. */
int32_t mo_call_place(mo_call *call, const mo_tensor *source, mo_dtype_t copy_dtype, uint32_t view_dtypes, int32_t rank,
                      const int64_t *shape);

/* (rows, length), made on the host from `source` (which may be NULL). */
int32_t mo_call_make(mo_call *call, const mo_tensor *source, mo_fill_input fill, mo_dtype_t dtype, int64_t rows,
                     int64_t length);

/* The tensor of a placement; -1: not given, dtype NONE. Without data before the run has its memory. */
mo_tensor mo_call_placed(const mo_call *call, int32_t placement);

/* Memory for whatever is not a view; the first thing in the arena. */
void mo_call_carve_inputs(mo_call *call, mo_arena *arena);

/* Copies, converts and makes. `staging` is host memory that mirrors the arena (NULL where the device's memory is the host's).
 */
mo_status_t mo_call_fill_inputs(mo_call *call, const void *arena_base, void *staging);

/* ---- Memory ------------------------------------------------------------------------------------------------------------- */

/* A piece of call->spare, or of the arena where that has not enough left: for what only the head writes. */
void *mo_call_carve_after_base(mo_call *call, mo_arena *arena, size_t bytes);

/* ---- The output --------------------------------------------------------------------------------------------------------- */

/* The tensor of a field; NULL: not in the output. */
static inline const mo_tensor *mo_call_output(const mo_call *call, const char *name) {
  return mo_field_tensor(mo_output_get(call->output, name));
}

#endif
