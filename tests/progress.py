"""A pytest plugin: at most every 30 seconds a line that says how much is done and how long is left.

It works in a terminal and in a log, with pytest-xdist and without. How long each test takes is kept in pytest's cache;
a first run, which knows nothing, goes by the number of tests and prints that it does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

import pytest

INTERVAL = 30.0  # seconds
KEY = "bench/durations"


def seconds_left(left: Iterable[str], done: Iterable[str], known: Mapping[str, float], elapsed: float) -> float | None:
    """How long the tests `left` will take if they go as those `done` went in `elapsed` seconds; None before any.

    known: seconds of each test in an earlier run. A test without any counts as the mean of the others, and one that
    took no measurable time as a millisecond: it is done all the same. Never less than the longest file that is left,
    since one worker has a file to itself.
    """
    mean = fmean(known.values()) if known else 1.0
    weight = {test: max(known.get(test, mean), 1e-3) for test in (*left, *done)}
    finished = sum(weight[test] for test in done)
    if not finished:
        return None
    files: dict[str, float] = defaultdict(float)
    for test in left:
        files[test.partition("::")[0]] += weight[test]
    longest = max(files.values(), default=0.0) if known else 0.0
    return max(elapsed * sum(files.values()) / finished, longest)


def in_words(seconds: float) -> str:
    """90 -> "2 min", 50 -> "50 s": no more digits than an estimate has."""
    return f"{max(seconds / 60, 1):.0f} min" if seconds >= 55 else f"{max(round(seconds, -1), 10):.0f} s"


class Progress:
    """Listens to the session that starts and reports all tests (with xdist: the controller)."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.cache: Any = getattr(config, "cache", None)  # absent with -p no:cacheprovider
        self.known: dict[str, float] = (self.cache.get(KEY, None) if self.cache else None) or {}
        self.took: dict[str, float] = defaultdict(float)
        self.left: dict[str, None] = {}  # in the order of the collection
        self.done: dict[str, None] = {}
        self.failed: set[str] = set()
        self.started = self.said = time.monotonic()

    def expect(self, tests: Iterable[str]) -> None:
        """These tests will run."""
        self.left |= dict.fromkeys(tests)
        self.started = self.said = time.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self.expect(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.took[report.nodeid] += report.duration
        if report.failed:
            self.failed.add(report.nodeid)
        if report.when == "teardown":
            self.left.pop(report.nodeid, None)
            self.done[report.nodeid] = None
            if self.left and time.monotonic() - self.said >= INTERVAL:
                self.say()

    def say(self) -> None:
        """One line in the terminal or the log."""
        self.said = time.monotonic()
        total = len(self.left) + len(self.done)
        left = seconds_left(self.left, self.done, self.known, self.said - self.started)
        parts = [f"{len(self.done) / total:4.0%} of {total:,} tests"]
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        if left is not None:
            how = "" if self.known else " (going by their number: a first run)"
            parts.append(f"about {in_words(left)} left{how}")
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()  # so that the next dot stands behind its file's name again
            if reporter._tw.width_of_current_line:  # with -q there are dots alone
                reporter.write_line("")
            reporter.write_line("--- " + ", ".join(parts))

    def pytest_sessionfinish(self) -> None:
        if self.cache and self.took:
            self.cache.set(KEY, {**self.known, **{test: round(took, 3) for test, took in self.took.items()}})


def pytest_configure(config: pytest.Config) -> None:
    """One for the session; the workers of xdist report to its controller."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "bench-progress")
