"""A mistake in a YAML file is one line that names the file, the line, the key and what would be right."""

from __future__ import annotations

import importlib.util
import re

import pytest
import yaml

from bench.data.catalogue import DatasetEntry
from bench.errors import UserError
from bench.files import yamlfile
from bench.files.yamlfile import load_yaml, validate
from bench.plan.load import TABLES, load_table

TABLE1 = (TABLES / "disp" / "table1.yaml").read_text()


POINTS = "references: [floor, memorised, pixel-mix]"
CLAIM = "\nclaims: [{{id: mine, text: Mine., order: [{}], metric: {}}}]"


def complaint(text, tmp_path, name="mine.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        load_table(str(path))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}:"), message
    return message.removeprefix(f"{path}:")


def line_of(text, wanted):
    return next(number for number, line in enumerate(text.splitlines(), 1) if wanted in line)


SOURCE = (
    "{method: class-condtional, data: {name: emoji, resolution: 32}, "
    "train: {steps: 1, batch: 1, g_lr: 1.0e-3, d_lr: 1.0e-3}}"
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seeds: 3", "sedes: 3", ["sedes: unknown key; did you mean 'seeds'?"]),
        ("seeds: 3", "Seeds: 3", ["Seeds: unknown key; did you mean 'seeds'?"]),
        ("seeds: 3", "seeds: many", ["seeds: ", "integer"]),
        ("seeds: 3", "seeds: 0", ["seeds: ", "greater than 0"]),
        ("snapshot: best", "snapshot: beast", ["snapshot: ", "'best' or 'final'"]),
        ("      batch: 25", "      bacth: 25", ["scales.paper.train.b"]),
        ("method: transfergan + baseline", "method: transfergan + basline", ["rows.2.method", "'baseline'"]),
        ("method: glann(prior=vgg16)", "method: 5", ["rows.13.method", "text"]),
        ("name: sngan-128", "name: sngan-129", ["scales.paper.network.name", "did you mean 'sngan-128'?"]),
        ("extractor: inception@299}", "extractor: incepton@299}", ["metrics.0.extractor", "'inception'"]),
        ("metrics: [fd, precision, recall", "metrics: [fd, precison, recall", ["metrics.1", "mean 'precision'?"]),
        ("metrics: [fd, precision, recall", "metrics: [fd, precision, recal", ["metrics.2", "mean 'recall'?"]),
        ("{name: kid, extractor", "{name: kidd, extractor", ["protocol.metrics.3.name: unknown metric", "'kid'"]),
        (POINTS, POINTS + CLAIM.format("scratch, ada", "recal"), ["claims.0: claim mine", "did you mean 'recall'?"]),
        (POINTS, POINTS + CLAIM.format("scrach, ada", "fd"), ["claims.0: claim mine", "did you mean 'scratch'?"]),
        (POINTS, POINTS + CLAIM.format("scratch/animee, ada", "fd"), ["unknown column", "did you mean 'anime'?"]),
        (POINTS, POINTS + CLAIM.format("dip/table1/adda, ada", "fd"), ["row 'adda' of dip/table1"]),
        (POINTS, POINTS + CLAIM.format("dip/tabel1/ada, ada", "fd"), ["unknown table 'dip/tabel1'; did you mean"]),
        (POINTS, POINTS + CLAIM.format("a/b/c/d/e, ada", "fd"), ["claims.0", "'a/b/c/d/e' is no cell: write row"]),
        (POINTS, POINTS + CLAIM.format("{row: ada, colum: anime}, ada", "fd"), ["unknown key; did you mean 'column'?"]),
        ("name: danbooru-faces", "name: danboru-faces", ["columns.anime.data.name", "'danbooru-faces'"]),
        ("pixel-mix]", "pixel-mixx]", ["references.2", "did you mean 'pixel-mix'?"]),
        ("{weights: sngan-128-imagenet}", SOURCE, ["sources.network.method", "'class-cond"]),
        ("ada: {method: ada-lite(speed_kimg=10)", "adda: {method: ada-lite(speed_kimg=10)", ["'adda'", "'ada'"]),
        ("{weights: sngan-128-imagenet}", "{weights: ../secret}", ["sources.network.weights", "pattern"]),
        ("{weights: sngan-128-imagenet}", "{weights: a, seed: 3}", ["seed: unknown key", "weights"]),
    ],
)  # fmt: skip
def test_mistake_in_a_table(old, new, expected, tmp_path):
    assert old in TABLE1
    text = TABLE1.replace(old, new, 1)
    message = complaint(text, tmp_path)
    for part in expected:
        assert part in message, message
    if "claim" not in message and "overrides the unknown row" not in message and "required" not in message:
        assert message.startswith(f"{line_of(text, new.splitlines()[0])}:"), message


