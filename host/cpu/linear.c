/* host/cpu/linear.c - the dense layer on the CPU: blocking and threads around the register tiles of linear_kernels.c.
 *
 * THE WAY OF A PRODUCT. Output columns come in panels (linear_kernels.h), output rows in tiles, k in blocks. A task is a few
 * panels times a few tiles: its share of the weight stays in the L2 cache, the input rows of one tile in L1. Tasks are handed
 * out dynamically; every output element is computed by one task in one fixed order, so the result does not depend on who got
 * it. Bias, activation, residual and rounding happen on a tile that is still in L1.
 *
 * A weight that was not packed: few rows go through dot products straight from the weight; more rows are worth packing panels
 * into scratch memory (all threads together) and going on as above. On a processor with AVX-512, one thread, M 1..512, this
 * beat OpenBLAS (AVX2 kernels) at every shape tried, so CBLAS is not used where there are panels.
 *
 * 16-bit and irregularly strided inputs are widened into scratch once, a block of rows at a time. Sums are always float32.
 *
 * Without AVX2 the product is left to CBLAS and followed by one pass of the epilogue. CBLAS is called outside of parallel
 * regions and uses its own threads (OPENBLAS_NUM_THREADS, or OMP_NUM_THREADS with its OpenMP build, which shares our threads);
 * everything else here uses mo_context_thread_count() of them.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <cblas.h>
#include <limits.h>
#include <omp.h>
#include <string.h>

#include "host/core/arena.h"
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
/* Weights packed on the fly, or products of CBLAS, at a time. */
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
  int threads;
  float *widened;        /* (min(rows, ROW_BLOCK), widened_stride) */
  float *partial;        /* per thread: sums between blocks of k; NULL with one block */
  int64_t partial_count; /* floats per thread */
} linear_job;

static const mo_linear_kernels *linear_kernels(void) {
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
      .kernels = linear_kernels(),
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
  job->threads = work < PARALLEL_WORK ? 1 : (int)mo_context_thread_count(context);
}

static void job_carve(linear_job *job, mo_arena *arena) {
  if (job->widens) {
    job->widened = mo_arena_carve(arena, (size_t)(minimum(job->rows, ROW_BLOCK) * job->widened_stride) * sizeof(float));
  }
  if (job->kernels->panel_columns != 0 && k_blocks(job->depth) > 1) {
    job->partial_count = (int64_t)TASK_TILES * job->kernels->tile_rows * TASK_COLUMNS;
    job->partial = mo_arena_carve(arena, (size_t)(job->threads * job->partial_count) * sizeof(float));
  }
}

/* The input's row `row`, which lies in the block that starts at `block`; *stride to the next one. */
static const float *input_row(const linear_job *job, int64_t block, int64_t row, int64_t *stride) {
  *stride = job->widens ? job->widened_stride : job->depth > 0 ? job->input_rows.strides[0] : 0;
  if (job->widens) return job->widened + (row - block) * job->widened_stride;
  return advance(job->input, MO_DTYPE_FLOAT32, row * *stride);
}

/* Work-shared: to be called by all threads of a region of ours (outside of one it would bind to a region of the caller's). Ends
 * with a barrier. */
static void widen_rows(const linear_job *job, int64_t first, int64_t count) {
#pragma omp for schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    const void *source = advance(job->input, job->input_dtype, mo_rows_offset(&job->input_rows, first + i));
    job->kernels->widen(job->widened + i * job->widened_stride, source, job->input_dtype, job->depth);
  }
}

/* ---- Panels ---- */

typedef struct panel_set {
  const void *panels;
  mo_dtype_t dtype;
  int64_t first_column; /* of the output */
  int64_t columns;
} panel_set;

/* One task: tiles [first_tile, last_tile) of the `tiles` that rows [block, block + block_rows) are cut into, times panels
 * [first_panel, last_panel). */
static void run_task(const linear_job *job, const panel_set *set, int64_t block, int64_t block_rows, int64_t tiles,
                     int64_t first_tile, int64_t last_tile, int64_t first_panel, int64_t last_panel) {
  const mo_linear_kernels *kernels = job->kernels;
  const int64_t width = kernels->panel_columns;
  const int64_t blocks = k_blocks(job->depth);
  _Alignas(64) float tile[MO_LINEAR_TILE_ROWS_MAX * MO_LINEAR_PANEL_COLUMNS_MAX];
  const int64_t task_row = block + part(block_rows, tiles, first_tile);
  float *partial = job->partial != NULL ? job->partial + omp_get_thread_num() * job->partial_count : NULL;

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

static void run_panels(const linear_job *job, const panel_set *set) {
  const int64_t width = job->kernels->panel_columns;
  const int64_t panels = ceiling(set->columns, width);
  const int64_t step = job->widens ? ROW_BLOCK : job->rows;
#pragma omp parallel num_threads(job->threads) if (job->threads > 1)
  for (int64_t block = 0; block < job->rows; block += step) {
    const int64_t rows = minimum(step, job->rows - block);
    if (job->widens) {
      /* The tasks of the block before must be through with its rows; the tasks of this block wait for theirs in widen_rows. */
#pragma omp barrier
      widen_rows(job, block, rows);
    }
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
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t task = 0; task < row_parts * column_parts; ++task) {
      const int64_t r = task % row_parts, c = task / row_parts;
      run_task(job, set, block, rows, tiles, part(tiles, row_parts, r), part(tiles, row_parts, r + 1),
               part(panels, column_parts, c), part(panels, column_parts, c + 1));
    }
  }
}

