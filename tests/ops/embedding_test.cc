/* tests/ops/embedding_test.cc - gathered, summed and normalised rows beside a plain computation in double.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/ops/op_test.h"

#include <memory>

#include "tests/ops/embedding_shim.h"

namespace {

using op_test::Buffer;
using op_test::rounded;

const mo_dtype_t kFloats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};
constexpr int64_t kVocabulary = 101, kPositions = 600, kTypes = 3, kPadding = 1;

enum class Positions { kNone, kCounted, kOffset, kSkipPadding, kGiven, kGivenOnce };
enum class Types { kNone, kZero, kGiven, kGivenOnce };

struct Case {
  int64_t batch, length, width;
  mo_dtype_t dtype = MO_DTYPE_FLOAT32;
  mo_dtype_t norm_dtype = MO_DTYPE_NONE; /* none: dtype */
  mo_dtype_t id_dtype = MO_DTYPE_INT64;
  bool embeds = false, norm = true, norm_bias = true;
  Positions positions = Positions::kCounted;
  Types types = Types::kZero;
  int64_t gap = 0;
  float word_scale = 0;
};

class Embedding : public op_test::OpTest {
 protected:
  Buffer random_ids(mo_dtype_t dtype, int64_t batch, int64_t length, int64_t limit, int64_t gap) {
    Buffer ids(dtype, {batch, length}, gap);
    for (int64_t i = 0; i < ids.count(); ++i) ids.set(i, double(random_() % uint64_t(limit)));
    return ids;
  }

  void check(const Case &c) {
    SCOPED_TRACE(testing::Message() << c.batch << " x " << c.length << " x " << c.width << " " << mo_dtype_name(c.dtype)
                                    << " ids " << mo_dtype_name(c.id_dtype) << " embeds " << c.embeds << " norm " << c.norm
                                    << " positions " << int(c.positions) << " types " << int(c.types) << " gap " << c.gap);
    const mo_dtype_t norm_dtype = c.norm_dtype == MO_DTYPE_NONE ? c.dtype : c.norm_dtype;
    Buffer word(c.dtype, {kVocabulary, c.width}, c.gap), position(c.dtype, {kPositions, c.width}, 2 * c.gap);
    Buffer type(c.dtype, {kTypes, c.width}), embeds(c.dtype, {c.batch, c.length, c.width}, c.gap, 3 * c.gap);
    Buffer output(c.dtype, {c.batch, c.length, c.width}, 2 * c.gap, c.gap);
    Buffer weight(norm_dtype, {c.width}), bias(norm_dtype, {c.width});
    Buffer ids = random_ids(c.id_dtype, c.batch, c.length, kVocabulary, c.gap);
    for (int64_t i = 0; i < ids.count(); ++i) {
      if (random_() % 4 == 0) ids.set(i, kPadding);
    }
    const int64_t position_batch = c.positions == Positions::kGivenOnce ? 1 : c.batch;
    const int64_t type_batch = c.types == Types::kGivenOnce ? 1 : c.batch;
    const Buffer position_ids = random_ids(c.id_dtype, position_batch, c.length, kPositions, c.gap);
    const Buffer type_ids = random_ids(c.id_dtype, type_batch, c.length, kTypes, 1);
    for (Buffer *b :
         {std::addressof(word), std::addressof(position), std::addressof(type), std::addressof(embeds), std::addressof(bias)})
      b->fill(random_);
    weight.fill(random_, 0.2, 1);

    Buffer position_ids_copy = position_ids, type_ids_copy = type_ids;
    mo_embedding_params p = MO_EMBEDDING_PARAMS_INIT;
    p.output = &output;
    if (c.embeds) {
      p.embeds = &embeds;
    } else {
      p.ids = &ids;
      p.word = &word;
    }
    if (c.positions != Positions::kNone) p.position = &position;
    if (c.positions == Positions::kOffset) p.position_offset = 5;
    if (c.positions == Positions::kSkipPadding) p.position_skips_padding = true;
    if (c.positions == Positions::kSkipPadding) p.padding_id = kPadding;
    if (c.positions == Positions::kGiven || c.positions == Positions::kGivenOnce) p.position_ids = &position_ids_copy;
    if (c.types != Types::kNone) p.type = &type;
    if (c.types == Types::kGiven || c.types == Types::kGivenOnce) p.token_type_ids = &type_ids_copy;
    if (c.norm) p.norm_weight = &weight;
    if (c.norm && c.norm_bias) p.norm_bias = &bias;
    p.epsilon = 1e-5f;
    p.word_scale = c.word_scale;
    ASSERT_EQ(test_embedding(context_, &p), MO_STATUS_OK) << mo_last_error();

    double ours = 0, plain = 0, largest = 0;
    std::vector<double> sum(c.width);
    std::vector<float> single(c.width);
    for (int64_t b = 0; b < c.batch; ++b) {
      int64_t counted = 0;
      for (int64_t s = 0; s < c.length; ++s) {
        const int64_t at = b * c.length + s;
        const auto id = int64_t(ids.get(at));
        if (id != kPadding) ++counted;
        int64_t where = s;
        if (c.positions == Positions::kOffset) where = 5 + s;
        if (c.positions == Positions::kSkipPadding) where = id == kPadding ? kPadding : kPadding + counted;
        if (c.positions == Positions::kGiven) where = int64_t(position_ids.get(at));
        if (c.positions == Positions::kGivenOnce) where = int64_t(position_ids.get(s));
        int64_t kind = 0;
        if (c.types == Types::kGiven) kind = int64_t(type_ids.get(at));
        if (c.types == Types::kGivenOnce) kind = int64_t(type_ids.get(s));
        double mean = 0, variance = 0;
        float mean_single = 0, variance_single = 0;
        for (int64_t i = 0; i < c.width; ++i) {
          const double scale = c.word_scale != 0 ? double(c.word_scale) : 1;
          sum[i] = c.embeds ? embeds.get(at * c.width + i) : scale * word.get(id * c.width + i);
          if (c.positions != Positions::kNone) sum[i] += position.get(where * c.width + i);
          if (c.types != Types::kNone) sum[i] += type.get(kind * c.width + i);
          single[i] = float(sum[i]);
          mean += sum[i] / double(c.width);
          mean_single += single[i];
        }
        mean_single /= float(c.width);
        for (int64_t i = 0; i < c.width; ++i) {
          variance += (sum[i] - mean) * (sum[i] - mean) / double(c.width);
          variance_single += (single[i] - mean_single) * (single[i] - mean_single);
        }
        variance_single /= float(c.width);
        for (int64_t i = 0; i < c.width; ++i) {
          double exact = sum[i];
          float rough = single[i];
          if (c.norm) {
            const double shift = c.norm_bias ? bias.get(i) : 0;
            exact = (exact - mean) / std::sqrt(variance + double(p.epsilon)) * weight.get(i) + shift;
            rough = (rough - mean_single) / std::sqrt(variance_single + p.epsilon) * float(weight.get(i)) + float(shift);
          }
          const double result = output.get(at * c.width + i);
          ASSERT_FALSE(std::isnan(result));
          ours = std::max(ours, std::fabs(result - exact));
          plain = std::max(plain, std::fabs(rounded(c.dtype, rough) - exact));
          largest = std::max(largest, std::fabs(exact));
        }
      }
    }
    EXPECT_LE(ours, 2 * plain + 5e-7 * (1 + largest));
    EXPECT_TRUE(output.gaps_untouched());
  }
};

