/* modelout/model.h - checkpoints of Hugging Face Transformers: load a folder, run it, get its ModelOutput.
 *
 * A model is written only in terms of ops and outputs: its kernels write straight into the output's fields.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_MODEL_H
#define MODELOUT_MODEL_H

#include "modelout/cache.h"
#include "modelout/output.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_model mo_model_t;

typedef struct mo_model_options {
  size_t struct_size;
  mo_dtype_t dtype;         /* weights and activations; NONE: float32 */
  mo_framework_t framework; /* whose output classes: pt (default when 0), tf, flax */
  const char *architecture; /* "BertForMaskedLM"; NULL: as config.json says, see mo_model_load */
  const char *sub_module;   /* a part of an encoder-decoder model as a model of its own: "encoder" or "decoder"; NULL: all */
  bool allow_missing;       /* missing tensors are zero (and noted in the context's log) instead of BAD_FILE */
  /* false: weights are read into memory of the model's own, and once it is loaded nothing that happens to the files matters.
   * true: embedding tables and other weights that are used as they lie in the file stay mapped (on the CPU, where dtype and
   * alignment fit), so that they are only read where they are used and several processes share them. The files must not change
   * while the model lives: writing into them changes its results, and truncating or copying over them ends the process with
   * SIGBUS at the next use. Replacing them by renaming other files over them is fine. */
  bool map_weights;
} mo_model_options;

#define MO_MODEL_OPTIONS_INIT MO_STRUCT_INIT(mo_model_options)

/* Loads config.json and model.safetensors (or the shards of model.safetensors.index.json). Parameter names may carry the base
 * model's prefix ("bert.") or not; weights that the configuration ties are shared, and found under whichever of their names is
 * stored. Weights of another floating point type (F64 among them) are converted. Of the shards' index only the names of the
 * files matter: a tensor in two of them is taken from the one that sorts last. IO_ERROR, BAD_FILE (missing tensors or wrong
 * shapes by name, wrong types in config.json, a Git LFS pointer instead of a file), UNSUPPORTED, OUT_OF_MEMORY. The model holds
 * the context alive. Ops run on it one call at a time.
 *
 * WHICH ARCHITECTURE. That of the options; else the first of config.json's `architectures` that is known (names of TensorFlow
 * and Flax classes too), which must be of the family that `model_type` names (UNSUPPORTED: the options can say which is meant).
 * Without a known one `model_type` names the family, and the ending of the unknown name the head ("LLaMAForCausalLM"); where
 * that says nothing it is the family's language model if the files hold what that needs, else its base model. UNSUPPORTED lists
 * the known architectures.
 *
 * WHAT CONFIG.JSON SAYS is read as Transformers reads it: under either name of a key that has two (its attribute maps: the
 * standard name wins), null as the family takes it. What changes the numbers and is not supported (quantization_config and
 * tensors of quantised weights, pruned_heads, relative positions, rotary scaling by other rules, adapter_config.json, ...) is
 * UNSUPPORTED, with key and value. Ids and counts that an architecture does not need may be anything. */
MO_API mo_status_t mo_model_load(mo_context_t *context, const char *directory, const mo_model_options *options,
                                 mo_model_t **model);

MO_API void mo_model_destroy(mo_model_t *model);

/* "BertForSequenceClassification" */
MO_API const char *mo_model_architecture(const mo_model_t *model);
MO_API const mo_class *mo_model_output_class(const mo_model_t *model);
MO_API int64_t mo_model_parameter_count(const mo_model_t *model);

/* Integers of config.json by their names there ("hidden_size", "num_hidden_layers", "max_position_embeddings", "num_labels");
 * -1 if the model has none of that name. */
MO_API int64_t mo_model_config_integer(const mo_model_t *model, const char *name);

/* How many tokens a sequence may have: the rows of the position table that tokens can take (RoBERTa's behind the padding's
 * row). -1: no table, so no end (rotary, relative). */
MO_API int64_t mo_model_max_length(const mo_model_t *model);

/* Tensors in the files that the architecture does not use, and (with allow_missing) those it missed. NULL out of range. How
 * many there are, and the first of them, are also a warning in the context's log. */
