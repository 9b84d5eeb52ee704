"""A generator as a graph of torch's own operations: a text from which it runs without its source code.

The graph is a line of JSON for each operation, one after the other: [operation, arguments, keywords, results]. The
results are numbers of places that hold values; the last one is called "images". An argument is a number, text, None, a
list of arguments, or

    {"value": place}   what a place holds; also a name: a tensor's, "latents", "conditions", "device" (of the latents),
                       or "stream", from which noise is drawn
    {"times": factor}  factor * images
    {"torch": name}    a type of numbers, a layout or a format of memory

Keywords are pairs of a name and an argument. A place is used again once no later line needs what it holds.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.networks.common import noise
from bench.networks.interface import Generator

SIZES = (2, 3)  # images of the two passes: what differs between them is a multiple of the number of images
OF_TORCH = (torch.dtype, torch.layout, torch.memory_format)
Place = int | str


class NoGraphError(Exception):
    """A network that cannot be written down like this; the message is the reason."""


def graph_of(generator: Generator, condition_dim: int | None) -> tuple[str, dict[str, Tensor]]:
    """The graph of a generator on the CPU, in the mode that it is in, and the tensors beside its state that it reads.

    It is taken from two passes, of 2 and of 3 images. Raises NoGraphError where they differ in more than the number of
    images, or draw numbers outside bench.networks.common.noise.
    """
    few, more = (_passed(generator, condition_dim, size) for size in SIZES)
    if len(few.nodes) != len(more.nodes):
        raise NoGraphError("what it computes depends on the number of images")
    nodes = [_merged(one, other) for one, other in zip(few.nodes, more.nodes, strict=True)]
    return "\n".join(json.dumps(node) for node in _placed(nodes, few.output)), few.constants


class _Recorder(TorchDispatchMode):
    """Writes down every operation on tensors. names: of the network's own tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        state = set(module.state_dict())
        every = itertools.chain(module.named_parameters(), module.named_buffers())
        self.names = {id(tensor): name for name, tensor in every if name in state}
        self.nodes: list[list[Any]] = []
        self.constants: dict[str, Tensor] = {}
        self.output: Place = -1
        self._places: dict[int, Place] = {}
        self._kept: list[Any] = []  # an id may come again once its tensor is gone

    def place(self, tensor: Tensor, name: str | None = None) -> Place:
        """The place of a value, a new one for one not seen before."""
        self._kept.append(tensor)
        return self._places.setdefault(id(tensor), name or len(self._places))

    def draw(self, noise: Tensor) -> None:
        """The lines that draw what a pass was given: on the CPU, as everywhere, then moved to where the latents are."""
        place = self.place(noise)
        self.nodes += [
            ["randn.generator", [list(noise.shape)], [["generator", {"value": "stream"}]], [place]],
            ["_to_copy.default", [{"value": place}], [["device", {"value": "device"}]], [place]],
        ]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NoGraphError(f"it draws numbers of its own ({func})")
        if func.namespace != "aten":
            raise NoGraphError(f"it uses {func}, which is none of torch's own operations")
        keywords = [[key, self._argument(value)] for key, value in (kwargs or {}).items()]
        node = [f"{func._schema.name.partition('::')[2]}.{func._overloadname}", self._argument(args), keywords]
        result = func(*args, **(kwargs or {}))
        several = result if isinstance(result, list | tuple) else [result]
        self.nodes.append([*node, [self.place(each) if isinstance(each, Tensor) else None for each in several]])
        return result

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            place = self._places.get(id(value))
            return {"value": self.names.get(id(value)) or self._constant(value) if place is None else place}
        if isinstance(value, list | tuple):
            return [self._argument(each) for each in value]
        if isinstance(value, torch.device):
            return {"value": "device"}
        if isinstance(value, OF_TORCH):
            return {"torch": str(value).removeprefix("torch.")}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise NoGraphError(f"it has an argument of type {type(value).__name__}")

    def _constant(self, tensor: Tensor) -> str:
        name = f"constant.{len(self.constants)}"
        self._kept.append(tensor)
        self.names[id(tensor)] = name
        self.constants[name] = tensor.detach().clone()
        return name


def _passed(generator: Generator, condition_dim: int | None, size: int) -> _Recorder:
    """One pass of `size` images, written down; the noise that it draws is an input."""
    stream = torch.Generator().manual_seed(0)
    z_NZ = torch.randn(size, generator.z_dim, generator=stream)
    given = [z_NZ] if condition_dim is None else [z_NZ, torch.rand(size, condition_dim, generator=stream)]
    # What is drawn first has to be known: inside the recorder drawing is an operation
    with torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(1)), noise.noted() as drawn:
        generator(*given)
    recorder = _Recorder(generator)
    for tensor, name in zip(given, ("latents", "conditions"), strict=False):
        recorder.place(tensor, name)
    for tensor in drawn:
        if len(tensor) != size:
            raise NoGraphError("it draws noise that is not one an image")
        recorder.draw(tensor)
    with torch.no_grad(), noise.given(drawn), recorder:
        images_NCHW = generator(*given)
    recorder.output = recorder.place(images_NCHW)
    return recorder


def _merged(one: Any, other: Any) -> Any:
    """What two passes have in common; whole numbers that grow with the images become {"times": factor}."""
    if type(one) is int and type(other) is int and one != other:
        factor, rest = divmod(one, SIZES[0])
        if rest or factor * SIZES[1] != other:
            raise NoGraphError(f"a number of it is {one} for {SIZES[0]} images and {other} for {SIZES[1]}")
        return {"times": factor}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_merged(*pair) for pair in zip(one, other, strict=True)]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return {key: _merged(one[key], other[key]) for key in one}
    if one != other:
        raise NoGraphError("what it computes depends on the number of images")
    return one


def _placed(nodes: Sequence[list[Any]], output: Place) -> list[list[Any]]:
    """The nodes with as few places as hold all that is needed at once; the output's is called "images"."""
    last: dict[Place, int] = {}
    for line, (_, arguments, keywords, results) in enumerate(nodes):
        last.update(dict.fromkeys([*_values([arguments, keywords]), *results], line))
    places: dict[Place, Place] = {output: "images"}
    free: list[Place] = []
    new, placed = itertools.count(), []
    for line, (name, arguments, keywords, results) in enumerate(nodes):
        read = [_renamed(part, places) for part in (arguments, keywords)]
        # What is read for the last time gives its place to what is computed
        free += _ended(_values([arguments, keywords]), places, last, line)
        for value in results:
            if isinstance(value, int) and value not in places:
                places[value] = free.pop() if free else next(new)
        placed.append([name, *read, [places.get(value, value) for value in results]])
        free += _ended(results, places, last, line)
    return placed


def _ended(values: Sequence[Place], places: dict[Place, Place], last: dict[Place, int], line: int) -> list[Place]:
    """The places, which are taken from them, of values that no line after this one needs."""
    ended = [
        value for value in dict.fromkeys(values) if last[value] == line and places.get(value, "images") != "images"
    ]
    return [places.pop(value) for value in ended]


def _values(given: Any) -> list[Place]:
    """The places that arguments read."""
    if isinstance(given, list):
        return [place for each in given for place in _values(each)]
    return [given["value"]] if isinstance(given, dict) and "value" in given else []


def _renamed(given: Any, places: dict[Place, Place]) -> Any:
    """Arguments with other places."""
    if isinstance(given, list):
        return [_renamed(each, places) for each in given]
    if isinstance(given, dict) and "value" in given:
        return {"value": places.get(given["value"], given["value"])}
    return given
