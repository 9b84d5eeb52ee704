"""The configuration files of a one-machine SLURM cluster, and the commands that start its daemons.

Key names and meanings: the manual pages slurm.conf(5), gres.conf(5) and slurmdbd.conf(5) of Slurm 22.05. Standard
library only, so that the folder works without the package around it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from ._one_node_settings import ClusterSettings, Site, character_devices, node_names, split_override
else:  # beside a script
    from _one_node_settings import ClusterSettings, Site, character_devices, node_names, split_override

CLUSTER = "onenode"
REFUSED = "Unable to process configuration file"  # what every SLURM program says after the actual reason


@dataclass(frozen=True)
class Daemon:
    """How one daemon is started, and the file in which it writes its process id; `label` is unique."""

    name: str
    label: str
    command: tuple[str, ...]
    pid_file: Path


def _identity(key: str, value: str) -> tuple[str, str]:
    """The identity of a line: of several lines with the same one only the last is kept."""
    return key.lower(), value.split()[0].lower() if key.lower() == "partitionname" else ""


def _with_overrides(lines: list[tuple[str, str]], overrides: tuple[str, ...]) -> str:
    kept = {_identity(key, value): f"{key}={value}" for key, value in lines}
    for override in overrides:
        key, value = split_override(override)
        kept[_identity(key, value)] = f"{key}={value}"
    return "\n".join(kept.values()) + "\n"


def slurm_conf(settings: ClusterSettings, site: Site) -> str:
    """The text of slurm.conf."""
    nodes = [_node_line(settings, site, index) for index in range(1, settings.nodes + 1)]
    lines = [*_places(site), *_behaviour(settings), *_accounting(settings, site), *_partitions()]
    # NodeName lines come before the partitions that say Nodes=ALL, whatever is overridden.
    return "\n".join(nodes) + "\n" + _with_overrides(lines, settings.overrides)


def _node_line(settings: ClusterSettings, site: Site, index: int) -> str:
    gpus = f" Gres=gpu:pretend:{settings.gpus}" if settings.gpus else ""
    return (
        f"NodeName=n{index} NodeHostname={site.host} NodeAddr=127.0.0.1 Port={site.node_port(index)}"
        f" CPUs={settings.cpus} RealMemory={settings.memory_mb}{gpus} State=UNKNOWN"
    )


def _places(site: Site) -> list[tuple[str, str]]:
    folder = site.folder
    lines = [
        ("ClusterName", CLUSTER),
        ("SlurmctldHost", f"{site.host}(127.0.0.1)"),
        ("SlurmctldPort", str(site.port)),
        ("SlurmUser", site.user),
        ("SlurmdUser", site.user),
        ("AuthType", "auth/munge"),
        ("CredType", "cred/munge"),
        # A requeued job may start again after cred_expire (120 s on a real site). If that is shorter than KillWait
        # + 3 s, a job starts after a node failure while its old step is being killed, and its node is drained.
        ("AuthInfo", f"socket={folder}/run/munge.sock,cred_expire=8"),
        ("StateSaveLocation", f"{folder}/state"),
        ("SlurmdSpoolDir", f"{folder}/spool/%n"),
        ("SlurmctldPidFile", f"{folder}/run/slurmctld.pid"),
        ("SlurmdPidFile", f"{folder}/run/slurmd.%n.pid"),
        ("SlurmctldLogFile", f"{folder}/log/slurmctld.log"),
        ("SlurmdLogFile", f"{folder}/log/slurmd.%n.log"),
    ]
    if site.loopback:  # binds to what the host name resolves to; without a name slurmctld would not start
        lines.append(("CommunicationParameters", "NoInAddrAny,NoCtldInAddrAny"))
    return lines


def _behaviour(settings: ClusterSettings) -> list[tuple[str, str]]:
    lines = [
        # No cgroups, no PMI, no mail: a container has none of them.
        ("ProctrackType", "proctrack/linuxproc"),
        ("TaskPlugin", "task/none"),
        ("JobAcctGatherType", "jobacct_gather/none"),
        ("MpiDefault", "none"),
        ("MailProg", "/bin/true"),
        ("SelectType", "select/cons_tres"),
        ("SelectTypeParameters", "CR_Core_Memory"),
        ("DefMemPerCPU", str(min(1000, settings.memory_mb // settings.cpus))),
        ("SlurmdParameters", "config_overrides"),  # the NodeName line counts, not the machine
        ("SchedulerType", "sched/backfill"),
        ("SchedulerParameters", "sched_interval=2,sched_min_interval=0,batch_sched_delay=0,bf_interval=2"),
        ("PriorityType", "priority/basic"),
        ("PreemptType", "preempt/partition_prio"),
        ("PreemptMode", "REQUEUE"),
        # The signal of sbatch --signal then comes before a preemption too, not only before the time limit.
        ("SlurmctldParameters", "preempt_send_user_signal"),
        ("JobRequeue", "1"),
        ("ReturnToService", "2"),
        ("SlurmctldTimeout", "30"),
        ("SlurmdTimeout", "30"),
        ("KillWait", "2"),
        ("UnkillableStepTimeout", "30"),
        ("InactiveLimit", "0"),
        ("OverTimeLimit", "0"),
        ("EnforcePartLimits", "NO"),
        ("MinJobAge", "300"),
        ("MaxArraySize", "1001"),
        # A new cluster has new job ids, so that result files with a job id are never those of an older cluster
        ("FirstJobId", str(int(time.time()) % 50_000_000 + 1000)),
        ("SlurmctldDebug", "verbose"),
        ("SlurmdDebug", "verbose"),
    ]
    return [*lines, ("GresTypes", "gpu")] if settings.gpus else lines


def _accounting(settings: ClusterSettings, site: Site) -> list[tuple[str, str]]:
    if not settings.accounting:
        return [("AccountingStorageType", "accounting_storage/none")]
    lines = [
        ("AccountingStorageType", "accounting_storage/slurmdbd"),
        ("AccountingStorageHost", "127.0.0.1"),
        ("AccountingStoragePort", str(site.dbd_port)),
        ("AccountingStoragePass", f"{site.folder}/run/munge.sock"),
    ]
    return [*lines, ("AccountingStorageTRES", "gres/gpu")] if settings.gpus else lines


def _partitions() -> list[tuple[str, str]]:
    """The partitions: `high` preempts `low` and `cancel`; PreemptMode=OFF protects the others."""
    usual = "Nodes=ALL State=UP DefaultTime=10 MaxTime=120"
    return [
        ("PartitionName", f"debug Default=YES PriorityTier=1 PreemptMode=OFF {usual}"),
        ("PartitionName", "short PriorityTier=1 PreemptMode=OFF Nodes=ALL State=UP DefaultTime=1 MaxTime=1"),
        ("PartitionName", f"low PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 {usual}"),
        ("PartitionName", f"cancel PriorityTier=1 PreemptMode=CANCEL GraceTime=10 {usual}"),
        ("PartitionName", f"high PriorityTier=100 PreemptMode=OFF {usual}"),
    ]


def gres_conf(settings: ClusterSettings) -> str:
    """The text of gres.conf: the files that stand for GPUs."""
    files = ",".join(character_devices()[: settings.gpus])
    names = node_names(settings) if settings.gpus else []
    return "".join(f"NodeName={name} Name=gpu Type=pretend File={files}\n" for name in names)


def slurmdbd_conf(site: Site) -> str:
    """The text of slurmdbd.conf, which has a password and must be readable by its user alone."""
    lines = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={site.folder}/run/munge.sock",
        "DbdHost": "localhost",
        "DbdAddr": "127.0.0.1",
        "DbdPort": site.dbd_port,
        "SlurmUser": site.user,
        "PidFile": f"{site.folder}/run/slurmdbd.pid",
        "LogFile": f"{site.folder}/log/slurmdbd.log",
        "DebugLevel": "verbose",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StoragePort": site.sql_port,
        "StorageUser": "slurm",
        "StoragePass": site.password,
        "StorageLoc": "slurm_acct_db",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def database_sql(site: Site) -> str:
    """The statements that mariadbd runs at each start, one a line: the data base and its only user."""
    return (
        "create database if not exists slurm_acct_db;\n"
        f"create user if not exists slurm@'127.0.0.1' identified by '{site.password}';\n"
        "grant all on slurm_acct_db.* to slurm@'127.0.0.1';\n"
    )


def daemons(settings: ClusterSettings, site: Site) -> list[Daemon]:
    """All daemons of a cluster, in the order of their start."""
    folder = site.folder
    munged = (
        "munged --force --origin=127.0.0.1 --num-threads=2"
        f" --key-file={folder}/munge.key --socket={folder}/run/munge.sock --pid-file={folder}/run/munged.pid"
        f" --log-file={folder}/log/munged.log --seed-file={folder}/run/munged.seed"
    )
    # setsid, because mariadbd does not go into the background by itself
    mariadbd = (
        f"setsid --fork mariadbd --no-defaults --user={site.user} --datadir={folder}/mysql"
        f" --socket={folder}/run/mysqld.sock --pid-file={folder}/run/mariadbd.pid"
        f" --init-file={folder}/database.sql --bind-address=127.0.0.1 --port={site.sql_port}"
        " --skip-name-resolve --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0"
    )
    lines = {"munged": munged, "mariadbd": mariadbd, "slurmdbd": "slurmdbd", "slurmctld": "slurmctld"}
    if not settings.accounting:
        del lines["mariadbd"], lines["slurmdbd"]
    lines.update({f"slurmd.{node}": f"slurmd -N {node}" for node in node_names(settings)})
    return [
        Daemon(label.partition(".")[0], label, tuple(line.split()), folder / "run" / f"{label}.pid")
        for label, line in lines.items()
    ]
