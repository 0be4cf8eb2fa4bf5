/* modelout/generate.h - generation: a decoder or encoder-decoder model run token by token over its cache.
 *
 * Greedy, sampling (modelout/sampling.h) and beam search, with the rules, the output classes and the order of fields of
 * Transformers' generate() (4.51). Everything stays on the device: logits are made for the last position only, the next token
 * is chosen there and read from there by the next step. Per step the chosen ids cross to the host, 8 bytes per sequence (beam
 * search: the best (1 + end tokens, at least 2) * num_beams candidates of each beam, 12 bytes each), and nothing else, whatever
 * was requested: fields cross when they are read.
 *
 * SETTINGS OF THE FILES. What the caller leaves open the checkpoint says, by the rules of Transformers 4.57: where there is a
 * generation_config.json it alone, and config.json is not looked at; else what config.json says of generation, and of token ids
 * what the family's configuration class takes where it is silent (LLaMA: eos_token_id 2; BART: forced_eos_token_id 2; ...). null
 * means: not set. A value of the wrong kind or out of range is BAD_FILE, with file, key and value.
 *
 *   obeyed     max_new_tokens, max_length, min_new_tokens, min_length; eos_token_id, pad_token_id, bos_token_id,
 *              decoder_start_token_id; do_sample, temperature, top_k (50 if do_sample is true and nothing is said), top_p, min_p;
 *              num_beams, num_return_sequences, length_penalty, early_stopping; repetition_penalty, no_repeat_ngram_size,
 *              encoder_no_repeat_ngram_size, bad_words_ids, sequence_bias, suppress_tokens, begin_suppress_tokens,
 *              forced_bos_token_id, forced_eos_token_id, force_bos_token_to_be_generated (BART's config.json); use_cache
 *              (false: no past_key_values in the output), output_scores, output_logits, output_attentions,
 *              output_hidden_states
 *   refused    UNSUPPORTED, naming file, key and value, where the value is not neutral (null, false, 0 or 1): num_beams above 1
 *              with do_sample; num_beam_groups above 1 with beams; penalty_alpha of contrastive search; constraints,
 *              force_words_ids, encoder_repetition_penalty, exponential_decay_length_penalty, guidance_scale,
 *              watermarking_config, renormalize_logits, remove_invalid_values, token_healing, dola_layers, max_time,
 *              stop_strings; typical_p, epsilon_cutoff, eta_cutoff, top_h with do_sample; cache_implementation "quantized";
 *              num_return_sequences above 1 with greedy search
 *   neutral    they change no number here: temperature and its kin without do_sample; length_penalty and early_stopping without
 *              beams; diversity_penalty without beam groups; other values of cache_implementation, cache_config,
 *              return_legacy_cache, prefill_chunk_size, compile_config, disable_compile, low_memory; what steers assisted
 *              generation (assistant_..., prompt_lookup_num_tokens, ...), which chooses the same tokens faster;
 *              return_dict_in_generate; task_specific_params of config.json; and any key that is unknown
 *
 * With ignore_file_settings only the token ids are taken. An id outside the vocabulary is refused when it is needed: pad_token_id
 * when a row has ended before the others, a forced token in its step, decoder_start_token_id without decoder_input_ids; an end
 * token never. A length that files ask for ends where the model's position table does; where positions are rotary or relative,
 * at max_position_embeddings (T5: n_positions) or at 1024, whichever is more. max_length 20 is a total length like any other, as
 * in Transformers 5; 4.57 takes it for silence.
 *
 * MEMORY grows with the tokens that come, whatever length was asked for. Where steps are recorded (below; at most 32768 new
 * tokens) that of all tokens is taken at once.
 *
 * NaN. Logits that are NaN count as -inf. A row with no other logit (or with beams: an input none of whose beams has any) ends
 * the generation with VALUE_ERROR, which names prompt and step.
 *
 * GRAPHS. Where the device can record work (CUDA), the decode step is captured once and replayed: greedy, sampling and (without
 * its books, which are the host's) beam search, of decoder-only and encoder-decoder models, with scores, logits and hidden
 * states of each step or without. Steps with attentions, whose extent grows, run one by one, as do those of models with dynamic
 * rotary scaling.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_GENERATE_H
#define MODELOUT_GENERATE_H

#include "modelout/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What comes out ---- */

