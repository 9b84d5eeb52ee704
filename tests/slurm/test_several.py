"""A job whose run several processes train: it is requeued in the middle, and goes on."""

from __future__ import annotations

import json

import pytest

from bench.launch.slurm.records import submissions

pytestmark = pytest.mark.slow


def test_two_processes_of_a_job_train_a_run_and_survive_a_requeue(cluster_of, desk_at, tmp_path_factory, run_server):
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=4, gpus=0) as cluster:
        desk = desk_at(cluster)
        desk.environment["BENCH_TEST_WAIT"] = "0.4"
        desk.warm_jobs(run_server.pid)
        words = ["--rows", "slow", "--seeds", "0", "--set", "train.steps=40", "--set", "train.gpus=2"]
        one = desk.submit(desk.profile("one", cpus=1, gpus=0), *words, check=False)
        assert one.returncode == 2 and "train.gpus is 2, and a job of profile one" in one.stderr
        desk.submit(desk.profile("two", cpus=2, gpus=0), *words)
        desk.until("slow/0", r"running +step [1-9]", 240)
        number = submissions(desk.store)[-1].arrays[0].number
        assert cluster.run("scontrol", "requeue", number).returncode == 0
        desk.until("slow/0", "done", 480)
        entries = json.loads(desk.folder_of("slow/0").provenance_file.read_text())
        assert [entry["ranks"] for entry in entries] == [2, 2]
