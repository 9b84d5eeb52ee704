"""A record says what it was made from: changed inputs are named, nothing old is taken for new, nothing is lost."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import paths
from bench.data import building, imageset
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.plan.inputs import Machine, changed_since, described
from bench.run.execute import run_once
from bench.spec.run import DataSpec, MetricSpec, RunSpec, WeightsFile
from bench.store.checkpoints import write_weights
from bench.store.runs import RunFolder, Store

OWN = DataSpec(name="own", resolution=32, shots=8)


def _know_own() -> None:
    entry = DatasetEntry(
        summary="s", builder="bench.datasets.folder:build", licence="mine", source="here", embedded=False,
        train=24, test=24,
    )  # fmt: skip
    datasets().add("own", "catalogue:own", "s", entry)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder of 60 pictures, built as the data set `own`, with the set `shapes` in one cache."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        datasets.cache_clear()
        _know_own()
        _build(folder, seed=0)
        imageset.load("shapes", 32)
        datasets.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def own_set(built, tmp_path, monkeypatch, fresh_registries):
    """Copies of both for this test alone, in whose cache it may change them."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    _know_own()


def _build(root: Path, seed: int) -> None:
    folder = root / f"pictures-{seed}"
    folder.mkdir()
    stream = np.random.default_rng(seed)
    for number in range(60):
        pixels = stream.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    building.build("own", 32, source=folder, force=True)


def _begun(spec, store: Store, steps: int | None = None) -> RunFolder:
    """The run trained to its end, or stopped after `steps` with a checkpoint."""
    folder = store.open(spec)
    reached: list[int] = []
    outcome = run_once(
        spec.uid,
        store.root,
        should_stop=lambda: steps is not None and len(reached) >= steps,
        on_step=lambda step, _: reached.append(step),
    )
    assert outcome == ("done" if steps is None else "stopped"), folder.error()
    return folder


def _changes(folder: RunFolder) -> list[str]:
    return Machine(Store(folder.path.parent)).changes(folder)


@pytest.mark.parametrize("steps", [None, 2], ids=["between runs", "during an interruption"])
def test_other_pictures_under_the_same_name(tmp_path, tiny_spec, store_root, steps):
    store = Store(store_root)
    folder = _begun(tiny_spec(data=OWN), store, steps)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert _changes(folder) == []
    _build(tmp_path, seed=1)
    assert _changes(folder) == ["data set own at 32 px (train images, test images)"]
    assert Machine(store).status(folder) == "stale"
    if steps:
        assert run_once(folder.uid, store.root) == "stale"
        assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    aside = store.set_aside(folder.uid, "stale")
    assert (aside / "inputs.json").exists()
    assert Machine(store).status(_begun(tiny_spec(data=OWN), store)) == "done"


def test_a_rebuild_of_the_same_pictures_makes_nothing_stale(tmp_path, tiny_spec, store_root):
    folder = _begun(tiny_spec(data=OWN), Store(store_root))
    building.build("own", 32, source=tmp_path / "pictures-0", force=True)
    assert _changes(folder) == []


def test_an_array_overwritten_in_place_is_seen_without_its_record(tiny_spec, store_root):
    folder = _begun(tiny_spec(data=OWN), Store(store_root))
    path = paths.cache_root() / "data" / "own-32" / "test.npy"
    np.save(path, np.load(path)[::-1])
    assert _changes(folder) == ["data set own at 32 px (test images)"]


WHEN = pytest.mark.parametrize("steps", [None, 2], ids=["between runs", "during an interruption"])


@WHEN
def test_labels_that_change_or_disappear(tiny_spec, store_root, steps):
    store = Store(store_root)
    spec = tiny_spec("class-conditional", data=DataSpec(name="shapes", resolution=32, shots=8))
    folder = _begun(spec, store, steps)
    file = paths.cache_root() / "data" / "shapes-32" / "train_labels.npy"
    labels = np.load(file)
    np.save(file, (labels + 1) % (labels.max() + 1))
    assert _changes(folder) == ["data set shapes at 32 px (train labels)"]
    if steps:
        assert run_once(folder.uid, store.root) == "stale"
    np.save(file, labels)
    assert _changes(folder) == []
    record = folder.inputs()
    folder.write_inputs({**record, "read": {**record["read"], "data/shapes-32/train_labels.npy": "absent"}})
    assert _changes(folder) == ["data set shapes at 32 px (train labels)"]  # a set that had none then


def _with_source_file(tiny_spec, store: Store):
    """A fine-tuned run that starts from the user's file weights/mine.pt, written from a source run."""
    spec = tiny_spec("transfergan + disp(prior_size=32)", data=OWN)
    source = spec.sources["network"]
    _begun(source, store)
    paths.weights_root().mkdir(parents=True, exist_ok=True)
    file = paths.weights_root() / "mine.pt"
    state = torch.load(store.folder(source.uid).final_weights, weights_only=True)
    write_weights(file, state)
    return spec.model_copy(update={"sources": {"network": WeightsFile(weights="mine")}}), file, state


