/* kernels/kv_update.cu - writing new keys and values to a cache, and gathering them from it.
 *
 * Bytes: every new element is read once and written once in the stored type, plus its scale. A gather: the same.
 *
 * Shape of parallelism: an item is one head of one token, keys or values of one layer; all layers are one grid. With whole
 * vectors (sizes, strides, addresses and groups are multiples of them; the launcher looks), a head has a lane per vector and a
 * warp as many heads as fit: two of 128 elements in bfloat16. Each lane takes kCopyItems (or kWorkItems) items a grid's width
 * apart and loads all of them before it stores the first. That is what bandwidth takes: 4.8 TB/s at about 0.8 us are 29 KB in
 * flight per SM of an H200. Bytes under way per SM = warps x 32 lanes x 16 bytes x items: with 32 warps, 64 KB of
 * copies and 32 KB of heads that are turned or quantised, and the angles on top; of gathers that dequantise, 16 to 32 KB read
 * and 64 KB written. A call too small for that takes one item per lane, so that it spreads over the card. Turned heads find
 * their partners by shuffles and quantised ones their largest magnitude, so nothing passes through shared memory. Neighbouring
 * tokens of a head lie side by side in most caches and are neighbours in the grid: int8 heads of 64 are written in whole lines.
 *
 * Else a warp takes one head element by element, through floats of its own in shared memory if it is turned or quantised.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kv_update.h"

#include <cstring>

#include "kernels/arch/launch.cuh"
#include "kernels/kv/head.cuh"
#include "kernels/kv/vector.cuh"

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kBlocks = 8;             /* of an SM at least: 32 warps, half of what it holds, so 64 registers */
constexpr int kCopyItems = 4;          /* per lane: 64 bytes */
constexpr int kWorkItems = 2;          /* where registers hold floats and angles as well */
constexpr int64_t kEnoughWarps = 2048; /* 16 on each of 132 SMs: fewer warps than that take one item per lane */

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

/* How a grid is laid over its items. 1 << lanes_shift lanes belong to one head, and lane l of the grid takes the items
 * (l >> lanes_shift) + i * stride. A vector is 16 bytes of the type that is not quantised. */
struct Plan {
  int elements; /* of a vector; 0: it is copied, whatever it holds; -1: a warp per head, without vectors */
  int lanes_shift;
  int most_bytes; /* in vectors of the longer heads, keys or values */
  int most_group; /* vectors of their longer groups */
  uint32_t count, stride;
  mo_divisor length, heads, batch;
  mo_divisor group[2]; /* vectors of a group of keys, of values */
};
static_assert(sizeof(LayerList<MO_KV_LAYERS_PER_LAUNCH>) + sizeof(mo_kv_update_kernel_args) + sizeof(Plan) <= 32764);

/* A head of a token of the grid. */
struct Item {
  int token, head, row;
  uint32_t side; /* 2 * layer + 1 for values, + 0 for keys */
};

__device__ __forceinline__ Item find_item(const Plan &plan, uint32_t index) {
  uint32_t token, head, row;
  const uint32_t side = mo_divide(mo_divide(mo_divide(index, plan.length, &token), plan.heads, &head), plan.batch, &row);
  return {static_cast<int>(token), static_cast<int>(head), static_cast<int>(row), side};
}

/* Where an item goes. is_there is false for a token of no row, behind its row's count, or without a place in the cache. */
struct Target {
  mo_kv_place place;
  int64_t slot;
};

__device__ __forceinline__ Target find_target(const mo_kv_update_kernel_args &args, const mo_kv_table &table,
                                              const Item &item) {
  const Target none = {{0, 0, false}, 0};
  int row = item.row, begin = 0;
  if (args.cumulative != nullptr) {
    row = mo_find_sequence(args.cumulative, args.rows, item.token);
    begin = args.cumulative[row];
    if (item.token < begin || item.token >= args.cumulative[row + 1]) return none;
  }
  const int64_t first = args.offsets != nullptr ? args.offsets[row * args.offset_stride] : args.offset;
  const int64_t slot = first + item.token - begin;
  if (args.counts != nullptr && item.token >= args.counts[row * args.count_stride]) return none;
  if (first < 0 || slot >= args.capacity) return none;
  return {mo_kv_find_place(table, row, slot), slot};
}

