/* host/cpu/attention.c - attention on the CPU: plans one call, shares its row blocks out to the threads.
 *
 * A task is what one thread must own for the result not to depend on the order of threads:
 *   no weights, or weights as they are   one row block of one head
 *   head mean                            one row block, all heads in order
 *   column sum                           one head, all row blocks in order
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "host/core/arena.h"
#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/attention_kernels.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/kv_place.h"
#include "host/cpu/strided.h"
#include "host/rules/attention_shape.h"

/* Multiply-adds that make a thread worth waking (about 5 microseconds of one core). */
#define MO_ATTENTION_WORK_PER_THREAD (400.0 * 1024.0)

/* Positions are sums of an offset, a row and a window: kept far from the ends of int64. */
#define MO_ATTENTION_POSITION_LIMIT (INT64_C(1) << 60)

typedef struct mo_attention_tasks {
  int64_t row_blocks;
  int64_t count;
  int32_t thread_count;
} mo_attention_tasks;

static int64_t clamp(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

static int64_t round_up(int64_t count) { return (count + MO_ATTENTION_LANES - 1) / MO_ATTENTION_LANES * MO_ATTENTION_LANES; }

static void plan_blocks(mo_attention_plan *plan, bool has_weights) {
  const int64_t keys = round_up(plan->key_count);
  plan->block_keys = has_weights || keys < MO_ATTENTION_KEYS ? keys : MO_ATTENTION_KEYS;
  if (plan->block_keys == 0) plan->block_keys = MO_ATTENTION_LANES;
  plan->score_stride = plan->block_keys + MO_ATTENTION_LANES;
  plan->value_stride = round_up(plan->value_dim);
  const int64_t fitting = MO_ATTENTION_SCORE_BYTES / (plan->score_stride * (int64_t)sizeof(float)) / 8 * 8;
  plan->block_rows = clamp(fitting, 8, MO_ATTENTION_ROWS);
  if (plan->block_rows > plan->query_count) plan->block_rows = plan->query_count > 0 ? plan->query_count : 1;

  /* A value row is read where it lies if it is whole vectors of float32 and the block is not so long that rows far apart evict
   * each other (48 rows of a fused projection 3 KiB wide fill the sets of a first-level cache that they fall into). */
  const bool whole_vectors = plan->value_dim % MO_ATTENTION_LANES == 0;
  const bool float_values = plan->value.dtype == MO_DTYPE_FLOAT32;
  const bool near = plan->value.row == plan->value_stride || plan->key_count <= 32 || plan->query_count < 8;
  plan->pack_values = !(whole_vectors && float_values && near) || plan->cache != NULL;
  plan->direct_output = whole_vectors && plan->output.dtype == MO_DTYPE_FLOAT32;
}

static void plan_call(const mo_attention_params *params, mo_attention_plan *plan) {
  const mo_attention_shape shape = mo_attention_shape_of(params);
  const mo_kv_view *cache = params->cache;
  *plan = (mo_attention_plan){
      .batch_count = shape.sequences,
      .head_count = shape.heads,
      .kv_head_count = shape.key_value_heads,
      .query_count = shape.rows,
      .key_count = shape.keys,
      .head_dim = shape.head_dim,
      .value_dim = shape.value_dim,
      .cache = cache != NULL && (cache->block_table != NULL || cache->key_scale != NULL) ? cache : NULL,
      .query = mo_score_view_of(params->query),
      .key = mo_score_view_of(shape.key),
      .value = mo_score_view_of(shape.value),
      .output = mo_score_view_of(params->output),
      .weights = mo_score_view_of(params->weights),
      .mask = mo_score_view_of(params->mask),
      .bias = mo_score_view_of(params->bias),
      .causal = params->causal,
      .sliding_window = clamp(params->sliding_window, 0, MO_ATTENTION_POSITION_LIMIT),
      .scale = params->scale != 0.0f ? params->scale : 1.0f / sqrtf((float)shape.head_dim),
      .soft_cap = params->soft_cap,
      .reduction = params->weights_reduction,
  };
  plan->heads_per_kv = plan->kv_head_count > 0 ? plan->head_count / plan->kv_head_count : 1;
  if (params->log_sum_exp != NULL) {
    plan->log_sum_exp = params->log_sum_exp->data;
    plan->lse_batch = mo_broadcast_stride(params->log_sum_exp, 0);
    plan->lse_head = params->log_sum_exp->strides[1];
    plan->lse_row = params->log_sum_exp->strides[2];
  }
  if (params->weights != NULL) {
    plan->weight_slot_count = params->weight_heads.count > 0 ? params->weight_heads.count : (int32_t)plan->head_count;
    plan->weight_rows = params->weight_last_rows;
  }
  plan_blocks(plan, params->weights != NULL);
}

/* Bytes of rows * columns floats; SIZE_MAX, which no allocator can give, instead of an overflow. */
static size_t float_bytes(int64_t rows, int64_t columns) {
  int64_t count = 0, bytes = 0;
  if (!mo_checked_mul(rows, columns, &count) || !mo_checked_mul(count, (int64_t)sizeof(float), &bytes)) return SIZE_MAX;
  return (size_t)bytes;
}

static void carve_thread(mo_arena *arena, const mo_attention_plan *plan, mo_attention_thread *thread) {
  const int64_t keys = round_up(plan->key_count), rows = plan->block_rows;
  const bool float_query = plan->query.dtype == MO_DTYPE_FLOAT32;
  *thread = (mo_attention_thread){.packed_group = -1, .uniform_group = -1};
  thread->key_panels = mo_arena_carve(arena, float_bytes(keys, plan->head_dim));
  thread->values = mo_arena_carve(arena, plan->pack_values ? float_bytes(keys, plan->value_stride) : 0);
  thread->query = mo_arena_carve(arena, float_query ? 0 : float_bytes(rows, plan->head_dim));
  thread->scores = mo_arena_carve(arena, float_bytes(rows, plan->score_stride));
  thread->accumulator = mo_arena_carve(arena, float_bytes(rows, plan->value_stride));
  thread->additive = mo_arena_carve(arena, float_bytes(1, plan->block_keys));
  const int64_t width = plan->head_dim > plan->value_dim ? plan->head_dim : plan->value_dim;
  thread->cached = mo_arena_carve(arena, plan->cache != NULL ? float_bytes(MO_ATTENTION_LANES, width) : 0);
  thread->uniform = mo_arena_carve(arena, float_bytes(1, plan->value_stride));
  thread->row_state = mo_arena_carve(arena, float_bytes(4, rows));
  thread->row_range = mo_arena_carve(arena, 2 * (size_t)rows * sizeof(int64_t));
  size_t reduced = 0;
  if (plan->reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN) reduced = float_bytes(rows, plan->score_stride);
  if (plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM) reduced = float_bytes(2, keys);
  thread->reduced = mo_arena_carve(arena, plan->weights.data != NULL ? reduced : 0);
}

/* Sequence `n` of packed tokens: checks what only the data can tell. */
static mo_status_t read_packed(const char *name, const mo_tensor *cumulative, int64_t n, int64_t tokens, int64_t bound,
                               int64_t *first, int64_t *count) {
  const int32_t *ends = cumulative->data;
  MO_CHECK(ends[n] >= 0 && ends[n + 1] >= ends[n] && ends[n + 1] <= tokens, MO_STATUS_INVALID_ARGUMENT,
           "attention: %s goes from %d to %d (sequence %lld), it must not fall nor leave 0..%lld", name, (int)ends[n],
           (int)ends[n + 1], (long long)n, (long long)tokens);
  MO_CHECK(ends[n + 1] - ends[n] <= bound, MO_STATUS_INVALID_ARGUMENT,
           "attention: %s gives sequence %lld a length of %d, above the bound of %lld", name, (long long)n,
           (int)(ends[n + 1] - ends[n]), (long long)bound);
  *first = ends[n];
  *count = ends[n + 1] - ends[n];
  return MO_STATUS_OK;
}

static mo_status_t read_sequence(const mo_attention_params *params, const mo_attention_shape *shape, int64_t n,
                                 mo_attention_sequence *sequence) {
  *sequence = (mo_attention_sequence){.query_count = shape->rows, .key_count = shape->keys};
  if (params->cumulative_query_lengths != NULL) {
    MO_TRY(read_packed("cumulative_query_lengths", params->cumulative_query_lengths, n, params->query->shape[2], shape->rows,
                       &sequence->query_first, &sequence->query_count));
  }
  if (params->cumulative_key_lengths != NULL) {
    MO_TRY(read_packed("cumulative_key_lengths", params->cumulative_key_lengths, n, params->key->shape[2], shape->keys,
                       &sequence->key_first, &sequence->key_count));
  }
  sequence->key_limit = sequence->key_count;
  if (params->key_lengths != NULL) {
    const mo_tensor *lengths = params->key_lengths;
    const int64_t length = mo_read_index(lengths->data, lengths->dtype, n * lengths->strides[0]);
    MO_CHECK(length >= 0 && length <= sequence->key_count, MO_STATUS_INVALID_ARGUMENT,
             "attention: key_lengths[%lld] is %lld, outside 0..%lld", (long long)n, (long long)length,
             (long long)sequence->key_count);
    sequence->key_limit = length;
    if (params->cache != NULL) sequence->key_count = length;
  }
  if (params->cache != NULL) MO_TRY(mo_kv_check_pages("attention", params->cache, n, 0, sequence->key_count));
  if (params->causal_offsets != NULL) {
    sequence->position = ((const int32_t *)params->causal_offsets->data)[n];
  } else if (params->causal_offset == MO_CAUSAL_OFFSET_DEFAULT) {
    sequence->position = sequence->key_count - sequence->query_count;
  } else {
    sequence->position = clamp(params->causal_offset, -MO_ATTENTION_POSITION_LIMIT, MO_ATTENTION_POSITION_LIMIT);
  }
  return MO_STATUS_OK;
}

static void fill_slots(const mo_attention_params *params, const mo_attention_plan *plan, int32_t *slots) {
  const mo_index_list heads = params->weight_heads;
  for (int64_t h = 0; h < plan->head_count; ++h) slots[h] = heads.count > 0 ? -1 : (int32_t)h;
  for (int32_t i = 0; i < heads.count; ++i) {
    const int32_t head = heads.indices[i];
    slots[head < 0 ? head + plan->head_count : head] = i;
  }
}

static mo_attention_tasks plan_tasks(const mo_context_t *context, const mo_attention_plan *plan) {
  mo_attention_tasks tasks = {.row_blocks = (plan->query_count + plan->block_rows - 1) / plan->block_rows};
  const bool reduces = plan->weights.data != NULL && plan->reduction != MO_WEIGHTS_REDUCTION_NONE;
  tasks.count = plan->batch_count;
  if (!(reduces && plan->reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN)) tasks.count *= plan->head_count;
  if (!(reduces && plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM)) tasks.count *= tasks.row_blocks;
  const double work = (double)plan->batch_count * (double)plan->head_count * (double)plan->query_count *
                      (double)plan->key_count * (double)(plan->head_dim + plan->value_dim);
  int64_t threads = mo_context_thread_count(context);
  if (threads > tasks.count) threads = tasks.count;
  if ((double)threads > 1.0 + work / MO_ATTENTION_WORK_PER_THREAD) threads = 1 + (int64_t)(work / MO_ATTENTION_WORK_PER_THREAD);
  tasks.thread_count = (int32_t)(threads < 1 ? 1 : threads);
  return tasks;
}

static bool selects(const mo_attention_plan *plan, int64_t batch, int64_t head, int64_t first, int64_t count) {
  return plan->weight_slots != NULL && plan->weight_slots[head] >= 0 &&
         first + count > mo_attention_first_weight_row(plan, batch);
}

static void run_task(const mo_attention_plan *plan, const mo_attention_tasks *tasks, mo_attention_thread *thread,
                     int64_t task) {
  const bool head_mean = plan->weight_slots != NULL && plan->reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  const bool column_sum = plan->weight_slots != NULL && plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  const int64_t blocks = column_sum ? 1 : tasks->row_blocks, heads = head_mean ? 1 : plan->head_count;
  const int64_t batch = task / (heads * blocks), task_head = task / blocks % heads, task_block = task % blocks;
  const int64_t head_end = head_mean ? plan->head_count : task_head + 1;
  const int64_t block_end = column_sum ? tasks->row_blocks : task_block + 1;
  const int64_t task_row = task_block * plan->block_rows;
  int64_t count = 0;
  bool selected = false;
  if (head_mean) memset(thread->reduced, 0, (size_t)(plan->block_rows * plan->score_stride) * sizeof(float));
  if (column_sum) memset(thread->reduced, 0, (size_t)round_up(plan->key_count) * sizeof(float));
  for (int64_t head = task_head; head < head_end; ++head) {
    for (int64_t block = task_block; block < block_end; ++block) {
      const int64_t first = block * plan->block_rows;
      count = clamp(plan->sequences[batch].query_count - first, 0, plan->block_rows);
      if (count == 0) break;
      const bool weights = selects(plan, batch, head, first, count);
      selected = selected || weights;
      MO_CPU_SELECT(mo_attention_block)(plan, thread, batch, head, first, count, weights);
    }
  }
  if (head_mean && selected) MO_CPU_SELECT(mo_attention_store_reduced)(plan, thread, batch, 0, task_row, count);
  if (column_sum && selected) {
    MO_CPU_SELECT(mo_attention_store_reduced)(plan, thread, batch, plan->weight_slots[task_head], 0, 1);
  }
}

typedef struct tasks_job {
  const mo_attention_plan *plan;
  const mo_attention_tasks *tasks;
  mo_attention_thread *threads;
} tasks_job;

static void run_some(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const tasks_job *job = argument;
  for (int64_t task = first; task < last; ++task) run_task(job->plan, job->tasks, &job->threads[slot], task);
}

static void run_tasks(const mo_attention_plan *plan, const mo_attention_tasks *tasks, mo_attention_thread *threads) {
  /* Handed out in runs, a whole head if there are heads enough, so that packed keys serve many blocks. */
  const int64_t heads = tasks->row_blocks > 0 ? tasks->count / tasks->row_blocks : 0;
  const int64_t chunk = heads >= 4 * tasks->thread_count ? tasks->row_blocks : 1;
  mo_parallel_for(tasks->thread_count, tasks->count, chunk, run_some,
                  &(tasks_job){.plan = plan, .tasks = tasks, .threads = threads});
}

/* Rows of the weights that no row of their sequence belongs to become zeros: the tasks write the others. */
static void clear_missing_rows(const mo_attention_plan *plan, const mo_tensor *weights, int64_t first, int64_t last) {
  const int64_t slots = weights->shape[1], rows = weights->shape[2];
  const size_t element = mo_dtype_bytes(weights->dtype), row_bytes = (size_t)weights->shape[3] * element;
  for (int64_t batch = first; batch < last; ++batch) {
    const int64_t count = plan->sequences[batch].query_count;
    const bool column_sum = plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM;
    for (int64_t slot = 0; slot < slots; ++slot) {
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t query_row = mo_attention_first_weight_row(plan, batch) + row;
        if (column_sum ? count > 0 : query_row >= 0 && query_row < count) continue;
        const int64_t at = batch * weights->strides[0] + slot * weights->strides[1] + row * weights->strides[2];
        memset((char *)weights->data + (size_t)at * element, 0, row_bytes);
      }
    }
  }
}

