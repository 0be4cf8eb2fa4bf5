/* host/cuda/attention.c - attention on the card: limits of the kernels, scratch for reductions, arguments.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention.h"

#include <math.h>
#include <string.h>

#include "host/cuda/cuda_ops.h"
#include "host/cuda/kv_view.h"
#include "host/cuda/selected_heads.h"
#include "host/rules/attention_shape.h"
#include "host/rules/broadcast.h"

#define MAX_HEAD_DIM 256
#define MAX_GRID_YZ 65535
#define MAX_LENGTH (INT32_MAX - 255) /* rounded up to a tile it is still an int */

static mo_status_t check_limits(const mo_attention_params *params, const mo_attention_shape *shape) {
  MO_CHECK(shape->head_dim <= MAX_HEAD_DIM && shape->value_dim <= MAX_HEAD_DIM, MO_STATUS_UNSUPPORTED,
           "attention: head dim %lld, the CUDA kernels take 1 to %d",
           (long long)(shape->head_dim > shape->value_dim ? shape->head_dim : shape->value_dim), MAX_HEAD_DIM);
  MO_CHECK(shape->rows <= MAX_LENGTH && shape->keys <= MAX_LENGTH, MO_STATUS_UNSUPPORTED,
           "attention: %lld queries or %lld keys, the CUDA kernels take %lld", (long long)shape->rows, (long long)shape->keys,
           (long long)MAX_LENGTH);
  MO_CHECK(shape->sequences <= MAX_GRID_YZ && shape->heads <= MAX_GRID_YZ, MO_STATUS_UNSUPPORTED,
           "attention: batch %lld or %lld heads, the CUDA kernels take %d of each", (long long)shape->sequences,
           (long long)shape->heads, MAX_GRID_YZ);
  MO_CHECK(params->weight_heads.count <= MO_ATTENTION_MAX_SELECTED_HEADS &&
               (params->weight_heads.count == 0 || shape->heads <= INT16_MAX),
           MO_STATUS_UNSUPPORTED, "attention: %d selected heads of %lld, the CUDA kernels take %d of %d",
           (int)params->weight_heads.count, (long long)shape->heads, MO_ATTENTION_MAX_SELECTED_HEADS, INT16_MAX);
  return MO_STATUS_OK;
}

static void set_weights(const mo_attention_params *params, mo_attention_kernel_args *args) {
  const mo_tensor *weights = params->weights;
  args->weights = weights->data;
  args->weights_dtype = weights->dtype;
  args->weights_reduction = params->weights_reduction;
  mo_broadcast_strides(weights, 3, args->weights_strides);
  args->weight_rows = params->weight_last_rows;
  args->selected_head_count = mo_cuda_selected_heads(params->weight_heads, args->heads, args->selected_heads);
}

static const int32_t *per_sequence(const mo_tensor *tensor) { return tensor == NULL ? NULL : tensor->data; }

static int32_t group_of(const mo_tensor *stored, const mo_tensor *scale) {
  return scale == NULL || scale->shape[3] == 0 ? 1 : (int32_t)(stored->shape[3] / scale->shape[3]);
}

static void set_sequences(const mo_attention_params *params, const mo_attention_shape *shape, mo_attention_kernel_args *args) {
  args->sequences_vary = shape->varies;
  args->cumulative_queries = per_sequence(params->cumulative_query_lengths);
  args->cumulative_keys = per_sequence(params->cumulative_key_lengths);
  args->causal_offsets = per_sequence(params->causal_offsets);
  args->query_tokens = params->query->shape[2];
  args->key_tokens = shape->key->shape[2];
  args->rows_are_last = params->causal_offset == MO_CAUSAL_OFFSET_DEFAULT;
  args->key_lengths_count = params->cache != NULL;
  args->key_group = args->value_group = 1;
  if (params->cache == NULL) return;
  const mo_kv_view *cache = params->cache;
  args->table = mo_cuda_kv_table(cache);
  args->key_scale = mo_cuda_kv_heads(cache->key_scale);
  args->value_scale = mo_cuda_kv_heads(cache->value_scale);
  args->key_group = group_of(cache->key, cache->key_scale);
  args->value_group = group_of(cache->value, cache->value_scale);
  args->cached = cache->block_table != NULL || cache->key_scale != NULL;
}

