"""What a verb imports: nobody who asks what would run waits for the libraries that run it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "pandas", "torch", "matplotlib", "PIL")
CODE = f"""
import sys
from bench.cli.main import main
try:
    main()
except SystemExit as end:
    heavy = [name for name in {HEAVY} if name in sys.modules]
    sys.exit(f"imported {{heavy}}" if heavy or end.code else 0)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["plan", "table1", "--scale", "smoke"], ["plan", "ALL", "--scale", "paper"], ["list", "tables"]],
    ids=["help", "plan", "plan ALL", "list tables"],
)
def test_asking_costs_no_heavy_import(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))  # no set is built: one that is has arrays to look at
    store = ["--store", str(tmp_path / "store")] if arguments[0] in ("plan", "list") else []
    done = subprocess.run([sys.executable, "-c", CODE, *arguments, *store], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_command_collects_garbage_again_once_it_is_imported():
    """The modules of a verb are set apart from what is looked through for garbage; what the verb makes is not."""
    code = """
import gc
import click
from bench.cli.main import cli
cli.get_command(click.Context(cli), "plan")
print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
