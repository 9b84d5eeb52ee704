"""Pickles are read without executing them: refused names, tensors within their bytes, trees that end."""

import os
import pickle
import warnings

import pytest
import torch

from bench.errors import UserError

with warnings.catch_warnings():  # torch gives up typed storages, which are what pickled tensors have
    warnings.simplefilter("ignore", UserWarning)
    THREE = torch.ones(3).storage()


class System:
    """Runs a command when it is unpickled without restraint."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
def test_code_is_refused_by_name_and_not_executed(protocol, tmp_path, imported, weights_root):
    path, ran = tmp_path / "x.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"G_ema": None, "D": [System(ran)]}, protocol))
    with pytest.raises(
        UserError,
        match=r"x\.pkl: refers to posix\.system, which is not allowed; nothing of the file was executed",
    ):
        imported("stylegan2-ada", path)
    assert not ran.exists() and not weights_root.exists()
    pickle.loads(path.read_bytes())
    assert ran.exists()  # the same bytes do run where they are not held back


@pytest.mark.parametrize("place", ["augment_pipe", "D", "training_set_kwargs"])
def test_code_anywhere_in_a_snapshot_is_refused(place, tmp_path, draws, imported):
    generator = draws.part("Generator", c_dim=0).put(weight=draws(2))
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": generator, place: System(tmp_path / "ran")})
    with pytest.raises(UserError, match=r"refers to posix\.system"):
        imported("stylegan2-ada", tmp_path / "x.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\nq\x00}b.",  # a state for the function itself
        b"cbuiltins\nset\n}S'x'\nK\x01sb.",
        b"",
        b"not a pickle",
        b"\x80\x03}.",
        b"\x80\x03K\x01.",
    ],
)
def test_damaged_and_hostile_bytes_are_user_errors(data, tmp_path, imported):
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.pkl"):
        imported("stylegan2-ada", tmp_path / "x.pkl")


def tensor_of(draws, path, args):
    """G_ema with one tensor whose pickled parts are `args`."""

    class Fake:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, args

    root = draws.part("Generator", c_dim=0)
    root._parameters["x"] = Fake()
    draws.snapshot(path, {"G_ema": root})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            (THREE, 0, (2, 2), (2, 1), False, None),
            "has 3 numbers, fewer than its shape (2, 2) needs",
        ),
        ((THREE, 2, (2,), (1,), False, None), "has 3 numbers, fewer than"),
        ((THREE, 0, (10**12,), (0,), False, None), "has 3 numbers, fewer than"),
        ((THREE, -1, (2,), (1,), False, None), "must be whole numbers from 0"),
        ((THREE, 0, (2,), (1, 1), False, None), "must be whole numbers from 0"),
        ((THREE, 0, (2.0,), (1,), False, None), "must be whole numbers from 0"),
        ((b"abc", 0, (2,), (1,), False, None), "its numbers are not stored as"),
    ],
)
def test_tensors_stay_within_their_bytes(args, message, tmp_path, draws, imported):
    tensor_of(draws, tmp_path / "x.pkl", args)
    with pytest.raises(UserError) as error:
        imported("stylegan2-ada", tmp_path / "x.pkl")
    assert "x.pkl: 'G_ema.x'" in str(error.value) and message in str(error.value)


def test_a_module_that_holds_itself_ends(tmp_path, draws, imported, monkeypatch):
    monkeypatch.setattr("bench.convert.modules.MOST_MODULES", 50)
    root = draws.part("Generator")
    deep = root
    for _ in range(40):  # each names the next twice: 2^40 paths
        deep.a = deep.b = draws.part("Any")
        deep = deep.a
    draws.snapshot(tmp_path / "x.pkl", {"G_ema": root})
    with pytest.raises(UserError, match="more than 50 modules"):
        imported("stylegan2-ada", tmp_path / "x.pkl")
