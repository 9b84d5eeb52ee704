"""An extractor from outside the tree: one plug-in file, and it is listed, scored on, cached, recorded and a prior."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bench import features
from bench.cli.main import cli
from bench.errors import UserError
from bench.features.lookup import digest, entry
from bench.metrics import label
from bench.plan.inputs import Machine
from bench.store.runs import Store

PLUGIN = '''
"""The means of four quarters of an image: an extractor without a weights file."""

import torch

from bench.features import ExtractorEntry, Sizes


def build(card):
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), Times())


class Times(torch.nn.Module):
    def forward(self, x):
        return FACTOR * x


EXTRACTORS = [
    ExtractorEntry(
        name="quarters",
        network="a pool",
        layer="four means",
        dim=12,
        sizes=Sizes(16, 8, 32, 16, step=8),
        weights=None,
        licence="none",
        target="bench_plugin_quarters:build",
    )
]
'''
TABLE = """
title: mine
seeds: 1
snapshot: best
metrics: [fd]
rows:
  - {id: plain, label: Plain, method: baseline}
  - {id: prior, label: Prior, method: "disp(prior=quarters, prior_size=24)"}
columns: [{id: shapes, label: Shapes}]
scales:
  mini:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 4, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 2, metrics: [{name: fd, extractor: quarters@24}]}
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}
"""
WITH_FILE = PLUGIN.replace("weights=None", 'weights=UserWeights("toy.bin", "BENCH_TOY", "made up", 3)').replace(
    "ExtractorEntry, Sizes", "ExtractorEntry, Sizes, UserWeights"
)


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys, load_plugin):
    """A folder with the table and the plug-in; `bench WORDS` in it, in this process: what it printed, on one line."""
    (tmp_path / "own.yaml").write_text(TABLE)
    (tmp_path / "quarters.py").write_text(PLUGIN.replace("FACTOR", "1"))
    monkeypatch.chdir(tmp_path)

    def bench(*words, plugin=True):
        named = ("--plugin", "quarters.py") if plugin else ()
        cli.main(args=[*words, *named], standalone_mode=False)
        return " ".join(capsys.readouterr().out.split())

    return bench


def test_a_table_is_scored_on_an_extractor_from_outside(desk, tmp_path, store_root):
    assert "quarters a pool, four means, 12-d (default size 16)" in desk("list", "extractors")
    table = ("own.yaml", "--scale", "mini")
    assert "2 runs finished" in desk("run", *table, "--jobs", "1", "--no-references")
    runs = {run.spec().method[0].name: run for run in Store(store_root)}
    for run in runs.values():
        lines = run.metrics()
        assert {line["step"] for line in lines} == {2, 4} and all(line["value"] > 0 for line in lines)
        assert {line["extractor"] for line in lines} == {"quarters@24"}
        assert run.inputs()["read"]["extractor/quarters"] == digest("quarters")
    assert "FD(quarters@24)" in desk("report", *table)

    # An edit of its code makes its runs stale; a comment does not.
    text = PLUGIN.replace("FACTOR", "1")
    (tmp_path / "quarters.py").write_text(text.replace("def build", "# the network\ndef build"))
    assert "stale" not in desk("plan", *table)
    (tmp_path / "quarters.py").write_text(PLUGIN.replace("FACTOR", "2"))
    assert "changed since: weights or code of the extractor quarters" in desk("plan", *table)
    before = [line["value"] for line in runs["baseline"].metrics()]
    desk("run", *table, "--rows", "plain", "--jobs", "1", "--no-references", "--retry", "stale")
    after = [line["value"] for line in runs["baseline"].metrics()]
    assert after == pytest.approx([4 * value for value in before])  # no feature came from a cache of the old code
    assert Machine(Store(store_root)).changes(runs["baseline"]) == []


def test_without_its_plug_in_the_table_names_file_line_and_key(desk, fresh_registries):
    with pytest.raises(UserError, match=r"^own\.yaml:14: .*unknown extractor 'quarters'"):
        desk("plan", "own.yaml", "--scale", "mini", plugin=False)


def test_one_with_a_file_says_where_it_belongs_and_has_both_in_its_digest(load_plugin, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path))
    load_plugin(WITH_FILE.replace("FACTOR", "1"), "quarters.py")
    cli.main(["doctor", "--store", str(tmp_path / "store")], standalone_mode=False)
    where = f"put the file at {tmp_path / 'toy.bin'}"
    missing = f"absent  extractor quarters: weights toy.bin are not here and are never downloaded: {where}"
    assert missing in capsys.readouterr().out
    (tmp_path / "toy.bin").write_bytes(b"toy")
    first = digest("quarters")
    assert first != hashlib.sha256(b"toy").hexdigest() and len(first) == 64
    (tmp_path / "toy.bin").write_bytes(b"toi")
    assert digest("quarters") != first

    images = np.random.default_rng(0).integers(0, 256, (20, 24, 24, 3), dtype=np.uint8)
    extractor = features.load("quarters@24")
    means = images.reshape(20, 2, 12, 2, 12, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(20, 12) / 127.5 - 1
    np.testing.assert_allclose(extractor(images), means, atol=1e-6)
    assert extractor.weights_sha256 == digest("quarters") and label("fd", "quarters") == "FD(quarters@16)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EXTRACTORS = 5", "EXTRACTORS must be a list of bench.features.ExtractorEntry, not 5"),
        (PLUGIN.replace('"quarters"', '"vgg16"'), "extractor 'vgg16' is registered twice: "),
        (PLUGIN.replace('"quarters"', '"a b"'), "extractor 'a b': a name is lower-case letters, digits and _ . -"),
        (PLUGIN.replace("dim=12", 'dim=12, inception="clean-fid"'), "'quarters': inception must be left out"),
    ],
)
def test_a_plug_in_with_other_extractors_is_refused(text, message, load_plugin, tmp_path):
    with pytest.raises(UserError) as caught:
        load_plugin(text)
    assert str(caught.value).startswith(f"plug-in '{tmp_path / 'mine.py'}': ") and message in str(caught.value)


def test_entry_points_of_an_installed_package(distribution):
    card = PLUGIN.replace("FACTOR", "1").replace("bench_plugin_quarters", "their_gans")
    distribution(
        "[bench.extractors]\nquarters = their_gans:CARD\nother = their_gans:CARD\n", f"{card}\n(CARD,) = EXTRACTORS\n"
    )
    assert features.extractors().entry("quarters").summary == "from the package their_gans"
    assert features.parse_spec("quarters@24") == ("quarters", 24) and len(digest("quarters")) == 64
    with pytest.raises(UserError, match=r"'other' \(their_gans:CARD\) must be a bench.features.ExtractorEntry of that"):
        entry("other")
