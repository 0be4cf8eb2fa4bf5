/* host/run/model.c - the public face of models: load, look, run.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/model.h"

#include <inttypes.h>
#include <string.h>

#include "host/core/log.h"
#include "host/core/range.h"
#include "host/core/struct_size.h"
#include "host/families/declarations.h"
#include "host/families/registry.h"
#include "host/run/model_internal.h"

/* ---- Loading ----------------------------------------------------------------------------------------------------------- */

/* Whether the files hold all that a language model needs beyond the base model: the head's own layers, or nothing at all where
 * its one layer is the word table. */
static mo_status_t holds_language_model(const mo_model_t *model, const char *directory, const mo_architecture *architecture,
                                        bool *holds) {
  const mo_decoder_rule *rule = &architecture->decoder;
  const mo_checkpoint_options options = {.base_prefix = model->family->names->base_prefix};
  const char *own_layer = rule->transform != NULL ? rule->transform : rule->decoder;
  char name[MO_PARAMETER_NAME_BYTES];
  mo_checkpoint_t *checkpoint;
  bool tied;
  MO_TRY(mo_head_ties(model->config, rule, &tied));
  MO_TRY(mo_parameter_name(name, own_layer, ".weight", ""));
  MO_TRY(mo_checkpoint_open(directory, &options, &checkpoint));
  *holds = (tied && rule->transform == NULL) || mo_checkpoint_contains(checkpoint, name);
  mo_checkpoint_destroy(checkpoint);
  return MO_STATUS_OK;
}

/* The file names no architecture that is known: model_type says the family, and the ending of a name or the weights which of
 * its models. */
static mo_status_t choose_by_model_type(mo_model_t *model, const char *directory, const char *const *names, int64_t count,
                                        const mo_architecture **architecture) {
  const char *type;
  bool holds, causal;
  MO_TRY(mo_config_string(model->config, "model_type", NULL, &type));
  model->family = type != NULL ? mo_family_find(type) : NULL;
  if (model->family == NULL && count > 0) return mo_architecture_unknown(names[0]);
  MO_CHECK(type != NULL, MO_STATUS_BAD_FILE,
           "model load: config.json has neither architectures nor a model_type, and the options name no architecture");
  MO_CHECK(model->family != NULL, MO_STATUS_UNSUPPORTED,
           "model load: config.json has no architectures, and its model_type %s is none of the known families",
           mo_config_show(model->config, "model_type").text);
  MO_TRY(mo_config_flag(model->config, "is_decoder", false, &causal));
  for (int64_t i = 0; i < count; i++)
    if ((*architecture = mo_architecture_by_ending(model->family, names[i], causal)) != NULL) return MO_STATUS_OK;
  *architecture = mo_architecture_language_model(model->family, causal);
  MO_TRY(holds_language_model(model, directory, *architecture, &holds));
  if (!holds) *architecture = &model->family->architectures[0];
  return MO_STATUS_OK;
}

/* The first name in the file that is known. model_type must not say another family: Transformers builds what that says. */
static mo_status_t choose_by_file(mo_model_t *model, const char *directory, const mo_architecture **architecture) {
  const char *const *names = NULL;
  const char *type;
  int64_t count = 0;
  *architecture = NULL;
  MO_TRY(mo_config_architectures(model->config, &names, &count));
  for (int64_t i = 0; *architecture == NULL && i < count; i++)
    *architecture = mo_architecture_look_up(names[i], &model->family);
  if (*architecture == NULL) return choose_by_model_type(model, directory, names, count, architecture);
  MO_TRY(mo_config_string(model->config, "model_type", model->family->name, &type));
  MO_CHECK(
      strcmp(type, model->family->name) == 0, MO_STATUS_UNSUPPORTED,
      "model load: config.json's model_type is %s, but its architecture %s is of the family %s: the options can name which "
      "is meant",
      mo_config_show(model->config, "model_type").text, (*architecture)->name, model->family->name);
  return MO_STATUS_OK;
}

