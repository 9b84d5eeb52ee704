"""No test is skipped but for what a machine lacks, and the README says how to get that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text()
CI = (TESTS.parent / ".ci" / "packages").read_text()
WAYS = re.compile(r"pytest\.(skip|importorskip|xfail)\b|mark\.(skip|skipif|xfail)\b")


def test_there_is_one_way_to_skip():
    used = {
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("*.py")
        if path != Path(__file__) and WAYS.search(path.read_text())
    }
    assert used == {"conftest.py"}


@pytest.mark.parametrize("variable", ["CI", "BENCH_TEST_ALL"])
def test_where_all_must_run_a_lack_is_a_failure(lacks, monkeypatch, variable):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("BENCH_TEST_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no pdflatex"):
        lacks("no pdflatex")
    monkeypatch.setenv(variable, "1")
    with pytest.raises(pytest.fail.Exception, match="no pdflatex"):
        lacks("no pdflatex")


def test_ci_installs_what_the_readme_names():
    (command,) = re.findall(r"apt-get install ([a-z -]*texlive[a-z -]*)", README)
    packages = {word for word in command.split() if not word.startswith("-")}
    assert packages == {word for line in re.findall(r"packages\+=\((.*)\)", CI) for word in line.split()}
