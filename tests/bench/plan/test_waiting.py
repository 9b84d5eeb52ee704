"""A table that waits for a measure loads and shows its printed numbers; what would start runs refuses it."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from bench.cli.main import cli
from bench.errors import UserError
from bench.evaluate.registry import run_measures
from bench.plan.load import load_table
from bench.plan.waiting import refuse_waiting, to_come
from bench.spec.measures_to_come import MEASURES_TO_COME

NAME = "later-measure"
WILL = "how much later it is"
TABLE = {
    "title": "Lengths",
    "snapshot": "best",
    "metrics": ["some_length"],
    "of": {"table": "disp/table1", "column": "anime"},
    "evaluate": {"measure": NAME},
    "rows": [{"id": "scratch", "label": "Scratch"}, {"id": "ada", "label": "ADA"}],
    "columns": [{"id": "z", "label": "Z", "evaluate": {"space": "z"}}, {"id": "w", "label": "W"}],
    "scales": {"smoke": {"evaluate": {"pairs": 5}}},
}
LINE = f"mine needs the measure '{NAME}' ({WILL}), which this version does not have"


@pytest.fixture(autouse=True)
def measure_to_come(monkeypatch):
    """One measure that tables may name and that is not here: the version that ships waits for none."""
    monkeypatch.setitem(MEASURES_TO_COME, NAME, WILL)


@pytest.fixture
def bench():
    """Run a command in this process, which knows of the measure: its output."""

    def run(*words):
        done = CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False)
        assert done.return_value in (None, 0), done.output
        return done.output

    return run


@pytest.fixture
def write(tmp_path):
    def write(value):
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(value, sort_keys=False))
        return str(path)

    return write


def test_no_measure_is_here_and_to_come():
    assert not set(MEASURES_TO_COME) & {entry.name for entry in run_measures()}
    assert all(line == line.rstrip(".") and line for line in MEASURES_TO_COME.values())


def test_it_loads_and_is_refused_by_the_verbs_that_start_runs(write, bench):
    path = write(TABLE)
    assert to_come(load_table(path)) == NAME and to_come(load_table("disp/table1")) is None
    with pytest.raises(UserError) as refusal:
        refuse_waiting(load_table(path))
    assert str(refusal.value) == LINE
    for verb in (
        ["plan", path],
        ["run", path],
        ["record", path, "--as", "x"],
        ["submit", path, "--dry-run", "--profile", "test-node"],
    ):
        with pytest.raises(UserError) as refusal:
            bench(*verb)
        assert str(refusal.value) == LINE, verb


def test_a_report_shows_the_printed_numbers_alone(write, bench, tmp_path, monkeypatch):
    shown = bench("report", write(TABLE))
    assert "Waits for the measure 'later-measure': the paper's numbers alone." in shown
    assert "mine: no printed numbers" in shown
    # As CSV its lines are those of `bench recorded`, here none, and --output writes the text.
    assert bench("report", write(TABLE), "--csv") == "paper,table,row,column,metric,value\n"
    monkeypatch.chdir(tmp_path)
    assert bench("report", write(TABLE), "--output", "there") == "wrote there/mine-printed.txt\n"
    assert "Waits for the measure" in (tmp_path / "there" / "mine-printed.txt").read_text()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"evaluate": {"measure": "later-measur"}},
            "unknown measure 'later-measur'; did you mean 'later-measure'?",
        ),
        ({"evaluate": {"measure": "rescor"}}, "unknown measure 'rescor'; did you mean 'rescore'?"),
        ({"of": {"table": "disp/tabel1"}}, "of: unknown table 'disp/tabel1'; did you mean 'disp/table1'?"),
        ({"of": {"tabel": "disp/table1"}}, "of.tabel: unknown key; did you mean 'table'?"),
        ({"show": {"curve": {"x": "colum"}}}, "show.curve.x"),
        ({"show": {"curve": {"x": "column"}}}, "show.curve.panels: x is column, which has one value in a"),
        ({"show": {"curve": {"x": "column", "panels": "none"}}}, "column 'z' has no place on the axis; give it an x"),
        ({"show": {"curve": {"log": ["z"]}}}, "show.curve.log.0: Input should be 'x' or 'y'"),
        ({"show": {"curve": {"lins": "rows"}}}, "show.curve.lins: unknown key; did you mean 'lines'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(settings, line, write):
    path = write({**TABLE, **settings})
    with pytest.raises(UserError) as refusal:
        load_table(path)
    assert line in str(refusal.value) and str(refusal.value).startswith(f"{path}:") and "\n" not in str(refusal.value)


@pytest.mark.parametrize("x", ["step", "column", "data.shots", "evaluate.sigma", "network.options.width"])
def test_what_a_curve_can_be_over(x, write):
    columns = [{**column, "x": 1} for column in TABLE["columns"]]
    show = {"curve": {"x": x, "panels": "columns" if x == "step" else "none", "log": ["x", "y"]}}
    table = load_table(write({**TABLE, "columns": columns, "show": show}))
    assert table.show.curve.x == x and table.show.curve.lines == "rows" and table.show.curve.log == ("x", "y")


def test_a_setting_of_the_measure_reaches_every_cell(write):
    table = load_table(write(TABLE), {"evaluate.space": "q", "evaluate.pairs": 7})
    cells = [table.merged(column, "smoke", row).evaluate for row in table.rows for column in table.columns]
    assert cells == [{"measure": NAME, "space": "q", "pairs": 7}] * 4
