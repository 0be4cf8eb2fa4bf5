/* tests/fuzz/op_fuzz.c - every op with parameters that are mostly right and wrong somewhere: a status, never a crash.
 *
 * op_fuzz_table.h says of each op's members what fits: dtype and shape, in letters. An input draws the extents behind the
 * letters, then changes shapes, strides, dtypes, devices and addresses here and there. What a valid descriptor claims is really
 * there, to the byte; of tensors without elements half have no memory. A call that fails has written nothing; one that succeeds
 * has written to its destinations alone.
 *
 * Before the first input every op is called with each of its extents 0 in turn.
 *
 * Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "modelout/modelout.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { BLOCKS = 96, CALLS = 4, ELEMENT_LIMIT = 1 << 14, BYTE_LIMIT = 1 << 18, LAYERS = 3 };

typedef enum member_kind {
  MEMBER_END = 0,
  MEMBER_TENSOR,
  MEMBER_REAL,        /* float */
  MEMBER_DOUBLE,      /* double */
  MEMBER_INTEGER,     /* int64_t */
  MEMBER_FLAG,        /* bool */
  MEMBER_CHOICE,      /* an enum */
  MEMBER_INDICES,     /* mo_index_list */
  MEMBER_ROTARY,      /* mo_rotary */
  MEMBER_VIEW,        /* mo_kv_view */
  MEMBER_LAYERS,      /* mo_kv_update_layer array, with its count in another member */
  MEMBER_PACKED,      /* mo_packed_weight_t instead of a weight */
  MEMBER_PAIR,        /* two int32_t */
  MEMBER_CONVOLUTION, /* mo_packed_convolution_t */
} member_kind;

typedef struct member {
  member_kind kind;
  size_t offset;
  char dtype;        /* a letter, see pick_dtype */
  const char *shape; /* letters, see extent */
  bool destination;
  bool optional; /* NULL unless the input says otherwise */
  bool pointer;  /* the struct holds a pointer to the thing */
  int64_t
      plain; /* value of a number or choice that is right; MEMBER_LAYERS: offset of the count; MEMBER_PACKED: of the weight */
  int bound; /* numbers and choices below it are likely */
} member;

typedef struct op {
  const char *name;
  size_t params_bytes;
  mo_status_t (*call)(mo_context_t *context, const void *params);
  const member *(*members)(void);
} op;

/* Memory that a tensor of the call lies in. */
typedef struct block {
  uint8_t *memory, *before, *written; /* as it was; a byte per byte: 1 where a destination may write */
  size_t bytes;
} block;

typedef struct call {
  fuzz_input *input;
  uint64_t random;
  int64_t extents[128]; /* by letter; -1: not drawn yet */
  mo_dtype_t dtype, storage;
  bool paged;
  block blocks[BLOCKS];
  int block_count;
  void *kept[BLOCKS]; /* descriptors and lists */
  int kept_count;
  mo_packed_weight_t *packed;
  mo_packed_convolution_t *convolution;
  const member *given;    /* an optional member that is there whatever the input says */
  bool empty_has_no_data; /* tensors without elements are NULL */
  bool rows_apart;        /* rows of all tensors have elements between them */
} call;

#include "tests/fuzz/op_fuzz_table.h"

/* Heap memory of exactly that size, to the end of the call. */
static void *keep(call *self, size_t bytes) {
  FUZZ_REQUIRE(self->kept_count < BLOCKS);
  void *memory = calloc(bytes > 0 ? bytes : 1, 1);
  FUZZ_REQUIRE(memory != NULL);
  return self->kept[self->kept_count++] = memory;
}

/* ---- Extents, dtypes, strides -------------------------------------------------------------------------------------------- */

/* What a letter stands for in this call. Upper case: a multiple of the lower case (heads of key/value heads); p: a page size;
 * r: at most half of d (pairs that turn); g: a divisor of d (scales of a head); z: mostly c; all others: free. */
