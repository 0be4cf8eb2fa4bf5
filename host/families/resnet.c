/* host/families/resnet.c - ResNet: parameter names, configuration keys, layers, architectures.
 *
 * Names and defaults: transformers/models/resnet/{modeling,configuration}_resnet.py.
 *
 *   basic       3 x 3, 3 x 3
 *   bottleneck  1 x 1 to a quarter of the channels, 3 x 3, 1 x 1
 *
 * Each convolution is followed by a batch norm (folded in) and, but for the last, relu; the layer's input, or a 1 x 1
 * convolution of it, is added before hidden_act.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/families/registry.h"
#include "host/heads/heads.h"
#include "host/images/stage_model.h"
#include "host/nn/convolution.h"
#include "modelout/pooling2d.h"

#define BATCH_NORM_EPSILON 1e-5f
#define REDUCTION 4
#define MOST_LAYERS 1024

typedef struct resnet_layer {
  mo_convolution_block convolutions[3], shortcut;
  bool has_shortcut;
} resnet_layer;

typedef struct resnet {
  bool bottleneck, reduces_first; /* downsample_in_bottleneck: the stride is the first convolution's */
  bool first_stage_strides;
  mo_activation_t activation;
  int64_t depths[MO_MOST_STAGES + 1];
  mo_convolution_block stem;
  resnet_layer *stages[MO_MOST_STAGES + 1]; /* depths[i] of them each */
} resnet;

static int32_t stage_stride(const resnet *state, int64_t stage) { return stage > 1 || state->first_stage_strides ? 2 : 1; }
static int convolution_count(const resnet *state) { return state->bottleneck ? 3 : 2; }

/* ---- Configuration ----------------------------------------------------------------------------------------------------- */

static mo_status_t read_layer_type(const mo_config_t *config, resnet *state) {
  const char *type, *activation;
  MO_TRY(mo_config_string(config, "layer_type", "bottleneck", &type));
  state->bottleneck = strcmp(type, "bottleneck") == 0;
  MO_CHECK(state->bottleneck || strcmp(type, "basic") == 0, MO_STATUS_BAD_FILE,
           "model load: layer_type is %.40s, there are basic and bottleneck", type);
  MO_TRY(mo_config_flag(config, "downsample_in_first_stage", false, &state->first_stage_strides));
  MO_TRY(mo_config_flag(config, "downsample_in_bottleneck", false, &state->reduces_first));
  MO_TRY(mo_config_string(config, "hidden_act", "relu", &activation));
  return mo_activation_from_name(activation, &state->activation);
}

static mo_status_t configure(const mo_config_t *config, mo_stage_model *model) {
  static const int64_t default_sizes[] = {256, 512, 1024, 2048}, default_depths[] = {3, 4, 6, 3};
  resnet *state = model->state;
  mo_stage_config *stages = &model->config;
  int64_t depth_count;
  MO_TRY(mo_config_integer(config, "num_channels", 1, 4096, 3, &stages->picture_channels));
  MO_TRY(mo_config_integer(config, "embedding_size", 1, 1 << 16, 64, &stages->channels[0]));
  MO_TRY(mo_config_integers(config, "hidden_sizes", stages->channels + 1, MO_MOST_STAGES, &stages->stage_count));
  MO_TRY(mo_config_integers(config, "depths", state->depths + 1, MO_MOST_STAGES, &depth_count));
  if (stages->stage_count == 0) memcpy(stages->channels + 1, default_sizes, sizeof default_sizes), stages->stage_count = 4;
  if (depth_count == 0) memcpy(state->depths + 1, default_depths, sizeof default_depths), depth_count = 4;
  MO_CHECK(depth_count == stages->stage_count, MO_STATUS_BAD_FILE,
           "model load: %" PRId64 " depths, but %" PRId64 " hidden_sizes", depth_count, stages->stage_count);
  MO_TRY(read_layer_type(config, state));
  for (int64_t i = 1; i <= stages->stage_count; i++) {
    MO_CHECK(
        state->depths[i] >= 1 && state->depths[i] <= MOST_LAYERS && stages->channels[i] >= 1 && stages->channels[i] <= 1 << 16,
        MO_STATUS_BAD_FILE, "model load: stage %" PRId64 " has %" PRId64 " layers of %" PRId64 " channels", i, state->depths[i],
        stages->channels[i]);
    MO_CHECK(!state->bottleneck || stages->channels[i] >= REDUCTION, MO_STATUS_BAD_FILE,
             "model load: bottlenecks of stage %" PRId64 " have %" PRId64 " channels, at least %d are needed", i,
             stages->channels[i], REDUCTION);
  }
  return mo_stage_read_selection(config, stages);
}

/* ---- Weights ----------------------------------------------------------------------------------------------------------- */

