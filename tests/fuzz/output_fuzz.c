/* tests/fuzz/output_fuzz.c - random scripts of calls on outputs and fields, beside a model of what their keys must be.
 *
 * The model of an output is its list of keys and fields. A call that fails has changed nothing; what a call that succeeds has
 * done to the list is said here once more, in the words of docs/output_behaviour.md.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { OUTPUTS = 3, FIELDS = 8, KEYS = 64, ITEMS = 4, NODE_LIMIT = 512, STEP_LIMIT = 200 };

typedef struct entry {
  char key[64];
  mo_field *field;
} entry;

/* An output and what its mapping must be. */
typedef struct subject {
  mo_output *output;
  int count;
  entry entries[KEYS];
} subject;

typedef struct script {
  fuzz_input input;
  subject subjects[OUTPUTS];
  mo_field *fields[FIELDS];
  int nodes[FIELDS]; /* of each field when every shared part counts where it stands */
} script;

static bool is(const mo_output *output, mo_framework_t framework) { return output->output_class->framework == framework; }

/* ---- Choices -------------------------------------------------------------------------------------------------------- */

static mo_field *pick_field(script *self) {
  const int choice = fuzz_pick(&self->input, FIELDS + 1);
  return choice == FIELDS ? NULL : self->fields[choice];
}

/* A declared name, a key that is there, or one of a few others. */
static const char *pick_key(script *self, const subject *on) {
  static const char *const others[] = {"", "a", "b", "keys", "loss", "logits", "0", "a.b", "\x1B[31m", "\xFF"};
  const int choice = fuzz_byte(&self->input);
  if (on->output != NULL && choice < 150 && on->output->output_class->field_count > 0)
    return on->output->output_class->fields[choice % on->output->output_class->field_count].name;
  if (choice < 200 && on->count > 0) return mo_output_key_at(on->output, choice % on->count);
  return others[choice % (int)(sizeof others / sizeof others[0])];
}

/* Classes of the table, and those that models and generation define beside it. */
static const mo_class *pick_class(script *self) {
  static const char *const plain[] = {"ModelOutput", "SequenceClassifierOutput", "BaseModelOutputWithPast",
                                      "FlaxMaskedLMOutput", "TFSeq2SeqLMOutput"};
  const int choice = fuzz_byte(&self->input);
  if (choice < 100) return mo_class_find(plain[choice % (int)(sizeof plain / sizeof plain[0])]);
  if (choice < 120)
    return mo_generation_class((mo_framework_t)(choice % 4), (mo_generation_mode_t)(choice % 3), choice % 2 == 0);
  return mo_class_at(choice % (mo_class_count() + 1));
}

static int64_t pick_extent(script *self) {
  static const int64_t extents[] = {2,        1, 3, 0, 4, 5, 7, MO_EXTENT_ZERO, 1, 2, 3, -1, (int64_t)1 << 20, (int64_t)1 << 31,
                                    INT64_MAX};
  const int choice = fuzz_byte(&self->input);
  return extents[choice < 200 ? choice % 7 : choice % (int)(sizeof extents / sizeof extents[0])];
}

static mo_slice pick_slice(fuzz_input *input) {
  mo_slice slice = {fuzz_integer(input, 5), fuzz_integer(input, 6), fuzz_integer(input, 4)};
  if (fuzz_once_in(input, 4) && slice.start < 5) slice.start = -1;
  if (fuzz_once_in(input, 4) && slice.stop < 6) slice.stop = -2;
  if (fuzz_pick(input, 3) == 0) slice.start = MO_SLICE_UNSET;
  if (fuzz_pick(input, 3) == 0) slice.stop = MO_SLICE_UNSET;
  return slice;
}

/* ---- The model ------------------------------------------------------------------------------------------------------- */

static int find(const subject *on, const char *key) {
  for (int i = 0; i < on->count; ++i)
    if (strcmp(on->entries[i].key, key) == 0) return i;
  return -1;
}

/* Entries of the model hold their fields alive, as the output does. */
static void put(subject *on, const char *key, mo_field *field) {
  int at = find(on, key);
  if (at < 0) {
    FUZZ_REQUIRE(on->count < KEYS && strlen(key) < sizeof on->entries[0].key);
    at = on->count++;
    strcpy(on->entries[at].key, key);
    on->entries[at].field = NULL;
  }
  mo_field *before = on->entries[at].field;
  on->entries[at].field = mo_field_retain(field);
  mo_field_release(before);
}

