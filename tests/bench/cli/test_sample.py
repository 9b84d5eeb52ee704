"""`bench sample`: its options on a run with classes, on one that is still trained, and on a checkpoint."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli.main import cli
from bench.errors import UserError
from bench.files.weights import write_weights
from bench.paths import weights_root
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.store.runs import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory, tiny_spec):
    """A store with a finished run of three classes, and one that was stopped after some steps."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("runs"))
    for seed, enough in ((0, 10**6), (1, 3)):
        spec, asked = tiny_spec("class-conditional", seed=seed, scored=True), iter(range(10**6))
        store.open(spec)
        execute(spec.uid, store, Settings(torch.device("cpu")), lambda: next(asked) > enough, lambda *_: None)  # noqa: B023
    return store


@pytest.fixture
def runs(store):
    """The finished run and the stopped one."""
    finished, stopped = sorted(store, key=lambda folder: folder.spec().seed)
    assert finished.status() == "done" and stopped.result() is None
    return finished, stopped


@pytest.fixture
def call(store, capsys):
    def call(*words, at=store.root):
        cli.main(args=["sample", *(str(word) for word in words), "--store", str(at)], standalone_mode=False)
        return capsys.readouterr().out

    return call


def pictures(folder):
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def test_an_array_has_the_same_images(call, runs, tmp_path):
    call(runs[0].uid, "--count", 9, "--output", tmp_path / "pngs")
    told = call(runs[0].path, "--count", 9, "--format", "npz", "--output", tmp_path / "array", "--snapshot", "final")
    assert f"{tmp_path / 'array' / 'samples.npz'}: 9 images, of {runs[0].uid}" in told
    assert np.array_equal(np.load(tmp_path / "array" / "samples.npz")["images"], pictures(tmp_path / "pngs"))
    assert sorted(path.name for path in (tmp_path / "array").iterdir()) == ["samples.json", "samples.npz"]


def test_options_of_a_finished_run_stand_in_its_record(call, runs, tmp_path):
    words = (runs[0].uid, "--count", 4, "--output")
    labels = dict(reopen(runs[0], Store(runs[0].path.parent), "final").draws.classes)
    number, name = next(iter(labels.items()))
    call(*words, tmp_path / "named", "--class", name)
    call(*words, tmp_path / "numbered", "--class", number, "--truncation", 0.5)
    assert not np.array_equal(pictures(tmp_path / "named"), pictures(tmp_path / "numbered"))
    record = json.loads((tmp_path / "numbered" / "samples.json").read_text())
    assert (record["class"], record["truncation"], record["count"]) == (str(number), 0.5, 4)
    call(*words, tmp_path / "path", "--interpolate", 2, "--grid")
    sheet = np.asarray(Image.open(tmp_path / "path" / "grid.png"))
    assert sheet.shape == (2 * 34 + 2, 2 * 34 + 2, 3), "a row of two images a path"
    for more, why in (
        (("--class", "no such"), "has no class 'no such'"),
        (("--interpolate",), "--count 4 is no whole number of rows of 8 images"),
        (("--grid", "--format", "npz"), "--grid is a picture and --format npz an array"),
        (("--network", "sngan-32"), "--network has no effect beside RUN"),
    ):
        with pytest.raises(UserError, match=why):
            call(*words, tmp_path / "out", *more)
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_finished_gives_those_of_its_newest_checkpoint(call, runs, tmp_path):
    told = call(runs[1].uid, "--count", 3, "--output", tmp_path / "made")
    record = json.loads((tmp_path / "made" / "samples.json").read_text())
    assert record["snapshot"] == "latest" and 0 < record["step"] < 6
    assert f"its newest checkpoint (step {record['step']})" in told and len(pictures(tmp_path / "made")) == 3


def test_a_checkpoint_is_sampled_without_a_run(call, runs, tmp_path, monkeypatch):
    """The images are those of the run whose generator it is; what a file does not say is asked for."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "weights"))
    run = reopen(runs[0], Store(runs[0].path.parent), "final")
    state, options = (
        run.generator.state_dict(),
        {**run.spec.network.options, "condition_dim": run.generator.condition_dim},
    )
    network = {"name": run.spec.network.name, "options": options}
    write_weights(weights_root() / "theirs.pt", {"ema": state, "network": network, "origin": {}})
    words = ("--checkpoint", "theirs", "--class", "1", "--count", 5, "--output")
    told = call(*words, tmp_path / "made")
    assert "5 images" in told and told.strip().endswith(f"theirs.pt, network {network['name']}")
    by_hand = run.draws.of_class("1").all_images(5)
    assert np.array_equal(pictures(tmp_path / "made"), by_hand)
    write_weights(tmp_path / "bare.pt", {"ema": state})
    write_weights(tmp_path / "none.pt", {"step": 3})
    (tmp_path / "theirs.pkl").write_bytes(b"pickle")
    for words, why in (
        (("--checkpoint", tmp_path / "bare.pt"), "does not say which network it is of; --network NAME does"),
        (("--checkpoint", tmp_path / "bare.pt", "--network", "sngan-64"), "its generator is not a 'sngan-64'"),
        (("--checkpoint", tmp_path / "none.pt"), "has no generator, unlike what"),
        (("--checkpoint", tmp_path / "theirs.pkl"), "`bench weights import FORMAT .*` turns it into weights"),
        (("--checkpoint", "nowhere"), "neither a file nor weights of that name"),
        (("--checkpoint", "theirs", "--network", "biggan-32"), "is of network 'sngan-32', not of 'biggan-32'"),
        (("--checkpoint", "theirs", "--rows", "a"), "--rows has no effect beside --checkpoint"),
        (("x", "--checkpoint", "theirs"), "either RUN or --checkpoint FILE"),
        ((), "either RUN or --checkpoint FILE"),
    ):
        with pytest.raises(UserError, match=why):
            call(*words, "--output", tmp_path / "out")
