"""The command line as users have learnt it: verbs and options, frozen; and quick, because it imports no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bench.cli.main import VERBS, cli

ROOT = Path(__file__).resolve().parents[3]
SURFACE = Path(__file__).parent / "surface.txt"
HEAVY = ("torch", "torchvision", "pandas", "scipy", "sklearn", "matplotlib")


def surface():
    """One line per verb, argument and option."""

    def lines(name, command):
        yield name
        kinds = {True: "argument", False: "option"}  # the order of options is no promise
        yield from sorted(
            f"  {kinds[isinstance(one, click.Argument)]} {' '.join(sorted(one.opts))}" for one in command.params
        )
        for sub in getattr(command, "commands", {}):
            yield from lines(f"{name} {sub}", command.commands[sub])

    context = click.Context(cli)
    return [line for verb in VERBS for line in lines(verb, cli.get_command(context, verb))]


def test_verbs_and_options_are_the_frozen_ones():
    """A new verb or option is added to surface.txt; one that goes or changes its name breaks users' scripts."""
    assert surface() == SURFACE.read_text().splitlines()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["run", "--help"], ["plan", "table1", "--rows", "scratch"], ["list", "tables"],
     ["list", "methods"], ["plan", "tabel1"]],
    ids=" ".join,
)  # fmt: skip
def test_quick_verbs_import_nothing_heavy(arguments, tmp_path):
    code = (
        "import sys\n"
        "from bench.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        f"finally:\n    print('HEAVY', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_every_verb_has_help(bench_command):
    context = click.Context(cli)
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command.help, verb
        assert command.get_help(click.Context(command, info_name=verb)).startswith("Usage:")
