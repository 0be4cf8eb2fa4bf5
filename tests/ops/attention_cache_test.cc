// tests/ops/attention_cache_test.cc - attention over caches of every kind: contiguous, paged and quantised, whole prompts and
// chunks of them, shared prefixes.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "attention_case.h"
#include "modelout/attention_merge.h"

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
using test_support::Shape;
using test_support::TestTensor;

TEST(AttentionCache, ContiguousAndPaged) {
  std::mt19937 random(5);
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const int64_t page : {0, 16, 32, 64, 128, 256}) {
      for (const bool nhd : {false, true}) {
        Case c;
        c.dtype = dtype, c.source = Keys::kCache, c.page_size = page, c.pages_nhd = nhd, c.causal = n % 3 != 0;
        c.keys = random_lengths(random, 4, 150), c.keys[1] = 0, c.keys[2] = 131, c.capacity = 160;
        c.queries = random_lengths(random, 4, 40), c.queries[2] = 67;
        c.missing_pages = n % 4 == 1;
        if (n % 5 == 2) c.window = 30;
        if (n % 5 == 3) c.head_dim = 64, c.value_dim = 40, c.key_bound = 150;
        if (n % 7 == 4) c.packed_queries = false, c.queries = {17, 17, 17, 17}, c.offsets = {0, 3, 120, 7};
        if (!skipped(n++, 2)) check(c, static_cast<unsigned>(n));
      }
    }
  }
}

TEST(AttentionCache, Quantised) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      for (const int64_t page : {0, 16, 64}) {
        Case c;
        c.dtype = dtype, c.source = Keys::kCache, c.stored = stored, c.page_size = page, c.capacity = 140;
        c.keys = {130, 0, 17, 64}, c.queries = {33, 4, 0, 64}, c.causal = n % 2 == 0;
        c.head_dim = 32, c.value_dim = 32;
        c.groups = n % 3 == 0 ? 1 : n % 3 == 1 ? 4 : 32;
        if (n % 4 == 1) c.head_dim = 48, c.value_dim = 96, c.groups = 3;
        if (n % 4 == 2) c.head_dim = 20, c.value_dim = 6, c.groups = 2;
        c.pages_nhd = n % 2 == 1, c.missing_pages = n % 3 == 2;
        if (test_device_is_simulated()) c.heads = 2, c.kv_heads = 1;
        check(c, static_cast<unsigned>(n++));
      }
    }
  }
}

TEST(AttentionCache, WideHeads) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const int64_t dim : {96, 128, 192, 256}) {
      for (const mo_dtype_t stored : {MO_DTYPE_NONE, MO_DTYPE_FLOAT8_E4M3}) {
        if (skipped(n++, 3)) continue;
        Case c;
        c.heads = 2, c.kv_heads = 1, c.dtype = dtype, c.stored = stored, c.source = Keys::kCache, c.page_size = 16;
        c.head_dim = c.value_dim = dim, c.keys = {70, 9}, c.queries = {20, 9}, c.causal = true;
        check(c, static_cast<unsigned>(n));
      }
    }
  }
}

TEST(AttentionCache, Weights) {
  int n = 0;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {MO_DTYPE_NONE, MO_DTYPE_INT8}) {
      for (const mo_weights_reduction_t reduction : kReductions) {
        Case c;
        c.dtype = dtype, c.stored = stored, c.source = Keys::kCache, c.page_size = 32, c.weights = true;
        c.reduction = reduction, c.keys = {100, 1, 0, 40}, c.queries = {50, 1, 3, 0}, c.query_bound = 66, c.key_bound = 101;
        c.causal = true, c.groups = 2, c.missing_pages = n % 2 == 1;
        if (n % 3 == 1) c.offsets = {-10, 0, 0, 0};  // rows that see nothing: uniform over what is there
        if (n % 4 == 2) c.keys = {620, 1, 0, 40}, c.key_bound = 640;
        if (test_device_is_simulated()) c.heads = 2, c.kv_heads = 1;
        check(c, static_cast<unsigned>(n++));
      }
    }
  }
}

