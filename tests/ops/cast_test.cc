/* tests/ops/cast_test.cc - the cast between all dtypes beside a computation in double and exact integers.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <cstring>
#include <limits>

#include "tests/ops/cast_shim.h"
#include "tests/ops/op_test.h"

namespace {

constexpr mo_dtype_t kDtypes[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_INT8,
                                  MO_DTYPE_INT32,   MO_DTYPE_INT64,   MO_DTYPE_UINT8,    MO_DTYPE_BOOL};

/* ---- The reference: one element as bits ---- */

struct Format {
  int exponent_bits, fraction_bits;
  bool has_infinity;
};

const Format *format_of(mo_dtype_t dtype) {
  static const Format float32 = {8, 23, true}, float16 = {5, 10, true}, bfloat16 = {8, 7, true}, e4m3 = {4, 3, false};
  return dtype == MO_DTYPE_FLOAT32       ? &float32
         : dtype == MO_DTYPE_FLOAT16     ? &float16
         : dtype == MO_DTYPE_BFLOAT16    ? &bfloat16
         : dtype == MO_DTYPE_FLOAT8_E4M3 ? &e4m3
                                         : nullptr;
}

/* What IEEE 754 (and for e4m3 the OCP format) says these bits are. */
double value_of(const Format &format, uint64_t bits) {
  const int all_ones = (1 << format.exponent_bits) - 1, bias = all_ones / 2;
  const int exponent = static_cast<int>(bits >> format.fraction_bits) & all_ones;
  const uint64_t fraction = bits & ((UINT64_C(1) << format.fraction_bits) - 1);
  const double sign = bits >> (format.exponent_bits + format.fraction_bits) & 1 ? -1.0 : 1.0;
  if (exponent == all_ones && format.has_infinity) return sign * (fraction == 0 ? INFINITY : NAN);
  if (exponent == all_ones && fraction + 1 == UINT64_C(1) << format.fraction_bits) return sign * NAN;
  const double units = static_cast<double>(fraction) + (exponent > 0 ? std::ldexp(1.0, format.fraction_bits) : 0.0);
  return sign * std::ldexp(units, (exponent > 0 ? exponent : 1) - bias - format.fraction_bits);
}

/* Rounded to nearest even, by dividing by the unit in the last place. */
uint64_t bits_of(const Format &format, double value) {
  const int all_ones = (1 << format.exponent_bits) - 1, bias = all_ones / 2;
  const uint64_t sign = std::signbit(value) ? UINT64_C(1) << (format.exponent_bits + format.fraction_bits) : 0;
  const uint64_t nan = (UINT64_C(1) << (format.exponent_bits + format.fraction_bits)) - 1;
  const uint64_t past = format.has_infinity ? static_cast<uint64_t>(all_ones) << format.fraction_bits : nan;
  if (std::isnan(value)) return nan;
  if (std::isinf(value)) return sign | past;
  int exponent = value == 0 ? 1 - bias : std::max(std::ilogb(value), 1 - bias);
  double units = std::nearbyint(std::ldexp(std::fabs(value), format.fraction_bits - exponent));
  if (units >= std::ldexp(2.0, format.fraction_bits)) {
    units /= 2;
    ++exponent;
  }
  const bool is_normal = units >= std::ldexp(1.0, format.fraction_bits);
  /* the exponent field counts on from the bit in front of the fraction */
  const uint64_t bits = static_cast<uint64_t>(units) + (static_cast<uint64_t>(exponent + bias - 1) << format.fraction_bits);
  return sign | std::min(is_normal ? bits : static_cast<uint64_t>(units), past);
}

int64_t integer_of(mo_dtype_t dtype, uint64_t bits) {
  return dtype == MO_DTYPE_INT8    ? static_cast<int8_t>(bits)
         : dtype == MO_DTYPE_INT32 ? static_cast<int32_t>(bits)
         : dtype == MO_DTYPE_BOOL  ? bits != 0
                                   : static_cast<int64_t>(bits);
}

uint64_t truncated(mo_dtype_t dtype, double value) {
  const int64_t lowest = dtype == MO_DTYPE_INT8    ? INT8_MIN
                         : dtype == MO_DTYPE_INT32 ? INT32_MIN
                         : dtype == MO_DTYPE_INT64 ? INT64_MIN
                                                   : 0;
  const int64_t largest = dtype == MO_DTYPE_INT8    ? INT8_MAX
                          : dtype == MO_DTYPE_INT32 ? INT32_MAX
                          : dtype == MO_DTYPE_INT64 ? INT64_MAX
                                                    : UINT8_MAX;
  if (std::isnan(value)) return 0;
  if (value <= static_cast<double>(lowest)) return static_cast<uint64_t>(lowest);
  if (value >= static_cast<double>(largest)) return static_cast<uint64_t>(largest);
  return static_cast<uint64_t>(static_cast<int64_t>(value));
}