TEST_F(Embedding, EveryWidth) {
  for (int64_t width : {1, 2, 7, 8, 15, 16, 17, 33, 64, 65, 127, 384, 768}) {
    check({.batch = 3, .length = 5, .width = width});
    check({.batch = 1, .length = 1, .width = width, .norm = false});
  }
}

TEST_F(Embedding, EveryPositionAndTypeRule) {
  for (auto positions : {Positions::kNone, Positions::kCounted, Positions::kOffset, Positions::kSkipPadding, Positions::kGiven,
                         Positions::kGivenOnce}) {
    for (auto types : {Types::kNone, Types::kZero, Types::kGiven, Types::kGivenOnce}) {
      for (mo_dtype_t ids : {MO_DTYPE_INT32, MO_DTYPE_INT64}) {
        for (bool embeds : {false, true}) {
          if (embeds && positions == Positions::kSkipPadding) continue;
          for (bool norm : {false, true}) {
            check({.batch = 3,
                   .length = 17,
                   .width = 20,
                   .id_dtype = ids,
                   .embeds = embeds,
                   .norm = norm,
                   .positions = positions,
                   .types = types,
                   .gap = norm ? 3 : 0});
          }
        }
      }
    }
  }
}

TEST_F(Embedding, EveryDtype) {
  for (mo_dtype_t dtype : kFloats) {
    for (mo_dtype_t norm : {dtype, MO_DTYPE_FLOAT32}) {
      check({.batch = 2, .length = 9, .width = 75, .dtype = dtype, .norm_dtype = norm, .types = Types::kGiven});
      check({.batch = 2, .length = 9, .width = 75, .dtype = dtype, .norm_dtype = norm, .norm_bias = false});
    }
    check({.batch = 2, .length = 9, .width = 75, .dtype = dtype, .norm = false, .types = Types::kGiven, .gap = 5});
    check({.batch = 2, .length = 9, .width = 75, .dtype = dtype, .embeds = true, .gap = 5});
    for (bool norm : {false, true}) {
      check({.batch = 2, .length = 9, .width = 80, .dtype = dtype, .norm = norm, .types = Types::kGiven, .word_scale = 5.65f});
      check({.batch = 2, .length = 9, .width = 75, .dtype = dtype, .embeds = true, .norm = norm, .word_scale = 5.65f});
    }
  }
}

