"""A generator from a file, without its training data: imported weights, an export, or the networks of a run's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench import networks
from bench.contract.base import ClassSampler, Sampler
from bench.errors import UserError
from bench.files.weights import check_state
from bench.networks.interface import Generator
from bench.paths import weights_root
from bench.run.draws import BATCH, Draws
from bench.run.export import FORMAT, VERSION, read_export


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint. told: what it is, in words; notes: what is to be known of how it is sampled."""

    draws: Draws
    told: str
    notes: tuple[str, ...]

    def refuse_resolution(self, resolution: int) -> None:
        """UserError unless it makes images of this size."""
        own = self.draws.generator.resolution
        if own != resolution:
            raise UserError(f"{self.draws.name} makes images of {own} px, the protocol's are of {resolution} px")


def open_checkpoint(
    text: str, network: str | None = None, device: str = "cpu", batch: int = BATCH, whole: int = 0
) -> Checkpoint:
    """The generator of a file, or of the imported weights of a name (`bench weights import`), ready to be sampled.

    network: what it is of, where the file does not say; its default options are then taken. batch, whole: how many
    images are made at once, and first (bench.run.draws). Latents are N(0, I); of an
    export of a method that draws others, those that it holds. Classes are drawn evenly. Raises UserError for a file
    that is no such thing, names another network, or holds weights that do not fit.
    """
    # What the file is
    path = _file(text)
    content = read_export(path)
    name = f"checkpoint {text}"
    exported = content.get("format") == FORMAT
    if exported and content.get("version") != VERSION:
        raise UserError(f"{name}: an export of version {content.get('version')}, this program reads {VERSION}")
    state = content.get("state" if exported else "ema")
    if state is None:
        raise UserError(f"{name}: has no generator, unlike what `bench weights import` and `bench export` write")
    # Its network, and how that is sampled
    check_state(state, f"{name}, its generator")
    chosen, options = _network(name, content, exported, network)
    generator = _built(name, chosen, options, state).to(torch.device(device)).to(memory_format=torch.channels_last)
    notes: list[str] = []
    sampler, of_class = _samplers(name, content, exported, generator, notes)
    draws = Draws(
        name,
        generator.eval(),
        sampler,
        0,
        torch.device(device),
        batch,
        whole,
        own=content.get("batch_statistics") if exported else None,
        class_sampler=of_class,
        classes=tuple((number, str(number)) for number in range(generator.condition_dim or 0)) if of_class else (),
    )
    return Checkpoint(draws, f"{path.name}, network {chosen}", tuple(notes))


def _file(text: str) -> Path:
    """The file of a path, or of a name among the weights."""
    path, named = Path(text), weights_root() / f"{text}.pt"
    if path.is_file():
        if path.suffix in (".pkl", ".model"):
            raise UserError(f"checkpoint {path}: `bench weights import FORMAT {path}` turns it into weights to score")
        return path
    if named.is_file():
        return named
    raise UserError(f"checkpoint {text}: neither a file nor weights of that name ({named})")


def _network(name: str, content: Mapping[str, Any], exported: bool, asked: str | None) -> tuple[str, dict[str, Any]]:
    """The network and its options: the file's own, else those that the user names."""
    said = {"name": content["network"], "options": content["options"]} if exported else content.get("network")
    if said is None:
        if asked is None:
            raise UserError(f"{name}: does not say which network it is of; --network NAME does")
        networks.NETWORKS.entry(asked)
        return asked, {}
    if not isinstance(said, Mapping) or not isinstance(said.get("options"), Mapping) or "name" not in said:
        raise UserError(f"{name}: its entry 'network' must have a name and options")
    if asked not in (None, said["name"]):
        raise UserError(f"{name} is of network '{said['name']}', not of '{asked}'; leave --network out")
    return str(said["name"]), dict(said["options"])


def _built(name: str, network: str, options: Mapping[str, Any], state: Mapping[str, Tensor]) -> Generator:
    generator, _ = networks.build(network, seed=0, **options)
    own = {key: tuple(value.shape) for key, value in generator.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    if own != given:
        odd = sorted(key for key in own.keys() | given.keys() if own.get(key) != given.get(key))
        raise UserError(
            f"{name}: its generator is not a '{network}' with these options: {odd[0]} is "
            f"{given.get(odd[0], 'missing')}, must be {own.get(odd[0], 'absent')} ({len(odd)} such tensors)"
        )
    generator.load_state_dict(dict(state))
    return generator


def _samplers(
    name: str, content: Mapping[str, Any], exported: bool, generator: Generator, notes: list[str]
) -> tuple[Sampler, ClassSampler | None]:
    """How latents and conditions are drawn."""
    if exported:
        return _of_export(name, content, notes), None
    classes = generator.condition_dim
    if classes is None:
        return lambda generator, z_NZ, stream: generator(z_NZ), None
    if "origin" not in content:
        raise UserError(f"{name}: its generator takes conditions that the file does not have; score the run (--run), "
                        "or its `bench export`")  # fmt: skip
    notes.append(f"classes drawn evenly from {classes:,}")

    def of_class(generator: Generator, z_NZ: Tensor, label_N: Tensor, stream: torch.Generator) -> Tensor:
        images_NCHW: Tensor = generator(z_NZ, functional.one_hot(label_N, classes).to(z_NZ))
        return images_NCHW

    def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
        return of_class(generator, z_NZ, torch.randint(classes, (len(z_NZ),), generator=stream), stream)

    return sample, of_class


def _of_export(name: str, content: Mapping[str, Any], notes: list[str]) -> Sampler:
    """Conditions are rows of those that the file holds; so are latents of a method that draws its own."""
    latents_MZ, conditions_MK = content["latents"], content["conditions"]
    if conditions_MK is not None:
        notes.append(f"conditions drawn from the {len(conditions_MK):,} of the export")
    if not content["normal"]:
        notes.append(f"latents drawn from the {len(latents_MZ):,} of the export, with replacement")

    def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
        row_N = torch.randint(len(latents_MZ), (len(z_NZ),), generator=stream)
        given_NZ = z_NZ if content["normal"] else latents_MZ[row_N].to(z_NZ)
        if conditions_MK is None:
            images_NCHW: Tensor = generator(given_NZ)
            return images_NCHW
        conditioned_NCHW: Tensor = generator(given_NZ, conditions_MK[row_N].to(z_NZ))
        return conditioned_NCHW

    return sample
