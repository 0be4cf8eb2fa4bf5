/* tests/ops/attention_merge_test.cc - the merge against a double-precision one, and against attention over all keys at once.
 *
 * Bound: the roundings of two float32 products and their sum, of two weights whose exponents err by the log-sum-exps' own
 * rounding, and of the stored type.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <limits>

#include "op_test.h"

namespace {

using op_test::Buffer;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Merge {
  Buffer output, sums, a, sums_a, b, sums_b;
  Merge(mo_dtype_t dtype, const std::vector<int64_t> &n, int64_t gap, std::mt19937 &random)
      : output(dtype, n, gap),
        sums(MO_DTYPE_FLOAT32, {n[0], n[1], n[2]}, gap),
        a(dtype, n, gap),
        sums_a(MO_DTYPE_FLOAT32, {n[0], n[1], n[2]}),
        b(dtype, n, 0, gap),
        sums_b(MO_DTYPE_FLOAT32, {n[0], n[1], n[2]}, gap) {
    a.fill(random);
    b.fill(random);
    sums_a.fill(random, 3);
    sums_b.fill(random, 3);
  }
  mo_attention_merge_params params() {
    mo_attention_merge_params p = MO_ATTENTION_MERGE_PARAMS_INIT;
    p.output = &output, p.log_sum_exp = &sums;
    p.output_a = &a, p.log_sum_exp_a = &sums_a;
    p.output_b = &b, p.log_sum_exp_b = &sums_b;
    return p;
  }
};

void Compare(const Buffer &output, const Buffer &sums, const Merge &parts, int64_t size, mo_dtype_t dtype) {
  for (int64_t i = 0; i < output.count(); ++i) {
    const int64_t row = i / size;
    const double la = parts.sums_a.get(row), lb = parts.sums_b.get(row), largest = std::max(la, lb);
    const double sum = std::exp(la - largest) + std::exp(lb - largest);
    const double wa = std::exp(la - largest) / sum, wb = std::exp(lb - largest) / sum;
    const double va = parts.a.get(i), vb = parts.b.get(i), expected = wa * va + wb * vb;
    const double magnitude = std::fabs(wa * va) + std::fabs(wb * vb);
    const double bound = (8 + std::fabs(la - lb)) * op_test::rounding(MO_DTYPE_FLOAT32, magnitude) +
                         op_test::rounding(dtype, std::fabs(expected) + 0x1p-18 * magnitude) + 1e-12;
    ASSERT_NEAR(output.get(i), expected, bound) << "element " << i;
    ASSERT_NEAR(sums.get(row), largest + std::log(sum), 4 * op_test::rounding(MO_DTYPE_FLOAT32, std::fabs(largest) + 1));
  }
}

class AttentionMerge : public op_test::OpTest {};

TEST_F(AttentionMerge, EverySizeAndType) {
  for (const std::vector<int64_t> &n : std::vector<std::vector<int64_t>>{{1, 1, 1, 1},
                                                                         {2, 3, 5, 8},
                                                                         {1, 2, 7, 64},
                                                                         {2, 1, 3, 17},
                                                                         {1, 4, 33, 128},
                                                                         {1, 1, 2, 2056},
                                                                         {0, 2, 3, 8},
                                                                         {2, 2, 2, 0}}) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16}) {
      for (const int64_t gap : {0, 8, 5}) {
        Merge m(dtype, n, gap, random_);
        const mo_attention_merge_params params = m.params();
        ASSERT_EQ(test_attention_merge(context_, &params), MO_STATUS_OK) << mo_last_error();
        Compare(m.output, m.sums, m, n[3], dtype);
        EXPECT_TRUE(m.output.gaps_untouched() && m.sums.gaps_untouched());
      }
    }
  }
}

TEST_F(AttentionMerge, InPlaceOfEitherPart) {
  for (const bool first : {true, false}) {
    Merge m(MO_DTYPE_FLOAT32, {2, 2, 9, 40}, 0, random_);
    const Merge before = m;
    mo_attention_merge_params params = m.params();
    params.output = first ? params.output_a : params.output_b;
    params.log_sum_exp = first ? params.log_sum_exp_a : params.log_sum_exp_b;
    ASSERT_EQ(test_attention_merge(context_, &params), MO_STATUS_OK) << mo_last_error();
    Compare(first ? m.a : m.b, first ? m.sums_a : m.sums_b, before, 40, MO_DTYPE_FLOAT32);
  }
}

/* What must have no weight has none, even where it is NaN. */
TEST_F(AttentionMerge, PartsWithoutKeys) {
  const float nothing_seen = -std::numeric_limits<float>::max();
  Merge m(MO_DTYPE_FLOAT32, {1, 1, 6, 16}, 0, random_);
  for (int64_t d = 0; d < 16; ++d) {
    m.a.set(d, NAN);
    m.b.set(16 + d, NAN);
    m.a.set(32 + d, NAN), m.b.set(32 + d, NAN);
    m.b.set(48 + d, NAN);
  }
  m.sums_a.set(0, -kInfinity);
  m.sums_b.set(1, -kInfinity);
  m.sums_a.set(2, -kInfinity), m.sums_b.set(2, -kInfinity);
  m.sums_b.set(3, nothing_seen);
  m.sums_a.set(4, nothing_seen), m.sums_b.set(4, nothing_seen);
  m.sums_a.set(5, 300), m.sums_b.set(5, -300); /* far apart, no overflow */
  const mo_attention_merge_params params = m.params();
  ASSERT_EQ(test_attention_merge(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t d = 0; d < 16; ++d) {
    EXPECT_EQ(m.output.get(d), m.b.get(d));
    EXPECT_EQ(m.output.get(16 + d), m.a.get(16 + d));
    EXPECT_EQ(m.output.get(32 + d), 0.0);
    EXPECT_EQ(m.output.get(48 + d), m.a.get(48 + d));
    EXPECT_FLOAT_EQ(static_cast<float>(m.output.get(64 + d)),
                    static_cast<float>(0.5 * m.a.get(64 + d) + 0.5 * m.b.get(64 + d)));
    EXPECT_EQ(m.output.get(80 + d), m.a.get(80 + d));
  }
  EXPECT_EQ(m.sums.get(0), m.sums_b.get(0));
  EXPECT_EQ(m.sums.get(1), m.sums_a.get(1));
  EXPECT_EQ(m.sums.get(2), -kInfinity);
  EXPECT_EQ(m.sums.get(3), m.sums_a.get(3));
  EXPECT_EQ(m.sums.get(5), 300.0);
}

/* A shared prefix and the rest, attended to apart, are attention over everything. */
TEST_F(AttentionMerge, PrefixAndRestAreTheWhole) {
  const int64_t batch = 2, heads = 3, queries = 5, keys = 37, prefix = 21, size = 16;
  Buffer query(MO_DTYPE_FLOAT32, {batch, heads, queries, size}), key(MO_DTYPE_FLOAT32, {batch, heads, keys, size}),
      value(MO_DTYPE_FLOAT32, {batch, heads, keys, size});
  query.fill(random_), key.fill(random_), value.fill(random_);
  Merge m(MO_DTYPE_FLOAT32, {batch, heads, queries, size}, 0, random_);
  Buffer whole(MO_DTYPE_FLOAT32, {batch, heads, queries, size}), whole_sums(MO_DTYPE_FLOAT32, {batch, heads, queries});
  const auto attend = [&](int64_t begin, int64_t end, Buffer &output, Buffer &sums) {
    mo_tensor keys_part, values_part;
    const mo_slice part[3] = {MO_SLICE_ALL, MO_SLICE_ALL, MO_SLICE_RANGE(begin, end)};
    ASSERT_EQ(mo_tensor_slice(&key, part, 3, &keys_part), MO_STATUS_OK);
    ASSERT_EQ(mo_tensor_slice(&value, part, 3, &values_part), MO_STATUS_OK);
    mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
    params.output = &output;
    params.log_sum_exp = &sums;
    params.query = &query;
    params.key = &keys_part;
    params.value = &values_part;
    ASSERT_EQ(test_attention(context_, &params), MO_STATUS_OK) << mo_last_error();
  };
  attend(0, prefix, m.a, m.sums_a);
  attend(prefix, keys, m.b, m.sums_b);
  attend(0, keys, whole, whole_sums);
  const mo_attention_merge_params params = m.params();
  ASSERT_EQ(test_attention_merge(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t i = 0; i < whole.count(); ++i) ASSERT_NEAR(m.output.get(i), whole.get(i), 2e-6);
  for (int64_t i = 0; i < whole_sums.count(); ++i) ASSERT_NEAR(m.sums.get(i), whole_sums.get(i), 2e-6);
}

TEST_F(AttentionMerge, RefusesWhatItCannotDo) {
  Merge m(MO_DTYPE_FLOAT32, {1, 2, 3, 8}, 0, random_), half(MO_DTYPE_FLOAT16, {1, 2, 3, 8}, 0, random_),
      other(MO_DTYPE_FLOAT32, {1, 2, 4, 8}, 0, random_);
  const auto refused = [&](const char *part, auto change) {
    mo_attention_merge_params params = m.params();
    change(params);
    expect_error(test_attention_merge(context_, &params), MO_STATUS_INVALID_ARGUMENT, "attention merge", part);
    EXPECT_TRUE(std::isnan(m.output.get(0)) && std::isnan(m.sums.get(0)));
  };
  refused("struct_size", [](mo_attention_merge_params &p) { p.struct_size = 8; });
  refused("output_a", [](mo_attention_merge_params &p) { p.output_a = nullptr; });
  refused("output_b", [&](mo_attention_merge_params &p) { p.output_b = &half.b; });
  refused("output_b", [&](mo_attention_merge_params &p) { p.output_b = &other.b; });
  refused("log_sum_exp_a", [&](mo_attention_merge_params &p) { p.log_sum_exp_a = &other.sums_a; });
  refused("log_sum_exp_b", [](mo_attention_merge_params &p) { p.log_sum_exp_b = nullptr; });
  refused("log_sum_exp", [&](mo_attention_merge_params &p) { p.log_sum_exp = p.output; });
  refused("overlap", [&](mo_attention_merge_params &p) {
    static mo_tensor inside;
    inside = *p.log_sum_exp_a;
    inside.data = m.output.tensor().data;
    p.log_sum_exp = &inside;
  });
}

TEST_F(AttentionMerge, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
