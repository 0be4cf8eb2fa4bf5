/* host/cpu/decode_attention_kernels.c - a part of the keys of one key/value head: scores, softmax, sums; then the parts of a
 * row together, and its weights.
 *
 * Keys and values are read once, where they lie and as they are stored: a group of up to four query rows meets each vector when
 * it comes in, and 16-bit and quantised elements become float32 in registers. The scale of a quantised head multiplies its
 * score, or its probability, instead of its elements; only storage with several scales per head is widened first.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/decode_attention_kernels.h"

#include "host/cpu/kv_place.h"
#include "host/cpu/simd_codes.h"
#include "host/cpu/softmax_rows.h"

#define MO_DECODE_INLINE static inline __attribute__((always_inline))

/* A run of keys (or values) that lie evenly: within a page, or anywhere in contiguous storage. */
typedef struct mo_decode_run {
  const char *data;
  mo_dtype_t dtype;
  int64_t stride; /* elements */
  int64_t ahead;  /* bytes from what is read to what is asked for */
  const float *scale;
  int64_t scale_stride;
  int64_t count;
} mo_decode_run;

/* What is read is asked for this many bytes of heads ahead: measured, half or twice as many are slower by a tenth. */
#define MO_DECODE_AHEAD_BYTES 4096

MO_DECODE_INLINE int64_t mo_decode_bytes_(mo_dtype_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 ? 4 : dtype == MO_DTYPE_FLOAT16 || dtype == MO_DTYPE_BFLOAT16 ? 2 : 1;
}

static const char *mo_decode_at_(const mo_tensor *tensor, mo_kv_place place, int64_t head) {
  return mo_kv_address(tensor, place.block, head, place.slot);
}

/* The keys (or values) from slot `first` on, at most `count`. */
static mo_decode_run mo_decode_find_run_(const mo_decode_plan *plan, const mo_decode_thread *thread, const mo_tensor *stored,
                                         const mo_tensor *scale, int64_t batch, int64_t kv_head, int64_t first, int64_t count) {
  const mo_kv_place place = mo_kv_find_place(&plan->cache, batch, first);
  mo_decode_run run = {.dtype = stored->dtype, .stride = stored->strides[2], .count = count};
  if (plan->cache.block_table != NULL) run.count = mo_decode_min(count, stored->shape[2] - place.slot);
  if (!place.is_there) {
    run.data = thread->nothing;
    run.stride = 0;
    run.scale = scale != NULL ? thread->nothing : NULL;
    return run;
  }
  const int64_t head_bytes = stored->shape[3] * mo_decode_bytes_(stored->dtype);
  run.ahead = (MO_DECODE_AHEAD_BYTES / mo_decode_max(head_bytes, 1) + 1) * run.stride * mo_decode_bytes_(stored->dtype);
  run.data = mo_decode_at_(stored, place, kv_head);
  if (scale != NULL) {
    run.scale = (const float *)mo_decode_at_(scale, place, kv_head);
    run.scale_stride = scale->strides[2];
  }
  return run;
}

/* Several scales per head: as float32 in the thread's memory. */
static mo_decode_run mo_decode_widen_(const mo_decode_thread *thread, const mo_decode_run *run, int64_t size, int64_t groups) {
  const int64_t width = size / groups;
  for (int64_t j = 0; j < run->count; ++j) {
    const float *scale = run->scale + j * run->scale_stride;
    for (int64_t g = 0; g < groups; ++g) {
      const mo_vf factor = mo_vf_set1(scale[g]);
      for (int64_t d = g * width; d < (g + 1) * width; d += MO_VL) {
        const int n = (int)mo_decode_min(MO_VL, (g + 1) * width - d);
        const mo_vf codes = run->dtype == MO_DTYPE_INT8 ? mo_vf_load_int8(run->data, j * run->stride + d, n)
                                                        : mo_vf_load_e4m3(run->data, j * run->stride + d, n);
        mo_vf_store_partial(thread->wide + j * size + d, mo_vf_mul(codes, factor), n);
      }
    }
  }
  return (mo_decode_run){.data = (const char *)thread->wide, .dtype = MO_DTYPE_FLOAT32, .stride = size, .count = run->count};
}

