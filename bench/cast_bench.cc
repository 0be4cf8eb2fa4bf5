// bench/cast_bench.cc - the cast between dtypes over the shapes of bench/shapes/cast.txt, contiguous and out of the first half
// of wider rows. Beside the time: the floor of bytes, every element read once and written once. Operands are cold.
//
// Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
#include "modelout/cast.h"

#include "bench/shape_bench.h"

namespace {

void Cast(benchmark::State &state, const BenchShape &shape, mo_dtype_t from, mo_dtype_t to, int64_t row_stride) {
  const int64_t rows = shape.sizes[0], columns = shape.sizes[1];
  ColdOperand input(from, {rows, row_stride}), output(to, {rows, columns});
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  Measure(state, [&] {
    mo_tensor view = *input.Next();
    view.shape[1] = columns;
    params.input = &view;
    params.output = output.Next();
    return mo_cast(BenchContext(), &params);
  });
  Report(state, rows * columns * static_cast<int64_t>(mo_dtype_bytes(from) + mo_dtype_bytes(to)));
}

}  // namespace

int main(int argc, char **argv) {
  BenchBegin(&argc, argv);
  const struct {
    mo_dtype_t from, to;
  } pairs[] = {{MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16},    {MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT32},
               {MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16},    {MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT8_E4M3},
               {MO_DTYPE_FLOAT8_E4M3, MO_DTYPE_FLOAT16}, {MO_DTYPE_INT64, MO_DTYPE_INT32},
               {MO_DTYPE_INT64, MO_DTYPE_BOOL},          {MO_DTYPE_FLOAT32, MO_DTYPE_INT64}};
  for (const BenchShape &shape : ReadShapes("cast.txt", 2)) {
    for (const auto &pair : pairs) {
      const std::string name = std::string(mo_dtype_name(pair.from)) + "_to_" + mo_dtype_name(pair.to) + "/" + ShapeName(shape);
      const int64_t columns = shape.sizes[1];
      RegisterBench("cast/" + name, Cast, shape, pair.from, pair.to, columns);
      if (pair.from == MO_DTYPE_FLOAT32) RegisterBench("cast_rows/" + name, Cast, shape, pair.from, pair.to, 2 * columns);
    }
  }
  return BenchRun(&argc, argv);
}
