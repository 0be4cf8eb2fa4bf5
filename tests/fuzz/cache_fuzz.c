/* tests/fuzz/cache_fuzz.c - random scripts of calls on caches and page pools of every kind, beside a model of their counts.
 *
 * The model of a cache is how many tokens each layer has seen. A call that fails has changed none of them; what a call that
 * succeeds has done to them is said here once more. Everything that a cache hands out is read to its last byte.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { CACHES = 4, POOLS = 2, VIEWS = 3, LAYERS = 4, PAGES = 12, STEP_LIMIT = 120, TOKENS = 40, ROWS_LIMIT = 64 };

typedef struct subject {
  mo_cache_t *cache;
  bool is_pair;
  int64_t seen[LAYERS]; /* mo_cache_length of each layer */
} subject;

/* A pool, and the pages the script holds by hand. */
typedef struct pool {
  mo_page_pool_t *pool;
  int64_t page_count;
  int32_t held[PAGES];
  int held_count;
} pool;

typedef struct script {
  fuzz_input input;
  subject subjects[CACHES];
  pool pools[POOLS];
  mo_field *views[VIEWS];
  int64_t heads, head_dim, value_head_dim, batch; /* what most calls agree on */
  mo_dtype_t dtype;
} script;

/* Small numbers with those at the edges of their type among them. */
static int64_t number(script *self, int bound) { return fuzz_integer(&self->input, bound); }

/* Numbers of layers: without the edge of 16 bits, which is allowed and only takes long. */
static int64_t layer_number(script *self, int bound) {
  const int64_t value = number(self, bound);
  return value == INT16_MAX ? INT8_MAX : value;
}

static int64_t pick_layer(script *self) {
  return fuzz_once_in(&self->input, 12) ? layer_number(self, 8) : fuzz_pick(&self->input, LAYERS);
}

/* ---- Looking ---------------------------------------------------------------------------------------------------------- */

/* Of element number `n`, in elements. */
static int64_t element_offset(const mo_tensor *tensor, int64_t n) {
  int64_t offset = 0;
  for (int32_t i = tensor->rank - 1; i >= 0; --i) {
    offset += n % tensor->shape[i] * tensor->strides[i];
    n /= tensor->shape[i];
  }
  return offset;
}

static void look(const mo_tensor *tensor) {
  static volatile unsigned sum; /* keeps the reads */
  if (tensor == NULL || tensor->dtype == MO_DTYPE_NONE) return;
  const size_t element = mo_dtype_bytes(tensor->dtype);
  const int64_t count = mo_tensor_count(tensor);
  for (int64_t n = 0; n < count; ++n) {
    const uint8_t *at = (const uint8_t *)tensor->data + (size_t)element_offset(tensor, n) * element;
    for (size_t byte = 0; byte < element; ++byte) sum = sum + at[byte];
  }
}

static void look_at_view(const mo_kv_view *view) {
  look(view->key);
  look(view->value);
  look(view->key_scale);
  look(view->value_scale);
  look(view->block_table);
}

static void look_at_entry(const mo_cache_entry *entry) {
  look(&entry->key);
  look(&entry->value);
  look(&entry->lengths);
  look_at_view(&entry->view);
  FUZZ_REQUIRE(entry->token_count >= 0 && entry->token_count <= entry->length);
}

static void look_at_field(const mo_field *field) {
  look(mo_field_tensor(field));
  for (int64_t i = 0; i < mo_field_length(field); ++i) look_at_field(mo_field_item(field, i));
}

static void learn(subject *of) {
  for (int64_t layer = 0; layer < LAYERS; ++layer) of->seen[layer] = mo_cache_length(of->cache, layer);
}

static void check(const subject *of) {
  const mo_cache_t *cache = of->cache;
  if (cache == NULL) return;
  for (int64_t layer = 0; layer < LAYERS; ++layer) {
    int64_t kv_length = -1, kv_offset = -1;
    FUZZ_REQUIRE(mo_cache_length(cache, layer) == of->seen[layer]);
    FUZZ_REQUIRE(mo_cache_stored_length(cache, layer) >= 0 && mo_cache_stored_length(cache, layer) <= of->seen[layer]);
    mo_cache_mask_sizes(cache, 1, layer, &kv_length, &kv_offset);
    FUZZ_REQUIRE(kv_length >= 1 && kv_offset >= 0);
    FUZZ_REQUIRE(mo_cache_max_length(cache, layer) >= -1);
    FUZZ_REQUIRE(mo_cache_bytes(cache, layer) <= mo_cache_bytes(cache, -1));
    (void)mo_cache_is_sliding(cache, layer);
    (void)mo_cache_is_updated(cache, layer);
  }
  FUZZ_REQUIRE(mo_cache_batch_size(cache) >= -1 && mo_cache_layer_count(cache) >= 0);
  (void)mo_cache_kind(cache);
  (void)mo_cache_is_initialized(cache);
  (void)mo_cache_is_compileable(cache);
  FUZZ_REQUIRE(mo_cache_length(cache, -1) >= 0 && mo_cache_length(cache, INT64_MAX) == 0);
}

