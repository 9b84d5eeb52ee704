"""No training step waits for its device: nothing in it reads a value of the device or copies to it and waits.

torch's "meta" device stands in for a GPU. Its tensors have no values, so whatever asks for one raises; and it is not
the CPU, so that every copy between the two shows.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.conformance.checks import conformance_spec
from bench.run.build import build_context
from bench.store.runs import Store
from bench.train.adversarial import adversarial
from bench.train.drawn_ahead import fed
from bench.train.ema import update_ema
from bench.train.optimizers import Optimizers
from bench.train.values import Watch, floats

META = torch.device("meta")
WITH_LABELS = "class-conditional"
# Each method on networks that it takes: those of `make_run` for None, else of the conformance checks
METHODS = {
    "class-conditional": None,
    "consistency(fake_weight=1) + augself-gan + diffusion-gan(interval=1) + baseline": None,
    "projected-gan(size=128, width=4)": None,
    "freezed(blocks=2) + disp(prior_size=32)": None,
    "minegan": None,
    "lt(warmup_share=0) + baseline": None,
    "r1(point=raw) + ssgan + logo-gan(clusters=2, prior_size=32) + ada-lite": None,
    "self-cond(clusters=2, interval=100, sample=12)": None,
    "bsa": None,
    "ada-lite(speed_kimg=0.02, target=-1.5, interval=1) + apa(interval=1) + lecam(start=1) + top-k(gamma=0.5)": None,
    "r3gan(gamma=2, gamma_end=0.2) + chain(start_share=0) + baseline": None,
    "glann(prior_size=32, fit_share=0.7)": None,
    "r1(every=2) + path-length(every=2)": "stylegan2-32",
    "progressive(images_per_phase=16)": "stylegan1-32",
    "diffaugment + sle + ae-d(loss=l1) + fastgan-ssl(task=contrastive+aspect)": "fastgan-64",
    "simclr(width=4)": "",
    "insgen + fakeclr + diggan + diffaugment + baseline": None,
}
OWN_OPTIMISER = {"lt", "glann", "simclr"}  # made in `prepare`, of parameters that are moved here


class Copies(TorchDispatchMode):
    """Copies from the CPU to the other device for which Python would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[1] if func is torch.ops.aten.copy_.default else args[0]
            blocking = not (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
            if blocking and source.device.type == "cpu" and result.device.type == "meta":
                self.found.append(f"{func} of {tuple(source.shape)}")
        return result


def moved(value):
    if isinstance(value, (torch.Tensor, nn.Module)):
        return value.to(META)
    return value


def on_meta(ctx, method):
    """The run on the other device, with all that its parts keep; new optimisers of it."""
    ctx.device = META
    for network in (ctx.generator, ctx.discriminator, ctx.ema):
        if network is not None:
            network.to(META)
    for name, part in method.parts:
        for key, value in vars(part).items():
            setattr(part, key, moved(value))
        if name in OWN_OPTIMISER:
            part.prepare(ctx)
        if name == "bsa":  # which cannot prepare a generator twice
            part.latents_MZ = nn.Parameter(torch.zeros(part.latents_MZ.shape, device=META))
            fitted = [part.latents_MZ, *(value for norm in part.adapted for value in (norm.scale, norm.shift))]
            part.optimizer = torch.optim.Adam(fitted, lr=part.lr)
    return None if method.replaces_loop else Optimizers.build(ctx)


def prepared(method, network, make_run, source, root):
    if network is None:
        labels = np.arange(12) % 3 if method == WITH_LABELS else None
        run = make_run(method, steps=9, sources=source, labels=labels)
        return run.ctx, run.method
    spec = conformance_spec(method, network) if network else conformance_spec(method)
    return build_context(spec, Store(root), torch.device("cpu"))


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_step_waits_for_nothing(method, make_run, source, tmp_path, monkeypatch):
    ctx, parts = prepared(method, METHODS[method], make_run, source, tmp_path)
    for number in range(1) if method.startswith("self-cond") else ():  # it looks at features when it clusters: at 0
        parts.begin_step(ctx)
        ctx.step = number + 1
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # there is none on this device
    optimizers = on_meta(ctx, parts)
    loop = parts.fit(ctx) if optimizers is None else adversarial(ctx, parts, optimizers)
    steps, watch = fed(ctx, loop), Watch()
    # Constants and the images come with the first step; what a part does every second time, it has done by the third
    looked_at = ctx.step + (2 if "every=2" in method else 1)
    try:
        for number in range(ctx.step, looked_at + 1):
            copies = Copies()
            with copies:
                ctx.begin_step(number)
                values = next(steps)
                ctx.step = number + 1
                watch.see(ctx.step, values)
                if ctx.ema is not None:
                    update_ema(ctx.ema, ctx.generator, 0.9, ctx.step, ramp=True)
            assert number < looked_at or copies.found == [], copies.found
    finally:
        steps.close()
    with pytest.raises((RuntimeError, NotImplementedError)):  # there are no values here: any look would have raised
        floats(values)


def test_a_look_and_a_copy_are_found():
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(torch.ones((), device=META))
    with Copies() as copies:
        torch.ones(3).to(META)
        torch.ones(3).to(META, non_blocking=True)
        torch.empty(3, device=META).copy_(torch.ones(3))
    assert len(copies.found) == 2
