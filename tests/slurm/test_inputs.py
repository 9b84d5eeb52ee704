"""Inputs that change while jobs wait in the queue: a job trains what was submitted, or says what has changed."""

from __future__ import annotations

import getpass
import re
import subprocess

import numpy as np
import pytest

from bench.files.digests import file_sha256
from bench.files.weights import read_weights, write_weights
from bench.store.runs import Store

pytestmark = pytest.mark.slow

CPUS = 2
EDIT = ("def after_step(self, ctx):\n        if", "def g_loss(self, ctx, step):\n        "
        'return {"more": step.logits_N.square().mean()}\n\n    def after_step(self, ctx):\n        if')  # fmt: skip


@pytest.fixture(scope="module")
def cluster(cluster_of, tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=CPUS, gpus=2) as started:
        yield started


@pytest.fixture
def desk(desk_at, cluster, run_server, tmp_path, monkeypatch):
    """With a cache of its own: its data set is about to be replaced."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    found = desk_at(cluster)
    found.environment["BENCH_TEST_WAIT"] = "0"
    found.warm_jobs(run_server.pid)
    yield found
    cluster.run("scancel", "--user", getpass.getuser())
    found.until_all_ended()


def _block(desk) -> str:
    """A job that has every CPU until it is cancelled; its number."""
    words = ["sbatch", "--parsable", "-p", "low", "-c", str(CPUS), "-t", "20", "-o", "/dev/null"]
    done = desk.cluster.run(*words, "--wrap", "sleep 1000")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _log_of_last_job(desk) -> str:
    return "".join(path.read_text() for path in desk.store.root.glob("slurm/*/*_log.out"))


def test_what_changes_while_jobs_wait(desk, tmp_path):
    short = ["--set", "train.steps=6"]
    profile = desk.profile("site", cpus=1, gpus=0)
    command = ["run", "slow.yaml", "--plugin", "slow.py", "--rows", "slow", "--jobs", "1", *short]
    desk.bench(*command, "--seeds", "0", store=tmp_path / "local")
    (local,) = [run for run in Store(tmp_path / "local") if run.spec().kind == "train"]

    blocker = _block(desk)
    desk.submit(profile, "--rows", "slow", "--seeds", "0,2", *short)
    # the plug-in is edited, the data set replaced, while both wait
    plugin = tmp_path / "slow.py"
    text = plugin.read_text()
    assert EDIT[0] in text
    plugin.write_text(text.replace(EDIT[0], EDIT[1], 1))
    kept = [*desk.store.root.glob("slurm/*/plugins/slow.py")]
    assert [path.read_text() for path in kept] == [text]
    train = tmp_path / "cache" / "data" / "shapes-32" / "train.npy"
    before = np.load(train)
    subprocess.run(["touch", str(train)], check=True)  # the same bytes written anew are the same set
    desk.cluster.run("scancel", blocker)
    desk.until("slow/0", "done")
    assert desk.folder_of("slow/0").result()["weights_sha256"] == local.result()["weights_sha256"]
    assert "changed since the submission" not in _log_of_last_job(desk)

    # Now the data set itself: what is done is stale at once, what waits says what has changed.
    desk.until_all_ended()
    plugin.write_text(text)
    blocker = _block(desk)
    desk.submit(profile, "--rows", "slow", "--seeds", "3", *short)
    np.save(train, before[::-1])
    changed = "data set shapes at 32 px (train images)"
    assert re.match(rf"stale .*{re.escape(changed)}", desk.status()["slow/0"])
    desk.cluster.run("scancel", blocker)
    desk.until("slow/3", "done")
    assert f"bench: changed since the submission: {changed}; runs that begin now" in _log_of_last_job(desk)
    report = desk.bench("report", "slow.yaml", "--plugin", "slow.py", *short).stdout
    assert "2 of 8 stale" in report and "(n=1" in report
    assert changed in " ".join(report.split())


def test_source_weights_that_are_replaced_while_a_job_waits(desk, tiny_spec, run_server, tmp_path, monkeypatch):
    """What was fine-tuned from the old file is stale at once; the job that waited names it and trains from the new."""
    monkeypatch.setenv("BENCH_WEIGHTS", str(tmp_path / "weights"))
    source = tiny_spec("transfergan + baseline").sources["network"]
    sources = Store(tmp_path / "sources")
    state = sources.open(source).final_weights
    assert run_server.run(source.uid, sources.root) == "done"
    file, weights = tmp_path / "weights" / "mine.pt", read_weights(state)
    write_weights(file, weights)
    table = tmp_path / "slow.yaml"
    text, count = re.subn(r"    sources:\n( {6}.*\n)+", "    sources: {network: {weights: mine}}\n", table.read_text())
    assert count == 1
    table.write_text(text)
    profile, chosen = desk.profile("site", cpus=1, gpus=0), ["--rows", "transfer", "--set", "train.steps=6"]
    desk.submit(profile, *chosen, "--seeds", "0")
    desk.until("transfer/0", "done")

    # The file is replaced while the job of the second seed waits
    blocker = _block(desk)
    desk.submit(profile, *chosen, "--seeds", "1")
    desk.until("transfer/1", "queued")
    write_weights(file, {**weights, "ema": {name: value * 2 for name, value in weights["ema"].items()}})
    assert re.match("stale .*weights mine; --retry stale", desk.status()["transfer/0"])
    desk.cluster.run("scancel", blocker)
    desk.until("transfer/1", "done")
    assert "bench: changed since the submission: weights mine; runs that begin now" in _log_of_last_job(desk)
    assert desk.folder_of("transfer/1").inputs()["read"]["weights/mine"] == file_sha256(file)

    # No table has the old number, and each verb names what has changed
    old, new = (desk.folder_of(f"transfer/{seed}").metrics()[-1]["value"] for seed in (0, 1))
    shown = desk.bench("report", "slow.yaml", "--plugin", "slow.py", *chosen).stdout
    assert f"{new:.4g} (n=1" in shown and f"{old:.4g}" not in shown
    assert "1 of 8 stale" in shown and "weights mine" in " ".join(shown.split())
    again = desk.submit(profile, *chosen, "--seeds", "0,1").stdout
    assert "changed since: weights mine; --retry stale trains anew" in again and "0 to start" in again


def test_a_run_that_was_begun_on_other_data_is_not_continued_by_its_job(desk, tmp_path):
    """Interrupted on the cluster, requeued in fact or by hand: the job leaves it as it is and says why."""
    desk.environment |= {"BENCH_TEST_WAIT": "0.5", "BENCH_TEST_HOLD": str(tmp_path / "hold")}
    (tmp_path / "hold").touch()
    profile = desk.profile("site", cpus=1, gpus=0)
    desk.submit(profile, "--rows", "slow", "--seeds", "0", "--set", "train.steps=400")
    desk.until("slow/0", r"running +step [2-9]")
    run = desk.folder_of("slow/0")
    job = desk.squeue().split()[0]
    assert desk.cluster.run("scontrol", "requeuehold", job).returncode == 0
    desk.until("slow/0", "held|requeued|interrupted", 60)
    train = tmp_path / "cache" / "data" / "shapes-32" / "train.npy"
    np.save(train, np.load(train)[::-1])
    state = {path.name: path.read_bytes() for path in run.state.iterdir()}
    assert state
    assert desk.cluster.run("scontrol", "release", job).returncode == 0
    desk.until("slow/0", "stale", 180)
    assert "is stale, it is not continued: data set shapes at 32 px (train images)" in _logs(desk)
    assert {path.name: path.read_bytes() for path in run.state.iterdir()} == state and run.result() is None


def _logs(desk) -> str:
    return "".join(path.read_text() for path in desk.store.root.glob("slurm/*/**/*") if path.suffix in (".out", ".log"))
