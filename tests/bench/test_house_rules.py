"""What the layout promises, read from the source: who imports whom, and what the engine does not know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench import registry

ROOT = Path(__file__).resolve().parents[2]
ENGINE = sorted((ROOT / "bench").rglob("*.py"))
PROJECT = sorted(
    path
    for folder in ("bench", "methods", "datasets", "slurm", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
# Lower rooms never import higher ones; rooms on one level may know each other. The rest of bench/ is the hall:
# specs, store, registry, which everybody uses.
LEVELS = {"cli": 4, "report": 3, "launch": 3, "train": 2, "metrics": 2, "networks": 1, "features": 1}
# A method or data set may be named where it is the engine's own yardstick, nowhere else.
MAY_NAME = {"conformance.py", "conformance_cases.py"}
LONGEST = 400


def imports(path, inside_functions=True):
    """(module, line) of every absolute import."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(node) for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) for node in ast.walk(one)
    }
    for node in ast.walk(tree):
        if id(node) in hidden and not inside_functions:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def where(path, line):
    return f"{path.relative_to(ROOT)}:{line}"


def room(module):
    return module.split(".")[1] if module.startswith("bench.") else ""


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
    assert found == []


def test_engine_names_no_method_and_no_data_set():
    """No string in the engine's code is the name of a method or of a data set, except in docstrings."""
    names = {entry.name for entry in (*registry.methods(), *registry.datasets())}
    assert {"disp", "diffaugment", "shapes"} <= names
    found = []
    for path in ENGINE:
        if path.name in MAY_NAME:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in names:
                found.append(f"{where(path, node.lineno)} {node.value}")
    # The three names below are other things of the same name: a source role and a paper's short name.
    roles = {"simclr", "disp", "baseline"}
    assert [one for one in found if one.rpartition(" ")[2] not in roles] == []


def test_imports_point_one_way():
    found = []
    for path in ENGINE:
        own = LEVELS.get(path.relative_to(ROOT / "bench").parts[0])
        for module, line in imports(path):
            if own is not None and LEVELS.get(room(module), 0) > own:
                found.append(f"{where(path, line)} {module}")
    assert found == []


def test_methods_import_no_command_line_and_no_report():
    found = [
        where(path, line)
        for path in PROJECT
        if path.parts[-2] in ("methods", "datasets")
        for module, line in imports(path)
        if room(module) in ("cli", "report", "launch") or module in ("methods", "datasets")
    ]
    assert found == []


def test_command_line_imports_nothing_heavy_at_the_top():
    heavy = {"torch", "torchvision", "pandas", "scipy", "sklearn", "matplotlib", "cleanfid", "numpy"}
    found = [
        f"{where(path, line)} {module}"
        for path in (ROOT / "bench" / "cli").glob("*.py")
        for module, line in imports(path, inside_functions=False)
        if module.split(".")[0] in heavy
    ]
    assert found == []


@pytest.mark.parametrize("path", PROJECT, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short_and_says_what_it_is(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(text)), "the first line of a file says what it is for"
    assert path.name != "utils.py"


def test_random_numbers_come_from_streams():
    """No global random state: only derived streams, generators made from them, and the guards around both."""
    drawn = {
        "seed",
        "manual_seed_all",
        "rand",
        "randn",
        "randint",
        "shuffle",
        "choice",
        "permutation",
        "random",
    }
    found = []
    for path in PROJECT:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value)
            if owner in ("random", "np.random", "numpy.random") and node.func.attr in drawn:
                found.append(where(path, node.lineno))
            if owner == "torch" and node.func.attr == "manual_seed":
                found.append(where(path, node.lineno))
    assert found == []


def test_nothing_is_unpickled_without_restriction():
    found = []
    for path in PROJECT:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            call = f"{ast.unparse(node.func.value)}.{node.func.attr}"
            keywords = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if call == "torch.load" and keywords.get("weights_only") != "True":
                found.append(where(path, node.lineno))
            if call in ("np.load", "numpy.load") and keywords.get("allow_pickle", "False") != "False":
                found.append(where(path, node.lineno))
            if call in ("pickle.load", "pickle.loads", "yaml.unsafe_load") and path.name != "conformance.py":
                found.append(where(path, node.lineno))
    assert found == []
