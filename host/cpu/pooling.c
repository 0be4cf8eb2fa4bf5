/* host/cpu/pooling.c - pooling on the CPU: float32 vectors in scratch, then normalised and stored in the output's dtype.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/pooling_kernels.h"
#include "host/cpu/strided.h"

/* Below this many elements read starting the threads costs more than it gains. */
#define PARALLEL_ELEMENTS ((int64_t)32768)
/* Columns of one task: a sequence is divided where the batch alone does not feed the threads. Multiple of every strip. */
#define TASK_COLUMNS ((int64_t)256)
/* torch.nn.functional.normalize */
#define NORM_EPSILON 1e-12

/* Everything a call works with; the pointers lie in scratch. */
typedef struct work {
  const mo_pooling_params *params;
  int64_t batch, length, channels;
  int64_t width;      /* of an output row */
  float *rows;        /* (batch, width) */
  float *first;       /* (batch, channels): FIRST with weight */
  float *weight_row;  /* one per thread, only for weights without unit stride */
  float *bias;        /* (width), NULL without */
  int64_t *positions; /* (batch, length): the valid ones first */
  int64_t *counts;    /* (batch): how many */
  int32_t threads;
} work;

/* The same code measures and carves. */
static void carve(work *w, mo_arena *arena) {
  const mo_pooling_params *params = w->params;
  const size_t batch = (size_t)w->batch;
  w->rows = mo_arena_carve(arena, batch * (size_t)w->width * sizeof(float));
  w->first = mo_arena_carve(arena, params->weight != NULL ? batch * (size_t)w->channels * sizeof(float) : 0);
  const bool gathered = params->weight != NULL && params->weight->strides[1] != 1;
  w->weight_row = mo_arena_carve(arena, gathered ? mo_size_mul((size_t)w->threads, (size_t)w->channels * sizeof(float)) : 0);
  w->bias = mo_arena_carve(arena, params->bias != NULL ? (size_t)w->width * sizeof(float) : 0);
  if (params->bias == NULL) w->bias = NULL;
  const bool masked = params->mask != NULL && params->mode != MO_POOLING_FIRST;
  w->positions = mo_arena_carve(arena, masked ? batch * (size_t)w->length * sizeof(int64_t) : 0);
  w->counts = mo_arena_carve(arena, masked ? batch * sizeof(int64_t) : 0);
  if (!masked) w->positions = w->counts = NULL;
}

static bool mask_at(const mo_tensor *mask, int64_t offset) {
  switch (mask->dtype) {
    case MO_DTYPE_INT64:
      return ((const int64_t *)mask->data)[offset] != 0;
    case MO_DTYPE_INT32:
      return ((const int32_t *)mask->data)[offset] != 0;
    default:
      return ((const uint8_t *)mask->data)[offset] != 0;
  }
}

static void list_positions(const work *w, int64_t b) {
  const mo_tensor *mask = w->params->mask;
  int64_t count = 0;
  for (int64_t s = 0; s < w->length; ++s) {
    if (mask_at(mask, b * mask->strides[0] + s * mask->strides[1])) w->positions[b * w->length + count++] = s;
  }
  w->counts[b] = count;
}

static const void *row_of(const work *w, int64_t b, int64_t s) {
  const mo_tensor *input = w->params->input;
  return mo_element_address(input, b * input->strides[0] + s * input->strides[1]);
}

static void copy_columns(const work *w, const void *row, int64_t begin, int64_t end, float *destination) {
  for (int64_t c = begin; c < end; ++c) destination[c] = mo_read_float(row, w->params->input->dtype, c);
}

/* Columns begin..end - 1 of sequence b. */
static void pool_task(const work *w, int64_t b, int64_t begin, int64_t end) {
  const mo_tensor *input = w->params->input;
  float *row = w->rows + b * w->width;
  const int64_t count = w->counts != NULL ? w->counts[b] : w->length;
  const int64_t *positions = w->positions != NULL ? w->positions + b * w->length : NULL;
  const mo_pooling_mode_t mode = w->params->mode;
  if (mode == MO_POOLING_FIRST) {
    copy_columns(w, row_of(w, b, 0), begin, end, w->first != NULL ? w->first + b * w->channels : row);
    return;
  }
  if (count == 0) {
    for (int64_t c = begin; c < end; ++c) row[c] = 0.0f;
    for (int64_t c = begin; c < end && mode == MO_POOLING_MEAN_STD; ++c) row[w->channels + c] = 0.0f;
    return;
  }
  if (mode == MO_POOLING_LAST) {
    copy_columns(w, row_of(w, b, positions != NULL ? positions[count - 1] : count - 1), begin, end, row);
    return;
  }
  const mo_pool_rows rows = {
      .data = row_of(w, b, 0), .dtype = input->dtype, .stride = input->strides[1], .positions = positions, .count = count};
  const mo_pool_reduction_t reduction = mode == MO_POOLING_MAX    ? MO_POOL_REDUCTION_MAX
                                        : mode == MO_POOLING_MEAN ? MO_POOL_REDUCTION_MEAN
                                                                  : MO_POOL_REDUCTION_MEAN_STD;
  MO_CPU_SELECT(mo_pool_columns)(reduction, &rows, begin, end, row, row + w->channels);
}