/* Has the second-level cache ask for what will be used a while later. Hardware prefetchers stop at the end of a page and with
 * each block of keys; a core alone reads float32 heads of 64 from memory 1.4 times as fast with this. */
MO_DECODE_INLINE void mo_decode_prefetch_(const mo_dtype_t dtype, const mo_decode_run *run, int64_t element) {
  __builtin_prefetch(run->data + element * mo_decode_bytes_(dtype) + run->ahead, 0, 2);
}

/* ---- Scores ---- */

/* scores[r][j] = q_r . k_j * scale for `rows` query rows and `keys` keys at once; both constant. */
MO_DECODE_INLINE void mo_decode_dot_(const mo_dtype_t dtype, const int rows, const int keys, const float *query,
                                     int64_t query_stride, const mo_decode_run *run, int64_t first, int64_t size, float scale,
                                     float *scores, int64_t score_stride) {
  mo_vf sums[4][4];
  MO_UNROLL for (int r = 0; r < rows; ++r) MO_UNROLL for (int k = 0; k < keys; ++k) sums[r][k] = mo_vf_zero();
  int64_t d = 0;
  for (; d + MO_VL <= size; d += MO_VL) {
    mo_vf key[4];
    MO_UNROLL for (int k = 0; k < keys; ++k) {
      mo_decode_prefetch_(dtype, run, (first + k) * run->stride + d);
      key[k] = mo_vf_load_stored(run->data, dtype, (first + k) * run->stride + d, MO_VL);
    }
    MO_UNROLL for (int r = 0; r < rows; ++r) {
      const mo_vf q = mo_vf_load(query + r * query_stride + d);
      MO_UNROLL for (int k = 0; k < keys; ++k) sums[r][k] = mo_vf_fma(q, key[k], sums[r][k]);
    }
  }
  if (d < size) {
    mo_vf key[4];
    MO_UNROLL for (int k = 0; k < keys; ++k) key[k] =
        mo_vf_load_stored(run->data, dtype, (first + k) * run->stride + d, (int)(size - d));
    MO_UNROLL for (int r = 0; r < rows; ++r) {
      const mo_vf q = mo_vf_load(query + r * query_stride + d); /* padded with zeros */
      MO_UNROLL for (int k = 0; k < keys; ++k) sums[r][k] = mo_vf_fma(q, key[k], sums[r][k]);
    }
  }
  float products[4][4];
  if (keys == 4) {
    MO_UNROLL for (int r = 0; r < rows; ++r) mo_vf_hsum4(sums[r][0], sums[r][1], sums[r][2], sums[r][3], products[r]);
  } else if (rows == 4) {
    MO_UNROLL for (int k = 0; k < keys; ++k) {
      float of_key[4];
      mo_vf_hsum4(sums[0][k], sums[1][k], sums[2][k], sums[3][k], of_key);
      for (int r = 0; r < 4; ++r) products[r][k] = of_key[r];
    }
  } else {
    MO_UNROLL for (int r = 0; r < rows; ++r) {
      MO_UNROLL for (int k = 0; k < keys; ++k) products[r][k] = mo_vf_hsum(sums[r][k]);
    }
  }
  MO_UNROLL for (int k = 0; k < keys; ++k) {
    const float factor = run->scale != NULL ? scale * run->scale[(first + k) * run->scale_stride] : scale;
    MO_UNROLL for (int r = 0; r < rows; ++r) scores[r * score_stride + first + k] = products[r][k] * factor;
  }
}

/* The same for one query row and four keys. Here memory is the limit, so each key is read from its begin to its end: in the
 * other order, a vector of each key after the other, hardware prefetchers see no stream. Fast where `size` is constant. */
MO_DECODE_INLINE void mo_decode_dot_row_(const mo_dtype_t dtype, const float *query, const mo_decode_run *run, int64_t first,
                                         const int64_t size, float scale, float *scores) {
  mo_vf sums[4];
  MO_UNROLL for (int k = 0; k < 4; ++k) {
    const int64_t key = (first + k) * run->stride;
    int64_t d = 0;
    sums[k] = mo_vf_zero();
    MO_UNROLL for (; d + MO_VL <= size; d += MO_VL) {
      mo_decode_prefetch_(dtype, run, key + d);
      sums[k] = mo_vf_fma(mo_vf_load(query + d), mo_vf_load_stored(run->data, dtype, key + d, MO_VL), sums[k]);
    }
    if (d < size) { /* the query is padded with zeros */
      sums[k] = mo_vf_fma(mo_vf_load(query + d), mo_vf_load_stored(run->data, dtype, key + d, (int)(size - d)), sums[k]);
    }
  }
  float products[4];
  mo_vf_hsum4(sums[0], sums[1], sums[2], sums[3], products);
  MO_UNROLL for (int k = 0; k < 4; ++k) {
    const float factor = run->scale != NULL ? scale * run->scale[(first + k) * run->scale_stride] : scale;
    scores[first + k] = products[k] * factor;
  }
}