static int64_t clamp_distance(int64_t distance) {
  return distance < -MO_ATTENTION_FAR ? -MO_ATTENTION_FAR : distance > MO_ATTENTION_FAR ? MO_ATTENTION_FAR : distance;
}

/* |offset + row - key| < window and, if causal, key <= offset + row, as bounds of key - row. Sums that overflow are far away.
 * Offsets that sequences have of their own are added by the kernels. */
static void set_distances(const mo_attention_params *params, mo_attention_kernel_args *args) {
  const int64_t offset = args->rows_are_last || args->causal_offsets != NULL ? 0 : params->causal_offset;
  const int64_t reach = params->sliding_window - 1;
  args->first_distance = -MO_ATTENTION_FAR;
  args->last_distance = params->causal ? clamp_distance(offset) : MO_ATTENTION_FAR;
  if (params->sliding_window == 0) return;
  args->first_distance = offset < INT64_MIN + reach ? -MO_ATTENTION_FAR : clamp_distance(offset - reach);
  if (!params->causal) args->last_distance = offset > INT64_MAX - reach ? MO_ATTENTION_FAR : clamp_distance(offset + reach);
}

mo_status_t mo_cuda_attention(mo_context_t *context, const mo_attention_params *params) {
  const mo_attention_shape shape = mo_attention_shape_of(params);
  const mo_cuda_state *state = mo_cuda_state_of(context);
  MO_TRY(check_limits(params, &shape));
  mo_attention_kernel_args args;
  memset(&args, 0, sizeof args);
  args.batch = shape.sequences;
  args.heads = shape.heads;
  args.query_length = shape.rows;
  args.head_dim = (int32_t)shape.head_dim;
  args.key_value_heads = shape.key_value_heads;
  args.key_length = shape.keys;
  args.value_dim = (int32_t)shape.value_dim;
  args.dtype = params->query->dtype;
  args.stored_dtype = shape.key->dtype;
  args.query = params->query->data;
  args.key = shape.key->data;
  args.value = shape.value->data;
  args.output = params->output->data;
  mo_broadcast_strides(params->query, 3, args.query_strides);
  mo_broadcast_strides(shape.key, 3, args.key_strides);
  mo_broadcast_strides(shape.value, 3, args.value_strides);
  mo_broadcast_strides(params->output, 3, args.output_strides);
  set_sequences(params, &shape, &args);
  if (params->weights != NULL) set_weights(params, &args);
  if (params->log_sum_exp != NULL) {
    args.log_sum_exp = params->log_sum_exp->data;
    mo_broadcast_strides(params->log_sum_exp, 3, args.log_sum_exp_strides);
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
    mo_broadcast_strides(params->mask, 4, args.mask_strides);
  }
  if (params->bias != NULL) {
    args.bias = params->bias->data;
    args.bias_dtype = params->bias->dtype;
    mo_broadcast_strides(params->bias, 4, args.bias_strides);
  }
  if (params->key_lengths != NULL) {
    args.key_lengths = params->key_lengths->data;
    args.key_lengths_dtype = params->key_lengths->dtype;
    mo_broadcast_strides(params->key_lengths, 1, &args.key_lengths_stride);
  }
  set_distances(params, &args);
  args.scale = params->scale != 0.0f ? params->scale : args.head_dim > 0 ? 1.0f / sqrtf((float)args.head_dim) : 1.0f;
  args.soft_cap = params->soft_cap;
  MO_CUDA_ENTER(state);
  return mo_cuda_status(mo_launch_attention(&args, state->shared_bytes_limit, mo_cuda_stream_of(context)), "attention");
}