uint64_t reference(mo_dtype_t from, mo_dtype_t to, uint64_t bits) {
  const Format *source = format_of(from), *destination = format_of(to);
  if (from == to) return bits;
  if (source == nullptr && destination == nullptr)
    return static_cast<uint64_t>(to == MO_DTYPE_BOOL ? integer_of(from, bits) != 0 : integer_of(from, bits));
  const double value = source != nullptr ? value_of(*source, bits) : static_cast<float>(integer_of(from, bits));
  if (destination != nullptr) return bits_of(*destination, value);
  if (to == MO_DTYPE_BOOL) return source != nullptr ? value != 0 : integer_of(from, bits) != 0;
  return truncated(to, value);
}

/* ---- Tensors of bits ---- */

uint64_t mask_of(mo_dtype_t dtype) { return ~UINT64_C(0) >> (64 - 8 * mo_dtype_bytes(dtype)); }

/* Memory of its own with `begin` elements in front of the tensor's; nothing behind its reach. */
struct Bits {
  Bits(mo_dtype_t dtype, const std::vector<int64_t> &shape, std::vector<int64_t> strides = {}, int64_t begin = 0) {
    int64_t reach = 1;
    if (strides.empty()) {
      strides.resize(shape.size());
      int64_t stride = 1;
      for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) strides[i] = stride;
    }
    for (size_t i = 0; i < shape.size(); ++i) reach += std::max<int64_t>(shape[i] - 1, 0) * strides[i];
    element = mo_dtype_bytes(dtype);
    memory.assign(static_cast<size_t>(begin + reach) * element, 0xA7);
    EXPECT_EQ(mo_tensor_init_strided(&tensor, memory.data() + static_cast<size_t>(begin) * element, dtype, op_test::kCpu,
                                     static_cast<int32_t>(shape.size()), shape.data(), strides.data()),
              MO_STATUS_OK)
        << mo_last_error();
  }
  Bits(const Bits &) = delete;
  Bits &operator=(const Bits &) = delete;

  int64_t count() const { return mo_tensor_count(&tensor); }
  unsigned char *address(int64_t index) {
    int64_t offset = 0;
    for (int32_t d = tensor.rank - 1; d >= 0; --d) {
      offset += index % tensor.shape[d] * tensor.strides[d];
      index /= tensor.shape[d];
    }
    return static_cast<unsigned char *>(tensor.data) + static_cast<size_t>(offset) * element;
  }
  uint64_t get(int64_t index) {
    uint64_t bits = 0;
    std::memcpy(&bits, address(index), element);
    return bits;
  }
  void set(int64_t index, uint64_t bits) { std::memcpy(address(index), &bits, element); }

  std::vector<unsigned char> memory;
  mo_tensor tensor;
  size_t element;
};

class Cast : public op_test::OpTest {
 protected:
  /* Casts and compares every element, and every byte beside them. */
  void check(Bits &input, Bits &output) {
    const mo_dtype_t from = input.tensor.dtype, to = output.tensor.dtype;
    const std::vector<unsigned char> before = input.memory;
    std::vector<unsigned char> gaps = output.memory;
    ASSERT_EQ(shim_cast(context_, &output.tensor, &input.tensor), MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < output.count(); ++i) {
      const uint64_t expected = reference(from, to, input.get(i)) & mask_of(to), got = output.get(i);
      std::memcpy(gaps.data() + (output.address(i) - output.memory.data()), &got, output.element);
      if (expected == got) continue;
      const Format *format = format_of(to);
      ASSERT_TRUE(from != to && format != nullptr && std::isnan(value_of(*format, got)) &&
                  std::isnan(value_of(*format, expected)))
          << mo_dtype_name(from) << " " << std::hex << input.get(i) << " to " << mo_dtype_name(to) << ": " << got << ", not "
          << expected << std::dec << ", element " << i;
    }
    EXPECT_TRUE(gaps == output.memory) << "bytes beside the output's elements";
    EXPECT_TRUE(before == input.memory);
  }

