"""Names that users were told of, at the places where they were, for a release."""

from __future__ import annotations

import importlib
import pickle

import pytest

MOVED = {
    "bench.catalogue:DatasetEntry": "bench.data.catalogue:DatasetEntry",
    "bench.launch.job:TableJob": "bench.launch.slurm.job:TableJob",
    "bench.networks:noise": "bench.networks.common:noise",
    "bench.report:markdown": "bench.report.render:markdown",
    "bench.report:text": "bench.report.render:text",
}


def _named(place: str) -> object:
    module, _, name = place.partition(":")
    home = importlib.import_module(module)
    return getattr(home, name, None) or importlib.import_module(f"{module}.{name}")


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_new_thing(old):
    assert _named(old) is _named(MOVED[old])


def test_a_job_that_was_submitted_before_an_upgrade_is_found():
    assert pickle.loads(b"cbench.launch.job\nTableJob\n.") is _named("bench.launch.slurm.job:TableJob")
