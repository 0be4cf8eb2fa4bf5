/* host/families/declarations.h - what a checkpoint declares and this library does not carry out.
 *
 * No declaration that changes the numbers is ever passed over in silence: a family obeys it, or it is refused here, by name.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_FAMILIES_DECLARATIONS_H
#define MO_FAMILIES_DECLARATIONS_H

#include "host/call/model.h"
#include "host/checkpoint/checkpoint.h"

/* Files beside config.json, and keys that concern a family as a whole. UNSUPPORTED names file, or key and value. */
mo_status_t mo_declarations_check(const char *directory, const mo_config_t *config, const mo_family *family);

/* Keys that depend on what the base model's configuration has become. */
mo_status_t mo_declarations_check_decoder(const mo_config_t *config, const mo_family *family, const mo_base_facts *facts);

/* Tensors that belong to quantised weights, after the walk that looks: UNSUPPORTED names the first. */
mo_status_t mo_declarations_check_tensors(mo_checkpoint_t *checkpoint);

#endif