/* The list stays in the constant bank: it is indexed, never copied. Elements: plan.elements. */
template <int Layers, int Elements>
__global__ void __launch_bounds__(kThreads, kBlocks)
    kv_update_vector_kernel(const __grid_constant__ mo_kv_update_kernel_args args,
                            const __grid_constant__ LayerList<Layers> list, const __grid_constant__ Plan plan) {
  constexpr int kItems = Elements == 0 ? kCopyItems : kWorkItems;
  const int lanes = 1 << plan.lanes_shift, part = static_cast<int>(threadIdx.x) & (lanes - 1);
  const uint64_t first = (static_cast<uint64_t>(blockIdx.x) * kThreads + threadIdx.x) >> plan.lanes_shift;
  const int source_element = mo_kv_element_bytes(args.source_dtype), stored_element = mo_kv_element_bytes(args.stored_dtype);
  const char *from[kItems];
  char *to[kItems];
  float *scales[kItems];
  int64_t position[kItems];
  int bytes[kItems]; /* of the head at the source; 0: this lane has none */
  bool is_value[kItems];
#pragma unroll
  for (int i = 0; i < kItems; ++i) {
    const uint64_t index = first + static_cast<uint64_t>(i) * plan.stride;
    from[i] = nullptr, to[i] = nullptr, scales[i] = nullptr, position[i] = 0, bytes[i] = 0, is_value[i] = false;
    if (index >= plan.count) continue;
    const Item item = find_item(plan, static_cast<uint32_t>(index));
    const mo_kv_update_kernel_layer &layer = list.layers[item.side / 2];
    const mo_kv_update_side &side = layer.sides[item.side % 2];
    const Target target = find_target(args, layer.table, item);
    is_value[i] = item.side % 2 != 0;
    if (!target.place.is_there) continue;
    bytes[i] = side.cache.size * source_element;
    from[i] = static_cast<const char *>(side.source.data) +
              mo_kv_offset(side.source, item.row, item.head, item.token) * source_element;
    to[i] = static_cast<char *>(side.cache.stored.data) +
            mo_kv_offset(side.cache.stored, target.place.block, item.head, target.place.slot) * stored_element;
    if constexpr (Elements != 0) {
      if (side.cache.scale.data != nullptr) {
        scales[i] = static_cast<float *>(side.cache.scale.data) +
                    mo_kv_offset(side.cache.scale, target.place.block, item.head, target.place.slot);
      }
      if (args.turn.cosine != nullptr && !is_value[i]) {
        position[i] = mo_kv_position(args.turn, item.row, item.token, target.slot);
      }
    }
  }
  uint4 raw[kItems];
  if constexpr (Elements == 0) { /* heads longer than 32 vectors take several rounds */
    for (int at = 16 * part; at < plan.most_bytes; at += 16 * lanes) {
#pragma unroll
      for (int i = 0; i < kItems; ++i) {
        if (at < bytes[i]) raw[i] = mo_load16(from[i] + at);
      }
#pragma unroll
      for (int i = 0; i < kItems; ++i) {
        if (at < bytes[i]) mo_store16(to[i] + at, raw[i]);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      raw[i] = make_uint4(0, 0, 0, 0);
      if (16 * part < bytes[i]) raw[i] = mo_load16(from[i] + 16 * part);
    }
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const bool is_here = 16 * part < bytes[i];
      float values[Elements];
      mo_kv_unpack(raw[i], args.source_dtype, values);
      bool is_turned = false;
      if (args.turn.cosine != nullptr) {
        is_turned = mo_kv_turn_vector(args.turn, args.source_dtype, raw[i], is_here && !is_value[i], position[i], part, values);
      }
      if (args.stored_dtype == args.source_dtype) {
        if (is_here) mo_store16(to[i] + 16 * part, is_turned ? mo_kv_pack(values, args.source_dtype) : raw[i]);
        continue;
      }
      const mo_divisor &group = plan.group[is_value[i] ? 1 : 0];
      uint32_t place;
      const uint32_t which = mo_divide(static_cast<uint32_t>(part), group, &place);
      const float scale = mo_kv_scale_vector(values, args.stored_dtype, static_cast<int>(place),
                                             static_cast<int>(group.divisor), plan.most_group);
      if (!is_here) continue;
      if (place == 0) scales[i][which] = scale;
      mo_kv_store_codes(reinterpret_cast<uint8_t *>(to[i]) + Elements * part, args.stored_dtype, values, scale);
    }
  }
}

