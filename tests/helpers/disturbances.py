"""All that can happen to the jobs of a table on a cluster. `tests/helpers` is on the path of the tests."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

from bench.store.runs import Store


class Disturbances:
    """One table, and all that can happen to its jobs: the scenario of test_survival*.py, step by step.

    Six CPUs, four GPUs: slow/0..4 in the partition `low`, of which one waits for a GPU; slow/8 in slices of a minute;
    stuck/0 in `short` (one minute, of which its start must leave enough: it comes when the others are at work).
    """

    def __init__(self, desk: Any, cluster: Any, server: int) -> None:
        self.desk, self.cluster, self.server = desk, cluster, server
        self.low = desk.profile("low", more="parallel: 8")
        self.sliced = desk.profile("sliced", "debug", "20m", gpus=0, more="slice: 1m")
        more = "signal_seconds: 5, requeue: false"
        self.short = desk.profile("short", partition="short", time="1m", gpus=0, more=more)
        self.mark = str(desk.folder / "stuck-once")
        self.touched: list[str] = []
        self.hold = desk.folder / "hold"
        self.hold.touch()
        desk.environment |= {"BENCH_TEST_HOLD": str(self.hold), "BENCH_TEST_WAIT": "2.8"}

    def __call__(self) -> None:
        self.submit_and_submit_again()
        self.controller_restarts_with_jobs_pending()
        self.one_is_preempted()
        self.one_is_cancelled()
        self.one_job_is_killed()
        self.one_worker_is_killed()
        self.node_daemon_is_killed_and_restarted()
        self.train_them_undisturbed()
        self.one_gives_its_place_back()
        self.one_times_out()
        self.submit_once_more()
        self.everything_is_done_once_and_bit_equal()

    def status(self) -> dict[str, str]:
        return self.desk.status()

    def pick(self) -> str:
        """A running run to which nothing has happened yet, some steps on its way; slow/8 goes back by itself."""

        def at_work() -> str | None:
            untouched = [f"slow/{seed}" for seed in range(5) if f"slow/{seed}" not in self.touched]
            status = self.status()
            return next((one for one in untouched if re.match("running +step [1-9]", status.get(one, ""))), None)

        # SLURM lets a requeued job wait for two minutes
        label: str = self.desk.wait_until(at_work, 180, every=0.2, otherwise=self.status)
        self.touched.append(label)
        return label

    def submit_and_submit_again(self) -> None:
        self.desk.submit(self.low, "--rows", "slow", "--seeds", "0..4")
        self.desk.until("slow/4", r"queued +job \S+: (waits for a free node|others are before it)")
        self.desk.submit(self.sliced, "--rows", "slow", "--seeds", "8")
        for seed in range(4):
            self.desk.until(f"slow/{seed}", r"running +step [1-9]")
        sent = self.desk.submit(self.short, "--rows", "stuck", "--seeds", "0", BENCH_TEST_MARK=self.mark)
        assert "1 run in 1 job" in sent.stdout, sent.stdout
        again = self.desk.submit(self.low, "--rows", "slow", "--seeds", "0..4")
        assert "5 runs queued or at work already" in again.stdout and "\njob " not in again.stdout

    def jobs(self) -> set[str]:
        """The numbers of the queue's jobs, each task of an array by itself."""
        return {line.split()[0] for line in self.desk.squeue().splitlines()}

    def controller_restarts_with_jobs_pending(self) -> None:
        (waiting,) = (job for job in self.jobs() if job.endswith("_4"))  # slow/4, the last of its array
        self.cluster.daemon("stop", "slurmctld")
        silent = self.desk.bench("status").stdout
        assert "the cluster does not answer" in silent and re.search(r"slow · .*running", silent), silent
        refused = self.desk.submit(self.low, "--rows", "slow", "--seeds", "6", check=False)
        assert refused.returncode == 2 and "Unable to contact" in refused.stderr and "Traceback" not in refused.stderr
        self.cluster.daemon("start", "slurmctld")
        # the very job is there, waiting or, on a slow machine where a place has come free meanwhile, at work
        self.desk.until("slow/4", "queued +job|running")
        assert waiting in self.jobs()

    def requeued_ones(self) -> list[str]:
        """Those that a preemption has sent back; slow/8 goes back by itself."""
        return [one for one, word in self.status().items() if word.startswith("requeued") and one != "slow/8"]

    def one_is_preempted(self) -> None:
        """Somebody with more rights wants two GPUs for a moment: runs of `low` save, make room and come back."""
        wanted = ["sbatch", "--parsable", "-p", "high", "--gres=gpu:2", "-t", "5", "--wrap", "sleep 2"]
        done = self.cluster.run(*wanted, "-o", "/dev/null")
        assert done.returncode == 0, done.stderr
        hit = self.desk.wait_until(self.requeued_ones, 90, every=0.2, otherwise=self.status)
        label, word = hit[0], self.status()[hit[0]]
        self.touched.append(label)
        kept = number(r"step (\d+) of", word)
        assert kept > 0 and label.startswith("slow/"), word
        self.requeued, self.kept = label, kept
        # all that had to make room have gone by the time the other job ends: nothing else is on its way out
        job = ["-j", done.stdout.strip(), "-t", "PD,R,CG"]

        def gone() -> bool:
            return not self.cluster.run("squeue", "-h", *job).stdout

        self.desk.wait_until(gone, 90, every=0.3, otherwise=self.desk.squeue)

    def one_is_cancelled(self) -> None:
        label = self.pick()
        told = self.desk.bench("cancel", self.desk.folder_of(label).uid, "--plugin", "slow.py").stdout
        assert re.match(r"job \d+_\d+ cancelled\n1 of 1 runs", told), told
        found = self.desk.until(label, "cancelled")
        assert re.search(r"continues from a checkpoint up to step [1-9]", found), found

    def one_job_is_killed(self) -> None:
        """kill -9 of all its processes, the way the kernel does it when memory runs out."""
        label = self.pick()
        folder = self.desk.folder_of(label)
        worker = folder.heartbeat()["pid"]
        job = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(job, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        found = self.desk.until(label, "lost")
        assert re.search(r"job \S+ ended: (FAILED|UNKNOWN).*up to step [1-9]", found), found

    def one_worker_is_killed(self) -> None:
        """kill -9 of the process that trains: its job starts another, which goes on."""
        label = self.pick()
        folder = self.desk.folder_of(label)
        before = folder.heartbeat()
        os.kill(before["pid"], signal.SIGKILL)

        def further() -> bool:
            beat = folder.heartbeat()
            if beat["pid"] != before["pid"] and beat["step"] > before["step"]:
                return True
            assert self.status()[label].split()[0] in ("running", "queued")
            return False

        self.desk.wait_until(further, 60, every=0.2)
        assert folder.heartbeat()["job"] == before["job"]

    def node_daemon_is_killed_and_restarted(self) -> None:
        """slurmd dies; what runs goes on."""
        label = self.pick()
        folder = self.desk.folder_of(label)
        self.cluster.daemon("kill", "slurmd")
        step = folder.heartbeat()["step"]
        self.desk.until(label, f"running +step (?!{step} )|done")
        self.cluster.daemon("start", "slurmd")
        found = self.desk.until(self.requeued, r"running +step [1-9]|done", 90)
        assert found.startswith("done") or number(r"step (\d+)", found) >= self.kept, "it continued"

    def train_them_undisturbed(self) -> None:
        """All runs of the table once more, here: while slow/8 works its slice of a minute off."""
        self.alone = self.desk.folder / "undisturbed"
        words = ["--plugin", "slow.py", "--rows", "slow,stuck", "--seeds", "0..4"]
        self.desk.bench("run", "slow.yaml", *words, store=self.alone, BENCH_TEST_WAIT="0")

    def one_gives_its_place_back(self) -> None:
        """After its slice of a minute; SLURM lets it wait, then it goes on in the same job."""
        kept = number(r"step (\d+) of", self.desk.until("slow/8", r"(requeued|running) +step [1-9]"))
        starts = self.desk.folder_of("slow/8").path / "provenance.json"

        def jobs() -> list[str]:
            return [start["job"] for start in json.loads(starts.read_text())]

        self.desk.wait_until(lambda: len(jobs()) >= 2, 240, every=0.5, otherwise=self.status)
        assert jobs()[0] == jobs()[1]
        assert number(r"step (\d+) of", self.desk.until("slow/8", r"running +step [1-9]")) >= kept

    def one_times_out(self) -> None:
        """Its step hangs, so it cannot save at the notice, and SLURM ends it at the limit."""
        found = self.desk.until("stuck/0", "lost", 150)
        assert re.search(r"job \S+ ended: TIMEOUT.*up to step [1-9]", found), found

    def submit_once_more(self) -> None:
        self.hold.unlink()
        self.desk.until("slow/8", "done", 60)
        log = self.desk.bench("logs", self.desk.folder_of("slow/8").uid).stdout
        assert log.count("1 of 1 runs to do") >= 2 and "end of its time: 1 run left, requeueing" in log, log
        self.desk.until_all_ended()
        self.results = {path: path.stat().st_mtime_ns for path in self.desk.store.root.glob("*/result.json")}
        assert 2 <= len(self.results) <= 4, self.status()
        # Nothing more happens to any of them: their workers may come from elsewhere
        self.desk.warm_jobs(self.server)
        words = [self.low, "--rows", "slow,stuck", "--seeds", "0..4"]
        sent = self.desk.submit(*words, BENCH_TEST_MARK=self.mark)
        assert re.search(r"job \d+: ", sent.stdout), sent.stdout
        self.desk.until_all_ended(180)

    def everything_is_done_once_and_bit_equal(self) -> None:
        assert set(self.status().values()) == {"done"}
        assert {path: path.stat().st_mtime_ns for path in self.results} == self.results, "nothing was trained twice"
        runs = list(Store(self.alone))
        assert len(runs) == 10
        for undisturbed in runs:
            assert essence(self.desk.store.folder(undisturbed.uid)) == essence(undisturbed), undisturbed.uid


def number(pattern: str, text: str) -> int:
    """The number that a pattern finds."""
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


def essence(folder: Any) -> tuple[object, ...]:
    """All that may not differ: the weights, the scores without their seconds, the losses."""
    scores = [{key: value for key, value in line.items() if key != "seconds"} for line in folder.metrics()]
    return folder.result()["weights_sha256"], folder.result()["steps"], scores, folder.read_log()
