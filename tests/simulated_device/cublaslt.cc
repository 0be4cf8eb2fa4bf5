/* tests/simulated_device/cublaslt.cc - cuBLASLt's matrix product on the simulated device: CBLAS, at the stream's own time.
 *
 * D = epilogue(alpha op(A) op(B) + beta C + bias), column-major, sums float32 and rounded once. Combinations that the library
 * documents as unsupported are refused. An algorithm remembers what it was chosen for: another shape, a less aligned address or
 * too small a workspace is refused as well, and a workspace is used, so that one which overlaps an operand shows.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "cublasLt.h"

#include <cblas.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "host/rules/float16.h"
#include "tests/simulated_device/control.h"
#include "tests/simulated_device/library.h"
#include "tests/simulated_device/traffic.h"

struct cublasLtContext {};

struct cublasLtMatrixLayoutOpaque_t {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t stride;
  int32_t batch = 1;
  int64_t batch_stride = 0;
};

struct cublasLtMatmulDescOpaque_t {
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void *bias = nullptr;
  cudaDataType_t bias_type = CUDA_R_32F;
  bool bias_type_is_set = false;
};

struct cublasLtMatmulPreferenceOpaque_t {
  uint64_t workspace_bytes = 0;
  uint32_t reductions = 7;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

namespace {

using Layout = cublasLtMatrixLayoutOpaque_t;
using Operation = cublasLtMatmulDescOpaque_t;

std::atomic<bool> refuses_products{std::getenv("MODELOUT_SIMULATED_REFUSE_PRODUCTS") != nullptr};

/* Words of an algorithm. */
enum { kMagicWord, kShapeWord, kWorkspaceWord, kAlignmentWord };
constexpr uint64_t kMagic = 0x6D6F64656C6F7574;
constexpr size_t kWorkspace = 1024;

cublasStatus_t entered(const char *name) {
  switch (simulated::library_call(name)) {
    case cudaSuccess:
      return CUBLAS_STATUS_SUCCESS;
    case cudaErrorMemoryAllocation:
      return CUBLAS_STATUS_ALLOC_FAILED;
    default:
      return CUBLAS_STATUS_INTERNAL_ERROR;
  }
}
#define SIMULATED_BLAS_ENTER()                                                                                                 \
  do {                                                                                                                         \
    const cublasStatus_t status = entered(__func__);                                                                           \
    if (status != CUBLAS_STATUS_SUCCESS) return status;                                                                        \
  } while (0)

