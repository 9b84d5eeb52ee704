"""Progress of long work: a bar that goes away on a terminal, lines elsewhere, nothing where nobody wants any."""

from __future__ import annotations

import io
import sys

import pytest

from bench.machine import long_work
from bench.machine.long_work import ERASE, Passed, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A second passes whenever somebody looks."""
    ticks = iter(range(1000))
    monkeypatch.setattr(long_work.time, "monotonic", lambda: float(next(ticks)))


def test_a_terminal_has_a_bar_in_place_which_goes_away(monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    assert list(progress(range(4), 4, "pictures")) == [0, 1, 2, 3]
    drawn = screen.getvalue()
    assert f"{ERASE}  pictures: {'━' * 15}{'╌' * 15} 2 of 4, about 3 s left" in drawn
    assert "\n" not in drawn and drawn.endswith(ERASE)


def test_elsewhere_there_is_a_line_every_few_seconds(capsys):
    assert sum(1 for _ in progress(range(20), 20, "pictures")) == 20
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 4 and lines[0] == "  pictures: 5 of 20, about 18 s left"


def test_work_without_a_name_says_nothing(capsys):
    passed = Passed(100, "")
    for _ in range(100):
        passed.add(1)
    passed.end()
    assert capsys.readouterr().err == ""
