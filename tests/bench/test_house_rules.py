"""What the layout promises, read from the source: who imports whom, and what the engine does not know."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import inspect
import re
import statistics
from pathlib import Path

import pytest

from bench.contract.discovery import methods
from bench.data.known import datasets
from bench.metrics.measures import measures

ROOT = Path(__file__).resolve().parents[2]
ENGINE = sorted((ROOT / "bench").rglob("*.py"))
PROJECT = sorted(
    path
    for folder in ("bench", "methods", "datasets", "slurm", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
OWN = {"self", "cls"}  # a test's own classes may have private parts
TORCHS = {"_parameters", "_buffers", "_modules"}  # by which a test makes a module that no constructor would
# The floors of bench/, lowest first. A room is a folder of bench/ or a file that lies loose in it; a file imports from
# its own room and from the floors below, never from above, never from another room of its floor.
FLOORS = (
    ("errors", "paths", "seeds"),
    ("spec", "files", "machine", "stats", "registry"),
    ("networks", "features", "store", "data"),
    ("contract", "metrics", "convert"),
    ("evaluate",),
    ("train", "plan", "plugins"),
    ("run", "report"),
    ("launch", "rehearsal", "conformance"),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
OLD_HOMES = {"catalogue": "data"}  # loose files that only pass a name on
# A method or data set may be named where it is the engine's own yardstick, nowhere else.
MAY_NAME = {"conformance/checks.py", "conformance/cases.py"}
LONGEST, MOST_AT_THE_MEDIAN = 350, 120  # lines of a file
LITERALS = (ast.Dict, ast.List, ast.Tuple, ast.Set)
LONG = 25  # lines of a function, of which those of more have section comments


@functools.cache
def nodes(path):
    """All of a file's syntax tree, the file itself first; parsed once for all rules."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@pytest.fixture(scope="module", autouse=True)
def trees_are_forgotten():
    yield
    nodes.cache_clear()  # some hundred MB


def imports(path, inside_functions=True):
    """(module, line) of every absolute import."""
    functions = [] if inside_functions else [one for one in nodes(path) if isinstance(one, ast.FunctionDef)]
    hidden = {id(node) for one in functions for node in ast.walk(one)}
    for node in nodes(path):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def where(path, line):
    return f"{path.relative_to(ROOT)}:{line}"


def room(module):
    """The room of a module of the engine; "" for the package itself and for modules from elsewhere."""
    inside = module.split(".")[1] if module.startswith("bench.") else ""
    return OLD_HOMES.get(inside, inside)


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


KNOWN = {name_of(one) for one in ENGINE}


def engine_imports(path):
    """(module, line) of every import of one of the engine's own files, inside functions too."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in KNOWN)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where(path, node.lineno)}: write the whole name"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in KNOWN or node.module in KNOWN:
                    yield whole if whole in KNOWN else node.module, node.lineno


def test_folders_that_are_mounted_have_no_init():
    """`datasets/__init__.py` would shadow another package of that name wherever ours is installed."""
    for folder in ("methods", "datasets", "slurm", "results"):
        assert not list((ROOT / folder).rglob("__init__.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_engine_imports_no_method_and_no_data_set():
    found = [
        where(path, line)
        for path in ENGINE
        for module, line in imports(path)
        if f"{module}.".startswith(("methods.", "datasets.", "bench.methods.", "bench.datasets."))
    ]
    assert not found, "\n".join(["", *found])


def test_engine_names_no_method_and_no_data_set():
    """No string in the engine's code is the name of a method or of a data set, except in docstrings."""
    names = {entry.name for entry in (*methods(), *datasets())}
    assert {"disp", "diffaugment", "shapes"} <= names
    found = []
    for path in ENGINE:
        if str(path.relative_to(ROOT / "bench")) in MAY_NAME:
            continue
        for node in nodes(path):
            if isinstance(node, ast.Constant) and node.value in names:
                found.append(f"{where(path, node.lineno)} {node.value}")
    # The names below are other things of the same name: a source role, a paper's short name, a measure that is to come.
    roles = {"simclr", "classifier", "disp", "baseline", "path-length"}
    assert [one for one in found if one.rpartition(" ")[2] not in roles] == []


