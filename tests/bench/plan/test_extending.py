"""A table over another: rows and columns by their ids, columns like others, no left-overs, and aliases."""

from __future__ import annotations

import pytest
import yaml

from bench.errors import UserError
from bench.plan.extending import extended
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.store.runs import Store

CURVE = {
    "extends": "disp/table1",
    "title": "Numbers of images",
    "claims": [],
    "seeds": {"paper": 3, "midi": 3, "mini": 3, "smoke": 1},
    "rows": ["scratch", "ada", {"id": "own", "label": "Own", "method": "disp(prior=vgg16)"}],
    "columns": [
        "anime",
        {"id": "n25", "label": "25", "x": 25, "like": "anime"},
        {"id": "n9", "label": "9", "x": 9, "like": "n25"},
        {"id": "n100", "label": "100", "x": 100, "like": "anime"},
    ],
    "scales": {
        "paper": {"columns": {"n25": {"data": {"shots": 25}}, "n9": {"data": {"shots": 9}}}},
        "mini": {"columns": {"n25": {"data": {"shots": 25}}, "n9": {"data": {"shots": None, "share": 0.5}}}},
        "smoke": {"columns": {"n25": {"data": {"shots": 25}, "generated": 50}, "n9": {"train": {"steps": 7}}}},
    },
}


@pytest.fixture
def write(tmp_path):
    def write(value, name="mine"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(value, sort_keys=False))
        return str(path)

    return write


def uids(table, row, column, scale="smoke"):
    return table.run_spec(table.pick_rows([row])[0], table.pick_columns([column])[0], 0, scale).uid


def test_rows_and_columns_by_id_are_the_parents_and_share_its_runs(write):
    table, parent = load_table(write(CURVE)), load_table("disp/table1")
    assert [row.id for row in table.rows] == ["scratch", "ada", "own"]
    assert table.rows[0] == parent.rows[0] and table.columns[0] == parent.columns[0]
    for scale in ("smoke", "mini", "paper"):
        for row in ("scratch", "ada"):  # ada has a patch of its own at smoke and mini
            assert uids(table, row, "anime", scale) == uids(parent, row, "anime", scale)
            assert uids(table, row, "n100", scale) == uids(parent, row, "anime", scale)


def test_absent_cells_go_with_their_rows(write):
    """Those that the paper leaves out, and those that a scale cannot have; a list of one's own is in their place."""
    child = {"extends": "sle/fig9-layers", "title": "Two", "claims": [], "rows": ["layer-64", "layer-128"]}
    cells = lambda table, scale: {(row.id, column.id) for row, column in table.shown_cells(scale)}  # noqa: E731
    small, large = ({(f"layer-{size}", column) for column in ("art", "ffhq", "obama")} for size in (64, 128))
    table = load_table(write(child))
    assert (cells(table, "mini"), cells(table, "paper")) == (small, small | large)
    assert (table.absent, table.at("mini").absent) == ((), ("layer-128/*",))
    own = load_table(write({**child, "scales": {"mini": {"absent": ["layer-128/*", "layer-64/obama"]}}}))
    assert cells(own, "mini") == small - {("layer-64", "obama")} and cells(own, "smoke") == small
    with pytest.raises(UserError, match="unknown row 'layer-65'; did you mean 'layer-64'?"):
        load_table(write({**child, "scales": {"smoke": {"absent": ["layer-65/*"]}}}))


def test_a_column_like_another_has_its_settings_under_its_own(write):
    table = load_table(write(CURVE))

    def cell(column, scale):
        return table.cell(table.rows[0], table.pick_columns([column])[0], scale)

    assert [cell(name, "paper").data.shots for name in ("anime", "n25", "n9")] == [100, 25, 9]
    assert (cell("n9", "mini").data.shots, cell("n9", "mini").data.share) == (None, 0.5)
    n9 = cell("n9", "smoke")
    assert (n9.data.shots, n9.protocol.generated, n9.train.steps, n9.stand_in) == (
        25,
        50,
        7,
        cell("anime", "smoke").stand_in,
    )
    assert [column.x for column in table.columns] == [None, 25, 9, 100]


def test_the_cells_of_a_column_are_those_of_the_column_that_it_is_like(write):
    value = yaml.safe_load(yaml.safe_dump(CURVE))
    value["scales"]["smoke"]["cells"] = {
        "scratch/anime": {"train": {"steps": 3, "batch": 4}},
        "scratch/n9": {"train": {"batch": 2}},
    }
    table = load_table(write(value))
    trains = [table.cell(table.rows[0], column, "smoke").train for column in table.columns]
    assert [(train.steps, train.batch) for train in trains] == [(3, 4), (3, 4), (3, 2), (3, 4)]


