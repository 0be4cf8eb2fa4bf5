"""libmodelout.so through ctypes: just what the comparisons with other libraries need.

The structs mirror include/modelout/*.h member by member. Where the library may add members, zeros follow: a longer struct_size is
that of a newer caller.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import ctypes
from ctypes import POINTER, byref, c_bool, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint64, c_void_p, pointer, sizeof

FLOAT32, INT64 = 1, 7
DTYPES = {"float32": 1, "float16": 2, "bfloat16": 3, "int32": 6, "int64": 7, "uint8": 8, "bool": 9}
DEVICE_CHOICE_CPU, DEVICE_CHOICE_CUDA = 1, 2
CAUSAL_OFFSET_DEFAULT = -(2**63)


class Device(ctypes.Structure):
    _fields_ = [("kind", c_int32), ("index", c_int32)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("dtype", c_int32), ("device", Device), ("rank", c_int32), ("shape", c_int64 * 8),
                ("strides", c_int64 * 8)]


class Allocator(ctypes.Structure):
    _fields_ = [("allocate", c_void_p), ("release", c_void_p), ("user_data", c_void_p)]


class LogSink(ctypes.Structure):
    _fields_ = [("write", c_void_p), ("user_data", c_void_p)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("device", c_int32), ("device_index", c_int32), ("thread_count", c_int32),
                ("stream", c_void_p), ("device_allocator", Allocator), ("pinned_allocator", Allocator),
                ("host_allocator", Allocator), ("cached_bytes_limit", c_size_t), ("backend", c_void_p), ("log", LogSink),
                ("own_stream", c_bool)]


class IndexList(ctypes.Structure):
    _fields_ = [("indices", POINTER(c_int32)), ("count", c_int32)]


class Request(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("output_hidden_states", c_bool), ("output_attentions", c_bool), ("use_cache", c_bool),
                ("hidden_state_layers", IndexList), ("attention_layers", IndexList), ("attention_heads", IndexList),
                ("last_query_rows", c_int64), ("last_logit_positions", c_int64), ("attention_reduction", c_int32),
                ("attention_dtype", c_int32), ("later", c_int64 * 16)]


class ModelInputs(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t)] + [(name, POINTER(Tensor)) for name in (
        "input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds", "labels", "next_sentence_label",
        "start_positions", "end_positions")] + [("later", c_void_p * 24)]


TensorPointer = POINTER(Tensor)


def _params(name, *members):
    """A parameter struct: struct_size, then (name, type) pairs; a name alone is a tensor."""
    fields = [("struct_size", c_size_t)]
    fields += [(member, TensorPointer) if isinstance(member, str) else member for member in members]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


AttentionParams = _params(
    "AttentionParams", "output", "weights", "log_sum_exp", "query", "key", "value", "mask", "bias", "key_lengths", ("causal", c_bool),
    ("causal_offset", c_int64), ("sliding_window", c_int64), ("scale", c_float), ("soft_cap", c_float),
    ("weights_reduction", c_int32), ("weight_heads", IndexList), ("weight_last_rows", c_int64), "cumulative_query_lengths",
    "cumulative_key_lengths", ("max_query_length", c_int64), ("max_key_length", c_int64), ("cache", c_void_p), "causal_offsets")
class KvView(ctypes.Structure):
    _fields_ = [(name, TensorPointer) for name in ("key", "value", "key_scale", "value_scale", "block_table")]


DecodeAttentionParams = _params(
    "DecodeAttentionParams", "output", "weights", "log_sum_exp", "query", "key", "value", ("cache", KvView), ("rotary", c_void_p),
    "position_ids", ("length", c_int64), "lengths", ("max_key_length", c_int64), "key_starts", "mask", "bias",
    ("sliding_window", c_int64), ("scale", c_float), ("soft_cap", c_float), ("weights_reduction", c_int32),
    ("weight_heads", IndexList), ("weight_last_rows", c_int64))
LinearParams = _params("LinearParams", "output", "input", "weight", ("packed_weight", c_void_p), "bias", "residual",
                       ("activation", c_int32))
NormParams = _params("NormParams", "output", "sum", "input", "residual", "input_bias", "weight", "bias", ("epsilon", c_float),
                     ("weight_offset", c_float))
SoftmaxParams = _params("SoftmaxParams", "output", "input", "mask", "bias", ("scale", c_float), ("causal", c_bool))
CrossEntropyParams = _params("CrossEntropyParams", "loss", "log_sum_exp", "logits", "labels", ("ignore_index", c_int64),
                             ("shift", c_bool), ("reduction", c_int32))
PoolingParams = _params("PoolingParams", ("mode", c_int32), "output", "input", "mask", "weight", "bias", ("l2_normalize", c_bool))
EmbeddingParams = _params(
    "EmbeddingParams", "output", "ids", "embeds", "word", "position", "type", "position_ids", "token_type_ids",
    ("position_skips_padding", c_bool), ("position_offset", c_int64), ("padding_id", c_int64), "norm_weight", "norm_bias",
    ("epsilon", c_float), ("word_scale", c_float))
POOLING_MEAN = 2


class ModelOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("dtype", c_int32), ("framework", c_int32), ("architecture", c_char_p),
                ("sub_module", c_char_p), ("allow_missing", c_bool), ("later", c_int64 * 16)]


class Dimensions(ctypes.Structure):
    """mo_dimensions; what logits do not need has no name here and is zero."""
    _fields_ = [("struct_size", c_size_t), ("dtype", c_int32)] + [(name, c_int64) for name in (
        "batch_size", "sequence_length", "key_length", "encoder_sequence_length", "hidden_size", "num_layers", "encoder_num_layers",
        "num_heads", "encoder_num_heads", "num_key_value_heads", "embed_size_per_head", "vocab_size")] + [("others", c_int64 * 40)]


class Slice(ctypes.Structure):
    _fields_ = [("start", c_int64), ("stop", c_int64), ("step", c_int64)]


class FieldCounters(ctypes.Structure):
    _fields_ = [("host_copies", c_uint64), ("host_copy_bytes", c_uint64)]


class HostView(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("dtype", c_int32), ("rank", c_int32), ("shape", c_int64 * 8), ("strides", c_int64 * 8),
                ("generation", c_uint64)]


def load(path):
    library = ctypes.CDLL(path)
    for name in ("mo_last_error", "mo_context_cpu_features", "mo_version_string", "mo_output_key_at"):
        getattr(library, name).restype = c_char_p
    for name in ("mo_output_get", "mo_field_item"):
        getattr(library, name).restype = c_void_p
    library.mo_output_get.argtypes = [c_void_p, c_char_p]
    library.mo_field_item.argtypes = [c_void_p, c_int64]
    library.mo_field_read.argtypes = [c_void_p, POINTER(HostView)]
    library.mo_field_length.argtypes = [c_void_p]
    library.mo_field_length.restype = c_int64
    library.mo_context_cpu_features.argtypes = [c_void_p]
    for name in ("mo_output_destroy", "mo_model_destroy", "mo_context_destroy"):
        getattr(library, name).argtypes = [c_void_p]
        getattr(library, name).restype = None
    return library


def cpu_tensor(address, dtype, shape):
    tensor = Tensor(data=address, dtype=dtype, device=Device(1, 0), rank=len(shape))
    stride = 1
    for i in reversed(range(len(shape))):
        tensor.shape[i], tensor.strides[i] = shape[i], stride
        stride *= shape[i]
    return tensor


def describe(tensor):
    """The descriptor of a torch tensor, which must stay alive; on the CPU or a card."""
    device = Device(1, 0) if tensor.device.type == "cpu" else Device(2, tensor.device.index or 0)
    result = Tensor(data=tensor.data_ptr(), dtype=DTYPES[str(tensor.dtype).removeprefix("torch.")], device=device,
                    rank=tensor.dim())
    for i in range(tensor.dim()):
        result.shape[i], result.strides[i] = tensor.shape[i], tensor.stride(i)
    return result


class Ops:
    """The library on a device, for single ops on torch tensors. stream: a cudaStream_t as a number."""

    def __init__(self, library_path, device, threads=0, stream=None):
        self.library = load(library_path)
        self.context = c_void_p()
        choice = DEVICE_CHOICE_CUDA if device == "cuda" else DEVICE_CHOICE_CPU
        options = ContextOptions(struct_size=sizeof(ContextOptions), device=choice, thread_count=threads, stream=stream)
        self.check(self.library.mo_context_create(byref(options), byref(self.context)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.mo_last_error().decode())

    def prepare(self, function, kind, **members):
        """A call with everything looked up beforehand, as a C caller would hold it. Tensors among the members stay alive."""
        params = kind(struct_size=sizeof(kind))
        for name, value in members.items():
            if hasattr(value, "data_ptr"):
                setattr(params, name, pointer(describe(value)))
            elif value is not None:
                setattr(params, name, value)
        entry, context, reference = getattr(self.library, function), self.context, byref(params)

        def call(keep=(params, members)):
            if entry(context, reference) != 0:
                self.check(1)

        return call


class Model:
    """A checkpoint folder on the CPU with `threads` threads."""

    def __init__(self, library_path, folder, threads):
        self.library = load(library_path)
        options = ContextOptions(struct_size=sizeof(ContextOptions), device=DEVICE_CHOICE_CPU, thread_count=threads)
        self.context, self.model = c_void_p(), c_void_p()
        self.check(self.library.mo_context_create(byref(options), byref(self.context)))
        self.check(self.library.mo_model_load(self.context, str(folder).encode(), None, byref(self.model)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.mo_last_error().decode())

    def features(self):
        return self.library.mo_context_cpu_features(self.context).decode()

    def inputs(self, **arrays):
        """name=(address, shape) of int64 arrays that stay alive as long as the result is used."""
        inputs = ModelInputs(struct_size=sizeof(ModelInputs))
        for name, (address, shape) in arrays.items():
            setattr(inputs, name, pointer(cpu_tensor(address, INT64, shape)))
        return inputs

    def request(self, hidden_states=True, attentions=True):
        return Request(struct_size=sizeof(Request), output_hidden_states=hidden_states, output_attentions=attentions)

    def forward(self, inputs, request):
        """An output, to be given to destroy()."""
        output = c_void_p()
        self.check(self.library.mo_model_forward(self.model, byref(inputs), byref(request), byref(output)))
        return output

    def destroy(self, output):
        self.library.mo_output_destroy(output)

    def read(self, output, key, index=None):
        """(address, shape) of a float32 field, or of one entry of a tuple. Contiguous on the CPU."""
        field = self.library.mo_output_get(output, key.encode())
        if index is not None:
            field = self.library.mo_field_item(field, index)
        view = HostView()
        self.check(self.library.mo_field_read(field, byref(view)))
        if view.dtype != FLOAT32:
            raise RuntimeError(f"{key}: dtype {view.dtype} is not float32")
        return view.data, tuple(view.shape[:view.rank])

    def close(self):
        self.library.mo_model_destroy(self.model)
        self.library.mo_context_destroy(self.context)