static mo_status_t load_convolution(mo_loader *loader, const char *prefix, int64_t in, int64_t out, int32_t kernel,
                                    int32_t stride, mo_convolution_block *block) {
  mo_convolution_rule rule = mo_square_convolution(in, out, kernel, stride);
  rule.lacks_bias = true;
  rule.batch_norm = "normalization";
  rule.epsilon = BATCH_NORM_EPSILON;
  return mo_load_convolution(loader, prefix, "convolution", &rule, block);
}

/* The extents of a layer's convolutions; the stride is that of one of them. */
static mo_status_t load_layer(const resnet *state, mo_loader *loader, const char *prefix, int64_t in, int64_t out,
                              int32_t stride, resnet_layer *layer) {
  char name[MO_PARAMETER_NAME_BYTES];
  const int count = convolution_count(state);
  const int64_t inner = state->bottleneck ? out / REDUCTION : out;
  const int strided = state->bottleneck && !state->reduces_first ? 1 : 0;
  for (int i = 0; i < count; i++) {
    const int32_t kernel = state->bottleneck && i != 1 ? 1 : 3;
    snprintf(name, sizeof name, "%.180slayer.%d.", prefix, i);
    MO_TRY(load_convolution(loader, name, i == 0 ? in : inner, i == count - 1 ? out : inner, kernel, i == strided ? stride : 1,
                            &layer->convolutions[i]));
  }
  layer->has_shortcut = in != out || stride != 1;
  if (!layer->has_shortcut) return MO_STATUS_OK;
  snprintf(name, sizeof name, "%.180sshortcut.", prefix);
  return load_convolution(loader, name, in, out, 1, stride, &layer->shortcut);
}

static mo_status_t load_stage(mo_stage_model *model, mo_loader *loader, int64_t stage) {
  resnet *state = model->state;
  char prefix[MO_PARAMETER_NAME_BYTES];
  const int64_t in = model->config.channels[stage - 1], out = model->config.channels[stage];
  if (state->stages[stage] == NULL) state->stages[stage] = calloc((size_t)state->depths[stage], sizeof(resnet_layer));
  if (state->stages[stage] == NULL) return MO_STATUS_OUT_OF_MEMORY;
  for (int64_t i = 0; i < state->depths[stage]; i++) {
    snprintf(prefix, sizeof prefix, "encoder.stages.%" PRId64 ".layers.%" PRId64 ".", stage - 1, i);
    MO_TRY(load_layer(state, loader, prefix, i == 0 ? in : out, out, i == 0 ? stage_stride(state, stage) : 1,
                      &state->stages[stage][i]));
  }
  return MO_STATUS_OK;
}

static mo_status_t load(mo_stage_model *model, mo_loader *loader) {
  resnet *state = model->state;
  MO_TRY(load_convolution(loader, "embedder.embedder.", model->config.picture_channels, model->config.channels[0], 7, 2,
                          &state->stem));
  for (int64_t i = 1; i <= model->config.stage_count; i++) MO_TRY(load_stage(model, loader, i));
  return MO_STATUS_OK;
}

