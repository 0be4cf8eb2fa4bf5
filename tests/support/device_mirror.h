/* tests/support/device_mirror.h - ops with tensors in host memory, on a context of any device.
 *
 * On a CPU context each function is the op of the same name. On another device the host memory that the tensors reach is copied
 * to the device, the op runs there on the same views of it, and everything is copied back: gaps between rows too, so that a
 * test sees a write that went astray. Ranges that overlap stay one range (in place, views of one buffer), and an address keeps
 * its remainder by 16, so that the op meets the alignment the test chose. Completed on return.
 *
 * A call that the front door refuses is refused here with the same sentence; a tensor of a foreign device stays foreign.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_TESTS_SUPPORT_DEVICE_MIRROR_H
#define MO_TESTS_SUPPORT_DEVICE_MIRROR_H

#include "host/core/op_list.h"
#include "modelout/modelout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* test_<op> for every op of the list. */
MO_OP_LIST(MO_DECLARE_OP, test)
mo_status_t test_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                             mo_packed_weight_t **packed);
mo_status_t test_convolution_pack(mo_context_t *context, const mo_tensor *weight, const mo_convolution_geometry *geometry,
                                  mo_packed_convolution_t **packed);

#ifdef __cplusplus
}
#endif

#endif