static mo_status_t choose_architecture(mo_model_t *model, const char *directory, const mo_model_options *options) {
  const mo_architecture *architecture = NULL;
  if (options->architecture == NULL) MO_TRY(choose_by_file(model, directory, &architecture));
  else architecture = mo_architecture_look_up(options->architecture, &model->family);
  if (architecture == NULL) return mo_architecture_unknown(options->architecture);
  mo_config_set_aliases(model->config, model->family->aliases);
  MO_TRY(mo_declarations_check(directory, model->config, model->family));
  model->architecture = *architecture;
  if (options->sub_module != NULL) MO_TRY(mo_architecture_part(model->family, options->sub_module, &model->architecture));
  if (model->family->adapt != NULL) MO_TRY(model->family->adapt(model->config, &model->architecture));
  return mo_architecture_class(&model->architecture, model->framework, &model->output_class);
}

/* The stack's names with the word table it takes: its own where it has one in the files, and the tables are not tied or there
 * is only one stack. */
static mo_status_t choose_words(const mo_model_t *model, const mo_loader *loader, mo_transformer_names *names, bool *own) {
  char name[MO_PARAMETER_NAME_BYTES];
  bool tied;
  *own = false;
  MO_TRY(mo_config_flag(model->config, "tie_word_embeddings", true, &tied));
  if ((tied && model->has_encoder) || names->embedding.own_word == NULL) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, names->embedding.own_word, ".weight", ""));
  *own = mo_checkpoint_contains(loader->checkpoint, name);
  if (*own) names->embedding.word = names->embedding.own_word;
  return MO_STATUS_OK;
}

/* An encoder beside a decoder takes its word table, unless it has its own. */
static mo_status_t load_stacks(mo_model_t *model, mo_loader *loader) {
  const mo_family *family = model->family;
  const bool encoder = model->architecture.part == MO_PART_ENCODER;
  mo_transformer_names names = encoder ? *family->encoder_names : *family->names;
  bool own;
  MO_TRY(choose_words(model, loader, &names, &own));
  MO_TRY(mo_transformer_load(&model->stack, loader, &names));
  if (!model->has_encoder) return MO_STATUS_OK;
  names = *family->encoder_names;
  MO_TRY(choose_words(model, loader, &names, &own));
  if (!own) {
    names.embedding.word = NULL;
    model->encoder.embedding.word.tensor = model->stack.embedding.word.tensor;
  }
  return mo_transformer_load(&model->encoder, loader, &names);
}

#define TIED_HEADS 8 /* more names than any family has for the head of its language models */

/* The heads of the family that the configuration ties to the word table, whichever of its architectures this one is: a file may
 * have been saved by another. NULL-terminated. */
static mo_status_t find_tied_heads(const mo_model_t *model, const char *heads[TIED_HEADS + 1]) {
  const mo_family *family = model->family;
  int count = 0;
  for (int32_t i = 0; i < family->architecture_count && count < TIED_HEADS; i++) {
    const mo_decoder_rule *rule = &family->architectures[i].decoder;
    bool tied;
    if (rule->decoder == NULL) continue;
    MO_TRY(mo_head_ties(model->config, rule, &tied));
    if (tied && (count == 0 || strcmp(heads[count - 1], rule->decoder) != 0)) heads[count++] = rule->decoder;
  }
  heads[count] = NULL;
  return MO_STATUS_OK;
}

static mo_status_t load_weights(mo_model_t *model, const char *directory, const mo_model_options *options) {
  const char *own_prefix = model->architecture.base_prefix;
  const mo_checkpoint_options checkpoint_options = {.base_prefix =
                                                        own_prefix != NULL ? own_prefix : model->family->names->base_prefix};
  MO_TRY(mo_checkpoint_open(directory, &checkpoint_options, &model->checkpoint));
  const char *tied_heads[TIED_HEADS + 1];
  MO_TRY(find_tied_heads(model, tied_heads));
  mo_loader loader = {.checkpoint = model->checkpoint,
                      .dtype = model->dtype,
                      .mode = options->map_weights ? MO_LOAD_MAP : MO_LOAD_COPY,
                      .allow_missing = options->allow_missing,
                      .tied_heads = tied_heads};
  for (int walk = 0; walk < 2; walk++) {
    MO_TRY(load_stacks(model, &loader));
    MO_TRY(mo_head_load(model, &loader));
    if (walk == 0) MO_TRY(mo_declarations_check_tensors(model->checkpoint));
    if (walk == 0 && !options->allow_missing) MO_TRY(mo_checkpoint_check_missing(model->checkpoint));
    loader.context = model->context;
  }
  model->parameter_count = loader.parameter_count;
  if (!loader.any_mapped) mo_checkpoint_close_files(model->checkpoint);
  mo_context_trim(model->context); /* weights as they lay in the file, of which packed forms exist now */
  return MO_STATUS_OK;
}

