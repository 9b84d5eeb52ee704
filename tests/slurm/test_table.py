"""Every row of Table 1 at scale smoke through SLURM: report and snapshots have the digits of runs without it."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole_table
# Other columns and seeds have the same code; an interval follows from its digits
TABLE = ("table1", "--scale", "smoke", "--columns", "faces", "--seeds", "0")
CHECKOUT = Path(__file__).resolve().parents[2]


def bench(*words, env, seconds=900):
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def snapshots(text):
    """The value of every score at every snapshot of every run, as it was written."""
    keys = ("row", "column", "metric", "extractor", "seed", "step")
    return {tuple(line[key] for key in keys): line["value"] for line in csv.DictReader(io.StringIO(text))}


def test_the_report_is_the_same_digit_for_digit(cluster_of, tmp_path_factory, tmp_path, wait_until):
    """$BENCH_TEST_DEMO names a store in which `bench run table1` has been run by this code; else that is done here."""
    everyone = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    local = {**everyone, "BENCH_STORE": os.environ.get("BENCH_TEST_DEMO") or str(tmp_path / "local")}
    with cluster_of(tmp_path_factory.mktemp("cluster"), overrides=["MaxArraySize=11"]) as cluster:
        there = {**everyone, **cluster.environment(), "BENCH_STORE": str(tmp_path / "cluster")}
        sent = bench("submit", *TABLE, "--profile", "slurm/test-node.yaml", env=there)
        assert "submission" in sent
        if "BENCH_TEST_DEMO" not in os.environ:
            bench("run", *TABLE, "--jobs", "1", env=local)
        wait_until(
            lambda: not cluster.run("squeue", "-h").stdout,
            seconds=600,
            every=1,
            otherwise=lambda: bench("status", *TABLE, env=there),
        )
        assert bench("status", *TABLE, env=there).strip().endswith("runs: 18 done")
    without = bench("report", *TABLE, env=local)
    assert bench("report", *TABLE, env=there) == without
    assert "From scratch" in without and "Runs: 16 done" in without
    numbers = snapshots(bench("report", *TABLE, "--csv", env=local))
    assert snapshots(bench("report", *TABLE, "--csv", env=there)) == numbers and len(numbers) > 100
