/* modelout/output_classes.h - one struct per output class: `outputs->logits` is attribute access, NULL is None.
 *
 * GENERATED from the class table; do not edit. The first member is the generic mo_output, so a pointer to either is a pointer to the
 * other:
 *
 *   const mo_masked_lm_output *outputs = (const mo_masked_lm_output *)output;
 *
 * The comment over a member: the shape of its tensor (of each tensor of a tuple), how long a tuple is, and when it is present.
 * Symbols are those of the class table (mo_class_field); [..] marks a list or tuple. Read the members freely; assign with
 * mo_output_set_attribute(), which counts references and keeps the keys in step.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_OUTPUT_CLASSES_H
#define MODELOUT_OUTPUT_CLASSES_H

#include "modelout/output.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The base class ------------------------------------------------------------------------------------------------- */

/* ModelOutput. Common base of every class below: an ordered dictionary that is also a dataclass and indexes like a tuple,
 * None fields left out. */
typedef struct mo_model_output {
  mo_output base;
} mo_model_output;

/* ---- PyTorch -------------------------------------------------------------------------------------------------------- */

/* BaseModelOutput. Encoder-style result: last hidden state, optionally with all hidden states and attention maps. */
typedef struct mo_base_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_base_model_output;

/* BaseModelOutputWithPooling. Like the base result, plus one pooled vector per sequence. */
typedef struct mo_base_model_output_with_pooling {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_base_model_output_with_pooling;

/* BaseModelOutputWithCrossAttentions. Like the base result, plus cross-attention maps of a decoder. */
typedef struct mo_base_model_output_with_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions and
   * config.add_cross_attention */
  mo_field *cross_attentions;
} mo_base_model_output_with_cross_attentions;

/* BaseModelOutputWithPoolingAndCrossAttentions. Pooled result that can also carry a key/value cache and cross-attention
 * maps. */
typedef struct mo_base_model_output_with_pooling_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions and
   * config.add_cross_attention */
  mo_field *cross_attentions;
} mo_base_model_output_with_pooling_and_cross_attentions;

/* BaseModelOutputWithPast. Decoder-style result that can carry a key/value cache for incremental decoding. */
typedef struct mo_base_model_output_with_past {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_base_model_output_with_past;

/* BaseModelOutputWithPastAndCrossAttentions. Decoder-style result with key/value cache and cross-attention maps. */
typedef struct mo_base_model_output_with_past_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions and
   * config.add_cross_attention */
  mo_field *cross_attentions;
} mo_base_model_output_with_past_and_cross_attentions;

/* Seq2SeqModelOutput. Headless encoder-decoder result: decoder states first, then the encoder states. */
typedef struct mo_seq2seq_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_seq2seq_model_output;

/* CausalLMOutput. Next-token language-model head result without cache. */
typedef struct mo_causal_lm_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_causal_lm_output;

/* CausalLMOutputWithCrossAttentions. Next-token language-model head result with cache and cross-attention maps. */
typedef struct mo_causal_lm_output_with_cross_attentions {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
} mo_causal_lm_output_with_cross_attentions;