static mo_status_t configure(mo_model_t *model) {
  const mo_family *family = model->family;
  const mo_part_t part = model->architecture.part;
  if (part == MO_PART_ENCODER) return family->configure_encoder(model->config, &model->stack.config);
  MO_TRY(family->configure(model->config, &model->stack.config));
  MO_TRY(mo_declarations_check_stack(model->config, family, &model->stack.config));
  model->has_encoder = part == MO_PART_ALL && family->configure_encoder != NULL;
  if (!model->has_encoder) return MO_STATUS_OK;
  MO_TRY(family->configure_encoder(model->config, &model->encoder.config));
  model->stack.config.attention.encoder_size = model->encoder.config.output_size;
  return MO_STATUS_OK;
}

/* Only heads with labels need their number; elsewhere whatever the file has refuses nothing. */
static mo_status_t count_labels(mo_model_t *model) {
  const mo_family *family = model->family;
  const mo_head_kind_t head = model->architecture.head;
  const bool answers = head == MO_HEAD_QUESTION_ANSWERING;
  const bool needed = answers || head == MO_HEAD_SEQUENCE_CLASSIFICATION || head == MO_HEAD_TOKEN_CLASSIFICATION;
  const bool told = mo_config_has(model->config, "id2label") || mo_config_has(model->config, "num_labels") ||
                    mo_config_is_null(model->config, "num_labels");
  model->label_count = told || family->default_label_count == 0 ? 2 : family->default_label_count;
  if (answers && family->answers_with_two) model->label_count = 2;
  if (!told || (answers && family->answers_with_two)) return MO_STATUS_OK;
  const mo_status_t status = mo_config_num_labels(model->config, &model->label_count);
  return needed ? status : MO_STATUS_OK;
}

static mo_status_t load(mo_model_t *model, const char *directory, const mo_model_options *options) {
  MO_TRY(mo_config_load(directory, &model->config));
  MO_TRY(mo_config_load_generation(directory, &model->generation_config));
  MO_TRY(choose_architecture(model, directory, options));
  MO_TRY(configure(model));
  MO_TRY(count_labels(model));
  MO_TRY(mo_config_problem_type(model->config, &model->problem_type));
  return load_weights(model, directory, options);
}

/* Tensors that the files have and the model does not, or (with allow_missing) the other way round. */
static void note_tensors(const mo_model_t *model) {
  const char *name = model->architecture.name;
  int64_t unexpected = 0, missing = 0;
  while (mo_checkpoint_unexpected(model->checkpoint, unexpected) != NULL) unexpected++;
  while (mo_checkpoint_missing(model->checkpoint, missing) != NULL) missing++;
  if (unexpected > 0)
    mo_log(model->context, MO_LOG_LEVEL_WARNING, "%s: %" PRId64 " %s of the checkpoint not used by the model, first \"%s\"",
           name, unexpected, unexpected == 1 ? "tensor is" : "tensors are", mo_checkpoint_unexpected(model->checkpoint, 0));
  if (missing > 0)
    mo_log(model->context, MO_LOG_LEVEL_WARNING, "%s: %" PRId64 " %s missing in the checkpoint and zero, first \"%s\"", name,
           missing, missing == 1 ? "tensor is" : "tensors are", mo_checkpoint_missing(model->checkpoint, 0));
}