static void release(mo_stage_model *model) {
  resnet *state = model->state;
  mo_convolution_release(&state->stem);
  for (int64_t s = 1; s <= model->config.stage_count; s++) {
    for (int64_t i = 0; state->stages[s] != NULL && i < state->depths[s]; i++) {
      for (int k = 0; k < 3; k++) mo_convolution_release(&state->stages[s][i].convolutions[k]);
      mo_convolution_release(&state->stages[s][i].shortcut);
    }
    free(state->stages[s]);
  }
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* Half of an extent, rounded up: a kernel of 3 or 7 with its padding, or of 1, and a stride of 2. */
static int64_t halved(int64_t extent) { return (extent + 1) / 2; }

static mo_status_t extents(const mo_stage_model *model, int64_t stage, const mo_map_extents *input, mo_map_extents *output) {
  const resnet *state = model->state;
  *output = (mo_map_extents){model->config.channels[stage], input->height, input->width};
  MO_CHECK(input->height >= 1 && input->width >= 1, MO_STATUS_INVALID_ARGUMENT, "resnet: a picture without pixels");
  const int halvings = stage == 0 ? 2 : stage_stride(state, stage) == 2 ? 1 : 0;
  for (int i = 0; i < halvings; i++) output->height = halved(output->height), output->width = halved(output->width);
  return MO_STATUS_OK;
}

/* The stem's map before it is pooled; of a layer what its convolutions make, two maps, and the shortcut's. */
static int64_t scratch(const mo_stage_model *model, int64_t stage, int64_t batch, const mo_map_extents *input) {
  mo_map_extents output;
  (void)extents(model, stage, input, &output);
  if (stage == 0) return batch * output.channels * halved(input->height) * halved(input->width);
  const int64_t whole = batch * output.channels * input->height * input->width;
  const int64_t map = batch * output.channels * output.height * output.width;
  return 2 * whole + 2 * map; /* two within the layer, its shortcut, and the map between two layers */
}

static mo_status_t run_stem(const mo_stage_run *run, const mo_tensor *output, const mo_tensor *input) {
  const resnet *state = run->model->state;
  const mo_map_extents inner = {output->shape[1], halved(input->shape[2]), halved(input->shape[3])};
  const mo_tensor map = mo_feature_map(run->context, run->scratch, output->dtype, output->shape[0], &inner);
  mo_pooling2d_params pool = MO_POOLING2D_PARAMS_INIT;
  MO_TRY(mo_convolution_apply(run->context, &state->stem, state->activation, &map, input, NULL));
  pool.output = output;
  pool.input = &map;
  for (int axis = 0; axis < 2; axis++) pool.kernel[axis] = 3, pool.stride[axis] = 2, pool.padding[axis] = 1;
  return mo_pooling2d(run->context, &pool);
}

/* The next map of a layer: as large as its input until the convolution that strides. */
static mo_tensor inner_map(const mo_stage_run *run, const mo_convolution_block *block, const mo_tensor *input, void *memory) {
  int64_t shape[4];
  (void)mo_convolution_output_shape(block->packed, 4, input->shape, shape);
  return mo_feature_map(run->context, memory, input->dtype, shape[0], &(mo_map_extents){shape[1], shape[2], shape[3]});
}

static mo_status_t run_layer(const mo_stage_run *run, const resnet_layer *layer, void *const *memory, const mo_tensor *output,
                             const mo_tensor *input) {
  const resnet *state = run->model->state;
  const int last = convolution_count(state) - 1;
  mo_tensor map = *input, residual = *input;
  if (layer->has_shortcut) {
    residual = inner_map(run, &layer->shortcut, input, memory[2]);
    MO_TRY(mo_convolution_apply(run->context, &layer->shortcut, MO_ACTIVATION_NONE, &residual, input, NULL));
  }
  for (int i = 0; i < last; i++) {
    const mo_tensor next = inner_map(run, &layer->convolutions[i], &map, memory[i]);
    MO_TRY(mo_convolution_apply(run->context, &layer->convolutions[i], MO_ACTIVATION_RELU, &next, &map, NULL));
    map = next;
  }
  return mo_convolution_apply(run->context, &layer->convolutions[last], state->activation, output, &map, &residual);
}

/* Layers write to the stage's output and to a map of scratch memory in turn, the last one to the output. */
static mo_status_t run_stage(const mo_stage_run *run, int64_t stage, const mo_tensor *output, const mo_tensor *input) {
  const resnet *state = run->model->state;
  const int64_t element = (int64_t)mo_dtype_bytes(output->dtype), depth = state->depths[stage];
  const int64_t whole = output->shape[0] * output->shape[1] * input->shape[2] * input->shape[3] * element;
  const int64_t map_bytes = mo_tensor_bytes(output);
  char *base = run->scratch;
  void *const memory[3] = {base, base + whole, base + 2 * whole};
  mo_tensor between = *output;
  between.data = base + 2 * whole + map_bytes;
  mo_tensor map = *input;
  if (stage == 0) return run_stem(run, output, input);
  for (int64_t i = 0; i < depth; i++) {
    const mo_tensor *next = (depth - i) % 2 == 1 ? output : &between;
    MO_TRY(run_layer(run, &state->stages[stage][i], memory, next, &map));
    map = *next;
  }
  return MO_STATUS_OK;
}

/* ---- The family -------------------------------------------------------------------------------------------------------- */

static const mo_architecture architectures[] = {
    {.name = "ResNetModel",
     .head = &mo_base_head,
     .output_class = {"BaseModelOutputWithPoolingAndNoAttention"},
     .summary = {.of_mean = true}},
    {.name = "ResNetForImageClassification",
     .head = &mo_sequence_classification_head,
     .output_class = {"ImageClassifierOutputWithNoAttention"},
     .summary = {.of_mean = true},
     .classifier = "classifier.1"},
    {.name = "ResNetBackbone", .head = &mo_base_head, .output_class = {"BackboneOutput"}},
};

static const mo_stage_rules rules = {.state_bytes = sizeof(resnet),
                                     .configure = configure,
                                     .load = load,
                                     .release = release,
                                     .extents = extents,
                                     .scratch = scratch,
                                     .run = run_stage};

const mo_family mo_resnet_family = {.name = "resnet",
                                    .base_prefix = "resnet",
                                    .base = &mo_stage_base,
                                    .rules = &rules,
                                    .encoder_class = {"BaseModelOutputWithNoAttention"},
                                    .architectures = architectures,
                                    .architecture_count = sizeof architectures / sizeof architectures[0]};