enum { PLAIN_SIZE = 2 };
static int64_t extent(call *self, char letter) {
  static const int64_t sizes[] = {PLAIN_SIZE, 1, 3, 4, 5, 8, 0, 7, 16, 17, 33, 64, 65};
  static const int64_t pages[] = {16, 32, 8, 17};
  if (letter >= '0' && letter <= '9') return letter - '0';
  int64_t *value = &self->extents[(unsigned char)letter];
  if (*value >= 0) return *value;
  if (letter >= 'A' && letter <= 'Z')
    return *value = extent(self, (char)(letter - 'A' + 'a')) * (1 + fuzz_pick(self->input, 3));
  if (letter == 'p') return *value = pages[fuzz_once_in(self->input, 4) ? fuzz_pick(self->input, 4) : 0];
  if (letter == 'r') return *value = extent(self, 'd') / (2 + fuzz_pick(self->input, 2));
  if (letter == 'g') return *value = fuzz_pick(self->input, 2) == 0 ? 1 : extent(self, 'd') / 2;
  if (letter == 'z' && fuzz_pick(self->input, 2) == 0) return *value = extent(self, 'c');
  return *value = sizes[fuzz_pick(self->input, sizeof sizes / sizeof sizes[0])];
}

/* x, y, f: the call's floating dtype, another, float32; s: what a cache is stored in; i, n, l: int32 or int64, int32, int64;
 * m: what masks may be; b: bool; a: any. */
static mo_dtype_t pick_dtype(call *self, char letter) {
  static const mo_dtype_t floats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_FLOAT16, MO_DTYPE_BFLOAT16};
  static const mo_dtype_t masks[] = {MO_DTYPE_BOOL, MO_DTYPE_INT64, MO_DTYPE_UINT8, MO_DTYPE_INT32, MO_DTYPE_INT8};
  if (fuzz_once_in(self->input, 40))
    return (mo_dtype_t)(fuzz_byte(self->input) % 12 == 11 ? 1000 : fuzz_byte(self->input) % 12);
  switch (letter) {
    case 'x':
      return self->dtype;
    case 'y':
      return floats[fuzz_pick(self->input, 3)];
    case 'f':
      return MO_DTYPE_FLOAT32;
    case 's':
      return self->storage;
    case 'i':
      return fuzz_pick(self->input, 2) == 0 ? MO_DTYPE_INT64 : MO_DTYPE_INT32;
    case 'n':
      return MO_DTYPE_INT32;
    case 'l':
      return MO_DTYPE_INT64;
    case 'm':
      return masks[fuzz_pick(self->input, 5)];
    case 'b':
      return MO_DTYPE_BOOL;
    default:
      return (mo_dtype_t)(1 + fuzz_pick(self->input, 9));
  }
}

/* Rank and extents by letters ("b+": one more than b, "c=": twice c), some of them changed. */
static void pick_shape(call *self, const char *letters, mo_tensor *tensor) {
  tensor->rank = 0;
  for (const char *at = letters; *at != '\0' && tensor->rank < MO_MAX_DIMS; ++at) {
    int64_t value = extent(self, *at);
    if (at[1] == '+') value += 1;
    if (at[1] == '=') value *= 2;
    if (at[1] == '+' || at[1] == '=') ++at;
    tensor->shape[tensor->rank++] = value;
  }
  if (!fuzz_once_in(self->input, 12)) return;
  const int dimension = tensor->rank > 0 ? fuzz_pick(self->input, tensor->rank) : 0;
  switch (fuzz_pick(self->input, 5)) {
    case 0:
      tensor->shape[dimension] = 1;
      break;
    case 1:
      tensor->shape[dimension] += fuzz_pick(self->input, 3) - 1;
      break;
    case 2:
      tensor->shape[dimension] = fuzz_integer(self->input, 3);
      break;
    case 3:
      tensor->rank -= tensor->rank > 0;
      break;
    default:
      tensor->rank = fuzz_pick(self->input, 12) == 11 ? INT32_MAX : (tensor->rank + 1) % (MO_MAX_DIMS + 2);
  }
}

static int32_t known_rank(const mo_tensor *tensor) {
  return tensor->rank < 0 ? 0 : tensor->rank > MO_MAX_DIMS ? MO_MAX_DIMS : tensor->rank;
}

