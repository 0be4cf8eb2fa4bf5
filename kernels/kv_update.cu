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

#include <cstring>

#include "kernels/arch/launch.cuh"
#include "kernels/kv_code.cuh"
#include "kernels/kv_head.cuh"

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;

/* The sequence that a packed token belongs to: the last one that begins at or before it (or the first, if none does). */
__device__ __forceinline__ int mo_find_sequence(const int32_t *cumulative, int count, int token) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (cumulative[middle] <= token) low = middle;
    else high = middle;
  }
  return low;
}

/* What the layers of one launch are described by. A launch copies its parameters, so there are kernels for few layers and for
 * many; together with the other parameters they must stay below what a kernel takes (32764 bytes, since CUDA 12.1). */
template <int Layers>
struct LayerList {
  mo_kv_update_kernel_layer layers[Layers];
};
static_assert(sizeof(LayerList<MO_KV_LAYERS_PER_LAUNCH>) + sizeof(mo_kv_update_kernel_args) + 64 <= 32764);

/* grid: warps over (layer, key or value, row, head, token). The list stays in the constant bank: it is indexed, never copied.
 */
template <int Layers>
__global__ void __launch_bounds__(kThreads)
    kv_update_kernel(const __grid_constant__ mo_kv_update_kernel_args args, const __grid_constant__ LayerList<Layers> list,
                     uint32_t count, int floats_per_warp) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  uint32_t index = blockIdx.x * kWarps + static_cast<uint32_t>(warp);
  if (index >= count) return;
  const uint32_t length = static_cast<uint32_t>(args.length), heads = static_cast<uint32_t>(args.heads);
  const uint32_t batch = static_cast<uint32_t>(args.batch);
  const int token = static_cast<int>(index % length);
  index /= length;
  const int head = static_cast<int>(index % heads);
  index /= heads;
  const int source_row = static_cast<int>(index % batch);
  index /= batch;
  const bool is_value = index % 2 != 0;
  const mo_kv_update_kernel_layer &layer = list.layers[index / 2];
  const mo_kv_update_side &side = layer.sides[is_value ? 1 : 0];

  int row = source_row, begin = 0;
  if (args.cumulative != nullptr) {
    row = mo_find_sequence(args.cumulative, args.rows, token);
    begin = args.cumulative[row];
    if (token < begin || token >= args.cumulative[row + 1]) return;
  }
  const int64_t first = args.offsets != nullptr ? args.offsets[row * args.offset_stride] : args.offset;
  const int64_t slot = first + token - begin;
  if (args.counts != nullptr && token >= args.counts[row * args.count_stride]) return;
  if (first < 0 || slot >= args.capacity) return;
  const mo_kv_place to = mo_kv_find_place(layer.table, row, slot);
  if (!to.is_there) return;
  float *values = mo_shared_memory<float>() + warp * floats_per_warp;
  const bool turns = !is_value && args.turn.cosine != nullptr;
  mo_kv_write_head(side.source.data, args.source_dtype, mo_kv_offset(side.source, source_row, head, token), side.cache,
                   args.stored_dtype, to, head, turns ? &args.turn : nullptr,
                   turns ? mo_kv_position(args.turn, source_row, token, slot) : 0, values, lane);
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
  const int element = mo_kv_element_bytes(args.destination_dtype);
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
    mo_kv_copy_bytes(stored, static_cast<const char *>(source.stored.data) + at * element, destination.size * element, lane);
    for (int i = lane; scales != nullptr && i < destination.groups; i += 32) scales[i] = source_scales[i];
    return;
  }
  const int width = source.groups == 0 ? 1 : source.size / source.groups;
  for (int i = lane; i < source.size; i += 32) {
    const uint8_t bits = static_cast<const uint8_t *>(source.stored.data)[at + i];
    const float quotient = mo_kv_value(bits, args.source_dtype == MO_DTYPE_INT8);
    mo_store_one(destination.stored.data, args.destination_dtype, to + i, quotient * source_scales[i / width]);
  }
}

dim3 warps(int64_t count) { return dim3(static_cast<unsigned>((count + kWarps - 1) / kWarps)); }

template <int Layers>
cudaError_t launch_update(const mo_kv_update_kernel_args &args, const mo_kv_update_kernel_layer *layers, int32_t layer_count,
                          int64_t count, cudaStream_t stream) {
  const mo_kv_update_side *first = layers[0].sides;
  const int size = first[0].cache.size > first[1].cache.size ? first[0].cache.size : first[1].cache.size;
  const bool staged = args.turn.cosine != nullptr || first[0].cache.scale.data != nullptr;
  const size_t shared = staged ? sizeof(float) * kWarps * static_cast<size_t>(size) : 0;
  LayerList<Layers> list = {};
  memcpy(list.layers, layers, sizeof *layers * static_cast<size_t>(layer_count));
  return MO_LAUNCH(kv_update_kernel<Layers>, warps(count), dim3(kThreads), shared, stream, args, list,
                   static_cast<uint32_t>(count), size);
}

}  // namespace

cudaError_t mo_launch_kv_update(const mo_kv_update_kernel_args *args, const mo_kv_update_kernel_layer *layers,
                                int32_t layer_count, cudaStream_t stream) {
  const int64_t count = int64_t{2} * layer_count * args->batch * args->heads * args->length;
  if (count == 0 || (args->cumulative != nullptr && args->rows == 0)) return cudaSuccess;
  if (layer_count <= 1) return launch_update<1>(*args, layers, layer_count, count, stream);
  if (layer_count <= 16) return launch_update<16>(*args, layers, layer_count, count, stream);
  if (layer_count <= 48) return launch_update<48>(*args, layers, layer_count, count, stream);
  return launch_update<MO_KV_LAYERS_PER_LAUNCH>(*args, layers, layer_count, count, stream);
}

cudaError_t mo_launch_kv_gather(const mo_kv_gather_kernel_args *args, cudaStream_t stream) {
  const int64_t count = int64_t{2} * args->batch * args->heads * args->length;
  if (count == 0) return cudaSuccess;
  return MO_LAUNCH(kv_gather_kernel, warps(count), dim3(kThreads), 0, stream, *args, count);
}
