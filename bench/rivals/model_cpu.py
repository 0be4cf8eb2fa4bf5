#!/usr/bin/env python3
"""Whole models on the CPU, modelout against PyTorch eager (Hugging Face Transformers), in one process and run.

Random-weight BERT checkpoints of the size of bert-base-uncased and of all-MiniLM-L6-v2, float32, hidden states and attentions
requested, the same number of threads for both. Every measurement is a pair, in alternating order with a pause in between (idle
OpenMP threads spin for a while); the figure is the median of the pairs, and the results are compared before anything is timed.
Peak memory is measured in a process of its own for each side: the growth of the peak resident set over what the process held
before it loaded the model.

usage: model_cpu.py [--library PATH] [--batches 1,8] [--lengths 16,128,512] [--models base,minilm] [--threads 2]
                    [--seconds 3] [--no-memory] [--json FILE]

Needs torch, transformers and numpy from PyPI. Exit status 1 if the results differ or a goal is missed (geometric mean of the
speed-up 1.2, minimum 0.95, peak memory no higher).

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import modelout_ctypes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODELS = {
    "base": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072),
    "minilm": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
}
VOCABULARY = 30522
TOLERANCE = 1e-4
GOAL_MEAN, GOAL_MINIMUM = 1.2, 0.95


def make_checkpoint(name, folder):
    import torch
    from transformers import BertConfig, BertModel
    torch.manual_seed(1)
    BertModel(BertConfig(vocab_size=VOCABULARY, **MODELS[name])).eval().save_pretrained(folder)


def make_ids(batch, length):
    """int64 ids as (owner, address): no numpy or torch, which the memory measurement of modelout must not load."""
    import array
    import random
    generator = random.Random(1000 * batch + length)
    ids = array.array("q", (generator.randrange(1000, VOCABULARY) for _ in range(batch * length)))
    return ids, ids.buffer_info()[0]


def load_ours(arguments, folder):
    return modelout_ctypes.Model(arguments.library, folder, arguments.threads)


def load_torch(arguments, folder):
    import torch
    from transformers import BertModel
    torch.set_num_threads(arguments.threads)
    return BertModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


class Ours:
    def __init__(self, model, batch, length):
        self.model = model
        self.ids, address = make_ids(batch, length)
        self.mask = type(self.ids)("q", [1] * (batch * length))
        shape = (batch, length)
        self.inputs = model.inputs(input_ids=(address, shape), attention_mask=(self.mask.buffer_info()[0], shape))
        self.request = model.request()

    def run(self):
        return self.model.forward(self.inputs, self.request)

    def time(self):
        start = time.perf_counter()
        output = self.run()
        self.model.destroy(output)
        return time.perf_counter() - start


class Torch:
    def __init__(self, model, batch, length):
        import torch
        self.torch = torch
        self.model = model
        self.ids = torch.tensor(make_ids(batch, length)[0].tolist()).reshape(batch, length)
        self.mask = torch.ones_like(self.ids)

    def run(self):
        with self.torch.inference_mode():
            return self.model(input_ids=self.ids, attention_mask=self.mask, output_hidden_states=True, output_attentions=True)

    def time(self):
        start = time.perf_counter()
        output = self.run()
        del output
        return time.perf_counter() - start


def largest_difference(ours, rival):
    """Over every field both give."""
    import ctypes
    import numpy
    output, expected = ours.run(), rival.run()
    worst = 0.0

    def compare(key, index, tensor):
        nonlocal worst
        address, shape = ours.model.read(output, key, index)
        count = math.prod(shape)
        values = numpy.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)
        if shape != tuple(tensor.shape):
            raise SystemExit(f"{key}: shape {shape} is not {tuple(tensor.shape)}")
        difference = float(numpy.abs(values - tensor.numpy()).max())
        worst = max(worst, difference if difference == difference else math.inf)

    compare("last_hidden_state", None, expected.last_hidden_state)
    compare("pooler_output", None, expected.pooler_output)
    for key in ("hidden_states", "attentions"):
        for index, tensor in enumerate(expected[key]):
            compare(key, index, tensor)
    ours.model.destroy(output)
    return worst


def measure_pairs(ours, rival, seconds):
    times = {"ours": [], "torch": []}
    for side in (ours, rival):
        side.time()
    end = time.perf_counter() + seconds
    pairs = 0
    while pairs < 5 or (time.perf_counter() < end and pairs < 200):
        order = [("ours", ours), ("torch", rival)]
        for name, side in order if pairs % 2 == 0 else reversed(order):
            time.sleep(0.01)
            times[name].append(side.time())
        pairs += 1
    return {name: statistics.median(values) for name, values in times.items()}, pairs


def status_bytes(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {key}")


def child(arguments):
    """One side alone; prints the growth of the peak resident set."""
    side, folder, batch, length = arguments.child.split(",")
    batch, length = int(batch), int(length)
    if side == "torch":
        import torch  # noqa: F401
        from transformers import BertModel  # noqa: F401
    else:
        modelout_ctypes.load(arguments.library)
    before = status_bytes("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    if side == "torch":
        runner = Torch(load_torch(arguments, folder), batch, length)
    else:
        runner = Ours(load_ours(arguments, folder), batch, length)
    for _ in range(3):
        runner.time()
    print(json.dumps({"peak": status_bytes("VmHWM") - before}))


def measure_memory(arguments, folder, batch, length):
    peaks = {}
    for side in ("ours", "torch"):
        command = [sys.executable, __file__, "--library", arguments.library, "--threads", str(arguments.threads), "--child",
                   f"{side},{folder},{batch},{length}"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        peaks[side] = json.loads(answer)["peak"]
    return peaks


def measure_all(arguments):
    import torch
    import transformers
    report = {"torch": torch.__version__, "transformers": transformers.__version__, "threads": arguments.threads, "rows": []}
    print(f"{'model':8} {'batch':>5} {'length':>6} {'ours ms':>9} {'torch ms':>9} {'speed-up':>8} {'pairs':>5} "
          f"{'difference':>10} {'ours MB':>8} {'torch MB':>8}")
    with tempfile.TemporaryDirectory() as work:
        for name in arguments.models:
            folder = os.path.join(work, name)
            make_checkpoint(name, folder)
            ours_model, torch_model = load_ours(arguments, folder), load_torch(arguments, folder)
            report["features"] = ours_model.features()
            for batch in arguments.batches:
                for length in arguments.lengths:
                    ours, rival = Ours(ours_model, batch, length), Torch(torch_model, batch, length)
                    difference = largest_difference(ours, rival)
                    medians, pairs = measure_pairs(ours, rival, arguments.seconds)
                    row = dict(model=name, batch=batch, length=length, ours_ms=1e3 * medians["ours"],
                               torch_ms=1e3 * medians["torch"], speed_up=medians["torch"] / medians["ours"], pairs=pairs,
                               difference=difference)
                    memory = ""
                    if arguments.memory:
                        peaks = measure_memory(arguments, folder, batch, length)
                        row.update(ours_peak_bytes=peaks["ours"], torch_peak_bytes=peaks["torch"])
                        memory = f"{peaks['ours'] / 1e6:8.0f} {peaks['torch'] / 1e6:8.0f}"
                    report["rows"].append(row)
                    print(f"{name:8} {batch:5} {length:6} {row['ours_ms']:9.2f} {row['torch_ms']:9.2f} {row['speed_up']:8.2f} "
                          f"{pairs:5} {difference:10.1e} {memory}", flush=True)
            ours_model.close()
    return report


def judge(report):
    ratios = [row["speed_up"] for row in report["rows"]]
    report["geometric_mean"] = math.exp(sum(map(math.log, ratios)) / len(ratios))
    report["minimum"] = min(ratios)
    problems = []
    if report["geometric_mean"] < GOAL_MEAN:
        problems.append(f"geometric mean {report['geometric_mean']:.2f} is below {GOAL_MEAN}")
    for row in report["rows"]:
        place = f"{row['model']} batch {row['batch']} length {row['length']}"
        if row["difference"] > TOLERANCE:
            problems.append(f"{place}: results differ by {row['difference']:.1e}, allowed {TOLERANCE:.0e}")
        if row["speed_up"] < GOAL_MINIMUM:
            problems.append(f"{place}: speed-up {row['speed_up']:.2f} is below {GOAL_MINIMUM}")
        if row.get("ours_peak_bytes", 0) > row.get("torch_peak_bytes", 0):
            problems.append(f"{place}: peak memory {row['ours_peak_bytes'] / 1e6:.0f} MB is above {row['torch_peak_bytes'] / 1e6:.0f} MB")
    report["problems"] = problems
    print(f"\ngeometric mean {report['geometric_mean']:.2f}, minimum {report['minimum']:.2f}   (torch {report['torch']}, transformers "
          f"{report['transformers']}, {report['threads']} threads, kernels {report['features']})")
    for problem in problems:
        print("missed:", problem)
    return 1 if problems else 0


def main():
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=str(ROOT / "build/lib/libmodelout.so"))
    parser.add_argument("--batches", type=numbers, default=[1, 8])
    parser.add_argument("--lengths", type=numbers, default=[16, 128, 512])
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="of pairs per row")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--json", help="write everything here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # Read by every OpenMP and BLAS runtime when it is loaded.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(arguments.threads)
    if arguments.child:
        child(arguments)
        return 0
    report = measure_all(arguments)
    status = judge(report)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