static void pick_strides(call *self, mo_tensor *tensor) {
  const int32_t rank = known_rank(tensor);
  int32_t order[MO_MAX_DIMS];
  for (int32_t i = 0; i < rank; ++i) order[i] = i;
  const int layout = self->rows_apart ? 2 : fuzz_byte(self->input) % 16;
  if (layout == 1 && rank > 1) { /* two dimensions lie the other way round */
    const int32_t a = fuzz_pick(self->input, rank), b = fuzz_pick(self->input, rank);
    const int32_t kept = order[a];
    order[a] = order[b];
    order[b] = kept;
  }
  int64_t stride = 1;
  for (int32_t i = rank - 1; i >= 0; --i) {
    tensor->strides[order[i]] = stride;
    if (__builtin_mul_overflow(stride, tensor->shape[order[i]], &stride)) stride = INT64_MAX;
    if (layout == 2 && i == rank - 1 && stride < ELEMENT_LIMIT) stride += 1 + fuzz_pick(self->input, 16); /* rows apart */
  }
  if (rank == 0) return;
  if (layout == 3) tensor->strides[fuzz_pick(self->input, rank)] = 0;
  if (layout == 4) tensor->strides[fuzz_pick(self->input, rank)] = fuzz_integer(self->input, 8);
  if (layout == 5 && rank > 1) { /* every second element */
    for (int32_t i = 0; i < rank; ++i)
      tensor->strides[i] = tensor->strides[i] > 0 && tensor->strides[i] < ELEMENT_LIMIT ? tensor->strides[i] * 2 : 1;
  }
}

/* ---- Memory ------------------------------------------------------------------------------------------------------------- */

/* Bytes from the first element to behind the last; 0 for no elements; -1 for a descriptor that is none. */
static int64_t claimed_bytes(const mo_tensor *tensor) {
  mo_tensor copy;
  int64_t reach = 1;
  if (mo_tensor_init_strided(&copy, (void *)(uintptr_t)64, tensor->dtype, tensor->device, tensor->rank, tensor->shape,
                             tensor->strides) != MO_STATUS_OK)
    return -1;
  for (int32_t i = 0; i < tensor->rank; ++i)
    if (tensor->shape[i] == 0) return 0;
  for (int32_t i = 0; i < tensor->rank; ++i) {
    reach += (tensor->shape[i] - 1) * tensor->strides[i];
  }
  return reach * (int64_t)mo_dtype_bytes(tensor->dtype);
}

static bool is_large(const mo_tensor *tensor, int64_t bytes) {
  return bytes > BYTE_LIMIT || (bytes > 0 && mo_tensor_count(tensor) > ELEMENT_LIMIT);
}

static void fill_integers(call *self, uint8_t *memory, size_t count, size_t element) {
  const int mode = fuzz_byte(self->input) % 8;
  const uint64_t bound = 1 + (uint64_t)fuzz_pick(self->input, 20);
  int64_t sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t drawn = fuzz_random(&self->random);
    int64_t value = 0;
    if (mode == 1) value = (int64_t)(i % bound);
    else if (mode == 2 || mode == 3) value = (int64_t)(drawn % bound);
    else if (mode == 4) value = sum, sum += (int64_t)(drawn % bound); /* cumulative lengths */
    else if (mode == 5) value = (int64_t)(drawn % bound) - 1;
    else if (mode == 6) value = drawn % 16 == 0 ? (int64_t)(fuzz_random(&self->random)) : (int64_t)(drawn % bound);
    else if (mode == 7) value = drawn % 8 == 0 ? INT32_MAX : (int64_t)bound - 1;
    memcpy(memory + i * element, &value, element); /* little-endian: the low bytes */
  }
}

static void fill(call *self, mo_dtype_t dtype, uint8_t *memory, size_t bytes) {
  const size_t element = mo_dtype_bytes(dtype);
  if (element == 0) return;
  if (dtype == MO_DTYPE_INT32 || dtype == MO_DTYPE_INT64) {
    fill_integers(self, memory, bytes / element, element);
    return;
  }
  const int mode = fuzz_byte(self->input) % 4;
  for (size_t i = 0; i < bytes; ++i) memory[i] = mode == 1 ? 0 : (uint8_t)fuzz_random(&self->random);
  if (!mo_dtype_is_float(dtype) || mode > 1) return; /* any bytes: NaN, infinities and bool bytes above 1 among them */
  for (size_t i = 0; i < bytes / element; ++i) {
    const float value = (float)((int)(memory[i * element] % 9) - 4) / 4.0f;
    uint32_t converted = 0; /* the destination may not be aligned */
    FUZZ_REQUIRE(mo_dtype_convert(&converted, dtype, &value, MO_DTYPE_FLOAT32, 1) == MO_STATUS_OK);
    memcpy(memory + i * element, &converted, element);
  }
}