/* Heads that are no whole vectors. A warp takes one. */
template <int Layers>
__global__ void __launch_bounds__(kThreads, kBlocks)
    kv_update_kernel(const __grid_constant__ mo_kv_update_kernel_args args, const __grid_constant__ LayerList<Layers> list,
                     const __grid_constant__ Plan plan, int floats_per_warp) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const uint64_t index = static_cast<uint64_t>(blockIdx.x) * kWarps + static_cast<unsigned>(warp);
  if (index >= plan.count) return;
  const Item item = find_item(plan, static_cast<uint32_t>(index));
  const mo_kv_update_kernel_layer &layer = list.layers[item.side / 2];
  const mo_kv_update_side &side = layer.sides[item.side % 2];
  const Target target = find_target(args, layer.table, item);
  if (!target.place.is_there) return;
  float *values = mo_shared_memory<float>() + warp * floats_per_warp;
  const bool turns = item.side % 2 == 0 && args.turn.cosine != nullptr;
  mo_kv_write_head(side.source.data, args.source_dtype, mo_kv_offset(side.source, item.row, item.head, item.token), side.cache,
                   args.stored_dtype, target.place, item.head, turns ? &args.turn : nullptr,
                   turns ? mo_kv_position(args.turn, item.row, item.token, target.slot) : 0, values, lane);
}

/* What is gathered: from where to where. is_there false: zeros. */
struct Gathered {
  const char *from;
  char *to;
  const float *from_scales;
  float *to_scales;
  int size, groups;
  bool is_there;
};

__device__ __forceinline__ Gathered find_gathered(const mo_kv_gather_kernel_args &args, const Item &item) {
  const mo_kv_store &source = args.source[item.side], &destination = args.destination[item.side];
  const int64_t source_row = args.rows != nullptr ? args.rows[item.row * args.row_stride] : item.row;
  mo_kv_place place = {0, 0, false};
  if (source_row >= 0 && source_row < args.source_rows) {
    place = mo_kv_find_place(args.table, source_row, args.start + item.token);
  }
  Gathered result = {nullptr, nullptr, nullptr, nullptr, destination.size, source.groups, place.is_there};
  result.to = static_cast<char *>(destination.stored.data) +
              mo_kv_offset(destination.stored, item.row, item.head, item.token) * mo_kv_element_bytes(args.destination_dtype);
  if (destination.scale.data != nullptr) {
    result.to_scales =
        static_cast<float *>(destination.scale.data) + mo_kv_offset(destination.scale, item.row, item.head, item.token);
  }
  if (!place.is_there) return result;
  result.from = static_cast<const char *>(source.stored.data) +
                mo_kv_offset(source.stored, place.block, item.head, place.slot) * mo_kv_element_bytes(args.source_dtype);
  if (source.scale.data != nullptr) {
    result.from_scales =
        static_cast<const float *>(source.scale.data) + mo_kv_offset(source.scale, place.block, item.head, place.slot);
  }
  return result;
}

