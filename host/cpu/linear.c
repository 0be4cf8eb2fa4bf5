/* host/cpu/linear.c - the dense layer on the CPU: blocking and threads around the register tiles of linear_kernels.c.
 *
 * THE WAY OF A PRODUCT. Output columns come in panels (linear_kernels.h), output rows in tiles, k in blocks. A task is a few
 * panels times a few tiles: its share of the weight stays in the L2 cache, the input rows of one tile in L1. Tasks are handed
 * out dynamically; every output element is computed by one task in one fixed order, so the result does not depend on who got
 * it. Bias, activation, residual and rounding happen on a tile that is still in L1.
 *
 * A weight that was not packed: few rows go through dot products straight from the weight; more rows are worth packing panels
 * into scratch memory (all threads together) and going on as above. On a processor with AVX-512, one thread, M 1..512, this
 * beat OpenBLAS (AVX2 kernels) at every shape tried.
 *
 * 16-bit and irregularly strided inputs are widened into scratch once, a block of rows at a time. Sums are always float32.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "host/core/arena.h"
#include "host/core/parallel.h"
#include "host/cpu/cpu_ops.h"
#include "host/cpu/isa.h"
#include "host/cpu/linear_kernels.h"

/* Rows of a tile times this many bytes of k must leave room in a 32 or 48 KiB L1 cache: 12 * 768 * 4 = 36 KiB. */
#define K_BLOCK 768
/* Of one task: 8 * 12 rows and 4 * 32 columns; 4 panels of a k block are 384 KiB of L2. */
#define TASK_TILES 8
#define TASK_COLUMNS 128
/* Tasks per thread below which tasks are made smaller, so that the last ones end together. */
#define TASKS_PER_THREAD 6
/* Rows widened at a time. */
#define ROW_BLOCK 1024
/* Weights packed on the fly at a time. */
#define SCRATCH_BYTES ((int64_t)16 << 20)
/* Up to this many rows a weight that is not packed is read by dot products: packing pays from 16 to 24 rows on (measured). */
#define PACK_ROWS 20
/* Columns of one dot-product task. */
#define DOT_TASK_COLUMNS 16
/* Multiply-adds below which starting a second thread costs more than it gives. */
#define PARALLEL_WORK 100000

typedef struct linear_job {
  const mo_linear_kernels *kernels;
  mo_linear_epilogue epilogue;
  int64_t rows, columns, depth; /* M, N, K */
  const void *input;
  mo_dtype_t input_dtype;
  mo_rows input_rows;
  bool widens; /* the input goes through scratch memory */
  int64_t widened_stride;
  int32_t threads;
  float *widened;        /* (min(rows, ROW_BLOCK), widened_stride) */
  float *partial;        /* per thread: sums between blocks of k; NULL with one block */
  int64_t partial_count; /* floats per thread */
} linear_job;

const mo_linear_kernels *mo_cpu_linear_kernels(void) {
#if defined(__x86_64__)
  if (mo_cpu_isa() == MO_CPU_ISA_AVX512) return &mo_linear_kernels_avx512;
  if (mo_cpu_isa() == MO_CPU_ISA_AVX2) return &mo_linear_kernels_avx2;
#endif
  return &mo_linear_kernels_generic;
}

static int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Start of part `index` when `count` things are cut into `parts` of nearly equal size. */
static int64_t part(int64_t count, int64_t parts, int64_t index) {
  return count / parts * index + minimum(count % parts, index);
}

static const void *advance(const void *memory, mo_dtype_t dtype, int64_t elements) {
  return elements == 0 ? memory : (const char *)memory + elements * (int64_t)mo_dtype_bytes(dtype);
}

/* Elements from one row of a weight to the next. Rows without elements (K = 0) have no memory to step through, whatever the
 * stride says. */
static int64_t row_stride(const mo_tensor *weight) { return weight->shape[1] == 0 ? 0 : weight->strides[0]; }

