"""The wheel: one top-level name, with methods, data sets, tables and recorded numbers inside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("bench", "methods", "datasets", "slurm", "results", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of what a checkout has, with the installed hatchling and no network."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "runs", "report-*", "*.egg-info")
    for part in PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, source / part, ignore=ignore)
        elif path.exists():
            shutil.copy(path, source / part)
    for folder in sorted(source.rglob("*"), reverse=True):  # git keeps no empty folder: neither may the build
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    built = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(built)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_one_top_level_name(names):
    top = {name.split("/")[0] for name in names}
    assert {one for one in top if not one.endswith(".dist-info")} == {"bench"}


def test_everything_is_inside(names):
    for folder, suffix in (
        ("bench", ".py"), ("methods", ".py"), ("datasets", ".py"), ("results/recorded", ".csv"),
        ("bench/tables", ".yaml"),
    ):  # fmt: skip
        inside = folder if folder.startswith("bench") else f"bench/{folder}"
        for path in (ROOT / folder).rglob(f"*{suffix}"):
            assert f"{inside}/{path.relative_to(ROOT / folder)}" in names
    assert {"bench/datasets/catalogue.yaml", "bench/datasets/published.yaml", "bench/py.typed"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "tests/" in name]
    assert any(name.endswith("entry_points.txt") for name in names)


def test_installed_wheel_lists_its_methods_and_tables_from_anywhere(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (tmp_path / "elsewhere").mkdir()
    env = {**os.environ, "PYTHONPATH": str(site)}

    def bench(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=tmp_path / "elsewhere",
            env=env,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    listed = bench("list", "methods")
    expected = {path.stem.replace("_", "-") for path in (ROOT / "methods").glob("[a-z]*.py")}
    assert {line.split()[0] for line in listed.splitlines()} == expected
    assert "disp/table1" in bench("list", "tables") and "shapes" in bench("list", "datasets")
    assert "disp/table1,scratch,anime,fid," in bench("recorded", "disp/table1", "--csv")
    assert "to start" in bench("plan", "table1", "--rows", "scratch")
    where = subprocess.run(
        [sys.executable, "-c", "import bench, bench.methods as m; print(bench.__file__, *m.__path__)"],
        cwd=tmp_path / "elsewhere",
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert all(place.startswith(str(site)) for place in where)
