/* host/checkpoint/checkpoint_files.c - the tensors of a checkpoint folder: files, index, names, and what was used or missed.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/checkpoint/checkpoint_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/text_file.h"

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"
#define PICKLE_FILE "pytorch_model.bin"
#define INDEX_BYTES_LIMIT ((size_t)256 << 20)

static const char *const always_ignored[] = {"position_ids", "token_type_ids", NULL};
static const char *const nothing_ignored[] = {NULL};

static char *copy_text(const char *text) {
  const size_t bytes = strlen(text) + 1;
  char *copy = malloc(bytes);
  if (copy != NULL) memcpy(copy, text, bytes);
  return copy;
}

static mo_status_t no_memory(const char *what) {
  return mo_fail(MO_STATUS_OUT_OF_MEMORY, "checkpoint: no memory for %s", what);
}

/* ---- Opening ---- */

static mo_status_t open_shard(mo_checkpoint_t *checkpoint, const char *directory, const char *name) {
  char *path;
  MO_TRY(mo_path_join(directory, name, &path));
  const mo_status_t status = mo_safetensors_open(path, &checkpoint->shards[checkpoint->shard_count]);
  free(path);
  if (status == MO_STATUS_OK) ++checkpoint->shard_count;
  return status;
}

/* One list of all names of all shards, and a map over it. */
static mo_status_t list_tensors(mo_checkpoint_t *checkpoint) {
  int64_t count = 0;
  for (int64_t s = 0; s < checkpoint->shard_count; ++s) count += mo_safetensors_count(checkpoint->shards[s]);
  checkpoint->entries = calloc((size_t)count + 1, sizeof *checkpoint->entries);
  checkpoint->unexpected = calloc((size_t)count + 1, sizeof *checkpoint->unexpected);
  if (checkpoint->entries == NULL || checkpoint->unexpected == NULL) return no_memory("the list of tensors");
  MO_TRY(mo_string_map_init(&checkpoint->by_name, (size_t)count));
  for (int64_t s = 0; s < checkpoint->shard_count; ++s) {
    const int64_t shard_tensors = mo_safetensors_count(checkpoint->shards[s]);
    for (int64_t i = 0; i < shard_tensors; ++i) {
      mo_checkpoint_entry *entry = &checkpoint->entries[checkpoint->entry_count];
      entry->name = copy_text(mo_safetensors_name(checkpoint->shards[s], i));
      if (entry->name == NULL) return no_memory("the list of tensors");
      entry->shard = s;
      int64_t previous;
      ++checkpoint->entry_count;
      MO_TRY(mo_string_map_put(&checkpoint->by_name, entry->name, strlen(entry->name), checkpoint->entry_count - 1, &previous));
      if (previous >= 0) checkpoint->entries[previous].used = true; /* the later shard's counts, as in Transformers */
    }
  }
  return MO_STATUS_OK;
}

