/* tests/core/preflight_test.cc - what has to be true before anything else is worth running on a card: scripts/gpu-check starts
 * these tests one by one, first of all, and says which one failed.
 *
 * MODELOUT_PREFLIGHT_BREAK=<test's name in lower case> makes the named one see a wrong result, so that what is said of a
 * failure can be rehearsed where there is no card.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "host/core/backend.h"
#include "modelout/modelout.h"
#include "tests/support/test_context.h"

/* There only in programs that hold the simulated device. */
extern "C" {
int cudaMemcpyAsync(void *destination, const void *source, size_t bytes, int kind, void *stream) __attribute__((weak));
int cudaStreamSynchronize(void *stream) __attribute__((weak));
int cudaHostAlloc(void **memory, size_t bytes, unsigned flags) __attribute__((weak));
int cudaFreeHost(void *memory) __attribute__((weak));
}

namespace {

/* Large enough on a card that a copy or a kernel that is not waited for has not ended by chance. */
int64_t Columns() { return test_device_is_simulated() || test_device_is_cpu() ? 96 : 1 << 15; }
constexpr int64_t kRows = 64;

bool IsBroken(const char *test) {
  const char *broken = getenv("MODELOUT_PREFLIGHT_BREAK");
  return broken != nullptr && strcmp(broken, test) == 0;
}

class Context {
 public:
  explicit Context(bool own_stream = true) {
    mo_context_options options = test_context_options();
    options.own_stream = own_stream;
    options.device_index = 0; /* the current card: the legacy stream is that one's */
    status = test_context_create(&options, &context_);
  }
  ~Context() { mo_context_destroy(context_); }
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;
  operator mo_context_t *() const { return context_; }

  mo_status_t status;

 private:
  mo_context_t *context_ = nullptr;
};

/* A float32 matrix on the device. */
class Matrix {
 public:
  Matrix(mo_context_t *context, int64_t rows, int64_t columns) : context_(context), values_(rows * columns) {
    const int64_t shape[2] = {rows, columns};
    void *memory = nullptr;
    EXPECT_EQ(mo_context_allocate(context, Bytes(), &memory), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_tensor_init(&tensor_, memory, MO_DTYPE_FLOAT32, mo_context_device(context), 2, shape), MO_STATUS_OK);
  }
  ~Matrix() { mo_context_release(context_, tensor_.data); }
  Matrix(const Matrix &) = delete;
  Matrix &operator=(const Matrix &) = delete;

  size_t Bytes() const { return static_cast<size_t>(values_) * sizeof(float); }
  const mo_tensor *get() const { return &tensor_; }
  void Set(const std::vector<float> &values) {
    EXPECT_EQ(mo_context_copy_to_device(context_, tensor_.data, values.data(), Bytes()), MO_STATUS_OK) << mo_last_error();
  }
  std::vector<float> Values() {
    std::vector<float> values(static_cast<size_t>(values_));
    EXPECT_EQ(mo_context_copy_to_host(context_, values.data(), tensor_.data, Bytes()), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(mo_context_synchronize(context_), MO_STATUS_OK) << mo_last_error();
    return values;
  }

 private:
  mo_context_t *context_;
  int64_t values_;
  mo_tensor tensor_{};
};

/* Row r of input `round`: one column stands out, so that the softmax of a row is nearly all there. */
std::vector<float> Input(int64_t columns, int round) {
  std::vector<float> values(static_cast<size_t>(kRows * columns));
  for (int64_t row = 0; row < kRows; ++row) values[static_cast<size_t>(row * columns + (7 * row + round) % columns)] = 40.0f;
  return values;
}

/* Entries that are not the softmax of that input. */
int64_t CountWrong(const std::vector<float> &values, int64_t columns, int round) {
  int64_t wrong = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const float expected = column == (7 * row + round) % columns ? 1.0f : 0.0f;
      wrong += !(std::fabs(values[static_cast<size_t>(row * columns + column)] - expected) < 1e-6f);
    }
  }
  return wrong;
}

