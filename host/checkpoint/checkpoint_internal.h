/* host/checkpoint/checkpoint_internal.h - what checkpoint.c (names, files) and checkpoint_load.c (weights) share.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_CHECKPOINT_CHECKPOINT_INTERNAL_H
#define MO_CHECKPOINT_CHECKPOINT_INTERNAL_H

#include "host/checkpoint/checkpoint.h"
#include "host/core/string_map.h"
#include "modelout/safetensors.h"

/* A hostile config.json can ask for any number of layers; the largest real models have a few thousand tensors. */
#define MO_CHECKPOINT_MISSING_LIMIT 65536

typedef struct mo_checkpoint_entry {
  char *name;
  int64_t shard;
  bool used;
} mo_checkpoint_entry;

struct mo_checkpoint {
  char *prefix;   /* with its dot, or "" */
  char **ignored; /* NULL-terminated */
  mo_safetensors_t **shards;
  int64_t shard_count;
  mo_checkpoint_entry *entries; /* shard by shard, in the order of the files */
  int64_t entry_count;
  mo_string_map by_name; /* to the index in entries */
  const char **unexpected;
  int64_t unexpected_count;
  bool unexpected_is_stale;
  char **missing;
  int64_t missing_count, missing_capacity;
  mo_string_map missing_names;
};

/* Index of the entry under any of the name's forms, -1 if there is none. */
int64_t mo_checkpoint_resolve(const mo_checkpoint_t *checkpoint, const char *name);

/* Once per name. OUT_OF_MEMORY; BAD_FILE past the limit. */
mo_status_t mo_checkpoint_note_missing(mo_checkpoint_t *checkpoint, const char *name);

#endif
