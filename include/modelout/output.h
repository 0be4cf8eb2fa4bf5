/* modelout/output.h - outputs: Hugging Face Transformers' ModelOutput objects over device memory.
 *
 * An output is three things at once, as the original is: a struct (attribute access: `outputs->logits`, NULL is None), an
 * ordered mapping (by key), and an indexable sequence of its present values (by position and slice). The rules are those of
 * Transformers' ModelOutput, newest generation ("C": 5.3.0.dev0 and later); output_behaviour.md, which is installed as
 * share/doc/modelout/output_behaviour.md, lists all 47 and how each looks in C. Rule numbers in the headers are its.
 *
 *   const mo_sequence_classifier_output *outputs = (const mo_sequence_classifier_output *)output;
 *   mo_host_view logits;
 *   mo_field_read(outputs->logits, &logits);                        // attribute
 *   mo_field *same = mo_output_get(output, "logits");               // key
 *   mo_field *also = mo_output_at(output, -1);                      // position among the present values
 *
 * THREADS. Reading (lookups, mo_field_read and so on) is safe from several threads; changing an output (set, mark_written,
 * destroy) needs exclusive access.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_OUTPUT_H
#define MODELOUT_OUTPUT_H

#include "modelout/field.h"
#include "modelout/request.h"

#ifdef __cplusplus
extern "C" {
#endif

/* First member of every typed struct of modelout/output_classes.h. The pointer to the one is a pointer to the other. */
typedef struct mo_output {
  const mo_class *output_class;  /* do not change */
  struct mo_output_state *state; /* private */
} mo_output;

/* ---- From a class, dimensions and a request: the way models make outputs ---- */

/* Device bytes mo_output_create() will need for the same arguments; computed by the code that carves. INVALID_ARGUMENT names
 * the missing or wrong extent. request NULL: no optional field. */
MO_API mo_status_t mo_output_query_bytes(const mo_class *output_class, const mo_dimensions *dimensions,
                                         const mo_request *request, size_t *bytes);

/* Makes an output with every present field carved out of one device arena: one device allocation, or none if `memory` is the
 * caller's (at least the queried bytes, aligned to 256, on the context's device; it must outlive the output). The content is
 * undefined until kernels write it. memory NULL: the library allocates. WORKSPACE_TOO_SMALL, OUT_OF_MEMORY, INVALID_ARGUMENT.
 */
MO_API mo_status_t mo_output_create(mo_context_t *context, const mo_class *output_class, const mo_dimensions *dimensions,
                                    const mo_request *request, void *memory, size_t memory_bytes, mo_output **output);

/* Whether an output is one that mo_output_create would make of these: of the class, with the fields and the entries of tuples
 * that the request asks for, and no others, each contiguous and of its dtype and shape. For code that fills outputs it did not
 * make. INVALID_ARGUMENT names the field and the rule. */
MO_API mo_status_t mo_output_check_plan(const mo_output *output, const mo_class *output_class, const mo_dimensions *dimensions,
                                        const mo_request *request);

/* To be called after the last kernel that writes the output was put on `stream` (and after each replay of a CUDA graph that
 * does): records the ready event and advances the generation, so that host copies made before are out of date. `stream` NULL is
 * the default stream, as everywhere (mo_context_stream() of a context with own_stream is another). WRONG_STATE while `stream`
 * is being captured: nothing is written then. */
MO_API mo_status_t mo_output_mark_written(mo_output *output, mo_stream stream);

/* Starts at 0 (nothing written yet); reading a field at generation 0 is WRONG_STATE for outputs of mo_output_create. */
MO_API uint64_t mo_output_generation(const mo_output *output);

