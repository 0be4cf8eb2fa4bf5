/* host/generate/generation_classes.c - the output classes of generation.
 *
 * Transformers defines them in generation/utils.py, tf_utils.py and flax_utils.py (4.51). They are described in the terms of
 * the shared table, which makes them outputs like any other. `sequences` has no default in PyTorch's: an output of these
 * classes always holds it. One struct serves the three frameworks: a member that a framework's class lacks stays NULL.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/generate.h"

#define SYMBOLS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHAPE(...) .rank = (int32_t)(sizeof(SYMBOLS(__VA_ARGS__)) / sizeof(char *)) - 1, .shape = SYMBOLS(__VA_ARGS__)
#define PLACE(...) EXPAND_PLACE(__VA_ARGS__) /* annotation and element come as one argument */
#define EXPAND_PLACE(name_, kind_, optional_, annotation_, element_, meaning_, when_)                                          \
  .name = #name_, .kind = kind_, .optional = optional_, .annotation = annotation_, .element = element_, .meaning = meaning_,   \
  .when = when_, .when_text = when_, .struct_offset = offsetof(STRUCT, name_)

#define SEQUENCES(extent_)                                                                                                     \
  {                                                                                                                            \
    PLACE(sequences, MO_CLASS_FIELD_TENSOR, IDS_ARE_OPTIONAL, IDS, "prompts and generated tokens", "always"),                  \
        SHAPE(extent_, "sequence_length")                                                                                      \
  }
#define SEQUENCES_SCORES(name_, when_)                                                                                         \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TENSOR, true, ONE, "final score of each sequence", when_),                                     \
        SHAPE("batch_size * num_return_sequences")                                                                             \
  }
#define BEAM_INDICES                                                                                                           \
  {                                                                                                                            \
    PLACE(beam_indices, MO_CLASS_FIELD_TENSOR, true, SOME_IDS, "row of each token's scores", "always"),                        \
        SHAPE("batch_size * num_return_sequences", "generated_length")                                                         \
  }
#define PER_STEP(name_, rows_, meaning_)                                                                                       \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TENSOR_TUPLE, true, MANY, meaning_, "output_" #name_), SHAPE(rows_, "config.vocab_size"),      \
        .tuple_length = "generated_length"                                                                                     \
  }
#define LAYERS(name_, stack_, meaning_, when_, ...)                                                                            \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES, true, NESTED, meaning_, when_), SHAPE(__VA_ARGS__),                    \
        .tuple_length = "generated_length", .stack = stack_                                                                    \
  }
#define ENCODER(name_, meaning_, when_, length_, ...)                                                                          \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TENSOR_TUPLE, true, MANY, meaning_, when_), SHAPE(__VA_ARGS__), .tuple_length = length_,       \
                                                                                                .stack = "encoder"             \
  }
#define CACHE(kind_)                                                                                                           \
  {                                                                                                                            \
    PLACE(past_key_values, kind_, true, "typing.Optional[Cache]", NULL, "the cache as the last step left it", "use_cache"),    \
        .rank = -1                                                                                                             \
  }
#define ATTENTIONS(name_, stack_, rows_, keys_)                                                                                \
  LAYERS(name_, stack_, "attention weights of each step", "output_attentions", rows_, "num_heads", "generated_length", keys_)
#define HIDDEN_STATES(name_, stack_, rows_)                                                                                    \
  LAYERS(name_, stack_, "hidden states of each step", "output_hidden_states", rows_, "generated_length", "hidden_size")
#define ENCODER_FIELDS(rows_)                                                                                                  \
  ENCODER(encoder_attentions, "attention weights of the encoder", "output_attentions", "encoder_num_layers", rows_,            \
          "num_heads", "encoder_sequence_length", "encoder_sequence_length"),                                                  \
      ENCODER(encoder_hidden_states, "hidden states of the encoder", "output_hidden_states", "encoder_num_layers + 1", rows_,  \
              "encoder_sequence_length", "hidden_size")

#define ROWS "batch_size"
#define BEAMS "batch_size * num_beams"
#define RETURNED "batch_size * num_return_sequences"

/* ---- PyTorch ------------------------------------------------------------------------------------------------------------ */

#define IDS_ARE_OPTIONAL false
#define IDS "torch.LongTensor", "torch.LongTensor"
#define SOME_IDS "typing.Optional[torch.LongTensor]", "torch.LongTensor"
#define ONE "typing.Optional[torch.FloatTensor]", "torch.FloatTensor"
#define MANY "typing.Optional[tuple[torch.FloatTensor]]", "torch.FloatTensor"
#define NESTED "typing.Optional[tuple[tuple[torch.FloatTensor]]]", "torch.FloatTensor"

#define STRUCT mo_generate_decoder_only_output
static const mo_class_field decoder_only_fields[] = {SEQUENCES(ROWS),
                                                     PER_STEP(scores, ROWS, "processed scores of each step"),
                                                     PER_STEP(logits, ROWS, "the model's scores of each step"),
                                                     ATTENTIONS(attentions, "model", ROWS, "sequence_length"),
                                                     HIDDEN_STATES(hidden_states, "model", ROWS),
                                                     CACHE(MO_CLASS_FIELD_CACHE)};
