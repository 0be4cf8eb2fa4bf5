/* host/cpu/loss_kernels.h - the vectorised inner loops of the losses.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CPU_LOSS_KERNELS_H
#define MO_CPU_LOSS_KERNELS_H

#include <stdint.h>

#include "host/cpu/isa.h"
#include "modelout/dtype.h"

/* What one read of a row gives: log sum exp = base + log(sum). `base` is the maximum where that is finite, else 0. */
typedef struct mo_exp_sum {
  double sum;
  float base;
  float maximum;
} mo_exp_sum;

typedef enum mo_elementwise_kind_t {
  MO_ELEMENTWISE_BCE = 0,
  MO_ELEMENTWISE_MSE = 1,
} mo_elementwise_kind_t;

/* Elements of an elementwise loss handled at a time; the unit in which its sums are formed. */
#define MO_ELEMENTWISE_BLOCK 1024

/* A row of `count` contiguous logits. An empty row has sum 0. */
MO_CPU_DECLARE(void, mo_exp_sum_row, (const void *row, mo_dtype_t dtype, int64_t count, mo_exp_sum *result));

/* `count` losses (at most MO_ELEMENTWISE_BLOCK) of contiguous operands; written to `losses` unless NULL. Returns their sum. */
MO_CPU_DECLARE(double, mo_elementwise_loss_block,
               (mo_elementwise_kind_t kind, const void *logits, mo_dtype_t logits_dtype, const void *labels,
                mo_dtype_t labels_dtype, int64_t count, float *losses));

#endif
