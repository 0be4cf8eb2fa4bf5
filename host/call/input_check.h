/* host/call/input_check.h - checks of inputs, and their values as the host reads them.
 *
 * Each check returns OK or leaves a sentence that names the architecture, the input and the rule. Values of tensors that the
 * host cannot read pass.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CALL_INPUT_CHECK_H
#define MO_CALL_INPUT_CHECK_H

#include "host/call/model.h"

#define MO_IGNORED_LABEL (-100)

/* Dtypes (bits of MO_DTYPE_BIT), device and exact shape. */
mo_status_t mo_check_input(const mo_model_t *model, const char *name, const mo_tensor *tensor, uint32_t dtypes, int32_t rank,
                           const int64_t *shape);

/* Integers in low..high-1, and -100 if `allow_ignored`: adds how many to *ignored_count. `rule` says whose range it is. */
mo_status_t mo_check_values(const mo_model_t *model, const char *name, const mo_tensor *tensor, int64_t low, int64_t high,
                            bool allow_ignored, int64_t *ignored_count, const char *rule);

/* Whether a mask hides anything: 0 hides, anything else shows. Floating masks hold 0 and 1 only, as other values mean different
 * things to different models. A mask that the host cannot read counts as hiding. */
mo_status_t mo_check_mask(const mo_model_t *model, const char *name, const mo_tensor *mask, bool *hides);

/* Whether a mask's element at an offset shows its key, whatever its dtype. */
bool mo_mask_shows(const mo_tensor *mask, int64_t offset);

/* Integer (or bool) value at an element offset; alignment does not matter. */
int64_t mo_read_integer(const mo_tensor *tensor, int64_t offset);

#endif
