/* host/cpu/embedding.c - embeddings on the CPU: every index is looked at before anything is written, then rows go to the
 * threads.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/norm_kernels.h"
#include "host/rules/broadcast.h"

/* Elements below which a second thread costs more than it gives. */
#define PARALLEL_ELEMENTS 32768

static mo_embedding_ids ids_of(const mo_tensor *tensor) {
  return (mo_embedding_ids){
      .data = tensor->data,
      .is_int64 = tensor->dtype == MO_DTYPE_INT64,
      .batch_stride = mo_broadcast_stride(tensor, 0),
      .stride = mo_broadcast_stride(tensor, 1),
  };
}

/* True if an id of the row lies outside 0..limit-1. One comparison per id (negative ones wrap above every limit) and no way out
 * of the loop, so that it vectorises. */
static bool row_has_outsider(const mo_embedding_ids *ids, int64_t batch, int64_t length, int64_t limit) {
  bool outside = false;
  const int64_t first = batch * ids->batch_stride, stride = ids->stride;
  if (ids->is_int64) {
    const int64_t *data = (const int64_t *)ids->data + first;
    for (int64_t s = 0; s < length; ++s) outside |= (uint64_t)data[s * stride] >= (uint64_t)limit;
  } else {
    const int32_t *data = (const int32_t *)ids->data + first;
    for (int64_t s = 0; s < length; ++s) outside |= (uint64_t)(int64_t)data[s * stride] >= (uint64_t)limit;
  }
  return outside;
}

static mo_status_t check_ids(const mo_embedding_job *job, const mo_embedding_ids *ids, const char *what, int64_t limit) {
  if (ids->data == NULL) {
    const int64_t last_step = job->length - 1; /* front door: start >= 0, no overflow */
    const int64_t last = ids->start + ids->step * last_step;
    const int64_t shown = ids->start >= limit ? ids->start : last;
    MO_CHECK(last < limit, MO_STATUS_INVALID_ARGUMENT, "embedding: %s %lld is outside its table of %lld rows", what,
             (long long)shown, (long long)limit);
    return MO_STATUS_OK;
  }
  const int64_t batches = ids->batch_stride == 0 ? 1 : job->batch;
  for (int64_t b = 0; b < batches; ++b) {
    if (!row_has_outsider(ids, b, job->length, limit)) continue;
    int64_t s = 0;
    while ((uint64_t)mo_embedding_id(ids, b, s) < (uint64_t)limit) ++s;
    return mo_fail(MO_STATUS_INVALID_ARGUMENT, "embedding: %s %lld at (%lld, %lld) is outside its table of %lld rows", what,
                   (long long)mo_embedding_id(ids, b, s), (long long)b, (long long)s, (long long)limit);
  }
  return MO_STATUS_OK;
}

/* RoBERTa's positions: padding_id + the running count of ids that are no padding, padding itself at padding_id. */
static void count_positions(const mo_embedding_job *job, const mo_embedding_ids *ids, int64_t padding_id, int64_t *positions) {
  for (int64_t b = 0; b < job->batch; ++b) {
    int64_t count = 0;
    for (int64_t s = 0; s < job->length; ++s) {
      const bool counts = mo_embedding_id(ids, b, s) != padding_id;
      count += counts;
      positions[b * job->length + s] = counts ? padding_id + count : padding_id;
    }
  }
}

static void set_table(mo_embedding_table *table, const mo_tensor *tensor) {
  table->data = tensor->data;
  table->stride = tensor->strides[0];
}

typedef struct rows_job {
  const mo_embedding_job *embedding;
  char *scratch; /* a row per thread */
  size_t row_bytes;
} rows_job;

static void embed_rows(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const rows_job *job = argument;
  MO_CPU_SELECT(mo_embedding_rows)(job->embedding, first, last, (float *)(job->scratch + job->row_bytes * (size_t)slot));
}

mo_status_t mo_cpu_embedding(mo_context_t *context, const mo_embedding_params *p) {
  const mo_tensor *output = p->output;
  const int64_t count = output->shape[2];
  mo_embedding_job job = {
      .affine = {.count = count, .epsilon = p->epsilon},
      .normalises = p->norm_weight != NULL,
      .dtype = output->dtype,
      .first_scale = p->embeds != NULL || p->word_scale == 0.0f ? 1.0f : p->word_scale,
      .batch = output->shape[0],
      .length = output->shape[1],
      .output = output->data,
      .output_batch_stride = output->strides[0],
      .output_stride = output->strides[1],
  };
  if (p->norm_weight != NULL) {
    job.affine.weight = p->norm_weight->data;
    job.affine.weight_dtype = p->norm_weight->dtype;
  }
  if (p->norm_bias != NULL) job.affine.bias = p->norm_bias->data;
  if (p->embeds != NULL) {
    job.embeds = p->embeds->data;
    job.embeds_batch_stride = p->embeds->strides[0];
    job.embeds_stride = p->embeds->strides[1];
  }

  const int64_t rows = job.batch * job.length;
  const bool counts = p->position != NULL && p->position_ids == NULL && p->position_skips_padding;
  int32_t threads = rows > 1 && rows > PARALLEL_ELEMENTS / count ? mo_context_thread_count(context) : 1;
  if (threads > rows) threads = (int32_t)rows;
  const size_t row_bytes = mo_align_up((size_t)count * sizeof(float), 64);
  mo_arena arena = {.base = NULL};
  mo_arena_carve(&arena, mo_size_mul(row_bytes, (size_t)threads));
  mo_arena_carve(&arena, counts ? (size_t)rows * sizeof(int64_t) : 0);
  void *memory;
  MO_TRY(mo_context_scratch(context, arena.used, &memory));
  arena = (mo_arena){.base = memory, .capacity = arena.used};
  char *scratch = mo_arena_carve(&arena, mo_size_mul(row_bytes, (size_t)threads));
  int64_t *positions = mo_arena_carve(&arena, counts ? (size_t)rows * sizeof(int64_t) : 0);

  mo_embedding_table *word = &job.tables[0], *position = &job.tables[1], *type = &job.tables[2];
  if (p->ids != NULL) {
    set_table(word, p->word);
    word->ids = ids_of(p->ids);
    MO_TRY(check_ids(&job, &word->ids, "id", p->word->shape[0]));
  }
  if (p->position != NULL) {
    set_table(position, p->position);
    if (counts) {
      count_positions(&job, &word->ids, p->padding_id, positions);
      position->ids = (mo_embedding_ids){.data = positions, .is_int64 = true, .batch_stride = job.length, .stride = 1};
    } else {
      position->ids =
          p->position_ids != NULL ? ids_of(p->position_ids) : (mo_embedding_ids){.start = p->position_offset, .step = 1};
    }
    MO_TRY(check_ids(&job, &position->ids, "position", p->position->shape[0]));
  }
  if (p->type != NULL) {
    set_table(type, p->type);
    if (p->token_type_ids != NULL) type->ids = ids_of(p->token_type_ids);
    MO_TRY(check_ids(&job, &type->ids, "token type", p->type->shape[0]));
  }

  mo_parallel_for(threads, rows, 0, embed_rows, &(rows_job){.embedding = &job, .scratch = scratch, .row_bytes = row_bytes});
  return MO_STATUS_OK;
}
