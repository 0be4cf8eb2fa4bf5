/* tests/core/dtype_test.cc - names, sizes, and conversions against exhaustive or independent references.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "modelout/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace {

const mo_dtype_t kAll[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_INT8,
                           MO_DTYPE_INT32,   MO_DTYPE_INT64,   MO_DTYPE_UINT8,    MO_DTYPE_BOOL};

TEST(Dtype, TableIsNumberedWithoutGaps) {
  int expected = 1;
  for (mo_dtype_t dtype : kAll) {
    EXPECT_EQ(static_cast<int>(dtype), expected++);
    EXPECT_GT(mo_dtype_bytes(dtype), 0u);
    EXPECT_EQ(mo_dtype_from_name(mo_dtype_name(dtype)), dtype);
    EXPECT_EQ(mo_dtype_from_name(mo_dtype_safetensors_name(dtype)), dtype);
  }
  EXPECT_EQ(mo_dtype_bytes(MO_DTYPE_NONE), 0u);
  EXPECT_EQ(mo_dtype_bytes(static_cast<mo_dtype_t>(expected)), 0u);
  EXPECT_STREQ(mo_dtype_name(static_cast<mo_dtype_t>(15)), "none");
  EXPECT_EQ(mo_dtype_from_name("float64"), MO_DTYPE_NONE);
  EXPECT_EQ(mo_dtype_from_name(nullptr), MO_DTYPE_NONE);
  EXPECT_EQ(mo_dtype_from_name("bf16"), MO_DTYPE_BFLOAT16);
}

/* Value of a small float format, straight from its definition. NaN where the format says so. */
double small_float(uint32_t bits, int exponent_bits, int fraction_bits, bool has_infinity) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t fraction = bits & ((1u << fraction_bits) - 1);
  const uint32_t exponent = (bits >> fraction_bits) & ((1u << exponent_bits) - 1);
  const double sign = (bits >> (exponent_bits + fraction_bits)) & 1 ? -1 : 1;
  const uint32_t top = (1u << exponent_bits) - 1;
  if (has_infinity && exponent == top) return fraction == 0 ? sign * INFINITY : NAN;
  if (!has_infinity && exponent == top && fraction == (1u << fraction_bits) - 1) return NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp(1.0 + std::ldexp(fraction, -fraction_bits), static_cast<int>(exponent) - bias);
}

struct Format {
  mo_dtype_t dtype;
  int exponent_bits, fraction_bits;
  bool has_infinity;
};
const Format kFormats[] = {
    {MO_DTYPE_FLOAT16, 5, 10, true}, {MO_DTYPE_BFLOAT16, 8, 7, true}, {MO_DTYPE_FLOAT8_E4M3, 4, 3, false}};

uint32_t load(const void *p, size_t bytes) {
  uint32_t bits = 0;
  std::memcpy(&bits, p, bytes);
  return bits;
}

TEST(Dtype, EveryPatternOfTheSmallFormatsWidensExactlyAndComesBack) {
  for (const Format &format : kFormats) {
    const size_t bytes = mo_dtype_bytes(format.dtype);
    for (uint32_t bits = 0; bits < (1u << (8 * bytes)); ++bits) {
      float wide;
      ASSERT_EQ(mo_dtype_convert(&wide, MO_DTYPE_FLOAT32, &bits, format.dtype, 1), MO_STATUS_OK);
      const double expected = small_float(bits, format.exponent_bits, format.fraction_bits, format.has_infinity);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(wide)) << mo_dtype_name(format.dtype) << " " << bits;
        continue;
      }
      ASSERT_EQ(static_cast<double>(wide), expected) << mo_dtype_name(format.dtype) << " " << bits;
      uint32_t back = 0;
      ASSERT_EQ(mo_dtype_convert(&back, format.dtype, &wide, MO_DTYPE_FLOAT32, 1), MO_STATUS_OK);
      ASSERT_EQ(back, bits) << mo_dtype_name(format.dtype);
    }
  }
}

