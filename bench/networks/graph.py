"""A generator as a graph of torch's own operations: plain data from which it runs without its source code.

The graph is a dict that JSON holds:

    nodes       [operation, arguments, keywords, results, last]: results are numbers of values (a list of them where an
                operation has several), last the values that no later node needs
    latents, conditions, noise   the numbers of the inputs; of noise with the shape that is drawn for one image
    output      the number of the images

An argument is a number, text, None, a list of arguments, or {"value": number}, {"tensor": name}, {"n": factor} for
factor * images, {"dtype": name}, {"layout": name}, {"memory_format": name} or {"device": ""} for the inputs' device.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.networks.common import noise
from bench.networks.interface import Generator

SIZES = (2, 3)  # images of the two passes: what differs between them is a multiple of the number of images
KINDS = {
    torch.dtype: "dtype",
    torch.layout: "layout",
    torch.memory_format: "memory_format",
}


class NoGraphError(Exception):
    """A network that cannot be written down like this; the message is the reason."""


def graph_of(generator: Generator, condition_dim: int | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The graph of a generator on the CPU, in the mode that it is in, and the tensors beside its state that it reads.

    It is taken from two passes, of 2 and of 3 images. Raises NoGraphError where they differ in more than the number of
    images, or draw numbers outside bench.networks.common.noise.
    """
    few, more = (_passed(generator, condition_dim, size) for size in SIZES)
    if len(few.nodes) != len(more.nodes):
        raise NoGraphError("what it computes depends on the number of images")
    nodes = [_merged(one, other) for one, other in zip(few.nodes, more.nodes, strict=True)]
    graph = {
        "nodes": _with_last_uses(nodes, few.output),
        "latents": few.inputs[0],
        "conditions": few.inputs[1] if condition_dim is not None else None,
        "noise": few.noises,
        "output": few.output,
    }
    return graph, few.constants


class _Recorder(TorchDispatchMode):
    """Writes down every operation on tensors. names: of the network's own tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        state = set(module.state_dict())
        every = itertools.chain(module.named_parameters(), module.named_buffers())
        self.names = {id(tensor): name for name, tensor in every if name in state}
        self.nodes: list[list[Any]] = []
        self.constants: dict[str, Tensor] = {}
        self.inputs: list[int] = []
        self.noises: list[list[Any]] = []
        self.output = -1
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # an id may come again once its tensor is gone

    def number(self, tensor: Tensor) -> int:
        """The number of a value, a new one for one not seen before."""
        self._kept.append(tensor)
        return self._numbers.setdefault(id(tensor), len(self._numbers))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NoGraphError(f"it draws numbers of its own ({func})")
        if func.namespace != "aten":
            raise NoGraphError(f"it uses {func}, which is none of torch's own operations")
        given = [self._argument(args), {key: self._argument(value) for key, value in (kwargs or {}).items()}]
        result = func(*args, **(kwargs or {}))
        self.nodes.append(
            [f"{func._schema.name.partition('::')[2]}.{func._overloadname}", *given, self._result(result)]
        )
        return result

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if id(value) in self._numbers:
                return {"value": self._numbers[id(value)]}
            return {"tensor": self.names.get(id(value)) or self._constant(value)}
        if isinstance(value, list | tuple):
            return [self._argument(each) for each in value]
        if isinstance(value, torch.device):
            return {"device": ""}
        if type(value) in KINDS:
            return {KINDS[type(value)]: str(value).removeprefix("torch.")}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise NoGraphError(f"it has an argument of type {type(value).__name__}")

    def _constant(self, tensor: Tensor) -> str:
        name = f"constant.{len(self.constants)}"
        self._kept.append(tensor)
        self.names[id(tensor)] = name
        self.constants[name] = tensor.detach().clone()
        return name

    def _result(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.number(value)
        if isinstance(value, list | tuple):
            return [self._result(each) for each in value]
        return None


def _passed(generator: Generator, condition_dim: int | None, size: int) -> _Recorder:
    """One pass of `size` images, written down; the noise that it draws is an input."""
    stream = torch.Generator().manual_seed(0)
    z_NZ = torch.randn(size, generator.z_dim, generator=stream)
    given = [z_NZ] if condition_dim is None else [z_NZ, torch.rand(size, condition_dim, generator=stream)]
    # What is drawn first has to be known: inside the recorder drawing is an operation
    with torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(1)), noise.noted() as drawn:
        generator(*given)
    recorder = _Recorder(generator)
    recorder.inputs = [recorder.number(tensor) for tensor in given]
    recorder.noises = [[recorder.number(tensor), list(tensor.shape[1:])] for tensor in drawn]
    if any(len(tensor) != size for tensor in drawn):
        raise NoGraphError("it draws noise that is not one an image")
    with torch.no_grad(), noise.given(drawn), recorder:
        images_NCHW = generator(*given)
    recorder.output = recorder.number(images_NCHW)
    return recorder


def _merged(one: Any, other: Any) -> Any:
    """What two passes have in common; whole numbers that grow with the images become {"n": factor}."""
    if type(one) is int and type(other) is int and one != other:
        factor, rest = divmod(one, SIZES[0])
        if rest or factor * SIZES[1] != other:
            raise NoGraphError(f"a number of it is {one} for {SIZES[0]} images and {other} for {SIZES[1]}")
        return {"n": factor}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_merged(*pair) for pair in zip(one, other, strict=True)]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return {key: _merged(one[key], other[key]) for key in one}
    if one != other:
        raise NoGraphError("what it computes depends on the number of images")
    return one


def _with_last_uses(nodes: Sequence[list[Any]], output: int) -> list[list[Any]]:
    """The nodes, each with the values that it is the last to need."""
    last: dict[int, int] = {}
    for place, (_, arguments, keywords, results) in enumerate(nodes):
        for number in (*_values([arguments, keywords]), *_flat(results)):
            last[number] = place
    last.pop(output, None)
    ends: dict[int, list[int]] = {}
    for number, place in last.items():
        ends.setdefault(place, []).append(number)
    return [[*node, sorted(ends.get(place, []))] for place, node in enumerate(nodes)]


def _values(given: Any) -> list[int]:
    if isinstance(given, list):
        return [number for each in given for number in _values(each)]
    if isinstance(given, dict):
        return [given["value"]] if "value" in given else [n for each in given.values() for n in _values(each)]
    return []


def _flat(results: Any) -> list[int]:
    if isinstance(results, list):
        return [number for each in results for number in _flat(each)]
    return [] if results is None else [results]
