"""Jobs whose run several processes train, on one node and on two: they are requeued, or lose one, and go on."""

from __future__ import annotations

import json

import pytest

from bench.launch.slurm.records import submissions

pytestmark = pytest.mark.slow
TOGETHER = ("--rows", "slow", "--set", "train.steps=40", "--set", "train.gpus=2")


@pytest.fixture(scope="module")
def cluster(cluster_of, tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster"), nodes=2, cpus=2, gpus=0) as started:
        yield started


@pytest.fixture
def desk(cluster, desk_at, run_server):
    desk = desk_at(cluster)
    desk.environment["BENCH_TEST_WAIT"] = "0.4"
    desk.warm_jobs(run_server.pid)
    return desk


def starts(desk, label: str) -> list[int]:
    """By how many processes each start of a run was made."""
    return [entry["ranks"] for entry in json.loads(desk.folder_of(label).provenance_file.read_text())]


def test_two_processes_of_a_job_train_a_run_and_survive_a_requeue(cluster, desk):
    one = desk.submit(desk.profile("one", cpus=1, gpus=0), *TOGETHER, "--seeds", "0", check=False)
    assert one.returncode == 2 and "and a job of profile one.yaml works with 1 (cpus, nodes" in one.stderr
    desk.submit(desk.profile("two", cpus=2, gpus=0), *TOGETHER, "--seeds", "0")
    desk.until("slow/0", r"running +step [1-9]", 240)
    number = submissions(desk.store)[-1].arrays[0].number
    assert cluster.run("scontrol", "requeue", number).returncode == 0
    desk.until("slow/0", "done", 480)
    assert starts(desk, "slow/0") == [2, 2]


def test_two_nodes_train_a_run_together_and_go_on_when_one_loses_its_worker(cluster, desk):
    desk.submit(desk.profile("nodes", cpus=1, gpus=0, more="nodes: 2"), *TOGETHER, "--seeds", "0")
    desk.until("slow/0", r"running +step [1-9]", 240)
    number = submissions(desk.store)[-1].arrays[0].number
    told = cluster.run("squeue", "--steps", "--noheader", "--format=%i %N", "--jobs", number).stdout.split()
    step_of = {node: step for step, node in zip(told[::2], told[1::2], strict=True) if "batch" not in step}
    assert sorted(step_of) == ["n1", "n2"], told
    # SLURM ends the other node's worker; the job, which lives on the first node, starts another one there
    first = cluster.run("squeue", "--noheader", "--format=%B", "--jobs", number).stdout.strip()
    (other,) = {"n1", "n2"} - {first}
    assert cluster.run("scancel", step_of[other]).returncode == 0
    desk.until("slow/0", "done", 480)
    assert starts(desk, "slow/0") == [2, 2]
