/* host/cuda/linear_plans.c - cuBLASLt descriptors and algorithms, chosen once per shape and kept with the context.
 *
 * cuBLASLt thinks in columns: a row-major (rows, columns) matrix is a column-major (columns, rows) one with the same leading
 * dimension. So D^T = W X^T is asked for: A = W transposed, B = X as it lies, and the bias runs along the rows of D^T, which is
 * what its bias epilogue adds.
 *
 * Sums are float32: no TF32 for float32, and of the split-k schemes only those that reduce in float32, in a fixed order.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cuda/linear_plans.h"

#include <stdlib.h>
#include <string.h>

/* NVIDIA's recommendation for Hopper; the heuristic may ask for less, and no more is allocated than it asks for. */
#define MAX_WORKSPACE_BYTES ((uint64_t)32 << 20)
#define BUCKETS 512
/* About 1 KiB each. A server with ever new sequence lengths starts afresh now and then. */
#define MAX_PLANS 4096

struct mo_cuda_linear_plans {
  cublasLtHandle_t handle;
  cublasLtMatmulPreference_t preference;
  int32_t count;
  mo_linear_plan *buckets[BUCKETS];
};

static mo_status_t blas_status(cublasStatus_t status, const char *what) {
  if (status == CUBLAS_STATUS_SUCCESS) return MO_STATUS_OK;
  /* A launch or allocation that failed leaves its error behind; it must not show up in somebody else's call. */
  const cudaError_t error = cudaGetLastError();
  MO_CHECK(status != CUBLAS_STATUS_ALLOC_FAILED, MO_STATUS_OUT_OF_MEMORY, "linear: %s: no memory for cuBLASLt", what);
  return mo_fail(MO_STATUS_DEVICE_ERROR, "linear: %s: %s%s%s", what, cublasLtGetStatusString(status),
                 error != cudaSuccess ? ", " : "", error != cudaSuccess ? cudaGetErrorString(error) : "");
}

#define TRY_BLAS(call, what) MO_TRY(blas_status((call), (what)))

/* ---- Life ---- */

static void plan_destroy(mo_linear_plan *plan) {
  if (plan->added != NULL) (void)cublasLtMatrixLayoutDestroy(plan->added);
  if (plan->output != NULL) (void)cublasLtMatrixLayoutDestroy(plan->output);
  if (plan->input != NULL) (void)cublasLtMatrixLayoutDestroy(plan->input);
  if (plan->weight != NULL) (void)cublasLtMatrixLayoutDestroy(plan->weight);
  if (plan->operation != NULL) (void)cublasLtMatmulDescDestroy(plan->operation);
  free(plan);
}

static void forget_plans(struct mo_cuda_linear_plans *plans) {
  for (int32_t b = 0; b < BUCKETS; ++b) {
    while (plans->buckets[b] != NULL) {
      mo_linear_plan *plan = plans->buckets[b];
      plans->buckets[b] = plan->next;
      plan_destroy(plan);
    }
  }
  plans->count = 0;
}

void mo_cuda_linear_plans_destroy(struct mo_cuda_linear_plans *plans) {
  if (plans == NULL) return;
  forget_plans(plans);
  if (plans->preference != NULL) (void)cublasLtMatmulPreferenceDestroy(plans->preference);
  if (plans->handle != NULL) (void)cublasLtDestroy(plans->handle);
  free(plans);
}

static mo_status_t open_library(struct mo_cuda_linear_plans *plans) {
  const uint64_t workspace = MAX_WORKSPACE_BYTES;
  const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  TRY_BLAS(cublasLtCreate(&plans->handle), "cublasLtCreate");
  TRY_BLAS(cublasLtMatmulPreferenceCreate(&plans->preference), "cublasLtMatmulPreferenceCreate");
  TRY_BLAS(cublasLtMatmulPreferenceSetAttribute(plans->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                sizeof workspace),
           "workspace limit");
  TRY_BLAS(cublasLtMatmulPreferenceSetAttribute(plans->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                                                sizeof reductions),
           "reduction schemes");
  return MO_STATUS_OK;
}

mo_status_t mo_cuda_linear_plans_of(mo_context_t *context, struct mo_cuda_linear_plans **result) {
  mo_cuda_state *state = mo_cuda_state_of(context);
  if (state->linear_plans == NULL) {
    MO_CHECK(!mo_cuda_stream_is_capturing(state, mo_context_stream(context)), MO_STATUS_WRONG_STATE,
             "linear: cuBLASLt is not open yet, and the stream is captured into a graph: run once before");
    struct mo_cuda_linear_plans *plans = calloc(1, sizeof *plans);
    MO_CHECK(plans != NULL, MO_STATUS_OUT_OF_MEMORY, "linear: no host memory for its plans");
    const mo_status_t status = open_library(plans);
    if (status != MO_STATUS_OK) {
      mo_cuda_linear_plans_destroy(plans);
      return status;
    }
    state->linear_plans = plans;
  }
  if (state->linear_plans->count > MAX_PLANS) forget_plans(state->linear_plans);
  *result = state->linear_plans;
  return MO_STATUS_OK;
}

/* ---- Making a plan ---- */

static cudaDataType_t data_type(int32_t dtype) {
  return dtype == MO_DTYPE_FLOAT32 ? CUDA_R_32F : dtype == MO_DTYPE_FLOAT16 ? CUDA_R_16F : CUDA_R_16BF;
}

