"""How long the rest takes, in closed form: a clock of our own, runs of known pace."""

from __future__ import annotations

import pytest

from bench.launch.progress import Plain, Tally, counted
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def runs(tiny_spec):
    return [PlannedRun(tiny_spec(seed=seed, steps=1000)) for seed in range(4)]


@pytest.fixture
def point(store_root):
    plan = make_plan(load_table("table1"), "smoke", Store(store_root), ["scratch"], ["faces"], [0])
    return next(run for run in plan.runs if run.spec.kind == "reference")


def test_a_resumed_run_is_timed_by_the_steps_of_this_start(runs, clock):
    """Resumed at 440 of 1000 after 30 s of setting up, then a step a second: 550 s are left after ten steps."""
    tally = Tally(runs[:1], begun={runs[0].uid: 440}, clock=clock)
    assert tally.share == pytest.approx(0.44) and tally.seconds_left() is None
    tally.started(runs[0])
    clock.now += 30
    for step in range(441, 451):
        tally.stepped(runs[0], step)
        clock.now += 1
    assert tally.seconds_left() == pytest.approx(550)
    assert tally.share == pytest.approx(0.45)


def test_a_killed_worker_goes_back_to_its_checkpoint(runs, clock):
    tally = Tally(runs[:1], clock=clock)
    tally.started(runs[0])
    for step in (1, 101):
        tally.stepped(runs[0], step)
        clock.now += 50
    tally.started(runs[0])  # a new worker, from step 40
    clock.now += 500
    tally.stepped(runs[0], 41)
    assert tally.seconds_left() == pytest.approx(959 * 0.5), "steps at half a second, as seen"
    assert tally.share == pytest.approx(0.041)


@pytest.mark.parametrize("outcome", ["stopped", "failed", "blocked", "cancelled"])
def test_only_done_runs_count_as_done(runs, clock, outcome):
    tally = Tally(runs[:2], clock=clock)
    for run in runs[:2]:
        tally.started(run)
    tally.stepped(runs[0], 100)
    tally.over(runs[0], outcome)
    assert tally.share == pytest.approx(0.05), "100 of 2 times 1000 steps"
    assert tally.line().startswith(f"0/2 runs done, 1 {outcome}, 5 % of the work")
    tally.stepped(runs[1], 1)
    clock.now += 999
    tally.over(runs[1], "done")
    assert tally.line().startswith(f"1/2 runs done, 1 {outcome}, 55 % of the work")
    assert tally.seconds_left() == 0, "this command leaves the other run alone"


def test_workers_share_what_is_left_but_not_the_longest_run(runs, clock):
    tally = Tally(runs, lambda run: 100.0, workers=2, clock=clock)
    assert tally.seconds_left() == pytest.approx(200), "from the beginning, by the estimates"
    for run in runs[:3]:
        tally.over(run, "done")
    assert tally.seconds_left() == pytest.approx(100), "one run cannot be shared"


def test_reference_points_weigh_what_they_cost(runs, point, clock):
    """A reference point of 60 s beside a training of 240 s is a fifth of the work, from its first second."""
    tally = Tally([point, runs[0]], lambda run: 60.0 if run is point else 240.0, clock=clock)
    assert tally.seconds_left() == pytest.approx(300)
    tally.started(point)
    clock.now += 30
    assert tally.share == pytest.approx(0.1) and tally.seconds_left() == pytest.approx(270)
    clock.now += 90
    assert tally.share == pytest.approx(0.2) and tally.seconds_left() == pytest.approx(240)
    tally.over(point, "done")
    assert tally.share == pytest.approx(120 / 360), "it took 120 s, and so is weighed from now on"


def test_without_any_estimate_the_steps_count(runs, point, clock):
    tally = Tally([point, runs[0]], clock=clock)
    tally.started(runs[0])
    tally.stepped(runs[0], 250)
    assert tally.share == pytest.approx(0.25) and "estimating the time left" in tally.line()


def test_a_training_of_which_nothing_is_known_is_as_slow_as_the_others(runs, tiny_spec, clock):
    """One of two runs of different methods at a step a second: what is left of it, and as much again for the other."""
    other = PlannedRun(tiny_spec("diffaugment + baseline", steps=500))
    tally = Tally([runs[0], other], clock=clock)
    tally.started(runs[0])
    for step in (1, 101):
        tally.stepped(runs[0], step)
        clock.now += 100
    assert tally.seconds_left() == pytest.approx(899 + 500)
    assert tally.line() == "0/2 runs done, 7 % of the work, about 23 min 19 s left"
    known = Tally([runs[0], other], lambda run: 100.0 if run is other else None, clock=clock)
    assert known.seconds_left() == pytest.approx(300), "before any step, by what is known of the other"


def test_a_stop_leaves_work_but_no_time(runs, clock):
    tally = Tally(runs[:2], lambda run: 1000.0, workers=2, clock=clock)
    tally.started(runs[0])
    tally.stepped(runs[0], 400)
    tally.over(runs[0], "stopped")
    assert tally.line() == "0/2 runs done, 1 stopped, 20 % of the work"
    tally.over(runs[1], "failed")
    assert tally.line() == "0/2 runs done, 1 failed, 1 stopped, 20 % of the work"


def test_where_the_estimate_has_run_out_it_is_said(runs, point, clock):
    """10 s were estimated for each: nothing is said to be left in 0 s while a run is at work."""
    tally = Tally([runs[0], point], lambda run: 10.0, clock=clock)
    tally.started(runs[0])
    tally.stepped(runs[0], 1000)
    clock.now += 60
    assert tally.line().endswith("50 % of the work, about 10 s left"), "the other has not begun"
    tally.over(point, "done")
    assert tally.line().endswith("% of the work, all steps made, only scores are left")
    late = Tally([runs[0]], lambda run: 10.0, clock=clock)
    late.started(runs[0])
    clock.now += 8
    assert late.line().endswith("about 10 s left"), "steps are what counts"
    clock.now += 3
    assert late.line().endswith("longer than estimated")
    scored = Tally([point], lambda run: 10.0, clock=clock)
    scored.started(point)
    clock.now += 9.8
    assert scored.line().endswith("about 1 s left")
    clock.now += 1
    assert scored.line().endswith("longer than estimated")


def test_plain_lines(runs, capsys):
    watcher = Plain(Tally(runs[:2]), seconds=0)
    watcher.started(runs[0])
    watcher.ended(runs[0], "failed")
    watcher.tick()
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"failed: {runs[0].label}",
        "0/2 runs done, 1 failed, 0 % of the work, estimating the time left",
    ]
    assert (counted(1), counted(2), counted(0, "job")) == ("1 run", "2 runs", "0 jobs")
