/* kernels/launch.cu - shared memory above 48 KiB, allowed once per kernel and card; and how many blocks fit.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/arch/launch.cuh"

#include <pthread.h>

namespace {

/* An open-addressed table of kernels, filled and never emptied. What does not fit is asked for at every launch. */
constexpr uint64_t kEntries = 1024; /* more than twice the kernels there are */
constexpr int kCards = 64;

struct Entry {
  const void *kernel;
  uint64_t cards; /* bit i: allowed on card i */
  /* The last answer of mo_blocks_per_multiprocessor: decode steps ask the same again and again. */
  int asked_card, asked_threads; /* threads 0: none yet */
  size_t asked_shared_bytes;
  int blocks;
};
Entry table[kEntries];
pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;

/* The kernel's entry, or the free one that is to be its; NULL: the table is full. */
Entry *entry_of(const void *kernel) {
  const uint64_t hash = (reinterpret_cast<uintptr_t>(kernel) >> 4) * UINT64_C(0x9E3779B97F4A7C15);
  for (uint64_t i = 0; i < kEntries; ++i) {
    Entry *const entry = &table[((hash >> 54) + i) % kEntries];
    if (entry->kernel == kernel || entry->kernel == nullptr) return entry;
  }
  return nullptr;
}

cudaError_t allow(const void *kernel, int card) {
  int limit = 0;
  cudaError_t error = cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, card);
  if (error == cudaSuccess) error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, limit);
  if (error != cudaSuccess) (void)cudaGetLastError();
  return error;
}

}  // namespace

cudaError_t mo_allow_shared_memory(const void *kernel) {
  int card = 0;
  cudaError_t error = cudaGetDevice(&card);
  if (error != cudaSuccess) return error;
  const uint64_t bit = card < kCards ? uint64_t{1} << card : 0;
  pthread_mutex_lock(&table_mutex);
  Entry *const entry = entry_of(kernel);
  const bool known = entry != nullptr && entry->kernel == kernel && (entry->cards & bit) != 0;
  if (!known) error = allow(kernel, card);
  if (!known && error == cudaSuccess && entry != nullptr) {
    entry->kernel = kernel;
    entry->cards |= bit;
  }
  pthread_mutex_unlock(&table_mutex);
  return error;
}

cudaError_t mo_blocks_per_multiprocessor(const void *kernel, int threads, size_t shared_bytes, int *blocks) {
  int card = 0;
  cudaError_t error = shared_bytes > mo_default_shared_bytes ? mo_allow_shared_memory(kernel) : cudaSuccess;
  if (error == cudaSuccess) error = cudaGetDevice(&card);
  if (error != cudaSuccess) return error;
  pthread_mutex_lock(&table_mutex);
  Entry *const entry = entry_of(kernel);
  const bool known = entry != nullptr && entry->kernel == kernel && entry->asked_card == card &&
                     entry->asked_threads == threads && entry->asked_shared_bytes == shared_bytes;
  if (known) *blocks = entry->blocks;
  else error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, shared_bytes);
  if (error != cudaSuccess) (void)cudaGetLastError();
  else if (entry != nullptr) *entry = {kernel, entry->cards, card, threads, shared_bytes, *blocks};
  pthread_mutex_unlock(&table_mutex);
  return error;
}
