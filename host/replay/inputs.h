/* host/replay/inputs.h - named inputs of a call with memory of their own, as a file or a command line gives them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_REPLAY_INPUTS_H
#define MO_REPLAY_INPUTS_H

#include "modelout/model.h"

#define MO_REPLAY_MOST_INPUTS 32

/* Not to be moved: the inputs point into it. */
typedef struct mo_replay_inputs {
  mo_named_input named[MO_REPLAY_MOST_INPUTS];
  mo_tensor tensors[MO_REPLAY_MOST_INPUTS];
  int32_t count;
} mo_replay_inputs;

/* The name that models know an input by: forward() of a few has a name of its own for what others call otherwise. */
const char *mo_replay_input_name(const char *name);

/* Adds a tensor on the CPU with memory of its own; NULL: too many, or out of memory. `name` must outlive the inputs. */
mo_tensor *mo_replay_inputs_add(mo_replay_inputs *inputs, const char *name, mo_dtype_t dtype, int32_t rank,
                                const int64_t *shape);

/* NULL: not given. */
const mo_tensor *mo_replay_inputs_find(const mo_replay_inputs *inputs, const char *name);

/* Adds what is no tensor. False: too many. */
bool mo_replay_inputs_add_cache(mo_replay_inputs *inputs, const char *name, mo_cache_t *cache);
bool mo_replay_inputs_add_field(mo_replay_inputs *inputs, const char *name, mo_field *field);

void mo_replay_inputs_release(mo_replay_inputs *inputs);

#endif
