/* host/tokens/token_base.c - the base model of families that read tokens: what it takes, its configuration and weights, and
 * the way of a call through its layers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/call/input_check.h"
#include "host/ops/check.h"
#include "host/tokens/token_call.h"

/* ---- What it takes ----------------------------------------------------------------------------------------------------- */

#define NONE_TAKEN "this architecture takes none"

static const char *no_types(const mo_model_t *model) {
  const mo_embedding_config *config = &mo_token_config(model)->embedding;
  return config->types == MO_TYPES_AS_WORDS || config->type_count > 0 ? NULL : NONE_TAKEN;
}

static const char *no_positions(const mo_model_t *model) {
  const mo_transformer_config *config = mo_token_config(model);
  return config->embedding.positions != MO_POSITIONS_NONE || config->attention.rotary.rotary_dim > 0 ? NULL : NONE_TAKEN;
}

static const char *no_decoder(const mo_model_t *model) {
  return mo_token_config(model)->decoder ? NULL : "this model is no decoder";
}

static const char *no_encoder(const mo_model_t *model) {
  return model->facts.has_encoder ? NULL : "this is no encoder-decoder model";
}

static const char *no_cross_attention(const mo_model_t *model) {
  if (model->facts.has_encoder) return "this model has an encoder: encoder_outputs and attention_mask are theirs";
  return mo_token_config(model)->cross_attention ? NULL : "this model has no cross attention (add_cross_attention)";
}

#define MASK (MO_DTYPES_MASK | MO_DTYPES_FLOAT)

static const mo_input_spec inputs[] = {
    {{"input_ids", MO_INPUT_TENSOR, MO_DTYPES_INDEX, "(batch, sequence) or (batch, choices, sequence)"}, NULL},
    {{"attention_mask", MO_INPUT_TENSOR, MASK, "(batch, keys) or (batch, sequence, keys)"}, NULL},
    {{"token_type_ids", MO_INPUT_TENSOR, MO_DTYPES_INDEX, "(batch, sequence)"}, no_types},
    {{"position_ids", MO_INPUT_TENSOR, MO_DTYPES_INDEX, "(batch, sequence) or (1, sequence)"}, no_positions},
    {{"inputs_embeds", MO_INPUT_TENSOR, MO_DTYPES_FLOAT, "(batch, sequence, embedding_size)"}, NULL},
    {{"past_key_values", MO_INPUT_CACHE, 0, NULL}, no_decoder},
    {{"cache_lengths", MO_INPUT_TENSOR, MO_DTYPE_BIT(MO_DTYPE_INT32), "(batch)"}, no_decoder},
    {{"encoder_hidden_states", MO_INPUT_TENSOR, MO_DTYPES_FLOAT, "(batch, encoder_sequence, encoder_size)"},
     no_cross_attention},
    {{"encoder_attention_mask", MO_INPUT_TENSOR, MASK, "(batch, encoder_sequence)"}, no_cross_attention},
    {{"decoder_input_ids", MO_INPUT_TENSOR, MO_DTYPES_INDEX, "(batch, decoder_sequence)"}, no_encoder},
    {{"decoder_inputs_embeds", MO_INPUT_TENSOR, MO_DTYPES_FLOAT, "(batch, decoder_sequence, embedding_size)"}, no_encoder},
    {{"decoder_attention_mask", MO_INPUT_TENSOR, MASK, "(batch, keys) or (batch, decoder_sequence, keys)"}, no_encoder},
    {{"encoder_outputs", MO_INPUT_FIELD, 0, "(batch, sequence, hidden_size)"}, no_encoder},
    {.info.name = NULL},
};

/* ---- Configuration ----------------------------------------------------------------------------------------------------- */

