"""Cells of FastGAN's tables train at scale smoke, one of each kind of setting, and two tables share what is one run.

With fewer steps, though in rows of StyleGAN2 more than the 16 that lie between two steps of R1.
"""

from __future__ import annotations

import json
import math

import pytest

STEPS = ("--set", "train.steps=4", "--set", "protocol.every=2")
WITH_R1 = ("--set", "train.steps=18", "--set", "protocol.every=9")
CELLS = {
    "sle/table2": ("sg2-ft", "panda"),  # starts from a trained source
    "sle/quarter": ("sg2-quarter", "shell"),  # a group's own network
    "sle/losses": ("wasserstein", "obama"),  # a loss without margins
    "sle/batch16": ("contrastive+aspect+ae", "art-10k"),  # a batch of its own, with all tasks
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_trains_and_is_scored(name, bench_command, store_root):
    row, column = CELLS[name]
    steps = WITH_R1 if row.startswith("sg2") else STEPS
    fewer = ("--set", f"columns.{column}.generated=30", "--set", f"columns.{column}.reference=30")
    chosen = ("--scale", "smoke", "--rows", row, "--columns", column, *steps, *fewer)
    done = bench_command("run", name, *chosen, "--no-references")
    assert done.returncode == 0, done.stderr
    (folder,) = [one for one in store_root.iterdir() if "_s0_" in one.name and (one / "metrics.jsonl").is_file()
                 and (one / "metrics.jsonl").read_text()]  # fmt: skip
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {line["metric"] for line in lines} == {"fd", "kid"} and all(math.isfinite(line["value"]) for line in lines)
    assert len({line["step"] for line in lines}) == 2


@pytest.mark.slow
def test_the_baseline_of_figure_8_is_the_run_of_table_3(bench_command, store_root):
    chosen = ("--scale", "smoke", "--rows", "baseline", "--columns", "shell", *STEPS, "--no-references")
    assert bench_command("run", "sle/table3", *chosen).returncode == 0
    again = bench_command("plan", "sle/fig8", *chosen)
    assert again.returncode == 0 and "0 to start" in again.stdout
    shown = bench_command("report", "sle/fig8", *chosen[:-1])
    assert shown.returncode == 0 and "Baseline" in shown.stdout
