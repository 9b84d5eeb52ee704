"""Source weights may be anyone's file: what it says of its tensors is held against its bytes before it is believed."""

import os
import pickle
import struct
import zipfile

import pytest
import torch

from bench.errors import UserError
from bench.features.simclr import trained_extractor
from bench.files.weights import read_source, read_weights, write_weights


class System:
    """Runs a command when it is unpickled without restraint."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_what_runs_write_is_read_as_it_is(tmp_path):
    """Views, numbers of any plain type, parts' own states of whatever values, a parameter."""
    state = {
        "ema": {
            "a": torch.ones(4, 3).T,
            "count": torch.tensor(3),
            "half": torch.ones(2, dtype=torch.float16),
        },
        "method": {"part": {"best": torch.tensor(torch.inf), "seen": [1, 2.5, "x", b"y"], "flag": torch.tensor(True)}},
        "optimiser": {
            "state": {0: {"step": torch.tensor(2.0)}},
            "betas": (0.0, 0.99),
            "view": torch.ones(9)[::2],
        },
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "step": 7,
    }
    write_weights(tmp_path / "x.pt", state)
    read, plain = read_source(tmp_path / "x.pt"), read_weights(tmp_path / "x.pt")
    assert torch.equal(read["ema"]["a"], state["ema"]["a"]) and read["step"] == 7
    assert torch.equal(read["optimiser"]["view"], plain["optimiser"]["view"])
    assert read["method"]["part"]["seen"] == [1, 2.5, "x", b"y"]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"a": torch.tensor([1.0, torch.nan])}, "'ema': 'a' holds values that are not finite"),
        ({"a": torch.tensor([1.0, -torch.inf])}, "'ema': 'a' holds values that are not finite"),
        ({"a": torch.ones(2, 2).to_sparse()}, "'ema.a' is sparse; only dense tensors of plain real numbers"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "'ema.a' is complex; only dense tensors"),
        ({"a": torch.empty(2, device="meta")}, "'ema.a' is without numbers (of the meta device)"),
        ({"a": 3.0}, "'ema': 'a' is no dense tensor of real numbers"),
        ({"a": torch.ones(1).expand(10**12)}, "'ema': 'a' repeats numbers; only dense tensors are read"),
        ({1: torch.ones(2)}, "'ema': a dict, must be a dict of names to tensors"),
        (torch.ones(2), "'ema': a Tensor, must be a dict of names to tensors"),
    ],
)
def test_networks_are_dense_finite_tensors_by_name(member, message, tmp_path):
    write_weights(tmp_path / "x.pt", {"ema": member})
    with pytest.raises(UserError) as error:
        read_source(tmp_path / "x.pt")
    assert message in str(error.value) and "x.pt" in str(error.value) and "\n" not in str(error.value)


def test_code_is_named_and_not_executed(tmp_path):
    torch.save({"ema": System(tmp_path / "ran")}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="refers to posix.system, which is not allowed"):
        read_source(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()


def test_numbers_beyond_the_file_are_refused_before_torch_reads_them(tmp_path):
    """torch would read what lies behind them in memory, or reserve what the file says."""
    torch.save({"ema": {"a": torch.ones(1000)}}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "x.pt", "w") as cut:
        for member in whole.infolist():
            data = whole.read(member)
            cut.writestr(member.filename, data[:40] if member.filename.endswith("data/0") else data)
    with pytest.raises(UserError, match=r"'ema.a': the file has 10 of the 1000 numbers that it says it has"):
        read_source(tmp_path / "x.pt")


@pytest.mark.parametrize("data", [b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + b".", pickle.dumps([1]), b""])
def test_damaged_files_are_user_errors(data, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("archive/data.pkl", data)
    with pytest.raises(UserError, match="x.pt"):
        read_source(tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(data)
    with pytest.raises(UserError, match="y.pt"):
        read_source(tmp_path / "y.pt")
    with pytest.raises(UserError, match="z.pt does not exist"):
        read_source(tmp_path / "z.pt")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"method": 3}, "the weights hold no encoder"),
        ({"method": {"a": {"encoder": 3}}}, "the weights hold no encoder"),
        (
            {"method": {"a": {"encoder": {"stem.weight": 3}}}},
            "'stem.weight' is no dense tensor of real numbers",
        ),
        (
            {"method": {"a": {"encoder": {"stem.weight": torch.ones(2)}}}},
            "stem.weight has shape (2,), must have 4 axes",
        ),
        ({"method": {"a": {"encoder": {"stem.weight": torch.full((2, 3, 3, 3), torch.nan)}}}}, "not finite"),
        ({"resnet50": {"conv1.weight": torch.ones(2)}}, "is missing; use torchvision's names"),
        ({"resnet50": 3}, "must be a dict of names to tensors"),
    ],
)
def test_an_encoder_of_anyones_is_held_against_the_network(weights, message):
    with pytest.raises(UserError) as error:
        trained_extractor(weights, 32)
    assert message in str(error.value) and "\n" not in str(error.value)
