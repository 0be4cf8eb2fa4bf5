/* host/cpu/loss.c - the losses on the CPU: rows or blocks in parallel, then their sum in a fixed order.
 *
 * Every position's loss goes to scratch as a double and one thread adds them up in order of position, so that the result does
 * not depend on the number of threads or on which of them did what.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/loss_kernels.h"
#include "host/cpu/strided.h"

/* Below this many logits starting the threads costs more than it gains. */
#define PARALLEL_ELEMENTS ((int64_t)32768)

static int32_t thread_count(const mo_context_t *context, int64_t tasks, int64_t elements) {
  const int64_t threads = elements < PARALLEL_ELEMENTS ? 1 : mo_context_thread_count(context);
  return (int32_t)(threads < tasks ? threads : tasks > 0 ? tasks : 1);
}

/* Negative log softmax at one logit, as log(sum) - (x - base). A row with +infinity gives NaN, as PyTorch's does. */
static double negative_log_softmax(const mo_exp_sum *row, float logit) {
  if (row->maximum == INFINITY) return NAN;
  return ((double)row->base - (double)logit) + log(row->sum);
}

static float log_sum_exp(const mo_exp_sum *row) { return (float)((double)row->base + log(row->sum)); }

/* ---- Cross entropy ---- */

/* The positions as (B, S): rank 2 logits are one sequence of N. */
typedef struct positions {
  const mo_cross_entropy_params *params;
  int64_t batch, length, vocabulary;
  int64_t logits_stride[2]; /* of batch and position */
  int64_t labels_stride[2];
} positions;

static positions describe(const mo_cross_entropy_params *params) {
  const mo_tensor *logits = params->logits, *labels = params->labels;
  positions p = {.params = params};
  const bool sequences = logits->rank == 3;
  p.batch = sequences ? logits->shape[0] : 1;
  p.length = logits->shape[logits->rank - 2];
  p.vocabulary = logits->shape[logits->rank - 1];
  p.logits_stride[0] = sequences ? logits->strides[0] : 0;
  p.logits_stride[1] = logits->strides[logits->rank - 2];
  p.labels_stride[0] = sequences ? labels->strides[0] : 0;
  p.labels_stride[1] = labels->strides[labels->rank - 1];
  if (mo_tensor_count(labels) == 0) p.batch = p.length = 0; /* nobody walks over any number of sequences without positions */
  return p;
}

/* The label that position (b, s) is compared with, or ignore_index where there is none. */
static int64_t label_of(const positions *p, int64_t b, int64_t s) {
  if (p->params->shift && ++s == p->length) return p->params->ignore_index;
  const mo_tensor *labels = p->params->labels;
  return mo_read_index(labels->data, labels->dtype, b * p->labels_stride[0] + s * p->labels_stride[1]);
}

/* Every label is looked at before anything is written. */
static mo_status_t check_labels(const positions *p, int64_t *valid) {
  const int64_t first = p->params->shift ? 1 : 0; /* with shift the first label of a sequence is not used */
  const mo_tensor *labels = p->params->labels;
  for (int64_t b = 0; b < p->batch; ++b) {
    for (int64_t s = first; s < p->length; ++s) {
      const int64_t label = mo_read_index(labels->data, labels->dtype, b * p->labels_stride[0] + s * p->labels_stride[1]);
      if (label == p->params->ignore_index) continue;
      MO_CHECK(label >= 0 && label < p->vocabulary, MO_STATUS_INVALID_ARGUMENT,
               "cross_entropy: label %lld at position %lld of sequence %lld is neither in 0..%lld nor the ignored %lld",
               (long long)label, (long long)s, (long long)b, (long long)p->vocabulary - 1, (long long)p->params->ignore_index);
      ++*valid;
    }
  }
  return MO_STATUS_OK;
}

static double position_loss(const positions *p, int64_t b, int64_t s) {
  const mo_tensor *logits = p->params->logits, *lse = p->params->log_sum_exp;
  const int64_t label = label_of(p, b, s);
  const bool ignored = label == p->params->ignore_index;
  if (ignored && lse == NULL) return 0.0;
  const void *row = mo_element_address(logits, b * p->logits_stride[0] + s * p->logits_stride[1]);
  mo_exp_sum sum;
  MO_CPU_SELECT(mo_exp_sum_row)(row, logits->dtype, p->vocabulary, &sum);
  if (lse != NULL) {
    const int64_t offset = mo_strided_offset(lse, lse->rank, b * p->length + s);
    ((float *)lse->data)[offset] = log_sum_exp(&sum);
  }
  return ignored ? 0.0 : negative_log_softmax(&sum, mo_read_float(row, logits->dtype, label));
}

