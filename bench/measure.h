// bench/measure.h - how long a call takes, and how long it would take at the least. Include bench/shape_bench.h.
//
// CPU: Google Benchmark's loop and wall clock. Device: a graph of as many calls as fill two milliseconds (at most --calls),
// replayed between events after twice the L2 cache was overwritten; the operands take turns inside the graph. The figure is the
// median over the replays of time / calls.
//
// Every result carries bytes and flops of the floor, the roofs measured in the same process (bytes/s of a copy, each byte read
// and each written counted; flop/s of a large product by cuBLASLt) and of_floor, the floor's share of the time taken.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_BENCH_MEASURE_H
#define MO_BENCH_MEASURE_H

#include <dlfcn.h>

#include <chrono>
#include <map>
#include <thread>

#include "bench/device_timer.h"
#include "bench/shape_bench.h"
#include "modelout/linear.h"

extern "C" const bench_timer *bench_cuda_timer(void) __attribute__((weak));

inline void RequireTimer(const char *problem) {
  if (problem == nullptr) return;
  fprintf(stderr, "device timer: %s\n", problem);
  exit(1);
}

inline const bench_timer *Timer() {
  static const bench_timer *const timer = [] {
    if (bench_cuda_timer != nullptr) return bench_cuda_timer();
    void *library = dlopen(BENCH_TIMER_LIBRARY, RTLD_NOW);
    void *symbol = library != nullptr ? dlsym(library, BENCH_TIMER_SYMBOL) : nullptr;
    if (symbol == nullptr) RequireTimer(dlerror());
    const bench_timer *(*function)(void);
    memcpy(&function, &symbol, sizeof function);
    return function();
  }();
  return timer;
}

inline const bench_device &Device() {
  static const bench_device description = [] {
    bench_device made = {};
    BenchContext();  // the card of the context, opened by the library
    RequireTimer(Timer()->describe(0, &made));
    return made;
  }();
  return description;
}

// Sorts them.
inline double Median(std::vector<double> &values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// ---- Time ----

// Seconds per call on the device; `replays` of them.
inline std::vector<double> DeviceTimes(const std::function<mo_status_t()> &call, int64_t replays) {
  void *stream = mo_context_stream(BenchContext());
  const auto graph_of = [&](int64_t calls) {
    void *graph = nullptr;
    RequireTimer(Timer()->begin_capture(stream));
    for (int64_t i = 0; i < calls; ++i) Require(call());
    RequireTimer(Timer()->end_capture(stream, &graph));
    return graph;
  };
  const auto seconds_of = [&](void *graph) {
    double seconds = 0;
    RequireTimer(Timer()->replay(graph, stream, &seconds));
    return seconds;
  };
  Device();
  Require(call());  // memory is allocated and plans are chosen here
  Require(mo_context_synchronize(BenchContext()));
  int64_t calls = 1;
  if (!OnSimulatedDevice()) {
    void *one = graph_of(1);
    seconds_of(one);
    const double fits = 2e-3 / std::max(seconds_of(one), 1e-7);
    calls = std::clamp(static_cast<int64_t>(fits), int64_t{1}, TheOptions().calls);
    Timer()->graph_destroy(one);
  }
  void *graph = graph_of(calls);
  seconds_of(graph);
  std::vector<double> times;
  for (int64_t i = 0; i < replays; ++i) times.push_back(seconds_of(graph) / static_cast<double>(calls));
  Timer()->graph_destroy(graph);
  return times;
}

// The measured loop of a benchmark: `call` takes the next operands and makes one call of the op.
inline void Measure(benchmark::State &state, const std::function<mo_status_t()> &call) {
  if (!TheOptions().cuda) {
    for (auto _ : state) Require(call());
    return;
  }
  std::vector<double> times = DeviceTimes(call, static_cast<int64_t>(state.max_iterations));
  size_t next = 0;
  for (auto _ : state) state.SetIterationTime(times[next++]);
  state.counters["median_us"] = Median(times) * 1e6;
}

// ---- Roofs ----

// Bytes per second that as many threads as the context has read from memory; measured once, the best of five.
inline double ReadBandwidth() {
  static const double bandwidth = [] {
    const size_t count = size_t{32} << 20;  // 256 MiB
    const std::vector<uint64_t> memory(count, 1);
    const size_t threads = static_cast<size_t>(mo_context_thread_count(BenchContext()));
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      std::vector<std::thread> workers;
      std::vector<uint64_t> sums(threads * 8);
      const auto start = std::chrono::steady_clock::now();
      for (size_t t = 0; t < threads; ++t) {
        workers.emplace_back([&memory, &sums, t, threads] {
          uint64_t sum[8] = {};
          for (size_t i = count / threads * t; i + 8 <= count / threads * (t + 1); i += 8) {
            for (size_t j = 0; j < 8; ++j) sum[j] += memory[i + j];
          }
          for (const uint64_t part : sum) sums[t * 8] += part;
        });
      }
      for (std::thread &worker : workers) worker.join();
      benchmark::DoNotOptimize(sums.data());
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
      best = std::max(best, static_cast<double>(count * sizeof(uint64_t)) / time.count());
    }
    return best;
  }();
  return bandwidth;
}