def test_engine_names_no_score_but_on_its_card():
    """No string in the engine's code is the name of a score, except in the file of the score's card and in docstrings:
    what is to be known of a score, its card says.
    """
    homes = {entry.name: entry.target.partition(":")[0] for entry in measures()}
    assert len(homes) >= 6 and set(homes.values()) < {name_of(path) for path in ENGINE}
    named = {
        (node.value, name_of(path), where(path, node.lineno))
        for path in ENGINE
        for node in nodes(path)
        if isinstance(node, ast.Constant) and node.value in homes
    }
    assert {name for name, module, _ in named if module == homes[name]} == set(homes)
    assert sorted(f"{place} {name}" for name, module, place in named if module != homes[name]) == []


def test_every_file_of_the_engine_lies_on_one_floor():
    assert len(FLOOR) == sum(map(len, FLOORS))
    rooms = {room(name_of(path)) for path in ENGINE} - {""}
    assert rooms == set(FLOOR)


def test_imports_go_down_only():
    found = []
    for path in ENGINE:
        own = room(name_of(path))
        for module, line in engine_imports(path):
            there = room(module)
            if own and there and there != own and FLOOR[there] >= FLOOR[own]:
                found.append(f"{where(path, line)} imports {module}, which is not on a floor below")
    assert not found, "\n".join(["", *found])


def test_no_file_imports_itself_in_a_circle():
    graph = {name_of(path): {name for name, _ in engine_imports(path)} for path in ENGINE}
    graph.pop("bench")  # its public names are looked up when they are asked for
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def test_methods_import_no_command_line_and_no_report():
    found = [
        where(path, line)
        for path in PROJECT
        if path.parts[-2] in ("methods", "datasets")
        for module, line in imports(path)
        if room(module) in ("cli", "report", "launch") or module in ("methods", "datasets")
    ]
    assert not found, "\n".join(["", *found])


def test_every_method_of_a_part_is_documented_here_or_in_a_base_class():
    """A hook says in bench.train.Method what it is for; ruff holds all other code (D102)."""
    found = []
    for path in PROJECT:
        if path.relative_to(ROOT).parts[0] != "methods":
            continue
        module = importlib.import_module(f"bench.{name_of(path)}")
        for own in (one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__):
            members = {name: one for name, one in vars(own).items() if inspect.isfunction(one) or type(one) is property}
            found += [
                f"{where(path, 1)} {own.__name__}.{name} has no docstring"
                for name in members
                if not name.startswith("_") and not inspect.getdoc(getattr(own, name))
            ]
    assert not found, "\n".join(["", *found])


def test_command_line_imports_nothing_heavy_at_the_top():
    heavy = {"torch", "torchvision", "pandas", "scipy", "sklearn", "matplotlib", "cleanfid", "numpy"}
    found = [
        f"{where(path, line)} {module}"
        for path in (ROOT / "bench" / "cli").glob("*.py")
        for module, line in imports(path, inside_functions=False)
        if module.split(".")[0] in heavy
    ]
    assert not found, "\n".join(["", *found])


def test_files_are_short_and_say_what_they_are():
    found = []
    for path in PROJECT:
        lines = len(path.read_text().splitlines())
        if lines > LONGEST:
            found.append(f"{where(path, lines)} is longer than {LONGEST} lines")
        if not ast.get_docstring(nodes(path)[0]):
            found.append(f"{where(path, 1)} does not say what the file is for")
        if path.name == "utils.py":
            found.append(f"{where(path, 1)} has a name that says nothing")
    assert not found, "\n".join(["", *found])


def test_long_functions_have_section_comments():
    """A line above each thing that a function does, where it does several; literals that run over lines count once."""
    found = []
    for path in PROJECT:
        if path.relative_to(ROOT).parts[0] not in ("bench", "methods", "datasets"):
            continue
        lines = enumerate(path.read_text().splitlines(), 1)
        comments = {number for number, line in lines if line.lstrip().startswith("# ")}
        for node in nodes(path):
            if not isinstance(node, ast.FunctionDef):
                continue
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = set(range(body[0].lineno, node.end_lineno + 1))
            commented = comments & set(range(node.lineno, node.end_lineno + 1))
            for inner in (inner for part in body for inner in ast.walk(part) if isinstance(inner, LITERALS)):
                lines -= set(range(inner.lineno + 1, inner.end_lineno + 1))
            if len(lines) > LONG and not commented:
                found.append(f"{where(path, node.lineno)} {node.name} has {len(lines)} lines and no comment in them")
    assert not found, "\n".join(["", *found])


