"""CIFAR's pickles and those of smaller ImageNets, in their publishers' bytes; hostile and damaged ones."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

import python2_pickle
from bench.data.sources.cifar import CifarSource, is_cifar
from bench.data.sources.imagenet_batches import ImageNetBatchesSource, is_imagenet_batches
from bench.data.sources.source import BadItemError
from bench.errors import UserError
from corrupted_bytes import corruptions, truncations

TEN = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def pictures(count, seed, side=32):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def rows(images):
    """As the batches hold them: all red, then all green, then all blue."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), -1))


def batch(images, **labels):
    names = [f"picture_s_{number:06}.png" for number in range(len(images))]
    return python2_pickle.dumps({"data": rows(images), "batch_label": "a batch", **labels, "filenames": names})


def ten(count=6):
    """Files of CIFAR-10, and for each batch the pictures and labels in them."""
    files, truth = {"batches.meta": python2_pickle.dumps({"num_cases_per_batch": count, "label_names": TEN})}, {}
    for number, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        images = pictures(count, number)
        labels = [(3 * place + number) % 10 for place in range(count)]
        files[name], truth[name] = batch(images, labels=labels), (images, labels)
    return files, truth


def hundred(count=6):
    fine, coarse = [f"fine {number}" for number in range(100)], [f"coarse {number}" for number in range(20)]
    files = {"meta": python2_pickle.dumps({"fine_label_names": fine, "coarse_label_names": coarse})}
    for number, name in enumerate(("train", "test")):
        labels = [7 * place % 100 for place in range(count)]
        more = {"fine_labels": labels, "coarse_labels": [label // 5 for label in labels]}
        files[name] = batch(pictures(count, number), **more)
    return files


def folder(path, files):
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def tar(path, files, root):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def opened(path, scratch, kind=CifarSource, **options):
    source = kind(path, **options)
    source.scratch = scratch
    return source


def told(source):
    with pytest.raises(UserError) as caught:
        list(source.items())
    message = str(caught.value)
    assert "\n" not in message and str(source.path) in message
    return message


@pytest.mark.parametrize("packed", [False, True])
def test_cifar_10_reads_back_equal_with_names_and_splits(tmp_path, packed):
    files, truth = ten()
    files["readme.html"] = b"<html></html>"
    if packed:
        path = tar(tmp_path / "ten.tar.gz", files, "cifar-10-batches-py")
    else:
        path = folder(tmp_path / "cifar-10-batches-py", files).parent
    source = opened(path, tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()
    items = list(source.items())
    assert [item.name for item in items] == sorted(item.name for item in items)
    assert len(items) == 36 and source.left_out == {"other files": 1}
    for item in items:
        name, _, place = item.name.partition("#")
        images, labels = truth[name]
        assert np.array_equal(source.read(item.name), images[int(place)])
        assert item.label == TEN[labels[int(place)]]
        assert item.split == ("test" if name == "test_batch" else "train")


def test_cifar_100_has_fine_and_coarse_classes(tmp_path):
    source = opened(folder(tmp_path / "set", hundred()), tmp_path)
    items = list(source.items())
    assert [item.label for item in items[:3]] == ["fine 0", "fine 7", "fine 14"]
    assert [item.split for item in items] == ["test"] * 6 + ["train"] * 6
    assert np.array_equal(source.read("train#00000004"), pictures(6, 0)[4])
    coarse = opened(tmp_path / "set", tmp_path, coarse=True)
    assert [item.label for item in coarse.items()][:3] == ["coarse 0", "coarse 1", "coarse 2"]


def test_python_3s_pickles_of_the_same_dicts_are_read_too(tmp_path):
    files, truth = ten()
    images, labels = truth["data_batch_2"]
    for protocol in (3, 4):
        for key in ("data", b"data"):
            again = {key: rows(images), (b"labels" if key == b"data" else "labels"): labels}
            files["data_batch_2"] = pickle.dumps(again, protocol=protocol)
            source = opened(folder(tmp_path / "set", files), tmp_path)
            assert len(list(source.items())) == 36
            assert np.array_equal(source.read("data_batch_2#00000005"), images[5])


def smaller(count, seed, side=32, **more):
    images = pictures(count, seed, side)
    labels = [(place + seed) % 1000 + 1 for place in range(count)]
    return {"data": rows(images), "labels": labels, "mean": np.zeros(3 * side**2), **more}, images, labels


@pytest.mark.parametrize("side", [8, 32])
@pytest.mark.parametrize("form", ["pickle", "npz", "zips"])
def test_smaller_imagenets_read_back_equal(tmp_path, side, form):
    """As pickles or .npz in a folder, or as the publisher's two zips beside each other."""
    files, truth = {}, {}
    for number, name in enumerate([*(f"train_data_batch_{number}" for number in range(1, 11)), "val_data"]):
        values, images, labels = smaller(4, number, side)
        truth[name] = images, labels
        if form == "npz":
            buffer = io.BytesIO()
            np.savez(buffer, **{key: np.asarray(value) for key, value in values.items()})
            files[f"{name}.npz"] = buffer.getvalue()
        else:
            files[name] = pickle.dumps(values)
    path = tmp_path / "set"
    if form == "zips":
        path.mkdir()
        for kind in ("train", "val"):
            with zipfile.ZipFile(path / f"Imagenet{side}_{kind}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    if name.startswith(kind):
                        archive.writestr(name, content)
    else:
        folder(path, files)
    assert is_imagenet_batches(path, b"") and not is_cifar(path, b"")
    source = opened(path, tmp_path, ImageNetBatchesSource)
    items = list(source.items())
    assert [item.name for item in items] == sorted(item.name for item in items) and len(items) == 44
    for item in items:
        name, _, place = item.name.partition("#")
        assert np.array_equal(source.read(item.name), truth[name][0][int(place)])
        assert item.label == str(truth[name][1][int(place)])
        assert item.split == ("test" if name == "val_data" else "train")


def test_what_is_missing_or_not_its_classes_is_named(tmp_path):
    files, truth = ten()
    for name in ("data_batch_3", "test_batch"):
        path = folder(tmp_path / name, {key: value for key, value in files.items() if key != name})
        assert f"{name} missing" in told(opened(path, tmp_path))
    files["test_batch"] = batch(truth["test_batch"][0], labels=[10] * 6)
    assert "beyond its 10 classes" in told(opened(folder(tmp_path / "set", files), tmp_path))
    files["test_batch"] = batch(truth["test_batch"][0], labels=[1] * 5)
    assert "no 6 whole numbers under 'labels'" in told(opened(folder(tmp_path / "set", files), tmp_path))
    path = folder(tmp_path / "in", {"train_data_batch_1": pickle.dumps(smaller(3, 0)[0])})
    assert "train_data_batch_2" in told(opened(path, tmp_path, ImageNetBatchesSource))
    path = folder(tmp_path / "val", {"val_data": pickle.dumps({**smaller(3, 0)[0], "labels": [0, 1, 2]})})
    assert "1 to 1000" in told(opened(path, tmp_path, ImageNetBatchesSource))


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("where", ["batches.meta", "data_batch_1", "test_batch"])
def test_a_hostile_pickle_is_named_and_not_run(tmp_path, where):
    files, _ = ten()
    files[where] = pickle.dumps({"data": Hostile(tmp_path / "was-here"), "labels": [1]}, protocol=2)
    message = told(opened(folder(tmp_path / "set", files), tmp_path))
    assert "posix.system" in message and "nothing of the file was executed" in message
    assert not (tmp_path / "was-here").exists()


def test_arrays_that_lie_are_refused(tmp_path):
    """In the bytes of a valid batch: another shape, another type, a longer string than the file has."""
    files, truth = ten()
    images, labels = truth["test_batch"]
    good = files["test_batch"]
    lies = [
        good.replace(b"K\x06M\x00\x0c", b"K\x07M\x00\x0c"),  # 7 rows
        good.replace(b"K\x06M\x00\x0c", b"J\x00\x00\x00\x7fM\x00\x0c"),  # two thousand million
        good.replace(b"K\x06M\x00\x0c", b"K\x06M\x01\x0c"),  # of 3,073
        good.replace(b"T" + (6 * 3072).to_bytes(4, "little"), b"T\xff\xff\xff\x7f"),
        python2_pickle.dumps({"data": rows(images).astype(np.int16), "labels": labels}),
        python2_pickle.dumps({"data": images, "labels": labels}),
        python2_pickle.dumps({"data": np.asfortranarray(rows(images)), "labels": labels}),
        python2_pickle.dumps({"data": rows(images).tobytes(), "labels": labels}),
        python2_pickle.dumps([rows(images), labels]),
        pickle.dumps({"data": np.array([[None] * 3072], dtype=object), "labels": [1]}),
        b"",
    ]
    for lie in lies:
        assert lie != good
        told(opened(folder(tmp_path / "set", {**files, "test_batch": lie}), tmp_path))


def test_batches_cut_off_or_damaged_are_errors_or_other_values(tmp_path):
    files, _ = ten()
    path, refused = folder(tmp_path / "set", files), 0
    for name, copies in (
        ("test_batch", truncations(files["test_batch"], 60)),
        ("test_batch", corruptions(files["test_batch"], 150, head=200)),
        ("batches.meta", truncations(files["batches.meta"], 30)),
        ("batches.meta", corruptions(files["batches.meta"], 100)),
    ):
        for copy in copies:
            (path / name).write_bytes(copy)
            source = opened(path, tmp_path)
            try:
                items = list(source.items())
            except UserError:
                refused += 1
            else:
                assert len(items) == 36 and source.read(items[-1].name).shape == (32, 32, 3)
        (path / name).write_bytes(files[name])
    assert refused > 150


def test_damaged_archives_are_refused(tmp_path):
    files, _ = ten()
    data = tar(tmp_path / "whole.tar.gz", files, "cifar-10-batches-py").read_bytes()
    for number, copy in enumerate((*truncations(data, 20), *corruptions(data, 40, head=100))):
        path, scratch = tmp_path / "set.tar.gz", tmp_path / f"scratch{number}"
        path.write_bytes(copy)
        scratch.mkdir()
        is_cifar(path, copy[:1024])  # never raises
        source = opened(path, scratch)
        try:
            assert len(list(source.items())) == 36
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_kinds_are_known_by_their_files(tmp_path):
    files, _ = ten()
    path = tar(tmp_path / "ten.tar.gz", files, "cifar-10-batches-py")
    assert is_cifar(path, path.read_bytes()[:1024]) and not is_imagenet_batches(path, path.read_bytes()[:1024])
    assert is_cifar(folder(tmp_path / "ten", files), b"")
    path = tar(tmp_path / "hundred.tar.gz", hundred(), "cifar-100-python")
    assert is_cifar(path, path.read_bytes()[:1024])
    for name in ("train", "test"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
    assert not is_cifar(tmp_path / "pictures", b"")
    path = tar(tmp_path / "pictures.tar.gz", {f"{number}.png": b"" for number in range(100)}, "train")
    assert not is_cifar(path, path.read_bytes()[:1024])
    assert not is_cifar(tmp_path / "absent", b"") and not is_cifar(path, b"PK\3\4")


def test_a_picture_larger_than_allowed_and_a_file_that_became_shorter_are_bad_items(tmp_path):
    files, _ = ten()
    source = opened(folder(tmp_path / "set", files), tmp_path)
    list(source.items())
    assert source.read("test_batch#00000000", most=3072).shape == (32, 32, 3)
    with pytest.raises(BadItemError, match="3,072 bytes; at most 3,071"):
        source.read("test_batch#00000000", most=3071)
    (tmp_path / "set" / "test_batch").write_bytes(files["test_batch"][:5000])
    with pytest.raises(BadItemError, match="cannot be read"):
        source.read("test_batch#00000005")


def test_other_processes_read_from_it(tmp_path):
    files, truth = ten()
    source = opened(tar(tmp_path / "ten.tar.gz", files, "cifar-10-batches-py"), tmp_path)
    names = [item.name for item in source.items()]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        read = pool.map(source.read, names, chunksize=5)
    assert np.array_equal(np.stack(read), np.concatenate([truth[name][0] for name in sorted(truth)]))
