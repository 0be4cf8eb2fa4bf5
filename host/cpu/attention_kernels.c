/* host/cpu/attention_kernels.c - one row block of one head: scores, softmax, output, weights.
 *
 * The scores of a row block against up to block_keys keys stay in the cache. Visible keys of a row are one range (causal,
 * window and lengths) thinned by mask and bias; a tile of rows works on the union of its rows' ranges, and what a row may not
 * see there is exactly 0. Keys past a batch entry's length are never read.
 *
 * The transposed scores (keys broadcast, query rows as lanes) would need no packing of keys, but masks and weights would then
 * lie across the vectors.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu/attention_kernels.h"

#include "host/cpu/attention_tile.h"
#include "host/cpu/kv_dequantise.h"
#include "host/cpu/kv_place.h"
#include "host/cpu/softmax_rows.h"

/* 64 rows in tiles of four, and the odd ones as two and one. */
#define MO_MAX_TILES (MO_ATTENTION_ROWS / 4 + 2)

typedef struct mo_row_tile {
  int64_t row, rows;
  int64_t first, end; /* union of the visible ranges; first is a multiple of MO_VL; first == end: no key */
  bool alike;         /* all rows see the whole union */
} mo_row_tile;

/* The work on one row block. */
typedef struct mo_row_block {
  const mo_attention_plan *plan;
  const mo_attention_sequence *sequence;
  mo_attention_thread *thread;
  int64_t batch, head, first, count;
  mo_row_tile tiles[MO_MAX_TILES];
  int tile_count;
  int64_t key_first, key_end; /* union of all rows; first a multiple of MO_VL */
  const float *query;
  int64_t query_row;
  const float *values; /* key 0 */
  int64_t value_row, value_vectors;
  float *maximum, *sum, *rescale, *inverse;
  float *to; /* destination or accumulator */
  int64_t to_row;
} mo_row_block;

