/* host/cpu/convolution.c - convolutions on the CPU, with the register tiles of linear.
 *
 * A tile's rows are pixels of one line of the output, its columns output channels. The input is read in lines with the channels
 * innermost, so that a row of taps is one run of memory: where it lies so in float32, and no tap falls outside, it is read
 * where it is (1 x 1 convolutions, patches); else a strip of it is copied first, with the zeros of the padding around it, group
 * by group. A strip fits the second level of cache. There is never a matrix of patches.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/convolution_kernels.h"
#include "host/cpu/cpu_ops.h"

#define STRIP_FLOATS ((int64_t)1 << 18)
#define K_BLOCK 768      /* of the sum, between which products wait in memory */
#define TASK_TILES 8     /* of pixels */
#define TASK_COLUMNS 128 /* output channels */
#define LINE_PIXELS 64   /* of a depthwise task */
#define TASKS_PER_THREAD 4
#define PARALLEL_WORK 65536.0

/* An image's place: strides from pixel to pixel, in elements. */
typedef struct image {
  const char *data;
  mo_dtype_t dtype;
  int64_t height, width;
  int64_t batch_stride, channel_stride, row_stride, pixel_stride;
} image;

/* Lines of floats with the channels of a group innermost, from the first tap of a strip's first pixel on. */
typedef struct strip {
  const float *data;
  int64_t group_stride, row_stride, pixel_stride;
  int64_t batch, first_row, first_column, rows, columns; /* of the output */
} strip;

typedef struct convolution_job {
  const mo_convolution_part *part;
  const mo_linear_kernels *kernels;
  image input, output, residual;
  int64_t batch, inner, group_columns; /* C / groups, O / groups */
  bool depthwise, direct, channels_last;
  mo_dtype_t panel_dtype;
  mo_linear_epilogue epilogue;    /* channels last */
  mo_line_epilogue line_epilogue; /* else */
  int32_t threads;
  /* Scratch memory. */
  int64_t strip_rows, strip_columns; /* of the output */
  float *copied;                     /* the strip; NULL if direct */
  float *products;                   /* per thread */
  int64_t product_floats;
} convolution_job;

static int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t maximum(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }
/* Start of part `index` when `count` things are cut into `parts` of nearly equal size. */
static int64_t cut(int64_t count, int64_t parts, int64_t index) {
  return count / parts * index + minimum(count % parts, index);
}

/* ---- Setting up ---- */

static image image_of(const mo_tensor *tensor) {
  return (image){.data = tensor->data,
                 .dtype = tensor->dtype,
                 .height = tensor->shape[2],
                 .width = tensor->shape[3],
                 .batch_stride = tensor->strides[0],
                 .channel_stride = tensor->shape[1] == 1 ? 1 : tensor->strides[1],
                 .row_stride = tensor->strides[2],
                 .pixel_stride = tensor->strides[3]};
}

/* Whether all lines of an image are one line. */
static bool is_one_line(const image *of) { return of->height == 1 || of->row_stride == of->width * of->pixel_stride; }

static void make_one_line(image *of) {
  of->width *= of->height;
  of->height = 1;
}

/* Input positions that an axis needs for `count` output positions. */
static int64_t reach(const mo_convolution_part *part, int32_t axis, int64_t count) {
  return (count - 1) * part->stride[axis] + (int64_t)part->dilation[axis] * (part->kernel[axis] - 1) + 1;
}

static bool stays_inside(const mo_convolution_part *part, int32_t axis, int64_t outputs, int64_t inputs) {
  return part->kernel[axis] == 0 || (part->padding[axis] <= 0 && reach(part, axis, outputs) - part->padding[axis] <= inputs);
}

/* A tensor's rows of channels in the order of its pixels. */
static mo_rows rows_of(const mo_tensor *tensor) {
  mo_tensor last = *tensor;
  for (int32_t i = 1; i < 3; ++i) last.shape[i] = tensor->shape[i + 1], last.strides[i] = tensor->strides[i + 1];
  last.shape[3] = tensor->shape[1], last.strides[3] = tensor->strides[1];
  return mo_rows_of(&last);
}

