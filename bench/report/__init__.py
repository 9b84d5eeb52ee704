"""From records to tables, plots and verdicts: `build_report` once, then any renderer (text, markdown, latex, ...).

Lazy: importing this package imports neither pandas nor scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.report.build import build_report
    from bench.report.recorded import load_recorded, recorded_sets
    from bench.report.results import load_results

__all__ = ["build_report", "load_recorded", "load_results", "recorded_sets"]

_HOMES = {
    "build_report": "build",
    "load_recorded": "recorded",
    "load_results": "results",
    "recorded_sets": "recorded",
}
# bench.report.markdown is bench.report.render.markdown
RENDERERS = ("csv", "html", "latex", "markdown", "text")


def __getattr__(name: str) -> Any:
    if name in RENDERERS:
        return importlib.import_module(f"bench.report.render.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'bench.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bench.report.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
