"""The pages: generated parts are current, links and paths lead somewhere, the picture shows what is imported."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType

import pytest
import yaml

from bench.plan.load import table_names
from bench.run.execute import run_once
from bench.spec.run import RunSpec
from bench.store.runs import Store

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = (
    "bench",
    "methods",
    "datasets",
    "slurm",
    "docs",
    "tests",
    "experiments",
    "benchmarks",
    "results",
    ".github",
)


@pytest.fixture(scope="module")
def draw_floors() -> ModuleType:
    found = importlib.util.spec_from_file_location("draw_floors", ROOT / "docs" / "draw_floors.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["draw_floors"] = module
    found.loader.exec_module(module)
    return module


def test_generated_parts_are_current() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ndocs:")[2].splitlines()[1]
    assert recipe.split() == ["$(BIN)/python", "-m", "docs.generate"]  # what `make docs` runs
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_reproducing_is_an_index() -> None:
    text = (ROOT / "REPRODUCING.md").read_text()
    assert len(text.splitlines()) < 150
    listed = set(re.findall(r"\]\((docs/reproduce/[^)#]+)\)", text))
    assert listed == {str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "reproduce").rglob("*.md")}


def test_every_id_has_its_section() -> None:
    pages = (ROOT / "docs" / "reproduce" / "ids").glob("*.md")
    heads = [head for page in pages for head in re.findall(r"^### `([^`]+)`", page.read_text(), re.MULTILINE)]
    assert sorted(heads) == table_names()


FILES_OF_USERS = re.compile(r"^(SCORES|MEASURES|EXTRACTORS|DATASETS|NETWORKS) = |\(Method\):", re.MULTILINE)


def test_a_file_that_a_page_shows_is_whole() -> None:
    """Copied to a file of one's own it has every import that it needs."""
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--output-format", "concise", "-"]
    shown = 0
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            if FILES_OF_USERS.search(block):
                shown += 1
                found = subprocess.run(ruff, input=block, capture_output=True, text=True, check=False)
                assert found.returncode == 0, f"{page.relative_to(ROOT)}: {found.stdout}{found.stderr}"
    assert shown >= 5


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if re.match(r"https?:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_paths_that_a_page_names_are_there() -> None:
    """In backquotes, under one of our folders. A name in capitals stands for any; what is not tracked is left out."""
    missing = []
    for page in PAGES:
        if page.name == "CHANGELOG.md":  # it names what was
            continue
        for path in re.findall(r"`([\w./-]+)`", page.read_text()):
            first, _, rest = path.partition("/")
            stands_for_any = re.search(r"\b[A-Z]{3,}\b", path) and not (ROOT / path).exists()
            untracked = path.startswith(("results/runs", "results/report"))
            if first in FOLDERS and rest and not stands_for_any and not untracked and not (ROOT / path).exists():
                missing.append(f"{page.relative_to(ROOT)}: {path}")
    assert missing == []


def test_the_picture_marks_an_import_that_goes_up(draw_floors: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "runs.py").write_text("from bench.files import atomic\n")
    (tmp_path / "errors.py").write_text("def late():\n    from bench import store\n")
    imports = draw_floors.read_imports(tmp_path)
    assert imports.at_head == {("store", "files")} and imports.inside == {("errors", "store")}
    drawn = draw_floors.picture(imports)
    assert drawn == draw_floors.picture(imports)
    (down,) = [line for line in drawn.splitlines() if "store imports files" in line]
    (up,) = [line for line in drawn.splitlines() if "errors imports store" in line]
    assert draw_floors.DOWN in down and draw_floors.UP in up


def test_the_workflow_calls_what_there_is() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in job["steps"] if "run" in step]
    (made,) = [command.split()[1:] for command in commands if command.startswith("make ")]
    assert {"lint", "test-all"} <= set(made) <= targets
    assert ".ci/packages" in commands and (ROOT / ".ci" / "packages").stat().st_mode & 0o111