@WHEN
def test_a_replaced_source_weights_file(tiny_spec, store_root, steps):
    store = Store(store_root)
    spec, file, state = _with_source_file(tiny_spec, store)
    folder = _begun(spec, store, steps)
    name = next(name for name, value in state["ema"].items() if value.is_floating_point())
    state["ema"][name] = state["ema"][name] + 1
    write_weights(file, state)
    assert _changes(folder) == ["weights mine"]
    if steps:
        assert run_once(folder.uid, store.root) == "stale"


def test_a_stale_source_run_makes_its_dependants_stale(tiny_spec, store_root):
    store = Store(store_root)
    spec = tiny_spec("transfergan + disp(prior_size=32)", data=OWN)
    source = spec.sources["network"]
    _begun(source, store)
    folder = _begun(spec, store)
    other = store.open(tiny_spec("transfergan + disp(prior_size=32)", data=OWN, seed=1))
    train = paths.cache_root() / "data" / "shapes-32" / "train.npy"
    np.save(train, np.load(train)[::-1])
    assert _changes(folder) == [f"its source {source.uid} is stale"]
    assert run_once(other.uid, store.root) == "stale"  # has not begun, and does not begin from a stale source
    assert other.status() == "planned"
    store.set_aside(source.uid, "stale")
    store.open(source)
    assert _changes(folder) == [f"its source run {source.uid}"]  # which is being trained anew
    assert run_once(source.uid, store.root) == "done"
    assert _changes(folder) == [f"its source run {source.uid}"]  # other weights
    assert run_once(other.uid, store.root) == "done"


@WHEN
def test_a_replaced_extractor_of_the_protocol(tmp_path, tiny_spec, store_root, monkeypatch, steps):
    """ResNet-50 is the user's file: its scores are of that file."""
    from torchvision.models import resnet50

    file, store = tmp_path / "resnet50.pth", Store(store_root)
    monkeypatch.setenv("BENCH_RESNET50", str(file))
    torch.save(resnet50(weights=None).state_dict(), file)
    protocol = tiny_spec(scored=True).protocol.model_copy(
        update={"metrics": (MetricSpec(name="fd", extractor="resnet50@32"),), "every": 2}
    )
    spec = RunSpec.model_validate({**tiny_spec(data=OWN).model_dump(), "protocol": protocol})
    folder = _begun(spec, store, steps)
    digest = folder.inputs()["read"]["extractor/resnet50"]
    assert {line["extractor_sha256"] for line in folder.metrics()} == {digest}
    assert all(math.isfinite(line["value"]) for line in folder.metrics())
    torch.save(resnet50(weights=None).state_dict(), file)
    assert _changes(folder) == ["weights of the extractor resnet50"]
    assert described(changed_since({"extractor/resnet50": digest}, store)) == _changes(folder)  # a job says
    if steps:
        assert run_once(folder.uid, store.root) == "stale"


def test_what_a_method_reads_besides_is_recorded(tiny_spec, store_root):
    """The prior and the perceptual loss of GLANN are no part of the protocol."""
    folder = _begun(tiny_spec("disp(prior=alexnet, prior_size=64)", data=OWN), Store(store_root))
    assert "extractor/alexnet" in folder.inputs()["read"]
    spec = tiny_spec("glann(prior=alexnet, prior_size=64)")
    _begun(spec.sources["network"], Store(store_root))
    folder = _begun(spec, Store(store_root))
    assert {"extractor/alexnet", "extractor/vgg16"} <= folder.inputs()["read"].keys()


def test_code_of_ours_that_changed_under_its_version_is_shown(tiny_spec, store_root):
    store = Store(store_root)
    folder = _begun(tiny_spec(data=OWN), store)
    assert Machine(store).edited(folder) == []
    record = folder.inputs()
    for name in ("part/baseline", "network/sngan-32"):
        record["sources"][name]["digests"] = ["0123456789abcdef"]
    folder.write_inputs(record)
    assert Machine(store).edited(folder) == ["network sngan-32", "part baseline, still version 1"]
    assert Machine(store).status(folder) == "done"


def test_a_run_from_before_inputs_were_recorded(tmp_path, tiny_spec, store_root):
    store = Store(store_root)
    folder = _begun(tiny_spec(data=OWN), store, steps=2)
    (folder.path / "inputs.json").unlink()
    assert run_once(folder.uid, store.root) == "done"  # as ever: nobody knows what it was made from
    assert folder.inputs()["whole"] is False
    _build(tmp_path, seed=1)
    assert Machine(store).status(folder) == "stale"


def test_inputs_that_are_not_here_are_not_judged(tiny_spec, store_root, tmp_path, monkeypatch):
    folder = _begun(tiny_spec(data=OWN), Store(store_root))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "elsewhere"))
    assert _changes(folder) == []


def test_several_starts_keep_what_each_was_made_with(tiny_spec, store_root, monkeypatch):
    store = Store(store_root)
    spec = tiny_spec(data=OWN)
    folder = _begun(spec, store, steps=2)
    monkeypatch.setattr("bench.run.execute.commit", lambda: "another")
    assert run_once(folder.uid, store.root) == "done"
    starts = folder.inputs()["starts"]
    assert len(starts) == 2 and starts[1]["commit"] == "another"
    assert starts[0]["packages"]["torch"] == starts[1]["packages"]["torch"]
