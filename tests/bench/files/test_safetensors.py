"""The safetensors format, read back by its description alone; a damaged file is refused in one line."""

from __future__ import annotations

import json
import struct
from itertools import pairwise

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.files.safetensors import read_safetensors, write_safetensors

TENSORS = {
    "b.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.tensor([1, -2], dtype=torch.int64),
    "half": torch.tensor([0.5], dtype=torch.bfloat16),
    "empty": torch.zeros(0, 4),
    "turned": torch.arange(4.0).reshape(2, 2).t(),
    "yes": torch.tensor(True),
}


@pytest.fixture
def path(tmp_path):
    write_safetensors(tmp_path / "x.safetensors", TENSORS, {"graph": "{}", "format": "ours"})
    return tmp_path / "x.safetensors"


def test_the_bytes_are_those_of_the_format(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"graph": "{}", "format": "ours"}
    first, end = header["b.weight"]["data_offsets"]
    numbers = np.frombuffer(data[8 + length :][first:end], "<f4").reshape(header["b.weight"]["shape"])
    assert header["b.weight"]["dtype"] == "F32" and np.array_equal(numbers, TENSORS["b.weight"].numpy())
    ends = sorted(entry["data_offsets"] for entry in header.values())
    assert ends[0][0] == 0 and all(one[1] == other[0] for one, other in pairwise(ends))
    assert ends[-1][1] == len(data) - 8 - length, "no byte without a tensor"


def test_they_come_back_as_they_were(path):
    tensors, metadata = read_safetensors(path)
    assert metadata["format"] == "ours" and tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype and torch.equal(tensors[name], tensor)
    with pytest.raises(ValueError, match="z: numbers of type torch.complex64"):
        write_safetensors(path, {"z": torch.zeros(1, dtype=torch.complex64)}, {})


def with_header(path, header):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}, "another size than its shape's, or beyond the file"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}, "another size"),
        ({"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}, "lengths that are no counts"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "lengths that are no counts"),
        ({"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}, "numbers of type 'C64'"),
        ({"shape": [1]}, "data_offsets"),
        (3, "its header is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, entry, why):
    with_header(tmp_path / "x.safetensors", {"a": entry})
    with pytest.raises(UserError, match=why):
        read_safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("cut", [0, 5, 40, -1])
def test_a_file_that_is_cut_off_is_refused(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match="is no safetensors file, or cut off|header is damaged"):
        read_safetensors(path)
