"""Features are computed once; whatever could change them changes the file; damage is noticed."""

import numpy as np
import pytest
from torch import nn

from bench.features import cached_features
from bench.features.cache import feature_path
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
