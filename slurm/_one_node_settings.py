"""The settings and places of a one-machine SLURM cluster, and what is refused. Standard library only."""

from __future__ import annotations

import re
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

PORTS_BESIDE_NODES = 3  # slurmctld, slurmdbd, mariadbd; then one for each node's slurmd

# slurmd only checks that the file of a GPU is a character device. With plain files the GPUs are counted too, but
# CUDA_VISIBLE_DEVICES is then not set in the job.
_CANDIDATES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx")

# Keys that cannot be overridden: starting, stopping and finding the cluster depend on them
_OWN_KEYS = {
    "accountingstoragehost",
    "accountingstoragepass",
    "accountingstorageport",
    "accountingstoragetype",
    "authinfo",
    "authtype",
    "clustername",
    "credtype",
    "include",
    "nodename",
    "slurmctldhost",
    "slurmctldlogfile",
    "slurmctldpidfile",
    "slurmctldport",
    "slurmdlogfile",
    "slurmdpidfile",
    "slurmdspooldir",
    "slurmduser",
    "slurmuser",
    "statesavelocation",
}


class OneNodeError(Exception):
    """The cluster cannot be started, reached or stopped; its one line has the reason and what to do."""


class BadOption(OneNodeError):
    """An option, or a set of them, that cannot be right: exit status 2."""


@dataclass(frozen=True)
class ClusterSettings:
    """What can be chosen about a cluster.

    `nodes` is the number of slurmd processes. Each claims `cpus`, `gpus` and `memory_mb` MB, whatever the machine has.
    `accounting` adds slurmdbd and a private MariaDB, so that sacct works. `overrides` are slurm.conf lines `Key=Value`,
    which replace the line of that key or are added. Raises BadOption for values that are not possible.
    """

    nodes: int = 1
    cpus: int = 4
    gpus: int = 2
    memory_mb: int = 64000
    accounting: bool = False
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        devices = character_devices()
        for name, value, low, high in (
            ("nodes", self.nodes, 1, 32),
            ("cpus", self.cpus, 1, 1024),
            ("gpus", self.gpus, 0, len(devices)),
            ("memory_mb", self.memory_mb, self.cpus, 16_000_000),
        ):
            if not low <= value <= high:
                option = "--" + name.replace("_", "-")
                raise BadOption(f"{option} is {value}; a number from {low} to {high} is possible here")
        for line in self.overrides:
            split_override(line)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ClusterSettings:
        """The inverse of `to_json`. Raises TypeError or KeyError for another file's content."""
        options = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{**options, "overrides": tuple(options["overrides"])})

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dumps."""
        return asdict(self)


@dataclass(frozen=True)
class Site:
    """Where a cluster is: its folder, the first of its TCP ports, the short host name, its user.

    `loopback` tells whether the host name resolves to 127.*; `password` is the private data base's.
    """

    folder: Path
    port: int
    host: str
    loopback: bool
    user: str
    password: str

    @property
    def dbd_port(self) -> int:
        """slurmdbd's port."""
        return self.port + 1

    @property
    def sql_port(self) -> int:
        """mariadbd's port."""
        return self.port + 2

    def node_port(self, index: int) -> int:
        """The port of the slurmd of node n<index>, counted from 1."""
        return self.port + PORTS_BESIDE_NODES + index - 1


def character_devices() -> list[str]:
    """Device files of this machine that can stand for a GPU."""
    return [name for name in _CANDIDATES if Path(name).exists() and stat.S_ISCHR(Path(name).stat().st_mode)]


def node_names(settings: ClusterSettings) -> list[str]:
    """The names of all nodes: n1, n2, ..."""
    return [f"n{index}" for index in range(1, settings.nodes + 1)]


def split_override(line: str) -> tuple[str, str]:
    """The key and value of `Key=Value`. Raises BadOption for another form, and for keys that cannot be overridden."""
    if not line.isprintable():
        raise BadOption(f"--set {line!r} has a line break or control character; one Key=Value each is right")
    key, equals, value = line.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not value or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key):
        raise BadOption(f"--set {line!r} is not Key=Value, as in --set MaxArraySize=11")
    if "#" in value or value.endswith("\\"):
        raise BadOption(f"--set {line!r} has a '#' or ends in a backslash; slurm.conf would cut or join the line")
    if key.lower() in _OWN_KEYS:
        raise BadOption(f"--set {key} is not possible: the cluster is started and stopped by it")
    return key, value
