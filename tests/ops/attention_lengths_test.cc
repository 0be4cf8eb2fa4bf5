// tests/ops/attention_lengths_test.cc - attention over packed sequences, and what its front door refuses of lengths and caches.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "attention_case.h"

namespace {

using attention_case::Case;
using attention_case::check;
using attention_case::kDtypes;
using attention_case::Keys;
using attention_case::kReductions;
using attention_case::Problem;
using attention_case::random_lengths;
using attention_case::skipped;
using test_support::Context;

TEST(AttentionLengths, PackedQueriesAndKeys) {
  std::mt19937 random(3);
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (int variant = 0; variant < 8; ++variant, ++n) {
      Case c;
      c.dtype = dtype, c.tokens_first = variant % 2 == 0;
      c.queries = random_lengths(random, 5, 90), c.keys = random_lengths(random, 5, 150);
      c.queries[1] = 0, c.keys[3] = 0, c.queries[0] = 70, c.keys[0] = 131;
      c.causal = variant == 1 || variant == 2 || variant == 4;
      if (variant == 2) c.window = 20;
      if (variant == 3) c.soft_cap = 2, c.kv_heads = 4;
      if (variant == 4) c.offsets = {0, 5, -3, 60, 200};
      if (variant == 5) c.mask = c.bias = true, c.query_bound = 93, c.key_bound = 150;
      if (variant == 6) c.limits = {100, 0, 0, 0, 0}, c.limits[1] = c.keys[1] / 2, c.length_dtype = MO_DTYPE_INT64;
      if (variant == 7) c.head_dim = 20, c.value_dim = 33, c.query_bound = 90, c.causal_offset = 4, c.causal = true;
      if (skipped(n, 3)) continue;  // 8 variants: each comes with one dtype
      check(c, static_cast<unsigned>(n));
    }
  }
}

TEST(AttentionLengths, OneSideOnlyPacked) {
  for (const mo_dtype_t dtype : kDtypes) {
    Case c;
    c.dtype = dtype, c.source = Keys::kPlain, c.queries = {3, 0, 41}, c.keys = {50, 50, 50}, c.causal = true;
    c.limits = {50, 12, 30};
    check(c);
    c.source = Keys::kPacked, c.packed_queries = false, c.limits = {};
    c.queries = {20, 20, 20}, c.keys = {70, 0, 9};
    check(c);
    c.weights = true, c.key_bound = 71;
    check(c);
  }
}

TEST(AttentionLengths, NoSequencesAndNoTokens) {
  Case c;
  check(c);  // no sequence at all
  c.queries = c.keys = {0, 0};
  c.weights = true;
  for (const mo_weights_reduction_t reduction : kReductions) {
    c.reduction = reduction;
    check(c);
  }
}

TEST(AttentionLengths, WeightsAreZeroWhereThereIsNothing) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_weights_reduction_t reduction : kReductions) {
      for (int variant = 0; variant < 4; ++variant, ++n) {
        if (skipped(n, 3)) continue;
        Case c;
        c.dtype = dtype, c.weights = true, c.reduction = reduction;
        c.queries = {40, 0, 3, 70}, c.keys = {90, 20, 0, 33}, c.query_bound = 75, c.key_bound = 93;
        c.causal = variant % 2 == 1;
        if (variant == 1) c.weight_heads = {3, -4};
        if (variant >= 2) c.last_rows = 5, c.weights_dtype = MO_DTYPE_BFLOAT16;
        if (variant == 3) c.offsets = {50, 0, 0, -60}, c.keys = {600, 20, 0, 33}, c.key_bound = 601;  // rows that see nothing
        check(c, static_cast<unsigned>(n));
      }
    }
  }
}

TEST(AttentionLengths, AStructOfTheFirstVersionIsWelcome) {
  Context context;
  Case c;
  c.packed_queries = false, c.source = Keys::kPlain, c.queries = {5, 5}, c.keys = {9, 9}, c.causal = true;
  Problem p(c), q(c);
  ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(q.run(context,
                  [](mo_attention_params &params) {  // what lies behind an old struct is anybody's
                    params.struct_size = offsetof(mo_attention_params, cumulative_query_lengths);
                    memset(reinterpret_cast<char *>(&params) + params.struct_size, 0xAB, sizeof params - params.struct_size);
                  }),
            MO_STATUS_OK)
      << mo_last_error();
  EXPECT_EQ(p.output.memory(), q.output.memory());
}

TEST(AttentionLengths, IdenticalFromRunToRun) {
  Case c;
  c.source = Keys::kCache, c.page_size = 16, c.keys = {100, 3, 64}, c.queries = {30, 3, 64}, c.weights = true;
  c.dtype = MO_DTYPE_BFLOAT16, c.stored = MO_DTYPE_INT8;
  Problem first(c);
  Context context(1);
  ASSERT_EQ(first.run(context), MO_STATUS_OK);
  Problem again(c);
  Context other(3);
  ASSERT_EQ(again.run(other), MO_STATUS_OK);
  EXPECT_EQ(first.output.memory(), again.output.memory());
  EXPECT_EQ(first.weights.memory(), again.weights.memory());
}

