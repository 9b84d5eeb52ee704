"""Which columns of a parquet file hold pictures, classes and attributes: by their types, and by what a hub wrote.

Hugging Face's `datasets` stores the features of a set as JSON in the schema: which column is an Image or a ClassLabel,
and the names of its classes. Other files are read by the types and names of their columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError

FEATURES = b"huggingface"  # the key of the schema's metadata
IMAGE_NAMES = ("image", "img", "picture", "jpg", "png", "bytes")
LABEL_NAMES = ("label", "labels", "fine_label", "class", "category", "target")


@dataclass(frozen=True)
class Columns:
    """The columns that are read. `classes`: the names that whole numbers in `label` stand for."""

    image: str
    in_struct: bool  # the pictures are the field "bytes" of a struct
    label: str | None
    classes: tuple[str, ...]
    attributes: tuple[str, ...]

    @property
    def path(self) -> str:
        """The pictures' column as parquet names it."""
        return f"{self.image}.bytes" if self.in_struct else self.image

    @property
    def of_labels(self) -> tuple[str, ...]:
        """The columns of classes and attributes."""
        return (*((self.label,) if self.label else ()), *self.attributes)


def columns_of(schema: Any, where: str) -> Columns:
    """The columns of a schema of pyarrow's. UserError where no column, or several, could hold the pictures."""
    from pyarrow import types

    features = _features(schema.metadata or {})
    fields = {field.name: field.type for field in schema}

    # Pictures: bytes, or bytes beside a path.
    def holds_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    plain = [name for name, kind in fields.items() if holds_bytes(kind)]
    structs = [
        name
        for name, kind in fields.items()
        if types.is_struct(kind) and any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
    ]
    images = [name for name in plain + structs if _kind(features, name) in ("Image", None)]
    image = _preferred(images, [name for name in images if _kind(features, name) == "Image"], IMAGE_NAMES)
    if image is None:
        what = f"several that may ({', '.join(images)})" if images else "none"
        raise UserError(
            f"{where}: of its columns {', '.join(map(str, fields))}, one must hold pictures as bytes; there is {what}; "
            f"name it {IMAGE_NAMES[0]}"
        )

    # Classes: whole numbers or texts.
    labels = [
        name
        for name, kind in fields.items()
        if types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)
    ]
    known = [name for name in labels if _kind(features, name) == "ClassLabel"]
    label = _preferred([name for name in labels if name in LABEL_NAMES] or known, known, LABEL_NAMES)
    names = features.get(label, {}).get("names") if label else None
    classes = tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
    return Columns(
        image,
        image in structs,
        label,
        classes if label and types.is_integer(fields[label]) else (),
        tuple(sorted(name for name, kind in fields.items() if types.is_boolean(kind))),
    )


def _features(metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """Column -> what the hub's features say of it; empty where there is nothing that can be read."""
    try:
        features = json.loads(metadata.get(FEATURES, b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(features, dict):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _kind(features: dict[str, dict[str, Any]], name: str) -> Any:
    return features.get(name, {}).get("_type")


def _preferred(candidates: list[str], marked: list[str], names: tuple[str, ...]) -> str | None:
    """The one column among those that the hub has marked, or among all; of several the one with the usual name."""
    for some in (marked, candidates):
        if len(some) == 1:
            return some[0]
        if found := [name for name in names if name in some]:
            return found[0]
    return None
