"""Sets larger than memory: digests in parts are the digests of the whole, and nothing holds a whole split."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.data import disk
from bench.data.draws import training_images
from bench.data.image_digests import image_digests
from bench.data.reference import reference_point
from bench.features import cache
from bench.files.memory_map import parts, release, rows, update_digest
from bench.seeds import numpy_stream
from bench.spec.run import DataSpec, Part, Protocol, RunSpec


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    """50 images of 7 x 5 pixels in a read-only map."""
    images = np.random.default_rng(0).integers(0, 256, (50, 7, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    found: np.memmap = np.load(tmp_path / "images.npy", mmap_mode="r")
    return found


@pytest.mark.parametrize("size", [1, 105, 1000, 10**6])
def test_parts_are_the_rows_in_order_and_contiguous(mapped, size):
    for array in (mapped, mapped[::3], mapped[:, ::-1], np.asarray(mapped), mapped[:0], np.arange(10.0)):
        found = list(parts(array, size))
        assert all(part.flags.c_contiguous for part in found)
        assert np.array_equal(np.concatenate([*found, array[:0]]), array)
        if size == 1:
            assert len(found) == len(array)


def test_rows_are_a_copy_of_those_rows_alone(mapped, monkeypatch):
    monkeypatch.setattr("bench.files.memory_map.ROWS", 4)
    index_N = np.array([3, 3, 49, 0, 7, 1, 2, 48, 3])
    for array in (mapped, mapped[:, ::-1], np.array(mapped)):
        found = rows(array, index_N)
        assert np.array_equal(found, array[index_N]) and found.flags.c_contiguous
        assert type(found) is np.ndarray and not np.shares_memory(found, array)
    assert rows(mapped, index_N[:0]).shape == (0, 7, 5, 3)


def test_digests_are_those_of_the_whole_array_as_they_always_were(mapped):
    """Names of cached features and of data sets hang on these very digests."""
    for images in (np.array(mapped), mapped, mapped[::2], mapped[:, :, ::-1]):
        digest = hashlib.sha256(b"before ")
        update_digest(digest, images)
        assert digest.hexdigest() == hashlib.sha256(b"before " + images.tobytes()).hexdigest()
        header = f"{images.dtype} {images.shape} ".encode()
        assert cache.images_digest(images) == hashlib.sha256(header + images.tobytes()).hexdigest()
        header = f"{images.dtype.str} {list(images.shape)}\n".encode()
        assert disk.content_hash(images) == hashlib.sha256(header + images.tobytes()).hexdigest()
        expected = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
        assert image_digests(images) == expected


def test_release_changes_no_value_whatever_the_array_is(tmp_path, mapped):
    whole = np.array(mapped)
    for view in (mapped, np.asarray(mapped), mapped[3:], mapped[[1, 2]], whole):
        before = view.copy()
        release(view)
        assert np.array_equal(view, before)
    private = np.load(tmp_path / "images.npy", mmap_mode="c")
    private[0] = 7  # in this process alone: it must not be given up
    release(private)
    assert (private[0] == 7).all()
    shared = np.lib.format.open_memmap(tmp_path / "new.npy", mode="w+", dtype=np.uint8, shape=(4, 8))
    shared[:] = 9  # as a builder writes a split
    release(shared)
    assert (shared == 9).all()


def test_pages_are_given_up_where_they_were_looked_at_and_nowhere_else(tmp_path):
    """As the kernel counts them. To give up all of a large map after each batch would cost more than the batch."""
    path, images = tmp_path / "images.npy", np.ones((2048, 64, 64, 3), np.uint8)  # 24 MiB
    np.save(path, images)
    mapped = np.load(path, mmap_mode="r")

    def resident():
        """MiB of the map that count as this process's memory."""
        pattern = rf"{re.escape(str(path))}\n(?:\w+:.*\n)*?Rss: +(\d+) kB"
        (entry,) = re.findall(pattern, Path("/proc/self/smaps").read_text())
        return int(entry) / 1024

    assert mapped.sum() == images.size and resident() >= 24
    release(mapped[:1024])
    before = resident()
    assert 9.9 <= before <= 12, "what the kernel maps at once is up to 2 MiB"
    assert rows(mapped, np.array([3, 100, -1, 3])).sum() == 4 * images[0].size
    assert before - 4 <= resident() <= before
    assert sum(int(part.sum()) for part in parts(mapped, 10 * 12288)) == images.size
    assert resident() == 0
    assert mapped[:, ::-1].sum() == images.size
    release(mapped[:, ::-1])
    assert resident() == 0


