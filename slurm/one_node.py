"""A private, throw-away SLURM cluster on this machine, for tests and for trying `bench submit` on a laptop.

    eval "$(python slurm/one_node.py start --gpus 2)"     # sets SLURM_CONF; sinfo, sbatch, srun now work
    python slurm/one_node.py status
    python slurm/one_node.py stop

It needs neither systemd nor root; without root it runs jobs of its own user only. Everything is in one folder, and
several clusters can run side by side. The programs are from the packages munge and slurm-wlm of Debian or Ubuntu, and
slurmdbd and mariadb-server for --accounting. It cannot show memory limits (there are no cgroups) nor CPU binding.
Partitions: debug, short (1 minute), low (requeued by high), cancel (cancelled by high), high.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from . import _one_node_conf as conf
    from . import _one_node_files as files
    from . import _one_node_options as command_line
    from . import _one_node_settings as settings
    from . import _one_node_system as system
else:  # run as a script, or loaded by its path
    sys.path.append(str(Path(__file__).resolve().parent))
    import _one_node_conf as conf
    import _one_node_files as files
    import _one_node_options as command_line
    import _one_node_settings as settings
    import _one_node_system as system

OneNodeError, BadOption, ClusterSettings = settings.OneNodeError, settings.BadOption, settings.ClusterSettings

missing = system.missing
default_folder = files.default_folder


class OneNode:
    """One cluster in one folder, running or not.

    `folder` defaults to `default_folder()`. The options are the fields of `ClusterSettings`. An option that is left out
    has its default in a new cluster, and stays as it is in an existing one. As a context manager it starts the cluster
    and always stops and removes it at the end. Raises BadOption for options or a folder that cannot be right.
    """

    def __init__(self, folder: str | Path | None = None, **options: Any) -> None:
        self.folder = files.checked_path(Path(folder or default_folder()))
        self.slurm_conf = self.folder / "slurm.conf"
        if "overrides" in options:
            options["overrides"] = tuple(options["overrides"])
        self._options = options
        ClusterSettings(**options)

    def __enter__(self) -> OneNode:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The environment variable by which Slurm's commands find this cluster."""
        return {"SLURM_CONF": str(self.slurm_conf)}

    def run(self, *command: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands in this cluster; its output is captured, its exit status is not checked.

        Raises OneNodeError if it has not ended after `timeout` seconds, and kills it.
        """
        try:
            return subprocess.run(
                command,
                env=system.environment(self.environment()),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise OneNodeError(f"{shlex.join(command)} has not ended after {timeout:g} s") from None

    def start(self) -> None:
        """Start the daemons that are not running, and wait until every node takes jobs.

        Raises BadOption if the cluster exists with other options. Raises OneNodeError if a package is missing or a
        daemon does not start; a new cluster is then taken down again.
        """
        if reason := missing(bool(self._options.get("accounting"))):
            raise OneNodeError(reason)
        with ExitStack() as held:
            held.enter_context(system.locked(self.folder, make=True))
            # A new cluster is written into an empty folder
            new = not (self.folder / files.MARKER).exists()
            if new:
                if any(self.folder.iterdir()):
                    raise BadOption(f"{self.folder} is not empty and no cluster's folder; name another by --dir")
                # Held until our daemons listen: nobody else may choose the same ports
                held.enter_context(system.locked(Path(tempfile.gettempdir())))
                files.write(self.folder, ClusterSettings(**self._options))
            # An existing one must have the options that are asked for
            present = files.load(self.folder)[0]
            if replace(present, **self._options) != present:
                raise BadOption(f"the cluster at {self.folder} has other options ({present}); stop it first")
            try:
                for daemon in self._daemons():
                    self._launch(daemon)
                self._wait_idle()
            except BaseException:
                if new:
                    self._take_down()
                raise

    def stop(self) -> None:
        """Cancel the jobs, end every process of the cluster and remove its folder, if there is one.

        Raises BadOption if the folder is not one of this script, and OneNodeError if a process does not end.
        """
        if not os.path.lexists(self.folder):
            return
        with system.locked(self.folder):
            files.load(self.folder)
            self._take_down()

    def daemon(self, action: str, name: str, node: str | None = None) -> None:
        """Start, stop or kill (SIGKILL) one daemon, and wait for the effect; slurmd on every node or on `node`.

        Raises BadOption for an unknown action or daemon, and OneNodeError if there is nothing to stop or kill.
        """
        if action not in command_line.ACTIONS:
            raise BadOption(f"unknown action {action!r}; known: {', '.join(command_line.ACTIONS)}")
        with system.locked(self.folder):
            daemons = self._daemons()
            # Of slurmd there is one for each node
            chosen = [
                daemon for daemon in daemons if daemon.name == name and node in (None, daemon.label.partition(".")[2])
            ]
            if not chosen:
                labels = ", ".join(daemon.label for daemon in daemons)
                raise BadOption(f"no daemon {name!r}{f' of node {node}' if node else ''} here; known: {labels}")
            for daemon in chosen:
                sign = command_line.ACTIONS[action]
                if sign is None:
                    self._launch(daemon)
                elif not self._end(daemon, sign):
                    raise OneNodeError(f"{daemon.label} is not running")

    def status(self) -> str:
        """The daemons with process ids, the nodes and the queue, as text. Raises BadOption if there is no cluster."""
        daemons = [f"{daemon.label}: {self._pid(daemon) or 'not running'}" for daemon in self._daemons()]
        shown = [
            self.run("sinfo", "-N", "-o", "%N %P %T %c %m %G %E"),
            self.run("squeue", "-o", "%i %P %j %T %r %M %l %N"),
        ]
        return "\n".join([*daemons, *((done.stdout or done.stderr).rstrip() for done in shown)])

    def processes(self) -> dict[int, str]:
        """Process id -> name of every process of this cluster: daemons, steps and jobs."""
        return system.processes(str(self.slurm_conf))

    # ------------------------------------------------------------------------------------------ daemons

    def _daemons(self) -> list[conf.Daemon]:
        return conf.daemons(*files.load(self.folder))

    def _pid(self, daemon: conf.Daemon) -> int | None:
        """The process id of the daemon, if that process runs its program and belongs to this cluster; else None."""
        try:
            pid = int(daemon.pid_file.read_text())
            program = Path(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")).name  # noqa: PTH115
            ours = system.environ(pid).get("SLURM_CONF") == str(self.slurm_conf)
        except (OSError, ValueError):
            return None
        return pid if ours and program.removesuffix("-wlm") == daemon.name else None  # Debian's slurmctld-wlm

    def _launch(self, daemon: conf.Daemon) -> None:
        if self._pid(daemon):
            return
        if daemon.name == "mariadbd" and not (self.folder / "mysql").exists():
            user = files.load(self.folder)[1].user
            place = (f"--user={user}", f"--datadir={self.folder}/mysql")
            self._command(daemon.label, ("mariadb-install-db", "--no-defaults", "--skip-test-db", *place))
        self._command(daemon.label, daemon.command)
        if not system.wait(lambda: self._pid(daemon) is not None, 15):
            raise OneNodeError(f"{daemon.label} did not start: {files.last_words(self.folder, daemon.label)}")
        if daemon.name == "slurmdbd":
            self._answers(daemon, "sacctmgr", "-n", "list", "cluster")
            listed = self.run("sacctmgr", "-n", "list", "cluster", "format=cluster").stdout.split()
            if conf.CLUSTER not in listed:
                self.run("sacctmgr", "-i", "add", "cluster", conf.CLUSTER)
        if daemon.name == "slurmctld":
            self._answers(daemon, "squeue", "-h")

    def _command(self, label: str, command: Sequence[str]) -> None:
        """Run a command that starts a daemon in the background and inherits none of our streams."""
        with (self.folder / "log" / f"{label}.out").open("ab") as output:
            done = subprocess.run(
                command,
                env=system.environment(self.environment()),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                timeout=system.PATIENCE,
            )
        if done.returncode:
            reason = files.last_words(self.folder, label)
            if conf.REFUSED in (self.folder / "log" / f"{label}.out").read_text():
                raise BadOption(f"--set: SLURM does not take it: {reason}")
            raise OneNodeError(f"{label} did not start: {reason}")

    def _answers(self, daemon: conf.Daemon, *command: str) -> None:
        """Wait until the command succeeds, as long as the daemon that answers it lives."""
        system.wait(lambda: self.run(*command).returncode == 0 or not self._pid(daemon), system.PATIENCE)
        if self.run(*command).returncode:
            raise OneNodeError(f"{daemon.label} does not answer: {files.last_words(self.folder, daemon.label)}")

    def _wait_idle(self) -> None:
        end = time.monotonic() + system.PATIENCE
        names = settings.node_names(files.load(self.folder)[0])
        usable = {"idle", "mixed", "allocated", "completing"}
        while time.monotonic() < end:
            # Pairs of node and state
            rows = self.run("sinfo", "-h", "-N", "-o", "%N %T").stdout.split()
            states = dict(zip(rows[::2], rows[1::2], strict=False))
            if states.keys() == set(names) and set(states.values()) <= usable:
                return
            for daemon in self._daemons():
                if not self._pid(daemon):
                    raise OneNodeError(f"{daemon.label} has ended: {files.last_words(self.folder, daemon.label)}")
            for name in names:  # a node that an earlier failure left down or drained
                if re.match("down|drain", states.get(name, "")):
                    self.run("scontrol", "update", f"NodeName={name}", "State=RESUME")
            time.sleep(0.1)
        raise OneNodeError(f"the nodes are not idle within {system.PATIENCE:.0f} s: {states}; logs: {self.folder}/log")

    # ------------------------------------------------------------------------------------------ the end

    def _end(self, daemon: conf.Daemon, sign: signal.Signals) -> bool:
        """End a daemon, and kill it if it ignores the signal for 15 s; returns False if it was not running."""
        pid = self._pid(daemon)
        if pid is None:
            return False
        for number, seconds in ((sign, 15.0), (signal.SIGKILL, 5.0)):
            system.send(pid, number)
            if system.wait(lambda: self._pid(daemon) is None, seconds):
                break
        else:
            raise OneNodeError(f"{daemon.label} (process {pid}) does not end")
        if daemon.name == "slurmctld":  # its helper would hold the port of the next one
            system.end_processes(str(self.slurm_conf), ["slurmscriptd"])
        return True

    def _take_down(self) -> None:
        """Stop all daemons and remove the folder; what does not end by itself is killed, as nothing is needed again."""
        daemons = {daemon.label: daemon for daemon in self._daemons()}
        if self._pid(daemons["slurmctld"]):
            everything = f"--user={files.load(self.folder)[1].user}"
            try:
                self.run("scancel", "--full", "--signal=KILL", everything, timeout=10)
                self.run("scancel", everything, timeout=10)
                system.wait(lambda: not self.run("squeue", "-h", "-t", "R,CG,CF,S", timeout=5).stdout, 5)
            except OneNodeError as error:
                print(f"one_node: {error}; the jobs are killed", file=sys.stderr)
        for daemon in reversed(daemons.values()):
            # These are slow to end, and their data is thrown away
            data_base = daemon.name in ("mariadbd", "slurmdbd")
            self._end(daemon, signal.SIGKILL if data_base else signal.SIGTERM)
        system.end_processes(str(self.slurm_conf))
        shutil.rmtree(self.folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 1 failed, 2 for options that cannot be right."""
    options = vars(command_line.parser((__doc__ or "").partition("\n")[0]).parse_args(arguments))
    command, folder = options.pop("command"), options.pop("dir")
    try:
        if command == "start":
            _start(OneNode(folder, **options))
        elif command == "stop":
            OneNode(folder).stop()
        elif command == "status":
            print(OneNode(folder).status())
        else:
            OneNode(folder).daemon(**options)
    except (OneNodeError, OSError) as error:
        print(f"one_node: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadOption) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _start(cluster: OneNode) -> None:
    cluster.start()
    for key, value in cluster.environment().items():
        print(f"export {key}={shlex.quote(value)}")
    print(f"one_node: the cluster at {cluster.folder} is ready", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