static int64_t k_blocks(int64_t depth) { return depth > K_BLOCK ? ceiling(depth, K_BLOCK) : 1; }

/* Row stride of widened inputs: whole cache lines, and not a multiple of 4096 bytes, on which the rows of a tile would all fall
 * into the same cache set. */
static int64_t widened_stride(int64_t depth) {
  const int64_t stride = (depth + 15) & ~INT64_C(15);
  return stride % 1024 == 0 ? stride + 16 : stride;
}

static void job_init(linear_job *job, const mo_context_t *context, const mo_linear_params *p) {
  const mo_tensor *output = p->output, *input = p->input;
  *job = (linear_job){
      .kernels = mo_cpu_linear_kernels(),
      .epilogue = {.output = output->data,
                   .output_dtype = output->dtype,
                   .output_rows = mo_rows_of(output),
                   .activation = p->activation},
      .columns = output->shape[output->rank - 1],
      .depth = input->shape[input->rank - 1],
      .input = input->data,
      .input_dtype = input->dtype,
      .input_rows = mo_rows_of(input),
  };
  if (p->residual != NULL) {
    job->epilogue.residual = p->residual->data;
    job->epilogue.residual_rows = mo_rows_of(p->residual);
  }
  if (p->bias != NULL) {
    job->epilogue.bias = p->bias->data;
    job->epilogue.bias_dtype = p->bias->dtype;
  }
  job->rows = job->epilogue.output_rows.count;
  job->widens = job->depth > 0 && (input->dtype != MO_DTYPE_FLOAT32 || job->input_rows.rank > 1);
  job->widened_stride = widened_stride(job->depth);
  const double work = (double)job->rows * (double)job->columns * (double)(job->depth + 1);
  job->threads = work < PARALLEL_WORK ? 1 : mo_context_thread_count(context);
}

static void job_carve(linear_job *job, mo_arena *arena) {
  if (job->widens) {
    job->widened = mo_arena_carve(arena, (size_t)(minimum(job->rows, ROW_BLOCK) * job->widened_stride) * sizeof(float));
  }
  if (k_blocks(job->depth) > 1) {
    job->partial_count = (int64_t)TASK_TILES * job->kernels->tile_rows * TASK_COLUMNS;
    job->partial = mo_arena_carve(arena, (size_t)job->threads * (size_t)job->partial_count * sizeof(float));
  }
}

/* The input's row `row`, which lies in the block that starts at `block`; *stride to the next one. */
static const float *input_row(const linear_job *job, int64_t block, int64_t row, int64_t *stride) {
  *stride = job->widens ? job->widened_stride : job->depth > 0 ? job->input_rows.strides[0] : 0;
  if (job->widens) return job->widened + (row - block) * job->widened_stride;
  return advance(job->input, MO_DTYPE_FLOAT32, row * *stride);
}

typedef struct widening {
  const linear_job *job;
  int64_t first; /* row of the input that becomes row 0 of `widened` */
} widening;

static void widen_some(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const widening *w = argument;
  const linear_job *job = w->job;
  (void)slot;
  for (int64_t i = first; i < last; ++i) {
    const void *source = advance(job->input, job->input_dtype, mo_rows_offset(&job->input_rows, w->first + i));
    job->kernels->widen(job->widened + i * job->widened_stride, source, job->input_dtype, job->depth);
  }
}

static void widen_rows(const linear_job *job, int64_t first, int64_t count) {
  const int32_t threads = count * job->depth < PARALLEL_WORK ? 1 : job->threads;
  mo_parallel_for(threads, count, 0, widen_some, &(widening){.job = job, .first = first});
}

/* ---- Panels ---- */

typedef struct panel_set {
  const void *panels;
  mo_dtype_t dtype;
  int64_t first_column; /* of the output */
  int64_t columns;
} panel_set;

/* A block of rows times a set of panels: tasks are row_parts of the rows times column_parts of the columns. */
typedef struct panel_product {
  const linear_job *job;
  const panel_set *set;
  int64_t block, block_rows;
  int64_t tiles, panels;
  int64_t row_parts, column_parts;
} panel_product;

