"""From files to <weights root>/NAME.pt: convert, compare with the network that the weights are for, write."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.convert import FORMATS
from bench.convert.translation import Converted, Translation
from bench.errors import UserError
from bench.files.weights import write_weights
from bench.networks import NETWORKS, build
from bench.networks.describe import weightless
from bench.paths import weights_root
from bench.spec.run import WeightsFile

State = Mapping[str, Tensor]
# By network and options: to build one takes longer than to read a file
_LAST: dict[str, tuple[State, State]] = {}
NAME = WeightsFile.model_fields["weights"].metadata[0].pattern  # what a table's `weights:` may be


@dataclass(frozen=True)
class Imported:
    """What an import has written."""

    path: Path
    network: str
    options: dict[str, Any]
    members: tuple[str, ...]
    notes: tuple[str, ...]


def import_checkpoint(
    format_name: str,
    files: Sequence[Path],
    *,
    name: str | None = None,
    network: str | None = None,
    settings: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Imported:
    """Turn a public checkpoint into weights that tables name by `weights: NAME`, and write them whole or not at all.

    name: by default the first file's, without its suffix. network: the one that the checkpoint must be of; needed where
    the file does not tell. settings: of the network, over those that the checkpoint implies. The written file has the
    members `ema` (the generator), `discriminator` where the checkpoint has one, `network` (name and options) and
    `origin`.

    Raises UserError for an unknown format, an impossible name, weights that exist already (unless `replace`), and for
    whatever in the files is missing, unexpected or of another shape than the network's.
    """
    # What can be refused before a file is read.
    convert = FORMATS.load(format_name)
    if network is not None:
        NETWORKS.entry(network)
    if not files:
        raise UserError(f"format '{format_name}' needs a file: {FORMATS.entry(format_name).summary}")
    target = _target(name if name is not None else files[0].stem, named=name is not None)
    if target.exists() and not replace:
        raise UserError(f"weights {target} exist already; give another name with --as, or --force to replace them")

    # Convert, compare with the network, write.
    converted: Converted = convert(list(files), network)
    if network is not None and network != converted.network:
        raise UserError(f"checkpoint {files[0]} is of network '{converted.network}', not of '{network}'")
    options = {**converted.options, **(settings or {})}
    members = _checked(converted, options)
    write_weights(
        target,
        {
            **{key: dict(translation.tensors) for key, translation in members.items()},
            "network": {"name": converted.network, "options": options},
            "origin": {"format": format_name, "files": _hashes(converted.files or files)},
        },
    )
    return Imported(target, converted.network, options, tuple(members), tuple(converted.notes))


def _target(name: str, *, named: bool) -> Path:
    if not re.fullmatch(NAME, name):
        hint = "" if named else "; give one with --as"
        raise UserError(
            f"weights name '{name}' must be letters, digits, '.', '_' and '-', the first a letter or digit{hint}"
        )
    return weights_root() / f"{name}.pt"


def _checked(converted: Converted, options: Mapping[str, Any]) -> dict[str, Translation]:
    """The members; UserError unless they have exactly the network's names, shapes and types."""
    generator, discriminator = _states(converted.network, options)
    label = f"network '{converted.network}' with {_listed(options)}"
    members = {"ema": converted.generator}
    _check(converted.generator, generator, label)
    if converted.discriminator is not None:
        members["discriminator"] = converted.discriminator
        _check(converted.discriminator, discriminator, label)
    return members


def _states(network: str, options: Mapping[str, Any]) -> tuple[State, State]:
    """The states of the generator and the discriminator, without numbers; those of the last network are kept."""
    kind = f"{network} {sorted(options.items())!r}"
    if kind not in _LAST:
        with weightless():
            generator, discriminator = build(network, **options)
        _LAST.clear()
        _LAST[kind] = generator.state_dict(), discriminator.state_dict()
    return _LAST[kind]


def _check(translation: Translation, state: State, label: str) -> None:
    # Every translated tensor has its place in the network, with this shape and type.
    foreign = translation.foreign
    for ours, tensor in translation.tensors.items():
        theirs = translation.origins[ours]
        if ours not in state:
            raise UserError(f"{foreign.where}: the key '{theirs}' has no place in the {label}")
        if tensor.shape != state[ours].shape:
            raise UserError(
                f"{foreign.where}: '{theirs}' becomes {ours} of shape {tuple(tensor.shape)}, "
                f"which must be {tuple(state[ours].shape)} in the {label}"
            )
        if tensor.dtype != state[ours].dtype:
            raise UserError(f"{foreign.where}: '{theirs}' is {tensor.dtype}, must be {state[ours].dtype}")
        if not bool(tensor.isfinite().all()):  # numbers at the very end of float32's range, scaled
            raise UserError(f"{foreign.where}: '{theirs}' becomes {ours} with values that are not finite")

    # Every tensor of the network has been translated, and every one of the file used.
    for ours in state:
        if ours not in translation.tensors:
            missing = f"the key '{translation.absent[ours]}' is missing: " if ours in translation.absent else ""
            raise UserError(f"{foreign.where}: {missing}nothing in it becomes {ours}, which the {label} has")
    foreign.finish()


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items()) or "its defaults"


def _hashes(files: Sequence[Path]) -> dict[str, str]:
    """File name -> sha256."""
    hashes = {}
    for path in files:
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