mo_status_t mo_model_load(mo_context_t *context, const char *directory, const mo_model_options *options, mo_model_t **model) {
  mo_model_options taken = MO_MODEL_OPTIONS_INIT;
  MO_CHECK(context != NULL && directory != NULL && model != NULL, MO_STATUS_INVALID_ARGUMENT,
           "model load: NULL context, directory or result");
  if (options != NULL)
    MO_TRY(MO_TAKE("model load", MO_MODEL_OPTIONS_INIT, options, MO_SIZE_TO(mo_model_options, allow_missing), &taken));
  options = &taken;
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
  note_tensors(made);
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
  mo_transformer_release(&model->encoder);
  mo_transformer_release(&model->stack);
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
  const mo_transformer_config *config = &model->stack.config;
  /* Under BERT's names every family answers, with its defaults where the file is silent. */
  const struct {
    const char *name;
    int64_t value;
  } common[] = {{"hidden_size", config->hidden_size},
                {"num_hidden_layers", config->layer_count},
                {"num_attention_heads", config->attention.head_count},
                {"num_key_value_heads", config->attention.key_value_head_count},
                {"head_dim", config->attention.head_size},
                {"intermediate_size", config->feed_forward.size},
                {"max_position_embeddings", config->embedding.position_count},
                {"vocab_size", config->embedding.vocab_size},
                {"num_labels", model->label_count}};
  for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
    if (strcmp(common[i].name, name) == 0) return common[i].value;
  int64_t value;
  return mo_config_find_integer(model->config, name, &value) ? value : -1;
}

int64_t mo_model_max_length(const mo_model_t *model) {
  if (model == NULL || model->stack.config.embedding.positions == MO_POSITIONS_NONE) return -1;
  const mo_transformer_config *config = &model->stack.config;
  return config->embedding.position_count -
         (config->embedding.positions == MO_POSITIONS_SKIP_PADDING ? config->embedding.padding_id + 1 : 0);
}

const char *mo_model_unexpected_tensor(const mo_model_t *model, int64_t index) {
  return model != NULL ? mo_checkpoint_unexpected(model->checkpoint, index) : NULL;
}

const char *mo_model_missing_tensor(const mo_model_t *model, int64_t index) {
  return model != NULL ? mo_checkpoint_missing(model->checkpoint, index) : NULL;
}

/* ---- Running ----------------------------------------------------------------------------------------------------------- */

/* Inputs and request of a caller of any version, as this one knows them; a request of NULL stays NULL. */
typedef struct taken_call {
  mo_model_inputs inputs;
  mo_request request;
} taken_call;

static mo_status_t take_call(const mo_model_t *model, const mo_model_inputs **inputs, const mo_request **request,
                             taken_call *taken) {
  const char *op = model->architecture.name;
  *taken = (taken_call){.inputs = MO_MODEL_INPUTS_INIT, .request = MO_REQUEST_INIT};
  MO_TRY(MO_TAKE(op, MO_MODEL_INPUTS_INIT, *inputs, MO_SIZE_TO(mo_model_inputs, encoder_outputs), &taken->inputs));
  *inputs = &taken->inputs;
  if (*request == NULL) return MO_STATUS_OK;
  MO_TRY(MO_TAKE(op, MO_REQUEST_INIT, *request, MO_SIZE_TO(mo_request, attention_dtype), &taken->request));
  *request = &taken->request;
  return MO_STATUS_OK;
}

/* `decoder`: the inputs as the stack sees them, for everything that follows. */
static mo_status_t check_call(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                              mo_model_inputs *decoder, mo_run_shape *shape) {
  *shape = (mo_run_shape){0};
  MO_TRY(mo_seq2seq_decoder_inputs(model, inputs, decoder, shape));
  MO_TRY(mo_inputs_check(model, decoder, request, shape));
  /* The loss is that of all labels, so its logits must all be there. */
  const bool fewer = mo_head_takes_last_positions(model) && request != NULL && request->last_logit_positions > 0 &&
                     request->last_logit_positions < shape->sequence_length;
  MO_CHECK(!fewer || shape->loss == MO_LOSS_NONE || model->framework == MO_FRAMEWORK_FLAX, MO_STATUS_INVALID_ARGUMENT,
           "%s: labels with the logits of the last %" PRId64 " positions only, the loss needs them all",
           model->architecture.name, request->last_logit_positions);
  return mo_transformer_prepare_rotary(&model->stack, shape->rotary_positions, shape->cache.key_length);
}

