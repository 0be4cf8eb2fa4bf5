#!/usr/bin/env python3
"""Prefill and decode of a decoder on the CPU, modelout against PyTorch (Hugging Face Transformers), in one process and run.

A random-weight checkpoint of GPT-2's size (or, with --model llama, a LLaMA of about that size), float32, the same number of
threads for both. Transformers runs with its default attention (SDPA) and its dynamic cache, as generate() does.

    prefill     a prompt into an empty cache; logits of the last position, as generation needs them, and of all positions
                (Transformers' GPT-2 computes all in both cases, its LLaMA only the last where asked)
    decode      one token after another behind a cache of so many tokens

Every measurement is a pair, in alternating order with a pause in between (idle OpenMP threads spin for a while); the figure is
the median over the pairs, and logits are compared before anything is timed. Peak memory is measured in a process of its own for
each side: the growth of the peak resident set over what the process held before it loaded the model.

usage: decoder_cpu.py [--library PATH] [--model gpt2] [--batches 1,4] [--lengths 128,512] [--threads 2] [--steps 8]
                      [--seconds 4] [--no-memory] [--json FILE]

Needs torch, transformers and numpy from PyPI. Exit status 1 if the results differ or a goal is missed (decode 1.5 times the tokens
per second, prefill 1.2 times, peak memory no higher).

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import ctypes
import json
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
TOLERANCE = 1e-3  # logits of random models of this size reach tens
GOALS = {"decode": 1.5, "prefill last": 1.2, "prefill all": 1.2}


def make_checkpoint(name, folder):
    import torch
    import transformers
    torch.manual_seed(1)
    if name == "gpt2":
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    else:
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
            vocab_size=32000, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=4,
            intermediate_size=2048, max_position_embeddings=2048))
    model.eval().save_pretrained(folder)


def make_ids(batch, length):
    import array
    import random
    generator = random.Random(1000 * batch + length)
    return array.array("q", (generator.randrange(1000, 30000) for _ in range(batch * length)))


class Ours:
    """One prompt and its continuation."""

    def __init__(self, arguments, folder, batch, length):
        self.model = modelout_ctypes.Model(arguments.library, folder, arguments.threads)
        self.library = self.model.library
        self.steps = arguments.steps
        self.prompt, self.token = make_ids(batch, length), make_ids(batch, 1)
        self.cache = ctypes.c_void_p()
        self.library.mo_model_create_cache.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                                       ctypes.POINTER(ctypes.c_void_p)]
        self.library.mo_model_run.argtypes = [ctypes.c_void_p] * 4
        self.library.mo_cache_crop.argtypes = [ctypes.c_void_p, ctypes.c_int64]
        self.library.mo_cache_reset.argtypes = [ctypes.c_void_p]
        self.check(self.library.mo_model_create_cache(self.model.model, None, batch, length + self.steps, ctypes.byref(self.cache)))
        self.inputs = {"prompt": self.model.inputs(input_ids=(self.prompt.buffer_info()[0], (batch, length))),
                       "token": self.model.inputs(input_ids=(self.token.buffer_info()[0], (batch, 1)))}
        for inputs in self.inputs.values():
            inputs.later[0] = self.cache.value
        self.last, self.all = self.request(1), self.request(0)
        self.outputs = {}

    def check(self, status):
        self.model.check(status)

    def request(self, last):
        request = self.model.request(hidden_states=False, attentions=False)
        request.last_logit_positions = last
        return request

    def run(self, inputs, request, key):
        """Into an output that is made once and kept."""
        if key not in self.outputs:
            self.outputs[key] = self.model.forward(self.inputs[inputs], request)
        else:
            self.check(self.library.mo_model_run(self.model.model, ctypes.byref(self.inputs[inputs]), ctypes.byref(request),
                                                 self.outputs[key]))
        return self.outputs[key]

    def prefill(self, last):
        self.check(self.library.mo_cache_reset(self.cache))
        start = time.perf_counter()
        self.run("prompt", self.last if last else self.all, f"prompt {last}")
        return time.perf_counter() - start

    def decode(self):
        start = time.perf_counter()
        for _ in range(self.steps):
            self.run("token", self.last, "token")
        elapsed = time.perf_counter() - start
        self.check(self.library.mo_cache_crop(self.cache, self.steps))
        return elapsed / self.steps

    def logits(self, key):
        import numpy
        address, shape = self.model.read(self.outputs[key], "logits")
        count = 1
        for extent in shape:
            count *= extent
        return numpy.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape).copy()


class Torch:
    def __init__(self, arguments, folder, batch, length):
        import torch
        import transformers
        torch.set_num_threads(arguments.threads)
        self.torch, self.transformers, self.steps = torch, transformers, arguments.steps
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
        self.prompt = torch.tensor(make_ids(batch, length).tolist()).reshape(batch, length)
        self.token = torch.tensor(make_ids(batch, 1).tolist()).reshape(batch, 1)
        self.results = {}

    def prefill(self, last):
        keep = {"logits_to_keep": 1} if last and "Llama" in type(self.model).__name__ else {}
        start = time.perf_counter()
        with self.torch.inference_mode():
            output = self.model(self.prompt, use_cache=True, **keep)
        elapsed = time.perf_counter() - start
        self.cache = output.past_key_values  # a cache object, or GPT-2's tuples
        self.results[f"prompt {last}"] = output.logits
        return elapsed

    def decode(self):
        cache = self.cache
        start = time.perf_counter()
        with self.torch.inference_mode():
            for _ in range(self.steps):
                output = self.model(self.token, past_key_values=cache, use_cache=True)
                cache = output.past_key_values
        elapsed = time.perf_counter() - start
        self.results["token"] = output.logits
        if not isinstance(cache, tuple):
            cache.crop(-self.steps)  # how many to remove: the only form that 4.x and 5.x share
        return elapsed / self.steps

    def logits(self, key):
        return self.results[key].numpy()


def pairs_of(ours, rival, call, seconds):
    times = {"ours": [], "torch": []}
    call(ours), call(rival)
    end = time.perf_counter() + seconds
    while len(times["ours"]) < 5 or (time.perf_counter() < end and len(times["ours"]) < 200):
        order = [("ours", ours), ("torch", rival)]
        for name, side in order if len(times["ours"]) % 2 == 0 else reversed(order):
            time.sleep(0.02)
            times[name].append(call(side))
    ratios = sorted(b / a for a, b in zip(times["ours"], times["torch"]))
    return (statistics.median(times["ours"]), statistics.median(times["torch"]), statistics.median(ratios), len(ratios))


def status_bytes(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {key}")


def child(arguments):
    side, folder, batch, length = arguments.child.split(",")
    if side == "torch":
        import torch  # noqa: F401
        from transformers import AutoModelForCausalLM, GPT2LMHeadModel, LlamaForCausalLM  # noqa: F401
    else:
        modelout_ctypes.load(arguments.library)
    before = status_bytes("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    runner = (Torch if side == "torch" else Ours)(arguments, folder, int(batch), int(length))
    runner.prefill(True)
    runner.decode()
    print(json.dumps({"peak": status_bytes("VmHWM") - before}))


def memory_of(arguments, folder, batch, length):
    peaks = {}
    for side in ("ours", "torch"):
        command = [sys.executable, __file__, "--library", arguments.library, "--threads", str(arguments.threads), "--steps",
                   str(arguments.steps), "--child", f"{side},{folder},{batch},{length}"]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        peaks[side] = json.loads(answer)["peak"]
    return peaks


def measure(arguments):
    import numpy
    import torch
    import transformers
    report = {"torch": torch.__version__, "transformers": transformers.__version__, "threads": arguments.threads,
              "model": arguments.model, "rows": []}
    problems = []
    print(f"{'what':14} {'batch':>5} {'length':>6} {'ours ms':>9} {'torch ms':>9} {'speed-up':>8} {'pairs':>5} {'difference':>10}")
    with tempfile.TemporaryDirectory() as folder:
        make_checkpoint(arguments.model, folder)
        for batch in arguments.batches:
            for length in arguments.lengths:
                ours, rival = Ours(arguments, folder, batch, length), Torch(arguments, folder, batch, length)
                report["features"] = ours.model.features()
                calls = [("prefill all", "prompt False", lambda side: side.prefill(False)),
                         ("prefill last", "prompt True", lambda side: side.prefill(True)),
                         ("decode", "token", lambda side: side.decode())]
                for what, key, call in calls:
                    call(ours), call(rival)
                    mine, theirs = ours.logits(key), rival.logits(key)
                    difference = float(numpy.abs(mine - theirs[:, theirs.shape[1] - mine.shape[1]:]).max())
                    a, b, ratio, count = pairs_of(ours, rival, call, arguments.seconds)
                    report["rows"].append(dict(what=what, batch=batch, length=length, ours_ms=1e3 * a, torch_ms=1e3 * b,
                                               speed_up=ratio, pairs=count, difference=difference))
                    print(f"{what:14} {batch:5} {length:6} {1e3 * a:9.2f} {1e3 * b:9.2f} {ratio:8.2f} {count:5} {difference:10.1e}",
                          flush=True)
                    if not difference <= TOLERANCE:
                        problems.append(f"{what} batch {batch} length {length}: logits differ by {difference:.1e}")
                    if ratio < GOALS[what]:
                        problems.append(f"{what} batch {batch} length {length}: {ratio:.2f} is below {GOALS[what]}")
                if arguments.memory:
                    peaks = memory_of(arguments, folder, batch, length)
                    report["rows"][-1].update(ours_peak_bytes=peaks["ours"], torch_peak_bytes=peaks["torch"])
                    print(f"{'peak MB':14} {batch:5} {length:6} {peaks['ours'] / 1e6:9.0f} {peaks['torch'] / 1e6:9.0f}", flush=True)
                    if peaks["ours"] > peaks["torch"]:
                        problems.append(f"batch {batch} length {length}: peak memory is higher")
                ours.model.close()
    report["problems"] = problems
    for problem in problems:
        print("missed:", problem)
    return report


def main():
    numbers = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=str(ROOT / "build/lib/libmodelout.so"))
    parser.add_argument("--model", choices=["gpt2", "llama"], default="gpt2")
    parser.add_argument("--batches", type=numbers, default=[1, 4])
    parser.add_argument("--lengths", type=numbers, default=[128, 512])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8, help="tokens of a measurement of decoding")
    parser.add_argument("--seconds", type=float, default=4.0, help="of pairs per row")
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
    report = measure(arguments)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n")
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