/* CausalLMOutputWithPast. Next-token language-model head result with cache. */
typedef struct mo_causal_lm_output_with_past {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_causal_lm_output_with_past;

/* MaskedLMOutput. Masked language-model head result. */
typedef struct mo_masked_lm_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_masked_lm_output;

/* Seq2SeqLMOutput. Encoder-decoder language-model head result. */
typedef struct mo_seq2seq_lm_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_seq2seq_lm_output;

/* NextSentencePredictorOutput. Two-way result: does the second segment follow the first. */
typedef struct mo_next_sentence_predictor_output {
  mo_output base;
  /* (1); next_sentence_label given */
  mo_field *loss;
  /* (batch_size, 2); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_next_sentence_predictor_output;

/* SequenceClassifierOutput. Sequence-level classification (regression when there is one label) result. */
typedef struct mo_sequence_classifier_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_sequence_classifier_output;

/* Seq2SeqSequenceClassifierOutput. Sequence-level classification result of an encoder-decoder model. */
typedef struct mo_seq2seq_sequence_classifier_output {
  mo_output base;
  /* (1); label given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_seq2seq_sequence_classifier_output;

/* MultipleChoiceModelOutput. Result of choosing one out of several candidate inputs. */
typedef struct mo_multiple_choice_model_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, num_choices); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_multiple_choice_model_output;

/* TokenClassifierOutput. Per-token classification result. */
typedef struct mo_token_classifier_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.num_labels); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_token_classifier_output;

/* QuestionAnsweringModelOutput. Extractive question answering result: span start and span end scores. */
typedef struct mo_question_answering_model_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length); always */
  mo_field *start_logits;
  /* (batch_size, sequence_length); always */
  mo_field *end_logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_question_answering_model_output;

/* Seq2SeqQuestionAnsweringModelOutput. Extractive question answering result of an encoder-decoder model. */
typedef struct mo_seq2seq_question_answering_model_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length); always */
  mo_field *start_logits;
  /* (batch_size, sequence_length); always */
  mo_field *end_logits;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_seq2seq_question_answering_model_output;

/* Seq2SeqSpectrogramOutput. Encoder-decoder result that predicts a spectrogram. */
typedef struct mo_seq2seq_spectrogram_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, num_bins); always */
  mo_field *spectrogram;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_seq2seq_spectrogram_output;

/* SemanticSegmenterOutput. Per-pixel classification result. */
typedef struct mo_semantic_segmenter_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, config.num_labels, logits_height, logits_width); always */
  mo_field *logits;
  /* [num_layers + 1 if embedding layer] of (batch_size, patch_size, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, patch_size, sequence_length); output_attentions */
  mo_field *attentions;
} mo_semantic_segmenter_output;

/* ImageClassifierOutput. Image classification result with stage-wise hidden states and attention maps. */
typedef struct mo_image_classifier_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [num_stages + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, patch_size, sequence_length); output_attentions */
  mo_field *attentions;
} mo_image_classifier_output;

/* ImageClassifierOutputWithNoAttention. Image classification result of a model without attention (feature maps only). */
typedef struct mo_image_classifier_output_with_no_attention {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [num_stages + 1 if embedding layer] of (batch_size, num_channels, height, width); output_hidden_states */
  mo_field *hidden_states;
} mo_image_classifier_output_with_no_attention;

/* DepthEstimatorOutput. Per-pixel depth prediction result. */
typedef struct mo_depth_estimator_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, height, width); always */
  mo_field *predicted_depth;
  /* [num_layers + 1 if embedding layer] of (batch_size, num_channels, height, width); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, patch_size, sequence_length); output_attentions */
  mo_field *attentions;
} mo_depth_estimator_output;

/* Wav2Vec2BaseModelOutput. Speech encoder result with the convolutional features kept beside the last hidden state. */
typedef struct mo_wav2vec2_base_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, sequence_length, conv_dim[-1]); always */
  mo_field *extract_features;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_wav2vec2_base_model_output;

/* XVectorOutput. Speaker-verification result: class scores plus utterance embeddings. */
typedef struct mo_xvector_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, config.xvector_output_dim); always */
  mo_field *logits;
  /* (batch_size, config.xvector_output_dim); always */
  mo_field *embeddings;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_xvector_output;

/* Seq2SeqTSModelOutput. Headless time-series encoder-decoder result with the scaling statistics of the context window. */
typedef struct mo_seq2seq_ts_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
  /* (batch_size); unstated */
  mo_field *loc;
  /* (batch_size); unstated */
  mo_field *scale;
  /* (batch_size, feature_size); unstated */
  mo_field *static_features;
} mo_seq2seq_ts_model_output;