/* Elements: those of a vector at the destination, which are dequantised; 0: it is copied. */
template <int Elements>
__global__ void __launch_bounds__(kThreads, kBlocks)
    kv_gather_vector_kernel(const __grid_constant__ mo_kv_gather_kernel_args args, const __grid_constant__ Plan plan) {
  const int lanes = 1 << plan.lanes_shift, part = static_cast<int>(threadIdx.x) & (lanes - 1);
  const uint64_t first = (static_cast<uint64_t>(blockIdx.x) * kThreads + threadIdx.x) >> plan.lanes_shift;
  const int element = mo_kv_element_bytes(args.destination_dtype);
  Gathered items[kCopyItems];
  uint32_t sides[kCopyItems];
#pragma unroll
  for (int i = 0; i < kCopyItems; ++i) {
    const uint64_t index = first + static_cast<uint64_t>(i) * plan.stride;
    items[i] = {nullptr, nullptr, nullptr, nullptr, 0, 0, false}, sides[i] = 0;
    if (index >= plan.count) continue;
    const Item item = find_item(plan, static_cast<uint32_t>(index));
    items[i] = find_gathered(args, item), sides[i] = item.side;
  }
  for (int vector = part; 16 * vector < plan.most_bytes; vector += lanes) {
    uint4 raw[kCopyItems];
    uint2 codes[kCopyItems];
    float scales[kCopyItems];
#pragma unroll
    for (int i = 0; i < kCopyItems; ++i) {
      raw[i] = make_uint4(0, 0, 0, 0), codes[i] = make_uint2(0, 0), scales[i] = 0.0f;
      if (!items[i].is_there || 16 * vector >= items[i].size * element) continue;
      if constexpr (Elements == 0) {
        raw[i] = mo_load16(items[i].from + 16 * vector);
      } else {
        uint32_t place;
        codes[i] = mo_kv_load_codes<Elements>(reinterpret_cast<const uint8_t *>(items[i].from) + Elements * vector);
        scales[i] = items[i].from_scales[mo_divide(static_cast<uint32_t>(vector), plan.group[sides[i]], &place)];
      }
    }
#pragma unroll
    for (int i = 0; i < kCopyItems; ++i) {
      if (16 * vector >= items[i].size * element) continue;
      if constexpr (Elements != 0) {
        if (items[i].is_there) {
          raw[i] = mo_kv_dequantise<Elements>(codes[i], args.source_dtype, scales[i], args.destination_dtype);
        }
      }
      mo_store16(items[i].to + 16 * vector, raw[i]);
    }
  }
  if constexpr (Elements == 0) {
    if (args.destination[0].scale.data == nullptr) return;
    for (uint64_t index = first; index < plan.count; index += plan.stride) { /* found again: kept addresses are registers */
      const Gathered item = find_gathered(args, find_item(plan, static_cast<uint32_t>(index)));
      for (int group = part; group < item.groups; group += lanes) {
        item.to_scales[group] = item.is_there ? item.from_scales[group] : 0.0f;
      }
    }
  }
}

/* Heads that are no whole vectors. A warp takes one. */
__global__ void __launch_bounds__(kThreads, kBlocks)
    kv_gather_kernel(const __grid_constant__ mo_kv_gather_kernel_args args, const __grid_constant__ Plan plan) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const uint64_t index = static_cast<uint64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (index >= plan.count) return;
  const Gathered item = find_gathered(args, find_item(plan, static_cast<uint32_t>(index)));
  const int bytes = item.size * mo_kv_element_bytes(args.destination_dtype);
  for (int i = lane; item.to_scales != nullptr && i < item.groups; i += 32) {
    item.to_scales[i] = item.is_there ? item.from_scales[i] : 0.0f;
  }
  if (!item.is_there) {
    for (int i = lane; i < bytes; i += 32) item.to[i] = 0;
    return;
  }
  if (args.source_dtype == args.destination_dtype) {
    mo_kv_copy_bytes(item.to, item.from, bytes, lane);
    return;
  }
  const int width = item.size / item.groups;
  for (int i = lane; i < item.size; i += 32) {
    const float quotient = mo_kv_value(static_cast<uint8_t>(item.from[i]), args.source_dtype == MO_DTYPE_INT8);
    mo_store_one(item.to, args.destination_dtype, i, __fmul_rn(quotient, item.from_scales[i / width]));
  }
}

/* ---- Plans ---- */

int element_bytes(mo_dtype_t dtype) { return static_cast<int>(mo_dtype_bytes(dtype)); }

