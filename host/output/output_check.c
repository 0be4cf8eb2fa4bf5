/* host/output/output_check.c - mo_output_check_shapes(): does an output hold what its class says?
 *
 * Where the documentation and the models disagree, what the models give passes too: a loss of shape (1) may be a scalar, the
 * hidden states of a multiple-choice model have batch_size * num_choices rows, and stages of an image model differ in size.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/struct_size.h"
#include "host/output/class_internal.h"
#include "host/output/output_state.h"
#include "host/output/plan_internal.h"
#include "host/output/visited.h"

typedef struct shape_check {
  const mo_output *output;
  const mo_class_field *field;
  mo_symbols alternative;          /* NULL: none */
  const mo_dimensions *dimensions; /* NULL: only what is fixed */
  bool may_be_selected;            /* a request may have cut heads, rows and positions */
  bool has_choices;                /* the class has num_choices */
} shape_check;

enum { MO_UNKNOWN = -1 };

/* ---- Symbols ------------------------------------------------------------------------------------------------------- */

static int64_t given_or(int64_t extent, int64_t otherwise) {
  if (extent == MO_EXTENT_ZERO) return 0;
  return extent != 0 ? extent : otherwise;
}

static bool is_encoder_field(const mo_class_field *field) {
  return (field->stack != NULL && strcmp(field->stack, "encoder") == 0) || strncmp(field->name, "encoder_", 8) == 0;
}

static bool is_self_attention(const mo_class_field *field) {
  return strcmp(field->when, "output_attentions") == 0 && field->observed_shape == NULL && field->rank == 4 &&
         strcmp(field->shape[2], "patch_size") != 0;
}

/* The extent that a symbol stands for in this field's shape; MO_UNKNOWN if the dimensions do not tell. `is_last`: the last
 * extent. */
static int64_t symbol_extent(const shape_check *check, const char *symbol, bool is_last) {
  const mo_dimensions *d = check->dimensions;
  const bool in_encoder = is_encoder_field(check->field);
  if (symbol[0] >= '0' && symbol[0] <= '9') return strtoll(symbol, NULL, 10);
  if (d == NULL) return MO_UNKNOWN;
  /* The steps of a generation differ in length. */
  if (check->field->kind == MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES && strstr(symbol, "length") != NULL) return MO_UNKNOWN;
  const int64_t length = given_or(d->sequence_length, MO_UNKNOWN);
  const int64_t encoder_length = given_or(d->encoder_sequence_length, length);
  const bool in_cache = check->field->kind == MO_CLASS_FIELD_TENSOR_LIST;
  const bool has_keys = in_cache || (is_last && is_self_attention(check->field));
  const int64_t heads = given_or(in_cache ? d->num_key_value_heads : 0, given_or(d->num_heads, MO_UNKNOWN));
  const struct {
    const char *symbol;
    int64_t extent;
  } table[] = {
      {"batch_size", given_or(d->batch_size, MO_UNKNOWN)},
      {"sequence_length", in_encoder ? encoder_length
                          : has_keys ? given_or(d->key_length, length)
                                     : length},
      {"decoder_sequence_length", length},
      {"encoder_sequence_length", encoder_length},
      {"hidden_size", given_or(d->hidden_size, MO_UNKNOWN)},
      {"num_heads", in_encoder ? given_or(d->encoder_num_heads, heads) : heads},
      {"config.num_labels", given_or(d->num_labels, MO_UNKNOWN)},
      {"config.vocab_size", given_or(d->vocab_size, MO_UNKNOWN)},
      {"config.xvector_output_dim", given_or(d->xvector_output_dim, MO_UNKNOWN)},
      {"conv_dim[-1]", given_or(d->conv_dim, MO_UNKNOWN)},
      {"embed_size_per_head", given_or(d->embed_size_per_head, MO_UNKNOWN)},
      {"feature_size", given_or(d->feature_size, MO_UNKNOWN)},
      {"height", given_or(d->height, MO_UNKNOWN)},
      {"width", given_or(d->width, MO_UNKNOWN)},
      {"input_size", given_or(d->input_size, MO_UNKNOWN)},
      {"logits_height", given_or(d->logits_height, MO_UNKNOWN)},
      {"logits_width", given_or(d->logits_width, MO_UNKNOWN)},
      {"max_length", given_or(d->max_length, MO_UNKNOWN)},
      {"n", given_or(d->loss_count, MO_UNKNOWN)},
      {"num_bins", given_or(d->num_bins, MO_UNKNOWN)},
      {"num_channels", given_or(d->num_channels, MO_UNKNOWN)},
      {"num_choices", given_or(d->num_choices, MO_UNKNOWN)},
      {"num_params", given_or(d->num_params, MO_UNKNOWN)},
      {"num_samples", given_or(d->num_samples, MO_UNKNOWN)},
      {"patch_size", given_or(d->patch_size, MO_UNKNOWN)},
      {"prediction_length", given_or(d->prediction_length, MO_UNKNOWN)},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (strcmp(table[i].symbol, symbol) == 0) return table[i].extent;
  }
  return MO_UNKNOWN;
}

