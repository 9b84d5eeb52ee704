"""Site profiles: what a SLURM job asks for. profile_load.py reads them; slurm/ has commented examples."""

from __future__ import annotations

import shlex
import sys
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.errors import RuleError
from bench.launch.local.devices import PerGpuField as PerGpu
from bench.launch.local.devices import most_per_gpu
from bench.launch.slurm.quoting import (
    MOST_ENTRIES,
    SAME_NAME,
    EnvironmentValue,
    Features,
    Line,
    Name,
    Names,
    Nodes,
    SbatchKey,
    SbatchValue,
    SetupLine,
    SrunOption,
    Variable,
    Words,
)
from bench.launch.slurm.units import Gpus, Megabytes, Minutes, Resources, gpu_count

MOST_CPUS, MOST_NODES = 4096, 64
# A signal that is ignored stays ignored after exec, so that one that comes before the job has set its handler does not
# kill it. The shell's trap does what `env --ignore-signal` does, also where coreutils are older than 8.31 or absent.
_IGNORE_USR2 = ("sh", "-c", "trap '' USR2; exec \"$@\"", "sh")


def _derived(**limits: Any) -> Any:
    """A field whose default follows from other fields; it is None until Profile fills it in."""
    return Field(default=None, **limits)


class Profile(BaseModel):
    """What every job of a site asks SLURM for, and how Python is started there (minutes, MB)."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    description: Line | None = None
    # where
    partition: Names | None = None  # one or several, "a,b"; the site's default partition without it
    account: Name | None = None  # the account that is charged
    qos: Name | None = None
    constraint: Features | None = None  # node features: a100, 'a100|h100'
    reservation: Names | None = None
    nodelist: Nodes | None = None  # nodes that a job must have
    exclude: Nodes | None = None  # nodes that no job gets
    # what a job gets: one task, which starts those on further nodes, and on each node
    gres: Resources | None = None  # gpu:1, gpu:a100:2
    gpus_per_node: Gpus | None = None  # 1, a100:2; for sites that do not take gres
    memory: Megabytes | None = None  # 16GB, 500MB; a plain number is GB
    cpus: int = Field(default=1, strict=True, ge=1, le=MOST_CPUS)
    nodes: int = Field(default=1, strict=True, ge=1, le=MOST_NODES)  # how many
    # for how long, and how many
    time: Minutes  # the time limit: 12h, 90m, 2d, 1h30m, 24:00:00, 1-00:00:00; a plain number is minutes
    slice: Minutes | None = None  # a job saves, stops and goes back to the queue after this long
    pack: Minutes = _derived()  # short runs share a job up to this estimated length; 60m, or 3/4 of time
    parallel: int = Field(default=16, strict=True, ge=1, le=100_000)  # the most jobs at once
    # how long before the end a job is told to save; 120, or a fifth of a time below 10m
    signal_seconds: int = _derived(strict=True, ge=1, le=65_535)
    requeue: bool = Field(default=True, strict=True)  # whether SLURM may start a job again
    # what is done about jobs that ran out of memory or time: an error of a run's own code is never tried again
    retries: int = Field(default=0, strict=True, ge=0, le=5)  # how often such runs are submitted again, with more of it
    growth: float = Field(default=1.5, gt=1, le=4)  # so many times the memory or time of the last job
    # what runs in it
    device: Literal["cuda", "cpu"] = _derived()  # cuda where a GPU is asked for
    workers: int = _derived(strict=True, ge=1, le=MOST_CPUS)  # at once on a node: one per CPU, or runs_per_gpu per GPU
    runs_per_gpu: PerGpu = 1  # that share a GPU; auto: as many as its measured load has time for
    setup: tuple[SetupLine, ...] = Field(default=(), max_length=MOST_ENTRIES)  # shell lines before Python
    environment: dict[Variable, EnvironmentValue] = Field(default={}, max_length=MOST_ENTRIES)  # before setup
    container: Words = ()  # words before Python: apptainer exec --nv image.sif
    python: Words = _derived(min_length=1)  # this interpreter; in a container python3
    srun_args: tuple[SrunOption, ...] = Field(default=(), max_length=MOST_ENTRIES)  # [--mpi=none]
    # further #SBATCH keys; true: without a value
    sbatch: dict[SbatchKey, SbatchValue] = Field(default={}, max_length=MOST_ENTRIES)

    @model_validator(mode="after")
    def _fill_in_what_is_left_out(self) -> Self:
        # A profile is frozen from here on.
        for name, usual in (
            ("pack", min(60, max(1, self.time * 3 // 4))),
            ("signal_seconds", min(120, self.time * 12)),
            ("device", "cuda" if self.gpus else "cpu"),
            ("python", ("python3",) if self.container else (sys.executable,)),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        if self.workers is None:
            object.__setattr__(self, "workers", self._most_workers())
        return self

    @model_validator(mode="after")
    def _gpus_are_asked_for_once(self) -> Self:
        if self.gpus_per_node is not None and self.gres is not None:
            raise RuleError(
                "gpus_per_node",
                f"{self.gpus_per_node} is asked for beside gres: {self.gres}; give one of the two",
            )
        return self

    @model_validator(mode="after")
    def _a_job_is_longer_than_its_slice(self) -> Self:
        if self.slice is not None:
            most = f"minutes: it must be shorter than time, {self.time}m"
            _refuse_more("slice", self.slice, self.time - 1, most)
        return self

    @model_validator(mode="after")
    def _a_job_is_as_long_as_its_runs(self) -> Self:
        _refuse_more("pack", self.pack, self.time, f"minutes: it must not be longer than time, {self.time}m")
        return self

    @model_validator(mode="after")
    def _a_job_is_told_within_its_time(self) -> Self:
        most = f"seconds: it must be less than time, {self.time}m"
        _refuse_more("signal_seconds", self.signal_seconds, self.time * 60 - 1, most)
        return self

    @model_validator(mode="after")
    def _a_worker_has_a_device(self) -> Self:
        shared = "" if self.runs_per_gpu == 1 else f" with runs_per_gpu: {self.runs_per_gpu}"
        what = f"GPUs{shared}" if self.device == "cuda" else "cpus"
        _refuse_more("workers", self.workers, self._most_workers(), f"{what} of a job")
        return self

    @model_validator(mode="after")
    def _a_shared_gpu_has_cpus_for_its_runs(self) -> Self:
        if self.runs_per_gpu == 1:
            return self
        if self.device != "cuda" or not self.gpus:
            raise RuleError("runs_per_gpu", f"{self.runs_per_gpu} is of a GPU, and none is asked for; give gres: gpu:1")
        if self.runs_per_gpu != "auto":
            most = f"cpus for each of {self.gpus} GPUs: a run needs a CPU of its own to launch its kernels"
            _refuse_more("runs_per_gpu", self.runs_per_gpu, self.cpus // self.gpus, most)
        return self

    @model_validator(mode="after")
    def _other_nodes_can_be_reached(self) -> Self:
        if self.nodes > 1 and self.container:
            raise RuleError(
                "nodes", f"{self.nodes}: a job starts its workers on other nodes by srun, which is not in a container"
            )
        if self.nodes > 1 and self.runs_per_gpu != 1:
            raise RuleError("nodes", f"{self.nodes} with runs_per_gpu: the load of another node's GPUs is not seen")
        return self

    @property
    def places(self) -> int:
        """How many runs a job works on at once, on all its nodes; or as many devices that train one together."""
        return self.workers * self.nodes

    def _most_workers(self) -> int:
        if self.device != "cuda":
            return self.cpus
        return max(1, self.gpus) * most_per_gpu(self.runs_per_gpu, max(1, self.gpus), self.cpus)

    @property
    def gpus(self) -> int:
        """How many GPUs a job asks for."""
        return gpu_count(f"gpu:{self.gpus_per_node}" if self.gpus_per_node else self.gres or "")

    def parameters(self) -> dict[str, Any]:
        """Keywords for `submitit.SlurmExecutor.update_parameters`, in that executor's own names.

        They are not for AutoExecutor: it drops None, so that submitit's default `--wckey=submitit`, which some sites
        refuse, cannot be unset. Time must be a whole number of minutes: submitit computes with it when the signal
        comes, and fails on text.
        """
        options = {name: getattr(self, name) for name in (*SAME_NAME, "gpus_per_node") if name != "reservation"}
        options["mem"] = f"{self.memory}M" if self.memory else None
        flags = {"requeue" if self.requeue else "no-requeue": True, "reservation": self.reservation}
        further = {key: value for key, value in self.sbatch.items() if value is not False}
        exports = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return {
            **without_none(options),
            "time": self.time,
            "nodes": self.nodes,
            "ntasks_per_node": 1,
            "cpus_per_task": self.cpus,
            "array_parallelism": self.parallel,
            "signal_delay_s": self.signal_seconds,
            "setup": [*exports, *self.setup],
            # A step inherits neither from its job: it would have one CPU, and empty the log of a requeued job
            "srun_args": [f"--cpus-per-task={self.cpus}", "--open-mode=append", *self._first_node, *self.srun_args],
            "use_srun": True,  # without a step the signal does not reach Python
            "stderr_to_stdout": True,
            "wckey": None,
            "additional_parameters": without_none(flags | further),
        }

    @property
    def _first_node(self) -> list[str]:
        """One task, the job's own, where a step would have one on each of its nodes."""
        return ["--nodes=1", "--ntasks=1", "--overlap"] if self.nodes > 1 else []

    def command(self) -> str:
        """The shell words that start Python in a job (submitit's `python`), with SIGUSR2 ignored at first."""
        return shlex.join([*self.container, *_IGNORE_USR2, *self.python])


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The mapping without the keys whose value is None."""
    return {key: value for key, value in values.items() if value is not None}


def _refuse_more(key: str, value: int, most: int, why: str) -> None:
    if value > most:
        raise RuleError(key, f"{value} is more than {most} {why}")
