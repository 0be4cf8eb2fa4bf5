/* host/cpu/position_bias.c - ALiBi and T5 biases. A row of T5's depends on the distance alone, so the buckets are looked up
 * once per head and distance, and every query row copies its stretch of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "host/core/checked_math.h"
#include "host/core/relative_buckets.h"
#include "host/cpu/cpu_ops.h"

static int32_t bucket_of(const mo_relative_buckets *buckets, int64_t distance) {
  int32_t first = 0;
  if (distance > 0) {
    if (!buckets->bidirectional) return 0;
    first = buckets->per_side;
  }
  const int64_t far = llabs(distance);
  if (far < buckets->exact) return first + (int32_t)far;
  int32_t bucket = buckets->exact;
  while (bucket + 1 < buckets->per_side && far >= buckets->border[bucket - buckets->exact]) bucket++;
  return first + bucket;
}

static float load_one(const mo_tensor *tensor, int64_t offset) {
  float value = 0.0f;
  (void)mo_dtype_convert(&value, MO_DTYPE_FLOAT32, (const char *)tensor->data + offset * (int64_t)mo_dtype_bytes(tensor->dtype),
                         tensor->dtype, 1);
  return value;
}

mo_status_t mo_cpu_position_bias(mo_context_t *context, const mo_position_bias_params *params) {
  const mo_tensor *output = params->output, *offsets = params->query_offsets, *table = params->table;
  const int64_t heads = output->shape[1], queries = output->shape[2], keys = output->shape[3];
  const int64_t element = (int64_t)mo_dtype_bytes(output->dtype);
  const bool t5 = params->kind == MO_POSITION_BIAS_T5;
  int64_t first = params->query_offset;
  if (offsets != NULL)
    first = offsets->dtype == MO_DTYPE_INT64 ? *(const int64_t *)offsets->data : *(const int32_t *)offsets->data;
  MO_CHECK(first >= 0 && first <= INT32_MAX / 4, MO_STATUS_INVALID_ARGUMENT,
           "position bias: query_offsets holds %" PRId64 ", 0 to 2^29 - 1 are possible", first);
  if (heads == 0 || queries == 0 || keys == 0) return MO_STATUS_OK;

  /* values[h][k]: the bias at distance k - (first + queries - 1) */
  const int64_t distances = queries + keys - 1;
  int64_t count, bytes;
  void *scratch = NULL;
  MO_CHECK(mo_checked_mul(heads, distances, &count) && mo_checked_mul(count, (int64_t)sizeof(float), &bytes),
           MO_STATUS_OUT_OF_MEMORY,
           "position bias: %" PRId64 " heads of %" PRId64 " distances need more memory than can be addressed", heads,
           distances);
  MO_TRY(mo_context_scratch(context, (size_t)bytes, &scratch));
  float *const values = scratch;
  mo_relative_buckets buckets = {.per_side = 0};
  if (t5) {
    buckets = mo_relative_buckets_of((int32_t)table->shape[0], params->max_distance == 0 ? 128 : params->max_distance,
                                     params->bidirectional);
  }
  const int32_t threads = mo_context_thread_count(context);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t k = 0; k < distances; k++) {
    const int64_t distance = k - (first + queries - 1);
    const int32_t bucket = t5 ? bucket_of(&buckets, distance) : 0;
    for (int64_t h = 0; h < heads; h++) {
      values[h * distances + k] = t5 ? load_one(table, bucket * table->strides[0] + h * table->strides[1])
                                     : -load_one(params->slopes, h * params->slopes->strides[0]) * (float)llabs(distance);
    }
  }
  int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(| : failed)
  for (int64_t row = 0; row < heads * queries; row++) {
    const int64_t h = row / queries, i = row % queries;
    char *destination = (char *)output->data + (h * output->strides[1] + i * output->strides[2]) * element;
    failed |= mo_dtype_convert(destination, output->dtype, values + h * distances + (queries - 1 - i), MO_DTYPE_FLOAT32,
                               keys) != MO_STATUS_OK;
  }
  MO_CHECK(!failed, MO_STATUS_INTERNAL, "position bias: a row could not be converted to %s", mo_dtype_name(output->dtype));
  return MO_STATUS_OK;
}
