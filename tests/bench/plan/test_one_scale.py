"""A shipped table of which one scale is used: its cells are looked through at that scale, and it is the same table."""

from __future__ import annotations

import copy

import pytest
import yaml

from bench.errors import UserError
from bench.plan import fragments, load, table_files
from bench.plan.borrowed import lender_names
from bench.plan.load import load_table, table_names
from bench.plan.runs import make_plan
from bench.plan.store_view import StoreView
from bench.store.runs import Store

SCORES = [{"name": "fd", "extractor": "effnet_lite0@32"}]
SMOKE = {
    "network": {"name": "sngan-32"},
    "data": {"name": "shapes", "resolution": 32, "shots": 8},
    "train": {"steps": 2, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
    "protocol": {"name": "p", "version": 1, "every": 2, "metrics": SCORES},
    "generated": 20,
    "reference": 20,
}
WITHOUT_NETWORK = copy.deepcopy({key: value for key, value in SMOKE.items() if key != "network"})
TABLE = {
    "title": "Half right",
    "seeds": 1,
    "snapshot": "final",
    "metrics": ["fd"],
    "rows": [{"id": "plain", "label": "Plain", "method": "baseline"}],
    "columns": [{"id": "few", "label": "Few"}],
    "scales": {"smoke": SMOKE, "mini": WITHOUT_NETWORK},
}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of shipped tables of this test's own, with one that lacks a network at scale mini."""
    folder = tmp_path / "tables" / "one-scale"
    folder.mkdir(parents=True)
    (folder / "half.yaml").write_text(yaml.safe_dump(TABLE, sort_keys=False))
    for module in (fragments, load, table_files):
        monkeypatch.setattr(module, "TABLES", tmp_path / "tables")
    return folder / "half.yaml"


def test_a_hole_is_found_at_its_scale_and_where_no_scale_is_named(shipped):
    assert load_table("one-scale/half", scale="smoke").scales.keys() == {"smoke", "mini"}
    line = next(number for number, text in enumerate(shipped.read_text().splitlines(), 1) if "  mini:" in text)
    for scale in ("mini", None):
        with pytest.raises(UserError, match=rf"half\.yaml:{line}: scales\.mini\.network: .* has no network") as refused:
            load_table("one-scale/half", scale=scale)
        assert "cell plain/few" in str(refused.value)


def test_settings_of_the_users_are_looked_through_at_every_scale(shipped):
    with pytest.raises(UserError, match="has no network"):
        load_table("one-scale/half", {"train.steps": 3}, scale="smoke")


def merged_lenders(table):
    """As the merged settings of every cell name them, at every scale."""
    cells = ((scale, row, column) for scale in table.scales for row in table.rows for column in table.columns)
    named = (table.merged(column, scale, row).of for scale, row, column in cells)
    return {of.table for of in named if of is not None and of.table is not None}


def test_lenders_are_those_that_the_merged_settings_of_the_cells_name():
    tables = [load_table(name) for name in table_names()]
    found = {table.name: lender_names(table) for table in tables}
    assert found == {table.name: merged_lenders(table) for table in tables}
    assert sum(map(bool, found.values())) > 10


@pytest.mark.parametrize("name", ["disp/table6", "dip/table10", "dip/fig8", "sle/table2"])
def test_the_runs_are_those_of_the_whole_table(name, tmp_path):
    """Two with lenders, an extended one, and one that lends."""
    view = StoreView(Store(tmp_path))
    for scale in load_table(name).scales:
        one, whole = (make_plan(load_table(name, scale=only), scale, view) for only in (scale, None))
        assert [(run.uid, run.label, run.needs, run.resources) for run in one.runs] == [
            (run.uid, run.label, run.needs, run.resources) for run in whole.runs
        ]
