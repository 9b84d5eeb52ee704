"""Workers on the other nodes of a cluster job: each is a step of the job, which `srun` starts and speaks for.

srun hands on stdin, stdout and signals, so that a queue sees such a worker as it sees one of its own machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from bench.launch.local.worker_handle import environment

STDOUT = 1  # srun hands on no other descriptor: the worker reports by its stdout, and prints to its stderr


def at_node(device: str, node: str) -> str:
    """The name of a device of another node, as queues have it: "cuda:0@n2"."""
    return f"{device}@{node}"


def node_of(device: str) -> str:
    """The other node that a device is of; "" for one of this machine."""
    return device.partition("@")[2]


def on_its_node(device: str) -> str:
    """The device as its own node calls it."""
    return device.partition("@")[0]


def other_nodes() -> list[str]:
    """The nodes of this job but the one that this process is on, by SLURM's names. RuntimeError if it tells none."""
    nodes = os.environ.get("SLURM_JOB_NODELIST", "")
    told = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True)
    if told.returncode != 0 or not nodes:
        raise RuntimeError(
            f"the nodes of this job (SLURM_JOB_NODELIST={nodes!r}) cannot be told: {told.stderr.strip()}"
        )
    return [node for node in told.stdout.split() if node != os.environ.get("SLURMD_NODENAME")]


class Step:
    """A worker that srun speaks for, with what a queue uses of subprocess.Popen."""

    def __init__(self, srun: subprocess.Popen[bytes]) -> None:
        self.srun = srun

    @property
    def pid(self) -> int:
        """srun's process id, on this machine; SLURM ends the worker when that process is killed."""
        return self.srun.pid

    def send_signal(self, number: int) -> None:
        """Send the worker a signal. srun hands on SIGUSR2; at SIGTERM and SIGINT it kills the step at once."""
        graceful = number in (signal.SIGTERM, signal.SIGINT)
        self.srun.send_signal(signal.SIGUSR2 if graceful else number)

    def terminate(self) -> None:
        """Have the worker save and end."""
        self.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end; srun's exit status, which is the worker's, or 128 and the signal that ended it."""
        return self.srun.wait()


def spawn_on(node: str, options: tuple[str, ...], arguments: list[str], stdin: int, events: int, log: int) -> Step:
    """Start a worker on another node of the job, beside what runs there; options: the profile's own, for srun."""
    cpus = os.environ.get("SLURM_CPUS_PER_TASK", "1")
    step = ["--overlap", "--unbuffered", "--nodes=1", "--ntasks=1", f"--nodelist={node}", f"--cpus-per-task={cpus}"]
    worker = [sys.executable, "-m", "bench.launch.local.worker", *arguments, "--events", str(STDOUT)]
    command = ["srun", *step, *options, *worker]
    return Step(subprocess.Popen(command, stdin=stdin, stdout=events, stderr=log, env=environment()))
