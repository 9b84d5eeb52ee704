"""A table's YAML: patches by place, absent cells, fragments, tables that extend others, and columns like others."""

from __future__ import annotations

import pytest
import yaml

from bench.errors import UserError
from bench.plan import fragments
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.store.runs import Store

METRICS = [{"name": "fd", "extractor": "effnet_lite0@32"}]
NARROW = {"g_width": 16, "d_width": 16, "z_dim": 16, "sn_generator": True}
TABLE = {
    "title": "Patches",
    "seeds": {"smoke": 1, "mini": 2},
    "snapshot": "best",
    "metrics": ["fd"],
    "absent": ["plain/small"],
    "rows": [
        {"id": "plain", "label": "Plain", "method": "baseline", "group": "one"},
        {"id": "disp", "label": "DISP", "method": "disp(prior=vgg16)", "group": "one"},
        {"id": "other", "label": "Other", "group": "two"},
    ],
    "columns": [{"id": "large", "label": "Large"}, {"id": "small", "label": "Small"}],
    "scales": {
        "smoke": {
            "train": {"steps": 4, "batch": 8, "g_lr": 1e-3, "d_lr": 1e-3, "flip": True},
            "protocol": {"name": "p", "version": 1, "every": 2, "metrics": METRICS},
            "data": {"name": "shapes", "resolution": 32},
            "generated": 60,
            "reference": 100,
            "columns": {
                "large": {"data": {"shots": 50}},
                "small": {"data": {"shots": 10}, "train": {"batch": 4}, "protocol": {"every": 1}, "generated": 20},
            },
            "groups": {
                "one": {"network": {"name": "sngan-32", "options": NARROW}},
                "two": {"network": {"name": "sndcgan-32"}, "method": "baseline", "train": {"batch": 16}},
            },
            "rows": {"disp": {"train": {"steps": 6}}},
            "cells": {"disp/small": {"train": {"steps": 8, "flip": None}}},
        }
    },
}  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def write(value, name="mine"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(value if isinstance(value, str) else yaml.safe_dump(value, sort_keys=False))
        return str(path)

    return write


def changed(**settings):
    """TABLE with dotted keys replaced: {"scales.smoke.train": ...}; None removes."""
    value = yaml.safe_load(yaml.safe_dump(TABLE))
    for key, setting in settings.items():
        *above, last = key.split("__")
        place = value
        for piece in above:
            place = place[piece]
        place[last] = setting
    return value


def cell(table, row, column, scale="smoke"):
    (picked,), (place,) = table.pick_rows([row]), table.pick_columns([column])
    return table.cell(picked, place, scale)


def test_scale_column_group_row_and_cell_are_laid_over_each_other(write):
    table = load_table(write(TABLE))
    steps = {(row, column): (cell(table, row, column).train.steps, cell(table, row, column).train.batch)
             for row in ("plain", "disp", "other") for column in ("large", "small")}  # fmt: skip
    assert steps == {
        ("plain", "large"): (4, 8), ("plain", "small"): (4, 4),
        ("disp", "large"): (6, 8), ("disp", "small"): (8, 4),
        ("other", "large"): (4, 16), ("other", "small"): (4, 16),  # the group is over the column
    }  # fmt: skip
    assert [cell(table, "disp", column).train.flip for column in ("large", "small")] == [True, False]
    assert cell(table, "disp", "small").protocol.every == 1 and cell(table, "disp", "small").protocol.generated == 20
    assert cell(table, "other", "large").method == "baseline"
    assert (cell(table, "plain", "large").network.name, cell(table, "other", "large").network.name) == (
        "sngan-32",
        "sndcgan-32",
    )


def test_absent_cells_are_not_planned_and_seeds_go_by_scale(write, tmp_path):
    table = load_table(write(TABLE))
    assert [table.seeds_at("smoke"), load_table(write(changed(seeds=4))).seeds_at("smoke")] == [1, 4]
    planned = {(run.cells[0].row, run.cells[0].column) for run in make_plan(table, "smoke", Store(tmp_path)).runs}
    assert planned == {("plain", "large"), ("disp", "large"), ("disp", "small"), ("other", "large"), ("other", "small")}
    own = load_table(write(changed(scales__smoke__seeds=7)))
    assert (own.seeds_at("smoke"), own.with_seeds(2).seeds_at("smoke")) == (7, 2)
    both = load_table(write(changed(absent=["disp/*", "*/small"])))
    assert {(row.id, column.id) for row, column in both.trained_cells("smoke")} == {
        ("plain", "large"),
        ("other", "large"),
    }


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"scales__smoke__groups__one": {}}, "mine at scale smoke: cell plain/large has no network"),
        ({"scales__smoke__groups__two": {"network": {"name": "sndcgan-32"}}}, "cell other/large has no method"),
        ({"scales__smoke__groups__twoo": {}}, "scales.smoke.groups.twoo: unknown group 'twoo'; did you mean 'two'?"),
        ({"scales__smoke__columns__smal": {}}, "unknown column 'smal'; did you mean 'small'?"),
        ({"scales__smoke__rows__dips": {}}, "unknown row 'dips'; did you mean 'disp'?"),
        ({"scales__smoke__cells": {"disp": {}}}, "'disp' is no cell; write row/column"),
        ({"scales__smoke__cells": {"disp/smal": {}}}, "unknown column 'smal'; did you mean 'small'?"),
        ({"absent": ["plain/smal"]}, "absent.0: unknown column 'smal'; did you mean 'small'?"),
        ({"absent": ["*/*"]}, "'*/*' is no cell that can be absent; write row/column, row/* or */column"),
        ({"absent": ["plain"]}, "'plain' is no cell that can be absent"),
        ({"seeds": {"mini": 1}}, "seeds: scale smoke is not there; give a number for every scale, or one for all"),
        ({"seeds": {"tiny": 1}}, "seeds.tiny: Input should be 'smoke', 'mini', 'midi' or 'paper'"),
        ({"seeds": 0}, "seeds: Input should be greater than 0"),
        ({"references": ["floor"], "scales__smoke__reference": None, "scales__smoke__groups__one__reference": 9,
          "scales__smoke__groups__two__reference": 9}, "column large has no reference; give it in the scale or"),
        ({"scales__smoke__train__micro_batch": 3}, "train: micro_batch is 3, must divide batch, which is 8"),
        ({"scales__smoke__cells__disp/small": {"train": {"stepz": 3}}}, "unknown key; did you mean 'steps'?"),
        ({"scales__smoke__protocol__generated": 3}, "scales.smoke.protocol.generated: stands beside `protocol`"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(settings, line, write):
    path = write(changed(**settings))
    with pytest.raises(UserError) as refusal:
        load_table(path)
    assert line in str(refusal.value) and str(refusal.value).startswith(f"{path}:") and "\n" not in str(refusal.value)


def test_set_reaches_every_cell_whatever_its_patch_says(write):
    path = write(TABLE)
    table = load_table(path, {"train.steps": 9, "protocol.every": 3})
    cells = [table.cell(row, column, "smoke") for row, column in table.trained_cells("smoke")]
    assert {(one.train.steps, one.protocol.every) for one in cells} == {(9, 3)}
    table = load_table(path, {"cells.disp/small.train.steps": 11, "groups.two.network.options.z_dim": 20})
    assert (cell(table, "disp", "small").train.steps, cell(table, "disp", "large").train.steps) == (11, 6)
    assert cell(table, "other", "large").network.options == {"z_dim": 20}
    with pytest.raises(
        UserError, match=r"--set network.name: the scale has no network of its own; write --set groups.one."
    ):
        load_table(path, {"network.name": "sngan-64"})


def test_a_set_as_a_column_has_the_settings_of_the_column_with_the_most_images(write):
    value = changed(scales__smoke__columns__small__reference=200)
    table = load_table(write(value), columns=["digits"])
    added = cell(table, "disp", "digits")
    assert (added.train.batch, added.protocol.every, added.protocol.reference) == (4, 1, 200)
    assert (added.data.name, added.data.shots, added.stand_in) == ("digits", 10, None)


@pytest.fixture
def common(tmp_path, monkeypatch):
    """A folder of fragments of this test's own."""
    monkeypatch.setattr(fragments, "TABLES", tmp_path / "tables")
    folder = tmp_path / "tables" / "common"
    folder.mkdir(parents=True)

    def write(name, text):
        (folder / f"{name}.yaml").write_text(text)

    return write


def test_fragments_are_under_what_uses_them_and_earlier_ones_under_later_ones(common, write):
    common(
        "family",
        "net: {network: {name: sndcgan-32}, train: {steps: 1, batch: 2}}\nslow: {use: family/net, train: {steps: 30}}",
    )
    common("sets", "small: {data: {shots: 7}}\n")
    value = changed()
    value["scales"]["smoke"]["groups"]["one"] = {"use": "family/net", "train": {"batch": 5}}
    value["scales"]["smoke"]["groups"]["two"] = {"use": ["family/net", "family/slow"], "method": "baseline"}
    value["scales"]["smoke"]["columns"]["small"] = {"use": "sets/small"}
    table = load_table(write(value))
    assert (cell(table, "plain", "large").train.steps, cell(table, "plain", "large").train.batch) == (1, 5)
    assert (cell(table, "other", "large").train.steps, cell(table, "other", "large").train.batch) == (30, 2)
    assert cell(table, "other", "small").data.shots == 7


@pytest.mark.parametrize(
    ("use", "line"),
    [
        ("family/nett", "scales.smoke.use: unknown fragment 'family/nett'; did you mean 'family/net'?"),
        ("famly/net", "unknown fragment 'famly/net'; did you mean 'family/net'?"),
        ("net", "'net' is no fragment; write file/key"),
        (5, "'5' is no fragment; write file/key"),
        ("family/round", "fragment 'family/round' uses itself: family/round > family/turn > family/round"),
        ("family/word", "unknown fragment 'family/word'"),
    ],
)
def test_a_wrong_fragment_is_one_line(use, line, common, write):
    common(
        "family", "net: {network: {name: sndcgan-32}}\nround: {use: family/turn}\nturn: {use: family/round}\nword: 5\n"
    )
    path = write(changed(scales__smoke__use=use))
    with pytest.raises(UserError) as refusal:
        load_table(path)
    assert line in str(refusal.value) and "\n" not in str(refusal.value)


def test_fragments_are_of_scales_alone(write):
    with pytest.raises(UserError, match="use: unknown key"):
        load_table(write(changed(use="family/net")))
