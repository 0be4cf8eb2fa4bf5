#!/usr/bin/env python3
"""modelout's attention against PyTorch's on the GPU, the same tensors in one process.

Without weights against scaled_dot_product_attention with each backend forced (flash: FlashAttention-2, cudnn, efficient, math) and
FlexAttention; with weights against the code of Transformers' eager_attention_forward, as it is and through torch.compile. Shapes:
bench/shapes/attention.txt, bfloat16; those of decoder models (llama, opt) causal. Results are checked against float32 first.

usage: attention_gpu.py [--library PATH] [--device cuda|cpu] [--rounds 15] [--seconds 500] [--only NAME] [--no-compile] [--json FILE]

Exit status 77 without PyTorch or a GPU. --device cpu: tiny shapes through the same code.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import sys

import gpu_pairs
from modelout_ctypes import CAUSAL_OFFSET_DEFAULT, AttentionParams

TINY = (("tiny", (1, 2, 2, 16, 16, 32)), ("tiny-llama-grouped", (2, 4, 2, 24, 24, 64)), ("tiny-cross", (1, 2, 2, 8, 24, 32)))
LARGEST_WEIGHTS = 4.4e9


def expand(tensor, heads):
    return tensor if tensor.shape[1] == heads else tensor.repeat_interleave(heads // tensor.shape[1], dim=1)


def eager(torch, query, key, value, scale, bias):
    """As Transformers writes it: scores in the dtype, softmax in float32."""
    weights = torch.matmul(query, key.transpose(2, 3)) * scale
    if bias is not None:
        weights = weights + bias
    weights = torch.nn.functional.softmax(weights, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


def exact(torch, query, key, value, scale, causal):
    """(output, weights) of some heads of the first example in float64; long rows stay small enough that way."""
    q, k, v = (tensor[:1].double() for tensor in (query, key, value))
    scores = q @ k.transpose(2, 3) * scale
    if causal:
        rows, columns = scores.shape[-2:]
        hidden = torch.ones(rows, columns, dtype=torch.bool, device=scores.device).triu(columns - rows + 1)
        scores.masked_fill_(hidden, float("-inf"))
    weights = scores.softmax(-1)
    return weights @ v, weights


class Case:
    def __init__(self, bench, ops, name, sizes):
        torch = bench.torch
        self.bench, self.ops = bench, ops
        self.batch, self.heads, self.kv_heads, self.queries, self.keys, self.dim = sizes
        self.causal = any(family in name for family in ("llama", "opt")) and self.queries == self.keys
        self.dtype = torch.bfloat16 if bench.cuda else torch.float32
        self.scale = self.dim**-0.5
        device = bench.arguments.device
        self.label = f"{name} B{self.batch} H{self.heads}/{self.kv_heads} S{self.queries}x{self.keys} D{self.dim}" + \
                     (" causal" if self.causal else "")

        def heads_of(length, count):
            return torch.randn(self.batch, length, count * self.dim, dtype=self.dtype, device=device).view(
                self.batch, length, count, self.dim).transpose(1, 2)

        element = torch.finfo(self.dtype).bits // 8
        self.weight_bytes = self.batch * self.heads * self.queries * self.keys * element
        self.bytes = element * self.batch * self.dim * 2 * (self.heads * self.queries + self.kv_heads * self.keys)
        self.flops = 4 * self.batch * self.heads * self.queries * self.keys * self.dim / (2 if self.causal else 1)
        self.sets = []
        for _ in range(bench.set_count(self.bytes)):
            query, key, value = (heads_of(length, count) for length, count in
                                 ((self.queries, self.heads), (self.keys, self.kv_heads), (self.keys, self.kv_heads)))
            self.sets.append((query, key, value, torch.empty_like(query)))
        self.bias = None
        if self.causal:
            hidden = torch.ones(self.queries, self.keys, dtype=torch.bool, device=device).triu(self.keys - self.queries + 1)
            self.bias = torch.zeros(1, 1, self.queries, self.keys, dtype=self.dtype, device=device).masked_fill_(hidden, float("-inf"))
        self.weights = None

    def ours(self, weights):
        return [self.ops.prepare("mo_attention", AttentionParams, query=q, key=k, value=v, output=o, weights=weights,
                                 causal=self.causal, causal_offset=CAUSAL_OFFSET_DEFAULT) for q, k, v, o in self.sets]

    def check(self, with_weights):
        """Three heads of the first example."""
        torch = self.bench.torch
        query, key, value, output = self.sets[0]
        output.fill_(float("nan"))
        if with_weights:
            self.weights.fill_(float("nan"))
        self.ours(self.weights if with_weights else None)[0]()
        self.bench.ops_done()
        chosen = sorted({0, self.heads // 2, self.heads - 1})
        q = query[:1, chosen]
        k, v = (tensor[:1, [head * self.kv_heads // self.heads for head in chosen]] for tensor in (key, value))
        expected, expected_weights = exact(torch, q, k, v, self.scale, self.causal)
        plain, plain_weights = eager(torch, q, k, v, self.scale, self.bias)
        epsilon = 1e-5 if self.dtype == torch.float32 else 1e-3
        self.bench.check(self.label, output[:1, chosen], plain.transpose(1, 2), expected, epsilon)
        if with_weights:
            self.bench.check(self.label + " weights", self.weights[:1, chosen], plain_weights, expected_weights, epsilon)

    def sdpa(self, backend):
        torch = self.bench.torch
        from torch.nn.attention import SDPBackend, sdpa_kernel
        chosen = getattr(SDPBackend, backend)
        function = torch.nn.functional.scaled_dot_product_attention
        grouped = self.heads != self.kv_heads

        def call_of(query, key, value):
            # Backends that know no groups are given what they can take, outside of the clock.
            if grouped and backend in ("EFFICIENT_ATTENTION", "MATH"):
                key, value = expand(key, self.heads), expand(value, self.heads)
            options = {"enable_gqa": True} if grouped and key.shape[1] != self.heads else {}

            def call():
                with sdpa_kernel(chosen):
                    return function(query, key, value, is_causal=self.causal, **options)
            return call
        return [call_of(*operands[:3]) for operands in self.sets]

    def flex(self):
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        compiled = self.bench.compiled(flex_attention)
        mask = None
        if self.causal:
            mask = create_block_mask(lambda b, h, row, column: row >= column, None, None, self.queries, self.keys,
                                     device=self.bench.arguments.device)
        grouped = self.heads != self.kv_heads
        return [lambda q=q, k=k, v=v: compiled(q, k, v, block_mask=mask, enable_gqa=grouped) for q, k, v, _ in self.sets]

    def eager(self, compiles):
        torch = self.bench.torch

        def plain(query, key, value):
            return eager(torch, query, key, value, self.scale, self.bias)
        function = self.bench.compiled(plain) if compiles else plain
        return [lambda q=q, k=expand(k, self.heads), v=expand(v, self.heads): function(q, k, v) for q, k, v, _ in self.sets]

    def run(self):
        bench, torch = self.bench, self.bench.torch
        self.check(False)
        rivals = {"sdpa " + name: (lambda backend=backend: self.sdpa(backend)) for name, backend in
                  (("flash", "FLASH_ATTENTION"), ("cudnn", "CUDNN_ATTENTION"), ("efficient", "EFFICIENT_ATTENTION"), ("math", "MATH"))}
        if self.weight_bytes > LARGEST_WEIGHTS:
            del rivals["sdpa math"]  # it holds the scores in float32 several times
        if bench.arguments.compile:
            rivals["flex"] = self.flex
        bench.versus(self.label, self.ours(None), rivals, op="attention", flops=self.flops, bytes=self.bytes)
        if self.weight_bytes > LARGEST_WEIGHTS:
            return
        self.weights = torch.empty(self.batch, self.heads, self.queries, self.keys, dtype=self.dtype, device=bench.arguments.device)
        self.check(True)
        rivals = {"eager": lambda: self.eager(False)}
        if bench.arguments.compile:
            rivals["eager compiled"] = lambda: self.eager(True)
        bench.versus(self.label + " +weights", self.ours(self.weights), rivals, op="attention with weights", flops=self.flops,
                     bytes=self.bytes + self.weight_bytes)


def main():
    arguments = gpu_pairs.arguments_of(__doc__)
    gpu_pairs.small_threads()
    torch = gpu_pairs.import_torch(arguments.device)
    bench = gpu_pairs.Bench(torch, arguments)
    ops = bench.ops()
    for name, sizes in gpu_pairs.read_shapes("attention.txt") if bench.cuda else TINY:
        if bench.wants(name):
            Case(bench, ops, name, sizes).run()
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
