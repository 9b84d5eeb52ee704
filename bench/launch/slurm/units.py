"""Reads amounts as people and SLURM write them: time in minutes, memory in MB, GPUs by number and kind."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from bench.launch.slurm.quoting import one_line, shown

# 60 days, 100 TB and 64 GPUs: more than any job asks for (declared)
MOST_MINUTES, MOST_MEGABYTES, MOST_GPUS = 60 * 24 * 60, 100 * 1024**2, 64
_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?")
_SLURM_DURATION = re.compile(r"(?:(?P<days>[0-9]{1,6})-)?(?P<rest>[0-9]{1,6}(?::[0-9]{1,6}){0,2})")
_MEMORY = re.compile(r"([0-9]{1,9}) ?([MGT])B?")
_RESOURCE = re.compile(r"[a-z][a-z0-9_]*(?::[A-Za-z0-9_.-]+)?(?::[0-9]{1,9}[KMGT]?)?")
_GPUS = re.compile(r"(?:[A-Za-z0-9_.-]+:)?([0-9]{1,9})")


def minutes(value: Any) -> int:
    """A length of time in minutes: 90, "90m", "12h", "2d", "1h30m", or as sbatch's --time takes it.

    sbatch takes "30" (minutes), "30:00" (minutes and seconds), "24:00:00", "1-12", "1-12:30" and "1-00:00:00", and
    rounds seconds up to a minute. Raises ValueError for anything else.
    """
    total = value if type(value) is int else _of_text(value) if isinstance(value, str) and value else None
    if total is None:
        raise ValueError(
            f"{shown(value)} is no length of time; write 90 (minutes), 90m, 12h, 2d or 1h30m, "
            "or as SLURM does 24:00:00 or 1-00:00:00"
        )
    if not 1 <= total <= MOST_MINUTES:
        raise ValueError(f"{shown(value)} must be from 1m to {MOST_MINUTES // 24 // 60}d")
    return total


def _of_text(text: str) -> int | None:
    if match := _DURATION.fullmatch(text):
        days, hours, rest = (int(part or 0) for part in match.groups())
        return (days * 24 + hours) * 60 + rest
    if not (match := _SLURM_DURATION.fullmatch(text)):
        return None
    pieces = [int(piece) for piece in match["rest"].split(":")]
    if match["days"] is not None:  # days-hours[:minutes[:seconds]]
        hours, rest, seconds = [*pieces, 0, 0][:3]
        hours += 24 * int(match["days"])
    else:  # minutes, minutes:seconds or hours:minutes:seconds
        hours, rest, seconds = [0] * (len(pieces) < 3) + pieces + [0] * (len(pieces) < 2)
    return hours * 60 + rest + -(-seconds // 60)


def megabytes(value: Any) -> int:
    """Memory in MB: "500MB", "16GB", "1TB", or a whole number of GB; ValueError for anything else."""
    if isinstance(value, str) and (match := _MEMORY.fullmatch(value.upper())):
        total = int(match[1]) * 1024 ** "MGT".index(match[2])
    elif type(value) is int:
        total = value * 1024
    else:
        raise ValueError(f"{shown(value)} is no amount of memory; write 500MB, 16GB or 16 (GB)")
    if not 1 <= total <= MOST_MEGABYTES:
        raise ValueError(f"{shown(value)} must be from 1MB to {MOST_MEGABYTES // 1024**2}TB")
    return total


def gpu_count(resources: str) -> int:
    """How many GPUs a list of generic resources asks for: 2 of "gpu:a100:2,tmpdisk:10G", 0 of ""."""
    return sum(_amount(item) for item in resources.split(",") if item.partition(":")[0] == "gpu")


def _resources(value: Any) -> str:
    items = one_line(value).split(",")
    if not all(_RESOURCE.fullmatch(item) for item in items):
        raise ValueError(f"{shown(value)} is no list of resources; write gpu:1 or gpu:a100:2")
    if not all(1 <= _amount(item) <= MOST_GPUS for item in items if item.partition(":")[0] == "gpu"):
        raise ValueError(f"{shown(value)} must ask for 1 to {MOST_GPUS} GPUs")
    return str(value)


def _gpus(value: Any) -> str:
    text = str(value) if type(value) is int else one_line(value)
    match = _GPUS.fullmatch(text)
    if not match or not 1 <= int(match[1]) <= MOST_GPUS:
        raise ValueError(f"{shown(value)} must be 1 to {MOST_GPUS}, or a kind and a number such as a100:2")
    return text


def _amount(item: str) -> int:
    """How many a resource asks for: 2 of "gpu:a100:2", 1 of "gpu:a100"."""
    return int(last) if (last := item.rpartition(":")[2]).isdecimal() else 1


Minutes = Annotated[int, BeforeValidator(minutes)]
Megabytes = Annotated[int, BeforeValidator(megabytes)]
Resources = Annotated[str, BeforeValidator(_resources)]
Gpus = Annotated[str, BeforeValidator(_gpus)]
