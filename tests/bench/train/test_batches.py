"""Batches by position: the same from any starting point, every image once a pass, read ahead or not."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from bench.train.ahead import Ahead
from bench.train.batches import Batches

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3)).astype(np.uint8)


@pytest.mark.parametrize("batch", [1, 3, 7, 20])
def test_every_image_once_a_pass(batch):
    batches = Batches(IMAGES, batch, seed=3)
    order = torch.cat([batches.at(position).index_N for position in range(7 * 6)])
    for start in range(0, len(order) - 6, 7):
        assert sorted(order[start : start + 7].tolist()) == list(range(7))
    assert order[:7].tolist() != order[7:14].tolist()


def test_any_position_without_history():
    walked = Batches(IMAGES, 3, seed=3, flip=True)
    for position in range(11):
        seen = walked.at(position)
        fresh = Batches(IMAGES, 3, seed=3, flip=True).at(position)
        assert torch.equal(seen.index_N, fresh.index_N)
        assert torch.equal(seen.images_NCHW, fresh.images_NCHW)


def test_images_are_scaled_and_transposed_and_the_source_stays_as_it_is():
    before = IMAGES.copy()
    batch = Batches(IMAGES, 5, seed=1).at(4)
    for image, index in zip(batch.images_NCHW, batch.index_N, strict=True):
        expected = torch.from_numpy(IMAGES[int(index)].astype(np.float32)).permute(2, 0, 1) / 127.5 - 1
        assert torch.allclose(image, expected, atol=1e-6)  # two float32 roundings of numbers below 2
    Batches(IMAGES, 5, seed=1, flip=True).at(4)
    assert (before == IMAGES).all()


def test_flips_mirror_half_of_the_images():
    plain, flipped = (Batches(IMAGES, 50, seed=2, flip=flip) for flip in (False, True))
    mirrored = 0
    for position in range(8):
        a, b = plain.at(position).images_NCHW, flipped.at(position).images_NCHW
        for x, y in zip(a, b, strict=True):
            assert torch.equal(x, y) or torch.equal(x.flip(-1), y)
            mirrored += torch.equal(x.flip(-1), y)
    assert 150 < mirrored < 250  # binomial(400, 1/2) has a standard deviation of 10


def test_seeds_order_differently():
    assert not torch.equal(Batches(IMAGES, 7, seed=0).at(0).index_N, Batches(IMAGES, 7, seed=1).at(0).index_N)


@pytest.fixture
def mapped(tmp_path):
    """The same images in a file."""
    np.save(tmp_path / "images.npy", IMAGES)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


@pytest.mark.parametrize("start", [0, 1, 4, 17])
@pytest.mark.parametrize("flip", [False, True])
def test_batches_that_are_read_ahead_are_the_same_from_any_start(mapped, start, flip):
    plain = Batches(IMAGES, 3, seed=3, flip=flip)
    with Batches(mapped, 3, seed=3, flip=flip) as ahead:
        for position in range(start, start + 12):
            seen, expected = ahead.at(position), plain.at(position)
            assert torch.equal(seen.images_NCHW, expected.images_NCHW)
            assert torch.equal(seen.index_N, expected.index_N)
        assert len(readers()) == 1
    assert readers() == [] and torch.equal(ahead.at(5).index_N, plain.at(5).index_N)


def test_only_images_on_disk_are_read_by_a_thread(mapped):
    for images in (IMAGES, np.array(mapped), mapped[[0, 1, 2]]):
        with Batches(images, 2, seed=0) as batches:
            batches.at(0)
            assert readers() == []
    for images in (mapped, mapped[:5], np.asarray(mapped)):
        with Batches(images, 2, seed=0) as batches:
            batches.at(0)
            assert len(readers()) == 1


def test_what_is_read_ahead_is_bounded_in_bytes(mapped, monkeypatch):
    depths = []
    monkeypatch.setattr("bench.train.batches.Ahead", lambda *given: depths.append(given[1]) or Ahead(*given))
    for room in (0, 3 * 2 * 48 - 1, 10**9):  # a batch is 2 images of 4 x 4 x 3 bytes
        monkeypatch.setattr("bench.train.batches.AHEAD_BYTES", room)
        with Batches(mapped, 2, seed=0) as batches:
            batches.at(0)
    assert depths == [1, 2, 8]