/* ---- One tensor ---------------------------------------------------------------------------------------------------- */

static bool can_be_cut(const mo_class_field *field, const char *symbol, bool is_last) {
  const bool is_attention = strstr(field->name, "attentions") != NULL;
  if (is_last) return false;
  if (is_attention) return strcmp(symbol, "batch_size") != 0;
  return strcmp(field->name, "logits") == 0 && strcmp(symbol, "sequence_length") == 0;
}

static bool extent_fits(const shape_check *check, const char *symbol, bool is_last, int64_t extent) {
  const int64_t expected = symbol_extent(check, symbol, is_last);
  if (expected == MO_UNKNOWN || extent == expected) return true;
  if (check->may_be_selected && can_be_cut(check->field, symbol, is_last)) return extent < expected;
  if (check->has_choices && strcmp(symbol, "batch_size") == 0) {
    int64_t rows;
    return mo_checked_mul(expected, given_or(check->dimensions->num_choices, 1), &rows) && extent == rows;
  }
  return false;
}

static int32_t count_symbols(mo_symbols symbols) {
  int32_t count = 0;
  while (symbols[count] != NULL) count++;
  return count;
}

static mo_status_t fail_shape(const shape_check *check, const char *problem, int64_t got) {
  return mo_fail(MO_STATUS_VALUE_ERROR, "%s: %s: %s %" PRId64, check->output->output_class->name, check->field->name, problem,
                 got);
}

static mo_status_t check_extents(const shape_check *check, const mo_tensor *tensor, mo_symbols shape, int32_t rank) {
  for (int32_t i = 0; i < rank; i++) {
    if (!extent_fits(check, shape[i], i == rank - 1, tensor->shape[i])) {
      return mo_fail(MO_STATUS_VALUE_ERROR, "%s: %s: dimension %d is %" PRId64 ", %s is %" PRId64,
                     check->output->output_class->name, check->field->name, (int)i, tensor->shape[i], shape[i],
                     symbol_extent(check, shape[i], i == rank - 1));
    }
  }
  return MO_STATUS_OK;
}

/* Stages of image models differ in their extents: only the rank is common. */
static bool has_stages(const mo_class_field *field) {
  return field->tuple_length != NULL && strncmp(field->tuple_length, "num_stages", 10) == 0;
}

static mo_status_t check_class_tensor(const shape_check *check, const mo_field *value) {
  const mo_class_field *field = check->field;
  const mo_tensor *tensor = mo_field_tensor(value);
  if (tensor == NULL) return fail_shape(check, "an entry is no tensor, its kind is", (int64_t)mo_field_kind(value));
  if (field->rank < 0) return MO_STATUS_OK;
  if (field->rank == 1 && strcmp(field->shape[0], "1") == 0 && tensor->rank == 0) return MO_STATUS_OK;
  const mo_symbols shape = field->observed_shape != NULL ? field->observed_shape : field->shape;
  if (tensor->rank == field->rank) {
    const mo_status_t status = has_stages(field) ? MO_STATUS_OK : check_extents(check, tensor, shape, field->rank);
    const bool may_differ = check->alternative != NULL && count_symbols(check->alternative) == tensor->rank;
    return status == MO_STATUS_OK || !may_differ ? status : check_extents(check, tensor, check->alternative, tensor->rank);
  }
  if (check->alternative != NULL && count_symbols(check->alternative) == tensor->rank) {
    return check_extents(check, tensor, check->alternative, tensor->rank);
  }
  return fail_shape(check, "the class has another rank than", tensor->rank);
}

/* ---- Tuples and caches --------------------------------------------------------------------------------------------- */

/* How many layers a tuple stands for, from its length; the number expected of it, from the dimensions. */
static int64_t expected_length(const shape_check *check) {
  const mo_dimensions *d = check->dimensions;
  const char *length = check->field->tuple_length;
  if (d == NULL || length == NULL) return MO_UNKNOWN;
  if (strstr(length, "layers") == NULL && strstr(length, "stages") == NULL) return MO_UNKNOWN;
  int64_t layers = given_or(d->num_layers, MO_UNKNOWN);
  if (is_encoder_field(check->field)) layers = given_or(d->encoder_num_layers, layers);
  if (layers == MO_UNKNOWN || layers == INT64_MAX || strstr(length, "+ 1") == NULL) return layers;
  return layers + mo_class_counts_embedding(check->field, d->no_embedding_layer);
}

