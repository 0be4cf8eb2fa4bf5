"""What gpu-check and profile share: the card, the CUDA libraries, the versions of everything.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import glob
import pathlib
import platform
import shutil
import subprocess
import sys

SKIPPED = 77


def output_of(command, **options):
    """What a command prints, or None."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


QUERY = {"name": "name", "driver": "driver_version", "memory": "memory.total", "sm_clock": "clocks.sm",
         "sm_clock_max": "clocks.max.sm", "memory_clock": "clocks.mem", "memory_clock_max": "clocks.max.mem", "power_limit": "power.limit",
         "temperature": "temperature.gpu", "compute_capability": "compute_cap"}


def query_gpu():
    """The first card's figures as nvidia-smi gives them, or None."""
    line = output_of(["nvidia-smi", "--query-gpu=" + ",".join(QUERY.values()), "--format=csv,noheader"])
    if not line:
        return None
    values = [value.strip() for value in line.splitlines()[0].split(",")]
    return dict(zip(QUERY, values)) if len(values) == len(QUERY) else None


def cuda_folders():
    """Where the CUDA libraries that the module needs may lie: the toolkit's folder, and those of PyTorch's packages."""
    folders = []
    nvcc = shutil.which("nvcc")
    if nvcc:
        folders.append(pathlib.Path(nvcc).resolve().parent.parent / "lib64")
    folders += map(pathlib.Path, sorted(glob.glob("/usr/local/cuda*/lib64")))
    packages = output_of([sys.executable, "-c", "import nvidia; print(*nvidia.__path__, sep='\\n')"]) or ""
    for package in packages.splitlines():
        folders += sorted(pathlib.Path(package).glob("*/lib"))
    return [str(folder) for folder in folders if any(folder.glob("libcublasLt.so.*")) or any(folder.glob("libcudart.so.*"))]


def versions():
    first = lambda text: text.splitlines()[-1] if text else None  # noqa: E731
    modules = output_of([sys.executable, "-c", "import torch, transformers, triton\n"
                         "print(torch.__version__, torch.version.cuda, transformers.__version__, triton.__version__)"])
    names = ("torch", "torch_cuda", "transformers", "triton")
    return {"nvcc": first(output_of(["nvcc", "--version"])), "python": platform.python_version(), "kernel": platform.release(),
            "compute_sanitizer": first(output_of(["compute-sanitizer", "--version"])),
            **(dict(zip(names, modules.split())) if modules else {})}
