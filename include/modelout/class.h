/* modelout/class.h - the output classes: what fields each has, in which order, of which kind and symbolic shape, and when.
 *
 * All classes come from one table. First the 63 that are documented: ModelOutput itself, 29 PyTorch, 18 TensorFlow and 15 Flax
 * classes of Hugging Face Transformers. Source: the Transformers page "Model outputs"; order and fields agree with
 * src/transformers/modeling_outputs.py, modeling_tf_outputs.py and modeling_flax_outputs.py of September 2025. After them those
 * of modeling_outputs.py that the page leaves out (mixtures of experts, backbones, models without attention).
 * The typed structs are in modelout/output_classes.h.
 *
 * A class may also be described by somebody else: a static mo_class with its fields and a struct that begins with an mo_output.
 * Whatever takes a class answers INVALID_ARGUMENT to a description that cannot be worked with: no name, no fields or more than
 * 64, a field without name or `when`, of an unknown kind, with a shape that lacks symbols, named twice, or with a member
 * outside of the struct.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_CLASS_H
#define MODELOUT_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "modelout/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mo_framework_t {
  MO_FRAMEWORK_BASE = 0, /* ModelOutput itself */
  MO_FRAMEWORK_PT = 1,
  MO_FRAMEWORK_TF = 2,
  MO_FRAMEWORK_FLAX = 3,
} mo_framework_t;

/* What a field of a class holds. */
typedef enum mo_class_field_kind_t {
  MO_CLASS_FIELD_TENSOR = 1,
  MO_CLASS_FIELD_TENSOR_TUPLE = 2,           /* normally one per layer */
  MO_CLASS_FIELD_CACHE = 3,                  /* PyTorch: a Cache */
  MO_CLASS_FIELD_ENCODER_DECODER_CACHE = 4,  /* PyTorch: an EncoderDecoderCache */
  MO_CLASS_FIELD_TENSOR_LIST = 5,            /* TensorFlow caches: per layer (2, batch, heads, length, head_dim) */
  MO_CLASS_FIELD_TENSOR_DICT = 6,            /* Flax caches */
  MO_CLASS_FIELD_TUPLE_OF_TENSOR_TUPLES = 7, /* Flax caches: per layer a tuple of tensors */
} mo_class_field_kind_t;

typedef struct mo_class_field {
  const char *name;
  mo_class_field_kind_t kind;
  bool optional;            /* the documentation marks it optional; every field may be absent all the same */
  const char *annotation;   /* the type as printed in the signature */
  const char *element;      /* type of one tensor, NULL for caches */
  const char *meaning;      /* the documentation line */
  int32_t rank;             /* number of entries of `shape`; -1: no shape stated */
  const char *const *shape; /* symbols ("batch_size", "hidden_size", "2"); rank entries */
  const char *const
      *observed_shape;      /* shape the original really gives where it differs from `shape`; NULL else; NULL-terminated */
  const char *tuple_length; /* "num_layers + 1" and so on; NULL for single tensors */
  const char *stack;        /* whose layers: "model", "encoder", "decoder"; NULL */
  const char *when;         /* short condition: "always", "output_attentions", "labels given", ... */
  const char *when_text;    /* the condition spelt out */
  size_t struct_offset;     /* of the `mo_field *` member in the typed struct */
} mo_class_field;

/* One of the table, which is there for ever, or a description of the caller's own, which must outlive the outputs made with it.
 */
typedef struct mo_class {
  const char *name; /* "SequenceClassifierOutput" */
  mo_framework_t framework;
  const char *module;  /* "modeling_outputs" */
  const char *purpose; /* one line */
  int32_t field_count;
  const mo_class_field *fields; /* in declared order */
  size_t struct_bytes;          /* sizeof the typed struct */
} mo_class;

/* The class of that name ("FlaxMaskedLMOutput"), NULL if there is none. ModelOutput is the base class for ad-hoc outputs. */
MO_API const mo_class *mo_class_find(const char *name);

/* The PyTorch class of that name, or its namesake in another framework: ("MaskedLMOutput", MO_FRAMEWORK_TF) gives
 * TFMaskedLMOutput. NULL if there is none. */
MO_API const mo_class *mo_class_find_in_framework(const char *pt_name, mo_framework_t framework);

/* All classes: 0 <= index < mo_class_count(), in the order base, PyTorch, TensorFlow, Flax, then those that are not documented.
 * NULL out of range. */
MO_API int32_t mo_class_count(void);
MO_API const mo_class *mo_class_at(int32_t index);

/* Whether the Transformers page "Model outputs" lists it. False for NULL and for classes of somebody else's. */
MO_API bool mo_class_is_documented(const mo_class *output_class);

/* Position of a field in the class, -1 if it has none of that name. */
MO_API int32_t mo_class_field_index(const mo_class *output_class, const char *name);

/* "base", "pt", "tf", "flax"; NULL for any other number. */
MO_API const char *mo_framework_name(mo_framework_t framework);

/* "tensor", "tensor_tuple", "cache", ... as in the table; NULL for any other number. */
MO_API const char *mo_class_field_kind_name(mo_class_field_kind_t kind);

/* Everything the table says of a class (NULL: of all classes, or of one framework's when `framework` is not negative) as JSON
 * text: an object with "classes", each with the members of mo_class and "fields" with those of mo_class_field. *json is released
 * with mo_free_text(). */
MO_API mo_status_t mo_class_to_json(const mo_class *output_class, int framework, char **json);

/* Releases text the library handed out. NULL is fine. */
MO_API void mo_free_text(char *text);

#ifdef __cplusplus
}
#endif
#endif
