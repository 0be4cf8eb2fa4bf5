/* modelout/safetensors.h - the safetensors format: a strict reader, and a writer for outputs.
 *
 * Format: 8 bytes little-endian header length, a JSON object (name -> dtype, shape, data_offsets; "__metadata__": strings),
 * raw little-endian data without gaps. Rules and limits of https://github.com/huggingface/safetensors (README, "Format"):
 * header at most 100 MB and starting with '{', no duplicate names, offsets in range, contiguous, matching shape and dtype, no
 * overlap, no hole, nothing after the last tensor. Every broken rule is BAD_FILE and named with the tensor.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_SAFETENSORS_H
#define MODELOUT_SAFETENSORS_H

#include "modelout/context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mo_safetensors mo_safetensors_t;
typedef struct mo_output mo_output; /* modelout/output.h; the reader alone needs no outputs */

/* Opens a regular file and reads its header. IO_ERROR (names the file and the system's reason, or that it is a pipe, a folder,
 * ...), BAD_FILE (a broken rule; a Git LFS pointer instead of the file), OUT_OF_MEMORY. The file stays open. Several threads
 * may ask one object at once. */
MO_API mo_status_t mo_safetensors_open(const char *path, mo_safetensors_t **file);

/* The same over memory of the caller, which must outlive the object. */
MO_API mo_status_t mo_safetensors_open_memory(const void *data, size_t bytes, mo_safetensors_t **file);

/* NULL is fine. Tensors handed out become invalid. */
MO_API void mo_safetensors_close(mo_safetensors_t *file);

MO_API int64_t mo_safetensors_count(const mo_safetensors_t *file);

/* Name of the tensor at 0 <= index < count, in the order of the data. NULL out of range. */
MO_API const char *mo_safetensors_name(const mo_safetensors_t *file, int64_t index);

/* Shape and dtype of a tensor, without its data (data is NULL). F64 is described as float32 and F8_E5M2 as float16: what
 * mo_safetensors_read makes of them. KEY_ERROR if there is none of that name; UNSUPPORTED for a dtype the library does not know
 * (I16, U32, ...; mo_safetensors_name still lists it) and for more than MO_MAX_DIMS dimensions. */
MO_API mo_status_t mo_safetensors_describe(const mo_safetensors_t *file, const char *name, mo_tensor *tensor);

/* Copies `count` elements of a tensor, from element `first` on in the order of the data, into memory of the caller, in the
 * dtype of mo_safetensors_describe (F64 is rounded to float32, as the library has no float64; F8_E5M2 is exact). Reads the
 * file: what is done to the file later does not matter. IO_ERROR if the file has become shorter or cannot be read;
 * INVALID_ARGUMENT for elements that the tensor does not have; the statuses of mo_safetensors_describe. */
MO_API mo_status_t mo_safetensors_read(const mo_safetensors_t *file, const char *name, int64_t first, int64_t count,
                                       void *memory);

/* A CPU tensor without a copy: it points into the file, which is mapped at the first call (IO_ERROR if that fails), or into the
 * memory of mo_safetensors_open_memory. Read-only: do not write through it. The data are aligned as in the file, so possibly
 * not to the element: mo ops on the CPU accept only aligned tensors. The statuses of mo_safetensors_describe; UNSUPPORTED for
 * F64 and F8_E5M2, which can only be read.
 *
 * A mapping shows the file as it is at each moment. If the file is written to, the tensor changes, at any time and in part; if
 * it is truncated (a copy over it does that first), touching the lost pages ends the process with SIGBUS. So use it for files
 * that nobody changes, or that are replaced by renaming a new file over the old name; else take mo_safetensors_read. */
MO_API mo_status_t mo_safetensors_tensor(const mo_safetensors_t *file, const char *name, mo_tensor *tensor);

/* "__metadata__" entry, NULL if there is none. */
MO_API const char *mo_safetensors_metadata(const mo_safetensors_t *file, const char *key);

/* Writes tensors that lie on the host. Data are sorted by falling alignment, then by name, and start at a multiple of 8. The
 * file appears whole or not at all: it is written without a name (where the file system cannot do that, as a temporary beside
 * the target) and then put in place. A regular file is replaced and its permissions are kept; symbolic links are followed, and
 * stay; a character device such as /dev/null is written to; IO_ERROR: a folder, pipe, socket or block device, which stay as
 * they are. tensors must be contiguous. */
MO_API mo_status_t mo_safetensors_write(const char *path, const char *const *names, const mo_tensor *tensors, int64_t count,
                                        const char *const *metadata_keys, const char *const *metadata_values,
                                        int64_t metadata_count);

/* Saves an output under flat names: `logits`, `hidden_states.0`, `past_key_values.1.key` / `.value` / `.cross_key` /
 * `.cross_value`, dicts by key. None entries are left out and recorded in the metadata, as are class and key order. Reads every
 * field it writes (which counts as copies). prefix ("step0.") is put before every name; NULL: none. A field that stands in
 * several places is written at each. INVALID_ARGUMENT: fields nested more than 16 deep, names of 512 bytes, more than 2^21
 * values. */
MO_API mo_status_t mo_output_save(mo_output *output, const char *path, const char *prefix);

/* Reads a file of mo_output_save back: an output of the same class with the same keys in the same order, on the context's
 * device. A class that mo_class_find() does not know (those of the pretraining models) comes back as a ModelOutput. BAD_FILE:
 * also a structure nested more than 16 deep or one that names a tensor twice: what is loaded is no more than the file holds. */
MO_API mo_status_t mo_output_load(mo_context_t *context, const char *path, mo_output **output);

#ifdef __cplusplus
}
#endif
#endif