/* N is the number of new tokens of the longest sequence. Tuples have one entry per step; entries of attentions and
 * hidden_states are tuples over the layers, as the model's own fields: (batch_size, num_heads, new, keys) and (batch_size, new,
 * hidden_size), where `new` is the prompt's length in the first step and 1 later. Present if asked for; sequences always. */
typedef struct mo_generate_decoder_only_output {
  mo_output base;
  mo_field *sequences; /* (batch_size, prompt + N) int64: prompt and new tokens; finished rows go on with pad_token_id.
                          With sampling batch_size counts each prompt num_return_sequences times, here and below */
  mo_field *scores;    /* output_scores: N of (batch_size, vocab_size) float32: processed, -inf where removed */
  mo_field *logits;    /* output_logits: N of (batch_size, vocab_size), in the model's dtype: as the model gave them */
  mo_field *attentions;
  mo_field *hidden_states;
  mo_field *past_key_values; /* use_cache (the default): mo_field_cache gives the cache to go on with */
} mo_generate_decoder_only_output;

typedef struct mo_generate_encoder_decoder_output {
  mo_output base;
  mo_field *sequences; /* (batch_size, decoder prompt + N) int64, decoder_start_token_id first */
  mo_field *scores;
  mo_field *logits;
  mo_field *encoder_attentions;    /* of the one run of the encoder: a tuple over its layers */
  mo_field *encoder_hidden_states; /* the same */
  mo_field *decoder_attentions;
  mo_field *cross_attentions;
  mo_field *decoder_hidden_states;
  mo_field *past_key_values;
} mo_generate_encoder_decoder_output;

/* Beam search. R = batch_size * num_beams rows run; batch_size * num_return_sequences sequences come out, best first. */
typedef struct mo_generate_beam_decoder_only_output {
  mo_output base;
  mo_field *sequences;
  mo_field *sequences_scores; /* output_scores: (sequences) float32: log probability / length^length_penalty */
  mo_field *scores;           /* output_scores: per step (R, vocab_size) float32: log softmax, -inf where removed */
  mo_field *logits;           /* per step (R, vocab_size) */
  mo_field *beam_indices;     /* (sequences, N) int32: the row each token's scores stand in; -1 behind the end */
  mo_field *attentions;       /* R rows */
  mo_field *hidden_states;
  mo_field *past_key_values; /* of the R rows, as they stood when the search ended */
} mo_generate_beam_decoder_only_output;

typedef struct mo_generate_beam_encoder_decoder_output {
  mo_output base;
  mo_field *sequences;
  mo_field *sequences_scores;
  mo_field *scores;
  mo_field *logits;
  mo_field *beam_indices;
  mo_field *encoder_attentions; /* batch_size rows */
  mo_field *encoder_hidden_states;
  mo_field *decoder_attentions;
  mo_field *cross_attentions;
  mo_field *decoder_hidden_states;
  mo_field *past_key_values;
} mo_generate_beam_encoder_decoder_output;

/* How tokens are chosen. */
typedef enum mo_generation_mode_t {
  MO_GENERATION_GREEDY = 0,
  MO_GENERATION_SAMPLE = 1,
  MO_GENERATION_BEAM = 2,
} mo_generation_mode_t;

/* The class of a generation's output; like the models' own classes these are not in mo_class_find(). NULL: no such framework or
 * mode. PyTorch has the four above. A model loaded for TensorFlow or Flax gives theirs, in the same structs; what they lack is
 * NULL, and asking for it is no error:
 *   TensorFlow  TF{GreedySearch,Sample,BeamSearch}{DecoderOnly,EncoderDecoder}Output: neither logits nor past_key_values;
 *               sequences_scores without being asked for
 *   Flax        FlaxGreedySearchOutput and FlaxSampleOutput: sequences alone; FlaxBeamSearchOutput: sequences and, as `scores`,
 *               (sequences) what the others call sequences_scores. sequences are as long as they may become: behind the last
 *               token pad_token_id. Of encoder-decoder models too: the structs are the decoder-only ones.
 * Which tokens come is the same in all three: PyTorch's rules. ids are int64, beam_indices int32. */
