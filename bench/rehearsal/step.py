"""`python -m bench.rehearsal.step FOLDER`: rehearse the configuration in FOLDER/order.json, in this process alone.

The engine's own context, networks, method, optimisers and loop make one real training step at paper size. Its time and
memory are written to FOLDER/measured.json. Source weights are those of an untrained network of the paper's size.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench import networks, paths
from bench.contract.composition import Composition
from bench.contract.context import Context
from bench.errors import UserError
from bench.features.known import VGG16
from bench.files import atomic
from bench.files.weights import write_weights
from bench.machine.memory import peak_bytes, reset_peak, resident_bytes
from bench.networks.describe import describe
from bench.rehearsal import images
from bench.rehearsal.configurations import DATA, Configuration
from bench.run.build import build_context
from bench.spec.run import DataSpec, RunSpec, WeightsFile
from bench.store.runs import Store
from bench.train.bare_steps import BareSteps

Sums = dict[str, int]


def measure(configuration: Configuration, images_from: DataSpec, scratch: Path) -> dict[str, Any]:
    """Build the run, make one step, and return what was measured as plain data (bytes, seconds, counts).

    Raises UserError where a loss is not finite, a frozen parameter has moved or a trained network has not.
    """
    # Images and source weights of paper size
    started = time.monotonic()
    spec = configuration.run_spec()
    offer_inputs(configuration, spec, images_from)
    # The run, whose memory is measured while it is built ...
    reset_peak()
    ctx, method = build(configuration, spec, scratch, torch.device("cpu"))
    built = time.monotonic()
    # ... and while it makes its step
    while_building = peak_bytes() or 0
    before = resident_bytes(os.getpid()) or 0
    reset_peak()
    step = RehearsedStep(ctx, method)
    logs = step.run(configuration.step)
    bad = sorted(name for name, value in logs.items() if not math.isfinite(value))
    if bad:
        raise UserError(f"not finite after one step: {', '.join(bad)}")
    return {
        "build_seconds": built - started,
        "seconds": step.seconds,
        "peak_bytes": max(while_building, peak_bytes() or 0),
        "before_bytes": before,
        "activation_bytes": step.activations.most,
        "flops": step.flops,
        "logs": logs,
        "networks": {role: step.parameters(role) for role in ("generator", "discriminator")},
        "macs": _macs(configuration, ctx, method),
        "own_loop": method.replaces_loop,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "time": time.time(),
    }


def offer_inputs(configuration: Configuration, spec: RunSpec, images_from: DataSpec) -> None:
    """Make what the run reads: images of the paper's size, and untrained weights in the place of those it starts from.

    They go to the folders of $BENCH_CACHE and $BENCH_WEIGHTS, which have to be a rehearsal's own.
    """
    images.offer(DATA, images_from, configuration.images, configuration.classes)
    for role, source in spec.sources.items():
        assert isinstance(source, WeightsFile)
        _write_source(configuration, role, paths.weights_root() / f"{source.weights}.pt")
    if any("vgg16_fc" in str(value) for part in spec.method for value in part.settings.values()):
        _write_vgg16(VGG16.own)


def build(
    configuration: Configuration, spec: RunSpec, scratch: Path, device: torch.device
) -> tuple[Context, Composition]:
    """The run's context and method on a device, its parts in the state that the configuration names."""
    ctx, method = build_context(spec, Store(scratch / "store"), device)
    for name, part in method.parts:
        if name in configuration.state:
            part.load_state_dict(configuration.state[name])
    return ctx, method


class RehearsedStep:
    """One step of a run, with its seconds, operations, kept activations and changed parameters."""

    def __init__(self, ctx: Context, method: Composition) -> None:
        self.ctx, self.method = ctx, method
        self.activations = Activations(ctx)
        self.seconds, self.flops = 0.0, 0

    def run(self, number: int) -> dict[str, float]:
        """Make step `number`, and return its losses."""
        ctx, steps = self.ctx, BareSteps(self.ctx, self.method)
        # Checksums from before the step show which parameters it changes
        ctx.begin_step(number)
        self.sums = {role: checksums(network) for role, network in self._networks().items()}
        counter = _Operations()
        started = time.monotonic()
        with counter, self.activations:
            logs = steps.go_on(number)
        self.seconds = time.monotonic() - started
        self.flops = counter.total
        return logs

    def parameters(self, role: str) -> dict[str, int]:
        """How many numbers and tensors there are, are trained and have changed. Raises UserError for a wrong change."""
        # A parameter may change only with a gradient, and a trained network must change
        network = self._networks()[role]
        after = checksums(network)
        changed = {name for name, value in after.items() if value != self.sums[role][name]}
        trained = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
        if moved := sorted(changed - trained):
            raise UserError(f"{role}: {moved[0]} has no gradient, and has changed nevertheless")
        if trained and not changed:
            raise UserError(f"{role}: no parameter has changed")
        if not trained and not self.method.replaces_loop:
            raise UserError(f"{role}: no parameter has a gradient")
        numbers = {name: parameter.numel() for name, parameter in network.named_parameters()}
        return {
            "parameters": sum(numbers.values()),
            "trained_parameters": sum(numbers[name] for name in trained),
            "tensors": len(numbers),
            "trained": len(trained),
            "changed": len(changed),
        }

    def _networks(self) -> dict[str, nn.Module]:
        return dict(zip(("generator", "discriminator"), self.ctx.networks(), strict=True))


