"""Submitting to a real cluster whose arrays hold eleven jobs: many jobs, slices, refusals, two people, nesting."""

from __future__ import annotations

import calendar
import getpass
import json
import re
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.launch.slurm.records import submissions

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cluster(cluster_of, tmp_path_factory):
    """One for all tests of this file, without accounts and with small arrays."""
    folder = tmp_path_factory.mktemp("cluster")
    with cluster_of(folder, cpus=4, gpus=4, overrides=["MaxArraySize=11"]) as started:
        yield started


@pytest.fixture
def desk(desk_at, cluster, run_server):
    found = desk_at(cluster)
    found.environment["BENCH_TEST_WAIT"] = "0"
    found.warm_jobs(run_server.pid)
    yield found
    cluster.run("scancel", "--user", getpass.getuser())
    found.until_all_ended()


SHORT = ["--rows", "slow", "--set", "train.steps=3"]


def test_an_array_larger_than_the_cluster_takes_goes_through(desk):
    """12 jobs in arrays of 11 and 1, their source first, and none of it is trained by two jobs."""
    profile = desk.profile("site", more="parallel: 4")
    words = ["--rows", "transfer", "--seeds", "0..11", "--set", "train.steps=2"]
    desk.expect(minutes=2, steps=2)
    sent = desk.submit(profile, *words).stdout
    sizes = [int(found) for found in re.findall(r"runs? in (\d+) job", sent)]
    assert sizes == [1, 11, 1], sent
    assert sent.count(", after 1 other array") == 2
    record = submissions(desk.store)[-1]
    assert [len(array.jobs) for array in record.arrays] == sizes and all(array.number for array in record.arrays)
    desk.until_all_ended(240)
    assert set(desk.status().values()) == {"done"} and len(desk.status()) == 13
    for run in desk.store:
        assert len(json.loads((run.path / "provenance.json").read_text())) == 1
    assert desk.submit(profile, *words).stdout.count("job ") == 0, "nothing is left to do"


def test_a_site_that_cancels_instead_of_requeuing(desk, cluster):
    """The notice comes, the run is saved, and submitting again continues it."""
    desk.environment["BENCH_TEST_WAIT"] = "0.3"
    profile = desk.profile("cancels", partition="cancel", cpus=4, more="requeue: false")
    desk.submit(profile, "--rows", "slow", "--seeds", "0", "--set", "train.steps=200")
    desk.until("slow/0", r"running +step [5-9]")
    assert cluster.run("sbatch", "-p", "high", "-o", "/dev/null", "--wrap", "true", "-c", "2").returncode == 0
    found = desk.until("slow/0", "interrupted|lost|cancelled", 60)
    assert re.search(r"continues from a checkpoint up to step [1-9]", found), found
    desk.submit(profile, "--rows", "slow", "--seeds", "0", "--set", "train.steps=200", BENCH_TEST_WAIT="0")
    desk.until("slow/0", "done", 60)


def test_a_methods_failure_is_told_from_the_clusters(desk):
    profile = desk.profile("site")
    sent = desk.submit(profile, "--rows", "broken", "--seeds", "0").stdout
    (hint,) = re.findall(r"^how it goes: bench (status .*)$", sent, re.MULTILINE)
    assert "broken · shapes · seed 0" in desk.bench(*shlex.split(hint), "--all").stdout
    desk.until("broken/0", r"failed .*\(method\) RuntimeError: broken on purpose")
    again = desk.submit(profile, "--rows", "broken", "--seeds", "0").stdout
    assert "1 failed" in again and "0 to start" in again
    assert "1 to start" in desk.submit(profile, "--rows", "broken", "--seeds", "0", "--retry", "failed").stdout
    desk.until_all_ended()
    starts = json.loads((desk.folder_of("broken/0").path / "provenance.json").read_text())
    assert len({start["job"] for start in starts}) == 2, "tried again, by another job"
    assert "Traceback" in desk.bench("logs", desk.folder_of("broken/0").uid).stdout


def test_a_finished_run_is_submitted_again_on_purpose(desk):
    profile, words = desk.profile("site"), [*SHORT, "--seeds", "0"]
    desk.submit(profile, *words)
    desk.until_all_ended()
    old = desk.folder_of("slow/0")
    weights = old.result()["weights_sha256"]
    assert "0 to start" in desk.submit(profile, *words).stdout
    dry = desk.submit(profile, *words, "--rerun", "--dry-run").stdout
    assert "1 to start" in dry and old.status() == "done", "a dry run moves nothing"
    assert "done again: 1 finished run" in desk.submit(profile, *words, "--rerun").stdout
    desk.until_all_ended()
    (kept,) = (desk.store.root / "set-aside").iterdir()
    assert kept.name.startswith(f"{old.uid}.") and (kept / "result.json").exists()
    assert old.status() == "done" and old.result()["weights_sha256"] == weights
    assert len(json.loads((old.path / "provenance.json").read_text())) == 1, "a start of its own"
    logs = desk.bench("logs", "slow shapes seed 0", "--table", "slow.yaml", "--plugin", "slow.py").stdout
    assert "_log.out" in logs


