/* host/ops/convolution.h - what the two files of the convolution's front door share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OPS_CONVOLUTION_H
#define MO_OPS_CONVOLUTION_H

#include "modelout/backend.h"

/* The output's extent on an axis (0: height) for an input's. */
mo_status_t mo_convolution_extent(const mo_packed_convolution_t *packed, int32_t axis, int64_t in, int64_t *out);

#endif
