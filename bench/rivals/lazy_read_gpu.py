#!/usr/bin/env python3
"""Reading logits on the host: modelout's lazy reads against PyTorch's .cpu() and pinned copies, the same tensor in one process.

Both sides read the very same device memory: an output made in memory of PyTorch's. Ours, each after the output was marked as written
anew: a field that nobody reads, the first read, the second, the last position only, the five largest of every row, and a read after a
prefetch. Rivals: .cpu() of the whole (or of the part, or topk then .cpu()), and a non_blocking copy into pinned memory kept for the
purpose, waited for. Wall clock of the caller; shapes of bench/shapes/lazy_read.txt in float32. A call through
ctypes costs some 0.3 us by itself; bench/lazy_read_bench.cc times the same reads from C++.

usage: lazy_read_gpu.py [--library PATH] [--device cuda|cpu] [--rounds 15] [--seconds 500] [--only NAME] [--json FILE]

Exit status 77 without PyTorch or a GPU. --device cpu: tiny shapes through the same code (there a read is a pointer).

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import statistics
import sys
import time

import gpu_pairs
from modelout_ctypes import FLOAT32, INT64, Dimensions, FieldCounters, HostView, Slice, Tensor

TINY = (("tiny", (2, 3, 40)),)
UNSET = -(2**63)
MANY = 1000


class Logits:
    """An output of the library whose logits are also a torch tensor."""

    def __init__(self, bench, ops, sizes):
        torch, library = bench.torch, ops.library
        batch, length, vocabulary = sizes
        library.mo_class_find.restype = ctypes.c_void_p
        library.mo_class_find.argtypes = [ctypes.c_char_p]
        library.mo_field_tensor.restype = ctypes.POINTER(Tensor)
        library.mo_field_tensor.argtypes = [ctypes.c_void_p]
        library.mo_field_get_counters.restype = FieldCounters
        library.mo_field_get_counters.argtypes = [ctypes.c_void_p]
        library.mo_field_is_ready.restype = ctypes.c_bool
        library.mo_field_is_ready.argtypes = [ctypes.c_void_p]
        library.mo_field_prefetch.argtypes = [ctypes.c_void_p]
        library.mo_output_mark_written.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        library.mo_field_read_slice.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.POINTER(HostView)]
        library.mo_field_read_top_k.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(HostView), ctypes.POINTER(HostView)]
        self.bench, self.ops, self.library = bench, ops, library
        dimensions = Dimensions(struct_size=ctypes.sizeof(Dimensions), dtype=FLOAT32, batch_size=batch, sequence_length=length,
                                vocab_size=vocabulary)
        kind, size = ctypes.c_void_p(library.mo_class_find(b"MaskedLMOutput")), ctypes.c_size_t()
        ops.check(library.mo_output_query_bytes(kind, ctypes.byref(dimensions), None, ctypes.byref(size)))
        self.memory = torch.empty(size.value + 256, dtype=torch.uint8, device=bench.arguments.device)
        start = -self.memory.data_ptr() % 256
        self.output = ctypes.c_void_p()
        ops.check(library.mo_output_create(ops.context, kind, ctypes.byref(dimensions), None,
                                           ctypes.c_void_p(self.memory.data_ptr() + start), size, ctypes.byref(self.output)))
        self.field = ctypes.c_void_p(library.mo_output_get(self.output, b"logits"))
        first = library.mo_field_tensor(self.field).contents.data - self.memory.data_ptr()
        count = batch * length * vocabulary
        self.tensor = self.memory[first:first + 4 * count].view(torch.float32).view(batch, length, vocabulary)
        self.tensor.normal_()
        self.view, self.indices = HostView(), HostView()
        self.last = (Slice * 2)(Slice(UNSET, UNSET, 1), Slice(-1, UNSET, 1))
        self.stream = ctypes.c_void_p(bench.stream.cuda_stream if bench.cuda else None)
        self.new_generation()

    def new_generation(self):
        self.ops.check(self.library.mo_output_mark_written(self.output, self.stream))
        self.bench.ops_done()

    def copied(self):
        return self.library.mo_field_get_counters(self.field).host_copy_bytes

    def read(self):
        self.ops.check(self.library.mo_field_read(self.field, ctypes.byref(self.view)))

    def read_slice(self):
        self.ops.check(self.library.mo_field_read_slice(self.field, self.last, 2, ctypes.byref(self.view)))

    def read_top_k(self):
        self.ops.check(self.library.mo_field_read_top_k(self.field, 5, ctypes.byref(self.view), ctypes.byref(self.indices)))

    def prefetch(self):
        self.ops.check(self.library.mo_field_prefetch(self.field))

    def look_up(self):
        return self.library.mo_output_get(self.output, b"logits")

    def values(self, view):
        """The view as a tensor of its own, for the check."""
        torch = self.bench.torch
        count = sum((extent - 1) * stride for extent, stride in zip(view.shape[:view.rank], view.strides)) + 1
        kind = {FLOAT32: ctypes.c_float, INT64: ctypes.c_int64}[view.dtype]
        flat = torch.frombuffer((kind * count).from_address(view.data), dtype={FLOAT32: torch.float32, INT64: torch.int64}[view.dtype])
        return flat.as_strided(view.shape[:view.rank], view.strides[:view.rank]).clone()

    def check(self, label):
        torch, expected = self.bench.torch, self.tensor.cpu()
        for read, wanted in ((self.read, expected), (self.read_slice, expected[:, -1:])):
            self.new_generation()
            read()
            if not torch.equal(self.values(self.view), wanted):
                raise SystemExit(f"{label}: {read.__name__} gives other values than .cpu()")
        self.new_generation()
        self.read_top_k()
        if not torch.equal(self.values(self.view), expected.topk(5).values):
            raise SystemExit(f"{label}: top k gives other values than torch.topk")

    def destroy(self):
        self.library.mo_output_destroy(self.output)


def median_time(rounds, prepare, call, repetitions=1):
    times = []
    for _ in range(rounds):
        prepare()
        start = time.perf_counter()
        for _ in range(repetitions):
            call()
        times.append((time.perf_counter() - start) / repetitions)
    return statistics.median(times)


def compare(bench, label, prepare, ours, rivals, repetitions, copied):
    """Rounds in alternating order; one row per rival."""
    for name, rival in rivals.items():
        for call in (ours, rival):
            prepare()
            call()
        bytes_before, own_times, rival_times = copied(), [], []
        rounds = bench.arguments.rounds if bench.cuda else 3
        for turn in range(rounds):
            order = ((ours, own_times, repetitions), (rival, rival_times, 1))
            for call, times, count in order if turn % 2 == 0 else order[::-1]:
                times.append(median_time(1, prepare, call, count))
        own, other = statistics.median(own_times), statistics.median(rival_times)
        ratio = statistics.median(theirs / mine for mine, theirs in zip(own_times, rival_times))
        crossed = (copied() - bytes_before) / rounds
        bench.add({"case": label, "rival": name, "op": "lazy read", "modelout_us": own * 1e6, "rival_us": other * 1e6,
                   "ratio": ratio, "bytes_copied": crossed})
        print(f"{label:44} {name:22} {own * 1e6:12.3f} {other * 1e6:12.1f} {ratio:9.2f} {crossed:14.0f} bytes", flush=True)


def run(bench, logits, label):
    torch, tensor = bench.torch, logits.tensor
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=bench.cuda)
    wait = (lambda: bench.stream.synchronize()) if bench.cuda else (lambda: None)

    def pinned_copy():
        pinned.copy_(tensor, non_blocking=True)
        wait()

    def top_k():
        values, indices = tensor.topk(5)
        return values.cpu(), indices.cpu()

    def after_prefetch():
        logits.new_generation()
        logits.prefetch()
        while not logits.library.mo_field_is_ready(logits.field):
            pass

    whole = {".cpu()": tensor.cpu, "pinned non_blocking": pinned_copy}
    compare(bench, label + " untouched", logits.new_generation, logits.look_up, whole, MANY, logits.copied)
    compare(bench, label + " first read", logits.new_generation, logits.read, whole, 1, logits.copied)
    compare(bench, label + " second read", lambda: None, logits.read, whole, MANY, logits.copied)
    compare(bench, label + " last position", logits.new_generation, logits.read_slice, {".cpu() of the part": lambda: tensor[:, -1].cpu(),
                                                                                        **whole}, 1, logits.copied)
    compare(bench, label + " top 5", logits.new_generation, logits.read_top_k, {"topk().cpu()": top_k, **whole}, 1, logits.copied)
    compare(bench, label + " read after prefetch", after_prefetch, logits.read, whole, 1, logits.copied)


def main():
    arguments = gpu_pairs.arguments_of(__doc__)
    gpu_pairs.small_threads()
    torch = gpu_pairs.import_torch(arguments.device)
    bench = gpu_pairs.Bench(torch, arguments)
    ops = bench.ops()
    for name, sizes in gpu_pairs.read_shapes("lazy_read.txt") if bench.cuda else TINY:
        if sizes[2] < 5 or not bench.wants(name):
            continue
        logits = Logits(bench, ops, sizes)
        label = f"{name} " + "x".join(map(str, sizes))
        logits.check(label)
        run(bench, logits, label)
        logits.destroy()
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