/* Seq2SeqTSPredictionOutput. Time-series result with the distribution parameters, loss and scaling statistics. */
typedef struct mo_seq2seq_ts_prediction_output {
  mo_output base;
  /* (1); future_values given */
  mo_field *loss;
  /* [] of (batch_size, num_samples, num_params); always */
  mo_field *params;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
  /* (batch_size); unstated */
  mo_field *loc;
  /* (batch_size); unstated */
  mo_field *scale;
  /* (batch_size, feature_size); unstated */
  mo_field *static_features;
} mo_seq2seq_ts_prediction_output;

/* SampleTSPredictionOutput. Values sampled from the predicted time-series distribution. */
typedef struct mo_sample_ts_prediction_output {
  mo_output base;
  /* (batch_size, num_samples, prediction_length); unstated */
  mo_field *sequences;
} mo_sample_ts_prediction_output;

/* ---- TensorFlow ----------------------------------------------------------------------------------------------------- */

/* TFBaseModelOutput. Encoder-style result: last hidden state, optionally with all hidden states and attention maps. */
typedef struct mo_tf_base_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_base_model_output;

/* TFBaseModelOutputWithPooling. Like the base result, plus one pooled vector per sequence. */
typedef struct mo_tf_base_model_output_with_pooling {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_base_model_output_with_pooling;

/* TFBaseModelOutputWithPoolingAndCrossAttentions. Pooled result that can also carry a key/value cache and cross-attention
 * maps. */
typedef struct mo_tf_base_model_output_with_pooling_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
} mo_tf_base_model_output_with_pooling_and_cross_attentions;

/* TFBaseModelOutputWithPast. Decoder-style result that can carry a key/value cache for incremental decoding. */
typedef struct mo_tf_base_model_output_with_past {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_base_model_output_with_past;

/* TFBaseModelOutputWithPastAndCrossAttentions. Decoder-style result with key/value cache and cross-attention maps. */
typedef struct mo_tf_base_model_output_with_past_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
} mo_tf_base_model_output_with_past_and_cross_attentions;

/* TFSeq2SeqModelOutput. Headless encoder-decoder result: decoder states first, then the encoder states. */
typedef struct mo_tf_seq2seq_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_tf_seq2seq_model_output;

