/* host/model/named_inputs.c - the struct of inputs as a set of named ones.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/model/named_inputs.h"

#include "host/call/model.h"
#include "host/core/struct_size.h"

#define TENSOR(member)                                                                                                         \
  { #member, taken.member, NULL, NULL }

mo_status_t mo_name_inputs(const mo_model_t *model, const mo_model_inputs *inputs, mo_named_input named[MO_NAMED_INPUTS],
                           int32_t *count) {
  mo_model_inputs taken = MO_MODEL_INPUTS_INIT;
  MO_TRY(MO_TAKE(model->architecture.name, MO_MODEL_INPUTS_INIT, inputs, MO_SIZE_TO(mo_model_inputs, encoder_outputs), &taken));
  const mo_named_input all[] = {
      TENSOR(input_ids),
      TENSOR(inputs_embeds),
      TENSOR(attention_mask),
      TENSOR(token_type_ids),
      TENSOR(position_ids),
      TENSOR(labels),
      TENSOR(next_sentence_label),
      TENSOR(start_positions),
      TENSOR(end_positions),
      {"past_key_values", NULL, taken.past_key_values, NULL},
      TENSOR(cache_lengths),
      TENSOR(encoder_hidden_states),
      TENSOR(encoder_attention_mask),
      TENSOR(decoder_input_ids),
      TENSOR(decoder_inputs_embeds),
      TENSOR(decoder_attention_mask),
      {"encoder_outputs", NULL, NULL, taken.encoder_outputs},
  };
  _Static_assert(sizeof all / sizeof all[0] <= MO_NAMED_INPUTS, "raise MO_NAMED_INPUTS");
  *count = 0;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (all[i].tensor != NULL || all[i].cache != NULL || all[i].field != NULL) named[(*count)++] = all[i];
  return MO_STATUS_OK;
}
