// tests/cache/cache_fault_test.cc - every allocation of every operation fails once: a clear status, the cache as it was,
// nothing lost, and the operation works when it is called again.
//
// On the CPU the context's host and device allocators fail; on the simulated device its calls do, allocations or not.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <map>
#include <tuple>

#include "cache_tensors.h"

/* tests/simulated_device/control.h; there only in programs that hold the simulated device. The error is a cudaError_t. */
extern "C" void simulated_fail_call(int64_t n, int error) __attribute__((weak));
extern "C" int64_t simulated_call_count(void) __attribute__((weak));
extern "C" int64_t simulated_live_objects(void) __attribute__((weak));
extern "C" void simulated_reset(void) __attribute__((weak));

namespace {

using namespace cache_test;

constexpr int kMemoryAllocation = 2; /* cudaErrorMemoryAllocation */

/* Counts allocations and refuses one of them. */
struct Allocations {
  int64_t count = 0, refused = 0, live = 0; /* refused: the number of the one to refuse, 0: none */

  bool Refuses() { return ++count == refused; }
};

void *Allocate(void *user_data, size_t bytes, mo_stream) {
  auto *allocations = static_cast<Allocations *>(user_data);
  if (allocations->Refuses()) return nullptr;
  ++allocations->live;
  return aligned_alloc(256, (bytes + 256) / 256 * 256);
}

void Release(void *user_data, void *memory, size_t, mo_stream) {
  --static_cast<Allocations *>(user_data)->live;
  free(memory);
}

/* What a cache is to its users. */
struct Digest {
  int64_t layers = 0, batch = 0, free_pages = 0;
  std::vector<int64_t> lengths;
  std::vector<std::vector<float>> content;

  bool operator==(const Digest &other) const {
    return layers == other.layers && batch == other.batch && free_pages == other.free_pages && lengths == other.lengths &&
           content == other.content;
  }
};

enum class Pairing { kSingle, kPair };

class CacheFaults : public ::testing::TestWithParam<std::tuple<mo_cache_kind_t, Pairing>> {
 protected:
  static constexpr int64_t kHeads = 2, kSize = 4;

  void TearDown() override {
    if (test_device_is_simulated()) simulated_reset();
  }

  void Open() {
    mo_context_options options = test_context_options();
    options.thread_count = 1;
    /* On the CPU every block comes from the allocator; a device's call that frees may fail, and then the block is lost. */
    options.cached_bytes_limit = test_device_is_cpu() ? 1 : 0;
    options.host_allocator = {Allocate, Release, &allocations_};
    if (test_device_is_cpu()) options.device_allocator = {Allocate, Release, &allocations_};
    ASSERT_EQ(test_context_create(&options, &context_), MO_STATUS_OK) << mo_last_error();
  }

  int64_t Calls() const { return test_device_is_simulated() ? simulated_call_count() : 0; }

  /* From the n-th allocation (or call of the device) on. */
  void Arm(int64_t n, bool device) {
    if (device) simulated_fail_call(n, kMemoryAllocation);
    else allocations_.count = 0, allocations_.refused = n;
  }
  /* True if it has struck. */
  bool Disarm(int64_t n, bool device, int64_t calls_before) {
    const bool struck = device ? Calls() - calls_before >= n : allocations_.count >= n;
    if (device) simulated_fail_call(0, 0);
    allocations_.refused = 0;
    return struck;
  }

  Digest Look(mo_cache_t *cache) {
    Digest digest;
    for (mo_cache_t *part : {mo_cache_self(cache), mo_cache_cross(cache)}) {
      if (part == nullptr) continue;
      digest.layers = digest.layers * 100 + mo_cache_layer_count(part);
      digest.batch = digest.batch * 100 + mo_cache_batch_size(part);
      for (int64_t l = 0; l < mo_cache_layer_count(part); ++l) {
        mo_cache_entry entry;
        EXPECT_EQ(mo_cache_read(part, l, &entry), MO_STATUS_OK) << mo_last_error();
        digest.lengths.push_back(mo_cache_length(part, l));
        digest.lengths.push_back(entry.length);
        digest.lengths.push_back(mo_cache_is_updated(cache, l) ? 1 : 0);
        for (int64_t b = 0; b < mo_cache_batch_size(part); ++b) digest.lengths.push_back(mo_cache_row_length(part, b));
        if (entry.length == 0 || entry.lengths.dtype != MO_DTYPE_NONE) continue;
        for (const bool value : {false, true})
          digest.content.push_back(
              Gather(context_, entry.view, mo_cache_batch_size(part), entry.length, value, MO_DTYPE_FLOAT32));
      }
    }
    if (pool_ != nullptr) digest.free_pages = mo_page_pool_free_pages(pool_);
    return digest;
  }

  using Step = std::function<mo_status_t()>;

