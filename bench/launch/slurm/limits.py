"""Checks a profile against the cluster before sbatch: a job that no node fits would wait in the queue for ever."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.errors import UserError, did_you_mean
from bench.launch.slurm.commands import ClusterError, run_command
from bench.launch.slurm.profile import Profile

Run = Callable[[list[str]], str]
Gpus = tuple[tuple[str, int], ...]  # pairs of kind and number; the kind is "" if unknown
SINFO = ["sinfo", "--noheader", "--all", "--exact", "--noconvert", "--format=%P|%a|%l|%c|%m|%G|%f"]
NODES = ["sinfo", "--noheader", "--all", "--Node", "--format=%N"]
SHUT = ("inactive", "inact", "drain")  # a partition that is "down" takes jobs and keeps them until it is up
MOST_LISTED = 4  # kinds of nodes in a message
_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


class SilentClusterError(UserError, ClusterError):
    """The cluster's commands are missing or its controller does not answer."""


@dataclass(frozen=True)
class Nodes:
    """A group of equal nodes: CPUs, memory in MB, GPUs by kind, features."""

    cpus: int
    memory: int
    gpus: Gpus
    features: tuple[str, ...]

    def has(self, demanded: Gpus) -> bool:
        """Whether a node has these GPUs; a demand without a kind is met by any kind."""
        return all(
            number <= sum(count for own_kind, count in self.gpus if kind.lower() in ("", own_kind.lower()))
            for kind, number in demanded
        )

    def __str__(self) -> str:
        gpus = [":".join(filter(None, ("gpu", kind, str(number)))) for kind, number in self.gpus]
        return ", ".join([f"{self.cpus} CPUs", f"{self.memory}MB", *gpus, *self.features])


@dataclass
class Partition:
    """A partition: whether it takes jobs, its time limit in minutes (None: none) and its nodes."""

    name: str
    state: str
    limit: int | None
    default: bool
    nodes: list[Nodes] = field(default_factory=list)


def check_against_cluster(profile: Profile, run: Run = run_command) -> None:
    """Refuse a profile that the cluster cannot run, by one call of sinfo, and two more if it names nodes.

    run: returns the output of a command, or raises ClusterError. Raises UserError with the profile's key, its value and
    what the cluster offers. Raises SilentClusterError, which is a UserError too, if the cluster does not answer.
    """
    partitions = parse_sinfo(_ask(SINFO, run))
    _refuse_unknown_nodes(profile, run)
    problems = [_problem(profile, partition) for partition in _partitions_of(profile, partitions)]
    refusals = [problem for problem in problems if problem is not None]
    if len(refusals) == len(problems):  # one partition that fits is enough
        raise UserError(refusals[0])


def _refuse_unknown_nodes(profile: Profile, run: Run) -> None:
    """Refuse nodes that are not on the cluster; scontrol spells out lists such as n[1-3]."""
    for key, listed in (("nodelist", profile.nodelist), ("exclude", profile.exclude)):
        if listed is None:
            continue
        nodes = set(_ask(NODES, run).split())
        for name in _ask(["scontrol", "show", "hostnames", listed], run).split():
            if name not in nodes:
                raise UserError(f"{key}: {name} is not on this cluster; {did_you_mean(name, nodes)}")


def max_array_size(run: Run = run_command) -> int:
    """How many jobs one array may have (MaxArraySize; the largest index is one less); 0 if arrays are off.

    Raises UserError if the controller does not answer or its answer does not have the number.
    """
    text = _ask(["scontrol", "show", "config"], run)
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)\s*$", text, re.MULTILINE)
    if not match:
        raise SilentClusterError("scontrol show config: does not tell MaxArraySize; is this SLURM's scontrol?")
    return int(match[1])


def parse_sinfo(text: str) -> dict[str, Partition]:
    """The partitions in the output of SINFO, by name. Raises UserError for a line of another form."""
    partitions: dict[str, Partition] = {}
    for line in filter(None, text.splitlines()):
        pieces = [piece.strip() for piece in line.split("|")]
        try:
            name, state, limit, cpus, memory, gres, features = pieces
            named = () if features == "(null)" else tuple(features.split(","))
            nodes = Nodes(int(cpus), int(memory), _gpus(gres), named)
            bare = name.removesuffix("*")
            partition = partitions.setdefault(bare, Partition(bare, state, minutes(limit), name != bare))
        except ValueError as error:
            raise SilentClusterError(f"sinfo: answered {line!r}, which is not understood ({error})") from error
        if nodes.cpus:  # a partition without nodes has a line of zeros
            partition.nodes.append(nodes)
    return partitions


