/* host/ops/convolution_pack.c - a convolution's weight as matrices in the order of the kernels.
 *
 * A plain convolution is one matrix: a row per output channel, of all taps with the channels innermost. A transposed one is cut
 * by the remainder r of (output position + padding) by the stride: the taps k that reach r, those with k dilation = r modulo
 * stride, are a plain convolution with a stride of 1 over the input, read from the last tap to the first.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "host/core/checked_math.h"
#include "host/core/context_internal.h"
#include "host/core/range.h"
#include "host/ops/check.h"
#include "host/ops/convolution.h"
#include "modelout/cast.h"

static const char op[] = "convolution pack";

#define GROUP_ROWS 32 /* the widest panel of a CPU */
#define MOST_PARTS 4096

/* ---- What is packed ---- */

typedef struct pack_job {
  mo_context_t *context;
  mo_tensor weight; /* rank 4: (O, C / groups, height, width), transposed (C, O / groups, height, width) */
  mo_convolution_geometry geometry;
  int64_t channels, out_channels;
} pack_job;

static int32_t or_one(int32_t value) { return value == 0 ? 1 : value; }

static mo_status_t check_axis(const mo_convolution_geometry *g, int32_t axis) {
  MO_CHECK(g->stride[axis] >= 1 && g->dilation[axis] >= 1 && g->padding_before[axis] >= 0 && g->padding_after[axis] >= 0 &&
               g->stride[axis] <= INT16_MAX && g->dilation[axis] <= INT16_MAX && g->padding_before[axis] <= INT32_MAX / 4 &&
               g->padding_after[axis] <= INT32_MAX / 4,
           MO_STATUS_INVALID_ARGUMENT, "%s: stride %d, dilation %d, padding %d and %d", op, (int)g->stride[axis],
           (int)g->dilation[axis], (int)g->padding_before[axis], (int)g->padding_after[axis]);
  const int32_t more = g->output_padding[axis];
  MO_CHECK(more == 0 || (g->transposed && more > 0 && (more < g->stride[axis] || more < g->dilation[axis])),
           MO_STATUS_INVALID_ARGUMENT, "%s: output_padding %d of a %s convolution with stride %d", op, (int)more,
           g->transposed ? "transposed" : "plain", (int)g->stride[axis]);
  return MO_STATUS_OK;
}

/* Defaults put in, one dimension made two. */
static mo_status_t take_geometry(const mo_convolution_geometry *given, int32_t rank, mo_convolution_geometry *g) {
  *g = (mo_convolution_geometry)MO_CONVOLUTION_GEOMETRY_INIT;
  if (given != NULL)
    MO_TRY(MO_TAKE(op, MO_CONVOLUTION_GEOMETRY_INIT, given, MO_SIZE_TO(mo_convolution_geometry, output_padding), g));
  if (rank == 3) {
    int32_t *const pairs[] = {g->stride, g->dilation, g->padding_before, g->padding_after, g->output_padding};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; ++i) {
      pairs[i][1] = pairs[i][0];
      pairs[i][0] = 0;
    }
  }
  g->groups = or_one(g->groups);
  for (int32_t axis = 0; axis < 2; ++axis) {
    g->stride[axis] = or_one(g->stride[axis]);
    g->dilation[axis] = or_one(g->dilation[axis]);
    MO_TRY(check_axis(g, axis));
  }
  return MO_STATUS_OK;
}

static mo_status_t take_job(mo_context_t *context, const mo_tensor *weight, const mo_convolution_geometry *given,
                            pack_job *job) {
  MO_TRY(mo_check_tensor(op, "weight", context, weight, MO_DTYPES_FLOAT, 3, 4));
  MO_TRY(take_geometry(given, weight->rank, &job->geometry));
  job->context = context;
  job->weight = *weight;
  if (weight->rank == 3) {
    job->weight.rank = 4;
    job->weight.shape[3] = weight->shape[2], job->weight.strides[3] = weight->strides[2];
    job->weight.shape[2] = 1, job->weight.strides[2] = 0;
  }
  const int64_t *shape = job->weight.shape;
  const int32_t groups = job->geometry.groups;
  for (int32_t i = 0; i < 4; ++i)
    MO_CHECK(shape[i] >= 1 && shape[i] <= INT32_MAX / 4, MO_STATUS_INVALID_ARGUMENT, "%s: weight has an extent of %" PRId64, op,
             shape[i]);
  MO_CHECK(groups >= 1 && shape[0] % groups == 0, MO_STATUS_INVALID_ARGUMENT,
           "%s: %d groups do not divide the first extent of weight, %" PRId64, op, (int)groups, shape[0]);
  const int64_t other = shape[1] * groups;
  MO_CHECK(other <= INT32_MAX, MO_STATUS_INVALID_ARGUMENT, "%s: %" PRId64 " channels in %d groups", op, shape[1], (int)groups);
  job->channels = job->geometry.transposed ? shape[0] : other;
  job->out_channels = job->geometry.transposed ? other : shape[0];
  MO_CHECK(!job->geometry.transposed || (int64_t)job->geometry.stride[0] * job->geometry.stride[1] <= MOST_PARTS,
           MO_STATUS_UNSUPPORTED, "%s: a transposed convolution with strides %d and %d", op, (int)job->geometry.stride[0],
           (int)job->geometry.stride[1]);
  return MO_STATUS_OK;
}