@pytest.mark.parametrize("shots", [None, 20])
def test_mixed_reference_images_are_those_of_one_formula_over_all_of_them(shots):
    data = DataSpec(name="shapes", resolution=16, shots=shots)
    protocol = Protocol(name="p", version=1, generated=777, reference=10, metrics=(), every=1)
    method = (Part(name="pixel-mix"),)
    found = reference_point(
        RunSpec(kind="reference", method=method, network=None, data=data, train=None, protocol=protocol, seed=3)
    )
    images = training_images(data, 3).images
    stream = numpy_stream(3, "reference", "pixel-mix")
    first, second = (stream.integers(len(images), size=777) for _ in range(2))
    share = stream.random((777, 1, 1, 1), dtype=np.float32)
    expected = (share * images[first] + (1 - share) * images[second]).round().astype(np.uint8)
    assert np.array_equal(found, expected)


LARGE = """
import json, resource, sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from bench import features
from bench.data import disk, draws, imageset, points, reference, reference_split
from bench.data.image_digests import image_digests
from bench.data.built_set import ImageSet
from bench.features.extractor import Extractor
from bench.spec.run import DataSpec, Part, Protocol, RunSpec
from bench.train.batches import Batches
from bench.contract.context import Context
from bench.methods.common import priors

COUNT, SIDE = 20_000, 64

class Colour(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))

path = Path(sys.argv[1]) / "train.npy"
images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(COUNT, SIDE, SIDE, 3))
images[::1000] = 255  # all else is a hole in the file
del images
mapped = np.load(path, mmap_mode="r")
big = ImageSet("big", SIDE, mapped, mapped[:300], None, None, (), "0" * 64, "", None)
imageset.load = lambda name, resolution: big
features.load = lambda spec, device="cpu": Extractor(spec, Colour(), SIDE, 3, "0" * 64, device)
data = DataSpec(name="big", resolution=SIDE)

def context(images):
    spec = RunSpec(method=(), network=None, data=data, train=None, protocol=None, seed=0)
    return Context(spec, images, None, torch.device("cpu"))

def point(name):
    protocol = Protocol(name="p", version=1, generated=1000, reference=100, metrics=(), every=1)
    method = (Part(name=name),)
    return reference.reference_point(
        RunSpec(kind="reference", method=method, network=None, data=data, train=None, protocol=protocol, seed=0)
    )

priors.prior_table(context(np.zeros((200, SIDE, SIDE, 3), np.uint8)), "vgg16", SIDE, "raw")  # torch's own memory
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
whole = draws.training_images(data, 0).images
assert isinstance(whole, np.memmap) and np.shares_memory(whole, mapped)
table = priors.prior_table(context(whole), "vgg16", SIDE, "raw")
features.cached_features(Extractor("own@64", Colour(), SIDE, 3, "1" * 64), whole)
batches = Batches(whole, 64, 0)
for number in range(COUNT // 64):
    batches.at(number)
few = draws.training_images(data.model_copy(update={"shots": 100}), 0).images
assert few.shape == (100, SIDE, SIDE, 3)
assert all(point(name).shape == (1000, SIDE, SIDE, 3) for name in points.POINTS)
for split, holdout in (("all", None), ("train-pool", 0.01), ("training-images", 0.01)):
    held = data.model_copy(update={"holdout": holdout})
    protocol = Protocol(name="p", version=1, generated=1, reference=19_800, metrics=(), every=1, reference_split=split)
    found, name = reference_split.reference_images(protocol, held, 0)
    features.cached_features(Extractor("own@64", Colour(), SIDE, 3, "2" * 64), found, name)
    assert len(found) == 19_800 and len(set(image_digests(found))) == 2
disk.content_hash(whole)
assert len(set(image_digests(whole))) == 2
taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
expected = torch.full((COUNT, 3), -1.0)
expected[::1000] = 1.0
print(json.dumps({"set": mapped.nbytes, "taken": taken * 1024, "equal": torch.equal(table, expected)}))
"""


@pytest.mark.slow
def test_no_step_of_a_run_holds_a_large_set_in_memory(tmp_path, monkeypatch):
    """Drawing, priors, cached features, an epoch of batches, reference points, references and sums of 246 MB."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    done = subprocess.run([sys.executable, "-c", LARGE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["equal"] and found["set"] == 20_000 * 64 * 64 * 3
    # What is held at once: a part of 32 MiB; or 1,000 images (12 MB) and a few floats of 256 (13 MB each). A split that
    # is read through its map without giving it up, or copied, is 246 MB.
    assert found["taken"] < 150e6
