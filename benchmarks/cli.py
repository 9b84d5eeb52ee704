"""Times the command line (median of several processes) and the planning of 10,000 runs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.store.runs import Store

REPEATS = 5  # processes whose median counts


def command_seconds(*arguments: str) -> float:
    """The median wall time of `bench <arguments>` over fresh processes, after one to warm the file cache."""
    times = []
    with tempfile.TemporaryDirectory() as store:
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            command = [sys.executable, "-m", "bench", *arguments]
            if arguments[0] == "plan":
                command += ["--store", store]
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def planning_seconds(runs: int) -> tuple[int, float]:
    """Plan at least `runs` runs; returns how many they were, and the seconds it took."""
    table = load_table("table1")
    per_seed = len(make_plan(table, "smoke", Store(Path("/nonexistent")), seeds=[0]).runs)
    start = time.perf_counter()
    plan = make_plan(table, "smoke", Store(Path("/nonexistent")), seeds=range(-(-runs // per_seed) + 1))
    uids = {run.uid for run in plan.runs}
    return len(uids), time.perf_counter() - start


def main() -> None:
    """Print each figure beside its target."""
    print(f"bench --help          {command_seconds('--help'):6.3f} s   (target 0.5 s)")
    print(f"bench plan table1     {command_seconds('plan', 'table1'):6.3f} s   (target 0.5 s)")
    count, seconds = planning_seconds(10_000)
    print(f"planning {count:,} runs  {seconds:6.3f} s   (target 2 s)")


if __name__ == "__main__":
    main()