static void set_epilogue(convolution_job *job, const mo_convolution_params *p) {
  const mo_tensor *residual = p->residual;
  const mo_dtype_t bias_dtype = p->bias != NULL ? p->bias->dtype : MO_DTYPE_NONE;
  job->channels_last = job->output.channel_stride == 1 && (residual == NULL || job->residual.channel_stride == 1);
  job->epilogue = (mo_linear_epilogue){.output = p->output->data,
                                       .output_dtype = p->output->dtype,
                                       .output_rows = rows_of(p->output),
                                       .residual = residual != NULL ? residual->data : NULL,
                                       .bias = p->bias != NULL ? p->bias->data : NULL,
                                       .bias_dtype = bias_dtype,
                                       .activation = p->activation,
                                       .residual_first = p->residual_first};
  if (residual != NULL) job->epilogue.residual_rows = rows_of(residual);
  job->line_epilogue = (mo_line_epilogue){.output = p->output->data,
                                          .output_dtype = p->output->dtype,
                                          .output_strides = {job->output.pixel_stride, job->output.channel_stride},
                                          .residual = job->epilogue.residual,
                                          .residual_strides = {job->residual.pixel_stride, job->residual.channel_stride},
                                          .bias = job->epilogue.bias,
                                          .bias_dtype = bias_dtype,
                                          .activation = p->activation,
                                          .residual_first = p->residual_first};
}

static void job_init(convolution_job *job, const mo_context_t *context, const mo_convolution_params *p) {
  const mo_convolution_part *part = p->weight->parts;
  *job = (convolution_job){.part = part,
                           .kernels = mo_cpu_linear_kernels(),
                           .input = image_of(p->input),
                           .output = image_of(p->output),
                           .batch = p->output->shape[0],
                           .inner = part->channels / part->groups,
                           .group_columns = part->out_channels / part->groups,
                           .depthwise = part->groups > 1 && part->groups == part->channels};
  job->residual = p->residual != NULL ? image_of(p->residual) : job->output;
  job->panel_dtype = job->kernels->wide_panels ? MO_DTYPE_FLOAT32 : p->weight->dtype;
  const bool pointwise = part->kernel[0] == 1 && part->kernel[1] == 1 && part->stride[0] == 1 && part->stride[1] == 1 &&
                         part->padding[0] == 0 && part->padding[1] == 0;
  if (pointwise && is_one_line(&job->input) && is_one_line(&job->output) && is_one_line(&job->residual)) {
    make_one_line(&job->input);
    make_one_line(&job->output);
    make_one_line(&job->residual);
  }
  set_epilogue(job, p);
  job->direct = job->input.dtype == MO_DTYPE_FLOAT32 && job->input.channel_stride == 1 &&
                (part->groups == 1 || (job->depthwise && job->group_columns == 1)) &&
                stays_inside(part, 0, job->output.height, job->input.height) &&
                stays_inside(part, 1, job->output.width, job->input.width);
  const double work = (double)mo_tensor_count(p->output) * (double)job->inner * ((double)part->kernel[0] * part->kernel[1] + 1);
  job->threads = work < PARALLEL_WORK ? 1 : mo_context_thread_count(context);
  job->strip_rows = job->output.height;
  job->strip_columns = job->output.width;
}

/* Channels of a strip's pixel, all groups together. */
static int64_t strip_channels(const convolution_job *job) {
  return job->depthwise ? job->part->out_channels : job->part->channels;
}

/* As many lines as fit, or if one does not, as many pixels of one. */
static void cut_strips(convolution_job *job) {
  const mo_convolution_part *part = job->part;
  const int64_t channels = strip_channels(job);
  const int64_t line = maximum(reach(part, 1, job->output.width), 1) * channels;
  const int64_t lines = STRIP_FLOATS / maximum(line, 1);
  const int64_t rows = (lines - reach(part, 0, 1)) / part->stride[0] + 1;
  job->strip_rows = maximum(1, minimum(rows, job->output.height));
  if (job->strip_rows > 1 || job->output.height > 1) return;
  const int64_t pixels = STRIP_FLOATS / maximum(channels * maximum(reach(part, 0, 1), 1), 1);
  const int64_t columns = (pixels - reach(part, 1, 1)) / part->stride[1] + 1;
  job->strip_columns = maximum(minimum(64, job->output.width), minimum(columns, job->output.width));
}