typedef enum mo_absence_t {
  MO_ABSENCE_PRESENT = 0,
  MO_ABSENCE_NOT_REQUESTED = 1, /* an optional field the request does not ask for */
  MO_ABSENCE_NOT_IN_CLASS = 2,  /* no such field in this class */
  MO_ABSENCE_NO_INPUT = 3,      /* needs an input that was not given (labels, ...) */
  MO_ABSENCE_NOT_IN_MODEL = 4,  /* the model has no such part (pooler, cross attention) */
  MO_ABSENCE_UNSUPPORTED = 5,   /* the library cannot give it here */
  MO_ABSENCE_NOT_SET = 6,       /* an ad-hoc output in which nobody has set it */
} mo_absence_t;

/* Why a field is absent. */
MO_API mo_absence_t mo_output_absence(const mo_output *output, const char *key);

/* One line for people: "not requested (output_attentions)". Static storage. */
MO_API const char *mo_absence_text(mo_absence_t absence);

/* Device memory of the output: where it starts (NULL if it has no arena) and how large it is. */
MO_API const void *mo_output_memory(const mo_output *output, size_t *bytes);

/* Waits until what was marked as written is complete. The fields need no such call. */
MO_API mo_status_t mo_output_synchronize(mo_output *output);

/* NULL is fine. Retained fields stay valid. */
MO_API void mo_output_destroy(mo_output *output);

/* ---- From values: the way one builds an output by hand (rules 6 to 20) ---- */

/* A name and a value. field NULL is None. In mo_output_create_from_items a NULL name makes a plain element. */
typedef struct mo_item {
  const char *name;
  mo_field *field;
} mo_item;

/* Keyword arguments: TYPE_ERROR for a name the class does not declare or a repeated one. A lone first field that is a tuple,
 * dict or output-like value follows rules 10 to 18, as in Python. The output retains the fields. */
MO_API mo_status_t mo_output_create_from_fields(mo_context_t *context, const mo_class *output_class, const mo_item *fields,
                                                int64_t count, mo_output **output);

/* Positional arguments, NULL for None: TYPE_ERROR for more than the class has. */
MO_API mo_status_t mo_output_create_from_values(mo_context_t *context, const mo_class *output_class, mo_field *const *values,
                                                int64_t count, mo_output **output);

/* One positional argument that is an iterable: name/value pairs (rule 12; also a dict, rule 11), or plain elements (rule 13:
 * stored whole as a tuple in the first field; named elements then become (name, value) tuples), or a pair first and a plain
 * element later (rule 15: VALUE_ERROR). count 0: rule 14. Flax classes: TYPE_ERROR unless empty (rule 46). */
MO_API mo_status_t mo_output_create_from_items(mo_context_t *context, const mo_class *output_class, const mo_item *items,
                                               int64_t count, mo_output **output);

/* One positional argument that is another output: spreads it (rule 11). */
MO_API mo_status_t mo_output_create_from_output(mo_context_t *context, const mo_class *output_class, const mo_output *source,
                                                mo_output **output);

/* copy.copy(): the same fields, shared (rule 42). */
MO_API mo_status_t mo_output_copy(const mo_output *output, mo_output **copy);

/* dataclasses.replace() / Flax `replace`: a new output with some declared fields replaced (rule 44). */
MO_API mo_status_t mo_output_replace(const mo_output *output, const mo_item *changes, int64_t count, mo_output **replaced);

/* ---- Reading: mapping, sequence, attributes ---- */

/* len(x): the number of keys. */
MO_API int64_t mo_output_length(const mo_output *output);

/* x['key']: KEY_ERROR if the key is absent (also for a declared field that is None). *field may come back NULL: a key may hold
 * None (rule 31). Borrowed. */
MO_API mo_status_t mo_output_item(const mo_output *output, const char *key, mo_field **field);

/* x.get('key'): NULL if absent. Borrowed. Under 50 ns. */
MO_API mo_field *mo_output_get(const mo_output *output, const char *key);

/* 'key' in x. */
MO_API bool mo_output_contains(const mo_output *output, const char *key);