static block *new_block(call *self, size_t bytes) {
  FUZZ_REQUIRE(self->block_count < BLOCKS);
  block *made = &self->blocks[self->block_count++];
  *made = (block){malloc(bytes), malloc(bytes), calloc(bytes, 1), bytes};
  FUZZ_REQUIRE(made->memory != NULL && made->before != NULL && made->written != NULL);
  memset(made->memory, 0, bytes);
  return made;
}

/* The bytes that a destination covers. */
static void mark_written(block *of, const mo_tensor *tensor) {
  const size_t element = mo_dtype_bytes(tensor->dtype);
  const int64_t count = mo_tensor_count(tensor);
  const size_t first = (size_t)((uint8_t *)tensor->data - of->memory);
  for (int64_t n = 0; n < count; ++n) {
    int64_t offset = 0, rest = n;
    for (int32_t i = tensor->rank - 1; i >= 0; --i) {
      offset += rest % tensor->shape[i] * tensor->strides[i];
      rest /= tensor->shape[i];
    }
    memset(of->written + first + (size_t)offset * element, 1, element);
  }
}

static void place(call *self, mo_tensor *tensor, bool destination) {
  int64_t bytes = claimed_bytes(tensor);
  if (is_large(tensor, bytes)) { /* it would only take long */
    for (int32_t i = 0; i < tensor->rank; ++i) tensor->shape[i] = tensor->strides[i] = 1;
    bytes = claimed_bytes(tensor);
  }
  const int way = fuzz_byte(self->input) % 64;
  if (way == 1 || (bytes == 0 && (way % 2 == 1 || self->empty_has_no_data))) return; /* NULL */
  const size_t lead = way == 2 ? 1 : 0;
  block *of = NULL;
  if (way >= 60 && self->block_count > 0) { /* over or beside what another tensor has */
    of = &self->blocks[fuzz_pick(self->input, self->block_count)];
    const int64_t at = fuzz_pick(self->input, 4) * 4;
    if (bytes >= 0 && at + bytes <= (int64_t)of->bytes) tensor->data = of->memory + at;
    else of = NULL;
  }
  if (of == NULL) {
    of = new_block(self, (bytes > 0 ? (size_t)bytes : 1) + lead);
    tensor->data = of->memory + lead;
    if (bytes > 0) fill(self, tensor->dtype, tensor->data, (size_t)bytes);
  }
  if (destination && bytes > 0) mark_written(of, tensor);
}

static mo_tensor *make_tensor(call *self, char dtype, const char *shape, bool destination) {
  mo_tensor *tensor = keep(self, sizeof *tensor);
  tensor->dtype = pick_dtype(self, dtype);
  tensor->device = mo_context_device(fuzz_context());
  pick_shape(self, shape, tensor);
  pick_strides(self, tensor);
  place(self, tensor, destination);
  if (fuzz_once_in(self->input, 100)) tensor->device.index = fuzz_pick(self->input, 3) - 1;
  if (fuzz_once_in(self->input, 100)) tensor->device.kind = (mo_device_kind_t)fuzz_pick(self->input, 5);
  return tensor;
}

/* ---- Members that are more than a tensor -------------------------------------------------------------------------------- */