MO_DECODE_INLINE void mo_decode_score_row_of_(const mo_dtype_t dtype, const float *query, const mo_decode_run *run,
                                              const int64_t size, float scale, float *scores) {
  int64_t j = 0;
  for (; j + 4 <= run->count; j += 4) mo_decode_dot_row_(dtype, query, run, j, size, scale, scores);
  for (; j < run->count; ++j) mo_decode_dot_(dtype, 1, 1, query, 0, run, j, size, scale, scores, 0);
}

MO_DECODE_INLINE void mo_decode_score_rows_(const mo_dtype_t dtype, const int rows, const float *query, int64_t query_stride,
                                            const mo_decode_run *run, int64_t size, float scale, float *scores,
                                            int64_t score_stride) {
  const int keys = rows == 4 && MO_VL < 16 ? 2 : 4; /* more than eight sums only where there are 32 registers */
  int64_t j = 0;
  for (; j + keys <= run->count; j += keys) {
    mo_decode_dot_(dtype, rows, keys, query, query_stride, run, j, size, scale, scores, score_stride);
  }
  for (; j < run->count; ++j) {
    mo_decode_dot_(dtype, rows, 1, query, query_stride, run, j, size, scale, scores, score_stride);
  }
}

MO_DECODE_INLINE void mo_decode_score_type_(const mo_dtype_t dtype, int64_t rows, const float *query, int64_t query_stride,
                                            const mo_decode_run *run, int64_t size, float scale, float *scores,
                                            int64_t score_stride) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    mo_decode_score_rows_(dtype, 4, query + r * query_stride, query_stride, run, size, scale, scores + r * score_stride,
                          score_stride);
  }
  for (; r + 2 <= rows; r += 2) {
    mo_decode_score_rows_(dtype, 2, query + r * query_stride, query_stride, run, size, scale, scores + r * score_stride,
                          score_stride);
  }
  for (; r < rows; ++r) {
    const float *row = query + r * query_stride;
    float *to = scores + r * score_stride;
    if (size == 64) mo_decode_score_row_of_(dtype, row, run, 64, scale, to);
    else if (size == 128) mo_decode_score_row_of_(dtype, row, run, 128, scale, to);
    else mo_decode_score_row_of_(dtype, row, run, size, scale, to);
  }
}

/* Calls function(constant dtype, ...) for the type a run is stored in. */
#define MO_DECODE_PER_TYPE(type, function, ...)                                                                                \
  do {                                                                                                                         \
    switch (type) {                                                                                                            \
      case MO_DTYPE_FLOAT32:                                                                                                   \
        function(MO_DTYPE_FLOAT32, __VA_ARGS__);                                                                               \
        break;                                                                                                                 \
      case MO_DTYPE_FLOAT16:                                                                                                   \
        function(MO_DTYPE_FLOAT16, __VA_ARGS__);                                                                               \
        break;                                                                                                                 \
      case MO_DTYPE_BFLOAT16:                                                                                                  \
        function(MO_DTYPE_BFLOAT16, __VA_ARGS__);                                                                              \
        break;                                                                                                                 \
      case MO_DTYPE_INT8:                                                                                                      \
        function(MO_DTYPE_INT8, __VA_ARGS__);                                                                                  \
        break;                                                                                                                 \
      default:                                                                                                                 \
        function(MO_DTYPE_FLOAT8_E4M3, __VA_ARGS__);                                                                           \
        break;                                                                                                                 \
    }                                                                                                                          \
  } while (0)

