"""Worker processes: the order of results, what they import, and every way in which they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from operator import neg
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.machine import workers
from bench.machine.workers import Workers, usable_cores
from worker_jobs import killed_at_seventy, process_of, processes_of, refuses_forty, slow_process_of


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started for whatever comes."""
    monkeypatch.setattr(workers, "PATIENCE", -1)


def test_results_are_in_order_and_made_elsewhere() -> None:
    with Workers(2) as group:
        assert group.map(neg, range(1000), "numbers") == [-number for number in range(1000)]
        assert group.map(str, [5, 6, 7], "names") == ["5", "6", "7"], "another function, the same processes"
        made_by = set(group.map(process_of, range(100), "processes"))
        assert os.getpid() not in made_by and 1 <= len(made_by) <= 2
    assert Workers(1).map(process_of, range(3), "here") == [os.getpid()] * 3
    with Workers(4) as group:
        assert group.map(neg, [], "nothing") == []


def test_processes_start_only_when_work_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.3)
    with Workers(2) as group:
        assert set(group.map(process_of, range(99), "quick")) == {os.getpid()} and not group.started
        made_by = group.map(slow_process_of, range(20), "slow")
        assert made_by[0] == os.getpid() and made_by[-1] != os.getpid() and len(group.started) == 2
        assert os.getpid() not in group.map(process_of, range(99), "once they are there")


def test_an_exception_is_raised_here() -> None:
    with Workers(2) as group, pytest.raises(UserError, match="40 is refused") as refused:
        group.map(refuses_forty, range(100), "numbers")
    assert refused.value.details == ("its details",)


@pytest.mark.timeout(60)
def test_a_worker_that_is_killed_is_an_error_not_a_hang(wait_until) -> None:
    with Workers(2) as group, pytest.raises(UserError, match="a worker process was ended .by signal 9; memory may be"):
        group.map(killed_at_seventy, range(100), "numbers")
    # A thread that waits for ever would keep the whole process from ending.
    wait_until(lambda: not any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate()), 60)


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
from bench.machine import workers
workers.PATIENCE = -1
group = workers.Workers(2)
group.map(str, range(10), "start")
print(*(worker.process.pid for worker in group.started), flush=True)
group.map(time.sleep, [0.2] * 1000, "wait")
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_parent(end: signal.Signals, tmp_path: Path, wait_until) -> None:
    """The script has no `if __name__ == "__main__"`: it is not run again by its workers."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken from where it was started')")
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    parent = subprocess.Popen(
        [sys.executable, "-P", tmp_path / "script.py"], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    )
    assert parent.stdout is not None
    started = [int(number) for number in parent.stdout.readline().split()]
    assert len(started) == 2
    parent.send_signal(end)
    parent.wait(30)
    wait_until(lambda: not any(_alive(number) for number in started), 60)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_cores_are_those_that_this_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    script = (
        f"import os; os.sched_setaffinity(0, [{one}]); from bench.machine import workers as w; print(w.usable_cores())"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(said) == 1 <= usable_cores()


def test_what_a_worker_cannot_import_is_an_error_here() -> None:
    with Workers(2) as group, pytest.raises(ModuleNotFoundError, match="no_such_module"):
        group.map(_Unknown(), range(10), "numbers")


class _Unknown:
    """Pickles as a function of a module that there is not."""

    def __call__(self, number: int) -> int:
        return number

    def __reduce__(self) -> tuple[object, ...]:
        return __import__, ("no_such_module",)


def test_chunks_cover_every_item_once_whatever_their_order() -> None:
    with Workers(2) as group:
        found = dict(group.chunks(sum, range(1000), "sums"))
        starts = sorted(found)
        ends = [*starts[1:], 1000]
        assert [found[start] for start in starts] == [sum(range(*pair)) for pair in zip(starts, ends, strict=True)]
        assert starts[0] == 0 and max(end - start for start, end in zip(starts, ends, strict=True)) <= 32
    assert list(Workers(1).chunks(sum, [1] * 100, "here")) == [
        (0, 1), (1, 2), (3, 4), (7, 8), (15, 16), (31, 32), (63, 32), (95, 5),
    ]  # fmt: skip


def test_neighbours_of_one_unit_go_to_one_process_in_order() -> None:
    items, made_by = range(3000), dict[int, set[int]]()
    with Workers(2) as group:
        for start, processes in group.chunks(processes_of, items, "units", lambda number: number // 100):
            made_by.setdefault(start // 100, set()).update(processes)
            assert start % 100 in range(0, 100, 32), "a chunk is of one unit"
    assert len(made_by) == 30 and all(len(processes) == 1 for processes in made_by.values())
    assert len(set.union(*made_by.values())) == 2
    # One unit alone is cut, so that all processes have something to do.
    with Workers(2) as group:
        assert len(set().union(*dict(group.chunks(processes_of, items, "one", lambda number: 0)).values())) == 2


def test_a_list_that_is_left_in_the_middle_does_not_answer_for_the_next() -> None:
    with Workers(2) as group:
        chunks: Any = group.chunks(sum, range(1000), "left")
        next(chunks)
        chunks.close()
        assert group.map(neg, range(100), "numbers") == [-number for number in range(100)]
        with pytest.raises(UserError, match="40 is refused"):
            group.map(refuses_forty, range(1000), "numbers")
        assert group.map(neg, range(100), "numbers") == [-number for number in range(100)]