def test_cancel_by_row_leaves_the_rest(desk):
    """Two runs share a job: one row is cancelled, the other goes on in the same job."""
    desk.environment["BENCH_TEST_WAIT"] = "0.2"
    profile = desk.profile("packed", cpus=2, more="workers: 2")
    settings = ["--seeds", "0", "--set", "train.steps=150"]
    table = desk.folder / "slow.yaml"
    table.write_text(table.read_text().replace("broken + baseline", "slow + baseline(norm=2.0)"))
    desk.expect(minutes=0.5, steps=150)
    sent = desk.submit(profile, "--rows", "slow,broken", *settings).stdout
    assert "2 runs in 1 job" in sent
    desk.until("broken/0", r"running +step [1-9]")
    told = desk.bench("cancel", "slow.yaml", "--plugin", "slow.py", "--rows", "broken", *settings).stdout
    assert told == "1 of 1 runs were queued or at work and are being stopped\n", "no job is cancelled"
    desk.until("slow/0", "done", 120)
    assert re.match(r"cancelled.*step [1-9]", desk.status()["broken/0"])


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            "{partitoin: low, time: 10}",
            "bad.yaml:1: partitoin: unknown key 'partitoin'; did you mean 'partition'",
        ),
        ("{partition: 'low\\n#SBATCH --uid=0', time: 10}", "bad.yaml:1: partition: "),
        ("{partition: lwo, time: 10}", "did you mean 'low'"),
        ("{partition: low, time: 10, cpus: 400}", "cpus"),
        ("{partition: low, time: 10, gres: 'gpu:5'}", "gres"),
        ("{partition: short, time: 10}", "time"),
    ],
)
def test_bad_profiles_are_refused_before_sbatch(desk, profile, message):
    (desk.folder / "bad.yaml").write_text(profile)
    done = desk.submit("bad.yaml", *SHORT, "--seeds", "0", check=False)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not desk.squeue() and not (desk.store.root / "slurm").exists()


