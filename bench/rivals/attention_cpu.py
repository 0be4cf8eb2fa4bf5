#!/usr/bin/env python3
"""modelout's CPU attention against PyTorch's, on the same tensors in one process.

Rivals: `eager`, the code of Transformers' eager_attention_forward with the weights returned, against the op with weights; and
`sdpa`, torch.nn.functional.scaled_dot_product_attention (the fused CPU kernel), against the op without weights.

Both libraries keep threads that spin for a moment after each call, so the two are timed in turn over stretches of calls and the
start of each stretch is thrown away. The figure is the median over all stretches; the ratio is rival / modelout.

    attention_cpu.py --library build/lib/libmodelout.so [--shapes FILE] [--threads 2] [--rounds 7] [--only NAME] [--shared]
                     [--json FILE]

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""

import argparse
import json
import math
import os
import statistics
import time

import torch

from modelout_ctypes import CAUSAL_OFFSET_DEFAULT, AttentionParams, Ops


def prepare(ops, query, key, value, output, weights):
    return ops.prepare("mo_attention", AttentionParams, query=query, key=key, value=value, output=output, weights=weights,
                       causal_offset=CAUSAL_OFFSET_DEFAULT)


def eager(query, key, value, scale):
    weights = torch.matmul(query, key.transpose(2, 3)) * scale
    weights = torch.nn.functional.softmax(weights, dim=-1, dtype=torch.float32).to(query.dtype)
    output = torch.matmul(weights, value).transpose(1, 2).contiguous()
    return output, weights


def stretch(call, seconds):
    """Times of single calls over a stretch, without its first quarter."""
    times = []
    start = time.perf_counter()
    while True:
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        if after - start > seconds / 4:
            times.append(after - before)
        if after - start > seconds and len(times) >= 3:
            return times


def compare(ours, theirs, rounds, seconds):
    times = {"modelout": [], "rival": []}
    for call in (ours, theirs):
        stretch(call, seconds)
    for turn in range(rounds):
        order = [("modelout", ours), ("rival", theirs)]
        for name, call in order if turn % 2 == 0 else order[::-1]:
            times[name].append(statistics.median(stretch(call, seconds)))
    ratios = [rival / own for own, rival in zip(times["modelout"], times["rival"])]
    return statistics.median(times["modelout"]), statistics.median(times["rival"]), statistics.median(ratios)


def lower_quartile(values):
    return sorted(values)[len(values) // 4]


def compare_shared(ours, theirs, rounds, seconds):
    """The same on a machine that others use: calls take turns three by three, the first of which warms what the other side left
    cold, and the lower quartile of single calls leaves out those that waited for a time slice."""
    times = {"modelout": [], "rival": []}
    start = time.perf_counter()
    while time.perf_counter() - start < 2 * rounds * seconds or len(times["rival"]) < 8:
        for name, call in (("modelout", ours), ("rival", theirs)):
            call()
            for _ in range(2):
                before = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - before)
    own, rival = lower_quartile(times["modelout"]), lower_quartile(times["rival"])
    return own, rival, rival / own


def read_shapes(path):
    with open(path) as lines:
        for line in lines:
            words = line.split("#")[0].split()
            if words and not words[0].endswith("@gpu"):
                yield words[0], *map(int, words[1:])


def parser_of(description, shapes):
    """What the comparisons of both kinds of attention take; `shapes` is their file in bench/shapes."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=os.path.join(here, "../../build/lib/libmodelout.so"))
    parser.add_argument("--shapes", default=os.path.join(here, "../shapes", shapes))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.06, help="length of a stretch")
    parser.add_argument("--shared", action="store_true", help="for a machine that others use: single calls in turns, lower quartiles")
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    parser.add_argument("--json", help="write the results to this file")
    return parser


def finish(arguments, rivals, results):
    """Prints a line for each rival and writes the report."""
    for rival in rivals:
        ratios = [r["ratio"] for r in results if r["rival"] == rival]
        if ratios:
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            print(f"{rival}: geometric mean {mean:.2f}, worst {min(ratios):.2f} over {len(ratios)} shapes")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"torch": torch.__version__, "threads": arguments.threads, "results": results}, file, indent=1)


def main():
    arguments = parser_of(__doc__, "attention.txt").parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    ops = Ops(arguments.library, "cpu", arguments.threads)
    take_times = compare_shared if arguments.shared else compare
    results = []
    print(f"{'shape':42} {'rival':6} {'modelout us':>12} {'rival us':>10} {'ratio':>6} {'GFLOP/s':>8}")
    with torch.inference_mode():
        for name, batch, heads, kv_heads, queries, keys, head_dim in read_shapes(arguments.shapes):
            if arguments.only not in name:
                continue
            hidden = heads * head_dim
            make = lambda length, n: torch.randn(batch, length, n * head_dim).view(batch, length, n, head_dim).transpose(1, 2)
            query, key, value = make(queries, heads), make(keys, kv_heads), make(keys, kv_heads)
            output = torch.full((batch, queries, hidden), math.nan).view(batch, queries, heads, head_dim).transpose(1, 2)
            weights = torch.full((batch, heads, queries, keys), math.nan)
            scale = head_dim**-0.5
            with_weights = prepare(ops, query, key, value, output, weights)
            without_weights = prepare(ops, query, key, value, output, None)
            groups = heads // kv_heads
            wide = [t.repeat_interleave(groups, dim=1) if groups > 1 else t for t in (key, value)]
            sdpa = torch.nn.functional.scaled_dot_product_attention

            expected, expected_weights = eager(query, *wide, scale)
            with_weights()
            torch.testing.assert_close(weights, expected_weights, atol=2e-6, rtol=1e-4)
            torch.testing.assert_close(output.transpose(1, 2), expected, atol=2e-5, rtol=1e-4)
            output.fill_(math.nan)
            without_weights()
            torch.testing.assert_close(output.transpose(1, 2), expected, atol=2e-5, rtol=1e-4)

            flops = 4 * batch * heads * queries * keys * head_dim
            label = f"{name} B{batch} H{heads} S{queries}x{keys} D{head_dim}"
            for rival, ours, theirs in (
                ("eager", with_weights, lambda: eager(query, *wide, scale)),
                ("sdpa", without_weights, lambda: sdpa(query, *wide)),
            ):
                own, other, ratio = take_times(ours, theirs, arguments.rounds, arguments.seconds)
                result = {"shape": label, "rival": rival, "modelout_us": own * 1e6, "rival_us": other * 1e6, "ratio": ratio}
                results.append({**result, "gflops": flops / own * 1e-9})
                print(f"{label:42} {rival:6} {own * 1e6:12.1f} {other * 1e6:10.1f} {ratio:6.2f} {flops / own * 1e-9:8.1f}", flush=True)
    finish(arguments, ("eager", "sdpa"), results)


if __name__ == "__main__":
    main()