// More keys than float32 scores of a block's rows fit on chip for: both passes read the cache, one sequence is short.
TEST(AttentionCache, Float32WeightsOfManyKeys) {
  int n = 0;
  for (const mo_dtype_t stored : {MO_DTYPE_NONE, MO_DTYPE_INT8}) {
    for (const int64_t dim : {32, 144}) {
      Case c;
      c.heads = 2, c.kv_heads = 1, c.head_dim = c.value_dim = dim, c.stored = stored, c.source = Keys::kCache;
      c.page_size = dim == 32 ? 64 : 0, c.capacity = 800, c.groups = 2, c.weights = true, c.causal = true;
      c.keys = {790, 70, 0}, c.queries = {35, 70, 1}, c.query_bound = 70, c.key_bound = 795;
      if (n % 2 == 1) c.window = 200, c.last_rows = 40, c.weight_heads = {1}, c.weights_dtype = MO_DTYPE_FLOAT16;
      check(c, static_cast<unsigned>(n++));
    }
  }
}

TEST(AttentionCache, WithoutLengthsEveryRowIsFull) {
  Case c;
  c.source = Keys::kCache, c.capacity = 40, c.keys = {40, 40}, c.queries = {7, 40}, c.lengths_given = false, c.causal = true;
  check(c);
  c.keys = {33, 33}, c.key_bound = 33;
  check(c);
}

// A prompt in chunks over a paged cache, rows with different pasts in one call, equals the prompt at once.
TEST(AttentionCache, ChunkedPrefillEqualsOnePrefill) {
  const int64_t heads = 4, kv = 2, dim = 32, page = 16, pages = 6;
  const std::vector<int64_t> lengths = {75, 1, 40};
  const int64_t count = 3, total = 116;
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {dtype, MO_DTYPE_INT8}) {
      std::mt19937 random(11);
      Context context;
      TestTensor query(dtype, {1, heads, total, dim}), key(dtype, {1, kv, total, dim}), value(dtype, {1, kv, total, dim});
      query.fill_uniform(random, -1, 1), key.fill_uniform(random, -1, 1), value.fill_uniform(random, -1, 1);
      std::vector<TestTensor> results;
      for (const int64_t chunk : {int64_t{1000}, int64_t{23}}) {
        TestTensor cache_key(stored, {count * pages, kv, page, dim}), cache_value(stored, {count * pages, kv, page, dim});
        TestTensor key_scale(MO_DTYPE_FLOAT32, {count * pages, kv, page, 1}), value_scale = key_scale;
        TestTensor table(MO_DTYPE_INT32, {count, pages}), output(dtype, {1, heads, total, dim});
        for (int64_t i = 0; i < count * pages; ++i) table.set({i / pages, i % pages}, static_cast<double>((7 * i + 3) % 18));
        const mo_tensor ck = cache_key.tensor(), cv = cache_value.tensor(), ks = key_scale.tensor(), vs = value_scale.tensor(),
                        bt = table.tensor();
        mo_kv_view view = {&ck, &cv, nullptr, nullptr, &bt};
        if (stored == MO_DTYPE_INT8) view.key_scale = &ks, view.value_scale = &vs;
        std::vector<int64_t> past(3, 0);
        while (past != lengths) {
          std::vector<int64_t> now;
          int64_t tokens = 0;
          TestTensor cumulative(MO_DTYPE_INT32, {count + 1}), offsets(MO_DTYPE_INT32, {count}), after(MO_DTYPE_INT32, {count});
          cumulative.set({0}, 0);
          for (int64_t n = 0; n < count; ++n) {
            const auto at = static_cast<size_t>(n);
            now.push_back(std::min(chunk + 5 * n, lengths[at] - past[at]));
            offsets.set({n}, static_cast<double>(past[at]));
            after.set({n}, static_cast<double>(past[at] + now[at]));
            cumulative.set({n + 1}, static_cast<double>(tokens += now[at]));
          }
          TestTensor q(dtype, {1, heads, tokens, dim}), k(dtype, {1, kv, tokens, dim}), v = k,
                                                                                        o(dtype, {1, heads, tokens, dim});
          const auto move = [&](const TestTensor &from, TestTensor &to, int64_t h_count, bool back) {
            int64_t first = 0, place = 0;
            for (int64_t n = 0; n < count; first += lengths[static_cast<size_t>(n++)]) {
              for (int64_t t = 0; t < now[static_cast<size_t>(n)]; ++t, ++place) {
                for (int64_t h = 0; h < h_count; ++h) {
                  for (int64_t d = 0; d < dim; ++d) {
                    const Shape whole = {0, h, first + past[static_cast<size_t>(n)] + t, d}, part = {0, h, place, d};
                    to.set(back ? whole : part, from.at(back ? part : whole));
                  }
                }
              }
            }
          };
          move(query, q, heads, false), move(key, k, kv, false), move(value, v, kv, false);
          const mo_tensor qt = q.tensor(), kt = k.tensor(), vt = v.tensor(), ot = o.tensor(), cu = cumulative.tensor(),
                          of = offsets.tensor(), le = after.tensor();
          mo_kv_update_layer layer = {view, &kt, &vt};
          mo_kv_update_params update = MO_KV_UPDATE_PARAMS_INIT;
          update.layers = &layer, update.layer_count = 1, update.offsets = &of, update.cumulative_lengths = &cu;
          ASSERT_EQ(test_kv_update(context, &update), MO_STATUS_OK) << mo_last_error();
          mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
          params.query = &qt, params.output = &ot, params.cache = &view, params.key_lengths = &le;
          params.cumulative_query_lengths = &cu, params.causal = true;
          ASSERT_EQ(test_attention(context, &params), MO_STATUS_OK) << mo_last_error();
          move(o, output, heads, true);
          for (int64_t n = 0; n < count; ++n) past[static_cast<size_t>(n)] += now[static_cast<size_t>(n)];
        }
        if (results.empty()) {
          results.push_back(output);
          continue;
        }
        double worst = 0;
        output.for_each([&](const Shape &i) { worst = std::max(worst, std::fabs(output.at(i) - results[0].at(i))); });
        EXPECT_LE(worst, dtype == MO_DTYPE_FLOAT32 ? 1e-6 : dtype == MO_DTYPE_FLOAT16 ? 0x1p-10 : 0x1p-7);
      }
    }
  }
}

