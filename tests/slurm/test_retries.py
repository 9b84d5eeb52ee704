"""Jobs that run out of memory or time on a real cluster: submitted again with more of it; after an error, never."""

from __future__ import annotations

import getpass

import pytest

from bench.launch.slurm.records import submissions
from webhook_server import SECRET, Server

pytestmark = pytest.mark.slow

# Without cgroups, which a container lacks, slurmd itself looks at the memory of jobs and kills those that have too much
LIMITS = ["JobAcctGatherType=jobacct_gather/linux", "JobAcctGatherFrequency=task=1",
          "JobAcctGatherParams=OverMemoryKill"]  # fmt: skip
# Shell lines of a job before its Python. 1.5 GB for ten seconds: too much for 1 GB, not for three times that. Jobs with
# runs alone (array 0 of a submission) have it, and not the one that looks for retries
HUNGRY = """case $SLURM_JOB_NAME in *-0) python3 -S -c 'import time; x = b"1" * 1500000000; time.sleep(10)';; esac"""
LATE = "[ -e {mark} ] || {{ touch {mark}; sleep 300; }}"


@pytest.fixture
def desk(cluster_of, desk_at, run_server, tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=4, gpus=0, overrides=LIMITS) as cluster:
        found = desk_at(cluster)
        found.environment["BENCH_TEST_WAIT"] = "0"
        found.warm_jobs(run_server.pid)
        yield found
        cluster.run("scancel", "--user", getpass.getuser())


@pytest.fixture
def webhook():
    made = Server()
    yield made
    made.close()


def test_each_cause_has_its_retry(desk, webhook, tmp_path):
    """All at once, as most of the time is waiting: for the memory to be looked at, and for the time limit."""
    short, retries = ["--set", "train.steps=2"], "retries: 1, growth: 3"
    hungry = desk.profile("hungry", gpus=0, more=f"{retries}, setup: [{HUNGRY!r}]".replace("\\'", "''"))
    late = desk.profile("late", gpus=0, time="1m", more=f"{retries}, setup: ['{LATE.format(mark=tmp_path / 'mark')}']")
    plain = desk.profile("plain", gpus=0, more=retries)
    desk.submit(hungry, "--rows", "slow", "--seeds", "0", *short)
    desk.submit(late, "--rows", "slow", "--seeds", "1", *short)
    desk.submit(plain, "--rows", "broken", "--seeds", "0", "--notify", webhook.url, *short)
    desk.until("slow/0", "done", 400)
    desk.until("slow/1", "done", 400)
    desk.until("broken/0", "failed", 400)
    desk.until_all_ended(200)
    # What was tried again, with what, and why
    records = submissions(desk.store)
    again = {label: record.retry for record in records if record.retry for label in record.labels.values()}
    assert {label.split(" ")[-1]: str(retry) for label, retry in again.items()} == {
        "0": "out of memory with 1024MB: retry 1 of 1, with 3072MB",
        "1": "out of time with 1m: retry 1 of 1, with 3m",
    }
    assert all(label.startswith("slow") for label in again) and len(records) == 5
    # The cluster ran them so
    (memory,) = [one for record in records if record.retry and record.retry.cause == "memory" for one in record.arrays]
    assert "mem=3G" in desk.cluster.run("scontrol", "show", "job", str(memory.number)).stdout.replace("3072M", "3G")
    assert "method" in desk.status()["broken/0"]
    # Its job told of the failure, and that no run of its submission is left
    failed, end = webhook.messages
    assert (failed["event"], failed["state"], failed["label"]) == ("run", "failed", "broken · shapes · seed 0")
    assert (end["event"], end["state"], end["id"], end["counts"]) == (
        "command",
        "failed",
        "slow at smoke",
        {"failed": 1},
    )
    assert SECRET not in "".join(path.read_text() for path in desk.store.root.glob("slurm/*/*_log.out"))
