/* tests/core/safetensors_shim.c - the calls a C program makes: write three tensors, open the file, look at them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "modelout/safetensors.h"

mo_status_t mo_test_safetensors_write(const char *path);
int mo_test_safetensors_read(const char *path);

static float weights[6] = {1.0f, -2.0f, 3.5f, 0.0f, 1e-30f, -1e30f};
static int64_t ids[3] = {-1, 0, INT64_MAX};
static uint8_t flags[5] = {0, 1, 1, 0, 1};

mo_status_t mo_test_safetensors_write(const char *path) {
  const char *const names[] = {"weights", "flags", "ids"};
  const mo_tensor tensors[] = {
      mo_tensor_cpu(weights, MO_DTYPE_FLOAT32, 2, (int64_t[]){2, 3}),
      mo_tensor_cpu(flags, MO_DTYPE_BOOL, 1, (int64_t[]){5}),
      mo_tensor_cpu(ids, MO_DTYPE_INT64, 1, (int64_t[]){3}),
  };
  const char *const keys[] = {"format"};
  const char *const values[] = {"pt"};
  return mo_safetensors_write(path, names, tensors, 3, keys, values, 1);
}

/* 0 when everything is as written, else the number of the first check that failed. */
int mo_test_safetensors_read(const char *path) {
  mo_safetensors_t *file = NULL;
  if (mo_safetensors_open(path, &file) != MO_STATUS_OK) return 1;
  int failed = 0;
  mo_tensor tensor;
  if (mo_safetensors_count(file) != 3) failed = 2;
  /* widest elements first */
  else if (strcmp(mo_safetensors_name(file, 0), "ids") != 0 || strcmp(mo_safetensors_name(file, 1), "weights") != 0) failed = 3;
  else if (mo_safetensors_tensor(file, "weights", &tensor) != MO_STATUS_OK) failed = 4;
  else if (tensor.dtype != MO_DTYPE_FLOAT32 || tensor.rank != 2 || tensor.shape[0] != 2 || tensor.shape[1] != 3) failed = 5;
  else if (memcmp(tensor.data, weights, sizeof weights) != 0) failed = 6;
  else if (mo_safetensors_tensor(file, "ids", &tensor) != MO_STATUS_OK || memcmp(tensor.data, ids, sizeof ids) != 0) failed = 7;
  else if (mo_safetensors_tensor(file, "flags", &tensor) != MO_STATUS_OK || memcmp(tensor.data, flags, 5) != 0) failed = 8;
  else if (strcmp(mo_safetensors_metadata(file, "format"), "pt") != 0) failed = 9;
  mo_safetensors_close(file);
  return failed;
}
