/* host/cpu/decode_attention.c - decode attention on the CPU: plans one call and shares its keys out to the threads.
 *
 * A task is a part of the keys of one key/value head: it puts new tokens that belong to its keys into the cache, turns the
 * queries, and sums. Whoever finishes the last part of a head puts its parts together and writes its weights. So threads meet
 * only at the end, unless weights are summed over heads. How the keys are parted depends on shapes and on max_key_length, not
 * on the number of threads, so neither do the results.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "host/core/arena.h"
#include "host/core/checked_math.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/decode_attention_kernels.h"
#include "host/cpu/kv_head.h"
#include "host/cpu/rotary.h"
#include "host/rules/decode_call.h"

/* Parts of a call that a machine can share out well, and keys that make a part worth its bookkeeping. */
#define MO_DECODE_PARTS 32
#define MO_DECODE_PART_KEYS 256

/* Multiply-adds that make a thread worth waking (about 5 microseconds of one core at the speed of memory). */
#define MO_DECODE_WORK_PER_THREAD (64.0 * 1024.0)

static int64_t round_up(int64_t count) { return (count + MO_DECODE_LANES - 1) / MO_DECODE_LANES * MO_DECODE_LANES; }

/* ---- What only the data can tell ---- */

static int64_t length_of(const mo_decode_attention_params *params, int64_t row) {
  const mo_tensor *lengths = params->lengths;
  return lengths == NULL ? params->length : ((const int32_t *)lengths->data)[row * lengths->strides[0]];
}

static int64_t position_of(const mo_decode_attention_params *params, int64_t row, int64_t token) {
  const mo_tensor *ids = params->position_ids;
  return ids == NULL ? length_of(params, row) + token : mo_position_id(ids, row, token);
}

static mo_kv_row_use use_of_row(const void *given, int64_t row) {
  const mo_decode_attention_params *params = given;
  const mo_decode_rules rules = mo_decode_rules_of(params);
  const int64_t length = length_of(params, row);
  return (mo_kv_row_use){.first = length, .end = length + rules.appended, .read = mo_decode_total(rules, length)};
}

static mo_status_t check_rows(const mo_decode_attention_params *params) {
  const mo_decode_rules rules = mo_decode_rules_of(params);
  const int64_t tokens = params->query->shape[2];
  for (int64_t row = 0; row < params->query->shape[0]; ++row) {
    const int64_t length = length_of(params, row);
    MO_CHECK(length >= 0 && length <= rules.key_limit - rules.appended, MO_STATUS_INVALID_ARGUMENT,
             "decode attention: %" PRId64 " new tokens after %" PRId64 " (row %" PRId64 "), at most %" PRId64
             " keys are expected",
             rules.appended, length, row, rules.key_limit);
    MO_TRY(mo_kv_check_pages("decode attention", &params->cache, row, 0, mo_decode_total(rules, length)));
    for (int64_t token = 0; params->rotary != NULL && token < tokens; ++token) {
      const int64_t position = position_of(params, row, token), positions = params->rotary->cosine->shape[0];
      MO_CHECK(position >= 0 && position < positions, MO_STATUS_INVALID_ARGUMENT,
               "decode attention: position %" PRId64 " (row %" PRId64 ", token %" PRId64
               "), outside the tables' range 0..%" PRId64,
               position, row, token, positions - 1);
    }
  }
  return MO_STATUS_OK;
}

/* ---- The plan ---- */

