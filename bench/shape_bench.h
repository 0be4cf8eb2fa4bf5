// bench/shape_bench.h - what the benchmarks of ops share: shapes from a file, the device, registration, main.
//
//   int main(int argc, char **argv) {
//     BenchBegin(&argc, argv);
//     for (const BenchShape &shape : ReadShapes("softmax.txt", 2)) RegisterBench("softmax/" + ShapeName(shape), Softmax,
//     shape); return BenchRun(&argc, argv);
//   }
//
// Arguments besides Google Benchmark's: --device=cpu|cuda (cpu), --smallest (of every shape file only the smallest shape),
// --calls=N (calls in one graph at most; 64), --replays=N (of that graph; 30). Operands: bench/operand.h. Time:
// bench/measure.h.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#ifndef MO_BENCH_SHAPE_BENCH_H
#define MO_BENCH_SHAPE_BENCH_H

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "modelout/context.h"

struct BenchShape {
  std::string name;
  std::vector<int64_t> sizes;
};

struct BenchOptions {
  bool cuda = false;
  bool smallest = false;
  int64_t calls = 64;
  int64_t replays = 30;
};

inline BenchOptions &TheOptions() {
  static BenchOptions options;
  return options;
}

// There only in programs that hold the simulated device (tests/simulated_device/control.h).
extern "C" uint64_t simulated_launch_count(void) __attribute__((weak));
inline bool OnSimulatedDevice() { return TheOptions().cuda && simulated_launch_count != nullptr; }

inline void Require(mo_status_t status) {
  if (status == MO_STATUS_OK) return;
  fprintf(stderr, "%s: %s\n", mo_status_name(status), mo_last_error());
  exit(1);
}

inline mo_context_t *BenchContext() {
  static mo_context_t *const context = [] {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = TheOptions().cuda ? MO_DEVICE_CHOICE_CUDA : MO_DEVICE_CHOICE_CPU;
    options.own_stream = true;
    mo_context_t *made = nullptr;
    Require(mo_context_create(&options, &made));
    return made;
  }();
  return context;
}

// Lines "name size size ..."; # begins a comment. A name that ends with "@gpu" is for devices only: too much for a CPU's
// patience.
inline std::vector<BenchShape> ReadShapes(const char *file, size_t size_count) {
  std::vector<BenchShape> shapes;
  std::ifstream stream(std::string(MO_BENCH_SHAPES "/") + file);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    BenchShape shape;
    if (!(words >> shape.name)) continue;
    const size_t mark = shape.name.find("@gpu");
    if (mark != std::string::npos && !TheOptions().cuda) continue;
    shape.name.erase(std::min(mark, shape.name.size()));
    for (int64_t size; words >> size;) shape.sizes.push_back(size);
    if (shape.sizes.size() == size_count) shapes.push_back(shape);
    else fprintf(stderr, "%s: \"%s\" has %zu sizes, not %zu\n", file, line.c_str(), shape.sizes.size(), size_count);
  }
  if (shapes.empty()) fprintf(stderr, "%s: no shapes\n", file);
  if (!TheOptions().smallest || shapes.empty()) return shapes;
  const auto volume = [](const BenchShape &shape) {
    return std::accumulate(shape.sizes.begin(), shape.sizes.end(), 1.0, std::multiplies<double>());
  };
  return {*std::min_element(shapes.begin(), shapes.end(),
                            [&](const BenchShape &a, const BenchShape &b) { return volume(a) < volume(b); })};
}

// "name/size/size/..."
inline std::string ShapeName(const BenchShape &shape) {
  std::string name = shape.name;
  for (const int64_t size : shape.sizes) name += "/" + std::to_string(size);
  return name;
}

// On a device the time is that of the device, given by Measure.
template <typename Function, typename... Arguments>
void RegisterBench(const std::string &name, Function function, Arguments... arguments) {
  benchmark::internal::Benchmark *made = benchmark::RegisterBenchmark(name.c_str(), function, arguments...);
  made->Unit(benchmark::kMicrosecond);
  if (TheOptions().cuda) made->UseManualTime()->Iterations(OnSimulatedDevice() ? 1 : TheOptions().replays);
  else made->UseRealTime();
}

// Takes our own arguments out of the list.
inline void BenchBegin(int *argc, char **argv) {
  BenchOptions &options = TheOptions();
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--device=cuda") options.cuda = true;
    else if (argument == "--device=cpu") options.cuda = false;
    else if (argument == "--smallest") options.smallest = true;
    else if (argument.rfind("--calls=", 0) == 0) options.calls = std::max(1, atoi(argument.c_str() + 8));
    else if (argument.rfind("--replays=", 0) == 0) options.replays = std::max(1, atoi(argument.c_str() + 10));
    else argv[kept++] = argv[i];
  }
  *argc = kept;
}

#include "bench/measure.h"
#include "bench/operand.h"

inline int BenchRun(int *argc, char **argv) {
  benchmark::Initialize(argc, argv);
  if (benchmark::ReportUnrecognizedArguments(*argc, argv)) return 2;
  AddDeviceToReport();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

#endif
