/* kernels/attention_outside.cu - zeros where the weights tensor has rows and keys that their sequence does not have.
 *
 * The attention kernels write the weights of a sequence's own rows and keys, these the rest: every element once. A warp has one
 * row of the tensor, (sequence, head slot, row slot), and writes 16 bytes a lane.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/arch/launch.cuh"
#include "kernels/attention/sequence.cuh"

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr size_t kSequenceBytes = mo_sequence<2>::pairs * 16;

/* grid: (row slots by warps, head slots, sequences) */
__global__ void __launch_bounds__(kThreads)
    attention_outside_kernel(const __grid_constant__ mo_attention_kernel_args args, int64_t slot_rows, int element) {
  const mo_sequence<2> sequence = {mo_shared_memory<int64_t>()};
  if (threadIdx.x == 0) mo_write_sequence(args, blockIdx.z, sequence);
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t slot_row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (slot_row >= slot_rows) return;
  const int64_t row = sequence.first_weight_row() + slot_row, count = sequence.query_count();
  const bool there = args.weights_reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? count > 0 : row >= 0 && row < count;
  const int64_t first_key = there ? sequence.key_count() : 0;
  char *out = static_cast<char *>(args.weights) +
              (static_cast<int64_t>(blockIdx.z) * args.weights_strides[0] + blockIdx.y * args.weights_strides[1] +
               slot_row * args.weights_strides[2] + first_key) *
                  element;
  const int64_t bytes = (args.key_length - first_key) * element;
  const int64_t misaligned = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out) % 16);
  const int64_t wanted = misaligned == 0 ? 0 : 16 - misaligned, front = wanted < bytes ? wanted : bytes;
  const int64_t vectors = (bytes - front) / 16;
  for (int64_t i = lane; i < front; i += 32) out[i] = 0;
  for (int64_t v = lane; v < vectors; v += 32) mo_store16(out + front + 16 * v, make_uint4(0, 0, 0, 0));
  for (int64_t i = front + 16 * vectors + lane; i < bytes; i += 32) out[i] = 0;
}

}  // namespace

cudaError_t mo_launch_attention_outside(const mo_attention_kernel_args *args, cudaStream_t stream) {
  const int64_t selected = args->weight_rows > 0 ? args->weight_rows : args->query_length;
  const int64_t rows = args->weights_reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : selected;
  const int64_t heads = args->weights_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1
                        : args->selected_head_count > 0                           ? args->selected_head_count
                                                                                  : args->heads;
  if (args->batch == 0 || heads == 0 || rows == 0 || args->key_length == 0) return cudaSuccess;
  const dim3 grid(static_cast<unsigned>((rows + kWarps - 1) / kWarps), static_cast<unsigned>(heads),
                  static_cast<unsigned>(args->batch));
  return MO_LAUNCH(attention_outside_kernel, grid, dim3(kThreads), kSequenceBytes, stream, *args, rows,
                   args->weights_dtype == MO_DTYPE_FLOAT32 ? 4 : 2);
}
