"""Arrays that numpy wrote, read back a picture at a time; arrays that lie, hold objects, or mean nothing plain."""

from __future__ import annotations

import io
import multiprocessing
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest

from bench.data.sources.arrays import NpySource, NpzSource, is_npy
from bench.data.sources.npz import is_npz
from bench.data.sources.source import BadItemError
from bench.errors import UserError


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def npy(folder, array, name="set.npy"):
    np.save(folder / name, array)
    return NpySource(folder / name)


def npz(folder, save=np.savez, **arrays):
    save(folder / "set.npz", **arrays)
    source = NpzSource(folder / "set.npz")
    source.scratch = folder
    return source


def read_all(source):
    return np.stack([source.read(item.name) for item in source.items()])


def told(source):
    with pytest.raises(UserError) as caught:
        list(source.items())
    message = str(caught.value)
    assert "\n" not in message and str(source.path) in message
    return message


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_colour_pictures_read_back_equal_from_npy(tmp_path, version):
    array = pixels(11, 7, 5, 3)
    with (tmp_path / "set.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    source = NpySource(tmp_path / "set.npy")
    assert np.array_equal(read_all(source), array)
    items = list(source.items())
    assert [item.name for item in items][:2] == ["set#00000000", "set#00000001"]
    assert all(item.label is None and item.split is None for item in items)


def test_axes_are_told_apart_by_their_channels(tmp_path):
    grey = pixels(6, 8, 9)
    three = np.repeat(grey[..., None], 3, axis=3)
    assert np.array_equal(read_all(npy(tmp_path, grey)), three)
    assert np.array_equal(read_all(npy(tmp_path, grey[..., None])), three)
    assert np.array_equal(read_all(npy(tmp_path, grey[:, None])), three)
    colour = pixels(6, 8, 9, 3)
    assert np.array_equal(read_all(npy(tmp_path, np.ascontiguousarray(colour.transpose(0, 3, 1, 2)))), colour)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((4, 3, 8, 3), "second or last"),
        ((4, 1, 8, 1), "second or last"),
        ((4, 8, 8, 4), "neither last nor second"),
        ((8, 8, 3), "single picture"),
        ((3, 8, 8), "single picture"),
        ((4, 3072), "none of"),
        ((4, 2, 8, 8, 3), "none of"),
        ((4, 0, 8, 3), "0 x 8 pixels"),
        ((1, 8001, 8001, 3), "8001 x 8001 pixels"),
    ],
)
def test_axes_that_are_not_plain_are_refused(tmp_path, shape, reason):
    message = told(npy(tmp_path, np.zeros(shape, np.uint8)))
    assert reason in message and "(N, H, W, 3)" in message


def test_other_types_mean_what_the_rule_says(tmp_path):
    array = pixels(5, 4, 6, 3)
    array[0, 0, 0] = 0, 1, 255
    for kind in (np.int64, np.uint16, ">i4", np.float32, np.float64):
        assert np.array_equal(read_all(npy(tmp_path, array.astype(kind))), array)
    for kind in (np.float32, ">f8"):
        assert np.array_equal(read_all(npy(tmp_path, (array / 255).astype(kind))), array)
    mask = array > 128
    assert np.array_equal(read_all(npy(tmp_path, mask)), mask.astype(np.uint8) * 255)
    assert np.array_equal(read_all(npy(tmp_path, mask.astype(np.float32))), mask.astype(np.uint8) * 255)


@pytest.mark.parametrize("odd", [-1.0, 0.5, 256.0, np.nan, np.inf, -np.inf])
def test_floats_of_another_range_are_refused_wherever_the_odd_one_is(tmp_path, odd):
    array = pixels(5, 4, 6, 3).astype(np.float32)
    array[0, 0, 0] = 200
    array[4, 3, 5, 2] = odd
    assert "between" in told(npy(tmp_path, array)) and "0 to 1" in told(npy(tmp_path, array))


def test_types_without_a_meaning_are_refused(tmp_path):
    assert "between" in told(npy(tmp_path, np.full((2, 4, 4, 3), 300, np.int32)))
    assert "complex" in told(npy(tmp_path, np.zeros((2, 4, 4, 3), np.complex64)))
    assert "<U3" in told(npy(tmp_path, np.full((2, 4, 4, 3), "abc")))
    assert "Fortran" in told(npy(tmp_path, np.asfortranarray(pixels(5, 4, 6, 3))))
    assert "single value" in told(npy(tmp_path, np.uint8(3)))


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


