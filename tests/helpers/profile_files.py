"""Site profiles as files. `tests/helpers` is on the path of the tests."""

# mypy: allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from submitit.slurm.slurm import _make_sbatch_string  # submitit has no public name for it

from bench.errors import UserError
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.profile_load import load_profile


def write(folder, text, name="site.yaml"):
    path = folder / name
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
    return path


def complaint(path):
    """What load_profile says, after the name of the file; always one line."""
    with pytest.raises(UserError) as caught:
        load_profile(str(path))
    message = str(caught.value)
    assert message.isprintable(), message
    return message.removeprefix(f"{path}:")


def script(folder=Path("/logs"), count=None, **keys):
    """The batch script that submitit writes for a profile with these keys."""
    profile = Profile(**{"time": "1h", **keys})
    return _make_sbatch_string(command=profile.command(), folder=folder, map_count=count, **profile.parameters())


def sbatch_lines(**keys):
    lines = script(**keys).splitlines()
    return {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}