static void forget(subject *on) {
  for (int i = 0; i < on->count; ++i) mo_field_release(on->entries[i].field);
  on->count = 0;
}

static void check(const subject *on) {
  if (on->output == NULL) return;
  FUZZ_REQUIRE(mo_output_length(on->output) == on->count);
  for (int i = 0; i < on->count; ++i) {
    const entry *expected = &on->entries[i];
    mo_field *field = NULL;
    FUZZ_REQUIRE(strcmp(mo_output_key_at(on->output, i), expected->key) == 0);
    FUZZ_REQUIRE(mo_output_contains(on->output, expected->key));
    FUZZ_REQUIRE(mo_output_get(on->output, expected->key) == expected->field);
    FUZZ_REQUIRE(mo_output_item(on->output, expected->key, &field) == MO_STATUS_OK && field == expected->field);
    FUZZ_REQUIRE(mo_output_at(on->output, i) == expected->field);
    FUZZ_REQUIRE(mo_output_at(on->output, i - on->count) == expected->field);
  }
  FUZZ_REQUIRE(mo_output_key_at(on->output, on->count) == NULL && mo_output_key_at(on->output, -1) == NULL);
}

/* A new output takes the place of `on`; its own words are the start of its model. */
static void adopt(subject *on, mo_status_t status, mo_output *output) {
  FUZZ_REQUIRE(fuzz_status(status) == (output != NULL));
  if (output == NULL) return;
  forget(on);
  mo_output_destroy(on->output);
  on->output = output;
  const int64_t count = mo_output_length(output);
  for (int64_t i = 0; i < count && i < KEYS; ++i) put(on, mo_output_key_at(output, i), mo_output_at(output, i));
  FUZZ_REQUIRE(on->count == count);
}

/* ---- Fields ---------------------------------------------------------------------------------------------------------- */

static void release_memory(void *memory) { free(memory); }

static mo_status_t make_tensor(script *self, mo_field **field) {
  static const mo_dtype_t dtypes[] = {MO_DTYPE_FLOAT32,  MO_DTYPE_INT64,       MO_DTYPE_FLOAT16, MO_DTYPE_BOOL,
                                      MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_NONE};
  const mo_dtype_t dtype = dtypes[fuzz_pick(&self->input, sizeof dtypes / sizeof dtypes[0])];
  const int32_t rank = fuzz_pick(&self->input, 5);
  int64_t shape[MO_MAX_DIMS];
  int64_t count = 1;
  for (int32_t i = 0; i < rank; ++i) count *= shape[i] = fuzz_pick(&self->input, 5);
  void *memory = calloc(count > 0 ? (size_t)count : 1, 8);
  FUZZ_REQUIRE(memory != NULL);
  const mo_tensor tensor = mo_tensor_cpu(memory, dtype, rank, shape);
  const mo_status_t status = mo_field_create_tensor(fuzz_context(), &tensor, release_memory, memory, field);
  if (status != MO_STATUS_OK) free(memory);
  return status;
}

/* Puts a new field in place of an old one. */
static void make_field(script *self) {
  const int slot = fuzz_pick(&self->input, FIELDS);
  mo_field *items[2 * ITEMS];
  const char *keys[ITEMS];
  int nodes = 1;
  mo_field *field = NULL;
  mo_status_t status;
  const int kind = fuzz_pick(&self->input, 10);
  const int count = kind >= 3 && kind <= 5 ? fuzz_pick(&self->input, ITEMS + 1) : 0;
  for (int i = 0; i < 2 * ITEMS; ++i) items[i] = NULL;
  for (int i = 0; i < count * (kind == 4 ? 2 : 1); ++i) {
    const int choice = fuzz_pick(&self->input, FIELDS + 1);
    if (choice == FIELDS) continue;
    items[i] = self->fields[choice];
    nodes += self->nodes[choice];
  }
  if (nodes > NODE_LIMIT) return;
  for (int i = 0; i < ITEMS; ++i)
    keys[i] = kind == 5 ? (const char *[]){"a", "0.key", "", "a"}[fuzz_pick(&self->input, 4)] : "";
  mo_context_t *context = fuzz_context();
  if (kind < 3) status = make_tensor(self, &field);
  else if (kind == 3) status = mo_field_create_tuple(context, items, count, &field);
  else if (kind == 4) status = mo_field_create_cache(context, items, count, fuzz_pick(&self->input, 4) == 3 ? 3 : 2, &field);
  else if (kind == 5) status = mo_field_create_dict(context, keys, items, count, &field);
  else if (kind == 6) status = mo_field_create_integer(context, fuzz_integer(&self->input, 10), &field);
  else if (kind == 7) status = mo_field_create_real(context, (double)fuzz_real(&self->input), &field);
  else status = mo_field_create_string(context, kind == 8 ? "logits" : "", &field);
  FUZZ_REQUIRE(fuzz_status(status) == (field != NULL));
  if (field == NULL) return;
  mo_field_release(self->fields[slot]);
  self->fields[slot] = field;
  self->nodes[slot] = nodes;
}