  void check_values(mo_dtype_t from, const std::vector<uint64_t> &bits) {
    Bits input(from, {static_cast<int64_t>(bits.size())});
    for (size_t i = 0; i < bits.size(); ++i) input.set(static_cast<int64_t>(i), bits[i]);
    for (mo_dtype_t to : kDtypes) {
      SCOPED_TRACE(mo_dtype_name(to));
      Bits output(to, {static_cast<int64_t>(bits.size())});
      check(input, output);
    }
  }

  /* Any bits, and often values that other types can hold. */
  void fill(Bits &input) {
    const Format *format = format_of(input.tensor.dtype);
    for (int64_t i = 0; i < input.count(); ++i) {
      const double value = std::ldexp(std::uniform_real_distribution<double>(-1, 1)(random_), static_cast<int>(random_() % 12));
      const uint64_t any = random_() | static_cast<uint64_t>(random_()) << 32;
      input.set(i, random_() % 4 == 0  ? any
                   : format != nullptr ? bits_of(*format, value)
                                       : static_cast<uint64_t>(int64_t(value)));
    }
  }

  void check_layout(mo_dtype_t from, mo_dtype_t to, const std::vector<int64_t> &shape,
                    const std::vector<int64_t> &input_strides, const std::vector<int64_t> &output_strides,
                    int64_t input_begin = 0, int64_t output_begin = 0) {
    SCOPED_TRACE(testing::Message() << mo_dtype_name(from) << " to " << mo_dtype_name(to) << " "
                                    << testing::PrintToString(shape) << " strides " << testing::PrintToString(input_strides)
                                    << " to " << testing::PrintToString(output_strides) << " begin " << input_begin << " "
                                    << output_begin);
    Bits input(from, shape, input_strides, input_begin), output(to, shape, output_strides, output_begin);
    fill(input);
    check(input, output);
  }
};

TEST_F(Cast, EveryPatternOfOneAndTwoBytes) {
  for (mo_dtype_t from : kDtypes) {
    if (mo_dtype_bytes(from) > 2) continue;
    std::vector<uint64_t> bits(size_t{1} << 8 * mo_dtype_bytes(from));
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = i;
    SCOPED_TRACE(mo_dtype_name(from));
    check_values(from, bits);
  }
}

/* Between each number of a narrow type and the next: the number, the tie, and the float32 numbers on either side of both. */
TEST_F(Cast, Float32RoundsAtEveryNumberOfTheNarrowTypes) {
  for (mo_dtype_t to : {MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3}) {
    const Format &format = *format_of(to);
    const uint64_t sign = UINT64_C(1) << (format.exponent_bits + format.fraction_bits);
    std::vector<float> values;
    for (uint64_t bits = 0; bits < sign; ++bits) {
      const double low = value_of(format, bits), high = value_of(format, bits + 1);
      if (!std::isfinite(low)) continue;
      /* behind the largest number comes what would be the next one */
      const double unit = std::isfinite(high) ? high - low : low - value_of(format, bits - 1);
      const auto number = static_cast<float>(low), tie = static_cast<float>(low + unit / 2);
      for (float x :
           {number, std::nextafter(number, INFINITY), std::nextafter(tie, 0.0f), tie, std::nextafter(tie, INFINITY)}) {
        values.push_back(x);
        values.push_back(-x);
      }
    }
    Bits input(MO_DTYPE_FLOAT32, {static_cast<int64_t>(values.size())}), output(to, {static_cast<int64_t>(values.size())});
    std::memcpy(input.memory.data(), values.data(), values.size() * sizeof(float));
    SCOPED_TRACE(mo_dtype_name(to));
    check(input, output);
  }
}

/* What lies past the largest number ends there, and nothing else changes. 300 elements: more than a block. */
TEST_F(Cast, SaturatesWhereThatIsAsked) {
  const std::vector<float> values = {0.0f,     -1.5f,     447.0f,  449.0f,   65503.0f, 65504.0f,  65519.9f,
                                     65520.0f, -70000.0f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN};
  for (mo_dtype_t to : {MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_FLOAT32}) {
    SCOPED_TRACE(mo_dtype_name(to));
    const Format &format = *format_of(to);
    const double largest = to == MO_DTYPE_FLOAT16       ? 65504.0
                           : to == MO_DTYPE_BFLOAT16    ? 0x1.fep127
                           : to == MO_DTYPE_FLOAT8_E4M3 ? 448.0
                                                        : INFINITY;
    Bits input(MO_DTYPE_FLOAT32, {300}), output(to, {300});
    for (int64_t i = 0; i < 300; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &values[static_cast<size_t>(i) % values.size()], sizeof bits);
      input.set(i, bits);
    }
    ASSERT_EQ(shim_cast_saturating(context_, &output.tensor, &input.tensor), MO_STATUS_OK) << mo_last_error();
    for (int64_t i = 0; i < 300; ++i) {
      const double value = values[static_cast<size_t>(i) % values.size()], got = value_of(format, output.get(i));
      if (std::isnan(value)) EXPECT_TRUE(std::isnan(got));
      else EXPECT_EQ(got, value_of(format, bits_of(format, std::clamp(value, -largest, largest)))) << value;
    }
  }
}