// Of a copy on the device, 1 GiB, median of nine; bytes read and bytes written both count.
inline double CopyBandwidth() {
  static const double bandwidth = [] {
    const size_t bytes = OnSimulatedDevice() ? size_t{1} << 16 : size_t{1} << 30;
    void *source = nullptr, *destination = nullptr;
    Device();
    Require(mo_context_allocate(BenchContext(), bytes, &source));
    Require(mo_context_allocate(BenchContext(), bytes, &destination));
    std::vector<double> times;
    for (int i = 0; i < 10; ++i) {
      double seconds = 0;
      RequireTimer(Timer()->copy_on_device(destination, source, bytes, mo_context_stream(BenchContext()), &seconds));
      if (i > 0) times.push_back(seconds);
    }
    mo_context_release(BenchContext(), source);
    mo_context_release(BenchContext(), destination);
    return 2 * static_cast<double>(bytes) / std::max(Median(times), 1e-9);
  }();
  return bandwidth;
}

inline double Roof() { return TheOptions().cuda ? CopyBandwidth() : ReadBandwidth(); }

// Of a product of square matrices by cuBLASLt (mo_linear without an epilogue); 8192 rows, columns and depth.
inline double ProductRate(mo_dtype_t dtype);

// ---- The report ----

// bytes: every tensor moved once. flops: of matrix products, 0 for ops that only move memory.
inline void Report(benchmark::State &state, int64_t bytes, double flops = 0, mo_dtype_t dtype = MO_DTYPE_FLOAT32) {
  const double total = static_cast<double>(bytes) * static_cast<double>(state.iterations());
  double floor = static_cast<double>(bytes) / Roof();
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["roof_bytes/s"] = Roof();
  if (flops > 0) state.counters["flops"] = flops;
  if (!TheOptions().cuda) {
    state.counters["GB/s"] = benchmark::Counter(total / 1e9, benchmark::Counter::kIsRate);
    if (flops > 0) state.counters["flop/s"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["floor_us"] = floor * 1e6;
    state.counters["of_floor"] = benchmark::Counter(total / Roof(), benchmark::Counter::kIsRate);
    return;
  }
  if (flops > 0) {
    state.counters["roof_flop/s"] = ProductRate(dtype);
    floor = std::max(floor, flops / ProductRate(dtype));
  }
  const double seconds = std::max(state.counters["median_us"].value * 1e-6, 1e-12);
  state.counters["GB/s"] = static_cast<double>(bytes) / seconds / 1e9;
  if (flops > 0) state.counters["flop/s"] = flops / seconds;
  state.counters["floor_us"] = floor * 1e6;
  state.counters["of_floor"] = floor / seconds;
}

// Into the JSON file's "context".
inline void AddDeviceToReport() {
  if (!TheOptions().cuda) {
    benchmark::AddCustomContext("device", "cpu, " + std::to_string(mo_context_thread_count(BenchContext())) + " threads, " +
                                              mo_context_cpu_features(BenchContext()));
    return;
  }
  benchmark::AddCustomContext("device", Device().name);
  if (OnSimulatedDevice()) benchmark::AddCustomContext("warning", "a simulated device: its times mean nothing");
  benchmark::AddCustomContext("cuda_driver", std::to_string(Device().driver));
  benchmark::AddCustomContext("cuda_runtime", std::to_string(Device().runtime));
  benchmark::AddCustomContext("multiprocessors", std::to_string(Device().multiprocessor_count));
  benchmark::AddCustomContext("cache_bytes", std::to_string(Device().cache_bytes));
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(CopyBandwidth()));
}

#include "bench/operand.h"

inline double ProductRate(mo_dtype_t dtype) {
  static std::map<mo_dtype_t, double> rates;
  if (rates.count(dtype) != 0) return rates[dtype];
  const int64_t size = OnSimulatedDevice() ? 32 : 8192;
  ColdOperand output(dtype, {size, size}, 0), input(dtype, {size, size}, 0), weight(dtype, {size, size}, 0);
  mo_linear_params params = MO_LINEAR_PARAMS_INIT;
  params.output = output.Next(), params.input = input.Next(), params.weight = weight.Next();
  std::vector<double> times = DeviceTimes([&] { return mo_linear(BenchContext(), &params); }, 9);
  const double seconds = Median(times);
  const double edge = static_cast<double>(size);
  return rates[dtype] = 2 * edge * edge * edge / std::max(seconds, 1e-12);
}

#endif
