// tests/ops/attention_test.cc - attention against a plain double-precision computation.
//
// Bound: at most twice the error of the same computation done plainly in float32 (and rounded to the stored type), plus 2e-6 of
// the largest value.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "tests/ops/attention_problem.h"

namespace {

using namespace attention_problem;

TEST(Attention, SimpleCallFromC) {
  Context context(1);
  const float query[4] = {1, 0, 0, 1}, key[4] = {1, 0, 0, 1}, value[4] = {1, 2, 3, 4};
  float output[4], weights[4];
  ASSERT_EQ(shim_attention_simple(context, output, weights, query, key, value, 1, 1, 2, 2), MO_STATUS_OK) << mo_last_error();
  const double large = 1 / (1 + std::exp(-std::sqrt(0.5)));
  EXPECT_NEAR(weights[0], large, 1e-6);
  EXPECT_NEAR(weights[1], 1 - large, 1e-6);
  EXPECT_NEAR(output[0], large + 3 * (1 - large), 1e-6);
  EXPECT_NEAR(output[3], 2 * (1 - large) + 4 * large, 1e-6);
}

TEST(Attention, Lengths) {
  for (int64_t n : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 63, 64, 65, 127, 129}) {
    for (bool weights : {false, true}) {
      Case c;
      c.heads = c.kv_heads = 2;
      c.queries = c.keys = n;
      c.head_dim = c.value_dim = 16;
      c.weights = weights;
      check(c);
      c.queries = n + 5;
      check(c);
      c.queries = 1;
      check(c);
    }
  }
}

TEST(Attention, MoreKeysThanOneBlockHolds) {
  for (int64_t n : {511, 512, 513, 1031}) {
    if (n == 1031 && test_device_is_simulated()) continue;
    for (bool weights : {false, true}) {
      Case c;
      c.batch = 1, c.heads = c.kv_heads = 2, c.queries = 67, c.keys = n, c.head_dim = 32, c.value_dim = 48;
      c.weights = weights;
      c.spread = 6;  // maxima that change from block to block
      check(c);
      c.causal = true;
      check(c);
      c.window = 40;
      check(c);
      c.bias_shape = {1, 2, 67, n};
      c.causal = false, c.window = 0;
      check(c);
      c.mask_shape = {1, 1, 1, n};
      check(c);
    }
  }
}

TEST(Attention, WideHeadsOfManyKeys) {
  for (int64_t keys : {545, 583}) {  // too many to keep a row's scores on chip
    Case c;
    c.batch = 1, c.heads = c.kv_heads = 1, c.queries = 67, c.keys = keys, c.head_dim = 256, c.value_dim = 256;
    c.dtype = c.weights_dtype = MO_DTYPE_BFLOAT16, c.weights = true;
    c.causal = true, c.causal_offset = 300, c.window = 90;
    check(c);
    c.causal_offset = -40;  // zeros, and rows without visible keys
    check(c);
  }
}

// float32 with weights: rows of scores that just fit the chip and that do not, for each width heads are padded to there; rows
// of the field that begin anywhere, keys that no row of a block sees on both sides of those it sees.
TEST(Attention, Float32WeightsOnAndOffTheChip) {
  const struct { int64_t dim, value_dim, fits; } widths[] = {{64, 24, 704}, {40, 128, 640}, {256, 136, 768}};
  int n = 0;
  for (const auto &width : widths) {
    for (const int64_t keys : {width.fits, width.fits + 5}) {
      for (const bool causal : {true, false}) {
        SCOPED_TRACE(n);
        Case c;
        c.batch = 1, c.heads = c.kv_heads = 2, c.queries = 67, c.keys = keys, c.head_dim = width.dim,
        c.value_dim = width.value_dim;
        c.weights = true, c.spread = 4, c.weights_dtype = kDtypes[n % 3];
        c.causal = causal, c.window = causal ? 90 : 0, c.causal_offset = causal ? 300 - 340 * (n % 4 / 2) : 0;
        if (n % 3 == 1) c.weight_heads = {-1};
        if (n % 3 != 0) c.last_rows = 30;
        if (!causal) c.lengths = {keys - 70}, c.layout = n % 4 == 1 ? Layout::kFused : Layout::kRowPadded;
        check(c, static_cast<unsigned>(n++));
      }
    }
  }
}