/* ---- Making ------------------------------------------------------------------------------------------------------------ */

static void make_pool(script *self) {
  pool *slot = &self->pools[fuzz_pick(&self->input, POOLS)];
  mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
  options.page_count = fuzz_once_in(&self->input, 8) ? number(self, 9) : 1 + fuzz_pick(&self->input, PAGES - 1);
  options.page_size = fuzz_once_in(&self->input, 8) ? number(self, 65) : 16;
  options.layer_count = fuzz_once_in(&self->input, 8) ? layer_number(self, 9) : 1 + fuzz_pick(&self->input, 3);
  options.num_key_value_heads = fuzz_once_in(&self->input, 8) ? number(self, 9) : self->heads;
  options.head_dim = fuzz_once_in(&self->input, 8) ? number(self, 9) : self->head_dim;
  options.value_head_dim = fuzz_once_in(&self->input, 8) ? number(self, 9) : self->value_head_dim;
  options.dtype = fuzz_once_in(&self->input, 16) ? (mo_dtype_t)fuzz_pick(&self->input, 11) : self->dtype;
  options.storage_dtype = fuzz_once_in(&self->input, 3) ? (mo_dtype_t)fuzz_pick(&self->input, 11) : MO_DTYPE_NONE;
  options.group_size = fuzz_once_in(&self->input, 4) ? number(self, 5) : 0;
  options.tokens_first = fuzz_pick(&self->input, 2) == 1;
  if (fuzz_once_in(&self->input, 32)) options.struct_size = (size_t)fuzz_byte(&self->input) % sizeof options;
  mo_page_pool_t *made = NULL;
  FUZZ_REQUIRE(fuzz_status(mo_page_pool_create(fuzz_context(), &options, &made)) == (made != NULL));
  if (made == NULL) return;
  mo_page_pool_release(slot->pool);
  *slot = (pool){.pool = made, .page_count = options.page_count};
  FUZZ_REQUIRE(mo_page_pool_free_pages(made) == options.page_count);
}

static void adopt(subject *slot, mo_status_t status, mo_cache_t *made, bool is_pair) {
  FUZZ_REQUIRE(fuzz_status(status) == (made != NULL));
  if (made == NULL) return;
  mo_cache_release(slot->cache);
  slot->cache = made;
  slot->is_pair = is_pair;
  learn(slot);
}