TEST_F(Cast, EndsOfTheIntegers) {
  std::vector<uint64_t> floats, integers;
  for (int exponent : {0, 1, 7, 8, 15, 16, 23, 24, 30, 31, 32, 52, 53, 62, 63, 64}) {
    const auto power = static_cast<float>(std::ldexp(1.0, exponent));
    for (float x : {power, std::nextafter(power, 0.0f), std::nextafter(power, INFINITY), power - 0.5f, power + 1.5f}) {
      for (float y : {x, -x}) floats.push_back(bits_of(*format_of(MO_DTYPE_FLOAT32), y));
    }
    if (exponent == 64) continue;
    const uint64_t whole = UINT64_C(1) << exponent;
    for (uint64_t x : {whole - 1, whole, whole + 1, whole + whole / 2, whole / 3 * 4}) {
      integers.push_back(x);
      integers.push_back(~x);
    }
  }
  for (double x : {0.0, -0.0, 0.5, -0.5, 0.999, -0.999, 1e-45, 3e38, -3e38, double(INFINITY), -double(INFINITY), double(NAN)})
    floats.push_back(bits_of(*format_of(MO_DTYPE_FLOAT32), x));
  check_values(MO_DTYPE_FLOAT32, floats);
  check_values(MO_DTYPE_INT64, integers);
  check_values(MO_DTYPE_INT32, integers);
}

TEST_F(Cast, EveryPairInEveryLayout) {
  for (mo_dtype_t from : kDtypes) {
    for (mo_dtype_t to : kDtypes) {
      for (int64_t count : {1, 2, 15, 16, 33, 1031}) check_layout(from, to, {count}, {}, {});
      check_layout(from, to, {515}, {}, {}, 1, 0);
      check_layout(from, to, {515}, {}, {}, 4, 7);
      check_layout(from, to, {5, 48}, {64, 1}, {}, 0, 0);
      check_layout(from, to, {5, 50}, {64, 1}, {80, 1}, 0, 0);
      check_layout(from, to, {5, 48}, {51, 1}, {49, 1}, 3, 1);
      check_layout(from, to, {17, 9}, {1, 17}, {});      /* turned */
      check_layout(from, to, {17, 9}, {1, 18}, {1, 20}); /* both turned: rows after all */
      check_layout(from, to, {6, 33}, {66, 2}, {100, 3});
      check_layout(from, to, {4, 3, 32}, {0, 32, 1}, {}); /* broadcast */
      check_layout(from, to, {4, 32}, {1, 0}, {});
    }
  }
}

TEST_F(Cast, EveryRank) {
  check_layout(MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16, {}, {}, {});
  check_layout(MO_DTYPE_BOOL, MO_DTYPE_BOOL, {}, {}, {});
  check_layout(MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT32, {1, 1, 1}, {5, 7, 9}, {2, 2, 2});
  check_layout(MO_DTYPE_INT32, MO_DTYPE_FLOAT16, {2, 3, 2, 2, 3, 2, 2, 5}, {}, {});
  /* nothing merges */
  const std::vector<int64_t> shape = {2, 3, 2, 2, 3, 2, 2, 5};
  const std::vector<int64_t> apart = {3600, 1100, 500, 220, 70, 30, 12, 2}, turned = {1, 2, 6, 12, 24, 72, 144, 288};
  for (mo_dtype_t to : {MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT32, MO_DTYPE_INT64}) {
    check_layout(MO_DTYPE_FLOAT32, to, shape, apart, turned);
    check_layout(MO_DTYPE_FLOAT32, to, shape, turned, apart);
    check_layout(MO_DTYPE_FLOAT32, to, shape, {}, apart, 1);
  }
}

TEST_F(Cast, LargeAndManyThreads) {
  const int64_t count = test_device_is_simulated() ? 40000 : 1000003;
  check_layout(MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16, {count}, {}, {});
  check_layout(MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT32, {count}, {}, {}, 1, 0);
  check_layout(MO_DTYPE_INT64, MO_DTYPE_BOOL, {count / 100, 100}, {101, 1}, {});
  check_layout(MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT8_E4M3, {count / 100, 100}, {1, count / 100}, {});
}