static void set_facts(mo_model_t *model) {
  const mo_transformer_config *config = mo_token_config(model);
  const mo_embedding_config *embedding = &config->embedding;
  const int64_t rows_of_padding = embedding->positions == MO_POSITIONS_SKIP_PADDING ? embedding->padding_id + 1 : 0;
  const bool ends = embedding->positions != MO_POSITIONS_NONE;
  model->facts = (mo_base_facts){.hidden_size = config->hidden_size,
                                 .output_size = config->output_size,
                                 .vocab_size = embedding->vocab_size,
                                 .embedding_size = embedding->size,
                                 .max_length = ends ? embedding->position_count - rows_of_padding : -1,
                                 .position_count = embedding->position_count,
                                 .activation = config->feed_forward.activation,
                                 .epsilon = config->norm.epsilon,
                                 .logit_cap = config->logit_cap,
                                 .padding_id = embedding->padding_id,
                                 .end_id = config->end_id,
                                 .has_encoder = model->facts.has_encoder,
                                 .decoder = config->decoder,
                                 .words = &mo_token_model_of(model)->transformer.embedding.word.tensor};
}

static size_t weights_bytes(const mo_token_model *tokens) {
  return (size_t)(tokens->transformer.config.layer_count + 1) * sizeof *tokens->weights;
}

static mo_status_t configure(mo_model_t *model) {
  const mo_token_rules *rules = mo_token_rules_of(model);
  const mo_part_t part = model->architecture.part;
  mo_token_model *tokens = mo_token_model_of(model);
  tokens->transformer.dtype = tokens->encoder.dtype = model->dtype;
  tokens->transformer.context = tokens->encoder.context = model->context;
  const bool encoder_alone = part == MO_PART_ENCODER;
  MO_TRY((encoder_alone ? rules->configure_encoder : rules->configure)(model->config, &tokens->transformer.config));
  model->facts.has_encoder = part == MO_PART_ALL && rules->configure_encoder != NULL;
  if (model->facts.has_encoder) {
    MO_TRY(rules->configure_encoder(model->config, &tokens->encoder.config));
    tokens->transformer.config.attention.encoder_size = tokens->encoder.config.output_size;
  }
  set_facts(model);
  if (!tokens->transformer.config.cache_slides) return MO_STATUS_OK;
  tokens->weights = mo_host_allocate(model->context, weights_bytes(tokens));
  return tokens->weights != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
}

static bool find_integer(const mo_model_t *model, const char *name, int64_t *value) {
  const mo_transformer_config *config = mo_token_config(model);
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
                {"vocab_size", config->embedding.vocab_size}};
  for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
    if (strcmp(common[i].name, name) != 0) continue;
    *value = common[i].value;
    return true;
  }
  return false;
}

/* ---- Weights ----------------------------------------------------------------------------------------------------------- */

/* A transformer's names with the word table it takes: its own where it has one in the files, and the tables are not tied or
 * there is only one transformer. */
static mo_status_t choose_words(const mo_model_t *model, const mo_loader *loader, mo_transformer_names *names, bool *own) {
  char name[MO_PARAMETER_NAME_BYTES];
  bool tied;
  *own = false;
  MO_TRY(mo_config_flag(model->config, "tie_word_embeddings", true, &tied));
  if ((tied && model->facts.has_encoder) || names->embedding.own_word == NULL) return MO_STATUS_OK;
  MO_TRY(mo_parameter_name(name, names->embedding.own_word, ".weight", ""));
  *own = mo_checkpoint_contains(loader->checkpoint, name);
  if (*own) names->embedding.word = names->embedding.own_word;
  return MO_STATUS_OK;
}

/* An encoder beside a decoder takes its word table, unless it has its own. */
static mo_status_t load(mo_model_t *model, mo_loader *loader) {
  const mo_token_rules *rules = mo_token_rules_of(model);
  mo_token_model *tokens = mo_token_model_of(model);
  const bool encoder_alone = model->architecture.part == MO_PART_ENCODER;
  mo_transformer_names names = encoder_alone ? *rules->encoder_names : *rules->names;
  bool own;
  MO_TRY(choose_words(model, loader, &names, &own));
  MO_TRY(mo_transformer_load(&tokens->transformer, loader, &names));
  if (!model->facts.has_encoder) return MO_STATUS_OK;
  names = *rules->encoder_names;
  MO_TRY(choose_words(model, loader, &names, &own));
  if (!own) {
    names.embedding.word = NULL;
    tokens->encoder.embedding.word.tensor = tokens->transformer.embedding.word.tensor;
  }
  return mo_transformer_load(&tokens->encoder, loader, &names);
}

