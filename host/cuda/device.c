/* host/cuda/device.c - opening a card, and the pool of device memory.
 *
 * THE POOL is our own, one per card and process: the card's default pool is everybody's, and its release threshold is not ours
 * to change. Freed memory stays in our pool until it is trimmed or the last context of the card is gone.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/cuda/device.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "host/cuda/cuda_error.h"
#include "kernels/probe.h"

#define MO_TRY_CUDA(call, what) MO_TRY(mo_cuda_status((call), (what)))

#define MAX_CARDS 64
#define OLDEST_MAJOR 8 /* compute capability 8.0 */

/* The architectures that were compiled, "80, 86, 90a" (scripts/cmake/cuda.cmake). */
#ifndef MO_CUDA_ARCHITECTURES
#define MO_CUDA_ARCHITECTURES "the simulated device"
#endif

/* ---- The current card ---- */

mo_status_t mo_cuda_enter(const mo_cuda_state *state, mo_cuda_scope *scope) {
  int current = -1;
  MO_TRY_CUDA(cudaGetDevice(&current), "cudaGetDevice");
  if (current == state->device_index) return MO_STATUS_OK;
  MO_TRY_CUDA(cudaSetDevice(state->device_index), "cudaSetDevice");
  scope->previous = current;
  return MO_STATUS_OK;
}

void mo_cuda_leave(mo_cuda_scope *scope) {
  /* Tried twice: what a failure leaves behind would be found by code that knows nothing of us. */
  for (int tries = 0; scope->previous >= 0 && tries < 2; ++tries) {
    if (cudaSetDevice(scope->previous) == cudaSuccess) return;
    (void)cudaGetLastError();
  }
}

/* ---- The pools ---- */

static struct {
  cudaMemPool_t pool;
  int64_t contexts;
} cards[MAX_CARDS];
static pthread_mutex_t cards_mutex = PTHREAD_MUTEX_INITIALIZER;

static mo_status_t create_pool(int32_t device_index, cudaMemPool_t *pool) {
  struct cudaMemPoolProps properties;
  uint64_t keep_everything = UINT64_MAX;
  memset(&properties, 0, sizeof properties);
  properties.allocType = cudaMemAllocationTypePinned; /* the only kind there is: it does not move */
  properties.handleTypes = cudaMemHandleTypeNone;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device_index;
  MO_TRY_CUDA(cudaMemPoolCreate(pool, &properties), "cudaMemPoolCreate");
  const mo_status_t status = mo_cuda_status(
      cudaMemPoolSetAttribute(*pool, cudaMemPoolAttrReleaseThreshold, &keep_everything), "cudaMemPoolSetAttribute");
  if (status != MO_STATUS_OK) (void)cudaMemPoolDestroy(*pool);
  return status;
}

static mo_status_t take_pool(int32_t device_index, cudaMemPool_t *pool) {
  mo_status_t status = MO_STATUS_OK;
  pthread_mutex_lock(&cards_mutex);
  if (cards[device_index].contexts == 0) status = create_pool(device_index, &cards[device_index].pool);
  if (status == MO_STATUS_OK) {
    ++cards[device_index].contexts;
    *pool = cards[device_index].pool;
  }
  pthread_mutex_unlock(&cards_mutex);
  return status;
}

void mo_cuda_device_close(mo_cuda_state *state) {
  pthread_mutex_lock(&cards_mutex);
  if (--cards[state->device_index].contexts == 0) {
    (void)mo_cuda_status(cudaMemPoolDestroy(state->pool), "cudaMemPoolDestroy");
    cards[state->device_index].pool = NULL;
  }
  pthread_mutex_unlock(&cards_mutex);
}

/* ---- Opening ---- */

static mo_status_t read_attribute(const mo_cuda_state *state, enum cudaDeviceAttr attribute, int *value) {
  return mo_cuda_status(cudaDeviceGetAttribute(value, attribute, state->device_index), "cudaDeviceGetAttribute");
}

/* Machine code for this very card, or PTX that its driver can translate. */
static mo_status_t check_code(const mo_cuda_state *state, int major, int minor) {
  const cudaError_t error = mo_probe_kernels();
  if (error == cudaSuccess) return MO_STATUS_OK;
  (void)cudaGetLastError();
  if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorUnsupportedPtxVersion && error != cudaErrorInvalidDeviceFunction)
    return mo_cuda_status(error, "cudaFuncGetAttributes");
  return mo_fail(MO_STATUS_UNSUPPORTED,
                 "cuda: device %d (%s) is compute capability %d.%d, this module has code for %s; build it with "
                 "-DMODELOUT_CUDA_ARCHITECTURES=%d%d",
                 (int)state->device_index, state->name, major, minor, MO_CUDA_ARCHITECTURES, major, minor);
}

mo_status_t mo_cuda_device_open(int32_t device_index, mo_cuda_state *state) {
  int count = 0, value = 0;
  struct cudaDeviceProp properties;
  MO_TRY_CUDA(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  MO_CHECK(device_index < count && device_index < MAX_CARDS, MO_STATUS_NO_DEVICE, "cuda: device index %d, there are %d",
           (int)device_index, count);
  state->device_index = device_index;
  MO_CUDA_ENTER(state);
  MO_TRY_CUDA(cudaGetDeviceProperties(&properties, device_index), "cudaGetDeviceProperties");
  snprintf(state->name, sizeof state->name, "%s", properties.name);
  MO_CHECK(properties.major >= OLDEST_MAJOR, MO_STATUS_UNSUPPORTED,
           "cuda: device %d (%s) is compute capability %d.%d, the kernels need %d.0", (int)device_index, properties.name,
           properties.major, properties.minor, OLDEST_MAJOR);
  MO_TRY(check_code(state, properties.major, properties.minor));
  MO_TRY(read_attribute(state, cudaDevAttrMultiProcessorCount, &value));
  state->multiprocessor_count = value;
  MO_TRY(read_attribute(state, cudaDevAttrMaxSharedMemoryPerBlockOptin, &value));
  state->shared_bytes_limit = (size_t)value;
  MO_TRY(read_attribute(state, cudaDevAttrMemoryPoolsSupported, &value));
  MO_CHECK(value != 0, MO_STATUS_UNSUPPORTED, "cuda: device %d (%s) has no memory pools", (int)device_index, properties.name);
  return take_pool(device_index, &state->pool);
}

/* CUDA 13 needs driver 580, CUDA 12 driver 525: the oldest that NVIDIA supports with each (release notes, table 3). */
static int needed_driver(void) { return CUDART_VERSION >= 13000 ? 580 : 525; }

void mo_cuda_device_absence(char *reason, size_t reason_bytes) {
  int count = 0, driver = 0;
  reason[0] = '\0';
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return;
  (void)cudaGetLastError();
  if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) {
    snprintf(reason, reason_bytes, "the driver knows CUDA %d.%d, this module needs %d: driver %d or newer", driver / 1000,
             driver % 1000 / 10, CUDART_VERSION / 1000, needed_driver());
  } else if (error == cudaErrorInsufficientDriver) {
    snprintf(reason, reason_bytes, "no NVIDIA driver; this module needs driver %d or newer", needed_driver());
  } else {
    snprintf(reason, reason_bytes, "%s", error != cudaSuccess ? cudaGetErrorString(error) : "no CUDA device");
  }
}
