/* host/model/registry.h - the architectures this build knows, by name.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MO_MODEL_REGISTRY_H
#define MO_MODEL_REGISTRY_H

#include "host/model/family.h"

/* UNSUPPORTED, with the known ones, if there is none of that name. */
mo_status_t mo_architecture_find(const char *name, const mo_family **family, const mo_architecture **architecture);

#endif