/* Every byte that a view shows is there. */
static void look(const mo_host_view *view) {
  const size_t element = mo_dtype_bytes(view->dtype);
  static volatile unsigned sum; /* keeps the reads */
  int64_t count = 1;
  for (int32_t i = 0; i < view->rank; ++i) count *= view->shape[i];
  for (int64_t n = 0; n < count; ++n) {
    int64_t offset = 0, rest = n;
    for (int32_t i = view->rank - 1; i >= 0; --i) {
      offset += rest % view->shape[i] * view->strides[i];
      rest /= view->shape[i];
    }
    for (size_t byte = 0; byte < element; ++byte) sum = sum + ((const uint8_t *)view->data)[(size_t)offset * element + byte];
  }
}

static void read_field(script *self, mo_field *field) {
  mo_host_view view, indices;
  const mo_slice slices[3] = {pick_slice(&self->input), pick_slice(&self->input), pick_slice(&self->input)};
  const int32_t slice_count = fuzz_pick(&self->input, 4);
  if (fuzz_status(mo_field_read(field, &view))) {
    look(&view);
    (void)fuzz_status(mo_field_check_view(field, &view));
  }
  if (fuzz_status(mo_field_read_slice(field, slices, slice_count, &view))) {
    look(&view);
    int64_t count = 1;
    for (int32_t i = 0; i < view.rank; ++i) count *= view.shape[i];
    const size_t wanted = (size_t)count * mo_dtype_bytes(view.dtype);
    const size_t bytes = wanted + (size_t)fuzz_pick(&self->input, 2);
    void *memory = malloc(bytes > 0 ? bytes : 1);
    float *reals = malloc((size_t)count * sizeof *reals + 1);
    FUZZ_REQUIRE(memory != NULL && reals != NULL);
    FUZZ_REQUIRE(!fuzz_status(mo_field_read_into(field, slices, slice_count, memory, bytes)) || bytes == wanted);
    (void)fuzz_status(mo_field_read_float32(field, slices, slice_count, reals, count));
    free(memory);
    free(reals);
  }
  if (fuzz_status(mo_field_read_top_k(field, fuzz_integer(&self->input, 4), &view, &indices))) {
    look(&view);
    look(&indices);
  }
  (void)fuzz_status(mo_field_prefetch(field));
  (void)mo_field_is_ready(field);
  (void)mo_field_get_counters(field);
}

/* Looks at a field without reading it. */
static void ask_field(script *self, const mo_field *field) {
  const int64_t length = mo_field_length(field);
  FUZZ_REQUIRE(length >= 0 && mo_field_item(field, length) == NULL && mo_field_item(field, -length - 1) == NULL);
  for (int64_t i = 0; i < length; ++i) {
    FUZZ_REQUIRE(mo_field_item(field, i) == mo_field_item(field, i - length));
    const char *key = mo_field_key(field, i);
    FUZZ_REQUIRE((key != NULL) == (mo_field_kind(field) == MO_FIELD_DICT));
    FUZZ_REQUIRE(key == NULL || mo_field_item_by_key(field, key) == mo_field_item(field, i));
  }
  FUZZ_REQUIRE(mo_field_equal(field, field));
  FUZZ_REQUIRE((mo_field_tensor(field) != NULL) == (mo_field_kind(field) == MO_FIELD_TENSOR));
  FUZZ_REQUIRE((mo_field_string(field) != NULL) == (mo_field_kind(field) == MO_FIELD_STRING));
  (void)mo_field_equal(field, pick_field(self));
  (void)mo_field_integer(field);
  (void)mo_field_real(field);
  (void)mo_field_item(field, fuzz_integer(&self->input, 4));
  (void)mo_field_cache(field);
}

