/* host/generate/generation_step.c - one step of a generation: the model's run and its inputs.
 *
 * BY LENGTHS. On a device with memory of its own decode steps find their places through device memory: cache_lengths,
 * position_ids, a mask over all slots, and the mask of the encoder's tokens. Every step is then the same work on the same
 * memory, so that one recording serves all. Else (on the host, and with attentions, which have as many keys as there are
 * tokens) the host says them anew in each step.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/call/input_check.h"
#include "host/generate/generation.h"
#include "host/heads/heads.h"
#include "host/ops/check.h"

#define FIRST_TOKENS 256      /* new tokens that there is room for at once */
#define RECORDED_TOKENS 32768 /* where more may come, memory grows with them, and no step is the same work as another */

/* ---- Prompts ------------------------------------------------------------------------------------------------------------- */

static mo_status_t check_host_matrix(const mo_model_t *model, const char *name, const mo_tensor *tensor, uint32_t dtypes,
                                     int64_t rows, int64_t columns) {
  MO_TRY(mo_check_input(model, name, tensor, dtypes, 2, (int64_t[]){rows, columns}));
  MO_CHECK(mo_model_can_read(model, tensor), MO_STATUS_UNSUPPORTED, "%s: generation reads %s on the host",
           model->architecture.name, name);
  return MO_STATUS_OK;
}

static bool mask_at(const mo_tensor *mask, int64_t row, int64_t column) {
  return mask == NULL || mo_read_integer(mask, row * mask->strides[0] + column * mask->strides[1]) != 0;
}

/* Prompts, mask and positions of every row, each input `copies` times; positions as Transformers counts them. */
static mo_status_t fill_prompts(mo_generation *g, const mo_tensor *ids, const mo_tensor *mask) {
  const int64_t length = g->prompt_length, columns = g->columns;
  const char *op = g->model->architecture.name;
  for (int64_t row = 0; row < g->rows; row++) {
    const int64_t source = row / g->settings.copies;
    int64_t seen = 0;
    g->ended[row] = false;
    for (int64_t i = 0; i < length; i++) {
      const bool visible = mask_at(mask, source, i);
      g->mask[row * columns + i] = visible;
      seen += visible;
      g->masked |= !visible;
      const int64_t id =
          ids != NULL ? mo_read_integer(ids, source * ids->strides[0] + i * ids->strides[1]) : g->settings.ids.start_token;
      g->tokens[row * columns + i] = g->prompts[row * length + i] = id;
      g->positions[row * length + i] = visible ? seen - 1 : 1;
    }
    MO_CHECK(g->mask[row * columns + length - 1], MO_STATUS_INVALID_ARGUMENT,
             "%s: row %" PRId64 " of the prompts ends in padding, generation goes on where a prompt ends: pad on the left", op,
             source);
  }
  return MO_STATUS_OK;
}

static void fill_encoder(mo_generation *g, const mo_tensor *ids, const mo_tensor *mask) {
  bool padded = false;
  for (int64_t row = 0; row < g->rows; row++) {
    const int64_t source = row / g->settings.copies;
    for (int64_t i = 0; i < g->encoder_length; i++) {
      const int64_t place = row * g->encoder_length + i;
      g->encoder_ids[place] = mo_read_integer(ids, source * ids->strides[0] + i * ids->strides[1]);
      g->encoder_mask[place] = mask_at(mask, source, i);
      padded |= !g->encoder_mask[place];
    }
  }
  if (!padded) g->encoder_mask = NULL;
}

/* ---- Beginning ----------------------------------------------------------------------------------------------------------- */

static void carve_host(mo_generation *g, mo_arena *arena) {
  const size_t rows = (size_t)g->rows, prompt = (size_t)g->prompt_length, encoder = (size_t)g->encoder_length;
  g->prompts = mo_arena_carve(arena, rows * prompt * sizeof(int64_t));
  g->positions = mo_arena_carve(arena, rows * prompt * sizeof(int64_t));
  g->chosen = mo_arena_carve(arena, rows * sizeof(int64_t));
  g->ended = mo_arena_carve(arena, rows);
  g->encoder_ids = mo_arena_carve(arena, rows * encoder * sizeof(int64_t));
  g->encoder_mask = mo_arena_carve(arena, rows * encoder);
}