// ---- The front door ----

class AttentionLengthErrors : public testing::Test {
 protected:
  static Case packed() {
    Case c;
    c.queries = {4, 5}, c.keys = {6, 7}, c.weights = true, c.query_bound = 5, c.key_bound = 7;
    return c;
  }
  static Case paged() {
    Case c;
    c.source = Keys::kCache, c.page_size = 16, c.stored = MO_DTYPE_INT8, c.queries = {4, 5}, c.keys = {20, 7};
    return c;
  }
  void refuses(Problem &p, const char *rule, const std::function<void(mo_attention_params &)> &change) {
    EXPECT_EQ(p.run(context_, change), MO_STATUS_INVALID_ARGUMENT) << rule;
    EXPECT_EQ(std::string(mo_last_error()).rfind("attention: ", 0), 0u) << rule << ": " << mo_last_error();
    EXPECT_NE(std::string(mo_last_error()).find(rule), std::string::npos) << rule << ": " << mo_last_error();
    EXPECT_EQ(mo_context_error(context_, nullptr, 0), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(p.output.is_untouched() && p.weights.is_untouched() && p.log_sum_exp.is_untouched()) << rule;
  }
  void refuses(Problem &p, const char *rule, const mo_tensor *mo_attention_params::*member,
               const std::function<void(mo_tensor &)> &change) {
    refuses(p, rule, [&](mo_attention_params &params) {
      changed_ = *(params.*member);
      change(changed_);
      params.*member = &changed_;
    });
  }
  // The same with one tensor of the cache.
  void refuses(Problem &p, const char *rule, const mo_tensor *mo_kv_view::*member,
               const std::function<void(mo_tensor &)> &change) {
    refuses(p, rule, [&](mo_attention_params &params) {
      view_ = *params.cache;
      changed_ = *(view_.*member);
      change(changed_);
      view_.*member = &changed_;
      params.cache = &view_;
    });
  }
  Context context_;
  mo_tensor changed_ = {};
  mo_kv_view view_ = {};
};

TEST_F(AttentionLengthErrors, Lengths) {
  using P = mo_attention_params;
  Problem p(packed());
  for (const mo_tensor *P::*member : {&P::cumulative_query_lengths, &P::cumulative_key_lengths}) {
    const char *name = member == &P::cumulative_query_lengths ? "cumulative_query_lengths" : "cumulative_key_lengths";
    refuses(p, name, member, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT64; });
    refuses(p, name, member, [](mo_tensor &t) { t.rank = 2; });
    refuses(p, name, member, [](mo_tensor &t) { t.data = nullptr; });
    refuses(p, name, member, [](mo_tensor &t) { t.strides[0] = 2; });
    refuses(p, "empty", member, [](mo_tensor &t) { t.shape[0] = 0; });
    refuses(p, "extent", member, [](mo_tensor &t) { t.shape[0] = 2; });
    refuses(p, name, member, [](mo_tensor &t) { t.device = {MO_DEVICE_KIND_CUDA, 0}; });
  }
  refuses(p, "query has batch 2, not 1", &P::query, [](mo_tensor &t) { t.shape[0] = 2; });
  refuses(p, "key has batch 2, not 1", &P::key, [](mo_tensor &t) { t.shape[0] = 2; });
  refuses(p, "max_query_length 2147483648 of 12", [](P &params) { params.max_query_length = INT64_C(1) << 31; });
  refuses(p, "max_key_length 2147483648 of 18", [](P &params) { params.max_key_length = INT64_C(1) << 31; });
  refuses(p, "below 0", [](P &params) { params.max_key_length = -1; });
  refuses(p, "weights", [](P &params) { params.max_query_length = 4; });
  refuses(p, "last 6 rows of 5", [](P &params) { params.weight_last_rows = 6; });
  /* The small one inside the large one: the other way round the output would reach whatever lies behind. */
  refuses(p, "output overlaps cumulative_query_lengths", &P::cumulative_query_lengths,
          [&](mo_tensor &t) { t.data = p.output.tensor().data; });
  Case c;
  c.packed_queries = false, c.source = Keys::kPlain, c.queries = {5, 5}, c.keys = {9, 9};
  Problem plain(c);
  refuses(plain, "max_query_length 4 of 5", [](P &params) { params.max_query_length = 4; });
  refuses(plain, "max_key_length 8 of 9", [](P &params) { params.max_key_length = 8; });
  c.offsets = {1, 2};
  Problem offsets(c);
  refuses(offsets, "causal_offsets", &P::causal_offsets, [](mo_tensor &t) { t.shape[0] = 3; });
  refuses(offsets, "causal_offsets", &P::causal_offsets, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT64; });
}