static inline int64_t mo_min_(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mo_max_(int64_t a, int64_t b) { return a > b ? a : b; }

static void mo_find_ranges_(mo_row_block *block) {
  const mo_attention_plan *plan = block->plan;
  int64_t *range = block->thread->row_range;
  const int64_t length = block->sequence->key_limit;
  int64_t key_first = plan->key_count, key_end = 0;
  int tile_count = 0;
  for (int64_t row = 0; row < block->count; ++tile_count) {
    mo_row_tile *tile = &block->tiles[tile_count];
    tile->row = row;
    tile->rows = mo_tile_rows_(block->count - row);
    int64_t low = plan->key_count, high_start = 0, low_end = plan->key_count, high = 0;
    for (const int64_t end = row + tile->rows; row < end; ++row) {
      const int64_t position = block->sequence->position + block->first + row;
      int64_t first_key = 0, end_key = length;
      if (plan->causal) end_key = mo_min_(end_key, position + 1);
      if (plan->sliding_window > 0) {
        first_key = mo_max_(first_key, position - plan->sliding_window + 1);
        end_key = mo_min_(end_key, position + plan->sliding_window);
      }
      if (first_key >= end_key) first_key = end_key = 0;
      range[2 * row] = first_key;
      range[2 * row + 1] = end_key;
      low_end = mo_min_(low_end, end_key);
      high = mo_max_(high, end_key);
      if (end_key > 0) low = mo_min_(low, first_key);
      high_start = mo_max_(high_start, first_key);
    }
    tile->first = high > 0 ? low / MO_VL * MO_VL : 0;
    tile->end = high;
    tile->alike = high > 0 && low_end == high && high_start == tile->first;
    if (high > 0) key_first = mo_min_(key_first, tile->first);
    key_end = mo_max_(key_end, high);
  }
  block->tile_count = tile_count;
  block->key_first = key_end > 0 ? key_first : 0;
  block->key_end = key_end;
}

/* Some tokens of a key/value head: token i has its elements from `element + i * row` of `data` on. */
typedef struct mo_token_rows {
  const void *data;
  mo_dtype_t dtype;
  int64_t element, row;
} mo_token_rows;

/* Up to MO_VL keys or values of a sequence, from `first` on, a multiple of MO_VL: they lie in one page. */
static mo_token_rows mo_cached_rows_(const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch, int64_t kv_head,
                                     bool values, int64_t first, int64_t count) {
  const mo_tensor *stored = values ? plan->cache->value : plan->cache->key;
  const mo_tensor *scale = values ? plan->cache->value_scale : plan->cache->key_scale;
  const mo_kv_place place = mo_kv_find_place(plan->cache, batch, first);
  const int64_t width = stored->shape[3];
  mo_token_rows rows = {.data = thread->cached, .dtype = plan->query.dtype, .row = width};
  if (!place.is_there) {
    memset(thread->cached, 0, (size_t)(count * width) * sizeof *thread->cached);
    return rows;
  }
  const uint8_t *from = (const uint8_t *)mo_kv_address(stored, place.block, kv_head, place.slot);
  if (scale == NULL) return (mo_token_rows){.data = from, .dtype = stored->dtype, .row = stored->strides[2]};
  const int64_t groups = scale->shape[3];
  for (int64_t i = 0; i < count; ++i) {
    mo_dequantise_head(thread->cached, rows.dtype, i * width, from + i * stored->strides[2],
                       (const float *)mo_kv_address(scale, place.block, kv_head, place.slot + i), groups,
                       groups > 0 ? width / groups : 0, stored->dtype == MO_DTYPE_INT8);
  }
  return rows;
}

static inline mo_token_rows mo_rows_(const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch, int64_t kv_head,
                                     bool values, int64_t first, int64_t count) {
  if (plan->cache != NULL) return mo_cached_rows_(plan, thread, batch, kv_head, values, first, count);
  const mo_score_view *view = values ? &plan->value : &plan->key;
  const int64_t token = plan->sequences[batch].key_first + first;
  return (mo_token_rows){.data = view->data,
                         .dtype = view->dtype,
                         .element = batch * view->batch + kv_head * view->head + token * view->row,
                         .row = view->row};
}

static void mo_pack_range_(const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch, int64_t kv_head,
                           int64_t first, int64_t end) {
  for (int64_t j = first; j < end; j += MO_VL) {
    const int64_t count = mo_min_(MO_VL, end - j);
    const mo_token_rows keys = mo_rows_(plan, thread, batch, kv_head, false, j, count);
    mo_pack_panel_(thread->key_panels + j * plan->head_dim, keys.data, keys.dtype, keys.element, keys.row, (int)count,
                   plan->head_dim);
    if (!plan->pack_values) continue;
    const mo_token_rows values = mo_rows_(plan, thread, batch, kv_head, true, j, count);
    mo_pack_rows_(thread->values + j * plan->value_stride, plan->value_stride, values.data, values.dtype, values.element,
                  values.row, count, plan->value_dim, true);
  }
}

/* Makes keys (and values) of the block's range ready; what the thread packed for an earlier block of the same head is kept. */
static void mo_pack_(const mo_row_block *block, int64_t kv_head) {
  const mo_attention_plan *plan = block->plan;
  mo_attention_thread *thread = block->thread;
  const int64_t group = block->batch * plan->kv_head_count + kv_head;
  const int64_t length = block->sequence->key_limit;
  const int64_t first = block->key_first, end = mo_round_up_vector_(block->key_end);
  if (thread->packed_group != group || first > thread->packed_end || end < thread->packed_first) {
    thread->packed_group = group;
    thread->packed_first = thread->packed_end = first;
  }
  if (first < thread->packed_first) {
    mo_pack_range_(plan, thread, block->batch, kv_head, first, thread->packed_first);
    thread->packed_first = first;
  }
  if (end > thread->packed_end) {
    mo_pack_range_(plan, thread, block->batch, kv_head, thread->packed_end, mo_min_(end, length));
    thread->packed_end = end;
  }
}

static void mo_score_(const mo_row_block *block, int64_t first, int64_t end) {
  const mo_attention_plan *plan = block->plan;
  const int64_t vector_first = first / MO_VL, vectors_end = (end + MO_VL - 1) / MO_VL;
  const mo_product product = {
      .depth = plan->head_dim,
      .a = block->query,
      .a_row = block->query_row,
      .b = block->thread->key_panels + first * plan->head_dim,
      .b_depth = MO_VL,
      .b_vector = plan->head_dim * MO_VL,
      .to = block->thread->scores,
      .to_row = plan->score_stride,
      .to_factor = &plan->scale,
  };
  for (int64_t v = vector_first; v < vectors_end;) {
    const int64_t vectors = mo_tile_vectors_(vectors_end - v);
    for (int i = 0; i < block->tile_count; ++i) {
      const mo_row_tile *tile = &block->tiles[i];
      if ((v + vectors) * MO_VL <= tile->first || v * MO_VL >= tile->end) continue;
      mo_tile_select_(tile->rows, vectors)(&product, tile->row, v - vector_first);
    }
    v += vectors;
  }
}

static mo_row_masks mo_masks_of_row_(const mo_row_block *block, int64_t row) {
  const mo_score_view *mask = &block->plan->mask, *bias = &block->plan->bias;
  const int64_t i = block->first + row;
  mo_row_masks masks = {
      .mask_dtype = mask->dtype, .mask_stride = mask->column, .bias_dtype = bias->dtype, .bias_stride = bias->column};
  if (mask->data != NULL) {
    masks.mask = mask->data + (size_t)(block->batch * mask->batch + block->head * mask->head + i * mask->row) *
                                  (mask->dtype == MO_DTYPE_INT64   ? 8
                                   : mask->dtype == MO_DTYPE_INT32 ? 4
                                                                   : 1);
  }
  if (bias->data != NULL) {
    masks.bias = bias->data + (size_t)(block->batch * bias->batch + block->head * bias->head + i * bias->row) *
                                  (bias->dtype == MO_DTYPE_FLOAT32 ? 4 : 2);
  }
  return masks;
}

static inline void mo_clear_(float *row, int64_t first, int64_t end) {
  if (end > first) memset(row + first, 0, (size_t)(end - first) * sizeof *row);
}

#define MO_ROWS_TOGETHER 4

/* The softmax of four rows that see all of `count` keys and nothing but the scores: their chains of dependent instructions
 * overlap. False, with nothing changed, if a row has no finite maximum. */
static bool mo_softmax_together_(const mo_row_block *block, int64_t row, float *scores, int64_t count) {
  const int64_t stride = block->plan->score_stride;
  mo_vf highest[MO_ROWS_TOGETHER], sum[MO_ROWS_TOGETHER], maximum[MO_ROWS_TOGETHER];
  float found[MO_ROWS_TOGETHER];
  MO_UNROLL for (int r = 0; r < MO_ROWS_TOGETHER; ++r) {
    mo_row_pad_(scores + r * stride, count);
    highest[r] = mo_vf_set1(-INFINITY);
    sum[r] = mo_vf_zero();
  }
  for (int64_t j = 0; j < count; j += MO_VL) {
    MO_UNROLL for (int r = 0; r < MO_ROWS_TOGETHER; ++r) highest[r] =
        mo_vf_max(mo_vf_load(scores + r * stride + j), highest[r]);
  }
  MO_UNROLL for (int r = 0; r < MO_ROWS_TOGETHER; ++r) found[r] = mo_vf_hmax(highest[r]);
  for (int r = 0; r < MO_ROWS_TOGETHER; ++r)
    if (!(fabsf(found[r]) <= FLT_MAX)) return false;
  for (int r = 0; r < MO_ROWS_TOGETHER; ++r) {
    const float before = block->maximum[row + r];
    const float after = found[r] > before ? found[r] : before;
    block->rescale[row + r] = before == -INFINITY ? 0.0f : before == after ? 1.0f : expf(before - after);
    block->maximum[row + r] = after;
    maximum[r] = mo_vf_set1(after);
  }
  for (int64_t j = 0; j < count; j += MO_VL) {
    MO_UNROLL for (int r = 0; r < MO_ROWS_TOGETHER; ++r) {
      const mo_vf p = mo_row_exp_(mo_vf_sub(mo_vf_load(scores + r * stride + j), maximum[r]));
      mo_vf_store(scores + r * stride + j, p);
      sum[r] = mo_vf_add(sum[r], p);
    }
  }
  MO_UNROLL for (int r = 0; r < MO_ROWS_TOGETHER; ++r) {
    block->sum[row + r] = block->sum[row + r] * block->rescale[row + r] + mo_vf_hsum(sum[r]);
  }
  return true;
}

/* Scores of the keys [first, end) to exp(score - maximum so far); sum, maximum and the rescaling of earlier blocks. */
static void mo_softmax_(const mo_row_block *block, int64_t first, int64_t end) {
  const mo_attention_plan *plan = block->plan;
  mo_attention_thread *thread = block->thread;
  const bool masked = plan->mask.data != NULL || plan->bias.data != NULL;
  const bool same_for_all_rows = plan->mask.row == 0 && plan->bias.row == 0; /* strides of what is not given are 0 */
  const float *shared = NULL;
  if (masked && same_for_all_rows) {
    const mo_row_masks masks = mo_masks_of_row_(block, 0);
    shared = mo_row_additive_(&masks, first, end - first, thread->additive);
  }
  const bool plain = !masked && plan->soft_cap <= 0.0f;
  for (int i = 0; i < block->tile_count; ++i) {
    const mo_row_tile *tile = &block->tiles[i];
    const int64_t tile_first = mo_max_(tile->first, first);
    const int64_t tile_end = mo_round_up_vector_(mo_min_(tile->end, end));
    const int64_t tile_keys = mo_min_(tile->end, end) - tile_first;
    const bool together = plain && tile->alike && tile_keys > 0 && tile->rows % MO_ROWS_TOGETHER == 0;
    for (int64_t row = tile->row; row < tile->row + tile->rows; ++row) {
      if (together && (row - tile->row) % MO_ROWS_TOGETHER == 0 &&
          mo_softmax_together_(block, row, thread->scores + row * plan->score_stride + (tile_first - first), tile_keys)) {
        row += MO_ROWS_TOGETHER - 1;
        continue;
      }
      const int64_t row_first = mo_max_(thread->row_range[2 * row], first);
      const int64_t row_end = mo_min_(thread->row_range[2 * row + 1], end);
      const int64_t start = row_first / MO_VL * MO_VL;
      float *scores = thread->scores + row * plan->score_stride; /* of key `first` */
      block->rescale[row] = 1.0f;
      if (row_first >= row_end) {
        mo_clear_(scores, tile_first - first, tile_end - first);
        continue;
      }
      float *own = scores + (start - first);
      const int64_t count = row_end - start;
      for (int64_t j = 0; j < row_first - start; ++j) own[j] = -INFINITY;
      mo_row_pad_(own, count);
      const float *additive = NULL;
      if (shared != NULL) {
        additive = shared + (start - first);
      } else if (masked) {
        const mo_row_masks masks = mo_masks_of_row_(block, row);
        additive = mo_row_additive_(&masks, start, count, thread->additive);
      }
      const float found = mo_row_finish_scores_(own, count, (int)(row_first - start), additive, plan->soft_cap);
      float maximum = found > block->maximum[row] ? found : block->maximum[row];
      if (maximum == -INFINITY) {
        if (!mo_row_has_nan_(own, count)) {
          mo_clear_(scores, tile_first - first, tile_end - first);
          continue;
        }
        maximum = 0.0f; /* nothing but NaN: let it through */
      }
      const float before = block->maximum[row];
      block->rescale[row] = before == -INFINITY ? 0.0f : before == maximum ? 1.0f : expf(before - maximum);
      block->sum[row] = block->sum[row] * block->rescale[row] + mo_row_exp_sum_(own, count, maximum);
      block->maximum[row] = maximum;
      mo_clear_(scores, tile_first - first, start - first);
      mo_clear_(scores, mo_round_up_vector_(row_end) - first, tile_end - first);
    }
  }
}

static void mo_invert_sums_(const mo_row_block *block) {
  for (int64_t row = 0; row < block->count; ++row)
    block->inverse[row] = block->sum[row] == 0.0f ? 0.0f : 1.0f / block->sum[row];
}

static void mo_accumulate_(const mo_row_block *block, int64_t first, int64_t end, bool continued, const float *factor,
                           int64_t factor_step) {
  const mo_attention_plan *plan = block->plan;
  for (int i = 0; i < block->tile_count; ++i) {
    const mo_row_tile *tile = &block->tiles[i];
    const int64_t tile_first = mo_max_(tile->first, first), tile_end = mo_min_(tile->end, end);
    if (continued && tile_first >= tile_end) continue;
    const mo_product product = {
        .depth = mo_max_(tile_end - tile_first, 0),
        .a = block->thread->scores + (tile_first < tile_end ? tile_first - first : 0),
        .a_row = plan->score_stride,
        .b = block->values + (tile_first < tile_end ? tile_first : 0) * block->value_row,
        .b_depth = block->value_row,
        .b_vector = MO_VL,
        .from = continued ? block->to : NULL,
        .from_row = block->to_row,
        .from_factor = block->rescale,
        .to = block->to,
        .to_row = block->to_row,
        .to_factor = factor,
        .to_factor_step = factor_step,
    };
    for (int64_t v = 0; v < block->value_vectors;) {
      const int64_t vectors = mo_tile_vectors_(block->value_vectors - v);
      mo_tile_select_(tile->rows, vectors)(&product, tile->row, v);
      v += vectors;
    }
  }
}

/* The mean of all values of the head, also those behind the length: what uniform weights over all keys give. */
static const float *mo_uniform_output_(const mo_row_block *block, int64_t kv_head) {
  const mo_attention_plan *plan = block->plan;
  mo_attention_thread *thread = block->thread;
  const int64_t group = block->batch * plan->kv_head_count + kv_head, key_count = block->sequence->key_count;
  if (thread->uniform_group == group) return thread->uniform;
  thread->uniform_group = group;
  const mo_vf share = mo_vf_set1(key_count > 0 ? 1.0f / (float)key_count : 0.0f);
  memset(thread->uniform, 0, (size_t)plan->value_stride * sizeof *thread->uniform);
  for (int64_t j = 0; j < key_count; j += MO_VL) {
    const int64_t count = mo_min_(MO_VL, key_count - j);
    const mo_token_rows values = mo_rows_(plan, thread, block->batch, kv_head, true, j, count);
    for (int64_t d = 0; d < plan->value_dim; d += MO_VL) {
      const int n = (int)mo_min_(MO_VL, plan->value_dim - d);
      mo_vf sum = mo_vf_load(thread->uniform + d);
      for (int64_t i = 0; i < count; ++i) {
        sum = mo_vf_fma(share, mo_vf_load_any(values.data, values.dtype, values.element + i * values.row + d, n), sum);
      }
      mo_vf_store(thread->uniform + d, sum);
    }
  }
  return thread->uniform;
}

static void mo_store_output_(const mo_row_block *block, int64_t kv_head, bool direct) {
  const mo_attention_plan *plan = block->plan;
  const mo_score_view *output = &plan->output;
  for (int64_t row = 0; row < block->count; ++row) {
    const bool nothing_visible = block->maximum[row] == -INFINITY;
    if (direct && !nothing_visible) continue;
    const float *from = nothing_visible ? mo_uniform_output_(block, kv_head) : block->to + row * block->to_row;
    const mo_vf factor = mo_vf_set1(nothing_visible ? 1.0f : block->inverse[row]);
    const int64_t token = block->sequence->query_first + block->first + row;
    const int64_t element = block->batch * output->batch + block->head * output->head + token * output->row;
    for (int64_t d = 0; d < plan->value_dim; d += MO_VL) {
      const int n = (int)mo_min_(MO_VL, plan->value_dim - d);
      mo_vf_store_any(output->data, output->dtype, element + d, mo_vf_mul(mo_vf_load(from + d), factor), n);
    }
  }
}

static void mo_store_log_sum_exp_(const mo_row_block *block) {
  const mo_attention_plan *plan = block->plan;
  const int64_t key_count = block->sequence->key_count;
  for (int64_t row = 0; row < block->count; ++row) {
    float *to = plan->log_sum_exp + block->batch * plan->lse_batch + block->head * plan->lse_head +
                (block->sequence->query_first + block->first + row) * plan->lse_row;
    if (block->maximum[row] == -INFINITY) *to = key_count > 0 ? logf((float)key_count) - FLT_MAX : -INFINITY;
    else *to = block->maximum[row] + logf(block->sum[row]);
  }
}

/* `count` probabilities (unnormalised, or one share for all where `from` is NULL) times `factor` to a destination row. */
static inline void mo_store_weights_(void *data, const mo_dtype_t dtype, int64_t element, const float *from, int64_t count,
                                     float factor) {
  const mo_vf f = mo_vf_set1(factor);
  for (int64_t j = 0; j < count; j += MO_VL) {
    const mo_vf p = from == NULL ? f : mo_vf_mul(mo_vf_load(from + j), f);
    mo_vf_store_any(data, dtype, element + j, p, (int)mo_min_(MO_VL, count - j));
  }
}

static inline void mo_add_weights_(float *to, const float *from, int64_t count, float factor) {
  const mo_vf f = mo_vf_set1(factor);
  for (int64_t j = 0; j < count; j += MO_VL) {
    const mo_vf p = from == NULL ? f : mo_vf_mul(mo_vf_load(from + j), f);
    /* what lies behind the keys of the sequence stays 0 */
    mo_vf_store_partial(to + j, mo_vf_add(mo_vf_load(to + j), p), (int)mo_min_(MO_VL, count - j));
  }
}

/* One selected row, whose probabilities of the keys [first, end) lie in `scores`. */
static void mo_emit_row_(const mo_row_block *block, int64_t row, int64_t first, int64_t end, const float *scores) {
  const mo_attention_plan *plan = block->plan;
  const bool nothing_visible = block->maximum[row] == -INFINITY;
  const int64_t key_count = block->sequence->key_count;
  const float factor = nothing_visible ? 1.0f / (float)key_count : block->inverse[row];
  if (nothing_visible) first = 0, end = key_count, scores = NULL;
  end = mo_min_(end, key_count);
  if (plan->reduction != MO_WEIGHTS_REDUCTION_NONE) {
    const int64_t padded = mo_round_up_vector_(plan->key_count);
    float *to =
        block->thread->reduced + (plan->reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? row * plan->score_stride : padded);
    mo_add_weights_(to + first, scores, end - first, factor);
    return;
  }
  const mo_score_view *weights = &plan->weights;
  const int64_t element = block->batch * weights->batch + plan->weight_slots[block->head] * weights->head +
                          (block->first + row - mo_attention_first_weight_row(plan, block->batch)) * weights->row;
#define MO_STORE_ROW(dtype)                                                                                                    \
  do {                                                                                                                         \
    mo_store_weights_(weights->data, dtype, element, NULL, first, 0.0f);                                                       \
    mo_store_weights_(weights->data, dtype, element + first, scores, end - first, factor);                                     \
    mo_store_weights_(weights->data, dtype, element + end, NULL, plan->key_count - end, 0.0f);                                 \
  } while (0)
  if (weights->dtype == MO_DTYPE_FLOAT32) MO_STORE_ROW(MO_DTYPE_FLOAT32);
  else if (weights->dtype == MO_DTYPE_FLOAT16) MO_STORE_ROW(MO_DTYPE_FLOAT16);
  else MO_STORE_ROW(MO_DTYPE_BFLOAT16);
#undef MO_STORE_ROW
}

static void mo_emit_weights_(const mo_row_block *block) {
  const mo_attention_plan *plan = block->plan;
  const bool column_sum = plan->reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  const int64_t padded = mo_round_up_vector_(plan->key_count);
  const int64_t first_weight_row = mo_attention_first_weight_row(plan, block->batch);
  /* A block's sum first, then the total: the error grows with the number of blocks, not of rows. */
  float *total = block->thread->reduced, *part = total + padded;
  if (column_sum) mo_clear_(part, 0, padded);
  for (int i = 0; i < block->tile_count; ++i) {
    const mo_row_tile *tile = &block->tiles[i];
    for (int64_t row = tile->row; row < tile->row + tile->rows; ++row) {
      if (block->first + row < first_weight_row) continue;
      const int64_t column = tile->end > 0 ? tile->first - block->key_first : 0;
      mo_emit_row_(block, row, tile->first, mo_round_up_vector_(tile->end),
                   block->thread->scores + row * plan->score_stride + column);
    }
  }
  if (column_sum) mo_add_weights_(total, part, padded, 1.0f);
}

void MO_SIMD(mo_attention_block)(const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch, int64_t head,
                                 int64_t first, int64_t count, bool weights) {
  const int64_t kv_head = head / plan->heads_per_kv;
  mo_row_block block; /* the tiles are many, and written one by one */
  block.plan = plan;
  block.sequence = &plan->sequences[batch];
  block.thread = thread;
  block.batch = batch;
  block.head = head;
  block.first = first;
  block.count = count;
  mo_find_ranges_(&block);
  mo_pack_(&block, kv_head);

  const mo_score_view *query = &plan->query, *value = &plan->value, *output = &plan->output;
  const int64_t token = block.sequence->query_first + first;
  const int64_t query_element = batch * query->batch + head * query->head + token * query->row;
  if (query->dtype == MO_DTYPE_FLOAT32) {
    block.query = (const float *)query->data + query_element;
    block.query_row = query->row;
  } else {
    mo_pack_rows_(thread->query, plan->head_dim, query->data, query->dtype, query_element, query->row, count, plan->head_dim,
                  false);
    block.query = thread->query;
    block.query_row = plan->head_dim;
  }
  block.values = plan->pack_values ? thread->values
                                   : (const float *)value->data + batch * value->batch + kv_head * value->head +
                                         block.sequence->key_first * value->row;
  block.value_row = plan->pack_values ? plan->value_stride : value->row;
  block.value_vectors = (plan->value_dim + MO_VL - 1) / MO_VL;
  block.maximum = thread->row_state;
  block.sum = block.maximum + plan->block_rows;
  block.rescale = block.sum + plan->block_rows;
  block.inverse = block.rescale + plan->block_rows;
  for (int64_t row = 0; row < count; ++row) {
    block.maximum[row] = -INFINITY;
    block.sum[row] = 0.0f;
  }

  const bool one_pass = block.key_end - block.key_first <= plan->block_keys;
  const bool direct = plan->direct_output && one_pass;
  block.to =
      direct ? (float *)output->data + batch * output->batch + head * output->head + token * output->row : thread->accumulator;
  block.to_row = direct ? output->row : plan->value_stride;
  const float one = 1.0f;
  for (int64_t key = block.key_first; key < block.key_end; key += plan->block_keys) {
    const int64_t end = mo_min_(key + plan->block_keys, block.key_end);
    mo_score_(&block, key, end);
    mo_softmax_(&block, key, end);
    if (direct) mo_invert_sums_(&block);
    mo_accumulate_(&block, key, end, key > block.key_first, direct ? block.inverse : &one, direct ? 1 : 0);
  }
  mo_invert_sums_(&block);
  mo_store_output_(&block, kv_head, direct);
  if (plan->log_sum_exp != NULL) mo_store_log_sum_exp_(&block);
  if (weights) mo_emit_weights_(&block);
}

void MO_SIMD(mo_attention_store_reduced)(const mo_attention_plan *plan, mo_attention_thread *thread, int64_t batch,
                                         int64_t slot, int64_t first, int64_t count) {
  const mo_score_view *weights = &plan->weights;
  const bool head_mean = plan->reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  const float factor = head_mean ? 1.0f / (float)plan->weight_slot_count : 1.0f;
  const int64_t first_weight_row = mo_attention_first_weight_row(plan, batch);
  for (int64_t row = 0; row < count; ++row) {
    if (head_mean && first + row < first_weight_row) continue;
    int64_t element = batch * weights->batch + slot * weights->head;
    if (head_mean) element += (first + row - first_weight_row) * weights->row;
    mo_store_weights_(weights->data, weights->dtype, element, thread->reduced + row * plan->score_stride, plan->key_count,
                      factor);
  }
}
