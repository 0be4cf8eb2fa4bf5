/* tests/simulated_device/guest_test.cc - the CUDA backend as a guest in somebody else's process: their streams, their current
 * card, their memory pool, their graphs, and cards of every kind.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "host/core/backend.h"
#include "host/core/upload.h"
#include "modelout/modelout.h"
#include "tests/simulated_device/control.h"

extern "C" const mo_backend *mo_backend_module(uint32_t abi_version, char *reason, size_t reason_bytes);

namespace {

constexpr int64_t kRows = 2, kLength = 9, kIds = kRows * kLength;

std::vector<int64_t> Ids(int64_t first) {
  std::vector<int64_t> values(kIds);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 2 + (first + 7 * static_cast<int64_t>(i)) % 97;
  return values;
}

/* A model whose ids lie on the card. */
class Guest {
 public:
  explicit Guest(const mo_context_options &given) {
    mo_context_options options = given;
    options.device = MO_DEVICE_CHOICE_CUDA;
    EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_model_load(context, MO_TEST_DATA "/bert_seqcls_single", nullptr, &model), MO_STATUS_OK) << mo_last_error();
    void *memory = nullptr;
    EXPECT_EQ(mo_context_allocate(context, kIds * 8, &memory), MO_STATUS_OK) << mo_last_error();
    const int64_t shape[2] = {kRows, kLength};
    EXPECT_EQ(mo_tensor_init(&ids, memory, MO_DTYPE_INT64, mo_context_device(context), 2, shape), MO_STATUS_OK);
    inputs.input_ids = &ids;
  }
  ~Guest() {
    mo_output_destroy(output);
    mo_model_destroy(model);
    mo_context_release(context, ids.data);
    mo_context_destroy(context);
  }
  Guest(const Guest &) = delete;
  Guest &operator=(const Guest &) = delete;

  mo_status_t Create() { return output != nullptr ? MO_STATUS_OK : mo_model_create_output(model, &inputs, &request, &output); }
  mo_status_t Run() {
    const mo_status_t status = Create();
    return status != MO_STATUS_OK ? status : mo_model_run(model, &inputs, &request, output);
  }
  std::vector<float> Logits() {
    mo_host_view view;
    EXPECT_EQ(mo_field_read(mo_output_get(output, "logits"), &view), MO_STATUS_OK) << mo_last_error();
    const auto *values = static_cast<const float *>(view.data);
    return std::vector<float>(values, values + view.shape[0] * view.shape[1]);
  }
  cudaStream_t stream() const { return static_cast<cudaStream_t>(mo_context_stream(context)); }

  mo_context_t *context = nullptr;
  mo_model_t *model = nullptr;
  mo_output *output = nullptr;
  mo_tensor ids = {};
  mo_model_inputs inputs = MO_MODEL_INPUTS_INIT;
  mo_request request = MO_REQUEST_INIT;
};

mo_context_options Own() {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.own_stream = true;
  return options;
}

class GuestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    simulated_reset();
    before_ = simulated_live_objects();
  }
  void TearDown() override {
    simulated_set_card(nullptr);
    simulated_set_driver_version(0);
    simulated_refuse_products(false);
    simulated_set_device_count(1);
    EXPECT_EQ(simulated_live_objects(), before_);
    EXPECT_STREQ(simulated_take_report(), "");
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
  /* The logits of ids that have been on the card for long. */
  static std::vector<float> Expected(int64_t first) {
    Guest alone(Own());
    const std::vector<int64_t> values = Ids(first);
    EXPECT_EQ(mo_context_copy_to_device(alone.context, alone.ids.data, values.data(), kIds * 8), MO_STATUS_OK);
    EXPECT_EQ(mo_context_synchronize(alone.context), MO_STATUS_OK);
    EXPECT_EQ(alone.Run(), MO_STATUS_OK) << mo_last_error();
    return alone.Logits();
  }
  int64_t before_ = 0;
};

/* ---- Streams ---- */

/* As PyTorch does it: the ids come from a kernel or a copy on the stream whose handle is 0, and nobody waits. */
class DefaultStream : public GuestTest, public ::testing::WithParamInterface<cudaStream_t> {};