static void mo_decode_score_(const mo_decode_run *run, int64_t rows, const float *query, int64_t query_stride, int64_t size,
                             float scale, float *scores, int64_t score_stride) {
  MO_DECODE_PER_TYPE(run->dtype, mo_decode_score_type_, rows, query, query_stride, run, size, scale, scores, score_stride);
}

/* ---- Sums of values ---- */

/* to[r] += sum_j p[r][j] v_j for `rows` rows and `vectors` vectors of the head from element d on; both constant. `n`: lanes of
 * the last vector. */
MO_DECODE_INLINE void mo_decode_add_(const mo_dtype_t dtype, const int rows, const int vectors, const mo_decode_run *run,
                                     int64_t d, int n, const float *p, int64_t p_stride, float *to, int64_t to_stride) {
  mo_vf sums[4][4];
  MO_UNROLL for (int r = 0; r < rows; ++r) MO_UNROLL for (int v = 0; v < vectors; ++v) sums[r][v] =
      mo_vf_load(to + r * to_stride + d + v * MO_VL);
  for (int64_t j = 0; j < run->count; ++j) {
    mo_vf value[4];
    MO_UNROLL for (int v = 0; v < vectors; ++v) {
      mo_decode_prefetch_(dtype, run, j * run->stride + d + v * MO_VL);
      value[v] = mo_vf_load_stored(run->data, dtype, j * run->stride + d + v * MO_VL, v + 1 < vectors ? MO_VL : n);
    }
    MO_UNROLL for (int r = 0; r < rows; ++r) {
      const mo_vf weight = mo_vf_set1(p[r * p_stride + j]);
      MO_UNROLL for (int v = 0; v < vectors; ++v) sums[r][v] = mo_vf_fma(weight, value[v], sums[r][v]);
    }
  }
  MO_UNROLL for (int r = 0; r < rows; ++r) MO_UNROLL for (int v = 0; v < vectors; ++v)
      mo_vf_store(to + r * to_stride + d + v * MO_VL, sums[r][v]);
}

MO_DECODE_INLINE void mo_decode_add_rows_(const mo_dtype_t dtype, const int rows, const mo_decode_run *run, int64_t size,
                                          const float *p, int64_t p_stride, float *to, int64_t to_stride) {
  const int widest = rows == 4 && MO_VL < 16 ? 2 : 4; /* as above */
  int64_t d = 0;
  for (; d + widest * MO_VL <= size; d += widest * MO_VL) {
    mo_decode_add_(dtype, rows, widest, run, d, MO_VL, p, p_stride, to, to_stride);
  }
  for (; d + MO_VL <= size; d += MO_VL) mo_decode_add_(dtype, rows, 1, run, d, MO_VL, p, p_stride, to, to_stride);
  if (d < size) mo_decode_add_(dtype, rows, 1, run, d, (int)(size - d), p, p_stride, to, to_stride);
}

MO_DECODE_INLINE void mo_decode_add_type_(const mo_dtype_t dtype, int64_t rows, const mo_decode_run *run, int64_t size,
                                          const float *p, int64_t p_stride, float *to, int64_t to_stride) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    mo_decode_add_rows_(dtype, 4, run, size, p + r * p_stride, p_stride, to + r * to_stride, to_stride);
  }
  for (; r + 2 <= rows; r += 2) {
    mo_decode_add_rows_(dtype, 2, run, size, p + r * p_stride, p_stride, to + r * to_stride, to_stride);
  }
  for (; r < rows; ++r) {
    mo_decode_add_rows_(dtype, 1, run, size, p + r * p_stride, p_stride, to + r * to_stride, to_stride);
  }
}

static void mo_decode_sum_values_(const mo_decode_run *run, int64_t rows, int64_t size, const float *p, int64_t p_stride,
                                  float *to, int64_t to_stride) {
  MO_DECODE_PER_TYPE(run->dtype, mo_decode_add_type_, rows, run, size, p, p_stride, to, to_stride);
}

/* ---- A part ---- */

