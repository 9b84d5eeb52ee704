"""`bench status --watch` in a pseudo-terminal, read by a terminal emulator: what somebody sees who looks at it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pyte
import pytest

pytestmark = pytest.mark.slow

ROWS, COLUMNS = 16, 110


def _as_a_terminal_does():
    """Make stdin the controlling terminal, and Ctrl-C a signal again where a shell's `&` has switched it off."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command in a pseudo-terminal of a given size, and its screen."""

    def __init__(self, command, cwd, env):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        env = {**env, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_as_a_terminal_does,
        )
        os.close(slave)

    def look(self, seconds=0.2):
        """The screen's lines, after reading for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.stream.feed(os.read(self.master, 65536))
                except OSError:  # the other end is closed: the command is over
                    break
        return [line.rstrip() for line in self.screen.display]

    def until(self, pattern, seconds=300):
        deadline = time.monotonic() + seconds
        while not re.search(pattern, text := "\n".join(self.look()), re.MULTILINE):
            assert time.monotonic() < deadline and self.process.poll() is None, text
        return text


@pytest.fixture
def watch(desk_at, cluster_of, run_server, tmp_path_factory):
    with cluster_of(tmp_path_factory.mktemp("cluster"), cpus=3, gpus=3) as cluster:
        desk = desk_at(cluster)
        desk.environment["BENCH_TEST_WAIT"] = "0.15"
        desk.warm_jobs(run_server.pid)
        profile = desk.profile("site", more="parallel: 2")
        desk.submit(profile, "--rows", "slow", "--seeds", "0..2", "--set", "train.steps=60")
        command = [sys.executable, "-m", "bench", "status", "--watch", "--every", "0.5"]
        terminal = Terminal(command, desk.folder, desk.everything())
        yield terminal
        terminal.process.kill()
        terminal.process.wait()


def test_the_table_lives_until_everything_is_done(watch):
    text = watch.until(r"slow · shapes · seed \d +running +step [1-9]")
    assert re.search(r"^run +state +step +left +node", text, re.MULTILINE)
    first = re.search(r"slow · shapes · seed (\d) +running +step (\d+) of 60.*n1", text)
    assert first
    later = watch.until(rf"seed {first[1]} +running +step (?!{first[2]} )\d+ of 60, [\d.]+/s +\d+ s left")
    assert later.count("3 runs:") == 1, "redrawn in place, not printed below"
    watch.until("3 runs: 3 done")
    assert watch.process.wait(timeout=300) == 0
    assert sum("runs:" in line for line in watch.look()) == 1


def test_ctrl_c_leaves_the_jobs_alone(watch):
    watch.until(r"running +step [1-9]")
    os.write(watch.master, b"\x03")
    deadline = time.monotonic() + 300
    while watch.process.poll() is None:
        assert time.monotonic() < deadline
        watch.look()
    assert watch.process.returncode == 130
    assert "Traceback" not in "\n".join(watch.look())
