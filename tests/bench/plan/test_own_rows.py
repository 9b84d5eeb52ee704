"""Rows of the user's own on tables whose settings go by groups, and cells that the paper leaves out."""

from __future__ import annotations

import pytest
import yaml

from bench.errors import UserError
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.results import load_results
from bench.spec.own_rows import group_of, row_id, split_label
from bench.store.runs import Store

METRICS = [{"name": "fd", "extractor": "effnet_lite0@32"}]
SHAPES = {"name": "shapes", "resolution": 32}
TABLE = {
    "title": "Groups",
    "snapshot": "best",
    "metrics": ["fd"],
    "absent": ["small/many"],
    "rows": [
        {"id": "small", "label": "Small", "method": "baseline", "group": "sngan"},
        {"id": "large", "label": "Large", "method": "baseline", "group": "sndcgan"},
    ],
    "columns": [{"id": "few", "label": "Few"}, {"id": "many", "label": "Many"}],
    "scales": {
        "smoke": {
            "train": {"steps": 4, "batch": 8, "g_lr": 1e-3, "d_lr": 1e-3},
            "protocol": {"name": "p", "version": 1, "every": 2, "metrics": METRICS},
            "generated": 60,
            "reference": 100,
            "columns": {"few": {"data": {**SHAPES, "shots": 10}}, "many": {"data": {**SHAPES, "shots": 50}}},
            "groups": {
                "sngan": {"network": {"name": "sngan-32", "options": {"sn_generator": True}}},
                "sndcgan": {"network": {"name": "sndcgan-32"}, "train": {"steps": 6}},
            },
        }
    },
}  # fmt: skip
GROUPLESS = "ours=diffaugment + baseline"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "groups.yaml"
    path.write_text(yaml.safe_dump(TABLE, sort_keys=False))
    return str(path)


def test_a_label_may_name_a_group():
    assert split_label("ours@sngan=disp + baseline") == ("ours@sngan", "disp + baseline")
    assert split_label("our row@a+b-c = disp(prior=effnet_lite0@96)") == (
        "our row@a+b-c",
        "disp(prior=effnet_lite0@96)",
    )
    assert split_label("disp(prior=effnet_lite0@96)") == (None, "disp(prior=effnet_lite0@96)")
    assert [group_of(label) for label in ("ours@sngan", "ours", None)] == ["sngan", None, None]
    assert row_id("ours@sngan=disp") == "ours@sngan"


def test_it_has_the_settings_of_its_group(path, tmp_path):
    expressions = [f"ours@{group}=diffaugment + baseline" for group in ("sngan", "sndcgan")]
    table = load_table(path).with_methods(expressions)
    plan = make_plan(table, "smoke", Store(tmp_path), ["ours@sngan", "ours@sndcgan"], seeds=[0])
    assert [(run.spec.network.name, run.spec.train.steps) for run in plan.runs] == [
        ("sngan-32", 4), ("sngan-32", 4), ("sndcgan-32", 6), ("sndcgan-32", 6)
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"'ours@sngam=baseline': groups has no group 'sngam'; did you mean 'sngan'\?"):
        load_table(path).with_methods(["ours@sngam=baseline"])


def test_without_a_group_it_is_refused_where_it_is_planned_and_disturbs_no_report(path, tmp_path):
    table = load_table(path).with_methods([GROUPLESS])
    assert not table.fits(table.rows[-1], "smoke")
    with pytest.raises(UserError) as refusal:
        make_plan(table, "smoke", Store(tmp_path), ["ours"])
    text = (
        "groups at scale smoke: cell ours/few has no network; give it in the scale, the column, the group, the row or"
    )
    assert str(refusal.value).startswith(text)
    assert str(refusal.value).endswith("as --method 'ours@sndcgan=...' (groups: sndcgan, sngan)")
    assert table.main_metric("smoke") == "fd"
    report = build_report(table, "smoke", load_results(table, "smoke", tmp_path))
    assert any("snapshots every 2 of 4 steps" in line for line in report.caption)


def test_a_row_of_a_project_file_may_name_a_group(path, tmp_path, bench_command):
    (tmp_path / "bench.toml").write_text('[rows]\n"ours@sngan" = "diffaugment + baseline"\n')
    done = bench_command("plan", path, "--rows", "ours@sngan", "--seeds", "0", "--store", "store", cwd=tmp_path)
    assert done.returncode == 0 and "ours@sngan · few · seed 0" in done.stdout, done.stderr


def test_a_cell_that_is_left_out_is_no_plan(path, tmp_path):
    table = load_table(path)
    with pytest.raises(UserError) as refusal:
        make_plan(table, "smoke", Store(tmp_path), ["small"], ["many"])
    assert str(refusal.value) == "groups has no cell small/many: the paper leaves it out; choose other rows or columns"
    assert len(make_plan(table, "smoke", Store(tmp_path), ["small"], seeds=[0]).runs) == 1