static void plan_call(const mo_decode_attention_params *params, mo_decode_plan *plan) {
  const mo_tensor *query = params->query, *weights = params->weights;
  *plan = (mo_decode_plan){
      .batch_count = query->shape[0],
      .head_count = query->shape[1],
      .kv_head_count = params->cache.key->shape[1],
      .token_count = query->shape[2],
      .key_size = query->shape[3],
      .value_size = params->cache.value->shape[3],
      .rules = mo_decode_rules_of(params),
      .cache = params->cache,
      .output = mo_score_view_of(params->output),
      .weights = mo_score_view_of(weights),
      .mask = mo_score_view_of(params->mask),
      .bias = mo_score_view_of(params->bias),
      .scale = params->scale != 0.0f ? params->scale : 1.0f / sqrtf((float)query->shape[3]),
      .soft_cap = params->soft_cap,
      .reduction = params->weights_reduction,
  };
  plan->group = plan->kv_head_count > 0 ? plan->head_count / plan->kv_head_count : 1;
  plan->row_count = plan->group * plan->token_count;
  plan->key_stride = round_up(plan->key_size);
  plan->value_stride = round_up(plan->value_size);
  if (params->log_sum_exp != NULL) {
    plan->log_sum_exp = params->log_sum_exp->data;
    plan->lse_batch = params->log_sum_exp->strides[0];
    plan->lse_head = params->log_sum_exp->strides[1];
    plan->lse_row = params->log_sum_exp->strides[2];
  }
  const int64_t heads = plan->batch_count * plan->kv_head_count, keys = plan->rules.key_limit;
  const int64_t wanted = heads > 0 ? (MO_DECODE_PARTS + heads - 1) / heads : 1;
  plan->part_count = mo_decode_max(1, mo_decode_min(wanted, keys / MO_DECODE_PART_KEYS));
  if (weights == NULL) return;
  plan->slot_count = params->weight_heads.count > 0 ? params->weight_heads.count : plan->head_count;
  plan->first_weight_row = params->weight_last_rows > 0 ? plan->token_count - params->weight_last_rows : 0;
  plan->weight_row_count = plan->token_count - plan->first_weight_row;
  plan->score_stride = round_up(keys);
  plan->weight_rows = weights->shape[1] * weights->shape[2];
  plan->weight_chunks = (keys + MO_DECODE_WEIGHT_KEYS - 1) / MO_DECODE_WEIGHT_KEYS;
}

/* Bytes of a product of extents times an element's; SIZE_MAX, which no allocator can give, instead of an overflow. */
static size_t bytes_of(const int64_t (*extents)[5], size_t element) {
  int64_t bytes = (int64_t)element;
  for (int i = 0; i < 5; ++i)
    if (!mo_checked_mul(bytes, (*extents)[i], &bytes)) return SIZE_MAX;
  return (size_t)bytes;
}
#define BYTES(type, ...) bytes_of(&(const int64_t[5]){__VA_ARGS__}, sizeof(type))

static void carve_thread(mo_arena *arena, const mo_decode_plan *plan, mo_decode_thread *thread) {
  const mo_kv_view *cache = &plan->cache;
  const int64_t size = plan->key_size > plan->value_size ? plan->key_size : plan->value_size;
  const bool grouped = cache->key_scale != NULL && (cache->key_scale->shape[3] > 1 || cache->value_scale->shape[3] > 1);
  const int64_t groups = cache->key_scale == NULL ? 0 : mo_decode_max(cache->key_scale->shape[3], cache->value_scale->shape[3]);
  const int64_t row = MO_DECODE_KEYS + MO_DECODE_LANES;
  *thread = (mo_decode_thread){.queries = mo_arena_carve(arena, BYTES(float, plan->row_count, plan->key_stride, 1, 1, 1)),
                               .scores = mo_arena_carve(arena, BYTES(float, plan->row_count, row, 1, 1, 1))};
  /* Also the room in which a head is turned and quantised. */
  thread->wide = mo_arena_carve(arena, BYTES(float, grouped ? MO_DECODE_KEYS : 1, round_up(size) + MO_DECODE_LANES, 1, 1, 1));
  thread->additive = mo_arena_carve(arena, BYTES(float, row, 1, 1, 1, 1));
  thread->reduced = mo_arena_carve(arena, plan->weights.data == NULL ? 0 : BYTES(float, MO_DECODE_WEIGHT_KEYS, 1, 1, 1, 1));
  thread->nothing_bytes = plan->cache.block_table == NULL ? 0 : BYTES(float, round_up(mo_decode_max(size, groups)), 1, 1, 1, 1);
  thread->nothing = mo_arena_carve(arena, thread->nothing_bytes);
}