static void carve_history(mo_generation *g, mo_arena *arena) {
  const size_t places = (size_t)(g->rows * g->columns), steps = (size_t)(g->columns - g->prompt_length);
  mo_step_fields *const lists[] = {&g->scores, &g->logits, &g->attentions, &g->cross_attentions, &g->hidden_states};
  g->tokens = mo_arena_carve(arena, places * sizeof(int64_t));
  g->mask = mo_arena_carve(arena, places);
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    lists[i]->items = mo_arena_carve(arena, steps * sizeof(mo_field *));
}

/* The history moves to a block with room for `columns` tokens of each row. */
static mo_status_t grow_history(mo_generation *g, int64_t columns) {
  const mo_generation before = *g;
  mo_arena measure = {.base = NULL};
  g->columns = columns;
  carve_history(g, &measure);
  void *memory = mo_host_allocate(g->context, measure.used);
  if (memory == NULL) {
    *g = before;
    return MO_STATUS_OUT_OF_MEMORY;
  }
  mo_arena arena = {.base = memory, .capacity = measure.used};
  carve_history(g, &arena);
  for (int64_t row = 0; row < g->rows; row++) {
    for (int64_t i = 0; i < columns; i++) g->mask[row * columns + i] = true; /* new tokens are visible */
    if (before.columns == 0) continue;
    memcpy(g->tokens + row * columns, before.tokens + row * before.columns, (size_t)before.columns * sizeof *g->tokens);
    memcpy(g->mask + row * columns, before.mask + row * before.columns, (size_t)before.columns);
  }
  const struct {
    const mo_step_fields *from;
    mo_step_fields *to;
  } lists[] = {{&before.scores, &g->scores},
               {&before.logits, &g->logits},
               {&before.attentions, &g->attentions},
               {&before.cross_attentions, &g->cross_attentions},
               {&before.hidden_states, &g->hidden_states}};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    for (int64_t j = 0; j < lists[i].from->count; j++) lists[i].to->items[j] = lists[i].from->items[j];
  if (before.history_block != NULL) mo_host_free(g->context, before.history_block, before.history_bytes);
  g->history_block = memory;
  g->history_bytes = measure.used;
  return MO_STATUS_OK;
}

mo_status_t mo_generation_reserve(mo_generation *g, int64_t step) {
  if (g->prompt_length + step < g->columns) return MO_STATUS_OK;
  return grow_history(g, g->columns < g->total_length / 2 ? 2 * g->columns : g->total_length);
}

static mo_tensor column(const mo_generation *g, mo_arena *arena, mo_dtype_t dtype, int64_t count) {
  void *memory = mo_arena_carve(arena, (size_t)count * mo_dtype_bytes(dtype));
  return mo_device_tensor(g->context, memory, dtype, 1, &count);
}

static mo_tensor matrix(const mo_generation *g, mo_arena *arena, mo_dtype_t dtype, int64_t columns) {
  const mo_tensor flat = column(g, arena, dtype, g->rows * columns);
  return mo_tensor_reshaped(&flat, 2, (int64_t[]){g->rows, columns});
}

/* What has a value before the first step. */
static void carve_device(mo_generation *g, int64_t slots, mo_arena *arena) {
  g->next = column(g, arena, MO_DTYPE_INT64, g->rows);
  g->next_column = mo_tensor_reshaped(&g->next, 2, (int64_t[]){g->rows, 1});
  g->next_positions = column(g, arena, MO_DTYPE_INT32, g->rows);
  g->position_column = mo_tensor_reshaped(&g->next_positions, 2, (int64_t[]){g->rows, 1});
  g->lengths = column(g, arena, MO_DTYPE_INT32, g->rows);
  g->step_counts = column(g, arena, MO_DTYPE_INT64, g->rows);
  g->finished = column(g, arena, MO_DTYPE_BOOL, g->rows);
  g->end_tokens = column(g, arena, MO_DTYPE_INT64, g->settings.ids.end_token_count);
  if (g->by_lengths && g->masked) g->device_mask = matrix(g, arena, MO_DTYPE_BOOL, slots);
  if (g->by_lengths && g->encoder_mask != NULL) g->device_encoder_mask = matrix(g, arena, MO_DTYPE_BOOL, g->encoder_length);
}

