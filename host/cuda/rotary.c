/* host/cuda/rotary.c - rotary embedding on the card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rotary.h"

#include "host/cuda/cuda_ops.h"
#include "host/rules/broadcast.h"

static mo_rotary_side side_of(const mo_tensor *output, const mo_tensor *input) {
  mo_rotary_side side = {.input = input->data, .output = output->data, .heads = (int32_t)input->shape[1]};
  mo_broadcast_strides(input, 3, side.input_strides);
  mo_broadcast_strides(output, 3, side.output_strides);
  return side;
}

mo_status_t mo_cuda_rotary_embedding(mo_context_t *context, const mo_rotary_params *params) {
  const mo_tensor *query = params->query, *key = params->key, *ids = params->position_ids, *cosine = params->rotary.cosine;
  const int64_t heads = query->shape[1] + (key != NULL ? key->shape[1] : 0);
  const int64_t tokens = query->shape[0] * query->shape[2];
  /* The grid: tokens across, units of the heads down. */
  MO_CHECK(
      tokens <= INT32_MAX && query->shape[3] <= 65536 && heads <= 65536 && heads * query->shape[3] <= 8000000,
      MO_STATUS_UNSUPPORTED,
      "rotary embedding: %lld tokens of %lld heads of %lld elements, the CUDA kernels take 2^31 - 1 tokens of 8000000 elements",
      (long long)tokens, (long long)heads, (long long)query->shape[3]);
  mo_rotary_kernel_args args = {
      .sides = {side_of(params->query_output, query)},
      .cosine = cosine->data,
      .sine = params->rotary.sine->data,
      .position_offset = params->position_offset,
      .position_count = cosine->shape[0],
      .batch = query->shape[0],
      .length = query->shape[2],
      .pairs = (int32_t)cosine->shape[1],
      .head_size = (int32_t)query->shape[3],
      .dtype = query->dtype,
      .interleaved = params->rotary.pairing == MO_ROTARY_INTERLEAVED,
  };
  if (key != NULL) args.sides[1] = side_of(params->key_output, key);
  if (ids != NULL) {
    args.position_ids = ids->data;
    args.position_dtype = ids->dtype;
    args.position_strides[0] = mo_broadcast_stride(ids, 0);
    args.position_strides[1] = ids->strides[1];
  }
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  return mo_cuda_status(mo_launch_rotary(&args, mo_cuda_stream_of(context)), "rotary embedding");
}
