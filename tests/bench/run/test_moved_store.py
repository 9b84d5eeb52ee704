"""A store that is moved, or a run folder that is deleted, under a run at work: it ends with a clear reason, leaves
nothing at the old place, and continues at the new one with the same bits.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bench.launch.local.queue import record_death
from bench.run.execute import run_once
from bench.store import best, checkpoints
from bench.store.lease import RunGoneError
from bench.store.runs import Store
from bench.train.sampling import save_sheet

STEPS = 50
NO_CHECKPOINTS = 1e9  # seconds between two


@pytest.fixture
def moved_at_work(run_server, wait_until):
    """Start a spec's run whose store goes from `root` to `place` while it trains; its folder."""

    def move(spec, root, place):
        folder = Store(root).open(spec)
        pid = run_server.start(spec.uid, root, every=0.0)
        wait_until(lambda: list(folder.state.glob("step-*.pt")), every=0.001, otherwise=folder.error)
        root.rename(place)
        assert run_server.wait(pid) == (0, "failed")
        return folder

    return move


@pytest.mark.slow
def test_nothing_is_left_at_the_old_place_and_the_run_continues_at_the_new_one(
    tiny_spec, run_server, moved_at_work, tmp_path
):
    spec, old, new = tiny_spec(steps=STEPS), tmp_path / "old", tmp_path / "new"
    folder = moved_at_work(spec, old, new)
    assert not old.exists()
    assert folder.error() == str(RunGoneError(folder.path)) and "has gone (moved" in folder.error()
    moved = Store(new).folder(spec.uid)
    assert moved.result() is None and 0 < moved.saved_step() < STEPS and moved.error() is None

    assert run_server.run(spec.uid, new, every=NO_CHECKPOINTS) == "done"
    Store(tmp_path / "undisturbed").open(spec)
    assert run_server.run(spec.uid, tmp_path / "undisturbed", every=NO_CHECKPOINTS) == "done"
    whole = Store(tmp_path / "undisturbed").folder(spec.uid)
    assert moved.result()["weights_sha256"] == whole.result()["weights_sha256"]
    assert moved.read_log() == whole.read_log()


WRITES = {
    "beat": lambda folder: folder.beat("running", 1, 2, None),
    "append": lambda folder: folder.append(folder.train_log, [{"step": 1}]),
    "rewind": lambda folder: folder.rewind(1),
    "fail": lambda folder: folder.fail("a reason"),
    "finish": lambda folder: folder.finish({"steps": 1}),
    "begin": lambda folder: folder.begin({}),
    "write_inputs": lambda folder: folder.write_inputs({}),
    "request_stop": lambda folder: folder.request_stop(),
    "lease": lambda folder: folder.lease().__enter__(),
}


@pytest.mark.parametrize("write", WRITES)
def test_no_write_makes_a_folder_anew(write, tiny_spec, tmp_path):
    folder = Store(tmp_path / "runs").open(tiny_spec())
    (folder.path / "train.jsonl").write_text("")
    shutil.rmtree(folder.path)
    if write == "rewind":  # there is nothing that it could drop
        WRITES[write](folder)
    else:
        with pytest.raises(RunGoneError, match="has gone"):
            WRITES[write](folder)
    assert not folder.path.exists()


SLOWER_WRITES = {
    "checkpoint": lambda folder: checkpoints.save(folder.state, 1, {"step": 1}),
    "best": lambda folder: best.keep(folder.state, 1, {}),
    "sheet": lambda folder: save_sheet(folder.path / "samples" / "x.png", np.zeros((1, 8, 8, 3), np.uint8)),
}


@pytest.mark.parametrize("write", SLOWER_WRITES)
def test_a_folder_that_goes_while_weights_are_gathered_is_not_made_anew(write, tiny_spec, tmp_path):
    """Between looking for the folder and writing into it lie seconds; the write itself makes no run folder."""
    folder = Store(tmp_path / "runs").open(tiny_spec())
    SLOWER_WRITES[write](folder)  # it makes its own folder in that of a run
    shutil.rmtree(folder.path)
    with pytest.raises(FileNotFoundError):
        SLOWER_WRITES[write](folder)
    assert not folder.path.exists()


def test_a_run_whose_folder_has_gone_before_it_starts(tiny_spec, tmp_path, capsys):
    folder = Store(tmp_path / "runs").open(tiny_spec())
    shutil.rmtree(folder.path)
    assert run_once(folder.uid, tmp_path / "runs") == "failed"
    assert f"bench: run folder {folder.path} has gone" in capsys.readouterr().err
    record_death(Store(tmp_path / "runs"), folder.uid, "killed")
    assert not folder.path.exists()
