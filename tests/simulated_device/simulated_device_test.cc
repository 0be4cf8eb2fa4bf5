/* tests/simulated_device/simulated_device_test.cc - the test instrument itself: right kernels give right results on every
 * schedule, and each kind of mistake that it exists for is caught.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/arch/launch.cuh"
#include "kernels/arch/memory.cuh"
#include "kernels/arch/mma.cuh"
#include "tests/simulated_device/control.h"

namespace {

class SimulatedDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    simulated_reset();
    ASSERT_EQ(simulated_live_objects(), 0);
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
  }
  void TearDown() override {
    simulated_reset();
    for (void *memory : memory_) EXPECT_EQ(cudaFree(memory), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
    EXPECT_EQ(simulated_live_objects(), 0);
    simulated_reset();
  }
  template <typename T>
  T *allocate(size_t count) {
    void *memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, count * sizeof(T)), cudaSuccess);
    memory_.push_back(memory);
    return static_cast<T *>(memory);
  }
  template <typename T>
  std::vector<T> read(const T *memory, size_t count) {
    std::vector<T> host(count);
    EXPECT_EQ(cudaMemcpyAsync(host.data(), memory, count * sizeof(T), cudaMemcpyDeviceToHost, stream_), cudaSuccess);
    return host; /* pageable: complete on return */
  }
  std::string report() { return simulated_take_report(); }

  cudaStream_t stream_ = nullptr;
  std::vector<void *> memory_;
};

/* Reverses each block's numbers through shared memory. */
void reverse_kernel(float *data, bool with_barrier) {
  float *shared = mo_shared_memory<float>();
  const unsigned i = threadIdx.x, n = blockDim.x;
  float *mine = data + blockIdx.x * n;
  shared[i] = mine[i];
  if (with_barrier) __syncthreads();
  mine[i] = shared[n - 1 - i];
}

TEST_F(SimulatedDevice, BarriersHoldOnEverySchedule) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    simulated_set_seed(seed);
    std::vector<float> host(3 * 96);
    std::iota(host.begin(), host.end(), 0.0f);
    float *data = allocate<float>(host.size());
    ASSERT_EQ(cudaMemcpyAsync(data, host.data(), host.size() * 4, cudaMemcpyHostToDevice, stream_), cudaSuccess);
    ASSERT_EQ(MO_LAUNCH(reverse_kernel, dim3(3), dim3(96), 96 * 4, stream_, data, true), cudaSuccess);
    const std::vector<float> result = read(data, host.size());
    for (size_t i = 0; i < host.size(); ++i) ASSERT_EQ(result[i], host[i / 96 * 96 + 95 - i % 96]) << seed;
  }
}

TEST_F(SimulatedDevice, PlantedMissingBarrierShows) {
  bool wrong = false;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    simulated_set_seed(seed);
    float *data = allocate<float>(64);
    ASSERT_EQ(cudaMemsetAsync(data, 0, 64 * 4, stream_), cudaSuccess);
    ASSERT_EQ(MO_LAUNCH(reverse_kernel, dim3(1), dim3(64), 64 * 4, stream_, data, false), cudaSuccess);
    for (float x : read(data, 64)) wrong = wrong || std::isnan(x);
  }
  EXPECT_TRUE(wrong) << "shared memory that nobody has written yet is NaN";
}

/* Counts blocks without an atomic: between its read and its write a block lets others run. */
void count_blocks_kernel(int *count, bool with_atomic) {
  if (with_atomic) {
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(count, 1);
    return;
  }
  const int seen = *count;
  __syncthreads();
  if (threadIdx.x == 0) *count = seen + 1;
}

TEST_F(SimulatedDevice, PlantedRaceOfBlocksShows) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    for (const bool with_atomic : {true, false}) {
      simulated_set_seed(seed);
      int *count = allocate<int>(1);
      ASSERT_EQ(cudaMemsetAsync(count, 0, 4, stream_), cudaSuccess);
      ASSERT_EQ(MO_LAUNCH(count_blocks_kernel, dim3(5), dim3(64), 0, stream_, count, with_atomic), cudaSuccess);
      const int counted = read(count, 1)[0];
      if (with_atomic) ASSERT_EQ(counted, 5) << seed;
      else lost += counted < 5;
    }
  }
  EXPECT_GT(lost, 0) << "on some schedules several blocks are under way at once";
  EXPECT_LT(lost, 8) << "and on some one follows the other";
}

void half_barrier_kernel() {
  if (threadIdx.x < 32) __syncthreads();
  if (threadIdx.x >= 32) __shfl_sync(0xFFFFFFFFu, 1, 0); /* keeps the others alive until the deadlock */
  if (threadIdx.x >= 32 && threadIdx.x != 40) __syncwarp();
}

