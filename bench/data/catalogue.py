"""The catalogue of data sets: what each one is, who builds it, where its owner publishes it, and its licence."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bench.errors import UserError
from bench.files.yamlfile import load_yaml, validate

FILES = ("catalogue.yaml", "published.yaml")  # the embedded sets, and the papers' sets, which need the user's files


class PublishedFile(BaseModel):
    """A file as its owner publishes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: str
    holds: str = Field(description="what is in it, with counts")
    url: str | None = Field(
        default=None, description="its address, where it is offered as it is and without an account"
    )
    bytes: int | None = Field(default=None, gt=0)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class SplitRule(BaseModel):
    """How the pictures are divided into training and test, in words; the machine's form is in `options`."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    rule: str
    paper: str = Field(description="the paper and section where the rule stands")
    declared: str = Field(
        default="", description="what is our choice in it, and why; empty where the paper says it all"
    )


class DatasetEntry(BaseModel):
    """One data set. `builder` ("module:function") makes its splits at a resolution; see bench.data.builder.

    `embedded` sets come from installed packages alone; the others need `bench data build NAME --from PATH`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    summary: str
    builder: str
    licence: str
    source: str
    embedded: bool = True
    train: int = Field(gt=0, description="images in the train pool that few-shot draws come from")
    test: int = Field(gt=0, description="images in the disjoint test split, the reference of FD")
    options: dict[str, Any] = {}
    known_sha256: dict[int, str] = Field(
        default={}, description="resolution -> content hash of the set as built by the project"
    )
    any_count: bool = Field(
        default=False,
        description="whether its first pictures are the same however many are built, so that NAME@N is there too",
    )
    layout: str | None = Field(
        default=None, description="how its publisher arranges the files: a module of datasets/layouts/, with hyphens"
    )
    homepage: str | None = Field(default=None, description="where its owner publishes it")
    path: str | None = Field(default=None, description="what --from takes, as its owner calls it; None: any folder")
    files: tuple[PublishedFile, ...] = Field(default=(), description="what its owner publishes, as far as it is needed")
    split_rule: SplitRule | None = None
    resolutions: tuple[int, ...] = Field(default=(), description="the sizes at which the papers use it, in pixels")
    shots: int | None = Field(
        default=None, gt=0, description="of a set of one's own: how many training images its column draws; None for all"
    )

    def downloads(self) -> tuple[PublishedFile, ...]:
        """All files of the set where each can be fetched and checked, else none. --from takes the first of them."""
        return self.files if all(file.url and file.bytes and file.sha256 for file in self.files) else ()

    def reduced(self, train: int, test: int, **options: Any) -> DatasetEntry:
        """The same set for a release of fewer pictures: its counts, and options that hold counts, are replaced.

        For trials and tests of a publisher's layout with a handful of pictures. What it builds is not the set.
        """
        kept = {key: value for key, value in self.options.items() if key != "pictures"}
        return self.model_copy(update={"train": train, "test": test, "options": {**kept, **options}})


def read_catalogue() -> dict[str, DatasetEntry]:
    """All entries of the catalogue's files in datasets/, by name. UserError for a name that stands in both."""
    folder = importlib.import_module("bench.datasets")  # no __init__.py: a type checker cannot see it
    places = [Path(place) for place in folder.__path__]
    entries: dict[str, DatasetEntry] = {}
    for file in FILES:
        path = next(place / file for place in places if (place / file).is_file())
        for name, value in load_yaml(path).items():
            if name in entries:
                raise UserError(f"{path}: data set '{name}' stands in {' and in '.join(FILES)}")
            entries[name] = validate(DatasetEntry, value, path, (name,))
    return entries