static void make_cache(script *self) {
  subject *slot = &self->subjects[fuzz_pick(&self->input, CACHES)];
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  mo_cache_layer_options layers[LAYERS] = {{0}};
  const int kind = fuzz_pick(&self->input, 7);
  options.kind = (mo_cache_kind_t)(kind < 6                        ? kind + 1
                                   : fuzz_once_in(&self->input, 4) ? fuzz_byte(&self->input)
                                                                   : MO_CACHE_PAGED);
  options.layer_count = fuzz_once_in(&self->input, 4) ? layer_number(self, 4) : 2;
  if (options.kind == MO_CACHE_PAGED) {
    options.page_pool = self->pools[fuzz_pick(&self->input, POOLS)].pool;
    options.layer_count = 0;
  }
  if (options.kind == MO_CACHE_QUANTIZED && fuzz_pick(&self->input, 2) == 1) options.storage_dtype = MO_DTYPE_FLOAT8_E4M3;
  if (options.kind == MO_CACHE_STATIC || options.kind == MO_CACHE_STATIC_SLIDING)
    options.max_length = 1 + fuzz_pick(&self->input, TOKENS);
  if (options.kind == MO_CACHE_SLIDING || options.kind == MO_CACHE_STATIC_SLIDING)
    options.window = 1 + fuzz_pick(&self->input, 9);
  int64_t *const members[] = {&options.batch_size,     &options.num_key_value_heads, &options.head_dim,
                              &options.value_head_dim, &options.max_length,          &options.window,
                              &options.group_size};
  if (fuzz_pick(&self->input, 2) == 1) {
    options.num_key_value_heads = self->heads;
    options.head_dim = self->head_dim;
    options.value_head_dim = self->value_head_dim;
    options.dtype = self->dtype;
    if (fuzz_pick(&self->input, 2) == 1) options.batch_size = self->batch;
  }
  if (fuzz_once_in(&self->input, 4)) *members[fuzz_pick(&self->input, 7)] = number(self, 9);
  if (fuzz_once_in(&self->input, 16)) options.dtype = (mo_dtype_t)fuzz_pick(&self->input, 11);
  if (fuzz_once_in(&self->input, 16)) options.storage_dtype = (mo_dtype_t)fuzz_pick(&self->input, 11);
  if (options.layer_count > 0 && options.layer_count <= LAYERS && fuzz_once_in(&self->input, 3)) {
    options.layers = layers;
    for (int64_t i = 0; i < options.layer_count; ++i) {
      layers[i].kind = (mo_cache_kind_t)fuzz_pick(&self->input, 5);
      if (fuzz_once_in(&self->input, 2)) layers[i].window = number(self, 9);
      if (fuzz_once_in(&self->input, 8)) layers[i].head_dim = number(self, 9);
      if (fuzz_once_in(&self->input, 8)) layers[i].num_key_value_heads = number(self, 4);
    }
  }
  options.keeps_addresses = fuzz_pick(&self->input, 2) == 1;
  if (fuzz_once_in(&self->input, 32)) options.struct_size = (size_t)fuzz_byte(&self->input) % sizeof options;
  mo_cache_t *made = NULL;
  const mo_status_t status = mo_cache_create(fuzz_context(), &options, &made);
  adopt(slot, status, made, false);
}

static void make_pair(script *self) {
  mo_cache_t *a = self->subjects[fuzz_pick(&self->input, CACHES)].cache,
             *b = self->subjects[fuzz_pick(&self->input, CACHES)].cache;
  subject *slot = &self->subjects[fuzz_pick(&self->input, CACHES)];
  mo_cache_t *made = NULL;
  /* The parts are the pair's alone, so that what this script knows of them stays right. */
  mo_cache_t *copy_a = NULL, *copy_b = NULL;
  if (a == NULL || b == NULL || !fuzz_status(mo_cache_copy(a, &copy_a))) return;
  if (fuzz_status(mo_cache_copy(b, &copy_b))) {
    const mo_status_t status = mo_cache_create_encoder_decoder(copy_a, fuzz_once_in(&self->input, 16) ? copy_a : copy_b, &made);
    adopt(slot, status, made, true);
  }
  mo_cache_release(copy_a);
  mo_cache_release(copy_b);
}

static void copy_cache(script *self, const subject *of) {
  subject *slot = &self->subjects[fuzz_pick(&self->input, CACHES)];
  mo_cache_t *made = NULL;
  if (slot == of) return;
  const mo_status_t status = mo_cache_copy(of->cache, &made);
  if (made != NULL) {
    for (int64_t layer = 0; layer < LAYERS; ++layer) FUZZ_REQUIRE(mo_cache_length(made, layer) == of->seen[layer]);
  }
  adopt(slot, status, made, of->is_pair);
}

/* ---- Updates ------------------------------------------------------------------------------------------------------------- */

/* A tensor of new keys or values in memory of exactly its size; `memory` is the caller's to free. */
static mo_tensor make_tokens(script *self, int64_t batch, int64_t tokens, int64_t size, void **memory) {
  int64_t shape[4] = {batch, fuzz_once_in(&self->input, 24) ? fuzz_pick(&self->input, 5) : self->heads, tokens,
                      fuzz_once_in(&self->input, 24) ? fuzz_pick(&self->input, 9) : size};
  const mo_dtype_t dtype = fuzz_once_in(&self->input, 24) ? (mo_dtype_t)(1 + fuzz_pick(&self->input, 9)) : self->dtype;
  const size_t bytes = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]) * mo_dtype_bytes(dtype);
  *memory = malloc(bytes > 0 ? bytes : 1);
  FUZZ_REQUIRE(*memory != NULL);
  memset(*memory, fuzz_byte(&self->input), bytes);
  return mo_tensor_cpu(*memory, dtype, 4, shape);
}

