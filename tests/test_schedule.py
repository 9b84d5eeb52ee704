"""The order of files in `make test-all`: waiting ones apart, none lost, long ones early; and the hook in a real run."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("schedule.py")
CONFTEST = """
import importlib.util

found = importlib.util.spec_from_file_location("schedule", {path!r})
schedule = importlib.util.module_from_spec(found)
found.loader.exec_module(schedule)
pytest_collection_modifyitems = schedule.pytest_collection_modifyitems
"""


@pytest.fixture(scope="module")
def schedule():
    found = importlib.util.spec_from_file_location("schedule_under_test", FILE)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_waiting_files_are_apart_and_the_longest_waits_first(schedule):
    computing = {f"tests/bench/test_{number}.py": 10.0 for number in range(20)}
    waiting = {"tests/slurm/test_a.py": 20.0, "tests/slurm/test_b.py": 90.0, "tests/slurm/test_c.py": 50.0}
    longest = dict.fromkeys(schedule.LONGEST_WAITS, 6.0)
    order = schedule.in_order({**computing, **waiting, **longest, "tests/test_long.py": 100.0})
    assert sorted(order) == sorted([*computing, *waiting, *longest, "tests/test_long.py"])
    assert order[:3] == [*schedule.LONGEST_WAITS, "tests/test_long.py"]
    places = [order.index(f"tests/slurm/test_{name}.py") for name in "bca"]
    assert places == sorted(places), "the longest first"
    assert all(later - earlier >= 4 for earlier, later in pairwise(places))
    # 300 seconds of computing, 120 to 225 of them before: the long file counts as ten others
    assert places[0] == 2 + 3 and places[-1] <= len(order) - 7
    assert [file for file in order if file in computing] == list(computing), "as they are collected"


def test_files_of_one_kind_alone(schedule):
    assert schedule.in_order({}) == []
    assert schedule.in_order({"tests/test_a.py": 1.0}) == ["tests/test_a.py"]
    assert schedule.in_order({"tests/slurm/test_a.py": 1.0, "tests/slurm/test_b.py": 2.0}) == [
        "tests/slurm/test_b.py",
        "tests/slurm/test_a.py",
    ]


def test_the_files_that_wait_longest_are_there(schedule):
    assert all((FILE.parent.parent / file).is_file() for file in (*schedule.LONGEST_WAITS, *schedule.long_files()))
    assert all(seconds > 0 for seconds in schedule.long_files().values())


class Item:
    def __init__(self, nodeid, slow=False):
        self.nodeid, self.slow = nodeid, slow

    def get_closest_marker(self, name):
        return name if self.slow else None


def test_seconds_are_those_of_the_last_run_else_of_the_list_else_of_the_marks(schedule):
    items = [Item("a::1"), Item("a::2", slow=True), Item("b::1"), Item("b::2"), Item("c::1"), Item("c::2")]
    known = {"b::1": 3.0, "b::2": 4.0, "c::1": 5.0}
    found = schedule.estimates(items, known, {"b": 60.0, "c": 70.0})
    assert found == {"a": schedule.QUICK + schedule.SLOW, "b": 7.0, "c": 70.0}
    assert schedule.in_order(found) == ["c", "b", "a"], "the longest first"


def test_workers_of_xdist_take_the_files_in_that_order(schedule, tmp_path):
    """One worker: the order of its tests is that of the files. Without xdist they come as they are collected.

    Marks make b longer; a run that knows better has a first.
    """
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    (tmp_path / "conftest.py").write_text(CONFTEST.format(path=str(FILE)))
    text = "import pytest\n\n@pytest.mark.slow\n@pytest.mark.parametrize('n', range({}))\ndef test_it(n):\n    pass\n"
    for name, tests in (("a", 1), ("b", 12)):
        (tmp_path / f"test_{name}.py").write_text(text.format(tests))

    def first(*options):
        command = [sys.executable, "-m", "pytest", "-v", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and "13 passed" in done.stdout, done.stdout + done.stderr
        return next(line for line in done.stdout.splitlines() if "PASSED" in line)

    by_file = ("-n", "1", "--dist", "loadfile", "--no-loadscope-reorder")
    assert "test_b.py" in first(*by_file)
    assert "test_a.py" in first("-p", "no:xdist")
    taken = {"test_a.py::test_it[0]": 99.0} | {f"test_b.py::test_it[{n}]": 0.1 for n in range(12)}
    known = tmp_path / ".pytest_cache" / "v" / schedule.KEY
    known.parent.mkdir(parents=True)
    known.write_text(json.dumps(taken))
    assert "test_a.py" in first(*by_file)
    assert "test_b.py" in first(*by_file, "-p", "no:cacheprovider")