/* The steps' own, which they write before they read. */
static void carve_results(mo_generation *g, mo_arena *arena) {
  const int64_t count = g->settings.candidates, id_bytes = (int64_t)sizeof(int64_t);
  if (g->settings.beams > 1 || g->settings.edits_scores || (g->by_lengths && g->settings.keeps_scores))
    g->score_buffer = matrix(g, arena, MO_DTYPE_FLOAT32, mo_token_config(g->model)->embedding.vocab_size);
  if (g->settings.beams == 1) return;
  g->best = matrix(g, arena, MO_DTYPE_UINT8, count * (id_bytes + (int64_t)sizeof(float)));
  const int64_t shape[2] = {g->rows, count};
  char *const memory = g->best.data;
  g->best_ids = mo_device_tensor(g->context, memory, MO_DTYPE_INT64, 2, shape);
  g->best_values =
      mo_device_tensor(g->context, memory != NULL ? memory + g->rows * count * id_bytes : NULL, MO_DTYPE_FLOAT32, 2, shape);
}

static void *address_in(void *staging, const mo_generation *g, const mo_tensor *tensor) {
  return (char *)staging + ((char *)tensor->data - (char *)g->device_block);
}

/* What the buffers hold before the first step, made on the host and copied in one piece. */
static mo_status_t fill_device(mo_generation *g, int64_t slots, size_t bytes) {
  char *staging = mo_host_allocate(g->context, bytes);
  if (staging == NULL) return MO_STATUS_OUT_OF_MEMORY;
  memset(staging, 0, bytes);
  int32_t *positions = address_in(staging, g, &g->next_positions), *lengths = address_in(staging, g, &g->lengths);
  for (int64_t row = 0; row < g->rows; row++) {
    positions[row] = (int32_t)g->positions[row * g->prompt_length + g->prompt_length - 1];
    lengths[row] = (int32_t)g->prompt_length - 1; /* the first choice counts both on */
  }
  if (g->settings.ids.end_token_count > 0)
    memcpy(address_in(staging, g, &g->end_tokens), g->settings.ids.end_tokens,
           (size_t)g->settings.ids.end_token_count * sizeof(int64_t));
  if (g->device_mask.dtype != MO_DTYPE_NONE) {
    bool *mask = address_in(staging, g, &g->device_mask);
    for (int64_t i = 0; i < g->rows * slots; i++) {
      const int64_t token = i % slots;
      mask[i] = token >= g->prompt_length || g->mask[i / slots * g->columns + token];
    }
  }
  if (g->device_encoder_mask.dtype != MO_DTYPE_NONE)
    memcpy(address_in(staging, g, &g->device_encoder_mask), g->encoder_mask, (size_t)(g->rows * g->encoder_length));
  mo_status_t status = mo_context_copy_to_device(g->context, g->device_block, staging, bytes);
  const mo_status_t waited = mo_context_synchronize(g->context);
  mo_host_free(g->context, staging, bytes);
  return status != MO_STATUS_OK ? status : waited;
}

static mo_status_t make_cache(mo_generation *g, int64_t *slots) {
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  if (g->by_lengths) {
    options.kind = MO_CACHE_DYNAMIC; /* tokens stay in their slots, also where the attention slides */
    options.keeps_addresses = g->settings.beams > 1;
  }
  MO_TRY(mo_model_create_cache(g->model, &options, g->rows, g->columns, &g->cache)); /* may grow where steps are plain */
  *slots = 0;
  if (!g->by_lengths) return MO_STATUS_OK;
  mo_cache_entry entry;
  MO_TRY(mo_cache_read(mo_cache_self(g->cache), 0, &entry));
  *slots = entry.view.key->shape[2];
  return MO_STATUS_OK;
}

/* The last new token is never an input. */
static mo_status_t check_room(const mo_generation *g) {
  const mo_transformer_config *config = mo_token_config(g->model);
  const char *op = g->model->architecture.name;
  MO_CHECK(g->rows <= INT32_MAX / 2 / g->total_length, MO_STATUS_INVALID_ARGUMENT,
           "%s: %" PRId64 " rows of %" PRId64 " tokens are too many", op, g->rows, g->total_length);
  MO_CHECK(config->embedding.positions == MO_POSITIONS_NONE || g->total_length - 1 <= config->embedding.position_count,
           MO_STATUS_INVALID_ARGUMENT,
           "%s: a prompt of %" PRId64 " tokens and %" PRId64 " new ones, but the position table has %" PRId64 " entries", op,
           g->prompt_length, g->settings.max_new_tokens, config->embedding.position_count);
  return MO_STATUS_OK;
}

