"""Runs into jobs and arrays: order, size, memory, limits."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.launch.slurm.packing import pack
from bench.plan.schedule import PlannedRun


@pytest.fixture
def run(tiny_spec):
    def make(seed, method="baseline"):
        spec = tiny_spec(method, seed=seed)
        return PlannedRun(spec, needs=tuple(source.uid for source in spec.run_sources.values()))

    return make


def packed(runs, **changes):
    settings = {
        "seconds": lambda run: 60.0, "memory": lambda run: None, "devices": 1, "target_seconds": 180.0,
        "memory_mb": None, "largest_array": 100, "parallel": 8,
    }  # fmt: skip
    return pack(runs, **{**settings, **changes})


def shape(arrays):
    return [[len(job) for job in array.jobs] for array in arrays]


def test_short_runs_share_a_job_up_to_the_target(run):
    runs = [run(seed) for seed in range(7)]
    assert shape(packed(runs)) == [[3, 3, 1]]
    assert shape(packed(runs, devices=2)) == [[6, 1]], "two devices work on twice as much"
    assert [one.uid for one in packed(runs)[0].runs] == [one.uid for one in runs], "whole replicates first"


def test_jobs_that_may_run_at_once_share_the_work(run):
    """Twelve runs of three minutes, two jobs at once: two of six, not one of twelve; but no jobs of a few minutes."""
    runs = [run(seed) for seed in range(12)]
    settings = {"seconds": lambda one: 180.0, "target_seconds": 3600.0}
    assert shape(packed(runs, **settings, parallel=2)) == [[6, 6]]
    assert shape(packed(runs, **settings, parallel=1)) == [[12]]
    assert shape(packed(runs, **settings, parallel=16)) == [[5, 5, 2]], "a quarter of an hour each"
    assert shape(packed(runs, **settings, parallel=2, devices=2)) == [[10, 2]]


def test_long_and_unknown_runs_have_a_job_of_their_own(run):
    runs = [run(seed) for seed in range(4)]
    lengths = dict(zip([one.uid for one in runs], [60.0, None, 1000.0, 60.0], strict=True))
    assert shape(packed(runs, seconds=lambda one: lengths[one.uid])) == [[1, 1, 1, 1]]


def test_sources_come_first_and_only_their_dependants_wait(run):
    dependant = run(0, "freezed + baseline")
    source = PlannedRun(next(iter(dependant.spec.run_sources.values())))
    arrays = packed([source, run(0), dependant])
    assert [[one.uid for one in array.runs] for array in arrays] == [
        [source.uid], [run(0).uid], [dependant.uid],
    ]  # fmt: skip
    assert [array.after for array in arrays] == [set(), set(), {0}]
    assert [array.level for array in arrays] == [0, 0, 1]
    assert packed([dependant])[0].after == set(), "a source that is not in the request is not waited for here"


def test_arrays_are_cut_to_the_size_that_the_cluster_takes(run):
    runs = [run(seed) for seed in range(25)]
    arrays = packed(runs, seconds=lambda one: None, largest_array=11)
    assert shape(arrays) == [[1] * 11, [1] * 11, [1] * 3]
    assert sum(array.parallel for array in arrays) == 8, "the limit is for the level, not for each array"


def test_more_arrays_than_the_limit_queue_up_in_lanes(run):
    arrays = packed([run(seed) for seed in range(10)], seconds=lambda one: None, largest_array=2, parallel=2)
    assert [array.after for array in arrays] == [set(), set(), {0}, {1}, {2}]
    assert [array.parallel for array in arrays] == [1] * 5


def test_a_job_gets_the_memory_its_runs_are_known_to_need(run):
    runs = [run(seed) for seed in range(3)]
    need = dict(zip([one.uid for one in runs], [1_000_000_000, 30_000_000_000, None], strict=True))
    arrays = packed(runs, memory=lambda one: need[one.uid], memory_mb=16_000)
    found = {one.uid: array.memory_mb for array in arrays for one in array.runs}
    assert [found[one.uid] for one in runs] == [16_000, 36_000, 16_000], "a fifth on top, in whole GB"
    assert [array.memory_mb for array in packed(runs, memory=lambda one: need[one.uid])] == [None]


def test_limits_below_one_are_refused(run):
    with pytest.raises(UserError, match="parallel=0"):
        packed([run(0)], parallel=0)