#undef STRUCT
#define STRUCT mo_generate_encoder_decoder_output
static const mo_class_field encoder_decoder_fields[] = {
    SEQUENCES(ROWS),
    PER_STEP(scores, ROWS, "processed scores of each step"),
    PER_STEP(logits, ROWS, "the model's scores of each step"),
    ENCODER_FIELDS(ROWS),
    ATTENTIONS(decoder_attentions, "decoder", ROWS, "sequence_length"),
    ATTENTIONS(cross_attentions, "decoder", ROWS, "encoder_sequence_length"),
    HIDDEN_STATES(decoder_hidden_states, "decoder", ROWS),
    CACHE(MO_CLASS_FIELD_ENCODER_DECODER_CACHE)};
#undef STRUCT
#define STRUCT mo_generate_beam_decoder_only_output
static const mo_class_field beam_decoder_only_fields[] = {SEQUENCES(RETURNED),
                                                          SEQUENCES_SCORES(sequences_scores, "output_scores"),
                                                          PER_STEP(scores, BEAMS, "log probabilities of each step"),
                                                          PER_STEP(logits, BEAMS, "the model's scores of each step"),
                                                          BEAM_INDICES,
                                                          ATTENTIONS(attentions, "model", BEAMS, "sequence_length"),
                                                          HIDDEN_STATES(hidden_states, "model", BEAMS),
                                                          CACHE(MO_CLASS_FIELD_CACHE)};
#undef STRUCT
#define STRUCT mo_generate_beam_encoder_decoder_output
static const mo_class_field beam_encoder_decoder_fields[] = {
    SEQUENCES(RETURNED),
    SEQUENCES_SCORES(sequences_scores, "output_scores"),
    PER_STEP(scores, BEAMS, "log probabilities of each step"),
    PER_STEP(logits, BEAMS, "the model's scores of each step"),
    BEAM_INDICES,
    ENCODER_FIELDS(BEAMS),
    ATTENTIONS(decoder_attentions, "decoder", BEAMS, "sequence_length"),
    ATTENTIONS(cross_attentions, "decoder", BEAMS, "encoder_sequence_length"),
    HIDDEN_STATES(decoder_hidden_states, "decoder", BEAMS),
    CACHE(MO_CLASS_FIELD_ENCODER_DECODER_CACHE)};
#undef STRUCT

#undef IDS_ARE_OPTIONAL
#undef IDS
#undef SOME_IDS
#undef ONE
#undef MANY
#undef NESTED

/* ---- TensorFlow: neither logits nor past_key_values --------------------------------------------------------------------- */

#define IDS_ARE_OPTIONAL true
#define IDS "typing.Optional[tf.Tensor]", "tf.Tensor"
#define SOME_IDS IDS
#define ONE IDS
#define MANY "typing.Optional[tuple[tf.Tensor]]", "tf.Tensor"
#define NESTED "typing.Optional[tuple[tuple[tf.Tensor]]]", "tf.Tensor"

#define STRUCT mo_generate_decoder_only_output
static const mo_class_field tf_decoder_only_fields[] = {
    SEQUENCES(ROWS), PER_STEP(scores, ROWS, "processed scores of each step"),
    ATTENTIONS(attentions, "model", ROWS, "sequence_length"), HIDDEN_STATES(hidden_states, "model", ROWS)};
#undef STRUCT
#define STRUCT mo_generate_encoder_decoder_output
static const mo_class_field tf_encoder_decoder_fields[] = {
    SEQUENCES(ROWS),
    PER_STEP(scores, ROWS, "processed scores of each step"),
    ENCODER_FIELDS(ROWS),
    ATTENTIONS(decoder_attentions, "decoder", ROWS, "sequence_length"),
    ATTENTIONS(cross_attentions, "decoder", ROWS, "encoder_sequence_length"),
    HIDDEN_STATES(decoder_hidden_states, "decoder", ROWS)};
#undef STRUCT
#define STRUCT mo_generate_beam_decoder_only_output
static const mo_class_field tf_beam_decoder_only_fields[] = {SEQUENCES(RETURNED),
                                                             SEQUENCES_SCORES(sequences_scores, "always"),
                                                             PER_STEP(scores, BEAMS, "log probabilities of each step"),
                                                             BEAM_INDICES,
                                                             ATTENTIONS(attentions, "model", BEAMS, "sequence_length"),
                                                             HIDDEN_STATES(hidden_states, "model", BEAMS)};
