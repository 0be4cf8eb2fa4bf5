/* host/model/model.c - the public face of models: load, look, run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/model.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/range.h"
#include "host/model/model_internal.h"
#include "host/model/registry.h"

/* ---- Loading ----------------------------------------------------------------------------------------------------------- */

static mo_status_t choose_architecture(mo_model_t *model, const mo_model_options *options) {
  const char *const *names = NULL;
  const char *name = options->architecture;
  const mo_architecture *architecture;
  int64_t count = 0;
  MO_TRY(mo_config_architectures(model->config, &names, &count));
  if (name == NULL && count > 0) name = names[0];
  MO_CHECK(name != NULL, MO_STATUS_BAD_FILE, "model load: config.json has no architectures, and the options name none");
  MO_TRY(mo_architecture_find(name, &model->family, &architecture));
  model->architecture = *architecture;
  if (options->sub_module != NULL) MO_TRY(mo_architecture_part(model->family, options->sub_module, &model->architecture));
  if (model->family->adapt != NULL) MO_TRY(model->family->adapt(model->config, &model->architecture));
  return mo_architecture_class(&model->architecture, model->framework, &model->output_class);
}

/* An encoder beside a decoder takes its word table. */
static mo_status_t load_stacks(mo_model_t *model, mo_loader *loader) {
  const mo_family *family = model->family;
  if (!model->has_encoder) {
    const bool encoder = model->architecture.part == MO_PART_ENCODER;
    return mo_stack_load(&model->stack, loader, encoder ? family->encoder_names : family->names);
  }
  mo_stack_names names = *family->encoder_names;
  names.word = NULL;
  MO_TRY(mo_stack_load(&model->stack, loader, family->names));
  model->encoder.word.tensor = model->stack.word.tensor;
  return mo_stack_load(&model->encoder, loader, &names);
}

static mo_status_t load_weights(mo_model_t *model, const char *directory, const mo_model_options *options) {
  const char *own_prefix = model->architecture.base_prefix;
  const mo_checkpoint_options checkpoint_options = {.base_prefix =
                                                        own_prefix != NULL ? own_prefix : model->family->names->base_prefix};
  MO_TRY(mo_checkpoint_open(directory, &checkpoint_options, &model->checkpoint));
  mo_loader loader = {.checkpoint = model->checkpoint, .dtype = model->dtype, .allow_missing = options->allow_missing};
  for (int walk = 0; walk < 2; walk++) {
    MO_TRY(load_stacks(model, &loader));
    MO_TRY(mo_head_load(model, &loader));
    if (walk == 0 && !options->allow_missing) MO_TRY(mo_checkpoint_check_missing(model->checkpoint));
    loader.context = model->context;
  }
  model->parameter_count = loader.parameter_count;
  if (!loader.any_mapped) mo_checkpoint_close_files(model->checkpoint);
  return MO_STATUS_OK;
}

static mo_status_t configure(mo_model_t *model) {
  const mo_family *family = model->family;
  const mo_part_t part = model->architecture.part;
  if (part == MO_PART_ENCODER) return family->configure_encoder(model->config, &model->stack.config);
  MO_TRY(family->configure(model->config, &model->stack.config));
  model->has_encoder = part == MO_PART_ALL && family->configure_encoder != NULL;
  if (!model->has_encoder) return MO_STATUS_OK;
  MO_TRY(family->configure_encoder(model->config, &model->encoder.config));
  model->stack.config.encoder_hidden_size = model->encoder.config.output_size;
  return MO_STATUS_OK;
}

static mo_status_t load(mo_model_t *model, const char *directory, const mo_model_options *options) {
  MO_TRY(mo_config_load(directory, &model->config));
  MO_TRY(mo_config_load_generation(directory, &model->generation_config));
  MO_TRY(choose_architecture(model, options));
  MO_TRY(configure(model));
  MO_TRY(mo_config_num_labels(model->config, &model->label_count));
  MO_TRY(mo_config_problem_type(model->config, &model->problem_type));
  return load_weights(model, directory, options);
}

