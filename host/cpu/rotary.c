/* host/cpu/rotary.c - rotary embedding of queries and keys, one token's head at a time.
 *
 * A row of a 16-bit type is widened into the thread's own scratch, turned there and rounded once; float32 rows are turned where
 * they lie.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/rotary.h"

#define PARALLEL_ELEMENTS 16384 /* below it a second thread costs more than it gives */

/* Position of token s of row b. */
static int64_t position_of(const mo_rotary_params *params, int64_t b, int64_t s) {
  const mo_tensor *ids = params->position_ids;
  return ids == NULL ? params->position_offset + s : mo_position_id(ids, b, s);
}

static mo_status_t check_positions(const mo_rotary_params *params) {
  const int64_t count = params->rotary.cosine->shape[0];
  const mo_tensor *ids = params->position_ids;
  if (ids == NULL) return MO_STATUS_OK;
  for (int64_t b = 0; b < ids->shape[0]; b++) {
    for (int64_t s = 0; s < ids->shape[1]; s++) {
      const int64_t position = position_of(params, b, s);
      MO_CHECK(position >= 0 && position < count, MO_STATUS_INVALID_ARGUMENT,
               "rotary embedding: position_ids holds %" PRId64 " (row %" PRId64 ", token %" PRId64
               "), outside the tables' range 0..%" PRId64,
               position, b, s, count - 1);
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t turn_row(const mo_rotary_params *params, int64_t position, void *destination, const void *source,
                            mo_dtype_t dtype, int64_t size, float *wide) {
  const int64_t pairs = params->rotary.cosine->shape[1];
  const float *cosine = pairs > 0 ? (const float *)params->rotary.cosine->data + position * pairs : NULL;
  const float *sine = pairs > 0 ? (const float *)params->rotary.sine->data + position * pairs : NULL;
  if (dtype == MO_DTYPE_FLOAT32) {
    mo_rotary_turn(destination, source, cosine, sine, pairs, params->rotary.pairing);
    if (destination != source && size > 2 * pairs)
      memcpy((float *)destination + 2 * pairs, (const float *)source + 2 * pairs, (size_t)(size - 2 * pairs) * sizeof(float));
    return MO_STATUS_OK;
  }
  MO_TRY(mo_dtype_convert(wide, MO_DTYPE_FLOAT32, source, dtype, size));
  mo_rotary_turn(wide, wide, cosine, sine, pairs, params->rotary.pairing);
  return mo_dtype_convert(destination, dtype, wide, MO_DTYPE_FLOAT32, size);
}

typedef struct turn_job {
  const mo_rotary_params *params;
  const mo_tensor *output, *input;
  float *scratch; /* a row per thread; NULL for float32 */
  atomic_bool *failed;
} turn_job;

static void turn_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const turn_job *job = argument;
  const mo_tensor *output = job->output, *input = job->input;
  const int64_t heads = input->shape[1], length = input->shape[2], size = input->shape[3];
  const int64_t element = (int64_t)mo_dtype_bytes(input->dtype);
  float *wide = job->scratch == NULL ? NULL : job->scratch + slot * size;
  for (int64_t row = first; row < last; row++) {
    const int64_t h = row % heads, s = row / heads % length, b = row / heads / length;
    const int64_t from = b * input->strides[0] + h * input->strides[1] + s * input->strides[2];
    const int64_t to = b * output->strides[0] + h * output->strides[1] + s * output->strides[2];
    if (turn_row(job->params, position_of(job->params, b, s), (char *)output->data + to * element,
                 (const char *)input->data + from * element, input->dtype, size, wide) != MO_STATUS_OK) {
      atomic_store(job->failed, true);
    }
  }
}

static mo_status_t turn_side(mo_context_t *context, const mo_rotary_params *params, const mo_tensor *output,
                             const mo_tensor *input, float *scratch) {
  if (mo_tensor_count(input) == 0) return MO_STATUS_OK;
  const int64_t rows = input->shape[0] * input->shape[1] * input->shape[2];
  const int32_t threads = rows > PARALLEL_ELEMENTS / (input->shape[3] + 1) ? mo_context_thread_count(context) : 1;
  atomic_bool failed = false;
  mo_parallel_for(threads, rows, 0, turn_rows,
                  &(turn_job){.params = params, .output = output, .input = input, .scratch = scratch, .failed = &failed});
  MO_CHECK(!failed, MO_STATUS_INTERNAL, "rotary embedding: a row of %s could not be converted", mo_dtype_name(input->dtype));
  return MO_STATUS_OK;
}

mo_status_t mo_cpu_rotary_embedding(mo_context_t *context, const mo_rotary_params *params) {
  const int64_t size = params->query->shape[3];
  void *scratch = NULL;
  MO_TRY(check_positions(params));
  if (size == 0) return MO_STATUS_OK;
  if (params->query->dtype != MO_DTYPE_FLOAT32) {
    int64_t bytes;
    MO_CHECK(mo_checked_mul(size, (int64_t)sizeof(float) * mo_context_thread_count(context), &bytes), MO_STATUS_OUT_OF_MEMORY,
             "rotary embedding: heads of %" PRId64 " elements need more scratch memory than can be addressed", size);
    MO_TRY(mo_context_scratch(context, (size_t)bytes, &scratch));
  }
  MO_TRY(turn_side(context, params, params->query_output, params->query, scratch));
  if (params->key == NULL) return MO_STATUS_OK;
  return turn_side(context, params, params->key_output, params->key, scratch);
}