// A prefix that all sequences share is attended to once for all of them, their own keys apart; the two states merge.
TEST(AttentionCache, SharedPrefixMergesToTheWhole) {
  const int64_t heads = 4, kv = 2, dim = 16, prefix = 45, count = 3;
  const std::vector<int64_t> own = {9, 1, 30}, fresh = {9, 1, 12};
  std::mt19937 random(13);
  Context context;
  const int64_t queries = 22, keys = 40;
  TestTensor query(MO_DTYPE_FLOAT32, {1, heads, queries, dim}), prefix_key(MO_DTYPE_FLOAT32, {1, kv, prefix, dim}),
      prefix_value = prefix_key, own_key(MO_DTYPE_FLOAT32, {1, kv, keys, dim}), own_value = own_key;
  for (TestTensor *b : {&query, &prefix_key, &prefix_value, &own_key, &own_value}) b->fill_uniform(random, -1, 1);
  const int64_t whole_keys = keys + count * prefix;
  TestTensor all_key(MO_DTYPE_FLOAT32, {1, kv, whole_keys, dim}), all_value = all_key;
  TestTensor cumulative_queries(MO_DTYPE_INT32, {count + 1}), cumulative_own = cumulative_queries,
                                                              cumulative_all = cumulative_own;
  for (TestTensor *b : {&cumulative_queries, &cumulative_own, &cumulative_all}) b->set({0}, 0);
  int64_t q = 0, k = 0, all = 0;
  for (int64_t n = 0; n < count; ++n) {
    const auto at = static_cast<size_t>(n);
    for (int64_t j = 0; j < prefix + own[at]; ++j)
      for (int64_t h = 0; h < kv; ++h)
        for (int64_t d = 0; d < dim; ++d) {
          const bool shared = j < prefix;
          const Shape from = {0, h, shared ? j : k + j - prefix, d}, to = {0, h, all + j, d};
          all_key.set(to, (shared ? prefix_key : own_key).at(from));
          all_value.set(to, (shared ? prefix_value : own_value).at(from));
        }
    cumulative_queries.set({n + 1}, static_cast<double>(q += fresh[at]));
    cumulative_own.set({n + 1}, static_cast<double>(k += own[at]));
    cumulative_all.set({n + 1}, static_cast<double>(all += prefix + own[at]));
  }
  TestTensor output_a(MO_DTYPE_FLOAT32, {1, heads, queries, dim}), output_b = output_a, merged = output_a, whole = output_a;
  TestTensor lse_a(MO_DTYPE_FLOAT32, {1, heads, queries}), lse_b = lse_a, lse_merged = lse_a, lse_whole = lse_a;
  const auto attend = [&](TestTensor &to, TestTensor &lse, TestTensor &key, TestTensor &value, TestTensor *lengths,
                          bool causal) {
    const mo_tensor qt = query.tensor(), kt = key.tensor(), vt = value.tensor(), ot = to.tensor(), lt = lse.tensor(),
                    cq = cumulative_queries.tensor(), ck = lengths == nullptr ? mo_tensor{} : lengths->tensor();
    mo_attention_params params = MO_ATTENTION_PARAMS_INIT;
    params.query = &qt, params.key = &kt, params.value = &vt, params.output = &ot, params.log_sum_exp = &lt;
    params.causal = causal;
    if (lengths != nullptr) params.cumulative_query_lengths = &cq, params.cumulative_key_lengths = &ck;
    ASSERT_EQ(test_attention(context, &params), MO_STATUS_OK) << mo_last_error();
  };
  attend(output_a, lse_a, prefix_key, prefix_value, nullptr, false);
  attend(output_b, lse_b, own_key, own_value, &cumulative_own, true);
  attend(whole, lse_whole, all_key, all_value, &cumulative_all, true);
  const mo_tensor oa = output_a.tensor(), ob = output_b.tensor(), la = lse_a.tensor(), lb = lse_b.tensor(),
                  om = merged.tensor(), lm = lse_merged.tensor();
  mo_attention_merge_params merge = MO_ATTENTION_MERGE_PARAMS_INIT;
  merge.output = &om, merge.log_sum_exp = &lm, merge.output_a = &oa, merge.log_sum_exp_a = &la, merge.output_b = &ob,
  merge.log_sum_exp_b = &lb;
  ASSERT_EQ(test_attention_merge(context, &merge), MO_STATUS_OK) << mo_last_error();
  merged.for_each([&](const Shape &i) { EXPECT_NEAR(merged.at(i), whole.at(i), 2e-6); });
  lse_merged.for_each([&](const Shape &i) { EXPECT_NEAR(lse_merged.at(i), lse_whole.at(i), 1e-5); });
}

