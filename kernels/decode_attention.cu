/* kernels/decode_attention.cu - the plan of a call, which kernel computes its parts, and the kernel that combines them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/decode_attention.h"

#include "kernels/attention/tile.cuh"
#include "kernels/attention/weights.cuh"
#include "kernels/decode_attention/mma.h"
#include "kernels/decode_attention/vector.cuh"
#include "kernels/kv_update.h"

namespace {

/* ---- The parts together ---- */

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kPieceKeys = 512; /* of a row of weights that a block writes: 1 KiB of 16-bit weights */
constexpr int kKeysPerThread = kPieceKeys / kThreads;

/* A row as all its parts see it. */
struct RowState {
  float maximum, sum; /* log2 units */
  __device__ __forceinline__ bool is_dead() const { return maximum == -INFINITY && sum == sum; }
};

__device__ __forceinline__ int64_t state_index(const mo_decode_kernel_args &args, int64_t batch, int head, int token) {
  const int64_t kv_head = head / args.group;
  return (batch * args.key_value_heads + kv_head) * args.part_count * args.row_count +
         (head - kv_head * args.group) * args.tokens + token;
}

/* By one warp, a lane per part; every lane gets the result. */
__device__ __forceinline__ RowState combine_states(const mo_decode_kernel_args &args, int64_t batch, int head, int token,
                                                   int lane) {
  const float *states = args.states + 2 * state_index(args, batch, head, token);
  RowState row = {-INFINITY, 0.0f};
  for (int part = lane; part < args.part_count; part += 32) {
    row.maximum = fmaxf(row.maximum, states[2 * static_cast<int64_t>(part) * args.row_count]);
  }
  row.maximum = mo_reduce_warp<mo_max>(row.maximum);
  const float shift = row.maximum == -INFINITY ? 0.0f : row.maximum;
  for (int part = lane; part < args.part_count; part += 32) {
    const float *state = states + 2 * static_cast<int64_t>(part) * args.row_count;
    row.sum += state[1] * mo_exp2(state[0] - shift);
  }
  row.sum = mo_reduce_warp<mo_sum>(row.sum);
  return row;
}

/* Element d of a value, as float32. */
__device__ __forceinline__ float load_value(const mo_decode_kernel_args &args, int64_t batch, int64_t kv_head, int64_t key,
                                            int d) {
  const mo_kv_place place = mo_kv_find_place(args.table, batch, key);
  if (!place.is_there) return 0.0f;
  const int64_t at = mo_kv_offset(args.value.stored, place.block, kv_head, place.slot) + d;
  if (args.value.scale.data == nullptr) return mo_load_one(args.value.stored.data, args.stored_dtype, at);
  const uint8_t code = static_cast<const uint8_t *>(args.value.stored.data)[at];
  const float scale = static_cast<const float *>(
      args.value.scale
          .data)[mo_kv_offset(args.value.scale, place.block, kv_head, place.slot) + d / (args.value.size / args.value.groups)];
  return scale * mo_kv_value(code, args.stored_dtype == MO_DTYPE_INT8);
}

/* Output and log-sum-exp of one row. A row without visible keys is the mean of what it holds. */
__device__ __forceinline__ void combine_output(const mo_decode_kernel_args &args, int64_t row) {
  const int thread = static_cast<int>(threadIdx.x);
  const int token = static_cast<int>(row % args.tokens), head = static_cast<int>(row / args.tokens % args.heads);
  const int64_t batch = row / args.tokens / args.heads, kv_head = head / args.group;
  const RowState state = combine_states(args, batch, head, token, thread % 32);
  const int64_t index = state_index(args, batch, head, token);
  const int64_t total = mo_decode_total(args.rules, mo_decode_length(args, batch));
  const float shift = state.maximum == -INFINITY ? 0.0f : state.maximum;
  const int64_t to = batch * args.output_strides[0] + head * args.output_strides[1] + token * args.output_strides[2];
  for (int d = thread; d < args.value.size; d += kThreads) {
    float sum = 0.0f, divisor = state.sum;
    if (state.is_dead()) {
      for (int64_t key = 0; key < total; ++key) sum += load_value(args, batch, kv_head, key, d);
      divisor = static_cast<float>(total > 0 ? total : 1);
    } else {
      for (int part = 0; part < args.part_count; ++part) {
        const int64_t place = index + static_cast<int64_t>(part) * args.row_count;
        sum += args.sums[place * args.value.size + d] * mo_exp2(args.states[2 * place] - shift);
      }
    }
    mo_store_one(args.output, args.dtype, to + d, sum / divisor);
  }
  if (thread != 0 || args.log_sum_exp == nullptr) return;
  float result = (state.maximum + log2f(state.sum)) * mo_decode_ln_2;
  if (state.is_dead()) result = total > 0 ? logf(static_cast<float>(total)) - FLT_MAX : -INFINITY;
  else if (state.maximum == -FLT_MAX) result = -FLT_MAX; /* what score() makes of a bias of the smallest finite number */
  args.log_sum_exp[batch * args.log_sum_exp_strides[0] + head * args.log_sum_exp_strides[1] +
                   token * args.log_sum_exp_strides[2]] = result;
}

