"""A benchmark and reproduction harness for GANs trained on little data.

The public Python API is lazy: importing `bench` imports neither torch nor pandas.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file() and (_checkout / "methods").is_dir():
    __path__.append(str(_checkout))  # a source checkout: methods/ lies beside bench/; a wheel has it inside

_API = {
    "load_table": "bench.spec",
    "load_results": "bench.report.results",
}


def __getattr__(name: str) -> Any:
    if name in _API:
        import importlib

        return getattr(importlib.import_module(_API[name]), name)
    if name in {"metrics", "networks", "features", "stats", "train", "report"}:
        import importlib

        return importlib.import_module(f"bench.{name}")
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
