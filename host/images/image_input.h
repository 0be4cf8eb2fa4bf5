/* host/images/image_input.h - pixel_values: the one input that all models of pictures take.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_IMAGES_IMAGE_INPUT_H
#define MO_IMAGES_IMAGE_INPUT_H

#include "host/call/call.h"
#include "host/call/input_check.h"
#include "host/ops/check.h"

#define MO_PIXEL_VALUES                                                                                                        \
  { {"pixel_values", MO_INPUT_TENSOR, MO_DTYPES_FLOAT, "(batch, channels, height, width)"}, NULL }

/* The input `name`: pictures of `channels`, of this height and width (0: any); finite numbers, as far as the host can look.
 * Sets the call's extents but sequence_length, and the placement of the pixels. */
mo_status_t mo_check_pixels(mo_call *call, const char *name, int64_t channels, int64_t height, int64_t width,
                            int32_t *placement);

#endif