static void job_carve(convolution_job *job, mo_arena *arena) {
  const mo_convolution_part *part = job->part;
  if (!job->direct) {
    const int64_t rows = maximum(reach(part, 0, job->strip_rows), 0), columns = maximum(reach(part, 1, job->strip_columns), 0);
    job->copied = mo_arena_carve(arena, (size_t)(rows * columns * strip_channels(job)) * sizeof(float));
  }
  job->product_floats = job->depthwise ? (int64_t)LINE_PIXELS * job->kernels->panel_columns
                                       : (int64_t)TASK_TILES * job->kernels->tile_rows * TASK_COLUMNS;
  job->products = mo_arena_carve(arena, (size_t)(job->threads * job->product_floats) * sizeof(float));
}

/* ---- A strip of the input ---- */

typedef struct strip_copy {
  const convolution_job *job;
  const strip *to;
  int64_t rows, columns; /* of the input */
} strip_copy;

static void copy_line(const convolution_job *job, float *to, int64_t to_stride, const char *from, int64_t pixels,
                      int64_t group) {
  const image *input = &job->input;
  const int64_t element = (int64_t)mo_dtype_bytes(input->dtype), inner = job->inner;
  if (!job->depthwise) {
    MO_CPU_SELECT(mo_channels_last_line)
    (to, to_stride, from + group * inner * input->channel_stride * element, input->dtype, input->pixel_stride,
     input->channel_stride, pixels, inner);
    return;
  }
  const int64_t copies = job->group_columns; /* output channels per input channel */
  if (copies == 1) {
    MO_CPU_SELECT(mo_channels_last_line)
    (to, to_stride, from, input->dtype, input->pixel_stride, input->channel_stride, pixels, job->part->channels);
    return;
  }
  for (int64_t o = 0; o < job->part->out_channels; ++o) MO_CPU_SELECT(mo_channels_last_line)
  (to + o, to_stride, from + o / copies * input->channel_stride * element, input->dtype, input->pixel_stride,
   input->channel_stride, pixels, 1);
}

/* Lines of all groups, one group behind the other. */
static void copy_lines(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const strip_copy *copy = argument;
  const convolution_job *job = copy->job;
  const mo_convolution_part *part = job->part;
  const image *input = &job->input;
  const strip *to = copy->to;
  const int64_t origin = to->first_column * part->stride[1] - part->padding[1];
  const int64_t begin = minimum(maximum(-origin, 0), copy->columns);
  const int64_t end = maximum(begin, minimum(copy->columns, input->width - origin));
  (void)slot;
  for (int64_t i = first; i < last; ++i) {
    const int64_t group = i / copy->rows, row = i % copy->rows;
    const int64_t y = to->first_row * part->stride[0] - part->padding[0] + row;
    float *line = job->copied + group * to->group_stride + row * to->row_stride;
    const size_t pixel = (size_t)to->pixel_stride * sizeof(float);
    if (y < 0 || y >= input->height) {
      memset(line, 0, (size_t)copy->columns * pixel);
      continue;
    }
    memset(line, 0, (size_t)begin * pixel);
    memset(line + end * to->pixel_stride, 0, (size_t)(copy->columns - end) * pixel);
    const int64_t offset = to->batch * input->batch_stride + y * input->row_stride + (origin + begin) * input->pixel_stride;
    if (end > begin)
      copy_line(job, line + begin * to->pixel_stride, to->pixel_stride,
                input->data + offset * (int64_t)mo_dtype_bytes(input->dtype), end - begin, group);
  }
}