typedef struct clearing_job {
  const mo_attention_plan *plan;
  const mo_tensor *weights;
} clearing_job;

static void clear_some(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const clearing_job *job = argument;
  (void)slot;
  clear_missing_rows(job->plan, job->weights, first, last);
}

mo_status_t mo_cpu_attention(mo_context_t *context, const mo_attention_params *params) {
  mo_attention_plan plan;
  plan_call(params, &plan);
  if (plan.batch_count == 0 || plan.head_count == 0) return MO_STATUS_OK;
  const mo_attention_tasks tasks = plan_tasks(context, &plan);

  /* Measure, ask, carve: the same code twice. */
  mo_attention_sequence *sequences = NULL;
  int32_t *slots = NULL;
  mo_attention_thread *threads = NULL;
  mo_arena arena = {.base = NULL};
  for (int pass = 0; pass < 2; ++pass) {
    arena.used = 0;
    threads = mo_arena_carve(&arena, (size_t)tasks.thread_count * sizeof *threads);
    sequences = mo_arena_carve(&arena, (size_t)plan.batch_count * sizeof *sequences);
    slots = mo_arena_carve(&arena, (size_t)plan.head_count * sizeof *slots);
    for (int32_t i = 0; i < tasks.thread_count; ++i) {
      mo_attention_thread measured;
      carve_thread(&arena, &plan, threads != NULL ? &threads[i] : &measured);
    }
    if (pass == 0) {
      void *memory = NULL;
      MO_CHECK(arena.used <= (size_t)INT64_MAX, MO_STATUS_OUT_OF_MEMORY,
               "attention: %lld keys need more scratch memory than can be addressed", (long long)plan.key_count);
      MO_TRY(mo_context_scratch(context, arena.used, &memory));
      arena = (mo_arena){.base = memory, .capacity = arena.used};
    }
  }
  const mo_attention_shape shape = mo_attention_shape_of(params);
  for (int64_t n = 0; n < plan.batch_count; ++n) MO_TRY(read_sequence(params, &shape, n, &sequences[n]));
  plan.sequences = sequences;
  if (params->weights != NULL) {
    fill_slots(params, &plan, slots);
    plan.weight_slots = slots;
    mo_parallel_for(tasks.thread_count, plan.batch_count, 1, clear_some,
                    &(clearing_job){.plan = &plan, .weights = params->weights});
  }
  run_tasks(&plan, &tasks, threads);
  return MO_STATUS_OK;
}
