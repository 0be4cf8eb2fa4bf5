/* host/cuda/embedding.c - embeddings on the card. What can be known of the indices without their data is checked here.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/embedding.h"

#include "host/cuda/cuda_ops.h"
#include "host/rules/broadcast.h"

static mo_embedding_lookup lookup_of(const mo_tensor *table, const mo_tensor *ids) {
  mo_embedding_lookup lookup = {
      .table = table->data, .rows = table->shape[0], .row_stride = table->strides[0], .present = true};
  if (ids != NULL) {
    lookup.ids = ids->data;
    lookup.ids_dtype = ids->dtype;
    mo_broadcast_strides(ids, 2, lookup.ids_strides);
  }
  return lookup;
}

mo_status_t mo_cuda_embedding(mo_context_t *context, const mo_embedding_params *params) {
  const mo_tensor *output = params->output, *embeds = params->embeds, *weight = params->norm_weight;
  mo_embedding_kernel_args args = {
      .batch = output->shape[0],
      .length = output->shape[1],
      .columns = output->shape[2],
      .output = output->data,
      .output_strides = {output->strides[0], output->strides[1]},
      .dtype = output->dtype,
      .norm_weight = weight != NULL ? weight->data : NULL,
      .norm_bias = params->norm_bias != NULL ? params->norm_bias->data : NULL,
      .norm_dtype = weight != NULL ? weight->dtype : output->dtype,
      .epsilon = params->epsilon,
      .base_scale = embeds != NULL || params->word_scale == 0.0f ? 1.0f : params->word_scale,
  };
  if (embeds != NULL) {
    args.embeds = embeds->data;
    for (int i = 0; i < 2; ++i) args.embeds_strides[i] = embeds->strides[i];
  } else {
    args.word = lookup_of(params->word, params->ids);
  }
  if (params->position != NULL) {
    args.position = lookup_of(params->position, params->position_ids);
    args.count_positions = params->position_ids == NULL && params->position_skips_padding;
    args.padding_id = params->padding_id;
    if (params->position_ids == NULL && !args.count_positions) {
      args.position.first = params->position_offset;
      args.position.step = 1;
      MO_CHECK(params->position_offset + args.length <= args.position.rows, MO_STATUS_INVALID_ARGUMENT,
               "embedding: position %lld is outside its table of %lld rows",
               (long long)(params->position_offset + args.length - 1), (long long)args.position.rows);
    }
  }
  if (params->type != NULL) {
    args.type = lookup_of(params->type, params->token_type_ids);
    MO_CHECK(params->token_type_ids != NULL || args.type.rows > 0, MO_STATUS_INVALID_ARGUMENT,
             "embedding: token type 0 is outside its table of 0 rows");
  }
  MO_CHECK(args.batch * args.length <= INT32_MAX, MO_STATUS_UNSUPPORTED, "embedding: %lld tokens, the CUDA kernels take %d",
           (long long)(args.batch * args.length), INT32_MAX);
  void *positions = NULL;
  const size_t scratch_bytes = mo_embedding_scratch_bytes(&args);
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  if (scratch_bytes > 0) MO_TRY(mo_context_scratch(context, scratch_bytes, &positions));
  return mo_cuda_status(mo_launch_embedding(&args, positions, mo_cuda_stream_of(context)), "embedding");
}
