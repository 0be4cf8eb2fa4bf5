/* host/cuda/ranges.c - the ranges of public calls as NVTX ranges of the domain "modelout".
 *
 * NVTX is headers only: its first call asks the environment for a profiler's library and finds none unless a profiler started
 * the process. There is no domain then, and the library is told that nobody listens.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cuda/cuda_ops.h"

#ifndef MO_NO_RANGES

#include <nvtx3/nvToolsExt.h>
#include <pthread.h>

/* One for the process: a profiler shows each domain that is made as a row of its own. */
static nvtxDomainHandle_t domain;
static pthread_mutex_t domain_mutex = PTHREAD_MUTEX_INITIALIZER;

bool mo_cuda_range_is_heard(void *state) {
  (void)state;
  pthread_mutex_lock(&domain_mutex);
  if (domain == NULL) domain = nvtxDomainCreateA("modelout");
  const bool is_heard = domain != NULL;
  pthread_mutex_unlock(&domain_mutex);
  return is_heard;
}

/* The domain is not written any more once a context was told that it is there. */
void mo_cuda_range_push(void *state, const char *message) {
  (void)state;
  nvtxEventAttributes_t attributes = {.version = NVTX_VERSION, .size = NVTX_EVENT_ATTRIB_STRUCT_SIZE};
  attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
  attributes.message.ascii = message;
  (void)nvtxDomainRangePushEx(domain, &attributes);
}

void mo_cuda_range_pop(void *state) {
  (void)state;
  (void)nvtxDomainRangePop(domain);
}

#endif