mo_status_t Softmax(mo_context_t *context, const Matrix &output, const Matrix &input) {
  mo_softmax_params params = MO_SOFTMAX_PARAMS_INIT;
  params.output = output.get();
  params.input = input.get();
  return mo_softmax(context, &params);
}

/* The driver is new enough, the module opens with all libraries it needs, and it has code for this card. */
TEST(Preflight, Driver) {
  Context context;
  ASSERT_EQ(context.status, MO_STATUS_OK) << mo_last_error();
  ASSERT_FALSE(IsBroken("driver"));
}

/* A product large enough for cuBLASLt to have an algorithm, against the sum written out. */
TEST(Preflight, CublasLt) {
  Context context;
  ASSERT_EQ(context.status, MO_STATUS_OK) << mo_last_error();
  constexpr int64_t kSize = 64;
  std::vector<float> values[2];
  Matrix input(context, kSize, kSize), weight(context, kSize, kSize), output(context, kSize, kSize);
  for (int i = 0; i < 2; ++i) {
    for (int64_t k = 0; k < kSize * kSize; ++k) values[i].push_back(static_cast<float>((k * (5 + i)) % 17 - 8) / 8.0f);
  }
  input.Set(values[0]);
  weight.Set(values[1]);
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = output.get();
  params.input = input.get();
  params.weight = weight.get();
  ASSERT_EQ(mo_linear(context, &params), MO_STATUS_OK) << mo_last_error();
  const std::vector<float> result = output.Values();
  double worst = IsBroken("cublaslt") ? 1 : 0;
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t j = 0; j < kSize; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < kSize; ++k)
        sum +=
            static_cast<double>(values[0][static_cast<size_t>(i * kSize + k)]) * values[1][static_cast<size_t>(j * kSize + k)];
      const double error = std::fabs(sum - result[static_cast<size_t>(i * kSize + j)]);
      worst = error <= worst ? worst : error; /* NaN counts */
    }
  }
  EXPECT_LT(worst, 0.05) << "the worst entry of a product of 64 x 64 matrices is off by so much";
}

/* A graph of one op runs nothing while it is recorded, and at each launch what its input holds by then. */
TEST(Preflight, CaptureAndReplay) {
  Context context;
  ASSERT_EQ(context.status, MO_STATUS_OK) << mo_last_error();
  const mo_backend *backend = mo_context_backend(context);
  if (backend->graph_begin == nullptr) GTEST_SKIP() << "this device has no graphs";
  void *state = mo_context_backend_state(context);
  const mo_stream stream = mo_context_stream(context);
  const int64_t columns = Columns();
  Matrix input(context, kRows, columns), output(context, kRows, columns);
  input.Set(Input(columns, 0));
  ASSERT_EQ(Softmax(context, output, input), MO_STATUS_OK) << mo_last_error(); /* whatever is made at first use */
  mo_graph graph = nullptr;
  ASSERT_EQ(backend->graph_begin(state, stream), MO_STATUS_OK) << mo_last_error();
  const mo_status_t status = Softmax(context, output, input);
  ASSERT_EQ(backend->graph_end(state, stream, &graph), MO_STATUS_OK) << mo_last_error();
  ASSERT_EQ(status, MO_STATUS_OK);
  for (int round = 1; round <= 3; ++round) {
    input.Set(Input(columns, round));
    ASSERT_EQ(backend->graph_launch(state, graph, stream), MO_STATUS_OK) << mo_last_error();
    EXPECT_EQ(CountWrong(output.Values(), columns, IsBroken("captureandreplay") ? 0 : round), 0) << "launch " << round;
  }
  backend->graph_destroy(state, graph);
}

