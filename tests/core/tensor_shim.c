/* tests/core/tensor_shim.c - the tensor calls as a C user writes them: macros and compound literals must work in strict C11.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/core/tensor_shim.h"

mo_tensor shim_tensor_3x4(float *data) { return mo_tensor_cpu(data, MO_DTYPE_FLOAT32, 2, (int64_t[]){3, 4}); }

mo_status_t shim_slice_rows(const mo_tensor *tensor, int64_t first, int64_t end, mo_tensor *view) {
  return mo_tensor_slice(tensor, (mo_slice[]){MO_SLICE_RANGE(first, end), MO_SLICE_ALL}, 2, view);
}

mo_status_t shim_slice_last_column(const mo_tensor *tensor, mo_tensor *view) {
  return mo_tensor_slice(tensor, (mo_slice[]){MO_SLICE_ALL, MO_SLICE_AT(-1)}, 2, view);
}
