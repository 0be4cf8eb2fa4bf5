// bench/output_bench.cc - what an output costs on the host: made and destroyed, looked into, read.
//
// BERT-base, 12 layers, batch 1, 128 tokens, everything requested, on the CPU (a read is a pointer).
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include "modelout/modelout.h"
#include "modelout/output_classes.h"

namespace {

void Require(mo_status_t status) {
  if (status == MO_STATUS_OK) return;
  std::fprintf(stderr, "%s\n", mo_last_error());
  std::exit(1);
}

struct Bert {
  Bert() {
    mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
    options.device = MO_DEVICE_CHOICE_CPU;
    Require(mo_context_create(&options, &context));
    dimensions.batch_size = 1;
    dimensions.sequence_length = 128;
    dimensions.hidden_size = 768;
    dimensions.num_layers = dimensions.num_heads = 12;
    request.output_hidden_states = request.output_attentions = request.use_cache = true;
    Require(mo_output_create(context, output_class, &dimensions, &request, nullptr, 0, &output));
    Require(mo_output_mark_written(output, nullptr));
    typed = reinterpret_cast<mo_base_model_output_with_pooling_and_cross_attentions *>(output);
  }
  ~Bert() {
    mo_output_destroy(output);
    mo_context_destroy(context);
  }

  mo_context_t *context = nullptr;
  const mo_class *output_class = mo_class_find("BaseModelOutputWithPoolingAndCrossAttentions");
  mo_dimensions dimensions = MO_DIMENSIONS_INIT;
  mo_request request = MO_REQUEST_INIT;
  mo_output *output = nullptr;
  const mo_base_model_output_with_pooling_and_cross_attentions *typed = nullptr;
};

void CreateAndDestroy(benchmark::State &state) {
  Bert bert;
  mo_output *output;
  Require(mo_output_create(bert.context, bert.output_class, &bert.dimensions, &bert.request, nullptr, 0, &output));
  mo_output_destroy(output);
  const uint64_t before = mo_context_get_counters(bert.context).device_allocations;
  for (auto _ : state) {
    Require(mo_output_create(bert.context, bert.output_class, &bert.dimensions, &bert.request, nullptr, 0, &output));
    benchmark::DoNotOptimize(output);
    mo_output_destroy(output);
  }
  state.counters["device_allocations"] = static_cast<double>(mo_context_get_counters(bert.context).device_allocations - before);
}
BENCHMARK(CreateAndDestroy)->Unit(benchmark::kMicrosecond);

void QueryBytes(benchmark::State &state) {
  Bert bert;
  size_t bytes;
  for (auto _ : state) {
    Require(mo_output_query_bytes(bert.output_class, &bert.dimensions, &bert.request, &bytes));
    benchmark::DoNotOptimize(bytes);
  }
}
BENCHMARK(QueryBytes)->Unit(benchmark::kMicrosecond);

// The last key, in text that is not the table's own string.
void LookUpByKey(benchmark::State &state) {
  Bert bert;
  char key[] = "attentions";
  for (auto _ : state) {
    benchmark::DoNotOptimize(key);
    benchmark::DoNotOptimize(mo_output_get(bert.output, key));
  }
}
BENCHMARK(LookUpByKey);

void LookUpByPosition(benchmark::State &state) {
  Bert bert;
  for (auto _ : state) benchmark::DoNotOptimize(mo_output_at(bert.output, -1));
}
BENCHMARK(LookUpByPosition);

void StructMember(benchmark::State &state) {
  Bert bert;
  for (auto _ : state) {
    benchmark::DoNotOptimize(bert.typed);
    benchmark::DoNotOptimize(bert.typed->attentions);
  }
}
BENCHMARK(StructMember);

void ReadOnTheCpu(benchmark::State &state) {
  Bert bert;
  mo_host_view view;
  for (auto _ : state) {
    Require(mo_field_read(bert.typed->last_hidden_state, &view));
    benchmark::DoNotOptimize(view);
  }
  state.counters["bytes_copied"] = static_cast<double>(mo_context_get_counters(bert.context).host_copy_bytes);
}
BENCHMARK(ReadOnTheCpu);

void ReadASlice(benchmark::State &state) {
  Bert bert;
  mo_host_view view;
  const mo_slice slices[] = {MO_SLICE_ALL, MO_SLICE_AT(-1)};
  for (auto _ : state) {
    Require(mo_field_read_slice(bert.typed->last_hidden_state, slices, 2, &view));
    benchmark::DoNotOptimize(view);
  }
}
BENCHMARK(ReadASlice);

// A pass over the output that reads one field of 50 tensors: what the others cost.
void UntouchedFields(benchmark::State &state) {
  Bert bert;
  mo_host_view view;
  for (auto _ : state) {
    Require(mo_output_mark_written(bert.output, nullptr));
    Require(mo_field_read(bert.typed->pooler_output, &view));
    benchmark::DoNotOptimize(view);
  }
  state.counters["bytes_copied"] = static_cast<double>(mo_field_get_counters(bert.typed->hidden_states).host_copy_bytes +
                                                       mo_field_get_counters(bert.typed->attentions).host_copy_bytes);
}
BENCHMARK(UntouchedFields);

}  // namespace

BENCHMARK_MAIN();
