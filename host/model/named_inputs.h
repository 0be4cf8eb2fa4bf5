/* host/model/named_inputs.h - the struct of inputs as a set of named ones.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_MODEL_NAMED_INPUTS_H
#define MO_MODEL_NAMED_INPUTS_H

#include "modelout/model.h"

#define MO_NAMED_INPUTS 24 /* at least as many as mo_model_inputs has members */

/* Those that are given, by the names of their members. The struct may be another version's. */
mo_status_t mo_name_inputs(const mo_model_t *model, const mo_model_inputs *inputs, mo_named_input named[MO_NAMED_INPUTS],
                           int32_t *count);

#endif
