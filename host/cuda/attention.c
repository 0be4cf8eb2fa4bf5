/* host/cuda/attention.c - attention on the card: limits of the kernels, scratch for reductions, arguments.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention.h"

#include <math.h>
#include <string.h>

#include "host/cuda/cuda_ops.h"

#define MAX_HEAD_DIM 256
#define MAX_GRID_YZ 65535

/* 0 where the extent is 1, so that operands broadcast. */
static void copy_strides(const mo_tensor *tensor, int32_t count, int64_t *strides) {
  for (int32_t i = 0; i < count; ++i) strides[i] = tensor->shape[i] == 1 ? 0 : tensor->strides[i];
}

static mo_status_t check_limits(const mo_attention_params *params) {
  const int64_t *query = params->query->shape, *value = params->value->shape;
  MO_CHECK(query[3] <= MAX_HEAD_DIM && value[3] <= MAX_HEAD_DIM, MO_STATUS_UNSUPPORTED,
           "attention: head dim %lld, the CUDA kernels take 1 to %d", (long long)(query[3] > value[3] ? query[3] : value[3]),
           MAX_HEAD_DIM);
  MO_CHECK(query[0] <= MAX_GRID_YZ && query[1] <= MAX_GRID_YZ, MO_STATUS_UNSUPPORTED,
           "attention: batch %lld or %lld heads, the CUDA kernels take %d of each", (long long)query[0], (long long)query[1],
           MAX_GRID_YZ);
  MO_CHECK(params->weight_heads.count <= MO_ATTENTION_MAX_SELECTED_HEADS &&
               (params->weight_heads.count == 0 || query[1] <= INT16_MAX),
           MO_STATUS_UNSUPPORTED, "attention: %d selected heads of %lld, the CUDA kernels take %d of %d",
           (int)params->weight_heads.count, (long long)query[1], MO_ATTENTION_MAX_SELECTED_HEADS, INT16_MAX);
  return MO_STATUS_OK;
}

static void set_weights(const mo_attention_params *params, mo_attention_kernel_args *args) {
  const mo_tensor *weights = params->weights;
  args->weights = weights->data;
  args->weights_dtype = weights->dtype;
  args->weights_reduction = params->weights_reduction;
  copy_strides(weights, 3, args->weights_strides);
  args->first_weight_row = params->weight_last_rows > 0 ? args->query_length - params->weight_last_rows : 0;
  args->selected_head_count = params->weight_heads.count;
  for (int32_t i = 0; i < params->weight_heads.count; ++i) {
    const int32_t head = params->weight_heads.indices[i];
    args->selected_heads[i] = (int16_t)(head < 0 ? head + args->heads : head);
  }
}

static int64_t clamp_distance(int64_t distance) {
  return distance < -MO_ATTENTION_FAR ? -MO_ATTENTION_FAR : distance > MO_ATTENTION_FAR ? MO_ATTENTION_FAR : distance;
}

/* |offset + row - key| < window and, if causal, key <= offset + row, as bounds of key - row. Sums that overflow are far away.
 */
static void set_distances(const mo_attention_params *params, mo_attention_kernel_args *args) {
  const int64_t offset =
      params->causal_offset == MO_CAUSAL_OFFSET_DEFAULT ? args->key_length - args->query_length : params->causal_offset;
  const int64_t reach = params->sliding_window - 1;
  args->first_distance = -MO_ATTENTION_FAR;
  args->last_distance = params->causal ? clamp_distance(offset) : MO_ATTENTION_FAR;
  if (params->sliding_window == 0) return;
  args->first_distance = offset < INT64_MIN + reach ? -MO_ATTENTION_FAR : clamp_distance(offset - reach);
  if (!params->causal) args->last_distance = offset > INT64_MAX - reach ? MO_ATTENTION_FAR : clamp_distance(offset + reach);
}

mo_status_t mo_cuda_attention(mo_context_t *context, const mo_attention_params *params) {
  const mo_tensor *query = params->query, *key = params->key, *value = params->value;
  const mo_cuda_state *state = mo_cuda_state_of(context);
  MO_TRY(check_limits(params));
  mo_attention_kernel_args args;
  memset(&args, 0, sizeof args);
  args.batch = query->shape[0];
  args.heads = query->shape[1];
  args.query_length = query->shape[2];
  args.head_dim = (int32_t)query->shape[3];
  args.key_value_heads = key->shape[1];
  args.key_length = key->shape[2];
  args.value_dim = (int32_t)value->shape[3];
  args.dtype = query->dtype;
  args.query = query->data;
  args.key = key->data;
  args.value = value->data;
  args.output = params->output->data;
  copy_strides(query, 3, args.query_strides);
  copy_strides(key, 3, args.key_strides);
  copy_strides(value, 3, args.value_strides);
  copy_strides(params->output, 3, args.output_strides);
  if (params->weights != NULL) set_weights(params, &args);
  if (params->log_sum_exp != NULL) {
    args.log_sum_exp = params->log_sum_exp->data;
    copy_strides(params->log_sum_exp, 3, args.log_sum_exp_strides);
  }
  if (params->weights != NULL && params->weights_reduction != MO_WEIGHTS_REDUCTION_NONE) {
    void *scratch;
    const int64_t rows = args.batch * args.heads * args.query_length;
    MO_TRY(mo_context_scratch(context, (size_t)rows * 2 * sizeof(float), &scratch));
    args.statistics = scratch;
  }
  if (params->mask != NULL) {
    args.mask = params->mask->data;
    args.mask_dtype = params->mask->dtype;
    copy_strides(params->mask, 4, args.mask_strides);
  }
  if (params->bias != NULL) {
    args.bias = params->bias->data;
    args.bias_dtype = params->bias->dtype;
    copy_strides(params->bias, 4, args.bias_strides);
  }
  if (params->key_lengths != NULL) {
    args.key_lengths = params->key_lengths->data;
    args.key_lengths_dtype = params->key_lengths->dtype;
    copy_strides(params->key_lengths, 1, &args.key_lengths_stride);
  }
  set_distances(params, &args);
  args.scale = params->scale != 0.0f ? params->scale : args.head_dim > 0 ? 1.0f / sqrtf((float)args.head_dim) : 1.0f;
  args.soft_cap = params->soft_cap;
  MO_TRY(mo_cuda_enter(state));
  return mo_cuda_status(mo_launch_attention(&args, state->shared_bytes_limit, mo_cuda_stream_of(context)), "attention");
}