/* Narrowing must give the nearest value, the even pattern on ties: checked against the two neighbours. */
TEST(Dtype, NarrowingRoundsToNearestEven) {
  std::mt19937 random(7);
  for (const Format &format : kFormats) {
    const size_t bytes = mo_dtype_bytes(format.dtype);
    const uint32_t largest = format.has_infinity ? (((1u << format.exponent_bits) - 1) << format.fraction_bits) - 1
                                                 : (1u << (format.exponent_bits + format.fraction_bits)) - 2;
    for (int trial = 0; trial < 200000; ++trial) {
      const uint32_t low = random() % largest; /* a pattern and its successor, both finite */
      const double a = small_float(low, format.exponent_bits, format.fraction_bits, format.has_infinity);
      const double b = small_float(low + 1, format.exponent_bits, format.fraction_bits, format.has_infinity);
      const bool tie = trial % 4 == 0;
      const double t = tie ? 0.5 : std::generate_canonical<double, 24>(random);
      const float x = static_cast<float>(a + (b - a) * t);
      uint32_t got = 0;
      ASSERT_EQ(mo_dtype_convert(&got, format.dtype, &x, MO_DTYPE_FLOAT32, 1), MO_STATUS_OK);
      const double below = x - a, above = b - x;
      const uint32_t expected = below < above ? low : below > above ? low + 1 : (low % 2 == 0 ? low : low + 1);
      ASSERT_EQ(load(&got, bytes), expected) << mo_dtype_name(format.dtype) << " " << x;
      const float negative = -x;
      ASSERT_EQ(mo_dtype_convert(&got, format.dtype, &negative, MO_DTYPE_FLOAT32, 1), MO_STATUS_OK);
      ASSERT_EQ(load(&got, bytes), expected | 1u << (8 * bytes - 1));
    }
  }
}

TEST(Dtype, OverflowGoesToInfinityOrNan) {
  const float huge[] = {65519.9f, 65520.0f, 3.4e38f, INFINITY, -INFINITY};
  uint16_t half[5];
  ASSERT_EQ(mo_dtype_convert(half, MO_DTYPE_FLOAT16, huge, MO_DTYPE_FLOAT32, 5), MO_STATUS_OK);
  EXPECT_EQ(half[0], 0x7BFF);
  EXPECT_EQ(half[1], 0x7C00);
  EXPECT_EQ(half[2], 0x7C00);
  EXPECT_EQ(half[4], 0xFC00);
  const float around[] = {448.0f, 464.0f, 464.1f, -INFINITY, NAN}; /* 464: the tie, to even */
  uint8_t byte[5];
  ASSERT_EQ(mo_dtype_convert(byte, MO_DTYPE_FLOAT8_E4M3, around, MO_DTYPE_FLOAT32, 5), MO_STATUS_OK);
  EXPECT_EQ(byte[0], 0x7E);
  EXPECT_EQ(byte[1], 0x7E);
  EXPECT_EQ(byte[2], 0x7F);
  EXPECT_EQ(byte[3], 0xFF);
  EXPECT_EQ(byte[4] & 0x7F, 0x7F);
}

TEST(Dtype, IntegersConvertExactlyOrNotAtAll) {
  const int64_t values[] = {-128, 0, 127, 1};
  int8_t narrow[4];
  ASSERT_EQ(mo_dtype_convert(narrow, MO_DTYPE_INT8, values, MO_DTYPE_INT64, 4), MO_STATUS_OK);
  EXPECT_EQ(narrow[0], -128);
  const int64_t too_large[] = {5, 128};
  narrow[0] = 99;
  EXPECT_EQ(mo_dtype_convert(narrow, MO_DTYPE_INT8, too_large, MO_DTYPE_INT64, 2), MO_STATUS_VALUE_ERROR);
  EXPECT_EQ(narrow[0], 99) << "a failed call changes nothing";
  uint8_t flags[4];
  ASSERT_EQ(mo_dtype_convert(flags, MO_DTYPE_BOOL, values, MO_DTYPE_INT64, 4), MO_STATUS_OK);
  EXPECT_EQ(flags[0], 1);
  EXPECT_EQ(flags[1], 0);
  float real[4];
  ASSERT_EQ(mo_dtype_convert(real, MO_DTYPE_FLOAT32, values, MO_DTYPE_INT64, 4), MO_STATUS_OK);
  EXPECT_EQ(real[0], -128.0f);
  EXPECT_EQ(mo_dtype_convert(narrow, MO_DTYPE_INT8, real, MO_DTYPE_FLOAT32, 1), MO_STATUS_UNSUPPORTED);
  EXPECT_EQ(mo_dtype_convert(real, MO_DTYPE_NONE, real, MO_DTYPE_FLOAT32, 1), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_dtype_convert(real, MO_DTYPE_FLOAT32, values, MO_DTYPE_INT64, -1), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_dtype_convert(nullptr, MO_DTYPE_FLOAT32, nullptr, MO_DTYPE_INT64, 0), MO_STATUS_OK);
}

}  // namespace
