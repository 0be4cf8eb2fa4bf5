/* host/output/plan_resolve.c - which fields are present, and their extents.
 *
 * The class table gives symbols and conditions; this file gives them their meaning. Points the table leaves open:
 *
 *   loss, PyTorch      printed as (1,), really a scalar: rank 0. TensorFlow: the class's own shape.
 *   multiple choice    hidden states and attentions are those of the flattened batch, batch_size * num_choices, as the models
 *                      make them; batch_size counts questions.
 *   cross_attentions   in encoder-decoder classes always part of the model, elsewhere with add_cross_attention.
 *   caches             (batch, kv heads, length, head_dim) per tensor, K and V of a layer in one block; length is key_length.
 *                      FlaxBaseModelOutputWithPast has a dict: "<layer>.cached_key" and ".cached_value" of (batch, max_length,
 *                      kv heads, head_dim), as in the original's attention modules. All with use_cache, also where the
 *                      table says "always".
 *   "unstated"         encoder_last_hidden_state and sequences are always present. loc and scale are present when
 *                      input_size is given (with more than one input variable they have a second dimension),
 *                      static_features when feature_size is given.
 *   params             a tuple of one tensor of the printed shape.
 *   stages             count as layers.
 *   router_logits and  there if they are requested and the model states them (mo_dimensions.stated): only it knows their
 * extents. the like           "given by the model": if it states them. generation         what has an entry for each new token
 * cannot be planned: nobody knows their number before.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/struct_size.h"
#include "host/output/class_internal.h"
#include "host/output/plan_internal.h"

/* What the extents of one field are looked up in. */
typedef struct field_scope {
  const mo_class *output_class;
  const mo_class_field *field;
  const mo_dimensions *dimensions;
  const mo_request *request;
  bool encoder;         /* the field belongs to the encoder */
  bool encoder_decoder; /* the class is one of encoder-decoder models */
  bool choices;         /* the class is one of multiple choice models */
} field_scope;

static inline bool is(const char *text, const char *symbol) { return text[0] == symbol[0] && strcmp(text, symbol) == 0; }

static bool has_field(const mo_class *output_class, const char *name) {
  for (int32_t i = 0; i < output_class->field_count; i++) {
    if (is(output_class->fields[i].name, name)) return true;
  }
  return false;
}

/* ---- Extents ---- */

/* A given extent (0 where MO_EXTENT_ZERO says so), or `fallback` where it is not given. */
static mo_status_t given(const field_scope *scope, const char *name, int64_t value, int64_t fallback, int64_t *extent) {
  if (value == 0) value = fallback;
  *extent = value == MO_EXTENT_ZERO ? 0 : value;
  if (value > 0 || value == MO_EXTENT_ZERO) return MO_STATUS_OK;
  if (value == 0) {
    return mo_fail(MO_STATUS_INVALID_ARGUMENT, "output: %s.%s needs %s, which is not given (MO_EXTENT_ZERO for one of 0)",
                   scope->output_class->name, scope->field->name, name);
  }
  return mo_fail(MO_STATUS_INVALID_ARGUMENT, "output: %s is %" PRId64 ", an extent is not negative", name, value);
}

static mo_status_t sequence_extent(const field_scope *scope, bool encoder, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  if (!encoder) return given(scope, "sequence_length", d->sequence_length, 0, extent);
  return given(scope, "encoder_sequence_length", d->encoder_sequence_length, d->sequence_length, extent);
}

static mo_status_t key_extent(const field_scope *scope, int64_t *extent) {
  if (scope->encoder) return sequence_extent(scope, true, extent);
  return given(scope, "key_length", scope->dimensions->key_length, scope->dimensions->sequence_length, extent);
}

static mo_status_t layer_extent(const field_scope *scope, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  if (scope->encoder) MO_TRY(given(scope, "encoder_num_layers", d->encoder_num_layers, d->num_layers, extent));
  else MO_TRY(given(scope, "num_layers", d->num_layers, 0, extent));
  MO_CHECK(*extent <= MO_PLAN_MAX_LAYERS, MO_STATUS_INVALID_ARGUMENT,
           "output: %" PRId64 " layers, at most %" PRId64 " are supported", *extent, MO_PLAN_MAX_LAYERS);
  return MO_STATUS_OK;
}

