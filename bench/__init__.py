"""A benchmark and reproduction harness for GANs trained on little data.

The public Python API (docs/python-api.md has examples):

    load_table(name)            a table: its rows, columns, scales and claims
    load_results(table, scale)  every score of a table's runs, as a tidy pandas frame
    load_recorded(name)         the scores of a recorded set
    load_plugin(path)           make known the methods and data sets of a Python file of your own
    Store(path)                 a folder of runs
    UserError                   what a mistake of the caller's raises, in one line
    metrics, stats              scores on feature arrays; intervals and tests over seeds
    networks, features          GANs and frozen feature extractors by name
    train                       the Method class and what its hooks are given
    report                      tables, comparisons and plots from results

It is lazy: importing `bench` imports neither torch nor pandas.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file() and (_checkout / "methods").is_dir():
    __path__.append(str(_checkout))  # a source checkout: methods/ lies beside bench/; a wheel has it inside

_API = {
    "Store": "bench.store.runs",
    "UserError": "bench.errors",
    "load_plugin": "bench.plugins",
    "load_recorded": "bench.report.recorded",
    "load_results": "bench.report.results",
    "load_table": "bench.plan.load",
}
_MODULES = ("features", "metrics", "networks", "report", "stats", "train")

__all__ = [
    "Store",
    "UserError",
    "__version__",
    "features",
    "load_plugin",
    "load_recorded",
    "load_results",
    "load_table",
    "metrics",
    "networks",
    "report",
    "stats",
    "train",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _API:
        return getattr(importlib.import_module(_API[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"bench.{name}")
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