TEST_F(SimulatedDevice, StuckBlockIsReportedNotHungUpon) {
  ASSERT_EQ(MO_LAUNCH(half_barrier_kernel, dim3(1), dim3(64), 0, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure);
  const std::string text = report();
  EXPECT_NE(text.find("half_barrier_kernel"), std::string::npos) << text;
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure) << "sticky";
}

void divergent_shuffle_kernel(int *out) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x % 2 == 0) value = __shfl_xor_sync(0xFFFFFFFFu, value, 1);
  else value = __shfl_down_sync(0xFFFFFFFFu, value, 1);
  out[threadIdx.x] = value;
}

TEST_F(SimulatedDevice, PlantedDivergentShuffleIsReported) {
  int *out = allocate<int>(32);
  ASSERT_EQ(MO_LAUNCH(divergent_shuffle_kernel, dim3(1), dim3(32), 0, stream_, out), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure);
  EXPECT_NE(report().find("diverge"), std::string::npos);
}

void shuffle_kernel(int *out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int sum = lane;
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, offset);
  const int up = __shfl_up_sync(0xFFFFFFFFu, lane, 3), down = __shfl_down_sync(0xFFFFFFFFu, lane, 3);
  const int eight = __shfl_sync(0xFFFFFFFFu, lane, 5, 8);
  const unsigned ballot = __ballot_sync(0xFFFFFFFFu, lane % 3 == 0);
  int half = 0;
  if (lane < 16) half = __shfl_xor_sync(0x0000FFFFu, lane, 8);
  else half = __shfl_xor_sync(0xFFFF0000u, lane, 4);
  int *mine = out + 6 * threadIdx.x;
  mine[0] = sum;
  mine[1] = up;
  mine[2] = down;
  mine[3] = eight;
  mine[4] = static_cast<int>(ballot);
  mine[5] = half;
}

TEST_F(SimulatedDevice, WarpFunctionsAgreeWithTheirDefinition) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    simulated_set_seed(seed);
    int *out = allocate<int>(6 * 64);
    ASSERT_EQ(MO_LAUNCH(shuffle_kernel, dim3(1), dim3(64), 0, stream_, out), cudaSuccess);
    const std::vector<int> result = read(out, 6 * 64);
    ASSERT_EQ(report(), "");
    for (int i = 0; i < 64; ++i) {
      const int lane = i % 32;
      ASSERT_EQ(result[static_cast<size_t>(6 * i)], 496);
      ASSERT_EQ(result[static_cast<size_t>(6 * i + 1)], lane >= 3 ? lane - 3 : lane);
      ASSERT_EQ(result[static_cast<size_t>(6 * i + 2)], lane + 3 < 32 ? lane + 3 : lane);
      ASSERT_EQ(result[static_cast<size_t>(6 * i + 3)], lane / 8 * 8 + 5);
      ASSERT_EQ(result[static_cast<size_t>(6 * i + 4)], 0x49249249);
      ASSERT_EQ(result[static_cast<size_t>(6 * i + 5)], lane < 16 ? lane ^ 8 : lane ^ 4);
    }
  }
}

void fill_kernel(float *data, int count, float value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) data[i] = value;
}

