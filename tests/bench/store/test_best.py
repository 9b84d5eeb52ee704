"""best.pt is the snapshot that reports call the best: the same extractor, the same step, whatever interrupted it."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from bench.metrics.scores import Score
from bench.report.cells import per_seed
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import MetricSpec
from bench.store import best, checkpoints
from bench.store.runs import Store

FIRST, SECOND = "effnet_lite0@32", "vgg16@32"


class Scripted:
    """A scorer with two extractors whose distances have their minima at different snapshots."""

    def __init__(self, values):
        self.values = iter(values)

    def score(self, images):
        first, second = next(self.values)
        rest = {
            "error": None,
            "n_generated": len(images),
            "n_reference": 24,
            "seconds": 0.0,
            "extractor_sha256": "e" * 64,
            "reference_sha256": "f" * 64,
        }
        return [
            Score("fd", SECOND, second, **rest),
            Score("fd", FIRST, first, **rest),
            Score("precision", SECOND, 0.5, **rest),
        ]


@pytest.fixture
def attempt(tiny_spec, store_root, monkeypatch):
    """Train a run whose snapshots, at steps 2, 4, 6, ..., score the values given, until a step."""
    torch.set_num_threads(1)
    spec = tiny_spec(steps=8, scored=True)
    metrics = (
        MetricSpec(name="fd", extractor=FIRST),
        MetricSpec(name="fd", extractor=SECOND),
        MetricSpec(name="precision", extractor=SECOND, k=5),
    )
    protocol = spec.protocol.model_copy(update={"metrics": metrics, "every": 2})
    spec = spec.model_copy(update={"protocol": protocol})
    store = Store(store_root)
    folder = store.open(spec)

    def go(values, until=10**9, every=1e9):
        monkeypatch.setattr("bench.run.training.make_scorer", lambda *_: Scripted(values))
        step = {"now": 0}
        settings = Settings(torch.device("cpu"), checkpoint_seconds=every)
        return execute(spec.uid, store, settings, lambda: step["now"] >= until, lambda now, _: step.update(now=now))

    return folder, go


def printed(folder):
    """The step that a report prints as the best."""
    frame = pd.DataFrame(folder.metrics()).assign(kind="train", row="r", column="c", seed=0, status="done")
    values = per_seed(frame, "best", folder.spec().protocol)
    return set(values["step"])


def test_the_first_extractor_decides_for_the_weights_and_for_the_report(attempt):
    folder, go = attempt
    assert folder.spec().protocol.selects.extractor == FIRST
    assert go([(30, 9), (10, 8), (20, 1), (25, 2)]) == "done", folder.error()
    weights = checkpoints.read_weights(folder.state / "best.pt")
    assert {weights["step"]} == printed(folder) == {4}
    assert set(weights) == {"step", "ema", "discriminator", "method"}
    assert sorted(path.name for path in folder.state.iterdir()) == ["best.pt", "final.pt"]


def test_the_earliest_of_equals_and_no_score_that_is_not_a_number(attempt):
    folder, go = attempt
    assert go([(float("nan"), 9), (10, 8), (10, 1), (float("inf"), 2)]) == "done"
    assert {checkpoints.read_weights(folder.state / "best.pt")["step"]} == printed(folder) == {4}


def test_a_best_of_a_future_that_was_lost_is_forgotten(attempt):
    """Killed after a better snapshot, before its checkpoint; computed again, that snapshot is a worse one."""
    folder, go = attempt
    assert go([(10, 1)], until=3) == "stopped"
    kept = checkpoints.fingerprint(checkpoints.read_weights(folder.state / "best-00000002.pt"))
    assert go([(5, 1), (6, 1)], until=7) == "stopped"
    (folder.state / "step-00000007.pt").unlink()  # as if it had never been written
    assert checkpoints.latest(folder.state)[0] == 3
    assert go([(20, 1), (21, 1), (22, 1)]) == "done"
    assert printed(folder) == {2}
    assert checkpoints.fingerprint(checkpoints.read_weights(folder.state / "best.pt")) == kept


def test_a_checkpoint_that_is_damaged_has_its_own_best(attempt, capsys):
    folder, go = attempt
    assert go([(10, 1), (5, 1)], until=5, every=0) == "stopped"
    assert [path.name for path in sorted(folder.state.glob("step-*"))] == [
        "step-00000004.pt",
        "step-00000005.pt",
    ]
    assert [path.name for path in folder.state.glob("best*")] == ["best-00000004.pt"]  # no one goes back further
    assert go([(4, 1)], until=6, every=1e9) == "stopped"
    (folder.state / "step-00000006.pt").write_bytes(b"torn")
    assert go([(7, 1), (8, 1)]) == "done"
    assert "falling back" in capsys.readouterr().err
    assert {checkpoints.read_weights(folder.state / "best.pt")["step"]} == printed(folder) == {4}


def test_a_run_killed_while_it_ended_still_has_its_best(attempt):
    folder, go = attempt
    assert go([(10, 1), (5, 1)], until=5) == "stopped"
    best.settle(folder.state, 4)
    assert go([(6, 1), (7, 1)]) == "done"
    assert {checkpoints.read_weights(folder.state / "best.pt")["step"]} == printed(folder) == {4}