def test_objects_are_never_unpickled(tmp_path):
    target = tmp_path / "was-here"
    array = np.array([Hostile(target)] * 2, dtype=object)
    np.save(tmp_path / "set.npy", array, allow_pickle=True)
    assert "objects" in told(NpySource(tmp_path / "set.npy"))
    assert "objects" in told(npz(tmp_path, x=array))
    assert "objects" in told(npz(tmp_path, x=pixels(2, 4, 4, 3), y=array))
    (tmp_path / "set.npy").write_bytes(pickle.dumps(Hostile(target)))
    assert "damaged" in told(NpySource(tmp_path / "set.npy"))
    assert not target.exists()


def with_header(text, data=b"", version=1):
    header = text.encode().ljust(117) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


@pytest.mark.parametrize(
    "content",
    [
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 32, 32, 3)}", bytes(3072)),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-2, 32, 32, 3)}", bytes(3072)),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 32, 32, 3)}", bytes(3072)),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (1.0, 32, 32, 3)}", bytes(3072)),
        with_header("{'descr': '|u1', 'fortran_order': False}"),
        with_header("{'descr': '|V1000000000', 'fortran_order': False, 'shape': (1, 2, 3, 4)}"),
        with_header("{'descr': [('a', '<i4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,)}"),
        with_header("(" * 9000),
        with_header("[" * 300),
        with_header("__import__('os').system('true')"),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        b"\x93NUMPY\x09\x00v\x00" + b" " * 118,
        b"\x93NUMPY",
        b"",
    ],
    ids=range(14),
)
def test_headers_that_lie_reserve_nothing_and_are_refused(tmp_path, content):
    (tmp_path / "set.npy").write_bytes(content)
    told(NpySource(tmp_path / "set.npy"))
    with zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    source = NpzSource(tmp_path / "set.npz")
    source.scratch = tmp_path
    told(source)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_keras_names_give_splits_and_labels(tmp_path, save):
    train, test = pixels(6, 8, 8, 3), pixels(4, 8, 8, 3, seed=1)
    labels = np.array([[3], [1], [0], [2], [9], [10]])
    source = npz(tmp_path, save, x_train=train, y_train=labels, x_test=test, y_test=np.arange(4))
    items = list(source.items())
    assert np.array_equal(read_all(source), np.concatenate([test, train]))
    assert [(item.name, item.label, item.split) for item in items[3:6]] == [
        ("x_test#00000003", "3", "test"),
        ("x_train#00000000", "3", "train"),
        ("x_train#00000001", "1", "train"),
    ]
    assert items == sorted(items, key=lambda item: item.name) and not source.left_out


def test_one_array_with_its_labels_under_each_usual_name(tmp_path):
    array = pixels(3, 8, 8, 3)
    for names in (("x", "y"), ("images", "labels"), ("data", "labels"), ("arr_0", "arr_1"), ("X", "Y")):
        source = npz(tmp_path, **{names[0]: array, names[1]: np.array(["cat", "dog", "cat"])})
        assert [item.label for item in source.items()] == ["cat", "dog", "cat"]
        assert np.array_equal(read_all(source), array)
    source = npz(tmp_path, images=array, labels=np.array([b"cat", b"dog", b"cat"]), note=np.arange(3))
    assert [item.label for item in source.items()] == ["cat", "dog", "cat"]
    assert source.left_out == {"other arrays": 1}
    assert [item.label for item in npz(tmp_path, images=array).items()] == [None] * 3


def test_a_validation_split_is_the_test_split_only_where_there_is_no_other(tmp_path):
    parts = {f"{name}_images": pixels(2, 8, 8, 3) for name in ("train", "val")}
    assert [item.split for item in npz(tmp_path, **parts).items()] == ["train"] * 2 + ["test"] * 2
    source = npz(tmp_path, **parts, test_images=pixels(5, 8, 8, 3))
    assert [item.split for item in source.items()] == ["test"] * 5 + ["train"] * 2
    assert source.left_out == {"of the validation split": 2}


