/* tests/simulated_device/include/nvtx3/nvToolsExt.h - the part of NVTX 3 that the CUDA backend uses, declared for the simulated
 * device. Names and values are NVTX's; what a profiler would see is recorded (tests/simulated_device/nvtx.cc) and read with
 * simulated_take_ranges (control.h).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef SIMULATED_NVTX_H
#define SIMULATED_NVTX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NVTX_VERSION 3
#define NVTX_EVENT_ATTRIB_STRUCT_SIZE ((uint16_t)sizeof(nvtxEventAttributes_t))
#define NVTX_NO_PUSH_POP_TRACKING (-2)

typedef struct nvtxDomainRegistration_st *nvtxDomainHandle_t;

typedef enum nvtxMessageType_t { NVTX_MESSAGE_UNKNOWN = 0, NVTX_MESSAGE_TYPE_ASCII = 1 } nvtxMessageType_t;

typedef union nvtxMessageValue_t {
  const char *ascii;
} nvtxMessageValue_t;

typedef struct nvtxEventAttributes_v2 {
  uint16_t version;
  uint16_t size;
  int32_t messageType;
  nvtxMessageValue_t message;
} nvtxEventAttributes_t;

/* NULL while no profiler is attached. */
nvtxDomainHandle_t nvtxDomainCreateA(const char *name);

/* The depth of the range, from 0, or a negative number. */
int nvtxDomainRangePushEx(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *attributes);
int nvtxDomainRangePop(nvtxDomainHandle_t domain);

#ifdef __cplusplus
}
#endif
#endif
