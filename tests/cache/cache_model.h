// tests/cache/cache_model.h - the simple model that caches are compared with: every row of every layer is the list of the
// tokens it has seen; what must be held and shown follows from the list.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_TESTS_CACHE_CACHE_MODEL_H
#define MO_TESTS_CACHE_CACHE_MODEL_H

#include <algorithm>
#include <cmath>
#include <set>

#include "cache_tensors.h"

namespace cache_test {

struct Setup {
  mo_cache_kind_t kind;
  int64_t layers, batch, heads, key_size, value_size, window, max_length;
  mo_dtype_t dtype, storage;
  int64_t group_size;
  bool keeps_addresses = false;
};

using Row = std::vector<int>;
using Layer = std::vector<Row>;

/* What a token's heads are made of: exact in every float dtype. 0 stands for an empty slot. */
inline float Element(int token, int64_t head, int64_t d, bool value) {
  if (token == 0) return 0.0f;
  const int64_t mixed = token * 37 + head * 11 + d * 5 + (value ? 17 : 0);
  return static_cast<float>(mixed % 127 - 63) * 0.25f;
}

inline int64_t StaticSlots(const Setup &setup) {
  return setup.kind == MO_CACHE_STATIC_SLIDING ? std::min(setup.window, setup.max_length) : setup.max_length;
}

inline Row Last(const Row &row, int64_t count) {
  const auto size = static_cast<int64_t>(row.size());
  return Row(row.end() - std::min(size, count), row.end());
}

inline Row Padded(Row row, int64_t slots) {
  row.resize(static_cast<size_t>(slots), 0);
  return row;
}

/* What a layer holds of a row; static layers with their empty slots. */
inline Row Held(const Setup &setup, const Row &row) {
  switch (setup.kind) {
    case MO_CACHE_SLIDING:
      return Last(row, setup.window - 1);
    case MO_CACHE_STATIC:
    case MO_CACHE_STATIC_SLIDING:
      return Padded(Last(row, StaticSlots(setup)), StaticSlots(setup));
    default:
      return row;
  }
}

/* What update gives back: `row` has the new tokens already, `fresh` of them. */
inline Row Returned(const Setup &setup, const Row &row, int64_t fresh) {
  const auto seen = static_cast<int64_t>(row.size()), before = seen - fresh, slots = StaticSlots(setup);
  switch (setup.kind) {
    case MO_CACHE_SLIDING:
      return Last(row, std::min(before, setup.window - 1) + fresh);
    case MO_CACHE_STATIC_SLIDING:
      if (seen <= slots || fresh == 0) return Held(setup, row);
      return Last(row, (before >= slots ? slots - 1 : before) + fresh);
    default:
      return Held(setup, row);
  }
}

inline std::vector<float> Elements(const Setup &setup, const Layer &rows, bool value) {
  const int64_t size = value ? setup.value_size : setup.key_size;
  std::vector<float> elements;
  for (const Row &row : rows) {
    for (int64_t h = 0; h < setup.heads; ++h) {
      for (const int token : row) {
        for (int64_t d = 0; d < size; ++d) elements.push_back(Element(token, h, d, value));
      }
    }
  }
  return elements;
}

/* The bound of quantisation: half a step of int8, a relative half unit of e4m3, of the largest element that shares the scale.
 */
inline void ExpectElements(const Setup &setup, const std::vector<float> &found, const std::vector<float> &wanted,
                           const char *what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  if (setup.storage == MO_DTYPE_NONE) {
    ASSERT_EQ(found, wanted) << what;
    return;
  }
  for (size_t i = 0; i < found.size(); ++i) {
    const double largest = 63 * 0.25;
    const double step = setup.storage == MO_DTYPE_INT8 ? 0.51 * largest / 127 : 0.0626 * std::fabs(wanted[i]) + largest / 448;
    ASSERT_NEAR(found[i], wanted[i], step + 0.005 * std::fabs(wanted[i])) << what << " element " << i;
  }
}

inline mo_cache_options OptionsOf(const Setup &setup, mo_page_pool_t *pool) {
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  options.kind = setup.kind;
  const bool is_static = setup.kind == MO_CACHE_STATIC || setup.kind == MO_CACHE_STATIC_SLIDING;
  options.layer_count = is_static ? setup.layers : 0;
  options.max_length = is_static ? setup.max_length : 0;
  options.window = setup.window;
  if (setup.kind == MO_CACHE_QUANTIZED) options.storage_dtype = setup.storage, options.group_size = setup.group_size;
  options.page_pool = pool;
  options.keeps_addresses = setup.keeps_addresses;
  return options;
}

/* New tokens for every row: the same number, each row its own. */
class NewTokens {
 public:
  NewTokens(mo_context_t *context, const Setup &setup, const std::vector<Row> &rows)
      : key_(context, setup.dtype, Shape(setup, rows, false), Filler(setup, rows, false)),
        value_(context, setup.dtype, Shape(setup, rows, true), Filler(setup, rows, true)) {}
  mo_tensor *key() { return key_.get(); }
  mo_tensor *value() { return value_.get(); }

