/* host/images/patch_base.c - the base model of families that see pictures as patches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/call/tensor_rows.h"
#include "host/images/image_input.h"
#include "host/images/patch_model.h"

typedef struct patch_call {
  int32_t placed_pixels, placed_rows; /* -1: no patch is masked */
  mo_patch_run run;
  mo_transformer_workspace transformer;
} patch_call;

#define PATCH_CALL(name, call) MO_CALL_BASE(patch_call, name, call)

static const char *no_mask_token(const mo_model_t *model) {
  return mo_patch_model_of(model)->config.masks ? NULL : "this architecture has no mask token";
}

static const mo_input_spec inputs[] = {
    MO_PIXEL_VALUES,
    {{"bool_masked_pos", MO_INPUT_TENSOR, MO_DTYPES_MASK, "(batch, patches)"}, no_mask_token},
    {.info.name = NULL},
};

/* ---- Configuration and weights ----------------------------------------------------------------------------------------- */

static mo_status_t configure(mo_model_t *model) {
  const mo_patch_rules *rules = model->family->rules;
  mo_patch_model *patches = mo_patch_model_of(model);
  mo_transformer *transformer = &patches->transformer;
  transformer->dtype = model->dtype;
  transformer->context = model->context;
  MO_TRY(rules->configure(model->config, &transformer->config, &patches->config));
  patches->config.size = transformer->config.hidden_size;
  patches->config.masks = patches->config.masks && model->architecture.masks_patches;
  patches->prefix = mo_patch_prefix(rules->patch_names);
  model->facts = (mo_base_facts){.hidden_size = transformer->config.hidden_size,
                                 .output_size = transformer->config.output_size,
                                 .max_length = -1,
                                 .position_count = patches->prefix + mo_patch_count(&patches->config),
                                 .activation = transformer->config.feed_forward.activation,
                                 .epsilon = transformer->config.norm.epsilon,
                                 .padding_id = MO_NO_TOKEN,
                                 .end_id = -1};
  return MO_STATUS_OK;
}

static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  const mo_patch_rules *rules = model->family->rules;
  mo_patch_model *patches = mo_patch_model_of(model);
  MO_TRY(mo_patches_load(&patches->patches, loader, rules->patch_names, &patches->config));
  return mo_transformer_load(&patches->transformer, loader, rules->names);
}

static void release(mo_model_t *model) {
  mo_patch_model *patches = mo_patch_model_of(model);
  mo_patches_release(&patches->patches);
  mo_transformer_release(&patches->transformer);
}

static bool find_integer(const mo_model_t *model, const char *name, int64_t *value) {
  const mo_patch_model *patches = mo_patch_model_of(model);
  const mo_transformer_config *config = &patches->transformer.config;
  const struct {
    const char *name;
    int64_t value;
  } known[] = {{"hidden_size", config->hidden_size},
               {"num_hidden_layers", config->layer_count},
               {"num_attention_heads", config->attention.head_count},
               {"head_dim", config->attention.head_size},
               {"intermediate_size", config->feed_forward.size},
               {"num_channels", patches->config.channels}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (strcmp(known[i].name, name) != 0) continue;
    *value = known[i].value;
    return true;
  }
  return false;
}

/* ---- A call ------------------------------------------------------------------------------------------------------------ */

/* The number of each patch among all of the batch, or that of the mask token behind them. */
static void number_patches(const mo_call *call, const mo_placement *placement, void *destination) {
  const mo_tensor *mask = placement->source;
  const int64_t length = mo_row_length(mask), stride = mo_row_stride(mask);
  int64_t *rows = destination;
  for (int64_t row = 0; row < call->batch_size; row++)
    for (int64_t i = 0; i < length; i++)
      rows[row * length + i] =
          mo_mask_shows(mask, mo_row_offset(mask, row) + i * stride) ? call->batch_size * length : row * length + i;
}

