/* tests/rules/kv_quantise_test.cc - a quotient by the scale's reciprocal is stored as the quotient itself.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/rules/kv_quantise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace {

void ExpectTheSame(float value, float scale) {
  const float quotient = mo_kv_quotient(value, scale), other = mo_kv_quotient_by(value, scale, mo_kv_reciprocal(scale));
  ASSERT_EQ(mo_kv_to_int8(quotient), mo_kv_to_int8(other)) << value << " / " << scale;
  ASSERT_EQ(mo_kv_to_e4m3(quotient), mo_kv_to_e4m3(other)) << value << " / " << scale;
  if (std::fabs(quotient) >= 0x1p-11f) {
    ASSERT_EQ(mo_kv_bits(quotient), mo_kv_bits(other)) << value << " / " << scale;
  }
}

/* Fractions of all kinds, and those near a power of two, where rounding is hardest; all exponents a scale allows. */
TEST(KvQuantise, QuotientsByTheReciprocal) {
  std::mt19937_64 random(20261125);
  const auto fraction = [&random] {
    const auto bits = static_cast<uint32_t>(random()) & 0x7FFFFFu;
    switch (random() % 4) {
      case 0:
        return bits | 0x7FFF00u;
      case 1:
        return bits & 0xFFu;
      case 2:
        return bits & 0x7F0000u; /* bfloat16 */
      default:
        return bits;
    }
  };
  for (int i = 0; i < 3000000; ++i) {
    const float scale = mo_kv_float(static_cast<uint32_t>(1 + random() % 254) << 23 | fraction());
    const float mantissa = mo_kv_float(127u << 23 | fraction());
    const float value = std::ldexp(mantissa * scale, static_cast<int>(random() % 24) - 15);
    ExpectTheSame(random() % 2 == 0 ? value : -value, scale);
  }
}

TEST(KvQuantise, TiesAndEnds) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float scales[] = {0.0f, 0x1p-149f, 0x1p-126f, 0x1.fffffep-81f, 0x1p-80f, 1.0f / 127,
                          1.0f, 3.0f,      0x1p100f,  0x1.8p100f,      0x1p127f, infinity};
  for (const float scale : scales) {
    for (const float code :
         {0.0f, 0x1p-149f, 0x1p-12f, 0x1p-10f, 0x1.8p-9f, 0.5f, 1.5f, 2.5f, 126.5f, 127.0f, 232.0f, 448.0f}) {
      ExpectTheSame(code * scale, scale);
      ExpectTheSame(-code * scale, scale);
    }
    ExpectTheSame(std::numeric_limits<float>::quiet_NaN(), scale);
  }
  ExpectTheSame(infinity, infinity); /* of a group with an infinite number the scale is, too */
}

}  // namespace
