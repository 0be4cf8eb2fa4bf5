/* host/nn/relative_bias.h - T5's bias of attention scores by the distance of query and key, one for all layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_RELATIVE_BIAS_H
#define MO_NN_RELATIVE_BIAS_H

#include "host/checkpoint/loader.h"
#include "host/core/arena.h"
#include "host/nn/pass.h"

typedef struct mo_relative_bias_config {
  int64_t bucket_count; /* 0: no bias */
  int64_t max_distance;
} mo_relative_bias_config;

typedef struct mo_relative_bias {
  mo_weight table; /* (buckets, heads) */
} mo_relative_bias;

/* `stem` is the name without ".weight". */
mo_status_t mo_relative_bias_load(mo_relative_bias *bias, mo_loader *loader, const char *stem,
                                  const mo_relative_bias_config *config, int64_t head_count);
void mo_relative_bias_release(mo_relative_bias *bias);

/* Memory of the bias of one run: of every row if their pasts differ. */
void *mo_relative_bias_carve(const mo_relative_bias_config *config, int64_t head_count, mo_dtype_t dtype,
                             const mo_transformer_inputs *inputs, mo_arena *arena);

/* Once per run. `result` (1|B, heads, S, keys) lies in `memory`; dtype NONE: there is no bias. */
mo_status_t mo_relative_bias_forward(const mo_relative_bias *bias, const mo_pass *pass, const mo_relative_bias_config *config,
                                     int64_t head_count, bool bidirectional, void *memory, mo_tensor *result);

#endif
