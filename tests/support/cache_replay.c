/* tests/support/cache_replay.c - see the header. Format of the files: tests/golden/README.md, cache.json.
 *
 * Where modelout/cache.h differs from the original on purpose, the answer must be what the header says:
 *   reset    the original keeps as many zeros as a growing layer held; those zeros, and their number in lengths and mask sizes,
 *            are the only difference allowed from then on
 *   window   a sliding window of 1: the original keeps all tokens, the header's layer none between updates; what update gives
 *            must be the end of what the original gives
 *   crop, batch operations   where the original has no method, no recorded past, or no tensors yet: the content of before,
 *            shortened or reordered
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "cache_replay.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "modelout/cache.h"

/* Keys of (batch, heads, tokens), head_dim 1, or nothing yet. */
typedef struct content {
  bool there;
  int64_t batch, heads, tokens;
  float *keys;
} content;

typedef struct replay {
  mo_context_t *context;
  FILE *log;
  const char *path;
  size_t sequence, operation;
  const char *kind;
  int64_t window, max_length, batch, heads;
  mo_cache_t *cache;
  content stored;         /* after the operation before */
  int64_t stale;          /* tokens that the original has in front of ours and the header explains */
  const char *documented; /* the rule that explained something */
  bool malformed, differs;
} replay;

static void malformed(replay *run, const char *what) {
  if (!run->malformed) fprintf(run->log, "%s: sequence %zu: %s\n", run->path, run->sequence, what);
  run->malformed = true;
}

static void differs(replay *run, const char *what, const json_t *expected) {
  char *text = json_dumps(expected, JSON_ENCODE_ANY);
  fprintf(run->log, "%s: sequence %zu (%s), operation %zu: %s; expected %s\n", run->path, run->sequence, run->kind,
          run->operation, what, text == NULL ? "?" : text);
  free(text);
  run->differs = true;
}

/* ---- What the cache holds ------------------------------------------------------------------------------------------ */

static void free_content(content *held) {
  free(held->keys);
  *held = (content){.there = false};
}

