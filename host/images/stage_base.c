/* host/images/stage_base.c - the base model of families that see pictures in stages.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/images/image_input.h"
#include "host/images/stage_model.h"
#include "modelout/cast.h"

typedef struct stage_call {
  int32_t placed_pixels;
  mo_map_extents picture, maps[MO_MOST_STAGES + 1];
  mo_entry_extents states[MO_MOST_STAGES + 1], shown[MO_MOST_STAGES + 1], pooled;
  mo_field_extents stated[5];
  void *buffers[2], *scratch; /* maps take turns in the buffers */
} stage_call;

#define STAGE_CALL(name, call) MO_CALL_BASE(stage_call, name, call)

static const mo_stage_rules *rules_of(const mo_model_t *model) { return model->family->rules; }
static bool starts_with_map(const mo_model_t *model) { return model->architecture.part == MO_PART_ENCODER; }

static const char *no_pictures(const mo_model_t *model) {
  return starts_with_map(model) ? "the encoder alone takes hidden_state, a feature map" : NULL;
}
static const char *no_maps(const mo_model_t *model) { return starts_with_map(model) ? NULL : "the model takes pixel_values"; }

static const mo_input_spec inputs[] = {
    {{"pixel_values", MO_INPUT_TENSOR, MO_DTYPES_FLOAT, "(batch, channels, height, width)"}, no_pictures},
    {{"hidden_state", MO_INPUT_TENSOR, MO_DTYPES_FLOAT, "(batch, channels, height, width)"}, no_maps},
    {.info.name = NULL},
};

/* ---- Configuration and weights ----------------------------------------------------------------------------------------- */

static mo_status_t select_name(const mo_stage_config *stages, const char *name, int64_t *index) {
  char *end = NULL;
  *index = strcmp(name, "stem") == 0 ? 0 : -1;
  if (strncmp(name, "stage", 5) == 0) *index = strtoll(name + 5, &end, 10);
  MO_CHECK(*index >= 0 && *index <= stages->stage_count && (end == NULL || (*index > 0 && *end == '\0')), MO_STATUS_BAD_FILE,
           "model load: out_features names %.40s, there are stem and stage1 to stage%" PRId64, name, stages->stage_count);
  return MO_STATUS_OK;
}

mo_status_t mo_stage_read_selection(const mo_config_t *config, mo_stage_config *stages) {
  const char *name;
  int64_t count = 0;
  while (count <= MO_MOST_STAGES) {
    MO_TRY(mo_config_string_at(config, "out_features", count, &name));
    if (name == NULL) break;
    MO_TRY(select_name(stages, name, &stages->selected[count++]));
  }
  if (count == 0) MO_TRY(mo_config_integers(config, "out_indices", stages->selected, MO_MOST_STAGES + 1, &count));
  if (count == 0) stages->selected[count++] = stages->stage_count;
  for (int64_t i = 0; i < count; i++) {
    int64_t *index = &stages->selected[i];
    if (*index < 0) *index += stages->stage_count + 1;
    MO_CHECK(*index >= 0 && *index <= stages->stage_count && (i == 0 || *index > stages->selected[i - 1]), MO_STATUS_BAD_FILE,
             "model load: out_indices is %s, it must rise from 0 to at most %" PRId64,
             mo_config_show(config, "out_indices").text, stages->stage_count);
  }
  stages->selected_count = (int32_t)count;
  return MO_STATUS_OK;
}

static mo_status_t configure(mo_model_t *model) {
  mo_stage_model *stages = mo_stage_model_of(model);
  stages->state = mo_host_allocate(model->context, rules_of(model)->state_bytes);
  if (stages->state == NULL) return MO_STATUS_OUT_OF_MEMORY;
  MO_TRY(rules_of(model)->configure(model->config, stages));
  const int64_t last = stages->config.channels[stages->config.stage_count];
  model->facts = (mo_base_facts){.hidden_size = last,
                                 .output_size = last,
                                 .max_length = -1,
                                 .position_count = -1,
                                 .padding_id = MO_NO_TOKEN,
                                 .end_id = -1};
  return MO_STATUS_OK;
}

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  return rules_of(model)->load(mo_stage_model_of(model), loader);
}

static void release(mo_model_t *model) {
  mo_stage_model *stages = mo_stage_model_of(model);
  if (stages->state == NULL) return;
  rules_of(model)->release(stages);
  mo_host_free(model->context, stages->state, rules_of(model)->state_bytes);
}

/* ---- A call ------------------------------------------------------------------------------------------------------------ */

static mo_entry_extents shown_as(int64_t batch, const mo_map_extents *map) {
  return (mo_entry_extents){.rank = 4, .shape = {batch, map->channels, map->height, map->width}};
}

/* The maps that the output shows, one by one. */
static void state_maps(const mo_call *call) {
  STAGE_CALL(stages, call);
  const mo_stage_config *config = &mo_stage_model_of(call->model)->config;
  const mo_map_extents *last = &stages->maps[config->stage_count];
  for (int64_t i = 0; i <= config->stage_count; i++) stages->states[i] = shown_as(call->batch_size, &stages->maps[i]);
  for (int32_t i = 0; i < config->selected_count; i++)
    stages->shown[i] = shown_as(call->batch_size, &stages->maps[config->selected[i]]);
  stages->pooled = shown_as(call->batch_size, &(mo_map_extents){last->channels, 1, 1});
}

