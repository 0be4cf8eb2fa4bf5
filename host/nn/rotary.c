/* host/nn/rotary.c - making and growing the tables of a rotary embedding.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/nn/rotary.h"

#include <inttypes.h>

#include "host/core/context_internal.h"
#include "host/core/tensor_view.h"

#define FIRST_POSITIONS ((int64_t)8192) /* tables made when the model is loaded; longer sequences grow them */

static mo_status_t fill(mo_context_t *context, const mo_rotary_config *config, int64_t count, int64_t length, void *memory) {
  const int64_t elements = count * (config->rotary_dim / 2);
  const size_t bytes = (size_t)(2 * elements) * sizeof(float);
  const bool direct = mo_context_device(context).kind == MO_DEVICE_KIND_CPU;
  float *host = direct ? memory : mo_host_allocate(context, bytes);
  if (host == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_status_t status = mo_rotary_fill_tables(config, count, length, host, host + elements);
  if (direct) return status;
  if (status == MO_STATUS_OK) status = mo_context_copy_to_device(context, memory, host, bytes);
  const mo_status_t waited = mo_context_synchronize(context);
  mo_host_free(context, host, bytes);
  return status != MO_STATUS_OK ? status : waited;
}

mo_status_t mo_rotary_tables_prepare(mo_rotary_tables *tables, mo_context_t *context, const mo_rotary_config *config,
                                     int64_t position_count, int64_t length) {
  if (config->rotary_dim == 0) return MO_STATUS_OK;
  /* Up to the pretrained length dynamic scaling is none; past it every length has its own frequencies. */
  const bool dynamic = config->scaling == MO_ROTARY_SCALING_DYNAMIC;
  if (!dynamic || length < config->original_max_positions) length = dynamic ? config->original_max_positions : 1;
  const bool fits = position_count <= tables->count;
  if (fits && tables->memory != NULL && length == tables->length) return MO_STATUS_OK;
  MO_CHECK(!mo_context_stream_is_capturing(context, mo_context_stream(context)), MO_STATUS_WRONG_STATE,
           "model: rotary tables for %" PRId64
           " positions are not there yet, and the stream is being captured: run once before",
           position_count);
  int64_t count = tables->count;
  if (!fits) count = position_count > count + count / 2 ? position_count : count + count / 2;
  void *memory = NULL;
  MO_TRY(mo_context_allocate(context, (size_t)(count * config->rotary_dim) * sizeof(float), &memory));
  const mo_status_t status = fill(context, config, count, length, memory);
  if (status != MO_STATUS_OK) {
    mo_context_release(context, memory);
    return status;
  }
  mo_rotary_tables_release(tables, context);
  *tables = (mo_rotary_tables){.memory = memory, .pairs = config->rotary_dim / 2, .count = count, .length = length};
  return MO_STATUS_OK;
}

void mo_rotary_tables_release(mo_rotary_tables *tables, mo_context_t *context) {
  if (tables->memory != NULL) mo_context_release(context, tables->memory);
  *tables = (mo_rotary_tables){.memory = NULL};
}

mo_status_t mo_rotary_tables_load(mo_rotary_tables *tables, mo_context_t *context, const mo_rotary_config *config,
                                  int64_t position_count) {
  const int64_t count = position_count < FIRST_POSITIONS ? position_count : FIRST_POSITIONS;
  return mo_rotary_tables_prepare(tables, context, config, count, count);
}

void mo_rotary_tables_view(const mo_rotary_tables *tables, const mo_context_t *context, mo_rotary_view *view) {
  const int64_t shape[2] = {tables->count, tables->pairs};
  float *const data = tables->memory;
  float *const sines = data != NULL ? data + tables->count * tables->pairs : NULL;
  view->cosine = mo_device_tensor(context, data, MO_DTYPE_FLOAT32, 2, shape);
  view->sine = mo_device_tensor(context, sines, MO_DTYPE_FLOAT32, 2, shape);
  view->rotary = (mo_rotary){.cosine = &view->cosine, .sine = &view->sine, .pairing = MO_ROTARY_HALVES};
}
