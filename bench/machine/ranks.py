"""The processes that train one run together, its ranks: who this one is, and what they do in common.

There is no wrapper around the networks. Rank 0 leads: it reads and writes the run's folder, tells the others to start,
gives them its state once, and sums are taken over all ranks where a step needs them (bench.train.joint).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# A rank that waits so long inside a sum gives the run up. Longer work of rank 0 alone is waited for otherwise.
SUM_SECONDS = 600
LONGEST_PAUSE = 0.5  # seconds between two looks at whether rank 0 has done what it does alone
JOIN_SECONDS = 300  # for all ranks to come together, imports of torch included
HERE = "127.0.0.1"  # where ranks of one machine meet


class RankLost(Exception):
    """Another rank of the run has ended, so that this one cannot go on; its checkpoint is whole."""


class Ranks:
    """The ranks of a run that one process trains: itself. What is done in common costs nothing then."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this rank reads and writes the run's folder."""
        return self.rank == 0

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum of every rank's tensor, the same bits on all of them; written over the tensor itself."""
        return tensor

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether it is raised on any rank: what all of them act on at the same step."""
        return flags

    def call(self, go: bool) -> None:
        """By rank 0, once: whether there is anything to train. The others wait for it (`called`)."""

    def called(self) -> bool:
        """Wait for what rank 0 says; whether there is anything to train."""
        return True

    def release(self) -> None:
        """By rank 0, after work that it did alone: the others wait for it (`await_leader`)."""

    def await_leader(self) -> None:
        """Wait until rank 0 has done what it does alone, however long that takes, while it is alive."""

    def given(self, content: bytes | None) -> bytes:
        """Rank 0's bytes, on every rank; the others give None."""
        assert content is not None
        return content

    def report(self, reason: str) -> None:
        """Leave the reason why this rank ends for rank 0 (`reasons`)."""

    def reasons(self) -> list[str]:
        """Why other ranks have ended, as far as they could say."""
        return []


ALONE = Ranks()


class JoinedRanks(Ranks):
    """Ranks that have come together: `meet` on rank 0, `join` on all. Use it as a context, which leaves the group."""

    def __init__(self, rank: int, size: int, store: Any, device: torch.device, token: str, *, nccl: bool) -> None:
        import torch.distributed as dist

        self.rank, self.size = rank, size
        self._store, self._turn = dist.PrefixStore(f"told-{token}", store), 0
        self._called = False
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" and nccl else "gloo"
        with _or_lost():
            dist.init_process_group(
                backend, store=dist.PrefixStore(f"group-{token}", store), rank=rank, world_size=size,
                timeout=timedelta(seconds=SUM_SECONDS),
                device_id=device if "nccl" in backend else None,
            )  # fmt: skip

    def __enter__(self) -> JoinedRanks:
        return self

    def __exit__(self, *_: object) -> None:
        import torch.distributed as dist

        if self.leads:
            with contextlib.suppress(RankLost):
                self.call(False)
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum of every rank's tensor, in place."""
        import torch.distributed as dist

        with _or_lost():
            dist.all_reduce(tensor)
        return tensor

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether it is raised on any rank."""
        import torch
        import torch.distributed as dist

        raised = torch.tensor(flags, dtype=torch.uint8)
        with _or_lost():
            dist.all_reduce(raised, op=dist.ReduceOp.MAX)
        return tuple(map(bool, raised.tolist()))

    def call(self, go: bool) -> None:
        """By rank 0: whether there is anything to train; only the first word counts."""
        if not self._called:
            self._called = True
            with _or_lost():
                self._store.set("call", "go" if go else "stay")

    def called(self) -> bool:
        """Whether rank 0 has anything to train."""
        self._wait("call")
        with _or_lost():
            return bool(self._store.get("call") == b"go")

    def release(self) -> None:
        """By rank 0: go on."""
        self._turn += 1
        with _or_lost():
            self._store.set(f"turn-{self._turn}", "")

    def await_leader(self) -> None:
        """Wait for `release`."""
        self._turn += 1
        self._wait(f"turn-{self._turn}")

    def given(self, content: bytes | None) -> bytes:
        """Rank 0's bytes."""
        import torch
        import torch.distributed as dist

        with _or_lost():
            size = torch.tensor([0 if content is None else len(content)])
            dist.broadcast(size, 0)
            data = torch.empty(int(size), dtype=torch.uint8)
            if content is not None:
                data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            dist.broadcast(data, 0)
        return data.numpy().tobytes()

    def report(self, reason: str) -> None:
        """Why this rank ends."""
        with contextlib.suppress(RuntimeError):
            self._store.set(f"reason-{self.rank}", reason)

    def reasons(self) -> list[str]:
        """Why others have ended."""
        told = []
        for rank in range(self.size):
            with contextlib.suppress(RuntimeError):
                if self._store.check([f"reason-{rank}"]):
                    told.append(f"rank {rank}: {self._store.get(f'reason-{rank}').decode()}")
        return told

    def _wait(self, key: str) -> None:
        """Until rank 0 has set the key. The store lies in its process, so that its end is noticed at the next look."""
        pause = 0.01
        with _or_lost():
            while not self._store.check([key]):
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def meet(size: int, host: str = HERE) -> tuple[Any, str]:
    """Rank 0 opens the place where the ranks meet: the store, and its address "host:port", with a port that is free."""
    import torch.distributed as dist

    _stay_here(host)
    store = dist.TCPStore(
        host, 0, size, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=JOIN_SECONDS)
    )
    return store, f"{host}:{store.port}"


def find(address: str, size: int) -> Any:
    """The store at the address that rank 0 has opened. RankLost if it cannot be reached."""
    import torch.distributed as dist

    host, _, port = address.rpartition(":")
    _stay_here(host)
    with _or_lost():
        return dist.TCPStore(
            host, int(port), size, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=JOIN_SECONDS)
        )


def _stay_here(host: str) -> None:
    """Ranks of one machine speak over its loopback, so that they need no name of the host that can be resolved."""
    if host == HERE:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")


@contextlib.contextmanager
def _or_lost() -> Iterator[None]:
    """What a collective operation raises when another rank has gone, as RankLost."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost(_said(error)) from error


def _said(error: RuntimeError) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
