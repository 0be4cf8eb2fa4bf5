/* host/model/model_classes.h - which class the outputs of an architecture have.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_MODEL_MODEL_CLASSES_H
#define MO_MODEL_MODEL_CLASSES_H

#include "host/call/family.h"

/* Classes of outputs that are models' own in Transformers (BertForPreTrainingOutput, ...), not part of the table of 63. NULL if
 * there is none of that name. */
const mo_class *mo_model_class_find(const char *name);

/* The class of an architecture's outputs in a framework. INTERNAL if the architecture names one that does not exist. */
mo_status_t mo_architecture_class(const mo_architecture *architecture, mo_framework_t framework, const mo_class **output_class);

#endif
