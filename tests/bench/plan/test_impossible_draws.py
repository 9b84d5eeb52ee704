"""Impossible draws and references: plan, run and submit name file, line, key and numbers before anything starts."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.builder import Order, Splits
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.plan.load import load_table
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.store.runs import Store

TABLE = """\
title: mine
seeds: 2
snapshot: final
metrics: [fd, density]
references: [floor, memorised]
rows: [{id: scratch, label: Scratch, method: baseline}]
columns: [{id: one, label: One}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8}}
    train: {steps: 6, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol:
      name: tiny
      version: 1
      every: 6
      reference_split: SPLIT
      metrics: [{name: fd, extractor: effnet_lite0@32}, {name: density, extractor: effnet_lite0@32, k: 5}]
    columns:
      one:
        generated: 24
        reference: COUNT
        data: {name: SET, resolution: 32, FIELDS}
"""
COLUMN = "scales.smoke.columns.one"
SHAPES = "data set 'shapes' at 32 px"
CASES = [
    ("shots: 900", "test", 24, 22,
     f"{COLUMN}.data.shots: 900 shots, but {SHAPES} has 256 training images"),
    ("shots: 250, holdout: 0.1", "test", 24, 22,
     f"{COLUMN}.data.shots: 250 shots, but {SHAPES} has 256 training images, of which a holdout of 0.1 "
     "leaves 230"),
    ("share: 0.001", "test", 24, 22,
     f"{COLUMN}.data.share: a share of 0.001 is no image: {SHAPES} has 256"),
    ("holdout: 0.001", "test", 24, 22,
     f"{COLUMN}.data.holdout: a holdout of 0.001 is none of them: {SHAPES}"),
    ("shots: 3, balanced: true", "test", 24, 22,
     f"{COLUMN}.data.balanced: 3 images cannot be balanced over the 4 classes of {SHAPES}"),
    ("shots: 16", "training-images", 24, 21,
     f"{COLUMN}.reference: 24 reference images, but a run on {SHAPES} has 16 training images"),
    ("share: 0.05", "training-images", 24, 21,
     f"{COLUMN}.reference: 24 reference images, but a run on {SHAPES} has 13 training images"),
    ("shots: 16, holdout: 0.1", "train-pool", 240, 21,
     f"{COLUMN}.reference: 240 reference images, but the train pool of {SHAPES} has 230 images"),
    ("shots: 16", "all", 513, 21,
     f"{COLUMN}.reference: 513 reference images, but {SHAPES} has 512 images in both splits"),
    ("shots: 5", "training-images", 5, 17,
     "scales.smoke.protocol.metrics.1.k: density wants neighbour 5 of 5 reference images; k must be below 5"),
    ("shots: 9, share: 0.5", "test", 24, 22, f"{COLUMN}.data: shots is 9 and share is 0.5; leave one of them out"),
    ("shots: 9, corrupt_labels: true", "test", 24, 22, f"{COLUMN}.data.corrupt_labels: true is no number; leave"),
    ("shots: yes", "test", 24, 22, f"{COLUMN}.data.shots: true is no number"),
    ("shots: 9, balanced: true, labels: none", "test", 24, 22,
     f"{COLUMN}.data: labels is none, but balanced needs labels"),
]  # fmt: skip


def table(fields, split="test", count=24, name="shapes"):
    values = {"SPLIT": split, "COUNT": str(count), "SET": name, "FIELDS": fields}
    text = TABLE
    for word, value in values.items():
        text = text.replace(word, value)
    return text


@pytest.mark.parametrize(
    ("fields", "split", "count", "line", "says"), CASES, ids=[f"{case[0]}, {case[1]}" for case in CASES]
)
def test_plan_names_file_line_key_and_numbers(bench_command, tmp_path, fields, split, count, line, says):
    path = tmp_path / "mine.yaml"
    path.write_text(table(fields, split, count))
    done = bench_command("plan", str(path))
    assert done.returncode == 2, done.stdout
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"bench: error: {path}:{line}: {says}")


@pytest.mark.parametrize(
    ("fields", "split", "count"),
    [
        ("shots: 230, holdout: 0.1", "test", 256),
        ("shots: 16", "training-images", 16),
        ("holdout: 0.1", "train-pool", 230),
        ("shots: 16", "all", 512),
        ("share: 0.5, balanced: true, draw: fixed, corrupt_labels: 0.1", "training-images", 128),
    ],
)
def test_what_is_just_possible_is_planned(tmp_path, store_root, fields, split, count):
    path = tmp_path / "mine.yaml"
    path.write_text(table(fields, split, count))
    made = make_plan(load_table(str(path)), "smoke", Store(store_root))
    assert problems(made) == []
    points = {cell.row for run in made.runs for cell in run.cells}
    assert points == {"scratch", "memorised", *([] if split == "all" else ["floor"])}


def test_run_and_submit_refuse_before_anything_starts(bench_command, tmp_path, store_root):
    path = tmp_path / "mine.yaml"
    path.write_text(table("shots: 16", "training-images"))
    for words in (["run"], ["submit", "--profile", "test-node"]):
        done = bench_command(words[0], str(path), *words[1:])
        assert done.returncode == 2 and f"{path}:21: {COLUMN}.reference: 24 reference images" in done.stderr
        assert not store_root.exists()
    setting = "protocol.reference_split=training-images"
    path.write_text(table("shots: 16"))
    done = bench_command("run", str(path), "--set", setting)
    assert done.returncode == 2 and "24 reference images, but a run on data set 'shapes'" in done.stderr


def test_labels_that_a_set_lacks(tmp_path, store_root, monkeypatch, fresh_registries):
    """An embedded set is built to know; classes too small for a balanced draw are named."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.yaml"

    def found(name, fields, method="baseline"):
        path.write_text(table(fields, name=name).replace("method: baseline", f"method: {method}"))
        made = make_plan(load_table(str(path)), "smoke", Store(store_root))
        return [(".".join(map(str, problem.keys[4:])), problem.text) for problem in problems(made)]

    for name, classes in (("bare", 0), ("plain", 1), ("rare", 2)):
        entry = DatasetEntry(
            summary="s", builder=f"{__name__}:build", licence="MIT", source="x", train=40, test=30,
            options={"classes": classes},
        )  # fmt: skip
        datasets().add(name, f"catalogue:{name}", "s", entry)
    assert found("bare", "shots: 8, balanced: true") == [
        ("data.balanced", "data set 'bare' at 32 px has no class labels")
    ]
    assert found("bare", "corrupt_labels: 0.5") == [
        ("data.corrupt_labels", "data set 'bare' at 32 px has no class labels")
    ]
    assert found("plain", "corrupt_labels: 0.5") == [
        ("data.corrupt_labels", "data set 'plain' at 32 px has one class: no label of it can be wrong")
    ]
    assert found("rare", "shots: 30, balanced: true") == [
        ("data.balanced", "30 images cannot be balanced: class '1' has only 4 images in the train pool of data set "
         "'rare' at 32 px")
    ]  # fmt: skip
    assert found("rare", "shots: 8, balanced: true") == []
    # A method that cannot do without classes
    assert found("rare", "shots: 8", "class-conditional") == []
    assert found("bare", "shots: 8", "class-conditional") == [
        ("data", "method 'class-conditional' needs class labels, data set 'bare' has none")
    ]
    assert found("rare", "shots: 8, labels: none", "class-conditional") == [
        ("data.labels", "method 'class-conditional' needs class labels; leave out labels: none")
    ]
    # or, with one of its settings, without attributes
    assert found("bare", "shots: 8", "classifier(target=attributes)") == [
        ("data", "method 'classifier' needs attributes, data set 'bare' has none")
    ]


def build(order: Order) -> Splits:
    """40 + 30 pictures; the last of the classes has 4 training images."""
    classes = order.entry.options["classes"]
    images = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    labels = np.zeros(70, np.int64)
    labels[:4] = max(classes - 1, 0)
    return Splits(
        train=images[:40],
        test=images[40:],
        licence_text="MIT",
        train_labels=labels[:40] if classes else None,
        test_labels=labels[40:] if classes else None,
        class_names=tuple(map(str, range(classes))),
    )


def test_a_set_that_is_its_own_reference(tmp_path, store_root, monkeypatch, fresh_registries):
    """`reference: all` of a set: no floor where all of it is trained on, one where a draw leaves images; no `all`."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    entry = DatasetEntry(
        summary="s", builder=f"{__name__}:build", licence="MIT", source="x", train=40, test=40,
        options={"classes": 0, "reference": "all"},
    )  # fmt: skip
    datasets().add("whole", "catalogue:whole", "s", entry)
    path = tmp_path / "mine.yaml"

    def planned(fields, split):
        path.write_text(table(fields, split, 8, "whole"))
        made = make_plan(load_table(str(path)), "smoke", Store(store_root))
        points = {cell.row for run in made.runs for cell in run.cells} - {"scratch"}
        return points, [(problem.keys[2:], problem.text) for problem in problems(made)]

    assert planned("shots: 8", "test") == ({"floor", "memorised"}, [])
    assert planned("shots: 8", "training-images") == ({"floor", "memorised"}, [])
    assert planned("", "training-images") == ({"memorised"}, [])
    assert planned("shots: 40", "training-images") == ({"memorised"}, []), "a draw of all there is leaves nothing out"
    assert planned("shots: 8", "train-pool") == ({"memorised"}, [])
    keys = ("protocol", "reference_split")
    text = "data set 'whole' has its training images in its test split already; leave this out"
    assert planned("shots: 8", "all") == ({"memorised"}, [(keys, text)])


@pytest.mark.parametrize("key", ["balanced: true", "corrupt_labels: 0.5"])
def test_a_plan_builds_no_set_to_know_its_labels(bench_command, tmp_path, monkeypatch, key):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path, name = tmp_path / "mine.yaml", key.partition(":")[0]
    path.write_text(table(f"shots: 3, {key}"))
    done = bench_command("plan", str(path))
    assert done.returncode == 0 and not (tmp_path / "cache").exists()
    assert (
        f"missing: {SHAPES} is not built; run `bench data build shapes --resolution 32` to know whether {name} fits "
        "its labels\n" in done.stdout
    )
    # Once it is there, the plan knows; who runs it builds it, and knows too.
    assert bench_command("data", "build", "shapes").returncode == 0
    done = bench_command("plan", str(path))
    assert "missing:" not in done.stdout and done.returncode == (2 if name == "balanced" else 0)


def test_a_run_builds_the_set_and_refuses(bench_command, tmp_path, monkeypatch, store_root):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "mine.yaml"
    path.write_text(table("shots: 3, balanced: true"))
    done = bench_command("run", str(path))
    assert done.returncode == 2 and "3 images cannot be balanced over the 4 classes" in done.stderr
    assert not store_root.exists()


def test_a_bound_of_the_features_that_is_none_is_refused_before_anything_starts(bench_command, tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text(table("shots: 16"))
    monkeypatch.setenv("BENCH_FEATURES_GB", "lots")
    for verb in ("plan", "run"):
        done = bench_command(verb, str(path))
        assert done.returncode == 2 and "BENCH_FEATURES_GB=lots: is no number of gigabytes" in done.stderr
