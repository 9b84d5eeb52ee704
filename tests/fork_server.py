"""A process that imports torch and the engine once, and forks a child for each `bench ARGUMENTS` and each attempt.

A new interpreter takes seconds until torch is there, a fork some milliseconds. The children are real processes: they
are killed, stopped and limited as any other, end with an exit status, and leave nothing behind in the registries, the
environment or the folder of the next one. Every client, a worker of pytest-xdist, has a server of its own, which is a
fork too: requests come in over its connection, one line of JSON each, and so go the answers: see `answer`. Whoever
connects to the socket of a server gets a template of workers (tests/helpers/warm_template.py).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

sys.path.pop(0)  # the folder of this file, whose `bench` and `methods` are the tests
sys.path.append(str(Path(__file__).parent / "helpers"))

import torch
import torch._dynamo  # torch.optim imports it, for seconds

import bench
from bench.launch.local import template, template_handle, worker
from bench.launch.local.messages import receive
from warm_template import address, launch_from

of_server: list[int] = []  # the descriptors that no child may keep open


def import_the_engine() -> None:
    """Every module of bench/, and the method files; no registry is kept that a plug-in could be missing from."""
    root = Path(bench.__path__[0])
    for path in sorted(root.rglob("*.py")):
        name = ".".join(("bench", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        if name != "bench.__main__":  # which is a command as soon as it is imported
            importlib.import_module(name)
    from bench.contract.discovery import methods
    from bench.machine.provenance import provenance

    provenance()
    for entry in methods():
        methods().load(entry.name)
    methods.cache_clear()


@cache
def read_the_tables() -> None:
    """Every table that ships, before the first command: most read some of them, and some all, which takes seconds.

    They are the same whatever a command's folder, environment and plug-ins; the registries that were asked for their
    names are not, and are dropped.
    """
    from bench.contract.discovery import methods
    from bench.contract.signature import signature
    from bench.data.known import datasets
    from bench.evaluate.registry import run_measures
    from bench.evaluate.traces import traces
    from bench.features.lookup import extractors
    from bench.metrics.measures import measures
    from bench.plan.load import load_table, table_names

    for name in table_names():
        load_table(name)
    for registry in methods, datasets, measures, run_measures, traces, extractors, signature:
        registry.cache_clear()
    gc.collect()
    gc.freeze()


def command(arguments: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> int:
    """`bench ARGUMENTS` in a folder, with an environment of its own; out and err: files. Its exit status."""
    from bench.cli.main import main

    enter(folder, environment)
    template_handle.launch = launch_from(os.getppid())  # type: ignore[assignment]
    sys.argv, sys.path[:0] = ["bench", *arguments], [folder]  # as `python -m bench` has it
    for number, name in ((1, out), (2, err)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


def enter(folder: str, environment: dict[str, str]) -> None:
    """Be where a new interpreter would be."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)


def attempt(uid: str, root: str, every: float, file_limit: int | None, pipe: int) -> int:
    """One attempt at a run that saves every `every` seconds; its outcome goes into the pipe."""
    from bench.run.execute import run_once

    os.environ["BENCH_CHECKPOINT_SECONDS"] = str(every)
    stop = worker.StopFlag()
    for number in worker.SIGNALS:
        signal.signal(number, stop)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    os.write(pipe, run_once(uid, Path(root), should_stop=stop.is_set).encode())
    return 0


def fork(work: Callable[[], int]) -> int:
    """The process id of a child that does the work and ends with its status, as an interpreter would."""
    if pid := os.fork():
        return pid
    status = 99
    try:
        while of_server:
            os.close(of_server.pop())
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def serve_templates(listener: socket.socket, alive: int) -> int:
    """Fork a template for everyone who connects, until the other end of the pipe `alive` is closed."""
    while alive not in select.select([listener.fileno(), alive], [], [])[0]:
        connection, _ = listener.accept()
        fork(partial(be_template, listener, connection))
        connection.close()
        reap()
    return 0


def reap() -> None:
    """Let go of the children that have ended with their connections."""
    with suppress(ChildProcessError):
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):
            pass


def be_template(listener: socket.socket, connection: socket.socket) -> int:
    """Serve one queue, from its folder and with its environment; in a worker that is forked here, be the worker."""
    listener.close()
    begin = receive(connection)
    assert begin is not None
    enter(**begin[0])
    arguments = template.serve(connection)
    if arguments is not None:
        worker.main(arguments)
    return 0


pipes: dict[int, int] = {}


def answer(verb: str, *request: Any) -> Any:
    """The child's process id for "command" and "start"; its exit status (negative: a signal) and outcome for "wait"."""
    if verb == "command":
        read_the_tables()
        return fork(lambda: command(*request))
    if verb == "start":
        uid, root, every, file_limit = request
        read, write = os.pipe()
        pid = fork(lambda: attempt(uid, root, every, file_limit, write))
        os.close(write)
        pipes[pid] = read
        return pid
    (pid,) = request
    status, outcome = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), ""
    if (read := pipes.pop(pid, -1)) >= 0:
        outcome = os.read(read, 100).decode()
        os.close(read)
    return status, outcome


def serve(client: socket.socket) -> int:
    """Answer one client until the other end is closed. It sends where to print, and is told this process's id."""
    _, files, _, _ = socket.recv_fds(client, 1, 1)
    for number in (1, 2):
        os.dup2(files[0], number)
    os.close(files[0])
    connection = client.detach()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address(os.getpid()))
    listener.listen()
    read, write = os.pipe()
    of_server.extend((connection, write))
    fork(lambda: serve_templates(listener, read))
    listener.close()
    os.close(read)
    with open(connection, "w", closefd=False) as answers, open(connection, closefd=False) as requests:
        print(os.getpid(), file=answers, flush=True)
        for line in requests:
            print(json.dumps(answer(*json.loads(line))), file=answers, flush=True)
    return 0


def main(listener: socket.socket) -> None:
    """Fork a server for everyone who connects, until stdin is closed."""
    torch.set_num_threads(1)
    import_the_engine()
    gc.collect()
    gc.freeze()  # so that a child's collections leave the pages alone that it shares
    of_server.append(listener.fileno())
    while 0 not in select.select([listener.fileno(), 0], [], [])[0]:
        connection, _ = listener.accept()
        fork(partial(serve, connection))
        connection.close()
        reap()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