/* Which tensors the prompts are, and how large everything is. */
static mo_status_t look_at_inputs(mo_generation *g, const mo_model_inputs *inputs, const mo_tensor **ids,
                                  const mo_tensor **mask) {
  const mo_model_t *model = g->model;
  const char *op = model->architecture.name;
  const mo_tensor *main = inputs->input_ids;
  MO_CHECK(main != NULL && main->rank == 2 && main->shape[0] >= 1 && main->shape[1] >= 1, MO_STATUS_INVALID_ARGUMENT,
           "%s: generation needs input_ids (batch, sequence) with at least one token", op);
  MO_TRY(check_host_matrix(model, "input_ids", main, MO_DTYPES_INDEX, main->shape[0], main->shape[1]));
  if (inputs->attention_mask != NULL)
    MO_TRY(check_host_matrix(model, "attention_mask", inputs->attention_mask, MO_DTYPES_MASK, main->shape[0], main->shape[1]));
  const mo_model_inputs taken = {.struct_size = inputs->struct_size,
                                 .input_ids = main,
                                 .attention_mask = inputs->attention_mask,
                                 .decoder_input_ids = inputs->decoder_input_ids};
  MO_CHECK(memcmp(&taken, inputs, sizeof taken) == 0 && (model->facts.has_encoder || inputs->decoder_input_ids == NULL),
           MO_STATUS_INVALID_ARGUMENT, "%s: generation takes input_ids, attention_mask%s, and no other input", op,
           model->facts.has_encoder ? " and decoder_input_ids" : "");
  g->batch_size = main->shape[0];
  g->prompt_length = main->shape[1];
  *ids = main;
  *mask = inputs->attention_mask;
  if (!model->facts.has_encoder) return MO_STATUS_OK;
  const mo_tensor *decoder = inputs->decoder_input_ids;
  g->encoder_length = main->shape[1];
  g->prompt_length = decoder != NULL && decoder->rank == 2 ? decoder->shape[1] : 1;
  if (decoder != NULL) {
    MO_CHECK(g->prompt_length >= 1, MO_STATUS_INVALID_ARGUMENT, "%s: decoder_input_ids without a token", op);
    MO_TRY(check_host_matrix(model, "decoder_input_ids", decoder, MO_DTYPES_INDEX, g->batch_size, g->prompt_length));
  }
  *ids = decoder;
  *mask = NULL;
  return MO_STATUS_OK;
}

