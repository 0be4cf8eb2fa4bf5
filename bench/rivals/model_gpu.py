#!/usr/bin/env python3
"""A whole BERT-base forward pass on the GPU: modelout as one CUDA graph against Transformers eager, in one process.

Random weights, hidden states and attentions requested, both in the same dtype, ids on the device, every mask full. Ours: the pass is
captured once and replayed, outputs written in place. Rivals: Transformers with eager attention (the one that gives attentions), as it
is called, and, without attentions on both sides, with its sdpa attention. Wall clock from the call to the end of the device's work,
pairs in alternating order, medians. Every field is compared first: in float32 within 1e-4 of PyTorch's in float32, else by at most
twice the error that PyTorch's own pass in that dtype has.

usage: model_gpu.py [--library PATH] [--device cuda|cpu] [--rounds 15] [--seconds 500] [--only NAME] [--json FILE]

Exit status 77 without PyTorch, Transformers or a GPU. --device cpu: a tiny model through the same code, without a graph.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import statistics
import sys
import tempfile
import time

import gpu_pairs
from modelout_ctypes import DTYPES, ModelInputs, ModelOptions, Request, Tensor, describe

CASES = [(batch, length) for batch in (1, 16) for length in (128, 512)]
TINY = [(1, 8), (2, 12)]
BASE = {}  # BertConfig's defaults are those of bert-base-uncased
SMALL = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
             max_position_embeddings=32)


class Ours:
    """The checkpoint in the library, and an output of one shape."""

    def __init__(self, bench, ops, folder, dtype):
        self.bench, self.ops, self.library = bench, ops, ops.library
        self.library.mo_field_tensor.restype = ctypes.POINTER(Tensor)
        self.library.mo_field_tensor.argtypes = [ctypes.c_void_p]
        self.library.mo_output_mark_written.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.model, self.output, self.graph = ctypes.c_void_p(), ctypes.c_void_p(), None
        options = ModelOptions(struct_size=ctypes.sizeof(ModelOptions), dtype=DTYPES[dtype])
        ops.check(self.library.mo_model_load(ops.context, folder.encode(), ctypes.byref(options), ctypes.byref(self.model)))

    def prepare(self, ids, mask, everything):
        self.keep = [ids, mask, describe(ids), describe(mask)]
        self.inputs = ModelInputs(struct_size=ctypes.sizeof(ModelInputs), input_ids=ctypes.pointer(self.keep[2]),
                                  attention_mask=ctypes.pointer(self.keep[3]))
        self.request = Request(struct_size=ctypes.sizeof(Request), output_hidden_states=everything, output_attentions=everything)
        self.ops.check(self.library.mo_model_create_output(self.model, ctypes.byref(self.inputs), ctypes.byref(self.request),
                                                           ctypes.byref(self.output)))
        self.run()
        if self.bench.cuda:
            self.bench.ops_done()
            torch = self.bench.torch
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.bench.stream, capture_error_mode="thread_local"):
                self.run()

    def run(self):
        self.ops.check(self.library.mo_model_run(self.model, ctypes.byref(self.inputs), ctypes.byref(self.request), self.output))

    def step(self):
        """What a runtime does per request: replay, and say that the output is new."""
        if self.graph is None:
            self.run()
            return
        self.graph.replay()
        self.ops.check(self.library.mo_output_mark_written(self.output, ctypes.c_void_p(self.bench.stream.cuda_stream)))

    def tensor(self, key, index=None):
        """A field as it lies on the device, as a copy on the host in float32."""
        torch = self.bench.torch
        field = self.library.mo_output_get(self.output, key.encode())
        if index is not None:
            field = self.library.mo_field_item(ctypes.c_void_p(field), index)
        shape = self.library.mo_field_tensor(ctypes.c_void_p(field)).contents
        extents = list(shape.shape[:shape.rank])
        values = torch.empty(extents, dtype=torch.float32)
        self.library.mo_field_read_float32.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p,
                                                       ctypes.c_int64]
        self.ops.check(self.library.mo_field_read_float32(field, None, 0, values.data_ptr(), values.numel()))
        return values

    def release(self):
        self.graph = None
        self.library.mo_output_destroy(self.output)


def fields_of(output):
    yield "last_hidden_state", None, output.last_hidden_state
    yield "pooler_output", None, output.pooler_output
    for key in ("hidden_states", "attentions"):
        for index, tensor in enumerate(output[key] or () if key in output else ()):
            yield key, index, tensor


def check(label, ours, output, exact):
    """The largest difference from the float32 pass."""
    worst = 0.0
    exact_fields = {(key, index): tensor.float().cpu() for key, index, tensor in fields_of(exact)}
    for key, index, tensor in fields_of(output):
        expected = exact_fields[key, index]
        own = (ours.tensor(key, index) - expected).abs().max().item()
        allowed = 1e-4 + 2 * (tensor.float().cpu() - expected).abs().max().item()
        if not own <= allowed:
            raise SystemExit(f"{label}: {key} {index if index is not None else ''} differs by {own:.2e}, {allowed:.2e} is allowed")
        worst = max(worst, own)
    return worst


def wall_clock(bench, call):
    bench.ops_done()
    start = time.perf_counter()
    call()
    bench.ops_done()
    return time.perf_counter() - start


def compare(bench, label, rival_name, ours, rival, **facts):
    for call in (ours, rival, ours, rival):
        call()
    times = ([], [])
    for turn in range(bench.arguments.rounds if bench.cuda else 3):
        order = ((ours, times[0]), (rival, times[1]))
        for call, own in order if turn % 2 == 0 else order[::-1]:
            own.append(wall_clock(bench, call))
    mine, other = map(statistics.median, times)
    ratio = statistics.median(theirs / own for own, theirs in zip(*times))
    bench.add({"case": label, "rival": rival_name, "op": "model", "modelout_us": mine * 1e6, "rival_us": other * 1e6,
               "ratio": ratio, "how": ["graph" if bench.cuda else "calls", "calls"], **facts})
    print(f"{label:44} {rival_name:34} {mine * 1e3:9.3f} ms {other * 1e3:9.3f} ms {ratio:7.2f}", flush=True)


def main():
    arguments = gpu_pairs.arguments_of(__doc__)
    gpu_pairs.small_threads()
    torch = gpu_pairs.import_torch(arguments.device)
    try:
        import transformers
    except ImportError as error:
        print(f"skipped: no Transformers ({error})")
        return gpu_pairs.SKIPPED
    bench = gpu_pairs.Bench(torch, arguments)
    ops = bench.ops()
    config = transformers.BertConfig(**(BASE if bench.cuda else SMALL))
    with tempfile.TemporaryDirectory() as folder:
        transformers.BertModel(config).eval().save_pretrained(folder)

        def load(attention, dtype):
            model = transformers.BertModel.from_pretrained(folder, attn_implementation=attention).eval()
            return model.to(device=arguments.device, dtype=getattr(torch, dtype))
        reference = load("eager", "float32")
        for dtype in ("bfloat16", "float32") if bench.cuda else ("float32",):
            ours = Ours(bench, ops, folder, dtype)
            rivals = {attention: load(attention, dtype) for attention in ("eager", "sdpa")}
            for batch, length in CASES if bench.cuda else TINY:
                label = f"bert {dtype} batch {batch} length {length}"
                if not bench.wants(label):
                    continue
                ids = torch.randint(5, config.vocab_size, (batch, length), device=arguments.device)
                mask = torch.ones_like(ids)
                for attention, everything in (("eager", True), ("sdpa", False)):
                    extra = {"output_hidden_states": everything, "output_attentions": everything}

                    def rival(model=rivals[attention]):
                        return model(input_ids=ids, attention_mask=mask, **extra)
                    ours.prepare(ids, mask, everything)
                    ours.step()
                    bench.ops_done()
                    difference = check(label, ours, rival(), reference(input_ids=ids, attention_mask=mask, **extra))
                    compare(bench, label, f"{attention}, " + ("everything requested" if everything else "no optional field"),
                            ours.step, rival, difference=difference, batch=batch, length=length, dtype=dtype)
                    ours.release()
            ops.library.mo_model_destroy(ours.model)
    return bench.finish(transformers=transformers.__version__)


if __name__ == "__main__":
    sys.exit(main())
