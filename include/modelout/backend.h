/* modelout/backend.h - a backend of your own: what a device must offer, and what a backend may use of the library.
 *
 * FOR AUTHORS OF BACKENDS. Programs that use the CPU or a CUDA device need nothing of this. A backend is a table of function
 * pointers, given in mo_context_options.backend; the CPU and CUDA backends of the library are such tables.
 *
 * An op that is NULL is unsupported: its public function answers UNSUPPORTED. The library has checked every argument before a
 * table function is called: shapes, dtypes, strides, devices, overlap, overflow, and struct_size, so that parameter structs are
 * this version's. A backend checks only what needs the data (ids, labels, lengths) or its own limits. A function that fails
 * says why with mo_set_error() and returns the status.
 *
 * The table is read when a context is made and must stay valid as long as the context and its outputs. Tensors of a context lie
 * on (kind, mo_context_options.device_index).
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELOUT_BACKEND_H
#define MODELOUT_BACKEND_H

#include "modelout/attention.h"
#include "modelout/attention_merge.h"
#include "modelout/cast.h"
#include "modelout/context.h"
#include "modelout/convolution.h"
#include "modelout/decode_attention.h"
#include "modelout/embedding.h"
#include "modelout/gate.h"
#include "modelout/kv_update.h"
#include "modelout/linear.h"
#include "modelout/loss.h"
#include "modelout/norm.h"
#include "modelout/pooling.h"
#include "modelout/pooling2d.h"
#include "modelout/position_bias.h"
#include "modelout/rotary.h"
#include "modelout/sampling.h"
#include "modelout/score_edit.h"
#include "modelout/softmax.h"
#include "modelout/sum.h"
#include "modelout/topk.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MO_BACKEND_ABI_VERSION 1

typedef void *mo_graph; /* recorded work, ready to be launched */

typedef enum mo_copy_direction_t {
  MO_COPY_TO_DEVICE = 1,
  MO_COPY_TO_HOST = 2,
  MO_COPY_ON_DEVICE = 3,
} mo_copy_direction_t;

typedef struct mo_backend {
  uint32_t abi_version; /* MO_BACKEND_ABI_VERSION */
  size_t struct_size;   /* sizeof(mo_backend); the table of an ABI version has all of its entries */
  const char *name;
  mo_device_kind_t kind;
  bool memory_is_host; /* device memory is ordinary host memory: reads of fields are pointers, copies are never made */

  /* Device. `state` is what open() made, one per context. All may be called from several threads. Streams and events of a
   * backend with memory_is_host may be NULL functions: everything is complete on return. */
  mo_status_t (*open)(int32_t device_index, void **state);
  void (*close)(void *state);
  const char *(*features)(void *state); /* what mo_context_cpu_features answers; NULL: "" */
  mo_status_t (*allocate)(void *state, size_t bytes, mo_stream stream, void **memory); /* 256-byte aligned */
  void (*release)(void *state, void *memory, size_t bytes, mo_stream stream);          /* stream-ordered */
  void (*trim)(void *state); /* gives memory that was released, and kept, back to the device; NULL: none is kept */
  mo_status_t (*allocate_pinned)(void *state, size_t bytes, void **memory); /* 256-byte aligned */
  void (*release_pinned)(void *state, void *memory, size_t bytes);
  mo_status_t (*copy)(void *state, void *destination, const void *source, size_t bytes, mo_copy_direction_t direction,
                      mo_stream stream);
  /* Any strided device view into contiguous pinned host memory: only the view's own bytes cross the bus. */
  mo_status_t (*copy_view_to_host)(mo_context_t *context, void *destination, const mo_tensor *view, mo_stream stream);
  mo_status_t (*stream_create)(void *state, mo_stream *stream);
  void (*stream_destroy)(void *state, mo_stream stream);
  mo_status_t (*stream_synchronize)(void *state, mo_stream stream);
  mo_status_t (*stream_wait_event)(void *state, mo_stream stream, mo_event event);
  mo_status_t (*event_create)(void *state, mo_event *event);
  void (*event_destroy)(void *state, mo_event event);
  mo_status_t (*event_record)(void *state, mo_event event, mo_stream stream);
  mo_status_t (*event_synchronize)(void *state, mo_event event);
  bool (*event_is_complete)(void *state, mo_event event);
  /* Work put on the stream is recorded for later launches instead of run (a CUDA graph). NULL: never. */
  bool (*stream_is_capturing)(void *state, mo_stream stream);
  /* Recording: between begin and end work put on the stream runs at each launch instead. end gives the graph, or with NULL
   * drops what was recorded, also after a call that broke the recording. All NULL: never. */
  mo_status_t (*graph_begin)(void *state, mo_stream stream);
  mo_status_t (*graph_end)(void *state, mo_stream stream, mo_graph *graph);
  mo_status_t (*graph_launch)(void *state, mo_graph graph, mo_stream stream);
  void (*graph_destroy)(void *state, mo_graph graph);

  /* Named ranges of the calling thread for a profiler, nested: one around each public call. range_is_heard is asked once, when
   * a context is made: does anybody listen? NULL functions: no ranges; range_is_heard NULL: always. */
  bool (*range_is_heard)(void *state);
  void (*range_push)(void *state, const char *message);
  void (*range_pop)(void *state);

  /* Ops, one per public function of the same name. */
  mo_status_t (*attention)(mo_context_t *context, const mo_attention_params *params);
  mo_status_t (*softmax)(mo_context_t *context, const mo_softmax_params *params);
  mo_status_t (*layer_norm)(mo_context_t *context, const mo_norm_params *params);
  mo_status_t (*rms_norm)(mo_context_t *context, const mo_norm_params *params);
  mo_status_t (*embedding)(mo_context_t *context, const mo_embedding_params *params);
  mo_status_t (*gate)(mo_context_t *context, const mo_gate_params *params);
  mo_status_t (*linear)(mo_context_t *context, const mo_linear_params *params);
  mo_status_t (*linear_pack)(mo_context_t *context, const mo_tensor *const *weights, int32_t count, mo_packed_weight_t *packed);
  void (*packed_weight_release)(mo_packed_weight_t *packed);
  mo_status_t (*pooling)(mo_context_t *context, const mo_pooling_params *params);
  mo_status_t (*cross_entropy)(mo_context_t *context, const mo_cross_entropy_params *params);
  mo_status_t (*bce_with_logits_loss)(mo_context_t *context, const mo_elementwise_loss_params *params);
  mo_status_t (*mse_loss)(mo_context_t *context, const mo_elementwise_loss_params *params);
  mo_status_t (*span_loss)(mo_context_t *context, const mo_span_loss_params *params);
  mo_status_t (*topk)(mo_context_t *context, const mo_topk_params *params);
  mo_status_t (*rotary_embedding)(mo_context_t *context, const mo_rotary_params *params);
  mo_status_t (*position_bias)(mo_context_t *context, const mo_position_bias_params *params);
  mo_status_t (*attention_merge)(mo_context_t *context, const mo_attention_merge_params *params);
  mo_status_t (*kv_update)(mo_context_t *context, const mo_kv_update_params *params);
  mo_status_t (*kv_gather)(mo_context_t *context, const mo_kv_gather_params *params);
  mo_status_t (*sample)(mo_context_t *context, const mo_sampling_params *params);
  mo_status_t (*decode_attention)(mo_context_t *context, const mo_decode_attention_params *params);
  mo_status_t (*cast)(mo_context_t *context, const mo_cast_params *params);
  mo_status_t (*edit_scores)(mo_context_t *context, const mo_score_edit_params *params);
  /* Tensors have rank 4, the weight has one part, and output may be a part of the caller's: see mo_convolution_part. */
  mo_status_t (*convolution)(mo_context_t *context, const mo_convolution_params *params);
  mo_status_t (*pooling2d)(mo_context_t *context, const mo_pooling2d_params *params); /* tensors of rank 4 */
  mo_status_t (*sum)(mo_context_t *context, const mo_sum_params *params);             /* of rank 1 or more */
} mo_backend;

