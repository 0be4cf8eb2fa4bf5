/* tests/ops/kv_update_test.cc - cache update and gather against a plain model: an array of what each slot of each row must
 * hold.
 *
 * Copies are exact. Turned keys err by the rotary embedding's bound. Quantised storage is compared with the rule itself: the
 * scale, and every element's nearest code.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <algorithm>
#include <limits>
#include <memory>

#include "host/rules/kv_quantise.h"
#include "kv_store.h"
#include "kv_update_shim.h"
#include "op_test.h"

/* tests/simulated_device/control.h; there only in programs that hold the simulated device. */
extern "C" uint64_t simulated_launch_count(void) __attribute__((weak));

namespace {

using op_test::Buffer;

using kv_store::OneLayer;
using kv_store::Shape;
using kv_store::Store;
using kv_store::Stored;

class KvUpdate : public op_test::OpTest {
 protected:
  /* One head as it must be stored. */
  void CompareHead(const Store &store, const Buffer &stored, const Buffer &scales, const std::vector<double> &values,
                   const std::vector<double> &bounds, int64_t row, int64_t head, int64_t token) {
    const uint8_t *at = store.at(stored, row, head, token);
    const auto size = static_cast<int64_t>(values.size());
    if (!store.quantised) {
      for (int64_t i = 0; i < size; ++i)
        ASSERT_NEAR(
            Stored(store.dtype, at, i), values[static_cast<size_t>(i)],
            bounds[static_cast<size_t>(i)] == 0
                ? 0
                : bounds[static_cast<size_t>(i)] + op_test::rounding(store.dtype, std::fabs(values[static_cast<size_t>(i)]) +
                                                                                      bounds[static_cast<size_t>(i)]))
            << "row " << row << " head " << head << " token " << token << " element " << i;
      return;
    }
    const int64_t width = size / store.shape.groups;
    const double largest_code = store.dtype == MO_DTYPE_INT8 ? 127 : 448;
    for (int64_t g = 0; g < store.shape.groups; ++g) {
      double largest = 0;
      for (int64_t i = g * width; i < (g + 1) * width; ++i)
        largest = std::max(largest, std::fabs(values[static_cast<size_t>(i)]));
      const double scale = store.scale(scales, row, head, token, g);
      ASSERT_NEAR(scale, largest / largest_code, 1e-6 * largest) << "group " << g;
      for (int64_t i = g * width; i < (g + 1) * width; ++i) {
        const double found = Stored(store.dtype, at, i) * scale, wanted = values[static_cast<size_t>(i)];
        const double step = store.dtype == MO_DTYPE_INT8 ? 0.5 * scale : std::max(std::fabs(wanted) * 0x1p-4, scale * 0x1p-10);
        ASSERT_NEAR(found, wanted, 1.00001 * step + bounds[static_cast<size_t>(i)] + 1e-6 * largest) << "element " << i;
      }
    }
  }

  static std::vector<double> Head(const Buffer &source, int64_t row, int64_t head, int64_t token) {
    const mo_tensor &t = const_cast<Buffer &>(source).tensor();
    std::vector<double> values;
    for (int64_t i = 0; i < t.shape[3]; ++i)
      values.push_back(source.get(((row * t.shape[1] + head) * t.shape[2] + token) * t.shape[3] + i));
    return values;
  }
};

constexpr mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};

const Shape kShapes[] = {
    {1, 1, 1, 1, 1},
    {2, 3, 8, 8, 11},
    {2, 2, 64, 64, 40, 16, 2},
    {3, 2, 24, 40, 33, 16, 4, true},
    {1, 4, 128, 128, 70, 64, 1, true, 8},
    {2, 1, 17, 5, 9, 0, 1, true, 3},
    {2, 2, 80, 80, 19, 0, 5, false, 1},
    /* whole vectors on a GPU: groups that are no power of two vectors wide, sizes that differ, several heads per warp, a gap */
    {2, 3, 72, 24, 20, 16, 3},
    {1, 5, 40, 80, 12, 0, 1, true},
    {2, 1, 96, 192, 21, 16, 2, true, 16},
    {1, 2, 256, 8, 9},
    {1, 1, 576, 512, 7, 0, 4},
};