mo_status_t mo_model_load(mo_context_t *context, const char *directory, const mo_model_options *options, mo_model_t **model) {
  const mo_model_options defaults = MO_MODEL_OPTIONS_INIT;
  MO_CHECK(context != NULL && directory != NULL && model != NULL, MO_STATUS_INVALID_ARGUMENT,
           "model load: NULL context, directory or result");
  if (options == NULL) options = &defaults;
  MO_CHECK(options->struct_size >= sizeof defaults, MO_STATUS_INVALID_ARGUMENT,
           "model load: struct_size %zu, use MO_MODEL_OPTIONS_INIT", options->struct_size);
  const mo_dtype_t dtype = options->dtype == MO_DTYPE_NONE ? MO_DTYPE_FLOAT32 : options->dtype;
  const mo_framework_t framework = options->framework == MO_FRAMEWORK_BASE ? MO_FRAMEWORK_PT : options->framework;
  MO_CHECK(mo_dtype_is_float(dtype), MO_STATUS_UNSUPPORTED, "model load: dtype %s, models run in float32, float16 or bfloat16",
           mo_dtype_name(dtype));
  MO_CHECK(framework >= MO_FRAMEWORK_PT && framework <= MO_FRAMEWORK_FLAX, MO_STATUS_INVALID_ARGUMENT,
           "model load: framework %d is none of pt, tf and flax", (int)framework);

  mo_model_t *made = mo_host_allocate(context, sizeof *made);
  if (made == NULL) return mo_context_note(context, MO_STATUS_OUT_OF_MEMORY);
  made->context = mo_context_retain(context);
  made->dtype = made->stack.dtype = made->encoder.dtype = dtype;
  made->stack.context = made->encoder.context = context;
  made->framework = framework;
  const mo_status_t status = load(made, directory, options);
  if (status != MO_STATUS_OK) {
    mo_model_destroy(made);
    return mo_context_note(context, status);
  }
  *model = made;
  return MO_STATUS_OK;
}

/* Until the copies of the run before have read `staging`. On a GPU they are the first thing in its stream, so this seldom
 * waits. */
static mo_status_t wait_for_staging(const mo_model_t *model) {
  if (model->staged == NULL) return MO_STATUS_OK;
  return mo_context_backend(model->context)->event_synchronize(mo_context_backend_state(model->context), model->staged);
}

void mo_model_destroy(mo_model_t *model) {
  if (model == NULL) return;
  mo_context_t *context = model->context;
  mo_head_release(&model->head);
  mo_stack_release(&model->encoder);
  mo_stack_release(&model->stack);
  mo_context_release(context, model->workspace);
  (void)wait_for_staging(model);
  if (model->staged != NULL) mo_context_return_event(context, model->staged);
  mo_context_release_pinned(context, model->staging);
  mo_checkpoint_destroy(model->checkpoint);
  mo_config_destroy(model->generation_config);
  mo_config_destroy(model->config);
  mo_host_free(context, model, sizeof *model);
  mo_context_release_reference(context);
}

/* ---- Looking ----------------------------------------------------------------------------------------------------------- */

const char *mo_model_architecture(const mo_model_t *model) { return model != NULL ? model->architecture.name : NULL; }

const mo_class *mo_model_output_class(const mo_model_t *model) { return model != NULL ? model->output_class : NULL; }

int64_t mo_model_parameter_count(const mo_model_t *model) { return model != NULL ? model->parameter_count : 0; }

int64_t mo_model_config_integer(const mo_model_t *model, const char *name) {
  if (model == NULL || name == NULL) return -1;
  const mo_stack_config *config = &model->stack.config;
  /* Under BERT's names every family answers, with its defaults where the file is silent. */
  const struct {
    const char *name;
    int64_t value;
  } common[] = {{"hidden_size", config->hidden_size},
                {"num_hidden_layers", config->layer_count},
                {"num_attention_heads", config->head_count},
                {"num_key_value_heads", config->key_value_head_count},
                {"head_dim", config->head_size},
                {"intermediate_size", config->intermediate_size},
                {"max_position_embeddings", config->position_count},
                {"vocab_size", config->vocab_size},
                {"num_labels", model->label_count}};
  for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
    if (strcmp(common[i].name, name) == 0) return common[i].value;
  int64_t value;
  return mo_config_find_integer(model->config, name, &value) ? value : -1;
}

const char *mo_model_unexpected_tensor(const mo_model_t *model, int64_t index) {
  return model != NULL ? mo_checkpoint_unexpected(model->checkpoint, index) : NULL;
}

