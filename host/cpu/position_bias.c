/* host/cpu/position_bias.c - ALiBi and T5 biases. A row of T5's depends on the distance alone, so the buckets are looked up
 * once per head and distance, and every query row copies its stretch of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/rules/relative_buckets.h"

#define PARALLEL_ELEMENTS 16384 /* below it a second thread costs more than it gives */

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

typedef struct bias_job {
  const mo_position_bias_params *params;
  mo_relative_buckets buckets; /* T5 */
  int64_t first;               /* distance of the first column of values */
  int64_t distances;
  float *values; /* (H, distances) */
  atomic_bool *failed;
} bias_job;

static void find_values(const void *argument, int64_t begin, int64_t end, int32_t slot) {
  const bias_job *job = argument;
  const mo_tensor *table = job->params->table, *slopes = job->params->slopes;
  const bool t5 = job->params->kind == MO_POSITION_BIAS_T5;
  (void)slot;
  for (int64_t k = begin; k < end; k++) {
    const int64_t distance = job->first + k;
    const int32_t bucket = t5 ? bucket_of(&job->buckets, distance) : 0;
    for (int64_t h = 0; h < job->params->output->shape[1]; h++) {
      job->values[h * job->distances + k] = t5 ? load_one(table, bucket * table->strides[0] + h * table->strides[1])
                                               : -load_one(slopes, h * slopes->strides[0]) * (float)llabs(distance);
    }
  }
}

static void copy_rows(const void *argument, int64_t begin, int64_t end, int32_t slot) {
  const bias_job *job = argument;
  const mo_tensor *output = job->params->output;
  const int64_t queries = output->shape[2], element = (int64_t)mo_dtype_bytes(output->dtype);
  (void)slot;
  for (int64_t row = begin; row < end; row++) {
    const int64_t h = row / queries, i = row % queries;
    char *destination = (char *)output->data + (h * output->strides[1] + i * output->strides[2]) * element;
    const float *source = job->values + h * job->distances + (queries - 1 - i);
    if (mo_dtype_convert(destination, output->dtype, source, MO_DTYPE_FLOAT32, output->shape[3]) != MO_STATUS_OK) {
      atomic_store(job->failed, true);
    }
  }
}

mo_status_t mo_cpu_position_bias(mo_context_t *context, const mo_position_bias_params *params) {
  const mo_tensor *output = params->output, *offsets = params->query_offsets, *table = params->table;
  const int64_t heads = output->shape[1], queries = output->shape[2], keys = output->shape[3];
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
  atomic_bool failed = false;
  bias_job job = {
      .params = params, .first = -(first + queries - 1), .distances = distances, .values = scratch, .failed = &failed};
  if (t5) {
    job.buckets = mo_relative_buckets_of((int32_t)table->shape[0], params->max_distance == 0 ? 128 : params->max_distance,
                                         params->bidirectional);
  }
  const int32_t threads = mo_context_thread_count(context);
  mo_parallel_for(count > PARALLEL_ELEMENTS ? threads : 1, distances, 0, find_values, &job);
  mo_parallel_for(heads * queries > PARALLEL_ELEMENTS / keys ? threads : 1, heads * queries, 0, copy_rows, &job);
  MO_CHECK(!failed, MO_STATUS_INTERNAL, "position bias: a row could not be converted to %s", mo_dtype_name(output->dtype));
  return MO_STATUS_OK;
}
