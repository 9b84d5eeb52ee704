"""The settings of one cell, complete and checked: what its patches come to once they are merged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from bench.errors import UserError
from bench.spec.patch import COUNTS, Patch
from bench.spec.run import DataSpec, Frozen, NetworkSpec, Protocol, TrainSettings
from bench.spec.source import Source

Whole = TypeVar("Whole", bound=Frozen)
OF_A_CELL = "the scale, the column, the group, the row or the cell"
OF_A_COLUMN = "the scale or the column"


class Unfinished(UserError):
    """What patches do not come to: a setting that is missing, or settings that do not go together.

    keys: of the setting, inside a patch. missing: whether it is not there at all. rule: what is wrong with settings
    that are there, without the name of the cell.
    """

    def __init__(self, keys: tuple[str, ...], where: str, text: str, *, missing: bool = False) -> None:
        super().__init__(f"{where} {text}" if missing else f"{where}: {'.'.join(keys)}: {text}")
        self.keys, self.missing, self.rule = keys, missing, text


@dataclass(frozen=True)
class Scored:
    """Which images a run has, and how its snapshots are scored; `protocol` has the counts."""

    data: DataSpec
    protocol: Protocol
    stand_in: str | None  # what the data set stands in for


@dataclass(frozen=True)
class Cell(Scored):
    """All settings of a trained cell."""

    method: str
    network: NetworkSpec
    train: TrainSettings
    sources: Mapping[str, Source]


def scored(patch: Patch, where: str, places: str = OF_A_COLUMN) -> Scored:
    """The data and the protocol of a merged patch. Raises Unfinished."""
    said = patch.said
    data = _whole(DataSpec, said, "data", where, places)
    _present(said, "protocol", where, places)
    counts = {count: _present(said, count, where, places) for count in COUNTS}
    protocol = _whole(Protocol, {"protocol": {**said["protocol"], **counts}}, "protocol", where, places)
    return Scored(data, protocol, patch.stand_in)


def trained(patch: Patch, where: str) -> Cell:
    """The settings of a cell that is trained, from its merged patch.

    where: what the cell is called in a message. Raises Unfinished for a setting that no place gives, and for settings
    that do not go together.
    """
    said = patch.said
    method, network = (_present(said, key, where, OF_A_CELL) for key in ("method", "network"))
    train = _whole(TrainSettings, said, "train", where, OF_A_CELL)
    against = scored(patch, where, OF_A_CELL)
    if (last := max(against.protocol.keep or (0,))) >= train.steps:
        why = "is the last, whose weights are always kept" if last == train.steps else "is beyond the last"
        raise Unfinished(("protocol", "keep"), where, f"step {last} of {train.steps} {why}; leave it out")
    sources = {role: source for role, source in patch.sources.items() if source is not None}
    return Cell(against.data, against.protocol, against.stand_in, method, network, train, sources)


USES = ("method", "network", "train", "protocol")  # what a measure that looks at no run may ask for, beside the data


@dataclass(frozen=True)
class Material:
    """What a measure that looks at no run is taken of: its images, and what else it asks for."""

    data: DataSpec
    stand_in: str | None
    method: str | None = None
    network: NetworkSpec | None = None
    train: TrainSettings | None = None
    protocol: Protocol | None = None


def material(patch: Patch, uses: Collection[str], where: str) -> Material:
    """The settings of a merged patch that such a measure asks for (of `USES`). Raises Unfinished for a missing one."""
    said = patch.said
    return Material(
        data=_whole(DataSpec, said, "data", where, OF_A_CELL),
        stand_in=patch.stand_in,
        method=_present(said, "method", where, OF_A_CELL) if "method" in uses else None,
        network=_present(said, "network", where, OF_A_CELL) if "network" in uses else None,
        train=_whole(TrainSettings, said, "train", where, OF_A_CELL) if "train" in uses else None,
        protocol=scored(patch, where, OF_A_CELL).protocol if "protocol" in uses else None,
    )


def _whole(model: type[Whole], said: Mapping[str, Any], key: str, where: str, places: str) -> Whole:
    """A setting that merges by key, as the whole that it must come to."""
    values = {name: value for name, value in _present(said, key, where, places).items() if value is not None}
    for name, field in model.model_fields.items():
        if field.is_required() and name not in values:
            raise _missing((key, name), where, places)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        keys = (key, *map(str, first["loc"]))
        raise Unfinished(keys, where, first["msg"].removeprefix("Value error, ")) from error


def _present(said: Mapping[str, Any], key: str, where: str, places: str) -> Any:
    if key not in said:
        raise _missing((key,), where, places)
    return said[key]


def _missing(keys: tuple[str, ...], where: str, places: str) -> Unfinished:
    return Unfinished(keys, where, f"has no {'.'.join(keys)}; give it in {places}", missing=True)