def test_two_people_submit_at_once(desk):
    """Of two calls at the same moment one queues the runs, the other sees them queued."""
    desk.environment["BENCH_TEST_WAIT"] = "0.1"
    profile = desk.profile("site", more="parallel: 4")
    command = [
        "submit",
        "slow.yaml",
        "--plugin",
        "slow.py",
        "--profile",
        profile,
        "--rows",
        "slow",
        "--seeds",
        "0..2",
    ]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "bench", *command, "--set", "train.steps=20"],
            cwd=desk.folder,
            env=desk.everything(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = sorted(one.communicate(timeout=600)[0].count("\njob ") for one in both)
    assert told == [0, 1]
    desk.until_all_ended()
    assert set(desk.status().values()) == {"done"}
    assert all(len(json.loads((run.path / "provenance.json").read_text())) == 1 for run in desk.store)


def test_submitting_from_inside_an_allocation(desk, cluster):
    """A job that submits: what it has itself (memory, CPUs, its name) does not leak into what it submits."""
    profile = desk.profile("site")
    command = [
        sys.executable,
        "-m",
        "bench",
        "submit",
        "slow.yaml",
        "--plugin",
        "slow.py",
        "--profile",
        profile,
        *SHORT,
    ]
    outer = ["srun", "-p", "debug", "-c", "3", "--mem", "3000", "-t", "5", *command, "--seeds", "0"]
    done = subprocess.run(outer, cwd=desk.folder, env=desk.everything(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    number = re.search(r"^job (\d+):", done.stdout, re.MULTILINE)
    assert number, done.stdout
    shown = cluster.run("scontrol", "show", "job", number[1]).stdout
    assert "NumCPUs=1 " in shown and "MinMemoryNode=1G" in shown and "SLURM_" not in shown
    desk.until("slow/0", "done", 60)
    log = desk.bench("logs", desk.folder_of("slow/0").uid).stdout
    assert f"job {number[1]}: 1 of 1 runs to do" in log


def test_dry_run_prints_what_would_be_sent_and_sends_nothing(desk):
    profile = desk.profile("site", more="parallel: 4")
    desk.expect(minutes=2, steps=3)
    out = desk.submit(profile, *SHORT, "--seeds", "0..12", "--dry-run").stdout
    assert out.count("#!/bin/bash") == 2 and "--array=0-10%2" in out and "# 2 calls of sbatch" in out
    assert not desk.squeue() and not desk.store.root.exists()
    desk.submit(profile, *SHORT, "--seeds", "0..12")
    record = submissions(desk.store)[-1]
    sent = next((desk.store.root / "slurm" / record.id).glob(f"{record.arrays[0].number}*submission.sh")).read_text()
    printed = out[out.index("#!/bin/bash") : out.index("\n# array 1")].rstrip("\n")
    dry = re.search(r"\d{8}-\d{6}-slow-[0-9a-f]{4}", printed)
    assert dry and sent.rstrip("\n") == printed.replace(dry[0], record.id)


def test_sbatch_that_refuses_half_way(desk, cluster, tmp_path):
    """As a limit on a user's jobs does: what was taken is trained, the rest goes with the next submission."""
    real = cluster.run("which", "sbatch").stdout.strip()
    (tmp_path / "bin").mkdir()
    refusal = "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1"
    (tmp_path / "bin" / "sbatch").write_text(f'#!/bin/sh\n[ ! -e {tmp_path}/once ] || {{ {refusal}; }}\n'
                                             f'touch {tmp_path}/once\nexec {real} --hold "$@"\n')  # fmt: skip
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    profile, words = desk.profile("site", more="parallel: 4"), [*SHORT, "--seeds", "0..12"]
    desk.expect(minutes=2, steps=3)
    path = f"{tmp_path / 'bin'}:{desk.everything()['PATH']}"
    refused = desk.submit(profile, *words, check=False, PATH=path)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1, refused.stderr
    assert "sbatch refused bench-" in refused.stderr and "QOSMaxSubmitJobPerUserLimit" in refused.stderr
    found = [word.split()[0] for word in desk.status().values()]
    assert (found.count("held") + found.count("queued"), found.count("planned")) == (11, 2)
    assert "sbatch did not take its job" in desk.status()["slow/12"]
    again = desk.submit(profile, *words).stdout
    assert "11 runs queued or at work already" in again and "2 runs in 2 jobs" in again, again
    desk.bench("cancel", "slow.yaml", "--plugin", "slow.py", *words)


def cpu_seconds():
    """What the commands of this process have computed so far: a loaded machine takes longer, but computes no more."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_five_thousand_runs_in_few_calls(desk, cluster, tmp_path):
    """Under a minute, and as many sbatch calls as arrays. The cluster holds them: they are cancelled at once."""
    calls = tmp_path / "calls"
    real = cluster.run("which", "sbatch").stdout.strip()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(
        f'#!/bin/sh\necho x >> {shlex.quote(str(calls))}\nexec {real} --hold "$@"\n'
    )
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    profile = desk.profile("many", time="2h", more="parallel: 50")
    (desk.folder / profile).write_text((desk.folder / profile).read_text().replace("pack: 1,", "pack: 2h,"))
    desk.expect(minutes=2, steps=3)
    begin = cpu_seconds()
    path = f"{tmp_path / 'bin'}:{desk.everything()['PATH']}"
    sent = desk.submit(profile, *SHORT, "--seeds", "0..4999", PATH=path)
    assert cpu_seconds() - begin < 60, sent.stdout
    # 60 runs of 2 minutes a job: 84 jobs, in arrays of 11
    assert len(calls.read_text().splitlines()) == 8, sent.stdout
    begin = cpu_seconds()
    told = desk.bench("status").stdout
    assert "5000 queued" in told or "5000 held" in told, told
    assert cpu_seconds() - begin < 15
    assert "job " in desk.bench("cancel", "slow.yaml", "--plugin", "slow.py", *SHORT, "--seeds", "0..4999").stdout
    assert not desk.squeue("-t", "PD,R")


def test_two_runs_of_a_job_share_its_gpu(desk):
    """The GPU is the cluster's pretended one, and its workers train on the CPU; all else is as it is."""
    helpers = CHECKOUT / "tests" / "helpers"
    path = ":".join(map(str, (CHECKOUT, helpers, helpers / "pretended_gpu")))
    desk.environment |= {"PYTHONPATH": path, "BENCH_WORKERS": "", "BENCH_TEST_WAIT": "0.2"}
    profile = desk.profile("shared", cpus=2, device="cuda", more="runs_per_gpu: 2")
    desk.expect(minutes=1, steps=30)
    sent = desk.submit(profile, "--rows", "slow", "--seeds", "0..1", "--set", "train.steps=30").stdout
    assert re.search(r"2 runs in 1 job", sent), sent
    desk.until_all_ended(240)
    assert set(desk.status().values()) == {"done"}
    logs = "".join(path.read_text() for path in desk.store.root.rglob("*_log.out"))
    assert "up to 2 runs at once on each GPU" in logs, logs
    starts = [json.loads((run.path / "provenance.json").read_text())[0]["time"] for run in desk.store]
    ends = [run.heartbeat()["time"] for run in desk.store]
    begun = [calendar.timegm(time.strptime(start, "%Y-%m-%dT%H:%M:%SZ")) for start in starts]
    assert max(begun) < min(ends), "both were at work before one had ended"
