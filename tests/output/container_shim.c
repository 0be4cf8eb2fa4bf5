/* tests/output/container_shim.c - the calls a C user makes of an output: typed members, slices, tensors on the spot.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "container_shim.h"

mo_status_t shim_tensor(mo_context_t *context, void *data, int32_t rank, const int64_t *shape, mo_release_function release,
                        void *user_data, mo_field **field) {
  const mo_tensor tensor = mo_tensor_cpu(data, MO_DTYPE_FLOAT32, rank, shape);
  return mo_field_create_tensor(context, &tensor, release, user_data, field);
}

mo_slice shim_slice_all(void) { return MO_SLICE_ALL; }
mo_slice shim_slice_range(int64_t first, int64_t end) { return MO_SLICE_RANGE(first, end); }

mo_field *shim_logits(const mo_output *output) {
  const mo_causal_lm_output *outputs = (const mo_causal_lm_output *)output;
  return outputs->logits;
}

mo_field *shim_loss(const mo_output *output) {
  const mo_causal_lm_output *outputs = (const mo_causal_lm_output *)output;
  return outputs->loss;
}

mo_dimensions shim_dimensions(void) { return (mo_dimensions)MO_DIMENSIONS_INIT; }

mo_dimensions shim_small_dimensions(void) {
  mo_dimensions d = MO_DIMENSIONS_INIT;
  d.batch_size = 2, d.sequence_length = 5, d.key_length = 9, d.encoder_sequence_length = 7;
  d.hidden_size = 24, d.num_layers = 12, d.encoder_num_layers = 3, d.num_heads = 4, d.encoder_num_heads = 6;
  d.num_key_value_heads = 2, d.embed_size_per_head = 8, d.vocab_size = 31, d.num_labels = 13, d.num_choices = 3;
  d.feature_size = 14, d.loss_count = 17, d.height = 18, d.width = 19, d.num_channels = 20, d.patch_size = 21;
  d.logits_height = 22, d.logits_width = 23, d.xvector_output_dim = 25, d.conv_dim = 26, d.num_bins = 27;
  d.num_samples = 28, d.num_params = 29, d.prediction_length = 30, d.input_size = 1, d.max_length = 32;
  d.has_loss = true, d.add_cross_attention = true;
  return d;
}

mo_request shim_full_request(void) {
  mo_request request = MO_REQUEST_INIT;
  request.output_hidden_states = request.output_attentions = request.use_cache = true;
  return request;
}

mo_context_options shim_cpu_options(void) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CPU;
  return options;
}
