"""Rows of a file that are read when they are asked for: everything that is asked of training images, as of a copy."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bench.files import row_view
from bench.files.memory_map import is_mapped, parts, release, rows, update_digest
from bench.files.row_view import Joined, RowView, chosen_rows

INDEX_N = np.array([3, 7, 8, 20, 21, 22, 49, 4])


@pytest.fixture
def mapped(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 7, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def test_only_what_is_too_large_for_memory_stays_on_disk(mapped, monkeypatch):
    assert type(chosen_rows(mapped, INDEX_N)) is np.ndarray
    monkeypatch.setattr(row_view, "IN_MEMORY", len(INDEX_N) * 105 - 1)
    assert isinstance(chosen_rows(mapped, INDEX_N), RowView)
    assert type(chosen_rows(mapped, INDEX_N[1:])) is np.ndarray
    assert type(chosen_rows(np.array(mapped), INDEX_N)) is np.ndarray, "it is in memory anyhow"


def test_a_view_reads_as_a_copy_does(mapped):
    view, copy = RowView(mapped, INDEX_N), np.array(mapped)[INDEX_N]
    assert (len(view), view.shape, view.dtype, view.ndim, view.nbytes) == (8, copy.shape, copy.dtype, 4, copy.nbytes)
    keys = [0, -1, np.int64(3), slice(2, 5), slice(None), slice(None, None, -2), [1, 1, 6], INDEX_N < 21]
    keys += [np.array([5, 0]), (slice(0, 3), 2), (4, slice(1, 3), 0), ([0, 2], slice(None), slice(None), 1)]
    for key in keys:
        taken = view[key]
        assert np.array_equal(taken, copy[key]) and taken.shape == copy[key].shape, key
        assert not np.shares_memory(taken, mapped)
    assert np.array_equal(view, copy) and np.asarray(view, np.float64).dtype == np.float64
    assert all(np.array_equal(one, other) for one, other in zip(view, copy, strict=True))
    with pytest.raises(IndexError):
        view[8]
    with pytest.raises(ValueError, match="a copy"):
        np.asarray(view, copy=False)


def test_every_row_of_a_view_is_read_once(mapped, monkeypatch):
    """By what reads images in parts, and gives up the pages behind it: what was read is no page of the map."""
    read, taken = [], RowView.__getitem__
    monkeypatch.setattr(RowView, "__getitem__", lambda view, key: read.append(key) or taken(view, key))
    list(parts(RowView(mapped, INDEX_N), 250))
    assert read == [slice(None, 1), slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)], "one for the size of a row"


def test_what_reads_images_in_parts_reads_a_view(mapped, monkeypatch):
    monkeypatch.setattr("bench.files.memory_map.ROWS", 3)
    view, copy = RowView(mapped, INDEX_N), np.array(mapped)[INDEX_N]
    assert is_mapped(view) and not is_mapped(copy)
    release(view)
    assert np.array_equal(rows(view, np.array([7, 0, 0, 3])), copy[[7, 0, 0, 3]])
    assert np.array_equal(np.concatenate(list(parts(view, 250))), copy)
    digests = [hashlib.sha256() for _ in range(2)]
    for digest, images in zip(digests, (view, copy), strict=True):
        update_digest(digest, images)
    assert digests[0].digest() == digests[1].digest()


def test_joined_arrays_read_as_one(mapped, tmp_path, monkeypatch):
    np.save(tmp_path / "others.npy", np.array(mapped)[:9] // 2)
    others = np.load(tmp_path / "others.npy", mmap_mode="r")
    joined, copy = Joined(mapped, others), np.concatenate([mapped, others])
    assert (len(joined), joined.shape, joined.dtype, joined.ndim) == (59, copy.shape, copy.dtype, 4)
    for key in (0, 58, -1, slice(45, 55), slice(None), [58, 3, 50, 49, 3], np.arange(59) > 47, []):
        assert np.array_equal(joined[key], copy[key]) and joined[key].shape == copy[key].shape, key
    with pytest.raises(IndexError):
        joined[59]
    index_N = np.array([1, 49, 50, 58])
    assert type(chosen_rows(joined, index_N)) is np.ndarray
    monkeypatch.setattr(row_view, "IN_MEMORY", 0)
    view = chosen_rows(joined, index_N)
    assert isinstance(view, RowView) and is_mapped(view)
    release(view)
    for images in (view[:], view[1:3], rows(view, np.array([3, 0]))):
        assert type(images) is np.ndarray
    assert np.array_equal(view, copy[index_N]) and np.array_equal(rows(view, np.array([3, 0])), copy[[58, 1]])