template <typename T>
cublasStatus_t set(T *member, const void *value, size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(member, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T>
cublasStatus_t destroy(T *object) {
  if (object == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  simulated::count_library_object(-1);
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

size_t element_bytes(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

bool has_bias(const Operation &operation) { return (operation.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0; }

/* Bytes from the first element to the last. */
size_t extent_bytes(const Layout &layout) {
  if (layout.rows == 0 || layout.columns == 0) return 0;
  const int64_t last = (layout.batch - 1) * layout.batch_stride + static_cast<int64_t>(layout.columns - 1) * layout.stride +
                       static_cast<int64_t>(layout.rows);
  return static_cast<size_t>(last) * element_bytes(layout.type);
}

uint64_t shape_of(const Operation &operation, const Layout &a, const Layout &b, const Layout &c, const Layout &d) {
  uint64_t hash = 14695981039346656037u;
  auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
  for (const Layout *layout : {&a, &b, &c, &d}) {
    mix(layout->type), mix(layout->rows), mix(layout->columns), mix(static_cast<uint64_t>(layout->stride));
    mix(static_cast<uint64_t>(layout->batch)), mix(static_cast<uint64_t>(layout->batch_stride));
  }
  mix(operation.transpose_a), mix(operation.transpose_b), mix(operation.epilogue);
  return hash;
}

cublasStatus_t check(const Operation &operation, const Layout &a, const Layout &b, const Layout &c, const Layout &d) {
  const uint64_t m = operation.transpose_a == CUBLAS_OP_T ? a.columns : a.rows;
  const uint64_t k = operation.transpose_a == CUBLAS_OP_T ? a.rows : a.columns;
  const uint64_t kb = operation.transpose_b == CUBLAS_OP_T ? b.columns : b.rows;
  const uint64_t n = operation.transpose_b == CUBLAS_OP_T ? b.rows : b.columns;
  if (m == 0 || n == 0 || k == 0 || k != kb || d.rows != m || d.columns != n || c.rows != m || c.columns != n) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  for (const Layout *layout : {&a, &b, &c, &d}) {
    if (layout->stride < static_cast<int64_t>(layout->rows) || layout->batch != d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (a.type != b.type || c.type != d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (a.type == CUDA_R_32F ? d.type != CUDA_R_32F : d.type != a.type && d.type != CUDA_R_32F)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (has_bias(operation)) {
    if (operation.bias == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    if (operation.bias_type_is_set && operation.bias_type != d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

float load(const void *base, cudaDataType_t type, int64_t index) {
  if (type == CUDA_R_32F) return static_cast<const float *>(base)[index];
  const uint16_t bits = static_cast<const uint16_t *>(base)[index];
  return type == CUDA_R_16F ? mo_float_from_f16(bits) : mo_float_from_bf16(bits);
}

void store(void *base, cudaDataType_t type, int64_t index, float value) {
  if (type == CUDA_R_32F) static_cast<float *>(base)[index] = value;
  else static_cast<uint16_t *>(base)[index] = type == CUDA_R_16F ? mo_f16_from_float(value) : mo_bf16_from_float(value);
}

/* One matrix of the batch as contiguous column-major floats. */
std::vector<float> widen(const void *base, const Layout &layout, int64_t batch) {
  std::vector<float> result;
  result.reserve(layout.rows * layout.columns);
  for (uint64_t column = 0; column < layout.columns; ++column) {
    const int64_t start = batch * layout.batch_stride + static_cast<int64_t>(column) * layout.stride;
    for (uint64_t row = 0; row < layout.rows; ++row)
      result.push_back(load(base, layout.type, start + static_cast<int64_t>(row)));
  }
  return result;
}

float activate(float x, cublasLtEpilogue_t epilogue) {
  if ((epilogue & CUBLASLT_EPILOGUE_RELU) != 0) return std::fmax(x, 0.0f);
  if ((epilogue & CUBLASLT_EPILOGUE_GELU) != 0) {
    return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
  }
  return x;
}

struct Product {
  Operation operation;
  Layout a_layout, b_layout, c_layout, d_layout;
  const void *a, *b, *c;
  void *d;
  float alpha, beta;
  void *workspace;
  size_t workspace_bytes;

  std::string run() const {
    if (!simulated::is_device_range(a, extent_bytes(a_layout))) return "A is not device memory of its size";
    if (!simulated::is_device_range(b, extent_bytes(b_layout))) return "B is not device memory of its size";
    if (beta != 0 && !simulated::is_device_range(c, extent_bytes(c_layout))) return "C is not device memory of its size";
    if (!simulated::is_device_range(d, extent_bytes(d_layout))) return "D is not device memory of its size";
    if (has_bias(operation) && !simulated::is_device_range(operation.bias, d_layout.rows * element_bytes(d_layout.type))) {
      return "the bias is not device memory of its size";
    }
    if (!simulated::is_device_range(workspace, workspace_bytes)) return "the workspace is not device memory of its size";
    std::memset(workspace, 0xFF, workspace_bytes);
    count_traffic();
    for (int64_t batch = 0; batch < d_layout.batch; ++batch) run_one(batch);
    return "";
  }

  void count_traffic() const {
    const auto count = [](void (*note)(const void *, size_t), const void *base, const Layout &layout) {
      for (int64_t batch = 0; batch < (layout.batch_stride == 0 ? 1 : layout.batch); ++batch) {
        for (int64_t column = 0; column < static_cast<int64_t>(layout.columns); ++column) {
          const size_t start = static_cast<size_t>(batch * layout.batch_stride + column * layout.stride);
          note(static_cast<const char *>(base) + start * element_bytes(layout.type), layout.rows * element_bytes(layout.type));
        }
      }
    };
    count(simulated::traffic_read, a, a_layout);
    count(simulated::traffic_read, b, b_layout);
    if (beta != 0) count(simulated::traffic_read, c, c_layout);
    if (has_bias(operation)) simulated::traffic_read(operation.bias, d_layout.rows * element_bytes(d_layout.type));
    count(simulated::traffic_written, d, d_layout);
  }

  void run_one(int64_t batch) const {
    const bool ta = operation.transpose_a == CUBLAS_OP_T, tb = operation.transpose_b == CUBLAS_OP_T;
    const std::vector<float> left = widen(a, a_layout, batch), right = widen(b, b_layout, batch);
    const int m = static_cast<int>(d_layout.rows), n = static_cast<int>(d_layout.columns);
    const int k = static_cast<int>(ta ? a_layout.rows : a_layout.columns);
    std::vector<float> sums(static_cast<size_t>(m) * static_cast<size_t>(n));
    cblas_sgemm(CblasColMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, alpha, left.data(),
                static_cast<int>(a_layout.rows), right.data(), static_cast<int>(b_layout.rows), 0.0f, sums.data(), m);
    for (int64_t column = 0; column < n; ++column) {
      for (int64_t row = 0; row < m; ++row) {
        float value = sums[static_cast<size_t>(column * m + row)];
        if (beta != 0) value += beta * load(c, c_layout.type, batch * c_layout.batch_stride + column * c_layout.stride + row);
        if (has_bias(operation)) value += load(operation.bias, d_layout.type, row);
        store(d, d_layout.type, batch * d_layout.batch_stride + column * d_layout.stride + row,
              activate(value, operation.epilogue));
      }
    }
  }
};

}  // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  SIMULATED_BLAS_ENTER();
  *handle = new cublasLtContext;
  simulated::count_library_object(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy(handle); }

const char *cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality requested is not supported";
    default:
      return "an internal operation failed";
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows, uint64_t columns,
                                          int64_t leading_dimension) {
  SIMULATED_BLAS_ENTER();
  *layout = new Layout{type, rows, columns, leading_dimension};
  simulated::count_library_object(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return destroy(layout); }

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return set(&layout->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return set(&layout->batch_stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation, cublasComputeType_t compute_type,
                                        cudaDataType_t scale_type) {
  SIMULATED_BLAS_ENTER();
  if (compute_type != CUBLAS_COMPUTE_32F || scale_type != CUDA_R_32F) return CUBLAS_STATUS_INVALID_VALUE;
  *operation = new Operation;
  simulated::count_library_object(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) { return destroy(operation); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set(&operation->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return set(&operation->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set(&operation->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return set(&operation->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      operation->bias_type_is_set = true;
      return set(&operation->bias_type, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  SIMULATED_BLAS_ENTER();
  *preference = new cublasLtMatmulPreferenceOpaque_t;
  simulated::count_library_object(1);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return destroy(preference); }

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(&preference->workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return set(&preference->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(&preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

void simulated_refuse_products(bool refuse) { refuses_products = refuse; }

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *found) {
  SIMULATED_BLAS_ENTER();
  *found = 0;
  if (handle == nullptr || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  if (refuses_products.load()) return CUBLAS_STATUS_NOT_SUPPORTED;
  const cublasStatus_t status = check(*operation, *a, *b, *c, *d);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const cudaDataType_t types[4] = {a->type, b->type, c->type, d->type};
  for (int i = 0; i < 4; ++i) {
    if (preference->alignment[i] < element_bytes(types[i])) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  cublasLtMatmulHeuristicResult_t &result = results[0];
  result = {};
  result.workspaceSize = preference->workspace_bytes < kWorkspace ? preference->workspace_bytes : kWorkspace;
  result.algo.data[kMagicWord] = kMagic;
  result.algo.data[kShapeWord] = shape_of(*operation, *a, *b, *c, *d);
  result.algo.data[kWorkspaceWord] = result.workspaceSize;
  for (int i = 0; i < 4; ++i) result.algo.data[kAlignmentWord + i] = preference->alignment[i];
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  if (handle == nullptr || algorithm == nullptr || algorithm->data[kMagicWord] != kMagic) return CUBLAS_STATUS_INVALID_VALUE;
  const cublasStatus_t status = check(*operation, *a_layout, *b_layout, *c_layout, *d_layout);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (algorithm->data[kShapeWord] != shape_of(*operation, *a_layout, *b_layout, *c_layout, *d_layout) ||
      workspace_bytes < algorithm->data[kWorkspaceWord] || reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const void *const operands[4] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    if (reinterpret_cast<uintptr_t>(operands[i]) % algorithm->data[kAlignmentWord + i] != 0) return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (c == d && shape_of(*operation, *a_layout, *b_layout, *d_layout, *d_layout) != algorithm->data[kShapeWord]) {
    return CUBLAS_STATUS_INVALID_VALUE; /* in place only with one layout */
  }
  const Product product = {*operation,
                           *a_layout,
                           *b_layout,
                           *c_layout,
                           *d_layout,
                           a,
                           b,
                           c,
                           d,
                           *static_cast<const float *>(alpha),
                           *static_cast<const float *>(beta),
                           workspace,
                           workspace_bytes};
  const cudaError_t error = simulated::library_operation("cublasLtMatmul", stream, [product] { return product.run(); });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