TEST_F(AttentionLengthErrors, Caches) {
  using P = mo_attention_params;
  using V = mo_kv_view;
  Problem p(paged());
  const mo_tensor key = p.key.buffer.tensor();
  refuses(p, "along with a cache", [&](P &params) { params.key = &key; });
  refuses(p, "cumulative_key_lengths", [&](P &params) { params.cumulative_key_lengths = params.cumulative_query_lengths; });
  refuses(p, "key_scale is missing", [&](P &params) {
    view_ = *params.cache;
    view_.key_scale = nullptr;
    params.cache = &view_;
  });
  refuses(p, "cache key is NULL", [&](P &params) {
    view_ = {};
    params.cache = &view_;
  });
  refuses(p, "pages of 8 tokens", [&](P &params) {
    static mo_tensor k, v, ks, vs;
    view_ = *params.cache;
    k = *view_.key, v = *view_.value, ks = *view_.key_scale, vs = *view_.value_scale;
    for (mo_tensor *t : {&k, &v, &ks, &vs}) t->shape[2] = 8;
    view_.key = &k, view_.value = &v, view_.key_scale = &ks, view_.value_scale = &vs;
    params.cache = &view_;
  });
  refuses(p, "block_table", &V::block_table, [](mo_tensor &t) { t.shape[0] = 1; });
  refuses(p, "block_table", &V::block_table, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT64; });
  refuses(p, "cache key", &V::key, [](mo_tensor &t) { t.dtype = MO_DTYPE_INT32; });
  refuses(p, "cache value", &V::value, [](mo_tensor &t) { t.shape[1] = 1; });
  refuses(p, "value_scale", &V::value_scale, [](mo_tensor &t) { t.shape[3] = 3; });
  refuses(p, "output overlaps cache key", &P::output, [&](mo_tensor &t) { t.data = key.data; });
  refuses(p, "key_lengths", &P::key_lengths, [](mo_tensor &t) { t.shape[0] = 3; });
  refuses(p, "max_key_length 49 of 48", [](P &params) { params.max_key_length = 49; });
  Case c = paged();
  c.stored = MO_DTYPE_FLOAT16;
  Problem other(c);
  refuses(other, "the cache is stored as float16, query has dtype float32", [](P &) {});
}

TEST_F(AttentionLengthErrors, WhatOnlyTheDataCanTell) {
  TEST_ON_CPU_ONLY("only the CPU looks at lengths before it runs");
  Problem p(packed());
  p.cumulative_queries.set({1}, 11);
  refuses(p, "cumulative_query_lengths goes from 11 to 10",
          [](mo_attention_params &params) { params.max_query_length = 0, params.weights = nullptr; });
  p.cumulative_queries.set({0}, -1);
  refuses(p, "goes from -1", [](mo_attention_params &) {});
  Problem q(packed());
  q.cumulative_queries.set({1}, 4);
  refuses(q, "gives sequence 1 a length of 6, above the bound of 5", [](mo_attention_params &) {});
  Problem r(packed());
  r.cumulative_keys.set({2}, 19);
  refuses(r, "nor leave 0..18", [](mo_attention_params &) {});
  Problem s(paged());
  s.lengths.set({0}, 49);
  refuses(s, "key_lengths[0] is 49, outside 0..48", [](mo_attention_params &) {});
}

TEST_F(AttentionLengthErrors, TablesThatPointOutside) {
  TEST_ON_CPU_ONLY("a GPU takes such entries for no page: ContiguousAndPaged, Quantised and Weights");
  for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT32}) {
    for (const int64_t entry : {INT64_C(-2), INT64_C(8), int64_t{INT32_MAX}, int64_t{INT32_MIN}}) {
      SCOPED_TRACE(testing::Message() << entry << " " << mo_dtype_name(stored));
      Case c = paged();  // rows of 20 and 7 keys: two pages and one of three entries each, in a pool of 8
      c.stored = stored, c.weights = true;
      Problem p(c);
      p.table.set({0, 1}, static_cast<double>(entry));
      const std::string rule =
          "block_table holds " + std::to_string(entry) + " (row 0, entry 1), the pool has 8 pages and -1 stands for none";
      refuses(p, rule.c_str(), [](mo_attention_params &) {});
      p.table.set({0, 1}, -1);
      p.table.set({0, 2}, static_cast<double>(entry)), p.table.set({1, 1}, static_cast<double>(entry));
      refuses(p, "(row 0, entry 2)", [](mo_attention_params &params) {  // without lengths, rows are full
        params.key_lengths = nullptr, params.weights = nullptr;
      });
      EXPECT_EQ(p.run(context_), MO_STATUS_OK) << "behind the keys: " << mo_last_error();
    }
  }
}

TEST(AttentionLengthsProcess, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
