/* host/replay/input_names.h - the tensors of mo_model_inputs by the names the original's forward() gives them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_REPLAY_INPUT_NAMES_H
#define MO_REPLAY_INPUT_NAMES_H

#include "modelout/model.h"

#define MO_REPLAY_INPUT_COUNT 14

/* 0 to MO_REPLAY_INPUT_COUNT - 1; -1 if models take no tensor of that name. */
int mo_replay_input_find(const char *name);

/* NULL out of range. */
const char *mo_replay_input_name(int input);

/* inputs->NAME = tensor. */
void mo_replay_input_set(mo_model_inputs *inputs, int input, const mo_tensor *tensor);

#endif
