/* kernels/cast.cu - a tensor in another dtype.
 *
 * Bytes: every element read once and written once: N (e_source + e_destination).
 *
 * Shape of parallelism: a unit is 16 bytes of the wider type and as many elements of the narrower one, or a single element
 * where addresses and strides allow no more. The lanes of a warp have neighbouring units, so that on either side one
 * instruction covers neighbouring bytes: 512 of the wider type, 128 or more of the narrower (64 between int64 and one byte; the
 * warp's next instruction has the other half of the line). Units of 16 bytes of the narrower type would leave gaps between the
 * lanes of every access to the wider one. A thread has four units under way; rows need not be multiples of a unit.
 *
 * A kernel knows the sizes of both types; which types they are is one branch that all threads take alike.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cast.h"

#include <type_traits>

#include "host/rules/kv_quantise.h"
#include "kernels/arch/launch.cuh"
#include "kernels/arch/memory.cuh"
#include "kernels/arch/numeric.cuh"
#include "kernels/common/strided.cuh"
#include "kernels/kv/code.cuh"

namespace {

constexpr int kThreads = 128;
constexpr int kUnits = 4; /* 64 bytes of loads per thread: what hides the latency of memory at a full multiprocessor */

struct Bool {
  uint8_t bits;
};

template <typename T>
constexpr bool is_floating =
    std::is_same_v<T, float> || std::is_same_v<T, mo_half> || std::is_same_v<T, mo_bfloat16> || std::is_same_v<T, mo_e4m3_code>;

/* ---- One element ---- */

template <typename T>
__device__ __forceinline__ T from_bits(uint64_t bits) {
  if constexpr (std::is_same_v<T, float>) return __uint_as_float(static_cast<uint32_t>(bits));
  else if constexpr (std::is_integral_v<T>) return static_cast<T>(bits);
  else return T{static_cast<decltype(T::bits)>(bits)};
}

template <typename T>
__device__ __forceinline__ uint64_t to_bits(T x) {
  if constexpr (std::is_same_v<T, float>) return __float_as_uint(x);
  else if constexpr (std::is_integral_v<T>) return static_cast<std::make_unsigned_t<T>>(x);
  else return x.bits;
}

template <typename T>
__device__ __forceinline__ float as_float(T x) {
  if constexpr (std::is_same_v<T, mo_e4m3_code>) return mo_kv_value(x);
  else if constexpr (is_floating<T>) return mo_to_float(x);
  else if constexpr (std::is_same_v<T, Bool>) return x.bits != 0 ? 1.0f : 0.0f;
  else return static_cast<float>(x);
}

/* Towards zero, the nearest end of the type past it, NaN to 0: written out, because C++ leaves it open. */
template <typename T>
__device__ __forceinline__ T saturate(float x) {
  constexpr T largest = static_cast<T>(~UINT64_C(0) >> (64 - 8 * sizeof(T) + std::is_signed_v<T>));
  constexpr T lowest = std::is_signed_v<T> ? static_cast<T>(-largest - 1) : 0;
  constexpr float past = 2.0f * static_cast<float>(largest / 2 + 1); /* a power of two */
  if (!(x == x)) return 0;
  if (x >= past) return largest;
  if (x <= static_cast<float>(lowest)) return lowest;
  if constexpr (sizeof(T) == 8) return static_cast<T>(x);
  else return static_cast<T>(static_cast<int32_t>(x));
}

/* NaN stays. */
__device__ __forceinline__ float limited(float x, float limit) {
  if (limit == 0.0f) return x;
  return x > limit ? limit : x < -limit ? -limit : x;
}

template <typename To, typename From>
__device__ __forceinline__ To convert(From x, float limit) {
  if constexpr (std::is_same_v<To, mo_e4m3_code>) return To{mo_cast_to_e4m3(limited(as_float(x), limit))};
  else if constexpr (is_floating<To>) return mo_from_float<To>(limited(as_float(x), limit));
  else if constexpr (std::is_same_v<To, Bool> && is_floating<From>) return To{as_float(x) != 0.0f};
  else if constexpr (std::is_same_v<To, Bool>) return To{to_bits(x) != 0};
  else if constexpr (is_floating<From>) return saturate<To>(as_float(x));
  else if constexpr (std::is_same_v<From, Bool>) return static_cast<To>(x.bits != 0);
  else return static_cast<To>(x); /* modulo 2^n */
}