static void take_strip(const convolution_job *job, strip *to) {
  const mo_convolution_part *part = job->part;
  const image *input = &job->input;
  if (job->direct) {
    const int64_t offset = to->batch * input->batch_stride +
                           (to->first_row * part->stride[0] - part->padding[0]) * input->row_stride +
                           (to->first_column * part->stride[1] - part->padding[1]) * input->pixel_stride;
    to->data = (const float *)input->data + offset;
    to->row_stride = input->row_stride;
    to->pixel_stride = input->pixel_stride;
    return;
  }
  const strip_copy copy = {
      .job = job, .to = to, .rows = maximum(reach(part, 0, to->rows), 0), .columns = maximum(reach(part, 1, to->columns), 0)};
  const int64_t groups = job->depthwise ? 1 : part->groups;
  to->data = job->copied;
  to->pixel_stride = strip_channels(job) / groups;
  to->row_stride = copy.columns * to->pixel_stride;
  to->group_stride = copy.rows * to->row_stride;
  if (copy.columns > 0) mo_parallel_for(job->threads, groups * copy.rows, 0, copy_lines, &copy);
}

/* ---- Products ---- */

/* Pixels [first, first + count) of the strip's line. */
static void finish(const convolution_job *job, const strip *of, int64_t row, int64_t first, int64_t count, int64_t channel,
                   int64_t channels, const float *product, int64_t product_stride) {
  const int64_t y = of->first_row + row, x = of->first_column + first;
  if (job->channels_last) {
    const int64_t pixel = (of->batch * job->output.height + y) * job->output.width + x;
    job->kernels->epilogue(&job->epilogue, product, product_stride, pixel, count, channel, channels);
    return;
  }
  const image *output = &job->output, *residual = &job->residual;
  MO_CPU_SELECT(mo_line_epilogue_run)
  (&job->line_epilogue, product, product_stride,
   of->batch * output->batch_stride + y * output->row_stride + x * output->pixel_stride,
   of->batch * residual->batch_stride + y * residual->row_stride + x * residual->pixel_stride, count, channel, channels);
}

/* A strip's pixels in tiles of a line each, its channels in panels; tasks are blocks of both. */
typedef struct strip_product {
  const convolution_job *job;
  const strip *of;
  int64_t line_tiles, tiles, panels; /* panels: of all groups */
  int64_t group_panels;
  int64_t tile_parts, panel_parts;
  /* Taps that are one run of memory: `run` elements, (runs[0], runs[1]) of them, `steps` apart; a long one in pieces. */
  int64_t run, runs[2], steps[2];
  int64_t pieces;
} strip_product;

static void run_tile(const strip_product *call, const float *input, int64_t rows, const char *panel, int64_t first,
                     int64_t last, float *product, int64_t product_stride) {
  const convolution_job *job = call->job;
  const int64_t stride = job->part->stride[1] * call->of->pixel_stride;
  const int64_t row_bytes = job->kernels->panel_columns * (int64_t)mo_dtype_bytes(job->panel_dtype);
  for (int64_t piece = first; piece < last; ++piece) {
    const int64_t r = piece / call->pieces;
    const int64_t k = cut(call->run, call->pieces, piece % call->pieces);
    const int64_t k_end = cut(call->run, call->pieces, piece % call->pieces + 1);
    const float *at = input + r / call->runs[1] * call->steps[0] + r % call->runs[1] * call->steps[1] + k;
    job->kernels->tile((int32_t)rows, at, stride, panel + (r * call->run + k) * row_bytes, job->panel_dtype, k_end - k, product,
                       product_stride, piece > 0);
  }
}