static void update(script *self, subject *of) {
  enum { POSITIONS = 16 };
  static const float table[POSITIONS * 4];
  const int64_t layer = pick_layer(self);
  const int64_t batch =
      mo_cache_batch_size(of->cache) > 0 && !fuzz_once_in(&self->input, 16) ? mo_cache_batch_size(of->cache) : self->batch;
  const int64_t tokens = fuzz_pick(&self->input, fuzz_once_in(&self->input, 6) ? TOKENS : 4);
  void *memory[3] = {NULL, NULL, NULL};
  if (batch > ROWS_LIMIT) return;
  const mo_tensor key = make_tokens(self, batch, tokens, self->head_dim, &memory[0]);
  const mo_tensor value = make_tokens(self, batch, tokens, self->value_head_dim, &memory[1]);
  const int64_t pairs = self->head_dim / 2 < 4 ? self->head_dim / 2 : 4;
  const mo_tensor cosine = mo_tensor_cpu((void *)(uintptr_t)table, MO_DTYPE_FLOAT32, 2, (int64_t[]){POSITIONS, pairs});
  const mo_rotary rotary = {&cosine, &cosine, (mo_rotary_pairing_t)fuzz_pick(&self->input, 2)};
  const bool turns = fuzz_once_in(&self->input, 4), placed = fuzz_once_in(&self->input, 4);
  const int64_t position_shape[2] = {fuzz_pick(&self->input, 2) == 0 ? batch : 1, tokens};
  const int64_t position_count = position_shape[0] * tokens;
  int64_t *positions = malloc((size_t)position_count * sizeof *positions + 1);
  FUZZ_REQUIRE(positions != NULL);
  for (int64_t i = 0; i < position_count; ++i) positions[i] = fuzz_once_in(&self->input, 8) ? number(self, POSITIONS) : 1;
  memory[2] = positions;
  const mo_tensor position_ids = mo_tensor_cpu(positions, MO_DTYPE_INT64, 2, position_shape);
  mo_cache_entry entry;
  const bool wants = fuzz_pick(&self->input, 4) != 3;
  if (fuzz_status(mo_cache_update(of->cache, layer, &key, &value, turns ? &rotary : NULL, placed ? &position_ids : NULL,
                                  wants ? &entry : NULL))) {
    if (layer < LAYERS) of->seen[layer] += tokens;
    if (wants) look_at_entry(&entry);
  }
  for (int i = 0; i < 3; ++i) free(memory[i]);
}

/* What a kernel of the caller's would write between prepare and commit. */
static void write_tokens(const mo_cache_entry *entry, int64_t slot, int64_t count) {
  const mo_tensor *const tensors[] = {entry->view.key, entry->view.value, entry->view.key_scale, entry->view.value_scale};
  for (int i = 0; i < 4; ++i) {
    const mo_tensor *tensor = tensors[i];
    if (tensor == NULL || entry->view.block_table != NULL) continue;
    for (int64_t b = 0; b < tensor->shape[0]; ++b)
      for (int64_t h = 0; h < tensor->shape[1]; ++h)
        for (int64_t t = slot; t < slot + count; ++t)
          memset((uint8_t *)tensor->data + (size_t)(b * tensor->strides[0] + h * tensor->strides[1] + t * tensor->strides[2]) *
                                               mo_dtype_bytes(tensor->dtype),
                 0x3C, (size_t)tensor->shape[3] * mo_dtype_bytes(tensor->dtype));
  }
}

static void prepare(script *self, subject *of) {
  const int64_t layer = pick_layer(self),
                count = fuzz_once_in(&self->input, 8) ? number(self, TOKENS) : fuzz_pick(&self->input, 4);
  mo_cache_entry entry;
  int64_t slot = -1;
  if (!fuzz_status(mo_cache_prepare(of->cache, layer, count, &entry, &slot))) return;
  FUZZ_REQUIRE(slot >= 0);
  write_tokens(&entry, slot, count);
  if (fuzz_pick(&self->input, 2) == 1 && fuzz_status(mo_cache_written(of->cache, layer, count, &entry))) look_at_entry(&entry);
  if (fuzz_pick(&self->input, 4) == 3) return;
  const int64_t counted = fuzz_once_in(&self->input, 4) ? number(self, 4) : count;
  if (fuzz_status(mo_cache_commit(of->cache, layer, counted)) && layer < LAYERS) of->seen[layer] += counted;
}

