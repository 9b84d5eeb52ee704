"""Imports into a folder of the test's own, and comparison with what an original network computes."""

from __future__ import annotations

import pickle
import sys
import types

import pytest
import torch
from torch import nn

from bench import paths
from bench.convert.importing import import_checkpoint
from bench.files.weights import read_weights
from bench.networks import build

# One rounding of float32 is 6e-8; some twenty layers, each a sum of up to a few hundred products in another order,
# leave a few 1e-6 of the largest value.
TOLERANCE = 1e-5
SOURCE = "import os\nos.system('a snapshot carries source text, which its own loader executes')\n"


@pytest.fixture(autouse=True)
def weights_root(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "weights"))
    return paths.weights_root()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def imported():
    """Import, then the network named in the written file, with the file's weights, in evaluation mode."""

    def load(format_name, *files, **settings):
        path = import_checkpoint(format_name, files, **settings).path
        weights = read_weights(path)
        generator, discriminator = build(weights["network"]["name"], **weights["network"]["options"])
        generator.load_state_dict(weights["ema"], strict=True)
        if "discriminator" in weights:
            discriminator.load_state_dict(weights["discriminator"], strict=True)
        return generator.eval(), discriminator.eval(), weights

    return load


@pytest.fixture
def assert_equal():
    """Equal to rounding, relative to the largest value; and not equal because both are constant."""

    def check(ours, original):
        assert ours.shape == original.shape
        assert original.std() > 0.01 * original.abs().max()
        assert (ours - original).abs().max() <= TOLERANCE * original.abs().max()

    return check


def _called(meta):
    raise AssertionError("the snapshot was rebuilt")


class EasyDict(dict):
    """A dict of keyword arguments, as snapshots have it."""


class Part(nn.Module):
    """A module as a snapshot has it: a class name, tensors, init arguments, attributes."""

    def __init__(self, class_name, *args, init=None, **attributes):
        super().__init__()
        self.__dict__.update(attributes, _init_args=args, _init_kwargs=EasyDict(init or {}), class_name=class_name)

    def __reduce__(self):
        state = {key: value for key, value in self.__dict__.items() if key != "class_name"}
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": state,
        }
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,), None

    def put(self, **tensors):
        for name, value in tensors.items():
            self.register_parameter(name, nn.Parameter(value))
        return self


def snapshot(path, data, protocol=3, **added):
    """Pickle under the original's module names, which do not exist any more afterwards."""
    names = {"torch_utils": {}, "torch_utils.persistence": {"_reconstruct_persistent_obj": _called}}
    names |= {"dnnlib": {}, "dnnlib.util": {"EasyDict": EasyDict}} | added
    for name, content in names.items():
        sys.modules[name] = types.ModuleType(name)
        for key, value in content.items():
            setattr(sys.modules[name], key, value)
            value.__module__, value.__qualname__ = name, key
    try:
        path.write_bytes(pickle.dumps(data, protocol))
    finally:
        for name in names:
            del sys.modules[name]
    return path


class Draws:
    """Random tensors, each from the next numbers of one stream; and what snapshots are made of."""

    def __init__(self, seed=0):
        self.stream = torch.Generator().manual_seed(seed)

    def __call__(self, *shape, scale=1.0):
        return torch.randn(shape, generator=self.stream) * scale

    def positive(self, *shape):
        return torch.rand(shape, generator=self.stream) + 0.5

    part = Part
    easy_dict = EasyDict
    snapshot = staticmethod(snapshot)


@pytest.fixture
def draws():
    return Draws()