TEST_P(DefaultStream, IsTheCallersOwn) {
  const std::vector<float> expected = Expected(3);
  void *pinned = nullptr;
  ASSERT_EQ(cudaHostAlloc(&pinned, kIds * 8, cudaHostAllocDefault), cudaSuccess);
  {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.stream = GetParam();
    Guest guest(options);
    EXPECT_EQ(guest.stream(), GetParam()) << "no stream of its own behind the caller's back";
    ASSERT_EQ(guest.Create(), MO_STATUS_OK) << mo_last_error();
    const std::vector<int64_t> values = Ids(3);
    std::copy(values.begin(), values.end(), static_cast<int64_t *>(pinned));
    /* Carried out when its stream's turn comes, not before. */
    ASSERT_EQ(cudaMemcpyAsync(guest.ids.data, pinned, kIds * 8, cudaMemcpyHostToDevice, GetParam()), cudaSuccess);
    ASSERT_EQ(guest.Run(), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(guest.Logits(), expected);
  }
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

INSTANTIATE_TEST_SUITE_P(Handles, DefaultStream,
                         ::testing::Values(cudaStream_t{nullptr}, cudaStreamLegacy, cudaStreamPerThread));

TEST_F(GuestTest, BlockingStreamsAreOrderedWithTheDefaultStream) {
  const std::vector<float> expected = Expected(4);
  void *pinned = nullptr;
  cudaStream_t side = nullptr;
  ASSERT_EQ(cudaHostAlloc(&pinned, kIds * 8, cudaHostAllocDefault), cudaSuccess);
  ASSERT_EQ(cudaStreamCreateWithFlags(&side, cudaStreamDefault), cudaSuccess);
  {
    Guest guest(MO_CONTEXT_OPTIONS_INIT);
    ASSERT_EQ(guest.Create(), MO_STATUS_OK) << mo_last_error();
    const std::vector<int64_t> values = Ids(4);
    std::copy(values.begin(), values.end(), static_cast<int64_t *>(pinned));
    ASSERT_EQ(cudaMemcpyAsync(guest.ids.data, pinned, kIds * 8, cudaMemcpyHostToDevice, side), cudaSuccess);
    ASSERT_EQ(guest.Run(), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(guest.Logits(), expected);
  }
  ASSERT_EQ(cudaStreamDestroy(side), cudaSuccess);
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

/* The caller's kernels wrote the output on the default stream, and say so with the handle that CUDA has for it. */
TEST_F(GuestTest, AnOutputIsMarkedOnTheDefaultStream) {
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.device = MO_DEVICE_CHOICE_CUDA;
  mo_context_t *context = nullptr;
  mo_output *output = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  dimensions.batch_size = 2, dimensions.sequence_length = 3, dimensions.hidden_size = 4;
  ASSERT_EQ(mo_output_create(context, mo_class_find("BaseModelOutput"), &dimensions, nullptr, nullptr, 0, &output),
            MO_STATUS_OK)
      << mo_last_error();
  const mo_tensor *tensor = mo_field_tensor(mo_output_get(output, "last_hidden_state"));
  ASSERT_EQ(cudaMemsetAsync(tensor->data, 0, 24 * 4, nullptr), cudaSuccess);
  ASSERT_EQ(mo_output_mark_written(output, nullptr), MO_STATUS_OK) << mo_last_error();
  mo_host_view view;
  ASSERT_EQ(mo_field_read(mo_output_get(output, "last_hidden_state"), &view), MO_STATUS_OK) << mo_last_error();
  for (int i = 0; i < 24; ++i) EXPECT_EQ(static_cast<const float *>(view.data)[i], 0.0f) << i;
  mo_output_destroy(output);
  mo_context_destroy(context);
}

TEST_F(GuestTest, AStreamIsGivenOrMade) {
  mo_context_options options = Own();
  mo_context_t *context = nullptr;
  options.device = MO_DEVICE_CHOICE_CUDA;
  options.stream = cudaStreamLegacy;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(mo_last_error()).find("own_stream"), std::string::npos) << mo_last_error();
}

/* ---- The current card ---- */

TEST_F(GuestTest, EveryCallLeavesTheCurrentCard) {
  simulated_set_device_count(2);
  const auto current = [] {
    int card = -1;
    EXPECT_EQ(cudaGetDevice(&card), cudaSuccess);
    return card;
  };
  mo_context_options options = Own();
  options.device_index = 1;
  {
    Guest guest(options);
    EXPECT_EQ(current(), 0) << "after loading";
    ASSERT_EQ(guest.Run(), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(current(), 0) << "after a run";
    (void)guest.Logits();
    EXPECT_EQ(current(), 0) << "after a read";
    mo_context_trim(guest.context);
    EXPECT_EQ(current(), 0);
    /* Also where a call fails. */
    simulated_fail_call(6, cudaErrorUnknown);
    EXPECT_NE(guest.Run(), MO_STATUS_OK);
    simulated_fail_call(0, cudaSuccess);
    EXPECT_EQ(current(), 0) << "after a run that failed";
  }
  EXPECT_EQ(current(), 0) << "after the end";
  mo_context_t *none = nullptr;
  options.device = MO_DEVICE_CHOICE_CUDA;
  options.device_index = 2;
  EXPECT_EQ(mo_context_create(&options, &none), MO_STATUS_NO_DEVICE);
  EXPECT_EQ(current(), 0) << "after a context that could not be made";
}

/* ---- Shared memory ---- */

/* 20000 numbers of 4 bytes are a row of softmax in shared memory: more than 48 KiB. */
mo_status_t WideSoftmax(mo_context_t *context, int64_t columns) {
  void *memory = nullptr;
  mo_status_t status = mo_context_allocate(context, static_cast<size_t>(2 * columns) * 4, &memory);
  if (status != MO_STATUS_OK) return status;
  const int64_t shape[2] = {2, columns};
  mo_tensor rows;
  (void)mo_tensor_init(&rows, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 2, shape);
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  params.input = params.output = &rows;
  status = mo_softmax(context, &params);
  if (status == MO_STATUS_OK) status = mo_context_synchronize(context);
  mo_context_release(context, memory);
  return status;
}

TEST_F(GuestTest, SharedMemoryIsAllowedOncePerKernelAndCard) {
  simulated_set_device_count(2);
  mo_context_options options = Own();
  options.device = MO_DEVICE_CHOICE_CUDA;
  mo_context_t *cards[2] = {};
  for (int i = 0; i < 2; ++i) {
    options.device_index = i;
    ASSERT_EQ(mo_context_create(&options, &cards[i]), MO_STATUS_OK) << mo_last_error();
  }
  const auto settings = [] { return simulated_call_count_of("cudaFuncSetAttribute"); };
  int64_t before = settings();
  EXPECT_EQ(WideSoftmax(cards[0], 20000), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(settings() - before, 1);
  /* A shorter row, a longer one: the limit is the card's own and stays. Lowering it is a fault of the simulated device. */
  for (const int64_t columns : {16000, 26000, 16000})
    EXPECT_EQ(WideSoftmax(cards[0], columns), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(settings() - before, 1);
  before = settings();
  EXPECT_EQ(WideSoftmax(cards[1], 20000), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(settings() - before, 1) << "another card has its own";
  for (mo_context_t *context : cards) mo_context_destroy(context);
}

/* ---- Graphs ---- */

TEST_F(GuestTest, NothingIsAllocatedInACapture) {
  Guest guest(Own());
  const std::vector<int64_t> values = Ids(5);
  ASSERT_EQ(mo_context_copy_to_device(guest.context, guest.ids.data, values.data(), kIds * 8), MO_STATUS_OK);
  ASSERT_EQ(guest.Create(), MO_STATUS_OK) << mo_last_error();
  /* Without a run before there is no workspace: a status that says what to do, and the capture is as good as before. */
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(guest.stream(), cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(guest.Run(), MO_STATUS_WRONG_STATE);
  EXPECT_NE(std::string(mo_last_error()).find("run once without capture"), std::string::npos) << mo_last_error();
  void *memory = nullptr;
  EXPECT_EQ(mo_context_allocate(guest.context, size_t{3} << 20, &memory), MO_STATUS_WRONG_STATE);
  EXPECT_EQ(mo_context_reserve(guest.context, size_t{3} << 20), MO_STATUS_WRONG_STATE);
  EXPECT_NE(std::string(mo_last_error()).find("mo_context_reserve"), std::string::npos) << mo_last_error();
  ASSERT_EQ(cudaStreamEndCapture(guest.stream(), &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  /* One run, and a whole pass can be captured and replayed; what is released meanwhile is kept. */
  ASSERT_EQ(guest.Run(), MO_STATUS_OK) << mo_last_error();
  const std::vector<float> expected = guest.Logits();
  ASSERT_EQ(mo_context_allocate(guest.context, 4096, &memory), MO_STATUS_OK);
  const int64_t allocations = simulated_allocation_call_count();
  ASSERT_EQ(cudaStreamBeginCapture(guest.stream(), cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(guest.Run(), MO_STATUS_OK) << mo_last_error();
  mo_context_release(guest.context, memory);
  mo_context_trim(guest.context);
  ASSERT_EQ(cudaStreamEndCapture(guest.stream(), &graph), cudaSuccess);
  EXPECT_EQ(simulated_allocation_call_count(), allocations);
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(cudaGraphLaunch(executable, guest.stream()), cudaSuccess);
    ASSERT_EQ(mo_output_mark_written(guest.output, guest.stream()), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(guest.Logits(), expected) << i;
  }
  ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

/* With no freed block at hand a release would go to the driver at once. */
TEST_F(GuestTest, ReleasesWaitForTheEndOfACapture) {
  mo_context_options options = Own();
  options.device = MO_DEVICE_CHOICE_CUDA;
  options.cached_bytes_limit = 1;
  mo_context_t *context = nullptr;
  void *memory = nullptr;
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  const auto stream = static_cast<cudaStream_t>(mo_context_stream(context));
  ASSERT_EQ(mo_context_allocate(context, 4096, &memory), MO_STATUS_OK);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  mo_context_release(context, memory);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess) << "the release became part of the graph";
  if (graph != nullptr) (void)cudaGraphDestroy(graph);
  EXPECT_EQ(mo_context_get_counters(context).device_bytes, 4096u);
  mo_context_trim(context);
  EXPECT_EQ(mo_context_get_counters(context).device_bytes, 0u);
  mo_context_destroy(context);
}

TEST_F(GuestTest, CublasLtIsNotOpenedInACapture) {
  mo_context_options options = Own();
  options.device = MO_DEVICE_CHOICE_CUDA;
  mo_context_t *context = nullptr;
  void *memory = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_context_reserve(context, size_t{64} << 20), MO_STATUS_OK);
  ASSERT_EQ(mo_context_allocate(context, 3 * 256, &memory), MO_STATUS_OK);
  const int64_t shape[2] = {4, 4};
  mo_tensor input, weight, output;
  const mo_device device = mo_context_device(context);
  (void)mo_tensor_init(&input, memory, MO_DTYPE_FLOAT32, device, 2, shape);
  (void)mo_tensor_init(&weight, static_cast<char *>(memory) + 256, MO_DTYPE_FLOAT32, device, 2, shape);
  (void)mo_tensor_init(&output, static_cast<char *>(memory) + 512, MO_DTYPE_FLOAT32, device, 2, shape);
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.input = &input, params.weight = &weight, params.output = &output;
  const auto stream = static_cast<cudaStream_t>(mo_context_stream(context));
  cudaGraph_t graph = nullptr;
  const int64_t opened = simulated_call_count_of("cublasLtCreate");
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(mo_linear(context, &params), MO_STATUS_WRONG_STATE);
  EXPECT_NE(std::string(mo_last_error()).find("run once before"), std::string::npos) << mo_last_error();
  EXPECT_EQ(simulated_call_count_of("cublasLtCreate"), opened);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(mo_linear(context, &params), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(mo_linear(context, &params), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  mo_context_release(context, memory);
  mo_context_destroy(context);
}

/* ---- Cards and drivers ---- */

TEST_F(GuestTest, AModelRunsWhereCublasLtKnowsNoAlgorithm) {
  const std::vector<float> expected = Expected(6);
  simulated_refuse_products(true);
  const std::vector<float> got = Expected(6);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5f) << i;
}

TEST_F(GuestTest, ACardWithoutCodeIsRefusedByName) {
  simulated_card card = {11, 0, 20, size_t{227} << 10, false};
  simulated_set_card(&card);
  mo_context_options options = Own();
  mo_context_t *context = nullptr;
  options.device = MO_DEVICE_CHOICE_CUDA;
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_UNSUPPORTED);
  const std::string text = mo_last_error();
  EXPECT_NE(text.find("compute capability 11.0"), std::string::npos) << text;
  EXPECT_NE(text.find("MODELOUT_CUDA_ARCHITECTURES=110"), std::string::npos) << text;
  card = {7, 5, 20, size_t{64} << 10, true};
  simulated_set_card(&card);
  EXPECT_EQ(mo_context_create(&options, &context), MO_STATUS_UNSUPPORTED);
  EXPECT_NE(std::string(mo_last_error()).find("7.5"), std::string::npos) << mo_last_error();
}

TEST_F(GuestTest, AnOldDriverIsNamed) {
  char reason[256] = "";
  EXPECT_NE(mo_backend_module(MO_BACKEND_ABI_VERSION, reason, sizeof reason), nullptr) << reason;
  simulated_set_driver_version(12040);
  EXPECT_EQ(mo_backend_module(MO_BACKEND_ABI_VERSION, reason, sizeof reason), nullptr);
  EXPECT_NE(std::string(reason).find("CUDA 12.4"), std::string::npos) << reason;
  EXPECT_NE(std::string(reason).find("driver 580"), std::string::npos) << reason;
  simulated_set_driver_version(0);
  simulated_set_device_count(0);
  EXPECT_EQ(mo_backend_module(MO_BACKEND_ABI_VERSION, reason, sizeof reason), nullptr);
  EXPECT_STRNE(reason, "");
}

/* ---- Memory ---- */

TEST_F(GuestTest, ThePoolIsOneOfOurOwnPerCard) {
  /* That the default pool is not touched the simulated device sees: asking for it is a fault. */
  const int64_t created = simulated_call_count_of("cudaMemPoolCreate");
  const int64_t destroyed = simulated_call_count_of("cudaMemPoolDestroy");
  {
    Guest first(Own()), second(Own());
    EXPECT_EQ(simulated_call_count_of("cudaMemPoolCreate") - created, 1);
  }
  EXPECT_EQ(simulated_call_count_of("cudaMemPoolDestroy") - destroyed, 1);
}

/* 600 tokens of 128 bytes are more than 64 KiB: from pageable memory such a copy waits for the stream. */
TEST_F(GuestTest, InputsOfTheHostAreStagedInPinnedMemory) {
  Guest guest(Own());
  const int64_t shape[3] = {20, 30, 32};
  std::vector<float> values(20 * 30 * 32, 0.5f);
  const mo_tensor embeds = mo_tensor_cpu(values.data(), MO_DTYPE_FLOAT32, 3, shape);
  guest.inputs.input_ids = nullptr;
  guest.inputs.inputs_embeds = &embeds;
  const uint64_t before = simulated_pageable_copy_bytes();
  ASSERT_EQ(guest.Run(), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(simulated_pageable_copy_bytes(), before);
  EXPECT_EQ(mo_context_synchronize(guest.context), MO_STATUS_OK);
}

/* More than all slots of pinned memory hold at once, an odd number of bytes, twice: the slots of the first are used again while
 * its copies may still be to come. The source is overwritten at once, since it has been read. */
TEST_F(GuestTest, UploadsOfAnySizeGoThroughPinnedMemory) {
  constexpr size_t kBytes = MO_UPLOAD_PIECES * MO_UPLOAD_PIECE_BYTES + 3 * MO_UPLOAD_PIECE_BYTES + 5;
  mo_context_options options = Own();
  options.device = MO_DEVICE_CHOICE_CUDA;
  mo_context_t *context = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  const uint64_t before = simulated_pageable_copy_bytes();
  void *memory[2] = {};
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(mo_context_allocate(context, kBytes, &memory[i]), MO_STATUS_OK) << mo_last_error();
    std::vector<unsigned char> values(kBytes);
    for (size_t b = 0; b < kBytes; ++b) values[b] = static_cast<unsigned char>(b * 2654435761u >> (11 + i));
    ASSERT_EQ(mo_context_upload(context, memory[i], values.data(), kBytes), MO_STATUS_OK) << mo_last_error();
    std::fill(values.begin(), values.end(), static_cast<unsigned char>(0xEE));
  }
  EXPECT_EQ(simulated_pageable_copy_bytes(), before);
  for (int i = 0; i < 2; ++i) {
    std::vector<unsigned char> read(kBytes);
    ASSERT_EQ(mo_context_copy_to_host(context, read.data(), memory[i], kBytes), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
    size_t wrong = 0;
    for (size_t b = 0; b < kBytes; ++b) wrong += read[b] != static_cast<unsigned char>(b * 2654435761u >> (11 + i));
    EXPECT_EQ(wrong, 0u);
    mo_context_release(context, memory[i]);
  }
  /* What pinned memory holds at most stays the same however much went through it. */
  EXPECT_EQ(mo_context_get_counters(context).pinned_bytes, MO_UPLOAD_PIECES * MO_UPLOAD_PIECE_BYTES);
  mo_context_destroy(context);
}

/* A block table of two rows with 80,000 bytes each, sent at once: nothing waits for the stream. */
TEST_F(GuestTest, LargeBlockTablesAreStagedInPinnedMemory) {
  constexpr int64_t kPages = 20000;
  mo_context_options options = Own();
  options.device = MO_DEVICE_CHOICE_CUDA;
  mo_context_t *context = nullptr;
  ASSERT_EQ(mo_context_create(&options, &context), MO_STATUS_OK) << mo_last_error();
  mo_page_pool_options pool_options = MO_PAGE_POOL_OPTIONS_INIT;
  pool_options.page_count = kPages;
  pool_options.page_size = 16;
  pool_options.layer_count = pool_options.num_key_value_heads = 1;
  pool_options.head_dim = 8;
  pool_options.dtype = MO_DTYPE_FLOAT32;
  mo_page_pool_t *pool = nullptr;
  ASSERT_EQ(mo_page_pool_create(context, &pool_options, &pool), MO_STATUS_OK) << mo_last_error();
  mo_cache_options cache_options = MO_CACHE_OPTIONS_INIT;
  cache_options.kind = MO_CACHE_PAGED;
  cache_options.page_pool = pool;
  mo_cache_t *cache = nullptr;
  ASSERT_EQ(mo_cache_create(context, &cache_options, &cache), MO_STATUS_OK) << mo_last_error();
  void *memory = nullptr;
  const int64_t shape[4] = {2, 1, 3, 8};
  const std::vector<float> values(2 * 3 * 8, 0.5f);
  mo_tensor tokens, table, lengths;
  ASSERT_EQ(mo_context_allocate(context, values.size() * sizeof(float), &memory), MO_STATUS_OK);
  ASSERT_EQ(mo_context_copy_to_device(context, memory, values.data(), values.size() * sizeof(float)), MO_STATUS_OK);
  ASSERT_EQ(mo_tensor_init(&tokens, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 4, shape), MO_STATUS_OK);
  const uint64_t before = simulated_pageable_copy_bytes();
  const int64_t waits = simulated_call_count_of("cudaStreamSynchronize");
  ASSERT_EQ(mo_cache_update(cache, 0, &tokens, &tokens, nullptr, nullptr, nullptr), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(mo_cache_block_table(cache, &table, &lengths), MO_STATUS_OK) << mo_last_error();
  EXPECT_EQ(simulated_pageable_copy_bytes(), before);
  EXPECT_EQ(simulated_call_count_of("cudaStreamSynchronize"), waits);
  std::vector<int32_t> read(2 * kPages);
  ASSERT_EQ(table.shape[1], kPages);
  ASSERT_EQ(mo_context_copy_to_host(context, read.data(), table.data, read.size() * sizeof(int32_t)), MO_STATUS_OK);
  ASSERT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
  std::vector<bool> seen(kPages);
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t i = 0; i < kPages; ++i) {
      const int32_t page = read[static_cast<size_t>(row * kPages + i)];
      if (i >= 1) ASSERT_EQ(page, -1) << row << ' ' << i;
      else ASSERT_TRUE(page >= 0 && page < kPages && !seen[static_cast<size_t>(page)]) << page;
      if (i == 0) seen[static_cast<size_t>(page)] = true;
    }
  }
  mo_cache_release(cache);
  mo_page_pool_release(pool);
  mo_context_release(context, memory);
  mo_context_destroy(context);
}

}  // namespace