/* ---- New outputs ------------------------------------------------------------------------------------------------------ */

static mo_dimensions pick_dimensions(script *self) {
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  int64_t *const extents[] = {&dimensions.batch_size,
                              &dimensions.sequence_length,
                              &dimensions.hidden_size,
                              &dimensions.num_layers,
                              &dimensions.num_heads,
                              &dimensions.vocab_size,
                              &dimensions.num_labels,
                              &dimensions.key_length,
                              &dimensions.encoder_sequence_length,
                              &dimensions.encoder_num_layers,
                              &dimensions.encoder_num_heads,
                              &dimensions.num_key_value_heads,
                              &dimensions.embed_size_per_head,
                              &dimensions.num_choices,
                              &dimensions.feature_size,
                              &dimensions.loss_count,
                              &dimensions.height,
                              &dimensions.width,
                              &dimensions.num_channels,
                              &dimensions.patch_size,
                              &dimensions.logits_height,
                              &dimensions.logits_width,
                              &dimensions.xvector_output_dim,
                              &dimensions.conv_dim,
                              &dimensions.num_bins,
                              &dimensions.num_samples,
                              &dimensions.num_params,
                              &dimensions.prediction_length,
                              &dimensions.input_size,
                              &dimensions.max_length,
                              &dimensions.last_hidden_size};
  const int filled = fuzz_byte(&self->input);
  for (size_t i = 0; i < sizeof extents / sizeof extents[0]; ++i) *extents[i] = filled > 200 ? pick_extent(self) : 2;
  for (int changes = fuzz_pick(&self->input, 4); changes > 0; --changes)
    *extents[fuzz_byte(&self->input) % (sizeof extents / sizeof extents[0])] = pick_extent(self);
  const int flags = fuzz_byte(&self->input);
  dimensions.dtype = (mo_dtype_t)(fuzz_byte(&self->input) % 12);
  if (dimensions.dtype > MO_DTYPE_BFLOAT16 && flags % 3 != 0) dimensions.dtype = MO_DTYPE_NONE;
  dimensions.no_embedding_layer = flags & 1;
  dimensions.final_norm = flags & 2;
  dimensions.has_loss = flags & 4;
  dimensions.add_cross_attention = flags & 8;
  dimensions.no_pooler = flags & 16;
  dimensions.no_cache = flags & 32;
  dimensions.encoder_is_given = flags & 64;
  dimensions.cache_is_given = flags & 128;
  return dimensions;
}

static mo_request pick_request(script *self, int32_t numbers[6]) {
  mo_request request = MO_REQUEST_INIT;
  const int flags = fuzz_byte(&self->input);
  request.output_hidden_states = flags & 1;
  request.output_attentions = flags & 2;
  request.use_cache = flags & 4;
  if ((flags & 8) == 0) return request;
  for (int i = 0; i < 6; ++i) numbers[i] = (int32_t)(fuzz_integer(&self->input, 4) % 1000) - 2;
  request.hidden_state_layers = (mo_index_list){numbers, fuzz_pick(&self->input, 3)};
  request.attention_layers = (mo_index_list){numbers + 2, fuzz_pick(&self->input, 3)};
  request.attention_heads = (mo_index_list){numbers + 4, fuzz_pick(&self->input, 3)};
  request.last_query_rows = fuzz_integer(&self->input, 4);
  request.last_logit_positions = fuzz_integer(&self->input, 4);
  request.attention_reduction = (mo_weights_reduction_t)fuzz_pick(&self->input, 4);
  request.attention_dtype = (mo_dtype_t)fuzz_pick(&self->input, 5);
  return request;
}