// Rows that begin at multiples of 16 bytes and do not end there.
TEST(Attention, AlignedRowsOfOddWidth) {
  for (const int64_t dim : {17, 33, 97}) {
    Case c;
    c.batch = 2, c.heads = c.kv_heads = 1, c.queries = 20, c.keys = 70, c.head_dim = c.value_dim = dim;
    c.layout = Layout::kRowPadded, c.weights = true;  // 3 * dim + 1
    check(c);
  }
}

TEST(Attention, HeadDims) {
  for (int64_t d : {1, 8, 17, 32, 64, 80, 128, 256}) {
    for (mo_dtype_t dtype : kDtypes) {
      for (Layout layout : {Layout::kContiguous, Layout::kFused, Layout::kRowPadded}) {
        Case c;
        c.heads = c.kv_heads = 3, c.queries = 13, c.keys = 37, c.head_dim = c.value_dim = d;
        c.dtype = c.weights_dtype = dtype, c.layout = layout, c.weights = layout != Layout::kFused;
        check(c);
        c.value_dim = d == 17 ? 64 : 17;
        check(c);
      }
    }
  }
}

TEST(Attention, GroupedQueries) {
  for (int64_t kv : {1, 2, 3, 6}) {
    Case c;
    c.heads = 6, c.kv_heads = kv, c.queries = 70, c.keys = 75, c.layout = Layout::kRowPadded, c.weights = true;
    check(c);
    c.lengths = {75, 20};
    check(c);
  }
}

TEST(Attention, MasksAloneAndTogether) {
  const int64_t rows = test_device_is_simulated() ? 17 : 35, keys = test_device_is_simulated() ? 33 : 41;
  const Shape shapes[] = {{},           {2, 4, rows, keys}, {2, 1, 1, keys}, {1, 4, rows, keys}, {1, 1, rows, keys},
                          {1, 1, 1, 1}, {2, 4, rows, 1}};
  int n = 0;
  for (const Shape &mask : shapes) {
    for (const Shape &bias : shapes) {
      for (int which = 0; which < 8; ++which, ++n) {
        if (test_device_is_simulated() && n % 5 != 0) continue;  // slow
        Case c;
        c.queries = rows, c.keys = keys, c.kv_heads = 2, c.layout = Layout::kFused;
        c.mask_shape = mask, c.bias_shape = bias;
        c.causal = (which & 1) != 0;
        c.window = (which & 2) != 0 ? 11 : 0;
        if ((which & 4) != 0) c.lengths = {29, keys};
        c.weights = which % 3 == 0;
        check(c, 11 + static_cast<unsigned>(which));
      }
    }
  }
}

TEST(Attention, MaskTypesAndStrides) {
  for (mo_dtype_t dtype : {MO_DTYPE_BOOL, MO_DTYPE_UINT8, MO_DTYPE_INT8, MO_DTYPE_INT32, MO_DTYPE_INT64}) {
    for (mo_dtype_t bias : kDtypes) {
      for (int layout = 0; layout < 3; ++layout) {
        Case c;
        c.queries = 19, c.keys = 23, c.weights = true, c.mask_dtype = dtype, c.bias_dtype = bias;
        c.dtype = bias, c.weights_dtype = MO_DTYPE_FLOAT32;
        c.mask_shape = c.bias_shape = {2, 4, 19, 23};
        c.transposed_masks = layout == 1;
        if (layout == 2) c.mask_shape = {2, 1, 1, 23}, c.bias_shape = {1, 4, 1, 23}, c.stride_zero_masks = true;
        check(c);
      }
    }
  }
}

