"""What TAB offers: the words that fit, in a real bash, and by the lines that zsh and fish read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

import shared_runs
from bench.cli.main import COMPLETING, VERBS, cli, main
from bench.store.runs import Store

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "torchvision", "numpy", "pandas", "scipy", "matplotlib", "PIL")


def offered(line, monkeypatch, shell="bash"):
    """The completions of a line, whose last word is begun ("" after a space), as the shell's own script reads them."""
    *_, last = line.split(" ")
    words = line.split()
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", last if shell == "fish" else str(len(words) - bool(last)))
    return get_completion_class(shell)(cli, {}, "bench", COMPLETING).complete().splitlines()


def words(line, monkeypatch):
    return [word.removeprefix("plain,") for word in offered(line, monkeypatch)]


def test_verbs_come_with_what_they_do_and_import_none(monkeypatch):
    monkeypatch.setitem(VERBS, "plan", ("bench.no_such_module:plan", "The runs."))
    assert words("bench re", monkeypatch) == ["report", "recorded", "record", "rehearse"]
    assert offered("bench pla", monkeypatch, "fish") == ["plain,plan\tThe runs."]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bench plan sle/table2", ["sle/table2"]),
        ("bench plan table2", ["table2"]),
        ("bench report AL", ["ALL"]),
        ("bench plan table1 --scale mi", ["mini", "midi"]),
        ("bench plan table1 --rows scratch+d", ["scratch+disp"]),
        ("bench plan table1 --rows scratch,scratch+d", ["scratch,scratch+disp"]),
        ("bench report table1 --columns fa", ["faces"]),
        ("bench check diffa", ["diffaugment"]),
        ("bench run table1 --method diffus", ["diffusion-gan"]),
        ("bench data build avatars-cr", ["avatars-critters"]),
        ("bench networks sngan-3", ["sngan-32"]),
        ("bench submit table1 --profile cont", ["container"]),
        ("bench list extr", ["extractors"]),
        ("bench plan table1 --budg", ["--budget"]),
    ],
)
def test_names_of_every_kind(line, expected, monkeypatch):
    found = words(line, monkeypatch)
    assert [word for word in found if word in expected] == expected
    assert all(word.startswith(line.split()[-1]) for word in found)


def test_a_row_that_is_listed_is_not_offered_again(monkeypatch):
    found = words("bench plan table1 --rows scratch,", monkeypatch)
    assert "scratch,scratch+disp" in found and "scratch,scratch" not in found


def test_runs_of_the_store_that_is_named(monkeypatch, tmp_path, store_root):
    (uid, *_) = shared_runs.fill(Store(tmp_path / "other"), rows=["scratch"], seeds=[0])
    assert words(f"bench logs {uid[:6]}", monkeypatch) == ["file,"]  # not in the usual store
    assert words(f"bench logs --store {tmp_path / 'other'} {uid[:6]}", monkeypatch) == [uid]
    assert uid in words(f"bench cancel --store {tmp_path / 'other'} ", monkeypatch)


def test_where_no_name_fits_the_shell_completes_paths(monkeypatch):
    assert words("bench plan ./mine", monkeypatch) == ["file,"]


def test_a_mistake_on_the_line_or_in_a_file_offers_nothing_and_says_nothing(monkeypatch, tmp_path, capsys):
    assert words("bench plna ta", monkeypatch) == []
    assert words("bench plan no-such-table --rows s", monkeypatch) == []
    (tmp_path / "bench.toml").write_text("scale = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(COMPLETING, "bash_complete")
    for line in ("bench plan table2", "bench plan table1 --rows s"):
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
        with pytest.raises(SystemExit) as end:
            main([])
        assert end.value.code == 0
    assert capsys.readouterr() == ("", "")


def test_a_plugin_is_not_executed_for_a_word(monkeypatch, tmp_path):
    (tmp_path / "bench.toml").write_text('plugins = ["mine.py"]\n')
    (tmp_path / "mine.py").write_text("raise RuntimeError('executed')\n")
    monkeypatch.chdir(tmp_path)
    assert words("bench plan table2", monkeypatch) == ["table2"]


@pytest.mark.parametrize(
    "line", ["bench r", "bench plan ta", "bench plan table1 --rows ", "bench logs ", "bench check d"]
)
def test_it_is_quick_and_imports_nothing_heavy(line, tmp_path):
    code = (
        "import sys\nfrom bench.cli.main import main\n"
        "try:\n    main([])\n"
        f"finally:\n    print('HEAVY', [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    position = str(len(line.split()) - (not line.endswith(" ")))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), COMPLETING: "bash_complete"}
    environment |= {"COMP_WORDS": line, "COMP_CWORD": position}
    before = time.process_time(), os.times().children_user
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stderr.splitlines() == ["HEAVY []"] and done.returncode == 0, done.stderr
    # Half a second of CPU as measured; five times that for slower machines
    assert os.times().children_user - before[1] < 2.5


def test_bash_completes_with_its_script(tmp_path):
    """The script that the README's line evaluates, and what bash does with it at TAB."""
    program = tmp_path / "bench"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bench "$@"\n')
    program.chmod(0o755)
    (line,) = re.findall(r'`eval "\$\((_BENCH_COMPLETE=bash_source bench)\)"`', (ROOT / "README.md").read_text())
    script = f"""
eval "$({line})"
complete -p bench
COMP_WORDS=(bench plan sle/table) COMP_CWORD=2
_bench_completion bench
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path}, check=True
    )
    bound, *found = done.stdout.splitlines()
    assert bound.endswith("bench") and "sle/table2" in found and done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_for_this_program(shell):
    script = get_completion_class(shell)(cli, {}, "bench", COMPLETING).source()
    assert f"{COMPLETING}={shell}_complete" in script and "bench" in script
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_zsh_and_fish_read_their_own_lines(monkeypatch):
    assert offered("bench plan sle/table2", monkeypatch, "zsh") == ["plain", "sle/table2", "_"]
    assert offered("bench plan sle/table2", monkeypatch, "fish") == ["plain,sle/table2"]