static void create_planned(script *self, subject *on) {
  int32_t numbers[6];
  const mo_class *output_class = pick_class(self);
  const mo_dimensions dimensions = pick_dimensions(self);
  const mo_request request = pick_request(self, numbers);
  size_t bytes = 0;
  mo_output *output = NULL;
  const bool known = fuzz_status(mo_output_query_bytes(output_class, &dimensions, &request, &bytes));
  const mo_status_t status = mo_output_create(fuzz_context(), output_class, &dimensions, &request, NULL, 0, &output);
  FUZZ_REQUIRE(known || status != MO_STATUS_OK);
  adopt(on, status, output);
  if (output == NULL) return;
  size_t held = 0;
  uint8_t *memory = (uint8_t *)(uintptr_t)mo_output_memory(output, &held);
  FUZZ_REQUIRE(held >= bytes && (held == 0 || memory != NULL));
  if (bytes > 0) memset(memory, 0, bytes);
  FUZZ_REQUIRE(mo_output_generation(output) == 0);
  FUZZ_REQUIRE(fuzz_status(mo_output_check_shapes(output, NULL))); /* what was planned is what the class says */
}

static void create_from_values(script *self, subject *on) {
  mo_item items[ITEMS];
  mo_field *values[ITEMS];
  mo_output *output = NULL;
  const int64_t count = fuzz_pick(&self->input, ITEMS + 1);
  const mo_class *output_class = pick_class(self);
  const int way = fuzz_pick(&self->input, 3);
  for (int i = 0; i < count; ++i) {
    values[i] = pick_field(self);
    items[i] = (mo_item){pick_key(self, on), values[i]};
    if (way == 2 && fuzz_once_in(&self->input, 4)) items[i].name = NULL;
  }
  mo_status_t status;
  if (way == 0) status = mo_output_create_from_fields(fuzz_context(), output_class, items, count, &output);
  else if (way == 1) status = mo_output_create_from_values(fuzz_context(), output_class, values, count, &output);
  else status = mo_output_create_from_items(fuzz_context(), output_class, items, count, &output);
  adopt(on, status, output);
}

static void create_from_other(script *self, subject *on) {
  const subject *source = &self->subjects[fuzz_pick(&self->input, OUTPUTS)];
  mo_output *output = NULL;
  mo_item changes[ITEMS];
  int64_t count = 0;
  const int way = fuzz_pick(&self->input, 3);
  if (source == on || source->output == NULL) return;
  if (way == 0) {
    adopt(on, mo_output_copy(source->output, &output), output);
    if (output == NULL) return;
    /* Rebuilt by the constructor, so in another order maybe, but with every entry. */
    for (int i = 0; i < source->count; ++i)
      FUZZ_REQUIRE(mo_output_get(output, source->entries[i].key) == source->entries[i].field);
  } else if (way == 1) {
    adopt(on, mo_output_create_from_output(fuzz_context(), pick_class(self), source->output, &output), output);
  } else {
    for (; count < fuzz_pick(&self->input, ITEMS + 1); ++count)
      changes[count] = (mo_item){pick_key(self, source), pick_field(self)};
    adopt(on, mo_output_replace(source->output, changes, count, &output), output);
  }
}

static void save_and_load(script *self, subject *on) {
  char path[FUZZ_PATH_BYTES];
  mo_output *loaded = NULL;
  fuzz_scratch_path("output.safetensors", path);
  const char *prefix = (const char *[]){NULL, "", "step0."}[fuzz_pick(&self->input, 3)];
  if (!fuzz_status(mo_output_save(on->output, path, prefix))) return;
  const mo_status_t status = mo_output_load(fuzz_context(), path, &loaded);
  FUZZ_REQUIRE(fuzz_status(status) == (loaded != NULL));
  if (loaded == NULL) return;
  (void)fuzz_status(mo_output_check_shapes(loaded, NULL));
  mo_output_destroy(loaded);
}

/* ---- Changes and questions -------------------------------------------------------------------------------------------- */

/* merge: as set_item, one after the other. */
static void merge(script *self, subject *on) {
  mo_item items[ITEMS];
  char keys[ITEMS][64];
  const int64_t count = fuzz_pick(&self->input, ITEMS + 1);
  for (int64_t i = 0; i < count; ++i) {
    strcpy(keys[i], pick_key(self, on));
    items[i] = (mo_item){keys[i], pick_field(self)};
  }
  if (on->count + count > KEYS) return;
  if (!fuzz_status(mo_output_merge(on->output, items, count))) return;
  for (int64_t i = 0; i < count; ++i) put(on, items[i].name, items[i].field);
}