static bool is_plain_file_name(const char *name) {
  return name[0] != '\0' && strpbrk(name, "/\\") == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int compare_text(const void *left, const void *right) {
  const char *const *a = left, *const *b = right;
  return strcmp(*a, *b);
}

/* The names of the shards, each once, in the order in which Transformers loads them: sorted. What the index says of single
 * tensors is a hint at best, as the headers of the shards say what they hold. */
static mo_status_t open_shards(mo_checkpoint_t *checkpoint, const char *directory, json_t *weight_map) {
  const char **names = calloc(json_object_size(weight_map), sizeof *names);
  checkpoint->shards = calloc(json_object_size(weight_map), sizeof *checkpoint->shards);
  mo_status_t status = MO_STATUS_OK;
  size_t count = 0;
  const char *tensor;
  json_t *value;
  if (names == NULL || checkpoint->shards == NULL) status = no_memory("the shards");
  if (status == MO_STATUS_OK) {
    json_object_foreach(weight_map, tensor, value) {
      names[count] = json_string_value(value);
      if (names[count] == NULL || !is_plain_file_name(names[count])) {
        status =
            mo_fail(MO_STATUS_BAD_FILE, "%s: weight_map places tensor \"%s\" in %s, must be a plain file name without a folder",
                    INDEX_FILE, mo_name_show(tensor).text, mo_json_show(value).text);
        break;
      }
      ++count;
    }
  }
  if (status == MO_STATUS_OK) qsort(names, count, sizeof *names, compare_text);
  for (size_t i = 0; status == MO_STATUS_OK && i < count; ++i)
    if (i == 0 || strcmp(names[i], names[i - 1]) != 0) status = open_shard(checkpoint, directory, names[i]);
  free(names);
  return status;
}

static mo_status_t open_indexed(mo_checkpoint_t *checkpoint, const char *directory) {
  char *text = NULL;
  size_t bytes;
  json_t *root = NULL;
  json_t *weight_map;
  mo_status_t status;
  MO_TRY(mo_file_read(directory, INDEX_FILE, INDEX_BYTES_LIMIT, &text, &bytes));
  MO_TRY_GOTO(mo_json_read_object(INDEX_FILE, text, bytes, MO_JSON_PYTHON, &root), status, done);
  weight_map = json_object_get(root, "weight_map");
  if (!json_is_object(weight_map) || json_object_size(weight_map) == 0) {
    status = mo_fail(MO_STATUS_BAD_FILE, "%s: weight_map is %s, must be an object that places at least one tensor", INDEX_FILE,
                     mo_json_show(weight_map).text);
    goto done;
  }
  MO_TRY_GOTO(open_shards(checkpoint, directory, weight_map), status, done);
  status = list_tensors(checkpoint);
done:
  json_decref(root);
  free(text);
  return status;
}

static mo_status_t open_single(mo_checkpoint_t *checkpoint, const char *directory) {
  checkpoint->shards = calloc(1, sizeof *checkpoint->shards);
  if (checkpoint->shards == NULL) return no_memory("the shards");
  MO_TRY(open_shard(checkpoint, directory, SINGLE_FILE));
  return list_tensors(checkpoint);
}

static mo_status_t open_files(mo_checkpoint_t *checkpoint, const char *directory) {
  bool found;
  MO_TRY(mo_file_exists(directory, SINGLE_FILE, &found));
  if (found) return open_single(checkpoint, directory);
  MO_TRY(mo_file_exists(directory, INDEX_FILE, &found));
  if (found) return open_indexed(checkpoint, directory);
  MO_TRY(mo_file_exists(directory, PICKLE_FILE, &found));
  MO_CHECK(!found, MO_STATUS_UNSUPPORTED, "checkpoint: %s holds only %s, a pickle; save it as safetensors first",
           mo_path_show(directory).text, PICKLE_FILE);
  return mo_fail(MO_STATUS_IO_ERROR, "checkpoint: %s holds neither %s nor %s", mo_path_show(directory).text, SINGLE_FILE,
                 INDEX_FILE);
}

/* The caller's list is copied: it may be gone when the unexpected tensors are asked for. */
static mo_status_t copy_options(mo_checkpoint_t *checkpoint, const mo_checkpoint_options *options) {
  const char *prefix = options != NULL && options->base_prefix != NULL ? options->base_prefix : "";
  const size_t prefix_bytes = strlen(prefix);
  checkpoint->prefix = calloc(prefix_bytes + 2, 1);
  if (checkpoint->prefix == NULL) return no_memory("the prefix");
  memcpy(checkpoint->prefix, prefix, prefix_bytes);
  if (prefix_bytes > 0) checkpoint->prefix[prefix_bytes] = '.';
  const char *const *ignored = options != NULL && options->ignored != NULL ? options->ignored : nothing_ignored;
  size_t count = 0;
  while (ignored[count] != NULL) ++count;
  checkpoint->ignored = calloc(count + 1, sizeof *checkpoint->ignored);
  if (checkpoint->ignored == NULL) return no_memory("the ignored names");
  for (size_t i = 0; i < count; ++i) {
    checkpoint->ignored[i] = copy_text(ignored[i]);
    if (checkpoint->ignored[i] == NULL) return no_memory("the ignored names");
  }
  return MO_STATUS_OK;
}

mo_status_t mo_checkpoint_open(const char *directory, const mo_checkpoint_options *options, mo_checkpoint_t **checkpoint) {
  MO_CHECK(directory != NULL && checkpoint != NULL, MO_STATUS_INVALID_ARGUMENT,
           "checkpoint: directory or checkpoint is NULL, both are required");
  mo_checkpoint_t *made = calloc(1, sizeof *made);
  if (made == NULL) return no_memory("the checkpoint");
  mo_status_t status;
  MO_TRY_GOTO(copy_options(made, options), status, failed);
  MO_TRY_GOTO(mo_string_map_init(&made->missing_names, 0), status, failed);
  MO_TRY_GOTO(open_files(made, directory), status, failed);
  made->unexpected_is_stale = true;
  *checkpoint = made;
  return MO_STATUS_OK;
failed:
  mo_checkpoint_destroy(made);
  return status;
}

void mo_checkpoint_close_files(mo_checkpoint_t *checkpoint) {
  if (checkpoint == NULL) return;
  for (int64_t s = 0; s < checkpoint->shard_count; ++s) mo_safetensors_close(checkpoint->shards[s]);
  free(checkpoint->shards);
  checkpoint->shards = NULL;
  checkpoint->shard_count = 0;
}

void mo_checkpoint_destroy(mo_checkpoint_t *checkpoint) {
  if (checkpoint == NULL) return;
  mo_checkpoint_close_files(checkpoint);
  for (int64_t i = 0; i < checkpoint->entry_count; ++i) free(checkpoint->entries[i].name);
  for (int64_t i = 0; i < checkpoint->missing_count; ++i) free(checkpoint->missing[i]);
  if (checkpoint->ignored != NULL)
    for (size_t i = 0; checkpoint->ignored[i] != NULL; ++i) free(checkpoint->ignored[i]);
  mo_string_map_free(&checkpoint->by_name);
  mo_string_map_free(&checkpoint->missing_names);
  free(checkpoint->entries);
  free(checkpoint->unexpected);
  free(checkpoint->missing);
  free(checkpoint->ignored);
  free(checkpoint->prefix);
  free(checkpoint);
}

/* ---- Names ---- */

#define NAME_BYTES 512 /* of the names that model code asks for; a longer one is not in any file */

/* Exactly this name, or with LayerNorm's old one. -1: neither. */
static int64_t find_spelled(const mo_checkpoint_t *checkpoint, const char *name) {
  static const char *const renamed[][2] = {{".weight", ".gamma"}, {".bias", ".beta"}};
  const size_t bytes = strlen(name);
  const int64_t found = mo_string_map_find(&checkpoint->by_name, name, bytes);
  for (size_t i = 0; found < 0 && i < 2; ++i) {
    const size_t suffix_bytes = strlen(renamed[i][0]);
    if (bytes < suffix_bytes || strcmp(name + bytes - suffix_bytes, renamed[i][0]) != 0) continue;
    char old[NAME_BYTES];
    const int length = snprintf(old, sizeof old, "%.*s%s", (int)(bytes - suffix_bytes), name, renamed[i][1]);
    return mo_string_map_find(&checkpoint->by_name, old, (size_t)length);
  }
  return found;
}

/* Of tensors that share memory safetensors.torch.save_model keeps one, and notes the others in the metadata: name -> the name
 * that is stored. */
static int64_t find_shared(const mo_checkpoint_t *checkpoint, const char *name) {
  for (int64_t s = 0; s < checkpoint->shard_count; ++s) {
    const char *stored = mo_safetensors_metadata(checkpoint->shards[s], name);
    const int64_t found = stored != NULL ? mo_string_map_find(&checkpoint->by_name, stored, strlen(stored)) : -1;
    if (found >= 0) return found;
  }
  return -1;
}

typedef int64_t (*find_function)(const mo_checkpoint_t *checkpoint, const char *name);

/* The name as it is, then with the prefix taken away or added. */
static int64_t find_prefixed(const mo_checkpoint_t *checkpoint, const char *name, find_function find) {
  const size_t prefix_bytes = strlen(checkpoint->prefix);
  if (strlen(name) + prefix_bytes >= NAME_BYTES) return -1;
  const int64_t found = find(checkpoint, name);
  if (found >= 0 || prefix_bytes == 0) return found;
  if (strncmp(name, checkpoint->prefix, prefix_bytes) == 0) return find(checkpoint, name + prefix_bytes);
  char prefixed[NAME_BYTES];
  snprintf(prefixed, sizeof prefixed, "%s%s", checkpoint->prefix, name);
  return find(checkpoint, prefixed);
}

int64_t mo_checkpoint_resolve(const mo_checkpoint_t *checkpoint, const char *name) {
  const int64_t found = find_prefixed(checkpoint, name, find_spelled);
  return found >= 0 ? found : find_prefixed(checkpoint, name, find_shared);
}

bool mo_checkpoint_contains(const mo_checkpoint_t *checkpoint, const char *name) {
  return mo_checkpoint_resolve(checkpoint, name) >= 0;
}

void mo_checkpoint_mark_used(mo_checkpoint_t *checkpoint, const char *name) {
  const int64_t found = mo_checkpoint_resolve(checkpoint, name);
  if (found < 0) return;
  checkpoint->entries[found].used = true;
  checkpoint->unexpected_is_stale = true;
}

mo_status_t mo_checkpoint_find(mo_checkpoint_t *checkpoint, const char *name, mo_tensor *tensor) {
  MO_CHECK(checkpoint->shards != NULL, MO_STATUS_WRONG_STATE,
           "checkpoint: tensor \"%s\" is asked for after the files were closed", mo_name_show(name).text);
  const int64_t found = mo_checkpoint_resolve(checkpoint, name);
  MO_CHECK(found >= 0, MO_STATUS_KEY_ERROR, "checkpoint: no tensor \"%s\"", mo_name_show(name).text);
  mo_checkpoint_entry *entry = &checkpoint->entries[found];
  MO_TRY(mo_safetensors_describe(checkpoint->shards[entry->shard], entry->name, tensor));
  entry->used = true;
  checkpoint->unexpected_is_stale = true;
  return MO_STATUS_OK;
}

/* ---- What was used and what missed ---- */

mo_status_t mo_checkpoint_note_missing(mo_checkpoint_t *checkpoint, const char *name) {
  if (mo_string_map_find(&checkpoint->missing_names, name, strlen(name)) >= 0) return MO_STATUS_OK;
  MO_CHECK(checkpoint->missing_count < MO_CHECKPOINT_MISSING_LIMIT, MO_STATUS_BAD_FILE,
           "checkpoint: more than %d tensors are missing, \"%s\" among them: the files and config.json do not belong together",
           MO_CHECKPOINT_MISSING_LIMIT, mo_name_show(name).text);
  if (checkpoint->missing_count == checkpoint->missing_capacity) {
    const int64_t capacity = checkpoint->missing_capacity > 0 ? 2 * checkpoint->missing_capacity : 16;
    char **larger = realloc(checkpoint->missing, (size_t)capacity * sizeof *larger);
    if (larger == NULL) return no_memory("the missing names");
    checkpoint->missing = larger;
    checkpoint->missing_capacity = capacity;
  }
  char *copy = copy_text(name);
  if (copy == NULL) return no_memory("the missing names");
  const mo_status_t status = mo_string_map_put(&checkpoint->missing_names, copy, strlen(copy), checkpoint->missing_count, NULL);
  if (status != MO_STATUS_OK) {
    free(copy);
    return status;
  }
  checkpoint->missing[checkpoint->missing_count++] = copy;
  return MO_STATUS_OK;
}

mo_status_t mo_checkpoint_check_missing(const mo_checkpoint_t *checkpoint) {
  if (checkpoint->missing_count == 0) return MO_STATUS_OK;
  char names[384] = "";
  const size_t limit = sizeof names - sizeof ", ..."; /* what an ellipsis behind the names always has */
  size_t used = 0;
  for (int64_t i = 0; i < checkpoint->missing_count; ++i) {
    const mo_shown name = mo_name_show(checkpoint->missing[i]);
    const char *separator = i > 0 ? ", " : "";
    if (used + strlen(separator) + strlen(name.text) > limit) {
      snprintf(names + used, sizeof names - used, "%s...", separator);
      break;
    }
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", separator, name.text);
  }
  return mo_fail(MO_STATUS_BAD_FILE, "checkpoint: missing tensors (%lld): %s", (long long)checkpoint->missing_count, names);
}

static bool ends_with_one_of(const char *name, const char *const *suffixes) {
  const size_t bytes = strlen(name);
  for (; *suffixes != NULL; ++suffixes) {
    const size_t suffix_bytes = strlen(*suffixes);
    if (suffix_bytes > bytes || strcmp(name + bytes - suffix_bytes, *suffixes) != 0) continue;
    if (suffix_bytes == bytes || name[bytes - suffix_bytes - 1] == '.') return true;
  }
  return false;
}

const char *mo_checkpoint_unexpected(mo_checkpoint_t *checkpoint, int64_t index) {
  if (checkpoint->unexpected_is_stale) {
    checkpoint->unexpected_count = 0;
    for (int64_t i = 0; i < checkpoint->entry_count; ++i) {
      const mo_checkpoint_entry *entry = &checkpoint->entries[i];
      if (entry->used || ends_with_one_of(entry->name, always_ignored) ||
          ends_with_one_of(entry->name, (const char *const *)checkpoint->ignored))
        continue;
      checkpoint->unexpected[checkpoint->unexpected_count++] = entry->name;
    }
    checkpoint->unexpected_is_stale = false;
  }
  return index >= 0 && index < checkpoint->unexpected_count ? checkpoint->unexpected[index] : NULL;
}

const char *mo_checkpoint_missing(const mo_checkpoint_t *checkpoint, int64_t index) {
  return index >= 0 && index < checkpoint->missing_count ? checkpoint->missing[index] : NULL;
}
