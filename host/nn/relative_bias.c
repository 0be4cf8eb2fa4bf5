/* host/nn/relative_bias.c - loading the table of the relative bias, and the bias of one run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/relative_bias.h"

#include "modelout/position_bias.h"

mo_status_t mo_relative_bias_load(mo_relative_bias *bias, mo_loader *loader, const char *stem,
                                  const mo_relative_bias_config *config, int64_t head_count) {
  char name[MO_PARAMETER_NAME_BYTES];
  if (config->bucket_count == 0) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, stem, ".weight", ""));
  return mo_load_table(loader, name, config->bucket_count, head_count, &bias->table);
}

void mo_relative_bias_release(mo_relative_bias *bias) { mo_weight_release(&bias->table); }

static int64_t row_count(const mo_transformer_inputs *inputs) { return inputs->rows_differ ? inputs->batch_size : 1; }

void *mo_relative_bias_carve(const mo_relative_bias_config *config, int64_t head_count, mo_dtype_t dtype,
                             const mo_transformer_inputs *inputs, mo_arena *arena) {
  if (config->bucket_count == 0) return NULL;
  const int64_t elements = row_count(inputs) * head_count * inputs->sequence_length * inputs->key_length;
  return mo_arena_carve(arena, (size_t)elements * mo_dtype_bytes(dtype));
}

/* Every row of `output` from where its own past ends. */
static mo_status_t fill_rows(const mo_pass *pass, const mo_tensor *output, const mo_position_bias_params *shared) {
  mo_position_bias_params params = *shared;
  mo_tensor row = *output;
  row.shape[0] = 1;
  params.output = &row;
  for (int64_t i = 0; i < output->shape[0]; i++) {
    row.data = (char *)output->data + (size_t)(i * output->strides[0]) * mo_dtype_bytes(output->dtype);
    params.query_offset = mo_cache_row_length(pass->inputs->cache, i);
    MO_TRY(mo_position_bias(pass->context, &params));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_relative_bias_forward(const mo_relative_bias *bias, const mo_pass *pass, const mo_relative_bias_config *config,
                                     int64_t head_count, bool bidirectional, void *memory, mo_tensor *result) {
  const mo_transformer_inputs *inputs = pass->inputs;
  *result = (mo_tensor){.dtype = MO_DTYPE_NONE};
  if (config->bucket_count == 0) return MO_STATUS_OK;
  const int64_t shape[4] = {row_count(inputs), head_count, inputs->sequence_length, inputs->key_length};
  *result = mo_device_tensor(pass->context, memory, pass->dtype, 4, shape);
  mo_position_bias_params params = MO_POSITION_BIAS_PARAMS_INIT;
  params.kind = MO_POSITION_BIAS_T5;
  params.output = result;
  params.table = &bias->table.tensor;
  params.bidirectional = bidirectional;
  params.max_distance = config->max_distance;
  params.query_offset = inputs->past_length;
  mo_tensor offset = inputs->cache_lengths; /* every row goes on from the same position */
  offset.shape[0] = 1;
  if (offset.dtype != MO_DTYPE_NONE) params.query_offsets = &offset;
  return inputs->rows_differ ? fill_rows(pass, result, &params) : mo_position_bias(pass->context, &params);
}