/* ---- Weights ---- */

/* The rows of several weights, one under the other. */
static const void *weight_row(const mo_tensor *const *weights, int64_t row) {
  while (row >= (*weights)->shape[0]) row -= (*weights++)->shape[0];
  return advance((*weights)->data, (*weights)->dtype, row * (*weights)->strides[0]);
}

/* Panels of the weights' rows [first, first + count). */
static void pack_panels(const mo_linear_kernels *kernels, int threads, const mo_tensor *const *weights, int64_t first,
                        int64_t count, int64_t depth, void *panels) {
  const int64_t width = kernels->panel_columns, panel_count = ceiling(count, width);
  const mo_dtype_t dtype = weights[0]->dtype;
  const int64_t panel_bytes = width * depth * (int64_t)mo_dtype_bytes(dtype);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && panel_count > 1)
  for (int64_t p = 0; p < panel_count; ++p) {
    const void *rows[MO_LINEAR_PANEL_COLUMNS_MAX];
    const int32_t row_count = (int32_t)minimum(width, count - p * width);
    for (int32_t i = 0; i < row_count; ++i) rows[i] = weight_row(weights, first + p * width + i);
    kernels->pack_panel((char *)panels + p * panel_bytes, dtype, rows, row_count, depth);
  }
}

mo_status_t mo_cpu_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                               mo_packed_weight_t *packed) {
  (void)count; /* packed->rows is the sum of theirs */
  const mo_linear_kernels *kernels = linear_kernels();
  const bool panels = kernels->panel_columns != 0;
  const int64_t rows = panels ? ceiling(packed->rows, kernels->panel_columns) * kernels->panel_columns : packed->rows;
  int64_t bytes;
  MO_CHECK(mo_checked_mul(rows, packed->columns, &bytes) &&
               mo_checked_mul(bytes, panels ? (int64_t)mo_dtype_bytes(packed->dtype) : (int64_t)sizeof(float), &bytes),
           MO_STATUS_OUT_OF_MEMORY, "linear: a packed weight of %lld x %lld does not fit into memory", (long long)packed->rows,
           (long long)packed->columns);
  MO_TRY(mo_context_allocate(context, (size_t)bytes, &packed->data));
  const int threads = (int)mo_context_thread_count(context);
  if (panels) {
    pack_panels(kernels, threads, weights, 0, packed->rows, packed->columns, packed->data);
  } else { /* CBLAS takes float32 rows */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < packed->rows; ++i) {
      kernels->widen((float *)packed->data + i * packed->columns, weight_row(weights, i), packed->dtype, packed->columns);
    }
  }
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
  run_panels(job, &(panel_set){.panels = packed->data, .dtype = packed->dtype, .columns = job->columns});
  return MO_STATUS_OK;
}

/* Many rows: panels are packed into scratch, as many columns at a time as SCRATCH_BYTES holds. */
static mo_status_t run_packing(linear_job *job, mo_context_t *context, const mo_tensor *weight) {
  const int64_t width = job->kernels->panel_columns, element = (int64_t)mo_dtype_bytes(weight->dtype);
  const int64_t panel_bytes = width * job->depth * element;
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
    pack_panels(job->kernels, job->threads, &weight, first, columns, job->depth, packed);
    run_panels(job, &(panel_set){.panels = packed, .dtype = weight->dtype, .first_column = first, .columns = columns});
  }
  return MO_STATUS_OK;
}

/* Few rows: at most PACK_ROWS. */
static mo_status_t run_dots(linear_job *job, mo_context_t *context, const mo_tensor *weight) {
  if (job->widens) {
    void *memory;
    MO_TRY(mo_context_scratch(context, (size_t)(job->rows * job->widened_stride) * sizeof(float), &memory));
    job->widened = memory;
#pragma omp parallel num_threads(job->threads) if (job->threads > 1)
    widen_rows(job, 0, job->rows);
  }
  const int64_t tasks = ceiling(job->columns, DOT_TASK_COLUMNS);
#pragma omp parallel for schedule(dynamic, 1) num_threads(job->threads) if (job->threads > 1)
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t column = task * DOT_TASK_COLUMNS, columns = minimum(DOT_TASK_COLUMNS, job->columns - column);
    const void *rows_of_weight = advance(weight->data, weight->dtype, column * weight->strides[0]);
    _Alignas(64) float product[MO_LINEAR_DOT_ROWS * DOT_TASK_COLUMNS];
    for (int64_t row = 0; row < job->rows; row += MO_LINEAR_DOT_ROWS) {
      const int64_t rows = minimum(MO_LINEAR_DOT_ROWS, job->rows - row);
      int64_t stride;
      const float *input = input_row(job, 0, row, &stride);
      job->kernels->dot((int32_t)rows, input, stride, rows_of_weight, weight->dtype, weight->strides[0], (int32_t)columns,
                        job->depth, product, DOT_TASK_COLUMNS);
      job->kernels->epilogue(&job->epilogue, product, DOT_TASK_COLUMNS, row, rows, column, columns);
    }
  }
  return MO_STATUS_OK;
}

