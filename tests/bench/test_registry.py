"""Names to things: plug-in files, entry points of other packages, and what a broken or doubled one gets."""

from __future__ import annotations

import sys

import pytest

from bench.contract.composition import build_method
from bench.contract.discovery import methods
from bench.contract.expression import parse_method
from bench.data.known import datasets
from bench.errors import UserError
from bench.plan.load import load_table
from bench.plugins import load_plugin

GOOD = '''"""A plug-in."""
from bench.data.catalogue import DatasetEntry
from bench.train import Method


class SharpEdges(Method):
    """Adds nothing at all.

    More words.
    """


DATASETS = {
    "my-set": DatasetEntry(summary="mine", builder="m:f", licence="own", source="here", train=5, test=5)
}
'''


def test_every_method_file_is_listed_without_importing_it(bench_command):
    names = {entry.name for entry in methods()}
    assert {"baseline", "disp", "ada-lite", "class-conditional"} <= names
    assert not any(name.startswith("-") for name in names)
    assert all(entry.summary for entry in methods())
    done = bench_command("list", "methods")
    assert done.returncode == 0 and {line.split()[0] for line in done.stdout.splitlines()} == names


def test_plugin_file_defines_methods_and_data_sets(load_plugin):
    assert load_plugin(GOOD) == ["sharp-edges", "my-set"]
    assert methods().entry("sharp-edges").summary == "Adds nothing at all."
    assert datasets().load("my-set").summary == "mine"
    assert build_method(parse_method("baseline + sharp-edges")).parts[1][0] == "sharp-edges"


def test_plugin_method_is_a_row(load_plugin, store_root):
    load_plugin(GOOD)
    table = load_table("table1").with_methods(("baseline + sharp-edges",))
    (row,) = table.pick_rows(["baseline + sharp-edges"])
    assert table.run_spec(row, table.columns[0], 0, "smoke").uid.startswith("baseline+sharp-edges_")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("def f(:", "cannot be imported: SyntaxError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit"),
        ("x = 1", "defines no Method subclass, no DATASETS, no SCORES, no MEASURES, no TRACES and no EXTRACTORS"),
        ("DATASETS = {'a': 5}", "DATASETS['a'] must be a bench.data.catalogue.DatasetEntry"),
        (
            "from bench.train import Method\nclass A(Method):\n    name = 'My Way'",
            "method name 'My Way' must be",
        ),
        ("from bench.train import Method\nclass Disp(Method): pass", "method 'disp' is registered twice"),
    ],
)
def test_broken_plugin_is_named_in_one_line(text, message, load_plugin):
    with pytest.raises(UserError) as caught:
        load_plugin(text)
    assert message in str(caught.value)
    assert "mine.py" in str(caught.value) or "bench_plugin_mine" in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_two_plugins_of_one_name_are_refused(load_plugin):
    load_plugin(GOOD, "a/mine.py")
    load_plugin(GOOD, "a/mine.py")  # the same file again is no conflict
    with pytest.raises(UserError, match="have the same name; rename one of them"):
        load_plugin(GOOD, "b/mine.py")


def test_missing_plugin_and_other_files(fresh_registries, tmp_path):
    with pytest.raises(UserError, match="'nowhere.py' is not a file"):
        load_plugin("nowhere.py")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"must end with \.py"):
        load_plugin(str(tmp_path / "notes.txt"))


def test_entry_points_of_an_installed_package(distribution):
    distribution(
        "[bench.methods]\ntheir-trick = their_gans:Trick\n[bench.datasets]\ntheir-set = their_gans:ENTRY\n",
        "from bench.data.catalogue import DatasetEntry\nfrom bench.train import Method\n"
        "class Trick(Method):\n    def __init__(self, *, rate: float = 0.5): pass\n"
        "ENTRY = DatasetEntry(summary='s', builder='m:f', licence='l', source='s', train=1, test=1)\n",
    )
    assert methods().entry("their-trick").summary == "from the package their_gans"
    assert "their_gans" not in sys.modules, "listing must not import"
    assert parse_method("their-trick(rate=1)")[0].settings == {"rate": 1}
    assert datasets().load("their-set").train == 1


@pytest.mark.parametrize(
    ("target", "module", "message"),
    [
        ("their_gans:Trick", "raise ValueError('old numpy')", "cannot be imported: ValueError: old numpy"),
        ("their_gans:Tricks", "class Trick: pass", "cannot be imported: AttributeError"),
        ("their_gans:Trick", "class Trick: pass", "is not a subclass of bench.train.Method"),
        ("gone_package:Trick", "", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_broken_entry_point_is_named_and_harms_nobody_else(target, module, message, distribution):
    distribution(f"[bench.methods]\ntheir-trick = {target}\n", module)
    assert parse_method("disp")
    with pytest.raises(UserError, match="'their-trick'") as caught:
        parse_method("their-trick")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_two_packages_with_one_name_are_both_named(distribution):
    distribution("[bench.methods]\ntrick = first_gans:A\n", name="first_gans")
    distribution("[bench.methods]\ntrick = second_gans:A\n", name="second_gans")
    with pytest.raises(UserError, match="'trick' is registered twice: .*_gans:A and .*_gans:A"):
        methods()