/* Calls `visit` with an element of the type. */
template <int Bytes, typename Visit>
__device__ __forceinline__ void with_type(mo_dtype_t dtype, Visit visit) {
  if constexpr (Bytes == 8) {
    visit(int64_t{});
  } else if constexpr (Bytes == 4) {
    if (dtype == MO_DTYPE_FLOAT32) visit(float{});
    else visit(int32_t{});
  } else if constexpr (Bytes == 2) {
    if (dtype == MO_DTYPE_FLOAT16) visit(mo_half{});
    else visit(mo_bfloat16{});
  } else {
    if (dtype == MO_DTYPE_FLOAT8_E4M3) visit(mo_e4m3_code{});
    else if (dtype == MO_DTYPE_INT8) visit(int8_t{});
    else if (dtype == MO_DTYPE_UINT8) visit(uint8_t{});
    else visit(Bool{});
  }
}

/* ---- A unit: N elements of `Bytes` bytes as words of four ---- */

template <int Bytes, int N>
constexpr int word_count = Bytes *N < 4 ? 1 : Bytes *N / 4;

template <int Bytes, int Words>
__device__ __forceinline__ uint64_t get_bits(const uint32_t (&words)[Words], int i) {
  if constexpr (Bytes == 8) return words[2 * i] | static_cast<uint64_t>(words[2 * i + 1]) << 32;
  else if constexpr (Bytes == 4) return words[i];
  else return words[i * Bytes / 4] >> 8 * Bytes * (i % (4 / Bytes)) & ((1u << 8 * Bytes) - 1);
}

/* The bits of element i were 0. */
template <int Bytes, int Words>
__device__ __forceinline__ void put_bits(uint32_t (&words)[Words], int i, uint64_t bits) {
  if constexpr (Bytes == 8) {
    words[2 * i] = static_cast<uint32_t>(bits);
    words[2 * i + 1] = static_cast<uint32_t>(bits >> 32);
  } else if constexpr (Bytes == 4) {
    words[i] = static_cast<uint32_t>(bits);
  } else {
    words[i * Bytes / 4] |= static_cast<uint32_t>(bits) << 8 * Bytes * (i % (4 / Bytes));
  }
}

template <int Bytes>
using Element = std::conditional_t<Bytes == 8, uint64_t,
                                   std::conditional_t<Bytes == 4, uint32_t, std::conditional_t<Bytes == 2, uint16_t, uint8_t>>>;

template <int Bytes, int N>
__device__ __forceinline__ void load_unit(const void *base, int64_t offset, uint32_t (&words)[word_count<Bytes, N>]) {
  const auto *address = static_cast<const Element<Bytes> *>(base) + offset;
  if constexpr (Bytes * N == 16) {
    const uint4 raw = mo_load16(address);
    words[0] = raw.x, words[1] = raw.y, words[2] = raw.z, words[3] = raw.w;
  } else if constexpr (Bytes * N == 8) {
    const uint2 raw = *reinterpret_cast<const uint2 *>(address);
    words[0] = raw.x, words[1] = raw.y;
  } else {
    words[0] = *reinterpret_cast<const Element<Bytes * N> *>(address);
  }
}

/* The first n elements of a unit whose words are 0. */
template <int Bytes, int N>
__device__ __forceinline__ void load_part(const void *base, int64_t offset, int n, uint32_t (&words)[word_count<Bytes, N>]) {
  const auto *address = static_cast<const Element<Bytes> *>(base) + offset;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (i < n) put_bits<Bytes>(words, i, address[i]);
  }
}

template <int Bytes, int N>
__device__ __forceinline__ void store_unit(void *base, int64_t offset, int n, const uint32_t (&words)[word_count<Bytes, N>]) {
  auto *address = static_cast<Element<Bytes> *>(base) + offset;
  if (n < N) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      if (i < n) address[i] = static_cast<Element<Bytes>>(get_bits<Bytes>(words, i));
    }
  } else if constexpr (Bytes * N == 16) {
    mo_store16_global(address, make_uint4(words[0], words[1], words[2], words[3]));
  } else if constexpr (Bytes * N == 8) {
    mo_store8_global(address, make_uint2(words[0], words[1]));
  } else {
    *reinterpret_cast<Element<Bytes * N> *>(address) = static_cast<Element<Bytes * N>>(words[0]);
  }
}

/* ---- The kernel ---- */

/* grid: warps over runs of 32 * kUnits units; row_units: of the innermost dimension, the last of which may be a part. */
template <int SourceBytes, int DestinationBytes, int N>
__global__ void __launch_bounds__(kThreads)
    cast_kernel(const __grid_constant__ mo_cast_kernel_args args, int64_t row_units, int64_t unit_count) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t first = thread / 32 * 32 * kUnits + thread % 32;
  uint32_t read[kUnits][word_count<SourceBytes, N>] = {};
  int64_t to[kUnits] = {}, from[kUnits] = {};
  int valid[kUnits];