def test_hooks_run_tools_that_are_installed() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "house-rules"}
    pinned = (ROOT / "constraints.txt").read_text()
    for hook in hooks:
        program = Path(hook["entry"].split()[0])
        assert program.parent == Path(".venv/bin")
        assert program.name == "python" or re.search(rf"^{program.name}==", pinned, re.MULTILINE)
    named = [word for hook in hooks for word in hook["entry"].split() if word.startswith("tests/")]
    assert named == ["tests/bench/test_house_rules.py"] and (ROOT / named[0]).exists()


def test_modules_that_pages_and_tables_name_are_there() -> None:
    """`bench.room.file.name`, as far as it can be told without importing: the module exists and has the name."""
    outside = {"toml", "yaml", "methods", "datasets", "scores", "measures"}  # files, and entry points
    texts = [
        *PAGES,
        *ROOT.glob("bench/**/*.yaml"),
        *ROOT.glob("experiments/*.yaml"),
        *ROOT.glob("slurm/*.yaml"),
    ]
    missing = []
    for text in texts:
        if text.name == "CHANGELOG.md":
            continue
        for name in re.findall(r"(?<![\w./-])bench\.([A-Za-z_][\w.]*\w)", text.read_text()):
            parts = name.split(".")
            if parts[0] in outside:
                continue
            place = ROOT / "bench"
            while parts and (place / parts[0]).is_dir():
                place /= parts.pop(0)
            file = place / f"{parts[0]}.py" if parts and (place / f"{parts[0]}.py").exists() else None
            rest = parts[1:] if file else parts
            source = (file or place / "__init__.py").read_text()
            if rest and not re.search(rf"\b{rest[0]}\b", source):
                missing.append(f"{text.relative_to(ROOT)}: bench.{name}")
    assert missing == []


def way() -> list[tuple[str, str]]:
    """The files on the way from `bench run` to D's step, and the page's words on each."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    life = text.partition("## The life of one run")[2].partition("Beside this way")[0]
    return re.findall(r"^\d\. `([\w/]+\.py)`: (.*?)(?=^\d\. |\Z)", life, re.MULTILINE | re.DOTALL)


def test_the_way_to_the_step_of_d_is_as_the_page_says() -> None:
    """At most six files; each defines what the page says of it, and names the next one's first function or module."""
    stations = way()
    assert 2 <= len(stations) <= 6
    for number, (path, words) in enumerate(stations):
        source = (ROOT / path).read_text()
        named = re.findall(r"`([A-Za-z_]+(?:\.\w+)?)(?:\(\))?`", words)
        first, *others = (name.rpartition(".")[2] for name in named)
        assert re.search(rf"^ *(def|class) {first}\b", source, re.MULTILINE), f"{path} defines no {first}"
        missing = [name for name in others if not re.search(rf"\b{name}\b", source)]
        assert not missing, f"{path} does not have {missing}"
        if number + 1 < len(stations):
            following, after = stations[number + 1]
            entry = re.findall(r"`([A-Za-z_]+)", after)[0]
            assert re.search(rf"\b({entry}|{Path(following).stem})\b", source), f"{path} leads not to {following}"
    assert stations[-1][0] == "bench/train/adversarial.py" and "optimizer.step()" in source


def test_a_real_run_goes_that_way(tiny_spec: Callable[..., RunSpec], tmp_path: Path) -> None:
    """From where a worker takes it: the functions are called in the page's order, and then D's optimiser steps."""
    store, spec = Store(tmp_path), tiny_spec("baseline", steps=1)
    store.open(spec)
    files = {str(ROOT / path): words for path, words in way()}
    called: list[str] = []

    def watch(frame: FrameType, event: str, _: object) -> None:
        words, name = files.get(frame.f_code.co_filename), frame.f_code.co_qualname
        if event == "call" and words is not None and re.search(rf"`{re.escape(name)}`", words):
            called.append(name)
        elif event == "call" and name.endswith("Adam.step"):
            called.append("step")

    sys.setprofile(watch)
    try:
        outcome = run_once(spec.uid, tmp_path)
    finally:
        sys.setprofile(None)
    assert outcome == "done"
    expected = [
        "run_once",
        "execute",
        "Training.run",
        "adversarial",
        "_update_discriminator",
        "_descend",
        "step",
    ]
    assert [name for name in dict.fromkeys(called) if name in expected] == expected
