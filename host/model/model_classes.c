/* host/model/model_classes.c - output classes outside the shared table.
 *
 * Transformers defines those of the pretraining models beside the models (modeling_bert.py, modeling_albert.py,
 * modeling_electra.py and their TensorFlow and Flax forms), not among the shared outputs, so they are not part of the table of
 * classes; nor is TFSequenceClassifierOutputWithPast. They are described in its terms, which makes them outputs like any other.
 * One struct serves the three frameworks: a member that a framework's class lacks stays NULL.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/model_classes.h"

#include <string.h>

#include "host/core/error.h"
#include "modelout/output_classes.h"

#define SYMBOLS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHAPE(...) .rank = (int32_t)(sizeof(SYMBOLS(__VA_ARGS__)) / sizeof(char *)) - 1, .shape = SYMBOLS(__VA_ARGS__)

#define LOSS(struct_, annotation_, element_, when_, meaning_)                                                                  \
  {                                                                                                                            \
    .name = "loss", .kind = MO_CLASS_FIELD_TENSOR, .optional = true, .annotation = annotation_, .element = element_,           \
    .meaning = meaning_, SHAPE("1"), .when = when_, .when_text = "the inputs named are given",                                 \
    .struct_offset = offsetof(struct_, loss)                                                                                   \
  }
#define LOGITS(struct_, name_, annotation_, element_, meaning_, ...)                                                           \
  {                                                                                                                            \
    .name = #name_, .kind = MO_CLASS_FIELD_TENSOR, .annotation = annotation_, .element = element_, .meaning = meaning_,        \
    SHAPE(__VA_ARGS__), .when = "always", .when_text = "always", .struct_offset = offsetof(struct_, name_)                     \
  }
#define LAYERS(struct_, annotation_, element_)                                                                                 \
  {.name = "hidden_states",                                                                                                    \
   .kind = MO_CLASS_FIELD_TENSOR_TUPLE,                                                                                        \
   .optional = true,                                                                                                           \
   .annotation = annotation_,                                                                                                  \
   .element = element_,                                                                                                        \
   .meaning = "output of every layer",                                                                                         \
   SHAPE("batch_size", "sequence_length", "hidden_size"),                                                                      \
   .tuple_length = "num_layers + 1",                                                                                           \
   .stack = "model",                                                                                                           \
   .when = "output_hidden_states",                                                                                             \
   .when_text = "output_hidden_states=True is passed, or config.output_hidden_states is true",                                 \
   .struct_offset = offsetof(struct_, hidden_states)},                                                                         \
  {                                                                                                                            \
    .name = "attentions", .kind = MO_CLASS_FIELD_TENSOR_TUPLE, .optional = true, .annotation = annotation_,                    \
    .element = element_, .meaning = "self-attention weights after softmax",                                                    \
    SHAPE("batch_size", "num_heads", "sequence_length", "sequence_length"), .tuple_length = "num_layers", .stack = "model",    \
    .when = "output_attentions", .when_text = "output_attentions=True is passed, or config.output_attentions is true",         \
    .struct_offset = offsetof(struct_, attentions)                                                                             \
  }

#define PT_ONE "typing.Optional[torch.FloatTensor]", "torch.FloatTensor"
#define PT_MANY "typing.Optional[tuple[torch.FloatTensor]]", "torch.FloatTensor"
#define TF_ONE "tf.Tensor | None", "tf.Tensor"
#define TF_MANY "tuple[tf.Tensor] | None", "tf.Tensor"
#define FLAX_ONE "typing.Optional[jax.Array]", "jnp.ndarray"
#define FLAX_MANY "typing.Optional[tuple[jax.Array]]", "jnp.ndarray"

/* The macros below paste an annotation and its element as one argument; EXPAND makes two of it. */
#define EXPAND_LOSS(...) LOSS(__VA_ARGS__)
#define EXPAND_LOGITS(...) LOGITS(__VA_ARGS__)
#define EXPAND_LAYERS(...) LAYERS(__VA_ARGS__)