static void set(script *self, subject *on, bool as_item) {
  char key[64];
  mo_field *field = pick_field(self);
  strcpy(key, pick_key(self, on));
  if (on->count == KEYS) return;
  if (as_item) {
    if (fuzz_status(mo_output_set_item(on->output, key, field))) put(on, key, field);
    return;
  }
  if (!fuzz_status(mo_output_set_attribute(on->output, key, field))) return;
  FUZZ_REQUIRE(!is(on->output, MO_FRAMEWORK_FLAX) && !is(on->output, MO_FRAMEWORK_BASE));
  mo_field *attribute = NULL;
  FUZZ_REQUIRE(mo_output_attribute(on->output, key, &attribute) == MO_STATUS_OK && attribute == field);
  /* The entry follows where the class declares the name, as in Transformers 5; other keys keep what they hold. */
  if (field != NULL && mo_class_field_index(on->output->output_class, key) >= 0) put(on, key, field);
}

static void remove_last(subject *on) {
  const char *key = NULL;
  mo_field *field = NULL;
  if (!fuzz_status(mo_output_pop_last(on->output, &key, &field))) return;
  FUZZ_REQUIRE(on->count > 0 && field == on->entries[on->count - 1].field && strcmp(key, on->entries[on->count - 1].key) == 0);
  mo_field_release(field);
  mo_field_release(on->entries[--on->count].field);
}

static void move(script *self, subject *on) {
  char key[64];
  const bool last = fuzz_pick(&self->input, 2) == 0;
  strcpy(key, pick_key(self, on));
  const int at = find(on, key);
  const bool moved = fuzz_status(mo_output_move_to_end(on->output, key, last));
  if (!moved) return;
  FUZZ_REQUIRE(at >= 0);
  const entry taken = on->entries[at];
  if (last) {
    memmove(on->entries + at, on->entries + at + 1, (size_t)(on->count - at - 1) * sizeof taken);
    on->entries[on->count - 1] = taken;
  } else {
    memmove(on->entries + 1, on->entries, (size_t)at * sizeof taken);
    on->entries[0] = taken;
  }
}

static void take_slice(script *self, const subject *on) {
  mo_field *fields[ITEMS];
  int64_t count = -1;
  mo_slice slice = pick_slice(&self->input);
  if (fuzz_once_in(&self->input, 3) && slice.step != MO_SLICE_UNSET) slice.step = -slice.step;
  if (!fuzz_status(mo_output_slice(on->output, slice, fields, ITEMS, &count))) return;
  int64_t first, step, expected;
  FUZZ_REQUIRE(mo_slice_resolve(slice, on->count, &first, &step, &expected) == MO_STATUS_OK && count == expected);
  for (int64_t i = 0; i < count && i < ITEMS; ++i) FUZZ_REQUIRE(fields[i] == on->entries[first + i * step].field);
}

static void take_tuple(script *self, const subject *on) {
  mo_field *tuple = NULL;
  FUZZ_REQUIRE(fuzz_status(mo_output_to_tuple(on->output, &tuple)) == (tuple != NULL));
  if (tuple == NULL) return;
  FUZZ_REQUIRE(mo_field_length(tuple) == on->count);
  for (int i = 0; i < on->count; ++i) FUZZ_REQUIRE(mo_field_item(tuple, i) == on->entries[i].field);
  ask_field(self, tuple);
  mo_field_release(tuple);
}

static void call_blocked(script *self, const subject *on) {
  const char *key = pick_key(self, on);
  mo_field *field = NULL;
  const mo_item item = {key, pick_field(self)};
  FUZZ_REQUIRE(mo_output_delete_item(on->output, key) == MO_STATUS_BLOCKED);
  FUZZ_REQUIRE(mo_output_pop(on->output, key, &field) == MO_STATUS_BLOCKED && field == NULL);
  FUZZ_REQUIRE(mo_output_set_default(on->output, key, item.field) == MO_STATUS_BLOCKED);
  FUZZ_REQUIRE(mo_output_update(on->output, &item, 1) == MO_STATUS_BLOCKED);
}