const char *mo_model_missing_tensor(const mo_model_t *model, int64_t index) {
  return model != NULL ? mo_checkpoint_missing(model->checkpoint, index) : NULL;
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* `decoder`: the inputs as the stack sees them, for everything that follows. */
static mo_status_t check_call(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                              mo_model_inputs *decoder, mo_run_shape *shape) {
  const mo_model_inputs known_inputs = MO_MODEL_INPUTS_INIT;
  const mo_request known_request = MO_REQUEST_INIT;
  MO_CHECK(inputs != NULL && inputs->struct_size >= known_inputs.struct_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: inputs without their struct_size, use MO_MODEL_INPUTS_INIT", model->architecture.name);
  MO_CHECK(request == NULL || request->struct_size >= known_request.struct_size, MO_STATUS_INVALID_ARGUMENT,
           "%s: a request without its struct_size, use MO_REQUEST_INIT", model->architecture.name);
  *shape = (mo_run_shape){0};
  MO_TRY(mo_seq2seq_decoder_inputs(model, inputs, decoder, shape));
  MO_TRY(mo_inputs_check(model, decoder, request, shape));
  /* The loss is that of all labels, so its logits must all be there. */
  const bool fewer = mo_head_takes_last_positions(model) && request != NULL && request->last_logit_positions > 0 &&
                     request->last_logit_positions < shape->sequence_length;
  MO_CHECK(!fewer || shape->loss == MO_LOSS_NONE || model->framework == MO_FRAMEWORK_FLAX, MO_STATUS_INVALID_ARGUMENT,
           "%s: labels with the logits of the last %" PRId64 " positions only, the loss needs them all",
           model->architecture.name, request->last_logit_positions);
  return mo_stack_prepare_rotary(&model->stack, shape->rotary_positions, shape->cache.key_length);
}

static int64_t extent(int64_t value) { return value == 0 ? MO_EXTENT_ZERO : value; }

static mo_dimensions dimensions_of(const mo_model_t *model, const mo_run_shape *shape) {
  const mo_stack_config *config = &model->stack.config;
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.dtype = model->dtype;
  dimensions.batch_size = extent(shape->example_count);
  dimensions.sequence_length = shape->sequence_length;
  dimensions.hidden_size = config->hidden_size;
  dimensions.num_layers = extent(config->layer_count);
  dimensions.num_heads = config->head_count;
  dimensions.vocab_size = config->vocab_size;
  dimensions.num_labels = model->label_count;
  dimensions.num_choices = model->architecture.head == MO_HEAD_MULTIPLE_CHOICE ? shape->choice_count : 0;
  dimensions.loss_count = extent(shape->loss_count);
  dimensions.has_loss = shape->loss != MO_LOSS_NONE;
  dimensions.key_length = shape->cache.key_length;
  dimensions.encoder_sequence_length = shape->encoder_length;
  if (model->has_encoder) {
    dimensions.encoder_num_layers = extent(model->encoder.config.layer_count);
    dimensions.encoder_num_heads = model->encoder.config.head_count;
    dimensions.encoder_is_given = !shape->encoder_runs;
  }
  dimensions.last_hidden_size = config->output_size;
  dimensions.num_key_value_heads = config->key_value_head_count;
  dimensions.embed_size_per_head = config->head_size;
  dimensions.add_cross_attention = shape->encoder_length > 0;
  dimensions.no_cache = !config->decoder;
  dimensions.cache_is_given = config->decoder;
  dimensions.no_pooler = model->architecture.head == MO_HEAD_NONE && !model->head.has_summary;
  return dimensions;
}

mo_status_t mo_model_create_output(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                                   mo_output **output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_model_create_output", inputs, inputs->input_ids, inputs->inputs_embeds,
           inputs->attention_mask);
  mo_model_inputs decoder;
  mo_run_shape shape;
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "model create output: NULL model or result");
  mo_status_t status = check_call(model, inputs, request, &decoder, &shape);
  if (status == MO_STATUS_OK) {
    const mo_dimensions dimensions = dimensions_of(model, &shape);
    status = mo_output_create(model->context, model->output_class, &dimensions, request, NULL, 0, output);
  }
  return mo_context_note(model->context, status);
}

/* All memory of a run. Measured first (base NULL), then handed out. */
typedef struct run_memory {
  mo_prepared_inputs inputs;
  mo_stack_workspace encoder, stack; /* in the same place: what the encoder leaves lies in the output */
  mo_head_workspace head;
  size_t input_bytes;
} run_memory;