static mo_row_masks mo_decode_masks_(const mo_decode_plan *plan, int64_t batch, int64_t head, int64_t token) {
  const mo_score_view *mask = &plan->mask, *bias = &plan->bias;
  mo_row_masks masks = {
      .mask_dtype = mask->dtype, .mask_stride = mask->column, .bias_dtype = bias->dtype, .bias_stride = bias->column};
  if (mask->data != NULL) {
    masks.mask =
        mask->data + (batch * mask->batch + head * mask->head + token * mask->row) * (mask->dtype == MO_DTYPE_INT64   ? 8
                                                                                      : mask->dtype == MO_DTYPE_INT32 ? 4
                                                                                                                      : 1);
  }
  if (bias->data != NULL) {
    masks.bias =
        bias->data + (batch * bias->batch + head * bias->head + token * bias->row) * (bias->dtype == MO_DTYPE_FLOAT32 ? 4 : 2);
  }
  return masks;
}

static float *mo_decode_score_row_(const mo_decode_plan *plan, int64_t batch, int64_t slot, int64_t token) {
  const int64_t row = (batch * plan->slot_count + slot) * plan->weight_row_count + token - plan->first_weight_row;
  return plan->scores + row * plan->score_stride;
}

/* The scores of one row with the keys first .. first + count - 1: masks, maximum, exponentials; what was summed before is
 * rescaled. Keys that the row does not see come out as 0. */
static void mo_decode_softmax_(const mo_decode_plan *plan, const mo_decode_thread *thread, int64_t batch, int64_t head,
                               int64_t token, int64_t first, int64_t count, float *scores, float *sums, float *state) {
  const mo_key_range sees = mo_decode_visible(plan->rules, plan->lengths[batch], plan->starts[batch], token);
  const int64_t begin = mo_decode_max(sees.first, first), end = mo_decode_min(sees.end, first + count);
  const int64_t padded = mo_round_up_vector_(count);
  if (begin >= end) {
    memset(scores, 0, (size_t)padded * sizeof *scores);
    return;
  }
  float *own = scores + (begin - first);
  const int64_t seen = end - begin;
  mo_row_pad_(own, seen);
  const float *additive = NULL;
  if (plan->mask.data != NULL || plan->bias.data != NULL) {
    const mo_row_masks masks = mo_decode_masks_(plan, batch, head, token);
    additive = mo_row_additive_(&masks, begin, seen, thread->additive);
  }
  const float found = mo_row_finish_scores_(own, seen, 0, additive, plan->soft_cap);
  if (plan->scores != NULL && plan->slots[head] >= 0 && token >= plan->first_weight_row) {
    memcpy(mo_decode_score_row_(plan, batch, plan->slots[head], token) + begin, own, (size_t)seen * sizeof *own);
  }
  float maximum = found > state[0] ? found : state[0];
  if (maximum == -INFINITY && !mo_row_has_nan_(own, seen)) {
    memset(scores, 0, (size_t)padded * sizeof *scores);
    return;
  }
  if (maximum == -INFINITY) maximum = 0.0f; /* nothing but NaN: let it through */
  if (state[0] != maximum && state[0] != -INFINITY) {
    const float rescale = expf(state[0] - maximum);
    for (int64_t d = 0; d < plan->value_stride; ++d) sums[d] *= rescale;
    state[1] *= rescale;
  }
  state[0] = maximum;
  state[1] += mo_row_exp_sum_(own, seen, maximum);
  for (int64_t j = 0; j < begin - first; ++j) scores[j] = 0.0f;
  for (int64_t j = begin - first + mo_round_up_vector_(seen); j < padded; ++j) scores[j] = 0.0f;
}

