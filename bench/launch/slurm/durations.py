"""Lengths of time as people and SLURM write them, in minutes."""

from __future__ import annotations

import re
import reprlib
from typing import Any

MOST_MINUTES = 60 * 24 * 60
_OURS = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?")
_SLURMS = re.compile(r"(?:(?P<days>[0-9]{1,6})-)?(?P<rest>[0-9]{1,6}(?::[0-9]{1,6}){0,2})")


def minutes(value: Any) -> int:
    """A length of time in minutes: 90, "90m", "12h", "2d", "1h30m", or as sbatch's --time takes it: "30" (minutes),
    "30:00" (minutes and seconds), "24:00:00", "1-12", "1-12:30", "1-00:00:00"; as there, seconds count as a minute.

    Raises ValueError for anything else.
    """
    total = value if type(value) is int else _of_text(value) if isinstance(value, str) and value else None
    if total is None:
        raise ValueError(
            f"{reprlib.repr(value)} is no length of time; write 90 (minutes), 90m, 12h, 2d or 1h30m, "
            "or as SLURM does 24:00:00 or 1-00:00:00"
        )
    if not 1 <= total <= MOST_MINUTES:
        raise ValueError(f"{reprlib.repr(value)} must be from 1m to {MOST_MINUTES // 24 // 60}d")
    return total


def _of_text(text: str) -> int | None:
    if found := _OURS.fullmatch(text):
        days, hours, rest = (int(part or 0) for part in found.groups())
        return (days * 24 + hours) * 60 + rest
    if not (found := _SLURMS.fullmatch(text)):
        return None
    pieces = [int(piece) for piece in found["rest"].split(":")]
    if found["days"] is not None:  # days-hours[:minutes[:seconds]]
        hours, rest, seconds = [*pieces, 0, 0][:3]
        hours += 24 * int(found["days"])
    else:  # minutes, minutes:seconds or hours:minutes:seconds
        hours, rest, seconds = [0] * (len(pieces) < 3) + pieces + [0] * (len(pieces) < 2)
    return hours * 60 + rest + -(-seconds // 60)
