"""Times and sizes of memory, as a profile may write them."""

from __future__ import annotations

import random

import pytest

from bench.launch.slurm.profile_load import load_profile
from bench.launch.slurm.units import megabytes, minutes
from profile_files import sbatch_lines, write


def test_every_way_to_write_a_time_means_the_same():
    draw = random.Random(0)
    for _ in range(300):
        days, hours, rest = draw.randrange(30), draw.randrange(100), draw.randrange(2000)
        total = days * 1440 + hours * 60 + rest
        text = "".join(f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (rest, "m")) if n)
        if total:
            assert minutes(text) == minutes(f"{total}m") == minutes(total) == total


@pytest.mark.parametrize(
    "text", ["", "0", "0m", "0h0m", "-5m", -5, 0, "61d", 60 * 24 * 60 + 1, "1.5h", 1.5, True, None, "1m1h",
             "1h 30m", "24:00:00:00", "1-", "-1:00", "1-2-3", "1:",
             "61-00", "0:00", "0-00:00:00", "٣:00", "h", "1H", "٣m", "9" * 50 + "m", [1], "inf", "1h\n"],
)  # fmt: skip
def test_no_time(text):
    with pytest.raises(ValueError, match="must be from|no length of time"):
        minutes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("30:00", 30), ("24:00", 24), ("00:30:00", 30), ("24:00:00", 1440), ("1:30:00", 90), ("90:00", 90),
     ("1-0", 1440), ("1-12", 2160), ("1-12:30", 2190), ("1-00:00:00", 1440), ("2-01:01:00", 2941), ("0-00:05:00", 5),
     ("00:00:30", 1), ("1:01", 2)],
)  # fmt: skip
def test_times_as_sbatch_takes_them(tmp_path, text, expected):
    """The formats of sbatch(1), --time; quoted or not: YAML 1.1 alone would read 24:00:00 as 86400."""
    assert minutes(text) == expected
    for written in (text, f"'{text}'", f'"{text}"'):
        assert load_profile(str(write(tmp_path, f"time: {written}\npack: 1\n"))).time == expected
        assert load_profile(str(write(tmp_path, f"{{time: {written}, pack: 1}}"))).time == expected
    assert load_profile(str(write(tmp_path, f"time: 60d\npack: {text}\nslice: {text}\n"))).slice == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500MB", 500), ("500M", 500), (16, 16384), ("16GB", 16384), ("16 gb", 16384), ("1TB", 1024**2)],
)  # fmt: skip
def test_memory(text, expected):
    assert megabytes(text) == expected
    assert f"--mem={expected}M" in sbatch_lines(memory=text)


@pytest.mark.parametrize("text", [0, -1, "0MB", "101TB", "16", "1.5GB", 1.5, True, "16GBB", "16KB", "G", "1e3GB"])
def test_no_memory(text):
    with pytest.raises(ValueError, match="must be from|no amount of memory"):
        megabytes(text)