TEST_F(Cast, Empty) {
  for (auto shape : std::vector<std::vector<int64_t>>{{0}, {3, 0}, {0, 3}, {2, 0, 4}}) {
    mo_tensor input, output;
    const auto rank = static_cast<int32_t>(shape.size());
    ASSERT_EQ(mo_tensor_init(&input, nullptr, MO_DTYPE_FLOAT32, op_test::kCpu, rank, shape.data()), MO_STATUS_OK);
    ASSERT_EQ(mo_tensor_init(&output, nullptr, MO_DTYPE_INT8, op_test::kCpu, rank, shape.data()), MO_STATUS_OK);
    EXPECT_EQ(shim_cast(context_, &output, &input), MO_STATUS_OK) << mo_last_error();
  }
}

/* Bytes of one tensor lie between those of the other. */
TEST_F(Cast, ColumnsOfOneBlock) {
  std::vector<float> block(6 * 16, 1.5f);
  mo_tensor input, output;
  const int64_t shape[] = {6, 8}, input_strides[] = {16, 1}, output_strides[] = {32, 1};
  ASSERT_EQ(mo_tensor_init_strided(&input, block.data(), MO_DTYPE_FLOAT32, op_test::kCpu, 2, shape, input_strides),
            MO_STATUS_OK);
  ASSERT_EQ(mo_tensor_init_strided(&output, block.data() + 8, MO_DTYPE_FLOAT16, op_test::kCpu, 2, shape, output_strides),
            MO_STATUS_OK);
  ASSERT_EQ(shim_cast(context_, &output, &input), MO_STATUS_OK) << mo_last_error();
  for (int row = 0; row < 6; ++row) {
    for (int column = 0; column < 8; ++column) {
      uint16_t half;
      std::memcpy(&half, reinterpret_cast<const char *>(block.data() + 16 * row + 8) + 2 * column, 2);
      EXPECT_EQ(half, 0x3E00);
      EXPECT_EQ(block[static_cast<size_t>(16 * row + column)], 1.5f);
    }
  }
}

TEST_F(Cast, Refuses) {
  Bits input(MO_DTYPE_FLOAT32, {4, 6}), output(MO_DTYPE_FLOAT16, {4, 6});
  Bits other_shape(MO_DTYPE_FLOAT16, {4, 7}), other_rank(MO_DTYPE_FLOAT16, {24});
  mo_tensor unknown = input.tensor, elsewhere = input.tensor, repeated = output.tensor, folded = output.tensor;
  unknown.dtype = MO_DTYPE_NONE;
  elsewhere.device = {MO_DEVICE_KIND_CUSTOM, 3};
  repeated.strides[0] = 0;
  folded.strides[0] = 5;
  mo_tensor in_place = input.tensor, shifted = input.tensor, odd = output.tensor;
  in_place.dtype = MO_DTYPE_INT32;
  shifted.shape[0] = 3;
  shifted.data = static_cast<float *>(shifted.data) + 6;
  mo_tensor shorter = input.tensor;
  shorter.shape[0] = 3;
  odd.data = static_cast<char *>(odd.data) + 1;
  odd.shape[0] = 3;
  mo_tensor negative = input.tensor;
  negative.strides[0] = -6;
  const struct {
    const mo_tensor *output, *input;
    const char *says;
  } cases[] = {
      {nullptr, &input.tensor, "output"},
      {&output.tensor, nullptr, "input"},
      {&output.tensor, &unknown, "input"},
      {&unknown, &input.tensor, "output"},
      {&output.tensor, &other_shape.tensor, "input"},
      {&output.tensor, &other_rank.tensor, "rank"},
      {&output.tensor, &elsewhere, "input"},
      {&repeated, &input.tensor, "output"},
      {&folded, &input.tensor, "output"},
      {&in_place, &input.tensor, "overlap"},
      {&input.tensor, &input.tensor, "overlap"},
      {&shifted, &shorter, "overlap"},
      {&odd, &shorter, "aligned"},
      {&output.tensor, &negative, "negative"},
  };
  for (const auto &c : cases) expect_error(shim_cast(context_, c.output, c.input), MO_STATUS_INVALID_ARGUMENT, "cast", c.says);
  mo_cast_params bare = {};
  EXPECT_EQ(mo_cast(context_, &bare), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_cast(nullptr, &bare), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(mo_cast(context_, nullptr), MO_STATUS_INVALID_ARGUMENT);
}

TEST_F(Cast, OtherInstructionSets) { run_again_per_isa(); }

}  // namespace
