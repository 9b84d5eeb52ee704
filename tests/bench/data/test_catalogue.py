"""The catalogue's files, its schema, and what stays as it was when fields are added."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.data import catalogue
from bench.data.catalogue import DatasetEntry, PublishedFile, read_catalogue
from bench.data.places import recipe
from bench.errors import UserError

SUM = "0" * 64


def _entry(**fields: object) -> DatasetEntry:
    given = {"summary": "s", "builder": "b:b", "licence": "l", "source": "s", "train": 8, "test": 2, **fields}
    return DatasetEntry.model_validate(given)


def test_embedded_sets_and_published_ones_stand_in_a_file_each() -> None:
    folder = Path(catalogue.__file__).resolve().parents[2] / "datasets"
    for file, embedded in zip(catalogue.FILES, (True, False), strict=True):
        names = re.findall(r"^([\w.-]+):$", (folder / file).read_text(), re.MULTILINE)
        assert names and {read_catalogue()[name].embedded for name in names} == {embedded}


def test_a_name_in_both_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "twice: {summary: s, builder: 'b:b', licence: l, source: s, train: 1, test: 1}\n"
    for file in catalogue.FILES:
        (tmp_path / file).write_text(text)
    package = type("package", (), {"__path__": [str(tmp_path)]})
    monkeypatch.setattr("importlib.import_module", lambda name: package)
    with pytest.raises(UserError, match=r"published.yaml: data set 'twice' stands in catalogue.yaml and in published"):
        read_catalogue()


def test_what_describes_a_set_does_not_make_it_stale() -> None:
    bare = _entry()
    described = _entry(
        layout="flat", homepage="https://a", files=[{"name": "a.zip", "holds": "8"}],
        split_rule={"rule": "r", "paper": "p"}, resolutions=[32],
    )  # fmt: skip
    assert recipe(bare) == recipe(described) == {"builder": "b:b", "options": {}, "train": 8, "test": 2}
    assert recipe(bare) != recipe(_entry(options={"split": "publisher"}))


def test_a_set_is_offered_for_download_only_where_every_file_of_it_can_be_checked() -> None:
    checked = PublishedFile(name="a.tar", holds="all", url="https://a/a.tar", bytes=9, sha256=SUM)
    unchecked = PublishedFile(name="b.tar", holds="the labels", url="https://a/b.tar", bytes=9)
    assert _entry(files=[checked]).downloads() == (checked,)
    assert _entry(files=[checked, unchecked]).downloads() == ()
    assert _entry(files=[checked.model_copy(update={"bytes": None})]).downloads() == ()
    assert _entry().downloads() == ()


def test_a_reduced_set_keeps_all_but_its_counts() -> None:
    entry = _entry(options={"split": "per-class", "per_class": 500}, layout="flat")
    reduced = entry.reduced(4, 2, per_class=2)
    assert (reduced.train, reduced.test, reduced.options) == (4, 2, {"split": "per-class", "per_class": 2})
    assert reduced.layout == "flat" and entry.options["per_class"] == 500
