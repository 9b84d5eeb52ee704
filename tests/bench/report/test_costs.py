"""Measured costs: on which device a run was, by its record, and who is on the front."""

import pytest

from bench.plan.load import load_table
from bench.report.costs import SEVERAL, Cost, Spent, column_costs, cost_of, device_of, spent_by
from bench.report.making import making_of
from bench.report.recorded import load_recorded, save_recorded
from bench.report.results import load_results
from bench.store.runs import Store

CPU = {"cpu": "AMD EPYC", "threads": 1, "gpus": []}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def folder(store, *starts, seconds=7200.0, seed=0):
    """A finished run of scratch in faces, with these starts."""
    spec = load_table("table1")
    row, column = spec.pick_rows(["scratch"])[0], spec.pick_columns(["faces"])[0]
    made = store.open(spec.run_spec(row, column, seed, "smoke"))
    for start in starts:
        made.begin(start)
    made.append(made.metrics_log, [{"step": 4, "metric": "fd", "extractor": "effnet_lite0@64", "value": 9.0}])
    made.finish({"steps": 4, "diverged_at": None, "weights_sha256": None, "seconds": seconds})
    return made


@pytest.mark.parametrize(
    ("starts", "device"),
    [
        ([{**CPU, "device": "NVIDIA H100", "ranks": 2}], "2 x NVIDIA H100"),
        ([CPU], "AMD EPYC, 1 thread"),  # of before devices were recorded, where no GPU was
        ([{**CPU, "threads": 4}], "AMD EPYC, 4 threads"),
        ([{**CPU, "gpus": ["NVIDIA T4", "NVIDIA T4"]}], ""),  # which of them, or the CPU, nobody knows
        ([CPU, {**CPU, "device": "NVIDIA T4"}], SEVERAL),
        ([CPU, CPU], "AMD EPYC, 1 thread"),
        ([], ""),
    ],
)
def test_the_device_is_that_of_the_record_and_none_is_guessed(store, starts, device):
    assert device_of(folder(store, *starts)) == device


def test_costs_come_from_the_store_or_from_what_a_set_keeps(store, tmp_path, monkeypatch):
    made = folder(store, {**CPU, "device": "NVIDIA T4", "ranks": 2})
    results = load_results(load_table("table1"), "smoke", store)
    spent = spent_by(results, store)
    assert spent == {made.uid: Spent(7200.0, "2 x NVIDIA T4")} and spent[made.uid].hours == 2.0
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    for name, making in (("with", making_of([made.uid], store)), ("without", None)):
        save_recorded(results, name, "disp/table1", "smoke", tmp_path / "sets", making=making)
        kept = load_recorded(name, "disp/table1", "smoke")
        assert spent_by(kept, Store(tmp_path / "none")) == (spent if making else {})


def test_a_cell_has_a_cost_on_one_named_device_alone():
    spent = {"a": Spent(3600, "T4"), "b": Spent(7200, "T4"), "c": Spent(60, "H100"), "d": Spent(60, ""),
             "e": Spent(60, SEVERAL)}  # fmt: skip
    assert cost_of(["a", "b", "z"], spent) == Cost("T4", 1.5, 1.0, 2.0, 2)
    assert cost_of(["a", "c"], spent) == cost_of(["e"], spent) == "its runs were on several devices"
    assert cost_of(["d"], spent) == "hours without the name of a device"
    assert cost_of(["z"], spent) == "no measured hours in its record"


def test_the_front_is_what_none_beats_in_both():
    spent = {str(hours): Spent(3600 * hours, "T4") for hours in (1, 2, 3, 4)}
    rows = {"cheap": (9.0, 9.0), "best": (1.0, 1.0), "beaten": (9.5, 9.5), "dear": (2.0, 2.0), "equal": (9.0, 9.0)}
    runs = {"cheap": ["1"], "best": ["3"], "beaten": ["2"], "dear": ["4"], "equal": ["1"]}
    found = column_costs("faces", rows, runs, spent).devices["T4"]
    assert {one.row: one.front for one in found} == {"cheap": True, "equal": True, "best": True, "beaten": False,
                                                     "dear": False}  # fmt: skip
    assert [one.cost.hours for one in found] == sorted(one.cost.hours for one in found)