/* Elements of a tensor of rank 4, row-major. */
static mo_status_t read_tensor(mo_context_t *context, const mo_tensor *tensor, float *elements) {
  int64_t reach = 1;
  for (int d = 0; d < 4; ++d) reach += (tensor->shape[d] - 1) * tensor->strides[d];
  float *host = malloc((size_t)reach * sizeof *host);
  if (host == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_context_copy_to_host(context, host, tensor->data, (size_t)reach * sizeof *host);
  if (status == MO_STATUS_OK) status = mo_context_synchronize(context);
  const int64_t *n = tensor->shape, *s = tensor->strides;
  for (int64_t b = 0; b < n[0]; ++b) {
    for (int64_t h = 0; h < n[1]; ++h) {
      for (int64_t t = 0; t < n[2]; ++t) elements[(b * n[1] + h) * n[2] + t] = host[b * s[0] + h * s[1] + t * s[2]];
    }
  }
  free(host);
  return status;
}

/* Keys of an entry; its values must be the keys and a half, but where both are empty slots. */
static bool read_entry(replay *run, const mo_cache_entry *entry, content *held) {
  *held = (content){.there = entry->key.rank == 4};
  if (!held->there) return true;
  held->batch = entry->key.shape[0], held->heads = entry->key.shape[1], held->tokens = entry->key.shape[2];
  const size_t count = (size_t)(held->batch * held->heads * held->tokens);
  held->keys = calloc(count + 1, sizeof *held->keys);
  float *values = calloc(count + 1, sizeof *values);
  mo_status_t status = held->keys != NULL && values != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  if (status == MO_STATUS_OK && count > 0) status = read_tensor(run->context, &entry->key, held->keys);
  if (status == MO_STATUS_OK && count > 0) status = read_tensor(run->context, &entry->value, values);
  bool good = status == MO_STATUS_OK;
  for (size_t i = 0; i < count && good; ++i)
    good = values[i] == held->keys[i] + 0.5f || (values[i] == 0.0f && held->keys[i] == 0.0f);
  free(values);
  return good;
}

static bool read_stored(replay *run, content *held) {
  mo_cache_entry entry = {.length = 0};
  *held = (content){.there = false};
  if (mo_cache_layer_count(run->cache) == 0) return true;
  if (mo_cache_read(run->cache, 0, &entry) != MO_STATUS_OK) return false;
  return read_entry(run, &entry, held);
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------- */

static const json_t *tokens_of(const json_t *expected, int64_t row, int64_t head) {
  return json_array_get(json_array_get(expected, (size_t)row), (size_t)head);
}

/* True if `expected` is a list of lists of equally long lists of numbers. */
static bool is_content(const json_t *expected) {
  const json_t *first = tokens_of(expected, 0, 0);
  for (size_t b = 0; b < json_array_size(expected); ++b) {
    const json_t *row = json_array_get(expected, b);
    for (size_t h = 0; h < json_array_size(row); ++h) {
      const json_t *tokens = json_array_get(row, h);
      if (!json_is_array(tokens) || json_array_size(tokens) != json_array_size(first)) return false;
      for (size_t t = 0; t < json_array_size(tokens); ++t) {
        if (!json_is_number(json_array_get(tokens, t))) return false;
      }
    }
    if (json_array_size(row) != json_array_size(json_array_get(expected, 0))) return false;
  }
  return first != NULL;
}

/* Our tokens are the end of the expected ones; those in front of them are returned as *extra (all zeros in *zeros). */
static bool is_end_of(const json_t *expected, const content *held, int64_t *extra, bool *zeros) {
  const int64_t batch = (int64_t)json_array_size(expected), heads = (int64_t)json_array_size(json_array_get(expected, 0));
  const int64_t tokens = (int64_t)json_array_size(tokens_of(expected, 0, 0));
  *extra = tokens - held->tokens;
  *zeros = true;
  if (*extra < 0 || (held->tokens > 0 && (held->batch != batch || held->heads != heads))) return false;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t t = 0; t < tokens; ++t) {
        const double wanted = json_number_value(json_array_get(tokens_of(expected, b, h), (size_t)t));
        if (t < *extra) *zeros = *zeros && wanted == 0.0;
        else if (wanted != held->keys[(b * heads + h) * held->tokens + t - *extra]) return false;
      }
    }
  }
  return true;
}

static bool grows(const replay *run) { return run->max_length == 0; }

/* Compares one list of tokens; `after_reset`: the operation was a reset. */
static void compare_content(replay *run, const char *what, const json_t *expected, const content *held, bool after_reset) {
  int64_t extra;
  bool zeros;
  if (json_is_null(expected) || expected == NULL) {
    if (held->there) differs(run, "the original has no tensors yet", expected);
    return;
  }
  if (!is_content(expected)) {
    malformed(run, "a result is no list of (batch, heads, tokens) numbers");
    return;
  }
  if (!held->there || !is_end_of(expected, held, &extra, &zeros)) {
    differs(run, what, expected);
    return;
  }
  if (extra == 0) {
    if (strcmp(what, "stored") == 0) run->stale = 0;
    return;
  }
  if (grows(run) && zeros && (after_reset || extra <= run->stale)) {
    run->documented = "reset empties a layer, the original keeps zeros";
    if (strcmp(what, "stored") == 0) run->stale = extra;
  } else if (grows(run) && run->window == 1) {
    run->documented = "a sliding window of 1 keeps no token";
  } else {
    differs(run, what, expected);
  }
}

static void compare_number(replay *run, const char *what, const json_t *expected, int64_t ours) {
  if (!json_is_integer(expected)) {
    malformed(run, "a result is no number");
    return;
  }
  /* Zeros that a dynamic layer keeps count as tokens there. */
  const int64_t kept = run->window == 0 && grows(run) ? run->stale : 0;
  if (json_integer_value(expected) == ours + kept) {
    if (kept > 0) run->documented = "reset empties a layer, the original keeps zeros";
    return;
  }
  differs(run, what, expected);
}

