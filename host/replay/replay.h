/* host/replay/replay.h - a recorded case (tests/golden) run through the public API and compared with what the original
 * returned.
 *
 * Used by `modelout replay`, `modelout check` and the tests. Only the public API and jansson.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_REPLAY_REPLAY_H
#define MO_REPLAY_REPLAY_H

#include "host/replay/message.h"
#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One tensor of an output under its flat name ("hidden_states.0", "past_key_values.1.cross_key"), in a case of several calls
 * with the step in front ("step1.logits"). */
typedef struct mo_replay_tensor {
  char *name;
  int32_t rank;
  int64_t shape[MO_MAX_DIMS];
  int64_t count;
  float *values;
} mo_replay_tensor;

/* What one call returned, beside its tensors. */
typedef struct mo_replay_call {
  char *output_class;
  char **keys; /* of the output, in order */
  int64_t key_count;
  char **none_entries; /* flat names of what is None inside tuples */
  int64_t none_count;
} mo_replay_call;

typedef struct mo_replay {
  mo_replay_call *calls; /* one, or one per step */
  int64_t call_count;
  mo_replay_tensor *tensors; /* in the order of the calls and keys */
  int64_t tensor_count;
  double load_seconds, run_seconds;      /* the model; all calls */
  char message[MO_REPLAY_MESSAGE_BYTES]; /* what went wrong; "" if nothing did */
} mo_replay;

/* Loads the case's model as `dtype` (NONE: float32), makes its calls with the recorded inputs and flags, and keeps everything
 * they returned as float32. *result is made in any case but want of memory, with a message if the status is not OK. IO_ERROR,
 * BAD_FILE, UNSUPPORTED (an unknown model class, a call that needs what models cannot do), and what loading and running return.
 */
mo_status_t mo_replay_case(mo_context_t *context, const char *case_directory, mo_dtype_t dtype, mo_replay **result);

/* NULL is fine. */
void mo_replay_destroy(mo_replay *replay);

/* Writes the tensors as float32 under the names of outputs.safetensors. */
mo_status_t mo_replay_save(const mo_replay *replay, const char *path);

typedef struct mo_replay_comparison {
  int64_t key_count;        /* of all calls */
  int64_t tensor_count;     /* compared */
  int64_t value_count;      /* compared */
  int64_t difference_count; /* classes, keys, names, shapes, and tensors with values that differ by more than the tolerance */
  double largest;           /* of all differences of values; infinity where one of the two is no number */
  char largest_name[96];    /* the tensor it is in */
  char message[MO_REPLAY_MESSAGE_BYTES]; /* the first difference; "" if there is none */
} mo_replay_comparison;

/* Compares keys (in order), names, shapes and values with case.json and outputs.safetensors. Where the recording holds NaN and
 * case.json has "unspecified": "nan", any number agrees: what padding tokens give means nothing. OK also where they differ:
 * look at difference_count. IO_ERROR, BAD_FILE, OUT_OF_MEMORY if the recording cannot be read; `message` says why. */
mo_status_t mo_replay_compare(const mo_replay *replay, const char *case_directory, double tolerance,
                              mo_replay_comparison *comparison);

#ifdef __cplusplus
}
#endif
#endif