TEST(Attention, ScaleCapAndOffset) {
  Case c;
  c.queries = 21, c.keys = 50, c.weights = true, c.spread = 4;
  c.scale = 0.7f;
  check(c);
  c.scale = -0.3f;
  check(c);
  c.scale = 0, c.soft_cap = 0.5f;
  check(c);
  c.window = 9;
  check(c);
  c.soft_cap = 30, c.causal = true;
  check(c);
  for (int64_t offset : {int64_t{0}, int64_t{-10}, int64_t{-100}, int64_t{1000}, INT64_MAX, INT64_MIN + 1}) {
    c.causal_offset = offset;
    check(c);
    c.window = 0;
    check(c);
  }
  c.causal_offset = MO_CAUSAL_OFFSET_DEFAULT, c.window = INT64_MAX;
  check(c);
}

TEST(Attention, WeightSelections) {
  const int64_t queries = test_device_is_simulated() ? 66 : 130, keys = test_device_is_simulated() ? 35 : 83;
  int n = 0;
  for (mo_weights_reduction_t reduction :
       {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
    for (const std::vector<int32_t> &heads : {std::vector<int32_t>{}, {2}, {3, 0}, {-1, 1}}) {
      for (int64_t rows : {int64_t{0}, int64_t{1}, queries - 60, queries}) {
        for (mo_dtype_t dtype : kDtypes) {
          if (test_device_is_simulated() && n++ % 5 != 0) continue;  // slow; 5 reaches every dtype
          Case c;
          c.queries = queries, c.keys = keys, c.kv_heads = 2, c.weights = true, c.reduction = reduction, c.weight_heads = heads;
          c.last_rows = rows, c.weights_dtype = dtype, c.layout = Layout::kRowPadded;
          c.causal = heads.size() == 2, c.log_sum_exp = rows != 1;
          check(c);
        }
      }
    }
  }
}

// 16-bit types take tensor cores for reductions as well: several tiles of rows and keys, every way of masking, head dims that
// are and are not whole pieces of the head.
TEST(Attention, ReducedWeightsOf16BitTypes) {
  int n = 0;
  for (int64_t d : {16, 40, 64, 80, 128, 256}) {
    for (mo_weights_reduction_t reduction : {MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      for (int i = 0; i < 3; ++i, ++n) {
        if (test_device_is_simulated() && (n + n / 6) % 3 == 2) continue;  // slow
        SCOPED_TRACE(n);
        Case c;
        c.batch = 1, c.kv_heads = 2, c.queries = 85, c.keys = 131, c.head_dim = d, c.value_dim = 16, c.spread = 3;
        c.dtype = n % 2 == 0 ? MO_DTYPE_FLOAT16 : MO_DTYPE_BFLOAT16;
        c.weights = true, c.reduction = reduction;
        c.causal = i == 0;
        switch ((n / 6 + i) % 6) {
          case 0:
            c.layout = Layout::kFused;
            break;
          case 1:
            c.window = 50, c.causal_offset = 20, c.weights_dtype = c.dtype;
            break;
          case 2:
            c.mask_shape = {1, 4, 85, 131}, c.bias_shape = {1, 1, 85, 131}, c.bias_dtype = c.dtype;
            break;
          case 3:
            c.lengths = {70}, c.causal_offset = -30, c.window = 60;  // many rows see nothing
            break;
          case 4:
            c.weight_heads = {3, -4, 1}, c.last_rows = 37, c.soft_cap = 5;
            break;
          default:
            c.bias_shape = {1, 4, 1, 131}, c.lengths = {128}, c.kv_heads = 4, c.weights_dtype = c.dtype;
        }
        check(c, 20 + static_cast<unsigned>(n));
      }
    }
  }
}

// The same in float32 arithmetic, which 16-bit types fall back to where their rows are not aligned.
TEST(Attention, ReducedWeightsInFloat32) {
  int n = 0;
  for (int64_t d : {40, 128, 200}) {
    for (mo_weights_reduction_t reduction : {MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      for (int i = 0; i < 2; ++i, ++n) {
        SCOPED_TRACE(n);
        Case c;
        c.batch = 1, c.kv_heads = 2, c.queries = 85, c.keys = 131, c.head_dim = d, c.value_dim = 16, c.spread = 3;
        c.dtype = n % 5 == 4 ? MO_DTYPE_BFLOAT16 : MO_DTYPE_FLOAT32;
        c.layout = n % 5 >= 3 ? Layout::kRowPadded : Layout::kFused;
        c.weights = true, c.reduction = reduction, c.weights_dtype = kDtypes[n % 3];
        if (n % 4 == 0) c.causal = true, c.causal_offset = -30, c.window = 60;  // many rows see nothing
        if (n % 4 == 1) c.mask_shape = {1, 4, 85, 131}, c.bias_shape = {1, 1, 85, 131}, c.bias_dtype = c.dtype;
        if (n % 4 == 2) c.lengths = {70}, c.weight_heads = {3, -4, 1}, c.last_rows = 37;
        if (n % 4 == 3) c.causal = true, c.soft_cap = 5;
        check(c, 40 + static_cast<unsigned>(n));
      }
    }
  }
}

TEST(Attention, KeysOfMinusInfinityLeaveReducedWeightsAlone) {
  for (mo_weights_reduction_t reduction : {MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
    Case c;
    c.batch = 1, c.heads = c.kv_heads = 2, c.queries = 5, c.keys = 9, c.head_dim = c.value_dim = 16;
    c.dtype = MO_DTYPE_BFLOAT16, c.weights = true, c.reduction = reduction;
    Problem p(c);
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t i = 0; i < c.queries; ++i) p.query.set({0, h, i, 0}, 1);
      p.key.set({0, h, 4, 0}, -std::numeric_limits<double>::infinity());
    }
    Context context(2);
    ASSERT_EQ(p.run(context), MO_STATUS_OK);
    p.weights.for_each([&](const Shape &index) {
      if (index[3] == 4) EXPECT_EQ(p.weights.at(index), 0.0);
      else EXPECT_GT(p.weights.at(index), 0.0);
    });
  }
}

TEST(Attention, RowsThatSeeNothingAreUniform) {
  for (bool weights : {false, true}) {
    for (mo_weights_reduction_t reduction :
         {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
      Case c;
      c.queries = 20, c.keys = 12, c.weights = weights, c.reduction = reduction, c.value_dim = 16;
      c.causal = true;  // the first eight rows come before the first key
      check(c);
      c.causal = false;
      c.lengths = {0, 5};
      check(c);
      c.keys = 600;
      check(c);
      c.dtype = MO_DTYPE_BFLOAT16;
      check(c);
    }
  }
  Case c;  // an additive mask of -infinity, and one of the smallest number
  c.queries = 3, c.keys = 40, c.bias_shape = {1, 1, 1, 40}, c.weights = true;
  for (double hidden : {-std::numeric_limits<double>::infinity(), -static_cast<double>(FLT_MAX)}) {
    Context context(1);
    Problem p(c);
    for (int64_t j = 0; j < 40; ++j) p.bias.set({0, 0, 0, j}, hidden);
    ASSERT_EQ(p.run(context), MO_STATUS_OK);
    p.weights.for_each([&](const Shape &index) { EXPECT_FLOAT_EQ(static_cast<float>(p.weights.at(index)), 1.0f / 40); });
  }
}

TEST(Attention, KeysPastTheLengthAreNeverRead) {
  for (int64_t keys : {40, 700}) {
    for (bool weights : {false, true}) {
      Case c;
      c.keys = keys, c.queries = 18, c.lengths = {keys - 3, 17}, c.weights = weights;
      Context context(2);
      Problem clean(c), dirty(c);
      const double nan = std::numeric_limits<double>::quiet_NaN();
      for (int64_t b = 0; b < c.batch; ++b)
        for (int64_t h = 0; h < c.kv_heads; ++h)
          for (int64_t j = c.lengths[static_cast<size_t>(b)]; j < keys; ++j)
            for (int64_t d = 0; d < c.head_dim; ++d) dirty.key.set({b, h, j, d}, nan), dirty.value.set({b, h, j, d}, nan);
      ASSERT_EQ(clean.run(context), MO_STATUS_OK);
      ASSERT_EQ(dirty.run(context), MO_STATUS_OK);
      EXPECT_EQ(clean.output.memory(), dirty.output.memory());
      EXPECT_EQ(clean.weights.memory(), dirty.weights.memory());
    }
  }
}

TEST(Attention, NotANumberPassesThroughWhereItIsVisible) {
  Case c;
  c.queries = 4, c.keys = 30, c.weights = true, c.batch = 1;
  Context context(1);
  Problem p(c);
  p.query.set({0, 1, 2, 0}, std::numeric_limits<double>::quiet_NaN());
  ASSERT_EQ(p.run(context), MO_STATUS_OK);
  p.weights.for_each([&](const Shape &index) { EXPECT_EQ(std::isnan(p.weights.at(index)), index[1] == 1 && index[2] == 2); });
}

TEST(Attention, EmptyExtents) {
  Context context(2);
  Case c;
  c.keys = 0, c.weights = true;
  Problem no_keys(c);
  ASSERT_EQ(no_keys.run(context), MO_STATUS_OK) << mo_last_error();
  no_keys.output.for_each([&](const Shape &index) { EXPECT_EQ(no_keys.output.at(index), 0.0); });
  for (int which = 0; which < 4; ++which) {
    Case empty;
    empty.weights = true;
    if (which == 0) empty.batch = 0;
    if (which == 1) empty.queries = 0;
    if (which == 2) empty.heads = empty.kv_heads = 0;
    if (which == 3) empty.value_dim = 0;
    Problem p(empty);
    EXPECT_EQ(p.run(context), MO_STATUS_OK) << which << ": " << mo_last_error();
    EXPECT_TRUE(p.output.outside_is_untouched());
    if (which == 3) p.weights.for_each([&](const Shape &index) { EXPECT_FALSE(std::isnan(p.weights.at(index))); });
  }
}

TEST(Attention, LargeAndIdenticalFromRunToRun) {
  Case c;
  c.batch = 1, c.heads = c.kv_heads = 12, c.queries = c.keys = 300, c.head_dim = c.value_dim = 64, c.layout = Layout::kFused;
  if (test_device_is_simulated()) c.heads = c.kv_heads = 2, c.queries = c.keys = 130;
  for (mo_weights_reduction_t reduction :
       {MO_WEIGHTS_REDUCTION_NONE, MO_WEIGHTS_REDUCTION_HEAD_MEAN, MO_WEIGHTS_REDUCTION_COLUMN_SUM}) {
    c.weights = true, c.reduction = reduction;
    if (reduction == MO_WEIGHTS_REDUCTION_NONE) check(c);
    else c.dtype = MO_DTYPE_BFLOAT16;
    Problem first(c);
    Context context(2);
    ASSERT_EQ(first.run(context), MO_STATUS_OK);
    for (int32_t threads : {2, 2, 1, 5}) {
      Problem again(c);
      Context other(threads);
      ASSERT_EQ(again.run(other), MO_STATUS_OK);
      EXPECT_EQ(first.output.memory(), again.output.memory());
      EXPECT_EQ(first.weights.memory(), again.weights.memory());
      EXPECT_EQ(first.log_sum_exp.memory(), again.log_sum_exp.memory());
    }
  }
}

TEST(Attention, RepeatedCallsDoNotAllocate) {
  TEST_ON_CPU_ONLY("the copies of the tensors are allocated elsewhere; a captured forward pass shows it there");
  Context context(2);
  Case c;
  c.weights = true;
  Problem p(c);
  ASSERT_EQ(p.run(context), MO_STATUS_OK);
  const uint64_t before = mo_context_get_counters(context).device_allocations;
  ASSERT_EQ(p.run(context), MO_STATUS_OK);
  EXPECT_EQ(mo_context_get_counters(context).device_allocations, before);
}

TEST(AttentionProcess, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
