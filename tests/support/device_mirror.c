/* tests/support/device_mirror.c - ops with tensors in host memory, on a context of any device.
 *
 * Whether a call is valid is asked of the front door itself: the op runs first on a context of a backend whose ops do nothing.
 * Only a call that passes has descriptors whose memory may be touched.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/backend.h"
#include "tests/support/test_context.h"

#define MAX_TENSORS 1024
#define ALIGNMENT ((uintptr_t)16)
/* Memory of the mirror's own on both sides of a range, checked after the op. The simulated device has red zones itself, right
 * beside the range; there the mirror adds nothing. */
#define MARGIN ((size_t)256)
#define MARGIN_BYTE 0xA5

/* tests/simulated_device/control.h; there only in programs that hold the simulated device. */
const char *simulated_take_report(void) __attribute__((weak));
int64_t simulated_waiting_call_count(void) __attribute__((weak));
int64_t simulated_allocation_call_count(void) __attribute__((weak));

typedef mo_status_t (*run_function)(mo_context_t *context, const void *params);

typedef struct range {
  uintptr_t begin, end; /* host */
  unsigned char *block; /* device: margin, up to 15 bytes, the range, margin */
  size_t before, after; /* bytes of the block around the range */
} range;

typedef struct mirror {
  mo_context_t *context;
  mo_tensor tensors[MAX_TENSORS];
  int tensor_count;
  range ranges[MAX_TENSORS];
  int range_count;
} mirror;

/* ---- A backend whose ops accept everything ---- */

static mo_status_t probe_open(int32_t index, void **state) {
  (void)index;
  *state = NULL;
  return MO_STATUS_OK;
}
static void probe_close(void *state) { (void)state; }

#define PROBE_OP(prefix, name, params_type)                                                                                    \
  static mo_status_t prefix##_##name(mo_context_t *context, const params_type *p) {                                            \
    (void)context;                                                                                                             \
    (void)p;                                                                                                                   \
    return MO_STATUS_OK;                                                                                                       \
  }
MO_OP_LIST(PROBE_OP, probe)

static mo_status_t probe_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                                     mo_packed_weight_t *packed) {
  (void)context;
  (void)weights;
  (void)count;
  (void)packed;
  return MO_STATUS_OK;
}

/* It has no memory: a probe checks arguments and computes nothing. */
static mo_status_t probe_allocate(void *state, size_t bytes, mo_stream stream, void **memory) {
  (void)state, (void)bytes, (void)stream, (void)memory;
  return MO_STATUS_OUT_OF_MEMORY;
}
static void probe_release(void *state, void *memory, size_t bytes, mo_stream stream) {
  (void)state, (void)memory, (void)bytes, (void)stream;
}
static mo_status_t probe_allocate_pinned(void *state, size_t bytes, void **memory) {
  return probe_allocate(state, bytes, NULL, memory);
}
static void probe_release_pinned(void *state, void *memory, size_t bytes) { probe_release(state, memory, bytes, NULL); }
static mo_status_t probe_copy(void *state, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction,
                              mo_stream stream) {
  (void)state, (void)destination, (void)source, (void)bytes, (void)direction, (void)stream;
  return MO_STATUS_OK;
}
static void probe_packed_weight_release(mo_packed_weight_t *packed) { (void)packed; }

/* A context of the probing backend that claims the device of `context`. */
static mo_context_t *probe_of(const mo_context_t *context) {
  static mo_backend backend = {
      .abi_version = MO_BACKEND_ABI_VERSION,
      .struct_size = sizeof(mo_backend),
      .name = "probe",
      .open = probe_open,
      .close = probe_close,
      .allocate = probe_allocate,
      .release = probe_release,
      .allocate_pinned = probe_allocate_pinned,
      .release_pinned = probe_release_pinned,
      .copy = probe_copy,
      MO_BACKEND_OPS(probe),
  };
  static mo_context_t *probe = NULL;
  if (probe != NULL) return probe;
  backend.kind = mo_context_device(context).kind;
  mo_context_options options = MO_CONTEXT_OPTIONS_INIT;
  options.backend = &backend;
  options.device_index = mo_context_device(context).index;
  if (mo_context_create(&options, &probe) != MO_STATUS_OK) abort();
  return probe; /* for the life of the program */
}

/* ---- Descriptors ---- */

static bool is_cpu_context(const mo_context_t *context) {
  return context == NULL || mo_context_device(context).kind == MO_DEVICE_KIND_CPU;
}

