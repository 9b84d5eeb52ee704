"""Weights are read from pickles: only numpy arrays may come out, nothing may run, and nothing may fill the memory."""

import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.files.numpy_pickle import load_numpy_pickle


class Called:
    """What a pickle calls: a function with its arguments, and the state that follows."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


RECONSTRUCT = np.empty(0).__reduce__()[0]
EMPTY = (np.ndarray, (0,), b"b")


def array_of(shape, content, code="u1", state=None, fortran=False):
    """A pickled array of any shape, type and content, right or wrong."""
    kind = Called(np.dtype, code, False, True, state=state or (3, "|", None, None, None, -1, -1, 0))
    return Called(RECONSTRUCT, *EMPTY, state=(1, shape, kind, fortran, content))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(4, dtype=">i4"),
        np.array(5, np.int64),
        np.zeros((0, 3), np.uint8),
        np.array([True, False]),
    ],
)
@pytest.mark.parametrize("protocol", [3, 4])  # the others store arrays through functions that are not allowed
def test_arrays_in_dicts_come_back(value, protocol):
    loaded = load_numpy_pickle(pickle.dumps({"layer": {"kernel": value, "again": value}}, protocol), "own")
    found = loaded["layer"]["kernel"]
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype and found.shape == value.shape and loaded["layer"]["again"] is found


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path):
    data = pickle.dumps({"weights": Called(Path.touch, tmp_path / "ran")})
    with pytest.raises(UserError, match=r"hostile\.ckpt: refers to .* nothing of the file was executed"):
        load_numpy_pickle(data, "hostile.ckpt")
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)
    assert (tmp_path / "ran").exists()  # the same bytes do run where they are not held back


NAMED = {
    "another function of numpy": Called(np.ones, 3),
    "eval": Called(eval, "1"),
    "an attribute of an allowed name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.",
    "a module in an allowed name": b"\x80\x04\x8c\x00\x8c\x0dnumpy.ndarray\x93.",
    "an extension code": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("kind", NAMED)
def test_other_names_are_refused(kind):
    value = NAMED[kind]
    data = value if isinstance(value, bytes) else pickle.dumps({"a": value}, 4)
    with pytest.raises(UserError, match=r"own: (refers to|damaged, or not a pickle of numpy arrays)"):
        load_numpy_pickle(data, "own")


HUGE = 2**40
STATES = {
    "a shape beyond its bytes": array_of((HUGE,), b"a"),
    "a negative shape": array_of((-1,), b"a"),
    "a shape that is none": array_of([1], b"a"),
    "bytes that are a list": array_of((1,), [b"a"]),
    "objects": array_of((1,), [None], "O8"),
    "bytes as objects": array_of((1,), b"\1" * 8, "O8"),
    "a void type of any size": array_of((1,), b"a", "V1", (3, "|", None, None, None, HUGE, 1, 0)),
    "a type with fields": array_of((1,), b"a", "V1", (3, "|", None, ("x",), {"x": (np.dtype("f8"), HUGE)}, 1, 1, 0)),
    "a byte order that is none": array_of((1,), b"a", "u1", (3, "x", None, None, None, -1, -1, 0)),
    "an array that is called for": Called(np.ndarray, (HUGE,), np.dtype("u1")),
    "an array of a buffer that is not its own": Called(np.ndarray, (1,), np.dtype("O"), b"\1" * 8),
    "a type with a type for its name": Called(np.dtype, np.dtype("f4")),
    "a state for what has none": Called(np.ndarray, (1,), state={"data": b"a"}),
    "a list among the arrays": [1, 2],
}


@pytest.mark.parametrize("kind", STATES)
def test_what_numpy_would_make_of_hostile_states_is_not_made(kind):
    data = pickle.dumps({"a": STATES[kind]}, 4)
    tracemalloc.start()
    with pytest.raises(UserError, match="own: damaged, or not a pickle of numpy arrays"):
        load_numpy_pickle(data, "own")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def _laughs(levels):
    value = {"a": np.zeros(1)}
    for _ in range(levels):
        value = dict.fromkeys(range(10), value)
    return pickle.dumps(value, 4)


def _circle():
    value = {}
    value["self"] = value
    return pickle.dumps(value, 4)


BOMBS = {
    "dicts in dicts without end": b"\x80\x04" + b"}\x8c\x01a" * 20_000 + b"}" + b"s" * 20_000 + b".",
    "a deep tuple as a key": b"\x80\x04}" + b")" + b"\x85" * 100_000 + b"K\x01s.",
    "a list that doubles itself": b"\x80\x04]\x94" + b"(h\x00h\x00e" * 20_000 + b".",
    "a text that is not all there": b"\x80\x04\x8d" + (2**50).to_bytes(8, "little") + b"a.",
    "bytes that are not all there": b"\x80\x04\x8e" + (2**50).to_bytes(8, "little") + b"a.",
    "a whole number that is not all there": b"\x80\x04\x8b" + (2**31 - 1).to_bytes(4, "little") + b"a.",
    "a place in the memo that is far off": b"\x80\x04Nr\xff\xff\xff\x7f.",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_within_the_memory_of_a_small_file(kind):
    tracemalloc.start()
    with pytest.raises(UserError, match="own: damaged, or not a pickle of numpy arrays"):
        load_numpy_pickle(BOMBS[kind], "own")
    assert tracemalloc.get_traced_memory()[1] < 2**29  # a Python object or two for each byte of a megabyte
    tracemalloc.stop()


def test_what_a_file_repeats_is_made_once():
    loaded = load_numpy_pickle(_laughs(30), "own")
    for _ in range(30):
        assert loaded[0] is loaded[9]
        loaded = loaded[0]
    assert loaded["a"].shape == (1,)
    circle = load_numpy_pickle(_circle(), "own")
    assert circle["self"] is circle


@pytest.mark.parametrize("data", [b"", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps({"a": np.zeros(9)})[:-20]])
def test_damaged_files_are_user_errors(data):
    with pytest.raises(UserError, match="own"):
        load_numpy_pickle(data, "own")
