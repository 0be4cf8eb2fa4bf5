/* kernels/decode_attention/mma.h - the tensor-core kernels of decode attention as the plan sees them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_KERNELS_DECODE_ATTENTION_MMA_H
#define MO_KERNELS_DECODE_ATTENTION_MMA_H

#include "kernels/decode_attention.h"

/* Sets row_tiles, tile_keys, stages and shared_bytes if these kernels take the call; false, with
 * nothing changed, if not. */
bool mo_plan_decode_attention_mma(mo_decode_kernel_args *args, size_t shared_bytes_limit);

cudaError_t mo_launch_decode_attention_mma_half(const mo_decode_kernel_args &args, cudaStream_t stream);
cudaError_t mo_launch_decode_attention_mma_bfloat16(const mo_decode_kernel_args &args, cudaStream_t stream);

/* Blocks of the planned kernel on a multiprocessor of the current card. */
cudaError_t mo_count_decode_attention_mma_half(const mo_decode_kernel_args &args, int *blocks);
cudaError_t mo_count_decode_attention_mma_bfloat16(const mo_decode_kernel_args &args, int *blocks);

#endif