mo_status_t mo_generation_begin(mo_generation *g, const mo_model_inputs *inputs) {
  mo_model_t *model = g->model;
  const mo_transformer_config *config = mo_token_config(model);
  const mo_tensor *ids = NULL, *mask = NULL;
  const char *op = model->architecture.name;
  MO_CHECK(config->decoder && (model->architecture.head == &mo_causal_lm_head ||
                               (model->facts.has_encoder && model->architecture.head == &mo_masked_lm_head)),
           MO_STATUS_UNSUPPORTED, "%s: generation needs a language modelling head over a decoder", op);
  MO_TRY(look_at_inputs(g, inputs, &ids, &mask));
  MO_TRY(mo_generation_settings_make(model, g->options, g->prompt_length, &g->settings));
  MO_CHECK(ids != NULL || (g->settings.ids.start_token >= 0 && g->settings.ids.start_token < config->embedding.vocab_size),
           MO_STATUS_INVALID_ARGUMENT, "%s: no decoder_input_ids, and decoder_start_token_id is not in the vocabulary", op);
  MO_CHECK(g->batch_size <= INT32_MAX / 2 && g->prompt_length <= INT32_MAX / 2 &&
               g->settings.max_new_tokens <= INT32_MAX / 2 - g->prompt_length,
           MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " prompts of %" PRId64 " tokens and %" PRId64 " new ones are too many",
           op, g->batch_size, g->prompt_length, g->settings.max_new_tokens);
  g->rows = g->batch_size * g->settings.copies;
  g->total_length = g->prompt_length + g->settings.max_new_tokens;
  MO_TRY(check_room(g));
  g->takes_positions = config->embedding.positions != MO_POSITIONS_NONE || config->attention.rotary.rotary_dim > 0;
  g->by_lengths = !mo_context_backend(g->context)->memory_is_host && !g->settings.keeps_attentions && !g->options->no_graph &&
                  config->attention.rotary.scaling != MO_ROTARY_SCALING_DYNAMIC &&
                  g->settings.max_new_tokens <= RECORDED_TOKENS;
  const bool grows = !g->by_lengths && g->settings.max_new_tokens > FIRST_TOKENS;
  MO_TRY(grow_history(g, grows ? g->prompt_length + FIRST_TOKENS : g->total_length));

  mo_arena measure = {.base = NULL};
  carve_host(g, &measure);
  g->host_bytes = measure.used;
  g->host_block = mo_host_allocate(g->context, g->host_bytes);
  if (g->host_block == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_arena host = {.base = g->host_block, .capacity = g->host_bytes};
  carve_host(g, &host);
  MO_TRY(fill_prompts(g, ids, mask));
  if (model->facts.has_encoder) fill_encoder(g, inputs->input_ids, inputs->attention_mask);

  int64_t slots;
  MO_TRY(make_cache(g, &slots));
  mo_arena device_measure = {.base = NULL};
  carve_device(g, slots, &device_measure);
  const size_t filled = device_measure.used;
  carve_results(g, &device_measure);
  MO_TRY(mo_context_allocate(g->context, device_measure.used, &g->device_block));
  mo_arena device = {.base = g->device_block, .capacity = device_measure.used};
  carve_device(g, slots, &device);
  carve_results(g, &device);
  return fill_device(g, slots, filled);
}

static void release_fields(mo_step_fields *fields) {
  for (int64_t i = 0; i < fields->count; i++) mo_field_release(fields->items[i]);
}

void mo_generation_end(mo_generation *g) {
  const mo_backend *backend = mo_context_backend(g->context);
  if (g->graph != NULL) backend->graph_destroy(mo_context_backend_state(g->context), g->graph);
  release_fields(&g->scores);
  release_fields(&g->logits);
  release_fields(&g->attentions);
  release_fields(&g->cross_attentions);
  release_fields(&g->hidden_states);
  mo_field_release(g->encoder_outputs);
  mo_field_release(g->encoder_attentions);
  mo_field_release(g->encoder_hidden_states);
  mo_output_destroy(g->step);
  mo_cache_release(g->cache);
  mo_context_release(g->context, g->device_block);
  mo_generation_edits_end(g);
  if (g->history_block != NULL) mo_host_free(g->context, g->history_block, g->history_bytes);
  if (g->host_block != NULL) mo_host_free(g->context, g->host_block, g->host_bytes);
}

/* ---- A step -------------------------------------------------------------------------------------------------------------- */

/* The tensors that a step's inputs point to. */
typedef struct step_inputs {
  mo_model_inputs inputs;
  mo_tensor ids, mask, positions, encoder_ids, encoder_mask;
} step_inputs;

/* The ids of the prompts, or those chosen last. */
static void set_ids(const mo_generation *g, int64_t step, step_inputs *s) {
  const mo_tensor *ids = &g->next_column;
  if (step == 0) {
    s->ids = mo_tensor_cpu(g->prompts, MO_DTYPE_INT64, 2, (int64_t[]){g->rows, g->prompt_length});
    ids = &s->ids;
  }
  if (g->model->facts.has_encoder) s->inputs.decoder_input_ids = ids;
  else s->inputs.input_ids = ids;
}

static void set_encoder(const mo_generation *g, int64_t step, step_inputs *s) {
  const int64_t extents[2] = {g->rows, g->encoder_length};
  if (!g->model->facts.has_encoder) return;
  s->encoder_ids = mo_tensor_cpu(g->encoder_ids, MO_DTYPE_INT64, 2, extents);
  if (step == 0) s->inputs.input_ids = &s->encoder_ids;
  else s->inputs.encoder_outputs = g->encoder_outputs;
  if (g->encoder_mask == NULL) return;
  s->encoder_mask = mo_tensor_cpu(g->encoder_mask, MO_DTYPE_BOOL, 2, extents);
  s->inputs.attention_mask = step > 0 && g->by_lengths ? &g->device_encoder_mask : &s->encoder_mask;
}

static void set_places(const mo_generation *g, int64_t step, step_inputs *s) {
  const bool decode = step > 0;
  if (decode && g->by_lengths) {
    s->inputs.cache_lengths = &g->lengths;
    if (g->takes_positions) s->inputs.position_ids = &g->position_column;
    if (g->masked) s->inputs.attention_mask = &g->device_mask;
    return;
  }
  if (!g->masked) return;
  const int64_t keys = g->prompt_length + step;
  s->mask = mo_tensor_cpu(g->mask, MO_DTYPE_BOOL, 2, (int64_t[]){g->rows, keys});
  s->mask.strides[0] = g->columns;
  s->inputs.attention_mask = &s->mask;
  if (!g->takes_positions) return;
  s->positions = mo_tensor_cpu(g->positions, MO_DTYPE_INT64, 2, (int64_t[]){g->rows, g->prompt_length});
  s->inputs.position_ids = decode ? &g->position_column : &s->positions;
}

/* A field of the encoder, a tuple over its layers, as the original has it: one row for each input, not one for each beam. */
static mo_status_t first_beams(mo_generation *g, mo_field *tuple, mo_field **made) {
  const int64_t count = mo_field_length(tuple);
  mo_status_t status = MO_STATUS_OK;
  *made = NULL;
  if (tuple == NULL) return MO_STATUS_OK;
  mo_field **items = mo_host_allocate(g->context, (size_t)(count + 1) * sizeof *items);
  if (items == NULL) return MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < count && status == MO_STATUS_OK; i++) {
    mo_field *item = mo_field_item(tuple, i);
    if (item == NULL) continue; /* a layer that was not selected */
    mo_tensor view = *mo_field_tensor(item);
    view.shape[0] = g->batch_size;
    view.strides[0] *= g->settings.copies;
    status = mo_generation_view(g, item, &view, &items[i]);
  }
  if (status == MO_STATUS_OK) status = mo_field_create_tuple(g->context, items, count, made);
  for (int64_t i = 0; i < count; i++) mo_field_release(items[i]);
  mo_host_free(g->context, items, (size_t)(count + 1) * sizeof *items);
  return status;
}

