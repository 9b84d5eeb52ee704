"""`make test` says how long is left: the estimate, and the line in a real run with and without xdist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("progress.py")
CONFTEST = """
import importlib.util

found = importlib.util.spec_from_file_location("progress", {path!r})
progress = importlib.util.module_from_spec(found)
found.loader.exec_module(progress)
progress.INTERVAL = {interval}
pytest_configure = progress.pytest_configure
"""
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(4))
def test_it(number):
    assert number != 1
"""


@pytest.fixture(scope="module")
def progress():
    found = importlib.util.spec_from_file_location("progress_under_test", FILE)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_estimate_is_in_proportion_to_the_recorded_seconds(progress):
    known = {"a::1": 30.0, "a::2": 10.0, "b::1": 20.0, "b::2": 20.0}
    # two workers: 40 recorded seconds took 20
    assert progress.seconds_left(["b::1", "b::2"], ["a::1", "a::2"], known, 20) == pytest.approx(40)  # one file
    assert progress.seconds_left(["a::2", "b::2"], ["a::1", "b::1"], known, 25) == pytest.approx(20)  # longest file
    assert progress.seconds_left(["a::2", "b::2"], ["a::1", "b::1"], known, 100) == pytest.approx(60)


def test_estimate_without_records_goes_by_number(progress):
    assert progress.seconds_left(["a", "b"], [], {}, 5) is None
    assert progress.seconds_left(["a", "b"], ["c"], {}, 5) == pytest.approx(10)
    assert progress.seconds_left(["b::1"], ["a::1"], {"a::1": 0.0, "b::1": 0.0}, 5) == pytest.approx(5)
    # a test that is new counts as the mean of the others
    assert progress.seconds_left(["new::1"], ["a::1"], {"a::1": 2.0, "b::1": 4.0}, 2) == pytest.approx(3)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "10 s"), (44, "40 s"), (56, "1 min"), (89, "1 min"), (95, "2 min"), (700, "12 min")],
)
def test_words(progress, seconds, words):
    assert progress.in_words(seconds) == words


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_the_line_stands_in_a_log(tmp_path, options):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # or pytest looks for the project, and its cache, further up
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(TESTS)

    def lines(interval):
        (tmp_path / "conftest.py").write_text(CONFTEST.format(path=str(FILE), interval=interval))
        command = [sys.executable, "-m", "pytest", "-q", *options]
        start = time.monotonic()
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        # After one of eight tests, what is left is seven times what has passed: never eight times the whole command.
        most = max(10.0, 8 * (time.monotonic() - start))
        assert done.returncode == 1 and "2 failed, 6 passed" in done.stdout, done.stdout + done.stderr
        found = [line for line in done.stdout.splitlines() if line.startswith("---")]
        for line in found:
            number, unit = re.search(r"about (\d+) (s|min) left", line).groups()
            assert 10 <= int(number) * {"s": 1, "min": 60}[unit] <= most + 30  # rounded to minutes
        return found

    first = lines(0)
    assert len(first) == 7  # all but the last test: then nothing is left
    left = r"about (\d+ s|\d+ min) left"  # a busy machine's is longer
    assert re.fullmatch(rf"---  12% of 8 tests(, 1 failed)?, {left} \(going by .*\)", first[0])
    assert re.fullmatch(rf"---  88% of 8 tests, [12] failed, {left} \(going by .*\)", first[-1])
    second = lines(0)
    assert len(second) == 7 and all(re.search(rf", {left}$", line) for line in second)
    assert lines(30) == []
