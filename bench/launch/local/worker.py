"""A worker process: takes run ids on stdin, works them off one by one, reports on an inherited pipe.

One process serves many short runs. A queue starts it (bench.launch.local.starter), here or inside a cluster job. Each
line on stdin is the id of a run, with others to train it with where several do (bench.run.meeting), and the end of
stdin ends the worker. On SIGTERM, SIGINT or SIGUSR2 it saves at the
next step boundary and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
STDOUT = 1
REPORT_SECONDS = 0.5  # between two reports of a step


class StopFlag:
    """A signal handler that remembers whether a signal has come.

    Not a threading.Event: the handler of a second signal (the cluster's notice is followed by the queue's SIGTERM)
    may run inside that of the first, and Event.set() would wait for its own lock for ever.
    """

    def __init__(self) -> None:
        self.raised = False

    def __call__(self, *_: object) -> None:
        """Remember the signal; what a handler is called with does not matter."""
        self.raised = True

    def is_set(self) -> bool:
        """Whether any signal has come."""
        return self.raised


def main(command_line: list[str] | None = None) -> None:
    """Entry point of `python -m bench.launch.local.worker`, and of a fork, which is given its command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--events", type=int, required=True, help="file descriptor that events are written to")
    parser.add_argument("--plugin", action="append", default=[])
    arguments = parser.parse_args(command_line)
    stop = StopFlag()
    for number in SIGNALS:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # a template blocks them for its forks
    # A forked child must not run the handler: the scheduler signals every process of a job's step
    os.register_at_fork(after_in_child=lambda: [signal.signal(number, signal.SIG_IGN) for number in SIGNALS])
    with contextlib.suppress(BrokenPipeError), os.fdopen(_events(arguments.events), "w", buffering=1) as events:
        _work(arguments, stop, lambda **event: _send(events, event))


def _events(descriptor: int) -> int:
    """Where events go: where they are to go to stdout, which another node's worker has alone, prints go to stderr."""
    if descriptor != STDOUT:
        return descriptor
    events = os.dup(STDOUT)
    os.dup2(sys.stderr.fileno(), STDOUT)
    return events


def _work(arguments: argparse.Namespace, stop: StopFlag, send: Any) -> None:
    import torch

    from bench.machine.heap import keep_freed_memory
    from bench.plugins import load_or_note
    from bench.run.execute import run_once
    from bench.run.meeting import with_others

    torch.set_num_threads(arguments.threads)
    if arguments.device == "cpu":
        keep_freed_memory()
    for plugin in arguments.plugin:
        load_or_note(plugin)
    # One run after another, until the parent closes stdin or a signal has come
    send(event="ready")
    for line in iter(sys.stdin.readline, ""):
        (uid, *crew), last = line.split(), 0.0

        def on_step(step: int, steps: int, uid: str = uid) -> None:
            nonlocal last
            if time.monotonic() - last >= REPORT_SECONDS:
                last = time.monotonic()
                send(event="step", uid=uid, step=step, steps=steps)

        outcome = with_others(
            crew,
            arguments.device,
            lambda address: send(event="meet", address=address),
            partial(run_once, uid, arguments.store, arguments.device, stop.is_set, on_step),
        )
        send(event="outcome", uid=uid, outcome=outcome)
        if stop.is_set():
            return


def _send(events: Any, event: dict[str, Any]) -> None:
    """Report an event to the parent; if it has ended, nothing is lost, because the store has all results."""
    try:
        events.write(json.dumps(event) + "\n")
    except (BrokenPipeError, ValueError):
        return


if __name__ == "__main__":
    main()