/* The encoder has run once; what it left serves all steps. */
static mo_status_t take_encoder(mo_generation *g) {
  if (!g->model->facts.has_encoder) return MO_STATUS_OK;
  mo_field *field = mo_output_get(g->step, "encoder_last_hidden_state");
  MO_CHECK(field != NULL, MO_STATUS_INTERNAL, "%s: the first step left no encoder state", g->model->architecture.name);
  g->encoder_outputs = mo_field_retain(field);
  MO_TRY(first_beams(g, mo_output_get(g->step, "encoder_attentions"), &g->encoder_attentions));
  return first_beams(g, mo_output_get(g->step, "encoder_hidden_states"), &g->encoder_hidden_states);
}

bool mo_generation_reuses_memory(const mo_generation *g, int64_t step) { return g->by_lengths && step > 0; }

mo_status_t mo_generation_run(mo_generation *g, int64_t step, mo_tensor *logits) {
  const mo_generation_settings *settings = &g->settings;
  step_inputs s = {.inputs = MO_MODEL_INPUTS_INIT};
  set_ids(g, step, &s);
  set_encoder(g, step, &s);
  set_places(g, step, &s);
  s.inputs.past_key_values = g->cache;
  const bool kept = settings->keeps_attentions || settings->keeps_hidden_states || settings->keeps_logits;
  const bool taken = kept && !mo_generation_reuses_memory(g, step); /* the fields of the step before are the output's now */
  if (g->step == NULL || taken || g->step_is_decode != (step > 0)) {
    mo_output_destroy(g->step);
    g->step = NULL;
    MO_TRY(mo_model_create_output(g->model, &s.inputs, &settings->request, &g->step));
    g->step_is_decode = step > 0;
  }
  MO_TRY(mo_model_run(g->model, &s.inputs, &settings->request, g->step));
  if (step > 0 && g->by_lengths) g->uncounted++;
  if (step == 0) MO_TRY(take_encoder(g));
  const mo_tensor *field = mo_field_tensor(mo_output_get(g->step, "logits"));
  MO_CHECK(field != NULL && field->rank == 3, MO_STATUS_INTERNAL, "%s: a step left no logits", g->model->architecture.name);
  *logits = mo_tensor_reshaped(field, 2, (int64_t[]){g->rows, field->shape[2]});
  return MO_STATUS_OK;
}

mo_status_t mo_generation_count(mo_generation *g) {
  if (g->uncounted == 0) return MO_STATUS_OK;
  const int64_t count = g->uncounted;
  g->uncounted = 0;
  return mo_cache_commit(mo_cache_self(g->cache), -1, count);
}

bool mo_generation_is_end(const mo_generation *g, int64_t token) {
  for (int64_t i = 0; i < g->settings.ids.end_token_count; i++)
    if (g->settings.ids.end_tokens[i] == token) return true;
  return false;
}

mo_status_t mo_generation_no_choice(const mo_generation *g, int64_t input, int64_t step) {
  return mo_fail(MO_STATUS_VALUE_ERROR,
                 "%s: prompt %" PRId64 " has no token to choose in step %" PRId64 ", all of its logits are NaN or -inf",
                 g->model->architecture.name, input, step);
}
