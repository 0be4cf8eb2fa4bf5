/* host/cuda/linear.c - the dense layer on the card: one cuBLASLt product, and a pass of our own where its epilogue is not ours.
 *
 * ONE CALL, when there is no activation (bias and residual belong to the product then: D = X W^T + bias + C, rounded once), or
 * the tanh form of GELU in bfloat16, whose rounding hides cuBLASLt's approximate tanh. Its RELU is not used: whether NaN
 * survives it is not documented. The bias must have the dtype of the output.
 *
 * ELSE the product goes to memory in float32 and kernels/linear.cu does the rest, in pieces of rows whose product stays in the
 * L2 cache, so that every value is rounded once. A float32 output holds its own product, unless the residual lies there too.
 *
 * Rows are merged into one matrix where the strides allow it, else they become a batch of matrices. An input or weight whose
 * rows overlap (a stride below its length, 0 for broadcasts) is copied first: cuBLASLt has no name for such a matrix.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include "kernels/linear.h"

#include <string.h>

#include "host/core/arena.h"
#include "host/cuda/linear_plans.h"
#include "kernels/gather.h"
#include "kernels/linear_product.h"

/* Float32 product between cuBLASLt and our epilogue: within the 40 MB of L2 of an A100. */
#define PIECE_BYTES ((int64_t)32 << 20)
/* Rows of a piece are a multiple of the tallest tile. */
#define PIECE_ROWS 256
#define MAX_BATCH 65535
#define MAX_ALIGNMENT 256u

static int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }

/* Largest power of two, at most MAX_ALIGNMENT, that divides all of `bits`. */
static uint32_t alignment_of(uint64_t bits) {
  const uint64_t marked = bits | MAX_ALIGNMENT;
  return (uint32_t)(marked & (~marked + 1));
}

/* ---- Rows ---- */

/* Merges neighbouring dimensions that are one sequence of rows for all operands; what is left is right-aligned: extents[2] rows
 * of a matrix, extents[1] matrices of a batch, extents[0] batches. Row numbers keep their meaning. */
static void merge_rows(mo_row_shape *shape, mo_row_strides *const *operands, int32_t count) {
  int32_t place = 2;
  for (int32_t d = 1; d >= 0; --d) {
    const int64_t extent = shape->extents[d];
    bool joins = true;
    if (extent == 1) continue;
    for (int32_t i = 0; i < count && shape->extents[place] != 1; ++i) {
      joins = joins && operands[i]->strides[d] == operands[i]->strides[place] * shape->extents[place];
    }
    if (shape->extents[place] == 1) {
      for (int32_t i = 0; i < count; ++i) operands[i]->strides[place] = operands[i]->strides[d];
      shape->extents[place] = extent;
    } else if (joins) {
      shape->extents[place] *= extent;
    } else if (--place != d) {
      for (int32_t i = 0; i < count; ++i) operands[i]->strides[place] = operands[i]->strides[d];
      shape->extents[place] = extent;
    }
  }
  for (int32_t d = 0; d < place; ++d) {
    shape->extents[d] = 1;
    for (int32_t i = 0; i < count; ++i) operands[i]->strides[d] = 0;
  }
}

/* From row to row of the matrix; any valid number where there is but one. */
static int64_t row_stride(const mo_row_shape *shape, const mo_row_strides *rows, int64_t width) {
  return shape->extents[2] == 1 ? width : rows->strides[2];
}

/* ---- The job ---- */

typedef struct linear_job {
  int64_t rows, columns, depth; /* M, N, K */
  mo_dtype_t dtype, output_dtype, bias_dtype;
  const char *input, *weight, *residual, *bias;
  char *output;
  int64_t weight_stride;
  bool one_call;          /* cuBLASLt does everything */
  bool product_in_output; /* else, if not one_call, in scratch memory */
  bool copies_input, copies_weight;
  int32_t epilogue;
  /* of the product */
  mo_row_shape shape;
  mo_row_strides input_rows, output_rows, added_rows;
  int64_t piece_rows, piece_batch;
} linear_job;

/* Scratch memory of a job; the same function measures and carves it. */
typedef struct linear_scratch {
  char *workspace, *input, *weight;
  float *product;
} linear_scratch;