#define BERT mo_bert_for_pre_training_output
#define ALBERT mo_albert_for_pre_training_output
#define ELECTRA mo_electra_for_pre_training_output
#define BERT_WHEN "labels and next_sentence_label given"
#define ALBERT_WHEN "labels and sentence_order_label given"
#define VOCABULARY "batch_size", "sequence_length", "config.vocab_size"
#define BERT_LOSS "masked language-model loss plus next-sentence loss"
#define ALBERT_LOSS "masked language-model loss plus sentence-order loss"
#define WORDS "vocabulary scores before softmax"
#define PAIR "scores of the sentence pair before softmax"

/* clang-format off */
#define BERT_LOGITS(one)                                                                                                       \
  EXPAND_LOGITS(BERT, prediction_logits, one, WORDS, VOCABULARY),                                                              \
  EXPAND_LOGITS(BERT, seq_relationship_logits, one, PAIR, "batch_size", "2")
#define ALBERT_LOGITS(one)                                                                                                     \
  EXPAND_LOGITS(ALBERT, prediction_logits, one, WORDS, VOCABULARY),                                                            \
  EXPAND_LOGITS(ALBERT, sop_logits, one, PAIR, "batch_size", "2")
#define ELECTRA_LOGITS(one)                                                                                                    \
  EXPAND_LOGITS(ELECTRA, logits, one, "score of each token for having been replaced", "batch_size", "sequence_length")

static const mo_class_field pt_bert[] = {EXPAND_LOSS(BERT, PT_ONE, BERT_WHEN, BERT_LOSS), BERT_LOGITS(PT_ONE), EXPAND_LAYERS(BERT, PT_MANY)};
static const mo_class_field tf_bert[] = {EXPAND_LOSS(BERT, TF_ONE, BERT_WHEN, BERT_LOSS), BERT_LOGITS(TF_ONE), EXPAND_LAYERS(BERT, TF_MANY)};
static const mo_class_field flax_bert[] = {BERT_LOGITS(FLAX_ONE), EXPAND_LAYERS(BERT, FLAX_MANY)};
static const mo_class_field pt_albert[] = {EXPAND_LOSS(ALBERT, PT_ONE, ALBERT_WHEN, ALBERT_LOSS), ALBERT_LOGITS(PT_ONE), EXPAND_LAYERS(ALBERT, PT_MANY)};
static const mo_class_field tf_albert[] = {EXPAND_LOSS(ALBERT, TF_ONE, ALBERT_WHEN, ALBERT_LOSS), ALBERT_LOGITS(TF_ONE), EXPAND_LAYERS(ALBERT, TF_MANY)};
static const mo_class_field flax_albert[] = {ALBERT_LOGITS(FLAX_ONE), EXPAND_LAYERS(ALBERT, FLAX_MANY)};
static const mo_class_field pt_electra[] = {EXPAND_LOSS(ELECTRA, PT_ONE, "labels given", "replaced-token loss"), ELECTRA_LOGITS(PT_ONE), EXPAND_LAYERS(ELECTRA, PT_MANY)};
static const mo_class_field tf_electra[] = {ELECTRA_LOGITS(TF_ONE), EXPAND_LAYERS(ELECTRA, TF_MANY)};
static const mo_class_field flax_electra[] = {ELECTRA_LOGITS(FLAX_ONE), EXPAND_LAYERS(ELECTRA, FLAX_MANY)};
/* clang-format on */

/* TensorFlow's loss is one per example, its cache a list. */
#define PAST_CLASSIFIER(one_, many_, cache_, kind_, cache_annotation_, loss_extent_)                                           \
  {.name = "loss",                                                                                                             \
   .kind = MO_CLASS_FIELD_TENSOR,                                                                                              \
   .optional = true,                                                                                                           \
   .annotation = "typing.Optional[" one_ "]",                                                                                  \
   .element = one_,                                                                                                            \
   .meaning = "classification (or regression) loss",                                                                           \
   SHAPE(loss_extent_),                                                                                                        \
   .when = "labels given",                                                                                                     \
   .when_text = "the inputs named are given",                                                                                  \
   .struct_offset = offsetof(PAST, loss)},                                                                                     \
      LOGITS(PAST, logits, one_, one_, "scores of each label before softmax", "batch_size", "config.num_labels"),              \
      {.name = "past_key_values",                                                                                              \
       .kind = kind_,                                                                                                          \
       .optional = true,                                                                                                       \
       .annotation = cache_annotation_,                                                                                        \
       .element = cache_,                                                                                                      \
       .meaning = "keys and values of every layer",                                                                            \
       .tuple_length = "config.num_layers",                                                                                    \
       .stack = "model",                                                                                                       \
       .when = "use_cache",                                                                                                    \
       .when_text = "use_cache=True is passed, or config.use_cache is true",                                                   \
       .struct_offset = offsetof(PAST, past_key_values)},                                                                      \
      LAYERS(PAST, many_, one_)
