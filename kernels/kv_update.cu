/* kernels/kv_update.cu - writing new keys and values to a cache, and gathering them from it.
 *
 * Bytes: every new element is read once and written once in the stored type, plus its scale.
 *
 * Shape of parallelism: a warp has one head of one token, keys or values of one layer; the grid covers all of them. Without
 * turning and quantising, the head is copied in vectors of 16 bytes where addresses and strides allow. Else it goes through the
 * warp's own floats in shared memory, because a pair's partner and a group's largest magnitude belong to other lanes.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kv_update.h"

#include "host/core/kv_quantise.h"
#include "kernels/arch/launch.cuh"
#include "kernels/kv_place.cuh"
#include "kernels/reduce.cuh"
#include "kernels/vector.cuh"

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;

/* `bytes` from one place to another by one warp: 16 at a time if both allow it. */
__device__ __forceinline__ void copy_bytes(char *destination, const char *source, int bytes, int lane) {
  const bool wide =
      (reinterpret_cast<uintptr_t>(destination) | reinterpret_cast<uintptr_t>(source) | static_cast<unsigned>(bytes)) % 16 == 0;
  if (wide) {
    for (int i = 16 * lane; i < bytes; i += 16 * 32) mo_store16(destination + i, mo_load16(source + i));
  } else {
    for (int i = lane; i < bytes; i += 32) destination[i] = source[i];
  }
}

__device__ __forceinline__ int bytes_of(mo_dtype_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 ? 4 : dtype == MO_DTYPE_FLOAT16 || dtype == MO_DTYPE_BFLOAT16 ? 2 : 1;
}

/* A position outside the tables makes what turns NaN. */
__device__ __forceinline__ void turn(const mo_kv_update_kernel_args &args, float *values, int64_t position, int lane) {
  for (int pair = lane; pair < args.pairs; pair += 32) {
    const bool known = position >= 0 && position < args.position_count;
    const float cosine = known ? args.cosine[position * args.pairs + pair] : __uint_as_float(0x7FC00000u);
    const float sine = known ? args.sine[position * args.pairs + pair] : cosine;
    const int first = args.interleaved ? 2 * pair : pair, second = args.interleaved ? 2 * pair + 1 : args.pairs + pair;
    const float x = values[first], y = values[second];
    values[first] = x * cosine - y * sine;
    values[second] = y * cosine + x * sine;
  }
}

__device__ __forceinline__ void quantise(const float *values, const mo_kv_store &cache, mo_dtype_t dtype, uint8_t *stored,
                                         float *scales, int lane) {
  const int width = cache.groups == 0 ? 0 : cache.size / cache.groups;
  for (int group = 0; group < cache.groups; ++group) {
    const float *part = values + group * width;
    float largest = 0.0f;
    for (int i = lane; i < width; i += 32) largest = fmaxf(largest, fabsf(part[i]));
    largest = mo_reduce_warp<mo_max>(largest);
    const float scale = largest / (dtype == MO_DTYPE_INT8 ? MO_KV_INT8_LARGEST : MO_KV_E4M3_LARGEST);
    if (lane == 0) scales[group] = scale;
    for (int i = lane; i < width; i += 32) {
      const float quotient = mo_kv_quotient(part[i], scale);
      stored[group * width + i] =
          dtype == MO_DTYPE_INT8 ? static_cast<uint8_t>(mo_kv_to_int8(quotient)) : mo_kv_to_e4m3(quotient);
    }
  }
}

/* grid: warps over (layer, key or value, row, head, token) */
__global__ void __launch_bounds__(kThreads)
    kv_update_kernel(const __grid_constant__ mo_kv_update_kernel_args args, int64_t count, int floats_per_warp) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  int64_t index = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (index >= count) return;
  const int token = static_cast<int>(index % args.length);
  index /= args.length;
  const int head = static_cast<int>(index % args.heads);
  index /= args.heads;
  const int row = static_cast<int>(index % args.batch);
  index /= args.batch;
  const bool is_value = index % 2 != 0;
  const int layer = static_cast<int>(index / 2);
  const mo_kv_update_side &side = args.layers[layer][is_value ? 1 : 0];

  const int64_t first = args.offsets != nullptr ? args.offsets[row * args.offset_stride] : args.offset;
  const int64_t slot = first + token;
  if (args.counts != nullptr && token >= args.counts[row * args.count_stride]) return;
  if (first < 0 || slot >= args.capacity) return;
  const mo_kv_place to = mo_kv_find_place(args.tables[layer], row, slot);
  if (!to.is_there) return;

  const int element = bytes_of(args.source_dtype);
  const int64_t from = mo_kv_offset(side.source, row, head, token);
  const int64_t at = mo_kv_offset(side.cache.stored, to.block, head, to.slot);
  const bool turns = !is_value && args.cosine != nullptr, quantises = side.cache.scale.data != nullptr;
  if (!turns && !quantises) {
    copy_bytes(static_cast<char *>(side.cache.stored.data) + at * element,
               static_cast<const char *>(side.source.data) + from * element, side.cache.size * element, lane);
    return;
  }
  float *values = mo_shared_memory<float>() + warp * floats_per_warp;
  for (int i = lane; i < side.cache.size; i += 32) values[i] = mo_load_one(side.source.data, args.source_dtype, from + i);
  __syncwarp();
  if (turns) {
    int64_t position = slot;
    if (args.position_ids != nullptr)
      position = mo_load_index(args.position_ids, args.position_dtype,
                               row * args.position_strides[0] + token * args.position_strides[1]);
    turn(args, values, position, lane);
    __syncwarp();
  }
  if (quantises) {
    const int64_t scale_at = mo_kv_offset(side.cache.scale, to.block, head, to.slot);
    quantise(values, side.cache, args.stored_dtype, static_cast<uint8_t *>(side.cache.stored.data) + at,
             static_cast<float *>(side.cache.scale.data) + scale_at, lane);
    return;
  }
  for (int i = lane; i < side.cache.size; i += 32) mo_store_one(side.cache.stored.data, args.stored_dtype, at + i, values[i]);
}

