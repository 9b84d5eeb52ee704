"""A run that is begun on some ranks goes on with others: records are rank 0's, and equal."""

from __future__ import annotations

import json

import pytest

from bench.conformance.cases import conformance_spec
from ranked import apart, trained

# No batch norm, and few digits lost: float32's own rounding stays below 1e-6 over these steps.
TRAIN = {"steps": 6, "batch": 12, "d_steps": 1, "g_lr": 1e-4, "d_lr": 1e-4, "adam_eps": 1e-2}


@pytest.fixture(scope="module")
def spec():
    whole = conformance_spec("diffaugment + baseline", "stylegan2-32")
    assert whole.train is not None
    return whole.model_copy(update={"train": whole.train.model_copy(update=TRAIN)})


def test_a_run_goes_on_with_another_number_of_ranks(spec, tmp_path):
    assert trained(spec, tmp_path / "one", 1)[0] == ["done"]
    for ranks, stop in ((2, 2), (3, 4)):
        outcomes, folder = trained(spec, tmp_path / "several", ranks, stop_at=stop)
        assert outcomes == ["stopped"] * ranks and folder.saved_step() == stop, folder.error()
    outcomes, folder = trained(spec, tmp_path / "several", 1)
    assert outcomes == ["done"]
    assert apart(trained(spec, tmp_path / "one", 1)[1], folder) < 1e-5
    assert [entry["ranks"] for entry in json.loads(folder.provenance_file.read_text())] == [2, 3, 1]


def test_a_run_that_cannot_be_shared_out_fails_before_its_first_step(spec, tmp_path):
    parted = spec.model_copy(update={"train": spec.train.model_copy(update={"batch": 4})})
    outcomes, folder = trained(parted, tmp_path, 2)
    assert outcomes == ["failed", "stopped"]
    assert folder.error() == "train.gpus: 4 images in groups of 4 cannot be shared out among 2 ranks"


FAILS = """
from bench.train import Method


class Fails(Method):
    splits = True

    def after_step(self, ctx):
        if ctx.ranks.rank == 1 and ctx.step == 1:
            raise RuntimeError("no memory left here")
        return {}
"""


def test_what_a_rank_fails_of_is_the_failure_of_the_run(spec, tmp_path, load_plugin):
    load_plugin(FAILS)
    failing = conformance_spec("fails", "stylegan2-32").model_copy(update={"train": spec.train})
    outcomes, folder = trained(failing, tmp_path, 2)
    assert outcomes == ["failed", "failed"]
    assert folder.error() == "rank 1: RuntimeError: no memory left here"
