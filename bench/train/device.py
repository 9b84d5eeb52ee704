"""The arithmetic of a run on its device: which precision, and which algorithms."""

from __future__ import annotations

import os

import torch

from bench.spec.run import RunSpec, TrainSettings


def set_precision(spec: RunSpec, device: torch.device) -> None:
    """Set TF32 and the deterministic algorithms as the run's precision asks; call it before anything is computed.

    TF32 is set either way: cuDNN uses it by default, and a worker's last run leaves its own setting. float32 promises
    that a resumed run ends bit-equal, so on a GPU it uses the deterministic algorithms. An operation that has none (the
    backward pass of ADA-lite's warp) is used all the same, and torch warns of it. Runs without networks need this too:
    a SimCLR encoder trains as its spec says.
    """
    precision = spec.train.precision if spec.train is not None else "float32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for; read once
        torch.use_deterministic_algorithms(precision == "float32", warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch declares it nowhere


def autocast(train: TrainSettings, device: torch.device) -> torch.autocast:
    """The region of one training step, in which bfloat16 is used where a training asks for it.

    It is an autocast region, so parameters and their averages stay float32. Without its cache: a step has several
    updates, and the cache would keep the weights of the first.
    """
    enabled = train.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)
