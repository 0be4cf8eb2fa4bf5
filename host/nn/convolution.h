/* host/nn/convolution.h - convolutions of models, with the batch norm behind them folded in.
 *
 *   output = activation(norm(convolution(input)) + residual)
 *
 * In evaluation a batch norm is a factor and a summand per channel; both go into the weight and the bias when they are loaded.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_NN_CONVOLUTION_H
#define MO_NN_CONVOLUTION_H

#include "host/checkpoint/loader.h"
#include "modelout/convolution.h"

typedef struct mo_convolution_rule {
  int64_t in, out;
  int32_t dimensions; /* 1 or 2 */
  int32_t kernel[2];  /* with one dimension the first */
  mo_convolution_geometry geometry;
  bool lacks_bias;
  const char *batch_norm; /* behind the prefix, without ".weight"; NULL: none */
  float epsilon;
} mo_convolution_rule;

typedef struct mo_convolution_block {
  mo_packed_convolution_t *packed;
  mo_weight bias; /* dtype NONE: none */
  int64_t out;
} mo_convolution_block;

/* A square kernel whose padding keeps the extents of a stride of 1. */
mo_convolution_rule mo_square_convolution(int64_t in, int64_t out, int32_t kernel, int32_t stride);

/* PREFIX STEM.weight and .bias. */
mo_status_t mo_load_convolution(mo_loader *loader, const char *prefix, const char *stem, const mo_convolution_rule *rule,
                                mo_convolution_block *block);
void mo_convolution_release(mo_convolution_block *block);

/* residual may be NULL, or output; it is added before the activation. */
mo_status_t mo_convolution_apply(mo_context_t *context, const mo_convolution_block *block, mo_activation_t activation,
                                 const mo_tensor *output, const mo_tensor *input, const mo_tensor *residual);

#endif