typedef struct decode_memory {
  int64_t *lengths, *starts;
  int32_t *slots, *slot_heads;
  mo_decode_thread *threads;
  _Atomic int32_t *parts_done; /* (B, Hkv) */
} decode_memory;

static void carve(mo_arena *arena, mo_decode_plan *plan, int32_t thread_count, decode_memory *memory) {
  const int64_t batch = plan->batch_count, kv_heads = plan->kv_head_count, rows = plan->row_count, parts = plan->part_count;
  const bool weights = plan->weights.data != NULL;
  memory->threads = mo_arena_carve(arena, (size_t)thread_count * sizeof *memory->threads);
  memory->lengths = mo_arena_carve(arena, BYTES(int64_t, batch, 1, 1, 1, 1));
  memory->starts = mo_arena_carve(arena, BYTES(int64_t, batch, 1, 1, 1, 1));
  memory->slots = mo_arena_carve(arena, weights ? BYTES(int32_t, plan->head_count, 1, 1, 1, 1) : 0);
  memory->slot_heads = mo_arena_carve(arena, weights ? BYTES(int32_t, plan->slot_count, 1, 1, 1, 1) : 0);
  memory->parts_done = mo_arena_carve(arena, BYTES(int32_t, batch, kv_heads, 1, 1, 1));
  plan->sums = mo_arena_carve(arena, BYTES(float, batch, kv_heads, parts, rows, plan->value_stride));
  plan->states = mo_arena_carve(arena, BYTES(float, batch, kv_heads, parts, rows, 2));
  plan->scores =
      mo_arena_carve(arena, weights ? BYTES(float, batch, plan->slot_count, plan->weight_row_count, plan->score_stride, 1) : 0);
  plan->statistics = mo_arena_carve(arena, weights ? BYTES(float, batch, kv_heads, rows, 2, 1) : 0);
  for (int32_t i = 0; i < thread_count; ++i) {
    mo_decode_thread measured;
    carve_thread(arena, plan, memory->threads != NULL ? &memory->threads[i] : &measured);
  }
  if (!weights) plan->scores = plan->statistics = NULL;
}

static void fill(const mo_decode_attention_params *params, mo_decode_plan *plan, const decode_memory *memory,
                 int32_t thread_count) {
  const mo_tensor *starts = params->key_starts;
  for (int64_t b = 0; b < plan->batch_count; ++b) {
    memory->lengths[b] = length_of(params, b);
    memory->starts[b] = starts == NULL ? 0 : ((const int32_t *)starts->data)[b * starts->strides[0]];
  }
  for (int64_t i = 0; i < plan->batch_count * plan->kv_head_count; ++i) atomic_init(&memory->parts_done[i], 0);
  plan->lengths = memory->lengths;
  plan->starts = memory->starts;
  for (int32_t i = 0; i < thread_count; ++i) {
    if (memory->threads[i].nothing_bytes > 0) memset(memory->threads[i].nothing, 0, memory->threads[i].nothing_bytes);
  }
  if (params->weights == NULL) return;
  const mo_index_list heads = params->weight_heads;
  for (int64_t h = 0; h < plan->head_count; ++h) memory->slots[h] = -1;
  for (int32_t i = 0; i < plan->slot_count; ++i) {
    const int32_t head = heads.count > 0 ? heads.indices[i] : i;
    memory->slot_heads[i] = (int32_t)(head < 0 ? head + plan->head_count : head);
    memory->slots[memory->slot_heads[i]] = i;
  }
  plan->slots = memory->slots;
  plan->slot_heads = memory->slot_heads;
}

static int32_t count_threads(const mo_context_t *context, const mo_decode_attention_params *params,
                             const mo_decode_plan *plan) {
  /* What is to be read now, if the host can see it, not what there is room for. */
  const int64_t keys = params->lengths == NULL ? params->length : plan->rules.key_limit;
  const double work = (double)plan->batch_count * (double)plan->head_count * (double)plan->token_count * (double)keys *
                      (double)(plan->key_size + plan->value_size);
  const int64_t tasks = plan->batch_count * plan->kv_head_count * plan->part_count;
  int64_t threads = mo_decode_min(mo_context_thread_count(context), mo_decode_max(tasks, 1));
  if ((double)threads > 1.0 + work / MO_DECODE_WORK_PER_THREAD) threads = 1 + (int64_t)(work / MO_DECODE_WORK_PER_THREAD);
  return (int32_t)threads;
}

