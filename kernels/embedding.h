/* kernels/embedding.h - the embedding kernels' launcher.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_EMBEDDING_H
#define MO_KERNELS_EMBEDDING_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stdint.h>

#include "modelout/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A table and which of its rows token (b, s) takes. */
typedef struct mo_embedding_lookup {
  const void *table; /* NULL with rows 0: not there */
  int64_t rows;
  int64_t row_stride;
  bool present;
  const void *ids; /* NULL: row first + step * s */
  mo_dtype_t ids_dtype;
  int64_t ids_strides[2]; /* 0 broadcasts */
  int64_t first, step;
} mo_embedding_lookup;

typedef struct mo_embedding_kernel_args {
  int64_t batch, length, columns;
  void *output;
  int64_t output_strides[2];
  const void *embeds; /* instead of the word table */
  int64_t embeds_strides[2];
  mo_embedding_lookup word, position, type;
  bool count_positions; /* RoBERTa: positions are counted from word.ids, see padding_id */
  int64_t padding_id;
  mo_dtype_t dtype;        /* of tables, embeds and output */
  const void *norm_weight; /* NULL: no norm */
  const void *norm_bias;   /* NULL */
  mo_dtype_t norm_dtype;
  float epsilon;
  float base_scale; /* of the embeds or the word row */
} mo_embedding_kernel_args;

/* `positions`: scratch of mo_embedding_scratch_bytes(args) bytes. */
size_t mo_embedding_scratch_bytes(const mo_embedding_kernel_args *args);
cudaError_t mo_launch_embedding(const mo_embedding_kernel_args *args, int64_t *positions, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