  mo_status_t MakeOne(mo_cache_kind_t kind, mo_cache_t **cache) {
    const bool is_static = kind == MO_CACHE_STATIC || kind == MO_CACHE_STATIC_SLIDING;
    mo_cache_options options = MO_CACHE_OPTIONS_INIT;
    options.kind = kind;
    options.layer_count = is_static ? 2 : 0;
    options.max_length = is_static ? 40 : 0;
    options.window = kind == MO_CACHE_SLIDING || kind == MO_CACHE_STATIC_SLIDING ? 6 : 0;
    options.page_pool = kind == MO_CACHE_PAGED ? pool_ : nullptr;
    return mo_cache_create(context_, &options, cache);
  }

  mo_status_t Append(mo_cache_t *cache, int64_t layer, int64_t count) {
    DeviceTensor &tensor = *tokens_[count];
    mo_tensor part = *tensor.get();
    part.shape[0] = mo_cache_batch_size(cache) > 0 && mo_cache_length(cache, 0) > 0 ? mo_cache_batch_size(cache) : 2;
    return mo_cache_update(cache, layer, &part, &part, nullptr, nullptr, nullptr);
  }

  /* What is done, one call after the other; all that it makes is in members. */
  std::vector<Step> Script(mo_cache_kind_t kind, Pairing pairing) {
    std::vector<Step> steps;
    if (kind == MO_CACHE_PAGED) {
      steps.push_back([this] {
        mo_page_pool_options options = MO_PAGE_POOL_OPTIONS_INIT;
        options.page_count = 64;
        options.page_size = 16;
        options.layer_count = 2;
        options.num_key_value_heads = kHeads;
        options.head_dim = kSize;
        options.dtype = MO_DTYPE_FLOAT32;
        return mo_page_pool_create(context_, &options, &pool_);
      });
    }
    steps.push_back([this, kind] { return MakeOne(kind, &self_); });
    if (pairing == Pairing::kPair) {
      steps.push_back([this, kind] { return MakeOne(kind, &cross_); });
      for (int64_t l = 0; l < 2; ++l) steps.push_back([this, l] { return Append(cross_, l, 3); });
      steps.push_back([this] { return mo_cache_create_encoder_decoder(self_, cross_, &cache_); });
      steps.push_back([this] { return mo_cache_set_updated(cache_, 30, true); });
    } else {
      steps.push_back([this] {
        cache_ = mo_cache_retain(self_);
        return MO_STATUS_OK;
      });
    }
    const auto every_layer = [&](int64_t count) {
      for (int64_t l = 0; l < 2; ++l) steps.push_back([this, l, count] { return Append(self_, l, count); });
    };
    every_layer(3);
    every_layer(20);
    every_layer(1);
    steps.push_back([this] { return mo_cache_reserve(self_, 9); });
    steps.push_back([this] {
      mo_cache_entry entry;
      return mo_cache_prepare(self_, 0, 3, &entry, nullptr);
    });
    steps.push_back([this] {
      mo_tensor lengths;
      return mo_cache_lengths(self_, &lengths);
    });
    steps.push_back([this] {
      const int64_t rows[2] = {1, 0};
      return mo_cache_reorder(cache_, rows, 2);
    });
    steps.push_back([this] { return mo_cache_batch_repeat(cache_, 2); });
    every_layer(1);
    steps.push_back([this] { return mo_cache_copy(cache_, &copy_); });
    every_layer(1);
    steps.push_back([this] {
      const int64_t rows[3] = {3, 0, 0};
      return mo_cache_batch_select(cache_, rows, 3);
    });
    if (kind == MO_CACHE_PAGED) {
      steps.push_back([this] { return mo_cache_share_prefix(self_, 1, self_, 0, 5); });
      every_layer(1);
      steps.push_back([this] { return mo_cache_reset_row(self_, 0); });
    }
    for (const mo_framework_t framework : {MO_FRAMEWORK_PT, MO_FRAMEWORK_TF, MO_FRAMEWORK_FLAX}) {
      steps.push_back([this, framework] {
        mo_field *field = nullptr;
        const mo_status_t status = mo_cache_field(cache_, framework, &field);
        mo_field_release(field);
        return status == MO_STATUS_UNSUPPORTED ? MO_STATUS_OK : status;
      });
    }
    if (kind != MO_CACHE_SLIDING && kind != MO_CACHE_STATIC_SLIDING) {
      steps.push_back([this] { return mo_cache_crop(cache_, 2); });
      every_layer(1);
    }
    steps.push_back([this] { return mo_cache_reset(cache_); });
    steps.push_back([this] { return mo_cache_initialize(self_, 0, 0, 0, MO_DTYPE_NONE); });
    return steps;
  }

  void MakeTokens() {
    for (const int64_t count : {1, 3, 20})
      tokens_[count] = std::make_unique<DeviceTensor>(context_, MO_DTYPE_FLOAT32, std::vector<int64_t>{4, kHeads, count, kSize},
                                                      [](int64_t i) { return static_cast<float>(i % 97) - 40.0f; });
  }

