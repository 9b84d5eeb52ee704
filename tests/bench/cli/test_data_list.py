"""`bench data list`: a line for each set with its state, a choice by name, and the document for scripts."""

import json
import re
from pathlib import Path

import pytest

from bench.data.known import datasets

PAGE = Path(__file__).resolve().parents[3] / "docs" / "datasets.md"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def listed(bench_command, *arguments):
    done = bench_command("data", "list", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_line_for_every_set_with_its_state_and_licence(bench_command):
    lines = listed(bench_command).splitlines()
    known = {entry.name: datasets().load(entry.name) for entry in datasets()}
    assert [line.split()[0] for line in lines] == list(known)
    for line, entry in zip(lines, known.values(), strict=True):
        assert f"({entry.licence})" in line and entry.summary in line
        assert (" embedded " in line) == entry.embedded and (" needs your files " in line) != entry.embedded


def test_what_is_built_and_what_of_it_cannot_be_used(bench_command, cache):
    for size in ("8", "16"):
        assert bench_command("data", "build", "shapes", "--resolution", size).returncode == 0
    (cache / "data" / "shapes-16" / "meta.json").write_text("{")
    older = cache / "data" / "shapes-8" / "meta.json"
    line, _ = listed(bench_command, "shapes").splitlines()
    assert "embedded, built at 8 px, 16 px (unusable)  four coloured shapes" in line
    older.write_text(older.read_text().replace('"train": 256', '"train": 255'))
    line, problem = listed(bench_command, "shapes").splitlines()
    assert "embedded, built at 8 px (by another recipe), 16 px (unusable)  four coloured shapes" in line
    assert problem.startswith("unusable: ") and "shapes-16/meta.json" in problem


def test_names_choose_by_a_part_or_a_pattern(bench_command):
    def names(*wanted):
        return [line.split()[0] for line in listed(bench_command, *wanted).splitlines()]

    assert names("cifar") == ["cifar10", "cifar100"]
    assert names("cifar*0", "ffhq") == ["cifar10", "cifar100", "ffhq", "ffhq-all"]
    assert names("[sd]*s") == ["danbooru-characters", "danbooru-faces", "digits", "shapes"]
    refused = bench_command("data", "list", "cifar", "cifr")
    assert refused.returncode == 2
    assert "no data set has 'cifr' in its name; `bench data list` has all of them" in refused.stderr


def test_the_document_has_the_keys_of_the_page(bench_command):
    assert bench_command("data", "build", "shapes", "--resolution", "8").returncode == 0
    document = json.loads(listed(bench_command, "--json"))
    assert document.keys() == {"schema_version", "data_sets", "interrupted"} and document["schema_version"] == 1
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", PAGE.read_text().partition("## Embedded sets")[0], re.MULTILINE)
    keys = [key for cell, _ in rows for key in re.findall(r"`(\w+)`", cell)]
    assert all(list(one) == list(document["data_sets"][0]) for one in document["data_sets"])
    assert sorted(document["data_sets"][0]) == sorted(keys)

    told = {key: re.findall(r"`(\w+)`", text) for cell, text in rows for key in re.findall(r"`(\w+)`", cell)}
    by_name = {one["name"]: one for one in document["data_sets"]}
    assert list(by_name) == [entry.name for entry in datasets()]
    cifar, shapes = by_name["cifar10"], by_name["shapes"]
    assert list(cifar["files"][0]) == told["files"] and set(cifar["split_rule"]) == set(told["split_rule"])
    assert (cifar["origin"], cifar["train"], cifar["download"], cifar["built"]) == ("published", 50_000, True, [])
    assert {cifar["origin"], shapes["origin"]} < set(told["origin"])
    (built,) = shapes["built"]
    assert list(built) == told["built"]
    assert (built["resolution"], built["train"], built["problem"], built["stale"]) == (8, 256, None, False)
    assert Path(built["path"]).is_dir() and re.fullmatch(r"[0-9a-f]{64}", built["sha256"])
    assert shapes["build_command"] == "bench data build shapes --resolution 32"