TEST_F(SimulatedDevice, StreamsRunLateAndEventsOrderThem) {
  cudaStream_t other;
  cudaEvent_t event;
  ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  float *data = allocate<float>(40);
  void *pinned = nullptr;
  ASSERT_EQ(cudaHostAlloc(&pinned, 160, cudaHostAllocDefault), cudaSuccess);
  auto *host = static_cast<float *>(pinned);

  /* A planted missing wait: the copy does not wait for the kernel on the other stream, and reads poison. */
  ASSERT_EQ(MO_LAUNCH(fill_kernel, dim3(2), dim3(32), 0, stream_, data, 40, 3.0f), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(host, data, 160, cudaMemcpyDeviceToHost, other), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_TRUE(std::isnan(host[0]));

  /* With the event it is right, but only once it was waited for: a planted early host read sees the old content. */
  ASSERT_EQ(cudaEventRecord(event, stream_), cudaSuccess);
  ASSERT_EQ(cudaStreamWaitEvent(other, event, 0), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(host, data, 160, cudaMemcpyDeviceToHost, other), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event, other), cudaSuccess);
  EXPECT_TRUE(std::isnan(host[0])) << "a read before the copy was waited for";
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  ASSERT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  for (int i = 0; i < 40; ++i) ASSERT_EQ(host[i], 3.0f);

  ASSERT_EQ(cudaEventDestroy(event), cudaSuccess);
  ASSERT_EQ(cudaStreamDestroy(other), cudaSuccess);
  ASSERT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(SimulatedDevice, EventsTellTimeOnlyWhenTheyMay) {
  cudaStream_t stream;
  cudaEvent_t start, stop, silent;
  float milliseconds = -1;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&start, cudaEventDefault), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&stop, cudaEventDefault), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&silent, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, stop), cudaErrorInvalidResourceHandle) << "never recorded";
  for (const cudaEvent_t event : {start, silent, stop}) ASSERT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, stop), cudaErrorNotReady);
  ASSERT_EQ(cudaEventSynchronize(stop), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, silent), cudaErrorInvalidResourceHandle);
  ASSERT_EQ(cudaEventElapsedTime(&milliseconds, start, stop), cudaSuccess);
  EXPECT_GE(milliseconds, 0.0f);
  EXPECT_LT(milliseconds, 10000.0f);
  for (const cudaEvent_t event : {start, silent, stop}) ASSERT_EQ(cudaEventDestroy(event), cudaSuccess);
  ASSERT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST_F(SimulatedDevice, StreamOrderedMemoryIsThereWhenItsTurnHasCome) {
  cudaStream_t other;
  void *memory = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  for (const bool waits : {false, true}) {
    ASSERT_EQ(cudaMallocAsync(&memory, 160, stream_), cudaSuccess);
    if (waits) {
      ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    }
    ASSERT_EQ(MO_LAUNCH(fill_kernel, dim3(2), dim3(32), 0, other, static_cast<float *>(memory), 40, 3.0f), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
    EXPECT_EQ(std::isnan(read(static_cast<float *>(memory), 40)[0]), !waits) << "a planted missing wait loses what was written";
    ASSERT_EQ(cudaFreeAsync(memory, stream_), cudaSuccess);
  }
  ASSERT_EQ(cudaStreamDestroy(other), cudaSuccess);
}

TEST_F(SimulatedDevice, UnwrittenMemoryIsNan) {
  const float *data = allocate<float>(16);
  for (float x : read(data, 16)) EXPECT_TRUE(std::isnan(x));
}

void shared_overrun_kernel(unsigned by) { mo_shared_memory<float>()[threadIdx.x + by] = 1.0f; }

#if defined(__SANITIZE_ADDRESS__)
/* The sanitizer stops the process at the very access. */
TEST_F(SimulatedDevice, PlantedOverrunsStopTheProcess) {
  EXPECT_DEATH(
      {
        (void)MO_LAUNCH(shared_overrun_kernel, dim3(1), dim3(32), 32 * 4, stream_, 1u);
        (void)cudaStreamSynchronize(stream_);
      },
      "heap-buffer-overflow");
  EXPECT_DEATH(
      {
        void *memory = nullptr;
        (void)cudaMalloc(&memory, 100);
        (void)MO_LAUNCH(fill_kernel, dim3(1), dim3(32), 0, stream_, static_cast<float *>(memory), 26, 1.0f);
        (void)cudaStreamSynchronize(stream_);
      },
      "use-after-poison");
}
#else
TEST_F(SimulatedDevice, PlantedGlobalOverrunIsReportedAtTheLatestOnRelease) {
  void *memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 100), cudaSuccess);
  ASSERT_EQ(MO_LAUNCH(fill_kernel, dim3(1), dim3(32), 0, stream_, static_cast<float *>(memory), 27, 1.0f), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaErrorLaunchFailure);
  EXPECT_EQ(report(), "a write 0 bytes behind an allocation of 100 bytes");
}

void copy_one_kernel(const float *from, float *to) { *to = *from; }

TEST_F(SimulatedDevice, PlantedReadBehindAnAllocationIsNan) {
  float *data = allocate<float>(25), *out = allocate<float>(1);
  ASSERT_EQ(cudaMemsetAsync(data, 0, 100, stream_), cudaSuccess);
  ASSERT_EQ(MO_LAUNCH(copy_one_kernel, dim3(1), dim3(1), 0, stream_, data + 25, out), cudaSuccess);
  EXPECT_TRUE(std::isnan(read(out, 1)[0]));
  ASSERT_EQ(MO_LAUNCH(copy_one_kernel, dim3(1), dim3(1), 0, stream_, data + 24, out), cudaSuccess);
  EXPECT_EQ(read(out, 1)[0], 0.0f);
}

