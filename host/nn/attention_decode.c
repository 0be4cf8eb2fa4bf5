/* host/nn/attention_decode.c - attention of a few new tokens over a cache: rotate, append and attend in one call.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/attention_internal.h"
#include "modelout/decode_attention.h"

#define LARGEST_HEAD 256 /* what decode attention takes on every backend */

bool mo_attention_decodes(const mo_pass *pass, const mo_attention_config *config) {
  return pass->inputs->cache != NULL && !pass->inputs->cache_is_new && config->head_size <= LARGEST_HEAD &&
         pass->inputs->sequence_length <= MO_DECODE_ATTENTION_MAX_TOKENS;
}

/* The tensors that the parameters point to. */
typedef struct decode_call {
  mo_decode_attention_params params;
  mo_tensor weights, mask, bias;
} decode_call;

static mo_status_t begin(const mo_pass *pass, const mo_attention_layer *layer, const mo_weights_sink *sink, int64_t key_length,
                         decode_call *call) {
  *call = (decode_call){.params = MO_DECODE_ATTENTION_PARAMS_INIT};
  call->params.max_key_length = key_length;
  call->params.scale = layer->scale;
  call->params.soft_cap = layer->soft_cap;
  MO_TRY(mo_attention_weights_view(pass, sink, layer->index, key_length, &call->weights));
  if (call->weights.dtype == MO_DTYPE_NONE) return MO_STATUS_OK;
  call->params.weights = &call->weights;
  call->params.weights_reduction = sink->reduction;
  call->params.weight_heads = sink->heads;
  call->params.weight_last_rows = sink->last_rows;
  return MO_STATUS_OK;
}

/* Where the new tokens go. With cache_lengths only the device knows, and the cache itself is not asked for room. */
static mo_status_t find_slot(const mo_transformer_inputs *inputs, int64_t index, mo_cache_entry *entry, int64_t *slot,
                             int64_t *key_length) {
  *slot = 0;
  if (inputs->cache_lengths.dtype != MO_DTYPE_NONE) {
    *key_length = inputs->key_length;
    return mo_cache_read(inputs->cache, index, entry);
  }
  MO_TRY(mo_cache_prepare(inputs->cache, index, inputs->sequence_length, entry, slot));
  *key_length = entry->token_count;
  return MO_STATUS_OK;
}

mo_status_t mo_attention_decode(const mo_pass *pass, const mo_attention_layer *layer, const mo_head_views *heads) {
  const mo_transformer_inputs *inputs = pass->inputs;
  mo_cache_entry entry;
  decode_call call;
  int64_t slot, key_length;
  MO_TRY(find_slot(inputs, layer->index, &entry, &slot, &key_length));
  MO_TRY(begin(pass, layer, &pass->sinks->self_weights, key_length, &call));
  mo_decode_attention_params *params = &call.params;
  params->output = &heads->output;
  params->query = &heads->query;
  params->key = &heads->key;
  params->value = &heads->value;
  params->cache = entry.view;
  params->rotary = layer->rotary;
  if (layer->rotary != NULL && inputs->positions.dtype != MO_DTYPE_NONE) params->position_ids = &inputs->positions;
  params->length = slot;
  if (entry.lengths.dtype != MO_DTYPE_NONE) params->lengths = &entry.lengths;
  if (inputs->cache_lengths.dtype != MO_DTYPE_NONE) params->lengths = &inputs->cache_lengths;
  params->sliding_window = layer->window;
  if (inputs->mask.dtype != MO_DTYPE_NONE) {
    call.mask = mo_last_columns(&inputs->mask, key_length);
    params->mask = &call.mask;
  }
  if (layer->bias != NULL) {
    call.bias = mo_last_columns(layer->bias, key_length);
    params->bias = &call.bias;
  }
  return mo_decode_attention(pass->context, params);
}

mo_status_t mo_attention_decode_cross(const mo_pass *pass, const mo_attention_layer *layer, const mo_tensor *query,
                                      const mo_tensor *output) {
  const mo_transformer_inputs *inputs = pass->inputs;
  mo_cache_entry entry;
  decode_call call;
  MO_TRY(mo_cache_read(inputs->cross_cache, layer->index, &entry));
  MO_TRY(begin(pass, layer, &pass->sinks->cross_weights, inputs->encoder_length, &call));
  call.params.output = output;
  call.params.query = query;
  call.params.cache = entry.view;
  call.params.length = inputs->encoder_length;
  if (inputs->encoder_mask.dtype != MO_DTYPE_NONE) call.params.mask = &inputs->encoder_mask;
  return mo_decode_attention(pass->context, &call.params);
}
