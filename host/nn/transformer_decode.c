/* host/nn/transformer_decode.c - attention of a few new tokens over a cache: turn, append and attend in one call.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/transformer.h"
#include "modelout/decode_attention.h"

#define LARGEST_HEAD 256 /* what decode attention takes on every backend */

bool mo_transformer_decodes(const mo_transformer_run *run) {
  return run->inputs->cache != NULL && !run->inputs->cache_is_new && run->stack->config.attention.head_size <= LARGEST_HEAD &&
         run->inputs->sequence_length <= MO_DECODE_ATTENTION_MAX_TOKENS;
}

/* The tensors that the parameters point to. */
typedef struct decode_call {
  mo_decode_attention_params params;
  mo_tensor weights, mask, bias;
} decode_call;

static mo_status_t begin(const mo_transformer_run *run, int64_t index, const mo_field *field, int64_t key_length,
                         decode_call *call) {
  *call = (decode_call){.params = MO_DECODE_ATTENTION_PARAMS_INIT};
  call->params.max_key_length = key_length;
  call->params.scale = mo_transformer_attention_scale(&run->stack->config, index);
  MO_TRY(mo_transformer_weights_view(run, field, index, key_length, &call->weights));
  if (call->weights.dtype == MO_DTYPE_NONE) return MO_STATUS_OK;
  call->params.weights = &call->weights;
  if (run->request == NULL) return MO_STATUS_OK;
  call->params.weights_reduction = run->request->attention_reduction;
  call->params.weight_heads = run->request->attention_heads;
  call->params.weight_last_rows = run->request->last_query_rows;
  return MO_STATUS_OK;
}

/* Where the new tokens go. With cache_lengths only the device knows, and the cache itself is not asked for room. */
static mo_status_t find_place(const mo_transformer_run *run, int64_t index, mo_cache_entry *entry, int64_t *slot,
                              int64_t *key_length) {
  const mo_transformer_inputs *inputs = run->inputs;
  *slot = 0;
  if (inputs->cache_lengths.dtype != MO_DTYPE_NONE) {
    *key_length = inputs->key_length;
    return mo_cache_read(inputs->cache, index, entry);
  }
  MO_TRY(mo_cache_prepare(inputs->cache, index, inputs->sequence_length, entry, slot));
  *key_length = entry->token_count;
  return MO_STATUS_OK;
}

mo_status_t mo_transformer_decode(const mo_transformer_run *run, int64_t index, const mo_rotary *rotary, const mo_tensor *query,
                                  const mo_tensor *key, const mo_tensor *value, const mo_tensor *output) {
  const mo_transformer_inputs *inputs = run->inputs;
  mo_cache_entry entry;
  decode_call call;
  int64_t slot, key_length;
  MO_TRY(find_place(run, index, &entry, &slot, &key_length));
  MO_TRY(begin(run, index, run->outputs->attentions, key_length, &call));
  mo_decode_attention_params *params = &call.params;
  params->output = output;
  params->query = query;
  params->key = key;
  params->value = value;
  params->cache = entry.view;
  params->rotary = rotary;
  if (rotary != NULL && inputs->positions.dtype != MO_DTYPE_NONE) params->position_ids = &inputs->positions;
  params->length = slot;
  if (entry.lengths.dtype != MO_DTYPE_NONE) params->lengths = &entry.lengths;
  if (inputs->cache_lengths.dtype != MO_DTYPE_NONE) params->lengths = &inputs->cache_lengths;
  params->sliding_window = mo_transformer_window(&run->stack->config, index);
  if (inputs->mask.dtype != MO_DTYPE_NONE) {
    call.mask = mo_transformer_last_columns(&inputs->mask, key_length);
    params->mask = &call.mask;
  }
  if (run->stack->config.attention.relative_buckets > 0) {
    const mo_tensor whole = mo_transformer_bias(run);
    call.bias = mo_transformer_last_columns(&whole, key_length);
    params->bias = &call.bias;
  }
  return mo_decode_attention(run->stack->context, params);
}

mo_status_t mo_transformer_decode_cross(const mo_transformer_run *run, int64_t index, const mo_tensor *query,
                                        const mo_tensor *output) {
  const mo_transformer_inputs *inputs = run->inputs;
  mo_cache_entry entry;
  decode_call call;
  MO_TRY(mo_cache_read(inputs->cross_cache, index, &entry));
  MO_TRY(begin(run, index, run->outputs->cross_attentions, inputs->encoder_length, &call));
  call.params.output = output;
  call.params.query = query;
  call.params.cache = entry.view;
  call.params.length = inputs->encoder_length;
  if (inputs->encoder_mask.dtype != MO_DTYPE_NONE) call.params.mask = &inputs->encoder_mask;
  return mo_decode_attention(run->stack->context, &call.params);
}
