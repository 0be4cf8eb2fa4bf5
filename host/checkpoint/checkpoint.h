/* host/checkpoint/checkpoint.h - the tensors of a checkpoint folder, by name, for the model families.
 *
 * Opens model.safetensors, or the shards that model.safetensors.index.json lists. The index says which files there are; which
 * tensor is where their own headers say, and of a name in two shards the one whose file name sorts last counts, as in
 * Transformers. Not thread-safe: one thread loads a model.
 *
 * NAMES. A tensor is found under the name asked for, or with the base model's prefix added or taken away ("encoder.layer.0.x"
 * and "bert.encoder.layer.0.x" for the prefix "bert"), each also with LayerNorm's old names (.gamma for .weight, .beta for
 * .bias). The name as asked comes first, so a file that has both keeps its meaning. A name that is nowhere is looked for in the
 * files' metadata, where safetensors.torch.save_model notes under which name it stored a tensor that has several.
 *
 * HOW A FAMILY LOADS. First walk all weights with context NULL: nothing is copied, every shape is checked and every missing
 * name is noted. mo_checkpoint_check_missing() then tells them all in one sentence. Then walk the same way with the context.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CHECKPOINT_CHECKPOINT_H
#define MO_CHECKPOINT_CHECKPOINT_H

#include "host/core/context_internal.h"

typedef struct mo_checkpoint mo_checkpoint_t;

typedef struct mo_checkpoint_options {
  const char *base_prefix; /* "bert", without the dot; NULL or "": names are taken as they are */
  /* NULL-terminated: tensors whose names end with one of these (whole dotted parts) are never "unexpected". "position_ids" and
   * "token_type_ids" always are among them: buffers that old files carry. NULL: only these. */
  const char *const *ignored;
} mo_checkpoint_options;

/* options NULL: no prefix. IO_ERROR (no such file), UNSUPPORTED (only a pickled pytorch_model.bin is there), BAD_FILE (the
 * format of a file or the index; a shard name that is not a plain file name; a Git LFS pointer), OUT_OF_MEMORY. */
mo_status_t mo_checkpoint_open(const char *directory, const mo_checkpoint_options *options, mo_checkpoint_t **checkpoint);

/* NULL is fine. Mapped weights become invalid. */
void mo_checkpoint_destroy(mo_checkpoint_t *checkpoint);

/* Closes the files but keeps the lists of names (unexpected, missing). Mapped weights become invalid; nothing can be loaded any
 * more (WRONG_STATE). */
void mo_checkpoint_close_files(mo_checkpoint_t *checkpoint);

/* Whether the tensor is there under any of its names. Marks nothing. */
bool mo_checkpoint_contains(const mo_checkpoint_t *checkpoint, const char *name);

/* Shape and dtype of the tensor (as mo_safetensors_describe has them), without its data; marks it as used. KEY_ERROR (marks and
 * notes nothing), UNSUPPORTED (a dtype such as U32). */
mo_status_t mo_checkpoint_find(mo_checkpoint_t *checkpoint, const char *name, mo_tensor *tensor);

/* All elements of a tensor into host memory, converted to `dtype`. `found` is what mo_checkpoint_find gave for that name. */
mo_status_t mo_checkpoint_read(const mo_checkpoint_t *checkpoint, const char *name, const mo_tensor *found, mo_dtype_t dtype,
                               void *memory);

/* Marks a tensor as used without loading it, as for a second copy of a tied weight. Fine if it is not there. */
void mo_checkpoint_mark_used(mo_checkpoint_t *checkpoint, const char *name);

typedef enum mo_load_mode_t {
  MO_LOAD_COPY = 0, /* read into memory of its own: the files can be closed, and what happens to them does not matter */
  MO_LOAD_MAP = 1, /* the tensor in the mapped file, if device memory is host memory and dtype and alignment fit; else a copy */
} mo_load_mode_t;

/* A contiguous parameter on the context's device, ready for ops. Do not write through a mapped one. */
typedef struct mo_weight {
  mo_tensor tensor;      /* dtype MO_DTYPE_NONE: not there (optional, or the walk with context NULL) */
  mo_context_t *context; /* owner of `memory`; NULL if nothing is owned */
  void *memory;          /* device memory, NULL for a mapped weight; mo_weight_release gives it back */
  bool mapped;           /* lies in the file: valid until mo_checkpoint_close_files */
  bool missing;          /* not in the files: zero-filled */
} mo_weight;

/* Loads a parameter of exactly this shape as `dtype` (float32, float16, bfloat16; converted where the file differs) and marks
 * it as used. BAD_FILE with a sentence naming tensor, shape found and shape expected; a tensor of integers is BAD_FILE too.
 *   context NULL: looks only. *weight is all zero, a missing tensor is noted and OK.
 *   else, a missing tensor: noted; zero-filled if allow_missing, else BAD_FILE.
 * On failure *weight is all zero. The copy has finished when the call returns. */
mo_status_t mo_checkpoint_load(mo_checkpoint_t *checkpoint, mo_context_t *context, const char *name, mo_dtype_t dtype,
                               int32_t rank, const int64_t *shape, mo_load_mode_t mode, bool allow_missing, mo_weight *weight);

/* Zeroed and never loaded weights are fine. */
void mo_weight_release(mo_weight *weight);

/* Gives the pages of a mapped weight back to the system once a packed form of it exists; the weight stays valid (it would be
 * read again from the file). Nothing for a weight that is not mapped. */
void mo_weight_drop_pages(const mo_weight *weight);

/* BAD_FILE with the names of the missing tensors (as many as the sentence holds, and how many there are); OK if there are none.
 */
mo_status_t mo_checkpoint_check_missing(const mo_checkpoint_t *checkpoint);

/* Tensors of the files that were neither used nor ignored so far, in the order of the files; those noted as missing, in the
 * order they were asked for, once each. NULL out of range. Valid as long as the checkpoint. */
const char *mo_checkpoint_unexpected(mo_checkpoint_t *checkpoint, int64_t index);
const char *mo_checkpoint_missing(const mo_checkpoint_t *checkpoint, int64_t index);

#endif
