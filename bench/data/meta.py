"""The record of a built set, meta.json: what it is, its files and their sums. Read without touching an array."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.errors import UserError

REQUIRED = ("train.npy", "test.npy")


class FileRecord(BaseModel):
    """What is recorded of one array."""

    model_config = ConfigDict(strict=True)

    sha256: str
    shape: list[int]
    dtype: str
    bytes: int


class Meta(BaseModel):
    """The form of meta.json, as far as it is read; other keys are for people."""

    model_config = ConfigDict(strict=True)

    recipe: dict[str, Any]
    sha256: str
    class_names: list[str]
    licence: str
    files: dict[Annotated[str, Field(pattern=r"^(train|test)(_labels|_attributes)?\.npy$")], FileRecord]
    notes: dict[str, Any] = {}
    attribute_names: list[str] = []

    @model_validator(mode="after")
    def _fits(self) -> Meta:
        """The arrays of a split are of the same images; attributes have their names."""
        for split in REQUIRED:
            images = self.files[split].shape
            labels = self.files.get(split.replace(".", "_labels."))
            attributes = self.files.get(split.replace(".", "_attributes."))
            if labels is not None and labels.shape != images[:1]:
                raise ValueError(f"labels of {split} are {labels.shape}")
            if attributes is not None and attributes.shape != [*images[:1], len(self.attribute_names)]:
                raise ValueError(f"attributes of {split} are {attributes.shape}")
        return self


def read_meta(folder: Path) -> dict[str, Any]:
    """The parsed meta.json of a built set; UserError if it is missing, lacks a key or has another form."""
    path = folder / "meta.json"
    try:
        return _checked(path.read_bytes())
    except (OSError, ValueError, KeyError, RecursionError):
        pass  # the error below is the same for every way in which the file can be wrong
    raise UserError(f"{path}: missing or damaged; {build_again(folder)}")


@cache
def _checked(content: bytes) -> dict[str, Any]:
    """What a meta.json says, checked once: a plan asks again for every cell, and nobody changes the value."""
    meta: dict[str, Any] = json.loads(content)
    Meta.model_validate(meta)
    return meta


def build_again(folder: Path) -> str:
    """The clause that tells how to replace the set in `folder` (its name is NAME-RESOLUTION)."""
    from bench.data.known import datasets  # here: whoever only writes files needs no catalogue

    name, _, resolution = folder.name.rpartition("-")
    known = datasets()
    source = "" if name in known and known.load(name).embedded else " --from DIR"
    return f"build it again with `bench data build {name} --resolution {resolution}{source} --force`"


def set_hash(files: dict[str, Any]) -> str:
    """sha256 over the names and content hashes of a set's arrays."""
    lines = [f"{file} {files[file]['sha256']}\n" for file in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