 private:
  static std::vector<int64_t> Shape(const Setup &setup, const std::vector<Row> &rows, bool value) {
    return {static_cast<int64_t>(rows.size()), setup.heads, static_cast<int64_t>(rows[0].size()),
            value ? setup.value_size : setup.key_size};
  }
  static std::function<float(int64_t)> Filler(const Setup &setup, const std::vector<Row> &rows, bool value) {
    return [elements = Elements(setup, rows, value)](int64_t i) { return elements[static_cast<size_t>(i)]; };
  }
  DeviceTensor key_, value_;
};

/* Compares what an entry shows with the model. */
inline void ExpectEntry(mo_context_t *context, const Setup &setup, const mo_cache_entry &entry, const Layer &wanted) {
  const bool plain = setup.kind != MO_CACHE_QUANTIZED && setup.kind != MO_CACHE_PAGED;
  size_t longest = 0;
  for (const Row &row : wanted) longest = std::max(longest, row.size());
  ASSERT_EQ(entry.length, static_cast<int64_t>(longest));
  if (entry.view.key == nullptr) {
    ASSERT_EQ(longest, 0u);
    return;
  }
  if (plain) {
    ExpectElements(setup, Read(context, entry.key), Elements(setup, wanted, false), "keys");
    ExpectElements(setup, Read(context, entry.value), Elements(setup, wanted, true), "values");
  } else {
    ASSERT_EQ(entry.key.dtype, MO_DTYPE_NONE);
  }
  if (longest == 0) return;
  /* Rows of different lengths: the slots behind a row's tokens are nobody's. */
  const auto batch = static_cast<int64_t>(wanted.size()), length = static_cast<int64_t>(longest);
  if (setup.kind == MO_CACHE_PAGED) {
    bool differ = false;
    for (const Row &row : wanted) differ |= row.size() != longest;
    ASSERT_EQ(entry.lengths.dtype, differ ? MO_DTYPE_INT32 : MO_DTYPE_NONE);
  }
  for (const bool value : {false, true}) {
    const std::vector<float> all = Gather(context, entry.view, batch, length, value, setup.dtype);
    const int64_t size = value ? setup.value_size : setup.key_size;
    std::vector<float> tokens;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t h = 0; h < setup.heads; ++h) {
        const auto from = all.begin() + ((b * setup.heads + h) * length) * size;
        tokens.insert(tokens.end(), from, from + static_cast<int64_t>(wanted[static_cast<size_t>(b)].size()) * size);
      }
    }
    ExpectElements(setup, tokens, Elements(setup, wanted, value), value ? "values of the view" : "keys of the view");
  }
}

}  // namespace cache_test

#endif