TEST_F(Embedding, Large) {
  check({.batch = 5, .length = 509, .width = 384, .positions = Positions::kSkipPadding, .types = Types::kGiven});
  check({.batch = 1, .length = 600, .width = 257, .id_dtype = MO_DTYPE_INT32});
}

TEST_F(Embedding, StridedIds) {
  /* Columns 0, 2, 4 of a wider matrix, and one row for the whole batch. */
  Buffer word(MO_DTYPE_FLOAT32, {kVocabulary, 8}), wide(MO_DTYPE_INT64, {2, 6}), output(MO_DTYPE_FLOAT32, {2, 3, 8});
  word.fill(random_);
  for (int64_t i = 0; i < 12; ++i) wide.set(i, double(i * 7));
  mo_tensor ids = wide.tensor();
  ids.shape[1] = 3;
  ids.strides[1] = 2;
  for (int64_t batch_stride : {int64_t(6), int64_t(0)}) {
    ids.strides[0] = batch_stride;
    mo_embedding_params p = MO_EMBEDDING_PARAMS_INIT;
    p.output = &output;
    p.ids = &ids;
    p.word = &word;
    ASSERT_EQ(test_embedding(context_, &p), MO_STATUS_OK) << mo_last_error();
    for (int64_t at = 0; at < 6; ++at) {
      const int64_t id = (at / 3 * batch_stride + at % 3 * 2) * 7;
      for (int64_t i = 0; i < 8; ++i) ASSERT_EQ(output.get(at * 8 + i), word.get(id * 8 + i));
    }
  }
}

TEST_F(Embedding, Empty) {
  Buffer word(MO_DTYPE_FLOAT32, {4, 8}), ids(MO_DTYPE_INT64, {0, 5}), output(MO_DTYPE_FLOAT32, {0, 5, 8});
  EXPECT_EQ(shim_bert_embedding(context_, &output, &ids, nullptr, &word, nullptr, nullptr, nullptr, nullptr), MO_STATUS_OK);
}

