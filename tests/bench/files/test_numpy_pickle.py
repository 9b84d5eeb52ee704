"""Weights are read from pickles: only numpy arrays may come out, and nothing may run."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.files.numpy_pickle import load_numpy_pickle


class Touch:
    """Creates a file when it is unpickled without restraint."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_arrays_in_dicts_come_back():
    value = {"layer": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}
    for protocol in (3, 4):  # the others store arrays through functions that are not needed and not allowed
        loaded = load_numpy_pickle(pickle.dumps(value, protocol), "own")
        np.testing.assert_array_equal(loaded["layer"]["kernel"], value["layer"]["kernel"])


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path):
    data = pickle.dumps({"weights": Touch(tmp_path / "ran")})
    with pytest.raises(UserError, match=r"hostile\.ckpt: not a pickle of numpy arrays"):
        load_numpy_pickle(data, "hostile.ckpt")
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)
    assert (tmp_path / "ran").exists()  # the same bytes do run where they are not held back


@pytest.mark.parametrize("data", [b"", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"a": np.zeros(9)})[:-20]])
def test_damaged_files_are_user_errors(data):
    with pytest.raises(UserError, match="own"):
        load_numpy_pickle(data, "own")