/* letters: rows, heads, slots, head_dim, value head_dim. */
static mo_kv_view make_view(call *self, const char *letters, bool destination, bool may_be_paged) {
  const char paged[] = {'k', letters[1], 'p', letters[3], '\0'}, paged_value[] = {'k', letters[1], 'p', letters[4], '\0'};
  const char plain[] = {letters[0], letters[1], letters[2], letters[3], '\0'};
  const char plain_value[] = {letters[0], letters[1], letters[2], letters[4], '\0'};
  const char scale[] = {letters[0], letters[1], letters[2], 'g', '\0'}, paged_scale[] = {'k', letters[1], 'p', 'g', '\0'};
  const char table[] = {letters[0], 'm', '\0'};
  const bool in_pages = self->paged && may_be_paged;
  const bool quantised = self->storage == MO_DTYPE_INT8 || self->storage == MO_DTYPE_FLOAT8_E4M3;
  mo_kv_view view = {0};
  view.key = make_tensor(self, 's', in_pages ? paged : plain, destination);
  view.value = make_tensor(self, 's', in_pages ? paged_value : plain_value, destination);
  if (quantised != fuzz_once_in(self->input, 50)) {
    view.key_scale = make_tensor(self, 'f', in_pages ? paged_scale : scale, destination);
    view.value_scale = make_tensor(self, 'f', in_pages ? paged_scale : scale, destination);
  }
  if (in_pages != fuzz_once_in(self->input, 50)) view.block_table = make_tensor(self, 'n', table, false);
  if (fuzz_once_in(self->input, 50)) view.value = NULL;
  return view;
}

static mo_rotary make_rotary(call *self) {
  mo_rotary rotary = {make_tensor(self, 'f', "or", false), make_tensor(self, 'f', "or", false), MO_ROTARY_HALVES};
  if (fuzz_once_in(self->input, 3)) rotary.pairing = (mo_rotary_pairing_t)fuzz_pick(self->input, 3);
  if (fuzz_once_in(self->input, 50)) rotary.sine = NULL;
  return rotary;
}

static mo_index_list make_indices(call *self) {
  mo_index_list list = {NULL, 0};
  if (!fuzz_once_in(self->input, 4)) return list;
  list.count = fuzz_pick(self->input, 4);
  int32_t *numbers = keep(self, (size_t)list.count * sizeof *numbers);
  for (int32_t i = 0; i < list.count; ++i) numbers[i] = (int32_t)(fuzz_integer(self->input, 4) % 1000) - 1;
  list.indices = numbers;
  if (fuzz_once_in(self->input, 20)) list.indices = NULL;
  if (fuzz_once_in(self->input, 20)) list.count = -1;
  return list;
}

/* shape: the letters of the views, then those of the new keys' batch. */
static void make_layers(call *self, const member *of, uint8_t *params) {
  const char *letters = of->shape;
  const char key[] = {letters[5], letters[1], 't', letters[3], '\0'}, value[] = {letters[5], letters[1], 't', letters[4], '\0'};
  static const int32_t counts[] = {1, 2, 3, 0, -1, 129, INT32_MIN};
  const int32_t count = counts[fuzz_once_in(self->input, 4) ? fuzz_pick(self->input, sizeof counts / sizeof counts[0]) : 0];
  mo_kv_update_layer *layers = keep(self, count > 0 ? (size_t)count * sizeof *layers : 0);
  for (int32_t i = 0; i < count; ++i) {
    if (i >= LAYERS) layers[i] = layers[i % LAYERS];
    else
      layers[i] = (mo_kv_update_layer){make_view(self, letters, true, true), make_tensor(self, 'x', key, false),
                                       make_tensor(self, 'x', value, false)};
  }
  memcpy(params + of->offset, &layers, sizeof layers);
  memcpy(params + of->plain, &count, sizeof count);
}

static void make_packed(call *self, const member *of, uint8_t *params) {
  static const mo_tensor *const none;
  if (!fuzz_once_in(self->input, 3)) return;
  const mo_tensor *weights[2] = {make_tensor(self, of->dtype, of->shape, false), NULL};
  const int32_t count = fuzz_once_in(self->input, 4) ? fuzz_pick(self->input, 3) : 1;
  weights[1] = fuzz_pick(self->input, 2) == 0 ? weights[0] : make_tensor(self, of->dtype, of->shape, false);
  const bool made = fuzz_status(mo_linear_pack(fuzz_context(), weights, count, &self->packed));
  FUZZ_REQUIRE(made == (self->packed != NULL));
  memcpy(params + of->offset, &self->packed, sizeof self->packed);
  if (made && !fuzz_once_in(self->input, 20)) memcpy(params + of->plain, &none, sizeof none);
}