/* Without dimensions: the tuples of one stack must agree on the number of layers. */
static mo_status_t check_stack_lengths(const mo_output *output) {
  for (int32_t i = 0; i < output->output_class->field_count; i++) {
    const mo_class_field *counted = &output->output_class->fields[i];
    const mo_field *layers = *mo_output_member(output, i);
    if (layers == NULL || counted->stack == NULL || counted->tuple_length == NULL) continue;
    if (strstr(counted->tuple_length, "+ 1") != NULL || strcmp(counted->tuple_length, "unstated") == 0) continue;
    for (int32_t k = 0; k < output->output_class->field_count; k++) {
      const mo_class_field *other = &output->output_class->fields[k];
      const mo_field *value = *mo_output_member(output, k);
      if (value == NULL || other->stack == NULL || other->tuple_length == NULL) continue;
      if (strcmp(other->stack, counted->stack) != 0 || strcmp(other->tuple_length, "unstated") == 0) continue;
      const int64_t extra = mo_field_length(value) - mo_field_length(layers);
      const bool plus_one = strstr(other->tuple_length, "+ 1") != NULL;
      const bool maybe = strstr(other->tuple_length, "if embedding layer") != NULL;
      if (plus_one ? extra == 1 || (maybe && extra == 0) : extra == 0) continue;
      return mo_fail(MO_STATUS_VALUE_ERROR, "%s: %s has %" PRId64 " entries, which does not go with the %" PRId64 " of %s",
                     output->output_class->name, other->name, mo_field_length(value), mo_field_length(layers), counted->name);
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t check_length(const shape_check *check, const mo_field *value) {
  const int64_t expected = expected_length(check);
  if (expected == MO_UNKNOWN || mo_field_length(value) == expected) return MO_STATUS_OK;
  return mo_fail(MO_STATUS_VALUE_ERROR, "%s: %s has %" PRId64 " entries, %s is %" PRId64, check->output->output_class->name,
                 check->field->name, mo_field_length(value), check->field->tuple_length, expected);
}

/* One key or value tensor of a layer: (batch, key/value heads, length, head_dim). */
static mo_status_t check_cache_tensor(const shape_check *check, const mo_field *value) {
  const mo_dimensions *d = check->dimensions;
  const mo_tensor *tensor = mo_field_tensor(value);
  if (tensor == NULL) return fail_shape(check, "a layer holds an entry of kind", (int64_t)mo_field_kind(value));
  if (tensor->rank != 4) return fail_shape(check, "keys and values have 4 dimensions, not", tensor->rank);
  if (d == NULL) return MO_STATUS_OK;
  const int64_t heads = given_or(d->num_key_value_heads, given_or(d->num_heads, MO_UNKNOWN));
  const int64_t batch = given_or(d->batch_size, MO_UNKNOWN), head_dim = given_or(d->embed_size_per_head, MO_UNKNOWN);
  if (batch != MO_UNKNOWN && tensor->shape[0] != batch) return fail_shape(check, "batch of a layer", tensor->shape[0]);
  if (heads != MO_UNKNOWN && tensor->shape[1] != heads) return fail_shape(check, "heads of a layer", tensor->shape[1]);
  if (head_dim != MO_UNKNOWN && tensor->shape[3] != head_dim) {
    return fail_shape(check, "head_dim of a layer", tensor->shape[3]);
  }
  return MO_STATUS_OK;
}

/* A class that states a shape means the tensors of a generation's step, else keys and values are meant. */
static mo_status_t check_layer(const shape_check *check, const mo_field *layer) {
  const bool is_step = check->field->kind == MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES && check->field->rank >= 0;
  for (int64_t i = 0; i < mo_field_length(layer); i++) {
    const mo_field *entry = mo_field_item(layer, i);
    if (is_step && entry == NULL) continue;
    MO_TRY(is_step ? check_class_tensor(check, entry) : check_cache_tensor(check, entry));
  }
  return MO_STATUS_OK;
}

static mo_status_t check_layers(const shape_check *check, const mo_field *value) {
  const mo_field_kind_t kind = mo_field_kind(value);
  const bool tuples = check->field->kind == MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES && kind == MO_FIELD_TUPLE;
  if (kind != MO_FIELD_CACHE && !tuples) return fail_shape(check, "neither a cache nor layers, its kind is", kind);
  MO_TRY(check_length(check, value));
  mo_visited visited = {.count = 0};
  mo_status_t status = MO_STATUS_OK;
  for (int64_t i = 0; i < mo_field_length(value) && status == MO_STATUS_OK; i++) {
    const mo_field *layer = mo_field_item(value, i);
    if (layer == NULL) continue;
    if (mo_field_kind(layer) != MO_FIELD_TUPLE) status = fail_shape(check, "no tuple in layer", i);
    else if (mo_visited_add(&visited, layer)) status = check_layer(check, layer);
    else if (visited.failed) status = mo_fail(MO_STATUS_OUT_OF_MEMORY, "output_check_shapes: no memory");
  }
  mo_visited_release(&visited);
  return status;
}

/* Tuples and lists of tensors; entries that were not selected are None. */
static mo_status_t check_tuple(const shape_check *check, const mo_field *value, mo_field_kind_t kind) {
  if (mo_field_kind(value) != kind) {
    return fail_shape(check, "not of the class's kind, it is of kind", (int64_t)mo_field_kind(value));
  }
  if (kind == MO_FIELD_TUPLE) MO_TRY(check_length(check, value));
  /* The one tuple of unstated length has an unclear shape too: nothing more to compare. */
  const bool is_unclear = check->field->tuple_length != NULL && strcmp(check->field->tuple_length, "unstated") == 0;
  for (int64_t i = 0; i < mo_field_length(value); i++) {
    const mo_field *entry = mo_field_item(value, i);
    if (entry == NULL) continue;
    if (kind == MO_FIELD_DICT || is_unclear) {
      if (mo_field_tensor(entry) == NULL) return fail_shape(check, "no tensor at position", i);
      continue;
    }
    MO_TRY(check_class_tensor(check, entry));
  }
  return MO_STATUS_OK;
}

static mo_status_t check_class_field(const shape_check *check, const mo_field *value) {
  switch (check->field->kind) {
    case MO_CLASS_FIELD_TENSOR:
      return check_class_tensor(check, value);
    case MO_CLASS_FIELD_TENSOR_TUPLE:
    case MO_CLASS_FIELD_TENSOR_LIST:
      return check_tuple(check, value, MO_FIELD_TUPLE);
    case MO_CLASS_FIELD_TENSOR_DICT:
      return check_tuple(check, value, MO_FIELD_DICT);
    case MO_CLASS_FIELD_CACHE:
    case MO_CLASS_FIELD_ENCODER_DECODER_CACHE:
    case MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES:
      return check_layers(check, value);
  }
  return mo_fail(MO_STATUS_INTERNAL, "output_check_shapes: field kind %d", (int)check->field->kind);
}

/* Entries whose extents a model states may be of any; how many there are is known. */
static mo_status_t check_stated(const shape_check *check, const mo_field *value, const mo_field_extents *stated) {
  if (check->field->kind != MO_CLASS_FIELD_TENSOR_TUPLE) return MO_STATUS_OK;
  if (mo_field_kind(value) == MO_FIELD_TUPLE && mo_field_length(value) == stated->count) return MO_STATUS_OK;
  return fail_shape(check, "other than the number of entries stated,", stated->count);
}

static mo_status_t check_output(const mo_output *output, const mo_dimensions *dimensions) {
  shape_check check = {.output = output,
                       .dimensions = dimensions,
                       .may_be_selected = output->state->block != NULL,
                       .has_choices = dimensions != NULL && given_or(dimensions->num_choices, 0) > 0};
  for (int32_t i = 0; i < output->output_class->field_count; i++) {
    const mo_field *value = *mo_output_member(output, i);
    if (value == NULL) continue;
    check.field = &output->output_class->fields[i];
    check.alternative = mo_class_alternative_shape(output->output_class, i);
    const mo_field_extents *stated =
        dimensions == NULL ? NULL : mo_plan_find_stated(dimensions, output->output_class->fields[i].name);
    if (stated != NULL) {
      MO_TRY(check_stated(&check, value, stated));
      continue;
    }
    MO_TRY(check_class_field(&check, value));
  }
  return dimensions == NULL ? check_stack_lengths(output) : MO_STATUS_OK;
}

mo_status_t mo_output_check_shapes(const mo_output *output, const mo_dimensions *dimensions) {
  MO_CHECK(output != NULL, MO_STATUS_INVALID_ARGUMENT, "output_check_shapes: output is NULL");
  mo_dimensions taken = MO_DIMENSIONS_INIT;
  mo_status_t status = MO_STATUS_OK;
  if (dimensions != NULL) {
    status = MO_TAKE("output_check_shapes", MO_DIMENSIONS_INIT, dimensions, MO_SIZE_TO(mo_dimensions, cache_is_given), &taken);
    dimensions = &taken;
    if (status == MO_STATUS_OK) status = mo_plan_check_stated(output->output_class, dimensions);
  }
  if (status == MO_STATUS_OK) status = check_output(output, dimensions);
  return mo_context_note(output->state->context, status);
}
