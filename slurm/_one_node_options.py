"""The command line of one_node.py: its verbs and options. Standard library only."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING or __package__:
    from . import _one_node_files as files
    from . import _one_node_system as system
else:  # beside a script
    import _one_node_files as files
    import _one_node_system as system

ACTIONS = {"stop": signal.SIGTERM, "kill": signal.SIGKILL, "start": None}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"one_node: {message}\n")


def parser(description: str) -> argparse.ArgumentParser:
    """The parser of `python slurm/one_node.py`."""
    parser = _Parser(prog="one_node.py", description=description)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    absent = argparse.SUPPRESS  # what was not said is not passed on: see OneNode
    start = commands.add_parser("start", help="start it, wait until it is idle, print the shell line that tells where")
    start.add_argument("--nodes", type=int, default=absent, help="slurmd processes (1)")
    start.add_argument("--cpus", type=int, default=absent, help="CPUs a node claims to have (4)")
    start.add_argument("--gpus", type=int, default=absent, help="GPUs a node pretends to have (2)")
    start.add_argument("--memory-mb", type=int, default=absent, help="MB a node claims to have (64000)")
    start.add_argument("--accounting", action="store_true", default=absent, help="also a data base, for sacct")
    start.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=absent,
        help="a line of slurm.conf, e.g. MaxArraySize=11; may be repeated",
    )
    daemon = commands.add_parser("daemon", help="stop, kill (SIGKILL) or start one daemon, for failure tests")
    daemon.add_argument("action", choices=list(ACTIONS))
    daemon.add_argument("name", choices=[name for name in system.DAEMONS if name != "mariadbd"])
    daemon.add_argument("--node", help="only this node's slurmd")
    stop = commands.add_parser("stop", help="cancel the jobs, end every process, remove the folder")
    status = commands.add_parser("status", help="daemons, nodes, queue")
    for command in (start, stop, status, daemon):
        command.add_argument("--dir", type=Path, default=None, help=f"the cluster's folder ({files.default_folder()})")
    return parser