def test_names_and_labels_that_do_not_fit_are_refused(tmp_path):
    array = pixels(3, 8, 8, 3)
    assert "holds the arrays a, b" in told(npz(tmp_path, a=array, b=array))
    assert "exactly one" in told(npz(tmp_path, x=array, images=array))
    assert "exactly one" in told(npz(tmp_path, x=array, x_train=array))
    assert "exactly one" in told(npz(tmp_path, x_train=array, train_images=array))
    for labels in (np.arange(4), np.eye(3), np.arange(3.0), np.zeros((3, 5), int)):
        assert "labels are one whole number or text" in told(npz(tmp_path, x=array, y=labels))


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """Two gigabytes of zeros; and a member whose directory entry says less than it holds."""
    np.savez_compressed(tmp_path / "set.npz", x=pixels(1, 8, 8, 3))
    data = (tmp_path / "set.npz").read_bytes()
    entry = data.rindex(b"PK\1\2")
    for size in (2**31 + 128, 100):
        changed = bytearray(data)
        changed[entry + 24 : entry + 28] = struct.pack("<I", size)
        (tmp_path / "set.npz").write_bytes(changed)
        source = NpzSource(tmp_path / "set.npz")
        source.scratch = tmp_path
        told(source)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_000


def test_files_cut_off_anywhere_are_refused(tmp_path):
    np.save(tmp_path / "whole.npy", pixels(4, 8, 8, 3))
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / f"{save.__name__}.npz", x=pixels(4, 8, 8, 3), y=np.arange(4))
    for name, kind in (("whole.npy", NpySource), ("savez.npz", NpzSource), ("savez_compressed.npz", NpzSource)):
        data = (tmp_path / name).read_bytes()
        for length in range(0, len(data), max(1, len(data) // 60)):
            path = tmp_path / f"cut{name[-4:]}"
            path.write_bytes(data[:length])
            source = kind(path)
            source.scratch = tmp_path
            told(source)


def test_a_file_that_becomes_shorter_after_it_was_listed_is_a_bad_item(tmp_path):
    source = npy(tmp_path, pixels(4, 8, 8, 3))
    names = [item.name for item in source.items()]
    with source.path.open("r+b") as file:
        file.truncate(600)
    source.read(names[0])
    with pytest.raises(BadItemError):
        source.read(names[3])


def test_random_damage_is_an_error_or_other_pixels(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, pixels(4, 8, 8, 3))
    files = {"npy": buffer.getvalue()}
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, x=pixels(4, 8, 8, 3), y=np.arange(4))
        files[save.__name__] = buffer.getvalue()
    draw, refused = random.Random(5), dict.fromkeys(files, 0)
    for kind, data in files.items():
        for _ in range(250):
            damaged = bytearray(data)
            for _ in range(draw.choice((1, 3, 30))):
                damaged[draw.randrange(len(data)) if draw.random() < 0.5 else draw.randrange(128)] = draw.randrange(256)
            path = tmp_path / ("set.npy" if kind == "npy" else "set.npz")
            path.write_bytes(damaged)
            source = NpySource(path) if kind == "npy" else NpzSource(path)
            source.scratch = tmp_path
            try:
                shapes = {source.read(item.name).shape for item in source.items()}
            except UserError:
                refused[kind] += 1
            else:
                assert {shape[2] for shape in shapes} <= {3}
    assert refused["npy"] > 100 and min(refused["savez"], refused["savez_compressed"]) > 200  # zip has checksums


def test_a_picture_larger_than_allowed_is_refused(tmp_path):
    source = npy(tmp_path, pixels(2, 10, 10, 3).astype(np.float64))
    name = next(iter(source.items())).name
    assert source.read(name, most=2400).shape == (10, 10, 3)
    with pytest.raises(BadItemError, match="2,400 bytes; at most 2,399"):
        source.read(name, most=2399)


def test_kinds_are_known_by_content(tmp_path):
    np.save(tmp_path / "a.npy", pixels(2, 4, 4, 3))
    np.savez(tmp_path / "a.npz", x=pixels(2, 4, 4, 3))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.npy", b"")
        archive.writestr("picture.png", b"")
    heads = {path.name: path.read_bytes()[:1024] for path in tmp_path.iterdir()}
    assert [name for name in sorted(heads) if is_npy(tmp_path / name, heads[name])] == ["a.npy"]
    assert [name for name in sorted(heads) if is_npz(tmp_path / name, heads[name])] == ["a.npz"]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_other_processes_read_from_it(tmp_path, save):
    array = pixels(20, 8, 8, 3)
    source = npz(tmp_path, save, x=array)
    names = [item.name for item in source.items()]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert np.array_equal(np.stack(pool.map(source.read, names, chunksize=3)), array)
