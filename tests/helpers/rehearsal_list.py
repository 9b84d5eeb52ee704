"""A list of tiny configurations for `bench rehearse`, as a file."""

from __future__ import annotations

from pathlib import Path

import yaml

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