/* Host tensors become tensors of the context's device, and such tensors become host tensors: what was wrong stays wrong. */
static const mo_tensor *translate(mirror *m, const mo_tensor *tensor) {
  if (tensor == NULL) return NULL;
  const mo_device home = mo_context_device(m->context), cpu = {MO_DEVICE_KIND_CPU, 0};
  mo_tensor *copy = &m->tensors[m->tensor_count++];
  *copy = *tensor;
  if (tensor->device.kind == cpu.kind && tensor->device.index == cpu.index) copy->device = home;
  else if (tensor->device.kind == home.kind && tensor->device.index == home.index) copy->device = cpu;
  return copy;
}

/* ---- Memory ---- */

static int by_begin(const void *left, const void *right) {
  const uintptr_t a = ((const range *)left)->begin, b = ((const range *)right)->begin;
  return (a > b) - (a < b);
}

static void collect_ranges(mirror *m) {
  range found[MAX_TENSORS];
  int count = 0;
  for (int i = 0; i < m->tensor_count; ++i) {
    const mo_tensor *tensor = &m->tensors[i];
    if (mo_tensor_count(tensor) == 0) continue;
    int64_t reach = 1;
    for (int32_t d = 0; d < tensor->rank; ++d) reach += (tensor->shape[d] - 1) * tensor->strides[d];
    const uintptr_t begin = (uintptr_t)tensor->data;
    found[count++] = (range){.begin = begin, .end = begin + (uintptr_t)reach * mo_dtype_bytes(tensor->dtype)};
  }
  qsort(found, (size_t)count, sizeof *found, by_begin);
  m->range_count = 0;
  for (int i = 0; i < count; ++i) {
    range *last = m->range_count > 0 ? &m->ranges[m->range_count - 1] : NULL;
    if (last != NULL && found[i].begin < last->end) {
      if (found[i].end > last->end) last->end = found[i].end;
    } else {
      m->ranges[m->range_count++] = found[i];
    }
  }
}

static size_t block_bytes(const range *r) { return r->before + (r->end - r->begin) + r->after; }

