"""Rows and columns that show one output of a measure each: one task serves them all."""

from __future__ import annotations

import pytest
import yaml

from bench.errors import UserError
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.render import csv, html, latex, markdown, text
from bench.report.results import load_results
from bench.store.runs import Store

PLUGIN = """
from bench.evaluate.card import Result, RunMeasure, Value
from bench.metrics.output import Output

NAMES = {"tone": "higher", "ticks": "none"}


def compute(subject, settings):
    return Result([Value("tone", float(subject.images(4).mean())), Value("ticks", 3.0)])


MEASURES = [
    RunMeasure(
        name="tones", summary="grey levels", compute=compute,
        outputs=tuple(
            Output(name=name, summary=name, title=name, short=name, better=better) for name, better in NAMES.items()
        ),
    )
]
"""
TABLE = {
    "title": "Two numbers of one evaluation", "seeds": 2, "snapshot": "final", "metrics": ["tone", "ticks"],
    "evaluate": {"measure": "tones"},
    "rows": [{"id": "tone", "label": "Tone", "output": "tone"}, {"id": "ticks", "label": "Ticks", "output": "ticks"}],
    "columns": [{"id": "own", "label": "Own"}],
    "scales": {"mini": {
        "method": "unconditional",
        "network": {"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}},
        "train": {"steps": 2, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3},
        "protocol": {
            "name": "tiny", "version": 1, "every": 2, "metrics": [{"name": "fd", "extractor": "effnet_lite0@32"}],
        },
        "data": {"name": "shapes", "resolution": 32, "shots": 16}, "generated": 24, "reference": 24,
    }},
}  # fmt: skip


def written(folder, **changes):
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({**TABLE, **changes}, sort_keys=False))
    (folder / "tones.py").write_text(PLUGIN)
    return str(path)


def test_one_task_serves_the_rows_that_show_its_outputs(tmp_path, bench_command, store_root, load_plugin, monkeypatch):
    """Planned, run, reported and recorded; the identity of the evaluation does not depend on what shows it."""
    path = written(tmp_path)
    here = ["--scale", "mini", "--plugin", str(tmp_path / "tones.py")]
    done = bench_command("run", path, *here, "--jobs", "1")
    assert done.returncode == 0 and "4 runs finished" in done.stdout, done.stdout + done.stderr
    shown = bench_command("report", path, *here).stdout
    assert shown.count("neither way is better") == 1 and shown.count("higher is better") == 1
    assert shown.count("\nTicks ") == shown.count("\nTone ") == 1, shown

    load_plugin(PLUGIN, "tones.py")
    table, store = load_table(path), Store(store_root)
    plan = make_plan(table, "mini", store)
    evaluations = [run for run in plan.runs if run.spec.measure is not None]
    assert [[cell.row for cell in run.cells] for run in evaluations] == [["tone", "ticks"]] * 2
    plain = [{"id": "both", "label": "Both"}]
    alone = make_plan(load_table(written(tmp_path, rows=plain)), "mini", store)
    assert {run.uid for run in alone.runs} == {run.uid for run in plan.runs}
    written(tmp_path)

    results = load_results(table, "mini", store)
    assert results.groupby("row")["metric"].unique().map(list).to_dict() == {"tone": ["tone"], "ticks": ["ticks"]}
    report = build_report(table, "mini", results)
    cells = {block.metric: block.cells for block in report.blocks}
    values = {(metric, row): cells[metric][row, "own"].values for metric in cells for row in ("tone", "ticks")}
    assert values["ticks", "ticks"] == (3.0, 3.0) and values["ticks", "tone"] == values["tone", "ticks"] == ()
    assert csv.cells(report).count("\n") == 3, "no line for a number that a row does not show"
    for page in (text.render(report), markdown.render(report), latex.render(report)):
        assert page.count("Ticks") == 1
    # The page names it in the score's own heading and table; no other score has its row
    assert html.render(report).count('<th scope="row" dir="auto">Ticks') == 1
    bench_command("record", path, *here, "--as", "kept", "--root", str(tmp_path / "sets"))
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    again = load_results(table, "mini", Store(tmp_path / "empty"), recorded="kept")
    keys = ["row", "column", "seed", "metric", "value"]
    assert again[keys].equals(results[keys])


def test_columns_may_name_outputs_too(tmp_path, load_plugin):
    load_plugin(PLUGIN)
    columns = [{"id": name, "label": name.title(), "output": name} for name in ("tone", "ticks")]
    rows = [{"id": "plain", "label": "Plain"}]
    table = load_table(written(tmp_path, rows=rows, columns=columns))
    assert [len(table.gives(table.rows[0], column, "mini")) for column in table.columns] == [1, 1]
    report = build_report(table, "mini", load_results(table, "mini", Store(tmp_path / "none")))
    assert "Ticks" not in markdown.render(report).partition("ticks, neither way")[0].partition("Tone")[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rows": [{"id": "tone", "label": "Tone", "output": "tune"}]},
            "rows.0.output: unknown metric 'tune'; did you mean 'tone'?",
        ),
        (
            {"metrics": ["tone", "fd"], "rows": [{"id": "tone", "label": "Tone", "output": "fd"}]},
            "rows.0.output: cell tone/own at scale mini: gives no 'fd'; ",
        ),
        (
            {"columns": [{"id": "own", "label": "Own", "output": "ticks"}]},
            "columns: name an output ('ticks'), and so do rows ('tone')",
        ),
        (
            {"evaluate": {}, "metrics": ["fd", "ticks"], "rows": [{"id": "t", "label": "T", "output": "ticks"}]},
            "rows.0.output: cell t/own at scale mini: gives no 'ticks'",
        ),
    ],
)
def test_an_output_that_is_not_there_is_refused(tmp_path, load_plugin, changes, message):
    load_plugin(PLUGIN)
    with pytest.raises(UserError) as caught:
        load_table(written(tmp_path, **changes))
    assert message in str(caught.value) and "\n" not in str(caught.value)
