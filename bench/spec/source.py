"""What runs start from: a run that is trained once and shared, or a file of weights of the user's."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from bench.spec.resources import Resources
from bench.spec.run import DataSpec, Frozen, NetworkSpec, TrainSettings, WeightsFile


class SourceRun(Frozen):
    """A run that other runs start from, trained once and shared."""

    method: str
    network: NetworkSpec | None = None
    data: DataSpec
    train: TrainSettings
    seed: int = 0
    resources: Resources | None = None  # where it takes otherwise than the runs that start from it; no part of the run


def _source_kind(value: Any) -> str:
    """Which of the two kinds a source is, so that pydantic reports a mistake in it for that kind only."""
    is_file = "weights" in value if isinstance(value, dict) else isinstance(value, WeightsFile)
    return "WeightsFile" if is_file else "SourceRun"


Source = Annotated[
    Annotated[SourceRun, Tag("SourceRun")] | Annotated[WeightsFile, Tag("WeightsFile")],
    Discriminator(_source_kind),
]