/* first * weight^T: one weight row at a time meets the first vectors of all sequences. */
static void dense_task(const work *w, int64_t n, float *weight_row) {
  const mo_tensor *weight = w->params->weight;
  const void *row = mo_element_address(weight, n * weight->strides[0]);
  mo_dtype_t dtype = weight->dtype;
  if (weight->strides[1] != 1) {
    for (int64_t c = 0; c < w->channels; ++c) weight_row[c] = mo_read_float(row, weight->dtype, c * weight->strides[1]);
    row = weight_row;
    dtype = MO_DTYPE_FLOAT32;
  }
  MO_CPU_SELECT(mo_pool_dots)
  (w->first, w->channels, w->batch, row, dtype, w->channels, w->rows + n, w->width);
}

static void finish_row(const work *w, int64_t b) {
  const mo_tensor *output = w->params->output;
  float *row = w->rows + b * w->width;
  if (w->params->weight != NULL) MO_CPU_SELECT(mo_pool_bias_tanh)(row, w->bias, w->width);
  double divisor = 1.0;
  if (w->params->l2_normalize) {
    double squares = 0.0;
    for (int64_t c = 0; c < w->width; ++c) squares += (double)row[c] * (double)row[c];
    const double norm = sqrt(squares);
    divisor = norm < NORM_EPSILON ? NORM_EPSILON : norm; /* NaN stays */
  }
  for (int64_t c = 0; c < w->width; ++c) {
    const float value = w->params->l2_normalize ? (float)((double)row[c] / divisor) : row[c];
    mo_write_float(output->data, output->dtype, b * output->strides[0] + c * output->strides[1], value);
  }
}

/* Strips of TASK_COLUMNS columns of a sequence. */
static int64_t strip_count(const work *w) { return (w->channels + TASK_COLUMNS - 1) / TASK_COLUMNS; }

static void pool_strips(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const work *w = argument;
  (void)slot;
  for (int64_t strip = first; strip < last; ++strip) {
    const int64_t begin = strip % strip_count(w) * TASK_COLUMNS;
    pool_task(w, strip / strip_count(w), begin, begin + TASK_COLUMNS < w->channels ? begin + TASK_COLUMNS : w->channels);
  }
}

static void dense_columns(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const work *w = argument;
  float *weight_row = w->weight_row + (w->params->weight->strides[1] != 1 ? slot * w->channels : 0);
  for (int64_t n = first; n < last; ++n) dense_task(w, n, weight_row);
}

static void finish_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  (void)slot;
  for (int64_t b = first; b < last; ++b) finish_row(argument, b);
}

mo_status_t mo_cpu_pooling(mo_context_t *context, const mo_pooling_params *params) {
  work w = {.params = params,
            .batch = params->input->shape[0],
            .length = params->input->shape[1],
            .channels = params->input->shape[2],
            .width = params->output->shape[1]};
  if (mo_tensor_count(params->output) == 0) return MO_STATUS_OK;
  int64_t list_bytes; /* a mask of stride 0 may have any extents */
  MO_CHECK(mo_checked_mul(w.batch, w.length, &list_bytes) && mo_checked_mul(list_bytes, sizeof(int64_t), &list_bytes),
           MO_STATUS_OUT_OF_MEMORY, "pooling: no memory for %lld masks of length %lld", (long long)w.batch,
           (long long)w.length);
  const bool dense = params->weight != NULL;
  const int64_t read = mo_tensor_count(params->input) + (dense ? mo_tensor_count(params->weight) : 0);
  w.threads = read < PARALLEL_ELEMENTS ? 1 : mo_context_thread_count(context);
  mo_arena arena = {0};
  carve(&w, &arena);
  const size_t bytes = arena.used;
  void *scratch = NULL;
  MO_TRY(mo_context_scratch(context, bytes, &scratch));
  arena = (mo_arena){.base = scratch, .capacity = bytes};
  carve(&w, &arena);
  if (!dense) w.first = NULL;

  if (w.counts != NULL) {
    for (int64_t b = 0; b < w.batch; ++b) list_positions(&w, b);
  }
  mo_parallel_for(w.threads, w.batch * strip_count(&w), 1, pool_strips, &w);
  if (w.bias != NULL) mo_gather_floats(params->bias, 0, w.width, w.bias);
  if (dense) mo_parallel_for(w.threads, w.width, 0, dense_columns, &w);
  mo_parallel_for(w.threads, w.batch, 0, finish_rows, &w);
  return MO_STATUS_OK;
}
