/* tests/ops/kv_update_test.cc - cache update and gather against a plain model: an array of what each slot of each row must
 * hold.
 *
 * Copies are exact. Turned keys err by the rotary embedding's bound. Quantised storage is compared with the rule itself: the
 * scale, and every element's nearest code.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/kv_update_case.h"

namespace {

using namespace kv_update_case;

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

TEST_F(KvUpdate, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
