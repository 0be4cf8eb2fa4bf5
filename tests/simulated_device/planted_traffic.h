/* tests/simulated_device/planted_traffic.h - kernels whose memory traffic is known, most of them bad on purpose.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_DEVICE_PLANTED_TRAFFIC_H
#define SIMULATED_DEVICE_PLANTED_TRAFFIC_H

#include "cuda_runtime_api.h"

enum class PlantedTraffic {
  kCopy,            /* 16 bytes a lane */
  kCopyByElement,   /* 4 bytes a lane, whole lines all the same */
  kCopyAsync,       /* through shared memory by cp.async */
  kReadTwice,       /* every number again after a barrier */
  kReadTwiceAtOnce, /* every number twice before any */
  kPiecesOfLines,   /* each warp writes 64 bytes of a line, twice */
  kWriteTwice,      /* a first value, after a barrier the final one */
  kReadMasked,      /* loads everything, and keeps what the mask allows */
  kReadUnmasked,    /* loads what the mask allows */
  kBroadcast,       /* all lanes load the same number */
};

/* 256 floats from `in` to `out` by one block of 64 threads. `mask`: 256 bytes, for the two about masks. */
constexpr int kPlantedCount = 256, kPlantedThreads = 64;
cudaError_t launch_planted(PlantedTraffic kind, float *out, const float *in, const unsigned char *mask, cudaStream_t stream);

#endif
