"""The public Python API: it can be found (dir, help), takes what the page shows, and the page runs as it stands."""

from __future__ import annotations

import importlib
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "python-api.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
MODULES = [
    "bench",
    "bench.metrics",
    "bench.networks",
    "bench.features",
    "bench.report",
    "bench.stats",
    "bench.train",
]


def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "page"}
    assert len(BLOCKS) >= 6
    for block in BLOCKS:
        exec(compile(block, "docs/python-api.md", "exec"), space)
    told = capsys.readouterr().out
    assert "missing" in told and "PrecisionRecall" in told and "(4, 1280)" in told
    assert "scratch" in str(space["page"])


def test_readme_links_the_page():
    assert "docs/python-api.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", MODULES)
def test_dir_lists_the_public_names_and_each_is_there(name):
    module = importlib.import_module(name)
    assert set(module.__all__) <= set(dir(module))
    for one in module.__all__:
        assert getattr(module, one) is not None


def test_help_names_the_api():
    told = pydoc.render_doc(bench, renderer=pydoc.plaintext)
    for name in set(bench.__all__) - {"__version__"}:
        assert name in told, name


@pytest.mark.parametrize("name", MODULES)
def test_the_page_uses_public_names_alone(name):
    module = importlib.import_module(name)
    used = re.findall(rf"(?<![\w.]){re.escape(name)}\.(\w+)", PAGE)
    assert set(used) <= set(module.__all__)


def test_listing_imports_nothing_heavy():
    code = "import sys, bench; dir(bench); print([one for one in ('torch', 'pandas', 'numpy') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_store_may_be_a_path_or_a_store_and_rows_may_be_ones_own(tmp_path, tiny_spec):
    spec = bench.load_table("table1", {"train.steps": 300})
    own = spec.with_methods(["ours=diffaugment + disp(prior=random)"])
    row, column = own.pick_rows(["ours"])[0], own.columns[0]
    run = own.run_spec(row, column, 0, "smoke")
    folder = bench.Store(tmp_path).open(run)
    folder.append(folder.metrics_log, [{"step": 300, "metric": "fd", "extractor": "effnet_lite0@64", "value": 7.5}])
    folder.finish({"steps": 300, "diverged_at": None})
    frames = [
        bench.load_results("table1", store=store, methods=["ours=diffaugment + disp(prior=random)"],
                           settings={"train.steps": 300})
        for store in (tmp_path, str(tmp_path), bench.Store(tmp_path))
    ]  # fmt: skip
    for frame in frames:
        ours = frame[frame["row"] == "ours"]
        assert ours.loc[ours["status"] == "done", "value"].tolist() == [7.5]
        assert "missing" in set(ours["status"]), "a row that is asked for is planned"
    assert frames[0].equals(frames[1]) and frames[0].equals(frames[2])
    bare = bench.load_results("table1", store=tmp_path)
    assert set(bare["status"]) == {"missing"}, "other settings are other runs"
    with pytest.raises(UserError, match="settings go with a table's name"):
        bench.load_results(spec, store=tmp_path, settings={"train.steps": 2})


def test_neighbour_counts_have_one_name_in_both_functions():
    stream = np.random.default_rng(0)
    real, fake = stream.standard_normal((90, 3)), stream.standard_normal((80, 3))
    metrics = bench.metrics
    assert metrics.precision_recall(real, fake, k=7) == metrics.precision_recall(real, fake, 7, 7)
    assert metrics.precision_recall(real, fake) == metrics.precision_recall(real, fake, k_precision=10, k_recall=40)
    assert metrics.precision_recall(real, fake, k_recall=3) == metrics.precision_recall(real, fake, 10, 3)
    assert metrics.precision_recall(real, fake, k=7) != metrics.precision_recall(real, fake)
    with pytest.raises(UserError, match="k=7 sets k_precision and k_recall both"):
        metrics.precision_recall(real, fake, 5, k=7)
    with pytest.raises(UserError, match="k=0"):
        metrics.precision_recall(real, fake, k=0)


def test_a_method_of_a_file_is_known_once_it_is_loaded(tmp_path):
    """In a process of its own: what a plug-in registers stays."""
    (tmp_path / "halve.py").write_text(
        '"""A method."""\nfrom bench.train import Method\n\n\nclass Halve(Method):\n    """Nothing."""\n'
    )
    code = (
        "import bench\n"
        "assert bench.load_plugin('halve.py') == ['halve']\n"
        "frame = bench.load_results('table1', store='runs', methods=['ours=halve + baseline'])\n"
        "print(set(frame[frame['row'] == 'ours']['status']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout == "{'missing'}\n", done.stderr
