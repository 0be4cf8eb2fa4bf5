/* tests/fuzz/fuzz_model.h - the small recorded models, in the scratch folder with files of the input beside them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_FUZZ_MODEL_H
#define MO_TESTS_FUZZ_MODEL_H

#include "modelout/modelout.h"

/* Links a file of a folder of tests/golden, or of another folder below tests/ ("../cases/..."), into the scratch folder. */
void fuzz_model_link(const char *folder, const char *file);

/* Loads the scratch folder with fuzz_context(). False if it is refused. */
bool fuzz_model_load(const mo_model_options *options, mo_model_t **model);

/* Two short rows of ids through the model, with hidden states, attentions and the cache if `all`, with labels if `labels`;
 * every value that comes out is there. Where a decoder, a second step over its cache. */
void fuzz_model_run(mo_model_t *model, bool all, bool labels);

/* Two short prompts; options NULL: two new tokens. */
void fuzz_model_generate(mo_model_t *model, const mo_generation_options *options);

/* Reads everything an output or a field holds. */
void fuzz_model_read_output(const mo_output *output);
void fuzz_model_read_field(mo_field *field);

#endif
