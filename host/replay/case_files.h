/* host/replay/case_files.h - the files of a recorded case, and the sentences about them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_REPLAY_CASE_FILES_H
#define MO_REPLAY_CASE_FILES_H

#include <jansson.h>

#include "host/replay/message.h"
#include "modelout/safetensors.h"

/* Notes the first sentence in `message` (MO_REPLAY_MESSAGE_BYTES, as everywhere here); later ones are its consequences. Returns
 * `status`. */
mo_status_t mo_replay_tell(char *message, mo_status_t status, const char *what, const char *detail);

/* Notes the library's sentence if the status is not OK. */
mo_status_t mo_replay_told(char *message, mo_status_t status, const char *what);

/* case.json, with everything in it of the right type that mo_replay_step() promises. The caller drops the reference. */
mo_status_t mo_replay_load_description(const char *directory, json_t **description, char *message);

/* inputs.safetensors or outputs.safetensors. */
mo_status_t mo_replay_open(const char *directory, const char *name, mo_safetensors_t **file, char *message);

/* A tensor of the file with its data in memory of its own, to be released with free(). */
mo_status_t mo_replay_read(const mo_safetensors_t *file, const char *name, mo_tensor *tensor, char *message);

/* The calls of a case: its `steps`, or itself. A step's keys are `flags`, `output_class`, `output_fields_in_order` (a list),
 * and what mo_replay_case() makes of earlier steps. */
int64_t mo_replay_step_count(const json_t *description);
const json_t *mo_replay_step(const json_t *description, int64_t index);

/* "step2." in front of the names of its tensors; "" in a case of one call. */
void mo_replay_step_prefix(const json_t *description, int64_t index, char prefix[32]);

/* The earlier step that a step names under `key` ("step1"); -1 if it names none. BAD_FILE if there is no such step before it.
 */
mo_status_t mo_replay_earlier_step(const json_t *description, int64_t index, const char *key, int64_t *earlier, char *message);

#endif