/* x[index] for an integer, negative from the end: INDEX_ERROR out of range. Borrowed. */
MO_API mo_status_t mo_output_item_at(const mo_output *output, int64_t index, mo_field **field);

/* The same in short: NULL for None and out of range. */
MO_API mo_field *mo_output_at(const mo_output *output, int64_t index);

/* x[slice]: writes at most `capacity` borrowed fields and says how many there are. */
MO_API mo_status_t mo_output_slice(const mo_output *output, mo_slice slice, mo_field **fields, int64_t capacity,
                                   int64_t *count);

/* x.to_tuple(): a tuple field of all present values. The caller releases it. */
MO_API mo_status_t mo_output_to_tuple(const mo_output *output, mo_field **tuple);

/* Iteration, keys(), values(), items(): key and value at a position, 0 <= position < mo_output_length(). NULL out of range. */
MO_API const char *mo_output_key_at(const mo_output *output, int64_t position);

/* x.name: the member of the typed struct by name. ATTRIBUTE_ERROR if there is no such attribute; *field NULL is None. */
MO_API mo_status_t mo_output_attribute(const mo_output *output, const char *name, mo_field **field);

/* x == y (rules 38, 39): same class and equal declared fields. The bare ModelOutput compares as the ordered dict it is, with
 * any output: equal keys and values in the same order. */
MO_API bool mo_output_equal(const mo_output *a, const mo_output *b);

/* ---- Writing (rules 31 to 37, 46) ---- */

/* x.name = field (NULL: None). A declared field that is not a key yet becomes one, at the end. An undeclared name becomes an
 * attribute only. None changes the attribute and leaves the key. On the bare ModelOutput TYPE_ERROR (rule 35), on a Flax class
 * BLOCKED (rule 46). Shapes are not checked, as in the original: mo_output_check_shapes() does that. The output retains the
 * field. */
MO_API mo_status_t mo_output_set_attribute(mo_output *output, const char *name, mo_field *field);

/* x['key'] = field: sets both, declared or not, also None. */
MO_API mo_status_t mo_output_set_item(mo_output *output, const char *key, mo_field *field);

/* del x['key'], x.pop(), x.setdefault(), x.update(): always BLOCKED (rule 36), whatever the arguments. */
MO_API mo_status_t mo_output_delete_item(mo_output *output, const char *key);
MO_API mo_status_t mo_output_pop(mo_output *output, const char *key, mo_field **field);
MO_API mo_status_t mo_output_set_default(mo_output *output, const char *key, mo_field *field);
MO_API mo_status_t mo_output_update(mo_output *output, const mo_item *items, int64_t count);

/* Not blocked in the original, so not here (rule 37). The attributes stay. */
MO_API mo_status_t mo_output_pop_last(mo_output *output, const char **key, mo_field **field); /* popitem(); caller releases */
MO_API mo_status_t mo_output_clear(mo_output *output);                                        /* clear() */
MO_API mo_status_t mo_output_move_to_end(mo_output *output, const char *key, bool last);      /* move_to_end(); KEY_ERROR */
MO_API mo_status_t mo_output_merge(mo_output *output, const mo_item *items, int64_t count);   /* x |= items */
MO_API mo_status_t mo_output_delete_attribute(mo_output *output, const char *name);           /* del x.name */

/* Compares what the output holds with the class table: kinds, ranks, fixed extents, tuple lengths and, with `dimensions` (may
 * be NULL), every extent. VALUE_ERROR names the first field that disagrees. Extra keys are not looked at. */
MO_API mo_status_t mo_output_check_shapes(const mo_output *output, const mo_dimensions *dimensions);

/* ---- Costs ---- */

/* Sum of the counters of all present fields (a field that stands twice counts once). */
MO_API mo_field_counters mo_output_get_counters(const mo_output *output);

/* Bytes of all tensors of the output on the device (shared tensors once). */
MO_API uint64_t mo_output_device_bytes(const mo_output *output);

#ifdef __cplusplus
}
#endif
#endif