static linear_scratch carve(const linear_job *job, size_t workspace_bytes, mo_arena *arena) {
  linear_scratch scratch = {0};
  const size_t element = mo_dtype_bytes(job->dtype);
  scratch.workspace = mo_arena_carve(arena, workspace_bytes);
  if (!job->one_call && !job->product_in_output) {
    const int64_t product_rows = job->depth > 0 ? job->piece_batch * job->piece_rows : 0;
    scratch.product = mo_arena_carve(arena, (size_t)(product_rows * job->columns) * sizeof(float));
  }
  if (job->copies_input) scratch.input = mo_arena_carve(arena, (size_t)(job->rows * job->depth) * element);
  if (job->copies_weight) scratch.weight = mo_arena_carve(arena, (size_t)(job->columns * job->depth) * element);
  return scratch;
}

static mo_row_strides contiguous_rows(const mo_row_shape *shape, int64_t width) {
  const int64_t *extents = shape->extents;
  mo_row_strides rows = {{extents[1] * extents[2] * width, extents[2] * width, width}};
  for (int32_t d = 0; d < 3; ++d) {
    if (extents[d] == 1) rows.strides[d] = 0;
  }
  return rows;
}

static bool one_call_is_exact(const mo_linear_params *p) {
  const mo_dtype_t dtype = p->input->dtype, output_dtype = p->output->dtype;
  /* Pairs cuBLASLt has for float32 sums; its bias is of the output's type. */
  if (dtype == MO_DTYPE_FLOAT32 ? output_dtype != MO_DTYPE_FLOAT32
                                : output_dtype != dtype && output_dtype != MO_DTYPE_FLOAT32) {
    return false;
  }
  if (p->bias != NULL && p->bias->dtype != output_dtype) return false;
  if (p->activation == MO_ACTIVATION_NONE) return true;
  return p->activation == MO_ACTIVATION_GELU_TANH && p->residual == NULL && dtype == MO_DTYPE_BFLOAT16 &&
         output_dtype == MO_DTYPE_BFLOAT16;
}

/* How the product is carried out: by one call, or in pieces with our own epilogue. */
static void plan_rows(const mo_linear_params *p, bool one_call, linear_job *job) {
  job->one_call = one_call;
  job->product_in_output =
      !one_call && job->output_dtype == MO_DTYPE_FLOAT32 && (p->residual == NULL || p->residual->data != p->output->data);
  job->shape = mo_row_shape_of(p->output);
  job->input_rows = mo_row_strides_of(p->input);
  job->output_rows = mo_row_strides_of(p->output);
  job->added_rows = p->residual != NULL ? mo_row_strides_of(p->residual) : (mo_row_strides){{0, 0, 0}};
  if (!one_call && !job->product_in_output) job->output_rows = contiguous_rows(&job->shape, job->columns);
  const bool adds = one_call && p->residual != NULL;

  job->copies_input = false;
  mo_row_shape shape = job->shape;
  mo_row_strides input = job->input_rows, output = job->output_rows, added = job->added_rows;
  merge_rows(&shape, (mo_row_strides *const[]){&input, &output, &added}, adds ? 3 : 2);
  if (row_stride(&shape, &input, job->depth) < job->depth) {
    job->copies_input = true;
    shape = job->shape;
    input = contiguous_rows(&shape, job->depth);
    output = job->output_rows;
    added = job->added_rows;
    merge_rows(&shape, (mo_row_strides *const[]){&input, &output, &added}, adds ? 3 : 2);
  }
  if (adds && row_stride(&shape, &added, job->columns) < job->columns) { /* a broadcast residual is no matrix */
    plan_rows(p, false, job);
    return;
  }
  job->shape = shape;
  job->input_rows = input;
  job->output_rows = output;
  job->added_rows = added;
  job->piece_rows = shape.extents[2];
  job->piece_batch = minimum(shape.extents[1], MAX_BATCH);
  if (!one_call) {
    const int64_t rows = PIECE_BYTES / (int64_t)sizeof(float) / job->columns;
    const int64_t whole = rows < PIECE_ROWS ? PIECE_ROWS : rows / PIECE_ROWS * PIECE_ROWS;
    if (whole < shape.extents[2]) {
      job->piece_rows = whole;
      job->piece_batch = 1;
    } else {
      job->piece_batch = minimum(job->piece_batch, whole / shape.extents[2]);
    }
  }
  /* Matrices that interleave are no batch. */
  if (shape.extents[1] > 1 && output.strides[1] < row_stride(&shape, &output, job->columns) * shape.extents[2])
    job->piece_batch = 1;
}