/* ---- The run ---- */

/* New keys and values of one head and token to the cache. */
static void append(const mo_decode_attention_params *params, const mo_decode_thread *thread, int64_t row, int64_t head,
                   int64_t token) {
  const mo_kv_view *cache = &params->cache;
  const mo_kv_place to = mo_kv_find_place(cache, row, length_of(params, row) + token);
  if (!to.is_there) return;
  const int64_t position = params->rotary != NULL ? position_of(params, row, token) : 0;
  mo_kv_write_head(params->key, cache->key, cache->key_scale, params->rotary, position,
                   mo_kv_address(params->key, row, head, token), to, head, thread->wide);
  mo_kv_write_head(params->value, cache->value, cache->value_scale, NULL, 0, mo_kv_address(params->value, row, head, token), to,
                   head, thread->wide);
}

/* The new tokens whose slots are keys of this part; its first one also takes those that no part reads. */
static void append_own(const mo_decode_attention_params *params, const mo_decode_plan *plan, const mo_decode_thread *thread,
                       int64_t row, int64_t head, int64_t part) {
  const mo_key_range mine = mo_decode_part_of(plan, row, part);
  const mo_key_range all = mo_decode_work(plan->rules, plan->lengths[row], plan->starts[row], plan->token_count);
  for (int64_t token = 0; token < plan->token_count; ++token) {
    const int64_t slot = plan->lengths[row] + token;
    const bool is_read = slot >= all.first && slot < all.end;
    if (is_read ? slot >= mine.first && slot < mine.end : part == 0) append(params, thread, row, head, token);
  }
}

/* One query as float32, turned, padded with zeros. */
static void take_query(const mo_decode_attention_params *params, const mo_decode_plan *plan, const mo_decode_thread *thread,
                       int64_t row, int64_t head, int64_t token) {
  const mo_tensor *query = params->query;
  const mo_rotary *rotary = params->rotary;
  float *to = thread->queries + (head % plan->group * plan->token_count + token) * plan->key_stride;
  mo_kv_head_job job = {.size = plan->key_size, .source_dtype = query->dtype, .stored_dtype = MO_DTYPE_FLOAT32};
  const float *cosine = NULL, *sine = NULL;
  memset(to + plan->key_size, 0, (size_t)(plan->key_stride - plan->key_size) * sizeof *to);
  if (rotary != NULL) {
    job.pairs = rotary->cosine->shape[1];
    job.pairing = rotary->pairing;
    cosine = (const float *)rotary->cosine->data + position_of(params, row, token) * job.pairs;
    sine = (const float *)rotary->sine->data + position_of(params, row, token) * job.pairs;
  }
  MO_CPU_SELECT(mo_kv_store_head)(&job, mo_kv_address(query, row, head, token), cosine, sine, to, NULL, to);
}

/* All pieces of one row of the weights. */
static void emit_row(const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t row) {
  for (int64_t chunk = 0; chunk < plan->weight_chunks; ++chunk)
    MO_CPU_SELECT(mo_decode_emit_weights)(plan, thread, batch, row, chunk);
}

/* All parts of a key/value head are there: its queries' outputs, and with `emits` their weights. */
static void finish_head(const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t kv_head, bool emits) {
  const int64_t rows_per_slot = plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : plan->weight_row_count;
  for (int64_t head = kv_head * plan->group; head < (kv_head + 1) * plan->group; ++head) {
    for (int64_t token = 0; token < plan->token_count; ++token)
      MO_CPU_SELECT(mo_decode_combine)(plan, thread, batch, head, token);
    if (!emits || plan->slots[head] < 0) continue;
    for (int64_t i = 0; i < rows_per_slot; ++i) emit_row(plan, thread, batch, plan->slots[head] * rows_per_slot + i);
  }
}

