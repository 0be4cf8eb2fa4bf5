/* host/heads/labels.h - checks of labels that heads share.
 *
 * Rules of the forward() functions of modeling_bert.py and its relatives. Transformers stores the problem type it derives from
 * the first labels in the configuration; here every call derives it anew.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_HEADS_LABELS_H
#define MO_HEADS_LABELS_H

#include "host/call/call.h"
#include "host/ops/check.h"

#define MO_LABELS_INTEGERS (MO_DTYPES_INDEX | MO_DTYPE_BIT(MO_DTYPE_INT8) | MO_DTYPE_BIT(MO_DTYPE_UINT8))
#define MO_LABELS_NUMBERS (MO_LABELS_INTEGERS | MO_DTYPES_FLOAT | MO_DTYPE_BIT(MO_DTYPE_BOOL))

/* Whether labels must have the extents' shape, or only as many elements: forward() flattens those (labels.view(-1)). */
typedef enum mo_label_shape_t { MO_LABELS_EXACT, MO_LABELS_FLATTENED } mo_label_shape_t;

/* Class numbers of the given shape, or -100; sets call->loss_count to how many are not that. `rule` says whose range it is. */
mo_status_t mo_check_classes(mo_call *call, const char *name, const mo_tensor *labels, mo_label_shape_t kind, int32_t rank,
                             const int64_t *extents, int64_t class_count, const char *rule);

/* Numbers that forward() squeezes: one per example, beside dimensions of 1. */
mo_status_t mo_check_squeezed(const mo_call *call, const char *name, const mo_tensor *labels);

/* (B), or (B, 1), whose last dimension forward() takes away. */
mo_status_t mo_check_per_example(const mo_call *call, const char *name, const mo_tensor *labels, uint32_t dtypes);

/* The placement of class numbers as int64, of as many elements as (rows, columns); columns 0: (rows). */
int32_t mo_place_classes(mo_call *call, const mo_tensor *labels, int64_t rows, int64_t columns);

/* The same of numbers that a loss compares with (rows, columns) logits. */
int32_t mo_place_numbers(mo_call *call, const mo_tensor *labels, int64_t rows, int64_t columns);

#endif
