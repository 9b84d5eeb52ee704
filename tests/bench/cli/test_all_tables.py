"""ALL in place of a table, and `bench list tables`."""

from __future__ import annotations

import re

import pytest

from bench.plan.load import load_table, table_names
from bench.plan.waiting import to_come


def test_plan_has_a_line_for_each_table_and_says_what_they_share(tmp_path, bench_command):
    done = bench_command("plan", "ALL", "--scale", "smoke", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for name in table_names():
        table = load_table(name)
        if to_come(table) is not None:
            assert any(line.startswith("left out, as they wait for a measure:") and name in line for line in lines)
        elif table.same_as is not None:
            assert any(line.startswith("the same runs:") and f"{name} = {table.same_as}" in line for line in lines)
        else:
            assert any(
                re.match(rf"{re.escape(name)} +\d+ runs? \(\d+ planned\); \d+ to start$", line) for line in lines
            )
    shared = r"\d+ trainings?( and \d+ evaluations?)? a seed, \d+ cells; \d+ serve more than one table"
    assert any(re.fullmatch(shared, line) for line in lines)
    assert any(line.startswith("ALL at scale smoke: ") and " to start, about " in line for line in lines)


@pytest.mark.parametrize("verb", [["plan"], ["run"], ["report"], ["record", "--as", "mine"], ["status"]])
@pytest.mark.parametrize(("option", "value"), [("--rows", "scratch"), ("--columns", "anime"), ("--method", "disp")])
def test_what_is_of_one_table_is_refused(verb, option, value, tmp_path, bench_command):
    done = bench_command(*verb, "ALL", option, value, "--store", str(tmp_path))
    line = f"bench: error: {option} is of one table: name it in place of ALL, for example `bench plan table1`\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_a_setting_reaches_every_table_and_names_the_one_that_cannot_have_it(tmp_path, bench_command):
    done = bench_command("plan", "ALL", "--set", "train.stepz=5", "--store", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "") and "unknown setting; did you mean 'steps'?" in done.stderr


def test_status_counts_the_runs_of_all(tmp_path, bench_command):
    done = bench_command("status", "ALL", "--store", str(tmp_path))
    assert done.returncode == 0 and "planned" in done.stdout, done.stderr


def test_the_plan_of_a_twin_names_the_other_table(tmp_path, bench_command):
    done = bench_command("plan", "dip/table7", "--rows", "freezed+disp", "--store", str(tmp_path))
    assert done.returncode == 0 and "the runs are those of disp/table11, under another paper's names" in done.stdout


def test_record_of_nothing_is_one_line(tmp_path, bench_command):
    done = bench_command("record", "ALL", "--as", "mine", "--store", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"bench: error: nothing is finished at scale smoke in {tmp_path};")


def test_a_typing_error_is_no_table(tmp_path, bench_command):
    done = bench_command("plan", "all", "--store", str(tmp_path))
    assert done.returncode == 2 and "'all' is no table; ALL goes with plan, run" in done.stderr


def test_the_list_says_kind_runs_state_and_cost(tmp_path, bench_command):
    done = bench_command("list", "tables", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    legend, head, *lines = done.stdout.splitlines()
    assert legend.split(": ")[1].startswith("runs a seed x seeds") and head.split() == [
        "kind",
        "smoke",
        "mini",
        "midi",
        "paper",
        "title",
    ]
    assert [line.split()[0] for line in lines] == table_names()
    by_name = {line.split()[0]: line for line in lines}
    assert re.search(
        r"table +(34 x 3, 0 done, \d+ (min|h) +){3}32 x 3, 0 done, - +Few-shot",
        by_name["disp/table1"],
    )
    for name, line in by_name.items():
        table = load_table(name)
        if (measure := to_come(table)) is not None:
            assert re.match(rf"{name} +waits for {measure} +- +- +- +- ", line)
        if table.same_as is not None:
            assert re.match(rf"{name} +(= {table.same_as}|waits) ", line)