TEST_F(SimulatedDevice, PlantedSharedOverrunIsReported) {
  ASSERT_EQ(MO_LAUNCH(shared_overrun_kernel, dim3(1), dim3(32), 32 * 4, stream_, 1u), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure);
  EXPECT_NE(report().find("behind the block's shared memory"), std::string::npos);
}
#endif

void async_copy_kernel(const float *in, float *out, bool with_wait) {
  float *shared = mo_shared_memory<float>();
  mo_async_copy16(shared + 4 * threadIdx.x, in + 4 * threadIdx.x, threadIdx.x == 31 ? 8 : 16);
  mo_async_commit();
  if (with_wait) mo_async_wait<0>();
  __syncthreads();
  const unsigned from = (threadIdx.x + 1) % 32;
  for (unsigned i = 0; i < 4; ++i) out[4 * threadIdx.x + i] = shared[4 * from + i];
  mo_async_wait<0>();
}

TEST_F(SimulatedDevice, AsynchronousCopiesArriveOnlyAtTheWait) {
  std::vector<float> host(128);
  std::iota(host.begin(), host.end(), 1.0f);
  float *in = allocate<float>(128), *out = allocate<float>(128);
  ASSERT_EQ(cudaMemcpyAsync(in, host.data(), 512, cudaMemcpyHostToDevice, stream_), cudaSuccess);
  ASSERT_EQ(MO_LAUNCH(async_copy_kernel, dim3(1), dim3(32), 512, stream_, in, out, true), cudaSuccess);
  std::vector<float> result = read(out, 128);
  for (size_t i = 0; i < 128; ++i) {
    const size_t from = (i + 4) % 128;
    ASSERT_EQ(result[i], from >= 126 ? 0.0f : host[from]) << i;
  }
  ASSERT_EQ(MO_LAUNCH(async_copy_kernel, dim3(1), dim3(32), 512, stream_, in, out, false), cudaSuccess);
  result = read(out, 128);
  /* Whichever thread reads first: the last wait of others may have brought what later ones read. */
  EXPECT_TRUE(std::any_of(result.begin(), result.end(), [](float value) { return std::isnan(value); }))
      << "a planted missing wait";
}

template <typename T>
void mma_kernel(const T *a, const T *b, float *c) {
  T *shared_a = mo_shared_memory<T>(), *shared_b = shared_a + 16 * 16;
  for (unsigned i = threadIdx.x; i < 256; i += 32) shared_a[i] = a[i];
  for (unsigned i = threadIdx.x; i < 256; i += 32) shared_b[i] = b[i];
  __syncthreads();
  const unsigned lane = threadIdx.x;
  uint32_t fa[4], fb[4];
  /* A: matrices (rows 0-7, k 0-7), (rows 8-15, k 0-7), (rows 0-7, k 8-15), (rows 8-15, k 8-15) */
  mo_load_matrix4<false>(fa, shared_a + (lane % 8 + lane / 8 % 2 * 8) * 16 + lane / 16 * 8);
  /* B is stored k x 16: transposed loads give the column fragments of n 0-7 and n 8-15 */
  mo_load_matrix4<true>(fb, shared_b + (lane % 8 + lane / 8 % 2 * 8) * 16 + lane / 16 * 8);
  for (int n = 0; n < 2; ++n) {
    float sum[4] = {0.5f, 0.5f, 0.5f, 0.5f};
    const uint32_t column[2] = {fb[2 * n], fb[2 * n + 1]};
    mo_mma_m16n8k16<T>(sum, fa, column);
    const unsigned g = lane / 4, t = lane % 4;
    c[g * 16 + static_cast<unsigned>(n) * 8 + 2 * t] = sum[0];
    c[g * 16 + static_cast<unsigned>(n) * 8 + 2 * t + 1] = sum[1];
    c[(g + 8) * 16 + static_cast<unsigned>(n) * 8 + 2 * t] = sum[2];
    c[(g + 8) * 16 + static_cast<unsigned>(n) * 8 + 2 * t + 1] = sum[3];
  }
}

template <typename T>
class MatrixInstructions : public SimulatedDevice {};
using SixteenBitTypes = ::testing::Types<mo_half, mo_bfloat16>;
TYPED_TEST_SUITE(MatrixInstructions, SixteenBitTypes);

