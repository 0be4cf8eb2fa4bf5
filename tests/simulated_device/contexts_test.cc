/* tests/simulated_device/contexts_test.cc - what belongs to a context: its card, its stream, its memory, its plans; and several
 * contexts and threads at once.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "modelout/modelout.h"
#include "tests/simulated_device/control.h"

namespace {

constexpr int64_t kRows = 2, kLength = 9;

/* Between two calls another library has made its own card the current one. */
void Elsewhere() {
  int current = -1;
  ASSERT_EQ(cudaGetDevice(&current), cudaSuccess);
  EXPECT_EQ(current, 0) << "a call has left its own card current";
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
}

/* A model, and everything that a pass gives. Each public call is made with card 0 current. */
class Session {
 public:
  explicit Session(mo_context_options options = MO_CONTEXT_OPTIONS_INIT) {
    options.device = MO_DEVICE_CHOICE_CUDA;
    if (options.stream == nullptr) options.own_stream = true;
    Elsewhere();
    EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
    Elsewhere();
    EXPECT_EQ(mo_model_load(context, MO_TEST_DATA "/bert_seqcls_single", nullptr, &model), MO_STATUS_OK) << mo_last_error();
  }
  ~Session() {
    Elsewhere();
    mo_output_destroy(output);
    Elsewhere();
    mo_model_destroy(model);
    Elsewhere();
    mo_context_release(context, ids.data);
    Elsewhere();
    mo_context_destroy(context);
  }
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /* The ids on the card, and an output. */
  void Prepare(int64_t first) {
    std::vector<int64_t> values(kRows * kLength);
    for (size_t i = 0; i < values.size(); ++i) values[i] = 2 + (first + 7 * static_cast<int64_t>(i)) % 97;
    const int64_t shape[2] = {kRows, kLength};
    mo_tensor host = mo_tensor_cpu(values.data(), MO_DTYPE_INT64, 2, shape);
    Elsewhere();
    if (ids.data == nullptr) {
      ids = host;
      ids.device = mo_context_device(context);
      ASSERT_EQ(mo_context_allocate(context, values.size() * 8, &ids.data), MO_STATUS_OK) << mo_last_error();
    }
    Elsewhere();
    ASSERT_EQ(mo_context_copy_to_device(context, ids.data, values.data(), values.size() * 8), MO_STATUS_OK);
    inputs.input_ids = &ids;
    request.output_hidden_states = request.output_attentions = true;
    Elsewhere();
    if (output == nullptr) {
      ASSERT_EQ(mo_model_create_output(model, &inputs, &request, &output), MO_STATUS_OK) << mo_last_error();
    }
  }
  void Run() {
    Elsewhere();
    ASSERT_EQ(mo_model_run(model, &inputs, &request, output), MO_STATUS_OK) << mo_last_error();
  }
  void Mark() {
    Elsewhere();
    ASSERT_EQ(mo_output_mark_written(output, mo_context_stream(context)), MO_STATUS_OK) << mo_last_error();
  }
  /* Whole fields, a strided part, the largest logit: every way to the host. */
  std::vector<float> Read() const {
    std::vector<float> all;
    mo_host_view view, indices;
    mo_field *state = mo_field_item(mo_output_get(output, "hidden_states"), 1);
    const auto take = [&](mo_status_t status) {
      EXPECT_EQ(status, MO_STATUS_OK) << mo_last_error();
      if (status != MO_STATUS_OK) return;
      int64_t count = 1;
      for (int32_t i = 0; i < view.rank; ++i) count *= view.shape[i];
      const auto *values = static_cast<const float *>(view.data);
      all.insert(all.end(), values, values + count);
    };
    Elsewhere();
    EXPECT_EQ(mo_field_prefetch(state), MO_STATUS_OK) << mo_last_error();
    Elsewhere();
    while (!mo_field_is_ready(state)) Elsewhere();
    take(mo_field_read(state, &view));
    mo_field *attention = mo_field_item(mo_output_get(output, "attentions"), 0);
    const mo_slice every_other[4] = {{MO_SLICE_UNSET, MO_SLICE_UNSET, 1},
                                     {MO_SLICE_UNSET, MO_SLICE_UNSET, 1},
                                     {MO_SLICE_UNSET, MO_SLICE_UNSET, 1},
                                     {MO_SLICE_UNSET, MO_SLICE_UNSET, 2}};
    Elsewhere();
    take(mo_field_read_slice(attention, every_other, 4, &view));
    Elsewhere();
    take(mo_field_read_top_k(mo_output_get(output, "logits"), 1, &view, &indices));
    Elsewhere();
    EXPECT_EQ(mo_output_synchronize(output), MO_STATUS_OK) << mo_last_error();
    return all;
  }
  std::vector<float> Pass(int64_t first) {
    Prepare(first);
    Run();
    Mark();
    return Read();
  }

