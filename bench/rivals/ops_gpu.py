#!/usr/bin/env python3
"""modelout's memory-bound ops against PyTorch's on the GPU, the same tensors in one process.

Layer norm with residual, RMS norm, softmax, cross entropy, masked mean pooling and embedding sum + norm, each against eager PyTorch and
torch.compile of it. Shapes: bench/shapes/*.txt, bfloat16. Results are checked against float64 first. Beside the times: the bytes of
the floor, every tensor moved once, and GB/s; the report holds the bandwidth of a plain copy of 1 GiB for comparison.

usage: ops_gpu.py [--library PATH] [--device cuda|cpu] [--rounds 15] [--seconds 500] [--only NAME] [--no-compile] [--json FILE]

Exit status 77 without PyTorch or a GPU. --device cpu: tiny shapes through the same code.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import statistics
import sys

import gpu_pairs
from modelout_ctypes import (POOLING_MEAN, CrossEntropyParams, EmbeddingParams, NormParams, PoolingParams, SoftmaxParams)

TINY = {"norm": (("tiny", (5, 24)),), "softmax": (("tiny", (7, 33)),), "loss": (("tiny", (2, 3, 19)),),
        "pooling": (("tiny", (2, 5, 16)),), "embedding": (("tiny", (2, 4, 16, 50)),)}


def double(tensors):
    return [tensor.double() if tensor.is_floating_point() else tensor for tensor in tensors]


class Op:
    """One op at one shape. Subclasses give: operands (a set of tensors, output first), call (ours on a set), plain (PyTorch's)."""
    epsilon = {"float32": 1e-5, "bfloat16": 1e-2}
    rewritten = ()  # operands beside the output that are written; the others are read

    def __init__(self, bench, ops, file, name, sizes):
        torch = self.torch = bench.torch
        self.bench, self.ops, self.sizes = bench, ops, sizes
        self.device = bench.arguments.device
        self.dtype = torch.bfloat16 if bench.cuda else torch.float32
        self.label = f"{self.op} {name} " + "x".join(map(str, sizes))
        first = self.operands()
        self.bytes = self.floor(first)
        self.sets = [first] + [self.operands() for _ in range(bench.set_count(self.bytes) - 1)]

    def random(self, *shape):
        return self.torch.randn(*shape, dtype=self.torch.float32, device=self.device).to(self.dtype)

    def floor(self, operands):
        return sum(tensor.numel() * tensor.element_size() for tensor in operands)

    def run(self):
        torch, bench = self.torch, self.bench
        output, *sources = self.sets[0]
        exact = self.plain(*double(sources))
        plain = self.plain(*sources)
        output.fill_(float("nan"))
        self.call(self.sets[0])()
        bench.ops_done()
        bench.check(self.label, output, plain, exact, self.epsilon[str(self.dtype).removeprefix("torch.")] * self.magnitude(exact))
        rivals = {"eager": lambda: self.rival(self.plain)}
        if bench.arguments.compile:
            rivals["compiled"] = lambda: self.rival(bench.compiled(self.plain))
        del exact, plain
        if bench.cuda:
            torch.cuda.empty_cache()
        bench.versus(self.label, [self.call(operands) for operands in self.sets], rivals, op=self.op, bytes=self.bytes)

    def magnitude(self, exact):
        return max(1.0, exact.abs().max().item())

    def rival(self, function):
        return [lambda sources=operands[1:]: function(*sources) for operands in self.sets]


class LayerNorm(Op):
    op, file = "layer norm + residual", "norm"

    def operands(self):
        rows, columns = self.sizes
        return [self.random(rows, columns) for _ in range(3)] + [self.random(columns), self.random(columns)]

    def call(self, operands):
        output, input, residual, weight, bias = operands
        return self.ops.prepare("mo_layer_norm", NormParams, output=output, input=input, residual=residual, weight=weight, bias=bias,
                                epsilon=1e-5)

    def plain(self, input, residual, weight, bias):
        return self.torch.nn.functional.layer_norm(input + residual, input.shape[-1:], weight, bias, 1e-5)


class RmsNorm(Op):
    op, file = "rms norm", "norm"

    def operands(self):
        rows, columns = self.sizes
        return [self.random(rows, columns), self.random(rows, columns), self.random(columns)]

    def call(self, operands):
        output, input, weight = operands
        return self.ops.prepare("mo_rms_norm", NormParams, output=output, input=input, weight=weight, epsilon=1e-5)

    def plain(self, input, weight):
        """As Transformers writes it."""
        wide = input.float() if input.dtype != self.torch.float64 else input
        wide = wide * self.torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
        return weight * wide.to(input.dtype)


class Softmax(Op):
    op, file = "softmax", "softmax"

    def operands(self):
        return [self.random(*self.sizes), 3 * self.random(*self.sizes)]

    def call(self, operands):
        return self.ops.prepare("mo_softmax", SoftmaxParams, output=operands[0], input=operands[1])

    def plain(self, input):
        return input.softmax(-1)


class CrossEntropy(Op):
    op, file = "cross entropy", "loss"

    def operands(self):
        batch, length, classes = self.sizes
        labels = self.torch.randint(0, classes, (batch * length,), device=self.device)
        labels[::7] = -100
        labels[0] = classes - 1
        return [self.torch.empty(1, device=self.device), 3 * self.random(batch * length, classes), labels]

    def call(self, operands):
        return self.ops.prepare("mo_cross_entropy", CrossEntropyParams, loss=operands[0], logits=operands[1], labels=operands[2],
                                ignore_index=-100)

    def plain(self, logits, labels):
        """Transformers' losses are taken in float32."""
        wide = logits if logits.dtype == self.torch.float64 else logits.float()
        return self.torch.nn.functional.cross_entropy(wide, labels, ignore_index=-100).reshape(1)


class Pooling(Op):
    op, file = "mean pooling", "pooling"

    def operands(self):
        batch, length, channels = self.sizes
        mask = self.torch.ones(batch, length, dtype=self.torch.int64, device=self.device)
        mask[0, length - 1] = 0
        return [self.random(batch, channels), self.random(batch, length, channels), mask]

    def call(self, operands):
        return self.ops.prepare("mo_pooling", PoolingParams, mode=POOLING_MEAN, output=operands[0], input=operands[1],
                                mask=operands[2], l2_normalize=True)

    def plain(self, input, mask):
        """As sentence encoders' cards write it."""
        expanded = mask.unsqueeze(-1).expand(input.shape).to(input.dtype)
        pooled = (input * expanded).sum(1) / expanded.sum(1).clamp(min=1e-9)
        return self.torch.nn.functional.normalize(pooled, p=2, dim=1)


class Embedding(Op):
    op, file = "embedding + norm", "embedding"

    def __init__(self, bench, ops, file, name, sizes):
        self.tables = None
        super().__init__(bench, ops, file, name, sizes)

    def operands(self):
        batch, length, columns, vocabulary = self.sizes
        if self.tables is None:
            self.tables = [self.random(vocabulary, columns), self.random(length, columns), self.random(2, columns),
                           self.random(columns), self.random(columns)]
        ids = self.torch.randint(0, vocabulary, (batch, length), device=self.device)
        return [self.random(batch, length, columns), ids, *self.tables]

    def floor(self, operands):
        output, ids, _, position, *_ = operands
        return 2 * output.numel() * output.element_size() + ids.numel() * 8 + position.numel() * position.element_size()

    def call(self, operands):
        output, ids, word, position, types, weight, bias = operands
        return self.ops.prepare("mo_embedding", EmbeddingParams, output=output, ids=ids, word=word, position=position, type=types,
                                norm_weight=weight, norm_bias=bias, epsilon=1e-12)

    def plain(self, ids, word, position, types, weight, bias):
        functional = self.torch.nn.functional
        total = functional.embedding(ids, word) + position + types[0]
        return functional.layer_norm(total, total.shape[-1:], weight, bias, 1e-12)


def copy_bandwidth(bench):
    """Bytes read and written per second by a copy of 1 GiB; None on the CPU."""
    if not bench.cuda:
        return None
    source, target = (bench.torch.empty(1 << 30, dtype=bench.torch.uint8, device="cuda") for _ in range(2))
    _, measure = bench.timer_of([lambda: target.copy_(source)])
    return 2 * (1 << 30) / statistics.median(measure() for _ in range(9))


def main():
    arguments = gpu_pairs.arguments_of(__doc__)
    gpu_pairs.small_threads()
    torch = gpu_pairs.import_torch(arguments.device)
    bench = gpu_pairs.Bench(torch, arguments)
    ops = bench.ops()
    bandwidth = copy_bandwidth(bench)
    for kind in (LayerNorm, RmsNorm, Softmax, CrossEntropy, Pooling, Embedding):
        for name, sizes in gpu_pairs.read_shapes(kind.file + ".txt") if bench.cuda else TINY[kind.file]:
            if bench.wants(f"{kind.op} {name}"):
                kind(bench, ops, kind.file, name, sizes).run()
    return bench.finish(copy_bytes_per_second=bandwidth)


if __name__ == "__main__":
    sys.exit(main())