typedef struct decode_job {
  const mo_decode_attention_params *params;
  const mo_decode_plan *plan;
  const decode_memory *memory;
  bool emits; /* a head's weights are written when its last part is there */
} decode_job;

static void run_parts(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const decode_job *job = argument;
  const mo_decode_plan *plan = job->plan;
  const int64_t kv_heads = plan->kv_head_count;
  mo_decode_thread *const thread = &job->memory->threads[slot];
  for (int64_t i = first; i < last; ++i) {
    const int64_t part = i % plan->part_count, kv_head = i / plan->part_count % kv_heads;
    const int64_t batch = i / plan->part_count / kv_heads;
    if (job->params->key != NULL) append_own(job->params, plan, thread, batch, kv_head, part);
    for (int64_t r = 0; r < plan->row_count; ++r) {
      take_query(job->params, plan, thread, batch, kv_head * plan->group + r / plan->token_count, r % plan->token_count);
    }
    MO_CPU_SELECT(mo_decode_part_run)(plan, thread, batch, kv_head, part);
    /* Releases what this thread wrote and acquires what those before it did. */
    const int32_t before = atomic_fetch_add_explicit(&job->memory->parts_done[i / plan->part_count], 1, memory_order_acq_rel);
    if (before + 1 == plan->part_count) finish_head(plan, thread, batch, kv_head, job->emits);
  }
}

/* Pieces of rows of the weights that no head could write alone. */
static void emit_pieces(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const decode_job *job = argument;
  const mo_decode_plan *plan = job->plan;
  for (int64_t i = first; i < last; ++i) {
    MO_CPU_SELECT(mo_decode_emit_weights)
    (plan, &job->memory->threads[slot], i / plan->weight_chunks / plan->weight_rows,
     i / plan->weight_chunks % plan->weight_rows, i % plan->weight_chunks);
  }
}

static void run(const mo_decode_attention_params *params, const mo_decode_plan *plan, const decode_memory *memory,
                int32_t thread_count) {
  const int64_t kv_heads = plan->kv_head_count, heads = plan->batch_count * kv_heads, parts = heads * plan->part_count;
  const bool weights = plan->scores != NULL;
  /* Scores are warm when their head is finished; but few heads are too few tasks for many threads. */
  const bool emits = weights && plan->reduction != MO_WEIGHTS_REDUCTION_HEAD_MEAN && heads >= thread_count;
  const int64_t pieces = weights && !emits ? plan->batch_count * plan->weight_rows * plan->weight_chunks : 0;
  const decode_job job = {.params = params, .plan = plan, .memory = memory, .emits = emits};
  mo_parallel_for(thread_count, parts, 1, run_parts, &job);
  mo_parallel_for(thread_count, pieces, 0, emit_pieces, &job);
}

mo_status_t mo_cpu_decode_attention(mo_context_t *context, const mo_decode_attention_params *params) {
  MO_TRY(check_rows(params));
  if (params->key != NULL) MO_TRY(mo_kv_check_written_once("decode attention", &params->cache, use_of_row, params));
  mo_decode_plan plan;
  plan_call(params, &plan);
  if (plan.batch_count == 0 || plan.head_count == 0 || plan.token_count == 0) return MO_STATUS_OK;
  const int32_t thread_count = count_threads(context, params, &plan);

  /* Measure, ask, carve: the same code twice. */
  decode_memory memory = {0};
  mo_arena arena = {.base = NULL};
  for (int pass = 0; pass < 2; ++pass) {
    arena.used = 0;
    carve(&arena, &plan, thread_count, &memory);
    if (pass == 0) {
      void *block = NULL;
      MO_CHECK(arena.used <= (size_t)INT64_MAX, MO_STATUS_OUT_OF_MEMORY,
               "decode attention: %" PRId64 " keys need more scratch memory than can be addressed", plan.rules.key_limit);
      MO_TRY(mo_context_scratch(context, arena.used, &block));
      arena = (mo_arena){.base = block, .capacity = arena.used};
    }
  }
  fill(params, &plan, &memory, thread_count);
  run(params, &plan, &memory, thread_count);
  return MO_STATUS_OK;
}