  mo_context_t *context = nullptr;
  mo_model_t *model = nullptr;
  mo_output *output = nullptr;
  mo_tensor ids = {};
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_request request = MO_REQUEST_INIT;
};

class Contexts : public ::testing::Test {
 protected:
  void SetUp() override {
    simulated_reset();
    before_ = simulated_live_objects();
  }
  void TearDown() override {
    Elsewhere();
    simulated_set_device_count(1);
    EXPECT_EQ(simulated_live_objects(), before_);
    EXPECT_STREQ(simulated_take_report(), "");
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
  int64_t before_ = 0;
};

TEST_F(Contexts, EveryCallIsMadeOnTheContextsOwnCard) {
  simulated_set_device_count(2);
  std::vector<float> expected, got;
  {
    Session first;
    expected = first.Pass(1);
  }
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device_index = 1;
  Session second(options);
  EXPECT_EQ(mo_context_device(second.context).index, 1);
  EXPECT_EQ(second.Pass(1), expected);
  std::thread([&] { got = second.Read(); }).join(); /* a new thread begins with card 0 */
  EXPECT_EQ(got, expected);
  options.device_index = 2;
  options.device = MO_DEVICE_CHOICE_CUDA;
  mo_context_t *third = nullptr;
  EXPECT_EQ(mo_context_create(&options, &third), MO_STATUS_NO_DEVICE) << mo_last_error();
}

TEST_F(Contexts, SeveralContextsAndThreadsAtOnce) {
  constexpr int kThreads = 4;
  std::vector<std::vector<float>> expected(kThreads);
  {
    Session alone;
    for (int i = 0; i < kThreads; ++i) expected[static_cast<size_t>(i)] = alone.Pass(i);
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      Session mine;
      for (int round = 0; round < 3; ++round) {
        const int which = (i + round) % kThreads;
        if (mine.Pass(which) != expected[static_cast<size_t>(which)]) ++wrong;
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(Contexts, ReadersShareOneCopyStream) {
  Session session;
  const int64_t streams = simulated_call_count_of("cudaStreamCreateWithFlags");
  const std::vector<float> expected = session.Pass(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { wrong += session.Read() != expected; });
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(simulated_call_count_of("cudaStreamCreateWithFlags") - streams, 1);
}

TEST_F(Contexts, TheCallersStreamIsUsedAndKept) {
  std::vector<float> expected;
  {
    Session own;
    expected = own.Pass(5);
  }
  cudaStream_t stream;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.stream = reinterpret_cast<mo_stream>(stream);
    Session session(options);
    EXPECT_EQ(mo_context_stream(session.context), options.stream);
    session.Prepare(5);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    const uint64_t launches = simulated_launch_count();
    session.Run();
    session.Mark();
    EXPECT_EQ(simulated_launch_count(), launches) << "everything waits in the stream";
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_GT(simulated_launch_count(), launches) << "that very stream";
    EXPECT_EQ(session.Read(), expected);
  }
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess) << "it is the caller's";
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

/* Memory of the caller's own, with the streams it was asked for. */
struct Books {
  std::mutex mutex;
  std::map<void *, size_t> blocks;
  std::map<mo_stream, int> streams;
  bool pinned = false, fails = false;
};

void *TakeFromBooks(void *user_data, size_t bytes, mo_stream stream) {
  auto *books = static_cast<Books *>(user_data);
  const std::lock_guard<std::mutex> lock(books->mutex);
  void *memory = nullptr;
  if (books->fails) return nullptr;
  if ((books->pinned ? cudaHostAlloc(&memory, bytes, cudaHostAllocDefault) : cudaMalloc(&memory, bytes)) != cudaSuccess)
    return nullptr;
  books->blocks[memory] = bytes;
  ++books->streams[stream];
  return memory;
}

void ReturnToBooks(void *user_data, void *memory, size_t bytes, mo_stream) {
  auto *books = static_cast<Books *>(user_data);
  const std::lock_guard<std::mutex> lock(books->mutex);
  ASSERT_EQ(books->blocks.count(memory), 1u);
  EXPECT_EQ(books->blocks[memory], bytes);
  books->blocks.erase(memory);
  EXPECT_EQ(books->pinned ? cudaFreeHost(memory) : cudaFree(memory), cudaSuccess);
}

TEST_F(Contexts, AllMemoryIsTheCallersAllocators) {
  Books device, pinned;
  pinned.pinned = true;
  const int64_t allocations = simulated_allocation_call_count(), host_allocations = simulated_call_count_of("cudaHostAlloc");
  {
    std::vector<float> expected;
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device_allocator = {TakeFromBooks, ReturnToBooks, &device};
    options.pinned_allocator = {TakeFromBooks, ReturnToBooks, &pinned};
    Session session(options);
    (void)session.Pass(6);
    EXPECT_EQ(simulated_allocation_call_count(), allocations) << "strided reads included";
    int pinned_blocks = 0;
    for (const auto &[stream, count] : pinned.streams) pinned_blocks += count;
    EXPECT_EQ(simulated_call_count_of("cudaHostAlloc") - host_allocations, pinned_blocks);
    EXPECT_GT(pinned_blocks, 0);
    ASSERT_EQ(device.streams.size(), 2u) << "the context's stream, and the copy stream for what a strided read gathers";
    EXPECT_EQ(device.streams.count(mo_context_stream(session.context)), 1u);
    device.fails = true;
    void *memory = nullptr;
    EXPECT_EQ(mo_context_allocate(session.context, size_t{1} << 24, &memory), MO_STATUS_OUT_OF_MEMORY);
    EXPECT_NE(std::string(mo_last_error()).find("the caller's allocator has no 16777216 bytes"), std::string::npos);
  }
  EXPECT_TRUE(device.blocks.empty());
  EXPECT_TRUE(pinned.blocks.empty());
}

TEST_F(Contexts, AShapeIsPlannedOnceAndARunNeitherWaitsNorAllocates) {
  Session session;
  const int64_t fresh = simulated_call_count_of("cublasLtMatmulAlgoGetHeuristic");
  const std::vector<float> expected = session.Pass(8);
  const int64_t planned = simulated_call_count_of("cublasLtMatmulAlgoGetHeuristic");
  EXPECT_GT(planned, fresh);
  session.Prepare(8);
  const int64_t waits = simulated_waiting_call_count(), allocations = simulated_allocation_call_count();
  const int64_t events = simulated_call_count_of("cudaEventCreateWithFlags"),
                products = simulated_call_count_of("cublasLtMatmul");
  session.Run();
  session.Mark();
  EXPECT_EQ(simulated_waiting_call_count(), waits);
  EXPECT_EQ(simulated_allocation_call_count(), allocations);
  EXPECT_EQ(simulated_call_count_of("cudaEventCreateWithFlags"), events);
  EXPECT_GT(simulated_call_count_of("cublasLtMatmul"), products);
  EXPECT_EQ(simulated_call_count_of("cublasLtMatmulAlgoGetHeuristic"), planned) << "one plan a shape";
  EXPECT_EQ(session.Read(), expected);
}

}  // namespace