/* A query row that a row of the weights tensor is made of, as the threads find it in shared memory. */
struct Share {
  const float *scores;
  float maximum, inverse; /* of a row without visible keys: 0, its weight */
  int first, end;
};

/* kPieceKeys weights of one row of the weights tensor: of one query row, or of several together. */
__device__ __forceinline__ void combine_weights(const mo_decode_kernel_args &args, int64_t index) {
  Share *shares = mo_shared_memory<Share>();
  float *staging = reinterpret_cast<float *>(shares + kThreads);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const bool head_mean = args.weights_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN;
  const bool column_sum = args.weights_reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM;
  const int rows = args.tokens - args.first_weight_row, slots = mo_decode_slot_count(args);
  const int tensor_rows = column_sum ? 1 : rows, tensor_slots = head_mean ? 1 : slots;
  const int64_t pieces = (args.rules.key_limit + kPieceKeys - 1) / kPieceKeys;
  const int64_t first_key = index % pieces * kPieceKeys;
  index /= pieces;
  const int row = static_cast<int>(index % tensor_rows), slot = static_cast<int>(index / tensor_rows % tensor_slots);
  const int64_t batch = index / tensor_rows / tensor_slots;
  const int64_t length = mo_decode_length(args, batch), start = mo_decode_start(args, batch);
  const int count = head_mean ? slots : column_sum ? rows : 1;

  float weights[kKeysPerThread] = {};
  for (int base = 0; base < count; base += kThreads) {
    const int here = count - base < kThreads ? count - base : kThreads;
    __syncthreads();
    for (int i = warp; i < here; i += kWarps) {
      const int its_slot = head_mean ? base + i : slot;
      const int token = args.first_weight_row + (column_sum ? base + i : row);
      const RowState state = combine_states(args, batch, mo_decode_slot_head(args, its_slot), token, lane);
      if (lane != 0) continue;
      Share share = {mo_decode_score_row(args, batch, its_slot, token), state.maximum, 1.0f / state.sum, 0, 0};
      mo_key_range sees = mo_decode_visible(args.rules, length, start, token);
      if (state.is_dead()) {
        const int64_t total = mo_decode_total(args.rules, length);
        sees = {0, total};
        share.scores = nullptr;
        share.inverse = 1.0f / static_cast<float>(total);
      }
      share.first = static_cast<int>(sees.first);
      share.end = static_cast<int>(sees.end);
      shares[i] = share;
    }
    __syncthreads();
    for (int i = 0; i < here; ++i) {
      const Share share = shares[i];
#pragma unroll
      for (int k = 0; k < kKeysPerThread; ++k) {
        const int key = static_cast<int>(first_key) + k * kThreads + thread;
        if (key < share.first || key >= share.end) continue;
        weights[k] += share.scores == nullptr ? share.inverse : mo_exp2(share.scores[key] - share.maximum) * share.inverse;
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kKeysPerThread; ++k) {
    staging[k * kThreads + thread] = head_mean ? weights[k] / static_cast<float>(slots) : weights[k];
  }
  __syncthreads();
  constexpr int per_warp = kPieceKeys / kWarps;
  const int64_t left = args.rules.key_limit - first_key - warp * per_warp;
  const int64_t keys = left < per_warp ? left : per_warp;
  if (keys <= 0) return;
  const int64_t to = batch * args.weights_strides[0] + slot * args.weights_strides[1] + row * args.weights_strides[2] +
                     first_key + warp * per_warp;
  const float *from = staging + warp * per_warp;
  if (args.weights_dtype == MO_DTYPE_FLOAT32) mo_store_weights(static_cast<float *>(args.weights) + to, keys, from, lane);
  else if (args.weights_dtype == MO_DTYPE_FLOAT16)
    mo_store_weights(static_cast<mo_half *>(args.weights) + to, keys, from, lane);
  else mo_store_weights(static_cast<mo_bfloat16 *>(args.weights) + to, keys, from, lane);
}

/* grid: rows of the output, then pieces of the weights */
__global__ void __launch_bounds__(kThreads) decode_combine_kernel(const __grid_constant__ mo_decode_kernel_args args) {
  const int64_t rows = args.batch * args.heads * args.tokens;
  if (blockIdx.x < rows) combine_output(args, blockIdx.x);
  else combine_weights(args, blockIdx.x - rows);
}

int64_t weight_pieces(const mo_decode_kernel_args &args) {
  if (args.weights == nullptr) return 0;
  const int64_t rows = args.weights_reduction == MO_WEIGHTS_REDUCTION_COLUMN_SUM ? 1 : args.tokens - args.first_weight_row;
  const int64_t slots = args.weights_reduction == MO_WEIGHTS_REDUCTION_HEAD_MEAN ? 1 : mo_decode_slot_count(args);
  return args.batch * slots * rows * ((args.rules.key_limit + kPieceKeys - 1) / kPieceKeys);
}

/* ---- The plan ---- */

constexpr int kMostParts = 256;

int element_bytes(mo_dtype_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 ? 4 : dtype == MO_DTYPE_FLOAT16 || dtype == MO_DTYPE_BFLOAT16 ? 2 : 1;
}

/* Rows of a block without tensor cores. Eight of one byte's elements would not leave registers for their sums. */
int vector_rows(const mo_decode_kernel_args &args) {
  const int most = element_bytes(args.stored_dtype) == 1 ? 4 : 8;
  int rows = 1;
  while (rows < args.row_count && rows < most) rows *= 2;
  return rows;
}

bool heads_are_aligned(const mo_kv_store &store, int element) {
  const mo_kv_heads &heads = store.stored;
  bool aligned = mo_is_aligned16(heads.data);
  for (const int64_t stride : heads.strides) aligned = aligned && stride * element % 16 == 0;
  return aligned;
}

/* The fewest parts that keep at least 85 % of the multiprocessors' places busy that any number of parts would. */
int choose_parts(int64_t blocks, int64_t most, int64_t places) {
  double best = 0.0;
  const auto share = [&](int64_t parts) {
    const int64_t waves = (blocks * parts + places - 1) / places;
    return static_cast<double>(blocks * parts) / static_cast<double>(waves * places);
  };
  for (int64_t parts = 1; parts <= most; ++parts) best = share(parts) > best ? share(parts) : best;
  int64_t parts = 1;
  while (parts < most && share(parts) < 0.85 * best) ++parts;
  return static_cast<int>(parts);
}

size_t align(size_t bytes) { return (bytes + 255) / 256 * 256; }

/* Bytes of scratch memory; with `memory` its parts are handed out. */
size_t carve(mo_decode_kernel_args *args, void *memory) {
  const size_t states =
      static_cast<size_t>(args->batch * args->key_value_heads * args->part_count) * static_cast<size_t>(args->row_count);
  const size_t score_rows = args->weights == nullptr
                                ? 0
                                : static_cast<size_t>(args->batch) * static_cast<size_t>(mo_decode_slot_count(*args)) *
                                      static_cast<size_t>(args->tokens - args->first_weight_row);
  const size_t sums_bytes = align(states * static_cast<size_t>(args->value.size) * sizeof(float));
  const size_t states_bytes = align(states * 2 * sizeof(float));
  if (memory != nullptr) {
    char *const bytes = static_cast<char *>(memory);
    args->sums = reinterpret_cast<float *>(bytes);
    args->states = reinterpret_cast<float *>(bytes + sums_bytes);
    if (args->weights != nullptr) args->scores = reinterpret_cast<float *>(bytes + sums_bytes + states_bytes);
  }
  return sums_bytes + states_bytes + align(score_rows * static_cast<size_t>(args->score_stride) * sizeof(float));
}

template <typename Use>
cudaError_t use_vector_kernel(const mo_decode_kernel_args &args, const Use &use) {
  switch (args.stored_dtype) {
    case MO_DTYPE_FLOAT32:
      return mo_decode_vector::use_kernel<float>(args, use);
    case MO_DTYPE_FLOAT16:
      return mo_decode_vector::use_kernel<mo_half>(args, use);
    case MO_DTYPE_BFLOAT16:
      return mo_decode_vector::use_kernel<mo_bfloat16>(args, use);
    case MO_DTYPE_INT8:
      return mo_decode_vector::use_kernel<mo_int8_code>(args, use);
    case MO_DTYPE_FLOAT8_E4M3:
      return mo_decode_vector::use_kernel<mo_e4m3_code>(args, use);
    default:
      return cudaErrorInvalidValue; /* the front door lets these five through */
  }
}

cudaError_t launch_parts(const mo_decode_kernel_args &args, cudaStream_t stream) {
  if (!args.tensor_cores) return use_vector_kernel(args, mo_decode_launch{args, stream});
  return args.dtype == MO_DTYPE_FLOAT16 ? mo_launch_decode_attention_mma_half(args, stream)
                                        : mo_launch_decode_attention_mma_bfloat16(args, stream);
}

cudaError_t count_blocks(const mo_decode_kernel_args &args, int *blocks) {
  if (!args.tensor_cores) return use_vector_kernel(args, mo_decode_count{args, blocks});
  return args.dtype == MO_DTYPE_FLOAT16 ? mo_count_decode_attention_mma_half(args, blocks)
                                        : mo_count_decode_attention_mma_bfloat16(args, blocks);
}

/* Wide heads, or a scale for every number, need more shared memory than small cards have: fewer keys at a time then, and fewer
 * rows. False: not even that fits. */
bool plan_vector(mo_decode_kernel_args *args, int element, size_t shared_bytes_limit) {
  int rows = vector_rows(*args);
  const auto bytes = [&] { return static_cast<size_t>(mo_decode_vector::Layout(*args, rows, element).total); };
  args->tile_keys = mo_decode_vector::tile_keys_of(*args, element);
  args->stages = mo_decode_vector::kStages;
  while (bytes() > shared_bytes_limit && args->tile_keys > mo_decode_vector::kFewestKeys) args->tile_keys /= 2;
  while (bytes() > shared_bytes_limit && rows > 1) rows /= 2;
  args->block_rows = rows;
  args->row_tiles = (args->row_count + rows - 1) / rows;
  args->shared_bytes = bytes();
  return args->shared_bytes <= shared_bytes_limit;
}

/* Where several blocks have rows of one key/value head, none may write what another reads. */
cudaError_t launch_append(const mo_decode_kernel_args &args, cudaStream_t stream) {
  const mo_kv_update_kernel_layer layer = {{{args.new_key, args.key}, {args.new_value, args.value}}, args.table};
  mo_kv_update_kernel_args update = {};
  update.batch = static_cast<int32_t>(args.batch);
  update.heads = static_cast<int32_t>(args.key_value_heads);
  update.length = args.tokens;
  update.capacity = args.rules.key_limit;
  update.source_dtype = args.dtype;
  update.stored_dtype = args.stored_dtype;
  update.offset = args.length;
  update.offsets = args.lengths;
  update.offset_stride = args.lengths_stride;
  update.turn = args.turn;
  return mo_launch_kv_update(&update, &layer, 1, stream);
}

}  // namespace

cudaError_t mo_plan_decode_attention(mo_decode_kernel_args *args, int32_t multiprocessor_count, size_t shared_bytes_limit,
                                     size_t *scratch_bytes) {
  const int element = element_bytes(args->stored_dtype);
  args->aligned = heads_are_aligned(args->key, element) && heads_are_aligned(args->value, element);
  args->tensor_cores = mo_plan_decode_attention_mma(args, shared_bytes_limit);
  if (!args->tensor_cores && !plan_vector(args, element, shared_bytes_limit)) return cudaErrorLaunchOutOfResources;
  int per_multiprocessor = 0;
  const cudaError_t error = count_blocks(*args, &per_multiprocessor);
  if (error != cudaSuccess) return error;
  if (per_multiprocessor < 1) return cudaErrorLaunchOutOfResources;
  const int64_t heads = args->batch * args->key_value_heads;
  int64_t most = (args->rules.key_limit + args->tile_keys - 1) / args->tile_keys;
  most = most < 1 ? 1 : most > kMostParts ? kMostParts : most;
  args->part_count =
      choose_parts(heads * args->row_tiles, most, static_cast<int64_t>(multiprocessor_count) * per_multiprocessor);
  args->score_stride = (args->rules.key_limit + 31) / 32 * 32;
  *scratch_bytes = carve(args, nullptr);
  return cudaSuccess;
}

cudaError_t mo_launch_decode_attention(mo_decode_kernel_args *args, void *scratch, cudaStream_t stream) {
  carve(args, scratch);
  if (args->row_tiles > 1 && args->new_key.data != nullptr) {
    const cudaError_t error = launch_append(*args, stream);
    if (error != cudaSuccess) return error;
  }
  const cudaError_t error = launch_parts(*args, stream);
  if (error != cudaSuccess) return error;
  const int64_t blocks = args->batch * args->heads * args->tokens + weight_pieces(*args);
  const size_t shared = args->weights != nullptr ? kThreads * sizeof(Share) + kPieceKeys * sizeof(float) : 0;
  return MO_LAUNCH(decode_combine_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), shared, stream, *args);
}
