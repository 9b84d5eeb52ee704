"""Times the report over 10,000 finished runs, and the plan of every table over the same store.

The runs are records alone, without weights: what a report and a plan read of them.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.spec.run import RunSpec
from bench.store.runs import Store

RUNS = 10_000
TABLE, SCALE = "table1", "smoke"


def fill(store: Store, runs: int) -> int:
    """Write the records of at least so many finished runs of Table 1; returns how many."""
    table, per_seed = load_table(TABLE), len(make_plan(load_table(TABLE), SCALE, store, seeds=[0]).runs)
    planned = make_plan(table, SCALE, store, seeds=range(-(-runs // per_seed) + 1)).runs
    numbers = random.Random(0)
    for run in planned:
        folder = store.folder(run.uid)
        folder.path.mkdir(parents=True)
        folder.spec_file.write_text(run.spec.model_dump_json())
        folder.add_provenance({"commit": "0" * 40, "packages": {}, "time": "2026-01-01T00:00:00Z"})
        folder.write_inputs({"schema": 1, "read": {}, "sources": _sources(run.spec), "starts": [], "whole": True})
        folder.result_file.write_text(json.dumps({"diverged_at": None, "seconds": 6.0}))
        folder.metrics_log.write_text("".join(_scores(run.spec, numbers)))
    return len(planned)


def _sources(spec: RunSpec) -> dict[str, object]:
    return {f"part/{part.name}": {"version": part.version, "digests": ["0" * 16]} for part in spec.method}


def _scores(spec: RunSpec, numbers: random.Random) -> list[str]:
    """The score lines of two snapshots of a training, or of a reference point."""
    if spec.protocol is None:
        return []
    steps = (30, 60) if spec.kind == "train" else (0,)
    return [
        json.dumps({
            "step": step, "metric": metric.name, "extractor": metric.extractor, "version": 1, "error": None,
            "value": 100.0 + numbers.random() * 50, "n_generated": 100, "n_reference": 200, "seconds": 1.0,
        }) + "\n"
        for step in steps for metric in spec.protocol.metrics
    ]  # fmt: skip


def timed(*arguments: str) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of `bench <arguments>`; the peak is of the largest process so far."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3


def main() -> None:
    """Print each figure beside its target."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        count = fill(store, RUNS)
        planning, _ = timed("plan", "ALL", "--scale", SCALE, "--store", folder)
        seconds, megabytes = timed("report", TABLE, "--scale", SCALE, "--store", folder)
    print(f"report of {count:,} runs   {seconds:6.2f} s   (target 15 s); peak {megabytes:,.0f} MB   (target 1,000 MB)")
    print(f"bench plan ALL over them  {planning:6.2f} s   (target 3 s)")


if __name__ == "__main__":
    main()
