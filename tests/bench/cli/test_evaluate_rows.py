"""Pictures and checkpoints that `bench evaluate --as SET` keeps stand as rows beside the runs of their table."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench import networks, seeds
from bench.cli.main import cli
from bench.data import imageset
from bench.errors import UserError
from bench.files.weights import write_weights
from bench.metrics.scorers import make_scorer
from bench.networks.common.pixels import to_uint8
from bench.plan.load import load_table
from bench.report.recorded import load_recorded
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.store.runs import Store

NETWORK = {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}
TABLE = """\
schema_version: 1
title: Tiny
seeds: 2
snapshot: final
metrics: [fd]
references: [floor]
rows:
  - {id: plain, label: Plain, method: unconditional}
columns:
  - {id: one, label: One}
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 2, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 2, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      one: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 30}
"""


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of one's own, in a folder of recorded sets of one's own."""
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    path = tmp_path / "mine.yaml"
    path.write_text(TABLE)
    return path


@pytest.fixture
def call(capsys):
    def call(*words):
        cli.main(args=[str(word) for word in words], standalone_mode=False)
        return capsys.readouterr().out

    return call


@pytest.fixture
def pools(tmp_path):
    """Real pictures of the set, as a stranger would have them: 24 of each of two seeds, and nine."""
    for name, images in (("a", slice(0, 24)), ("b", slice(24, 48)), ("few", slice(0, 9))):
        (tmp_path / name).mkdir()
        for number, image in enumerate(imageset.load("shapes", 32).train[images]):
            Image.fromarray(image).save(tmp_path / name / f"{number:03}.png")
    return tmp_path


def keep(call, table, pool, seed, *more, method="ours"):
    words = ("evaluate", "--images", pool, "--table", table, "--column", "one", "--method", method, "--json")
    return json.loads(call(*words, "--seed", seed, "--as", "theirs", *more))


def test_a_folder_becomes_a_row_that_is_reported_and_compared(table, pools, call, store_root):
    scores = [keep(call, table, pools / name, seed)["scores"][0]["value"] for seed, name in enumerate("ab")]
    frame = load_recorded("theirs")
    assert frame["value"].tolist()[::-1] == scores and set(frame["kind"]) == {"train"} and set(frame["step"]) == {0}
    assert all("data/shapes-32/test.npy=" in text and "extractor/effnet_lite0=" in text for text in frame["inputs"])
    # Beside two finished runs, in the report and in a comparison
    spec, store = load_table(str(table)), Store(store_root)
    torch.set_num_threads(1)
    for seed in range(2):
        run = spec.run_spec(spec.rows[0], spec.columns[0], seed, "smoke")
        store.open(run)
        assert execute(run.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None) == "done"
    shown = call("report", table)
    line = next(line for line in shown.splitlines() if line.startswith("ours (pictures)"))
    assert str(np.mean(scores))[:3] in line and "(n=2)" in line
    assert "Pictures from elsewhere, trained by nobody here: ours." in shown
    assert "ours" in call("report", table, "--rows", "ours", "--csv")
    told = call("compare", "ours", "--against", "runs", "--table", table)
    assert "ours against runs" in told and "2 paired" in told and "plain" in told
    call("record", table, "--as", "base")
    assert "ours against base" in call("compare", "ours", "--against", "base", "--table", table)
    back = call("compare", "plain", "--against", "theirs", "--table", table)
    assert "plain against theirs" in back and "not checked for equal settings" not in back
    # Under another protocol it is none of the table's rows any more, and that is said
    table.write_text(TABLE.replace("reference: 30", "reference: 40"))
    shown = call("report", table)
    assert "ours (pictures)" not in shown
    assert "Pictures scored under another protocol than the table's, in no cell: ours (theirs)." in shown


def test_fewer_images_are_said_in_the_record_with_the_floor_at_their_count(table, pools, call):
    made = keep(call, table, pools / "few", 0, "--allow-fewer")
    (score,) = made["scores"]
    assert score["fewer_than_protocol"] and score["floor"]["origin"] == "made now"
    (line,) = load_recorded("theirs").to_dict("records")
    expected = f"only 9 of the protocol's 24 images, whose floor is FD(effnet_lite0@32) {score['floor']['value']:.6g}"
    assert line["remark"] == expected and line["n_generated"] == 9
    assert f"ours · one, seed 0: {expected}." in call("report", table, "--all")


def test_what_cannot_be_a_row_is_refused_before_anything_is_scored(table, pools, call):
    words = ("evaluate", "--images", pools / "a", "--table", table, "--column", "one")
    for more, why in (
        (("--as", "theirs"), "--method NAME says what it is called"),
        (("--as", "theirs", "--method", "plain"), "mine has a row 'plain' already"),
        (("--as", "theirs", "--method", "Ours!"), "a row's name is lower-case letters"),
        (("--as", "paper", "--method", "ours"), "recorded set 'paper': use lower-case"),
        (("--as", "theirs", "--method", "ours", "--measures", "kid"), "whose protocol has no kid on effnet_lite0@32"),
    ):
        with pytest.raises(UserError, match=why):
            call(*words, *more)
    keep(call, table, pools / "a", 0)
    with pytest.raises(UserError, match="holds another run of ours · one · seed 0"):
        keep(call, table, pools / "b", 0)
    keep(call, table, pools / "b", 0, "--replace")
    assert len(load_recorded("theirs")) == 1


def test_a_checkpoint_is_scored_without_its_training_data(table, tmp_path, call):
    """The images are those of its generator at the latents of the seed, which a scorer gives the same value."""
    torch.set_num_threads(1)
    generator, _ = networks.build("sngan-32", seed=5, **NETWORK)
    network = {"name": "sngan-32", "options": NETWORK}
    write_weights(tmp_path / "g.pt", {"ema": generator.state_dict(), "network": network, "origin": {}})
    words = ("evaluate", "--checkpoint", tmp_path / "g.pt", "--table", table, "--dataset", "shapes", "--seed", 3)
    made = json.loads(call(*words, "--json", "--as", "theirs", "--method", "imported"))
    z_NZ = torch.randn(24, 16, generator=seeds.torch_stream(3, "evaluation", "latents", 0))
    with torch.no_grad():
        images = to_uint8(generator.eval().to(memory_format=torch.channels_last)(z_NZ))
    spec = load_table(str(table))
    settings = spec.scored(spec.columns[0], "smoke")
    (score,) = make_scorer(settings.protocol, settings.data, 0).score(images)
    assert made["scores"][0]["value"] == score.value and made["subject"] == "g.pt, network sngan-32"
    assert load_recorded("theirs")["row"].tolist() == ["imported"]
    wide = {**NETWORK, "g_width": 16, "d_width": 16}
    large, _ = networks.build("sngan-64", seed=5, **wide)
    network = {"name": "sngan-64", "options": wide}
    write_weights(tmp_path / "large.pt", {"ema": large.state_dict(), "network": network, "origin": {}})
    with pytest.raises(UserError, match="makes images of 64 px, the protocol's are of 32 px"):
        call("evaluate", "--checkpoint", tmp_path / "large.pt", "--table", table, "--dataset", "shapes")
