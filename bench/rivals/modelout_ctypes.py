"""libmodelout.so through ctypes: just what the comparisons with other libraries need.

The structs mirror include/modelout/*.h member by member.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import ctypes
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint64, c_void_p, pointer, sizeof

FLOAT32, INT64 = 1, 7
DEVICE_CHOICE_CPU = 1


class Device(ctypes.Structure):
    _fields_ = [("kind", c_int32), ("index", c_int32)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("dtype", c_int32), ("device", Device), ("rank", c_int32), ("shape", c_int64 * 8),
                ("strides", c_int64 * 8)]


class Allocator(ctypes.Structure):
    _fields_ = [("allocate", c_void_p), ("release", c_void_p), ("user_data", c_void_p)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("device", c_int32), ("device_index", c_int32), ("thread_count", c_int32),
                ("stream", c_void_p), ("device_allocator", Allocator), ("pinned_allocator", Allocator),
                ("host_allocator", Allocator), ("cached_bytes_limit", c_size_t), ("backend", c_void_p)]


class IndexList(ctypes.Structure):
    _fields_ = [("indices", POINTER(c_int32)), ("count", c_int32)]


class Request(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("output_hidden_states", c_bool), ("output_attentions", c_bool), ("use_cache", c_bool),
                ("hidden_state_layers", IndexList), ("attention_layers", IndexList), ("attention_heads", IndexList),
                ("last_query_rows", c_int64), ("last_logit_positions", c_int64), ("attention_reduction", c_int32),
                ("attention_dtype", c_int32)]


class ModelInputs(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t)] + [(name, POINTER(Tensor)) for name in (
        "input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds", "labels", "next_sentence_label",
        "start_positions", "end_positions")]


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