static void ask(script *self, const subject *on) {
  const char *key = pick_key(self, on);
  mo_field *field = NULL;
  const mo_dimensions dimensions = pick_dimensions(self);
  size_t bytes;
  FUZZ_REQUIRE(mo_output_contains(on->output, key) == (find(on, key) >= 0));
  (void)fuzz_status(mo_output_attribute(on->output, key, &field));
  FUZZ_REQUIRE(mo_absence_text(mo_output_absence(on->output, key)) != NULL);
  (void)fuzz_status(mo_output_check_shapes(on->output, fuzz_pick(&self->input, 2) == 0 ? NULL : &dimensions));
  (void)mo_output_memory(on->output, &bytes);
  (void)mo_output_get_counters(on->output);
  (void)mo_output_device_bytes(on->output);
  (void)mo_output_equal(on->output, self->subjects[fuzz_pick(&self->input, OUTPUTS)].output);
  FUZZ_REQUIRE(mo_output_equal(on->output, on->output));
  (void)fuzz_status(mo_output_item_at(on->output, fuzz_integer(&self->input, 8), &field));
  (void)fuzz_status(mo_output_synchronize(on->output));
}

/* Without an output there is nothing to do but to answer; none of it may crash. */
static void ask_nothing(void) {
  mo_field *field = NULL;
  FUZZ_REQUIRE(mo_output_length(NULL) == 0 && mo_output_get(NULL, "a") == NULL && mo_output_at(NULL, 0) == NULL);
  FUZZ_REQUIRE(mo_output_item(NULL, "a", &field) != MO_STATUS_OK && mo_output_key_at(NULL, 0) == NULL);
  mo_output_destroy(NULL);
}

static void step(script *self) {
  const int call = fuzz_byte(&self->input) % 24;
  subject *on = &self->subjects[fuzz_pick(&self->input, OUTPUTS)];
  if (fuzz_once_in(&self->input, 32)) fuzz_fail_allocation(1 + fuzz_pick(&self->input, 8));
  if (call < 5) {
    make_field(self);
  } else if (call == 5) {
    create_planned(self, on);
  } else if (call == 6) {
    create_from_values(self, on);
  } else if (call == 7) {
    create_from_other(self, on);
  } else if (on->output == NULL) {
    ask_nothing();
  } else {
    switch (call) {
      case 8:
        set(self, on, false);
        break;
      case 9:
      case 10:
      case 11:
        set(self, on, true);
        break;
      case 12:
        merge(self, on);
        break;
      case 13:
        remove_last(on);
        break;
      case 14:
        move(self, on);
        break;
      case 15:
        take_slice(self, on);
        break;
      case 16:
        take_tuple(self, on);
        break;
      case 17:
        call_blocked(self, on);
        break;
      case 18:
        ask(self, on);
        break;
      case 19: {
        mo_field *field = mo_output_at(on->output, fuzz_pick(&self->input, 8));
        ask_field(self, field);
        read_field(self, field);
        break;
      }
      case 20:
        (void)fuzz_status(mo_output_mark_written(on->output, NULL));
        break;
      case 21:
        (void)fuzz_status(mo_output_delete_attribute(on->output, pick_key(self, on)));
        break;
      case 22:
        save_and_load(self, on);
        break;
      default:
        if (fuzz_once_in(&self->input, 4)) {
          if (fuzz_status(mo_output_clear(on->output))) forget(on);
        } else {
          ask_field(self, pick_field(self));
          read_field(self, pick_field(self));
        }
    }
  }
  fuzz_fail_allocation(0);
  check(on);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  script self = {.input = {data, bytes}};
  (void)fuzz_context();
  for (int steps = 0; self.input.left > 0 && steps < STEP_LIMIT; ++steps) step(&self);
  /* In one order or the other: fields outlive their outputs. */
  const bool fields_first = bytes % 2 == 0;
  for (int i = 0; fields_first && i < FIELDS; ++i) mo_field_release(self.fields[i]);
  for (int i = 0; i < OUTPUTS; ++i) {
    check(&self.subjects[i]);
    mo_output_destroy(self.subjects[i].output);
    forget(&self.subjects[i]);
  }
  for (int i = 0; !fields_first && i < FIELDS; ++i) mo_field_release(self.fields[i]);
  fuzz_close_context();
  return 0;
}
