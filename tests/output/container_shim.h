/* tests/output/container_shim.h - calls of container_test.cc that are written in C.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTAINER_SHIM_H
#define CONTAINER_SHIM_H

#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

mo_status_t shim_tensor(mo_context_t *context, void *data, int32_t rank, const int64_t *shape, mo_release_function release,
                        void *user_data, mo_field **field);
mo_slice shim_slice_all(void);
mo_slice shim_slice_range(int64_t first, int64_t end);
mo_field *shim_logits(const mo_output *output); /* of a CausalLMOutput, by struct member */
mo_field *shim_loss(const mo_output *output);
mo_dimensions shim_dimensions(void);
mo_dimensions shim_small_dimensions(void); /* every extent given, all different */
mo_request shim_full_request(void);
mo_context_options shim_cpu_options(void);

#ifdef __cplusplus
}
#endif
#endif
