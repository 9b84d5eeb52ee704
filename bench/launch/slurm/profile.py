"""Site profiles: what a SLURM job asks for, read by profile_load.py (commented examples lie in slurm/)."""

from __future__ import annotations

import re
import reprlib
import shlex
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic import field_validator as check

from bench.launch.slurm.durations import MOST_MINUTES, minutes

MOST_MEGABYTES, MOST_GPUS, MOST_CPUS = 100 * 1024**2, 64, 4096
MOST_LETTERS, MOST_ENTRIES = 1000, 100

# `#SBATCH` keys that a profile says with a field of its own ...
_SAME = ("partition", "account", "qos", "constraint", "reservation", "nodelist", "exclude", "gres")
FIELD_OF = {name: name for name in (*_SAME, "time", "requeue")} | {
    "gpus": "gpus_per_node", "gpus-per-node": "gpus_per_node", "gpus-per-task": "gpus_per_node",
    "gpus-per-socket": "gpus_per_node", "mem": "memory", "mem-per-cpu": "memory", "mem-per-gpu": "memory",
    "cpus-per-task": "cpus", "cpus-per-gpu": "cpus", "time-min": "time", "signal": "signal_seconds",
    "no-requeue": "requeue", "export": "environment", "export-file": "environment",
}  # fmt: skip
# ... and those without which a submission would not be what `bench submit` relies on.
SET_BY_BENCH = (
    "array", "dependency", "job-name", "output", "error", "input", "wrap", "open-mode", "parsable", "nodes",
    "ntasks", "ntasks-per-node", "chdir", "clusters", "test-only", "wait", "quiet", "verbose", "help",
)  # fmt: skip
_MEMORY = re.compile(r"([0-9]{1,9}) ?([MGT])B?")
_GRES = re.compile(r"[a-z][a-z0-9_]*(?::[A-Za-z0-9_.-]+)?(?::[0-9]{1,9}[KMGT]?)?")
# Words are quoted on their way to the shell: a variable in them would stay what it is.
_LITERAL = r"(?:(?!\$[A-Za-z_{(]|`).)*"
# An option of srun, but none (however much it is cut short) that bench submit and submitit give to it.
_SRUN_WORD = rf"--(?!out|err|inp|nt|nodes|cpus-per-t|pty|mul|exp|sig|job)[a-z][a-z0-9-]*(=(?!~){_LITERAL})?"
# Ignoring a signal outlasts exec: one that comes before the job has set its handler does not kill it. The
# shell's trap does what `env --ignore-signal` does, also where coreutils are older than 8.31 or absent.
_IGNORE_USR2 = ("sh", "-c", "trap '' USR2; exec \"$@\"", "sh")


def megabytes(value: Any) -> int:
    """Memory in MB: "500MB", "16GB", "1TB", or a whole number of GB; ValueError for anything else."""
    if isinstance(value, str) and (found := _MEMORY.fullmatch(value.upper())):
        total = int(found[1]) * 1024 ** "MGT".index(found[2])
    elif type(value) is int:
        total = value * 1024
    else:
        raise ValueError(f"{shown(value)} is no amount of memory; write 500MB, 16GB or 16 (GB)")
    if not 1 <= total <= MOST_MEGABYTES:
        raise ValueError(f"{shown(value)} must be from 1MB to {MOST_MEGABYTES // 1024**2}TB")
    return total


def shown(value: Any) -> str:
    """A value in a message, cut short."""
    return reprlib.repr(value)


