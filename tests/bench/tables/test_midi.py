"""Scale midi: which tables have it, and that its runs are what it promises of time, width, images and resolution."""

from __future__ import annotations

import pytest

from bench.data.known import datasets
from bench.plan.cost.model import measured_cards
from bench.plan.cost.steps import work_of
from bench.plan.load import load_table, table_names

MOST = 10_000  # images of the limited regime
# Of few images at scale paper, and yet no table of a regime: what a training costs, on drawn shapes.
OTHERS = {"sle/table1"}


def images(data):
    """How many images a run trains on, as far as the catalogue knows."""
    whole = datasets().load(data.name).train
    return data.shots or int(whole * (data.share or 1)) - int(whole * (data.holdout or 0))


def cells(table, scale):
    return [(table.run_spec(row, column, 0, scale), table.cell(row, column, scale))
            for row, column in table.trained_cells(scale)]  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    return [table for table in map(load_table, table_names()) if table.same_as is None]


def test_every_table_of_few_shot_and_limited_data_has_it(tables):
    few = {
        table.name
        for table in tables
        if any(spec.kind == "train" and 0 < images(spec.data) <= MOST for spec, _ in cells(table, "paper"))
    }
    having = {table.name for table in tables if "midi" in table.scales and cells(table, "midi")}
    assert few - OTHERS == having and len(having) > 15


def test_every_table_that_looks_at_runs_of_few_images_has_it(tables):
    """Figures and measures, too: of whichever columns look at such runs, at the same cells as at scale paper."""
    looking = 0
    for table in tables:
        shown = [(row, column, table.behind(row, column, "paper")) for row, column in table.scored_cells("paper")]
        few = {(row.id, column.id) for row, column, behind in shown if behind.table is not table
               and 0 < images(behind.table.cell(behind.row, behind.column, "paper").data) <= MOST}  # fmt: skip
        if not few:
            continue
        looking += 1
        assert "midi" in table.scales, table.name
        here = {(row.id, column.id) for row, column in table.shown_cells("midi")}
        left_out = {cell for cell in few if table.is_absent(*cell, "midi")}
        assert here and few - left_out <= here, table.name
        # FastGAN of 64 px has one layer of skip-layer excitation, that of 64 px
        assert all(row.startswith("layer-") and row != "layer-64" for row, _ in left_out), table.name
    assert looking > 10


def test_a_run_takes_about_two_minutes_of_an_h100_by_the_model(tables):
    """Those of FastGAN's checkpoints are stopped early, and StyleGAN2 at full width is as slow as it is."""
    card, minutes = measured_cards()["h100"], []
    for table in (table for table in tables if "midi" in table.scales):
        for spec, _ in cells(table, "midi"):
            work = work_of(spec) if spec.network is not None else None
            minutes += [] if work is None else [card.seconds(work) * spec.train.steps / 60]
    assert min(minutes) > 0.9 and max(minutes) < 3
    assert sum(1.5 < one < 2.5 for one in minutes) > 0.7 * len(minutes) > 250


def test_networks_are_as_wide_as_the_papers_on_few_embedded_images(tables):
    seen = set()
    for table in (table for table in tables if "midi" in table.scales):
        paper = {(spec.network.name.rpartition("-")[0], frozenset((key, str(value)) for key, value in
                  spec.network.options.items())) for spec, _ in cells(table, "paper") if spec.network}  # fmt: skip
        for spec, cell in cells(table, "midi"):
            family, _, pixels = spec.network.name.rpartition("-")
            options = frozenset((key, str(value)) for key, value in spec.network.options.items())
            assert (family, options) in paper, f"{table.name}: {spec.network}"
            assert spec.data.resolution == int(pixels) == (32 if table.name in ("disp/table3", "disp/fig1") else 64)
            assert 25 <= images(spec.data) <= 5000 and datasets().load(spec.data.name).embedded and cell.stand_in
            assert table.seeds_at("midi") == (1 if table.pictures else 3)
            seen.add(family)
    assert seen == {"sngan", "biggan", "stylegan2", "fastgan"}