static mo_status_t check(mo_call *call) {
  STAGE_CALL(stages, call);
  const mo_model_t *model = call->model;
  const mo_stage_model *base = mo_stage_model_of(model);
  const bool from_map = starts_with_map(model);
  const char *name = from_map ? "hidden_state" : "pixel_values";
  const int64_t channels = from_map ? base->config.channels[0] : base->config.picture_channels;
  MO_TRY(mo_check_pixels(call, name, channels, 0, 0, &stages->placed_pixels));
  const mo_tensor *given = mo_call_tensor(call, name);
  stages->picture = (mo_map_extents){channels, given->shape[2], given->shape[3]};
  stages->maps[0] = stages->picture;
  if (!from_map) MO_TRY(rules_of(model)->extents(base, 0, &stages->picture, &stages->maps[0]));
  for (int64_t i = 1; i <= base->config.stage_count; i++)
    MO_TRY(rules_of(model)->extents(base, i, &stages->maps[i - 1], &stages->maps[i]));
  const mo_map_extents *last = &stages->maps[base->config.stage_count];
  call->sequence_length = last->height * last->width;
  state_maps(call);
  return MO_STATUS_OK;
}

static int64_t extent(int64_t value) { return value == 0 ? MO_EXTENT_ZERO : value; }

static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) {
  STAGE_CALL(stages, call);
  const mo_stage_config *config = &mo_stage_model_of(call->model)->config;
  const mo_class *output_class = call->model->output_class;
  const mo_field_extents all[] = {{"hidden_states", stages->states, (int32_t)config->stage_count + 1},
                                  {"last_hidden_state", &stages->states[config->stage_count], 1},
                                  {"pooler_output", &stages->pooled, 1},
                                  {"feature_maps", stages->shown, config->selected_count}};
  int32_t count = 0;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (mo_class_field_index(output_class, all[i].field) >= 0) stages->stated[count++] = all[i];
  dimensions->batch_size = extent(call->batch_size);
  dimensions->no_cache = true;
  dimensions->stated = stages->stated;
  dimensions->stated_count = count;
  /* BackboneOutput has attentions, for other models. */
  if (mo_class_field_index(output_class, "attentions") >= 0) {
    stages->stated[count] = (mo_field_extents){"attentions", NULL, 0};
    dimensions->stated_count = count + 1;
  }
}

static int64_t elements(int64_t batch, const mo_map_extents *map) { return batch * map->channels * map->height * map->width; }

static void carve(mo_call *call, mo_arena *arena) {
  STAGE_CALL(stages, call);
  const mo_stage_model *base = mo_stage_model_of(call->model);
  const size_t element = mo_dtype_bytes(call->model->dtype);
  int64_t largest = 0, scratch = 0;
  for (int64_t i = 0; i <= base->config.stage_count; i++) {
    const mo_map_extents *input = i == 0 ? &stages->picture : &stages->maps[i - 1];
    const int64_t map = elements(call->batch_size, &stages->maps[i]);
    const int64_t wanted =
        i == 0 && starts_with_map(call->model) ? 0 : rules_of(call->model)->scratch(base, i, call->batch_size, input);
    if (map > largest) largest = map;
    if (wanted > scratch) scratch = wanted;
  }
  for (int i = 0; i < 2; i++) stages->buffers[i] = mo_arena_carve(arena, (size_t)largest * element);
  const size_t start = arena->used;
  stages->scratch = mo_arena_carve(arena, (size_t)scratch * element);
  call->spare = (mo_arena){.base = stages->scratch, .capacity = arena->used - start};
}

static mo_status_t show(const mo_call *call, const mo_tensor *shown, const mo_tensor *map) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  if (shown == NULL) return MO_STATUS_OK;
  params.output = shown;
  params.input = map;
  return mo_cast(call->model->context, &params);
}

/* A map into whichever fields of the output show it. */
static mo_status_t show_map(const mo_call *call, int64_t index, const mo_tensor *map) {
  const mo_stage_config *config = &mo_stage_model_of(call->model)->config;
  const mo_tensor *state = mo_field_tensor(mo_field_item(mo_output_get(call->output, "hidden_states"), index));
  const mo_tensor *last = index == config->stage_count ? mo_call_output(call, "last_hidden_state") : NULL;
  MO_TRY(show(call, state, map));
  if (last != NULL && (state == NULL || state->data != last->data)) MO_TRY(show(call, last, map));
  for (int32_t i = 0; i < config->selected_count; i++)
    if (config->selected[i] == index)
      MO_TRY(show(call, mo_field_tensor(mo_field_item(mo_output_get(call->output, "feature_maps"), i)), map));
  return MO_STATUS_OK;
}

static mo_status_t forward(mo_call *call, mo_tensor *last_hidden) {
  STAGE_CALL(stages, call);
  const mo_model_t *model = call->model;
  const mo_stage_model *base = mo_stage_model_of(model);
  const mo_stage_run run = {.context = model->context, .model = base, .scratch = stages->scratch};
  mo_tensor map = mo_call_placed(call, stages->placed_pixels);
  for (int64_t i = 0; i <= base->config.stage_count; i++) {
    const mo_tensor next =
        mo_feature_map(model->context, stages->buffers[i % 2], model->dtype, call->batch_size, &stages->maps[i]);
    if (i == 0 && starts_with_map(model)) MO_TRY(show(call, &next, &map));
    else MO_TRY(rules_of(model)->run(&run, i, &next, &map));
    map = next;
    MO_TRY(show_map(call, i, &map));
  }
  const int64_t shape[3] = {call->batch_size, call->sequence_length, map.shape[1]};
  *last_hidden = mo_device_tensor(model->context, map.data, model->dtype, 3, shape);
  return MO_STATUS_OK;
}

const mo_base_model mo_stage_base = {.bytes = sizeof(mo_stage_model),
                                     .inputs = inputs,
                                     .configure = configure,
                                     .load = load,
                                     .release = release,
                                     .check = check,
                                     .dimensions = set_dimensions,
                                     .carve = carve,
                                     .forward = forward};