static linear_job job_of(const mo_linear_params *p) {
  const mo_packed_weight_t *packed = p->packed_weight;
  linear_job job = {.columns = p->output->shape[p->output->rank - 1],
                    .depth = p->input->shape[p->input->rank - 1],
                    .rows = mo_row_count(mo_row_shape_of(p->output)),
                    .dtype = p->input->dtype,
                    .output_dtype = p->output->dtype,
                    .bias_dtype = p->bias != NULL ? p->bias->dtype : MO_DTYPE_NONE,
                    .input = p->input->data,
                    .weight = packed != NULL ? packed->data : p->weight->data,
                    .residual = p->residual != NULL ? p->residual->data : NULL,
                    .bias = p->bias != NULL ? p->bias->data : NULL,
                    .output = p->output->data};
  job.weight_stride = packed != NULL || job.columns == 1 ? job.depth : p->weight->strides[0];
  if (job.weight_stride < job.depth) {
    job.copies_weight = true;
    job.weight_stride = job.depth;
  }
  const cublasLtEpilogue_t with_bias =
      p->activation == MO_ACTIVATION_NONE ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_GELU_BIAS;
  const cublasLtEpilogue_t bare = p->activation == MO_ACTIVATION_NONE ? CUBLASLT_EPILOGUE_DEFAULT : CUBLASLT_EPILOGUE_GELU;
  job.epilogue = (int32_t)(p->bias != NULL ? with_bias : bare);
  plan_rows(p, one_call_is_exact(p), &job);
  return job;
}

/* The key of a piece of `batch` matrices of `rows` rows. Its addresses are those of the operands plus multiples of their
 * strides. */
static mo_linear_plan_key key_of(const linear_job *job, int64_t batch, int64_t rows) {
  const size_t element = mo_dtype_bytes(job->dtype);
  const bool in_scratch = !job->one_call && !job->product_in_output;
  const mo_dtype_t product_dtype = job->one_call ? job->output_dtype : MO_DTYPE_FLOAT32;
  const size_t product_element = mo_dtype_bytes(product_dtype);
  mo_linear_plan_key key;
  memset(&key, 0, sizeof key);
  key.rows = rows;
  key.columns = job->columns;
  key.depth = job->depth;
  key.batch = batch;
  key.weight_stride = job->weight_stride;
  key.input_stride = row_stride(&job->shape, &job->input_rows, job->depth);
  key.output_stride = row_stride(&job->shape, &job->output_rows, job->columns);
  key.input_batch = batch > 1 ? job->input_rows.strides[1] : 0;
  key.output_batch = batch > 1 ? job->output_rows.strides[1] : 0;
  key.dtype = (int32_t)job->dtype;
  key.output_dtype = (int32_t)product_dtype;
  key.epilogue = job->one_call ? job->epilogue : (int32_t)CUBLASLT_EPILOGUE_DEFAULT;
  key.bias_dtype = job->one_call ? (int32_t)job->bias_dtype : (int32_t)MO_DTYPE_NONE;
  key.weight_alignment = job->copies_weight ? MAX_ALIGNMENT : alignment_of((uintptr_t)job->weight);
  const uint64_t input_steps = (uint64_t)(job->input_rows.strides[0] | job->input_rows.strides[1]) * element;
  const uint64_t output_steps = (uint64_t)(job->output_rows.strides[0] | job->output_rows.strides[1]) * product_element;
  key.input_alignment = alignment_of((job->copies_input ? 0 : (uintptr_t)job->input) | input_steps);
  key.output_alignment = in_scratch ? MAX_ALIGNMENT : alignment_of((uintptr_t)job->output | output_steps);
  /* Pieces of a matrix begin at multiples of PIECE_ROWS rows, which are as aligned as the first. */
  if (!job->one_call) return key;
  key.bias_alignment = job->bias != NULL ? alignment_of((uintptr_t)job->bias) : 0;
  if (job->residual != NULL) {
    key.has_added = 1;
    key.added_stride = row_stride(&job->shape, &job->added_rows, job->columns);
    key.added_batch = batch > 1 ? job->added_rows.strides[1] : 0;
    key.added_alignment = alignment_of((uintptr_t)job->residual |
                                       (uint64_t)(job->added_rows.strides[0] | job->added_rows.strides[1]) * product_element);
  }
  return key;
}

/* Every size of piece that occurs: whole ones, and the last of a batch or of a matrix. */
static mo_status_t measure_pieces(const linear_job *job, struct mo_cuda_linear_plans *plans, size_t *workspace_bytes,
                                  bool *supported) {
  const int64_t last_batch = job->shape.extents[1] % job->piece_batch, last_rows = job->shape.extents[2] % job->piece_rows;
  *workspace_bytes = 0;
  *supported = true;
  for (int32_t i = 0; i < 4; ++i) {
    const int64_t batch = i % 2 == 0 ? job->piece_batch : last_batch, rows = i / 2 == 0 ? job->piece_rows : last_rows;
    if (batch == 0 || rows == 0) continue;
    const mo_linear_plan *plan;
    const mo_linear_plan_key key = key_of(job, batch, rows);
    MO_TRY(mo_cuda_linear_plan_find(plans, &key, job->one_call ? job->bias : NULL, &plan));
    if (!plan->is_supported) *supported = false;
    if (plan->workspace_bytes > *workspace_bytes) *workspace_bytes = plan->workspace_bytes;
  }
  return MO_STATUS_OK;
}

