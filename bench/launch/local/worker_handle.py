"""The queue's end of a worker process: starts it on a device, sends it runs, receives its events by a pipe."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.paths import IMPORT_ROOT
from bench.plan.runs import PlannedRun

DRIVER = Path("/proc/driver/nvidia/gpus")
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")


@dataclass
class Worker:
    """A process of bench.launch.local.worker, and the run that it has."""

    process: subprocess.Popen[str]
    device: str
    events: int  # the end of the pipe that we read
    log: Path
    run: PlannedRun | None = None
    ready: bool = False  # whether it has reported that it waits for runs
    buffer: bytes = b""

    @classmethod
    def start(cls, device: str, store: Path, logs: Path, number: int, plugins: list[str]) -> Worker:
        """Start a worker, which imports torch once and then waits for runs."""
        read, write = os.pipe()
        log = logs / f"{socket.gethostname()}-{os.getpid()}-worker-{number}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "bench.launch.local.worker", "--store", str(store.resolve())]
        command += ["--device", device, "--events", str(write)]
        command += [word for plugin in plugins for word in ("--plugin", plugin)]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write],
                text=True,
                env=_environment(),
            )
        os.close(write)
        return cls(process, device, read, log)

    def send(self, text: str) -> None:
        """Send a line: the id of the run to do next."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: receive() finds its end of the pipe closed

    def receive(self) -> list[dict[str, Any]] | None:
        """The events that have come since; None once the worker has closed its end."""
        data = os.read(self.events, 65536)
        if not data:
            return None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        """Close its stdin, which ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def last_words(self) -> str:
        """The last line of its log, which has the error that ended it."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def close(self) -> tuple[int, list[str]]:
        """Wait for its end; returns its exit status and its messages to the user. An empty log is deleted."""
        os.close(self.events)
        status = self.process.wait()
        text = self.log.read_text(errors="replace") if self.log.exists() else ""  # its store may have moved
        if not text:
            self.log.unlink(missing_ok=True)
        return status, [line for line in text.splitlines() if line.startswith("bench: ")]


def _environment() -> dict[str, str]:
    """The worker's environment, in which it finds this package and numeric libraries use one thread each."""
    path = os.pathsep.join(filter(None, [str(IMPORT_ROOT), os.environ.get("PYTHONPATH", "")]))
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # Before the first product on a GPU, or cuBLAS may add up in another order each time (bench.run.build)
    cublas = {"CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8")}
    return {**os.environ, "PYTHONPATH": path, **threads, **cublas}


def slots(jobs: int | None) -> list[str]:
    """One device per worker: the visible GPUs, else CPU slots (`jobs` of them, default one per core)."""
    gpus = len(visible_gpus())
    if gpus:
        return [f"cuda:{index}" for index in range(min(gpus, jobs or gpus))]
    return ["cpu"] * (jobs or len(os.sched_getaffinity(0)))


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that a worker may use, as nvidia-smi names them; cuda:0 is the first. Torch is not imported."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    if DRIVER.is_dir():
        return [str(index) for index in range(len(list(DRIVER.iterdir())))]
    # Containers and virtual machines may hide the driver's files, and have its tool all the same
    try:
        done = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []
