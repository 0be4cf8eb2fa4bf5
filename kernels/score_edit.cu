/* kernels/score_edit.cu - changing scores of single tokens before one is chosen.
 *
 *   scores[b, :] = logits[b, :]; then stage by stage each token of the row's list is added to, penalised or set, or all others
 *   are removed (modelout/score_edit.h)
 *
 * Bytes moved: the row once in, 4 bytes a score out (nothing of both in place), and 8 bytes for each place of the list.
 *
 * Shape of parallelism: one block per row. The copy is elementwise; a stage is a loop over its list, since no token stands
 * twice in it with different values. A barrier stands between stages, because the next may change the same token.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/score_edit.h"

#include "kernels/arch/launch.cuh"
#include "kernels/common/vector.cuh"

namespace {

constexpr int kThreads = 512;

/* Every thread gets the same answer, each having looked for itself: these lists are an id or a few long. */
__device__ __forceinline__ bool holds_any(const int32_t *tokens, const mo_score_stage &stage, int64_t count) {
  for (int64_t i = stage.first; i < stage.first + stage.count; ++i) {
    if (tokens[i] >= 0 && tokens[i] < count) return true;
  }
  return false;
}

__device__ __forceinline__ float edited(mo_score_edit_kind_t kind, float score, float value) {
  if (kind == MO_SCORE_EDIT_ADD) return score + value;
  if (kind == MO_SCORE_EDIT_PENALISE) return score < 0.0f ? score * value : score / value;
  return value;
}

__global__ void __launch_bounds__(kThreads) score_edit_kernel(mo_score_edit_kernel_args args) {
  const int64_t row = blockIdx.x, thread = threadIdx.x;
  float *scores = args.scores + row * args.scores_stride;
  const int32_t *tokens = args.tokens + row * args.tokens_stride;
  const float *values = args.values + row * args.values_stride;
  if (args.logits != args.scores) {
    for (int64_t i = thread; i < args.count; i += kThreads) {
      scores[i] = mo_load_one(args.logits, args.dtype, row * args.logits_stride + i);
    }
  }
  for (int32_t s = 0; s < args.stage_count; ++s) {
    const mo_score_stage stage = args.stages[s];
    __syncthreads();
    if (stage.kind == MO_SCORE_EDIT_ONLY) {
      if (!holds_any(tokens, stage, args.count)) continue;
      for (int64_t i = thread; i < args.count; i += kThreads) scores[i] = -INFINITY;
      __syncthreads();
    }
#pragma unroll 1 /* the slow path of the division is a call, around which more would be spilled */
    for (int64_t i = stage.first + thread; i < stage.first + stage.count; i += kThreads) {
      const int32_t token = tokens[i];
      if (token >= 0 && token < args.count) scores[token] = edited(stage.kind, scores[token], values[i]);
    }
  }
}

}  // namespace

cudaError_t mo_launch_score_edit(const mo_score_edit_kernel_args *args, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(args->rows)), block(kThreads);
  return MO_LAUNCH(score_edit_kernel, grid, block, 0, stream, *args);
}
