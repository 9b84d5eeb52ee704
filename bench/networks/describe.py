"""What a network is made of: layers, shapes, parameters, multiply-accumulates; no weight is allocated.

Everything runs on torch's meta device, so a paper-scale network costs milliseconds and no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode

from bench.networks import build
from bench.networks.interface import CountsMacs, Discriminator, Generator, capabilities


@dataclass(frozen=True)
class Layer:
    """One layer of a table; shape and counts are per image."""

    name: str  # dotted path in the network
    kind: str  # class name
    shape: tuple[int, ...] | None  # of the output, without the batch; None: the forward pass does not call it
    parameters: int  # trainable
    macs: int  # multiply-accumulates of convolutions and linear maps, or the layer's own count; else 0


@dataclass(frozen=True)
class Summary:
    """One network as a table with its totals."""

    layers: tuple[Layer, ...]
    parameters: int
    macs: int
    output: tuple[int, ...]
    capabilities: tuple[str, ...]  # which protocols of bench.networks.interface it satisfies


@dataclass(frozen=True)
class Description:
    """A generator and a discriminator, described."""

    name: str
    generator: Summary
    discriminator: Summary


def _divided(x: Tensor, by: Any, **options: Any) -> Tensor:
    """x / by, of a weight by its norm or a factor, without the numbers."""
    is_one = isinstance(by, float) or (isinstance(by, Tensor) and by.ndim == 0 and by.dtype == x.dtype)
    # Where it will be differentiated, what it keeps for that is counted (bench.plan.cost.counting)
    kept = torch.is_grad_enabled() and x.requires_grad
    plain = is_one and x.is_floating_point() and not options and not kept
    return x.new_empty(x.shape) if plain else torch.div(x, by, **options)


# Shapes of what spectral norm calls 15 times a layer when it is attached, of a weight by its norm and of drawn weights.
# On the meta device torch would run these functions through its compiler's reference code, which costs seconds.
_SHAPES: dict[Any, Callable[..., Tensor]] = {
    Tensor.normal_: lambda x, *_, **__: x,
    nn.init.normal_: lambda tensor, *_, **__: tensor,
    torch.randn: lambda *size, generator=None, **options: torch.empty(*size, **options),
    functional.normalize: lambda x, *_, **__: x,
    torch.mv: lambda matrix, vector: vector.new_empty(matrix.shape[0]),
    torch.vdot: lambda x, _: x.new_empty(()),
    torch.outer: lambda x, y: x.new_empty(len(x), len(y)),
    Tensor.div: _divided,
}


class ShapesOnly(TorchFunctionMode):
    """Answers the functions of _SHAPES by their shape alone."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _SHAPES.get(func, func)(*args, **(kwargs or {}))


@contextmanager
def weightless() -> Iterator[None]:
    """Inside, networks are built with shapes and without weights, on the meta device, in milliseconds."""
    with torch.device("meta"), torch.no_grad(), ShapesOnly():
        yield


def describe(name: str, **overrides: Any) -> Description:
    """Describe `build(name, **overrides)` by one image's forward pass on the meta device.

    Raises UserError as `build` does.
    """
    with weightless():
        generator, discriminator = build(name, **overrides)
        size = generator.condition_dim
        condition = () if size is None else (torch.empty(1, size),)
        images, g_summary = _summarise(generator.eval(), torch.empty(1, generator.z_dim), *condition)
        _, d_summary = _summarise(discriminator.eval(), images, *condition)
    return Description(name, g_summary, d_summary)


def _summarise(network: Generator | Discriminator, *inputs: Tensor) -> tuple[Any, Summary]:
    # One forward pass, in which each layer's hook records its shape and count.
    calls: dict[nn.Module, tuple[tuple[int, ...] | None, int]] = {}

    def record(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
        earlier = calls[module][1] if module in calls else 0
        calls[module] = shape, earlier + _macs(module, args[0], output)

    rows = {name: module for name, module in network.named_modules() if _is_row(name, module)}
    handles = [module.register_forward_hook(record) for module in rows.values()]
    output = network(*inputs)
    for handle in handles:
        handle.remove()

    # The table, a row for each layer, and its totals.
    layers = tuple(
        Layer(
            name=name,
            kind=type_before_parametrizations(module).__name__,
            shape=calls[module][0] if module in calls else None,
            parameters=_own_parameters(module),
            macs=calls[module][1] if module in calls else 0,
        )
        for name, module in rows.items()
    )
    whole = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
    macs = sum(layer.macs for layer in layers)
    return output, Summary(layers, whole, macs, shape, capabilities(network))


def _is_row(name: str, module: nn.Module) -> bool:
    """A layer has parameters of its own, or no parts; a parametrization belongs to the layer that has it."""
    if "parametrizations" in name.split("."):
        return False
    parts = [child for child, _ in module.named_children() if child != "parametrizations"]
    return not parts or _own_parameters(module) > 0


def _own_parameters(module: nn.Module) -> int:
    own = list(module.parameters(recurse=False))
    if "parametrizations" in dict(module.named_children()):
        own += list(module.get_submodule("parametrizations").parameters())
    return sum(parameter.numel() for parameter in own if parameter.requires_grad)


def _macs(module: nn.Module, x: Any, output: Any) -> int:
    """Multiply-accumulates of one call on a batch of one.

    A layer whose convolution is a function call (a modulated one) has its own count: `macs(x, output)`.
    """
    if isinstance(module, CountsMacs):
        return module.macs(x, output)
    if isinstance(module, nn.ConvTranspose2d):
        return x.numel() * module.out_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return 0