static void commit(script *self, subject *of) {
  const int64_t layer = fuzz_pick(&self->input, 2) == 0 ? -1 : pick_layer(self), count = number(self, 3);
  if (!fuzz_status(mo_cache_commit(of->cache, layer, count))) return;
  if (layer >= 0) {
    if (layer < LAYERS) of->seen[layer] += count;
    return;
  }
  for (int64_t i = 0; i < LAYERS; ++i) {
    const int64_t now = mo_cache_length(of->cache, i);
    FUZZ_REQUIRE(now == of->seen[i] || now == of->seen[i] + count); /* layers that are allocated */
    of->seen[i] = now;
  }
}

static void reserve(script *self, subject *of) { (void)fuzz_status(mo_cache_reserve(of->cache, number(self, TOKENS))); }

static void initialize(script *self, subject *of) {
  const bool plain = fuzz_pick(&self->input, 4) != 3;
  (void)fuzz_status(mo_cache_initialize(of->cache, plain ? self->batch : number(self, 5), plain ? self->heads : number(self, 5),
                                        plain ? self->head_dim : number(self, 9),
                                        plain ? self->dtype : (mo_dtype_t)number(self, 11)));
}

/* ---- Changes ------------------------------------------------------------------------------------------------------------- */

static void crop(script *self, subject *of) {
  const int64_t count = number(self, 9);
  if (!fuzz_status(mo_cache_crop(of->cache, count))) return;
  FUZZ_REQUIRE(count >= 0);
  for (int64_t i = 0; i < LAYERS; ++i) {
    const int64_t now = mo_cache_length(of->cache, i);
    FUZZ_REQUIRE(now == (of->seen[i] > count ? of->seen[i] - count : 0) || mo_cache_kind(of->cache) == MO_CACHE_PAGED);
    of->seen[i] = now;
  }
}

static void change_rows(script *self, subject *of) {
  int64_t rows[8];
  const int64_t batch = mo_cache_batch_size(of->cache),
                count = fuzz_once_in(&self->input, 4) ? fuzz_pick(&self->input, 8) : batch;
  if (batch > ROWS_LIMIT / 4 || count > 8) return;
  for (int64_t i = 0; i < count && i < 8; ++i)
    rows[i] = fuzz_once_in(&self->input, 16) ? number(self, 9) : batch > 0 ? fuzz_byte(&self->input) % batch : 0;
  const int way = fuzz_pick(&self->input, 3);
  mo_status_t status;
  if (way == 0) status = mo_cache_reorder(of->cache, count < 0 ? NULL : rows, count);
  else if (way == 1) status = mo_cache_batch_select(of->cache, count < 0 ? NULL : rows, count);
  else
    status = mo_cache_batch_repeat(of->cache, fuzz_once_in(&self->input, 8) ? number(self, 1) : 1 + fuzz_pick(&self->input, 3));
  /* Of rows of different lengths another may now be the longest. */
  if (fuzz_status(status) && mo_cache_kind(of->cache) == MO_CACHE_PAGED) learn(of);
}

static void change_row(script *self, subject *of) {
  const subject *source = &self->subjects[fuzz_pick(&self->input, CACHES)];
  const int64_t row = number(self, 4);
  const int64_t before = mo_cache_row_length(of->cache, row);
  if (fuzz_pick(&self->input, 3) == 0) {
    if (!fuzz_status(mo_cache_reset_row(of->cache, row))) return;
    FUZZ_REQUIRE(mo_cache_row_length(of->cache, row) == 0);
  } else {
    const int64_t length = number(self, TOKENS);
    const mo_status_t status = mo_cache_share_prefix(of->cache, row, source->cache, number(self, 4), length);
    FUZZ_REQUIRE(mo_cache_row_length(of->cache, row) == (fuzz_status(status) ? length : before));
  }
  learn(of);
}

static void reset(subject *of) {
  if (fuzz_status(mo_cache_reset(of->cache))) memset(of->seen, 0, sizeof of->seen);
}

/* ---- Asking -------------------------------------------------------------------------------------------------------------- */

static void take_field(script *self, const subject *of) {
  const int slot = fuzz_pick(&self->input, VIEWS);
  const mo_framework_t framework = (mo_framework_t)(1 + fuzz_pick(&self->input, 4));
  mo_field *field = NULL;
  FUZZ_REQUIRE(fuzz_status(mo_cache_field(of->cache, framework, &field)) == (field != NULL));
  if (field == NULL) return;
  FUZZ_REQUIRE(mo_field_cache(field) == of->cache);
  look_at_field(field);
  mo_field_release(self->views[slot]);
  self->views[slot] = field;
}