#define PAST_PURPOSE "Sequence classification result of a decoder that can carry a cache."
#define PAST mo_sequence_classifier_output_with_past

static const mo_class_field tf_past[] = {PAST_CLASSIFIER("tf.Tensor", "tuple[tf.Tensor] | None", "tf.Tensor",
                                                         MO_CLASS_FIELD_TENSOR_LIST, "List[tf.Tensor] | None", "batch_size")};

#define MODEL_CLASS(name_, framework_, module_, purpose_, fields_, struct_)                                                    \
  {                                                                                                                            \
    .name = name_, .framework = MO_FRAMEWORK_##framework_, .module = module_, .purpose = purpose_,                             \
    .field_count = sizeof fields_ / sizeof fields_[0], .fields = fields_, .struct_bytes = sizeof(struct_)                      \
  }

static const mo_class classes[] = {
    MODEL_CLASS("TFSequenceClassifierOutputWithPast", TF, "modeling_tf_outputs", PAST_PURPOSE, tf_past, PAST),
    MODEL_CLASS("BertForPreTrainingOutput", PT, "modeling_bert", "Pretraining heads result.", pt_bert, BERT),
    MODEL_CLASS("TFBertForPreTrainingOutput", TF, "modeling_tf_bert", "Pretraining heads result.", tf_bert, BERT),
    MODEL_CLASS("FlaxBertForPreTrainingOutput", FLAX, "modeling_flax_bert", "Pretraining heads result.", flax_bert, BERT),
    MODEL_CLASS("AlbertForPreTrainingOutput", PT, "modeling_albert", "Pretraining heads result.", pt_albert, ALBERT),
    MODEL_CLASS("TFAlbertForPreTrainingOutput", TF, "modeling_tf_albert", "Pretraining heads result.", tf_albert, ALBERT),
    MODEL_CLASS("FlaxAlbertForPreTrainingOutput", FLAX, "modeling_flax_albert", "Pretraining heads result.", flax_albert,
                ALBERT),
    MODEL_CLASS("ElectraForPreTrainingOutput", PT, "modeling_electra", "Pretraining heads result.", pt_electra, ELECTRA),
    MODEL_CLASS("TFElectraForPreTrainingOutput", TF, "modeling_tf_electra", "Pretraining heads result.", tf_electra, ELECTRA),
    MODEL_CLASS("FlaxElectraForPreTrainingOutput", FLAX, "modeling_flax_electra", "Pretraining heads result.", flax_electra,
                ELECTRA),
};

const mo_class *mo_model_class_find(const char *name) {
  for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
    if (strcmp(classes[i].name, name) == 0) return &classes[i];
  return NULL;
}

mo_status_t mo_architecture_class(const mo_architecture *architecture, mo_framework_t framework,
                                  const mo_class **output_class) {
  const char *name = architecture->output_class[framework - MO_FRAMEWORK_PT];
  MO_CHECK(name != NULL, MO_STATUS_UNSUPPORTED, "model load: %s has no form in %s", architecture->name,
           mo_framework_name(framework));
  *output_class = mo_class_find(name);
  if (*output_class == NULL) *output_class = mo_model_class_find(name);
  MO_CHECK(*output_class != NULL, MO_STATUS_INTERNAL, "model load: %s names the output class %s, which does not exist",
           architecture->name, name);
  return MO_STATUS_OK;
}
