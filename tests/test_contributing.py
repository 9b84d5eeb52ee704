"""What CONTRIBUTING.md shows is done: each of its pages in an empty folder, file by file and command by command."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import bench

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = ("Add a method", "Add a score", "Add a table", "Add a data set", "Submit a result")
Bench = Callable[..., subprocess.CompletedProcess[str]]
# Every family of networks is tried in tests/bench/conformance/test_checks.py, with a method like that of the page
QUICKER = {"check": ("--network", "sndcgan-32")}
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def section(title: str) -> str:
    """The text under a heading."""
    return re.split(r"^## ", PAGE, flags=re.MULTILINE)[headings().index(title) + 1].partition("\n")[2]


def headings() -> list[str]:
    return re.findall(r"^## (.*)$", PAGE, re.MULTILINE)


def follow(text: str, folder: Path, bench_command: Bench) -> list[str]:
    """Write the files and run the commands of a page in `folder`; returns what each command printed."""
    outputs = []
    for language, block in BLOCK.findall(text):
        if language in ("python", "yaml"):
            name = re.match(r"# (\S+)\n", block)
            assert name, "the first line of a file says its name"
            (folder / name.group(1)).write_text(block)
            continue
        for line in block.splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "bench", line
            done = bench_command(*words, *QUICKER.get(words[0], ()), cwd=folder)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            outputs.append(done.stdout)
    return outputs


@pytest.fixture
def outputs(request: pytest.FixtureRequest, tmp_path: Path, bench_command: Bench) -> list[str]:
    return follow(section(request.param), tmp_path, bench_command)


@pytest.mark.parametrize("outputs", ["Add a method"], indirect=True)
def test_a_method_is_checked_trained_and_reported(outputs: list[str]) -> None:
    checked, _, report = outputs
    assert "instance-noise" in checked and "failed" not in checked
    (row,) = [line for line in report.splitlines() if line.lstrip("| ").startswith("noise")][:1]
    assert re.search(r"\d", row), report


@pytest.mark.parametrize("outputs", ["Add a score"], indirect=True)
def test_a_score_is_listed_computed_and_reported(outputs: list[str]) -> None:
    listed, _, report = outputs
    assert re.search(r"^mean_gap +distance of mean features$", listed, re.MULTILINE)
    assert "gap(effnet_lite0@32), lower is better" in report
    block = report.partition("gap(effnet_lite0@32), lower is better")[2]
    assert re.search(r"^From scratch +\d[\d.]* ± [\d.]+ \(n=2\)", block, re.MULTILINE), report


@pytest.mark.parametrize("outputs", ["Add a table"], indirect=True)
def test_a_table_is_planned_trained_and_reported(outputs: list[str]) -> None:
    plan, _, report = outputs
    assert len(re.findall(r"^> .*planned", plan, re.MULTILINE)) == 2 * 2 + 2  # rows and floor, by seeds
    assert "From scratch" in report and "DiffAugment" in report and "FD(effnet_lite0@32)" in report


@pytest.mark.parametrize("outputs", ["Add a data set"], indirect=True)
def test_a_data_set_is_built_and_listed(outputs: list[str]) -> None:
    _, listed = outputs
    (line,) = [line for line in listed.splitlines() if line.startswith("stripes")]
    assert "MIT" in line or "stripes of two colours" in line


@pytest.mark.parametrize("outputs", ["Submit a result"], indirect=True)
def test_a_result_is_recorded_bundled_and_merged(outputs: list[str], tmp_path: Path) -> None:
    _, recorded, bundled, taken, report = outputs
    assert "1 new runs" in recorded and "our-lab.zip: 1 run" in bundled
    (sha256,) = re.findall(r"sha256 of its manifest: (\w{64})", bundled)
    assert f"our-lab.zip: sha256 of its manifest: {sha256}" in taken and "1 copied" in taken
    kept = sorted(path.name for path in (tmp_path / "recorded" / "our-lab").iterdir())
    assert kept == ["disp-table1-smoke.csv", "disp-table1-smoke.made.json"]
    scores = [line.split(",") for line in (tmp_path / "recorded" / "our-lab" / kept[0]).read_text().splitlines()]
    values = {line[scores[0].index("value")] for line in scores[1:]}
    assert values and values <= set(re.split(r"[,\n]", report)), "the bundle has the scores of the CSV"


def test_pages_are_short_and_complete() -> None:
    assert set(PAGES) <= set(headings())
    for title in PAGES:
        words = re.sub(BLOCK, "", section(title))
        assert len(words.splitlines()) <= 30, f"'{title}' is half a page"


def test_the_release_that_is_described_is_the_one_that_is_here() -> None:
    """CHANGELOG's newest section is "Unreleased" or the package's version; CITATION.cff has the package's."""
    newest = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert newest == "Unreleased" or newest.split()[0] == bench.__version__
    cited = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited == [bench.__version__]
