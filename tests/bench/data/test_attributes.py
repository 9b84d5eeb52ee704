"""Attributes of a built set: stored beside the labels, checked, and absent from a set that has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.data import building, imageset, verification
from bench.data import meta as meta_file
from bench.data.builder import Order, Splits
from bench.data.catalogue import DatasetEntry
from bench.data.draws import training_images
from bench.data.known import datasets
from bench.errors import UserError
from bench.plan.inputs import Machine
from bench.run.build import build_context
from bench.run.execute import run_once
from bench.store.runs import Store

NAMES = ("hat", "kind of nose")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def faces(order: Order) -> Splits:
    """12 training and 6 test images of one grey each, no two alike, with whatever the entry's options say."""
    images = np.arange(18, dtype=np.uint8)[:, None, None, None] * np.ones((1, order.resolution, order.resolution, 3))
    attributes = np.stack([np.arange(18) % 2, np.arange(18) % 5], axis=1).astype(np.uint8)
    splits: dict[str, Any] = {
        "train_attributes": attributes[:12],
        "test_attributes": attributes[12:],
        "attribute_names": NAMES,
        **CHANGES.get(order.entry.options.get("change", ""), {}),
    }
    splits = {} if order.entry.options.get("change") == "none at all" else splits
    return Splits(images[:12].astype(np.uint8), images[12:].astype(np.uint8), licence_text="MIT", **splits)


CHANGES: dict[str, dict[str, Any]] = {
    "no test attributes": {"test_attributes": None},
    "no names": {"attribute_names": ()},
    "too few names": {"attribute_names": ("hat",)},
    "a name twice": {"attribute_names": ("hat", "hat")},
    "other numbers": {"train_attributes": np.zeros((12, 2), np.int64)},
    "too few rows": {"train_attributes": np.zeros((11, 2), np.uint8)},
}


def _register(name: str = "faces", **options: str) -> None:
    entry = DatasetEntry(
        summary="s", builder=f"{__name__}:faces", licence="MIT", source="x", train=12, test=6, options=options
    )
    datasets().add(name, f"catalogue:{name}", "s", entry)


def test_attributes_are_stored_opened_and_verified(cache: Path) -> None:
    _register()
    built = imageset.load("faces", 8)
    assert built.attribute_names == NAMES
    assert built.train_attributes is not None and built.test_attributes is not None
    assert built.train_attributes.dtype == np.uint8 and not built.train_attributes.flags.writeable
    assert built.train_attributes[:4].tolist() == [[0, 0], [1, 1], [0, 2], [1, 3]]
    assert built.test_attributes.tolist() == [[0, 2], [1, 3], [0, 4], [1, 0], [0, 1], [1, 2]]
    files = {line.subject for line in verification.verify("faces", 8)}
    assert files == {"train.npy", "test.npy", "train_attributes.npy", "test_attributes.npy", "whole set"}

    folder = cache / "data" / "faces-8"
    np.save(folder / "train_attributes.npy", 1 - np.asarray(built.train_attributes))
    with pytest.raises(UserError, match="train_attributes.npy: its content is not what was built"):
        verification.verify("faces", 8)


def test_a_set_without_attributes_is_what_it_was(cache: Path) -> None:
    _register(change="none at all")
    built = imageset.load("faces", 8)
    assert built.train_attributes is None and built.test_attributes is None and built.attribute_names == ()
    meta = json.loads((cache / "data" / "faces-8" / "meta.json").read_text())
    assert "attribute_names" not in meta and set(meta["files"]) == {"train.npy", "test.npy"}
    assert meta["sha256"] == meta_file.set_hash({file: meta["files"][file] for file in ("train.npy", "test.npy")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no test attributes", "names attributes, but its test images have none"),
        ("no names", r"the train attributes are uint8 \(12, 2\), not uint8 \(12, 0\)"),
        ("too few names", r"the train attributes are uint8 \(12, 2\), not uint8 \(12, 1\)"),
        ("a name twice", "its attribute names are not all different"),
        ("other numbers", r"the train attributes are int64 \(12, 2\), not uint8 \(12, 2\)"),
        ("too few rows", r"the train attributes are uint8 \(11, 2\), not uint8 \(12, 2\)"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(cache: Path, change: str, message: str) -> None:
    _register(change=change)
    with pytest.raises(UserError, match=message):
        building.build("faces", 8)
    assert list((cache / "data").iterdir()) == []


def test_a_run_is_stale_once_attributes_change(cache: Path, tiny_spec: Callable[..., Any], store_root: Path) -> None:
    _register()
    spec = tiny_spec().model_copy(update={"data": tiny_spec().data.model_copy(update={"name": "faces", "shots": 8})})
    store = Store(store_root)
    folder = store.open(spec)
    assert run_once(spec.uid, store.root) == "done"
    assert Machine(store).changes(folder) == []
    file = cache / "data" / "faces-32" / "test_attributes.npy"
    np.save(file, 1 - np.load(file) % 2)
    assert Machine(store).changes(folder) == ["data set faces at 32 px (test attributes)"]


HALF = """
import numpy as np
from bench.train import Method

class Half(Method):
    version = 1
    def select(self, ctx):
        assert ctx.attribute_names == ("hat", "kind of nose")
        return np.flatnonzero(ctx.attributes_NA[:, 0] == 1)
"""


def test_methods_find_the_attributes_of_their_images(
    tiny_spec: Callable[..., Any], load_plugin: Callable[..., Any], store_root: Path
) -> None:
    load_plugin(HALF)
    _register()
    for expression in ("baseline", "half + baseline"):
        plain = tiny_spec(expression)
        spec = plain.model_copy(update={"data": plain.data.model_copy(update={"name": "faces", "shots": 8})})
        ctx, _ = build_context(spec, Store(store_root), torch.device("cpu"))
        number_N = ctx.images_u8_NHWC[:, 0, 0, 0].astype(int)  # the grey of an image is its number
        assert ctx.attributes_NA is not None
        assert ctx.attributes_NA.tolist() == [[number % 2, number % 5] for number in number_N]
        assert len(number_N) == 8 if expression == "baseline" else set(number_N % 2) == {1}
    bare = spec.model_copy(update={"data": spec.data.model_copy(update={"labels": "none"})})
    assert training_images(bare.data, 0).attributes is None