/* One task: some tiles of the `tiles` that the rows are cut into, times some panels. */
static void run_task(const panel_product *call, int64_t task, int32_t slot) {
  const linear_job *job = call->job;
  const panel_set *set = call->set;
  const mo_linear_kernels *kernels = job->kernels;
  const int64_t block = call->block, block_rows = call->block_rows, tiles = call->tiles;
  const int64_t r = task % call->row_parts, c = task / call->row_parts;
  const int64_t first_tile = part(tiles, call->row_parts, r), last_tile = part(tiles, call->row_parts, r + 1);
  const int64_t first_panel = part(call->panels, call->column_parts, c);
  const int64_t last_panel = part(call->panels, call->column_parts, c + 1);
  const int64_t width = kernels->panel_columns;
  const int64_t blocks = k_blocks(job->depth);
  _Alignas(64) float tile[MO_LINEAR_TILE_ROWS_MAX * MO_LINEAR_PANEL_COLUMNS_MAX];
  const int64_t task_row = block + part(block_rows, tiles, first_tile);
  float *partial = job->partial != NULL ? job->partial + slot * job->partial_count : NULL;

  for (int64_t kb = 0; kb < blocks; ++kb) {
    const int64_t k = part(job->depth, blocks, kb), k_count = part(job->depth, blocks, kb + 1) - k;
    for (int64_t t = first_tile; t < last_tile; ++t) {
      const int64_t row = block + part(block_rows, tiles, t);
      const int64_t rows = block + part(block_rows, tiles, t + 1) - row;
      int64_t stride;
      const float *input = input_row(job, block, row, &stride);
      for (int64_t p = first_panel; p < last_panel; ++p) {
        const void *panel = advance(set->panels, set->dtype, (p * job->depth + k) * width);
        float *product = partial != NULL ? partial + (row - task_row) * TASK_COLUMNS + (p - first_panel) * width : tile;
        const int64_t product_stride = partial != NULL ? TASK_COLUMNS : width;
        kernels->tile((int32_t)rows, advance(input, MO_DTYPE_FLOAT32, k), stride, panel, set->dtype, k_count, product,
                      product_stride, kb > 0);
        if (kb == blocks - 1) {
          kernels->epilogue(&job->epilogue, product, product_stride, row, rows, set->first_column + p * width,
                            minimum(width, set->columns - p * width));
        }
      }
    }
  }
}

static void run_some_tasks(const void *argument, int64_t first, int64_t last, int32_t slot) {
  for (int64_t task = first; task < last; ++task) run_task(argument, task, slot);
}

static void run_panels(const linear_job *job, const panel_set *set) {
  const int64_t width = job->kernels->panel_columns;
  const int64_t panels = ceiling(set->columns, width);
  const int64_t step = job->widens ? ROW_BLOCK : job->rows;
  for (int64_t block = 0; block < job->rows; block += step) {
    const int64_t rows = minimum(step, job->rows - block);
    if (job->widens) widen_rows(job, block, rows);
    const int64_t tiles = ceiling(rows, job->kernels->tile_rows);
    int64_t row_parts = ceiling(tiles, TASK_TILES), column_parts = ceiling(panels, TASK_COLUMNS / width);
    const int64_t wanted = job->threads > 1 ? (int64_t)job->threads * TASKS_PER_THREAD : 1;
    while (row_parts * column_parts < wanted && (row_parts < tiles || column_parts < panels)) {
      /* Whichever side of the task is longer, counted in tiles, is cut. */
      if (column_parts < panels && (row_parts >= tiles || panels * row_parts >= tiles * column_parts)) {
        column_parts = minimum(panels, column_parts * 2);
      } else {
        row_parts = minimum(tiles, row_parts * 2);
      }
    }
    const panel_product product = {.job = job,
                                   .set = set,
                                   .block = block,
                                   .block_rows = rows,
                                   .tiles = tiles,
                                   .panels = panels,
                                   .row_parts = row_parts,
                                   .column_parts = column_parts};
    mo_parallel_for(job->threads, row_parts * column_parts, 1, run_some_tasks, &product);
  }
}