/* ---- Running ---- */

static mo_status_t run_epilogue(const linear_job *job, const mo_linear_params *p, const float *product, int64_t first_row,
                                int64_t row_count, cudaStream_t stream) {
  mo_linear_epilogue_args args = {
      .shape = mo_row_shape_of(p->output),
      .first_row = first_row,
      .row_count = row_count,
      .columns = job->columns,
      .product = product,
      .bias = job->bias,
      .residual = job->residual,
      .output = job->output,
      .bias_dtype = job->bias_dtype,
      .output_dtype = job->output_dtype,
      .residual_rows = p->residual != NULL ? mo_row_strides_of(p->residual) : (mo_row_strides){{0, 0, 0}},
      .output_rows = mo_row_strides_of(p->output),
      .activation = p->activation,
  };
  const bool in_scratch = product != NULL && !job->product_in_output;
  if (in_scratch) {
    args.product_rows = contiguous_rows(&args.shape, job->columns);
    args.product_skip = first_row * job->columns;
  } else if (product != NULL) {
    args.product_rows = args.output_rows;
  }
  merge_rows(&args.shape, (mo_row_strides *const[]){&args.output_rows, &args.residual_rows, &args.product_rows},
             product != NULL ? 3 : 2);
  return mo_cuda_status(mo_launch_linear_epilogue(&args, stream), "linear");
}

static const char *advance(const char *memory, const mo_row_strides *rows, const int64_t index[3], size_t element) {
  int64_t elements = 0;
  for (int32_t d = 0; d < 3; ++d) elements += index[d] * rows->strides[d];
  return memory + elements * (int64_t)element;
}

/* cuBLASLt's product, or ours where it has none; then the output is float32 and the rest is our epilogue's. */
static mo_status_t run_product(struct mo_cuda_linear_plans *plans, const mo_linear_plan *plan,
                               const mo_linear_operands *operands, cudaStream_t stream) {
  if (plan->is_supported) return mo_cuda_linear_plan_run(plans, plan, operands, stream);
  const mo_linear_product_args args = {.input = operands->input,
                                       .weight = operands->weight,
                                       .output = operands->output,
                                       .dtype = (mo_dtype_t)plan->key.dtype,
                                       .rows = plan->key.rows,
                                       .columns = plan->key.columns,
                                       .depth = plan->key.depth,
                                       .batch = plan->key.batch,
                                       .input_stride = plan->key.input_stride,
                                       .weight_stride = plan->key.weight_stride,
                                       .output_stride = plan->key.output_stride,
                                       .input_batch = plan->key.input_batch,
                                       .output_batch = plan->key.output_batch};
  return mo_cuda_status(mo_launch_linear_product(&args, stream), "linear");
}

static mo_status_t run_piece(const linear_job *job, const mo_linear_params *p, struct mo_cuda_linear_plans *plans,
                             const linear_scratch *scratch, const int64_t index[3], cudaStream_t stream) {
  const int64_t batch = minimum(job->piece_batch, job->shape.extents[1] - index[1]);
  const int64_t rows = minimum(job->piece_rows, job->shape.extents[2] - index[2]);
  const bool in_scratch = !job->one_call && !job->product_in_output;
  const size_t element = mo_dtype_bytes(job->dtype), output_element = mo_dtype_bytes(job->output_dtype);
  const mo_linear_plan *plan;
  const mo_linear_plan_key key = key_of(job, batch, rows);
  MO_TRY(mo_cuda_linear_plan_find(plans, &key, job->one_call ? job->bias : NULL, &plan));
  const mo_linear_operands operands = {
      .input = advance(job->copies_input ? scratch->input : job->input, &job->input_rows, index, element),
      .weight = job->copies_weight ? scratch->weight : job->weight,
      .bias = job->one_call ? job->bias : NULL,
      .added = key.has_added ? advance(job->residual, &job->added_rows, index, output_element) : NULL,
      .output = in_scratch ? (void *)scratch->product : (void *)advance(job->output, &job->output_rows, index, output_element),
      .workspace = scratch->workspace,
  };
  MO_TRY(run_product(plans, plan, &operands, stream));
  if (job->one_call) return MO_STATUS_OK;
  const int64_t first_row = (index[0] * job->shape.extents[1] + index[1]) * job->shape.extents[2] + index[2];
  return run_epilogue(job, p, in_scratch ? scratch->product : (const float *)(const void *)job->output, first_row, batch * rows,
                      stream);
}

