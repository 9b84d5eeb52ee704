"""The table of docs/draws.md, which uses every field of a draw, trained for two steps and reported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench.contract.context import Context
from bench.data import imageset
from bench.data.draws import held_out, training_images
from bench.data.reference import reference_point
from bench.data.reference_split import reference_images
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.render import csv, html, latex, markdown, text
from bench.report.results import load_results
from bench.run.build import build_context
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.store.runs import Store

PAGE = Path(__file__).parents[3] / "docs" / "draws.md"
CPU = torch.device("cpu")


@pytest.fixture
def path(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "draws.yaml").write_text(block)
    return tmp_path / "draws.yaml"


@pytest.fixture
def trained(path, store_root):
    """The table with seed 0 of some columns trained: (table, store, runs by (row, column))."""

    def train(columns=None, **overrides):
        torch.set_num_threads(1)
        table, store = load_table(str(path), overrides), Store(store_root)
        plan = make_plan(table, "smoke", store, columns=columns, seeds=[0])
        for run in plan.runs:
            store.open(run.spec)
            assert execute(run.uid, store, Settings(CPU), lambda: False, lambda *_: None) == "done"
        return table, store, {(cell.row, cell.column): run.spec for run in plan.runs for cell in run.cells}

    return train


def test_every_field_does_what_it_says_to_a_run(path, tmp_path):
    table, shapes = load_table(str(path)), imageset.load("shapes", 32)

    def context(column: str, seed: int = 0) -> Context:
        (head,) = [one for one in table.columns if one.id == column]
        return build_context(table.run_spec(table.rows[0], head, seed, "smoke"), Store(tmp_path), CPU)[0]

    few, fixed, again = context("few"), context("fixed"), context("fixed", 1)
    assert len(few.images_u8_NHWC) == 20
    assert np.array_equal(few.images_u8_NHWC, fixed.images_u8_NHWC)
    assert np.array_equal(fixed.images_u8_NHWC, again.images_u8_NHWC)
    assert not np.array_equal(few.images_u8_NHWC, context("few", 1).images_u8_NHWC)
    assert sorted(np.bincount(context("fifth").labels_N)) == [12, 13, 13, 13], "51 of 256"
    rest = context("rest")
    out = held_out(rest.spec.data, 0, 256)
    assert np.array_equal(rest.images_u8_NHWC, np.delete(shapes.train, out, axis=0)) and len(out) == 26
    wrong = context("wrong")
    assert np.array_equal(wrong.images_u8_NHWC, few.images_u8_NHWC)
    assert (wrong.labels_N != few.labels_N).sum() == 5
    assert np.array_equal(wrong.labels_N != few.labels_N, training_images(wrong.spec.data, 0).corrupted)
    bare = context("bare")
    assert bare.labels_N is None and np.array_equal(bare.images_u8_NHWC, few.images_u8_NHWC)


@pytest.mark.slow
def test_the_table_trains_and_every_page_names_the_reference(trained):
    table, store, specs = trained()
    # The scores are against the run's own training images, bit for bit.
    for column in ("few", "fifth", "rest"):
        spec = specs["scratch", column]
        mine = training_images(spec.data, 0).images
        reference, name = reference_images(spec.protocol, spec.data, 0)
        assert np.array_equal(reference, mine[: spec.protocol.reference])
        (line,) = store.folder(spec.uid).metrics()
        assert (line["n_reference"], line["reference_sha256"]) == (spec.protocol.reference, name)
        assert line["reference_split"] == "training-images"

    results = load_results(table, "smoke", store, seeds=[0])
    assert set(results["status"]) == {"done"}
    value = {(row, column): value for row, column, value in results[["row", "column", "value"]].itertuples(index=False)}
    for column in ("few", "fixed", "wrong", "bare"):  # a reference of all that they were trained on
        assert value["memorised", column] < value["floor", column] < value["scratch", column]

    report = build_report(table, "smoke", results)
    for page in (text.render(report), markdown.render(report), latex.render(report), html.render(report)):
        plain = " ".join(re.sub(r"\\(.)", r"\1", page).split())
        assert "against the training images, lower is better" in plain
        assert "24 generated against 20 reference images, the run" in plain and "own training images." in plain
        assert "25 % of the labels wrong" in plain and "20 % of the train pool, balanced" in plain
    assert set(pd.read_csv(pd.io.common.StringIO(csv.raw(report)))["reference_split"]) == {"training-images"}
    assert set(pd.read_csv(pd.io.common.StringIO(csv.cells(report)))["reference_split"]) == {"training-images"}


@pytest.mark.slow
def test_another_reference_is_another_score_of_the_same_training(trained):
    values = {}
    for split in ("test", "train-pool", "all"):
        table, store, specs = trained(["few"], **{"protocol.reference_split": split})
        spec = specs["scratch", "few"]
        (line,) = store.folder(spec.uid).metrics()
        values[split] = line["value"]
        assert line["reference_split"] == split
        assert (("floor", "few") in specs) == (split != "all")
        results = load_results(table, "smoke", store, seeds=[0])
        page = " ".join(text.render(build_report(table, "smoke", results)).split())
        assert ("no floor, as no real images are kept apart from the reference" in page) == (split == "all")
        assert ("FD(effnet_lite0@32), lower" in page) == (split == "test")
    assert len(set(values.values())) == 3


def test_plan_shows_what_a_run_is_of(path, bench_command):
    done = bench_command("plan", str(path), "--scale", "smoke", "--columns", "fifth,wrong")
    assert done.returncode == 0, done.stderr
    assert (
        "fifth: shapes, 32 px, 20 % of the train pool, balanced; 24 generated against 51 reference images, the run's"
        in done.stdout
    )
    assert "wrong: shapes, 32 px, 20 shots, 25 % of the labels wrong; 24 generated" in done.stdout
    assert "few:" not in done.stdout


def test_a_record_of_a_run_holds_its_draw(path, store_root):
    table, store = load_table(str(path)), Store(store_root)
    (column,) = [one for one in table.columns if one.id == "wrong"]
    folder = store.open(table.run_spec(table.rows[0], column, 0, "smoke"))
    recorded = json.loads(folder.spec_file.read_text())
    assert recorded["data"]["corrupt_labels"] == 0.25
    assert recorded["protocol"]["reference_split"] == "training-images"
    assert folder.spec().uid == folder.uid


def test_a_floor_has_no_image_of_its_reference(path):
    for split in ("training-images", "train-pool"):
        table = load_table(str(path), {"protocol.reference_split": split})
        spec = table.reference_spec("floor", table.columns[0], 0, "smoke")
        floor = {image.tobytes() for image in reference_point(spec)}
        reference, _ = reference_images(spec.protocol, spec.data, 0)
        assert len(floor) == 24 and not floor & {image.tobytes() for image in reference}


def added_column(path):
    table = load_table(str(path), columns=["digits"])
    return table.scored(table.pick_columns(["digits"])[0], "smoke")


def test_a_data_set_added_by_columns_has_the_draw_and_the_reference_of_the_table(path):
    added = added_column(path)
    assert (added.data.holdout, added.data.shots, added.protocol.reference) == (
        0.1,
        None,
        100,
    )
    # A column of shots whose reference is all of them: a set of fewer images has those that it has.
    path.write_text(path.read_text().replace("reference: 100", "reference: 9").replace("reference: 51", "reference: 9"))
    added = added_column(path)
    assert (added.data.shots, added.data.holdout, added.protocol.reference) == (20, None, 20)
