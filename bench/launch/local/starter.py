"""How a queue starts its workers: as forks of one template, or each as an interpreter of its own, and why."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from bench.errors import UserError
from bench.launch.local.devices import place_of
from bench.launch.local.remote import node_of, on_its_node, spawn_on
from bench.launch.local.template_handle import Template
from bench.launch.local.worker_handle import Worker, spawn

Method = Literal["fork", "spawn"]
VARIABLE = "BENCH_WORKERS"


def start_method(devices: list[str]) -> tuple[Method, str]:
    """How workers on these devices are started, and the reason, in words.

    $BENCH_WORKERS is "fork" for CPU workers even where there is one, or "spawn" for none. Raises UserError for another.
    """
    named = os.environ.get(VARIABLE) or None
    if named not in (None, "fork", "spawn"):
        raise UserError(f"{VARIABLE}={named} must be fork or spawn")
    if sys.platform != "linux":
        return "spawn", f"a process that has loaded torch cannot be forked safely on {sys.platform}"
    if any(device != "cpu" for device in devices):
        return "spawn", "what a GPU's driver sets up does not survive a fork"
    if named is not None:
        return ("fork" if named == "fork" else "spawn"), f"{VARIABLE}={named}"
    if len(devices) < 2:
        return "spawn", "one worker alone has nothing to share"
    return "fork", "torch is imported once for all of them"


@dataclass
class Starter:
    """Starts the workers of a queue.

    say: called with a line for people if workers that were to be forked have to be spawned. step_options: srun's, for
    workers on other nodes.
    """

    store: Path
    logs: Path
    devices: list[str]
    plugins: list[str]
    say: Callable[[str], None]
    step_options: tuple[str, ...] = ()
    count: int = 0
    template: Template | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.method, _ = start_method(self.devices)

    def start(self, device: str) -> Worker:
        """Start a worker, which imports torch or has it already, and then waits for runs."""
        self.count += 1
        node = node_of(device)
        place, more = (on_its_node(device), {}) if node else place_of(device)
        arguments = ["--store", str(self.store.resolve()), "--device", place]
        arguments += [word for plugin in self.plugins for word in ("--plugin", plugin)]
        log = self._log(f"worker-{self.count}")
        if node:
            return Worker.start(device, log, arguments, partial(spawn_on, node, self.step_options))
        template = self._living_template()
        begin = partial(spawn, more=more) if template is None else template.begin
        return Worker.start(device, log, arguments, begin)

    def close(self) -> None:
        """End the template, if there is one."""
        if self.template is not None:
            self.template.close()
            self.template = None

    def _living_template(self) -> Template | None:
        """The template, which is started when the first worker is; None if workers are spawned, from now on or ever."""
        if self.method == "fork" and self.template is None:
            self.template = Template(self._log("template"))
        if self.template is not None and self.template.has_ended():
            why = self.template.last_words()
            self.say(f"workers are not forked any more ({why}; {self.template.log}): each imports torch by itself")
            self.close()
            self.method = "spawn"
        return self.template

    def _log(self, name: str) -> Path:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{socket.gethostname()}-{os.getpid()}-{name}.log"