TEST_F(Embedding, IndexOutsideItsTableWritesNothing) {
  TEST_ON_CPU_ONLY("only the CPU looks at ids before it runs");
  Buffer word(MO_DTYPE_FLOAT32, {kVocabulary, 8}), position(MO_DTYPE_FLOAT32, {6, 8}), type(MO_DTYPE_FLOAT32, {2, 8});
  Buffer output(MO_DTYPE_FLOAT32, {2, 6, 8});
  word.fill(random_);
  position.fill(random_);
  type.fill(random_);
  const std::vector<uint8_t> before = output.memory();
  const mo_status_t bad = MO_STATUS_INVALID_ARGUMENT;
  for (mo_dtype_t dtype : {MO_DTYPE_INT32, MO_DTYPE_INT64}) {
    Buffer ids(dtype, {2, 6}, 1), indexes(dtype, {2, 6}), once(dtype, {1, 6});
    for (int64_t i = 0; i < 12; ++i) ids.set(i, 3), indexes.set(i, 0), once.set(i % 6, 0);
    mo_embedding_params good = MO_EMBEDDING_PARAMS_INIT;
    good.output = &output;
    good.ids = &ids;
    good.word = &word;
    good.position = &position;
    good.type = &type;
    const auto fails = [&](const mo_embedding_params &p, const char *part) {
      expect_error(test_embedding(context_, &p), bad, "embedding: ", part);
      EXPECT_TRUE(output.memory() == before) << part;
    };
    for (double id : {double(kVocabulary), -1.0, -2147483648.0}) {
      ids.set(8, id);
      ids.set(10, 100000);
      fails(good, ("id " + std::to_string(int64_t(id)) + " at (1, 2) is outside its table of 101 rows").c_str());
    }
    ids.set(8, 3);
    ids.set(10, 3);

    mo_embedding_params p = good;
    p.position_offset = 1;
    fails(p, "position 6 is outside its table of 6 rows");
    p.position_offset = 100;
    fails(p, "position 100 is outside its table of 6 rows");
    p = good;
    p.position_skips_padding = true;
    p.padding_id = 1;
    fails(p, "position 6 at (0, 4) is outside its table of 6 rows");
    p = good;
    p.position_ids = &indexes;
    indexes.set(11, 6);
    fails(p, "position 6 at (1, 5)");
    indexes.set(11, 0);
    p.position_ids = &once;
    once.set(1, -3);
    fails(p, "position -3 at (0, 1)");
    once.set(1, 0);
    p = good;
    p.token_type_ids = &indexes;
    indexes.set(7, 2);
    fails(p, "token type 2 at (1, 1) is outside its table of 2 rows");
    indexes.set(7, 0);
    EXPECT_EQ(test_embedding(context_, &p), MO_STATUS_OK);
    output = Buffer(MO_DTYPE_FLOAT32, {2, 6, 8});
  }
  Buffer none(MO_DTYPE_FLOAT32, {0, 8}), ids(MO_DTYPE_INT64, {2, 6});
  for (int64_t i = 0; i < 12; ++i) ids.set(i, 0);
  expect_error(shim_bert_embedding(context_, &output, &ids, nullptr, &none, nullptr, nullptr, nullptr, nullptr), bad,
               "embedding: ", "id 0 at (0, 0) is outside its table of 0 rows");
  expect_error(shim_bert_embedding(context_, &output, &ids, nullptr, &word, nullptr, &none, nullptr, nullptr), bad,
               "embedding: ", "token type 0 is outside its table of 0 rows");
}

TEST_F(Embedding, BitIdenticalForAnyThreadCount) {
  Buffer word(MO_DTYPE_FLOAT32, {kVocabulary, 385}), weight(MO_DTYPE_FLOAT32, {385}), bias(MO_DTYPE_FLOAT32, {385});
  word.fill(random_);
  weight.fill(random_);
  bias.fill(random_);
  Buffer ids = random_ids(MO_DTYPE_INT64, 4, 100, kVocabulary, 0);
  std::vector<uint8_t> first;
  for (int32_t threads : {2, 2, 1, 7}) {
    make_context(threads);
    Buffer output(MO_DTYPE_FLOAT32, {4, 100, 385});
    ASSERT_EQ(shim_bert_embedding(context_, &output, &ids, nullptr, &word, nullptr, nullptr, &weight, &bias), MO_STATUS_OK);
    if (first.empty()) first = output.memory();
    EXPECT_TRUE(first == output.memory()) << threads;
  }
}