def test_test_files_are_short_too():
    found = [path for path in TESTS if len(path.read_text().splitlines()) > LONGEST]
    assert not found, "\n".join(["", *(f"{where(path, LONGEST)} is longer than {LONGEST} lines" for path in found)])


def private_names():
    """Names with one underscore that the project's own code gives to functions, classes, constants and attributes."""
    names = set()
    for path in PROJECT:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in names if re.match("_[^_]", name)} - TORCHS


def called(node):
    """The last name of what a call calls; "" where it has none."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def test_tests_use_public_names_only():
    """What a test needs has a public name and a docstring, or the test looks at what the thing does."""
    private, found = private_names(), []
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in private and ast.unparse(node.value) not in OWN:
                found.append(f"{where(path, node.lineno)} {ast.unparse(node)}")
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench"):
                found += [f"{where(path, node.lineno)} {one.name}" for one in node.names if one.name in private]
            elif isinstance(node, ast.Call) and called(node).endswith(("setattr", "getattr", "delattr")):
                strings = [one.value for one in node.args if isinstance(one, ast.Constant)]
                found += [f"{where(path, node.lineno)} {one}" for one in strings if str(one).split(".")[-1] in private]
    assert not found, "\n".join(["", *found])


def test_half_of_the_files_are_read_in_a_screen_or_two():
    """One idea a file; the slurm folder and the benchmarks are tools beside the house."""
    paths = [path for folder in ("bench", "methods", "datasets") for path in (ROOT / folder).rglob("*.py")]
    lines = [len(path.read_text().splitlines()) for path in paths]
    assert statistics.median(lines) <= MOST_AT_THE_MEDIAN


def test_phrases_that_the_glossary_bans_are_nowhere():
    """CONTRIBUTING, "Words"; written in two parts, so that this list is not among what it finds."""
    banned = re.compile("|".join((r"stands\s+tw" "ice", r"says\s+s" r"o\b", r"none\s+su" "ch")))
    folders = [ROOT / name for name in ("bench", "methods", "datasets", "tests", "docs", "benchmarks", "slurm")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".md", ".yaml")]
    found = []
    for path in (*paths, *ROOT.glob("*.md")):
        text = path.read_text()
        found += [where(path, text[: match.start()].count("\n") + 1) for match in banned.finditer(text)]
    assert not found, "\n".join(["", *found])


def test_no_file_counts_the_folders_above_itself():
    """It would be wrong once the file moves: bench.paths knows where the package lies."""
    assert [where(path, 1) for path in ENGINE if re.search(r"__file__\)[^\n]*\.parents\[", path.read_text())] == []


def calls_of(names, path):
    """The calls `x.NAME(...)` of a file, for some names."""
    calls = (node for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    return [node for node in calls if node.func.attr in names]


def test_random_numbers_come_from_streams():
    """No global random state: only derived streams, generators made from them, and the guards around both."""
    drawn = {"seed", "manual_seed_all", "rand", "randn", "randint", "shuffle", "choice", "permutation", "random"}
    found = []
    for path in PROJECT:
        for node in calls_of({*drawn, "manual_seed"}, path):
            owner = ast.unparse(node.func.value)
            if owner in ("random", "np.random", "numpy.random") and node.func.attr in drawn:
                found.append(where(path, node.lineno))
            if owner == "torch" and node.func.attr == "manual_seed":
                found.append(where(path, node.lineno))
    assert not found, "\n".join(["", *found])


def test_nothing_is_unpickled_without_restriction():
    found = []
    for path in PROJECT:
        for node in calls_of({"load", "loads", "unsafe_load"}, path):
            call = ast.unparse(node.func)
            keywords = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if call == "torch.load" and keywords.get("weights_only") != "True":
                found.append(where(path, node.lineno))
            if call in ("np.load", "numpy.load") and keywords.get("allow_pickle", "False") != "False":
                found.append(where(path, node.lineno))
            if call in ("pickle.load", "pickle.loads", "yaml.unsafe_load") and path.parent.name != "conformance":
                found.append(where(path, node.lineno))
    assert not found, "\n".join(["", *found])
