"""linear_cpu.py - mo_linear beside torch.nn.functional.linear on the CPU: same tensors, same process, same thread count.

    python linear_cpu.py --library build/lib/libmodelout.so [--threads 2] [--activation gelu] [--unpacked] [--json FILE]

The two alternate; the figures are medians. Input and weight of a round come from a small pool, so that neither side finds them
in the nearest caches more often than the other.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import ctypes
import json
import os
import statistics
import time

from modelout_ctypes import DEVICE_CHOICE_CPU, ContextOptions, Device, Tensor, load

DTYPES = {"float32": 1, "float16": 2, "bfloat16": 3}
ACTIVATIONS = {"none": 0, "gelu": 1, "gelu_tanh": 2, "relu": 3, "silu": 4, "tanh": 5}
ROWS = (16, 128, 512, 4096)
SHAPES = ((768, 768), (3072, 768), (768, 3072), (384, 384), (1536, 384), (384, 1536))


class LinearParams(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("output", ctypes.POINTER(Tensor)), ("input", ctypes.POINTER(Tensor)),
                ("weight", ctypes.POINTER(Tensor)), ("packed_weight", ctypes.c_void_p), ("bias", ctypes.POINTER(Tensor)),
                ("residual", ctypes.POINTER(Tensor)), ("activation", ctypes.c_int)]


class Library:
    def __init__(self, path, threads):
        self.library = load(path)
        self.context = ctypes.c_void_p()
        options = ContextOptions(struct_size=ctypes.sizeof(ContextOptions), device=DEVICE_CHOICE_CPU, thread_count=threads)
        self.check(self.library.mo_context_create(ctypes.byref(options), ctypes.byref(self.context)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.library.mo_last_error().decode())

    def features(self):
        return self.library.mo_context_cpu_features(self.context).decode()

    def pack(self, weight):
        packed = ctypes.c_void_p()
        weights = (ctypes.POINTER(Tensor) * 1)(ctypes.pointer(weight))
        self.check(self.library.mo_linear_pack(self.context, weights, 1, ctypes.byref(packed)))
        return packed

    def linear(self, params):
        self.check(self.library.mo_linear(self.context, ctypes.byref(params)))


def describe(tensor):
    """The descriptor of a torch tensor, which must stay alive."""
    result = Tensor(data=tensor.data_ptr(), dtype=DTYPES[str(tensor.dtype).split(".")[1]], device=Device(1, 0),
                    rank=tensor.dim())
    for i in range(tensor.dim()):
        result.shape[i] = tensor.shape[i]
        result.strides[i] = tensor.stride(i)
    return result


def rival_activation(torch, name):
    functional = torch.nn.functional
    return {"none": lambda x: x, "gelu": functional.gelu, "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
            "relu": functional.relu, "silu": functional.silu, "tanh": torch.tanh}[name]


def measure(library, torch, arguments, m, n, k):
    """Medians of seconds (ours, torch's) and the largest difference of the results."""
    dtype = getattr(torch, arguments.dtype)
    generator = torch.Generator().manual_seed(m * 31 + n * 7 + k)
    pool = 3
    inputs = [torch.randn(m, k, generator=generator).to(dtype) for _ in range(pool)]
    weights = [(torch.randn(n, k, generator=generator) * k**-0.5).to(dtype) for _ in range(pool)]
    bias = torch.randn(n, generator=generator).to(dtype)
    outputs = [torch.full((m, n), float("nan"), dtype=dtype) for _ in range(pool)]
    activate = rival_activation(torch, arguments.activation)
    keep, calls = [describe(bias)], []
    for x, w, y in zip(inputs, weights, outputs):
        dx, dw, dy = describe(x), describe(w), describe(y)
        packed = None if arguments.unpacked else library.pack(dw)
        keep += [dx, dw, dy]
        calls.append(LinearParams(struct_size=ctypes.sizeof(LinearParams), output=ctypes.pointer(dy), input=ctypes.pointer(dx),
                                  weight=ctypes.pointer(dw) if arguments.unpacked else None, packed_weight=packed,
                                  bias=ctypes.pointer(keep[0]), activation=ACTIVATIONS[arguments.activation]))
    ours, theirs, difference = [], [], 0.0
    for i in range(pool):
        library.linear(calls[i])
        expected = activate(torch.nn.functional.linear(inputs[i], weights[i], bias))
        difference = max(difference, (outputs[i] - expected).abs().max().item())
    end = time.perf_counter() + arguments.seconds
    i = 0
    while time.perf_counter() < end or len(ours) < 10:
        # A burst of each, so that the thread pools do not take turns spinning on each other's processors.
        for times, call in ((ours, lambda j: library.linear(calls[j])),
                            (theirs, lambda j: activate(torch.nn.functional.linear(inputs[j], weights[j], bias)))):
            call(i % pool)
            for _ in range(arguments.burst):
                i += 1
                start = time.perf_counter()
                call(i % pool)
                times.append(time.perf_counter() - start)
    for call in calls:
        if call.packed_weight:
            library.library.mo_packed_weight_destroy(ctypes.c_void_p(call.packed_weight))
    return statistics.median(ours), statistics.median(theirs), difference


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--activation", choices=sorted(ACTIVATIONS), default="gelu")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="float32")
    parser.add_argument("--unpacked", action="store_true", help="hand the weight over as it is, in every call")
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--seconds", type=float, default=1.0, help="per shape")
    parser.add_argument("--burst", type=int, default=4)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    library = Library(arguments.library, arguments.threads)
    import torch  # after the library, so that both find one OpenMP runtime each

    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    results = []
    print(f"torch {torch.__version__}, modelout {library.features()}, {arguments.threads} threads, {arguments.dtype}, "
          f"{arguments.activation}, weights {'as they are' if arguments.unpacked else 'packed'}")
    print(f"{'M':>6} {'N':>6} {'K':>6} {'ours us':>10} {'torch us':>10} {'GFLOP/s':>9} {'torch':>9} {'ratio':>6} {'max diff':>9}")
    for n, k in SHAPES:
        for m in arguments.rows:
            ours, theirs, difference = measure(library, torch, arguments, m, n, k)
            flops = 2.0 * m * n * k
            results.append({"m": m, "n": n, "k": k, "seconds": ours, "torch_seconds": theirs, "ratio": theirs / ours,
                            "gflops": flops / ours * 1e-9, "torch_gflops": flops / theirs * 1e-9, "difference": difference})
            r = results[-1]
            print(f"{m:6} {n:6} {k:6} {ours * 1e6:10.1f} {theirs * 1e6:10.1f} {r['gflops']:9.1f} {r['torch_gflops']:9.1f} "
                  f"{r['ratio']:6.2f} {difference:9.2e}", flush=True)
    print(f"lowest ratio {min(r['ratio'] for r in results):.2f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"torch": torch.__version__, "features": library.features(), "threads": arguments.threads,
                       "dtype": arguments.dtype, "activation": arguments.activation, "packed": not arguments.unpacked,
                       "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