/* A packed weight: `data` is the backend's, in memory of mo_context_allocate. Made by the front door, filled by linear_pack. */
struct mo_packed_weight {
  mo_context_t *context; /* held alive */
  mo_dtype_t dtype;      /* of the weights that were packed */
  int64_t rows;          /* N: sum of the packed weights' rows */
  int64_t columns;       /* K */
  void *data;            /* owned by the backend's linear_pack / packed_weight_release */
};

/* What a backend is to carry out: output[b][o][y][x] = sum over the taps (i, j) and the channels c of o's group of
 *
 *   input[b][c][y stride[0] + i dilation[0] - padding[0]][x stride[1] + j dilation[1] - padding[1]] matrix[row of o][i][j][c]
 *
 * with 0 for what lies outside of the input. Row of o: (o / (O / groups)) * group_rows + o % (O / groups). One dimension is two
 * with a height of 1; a transposed convolution is one part per remainder of the output's position by the stride, whose outputs
 * lie `stride` apart, with taps in reverse and paddings that may be negative. */
typedef struct mo_convolution_part {
  mo_packed_weight_t *matrix; /* (groups * group_rows, taps * C / groups); rows past a group's are not used. NULL: no taps */
  int32_t groups;
  int64_t channels, out_channels; /* C, O */
  int64_t group_rows;             /* at least O / groups; a multiple of 32 with several groups of several channels */
  int32_t kernel[2], stride[2], dilation[2], padding[2];
} mo_convolution_part;

struct mo_packed_convolution {
  mo_context_t *context; /* held alive */
  mo_dtype_t dtype;
  int32_t rank; /* of the weight */
  int32_t part_count;
  mo_convolution_geometry geometry; /* defaults put in; two dimensions */
  int64_t channels, out_channels;
  int32_t kernel[2];
  const mo_convolution_part *parts; /* stride[0] * stride[1] of them if transposed, else one */
};

/* ---- What a backend may use of the library ---- */

/* The backend's own state of this context. */
MO_API void *mo_context_backend_state(const mo_context_t *context);
MO_API const mo_backend *mo_context_backend(const mo_context_t *context);

/* Scratch memory on the device for the op that is running: at least `bytes`, 256-byte aligned, content undefined, valid until
 * the op returns (on a GPU: until the next op on the same stream). One call per op: ask for everything at once. */
MO_API mo_status_t mo_context_scratch(mo_context_t *context, size_t bytes, void **memory);

/* Device memory in the order of `stream`, which need not be the context's own: from the caller's allocator or the backend, past
 * the pool, whose blocks are ordered by the context's stream alone. Given back with the bytes it was asked for. */
MO_API mo_status_t mo_context_allocate_on(mo_context_t *context, size_t bytes, mo_stream stream, void **memory);
MO_API void mo_context_release_on(mo_context_t *context, void *memory, size_t bytes, mo_stream stream);

#ifdef __cplusplus
}
#endif
#endif
