"""The catalogue of data sets: what each one is, who builds it, and what its licence allows."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bench.files.yamlfile import load_yaml, validate


class DatasetEntry(BaseModel):
    """One data set. `builder` ("module:function") makes its splits at a resolution; see bench.data.builder.

    `embedded` sets come from installed packages alone; the others need `bench data build NAME --from DIR`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: str
    builder: str
    licence: str
    source: str
    embedded: bool = True
    train: int = Field(gt=0, description="images in the train pool that few-shot draws come from")
    test: int = Field(gt=0, description="images in the disjoint test split, the reference of FD")
    options: dict[str, Any] = {}
    known_sha256: dict[int, str] = Field(
        default={}, description="resolution -> content hash of the set as built by the project"
    )


def read_catalogue() -> dict[str, DatasetEntry]:
    """All entries of datasets/catalogue.yaml, by name."""
    folder = importlib.import_module("bench.datasets")  # no __init__.py: a type checker cannot see it
    candidates = [Path(place) / "catalogue.yaml" for place in folder.__path__]
    path = next(file for file in candidates if file.is_file())
    return {name: validate(DatasetEntry, value, path, (name,)) for name, value in load_yaml(path).items()}
