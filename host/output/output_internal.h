/* host/output/output_internal.h - how outputs and fields are laid out.
 *
 *   mo_output (typed struct)            mo_output_block (shared, counted)
 *   +-------------------------+        +------------------------------------+
 *   | output_class, state ----+--+     | references, context                |
 *   | mo_field *loss          |  |     | device arena (ours or the caller's)|
 *   | mo_field *logits   -----+--|---->| fields[]: tensors and tuples       |
 *   +-------------------------+  |     | source: generation, ready event    |
 *   | mo_output_state       <-+--+     +------------------------------------+
 *   |  entries[] key -> field |
 *   +-------------------------+
 *
 * THE LIFE OF AN OUTPUT of mo_output_create. The generation of its source tells the states apart:
 *
 *   planned     inside mo_output_create alone: extents and sizes are known, nothing is allocated. A failure leaves nothing
 *   made        generation 0. Every present field has its address; the content is undefined. Kernels write. Reads fail with
 *               WRONG_STATE
 *     mark_written -> written
 *   written     generation n, after the n-th mark_written. `ready` is the event recorded by it: what kernels wrote before is
 *               complete once the event has passed. Reads wait for it; the first read of a field makes a host copy (mirror.h)
 *     mark_written -> written, generation n + 1. Host copies of generation n are out of date from here on, and host views of
 *               it are stale (mo_field_check_view). No memory is touched: the next read copies again
 *   destroyed   by mo_output_destroy: struct, state and entries are gone. The block lives on while somebody holds a field
 *   released    after the last reference to the block: copies under way are waited for, then host copies, device memory and
 *               the event go back to the context
 *
 * Writing again without mark_written is the caller's mistake: a read may then give the old content, the new, or some of both.
 * An output made by hand has no block. Each of its tensors has a source of its own, written from the start (generation 1), and
 * a state of its own; mark_written advances all of them.
 *
 * An output made by mo_output_create is two host blocks at most (the output with its state, the block with its fields) and one
 * device block. Fields of a block are not counted one by one: a reference to any of them is a reference to the block. Fields
 * made by hand have their own count and no block.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_OUTPUT_INTERNAL_H
#define MO_OUTPUT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "host/core/context_internal.h"
#include "host/output/name_index.h"
#include "modelout/output.h"

typedef struct mo_output_block mo_output_block;
typedef struct mo_mirror mo_mirror; /* host/output/mirror.h: one host copy of a field or of a part of it */

/* What is written together: its generation, and the event that copies wait for. One per block, and one per tensor field made by
 * hand. */
typedef struct mo_source {
  _Atomic uint64_t generation; /* 0: nothing written yet */
  pthread_mutex_t mutex;       /* guards ready, and the mirrors of every field of this source */
  mo_event ready;              /* NULL until the first mark_written; then of the latest */
} mo_source;

/* Tuples, caches and dicts may be nested this deep: walks over fields are recursive. */
#define MO_FIELD_DEPTH_LIMIT 256

struct mo_field {
  mo_field_kind_t kind;
  int32_t depth;               /* 0: no items; else one more than the deepest item */
  int64_t value_count;         /* this field and all below it, a field that is in two tuples counted twice; INT64_MAX: more */
  int32_t tensors_per_layer;   /* caches */
  mo_output_block *block;      /* NULL: made by hand */
  mo_context_t *context;
  _Atomic int64_t references;  /* only without a block */
  size_t host_bytes;           /* size of the allocation that starts at this field; only without a block */
  void *owner;                 /* host/output/field_owner.h; NULL */
  mo_release_function owner_release;
  union {
    struct {
      mo_tensor tensor;
      mo_source *source;
      mo_mirror *mirrors;      /* list, guarded by source->mutex */
      _Atomic(mo_mirror *) whole; /* the current mirror of the whole tensor, for reads without a lock; may be stale */
      _Atomic uint64_t host_copies;
      _Atomic uint64_t host_copy_bytes;
      mo_release_function release; /* wrapped tensors */
      void *user_data;
    } tensor;
    struct {
      int64_t count;
      mo_field **items;          /* NULL entries are None */
      const char **keys;         /* dicts, else NULL */
      mo_name_index index;       /* of the keys of a long dict */
    } items;
    int64_t integer;
    double real;
    const char *string;
  } as;
};

struct mo_output_block {
  _Atomic int64_t references;
  mo_context_t *context;
  void *memory;              /* device arena */
  size_t memory_bytes;
  bool owns_memory;
  size_t host_bytes;         /* of this allocation */
  mo_source source;
  int64_t field_count;
  mo_field *fields;          /* all fields of the block, tuples and their entries included */
};

typedef struct mo_output_entry {
  const char *key; /* a class field's name, or interned: the extra attribute of that name owns it (owns_key) */
  mo_field *field; /* retained; NULL: the key holds None */
  bool owns_key;
} mo_output_entry;

struct mo_output_state {
  mo_context_t *context;
  mo_output_block *block;    /* NULL for outputs made by hand */
  mo_output_entry *entries;  /* keys in order */
  int32_t entry_count;
  int32_t entry_capacity;
  mo_output_entry *extra_attributes; /* undeclared attributes, retained; declared ones are the struct's members */
  int32_t extra_attribute_count;
  int32_t extra_attribute_capacity;
  mo_name_index entry_index;     /* of long lists */
  mo_name_index extra_attribute_index;
  uint64_t generation;       /* outputs without a block; else block->source.generation */
  uint8_t *absences;         /* mo_absence_t per class field */
  uint64_t deleted_attributes; /* bit per class field: `del x.name` was done */
  size_t host_bytes;         /* of the allocation that holds struct, state and first entries */
};

/* Allocates the typed struct and its state with room for every class field as an entry (and for the base class 8). Members
 * NULL, no entries, every absence NOT_SET (state->absences lies in the same allocation). The output holds the context. */
mo_status_t mo_output_allocate(mo_context_t *context, const mo_class *output_class, mo_output **output);

/* The struct member of class field `index`. A member holds a reference (mo_output_hold in output_state.h), except to fields of
 * the output's own block: state->block holds that anyway, so mo_output_create assigns them plainly. */
static inline mo_field **mo_output_member(const mo_output *output, int32_t index) {
  return (mo_field **)((char *)output + output->output_class->fields[index].struct_offset);
}

/* Appends a key without checking whether it exists; retains the field; `key` must be static. Used while building. */
mo_status_t mo_output_append_entry(mo_output *output, const char *key, mo_field *field);

/* Sets depth and number of values of a field whose items are set. */
void mo_field_measure(mo_field *field);

/* A source without a generation; destroy gives the event back. */
mo_status_t mo_source_init(mo_source *source);
void mo_source_destroy(mo_source *source, mo_context_t *context);

/* Block references; the last one frees mirrors, device memory and the block (host/output/plan.c). */
void mo_output_block_retain(mo_output_block *block);
void mo_output_block_release(mo_output_block *block);

/* Frees the mirrors of a tensor field (host/output/mirror.c); no other thread may be reading. */
void mo_field_free_mirrors(mo_field *field);

/* Records the ready event of a source on `stream` and advances its generation (host/output/read.c). */
mo_status_t mo_source_mark_written(mo_source *source, mo_context_t *context, mo_stream stream);

#endif