/* ---- Weights ---- */

/* The rows of several weights, one under the other. */
static const void *weight_row(const mo_tensor *const *weights, int64_t row) {
  while (row >= (*weights)->shape[0]) row -= (*weights++)->shape[0];
  return advance((*weights)->data, (*weights)->dtype, row * row_stride(*weights));
}

static mo_dtype_t panel_dtype(const mo_linear_kernels *kernels, mo_dtype_t dtype) {
  return kernels->wide_panels ? MO_DTYPE_FLOAT32 : dtype;
}

/* Panels of the weights' rows [first, first + count). */
typedef struct packing {
  const mo_linear_kernels *kernels;
  const mo_tensor *const *weights;
  int64_t first, count, depth;
  char *panels;
} packing;

static void pack_some(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const packing *to = argument;
  const int64_t width = to->kernels->panel_columns;
  const mo_dtype_t dtype = to->weights[0]->dtype;
  const int64_t panel_bytes = width * to->depth * (int64_t)mo_dtype_bytes(panel_dtype(to->kernels, dtype));
  (void)slot;
  for (int64_t p = first; p < last; ++p) {
    const void *rows[MO_LINEAR_PANEL_COLUMNS_MAX];
    const int32_t row_count = (int32_t)minimum(width, to->count - p * width);
    for (int32_t i = 0; i < row_count; ++i) rows[i] = weight_row(to->weights, to->first + p * width + i);
    to->kernels->pack_panel(to->panels + p * panel_bytes, dtype, rows, row_count, to->depth);
  }
}

static void pack_panels(const packing *to, int32_t threads) {
  mo_parallel_for(threads, ceiling(to->count, to->kernels->panel_columns), 0, pack_some, to);
}

mo_status_t mo_cpu_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                               mo_packed_weight_t *packed) {
  (void)count; /* packed->rows is the sum of theirs */
  const mo_linear_kernels *kernels = mo_cpu_linear_kernels();
  const int64_t rows = ceiling(packed->rows, kernels->panel_columns) * kernels->panel_columns;
  int64_t bytes;
  MO_CHECK(mo_checked_mul(rows, packed->columns, &bytes) &&
               mo_checked_mul(bytes, (int64_t)mo_dtype_bytes(panel_dtype(kernels, packed->dtype)), &bytes),
           MO_STATUS_OUT_OF_MEMORY, "linear: a packed weight of %lld x %lld does not fit into memory", (long long)packed->rows,
           (long long)packed->columns);
  MO_TRY(mo_context_allocate(context, (size_t)bytes, &packed->data));
  pack_panels(
      &(packing){
          .kernels = kernels, .weights = weights, .count = packed->rows, .depth = packed->columns, .panels = packed->data},
      mo_context_thread_count(context));
  return MO_STATUS_OK;
}

void mo_cpu_packed_weight_release(mo_packed_weight_t *packed) { mo_context_release(packed->context, packed->data); }

static mo_status_t run_packed(linear_job *job, mo_context_t *context, const mo_packed_weight_t *packed) {
  mo_arena arena = {.base = NULL};
  job_carve(job, &arena);
  arena = (mo_arena){.capacity = arena.used};
  if (arena.capacity > 0) {
    void *memory;
    MO_TRY(mo_context_scratch(context, arena.capacity, &memory));
    arena.base = memory;
    job_carve(job, &arena);
  }
  const mo_dtype_t dtype = panel_dtype(job->kernels, packed->dtype);
  run_panels(job, &(panel_set){.panels = packed->data, .dtype = dtype, .columns = job->columns});
  return MO_STATUS_OK;
}