#undef STRUCT
#define STRUCT mo_generate_beam_encoder_decoder_output
static const mo_class_field tf_beam_encoder_decoder_fields[] = {
    SEQUENCES(RETURNED),
    SEQUENCES_SCORES(sequences_scores, "always"),
    PER_STEP(scores, BEAMS, "log probabilities of each step"),
    BEAM_INDICES,
    ENCODER_FIELDS(BEAMS),
    ATTENTIONS(decoder_attentions, "decoder", BEAMS, "sequence_length"),
    ATTENTIONS(cross_attentions, "decoder", BEAMS, "encoder_sequence_length"),
    HIDDEN_STATES(decoder_hidden_states, "decoder", BEAMS)};
#undef STRUCT
#undef IDS
#undef ONE

/* ---- Flax: the same classes for decoders and encoder-decoder models ------------------------------------------------------ */

#define IDS "typing.Optional[jax.Array]", "jnp.ndarray"
#define ONE IDS

#define STRUCT mo_generate_decoder_only_output
static const mo_class_field flax_fields[] = {SEQUENCES(ROWS)};
#undef STRUCT
#define STRUCT mo_generate_beam_decoder_only_output
static const mo_class_field flax_beam_fields[] = {SEQUENCES(RETURNED), SEQUENCES_SCORES(scores, "always")};
#undef STRUCT

/* ---- The classes --------------------------------------------------------------------------------------------------------- */

#define GENERATION_CLASS(name_, framework_, module_, purpose_, fields_, struct_)                                               \
  {                                                                                                                            \
    .name = name_, .framework = MO_FRAMEWORK_##framework_, .module = "generation." module_, .purpose = purpose_,               \
    .field_count = sizeof fields_ / sizeof fields_[0], .fields = fields_, .struct_bytes = sizeof(struct_)                      \
  }
#define PT(name_, purpose_, fields_, struct_) GENERATION_CLASS(name_, PT, "utils", purpose_, fields_, struct_)
#define TF(name_, purpose_, fields_, struct_) GENERATION_CLASS(name_, TF, "tf_utils", purpose_, fields_, struct_)
#define FLAX(name_, purpose_, fields_, struct_) GENERATION_CLASS(name_, FLAX, "flax_utils", purpose_, fields_, struct_)

/* By mode, then encoder_decoder. */
static const mo_class pt_classes[2][2] = {
    {PT("GenerateDecoderOnlyOutput", "Greedy search and sampling of a decoder.", decoder_only_fields,
        mo_generate_decoder_only_output),
     PT("GenerateEncoderDecoderOutput", "Greedy search and sampling of an encoder-decoder model.", encoder_decoder_fields,
        mo_generate_encoder_decoder_output)},
    {PT("GenerateBeamDecoderOnlyOutput", "Beam search of a decoder.", beam_decoder_only_fields,
        mo_generate_beam_decoder_only_output),
     PT("GenerateBeamEncoderDecoderOutput", "Beam search of an encoder-decoder model.", beam_encoder_decoder_fields,
        mo_generate_beam_encoder_decoder_output)},
};
static const mo_class tf_classes[3][2] = {
    {TF("TFGreedySearchDecoderOnlyOutput", "Greedy search of a decoder.", tf_decoder_only_fields,
        mo_generate_decoder_only_output),
     TF("TFGreedySearchEncoderDecoderOutput", "Greedy search of an encoder-decoder model.", tf_encoder_decoder_fields,
        mo_generate_encoder_decoder_output)},
    {TF("TFSampleDecoderOnlyOutput", "Sampling of a decoder.", tf_decoder_only_fields, mo_generate_decoder_only_output),
     TF("TFSampleEncoderDecoderOutput", "Sampling of an encoder-decoder model.", tf_encoder_decoder_fields,
        mo_generate_encoder_decoder_output)},
    {TF("TFBeamSearchDecoderOnlyOutput", "Beam search of a decoder.", tf_beam_decoder_only_fields,
        mo_generate_beam_decoder_only_output),
     TF("TFBeamSearchEncoderDecoderOutput", "Beam search of an encoder-decoder model.", tf_beam_encoder_decoder_fields,
        mo_generate_beam_encoder_decoder_output)},
};
static const mo_class flax_classes[3] = {
    FLAX("FlaxGreedySearchOutput", "Greedy search.", flax_fields, mo_generate_decoder_only_output),
    FLAX("FlaxSampleOutput", "Sampling.", flax_fields, mo_generate_decoder_only_output),
    FLAX("FlaxBeamSearchOutput", "Beam search.", flax_beam_fields, mo_generate_beam_decoder_only_output),
};

const mo_class *mo_generation_class(mo_framework_t framework, mo_generation_mode_t mode, bool encoder_decoder) {
  if (mode < MO_GENERATION_GREEDY || mode > MO_GENERATION_BEAM) return NULL;
  switch (framework) {
    case MO_FRAMEWORK_PT:
      return &pt_classes[mode == MO_GENERATION_BEAM][encoder_decoder];
    case MO_FRAMEWORK_TF:
      return &tf_classes[mode][encoder_decoder];
    case MO_FRAMEWORK_FLAX:
      return &flax_classes[mode];
    default:
      return NULL;
  }
}
