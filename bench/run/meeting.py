"""How the processes that train one run together come together, from what each is told: its rank, and where to meet."""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import Callable, Sequence

import torch

from bench.machine.host import slurm_job
from bench.machine.ranks import ALONE, HERE, JoinedRanks, RankLost, Ranks, find, meet
from bench.run.settings import AttemptOutcome

_MEETINGS = itertools.count(1)


def with_others(
    told: Sequence[str], device: str, say_where: Callable[[str], None], work: Callable[[Ranks], AttemptOutcome]
) -> AttemptOutcome:
    """Do the work of a run with the others that train it; its outcome.

    told: nothing for a run of this process alone; ["0/2"] for the first of two, which opens the place to meet and says
    where; ["1/2", address] for the other. "stopped" if another rank goes before they have met.
    """
    if not told:
        return work(ALONE)
    rank, _, size = told[0].partition("/")
    try:
        with _joined(int(rank), int(size), told[1:], torch.device(device), say_where) as ranks:
            return work(ranks)
    except RankLost as error:
        print(f"bench: rank {told[0]}: {error}", file=sys.stderr, flush=True)
        return "stopped"


def _joined(
    rank: int, size: int, where: Sequence[str], device: torch.device, say_where: Callable[[str], None]
) -> JoinedRanks:
    # Each rank of a run has a GPU of its own, or none has one
    if rank == 0:
        store, address = meet(size, host())
        token = new_token()
        say_where(f"{address}/{token}")
    else:
        address, _, token = where[0].partition("/")
        store = find(address, size)
    return JoinedRanks(rank, size, store, device, token, nccl=device.type == "cuda")


def host() -> str:
    """By what name the other ranks reach this machine: its own in a job of several nodes, else the loopback."""
    return socket.gethostname() if int(os.environ.get("SLURM_JOB_NUM_NODES") or 1) > 1 else HERE


def new_token() -> str:
    """What a meeting is called: job, how often it was requeued, process, number. A rank of another one does not fit."""
    job, restart = slurm_job() or "local", os.environ.get("SLURM_RESTART_COUNT", "0")
    return f"{job}.{restart}.{os.getpid()}.{next(_MEETINGS)}"