def one_line(value: Any) -> str:
    """Text that stays on its line wherever it is written: no newline, no control character."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} must be text; put it in quotes")
    if not (value.isprintable() and value.strip() == value and 1 <= len(value) <= MOST_LETTERS):
        raise ValueError(
            f"{shown(value)} must be one line of 1 to {MOST_LETTERS} printable characters, trimmed"
        )
    return value


def _matching(pattern: str, right: str) -> BeforeValidator:
    """Text that a pattern describes; `right` says so in words."""

    def matched(value: Any) -> str:
        if not re.fullmatch(pattern, one_line(value), re.ASCII):
            raise ValueError(f"{shown(value)} must be {right}")
        return str(value)

    return BeforeValidator(matched)


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(one_line(value))
    except ValueError as error:
        raise ValueError(f"{shown(value)} is no list of words: {error}") from error


def _environment_value(value: Any) -> str:
    if value == "":
        return ""
    if type(value) is not int and not isinstance(value, str):
        raise ValueError(f"{shown(value)} must be text or a whole number; put it in quotes")
    if not re.fullmatch(_LITERAL, text := one_line(str(value))):
        raise ValueError(f"{shown(value)} is not expanded; put `export NAME=...` under setup: instead")
    if any(piece.startswith("~") for piece in text.split(":")):
        raise ValueError(
            f"{shown(value)}: ~ is not expanded; write the whole path, or export it under setup:"
        )
    return text


def _sbatch_key(value: Any) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,49}", value)):
        raise ValueError(f"{shown(value)} is no sbatch option; write its long name, such as mail-type")
    if value in FIELD_OF:
        raise ValueError(f"sbatch's {value} is the profile's own key {FIELD_OF[value]}; use that")
    if meant := [
        one for one in (*SET_BY_BENCH, *FIELD_OF) if one.startswith(value)
    ]:  # sbatch completes names
        raise ValueError(f"sbatch's {min(meant)} is set by bench submit or by a key of its own; leave it out")
    return value


def _sbatch_value(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 1e15):
        return value
    if "\\" in one_line(value):  # sbatch takes it for an escape, even inside quotes
        raise ValueError(f"{shown(value)} must not have a backslash; sbatch would drop it")
    return value


def _gres(value: Any) -> str:
    items = one_line(value).split(",")
    if not all(_GRES.fullmatch(item) for item in items):
        raise ValueError(f"{shown(value)} is no list of resources; write gpu:1 or gpu:a100:2")
    if not all(1 <= _amount(item) <= MOST_GPUS for item in items if item.partition(":")[0] == "gpu"):
        raise ValueError(f"{shown(value)} must ask for 1 to {MOST_GPUS} GPUs")
    return str(value)


def _gpus(value: Any) -> str:
    text = str(value) if type(value) is int else one_line(value)
    found = re.fullmatch(r"(?:[A-Za-z0-9_.-]+:)?([0-9]{1,9})", text)
    if not found or not 1 <= int(found[1]) <= MOST_GPUS:
        raise ValueError(f"{shown(value)} must be 1 to {MOST_GPUS}, or a kind and a number such as a100:2")
    return text


def _amount(item: str) -> int:
    """How many a GRES item asks for: 2 of "gpu:a100:2", 1 of "gpu:a100"."""
    return int(last) if (last := item.rpartition(":")[2]).isdecimal() else 1


Name = Annotated[str, _matching(r"[\w@][\w.+@-]*", "a name of letters, digits and _ . + @ -")]
Names = Annotated[
    str, _matching(r"[\w@][\w.+@,-]*", "names of letters, digits and _ . + @ -, joined by commas")
]
Nodes = Annotated[str, _matching(r"\w[\w.,\[\]-]*", "node names, such as n1,n[3-5]")]
Features = Annotated[
    str, _matching(r"[\w(\[!][\w.:+=&|*(),!\[\]-]*", "features, such as a100|h100, no spaces")
]
Word = Annotated[str, _matching(rf"(?!~){_LITERAL}", "written out: $ ` and ~ are not expanded")]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words), Field(max_length=MOST_ENTRIES)]
SrunWord = Annotated[str, _matching(_SRUN_WORD, "--name=value, written out, not one that bench submit sets")]
Line = Annotated[str, BeforeValidator(one_line)]
SetupLine = Annotated[
    str, _matching(r"(?!#\s*(SBATCH|PBS|BSUB)).*", "a shell line; #SBATCH goes under sbatch:")
]
Variable = Annotated[
    str, _matching(r"(?!SLURM_|SBATCH_|SUBMITIT_)[A-Za-z_]\w*", "a variable name, not SLURM's")
]
Literally = Annotated[str, BeforeValidator(_environment_value)]
Minutes = Annotated[int, BeforeValidator(minutes)]
Megabytes = Annotated[int, BeforeValidator(megabytes)]
SbatchKey = Annotated[str, BeforeValidator(_sbatch_key)]
SbatchValue = Annotated[str | int | float | bool, BeforeValidator(_sbatch_value)]


def _derived(**limits: Any) -> Any:
    """A field whose default follows from fields above it (see the checks of Profile)."""
    return Field(default=None, validate_default=True, **limits)


class Profile(BaseModel):
    """What every job of a site asks SLURM for, and how Python is started there (minutes, MB)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: Line | None = None
    # where
    partition: Names | None = None  # one or several, "a,b"; the site's default partition without it
    account: Name | None = None  # what is charged
    qos: Name | None = None
    constraint: Features | None = None  # node features: a100, 'a100|h100'
    reservation: Names | None = None
    nodelist: Nodes | None = None  # nodes that a job must have
    exclude: Nodes | None = None  # nodes that no job gets
    # what a job gets: one task on one node
    gres: Annotated[str | None, BeforeValidator(_gres)] = None  # gpu:1, gpu:a100:2
    gpus_per_node: Annotated[str | None, BeforeValidator(_gpus)] = None  # 1, a100:2; where gres is not liked
    memory: Megabytes | None = None  # 16GB, 500MB; a plain number is GB
    cpus: int = Field(default=1, strict=True, ge=1, le=MOST_CPUS)
    # for how long, and how many
    time: Minutes  # the time limit: 12h, 90m, 2d, 1h30m, 24:00:00, 1-00:00:00; a plain number is minutes
    slice: Minutes | None = None  # a job saves, stops and goes back to the queue after this long
    pack: Minutes = _derived()  # short runs share a job up to this estimated length; 60m, or 3/4 of time
    parallel: int = Field(default=16, strict=True, ge=1, le=100_000)  # the most jobs at once
    # how long before the end a job is told to save; 120, or a fifth of a time below 10m
    signal_seconds: int = _derived(strict=True, ge=1, le=65_535)
    requeue: bool = Field(default=True, strict=True)  # whether SLURM may start a job again
    # what runs in it
    device: Literal["cuda", "cpu"] = _derived()  # cuda where a GPU is asked for
    workers: int = _derived(strict=True, ge=1, le=MOST_CPUS)  # runs at once: one per CPU, or per GPU
    setup: tuple[SetupLine, ...] = Field(default=(), max_length=MOST_ENTRIES)  # shell lines before Python
    environment: dict[Variable, Literally] = Field(
        default={}, max_length=MOST_ENTRIES
    )  # exported before setup
    container: Words = ()  # words before Python: apptainer exec --nv image.sif
    python: Words = _derived(min_length=1)  # this interpreter; in a container python3
    srun_args: tuple[SrunWord, ...] = Field(default=(), max_length=MOST_ENTRIES)  # [--mpi=none]
    # further #SBATCH keys; true: without a value
    sbatch: dict[SbatchKey, SbatchValue] = Field(default={}, max_length=MOST_ENTRIES)

    @check("gpus_per_node")
    @classmethod
    def _gpus_are_asked_for_once(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("gres") is not None:
            raise ValueError(f"{value} is asked for beside gres: {info.data['gres']}; give one of the two")
        return value

    @check("pack", "signal_seconds", "device", "workers", "python", mode="before")
    @classmethod
    def _default(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None:
            return value
        time, gpus = info.data.get("time", MOST_MINUTES), _asked_gpus(info.data)
        return {
            "pack": min(60, max(1, time * 3 // 4)),
            "signal_seconds": min(120, time * 12),
            "device": "cuda" if gpus else "cpu",
            "workers": max(1, gpus) if info.data.get("device") == "cuda" else info.data.get("cpus", 1),
            "python": ["python3"] if info.data.get("container") else [sys.executable],
        }[str(info.field_name)]

    @check("slice", "pack", "signal_seconds", "workers")
    @classmethod
    def _limit(cls, value: int | None, info: ValidationInfo) -> int | None:
        time, gpus = info.data.get("time", MOST_MINUTES), max(1, _asked_gpus(info.data))
        on_gpu, cpus = info.data.get("device") == "cuda", info.data.get("cpus", MOST_CPUS)
        most, why = {
            "slice": (time - 1, f"minutes: it must be shorter than time, {time}m"),
            "pack": (time, f"minutes: it must not be longer than time, {time}m"),
            "signal_seconds": (time * 60 - 1, f"seconds: it must be less than time, {time}m"),
            "workers": (gpus, "GPUs of a job") if on_gpu else (cpus, "cpus of a job"),
        }[str(info.field_name)]
        if value is not None and value > most:
            raise ValueError(f"{value} is more than {most} {why}")
        return value

    @property
    def gpus(self) -> int:
        """How many GPUs a job asks for."""
        return _asked_gpus(self.model_dump(include={"gres", "gpus_per_node"}))

    def parameters(self) -> dict[str, Any]:
        """Keywords for `submitit.SlurmExecutor.update_parameters`, in that executor's own names.

        Not for AutoExecutor: it drops None, and then submitit's default `--wckey=submitit` cannot be unset,
        which some sites refuse. Time is whole minutes: text breaks submitit at the very signal.
        """
        asked = {name: getattr(self, name) for name in (*_SAME, "gpus_per_node") if name != "reservation"}
        asked["mem"] = f"{self.memory}M" if self.memory else None
        flags = {"requeue" if self.requeue else "no-requeue": True, "reservation": self.reservation}
        further = {key: value for key, value in self.sbatch.items() if value is not False}
        exports = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return {
            **given(asked),
            "time": self.time,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": self.cpus,
            "array_parallelism": self.parallel,
            "signal_delay_s": self.signal_seconds,
            "setup": [*exports, *self.setup],
            # a step takes neither of these from its job: it would get one CPU, and empty the log of a requeued job
            "srun_args": [f"--cpus-per-task={self.cpus}", "--open-mode=append", *self.srun_args],
            "use_srun": True,  # without a step the signal does not reach Python
            "stderr_to_stdout": True,
            "wckey": None,
            "additional_parameters": given(flags | further),
        }

    def command(self) -> str:
        """The shell words that start Python in a job: submitit's `python`. They ignore SIGUSR2 at first."""
        return shlex.join([*self.container, *_IGNORE_USR2, *self.python])


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that are None."""
    return {key: value for key, value in values.items() if value is not None}


def _asked_gpus(fields: dict[str, Any]) -> int:
    number = fields.get("gpus_per_node")
    items = [f"gpu:{number}"] if number else (fields.get("gres") or "").split(",")
    return sum(_amount(item) for item in items if item.partition(":")[0] == "gpu")
