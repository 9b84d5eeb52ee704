"""Every published set builds from a small release in its publisher's real arrangement, twice to the same bytes."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data import building
from bench.data.built_set import ImageSet
from bench.data.catalogue import read_catalogue
from bench.data.known import datasets
from bench.errors import UserError
from publishers import batches, folders, lists
from publishers.drawn import number_of
from publishers.release import Release

RELEASES: dict[str, Release] = {**batches.RELEASES, **folders.RELEASES, **lists.RELEASES}
PUBLISHED = sorted(name for name, entry in read_catalogue().items() if not entry.embedded)
RESOLUTION = 16


def _built(name: str, path: Path) -> ImageSet:
    """The set from a release of few pictures: the catalogue's entry, its counts reduced."""
    release, entry = RELEASES[name], read_catalogue()[name]
    reduced = entry.reduced(release.train, release.test, **release.options)
    datasets().add(name, f"catalogue:{name}", entry.summary, reduced)
    return building.build(name, RESOLUTION, path, jobs=1)


def test_every_published_set_has_a_release() -> None:
    assert sorted(RELEASES) == PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_built_from_its_publishers_files_twice_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None
) -> None:
    contents = []
    for turn in ("once", "again"):
        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / turn / "cache"))
        built = _built(name, RELEASES[name].write(tmp_path / turn))
        folder = tmp_path / turn / "cache" / "data" / f"{name}-{RESOLUTION}"
        contents.append({path.name: path.read_bytes() for path in folder.glob("*.npy")})
    assert contents[0] == contents[1] and {"train.npy", "test.npy"} <= contents[0].keys()
    _check(RELEASES[name], built)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_release_of_too_few_pictures_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None
) -> None:
    """The entry as it ships asks for all of its pictures."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    path = RELEASES[name].write(tmp_path / "release")
    with pytest.raises(UserError, match="pictures found, .* are needed"):
        building.build(name, RESOLUTION, path, jobs=1)
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_copies_in_a_release_of_a_known_count_are_no_reason_to_refuse_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None
) -> None:
    """All files must be there; that some of them are equal is the publisher's doing."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    entries = read_catalogue()
    assert entries["ffhq"].train + entries["ffhq"].test < entries["ffhq"].options["pictures"] == 70_000
    folder = RELEASES["ffhq"].write(tmp_path / "faces")
    datasets().add("ffhq", "catalogue:ffhq", "s", entries["ffhq"].reduced(33, 6, pictures=40))
    names = sorted(folder.rglob("*.png"))
    names[1].write_bytes(names[0].read_bytes())
    built = building.build("ffhq", RESOLUTION, folder, jobs=1)
    assert (len(built.train), len(built.test)) == (33, 6) and built.notes["left out"] == "left out: 1 copies of another"
    names[2].unlink()
    with pytest.raises(UserError, match="39 pictures found, 40 are needed, all of the release"):
        building.build("ffhq", RESOLUTION, folder, force=True, jobs=1)

    # A class that is its own reference has as many pictures as its publisher says, equal or not.
    release = RELEASES["oxford-passion-flower"].write(tmp_path / "flowers")
    with tarfile.open(release) as archive:
        archive.extractall(tmp_path / "flowers", filter="data")
    release.unlink()
    flowers = sorted((tmp_path / "flowers" / "jpg").iterdir())
    flowers[3].write_bytes(flowers[0].read_bytes())
    built = _built("oxford-passion-flower", tmp_path / "flowers")
    assert len(built.train) == len(built.test) == 20


def test_a_cifar_batch_with_code_in_it_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cifar-10-batches-py"
    with tarfile.open(RELEASES["cifar10"].write(tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    witness = tmp_path / "run"
    (folder / "data_batch_3").write_bytes(pickle.dumps(Code(f"touch {witness}"), protocol=2))
    with pytest.raises(UserError, match="data_batch_3"):
        _built("cifar10", folder)
    assert not witness.exists() and not list((tmp_path / "cache").rglob("*.npy"))


class Code:
    """What runs a command where it is unpickled without restrictions."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def _check(release: Release, built: ImageSet) -> None:
    """Every picture is one of the set's, in its publisher's split, with its class and attributes."""
    assert (len(built.train), len(built.test)) == (release.train, release.test)
    numbers = {split: [number_of(image) for image in getattr(built, split)] for split in ("train", "test")}
    whole = set(numbers["train"]) == set(numbers["test"])
    found = Counter(numbers["train"] + ([] if whole else numbers["test"]))
    assert set(found) <= release.members and set(found.values()) == {1}
    if built.entry.options.get("split") != "per-class":
        assert set(found) == release.members
    assert whole == (built.entry.options.get("reference") == "all")
    for split in ("train", "test"):
        labels, attributes = getattr(built, f"{split}_labels"), getattr(built, f"{split}_attributes")
        assert (labels is None) == (not release.label_of) and (attributes is None) == (not release.attributes_of)
        for place, number in enumerate(numbers[split]):
            assert not release.split_of or release.split_of[number] == split
            assert labels is None or built.class_names[labels[place]] == release.label_of[number]
            assert attributes is None or tuple(attributes[place]) == release.attributes_of[number]
    assert built.attribute_names == release.attribute_names
    if built.entry.options.get("split") == "per-class":
        assert built.train_labels is not None and built.test_labels is not None
        assert set(np.bincount(built.train_labels)) == {release.options["per_class"]}
        assert set(np.bincount(built.test_labels)) == {release.options["test_per_class"]}