/* A row-major (rows, columns) matrix as cuBLASLt names it. */
static mo_status_t make_layout(int32_t dtype, int64_t rows, int64_t columns, int64_t stride, int64_t batch,
                               int64_t batch_stride, cublasLtMatrixLayout_t *layout) {
  TRY_BLAS(cublasLtMatrixLayoutCreate(layout, data_type(dtype), (uint64_t)columns, (uint64_t)rows, stride),
           "cublasLtMatrixLayoutCreate");
  if (batch == 1) return MO_STATUS_OK;
  const int32_t count = (int32_t)batch;
  TRY_BLAS(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "batch count");
  TRY_BLAS(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch_stride,
                                            sizeof batch_stride),
           "batch stride");
  return MO_STATUS_OK;
}

static mo_status_t make_operation(const mo_linear_plan_key *key, const void *bias, cublasLtMatmulDesc_t *operation) {
  const cublasOperation_t transposed = CUBLAS_OP_T;
  const cublasLtEpilogue_t epilogue = (cublasLtEpilogue_t)key->epilogue;
  TRY_BLAS(cublasLtMatmulDescCreate(operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  TRY_BLAS(cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
           "transposition");
  TRY_BLAS(cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue), "epilogue");
  if (bias == NULL) return MO_STATUS_OK;
  const cudaDataType_t bias_type = data_type(key->bias_dtype);
  TRY_BLAS(cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type),
           "bias type");
  TRY_BLAS(cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias), "bias");
  return MO_STATUS_OK;
}

static mo_status_t choose_algorithm(struct mo_cuda_linear_plans *plans, mo_linear_plan *plan) {
  const mo_linear_plan_key *key = &plan->key;
  const uint32_t added_alignment = key->has_added ? key->added_alignment : key->output_alignment;
  const struct {
    cublasLtMatmulPreferenceAttributes_t attribute;
    uint32_t bytes;
  } alignments[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key->weight_alignment},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key->input_alignment},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, added_alignment},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key->output_alignment}};
  for (size_t i = 0; i < sizeof alignments / sizeof *alignments; ++i) {
    TRY_BLAS(cublasLtMatmulPreferenceSetAttribute(plans->preference, alignments[i].attribute, &alignments[i].bytes,
                                                  sizeof alignments[i].bytes),
             "alignment");
  }
  cublasLtMatmulHeuristicResult_t found;
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(plans->handle, plan->operation, plan->weight, plan->input,
                                                               key->has_added ? plan->added : plan->output, plan->output,
                                                               plans->preference, 1, &found, &count);
  /* Some versions call a refused epilogue an invalid value. */
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return MO_STATUS_OK;
  TRY_BLAS(status, "cublasLtMatmulAlgoGetHeuristic");
  if (count < 1 || found.state != CUBLAS_STATUS_SUCCESS) return MO_STATUS_OK;
  plan->algorithm = found.algo;
  plan->workspace_bytes = found.workspaceSize;
  plan->is_supported = true;
  return MO_STATUS_OK;
}

static mo_status_t fill_plan(struct mo_cuda_linear_plans *plans, const void *bias, mo_linear_plan *plan) {
  const mo_linear_plan_key *key = &plan->key;
  MO_TRY(make_operation(key, bias, &plan->operation));
  MO_TRY(make_layout(key->dtype, key->columns, key->depth, key->weight_stride, key->batch, 0, &plan->weight));
  MO_TRY(make_layout(key->dtype, key->rows, key->depth, key->input_stride, key->batch, key->input_batch, &plan->input));
  MO_TRY(make_layout(key->output_dtype, key->rows, key->columns, key->output_stride, key->batch, key->output_batch,
                     &plan->output));
  if (key->has_added) {
    MO_TRY(
        make_layout(key->output_dtype, key->rows, key->columns, key->added_stride, key->batch, key->added_batch, &plan->added));
  }
  return choose_algorithm(plans, plan);
}

/* ---- Finding and running ---- */

static uint32_t hash_key(const mo_linear_plan_key *key) {
  const unsigned char *bytes = (const unsigned char *)key;
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < sizeof *key; ++i) hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

mo_status_t mo_cuda_linear_plan_find(struct mo_cuda_linear_plans *plans, const mo_linear_plan_key *key, const void *bias,
                                     const mo_linear_plan **result) {
  mo_linear_plan **bucket = &plans->buckets[hash_key(key) % BUCKETS];
  for (const mo_linear_plan *plan = *bucket; plan != NULL; plan = plan->next) {
    if (memcmp(&plan->key, key, sizeof *key) == 0) {
      *result = plan;
      return MO_STATUS_OK;
    }
  }
  mo_linear_plan *plan = calloc(1, sizeof *plan);
  MO_CHECK(plan != NULL, MO_STATUS_OUT_OF_MEMORY, "linear: no host memory for a plan");
  plan->key = *key;
  const mo_status_t status = fill_plan(plans, bias, plan);
  if (status != MO_STATUS_OK) {
    plan_destroy(plan);
    return status;
  }
  plan->next = *bucket;
  *bucket = plan;
  ++plans->count;
  *result = plan;
  return MO_STATUS_OK;
}

mo_status_t mo_cuda_linear_plan_run(struct mo_cuda_linear_plans *plans, const mo_linear_plan *plan,
                                    const mo_linear_operands *operands, cudaStream_t stream) {
  const bool adds = plan->key.has_added != 0;
  const float one = 1.0f, beta = adds ? 1.0f : 0.0f;
  if (operands->bias != NULL) {
    TRY_BLAS(cublasLtMatmulDescSetAttribute(plan->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &operands->bias,
                                            sizeof operands->bias),
             "bias");
  }
  TRY_BLAS(cublasLtMatmul(plans->handle, plan->operation, &one, operands->weight, plan->weight, operands->input, plan->input,
                          &beta, adds ? operands->added : operands->output, adds ? plan->added : plan->output, operands->output,
                          plan->output, &plan->algorithm, operands->workspace, plan->workspace_bytes, stream),
           "cublasLtMatmul");
  return MO_STATUS_OK;
}
