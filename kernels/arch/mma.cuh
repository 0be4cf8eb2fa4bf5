/* kernels/arch/mma.cuh - warp-wide matrix instructions of sm_80: ldmatrix and mma.sync m16n8k16 with float32 sums.
 *
 * Fragments (lane = 4 * g + t, g = 0..7, t = 0..3), each register two 16-bit values, the lower column (or row of B) in the low half:
 *   A 16x16 row-major:  a[0] = (g, 2t..), a[1] = (g + 8, 2t..), a[2] = (g, 2t + 8..), a[3] = (g + 8, 2t + 8..)
 *   B 16x8  (k x n):    b[0] = (k = 2t.., n = g), b[1] = (k = 2t + 8.., n = g)
 *   C 16x8  float32:    c[0], c[1] = (g, 2t), (g, 2t + 1); c[2], c[3] = (g + 8, 2t), (g + 8, 2t + 1)
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_ARCH_MMA_CUH
#define MO_KERNELS_ARCH_MMA_CUH

#include "kernels/arch/numeric.cuh"

/* Four 8x8 matrices of 16-bit values: lane 8 * i + r gives the address of row r of matrix i (16 bytes, aligned); lane 4 * g + t
 * gets (g, 2t), (g, 2t + 1) of matrix i in result[i]. With Transposed: (2t, g), (2t + 1, g). */
template <bool Transposed>
__device__ __forceinline__ void mo_load_matrix4(uint32_t (&result)[4], const void *row) {
#if defined(MO_SIMULATED_DEVICE)
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) throw ::simulated::Fault{"ldmatrix with a row that is not aligned to 16 bytes"};
  const unsigned char *rows = ::simulated::collective("ldmatrix", 0xFFFFFFFFu, row, 16);
  const int g = ::simulated::lane() / 4, t = ::simulated::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    uint16_t pair[2];
    for (int half = 0; half < 2; ++half) {
      const int matrix_row = Transposed ? 2 * t + half : g, column = Transposed ? g : 2 * t + half;
      std::memcpy(&pair[half], rows + ::simulated::kCollectiveBytes * (8 * i + matrix_row) + 2 * column, 2);
    }
    result[i] = static_cast<uint32_t>(pair[0]) | static_cast<uint32_t>(pair[1]) << 16;
  }
#else
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(result[0]), "=r"(result[1]), "=r"(result[2]), "=r"(result[3])
                 : "r"(address)
                 : "memory");
  }
#endif
}

/* c += a * b for one warp. T is mo_half or mo_bfloat16. */
template <typename T>
__device__ __forceinline__ void mo_mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(MO_SIMULATED_DEVICE)
  uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const unsigned char *all = ::simulated::collective("mma.m16n8k16", 0xFFFFFFFFu, mine, sizeof mine);
  auto value = [all](int lane, int reg, int half) {
    T x;
    std::memcpy(&x.bits, all + ::simulated::kCollectiveBytes * lane + 4 * reg + 2 * half, 2);
    return mo_to_float(x);
  };
  const int g = ::simulated::lane() / 4, t = ::simulated::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + (i >= 2 ? 8 : 0), column = 2 * t + i % 2;
    float x[16], y[16];
    for (int k = 0; k < 16; ++k) {
      x[k] = value(4 * (row % 8) + k % 8 / 2, (row >= 8 ? 1 : 0) + (k >= 8 ? 2 : 0), k % 2);
      y[k] = value(4 * column + k % 8 / 2, 4 + (k >= 8 ? 1 : 0), k % 2);
    }
    c[i] = ::simulated::matrix_sum(c[i], x, y);
  }
#else
  if constexpr (sizeof(T) == 2 && T::is_bfloat16) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
#endif
}

#endif