// Quantised storage gives what attention over the dequantised tensors of mo_kv_gather gives.
TEST(AttentionCache, QuantisedEqualsGathered) {
  for (const mo_dtype_t dtype : kDtypes) {
    for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      Case c;
      c.dtype = dtype, c.source = Keys::kCache, c.stored = stored, c.page_size = 16, c.groups = 2, c.causal = true;
      c.keys = {60, 60}, c.queries = {20, 33}, c.head_dim = c.value_dim = 32;
      Problem p(c);
      Context context;
      ASSERT_EQ(p.run(context), MO_STATUS_OK) << mo_last_error();
      TestTensor key(dtype, {2, c.kv_heads, 60, 32}), value = key, output = p.output;
      const mo_tensor kt = key.tensor(), vt = value.tensor(), ck = p.key.buffer.tensor(), cv = p.value.buffer.tensor(),
                      ks = p.key.scale.tensor(), vs = p.value.scale.tensor(), bt = p.table.tensor(), ot = output.tensor();
      mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
      gather.source = {&ck, &cv, &ks, &vs, &bt};
      gather.destination.key = &kt, gather.destination.value = &vt;
      ASSERT_EQ(test_kv_gather(context, &gather), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(p.run(context,
                      [&](mo_attention_params &params) {
                        params.cache = nullptr, params.key = &kt, params.value = &vt, params.key_lengths = nullptr;
                        params.output = &ot;
                      }),
                MO_STATUS_OK)
          << mo_last_error();
      EXPECT_EQ(output.memory(), p.output.memory()) << mo_dtype_name(dtype) << " " << mo_dtype_name(stored);
    }
  }
}

TEST(AttentionCacheProcess, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