  void CloseObjects() {
    mo_cache_release(copy_);
    mo_cache_release(cache_);
    mo_cache_release(self_);
    mo_cache_release(cross_);
    mo_page_pool_release(pool_);
    tokens_.clear();
    copy_ = cache_ = self_ = cross_ = nullptr;
    pool_ = nullptr;
  }

  /* Fails the n-th chance of step number `at`; false when the step has fewer. */
  void RunWithFault(const std::vector<Step> &script, size_t at, int64_t n, bool device, bool *struck) {
    Open();
    MakeTokens();
    for (size_t i = 0; i < script.size(); ++i) {
      if (i != at) {
        ASSERT_EQ(script[i](), MO_STATUS_OK) << "step " << i << ": " << mo_last_error();
        continue;
      }
      const Digest before = cache_ != nullptr ? Look(cache_) : Digest();
      const int64_t calls = Calls();
      Arm(n, device);
      const mo_status_t status = script[i]();
      *struck = Disarm(n, device, calls);
      if (!*struck) {
        ASSERT_EQ(status, MO_STATUS_OK);
        break;
      }
      if (status == MO_STATUS_OK) continue; /* a kept block or another way was found */
      ASSERT_TRUE(status == MO_STATUS_OUT_OF_MEMORY || (device && status == MO_STATUS_DEVICE_ERROR))
          << "step " << i << ": " << mo_status_name(status) << " " << mo_last_error();
      ASSERT_STRNE(mo_last_error(), "");
      if (cache_ != nullptr) {
        const Digest after = Look(cache_);
        if (device) {
          /* The device stopped in the middle of a change of several layers: empty, as the header says. */
          int64_t tokens = 0;
          for (int64_t l = 0; l < mo_cache_layer_count(cache_); ++l) tokens += mo_cache_length(cache_, l);
          ASSERT_TRUE(after == before || tokens == 0) << "step " << i << ", call " << n;
          if (!(after == before)) {
            *struck = true;
            break;
          }
        } else {
          ASSERT_TRUE(after == before) << "step " << i << ", allocation " << n << " changed the cache";
        }
      }
      ASSERT_EQ(script[i](), MO_STATUS_OK) << "step " << i << " again: " << mo_last_error();
      if (device) break;
    }
    CloseObjects();
    mo_context_destroy(context_);
    context_ = nullptr;
    if (test_device_is_simulated()) {
      ASSERT_EQ(simulated_live_objects(), 0) << "step " << at << ", call " << n << (device ? " of the device" : "");
    }
    ASSERT_EQ(allocations_.live, 0) << "step " << at << ", allocation " << n << " is lost";
  }

  Allocations allocations_;
  mo_context_t *context_ = nullptr;
  mo_page_pool_t *pool_ = nullptr;
  mo_cache_t *self_ = nullptr, *cross_ = nullptr, *cache_ = nullptr, *copy_ = nullptr;
  std::map<int64_t, std::unique_ptr<DeviceTensor>> tokens_;
};

TEST_P(CacheFaults, EveryAllocationFailsOnce) {
  const auto [kind, pairing] = GetParam();
  if (test_device_is_simulated() && kind == MO_CACHE_STATIC && pairing == Pairing::kPair)
    GTEST_SKIP() << "the zeros of two static caches take the simulated device too long";
  const std::vector<Step> script = Script(kind, pairing);
  const int64_t objects = test_device_is_simulated() ? simulated_live_objects() : 0;
  int64_t faults = 0;
  /* The simulated device is slow: each of its schedules takes every seventh call, from another one on. */
  const bool device = test_device_is_simulated();
  const char *seed = std::getenv("MODELOUT_SIMULATED_SEED");
  const int64_t stride = device ? 7 : 1, first = device && seed != nullptr ? 2 * (std::atoi(seed) % 4) + 1 : 1;
  for (size_t at = 0; at < script.size(); ++at) {
    bool struck = true;
    for (int64_t n = first; struck; n += stride) {
      RunWithFault(script, at, n, device, &struck);
      if (HasFatalFailure()) return;
      faults += struck ? 1 : 0;
    }
  }
  printf("%zu steps, %lld faults\n", script.size(), static_cast<long long>(faults));
  EXPECT_GT(faults, device ? 5 : 20);
  if (test_device_is_simulated()) {
    EXPECT_EQ(simulated_live_objects(), objects);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, CacheFaults,
    ::testing::Values(std::make_tuple(MO_CACHE_DYNAMIC, Pairing::kSingle), std::make_tuple(MO_CACHE_STATIC, Pairing::kSingle),
                      std::make_tuple(MO_CACHE_SLIDING, Pairing::kSingle),
                      std::make_tuple(MO_CACHE_STATIC_SLIDING, Pairing::kSingle),
                      std::make_tuple(MO_CACHE_QUANTIZED, Pairing::kSingle), std::make_tuple(MO_CACHE_PAGED, Pairing::kSingle),
                      std::make_tuple(MO_CACHE_DYNAMIC, Pairing::kPair), std::make_tuple(MO_CACHE_STATIC, Pairing::kPair)));

}  // namespace