/* What the layers see of the inputs. While measuring the descriptors have no data yet. */
static mo_stack_inputs stack_inputs(const mo_run_shape *shape, const mo_prepared_inputs *prepared) {
  const mo_run_cache *cache = &shape->cache;
  return (mo_stack_inputs){.batch_size = shape->batch_size,
                           .sequence_length = shape->sequence_length,
                           .ids = prepared->tensors[MO_INPUT_IDS],
                           .embeds = prepared->tensors[MO_INPUT_EMBEDS],
                           .types = prepared->tensors[MO_INPUT_TYPES],
                           .positions = prepared->tensors[MO_INPUT_POSITIONS],
                           .positions_are_rows = prepared->positions_are_rows,
                           .mask = prepared->tensors[MO_INPUT_MASK],
                           .cache_pair = cache->cross != NULL ? cache->given : NULL,
                           .cache = cache->self,
                           .cross_cache = cache->cross,
                           .cache_is_new = cache->self_is_new,
                           .cross_is_new = cache->cross_is_new,
                           .cross_is_cached = cache->cross_is_cached,
                           .past_length = cache->past_length,
                           .rows_differ = cache->rows_differ,
                           .key_length = cache->key_length,
                           .cache_lengths = prepared->tensors[MO_INPUT_LENGTHS],
                           .encoder_hidden = prepared->tensors[MO_INPUT_ENCODER_HIDDEN],
                           .encoder_mask = prepared->tensors[MO_INPUT_ENCODER_MASK],
                           .encoder_length = shape->encoder_length};
}

static void carve(const mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape, mo_arena *arena,
                  run_memory *memory) {
  mo_inputs_carve(model, inputs, shape, arena, &memory->inputs);
  memory->input_bytes = arena->used;
  const mo_stack_inputs sizes = stack_inputs(shape, &memory->inputs);
  const size_t start = arena->used;
  mo_seq2seq_carve(model, shape, &memory->inputs, arena, &memory->encoder);
  const size_t encoder_end = arena->used;
  arena->used = start;
  mo_stack_carve(&model->stack, &sizes, arena, &memory->stack);
  mo_head_carve(model, shape, arena, &memory->head);
  if (encoder_end > arena->used) arena->used = encoder_end;
}

/* Inputs onto the device. A graph would read the staging memory anew at each launch, whatever lies there by then. */
static mo_status_t stage(mo_model_t *model, const mo_prepared_inputs *inputs) {
  for (int which = 0; which < MO_INPUT_COUNT; which++) {
    MO_CHECK(inputs->origins[which] == MO_ORIGIN_VIEW ||
                 !mo_context_stream_is_capturing(model->context, mo_context_stream(model->context)),
             MO_STATUS_WRONG_STATE, "%s: an input lies on the host while the stream is being captured",
             model->architecture.name);
  }
  const mo_status_t status = mo_inputs_fill(model, inputs, model->workspace, model->staging);
  if (model->staging == NULL) return status;
  if (model->staged == NULL) MO_TRY(mo_context_acquire_event(model->context, &model->staged));
  const mo_status_t recorded =
      mo_context_backend(model->context)
          ->event_record(mo_context_backend_state(model->context), model->staged, mo_context_stream(model->context));
  return status != MO_STATUS_OK ? status : recorded;
}

/* Grows only: shapes seen before find their memory. The old block goes first, so that the two are never held together. */
static mo_status_t reserve(mo_model_t *model, size_t bytes, size_t input_bytes) {
  if (bytes > model->workspace_bytes) {
    MO_TRY(mo_context_check_not_captured(model->context, "the model's workspace", bytes));
    mo_context_release(model->context, model->workspace);
    model->workspace = NULL;
    model->workspace_bytes = 0;
    MO_TRY(mo_context_allocate(model->context, bytes, &model->workspace));
    model->workspace_bytes = bytes;
  }
  if (mo_context_backend(model->context)->memory_is_host || input_bytes == 0) return MO_STATUS_OK;
  MO_TRY(wait_for_staging(model));
  if (input_bytes <= model->staging_bytes) return MO_STATUS_OK;
  /* Pinned: of ordinary memory a copy of more than 64 KiB waits for the stream. */
  void *staging = NULL;
  MO_TRY(mo_context_allocate_pinned(model->context, input_bytes, &staging));
  mo_context_release_pinned(model->context, model->staging);
  model->staging = staging;
  model->staging_bytes = input_bytes;
  return MO_STATUS_OK;
}

