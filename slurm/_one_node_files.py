"""The folder of a one-machine SLURM cluster, recognised by a file that only one_node.py writes."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from . import _one_node_conf as conf
    from . import _one_node_settings as options
    from . import _one_node_system as system
else:  # beside a script
    import _one_node_conf as conf
    import _one_node_settings as options
    import _one_node_system as system

MARKER = "one-node.json"
_LONGEST_PATH = 80  # a socket's has at most 107 bytes, and slurmstepd's has a node and a job id in it


def default_folder() -> Path:
    """The folder that is used if none is named: one for each user."""
    return Path(tempfile.gettempdir()) / f"bench-one-node-{os.getuid()}"


def checked_path(folder: Path) -> Path:
    """The absolute path of a folder. Raises BadOption for one that slurm.conf or a socket cannot have."""
    folder = folder.parent.resolve() / folder.name
    if not re.fullmatch(r"[A-Za-z0-9._/+@-]+", str(folder)):
        raise options.BadOption(f"--dir {str(folder)!r} cannot stand in slurm.conf; letters, digits and ._+@-/ can")
    if len(str(folder)) > _LONGEST_PATH:
        raise options.BadOption(f"--dir {folder} has {len(str(folder))} characters; at most {_LONGEST_PATH} fit")
    return folder


def write(folder: Path, settings: options.ClusterSettings) -> None:
    """Fill an empty folder with the cluster's files; keys and passwords are new and readable by this user alone."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise options.OneNodeError(f"user id {os.getuid()} has no name; SLURM needs one in /etc/passwd") from None
    # Where the cluster is: ports, host and user
    host = socket.gethostname().partition(".")[0]
    site = options.Site(
        folder=folder,
        port=system.free_ports(folder, options.PORTS_BESIDE_NODES + settings.nodes),
        host=host,
        loopback=system.is_loopback(host),
        user=user,
        password=os.urandom(16).hex(),
    )
    values = {"settings": settings.to_json(), "site": {**asdict(site), "folder": str(folder)}}
    # The marker, by which this script knows the folder as its own, then the rest
    _private(folder / MARKER, json.dumps(values).encode())
    spools = [f"spool/{node}" for node in options.node_names(settings)]
    for name in ("run", "log", "state", "spool", *spools):
        (folder / name).mkdir()
    (folder / "run").chmod(0o755)  # munged refuses a socket where the group may write
    _private(folder / "munge.key", os.urandom(1024))
    _private(folder / "slurm.conf", conf.slurm_conf(settings, site).encode())
    _private(folder / "gres.conf", conf.gres_conf(settings).encode())
    if settings.accounting:
        _private(folder / "slurmdbd.conf", conf.slurmdbd_conf(site).encode())
        _private(folder / "database.sql", conf.database_sql(site).encode())


def load(folder: Path) -> tuple[options.ClusterSettings, options.Site]:
    """The settings and site of the cluster in this folder. Raises BadOption if there is none."""
    try:
        values = json.loads((folder / MARKER).read_text())
        site = options.Site(**{**values["site"], "folder": Path(values["site"]["folder"])})
        if site.folder != folder:
            raise ValueError(f"it was made for {site.folder}")
        return options.ClusterSettings.from_json(values["settings"]), site
    except OSError as error:
        raise options.BadOption(f"no cluster of one_node.py in {folder} ({MARKER}: {error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise options.BadOption(f"{folder / MARKER} is not what one_node.py wrote: {error}") from None


def last_words(folder: Path, label: str) -> str:
    """The last error line of a daemon's output and log."""
    logs = [folder / "log" / f"{label}{end}" for end in (".out", ".log")]
    lines = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()]
    complaints = [line for line in lines if re.search("error|fatal", line, re.I) and conf.REFUSED not in line]
    return (complaints or lines or ["it wrote nothing"])[-1].strip()


def _private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