/* Tensors of one shape and dtype, byte by byte. */
static void require_same(const mo_tensor *a, const mo_tensor *b) {
  FUZZ_REQUIRE(a != NULL && b != NULL && a->dtype == b->dtype && a->rank == b->rank);
  for (int32_t i = 0; i < a->rank; ++i) FUZZ_REQUIRE(a->shape[i] == b->shape[i]);
  const size_t element = mo_dtype_bytes(a->dtype);
  const int64_t count = mo_tensor_count(a);
  for (int64_t n = 0; n < count; ++n)
    FUZZ_REQUIRE(memcmp((const uint8_t *)a->data + (size_t)element_offset(a, n) * element,
                        (const uint8_t *)b->data + (size_t)element_offset(b, n) * element, element) == 0);
}

static void require_same_fields(const mo_field *a, const mo_field *b) {
  FUZZ_REQUIRE(mo_field_kind(a) == mo_field_kind(b) && mo_field_length(a) == mo_field_length(b));
  if (mo_field_kind(a) == MO_FIELD_TENSOR) require_same(mo_field_tensor(a), mo_field_tensor(b));
  for (int64_t i = 0; i < mo_field_length(a); ++i) require_same_fields(mo_field_item(a, i), mo_field_item(b, i));
}

/* What a cache shows goes to a file and comes back. */
static void save(const subject *of) {
  char path[FUZZ_PATH_BYTES];
  mo_field *field = NULL;
  mo_output *output = NULL, *loaded = NULL;
  if (!fuzz_status(mo_cache_field(of->cache, MO_FRAMEWORK_PT, &field))) return;
  const mo_item item = {"past_key_values", field};
  fuzz_scratch_path("cache.safetensors", path);
  if (fuzz_status(mo_output_create_from_items(fuzz_context(), mo_class_find("BaseModelOutputWithPast"), &item, 1, &output)) &&
      fuzz_status(mo_output_save(output, path, NULL)) && fuzz_status(mo_output_load(fuzz_context(), path, &loaded)) &&
      mo_field_length(field) > 0)
    require_same_fields(field, mo_output_get(loaded, "past_key_values"));
  mo_output_destroy(loaded);
  mo_output_destroy(output);
  mo_field_release(field);
}

static void ask(script *self, const subject *of) {
  mo_tensor lengths, table;
  mo_cache_entry entry;
  if (fuzz_status(mo_cache_read(of->cache, pick_layer(self), &entry))) look_at_entry(&entry);
  if (fuzz_status(mo_cache_lengths(of->cache, &lengths))) look(&lengths);
  if (fuzz_status(mo_cache_block_table(of->cache, &table, &lengths))) {
    look(&table);
    look(&lengths);
  }
  (void)mo_cache_row_length(of->cache, number(self, 4));
  (void)mo_cache_mask_sizes(of->cache, number(self, 4), number(self, 4), &(int64_t){0}, &(int64_t){0});
  (void)fuzz_status(mo_cache_set_updated(of->cache, number(self, 4), fuzz_pick(&self->input, 2) == 1));
  FUZZ_REQUIRE(mo_cache_self(of->cache) != NULL && (mo_cache_cross(of->cache) != NULL) == of->is_pair);
  FUZZ_REQUIRE(mo_cache_context(of->cache) == fuzz_context());
}

/* The parts of a pair are caches of their own; the pair answers for its self cache. */
static void use_part(script *self, subject *of) {
  if (!of->is_pair) return;
  subject part = {.cache = fuzz_pick(&self->input, 2) == 0 ? mo_cache_self(of->cache) : mo_cache_cross(of->cache)};
  learn(&part);
  if (fuzz_pick(&self->input, 3) == 0) change_rows(self, &part);
  else update(self, &part);
  check(&part);
  learn(of);
}