static void release(mo_model_t *model) {
  mo_token_model *tokens = mo_token_model_of(model);
  if (tokens->weights != NULL) mo_host_free(model->context, tokens->weights, weights_bytes(tokens));
  mo_transformer_release(&tokens->encoder);
  mo_transformer_release(&tokens->transformer);
}

/* ---- A call ------------------------------------------------------------------------------------------------------------ */

static int64_t extent(int64_t value) { return value == 0 ? MO_EXTENT_ZERO : value; }

/* Layers with a window attend over what their part of the cache holds, and say so. */
static void state_weights(const mo_call *call, mo_dimensions *dimensions) {
  MO_TOKEN_CALL(tokens, call);
  mo_token_model *model = mo_token_model_of(call->model);
  const mo_transformer_config *config = &model->transformer.config;
  if (!mo_token_cache_is_uneven(call)) return;
  for (int64_t i = 0; i < config->layer_count; i++)
    model->weights[i] = (mo_entry_extents){
        .rank = 4,
        .shape = {call->batch_size, config->attention.head_count, call->sequence_length, mo_token_cache_keys(call, i)}};
  tokens->stated = (mo_field_extents){"attentions", model->weights, (int32_t)config->layer_count};
  if (mo_class_field_index(call->model->output_class, "attentions") < 0) return;
  dimensions->stated = &tokens->stated;
  dimensions->stated_count = 1;
}

static void set_dimensions(const mo_call *call, mo_dimensions *dimensions) {
  MO_TOKEN_CALL(tokens, call);
  const mo_model_t *model = call->model;
  const mo_transformer_config *config = mo_token_config(model);
  dimensions->batch_size = extent(call->example_count);
  dimensions->sequence_length = call->sequence_length;
  dimensions->hidden_size = config->hidden_size;
  dimensions->num_layers = extent(config->layer_count);
  dimensions->num_heads = config->attention.head_count;
  dimensions->vocab_size = config->embedding.vocab_size;
  dimensions->key_length = tokens->cache.shown_length;
  dimensions->encoder_sequence_length = tokens->encoder_length;
  if (model->facts.has_encoder) {
    const mo_transformer_config *encoder = &mo_token_model_of(model)->encoder.config;
    dimensions->encoder_num_layers = extent(encoder->layer_count);
    dimensions->encoder_num_heads = encoder->attention.head_count;
    dimensions->encoder_is_given = !tokens->encoder_runs;
  }
  dimensions->last_hidden_size = config->output_size;
  dimensions->num_key_value_heads = config->attention.key_value_head_count;
  dimensions->embed_size_per_head = config->attention.head_size;
  dimensions->add_cross_attention = tokens->encoder_length > 0;
  dimensions->final_norm = config->final_norm == MO_FINAL_NORM_AFTER_STATES;
  const bool is_flax = model->framework == MO_FRAMEWORK_FLAX; /* adds a given one afterwards, as the last key */
  dimensions->no_cache = !config->decoder || is_flax;
  dimensions->cache_is_given = config->decoder && (!is_flax || tokens->cache.given != NULL);
  state_weights(call, dimensions);
}