MO_API const char *mo_model_unexpected_tensor(const mo_model_t *model, int64_t index);
MO_API const char *mo_model_missing_tensor(const mo_model_t *model, int64_t index);

/* The architectures this build knows. NULL out of range. */
MO_API const char *mo_model_known_architecture(int32_t index);

/* Outputs of the pretraining architectures: classes that Transformers defines beside the models, so mo_class_find() does not
 * list them. The loss needs labels and next_sentence_label (ALBERT: its sentence_order_label goes there) or, for ELECTRA,
 * labels; the TensorFlow class of ELECTRA and all Flax classes have none. */
typedef struct mo_bert_for_pre_training_output {
  mo_output base;
  mo_field *loss;                    /* one number */
  mo_field *prediction_logits;       /* (batch_size, sequence_length, vocab_size) */
  mo_field *seq_relationship_logits; /* (batch_size, 2) */
  mo_field *hidden_states;
  mo_field *attentions;
} mo_bert_for_pre_training_output;

typedef struct mo_albert_for_pre_training_output {
  mo_output base;
  mo_field *loss;
  mo_field *prediction_logits; /* (batch_size, sequence_length, vocab_size) */
  mo_field *sop_logits;        /* (batch_size, 2) */
  mo_field *hidden_states;
  mo_field *attentions;
} mo_albert_for_pre_training_output;

typedef struct mo_electra_for_pre_training_output {
  mo_output base;
  mo_field *loss;
  mo_field *logits; /* (batch_size, sequence_length) */
  mo_field *hidden_states;
  mo_field *attentions;
} mo_electra_for_pre_training_output;

/* Inputs, named as the forward() arguments of the original. Tensors on the CPU or on the context's device; NULL: not given. B,
 * S are batch and sequence length; multiple choice models take (B, num_choices, S). */
typedef struct mo_model_inputs {
  size_t struct_size;
  const mo_tensor *input_ids;      /* (B, S) int32 or int64 */
  const mo_tensor *attention_mask; /* (B, S) or (B, S, S), integer, bool or float; non-zero (float: 1) = visible; NULL: all */
  const mo_tensor *token_type_ids; /* (B, S) */
  const mo_tensor *position_ids;   /* (B, S) or (1, S) */
  const mo_tensor *inputs_embeds;  /* (B, S, embedding size), instead of input_ids */
  const mo_tensor *labels;         /* dtype and number as the head says; any shape where forward() flattens them (view(-1)):
                                      (B, 1) for (B); rows of (B, S) where they are shifted */
  const mo_tensor *next_sentence_label; /* BertForPreTraining: (B) or (B, 1) */
  const mo_tensor *start_positions;     /* question answering: (B) or (B, 1) */
  const mo_tensor *end_positions;

  /* Decoders. A cache holds `past` tokens of each sequence; attention_mask then has past + S keys, and positions go on from
   * there unless position_ids say otherwise (padding on the left: give them, as generate() of the original does). */
  mo_cache_t *past_key_values;    /* the S tokens are appended to it; NULL with request.use_cache: the run makes a dynamic one
                                     that keeps every token, which the output's past_key_values holds */
  const mo_tensor *cache_lengths; /* (B) int32 on the device: what each row of past_key_values holds, instead of the cache's own
                                     count, so that a captured step can be replayed while they grow. S 1 to 8; the cache must
                                     have memory, and its count stays: mo_cache_commit tells it. attention_mask and attentions
                                     have as many keys as the cache has slots; learned positions need position_ids */
  const mo_tensor *encoder_hidden_states;  /* (B, T, width), for cross attention. Not needed once the cache (an encoder-decoder
                                              one) holds its keys and values */
  const mo_tensor *encoder_attention_mask; /* (B, T) */

  /* Encoder-decoder models: input_ids, inputs_embeds and attention_mask (B, S) are the encoder's, these the decoder's. Without
   * ids and embeds the decoder begins with config.decoder_start_token_id and goes on with the labels of a language model, or
   * (BART) with the input_ids, -100 replaced by config.pad_token_id. */
  const mo_tensor *decoder_input_ids;      /* (B, T) */
  const mo_tensor *decoder_inputs_embeds;  /* (B, T, width) */
  const mo_tensor *decoder_attention_mask; /* (B, past + T) or (B, T, past + T) */
  mo_field *encoder_outputs;               /* last hidden state of the encoder, (B, S, width), contiguous, of an earlier
                                              output or wrapped (mo_field_create_tensor): the encoder does not run, and the new
                                              output holds the same field */
} mo_model_inputs;