void MO_SIMD(mo_decode_part_run)(const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t kv_head,
                                 int64_t part) {
  const mo_kv_view *cache = &plan->cache;
  const int64_t rows = plan->row_count, score_stride = MO_DECODE_KEYS + MO_DECODE_LANES;
  const int64_t place = ((batch * plan->kv_head_count + kv_head) * plan->part_count + part) * rows;
  float *sums = plan->sums + place * plan->value_stride, *states = plan->states + place * 2;
  const int64_t key_groups = cache->key_scale != NULL ? cache->key_scale->shape[3] : 0;
  const int64_t value_groups = cache->value_scale != NULL ? cache->value_scale->shape[3] : 0;
  for (int64_t r = 0; r < rows; ++r) {
    states[2 * r] = -INFINITY;
    states[2 * r + 1] = 0.0f;
  }
  memset(sums, 0, (size_t)(rows * plan->value_stride) * sizeof *sums);

  const mo_key_range mine = mo_decode_part_of(plan, batch, part);
  for (int64_t first = mine.first; first < mine.end;) {
    const int64_t wanted = mo_decode_min(MO_DECODE_KEYS, mine.end - first);
    mo_decode_run keys = mo_decode_find_run_(plan, thread, cache->key, cache->key_scale, batch, kv_head, first, wanted);
    mo_decode_run values = mo_decode_find_run_(plan, thread, cache->value, cache->value_scale, batch, kv_head, first, wanted);
    if (key_groups > 1) keys = mo_decode_widen_(thread, &keys, plan->key_size, key_groups);
    mo_decode_score_(&keys, rows, thread->queries, plan->key_stride, plan->key_size, plan->scale, thread->scores, score_stride);
    for (int64_t r = 0; r < rows; ++r) {
      mo_decode_softmax_(plan, thread, batch, kv_head * plan->group + r / plan->token_count, r % plan->token_count, first,
                         keys.count, thread->scores + r * score_stride, sums + r * plan->value_stride, states + 2 * r);
    }
    if (value_groups > 1) values = mo_decode_widen_(thread, &values, plan->value_size, value_groups);
    if (values.scale != NULL) {
      for (int64_t r = 0; r < rows; ++r) {
        float *p = thread->scores + r * score_stride;
        for (int64_t j = 0; j < values.count; ++j) p[j] *= values.scale[j * values.scale_stride];
      }
    }
    mo_decode_sum_values_(&values, rows, plan->value_size, thread->scores, score_stride, sums, plan->value_stride);
    first += keys.count;
  }
}

/* ---- The parts together ---- */

/* The mean of all values that the row holds. */
static void mo_decode_mean_(const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t kv_head, float *to) {
  const mo_kv_view *cache = &plan->cache;
  const int64_t total = mo_decode_total(plan->rules, plan->lengths[batch]);
  const int64_t groups = cache->value_scale != NULL ? cache->value_scale->shape[3] : 0;
  memset(to, 0, (size_t)plan->value_stride * sizeof *to);
  for (int64_t first = 0; first < total;) {
    mo_decode_run values = mo_decode_find_run_(plan, thread, cache->value, cache->value_scale, batch, kv_head, first,
                                               mo_decode_min(MO_DECODE_KEYS, total - first));
    if (groups > 1) values = mo_decode_widen_(thread, &values, plan->value_size, groups);
    for (int64_t j = 0; j < values.count; ++j) {
      thread->scores[j] = (values.scale != NULL ? values.scale[j * values.scale_stride] : 1.0f) / (float)total;
    }
    mo_decode_sum_values_(&values, 1, plan->value_size, thread->scores, 0, to, 0);
    first += values.count;
  }
}

void MO_SIMD(mo_decode_combine)(const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t head,
                                int64_t token) {
  const int64_t kv_head = head / plan->group, row = (head - kv_head * plan->group) * plan->token_count + token;
  const int64_t place = (batch * plan->kv_head_count + kv_head) * plan->part_count * plan->row_count + row;
  float *sums = plan->sums + place * plan->value_stride;
  const float *states = plan->states + place * 2;
  const int64_t step = plan->row_count;
  float maximum = -INFINITY, sum = 0.0f;
  bool begun = false; /* the first part's own memory takes the total */
  for (int64_t part = 0; part < plan->part_count; ++part) {
    maximum = states[part * step * 2] > maximum ? states[part * step * 2] : maximum;
  }
  for (int64_t part = 0; part < plan->part_count; ++part) {
    if (states[part * step * 2] == -INFINITY) continue;
    const float factor = expf(states[part * step * 2] - maximum);
    const float *from = sums + part * step * plan->value_stride;
    for (int64_t d = 0; d < plan->value_stride; ++d) sums[d] = begun ? sums[d] + from[d] * factor : from[d] * factor;
    begun = true;
    sum += states[part * step * 2 + 1] * factor;
  }
  const int64_t total = mo_decode_total(plan->rules, plan->lengths[batch]);
  const bool nothing_visible = maximum == -INFINITY;
  if (nothing_visible) mo_decode_mean_(plan, thread, batch, kv_head, sums);
  const float inverse = nothing_visible ? 1.0f : 1.0f / sum;
  const mo_vf factor = mo_vf_set1(inverse);
  const mo_score_view *output = &plan->output;
  const int64_t element = batch * output->batch + head * output->head + token * output->row;
  for (int64_t d = 0; d < plan->value_size; d += MO_VL) {
    mo_vf_store_any(output->data, output->dtype, element + d, mo_vf_mul(mo_vf_load(sums + d), factor),
                    (int)mo_decode_min(MO_VL, plan->value_size - d));
  }
  if (plan->log_sum_exp != NULL) {
    plan->log_sum_exp[batch * plan->lse_batch + head * plan->lse_head + token * plan->lse_row] =
        !nothing_visible ? maximum + logf(sum)
        : total > 0      ? logf((float)total) - FLT_MAX
                         : -INFINITY;
  }
  if (plan->statistics != NULL) {
    float *to = plan->statistics + 2 * ((batch * plan->head_count + head) * plan->token_count + token);
    to[0] = maximum;
    to[1] = inverse;
  }
}