/* Takes the positions' losses to where the reduction wants them. */
static void reduce_positions(const positions *p, const double *losses, int64_t valid) {
  const mo_cross_entropy_params *params = p->params;
  const mo_tensor *loss = params->loss;
  float *destination = loss->data;
  const bool whole = loss->rank == params->labels->rank && loss->shape[loss->rank - 1] == p->length;
  double total = 0.0;
  int64_t next = 0;
  for (int64_t b = 0; b < p->batch; ++b) {
    for (int64_t s = 0; s < p->length; ++s) {
      const double value = losses[b * p->length + s];
      switch (params->reduction) {
        case MO_LOSS_REDUCTION_MEAN:
        case MO_LOSS_REDUCTION_SUM:
          total += value;
          break;
        case MO_LOSS_REDUCTION_NONE:
          if (params->shift && s + 1 == p->length && !whole) break; /* (N): only positions that have a label */
          destination[mo_strided_offset(loss, loss->rank, next++)] = (float)value;
          break;
        case MO_LOSS_REDUCTION_COMPACT:
          if (label_of(p, b, s) != params->ignore_index) destination[loss->strides[0] * next++] = (float)value;
          break;
      }
    }
  }
  if (params->reduction == MO_LOSS_REDUCTION_MEAN) destination[0] = (float)(total / (double)valid); /* 0 / 0: NaN */
  if (params->reduction == MO_LOSS_REDUCTION_SUM) destination[0] = (float)total;
}

typedef struct position_losses {
  const positions *positions;
  double *losses;
} position_losses;

static void run_positions(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const position_losses *job = argument;
  (void)slot;
  for (int64_t i = first; i < last; ++i) {
    job->losses[i] = position_loss(job->positions, i / job->positions->length, i % job->positions->length);
  }
}

mo_status_t mo_cpu_cross_entropy(mo_context_t *context, const mo_cross_entropy_params *params) {
  const positions p = describe(params);
  int64_t valid = 0;
  MO_TRY(check_labels(&p, &valid));
  MO_CHECK(params->reduction != MO_LOSS_REDUCTION_COMPACT || params->loss->shape[0] >= valid, MO_STATUS_INVALID_ARGUMENT,
           "cross_entropy: loss has room for %lld of %lld labels that are not ignored", (long long)params->loss->shape[0],
           (long long)valid);
  const int64_t count = p.batch * p.length;
  void *scratch = NULL;
  MO_TRY(mo_context_scratch(context, mo_size_mul((size_t)count, sizeof(double)), &scratch));
  double *losses = scratch;
  const int32_t threads = thread_count(context, count, mo_tensor_count(params->logits));
  /* Small pieces: ignored positions cost nothing and often stand together. */
  mo_parallel_for(threads, count, 1 + 4096 / (1 + p.vocabulary), run_positions,
                  &(position_losses){.positions = &p, .losses = losses});
  reduce_positions(&p, losses, valid);
  return MO_STATUS_OK;
}

/* ---- Elementwise ---- */

static void scatter_losses(const mo_tensor *loss, int64_t first, int64_t count, const float *values) {
  for (int64_t i = 0; i < count; ++i) ((float *)loss->data)[mo_strided_offset(loss, loss->rank, first + i)] = values[i];
}

static double elementwise_block(mo_elementwise_kind_t kind, const mo_elementwise_loss_params *params, int64_t first,
                                int64_t count) {
  const mo_tensor *operands[2] = {params->logits, params->labels};
  float gathered[2][MO_ELEMENTWISE_BLOCK], losses[MO_ELEMENTWISE_BLOCK];
  const void *data[2];
  mo_dtype_t dtypes[2];
  for (int i = 0; i < 2; ++i) {
    if (mo_tensor_is_contiguous(operands[i])) {
      data[i] = mo_element_address(operands[i], first);
      dtypes[i] = operands[i]->dtype;
    } else {
      mo_gather_floats(operands[i], first, count, gathered[i]);
      data[i] = gathered[i];
      dtypes[i] = MO_DTYPE_FLOAT32;
    }
  }
  const bool keep = params->reduction == MO_LOSS_REDUCTION_NONE;
  const bool direct = keep && mo_tensor_is_contiguous(params->loss);
  float *destination = direct ? (float *)params->loss->data + first : keep ? losses : NULL;
  const double sum = MO_CPU_SELECT(mo_elementwise_loss_block)(kind, data[0], dtypes[0], data[1], dtypes[1], count, destination);
  if (keep && !direct) scatter_losses(params->loss, first, count, losses);
  return sum;
}

typedef struct elementwise_job {
  mo_elementwise_kind_t kind;
  const mo_elementwise_loss_params *params;
  int64_t count;
  double *sums; /* per block */
} elementwise_job;

static void run_blocks(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const elementwise_job *job = argument;
  (void)slot;
  for (int64_t block = first; block < last; ++block) {
    const int64_t begin = block * MO_ELEMENTWISE_BLOCK, rest = job->count - begin;
    job->sums[block] =
        elementwise_block(job->kind, job->params, begin, rest < MO_ELEMENTWISE_BLOCK ? rest : MO_ELEMENTWISE_BLOCK);
  }
}

