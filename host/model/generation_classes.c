/* host/model/generation_classes.c - the output classes of generation.
 *
 * Transformers defines them in generation/utils.py. They are described in the terms of the shared table, which makes them
 * outputs like any other. `sequences` has no default there: an output of these classes always holds it.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/generate.h"

#define SYMBOLS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SHAPE(...) .rank = (int32_t)(sizeof(SYMBOLS(__VA_ARGS__)) / sizeof(char *)) - 1, .shape = SYMBOLS(__VA_ARGS__)
#define PLACE(name_, kind_, optional_, annotation_, element_, meaning_, when_)                                                 \
  .name = #name_, .kind = kind_, .optional = optional_, .annotation = annotation_, .element = element_, .meaning = meaning_,   \
  .when = when_, .when_text = when_, .struct_offset = offsetof(STRUCT, name_)

#define SEQUENCES(extent_)                                                                                                     \
  {                                                                                                                            \
    PLACE(sequences, MO_CLASS_FIELD_TENSOR, false, "torch.LongTensor", "torch.LongTensor", "prompts and generated tokens",     \
          "always"),                                                                                                           \
        SHAPE(extent_, "sequence_length")                                                                                      \
  }
#define SEQUENCES_SCORES                                                                                                       \
  {                                                                                                                            \
    PLACE(sequences_scores, MO_CLASS_FIELD_TENSOR, true, "typing.Optional[torch.FloatTensor]", "torch.FloatTensor",            \
          "final score of each sequence", "output_scores"),                                                                    \
        SHAPE("batch_size * num_return_sequences")                                                                             \
  }
#define BEAM_INDICES                                                                                                           \
  {                                                                                                                            \
    PLACE(beam_indices, MO_CLASS_FIELD_TENSOR, true, "typing.Optional[torch.LongTensor]", "torch.LongTensor",                  \
          "row of each token's scores", "always"),                                                                             \
        SHAPE("batch_size * num_return_sequences", "generated_length")                                                         \
  }
#define PER_STEP(name_, rows_, meaning_)                                                                                       \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TENSOR_TUPLE, true, "typing.Optional[tuple[torch.FloatTensor]]", "torch.FloatTensor",          \
          meaning_, "output_" #name_),                                                                                         \
        SHAPE(rows_, "config.vocab_size"), .tuple_length = "generated_length"                                                  \
  }
#define LAYERS(name_, stack_, meaning_, when_, ...)                                                                            \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES, true, "typing.Optional[tuple[tuple[torch.FloatTensor]]]",              \
          "torch.FloatTensor", meaning_, when_),                                                                               \
        SHAPE(__VA_ARGS__), .tuple_length = "generated_length", .stack = stack_                                                \
  }
#define ENCODER(name_, meaning_, when_, length_, ...)                                                                          \
  {                                                                                                                            \
    PLACE(name_, MO_CLASS_FIELD_TENSOR_TUPLE, true, "typing.Optional[tuple[torch.FloatTensor]]", "torch.FloatTensor",          \
          meaning_, when_),                                                                                                    \
        SHAPE(__VA_ARGS__), .tuple_length = length_, .stack = "encoder"                                                        \
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
                                                          SEQUENCES_SCORES,
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
    SEQUENCES_SCORES,
    PER_STEP(scores, BEAMS, "log probabilities of each step"),
    PER_STEP(logits, BEAMS, "the model's scores of each step"),
    BEAM_INDICES,
    ENCODER_FIELDS(BEAMS),
    ATTENTIONS(decoder_attentions, "decoder", BEAMS, "sequence_length"),
    ATTENTIONS(cross_attentions, "decoder", BEAMS, "encoder_sequence_length"),
    HIDDEN_STATES(decoder_hidden_states, "decoder", BEAMS),
    CACHE(MO_CLASS_FIELD_ENCODER_DECODER_CACHE)};
#undef STRUCT

#define GENERATION_CLASS(name_, purpose_, fields_, struct_)                                                                    \
  {                                                                                                                            \
    .name = name_, .framework = MO_FRAMEWORK_PT, .module = "generation.utils", .purpose = purpose_,                            \
    .field_count = sizeof fields_ / sizeof fields_[0], .fields = fields_, .struct_bytes = sizeof(struct_)                      \
  }

/* By encoder_decoder, then beams. */
static const mo_class classes[2][2] = {
    {GENERATION_CLASS("GenerateDecoderOnlyOutput", "Greedy search and sampling of a decoder.", decoder_only_fields,
                      mo_generate_decoder_only_output),
     GENERATION_CLASS("GenerateBeamDecoderOnlyOutput", "Beam search of a decoder.", beam_decoder_only_fields,
                      mo_generate_beam_decoder_only_output)},
    {GENERATION_CLASS("GenerateEncoderDecoderOutput", "Greedy search and sampling of an encoder-decoder model.",
                      encoder_decoder_fields, mo_generate_encoder_decoder_output),
     GENERATION_CLASS("GenerateBeamEncoderDecoderOutput", "Beam search of an encoder-decoder model.",
                      beam_encoder_decoder_fields, mo_generate_beam_encoder_decoder_output)},
};

const mo_class *mo_generation_class(bool encoder_decoder, bool beams) { return &classes[encoder_decoder][beams]; }