static void pick_pair(call *self, int32_t *pair, int32_t plain, int bound) {
  pair[0] = pair[1] = plain;
  for (int i = 0; i < 2; ++i)
    if (fuzz_once_in(self->input, 6)) pair[i] = (int32_t)fuzz_integer(self->input, bound);
}

/* A weight (o, c / groups, 3, 3). Its output for an input (b, c, h, w) has y times x pixels. */
static void make_convolution(call *self, const member *of, uint8_t *params) {
  mo_convolution_geometry geometry = MO_CONVOLUTION_GEOMETRY_INIT;
  geometry.transposed = fuzz_once_in(self->input, 4);
  pick_pair(self, geometry.stride, 1, 4);
  pick_pair(self, geometry.dilation, 1, 4);
  pick_pair(self, geometry.padding_before, 1, 4);
  pick_pair(self, geometry.padding_after, 1, 4);
  if (geometry.transposed) pick_pair(self, geometry.output_padding, 0, 3);
  if (fuzz_once_in(self->input, 4)) geometry.groups = (int32_t)fuzz_integer(self->input, 9);
  const mo_tensor *weight = make_tensor(self, 'x', geometry.transposed ? "co33" : "oc33", false);
  const bool made = fuzz_status(mo_convolution_pack(fuzz_context(), weight, &geometry, &self->convolution));
  FUZZ_REQUIRE(made == (self->convolution != NULL));
  memcpy(params + of->offset, &self->convolution, sizeof self->convolution);
  const int64_t input[] = {extent(self, 'b'), extent(self, 'c'), extent(self, 'h'), extent(self, 'w')};
  int64_t output[4];
  if (!made || !fuzz_status(mo_convolution_output_shape(self->convolution, 4, input, output))) return;
  if (self->extents['y'] < 0) self->extents['y'] = output[2];
  if (self->extents['x'] < 0) self->extents['x'] = output[3];
}

static void make_pointer_to(call *self, uint8_t *params, size_t offset, const void *thing, size_t bytes) {
  void *copy = keep(self, bytes);
  memcpy(copy, thing, bytes);
  memcpy(params + offset, &copy, sizeof copy);
}

static void make_member(call *self, const member *of, uint8_t *params) {
  uint8_t *at = params + of->offset;
  if (of->optional && of != self->given && !fuzz_once_in(self->input, 3)) return;
  if (!of->optional && fuzz_once_in(self->input, 100)) return;
  switch (of->kind) {
    case MEMBER_TENSOR: {
      const mo_tensor *tensor = make_tensor(self, of->dtype, of->shape, of->destination);
      memcpy(at, &tensor, sizeof tensor);
      break;
    }
    case MEMBER_REAL: {
      const float value = fuzz_once_in(self->input, 3) ? fuzz_real(self->input) : (float)of->plain;
      memcpy(at, &value, sizeof value);
      break;
    }
    case MEMBER_DOUBLE: {
      const double value = fuzz_once_in(self->input, 3) ? (double)fuzz_real(self->input) : (double)of->plain;
      memcpy(at, &value, sizeof value);
      break;
    }
    case MEMBER_INTEGER: {
      int64_t value = of->shape != NULL ? extent(self, of->shape[0]) : of->plain;
      if (fuzz_once_in(self->input, 3)) value = fuzz_integer(self->input, of->bound);
      memcpy(at, &value, sizeof value);
      break;
    }
    case MEMBER_FLAG: {
      const bool value = fuzz_pick(self->input, 2) == 1;
      memcpy(at, &value, sizeof value);
      break;
    }
    case MEMBER_CHOICE: {
      unsigned value = (unsigned)of->plain + (unsigned)fuzz_pick(self->input, of->bound);
      if (fuzz_once_in(self->input, 50)) value = (unsigned)fuzz_integer(self->input, 9);
      memcpy(at, &value, sizeof value);
      break;
    }
    case MEMBER_INDICES: {
      const mo_index_list list = make_indices(self);
      memcpy(at, &list, sizeof list);
      break;
    }
    case MEMBER_ROTARY: {
      const mo_rotary rotary = make_rotary(self);
      if (of->pointer) make_pointer_to(self, params, of->offset, &rotary, sizeof rotary);
      else memcpy(at, &rotary, sizeof rotary);
      break;
    }
    case MEMBER_VIEW: {
      const mo_kv_view view = make_view(self, of->shape, of->destination, of->plain == 0);
      if (of->pointer) make_pointer_to(self, params, of->offset, &view, sizeof view);
      else memcpy(at, &view, sizeof view);
      break;
    }
    case MEMBER_LAYERS:
      make_layers(self, of, params);
      break;
    case MEMBER_PACKED:
      make_packed(self, of, params);
      break;
    case MEMBER_PAIR: {
      int32_t pair[2];
      pick_pair(self, pair, (int32_t)of->plain, of->bound);
      memcpy(at, pair, sizeof pair);
      break;
    }
    case MEMBER_CONVOLUTION:
      make_convolution(self, of, params);
      break;
    case MEMBER_END:
      break;
  }
}