MO_API const mo_class *mo_generation_class(mo_framework_t framework, mo_generation_mode_t mode, bool encoder_decoder);

/* ---- What goes in ---- */

/* The new ids of one step, (batch_size; with sampling times num_return_sequences) on the host; rows that have finished show pad_token_id. Return false to stop there. */
typedef bool (*mo_generation_callback)(void *user_data, int64_t step, const int64_t *tokens, int64_t batch_size);

typedef enum mo_early_stopping_t {
  MO_EARLY_STOPPING_FALSE = 0, /* when the best running beam cannot become better than the worst finished one at its length */
  MO_EARLY_STOPPING_TRUE = 1,  /* when num_beams candidates are finished */
  MO_EARLY_STOPPING_NEVER = 2, /* when no running beam can become better, at any length that may still come */
} mo_early_stopping_t;

/* Unset members (0, NULL) take what the files say (SETTINGS OF THE FILES, above), else the default named here. */
typedef struct mo_generation_options {
  size_t struct_size;
  int64_t max_new_tokens; /* unset: the files' max_new_tokens, or what max_length leaves, which must be something; if they say
                             nothing 20, or what max_position_embeddings leaves */
  int64_t min_new_tokens; /* end tokens cannot be chosen before; unset: the files' min_new_tokens, or what is left of
                             min_length */
  const int64_t
      *eos_token_ids; /* a row that draws one of them is finished; NULL: eos_token_id of the files, a number or a list */
  int32_t eos_token_count;
  bool no_eos_token;  /* go on to max_new_tokens, whatever the files say */
  bool has_pad_token; /* pad_token_id is set; else that of the files, else the first end token, else 0 */
  int64_t pad_token_id;

  /* As in mo_sampling_params. Unset: those of the files, if they ask for sampling (do_sample), or a temperature is set here. */
  float temperature; /* unset and no do_sample: greedy */
  int64_t top_k;     /* to switch the files' off: any number from the vocabulary's size up; top_p: 1 */
  float top_p;
  float min_p;
  uint64_t seed;

  int64_t num_beams;            /* 1: none; above 1: beam search; temperature must then be 0 */
  int64_t num_return_sequences; /* beam search: up to num_beams; sampling: drawn for each prompt, as rows side by side; else 1 */
  bool has_length_penalty;      /* length_penalty is set; else 1 */
  float length_penalty;
  mo_early_stopping_t early_stopping;

  bool output_scores;
  bool output_logits;
  const mo_request *request; /* output_attentions and output_hidden_states, with their selections; the rest is ignored. NULL */
  bool no_past_key_values;   /* the output does not hold the cache */
  bool no_graph;             /* never record the step */

  mo_generation_callback callback; /* not beside num_beams; not called where the files ask for beams; NULL */
  void *user_data;

  bool ignore_file_settings; /* of the files only the token ids count: eos, pad, bos, decoder_start */
  bool no_sampling;          /* draw nothing, whatever the files say of do_sample; temperature must be 0 */
  bool has_early_stopping;   /* early_stopping is set, also if it is FALSE; any other value is set without this */
} mo_generation_options;

#define MO_GENERATION_OPTIONS_INIT MO_STRUCT_INIT(mo_generation_options)

/* Generates from the prompts of `inputs`: input_ids (B, S), with attention_mask (B, S) where rows are padded, on the left; of
 * an encoder-decoder model these are the encoder's (padded anywhere), and decoder_input_ids (B, T) the decoder's prompts
 * (unset: decoder_start_token_id). Ids and masks on the host. No other input is taken. options NULL: all unset.
 *
 * Synchronises once per step (beam search: twice). INVALID_ARGUMENT: an option out of range, a prompt that leaves no room in
 * the position table or in max_length, a prompt that ends in padding; UNSUPPORTED: a model without a language modelling head, a
 * setting of the files that is refused; BAD_FILE: one of a wrong kind; VALUE_ERROR: nothing to choose from; and the statuses of
 * a run. */
MO_API mo_status_t mo_generate(mo_model_t *model, const mo_model_inputs *inputs, const mo_generation_options *options,
                               mo_output **output);

#ifdef __cplusplus
}
#endif
#endif
