"""Files that are not what they seem: a tensor of each layer of a valid file of each format spoilt in turn.

What is spoilt must be refused in one line that names it, and nothing may be written; nothing may hang or crash.
"""

import importlib.util
import random
import re
from collections import defaultdict
from pathlib import Path

import pytest
import torch

import ada_snapshots
from bench.convert.importing import import_checkpoint
from bench.errors import UserError


def sibling(name):
    """Another test file of this folder, for its synthetic networks."""
    spec = importlib.util.spec_from_file_location(f"samples_{name}", Path(__file__).parent / f"test_{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sample:
    """A valid file of a format: `states`, role -> names to tensors, and how they become files."""

    network: str | None = None
    free: tuple[str, ...] = ()  # tensors that the format may lack: an older form has none

    def __init__(self, folder, draws):
        self.folder, self.states = folder, self.make(draws)

    def load(self):
        """Import what the states are now."""
        return import_checkpoint(self.format, self.save(), name="x", network=self.network)

    def file(self, name, value):
        torch.save(value, self.folder / name)
        return self.folder / name


class BigGan(Sample):
    format = "biggan-pytorch"
    free = ("accumulation_counter",)

    def make(self, draws):
        source = sibling("biggan_pytorch")
        generator = source.make_generator(draws, 32, ch=4, chunk=5, form="bn.stored")
        for key in [key for key in generator if key.endswith("bn.stored_mean")]:
            generator[key.replace("stored_mean", "accumulation_counter")] = torch.zeros(1)
        return {"G": dict(generator), "D": dict(source.make_discriminator(draws, 32, ch=4))}

    def save(self):
        return [self.file("G_ema.pth", self.states["G"]), self.file("D.pth", self.states["D"])]


class BigGanTables(BigGan):
    def make(self, draws):
        source = sibling("biggan_pytorch")
        state = source.make_generator(draws, 32, ch=4, chunk=12, shared=None, hier=False, sn=False)
        return {"G": dict(state)}

    def save(self):
        return [self.file("G_ema.pth", self.states["G"])]


class Mimicry(Sample):
    format = "mimicry-sngan"

    def make(self, draws):
        source = sibling("mimicry_sngan")
        judge = source.make_discriminator(draws, 48, "own")
        return {"G": dict(source.make_generator(draws, 48)), "D": dict(judge)}

    def save(self):
        return [
            self.file(f"net{role}.pth", {"model_state_dict": state, "global_step": 3})
            for role, state in self.states.items()
        ]


class FastGan(Sample):
    format = "fastgan-released"

    def make(self, draws):
        source = sibling("fastgan_released")
        return {
            "g": dict(source.make_generator(draws, 256, 2)),
            "d": dict(source.make_discriminator(draws, 256, 4)),
        }

    def save(self):
        return [self.file("5.pth", self.states)]


class Port(Sample):
    format, network = "stylegan1-port", "stylegan1-32"

    def make(self, draws):
        source = sibling("stylegan1_port")
        return {
            "g_running": dict(source.make_generator(draws)),
            "discriminator": dict(source.make_discriminator(draws)),
        }

    def save(self):
        return [self.file("x.model", self.states)]


class Ada(Sample):
    format = "stylegan2-ada"

    def make(self, draws):
        self.draws = draws
        self.roots = {
            "G_ema": ada_snapshots.make_generator(draws, ada_snapshots.WIDTHS),
            "D": ada_snapshots.make_discriminator(draws, ada_snapshots.WIDTHS),
        }
        return {role: root.state_dict() for role, root in self.roots.items()}

    def save(self):
        """Put the states' tensors where they belong; a new name, where its stem is."""
        for role, root in self.roots.items():
            for module in root.modules():
                module._parameters.clear()
                module._buffers.clear()
            for name, value in self.states[role].items():
                path, _, key = name.rpartition(".")
                root.get_submodule(path)._parameters[key] = value
        return [self.draws.snapshot(self.folder / "x.pkl", dict(self.roots))]


SAMPLES = [BigGan, BigGanTables, Mimicry, FastGan, Port, Ada]


def filled(number):
    """One value that is not a number that a weight may be."""

    def change(value):
        value = value.clone()
        value[(-1,) * value.ndim] = number
        return value

    return change


def repeated(value):
    """The same shape from one number."""
    return value.flatten()[:1].reshape([1] * value.ndim).expand(value.shape) if value.numel() > 1 else None


def spread(value):
    """Every second number of a larger storage."""
    return value.repeat_interleave(2, dim=-1)[..., ::2] if value.ndim and value.numel() > 1 else None


# What each makes of a tensor; None: this tensor cannot be spoilt so.
SPOILT = {
    "nan": lambda value: filled(torch.nan)(value) if value.is_floating_point() else None,
    "infinite": lambda value: filled(-torch.inf)(value) if value.is_floating_point() else None,
    "complex": lambda value: value.to(torch.complex64),
    "double": lambda value: value.to(torch.float64),
    "half": lambda value: value.half(),
    "bool": lambda value: value.bool(),
    "an axis more": lambda value: value[..., None],
    "empty": lambda value: value.new_empty((0, *value.shape[1:])),
    "sparse": lambda value: value.to_sparse() if value.ndim else None,
    "meta": lambda value: value.to("meta"),
    "repeated": repeated,
    "spread": spread,
    "no tensor": lambda value: [1.0],
}


def spoil(state, key, kind):
    """Spoil one tensor of a state; the names that an error may give it, or None where it cannot be spoilt so."""
    order = list(state)
    if kind == "missing":
        del state[key]
        return [key]
    if kind == "renamed":
        path, _, last = key.rpartition(".")
        new = f"{path}.not_{last}".lstrip(".")
        renamed = {(new if one == key else one): value for one, value in state.items()}
        state.clear()
        state.update(renamed)
        return [key, new]
    if kind == "extra":
        state[f"{key}_too"] = state[key]
        return [f"{key}_too"]
    value = SPOILT[kind](state[key])
    state[key] = state[key] if value is None else value
    assert list(state) == order
    return None if value is None else [key]


def refused(sample, weights_root):
    """The message of the refusal, or what happened instead."""
    try:
        made = sample.load()
    except UserError as error:
        written = [str(path) for path in weights_root.rglob("*")] if weights_root.exists() else []
        return f"wrote {written}" if written else str(error)
    except Exception as error:
        return f"no UserError but {error!r}"
    made.path.unlink()
    made.path.parent.rmdir()
    return "no refusal"


KINDS = [*SPOILT, "missing", "renamed", "extra"]


def faults(sample, cases, weights_root):
    """(role, key, kind) of every case that is not refused in one line naming the tensor and its file."""
    found = []
    for role, key, kind in cases:
        state, before = sample.states[role], dict(sample.states[role])
        names = spoil(state, key, kind)
        may_lack = kind == "missing" and key.endswith(sample.free or "nothing")
        if names is not None and not may_lack:
            message = refused(sample, weights_root)
            if not any(f"{name}'" in message for name in names) or "\n" in message or "/" not in message:
                found.append((role, key, kind, message))
        state.clear()
        state.update(before)
    return found


def alike(keys, draw):
    """Of the keys that differ in their numbers alone, which the converters read by one line of code, one at random."""
    groups = defaultdict(list)
    for key in keys:
        groups[re.sub(r"\d+", "#", key)].append(key)
    return [draw.choice(group) for group in groups.values()]


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_tensor_spoilt_is_refused_by_name(sample, tmp_path, draws, weights_root):
    """A tensor of each layer in one way, so that each way meets many tensors; in every way a tensor somewhere in each
    network; its last one missing, renamed and followed by another. The file as it was is taken before and after.
    """
    sample, draw = sample(tmp_path, draws), random.Random(sample.__name__)
    assert refused(sample, weights_root) == "no refusal"
    every = [(role, key) for role, state in sample.states.items() for key in alike(state, draw)]
    cases = {(*one, KINDS[number % len(KINDS)]): None for number, one in enumerate(every)}
    for role, state in sample.states.items():
        cases |= {(role, draw.choice(list(state)), kind): None for kind in KINDS}
        cases |= {(role, list(state)[-1], kind): None for kind in ("missing", "renamed", "extra")}
    assert faults(sample, cases, weights_root) == []
    assert refused(sample, weights_root) == "no refusal"
