"""What the comparisons with PyTorch share (bench/rivals/*_gpu.py): arguments, skipping, timing in pairs, the report.

Both sides run on the same tensors and the same stream. A side is captured as a CUDA graph of one call per set of operands and
replayed after twice the L2 cache was overwritten; rounds alternate the order, and the ratio is the median of the rounds' own ratios.
What cannot be captured is timed as calls between events instead, and says so. On the CPU (--device cpu) tiny shapes run through the
same code, to show that it works: those times mean nothing.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SKIPPED = 77


def arguments_of(document, **defaults):
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=str(ROOT / "build-cuda/lib/libmodelout.so"))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=defaults.get("rounds", 15))
    parser.add_argument("--seconds", type=float, default=500, help="no new case after these")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile and FlexAttention out")
    parser.add_argument("--json", help="write the report to this file")
    return parser.parse_args()


def import_torch(device):
    """torch, or an exit with 77 and the reason."""
    try:
        import torch
    except ImportError as error:
        print(f"skipped: no PyTorch ({error})")
        sys.exit(SKIPPED)
    if device == "cuda" and not torch.cuda.is_available():
        print("skipped: PyTorch sees no GPU")
        sys.exit(SKIPPED)
    torch.set_grad_enabled(False)
    torch.manual_seed(1)
    return torch


def read_shapes(file):
    """(name, sizes) of bench/shapes. Those for devices only come first: they are what a run that is cut off should have seen."""
    lines = (ROOT / "bench/shapes" / file).read_text().splitlines()
    words = [line.split("#")[0].split() for line in lines if line.split("#")[0].strip()]
    return [(first.removesuffix("@gpu"), tuple(map(int, sizes)))
            for first, *sizes in sorted(words, key=lambda words: not words[0].endswith("@gpu"))]


class Bench:
    """One run: the stream of both sides, the cases, the report."""

    def __init__(self, torch, arguments):
        self.torch, self.arguments = torch, arguments
        self.cuda = arguments.device == "cuda"
        self.start = time.monotonic()
        self.rows, self.cut_off = [], False
        self.stream = torch.cuda.Stream() if self.cuda else None
        if self.cuda:
            torch.cuda.set_stream(self.stream)  # operands are made, and results read, in the order of what works on them
            self.cache = torch.cuda.get_device_properties(0).L2_cache_size
            self.flush = torch.empty(2 * self.cache, dtype=torch.uint8, device="cuda")
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def ops(self):
        from modelout_ctypes import Ops
        # Not the whole machine: two thread pools that spin would slow each other down.
        return Ops(self.arguments.library, self.arguments.device, 0 if self.cuda else 1, self.stream.cuda_stream if self.cuda else None)

    def wants(self, name):
        """False for a case that was not asked for or for which no time is left."""
        if self.arguments.only not in name:
            return False
        if time.monotonic() - self.start < self.arguments.seconds:
            return True
        self.cut_off = True
        return False

    def compiled(self, function):
        return self.torch.compile(function, dynamic=False) if self.arguments.compile else None

    def set_count(self, set_bytes):
        """Sets of operands: as many as leave the cache cold while a graph runs, at most eight gigabytes of them."""
        if not self.cuda:
            return 2
        return max(1, min(32, math.ceil(2 * self.cache / max(set_bytes, 1)), (8 << 30) // max(set_bytes, 1)))

    # ---- Time ----

    def graph_of(self, calls):
        torch = self.torch
        for call in calls:
            call()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            for call in calls:
                call()
        return graph

    def timer_of(self, calls):
        """(how, function that gives seconds per call)"""
        if not self.cuda:
            def on_the_cpu():
                start = time.perf_counter()
                for call in calls:
                    call()
                return (time.perf_counter() - start) / len(calls)
            for call in calls:
                call()
            return "wall clock", on_the_cpu
        how, graph = "graph", None
        with self.torch.cuda.stream(self.stream):
            try:
                graph = self.graph_of(calls)
            except RuntimeError as error:
                how = f"calls (no graph: {str(error).splitlines()[0][:120]})"
                self.torch.cuda.synchronize()

        def on_the_device():
            with self.torch.cuda.stream(self.stream):
                self.flush.zero_()
                self.events[0].record(self.stream)
                if graph is not None:
                    graph.replay()
                else:
                    for call in calls:
                        call()
                self.events[1].record(self.stream)
            self.events[1].synchronize()
            return self.events[0].elapsed_time(self.events[1]) * 1e-3 / len(calls)
        return how, on_the_device

    def pairs(self, ours, rival):
        """(seconds of ours, seconds of the rival, ratio rival / ours, (how, how)); medians, the ratio's of the rounds' ratios."""
        (own_how, own), (rival_how, other) = self.timer_of(ours), self.timer_of(rival)
        own(), other()
        own_times, rival_times = [], []
        for turn in range(self.arguments.rounds if self.cuda else 3):
            order = ((own, own_times), (other, rival_times))
            for measure, times in order if turn % 2 == 0 else order[::-1]:
                times.append(measure())
        ratios = [theirs / mine for mine, theirs in zip(own_times, rival_times)]
        return statistics.median(own_times), statistics.median(rival_times), statistics.median(ratios), (own_how, rival_how)

    def versus(self, case, ours, rivals, **facts):
        """Times ours against each rival (name -> calls, or a function that makes them) and prints a line for each."""
        for name, make in rivals.items():
            row = {"case": case, "rival": name, **facts}
            try:
                own, other, ratio, how = self.pairs(ours, make())
                row.update(modelout_us=own * 1e6, rival_us=other * 1e6, ratio=ratio, how=how)
                if facts.get("flops"):
                    row["tflops"] = facts["flops"] / own * 1e-12
                if facts.get("bytes"):
                    row["gbytes_per_second"] = facts["bytes"] / own * 1e-9
                line = f"{own * 1e6:12.1f} {other * 1e6:12.1f} {ratio:7.2f}"
            except Exception as error:  # a rival that cannot do this shape is a result, and the next one is still measured
                row["unsupported"] = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
                line = "  " + row["unsupported"][:60]
                if self.cuda:
                    self.torch.cuda.synchronize()
            self.add(row)
            print(f"{case:58} {name:22} {line}", flush=True)

    # ---- Right before fast ----

    def ops_done(self):
        """Everything both sides were given so far has finished."""
        if self.cuda:
            self.torch.cuda.synchronize()

    def check(self, case, ours, plain, exact, epsilon):
        """Ours is wrong by at most twice what the plain computation in the same dtype is, plus epsilon."""
        own = (ours.double() - exact).abs().max().item()
        allowed = 2 * (plain.double() - exact).abs().max().item() + epsilon
        if not own <= allowed:
            raise SystemExit(f"{case}: ours differs from the exact result by {own:.2e}, {allowed:.2e} is allowed")
        return own

    # ---- The report ----

    def add(self, row):
        """A result, at once in the file: a run may be ended from outside."""
        self.rows.append(row)
        self.write({}, finished=False)

    def write(self, summary, **facts):
        if not self.arguments.json:
            return
        device = self.torch.cuda.get_device_name(0) if self.cuda else "cpu, times mean nothing"
        report = {"torch": self.torch.__version__, "device": device, "command": " ".join(sys.argv), "rounds": self.arguments.rounds,
                  "cut_off": self.cut_off, **facts, "summary": summary, "rows": self.rows}
        pathlib.Path(self.arguments.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    def finish(self, **facts):
        rivals = sorted({row["rival"] for row in self.rows})
        summary = {}
        for rival in rivals:
            ratios = [row["ratio"] for row in self.rows if row["rival"] == rival and "ratio" in row]
            if ratios:
                mean = math.exp(statistics.fmean(map(math.log, ratios)))
                summary[rival] = {"geometric_mean": mean, "lowest": min(ratios), "cases": len(ratios)}
                print(f"{rival}: geometric mean {mean:.2f}, lowest {min(ratios):.2f} over {len(ratios)} cases")
        if not self.cuda:
            print("on the CPU with tiny shapes: the times mean nothing")
        self.write(summary, finished=True, **facts)
        if not self.rows:
            print("no case was measured")
            return 1
        return 0


def small_threads():
    """Before torch is imported: one thread per side on the CPU."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