static mo_status_t check(mo_call *call) {
  PATCH_CALL(patches, call);
  const mo_model_t *model = call->model;
  const mo_patch_model *base = mo_patch_model_of(model);
  const mo_tensor *mask = mo_call_tensor(call, "bool_masked_pos");
  const int64_t count = mo_patch_count(&base->config);
  patches->placed_rows = -1;
  MO_TRY(mo_check_pixels(call, "pixel_values", base->config.channels, base->config.height, base->config.width,
                         &patches->placed_pixels));
  call->sequence_length = base->prefix + count;
  if (mask == NULL) return MO_STATUS_OK;
  MO_TRY(mo_check_input(model, "bool_masked_pos", mask, MO_DTYPES_MASK, 2, (int64_t[]){call->batch_size, count}));
  MO_CHECK(mo_model_can_read(model, mask), MO_STATUS_UNSUPPORTED,
           "%s: bool_masked_pos lies on the device, but which patches it masks is looked up on the host",
           model->architecture.name);
  patches->placed_rows = mo_call_make(call, mask, number_patches, MO_DTYPE_INT64, call->batch_size, count);
  return MO_STATUS_OK;
}

int32_t mo_patch_placed_pixels(const mo_call *call) {
  PATCH_CALL(patches, call);
  return patches->placed_pixels;
}

static int64_t extent(int64_t value) { return value == 0 ? MO_EXTENT_ZERO : value; }

static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) {
  const mo_patch_model *base = mo_patch_model_of(call->model);
  const mo_transformer_config *config = &base->transformer.config;
  dimensions->batch_size = extent(call->batch_size);
  dimensions->sequence_length = dimensions->patch_size = call->sequence_length;
  dimensions->hidden_size = dimensions->last_hidden_size = config->hidden_size;
  dimensions->num_layers = extent(config->layer_count);
  dimensions->num_heads = config->attention.head_count;
  dimensions->num_channels = base->config.channels;
  dimensions->height = base->config.height;
  dimensions->width = base->config.width;
  dimensions->final_norm = config->final_norm == MO_FINAL_NORM_AFTER_STATES;
  dimensions->no_cache = true;
}

static mo_transformer_inputs transformer_inputs(const mo_call *call) {
  PATCH_CALL(patches, call);
  return (mo_transformer_inputs){.batch_size = call->batch_size,
                                 .sequence_length = call->sequence_length,
                                 .key_length = call->sequence_length,
                                 .embedder = {.embed = mo_patches_embed, .state = &patches->run}};
}

static void carve(mo_call *call, mo_arena *arena) {
  PATCH_CALL(patches, call);
  const mo_patch_model *base = mo_patch_model_of(call->model);
  const mo_transformer_inputs sizes = transformer_inputs(call);
  const bool masked = patches->placed_rows >= 0;
  mo_transformer_carve(&base->transformer, &sizes, arena, &patches->transformer);
  patches->run = (mo_patch_run){.patches = &base->patches,
                                .config = &base->config,
                                .memory = mo_patches_carve(&base->config, call->model->dtype, call->batch_size, masked, arena)};
  call->spare = (mo_arena){.base = patches->transformer.spare, .capacity = patches->transformer.spare_bytes};
}

static mo_status_t forward(mo_call *call, mo_tensor *last_hidden) {
  PATCH_CALL(patches, call);
  const mo_transformer_inputs taken = transformer_inputs(call);
  const mo_sinks sinks = {.states = mo_output_get(call->output, "hidden_states"),
                          .last_state = mo_output_get(call->output, "last_hidden_state"),
                          .self_weights = mo_weights_sink_of(mo_output_get(call->output, "attentions"), &call->request)};
  patches->run.pixels = mo_call_placed(call, patches->placed_pixels);
  patches->run.rows = mo_call_placed(call, patches->placed_rows);
  return mo_transformer_forward(&mo_patch_model_of(call->model)->transformer, &taken, &patches->transformer, &sinks,
                                last_hidden);
}

const mo_base_model mo_patch_base = {.bytes = sizeof(mo_patch_model),
                                     .inputs = inputs,
                                     .configure = configure,
                                     .load = load,
                                     .release = release,
                                     .find_integer = find_integer,
                                     .check = check,
                                     .dimensions = set_dimensions,
                                     .carve = carve,
                                     .forward = forward};
