"""The papers' figures of pictures: whose runs they show, and by which measure, typed by hand."""

from __future__ import annotations

import pytest

from bench.evaluate.registry import run_measure
from bench.plan.load import load_table, table_names

FIGURES = [name for name in table_names() if load_table(name).pictures is not None]
LARGE = ("cifar10", "cifar100", "ffhq", "lsun", "imagenet32")
# figure -> its measure (None: a row's own), whose runs, rows and columns of the paper's figure at scale paper
SHEET = {
    "disp/fig3": ("interpolation", {"disp/table1"}, 2, ("anime", "faces")),
    "dip/fig3": ("interpolation", {"dip/table1"}, 2, ("anime", "faces", "flower")),
    "dip/fig7": ("interpolation", {"dip/table1"}, 6, ("anime", "faces", "flower")),
    "disp/fig4": ("samples", {"disp/table2"}, 8, ("places", "ffhq", "cub")),
    "dip/fig8": ("samples", {"disp/table2"}, 4, ("places", "ffhq", "cub")),
    "disp/fig6": ("samples", {"disp/fig3c"}, 2, ("n25", "n50", "n100", "n250", "n500")),
    "dip/fig6b": ("samples", {"disp/fig3c"}, 2, ("n25", "n50", "n100", "n250", "n500")),
    "disp/fig5": ("inversion", {"disp/table4"}, 3, ("ffhq", "lsun")),
    "dip/fig4": ("inversion", {"disp/table4"}, 3, ("ffhq", "lsun")),
    "disp/fig8": ("prior-pictures", {"disp/table4"}, 4, ("ffhq",)),
    "dip/fig5": ("prior-pictures", {"disp/table4"}, 4, ("ffhq",)),
    "dip/fig10": ("prior-pictures", {"disp/table4"}, 4, ("ffhq",)),
    "dip/fig9": ("prior-pictures", {"disp/table4"}, 3, ("ffhq",)),
    "disp/fig7": (None, {"disp/table4"}, 2, LARGE),
    "dip/fig11": ("samples", {"disp/table4"}, 1, LARGE),
    "lt/fig7-pictures": ("samples", {"lt/table1"}, 2, ("imagenet",)),
    "sle/fig1": ("samples", {"sle/fig1"}, 1, ("nature", "ffhq")),
    "sle/fig6": ("samples", {"sle/table3"}, 3, ("art", "ffhq", "flower", "pokemon", "anime", "shell")),
    "sle/fig7": ("mixing", {"sle/table2", "sle/table3"}, 1, ("obama", "cat", "panda", "art", "ffhq", "flower")),
    "sle/fig9": ("mixing", {"sle/table2", "sle/table3"}, 1, ("art", "ffhq", "obama")),
    "sle/fig10": ("samples", {"sle/table2"}, 2, ("grumpy-cat", "panda", "dog")),
    "sle/fig12": ("nearest", {"sle/table3"}, 1, ("art", "ffhq", "flower")),
    "sle/fig13": ("nearest", {"sle/table2", "sle/table3"}, 1, ("skull", "shell", "obama", "panda")),
    "lt/fig2": ("edit-directions", {"lt/table1"}, 4, ("base", "lt")),
    "lt/fig8": ("edit-directions", {"lt/table1"}, 2, ("base", "lt")),
    "lt/fig9": ("edit-directions", {"lt/table1"}, 2, ("base", "lt")),
    "sle/fig5": ("back-tracking", {"sle/table5"}, 1, ("cat", "dog", "ffhq", "art")),
    "sle/fig14": ("reconstructions", {"sle/table3"}, 1, ("art", "ffhq", "flower", "pokemon")),
    "lt/fig3": ("attributes", {"lt/table1"}, 1, ("sndcgan", "sndcgan-lt", "stylegan", "stylegan-lt")),
    "lt/fig10": ("attributes", {"lt/table1"}, 1, ("stylegan-lt",)),
    "sle/fig11": ("over-training", {"sle/table3"}, 1, ("pokemon", "anime", "shell")),
}
LENDERS_OF_SMALL_SCALES = {"sle/fig5": {"sle/table2", "sle/table3"}}  # at mini and smoke
# figure -> the table whose evaluations are its pictures, and how many of them
TAKEN = {
    "disp/fig5": ("disp/table7", 6),
    "sle/fig12": ("sle/table8", 2),
    "sle/fig5": ("sle/table5", 4),
    "lt/fig3": ("lt/table2", 4),
    "lt/fig2": ("lt/edits", 8),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_sheets(name: str) -> None:
    table = load_table(name)
    measure, lenders, rows, columns = SHEET[name]
    assert (len(table.rows), tuple(column.id for column in table.columns)) == (rows, columns)
    assert table.metrics == () and {"paper", "mini", "smoke"} <= set(table.scales)
    assert {table.seeds_at(scale) for scale in table.scales} == {1}
    for scale in table.scales:
        shown = list(table.shown_cells(scale))
        assert len(shown) == rows * len(columns) - len(table.absent)
        tasks = [table.shown_spec(row, column, 0, scale) for row, column in shown]
        assert measure is None or {task.measure.name for task in tasks if task.measure} == {measure}
        assert all(run_measure(task.measure.name).pictures for task in tasks if task.measure)
        behind = (table.behind(row, column, scale) for row, column in shown)
        small = LENDERS_OF_SMALL_SCALES.get(name, lenders)
        whose = small if scale in ("mini", "smoke") else lenders
        assert {cell.table.name for cell in behind if cell is not None} == whose


def test_rows_of_one_figure_show_the_same_latents() -> None:
    """Latents depend on the seed, on their size and on how many are drawn together: these are equal over a column."""
    for name in FIGURES:
        table = load_table(name)
        for scale in table.scales:
            for column in table.columns:
                rows = [row for row, other in table.shown_cells(scale) if other is column and row.id not in ("sg2",)]
                tasks = [table.shown_spec(row, column, 0, scale) for row in rows]
                latents = {
                    (run.seed, run.network.name, run.network.options.get("z_dim"), task.protocol.batch)
                    for task in tasks
                    if (run := task.evaluated) and run.network and task.protocol
                }
                assert len(latents) <= 1, f"{name} {column.id} at {scale}"


def test_a_figure_of_an_earlier_text_has_the_evaluations_of_the_later_one() -> None:
    for scale in ("paper", "mini", "smoke"):
        uids = {
            name: {load_table(name).shown_spec(*cell, 0, scale).uid for cell in load_table(name).shown_cells(scale)}
            for name in FIGURES
        }
        for figure, (name, shared) in TAKEN.items():
            table = load_table(name)
            taken = {table.shown_spec(*cell, 0, scale).uid for cell in table.shown_cells(scale)}
            assert len(taken & uids[figure]) == shared
        assert uids["dip/fig5"] == uids["dip/fig10"] == uids["disp/fig8"]
        assert uids["dip/fig8"] < uids["disp/fig4"] and uids["dip/fig6b"] == uids["disp/fig6"]
        assert uids["disp/fig3"] < uids["dip/fig3"] < uids["dip/fig7"] and uids["dip/fig11"] < uids["disp/fig7"]


@pytest.mark.parametrize(("figure", "name"), [("sle/fig5", "sle/table5"), ("sle/fig12", "sle/table8")])
def test_at_midi_too(figure: str, name: str) -> None:
    pictures, table = load_table(figure), load_table(name)
    uids = [{one.shown_spec(*cell, 0, "midi").uid for cell in one.shown_cells("midi")} for one in (pictures, table)]
    assert len(uids[0] & uids[1]) == TAKEN[figure][1]
