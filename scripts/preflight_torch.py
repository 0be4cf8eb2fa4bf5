"""The library's ops on PyTorch's default stream, whose handle is 0: what scripts/gpu-check asks first of all where PyTorch is there.

usage: preflight_torch.py LIBRARY [cuda|cpu]

A context whose stream is NULL must be ordered with PyTorch's kernels before and after its own, without anybody waiting.
Exit status: 0 so it is, 1 it is not, 77 no PyTorch or no card for it.

Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench/rivals"))
SKIPPED = 77


def main():
    device = sys.argv[2] if len(sys.argv) > 2 else "cuda"
    try:
        import torch
    except ImportError as error:
        print(f"skipped: no PyTorch ({error})")
        return SKIPPED
    if device == "cuda" and not torch.cuda.is_available():
        print("skipped: PyTorch sees no card")
        return SKIPPED
    from modelout_ctypes import Ops
    from ops_gpu import SoftmaxParams
    if device == "cuda" and torch.cuda.current_stream().cuda_stream != 0:
        print("PyTorch's current stream is not the default one")
        return 1
    ops = Ops(sys.argv[1], device)
    wrong = 0
    for index in range(20):
        base = torch.randn(2048, 2048, device=device)
        other = torch.empty_like(base)
        product = (base @ base).tanh() * (index + 1)  # long enough that nothing has ended by chance
        ops.prepare("mo_softmax", SoftmaxParams, output=other, input=product)()
        doubled = other * 2
        product.zero_()  # behind the op, which has read it
        expected = ((base @ base).tanh() * (index + 1)).softmax(-1) * 2
        wrong += int(((doubled - expected).abs() > 1e-5).sum())
    if wrong:
        print(f"{wrong} values are wrong: the context's stream NULL is not ordered with PyTorch's default stream")
        return 1
    print("ordered with PyTorch's default stream: 20 rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