static int64_t extent(int64_t value) { return value == 0 ? MO_EXTENT_ZERO : value; }

static mo_dimensions dimensions_of(const mo_model_t *model, const mo_run_shape *shape) {
  const mo_transformer_config *config = &model->stack.config;
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.dtype = model->dtype;
  dimensions.batch_size = extent(shape->example_count);
  dimensions.sequence_length = shape->sequence_length;
  dimensions.hidden_size = config->hidden_size;
  dimensions.num_layers = extent(config->layer_count);
  dimensions.num_heads = config->attention.head_count;
  dimensions.vocab_size = config->embedding.vocab_size;
  dimensions.num_labels = model->label_count;
  dimensions.num_choices = model->architecture.head == MO_HEAD_MULTIPLE_CHOICE ? shape->choice_count : 0;
  dimensions.loss_count = extent(shape->loss_count);
  dimensions.has_loss = shape->loss != MO_LOSS_NONE;
  dimensions.key_length = shape->cache.key_length;
  dimensions.encoder_sequence_length = shape->encoder_length;
  if (model->has_encoder) {
    dimensions.encoder_num_layers = extent(model->encoder.config.layer_count);
    dimensions.encoder_num_heads = model->encoder.config.attention.head_count;
    dimensions.encoder_is_given = !shape->encoder_runs;
  }
  dimensions.last_hidden_size = config->output_size;
  dimensions.num_key_value_heads = config->attention.key_value_head_count;
  dimensions.embed_size_per_head = config->attention.head_size;
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
  taken_call taken;
  mo_status_t status = take_call(model, &inputs, &request, &taken);
  if (status == MO_STATUS_OK) status = check_call(model, inputs, request, &decoder, &shape);
  if (status == MO_STATUS_OK) {
    const mo_dimensions dimensions = dimensions_of(model, &shape);
    status = mo_output_create(model->context, model->output_class, &dimensions, request, NULL, 0, output);
  }
  return mo_context_note(model->context, status);
}

/* All memory of a run. Measured first (base NULL), then handed out. */
typedef struct run_memory {
  mo_prepared_inputs inputs;
  mo_transformer_workspace encoder, stack; /* in the same place: what the encoder leaves lies in the output */
  mo_head_workspace head;
  size_t input_bytes;
} run_memory;

/* What the layers see of the inputs. While measuring the descriptors have no data yet. */
static mo_transformer_inputs stack_inputs(const mo_run_shape *shape, const mo_prepared_inputs *prepared) {
  const mo_run_cache *cache = &shape->cache;
  return (mo_transformer_inputs){.batch_size = shape->batch_size,
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
  const mo_transformer_inputs sizes = stack_inputs(shape, &memory->inputs);
  const size_t start = arena->used;
  mo_seq2seq_carve(model, shape, &memory->inputs, arena, &memory->encoder);
  const size_t encoder_end = arena->used;
  arena->used = start;
  mo_transformer_carve(&model->stack, &sizes, arena, &memory->stack);
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
  mo_transformer_inputs inputs = stack_inputs(shape, &memory->inputs);
  if (model->has_encoder)
    MO_TRY(mo_seq2seq_encode(model, shape, &memory->inputs, &memory->encoder, request, output, &inputs.encoder_hidden));
  const mo_sinks sinks = {.states = mo_output_get(output, names->hidden_states),
                          .last_state = mo_output_get(output, "last_hidden_state"),
                          .self_weights = mo_weights_sink_of(mo_output_get(output, names->attentions), request),
                          .cross_weights = mo_weights_sink_of(mo_output_get(output, "cross_attentions"), request)};
  mo_tensor hidden;
  MO_TRY(mo_transformer_forward(&model->stack, &inputs, &memory->stack, &sinks, &hidden));
  MO_TRY(mo_head_forward(model, shape, &memory->inputs, &hidden, &memory->stack, &memory->head, output));
  return shape->cache.on_device ? MO_STATUS_OK : mo_transformer_commit(&model->stack, &inputs);
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
  taken_call taken;
  MO_TRY(take_call(model, &inputs, &request, &taken));
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
