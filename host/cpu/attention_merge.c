/* host/cpu/attention_merge.c - the merge of two partial attentions, row by row.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>

#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"

#define PARALLEL_ELEMENTS 16384 /* below it a second thread costs more than it gives */

/* Element offset of row (b, h, s), numbered in that order. */
static int64_t row_offset(const mo_tensor *tensor, int64_t row) {
  const int64_t s = row % tensor->shape[2], h = row / tensor->shape[2] % tensor->shape[1];
  return row / tensor->shape[2] / tensor->shape[1] * tensor->strides[0] + h * tensor->strides[1] + s * tensor->strides[2];
}

static void merge(float *output, const float *a, float weight_a, const float *b, float weight_b, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) output[i] = weight_a * a[i] + weight_b * b[i];
}

/* A weight of 0 must silence whatever stands there: a part nobody has written may hold NaN. */
static void scale(float *output, const float *source, float weight, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) output[i] = weight == 0.0f ? 0.0f : weight * source[i];
}

/* The elements of a row; there is at least one. */
static mo_status_t merge_elements(const mo_attention_merge_params *params, int64_t row, float weight_a, float weight_b,
                                  float *wide) {
  const mo_tensor *tensors[3] = {params->output, params->output_a, params->output_b};
  const int64_t size = params->output->shape[3];
  const mo_dtype_t dtype = params->output->dtype;
  char *rows[3];
  for (int i = 0; i < 3; i++) rows[i] = (char *)tensors[i]->data + row_offset(tensors[i], row) * (int64_t)mo_dtype_bytes(dtype);
  float *output = (float *)rows[0];
  const float *a = (const float *)rows[1], *b = (const float *)rows[2];
  if (dtype != MO_DTYPE_FLOAT32) {
    MO_TRY(mo_dtype_convert(wide, MO_DTYPE_FLOAT32, rows[1], dtype, size));
    MO_TRY(mo_dtype_convert(wide + size, MO_DTYPE_FLOAT32, rows[2], dtype, size));
    output = wide;
    a = wide;
    b = wide + size;
  }
  if (weight_b == 0.0f) scale(output, a, weight_a, size);
  else if (weight_a == 0.0f) scale(output, b, weight_b, size);
  else merge(output, a, weight_a, b, weight_b, size);
  return dtype == MO_DTYPE_FLOAT32 ? MO_STATUS_OK : mo_dtype_convert(rows[0], dtype, wide, MO_DTYPE_FLOAT32, size);
}

static mo_status_t merge_row(const mo_attention_merge_params *params, int64_t row, float *wide) {
  const float la = ((const float *)params->log_sum_exp_a->data)[row_offset(params->log_sum_exp_a, row)];
  const float lb = ((const float *)params->log_sum_exp_b->data)[row_offset(params->log_sum_exp_b, row)];
  const float largest = la > lb || isnan(la) ? la : lb;
  const bool none = largest == -INFINITY;
  const float ea = none ? 0.0f : expf(la - largest), eb = none ? 0.0f : expf(lb - largest);
  const float sum = ea + eb, weight_a = none ? 0.0f : ea / sum, weight_b = none ? 0.0f : eb / sum;
  if (params->output->shape[3] > 0) MO_TRY(merge_elements(params, row, weight_a, weight_b, wide));
  if (params->log_sum_exp != NULL)
    ((float *)params->log_sum_exp->data)[row_offset(params->log_sum_exp, row)] = none ? -INFINITY : largest + logf(sum);
  return MO_STATUS_OK;
}

typedef struct merge_job {
  const mo_attention_merge_params *params;
  float *scratch; /* per thread: two rows; NULL for float32 */
  atomic_bool *failed;
} merge_job;

static void merge_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const merge_job *job = argument;
  float *wide = job->scratch == NULL ? NULL : job->scratch + slot * 2 * job->params->output->shape[3];
  for (int64_t row = first; row < last; row++) {
    if (merge_row(job->params, row, wide) != MO_STATUS_OK) atomic_store(job->failed, true);
  }
}

mo_status_t mo_cpu_attention_merge(mo_context_t *context, const mo_attention_merge_params *params) {
  const mo_tensor *output = params->output;
  const int64_t rows = output->shape[0] * output->shape[1] * output->shape[2], size = output->shape[3];
  const int32_t threads = rows > PARALLEL_ELEMENTS / (size + 1) ? mo_context_thread_count(context) : 1;
  void *scratch = NULL;
  atomic_bool failed = false;
  if (output->dtype != MO_DTYPE_FLOAT32) {
    int64_t bytes;
    MO_CHECK(mo_checked_mul(size, 2 * (int64_t)sizeof(float) * threads, &bytes), MO_STATUS_OUT_OF_MEMORY,
             "attention merge: rows of %" PRId64 " elements need more scratch memory than can be addressed", size);
    MO_TRY(mo_context_scratch(context, (size_t)bytes, &scratch));
  }
  mo_parallel_for(threads, rows, 0, merge_rows, &(merge_job){.params = params, .scratch = scratch, .failed = &failed});
  MO_CHECK(!failed, MO_STATUS_INTERNAL, "attention merge: a row of %s could not be converted", mo_dtype_name(output->dtype));
  return MO_STATUS_OK;
}
