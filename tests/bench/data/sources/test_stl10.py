"""STL-10's binary files, in a folder and in the archive, in their publisher's bytes; damaged ones."""

from __future__ import annotations

import io
import multiprocessing
import tarfile

import numpy as np
import pytest

from bench.data.sources.source import BadItemError
from bench.data.sources.stl10 import Stl10Source, is_stl10
from bench.errors import UserError
from corrupted_bytes import corruptions, truncations

CLASSES = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
COUNTS = {"train": 5, "test": 4, "unlabeled": 7}


def pictures(part):
    return np.random.default_rng(COUNTS[part]).integers(0, 256, (COUNTS[part], 96, 96, 3), np.uint8)


def planes(images):
    """Each colour's columns one after the other, written as the publisher's page describes: no numpy transposition."""
    return bytes(
        image[row, column, colour]
        for image in images
        for colour in range(3)
        for column in range(96)
        for row in range(96)
    )


@pytest.fixture(scope="module")
def files():
    found = {f"{part}_X.bin": planes(pictures(part)) for part in COUNTS}
    found |= {"train_y.bin": bytes([1, 10, 3, 3, 2]), "test_y.bin": bytes([5, 4, 3, 2])}
    return {**found, "class_names.txt": ("\n".join(CLASSES) + "\n").encode(), "fold_indices.txt": b"0 1 2\n"}


def folder(path, files):
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"stl10_binary/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def opened(path, scratch):
    source = Stl10Source(path)
    source.scratch = scratch
    return source


def told(source):
    with pytest.raises(UserError) as caught:
        list(source.items())
    message = str(caught.value)
    assert "\n" not in message and str(source.path) in message
    return message


@pytest.mark.parametrize("packed", [False, True])
def test_every_picture_reads_back_equal_with_class_and_split(tmp_path, files, packed):
    path = tar(tmp_path / "stl10_binary.tar.gz", files) if packed else folder(tmp_path / "set", files)
    source = opened(path, tmp_path)
    items = list(source.items())
    assert [item.name for item in items] == sorted(item.name for item in items) and len(items) == 16
    for item in items:
        part, _, place = item.name.partition("#")
        assert np.array_equal(source.read(item.name), pictures(part)[int(place)])
        assert item.split == (None if part == "unlabeled" else part)
    assert [item.label for item in items] == [
        *("deer", "cat", "car", "bird"),
        *("airplane", "truck", "car", "car", "bird"),
        *[None] * 7,
    ]
    assert source.left_out == {"other files": 1}  # fold_indices.txt


def test_what_is_missing_or_not_its_labels_is_named(tmp_path, files):
    for name in files.keys() - {"fold_indices.txt"}:
        path = folder(tmp_path / name, {key: value for key, value in files.items() if key != name})
        assert f"{name} missing" in told(opened(path, tmp_path))
    for name, content, reason in (
        ("train_y.bin", bytes([1, 2, 3, 4]), "4 labels for 5 pictures"),
        ("train_y.bin", bytes([0, 2, 3, 4, 5]), "not 1 to 10"),
        ("train_y.bin", bytes([1, 2, 3, 4, 11]), "not 1 to 10"),
        ("class_names.txt", b"a\nb\na\n", "each class once"),
        ("class_names.txt", b"\n", "each class once"),
        ("class_names.txt", b"a\n" * 2**16, "each class once"),
        ("train_X.bin", files["train_X.bin"][:-1], "no whole number of pictures"),
    ):
        assert reason in told(opened(folder(tmp_path / "set", {**files, name: content}), tmp_path))


def test_damage_is_an_error_or_other_values(tmp_path, files):
    path, refused = folder(tmp_path / "set", files), 0
    for name in ("test_X.bin", "test_y.bin", "class_names.txt"):
        for copy in (*truncations(files[name], 40), *corruptions(files[name], 70)):
            (path / name).write_bytes(copy)
            source = opened(path, tmp_path)
            try:
                items = list(source.items())
            except UserError:
                refused += 1
            else:
                assert all(source.read(item.name).shape == (96, 96, 3) for item in items[:3])
        (path / name).write_bytes(files[name])
    assert refused > 100


def test_damaged_archives_are_refused(tmp_path, files):
    whole = {**files, "unlabeled_X.bin": b""}
    data = tar(tmp_path / "whole.tar.gz", whole).read_bytes()
    assert {item.split for item in opened(tmp_path / "whole.tar.gz", tmp_path).items()} == {"test", "train"}
    for number, copy in enumerate((*truncations(data, 15), *corruptions(data, 30, head=100))):
        scratch = folder(tmp_path / f"scratch{number}", {})
        path = tmp_path / "set.tar.gz"
        path.write_bytes(copy)
        is_stl10(path, copy[:1024])  # never raises
        try:
            assert len(list(opened(path, scratch).items())) == 9
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_it_is_known_by_its_files(tmp_path, files):
    assert is_stl10(folder(tmp_path / "set", files), b"") and is_stl10(tmp_path, b"")
    path = tar(tmp_path / "stl10_binary.tar.gz", files)
    assert is_stl10(path, path.read_bytes()[:1024])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "picture.png").write_bytes(b"")
    assert not is_stl10(tmp_path / "other", b"")


def test_a_file_that_became_shorter_is_a_bad_item(tmp_path, files):
    source = opened(folder(tmp_path / "set", files), tmp_path)
    list(source.items())
    (source.path / "test_X.bin").write_bytes(files["test_X.bin"][:30_000])
    source.read("test#00000000", most=27_648)
    with pytest.raises(BadItemError, match="cannot be read"):
        source.read("test#00000003")
    with pytest.raises(BadItemError, match="27,648 bytes"):
        source.read("test#00000000", most=27_647)


def test_other_processes_read_from_it(tmp_path, files):
    source = opened(tar(tmp_path / "stl10_binary.tar.gz", files), tmp_path)
    names = [item.name for item in source.items()]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        read = pool.map(source.read, names, chunksize=5)
    assert np.array_equal(np.stack(read), np.concatenate([pictures(part) for part in sorted(COUNTS)]))
