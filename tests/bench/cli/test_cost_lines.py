"""What plan and run print of hours: at scale paper a card's, and what --budget leaves out."""

from __future__ import annotations

import re

import pytest

from bench.cli.cost_lines import cost_words
from bench.plan.cost.model import Span, card_of
from bench.plan.cost.steps import work_of
from bench.plan.estimate import Cost
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.store.runs import Store

HOURS = r"about ([\d,.]+) (.+) hours \(low ([\d,.]+), high ([\d,.]+)\)"


def numbers(text):
    found = re.search(HOURS, text)
    assert found, text
    return found[2], *(float(found[group].replace(",", "")) for group in (1, 3, 4))


@pytest.mark.parametrize(
    ("table", "rows", "card", "name"),
    [("disp/table1", "scratch", "h100", "H100"), ("sle/table2", "ours,decode", "2080ti", "RTX 2080 Ti")],
)
def test_a_plan_of_the_papers_scale_says_hours_of_a_card(table, rows, card, name, tmp_path, bench_command):
    words = ["plan", table, "--scale", "paper", "--rows", rows, "--store", str(tmp_path), "--card", card]
    done = bench_command(*words)
    shown, expected, low, high = numbers(done.stdout)
    # Step by step: each training's steps at the card's rates; a reference point is a minute at most
    plan = make_plan(load_table(table), "paper", Store(tmp_path), rows=rows.split(","))
    trained = [run.spec for run in plan.runs if run.spec.kind == "train"]
    by_hand = sum(spec.train.steps * card_of(card).seconds(work_of(spec)) for spec in trained) / 3600
    points = (len(plan.runs) - len(trained)) / 60
    assert shown == name
    assert by_hand <= expected * 1.01
    assert expected * 0.99 <= by_hand + points
    factor = card_of(card).factor
    assert low < expected < high
    assert high == pytest.approx(by_hand * factor, rel=0.02, abs=points + 1)


def test_the_usual_card_is_said_and_another_costs_something_else(tmp_path, bench_command):
    words = ["plan", "disp/table1", "--scale", "paper", "--rows", "scratch", "--store", str(tmp_path)]
    usual, slower = bench_command(*words).stdout, bench_command(*words, "--card", "2080ti").stdout
    assert numbers(usual)[0] == "H100"
    assert numbers(slower)[1] > 2 * numbers(usual)[1]
    refused = bench_command(*words, "--card", "h1000")
    assert refused.returncode == 2
    assert "--card: no rates of a card 'h1000'" in refused.stderr


def test_a_method_of_its_own_is_counted_when_asked_and_a_loop_of_its_own_is_unknown(tmp_path, bench_command):
    words = ["plan", "disp/table1", "--scale", "paper", "--store", str(tmp_path), "--seeds", "0", "--columns", "anime"]
    words.append("--no-references")
    ours = bench_command(*words, "--method", "consistency + baseline", "--rows", "scratch")
    assert "of which nothing is known" not in ours.stdout
    loop = bench_command(*words, "--rows", "scratch,glann+disp")
    assert "without 1 run of which nothing is known" in loop.stdout


def test_a_budget_names_what_it_leaves_out_before_anything_trains(tmp_path, bench_command):
    words = ["run", "disp/table1", "--scale", "smoke", "--rows", "scratch,diffaugment", "--columns", "faces"]
    words += ["--seeds", "0", "--no-references", "--store", str(tmp_path), "--budget"]
    none = bench_command(*words, "0.0001")  # the table says 0.1 minutes a run
    assert re.search(r"left out by --budget 0.0001: 2 runs, 0.003\d? h together: .*scratch.* \(0.0017 h\)", none.stdout)
    assert not any(Store(tmp_path)), "nothing has begun"
    assert none.returncode == 1, "the table is not done"
    bad = bench_command(*words, "-1")
    assert bad.returncode == 2
    assert "--budget" in bad.stderr


def test_a_plan_says_in_the_same_words_whether_it_fits_a_budget(tmp_path, bench_command):
    words = ["table1", "--scale", "smoke", "--rows", "scratch,diffaugment", "--columns", "faces", "--seeds", "0"]
    words += ["--no-references", "--store", str(tmp_path), "--budget"]  # the table says 0.1 minutes a run
    fits = bench_command("plan", *words, "0.004")
    assert fits.returncode == 0
    all_fit = "within --budget 0.004: 2 runs, 0.0033 h together\n"
    assert fits.stdout.count(all_fit) == 1
    half = bench_command("plan", *words, "0.002")
    line = "left out by --budget 0.002: 1 run, 0.0017 h together: diffaugment · faces · seed 0 (0.0017 h)\n"
    assert (half.returncode, half.stdout.count(line)) == (2, 1)
    assert half.stdout.replace(line, "") == fits.stdout.replace(
        "within --budget 0.004: 2 runs, 0.0033 h together\n", ""
    )
    none = [bench_command(verb, *words, "0.0001").stdout for verb in ("plan", "run")]
    told = [next(line for line in text.splitlines() if line.startswith("left out by")) for text in none]
    assert told[0] == told[1] and told[0].startswith("left out by --budget 0.0001: 2 runs")


def test_a_plan_of_all_tables_takes_a_budget(tmp_path, bench_command):
    done = bench_command("plan", "ALL", "--scale", "smoke", "--store", str(tmp_path), "--budget", "0.1")
    assert done.returncode == 2
    assert re.search(r"\nleft out by --budget 0\.1: \d+ runs, [\d.]+ h together: .+ and \d+ more\n", done.stdout)


def test_submit_keeps_to_the_budget(tmp_path, bench_command):
    words = ["submit", "disp/table1", "--scale", "smoke", "--rows", "scratch,diffaugment", "--columns", "faces"]
    words += ["--seeds", "0", "--no-references", "--store", str(tmp_path), "--dry-run", "--profile", "test-node"]
    whole, half = bench_command(*words), bench_command(*words, "--budget", "0.002")
    assert "in 2 jobs" in whole.stdout or "2 runs in" in whole.stdout
    assert (
        "left out by --budget 0.002: 1 run, 0.0017 h together: diffaugment · faces · seed 0 (0.0017 h)" in half.stdout
    )
    assert "1 run in 1 job" in half.stdout


def test_set_steps_scale_the_tables_figure_and_with_it_the_budget(tmp_path, bench_command):
    words = ["table1", "--scale", "smoke", "--rows", "scratch", "--columns", "faces", "--seeds", "7"]
    words += ["--no-references", "--store", str(tmp_path), "--set", "train.steps=600000"]
    planned = bench_command("plan", *words)
    assert "about 16.7 worker-hours (the table's own figure, scaled to the number of steps)" in planned.stdout
    refused = bench_command("run", *words, "--budget", "16")
    assert "left out by --budget 16: 1 run, 16.7 h together: scratch · faces · seed 7 (16.7 h)" in refused.stdout
    assert not any(Store(tmp_path)), "nothing has begun"


def test_what_the_figures_rest_on_is_said():
    def words(**known):
        return cost_words(Cost({"a": Span(60.0, 60.0, 60.0), "b": None}, None, **known), None)

    start = ", about 1.0 worker-minutes without 1 run of which nothing is known"
    assert words(measured_on=0) == f"{start} (the table's own figure)"
    assert words(measured_on=0, by_table=False) == f"{start} (of what trains nothing, at most)"
    assert words(measured_on=2, paced_on=1) == f"{start} (from 2 finished runs and 1 unfinished run)"
    assert words(measured_on=0, paced_on=2, scaled=True).endswith(
        "(from 2 unfinished runs, scaled to the number of steps)"
    )
