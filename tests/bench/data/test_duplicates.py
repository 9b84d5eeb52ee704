"""Duplicates: copies of every kind are found, drawings of one style are not lumped together, by brute force too."""

from __future__ import annotations

import io
from itertools import combinations

import imagehash
import numpy as np
import pytest
from PIL import Image

from bench.data import duplicates, hashes
from bench.data.duplicates import DISTANCE, exact_duplicates, near_duplicates
from bench.data.hashes import close_pairs, perceptual_hashes


def drawings(count, seed=0, side=64):
    """Pictures of a few soft discs on a plain ground, each unlike the others."""
    stream = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    images = np.empty((count, side, side, 3), np.uint8)
    for image in images:
        picture = np.full((side, side, 3), stream.uniform(0, 255, 3))
        for _ in range(6):
            inside = np.clip(
                (stream.uniform(0.05, 0.3) - np.hypot(x - stream.random(), y - stream.random())) * 20, 0, 1
            )
            picture += inside[..., None] * (stream.uniform(0, 255, 3) - picture)
        image[:] = picture.round()
    return images


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def resized(image, side):
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))


COPIES = {
    "JPEG at quality 30": lambda image: jpeg(image, 30),
    "smaller and back": lambda image: resized(resized(image, 40), len(image)),
    "larger and back": lambda image: resized(resized(image, 150), len(image)),
    "brighter": lambda image: np.clip(image * 1.15 + 10, 0, 255).astype(np.uint8),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "mirrored": lambda image: image[:, ::-1],
    "mirrored JPEG": lambda image: jpeg(image[:, ::-1], 60),
    "noisy": lambda image: np.clip(image + np.random.default_rng(1).normal(0, 5, image.shape), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(kind):
    images = drawings(60)
    copies = np.stack([COPIES[kind](image) for image in images[:30]])
    groups = near_duplicates(images, copies)
    assert [group for group in groups if group not in [[i, 60 + i] for i in range(30)]] == []
    assert len(groups) >= 28


def test_hashes_are_those_of_the_library(monkeypatch):
    images = np.concatenate([drawings(20), np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)])
    shown = {"straight": images, "mirrored": images[:, :, ::-1]}

    def distances_to_library():
        for computed, pictures in zip(perceptual_hashes(images), shown.values(), strict=True):
            for number, picture in zip(computed, pictures, strict=True):
                library = imagehash.phash(Image.fromarray(np.ascontiguousarray(picture)))
                yield (int(number) ^ int(str(library), 16)).bit_count()

    # Frequencies that are above the median by less than noise are not counted as above it.
    assert np.mean(list(distances_to_library())) < 4
    monkeypatch.setattr(hashes, "ABOVE", 0.0)
    # A frequency that is the median itself falls on either side by rounding.
    assert max(differ := list(distances_to_library())) <= 1 and np.mean(differ) < 0.1


def test_noise_does_not_change_the_hash_of_a_symmetric_picture():
    """Half of its frequencies are zero, so the library's hash of a copy differs in many bits."""
    half = drawings(30, seed=5)[:, :, :32]
    images = np.concatenate([half, half[:, :, ::-1]], axis=2)
    noisy = np.clip(images + np.random.default_rng(0).normal(0, 4, images.shape), 0, 255).astype(np.uint8)
    ours = hashes.distances(perceptual_hashes(images)[0], perceptual_hashes(noisy)[0])
    theirs = [
        imagehash.phash(Image.fromarray(image)) - imagehash.phash(Image.fromarray(copy))
        for image, copy in zip(images, noisy, strict=True)
    ]
    assert np.mean(ours <= DISTANCE) >= 0.9 and np.mean(np.array(theirs) <= DISTANCE) <= 0.5


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 7, 8, 12])
def test_close_pairs_are_those_of_brute_force(distance, monkeypatch):
    monkeypatch.setattr(hashes, "AT_ONCE", 1000)
    stream = np.random.default_rng(distance)
    number = stream.integers(0, 2**64, 240, dtype=np.uint64)
    for n in range(200):  # 0 to 13 bits from an earlier one
        bits = stream.choice(64, n % 14, replace=False)
        number[n + 40] = number[n // 5] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    other = np.roll(number, 1)
    for one, two in ((number, number), (number, other)):
        found = [tuple(pair) for pairs in close_pairs(one, two, distance) for pair in pairs.tolist()]
        expected = {
            (i, j) for i, j in combinations(range(240), 2) if (int(one[i]) ^ int(two[j])).bit_count() <= distance
        }
        assert len(found) == len(set(found)) and set(found) == expected
    assert len(expected) >= 5


def test_exact_copies_through_several_arrays():
    images = drawings(6)
    again = images[[4, 1, 1]]
    assert exact_duplicates(images, again) == [[1, 7, 8], [4, 6]]
    assert exact_duplicates(images) == [] and exact_duplicates(images[:0]) == [] and exact_duplicates() == []
    assert near_duplicates(images, again) == [[1, 7, 8], [4, 6]]
    assert near_duplicates(images[:0]) == [] and near_duplicates() == [] and near_duplicates(images[:1]) == []


def test_a_chain_of_copies_is_one_group():
    image = drawings(1)[0]
    chain = np.stack([np.clip(image.astype(int) + 30 * step - 45, 0, 255) for step in range(4)]).astype(np.uint8)
    assert near_duplicates(chain) == [[0, 1, 2, 3]]


def test_flat_pictures_are_copies_only_in_one_colour():
    colours = [(0, 0, 0), (255, 255, 255), (200, 30, 30), (30, 30, 200), (200, 30, 30)]
    flat = np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in colours])
    flat[4, 3, 3] = 60  # not an exact copy
    assert near_duplicates(flat) == [[2, 4]]


def test_one_letter_on_white_is_not_another():
    strokes = np.full((3, 32, 32, 3), 255, np.uint8)
    strokes[0, 4:28, 15:17] = 0
    strokes[1, 4:28, 15:17] = 0
    strokes[1, 26:28, 15:26] = 0
    strokes[2, 4:28, 15:17] = 20
    assert near_duplicates(strokes) == [[0, 2]]


def test_a_map_on_disk_gives_the_same(tmp_path):
    images = np.concatenate([drawings(40), drawings(40)[:10]])
    np.save(tmp_path / "images.npy", images)
    assert near_duplicates(np.load(tmp_path / "images.npy", mmap_mode="r")) == near_duplicates(images)


def test_ten_thousand_images_take_seconds(computes_within):
    stream = np.random.default_rng(3)
    coarse = stream.integers(0, 256, (10_000, 4, 4, 3), np.uint8)
    images = np.stack([resized(image, 32) for image in coarse])
    images[5000:5100] = np.clip(images[:100].astype(int) + 9, 0, 255)
    with computes_within(6):
        groups = near_duplicates(images)
    assert sum([i, 5000 + i] in groups for i in range(100)) >= 98 and len(groups) <= 102


def test_groups_are_the_same_however_few_small_pictures_are_kept(monkeypatch):
    images = drawings(60)
    copies = np.concatenate([COPIES[kind](images[number])[None] for kind in COPIES for number in range(20)])
    expected = near_duplicates(images, copies)
    monkeypatch.setattr(duplicates, "PAIRS_AT_ONCE", 8)
    monkeypatch.setattr(duplicates, "KEPT", 16)
    assert near_duplicates(images, copies) == expected and len(expected) >= 20