static void use_pages(script *self) {
  pool *of = &self->pools[fuzz_pick(&self->input, POOLS)];
  int32_t pages[PAGES];
  if (of->pool == NULL) return;
  const int64_t free_before = mo_page_pool_free_pages(of->pool);
  const int way = fuzz_pick(&self->input, 4);
  mo_kv_view view;
  if (way == 0) {
    const int64_t count = fuzz_once_in(&self->input, 8) ? number(self, 1) : fuzz_pick(&self->input, PAGES - of->held_count + 1);
    if (count > PAGES - of->held_count && count <= of->page_count) return;
    if (!fuzz_status(mo_page_pool_allocate(of->pool, count, of->held + of->held_count))) return;
    FUZZ_REQUIRE(mo_page_pool_free_pages(of->pool) == free_before - count);
    of->held_count += (int)count;
  } else if (way == 1) {
    if (of->held_count == 0) return;
    FUZZ_REQUIRE(fuzz_status(mo_page_pool_share(of->pool, of->held, 1)));
    FUZZ_REQUIRE(fuzz_status(mo_page_pool_give_back(of->pool, of->held, 1)));
    for (int i = 0; i < PAGES; ++i) pages[i] = (int32_t)of->page_count + i; /* outside: none is changed */
    FUZZ_REQUIRE(!fuzz_status(mo_page_pool_share(of->pool, pages, 2)) &&
                 !fuzz_status(mo_page_pool_give_back(of->pool, pages, 1)));
  } else if (way == 2) {
    if (of->held_count == 0) return;
    FUZZ_REQUIRE(fuzz_status(mo_page_pool_give_back(of->pool, &of->held[--of->held_count], 1)));
  } else if (fuzz_status(mo_page_pool_view(of->pool, number(self, 4), &view))) {
    look_at_view(&view);
  }
  (void)mo_page_pool_references(of->pool, (int32_t)(number(self, PAGES) % 1000));
}

static void step(script *self) {
  const int call = fuzz_byte(&self->input) % 25;
  subject *of = &self->subjects[fuzz_pick(&self->input, CACHES)];
  if (fuzz_once_in(&self->input, 32)) fuzz_fail_allocation(1 + fuzz_pick(&self->input, 6));
  if (call < 2 || (call > 4 && of->cache == NULL)) make_cache(self);
  else if (call == 2) make_pool(self);
  else if (call == 3) use_pages(self);
  else if (of->cache == NULL || call == 4) make_pair(self);
  else if (call < 11) update(self, of);
  else if (call < 13) prepare(self, of);
  else if (call == 13) commit(self, of);
  else if (call == 14) crop(self, of);
  else if (call < 17) change_rows(self, of);
  else if (call == 17) change_row(self, of);
  else if (call == 18) copy_cache(self, of);
  else if (call == 19) take_field(self, of);
  else if (call == 20) ask(self, of);
  else if (call == 21) use_part(self, of);
  else if (call == 22) (fuzz_pick(&self->input, 2) == 0 ? reserve : initialize)(self, of);
  else if (call == 24) save(of);
  else if (fuzz_pick(&self->input, 3) == 0) reset(of);
  else look_at_field(self->views[fuzz_pick(&self->input, VIEWS)]);
  fuzz_fail_allocation(0);
  for (int i = 0; i < CACHES; ++i) check(&self->subjects[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static const int64_t sizes[] = {4, 8, 1, 3, 16};
  static const mo_dtype_t dtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};
  script self = {.input = {data, bytes}};
  (void)fuzz_context();
  self.batch = 1 + fuzz_pick(&self.input, 3);
  self.heads = 1 + fuzz_pick(&self.input, 2);
  self.head_dim = sizes[fuzz_pick(&self.input, 5)];
  self.value_head_dim = fuzz_once_in(&self.input, 3) ? sizes[fuzz_pick(&self.input, 5)] : self.head_dim;
  self.dtype = dtypes[fuzz_pick(&self.input, 3)];
  for (int steps = 0; self.input.left > 0 && steps < STEP_LIMIT; ++steps) step(&self);
  for (int i = 0; i < CACHES; ++i) mo_cache_release(self.subjects[i].cache);
  for (int i = 0; i < VIEWS; ++i) {
    look_at_field(self.views[i]);
    mo_field_release(self.views[i]);
  }
  for (int i = 0; i < POOLS; ++i) { /* without caches, what the script does not hold is free */
    pool *of = &self.pools[i];
    if (of->pool != NULL) FUZZ_REQUIRE(mo_page_pool_free_pages(of->pool) == of->page_count - of->held_count);
    if (of->held_count > 0) FUZZ_REQUIRE(fuzz_status(mo_page_pool_give_back(of->pool, of->held, of->held_count)));
    mo_page_pool_release(of->pool);
  }
  fuzz_close_context();
  return 0;
}
