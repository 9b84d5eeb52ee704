"""Measures of finished runs whose needs are images only, of pictures from elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from bench import features
from bench.cli.main import cli
from bench.data import imageset
from bench.data.draws import training_images
from bench.errors import UserError
from bench.spec.run import DataSpec

TABLE = """\
schema_version: 1
title: Tiny
seeds: 1
snapshot: final
metrics: [fd]
rows:
  - {id: plain, label: Plain, method: baseline}
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


def call(capsys, *words):
    cli.main(args=[str(word) for word in words], standalone_mode=False)
    return capsys.readouterr().out


def test_measures_of_images_are_taken_as_of_a_run(tmp_path, capsys):
    """By hand from features; a folder of the run's own training images lies nearer to them than one of digits does."""
    table = tmp_path / "mine.yaml"
    table.write_text(TABLE)
    train = training_images(DataSpec(name="shapes", resolution=32, shots=16), 0).images
    digits = imageset.load("digits", 32).train[:24]
    for name, images in (("copies", np.concatenate([train, train])[:24]), ("digits", digits)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number:03}.png")
    words = ("evaluate", "--table", table, "--column", "one", "--json", "--measures")
    nearest, copying = "nearest:effnet_lite0@32:samples=12:trials=2", "data-copying:effnet_lite0@32:images=24:trials=1"
    copying += ":cells=1:pca=4"
    scores = {
        name: json.loads(call(capsys, *words, f"{nearest},{copying}", "--images", tmp_path / name))["scores"]
        for name in ("copies", "digits")
    }
    extract = features.load("effnet_lite0@32")
    real, made = extract(train), extract(digits)
    expected = np.linalg.norm(made[:, None] - real[None], axis=2).min(1).mean()
    assert scores["digits"][0]["value"] == pytest.approx(float(expected), rel=1e-4)
    assert scores["copies"][0]["value"] < 0.01 * scores["digits"][0]["value"]
    assert [one["metric"] for one in scores["copies"]] == ["nearest_distance", "ct"]
    assert scores["copies"][1]["value"] < scores["digits"][1]["value"], "copies are nearer than test images"
    assert not scores["copies"][0]["fewer_than_protocol"] and scores["copies"][0]["n_generated"] == 24
    for text, why in (
        ("nearest:samples=12:trials=3", "measure 'nearest' looks at 36 images, and there are 24"),
        ("nearest:sample=3", "measure 'nearest': sample"),
        ("data-copying", "measure 'data-copying': extractor"),
    ):
        with pytest.raises(UserError, match=why):
            call(capsys, *words, text, "--images", tmp_path / "digits")