/* ---- CBLAS ---- */

/* The weight as CBLAS takes it: float32 rows, a stride of at least K. */
typedef struct blas_weight {
  const void *data;
  mo_dtype_t dtype;
  int64_t stride;
} blas_weight;

static mo_status_t run_blas(linear_job *job, mo_context_t *context, const blas_weight *weight) {
  const int64_t depth = job->depth;
  job->widens = job->widens || (depth > 0 && job->rows > 1 && job->input_rows.strides[0] < depth);
  const bool widens_weight = weight->dtype != MO_DTYPE_FLOAT32 || weight->stride < depth;
  const int64_t row_step = minimum(job->rows, ROW_BLOCK);
  int64_t column_step = SCRATCH_BYTES / (int64_t)sizeof(float) / (row_step + (widens_weight ? depth : 0));
  column_step = minimum(column_step < 16 ? 16 : column_step, job->columns);
  const int64_t product_stride = (column_step + 15) & ~INT64_C(15);
  const int64_t weight_stride = widens_weight ? job->widened_stride : weight->stride;
  const int64_t input_stride = job->widens ? job->widened_stride : job->rows > 1 ? job->input_rows.strides[0] : depth;
  MO_CHECK(depth <= INT_MAX && weight_stride <= INT_MAX && input_stride <= INT_MAX, MO_STATUS_UNSUPPORTED,
           "linear: row strides of %lld and %lld elements are more than CBLAS counts, %d is the most", (long long)input_stride,
           (long long)weight_stride, INT_MAX);

  float *product = NULL, *widened_weight = NULL;
  mo_arena arena = {.base = NULL};
  for (int pass = 0; pass < 2; ++pass) { /* measure, then carve */
    job_carve(job, &arena);
    product = mo_arena_carve(&arena, (size_t)(row_step * product_stride) * sizeof(float));
    if (widens_weight) widened_weight = mo_arena_carve(&arena, (size_t)(column_step * weight_stride) * sizeof(float));
    if (pass > 0) break;
    void *memory;
    MO_TRY(mo_context_scratch(context, arena.used, &memory));
    arena = (mo_arena){.base = memory, .capacity = arena.used};
  }

  for (int64_t column = 0; column < job->columns; column += column_step) {
    const int64_t columns = minimum(column_step, job->columns - column);
    const float *right = widened_weight;
    if (widens_weight) {
#pragma omp parallel for schedule(static) num_threads(job->threads) if (job->threads > 1)
      for (int64_t j = 0; j < columns; ++j) {
        job->kernels->widen(widened_weight + j * weight_stride,
                            advance(weight->data, weight->dtype, (column + j) * weight->stride), weight->dtype, depth);
      }
    } else {
      right = advance(weight->data, MO_DTYPE_FLOAT32, column * weight->stride);
    }
    for (int64_t row = 0; row < job->rows; row += row_step) {
      const int64_t rows = minimum(row_step, job->rows - row);
      if (job->widens) {
#pragma omp parallel num_threads(job->threads) if (job->threads > 1)
        widen_rows(job, row, rows);
      }
      if (depth > 0) {
        int64_t stride;
        const float *left = input_row(job, row, row, &stride);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, (int)depth, 1.0f, left, (int)input_stride,
                    right, (int)weight_stride, 0.0f, product, (int)product_stride);
      } else {
        memset(product, 0, (size_t)(rows * product_stride) * sizeof *product);
      }
#pragma omp parallel for schedule(static) num_threads(job->threads) if (job->threads > 1)
      for (int64_t i = 0; i < rows; ++i) {
        job->kernels->epilogue(&job->epilogue, product + i * product_stride, product_stride, row + i, 1, column, columns);
      }
    }
  }
  return MO_STATUS_OK;
}

mo_status_t mo_cpu_linear(mo_context_t *context, const mo_linear_params *params) {
  linear_job job;
  job_init(&job, context, params);
  const mo_packed_weight_t *packed = params->packed_weight;
  if (job.kernels->panel_columns == 0) {
    blas_weight weight;
    if (packed != NULL) weight = (blas_weight){packed->data, MO_DTYPE_FLOAT32, job.depth};
    else weight = (blas_weight){params->weight->data, params->weight->dtype, params->weight->strides[0]};
    return run_blas(&job, context, &weight);
  }
  if (packed != NULL) return run_packed(&job, context, packed);
  if (job.rows <= PACK_ROWS) return run_dots(&job, context, params->weight);
  return run_packing(&job, context, params->weight);
}
