/* host/cuda/decode_attention.c - decode attention on the card: limits of the kernels, arguments, scratch memory.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/decode_attention.h"

#include <math.h>
#include <string.h>

#include "host/cuda/cuda_ops.h"
#include "host/cuda/kv_view.h"
#include "host/cuda/selected_heads.h"
#include "host/rules/broadcast.h"
#include "host/rules/decode_call.h"

#define OP "decode attention"

static mo_status_t check_limits(const mo_decode_attention_params *params) {
  const int64_t *query = params->query->shape, value_size = params->cache.value->shape[3];
  const int64_t limit =
      INT32_MAX / 4096; /* blocks: keys are shared out in no more parts than that, over at most as many tiles */
  MO_CHECK(query[3] <= MO_DECODE_MAX_HEAD_SIZE && value_size <= MO_DECODE_MAX_HEAD_SIZE, MO_STATUS_UNSUPPORTED,
           OP ": head dim %lld, the CUDA kernels take 1 to %d", (long long)(query[3] > value_size ? query[3] : value_size),
           MO_DECODE_MAX_HEAD_SIZE);
  MO_CHECK(query[0] <= limit && query[1] <= limit && query[0] * query[1] <= limit, MO_STATUS_UNSUPPORTED,
           OP ": %lld rows of %lld heads, the CUDA kernels take %lld heads in all", (long long)query[0], (long long)query[1],
           (long long)limit);
  MO_CHECK(mo_decode_key_limit(params) <= INT32_MAX / 2, MO_STATUS_UNSUPPORTED, OP ": %lld keys, the CUDA kernels take %d",
           (long long)mo_decode_key_limit(params), INT32_MAX / 2);
  MO_CHECK(
      params->weight_heads.count <= MO_DECODE_MAX_SELECTED_HEADS && (params->weight_heads.count == 0 || query[1] <= INT16_MAX),
      MO_STATUS_UNSUPPORTED, OP ": %d selected heads of %lld, the CUDA kernels take %d of %d", (int)params->weight_heads.count,
      (long long)query[1], MO_DECODE_MAX_SELECTED_HEADS, INT16_MAX);
  return MO_STATUS_OK;
}

static void set_weights(const mo_decode_attention_params *params, mo_decode_kernel_args *args) {
  const mo_tensor *weights = params->weights;
  args->weights = weights->data;
  args->weights_dtype = weights->dtype;
  args->weights_reduction = params->weights_reduction;
  mo_broadcast_strides(weights, 3, args->weights_strides);
  args->first_weight_row = params->weight_last_rows > 0 ? args->tokens - (int32_t)params->weight_last_rows : 0;
  args->selected_head_count = mo_cuda_selected_heads(params->weight_heads, args->heads, args->selected_heads);
}

mo_status_t mo_cuda_decode_attention(mo_context_t *context, const mo_decode_attention_params *params) {
  const mo_tensor *query = params->query;
  const mo_kv_view *cache = &params->cache;
  const mo_cuda_state *state = mo_cuda_state_of(context);
  mo_decode_kernel_args args;
  MO_TRY(check_limits(params));
  if (query->shape[0] == 0 || query->shape[1] == 0 || query->shape[2] == 0) return MO_STATUS_OK;
  memset(&args, 0, sizeof args);
  args.batch = query->shape[0];
  args.heads = query->shape[1];
  args.key_value_heads = cache->key->shape[1];
  args.tokens = (int32_t)query->shape[2];
  args.group = (int32_t)(args.heads / args.key_value_heads);
  args.row_count = args.group * args.tokens;
  args.dtype = query->dtype;
  args.stored_dtype = cache->key->dtype;
  args.query = query->data;
  args.output = params->output->data;
  mo_broadcast_strides(query, 3, args.query_strides);
  mo_broadcast_strides(params->output, 3, args.output_strides);
  args.new_key = mo_cuda_kv_heads(params->key);
  args.new_value = mo_cuda_kv_heads(params->value);
  args.key = mo_cuda_kv_store(cache->key, cache->key_scale);
  args.value = mo_cuda_kv_store(cache->value, cache->value_scale);
  args.table = mo_cuda_kv_table(cache);
  args.turn = mo_cuda_kv_turn(params->rotary, params->position_ids);
  args.length = params->length;
  if (params->lengths != NULL) {
    args.lengths = params->lengths->data;
    args.lengths_stride = params->lengths->strides[0];
  }
  if (params->key_starts != NULL) {
    args.key_starts = params->key_starts->data;
    args.key_starts_stride = params->key_starts->strides[0];
  }
  args.rules = mo_decode_rules_of(params);
  if (params->log_sum_exp != NULL) {
    args.log_sum_exp = params->log_sum_exp->data;
    mo_broadcast_strides(params->log_sum_exp, 3, args.log_sum_exp_strides);
  }
  if (params->weights != NULL) set_weights(params, &args);
  if (params->mask != NULL) {
    args.mask = params->mask->data;
    args.mask_dtype = params->mask->dtype;
    mo_broadcast_strides(params->mask, 4, args.mask_strides);
  }
  if (params->bias != NULL) {
    args.bias = params->bias->data;
    args.bias_dtype = params->bias->dtype;
    mo_broadcast_strides(params->bias, 4, args.bias_strides);
  }
  args.scale = params->scale != 0.0f ? params->scale : 1.0f / sqrtf((float)query->shape[3]);
  args.soft_cap = params->soft_cap;

  void *scratch;
  size_t scratch_bytes;
  MO_CUDA_ENTER(state);
  const cudaError_t planned =
      mo_plan_decode_attention(&args, state->multiprocessor_count, state->shared_bytes_limit, &scratch_bytes);
  MO_CHECK(planned != cudaErrorLaunchOutOfResources, MO_STATUS_UNSUPPORTED,
           OP ": heads of %lld and %lld elements with their scales do not fit the %zu bytes of shared memory of this card",
           (long long)args.key.size, (long long)args.value.size, state->shared_bytes_limit);
  MO_TRY(mo_cuda_status(planned, OP));
  MO_TRY(mo_context_scratch(context, scratch_bytes, &scratch));
  return mo_cuda_status(mo_launch_decode_attention(&args, scratch, mo_cuda_stream_of(context)), OP);
}