#define MO_MODEL_INPUTS_INIT MO_STRUCT_INIT(mo_model_inputs)

/* NAMED INPUTS. What a model takes is a set of named inputs that its family declares; mo_model_inputs is the convenient form of
 * it for models that read tokens. An entry without a value counts as not given. INVALID_ARGUMENT: a name that the model does
 * not take (with the reason), an input given twice or as another kind. */
typedef enum mo_input_kind_t { MO_INPUT_TENSOR = 0, MO_INPUT_CACHE, MO_INPUT_FIELD } mo_input_kind_t;

typedef struct mo_named_input {
  const char *name; /* "input_ids", as forward() of the original calls it */
  /* One of them: */
  const mo_tensor *tensor;
  mo_cache_t *cache;
  mo_field *field;
} mo_named_input;

/* Static; may have more members in later versions. */
typedef struct mo_input_info {
  const char *name;
  mo_input_kind_t kind;
  uint32_t dtypes;   /* of a tensor: bit i is set if it may have dtype i */
  const char *shape; /* symbolic: "(batch, sequence)"; forms are separated by " or "; NULL: of a cache */
} mo_input_info;

/* The index-th input the model takes, those of labels last. NULL past the last. */
MO_API const mo_input_info *mo_model_input(const mo_model_t *model, int32_t index);

/* Checks the inputs and makes the output that a run of them fills: sized, nothing computed. INVALID_ARGUMENT names the input
 * and the rule: an id outside the vocabulary, a sequence longer than the position table, a label out of range, ... */
MO_API mo_status_t mo_model_create_output(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                                          mo_output **output);

/* An empty cache that fits the model; what `options` leave open (NULL: all) is filled in: layers, heads, head_dim, dtype,
 * windows of sliding layers. kind 0: growing, and sliding in the layers whose attention slides; the sliding kinds slide in
 * those layers alone, the others are dynamic or static, unless the options say of each layer what it is. batch_size and
 * max_length may be 0: not known yet; else memory for them is there at once, so that runs up to max_length tokens never
 * allocate. Models with cross attention get an encoder-decoder cache. INVALID_ARGUMENT: the model is no decoder; and the
 * statuses of mo_cache_create.
 */
MO_API mo_status_t mo_model_create_cache(mo_model_t *model, const mo_cache_options *options, int64_t batch_size,
                                         int64_t max_length, mo_cache_t **cache);

/* Runs the forward pass into an output of mo_model_create_output (or an earlier run) of inputs of the same shapes and the same
 * request, and marks it as written. Does not allocate once the shapes have been seen (growing caches aside, and the views of
 * the cache that the output holds with request.use_cache).
 *
 * past_key_values in the output are views of the cache as it is after the run, without a copy; quantised and paged caches have
 * no such views: UNSUPPORTED with request.use_cache. attentions have past + S keys; where a sliding layer has dropped tokens,
 * their weights are 0. A run that fails leaves the cache as it was.
 *
 * While the context's stream is being captured into a CUDA graph, the inputs must lie on the device (WRONG_STATE), in the
 * dtypes the ops take, and nothing is marked: call mo_output_mark_written after each launch of the graph. */
MO_API mo_status_t mo_model_run(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request, mo_output *output);

/* Both in one. request NULL: no optional field. */
MO_API mo_status_t mo_model_forward(mo_model_t *model, const mo_model_inputs *inputs, const mo_request *request,
                                    mo_output **output);

/* The same three with named inputs: `count` of them. */
MO_API mo_status_t mo_model_create_output_named(mo_model_t *model, const mo_named_input *inputs, int32_t count,
                                                const mo_request *request, mo_output **output);
MO_API mo_status_t mo_model_run_named(mo_model_t *model, const mo_named_input *inputs, int32_t count, const mo_request *request,
                                      mo_output *output);
MO_API mo_status_t mo_model_forward_named(mo_model_t *model, const mo_named_input *inputs, int32_t count,
                                          const mo_request *request, mo_output **output);

#ifdef __cplusplus
}
#endif
#endif
