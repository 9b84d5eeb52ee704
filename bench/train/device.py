"""The arithmetic of a run on its device: which precision, and which algorithms."""

from __future__ import annotations

import os

import torch

from bench.spec.run import RunSpec


def set_precision(spec: RunSpec, device: torch.device) -> None:
    """TF32 on a GPU only where the run asks for it: cuDNN would use it unasked, and a worker's last run leaves its own.

    float32 promises that a resumed run ends bit-equal, so that on a GPU it uses the deterministic algorithms; an
    operation that has none (the warp of ADA-lite, going back) is used all the same, and torch warns of it.
    Before anything is computed, and for a run without networks too: a SimCLR encoder trains as its spec says.
    """
    precision = spec.train.precision if spec.train is not None else "float32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for; read once
        torch.use_deterministic_algorithms(precision == "float32", warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch declares it nowhere