/* ---- Operations ---------------------------------------------------------------------------------------------------- */

static int64_t integer_at(replay *run, const json_t *operation, size_t index) {
  const json_t *value = json_array_get(operation, index);
  if (!json_is_integer(value)) malformed(run, "an operation lacks a number");
  return json_integer_value(value);
}

/* Tokens of every row: keys 1000 row + 100 head + number, values a half more. */
static mo_status_t append(replay *run, int64_t count, int64_t first, mo_cache_entry *entry) {
  const size_t elements = (size_t)(run->batch * run->heads * count), bytes = (elements + 1) * sizeof(float);
  float *host = malloc(2 * bytes);
  void *memory[2] = {NULL, NULL};
  mo_tensor tensors[2];
  mo_status_t status = host != NULL ? MO_STATUS_OK : MO_STATUS_OUT_OF_MEMORY;
  for (size_t i = 0; i < elements && host != NULL; ++i) {
    const int64_t token = (int64_t)i % count, head = (int64_t)i / count % run->heads, row = (int64_t)i / count / run->heads;
    host[i] = (float)(1000 * row + 100 * head + first + token);
    host[elements + 1 + i] = host[i] + 0.5f;
  }
  for (int i = 0; i < 2 && status == MO_STATUS_OK; ++i) {
    const int64_t shape[4] = {run->batch, run->heads, count, 1};
    status = mo_context_allocate(run->context, bytes, &memory[i]);
    if (status == MO_STATUS_OK)
      status = mo_context_copy_to_device(run->context, memory[i], host + (size_t)i * (elements + 1), elements * sizeof *host);
    if (status == MO_STATUS_OK)
      status = mo_tensor_init(&tensors[i], memory[i], MO_DTYPE_FLOAT32, mo_context_device(run->context), 4, shape);
  }
  if (status == MO_STATUS_OK) status = mo_context_synchronize(run->context);
  if (status == MO_STATUS_OK) status = mo_cache_update(run->cache, 0, &tensors[0], &tensors[1], NULL, NULL, entry);
  for (int i = 0; i < 2; ++i) mo_context_release(run->context, memory[i]);
  free(host);
  return status;
}

static mo_status_t change_rows(replay *run, const json_t *rows, bool select) {
  const size_t count = json_array_size(rows);
  int64_t *list = calloc(count + 1, sizeof *list);
  if (list == NULL || !json_is_array(rows)) malformed(run, "an operation lacks its list of rows");
  for (size_t i = 0; i < count && list != NULL; ++i) list[i] = json_integer_value(json_array_get(rows, i));
  const mo_status_t status = run->malformed ? MO_STATUS_OK
                             : select       ? mo_cache_batch_select(run->cache, list, (int64_t)count)
                                            : mo_cache_reorder(run->cache, list, (int64_t)count);
  free(list);
  return status;
}

/* The error of the original that a status stands for. */
static const char *error_of(mo_status_t status) {
  switch (status) {
    case MO_STATUS_INDEX_ERROR:
      return "IndexError";
    case MO_STATUS_WRONG_STATE:
      return "RuntimeError";
    default:
      return mo_status_name(status);
  }
}

/* The original failed and ours did not: right where the header says so, if the tokens are those of before without the last. */
static void compare_better_answer(replay *run, const json_t *operation, const json_t *expected) {
  const bool crop = strcmp(json_string_value(json_array_get(operation, 0)), "crop") == 0;
  const content *before = &run->stored;
  content now;
  bool good = read_stored(run, &now);
  if (!crop) {
    run->documented = "batch_repeat and batch_select work on every kind";
    good = good && run->max_length > 0;
  } else {
    run->documented = before->there ? "crop works where no token is missing" : "crop does nothing to a layer without tokens";
    const int64_t length = mo_cache_stored_length(run->cache, 0);
    good = good && now.there == before->there;
    for (int64_t i = 0; good && now.there && i < now.batch * now.heads * now.tokens; ++i) {
      const int64_t t = i % now.tokens, row = i / now.tokens;
      good = now.keys[i] == (t < length ? before->keys[row * before->tokens + t] : 0.0f);
    }
  }
  if (!good) differs(run, "the original fails, ours is neither that nor what the header says", expected);
  free_content(&now);
}