/* Each thread with a context of its own; rows of both need more shared memory than a kernel has unasked, of two sizes. */
TEST(Preflight, TwoContextsInTwoThreads) {
  const bool is_small = test_device_is_simulated() || test_device_is_cpu();
  int64_t wrong[2] = {};
  std::string said[2];
  const auto work = [&](int index) {
    Context context;
    if (context.status != MO_STATUS_OK) {
      said[index] = mo_last_error();
      return;
    }
    const int64_t columns = is_small ? 96 + 32 * index : 16000 + 8000 * index;
    Matrix input(context, kRows, columns), output(context, kRows, columns);
    for (int round = 0; round < (is_small ? 2 : 50); ++round) {
      input.Set(Input(columns, round));
      if (Softmax(context, output, input) != MO_STATUS_OK) said[index] = mo_last_error();
      wrong[index] += CountWrong(output.Values(), columns, IsBroken("twocontextsintwothreads") ? round + 1 : round);
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(said[i], "") << "thread " << i;
    EXPECT_EQ(wrong[i], 0) << "thread " << i;
  }
}

/* ---- The legacy stream ---- */

/* The CUDA runtime of somebody else in the process: a shared one, as PyTorch brings it; on the simulated device its own. */
struct Runtime {
  decltype(&cudaMemcpyAsync) copy = &cudaMemcpyAsync;
  decltype(&cudaStreamSynchronize) wait = &cudaStreamSynchronize;
  decltype(&cudaHostAlloc) take = &cudaHostAlloc;
  decltype(&cudaFreeHost) give = &cudaFreeHost;

  Runtime() {
    if (is_there()) return;
    void *library = dlopen("libcudart.so.13", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) library = dlopen("libcudart.so.12", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    copy = reinterpret_cast<decltype(copy)>(dlsym(library, "cudaMemcpyAsync"));
    wait = reinterpret_cast<decltype(wait)>(dlsym(library, "cudaStreamSynchronize"));
    take = reinterpret_cast<decltype(take)>(dlsym(library, "cudaHostAlloc"));
    give = reinterpret_cast<decltype(give)>(dlsym(library, "cudaFreeHost"));
  }
  bool is_there() const { return copy != nullptr && wait != nullptr && take != nullptr && give != nullptr; }
};

constexpr int kToDevice = 1, kToHost = 2;

/* Somebody else's copies on the stream 0 before and after an op of a context on that stream; nobody waits between them. */
TEST(Preflight, LegacyStream) {
  if (test_device_is_cpu()) GTEST_SKIP() << "the CPU has no streams";
  Runtime runtime;
  ASSERT_TRUE(runtime.is_there()) << "no libcudart.so.13 or .12 to stand for another library: " << dlerror();
  Context context(IsBroken("legacystream"));
  ASSERT_EQ(context.status, MO_STATUS_OK) << mo_last_error();
  const int64_t columns = Columns();
  Matrix input(context, kRows, columns), output(context, kRows, columns);
  void *from = nullptr, *to = nullptr;
  ASSERT_EQ(runtime.take(&from, input.Bytes(), 0), 0);
  ASSERT_EQ(runtime.take(&to, input.Bytes(), 0), 0);
  for (int round = 0; round < 5; ++round) {
    const std::vector<float> values = Input(columns, round);
    std::copy(values.begin(), values.end(), static_cast<float *>(from));
    ASSERT_EQ(runtime.copy(input.get()->data, from, input.Bytes(), kToDevice, nullptr), 0);
    ASSERT_EQ(Softmax(context, output, input), MO_STATUS_OK) << mo_last_error();
    ASSERT_EQ(runtime.copy(to, output.get()->data, output.Bytes(), kToHost, nullptr), 0);
    ASSERT_EQ(runtime.wait(nullptr), 0);
    const auto *result = static_cast<const float *>(to);
    EXPECT_EQ(CountWrong(std::vector<float>(result, result + kRows * columns), columns, round), 0) << "round " << round;
  }
  EXPECT_EQ(mo_context_synchronize(context), MO_STATUS_OK);
  EXPECT_EQ(runtime.give(from), 0);
  EXPECT_EQ(runtime.give(to), 0);
}

}  // namespace
