/* tests/simulated_device/cache_capture_test.cc - caches while the stream is captured into a graph, and what the host counts
 * after replays.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "modelout/modelout.h"
#include "tests/cache/cache_tensors.h"
#include "tests/simulated_device/control.h"

namespace {

using cache_test::DeviceTensor;
using cache_test::Gather;
using cache_test::Read;

constexpr int64_t kBatch = 2, kHeads = 2, kSize = 16;

class CacheCapture : public ::testing::Test {
 protected:
  void SetUp() override {
    simulated_reset();
    before_ = simulated_live_objects();
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CUDA;
    options.own_stream = true;
    ASSERT_EQ(mo_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
    stream_ = static_cast<cudaStream_t>(mo_context_stream(context_));
    token_ = Tensor(MO_DTYPE_FLOAT32, {kBatch, kHeads, 1, kSize});
    other_ = Tensor(MO_DTYPE_FLOAT32, {kBatch, kHeads, 1, kSize}, 3);
  }
  void TearDown() override {
    EXPECT_STREQ(simulated_take_report(), "");
    token_.reset(), other_.reset();
    mo_context_destroy(context_);
    EXPECT_EQ(simulated_live_objects(), before_);
  }

  std::unique_ptr<DeviceTensor> Tensor(mo_dtype_t dtype, std::vector<int64_t> shape, int64_t shift = 0) {
    return std::make_unique<DeviceTensor>(context_, dtype, shape,
                                          [shift](int64_t i) { return static_cast<float>((i + shift) % 13) * 0.25f - 1.5f; });
  }
  mo_cache_t *Make(mo_cache_kind_t kind, int64_t max_length = 0, int64_t window = 0, mo_page_pool_t *pool = nullptr) {
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = kind;
    options.layer_count = pool != nullptr ? 0 : 1;
    options.max_length = max_length;
    options.window = window;
    options.page_pool = pool;
    mo_cache_t *cache = nullptr;
    EXPECT_EQ(mo_cache_create(context_, &options, &cache), MO_STATUS_OK) << mo_last_error();
    return cache;
  }
  mo_page_pool_t *MakePool() {
    mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
    options.page_count = 8;
    options.page_size = 16;
    options.layer_count = 1;
    options.num_key_value_heads = kHeads;
    options.head_dim = kSize;
    options.dtype = MO_DTYPE_FLOAT32;
    mo_page_pool_t *pool = nullptr;
    EXPECT_EQ(mo_page_pool_create(context_, &options, &pool), MO_STATUS_OK) << mo_last_error();
    return pool;
  }
  mo_status_t Append(mo_cache_t *cache, DeviceTensor &tensor) {
    return mo_cache_update(cache, 0, tensor.get(), tensor.get(), nullptr, nullptr, nullptr);
  }
  std::vector<float> Tokens(mo_cache_t *cache) {
    mo_cache_entry entry;
    EXPECT_EQ(mo_cache_read(cache, 0, &entry), MO_STATUS_OK) << mo_last_error();
    return Gather(context_, entry.view, kBatch, entry.token_count, false, MO_DTYPE_FLOAT32);
  }
  void Begin() { ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess); }
  /* The graph of what was captured since, launched `times` times. */
  void EndAndReplay(int times) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess) << "something was allocated or waited for";
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    for (int i = 0; i < times; ++i) ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
    ASSERT_EQ(mo_context_synchronize(context_), MO_STATUS_OK);
    ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  void ExpectWrongState(mo_status_t status) {
    EXPECT_EQ(status, MO_STATUS_WRONG_STATE);
    EXPECT_NE(std::string(mo_last_error()).find("captured"), std::string::npos) << mo_last_error();
  }

  mo_context_t *context_ = nullptr;
  cudaStream_t stream_ = nullptr;
  int64_t before_ = 0;
  std::unique_ptr<DeviceTensor> token_, other_;
};

/* A decode step whose slot is on the device: append and attend, draw a token, one more token in every row. Three replays, then
 * the host is told. */