static mo_status_t elementwise_loss(mo_context_t *context, mo_elementwise_kind_t kind,
                                    const mo_elementwise_loss_params *params) {
  const int64_t count = mo_tensor_count(params->logits);
  const int64_t blocks = count / MO_ELEMENTWISE_BLOCK + (count % MO_ELEMENTWISE_BLOCK != 0);
  void *scratch = NULL;
  MO_TRY(mo_context_scratch(context, (size_t)blocks * sizeof(double), &scratch));
  double *sums = scratch;
  mo_parallel_for(thread_count(context, blocks, count), blocks, 0, run_blocks,
                  &(elementwise_job){.kind = kind, .params = params, .count = count, .sums = sums});
  if (params->reduction == MO_LOSS_REDUCTION_NONE) return MO_STATUS_OK;
  double total = 0.0;
  for (int64_t block = 0; block < blocks; ++block) total += sums[block];
  *(float *)params->loss->data = (float)(params->reduction == MO_LOSS_REDUCTION_MEAN ? total / (double)count : total);
  return MO_STATUS_OK;
}

mo_status_t mo_cpu_bce_with_logits_loss(mo_context_t *context, const mo_elementwise_loss_params *params) {
  return elementwise_loss(context, MO_ELEMENTWISE_BCE, params);
}

mo_status_t mo_cpu_mse_loss(mo_context_t *context, const mo_elementwise_loss_params *params) {
  return elementwise_loss(context, MO_ELEMENTWISE_MSE, params);
}

/* ---- Span ---- */

/* The clamped position of example b; S stands for "ignored". */
static int64_t span_position(const mo_tensor *tensor, int64_t b, int64_t length) {
  const int64_t position = mo_read_index(tensor->data, tensor->dtype, b * tensor->strides[0]);
  return position < 0 ? 0 : position > length ? length : position;
}

static double span_row_loss(const mo_tensor *logits, int64_t b, int64_t target, float *row_scratch) {
  const int64_t length = logits->shape[1];
  if (target == length) return 0.0;
  const void *row = mo_element_address(logits, b * logits->strides[0]);
  mo_dtype_t dtype = logits->dtype;
  if (logits->strides[1] != 1) {
    for (int64_t s = 0; s < length; ++s) row_scratch[s] = mo_read_float(row, logits->dtype, s * logits->strides[1]);
    row = row_scratch;
    dtype = MO_DTYPE_FLOAT32;
  }
  mo_exp_sum sum;
  MO_CPU_SELECT(mo_exp_sum_row)(row, dtype, length, &sum);
  return negative_log_softmax(&sum, mo_read_float(row, dtype, target));
}

typedef struct span_job {
  const mo_tensor *logits[2], *targets[2];
  double *losses; /* (B, 2) */
  char *rows;     /* a row per thread */
  size_t row_bytes;
} span_job;

static void run_spans(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const span_job *job = argument;
  float *row = (float *)(job->rows + (size_t)slot * job->row_bytes);
  for (int64_t i = first; i < last; ++i) {
    const mo_tensor *logits = job->logits[i % 2], *targets = job->targets[i % 2];
    job->losses[i] = span_row_loss(logits, i / 2, span_position(targets, i / 2, logits->shape[1]), row);
  }
}

mo_status_t mo_cpu_span_loss(mo_context_t *context, const mo_span_loss_params *params) {
  const mo_tensor *logits[2] = {params->start_logits, params->end_logits};
  const mo_tensor *targets[2] = {params->start_positions, params->end_positions};
  const int64_t batch = logits[0]->shape[0], length = logits[0]->shape[1];
  int64_t rows, elements; /* stride 0 makes any extent a legal tensor */
  MO_CHECK(mo_checked_mul(batch, 2 * (int64_t)sizeof(double), &rows) && mo_checked_mul(2 * batch, length, &elements),
           MO_STATUS_OUT_OF_MEMORY, "span_loss: no memory for the losses of %lld examples", (long long)batch);
  const int32_t threads = thread_count(context, 2 * batch, elements);
  const size_t row_bytes = mo_align_up((size_t)length * sizeof(float), 64); /* threads do not share cache lines */
  const size_t loss_bytes = mo_align_up(2 * (size_t)batch * sizeof(double), 64);
  void *scratch = NULL;
  MO_TRY(mo_context_scratch(context, loss_bytes + (size_t)threads * row_bytes, &scratch));
  double *losses = scratch;
  const span_job job = {.logits = {logits[0], logits[1]},
                        .targets = {targets[0], targets[1]},
                        .losses = losses,
                        .rows = (char *)scratch + loss_bytes,
                        .row_bytes = row_bytes};
  mo_parallel_for(threads, 2 * batch, 0, run_spans, &job);
  float *loss = params->loss->data;
  double total[2] = {0.0, 0.0};
  int64_t valid[2] = {0, 0};
  for (int64_t b = 0; b < batch; ++b) {
    if (params->reduction == MO_LOSS_REDUCTION_NONE)
      loss[b * params->loss->strides[0]] = (float)((losses[2 * b] + losses[2 * b + 1]) / 2.0);
    for (int side = 0; side < 2; ++side) {
      total[side] += losses[2 * b + side];
      valid[side] += span_position(targets[side], b, length) != length;
    }
  }
  if (params->reduction == MO_LOSS_REDUCTION_MEAN)
    *loss = (float)((total[0] / (double)valid[0] + total[1] / (double)valid[1]) / 2.0); /* 0 / 0: NaN, as PyTorch's mean */
  return MO_STATUS_OK;
}