static mo_status_t copy_in(mirror *m) {
  const size_t margin = test_device_is_simulated() ? 0 : MARGIN;
  for (int i = 0; i < m->range_count; ++i) {
    range *r = &m->ranges[i];
    r->before = margin + r->begin % ALIGNMENT;
    r->after = margin;
    void *block = NULL;
    MO_TRY(mo_context_allocate(m->context, block_bytes(r), &block));
    r->block = block;
    unsigned char *staged = malloc(block_bytes(r));
    if (staged == NULL) return MO_STATUS_OUT_OF_MEMORY;
    memset(staged, MARGIN_BYTE, block_bytes(r));
    memcpy(staged + r->before, (const void *)r->begin, r->end - r->begin);
    mo_status_t status = mo_context_copy_to_device(m->context, block, staged, block_bytes(r));
    if (status == MO_STATUS_OK) status = mo_context_synchronize(m->context);
    free(staged);
    MO_TRY(status);
  }
  for (int i = 0; i < m->tensor_count; ++i) {
    mo_tensor *tensor = &m->tensors[i];
    const uintptr_t data = (uintptr_t)tensor->data;
    tensor->data = NULL;
    for (int j = 0; j < m->range_count && mo_tensor_count(tensor) > 0; ++j) {
      const range *r = &m->ranges[j];
      if (data >= r->begin && data < r->end) tensor->data = r->block + r->before + (data - r->begin);
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t copy_out(mirror *m) {
  for (int i = 0; i < m->range_count; ++i) {
    const range *r = &m->ranges[i];
    unsigned char *staged = malloc(block_bytes(r));
    if (staged == NULL) return MO_STATUS_OUT_OF_MEMORY;
    mo_status_t status = mo_context_copy_to_host(m->context, staged, r->block, block_bytes(r));
    if (status == MO_STATUS_OK) status = mo_context_synchronize(m->context);
    if (status == MO_STATUS_OK) {
      bool intact = true;
      for (size_t b = 0; b < r->before; ++b) intact = intact && staged[b] == MARGIN_BYTE;
      for (size_t b = block_bytes(r) - r->after; b < block_bytes(r); ++b) intact = intact && staged[b] == MARGIN_BYTE;
      /* Sources too, but only where they differ: they may lie in read-only memory. */
      if (memcmp((void *)r->begin, staged + r->before, r->end - r->begin) != 0) {
        memcpy((void *)r->begin, staged + r->before, r->end - r->begin);
      }
      if (!intact) status = mo_fail(MO_STATUS_INTERNAL, "device mirror: a write beside a tensor's memory");
    }
    free(staged);
    MO_TRY(status);
  }
  return MO_STATUS_OK;
}

static void release(mirror *m) {
  for (int i = 0; i < m->range_count; ++i) mo_context_release(m->context, m->ranges[i].block);
}

/* Says what the simulation found; the status alone is "unspecified launch failure". */
static void print_report(void) {
  if (simulated_take_report == NULL) return;
  const char *report = simulated_take_report();
  if (report[0] != '\0') fprintf(stderr, "simulated device: %s\n", report);
}

/* The op ran with `status`: waits, brings everything back, gives the memory back. The first failure counts. */
static mo_status_t finish(mirror *m, mo_status_t status) {
  const mo_status_t waited = mo_context_synchronize(m->context);
  if (status == MO_STATUS_OK) status = waited;
  if (waited == MO_STATUS_OK) {
    const mo_status_t copied = copy_out(m);
    if (status == MO_STATUS_OK) status = copied;
  }
  release(m);
  /* A damaged red zone shows when the memory is given back. */
  const mo_status_t released = mo_context_synchronize(m->context);
  if (status == MO_STATUS_OK) status = released;
  print_report();
  return status;
}

/* Runs the op. A run neither waits nor copies, and allocates only where its scratch memory grows: on the simulated device every
 * op of every test is held to that. */
static mo_status_t run_counted(mo_context_t *context, run_function run, const void *params) {
  if (simulated_waiting_call_count == NULL || simulated_allocation_call_count == NULL) return run(context, params);
  const size_t scratch = mo_context_get_counters(context).scratch_bytes;
  const int64_t waits = simulated_waiting_call_count(), allocations = simulated_allocation_call_count();
  const mo_status_t status = run(context, params);
  if (status != MO_STATUS_OK) return status;
  MO_CHECK(simulated_waiting_call_count() == waits, MO_STATUS_INTERNAL, "device mirror: the op waited or copied");
  MO_CHECK(simulated_allocation_call_count() == allocations || mo_context_get_counters(context).scratch_bytes > scratch,
           MO_STATUS_INTERNAL, "device mirror: the op allocated, and its scratch memory has not grown");
  return status;
}

static mo_status_t run_mirrored(mirror *m, run_function run, const void *params) {
  collect_ranges(m);
  mo_status_t status = copy_in(m);
  if (status != MO_STATUS_OK) {
    release(m);
    return status;
  }
  return finish(m, run_counted(m->context, run, params));
}

/* ---- The ops ---- */

/* Defines test_<name>; the last argument translates the tensors of the copy `p` of the parameters. */
#define MIRRORED_OP(name, params_type, translation)                                                                            \
  static mo_status_t run_##name(mo_context_t *context, const void *params) { return mo_##name(context, params); }              \
  mo_status_t test_##name(mo_context_t *context, const params_type *params) {                                                  \
    if (is_cpu_context(context) || params == NULL) return mo_##name(context, params);                                          \
    mirror m = {.context = context};                                                                                           \
    params_type p = *params;                                                                                                   \
    translation;                                                                                                               \
    if (mo_##name(probe_of(context), &p) != MO_STATUS_OK) return mo_##name(context, &p);                                       \
    return run_mirrored(&m, run_##name, &p);                                                                                   \
  }
#define T(member) p.member = translate(&m, p.member)

MIRRORED_OP(softmax, mo_softmax_params, (T(output), T(input), T(mask), T(bias)))
MIRRORED_OP(layer_norm, mo_norm_params, (T(output), T(sum), T(input), T(residual), T(input_bias), T(weight), T(bias)))
MIRRORED_OP(rms_norm, mo_norm_params, (T(output), T(sum), T(input), T(residual), T(input_bias), T(weight), T(bias)))
MIRRORED_OP(gate, mo_gate_params, (T(output), T(gate), T(input)))
MIRRORED_OP(cast, mo_cast_params, (T(output), T(input)))
MIRRORED_OP(embedding, mo_embedding_params,
            (T(output), T(ids), T(embeds), T(word), T(position), T(type), T(position_ids), T(token_type_ids), T(norm_weight),
             T(norm_bias)))
MIRRORED_OP(pooling, mo_pooling_params, (T(output), T(input), T(mask), T(weight), T(bias)))
MIRRORED_OP(cross_entropy, mo_cross_entropy_params, (T(loss), T(log_sum_exp), T(logits), T(labels)))
MIRRORED_OP(bce_with_logits_loss, mo_elementwise_loss_params, (T(loss), T(logits), T(labels)))
MIRRORED_OP(mse_loss, mo_elementwise_loss_params, (T(loss), T(logits), T(labels)))
MIRRORED_OP(span_loss, mo_span_loss_params, (T(loss), T(start_logits), T(end_logits), T(start_positions), T(end_positions)))
MIRRORED_OP(pooling2d, mo_pooling2d_params, (T(output), T(input)))
MIRRORED_OP(sum, mo_sum_params, (T(output), T(a), T(b)))
MIRRORED_OP(topk, mo_topk_params, (T(values), T(indices), T(input)))
MIRRORED_OP(attention_merge, mo_attention_merge_params,
            (T(output), T(log_sum_exp), T(output_a), T(log_sum_exp_a), T(output_b), T(log_sum_exp_b)))
MIRRORED_OP(position_bias, mo_position_bias_params, (T(output), T(slopes), T(table), T(query_offsets)))
MIRRORED_OP(rotary_embedding, mo_rotary_params,
            (T(rotary.cosine), T(rotary.sine), T(query_output), T(query), T(key_output), T(key), T(position_ids)))

MIRRORED_OP(sample, mo_sampling_params,
            (T(tokens), T(scores), T(log_probabilities), T(logits), T(step_counts), T(row_numbers), T(finished), T(end_tokens),
             T(suppressed_tokens), T(lengths), T(positions)))

MIRRORED_OP(edit_scores, mo_score_edit_params, (T(scores), T(logits), T(tokens), T(values)))

/* The tensors of a cache's view. */
#define VIEW(member) (T(member.key), T(member.value), T(member.key_scale), T(member.value_scale), T(member.block_table))

MIRRORED_OP(kv_gather, mo_kv_gather_params, (VIEW(source), VIEW(destination), T(rows)))

static mo_status_t run_attention(mo_context_t *context, const void *params) { return mo_attention(context, params); }

mo_status_t test_attention(mo_context_t *context, const mo_attention_params *params) {
  if (is_cpu_context(context) || params == NULL) return mo_attention(context, params);
  mirror m = {.context = context};
  mo_attention_params p = *params;
  mo_kv_view cache;
  T(output), T(weights), T(log_sum_exp), T(query), T(key), T(value), T(mask), T(bias), T(key_lengths);
  if (p.struct_size == sizeof p) {
    T(cumulative_query_lengths), T(cumulative_key_lengths), T(causal_offsets);
    if (p.cache != NULL) {
      cache = *p.cache;
      cache.key = translate(&m, cache.key);
      cache.value = translate(&m, cache.value);
      cache.key_scale = translate(&m, cache.key_scale);
      cache.value_scale = translate(&m, cache.value_scale);
      cache.block_table = translate(&m, cache.block_table);
      p.cache = &cache;
    }
  }
  if (mo_attention(probe_of(context), &p) != MO_STATUS_OK) return mo_attention(context, &p);
  return run_mirrored(&m, run_attention, &p);
}

#define MAX_LAYERS 130 /* of a cache update */

static mo_status_t run_kv_update(mo_context_t *context, const void *params) { return mo_kv_update(context, params); }

mo_status_t test_kv_update(mo_context_t *context, const mo_kv_update_params *params) {
  if (is_cpu_context(context) || params == NULL || params->layer_count > MAX_LAYERS) return mo_kv_update(context, params);
  mirror m = {.context = context};
  mo_kv_update_params p = *params;
  mo_kv_update_layer layers[MAX_LAYERS];
  mo_rotary rotary;
  for (int32_t i = 0; p.layers != NULL && i < p.layer_count; i++) {
    layers[i] = params->layers[i];
    mo_kv_view *cache = &layers[i].cache;
    const mo_tensor **members[] = {&layers[i].key,    &layers[i].value,    &cache->key,        &cache->value,
                                   &cache->key_scale, &cache->value_scale, &cache->block_table};
    for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) *members[k] = translate(&m, *members[k]);
  }
  if (p.layers != NULL) p.layers = layers;
  if (p.rotary != NULL) {
    rotary = *p.rotary;
    rotary.cosine = translate(&m, rotary.cosine);
    rotary.sine = translate(&m, rotary.sine);
    p.rotary = &rotary;
  }
  T(offsets), T(counts), T(position_ids), T(cumulative_lengths);
  if (mo_kv_update(probe_of(context), &p) != MO_STATUS_OK) return mo_kv_update(context, &p);
  return run_mirrored(&m, run_kv_update, &p);
}

static mo_status_t run_decode_attention(mo_context_t *context, const void *params) {
  return mo_decode_attention(context, params);
}

mo_status_t test_decode_attention(mo_context_t *context, const mo_decode_attention_params *params) {
  if (is_cpu_context(context) || params == NULL) return mo_decode_attention(context, params);
  mirror m = {.context = context};
  mo_decode_attention_params p = *params;
  mo_rotary rotary;
  T(output), T(weights), T(log_sum_exp), T(query), T(key), T(value), T(position_ids), T(lengths), T(key_starts), T(mask);
  T(bias), VIEW(cache);
  if (p.rotary != NULL) {
    rotary = *p.rotary;
    rotary.cosine = translate(&m, rotary.cosine);
    rotary.sine = translate(&m, rotary.sine);
    p.rotary = &rotary;
  }
  if (mo_decode_attention(probe_of(context), &p) != MO_STATUS_OK) return mo_decode_attention(context, &p);
  return run_mirrored(&m, run_decode_attention, &p);
}

static mo_status_t run_linear(mo_context_t *context, const void *params) { return mo_linear(context, params); }

/* A packed weight belongs to the device already; the probe gets one of its own with the same shape. */
mo_status_t test_linear(mo_context_t *context, const mo_linear_params *params) {
  if (is_cpu_context(context) || params == NULL) return mo_linear(context, params);
  mirror m = {.context = context};
  mo_linear_params p = *params;
  T(output), T(input), T(weight), T(bias), T(residual);
  mo_linear_params probing = p;
  mo_packed_weight_t packed;
  if (p.packed_weight != NULL && mo_context_backend(p.packed_weight->context) == mo_context_backend(context)) {
    packed = *p.packed_weight;
    packed.context = probe_of(context);
    probing.packed_weight = &packed;
  }
  if (mo_linear(probe_of(context), &probing) != MO_STATUS_OK) return mo_linear(context, &p);
  return run_mirrored(&m, run_linear, &p);
}

mo_status_t test_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                             mo_packed_weight_t **packed) {
  if (is_cpu_context(context) || weights == NULL || packed == NULL || count < 1 || count > MAX_TENSORS) {
    return mo_linear_pack(context, weights, count, packed);
  }
  mirror m = {.context = context};
  const mo_tensor *translated[MAX_TENSORS];
  for (int32_t i = 0; i < count; ++i) translated[i] = translate(&m, weights[i]);
  mo_packed_weight_t *probed = NULL;
  if (mo_linear_pack(probe_of(context), translated, count, &probed) != MO_STATUS_OK) {
    return mo_linear_pack(context, translated, count, packed);
  }
  mo_packed_weight_destroy(probed);
  collect_ranges(&m);
  mo_status_t status = copy_in(&m);
  if (status != MO_STATUS_OK) {
    release(&m);
    return status;
  }
  status = mo_linear_pack(context, translated, count, packed);
  return finish(&m, status);
}

static mo_status_t run_convolution(mo_context_t *context, const void *params) { return mo_convolution(context, params); }

mo_status_t test_convolution(mo_context_t *context, const mo_convolution_params *params) {
  if (is_cpu_context(context) || params == NULL) return mo_convolution(context, params);
  mirror m = {.context = context};
  mo_convolution_params p = *params;
  T(output), T(input), T(bias), T(residual);
  mo_convolution_params probing = p;
  mo_packed_convolution_t packed;
  if (p.weight != NULL && mo_context_backend(p.weight->context) == mo_context_backend(context)) {
    packed = *p.weight;
    packed.context = probe_of(context);
    probing.weight = &packed;
  }
  if (mo_convolution(probe_of(context), &probing) != MO_STATUS_OK) return mo_convolution(context, &p);
  return run_mirrored(&m, run_convolution, &p);
}

mo_status_t test_convolution_pack(mo_context_t *context, const mo_tensor *weight, const mo_convolution_geometry *geometry,
                                  mo_packed_convolution_t **packed) {
  if (is_cpu_context(context) || weight == NULL || packed == NULL)
    return mo_convolution_pack(context, weight, geometry, packed);
  mirror m = {.context = context};
  const mo_tensor *translated = translate(&m, weight);
  mo_packed_convolution_t *probed = NULL;
  if (mo_convolution_pack(probe_of(context), translated, geometry, &probed) != MO_STATUS_OK)
    return mo_convolution_pack(context, translated, geometry, packed);
  mo_packed_convolution_destroy(probed);
  collect_ranges(&m);
  mo_status_t status = copy_in(&m);
  if (status != MO_STATUS_OK) {
    release(&m);
    return status;
  }
  status = mo_convolution_pack(context, translated, geometry, packed);
  return finish(&m, status);
}