/* ---- One part ---- */

/* Taps first, first + step, ... of an axis; `reversed`: from the last one on. */
typedef struct tap_run {
  int32_t first, step, count;
  bool reversed;
} tap_run;

static int32_t tap_of(const tap_run *run, int32_t index) {
  return run->first + run->step * (run->reversed ? run->count - 1 - index : index);
}

static int32_t common_divisor(int32_t a, int32_t b) {
  while (b != 0) {
    const int32_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* The taps of an axis that belong to a part, and what they make of the part's geometry. */
static tap_run taps_of(const pack_job *job, int32_t axis, int32_t remainder, mo_convolution_part *part) {
  const mo_convolution_geometry *g = &job->geometry;
  const int32_t kernel = (int32_t)job->weight.shape[2 + axis], stride = g->stride[axis], dilation = g->dilation[axis];
  tap_run run = {.step = 1, .count = kernel};
  if (!g->transposed) {
    part->stride[axis] = stride;
    part->dilation[axis] = dilation;
    part->padding[axis] = g->padding_before[axis];
  } else {
    const int32_t divisor = common_divisor(stride, dilation);
    run = (tap_run){.step = stride / divisor, .reversed = true};
    while (run.first < kernel && (int64_t)run.first * dilation % stride != remainder) ++run.first;
    run.count = run.first < kernel ? (kernel - 1 - run.first) / run.step + 1 : 0;
    part->stride[axis] = 1;
    part->dilation[axis] = dilation / divisor;
    /* Tap k of output stride q + remainder (from -padding on) reads input q + (remainder - k dilation) / stride. */
    const int64_t last = run.first + (int64_t)run.step * (run.count - 1);
    part->padding[axis] = run.count > 0 ? (int32_t)((last * dilation - remainder) / stride) : 0;
  }
  part->kernel[axis] = run.count;
  return run;
}

/* (groups, rows, C / groups) of one tap, in the weight or in the matrix. */
static mo_tensor tap_view(const pack_job *job, const mo_convolution_part *part, void *matrix, int64_t tap, int64_t first_row,
                          int64_t rows) {
  const int64_t inner = part->channels / part->groups;
  const int64_t row = (int64_t)part->kernel[0] * part->kernel[1] * inner;
  const int64_t offset = first_row * row + tap * inner;
  return (mo_tensor){.data = (char *)matrix + offset * (int64_t)mo_dtype_bytes(job->weight.dtype),
                     .dtype = job->weight.dtype,
                     .device = job->weight.device,
                     .rank = 3,
                     .shape = {part->groups, rows, inner},
                     .strides = {part->group_rows * row, row, 1}};
}

static mo_tensor weight_view(const pack_job *job, const mo_convolution_part *part, int32_t i, int32_t j) {
  const mo_tensor *w = &job->weight;
  const int64_t offset = i * w->strides[2] + j * w->strides[3];
  const int64_t inner = part->channels / part->groups, rows = part->out_channels / part->groups;
  mo_tensor view = {.data = (char *)w->data + offset * (int64_t)mo_dtype_bytes(w->dtype),
                    .dtype = w->dtype,
                    .device = w->device,
                    .rank = 3,
                    .shape = {part->groups, rows, inner}};
  const int64_t plain[3] = {rows * w->strides[0], w->strides[0], w->strides[1]};
  const int64_t transposed[3] = {inner * w->strides[0], w->strides[1], w->strides[0]};
  memcpy(view.strides, job->geometry.transposed ? transposed : plain, sizeof plain);
  return view;
}

static mo_status_t copy_view(mo_context_t *context, const mo_tensor *to, const mo_tensor *from) {
  mo_cast_params params = MO_CAST_PARAMS_INIT;
  params.output = to;
  params.input = from;
  return mo_cast(context, &params);
}

/* Rows that fill a group up are copies of its first one: they are multiplied, and nobody looks at the result. */
static mo_status_t fill_matrix(const pack_job *job, const mo_convolution_part *part, const tap_run *taps, void *matrix) {
  const int64_t rows = part->out_channels / part->groups;
  for (int32_t i = 0; i < part->kernel[0]; ++i) {
    for (int32_t j = 0; j < part->kernel[1]; ++j) {
      const int64_t tap = (int64_t)i * part->kernel[1] + j;
      mo_tensor from = weight_view(job, part, tap_of(&taps[0], i), tap_of(&taps[1], j));
      mo_tensor to = tap_view(job, part, matrix, tap, 0, rows);
      MO_TRY(copy_view(job->context, &to, &from));
      if (part->group_rows == rows) continue;
      to = tap_view(job, part, matrix, tap, rows, part->group_rows - rows);
      from.shape[1] = part->group_rows - rows, from.strides[1] = 0;
      MO_TRY(copy_view(job->context, &to, &from));
    }
  }
  return MO_STATUS_OK;
}

static mo_status_t pack_part(const pack_job *job, const int32_t *remainder, mo_convolution_part *part) {
  const int32_t groups = job->geometry.groups;
  const int64_t rows = job->out_channels / groups;
  const bool fills = groups > 1 && job->channels > groups;
  *part = (mo_convolution_part){.groups = groups,
                                .channels = job->channels,
                                .out_channels = job->out_channels,
                                .group_rows = fills ? (rows + GROUP_ROWS - 1) / GROUP_ROWS * GROUP_ROWS : rows};
  const tap_run taps[2] = {taps_of(job, 0, remainder[0], part), taps_of(job, 1, remainder[1], part)};
  const int64_t columns = (int64_t)part->kernel[0] * part->kernel[1] * (job->channels / groups);
  if (columns == 0) return MO_STATUS_OK;
  int64_t bytes;
  MO_CHECK(mo_checked_mul(part->group_rows * groups, columns, &bytes) &&
               mo_checked_mul(bytes, (int64_t)mo_dtype_bytes(job->weight.dtype), &bytes),
           MO_STATUS_OUT_OF_MEMORY, "%s: a matrix of %" PRId64 " x %" PRId64, op, part->group_rows * groups, columns);
  void *memory;
  MO_TRY(mo_context_allocate(job->context, (size_t)bytes, &memory));
  mo_tensor matrix;
  mo_status_t status = mo_tensor_init(&matrix, memory, job->weight.dtype, job->weight.device, 2,
                                      (const int64_t[]){part->group_rows * groups, columns});
  if (status == MO_STATUS_OK) status = fill_matrix(job, part, taps, memory);
  const mo_tensor *matrices[] = {&matrix};
  if (status == MO_STATUS_OK) status = mo_linear_pack(job->context, matrices, 1, &part->matrix);
  mo_context_release(job->context, memory);
  return status;
}

/* ---- The whole ---- */

static size_t packed_bytes(int32_t parts) {
  return sizeof(mo_packed_convolution_t) + (size_t)parts * sizeof(mo_convolution_part);
}

void mo_packed_convolution_destroy(mo_packed_convolution_t *packed) {
  if (packed == NULL) return;
  mo_context_t *context = packed->context;
  for (int32_t i = 0; i < packed->part_count; ++i) mo_packed_weight_destroy(packed->parts[i].matrix);
  mo_host_free(context, packed, packed_bytes(packed->part_count));
  mo_context_release_reference(context);
}

static mo_status_t pack(mo_context_t *context, const mo_tensor *weight, const mo_convolution_geometry *geometry,
                        mo_packed_convolution_t **packed) {
  pack_job job;
  MO_TRY(take_job(context, weight, geometry, &job));
  const mo_convolution_geometry *g = &job.geometry;
  const int32_t count = g->transposed ? g->stride[0] * g->stride[1] : 1;
  mo_packed_convolution_t *made = mo_host_allocate(context, packed_bytes(count));
  if (made == NULL) return MO_STATUS_OUT_OF_MEMORY;
  mo_convolution_part *parts = (mo_convolution_part *)(made + 1);
  memset(parts, 0, (size_t)count * sizeof *parts);
  *made = (mo_packed_convolution_t){.context = mo_context_retain(context),
                                    .dtype = weight->dtype,
                                    .rank = weight->rank,
                                    .part_count = count,
                                    .geometry = *g,
                                    .channels = job.channels,
                                    .out_channels = job.out_channels,
                                    .kernel = {(int32_t)job.weight.shape[2], (int32_t)job.weight.shape[3]},
                                    .parts = parts};
  mo_status_t status = MO_STATUS_OK;
  for (int32_t i = 0; i < count && status == MO_STATUS_OK; ++i) {
    const int32_t remainder[2] = {g->transposed ? i / g->stride[1] : 0, g->transposed ? i % g->stride[1] : 0};
    status = pack_part(&job, remainder, &parts[i]);
  }
  if (status != MO_STATUS_OK) {
    mo_packed_convolution_destroy(made);
    return status;
  }
  *packed = made;
  return MO_STATUS_OK;
}

mo_status_t mo_convolution_pack(mo_context_t *context, const mo_tensor *weight, const mo_convolution_geometry *geometry,
                                mo_packed_convolution_t **packed) {
  MO_RANGE_OF(context, "mo_convolution_pack", "weight", weight);
  MO_CHECK(context != NULL, MO_STATUS_INVALID_ARGUMENT, "%s: the context is NULL", op);
  if (packed == NULL) return mo_context_note(context, mo_fail(MO_STATUS_INVALID_ARGUMENT, "%s: the result is NULL", op));
  return mo_context_note(context, pack(context, weight, geometry, packed));
}
