"""Features are computed once; whatever could change them changes the file; damage is noticed."""

import os
import time

import numpy as np
import pytest
from torch import nn

from bench.errors import UserError
from bench.features import cached_features
from bench.features.cache import feature_path
from bench.features.cache_bound import VARIABLE, bound, make_room, taken
from bench.features.extractor import Extractor


class Counting(Extractor):
    calls = 0

    def __call__(self, images_u8_NHWC, batch=32):
        self.calls += 1
        return super().__call__(images_u8_NHWC, batch)


def extractor(name="own@32", size=32, sha="a" * 64):
    return Counting(name, nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), size, 12, sha)


def test_second_call_reads_the_first(digits_u8):
    own = extractor()
    first = cached_features(own, digits_u8, "d" * 64, "a test")
    second = cached_features(own, digits_u8, "d" * 64, "another purpose")
    assert own.calls == 1
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, own(digits_u8))


def test_the_content_names_the_file_where_no_sum_is_given(digits_u8):
    own = extractor()
    cached_features(own, digits_u8)
    cached_features(own, digits_u8.copy())
    assert own.calls == 1
    other = digits_u8.copy()
    other[3, 5, 5, 0] ^= 1
    assert not np.array_equal(cached_features(own, other)[3], cached_features(own, digits_u8)[3])
    assert own.calls == 2


def test_every_input_is_part_of_the_name():
    paths = [
        feature_path(extractor(), 10, "d"),
        feature_path(extractor(name="other@32"), 10, "d"),
        feature_path(extractor(size=64), 10, "d"),
        feature_path(extractor(sha="b" * 64), 10, "d"),
        feature_path(extractor(), 11, "d"),
        feature_path(extractor(), 10, "e"),
    ]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("damage", ["cut", "garbage", "pickle", "shape", "nan"])
def test_damaged_files_are_computed_again_and_said(damage, digits_u8, capsys):
    own = extractor()
    good = cached_features(own, digits_u8, "d" * 64, "a test")
    path = feature_path(own, len(digits_u8), "d" * 64)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "garbage":
        path.write_bytes(b"")
    elif damage == "pickle":
        np.save(path, np.array([print] * 3, dtype=object), allow_pickle=True)
    elif damage == "shape":
        np.save(path, good[:5])
    else:
        np.save(path, np.full_like(good, np.nan))
    capsys.readouterr()
    np.testing.assert_array_equal(cached_features(own, digits_u8, "d" * 64, "a test"), good)
    assert own.calls == 2 and "computed again" in capsys.readouterr().err
    assert cached_features(own, digits_u8, "d" * 64, "a test").shape == (100, 12)
    assert own.calls == 2  # the good file has replaced the damaged one


def test_a_cache_that_cannot_be_written_does_not_stop_a_run(digits_u8, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    assert cached_features(extractor(), digits_u8, "d" * 64, "a test").shape == (100, 12)
    assert "cannot be kept" in capsys.readouterr().err


def test_what_was_not_used_for_longest_makes_room_and_that_is_said(digits_u8, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "0.000016")  # three files of 4,928 bytes
    own = extractor()
    paths = [feature_path(own, len(digits_u8), letter * 64) for letter in "abcd"]
    for when, letter in enumerate("abc"):
        cached_features(own, digits_u8, letter * 64)
        os.utime(paths[when], (1000 + when,) * 2)
    assert taken() == (3, sum(path.stat().st_size for path in paths[:3])) and not capsys.readouterr().err
    cached_features(own, digits_u8, "a" * 64)  # now "b" is the oldest
    cached_features(own, digits_u8, "d" * 64)
    assert [path.exists() for path in paths] == [True, False, True, True] and own.calls == 4
    said = capsys.readouterr().err
    assert said.startswith("removed 1 files of features that were not used for longest (0.00 GB)") and VARIABLE in said
    # Half a file, of a process that was killed yesterday.
    half = tmp_path / "features" / ".half.npy.elsewhere-1-1.tmp"
    half.write_bytes(b"")
    os.utime(half, (time.time() - 25 * 3600,) * 2)
    assert make_room(0) and not half.exists() and taken()[0] == 3


def test_features_larger_than_the_bound_are_not_kept(digits_u8, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "0")
    assert cached_features(extractor(), digits_u8, "a" * 64).shape == (100, 12)
    assert taken() == (0, 0)
    for text in ("many", "-1", "inf"):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(UserError, match=f"{VARIABLE}={text}: is no number of gigabytes"):
            bound()
    monkeypatch.delenv(VARIABLE)
    assert 0 < bound() <= 50e9


def test_features_that_go_while_they_are_read_are_computed_again_in_silence(digits_u8, monkeypatch, capsys):
    own = extractor()
    cached_features(own, digits_u8, "e" * 64)
    path = feature_path(own, len(digits_u8), "e" * 64)
    load = np.load

    def gone(*arguments, **options):
        path.unlink()
        return load(*arguments, **options)

    monkeypatch.setattr(np, "load", gone)
    assert cached_features(own, digits_u8, "e" * 64).shape == (100, 12)
    assert own.calls == 2 and not capsys.readouterr().err