/* Blocks of the sum outside, so that a block of panels stays in the cache for all tiles of the task. */
static void run_task(const strip_product *call, int64_t task, int32_t slot) {
  const convolution_job *job = call->job;
  const strip *of = call->of;
  const int64_t width = job->kernels->panel_columns, tile_rows = job->kernels->tile_rows;
  const int64_t pieces = call->runs[0] * call->runs[1] * call->pieces;
  const int64_t t = task % call->tile_parts, c = task / call->tile_parts;
  const int64_t first_tile = cut(call->tiles, call->tile_parts, t), last_tile = cut(call->tiles, call->tile_parts, t + 1);
  const int64_t first_panel = cut(call->panels, call->panel_parts, c), last_panel = cut(call->panels, call->panel_parts, c + 1);
  const int64_t panel_bytes = call->runs[0] * call->runs[1] * call->run * width * (int64_t)mo_dtype_bytes(job->panel_dtype);
  const int64_t block = maximum(1, K_BLOCK * call->pieces / call->run);
  float *products = job->products + slot * job->product_floats;
  for (int64_t first = 0; first < pieces; first += block) {
    const int64_t last = minimum(first + block, pieces);
    for (int64_t tile = first_tile; tile < last_tile; ++tile) {
      const int64_t row = tile / call->line_tiles, place = tile % call->line_tiles;
      const int64_t pixel = cut(of->columns, call->line_tiles, place);
      const int64_t count = cut(of->columns, call->line_tiles, place + 1) - pixel;
      const float *line =
          of->data + row * job->part->stride[0] * of->row_stride + pixel * job->part->stride[1] * of->pixel_stride;
      for (int64_t p = first_panel; p < last_panel; ++p) {
        const int64_t group = p / call->group_panels, column = p % call->group_panels * width;
        float *product = products + (tile - first_tile) * tile_rows * TASK_COLUMNS + (p - first_panel) * width;
        const int64_t panel = group * (job->part->group_rows / width) + p % call->group_panels;
        run_tile(call, line + group * of->group_stride, count, (const char *)job->part->matrix->data + panel * panel_bytes,
                 first, last, product, TASK_COLUMNS);
        if (last < pieces) continue;
        finish(job, of, row, pixel, count, group * job->group_columns + column, minimum(width, job->group_columns - column),
               product, TASK_COLUMNS);
      }
    }
  }
}

static void run_tasks(const void *argument, int64_t first, int64_t last, int32_t slot) {
  for (int64_t task = first; task < last; ++task) run_task(argument, task, slot);
}

static void run_dense(const convolution_job *job, const strip *of) {
  const mo_convolution_part *part = job->part;
  const int64_t width = job->kernels->panel_columns;
  strip_product call = {.job = job,
                        .of = of,
                        .line_tiles = ceiling(of->columns, job->kernels->tile_rows),
                        .group_panels = ceiling(job->group_columns, width)};
  call.tiles = of->rows * call.line_tiles;
  call.panels = call.group_panels * part->groups;
  const bool joined = part->dilation[1] == 1 && of->pixel_stride == job->inner;
  call.run = joined ? part->kernel[1] * job->inner : job->inner;
  call.runs[0] = part->kernel[0];
  call.runs[1] = joined ? 1 : part->kernel[1];
  call.steps[0] = part->dilation[0] * of->row_stride;
  call.steps[1] = part->dilation[1] * of->pixel_stride;
  call.pieces = ceiling(call.run, K_BLOCK);
  call.tile_parts = ceiling(call.tiles, TASK_TILES);
  call.panel_parts = ceiling(call.panels, TASK_COLUMNS / width);
  const int64_t wanted = job->threads > 1 ? (int64_t)job->threads * TASKS_PER_THREAD : 1;
  while (call.tile_parts * call.panel_parts < wanted && call.tile_parts < call.tiles)
    call.tile_parts = minimum(call.tiles, call.tile_parts * 2);
  while (call.tile_parts * call.panel_parts < wanted && call.panel_parts < call.panels)
    call.panel_parts = minimum(call.panels, call.panel_parts * 2);
  mo_parallel_for(job->threads, call.tile_parts * call.panel_parts, 1, run_tasks, &call);
}

/* ---- Depthwise ---- */

typedef struct depthwise_call {
  const convolution_job *job;
  const strip *of;
  int64_t line_parts, panels;
} depthwise_call;