/* What the layers see of the inputs. While measuring the descriptors have no data yet. */
static mo_transformer_inputs transformer_inputs(const mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_token_cache *cache = &tokens->cache;
  return (mo_transformer_inputs){.batch_size = call->batch_size,
                                 .sequence_length = call->sequence_length,
                                 .ids = mo_call_placed(call, tokens->placed_ids),
                                 .embeds = mo_call_placed(call, tokens->placed_embeds),
                                 .types = mo_call_placed(call, tokens->placed_types),
                                 .positions = mo_call_placed(call, tokens->placed_positions),
                                 .positions_are_rows = tokens->positions_are_rows,
                                 .mask = mo_call_placed(call, tokens->placed_mask),
                                 .cache_pair = cache->cross != NULL ? cache->given : NULL,
                                 .cache = cache->self,
                                 .cross_cache = cache->cross,
                                 .cache_is_new = cache->self_is_new,
                                 .cross_is_new = cache->cross_is_new,
                                 .cross_is_cached = cache->cross_is_cached,
                                 .past_length = cache->past_length,
                                 .rows_differ = cache->rows_differ,
                                 .key_length = cache->key_length,
                                 .cache_lengths = mo_call_placed(call, tokens->placed_lengths),
                                 .encoder_hidden = mo_call_placed(call, tokens->placed_encoder_hidden),
                                 .encoder_mask = mo_call_placed(call, tokens->placed_encoder_mask),
                                 .encoder_length = tokens->encoder_length};
}

static void carve(mo_call *call, mo_arena *arena) {
  MO_TOKEN_CALL(tokens, call);
  const mo_token_model *model = mo_token_model_of(call->model);
  const mo_transformer_inputs sizes = transformer_inputs(call);
  const size_t start = arena->used;
  size_t encoder_end = start;
  if (tokens->encoder_runs) {
    const mo_transformer_inputs source = mo_token_encoder_inputs(call);
    mo_transformer_carve(&model->encoder, &source, arena, &tokens->encoder);
    encoder_end = arena->used;
    arena->used = start;
  }
  mo_transformer_carve(&model->transformer, &sizes, arena, &tokens->transformer);
  call->spare = (mo_arena){.base = tokens->transformer.spare, .capacity = tokens->transformer.spare_bytes};
  if (encoder_end > arena->used) arena->used = encoder_end;
}

static mo_status_t begin(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  return tokens->cache.wanted && tokens->cache.given == NULL ? mo_token_cache_make(call) : MO_STATUS_OK;
}

static mo_status_t forward(mo_call *call, mo_tensor *last_hidden) {
  MO_TOKEN_CALL(tokens, call);
  const mo_transformer *transformer = &mo_token_model_of(call->model)->transformer;
  const mo_state_names names = mo_token_state_names(call->model);
  mo_transformer_inputs taken = transformer_inputs(call);
  if (call->model->facts.has_encoder) MO_TRY(mo_token_encode(call, &taken.encoder_hidden));
  const mo_request *request = &call->request;
  mo_sinks sinks = {.states = mo_output_get(call->output, names.hidden_states),
                    .last_state = mo_output_get(call->output, "last_hidden_state"),
                    .self_weights = mo_weights_sink_of(mo_output_get(call->output, names.attentions), request),
                    .cross_weights = mo_weights_sink_of(mo_output_get(call->output, "cross_attentions"), request)};
  sinks.self_weights.keys_first = tokens->cache.shown_length > tokens->cache.key_length;
  return mo_transformer_forward(transformer, &taken, &tokens->transformer, &sinks, last_hidden);
}

/* What the run wrote to the caches counts only when all of it has been enqueued. */
static mo_status_t finish(mo_call *call) {
  MO_TOKEN_CALL(tokens, call);
  const mo_transformer_inputs taken = transformer_inputs(call);
  if (!tokens->cache.on_device) MO_TRY(mo_transformer_commit(&mo_token_model_of(call->model)->transformer, &taken));
  return MO_STATUS_OK;
}

static mo_status_t end(mo_call *call, mo_status_t status) {
  MO_TOKEN_CALL(tokens, call);
  if (status == MO_STATUS_OK) status = finish(call);
  if (status != MO_STATUS_OK) mo_token_cache_undo(call);
  else status = mo_token_cache_show(call);
  if (tokens->cache.made) mo_cache_release(tokens->cache.given);
  return status;
}

const mo_base_model mo_token_base = {.bytes = sizeof(mo_token_model),
                                     .inputs = inputs,
                                     .configure = configure,
                                     .load = load,
                                     .release = release,
                                     .find_integer = find_integer,
                                     .check = mo_token_check,
                                     .dimensions = set_dimensions,
                                     .carve = carve,
                                     .begin = begin,
                                     .forward = forward,
                                     .end = end};