TEST_F(Embedding, FrontDoor) {
  Buffer word(MO_DTYPE_FLOAT32, {9, 8}), position(MO_DTYPE_FLOAT32, {9, 8}), type(MO_DTYPE_FLOAT32, {2, 8});
  Buffer ids(MO_DTYPE_INT64, {2, 3}), indexes(MO_DTYPE_INT32, {1, 3}), output(MO_DTYPE_FLOAT32, {2, 3, 8});
  Buffer weight(MO_DTYPE_FLOAT32, {8}), bias(MO_DTYPE_FLOAT32, {8});
  static Buffer embeds;
  embeds = Buffer(MO_DTYPE_FLOAT32, {2, 3, 8});
  for (int64_t i = 0; i < 6; ++i) ids.set(i, 0);
  for (int64_t i = 0; i < 3; ++i) indexes.set(i, 0);
  const std::vector<uint8_t> before = output.memory();
  static mo_tensor changed;
  struct Change {
    const char *part;
    void (*apply)(mo_embedding_params &);
  };
  const Change changes[] = {
      {"struct_size", [](mo_embedding_params &p) { p.struct_size = 1; }},
      {"output is NULL", [](mo_embedding_params &p) { p.output = nullptr; }},
      {"output has rank", [](mo_embedding_params &p) { (changed = *p.output).rank = 2, p.output = &changed; }},
      {"output has stride", [](mo_embedding_params &p) { (changed = *p.output).strides[2] = 2, p.output = &changed; }},
      {"output has two", [](mo_embedding_params &p) { (changed = *p.output).strides[0] = 8, p.output = &changed; }},
      {"neither ids", [](mo_embedding_params &p) { p.ids = nullptr; }},
      {"both ids", [](mo_embedding_params &p) { p.embeds = &embeds; }},
      {"word table beside", [](mo_embedding_params &p) { p.ids = nullptr, p.embeds = &embeds; }},
      {"word is NULL", [](mo_embedding_params &p) { p.word = nullptr; }},
      {"word has 7 columns", [](mo_embedding_params &p) { (changed = *p.word).shape[1] = 7, p.word = &changed; }},
      {"word has dtype", [](mo_embedding_params &p) { (changed = *p.word).dtype = MO_DTYPE_FLOAT16, p.word = &changed; }},
      {"word has stride", [](mo_embedding_params &p) { (changed = *p.word).strides[1] = 0, p.word = &changed; }},
      {"word", [](mo_embedding_params &p) { (changed = *p.word).data = p.output->data, p.word = &changed; }},
      {"ids has dtype", [](mo_embedding_params &p) { (changed = *p.ids).dtype = MO_DTYPE_FLOAT32, p.ids = &changed; }},
      {"ids has extent", [](mo_embedding_params &p) { (changed = *p.ids).shape[0] = 1, p.ids = &changed; }},
      {"ids", [](mo_embedding_params &p) { (changed = *p.ids).data = p.output->data, p.ids = &changed; }},
      {"embeds has extent",
       [](mo_embedding_params &p) {
         p.ids = nullptr, p.word = nullptr;
         (changed = *&embeds).shape[1] = 2, p.embeds = &changed;
       }},
      {"position_skips_padding needs ids",
       [](mo_embedding_params &p) {
         p.ids = nullptr, p.word = nullptr, p.position_ids = nullptr;
         p.embeds = &embeds, p.position_skips_padding = true;
       }},
      {"position_ids without", [](mo_embedding_params &p) { p.position = nullptr; }},
      {"position_ids has extent",
       [](mo_embedding_params &p) { (changed = *p.position_ids).shape[1] = 2, p.position_ids = &changed; }},
      {"position has 4 columns", [](mo_embedding_params &p) { (changed = *p.position).shape[1] = 4, p.position = &changed; }},
      {"position_offset -1", [](mo_embedding_params &p) { p.position_ids = nullptr, p.position_offset = -1; }},
      {"position_offset", [](mo_embedding_params &p) { p.position_ids = nullptr, p.position_offset = INT64_MAX; }},
      {"padding_id -1",
       [](mo_embedding_params &p) { p.position_ids = nullptr, p.position_skips_padding = true, p.padding_id = -1; }},
      {"token_type_ids without", [](mo_embedding_params &p) { p.type = nullptr; }},
      {"type has rank", [](mo_embedding_params &p) { (changed = *p.type).rank = 1, p.type = &changed; }},
      {"norm_bias without", [](mo_embedding_params &p) { p.norm_weight = nullptr; }},
      {"norm_weight has extent",
       [](mo_embedding_params &p) { (changed = *p.norm_weight).shape[0] = 7, p.norm_weight = &changed; }},
      {"norm_bias has dtype",
       [](mo_embedding_params &p) { (changed = *p.norm_bias).dtype = MO_DTYPE_FLOAT16, p.norm_bias = &changed; }},
      {"epsilon", [](mo_embedding_params &p) { p.epsilon = NAN; }},
      {"word_scale", [](mo_embedding_params &p) { p.word_scale = INFINITY; }},
      {"on cuda:0",
       [](mo_embedding_params &p) {
         (changed = *p.ids).device = {MO_DEVICE_KIND_CUDA, 0}, p.ids = &changed;
       }},
  };
  mo_embedding_params good = MO_EMBEDDING_PARAMS_INIT;
  good.output = &output;
  good.ids = &ids;
  good.word = &word;
  good.position = &position;
  good.type = &type;
  good.position_ids = &indexes;
  good.token_type_ids = &indexes;
  good.norm_weight = &weight;
  good.norm_bias = &bias;
  for (const Change &change : changes) {
    mo_embedding_params params = good;
    change.apply(params);
    expect_error(test_embedding(context_, &params), MO_STATUS_INVALID_ARGUMENT, "embedding: ", change.part);
    EXPECT_TRUE(output.memory() == before) << change.part;
  }
  expect_error(test_embedding(context_, nullptr), MO_STATUS_INVALID_ARGUMENT, "embedding: ", "NULL");
  EXPECT_EQ(test_embedding(nullptr, &good), MO_STATUS_INVALID_ARGUMENT);
}

TEST(EmbeddingIsa, EveryInstructionSet) { run_again_per_isa(); }

}  // namespace
