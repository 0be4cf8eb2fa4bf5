#!/usr/bin/env python3
"""What busy programs on the same machine cost: forward passes and decode steps beside 0, 1 and 4 of them, before and after.

usage: bench/busy_host.py [--base COMMIT] [--build FOLDER] [--json FILE] [--rounds N] [--seconds S] [--models NAME,...]

Builds the commit to compare with (f0603d1 by default, the last one with OpenMP) in a worktree below --work, builds the tree this
script is in, and runs bench/busy_host.c with each in turn (A B C A B C ...), all threads left to the library:

  active      the base as it is: OpenMP threads that spin
  passive     the base with OMP_WAIT_POLICY=passive
  ours        this tree

A figure is the median of the rounds' medians. Two ratios count, both of times, smaller is better: alone ours / active (goal: at
most 1 / 0.97), and beside 4 busy programs ours / passive (goal: at most 1.3). Exit status 1 when one is missed.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import argparse
import array
import json
import os
import pathlib
import platform
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALONE_GOAL, BUSY_GOAL = 1 / 0.97, 1.3
BUSY = [0, 1, 4]

# name: (kind, hidden, layers, heads, length, new tokens)
MODELS = {
    "bert-base S=64": ("bert", 768, 12, 12, 64, 0),
    "bert-base S=8": ("bert", 768, 12, 12, 8, 0),
    "bert-mini S=64": ("bert", 256, 4, 4, 64, 0),
    "bert-mini S=8": ("bert", 256, 4, 4, 8, 0),
    "gpt2-small step": ("gpt2", 768, 12, 12, 32, 16),
    "gpt2-mini step": ("gpt2", 256, 4, 4, 32, 64),
}


def bert_tensors(hidden, layers):
    yield "embeddings.word_embeddings.weight", [1000, hidden]
    yield "embeddings.position_embeddings.weight", [512, hidden]
    yield "embeddings.token_type_embeddings.weight", [2, hidden]
    names = [("embeddings.LayerNorm", None, hidden), ("pooler.dense", hidden, hidden)]
    for layer in range(layers):
        prefix = f"encoder.layer.{layer}."
        names += [(prefix + f"attention.self.{side}", hidden, hidden) for side in ("query", "key", "value")]
        names += [(prefix + "attention.output.dense", hidden, hidden), (prefix + "attention.output.LayerNorm", None, hidden),
                  (prefix + "intermediate.dense", hidden, 4 * hidden), (prefix + "output.dense", 4 * hidden, hidden),
                  (prefix + "output.LayerNorm", None, hidden)]
    for name, inputs, outputs in names:
        yield name + ".weight", [outputs] if inputs is None else [outputs, inputs]
        yield name + ".bias", [outputs]


def gpt2_tensors(hidden, layers):
    yield "transformer.wte.weight", [1000, hidden]
    yield "transformer.wpe.weight", [512, hidden]
    names = [("transformer.ln_f", None, hidden)]
    for layer in range(layers):
        prefix = f"transformer.h.{layer}."
        names += [(prefix + "ln_1", None, hidden), (prefix + "ln_2", None, hidden), (prefix + "attn.c_attn", hidden, 3 * hidden),
                  (prefix + "attn.c_proj", hidden, hidden), (prefix + "mlp.c_fc", hidden, 4 * hidden),
                  (prefix + "mlp.c_proj", 4 * hidden, hidden)]
    for name, inputs, outputs in names:
        yield name + ".weight", [outputs] if inputs is None else [inputs, outputs]
        yield name + ".bias", [outputs]


def make_checkpoint(folder, kind, hidden, layers, heads):
    """A folder with a configuration and random weights."""
    if kind == "bert":
        tensors = list(bert_tensors(hidden, layers))
        config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": hidden, "num_hidden_layers": layers,
                  "num_attention_heads": heads, "intermediate_size": 4 * hidden, "vocab_size": 1000,
                  "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
    else:
        tensors = list(gpt2_tensors(hidden, layers))
        config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": hidden, "n_layer": layers,
                  "n_head": heads, "n_positions": 512, "vocab_size": 1000, "activation_function": "gelu_new",
                  "layer_norm_epsilon": 1e-5, "bos_token_id": 1, "eos_token_id": 2}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for name, shape in tensors:
        bytes_ = 4
        for extent in shape:
            bytes_ *= extent
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + bytes_]}
        end += bytes_
    generator = random.Random(1)
    block = array.array("f", [generator.gauss(0.0, 0.02) for _ in range(100003)]).tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while end > 0:
            file.write(block[:end])
            end -= min(end, len(block))


def build(source, folder):
    """The library and the measuring program of a source tree; returns the program."""
    launcher = []
    if subprocess.run(["sh", "-c", "command -v ccache"], capture_output=True).returncode == 0:
        launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    if not (folder / "build.ninja").exists():
        subprocess.run(["cmake", "-S", str(source), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DMODELOUT_BUILD_TESTS=OFF", "-DMODELOUT_BUILD_EXAMPLES=OFF", *launcher], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(folder), "--target", "modelout"], check=True, stdout=subprocess.DEVNULL)
    program = folder / "busy_host"
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", f"-I{source}/include", str(ROOT / "bench/busy_host.c"),
                    f"-L{folder}/lib", f"-Wl,-rpath,{folder}/lib", "-lmodelout", "-o", str(program)], check=True)
    return program


def median_of(program, environment, folder, length, new_tokens, seconds):
    text = subprocess.run([str(program), str(folder), str(length), str(new_tokens), str(seconds)], check=True,
                          capture_output=True, text=True, env=dict(os.environ, **environment)).stdout
    return statistics.median(float(line) for line in text.split())


def measure(arguments, variants, folder, length, new_tokens):
    """Per number of busy programs: variant -> median in microseconds."""
    result = {}
    for busy in BUSY:
        programs = [subprocess.Popen([str(variants["ours"][0]), "spin"]) for _ in range(busy)]
        times = {name: [] for name in variants}
        try:
            time.sleep(0.5)
            for _ in range(arguments.rounds):
                for name, (program, environment) in variants.items():
                    times[name].append(median_of(program, environment, folder, length, new_tokens, arguments.seconds))
        finally:
            for program in programs:
                program.kill()
                program.wait()
        result[busy] = {name: statistics.median(values) for name, values in times.items()}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="f0603d1")
    parser.add_argument("--build", type=pathlib.Path, help="a build folder of this tree (default: one below --work)")
    parser.add_argument("--work", type=pathlib.Path, help="where to build (default: a temporary folder)")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    arguments = parser.parse_args()
    work = arguments.work or pathlib.Path(tempfile.mkdtemp(prefix="busy_host."))
    base = work / "base"
    if not base.exists():
        subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--detach", str(base), arguments.base], check=True,
                       capture_output=True)
    before, after = build(base, base / "build"), build(ROOT, arguments.build or work / "ours")
    variants = {"active": (before, {}), "passive": (before, {"OMP_WAIT_POLICY": "passive"}), "ours": (after, {})}

    report = {"machine": platform.machine(), "processors": os.cpu_count(), "date": time.strftime("%Y-%m-%d"),
              "load_before": os.getloadavg()[0], "base": arguments.base, "rounds": arguments.rounds,
              "seconds": arguments.seconds, "unit": "microseconds", "rows": []}
    missed = 0
    print(f"{'':18}{'busy':>5}{'active':>12}{'passive':>12}{'ours':>12}{'ours/active':>13}{'ours/passive':>14}")
    for model in arguments.models:
        kind, hidden, layers, heads, length, new_tokens = MODELS[model]
        folder = work / f"{kind}-{hidden}"
        if not (folder / "model.safetensors").exists():
            make_checkpoint(folder, kind, hidden, layers, heads)
        for busy, times in measure(arguments, variants, folder, length, new_tokens).items():
            active, passive = times["ours"] / times["active"], times["ours"] / times["passive"]
            bad = (busy == 0 and active > ALONE_GOAL) or (busy == max(BUSY) and passive > BUSY_GOAL)
            missed += bad
            report["rows"].append({"model": model, "busy": busy, **times, "ours_to_active": active, "ours_to_passive": passive})
            print(f"{model:18}{busy:5}{times['active']:12.1f}{times['passive']:12.1f}{times['ours']:12.1f}{active:13.3f}"
                  f"{passive:14.3f}{'  missed' if bad else ''}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