/* grid: warps over (key or value, row, head, token) */
__global__ void __launch_bounds__(kThreads)
    kv_gather_kernel(const __grid_constant__ mo_kv_gather_kernel_args args, int64_t count) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int64_t index = static_cast<int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32;
  if (index >= count) return;
  const int token = static_cast<int>(index % args.length);
  index /= args.length;
  const int head = static_cast<int>(index % args.heads);
  index /= args.heads;
  const int row = static_cast<int>(index % args.batch), which = static_cast<int>(index / args.batch);
  const mo_kv_store &source = args.source[which], &destination = args.destination[which];

  const int64_t source_row = args.rows != nullptr ? args.rows[row * args.row_stride] : row;
  mo_kv_place from = {0, 0, false};
  if (source_row >= 0 && source_row < args.source_rows) from = mo_kv_find_place(args.table, source_row, args.start + token);
  const int element = bytes_of(args.destination_dtype);
  const int64_t to = mo_kv_offset(destination.stored, row, head, token);
  char *stored = static_cast<char *>(destination.stored.data) + to * element;
  float *scales = destination.scale.data == nullptr
                      ? nullptr
                      : static_cast<float *>(destination.scale.data) + mo_kv_offset(destination.scale, row, head, token);
  if (!from.is_there) {
    for (int i = lane; i < destination.size * element; i += 32) stored[i] = 0;
    for (int i = lane; scales != nullptr && i < destination.groups; i += 32) scales[i] = 0.0f;
    return;
  }
  const int64_t at = mo_kv_offset(source.stored, from.block, head, from.slot);
  const float *source_scales = source.scale.data == nullptr ? nullptr
                                                            : static_cast<const float *>(source.scale.data) +
                                                                  mo_kv_offset(source.scale, from.block, head, from.slot);
  if (args.source_dtype == args.destination_dtype) {
    copy_bytes(stored, static_cast<const char *>(source.stored.data) + at * element, destination.size * element, lane);
    for (int i = lane; scales != nullptr && i < destination.groups; i += 32) scales[i] = source_scales[i];
    return;
  }
  const int width = source.groups == 0 ? 1 : source.size / source.groups;
  for (int i = lane; i < source.size; i += 32) {
    const uint8_t bits = static_cast<const uint8_t *>(source.stored.data)[at + i];
    const float quotient =
        args.source_dtype == MO_DTYPE_INT8 ? static_cast<float>(static_cast<int8_t>(bits)) : mo_kv_from_e4m3(bits);
    mo_store_one(destination.stored.data, args.destination_dtype, to + i, quotient * source_scales[i / width]);
  }
}

dim3 warps(int64_t count) { return dim3(static_cast<unsigned>((count + kWarps - 1) / kWarps)); }

}  // namespace

cudaError_t mo_launch_kv_update(const mo_kv_update_kernel_args *args, cudaStream_t stream) {
  const int64_t count = int64_t{2} * args->layer_count * args->batch * args->heads * args->length;
  if (count == 0) return cudaSuccess;
  const mo_kv_update_side *first = args->layers[0];
  const int size = first[0].cache.size > first[1].cache.size ? first[0].cache.size : first[1].cache.size;
  const bool staged = args->cosine != nullptr || first[0].cache.scale.data != nullptr;
  const size_t shared = staged ? sizeof(float) * kWarps * static_cast<size_t>(size) : 0;
  return MO_LAUNCH(kv_update_kernel, warps(count), dim3(kThreads), shared, stream, *args, count, size);
}

cudaError_t mo_launch_kv_gather(const mo_kv_gather_kernel_args *args, cudaStream_t stream) {
  const int64_t count = int64_t{2} * args->batch * args->heads * args->length;
  if (count == 0) return cudaSuccess;
  return MO_LAUNCH(kv_gather_kernel, warps(count), dim3(kThreads), 0, stream, *args, count);
}
