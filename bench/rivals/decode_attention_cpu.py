#!/usr/bin/env python3
"""modelout's CPU decode attention against PyTorch's: one decode step of a layer, new tokens appended and attended with.

A step is repeated over several layers' caches in turn, more than a processor cache holds, as in a model. Rivals, which write the
new keys and values into the same kind of cache first:

  sdpa     slots of a preallocated cache are overwritten, then scaled_dot_product_attention over the part that is filled
  dynamic  Transformers' DynamicCache: torch.cat of what is there and what is new, then scaled_dot_product_attention
  eager    as sdpa, then the code of Transformers' eager_attention_forward with the weights returned, against the op with weights

Timing as in attention_cpu.py; the ratio is rival / modelout.

    decode_attention_cpu.py --library build/lib/libmodelout.so [--shapes FILE] [--threads 2] [--rounds 7] [--only NAME] [--shared]
                            [--json FILE]

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""

import itertools
import math
from ctypes import pointer

import torch

from attention_cpu import compare, compare_shared, eager, finish, parser_of, read_shapes
from modelout_ctypes import DecodeAttentionParams, KvView, Ops, describe

COLD_BYTES = 96 << 20


def main():
    parser = parser_of(__doc__, "decode_attention.txt")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    ops = Ops(arguments.library, "cpu", arguments.threads)
    sdpa = torch.nn.functional.scaled_dot_product_attention
    take_times = compare_shared if arguments.shared else compare
    results = []
    print(f"{'shape':44} {'rival':8} {'modelout us':>12} {'rival us':>10} {'ratio':>6} {'GB/s':>6}")
    shapes = [shape for shape in read_shapes(arguments.shapes) if arguments.only in shape[0]]
    with torch.inference_mode():
        for dtype_name, (name, batch, heads, kv_heads, tokens, keys, head_dim) in itertools.product(
                arguments.dtypes.split(","), shapes):
            dtype = getattr(torch, dtype_name)
            make = lambda n, length: torch.randn(batch, n, length, head_dim, dtype=dtype)
            query, key, value = make(heads, tokens), make(kv_heads, tokens), make(kv_heads, tokens)
            output = torch.full((batch, heads, tokens, head_dim), math.nan, dtype=dtype)
            weights = torch.full((batch, heads, tokens, keys), math.nan, dtype=dtype)
            layer_bytes = 2 * batch * kv_heads * keys * head_dim * dtype.itemsize
            layers = [(make(kv_heads, keys), make(kv_heads, keys)) for _ in range(max(2, math.ceil(COLD_BYTES / layer_bytes)))]
            old, groups, scale = keys - tokens, heads // kv_heads, head_dim**-0.5
            turn = [0]  # one for both sides: neither finds what the other has just read

            def next_of(items):
                turn[0] += 1
                return items[turn[0] % len(items)]

            causal = None
            if tokens > 1:
                causal = torch.full((tokens, keys), -math.inf, dtype=dtype).triu(old + 1)

            def ours(with_weights):
                calls = [ops.prepare("mo_decode_attention", DecodeAttentionParams, output=output, query=query, key=key, value=value,
                                     weights=weights if with_weights else None, length=old,
                                     cache=KvView(key=pointer(describe(k)), value=pointer(describe(v))))
                         for k, v in layers]
                return lambda: next_of(calls)()

            def append(layer):
                layer[0][:, :, old:] = key
                layer[1][:, :, old:] = value
                return layer

            def static_step():
                return sdpa(query, *append(next_of(layers)), attn_mask=causal, enable_gqa=groups > 1)

            def dynamic_step():
                k, v = next_of(layers)
                k, v = torch.cat([k[:, :, :old], key], dim=2), torch.cat([v[:, :, :old], value], dim=2)
                return sdpa(query, k, v, attn_mask=causal, enable_gqa=groups > 1)

            def eager_step():
                k, v = append(next_of(layers))
                if groups > 1:
                    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
                if causal is None:
                    return eager(query, k, v, scale)
                scores = torch.matmul(query, k.transpose(2, 3)) * scale + causal
                scores = torch.nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(dtype)
                return torch.matmul(scores, v).transpose(1, 2).contiguous(), scores

            without, with_weights = ours(False), ours(True)
            with_weights()
            turn[0] = 0
            expected, expected_weights = eager_step()
            tolerance = dict(atol=2e-5, rtol=1e-4) if dtype == torch.float32 else dict(atol=2e-2, rtol=2e-2)
            torch.testing.assert_close(output.transpose(1, 2), expected, **tolerance)
            torch.testing.assert_close(weights, expected_weights, **tolerance)

            label = f"{name} {dtype_name} B{batch} H{heads}/{kv_heads} T{tokens} S{keys} D{head_dim}"
            for rival, own_call, step in (("sdpa", without, static_step), ("dynamic", without, dynamic_step),
                                          ("eager", with_weights, eager_step)):
                own, other, ratio = take_times(own_call, step, arguments.rounds, arguments.seconds)
                rate = layer_bytes / own * 1e-9
                results.append({"shape": label, "rival": rival, "modelout_us": own * 1e6, "rival_us": other * 1e6, "ratio": ratio,
                                "read_gb_per_s": rate})
                print(f"{label:44} {rival:8} {own * 1e6:12.1f} {other * 1e6:10.1f} {ratio:6.2f} {rate:6.1f}", flush=True)
    finish(arguments, ("sdpa", "dynamic", "eager"), results)


if __name__ == "__main__":
    main()