static mo_status_t perform(replay *run, const json_t *operation, const char *name, mo_cache_entry *entry) {
  if (strcmp(name, "update") == 0) return append(run, integer_at(run, operation, 1), integer_at(run, operation, 2), entry);
  if (strcmp(name, "crop") == 0) return mo_cache_crop(run->cache, -integer_at(run, operation, 1));
  if (strcmp(name, "reorder") == 0) return change_rows(run, json_array_get(operation, 1), false);
  if (strcmp(name, "select") == 0) return change_rows(run, json_array_get(operation, 1), true);
  if (strcmp(name, "repeat") == 0) return mo_cache_batch_repeat(run->cache, integer_at(run, operation, 1));
  if (strcmp(name, "reset") == 0) return mo_cache_reset(run->cache);
  malformed(run, "an operation of unknown name");
  return MO_STATUS_OK;
}

static void ask_mask_sizes(replay *run, const json_t *operation, const json_t *expected) {
  int64_t length, offset;
  const json_t *value = json_object_get(expected, "value");
  mo_cache_mask_sizes(run->cache, integer_at(run, operation, 1), 0, &length, &offset);
  compare_number(run, "mask length", json_array_get(value, 0), length);
  if (json_integer_value(json_array_get(value, 1)) != offset) differs(run, "mask offset", expected);
}

/* False after the last operation that says anything. */
static bool run_operation(replay *run, const json_t *operation, const json_t *expected) {
  const char *name = json_string_value(json_array_get(operation, 0));
  const char *error = json_string_value(json_object_get(expected, "error"));
  mo_cache_entry entry = {.length = 0};
  content held = {.there = false};
  if (name == NULL || !json_is_object(expected)) {
    malformed(run, "an operation without a name, or a result that is no object");
    return false;
  }
  if (strcmp(name, "length") == 0) {
    compare_number(run, "length", json_object_get(expected, "value"), mo_cache_length(run->cache, 0));
    return true;
  }
  if (strcmp(name, "mask_sizes") == 0) {
    ask_mask_sizes(run, operation, expected);
    return true;
  }
  const mo_status_t status = perform(run, operation, name, &entry);
  if (run->malformed) return false;
  if (status != MO_STATUS_OK) {
    if (error == NULL || strcmp(error, error_of(status)) != 0) differs(run, mo_last_error(), expected);
    return false;
  }
  if (error != NULL) {
    if (strcmp(name, "update") == 0) differs(run, "the update should have failed", expected);
    else compare_better_answer(run, operation, expected);
    return false;
  }
  if (strcmp(name, "update") == 0) {
    if (!read_entry(run, &entry, &held)) differs(run, "the entry could not be read", expected);
    compare_content(run, "returned", json_object_get(expected, "returned"), &held, false);
    free_content(&held);
  }
  free_content(&run->stored);
  if (!read_stored(run, &run->stored)) differs(run, "the layer could not be read", expected);
  const json_t *stored = json_object_get(expected, "stored");
  compare_content(run, "stored", stored, &run->stored, strcmp(name, "reset") == 0);
  if (json_object_get(expected, "length") != NULL)
    compare_number(run, "length after reset", json_object_get(expected, "length"), mo_cache_length(run->cache, 0));
  if (json_array_size(stored) > 0) run->batch = (int64_t)json_array_size(stored);
  return !run->malformed;
}

/* ---- Sequences ----------------------------------------------------------------------------------------------------- */

