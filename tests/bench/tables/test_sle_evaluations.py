"""FastGAN's tables 1, 5, 7 and 8, which look at finished runs, and the printed cells of all; settings: the sheets."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.evaluate.registry import refuse_impossible
from bench.plan.load import load_table, table_names
from bench.plan.runs import make_plan
from bench.report.printed import read_printed
from bench.spec.patch import Patch
from bench.store.runs import Store
from sheets import trainings

TABLES = [name for name in table_names() if name.startswith("sle/")]
PICTURES = ("fig1", "fig5", "fig6", "fig7", "fig9", "fig10", "fig11", "fig12", "fig13", "fig14")
PROSE = (*PICTURES, "fig8", "fig9-layers", "rotation", "losses", "batch16", "quarter")


def test_every_table_figure_and_experiment_is_there_at_every_scale() -> None:
    assert set(TABLES) == {f"sle/{name}" for name in (*(f"table{number}" for number in range(1, 9)), *PROSE)}
    assert all({"paper", "mini", "smoke"} <= set(load_table(name).scales) for name in TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_printed_number_has_a_row_and_a_column(name: str) -> None:
    table, printed = load_table(name), read_printed(name)
    assert set(printed["row"]) <= {row.id for row in table.rows}
    assert set(printed["column"]) <= {column.id for column in table.columns}
    assert len(printed) or name.removeprefix("sle/") in PROSE


def merged(name: str, row: str, column: str, scale: str = "paper") -> Patch:
    """What the patches of a cell come to."""
    table = load_table(name)
    (own_row,) = [own for own in table.rows if own.id == row]
    (own_column,) = [own for own in table.columns if own.id == column]
    return table.merged(own_column, scale, own_row)


def test_a_layer_is_swapped_where_a_network_has_it() -> None:
    """FastGAN at 1024 px has four such layers, at 256 px three, at 64 px, of the small scales, one."""
    table = load_table("sle/fig9-layers")
    paper = {(row.id, column.id) for row, column in table.shown_cells("paper")}
    large = {(f"layer-{size}", column) for size in (64, 128, 256, 512) for column in ("art", "ffhq")}
    assert paper == large | {(f"layer-{size}", "obama") for size in (64, 128, 256)}
    for scale in ("midi", "mini", "smoke"):
        assert {row.id for row, _ in table.shown_cells(scale)} == {"layer-64"}
        for row, column in table.shown_cells(scale):
            refuse_impossible(table.shown_spec(row, column, 0, scale))
    for row, column in table.shown_cells("paper"):
        refuse_impossible(table.shown_spec(row, column, 0, "paper"))
    with pytest.raises(UserError, match="no cell layer-128/art: scale mini cannot have it"):
        make_plan(table, "mini", Store(Path("nowhere")), ["layer-128"])
    with pytest.raises(UserError, match="no cell layer-512/obama: the paper leaves it out"):
        make_plan(table, "paper", Store(Path("nowhere")), ["layer-512"], ["obama"])


def test_table5_sees_eight_trainings_twice() -> None:
    """Rows are two snapshots of one training, the second of which is its end."""
    found = trainings("sle/table5")
    assert len(found) == 16 and len({spec.uid for spec in found.values()}) == 8
    for (row, column), spec in found.items():
        assert spec.train is not None and spec.protocol is not None and spec.data.holdout == 0.1
        snapshot = merged("sle/table5", row, column).evaluate["snapshot"]
        assert snapshot == spec.train.steps // (2 if row in ("baseline-20k", "ours-40k") else 1)
        assert spec.protocol.is_snapshot(snapshot, spec.train.steps)


@pytest.mark.parametrize("scale", ["mini", "smoke"])
def test_at_small_scales_table5_sees_runs_of_tables_2_and_3_twice(scale: str) -> None:
    """What the text says of them: ours after as many steps as the baseline, and after twice as many."""
    table, runs = load_table("sle/table5"), {}
    for row in table.rows:
        for column in table.columns:
            spec, other = table.shown_spec(row, column, 0, scale), "table2" if column.id in ("cat", "dog") else "table3"
            assert spec.evaluated is not None and spec.evaluated.train is not None and spec.measure is not None
            kind = row.id.partition("-")[0]
            assert spec.evaluated == trainings(f"sle/{other}", scale)[kind, column.id]
            assert spec.measure.settings["split"] == "test" and spec.data.holdout is None
            step = spec.measure.settings["snapshot"]
            runs[row.id, column.id] = spec.evaluated.train.steps if step == "final" else step
    for column in table.columns:
        steps = [runs[row.id, column.id] for row in table.rows]
        assert steps[0] * 2 == steps[1] and steps[2] * 2 == steps[3]
        assert scale == "smoke" or steps[1] == steps[2]


@pytest.mark.parametrize("scale", ["paper", "mini", "smoke"])
def test_columns_of_table7_without_images_are_networks_before_their_first_step(scale: str) -> None:
    """The paper has one number for all rows of the baseline: they look at the same run."""
    table = load_table("sle/table7")
    for column, name in (("ffhq-0", "ffhq"), ("art-0", "art")):
        for row in table.rows:
            cell = merged("sle/table7", row.id, column, scale)
            assert cell.evaluate["snapshot"] == 0
            borrowed = cell.of and (cell.of.table, cell.of.row, cell.of.column)
            assert borrowed == (None if row.id == "sg2" else ("sle/table3", "baseline", name))
    absent = {
        (row.id, column.id) for row in table.rows for column in table.columns if table.is_absent(row.id, column.id)
    }
    assert absent == {(row, "ffhq-70k") for row in ("baseline", "contrastive", "ae", "ae+contrastive")}


def test_table8_looks_at_the_runs_of_tables_2_and_3() -> None:
    """Appendix E: 100 samples or training images, three times, the lowest; network and size are the code's."""
    assert trainings("sle/table8") == {}
    how = {
        "measure": "nearest", "samples": 100, "trials": 3, "reduce": "lowest", "crop": 0.8, "net": "vgg", "size": 256,
    }  # fmt: skip
    for row, images in (("augmented", "augmented"), ("ours", "generated")):
        for column in ("art", "ffhq", "skull", "cat", "dog", "shell"):
            cell = merged("sle/table8", row, column)
            assert cell.of is not None and cell.evaluate == {**how, "images": images}
            table = "sle/table2" if column in ("cat", "dog") else "sle/table3"
            assert (cell.of.table, cell.of.row or row, cell.of.column or column) == (table, "ours", column)
            assert ("ours", column) in trainings(table)
