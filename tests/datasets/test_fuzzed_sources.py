"""Two thousand damaged pictures and archives: no traceback, no hang, no write outside, none missing from the count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import paths
from bench.data import building
from bench.data import meta as meta_file
from bench.data.built_set import ImageSet
from bench.data.sources.opening import open_source
from bench.data.sources.source import BadItemError
from bench.errors import UserError
from bench.machine import workers
from damaged_files import damaged, valid_archives, valid_pictures
from soft_pictures import soft_picture

PICTURES, ARCHIVES, BUILDS = 1500, 500, 60  # BUILDS of the archives are built, all are read

pytestmark = pytest.mark.timeout(300)  # a hang; they take 20 s together


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Iterator[Path]:
    """An empty folder for sources; whatever appears beside it and the cache has been written where it must not."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    inside = tmp_path / "in" / "in"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    yield inside
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "cache", "runs"}
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["in"]
    data = tmp_path / "cache" / "data"
    assert {path.name for path in data.iterdir()} <= {"mine-16"} if data.exists() else True


def _account(built: ImageSet) -> int:
    """The files of which the last line tells."""
    told = built.notes["left out"].partition("; ")[0].removeprefix("left out: ")
    counts = [int(count.replace(",", "")) for count in re.findall(r"(?:^|, )([\d,]+) ", told)]
    return len(built.train) + len(built.test) + sum(counts)


@pytest.mark.parametrize("jobs", [1, 2])
def test_damaged_pictures_are_bad_or_used_and_all_are_counted(
    nothing_outside: Path, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PATIENCE", -1)
    valid = valid_pictures()
    for number in range(PICTURES // 2):
        stream = np.random.default_rng([1, jobs, number])
        name = list(valid)[number % len(valid)]
        content = damaged(valid[name], stream)
        (nothing_outside / f"{number:04}-{name if stream.random() < 0.9 else 'any'}").write_bytes(content)
    for number in range(30):
        soft_picture(number).save(nothing_outside / f"whole{number}.png")
    built = building.build("mine", 16, nothing_outside, skip_bad=True, jobs=jobs)
    assert _account(built) == built.notes["files found"] == PICTURES // 2 + 30
    assert len(built.train) + len(built.test) > 100 and "bad" in built.notes["left out"]


def test_damaged_archives_are_refused_in_a_line_or_every_member_is_accounted_for(nothing_outside: Path) -> None:
    valid, outcomes = valid_archives(), {"opened": 0, "refused": 0, "read": 0, "bad": 0}
    messages: list[str] = []
    scratch = nothing_outside / "scratch"
    scratch.mkdir()
    for number in range(ARCHIVES):
        name = list(valid)[number % len(valid)]
        path = nothing_outside / name
        path.write_bytes(damaged(valid[name], np.random.default_rng([2, number])))
        try:
            source = open_source(path, scratch)
            names = [item.name for item in source.items()]
        except UserError as error:
            messages.append(str(error).replace(str(path), "PATH"))
            outcomes["refused"] += 1
            continue
        outcomes["opened"] += 1
        for member in names:
            try:
                assert len(source.read(member, 100_000)) <= 100_000
                outcomes["read"] += 1
            except BadItemError as error:
                messages.append(f"PATH: {error}")
                outcomes["bad"] += 1
        assert {one.name for one in scratch.iterdir()} <= {"unpacked.tar"}
    assert all(count > 30 for count in outcomes.values()), outcomes
    assert [one for one in messages if "PATH" not in one or "\n" in one] == []


def test_a_set_of_a_damaged_archive_has_every_member_in_its_count(nothing_outside: Path) -> None:
    valid, built_of = valid_archives(), 0
    messages: list[str] = []
    for number in range(BUILDS):
        name = [name for name in valid if name.endswith((".zip", ".tar."))][number % 4]  # a gzip notices any damage
        path = nothing_outside / name
        path.write_bytes(damaged(valid[name], np.random.default_rng([3, number])))
        try:
            built = building.build("mine", 16, path, force=True, skip_bad=True)
        except UserError as error:
            messages.append(str(error))
            continue
        built_of += 1
        assert _account(built) == built.notes["files found"] <= 6
        assert meta_file.read_meta(paths.cache_root() / "data" / "mine-16")["sha256"] == built.sha256
    assert built_of > 5 and len(messages) > 5 and not any("\n" in message for message in messages)