/* Everything on the device. What it writes to the caches counts only when all of it has been enqueued. */
static mo_status_t forward(mo_model_t *model, const mo_run_shape *shape, const run_memory *memory, const mo_request *request,
                           mo_output *output) {
  const mo_state_names *names = mo_state_names_of(model);
  mo_stack_inputs inputs = stack_inputs(shape, &memory->inputs);
  if (model->has_encoder)
    MO_TRY(mo_seq2seq_encode(model, shape, &memory->inputs, &memory->encoder, request, output, &inputs.encoder_hidden));
  const mo_stack_outputs outputs = {.last_hidden_state = mo_output_get(output, "last_hidden_state"),
                                    .hidden_states = mo_output_get(output, names->hidden_states),
                                    .attentions = mo_output_get(output, names->attentions),
                                    .cross_attentions = mo_output_get(output, "cross_attentions")};
  mo_tensor hidden;
  MO_TRY(mo_stack_forward(&model->stack, &inputs, &memory->stack, request, &outputs, &hidden));
  MO_TRY(mo_head_forward(model, shape, &memory->inputs, &hidden, &memory->stack, &memory->head, output));
  return shape->cache.on_device ? MO_STATUS_OK : mo_stack_commit(&model->stack, &inputs);
}

static mo_status_t run_with_cache(mo_model_t *model, const mo_model_inputs *inputs, const mo_run_shape *shape,
                                  const mo_request *request, mo_output *output) {
  run_memory memory;
  mo_arena measure = {.base = NULL};
  carve(model, inputs, shape, &measure, &memory);
  MO_TRY(reserve(model, measure.used, memory.input_bytes));
  mo_arena arena = {.base = model->workspace, .capacity = model->workspace_bytes};
  carve(model, inputs, shape, &arena, &memory);
  MO_CHECK(mo_arena_fits(&arena), MO_STATUS_INTERNAL, "%s: the workspace is smaller than what was measured",
           model->architecture.name);
  if (memory.input_bytes > 0) MO_TRY(stage(model, &memory.inputs));
  const mo_status_t status = forward(model, shape, &memory, request, output);
  if (status != MO_STATUS_OK) mo_run_cache_undo(&shape->cache);
  MO_TRY(status);
  MO_TRY(mo_run_cache_show(model, &shape->cache, output));
  const mo_stream stream = mo_context_stream(model->context);
  return mo_context_stream_is_capturing(model->context, stream) ? MO_STATUS_OK : mo_output_mark_written(output, stream);
}

static mo_status_t run(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output *output) {
  mo_model_inputs decoder;
  mo_run_shape shape;
  MO_TRY(check_call(model, inputs, request, &decoder, &shape));
  MO_TRY(mo_run_check_output(model, &shape, request, output));
  const bool makes = shape.cache.wanted && shape.cache.given == NULL;
  if (makes) MO_TRY(mo_run_cache_make(model, &shape, &shape.cache));
  const mo_status_t status = run_with_cache(model, &decoder, &shape, request, output);
  if (makes) mo_cache_release(shape.cache.given);
  return status;
}

mo_status_t mo_model_run(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output *output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_model_run", inputs, inputs->input_ids, inputs->inputs_embeds,
           inputs->attention_mask);
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "model run: NULL model or output");
  return mo_context_note(model->context, run(model, inputs, request, output));
}

mo_status_t mo_model_forward(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output **output) {
  MO_RANGE(model != NULL ? model->context : NULL, "mo_model_forward", inputs, inputs->input_ids, inputs->inputs_embeds,
           inputs->attention_mask);
  mo_output *made = NULL;
  MO_CHECK(model != NULL && output != NULL, MO_STATUS_INVALID_ARGUMENT, "model forward: NULL model or result");
  MO_TRY(mo_model_create_output(model, inputs, request, &made));
  const mo_status_t status = mo_model_run(model, inputs, request, made);
  if (status != MO_STATUS_OK) {
    mo_output_destroy(made);
    return status;
  }
  *output = made;
  return MO_STATUS_OK;
}
