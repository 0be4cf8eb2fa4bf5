/* host/tokens/token_call.h - what a token model keeps of a call, and how its files share it.
 *
 *   token_check.c       the inputs of the one transformer, or of the decoder
 *   token_positions.c   position ids: given, counted, or of a table
 *   token_cache.c       the caches: checked, made, counted or undone, shown in the output
 *   encoder_decoder.c   the encoder's inputs, and the decoder's where nothing gives them
 *   token_base.c        configuration, weights, memory, and the way through the layers
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TOKENS_TOKEN_CALL_H
#define MO_TOKENS_TOKEN_CALL_H

#include "host/call/call.h"
#include "host/tokens/token_model.h"

/* The caches of a call, and what they hold before it. */
typedef struct mo_token_cache {
  bool wanted;       /* there is one, or the run makes one */
  bool made;         /* the run has made `given` and gives it back */
  mo_cache_t *given; /* the caller's, or what the run has made; NULL before that */
  mo_cache_t *self, *cross;
  bool self_is_new, cross_is_new, cross_is_cached;
  bool slides;          /* some layer drops old tokens, so that a token's slot is not its position */
  bool on_device;       /* cache_lengths says what it holds */
  bool rows_differ;     /* paged: rows hold different numbers of tokens, the longest past_length */
  int64_t past_length;  /* tokens; 0 if on_device */
  int64_t key_length;   /* past and new ones; if on_device the most there can be */
  int64_t shown_length; /* columns of masks and attention weights: key_length, or (Flax) all slots of the cache */
} mo_token_cache;

typedef struct mo_token_call {
  /* The inputs of the one transformer, or of the decoder; NULL: not given. */
  const mo_tensor *ids, *embeds, *mask;
  mo_tensor trimmed_mask;   /* Flax: the part of the mask that has keys */
  const mo_tensor *shifted; /* decoder ids are these, shifted right; NULL: they are given */
  bool masked;              /* the mask hides something, or cannot be looked at here */
  bool mask_per_query;      /* (B, S, keys) */
  int64_t rotary_positions; /* how many positions the tables must have */
  mo_token_cache cache;
  int64_t encoder_length; /* of cross attention; 0: none */
  bool encoder_runs;      /* encoder-decoder models: nothing of an earlier run is given */
  bool encoder_masked;
  /* Placements of the call (mo_call_placed); -1: not given. */
  int32_t placed_ids, placed_embeds, placed_types, placed_positions, placed_mask, placed_lengths;
  int32_t placed_encoder_hidden, placed_encoder_mask, placed_source_ids, placed_source_embeds;
  mo_field_extents stated;                       /* attentions, where their extents differ */
  bool positions_are_rows;                       /* of the whole position table */
  mo_transformer_workspace transformer, encoder; /* in the same place: what the encoder leaves lies in the output */
} mo_token_call;

#define MO_TOKEN_CALL(name, call) MO_CALL_BASE(mo_token_call, name, call)

/* ---- token_check.c ---- */

mo_status_t mo_token_check(mo_call *call);

/* Leading extents of an input that goes with the tokens: (B, S), or (B, choices, S). The rank. */
int32_t mo_token_extents(const mo_call *call, int64_t *extents);

/* ---- token_positions.c ---- */

/* position_ids, or what takes their place: checked, and placed. The mask and the caches are checked already. */
mo_status_t mo_token_check_positions(mo_call *call);

/* ---- token_cache.c ---- */

/* Whether the call has a cache, and what it holds. The extents of the tokens are known. */
mo_status_t mo_token_cache_check(mo_call *call);
/* Whether some layers hold fewer tokens than others and say so; how many keys a layer attends over. */
bool mo_token_cache_is_uneven(const mo_call *call);
int64_t mo_token_cache_keys(const mo_call *call, int64_t layer);
/* Makes the cache that was wanted and not given: of layers that grow. */
mo_status_t mo_token_cache_make(mo_call *call);
/* A failed run: what a new cache may have counted is forgotten. */
void mo_token_cache_undo(mo_call *call);
/* The output's past_key_values, if it has them, show what the cache holds now. */
mo_status_t mo_token_cache_show(mo_call *call);

/* ---- encoder_decoder.c ---- */

/* Which of the given inputs are the decoder's, or where its ids come from. */
mo_status_t mo_token_find_decoder_inputs(mo_call *call);
/* Of a decoder alone: encoder_hidden_states and their mask. */
mo_status_t mo_token_check_cross(mo_call *call);
/* Of an encoder-decoder model: the encoder's inputs. The decoder's extents and caches are known. */
mo_status_t mo_token_check_encoder(mo_call *call);
/* Runs the encoder, or puts its earlier work into the output; `states` (B * S, width) is what the decoder attends over. */
mo_status_t mo_token_encode(mo_call *call, mo_tensor *states);
/* The encoder's inputs as its transformer takes them. */
mo_transformer_inputs mo_token_encoder_inputs(const mo_call *call);

#endif
