"""The template of CPU workers: one process imports torch and the engine, then forks a worker for each request.

The import takes seconds of computing, a fork some milliseconds. bench.launch.local.template_handle starts it and sends
the requests over a socket, and the end of the socket ends it: it does not outlive a queue that is killed. A fork has
the bits of an interpreter of its own, because the template computes nothing, has one thread and leaves GPUs alone.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from pathlib import Path

from bench.launch.local import worker
from bench.launch.local.messages import receive, send

TASKS = Path("/proc/self/task")  # a folder for each thread of this process


def main() -> None:
    """Entry point of `python -m bench.launch.local.template DESCRIPTOR`; in a fork it goes on as a worker."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the import ends it without a traceback
    connection = socket.socket(fileno=int(sys.argv[1]))
    import_engine()
    if reason := unfit():
        sys.exit(f"bench: {reason}")
    arguments = serve(connection)
    if arguments is not None:
        worker.main(arguments)


def import_engine() -> None:
    """Import what nearly every worker needs, and nothing that looks for plug-ins, other packages' parts or GPUs."""
    import torch
    import torch._dynamo  # torch.optim imports it for its first optimizer, which takes as long as torch itself

    import bench.features.extractor
    import bench.features.trunks
    import bench.metrics.frechet
    import bench.metrics.kernel
    import bench.metrics.neighbours
    import bench.run.execute  # noqa: F401

    torch.set_num_threads(1)
    # What has been imported is garbage in no worker: its collections then leave the memory alone that all share
    gc.collect()
    gc.freeze()


def unfit() -> str | None:
    """Why a fork of this process would not be what an interpreter of its own is; None if it would."""
    import torch

    if (threads := len(list(TASKS.iterdir()))) > 1:
        return f"it has {threads} threads after its imports, of which a fork has only one"
    if torch.cuda.is_initialized():
        return "its imports have initialised CUDA, which does not work in a fork"
    return None


def serve(connection: socket.socket) -> list[str] | None:
    """Fork, signal and await workers as the requests say, until the connection ends.

    Requests are {"verb": "fork" (with "arguments", and stdin, events, log as files) | "signal" (with "number") |
    "wait", "worker": any number}; replied are {"worker", "pid"} to the first and {"worker", "status"} to the last.
    Returns None at the end, and in each forked worker its command line.
    """
    # A signal to the whole group is for queue and workers. It is blocked, not only ignored, so that a worker that has
    # just been forked gets it as soon as its own handlers are there.
    for number in worker.SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, worker.SIGNALS)
    pids: dict[int, int] = {}
    with connection:
        while (message := receive(connection)) is not None:
            request, files = message
            name, verb = request["worker"], request["verb"]
            if verb == "fork":
                pids[name] = os.fork()
                if pids[name] == 0:
                    _reseed()
                    return [*request["arguments"], "--events", str(_take_over(*files))]
                for file in files:
                    os.close(file)
                reply = {"worker": name, "pid": pids[name]}
            elif verb == "signal":
                # Not awaited yet, so the process id is still its own even if it has ended
                os.kill(pids[name], request["number"])
                continue
            else:
                reply = {"worker": name, "status": os.waitstatus_to_exitcode(os.waitpid(pids[name], 0)[1])}
            if not send(connection, reply):
                return None
    return None


def _reseed() -> None:
    """Seed the global streams by chance, as an interpreter of its own does: all forks would draw the same from them."""
    import numpy as np
    import torch

    torch.seed()
    np.random.set_state(np.random.RandomState().get_state())
    # Python's `random` sees to itself


def _take_over(stdin: int, events: int, log: int) -> int:
    """Make the files that came with the request this process's own; returns the descriptor of the events."""
    for source, targets in ((stdin, [0]), (log, [1, 2])):
        for target in targets:
            os.dup2(source, target)
        os.close(source)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # nothing that another reader of 0 has read ahead
    return events


if __name__ == "__main__":
    main()