static mo_status_t make_cache(replay *run) {
  static const struct {
    const char *name;
    mo_cache_kind_t kind;
    bool window, max_length;
  } kinds[] = {{"dynamic", MO_CACHE_DYNAMIC, false, false},
               {"static", MO_CACHE_STATIC, false, true},
               {"sliding", MO_CACHE_SLIDING, true, false},
               {"static_sliding", MO_CACHE_STATIC_SLIDING, true, true}};
  mo_cache_options options = MO_CACHE_OPTIONS_INIT;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
    if (run->kind == NULL || strcmp(run->kind, kinds[i].name) != 0) continue;
    options.kind = kinds[i].kind;
    options.layer_count = kinds[i].max_length ? 1 : 0;
    options.max_length = run->max_length;
    options.window = run->window;
    if (kinds[i].window != (run->window > 0) || kinds[i].max_length != (run->max_length > 0))
      malformed(run, "params do not fit the kind");
  }
  if (options.kind == 0) malformed(run, "a kind of cache of unknown name");
  return run->malformed ? MO_STATUS_OK : mo_cache_create(run->context, &options, &run->cache);
}

static void run_sequence(replay *run, const json_t *script) {
  const json_t *params = json_object_get(script, "params"), *operations = json_object_get(script, "operations");
  const json_t *results = json_object_get(script, "results");
  run->kind = json_string_value(json_object_get(script, "kind"));
  run->window = json_integer_value(json_object_get(params, "window"));
  run->max_length = json_integer_value(json_object_get(params, "max_length"));
  run->batch = json_integer_value(json_object_get(script, "batch"));
  run->heads = json_integer_value(json_object_get(script, "heads"));
  if (run->batch < 1 || run->heads < 1) malformed(run, "batch and heads are numbers from 1 on");
  if (!json_is_array(operations) || !json_is_array(results) || json_array_size(operations) < json_array_size(results))
    malformed(run, "there is not one result per operation");
  if (run->malformed) return;
  if (make_cache(run) != MO_STATUS_OK) differs(run, mo_last_error(), params);
  for (size_t i = 0; i < json_array_size(results) && run->cache != NULL && !run->malformed; ++i) {
    run->operation = i;
    if (!run_operation(run, json_array_get(operations, i), json_array_get(results, i))) break;
  }
}

static void count_sequence(replay *run, const json_t *script, cache_replay_counts *counts) {
  run->stale = 0;
  run->documented = NULL;
  run->differs = false;
  run->cache = NULL;
  run_sequence(run, script);
  mo_cache_release(run->cache);
  free_content(&run->stored);
  if (run->malformed) return;
  ++counts->sequences;
  if (run->differs) {
    ++counts->differ;
  } else if (run->documented != NULL) {
    fprintf(run->log, "%s: sequence %zu (%s) differs as documented: %s\n", run->path, run->sequence, run->kind,
            run->documented);
    ++counts->documented;
  } else {
    ++counts->agree;
  }
}

cache_replay_result_t cache_replay_file(const char *path, const mo_context_options *options, FILE *log,
                                        cache_replay_counts *counts) {
  json_error_t error;
  replay run = {.log = log, .path = path};
  mo_context_options defaults = MO_CONTEXT_OPTIONS_INIT;
  defaults.device = MO_DEVICE_CHOICE_CPU;
  defaults.thread_count = 1;
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL) {
    fprintf(log, "%s: line %d: %s\n", path, error.line, error.text);
    return CACHE_REPLAY_UNREADABLE;
  }
  const json_t *scripts = json_object_get(root, "scripts");
  cache_replay_result_t result = CACHE_REPLAY_OK;
  if (!json_is_array(scripts)) {
    malformed(&run, "the file has no list of scripts");
  } else if (mo_context_create(options != NULL ? options : &defaults, &run.context) != MO_STATUS_OK) {
    fprintf(log, "%s\n", mo_last_error());
    result = CACHE_REPLAY_FAILED;
  }
  for (size_t i = 0; i < json_array_size(scripts) && run.context != NULL && !run.malformed; ++i) {
    run.sequence = i;
    count_sequence(&run, json_array_get(scripts, i), counts);
  }
  mo_context_destroy(run.context);
  json_decref(root);
  return run.malformed ? CACHE_REPLAY_MALFORMED : result;
}