class _Operations(TorchDispatchMode):
    """Counts the floating-point operations of convolutions and matrix products inside it, by torch's formulas.

    Torch's own FlopCounterMode also follows modules, by hooks that do not allow gradients of gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func.overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


class Activations:
    """Counts the bytes that are kept for backward passes inside it; `most` is the most at one time.

    A storage that several layers keep counts once. Parameters and the networks' buffers do not count.
    """

    def __init__(self, ctx: Context) -> None:
        self.most, self.now = 0, 0
        self.users: Counter[int] = Counter()
        self.own = {
            tensor.untyped_storage().data_ptr()
            for network in ctx.networks()
            for tensor in (*network.parameters(), *network.buffers())
        }
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda kept: kept.tensor)

    def __enter__(self) -> None:
        self.hooks.__enter__()

    def __exit__(self, *reason: object) -> None:
        self.hooks.__exit__(*reason)

    def _keep(self, tensor: Tensor) -> _Kept:
        storage = tensor.untyped_storage()
        if isinstance(tensor, nn.Parameter) or storage.data_ptr() in self.own:
            return _Kept(tensor, None)
        self.users[storage.data_ptr()] += 1
        if self.users[storage.data_ptr()] == 1:
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
        return _Kept(tensor, self)

    def drop(self, tensor: Tensor) -> None:
        """Count a kept tensor off, which its backward pass no longer needs."""
        storage = tensor.untyped_storage()
        self.users[storage.data_ptr()] -= 1
        if self.users[storage.data_ptr()] == 0:
            self.now -= storage.nbytes()


class _Kept:
    """A tensor kept for a backward pass, which `books` counts off when it is released."""

    def __init__(self, tensor: Tensor, books: Activations | None) -> None:
        self.tensor, self.books = tensor, books

    def __del__(self) -> None:
        if self.books is not None:
            self.books.drop(self.tensor)


def checksums(network: nn.Module) -> Sums:
    """A checksum of each parameter's bytes, which is smaller than a copy and differs after any update."""
    return {
        name: zlib.crc32(parameter.detach().contiguous().numpy().tobytes())
        for name, parameter in network.named_parameters()
    }


def _macs(configuration: Configuration, ctx: Context, method: Composition) -> dict[str, int]:
    """Multiply-accumulates of one image's forward pass, with the network options that the method sets."""
    options = {**configuration.network.options, **method.networks(ctx)}
    network = describe(configuration.network.name, **options)
    return {"generator": network.generator.macs, "discriminator": network.discriminator.macs}


def _write_source(configuration: Configuration, role: str, path: Path) -> None:
    """Write untrained weights for a source role, in the form of those that the paper starts from."""
    if role == "network":
        options = {**configuration.network.options, **configuration.source}
        generator, discriminator = networks.build(configuration.network.name, seed=1, **options)
        write_weights(path, {"ema": generator.state_dict(), "discriminator": discriminator.state_dict()})
        return
    from torchvision.models import resnet50

    with networks.initialised(1, role):
        encoder = resnet50(weights=None)
    write_weights(path, {"resnet50": encoder.state_dict()})


def _write_vgg16(path: Path) -> None:
    """Write an untrained VGG16, for priors of its fully connected layers."""
    from torchvision.models import vgg16

    with networks.initialised(1, "vgg16"):
        write_weights(path, vgg16(weights=None).state_dict())


def main(folder: Path) -> None:
    """Carry out the order in `folder`."""
    order = json.loads((folder / "order.json").read_text())
    torch.set_num_threads(order["threads"])
    configuration = Configuration.model_validate(order["configuration"])
    measured = measure(configuration, DataSpec.model_validate(order["images_from"]), folder)
    atomic.write_json(folder / "measured.json", measured)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