def test_patches_of_rows_that_only_the_parent_has_are_left_out_but_ones_own_are_not(write):
    value = {**CURVE, "rows": ["scratch"]}
    assert set(load_table(write(value)).at("smoke").rows) == set()
    value["scales"] = {
        **CURVE["scales"],
        "smoke": {**CURVE["scales"]["smoke"], "rows": {"ada": {"train": {"steps": 5}}}},
    }
    with pytest.raises(UserError, match="rows.ada: unknown row 'ada'; known: scratch"):
        load_table(write(value))


def test_a_column_is_like_another_in_the_rows_that_there_are(tmp_path):
    cells = {"a/x": {"method": "unconditional"}, "b/x": {"method": "ssgan"}}
    smoke = {"columns": {"x": {"generated": 9}}, "cells": cells}
    parent = {"rows": [{"id": "a"}, {"id": "b"}], "columns": [{"id": "x"}], "scales": {"smoke": smoke}}
    value = {"rows": ["b"], "columns": [{"id": "y", "like": "x"}]}
    found = extended(parent, value, tmp_path / "mine.yaml")["scales"]["smoke"]
    assert found == {"columns": {"y": {"generated": 9}}, "cells": {"b/y": {"method": "ssgan"}}}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"rows": ["scrath"]}, "rows.0: unknown row 'scrath' of the table that is extended; did you"),
        ({"columns": ["anim"]}, "unknown column 'anim' of the table that is extended; did you"),
        ({"columns": [{"id": "a", "label": "A", "like": "anim"}]}, "columns.0.like: unknown column 'anim'"),
        ({"columns": [{"id": "a", "label": "A", "like": "b"}, {"id": "b", "label": "B", "like": "a"}]}, "is like"),
        ({"columns": [{"id": "a", "label": "A", "like": "a"}]}, "columns.0.like: 'a' is like 'a' itself"),
        ({"rows": [["scratch"]]}, "rows.0"),
        ({"rows": "scratch"}, "rows"),
        ({"scales": ["smoke"]}, "scales"),
        ({"extends": "disp/tabel1"}, "unknown table 'disp/tabel1'; did you mean 'disp/table1'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(settings, line, write):
    with pytest.raises(UserError) as refusal:
        load_table(write({**CURVE, **settings}))
    assert line in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_id_alone_needs_a_table_that_is_extended(write):
    value = {key: setting for key, setting in CURVE.items() if key != "extends"}
    with pytest.raises(
        UserError, match="rows.0: 'scratch' is only an id, and no table is extended; write .id: scratch"
    ):
        load_table(write(value))


ALIAS = {"same_as": "disp/table1", "title": "The other text", "paper": "dip", "labels": {"scratch+disp": "+ DIP-Vgg16"}}


def test_an_alias_has_the_others_runs_under_its_own_names(write, tmp_path):
    alias, other = load_table(write(ALIAS)), load_table("disp/table1")
    assert (alias.same_as, alias.title, alias.paper, alias.claims, alias.notes) == (
        "disp/table1",
        "The other text",
        "dip",
        (),
        (),
    )
    labels = {row.id: row.label for row in alias.rows}
    assert labels["scratch+disp"] == "+ DIP-Vgg16" and labels["ada"] == "ADA (ADA-lite)"
    for scale in ("smoke", "mini", "paper"):
        plans = [make_plan(table, scale, Store(tmp_path), seeds=[0]) for table in (alias, other)]
        assert [run.uid for run in plans[0].runs] == [run.uid for run in plans[1].runs]
    part = load_table(write({**ALIAS, "rows": ["scratch+disp", "scratch"], "columns": ["faces"]}))
    assert [row.id for row in part.rows] == ["scratch+disp", "scratch"] and [one.id for one in part.columns] == [
        "faces"
    ]
    assert uids(part, "scratch", "faces") == uids(other, "scratch", "faces")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"labels": {"scrath": "x"}}, "labels.scrath: unknown row 'scrath' of disp/table1; did you mean 'scratch'?"),
        ({"labels": ["x"]}, "labels: must be a mapping of row ids to labels"),
        ({"rows": ["scrath"]}, "unknown row 'scrath'"),
        ({"rows": [{"id": "x", "label": "X"}]}, "rows.0: write the id of a row of disp/table1 alone"),
        ({"metrics": ["fd"]}, "metrics: is that of disp/table1; leave it out, or write extends in place of same_as"),
        ({"same_as": "disp/tabel1"}, "unknown table 'disp/tabel1'; did you mean 'disp/table1'?"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_alias_is_one_line(settings, line, write):
    with pytest.raises(UserError) as refusal:
        load_table(write({**ALIAS, **settings}))
    assert line in str(refusal.value) and "\n" not in str(refusal.value)