TEST_F(CacheCapture, LengthsAdvanceOnTheDevice) {
  mo_page_pool_t *pool = MakePool();
  mo_cache_t *caches[3] = {Make(MO_CACHE_STATIC, 12), Make(MO_CACHE_PAGED, 0, 0, pool), Make(MO_CACHE_QUANTIZED)};
  for (mo_cache_t *cache : caches) {
    SCOPED_TRACE(static_cast<int>(mo_cache_kind(cache)));
    mo_cache_t *eager = nullptr;
    ASSERT_EQ(Append(cache, *other_), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(Append(cache, *other_), MO_STATUS_OK);
    ASSERT_EQ(mo_cache_copy(cache, &eager), MO_STATUS_OK) << mo_last_error();
    for (int i = 0; i < 4; ++i) ASSERT_EQ(Append(eager, *token_), MO_STATUS_OK) << mo_last_error();
    const std::vector<float> expected = Tokens(eager);
    mo_cache_release(eager);

    DeviceTensor output(context_, MO_DTYPE_FLOAT32, {kBatch, kHeads, 1, kSize}), ids(context_, MO_DTYPE_INT32, {kBatch});
    const auto logits = Tensor(MO_DTYPE_FLOAT32, {kBatch, 11});
    mo_tensor lengths;
    mo_cache_entry entry;
    ASSERT_EQ(mo_cache_reserve(cache, 4), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_cache_read(cache, 0, &entry), MO_STATUS_OK);
    ASSERT_EQ(mo_cache_lengths(cache, &lengths), MO_STATUS_OK) << mo_last_error();
    const void *const address = lengths.data;
    EXPECT_EQ(Read(context_, lengths), std::vector<float>({2, 2}));
    mo_decode_attention_params attend = MO_DECODE_ATTENTION_PARAMS_INIT;
    attend.output = output.get();
    attend.query = attend.key = attend.value = token_->get();
    attend.cache = entry.view;
    attend.lengths = &lengths;
    attend.max_key_length = 6;
    mo_sampling_params sample = MO_SAMPLING_PARAMS_INIT;
    sample.logits = logits->get();
    sample.tokens = ids.get();
    sample.lengths = &lengths;
    const auto step = [&] {
      ASSERT_EQ(mo_decode_attention(context_, &attend), MO_STATUS_OK) << mo_last_error();
      ASSERT_EQ(mo_sample(context_, &sample), MO_STATUS_OK) << mo_last_error();
    };
    step(); /* grows the scratch memory */
    ASSERT_EQ(mo_cache_commit(cache, -1, 1), MO_STATUS_OK) << mo_last_error();
    Begin();
    step();
    ASSERT_EQ(mo_cache_lengths(cache, &lengths), MO_STATUS_OK) << mo_last_error();
    EndAndReplay(3);
    EXPECT_EQ(mo_cache_length(cache, 0), 3) << "the host has not been told";
    ASSERT_EQ(mo_cache_commit(cache, -1, 3), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_cache_length(cache, 0), 6);
    EXPECT_EQ(lengths.data, address);
    EXPECT_EQ(Read(context_, lengths), std::vector<float>({6, 6})) << "advanced by the graph";
    EXPECT_EQ(Tokens(cache), expected);
    mo_cache_release(cache);
  }
  EXPECT_EQ(mo_page_pool_free_pages(pool), 8);
  mo_page_pool_release(pool);
}

/* A full static sliding layer is shifted by the captured step itself, at the same addresses every time. */
TEST_F(CacheCapture, AFullStaticSlidingLayerIsShiftedByTheGraph) {
  mo_cache_t *cache = Make(MO_CACHE_STATIC_SLIDING, 20, 5), *eager = nullptr;
  for (int i = 0; i < 7; ++i) ASSERT_EQ(Append(cache, *other_), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_cache_copy(cache, &eager), MO_STATUS_OK) << mo_last_error();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(Append(eager, *token_), MO_STATUS_OK) << mo_last_error();
  Begin();
  ASSERT_EQ(Append(cache, *token_), MO_STATUS_OK) << mo_last_error(); /* counted here, true after the first replay */
  EndAndReplay(3);
  ASSERT_EQ(mo_cache_commit(cache, -1, 2), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(mo_cache_length(cache, 0), 10);
  EXPECT_EQ(Tokens(cache), Tokens(eager));
  mo_cache_release(cache);
  mo_cache_release(eager);
}

/* What would allocate or copy from the host is refused before anything is done; with room there is nothing to refuse. */
TEST_F(CacheCapture, WithoutRoomACaptureIsRefusedAndStaysValid) {
  mo_page_pool_t *pool = MakePool();
  mo_cache_t *dynamic = Make(MO_CACHE_DYNAMIC), *paged = Make(MO_CACHE_PAGED, 0, 0, pool), *fresh = Make(MO_CACHE_STATIC, 6);
  const auto prompt = Tensor(MO_DTYPE_FLOAT32, {kBatch, kHeads, 16, kSize});
  for (mo_cache_t *cache : {dynamic, paged}) ASSERT_EQ(Append(cache, *prompt), MO_STATUS_OK) << mo_last_error();
  const std::vector<float> before[2] = {Tokens(dynamic), Tokens(paged)};
  const int64_t rows[2] = {1, 0};
  mo_tensor lengths;
  Begin();
  ExpectWrongState(Append(dynamic, *token_));
  ExpectWrongState(Append(paged, *token_));
  ExpectWrongState(Append(fresh, *token_));
  ExpectWrongState(mo_cache_reorder(dynamic, rows, 2));
  ExpectWrongState(mo_cache_lengths(dynamic, &lengths));
  EndAndReplay(1);
  EXPECT_EQ(Tokens(dynamic), before[0]);
  EXPECT_EQ(Tokens(paged), before[1]);
  EXPECT_FALSE(mo_cache_is_initialized(fresh));
  EXPECT_EQ(mo_page_pool_free_pages(pool), 6);
  for (mo_cache_t *cache : {dynamic, paged}) ASSERT_EQ(mo_cache_reserve(cache, 1), MO_STATUS_OK) << mo_last_error();
  const int64_t objects = simulated_live_objects();
  Begin();
  ASSERT_EQ(Append(dynamic, *token_), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(Append(paged, *token_), MO_STATUS_OK) << mo_last_error();
  EndAndReplay(1);
  EXPECT_EQ(simulated_live_objects(), objects);
  EXPECT_EQ(Tokens(dynamic), Tokens(paged));
  EXPECT_EQ(mo_cache_length(paged, 0), 17);
  for (mo_cache_t *cache : {dynamic, paged, fresh}) mo_cache_release(cache);
  mo_page_pool_release(pool);
}

}  // namespace
