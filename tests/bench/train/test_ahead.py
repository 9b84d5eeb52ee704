"""Reading ahead: the values and errors of the function itself, a few at once at most, and a thread that ends."""

from __future__ import annotations

import threading
import time

import pytest

from bench.train import ahead
from bench.train.ahead import Ahead

NAME = "read ahead in a test"


def threads():
    return [thread for thread in threading.enumerate() if thread.name == NAME]


@pytest.fixture
def reader():
    """Make a reader; whatever a test leaves open is closed."""
    made = []

    def make(read, depth=3):
        made.append(Ahead(read, depth, NAME))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("positions", [range(10), range(7, 20), [0, 1, 2, 9, 10, 3, 3, 4], [5], [2, 1, 0]])
def test_values_are_those_of_the_function_in_whatever_order(positions, reader):
    at = reader(lambda position: position**2).at
    assert [at(position) for position in positions] == [position**2 for position in positions]
    assert len(threads()) == 1, "a thread that began anew left the old one"


def test_no_more_is_read_than_the_depth(reader, wait_until):
    read = []
    one = reader(lambda position: read.append(position), depth=2)
    one.at(5)
    # 5 is in hand, two wait in the queue, and one more is in the thread's own hands.
    wait_until(lambda: len(read) == 4)
    time.sleep(0.05)
    assert read == [5, 6, 7, 8]
    one.at(6)
    wait_until(lambda: len(read) == 5)


def test_a_value_is_there_before_it_is_asked_for(reader, wait_until):
    begun = []

    def slow(position):
        begun.append(position)
        time.sleep(0.1)
        return position

    one = reader(slow)
    one.at(0)
    wait_until(lambda: len(begun) == 5)
    start = time.perf_counter()
    assert [one.at(position) for position in (1, 2, 3)] == [1, 2, 3]
    assert time.perf_counter() - start < 0.1, "three values in the time of one: they were not read ahead"


def test_an_error_comes_at_its_own_position_and_the_thread_ends(reader):
    def read(position):
        if position == 3:
            raise OSError(5, "Input/output error", "train.npy")
        return position

    one = reader(read)
    assert [one.at(position) for position in range(3)] == [0, 1, 2]
    for _ in range(2):  # asked again it is read again, and fails again
        with pytest.raises(OSError, match=r"Input/output error: 'train.npy'") as caught:
            one.at(3)
        assert any(entry.name == "read" for entry in caught.traceback), "the place of the error is lost"
        assert threads() == []
    assert one.at(4) == 4


def test_closing_ends_the_thread_wherever_it_is(reader, wait_until):
    for wait_for in (0, 4):  # in its first read, and waiting to hand over a value
        read = []

        def slow(position, read=read):
            time.sleep(0.005)
            read.append(position)

        one = reader(slow, depth=3)
        one.at(0)
        wait_until(lambda: len(read) >= wait_for)  # noqa: B023
        one.close()
        assert threads() == []
        one.close()
    reader(lambda position: position).close()  # of one that was never asked


def test_a_read_that_hangs_holds_nothing_up_for_long(reader, monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 0.05)
    hangs, begun = threading.Event(), threading.Event()

    def read(position):
        if position == 1 and not hangs.is_set():
            begun.set()
            hangs.wait(60)
        return position

    one = reader(read)
    assert one.at(0) == 0 and begun.wait(60)
    start = time.perf_counter()
    one.close()
    assert time.perf_counter() - start < 30 and len(threads()) == 1
    assert all(thread.daemon for thread in threads()), "it would keep the process alive"
    hangs.set()
    assert [one.at(position) for position in (1, 2)] == [1, 2]