TEST_F(KvUpdate, EveryStorageAndSize) {
  for (const Shape &shape : kShapes) {
    for (const mo_dtype_t source : kFloats) {
      for (const mo_dtype_t stored : {source, MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
        SCOPED_TRACE(testing::Message() << shape.heads << " heads of " << shape.key_size << ", pages of " << shape.page_size
                                        << ", " << mo_dtype_name(source) << " stored as " << mo_dtype_name(stored));
        Store store(shape, stored, random_);
        const int64_t length = std::min<int64_t>(shape.capacity, 5), offset = shape.capacity - length;
        Buffer key(source, {shape.batch, shape.heads, length, shape.key_size}, shape.gap);
        Buffer value(source, {shape.batch, shape.heads, length, shape.value_size});
        key.fill(random_, 3.0), value.fill(random_, 0.1);
        OneLayer call(store.view(), key, value);
        mo_kv_update_params &params = call.params;
        params.offset = offset;
        ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
        for (int64_t b = 0; b < shape.batch; ++b) {
          for (int64_t h = 0; h < shape.heads; ++h) {
            for (int64_t t = 0; t < offset; ++t) ASSERT_TRUE(store.untouched(b, h, t));
            for (int64_t t = 0; t < length; ++t) {
              const std::vector<double> k = Head(key, b, h, t), v = Head(value, b, h, t);
              CompareHead(store, store.key, store.key_scale, k, std::vector<double>(k.size()), b, h, offset + t);
              CompareHead(store, store.value, store.value_scale, v, std::vector<double>(v.size()), b, h, offset + t);
            }
          }
        }
      }
    }
  }
}

/* Keys are turned, values are not; every row has its own first slot and number of new tokens; three layers at once. */
TEST_F(KvUpdate, TurnedKeysOfSeveralLayersAndRaggedRows) {
  const Shape shapes[] = {{3, 2, 32, 16, 50, 16, 2}, {3, 2, 32, 16, 50, 0, 2, true}};
  for (const Shape &shape : shapes) {
    /* of 12 pairs and of 16: the first are whole vectors in float32 alone */
    const struct {
      mo_dtype_t source, stored;
      int64_t pairs;
    } cases[] = {{MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, 12},   {MO_DTYPE_FLOAT32, MO_DTYPE_INT8, 12},
                 {MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, 16}, {MO_DTYPE_BFLOAT16, MO_DTYPE_INT8, 8},
                 {MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT16, 4},    {MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT8_E4M3, 13}};
    for (const auto &[source, stored, pairs] : cases) {
      for (const mo_rotary_pairing_t pairing : {MO_ROTARY_HALVES, MO_ROTARY_INTERLEAVED}) {
        const int64_t length = 4, positions = 60;
        Buffer cosine(MO_DTYPE_FLOAT32, {positions, pairs}), sine(MO_DTYPE_FLOAT32, {positions, pairs});
        mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
        config.rotary_dim = 2 * pairs;
        ASSERT_EQ(mo_rotary_fill_tables(&config, positions, 0, static_cast<float *>((&cosine)->data),
                                        static_cast<float *>((&sine)->data)),
                  MO_STATUS_OK);
        mo_rotary rotary = {};
        rotary.cosine = &cosine, rotary.sine = &sine, rotary.pairing = pairing;
        Buffer offsets(MO_DTYPE_INT32, {3}, 0), counts(MO_DTYPE_INT32, {3}), ids(MO_DTYPE_INT64, {3, length});
        const int64_t first[3] = {0, 46, 17}, count[3] = {4, 4, 2};
        for (int64_t b = 0; b < 3; ++b) {
          offsets.set(b, static_cast<double>(first[b])), counts.set(b, static_cast<double>(count[b]));
          for (int64_t t = 0; t < length; ++t) ids.set(b * length + t, static_cast<double>((7 * b + 11 * t + 3) % positions));
        }
        for (const bool own_positions : {false, true}) {
          std::vector<std::unique_ptr<Store>> stores;
          std::vector<std::unique_ptr<Buffer>> keys, values;
          std::vector<mo_kv_update_layer> layers;
          for (int i = 0; i < 3; ++i) {
            stores.push_back(std::make_unique<Store>(shape, stored, random_));
            keys.push_back(std::make_unique<Buffer>(source, std::vector<int64_t>{3, 2, length, 32}));
            values.push_back(std::make_unique<Buffer>(source, std::vector<int64_t>{3, 2, length, 16}));
            keys[i]->fill(random_), values[i]->fill(random_);
            mo_kv_update_layer layer = {};
            layer.cache = stores[i]->view();
            layer.key = &keys[i]->tensor(), layer.value = &values[i]->tensor();
            layers.push_back(layer);
          }
          mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
          params.layers = layers.data();
          params.layer_count = 3;
          params.offsets = &offsets;
          params.counts = &counts;
          params.rotary = &rotary;
          if (own_positions) params.position_ids = &ids;
          ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
          for (size_t i = 0; i < 3; ++i) {
            for (int64_t b = 0; b < 3; ++b) {
              for (int64_t h = 0; h < 2; ++h) {
                for (int64_t slot = 0; slot < 50; ++slot) {
                  const int64_t t = slot - first[b];
                  if (t < 0 || t >= count[b]) {
                    ASSERT_TRUE(stores[i]->untouched(b, h, slot)) << "row " << b << " slot " << slot;
                    continue;
                  }
                  const int64_t position = own_positions ? (7 * b + 11 * t + 3) % positions : slot;
                  std::vector<double> k = Head(*keys[i], b, h, t), bounds(k.size());
                  for (int64_t p = 0; p < pairs; ++p) {
                    const bool halves = pairing == MO_ROTARY_HALVES;
                    const auto x = static_cast<size_t>(halves ? p : 2 * p),
                               y = static_cast<size_t>(halves ? pairs + p : 2 * p + 1);
                    const double c = cosine.get(position * pairs + p), s = sine.get(position * pairs + p), kx = k[x], ky = k[y];
                    k[x] = kx * c - ky * s, k[y] = ky * c + kx * s;
                    bounds[x] = bounds[y] = 3 * 0x1p-24 * (std::fabs(kx) + std::fabs(ky));
                  }
                  const std::vector<double> v = Head(*values[i], b, h, t);
                  CompareHead(*stores[i], stores[i]->key, stores[i]->key_scale, k, bounds, b, h, slot);
                  CompareHead(*stores[i], stores[i]->value, stores[i]->value_scale, v, std::vector<double>(v.size()), b, h,
                              slot);
                }
              }
            }
          }
        }
      }
    }
  }
}

/* Codes of e4m3 are the nearest to even, as the library's own conversion gives them; a group of zeros has scale 0. */
TEST_F(KvUpdate, CodesAreTheNearest) {
  Shape shape = {1, 2, 512, 512, 1};
  Store store(shape, MO_DTYPE_FLOAT8_E4M3, random_), zeros(shape, MO_DTYPE_INT8, random_);
  Buffer key(MO_DTYPE_FLOAT32, {1, 2, 1, 512}), value(MO_DTYPE_FLOAT32, {1, 2, 1, 512}),
      nothing(MO_DTYPE_FLOAT32, {1, 2, 1, 512});
  for (int64_t i = 0; i < 1024; ++i) {
    /* 448 in each head, so the scale is 1: halfway points, subnormals, both signs */
    key.set(i, i % 512 == 0 ? 448 : std::ldexp((i % 37) / 16.0, static_cast<int>(i % 19) - 11) * (i % 2 == 0 ? 1 : -1));
    value.set(i, i % 512 == 7 ? -448 : (static_cast<double>(i % 33) + 0.5) * 0x1p-10);
    nothing.set(i, 0);
  }
  OneLayer call(store.view(), key, value);
  mo_kv_update_params &params = call.params;
  ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
  for (int64_t h = 0; h < 2; ++h) {
    for (const bool is_key : {true, false}) {
      const Buffer &source = is_key ? key : value, &stored = is_key ? store.key : store.value;
      ASSERT_EQ(store.scale(is_key ? store.key_scale : store.value_scale, 0, h, 0, 0), 1.0f);
      for (int64_t i = 0; i < 512; ++i) {
        const auto single = static_cast<float>(source.get(h * 512 + i));
        uint8_t code = 0;
        ASSERT_EQ(mo_dtype_convert(&code, MO_DTYPE_FLOAT8_E4M3, &single, MO_DTYPE_FLOAT32, 1), MO_STATUS_OK);
        ASSERT_EQ(store.at(stored, 0, h, 0)[i], code) << single;
      }
    }
  }
  OneLayer of_zeros(zeros.view(), nothing, nothing);
  ASSERT_EQ(test_kv_update(context_, &of_zeros.params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(zeros.scale(zeros.key_scale, 0, 1, 0, 0), 0.0f);
  for (int64_t i = 0; i < 512; ++i) ASSERT_EQ(zeros.at(zeros.key, 0, 1, 0)[i], 0);
}

/* The same bits as the rule of host/rules/kv_quantise.h, whatever the values are and wherever a vector ends. */
TEST_F(KvUpdate, CodesAreThoseOfTheRule) {
  const double odd[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-45, -3e-42, 1e-38, 3e38, -3e38, 0.5, 1.0};
  for (const Shape &shape : {Shape{1, 6, 128, 128, 4, 0, 8}, Shape{1, 6, 80, 40, 4, 0, 5}, Shape{1, 6, 72, 48, 4, 0, 3},
                             Shape{1, 6, 256, 64, 4, 0, 2}, Shape{1, 6, 24, 88, 4}, Shape{1, 6, 17, 34, 4, 0, 1},
                             Shape{1, 6, 66, 99, 4, 0, 3}, Shape{1, 6, 1, 63, 4}}) {
    for (const mo_dtype_t stored : {MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      for (const mo_dtype_t source : kFloats) {
        SCOPED_TRACE(testing::Message() << shape.key_size << " in " << shape.groups << " groups, " << mo_dtype_name(source)
                                        << " as " << mo_dtype_name(stored));
        Store store(shape, stored, random_);
        Buffer key(source, {1, shape.heads, 1, shape.key_size}), value(source, {1, shape.heads, 1, shape.value_size});
        for (Buffer *buffer :
             {std::addressof(key),
              std::addressof(value)}) { /* heads of usual, of mixed and of tiny numbers, of zeros, of nothing finite */
          buffer->fill(random_, 2.0);
          for (int64_t h = 1; h < shape.heads; ++h) {
            for (int64_t i = 0; i < buffer->columns(); ++i) {
              const double usual = buffer->get(h * buffer->columns() + i);
              const double mixed = random_() % 5 == 0 ? odd[random_() % std::size(odd)] : usual;
              buffer->set(h * buffer->columns() + i, h == 1   ? (random_() % 9 == 0 ? NAN : usual)
                                                     : h == 2 ? mixed
                                                     : h == 3 ? usual * 1e-43
                                                     : h == 4 ? -0.0
                                                              : odd[random_() % 4]);
            }
          }
        }
        OneLayer call(store.view(), key, value);
        mo_kv_update_params &params = call.params;
        params.offset = 2;
        ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
        for (const bool is_key : {true, false}) {
          const Buffer &from = is_key ? key : value, &codes = is_key ? store.key : store.value;
          const int64_t width = from.columns() / shape.groups;
          for (int64_t i = 0; i < from.count(); ++i) {
            const int64_t head = i / from.columns(), element = i % from.columns(), group = element / width;
            float largest = 0;
            for (int64_t k = 0; k < width; ++k)
              largest = std::fmax(largest, std::fabs(static_cast<float>(from.get(i - element + group * width + k))));
            const float scale = largest / (stored == MO_DTYPE_INT8 ? MO_KV_INT8_LARGEST : MO_KV_E4M3_LARGEST);
            ASSERT_EQ(store.scale(is_key ? store.key_scale : store.value_scale, 0, head, 2, group), scale);
            const float quotient = mo_kv_quotient(static_cast<float>(from.get(i)), scale);
            const int code = store.at(codes, 0, head, 2)[element];
            const int rule = stored == MO_DTYPE_INT8 ? static_cast<uint8_t>(mo_kv_to_int8(quotient)) : mo_kv_to_e4m3(quotient);
            if (stored == MO_DTYPE_FLOAT8_E4M3 && std::isnan(quotient)) ASSERT_EQ(code & 0x7F, 0x7F);
            else ASSERT_EQ(code, rule) << from.get(i) << " of head " << head << ", element " << element << ", scale " << scale;
          }
        }
      }
    }
  }
}

/* Every storage is read back by a gather: rows in any order and repeated, from any token on; as stored, and dequantised. */
TEST_F(KvUpdate, GatherReadsBackWhatWasWritten) {
  for (const Shape &shape : kShapes) {
    for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16, MO_DTYPE_INT8, MO_DTYPE_FLOAT8_E4M3}) {
      const bool quantised = stored == MO_DTYPE_INT8 || stored == MO_DTYPE_FLOAT8_E4M3;
      Store store(shape, stored, random_);
      const mo_dtype_t source = quantised ? MO_DTYPE_FLOAT32 : stored;
      Buffer key(source, {shape.batch, shape.heads, shape.capacity, shape.key_size});
      Buffer value(source, {shape.batch, shape.heads, shape.capacity, shape.value_size});
      key.fill(random_), value.fill(random_);
      OneLayer call(store.view(), key, value);
      ASSERT_EQ(test_kv_update(context_, &call.params), MO_STATUS_OK) << mo_last_error();

      const int64_t start = shape.capacity / 3, length = shape.capacity - start, count = shape.batch + 2;
      Buffer rows(MO_DTYPE_INT32, {count});
      for (int64_t n = 0; n < count; ++n) rows.set(n, static_cast<double>((2 * n + 1) % shape.batch));
      const struct {
        mo_dtype_t dtype;
        int64_t gap; /* 16 bytes, or what makes every second head unaligned */
      } targets[] = {{stored, 4}, {stored, 16}, {MO_DTYPE_FLOAT32, 4}, {MO_DTYPE_FLOAT16, 4}, {MO_DTYPE_FLOAT16, 8}};
      for (const auto &[target, gap] : targets) {
        if (target != stored && !quantised) continue;
        SCOPED_TRACE(testing::Message() << shape.key_size << " elements, " << mo_dtype_name(stored) << " to "
                                        << mo_dtype_name(target) << ", gap " << gap);
        Shape wanted = shape;
        wanted.batch = count, wanted.capacity = length, wanted.page_size = 0, wanted.gap = gap;
        Store result(wanted, target, random_);
        mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
        gather.source = store.view();
        gather.destination = result.view();
        gather.rows = &rows;
        gather.start = start;
        ASSERT_EQ(test_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
        for (int64_t n = 0; n < count; ++n) {
          const auto b = static_cast<int64_t>(rows.get(n));
          for (int64_t h = 0; h < shape.heads; ++h) {
            for (int64_t t = 0; t < length; ++t) {
              for (int64_t i = 0; i < shape.key_size; ++i) {
                const double code = Stored(stored, store.at(store.key, b, h, start + t), i);
                const double found = Stored(target, result.at(result.key, n, h, t), i);
                if (target == stored) {
                  ASSERT_EQ(found, code);
                  continue;
                }
                const float scale = store.scale(store.key_scale, b, h, start + t, i / (shape.key_size / shape.groups));
                ASSERT_EQ(found, op_test::rounded(target, static_cast<float>(code) * scale));
              }
              for (int64_t g = 0; result.quantised && g < shape.groups; ++g) {
                ASSERT_EQ(result.scale(result.value_scale, n, h, t, g), store.scale(store.value_scale, b, h, start + t, g));
              }
            }
          }
        }
      }
    }
  }
}

/* The same bits whether heads are whole vectors or lie somewhere between: turned, quantised, copied; also where a lane of a GPU
 * has several heads. */
TEST_F(KvUpdate, WholeVectorsAndOthersStoreTheSame) {
  const struct {
    Shape shape;
    mo_dtype_t source, stored;
    int64_t pairs;
  } cases[] = {{{2, 3, 64, 64, 9, 0, 2}, MO_DTYPE_BFLOAT16, MO_DTYPE_INT8, 32},
               {{2, 3, 80, 40, 9, 0, 1}, MO_DTYPE_FLOAT16, MO_DTYPE_FLOAT8_E4M3, 16},
               {{1, 2, 72, 72, 9, 0, 3}, MO_DTYPE_FLOAT16, MO_DTYPE_INT8, 24},
               {{1, 2, 128, 64, 9}, MO_DTYPE_BFLOAT16, MO_DTYPE_BFLOAT16, 64},
               {{1, 2, 48, 64, 9, 0, 4}, MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT8_E4M3, 20},
               {{1, 2, 24, 1024, 9}, MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, 0},
               {{3, 5, 128, 128, 90}, MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT32, 0},
               {{3, 5, 128, 128, 90}, MO_DTYPE_FLOAT32, MO_DTYPE_INT8, 64}};
  for (const auto &c : cases) {
    for (const mo_rotary_pairing_t pairing : {MO_ROTARY_HALVES, MO_ROTARY_INTERLEAVED}) {
      if (c.pairs == 0 && pairing != MO_ROTARY_HALVES) continue;
      SCOPED_TRACE(testing::Message() << c.shape.key_size << " elements, " << mo_dtype_name(c.source) << " as "
                                      << mo_dtype_name(c.stored) << ", " << c.pairs << " pairs, pairing " << pairing);
      const Shape &shape = c.shape;
      Buffer cosine(MO_DTYPE_FLOAT32, {shape.capacity, c.pairs}), sine(MO_DTYPE_FLOAT32, {shape.capacity, c.pairs});
      cosine.fill(random_), sine.fill(random_);
      mo_rotary rotary = {};
      rotary.cosine = &cosine, rotary.sine = &sine, rotary.pairing = pairing;
      Store whole(shape, c.stored, random_), between = whole;
      const std::vector<int64_t> keys = {shape.batch, shape.heads, shape.capacity, shape.key_size};
      const std::vector<int64_t> values = {shape.batch, shape.heads, shape.capacity, shape.value_size};
      Buffer key(c.source, keys), value(c.source, values), key_between(c.source, keys, 1), value_between(c.source, values, 1);
      key.fill(random_), value.fill(random_);
      for (int64_t i = 0; i < key.count(); ++i) key_between.set(i, key.get(i));
      for (int64_t i = 0; i < value.count(); ++i) value_between.set(i, value.get(i));
      OneLayer first(whole.view(), key, value), second(between.view(), key_between, value_between);
      if (c.pairs > 0) first.params.rotary = second.params.rotary = &rotary;
      ASSERT_EQ(test_kv_update(context_, &first.params), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(test_kv_update(context_, &second.params), MO_STATUS_OK) << mo_last_error();
      EXPECT_FALSE(whole.untouched(shape.batch - 1, shape.heads - 1, shape.capacity - 1));
      EXPECT_EQ(whole.key.memory(), between.key.memory());
      EXPECT_EQ(whole.value.memory(), between.value.memory());
      EXPECT_EQ(whole.key_scale.memory(), between.key_scale.memory());
      EXPECT_EQ(whole.value_scale.memory(), between.value_scale.memory());
    }
  }
}

/* New tokens of all rows packed store what the same tokens, row by row with counts, store; tokens of no row are not read. */
TEST_F(KvUpdate, PackedRowsStoreWhatRaggedOnesDo) {
  const Shape shape = {4, 2, 32, 16, 48, 16, 2};
  const int64_t count[4] = {3, 0, 7, 1}, first[4] = {40, 5, 11, 0}, longest = 7, total = 13, lead = 1, pairs = 12;
  Buffer cosine(MO_DTYPE_FLOAT32, {60, pairs}), sine(MO_DTYPE_FLOAT32, {60, pairs});
  mo_rotary_config config = MO_ROTARY_CONFIG_INIT;
  config.rotary_dim = 2 * pairs;
  ASSERT_EQ(mo_rotary_fill_tables(&config, 60, 0, static_cast<float *>((&cosine)->data), static_cast<float *>((&sine)->data)),
            MO_STATUS_OK);
  mo_rotary rotary = {};
  rotary.cosine = &cosine, rotary.sine = &sine, rotary.pairing = MO_ROTARY_HALVES;
  for (const mo_dtype_t stored : {MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3}) {
    for (const bool own_positions : {false, true}) {
      Store ragged(shape, stored, random_), packed = ragged;
      Buffer key(MO_DTYPE_BFLOAT16, {4, 2, longest, 32}), value(MO_DTYPE_BFLOAT16, {4, 2, longest, 16});
      Buffer packed_key(MO_DTYPE_BFLOAT16, {1, 2, total, 32}), packed_value(MO_DTYPE_BFLOAT16, {1, 2, total, 16});
      Buffer offsets(MO_DTYPE_INT32, {4}), counts(MO_DTYPE_INT32, {4}), cumulative(MO_DTYPE_INT32, {5});
      Buffer ids(MO_DTYPE_INT32, {4, longest}), packed_ids(MO_DTYPE_INT32, {1, total});
      key.fill(random_), value.fill(random_);
      int64_t token = lead;
      for (int64_t b = 0; b < 4; ++b) {
        offsets.set(b, static_cast<double>(first[b])), counts.set(b, static_cast<double>(count[b]));
        cumulative.set(b, static_cast<double>(token));
        for (int64_t t = 0; t < longest; ++t) ids.set(b * longest + t, static_cast<double>((9 * b + 5 * t) % 60));
        for (int64_t t = 0; t < count[b]; ++t, ++token) {
          packed_ids.set(token, static_cast<double>((9 * b + 5 * t) % 60));
          for (int64_t h = 0; h < 2; ++h) {
            for (int64_t i = 0; i < 32; ++i)
              packed_key.set((h * total + token) * 32 + i, key.get(((b * 2 + h) * longest + t) * 32 + i));
            for (int64_t i = 0; i < 16; ++i)
              packed_value.set((h * total + token) * 16 + i, value.get(((b * 2 + h) * longest + t) * 16 + i));
          }
        }
      }
      cumulative.set(4, static_cast<double>(token));
      OneLayer call(ragged.view(), key, value);
      mo_kv_update_layer &layer = call.layer;
      mo_kv_update_params &params = call.params;
      params.offsets = &offsets, params.rotary = &rotary;
      params.counts = &counts, params.position_ids = own_positions ? &ids : nullptr;
      ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
      layer.cache = packed.view(), layer.key = &packed_key, layer.value = &packed_value;
      params.counts = nullptr, params.cumulative_lengths = &cumulative;
      if (own_positions) params.position_ids = &packed_ids;
      ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
      EXPECT_EQ(packed.key.memory(), ragged.key.memory());
      EXPECT_EQ(packed.value.memory(), ragged.value.memory());
      EXPECT_EQ(packed.key_scale.memory(), ragged.key_scale.memory());

      Buffer three(MO_DTYPE_INT32, {3});
      params.cumulative_lengths = &three;
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", "cumulative_lengths");
      params.cumulative_lengths = &cumulative, params.counts = &counts;
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", "along with");
      params.counts = nullptr, layer.key = &key;
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", "key has extent 4");
      if (mo_context_device(context_).kind != MO_DEVICE_KIND_CPU) continue; /* only the CPU looks before it runs */
      layer.key = &packed_key;
      cumulative.set(2, 0);
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", "must not fall");
    }
  }
}

/* A table entry that is no page: nothing is written there, zeros are read. On a GPU any entry outside the pool is. */
TEST_F(KvUpdate, EntriesThatAreNoPages) {
  const Shape shape = {2, 2, 16, 16, 32, 16};
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
    Store store(shape, stored, random_);
    store.table.set(0, -1);
    store.table.set(3, test_device_is_cpu() ? -1 : 1000000);
    const Store before = store;
    Buffer key(MO_DTYPE_FLOAT32, {2, 2, 32, 16}), value(MO_DTYPE_FLOAT32, {2, 2, 32, 16});
    key.fill(random_), value.fill(random_);
    OneLayer call(store.view(), key, value);
    ASSERT_EQ(test_kv_update(context_, &call.params), MO_STATUS_OK) << mo_last_error();
    Shape plain = shape;
    plain.page_size = 0;
    Store result(plain, MO_DTYPE_FLOAT32, random_);
    mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
    gather.source = store.view();
    gather.destination = result.view();
    ASSERT_EQ(test_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t t = 0; t < 32; ++t) {
        const bool there = (b == 0) != (t < 16);
        bool any = false;
        for (int64_t i = 0; i < 16; ++i) {
          const double found = Stored(MO_DTYPE_FLOAT32, result.at(result.value, b, 1, t), i);
          ASSERT_FALSE(std::isnan(found));
          any |= found != 0;
        }
        EXPECT_EQ(any, there) << "row " << b << " token " << t;
      }
    }
  }
}

/* Only the data know of them: the CPU looks at the entries that are used, of all layers, before it writes. */
TEST_F(KvUpdate, TablesThatPointOutside) {
  TEST_ON_CPU_ONLY("a GPU takes such entries for no page: EntriesThatAreNoPages");
  const Shape shape = {2, 2, 16, 16, 64, 16, 2}; /* the pool has 11 pages */
  Shape plain = shape;
  plain.page_size = 0, plain.capacity = 20;
  for (const mo_dtype_t stored : {MO_DTYPE_FLOAT32, MO_DTYPE_INT8}) {
    Store first(shape, stored, random_), second(shape, stored, random_), result(plain, MO_DTYPE_FLOAT32, random_);
    Buffer key(MO_DTYPE_FLOAT32, {2, 2, 20, 16}), value(MO_DTYPE_FLOAT32, {2, 2, 20, 16}), offsets(MO_DTYPE_INT32, {2}),
        counts(MO_DTYPE_INT32, {2}), rows(MO_DTYPE_INT32, {2});
    key.fill(random_), value.fill(random_);
    offsets.set(0, 16), offsets.set(1, 40), counts.set(0, 17), counts.set(1, 0); /* entries 1 and 2 of row 0, none of row 1 */
    rows.set(0, 1), rows.set(1, 1);
    mo_kv_update_layer layers[2] = {};
    layers[0].cache = first.view(), layers[1].cache = second.view();
    layers[0].key = layers[1].key = &key, layers[0].value = layers[1].value = &value;
    mo_kv_update_params update = MO_KV_UPDATE_PARAMS_INIT;
    update.layers = layers, update.layer_count = 2, update.offsets = &offsets, update.counts = &counts;
    mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
    gather.source = first.view(), gather.destination = result.view(), gather.rows = &rows, gather.start = 31;

    const auto refused = [&](Store &store, int64_t index, double entry, bool updates, const char *part) {
      const double own = store.table.get(index);
      store.table.set(index, entry);
      const mo_status_t status = updates ? test_kv_update(context_, &update) : test_kv_gather(context_, &gather);
      expect_error(status, MO_STATUS_INVALID_ARGUMENT, updates ? "cache update" : "cache gather", part);
      for (const Store *s : {&first, &second, &result}) {
        for (const Buffer *b : {&s->key, &s->value, &s->key_scale, &s->value_scale})
          EXPECT_EQ(b->memory(), std::vector<uint8_t>(b->memory().size(), 0xFF)) << part;
      }
      store.table.set(index, own);
    };
    refused(first, 1, -2, true, "block_table holds -2 (row 0, entry 1), the pool has 11 pages and -1 stands for none");
    refused(first, 2, 11, true, "block_table holds 11 (row 0, entry 2)");
    refused(second, 2, INT32_MAX, true, "block_table holds 2147483647 (row 0, entry 2)"); /* the first layer is not written */
    refused(first, 5, INT32_MIN, false, "block_table holds -2147483648 (row 1, entry 1), the pool has 11 pages");
    refused(first, 7, 11, false, "block_table holds 11 (row 1, entry 3)");

    /* What is not used may be anything. */
    for (const int64_t index : {0, 3, 4, 5, 6, 7}) first.table.set(index, 11 + index), second.table.set(index, -2 - index);
    EXPECT_EQ(test_kv_update(context_, &update), MO_STATUS_OK) << mo_last_error();
    for (const int64_t index : {5, 6, 7}) first.table.set(index, static_cast<double>(index));
    EXPECT_EQ(test_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
  }
}

/* Positions outside the tables: the CPU refuses; a GPU makes what turns of the key NaN and leaves all else right. */
TEST_F(KvUpdate, PositionsOutsideTheTables) {
  const int64_t positions = 8, pairs = 4, size = 16;
  const Shape shape = {1, 1, size, size, 12};
  for (const double bad : {-1.0, 8.0, static_cast<double>(INT32_MAX)}) {
    Store store(shape, MO_DTYPE_FLOAT32, random_);
    Buffer key(MO_DTYPE_FLOAT32, {1, 1, 3, size}), value(MO_DTYPE_FLOAT32, {1, 1, 3, size}), ids(MO_DTYPE_INT32, {1, 3}),
        offsets(MO_DTYPE_INT32, {1}), cosine(MO_DTYPE_FLOAT32, {positions, pairs}), sine(MO_DTYPE_FLOAT32, {positions, pairs});
    key.fill(random_), value.fill(random_), cosine.fill(random_), sine.fill(random_);
    ids.set(0, 7), ids.set(1, bad), ids.set(2, 0), offsets.set(0, 6);
    const mo_rotary rotary = {&cosine, &sine, MO_ROTARY_HALVES};
    mo_kv_update_layer layer = {};
    layer.cache = store.view(), layer.key = &key, layer.value = &value;
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = &layer, params.layer_count = 1, params.rotary = &rotary, params.position_ids = &ids;
    if (test_device_is_cpu()) {
      const std::string rule = "position " + std::to_string(static_cast<int32_t>(bad)) + " (row 0, token 1)";
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", rule.c_str());
      params.position_ids = nullptr, params.offsets = &offsets; /* slots 6, 7, 8 */
      expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update",
                   "position 8 (row 0, token 2), outside the tables' range 0..7");
      for (int64_t slot = 0; slot < shape.capacity; ++slot) EXPECT_TRUE(store.untouched(0, 0, slot));
      continue;
    }
    ASSERT_EQ(test_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
    for (int64_t slot = 0; slot < 3; ++slot) {
      for (int64_t i = 0; i < size; ++i) {
        const double stored = Stored(MO_DTYPE_FLOAT32, store.at(store.key, 0, 0, slot), i);
        EXPECT_EQ(std::isnan(stored), slot == 1 && i < 2 * pairs) << "slot " << slot << " element " << i;
        EXPECT_EQ(Stored(MO_DTYPE_FLOAT32, store.at(store.value, 0, 0, slot), i), value.get(slot * size + i));
      }
    }
    EXPECT_TRUE(store.untouched(0, 0, 3));
  }
}

TEST_F(KvUpdate, FromC) {
  std::vector<float> key(2 * 5 * 4, -7.0f), value = key;
  const float new_key[8] = {1, 2, 3, 4, 5, 6, 7, 8}, new_value[8] = {-1, -2, -3, -4, -5, -6, -8, -9};
  ASSERT_EQ(shim_append_token(context_, key.data(), value.data(), 5, new_key, new_value, 2, 4, 3), MO_STATUS_OK)
      << mo_last_error();
  EXPECT_EQ(key[12], 1.0f);
  EXPECT_EQ(key[20 + 12 + 3], 8.0f);
  EXPECT_EQ(value[20 + 12], -5.0f);
  EXPECT_EQ(value[11], -7.0f);
  EXPECT_EQ(value[16], -7.0f);
}

/* One call for all layers, and on a GPU one launch for as many as any model has. */
class DeepModel : public KvUpdate {
 protected:
  static constexpr int64_t kHeads = 2, kCapacity = 3, kSize = 4;

  void make(int32_t count) {
    layers_.assign(static_cast<size_t>(count), {});
    tensors_.clear();
    for (int32_t i = 0; i < count; ++i) {
      for (int which = 0; which < 4; ++which) {
        tensors_.push_back(
            std::make_unique<Buffer>(MO_DTYPE_FLOAT32, std::vector<int64_t>{1, kHeads, which < 2 ? kCapacity : 1, kSize}));
        if (which >= 2) tensors_.back()->fill(random_);
      }
      mo_kv_update_layer &layer = layers_[static_cast<size_t>(i)];
      layer.cache.key = &buffer(i, 0).tensor(), layer.cache.value = &buffer(i, 1).tensor();
      layer.key = &buffer(i, 2).tensor(), layer.value = &buffer(i, 3).tensor();
    }
  }
  Buffer &buffer(int32_t layer, int which) { return *tensors_[static_cast<size_t>(4 * layer + which)]; }
  mo_status_t update(int64_t slot) {
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = layers_.data();
    params.layer_count = static_cast<int32_t>(layers_.size());
    params.offset = slot;
    return test_kv_update(context_, &params);
  }

  std::vector<mo_kv_update_layer> layers_;
  std::vector<std::unique_ptr<Buffer>> tensors_; /* of each layer: cached keys and values, new keys and values */
};

TEST_F(DeepModel, EveryNumberOfLayersInOneLaunch) {
  for (int32_t count : {1, 2, 12, 13, 16, 17, 48, 49, 80, 128, 129}) {
    SCOPED_TRACE(count);
    make(count);
    const bool counts = simulated_launch_count != nullptr && !test_device_is_cpu();
    const uint64_t before = counts ? simulated_launch_count() : 0;
    ASSERT_EQ(update(1), MO_STATUS_OK) << mo_last_error();
    if (counts) {
      EXPECT_EQ(simulated_launch_count() - before, count > 128 ? 2u : 1u);
    }
    for (int32_t layer = 0; layer < count; ++layer) {
      for (int which = 0; which < 2; ++which) {
        for (int64_t i = 0; i < kHeads * kCapacity * kSize; ++i) {
          const int64_t head = i / (kCapacity * kSize), slot = i / kSize % kCapacity, element = i % kSize;
          const double stored = buffer(layer, which).get(i);
          if (slot == 1) ASSERT_EQ(stored, buffer(layer, 2 + which).get(head * kSize + element)) << "layer " << layer;
          else ASSERT_TRUE(std::isnan(stored)) << "layer " << layer << " slot " << slot;
        }
      }
    }
  }
}

TEST_F(DeepModel, RefusesCachesThatReachIntoOtherLayers) {
  make(129);
  const auto refused = [&](int32_t layer, const mo_tensor *&member, const mo_tensor *other) {
    const mo_tensor *const own = member;
    member = other;
    expect_error(update(0), MO_STATUS_INVALID_ARGUMENT, "cache update", "overlap");
    member = own;
    EXPECT_TRUE(std::isnan(buffer(layer, 0).get(0)));
  };
  refused(100, layers_[100].cache.value, &buffer(3, 1).tensor());
  refused(128, layers_[128].cache.key, &buffer(127, 1).tensor());
  mo_tensor slot = buffer(5, 0).tensor(); /* the new key of a layer where another one stores its own */
  slot.shape[2] = 1;
  refused(70, layers_[70].key, &slot);
  refused(6, layers_[6].value, &slot);
  EXPECT_EQ(update(0), MO_STATUS_OK) << mo_last_error();
}

TEST_F(KvUpdate, RefusesWhatItCannotDo) {
  const Shape shape = {2, 2, 8, 8, 10}, paged = {2, 2, 8, 8, 32, 16}, eight = {2, 2, 8, 8, 32, 8}, wide = {2, 2, 16, 8, 10};
  Store store(shape, MO_DTYPE_FLOAT32, random_), quantised(shape, MO_DTYPE_INT8, random_),
      pages(paged, MO_DTYPE_FLOAT32, random_), small(eight, MO_DTYPE_FLOAT32, random_), other(wide, MO_DTYPE_FLOAT32, random_);
  Buffer key(MO_DTYPE_FLOAT32, {2, 2, 3, 8}), value(MO_DTYPE_FLOAT32, {2, 2, 3, 8}), half(MO_DTYPE_FLOAT16, {2, 2, 3, 8}),
      batch(MO_DTYPE_FLOAT32, {3, 2, 3, 8}), three(MO_DTYPE_INT32, {3}), groups(MO_DTYPE_FLOAT32, {2, 2, 10, 3}),
      wide_key(MO_DTYPE_FLOAT32, {2, 2, 3, 16}), offsets(MO_DTYPE_INT32, {2}), counts(MO_DTYPE_INT32, {2}),
      table(MO_DTYPE_FLOAT32, {8, 4}), long_table(MO_DTYPE_FLOAT32, {8, 5});
  key.fill(random_), value.fill(random_);
  const auto refused = [&](const char *part, auto change) {
    mo_kv_update_layer layers[2] = {};
    layers[0].cache = store.view();
    layers[0].key = &key, layers[0].value = &value;
    layers[1] = layers[0];
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = layers;
    params.layer_count = 1;
    change(params, layers);
    expect_error(test_kv_update(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache update", part);
    EXPECT_TRUE(store.untouched(0, 0, 0) && store.untouched(1, 1, 9));
  };
  using P = mo_kv_update_params;
  using L = mo_kv_update_layer;
  refused("struct_size", [](P &p, L *) { p.struct_size = 1; });
  refused("no list", [](P &p, L *) { p.layers = nullptr; });
  refused("cache key", [](P &, L *l) { l->cache.key = nullptr; });
  refused("cache value", [&](P &, L *l) { l->cache.value = &quantised.value; });
  refused("key", [](P &, L *l) { l->key = nullptr; });
  refused("key has dtype float16", [&](P &, L *l) { l->key = &half; });
  refused("key", [&](P &, L *l) { l->key = &batch; });
  refused("key_scale is missing", [&](P &, L *l) { l->cache = quantised.view(), l->cache.key_scale = nullptr; });
  refused("key_scale was given", [&](P &, L *l) { l->cache.key_scale = &quantised.key_scale; });
  refused("3 groups", [&](P &, L *l) { l->cache = quantised.view(), l->cache.value_scale = &groups; });
  refused("pages of 8 tokens", [&](P &, L *l) { l->cache = small.view(); });
  refused("block_table", [&](P &, L *l) { l->cache = pages.view(), l->cache.block_table = &three; });
  refused("3 tokens from slot 8", [](P &p, L *) { p.offset = 8; });
  refused("from slot -1", [](P &p, L *) { p.offset = -1; });
  refused("offsets", [&](P &p, L *) { p.offsets = &three; });
  refused("counts", [&](P &p, L *) { p.counts = &three; });
  refused("overlap", [](P &p, L *) { p.layer_count = 2; });
  refused("later layer", [&](P &p, L *l) { p.layer_count = 2, l[1].cache = other.view(), l[1].key = &wide_key; });
  refused("overlap", [&](P &, L *l) {
    static mo_tensor inside;
    inside = *(&store.key);
    inside.shape[2] = 3;
    l->key = &inside;
  });
  static mo_rotary rotary;
  rotary = {};
  rotary.cosine = rotary.sine = &table;
  refused("the tables have 8 positions", [&](P &p, L *) { p.rotary = &rotary, p.offset = 6; });
  rotary.cosine = rotary.sine = &long_table;
  refused("turn 5 pairs", [&](P &p, L *) { p.rotary = &rotary; });
  if (test_device_is_cpu()) {
    offsets.set(0, 0), offsets.set(1, 8);
    refused("3 tokens from slot 8", [&](P &p, L *) { p.offsets = &offsets; });
    counts.set(0, 4), counts.set(1, 0);
    refused("counts holds 4", [&](P &p, L *) { p.counts = &counts; });
  }
}

TEST_F(KvUpdate, GatherRefusesWhatItCannotDo) {
  const Shape shape = {2, 2, 8, 8, 10}, wide = {2, 2, 16, 8, 10};
  Store store(shape, MO_DTYPE_FLOAT32, random_), result(shape, MO_DTYPE_FLOAT32, random_),
      quantised(shape, MO_DTYPE_INT8, random_), other(wide, MO_DTYPE_FLOAT32, random_), half(shape, MO_DTYPE_FLOAT16, random_);
  Buffer rows(MO_DTYPE_INT32, {2}), three(MO_DTYPE_INT32, {3});
  const auto refused = [&](const char *part, auto change) {
    mo_kv_gather_params params = MO_KV_GATHER_PARAMS_INIT;
    params.source = store.view();
    params.destination = result.view();
    change(params);
    expect_error(test_kv_gather(context_, &params), MO_STATUS_INVALID_ARGUMENT, "cache gather", part);
    EXPECT_TRUE(result.untouched(0, 0, 0) && result.untouched(1, 1, 9));
  };
  using P = mo_kv_gather_params;
  refused("struct_size", [](P &p) { p.struct_size = 1; });
  refused("from float32 to float16", [&](P &p) { p.destination = half.view(); });
  refused("from float32 to int8", [&](P &p) { p.destination = quantised.view(); });
  refused("heads of 16", [&](P &p) { p.destination = other.view(); });
  refused("10 tokens from 1", [](P &p) { p.start = 1; });
  refused("from -1", [](P &p) { p.start = -1; });
  refused("rows", [&](P &p) { p.rows = &three; });
  refused("overlap", [&](P &p) { p.destination = store.view(); });
  if (test_device_is_cpu()) {
    rows.set(0, 1), rows.set(1, 2);
    refused("rows holds 2", [&](P &p) { p.rows = &rows; });
  }
}

// Plain host memory of a pool of pages of 16 tokens, one head of 4 elements, and a table of 4 rows with 3 pages each.
struct Pages {
  explicit Pages(int64_t count) : keys(static_cast<size_t>(count) * 64), values(keys.size()), fresh(4 * 8 * 4, 1.0f) {
    key = Cpu(keys.data(), MO_DTYPE_FLOAT32, {count, 1, 16, 4});
    value = Cpu(values.data(), MO_DTYPE_FLOAT32, {count, 1, 16, 4});
    block_table = Cpu(table, MO_DTYPE_INT32, {4, 3});
    per_row = Cpu(slots, MO_DTYPE_INT32, {4});
    view.key = &key, view.value = &value, view.block_table = &block_table;
  }
  static mo_tensor Cpu(void *data, mo_dtype_t dtype, std::vector<int64_t> shape) {
    return mo_tensor_cpu(data, dtype, static_cast<int32_t>(shape.size()), shape.data());
  }
  bool IsUntouched() const {
    return std::all_of(keys.begin(), keys.end(), [](float x) { return x == 0; });
  }
  mo_status_t Update(mo_context_t *context, int64_t tokens) {
    mo_tensor source = Cpu(fresh.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    mo_kv_update_layer layer = {};
    layer.cache = view, layer.key = layer.value = &source;
    mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
    params.layers = &layer, params.layer_count = 1, params.offsets = &per_row;
    return mo_kv_update(context, &params);
  }
  mo_status_t Attend(mo_context_t *context, int64_t tokens, bool appends = true) {
    std::vector<float> result(static_cast<size_t>(4 * tokens * 4));
    mo_tensor source = Cpu(fresh.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    mo_tensor output = Cpu(result.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    std::vector<float> query(result.size(), 0.5f);
    mo_tensor queries = Cpu(query.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    std::vector<float> other(fresh);
    mo_tensor others = Cpu(other.data(), MO_DTYPE_FLOAT32, {4, 1, tokens, 4});
    mo_decode_attention_params params = MO_DECODE_ATTENTION_PARAMS_INIT;
    params.output = &output, params.query = &queries, params.cache = view, params.lengths = &per_row;
    if (appends) params.key = &source, params.value = &others;
    return mo_decode_attention(context, &params);
  }
  std::vector<float> keys, values, fresh;
  int32_t table[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  int32_t slots[4] = {20, 3, 31, 16};
  mo_tensor key, value, block_table, per_row;
  mo_kv_view view = {};
};

TEST_F(KvUpdate, NewTokensNeverGoToAPageThatStandsTwice) {
  TEST_ON_CPU_ONLY("a card cannot refuse what only the data show");
  for (const int64_t pool : {12, 40000, 70000}) { /* one pass over the pool, two, three */
    SCOPED_TRACE(pool);
    const auto last = static_cast<int32_t>(pool - 1);
    Pages good(pool);
    good.table[1] = last;
    good.table[5] = last - 1 > 11 ? last - 1 : 5;
    good.table[11] = pool == 12 ? 1 : 11; /* not in use, so it may be anything */
    EXPECT_EQ(good.Update(context_, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_FALSE(good.IsUntouched());
    EXPECT_EQ(good.Attend(context_, 2), MO_STATUS_OK) << mo_last_error();

    Pages shared(pool); /* rows 0 and 3 append to one page */
    shared.table[1] = shared.table[10] = last;
    EXPECT_EQ(shared.Update(context_, 2), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(std::string(mo_last_error()).find("lists twice"), std::string::npos) << mo_last_error();
    EXPECT_EQ(shared.Attend(context_, 2), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(shared.IsUntouched());
    EXPECT_EQ(shared.Attend(context_, 2, false), MO_STATUS_OK) << "reading is free to share: " << mo_last_error();

    Pages second(pool); /* row 2 ends one page and begins another, which row 1 appends to */
    second.table[8] = second.table[3] = last;
    EXPECT_EQ(second.Update(context_, 1), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(second.Update(context_, 2), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(second.Attend(context_, 2), MO_STATUS_INVALID_ARGUMENT);

    Pages prefix(pool); /* row 0 appends to what row 3 holds as its first page */
    prefix.table[1] = prefix.table[9] = last;
    EXPECT_EQ(prefix.Attend(context_, 1), MO_STATUS_INVALID_ARGUMENT);
    EXPECT_TRUE(prefix.IsUntouched());

    Pages twice(pool); /* within one row */
    twice.table[0] = twice.table[1] = last;
    EXPECT_EQ(twice.Attend(context_, 1), MO_STATUS_INVALID_ARGUMENT);

    Pages prefixes(pool); /* a full page that several rows begin with, none appends to it */
    prefixes.table[0] = prefixes.table[6] = prefixes.table[9] = last;
    EXPECT_EQ(prefixes.Attend(context_, 1), MO_STATUS_OK) << mo_last_error();
    Pages none(pool); /* no page at all, twice: dropped */
    none.table[1] = none.table[10] = -1;
    EXPECT_EQ(none.Update(context_, 2), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(none.Attend(context_, 2), MO_STATUS_OK) << mo_last_error();
  }
}

// Heads of no elements have no memory; nothing is computed from the address they do not have.
TEST_F(KvUpdate, HeadsWithoutElements) {
  TEST_ON_CPU_ONLY("the tensors are the host's");
  const auto empty = Pages::Cpu(nullptr, MO_DTYPE_FLOAT32, {2, 3, 4, 0});
  float data[2 * 3 * 4 * 5] = {}, fresh[2 * 3 * 2 * 5];
  std::fill(std::begin(fresh), std::end(fresh), 2.0f);
  const auto value = Pages::Cpu(data, MO_DTYPE_FLOAT32, {2, 3, 4, 5}),
             source = Pages::Cpu(fresh, MO_DTYPE_FLOAT32, {2, 3, 2, 5});
  const auto no_source = Pages::Cpu(nullptr, MO_DTYPE_FLOAT32, {2, 3, 2, 0});
  mo_kv_update_layer layer = {};
  layer.cache.key = &empty, layer.cache.value = &value, layer.key = &no_source, layer.value = &source;
  mo_kv_update_params params = MO_KV_UPDATE_PARAMS_INIT;
  params.layers = &layer, params.layer_count = 1, params.offset = 1;
  ASSERT_EQ(mo_kv_update(context_, &params), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(data[5], 2.0f);
  float copied[2 * 3 * 4 * 5] = {};
  const auto destination = Pages::Cpu(copied, MO_DTYPE_FLOAT32, {2, 3, 4, 5});
  mo_kv_gather_params gather = MO_KV_GATHER_PARAMS_INIT;
  gather.source = layer.cache;
  gather.destination.key = &empty, gather.destination.value = &destination;
  ASSERT_EQ(mo_kv_gather(context_, &gather), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(copied[5], 2.0f);
}

TEST_F(KvUpdate, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