static mo_status_t head_extent(const field_scope *scope, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  if (scope->encoder) return given(scope, "encoder_num_heads", d->encoder_num_heads, d->num_heads, extent);
  return given(scope, "num_heads", d->num_heads, 0, extent);
}

static mo_status_t hidden_extent(const field_scope *scope, bool last, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  return given(scope, "hidden_size", last && d->last_hidden_size != 0 ? d->last_hidden_size : d->hidden_size, 0, extent);
}

static mo_status_t batch_extent(const field_scope *scope, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  MO_TRY(given(scope, "batch_size", d->batch_size, 0, extent));
  if (!scope->choices || scope->field->kind == MO_CLASS_FIELD_TENSOR) return MO_STATUS_OK;
  int64_t choices;
  MO_TRY(given(scope, "num_choices", d->num_choices, 0, &choices));
  MO_CHECK(mo_checked_mul(*extent, choices, extent), MO_STATUS_INVALID_ARGUMENT,
           "output: batch_size times num_choices overflows");
  return MO_STATUS_OK;
}

static mo_status_t extent_of(const field_scope *scope, const char *symbol, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  if (symbol[0] >= '0' && symbol[0] <= '9') {
    *extent = symbol[0] - '0';
    return MO_STATUS_OK;
  }
  if (is(symbol, "batch_size")) return batch_extent(scope, extent);
  if (is(symbol, "sequence_length")) return sequence_extent(scope, scope->encoder, extent);
  if (is(symbol, "hidden_size")) {
    const bool of_last = is(scope->field->name, "last_hidden_state") || is(scope->field->name, "pooler_output");
    return hidden_extent(scope, of_last, extent);
  }
  if (is(symbol, "num_heads")) return head_extent(scope, extent);
  if (is(symbol, "n")) return given(scope, symbol, d->loss_count, 1, extent);
  if (is(symbol, "config.vocab_size")) return given(scope, "vocab_size", d->vocab_size, 0, extent);
  if (is(symbol, "config.num_labels")) return given(scope, "num_labels", d->num_labels, 0, extent);
  if (is(symbol, "config.xvector_output_dim")) return given(scope, "xvector_output_dim", d->xvector_output_dim, 0, extent);
  if (is(symbol, "conv_dim[-1]")) return given(scope, "conv_dim", d->conv_dim, 0, extent);
  if (is(symbol, "num_choices")) return given(scope, symbol, d->num_choices, 0, extent);
  if (is(symbol, "num_channels")) return given(scope, symbol, d->num_channels, 0, extent);
  if (is(symbol, "num_bins")) return given(scope, symbol, d->num_bins, 0, extent);
  if (is(symbol, "num_samples")) return given(scope, symbol, d->num_samples, 0, extent);
  if (is(symbol, "num_params")) return given(scope, symbol, d->num_params, 0, extent);
  if (is(symbol, "patch_size")) return given(scope, symbol, d->patch_size, 0, extent);
  if (is(symbol, "prediction_length")) return given(scope, symbol, d->prediction_length, 0, extent);
  if (is(symbol, "feature_size")) return given(scope, symbol, d->feature_size, 0, extent);
  if (is(symbol, "height")) return given(scope, symbol, d->height, 0, extent);
  if (is(symbol, "width")) return given(scope, symbol, d->width, 0, extent);
  if (is(symbol, "logits_height")) return given(scope, symbol, d->logits_height, 0, extent);
  if (is(symbol, "logits_width")) return given(scope, symbol, d->logits_width, 0, extent);
  return mo_fail(MO_STATUS_INVALID_ARGUMENT, "output: %s.%s has the extent \"%s\", which no dimension stands for",
                 scope->output_class->name, scope->field->name, symbol);
}

