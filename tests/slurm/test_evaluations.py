"""Evaluations on a real cluster: their arrays wait for the trainings, fail with them, and go alone with --no-train."""

from __future__ import annotations

import json
import re

import pytest

from bench.plan.load import load_table
from bench.plan.runs import make_plan

pytestmark = pytest.mark.slow
TABLE = """
title: samplings
seeds: 2
snapshot: best
metrics: [fd]
rows:
  - {id: slow, label: Slow, method: slow + baseline}
  - {id: pure, label: Pure, of: {row: slow}, evaluate: {measure: rescore, sampling: pure}}
  - {id: broken, label: Broken, method: broken + baseline, evaluate: {measure: rescore}}
columns: [{id: shapes, label: Shapes}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 4, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: slow, version: 1, every: 2, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}
"""


@pytest.fixture
def desk(desk_at, cluster_of, tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=2, gpus=0) as cluster:
        found = desk_at(cluster)
        found.environment["BENCH_TEST_WAIT"] = "0"
        (found.folder / "samplings.yaml").write_text(TABLE)
        yield found


def test_evaluations_follow_their_trainings(desk, load_plugin):
    profile = desk.profile("site", cpus=1, gpus=0, more="parallel: 2")
    command = ["submit", "samplings.yaml", "--plugin", "slow.py", "--profile", profile]
    sent = desk.bench(*command).stdout
    jobs = re.findall(r"job \d+: (\d+) runs in \d+ jobs?, at most \d at once(, after 1 other array)?", sent)
    assert jobs == [("4", ""), ("4", ", after 1 other array")], sent
    desk.until_all_ended(240)
    load_plugin((desk.folder / "slow.py").read_text(), "slow.py")

    def runs():
        table = load_table(str(desk.folder / "samplings.yaml"))
        return {run.label: run for run in make_plan(table, "smoke", desk.store).runs}

    found = runs()
    assert {label: run.status for label, run in found.items() if "seed 0" in label} == {
        "slow · shapes · seed 0": "done",
        "pure · shapes · seed 0": "done",
        "broken · shapes · seed 0 (training)": "failed",
        "broken · shapes · seed 0": "planned",
    }
    for seed in (0, 1):
        folder = desk.store.folder(found[f"pure · shapes · seed {seed}"].uid)
        assert len(json.loads(folder.provenance_file.read_text())) == 1 and folder.heartbeat()["job"] is not None
        assert len(folder.metrics()) == 1 and folder.inputs()["read"][f"run/{folder.spec().evaluated.uid}"]
    told = desk.bench("status", "samplings.yaml", "--plugin", "slow.py", "--all").stdout
    assert re.search(r"broken · shapes · seed 0 +blocked +its source \S+ failed", told)

    # The evaluations alone, of what is there: those of the broken row are left out
    for seed in (0, 1):
        desk.store.set_aside(found[f"pure · shapes · seed {seed}"].uid, "test")
    sent = desk.bench(*command, "--no-train").stdout
    assert "2 evaluations of runs that are not trained" in sent and "2 runs in" in sent
    desk.until_all_ended(240)
    assert [runs()[f"pure · shapes · seed {seed}"].status for seed in (0, 1)] == ["done", "done"]
