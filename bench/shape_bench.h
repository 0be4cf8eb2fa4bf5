// bench/shape_bench.h - what the benchmarks of memory-bound ops share: shapes from a file, cold operands, the floor.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_BENCH_SHAPE_BENCH_H
#define MO_BENCH_SHAPE_BENCH_H

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "modelout/context.h"

struct BenchShape {
  std::string name;
  std::vector<int64_t> sizes;
};

// Lines "name size size ..."; # begins a comment.
inline std::vector<BenchShape> ReadShapes(const char *file, size_t size_count) {
  std::vector<BenchShape> shapes;
  std::ifstream stream(std::string(MO_BENCH_SHAPES "/") + file);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    BenchShape shape;
    if (!(words >> shape.name)) continue;
    for (int64_t size; words >> size;) shape.sizes.push_back(size);
    if (shape.sizes.size() == size_count) shapes.push_back(shape);
    else fprintf(stderr, "%s: \"%s\" has %zu sizes, not %zu\n", file, line.c_str(), shape.sizes.size(), size_count);
  }
  if (shapes.empty()) fprintf(stderr, "%s: no shapes\n", file);
  return shapes;
}

inline void Require(mo_status_t status) {
  if (status == MO_STATUS_OK) return;
  fprintf(stderr, "%s: %s\n", mo_status_name(status), mo_last_error());
  exit(1);
}

inline mo_context_t *BenchContext() {
  static mo_context_t *const context = [] {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    mo_context_t *made = nullptr;
    Require(mo_context_create(&options, &made));
    return made;
  }();
  return context;
}

// Copies of one operand, used in turn, so that none is still in a cache when it is read again.
class ColdOperand {
 public:
  ColdOperand(mo_dtype_t dtype, std::vector<int64_t> shape, size_t total_bytes = size_t{256} << 20) {
    const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
    const size_t bytes = static_cast<size_t>(count) * mo_dtype_bytes(dtype);
    std::vector<float> values(static_cast<size_t>(count));
    std::mt19937 random(20261122);
    std::normal_distribution<float> normal;
    for (float &value : values) value = 3 * normal(random);
    const size_t copies = std::min<size_t>(1 + total_bytes / std::max<size_t>(bytes, 1), 4096);
    memory_.resize(copies);
    tensors_.resize(copies);
    for (size_t i = 0; i < copies; ++i) {
      memory_[i].resize(bytes);
      if (i == 0) Require(mo_dtype_convert(memory_[0].data(), dtype, values.data(), MO_DTYPE_FLOAT32, count));
      else memcpy(memory_[i].data(), memory_[0].data(), bytes);
      Require(mo_tensor_init(&tensors_[i], memory_[i].data(), dtype, mo_device{MO_DEVICE_KIND_CPU, 0},
                             static_cast<int32_t>(shape.size()), shape.data()));
    }
  }
  const mo_tensor *Next() { return &tensors_[next_++ % tensors_.size()]; }
  int64_t bytes() const { return mo_tensor_bytes(&tensors_[0]); }

 private:
  std::vector<std::vector<char>> memory_;
  std::vector<mo_tensor> tensors_;
  size_t next_ = 0;
};

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

// GB/s reached, and the time the bytes alone would take beside the measured one.
inline void Report(benchmark::State &state, int64_t bytes) {
  const double total = static_cast<double>(bytes) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(total / 1e9, benchmark::Counter::kIsRate);
  state.counters["floor_us"] = static_cast<double>(bytes) / ReadBandwidth() * 1e6;
  state.counters["of_floor"] = benchmark::Counter(total / ReadBandwidth(), benchmark::Counter::kIsRate);
}

#endif