static mo_status_t copy_irregular(const linear_job *job, const mo_linear_params *p, const linear_scratch *scratch,
                                  cudaStream_t stream) {
  if (job->copies_input) {
    const mo_strided_shape shape = mo_strided_shape_packed(p->input);
    MO_TRY(mo_cuda_status(mo_launch_gather(scratch->input, job->input, &shape, stream), "linear: input"));
  }
  if (job->copies_weight) {
    const mo_strided_shape shape = mo_strided_shape_packed(p->weight);
    MO_TRY(mo_cuda_status(mo_launch_gather(scratch->weight, job->weight, &shape, stream), "linear: weight"));
  }
  return MO_STATUS_OK;
}

mo_status_t mo_cuda_linear(mo_context_t *context, const mo_linear_params *params) {
  const cudaStream_t stream = mo_cuda_stream_of(context);
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  linear_job job = job_of(params);
  if (job.depth == 0) return run_epilogue(&job, params, NULL, 0, job.rows, stream);

  struct mo_cuda_linear_plans *plans;
  size_t workspace_bytes;
  bool supported;
  MO_TRY(mo_cuda_linear_plans_of(context, &plans));
  MO_TRY(measure_pieces(&job, plans, &workspace_bytes, &supported));
  if (!supported && job.one_call) { /* no algorithm: our epilogue is there for every product, and our product */
    plan_rows(params, false, &job);
    MO_TRY(measure_pieces(&job, plans, &workspace_bytes, &supported));
  }

  mo_arena arena = {0};
  (void)carve(&job, workspace_bytes, &arena);
  void *memory = NULL;
  if (arena.used > 0) MO_TRY(mo_context_scratch(context, arena.used, &memory));
  arena = (mo_arena){.base = memory, .capacity = arena.used};
  const linear_scratch scratch = carve(&job, workspace_bytes, &arena);
  MO_TRY(copy_irregular(&job, params, &scratch, stream));
  for (int64_t i = 0; i < job.shape.extents[0]; ++i) {
    for (int64_t j = 0; j < job.shape.extents[1]; j += job.piece_batch) {
      for (int64_t k = 0; k < job.shape.extents[2]; k += job.piece_rows) {
        MO_TRY(run_piece(&job, params, plans, &scratch, (const int64_t[3]){i, j, k}, stream));
      }
    }
  }
  return MO_STATUS_OK;
}

/* ---- Packed weights: one contiguous copy ---- */

static mo_status_t copy_weights(const mo_tensor *const *weights, int32_t count, char *destination, cudaStream_t stream) {
  for (int32_t i = 0; i < count; ++i) {
    const mo_strided_shape shape = mo_strided_shape_packed(weights[i]);
    MO_TRY(mo_cuda_status(mo_launch_gather(destination, weights[i]->data, &shape, stream), "linear pack"));
    destination += mo_tensor_bytes(weights[i]);
  }
  return MO_STATUS_OK;
}

mo_status_t mo_cuda_linear_pack(mo_context_t *context, const mo_tensor *const *weights, int32_t count,
                                mo_packed_weight_t *packed) {
  MO_CUDA_ENTER(mo_cuda_state_of(context));
  const size_t bytes = (size_t)(packed->rows * packed->columns) * mo_dtype_bytes(packed->dtype);
  const cudaStream_t stream = mo_cuda_stream_of(context);
  struct mo_cuda_linear_plans *plans;
  MO_TRY(mo_cuda_linear_plans_of(context, &plans)); /* not first when the weight is used, which may be in a capture */
  MO_TRY(mo_context_allocate(context, bytes, &packed->data));
  mo_status_t status = copy_weights(weights, count, packed->data, stream);
  /* The caller may give up the weights' memory in whatever way he likes. */
  if (status == MO_STATUS_OK) status = mo_cuda_status(cudaStreamSynchronize(stream), "linear pack");
  if (status != MO_STATUS_OK) {
    mo_context_release(context, packed->data);
    packed->data = NULL;
  }
  return status;
}

void mo_cuda_packed_weight_release(mo_packed_weight_t *packed) { mo_context_release(packed->context, packed->data); }