/* ---- A call ----------------------------------------------------------------------------------------------------------------
 */

/* The struct as it is passed: of exactly the size it says, shorter or longer than the library's seldom. */
static const void *pass(call *self, const op *of, const uint8_t *params) {
  size_t bytes = of->params_bytes;
  if (fuzz_once_in(self->input, 24)) bytes = (size_t)fuzz_byte(self->input) * 2 % (bytes + 32);
  uint8_t *passed = keep(self, bytes < sizeof bytes ? sizeof bytes : bytes);
  memcpy(passed, params, bytes < of->params_bytes ? bytes : of->params_bytes);
  memcpy(passed, &bytes, sizeof bytes);
  if (bytes > of->params_bytes) memset(passed + of->params_bytes, fuzz_pick(self->input, 2), bytes - of->params_bytes);
  return passed;
}

static void require_untouched(const call *self, bool ok) {
  for (int i = 0; i < self->block_count; ++i) {
    const block *of = &self->blocks[i];
    for (size_t byte = 0; byte < of->bytes; ++byte)
      if (of->memory[byte] != of->before[byte]) FUZZ_REQUIRE(ok && of->written[byte]);
  }
}

static void close(call *self) {
  mo_packed_weight_destroy(self->packed);
  mo_packed_convolution_destroy(self->convolution);
  for (int i = 0; i < self->kept_count; ++i) free(self->kept[i]);
  for (int i = 0; i < self->block_count; ++i) {
    free(self->blocks[i].memory);
    free(self->blocks[i].before);
    free(self->blocks[i].written);
  }
}

static call open(fuzz_input *input, int style) {
  static const mo_dtype_t floats[] = {MO_DTYPE_FLOAT32, MO_DTYPE_BFLOAT16, MO_DTYPE_FLOAT16};
  call self = {.input = input, .random = 0x9E3779B97F4A7C15u + fuzz_byte(input), .dtype = floats[style % 3]};
  self.storage = style / 3 % 4 == 1 ? MO_DTYPE_INT8 : style / 3 % 4 == 2 ? MO_DTYPE_FLOAT8_E4M3 : self.dtype;
  self.paged = style / 12 % 2 == 1;
  memset(self.extents, -1, sizeof self.extents);
  return self;
}

/* Whether the op succeeded. */
static bool run(call *self, const op *of) {
  fuzz_input *input = self->input;
  uint8_t params[1024] = {0};
  FUZZ_REQUIRE(of->params_bytes <= sizeof params);
  for (const member *each = of->members(); each->kind != MEMBER_END; ++each) make_member(self, each, params);
  const void *passed = fuzz_once_in(input, 200) ? NULL : pass(self, of, params);
  for (int i = 0; i < self->block_count; ++i) memcpy(self->blocks[i].before, self->blocks[i].memory, self->blocks[i].bytes);
  mo_context_t *context = fuzz_context();
  if (fuzz_once_in(input, 32)) fuzz_fail_allocation(1 + fuzz_pick(input, 3));
  const bool ok = fuzz_status(of->call(fuzz_once_in(input, 200) ? NULL : context, passed));
  fuzz_fail_allocation(0);
  require_untouched(self, ok);
  close(self);
  return ok;
}

/* ---- Extents of 0 ---------------------------------------------------------------------------------------------------------
 */

