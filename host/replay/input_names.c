/* host/replay/input_names.c - the tensors of mo_model_inputs by name.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/replay/input_names.h"

#include <string.h>

static const struct {
  const char *name;
  size_t offset;
} slots[] = {
    {"input_ids", offsetof(mo_model_inputs, input_ids)},
    {"attention_mask", offsetof(mo_model_inputs, attention_mask)},
    {"token_type_ids", offsetof(mo_model_inputs, token_type_ids)},
    {"position_ids", offsetof(mo_model_inputs, position_ids)},
    {"inputs_embeds", offsetof(mo_model_inputs, inputs_embeds)},
    {"labels", offsetof(mo_model_inputs, labels)},
    {"next_sentence_label", offsetof(mo_model_inputs, next_sentence_label)},
    {"start_positions", offsetof(mo_model_inputs, start_positions)},
    {"end_positions", offsetof(mo_model_inputs, end_positions)},
    {"encoder_hidden_states", offsetof(mo_model_inputs, encoder_hidden_states)},
    {"encoder_attention_mask", offsetof(mo_model_inputs, encoder_attention_mask)},
    {"decoder_input_ids", offsetof(mo_model_inputs, decoder_input_ids)},
    {"decoder_inputs_embeds", offsetof(mo_model_inputs, decoder_inputs_embeds)},
    {"decoder_attention_mask", offsetof(mo_model_inputs, decoder_attention_mask)},
};
_Static_assert(sizeof slots / sizeof slots[0] == MO_REPLAY_INPUT_COUNT, "MO_REPLAY_INPUT_COUNT is the number of slots");

int mo_replay_input_find(const char *name) {
  /* ALBERT's name for the same thing. */
  if (strcmp(name, "sentence_order_label") == 0) name = "next_sentence_label";
  for (int i = 0; i < MO_REPLAY_INPUT_COUNT; i++)
    if (strcmp(slots[i].name, name) == 0) return i;
  return -1;
}

const char *mo_replay_input_name(int input) { return input >= 0 && input < MO_REPLAY_INPUT_COUNT ? slots[input].name : NULL; }

void mo_replay_input_set(mo_model_inputs *inputs, int input, const mo_tensor *tensor) {
  memcpy((char *)inputs + slots[input].offset, &tensor, sizeof tensor);
}
