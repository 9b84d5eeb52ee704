"""Settings that are laid over others: what a scale, a column, a group of rows, a row or a cell says differently."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, create_model, model_validator
from pydantic.fields import FieldInfo

from bench.errors import RuleError
from bench.spec.run import DataKeys, Frozen, NetworkSpec, ProtocolKeys, TrainKeys
from bench.spec.source import Source

# These merge key by key, and null removes a key; the others replace what is under them.
BY_KEY = ("data", "train", "protocol", "sources", "evaluate", "of")
COUNTS = ("generated", "reference")  # keys of a Protocol that a patch has beside it


def method_text(value: Any) -> Any:
    """The value, where it can be a method expression. Raises ValueError otherwise."""
    if not isinstance(value, str):
        raise ValueError("a method is text such as 'diffaugment + disp(prior=vgg16)'")
    return value


MethodText = Annotated[str, BeforeValidator(method_text)]


class CountsApart(ProtocolKeys):
    """The keys of a protocol in a patch, which has the counts beside them."""

    @model_validator(mode="before")
    @classmethod
    def _no_counts(cls, value: Any) -> Any:
        for count in COUNTS:
            if isinstance(value, dict) and count in value:
                raise RuleError(count, f"stands beside `protocol`, in a column for example: {count}: {value[count]}")
        return value


def _optional(name: str, model: type[Frozen]) -> Any:
    """A model with the same keys, none of which must be there; null is what removes a key."""
    fields: dict[str, Any] = {key: (_or_none(field), None) for key, field in model.model_fields.items()}
    return create_model(name, __base__=model, **fields)


def _or_none(field: FieldInfo) -> Any:
    kind: Any = field.annotation
    return (Annotated[kind, *field.metadata] if field.metadata else kind) | None


if TYPE_CHECKING:  # for a checker of types a patch has the whole's keys
    DataPatch = DataKeys
    TrainPatch = TrainKeys
    ProtocolPatch = ProtocolKeys
else:
    DataPatch = _optional("DataPatch", DataKeys)
    TrainPatch = _optional("TrainPatch", TrainKeys)
    ProtocolPatch = _optional("ProtocolPatch", CountsApart)


class Borrowed(Frozen):
    """Whose runs are evaluated: the cell of another table; a missing key is one's own id."""

    table: str | None = None
    row: str | None = None
    column: str | None = None


def table_alone(value: Any) -> Any:
    """`of: disp/table4` is short for `of: {table: disp/table4}`."""
    return {"table": value} if isinstance(value, str) else value


Of = Annotated[Borrowed | None, BeforeValidator(table_alone)]


class Patch(Frozen):
    """Settings of one place in a table; what is None is not said here."""

    method: MethodText | None = None
    network: NetworkSpec | None = None
    data: DataPatch | None = None
    train: TrainPatch | None = None
    protocol: ProtocolPatch | None = None
    sources: dict[str, Source | None] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)  # the measure of a finished run, and its settings
    of: Of = None
    generated: PositiveInt | None = None
    reference: PositiveInt | None = None
    stand_in: str | None = None  # what the data set stands in for, where it is not the paper's own

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """What is said here: the settings that merge by key as mappings, the others as they are."""
        values = {key: getattr(self, key) for key in Patch.model_fields}
        said = {key: keys_of(value) if key in BY_KEY else value for key, value in values.items()}
        return {key: value for key, value in said.items() if value is not None and value != {}}


NO_PATCH = Patch.model_construct()
NOTHING: dict[str, Frozen] = {
    "data": DataPatch.model_construct(None),
    "train": TrainPatch.model_construct(None),
    "protocol": ProtocolPatch.model_construct(None),
    "of": Borrowed.model_construct(),
}


def keys_of(value: Any) -> dict[str, Any] | None:
    """The keys that are given in a setting that merges by key; None where the setting is not."""
    if value is None or isinstance(value, dict):
        return value
    return {key: getattr(value, key) for key in value.model_fields_set}


def merge_patches(*patches: Patch) -> Patch:
    """All of them as one; later ones win.

    `data`, `train`, `protocol`, `sources`, `evaluate` and `of` merge key by key, one level deep, and a key whose value
    is null is removed from what is under it. Everything else replaces. The null of a removed key stays, so that
    merging in pieces gives the same.
    """
    merged: dict[str, Any] = {}
    for patch in patches:
        for key, value in patch.said.items():
            merged[key] = {**merged.get(key, {}), **value} if key in BY_KEY else value
    # What was checked where it was given is not checked again.
    for key, nothing in NOTHING.items():
        if key in merged:
            merged[key] = nothing.model_copy(update=merged[key])
    return NO_PATCH.model_copy(update=merged)