/* Whether every head begins at a multiple of `bytes`. */
bool is_aligned(const mo_kv_heads &heads, mo_dtype_t dtype, int bytes) {
  const int64_t element = element_bytes(dtype);
  return reinterpret_cast<uintptr_t>(heads.data) % static_cast<unsigned>(bytes) == 0 &&
         heads.strides[0] * element % bytes == 0 && heads.strides[1] * element % bytes == 0 &&
         heads.strides[2] * element % bytes == 0;
}

/* Whether heads consist of whole vectors of `elements` (0: copied ones) in the type `wide`, and groups of them too; `narrow`
 * is the type at the other end, whose part of a vector is one access. */
bool fits(const mo_kv_heads &heads, mo_dtype_t wide, const mo_kv_heads &others, mo_dtype_t narrow, int32_t size, int32_t groups,
          int elements) {
  if (size * element_bytes(wide) % 16 != 0 || !is_aligned(heads, wide, 16)) return false;
  if (!is_aligned(others, narrow, elements == 0 ? 16 : elements * element_bytes(narrow))) return false;
  return elements == 0 || groups == 0 || size / groups % elements == 0;
}

/* Vectors of a group, 1 where there are none. */
uint32_t group_vectors(int32_t size, int32_t groups, int elements) {
  return elements == 0 || groups == 0 ? 1 : static_cast<uint32_t>(size / groups / elements);
}

Plan make_plan(int elements, mo_dtype_t wide, const mo_kv_store &keys, const mo_kv_store &values, int64_t count, int32_t length,
               int32_t heads, int32_t batch) {
  Plan plan = {};
  plan.elements = elements;
  plan.count = static_cast<uint32_t>(count);
  plan.length = mo_make_divisor(static_cast<uint32_t>(length));
  plan.heads = mo_make_divisor(static_cast<uint32_t>(heads));
  plan.batch = mo_make_divisor(static_cast<uint32_t>(batch));
  plan.group[0] = mo_make_divisor(group_vectors(keys.size, keys.groups, elements));
  plan.group[1] = mo_make_divisor(group_vectors(values.size, values.groups, elements));
  plan.most_group = static_cast<int>(plan.group[plan.group[0].divisor < plan.group[1].divisor ? 1 : 0].divisor);
  plan.most_bytes = (keys.size > values.size ? keys.size : values.size) * element_bytes(wide);
  while (plan.lanes_shift < 5 && 16 << plan.lanes_shift < plan.most_bytes) ++plan.lanes_shift;
  return plan;
}

/* Blocks for the plan's items, at most `items` per lane; sets the stride between those. */
dim3 lay_out(Plan &plan, int items) {
  const int64_t heads_of_warp = 32 >> plan.lanes_shift, one_each = (plan.count + heads_of_warp - 1) / heads_of_warp;
  int64_t warps = (one_each + items - 1) / items;
  if (warps < kEnoughWarps) warps = one_each < kEnoughWarps ? one_each : kEnoughWarps;
  const int64_t blocks = (warps + kWarps - 1) / kWarps;
  plan.stride = static_cast<uint32_t>(blocks * kWarps * heads_of_warp);
  return dim3(static_cast<unsigned>(blocks));
}

/* A warp per head. */
dim3 warps(uint32_t count) { return dim3((count - 1) / kWarps + 1); }

/* Elements of a vector for turned or quantised heads, 0 for copied ones, -1 where heads are no whole vectors. */
int update_elements(const mo_kv_update_kernel_args &args, const mo_kv_update_kernel_layer *layers, int32_t layer_count) {
  const mo_kv_turn &turn = args.turn;
  const bool turns = turn.cosine != nullptr;
  const int elements = turns || args.stored_dtype != args.source_dtype ? 16 / element_bytes(args.source_dtype) : 0;
  if (turns && (turn.pairs % (turn.interleaved ? elements / 2 : elements) != 0 || !mo_is_aligned16(turn.cosine) ||
                !mo_is_aligned16(turn.sine))) {
    return -1;
  }
  for (int32_t i = 0; i < layer_count; ++i) {
    for (const mo_kv_update_side &side : layers[i].sides) {
      if (elements != 0 && side.cache.size > 32 * elements) return -1;
      if (!fits(side.source, args.source_dtype, side.cache.stored, args.stored_dtype, side.cache.size, side.cache.groups,
                elements)) {
        return -1;
      }
    }
  }
  return elements;
}

