"""The table of docs/tables.md is planned, trained and reported: what differs between its cells is trained and said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.plan.load import load_table
from bench.plan.preflight import problems
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.render import csv, html, latex, markdown, text
from bench.report.results import load_results
from bench.run.execute import run_once
from bench.store.runs import Store

PAGE = (Path(__file__).parents[3] / "docs" / "tables.md").read_text()
ABSENT = ("narrow+augmented", "many")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "patches.yaml"
    path.write_text(next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)))
    return path


@pytest.fixture(scope="module")
def table(path):
    return load_table(str(path))


@pytest.fixture(scope="module")
def store(table, tmp_path_factory):
    """A store in which the whole table is done."""
    store = Store(tmp_path_factory.mktemp("store"))
    for run in make_plan(table, "smoke", store).runs:
        store.open(run.spec)
        assert run_once(run.uid, store.root) == "done"
    return store


def specs(table, store):
    return {(cell.row, cell.column): run.spec for run in make_plan(table, "smoke", store).runs for cell in run.cells}


def test_every_cell_has_what_its_places_say(table, tmp_path):
    store = Store(tmp_path)
    planned = specs(table, store)
    assert ABSENT not in planned and len(planned) == 11 + 3  # with a floor for each column
    assert problems(make_plan(table, "smoke", store), deep=True) == []
    trains = {key: (spec.train.steps, spec.train.batch, spec.train.flip) for key, spec in planned.items() if spec.train}
    assert trains["wide", "few"] == (4, 8, True) and trains["wide+augmented", "few"] == (4, 8, False)
    assert trains["wide", "many"] == (6, 8, True) and trains["narrow", "many"] == (6, 4, True)
    assert {key[1]: spec.data.shots for key, spec in planned.items()} == {"few": 10, "some": 20, "many": 40}
    assert planned["narrow", "some"].network.options["g_width"] == 8
    assert planned["narrow", "many"].protocol.every == 3 and planned["wide", "many"].protocol.every == 2


@pytest.mark.slow
def test_snapshots_are_those_of_each_cells_protocol(table, store):
    steps = {
        key: [line["step"] for line in store.folder(spec.uid).metrics()]
        for key, spec in specs(table, store).items()
        if spec.kind == "train"
    }
    assert steps["narrow", "many"] == [3, 6] and steps["wide", "many"] == [2, 4, 6] and steps["wide", "few"] == [2, 4]


@pytest.mark.slow
def test_the_report_says_which_cells_differ_and_leaves_the_absent_one_empty(table, store):
    report = build_report(table, "smoke", load_results(table, "smoke", store))
    (block, *_) = report.blocks
    assert all(cell.values for key, cell in block.cells.items() if key != ABSENT)
    assert (block.cells[ABSENT].values, block.cells[ABSENT].total) == ((), 0)
    scoring = next(line for line in report.caption if line.startswith("Protocol"))
    assert "snapshots every 2 of 4 steps; snapshots every 2 of 6 steps (wide in 40 images, wide+augmented in" in scoring
    assert "snapshots every 3 of 6 steps (narrow in 40 images)" in scoring and "1 seed is planned for a cell" in scoring
    for column, shots in (("10 images", 10), ("20 images", 20), ("40 images", 40)):
        sentence = f"{column}: shapes, 32 px, {shots} shots (stand-in: drawn shapes); 24 generated against 40 reference"
        assert any(line.startswith(sentence) for line in report.caption)
    for renderer in (text, markdown, html, latex):
        assert "DiffAugment" in renderer.render(report)
    assert "missing" not in text.render(report)
    assert len(csv.cells(report).splitlines()) > 20


@pytest.mark.slow
def test_the_best_snapshot_is_found_by_each_cells_protocol(table, store):
    results = load_results(table, "smoke", store)
    report = build_report(table, "smoke", results)
    best = next(block for block in report.blocks if block.rule == "best")
    of_cell = results[(results["row"] == "narrow") & (results["column"] == "many")]
    assert best.cells["narrow", "many"].values == (of_cell["value"].min(),)


def test_plan_names_the_place_of_what_is_impossible(path, tmp_path, bench_command):
    for old, new, place in (
        ("{name: shapes, resolution: 32", "{name: shapes, resolution: 64", "groups.wide.network.name"),
        ("narrow: {network: {name: sngan-32,", "narrow: {network: {name: sngan-64,", "groups.narrow.network.name"),
        ("some: {data: {shots: 20}}", "some: {data: {shots: 99999}}", "columns.some.data.shots"),
        ("many: {train: {batch: 4},", "many: {network: {name: sngan-64},", "cells.narrow/many.network.name"),
        ("sn_generator: true}}}\n      narrow", "width: 1}}}\n      narrow", "groups.wide.network.options.width"),
    ):  # fmt: skip
        text_of_page = path.read_text()
        assert text_of_page.count(old) == 1, old
        broken = tmp_path / "mine.yaml"
        broken.write_text(text_of_page.replace(old, new))
        done = bench_command("plan", str(broken), "--store", str(tmp_path / "none"))
        assert done.returncode == 2 and f"scales.smoke.{place}" in done.stderr, done.stderr
