"""A list of tiny configurations for `bench rehearse`, as a file; and what is measured of one, without its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.data.known import datasets
from bench.features.known import VGG16
from bench.rehearsal import step
from bench.rehearsal.configurations import Configuration
from bench.spec.run import DataSpec

TINY = {
    "network": {"name": "sngan-32", "options": {"g_width": 16, "d_width": 16, "z_dim": 8}},
    "resolution": 32,
    "batch": 8,
    "d_steps": 2,
    "steps": 100,
    "images": 16,
    "train": {"g_lr": 1e-3, "d_lr": 1e-3},
    "tables": ["none"],
}
PLAIN = {"id": "plain", "method": ""}
MICRO = {"id": "micro", "method": "", "micro_batch": 2, "rehearsed": 4}


def written(folder: Path, *configurations: dict[str, object], **shared: object) -> Path:
    """A file with one group of configurations, which are tiny but for what they say."""
    return written_groups(folder, {**TINY, **shared, "configurations": list(configurations)})


def written_groups(folder: Path, *groups: dict[str, object], **settings: object) -> Path:
    """A file with these groups and settings of the whole list."""
    path = folder / "list.yaml"
    value = {"images_from": {"name": "shapes", "resolution": 32}, **settings, "groups": list(groups)}
    path.write_text(yaml.safe_dump(value))
    return path


def measured_here(configuration: Configuration, images_from: DataSpec, folder: Path) -> dict[str, Any]:
    """What the process of a rehearsal measures, in this one: a new process would import for seconds.

    folder: an empty one, for its images and weights. The data set that it registers is forgotten afterwards.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setenv("BENCH_WEIGHTS", str(folder / "weights"))
        patch.delenv(VGG16.variable, raising=False)
        try:
            return step.measure(configuration, images_from, folder)
        finally:
            datasets.cache_clear()
