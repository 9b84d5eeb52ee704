"""`bench evaluate --run` under another protocol than the run's own: what a training with it would have scored."""

from __future__ import annotations

import json

import pytest
import torch

from bench.cli.main import cli
from bench.errors import UserError
from bench.metrics.scorers import make_scorer
from bench.plan.load import load_table
from bench.report.recorded import load_recorded
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.store.runs import Store

TABLE = """\
schema_version: 1
title: Tiny
seeds: 1
snapshot: final
metrics: [fd]
rows:
  - {id: plain, label: Plain, method: unconditional}
columns:
  - {id: one, label: One}
  - {id: other, label: Other}
  - {id: large, label: Large}
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 2, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: NAME, version: 1, every: 2, batch: BATCH, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      one: {data: {name: shapes, resolution: 32, shots: 16}, generated: COUNT, reference: 30}
      other: {data: {name: digits, resolution: 32, shots: 16}, generated: COUNT, reference: 30}
      large:
        data: {name: shapes, resolution: 64, shots: 16}
        network: {name: sngan-64, options: {g_width: 8, d_width: 8, z_dim: 16}}
        generated: COUNT
        reference: 30
"""


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Two tables of one's own, "mine" and, with more images in other batches, "theirs"."""
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    for name, batch, count in (("mine", 7, 24), ("theirs", 10, 33)):
        text = TABLE.replace("NAME", name).replace("BATCH", str(batch)).replace("COUNT", str(count))
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path / "mine.yaml", tmp_path / "theirs.yaml"


@pytest.fixture
def run(tables, store_root):
    """A finished run of "mine"."""
    torch.set_num_threads(1)
    table, store = load_table(str(tables[0])), Store(store_root)
    spec = table.run_spec(table.rows[0], table.columns[0], 0, "smoke")
    store.open(spec)
    assert execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "done"
    return store.folder(spec.uid)


@pytest.fixture
def call(capsys):
    def call(*words):
        cli.main(args=["evaluate", *(str(word) for word in words)], standalone_mode=False)
        return capsys.readouterr().out

    return call


def score_of(told):
    (score,) = json.loads(told)["scores"]
    return score


def test_a_run_is_scored_under_another_protocol_and_on_another_data_set(call, run, tables):
    words, store = ("--run", run.uid, "--json"), Store(run.path.parent)
    recorded = run.metrics()[-1]["value"]
    assert score_of(call(*words))["value"] == recorded
    assert score_of(call(*words, "--table", tables[0]))["value"] == recorded, "under its own, named"
    for column, more in (("one", ()), ("other", ("--dataset", "digits"))):
        scored = load_table(str(tables[1])).scored_columns("smoke")[column]
        images = reopen(run, store, "final", protocol=scored.protocol).all_images(33)
        (expected,) = make_scorer(scored.protocol, scored.data, 0).score(images)
        told = score_of(call(*words, "--table", tables[1], "--protocol", "theirs", *more))
        assert (told["value"], told["n_generated"]) == (expected.value, 33)
        assert told["reference_sha256"] == expected.reference_sha256


def test_it_becomes_a_row_of_the_others_table(call, run, tables):
    words = ("--run", run.uid, "--table", tables[1], "--as", "kept")
    with pytest.raises(UserError, match="--method NAME says what it is called"):
        call(*words)
    assert "kept as a row in" in call(*words, "--method", "ours")
    frame = load_recorded("kept")
    assert frame[["row", "column", "seed", "n_generated"]].values.tolist() == [["ours", "one", 0, 33]]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--dataset", "digits", "--measures", "authenticity"), "was trained on other images than those of mine v1 of"),
        (("--column", "large"), "makes images of 32 px, the protocol's are of 64 px"),
        (("--resolution", "64"), "makes images of 32 px, the protocol's are of 64 px"),
        (("--dataset", "digitz"), "did you mean 'digits'"),
        (("--protocol", "theirs"), "is 'shapes' at 32 px under protocol 'theirs'"),
        (("--seed", "1"), "--seed has no effect beside --run"),
        (("--allow-fewer",), "--allow-fewer has no effect beside --run"),
    ],
)
def test_what_does_not_fit_is_refused(call, run, tables, words, why):
    with pytest.raises(UserError, match=why):
        call("--run", run.uid, "--table", tables[0], *words)