static void run_depthwise_tasks(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const depthwise_call *call = argument;
  const convolution_job *job = call->job;
  const mo_convolution_part *part = job->part;
  const strip *of = call->of;
  const int64_t width = job->kernels->panel_columns;
  const int64_t panel_bytes = (int64_t)part->kernel[0] * part->kernel[1] * width * (int64_t)mo_dtype_bytes(job->panel_dtype);
  float *product = job->products + slot * job->product_floats;
  for (int64_t task = first; task < last; ++task) {
    const int64_t p = task % call->panels, line_part = task / call->panels;
    const int64_t row = line_part / call->line_parts, place = line_part % call->line_parts;
    const int64_t pixel = cut(of->columns, call->line_parts, place);
    const int64_t count = cut(of->columns, call->line_parts, place + 1) - pixel;
    const int64_t channels = minimum(width, part->out_channels - p * width);
    const mo_depthwise_line line = {
        .input = of->data + row * part->stride[0] * of->row_stride + pixel * part->stride[1] * of->pixel_stride + p * width,
        .pixel_stride = part->stride[1] * of->pixel_stride,
        .tap_strides = {part->dilation[0] * of->row_stride, part->dilation[1] * of->pixel_stride},
        .kernel = {part->kernel[0], part->kernel[1]},
        .panel = part->matrix != NULL ? (const char *)part->matrix->data + p * panel_bytes : NULL,
        .dtype = job->panel_dtype,
        .channels = (int32_t)channels};
    MO_CPU_SELECT(mo_depthwise_line_run)(&line, count, product);
    finish(job, of, row, pixel, count, p * width, channels, product, width);
  }
}

static void run_depthwise(const convolution_job *job, const strip *of) {
  const depthwise_call call = {.job = job,
                               .of = of,
                               .line_parts = ceiling(of->columns, LINE_PIXELS),
                               .panels = ceiling(job->part->out_channels, job->kernels->panel_columns)};
  mo_parallel_for(job->threads, of->rows * call.line_parts * call.panels, 0, run_depthwise_tasks, &call);
}

/* ---- The whole ---- */

/* A part of a transposed convolution that no tap reaches: bias and residual alone. */
static void run_without_taps(const convolution_job *job, const strip *of) {
  const int64_t width = job->kernels->panel_columns;
  float *zeros = job->products;
  memset(zeros, 0, (size_t)(job->kernels->tile_rows * width) * sizeof(float));
  for (int64_t row = 0; row < of->rows; ++row) {
    for (int64_t pixel = 0; pixel < of->columns; pixel += job->kernels->tile_rows) {
      const int64_t count = minimum(job->kernels->tile_rows, of->columns - pixel);
      for (int64_t channel = 0; channel < job->part->out_channels; channel += width)
        finish(job, of, row, pixel, count, channel, minimum(width, job->part->out_channels - channel), zeros, width);
    }
  }
}

static void run_strip(const convolution_job *job, strip *of) {
  if (job->part->matrix == NULL) {
    run_without_taps(job, of);
    return;
  }
  take_strip(job, of);
  if (job->depthwise) run_depthwise(job, of);
  else run_dense(job, of);
}

mo_status_t mo_cpu_convolution(mo_context_t *context, const mo_convolution_params *params) {
  convolution_job job;
  job_init(&job, context, params);
  if (job.part->matrix == NULL) job.direct = true;
  if (!job.direct) cut_strips(&job);
  mo_arena arena = {.base = NULL};
  job_carve(&job, &arena);
  MO_CHECK(arena.used != SIZE_MAX, MO_STATUS_OUT_OF_MEMORY, "convolution: a line of the input does not fit into memory");
  void *memory;
  MO_TRY(mo_context_scratch(context, arena.used, &memory));
  arena = (mo_arena){.base = memory, .capacity = arena.used};
  job_carve(&job, &arena);
  for (int64_t b = 0; b < job.batch; ++b) {
    for (int64_t y = 0; y < job.output.height; y += job.strip_rows) {
      for (int64_t x = 0; x < job.output.width; x += job.strip_columns) {
        strip part = {.batch = b,
                      .first_row = y,
                      .first_column = x,
                      .rows = minimum(job.strip_rows, job.output.height - y),
                      .columns = minimum(job.strip_columns, job.output.width - x)};
        run_strip(&job, &part);
      }
    }
  }
  return MO_STATUS_OK;
}
