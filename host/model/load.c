/* host/model/load.c - the public face of models: load and look.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/call/call.h"
#include "host/core/log.h"
#include "host/core/struct_size.h"
#include "host/families/declarations.h"
#include "host/families/registry.h"
#include "host/heads/heads.h"
#include "host/model/model_classes.h"
#include "host/checkpoint/loader.h"

/* ---- Loading ----------------------------------------------------------------------------------------------------------- */

/* Whether the files hold all that a language model needs beyond the base model: the head's own layers, or nothing at all where
 * its one layer is the word table. */
static mo_status_t holds_language_model(const mo_model_t *model, const char *directory, const mo_architecture *architecture,
                                        bool *holds) {
  const mo_decoder_rule *rule = &architecture->decoder;
  const mo_checkpoint_options options = {.base_prefix = model->family->base_prefix};
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
                                                        own_prefix != NULL ? own_prefix : model->family->base_prefix};
  MO_TRY(mo_checkpoint_open(directory, &checkpoint_options, &model->checkpoint));
  const char *tied_heads[TIED_HEADS + 1];
  MO_TRY(find_tied_heads(model, tied_heads));
  mo_loader loader = {.checkpoint = model->checkpoint,
                      .dtype = model->dtype,
                      .mode = options->map_weights ? MO_LOAD_MAP : MO_LOAD_COPY,
                      .allow_missing = options->allow_missing,
                      .tied_heads = tied_heads};
  for (int walk = 0; walk < 2; walk++) {
    MO_TRY(model->family->base->load(model, &loader));
    if (model->architecture.head->load != NULL) MO_TRY(model->architecture.head->load(model, &loader));
    if (walk == 0) MO_TRY(mo_declarations_check_tensors(model->checkpoint));
    if (walk == 0 && !options->allow_missing) MO_TRY(mo_checkpoint_check_missing(model->checkpoint));
    loader.context = model->context;
  }
  model->parameter_count = loader.parameter_count;
  if (!loader.any_mapped) mo_checkpoint_close_files(model->checkpoint);
  mo_context_trim(model->context); /* weights as they lay in the file, of which packed forms exist now */
  return MO_STATUS_OK;
}

/* The base model's and the head's own structs. */
static mo_status_t make_parts(mo_model_t *model) {
  model->base = mo_host_allocate(model->context, model->family->base->bytes);
  model->head = mo_host_allocate(model->context, model->architecture.head->bytes);
  return model->base != NULL && model->head != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
}

/* Only heads with labels need their number; elsewhere whatever the file has refuses nothing. */
static mo_status_t count_labels(mo_model_t *model) {
  const mo_family *family = model->family;
  const mo_head_kind *head = model->architecture.head;
  const bool answers = head == &mo_question_answering_head;
  const bool told = mo_config_has(model->config, "id2label") || mo_config_has(model->config, "num_labels") ||
                    mo_config_is_null(model->config, "num_labels");
  model->label_count = told || family->default_label_count == 0 ? 2 : family->default_label_count;
  if (answers && family->answers_with_two) model->label_count = 2;
  if (!told || (answers && family->answers_with_two)) return MO_STATUS_OK;
  const mo_status_t status = mo_config_num_labels(model->config, &model->label_count);
  return head->needs_label_count ? status : MO_STATUS_OK;
}

static mo_status_t load(mo_model_t *model, const char *directory, const mo_model_options *options) {
  MO_TRY(mo_config_load(directory, &model->config));
  MO_TRY(mo_config_load_generation(directory, &model->generation_config));
  MO_TRY(choose_architecture(model, directory, options));
  MO_TRY(make_parts(model));
  MO_TRY(model->family->base->configure(model));
  MO_TRY(mo_declarations_check_decoder(model->config, model->family, &model->facts));
  MO_TRY(count_labels(model));
  MO_TRY(mo_config_problem_type(model->config, &model->problem_type));
  MO_TRY(mo_config_flag(model->config, "tf_legacy_loss", false, &model->legacy_tensorflow_loss));
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
  made->dtype = dtype;
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

void mo_model_destroy(mo_model_t *model) {
  if (model == NULL) return;
  mo_context_t *context = model->context;
  if (model->head != NULL && model->architecture.head->release != NULL) model->architecture.head->release(model);
  if (model->base != NULL && model->family->base->release != NULL) model->family->base->release(model);
  if (model->head != NULL) mo_host_free(context, model->head, model->architecture.head->bytes);
  if (model->base != NULL) mo_host_free(context, model->base, model->family->base->bytes);
  mo_context_release(context, model->workspace);
  (void)mo_context_wait_event(context, model->staged);
  mo_context_return_event(context, model->staged);
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
  int64_t value;
  if (model == NULL || name == NULL) return -1;
  if (strcmp(name, "num_labels") == 0) return model->label_count;
  if (model->family->base->find_integer != NULL && model->family->base->find_integer(model, name, &value)) return value;
  return mo_config_find_integer(model->config, name, &value) ? value : -1;
}

int64_t mo_model_max_length(const mo_model_t *model) { return model != NULL ? model->facts.max_length : -1; }

const mo_input_info *mo_model_input(const mo_model_t *model, int32_t index) {
  const mo_input_spec *spec = model != NULL && index >= 0 ? mo_model_input_spec(model, index) : NULL;
  return spec != NULL ? &spec->info : NULL;
}

const char *mo_model_unexpected_tensor(const mo_model_t *model, int64_t index) {
  return model != NULL ? mo_checkpoint_unexpected(model->checkpoint, index) : NULL;
}

const char *mo_model_missing_tensor(const mo_model_t *model, int64_t index) {
  return model != NULL ? mo_checkpoint_missing(model->checkpoint, index) : NULL;
}
