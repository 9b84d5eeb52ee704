"""ImageNet-128 from its owner's archives as they come: the set of sorted folders, and archives that do not fit."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data import building
from bench.data.built_set import ImageSet
from bench.data.catalogue import read_catalogue
from bench.data.known import datasets
from bench.errors import UserError
from publishers.drawn import number_of
from publishers.lists import RELEASES, SYNSETS, TRUTH, imagenet_archives, meta_mat
from publishers.release import write_tar

NAME, DEVKIT = "imagenet-128", "ILSVRC2012_devkit_t12"
TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _build(path: Path, jobs: int = 1) -> ImageSet:
    entry = read_catalogue()[NAME]
    datasets().add(NAME, f"catalogue:{NAME}", entry.summary, entry.reduced(61, 24))
    return building.build(NAME, 16, path, jobs=jobs, force=True)


def _arrays(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "data" / f"{NAME}-16").glob("*.npy")}


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")


def test_the_archives_build_twice_the_same_with_their_classes_and_splits(tmp_path: Path, cache: Path) -> None:
    contents = []
    for turn, jobs in (("once", 1), ("again", 2)):
        built = _build(imagenet_archives(tmp_path / turn), jobs)
        contents.append(_arrays(cache))
        assert (len(built.train), len(built.test), built.class_names) == (61, 24, SYNSETS)
        for images, labels, numbers in (
            (built.train, built.train_labels, range(61)),
            (built.test, built.test_labels, range(61, 85)),
        ):
            assert labels is not None and sorted(map(number_of, images)) == list(numbers)
            assert [int(label) for label in labels] == [number_of(image) % 3 for image in images]
    assert contents[0] == contents[1] and {"train.npy", "test_labels.npy"} <= contents[0].keys()
    assert built.notes["files found"] == 61 + 24 + 4 and built.notes["left out"] == "left out: 4 side files and others"
    assert not list((tmp_path / "once").rglob("*.JPEG"))  # nothing is unpacked beside them


def test_the_devkit_may_be_unpacked_and_each_archive_too(tmp_path: Path, cache: Path) -> None:
    root = imagenet_archives(tmp_path)
    _build(root)
    packed = _arrays(cache)
    _unpack(root / f"{DEVKIT}.tar.gz", root)  # the archive stays beside it, as torchvision leaves it
    (root / DEVKIT / "data" / "meta.mat").write_bytes(meta_mat(packed=False))
    _build(root)
    assert _arrays(cache) == packed
    _unpack(root / VAL, root / "val")
    _unpack(root / TRAIN, root / "train")
    for synset in SYNSETS:
        _unpack(root / "train" / f"{synset}.tar", root / "train" / synset)
        (root / "train" / f"{synset}.tar").unlink()
    built = _build(root)
    assert _arrays(cache) == packed and built.notes["files found"] == 61 + 24 + 4 + 3
    shutil.rmtree(root / "train")
    _build(root)
    assert _arrays(cache) == packed


def _header_altered(tar: bytes) -> bytes:
    at = tar.index(b"n01443537_4.JPEG")
    return tar[:at] + b"x" + tar[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_header_altered, r"n01443537\.tar: is damaged, or several archives in one: no member .* at byte 1,536"),
        (lambda tar: tar[:1000], r"n01443537\.tar: is a damaged or unfinished tar archive \(unexpected end of data\)"),
        (lambda tar: b"", r"n01443537\.tar: is a damaged or unfinished tar archive \(empty file\)"),
        (gzip.compress, r"n01443537\.tar: is a damaged or unfinished tar archive"),
    ],
)
def test_a_damaged_inner_tar_is_one_line(
    tmp_path: Path, cache: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    root = imagenet_archives(tmp_path)
    with tarfile.open(root / TRAIN) as archive:
        inner = {name: content.read() for name in archive.getnames() if (content := archive.extractfile(name))}
    inner["n01443537.tar"] = damage(inner["n01443537.tar"])
    write_tar(root / TRAIN, {**inner}, "w")
    with pytest.raises(UserError, match=f"{TRAIN}: {message}") as caught:
        _build(root)
    assert "\n" not in str(caught.value) and not list(cache.rglob("*.npy"))


def test_archives_that_are_cut_off_or_a_kit_that_is_missing_are_one_line(tmp_path: Path, cache: Path) -> None:
    root = imagenet_archives(tmp_path)
    (root / f"{DEVKIT}.tar.gz").rename(tmp_path / "kit")
    with pytest.raises(UserError, match=r"LOC_val_solution.csv is missing, and so is .*ground_truth.txt: .*devkit_t12"):
        _build(root)
    (tmp_path / "kit").rename(root / f"{DEVKIT}.tar.gz")
    for name in (TRAIN, VAL):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=rf"{name}: is a damaged or unfinished tar archive"):
            _build(root)
        (root / name).write_bytes(whole)
    assert not list(cache.rglob("*.npy"))


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (TRUTH[:-2], "ground_truth.txt: gives 23 classes, but there are 24 validation pictures, up to .*00000024.JPEG"),
        (TRUTH + "1\n", "ground_truth.txt: gives 25 classes, but there are 24 validation pictures"),
        ("7\n" + TRUTH[2:], "ground_truth.txt: line 1: '7' is no class of meta.mat"),
        (TRUTH[:-2] + "x\n", "ground_truth.txt: line 24: 'x' is no class of meta.mat"),
        ("1001\n" + TRUTH[2:], "has validation pictures of classes without training pictures: n00001740"),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_one_line(tmp_path: Path, cache: Path, truth: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        _build(imagenet_archives(tmp_path, truth))
    assert "\n" not in str(caught.value) and not list(cache.rglob("*.npy"))


def test_kaggles_release_gives_the_same_classes(tmp_path: Path) -> None:
    built = _build(RELEASES[NAME].write(tmp_path))
    assert built.class_names == SYNSETS and (len(built.train), len(built.test)) == (61, 24)