/* Without a cache dtypes are all there is to a style; the kinds of caches take turns with them. */
enum { STYLES = 24, STYLES_WITHOUT_CACHE = 3, STYLE_STEP = 3 };

/* A plain call with the extents behind two letters set; -1 leaves one as it is. The extents used are in `drawn`. */
static bool run_with(const op *of, int style, bool rows_apart, const member *given, const int64_t *preset, int64_t *drawn) {
  fuzz_input nothing = {NULL, 0};
  call self = open(&nothing, style);
  self.given = given;
  self.empty_has_no_data = true;
  self.rows_apart = rows_apart;
  memcpy(self.extents, preset, sizeof self.extents);
  const bool ok = run(&self, of);
  if (drawn != NULL) memcpy(drawn, self.extents, sizeof self.extents);
  return ok;
}

/* Each extent 0 in turn: alone, and `with_large` beside another that is large, and with all others so large that their product
 * is none. Returns how many calls succeeded. */
static int run_empty(const op *of, int style, bool rows_apart, const member *given, bool with_large) {
  static const int64_t large[] = {(int64_t)INT32_MAX + 1, (int64_t)1 << 40, INT64_MAX / 4 + 1};
  int64_t plain[128], preset[128];
  int succeeded = 0;
  memset(preset, -1, sizeof preset);
  (void)run_with(of, style, rows_apart, given, preset, plain);
  for (int empty = 'A'; empty <= 'z'; ++empty) {
    if (plain[empty] < 0) continue;
    preset[empty] = 0;
    succeeded += run_with(of, style, rows_apart, given, preset, NULL);
    for (int other = 'A'; with_large && other <= 'z'; ++other) {
      if (other == empty || plain[other] < 0) continue;
      for (int i = 0; i < (int)(sizeof large / sizeof large[0]); ++i) {
        preset[other] = large[i];
        succeeded += run_with(of, style, rows_apart, given, preset, NULL);
      }
      preset[other] = -1;
    }
    for (int other = 'A'; other <= 'z'; ++other) preset[other] = other == empty ? 0 : large[1];
    if (with_large) succeeded += run_with(of, style, rows_apart, given, preset, NULL);
    memset(preset, -1, sizeof preset);
    if (!rows_apart) continue;
    for (int other = 'a'; other <= 'z'; ++other) /* enough rows for the ways that more than a few take */
      if (other != empty && plain[other] == PLAIN_SIZE) preset[other] = 5;
    preset[empty] = 0;
    succeeded += run_with(of, style, rows_apart, given, preset, NULL);
    memset(preset, -1, sizeof preset);
  }
  return succeeded;
}

static bool has_cache(const op *of) {
  for (const member *each = of->members(); each->kind != MEMBER_END; ++each)
    if (each->kind == MEMBER_VIEW || each->kind == MEMBER_LAYERS) return true;
  return false;
}

/* Calls that do nothing must do it without looking at memory that is not there. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  for (int number = 0; number < op_count; ++number) {
    const op *of = &ops[number];
    int succeeded = 0;
    bool has_tensor = false;
    const bool cached = has_cache(of);
    for (int i = 0; i < (cached ? STYLES : STYLES_WITHOUT_CACHE); i += cached ? STYLE_STEP : 1) {
      const int style = cached ? i + i / STYLE_STEP % STYLE_STEP : i;
      succeeded += run_empty(of, style, false, NULL, i == 0);
      succeeded += run_empty(of, style, true, NULL, false);
      for (const member *each = of->members(); each->kind != MEMBER_END; ++each) {
        has_tensor = has_tensor || each->kind == MEMBER_TENSOR;
        if (each->optional) succeeded += run_empty(of, style, false, each, i == 0);
      }
    }
    FUZZ_REQUIRE(succeeded > 0 || !has_tensor);
  }
  fuzz_close_context();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  fuzz_input input = {data, bytes};
  for (int calls = 0; input.left > 0 && calls < CALLS; ++calls) {
    const op *of = &ops[fuzz_byte(&input) % op_count];
    call self = open(&input, fuzz_byte(&input));
    (void)run(&self, of);
  }
  (void)fuzz_context();
  fuzz_close_context();
  return 0;
}
