"""A pytest plugin: the order in which pytest-xdist hands out the files of tests, so that no core is idle.

With `--dist loadfile --no-loadscope-reorder` a worker takes the next file of the collection when it has finished one.
Files whose tests wait for a SLURM most of the time (tests/slurm) would keep all workers waiting if they came one after
the other: the two that wait longest start first, the others come apart from each other, half-way and later. Files that
compute are taken as they are collected, but for the longest, which must not be the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

QUICK, SLOW = 0.1, 6.0  # seconds that a test takes, by its mark; enough of an estimate to place files by
LONG = 12  # slow tests of a file that is started early
FIRST, LAST = 0.4, 0.75  # the shares of the other tests that come before the first and the last of the waiting files
LONGEST_WAITS = ("tests/slurm/test_survival.py", "tests/slurm/test_survival_accounting.py")
WAITING = "tests/slurm/"


def in_order(seconds: dict[str, float]) -> list[str]:
    """The files in the order in which they are handed out; seconds: what each takes, in the order of collection."""
    first = [file for file in LONGEST_WAITS if file in seconds]
    waiting = [file for file in seconds if file.startswith(WAITING) and file not in first]
    computing = [file for file in seconds if not file.startswith(WAITING)]
    long = [file for file in computing if seconds[file] >= LONG * SLOW]
    return [*first, *spread(waiting, [*long, *(file for file in computing if file not in long)], seconds)]


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


def estimates(items: Iterable[pytest.Item]) -> dict[str, float]:
    """Seconds by file, from the marks of its tests."""
    seconds: dict[str, float] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        seconds[file] = seconds.get(file, 0) + (SLOW if item.get_closest_marker("slow") else QUICK)
    return seconds


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests of a worker of xdist; each of them collects, and sorts alike."""
    if hasattr(config, "workerinput"):
        place = {file: number for number, file in enumerate(in_order(estimates(items)))}
        items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])