/* ---- Weights ---- */

/* reduced[j] += the weights of one row with the keys first .. end - 1. */
static void mo_decode_add_weights_(const mo_decode_plan *plan, float *reduced, int64_t batch, int64_t slot, int64_t token,
                                   int64_t first, int64_t end) {
  const int64_t head = plan->slot_heads[slot];
  const float *statistics = plan->statistics + 2 * ((batch * plan->head_count + head) * plan->token_count + token);
  mo_key_range sees = mo_decode_visible(plan->rules, plan->lengths[batch], plan->starts[batch], token);
  const float *scores = mo_decode_score_row_(plan, batch, slot, token);
  if (statistics[0] == -INFINITY) { /* uniform */
    const int64_t total = mo_decode_total(plan->rules, plan->lengths[batch]);
    for (int64_t j = first; j < mo_decode_min(end, total); ++j) reduced[j - first] += 1.0f / (float)total;
    return;
  }
  sees.first = mo_decode_max(sees.first, first);
  sees.end = mo_decode_min(sees.end, end);
  const mo_vf maximum = mo_vf_set1(statistics[0]), inverse = mo_vf_set1(statistics[1]);
  for (int64_t j = sees.first; j < sees.end; j += MO_VL) {
    const int n = (int)mo_decode_min(MO_VL, sees.end - j);
    const mo_vf weight = mo_vf_mul(mo_row_exp_(mo_vf_sub(mo_vf_load_partial(scores + j, n), maximum)), inverse);
    float *to = reduced + (j - first);
    mo_vf_store_partial(to, mo_vf_add(mo_vf_load_partial(to, n), weight), n);
  }
}

void MO_SIMD(mo_decode_emit_weights)(const mo_decode_plan *plan, mo_decode_thread *thread, int64_t batch, int64_t row,
                                     int64_t chunk) {
  const mo_score_view *weights = &plan->weights;
  const int64_t first = chunk * MO_DECODE_WEIGHT_KEYS;
  const int64_t end = mo_decode_min(first + MO_DECODE_WEIGHT_KEYS, plan->rules.key_limit);
  const bool head_mean = plan->reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  const bool column_sum = plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  const int64_t rows_per_slot = column_sum ? 1 : plan->weight_row_count;
  const int64_t slot = head_mean ? 0 : row / rows_per_slot, slot_end = head_mean ? plan->slot_count : slot + 1;
  const int64_t selected = row % rows_per_slot, token = plan->first_weight_row + selected;
  const int64_t token_end = column_sum ? plan->token_count : token + 1;
  memset(thread->reduced, 0, MO_DECODE_WEIGHT_KEYS * sizeof *thread->reduced);
  for (int64_t s = slot; s < slot_end; ++s)
    for (int64_t t = token; t < token_end; ++t) mo_decode_add_weights_(plan, thread->reduced, batch, s, t, first, end);
  const mo_vf factor = mo_vf_set1(head_mean ? 1.0f / (float)plan->slot_count : 1.0f);
  const int64_t element = batch * weights->batch + (head_mean ? 0 : slot) * weights->head + selected * weights->row + first;
  for (int64_t j = 0; j < end - first; j += MO_VL) {
    mo_vf_store_any(weights->data, weights->dtype, element + j, mo_vf_mul(mo_vf_load(thread->reduced + j), factor),
                    (int)mo_decode_min(MO_VL, end - first - j));
  }
}