#pragma unroll
  for (int k = 0; k < kUnits; ++k) {
    const int64_t index = first + 32 * k;
    valid[k] = 0;
    if (index >= unit_count) continue;
    uint64_t row = static_cast<uint64_t>(index);
    const int64_t unit = args.shape.rank > 1 ? mo_split_index(row, row_units) : index;
    mo_strided_row(args.shape, row, to[k], from[k]);
    to[k] += unit * (N > 1 ? N : args.shape.destination[0]);
    from[k] += unit * (N > 1 ? N : args.shape.source[0]);
    const int64_t left = args.shape.extents[0] - unit * N;
    valid[k] = left < N ? static_cast<int>(left) : N;
  }
  /* Whole units first, one load behind the other; what is done with the few that are not must not come between them. */
#pragma unroll
  for (int k = 0; k < kUnits; ++k) {
    if (valid[k] == N) load_unit<SourceBytes, N>(args.source, from[k], read[k]);
  }
#pragma unroll
  for (int k = 0; k < kUnits; ++k) mo_hold(read[k]);
  if constexpr (N > 1) {
#pragma unroll
    for (int k = 0; k < kUnits; ++k) {
      if (valid[k] > 0 && valid[k] < N) load_part<SourceBytes, N>(args.source, from[k], valid[k], read[k]);
    }
  }
  uint32_t written[kUnits][word_count<DestinationBytes, N>] = {};
  with_type<SourceBytes>(args.source_dtype, [&](auto source) {
    with_type<DestinationBytes>(args.destination_dtype, [&](auto destination) {
      using From = decltype(source);
      using To = decltype(destination);
#pragma unroll
      for (int k = 0; k < kUnits; ++k) {
        if (valid[k] == 0) continue;
#pragma unroll
        for (int i = 0; i < N; ++i) {
          const From x = from_bits<From>(get_bits<SourceBytes>(read[k], i));
          put_bits<DestinationBytes>(written[k], i, to_bits(convert<To>(x, args.limit)));
        }
      }
    });
  });
#pragma unroll
  for (int k = 0; k < kUnits; ++k) {
    if (valid[k] > 0) store_unit<DestinationBytes, N>(args.destination, to[k], valid[k], written[k]);
  }
}

/* ---- Launch ---- */

template <int SourceBytes, int DestinationBytes, int N>
cudaError_t launch_width(const mo_cast_kernel_args &args, cudaStream_t stream) {
  const int64_t row_units = (args.shape.extents[0] + N - 1) / N;
  int64_t units = row_units;
  for (int32_t d = 1; d < args.shape.rank; ++d) units *= args.shape.extents[d];
  const dim3 grid(static_cast<unsigned>((units + kThreads * kUnits - 1) / (kThreads * kUnits)));
  return MO_LAUNCH((cast_kernel<SourceBytes, DestinationBytes, N>), grid, dim3(kThreads), 0, stream, args, row_units, units);
}

template <int SourceBytes, int DestinationBytes>
cudaError_t launch_sizes(const mo_cast_kernel_args &args, cudaStream_t stream) {
  constexpr int N = 16 / (SourceBytes > DestinationBytes ? SourceBytes : DestinationBytes);
  const mo_strided_shape &shape = args.shape;
  bool units = shape.extents[0] >= N && shape.destination[0] == 1 && shape.source[0] == 1 &&
               reinterpret_cast<uintptr_t>(args.source) % (N * SourceBytes) == 0 &&
               reinterpret_cast<uintptr_t>(args.destination) % (N * DestinationBytes) == 0;
  for (int32_t d = 1; d < shape.rank; ++d) units = units && (shape.destination[d] | shape.source[d]) % N == 0;
  return units ? launch_width<SourceBytes, DestinationBytes, N>(args, stream)
               : launch_width<SourceBytes, DestinationBytes, 1>(args, stream);
}

template <int SourceBytes>
cudaError_t launch_source(const mo_cast_kernel_args &args, cudaStream_t stream) {
  const size_t bytes = mo_dtype_bytes(args.destination_dtype);
  if (bytes == 8) return launch_sizes<SourceBytes, 8>(args, stream);
  if (bytes == 4) return launch_sizes<SourceBytes, 4>(args, stream);
  if (bytes == 2) return launch_sizes<SourceBytes, 2>(args, stream);
  return launch_sizes<SourceBytes, 1>(args, stream);
}

}  // namespace

cudaError_t mo_launch_cast(const mo_cast_kernel_args *args, cudaStream_t stream) {
  const size_t bytes = mo_dtype_bytes(args->source_dtype);
  if (bytes == 8) return launch_source<8>(*args, stream);
  if (bytes == 4) return launch_source<4>(*args, stream);
  if (bytes == 2) return launch_source<2>(*args, stream);
  return launch_source<1>(*args, stream);
}