/* TFCausalLMOutput. Next-token language-model head result without cache. */
typedef struct mo_tf_causal_lm_output {
  mo_output base;
  /* (n); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_causal_lm_output;

/* TFCausalLMOutputWithCrossAttentions. Next-token language-model head result with cache and cross-attention maps. */
typedef struct mo_tf_causal_lm_output_with_cross_attentions {
  mo_output base;
  /* (n); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
} mo_tf_causal_lm_output_with_cross_attentions;

/* TFCausalLMOutputWithPast. Next-token language-model head result with cache. */
typedef struct mo_tf_causal_lm_output_with_past {
  mo_output base;
  /* (n); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_causal_lm_output_with_past;

/* TFMaskedLMOutput. Masked language-model head result. */
typedef struct mo_tf_masked_lm_output {
  mo_output base;
  /* (n); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_masked_lm_output;

/* TFSeq2SeqLMOutput. Encoder-decoder language-model head result. */
typedef struct mo_tf_seq2seq_lm_output {
  mo_output base;
  /* (n); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_tf_seq2seq_lm_output;

/* TFNextSentencePredictorOutput. Two-way result: does the second segment follow the first. */
typedef struct mo_tf_next_sentence_predictor_output {
  mo_output base;
  /* (n); next_sentence_label given */
  mo_field *loss;
  /* (batch_size, 2); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_next_sentence_predictor_output;

/* TFSequenceClassifierOutput. Sequence-level classification (regression when there is one label) result. */
typedef struct mo_tf_sequence_classifier_output {
  mo_output base;
  /* (batch_size); labels given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_sequence_classifier_output;

/* TFSeq2SeqSequenceClassifierOutput. Sequence-level classification result of an encoder-decoder model. */
typedef struct mo_tf_seq2seq_sequence_classifier_output {
  mo_output base;
  /* (1); label given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_tf_seq2seq_sequence_classifier_output;

/* TFMultipleChoiceModelOutput. Result of choosing one out of several candidate inputs. */
typedef struct mo_tf_multiple_choice_model_output {
  mo_output base;
  /* (batch_size); labels given */
  mo_field *loss;
  /* (batch_size, num_choices); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_multiple_choice_model_output;

/* TFTokenClassifierOutput. Per-token classification result. */
typedef struct mo_tf_token_classifier_output {
  mo_output base;
  /* (n); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.num_labels); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_token_classifier_output;

/* TFQuestionAnsweringModelOutput. Extractive question answering result: span start and span end scores. */
typedef struct mo_tf_question_answering_model_output {
  mo_output base;
  /* (batch_size); start_positions and end_positions given */
  mo_field *loss;
  /* (batch_size, sequence_length); always */
  mo_field *start_logits;
  /* (batch_size, sequence_length); always */
  mo_field *end_logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_tf_question_answering_model_output;

/* TFSeq2SeqQuestionAnsweringModelOutput. Extractive question answering result of an encoder-decoder model. */
typedef struct mo_tf_seq2seq_question_answering_model_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length); always */
  mo_field *start_logits;
  /* (batch_size, sequence_length); always */
  mo_field *end_logits;
  /* [config.n_layers] of (2, batch_size, num_heads, sequence_length, embed_size_per_head); use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_tf_seq2seq_question_answering_model_output;

/* ---- Flax ----------------------------------------------------------------------------------------------------------- */

/* FlaxBaseModelOutput. Encoder-style result: last hidden state, optionally with all hidden states and attention maps. */
typedef struct mo_flax_base_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_base_model_output;

/* FlaxBaseModelOutputWithPast. Decoder-style result that can carry a key/value cache for incremental decoding. */
typedef struct mo_flax_base_model_output_with_past {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* dict of (batch_size, max_length); always */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_base_model_output_with_past;

/* FlaxBaseModelOutputWithPooling. Like the base result, plus one pooled vector per sequence. */
typedef struct mo_flax_base_model_output_with_pooling {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_base_model_output_with_pooling;

/* FlaxBaseModelOutputWithPastAndCrossAttentions. Decoder-style result with key/value cache and cross-attention maps. */
typedef struct mo_flax_base_model_output_with_past_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions and
   * config.add_cross_attention */
  mo_field *cross_attentions;
} mo_flax_base_model_output_with_past_and_cross_attentions;

/* FlaxSeq2SeqModelOutput. Headless encoder-decoder result: decoder states first, then the encoder states. */
typedef struct mo_flax_seq2seq_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_flax_seq2seq_model_output;

/* FlaxCausalLMOutputWithCrossAttentions. Next-token language-model head result with cache and cross-attention maps. */
typedef struct mo_flax_causal_lm_output_with_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
} mo_flax_causal_lm_output_with_cross_attentions;

/* FlaxMaskedLMOutput. Masked language-model head result. */
typedef struct mo_flax_masked_lm_output {
  mo_output base;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_masked_lm_output;

/* FlaxSeq2SeqLMOutput. Encoder-decoder language-model head result. */
typedef struct mo_flax_seq2seq_lm_output {
  mo_output base;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_flax_seq2seq_lm_output;

/* FlaxNextSentencePredictorOutput. Two-way result: does the second segment follow the first. */
typedef struct mo_flax_next_sentence_predictor_output {
  mo_output base;
  /* (batch_size, 2); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_next_sentence_predictor_output;

/* FlaxSequenceClassifierOutput. Sequence-level classification (regression when there is one label) result. */
typedef struct mo_flax_sequence_classifier_output {
  mo_output base;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_sequence_classifier_output;

/* FlaxSeq2SeqSequenceClassifierOutput. Sequence-level classification result of an encoder-decoder model. */
typedef struct mo_flax_seq2seq_sequence_classifier_output {
  mo_output base;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_flax_seq2seq_sequence_classifier_output;

/* FlaxMultipleChoiceModelOutput. Result of choosing one out of several candidate inputs. */
typedef struct mo_flax_multiple_choice_model_output {
  mo_output base;
  /* (batch_size, num_choices); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_multiple_choice_model_output;

/* FlaxTokenClassifierOutput. Per-token classification result. */
typedef struct mo_flax_token_classifier_output {
  mo_output base;
  /* (batch_size, sequence_length, config.num_labels); always */
  mo_field *logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_token_classifier_output;

/* FlaxQuestionAnsweringModelOutput. Extractive question answering result: span start and span end scores. */
typedef struct mo_flax_question_answering_model_output {
  mo_output base;
  /* (batch_size, sequence_length); always */
  mo_field *start_logits;
  /* (batch_size, sequence_length); always */
  mo_field *end_logits;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_flax_question_answering_model_output;

/* FlaxSeq2SeqQuestionAnsweringModelOutput. Extractive question answering result of an encoder-decoder model. */
typedef struct mo_flax_seq2seq_question_answering_model_output {
  mo_output base;
  /* (batch_size, sequence_length); always */
  mo_field *start_logits;
  /* (batch_size, sequence_length); always */
  mo_field *end_logits;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
} mo_flax_seq2seq_question_answering_model_output;

/* ---- PyTorch -------------------------------------------------------------------------------------------------------- */

/* BaseModelOutputWithNoAttention. Feature map of the last stage, of models without attention. */
typedef struct mo_base_model_output_with_no_attention {
  mo_output base;
  /* (batch_size, num_channels, height, width); always */
  mo_field *last_hidden_state;
  /* [num_stages + 1 if embedding layer] of (batch_size, num_channels, height, width); output_hidden_states */
  mo_field *hidden_states;
} mo_base_model_output_with_no_attention;

/* BaseModelOutputWithPoolingAndNoAttention. Feature map of the last stage and one pooled vector per image, of models
 * without attention. */
typedef struct mo_base_model_output_with_pooling_and_no_attention {
  mo_output base;
  /* (batch_size, num_channels, height, width); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_stages + 1 if embedding layer] of (batch_size, num_channels, height, width); output_hidden_states */
  mo_field *hidden_states;
} mo_base_model_output_with_pooling_and_no_attention;

/* BaseModelOutputWithPoolingAndProjection. Pooled result of a text model whose states are projected. */
typedef struct mo_base_model_output_with_pooling_and_projection {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [] of tensors; given by the model */
  mo_field *projection_state;
} mo_base_model_output_with_pooling_and_projection;

/* BackboneOutput. Feature maps of chosen stages, for a model that stands on them. */
typedef struct mo_backbone_output {
  mo_output base;
  /* [] of (batch_size, num_channels, height, width); always */
  mo_field *feature_maps;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_backbone_output;

/* ImageSuperResolutionOutput. Enlarged images. */
typedef struct mo_image_super_resolution_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, num_channels, height, width); always */
  mo_field *reconstruction;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, patch_size, sequence_length); output_attentions */
  mo_field *attentions;
} mo_image_super_resolution_output;

/* MaskedImageModelingOutput. Images whose masked patches are reconstructed. */
typedef struct mo_masked_image_modeling_output {
  mo_output base;
  /* (1); bool_masked_pos given */
  mo_field *loss;
  /* (batch_size, num_channels, height, width); always */
  mo_field *reconstruction;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_masked_image_modeling_output;

/* SequenceClassifierOutputWithPast. Sequence classification result of a decoder that can carry a cache. */
typedef struct mo_sequence_classifier_output_with_past {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, config.num_labels); always */
  mo_field *logits;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
} mo_sequence_classifier_output_with_past;

/* MoEModelOutput. Encoder-style result of a mixture of experts. */
typedef struct mo_moe_encoder_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *router_probs;
} mo_moe_encoder_output;

/* MoeModelOutputWithPast. Decoder-style result of a mixture of experts, with its cache. */
typedef struct mo_moe_model_output_with_past {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *router_logits;
} mo_moe_model_output_with_past;

/* MoeCausalLMOutputWithPast. Next-token language-model head result of a mixture of experts, with its cache. */
typedef struct mo_moe_causal_lm_output_with_past {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (1); output_router_logits */
  mo_field *aux_loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *router_logits;
} mo_moe_causal_lm_output_with_past;

/* MoECausalLMOutputWithPast. The same with both losses of the router (GPTSAN). */
typedef struct mo_moe_losses_causal_lm_output_with_past {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* (1); output_router_logits */
  mo_field *z_loss;
  /* (1); output_router_logits */
  mo_field *aux_loss;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *router_logits;
} mo_moe_losses_causal_lm_output_with_past;

/* MoEModelOutputWithPastAndCrossAttentions. Decoder-style result of a mixture of experts, with cache and cross-attention
 * maps. */
typedef struct mo_moe_model_output_with_past_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* a cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions and
   * config.add_cross_attention */
  mo_field *cross_attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *router_probs;
} mo_moe_model_output_with_past_and_cross_attentions;

/* Seq2SeqMoEModelOutput. Headless encoder-decoder result of a mixture of experts. */
typedef struct mo_seq2seq_moe_model_output {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *decoder_router_logits;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *encoder_router_logits;
} mo_seq2seq_moe_model_output;

/* Seq2SeqMoEOutput. Encoder-decoder language-model head result of a mixture of experts. */
typedef struct mo_seq2seq_moe_output {
  mo_output base;
  /* (1); labels given */
  mo_field *loss;
  /* (batch_size, sequence_length, config.vocab_size); always */
  mo_field *logits;
  /* (1); output_router_logits */
  mo_field *encoder_z_loss;
  /* (1); output_router_logits */
  mo_field *decoder_z_loss;
  /* (1); output_router_logits */
  mo_field *encoder_aux_loss;
  /* (1); output_router_logits */
  mo_field *decoder_aux_loss;
  /* an encoder-decoder cache; use_cache */
  mo_field *past_key_values;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *decoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *decoder_attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *decoder_router_logits;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions */
  mo_field *cross_attentions;
  /* (batch_size, sequence_length, hidden_size); unstated */
  mo_field *encoder_last_hidden_state;
  /* [num_layers + 1 if embedding layer] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *encoder_hidden_states;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *encoder_attentions;
  /* [num_layers] of (batch_size, sequence_length, num_experts); output_router_logits */
  mo_field *encoder_router_logits;
} mo_seq2seq_moe_output;

/* ---- Flax ----------------------------------------------------------------------------------------------------------- */

/* FlaxBaseModelOutputWithPoolingAndCrossAttentions. Pooled result that can also carry a key/value cache and cross-attention
 * maps. */
typedef struct mo_flax_base_model_output_with_pooling_and_cross_attentions {
  mo_output base;
  /* (batch_size, sequence_length, hidden_size); always */
  mo_field *last_hidden_state;
  /* (batch_size, hidden_size); always */
  mo_field *pooler_output;
  /* [num_layers + 1] of (batch_size, sequence_length, hidden_size); output_hidden_states */
  mo_field *hidden_states;
  /* [config.n_layers] of tuples of tensors; use_cache */
  mo_field *past_key_values;
  /* [num_layers] of (batch_size, num_heads, sequence_length, sequence_length); output_attentions */
  mo_field *attentions;
  /* [num_layers] of (batch_size, num_heads, decoder_sequence_length, encoder_sequence_length); output_attentions and
   * config.add_cross_attention */
  mo_field *cross_attentions;
} mo_flax_base_model_output_with_pooling_and_cross_attentions;

#ifdef __cplusplus
}
#endif
#endif