/* Many rows: panels are packed into scratch, as many columns at a time as SCRATCH_BYTES holds. */
static mo_status_t run_packing(linear_job *job, mo_context_t *context, const mo_tensor *weight) {
  const mo_dtype_t dtype = panel_dtype(job->kernels, weight->dtype);
  const int64_t width = job->kernels->panel_columns;
  const int64_t panel_bytes = width * job->depth * (int64_t)mo_dtype_bytes(dtype);
  int64_t panels = panel_bytes > 0 ? SCRATCH_BYTES / panel_bytes : ceiling(job->columns, width);
  panels = minimum(panels < 1 ? 1 : panels, ceiling(job->columns, width));
  mo_arena arena = {.base = NULL};
  job_carve(job, &arena);
  mo_arena_carve(&arena, (size_t)(panels * panel_bytes));
  arena = (mo_arena){.capacity = arena.used};
  void *memory;
  MO_TRY(mo_context_scratch(context, arena.capacity, &memory));
  arena.base = memory;
  job_carve(job, &arena);
  void *packed = mo_arena_carve(&arena, (size_t)(panels * panel_bytes));
  for (int64_t first = 0; first < job->columns; first += panels * width) {
    const int64_t columns = minimum(panels * width, job->columns - first);
    pack_panels(&(packing){.kernels = job->kernels,
                           .weights = &weight,
                           .first = first,
                           .count = columns,
                           .depth = job->depth,
                           .panels = packed},
                job->threads);
    run_panels(job, &(panel_set){.panels = packed, .dtype = dtype, .first_column = first, .columns = columns});
  }
  return MO_STATUS_OK;
}

typedef struct dot_products {
  const linear_job *job;
  const mo_tensor *weight;
} dot_products;

/* Tasks of DOT_TASK_COLUMNS columns each. */
static void run_some_dots(const void *argument, int64_t first, int64_t last, int32_t slot) {
  const dot_products *products = argument;
  const linear_job *job = products->job;
  const mo_tensor *weight = products->weight;
  (void)slot;
  for (int64_t task = first; task < last; ++task) {
    const int64_t column = task * DOT_TASK_COLUMNS, columns = minimum(DOT_TASK_COLUMNS, job->columns - column);
    const void *rows_of_weight = advance(weight->data, weight->dtype, column * row_stride(weight));
    _Alignas(64) float product[MO_LINEAR_DOT_ROWS * DOT_TASK_COLUMNS];
    for (int64_t row = 0; row < job->rows; row += MO_LINEAR_DOT_ROWS) {
      const int64_t rows = minimum(MO_LINEAR_DOT_ROWS, job->rows - row);
      int64_t stride;
      const float *input = input_row(job, 0, row, &stride);
      job->kernels->dot((int32_t)rows, input, stride, rows_of_weight, weight->dtype, row_stride(weight), (int32_t)columns,
                        job->depth, product, DOT_TASK_COLUMNS);
      job->kernels->epilogue(&job->epilogue, product, DOT_TASK_COLUMNS, row, rows, column, columns);
    }
  }
}

/* Few rows: at most PACK_ROWS. */
static mo_status_t run_dots(linear_job *job, mo_context_t *context, const mo_tensor *weight) {
  if (job->widens) {
    void *memory;
    MO_TRY(mo_context_scratch(context, (size_t)(job->rows * job->widened_stride) * sizeof(float), &memory));
    job->widened = memory;
    widen_rows(job, 0, job->rows);
  }
  mo_parallel_for(job->threads, ceiling(job->columns, DOT_TASK_COLUMNS), 1, run_some_dots,
                  &(dot_products){.job = job, .weight = weight});
  return MO_STATUS_OK;
}

mo_status_t mo_cpu_linear(mo_context_t *context, const mo_linear_params *params) {
  linear_job job;
  job_init(&job, context, params);
  if (params->packed_weight != NULL) return run_packed(&job, context, params->packed_weight);
  if (job.rows <= PACK_ROWS) return run_dots(&job, context, params->weight);
  return run_packing(&job, context, params->weight);
}
