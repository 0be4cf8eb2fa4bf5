// bench/lazy_read_bench.cc - what reading a field on the host costs: logits of bench/shapes/lazy_read.txt, in the dtype they
// are stored in, on the wall clock of the caller.
//
//   untouched            the field is looked up and not read: no byte is copied
//   first_read           of a new generation, the whole field
//   second_read          of the same generation
//   slice                a new generation, the last position of every row
//   top_k                a new generation, the five largest of every row, found on the device
//   read_into            a new generation, into pageable memory of the caller
//   prefetch             the call that starts the copy
//   read_after_prefetch  once it has arrived
//
// Beside the time: the bytes that crossed (by the field's own counter) and the floor, those bytes at the speed of a copy to
// pinned memory. On the CPU a read is a pointer.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "bench/shape_bench.h"
#include "modelout/output.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBatch = 1000;  // repetitions of calls that take nanoseconds

// Bytes per second to pinned memory.
double PinnedBandwidth() {
  if (!TheOptions().cuda) return ReadBandwidth();
  static const double bandwidth = [] {
    const size_t bytes = OnSimulatedDevice() ? size_t{1} << 16 : size_t{256} << 20;
    const DeviceMemory source(bytes);
    double seconds = 0;
    Device();
    RequireTimer(Timer()->copy_to_pinned(source.data(), bytes, mo_context_stream(BenchContext()), &seconds));
    return static_cast<double>(bytes) / std::max(seconds, 1e-9);
  }();
  return bandwidth;
}

// An output with logits that somebody has written.
class Logits {
 public:
  Logits(const BenchShape &shape, mo_dtype_t dtype) {
    mo_dimensions dimensions = MO_DIMENSIONS_INIT;
    dimensions.dtype = dtype;
    dimensions.batch_size = shape.sizes[0];
    dimensions.sequence_length = shape.sizes[1];
    dimensions.vocab_size = shape.sizes[2];
    Require(mo_output_create(BenchContext(), mo_class_find("MaskedLMOutput"), &dimensions, nullptr, nullptr, 0, &output_));
    field_ = mo_output_get(output_, "logits");
    ColdOperand values(dtype, shape.sizes, 0);
    const mo_tensor *tensor = mo_field_tensor(field_);
    void *staging = malloc(static_cast<size_t>(values.bytes()));
    Require(mo_context_copy_to_host(BenchContext(), staging, values.Next()->data, static_cast<size_t>(values.bytes())));
    Require(mo_context_synchronize(BenchContext()));
    Require(mo_context_copy_to_device(BenchContext(), tensor->data, staging, static_cast<size_t>(values.bytes())));
    NewGeneration();
    free(staging);
  }
  ~Logits() { mo_output_destroy(output_); }
  Logits(const Logits &) = delete;
  Logits &operator=(const Logits &) = delete;

  void NewGeneration() {
    Require(mo_output_mark_written(output_, mo_context_stream(BenchContext())));
    Require(mo_context_synchronize(BenchContext()));
  }
  mo_output *output() const { return output_; }
  mo_field *field() const { return field_; }
  int64_t bytes() const { return mo_tensor_bytes(mo_field_tensor(field_)); }
  uint64_t copied() const { return mo_field_get_counters(field_).host_copy_bytes; }

 private:
  mo_output *output_ = nullptr;
  mo_field *field_ = nullptr;
};

// Before each measured call: prepare. The clock runs for `repetitions` calls.
template <typename Prepare, typename Call>
void Run(benchmark::State &state, const Logits &logits, int repetitions, Prepare prepare, Call call) {
  std::vector<double> times;
  prepare();
  call(); /* mirrors and staging memory are allocated here */
  const uint64_t before = logits.copied();
  int64_t rounds = 0;
  for (auto _ : state) {
    prepare();
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < repetitions; ++i) call();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    times.push_back(elapsed.count() / repetitions);
    state.SetIterationTime(times.back());
    ++rounds;
  }
  const double bytes = static_cast<double>(logits.copied() - before) / static_cast<double>(rounds);
  const double seconds = std::max(Median(times), 1e-12);
  state.counters["median_us"] = seconds * 1e6;
  state.counters["bytes"] = bytes;
  state.counters["field_bytes"] = static_cast<double>(logits.bytes());
  state.counters["roof_bytes/s"] = PinnedBandwidth();
  state.counters["GB/s"] = bytes / seconds / 1e9;
  state.counters["floor_us"] = bytes / PinnedBandwidth() * 1e6;
  if (bytes > 0) state.counters["of_floor"] = bytes / PinnedBandwidth() / seconds;
}

enum class Read { kUntouched, kFirst, kSecond, kSlice, kTopK, kInto, kPrefetch, kAfterPrefetch };

void LazyRead(benchmark::State &state, const BenchShape &shape, mo_dtype_t dtype, Read which) {
  Logits logits(shape, dtype);
  mo_host_view view, indices;
  std::vector<char> memory(static_cast<size_t>(which == Read::kInto ? logits.bytes() : 0));
  const mo_slice last[] = {MO_SLICE_ALL, MO_SLICE_AT(-1)};
  mo_field *field = logits.field();
  const auto nothing = [] {};
  const auto write = [&] { logits.NewGeneration(); };
  switch (which) {
    case Read::kUntouched:
      Run(state, logits, kBatch, write, [&] { benchmark::DoNotOptimize(mo_output_get(logits.output(), "logits")); });
      break;
    case Read::kFirst:
      Run(state, logits, 1, write, [&] { Require(mo_field_read(field, &view)); });
      break;
    case Read::kSecond:
      Run(state, logits, kBatch, nothing, [&] { Require(mo_field_read(field, &view)); });
      break;
    case Read::kSlice:
      Run(state, logits, 1, write, [&] { Require(mo_field_read_slice(field, last, 2, &view)); });
      break;
    case Read::kTopK:
      Run(state, logits, 1, write,
          [&] { Require(mo_field_read_top_k(field, std::min<int64_t>(5, shape.sizes[2]), &view, &indices)); });
      break;
    case Read::kInto:
      Run(state, logits, 1, write, [&] { Require(mo_field_read_into(field, nullptr, 0, memory.data(), memory.size())); });
      break;
    case Read::kPrefetch:
      Run(state, logits, 1, write, [&] { Require(mo_field_prefetch(field)); });
      break;
    case Read::kAfterPrefetch:
      Run(
          state, logits, 1,
          [&] {
            write();
            Require(mo_field_prefetch(field));
            while (!mo_field_is_ready(field)) std::this_thread::yield();
          },
          [&] { Require(mo_field_read(field, &view)); });
      break;
  }
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    const char *name;
    Read which;
  } reads[] = {{"untouched", Read::kUntouched}, {"first_read", Read::kFirst},
               {"second_read", Read::kSecond},  {"slice", Read::kSlice},
               {"top_k", Read::kTopK},          {"read_into", Read::kInto},
               {"prefetch", Read::kPrefetch},   {"read_after_prefetch", Read::kAfterPrefetch}};
  for (const BenchShape &shape : ReadShapes("lazy_read.txt", 3)) {
    for (const mo_dtype_t dtype : {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16}) {
      for (const auto &read : reads) {
        const std::string name = std::string("lazy_read/") + read.name + "/" + mo_dtype_name(dtype) + "/" + ShapeName(shape);
        benchmark::RegisterBenchmark(name.c_str(), LazyRead, shape, dtype, read.which)
            ->UseManualTime()
            ->Iterations(OnSimulatedDevice() ? 2 : TheOptions().replays)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return BenchRun(&argc, argv);
}