def minutes(text: str) -> int | None:
    """SLURM's time ([days-][hours:]minutes:seconds) in whole minutes; None for "infinite".

    Raises ValueError for anything else.
    """
    if text.lower() in ("infinite", "unlimited"):
        return None
    if not (match := _TIME.fullmatch(text)):
        raise ValueError(f"{text!r} is no time")
    days, hours, rest, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + rest


def _gpus(gres: str) -> Gpus:
    """The GPUs in a list of resources, as sinfo prints or sbatch takes it: gpu:a100:4(S:0-1),mps:400."""
    gpus = []
    for item in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = item.split(":")
        if name == "gpu":
            number = int(rest.pop()) if rest and rest[-1].isdecimal() else 1
            gpus.append((rest[0] if rest else "", number))
    return tuple(gpus)


def _ask(command: list[str], run: Run) -> str:
    try:
        return run(command)
    except ClusterError as error:
        raise SilentClusterError(f"{error}; submit where the cluster's own commands answer") from error


def _partitions_of(profile: Profile, partitions: dict[str, Partition]) -> list[Partition]:
    """The partitions that the profile names, or the cluster's default one."""
    if profile.partition is None:
        default = [partition for partition in partitions.values() if partition.default]
        if not default:
            raise UserError(f"partition: the cluster has no default; name one: {', '.join(sorted(partitions))}")
        return default
    names = profile.partition.split(",")
    for name in names:
        if name not in partitions:
            raise UserError(f"partition: {name} is not on this cluster; {did_you_mean(name, partitions)}")
    return [partitions[name] for name in names]


def _problem(profile: Profile, partition: Partition) -> str | None:
    """Why this partition cannot run the profile's jobs, or None."""
    name, nodes = partition.name, partition.nodes
    if partition.state in SHUT:
        return f"partition: {name} takes no jobs (its state is {partition.state})"
    if not nodes:
        return f"partition: {name} has no nodes"
    if partition.limit is not None and profile.time > partition.limit:
        return f"time: {profile.time}m is over the limit of partition {name}, {partition.limit}m"
    demands = _demands(profile, nodes)
    for demand in demands:
        if not any(map(demand.met, nodes)):
            return f"{demand.text}: no node of partition {name} has that; {demand.offer}"
    if not any(all(demand.met(node) for demand in demands) for node in nodes):
        demanded = ", ".join(demand.text for demand in demands)
        return f"{demanded}: no node of partition {name} has all of it; {_listed(nodes)}"
    return None


def _listed(nodes: list[Nodes]) -> str:
    kinds = sorted(map(str, set(nodes)))
    more = "; and more" if len(kinds) > MOST_LISTED else ""
    return f"there is {'; or '.join(kinds[:MOST_LISTED])}{more}"


@dataclass(frozen=True)
class Demand:
    """What a profile asks of a node: its key and value, whether a node meets it, what the cluster offers."""

    text: str
    met: Callable[[Nodes], bool]
    offer: str


def _demands(profile: Profile, nodes: list[Nodes]) -> list[Demand]:
    cpus, memory, constraint = profile.cpus, profile.memory or 0, profile.constraint or ""
    most = f"the most is {max(node.cpus for node in nodes)}"
    demands = [Demand(f"cpus: {cpus}", lambda node: node.cpus >= cpus, most)]
    if memory:
        most = f"the most is {max(node.memory for node in nodes)}MB"
        demands.append(Demand(f"memory: {memory}MB", lambda node: node.memory >= memory, most))
    if profile.gpus:
        gpu_key = f"gres: {profile.gres}" if profile.gres else f"gpus_per_node: {profile.gpus_per_node}"
        gpus = _gpus(profile.gres or f"gpu:{profile.gpus_per_node}")
        demands.append(Demand(gpu_key, lambda node: node.has(gpus), _listed(nodes)))
    if re.fullmatch(r"[\w.:+=-]+", constraint):  # one word; expressions are left to sbatch
        features = {feature for node in nodes for feature in node.features}
        hint = did_you_mean(constraint, features)
        demands.append(Demand(f"constraint: {constraint}", lambda node: constraint in node.features, hint))
    return demands
