/* host/checkpoint/checkpoint_load.c - weights from a checkpoint: shape check, dtype conversion, device memory or the mapped
 * file.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/checkpoint/checkpoint_internal.h"
#include "host/core/checked_math.h"
#include "host/core/text_file.h"

#define STAGE_BYTES ((size_t)4 << 20)    /* host memory on the way to a device: large enough to keep the bus busy */
#define CONVERT_BYTES ((size_t)32 << 10) /* on the stack, for elements that are converted as they are read */

/* "(2, 3)" */
typedef struct shape_text {
  char text[96];
} shape_text;

static shape_text show_shape(int32_t rank, const int64_t *shape) {
  shape_text shown = {"("};
  size_t used = 1;
  for (int32_t i = 0; i < rank && used < sizeof shown.text - 26; ++i)
    used += (size_t)snprintf(shown.text + used, sizeof shown.text - used, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
  snprintf(shown.text + used, sizeof shown.text - used, ")");
  return shown;
}

static mo_status_t check_found(const char *name, const mo_tensor *found, int32_t rank, const int64_t *shape) {
  const bool fits = found->rank == rank && (rank == 0 || memcmp(found->shape, shape, (size_t)rank * sizeof *shape) == 0);
  MO_CHECK(fits, MO_STATUS_BAD_FILE, "checkpoint: tensor \"%s\" has shape %s in the file, the model's config makes it %s",
           mo_name_show(name).text, show_shape(found->rank, found->shape).text, show_shape(rank, shape).text);
  MO_CHECK(mo_dtype_is_float(found->dtype) || found->dtype == MO_DTYPE_FLOAT8_E4M3, MO_STATUS_BAD_FILE,
           "checkpoint: tensor \"%s\" is %s in the file, must be floating point", mo_name_show(name).text,
           mo_dtype_name(found->dtype));
  return MO_STATUS_OK;
}

static bool is_aligned(const void *data, mo_dtype_t dtype) { return (uintptr_t)data % mo_dtype_bytes(dtype) == 0; }

/* A tensor in a file. */
typedef struct source_tensor {
  const mo_safetensors_t *file;
  const char *name;
  mo_dtype_t dtype; /* as it is read */
} source_tensor;

static source_tensor source_of(const mo_checkpoint_t *checkpoint, const char *name, const mo_tensor *found) {
  const mo_checkpoint_entry *entry = &checkpoint->entries[mo_checkpoint_resolve(checkpoint, name)];
  return (source_tensor){checkpoint->shards[entry->shard], entry->name, found->dtype};
}

/* Elements first .. first + count - 1, as `dtype`. */
static mo_status_t read_elements(const source_tensor *source, int64_t first, int64_t count, mo_dtype_t dtype, void *memory) {
  if (source->dtype == dtype) return mo_safetensors_read(source->file, source->name, first, count, memory);
  uint64_t piece[CONVERT_BYTES / sizeof(uint64_t)];
  const int64_t chunk = (int64_t)(sizeof piece / mo_dtype_bytes(source->dtype));
  for (int64_t done = 0; done < count; done += chunk) {
    const int64_t now = count - done < chunk ? count - done : chunk;
    MO_TRY(mo_safetensors_read(source->file, source->name, first + done, now, piece));
    MO_TRY(mo_dtype_convert((char *)memory + (size_t)done * mo_dtype_bytes(dtype), dtype, piece, source->dtype, now));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_checkpoint_read(const mo_checkpoint_t *checkpoint, const char *name, const mo_tensor *found, mo_dtype_t dtype,
                               void *memory) {
  const source_tensor source = source_of(checkpoint, name, found);
  return read_elements(&source, 0, mo_tensor_count(found), dtype, memory);
}

/* In pieces through one host buffer, for device memory the host cannot write. source NULL: zeros. */
static mo_status_t fill_through_stage(mo_context_t *context, void *memory, mo_dtype_t dtype, const source_tensor *source,
                                      int64_t count) {
  void *stage = mo_host_allocate(context, STAGE_BYTES); /* zero-filled */
  if (stage == NULL) return MO_STATUS_OUT_OF_MEMORY;
  const int64_t chunk = (int64_t)(STAGE_BYTES / mo_dtype_bytes(dtype));
  mo_status_t status = MO_STATUS_OK;
  for (int64_t done = 0; status == MO_STATUS_OK && done < count; done += chunk) {
    const int64_t now = count - done < chunk ? count - done : chunk;
    if (source != NULL) status = read_elements(source, done, now, dtype, stage);
    char *destination = (char *)memory + (size_t)done * mo_dtype_bytes(dtype);
    if (status == MO_STATUS_OK)
      status = mo_context_copy_to_device(context, destination, stage, (size_t)now * mo_dtype_bytes(dtype));
    /* The buffer is written again, and in the end freed: wait for the copy, also after a failure elsewhere. */
    const mo_status_t waited = mo_context_synchronize(context);
    if (status == MO_STATUS_OK) status = waited;
  }
  mo_host_free(context, stage, STAGE_BYTES);
  return status;
}

static mo_status_t fill(mo_context_t *context, void *memory, mo_dtype_t dtype, const source_tensor *source, int64_t count) {
  if (count == 0) return MO_STATUS_OK;
  if (!mo_context_backend(context)->memory_is_host) return fill_through_stage(context, memory, dtype, source, count);
  if (source != NULL) return read_elements(source, 0, count, dtype, memory);
  memset(memory, 0, (size_t)count * mo_dtype_bytes(dtype));
  return MO_STATUS_OK;
}

/* source NULL: missing, zeros. */
static mo_status_t load_copy(mo_context_t *context, const source_tensor *source, mo_dtype_t dtype, int32_t rank,
                             const int64_t *shape, mo_weight *weight) {
  int64_t count = 1;
  int64_t bytes;
  for (int32_t i = 0; i < rank; ++i)
    MO_CHECK(shape[i] >= 0 && mo_checked_mul(count, shape[i], &count), MO_STATUS_OUT_OF_MEMORY,
             "checkpoint: shape %s overflows 64 bits", show_shape(rank, shape).text);
  MO_CHECK(mo_checked_mul(count, (int64_t)mo_dtype_bytes(dtype), &bytes), MO_STATUS_OUT_OF_MEMORY,
           "checkpoint: shape %s overflows 64 bits", show_shape(rank, shape).text);
  void *memory;
  MO_TRY(mo_context_allocate(context, (size_t)bytes, &memory));
  mo_weight made = {.context = context, .memory = memory, .missing = source == NULL};
  mo_status_t status;
  MO_TRY_GOTO(mo_tensor_init(&made.tensor, memory, dtype, mo_context_device(context), rank, shape), status, failed);
  MO_TRY_GOTO(fill(context, memory, dtype, source, count), status, failed);
  *weight = made;
  return MO_STATUS_OK;
failed:
  mo_context_release(context, memory);
  return status;
}

/* Leaves the weight alone if the tensor cannot be used where it lies: askew, or in a form that is cast as it is read. */
static mo_status_t map_weight(mo_context_t *context, const source_tensor *source, mo_weight *weight) {
  mo_tensor tensor;
  const mo_status_t status = mo_safetensors_tensor(source->file, source->name, &tensor);
  if (status == MO_STATUS_UNSUPPORTED) return MO_STATUS_OK;
  MO_TRY(status);
  if (!is_aligned(tensor.data, tensor.dtype)) return MO_STATUS_OK;
  weight->tensor = tensor;
  weight->tensor.device = mo_context_device(context); /* a host-memory backend may go by another name than the CPU */
  weight->mapped = true;
  return MO_STATUS_OK;
}

mo_status_t mo_checkpoint_load(mo_checkpoint_t *checkpoint, mo_context_t *context, const char *name, mo_dtype_t dtype,
                               int32_t rank, const int64_t *shape, mo_load_mode_t mode, bool allow_missing, mo_weight *weight) {
  memset(weight, 0, sizeof *weight);
  MO_CHECK(mo_dtype_is_float(dtype), MO_STATUS_INVALID_ARGUMENT,
           "checkpoint: weights as %s, must be float32, float16 or bfloat16", mo_dtype_name(dtype));
  MO_CHECK(rank >= 0 && rank <= MO_MAX_DIMS, MO_STATUS_INVALID_ARGUMENT, "checkpoint: rank %d, must be in 0..%d", (int)rank,
           MO_MAX_DIMS);
  MO_CHECK(checkpoint->shards != NULL, MO_STATUS_WRONG_STATE,
           "checkpoint: tensor \"%s\" is asked for after the files were closed", mo_name_show(name).text);
  if (!mo_checkpoint_contains(checkpoint, name)) {
    MO_TRY(mo_checkpoint_note_missing(checkpoint, name));
    if (context == NULL) return MO_STATUS_OK;
    MO_CHECK(allow_missing, MO_STATUS_BAD_FILE, "checkpoint: tensor \"%s\" is missing", mo_name_show(name).text);
    return load_copy(context, NULL, dtype, rank, shape, weight);
  }
  mo_tensor found;
  MO_TRY(mo_checkpoint_find(checkpoint, name, &found));
  MO_TRY(check_found(name, &found, rank, shape));
  if (context == NULL) return MO_STATUS_OK;
  const source_tensor source = source_of(checkpoint, name, &found);
  if (mode == MO_LOAD_MAP && found.dtype == dtype && mo_context_backend(context)->memory_is_host) {
    MO_TRY(map_weight(context, &source, weight));
    if (weight->mapped) return MO_STATUS_OK;
  }
  return load_copy(context, &source, dtype, rank, shape, weight);
}

void mo_weight_release(mo_weight *weight) {
  if (weight == NULL) return;
  if (weight->memory != NULL) mo_context_release(weight->context, weight->memory);
  memset(weight, 0, sizeof *weight);
}

void mo_weight_drop_pages(const mo_weight *weight) {
  if (!weight->mapped || weight->tensor.data == NULL) return;
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t begin = ((uintptr_t)weight->tensor.data + page - 1) / page * page;
  const uintptr_t end = ((uintptr_t)weight->tensor.data + (uintptr_t)mo_tensor_bytes(&weight->tensor)) / page * page;
  /* The mapping is private, read-only and of a file, so dropped pages come back from it unchanged. Only advice: failing is
   * fine. */
  if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}
