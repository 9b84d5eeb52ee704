"""The part of a rank in a run that others train with it: it makes every step, and writes nothing down.

Rank 0 has the run's folder: it restores, scores, saves and records (bench.run.execute). The others get its state once,
make the same steps, and wait for it where it works alone.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError
from bench.machine.ranks import RankLost
from bench.plan.inputs import Machine
from bench.run.settings import Outcome, Settings
from bench.run.training import Training
from bench.store.runs import Store


def follow(uid: str, root: Path, settings: Settings, should_stop: Callable[[], bool]) -> Outcome:
    """Train the run `uid` with rank 0, to its end; "stopped" if there is nothing to train or a rank has gone.

    "failed" if it fails here: rank 0 then records why.
    """
    ranks = settings.ranks
    try:
        if not ranks.called():
            return "stopped"
        store = Store(root)
        folder = store.folder(uid)
        if changes := Machine(store).changes(folder):
            raise UserError(f"this machine has other inputs than that of rank 0: {'; '.join(changes)}")
        return Follower(folder.spec(), folder, store, settings).run(should_stop, lambda step, steps: None)
    except RankLost as error:
        print(f"bench: {uid}: another rank has gone: {error}", file=sys.stderr, flush=True)
        return "stopped"
    except UserError as error:
        ranks.report(str(error))
    except Exception as error:
        traceback.print_exc()
        ranks.report(f"{type(error).__name__}: {error}")
    return "failed"


class Follower(Training):
    """The training of a run on a rank that does not lead it."""

    def restore(self) -> None:
        """Go where rank 0 is, by the state that it sends."""
        self.load_state(unpacked(self.settings.ranks.given(None)))

    def heartbeat(self) -> Any:
        """Nobody is told: rank 0 tells."""
        return _Silence()

    def _log(self, values: Any) -> None:
        """Rank 0 does."""

    def _keep(self) -> None:
        """Rank 0 does."""

    def _snapshot(self) -> None:
        self.settings.ranks.await_leader()

    def _save(self, elapsed: float) -> None:
        self.settings.ranks.await_leader()

    def _finish(self, seconds: float, diverged: Any = None) -> Outcome:
        return "diverged" if diverged else "done"


class _Silence:
    """In the place of a heartbeat."""

    step, state, cancelled = 0, "stopped", False

    def __enter__(self) -> _Silence:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing has begun."""


def packed(state: dict[str, Any]) -> bytes:
    """A state as bytes, in the form of a checkpoint."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, Any]:
    """A state of `packed`; nothing in it is executed."""
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def lead(training: Training) -> None:
    """Tell the other ranks to begin, and give them the state of rank 0's training before its first step."""
    ranks = training.settings.ranks
    if ranks.size > 1:
        ranks.call(True)
        ranks.given(packed(training.state(training.elapsed)))
