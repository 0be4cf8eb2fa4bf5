/* Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CORE_TENSOR_SHIM_H
#define TESTS_CORE_TENSOR_SHIM_H
#include "modelout/tensor.h"
#ifdef __cplusplus
extern "C" {
#endif
mo_tensor shim_tensor_3x4(float *data);
mo_status_t shim_slice_rows(const mo_tensor *tensor, int64_t first, int64_t end, mo_tensor *view);
mo_status_t shim_slice_last_column(const mo_tensor *tensor, mo_tensor *view);
#ifdef __cplusplus
}
#endif
#endif