int gather_elements(const mo_kv_gather_kernel_args &args) {
  const int elements = args.source_dtype == args.destination_dtype ? 0 : 16 / element_bytes(args.destination_dtype);
  for (int i = 0; i < 2; ++i) {
    if (!fits(args.destination[i].stored, args.destination_dtype, args.source[i].stored, args.source_dtype, args.source[i].size,
              args.source[i].groups, elements)) {
      return -1;
    }
  }
  return elements;
}

template <int Layers>
cudaError_t launch_update(const mo_kv_update_kernel_args &args, const mo_kv_update_kernel_layer *layers, int32_t layer_count,
                          Plan plan, cudaStream_t stream) {
  LayerList<Layers> list = {};
  memcpy(list.layers, layers, sizeof *layers * static_cast<size_t>(layer_count));
  if (plan.elements >= 0) {
    const dim3 grid = lay_out(plan, plan.elements == 0 ? kCopyItems : kWorkItems), block(kThreads);
    if (plan.elements == 0) return MO_LAUNCH((kv_update_vector_kernel<Layers, 0>), grid, block, 0, stream, args, list, plan);
    if (plan.elements == 4) return MO_LAUNCH((kv_update_vector_kernel<Layers, 4>), grid, block, 0, stream, args, list, plan);
    return MO_LAUNCH((kv_update_vector_kernel<Layers, 8>), grid, block, 0, stream, args, list, plan);
  }
  const mo_kv_update_side *first = layers[0].sides;
  const int size = first[0].cache.size > first[1].cache.size ? first[0].cache.size : first[1].cache.size;
  const bool staged = args.turn.cosine != nullptr || first[0].cache.scale.data != nullptr;
  const size_t shared = staged ? sizeof(float) * kWarps * static_cast<size_t>(size) : 0;
  return MO_LAUNCH(kv_update_kernel<Layers>, warps(plan.count), dim3(kThreads), shared, stream, args, list, plan, size);
}

}  // namespace

cudaError_t mo_launch_kv_update(const mo_kv_update_kernel_args *args, const mo_kv_update_kernel_layer *layers,
                                int32_t layer_count, cudaStream_t stream) {
  const int64_t count = int64_t{2} * layer_count * args->batch * args->heads * args->length;
  if (count == 0 || (args->cumulative != nullptr && args->rows == 0)) return cudaSuccess;
  const mo_kv_update_side *first = layers[0].sides;
  const Plan plan = make_plan(update_elements(*args, layers, layer_count), args->source_dtype, first[0].cache, first[1].cache,
                              count, args->length, args->heads, args->batch);
  if (layer_count <= 1) return launch_update<1>(*args, layers, layer_count, plan, stream);
  if (layer_count <= 16) return launch_update<16>(*args, layers, layer_count, plan, stream);
  if (layer_count <= 48) return launch_update<48>(*args, layers, layer_count, plan, stream);
  return launch_update<MO_KV_LAYERS_PER_LAUNCH>(*args, layers, layer_count, plan, stream);
}

cudaError_t mo_launch_kv_gather(const mo_kv_gather_kernel_args *args, cudaStream_t stream) {
  const int64_t count = int64_t{2} * args->batch * args->heads * args->length;
  if (count == 0) return cudaSuccess;
  Plan plan = make_plan(gather_elements(*args), args->destination_dtype, args->source[0], args->source[1], count, args->length,
                        args->heads, args->batch);
  const dim3 block(kThreads);
  if (plan.elements < 0) return MO_LAUNCH(kv_gather_kernel, warps(plan.count), block, 0, stream, *args, plan);
  const dim3 grid = lay_out(plan, kCopyItems);
  if (plan.elements == 0) return MO_LAUNCH(kv_gather_vector_kernel<0>, grid, block, 0, stream, *args, plan);
  if (plan.elements == 4) return MO_LAUNCH(kv_gather_vector_kernel<4>, grid, block, 0, stream, *args, plan);
  return MO_LAUNCH(kv_gather_vector_kernel<8>, grid, block, 0, stream, *args, plan);
}