/* Row-major strides; refuses more than 2^63 bytes, also with an extent of 0 among the others. */
static mo_status_t set_strides(const field_scope *scope, mo_tensor *tensor) {
  int64_t stride = 1;
  int64_t bytes = (int64_t)mo_dtype_bytes(tensor->dtype);
  for (int32_t i = tensor->rank - 1; i >= 0; i--) {
    const int64_t extent = tensor->shape[i] > 0 ? tensor->shape[i] : 1;
    tensor->strides[i] = stride;
    MO_CHECK(mo_checked_mul(bytes, extent, &bytes), MO_STATUS_INVALID_ARGUMENT, "output: %s.%s would have more than 2^63 bytes",
             scope->output_class->name, scope->field->name);
    stride *= extent;
  }
  return MO_STATUS_OK;
}

/* ---- Presence ---- */

bool mo_class_field_is_cache(mo_class_field_kind_t kind) {
  return kind == MO_CLASS_FIELD_CACHE || kind == MO_CLASS_FIELD_ENCODER_DECODER_CACHE || kind == MO_CLASS_FIELD_TENSOR_LIST ||
         kind == MO_CLASS_FIELD_TENSOR_DICT || kind == MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES;
}

static mo_absence_t requested(bool wanted) { return wanted ? MO_ABSENCE_PRESENT : MO_ABSENCE_NOT_REQUESTED; }
static mo_absence_t provided(bool there) { return there ? MO_ABSENCE_PRESENT : MO_ABSENCE_NO_INPUT; }

static mo_absence_t absence_of(const field_scope *scope) {
  const mo_class_field *field = scope->field;
  const mo_dimensions *d = scope->dimensions;
  const bool per_token = mo_class_is_per_token(field);
  const mo_field_extents *stated = mo_plan_find_stated(d, field->name);
  if (stated != NULL && stated->count == 0) return MO_ABSENCE_NOT_IN_MODEL;
  if (is(field->when, "given by the model")) return stated != NULL ? MO_ABSENCE_PRESENT : MO_ABSENCE_NOT_IN_MODEL;
  if (is(field->when, "output_router_logits"))
    return stated != NULL ? requested(scope->request->output_router_logits) : MO_ABSENCE_NOT_IN_MODEL;
  if (mo_class_field_is_cache(field->kind) && !per_token) return d->no_cache ? MO_ABSENCE_NOT_IN_MODEL : requested(scope->request->use_cache);
  if (is(field->name, "cross_attentions") && !scope->encoder_decoder && !d->add_cross_attention) return MO_ABSENCE_NOT_IN_MODEL;
  if (is(field->name, "pooler_output") && d->no_pooler) return MO_ABSENCE_NOT_IN_MODEL;
  if (is(field->name, "loss")) return provided(d->has_loss);
  if (is(field->name, "loc") || is(field->name, "scale")) return provided(d->input_size != 0);
  if (is(field->name, "static_features")) return provided(d->feature_size != 0);
  if (scope->encoder && d->encoder_is_given && field->kind != MO_CLASS_FIELD_TENSOR) return MO_ABSENCE_NO_INPUT;
  if (strncmp(field->when, "output_hidden_states", 20) == 0) return requested(scope->request->output_hidden_states);
  if (strncmp(field->when, "output_attentions", 17) == 0) return requested(scope->request->output_attentions);
  return requested(!per_token); /* scores and logits of each new token: no request asks for them */
}

/* ---- Shapes ---- */

