/* kernels/decode_attention_mma_half.cu - the tensor-core kernels for float16 queries, and which calls these kernels take.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/decode_attention/mma.cuh"
#include "kernels/decode_attention/mma.h"

namespace {

/* With fewer rows a tile is emptier than the tensor cores are faster. */
constexpr int kFewestRows = 3;

/* What a call needs of one kernel. */
struct Needs {
  int rows, blocks; /* of a block; on a multiprocessor, wished for */
  int bytes;
};

template <typename S, int Dim>
Needs needs_of(const mo_decode_kernel_args &args, int stages) {
  using namespace mo_decode_mma;
  constexpr int most = most_tiles<Dim>;
  if (args.row_count <= 16) return {16, min_blocks<Dim, 1>, shared_bytes<S, Dim, 1>(args, stages)};
  return {16 * most, min_blocks<Dim, most>, shared_bytes<S, Dim, most>(args, stages)};
}

template <typename S>
Needs needs_of_dim(const mo_decode_kernel_args &args, int stages) {
  const int dim = args.key.size > args.value.size ? args.key.size : args.value.size;
  if (dim <= 64) return needs_of<S, 64>(args, stages);
  if (dim <= 128) return needs_of<S, 128>(args, stages);
  return needs_of<S, 256>(args, stages);
}

/* A lane's 16 codes must have one scale. */
bool groups_fit(const mo_kv_store &store) { return store.groups <= 1 || store.size / store.groups % 16 == 0; }

}  // namespace

bool mo_plan_decode_attention_mma(mo_decode_kernel_args *args, size_t shared_bytes_limit) {
  if (args->dtype == MO_DTYPE_FLOAT32 || args->row_count < kFewestRows || !args->aligned || args->value.size == 0) return false;
  if (!groups_fit(args->key) || !groups_fit(args->value)) return false;
  const bool quantised = args->stored_dtype != args->dtype;
  const auto needs = [&](int stages) {
    return quantised ? needs_of_dim<mo_int8_code>(*args, stages) : needs_of_dim<mo_half>(*args, stages);
  };
  const auto fits = [&](int stages, int blocks) {
    return static_cast<size_t>(needs(stages).bytes) <= shared_bytes_limit / static_cast<size_t>(blocks);
  };
  /* As many stages as leave room for all the blocks that the kernel was compiled for on a multiprocessor, or for one less; else
   * what fits. How many there will be mo_plan_decode_attention asks the card. */
  int stages = 0;
  for (int blocks = needs(2).blocks; blocks > 0 && stages == 0; --blocks) {
    for (int s = mo_decode_mma::kMostStages; s >= (blocks == 1 ? 2 : 3) && stages == 0; --s) {
      if (fits(s, blocks)) stages = s;
    }
  }
  if (stages == 0) return false;
  const Needs chosen = needs(stages);
  args->stages = stages;
  args->shared_bytes = static_cast<size_t>(chosen.bytes);
  args->tile_keys = mo_decode_mma::kKeys;
  args->row_tiles = (args->row_count + chosen.rows - 1) / chosen.rows;
  return true;
}

cudaError_t mo_launch_decode_attention_mma_half(const mo_decode_kernel_args &args, cudaStream_t stream) {
  return mo_decode_mma::use_kernel<mo_half>(args, mo_decode_launch{args, stream});
}

cudaError_t mo_count_decode_attention_mma_half(const mo_decode_kernel_args &args, int *blocks) {
  return mo_decode_mma::use_kernel<mo_half>(args, mo_decode_count{args, blocks});
}