TYPED_TEST(MatrixInstructions, ProductOfTwoTiles) {
  std::mt19937 random(3);
  std::vector<TypeParam> a(256), b(256);
  for (auto &x : a) x = mo_from_float<TypeParam>(static_cast<float>(random() % 17) - 8.0f);
  for (auto &x : b) x = mo_from_float<TypeParam>(static_cast<float>(random() % 17) - 8.0f);
  auto *da = this->template allocate<TypeParam>(256), *db = this->template allocate<TypeParam>(256);
  float *dc = this->template allocate<float>(256);
  ASSERT_EQ(cudaMemcpyAsync(da, a.data(), 512, cudaMemcpyHostToDevice, this->stream_), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(db, b.data(), 512, cudaMemcpyHostToDevice, this->stream_), cudaSuccess);
  ASSERT_EQ(MO_LAUNCH(mma_kernel<TypeParam>, dim3(1), dim3(32), 1024, this->stream_, da, db, dc), cudaSuccess);
  const std::vector<float> c = this->read(dc, 256);
  ASSERT_EQ(this->report(), "");
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) {
      float expected = 0.5f;
      for (int k = 0; k < 16; ++k) {
        expected += mo_to_float(a[static_cast<size_t>(16 * i + k)]) * mo_to_float(b[static_cast<size_t>(16 * k + j)]);
      }
      ASSERT_EQ(c[static_cast<size_t>(16 * i + j)], expected) << i << "," << j;
    }
  }
}

TEST_F(SimulatedDevice, GraphsReplayAndRefuseToSynchronise) {
  float *data = allocate<float>(8);
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(MO_LAUNCH(fill_kernel, dim3(1), dim3(32), 0, stream_, data, 8, 5.0f), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_TRUE(std::isnan(read(data, 8)[0])) << "captured, not run";
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int replay = 0; replay < 2; ++replay) {
    ASSERT_EQ(cudaMemsetAsync(data, 0, 32, stream_), cudaSuccess);
    ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
    EXPECT_EQ(read(data, 8)[7], 5.0f);
  }
  ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
}

TEST_F(SimulatedDevice, ErrorsAreGivenWhereTheRuntimeGivesThem) {
  EXPECT_EQ(MO_LAUNCH(fill_kernel, dim3(1), dim3(2048), 0, stream_, nullptr, 0, 0.0f), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  void *memory = nullptr;
  simulated_set_memory(1 << 20);
  EXPECT_EQ(cudaMalloc(&memory, 2 << 20), cudaErrorMemoryAllocation);
  simulated_set_memory(size_t{4} << 30);
  simulated_fail_call(2, cudaErrorUnknown);
  EXPECT_EQ(cudaMemsetAsync(allocate<float>(1), 0, 4, stream_), cudaErrorUnknown);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
}

/* A product that is cut off, and one that is too small to count: each only where arithmetic is rough. */
void one_product_kernel(float *out, float first, float second) {
  const auto lane = static_cast<int>(threadIdx.x);
  uint32_t a[4] = {}, b[2] = {};
  if (lane % 4 == 0) a[0] = mo_pack2<mo_bfloat16>(first, second), b[0] = mo_pack2<mo_bfloat16>(1.0f, 1.0f);
  float c[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  mo_mma_m16n8k16<mo_bfloat16>(c, a, b);
  out[lane] = c[0];
  out[32 + lane] = mo_exp2(-0.01f * static_cast<float>(lane));
}

TEST_F(SimulatedDevice, RoughArithmeticCutsOffAndApproximates) {
  float *out = allocate<float>(64);
  const struct {
    float first, second, exact, rough;
  } cases[] = {{0x1.8p-24f, 0, 1 + 0x1p-23f, 1},           /* more than half a unit: up, or cut off */
               {-0x1p-26f, 0, 1, 1},                       /* below the last bit that is kept */
               {-0x1p-24f, 0, 1 - 0x1p-24f, 1 - 0x1p-24f}, /* the bit that is kept */
               {0x1p-2f, 0x1p-3f, 1.375f, 1.375f}};
  for (const auto &c : cases) {
    for (const bool rough : {false, true}) {
      simulated_set_rough(rough);
      ASSERT_EQ(MO_LAUNCH(one_product_kernel, dim3(1), dim3(32), 0, stream_, out, c.first, c.second), cudaSuccess);
      const std::vector<float> result = read(out, 64);
      EXPECT_EQ(result[0], rough ? c.rough : c.exact) << c.first << (rough ? " rough" : "");
      int off = 0;
      for (int lane = 0; lane < 32; ++lane) {
        const float exact = std::exp2(-0.01f * static_cast<float>(lane)), got = result[static_cast<size_t>(32 + lane)];
        EXPECT_LE(std::fabs(got - exact), 2 * 0x1p-24f) << lane;
        off += got != exact;
      }
      EXPECT_EQ(result[32], 1.0f);
      EXPECT_EQ(off > 0, rough);
    }
  }
  simulated_set_rough(false);
}

}  // namespace
