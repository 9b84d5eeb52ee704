"""A score from outside the tree: one plug-in file, and it is in every list, table, figure, claim and comparison."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from PIL import Image

from bench import metrics
from bench.cli.main import cli
from bench.errors import UserError
from bench.metrics.measures import measure, measures, source_digest
from bench.plan.inputs import Machine
from bench.store.runs import Store

PLUGIN = '''
"""A score of one's own."""

from bench.metrics import Measure


def compute(sets, k):
    spread = sets.keep(lambda: sets.real.std(), "spread")
    return float(sets.fake.std() / spread) * FACTOR


SCORES = [
    Measure(
        name="toy_spread",
        summary="spread of the generated features, as a share of the reference's",
        title="toy spread",
        short="TOY",
        unit="parts",
        better="higher",
        compared="ratio",
        printed="toy",
        digits=3,
        compute=compute,
    )
]
'''
TABLE = """
title: mine
seeds: 2
snapshot: best
metrics: [toy_spread, fd]
rows:
  - {id: plain, label: Plain, method: baseline}
  - {id: other, label: Other, method: diffaugment + baseline}
columns: [{id: shapes, label: Shapes}]
claims: [{id: wider, text: One is wider., order: [plain, other]}]
scales:
  mini:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 4, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol:
      name: tiny
      version: 1
      every: 2
      metrics: [{name: toy_spread, extractor: effnet_lite0@32}, {name: fd, extractor: effnet_lite0@32}]
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}
"""
LABEL = "TOY(effnet_lite0@32)"


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys, load_plugin):
    """A folder with the table and the plug-in; `bench WORDS` in it, in this process: what it printed, on one line."""
    (tmp_path / "own.yaml").write_text(TABLE)
    (tmp_path / "toy.py").write_text(PLUGIN.replace("FACTOR", "1"))
    monkeypatch.chdir(tmp_path)

    def bench(*words, plugin=True):
        named = ("--plugin", "toy.py") if plugin else ()
        cli.main(args=[*words, *named], standalone_mode=False)
        return " ".join(capsys.readouterr().out.split())

    return bench


def test_a_score_from_outside_is_everywhere(desk, tmp_path, store_root):
    assert "toy_spread spread of the generated features, as a share" in desk("list", "metrics")
    table = ("own.yaml", "--scale", "mini")
    assert "(4 planned)" in desk("plan", *table, "--no-references")
    assert "4 runs finished" in desk("run", *table, "--jobs", "1")
    runs = list(Store(store_root))
    for run in runs:
        values = {line["step"]: line["value"] for line in run.metrics() if line["metric"] == "toy_spread"}
        assert set(values) == {2, 4} and all(0 < value < 10 for value in values.values())
        assert run.inputs()["read"]["score/toy_spread"] == source_digest("toy_spread")

    text = desk("report", *table)
    assert f"{LABEL} in parts, higher is better; best snapshot of each seed by TOY (the table's rule)" in text
    assert re.search(rf"(SUPPORTED|INCONCLUSIVE|CONTRADICTED): One is wider \(wider\).*{LABEL[:3]}\(.*: ratio", text)
    desk("report", *table, "--output", "out")
    stem = tmp_path / "out" / "own-mini"
    cells = pd.read_csv(f"{stem}.cells.csv").query("metric == 'toy_spread' and snapshot == 'best'")
    for run in runs:  # the higher one of a seed's two snapshots
        row = "other" if len(run.spec().method) > 1 else "plain"
        best = max(line["value"] for line in run.metrics() if line["metric"] == "toy_spread")
        (values,) = cells.loc[cells["row"] == row, "values"]
        assert f"{run.spec().seed}:{best!r}" in values.split()
    assert set(pd.read_csv(f"{stem}.seeds.csv")["metric"]) == {"toy_spread", "fd"}
    for suffix, title in (
        ("tex", "TOY(effnet\\_lite0@32) in parts, higher is better"),
        ("md", "TOY(effnet\\_lite0@32) in parts, higher is better"),
        ("html", f"{LABEL} in parts, higher is better"),
        ("html", "Toy spread over the training&#39;s steps"),
    ):
        assert title in (stem.parent / f"own-mini.{suffix}").read_text(), suffix
    assert Image.open(f"{stem}.toy_spread.png").width > 500
    compared = desk("compare", "other", "--table", *table, "--against", "runs")
    assert f"other against runs: {LABEL} in own (scale mini)" in compared and "ours / baseline" in compared


def test_an_edited_score_makes_its_runs_stale(desk, tmp_path, store_root):
    chosen = ("own.yaml", "--scale", "mini", "--rows", "plain", "--seeds", "0")
    desk("run", *chosen, "--jobs", "1")
    (run,) = Store(store_root)
    assert "; 0 to start" in desk("plan", *chosen)
    (tmp_path / "toy.py").write_text("# said better\n" + PLUGIN.replace("FACTOR", "1"))
    assert "stale" not in desk("plan", *chosen)
    (tmp_path / "toy.py").write_text(PLUGIN.replace("FACTOR", "2"))
    plan = desk("plan", *chosen)
    assert "stale: 1 run: changed since: code of the score toy_spread; --retry stale trains anew" in plan
    assert "; 0 to start" in plan
    shown = desk("report", *chosen[:3])
    assert "Stale, in no cell: plain · shapes (seed 0)" in shown and "code of the score toy_spread" in shown
    before = {line["step"]: line["value"] for line in run.metrics() if line["metric"] == "toy_spread"}
    desk("run", *chosen, "--jobs", "1", "--retry", "stale")
    after = {line["step"]: line["value"] for line in run.metrics() if line["metric"] == "toy_spread"}
    assert after == pytest.approx({step: 2 * value for step, value in before.items()})
    assert Machine(Store(store_root)).changes(run) == []


def test_without_its_plug_in_the_table_names_file_line_and_key(desk, fresh_registries):
    with pytest.raises(UserError, match=r"^own\.yaml:5: metrics\.0: unknown metric 'toy_spread'; known: .*coverage"):
        desk("plan", "own.yaml", "--scale", "mini", plugin=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SCORES = 5", "plug-in '{path}': SCORES must be a list of bench.metrics.Measure cards, not 5"),
        (
            "SCORES = ['fd']",
            "plug-in '{path}': SCORES must be a list of bench.metrics.Measure cards, not ['fd']",
        ),
        ("from bench.metrics.cards.fd import SCORES", "plug-in '{path}': metric 'fd' is registered twice: "),
        (
            PLUGIN.replace('"higher"', '"up"'),
            "UserError: score 'toy_spread': better is 'up', must be lower or higher",
        ),
    ],
)
def test_a_plug_in_with_other_scores_is_refused(text, message, load_plugin, tmp_path):
    with pytest.raises(UserError) as caught:
        load_plugin(text)
    assert message.format(path=tmp_path / "mine.py") in str(caught.value)


def test_entry_points_of_an_installed_package(distribution):
    distribution(
        "[bench.scores]\ntheir_score = their_gans:SCORE\nother_name = their_gans:SCORE\n",
        "from bench.metrics import Measure\nSCORE = Measure(name='their_score', summary='s', title='t', short='T', "
        "better='lower', compute=lambda sets, k: 0.5)\n",
    )
    assert measures().entry("their_score").summary == "from the package their_gans"
    assert metrics.label("their_score", "vgg16") == "T(vgg16@64)"
    assert source_digest("their_score") is not None
    with pytest.raises(UserError, match=r"'other_name' \(their_gans:SCORE\) must be a bench.metrics.Measure of that"):
        measure("other_name")