def test_missing_key_names_it_and_the_line_of_what_lacks_it(tmp_path):
    text = TABLE1.replace("      batch: 25\n", "", 1)
    message = complaint(text, tmp_path)
    assert message.startswith(f"{line_of(text, '    train:')}: scales.paper.train.batch: ")
    assert "cell scratch/anime has no train.batch; give it in" in message


def test_extended_table(tmp_path):
    text = "extends: disp/table1\ntitle: mine\nscales:\n  smoke:\n    train:\n      stepz: 5\n"
    assert complaint(text, tmp_path).startswith("6: scales.smoke.train.stepz: unknown key; did you mean 'steps'?")
    assert "unknown table 'disp/table99'" in _plain("extends: disp/table99\n", tmp_path)


def _plain(text, tmp_path):
    path = tmp_path / "extends.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_table(str(path))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "[12]: "),  # of a text that ends too soon the libraries name its last line or the one after
        ("a: 1\nb: 2\na: 3\n", "3: key 'a' is given twice"),
        ("a: 1\n\tb: 2\n", "2: "),
        ("a:\n  b: 1\n  b: 2\n", "3: key 'b' is given twice"),
        ("- 1\n- 2\n", "1: must be a mapping"),
        ("", "1: must be a mapping"),
        ("? [a, b]\n: 1\n", "1: a key must be"),
        ("a: !!python/object/apply:os.getcwd []\n", "1: "),
        ("a: &x [*x]\nb: *y\n", r"1: \*x: write it out"),
        (b"\xff\xfe\x00a", "1: is not YAML text"),
        (b"a: \x00\x01", "1: "),
        ("a: 2020-13-45\n", "1: is not YAML text"),
        ("[" * 5000, "[12]: "),
    ],
)
def test_what_is_not_a_table_at_all(text, expected, tmp_path):
    """The line is ours, and the sentences given here; the others are those of whatever YAML library there is."""
    message = complaint(text, tmp_path)
    assert re.match(expected, message) and re.search(r": \w.*\w", message)


@pytest.mark.parametrize("text", ["a: [1", "[" * 5000, "a: 1\n\tb: 2\n", "a: *y\n", "a:\n  b: 1\n  b: 2\n"])
def test_without_the_c_library_it_is_one_line_too(text, tmp_path, monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    found = importlib.util.spec_from_file_location("yamlfile_without_c", yamlfile.__file__)
    plain = importlib.util.module_from_spec(found)
    found.loader.exec_module(plain)
    assert plain.SafeLoader is yaml.SafeLoader
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        plain.load_yaml(path)
    assert re.fullmatch(rf"{re.escape(str(path))}:\d+: .*\w.*", str(caught.value))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_table(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_yaml(tmp_path)


def test_catalogue_entry(tmp_path):
    path = tmp_path / "catalogue.yaml"
    entry = {"summary": "s", "builder": "m:f", "licence": "l", "source": "s", "train": 5, "tset": 5}
    path.write_text(yaml.safe_dump({"mine": entry}, sort_keys=False))
    with pytest.raises(UserError, match=r"catalogue\.yaml:\d: mine\.te?s?e?t: "):
        validate(DatasetEntry, load_yaml(path)["mine"], path, ("mine",))
    entry["test"] = entry.pop("tset")
    path.write_text(yaml.safe_dump({"mine": {**entry, "licens": "x"}}, sort_keys=False))
    with pytest.raises(UserError, match=r":8: mine\.licens: unknown key; did you mean 'licence'\?"):
        validate(DatasetEntry, load_yaml(path)["mine"], path, ("mine",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: " + "[" * 50_000 + "]" * 50_000, "too large for a file of settings"),
        ("a: &a [1, 2]\nb: [*a, *a]\n", ":2: .a: write it out"),
    ],
)
def test_bombs_are_refused_before_they_are_read(tmp_path, text, message):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_yaml(path)
