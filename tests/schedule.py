"""A pytest plugin: the order in which pytest-xdist hands out the files of tests, so that no core is idle.

With `--dist loadfile --no-loadscope-reorder` a worker takes the next file of the collection when it has finished one.
Files whose tests wait for a SLURM most of the time (tests/slurm) would keep all workers waiting if they came one after
the other: the two that wait longest start first, the others come apart from each other, half-way and later. Files that
compute come the longest first, so that the last ones are short: how long each takes is known from the last run here
(pytest's cache, see progress.py), else from long_files.txt, else from the marks of its tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

QUICK, SLOW = 0.1, 6.0  # seconds that a test takes, by its mark; enough of an estimate to place files by
FIRST, LAST = 0.4, 0.75  # the shares of the other tests that come before the first and the last of the waiting files
LONGEST_WAITS = ("tests/slurm/test_survival.py", "tests/slurm/test_survival_accounting.py")
WAITING = "tests/slurm/"
LONG_FILES = Path(__file__).with_name("long_files.txt")
KEY = "bench/durations"  # in pytest's cache: seconds of each test, as progress.py keeps them


def in_order(seconds: dict[str, float]) -> list[str]:
    """The files in the order in which they are handed out; seconds: what each takes, in the order of collection."""
    first = [file for file in LONGEST_WAITS if file in seconds]
    waiting = [file for file in seconds if file.startswith(WAITING) and file not in first]
    computing = sorted((file for file in seconds if not file.startswith(WAITING)), key=lambda file: -seconds[file])
    return [*first, *spread(waiting, computing, seconds)]


def spread(waiting: Sequence[str], computing: Iterable[str], seconds: dict[str, float]) -> list[str]:
    """`computing` with `waiting` among them, at equal distances in seconds from FIRST to LAST; the longest first."""
    left = sorted(waiting, key=lambda file: -seconds[file])
    computing = list(computing)
    total, before = sum(seconds[file] for file in computing), 0.0
    step = (LAST - FIRST) / max(len(left) - 1, 1)
    places = [(FIRST + number * step) * total for number in range(len(left))]
    order: list[str] = []
    for file in computing:
        while left and before >= places[len(places) - len(left)]:
            order.append(left.pop(0))
        order.append(file)
        before += seconds[file]
    return [*order, *left]


def long_files() -> dict[str, float]:
    """Seconds of the files that take longest, for a first run here: lines of seconds and file."""
    lines = (line.split() for line in LONG_FILES.read_text().splitlines() if not line.startswith("#"))
    return {file: float(seconds) for seconds, file in lines}


def estimates(items: Iterable[pytest.Item], known: Mapping[str, float], files: Mapping[str, float]) -> dict[str, float]:
    """Seconds by file. known: of each test, in an earlier run; files: of whole files with a test that is not known."""
    seconds: dict[str, float] = {}
    unknown: dict[str, bool] = defaultdict(bool)
    for item in items:
        file = item.nodeid.partition("::")[0]
        by_mark = SLOW if item.get_closest_marker("slow") else QUICK
        seconds[file] = seconds.get(file, 0) + known.get(item.nodeid, by_mark)
        unknown[file] |= item.nodeid not in known
    return {file: files.get(file, taken) if unknown[file] else taken for file, taken in seconds.items()}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests of a worker of xdist; each of them collects, and sorts alike."""
    if hasattr(config, "workerinput"):
        cache = getattr(config, "cache", None)  # absent with -p no:cacheprovider
        known = (cache.get(KEY, None) if cache else None) or {}
        place = {file: number for number, file in enumerate(in_order(estimates(items, known, long_files())))}
        items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])