/* Numbers in -length..length-1, none twice. */
static mo_status_t check_selection(const field_scope *scope, const char *what, mo_index_list list, int64_t length) {
  const char *class_name = scope->output_class->name, *field_name = scope->field->name;
  MO_CHECK(list.count >= 0 && (list.count == 0 || list.indices != NULL), MO_STATUS_INVALID_ARGUMENT,
           "output: %s has %d numbers and %s", what, (int)list.count, list.indices == NULL ? "no list" : "a list");
  for (int32_t i = 0; i < list.count; i++) {
    const int64_t index = list.indices[i];
    MO_CHECK(index >= -length && index < length, MO_STATUS_INVALID_ARGUMENT, "output: %s names %" PRId64 ", %s.%s has %" PRId64,
             what, index, class_name, field_name, length);
    for (int32_t j = 0; j < i; j++) {
      const int64_t difference = index - list.indices[j];
      MO_CHECK(difference != 0 && difference != length && difference != -length, MO_STATUS_INVALID_ARGUMENT,
               "output: %s names %" PRId64 " twice (%s.%s)", what, index, class_name, field_name);
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t last_of(const field_scope *scope, const char *what, int64_t wanted, int64_t *extent) {
  if (wanted == 0) return MO_STATUS_OK;
  MO_CHECK(wanted > 0 && wanted <= *extent, MO_STATUS_INVALID_ARGUMENT, "output: %s is %" PRId64 ", %s.%s has %" PRId64, what,
           wanted, scope->output_class->name, scope->field->name, *extent);
  *extent = wanted;
  return MO_STATUS_OK;
}

/* (batch, heads, rows, keys) of attention weights, as the request selects and reduces them. */
static mo_status_t reduce_weights(const field_scope *scope, mo_tensor *tensor) {
  int64_t rows = tensor->shape[2];
  MO_TRY(check_selection(scope, "attention_heads", scope->request->attention_heads, tensor->shape[1]));
  MO_TRY(last_of(scope, "last_query_rows", scope->request->last_query_rows, &rows));
  mo_plan_reduce(scope->request, tensor);
  return MO_STATUS_OK;
}

static mo_status_t attention_shape(const field_scope *scope, mo_tensor *tensor) {
  int64_t *shape = tensor->shape;
  MO_CHECK(tensor->rank == 4, MO_STATUS_INVALID_ARGUMENT, "output: %s.%s, attention weights, has rank %d, it must be 4",
           scope->output_class->name, scope->field->name, (int)tensor->rank);
  if (is(scope->field->name, "cross_attentions")) MO_TRY(sequence_extent(scope, true, &shape[3]));
  else if (!is(scope->field->shape[2], "patch_size")) MO_TRY(key_extent(scope, &shape[3]));
  return reduce_weights(scope, tensor);
}

static mo_status_t table_shape(const field_scope *scope, mo_tensor *tensor) {
  const mo_class_field *field = scope->field;
  MO_CHECK(field->rank >= 0 && field->rank < MO_MAX_DIMS, MO_STATUS_INVALID_ARGUMENT, "output: %s.%s has no shape in the table",
           scope->output_class->name, field->name);
  tensor->rank = field->rank;
  for (int32_t i = 0; i < field->rank; i++) MO_TRY(extent_of(scope, field->shape[i], &tensor->shape[i]));
  return MO_STATUS_OK;
}

/* Whether the class table gives the field a further extent, input_size, where there are several variables. */
static bool may_be_per_variable(const field_scope *scope) {
  const int32_t index = (int32_t)(scope->field - scope->output_class->fields);
  const mo_symbols alternative = mo_class_alternative_shape(scope->output_class, index);
  for (int32_t i = 0; alternative != NULL && alternative[i] != NULL; i++) {
    if (is(alternative[i], "input_size")) return true;
  }
  return false;
}

static mo_status_t plan_tensor(const field_scope *scope, mo_field_plan *plan) {
  const mo_class_field *field = scope->field;
  const mo_dimensions *d = scope->dimensions;
  mo_tensor *tensor = &plan->tensor;
  plan->is_given = scope->encoder && d->encoder_is_given;
  if (plan->stated != NULL) {
    tensor->rank = plan->stated->entries[0].rank;
    memcpy(tensor->shape, plan->stated->entries[0].shape, sizeof tensor->shape);
    if (plan->stated->entries[0].dtype != MO_DTYPE_NONE) tensor->dtype = plan->stated->entries[0].dtype;
    return set_strides(scope, tensor);
  }
  if (is(field->name, "loss")) {
    tensor->dtype = MO_DTYPE_FLOAT32;
    if (scope->output_class->framework == MO_FRAMEWORK_PT) return MO_STATUS_OK; /* a scalar */
  }
  MO_TRY(table_shape(scope, tensor));
  if (d->input_size != 0 && d->input_size != 1 && may_be_per_variable(scope)) {
    MO_TRY(given(scope, "input_size", d->input_size, 0, &tensor->shape[tensor->rank]));
    tensor->rank++;
  }
  if (is(field->name, "logits") && field->rank > 2 && is(field->shape[1], "sequence_length")) {
    MO_TRY(last_of(scope, "last_logit_positions", scope->request->last_logit_positions, &tensor->shape[1]));
  }
  return set_strides(scope, tensor);
}

/* Which entries the request selects. */
static mo_status_t select_entries(const field_scope *scope, const char *what, const mo_index_list *list, mo_field_plan *plan) {
  MO_TRY(check_selection(scope, what, *list, plan->length));
  if (list->count > 0) plan->selection = list;
  return MO_STATUS_OK;
}

static mo_status_t plan_stated_tuple(const field_scope *scope, mo_field_plan *plan) {
  plan->length = plan->stated->count;
  for (int32_t i = 0; plan->holds_weights && i < plan->stated->count; i++) {
    const mo_entry_extents *entry = &plan->stated->entries[i];
    if (entry->rank != 4 || entry->item_count > 0) continue;
    mo_tensor weights = {.rank = entry->rank};
    memcpy(weights.shape, entry->shape, sizeof weights.shape);
    MO_TRY(reduce_weights(scope, &weights));
  }
  if (plan->holds_weights) return select_entries(scope, "attention_layers", &scope->request->attention_layers, plan);
  if (strncmp(scope->field->when, "output_hidden_states", 20) != 0) return MO_STATUS_OK;
  return select_entries(scope, "hidden_state_layers", &scope->request->hidden_state_layers, plan);
}

static mo_status_t plan_tuple(const field_scope *scope, mo_field_plan *plan) {
  const mo_class_field *field = scope->field;
  const mo_request *request = scope->request;
  plan->holds_weights = strncmp(field->when, "output_attentions", 17) == 0;
  if (plan->stated != NULL) return plan_stated_tuple(scope, plan);
  MO_TRY(table_shape(scope, &plan->tensor));
  if (is(field->name, "params")) {
    plan->length = 1;
    MO_TRY(set_strides(scope, &plan->tensor));
    plan->last = plan->tensor;
    return MO_STATUS_OK;
  }
  MO_TRY(layer_extent(scope, &plan->length));
  if (plan->holds_weights) {
    MO_TRY(attention_shape(scope, &plan->tensor));
    MO_TRY(select_entries(scope, "attention_layers", &request->attention_layers, plan));
  } else {
    plan->length += mo_class_counts_embedding(field, scope->dimensions->no_embedding_layer);
    MO_TRY(select_entries(scope, "hidden_state_layers", &request->hidden_state_layers, plan));
  }
  MO_TRY(set_strides(scope, &plan->tensor));
  plan->last = plan->tensor;
  if (!is(field->name, "hidden_states") || plan->tensor.rank != 3 || scope->dimensions->final_norm) return MO_STATUS_OK;
  MO_TRY(hidden_extent(scope, true, &plan->last.shape[2]));
  return set_strides(scope, &plan->last);
}

static mo_status_t head_dim_extent(const field_scope *scope, int64_t *extent) {
  const mo_dimensions *d = scope->dimensions;
  int64_t derived = 0;
  if (d->embed_size_per_head == 0) {
    int64_t hidden, heads;
    MO_CHECK(d->hidden_size != 0 && d->num_heads != 0, MO_STATUS_INVALID_ARGUMENT,
             "output: %s.%s needs embed_size_per_head, which is not given (nor are hidden_size and num_heads)",
             scope->output_class->name, scope->field->name);
    MO_TRY(given(scope, "hidden_size", d->hidden_size, 0, &hidden));
    MO_TRY(given(scope, "num_heads", d->num_heads, 0, &heads));
    MO_CHECK(heads > 0 && hidden % heads == 0, MO_STATUS_INVALID_ARGUMENT,
             "output: embed_size_per_head is not given and hidden_size %" PRId64 " is no multiple of num_heads %" PRId64,
             hidden, heads);
    derived = hidden == 0 ? MO_EXTENT_ZERO : hidden / heads;
  }
  return given(scope, "embed_size_per_head", d->embed_size_per_head, derived, extent);
}

static mo_status_t plan_cache(const field_scope *scope, mo_field_plan *plan) {
  const mo_dimensions *d = scope->dimensions;
  const mo_class_field_kind_t kind = scope->field->kind;
  mo_tensor *tensor = &plan->tensor;
  MO_TRY(layer_extent(scope, &plan->length));
  plan->is_given = d->cache_is_given;
  tensor->rank = 4;
  MO_TRY(batch_extent(scope, &tensor->shape[0]));
  MO_TRY(given(scope, "num_key_value_heads", d->num_key_value_heads, d->num_heads, &tensor->shape[1]));
  if (kind == MO_CLASS_FIELD_TENSOR_DICT && d->max_length != 0)
    MO_TRY(given(scope, "max_length", d->max_length, 0, &tensor->shape[2]));
  else MO_TRY(key_extent(scope, &tensor->shape[2]));
  MO_TRY(head_dim_extent(scope, &tensor->shape[3]));
  MO_TRY(set_strides(scope, tensor));
  const bool cross = kind == MO_CLASS_FIELD_ENCODER_DECODER_CACHE ||
                     ((kind == MO_CLASS_FIELD_CACHE || kind == MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES) &&
                      (scope->encoder_decoder || d->add_cross_attention));
  plan->tensors_per_layer = cross ? 4 : 2;
  if (!cross) return MO_STATUS_OK;
  plan->cross = *tensor;
  MO_TRY(sequence_extent(scope, true, &plan->cross.shape[2]));
  return set_strides(scope, &plan->cross);
}

/* ---- The whole ---- */

static bool selects(const mo_field_plan *plan, int64_t index) {
  if (plan->selection == NULL) return true;
  for (int32_t i = 0; i < plan->selection->count; i++) {
    const int64_t selected = plan->selection->indices[i];
    if (selected == index || selected + plan->length == index) return true;
  }
  return false;
}

/* Whether the last entry of a tuple can be the tensor of another field. */
static bool has_as_last(const mo_plan *plan, const mo_field_plan *many, const mo_field_plan *one) {
  mo_tensor last;
  if (many->length == 0 || !selects(many, many->length - 1)) return false;
  if (many->stated == NULL) return one->stated == NULL;
  if (many->stated->entries[many->length - 1].item_count > 0 || !mo_plan_entry(plan, many, many->length - 1, &last))
    return false;
  return last.rank == one->tensor.rank && last.dtype == one->tensor.dtype &&
         memcmp(last.shape, one->tensor.shape, (size_t)last.rank * sizeof last.shape[0]) == 0;
}

/* The last entry of a tuple of hidden states is the last hidden state itself, unless a norm stands between the two. */
static void share_last_hidden_state(mo_plan *plan, const char *single, const char *tuple) {
  const mo_class *output_class = plan->output_class;
  const int32_t first = mo_class_field_index(output_class, single);
  const int32_t second = mo_class_field_index(output_class, tuple);
  if (first < 0 || second < first) return;
  const mo_field_plan *one = &plan->fields[first];
  mo_field_plan *many = &plan->fields[second];
  if (one->absence != MO_ABSENCE_PRESENT || many->absence != MO_ABSENCE_PRESENT) return;
  if (has_as_last(plan, many, one)) many->shared_first = first;
}

static mo_status_t check_request(const mo_dimensions *dimensions, const mo_request *request) {
  MO_CHECK(dimensions->dtype == MO_DTYPE_NONE || mo_dtype_is_float(dimensions->dtype), MO_STATUS_INVALID_ARGUMENT,
           "output: dtype %s, fields are float32, float16 or bfloat16", mo_dtype_name(dimensions->dtype));
  MO_CHECK(request->attention_dtype == MO_DTYPE_NONE || mo_dtype_is_float(request->attention_dtype), MO_STATUS_INVALID_ARGUMENT,
           "output: attention_dtype %s, weights are float32, float16 or bfloat16", mo_dtype_name(request->attention_dtype));
  MO_CHECK(request->attention_reduction >= MO_WEIGHTS_REDUCTION_NONE &&
               request->attention_reduction <= MO_WEIGHTS_REDUCTION_COLUMN_SUM,
           MO_STATUS_INVALID_ARGUMENT, "output: attention_reduction %d is unknown", (int)request->attention_reduction);
  return MO_STATUS_OK;
}

/* Dimensions and request of a caller of any version; request NULL: no optional field. */
static mo_status_t take_request(const mo_dimensions *dimensions, const mo_request *request, mo_plan *plan) {
  plan->dimensions = (mo_dimensions)MO_DIMENSIONS_INIT;
  plan->request = (mo_request)MO_REQUEST_INIT;
  MO_TRY(MO_TAKE("output", MO_DIMENSIONS_INIT, dimensions, MO_SIZE_TO(mo_dimensions, cache_is_given), &plan->dimensions));
  if (request == NULL) return MO_STATUS_OK;
  return MO_TAKE("output", MO_REQUEST_INIT, request, MO_SIZE_TO(mo_request, attention_dtype), &plan->request);
}

mo_status_t mo_plan_resolve(const mo_class *output_class, const mo_dimensions *given_dimensions,
                            const mo_request *given_request, mo_plan *plan) {
  const mo_dimensions *dimensions = &plan->dimensions;
  const mo_request *request = &plan->request;
  MO_TRY(mo_class_check(output_class));
  MO_CHECK(given_dimensions != NULL, MO_STATUS_INVALID_ARGUMENT, "output: the mo_dimensions is NULL");
  MO_TRY(take_request(given_dimensions, given_request, plan));
  MO_TRY(check_request(dimensions, request));
  MO_CHECK(output_class->field_count <= MO_PLAN_MAX_FIELDS, MO_STATUS_INVALID_ARGUMENT,
           "output: %s has %d fields, at most %d are planned", output_class->name, (int)output_class->field_count,
           MO_PLAN_MAX_FIELDS);
  plan->output_class = output_class;
  field_scope scope = {.output_class = output_class, .dimensions = dimensions, .request = request};
  MO_TRY(mo_plan_check_stated(output_class, dimensions));
  scope.encoder_decoder = has_field(output_class, "encoder_last_hidden_state");
  const int32_t logits = mo_class_field_index(output_class, "logits");
  scope.choices =
      logits >= 0 && output_class->fields[logits].rank == 2 && is(output_class->fields[logits].shape[1], "num_choices");
  for (int32_t i = 0; i < output_class->field_count; i++) {
    mo_field_plan *field = &plan->fields[i];
    scope.field = &output_class->fields[i];
    scope.encoder = strncmp(scope.field->name, "encoder_", 8) == 0;
    *field = (mo_field_plan){
        .absence = absence_of(&scope), .shared_first = -1, .stated = mo_plan_find_stated(dimensions, scope.field->name)};
    if (field->absence != MO_ABSENCE_PRESENT) continue;
    MO_CHECK(!mo_class_is_per_token(scope.field), MO_STATUS_INVALID_ARGUMENT,
             "output: %s.%s has an entry for each new token, and no dimension says how many there are", output_class->name,
             scope.field->name);
    field->tensor.dtype = dimensions->dtype != MO_DTYPE_NONE ? dimensions->dtype : MO_DTYPE_FLOAT32;
    if (mo_class_field_is_cache(scope.field->kind)) MO_TRY(plan_cache(&scope, field));
    else if (scope.field->kind == MO_CLASS_FIELD_TENSOR_TUPLE) MO_TRY(plan_tuple(&scope, field));
    else MO_TRY(plan_tensor(&scope, field));
  }
  if (dimensions->final_norm) return MO_STATUS_OK;
  share_last_hidden_state(plan, "last_hidden_state", scope.encoder_decoder ? "decoder_hidden_states" : "hidden_states");
  if (scope.encoder_decoder) share_last_hidden_state(plan, "encoder_last_hidden_state", "encoder_hidden_states");
  return MO_STATUS_OK;
}
