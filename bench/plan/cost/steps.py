"""The counted work of a step of every training that the tables have at scales paper and midi, from a generated file.

`python -m benchmarks.cost` makes steps.json; a test holds it current. Reading it takes neither torch nor numpy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.errors import UserError
from bench.plan.cost.work import Work, step_key
from bench.spec.run import RunSpec

STEPS = Path(__file__).with_name("steps.json")


@dataclass(frozen=True)
class Step:
    """A step's work, and what was counted for it.

    rehearsed: the rehearsed configuration whose operations show what the method adds; "" for the networks alone.
    left_out: the method's parts whose work it does not show.
    """

    work: Work | None  # None: not known, as of a loop of its own that nobody has rehearsed
    rehearsed: str = ""
    left_out: tuple[str, ...] = ()


@cache
def counted_steps() -> dict[str, Step]:
    """The file's steps by their key."""
    rows = json.loads(STEPS.read_text())
    return {
        key: Step(
            None if row["tflop"] is None else Work(row["tflop"], row["gigabytes"]),
            row["rehearsed"],
            tuple(row["left_out"]),
        )
        for key, row in rows.items()
    }


def work_of(spec: RunSpec) -> Work | None:
    """The work of a training's step: the file's, else that of the networks alone, counted now with torch.

    None where it cannot be known: a method with a loop or a D of its own that nobody has rehearsed, and networks that
    cannot be built or run without weights.
    """
    if spec.network is None or spec.train is None:
        return None
    known = counted_steps().get(step_key(spec))
    return known.work if known is not None else _counted_now(spec)


_COUNTED: dict[str, Work | None] = {}


def _counted_now(spec: RunSpec) -> Work | None:
    key = step_key(spec)
    if key not in _COUNTED:
        from bench.plan.cost.counting import count  # imports torch, which the file's steps do without

        try:
            _COUNTED[key] = count(spec)
        except UserError:  # the checks of a plan say what is wrong with it
            _COUNTED[key] = None
    return _COUNTED[key]
